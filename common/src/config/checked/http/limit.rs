//! `[[http-filter.rate-limit]]` and `[[http-filter.concurrency-limit]]`: how many requests of one key.

use crate::config::checked::Conditions;
use std::sync::Arc;
use std::time::Duration;

/// `[[http-filter.rate-limit]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Unique among the limits of the section; appears in logs, refusals and `RateLimit` headers.
    pub name: Arc<str>,
    /// Requests in `per`, at least 1.
    pub requests: u64,
    /// See `requests`.
    pub per: Duration,
    /// Requests that may come at once, at least 1.
    pub burst: u64,
    /// Keys that are remembered, about.
    pub max_keys: usize,
    /// Whether answers to requests within the limit tell where the client stands.
    pub tell: bool,
    /// Which requests count, and together with which others.
    pub scope: LimitScope,
}

/// `[[http-filter.concurrency-limit]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConcurrencyLimit {
    /// Unique among the limits of the section; appears in logs and refusals.
    pub name: Arc<str>,
    /// Requests at once, at least 1.
    pub requests: u32,
    /// Which requests count, and together with which others.
    pub scope: LimitScope,
}

/// What both kinds of limit have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitScope {
    /// Requests with the same values of all of these count together. Empty: all requests do.
    pub key: Vec<KeyPart>,
    /// Bits of an IPv4 address that make a client, 0..=32.
    pub v4_prefix: u8,
    /// Bits of an IPv6 address that make a client, 0..=128.
    pub v6_prefix: u8,
    /// Which requests count at all.
    pub conditions: Conditions,
    /// Only log what would have happened.
    pub observe: bool,
}

/// A part of the key of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPart {
    /// `client`: the network of the client's address.
    Client,
    /// `host`: the name in the authority.
    Host,
    /// `sni`: the name of the TLS connection.
    Sni,
    /// `ja4`: the fingerprint of the TLS client.
    Ja4,
    /// `method`
    Method,
    /// `path` or `path:N`: the normalised path, or so many of its segments.
    Path(Option<u8>),
    /// `header:NAME`: the value of a header field.
    Header(Arc<str>),
    /// `cookie:NAME`: the value of a cookie.
    Cookie(Arc<str>),
}
