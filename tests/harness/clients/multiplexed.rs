//! An HTTP/2 client by the `h2` crate: many streams, bodies in both directions at once, trailers, resets, extended CONNECT.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use rustls::pki_types::ServerName;
use tokio::task::LocalSet;

use crate::certificates;

/// A connection.
#[derive(Debug, Clone)]
pub struct Client {
    sender: SendRequest<Bytes>,
    name: String,
}

/// Connects with TLS to `address` as `name`, and runs `talk` on the connection.
///
/// # Panics
/// When the server does not speak HTTP/2.
pub fn run<T>(address: SocketAddr, name: &str, talk: impl AsyncFnOnce(Client) -> T) -> T {
    try_run(address, name, talk).expect("a connection with HTTP/2")
}

/// The same where the connection may fail.
///
/// # Errors
/// Why there is none.
///
/// # Panics
/// When the test's own material is broken.
pub fn try_run<T>(address: SocketAddr, name: &str, talk: impl AsyncFnOnce(Client) -> T) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async move {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificates::authority_der()).expect("our own authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = config.expect("versions of rustls").with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = tokio::net::TcpStream::connect(address).await?;
        let host = ServerName::try_from(name.to_owned()).expect("a name");
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = connector.connect(host, stream).await?;
        let (sender, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
        let driver = tokio::task::spawn_local(connection);
        let result = talk(Client { sender, name: name.to_owned() }).await;
        driver.abort();
        Ok(result)
    })
}

/// An answer read to its end.
#[derive(Debug)]
pub struct Whole {
    /// Status and fields.
    pub head: Response<()>,
    /// Body.
    pub body: Vec<u8>,
    /// Trailers, if there were any.
    pub trailers: Option<HeaderMap>,
}

impl Client {
    /// A request to this path.
    pub fn request(&self, method: &str, path: &str) -> Request<()> {
        let uri = format!("https://{}{path}", self.name);
        Request::builder().method(method).uri(uri).body(()).expect("a request")
    }

    /// Opens a stream; `end`: without body.
    ///
    /// # Panics
    /// When the connection is gone.
    pub async fn open(&self, request: Request<()>, end: bool) -> (ResponseFuture, SendStream<Bytes>) {
        self.try_open(request, end).await.expect("a living connection and a valid request")
    }

    async fn try_open(
        &self,
        request: Request<()>,
        end: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        self.sender.clone().ready().await?.send_request(request, end)
    }

    /// Asks without a body.
    ///
    /// # Errors
    /// How the stream was broken off.
    pub async fn get(&self, path: &str) -> Result<Whole, h2::Error> {
        let (response, _) = self.try_open(self.request("GET", path), true).await?;
        whole(response.await?).await
    }

    /// Asks with a body and, if there are any, trailers.
    ///
    /// # Errors
    /// How the stream was broken off.
    pub async fn post(
        &self,
        request: Request<()>,
        body: &[u8],
        trailers: Option<HeaderMap>,
    ) -> Result<Whole, h2::Error> {
        let (response, mut stream) = self.try_open(request, false).await?;
        stream.send_data(Bytes::copy_from_slice(body), trailers.is_none())?;
        if let Some(trailers) = trailers {
            stream.send_trailers(trailers)?;
        }
        whole(response.await?).await
    }

    /// Whether the server takes extended CONNECT (RFC 8441), asked for at most two seconds.
    pub async fn takes_extended_connect(&self) -> bool {
        for _ in 0..200 {
            if self.sender.is_extended_connect_protocol_enabled() {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        false
    }
}

/// Whether the server has said GOAWAY without a fault, or refused the stream before it began with it: then it may be asked again
/// (RFC 9113 §8.7).
pub fn was_told_to_go(error: &h2::Error) -> bool {
    let gone = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
    gone || error.reason() == Some(h2::Reason::REFUSED_STREAM)
}

/// Reads to the end.
///
/// # Errors
/// How the stream was broken off.
pub async fn whole(response: Response<RecvStream>) -> Result<Whole, h2::Error> {
    let (parts, mut incoming) = response.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = incoming.data().await {
        let piece = piece?;
        incoming.flow_control().release_capacity(piece.len())?;
        body.extend_from_slice(&piece);
    }
    let trailers = incoming.trailers().await?;
    Ok(Whole { head: Response::from_parts(parts, ()), body, trailers })
}

/// The next piece of a body.
///
/// # Errors
/// How the stream was broken off.
pub async fn piece(incoming: &mut RecvStream) -> Result<Option<Bytes>, h2::Error> {
    while let Some(piece) = incoming.data().await.transpose()? {
        incoming.flow_control().release_capacity(piece.len())?;
        if !piece.is_empty() {
            return Ok(Some(piece));
        }
    }
    Ok(None)
}
