//! From the words behind `explain` to the question. Pure.
//!
//! A URL is taken apart and nothing more: what is odd about it is for the processes to judge, as they would judge a client's.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use common::ipc::messages::explain::{Explain, MAX_BODY};

use crate::command_line::{DEFAULT_CONFIG, Place};

/// `bulkhead explain URL …` or `bulkhead explain --proxy …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestOrder {
    /// Whom to ask.
    pub place: Place,
    /// `--json`
    pub json: bool,
    /// `--proxy`: a client that goes out.
    pub proxy: bool,
    /// What is asked, in a line.
    pub title: String,
    /// `--client-cert`: a file with the certificate that the client shows, in PEM.
    pub client_cert: Option<PathBuf>,
    /// `--data @FILE`: a file with the body.
    pub body: Option<PathBuf>,
    /// The request.
    pub question: Explain,
}

/// The words, sorted.
#[derive(Default)]
struct Found {
    place: Option<Place>,
    json: bool,
    proxy: bool,
    from: Option<IpAddr>,
    method: Option<String>,
    headers: Vec<(Box<str>, Box<str>)>,
    listener: Option<String>,
    server_name: Option<String>,
    tls_version: Option<&'static str>,
    ja4: Option<String>,
    user: Option<String>,
    client_cert: Option<PathBuf>,
    data: Option<String>,
    rest: Vec<String>,
}

/// Whether these words ask about a request and not about a key.
#[must_use]
pub fn is_request(words: &[OsString]) -> bool {
    words.iter().any(|word| {
        let word = word.to_string_lossy();
        word == "--proxy" || word.contains("://")
    })
}

/// Reads them.
///
/// # Errors
/// What was not understood, and what is expected.
pub fn read(words: Vec<OsString>) -> Result<RequestOrder, String> {
    let found = sort(words)?;
    if found.proxy { outward(found) } else { inward(found) }
}

fn sort(words: Vec<OsString>) -> Result<Found, String> {
    let mut found = Found::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let word = word.to_string_lossy().into_owned();
        if word == "--config" || word == "--runtime-dir" {
            let path = words.next().filter(|path| !path.is_empty()).ok_or(format!("{word} needs a path after it"))?;
            let place = if word == "--config" { Place::Config(path.into()) } else { Place::RuntimeDir(path.into()) };
            if found.place.replace(place).is_some() {
                return Err("give one of --config FILE and --runtime-dir DIR, once".to_owned());
            }
            continue;
        }
        let mut value = || match words.next() {
            Some(value) => Ok(value.to_string_lossy().into_owned()),
            None => Err(format!("{word} needs a value after it")),
        };
        match word.as_str() {
            "--json" => found.json = true,
            "--proxy" => found.proxy = true,
            "--from" => {
                let text = value()?;
                found.from = Some(text.parse().map_err(|_| format!("--from {text}: expected an IP address"))?);
            }
            "--method" => found.method = Some(value()?),
            "--header" => found.headers.push(header(&value()?)?),
            "--listener" => found.listener = Some(value()?),
            "--server-name" => found.server_name = Some(value()?),
            "--ja4" => found.ja4 = Some(value()?),
            "--client-cert" => found.client_cert = Some(value()?.into()),
            "--data" => found.data = Some(value()?),
            "--user" => found.user = Some(value()?),
            "--tls-version" => {
                found.tls_version = Some(match value()?.as_str() {
                    "1.2" => "TLSv1.2",
                    "1.3" => "TLSv1.3",
                    other => return Err(format!("--tls-version {other}: expected 1.2 or 1.3")),
                });
            }
            flag if flag.starts_with('-') => return Err(format!("there is no flag `{flag}` here")),
            _ => found.rest.push(word),
        }
    }
    Ok(found)
}

fn header(text: &str) -> Result<(Box<str>, Box<str>), String> {
    let (name, value) = text.split_once(':').ok_or(format!("--header {text}: expected \"Name: value\""))?;
    Ok((name.trim().into(), value.trim().into()))
}

/// A URL in its parts.
struct Url<'a> {
    secure: bool,
    authority: &'a str,
    target: String,
}

fn url(text: &str) -> Result<Url<'_>, String> {
    let (scheme, rest) = text.split_once("://").ok_or(format!("{text}: expected http:// or https://"))?;
    let secure = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => false,
        other => return Err(format!("{other}://: expected http:// or https://")),
    };
    let rest = rest.split('#').next().unwrap_or_default(); // a fragment is never sent
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    if authority.is_empty() || authority.contains('@') {
        return Err(format!("{text}: expected a host, without a user"));
    }
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    Ok(Url { secure, authority, target })
}

/// Host without brackets, and port.
fn split(authority: &str, default: u16) -> Result<(String, u16), String> {
    let bad = || format!("{authority}: expected HOST or HOST:PORT");
    let (host, port) = match authority.strip_prefix('[') {
        Some(inside) => inside.split_once(']').ok_or_else(bad)?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => default,
        None => return Err(bad()),
        Some("") => default,
        Some(digits) => digits.parse().map_err(|_| bad())?,
    };
    Ok((host.to_owned(), port))
}

