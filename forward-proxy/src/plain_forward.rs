//! Requests in absolute form (RFC 9112 §3.2.2), kept alive on both sides: hyper above [`common_http::guarded`], which lets
//! only unambiguous bytes pass, and a pool of connections that the relay dialled.
//!
//! What goes on is an ordinary request: origin form, `Host` written anew from the target, hop-by-hop fields and
//! `Proxy-Authorization` taken off, `Via: 1.1 bulkhead` added (RFC 9110 §7.6.3). Nothing says who the client is: no
//! `Forwarded` or `X-Forwarded-*` is written, and what the client's side wrote there is taken off, so that no address of
//! the inner network leaks. `Upgrade` is not passed on: other protocols go through CONNECT.
//!
//! Connections to servers are shared by all users. Schemes that authenticate a *connection* (NTLM, Negotiate) would let one
//! user use another's, so servers' offers of them are taken off, and a request that uses one has its connection closed.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use common::ipc::messages::Ends;
use common::net::client_limit::Place;
use common_http::guarded::{Exchange, Guarded, HeadVerdict, Ledger};
use common_http::headers::{Connection, Direction, Forwarder, LastHop, Style, Underscores, count_down, strip};
use common_http::host::write_authority;
use common_http::rest::lend;
use common_http::upstream::{Endpoint, PassedBody, ResponseBody, SendError};
use http::header::{
    AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION, VIA, WWW_AUTHENTICATE,
};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::access_log::Record;
use crate::admit::{Asked, admit};
use crate::answered::Answered;
use crate::authenticate::basic::Given;
use crate::connect_tunnel;
use crate::destination::Destination;
use crate::refuse::Refusal;
use crate::serve::Proxy;
use crate::succession;

/// Our name in `Via`: a pseudonym, so that no host name leaks.
const VIA_NAME: &str = "bulkhead";
/// Header fields for which hyper has room on its stack; for more it allocates with every request.
const HYPERS_HEADERS: usize = 100;

/// One client connection.
pub struct Session {
    /// The process it belongs to.
    pub proxy: Rc<Proxy>,
    /// Whose it is.
    pub ends: Ends,
    ledger: Arc<Ledger>,
    forwarder: RefCell<Forwarder>,
    /// Its place among the client's connections, as long as it lives here.
    _place: Place,
}

type Answer = Response<Answered>;

/// What a connection has been through.
#[derive(Debug)]
pub struct Past {
    /// Requests that it has brought, in other processes.
    pub requests: u64,
    /// Bytes that were read from it and not understood yet.
    pub ahead: Vec<u8>,
    /// It may go on in a successor.
    pub may_leave: bool,
}

/// Serves a connection whose first request is not CONNECT.
pub async fn serve(proxy: Rc<Proxy>, stream: TcpStream, past: Past, ends: Ends, place: Place) {
    if let Err(error) = stream.set_nodelay(true) {
        return tracing::debug!("the client is gone: {error}");
    }
    let now = proxy.now();
    let ledger = proxy.watch.ledger();
    ledger.go_on_after(past.requests);
    let guarded = Guarded::go_on(stream, now.framing, Arc::clone(&ledger), past.ahead);
    let (lent, lender) = lend(guarded, Vec::new());
    let style = Style { x_forwarded: false, forwarded: false, real_ip: false, via: Some(VIA_NAME.to_owned()) };
    let connection = Connection { peer: ends.client, local: ends.local, tls: false };
    let forwarder = RefCell::new(Forwarder::new(style, &connection, &[]));
    let session = Session { proxy: Rc::clone(&proxy), ends, ledger: Arc::clone(&ledger), forwarder, _place: place };
    let session = Rc::new(session);
    let service = service_fn(move |request| handle(Rc::clone(&session), request));
    let mut builder = http1::Builder::new();
    builder.max_buf_size(now.buffer).header_read_timeout(None);
    if now.framing.headers > HYPERS_HEADERS {
        builder.max_headers(now.framing.headers);
    }
    let mut connection = Box::pin(builder.serve_connection(TokioIo::new(lent), service).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = proxy.stop.stopping() => {
            let leaves = past.may_leave && proxy.stop.successor().is_some();
            if !leaves {
                connection.as_mut().graceful_shutdown();
            }
            poll_fn(|cx| match connection.as_mut().poll(cx) {
                Poll::Ready(ended) => Poll::Ready(Some(ended)),
                Poll::Pending if leaves && ledger.may_move() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            })
            .await
        }
    };
    match ended {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!(client = %ends.client, "connection ended: {error}"),
        None => {
            let Some((stream, ahead)) = lender.recall(connection).map(Guarded::into_parts) else { return };
            succession::hand_on(&proxy, stream, ends, ledger.requests(), ahead);
        }
    }
}

async fn handle(session: Rc<Session>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let exchange = session.ledger.begin();
    let mut record = Record::new(session.ends.client, request.method().as_str());
    let outcome = match exchange.verdict() {
        HeadVerdict::Refused(violation) => {
            session.proxy.metrics.malformed.up();
            record.method = String::new(); // what hyper shows is a stand-in
            Err(Refusal::violation(violation))
        }
        HeadVerdict::Accepted if request.method() == Method::CONNECT => {
            connect(&session, request, &exchange, &mut record).await
        }
        HeadVerdict::Accepted => forward(&session, request, &mut record).await,
    };
    let log = session.proxy.now().log;
    Ok(match outcome {
        Ok(response) => {
            record.answer(response.status().as_u16());
            response.map(|body| Answered::new(body, exchange, record, log))
        }
        Err(refusal) => {
            record.refuse(&refusal);
            let response = refusal.respond(&session.proxy.now().realm);
            response.map(|body| Answered::new(Err(body), exchange, record, log))
        }
    })
}

