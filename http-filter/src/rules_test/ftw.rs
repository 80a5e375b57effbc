//! The regression tests of the Core Rule Set, in the format of go-ftw: what to send, and which rules must or must not match. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use regex::bytes::{Regex, RegexBuilder};

use super::sample::{Told, leniently};
use super::yaml::{self, Node};

/// One request of a test, and what is expected of it.
#[derive(Debug)]
pub struct Case {
    /// `920100-4`, with the number of the stage behind it if there are several.
    pub name: String,
    /// What is sent.
    pub told: Told,
    /// What must come of it.
    pub expected: Expected,
}

/// What must come of a request.
#[derive(Debug, Default)]
pub struct Expected {
    ids: Vec<u64>,
    no_ids: Vec<u64>,
    log: Option<Regex>,
    no_log: Option<Regex>,
    status: Option<u16>,
}

/// Bytes that the compiled pattern of an expectation may take.
const PATTERN_SIZE: usize = 1 << 20;

impl Expected {
    /// Whether only the HTTP layer before the rules can meet it: a status, or that it refuses what rules must not see.
    pub fn is_about_http(&self) -> bool {
        let nothing_to_match = self.ids.is_empty() && self.log.is_none();
        nothing_to_match && (self.status == Some(400) || (self.no_ids.is_empty() && self.no_log.is_none()))
    }

    /// What is not as expected, by the rules that matched and by the lines that they would log; empty if all is.
    pub fn differences(&self, rules: &[u64], log: &[u8]) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let hit = |id: &&u64| rules.contains(id);
        found.extend(self.ids.iter().filter(|id| !hit(id)).map(|id| format!("{id} does not match")));
        found.extend(self.no_ids.iter().filter(hit).map(|id| format!("{id} matches")));
        found.extend(
            self.log.iter().filter(|log_regex| !log_regex.is_match(log)).map(|regex| format!("the log has no {regex}")),
        );
        found
            .extend(self.no_log.iter().filter(|regex| regex.is_match(log)).map(|regex| format!("the log has {regex}")));
        found
    }
}

/// All requests of one file; `rule` is the name of the file without its extension.
///
/// # Errors
/// What is wrong with it.
pub fn read(rule: &str, text: &str) -> Result<Vec<Case>, String> {
    let root = yaml::read(text)?;
    let mut cases = Vec::new();
    for test in root.get("tests").list() {
        let id = test.get("test_id").text().or_else(|| test.get("test_title").text()).unwrap_or("?");
        let stages = test.get("stages").list();
        for (number, stage) in stages.iter().enumerate() {
            // Older files have the stage one level deeper.
            let stage = if let Node::Map(_) = stage.get("stage") { stage.get("stage") } else { stage };
            let mut name = format!("{rule}-{id}");
            if stages.len() > 1 {
                name = format!("{name}.{}", number + 1);
            }
            let told = told(stage.get("input")).map_err(|error| format!("{name}: {error}"))?;
            let expected = expected(stage.get("output")).map_err(|error| format!("{name}: {error}"))?;
            cases.push(Case { name, told, expected });
        }
    }
    Ok(cases)
}

fn expected(output: &Node) -> Result<Expected, String> {
    let log = output.get("log");
    let ids = |key: &str| log.get(key).list().iter().filter_map(|id| id.text()?.parse().ok()).collect();
    let pattern = |texts: [Option<&str>; 2]| {
        let compile = |text: &str| {
            let made = RegexBuilder::new(text).size_limit(PATTERN_SIZE).build();
            made.map_err(|_| format!("`{}` is not a pattern", text.escape_debug()))
        };
        texts.into_iter().flatten().next().map(compile).transpose()
    };
    Ok(Expected {
        ids: ids("expect_ids"),
        no_ids: ids("no_expect_ids"),
        log: pattern([log.get("match_regex").text(), output.get("log_contains").text()])?,
        no_log: pattern([log.get("no_match_regex").text(), output.get("no_log_contains").text()])?,
        status: output.get("status").text().and_then(|status| status.parse().ok()),
    })
}

