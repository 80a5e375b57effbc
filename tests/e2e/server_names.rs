//! Names in the ClientHello that no decent client sends: nothing of them gets into a log line or a header as more than text.

use std::io::Write;

use harness::backends::Backend;
use harness::clients::{http, raw, tls};
use harness::{World, within};

/// As long as what is put in its place.
const NAME: &str = "abcdefghijklmnopqrstuvwxyzabcde.odd.test";

#[test]
fn a_server_name_cannot_forge_lines_or_fields() {
    within(60, || {
        let backend = Backend::application();
        let world = World::new("odd-names")
            .terminates(&["*.odd.test"])
            .pool("app", &[backend.address()])
            .serves("app")
            .set("log", "level", "\"debug\"")
            .set("http-filter", "request_headers", "[{ set = \"x-sni\", value = \"${sni}\" }]")
            .start();
        for odd in [
            "evil\r\nx-forged: 1\r\nabcde.test",
            "evil\nTIME ERROR forged abcde.test",
            "\u{1b}[31mevil\u{1b}]0;title\u{7}ab.test",
            "evil\" x-forged=\"1\" abcdefg.test",
            "evil\0.example\0abcdefghijk.test",
            "${client}${path}%0d%0aabcd.test",
        ] {
            let odd = format!("{odd:x<width$}", width = NAME.len());
            assert_eq!(odd.len(), NAME.len(), "{odd:?}");
            let (hello, _connection) = tls::client(NAME).hello();
            let at = hello.windows(NAME.len()).position(|window| window == NAME.as_bytes()).unwrap();
            let mut bytes = hello.clone();
            bytes[at..at + NAME.len()].copy_from_slice(odd.as_bytes());
            let mut stream = raw::connect(world.https());
            stream.write_all(&bytes).unwrap();
            let came = raw::read_to_end(&mut stream);
            // An alert (RFC 8446 section 6) or nothing; never a ServerHello.
            assert!(came.is_empty() || came[0] == 21, "{odd:?}: {came:?}");
        }
        assert!(backend.bytes().is_empty(), "nothing reached the backend");
        // A decent name is told to the backend as it is.
        let mut stream = tls::client(NAME).connect(world.https()).unwrap();
        assert_eq!(http::get(&mut stream, NAME, "/").unwrap().status, 200);
        assert!(String::from_utf8_lossy(&backend.bytes()).contains(&format!("x-sni: {NAME}\r\n")));
        for line in world.log() {
            assert!(!line.chars().any(|c| c.is_control() && c != '\t'), "{line:?}");
            let begins = |word: &str| line.trim_start().starts_with(word);
            assert!(!begins("x-forged") && !begins("TIME ERROR"), "{line:?}");
        }
    });
}
