//! Each transformation by example, and what its callers rely on as properties.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

/// The result, or the value itself if nothing changes.
fn result(name: &str, input: &[u8]) -> Vec<u8> {
    let mut out = b"left over".to_vec();
    let transform = Transform::parse(name).expect(name);
    if transform.apply(input, &mut out) { out } else { input.to_vec() }
}

#[track_caller]
fn check(name: &str, cases: &[(&[u8], &[u8])]) {
    for (input, expected) in cases {
        let found = result(name, input);
        assert_eq!(
            found,
            *expected,
            "{name} of {:?}: {:?}",
            input.escape_ascii().to_string(),
            found.escape_ascii().to_string()
        );
    }
}

#[test]
fn names() {
    assert_eq!(Transform::parse("URLDECODEUNI"), Some(Transform::UrlDecodeUni));
    assert_eq!(Transform::parse("normalisePath"), Transform::parse("normalizePath"));
    assert_eq!(Transform::parse("rot13"), None);
    assert_eq!(Transform::all().count(), NAMES.len() - 2);
    assert!(Transform::all().all(|transform| Transform::parse(transform.name()) == Some(transform)));
}

#[test]
fn urls() {
    check(
        "urlDecode",
        &[(b"a+b%41%4", b"a bA%4"), (b"%%41%zz%", b"%A%zz%"), (b"%u0041", b"%u0041"), (b"%00", b"\0"), (b"", b"")],
    );
    check(
        "urlDecodeUni",
        &[
            (b"%u0041%U0042+", b"AB "),
            (b"%uff1cscript%uFF1e", b"<script>"),
            (b"%u2032%u02b9%u02bc", b"'''"),
            // Of windows-1252, so of prose.
            (b"it%u2019s %u00ab%u00e9%u00bb%u2014", b"it\x19s \xab\xe9\xbb\x14"),
            (b"%u2022%u00b7%u0102%u2122%u0261", b".\xb7ATg"),
            (b"%u4e41%u0000%uff5f", b"A\0\x5f"),
            (b"%u004%u%41", b"%u004%uA"),
            (b"%%u0041", b"%A"),
            (b"%uzzzz%2", b"%uzzzz%2"),
        ],
    );
    check("urlEncode", &[(b"a b/*\xff", b"a+b%2f*%ff")]);
}

#[test]
fn backslashes() {
    check(
        "jsDecode",
        &[
            (b"\\u0061\\x41\\101\\n\\q\\", b"aAA\nq\\"),
            (b"\\uff1c\\uFF5F\\377\\400", b"<\x5f\xff 0"),
            (b"\\u00\\x4", b"u00x4"),
            (b"\\18", b"\x018"),
        ],
    );
    check(
        "cssDecode",
        &[
            (b"a\\62 c\\\nd\\", b"abcd"),
            (b"\\0ff1c\\00ff1e \\10ff1cx", b"<>\x1cx"),
            (b"\\6\\061\\abc\\z", b"\x06a\xbcz"),
            (b"\\0 x", b"\0x"),
        ],
    );
    check("escapeSeqDecode", &[(b"\\a\\x41\\101\\777\\xZ\\q\\", b"\x07AA\xffxZq\\")]);
}

#[test]
fn entities_and_comments() {
    check(
        "htmlEntityDecode",
        &[
            (b"&lt;&GT&quot;&amp;lt;&nbsp;", b"<>\"&lt;\xa0"),
            (b"&#60;&#x3C&#X3e;&#x", b"<<>&#x"),
            (b"&#316;&#99999999999999999999;", b"<\xff"),
            (b"&nope;&&#&#z&", b"&nope;&&#&#z&"),
        ],
    );
    check("replaceComments", &[(b"UN/**/ION/*a", b"UN ION "), (b"*/a/*/b*/", b"*/a "), (b"a/", b"a/")]);
    check("removeComments", &[(b"a/*x*/b<!--y-->c--d", b"abc"), (b"a#b", b"a"), (b"a/*b", b"a "), (b"/**/", b"")]);
    check("removeCommentsChar", &[(b"a/*b*/c<!--d-->e--f#g", b"abcdefg"), (b"/-/-", b"/-/-")]);
}

#[test]
fn paths() {
    check(
        "normalizePath",
        &[
            (b"/foo/../bar//./baz", b"/bar/baz"),
            (b"/../../etc/passwd", b"/etc/passwd"),
            (b"../../etc", b"../../etc"),
            (b"./a/./b/", b"a/b/"),
            (b"a/b/../..", b""),
            (b"/a/..", b""),
            (b"/a/../", b"/"),
            (b"..", b".."),
            (b".", b""),
            (b"//", b"/"),
            (b"a\\..\\b", b"a\\..\\b"),
            (b"dir/foo/\\.\\./bar", b"dir/foo/\\.\\./bar"),
        ],
    );
    check("normalizePathWin", &[(b"C:\\a\\..\\b", b"C:/b"), (b"\\\\\\x", b"/x"), (b"a/b", b"a/b")]);
}

