//! A request of a corpus as the rules are told it, and the line or file in which it is written. Pure: bytes in, a request or a sentence out; the files
//! come from strangers, so nothing in them is trusted.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// What a request is, in the eyes of who collected it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// It should be refused.
    Attack,
    /// It should pass.
    Benign,
}

impl Label {
    /// `attack`, `malicious` or `benign`, `legitimate`; as words of a name, too (`2026-attacks.jsonl`).
    pub fn find(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        match (has(&["attack", "malicious", "true-positive"]), has(&["benign", "legit", "false-positive", "harmless"]))
        {
            (true, false) => Some(Self::Attack),
            (false, true) => Some(Self::Benign),
            _ => None,
        }
    }

    /// For reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attack => "attack",
            Self::Benign => "benign",
        }
    }
}

/// Name and value of a header.
pub type Line = (Vec<u8>, Vec<u8>);

/// A request as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Method.
    pub method: Vec<u8>,
    /// Target as the client wrote it.
    pub target: Vec<u8>,
    /// `HTTP/1.1`
    pub protocol: Vec<u8>,
    /// Header lines in their order.
    pub headers: Vec<Line>,
    /// The body without its framing.
    pub body: Vec<u8>,
}

impl Told {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut all = self.headers.iter();
        all.find(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value.as_slice())
    }

    /// What every client sends, where the corpus leaves it out: lists of payloads have no headers, and are not meant to be refused for that.
    fn complete(mut self, bare: bool) -> Self {
        let add = |told: &mut Self, name: &str, value: &str| {
            if told.header(name).is_none() {
                told.headers.push((name.into(), value.into()));
            }
        };
        if bare {
            add(&mut self, "Host", "www.example.org");
            add(&mut self, "User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0");
            add(&mut self, "Accept", "*/*");
            if !self.body.is_empty() {
                add(&mut self, "Content-Type", "application/x-www-form-urlencoded");
            }
        }
        if !self.body.is_empty() && self.header("Transfer-Encoding").is_none() {
            let length = self.body.len().to_string();
            add(&mut self, "Content-Length", &length);
        }
        self
    }
}

/// A request with what is said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// `None`: neither the request nor the name of its file says it.
    pub label: Option<Label>,
    /// The set to which it belongs; `None`: that of its file.
    pub set: Option<String>,
    /// The request.
    pub told: Told,
}

/// Longest name of a set that is kept, in characters.
const SET_NAME: usize = 64;

/// Reads one object: `{"label": "attack" or "benign", "set", "method", "uri" (or "path", "url"), "headers": {..} or [[name, value], ..],
/// "body" (or "data"), "body_base64"}`. A request without `headers` gets those that every client sends.
///
/// # Errors
/// What is wrong with it.
pub fn from_json(value: &Value) -> Result<Sample, String> {
    let object = value.as_object().ok_or("this is not an object with a request")?;
    let text = |names: &[&str]| -> Result<Option<&str>, String> {
        let found =
            names.iter().find_map(|name| object.get(*name).filter(|value| !value.is_null()).map(|value| (name, value)));
        found.map(|(name, value)| value.as_str().ok_or_else(|| format!("`{name}` is not a text"))).transpose()
    };
    let label = text(&["label"])?;
    let target = text(&["uri", "path", "url", "target"])?.ok_or("`uri` is missing")?;
    let headers = headers(object.get("headers"))?;
    let body = match text(&["body_base64"])? {
        Some(coded) => STANDARD.decode(coded).map_err(|_| "`body_base64` is not base64")?,
        None => text(&["body", "data"])?.unwrap_or_default().as_bytes().to_vec(),
    };
    let bare = headers.is_empty();
    let mut told = Told {
        method: text(&["method"])?.unwrap_or("GET").as_bytes().to_vec(),
        target: target.as_bytes().to_vec(),
        protocol: text(&["protocol", "version"])?.unwrap_or("HTTP/1.1").as_bytes().to_vec(),
        headers,
        body,
    };
    if let Some((host, path)) = behind_scheme(target) {
        told.target = if path.is_empty() { b"/".to_vec() } else { path.as_bytes().to_vec() };
        if told.header("Host").is_none() {
            told.headers.insert(0, (b"Host".to_vec(), host.as_bytes().to_vec()));
        }
    }
    let set = text(&["set"])?.map(|name| name.chars().filter(|char| !char.is_control()).take(SET_NAME).collect());
    let label =
        label.map(|text| Label::find(text).ok_or("`label` is neither \"attack\" nor \"benign\"")).transpose()?;
    Ok(Sample { label, set, told: told.complete(bare) })
}

/// `https://host/path` as corpora of crawlers have it.
fn behind_scheme(target: &str) -> Option<(&str, &str)> {
    let rest = target.strip_prefix("http://").or_else(|| target.strip_prefix("https://"))?;
    Some(rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())))
}

fn headers(value: Option<&Value>) -> Result<Vec<Line>, String> {
    let pair = |name: &str, value: &Value| match value {
        Value::String(value) => Ok((name.as_bytes().to_vec(), value.as_bytes().to_vec())),
        Value::Number(number) => Ok((name.as_bytes().to_vec(), number.to_string().into_bytes())),
        _ => Err(format!("the header `{}` is not a text", name.escape_debug())),
    };
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Object(all)) => all.iter().map(|(name, value)| pair(name, value)).collect(),
        Some(Value::Array(all)) => all
            .iter()
            .map(|line| match line.as_array().map(Vec::as_slice) {
                Some([Value::String(name), value]) => pair(name, value),
                _ => Err("`headers` is a list, but not of pairs of name and value".to_owned()),
            })
            .collect(),
        Some(_) => Err("`headers` is neither an object nor a list of pairs".to_owned()),
    }
}

