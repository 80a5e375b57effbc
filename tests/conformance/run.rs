//! Runs cases, many at once: sends the bytes of each with an ordinary request behind them, reads what comes with the strict reader, and
//! then judges both sides.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use harness::backends::strict::Request;
use harness::clients::tls;

use crate::answer::{self, Answer, Read as Parsed};
use crate::case::{Case, Must, Sent};
use crate::recorder::{Record, mark};
use crate::report::Report;

/// Connections at once.
const LANES: usize = 32;
/// Longest silence before a case counts as neither answered nor closed.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long an incomplete request is left alone before our direction ends.
const PAUSE: Duration = Duration::from_millis(150);

/// Between two pieces.
const BETWEEN: Duration = Duration::from_millis(2);

/// How a client reaches the port.
#[derive(Debug, Clone, Copy)]
pub enum Over {
    /// Plain TCP.
    Tcp(SocketAddr),
    /// TLS with ALPN `http/1.1`.
    Tls(SocketAddr),
    /// The forward proxy, and the server that is asked for.
    Proxy(SocketAddr, SocketAddr),
}

impl Over {
    /// Where the client connects to.
    fn local(self) -> SocketAddr {
        let (Self::Tcp(local) | Self::Tls(local) | Self::Proxy(local, _)) = self;
        local
    }

    /// The bytes as this way needs them: a forward proxy is asked in absolute form.
    fn adapt(self, mut bytes: Vec<u8>) -> Vec<u8> {
        if let (Self::Proxy(_, server), Some(at)) = (self, answer::find(&bytes, b" /")) {
            bytes.splice(at + 1..at + 1, format!("http://{server}").into_bytes());
        }
        bytes
    }
}

/// How a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Everything at once.
    AtOnce,
    /// In segments of their own: how the bytes are cut must not change what they mean.
    InPieces,
    /// Behind an ordinary request on the same connection, which must be served all the same, and first.
    Behind,
}

/// What a client saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Final answers.
    pub answers: Vec<Answer>,
    /// The last answer was cut off.
    pub cut: Option<Option<Answer>>,
    /// The other side ended the connection.
    pub ended: bool,
    /// What a strict client could not read.
    pub wrong: Option<String>,
}

/// Runs `jobs` on many threads; results in order.
pub fn in_parallel<T: Sync, R: Send>(lanes: usize, jobs: &[T], run: impl Fn(usize, &T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<R>>> = Mutex::new(jobs.iter().map(|_| None).collect());
    thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                while let (number, Some(job)) = next_of(&next, jobs) {
                    let result = run(number, job);
                    results.lock().expect("no panic inside")[number] = Some(result);
                }
            });
        }
    });
    let results = results.into_inner().expect("no panic inside");
    results.into_iter().map(|result| result.expect("every job was run")).collect()
}

fn next_of<'a, T>(next: &AtomicUsize, jobs: &'a [T]) -> (usize, Option<&'a T>) {
    let number = next.fetch_add(1, Ordering::SeqCst);
    (number, jobs.get(number))
}

/// Runs all cases and judges them by what clients saw and what `record` says afterwards.
pub fn run(cases: &[Case], over: Over, manner: Manner, record: impl FnOnce() -> Record) -> Report {
    let seen = in_parallel(LANES, cases, |number, case| exchange(case, over, manner, &mark(number)));
    let record = record();
    let mut report = Report::default();
    for (number, (case, mut seen)) in cases.iter().zip(seen).enumerate() {
        let mark = mark(number);
        let must = with_local(&case.must, over);
        let mut left = record.requests(&mark).to_vec();
        let before = if manner == Manner::Behind { take_before(&mark, &mut seen, &mut left) } else { Ok(()) };
        report.add(case, before.and_then(|()| judge(&must, &mark, &seen, &left)), accepted(&seen));
    }
    report.faults(record.faults);
    report
}

/// `{local}` in a Host stands for the address the client connects to.
fn with_local(must: &Must, over: Over) -> Must {
    let local = over.local();
    match must {
        Must::Forwarded(sent) => {
            let host = sent.host.replace("{local}", &local.to_string());
            Must::Forwarded(Sent { host, ..sent.clone() })
        }
        other => other.clone(),
    }
}

