//! Free loopback ports for Bulkhead's listeners.
//!
//! The kernel chooses (port 0), we hold the ports until Bulkhead is about to bind them and let go then. Somebody else can
//! still take one in between; [`crate::launch`] then starts again with others.

use std::io::Result;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

/// How often to look for a port that is free on both families.
const TRIES: usize = 32;

/// The ports of Bulkhead's three listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// TLS, on 127.0.0.1 and, if `ipv6`, on ::1.
    pub https: u16,
    /// Plain HTTP, on the same addresses.
    pub http: u16,
    /// The forward proxy, on 127.0.0.1.
    pub proxy: u16,
    /// This machine has an IPv6 loopback address.
    pub ipv6: bool,
}

/// Ports that are held; dropping this lets go of them.
#[derive(Debug)]
pub struct Held {
    ports: Ports,
    _listeners: Vec<TcpListener>,
}

impl Held {
    /// Finds three ports and holds them.
    ///
    /// # Errors
    /// When 127.0.0.1 cannot be bound at all, or no port was free on both families.
    pub fn find() -> Result<Self> {
        let ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
        let mut listeners = Vec::new();
        let https = both_families(ipv6, &mut listeners)?;
        let http = both_families(ipv6, &mut listeners)?;
        let proxy = both_families(false, &mut listeners)?;
        Ok(Self { ports: Ports { https, http, proxy, ipv6 }, _listeners: listeners })
    }

    /// Which ports these are.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.ports
    }
}

fn both_families(ipv6: bool, listeners: &mut Vec<TcpListener>) -> Result<u16> {
    let mut last = std::io::Error::other("no free port");
    for _ in 0..TRIES {
        let four = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = four.local_addr()?.port();
        if ipv6 {
            match TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
                Ok(six) => listeners.push(six),
                Err(error) => {
                    last = error;
                    continue;
                }
            }
        }
        listeners.push(four);
        return Ok(port);
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn held_until_dropped() {
        let held = Held::find().unwrap();
        let Ports { https, http, proxy, .. } = held.ports();
        assert!(https != http && http != proxy && proxy != https);
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, https)).is_err());
        drop(held);
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, https)).is_ok());
    }
}
