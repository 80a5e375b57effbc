//! http-filter: HTTP behind termination, in the order in which a request meets the files:
//! [`receive`] (sockets come in over IPC; [`no_place`] for those too many) → [`tls_stream`] (records, where the handshake's secrets came along) → [`connection`] (hyper, h1 or h2 by ALPN) → [`pipeline`] (THE order of decisions) → [`journal`] (has it killed?) →
//! [`normalise`] (one reading; [`certified`]) → [`stages`] (may it pass?) → [`route`] (who serves it?) → [`rewriting`] (what is changed
//! on the way?) → [`upstream`] (balance, dial through the
//! relay, send) → [`response`] (what goes back) → [`journey`] (one line in the log).
//! [`succession`] gives a living connection to the process that takes this one's place.
//! [`rules_test`] sends requests that are known to be attacks or harmless through the rules of [`stages`], from the command line.
//! [`explain`] asks the same stages about a request that nobody sends; [`budget`] says what the process may need.
//!
//! The process owns no network: clients' sockets are handed to it, backends' sockets are dialled for it.
#![forbid(unsafe_code)]

pub mod app;
pub mod budget;
pub mod certified;
pub mod connection;
pub mod cork;
pub mod explain;
pub mod grpc;
pub mod identity_headers;
pub mod journal;
pub mod journey;
pub mod metrics;
pub mod no_place;
pub mod normalise;
pub mod observe;
pub mod pipeline;
pub mod receive;
pub mod response;
pub use common_http::rest;
pub mod rewriting;
pub mod route;
pub mod rules_test;
pub mod sandbox;
pub mod serve;
pub mod stages;
pub mod streams;
pub mod succession;
pub mod tls_stream;
pub mod unsent;
pub mod upgrade;
pub mod upstream;

pub use serve::{Opened, open, serve};