fn inward(mut found: Found) -> Result<RequestOrder, String> {
    let [text] = &found.rest[..] else { return Err("`explain` needs one URL or one key".to_owned()) };
    if found.user.is_some() {
        return Err("--user belongs to --proxy: here nobody logs in".to_owned());
    }
    if found.client_cert.is_some() && !is_https(&found.rest) {
        return Err("--client-cert needs an https:// URL: certificates are shown in TLS handshakes".to_owned());
    }
    let text = text.clone();
    let default = take_body(&mut found)?;
    let Url { secure, authority, target } = url(&text)?;
    let (host, port) = split(authority, if secure { 443 } else { 80 })?;
    let server_name = match found.server_name.take() {
        Some(name) => (!name.is_empty()).then_some(name),
        // RFC 6066 section 3: an address is no server name.
        None => host.parse::<IpAddr>().is_err().then_some(host),
    };
    let server_name = server_name.map(|name| name.trim_end_matches('.').to_ascii_lowercase().into());
    let host_header = found.headers.iter().position(|(name, _)| name.eq_ignore_ascii_case("host"));
    let authority: Box<str> = match host_header {
        Some(at) => found.headers.remove(at).1,
        None => authority.into(),
    };
    let question = Explain {
        port,
        secure,
        server_name: server_name.filter(|_| secure),
        authority,
        target: target.into(),
        ..blank(&found, default)
    };
    let title = format!("{} {text} from {}", question.method, question.client);
    Ok(order(found, title, question))
}

fn is_https(words: &[String]) -> bool {
    words.iter().any(|word| word.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")))
}

/// What `--data` means: like curl's, a form unless a header says otherwise, and a POST. The method without `--method`.
fn take_body(found: &mut Found) -> Result<&'static str, String> {
    let Some(data) = &found.data else { return Ok("GET") };
    if data.len() > MAX_BODY {
        return Err(format!("--data: more than {MAX_BODY} bytes do not fit into the question"));
    }
    if !found.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        found.headers.push(("Content-Type".into(), "application/x-www-form-urlencoded".into()));
    }
    Ok("POST")
}

/// `--proxy [CONNECT] HOST:PORT` or `--proxy [METHOD] http://…`
fn outward(found: Found) -> Result<RequestOrder, String> {
    if found.client_cert.is_some() {
        return Err("--client-cert does not go with --proxy: forward-proxy asks for passwords".to_owned());
    }
    if found.data.is_some() {
        return Err("--data does not go with --proxy: forward-proxy looks at no body".to_owned());
    }
    let usage =
        "`explain --proxy` needs where a client wants to go: CONNECT example.org:443, or GET http://example.org/";
    let (method, text) = match &found.rest[..] {
        [target] => (None, target.clone()),
        [method, target] if found.method.is_none() => (Some(method.clone()), target.clone()),
        _ => return Err(usage.to_owned()),
    };
    let absolute = text.contains("://");
    let default = if absolute { "GET" } else { "CONNECT" };
    let blank = blank(&found, method.as_deref().unwrap_or(default));
    if (&*blank.method == "CONNECT") == absolute {
        return Err(usage.to_owned());
    }
    let (authority, target): (Box<str>, Box<str>) = if absolute {
        match url(&text)? {
            Url { secure: true, .. } => return Err("https goes through a proxy by CONNECT HOST:443".to_owned()),
            Url { authority, target, .. } => (authority.into(), target.into()),
        }
    } else {
        (text.as_str().into(), "".into())
    };
    let question = Explain { authority, target, user: found.user.as_deref().map(Into::into), ..blank };
    let title = format!("{} {text} from {} through the forward proxy", question.method, question.client);
    Ok(order(found, title, question))
}

fn blank(found: &Found, method: &str) -> Explain {
    Explain {
        client: found.from.unwrap_or(Ipv4Addr::LOCALHOST.into()),
        listener: found.listener.as_deref().map(Into::into),
        port: 0,
        secure: false,
        server_name: None,
        alpn: vec!["h2".into(), "http/1.1".into()],
        protocol: None,
        tls_version: found.tls_version.unwrap_or("TLSv1.3").into(),
        ja4: found.ja4.as_deref().unwrap_or_default().into(),
        certificate: None,
        identity: None,
        method: found.method.as_deref().unwrap_or(method).into(),
        authority: "".into(),
        target: "".into(),
        headers: found.headers.clone(),
        body: found.data.as_ref().map(|data| data.as_bytes().into()),
        user: None,
        reach: None,
    }
}

