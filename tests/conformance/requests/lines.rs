//! How lines end and begin (RFC 9112 §2.2, §5.1, §5.2): CR LF and nothing else, no folds, no white space before the colon.

use crate::case::{Case, Sent, get, shown};

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = line_ends();
    cases.extend(folds());
    cases.extend(spaces());
    cases.extend(before());
    for (name, line) in [
        ("no colon", "nonsense"),
        ("no colon, two words", "two words"),
        ("only a colon", ":"),
        ("no name", ": x"),
        ("a request line", "GET /smuggled-§ HTTP/1.1"),
        ("a status line", "HTTP/1.1 200 OK"),
        ("only a space", " "),
        ("only a tab", "\t"),
    ] {
        cases.push(Case::refused(format!("line: {name}, last"), &get(&format!("{line}\r\n"))));
        cases.push(Case::refused(format!("line: {name}, between"), &get(&format!("X-A: b\r\n{line}\r\nX-C: d\r\n"))));
        let first = format!("GET /§ HTTP/1.1\r\n{line}\r\nHost: www.test\r\n\r\n");
        cases.push(Case::refused(format!("line: {name}, first"), &first));
    }
    cases
}

/// Every line of a request, ended wrongly.
fn line_ends() -> Vec<Case> {
    let lines = ["POST /§ HTTP/1.1", "Host: www.test", "X-A: b", "Content-Length: 3", ""];
    let wrong = [
        "\n", "\r", "\r\r\n", "\n\r\n", "\r\r", "\n\n", "\n\r", "\r\n\r", " \r", "\0\r\n", "\x0b\n", "\x0c\r\n",
        "\r\0\n",
    ];
    let mut cases = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        for end in wrong {
            let ends = |number: usize| if number == at { end } else { "\r\n" };
            let text: String =
                lines.iter().enumerate().map(|(number, line)| format!("{line}{}", ends(number))).collect();
            // CR LF behind the empty line would simply belong to the body.
            if line.is_empty() && end.starts_with("\r\n") {
                continue;
            }
            cases.push(Case::refused(format!("line end: {} behind {line:?}", shown(end)), &format!("{text}abc")));
        }
    }
    for end in ["\n", "\r", "\n\r"] {
        let text = lines.join(end) + end;
        cases.push(Case::refused(format!("line end: {} everywhere", shown(end)), &format!("{text}abc")));
    }
    for inside in ["\r", "\n", "\r\n\r", "\0", "\x0b", "\x0c", "\x1b", "\x7f", "\x08", "\r\0"] {
        cases.push(Case::refused(format!("line: {} in a value", shown(inside)), &get(&format!("X-A: a{inside}b\r\n"))));
        cases.push(Case::refused(format!("line: {} at the end", shown(inside)), &get(&format!("X-A: a{inside}\r\n"))));
        cases.push(Case::refused(
            format!("line: {} at the beginning", shown(inside)),
            &get(&format!("X-A:{inside}a\r\n")),
        ));
        cases.push(Case::refused(format!("line: {} in a name", shown(inside)), &get(&format!("X{inside}A: a\r\n"))));
    }
    cases
}

/// Continuation lines.
fn folds() -> Vec<Case> {
    let mut cases = Vec::new();
    for space in [" ", "\t", "  ", " \t"] {
        for (name, lines) in [
            ("a value", format!("X-A: b\r\n{space}c\r\n")),
            ("an empty value", format!("X-A:\r\n{space}b\r\n")),
            ("nothing", format!("X-A: b\r\n{space}\r\n")),
            ("a length", format!("Content-Length:\r\n{space}3\r\n")),
            ("digits of a length", format!("Content-Length: 3\r\n{space}7\r\n")),
            ("an encoding", format!("Transfer-Encoding:\r\n{space}chunked\r\n")),
            ("a hidden encoding", format!("X-A: b\r\n{space}Transfer-Encoding: chunked\r\n")),
            ("a hidden host", format!("X-A: b\r\n{space}Host: other.test\r\n")),
            ("a name", format!("X-\r\n{space}A: b\r\n")),
            ("a colon", format!("X-A\r\n{space}: b\r\n")),
        ] {
            cases.push(Case::refused(format!("fold: {name} by {}", shown(space)), &get(&lines)));
        }
        let host = format!("GET /§ HTTP/1.1\r\nHost: www.test\r\n{space}.evil\r\n\r\n");
        cases.push(Case::refused(format!("fold: Host by {}", shown(space)), &host));
        let line = format!("GET /§\r\n{space}HTTP/1.1\r\nHost: www.test\r\n\r\n");
        cases.push(Case::refused(format!("fold: the request line by {}", shown(space)), &line));
        let first = format!("GET /§ HTTP/1.1\r\n{space}X-A: b\r\nHost: www.test\r\n\r\n");
        cases.push(Case::refused(format!("fold: before the first field by {}", shown(space)), &first));
    }
    cases
}

/// White space between name and colon, and inside names.
fn spaces() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in
        ["X-A", "Content-Length", "Transfer-Encoding", "Connection", "Authorization", "Cookie", "Expect", "Upgrade"]
    {
        for space in [" ", "\t", "  ", " \t", "\u{a0}", "\x0b", "\x0c"] {
            cases.push(Case::refused(
                format!("space before the colon: {name}{}", shown(space)),
                &get(&format!("{name}{space}: 3\r\n")),
            ));
        }
    }
    for host in ["Host : www.test", "Host\t: www.test", "Ho st: www.test", "Host www.test", "Host= www.test"] {
        cases.push(Case::refused(
            format!("space before the colon: {}", shown(host)),
            &format!("GET /§ HTTP/1.1\r\n{host}\r\n\r\n"),
        ));
        cases.push(Case::refused(
            format!("space before the colon: {} beside a good one", shown(host)),
            &get(&format!("{host}\r\n")),
        ));
    }
    cases
}

/// What stands before the request line: one empty line is borne (RFC 9112 §2.2).
fn before() -> Vec<Case> {
    let request = get("");
    let refused = [
        "\n",
        "\r",
        " \r\n",
        "\t\r\n",
        "\r\n\r\n",
        "\r\n\r\n\r\n",
        "\r\n\n",
        "\n\n",
        "\0",
        "\r\n ",
        "\u{ef}\u{bb}\u{bf}",
        "\x0b",
        "\r\r\n",
        ",",
        "\r\n\t",
    ];
    let mut cases: Vec<Case> = refused
        .iter()
        .map(|text| Case::refused(format!("before: {}", shown(text)), &format!("{text}{request}")))
        .collect();
    cases.push(Case::sent("before: one empty line", &format!("\r\n{request}"), Sent::get()));
    cases
}
