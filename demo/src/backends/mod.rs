//! The two example backends, inside the demo's own process: one HTTP/1.1, one HTTPS with h1 and h2 and a certificate of its
//! own. They stand for the applications behind a proxy and say what they saw, so that what Bulkhead did becomes visible.
//!
//! accept (here) → [`answer`] → [`slow`]

mod answer;
mod slow;

use crate::certificates::Signed;
use crate::world::BACKEND_ADDRESS;
use answer::Backend;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use std::io::{Error, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// How long a client may take for a TLS handshake, and for the head of a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections served at a time by each backend; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 512;
/// Pause after a failed accept (for lack of descriptors, as a rule).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Both backends; they stop when this is dropped.
#[derive(Debug)]
pub struct Backends {
    /// Where the HTTP/1.1 one listens.
    pub http: SocketAddr,
    /// Where the HTTPS one listens.
    pub https: SocketAddr,
    tasks: JoinSet<()>,
}

impl Backends {
    /// Starts both on ports the kernel chooses. `identity` is the HTTPS one's certificate.
    ///
    /// # Errors
    /// When the address cannot be bound or the certificate not used.
    pub async fn start(identity: &Signed) -> Result<Self> {
        let acceptor = acceptor(identity).map_err(Error::other)?;
        let http = TcpListener::bind((BACKEND_ADDRESS, 0)).await?;
        let https = TcpListener::bind((BACKEND_ADDRESS, 0)).await?;
        let mut backends = Self { http: http.local_addr()?, https: https.local_addr()?, tasks: JoinSet::new() };
        backends.tasks.spawn(listen(http, serve_plain));
        backends.tasks.spawn(listen(https, move |stream, peer| serve_tls(acceptor.clone(), stream, peer)));
        Ok(backends)
    }
}

fn acceptor(identity: &Signed) -> std::result::Result<TlsAcceptor, Box<dyn std::error::Error + Send + Sync>> {
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![identity.der.clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config).into())
}

/// Accepts for ever; at most [`MAX_CONNECTIONS`] at a time.
async fn listen<F>(listener: TcpListener, serve: impl Fn(TcpStream, SocketAddr) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Dropped with this future, and all connections with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                let served = serve(stream, peer);
                connections.spawn(async move {
                    served.await;
                    drop(permit);
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve_plain(stream: TcpStream, peer: SocketAddr) {
    serve_h1(stream, Backend::Http, peer).await;
}

async fn serve_tls(acceptor: TlsAcceptor, stream: TcpStream, peer: SocketAddr) {
    let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await else { return };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        let service = service_fn(move |request| answer::answer(Backend::Https, peer, request));
        let mut server = http2::Builder::new(TokioExecutor::new());
        // How it ends is the client's business.
        let _ = server.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
    } else {
        serve_h1(stream, Backend::Https, peer).await;
    }
}

async fn serve_h1(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, backend: Backend, peer: SocketAddr) {
    let service = service_fn(move |request| answer::answer(backend, peer, request));
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(PATIENCE).half_close(true);
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}
