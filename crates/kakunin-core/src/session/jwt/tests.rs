use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::session::vectors::records;

const NOW: i64 = 1_800_000_000;
const SECRET: &[u8] = b"a secret of at least 32 bytes, as";

fn key() -> JwtKey {
    JwtKey::Secret(SECRET.to_vec())
}

fn sign(header: &Value, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn with_claims(claims: &Value) -> String {
    sign(&json!({"alg": "HS256", "typ": "JWT"}), &claims.to_string())
}

fn outcome(token: &str) -> &'static str {
    outcome_at(token, UnixTime::from_seconds(NOW), 5)
}

fn outcome_at(token: &str, now: UnixTime, skew_seconds: i64) -> &'static str {
    verify(token, &key(), now, skew_seconds).map_or_else(|reason| reason.slug(), |_| "ok")
}

#[test]
fn attack_04_the_vectors_come_out() {
    for record in records(include_str!("../../../testdata/jwt.txt")) {
        let key = match (record.find("Secret"), record.find("Spki")) {
            (Some(secret), None) => JwtKey::Secret(URL_SAFE_NO_PAD.decode(secret).unwrap()),
            (None, Some(spki)) => JwtKey::PublicKey(STANDARD.decode(spki).unwrap()),
            _ => panic!("one of Secret and Spki is needed"),
        };
        let (now, skew) = (record.get("Now").parse().unwrap(), record.get("Skew").parse().unwrap());
        let outcome = verify(record.get("Token"), &key, UnixTime::from_seconds(now), skew);
        let claims = record.get("Token").split('.').nth(1).unwrap();
        if let Ok(given_back) = &outcome {
            assert_eq!(given_back.as_bytes(), URL_SAFE_NO_PAD.decode(claims).unwrap());
        }
        assert_eq!(
            outcome.map_or_else(|reason| reason.slug(), |_| "ok"),
            record.get("Result"),
            "{}",
            record.get("Name")
        );
    }
}

#[test]
fn attack_04_the_header_decides_nothing_but_what_it_must() {
    let claims = json!({"exp": NOW + 60}).to_string();
    for (header, slug) in [
        (json!({"alg": "HS256"}), "ok"),
        (json!({"alg": "HS256", "typ": "jwt", "kid": "x", "jku": "https://example.org", "jwk": {}}), "ok"),
        (json!({"alg": "HS256", "typ": "application/at+jwt"}), "ok"),
        (json!({"alg": "HS256", "typ": "kakunin-proof+jwt"}), "token_malformed"),
        (json!({"alg": "HS256", "typ": "kakunin-delegation+jwt"}), "token_malformed"),
        (json!({"alg": "HS256", "typ": 1}), "token_malformed"),
        (json!({"alg": "HS256", "crit": ["exp"]}), "token_malformed"),
        (json!({"alg": "HS256", "b64": false}), "token_malformed"),
        (json!({"alg": "none"}), "token_algorithm_refused"),
        (json!({"alg": "hs256"}), "token_algorithm_refused"),
        (json!({"alg": "HS384"}), "token_algorithm_refused"),
        (json!({"alg": "HS512"}), "token_algorithm_refused"),
        (json!({"alg": "ES256"}), "token_algorithm_refused"),
        (json!({"alg": ["HS256"]}), "token_algorithm_refused"),
        (json!({}), "token_algorithm_refused"),
    ] {
        assert_eq!(outcome(&sign(&header, &claims)), slug, "{header}");
    }
}

