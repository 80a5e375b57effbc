//! What will be done to the answer of one request, noted while the request is still whole: which route's rules apply, what their
//! placeholders stand for, and what the client accepts. A request that nothing is configured for costs a few comparisons.

use std::rc::Rc;

use common::config::Algorithm;
use http::header::{ACCEPT, CONTENT_LENGTH, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Request, response};

use super::compression::Compression;
use super::{accept_encoding, security};
use crate::app::App;
use crate::connection::Connection;
use crate::observe::request_id::RequestId;
use crate::rewriting::{Filled, Values};
use crate::route::Route;
use crate::unsent::Unsent;

/// See the module's words.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// What the client takes for an answer of our own.
    pub accept: Option<HeaderValue>,
    /// HEAD: an answer has no body.
    pub head: bool,
    /// The host, where an error page depends on it.
    pub host: Box<str>,
    /// The content coding that the client wants most.
    wanted: Option<Algorithm>,
    /// HTTP/2: where the pieces of the answer are counted.
    pub unsent: Option<Rc<Unsent>>,
    secure: bool,
    route: Option<&'a Route>,
    filled: [Filled; 2],
}

impl<'a> Plan<'a> {
    /// Before anything is known but the request's own words.
    pub fn begin<B>(app: &App, connection: &Connection, request: &Request<B>) -> Self {
        let offered = app.compression.as_ref().map(|own| &*own.algorithms);
        Self {
            wanted: offered.and_then(|offered| accept_encoding::choose(request.headers(), offered)),
            accept: request.headers().get(ACCEPT).cloned(),
            head: *request.method() == Method::HEAD,
            unsent: connection.unsent.clone(),
            secure: is_secure(connection, request.headers()),
            ..Self::default()
        }
    }

    /// Whether the client speaks TLS, to us or to a trusted proxy before us.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The request was read.
    pub fn saw(&mut self, app: &App, host: &str) {
        if app.error_pages.ask_hosts() {
            self.host = host.into();
        }
    }

    /// The content coding for an answer, whose header then says so; `None`: as it is.
    pub fn coding(
        &self,
        app: &App,
        own: &Compression,
        parts: &mut response::Parts,
        size: Option<u64>,
    ) -> Option<Algorithm> {
        if self.route.is_some_and(|route| !route.compress) {
            return None;
        }
        // HEAD is told of the body that GET would get.
        let told = || parts.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
        let size = if self.head { told() } else { size };
        let room = app.metrics.compressing.get() < own.max_answers;
        own.judge(parts, self.wanted, size, self.head, room)
    }

    /// The request has found its route.
    pub fn routed(&mut self, app: &App, route: &'a Route, values: &Values<'_>) {
        self.route = Some(route);
        self.filled = [app.response_headers.fill(values), route.response_headers.fill(values)];
    }

    /// Does to the header of an answer what is configured.
    pub fn apply(&mut self, app: &App, headers: &mut HeaderMap) {
        let preset = self.route.map_or(app.config.security_headers, |route| route.security);
        security::apply(preset, self.secure, app.config.security_headers_override, headers);
        let [section, own] = std::mem::take(&mut self.filled);
        if !app.response_headers.is_empty() {
            app.response_headers.apply(headers, section);
        }
        if let Some(route) = self.route.filter(|route| !route.response_headers.is_empty()) {
            route.response_headers.apply(headers, own);
        }
    }
}

/// The facts of a request for templates.
pub fn values<'a>(
    connection: &'a Connection,
    seen: &'a crate::normalise::Seen<'_>,
    parts: &'a Parts,
    route: &'a Route,
    secure: bool,
    request_id: Option<&'a RequestId>,
) -> Values<'a> {
    Values {
        client: Some(seen.client),
        host: &seen.target.host,
        port: seen.target.port,
        path: &seen.target.path,
        query: seen.target.query,
        method: parts.method.as_str(),
        secure,
        sni: connection.client.server_name().unwrap_or_default(),
        ja4: connection.client.tls.as_ref().map_or("", |tls| &*tls.ja4),
        request_id,
        route: &route.name,
    }
}

/// A trusted proxy that has ended TLS says so in the last `X-Forwarded-Proto`.
pub fn is_secure(connection: &Connection, headers: &HeaderMap) -> bool {
    if connection.client.tls.is_some() {
        return true;
    }
    let said = || headers.get_all("x-forwarded-proto").iter().next_back();
    connection.forwarder.borrow().is_trusted()
        && said().is_some_and(|proto| {
            let last = proto.as_bytes().rsplit(|byte| *byte == b',').next().unwrap_or_default();
            last.trim_ascii().eq_ignore_ascii_case(b"https")
        })
}
