//! End-to-end tests: the real binaries under `bulkhead up`, real sockets, real clients, a real nginx. One test binary.
//!
//! Each test describes a world (see `harness/`), talks to it and looks at what its backend received. When the world goes, it
//! asserts by itself that no descriptor leaked, nothing panicked and everything stopped. A client address of its own keeps
//! tests apart where limits per address matter; nothing here depends on another test.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod access;
mod answers;
mod attacks;
mod backends_tls;
mod bad_backends;
mod client_certificates;
mod connection_ends;
mod descriptors;
mod drain;
mod drip;
mod examples;
mod explain;
mod filtering;
mod floods;
mod forwarding;
mod generations;
mod grpc;
mod hand_over;
mod http_routes;
mod launcher;
mod limits;
mod max_forwards;
mod metrics;
mod no_place;
mod observe;
mod overload;
mod passthrough;
mod pools;
mod query_of_death;
mod rate_limits;
mod recordings;
mod reload;
mod renewal;
mod restart;
mod routing;
mod sandbox_holds;
mod server_names;
mod site_policy;
mod smuggling;
mod ssrf;
mod streaming;
mod succession;
mod succession_forward;
mod succession_relay;
mod terminal;
mod termination;
mod tickets;
mod unsent;
mod web_attacks;
mod web_attacks_evasion;
mod web_attacks_hostile;
mod websocket;
