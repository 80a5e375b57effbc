//! Reads go-ftw's test files (YAML): what to send and which rules are expected to match.

use std::path::{Path, PathBuf};

use yaml_rust2::{Yaml, YamlLoader};

/// One stage of one test: a request and what is expected of it.
pub struct Case {
    /// The folder of the file, such as `REQUEST-920-PROTOCOL-ENFORCEMENT`.
    pub group: String,
    /// `920100-4`, with the number of the stage behind it if there are several.
    pub name: String,
    pub input: Input,
    pub expected: Expected,
}

/// What to send.
pub struct Input {
    /// The whole request as it goes over the wire; the other fields are not used then.
    pub encoded: Option<Vec<u8>>,
    pub method: String,
    pub uri: String,
    pub version: String,
    pub headers: Vec<(String, String)>,
    pub data: Option<Vec<u8>>,
    /// Whether `Connection`, `Content-Type` and `Content-Length` are added where they are missing.
    pub complete: bool,
}

/// What must come of it.
#[derive(Default)]
pub struct Expected {
    pub ids: Vec<u64>,
    pub no_ids: Vec<u64>,
    pub log: Option<String>,
    pub no_log: Option<String>,
    pub status: Option<u16>,
}

impl Expected {
    /// True if only the HTTP layer before the rules can meet the expectation: a status, or that it refuses what rules must not see.
    pub fn is_about_http(&self) -> bool {
        let nothing_to_match = self.ids.is_empty() && self.log.is_none();
        nothing_to_match && (self.status == Some(400) || (self.no_ids.is_empty() && self.no_log.is_none()))
    }
}

/// All stages under a folder, in the order of the file names.
pub fn load(folder: &Path) -> Vec<Case> {
    let mut files = Vec::new();
    collect(folder, &mut files);
    files.sort();
    files.iter().flat_map(|file| load_file(file)).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder of the tests can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(path);
        }
    }
}

fn load_file(file: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(file).expect("a test file is UTF-8");
    let documents = YamlLoader::load_from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let group = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let mut cases = Vec::new();
    for test in documents.iter().flat_map(|document| document["tests"].as_vec().cloned().unwrap_or_default()) {
        let stages = test["stages"].as_vec().cloned().unwrap_or_default();
        let rule = file.file_stem().unwrap_or_default().to_string_lossy();
        for (number, stage) in stages.iter().enumerate() {
            let mut name = format!("{rule}-{}", test["test_id"].as_i64().unwrap_or_default());
            if stages.len() > 1 {
                name = format!("{name}.{}", number + 1);
            }
            cases.push(Case {
                group: group.clone(),
                name,
                input: input(&stage["input"]),
                expected: expected(&stage["output"]),
            });
        }
    }
    cases
}

fn input(yaml: &Yaml) -> Input {
    let or = |key: &str, default: &str| text(&yaml[key]).unwrap_or_else(|| default.to_owned());
    let encoded = text(&yaml["encoded_request"]).map(|encoded| {
        let mut decoded = Vec::new();
        seclang::transform::Transform::Base64Decode.apply(encoded.trim().as_bytes(), &mut decoded);
        decoded
    });
    let headers = yaml["headers"].as_hash().into_iter().flatten();
    Input {
        encoded,
        method: or("method", "GET"),
        uri: or("uri", "/"),
        version: or("version", "HTTP/1.1"),
        headers: headers
            .map(|(name, value)| (text(name).unwrap_or_default(), text(value).unwrap_or_default()))
            .collect(),
        data: text(&yaml["data"]).map(String::into_bytes),
        complete: yaml["autocomplete_headers"].as_bool().unwrap_or(true)
            && !yaml["stop_magic"].as_bool().unwrap_or(false),
    }
}

fn expected(yaml: &Yaml) -> Expected {
    let ids = |key: &str| {
        yaml["log"][key].as_vec().into_iter().flatten().filter_map(|id| u64::try_from(id.as_i64()?).ok()).collect()
    };
    Expected {
        ids: ids("expect_ids"),
        no_ids: ids("no_expect_ids"),
        log: text(&yaml["log"]["match_regex"]),
        no_log: text(&yaml["log"]["no_match_regex"]),
        status: yaml["status"].as_i64().and_then(|status| u16::try_from(status).ok()),
    }
}

/// A scalar as it was written, more or less.
fn text(yaml: &Yaml) -> Option<String> {
    match yaml {
        Yaml::String(text) | Yaml::Real(text) => Some(text.clone()),
        Yaml::Integer(number) => Some(number.to_string()),
        Yaml::Boolean(value) => Some(value.to_string()),
        _ => None,
    }
}
