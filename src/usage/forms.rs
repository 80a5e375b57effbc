//! The forms themselves. Who adds a verb adds it here, or `read` does not hear of it.

use common::process::Process;

use super::{Form, Kind, Value, Word};

const CONFIG: Value = Value { name: "CONFIG", kind: Kind::Config };
const POOL: Value = Value { name: "POOL", kind: Kind::Text("shop") };
const SERVER: Value = Value { name: "SERVER", kind: Kind::Text("192.0.2.10:8080") };
const PROCESS: Value = Value { name: "PROCESS", kind: Kind::Choice(&NAMES) };
const NAMES: [&str; 5] = {
    let [router, relay, terminator, filter, forward] = Process::ALL;
    [router.name(), relay.name(), terminator.name(), filter.name(), forward.name()]
};
const PATH: Value = Value { name: "PATH", kind: Kind::File };
const ADDRESS: Value = Value { name: "ADDRESS", kind: Kind::Text("127.0.0.1") };

const fn text(name: &'static str, example: &'static str) -> Value {
    Value { name, kind: Kind::Text(example) }
}

const fn form(verb: &'static str, words: &'static [Word], meaning: &'static str, long: &'static str) -> Form {
    Form { verb, words, meaning, long }
}

const JSON: Word = Word::Flag("--json", "For machines.");
const FROM: Word = Word::Setting("--from", ADDRESS, "The client's address; 127.0.0.1 without it.");