/// The ordinary request in front was served once and answered first; what is left is the case's own.
fn take_before(mark: &str, seen: &mut Seen, left: &mut Vec<Request>) -> Result<(), String> {
    let target = format!("/before-{mark}");
    let all = left.len();
    left.retain(|request| request.target != target);
    if all - left.len() != 1 {
        return Err(format!("the request in front of it left {} times", all - left.len()));
    }
    let own = |answer: &Answer| answer.status == 200 && answer.text().starts_with(&format!("GET {target} "));
    if !seen.answers.first().is_some_and(own) {
        return Err(format!("the request in front of it was answered {:?}", statuses_of(&seen.answers)));
    }
    seen.answers.remove(0);
    Ok(())
}

fn accepted(seen: &Seen) -> bool {
    seen.answers.first().is_some_and(|answer| answer.status < 400)
}

/// One case on a connection of its own.
fn exchange(case: &Case, over: Over, manner: Manner, mark: &str) -> Seen {
    let ordinary =
        |place: &str| over.adapt(format!("GET /{place}-{mark} HTTP/1.1\r\nHost: www.test\r\n\r\n").into_bytes());
    let before = if manner == Manner::Behind { ordinary("before") } else { Vec::new() };
    let bytes = [before, over.adapt(case.bytes(mark)), ordinary("after")].concat();
    let method = if case.bytes.starts_with(b"HEAD ") { "HEAD" } else { "GET" };
    let methods = if manner == Manner::Behind { &["GET", method, "GET"][..] } else { &[method, "GET"] };
    let say = Say { pieces: pieces(&bytes, manner), waits: case.must == Must::Waits };
    match over {
        Over::Tcp(address) | Over::Proxy(address, _) => {
            let Ok(mut stream) = TcpStream::connect(address) else { return Seen::default() };
            let socket = stream.try_clone().expect("a socket");
            talk(&mut stream, &socket, &say, methods)
        }
        Over::Tls(address) => {
            let Ok(mut stream) = tls::client("www.test").connect(address) else { return Seen::default() };
            let socket = stream.sock.try_clone().expect("a socket");
            talk(&mut stream, &socket, &say, methods)
        }
    }
}

/// What is said: in which pieces, and whether our direction then ends.
struct Say<'a> {
    pieces: Vec<&'a [u8]>,
    waits: bool,
}

/// Cuts at places that differ from case to case, also between CR and LF.
fn pieces(bytes: &[u8], manner: Manner) -> Vec<&[u8]> {
    if manner != Manner::InPieces {
        return vec![bytes];
    }
    let sum = bytes.iter().fold(7_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let mut cuts: Vec<usize> = (1..=4).map(|number| sum.wrapping_mul(number) / 3 % bytes.len()).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).filter(|piece| !piece.is_empty()).collect()
}

fn talk(stream: &mut (impl Read + Write), socket: &TcpStream, say: &Say<'_>, methods: &[&str]) -> Seen {
    let _ = socket.set_nodelay(true);
    let _ = socket.set_read_timeout(Some(PATIENCE));
    for (number, piece) in say.pieces.iter().enumerate() {
        if number > 0 {
            thread::sleep(BETWEEN);
        }
        let _ = stream.write_all(piece).and_then(|()| stream.flush());
    }
    if say.waits {
        thread::sleep(PAUSE);
        let _ = socket.shutdown(Shutdown::Write);
    }
    read_answers(stream, methods)
}

/// Reads answers to requests with these methods, until all are there or the connection ends.
pub fn read_answers(stream: &mut impl Read, methods: &[&str]) -> Seen {
    let mut seen = Seen::default();
    let (mut bytes, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    while seen.answers.len() < methods.len() {
        let method = methods[seen.answers.len()];
        match answer::read(&bytes, method, seen.ended) {
            Parsed::Whole(answer, used) => {
                bytes.drain(..used);
                if answer.status >= 200 || answer.status == 101 {
                    seen.answers.push(answer);
                }
                continue;
            }
            Parsed::Wrong(why) => {
                seen.wrong = Some(why);
                return seen;
            }
            Parsed::Cut(part) if seen.ended => {
                seen.cut = (!bytes.is_empty()).then_some(part);
                return seen;
            }
            Parsed::Cut(_) => {}
        }
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => return seen,
            Ok(0) | Err(_) => seen.ended = true,
        }
    }
    seen
}

