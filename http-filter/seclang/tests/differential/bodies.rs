//! Body processors on generated bodies: the same arguments, files, texts, attributes and flags as libmodsecurity, where both understand the
//! body; and what one of them refuses the other refuses, but for differences that are named here (and in `docs/crs.md`).

use std::fmt::Write as _;

use seclang::body::{BodyLimits, FilePart, Flag, Outcome, Processor, Sink, parse};
use serde_json::json;

use super::oracle::{Oracle, latin1};
use super::random::Random;

/// Every value is put into one variable, which is then logged.
const RULES: &str = r#"
SecRuleEngine DetectionOnly
SecRequestBodyAccess On
SecRule REQUEST_HEADERS:Content-Type "@streq json" "id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "@streq xml" "id:2,phase:1,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule ARGS|FILES "@unconditionalMatch" "id:3,phase:2,pass,nolog,setvar:'tx.all=%{tx.all}%{MATCHED_VAR_NAME}~%{MATCHED_VAR}|'"
SecRule XML:/*|XML://@* "@unconditionalMatch" "id:4,phase:2,pass,nolog,setvar:'tx.all=%{tx.all}%{MATCHED_VAR_NAME}~%{MATCHED_VAR}|'"
SecAction "id:5,phase:2,pass,log,msg:'x',logdata:'%{tx.all}'"
SecRule REQBODY_ERROR "@eq 1" "id:6,phase:2,pass,log,msg:'x'"
SecAction "id:7,phase:2,pass,log,msg:'x',logdata:'%{MULTIPART_BOUNDARY_QUOTED}%{MULTIPART_BOUNDARY_WHITESPACE}%{MULTIPART_DATA_BEFORE}%{MULTIPART_DATA_AFTER}%{MULTIPART_HEADER_FOLDING}%{MULTIPART_LF_LINE}%{MULTIPART_CRLF_LF_LINES}%{MULTIPART_MISSING_SEMICOLON}%{MULTIPART_INVALID_QUOTING}%{MULTIPART_INVALID_HEADER_FOLDING}'"
"#;

/// The flags of rule 7, in its order.
const FLAGS: [Flag; 10] = [
    Flag::MultipartBoundaryQuoted,
    Flag::MultipartBoundaryWhitespace,
    Flag::MultipartDataBefore,
    Flag::MultipartDataAfter,
    Flag::MultipartHeaderFolding,
    Flag::MultipartLfLine,
    Flag::MultipartCrlfLfLines,
    Flag::MultipartMissingSemicolon,
    Flag::MultipartInvalidQuoting,
    Flag::MultipartInvalidHeaderFolding,
];

/// What a body processor found.
#[derive(Debug, Default, PartialEq)]
struct Found {
    values: Vec<String>,
    flags: String,
    refused: bool,
}

impl Sink for Found {
    fn argument(&mut self, name: &[u8], value: &[u8]) {
        self.values.push(format!("ARGS:{}~{}", shown(name), shown(value)));
    }
    fn file(&mut self, file: FilePart<'_>) {
        self.values.push(format!("FILES:{}~{}", shown(file.name), shown(file.filename)));
    }
    fn part_header(&mut self, _part: &[u8], _line: &[u8]) {}
    fn xml_text(&mut self, text: &[u8]) {
        self.values.push(format!("XML:/*~{}", shown(text)));
    }
    fn xml_attribute(&mut self, value: &[u8]) {
        self.values.push(format!("XML://@*~{}", shown(value)));
    }
    fn flag(&mut self, flag: Flag) {
        write!(self.flags, "{flag:?} ").unwrap();
    }
}

/// As the library writes it to its log.
fn shown(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        match byte {
            b'"' | b'\\' | 0..=0x1f | 0x7f.. => write!(text, "\\x{byte:02x}").unwrap(),
            _ => text.push(char::from(*byte)),
        }
        text
    })
}

fn ours(kind: Processor, content_type: &str, body: &[u8]) -> Found {
    let mut found = Found::default();
    let outcome = parse(kind, body, content_type.as_bytes(), &BodyLimits::default(), &mut found);
    // An invalid escape in a form sets URLENCODED_ERROR, not REQBODY_ERROR.
    found.refused = matches!(outcome, Outcome::Malformed(_)) && kind != Processor::UrlEncoded;
    found.flags =
        FLAGS.iter().map(|flag| if found.flags.contains(&format!("{flag:?} ")) { '1' } else { '0' }).collect();
    found.values.sort();
    found
}

/// Nothing if the log has cut what it found.
fn theirs(oracle: &mut Oracle, content_type: &str, body: &[u8]) -> Option<Found> {
    let hits = oracle.hits(
        &json!({ "method": "POST", "uri": "/", "headers": [["Content-Type", content_type]], "body": latin1(body) }),
    );
    let data = |id: u32| hits.iter().find(|hit| hit.id == id).map(|hit| hit.data.clone());
    let all = data(5)?;
    let mut values: Vec<String> =
        all.strip_suffix('|').map_or(Vec::new(), |all| all.split('|').map(str::to_owned).collect());
    values.sort();
    let flags = data(7)?;
    (!all.contains(" characters omitted)")).then(|| Found { values, flags, refused: data(6).is_some() })
}

const JSON: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"a\"",
    b"\"b\"",
    b"\"\"",
    b"\"a\":",
    b"\"b\":1",
    b"1",
    b"-0.5e3",
    b"01",
    b"true",
    b"null",
    b" ",
    b"\"\\u0041\\n\"",
    b"\"\\ud83d\\ude00\"",
    b"\"\xc3\xa9\"",
    b"{\"a\":1}",
    b"[1,2]",
    b"[{\"a\":\"x\"}]",
    b"{\"a\":{\"b\":[1,[2]]}}",
    b"[[],{}]",
];

const XML: &[&[u8]] = &[
    b"<a>",
    b"</a>",
    b"<b c=\"d\">",
    b"</b>",
    b"<e/>",
    b"<f g='1' h=\"2&lt;\"/>",
    b"x",
    b" y ",
    b"&amp;",
    b"&#65;",
    b"&#x3c;",
    b"<!-- z -->",
    b"<![CDATA[<q>]]>",
    b"<?pi?>",
    b"\xc3\xa9",
    b"\r\n",
    b"&no;",
    b"<a:b>",
    b"xmlns:p='q'",
    b"<a></a>",
    b"]]>",
];

const PARTS: &[&[u8]] = &[
    b"--b\r\n",
    b"--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n",
    b"--b\nContent-Disposition: form-data; name=y\n\n",
    b"\r\n--b--\r\n",
    b"--b--",
    b"v",
    b"w w",
    b"\r\n",
    b"\n",
    b"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"g.txt\"\r\nContent-Type: text/plain\r\n\r\n",
    b"--b\r\nContent-Disposition: form-data;\r\n name='z'\r\n\r\n",
    b"--",
    b"--c",
    b"--b\r\nContent-Disposition: form-data; name=\"it's\"\r\n\r\n",
    b"Content-Type: text/plain\r\n",
    b"--b\r\nContent-Disposition: attachment\r\n\r\n",
];

const TYPES: &[&str] = &[
    "multipart/form-data; boundary=b",
    "multipart/form-data; boundary=b",
    "multipart/form-data; boundary=b",
    "multipart/form-data; boundary=\"b\"",
    "multipart/form-data boundary=b",
    "multipart/form-data; boundary =b",
    "multipart/form-data; boundary=bb",
];

/// Compares many bodies; `may_differ` tells which differences are known.
fn compare(
    kind: Processor,
    types: &[&str],
    pieces: &[&[u8]],
    wrap: (&[u8], &[u8]),
    may_differ: fn(&[u8], &Found, &Found) -> bool,
) {
    let Some(mut oracle) = Oracle::start(&[json!({ "text": RULES })]) else { return };
    let (mut random, mut differences, mut understood) = (Random::new(3), Vec::new(), 0);
    for round in 0..2000 {
        let content_type = random.pick(types);
        let mut body = random.text(pieces, 6);
        if round % 2 == 0 {
            body = [wrap.0, &body, wrap.1].concat();
        }
        if body.contains(&b'|') {
            continue;
        }
        let mine = ours(kind, content_type, &body);
        let Some(other) = theirs(&mut oracle, content_type, &body) else { continue };
        understood += usize::from(!mine.refused && !other.refused);
        let same = mine.refused == other.refused
            && (mine.refused
                || (mine.values == other.values && (kind != Processor::Multipart || mine.flags == other.flags)));
        if !same && !may_differ(&body, &mine, &other) {
            differences.push(format!("{content_type} {:?}\n  ours {mine:?}\n  theirs {other:?}", latin1(&body)));
        }
    }
    eprintln!("{kind:?}: {understood} bodies that both understand, {} differences", differences.len());
    assert!(differences.is_empty(), "{}", differences[..differences.len().min(20)].join("\n"));
    assert!(understood > 100);
}

#[test]
fn forms() {
    let pieces: &[&[u8]] = &[b"a", b"=", b"&", b"%41", b"%zz", b"+", b"b=c", b";", b"%3d", b"&&", b"x=%00"];
    compare(Processor::UrlEncoded, &["application/x-www-form-urlencoded"], pieces, (b"q=1&", b"&r=2"), |_, _, _| false);
}

#[test]
fn json() {
    compare(Processor::Json, &["json"], JSON, (b"{\"k\":", b"}"), |_, _, _| false);
}

#[test]
fn xml() {
    compare(Processor::Xml, &["xml"], XML, (b"<r>", b"</r>"), |_, _, _| false);
}

#[test]
fn multipart() {
    let begin: &[u8] = b"--b\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n1\r\n";
    compare(Processor::Multipart, TYPES, PARTS, (begin, b"\r\n--b--\r\n"), |_, ours, theirs| {
        // The library joins the lines of a value, and it wants a line end behind a last boundary that is the only one; we refuse more.
        let join = |value: &String| value.replace("\\x0d", "").replace("\\x0a", "");
        let joined = |found: &Found| found.values.iter().map(join).collect::<Vec<_>>();
        let only_the_end = ours.values.is_empty();
        ours.refused
            || only_the_end
            || (!theirs.refused && joined(ours) == joined(theirs) && ours.flags == theirs.flags)
    });
}
