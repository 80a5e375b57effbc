//! Every transformation on a few thousand values: equal to libmodsecurity, but for differences that are named here (and in `docs/crs.md`).

use std::fmt::Write as _;

use seclang::transform::Transform;
use serde_json::json;

use super::oracle::{Oracle, latin1};
use super::random::Random;

/// What transformations look for.
const PIECES: &[&[u8]] = &[
    b"a",
    b"B",
    b"0",
    b"7",
    b"f",
    b"x",
    b"u",
    b"U",
    b" ",
    b"\t",
    b"\n",
    b"\r",
    b"\x0b",
    b"\0",
    b"\xa0",
    b"+",
    b"%",
    b"%41",
    b"%4",
    b"%zz",
    b"%u",
    b"%u0041",
    b"%uff1c",
    b"%uFF1f",
    b"%u2032",
    b"%u00e9",
    b"%u004",
    b"%U2022",
    b"\\",
    b"\\u0061",
    b"\\uFF21",
    b"\\x41",
    b"\\x4",
    b"\\101",
    b"\\777",
    b"\\08",
    b"\\n",
    b"\\c",
    b"\\\n",
    b"\\000041 ",
    b"\\0ff21",
    b"\\00ff21",
    b"\\10ff21",
    b"&",
    b"&#",
    b"&#x",
    b"&#60;",
    b"&#x3c",
    b"&#99999999999999999999;",
    b"&lt;",
    b"&QUOT",
    b"&nbsp;",
    b"&nope;",
    b";",
    b"/*",
    b"*/",
    b"<!--",
    b"-->",
    b"--",
    b"#",
    b"/",
    b"//",
    b"./",
    b"../",
    b"..",
    b".",
    b"\"",
    b"'",
    b"^",
    b",",
    b"(",
    b"0x41",
    b"0x4142",
    b"=",
    b"==",
    b"QUJD",
    b"YQ",
    b"-",
    b"_",
    b"\xc3\xa9",
    b"\xe2\x82\xac",
    b"\xf0\x9f\x98\x80",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf5\x80\x80\x80",
    b"\xe2\x82",
    b"\xff",
    b"select",
];

/// The part of the map that [`PIECES`] use; others are far from any code that they can form.
const MAP: &str = "20127 (US-ASCII)\n2022:2e 2032:27 ff1c:3c ff21:41\n";

/// Why the library's result for this input may differ from ours, which has been looked into; nothing if it must be the same.
fn explained(transform: Transform, input: &[u8], ours: &[u8], theirs: &[u8]) -> Option<&'static str> {
    let cut = |value: &[u8]| value.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    match transform {
        Transform::CssDecode if theirs == cut(ours) => Some("3.0.9 cuts the result at a NUL"),
        Transform::Base64Decode if theirs.is_empty() && ours == input => {
            Some("3.0.9 empties what is not base64; 3.0.13 keeps it")
        }
        Transform::Base64DecodeExt if without_url_alphabet(input) == theirs => {
            Some("3.0.13 knows the URL alphabet, 3.0.9 does not")
        }
        Transform::Base64DecodeExt if theirs.is_empty() && input.contains(&b'9') => {
            Some("takes a last 9 (value 61) for a =")
        }
        Transform::NormalizePathWin
            if theirs.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).eq(ours.iter().copied()) =>
        {
            Some("leaves the last backslash of a run as it is")
        }
        Transform::SqlHexDecode => {
            Some("3.0.9 loses the last byte, cuts at a NUL, and does not look at the byte behind a number")
        }
        Transform::RemoveComments if theirs.len() == ours.len() + 1 => Some("3.0.9 reads the NUL behind the value"),
        _ => None,
    }
}

fn without_url_alphabet(input: &[u8]) -> Vec<u8> {
    let (input, mut out) =
        (input.iter().copied().filter(|byte| !b"-_".contains(byte)).collect::<Vec<u8>>(), Vec::new());
    if Transform::Base64DecodeExt.apply(&input, &mut out) { out } else { input }
}

#[test]
fn transformations_are_those_of_libmodsecurity() {
    let transforms: Vec<Transform> = Transform::all().filter(|transform| *transform != Transform::None).collect();
    let directory = tempfile::tempdir().unwrap();
    let map = directory.path().join("unicode.mapping");
    std::fs::write(&map, MAP).unwrap();
    let mut rules =
        format!("SecRuleEngine DetectionOnly\nSecRequestBodyAccess On\nSecUnicodeMapFile {} 20127\n", map.display());
    for (number, transform) in transforms.iter().enumerate() {
        let (id, name) = (number + 1, transform.name());
        writeln!(rules, "SecRule ARGS:a \"@unconditionalMatch\" \"id:{id},phase:2,pass,log,t:none,t:{name},t:hexEncode,logdata:'%{{MATCHED_VAR}}'\"")
            .unwrap();
    }
    let Some(mut oracle) = Oracle::start(&[json!({ "text": rules })]) else { return };
    let (mut random, mut differences, mut known) = (Random::new(1), Vec::new(), 0);
    let mut out = Vec::new();
    for _ in 0..3000 {
        let input = random.text(PIECES, 7);
        let body = input.iter().fold(String::from("a="), |mut body, byte| {
            write!(body, "%{byte:02x}").unwrap();
            body
        });
        let headers = [["content-type", "application/x-www-form-urlencoded"]];
        let hits = oracle.hits(&json!({ "method": "POST", "uri": "/", "headers": headers, "body": body }));
        assert_eq!(hits.len(), transforms.len());
        for hit in hits {
            let transform = transforms[hit.id as usize - 1];
            let ours = if transform.apply(&input, &mut out) { out.clone() } else { input.clone() };
            let Some(theirs) = unhex(&hit.data) else { continue };
            if ours != theirs && explained(transform, &input, &ours, &theirs).is_none() {
                differences.push(format!(
                    "{}: {:?}: ours {:?}, theirs {:?}",
                    transform.name(),
                    latin1(&input),
                    latin1(&ours),
                    latin1(&theirs)
                ));
            } else if ours != theirs {
                known += 1;
            }
        }
    }
    eprintln!("{known} differences are known, {} are not", differences.len());
    differences.sort();
    assert!(differences.is_empty(), "{}", differences[..differences.len().min(60)].join("\n"));
}

/// The bytes; nothing if the library has cut the digits (at 200).
fn unhex(text: &str) -> Option<Vec<u8>> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()).collect()
}