/// Whether what came is what must come; the error says why not.
fn judge(must: &Must, mark: &str, seen: &Seen, left: &[Request]) -> Result<(), String> {
    if let Some(wrong) = &seen.wrong {
        return Err(format!("the answer cannot be read: {wrong}"));
    }
    match must {
        Must::Refused(statuses) => refused(statuses, seen, left),
        Must::Broken if seen.answers.is_empty() => Err("the client was told nothing".into()),
        Must::Broken => stopped(seen, left),
        Must::Waits => stopped(seen, left),
        Must::Forwarded(sent) => forwarded(sent, mark, seen, left),
    }
}

fn refused(statuses: &[u16], seen: &Seen, left: &[Request]) -> Result<(), String> {
    if !left.is_empty() {
        return Err(format!("must be refused, but the backend saw {}", brief(left)));
    }
    match &seen.answers[..] {
        [one] if statuses.contains(&one.status) && seen.ended => Ok(()),
        [one] if statuses.contains(&one.status) => Err("refused, but the connection stays open".into()),
        other => Err(format!("must be refused with {statuses:?}, but was answered {:?}", statuses_of(other))),
    }
}

/// Nothing whole may have left, nothing may have been served.
fn stopped(seen: &Seen, left: &[Request]) -> Result<(), String> {
    if !left.is_empty() {
        return Err(format!("cannot be a whole request, but the backend saw {}", brief(left)));
    }
    if seen.answers.iter().any(|answer| answer.status < 400) || seen.answers.len() > 1 {
        return Err(format!("cannot be served, but was answered {:?}", statuses_of(&seen.answers)));
    }
    if seen.ended { Ok(()) } else { Err("the connection stays open".into()) }
}

fn forwarded(sent: &Sent, mark: &str, seen: &Seen, left: &[Request]) -> Result<(), String> {
    let ours = |request: &&Request| !request.target.contains("/after-");
    let own: Vec<&Request> = left.iter().filter(ours).collect();
    let [own] = own[..] else {
        return Err(format!(
            "must leave once, but left {} times; answered {:?}",
            own.len(),
            statuses_of(&seen.answers)
        ));
    };
    same(sent, mark, own)?;
    let after = left.len() - 1;
    let head = sent.method == "HEAD";
    let answers_itself = |answer: &Answer| head || answer.text().starts_with(&format!("{} ", sent.method));
    let first = seen.answers.first().filter(|answer| answer.status == 200).ok_or("the client got no answer")?;
    if !answers_itself(first) || first.text().contains("/after-") {
        return Err(format!("the client got another's answer: {:?}", first.text()));
    }
    match (sent.last, &seen.answers[1..], after) {
        (true, [], 0) if seen.ended => Ok(()),
        (true, ..) => Err(format!("must be the last on its connection; {after} behind it left, ended: {}", seen.ended)),
        (false, [next], 1) if next.text().starts_with(&format!("GET /after-{mark} ")) => Ok(()),
        (false, next, _) => Err(format!("the request behind it got {:?} ({after} left)", statuses_of(next))),
    }
}

/// Fields that the proxy writes for the backend, and framing, which is judged by itself.
const WRITTEN: [&str; 9] = [
    "host",
    "content-length",
    "transfer-encoding",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-request-id",
];

