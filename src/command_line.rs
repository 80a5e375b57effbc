//! The verbs, read by hand. Pure: words in, an order or a complaint out.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use common::ipc::directory::MAX_INSTANCES;
use common::process::Process;
use common::rules_test::RulesTest;

use crate::explain;
use crate::explain::words::{RequestOrder, is_request};
use crate::usage::FORMS;

/// Where the packages put the configuration.
pub const DEFAULT_CONFIG: &str = "/etc/bulkhead/bulkhead.toml";

/// Which processes are meant: those of a configuration, or those found in a runtime directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `CONFIG`
    Config(PathBuf),
    /// `--runtime-dir DIR`
    RuntimeDir(PathBuf),
}

/// `bulkhead status …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusOrder {
    /// Whom to ask.
    pub place: Place,
    /// `--figures`: all of them instead of the first few.
    pub figures: bool,
    /// `--json`
    pub json: bool,
}

/// `bulkhead metrics …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsOrder {
    /// Whom to ask.
    pub place: Place,
    /// `--listen ADDRESS`; without it an inherited socket or the configuration's address.
    pub listen: Option<SocketAddr>,
    /// Serve a port instead of printing once: `--listen ADDRESS`, or `--serve`, which `bulkhead up` says.
    pub serve: bool,
}

/// `bulkhead drain POOL SERVER …` and `undrain`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainOrder {
    /// Whom to ask.
    pub place: Place,
    /// Which pool.
    pub pool: String,
    /// Which server of it.
    pub server: String,
    /// `false`: undrain.
    pub drain: bool,
}

/// `bulkhead scale PROCESS N …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScaleOrder {
    /// Where.
    pub place: Place,
    /// Which process.
    pub process: Process,
    /// How many of it: 1 to [`MAX_INSTANCES`].
    pub count: usize,
}

/// `bulkhead upgrade [PROCESS] …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpgradeOrder {
    /// Where.
    pub place: Place,
    /// Which process; without it all.
    pub process: Option<Process>,
}

/// What the user asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // src/usage/forms.rs says it
pub enum Verb {
    Up { config: PathBuf },
    Check { config: PathBuf },
    Reload { config: PathBuf },
    Renew { config: PathBuf, stdin: bool },
    Status(StatusOrder),
    Metrics(MetricsOrder),
    Sandbox { place: Place },
    Drain(DrainOrder),
    Scale(ScaleOrder),
    Upgrade(UpgradeOrder),
    RotateTicketKeys { file: PathBuf, keep: usize },
    Demo { words: Vec<OsString> },
    RulesTest { words: Vec<OsString> },
    Explain { key: String },
    ExplainRequest(Box<RequestOrder>),
    Help { about: Option<String> },
    Version,
}

/// Reads the words after the program's name.
///
/// # Errors
/// A sentence that names what was not understood and what is expected.
pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Verb, String> {
    let mut words = words.into_iter();
    let verb = words.next().ok_or("what shall be done? A verb is missing")?;
    // What the table of forms does not know does not exist: so help, manual and completions know every verb.
    let named = verb.to_str().filter(|name| name.starts_with('-') || FORMS.iter().any(|form| form.verb == *name));
    match named {
        Some("up") => Ok(Verb::Up { config: only_config("up", words)? }),
        Some("check") => Ok(Verb::Check { config: only_config("check", words)? }),
        Some("reload") => reload(words),
        Some("status") => {
            let found = Found::among(words, &["--figures", "--json"])?;
            let has = |flag| found.flags.contains(&flag);
            Ok(Verb::Status(StatusOrder { figures: has("--figures"), json: has("--json"), place: found.place() }))
        }
        Some("metrics") => metrics(words),
        Some(name @ ("drain" | "undrain")) => {
            let mut named =
                || words.next().map(|word| word.to_string_lossy().into_owned()).filter(|it| !it.starts_with('-'));
            let (Some(pool), Some(server)) = (named(), named()) else {
                return Err(format!("`{name}` needs a pool and a server of it: bulkhead {name} shop 10.0.0.7:8080"));
            };
            Ok(Verb::Drain(DrainOrder {
                place: Found::among(words, &[])?.place(),
                pool,
                server,
                drain: name == "drain",
            }))
        }
        Some("scale") => scale(words),
        Some("upgrade") => {
            let mut words = words.peekable();
            let process = words.peek().and_then(|word| word.to_str()?.parse::<Process>().ok());
            if process.is_some() {
                words.next();
            }
            Ok(Verb::Upgrade(UpgradeOrder { place: Found::among(words, &[])?.place(), process }))
        }
        Some("ticket-keys") => ticket_keys(words),
        Some("sandbox") => Ok(Verb::Sandbox { place: Found::among(words, &[])?.place() }),
        Some("demo") => Ok(Verb::Demo { words: words.collect() }),
        Some("rules") => rules(words),
        Some("explain") => {
            let words: Vec<OsString> = words.collect();
            if is_request(&words) {
                return explain::words::read(words).map(|order| Verb::ExplainRequest(Box::new(order)));
            }
            let mut words = words.into_iter();
            let key = words.next().ok_or("`explain` needs a key, such as sni-router.listen.address, or a URL")?;
            nothing_more(words)?;
            Ok(Verb::Explain { key: key.to_string_lossy().into_owned() })
        }
        Some("help" | "--help" | "-h") => {
            let about = words.next().map(|word| word.to_string_lossy().into_owned());
            nothing_more(words)?;
            Ok(Verb::Help { about })
        }
        Some("version" | "--version" | "-V") => Ok(Verb::Version),
        _ => Err(format!("there is no verb `{}`", verb.to_string_lossy())),
    }
}