/// A server's answer, or our own.
type Body = Result<ResponseBody<PassedBody>, Bytes>;

/// CONNECT after other requests on the same connection.
async fn connect(
    session: &Rc<Session>,
    mut request: Request<Incoming>,
    exchange: &Exchange,
    record: &mut Record,
) -> Result<Response<Body>, Refusal> {
    let target = request.uri().authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default();
    let reached = {
        let credentials = credentials(request.headers());
        connect_tunnel::reach(&session.proxy, session.ends, target.as_bytes(), credentials, record).await
    };
    let reached = reached.map_err(|refusal| Refusal { close: true, ..refusal })?;
    let upgrade = hyper::upgrade::on(&mut request);
    exchange.switch_protocols();
    tokio::task::spawn_local(connect_tunnel::hand_over(Rc::clone(session), upgrade, reached));
    Ok(Response::new(Err(Bytes::new())))
}

async fn forward(
    session: &Session,
    mut request: Request<Incoming>,
    record: &mut Record,
) -> Result<Response<Body>, Refusal> {
    let proxy = &session.proxy;
    proxy.metrics.forwarded.up();
    let destination = destination(proxy, request.uri())?;
    record.destination = destination.to_string();
    let asked = Asked {
        client: session.ends.client.ip(),
        method: request.method().as_str(),
        destination: &destination,
        credentials: credentials(request.headers()),
    };
    let admitted = admit(proxy, asked).await.map_err(|(refusal, user)| {
        record.user = user;
        refusal
    })?;
    record.allow(admitted.user, &admitted.rule);
    let traced = request.method().clone();
    count_down(&traced, request.headers_mut()).map_err(|LastHop| Refusal::max_forwards())?;
    rewrite(session, &mut request, &destination);
    let endpoint = Endpoint::new(destination.host_text(), destination.port);
    let sent = proxy.pool.slot(&endpoint).send(request.map(PassedBody::from)).await;
    let mut response = sent.map_err(|error| {
        match &error {
            SendError::Dial(error) => proxy.count_dial(error),
            _ => proxy.metrics.upstream_errors.up(),
        }
        Refusal::send(&error, session.ledger.violation(), &destination)
    })?;
    let headers = response.headers_mut();
    strip(headers, Direction::Response, false, Underscores::Keep);
    remove_connection_bound(headers);
    headers.append(VIA, HeaderValue::from_static("1.1 bulkhead"));
    Ok(response.map(Ok))
}

/// Absolute form with `http`, or a word about what a proxy is for.
fn destination(proxy: &Proxy, uri: &Uri) -> Result<Destination, Refusal> {
    let refuse = |refusal| {
        proxy.metrics.not_proxy_requests.up();
        Err(refusal)
    };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return refuse(Refusal::origin_form());
    };
    if !scheme.eq_ignore_ascii_case("http") {
        return refuse(Refusal::https());
    }
    Destination::of_authority(authority.as_str().as_bytes(), 80).map_err(|error| {
        proxy.metrics.bad_destinations.up();
        Refusal::destination(error)
    })
}

fn credentials(headers: &HeaderMap) -> Given<'_> {
    Given::of(headers.get_all(PROXY_AUTHORIZATION).iter().map(HeaderValue::as_bytes))
}

/// From what a client says to a proxy to what a proxy says to a server.
fn rewrite(session: &Session, request: &mut Request<Incoming>, destination: &Destination) {
    let path = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    *request.version_mut() = Version::HTTP_11;
    let port = (destination.port != 80).then_some(destination.port);
    let host = HeaderValue::try_from(write_authority(&destination.host_text(), port));
    // A destination is made of characters that a header value has.
    let host = host.unwrap_or_else(|_| HeaderValue::from_static(""));
    let headers = request.headers_mut();
    strip(headers, Direction::Request, false, Underscores::Keep);
    session.forwarder.borrow_mut().write(headers, &host);
    headers.insert(HOST, host);
    if headers.get_all(AUTHORIZATION).iter().any(binds_connection) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Schemes by which a server takes all later requests of a connection for the same user's (RFC 4559 §6).
fn binds_connection(value: &HeaderValue) -> bool {
    let word = value.as_bytes().split(|byte| matches!(byte, b' ' | b',')).next().unwrap_or_default();
    [b"ntlm".as_slice(), b"negotiate"].iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
}

fn remove_connection_bound(headers: &mut HeaderMap) {
    if !headers.get_all(WWW_AUTHENTICATE).iter().any(binds_connection) {
        return;
    }
    let kept: Vec<HeaderValue> =
        headers.get_all(WWW_AUTHENTICATE).iter().filter(|value| !binds_connection(value)).cloned().collect();
    headers.remove(WWW_AUTHENTICATE);
    for value in kept {
        headers.append(WWW_AUTHENTICATE, value);
    }
}
