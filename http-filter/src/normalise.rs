//! One reading of client, host and path, made once: what every stage judges is what the backend is sent.

use std::net::IpAddr;

use common::config::{PathPolicy, UnderscoreHeaders};
use common_http::headers::{AddressSource, client_address};
use common_http::normalise;
use common_http::target::Target;
use http::StatusCode;
use http::request::Parts;

use super::app::App;
use super::connection::Connection;
use super::response::Refusal;

/// A request as every stage sees it.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The client behind trusted proxies.
    pub client: IpAddr,
    /// Host and path in their one form.
    pub target: Target<'a>,
}

/// Reads what all decisions are based on; refuses what has two readings, and what belongs to another TLS connection.
pub fn read<'a>(app: &App, connection: &Connection, parts: &'a Parts) -> Result<Seen<'a>, Refusal> {
    let policy = match app.config.path {
        PathPolicy::Normalise => normalise::PathPolicy::Normalise,
        PathPolicy::RejectAmbiguous => normalise::PathPolicy::RejectAmbiguous,
    };
    refuse_underscores(app, connection, parts)?;
    let target = Target::read(parts, policy).map_err(|error| {
        app.metrics.malformed.up();
        let reason = error.to_string().into();
        // Who means one thing by its path may mean another by what follows: as after every malformed request, HTTP/1 ends here.
        let close = !connection.h2;
        Refusal { status: StatusCode::BAD_REQUEST, reason, rule: None, decision: "ambiguous-target", close }
    })?;
    if connection.client.server_name().is_some_and(|name| *name != *target.host) {
        let reason = "Misdirected request: its Host is not the name this TLS connection was opened for. Use a connection of its own.";
        return Err(misdirected(app, reason, None));
    }
    if !app.certified.admits(&connection.client, &target.host) {
        let reason =
            "Misdirected request: this Host asks for a client certificate. Use a TLS connection that names it (SNI).";
        return Err(misdirected(app, reason, Some("site.client_auth")));
    }
    let peer = connection.client.ends.client.ip();
    let client = if connection.forwarder.borrow().is_trusted() {
        let trusted = app.config.trusted_proxies.as_slice();
        client_address(trusted, peer, AddressSource::XForwardedFor, &parts.headers)
    } else {
        peer
    };
    Ok(Seen { client, target })
}

fn misdirected(app: &App, reason: &'static str, rule: Option<&str>) -> Refusal {
    app.metrics.misdirected.up();
    Refusal {
        status: StatusCode::MISDIRECTED_REQUEST,
        reason: reason.into(),
        rule: rule.map(Into::into),
        decision: "misdirected",
        close: false,
    }
}

/// `underscore_headers = "refuse"`: many backends read `X_Forwarded_For` and `X-Forwarded-For` as one.
fn refuse_underscores(app: &App, connection: &Connection, parts: &Parts) -> Result<(), Refusal> {
    let refuse = app.config.underscore_headers == UnderscoreHeaders::Refuse;
    if !refuse || !parts.headers.keys().any(|name| name.as_str().contains('_')) {
        return Ok(());
    }
    app.metrics.malformed.up();
    let reason = "The request has a header name with an underscore, which this server does not accept.";
    Err(Refusal::malformed(StatusCode::BAD_REQUEST, reason, "underscore-header", !connection.h2))
}
