//! The target of a redirect, cut into origin, path with query, and fragment while it is still a text, so that nothing that a request
//! brings can reach from one into the next: no open redirect (`https://shop.example${1}` with `.evil.example` as capture).

use crate::config::checked::{RedirectTemplate, RedirectTo};
use crate::config::pattern::ServerAddress;
use crate::config::template::{Part, Placeholder, Template};

/// Reads `https` or a target.
pub(super) fn read(text: &str, captures: bool) -> Result<RedirectTo, String> {
    if text == "https" {
        return Ok(RedirectTo::Https);
    }
    if let Some(bad) = text.chars().find(|c| matches!(c, ' ' | '"' | '<' | '>' | '\\') || !c.is_ascii()) {
        return Err(format!("{bad:?} may not stand in a target; write it percent-encoded"));
    }
    let (text, fragment) = match text.split_once('#') {
        Some((text, fragment)) if !fragment.contains('$') => (text, Some(fragment.into())),
        Some(_) => return Err("a placeholder may not stand behind `#`".to_owned()),
        None => (text, None),
    };
    let (origin, target) = match text.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => {
            let end = authority_end(rest);
            let (authority, target) = rest.split_at(end);
            (Some((scheme.into(), origin(authority)?)), target)
        }
        Some((scheme, _)) => return Err(format!("`{scheme}` is not a scheme for a redirect; `https` and `http` are")),
        None => (None, text),
    };
    let target = Template::parse(target, captures)?;
    let absolute = match target.parts().first() {
        None => origin.is_some(),
        Some(Part::Text(text)) => {
            (text.starts_with('/') && !text.starts_with("//")) || (origin.is_some() && text.starts_with('?'))
        }
        Some(Part::Fact(Placeholder::Path | Placeholder::Target)) => true,
        Some(_) => false,
    };
    if !absolute {
        return Err("a target begins with `/`, `${path}` or `${target}`, or with `https://` and a host".to_owned());
    }
    Ok(RedirectTo::Template(RedirectTemplate { origin, target, fragment }))
}

/// Up to the first `/` or `?`, or to a placeholder that can only begin a path.
fn authority_end(rest: &str) -> usize {
    ["/", "?", "${path}", "${target}"].iter().filter_map(|mark| rest.find(mark)).min().unwrap_or(rest.len())
}

/// The host is written out, or is made with `${host}`; the port is written out.
fn origin(text: &str) -> Result<Template, String> {
    let authority = Template::parse(text, true)?;
    let foreign = |part: &Part| !matches!(part, Part::Text(_) | Part::Fact(Placeholder::Host));
    if authority.parts().iter().any(foreign) {
        return Err("in the host of a target only `${host}` may stand, and behind it comes `/`".to_owned());
    }
    // What it will look like with some host.
    let sample = text.replace("${host}", "host.example");
    let with_port = if sample.contains(':') { sample } else { format!("{sample}:443") };
    ServerAddress::parse(&with_port).map_err(|error| format!("`{text}` is not a host: {error}"))?;
    Ok(authority)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn pieces(text: &str) -> (Option<(String, String)>, String) {
        match read(text, true).unwrap() {
            RedirectTo::Https => panic!("{text}"),
            RedirectTo::Template(made) => {
                (made.origin.map(|(scheme, host)| (scheme.to_string(), host.to_string())), made.target.to_string())
            }
        }
    }

    #[test]
    fn a_target_is_cut_where_its_parts_end() {
        let https = |host: &str| Some(("https".to_owned(), host.to_owned()));
        for (text, origin, target) in [
            ("/new", None, "/new"),
            ("${target}", None, "${target}"),
            ("/x/${1}?a=${query}", None, "/x/${1}?a=${query}"),
            ("https://www.example", https("www.example"), ""),
            ("https://www.${host}${target}", https("www.${host}"), "${target}"),
            ("https://${host}:8443/a${path}", https("${host}:8443"), "/a${path}"),
            ("https://www.example?x", https("www.example"), "?x"),
        ] {
            assert_eq!(pieces(text), (origin, target.to_owned()), "{text}");
        }
        assert_eq!(read("https", false), Ok(RedirectTo::Https));
    }

    #[test]
    fn nothing_may_reach_into_the_host() {
        for bad in [
            "https://www.example${1}",
            "https://${1}/",
            "https://www.example${query}",
            "https://${sni}/",
            "https://user@www.example/",
            "https://www.example:0/",
            "https:///x",
            "//evil.example/",
            "${1}",
            "${query}",
            "javascript://x",
            "www.example/x",
            "/a b",
            "/\\evil.example",
            "/x#${1}",
            "",
        ] {
            assert!(read(bad, true).is_err(), "{bad}");
        }
    }
}
