//! A page in section 8 for each process: bulkhead-sni-router(8) and its like, from the tables of processes and edges.

use common::process::Process;
use common::startup::USAGE;
use common::wiring::{EDGES, Edge};

use super::roff::Page;

/// What a process is for, in a line, and what it does and must never do.
fn told(process: Process) -> (&'static str, &'static str) {
    match process {
        Process::SniRouter => (
            "accepts clients and hands them on by server name",
            "It owns the listeners, looks at the first bytes of a TLS connection without consuming them, and hands the socket, unread, to \
             the process that the name leads to. It has no keys, decrypts nothing, and can make no network socket.",
        ),
        Process::PassthroughRelay => (
            "connects to servers and moves bytes",
            "The only process that connects out. It joins passed-through clients to their servers, dials for the processes that read HTTP, \
             and carries tunnels. It never looks at what it moves, cannot listen, and guards which addresses clients may reach.",
        ),
        Process::TlsTerminator => (
            "holds the private keys and shakes hands",
            "It works on sockets that it is handed and has no network of its own. After the handshake the connection goes on in \
             http-filter with the secrets of this one connection; private keys never leave this process.",
        ),
        Process::HttpFilter => (
            "reads HTTP, decides, and balances over backends",
            "HTTP/1.1 and HTTP/2 behind termination or on plain ports: access rules, limits, routes, pools. It has no private key and no \
             network: clients are handed to it, servers are dialled for it.",
        ),
        Process::ForwardProxy => (
            "CONNECT and absolute-form requests for clients going out",
            "It owns the listeners of clients that go out, asks who they are and decides where they may go. Servers are dialled for it; a \
             tunnel leaves it as soon as it stands.",
        ),
    }
}

/// The page.
pub fn page(process: Process) -> String {
    let (short, long) = told(process);
    let mut page = Page::new(&format!("bulkhead-{process}"), 8, short);
    page.section("SYNOPSIS");
    let mut first = true;
    for (form, _) in forms() {
        let form = format!("`/usr/lib/bulkhead/{process}` {form}");
        if first {
            page.first(&form)
        } else {
            page.text(&form)
        };
        first = false;
    }
    page.section("DESCRIPTION").first(long);
    page.text(
        "Nobody types its command line: systemd or `bulkhead up` start it with its sockets. Before it hears the first byte of a stranger it \
         closes a sandbox around itself, tries what must not work, and reports both (`bulkhead sandbox`). Its keys stand in \
         `bulkhead.toml`(5), its figures are shown by `bulkhead status --figures`.",
    );
    page.section("OPTIONS");
    for (form, meaning) in forms() {
        page.term(&format!("`{form}`"), &format!("{}.", capital(meaning)));
    }
    page.section("UNITS");
    page.term(&format!("`bulkhead-{process}@N.service`"), "Instance N. More cores need more instances: start @2, @3.");
    page.term(
        &format!("`bulkhead-{process}-control@N.socket`"),
        "Where root orders: `bulkhead status`, `reload`, `drain`.",
    );
    page.term(
        &format!("`bulkhead-{process}-observe@N.socket`"),
        "Where the group `bulkhead-observe` asks for figures.",
    );
    edges(process, &mut page);
    page.section("USER").first(&format!("`{}`, and the groups of the edges on which it sends.", process.user()));
    page.section("SIGNALS");
    page.term(
        "`SIGTERM`, `SIGINT`",
        "Accept nothing more, finish what was begun within a few seconds, end. Whoever was not taken over waits for another instance.",
    );
    page.section("EXIT STATUS");
    page.term("0", "It was told to stop, and did; or what was asked for was printed.");
    page.term("1", "It cannot start or serve, or `--check` found something; standard error says what.");
    page.term("64", "The command line was not understood.");
    page.section("SEE ALSO").first("`bulkhead`(1), `bulkhead.toml`(5), `systemd.service`(5)");
    page.end()
}

fn edges(process: Process, page: &mut Page) {
    page.section("EDGES")
        .first("Its connections to the other processes, each a Unix socket that only the sender may use:");
    let mine: Vec<&Edge> = EDGES.iter().filter(|edge| edge.sender == process || edge.receiver == process).collect();
    for edge in mine {
        let way = if edge.sender == process { "Sends" } else { "Receives" };
        page.term(&format!("`{}`", edge.name), &format!("{way}. {}.", edge.purpose));
    }
}

/// What stands behind `PROCESS` in the usage, and what it means.
fn forms() -> Vec<(&'static str, &'static str)> {
    let lines = USAGE.lines().filter_map(|line| line.split_once("PROCESS "));
    lines.filter_map(|(_, form)| form.split_once("   ")).map(|(form, meaning)| (form.trim(), meaning.trim())).collect()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| format!("{}{}", first.to_ascii_uppercase(), letters.as_str())).unwrap_or_default()
}

#[test]
fn every_form_of_the_usage_is_told() {
    assert_eq!(forms().len(), USAGE.lines().count());
    assert!(forms().iter().all(|(form, meaning)| form.starts_with("--") && meaning.len() > 10), "{:?}", forms());
}
