//! A machine with Bulkhead installed as the package will: units, users, folders, a configuration, every listener enabled.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;

use common::process::Process;
use harness::backends::{Backend, websocket};
use harness::certificates::{self, Signed};
use harness::clients::{http, raw, tls, tunnel};
use harness::load::Doors;

use crate::machine::Machine;
use crate::unit_file;

/// The terminated site.
pub const WWW: &str = "www.test";
/// The one that is passed through.
pub const SECURE: &str = "secure.test";
/// Where TLS clients connect.
pub const HTTPS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 443);
/// Where clients of plain HTTP connect.
pub const HTTP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 80);
/// Where clients going out connect.
pub const PROXY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 3128);

/// Clients' doors, for a load.
pub fn doors(server: SocketAddr) -> Doors {
    Doors { https: HTTPS, http: HTTP, proxy: PROXY, www: WWW, secure: SECURE, server }
}

/// A machine, and what stands behind its proxy.
#[derive(Debug)]
pub struct World {
    /// Where the units run.
    pub machine: Machine,
    /// Plain HTTP.
    pub web: Backend,
    /// HTTPS, with a certificate of its own.
    pub secure: Backend,
    /// WebSocket, below /chat.
    pub chat: Backend,
    identity: Signed,
}

/// The unit of the first instance.
pub fn unit(process: Process) -> String {
    instance(process, 1)
}

/// `bulkhead-http-filter@2.service`
pub fn instance(process: Process, number: u32) -> String {
    format!("bulkhead-{process}@{number}.service")
}

impl World {
    /// Boots, installs, starts; this thread then lives in the machine's network. `None`: not on this machine.
    pub fn start(test: &str) -> Option<Self> {
        let world = Self::install(test)?;
        world.machine.systemctl(&["start", "bulkhead.target"]);
        for process in Process::ALL {
            world.machine.systemctl(&["start", &unit(process)]); // waits until it serves
        }
        Some(world)
    }

    /// Everything but the start.
    pub fn install(test: &str) -> Option<Self> {
        let machine = Machine::boot(test)?;
        machine.enter();
        for name in unit_file::names() {
            let text = fs::read_to_string(unit_file::folder().join(&name)).expect("systemd/ is there");
            machine.write(&format!("/usr/lib/systemd/system/{name}"), &text);
        }
        for folder in ["sysusers.d", "tmpfiles.d"] {
            let text = fs::read_to_string(unit_file::folder().join(folder).join("bulkhead.conf")).expect("in systemd/");
            machine.write(&format!("/usr/lib/{folder}/bulkhead.conf"), &text);
        }
        machine.run("systemd-sysusers", &["bulkhead.conf"]);
        machine.run("systemd-tmpfiles", &["--create", "bulkhead.conf"]);
        let identity = certificates::sign(&[SECURE]);
        let (web, secure) = (Backend::application(), Backend::tls_application(&identity));
        let chat = Backend::talking(websocket::talk);
        let world = Self { machine, web, secure, chat, identity };
        world.write_certificate(&certificates::sign(&[WWW]));
        world.configure("");
        world.machine.systemctl(&["daemon-reload"]);
        let listeners = ["bulkhead-https.socket", "bulkhead-http.socket", "bulkhead-proxy.socket"].map(str::to_owned);
        let services = Process::ALL.map(unit);
        let all: Vec<&str> = listeners.iter().chain(&services).map(String::as_str).collect();
        world.machine.systemctl(&[&["--quiet", "enable"], &all[..]].concat());
        Some(world)
    }

    /// The certificate of the terminated site; its key where only root and systemd may read.
    pub fn write_certificate(&self, signed: &Signed) {
        self.machine.write("/etc/bulkhead/www.pem", &signed.pem);
        let key = "/etc/bulkhead/secrets/tls-terminator/www.key";
        self.machine.write(key, &signed.key_pem);
        fs::set_permissions(self.machine.path(key), fs::Permissions::from_mode(0o600)).expect("our own file");
    }

