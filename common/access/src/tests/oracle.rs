//! The interpreter of the crate `cel` as the oracle: what is compiled here must come to what it comes to there.

use cel::{Context, Program, Value};
use common::config::Located;
use proptest::prelude::*;

use super::*;

/// The same facts as [`World`]'s, as far as both can have them.
fn oracle(text: &str) -> Option<bool> {
    let mut context = Context::default();
    let map = |pairs: &[(&str, &str)]| {
        Value::from(
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<std::collections::HashMap<_, _>>(),
        )
    };
    let names = Value::from(vec!["DNS:ada.staff.example".to_owned(), "URI:spiffe://shop/ada".to_owned()]);
    let request = std::collections::HashMap::from([
        ("method".to_owned(), Value::from("GET")),
        ("path".to_owned(), Value::from("/admin/users")),
        ("host".to_owned(), Value::from("shop.example")),
        ("body_size".to_owned(), Value::from(2048_i64)),
        ("headers".to_owned(), map(&[("x-a", "one, two three")])),
    ]);
    let certificate =
        std::collections::HashMap::from([("names".to_owned(), names), ("present".to_owned(), Value::from(true))]);
    let tls = std::collections::HashMap::from([("certificate".to_owned(), Value::from(certificate))]);
    context.add_variable_from_value("request", request);
    context.add_variable_from_value("tls", tls);
    match Program::compile(text).unwrap_or_else(|error| panic!("{text}: {error}")).execute(&context) {
        Ok(Value::Bool(truth)) => Some(truth),
        Ok(other) => panic!("{text}: {other:?}"),
        Err(_) => None,
    }
}

/// Texts of booleans, built from parts of one kind.
fn truth() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        (-3_i64..4).prop_map(|n| n.to_string()),
        Just("request.body_size".to_owned()),
        Just("9223372036854775807".to_owned()),
        text().prop_map(|text| format!("size({text})")),
    ];
    let number = number.prop_recursive(2, 8, 2, |inner| {
        (inner.clone(), inner, prop_oneof![Just("+"), Just("-"), Just("*"), Just("/"), Just("%")])
            .prop_map(|(a, b, op)| format!("({a} {op} {b})"))
    });
    let comparing = prop_oneof![Just("=="), Just("!="), Just("<"), Just("<="), Just(">"), Just(">=")];
    let leaf = prop_oneof![
        Just("true".to_owned()),
        Just("false".to_owned()),
        Just("tls.certificate.present".to_owned()),
        Just("'x-a' in request.headers".to_owned()),
        Just("has(request.headers.other)".to_owned()),
        Just("tls.certificate.names.exists_one(n, n.startsWith('DNS:'))".to_owned()),
        (number.clone(), number.clone(), comparing.clone()).prop_map(|(a, b, op)| format!("{a} {op} {b}")),
        (text(), text(), comparing).prop_map(|(a, b, op)| format!("{a} {op} {b}")),
        (text(), text(), prop_oneof![Just("contains"), Just("startsWith"), Just("endsWith")])
            .prop_map(|(a, b, ask)| format!("{a}.{ask}({b})")),
        (text(), proptest::collection::vec(text(), 0..4)).prop_map(|(a, list)| format!("{a} in [{}]", list.join(", "))),
        (number.clone(), proptest::collection::vec(number, 1..4))
            .prop_map(|(a, list)| format!("[{}].all(x, x < {a})", list.join(", "))),
        text().prop_map(|a| format!("tls.certificate.names.exists(n, n.contains({a}))")),
        text().prop_map(|a| format!("tls.certificate.names.filter(n, n > {a}).map(n, n + 'x').size() == 1")),
        text().prop_map(|a| format!("{a}.matches('^[a-z/]+$')")),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
}

fn text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[a-c/ö]{0,4}".prop_map(|text| format!("'{text}'")),
        Just("request.path".to_owned()),
        Just("request.method".to_owned()),
        Just("request.host".to_owned()),
        Just("request.headers['x-a']".to_owned()),
        Just("tls.certificate.names[0]".to_owned()),
    ];
    leaf.prop_recursive(1, 4, 2, |inner| (inner.clone(), inner).prop_map(|(a, b)| format!("({a} + {b})")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_come_to_the_same(text in truth()) {
        let world = World::new();
        match Expression::compile(&Located::alone(&text), Place::Http, &environment()) {
            Ok(own) => prop_assert_eq!(own.holds(&world.facts()).ok(), oracle(&text), "{}", text),
            Err(error) => prop_assert!(error.to_string().contains("more than"), "{}: {}", text, error),
        }
    }

    #[test]
    fn no_text_ends_in_anything_but_an_answer(text in "[a-z0-9 .()\\[\\]'\"=!&|<>?:,+*/%-]{0,60}") {
        if let Ok(expression) = Expression::compile(&Located::alone(&text), Place::Http, &environment()) {
            let world = World::new();
            let _ = expression.holds(&world.facts());
        }
    }
}
