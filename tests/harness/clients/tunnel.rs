//! CONNECT through the forward proxy.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use super::http::{Answer, read_answer, read_head};
use super::raw;

/// Asks the proxy for a tunnel to `target`, with further header lines (each with CR LF).
///
/// # Errors
/// The proxy's answer, when it is not 2xx.
///
/// # Panics
/// When the proxy does not answer.
pub fn open(proxy: SocketAddr, target: &str, headers: &str) -> Result<TcpStream, Box<Answer>> {
    over(raw::connect(proxy), target, headers)
}

/// The same over a connection to the proxy.
///
/// # Errors
/// The proxy's answer, when it is not 2xx.
///
/// # Panics
/// When the proxy does not answer.
pub fn over(mut stream: TcpStream, target: &str, headers: &str) -> Result<TcpStream, Box<Answer>> {
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).expect("the proxy reads");
    let head = read_head(&mut stream).expect("the proxy answers");
    if head.starts_with("HTTP/1.1 2") {
        return Ok(stream);
    }
    // The body again from a stream that begins with the head we have read.
    let mut whole = std::io::Read::chain(head.as_bytes(), &mut stream);
    Err(Box::new(read_answer(&mut whole).expect("an answer with a body")))
}
