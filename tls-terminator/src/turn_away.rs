//! What is said to clients that are turned away, and about them: the alert before any TLS state exists, and log lines that strangers can
//! cause only every so often.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use rustix::net::RecvFlags;
use rustls::{CertificateError, Error, ServerConfig};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

use crate::ending::Failure;
use crate::handshake_rate::can_resume;
use crate::scratch;
use crate::seldom::Seldom;

/// `access_denied` (RFC 8446 §6.2: the sender decided not to proceed), fatal, as a record of its own.
const ACCESS_DENIED: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];
/// The same complaint at most so often.
const PAUSE: Duration = Duration::from_secs(10);

/// The complaints, each with its pause.
#[derive(Debug)]
pub struct Complaints {
    rate: Seldom,
    certificate: Seldom,
}

impl Default for Complaints {
    fn default() -> Self {
        Self { rate: Seldom::new(PAUSE), certificate: Seldom::new(PAUSE) }
    }
}

impl Complaints {
    /// A client was above `full_handshake_rate`.
    pub fn rate(&self, client: std::net::IpAddr) {
        if let Some(left_out) = self.rate.now() {
            tracing::warn!(%client, left_out, "refused: more full handshakes than full_handshake_rate allows its network");
        }
    }

    /// A handshake failed. Only what an administrator of the site's own authority should see is worth a line.
    pub fn certificate(
        &self,
        client: std::net::SocketAddr,
        name: Option<&str>,
        failure: &Failure,
        subject: Option<&str>,
    ) {
        if let Some(why) = of_certificate(failure)
            && let Some(left_out) = self.certificate.now()
        {
            tracing::warn!(%client, server_name = name, subject, left_out, "refused: client certificate: {why}");
        }
    }
}

/// Why a certificate that an authority of the site has signed was refused.
fn of_certificate(failure: &Failure) -> Option<&'static str> {
    let Failure::Tls(Error::InvalidCertificate(error)) = failure else { return None };
    match error {
        CertificateError::Revoked => Some("it is revoked"),
        CertificateError::UnknownRevocationStatus => Some("no list of its issuer says whether it is revoked"),
        CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
            Some("the revocation list of its issuer is out of date")
        }
        CertificateError::ApplicationVerificationFailure => Some("none of its names is in allowed_names"),
        _ => None,
    }
}

/// Whether the client's hello, which is whole and still unread, offers a session that can be resumed.
pub fn offers_session(client: &TcpStream, config: &ServerConfig) -> bool {
    scratch::borrow(|scratch| {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let Ok((read, _)) = rustix::net::recv(client, &mut *scratch.input, flags) else { return false };
        can_resume(scratch.input.get(..read).unwrap_or_default(), &*config.ticketer)
    })
}

/// Sends the alert, in the clear: nothing has been agreed on yet.
///
/// # Errors
/// The client is gone.
pub async fn deny(client: &mut TcpStream) -> io::Result<()> {
    let sent = std::future::poll_fn(|cx| Pin::new(&mut *client).poll_write(cx, &ACCESS_DENIED)).await?;
    if sent == ACCESS_DENIED.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}
