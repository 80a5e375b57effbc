//! What is where in one run of the demo: read by everything that prints, and by every check.

use crate::ports::Ports;
use rustls_pki_types::CertificateDer;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Where the example backends live: loopback, yet another address than Bulkhead's own listeners, so that the configuration
/// can open exactly this one to the forward proxy while 127.0.0.1 stays closed.
pub const BACKEND_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// One run.
#[derive(Debug, Clone)]
pub struct World {
    /// The folder.
    pub folder: PathBuf,
    /// Bulkhead's listeners.
    pub ports: Ports,
    /// The HTTP/1.1 backend.
    pub http_backend: SocketAddr,
    /// The HTTPS backend.
    pub https_backend: SocketAddr,
    /// The only authority our clients trust.
    pub ca: CertificateDer<'static>,
    /// The certificates in the order of [`crate::scenarios::Certificate`]: www, api, secure.
    pub leaves: [CertificateDer<'static>; 3],
}