/// `PROCESS N`
fn scale(mut words: impl Iterator<Item = OsString>) -> Result<Verb, String> {
    const NEEDS: &str = "`scale` needs a process and how many of it: bulkhead scale http-filter 4";
    let process = words.next().ok_or(NEEDS)?.to_string_lossy().into_owned();
    let process = process.parse::<Process>().map_err(|error| error.to_string())?;
    let count = words.next().ok_or(NEEDS)?.to_string_lossy().into_owned();
    let count = count.parse().ok().filter(|count| (1..=MAX_INSTANCES).contains(count));
    let count = count.ok_or_else(|| format!("how many? A number from 1 to {MAX_INSTANCES}"))?;
    Ok(Verb::Scale(ScaleOrder { place: Found::among(words, &[])?.place(), process, count }))
}

/// `--listen` is the one flag with a value; it is taken out before the others are sorted.
fn metrics(words: impl Iterator<Item = OsString>) -> Result<Verb, String> {
    let mut words: Vec<OsString> = words.collect();
    let mut listen = None;
    if let Some(at) = words.iter().position(|word| word == "--listen") {
        let address = words.get(at + 1).map(|word| word.to_string_lossy().into_owned());
        let address = address.ok_or("--listen needs an address after it, such as 127.0.0.1:9100")?;
        let parsed: SocketAddr = address
            .parse()
            .map_err(|_| format!("`{address}` is not an address with a port, such as 127.0.0.1:9100"))?;
        if !parsed.ip().is_loopback() {
            return Err(format!(
                "other machines can reach {address}; if they may, write it into [metrics] with allow_remote = true"
            ));
        }
        listen = Some(parsed);
        words.drain(at..at + 2);
    }
    let found = Found::among(words.into_iter(), &["--serve"])?;
    let serve = listen.is_some() || found.flags.contains(&"--serve");
    Ok(Verb::Metrics(MetricsOrder { place: found.place(), listen, serve }))
}

fn reload(words: impl Iterator<Item = OsString>) -> Result<Verb, String> {
    let found = Found::among(words, &["--certificates", "--stdin"])?;
    let (certificates, stdin) = (found.flags.contains(&"--certificates"), found.flags.contains(&"--stdin"));
    match found.place() {
        Place::Config(config) if certificates => Ok(Verb::Renew { config, stdin }),
        Place::Config(_) if stdin => Err("`--stdin` goes with `--certificates` only".to_owned()),
        Place::Config(config) => Ok(Verb::Reload { config }),
        Place::RuntimeDir(_) => {
            Err(format!("`reload` needs a configuration: bulkhead reload {DEFAULT_CONFIG}; it says where they run"))
        }
    }
}

/// `test WORDS`: they are judged here and given on as they are.
fn rules(mut words: impl Iterator<Item = OsString>) -> Result<Verb, String> {
    if words.next().as_ref().and_then(|word| word.to_str()) != Some("test") {
        return Err("`rules` needs what to do: bulkhead rules test --corpus FILE".to_owned());
    }
    let words: Vec<OsString> = words.collect();
    RulesTest::read(words.iter().cloned())?;
    Ok(Verb::RulesTest { words })
}