fn order(found: Found, title: String, question: Explain) -> RequestOrder {
    let place = found.place.unwrap_or_else(|| Place::Config(DEFAULT_CONFIG.into()));
    let body = found.data.as_deref().and_then(|data| data.strip_prefix('@')).map(Into::into);
    let client_cert = found.client_cert;
    RequestOrder { place, json: found.json, proxy: found.proxy, title, client_cert, body, question }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn order(words: &[&str]) -> Result<RequestOrder, String> {
        read(words.iter().map(OsString::from).collect())
    }

    #[test]
    fn bodies_are_forms_and_posted_unless_something_else_is_said() {
        let question = order(&["https://a.test", "--data", "q=1"]).unwrap().question;
        assert_eq!((&*question.method, question.body.as_deref()), ("POST", Some(&b"q=1"[..])));
        assert_eq!(&*question.headers[0].1, "application/x-www-form-urlencoded");
        let words = ["https://a.test", "--data", "{}", "--header", "content-type: application/json", "--method", "PUT"];
        let question = order(&words).unwrap().question;
        assert_eq!((&*question.method, question.headers.len()), ("PUT", 1));
        let asked = order(&["https://a.test", "--data", "@b.bin"]).unwrap();
        assert_eq!((&*asked.question.method, asked.body), ("POST", Some("b.bin".into())));
        let long = "x".repeat(MAX_BODY + 1);
        assert!(order(&["https://a.test", "--data", &long]).unwrap_err().contains("more than"));
        assert!(order(&["--proxy", "CONNECT", "a.test:443", "--data", "x"]).unwrap_err().contains("--proxy"));
    }

    #[test]
    fn a_url_is_taken_apart() {
        let words =
            ["https://Shop.Example:8443/a b?q#x", "--from", "192.0.2.7", "--method", "POST", "--header", "X-A: 1:2"];
        let order = order(&[&words[..], &["--config", "b.toml", "--json", "--tls-version", "1.2"]].concat()).unwrap();
        let question = order.question;
        assert_eq!((question.port, question.secure, &*question.target), (8443, true, "/a b?q"));
        assert_eq!(
            (question.server_name.as_deref(), &*question.authority),
            (Some("shop.example"), "Shop.Example:8443")
        );
        assert_eq!((question.client.to_string(), &*question.method), ("192.0.2.7".to_owned(), "POST"));
        assert_eq!(question.headers, [("X-A".into(), "1:2".into())]);
        assert_eq!(
            (order.place, order.json, &*question.tls_version),
            (Place::Config("b.toml".into()), true, "TLSv1.2")
        );
    }

    #[test]
    fn an_address_is_no_server_name_and_a_host_header_replaces_the_host_alone() {
        let question = order(&["https://[2001:db8::1]?x"]).unwrap().question;
        assert_eq!((question.server_name, question.port, &*question.target), (None, 443, "/?x"));
        let question = order(&["https://a.test", "--header", "host: b.test"]).unwrap().question;
        assert_eq!((question.server_name.as_deref(), &*question.authority), (Some("a.test"), "b.test"));
        assert!(question.headers.is_empty());
        let question = order(&["http://a.test"]).unwrap().question;
        assert_eq!((question.server_name, question.port), (None, 80));
        let question = order(&["https://a.test", "--server-name", ""]).unwrap().question;
        assert_eq!(question.server_name, None);
    }

    #[test]
    fn a_client_that_goes_out_names_its_destination() {
        for words in [
            &["--proxy", "CONNECT", "example.org:443", "--user", "ada"][..],
            &["example.org:443", "--proxy", "--user", "ada"],
        ] {
            let order = order(words).unwrap();
            let question = order.question;
            assert!(order.proxy);
            assert_eq!((&*question.method, &*question.authority), ("CONNECT", "example.org:443"));
            assert_eq!(question.user.as_deref(), Some("ada"));
        }
        let question = order(&["--proxy", "PUT", "http://example.org:81/a"]).unwrap().question;
        assert_eq!((&*question.method, &*question.authority, &*question.target), ("PUT", "example.org:81", "/a"));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (words, part) in [
            (&["ftp://a"][..], "ftp"),
            (&["https://u@a"], "without a user"),
            (&["https://a:x"], "HOST:PORT"),
            (&["https://a", "https://b"], "one URL"),
            (&["https://a", "--from", "b"], "IP address"),
            (&["https://a", "--header", "b"], "Name: value"),
            (&["https://a", "--user", "b"], "--proxy"),
            (&["https://a", "--tls-version", "1.1"], "1.2 or 1.3"),
            (&["http://a", "--client-cert", "b"], "https://"),
            (&["--proxy", "example.org:443", "--client-cert", "b"], "passwords"),
            (&["https://a", "--fast"], "`--fast`"),
            (&["--proxy"], "where a client wants to go"),
            (&["--proxy", "GET", "example.org:443"], "where a client wants to go"),
            (&["--proxy", "https://example.org/"], "CONNECT"),
        ] {
            let complaint = order(words).unwrap_err();
            assert!(complaint.contains(part), "{words:?}: {complaint}");
        }
        assert!(is_request(&["--json".into(), "http://a".into()]) && !is_request(&["log.level".into()]));
    }
}
