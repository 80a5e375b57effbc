//! A configuration as it is written. A process keeps this and not what it means: the text of a thousand sites is a quarter of what
//! it becomes in memory, and nobody needs the whole meaning again but a reload and a question, for which it is read once more.

use std::path::{Path, PathBuf};

use super::{ConfigErrors, Loaded, NamedFiles, digest, load, new_ledger, read_text};

/// A text with what it takes to read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// Name of the file, for messages.
    pub file_name: String,
    /// What relative paths in it are joined to.
    pub base: PathBuf,
    /// The text.
    pub text: Box<str>,
}

impl Text {
    /// Of a file.
    ///
    /// # Errors
    /// That it cannot be read.
    pub fn read(path: &Path) -> Result<Self, ConfigErrors> {
        let file_name = path.display().to_string();
        // Components may run in another directory than the one who named the file.
        let whole = std::path::absolute(path).ok();
        let base = whole.and_then(|whole| whole.parent().map(Path::to_owned)).unwrap_or_default();
        match read_text(path) {
            Ok(text) => Ok(Self { file_name, base, text: text.into() }),
            Err(what) => Err(Self::unreadable(&file_name, what)),
        }
    }

    fn unreadable(file_name: &str, what: String) -> ConfigErrors {
        let ledger = new_ledger(file_name, String::new());
        ledger.report(ledger.error("", what));
        let (errors, warnings) = ledger.into_diagnostics();
        ConfigErrors::new(file_name, errors, warnings)
    }

    /// What it means, as [`super::Config::parse`]. Pure.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(&self) -> Loaded {
        self.parse_with(NamedFiles::Ignored)
    }

    /// The same, with a look at the files that it names.
    ///
    /// # Errors
    /// As [`Self::parse`], and the files that are missed.
    pub fn parse_with(&self, named: NamedFiles) -> Loaded {
        load(&self.text, &self.file_name, &self.base, named)
    }

    /// Stands for it: [`digest`].
    #[must_use]
    pub fn digest(&self) -> String {
        digest(&self.text)
    }
}
