//! Every control byte and some beyond ASCII in every position of a head (RFC 9110 §5.5, RFC 9112 §3): only what the grammar names passes.

use crate::case::{Case, Sent, get, shown};

/// Control bytes except those that end lines (they have a table of their own), and bytes that other encodings read as spaces or ends.
fn bytes() -> Vec<char> {
    let control = (0..32_u8).filter(|byte| !b"\r\n".contains(byte)).chain([127]);
    control.chain([0x80, 0x85, 0xa0, 0xad, 0xc0, 0xff]).map(char::from).collect()
}

/// All of them.
pub fn cases() -> Vec<Case> {
    let rest = "Host: www.test\r\n\r\n";
    let mut cases = Vec::new();
    for byte in bytes() {
        let name = shown(&byte.to_string());
        let mut refused = |place: &str, text: String| cases.push(Case::refused(format!("byte: {name} {place}"), &text));
        refused("in the method", format!("G{byte}ET /§ HTTP/1.1\r\n{rest}"));
        refused("in the target", format!("GET /§{byte}x HTTP/1.1\r\n{rest}"));
        refused("in the query", format!("GET /§?a={byte} HTTP/1.1\r\n{rest}"));
        refused("in the version", format!("GET /§ HTTP/1.1{byte}\r\n{rest}"));
        refused("in a name", get(&format!("X{byte}A: b\r\n")));
        refused("before a name", get(&format!("{byte}X-A: b\r\n")));
        refused("in Host", format!("GET /§ HTTP/1.1\r\nHost: www{byte}.test\r\n\r\n"));
        if u32::from(byte) < 0x80 && byte != '\t' {
            refused("in a value", get(&format!("X-A: b{byte}c\r\n")));
        } else {
            // HTAB and obs-text are allowed, and leave as they came.
            let value = format!("b{byte}c");
            let text = get(&format!("X-A: {value}\r\n"));
            cases.push(Case::sent(format!("byte: {name} in a value"), &text, Sent::get().with("x-a", &value)));
        }
    }
    cases.extend(names());
    cases
}

/// Delimiters are not part of names; every other visible character is.
fn names() -> Vec<Case> {
    let mut cases = Vec::new();
    for delimiter in " \"(),/;<=>?@[\\]{}".chars() {
        for name in [format!("X{delimiter}A"), format!("{delimiter}XA"), format!("XA{delimiter}")] {
            cases.push(Case::refused(format!("name: {}", shown(&name)), &get(&format!("{name}: b\r\n"))));
        }
    }
    for letter in "!#$%&'*+-.^`|~09azAZ".chars() {
        let name = format!("x{letter}a");
        let sent = Sent::get().with(&name.to_lowercase(), "b");
        cases.push(Case::sent(format!("name: {name}"), &get(&format!("{name}: b\r\n")), sent));
    }
    cases
}
