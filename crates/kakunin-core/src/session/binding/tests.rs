use proptest::prelude::*;

use super::*;
use crate::limits::{CHAIN_LENGTH_MAX, ID_CHARS_MAX, SCOPE_BYTES_MAX};

fn binding() -> Binding {
    Binding {
        source: Source::Proof,
        serial: "0A01".to_owned(),
        fingerprint: [0xab; 32],
        agent_id: "pay-1".to_owned(),
        tenant_id: Some("bank".to_owned()),
        issuer_fingerprints: vec![[1; 32], [2; 32]],
        not_before: UnixTime::from_seconds(1_000),
        not_after: UnixTime::from_seconds(2_000),
        role: 16_384,
        scope: Some(r#"{"v":1}"#.to_owned()),
        model_hash: None,
        bound_at: UnixTime(1_500_000_001),
        session_scoped: false,
    }
}

/// The written form is a format: a server that is upgraded reads settings of parallel workers of the same version only,
/// yet a change should be seen and meant.
#[test]
fn the_written_form_is_fixed() {
    let expected = concat!(
        r#"{"v":1,"source":"proof","serial":"0A01","fingerprint":"abababababababababababababababababababababababababababababababab","#,
        r#""agent":"pay-1","tenant":"bank","issuers":["0101010101010101010101010101010101010101010101010101010101010101","#,
        r#""0202020202020202020202020202020202020202020202020202020202020202"],"not_before":1000000000,"not_after":2000000000,"#,
        r#""role":16384,"scope":"{\"v\":1}","bound_at":1500000001,"session":false}"#,
    );
    assert_eq!(binding().encode(), expected);
    assert_eq!(Binding::decode(expected), Ok(binding()));
}

#[test]
fn the_largest_binding_fits_and_one_byte_more_does_not() {
    let wide = "\u{ff}".repeat(SCOPE_BYTES_MAX / 2);
    let fingerprints = vec![[0xff; 32]; CHAIN_LENGTH_MAX + 1];
    let largest = Binding {
        source: Source::Gateway,
        serial: "F".repeat(40),
        agent_id: "\u{1f600}".repeat(ID_CHARS_MAX),
        tenant_id: Some("\u{1f600}".repeat(ID_CHARS_MAX)),
        issuer_fingerprints: fingerprints,
        not_before: UnixTime(i64::MIN),
        not_after: UnixTime(i64::MIN),
        role: u32::MAX,
        scope: Some(wide),
        model_hash: Some(crate::model_hash::model_hash(b"")),
        bound_at: UnixTime(i64::MIN),
        ..binding()
    };
    let text = largest.encode();
    assert!(text.len() <= BINDING_BYTES_MAX, "{} bytes", text.len());
    assert_eq!(Binding::decode(&text), Ok(largest));
    let padded = |bytes: usize| format!("{}{}", binding().encode(), " ".repeat(bytes - binding().encode().len()));
    assert_eq!(Binding::decode(&padded(BINDING_BYTES_MAX)), Ok(binding()));
    assert_eq!(Binding::decode(&padded(BINDING_BYTES_MAX + 1)).unwrap_err().slug(), "binding_malformed");
}

#[test]
fn what_was_not_written_by_encode_is_refused() {
    let good = binding().encode();
    let without = |part: &str| {
        assert!(good.contains(part), "{part}");
        good.replacen(part, "", 1)
    };
    let with = |part: &str, other: &str| {
        assert!(good.contains(part), "{part}");
        good.replacen(part, other, 1)
    };
    for text in [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        format!("{good}x"),
        format!("{good}{good}"),
        with("\"v\":1", "\"v\":2"),
        with("\"v\":1", "\"v\":\"1\""),
        with("\"proof\"", "\"superuser\""),
        with("\"proof\"", "\"Proof\""),
        with("abab", "ABAB"),
        with("abab", "ab"),
        with("abab", "aba\u{e9}"),
        with("\"v\":1,", "\"v\":1,\"v\":1,"),
        with("\"v\":1,", "\"v\":1,\"extra\":1,"),
        with("\"role\":16384", "\"role\":-1"),
        with("\"role\":16384", "\"role\":4294967296"),
        with("1000000000", "1e9"),
        with("2000000000", "20000000000000000000"),
        with("\"session\":false", "\"session\":0"),
        without("\"serial\":\"0A01\","),
        without(",\"session\":false"),
    ] {
        assert_eq!(Binding::decode(&text).unwrap_err().slug(), "binding_malformed", "{text}");
    }
}

/// Both ends of the validity belong to it, and nothing beyond them.
#[test]
fn n08_pki_20_alive_from_the_first_instant_to_the_last() {
    let alive = |micros| binding().alive_at(UnixTime(micros));
    assert!(!alive(999_999_999));
    assert!(alive(1_000_000_000));
    assert!(alive(2_000_000_000));
    assert!(!alive(2_000_000_001));
    assert!(!alive(i64::MIN) && !alive(i64::MAX));
}

#[test]
fn a_transaction_has_one_identity() {
    let same = Binding { source: Source::Gateway, session_scoped: true, bound_at: UnixTime(9), ..binding() };
    let other = Binding { fingerprint: [0xcd; 32], ..binding() };
    let renewed = Binding { fingerprint: [0xce; 32], serial: "0A02".to_owned(), ..binding() };
    assert_eq!(admit_bind(None, None, &binding()), Ok(()));
    assert_eq!(admit_bind(Some(&binding()), Some(binding().fingerprint), &same), Ok(()));
    for new in [&other, &renewed] {
        let already = Err(Reason::AlreadyBound { serial: "0A01".to_owned() });
        assert_eq!(admit_bind(Some(&binding()), Some(binding().fingerprint), new), already);
        assert_eq!(admit_bind(Some(&binding()), None, new), already, "a session's binding counts too");
        assert_eq!(admit_bind(None, Some(binding().fingerprint), new), Err(Reason::BoundBefore), "unbound in between");
    }
    let slugs = [Reason::AlreadyBound { serial: String::new() }, Reason::BoundBefore].map(|reason| reason.class());
    assert_eq!(slugs, [crate::Class::ActRefused; 2]);
}

#[test]
fn a_source_is_written_as_it_is_shown() {
    for source in [Source::Proof, Source::Tls, Source::Gateway] {
        let text = Binding { source, ..binding() }.encode();
        assert!(text.contains(&format!("\"source\":\"{}\"", source.as_str())));
    }
}

fn any_binding() -> impl Strategy<Value = Binding> {
    let source = prop_oneof![Just(Source::Proof), Just(Source::Tls), Just(Source::Gateway)];
    let texts =
        (any::<String>(), any::<String>(), any::<Option<String>>(), any::<Option<String>>(), any::<Option<String>>());
    let numbers = (any::<i64>(), any::<i64>(), any::<i64>(), any::<u32>(), any::<bool>());
    let digests = (any::<[u8; 32]>(), prop::collection::vec(any::<[u8; 32]>(), 0..9));
    (source, texts, numbers, digests).prop_map(|(source, texts, numbers, (fingerprint, issuer_fingerprints))| {
        let (serial, agent_id, tenant_id, scope, model_hash) = texts;
        let (not_before, not_after, bound_at, role, session_scoped) = numbers;
        Binding {
            source,
            serial,
            fingerprint,
            agent_id,
            tenant_id,
            issuer_fingerprints,
            not_before: UnixTime(not_before),
            not_after: UnixTime(not_after),
            role,
            scope,
            model_hash,
            bound_at: UnixTime(bound_at),
            session_scoped,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn decoding_gives_back_what_was_encoded(binding in any_binding()) {
        let text = binding.encode();
        prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "printable ASCII only");
        prop_assert_eq!(Binding::decode(&text), Ok(binding));
    }

    #[test]
    fn no_text_makes_it_panic(text in r#"[\[\]{}",:0-9a-z\\]{0,60}|\PC{0,40}"#) {
        prop_assert!(Binding::decode(&text).is_err());
    }
}
