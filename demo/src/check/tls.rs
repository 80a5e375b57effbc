//! A TLS client that trusts the demo's authority and nothing else.

use super::got::Got;
use crate::scenarios::Ip;
use crate::world::World;
use rustls_pki_types::{CertificateDer, IpAddr, ServerName};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What the handshake agreed on.
#[derive(Debug)]
pub struct Agreed {
    /// The protocol, `""` for none.
    pub alpn: String,
    /// The server's certificate, already found valid for the name asked for.
    pub certificate: Option<CertificateDer<'static>>,
}

/// Shakes hands over `stream`, a connection to `ip`. Without a name no SNI extension is sent.
///
/// # Errors
/// An alert, a certificate that is not valid for the name, or a connection that ends.
pub async fn connect<S>(
    stream: S,
    server_name: Option<&'static str>,
    ip: Ip,
    alpn: &[&str],
    world: &World,
) -> Result<(TlsStream<S>, Agreed), Box<Got>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = match server_name {
        Some(name) => ServerName::try_from(name).map_err(|error| Box::new(Got::error(error.to_string())))?,
        None => ServerName::IpAddress(match ip {
            Ip::V4 => IpAddr::V4(Ipv4Addr::LOCALHOST.into()),
            Ip::V6 => IpAddr::V6(Ipv6Addr::LOCALHOST.into()),
        }),
    };
    let config = config(world, alpn).map_err(|error| Box::new(Got::error(error.to_string())))?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let session = stream.get_ref().1;
    let agreed = Agreed {
        alpn: String::from_utf8_lossy(session.alpn_protocol().unwrap_or_default()).into_owned(),
        certificate: session.peer_certificates().and_then(|chain| chain.first()).cloned(),
    };
    Ok((stream, agreed))
}

fn config(world: &World, alpn: &[&str]) -> Result<rustls::ClientConfig, rustls::Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(world.ca.clone())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
}
