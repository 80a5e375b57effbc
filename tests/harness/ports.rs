//! Free loopback ports. The kernel chooses (port 0); we hold each until whoever is to have it is about to bind it. Somebody
//! else can still take it in between: [`crate::world`] then starts again with others.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::OnceLock;

/// Whether this machine has an IPv6 loopback address.
pub fn ipv6() -> bool {
    static IPV6: OnceLock<bool> = OnceLock::new();
    *IPV6.get_or_init(|| TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok())
}

/// A port that is held on 127.0.0.1 and ::1 until this is dropped.
#[derive(Debug)]
pub struct Held {
    /// Which one.
    pub port: u16,
    _listeners: Vec<TcpListener>,
}

/// Finds one and holds it.
pub fn hold() -> Held {
    for _ in 0..64 {
        let four = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("127.0.0.1 can be bound");
        let port = four.local_addr().expect("a bound socket").port();
        if !ipv6() {
            return Held { port, _listeners: vec![four] };
        }
        if let Ok(six) = TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
            return Held { port, _listeners: vec![four, six] };
        }
    }
    panic!("no port is free on both 127.0.0.1 and ::1");
}
