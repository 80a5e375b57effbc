//! Clients with addresses of their own: all of 127.0.0.0/8 is this machine, so one test can be many clients.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

use super::PATIENCE;

/// The client of that number, from 127.64.0.1 on.
///
/// # Panics
/// Above four million.
pub fn client_address(number: u32) -> Ipv4Addr {
    assert!(number < 1 << 22, "more clients than addresses");
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 64, 0, 1).to_bits() + number)
}

/// Connects from this address, with the usual patience for every read.
///
/// # Errors
/// When the connection is refused, or there are no descriptors left.
pub fn connect_from(source: Ipv4Addr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddrV4::new(source, 0))?;
    connect(&socket, &address)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}