/// `rotate FILE [--keep N]`
fn ticket_keys(mut words: impl Iterator<Item = OsString>) -> Result<Verb, String> {
    const NEEDS: &str =
        "`ticket-keys` needs what to do and a file: bulkhead ticket-keys rotate /etc/bulkhead/ticket-keys";
    let (Some("rotate"), Some(file)) = (words.next().as_ref().and_then(|word| word.to_str()), words.next()) else {
        return Err(NEEDS.to_owned());
    };
    if file.is_empty() || file.to_string_lossy().starts_with('-') {
        return Err(NEEDS.to_owned());
    }
    let keep = match words.next() {
        None => common::ticket_keys::KEEP,
        Some(flag) if flag == "--keep" => {
            let number = words.next().and_then(|number| number.to_str()?.parse().ok());
            let range = 2..=common::ticket_keys::MAX_KEYS;
            number.filter(|number| range.contains(number)).ok_or("--keep needs a number from 2 to 16 after it")?
        }
        Some(other) => return Err(format!("`{}` is one word too many", other.to_string_lossy())),
    };
    nothing_more(words)?;
    Ok(Verb::RotateTicketKeys { file: file.into(), keep })
}

fn only_config(verb: &str, words: impl Iterator<Item = OsString>) -> Result<PathBuf, String> {
    match Found::among(words, &[])? {
        Found { config: Some(config), runtime_dir: None, .. } => Ok(config),
        _ => Err(format!("`{verb}` needs the path of a configuration: bulkhead {verb} {DEFAULT_CONFIG}")),
    }
}

fn nothing_more(mut words: impl Iterator<Item = OsString>) -> Result<(), String> {
    match words.next() {
        Some(word) => Err(format!("`{}` is one word too many", word.to_string_lossy())),
        None => Ok(()),
    }
}

/// The words behind a verb, sorted.
#[derive(Default)]
struct Found {
    config: Option<PathBuf>,
    runtime_dir: Option<PathBuf>,
    flags: Vec<&'static str>,
}

