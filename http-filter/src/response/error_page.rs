//! Error pages of the configuration: a file with a few placeholders, filled in escaped for its media type. Anything else in the file stays
//! as it is (`${name}` is also how scripts in a page write).

use bytes::Bytes;
use common::config::{self, Files, NamePattern};
use common_http::answer::{escape_html, escape_json, one_line};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};

use crate::route::fixed::MAX_FILE;

/// What is about the body that a page takes the place of.
pub const OF_THE_OLD_BODY: [HeaderName; 7] = [
    http::header::CONTENT_LENGTH,
    http::header::CONTENT_ENCODING,
    http::header::CONTENT_LANGUAGE,
    http::header::CONTENT_RANGE,
    http::header::ETAG,
    http::header::LAST_MODIFIED,
    http::header::ACCEPT_RANGES,
];

/// All pages in their order.
#[derive(Debug, Default)]
pub struct ErrorPages(Box<[Page]>);

/// One page.
#[derive(Debug)]
pub struct Page {
    /// Its media type.
    pub content_type: HeaderValue,
    statuses: Box<[(u16, u16)]>,
    hosts: Box<[NamePattern]>,
    intercept: bool,
    essence: Box<str>,
    escape: fn(&str) -> String,
    pieces: Box<[Piece]>,
}

#[derive(Debug)]
enum Piece {
    Bytes(Box<[u8]>),
    Status,
    Reason,
    Rule,
    RequestId,
}

/// What is filled in.
#[derive(Debug, Clone, Copy)]
pub struct Story<'a> {
    /// The status.
    pub status: StatusCode,
    /// One sentence.
    pub reason: &'a str,
    /// The rule or limit that decided.
    pub rule: Option<&'a str>,
    /// Identity of the request in our log.
    pub request_id: Option<&'a str>,
}

impl ErrorPages {
    /// From the configuration and its files.
    ///
    /// # Errors
    /// A file is too large or was not read.
    pub fn new(pages: &[config::ErrorPage], files: &Files) -> Result<Self, String> {
        let page = |own| Page::new(own, files).map_err(|why| format!("http-filter.error-page: {why}"));
        pages.iter().map(page).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether some page depends on the host.
    pub fn ask_hosts(&self) -> bool {
        self.0.iter().any(|page| !page.hosts.is_empty())
    }

    /// The page for an answer of our own, or of a backend.
    pub fn find(&self, status: StatusCode, host: &str, accept: Option<&HeaderValue>, backend: bool) -> Option<&Page> {
        let suits = |page: &&Page| {
            (page.intercept || !backend)
                && page.statuses.iter().any(|(first, last)| (*first..=*last).contains(&status.as_u16()))
                && (page.hosts.is_empty() || page.hosts.iter().any(|own| own.matches(host)))
        };
        let accepted = |page: &&Page| accept.is_some_and(|accept| page.is_named_in(accept.as_bytes()));
        let all = || self.0.iter().filter(suits);
        all().find(accepted).or_else(|| all().next())
    }
}

impl Page {
    fn new(own: &config::ErrorPage, files: &Files) -> Result<Self, String> {
        let bytes = files.get(&own.file)?;
        if bytes.len() > MAX_FILE {
            return Err(format!("{} is larger than {MAX_FILE} bytes", own.file.display()));
        }
        let essence = own.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let escape = match &*essence {
            kind if kind.contains("html") || kind.contains("xml") => escape_html,
            kind if kind.contains("json") => escape_json,
            _ => one_line,
        };
        Ok(Self {
            content_type: HeaderValue::try_from(&*own.content_type).map_err(|error| error.to_string())?,
            statuses: own.statuses.as_slice().into(),
            hosts: own.hosts.as_slice().into(),
            intercept: own.intercept,
            essence: essence.into(),
            escape,
            pieces: pieces(bytes),
        })
    }

    fn is_named_in(&self, accept: &[u8]) -> bool {
        let own = self.essence.as_bytes();
        accept.windows(own.len()).any(|window| window.eq_ignore_ascii_case(own))
    }

