//! Bodies well and badly formed, hostile ones, and properties of the parsers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

/// Everything that was found, one line each.
#[derive(Default)]
struct Found(Vec<String>);

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

impl Sink for Found {
    fn argument(&mut self, name: &[u8], value: &[u8]) {
        self.0.push(format!("{}={}", show(name), show(value)));
    }
    fn file(&mut self, file: FilePart<'_>) {
        self.0.push(format!("file {} {} {}", show(file.name), show(file.filename), file.size));
    }
    fn part_header(&mut self, part: &[u8], line: &[u8]) {
        self.0.push(format!("header {} {}", show(part), show(line)));
    }
    fn xml_text(&mut self, text: &[u8]) {
        self.0.push(format!("text {}", show(text)));
    }
    fn xml_attribute(&mut self, value: &[u8]) {
        self.0.push(format!("attribute {}", show(value)));
    }
    fn flag(&mut self, flag: Flag) {
        self.0.push(format!("{flag:?}").replacen("Multipart", "! ", 1));
    }
}

/// What was found, and what was wrong, if anything.
fn read(kind: Processor, content_type: &str, body: &[u8]) -> Vec<String> {
    let mut found = Found::default();
    match parse(kind, body, content_type.as_bytes(), &BodyLimits::default(), &mut found) {
        Outcome::Complete => {}
        Outcome::Malformed(message) => {
            let message = message.split_once(" parsing error: ").map_or(message.as_str(), |(_, message)| message);
            found.0.push(format!("malformed: {message}"));
        }
        Outcome::Limit(limit) => found.0.push(format!("limit: {limit:?}")),
    }
    found.0
}

#[track_caller]
fn check(kind: Processor, body: &str, expected: &[&str]) {
    assert_eq!(read(kind, "multipart/form-data; boundary=b", body.as_bytes()), expected, "{body}");
}

#[test]
fn forms() {
    check(Processor::UrlEncoded, "a=1&&b=2+%41&", &["a=1", "=", "b=2 A"]);
    let invalid = "malformed: Urlencoded: a percent sign without two hexadecimal digits";
    check(Processor::UrlEncoded, "%zz=%4&b=%", &["%zz=%4", "b=%", invalid]);
    check(Processor::UrlEncoded, "=x&y&%3d==", &["=x", "y=", "==="]);
    check(Processor::UrlEncoded, "", &[]);
    check(Processor::UrlEncoded, "&", &["="]);
}