/// Reads a whole request as it goes over the wire, with CR LF or LF alone at the ends of its lines: what a lenient HTTP/1 server makes of it.
///
/// # Errors
/// It has no request line.
pub fn from_wire(bytes: &[u8]) -> Result<Told, String> {
    let told = leniently(bytes);
    let whole = !told.method.is_empty() && !told.target.is_empty();
    whole.then_some(told).ok_or_else(|| "the first line is not METHOD TARGET HTTP/1.1".to_owned())
}

/// The same where even a request line may be missing, as tests have it.
pub fn leniently(bytes: &[u8]) -> Told {
    let mut rest = bytes;
    let first = line(&mut rest);
    let mut words = first.splitn(2, |byte| *byte == b' ');
    let (method, others) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (target, protocol) = match others.iter().rposition(|byte| *byte == b' ') {
        Some(at) => (others.get(..at).unwrap_or_default(), others.get(at + 1..).unwrap_or_default()),
        None => (others, &b""[..]),
    };
    let protocol = if protocol.is_empty() { b"HTTP/0.9" } else { protocol };
    let mut told =
        Told { method: method.to_vec(), target: target.to_vec(), protocol: protocol.to_vec(), ..Told::default() };
    loop {
        let line = line(&mut rest);
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default().trim_ascii();
        told.headers.push((line.get(..colon).unwrap_or_default().to_vec(), value.to_vec()));
    }
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<usize>().ok();
    if told.header("Transfer-Encoding").is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked")) {
        told.body = chunked(rest);
        // RFC 9112 section 6.3: with both, Transfer-Encoding counts and the length is removed.
        told.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(b"content-length"));
    } else if let Some(length) = told.header("Content-Length") {
        let length = number(length).unwrap_or(rest.len());
        told.body = rest.get(..length).unwrap_or(rest).to_vec();
    }
    told
}

/// The next line without its end.
fn line<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
    let (line, after) = rest.split_at_checked(end).unwrap_or((*rest, &[]));
    *rest = after;
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The content of a chunked body, as far as it goes.
fn chunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let size = line(&mut rest);
        let digits = size.split(|byte| *byte == b';').next().unwrap_or_default();
        let size = std::str::from_utf8(digits).ok().and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let Some(size) = size.filter(|size| *size > 0 && !rest.is_empty()) else { return body };
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        body.extend_from_slice(chunk);
        rest = after;
        line(&mut rest);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn lines_of_a_corpus() {
        let sample = from_json(&json!({
            "label": "malicious", "set": "sqli\u{7}", "method": "POST", "path": "/a?b", "headers": {"Host": "h", "X": 1}, "data": "c=d"
        }))
        .unwrap();
        assert_eq!((sample.label, sample.set.as_deref()), (Some(Label::Attack), Some("sqli")));
        let told = sample.told;
        assert_eq!((told.method.as_slice(), told.target.as_slice()), (&b"POST"[..], &b"/a?b"[..]));
        assert_eq!((told.header("content-length"), told.header("x")), (Some(&b"3"[..]), Some(&b"1"[..])));
        assert_eq!(told.header("user-agent"), None, "who gives headers gives all of them");

        let bare = from_json(&json!({ "uri": "https://shop.example?q=1", "body_base64": "/w==" })).unwrap();
        assert_eq!((bare.label, bare.told.target.as_slice()), (None, &b"?q=1"[..]));
        assert_eq!((bare.told.header("host"), bare.told.body.as_slice()), (Some(&b"shop.example"[..]), &b"\xff"[..]));
        assert!(bare.told.header("User-Agent").is_some() && bare.told.header("Content-Type").is_some());

        for (wrong, what) in [
            (json!([]), "not an object"),
            (json!({}), "`uri` is missing"),
            (json!({ "uri": 1 }), "`uri` is not a text"),
            (json!({ "uri": "/", "label": "x" }), "neither"),
            (json!({ "uri": "/", "headers": "x" }), "neither an object"),
            (json!({ "uri": "/", "headers": [["a"]] }), "not of pairs"),
            (json!({ "uri": "/", "body_base64": "?" }), "not base64"),
        ] {
            assert!(from_json(&wrong).unwrap_err().contains(what), "{wrong}");
        }
    }

    #[test]
    fn labels_are_found_in_names() {
        assert_eq!(Label::find("sqli-attacks.jsonl"), Some(Label::Attack));
        assert_eq!(Label::find("Legitimate/a.json"), Some(Label::Benign));
        assert_eq!(Label::find("attacks-and-benign"), None);
        assert_eq!(Label::find("x"), None);
    }

    #[test]
    fn requests_from_the_wire() {
        let told = from_wire(b"POST /a b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nabc").unwrap();
        assert_eq!((told.target.as_slice(), told.body.as_slice()), (&b"/a b"[..], &b"ab"[..]));
        let told = from_wire(
            b"PUT / HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length: 9\n\n3;x=y\nabc\n2\r\nde\r\n0\r\n\r\n",
        )
        .unwrap();
        assert_eq!((told.body.as_slice(), told.headers.len()), (&b"abcde"[..], 1));
        assert_eq!(from_wire(b"GET /").unwrap().protocol, b"HTTP/0.9");
        assert!(from_wire(b"").is_err() && from_wire(b"GET").is_err());
    }

    proptest! {
        #[test]
        fn nothing_in_a_file_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), head in 0..3_usize) {
            let heads: [&[u8]; 3] = [b"", b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: "];
            let _ = from_wire(&[heads[head % 3], &bytes].concat());
            if let Ok(value) = serde_json::from_slice::<Value>(&bytes) {
                let _ = from_json(&value);
            }
        }
    }
}
