//! The line of one request: which fields it has, and whether it is written. The fields are documented in
//! docs/operations.md; a test holds that table against [`FIELDS`].

use std::time::Duration;

use common::observe::line::Line;
use common::observe::output;
use http::Version;

use super::request_id::RequestId;
use super::settings::Settings;
use crate::journey::Account;

/// Bytes of a path or query that a line shows at most.
const LONGEST_PATH: usize = 1024;
/// Bytes of other texts of a client.
const LONGEST: usize = 256;

/// Every field that a line can have behind those that all lines have (`time`, `level`, `process`, `instance`, `message`), with
/// its meaning and when it is absent.
pub const FIELDS: &[(&str, &str)] = &[
    ("request_id", "id of the request; `X-Request-Id` of a trusted proxy, or our own"),
    ("trace_id", "trace of the request; absent without a valid one (`[http-filter.trace]`)"),
    ("span_id", "span that the backend sees as its parent; absent as `trace_id`"),
    ("client", "address and port of the client; behind trusted proxies its address alone"),
    ("peer", "address and port of the proxy that sent the request; absent without trusted proxy"),
    ("server_name", "TLS server name; absent without TLS or without a name"),
    ("tls", "TLS version; absent without TLS"),
    ("ja4", "JA4 fingerprint of the client; absent without TLS"),
    ("protocol", "`HTTP/1.0`, `HTTP/1.1`, `HTTP/2.0`"),
    ("method", "method"),
    ("host", "host in its one form; absent if it was not read"),
    ("path", "path in its one form, without query; absent if it was not read"),
    ("query", "query as the client wrote it; only with `fields`"),
    ("user_agent", "`User-Agent`; only with `fields`"),
    ("referer", "`Referer`; only with `fields`"),
    ("status", "status of the answer; 0 if none was begun"),
    ("stage", "last stage that the request reached"),
    ("decision", "`passed`, `switched` (another protocol), one word for an answer of our own, or one for the refusal"),
    ("rule", "rule or limit that refused; absent if none did"),
    ("reason", "the sentence that the client was told; absent if the answer was the backend's"),
    ("attack_score", "anomaly score of the rules against web attacks; absent if none with a score matched"),
    ("attack_rules", "numbers of the rules that matched, at most 32; absent as `attack_score`"),
    (
        "attack_note",
        "why rules did not see all of it, or why it was refused without a rule: `large-body`, `coded-body`, `limit`, `budget`, `malformed-body`, `busy`, `failed`; else absent",
    ),
    ("observed", "rule in observe mode that would have refused; absent if none would"),
    ("route", "route; absent if none was chosen"),
    ("pool", "pool; absent as `route`"),
    ("server", "server that was asked last; absent if none was"),
    ("attempts", "servers that were asked; absent if none was"),
    ("bytes_in", "bytes of the request's body that were read"),
    ("bytes_out", "bytes of the answer's body that were written"),
    ("client_ms", "milliseconds that the client took to send the head, in steps of 250; absent if none was noticed"),
    ("queue_us", "microseconds in the queue of the pool; absent if it did not wait"),
    ("connect_us", "microseconds to connect to the server; absent on a kept-alive connection"),
    ("first_byte_us", "microseconds from the head of the request to the head of the answer; absent if there was none"),
    ("total_us", "microseconds from the head of the request to the last byte of the answer"),
    ("slow", "`true` if it took longer than `log.slow`, else absent"),
    ("aborted", "`true` if the client left before the last byte of its answer, else absent"),
    ("error", "why the answer broke off; absent if it did not"),
    (
        "sample",
        "the line stands for so many successful requests (`log.sample`); absent if it is 1 or the line is always written",
    ),
];

/// Writes the line if it is to be written.
pub fn write(account: &Account, settings: &Settings, total: Duration) {
    let slow = settings.slow.is_some_and(|slow| total >= slow);
    let usual = account.is_success() && !slow;
    if !settings.log || (usual && !settings.keeps_success()) {
        return;
    }
    output::access("request", |line| {
        who(account, line);
        what(account, line);
        outcome(account, line);
        times(account, line, total);
        if slow {
            line.flag("slow", true);
        }
        if account.aborted() {
            line.flag("aborted", true);
        }
        if let Some(error) = &account.error {
            line.cut("error", error, LONGEST);
        }
        if usual && settings.sample > 1 {
            line.number("sample", settings.sample.into());
        }
    });
}