#[test]
fn json() {
    let check = |body, expected: &[&str]| check(Processor::Json, body, expected);
    check(
        r#"{"a":1,"b":{"c":[1.5e3,"x",{"d":null},[true,false]]}}"#,
        &[
            "json.a=1",
            "json.b.c.array_0=1.5e3",
            "json.b.c.array_1=x",
            "json.b.c.array_2.d=",
            "json.b.c.array_3.array_0=true",
            "json.b.c.array_3.array_1=false",
        ],
    );
    check(r#" "s" "#, &["json=s"]);
    check(r#"[[],{},[-0],1]"#, &["json.array_2.array_0=-0", "json.array_3=1"]);
    check(r#"{"":1,"x":{"":[2]}}"#, &["json.empty-key=1", "json.x.empty-key.array_0=2"]);
    check(r#"{"a":1,"a":2}"#, &["json.a=1", "json.a=2"]);
    check(r#"{"\u0061\n":"\ud83d\ude00\ud800x\"\\\/"}"#, &["json.a\\n=\\xf0\\x9f\\x98\\x80?x\\\"\\\\/"]);
    check("", &[]);
}

#[test]
fn json_that_is_none() {
    for (body, before) in [
        ("  ", 0),
        ("{", 0),
        ("[1", 1),
        ("[1,]", 1),
        ("{\"a\":1,}", 1),
        ("{\"a\" 1}", 0),
        ("{a:1}", 0),
        ("[01]", 1),
        ("[1.]", 0),
        ("[-]", 0),
        ("[1e]", 0),
        ("tru", 0),
        ("[\"\n\"]", 0),
        ("[\"\\x\"]", 0),
        ("[\"\\u12g4\"]", 0),
        ("[\"", 0),
        ("{}x", 0),
        ("[]]", 0),
        ("[}", 0),
        ("{]", 0),
        ("1 2", 1),
        ("// c\n1", 0),
        ("[1}", 1),
        ("NaN", 0),
        ("'a'", 0),
        (",", 0),
    ] {
        let found = read(Processor::Json, "", body.as_bytes());
        assert!(found.last().is_some_and(|last| last.starts_with("malformed: JSON: ")), "{body}: {found:?}");
        assert_eq!(found.len(), before + 1, "{body}: {found:?}");
    }
    assert_eq!(read(Processor::Json, "", b"[\"\xff\"]"), ["malformed: JSON: a string is not UTF-8"]);
}

#[test]
fn xml() {
    let check = |body, expected: &[&str]| check(Processor::Xml, body, expected);
    check(
        "<?xml version=\"1.0\"?>\n<a x=\"1\" y='2&lt;'>t<b/>&#65;<![CDATA[<v>&amp;]]>&amp;<!-- c --><?pi x?></a >\n",
        &["attribute 1", "attribute 2<", "text tA<v>&amp;&"],
    );
    check("<a xmlns=\"u\" xmlns:p='v' p:c=\"x\n\ty\">p\r\nq</a>", &["attribute x  y", "text p\\nq"]);
    check("<!DOCTYPE a SYSTEM \"x\"><a>y</a>", &["text y"]);
    check("<a>&#x3C;&apos;</a>", &["text <\\'"]);
    assert_eq!(
        read(Processor::Xml, "", b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>"),
        ["text \\xc3\\xa9"]
    );
    assert_eq!(read(Processor::Xml, "", b"\xef\xbb\xbf<a/>"), ["text "]);
}

#[test]
fn xml_that_is_none() {
    for body in [
        "",
        "x",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a/>x",
        "<a>&e;</a>",
        "<a>&</a>",
        "<a>]]></a>",
        "<a>&#0;</a>",
        "<a>&#xd800;</a>",
        "<a>&#x110000;</a>",
        "<a b=1/>",
        "<a b='1' b='2'/>",
        "<a b='<'/>",
        "<a b='1'c='2'/>",
        "<a",
        "<a b",
        "<a b='",
        "<!-- x",
        "<a><![CDATA[</a>",
        "<1/>",
        "<a>\u{1}</a>",
        "</a>",
        "<>",
        "<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>",
        "<!DOCTYPE",
        "<a/><!DOCTYPE a>",
        "<?xml version='1.0' encoding='UTF-7'?><a/>",
        "&amp;<a/>",
    ] {
        let found = read(Processor::Xml, "", body.as_bytes());
        assert!(found.last().is_some_and(|last| last.starts_with("malformed: XML: ")), "{body}: {found:?}");
    }
    assert_eq!(read(Processor::Xml, "", b"\xff\xfe<\0a\0"), ["malformed: XML: UTF-16 and UTF-32 are not supported"]);
    assert_eq!(
        read(Processor::Xml, "", b"<a>x<b>y"),
        ["text xy", "malformed: XML: the document ends before its elements"]
    );
    assert_eq!(read(Processor::Xml, "", b"<a>\xff</a>"), ["text \\xff", "malformed: XML: the document is not UTF-8"]);
}

/// A part with one header line and its content.
fn part(disposition: &str, content: &str) -> String {
    format!("--b\r\nContent-Disposition: {disposition}\r\n\r\n{content}\r\n")
}

#[test]
fn multipart() {
    let check = |body: &str, expected: &[&str]| check(Processor::Multipart, body, expected);
    let x = "header x Content-Disposition: form-data; name=\\\"x\\\"";
    check(&(part("form-data; name=\"x\"", "line1\r\nline2\nline3") + "--b--\r\n"), &[x, "x=line1\\r\\nline2\\nline3"]);
    check(&(part("form-data; name=\"x\"", "") + "--b--"), &[x, "x="]);
    check(
        "--b\r\ncontent-disposition:form-data; filename=\"a\\\"b\\c\" ; name=f\r\nContent-Type: text/plain\r\n\r\n\0\r\n--c\r\n\r\n--b--\r\n",
        &[
            "header f content-disposition:form-data; filename=\\\"a\\\\\\\"b\\\\c\\\" ; name=f",
            "header f Content-Type: text/plain",
            "file f a\\\"b\\\\c 8",
        ],
    );
    check("", &[]);
}

#[test]
fn multipart_flags() {
    let flags = |body: &str| -> String {
        let found = read(Processor::Multipart, "multipart/form-data; boundary=b", body.as_bytes());
        found
            .iter()
            .filter(|line| line.starts_with(['!', 'm']))
            .map(|line| line.trim_start_matches("! ").to_owned() + ";")
            .collect()
    };
    let one = part("form-data; name=\"x\"", "v");
    assert_eq!(flags(&(one.clone() + "--b--\r\n\r\n")), "DataAfter;StrictError;");
    assert_eq!(flags(&("pre\r\n".to_owned() + &one + "--b--\r\n")), "DataBefore;StrictError;");
    assert_eq!(flags(&(one.replace("\r\n", "\n") + "--b--\n")), "StrictError;LfLine;");
    assert_eq!(flags(&(one.clone() + "--b--\n")), "StrictError;LfLine;CrlfLfLines;");
    assert_eq!(flags(&one), "StrictError;malformed: Multipart: Final boundary missing.;");
    assert_eq!(
        flags(&part("form-data; name=\"x\"", "a--b\r\n--c\r\nd")),
        "StrictError;UnmatchedBoundary;malformed: Multipart: Final boundary missing.;"
    );
    assert_eq!(flags(&(part("form-data; name=\"x\"", "a--b\r\n--c\r\nd") + "--b--")), "");
    assert_eq!(flags("abc"), "DataBefore;StrictError;malformed: Multipart: No boundaries found in payload.;");
    assert_eq!(flags(&(part("form-data;\r\n name=x", "v") + "--b--")), "HeaderFolding;StrictError;");
    assert_eq!(
        flags(&(part("form-data;\r\n\x0bname=x", "v") + "--b--")),
        "HeaderFolding;InvalidHeaderFolding;StrictError;"
    );
    assert_eq!(flags(&(part("form-data; name='x'", "v") + "--b--")), "InvalidQuoting;StrictError;");
    for (disposition, error) in [
        ("attachment; name=x", "Multipart: Invalid Content-Disposition header (not form-data)."),
        ("form-data", "Multipart: Content-Disposition header missing name field."),
        ("form-data; name=\"\"", "Multipart: Content-Disposition header missing name field."),
        ("form-data; name=x; name=y", "Multipart: Invalid Content-Disposition header (duplicate parameter)."),
        ("form-data; name=\"x", "Multipart: Invalid Content-Disposition header (a quote does not end)."),
        ("form-data; name=x; filename*=utf-8''y", "Multipart: Invalid Content-Disposition header (unknown parameter)."),
        ("form-data; name=x;", "Multipart: Invalid Content-Disposition header (a parameter is missing)."),
        ("form-data; name", "Multipart: Invalid Content-Disposition header (a parameter without value)."),
        ("form-data; name=x\r\nContent-Disposition: form-data; name=y", "Multipart: Duplicate part header."),
        ("form-data; name=x\r\nContent-\x0eType: a", "Multipart: Invalid part header (contains invalid character)."),
        ("form-data; name=x\r\nnonsense", "Multipart: Invalid part header (colon missing)."),
        ("form-data; name=x\0", "Multipart: Nul byte in part headers."),
    ] {
        let found = flags(&(part(disposition, "v") + "--b--\r\n"));
        assert!(found.ends_with(&format!("StrictError;malformed: {error};")), "{disposition}: {found}");
    }
}

/// PHP takes such a line for content, others for a boundary: what follows is looked at as content, and it is an error.
#[test]
fn a_boundary_needs_a_line_end_of_its_own() {
    let body = "--b\r\nContent-Disposition: form-data; name=x\r\n\r\n--b\r\nContent-Disposition: form-data; name=f; filename=g\r\n\r\nevil\r\n--b--\r\n";
    let found = read(Processor::Multipart, "multipart/form-data; boundary=b", body.as_bytes());
    assert!(found.iter().any(|line| line.starts_with("x=--b") && line.ends_with("evil")), "{found:?}");
    assert_eq!(found.last().unwrap(), "malformed: Multipart: Invalid boundary (no line end before it).");
}

#[test]
fn what_a_wrong_part_holds_is_found_all_the_same() {
    let found = read(
        Processor::Multipart,
        "multipart/form-data; boundary=b",
        (part("attachment; name=x", "evil") + "--b--").as_bytes(),
    );
    assert!(found.contains(&"=evil".to_owned()), "{found:?}");
    let found =
        read(Processor::Multipart, "multipart/form-data; boundary=b", part("form-data; name=x", "evil").as_bytes());
    assert!(found.contains(&"x=evil".to_owned()), "{found:?}");
}

#[test]
fn boundaries() {
    let read = |content_type: &str| {
        let found = read(Processor::Multipart, content_type, (part("form-data; name=x", "v") + "--b--\r\n").as_bytes());
        found.into_iter().filter(|line| !line.starts_with("header")).collect::<Vec<_>>()
    };
    assert_eq!(read("Multipart/Form-Data;boundary=b; charset=x"), ["x=v"]);
    assert_eq!(read("multipart/form-data; boundary=\"b\""), ["x=v", "! BoundaryQuoted", "! StrictError"]);
    assert_eq!(
        read("multipart/form-data boundary =b"),
        ["x=v", "! MissingSemicolon", "! BoundaryWhitespace", "! StrictError"]
    );
    for (content_type, error) in [
        ("multipart/form-data", "Boundary not found in C-T."),
        ("multipart/mixed; boundary=b", "Invalid MIME type."),
        ("multipart/form-data; Boundary=b", "Invalid boundary in C-T (case sensitivity)."),
        ("multipart/form-data; boundary=a; boundary=b", "Multiple boundary parameters in C-T."),
        ("multipart/form-data; x=y; boundary=b", "Invalid boundary in C-T (malformed)."),
        ("multipart/form-data; boundaryx=b", "Invalid boundary in C-T (parameter name)."),
        ("multipart/form-data; boundary=\"b", "Invalid boundary in C-T (quote)."),
        ("multipart/form-data; boundary=", "Invalid boundary in C-T (empty)."),
        ("multipart/form-data; boundary=a\u{7f}b", "Invalid boundary in C-T (characters)."),
    ] {
        let expected = ["! StrictError".to_owned(), format!("malformed: Multipart: {error}")];
        assert!(read(content_type).ends_with(&expected), "{content_type}: {:?}", read(content_type));
    }
}

#[test]
fn limits_end_the_parsing() {
    let limited = |kind, body: &str, limits: BodyLimits| {
        let mut found = Found::default();
        (parse(kind, body.as_bytes(), b"multipart/form-data; boundary=b", &limits, &mut found), found.0.len())
    };
    let few = || BodyLimits { arguments: 2, depth: 2, nodes: 5, name_length: 20, value_length: 10, parts: 1 };
    assert_eq!(limited(Processor::UrlEncoded, "a&b&c", few()), (Outcome::Limit(Limit::Arguments), 2));
    assert_eq!(limited(Processor::UrlEncoded, "a=12345678901", few()), (Outcome::Limit(Limit::ValueLength), 0));
    assert_eq!(limited(Processor::UrlEncoded, "a=%31%32%33%34%35%36%37%38%39%30", few()), (Outcome::Complete, 1));
    assert_eq!(limited(Processor::UrlEncoded, "123456789012345678901=", few()), (Outcome::Limit(Limit::NameLength), 0));
    assert_eq!(limited(Processor::Json, "[[[", few()), (Outcome::Limit(Limit::Depth), 0));
    assert_eq!(limited(Processor::Json, "[[],[],[],[],[]]", few()), (Outcome::Limit(Limit::Nodes), 0));
    assert_eq!(limited(Processor::Json, "[1,2,3,4]", few()), (Outcome::Complete, 4));
    assert_eq!(limited(Processor::Json, "[1,2,3,4,5]", few()), (Outcome::Limit(Limit::Nodes), 4));
    assert_eq!(limited(Processor::Xml, "<a b='' c='' d=''/>", few()), (Outcome::Complete, 4));
    assert_eq!(limited(Processor::Json, "{\"1234567890123456\":1}", few()), (Outcome::Limit(Limit::NameLength), 0));
    assert_eq!(limited(Processor::Json, "\"12345678901\"", few()), (Outcome::Limit(Limit::ValueLength), 0));
    assert_eq!(limited(Processor::Xml, "<a><a><a>", few()), (Outcome::Limit(Limit::Depth), 1));
    assert_eq!(limited(Processor::Xml, "<a><b/><b/><b/><b/><b/></a>", few()), (Outcome::Limit(Limit::Nodes), 1));
    assert_eq!(limited(Processor::Xml, "<a>12345678901</a>", few()), (Outcome::Limit(Limit::ValueLength), 1));
    let two = part("form-data; name=x", "v") + &part("form-data; name=x", "v") + "--b--";
    assert!(matches!(limited(Processor::Multipart, &two, few()), (Outcome::Limit(Limit::Parts), _)));
}

/// Bodies that are meant to be expensive, of one mebibyte each.
#[test]
fn hostile_bodies_end_soon() {
    let fill = |piece: &str| piece.repeat((1 << 20) / piece.len());
    let parts = part("form-data; name=x", "v");
    for (kind, piece) in [
        (Processor::UrlEncoded, "("),
        (Processor::UrlEncoded, "a&"),
        (Processor::UrlEncoded, "%"),
        (Processor::Json, "("),
        (Processor::Json, "["),
        (Processor::Json, "{\"a\":"),
        (Processor::Json, "[1,"),
        (Processor::Json, " "),
        (Processor::Xml, "<a>"),
        (Processor::Xml, "<"),
        (Processor::Xml, "<a b='&amp;"),
        (Processor::Xml, "<!--"),
        (Processor::Xml, "("),
        (Processor::Multipart, "--b\r\n"),
        (Processor::Multipart, "--"),
        (Processor::Multipart, "("),
        (Processor::Multipart, "\n"),
        (Processor::Multipart, "--b"),
        (Processor::Multipart, &parts),
    ] {
        let mut found = Found::default();
        let generous = BodyLimits {
            arguments: 10_000,
            depth: 1000,
            nodes: 100_000,
            name_length: 1 << 20,
            value_length: 1 << 20,
            parts: 10_000,
        };
        let limits = if kind == Processor::Json { BodyLimits::default() } else { generous };
        let outcome = parse(kind, fill(piece).as_bytes(), b"multipart/form-data; boundary=b", &limits, &mut found);
        assert!(outcome != Outcome::Complete || piece == "(", "{kind:?} {piece}");
        assert!(found.0.iter().map(String::len).sum::<usize>() <= 8 << 20, "{kind:?} {piece}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// What serde_json accepts we accept with as many values, and the other way round (but for its own limits).
    #[test]
    fn json_is_read_as_serde_json_does(text in "[\\[\\]{}:,\"a1.e\\-+\\\\u0 ntrlfs]{0,24}") {
        let accepted = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        let found = read(Processor::Json, "", text.as_bytes());
        let ours = !text.is_empty() && !found.last().is_some_and(|last| last.starts_with("malformed"));
        // Numbers beyond f64 and lone surrogates are refused there only.
        prop_assert!(ours == accepted || (ours && (text.contains('e') || text.contains("\\u"))), "{} {:?}", text, found);
    }

    #[test]
    fn nothing_panics(pieces in proptest::collection::vec(proptest::sample::select(vec![
        "--b", "--", "\r\n", "\n", "Content-Disposition: form-data; name=", "x", "\"", "; filename=", "'", "\\", ":", " ", "\0", "<a", ">", "</a>", "<!--", "-->",
        "<![CDATA[", "]]>", "&", "&#", ";", "=", "[", "]", "{", "}", ",", "\\u00", "1", "é", "<?", "?>", "<!DOCTYPE",
    ]), 0..40)) {
        let body = pieces.concat();
        for kind in [Processor::UrlEncoded, Processor::Multipart, Processor::Json, Processor::Xml] {
            let found = read(kind, "multipart/form-data; boundary=b", body.as_bytes());
            prop_assert!(found.len() <= 3 * body.len() + 4);
        }
    }
}
