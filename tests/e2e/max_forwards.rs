//! `Max-Forwards` (RFC 9110 section 7.6.2) through the whole product.

use std::io::Write;

use harness::backends::Backend;
use harness::clients::{http, raw};
use harness::{World, within};

#[test]
fn options_and_trace_end_where_they_say() {
    within(60, || {
        let backend = Backend::application();
        let world = World::new("max-forwards")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .serves("app")
            .start();
        let ask = |method: &str, hops: &str| {
            let mut stream = raw::connect(world.http());
            let request = format!(
                "{method} /headers HTTP/1.1\r\nHost: www.test\r\nMax-Forwards: {hops}\r\nCookie: secret=1\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).unwrap();
            let answer = http::read_answer(&mut stream).unwrap();
            // Whatever it was, the connection goes on.
            assert_eq!(http::get(&mut stream, "www.test", "/").unwrap().status, 200, "{method} {hops}");
            answer
        };
        for (hops, left) in [("5", "4"), ("1", "0")] {
            let seen = backend.bytes().len();
            assert_eq!(ask("OPTIONS", hops).status, 200);
            let sent = String::from_utf8_lossy(&backend.bytes()[seen..]).to_ascii_lowercase();
            assert!(sent.contains(&format!("max-forwards: {left}\r\n")), "{sent}");
        }
        for hops in ["0", "soon", "-1"] {
            let seen = backend.bytes().len();
            let answer = ask("OPTIONS", hops);
            assert_eq!((answer.status, answer.body.len()), (204, 0), "{}", answer.head);
            let answer = ask("TRACE", hops);
            assert_eq!(answer.status, 501);
            assert!(!answer.text().contains("secret"));
            let sent = String::from_utf8_lossy(&backend.bytes()[seen..]).to_ascii_lowercase();
            assert!(!sent.contains("options") && !sent.contains("trace"), "{sent}");
        }
        world.wait_for_line("http-filter", &["request", "max-forwards", "204"]);
        assert_eq!(ask("GET", "0").status, 200, "it means nothing for others");
    });
}