/// As go-ftw builds the request, and as a lenient server reads it.
fn told(input: &Node) -> Result<Told, String> {
    if let Some(encoded) = input.get("encoded_request").text() {
        let coded: String = encoded.split_whitespace().collect();
        return Ok(leniently(&STANDARD.decode(coded).map_err(|_| "`encoded_request` is not base64")?));
    }
    let or = |key: &str, default: &'static str| input.get(key).text().unwrap_or(default).to_owned();
    let is = |key: &str, default: bool| input.get(key).text().map_or(default, |text| text == "true");
    let complete = is("autocomplete_headers", true) && !is("stop_magic", false);
    let mut headers: Vec<(String, String)> =
        input.get("headers").pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    headers.sort();
    let method = or("method", "GET");
    let mut data = input.get("data").text().unwrap_or_default().as_bytes().to_vec();
    let missing =
        |headers: &[(String, String)], name: &str| !headers.iter().any(|(own, value)| own == name && !value.is_empty());
    let add = |headers: &mut Vec<(String, String)>, name: &str, value: String| {
        if missing(headers, name) {
            headers.retain(|(own, _)| own != name);
            headers.push((name.to_owned(), value));
        }
    };
    const FORM: &str = "application/x-www-form-urlencoded";
    if complete && !data.is_empty() {
        add(&mut headers, "Content-Type", FORM.to_owned());
        let is_form = headers.iter().any(|(name, value)| name == "Content-Type" && value == FORM);
        if is_form && !data.iter().any(|byte| b"%+".contains(byte)) {
            data = encode_form(&data);
        }
    }
    if headers.iter().any(|(name, value)| name == "Content-Type" && value.starts_with("multipart/form-data;")) {
        data = String::from_utf8_lossy(&data).replace('\n', "\r\n").into_bytes();
    }
    if complete {
        add(&mut headers, "Connection", "close".to_owned());
        let takes_body = ["POST", "PUT", "PATCH", "DELETE"].iter().any(|known| method.contains(known));
        if takes_body || !data.is_empty() {
            add(&mut headers, "Content-Length", data.len().to_string());
        }
    }
    let mut bytes = format!("{method} {} {}\r\n", or("uri", "/"), or("version", "HTTP/1.1")).into_bytes();
    headers.sort();
    headers.iter().for_each(|(name, value)| bytes.extend(format!("{name}: {value}\r\n").into_bytes()));
    bytes.extend_from_slice(b"\r\n");
    bytes.extend(data);
    Ok(leniently(&bytes))
}

/// Names and values are escaped (Go's `url.QueryEscape`), the `=` and `&` between them are not.
fn encode_form(data: &[u8]) -> Vec<u8> {
    // go-ftw stops at the end of the data, so nothing behind a last `&` is nothing.
    let data = data.strip_suffix(b"&").unwrap_or(data);
    let mut text = String::new();
    // Of a pair, only the first `=` is one.
    let mut in_value = false;
    for byte in data {
        match byte {
            b'&' => {
                in_value = false;
                text.push('&');
            }
            b'=' if !in_value => {
                in_value = true;
                text.push('=');
            }
            b' ' => text.push('+'),
            b'-' | b'_' | b'.' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => text.push(char::from(*byte)),
            _ => text += &format!("%{byte:02X}"),
        }
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    const FILE: &str = r#"
tests:
  - test_id: 3
    stages:
      - input:
          method: POST
          uri: "/x?y"
          headers: {Host: localhost, User-Agent: ftw}
          data: "a=b c&d==é&"
        output:
          log:
            expect_ids: [942100, 941100]
            no_expect_ids: [920100]
            match_regex: 'id "94\d+"'
  - test_id: 4
    stages:
      - {input: {encoded_request: "R0VUIC8gSFRUUC8xLjENCg0K", uri: /no}, output: {status: 400}}
      - {input: {uri: /second, autocomplete_headers: false}, output: {log: {no_expect_ids: [1]}}}
"#;

    #[test]
    fn tests_are_read_as_go_ftw_reads_them() {
        let cases = read("942100", FILE).unwrap();
        let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names, ["942100-3", "942100-4.1", "942100-4.2"]);
        let told = &cases[0].told;
        assert_eq!(told.body, b"a=b+c&d=%3D%C3%A9");
        assert_eq!(told.header("content-type"), Some(&b"application/x-www-form-urlencoded"[..]));
        assert_eq!((told.header("connection"), told.header("content-length")), (Some(&b"close"[..]), Some(&b"17"[..])));
        assert_eq!((cases[1].told.target.as_slice(), cases[2].told.headers.len()), (&b"/"[..], 0));
        assert_eq!([0, 1, 2].map(|number: usize| cases[number].expected.is_about_http()), [false, true, false]);
    }

    #[test]
    fn expectations() {
        let expected = &read("x", FILE).unwrap()[0].expected;
        assert!(expected.differences(&[942_100, 941_100], b"id \"942100\"").is_empty());
        let differences = expected.differences(&[942_100, 920_100], b"");
        assert_eq!(differences, ["941100 does not match", "920100 matches", "the log has no id \"94\\d+\""]);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, what) in [
            (
                "tests: [{test_id: 1, stages: [{input: {encoded_request: '?'}}]}]",
                "x-1: `encoded_request` is not base64",
            ),
            ("tests: [{test_id: 1, stages: [{output: {log: {match_regex: '('}}}]}]", "x-1: `(` is not a pattern"),
            ("tests: [", "line"),
        ] {
            assert!(read("x", text).unwrap_err().contains(what), "{text}");
        }
    }
}