    /// Writes the configuration, with further lines for http-filter.
    pub fn configure(&self, further: &str) {
        let (web, secure, chat) = (self.web.address(), self.secure.address(), self.chat.address());
        let text = format!(
            r#"
[sni-router]
connection_rate = 0 # the load is one address

[[sni-router.listen]]
name = "https"
address = ["0.0.0.0:443", "[::]:443"]
protocol = "tls"

[[sni-router.listen]]
name = "http"
address = ["0.0.0.0:80", "[::]:80"]
protocol = "http"

[[route]]
name = "terminated"
server_names = ["{WWW}"]
terminate = true

[[route]]
name = "passed-through"
server_names = ["{SECURE}"]
passthrough = "secure"

[passthrough-relay.outward]
allow = ["127.0.0.0/8"]

[[pool]]
name = "web"
servers = ["{web}"]

[[pool]]
name = "secure"
servers = ["{secure}"]

[[site]]
names = ["{WWW}"]
certificate = "www.pem"
key = "secrets/tls-terminator/www.key"

[[pool]]
name = "chat"
servers = ["{chat}"]

[[http-filter.route]]
name = "chat"
hosts = ["{WWW}"]
paths = ["/chat"]
pool = "chat"

[[http-filter.route]]
name = "www"
hosts = ["{WWW}"]
pool = "web"
{further}

[forward-proxy]
ports = [80, 443, {web_port}, {secure_port}]

[[forward-proxy.listen]]
name = "proxy"
address = "127.0.0.1:3128"
"#,
            web_port = web.port(),
            secure_port = secure.port(),
        );
        self.machine.write("/etc/bulkhead/bulkhead.toml", &text);
    }

    /// Every way through the proxy works: plain HTTP over both families, TLS 1.3 and 1.2, passthrough, CONNECT, absolute form.
    pub fn everything_serves(&self) {
        let families = [HTTP, (Ipv6Addr::LOCALHOST, 80).into()];
        let six = fs::read_to_string("/proc/thread-self/net/if_inet6").is_ok_and(|table| !table.is_empty());
        for address in families.into_iter().filter(|address| six || address.is_ipv4()) {
            let answer = http::get(&mut raw::connect(address), WWW, "/plain").expect("an answer");
            assert_eq!(answer.status, 200, "plain HTTP at {address}: {}", answer.head);
            assert!(answer.text().starts_with("GET /plain HTTP/1.1\r\n"), "the backend's own words: {}", answer.text());
        }
        for client in [tls::client(WWW), tls::client(WWW).tls12()] {
            let mut stream = client.connect(HTTPS).expect("a handshake");
            assert_eq!(http::get(&mut stream, WWW, "/").expect("an answer").status, 200, "{client:?}");
            tls::goodbye(stream);
        }
        let mut stream = tls::client(SECURE).connect(HTTPS).expect("a handshake");
        assert_eq!(tls::certificate(&stream), self.identity.der.as_ref(), "the backend's own certificate");
        assert_eq!(http::get(&mut stream, SECURE, "/").expect("an answer").status, 200, "passthrough");
        tls::goodbye(stream);
        let target = self.web.address().to_string();
        let mut stream = tunnel::open(PROXY, &target, "").expect("a tunnel");
        assert_eq!(http::get(&mut stream, &target, "/").expect("an answer").status, 200, "CONNECT");
        let request = format!("GET http://{target}/absolute HTTP/1.1\r\nHost: {target}\r\n\r\n");
        let answer = raw::ask(PROXY, request.as_bytes());
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "absolute form: {}", String::from_utf8_lossy(&answer));
    }

    /// Lets go of what backends have recorded, a descriptor for every connection.
    pub fn forget(&self) {
        self.web.forget();
        self.secure.forget();
    }

    /// The status of a plain request.
    pub fn status_of(&self, path: &str) -> u16 {
        http::get(&mut raw::connect(HTTP), WWW, path).expect("an answer").status
    }

    /// `bulkhead …` as root.
    pub fn bulkhead(&self, words: &[&str]) -> String {
        self.machine.run("/usr/lib/bulkhead/bulkhead", words)
    }
}
