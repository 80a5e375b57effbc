//! A real program at a terminal: it is typed at, and what it prints is read while it runs.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use harness::clients::http::{Answer, read_answer};
use harness::{World, eventually};

/// How long a program may take to say what is waited for, in seconds.
const PATIENCE: u64 = 15;

/// A program that runs.
pub struct Program {
    child: Child,
    typed: Option<ChildStdin>,
    printed: Arc<Mutex<Vec<u8>>>,
    complained: Arc<Mutex<Vec<u8>>>,
    /// How much of what it printed was used.
    used: usize,
}

impl Program {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("need() was asked");
        let typed = child.stdin.take();
        let printed = follow(child.stdout.take().expect("piped"));
        let complained = follow(child.stderr.take().expect("piped"));
        Self { child, typed, printed, complained, used: 0 }
    }

    /// Types.
    pub fn send(&mut self, bytes: &[u8]) {
        let typed = self.typed.as_mut().expect("not ended");
        // A program that has ended already is found out by what it did not print.
        let _ = typed.write_all(bytes).and_then(|()| typed.flush());
    }

    /// Everything it has said, for messages and for looking.
    pub fn said(&self) -> String {
        let printed = self.printed.lock().expect("no panic inside").clone();
        let complained = self.complained.lock().expect("no panic inside").clone();
        format!("{}\n{}", String::from_utf8_lossy(&printed), String::from_utf8_lossy(&complained))
    }

    /// Waits until it has said this often enough, anywhere.
    pub fn wait_for(&mut self, words: &str, times: usize) {
        eventually(PATIENCE, &format!("the program says {words:?} {times} times: {}", self.short()), || {
            (self.said().matches(words).count() >= times).then_some(())
        });
    }

    /// Types a request and reads the answer to it.
    pub fn ask(&mut self, request: &[u8]) -> Answer {
        self.send(request);
        self.answer()
    }

    /// The next answer of HTTP/1.1 among what it prints.
    pub fn answer(&mut self) -> Answer {
        self.next("an HTTP answer", |new| {
            let at = new.windows(9).position(|window| window == b"HTTP/1.1 ")?;
            let mut rest = &new[at..];
            let answer = read_answer(&mut rest).ok()?;
            Some((answer, new.len() - rest.len()))
        })
    }

    /// Reads on: `find` is shown what is new and says how much of that it used.
    pub fn next<T>(&mut self, what: &str, find: impl Fn(&[u8]) -> Option<(T, usize)>) -> T {
        let (printed, from) = (Arc::clone(&self.printed), self.used);
        let end = std::time::Instant::now() + std::time::Duration::from_secs(PATIENCE);
        loop {
            let found = find(&printed.lock().expect("no panic inside")[from..]);
            if let Some((found, used)) = found {
                self.used = from + used;
                return found;
            }
            let late = std::time::Instant::now() > end;
            assert!(!late, "no {what} came: {}", self.short());
            thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// No more is typed; waits for its end.
    pub fn end(mut self) -> (ExitStatus, String) {
        drop(self.typed.take());
        let status = eventually(PATIENCE, "the program ends", || self.child.try_wait().expect("our child"));
        thread::sleep(std::time::Duration::from_millis(20));
        (status, self.said())
    }

    fn short(&self) -> String {
        let said = self.said();
        let from = said.char_indices().rev().nth(1500).map_or(0, |(at, _)| at);
        said[from..].to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn follow(mut stream: impl Read + Send + 'static) -> Arc<Mutex<Vec<u8>>> {
    let all = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&all);
    thread::spawn(move || {
        let mut buffer = [0; 32 * 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            kept.lock().expect("no panic inside").extend_from_slice(&buffer[..count]);
        }
    });
    all
}

/// `openssl s_client` against a world, the certificate verified.
pub fn openssl(world: &World, arguments: &[&str]) -> Program {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &world.https().to_string(), "-verify_return_error", "-CAfile"]);
    command.arg(world.authority()).args(arguments);
    Program::start(&mut command)
}

/// `gnutls-cli` against a world, the certificate verified.
pub fn gnutls(world: &World, name: &str, priorities: &str, arguments: &[&str]) -> Program {
    let address = world.https();
    let mut command = Command::new("gnutls-cli");
    command.args(["--port", &address.port().to_string(), "--priority", priorities]);
    command.arg(format!("--x509cafile={}", path(&world.authority())));
    command.arg(format!("--verify-hostname={name}"));
    command.args(arguments).arg(address.ip().to_string());
    Program::start(&mut command)
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
