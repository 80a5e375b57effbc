//! The real curl, trusting the test authority, with every name of a world resolved to it.

use std::process::Command;

use super::http::Answer;
use crate::World;

/// A curl command in the making.
#[derive(Debug)]
pub struct Curl {
    command: Command,
}

/// What came of it.
#[derive(Debug)]
pub struct Came {
    /// Last status; 0 = none.
    pub status: u16,
    /// `1.1` or `2`.
    pub version: String,
    /// curl's own exit code (35: TLS failed, 52: empty answer, 56: receive failed…).
    pub code: i32,
    /// The body.
    pub body: Vec<u8>,
    /// What curl complained about.
    pub complaint: String,
}

impl Came {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// `https://name/path` of a world, or `http://name/path`: the port is filled in.
pub fn curl(world: &World, scheme: &str, name: &str, path: &str) -> Curl {
    let address = if scheme == "https" { world.https() } else { world.http() };
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "30", "--noproxy", "*"]);
    command.args(["--write-out", "\n%{http_code} %{http_version}"]);
    command.arg("--cacert").arg(world.authority());
    command.arg("--resolve").arg(format!("{name}:{}:{}", address.port(), address.ip()));
    command.arg(format!("{scheme}://{name}:{}{path}", address.port()));
    Curl { command }
}

/// Through the forward proxy of a world.
pub fn through_proxy(world: &World, url: &str) -> Curl {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "30", "--noproxy", ""]);
    command.args(["--write-out", "\n%{http_code} %{http_version}"]);
    command.arg("--cacert").arg(world.authority());
    command.arg("--proxy").arg(format!("http://{}", world.proxy()));
    command.arg(url);
    Curl { command }
}

impl Curl {
    /// Further arguments.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Runs it.
    ///
    /// # Panics
    /// When there is no curl.
    pub fn run(mut self) -> Came {
        let output = self.command.output().expect("need() was asked for curl");
        let at = output.stdout.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        let tail = String::from_utf8_lossy(output.stdout.get(at + 1..).unwrap_or_default()).into_owned();
        let mut words = tail.split(' ');
        let status = words.next().and_then(|status| status.parse().ok()).unwrap_or(0);
        let version = words.next().unwrap_or_default().to_owned();
        Came {
            status,
            version,
            code: output.status.code().unwrap_or(-1),
            body: output.stdout[..at].to_vec(),
            complaint: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl From<Came> for Answer {
    fn from(came: Came) -> Self {
        Self { status: came.status, head: String::new(), body: came.body }
    }
}