#[test]
fn times_are_compared_with_the_skew() {
    for (claims, slug) in [
        (json!({}), "token_malformed"),
        (json!({"exp": "1800000060"}), "token_malformed"),
        (json!({"exp": null}), "token_malformed"),
        (json!({"exp": -1}), "token_malformed"),
        (json!({"exp": NOW - 4}), "ok"),
        (json!({"exp": NOW - 5}), "token_expired"),
        (json!({"exp": NOW + 60, "nbf": NOW + 5}), "ok"),
        (json!({"exp": NOW + 60, "nbf": NOW + 6}), "token_from_future"),
        (json!({"exp": NOW + 60, "iat": NOW + 6}), "token_from_future"),
        (json!({"exp": NOW + 60, "iat": 1_800_000_005.5}), "token_from_future"),
        (json!({"exp": NOW + 60, "iat": "x"}), "token_malformed"),
        (json!({"exp": 253_402_300_799_i64}), "ok"),
        (json!({"exp": 253_402_300_800_i64}), "token_malformed"),
    ] {
        assert_eq!(outcome(&with_claims(&claims)), slug, "{claims}");
    }
    let token = with_claims(&json!({"exp": NOW}));
    for (skew, counts_as) in [(-1, 0), (0, 0), (300, 300), (i64::MAX, 300)] {
        assert_eq!(outcome_at(&token, UnixTime::from_seconds(NOW + counts_as), skew), "token_expired");
        assert_eq!(outcome_at(&token, UnixTime(NOW * 1_000_000 + counts_as * 1_000_000 - 1), skew), "ok");
    }
}

#[test]
fn one_token_has_one_text_and_one_reading() {
    let good = with_claims(&json!({"exp": NOW + 60}));
    assert_eq!(outcome(&good), "ok");
    let (message, signature) = good.rsplit_once('.').unwrap();
    for text in [
        format!("{good}="),
        format!("{good} "),
        format!("{good}.x"),
        message.to_owned(),
        format!("{message}."),
        format!("{message}.{}", STANDARD.encode(URL_SAFE_NO_PAD.decode(signature).unwrap())),
        String::new(),
        sign(&json!({"alg": "HS256"}), r#"{"exp":1800000060,"exp":1900000000}"#),
        sign(&json!({"alg": "HS256"}), r#"{"exp":1800000060,"\u0065xp":1900000000}"#),
        sign(&json!({"alg": "HS256"}), r#"["exp"]"#),
        sign(&json!(["HS256"]), r#"{"exp":1800000060}"#),
    ] {
        assert_eq!(outcome(&text), "token_malformed", "{text}");
    }
    let altered =
        format!("{}.{signature}", sign(&json!({"alg": "HS256"}), r#"{"exp":1900000000}"#).rsplit_once('.').unwrap().0);
    assert_eq!(outcome(&altered), "token_signature_invalid");
}

#[test]
fn sizes_are_bounded() {
    let padded = |bytes: usize| {
        let token = with_claims(&json!({"exp": NOW + 60, "x": "x".repeat((bytes - 160) / 4 * 3)}));
        format!("{token}{}", "A".repeat(bytes - token.len()))
    };
    assert_eq!(
        verify(&padded(JWT_BYTES_MAX + 1), &key(), UnixTime::from_seconds(NOW), 0),
        Err(malformed("It is too long"))
    );
    assert_ne!(
        verify(&padded(JWT_BYTES_MAX), &key(), UnixTime::from_seconds(NOW), 0),
        Err(malformed("It is too long"))
    );
    let with_secret = |bytes: usize| JwtKey::Secret(vec![b'x'; bytes]);
    let token = with_claims(&json!({"exp": NOW + 60}));
    let outcome = |bytes| verify(&token, &with_secret(bytes), UnixTime::from_seconds(NOW), 0).unwrap_err();
    assert_eq!(outcome(SECRET_BYTES_MIN - 1), Reason::TokenSecretTooShort { bytes: 31, min: 32 });
    assert_eq!(outcome(SECRET_BYTES_MIN), Reason::TokenSignatureInvalid);
    assert_eq!(outcome(0).class(), crate::Class::NotReady);
}

#[test]
fn a_key_shows_nothing_of_itself() {
    assert_eq!(format!("{:?} {:?}", key(), JwtKey::PublicKey(vec![1])), "JwtKey::Secret(..) JwtKey::PublicKey(..)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_makes_it_panic(text in r"[A-Za-z0-9_.=-]{0,80}|\PC{0,40}", spki in any::<Vec<u8>>(), claims in any::<String>()) {
        outcome(&text);
        outcome(&sign(&json!({"alg": "HS256"}), &claims));
        let _ = verify(&sign(&json!({"alg": "ES256"}), "{}"), &JwtKey::PublicKey(spki), UnixTime(0), 0);
    }
}
