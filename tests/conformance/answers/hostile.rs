//! The hostile backend, and the client that asks it: in lanes, each with a pool of its own, so that within a lane one thing happens
//! after the other and a poisoned backend connection is the one that the next request is sent on.

use std::collections::HashSet;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use harness::backends::{Backend, Talk};
use harness::eventually;

use super::{Came, Case, Must, Then, over_h2};
use crate::answer::Answer;
use crate::recorder::{self, mark};
use crate::report::Report;
use crate::run::{Seen, in_parallel, read_answers};

/// How long a connection has been idle before its backend says more.
const LATER: Duration = Duration::from_millis(30);
/// Between two pieces of an answer.
const BETWEEN: Duration = Duration::from_millis(2);
/// Longest silence before a case counts as not answered.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// The cases, and which backends have already said all that they have to say.
#[derive(Debug)]
pub struct Stage {
    /// All cases.
    pub cases: Vec<Case>,
    said: Mutex<HashSet<usize>>,
}

impl Stage {
    /// Nothing said yet.
    pub fn new(cases: Vec<Case>) -> Arc<Self> {
        Arc::new(Self { cases, said: Mutex::default() })
    }

    /// Waits until what a backend says later has been said: then it lies in Bulkhead's socket, whether it has been looked at or not.
    pub fn wait_for_later(&self, number: usize) {
        if matches!(self.cases[number].then, Then::Late(_)) {
            eventually(10, "the backend says more", || {
                self.said.lock().expect("no panic inside").get(&number).copied()
            });
        }
    }
}

/// A backend that answers `/case-…` with that case, in so many pieces, and everything else decently.
pub fn backend(stage: &Arc<Stage>, pieces: usize) -> Backend {
    let stage = Arc::clone(stage);
    Backend::talking(move |mut talk| {
        loop {
            serve(&mut talk, &stage, pieces)?;
        }
    })
}

fn serve(talk: &mut Talk, stage: &Stage, pieces: usize) -> io::Result<()> {
    let (head, _) = recorder::read_request(talk)?;
    let target = head.split(' ').nth(1).unwrap_or_default();
    let number = target.strip_prefix("/case-mk").and_then(|number| number.parse::<usize>().ok());
    let Some((number, case)) = number.and_then(|number| Some((number, stage.cases.get(number)?))) else {
        let body = format!("{target}\n");
        return talk.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    };
    for (number, piece) in case.bytes.chunks(case.bytes.len().div_ceil(pieces).max(1)).enumerate() {
        if number > 0 {
            thread::sleep(BETWEEN);
        }
        talk.say(piece)?;
    }
    match &case.then {
        Then::Close => Err(io::ErrorKind::ConnectionAborted.into()),
        Then::Open => Ok(()),
        Then::Late(more) => {
            thread::sleep(LATER);
            talk.say(more)?;
            stage.said.lock().expect("no panic inside").insert(number);
            Ok(())
        }
    }
}

/// How the client reaches Bulkhead.
#[derive(Debug, Clone, Copy)]
pub enum Client {
    /// HTTP/1.1 on the plain port.
    Http1(SocketAddr),
    /// HTTP/2 in TLS.
    Http2(SocketAddr),
}

/// Asks for every case, `lanes` at once; `host` is the name that leads to a lane's pool.
pub fn run(stage: &Stage, lanes: usize, client: Client, host: impl Fn(usize) -> String + Sync) -> Report {
    let cases = &stage.cases;
    let numbers: Vec<Vec<usize>> = (0..lanes).map(|lane| (lane..cases.len()).step_by(lanes).collect()).collect();
    let verdicts = in_parallel(lanes, &numbers, |lane, numbers| {
        let host = host(lane);
        let one = |number: &usize| {
            let verdict = match client {
                Client::Http1(address) => ask(stage, *number, address, &host),
                Client::Http2(address) => over_h2::ask(stage, *number, address, &host),
            };
            (*number, verdict)
        };
        numbers.iter().map(one).collect::<Vec<_>>()
    });
    let mut report = Report::default();
    for (number, verdict) in verdicts.into_iter().flatten() {
        let (group, name) = cases[number].group();
        report.note(group, name, matches!(cases[number].must, Must::Passed(_)), verdict);
    }
    report
}

/// One case, and two requests behind it that must get their own answers.
fn ask(stage: &Stage, number: usize, address: SocketAddr, host: &str) -> Result<(), String> {
    let case = &stage.cases[number];
    let mut stream = connect(address);
    let body = if case.method == "POST" { ("Content-Length: 3\r\n", "abc") } else { ("", "") };
    let mark = mark(number);
    let asks = case.asks;
    let request = format!("{} /case-{mark} HTTP/1.1\r\nHost: {host}\r\n{asks}{}\r\n{}", case.method, body.0, body.1);
    let _ = stream.write_all(request.as_bytes());
    let seen = read_answers(&mut stream, &[case.method]);
    let verdict = judge(&case.must, &seen);
    stage.wait_for_later(number);
    let kept = !seen.ended && seen.wrong.is_none() && !closes(&seen);
    let mut again = if kept { stream } else { connect(address) };
    for round in 1..=2 {
        let target = format!("/after-{mark}-{round}");
        let _ = again.write_all(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        let seen = read_answers(&mut again, &["GET"]);
        let own =
            seen.answers.first().is_some_and(|answer| answer.status == 200 && answer.text() == format!("{target}\n"));
        if !own {
            let got = seen.answers.first().map(|answer| (answer.status, answer.text()));
            return Err(format!(
                "request {round} behind it (connection kept: {kept}) got {got:?} {:?}; {verdict:?}",
                seen.wrong
            ));
        }
    }
    verdict
}

fn closes(seen: &Seen) -> bool {
    let closes = |answer: &Answer| answer.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    seen.answers.last().is_none_or(closes)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("Bulkhead listens");
    stream.set_nodelay(true).expect("a TCP socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("a TCP socket");
    stream
}

fn judge(must: &Must, seen: &Seen) -> Result<(), String> {
    if let Some(wrong) = &seen.wrong {
        return Err(format!("the client cannot read it: {wrong}"));
    }
    let gateway = match &seen.answers[..] {
        [answer] if matches!(answer.status, 502 | 504) && !answer.until_close => Ok(()),
        [answer] => Err(format!("answered {} {:?}", answer.status, answer.text())),
        _ => Err(format!("no answer, {:?}", seen.cut)),
    };
    let stopped = match (&gateway, &seen.cut) {
        // With a head: a client that is sent nothing at all would ask again.
        (Err(_), Some(Some(_))) if seen.answers.is_empty() && seen.ended => Ok(()),
        _ => gateway.clone(),
    };
    match must {
        Must::BadGateway => gateway,
        Must::Stopped => stopped,
        Must::Passed(came) => passed(came, seen),
        Must::PassedOrStopped(came) => stopped.or_else(|_| passed(came, seen)),
    }
}

/// Fields that only frame, or that we write.
const FRAMING: [&str; 4] = ["content-length", "transfer-encoding", "connection", "date"];

fn passed(came: &Came, seen: &Seen) -> Result<(), String> {
    let [answer] = &seen.answers[..] else { return Err(format!("no answer, {:?}", seen.cut)) };
    let fields: Vec<&(String, String)> =
        answer.fields.iter().filter(|(name, _)| !FRAMING.contains(&name.as_str())).collect();
    let same =
        answer.status == came.status && fields == came.fields.iter().collect::<Vec<_>>() && answer.body == came.body;
    let got = || format!("came as {} {fields:?} {:?} instead of {came:?}", answer.status, answer.text());
    if same { Ok(()) } else { Err(got()) }
}