/// Which request a line of its own is about: those fields of the request's line that tell.
pub fn subject(account: &Account, line: &mut Line<'_>) {
    who(account, line);
    what(account, line);
    line.number("status", account.status.into());
}

fn who(account: &Account, line: &mut Line<'_>) {
    match &account.context.id {
        RequestId::Given(value) => line.bytes("request_id", value.as_bytes(), LONGEST),
        own @ RequestId::Own(..) => own.with(|id| line.word("request_id", id)),
    }
    if let Some(here) = &account.context.here {
        let (mut trace, mut span) = ([0_u8; 32], [0_u8; 16]);
        here.write_trace(&mut trace);
        super::hex(&mut span, here.span);
        line.word("trace_id", std::str::from_utf8(&trace).unwrap_or_default());
        line.word("span_id", std::str::from_utf8(&span).unwrap_or_default());
    }
    let client = &account.connection.client;
    match account.client.filter(|address| *address != client.ends.client.ip()) {
        Some(behind) => {
            line.display("client", behind);
            line.display("peer", client.ends.client);
        }
        None => line.display("client", client.ends.client),
    }
    if let Some(tls) = &client.tls {
        line.maybe("server_name", tls.server_name.as_deref());
        line.text("tls", &tls.version);
        line.text("ja4", &tls.ja4);
    }
}

fn what(account: &Account, line: &mut Line<'_>) {
    line.word("protocol", protocol(account.version));
    line.cut("method", account.method.as_str(), LONGEST);
    if account.read {
        line.cut("host", &account.host, LONGEST);
        line.cut("path", &account.path, LONGEST_PATH);
    }
    if !account.query.is_empty() {
        line.cut("query", &account.query, LONGEST_PATH);
    }
    if let Some(agent) = &account.user_agent {
        line.bytes("user_agent", agent.as_bytes(), LONGEST);
    }
    if let Some(referer) = &account.referer {
        line.bytes("referer", referer.as_bytes(), LONGEST_PATH);
    }
}

fn outcome(account: &Account, line: &mut Line<'_>) {
    line.number("status", account.status.into());
    line.word("stage", account.stage);
    line.word("decision", account.decision);
    line.maybe("rule", account.rule.as_deref());
    line.maybe("reason", account.reason.as_deref());
    if let Some(record) = &account.attack {
        record.fields(line);
    }
    line.maybe("observed", account.observed.as_deref());
    // Names of the configuration are labels: nothing in them needs an escape.
    for (name, value) in [("route", &account.route), ("pool", &account.pool)] {
        if let Some(value) = value {
            line.word(name, value);
        }
    }
    if account.attempts > 0 {
        line.text("server", &account.server);
        line.number("attempts", account.attempts.into());
    }
    line.number("bytes_in", account.bytes_in());
    line.number("bytes_out", account.bytes_out);
}

fn times(account: &Account, line: &mut Line<'_>, total: Duration) {
    if account.client_ms > 0 {
        line.number("client_ms", account.client_ms);
    }
    if let Some(queue) = account.queue {
        line.number("queue_us", micros(queue));
    }
    if let Some(connect) = account.connect {
        line.number("connect_us", micros(connect));
    }
    if let Some(first_byte) = account.first_byte {
        line.number("first_byte_us", micros(first_byte));
    }
    line.number("total_us", micros(total));
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// As in the log of every other server.
fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The table of docs/operations.md; `BLESS=1` writes it.
    #[test]
    fn the_manual_lists_the_fields() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
        let (begin, end) =
            ("<!-- fields: written by `BLESS=1 cargo test -p http-filter fields` -->\n", "<!-- end of fields -->");
        let common = [
            ("time", "when the line was written"),
            ("level", "`INFO`"),
            ("process", "`http-filter`"),
            ("instance", "number of the process"),
            ("message", "`request`"),
        ];
        let mut table = String::from("\n| field | meaning |\n| --- | --- |\n");
        for (name, meaning) in common.iter().chain(FIELDS) {
            table.push_str(&format!("| `{name}` | {meaning} |\n"));
        }
        table.push('\n');
        let manual = std::fs::read_to_string(path).unwrap();
        let (before, rest) = manual.split_once(begin).unwrap();
        let (written, after) = rest.split_once(end).unwrap();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, [before, begin, &table, end, after].concat()).unwrap();
        } else {
            assert!(
                written == table,
                "docs/operations.md does not list the fields as they are; BLESS=1 writes it anew"
            );
        }
    }
}
