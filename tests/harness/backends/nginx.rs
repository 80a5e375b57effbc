//! A real nginx as a backend: HTTP/1.1 on one port, HTTPS with HTTP/2 on another, both on [`super::ADDRESS`].
//!
//! `/` says what it saw (method, host, `X-Forwarded-*`, protocol), `/file` is a 3 MiB file of the known pattern.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::application::pattern_of;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{ADDRESS, application};
use crate::certificates::Signed;
use crate::limits::eventually;
use crate::{folder, needs};

/// Length of `/file` in bytes.
pub const FILE: usize = 3 << 20;

/// A running nginx, stopped when dropped.
#[derive(Debug)]
pub struct Nginx {
    /// HTTP/1.1.
    pub http: SocketAddr,
    /// HTTPS, h1 and h2.
    pub https: SocketAddr,
    child: Child,
    folder: tempfile::TempDir,
}

impl Nginx {
    /// Starts it; ask [`crate::need`] for `nginx` first.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start(identity: &Signed) -> Self {
        Self::with(identity, " http2")
    }

    /// One that knows no HTTP/2.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn without_http2(identity: &Signed) -> Self {
        Self::with(identity, "")
    }

    fn with(identity: &Signed, http2: &str) -> Self {
        let folder = folder::temporary();
        let root = folder.path();
        std::fs::write(root.join("file"), pattern_of(FILE)).expect("our own folder");
        std::fs::write(root.join("nginx.pem"), &identity.pem).expect("our own folder");
        folder::write_private(&root.join("nginx.key"), &identity.key_pem);
        let (http, https) = (free(), free());
        std::fs::write(root.join("nginx.conf"), configuration(&root.display().to_string(), http, https, http2))
            .expect("our own folder");
        let nginx = Self { http, https, child: spawn(root), folder };
        nginx.wait();
        nginx
    }

    fn wait(&self) {
        eventually(10, "nginx answers", || {
            let up = |address| TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok();
            (up(self.http) && up(self.https)).then_some(())
        });
    }

    /// Sends it a signal: `SIGSTOP` makes it hang, `SIGCONT` goes on.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        kill(pid, signal).expect("our own process");
    }

    /// `kill -9`; its ports refuse connections afterwards.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again on the same ports.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.folder.path());
        self.wait();
    }

    /// One line per request it has served: `protocol request-line status`.
    pub fn access_log(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The same, as soon as it has so many lines: nginx writes a line after the client has the whole answer.
    pub fn access_log_of(&self, lines: usize) -> Vec<String> {
        eventually(10, &format!("{lines} lines in nginx's access log"), || {
            Some(self.access_log()).filter(|log| log.len() >= lines)
        })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(root: &Path) -> Child {
    let program = needs::find("nginx").expect("need() was asked");
    let mut command = Command::new(program);
    command.arg("-p").arg(root).arg("-e").arg(root.join("error.log")).arg("-c").arg(root.join("nginx.conf"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("nginx can be started")
}

fn free() -> SocketAddr {
    TcpListener::bind((ADDRESS, 0)).and_then(|listener| listener.local_addr()).expect("a loopback address")
}

fn configuration(root: &str, http: SocketAddr, https: SocketAddr, http2: &str) -> String {
    // A sanity check that the pattern nginx serves is the one clients expect.
    debug_assert_eq!(application::pattern(251), 0);
    format!(
        r#"
daemon off;
master_process off;
pid {root}/nginx.pid;
error_log {root}/error.log;
events {{ worker_connections 1024; }}
http {{
    log_format line '$server_protocol "$request" $status';
    access_log {root}/access.log line;
    client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
    client_max_body_size 64m;
    default_type text/plain;
    server {{
        listen {http};
        listen {https} ssl{http2};
        ssl_certificate {root}/nginx.pem;
        ssl_certificate_key {root}/nginx.key;
        location = /file {{ root {root}; }}
        location / {{ return 200 "method=$request_method host=$http_host proto=$server_protocol for=$http_x_forwarded_for scheme=$http_x_forwarded_proto via=$http_via\n"; }}
    }}
}}
"#
    )
}
