//! From a scenario to its answer: connect, shake hands or open a tunnel, send the request.

use super::exchange::{self, Upload, body};
use super::got::Got;
use super::{tls, tunnel};
use crate::scenarios::{Ask, Ip, Login, Road, Scenario, Target};
use crate::world::World;
use http::uri::Authority;
use hyper::header::HOST;
use hyper::{Method, Request, Uri};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Inside a tunnel our client offers both.
const INSIDE_ALPN: &[&str] = &["h2", "http/1.1"];

/// Sends the scenario's request the way it says.
///
/// # Errors
/// What ended it before there was an answer: it may well be what was expected.
pub async fn travel(scenario: &Scenario, world: &World) -> Result<Got, Box<Got>> {
    let ask = &scenario.ask;
    match scenario.road {
        Road::Tls { server_name, alpn, ip } => {
            let stream = connect(address(ip, world.ports.https)).await?;
            let host = authority(ask.host.or(server_name), ip, world.ports.https);
            over_tls(stream, server_name, ip, alpn, &host, ask, world).await
        }
        Road::Plain => plain(world.ports.http, ask).await,
        Road::PlainOnTls => plain(world.ports.https, ask).await,
        Road::Tunnel { to, login, tls } => {
            let mut stream = connect(address(Ip::V4, world.ports.proxy)).await?;
            let target = to.text(world);
            tunnel::open(&mut stream, &target, login).await?;
            match tls {
                Some(name) => over_tls(stream, Some(name), Ip::V4, INSIDE_ALPN, name, ask, world).await,
                None => exchange::h1(stream, origin_form(ask, &target)?).await,
            }
        }
        Road::Absolute { to, login } => absolute(to, login, ask, world).await,
    }
}

async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn address(ip: Ip, port: u16) -> SocketAddr {
    match ip {
        Ip::V4 => (Ipv4Addr::LOCALHOST, port).into(),
        Ip::V6 => (Ipv6Addr::LOCALHOST, port).into(),
    }
}

/// What a client writes into Host: the name, or the address when it has none, and the port because it is no usual one.
fn authority(name: Option<&str>, ip: Ip, port: u16) -> String {
    name.map_or_else(|| address(ip, port).to_string(), |name| format!("{name}:{port}"))
}

async fn over_tls<S>(
    stream: S,
    server_name: Option<&'static str>,
    ip: Ip,
    alpn: &[&str],
    host: &str,
    ask: &Ask,
    world: &World,
) -> Result<Got, Box<Got>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (stream, agreed) = tls::connect(stream, server_name, ip, alpn, world).await?;
    let answer = if agreed.alpn == "h2" {
        exchange::h2(stream, with_authority(ask, host)?).await
    } else {
        exchange::h1(stream, origin_form(ask, host)?).await
    };
    // What the handshake agreed on is worth knowing even if the exchange failed.
    match answer {
        Ok(got) => Ok(Got { alpn: Some(agreed.alpn), certificate: agreed.certificate, ..got }),
        Err(got) => Err(Box::new(Got { alpn: Some(agreed.alpn), certificate: agreed.certificate, ..*got })),
    }
}

async fn plain(port: u16, ask: &Ask) -> Result<Got, Box<Got>> {
    let stream = connect(address(Ip::V4, port)).await?;
    exchange::h1(stream, origin_form(ask, &authority(ask.host, Ip::V4, port))?).await
}

async fn absolute(to: Target, login: Login, ask: &Ask, world: &World) -> Result<Got, Box<Got>> {
    let stream = connect(address(Ip::V4, world.ports.proxy)).await?;
    let target = to.text(world);
    let uri = Uri::builder().scheme("http").authority(target.as_str()).path_and_query(ask.path).build()?;
    let mut request = start(ask).uri(uri).header(HOST, target);
    if let Some(login) = login.header() {
        request = request.header("proxy-authorization", login);
    }
    exchange::h1(stream, request.body(body(ask))?).await
}

fn start(ask: &Ask) -> http::request::Builder {
    let sends = ask.upload > 0 || !ask.form.is_empty();
    let method = if sends { Method::POST } else { Method::GET };
    let mut request = Request::builder().method(method).header("user-agent", "bulkhead-demo");
    if !ask.form.is_empty() {
        request = request.header("content-type", "application/x-www-form-urlencoded");
    }
    ask.headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

/// RFC 9112 §3.2.1.
fn origin_form(ask: &Ask, host: &str) -> http::Result<Request<Upload>> {
    start(ask).uri(ask.path).header(HOST, host).body(body(ask))
}

/// RFC 9113 §8.3.1: the host is `:authority`.
fn with_authority(ask: &Ask, host: &str) -> http::Result<Request<Upload>> {
    let host: Authority = host.parse()?;
    let uri = Uri::builder().scheme("https").authority(host).path_and_query(ask.path).build()?;
    start(ask).uri(uri).body(body(ask))
}
