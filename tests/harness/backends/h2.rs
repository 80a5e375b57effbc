//! A server that speaks HTTP/2, with or without TLS, by the `h2` crate:
//!
//! - `/echo`: the body comes back piece by piece; at the end trailers with `x-bytes`, and those of the request
//! - `/grpc.Echo/Stream`: the same in gRPC's words (`grpc-status: 0` in trailers)
//! - `/grpc.Echo/Missing`: a trailers-only answer with `grpc-status: 5`
//! - `/grpc.Echo/Abort`: one piece, then RST_STREAM (CANCEL)
//! - `/hang`: no answer; `/endless`: a head, and pieces without end
//! - `/early`: an answer of 403 that does not wait for the body
//! - `/bytes/N`: N bytes of the known pattern
//! - extended CONNECT (RFC 8441): echo of the bytes
//! - anything else: the head of the request as text
//!
//! Every stream is noted with how it ended, so that a test sees what the proxy let through.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{LocalSet, spawn_local};

use super::application::pattern_of;
use super::{ADDRESS, server_config};
use crate::certificates::Signed;
use crate::limits::eventually;

/// A running server; it ends with the test.
#[derive(Debug)]
pub struct H2Backend {
    address: SocketAddr,
    notes: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
}

type Notes = Arc<Mutex<Vec<String>>>;

impl H2Backend {
    /// HTTP/2 without TLS.
    pub fn clear() -> Self {
        Self::start(None)
    }

    /// HTTP/2 over TLS, agreed by ALPN.
    pub fn tls(identity: &Signed) -> Self {
        let mut config = (*server_config(identity, false)).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self::start(Some(Arc::new(config)))
    }

    fn start(tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind((ADDRESS, 0)).expect("a loopback address");
        listener.set_nonblocking(true).expect("a socket");
        let backend = Self {
            address: listener.local_addr().expect("a bound socket"),
            notes: Arc::default(),
            connections: Arc::default(),
        };
        let (notes, connections) = (Arc::clone(&backend.notes), Arc::clone(&backend.connections));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            LocalSet::new().block_on(&runtime, async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
                while let Ok((stream, _)) = listener.accept().await {
                    let _ = stream.set_nodelay(true);
                    *connections.lock().expect("no panic inside") += 1;
                    let (tls, notes) = (tls.clone().map(tokio_rustls::TlsAcceptor::from), Arc::clone(&notes));
                    spawn_local(async move {
                        match tls {
                            None => serve(stream, notes).await,
                            Some(tls) => {
                                if let Ok(stream) = tls.accept(stream).await {
                                    serve(stream, notes).await;
                                }
                            }
                        }
                    });
                }
            });
        });
        backend
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        *self.connections.lock().expect("no panic inside")
    }

    /// What was noted so far: `"path ended"`, `"path reset CANCEL"` …
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().expect("no panic inside").clone()
    }

    /// Waits for a note that contains these words.
    pub fn wait_for_note(&self, words: &str) -> String {
        eventually(5, &format!("the backend notes {words:?}"), || {
            self.notes().into_iter().find(|note| note.contains(words))
        })
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, notes: Notes) {
    let handshake = h2::server::Builder::new().enable_connect_protocol().handshake::<_, Bytes>(stream).await;
    let Ok(mut connection) = handshake else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let notes = Arc::clone(&notes);
        spawn_local(async move {
            let path = request.uri().path().to_owned();
            let ended = answer(request, respond).await;
            notes.lock().expect("no panic inside").push(format!("{path} {ended}"));
        });
    }
    notes.lock().expect("no panic inside").push("connection over".to_owned());
}