/// Whether exactly this left.
pub fn same(sent: &Sent, mark: &str, left: &Request) -> Result<(), String> {
    let marked = |text: &str| text.replace('§', mark);
    let compare = |what: &str, wanted: String, was: &str| {
        if wanted == was { Ok(()) } else { Err(format!("{what} left as {was:?} instead of {wanted:?}")) }
    };
    compare("the method", marked(&sent.method), &left.method)?;
    compare("the target", marked(&sent.target), &left.target)?;
    compare("Host", marked(&sent.host), left.get("host").unwrap_or("(none)"))?;
    let mut wanted: Vec<(String, String)> =
        sent.fields.iter().map(|(name, value)| (name.clone(), marked(value))).collect();
    let mut was: Vec<(String, String)> =
        left.headers.iter().filter(|(name, _)| !WRITTEN.contains(&name.as_str())).cloned().collect();
    // The order of different names means nothing; a stable sort keeps that of equal ones.
    wanted.sort_by(|one, other| one.0.cmp(&other.0));
    was.sort_by(|one, other| one.0.cmp(&other.0));
    if wanted != was {
        return Err(format!("the fields left as {was:?} instead of {wanted:?}"));
    }
    let body: Vec<u8> = marked_body(&sent.body, mark);
    if body != left.body {
        let text = String::from_utf8_lossy(&left.body).into_owned();
        return Err(format!("the body left as {text:?} instead of {:?}", String::from_utf8_lossy(&body)));
    }
    Ok(())
}

fn marked_body(body: &[u8], mark: &str) -> Vec<u8> {
    let pieces = body.iter().map(|byte| if *byte == 0xa7 { mark.as_bytes().to_vec() } else { vec![*byte] });
    pieces.flatten().collect()
}

fn brief(left: &[Request]) -> String {
    let brief = |request: &Request| {
        format!("{} {} {:?}", request.method, request.target, String::from_utf8_lossy(&request.body))
    };
    left.iter().map(brief).collect::<Vec<_>>().join(" and ")
}

fn statuses_of(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness::backends::strict;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, fields: Vec::new(), body: body.into(), trailers: Vec::new(), until_close: false }
    }

    fn seen(answers: Vec<Answer>, ended: bool) -> Seen {
        Seen { answers, ended, ..Seen::default() }
    }

    fn left(targets: &[&str]) -> Vec<Request> {
        let text: String =
            targets.iter().map(|target| format!("GET {target} HTTP/1.1\r\nHost: www.test\r\n\r\n")).collect();
        strict::requests(text.as_bytes(), false).unwrap()
    }

    #[test]
    fn a_refusal_is_one_answer_the_end_and_nothing_behind_it() {
        let must = Must::Refused(&[400]);
        let verdict =
            |answers, ended, targets: &[&str]| judge(&must, "m", &seen(answers, ended), &left(targets)).is_ok();
        assert!(verdict(vec![answer(400, "")], true, &[]));
        assert!(!verdict(vec![answer(400, "")], false, &[]), "it stays open");
        assert!(!verdict(vec![answer(431, "")], true, &[]), "another status");
        assert!(!verdict(vec![], true, &[]), "no answer");
        assert!(!verdict(vec![answer(400, "")], true, &["/after-m"]), "the next one left");
        assert!(!verdict(vec![answer(400, ""), answer(200, "")], true, &[]), "the next one was answered");
    }

    #[test]
    fn forwarding_is_exact_and_each_gets_its_own_answer() {
        let must = Must::Forwarded(Sent { target: "/m".into(), ..Sent::get() });
        let own = || answer(200, "GET /m HTTP/1.1\n");
        let next = || answer(200, "GET /after-m HTTP/1.1\n");
        let verdict = |answers, targets: &[&str]| judge(&must, "m", &seen(answers, false), &left(targets)).is_ok();
        assert!(verdict(vec![own(), next()], &["/m", "/after-m"]));
        assert!(!verdict(vec![next(), own()], &["/m", "/after-m"]), "answers in the wrong order");
        assert!(!verdict(vec![own(), own()], &["/m", "/after-m"]), "another's answer");
        assert!(!verdict(vec![own(), next()], &["/m", "/m", "/after-m"]), "left twice");
        assert!(!verdict(vec![own(), next()], &["/M", "/after-m"]), "another target");
        assert!(!verdict(vec![own()], &["/m"]), "the next one was lost");
    }
}
