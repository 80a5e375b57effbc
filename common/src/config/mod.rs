//! One TOML file, judged as a whole before anything is opened.
//!
//! The way of a file: text → `tree` (values with their places, judged key by key against [`reference`]) → `read` (the
//! sections) → `cross` (what needs the whole file) → [`checked`] (types that cannot hold an invalid state). `files` looks
//! for the files it names; it is a step of its own and not everybody takes it. Nothing stops at the first error.
//!
//! Who loads the file takes its own part and drops the rest. Secrets are paths in the file, never values. What the
//! components alone can judge (keys that match certificates, hashes of passwords) is asked of them by `bulkhead check`.

pub mod archive;
pub mod checked;
mod cross;
mod diagnostic;
mod files;
mod ledger;
mod located;
mod nearest;
pub mod pattern;
mod read;
pub mod reference;
pub mod restart;
pub mod rule_files;
mod scalar;
pub mod template;
#[cfg(test)]
mod tests;
mod text;
mod text_pattern;
mod tree;
mod value;

pub use checked::*;
pub use diagnostic::{ConfigErrors, Diagnostic, Severity, Source, Warning};
pub use files::{FileReference, Files};
pub use located::Located;
pub use nearest::nearest;
pub use pattern::{
    HeaderPattern, HeaderValuePattern, Host, NamePattern, NetworkSet, PathPattern, PortSet, ServerAddress,
};
pub use text::Text;
pub use text_pattern::TextPattern;

use cross::Drafts;
use ledger::Ledger;
use read::{access, forward, general, http, log, metrics, pool, router, terminator};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use toml::de::DeTable;
use tree::Section;

/// Largest file that is read, in bytes.
pub const MAX_FILE: u64 = 4 << 20;

/// Most syntax errors that are shown: the later ones follow from the earlier ones.
const MAX_SYNTAX_ERRORS: usize = 10;

/// A configuration with what should be said about it, or why there is none.
pub type Loaded = Result<(Config, Vec<Warning>), ConfigErrors>;

impl Config {
    /// Reads and judges a file. The files it names are *not* looked for: a component calls this, and it may not be
    /// allowed to read the files of the others.
    ///
    /// # Errors
    /// Everything that is wrong with the file, or that it cannot be read.
    pub fn load(path: &Path) -> Loaded {
        Text::read(path)?.parse()
    }

    /// Judges a text. Pure: nothing is read; relative paths are joined to `base`.
    ///
    /// # Errors
    /// Everything that is wrong with the text.
    pub fn parse(text: &str, file_name: &str, base: &Path) -> Loaded {
        load(text, file_name, base, NamedFiles::Ignored)
    }
}

impl Default for Config {
    /// What holds when nothing is said: every default, no listener, nothing to do.
    fn default() -> Config {
        assemble(&new_ledger("", String::new()), &DeTable::new(), Path::new(""))
    }
}

/// What to do about the files that the file names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedFiles {
    /// They are not looked for: pure.
    Ignored,
    /// Every one must be there and readable. For `bulkhead check` and the launcher.
    Required,
    /// The same for a reload: what is wrong with the certificate of a site is a warning, since the process that serves it may
    /// keep the last good one, and knows whether it has one.
    Kept,
}

fn load(text: &str, file_name: &str, base: &Path, named: NamedFiles) -> Loaded {
    let ledger = new_ledger(file_name, text.to_owned());
    let config = judge(&ledger, base);
    if named != NamedFiles::Ignored {
        files::check(&ledger, named == NamedFiles::Kept);
    }
    finish(ledger, config)
}

/// The text of a configuration file.
///
/// # Errors
/// Why it cannot be read, without the name of the file.
pub fn read_text(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| format!("the configuration cannot be opened: {error}"))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("the configuration cannot be read: {error}"))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE {
        return Err(format!("the configuration is larger than {MAX_FILE} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let sound = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = sound.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("the configuration is not UTF-8 text: line {line} has bytes that are not")
    })
}

/// Stands for a text: two processes with the same one work with the same configuration. 16 hexadecimal digits.
#[must_use]
pub fn digest(text: &str) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn new_ledger(name: &str, text: String) -> Ledger {
    Ledger::new(Source { name: name.to_owned(), text })
}

fn finish(ledger: Ledger, config: Option<Config>) -> Loaded {
    let name = ledger.source.name.clone();
    let (errors, mut warnings) = ledger.into_diagnostics();
    warnings.sort_by_key(Diagnostic::position);
    match config {
        Some(config) if errors.is_empty() => Ok((config, warnings)),
        _ => Err(ConfigErrors::new(&name, errors, warnings)),
    }
}

/// The whole judgement. `None`: the text is not TOML at all (reported).
fn judge(ledger: &Ledger, base: &Path) -> Option<Config> {
    let source = ledger.source.clone();
    let (document, syntax) = DeTable::parse_recoverable(&source.text);
    for error in syntax.iter().take(MAX_SYNTAX_ERRORS) {
        let place = error.span().unwrap_or(0..0);
        let what = format!("this is not TOML: {}", error.message());
        ledger.report(ledger.error("", what).at(&place, "here"));
    }
    if !syntax.is_empty() {
        return None;
    }
    Some(assemble(ledger, document.get_ref(), base))
}

fn assemble<'a>(ledger: &'a Ledger, document: &'a DeTable<'a>, base: &Path) -> Config {
    let root = Section::root(ledger, document);
    let drafts = Drafts {
        routes: root.tables("route").iter().filter_map(router::route).collect(),
        pools: root.tables("pool").iter().filter_map(|section| pool::pool(section, base)).collect(),
        sites: root.tables("site").iter().filter_map(|section| terminator::site(section, base)).collect(),
        http_routes: root
            .table("http-filter")
            .tables("route")
            .iter()
            .filter_map(|section| http::route(section, base))
            .collect(),
    };
    let http_routes = drafts.http_routes.iter().map(|draft| draft.route.clone()).collect();
    let mut config = Config {
        bulkhead: general::shared(&root.table("bulkhead")),
        log: log::log(&root.table("log")),
        metrics: metrics::metrics(&root.table("metrics")),
        access: access::access(&root.table("access"), base),
        sni_router: router::sni_router(&root.table("sni-router")),
        routes: drafts.routes.iter().map(|draft| draft.route.clone()).collect(),
        pools: drafts.pools.iter().map(|draft| draft.pool.clone()).collect(),
        passthrough_relay: general::relay(&root.table("passthrough-relay")),
        tls_terminator: terminator::tls_terminator(&root.table("tls-terminator"), base),
        sites: drafts.sites.iter().map(|draft| draft.site.clone()).collect(),
        http_filter: http::http_filter(&root.table("http-filter"), http_routes, base),
        forward_proxy: forward::forward_proxy(&root.table("forward-proxy"), base),
        files: Vec::new(),
    };
    access::country_file(ledger, &config);
    config.files = ledger.files.borrow().iter().map(files::FileReference::from).collect();
    cross::judge(ledger, &config, &drafts);
    config
}
