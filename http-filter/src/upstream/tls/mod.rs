//! TLS to backends: one client configuration per pool, made from the contents of its files when the configuration is loaded, so that nothing is
//! opened later. The handshake runs here, over the socket that the relay dialled: the relay never sees what is said.
//!
//! The certificate is verified (chain, validity, name) against the authorities of `ca`, and nothing else is trusted then. Only
//! `verify = "insecure-none"` turns that off, see [`accept_any`].

mod accept_any;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use common::config::{Files, PoolTls, TlsVersion, Transport};
use common_http::upstream::{DialError, Endpoint};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use accept_any::AcceptAny;

/// ALPN protocols (RFC 7301 §6, RFC 9113 §3.2).
const H2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// Shakes hands with the servers of one pool.
#[derive(Clone)]
pub struct BackendTls {
    connector: TlsConnector,
    /// Where the server may choose: the one that offers nothing but HTTP/1.1.
    http1: Option<TlsConnector>,
    /// Instead of the server's host.
    name: Option<ServerName<'static>>,
    h2: bool,
    /// Contents of the files it was made from.
    files: Vec<Arc<[u8]>>,
}

impl fmt::Debug for BackendTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendTls").field("name", &self.name).field("h2", &self.h2).finish_non_exhaustive()
    }
}

impl BackendTls {
    /// The TLS of a pool, if it has any.
    ///
    /// # Errors
    /// One sentence that names the file.
    pub fn new(transport: &Transport, files: &Files) -> Result<Option<Self>, String> {
        let Some(tls) = &transport.tls else { return Ok(None) };
        let contents = contents(tls, files)?;
        let mut config = config(tls, files)?;
        let h2 = transport.h2.is_some();
        let or_http1 = transport.h2.is_some_and(|h2| h2.or_http1);
        let http1 = or_http1.then(|| {
            let mut config = config.clone();
            config.alpn_protocols = vec![HTTP1.to_vec()];
            TlsConnector::from(Arc::new(config))
        });
        config.alpn_protocols = match (h2, or_http1) {
            (true, true) => vec![H2.to_vec(), HTTP1.to_vec()],
            (true, false) => vec![H2.to_vec()],
            (false, _) => vec![HTTP1.to_vec()],
        };
        let name = tls.server_name.as_deref().map(server_name).transpose()?;
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Some(Self { connector, http1, name, h2, files: contents }))
    }

    /// Whether it would come out the same if it were made anew from the same keys.
    pub fn is_made_from(&self, tls: &PoolTls, files: &Files) -> bool {
        contents(tls, files).is_ok_and(|contents| contents == self.files)
    }

    /// Shakes hands, for HTTP/1.1 alone if `http1` says so and the server could choose. The caller keeps the deadline.
    ///
    /// # Errors
    /// Why there is no TLS with this server, in words.
    pub async fn shake_hands(
        &self,
        endpoint: &Endpoint,
        stream: TcpStream,
        http1: bool,
    ) -> Result<TlsStream<TcpStream>, DialError> {
        let connector = self.http1.as_ref().filter(|_| http1).unwrap_or(&self.connector);
        let name = match &self.name {
            Some(name) => name.clone(),
            None => server_name(&endpoint.host).map_err(DialError::Tls)?,
        };
        let stream = connector.connect(name, stream).await.map_err(|error| DialError::Tls(error.to_string()))?;
        let agreed = stream.get_ref().1.alpn_protocol();
        let (h2, or_http1) = (self.h2 && !(http1 && self.http1.is_some()), !self.h2 || self.http1.is_some());
        match agreed {
            Some(H2) if h2 => Ok(stream),
            None | Some(HTTP1) if or_http1 => Ok(stream),
            _ if or_http1 => Err(DialError::Tls("the server chose a protocol that was not offered".to_owned())),
            _ => Err(DialError::Tls("the server does not speak HTTP/2 (by ALPN)".to_owned())),
        }
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(ServerName::from(address));
    }
    ServerName::try_from(host.to_owned()).map_err(|_| format!("\"{host}\" is not a name a certificate can have"))
}

fn contents(tls: &PoolTls, files: &Files) -> Result<Vec<Arc<[u8]>>, String> {
    let client = tls.client.iter().flat_map(|(certificate, key)| [certificate, key]);
    tls.ca.iter().chain(client).map(|path| files.get(path).cloned()).collect()
}

fn config(tls: &PoolTls, files: &Files) -> Result<ClientConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions: &[&SupportedProtocolVersion] = match tls.min_version {
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(versions).map_err(|error| error.to_string())?;
    let builder = match &tls.ca {
        Some(ca) => builder.with_root_certificates(authorities(ca, files)?),
        None => builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny::new(&provider))),
    };
    match &tls.client {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let chain = CertificateDer::pem_slice_iter(files.get(certificate)?).collect::<Result<Vec<_>, _>>();
            let chain = chain.map_err(|error| format!("{}: {error}", certificate.display()))?;
            let own = PrivateKeyDer::from_pem_slice(files.get(key)?);
            let own = own.map_err(|error| format!("{}: no private key in PEM: {error}", key.display()))?;
            let fits = check_key(&provider, &chain, own.clone_key());
            fits.map_err(|error| format!("{} and {}: {error}", certificate.display(), key.display()))?;
            builder.with_client_auth_cert(chain, own).map_err(|error| format!("{}: {error}", certificate.display()))
        }
    }
}

/// A key that belongs to another certificate would be found out by the server only.
fn check_key(
    provider: &CryptoProvider,
    chain: &[CertificateDer<'static>],
    key: PrivateKeyDer<'static>,
) -> Result<(), String> {
    let key = provider.key_provider.load_private_key(key).map_err(|error| error.to_string())?;
    match rustls::sign::CertifiedKey::new(chain.to_vec(), key).keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(()),
        Err(error) => Err(format!("the key does not belong to the certificate: {error}")),
    }
}

fn authorities(ca: &std::path::Path, files: &Files) -> Result<RootCertStore, String> {
    let certificates = CertificateDer::pem_slice_iter(files.get(ca)?).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|error| format!("{}: {error}", ca.display()))?;
    let mut roots = RootCertStore::empty();
    // Bundles of systems hold a few that rustls does not take.
    let (taken, _) = roots.add_parsable_certificates(certificates);
    if taken == 0 {
        return Err(format!("{}: there is no certificate of an authority in it", ca.display()));
    }
    Ok(roots)
}
