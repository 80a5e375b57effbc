//! Expressions that are sound, with what they come to, and expressions that are not, with what is said of them and where.

use common::config::Located;

use super::*;
use crate::expression::Failure;

fn holds(text: &str) -> Result<bool, Failure> {
    let expression = Expression::compile(&Located::alone(text), Place::Http, &environment());
    let world = World::new();
    expression.unwrap_or_else(|error| panic!("{error}")).holds(&world.facts())
}

#[test]
fn good_ones() {
    for (text, expected) in [
        ("true", true),
        ("!false && (false || true)", true),
        ("client.address == '192.0.2.7'", true),
        ("client.address.inNetwork('192.0.2.0/24')", true),
        ("client.address.inNetwork('10.0.0.0/8', '2001:db8::1')", false),
        ("client.country == 'DE'", true),
        ("client.country in ['AT', 'CH']", false),
        ("time.hour >= 8 && time.hour < 18 && time.minute == 30", true),
        ("time.day == 'thu' && time.unix == 1767259800", true),
        ("tls.version == '1.3' && tls.ja4.startsWith('t13d')", true),
        ("tls.server_name == request.host", true),
        ("tls.certificate.present && tls.certificate.subject.contains('OU=staff')", true),
        ("'OU=staff' in tls.certificate.attributes", true),
        ("tls.certificate.issuer == 'CN=staff CA'", true),
        ("tls.certificate.names.exists(name, name.startsWith('DNS:'))", true),
        ("tls.certificate.names.all(name, name.size() > 3)", true),
        ("tls.certificate.names.exists_one(name, name.startsWith('URI:'))", true),
        ("tls.certificate.names.filter(n, n.startsWith('URI:')).size() == 1", true),
        ("tls.certificate.names.map(n, n.size())[0] == 21", true),
        ("tls.certificate.names[1].endsWith('/ada')", true),
        ("'DNS:ada.staff.example' in tls.certificate.names", true),
        ("request.method in ['GET', 'HEAD']", true),
        ("request.path.matches('^/admin/[a-z]+$')", true),
        ("matches(request.path, 'nowhere')", false),
        ("request.query == 'debug=1&q=a%20b&q=c'", true),
        ("request.parameters['debug'] == '1'", true),
        ("request.parameters.q == 'a b, c'", true),
        ("'q' in request.parameters && !('x' in request.parameters)", true),
        ("has(request.headers.cookie) && !has(request.headers.accept)", true),
        ("request.headers['x-a'] == 'one, two three'", true),
        ("request.headers.nothing == ''", true),
        ("request.headers.exists(name, name == 'x-a')", true),
        ("request.headers.size() == 3", true),
        ("request.cookies.theme == 'dark' && request.cookies['session'] == 'abc, def'", true),
        ("request.body_size > 1024 * 2 - 1", true),
        ("request.body_size % 2 == 0 && request.body_size / 2 == 1024 && -request.body_size < 0", true),
        ("request.content_type == 'application/json'", true),
        ("request.host.upperAscii() + '!' == 'SHOP.EXAMPLE!'", true),
        ("'ABC'.lowerAscii() == 'abc'", true),
        ("int('42') == 42 && string(42) == '42'", true),
        ("size('äö') == 2", true),
        ("(request.method == 'GET' ? 1 : 2) == 1", true),
        ("[] == [] && 1 in [1, 2] && !(1 in [])", true),
        ("['b', 'a'] != ['a', 'b']", true),
        ("'a' < 'b' && 'b' >= 'b'", true),
        // One side decides even if the other fails, as the specification of CEL wants it.
        ("1 / 0 == 1 || true", true),
        ("!(1 / 0 == 1 && false)", true),
        ("[1, 0].exists(x, 1 / x == 1)", true),
    ] {
        assert_eq!(holds(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_cannot_be_answered_is_a_failure() {
    for (text, failure) in [
        ("1 / 0 == 1", Failure::DivisionByZero),
        ("1 % (request.body_size - 2048) == 1", Failure::DivisionByZero),
        ("9223372036854775807 + request.body_size > 0", Failure::Overflow),
        ("tls.certificate.names[2] == ''", Failure::OutOfBounds),
        ("tls.certificate.names[-1] == ''", Failure::OutOfBounds),
        ("int(request.path) == 1", Failure::NotANumber),
        ("[1, 0].all(x, 1 / x == 1)", Failure::DivisionByZero),
    ] {
        assert_eq!(holds(text), Err(failure), "{text}");
    }
}

#[test]
fn a_costly_expression_ends_at_its_budget() {
    let ten = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]";
    let text = format!("{ten}.all(a, {ten}.all(b, {ten}.all(c, {ten}.all(d, {ten}.all(e, a + b + c + d + e > 0)))))");
    assert_eq!(holds(&text), Err(Failure::Cost));
    let world = World::new();
    let cheap = Expression::compile(&Located::alone("request.path == '/'"), Place::Http, &environment()).unwrap();
    assert!(cheap.cost(&world.facts()).0 < 10);
}

#[test]
fn a_long_text_costs_more_than_a_short_one() {
    let expression =
        Expression::compile(&Located::alone("request.path.contains('zz')"), Place::Http, &environment()).unwrap();
    let world = World::new();
    let long = "/a".repeat(4000);
    let request = Request { path: &long, ..world.facts().request.unwrap() };
    let (short, _) = expression.cost(&world.facts());
    let (more, _) = expression.cost(&Facts { request: Some(request), ..world.facts() });
    assert!(more > short + 200, "{short} {more}");
}

/// Expression, the part that must be underlined, words of the message.
const BAD: &[(&str, &str, &[&str])] = &[
    ("tls.versoin == '1.3'", "tls.versoin", &["there is no `tls.versoin`", "did you mean `tls.version`?"]),
    ("reqest.path == '/'", "reqest.path", &["there is no `reqest.path`", "request.path"]),
    ("foo", "foo", &["there is no `foo`", "known here"]),
    ("tls == ''", "tls", &["not a value by itself", "tls.version"]),
    ("user == 'ada'", "user", &["not known to http-filter"]),
    ("destination.port == 1", "destination.port", &["not known to http-filter"]),
    ("request.path", "request.path", &["true or false", "of type string"]),
    ("request.body_size", "request.body_size", &["of type int"]),
    ("request.body_size == '1'", "==", &["different types: int and string"]),
    ("request.path > 1", ">", &["different types"]),
    ("request.path && true", "request.path", &["type bool is wanted", "of type string"]),
    ("!request.path", "request.path", &["type bool is wanted"]),
    ("true ? 1 : 'a'", "?", &["different types"]),
    ("request.path.contians('a')", "contians", &["no function `contians`", "did you mean `contains`?"]),
    ("request.path.contains('a', 'b')", "contains", &["not called like this", "text.contains"]),
    ("request.path.contains(1)", "1", &["type string is wanted", "of type int"]),
    ("contains(request.path, 'a')", "contains", &["not called like this"]),
    ("request.body_size.startsWith('a')", "request.body_size", &["type string is wanted"]),
    ("request.path.matches(request.host)", "request.host", &["must stand here as a text"]),
    ("request.path.matches('(')", "'('", &["not a regular expression", "unclosed group"]),
    ("request.path.matches('(?<=a)b')", "'(?<=a)b'", &["not a regular expression"]),
    ("client.address.inNetwork('10.0.0.0/33')", "'10.0.0.0/33'", &["not a network"]),
    ("client.address.inNetwork(request.host)", "request.host", &["must stand here"]),
    ("request.headers['X-Key'] == 'a'", "'X-Key'", &["lower case", "\"x-key\""]),
    ("'X-Key' in request.headers", "'X-Key'", &["lower case"]),
    ("has(request.headers.Accept)", "has", &["lower case", "\"accept\""]),
    ("has(request.path)", "has", &["a header, cookie or parameter"]),
    ("request.headers == request.cookies", "request.headers", &["is a map, and no value by itself"]),
    ("[request.headers] == [request.cookies]", "request.headers", &["is a map"]),
    ("request.cookies in [request.headers]", "request.cookies", &["is a map"]),
    ("(true ? request.headers : request.cookies)['a'] == ''", "request.headers", &["is a map"]),
    ("'a' in request.path", "request.path", &["looks into lists and maps", "contains"]),
    ("1 in ['a']", "1", &["values of type string", "of type int"]),
    ("[1, 'a'] == []", "'a'", &["elements before are of type int"]),
    ("tls.certificate.names['a'] == ''", "'a'", &["type int is wanted"]),
    ("request.path[0] == ''", "request.path", &["has no elements"]),
    ("request.path.length == 1", "request.path.length", &["there is no `request.path.length`"]),
    ("tls.certificate.names.all(n, n)", "n)", &["type bool is wanted"]),
    ("tls.certificate.names.exists(n, m == '')", "m", &["there is no `m`"]),
    ("request.path.all(c, true)", "request.path", &["only lists and maps have elements"]),
    ("1.5 > 1.0", "1.5", &["with a fraction"]),
    ("1u == 1u", "1u", &["without `u`"]),
    ("b'a' == b'a'", "b'a'", &["no bytes"]),
    ("request.path == null", "null", &["nothing is `null`"]),
    ("{'a': 1}['a'] == 1", "{", &["maps cannot be written"]),
    ("duration('1s') > duration('2s')", "duration", &["no function `duration`"]),
    ("true +", "", &["not an expression in CEL"]),
    ("a &\n& b", "&", &["not an expression in CEL"]),
    ("(true", "", &["not an expression in CEL"]),
    ("'open", "'open", &["not an expression in CEL"]),
    ("((((((((((((true))))))))))))", "((", &["more than 10 brackets"]),
    ("true && ä", "ä", &["not an expression in CEL"]),
];

#[test]
fn bad_ones_are_drawn_where_they_are_wrong() {
    for (text, part, words) in BAD {
        let error = Expression::compile(&Located::alone(text), Place::Http, &environment()).expect_err(text);
        let drawn = error.to_string();
        for word in *words {
            assert!(drawn.contains(word), "{text}: {word:?} is missing in\n{drawn}");
        }
        let (line, column) = error.position();
        let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
        let at = start + text[start..].chars().take(column - 1).map(char::len_utf8).sum::<usize>();
        assert!(text[at..].starts_with(part), "{text}: {part:?} should be underlined:\n{drawn}");
    }
}

#[test]
fn each_process_knows_its_own_names() {
    for (place, text, sound) in [
        (Place::Router, "tls.ja4 == '' && listener == ''", true),
        (Place::Router, "request.path == ''", false),
        (Place::Router, "tls.version == ''", false),
        (Place::Forward, "user == '' && destination.host == '' && request.method == 'CONNECT'", true),
        (Place::Forward, "request.headers.a == ''", false),
        (Place::Forward, "tls.ja4 == ''", false),
    ] {
        let result = Expression::compile(&Located::alone(text), place, &environment());
        assert_eq!(result.is_ok(), sound, "{text}");
    }
    let none = Expression::compile(&Located::alone("client.country == 'DE'"), Place::Http, &Environment::default());
    assert!(none.unwrap_err().to_string().contains("access.country_file"));
}

#[test]
fn the_size_of_an_expression_is_bounded() {
    let many = vec!["true"; 600].join(" && ");
    let deep = format!("{}true{}", "!(".repeat(60), ")".repeat(60));
    let chain = format!("1{} == 1", " + 1".repeat(900));
    let choices = format!("true{}", " ? true : true".repeat(250));
    let hidden = format!("r'\\' == '' && {}true{}", "(".repeat(60), ")".repeat(60));
    for text in [many, deep, chain, choices, hidden] {
        let error = Expression::compile(&Located::alone(&text), Place::Http, &environment()).unwrap_err();
        let drawn = error.to_string();
        assert!(drawn.contains("more than") || drawn.contains("too deep"), "{drawn}");
    }
}

#[test]
fn a_wrong_expression_is_drawn_under_its_line_of_the_file() {
    let errors = set(
        "http-filter",
        &rule("http-filter", "when = \"\"\"\n  request.path == \\\"/\\\"\n  || tls.versoin == '1.3'\"\"\""),
        Action::Allow,
    )
    .map(drop)
    .unwrap_err();
    assert!(errors[0].contains("b.toml:") && errors[0].contains("|   || tls.versoin"), "{}", errors[0]);
    assert!(errors[0].contains("^^^^^^^^^^^ unknown name"), "{}", errors[0]);
}
