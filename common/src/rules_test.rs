//! The words behind `bulkhead rules test`: the front door reads them to judge the command line, and `http-filter --rules-test`, which does the work, to
//! obey it. One reader, so that the two understand the same. Pure.

use std::ffi::OsString;
use std::path::PathBuf;

/// What is to be tested, with what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RulesTest {
    /// `--config FILE`; without it, and without `rules`, the file where packages put it.
    pub config: Option<PathBuf>,
    /// `--rules PATTERN`: these rule files instead of those of the configuration; without `config`, all other keys are at their defaults.
    pub rules: Vec<PathBuf>,
    /// `--paranoia N`: another level than the configuration's, 1 to 4.
    pub paranoia: Option<u8>,
    /// `--corpus PATH`: files or folders of labelled requests. Without any, and without `crs_tests`, a small one that is built in.
    pub corpora: Vec<PathBuf>,
    /// `--crs-tests DIR`: a file or folder of tests in the format of go-ftw.
    pub crs_tests: Option<PathBuf>,
    /// `--min-detection PERCENT`
    pub min_detection: Option<f64>,
    /// `--max-false-positives PERCENT`
    pub max_false_positives: Option<f64>,
    /// `--list`: each request that was judged otherwise than its label says.
    pub list: bool,
    /// `--json`
    pub json: bool,
}

impl RulesTest {
    /// Reads the words.
    ///
    /// # Errors
    /// A sentence that names what was not understood and what is expected.
    pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut words = words.into_iter();
        let mut order = Self::default();
        while let Some(word) = words.next() {
            let flag = word.to_string_lossy().into_owned();
            let mut value = || {
                let value = words.next().filter(|value| !value.is_empty());
                value.ok_or_else(|| format!("{flag} needs a value after it"))
            };
            match flag.as_str() {
                "--config" => order.config = Some(value()?.into()),
                "--rules" => order.rules.push(value()?.into()),
                "--corpus" => order.corpora.push(value()?.into()),
                "--crs-tests" => order.crs_tests = Some(value()?.into()),
                "--paranoia" => {
                    let level =
                        value()?.to_str().and_then(|level| level.parse().ok()).filter(|level| (1..=4).contains(level));
                    order.paranoia = Some(level.ok_or("--paranoia needs a level from 1 to 4 after it")?);
                }
                "--min-detection" => order.min_detection = Some(percent(&flag, &value()?)?),
                "--max-false-positives" => order.max_false_positives = Some(percent(&flag, &value()?)?),
                "--list" => order.list = true,
                "--json" => order.json = true,
                _ => return Err(format!("`{flag}` is not understood behind `rules test`")),
            }
        }
        if order.crs_tests.is_some()
            && order.corpora.is_empty()
            && (order.min_detection.is_some() || order.max_false_positives.is_some())
        {
            return Err(
                "--min-detection and --max-false-positives are about --corpus FILE, which is missing".to_owned()
            );
        }
        Ok(order)
    }
}

/// `99`, `0.87`, also with `%` behind it.
fn percent(flag: &str, value: &OsString) -> Result<f64, String> {
    let text = value.to_str().unwrap_or_default();
    let number = text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>().ok();
    number
        .filter(|number| (0.0..=100.0).contains(number))
        .ok_or_else(|| format!("{flag} needs a number from 0 to 100 after it"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(line: &str) -> Result<RulesTest, String> {
        RulesTest::read(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn words() {
        let order = read("--rules a --rules b/*.conf --paranoia 2 --corpus c --crs-tests d --min-detection 90% --max-false-positives 0.87 --list --json").unwrap();
        let expected = RulesTest {
            config: None,
            rules: vec!["a".into(), "b/*.conf".into()],
            paranoia: Some(2),
            corpora: vec!["c".into()],
            crs_tests: Some("d".into()),
            min_detection: Some(90.0),
            max_false_positives: Some(0.87),
            list: true,
            json: true,
        };
        assert_eq!(order, expected);
        for (line, what) in [
            ("--corpus", "needs a value"),
            ("--corpus a --paranoia 5", "from 1 to 4"),
            ("--corpus a --min-detection 101", "from 0 to 100"),
            ("--crs-tests a --min-detection 1", "which is missing"),
            ("--corpus a b", "`b` is not understood"),
        ] {
            assert!(read(line).unwrap_err().contains(what), "{line}");
        }
    }
}
