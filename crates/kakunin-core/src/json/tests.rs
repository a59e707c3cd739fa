use proptest::prelude::*;

use super::*;
use crate::session::vectors::records;

/// The vectors, and each canonical form is its own.
#[test]
fn pki_33_pki_36_the_vectors_come_out() {
    for record in records(include_str!("../../testdata/canonical_json.txt")) {
        let outcome = canonicalize(record.get("Input"));
        match (record.find("Canonical"), record.find("Refused")) {
            (Some(canonical), None) => {
                assert_eq!(outcome.as_deref(), Ok(canonical), "{}", record.get("Name"));
                assert_eq!(canonicalize(canonical).as_deref(), Ok(canonical), "{}, again", record.get("Name"));
            }
            (None, Some(slug)) => assert_eq!(outcome.unwrap_err().slug(), slug, "{}", record.get("Name")),
            _ => panic!("{}: one of Canonical and Refused is needed", record.get("Name")),
        }
    }
}

#[test]
fn pki_36_white_space_and_order_do_not_matter() {
    let canonical = Ok(r#"{"a":[1,2],"b":"x"}"#.to_owned());
    for text in ["{\"b\":\"x\",\"a\":[1,2]}", " {\r\n\t\"a\" : [ 1 , 2.0 ] ,\n\"b\":\"\\u0078\" }\n"] {
        assert_eq!(canonicalize(text), canonical);
    }
    assert!(canonicalize("\u{a0}{}").is_err(), "only four characters are white space");
}

#[test]
fn pki_33_nesting_is_bounded_before_anything_recurses() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse_strict(&nested(JSON_DEPTH_MAX)).is_ok());
    let refused = Reason::JsonMalformed { what: format!("it is nested more than {JSON_DEPTH_MAX} deep") };
    for depth in [JSON_DEPTH_MAX + 1, 10_000, 1_000_000] {
        assert_eq!(parse_strict(&nested(depth)), Err(refused.clone()));
        assert_eq!(parse_strict(&r#"{"a":"#.repeat(depth)), Err(refused.clone()));
    }
    let in_a_string = format!(r#"["\"{}"]"#, "[".repeat(10_000));
    assert!(parse_strict(&in_a_string).is_ok(), "brackets in a string do not nest");
}

#[test]
fn size_is_bounded() {
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    assert!(canonicalize(&text(JSON_BYTES_MAX)).is_ok());
    assert!(canonicalize(&text(JSON_BYTES_MAX + 1)).is_err());
    let zeros = |count: usize| format!("[{}0]", "0,".repeat(count - 2));
    assert!(parse_strict(&zeros(VALUES_MAX)).is_ok());
    assert!(parse_strict(&zeros(VALUES_MAX + 1)).is_err());
    let number = |digits: usize| format!("0.{}", "1".repeat(digits - 2));
    assert!(parse_strict(&number(NUMBER_CHARS_MAX)).is_ok());
    assert!(parse_strict(&number(NUMBER_CHARS_MAX + 1)).is_err());
}

#[test]
fn claims_may_hold_numbers_that_are_only_near() {
    let members = parse_object(r#"{"id":9007199254740993}"#, 100).unwrap();
    assert_eq!(members["id"].as_u64(), Some(9_007_199_254_740_993));
    assert!(parse_object(r#"{"id":1e400}"#, 100).is_err());
    assert!(parse_object(r#"{"a":1,"\u0061":1}"#, 100).is_err());
    assert!(parse_object("[]", 100).is_err());
    assert!(parse_object(r#"{"a":1}"#, 7).is_ok());
    assert!(parse_object(r#"{"a":1}"#, 6).is_err());
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-(1_i64 << 53)..=1 << 53).prop_map(|number| Value::Number(number.into())),
        any::<f64>()
            .prop_filter_map("JSON has finite numbers only", |number| Some(Value::Number(Number::from_f64(number)?))),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            prop::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Another writer's text of the same value has the same canonical form, and that form is stable and means the same.
    #[test]
    fn the_canonical_form_depends_on_the_value_alone(value in any_value()) {
        let canonical = write_canonical(&value);
        let of_another_writer = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(canonicalize(&of_another_writer), Ok(canonical.clone()));
        prop_assert_eq!(canonicalize(&canonical), Ok(canonical.clone()));
        prop_assert_eq!(write_canonical(&parse_strict(&canonical).unwrap()), canonical);
    }

    #[test]
    fn every_double_has_one_text(number in any::<f64>()) {
        prop_assume!(number.is_finite());
        let text = write_canonical(&Value::Number(Number::from_f64(number).unwrap()));
        prop_assert_eq!(text.parse::<f64>().unwrap(), number);
        prop_assert_eq!(canonicalize(&text), Ok(text.clone()));
    }

    /// Where doubles are spaced by one or more, Rust's shortest digits and ECMAScript's are the same, which the test for
    /// exactness relies on.
    #[test]
    fn large_doubles_have_the_same_digits_everywhere(bits in EXACT_MAX.to_bits()..=f64::MAX.to_bits()) {
        let number = f64::from_bits(bits);
        let text = write_canonical(&Value::Number(Number::from_f64(number).unwrap()));
        prop_assert_eq!(decimal_digits(&text), decimal_digits(&format!("{number:e}")));
    }

    #[test]
    fn no_text_makes_it_panic(text in r#"[\[\]{}",:0-9eE+.\\u-]{0,40}|\PC{0,40}"#) {
        if let Ok(canonical) = canonicalize(&text) {
            prop_assert_eq!(canonicalize(&canonical), Ok(canonical.clone()));
        }
    }
}
