//! tls-terminator: private keys live here and nowhere else, in a process that can neither listen nor connect.
//!
//! sni-router hands over a client's socket with the ClientHello unread; this process shakes hands and gives http-filter the
//! plaintext. The modules stand in the order in which a connection meets them.
//!
//! Before the sandbox closes: [`settings`] → [`certificates`] (with [`judge_chain`]) → [`policy`] (with [`tickets`], [`client_auth`]) →
//! [`tls_config`] (with [`choose_certificate`], [`last_good`]). Afterwards, per connection: [`receive`] → [`admission`] → [`handshake_rate`] (with [`turn_away`]) →
//! [`handshake`] (with [`under_way`], [`client_identity`]) → [`secrets`] or [`relay`] (or [`unserved`]) →
//! [`ending`]; [`records`] drives rustls, [`common::net::quiet_stream`] is the stream to http-filter, [`scratch`] and [`pulse`] are the
//! buffers and the clock that all connections share. [`explain`] says what would become of a handshake, [`budget`] what the process may need.
//!
//! What it must never do: open a file, socket or process after its sandbox is closed; write a byte of a key or of plaintext to a
//! log; accept early data; keep serving a connection whose two name parsers disagree.

#![forbid(unsafe_code)]

pub mod settings;

pub mod certificates;
pub mod choose_certificate;
pub mod client_auth;
pub mod judge_chain;
pub mod last_good;
pub mod policy;
pub mod tickets;
pub mod tls_config;

pub mod client_identity;
pub mod receive;
pub mod turn_away;

pub mod admission;
pub mod handshake;
pub mod handshake_rate;
pub mod relay;
pub mod under_way;
pub mod unserved;

pub mod ending;
pub mod explain;
pub mod pulse;
pub mod records;
pub mod scratch;
pub mod secrets;
pub mod seldom;

pub mod budget;
pub mod metrics;
pub mod sandbox;
pub mod serve;
