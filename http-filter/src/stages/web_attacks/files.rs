//! The rule files of one set of rules, as the engine reads files: what was handed over when the process started or reloaded, and never
//! the disk, which is out of reach.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use common::config::Files;
use common::config::rule_files::RuleFiles;

/// See the module's words. Equal ones make the same rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KnownFiles(RuleFiles);

impl KnownFiles {
    /// Those that these patterns lead to. Other files of the process do not count: when only a page of errors has changed, the rules are
    /// the same.
    ///
    /// # Errors
    /// One sentence for each that is missing.
    pub fn new(patterns: &[PathBuf], files: &Files) -> Result<Self, Vec<String>> {
        RuleFiles::of(patterns, files).map(Self)
    }
}

impl seclang::Files for KnownFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path).map(|contents| contents.to_vec()).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn find(&self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.0.find(pattern))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use seclang::{RuleSet, Settings, Source};
    use std::sync::Arc;

    fn files(contents: &[(&str, &str)]) -> Files {
        contents.iter().map(|(path, text)| (PathBuf::from(path), Arc::from(text.as_bytes()))).collect()
    }

    #[test]
    fn the_engine_finds_what_patterns_and_rules_name() {
        let mut given = vec![
            ("/crs/setup.conf", "Include rules/*.conf\nIncludeOptional after.conf"),
            ("/crs/rules/a.conf", "SecRule ARGS \"@pmFromFile ../words.data\" \"id:1,phase:2,deny\""),
            ("/crs/rules/b.conf", "SecRule REMOTE_ADDR \"@ipMatchFromFile nets\" \"id:2,phase:1,deny\""),
            ("/crs/rules/../words.data", "attack"),
            ("/crs/rules/nets", "192.0.2.0/24"),
            ("/pages/error.html", "one"),
        ];
        let patterns = [PathBuf::from("/crs/*.conf")];
        let known = KnownFiles::new(&patterns, &files(&given)).unwrap();
        let sources = patterns.clone().map(Source::Path);
        let rules = RuleSet::load_from(&known, &sources, Settings::default()).unwrap();
        assert_eq!(rules.len(), 2);
        *given.last_mut().unwrap() = ("/pages/error.html", "two");
        assert_eq!(KnownFiles::new(&patterns, &files(&given)).unwrap(), known);
        given.retain(|(path, _)| !path.ends_with(".data"));
        let missing = KnownFiles::new(&patterns, &files(&given)).unwrap_err();
        assert!(missing.join("").contains("/crs/rules/a.conf:1 names /crs/rules/../words.data"), "{missing:?}");
    }
}