async fn answer(mut request: Request<RecvStream>, mut respond: SendResponse<Bytes>) -> String {
    let path = request.uri().path().to_owned();
    if *request.method() == Method::CONNECT {
        let protocol = request.extensions().get::<h2::ext::Protocol>().map(|p| p.as_str().to_owned());
        let Ok(stream) = respond.send_response(head_of(200), false) else { return "gone".to_owned() };
        return format!("{protocol:?} {}", echo(request.body_mut(), stream, HeaderMap::new()).await);
    }
    match path.as_str() {
        "/echo" | "/grpc.Echo/Stream" => {
            let mut head = head_of(200);
            let mut end = HeaderMap::new();
            if path == "/grpc.Echo/Stream" {
                let te = request.headers().get("te").cloned();
                head.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
                end.insert("grpc-status", HeaderValue::from_static("0"));
                end.insert("seen-te", te.unwrap_or(HeaderValue::from_static("nothing")));
            }
            let Ok(stream) = respond.send_response(head, false) else { return "gone".to_owned() };
            echo(request.body_mut(), stream, end).await
        }
        "/grpc.Echo/Missing" => {
            let mut head = head_of(200);
            head.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
            head.headers_mut().insert("grpc-status", HeaderValue::from_static("5"));
            head.headers_mut().insert("grpc-message", HeaderValue::from_static("not%20here"));
            drop(respond.send_response(head, true));
            "ended".to_owned()
        }
        "/grpc.Echo/Abort" => {
            let Ok(mut stream) = respond.send_response(head_of(200), false) else { return "gone".to_owned() };
            let _ = stream.send_data(Bytes::from_static(b"piece"), false);
            tokio::time::sleep(Duration::from_millis(100)).await;
            stream.send_reset(Reason::CANCEL);
            "aborted".to_owned()
        }
        "/hang" => match std::future::poll_fn(|cx| respond.poll_reset(cx)).await {
            Ok(reason) => format!("reset {reason:?}"),
            Err(error) => format!("lost: {error}"),
        },
        "/endless" => endless(respond).await,
        "/early" => {
            let Ok(mut stream) = respond.send_response(head_of(403), false) else { return "gone".to_owned() };
            let _ = stream.send_data(Bytes::from_static(b"no, thanks"), true);
            "ended".to_owned()
        }
        _ => {
            let body = match path.strip_prefix("/bytes/").and_then(|count| count.parse().ok()) {
                Some(count) => pattern_of(count),
                None => describe(&request),
            };
            let head = *request.method() == Method::HEAD;
            let Ok(stream) = respond.send_response(head_of(200), head) else { return "gone".to_owned() };
            if head {
                return "ended".to_owned();
            }
            send(stream, Bytes::from(body)).await
        }
    }
}

fn head_of(status: u16) -> Response<()> {
    Response::builder().status(status).body(()).expect("a status")
}

fn describe(request: &Request<RecvStream>) -> Vec<u8> {
    let mut text = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        text.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
    }
    text.into_bytes()
}

async fn echo(body: &mut RecvStream, mut stream: SendStream<Bytes>, mut end: HeaderMap) -> String {
    let mut bytes = 0usize;
    while let Some(piece) = body.data().await {
        let Ok(piece) = piece else { return format!("broken after {bytes}") };
        let _ = body.flow_control().release_capacity(piece.len());
        bytes += piece.len();
        if push(&mut stream, piece).await.is_err() {
            return format!("unwanted after {bytes}");
        }
    }
    if let Ok(Some(trailers)) = body.trailers().await {
        end.extend(trailers);
    }
    end.insert("x-bytes", HeaderValue::from(bytes));
    let sent = stream.send_trailers(end);
    format!("ended after {bytes} {}", if sent.is_ok() { "well" } else { "badly" })
}

async fn push(stream: &mut SendStream<Bytes>, mut piece: Bytes) -> Result<(), ()> {
    while !piece.is_empty() {
        stream.reserve_capacity(piece.len());
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let Some(Ok(room)) = room else { return Err(()) };
        stream.send_data(piece.split_to(room.min(piece.len())), false).map_err(drop)?;
    }
    Ok(())
}

async fn send(mut stream: SendStream<Bytes>, body: Bytes) -> String {
    if push(&mut stream, body).await.is_err() {
        return "unwanted".to_owned();
    }
    let _ = stream.send_data(Bytes::new(), true);
    "ended".to_owned()
}

async fn endless(mut respond: SendResponse<Bytes>) -> String {
    let Ok(mut stream) = respond.send_response(head_of(200), false) else { return "gone".to_owned() };
    loop {
        if push(&mut stream, Bytes::from_static(&[b'x'; 1024])).await.is_err() {
            return "reset".to_owned();
        }
        let reset = std::future::poll_fn(|cx| stream.poll_reset(cx));
        if let Ok(ended) = tokio::time::timeout(Duration::from_millis(20), reset).await {
            return format!("reset {ended:?}");
        }
    }
}
