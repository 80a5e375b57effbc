//! Talks to `tests/oracle/modsecurity.py`, one JSON object per line.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// A process with the library in it.
pub struct Oracle {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// One rule that matched and was logged.
#[derive(Debug)]
pub struct Hit {
    pub id: u32,
    pub data: String,
}

/// Bytes as the oracle takes them: one character per byte.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

impl Oracle {
    /// Starts the oracle with these rules (`{"text": ..}` or `{"file": ..}`); nothing (and a message) if there is no library here.
    pub fn start(rules: &[Value]) -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/modsecurity.py");
        let started = Command::new("python3")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = started else {
            eprintln!("skipped: python3 is not installed");
            return None;
        };
        let (orders, answers) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
        let mut oracle = Self { child, orders, answers };
        let Some(answer) = oracle.ask(&json!({ "load": rules })) else {
            eprintln!("skipped: libmodsecurity is not installed");
            return None;
        };
        assert_eq!(answer["ok"], json!(true), "{answer}");
        eprintln!("oracle: {}", answer["library"]);
        Some(oracle)
    }

    /// The answer to one order; nothing if the process has ended.
    pub fn ask(&mut self, order: &Value) -> Option<Value> {
        writeln!(self.orders, "{order}").ok()?;
        self.orders.flush().ok()?;
        let mut line = String::new();
        self.answers.read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    }

    /// The rules that a request matches.
    pub fn hits(&mut self, request: &Value) -> Vec<Hit> {
        let answer = self.ask(request).expect("the oracle answers");
        let between = |line: &str, begin: &str, end: &str| {
            let from = line.find(begin)? + begin.len();
            Some(line[from..from + line[from..].find(end)?].to_owned())
        };
        let lines = answer["log"].as_array().expect("a list").iter().map(|line| line.as_str().expect("text"));
        lines
            .filter_map(|line| {
                let id = between(line, "[id \"", "\"]")?.parse().ok()?;
                Some(Hit { id, data: between(line, "[data \"", "\"] [severity")? })
            })
            .collect()
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