#[test]
fn base64() {
    check(
        "base64Decode",
        &[
            (b"QUJD", b"ABC"),
            (b"QUI=\r\n", b"AB"),
            (b"QQ==", b"A"),
            (b"QUJDR", b"ABC"),
            (b"Q UJD", b"Q UJD"),
            (b"QUJD!", b"QUJD!"),
        ],
    );
    check("base64Decode", &[(b"QUJD\0!!", b"ABC"), (b"====", b"===="), (b"Q=JD", b"Q=JD")]);
    check("base64DecodeExt", &[(b"Q!U.J D", b"ABC"), (b"QQ", b"A"), (b"Q=", b""), (b"-_-_", b"\xfb\xff\xbf")]);
    check("base64Encode", &[(b"", b""), (b"A", b"QQ=="), (b"AB", b"QUI="), (b"ABC", b"QUJD"), (b"ABCD", b"QUJDRA==")]);
}

#[test]
fn the_short_ones() {
    check("cmdLine", &[(b"C^aT  /e\"t'c;,\t(x", b"cat/etc(x"), (b" /", b"/"), (b"a , b", b"a b")]);
    check("compressWhitespace", &[(b"a \t\r\n\x0bb ", b"a b ")]);
    check("removeWhitespace", &[(b" a\xc2\xa0b\n", b"ab")]);
    check("trim", &[(b"\t a b \n", b"a b"), (b" ", b"")]);
    check("trimLeft", &[(b" a ", b"a ")]);
    check("trimRight", &[(b" a ", b" a")]);
    check("hexEncode", &[(b"\0Az", b"00417a")]);
    check("hexDecode", &[(b"414", b"A"), (b"4G", b"P")]);
    check("sqlHexDecode", &[(b"a0x4142 0X43z", b"aAB Cz"), (b"0x4", b"0x4"), (b"0xzz", b"0xzz")]);
    check("removeNulls", &[(b"a\0b", b"ab")]);
    check("replaceNulls", &[(b"a\0b", b"a b")]);
    check("length", &[(b"", b"0"), (b"0123456789", b"10")]);
    check("lowercase", &[(b"aBC\xc4", b"abc\xc4")]);
    check("uppercase", &[(b"aBC\xe4", b"ABC\xe4")]);
    check("parityEven7bit", &[(b"\x01\x03", b"\x81\x03")]);
    check("parityOdd7bit", &[(b"\x01\x03", b"\x01\x83")]);
    check("parityZero7bit", &[(b"\x81", b"\x01")]);
    check(
        "utf8toUnicode",
        &["€é😀".as_bytes(), b"\xc0\xaf", b"\xed\xa0\x80", b"a\0b\xe2\x82"]
            .map(|input| input)
            .iter()
            .zip([&b"%u20ac%u00e9%u1f600"[..], b"%u002f\xc0", b"%ud800\xed", b"ab\x82"])
            .map(|(input, expected)| (*input, expected))
            .collect::<Vec<_>>(),
    );
    check("sha1", &[(b"abc", b"\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d")]);
    check("md5", &[(b"", b"\xd4\x1d\x8c\xd9\x8f\x00\xb2\x04\xe9\x80\x09\x98\xec\xf8\x42\x7e")]);
}

/// Text of which transformations make something.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => proptest::sample::select(&b"aAxXuU0123456789fF%+\\&#;/*<!->-'\" \t\n\0\xa0\xc2=.,^_"[..]).prop_map(|byte| vec![byte]),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
        1 => proptest::sample::select(vec!["&lt;", "%u00e9", "\\u0061", "/*", "*/", "../", "0x41", "é", "QUJD"]).prop_map(|text| text.as_bytes().to_vec()),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_cannot_change_does_not(value in value()) {
        let mut out = Vec::new();
        for transform in Transform::all() {
            let changed = transform.apply(&value, &mut out);
            prop_assert_eq!(changed, !out.is_empty() || (changed && out.is_empty()));
            if changed {
                prop_assert!(out != value, "{}", transform.name());
                prop_assert!(transform.may_change(ByteMask::of(&value)), "{}", transform.name());
            } else {
                prop_assert!(out.is_empty());
            }
        }
    }
}

#[test]
fn hostile_values_are_bounded() {
    let mut out = Vec::new();
    for piece in [
        &b"("[..],
        b"/*",
        b"<!--",
        b"&",
        b"&#",
        b"&#1",
        b"%",
        b"\\",
        b"/..",
        b"a/../",
        b"=",
        b" ",
        b"Q",
        b"\xf0",
        b"0x",
    ] {
        let value = piece.repeat((1 << 16) / piece.len());
        for transform in Transform::all() {
            transform.apply(&value, &mut out);
            assert!(out.len() <= 3 * value.len() + 20, "{}", transform.name());
        }
    }
}
