//! Rule files: no panic and an end, whatever is written there; what loads judges a request without a panic.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use seclang::{Memory, RuleSet, Settings, Source, Transaction};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let sources = [Source::Text { name: "rules".to_owned(), text: text.to_owned() }];
    let files = Memory { files: [("words.data".into(), b"select\nunion\n".to_vec())].into() };
    let Ok(rules) = RuleSet::load_from(&files, &sources, Settings::default()) else { return };
    let mut transaction = Transaction::new(Arc::new(rules), None);
    transaction.set_budget(1 << 20);
    transaction.request_line(b"POST", b"/a/../b?x=1%20union&y=%3Cscript%3E", b"HTTP/1.1");
    transaction.request_header(b"Host", b"localhost");
    transaction.request_header(b"Content-Type", b"application/x-www-form-urlencoded");
    transaction.request_header(b"Cookie", b"a=b; c=1' or '1'='1");
    let _ = transaction.request_headers();
    let _ = transaction.request_body(b"q=select+1&file=../../etc/passwd");
    transaction.response_header(b"Content-Type", b"text/html");
    let _ = transaction.response_headers(500, b"HTTP/1.1");
    let _ = transaction.response_body(b"<b>Warning: mysql_query()</b>");
    transaction.logging();
});
