//! The rules that are tested, made by the code that makes them for requests: those of a configuration, in blocking mode, or rule files by themselves.

use std::path::{Path, PathBuf};

use common::config::{Config, Files, NamedFiles, PathPolicy, Text, WebAttackMode, WebAttacks};
use common::process::Process;
use common::rules_test::RulesTest;
use common_http::normalise;

use crate::stages::access_list;
use crate::stages::web_attacks::rules::{Recipe, Rules};
use crate::stages::web_attacks::scope::Scopes;

/// Where the packages put the configuration.
const DEFAULT_CONFIG: &str = "/etc/bulkhead/bulkhead.toml";
/// The least that is a configuration.
const DEFAULTS: &str = r#"
[[sni-router.listen]]
name = "http"
address = "127.0.0.1:80"
protocol = "http"
[[http-filter.route]]
name = "all"
pool = "all"
[[pool]]
name = "all"
servers = "127.0.0.1:8080"
[http-filter.web-attacks]
mode = "block"
"#;
/// Hits of a request that are remembered, and bytes of each: tests look for every one, and at what it says.
const HITS: (usize, usize) = (1000, 4096);

/// What requests are judged by.
#[derive(Debug)]
pub struct Setup {
    /// What is configured, in blocking mode.
    pub own: WebAttacks,
    /// The rules.
    pub rules: Rules,
    /// What holds for which requests.
    pub scopes: Scopes,
    /// Which paths are understood.
    pub paths: normalise::PathPolicy,
    config: Config,
    files: Files,
}

/// Reads and compiles everything.
///
/// # Errors
/// What is wrong with the configuration or the rules, a line each.
pub fn configured(order: &RulesTest) -> Result<Setup, String> {
    let text = if order.rules.is_empty() || order.config.is_some() {
        Text::read(order.config.as_deref().unwrap_or(Path::new(DEFAULT_CONFIG))).map_err(|errors| errors.to_string())?
    } else {
        alone(&[])
    };
    let mut config = parse(&text)?;
    let mut files = opened(&config)?;
    if !order.rules.is_empty() {
        let other = parse(&alone(&order.rules))?;
        let more = opened(&other)?;
        let both = files
            .iter()
            .chain(more.iter())
            .map(|(path, contents)| (path.to_owned(), contents.cloned().map_err(Clone::clone)));
        files = Files::with_faults(both.collect::<Vec<_>>());
        config.http_filter.web_attacks.rules = other.http_filter.web_attacks.rules;
    }
    let own = &mut config.http_filter.web_attacks;
    own.paranoia = order.paranoia.unwrap_or(own.paranoia);
    // What would only be logged is to count, too; what is not looked at stays so.
    own.mode = WebAttackMode::Block;
    own.scopes.iter_mut().for_each(|scope| scope.mode = scope.mode.filter(|mode| *mode == WebAttackMode::Off));
    Setup::new(config, files, None)
}

/// A configuration of nothing but these rule files.
fn alone(rules: &[PathBuf]) -> Text {
    let names: Vec<String> = rules.iter().map(|path| quoted(path)).collect();
    let text = format!("{DEFAULTS}rules = [{}]\n", names.join(", "));
    Text { file_name: "(--rules)".to_owned(), base: std::env::current_dir().unwrap_or_default(), text: text.into() }
}

/// A path as a text of TOML.
fn quoted(path: &Path) -> String {
    let escape = |char: char| match char {
        '"' | '\\' => format!("\\{char}"),
        char if char.is_control() => format!("\\U{:08x}", u32::from(char)),
        char => char.to_string(),
    };
    format!("\"{}\"", path.to_string_lossy().chars().map(escape).collect::<String>())
}

fn parse(text: &Text) -> Result<Config, String> {
    let (config, warnings) = text.parse_with(NamedFiles::Required).map_err(|errors| errors.to_string())?;
    warnings.iter().for_each(common::complain::complain);
    Ok(config)
}

fn opened(config: &Config) -> Result<Files, String> {
    Files::read(&config.files, Process::HttpFilter).map_err(joined)
}

fn joined(errors: Vec<String>) -> String {
    errors.iter().map(|error| format!("error: {error}")).collect::<Vec<_>>().join("\n")
}

impl Setup {
    fn new(config: Config, files: Files, remembering: Option<(usize, usize)>) -> Result<Self, String> {
        let own = config.http_filter.web_attacks.clone();
        let recipe = Recipe::new(&own, &files).map_err(joined)?;
        let recipe = match remembering {
            Some((hits, shown)) => recipe.remembering(hits, shown),
            None => recipe,
        };
        let rules = recipe.load().map_err(joined)?.warm();
        let environment = access_list::environment(&config, &files).map_err(|error| format!("error: {error}"))?;
        let scopes = Scopes::new(&own, &rules.set, &environment).map_err(joined)?;
        scopes.notes().iter().for_each(|note| common::complain::complain(format_args!("warning: {note}")));
        let paths = match config.http_filter.path {
            PathPolicy::Normalise => normalise::PathPolicy::Normalise,
            PathPolicy::RejectAmbiguous => normalise::PathPolicy::RejectAmbiguous,
        };
        Ok(Self { own, rules, scopes, paths, config, files })
    }

    /// The same rules as the tests of the Core Rule Set want them: all of them, and room for bodies that a server would not let in.
    ///
    /// # Errors
    /// As [`configured`] has.
    pub fn for_tests(&self) -> Result<Self, String> {
        let mut config = self.config.clone();
        let own = &mut config.http_filter.web_attacks;
        (own.paranoia, own.max_arguments, own.max_depth, own.responses) = (4, 1000, 512, true);
        (own.scopes, own.excludes) = (Vec::new(), Vec::new());
        Self::new(config, self.files.clone(), Some(HITS))
    }

    /// The message of a rule, without what it says about one request.
    pub fn message(&self, id: u64) -> Option<String> {
        let rule = self.rules.set.rule(id)?;
        Some(rule.message?.split("%{").next().unwrap_or_default().to_owned())
    }

    /// Where the rules come from.
    pub fn origin(&self) -> String {
        if self.own.rules.is_empty() {
            return "the starter rules that are built in".to_owned();
        }
        self.own.rules.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    }
}
