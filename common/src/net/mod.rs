//! Sockets and addresses, one file per idea.

pub mod accept;
pub mod balance;
pub mod client_limit;
pub mod farewell;
pub mod listen_fds;
pub mod no_place;
pub mod proxy_protocol;
pub mod quiet_stream;