    /// The page with everything filled in.
    pub fn tell(&self, story: &Story<'_>) -> Bytes {
        let mut out = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Bytes(bytes) => out.extend_from_slice(bytes),
                Piece::Status => out.extend_from_slice(story.status.as_str().as_bytes()),
                Piece::Reason => out.extend_from_slice((self.escape)(story.reason).as_bytes()),
                Piece::Rule => out.extend_from_slice((self.escape)(story.rule.unwrap_or_default()).as_bytes()),
                Piece::RequestId => {
                    out.extend_from_slice((self.escape)(story.request_id.unwrap_or_default()).as_bytes());
                }
            }
        }
        out.into()
    }
}

/// A placeholder and the piece it becomes.
type Mark = (&'static [u8], fn() -> Piece);

fn pieces(mut rest: &[u8]) -> Box<[Piece]> {
    const MARKS: [Mark; 4] = [
        (b"${status}", || Piece::Status),
        (b"${reason}", || Piece::Reason),
        (b"${rule}", || Piece::Rule),
        (b"${request_id}", || Piece::RequestId),
    ];
    let mut pieces = Vec::new();
    let mut plain: Vec<u8> = Vec::new();
    while let Some((first, behind)) = rest.split_first() {
        match MARKS.iter().find_map(|(mark, piece)| rest.strip_prefix(*mark).map(|behind| (piece(), behind))) {
            Some((piece, behind)) => {
                pieces.push(Piece::Bytes(std::mem::take(&mut plain).into()));
                pieces.push(piece);
                rest = behind;
            }
            None => {
                plain.push(*first);
                rest = behind;
            }
        }
    }
    pieces.push(Piece::Bytes(plain.into()));
    pieces.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use std::path::PathBuf;

    fn pages() -> ErrorPages {
        let page = |statuses: &[(u16, u16)], file: &str, kind: &str, host: Option<&str>| config::ErrorPage {
            statuses: statuses.to_vec(),
            hosts: host.map(|host| NamePattern::parse(host).unwrap()).into_iter().collect(),
            file: file.into(),
            content_type: kind.into(),
            intercept: file == "html",
        };
        let files = ["host", "html", "json", "text"];
        let files: Files = files
            .map(|name| {
                (PathBuf::from(name), format!("{name} ${{status}} ${{reason}}|${{rule}} ${{x}} $").into_bytes().into())
            })
            .into_iter()
            .collect();
        let own = [
            page(&[(404, 404)], "host", "text/html", Some("*.shop.example")),
            page(&[(400, 499), (503, 503)], "html", "text/html; charset=utf-8", None),
            page(&[(400, 599)], "json", "application/problem+json", None),
            page(&[(502, 502)], "text", "text/plain", None),
        ];
        ErrorPages::new(&own, &files).unwrap()
    }

    #[test]
    fn status_host_and_accept_choose_and_all_is_escaped() {
        let pages = pages();
        let story = |status| Story {
            status: StatusCode::from_u16(status).unwrap(),
            reason: "<a> & \"b\"\n",
            rule: Some("r'"),
            request_id: None,
        };
        let tell = |status: u16, host: &str, accept: Option<&'static str>, backend| {
            let accept = accept.map(HeaderValue::from_static);
            let page = pages.find(StatusCode::from_u16(status).unwrap(), host, accept.as_ref(), backend)?;
            Some(String::from_utf8(page.tell(&story(status)).to_vec()).unwrap())
        };
        let html = |name: &str, status| format!("{name} {status} &lt;a&gt; &amp; &quot;b&quot; |r&#39; ${{x}} $");
        assert_eq!(tell(404, "a.shop.example", None, false).unwrap(), html("host", 404));
        assert_eq!(tell(404, "b.example", None, false).unwrap(), html("html", 404));
        assert_eq!(
            tell(404, "", Some("application/problem+JSON, */*"), false).unwrap(),
            "json 404 \\u003ca> & \\\"b\\\" |r' ${x} $"
        );
        assert_eq!(tell(502, "", Some("text/plain"), false).unwrap(), "text 502 <a> & \"b\" |r' ${x} $");
        assert_eq!(tell(503, "a.shop.example", None, true).unwrap(), html("html", 503));
        assert_eq!(tell(502, "", None, true), None, "only pages with `intercept` speak for backends");
        assert_eq!(tell(300, "", None, false), None);
        assert!(pages.ask_hosts());
    }
}
