//! One reading of host and path, made once and used for every decision and for the request that is sent on.

use std::net::IpAddr;

use common::config::PathPolicy;
use common_http::headers::{AddressSource, client_address};
use common_http::host::Authority;
use common_http::normalise::{self, normalise_path};
use http::header::{HOST, HeaderValue};
use http::{Request, StatusCode};
use hyper::body::Incoming;

use super::connection::Connection;
use super::response::Refusal;
use super::serve::App;

/// A request as every stage sees it.
#[derive(Debug)]
pub struct Seen {
    /// The client behind trusted proxies.
    pub client: IpAddr,
    /// Lower case, without port; empty only for HTTP/1.0 without Host.
    pub host: Box<str>,
    /// Host as it goes on to the backend.
    pub host_header: Option<HeaderValue>,
    /// The path in its one form, without query.
    pub path: Box<str>,
    /// The path differs from what the client wrote.
    pub rewritten: bool,
}

/// Reads what all decisions are based on.
pub fn read(app: &App, connection: &Connection, request: &Request<Incoming>) -> Result<Seen, Refusal> {
    let host_header = match (request.uri().authority(), request.headers().get(HOST)) {
        (Some(authority), _) => HeaderValue::from_str(authority.as_str()).ok(),
        (None, header) => header.cloned(),
    };
    let host = match &host_header {
        Some(value) => {
            let authority = Authority::parse(value.as_bytes())
                .map_err(|_| malformed(app, "The Host of the request is not a valid host name.", "bad-host"))?;
            authority.host().into_owned().into_boxed_str()
        }
        None => Box::default(),
    };
    if let Some(name) = connection.client.server_name()
        && *name != *host
    {
        app.metrics.misdirected.up();
        return Err(Refusal {
            status: StatusCode::MISDIRECTED_REQUEST,
            reason: "Misdirected request: its Host is not the name this TLS connection was opened for. Use a connection of its own.".into(),
            rule: None,
            decision: "misdirected",
            close: false,
        });
    }
    let policy = match app.config.path {
        PathPolicy::Normalise => normalise::PathPolicy::Normalise,
        PathPolicy::RejectAmbiguous => normalise::PathPolicy::RejectAmbiguous,
    };
    let written = request.uri().path();
    let path = normalise_path(written, policy).map_err(|error| malformed(app, error.text(), "ambiguous-path"))?;
    let peer = connection.client.ends.client.ip();
    let client = if connection.forwarder.borrow().is_trusted() {
        let trusted = app.config.trusted_proxies.as_slice();
        client_address(trusted, peer, AddressSource::XForwardedFor, request.headers())
    } else {
        peer
    };
    Ok(Seen { client, host, host_header, rewritten: *path != *written, path: path.into() })
}

fn malformed(app: &App, reason: &'static str, label: &'static str) -> Refusal {
    app.metrics.malformed.up();
    Refusal::malformed(StatusCode::BAD_REQUEST, reason, label, false)
}
