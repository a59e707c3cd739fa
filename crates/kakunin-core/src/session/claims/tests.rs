use proptest::prelude::*;

use super::*;

const SERIAL: &str = "0A01";

fn from_claims(claims: &str) -> Result<Option<String>, &'static str> {
    serial_from(Some(claims), None, false).map_err(|reason| reason.slug())
}

fn found() -> Result<Option<String>, &'static str> {
    Ok(Some(SERIAL.to_owned()))
}

#[test]
fn each_place_is_read() {
    assert_eq!(from_claims(r#"{"app_metadata":{"provider":"kakunin","cert_serial":"0A01"}}"#), found());
    assert_eq!(from_claims(r#"{"role":"anon","kakunin_cert_serial":"0A01"}"#), found());
    assert_eq!(from_claims(r#"{"app_metadata":{"cert_serial":"0A01"},"kakunin_cert_serial":"0a01"}"#), found());
}

#[test]
fn empty_is_the_same_as_absent() {
    for claims in [
        "",
        "{}",
        r#"{"role":"anon"}"#,
        r#"{"app_metadata":null}"#,
        r#"{"app_metadata":{}}"#,
        r#"{"app_metadata":{"cert_serial":""},"kakunin_cert_serial":""}"#,
        r#"{"app_metadata":{"cert_serial":null},"kakunin_cert_serial":null}"#,
        r#"{"cert_serial":"0A01","user_metadata":{"cert_serial":"0A01","kakunin_cert_serial":"0A01"}}"#,
    ] {
        assert_eq!(from_claims(claims), Ok(None), "{claims}");
    }
    assert_eq!(from_claims(r#"{"app_metadata":{"cert_serial":""},"kakunin_cert_serial":"0A01"}"#), found());
    assert_eq!(serial_from(None, None, true), Ok(None));
    assert_eq!(serial_from(Some(""), Some(""), true), Ok(None));
    assert_eq!(serial_from(None, Some(r#"{"x-kakunin-cert-serial":""}"#), true), Ok(None));
}

/// One number, many spellings, one text.
#[test]
fn n13_attack_04_spellings_of_a_serial_become_one() {
    for spelling in ["0A01", "0a01", "a01", "00:0A:01", "0a-01", "0x0A01", "000A01"] {
        assert_eq!(from_claims(&format!(r#"{{"kakunin_cert_serial":"{spelling}"}}"#)), found(), "{spelling}");
    }
    for refused in
        ["0", "00", "-0A01", "xyz", "0A01 OR 1=1", "0A01, 0A01", "::", "٣", &"F".repeat(42), &"0".repeat(2000)]
    {
        let claims = format!(r#"{{"kakunin_cert_serial":"{refused}"}}"#);
        assert_eq!(from_claims(&claims), Err("claims_malformed"), "{refused}");
    }
}

#[test]
fn places_that_disagree_are_refused() {
    let claims = r#"{"app_metadata":{"cert_serial":"0A01"},"kakunin_cert_serial":"0A02"}"#;
    assert_eq!(from_claims(claims), Err("claims_disagree"));
    let top = Some(r#"{"kakunin_cert_serial":"0A01"}"#);
    for trust_header in [false, true] {
        let with = |headers| serial_from(top, Some(headers), trust_header).map_err(|reason| reason.slug());
        assert_eq!(with(r#"{"x-kakunin-cert-serial":"0A02"}"#), Err("claims_disagree"));
        assert_eq!(with(r#"{"x-kakunin-cert-serial":"0a:01"}"#), found());
        assert_eq!(with(r#"{"x-kakunin-cert-serial":""}"#), found());
        assert_eq!(with(r#"{"x-kakunin-cert-serial":"nonsense"}"#), Err("claims_malformed"));
        assert_eq!(with(r#"{"x-kakunin-cert-serial":"0A01, 0A01"}"#), Err("headers_malformed"));
    }
}

#[test]
fn attack_04_a_header_alone_counts_only_where_it_is_trusted() {
    let headers = Some(r#"{"accept":"*/*","x-kakunin-cert-serial":"0a01"}"#);
    for claims in [None, Some(""), Some("{}"), Some(r#"{"kakunin_cert_serial":""}"#)] {
        assert_eq!(serial_from(claims, headers, false), Ok(None));
        assert_eq!(serial_from(claims, headers, true), Ok(Some(SERIAL.to_owned())));
    }
}

#[test]
fn claims_that_cannot_be_read_are_refused_and_not_skipped() {
    for claims in [
        " ",
        "null",
        "[]",
        "\"0A01\"",
        "{",
        r#"{"kakunin_cert_serial":"0A01","kakunin_cert_serial":"0A02"}"#,
        r#"{"kakunin_cert_serial":"0A01","kakunin_cert_seria\u006c":"0A01"}"#,
        r#"{"kakunin_cert_serial":2561}"#,
        r#"{"kakunin_cert_serial":["0A01"]}"#,
        r#"{"app_metadata":"0A01"}"#,
        r#"{"app_metadata":[{"cert_serial":"0A01"}]}"#,
        r#"{"app_metadata":{"cert_serial":true}}"#,
    ] {
        assert_eq!(from_claims(claims), Err("claims_malformed"), "{claims}");
    }
    let of_size = |bytes: usize| format!(r#"{{"x":"{}"}}"#, "x".repeat(bytes - 8));
    assert_eq!(from_claims(&of_size(JWT_BYTES_MAX)), Ok(None));
    assert_eq!(from_claims(&of_size(JWT_BYTES_MAX + 1)), Err("claims_malformed"));
    assert_eq!(from_claims(r#"{"id":12345678901234567890123,"kakunin_cert_serial":"0A01"}"#), found());
}

#[test]
fn n07_a_header_that_was_sent_twice_is_refused() {
    let read = |headers: &str| header(headers, "X-Kakunin-Proof").map_err(|reason| reason.slug());
    assert_eq!(read(r#"{"x-kakunin-proof":"a.b.c"}"#), Ok(Some("a.b.c".to_owned())));
    assert_eq!(read(r#"{"X-KAKUNIN-PROOF":"a.b.c"}"#), Ok(Some("a.b.c".to_owned())));
    assert_eq!(read(r#"{"accept":"text/html, */*"}"#), Ok(None), "commas elsewhere do not matter");
    for absent in ["", "{}", r#"{"x-kakunin-proof":""}"#, r#"{"x-kakunin-proof2":"a"}"#] {
        assert_eq!(read(absent), Ok(None), "{absent}");
    }
    for refused in [
        r#"{"x-kakunin-proof":"a.b.c, d.e.f"}"#,
        r#"{"x-kakunin-proof":","}"#,
        r#"{"x-kakunin-proof":"a","X-Kakunin-Proof":"b"}"#,
        r#"{"x-kakunin-proof":"a","x-kakunin-proof":"a"}"#,
        r#"{"x-kakunin-proof":["a"]}"#,
        r#"{"x-kakunin-proof":null}"#,
        "[]",
        "x",
    ] {
        assert_eq!(read(refused), Err("headers_malformed"), "{refused}");
    }
    let of_size = |bytes: usize| format!(r#"{{"x":"{}"}}"#, "x".repeat(bytes - 8));
    assert_eq!(read(&of_size(HEADERS_BYTES_MAX)), Ok(None));
    assert_eq!(read(&of_size(HEADERS_BYTES_MAX + 1)), Err("headers_malformed"));
}

#[test]
fn a_bearer_token_is_found() {
    let token = |value: &str| bearer_token(&format!(r#"{{"authorization":"{value}"}}"#)).unwrap();
    assert_eq!(token("Bearer a.b.c"), Some("a.b.c".to_owned()));
    assert_eq!(token("bearer  a.b.c"), Some("a.b.c".to_owned()));
    for none in ["", "a.b.c", "Basic eDp5", "Bearer"] {
        assert_eq!(token(none), None, "{none}");
    }
    assert_eq!(bearer_token(""), Ok(None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_makes_it_panic(claims in r#"[\[\]{}",:0-9a-z\\]{0,60}|\PC{0,40}"#, headers in any::<String>(), trust in any::<bool>()) {
        let _ = serial_from(Some(&claims), Some(&headers), trust);
        let _ = bearer_token(&headers);
    }
}
