//! What several tests need.

use crate::ports::Ports;
use crate::world::World;

/// A world in which nothing runs.
pub fn world() -> World {
    let leaf = |byte: u8| rustls_pki_types::CertificateDer::from(vec![byte]);
    World {
        folder: "/tmp/bulkhead-demo-test".into(),
        ports: Ports { https: 40_443, http: 40_080, proxy: 43_128, ipv6: true },
        http_backend: ([127, 0, 0, 2], 41_080).into(),
        https_backend: ([127, 0, 0, 2], 41_443).into(),
        ca: leaf(0),
        leaves: [leaf(1), leaf(2), leaf(3)],
    }
}