impl Found {
    fn among(mut words: impl Iterator<Item = OsString>, allowed: &[&'static str]) -> Result<Self, String> {
        let mut found = Self::default();
        while let Some(word) = words.next() {
            let text = word.to_string_lossy();
            if let Some(flag) = allowed.iter().find(|flag| **flag == text) {
                found.flags.push(flag);
            } else if text == "--runtime-dir" {
                let dir = words.next().filter(|dir| !dir.is_empty()).ok_or("--runtime-dir needs a folder after it")?;
                found.runtime_dir = Some(dir.into());
            } else if text == "--config" && found.config.is_none() {
                let file = words.next().filter(|file| !file.is_empty()).ok_or("--config needs a file after it")?;
                found.config = Some(file.into());
            } else if text.starts_with('-') {
                return Err(format!("there is no flag `{text}` here"));
            } else if found.config.is_some() {
                return Err(format!("`{text}` is one word too many"));
            } else {
                found.config = Some(word.into());
            }
        }
        match (&found.config, &found.runtime_dir) {
            (Some(_), Some(_)) => Err("give either CONFIG or --runtime-dir DIR, not both".to_owned()),
            _ => Ok(found),
        }
    }

    fn place(self) -> Place {
        match (self.runtime_dir, self.config) {
            (Some(dir), _) => Place::RuntimeDir(dir),
            (None, config) => Place::Config(config.unwrap_or_else(|| DEFAULT_CONFIG.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn order(line: &str) -> Result<Verb, String> {
        read(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn every_verb_of_the_usage_is_understood() {
        assert_eq!(order("up a.toml"), Ok(Verb::Up { config: "a.toml".into() }));
        assert_eq!(order("check a.toml"), Ok(Verb::Check { config: "a.toml".into() }));
        for line in ["reload a.toml", "reload --config a.toml"] {
            assert_eq!(order(line), Ok(Verb::Reload { config: "a.toml".into() }));
        }
        let config = || PathBuf::from("a.toml");
        assert_eq!(order("reload --certificates a.toml"), Ok(Verb::Renew { config: config(), stdin: false }));
        assert_eq!(order("reload --certificates --stdin a.toml"), Ok(Verb::Renew { config: config(), stdin: true }));
        assert!(order("reload --stdin a.toml").is_err());
        assert_eq!(order("reload"), Ok(Verb::Reload { config: DEFAULT_CONFIG.into() }));
        assert_eq!(order("sandbox"), Ok(Verb::Sandbox { place: Place::Config(DEFAULT_CONFIG.into()) }));
        for (line, drain) in [("drain shop a:1 b.toml", true), ("undrain shop a:1 --config b.toml", false)] {
            let place = Place::Config("b.toml".into());
            let expected = DrainOrder { place, pool: "shop".into(), server: "a:1".into(), drain };
            assert_eq!(order(line), Ok(Verb::Drain(expected)));
        }
        for (line, keep) in [("ticket-keys rotate k", 4), ("ticket-keys rotate k --keep 6", 6)] {
            assert_eq!(order(line), Ok(Verb::RotateTicketKeys { file: "k".into(), keep }));
        }
        for (line, count, config) in
            [("scale http-filter 4", 4, DEFAULT_CONFIG), ("scale http-filter 64 b.toml", 64, "b.toml")]
        {
            let place = Place::Config(config.into());
            assert_eq!(order(line), Ok(Verb::Scale(ScaleOrder { place, process: Process::HttpFilter, count })));
        }
        for (line, process, config) in [
            ("upgrade", None, DEFAULT_CONFIG),
            ("upgrade b.toml", None, "b.toml"),
            ("upgrade sni-router --config b.toml", Some(Process::SniRouter), "b.toml"),
        ] {
            let place = Place::Config(config.into());
            assert_eq!(order(line), Ok(Verb::Upgrade(UpgradeOrder { place, process })));
        }
        assert_eq!(order("demo --check x"), Ok(Verb::Demo { words: vec!["--check".into(), "x".into()] }));
        let words = ["--corpus", "x", "--json"].map(OsString::from).to_vec();
        assert_eq!(order("rules test --corpus x --json"), Ok(Verb::RulesTest { words }));
        assert!(order("rules").is_err() && order("rules try --corpus x").is_err());
        assert_eq!(order("explain log.level"), Ok(Verb::Explain { key: "log.level".into() }));
        for word in ["help", "--help", "-h"] {
            assert_eq!(order(word), Ok(Verb::Help { about: None }));
        }
        assert_eq!(order("help status"), Ok(Verb::Help { about: Some("status".into()) }));
        for word in ["version", "--version", "-V"] {
            assert_eq!(order(word), Ok(Verb::Version));
        }
        let asked = order("status --json --runtime-dir /run/b --figures").unwrap();
        let place = Place::RuntimeDir("/run/b".into());
        assert_eq!(asked, Verb::Status(StatusOrder { place, figures: true, json: true }));
    }

    #[test]
    fn metrics_are_printed_or_served() {
        let order = |line| match order(line) {
            Ok(Verb::Metrics(order)) => order,
            other => panic!("{other:?}"),
        };
        let printed = order("metrics a.toml");
        assert_eq!((printed.place, printed.listen, printed.serve), (Place::Config("a.toml".into()), None, false));
        let served = order("metrics --listen [::1]:9100 --runtime-dir /run/b");
        assert_eq!((served.place, served.serve), (Place::RuntimeDir("/run/b".into()), true));
        assert_eq!(served.listen, Some("[::1]:9100".parse().unwrap()));
        assert!(order("metrics a.toml --serve").serve);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (line, part) in [
            ("metrics --listen", "needs an address"),
            ("metrics --listen 9100", "`9100`"),
            ("metrics --listen 0.0.0.0:9100", "allow_remote"),
            ("", "verb is missing"),
            ("upp a.toml", "`upp`"),
            ("up", "needs the path"),
            ("up --runtime-dir d", "needs the path"),
            ("up a b", "`b`"),
            ("up --fast a", "`--fast`"),
            ("check", "needs the path"),
            ("status --jsom", "`--jsom`"),
            ("sandbox --json", "`--json`"),
            ("status --runtime-dir", "needs a folder"),
            ("status a --runtime-dir b", "not both"),
            ("reload --runtime-dir d", "needs a configuration"),
            ("reload --config", "needs a file"),
            ("ticket-keys", "rotate"),
            ("ticket-keys rotate", "needs what to do and a file"),
            ("ticket-keys rotate --keep", "needs what to do and a file"),
            ("ticket-keys rotate k --keep 1", "--keep needs a number"),
            ("ticket-keys rotate k l", "`l`"),
            ("reload a --config b", "`--config`"),
            ("scale http-filter", "needs a process and how many"),
            ("scale http 2", "'http' is not a process"),
            ("scale http-filter 0", "1 to 64"),
            ("scale http-filter 65", "1 to 64"),
            ("upgrade sni-router http-filter b.toml", "`b.toml`"),
            ("drain shop", "needs a pool and a server"),
            ("undrain --config b.toml", "needs a pool and a server"),
            ("drain shop a:1 b c", "`c`"),
            ("explain", "needs a key"),
            ("explain a b", "`b`"),
            ("help a b", "`b`"),
        ] {
            let complaint = order(line).unwrap_err();
            assert!(complaint.contains(part), "{line}: {complaint}");
        }
    }
}