/// All of them, in the order of the usage.
pub const FORMS: &[Form] = &[
    form(
        "demo",
        &[Word::Flag("--check", "Send the requests itself and judge the answers.")],
        "try it: five processes, two backends, curl lines to paste; all in a temporary folder",
        "Needs the program `bulkhead-demo` beside this one, which is built in the source tree and is no part of the package.",
    ),
    form(
        "check",
        &[Word::Needed(CONFIG)],
        "judge a configuration with everything it names; opens no port",
        "The file as a whole first, then each process that it needs judges its own part: keys, certificates, rules. All errors \
         are told in one run, each under its line. A good file is followed by what each process may need at most: descriptors, memory.",
    ),
    form(
        "up",
        &[Word::Needed(CONFIG)],
        "start and supervise the processes (where systemd does not), until Ctrl-C or SIGTERM",
        "Opens every socket, starts what the configuration needs, and starts again what ends. Under systemd the units do this: \
         `systemctl start bulkhead.target`.",
    ),
    form(
        "reload",
        &[Word::Optional(CONFIG)],
        "give the running processes the configuration as it is now: all of them take it, or none",
        "It is judged as by `check` first. What only a restart can change is refused by name, and nothing changes then. \
         `systemctl reload bulkhead` is the same.",
    ),
    form(
        "reload",
        &[Word::Mode("--certificates"), Word::Optional(CONFIG)],
        "give tls-terminator the files of its certificates as they are now, and nothing else",
        "For deploy hooks. A pair that is not good never takes the place of one that is.",
    ),
    form(
        "status",
        &[Word::Where, Word::Flag("--figures", "All figures instead of the first few."), JSON],
        "ask every running process how it is",
        "A line per instance: state, sandbox, first figures; then the servers of every pool, then certificates that need \
         somebody. It fails if a process that is needed does not answer within two seconds.",
    ),
    form(
        "metrics",
        &[
            Word::Where,
            Word::Setting(
                "--listen",
                text("ADDRESS", "127.0.0.1:9100"),
                "Serve them at `/metrics` of this loopback address and port.",
            ),
        ],
        "the figures of every process as Prometheus reads them, once or on a port",
        "",
    ),
    form(
        "drain",
        &[Word::Needed(POOL), Word::Needed(SERVER), Word::Where],
        "give a server (HOST:PORT as configured) nothing new",
        "What it has under way ends as it will. It holds through reloads, not through a restart of the process.",
    ),
    form("undrain", &[Word::Needed(POOL), Word::Needed(SERVER), Word::Where], "take that back", ""),
    form(
        "scale",
        &[Word::Needed(PROCESS), Word::Needed(text("N", "4")), Word::Where],
        "have N instances of a process until the next start; nothing is lost",
        "More: they are started beside the others, and all of them taken back if one does not serve. Fewer: those with the highest \
         numbers finish what they have begun, hand on their living connections and end. It says how to have as many after the \
         next start.",
    ),
    form(
        "upgrade",
        &[Word::Optional(PROCESS), Word::Where],
        "put the programs that are on the disk now in the place of those that run, or take them back",
        "All processes without PROCESS, receivers first. The new generation starts beside the old one; when all of it serves the \
         old one finishes, hands on and ends. If it does not serve it is stopped, the old one goes on, and its last lines say why.",
    ),
    form(
        "ticket-keys",
        &[
            Word::Literal("rotate"),
            Word::Needed(Value { name: "FILE", kind: Kind::File }),
            Word::Setting("--keep", text("N", "4"), "How many keys the file keeps, 2 to 16; default 4."),
        ],
        "make the file of `tls-terminator.ticket_keys`, or rotate it; `reload` puts it to work",
        "",
    ),
    form(
        "rules",
        &[
            Word::Literal("test"),
            Word::Setting(
                "--config",
                CONFIG,
                "The rules of this configuration; default `/etc/bulkhead/bulkhead.toml`.",
            ),
            Word::Settings(
                "--rules",
                text("PATTERN", "rules/*.conf"),
                "These rule files instead of the configuration's; without `--config` all other keys are at their defaults.",
            ),
            Word::Setting(
                "--paranoia",
                Value { name: "1|2|3|4", kind: Kind::Choice(&["1", "2", "3", "4"]) },
                "Another paranoia level than the configuration's.",
            ),
            Word::Settings(
                "--corpus",
                PATH,
                "Requests labelled as attacks or as benign, a file or a folder of such; without it and without `--crs-tests` a small corpus that is built in.",
            ),
            Word::Setting("--crs-tests", PATH, "Tests of the Core Rule Set (go-ftw): a file or a folder of such."),
            Word::Setting(
                "--min-detection",
                text("PERCENT", "90"),
                "Fail if a smaller share of the attacks is refused.",
            ),
            Word::Setting(
                "--max-false-positives",
                text("PERCENT", "0.5"),
                "Fail if a larger share of the benign requests is refused.",
            ),
            Word::Flag(
                "--list",
                "Name each request that was judged otherwise than its label says; with `--json` each request.",
            ),
            JSON,
        ],
        "what the web-attack rules make of requests that are known to be attacks or harmless",
        "The rules are those of the configuration, in blocking mode, with its thresholds, limits and exclusions; nothing is sent and no \
         process is asked. It prints how much of each set is refused, and which rules refuse harmless requests, and fails if a test \
         fails or a share is missed. docs/crs.md has the format of a corpus.",
    ),
    form(
        "sandbox",
        &[Word::Where],
        "which walls hold, and what happened when each process tried what it must not do",
        "It fails if a wall has a gap.",
    ),
    form(
        "explain",
        &[Word::Needed(Value { name: "KEY", kind: Kind::Key })],
        "what a key of the configuration means: bulkhead explain sni-router.listen",
        "",
    ),
    form(
        "explain",
        &[
            Word::Needed(text("URL", "https://shop.example/")),
            FROM,
            Word::Setting("--method", text("M", "GET"), "The method; GET without it."),
            Word::Settings("--header", text("\"NAME: VALUE\"", "X-A: b"), "A header field of the request."),
            Word::Setting(
                "--data",
                text("TEXT|@FILE", "q=1"),
                "A body, or the file that holds it: a form unless a header says otherwise; posted.",
            ),
            Word::Setting("--listener", text("NAME", "https"), "Where the client connects, by its name in the file."),
            Word::Setting(
                "--server-name",
                text("NAME", "shop.example"),
                "Another server name than the URL's; empty: none.",
            ),
            Word::Setting(
                "--tls-version",
                Value { name: "1.2|1.3", kind: Kind::Choice(&["1.2", "1.3"]) },
                "The TLS version; 1.3 without it.",
            ),
            Word::Setting("--ja4", text("JA4", "t13d1516h2_8daaf6152771_02713d6af862"), "The client's fingerprint."),
            Word::Setting(
                "--client-cert",
                Value { name: "FILE.pem", kind: Kind::File },
                "The certificate that the client shows.",
            ),
            JSON,
            Word::Where,
        ],
        "what the running processes would do with this request, and which line says so",
        "The code that judges requests is asked, with the configuration at work. Nothing is sent, logged or counted. A request \
         that would be refused is an answer: the exit code is 0.",
    ),
    form(
        "explain",
        &[
            Word::Mode("--proxy"),
            Word::Optional(text("METHOD", "CONNECT")),
            Word::Needed(text("TARGET", "example.org:443")),
            Word::Setting("--user", text("NAME", "ada"), "Who the client says it is."),
            FROM,
            JSON,
            Word::Place,
        ],
        "the same for a client of the forward proxy: CONNECT example.org:443",
        "",
    ),
    form("help", &[Word::Optional(Value { name: "VERB", kind: Kind::Verb })], "this text, or more about a verb", ""),
    form("version", &[], "which release this is", ""),
];
