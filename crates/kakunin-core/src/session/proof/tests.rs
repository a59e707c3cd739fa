use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::certificate::signature::{self, Algorithm};
use crate::session::vectors::{Record, records};

const ISSUED: i64 = 1_800_000_000;
const AUDIENCE: &str = "kakunin:7301234567890123456/shop";
/// What must never be seen in an error text.
const SECRETS: [&str; 3] = ["the-jti-of-this-proof", "the-nonce-of-this-proof", "dGhlIHNpZ25hdHVyZQ"];

fn expectation() -> Expectation<'static> {
    Expectation {
        audience: AUDIENCE,
        now: UnixTime::from_seconds(ISSUED + 5),
        clock_skew_seconds: 5,
        server_started: UnixTime::from_seconds(ISSUED - 3600),
        request: None,
        challenge: None,
        role: Some("agents"),
    }
}

fn header() -> Value {
    json!({"typ": TYPE, "alg": "ES256", "x5t#S256": URL_SAFE_NO_PAD.encode([7; 32]), "kid": "0A01"})
}

fn claims() -> Value {
    json!({"aud": AUDIENCE, "iat": ISSUED, "exp": ISSUED + 60, "jti": SECRETS[0]})
}

fn encode(header: &str, claims: &str) -> String {
    format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims), SECRETS[2])
}

/// A proof whose header and claims differ from good ones by `changes`; null takes a member away.
fn proof_with(header_changes: Value, claim_changes: Value) -> String {
    let changed = |mut value: Value, changes: Value| {
        for (name, change) in changes.as_object().unwrap() {
            let members = value.as_object_mut().unwrap();
            if change.is_null() {
                members.remove(name)
            } else {
                members.insert(name.clone(), change.clone())
            };
        }
        value.to_string()
    };
    encode(&changed(header(), header_changes), &changed(claims(), claim_changes))
}

/// The slug of the refusal, or "ok". Whatever the refusal says, it must not repeat the proof.
fn outcome(text: &str, expected: &Expectation<'_>) -> &'static str {
    match Proof::parse(text).and_then(|proof| proof.check(expected)) {
        Ok(()) => "ok",
        Err(reason) => {
            let shown = format!("{} {} {} {reason:?}", reason.message(), reason.detail(), reason.hint());
            for part in SECRETS.iter().copied().chain(text.split('.').filter(|part| part.len() > 8)) {
                assert!(!shown.contains(part), "{shown} repeats {part}");
            }
            assert!(matches!(reason.class(), crate::Class::IdentityNotProven), "one class for all: {reason:?}");
            reason.slug()
        }
    }
}

fn with_claims(changes: Value) -> String {
    proof_with(json!({}), changes)
}

#[test]
fn pki_14_attack_04_the_vectors_of_openssl_come_out() {
    let all = records(include_str!("../../../testdata/proof.txt"));
    let (keys, proofs): (Vec<Record>, Vec<Record>) = all.into_iter().partition(|record| record.find("Spki").is_some());
    assert!(keys.len() == 4 && proofs.len() >= 25);
    for record in proofs {
        let key = keys.iter().find(|key| key.get("Key") == record.get("Key")).unwrap();
        assert_eq!(verdict(&record, key), record.get("Result"), "{}", record.get("Name"));
    }
}

fn verdict(record: &Record, key: &Record) -> &'static str {
    let seconds = |name| record.get(name).parse().unwrap();
    let prefixes: Vec<&str> = record.find("Prefixes").into_iter().collect();
    let request = record.find("Method").zip(record.find("Path"));
    let request = request.map(|(method, path)| Request { method, path, path_prefixes: &prefixes });
    let expected = Expectation {
        audience: record.get("Audience"),
        now: UnixTime::from_seconds(seconds("Now")),
        clock_skew_seconds: seconds("Skew"),
        server_started: UnixTime::from_seconds(seconds("Started")),
        request,
        challenge: record.find("Challenge"),
        role: record.find("Role"),
    };
    let verified = Proof::parse(record.get("Proof")).and_then(|proof| {
        proof.check(&expected)?;
        let certificate = STANDARD.decode(key.get("Certificate")).unwrap();
        assert_eq!(proof.certificate_fingerprint()[..], Sha256::digest(certificate)[..]);
        assert_eq!(proof.serial(), key.get("Serial"));
        let spki = STANDARD.decode(key.get("Spki")).unwrap();
        let algorithm = match proof.algorithm() {
            "RS256" => Algorithm::RS256,
            "RS384" => Algorithm::RS384,
            "RS512" => Algorithm::RS512,
            "PS256" => Algorithm::PS256,
            "PS384" => Algorithm::PS384,
            "PS512" => Algorithm::PS512,
            "ES256" => Algorithm::ES256P1363,
            "ES384" => Algorithm::ES384P1363,
            "EdDSA" => Algorithm::EdDSA,
            other => panic!("{other} is not in ALGORITHMS"),
        };
        signature::verify(algorithm, &spki, proof.signing_input(), proof.signature())
            .map_err(|_| Reason::SignatureInvalid)
    });
    verified.map_or_else(|reason| reason.slug(), |()| "ok")
}

#[test]
fn a_good_proof_says_what_it_says() {
    let text = proof_with(json!({}), json!({}));
    let proof = Proof::parse(&text).unwrap();
    assert_eq!(proof.check(&expectation()), Ok(()));
    assert_eq!(proof.certificate_fingerprint(), [7; 32]);
    assert_eq!((proof.serial(), proof.algorithm(), proof.nonce()), ("0A01", "ES256", None));
    assert_eq!(proof.signature(), b"the signature");
    assert_eq!(Some(proof.signing_input()), text.strip_suffix(".dGhlIHNpZ25hdHVyZQ").map(str::as_bytes));
    assert_eq!(proof.expires_at(), UnixTime::from_seconds(ISSUED + 60));
    let shown = format!("{proof:?}");
    assert!(shown.contains(AUDIENCE) && !SECRETS.iter().any(|secret| shown.contains(secret)));
}

#[test]
fn attack_04_each_header_rule_has_its_reason() {
    for (changes, slug) in [
        (json!({"typ": "JWT"}), "proof_type_wrong"),
        (json!({"typ": null}), "proof_type_wrong"),
        (json!({"typ": "KAKUNIN-PROOF+JWT"}), "proof_type_wrong"),
        (json!({"typ": "kakunin-delegation+jwt"}), "proof_type_wrong"),
        (json!({"typ": [TYPE]}), "proof_type_wrong"),
        (json!({"alg": "none"}), "proof_algorithm_refused"),
        (json!({"alg": "None"}), "proof_algorithm_refused"),
        (json!({"alg": "HS256"}), "proof_algorithm_refused"),
        (json!({"alg": "ES512"}), "proof_algorithm_refused"),
        (json!({"alg": "ES256K"}), "proof_algorithm_refused"),
        (json!({"alg": "es256"}), "proof_algorithm_refused"),
        (json!({"alg": "ES256-P1363"}), "proof_algorithm_refused"),
        (json!({"alg": null}), "proof_algorithm_refused"),
        (json!({"alg": 1}), "proof_algorithm_refused"),
        (json!({"crit": ["exp"]}), "proof_header_refused"),
        (json!({"crit": []}), "proof_header_refused"),
        (json!({"jwk": {}}), "proof_header_refused"),
        (json!({"jku": "https://example.org/keys"}), "proof_header_refused"),
        (json!({"x5u": "https://example.org/certificate"}), "proof_header_refused"),
        (json!({"x5c": ["MII"]}), "proof_header_refused"),
        (json!({"b64": false}), "proof_header_refused"),
        (json!({"x5t#S256": null}), "proof_malformed"),
        (json!({"x5t#S256": URL_SAFE_NO_PAD.encode([7; 31])}), "proof_malformed"),
        (json!({"x5t#S256": URL_SAFE_NO_PAD.encode([7; 33])}), "proof_malformed"),
        (json!({"x5t#S256": STANDARD.encode([7; 32])}), "proof_malformed"),
        (json!({"x5t#S256": 7}), "proof_malformed"),
        (json!({"kid": null}), "proof_malformed"),
        (json!({"kid": ""}), "proof_malformed"),
        (json!({"kid": 2561}), "proof_malformed"),
        (json!({"kid": "A".repeat(SERIAL_TEXT_MAX + 1)}), "proof_malformed"),
        (json!({"kid": "A".repeat(SERIAL_TEXT_MAX)}), "ok"),
        (json!({"cty": "x", "x5t": "y", "anything": {"else": 1}}), "ok"),
    ] {
        assert_eq!(outcome(&proof_with(changes.clone(), json!({})), &expectation()), slug, "{changes}");
    }
}

#[test]
fn n07_each_claim_rule_has_its_reason() {
    for (changes, slug) in [
        (json!({"aud": "kakunin:7301234567890123456/shop2"}), "proof_audience_wrong"),
        (json!({"aud": "kakunin:7301234567890123457/shop"}), "proof_audience_wrong"),
        (json!({"aud": ""}), "proof_audience_wrong"),
        (json!({"aud": [AUDIENCE]}), "ok"),
        (json!({"aud": [AUDIENCE, "other"]}), "proof_malformed"),
        (json!({"aud": []}), "proof_malformed"),
        (json!({"aud": null}), "proof_malformed"),
        (json!({"aud": 1}), "proof_malformed"),
        (json!({"iat": null}), "proof_malformed"),
        (json!({"iat": "1800000000"}), "proof_malformed"),
        (json!({"iat": -1}), "proof_malformed"),
        (json!({"exp": null}), "proof_malformed"),
        (json!({"exp": 1e300}), "proof_malformed"),
        (json!({"exp": i64::MAX}), "proof_malformed"),
        (json!({"exp": true}), "proof_malformed"),
        (json!({"exp": ISSUED + 61}), "proof_lifetime_wrong"),
        (json!({"exp": 1_800_000_060.000_002}), "proof_lifetime_wrong"),
        (json!({"exp": ISSUED}), "proof_lifetime_wrong"),
        (json!({"exp": ISSUED - 1}), "proof_lifetime_wrong"),
        (json!({"exp": 1_800_000_000.5}), "ok"),
        (json!({"iat": 1_800_000_000.25, "exp": 1_800_000_060.25}), "ok"),
        (json!({"nbf": ISSUED + 11}), "proof_from_future"),
        (json!({"nbf": ISSUED + 10}), "ok"),
        (json!({"nbf": "now"}), "proof_malformed"),
        (json!({"jti": null}), "proof_unidentified"),
        (json!({"jti": ""}), "proof_malformed"),
        (json!({"jti": 1}), "proof_malformed"),
        (json!({"jti": "é".repeat(NONCE_CHARS_MAX)}), "ok"),
        (json!({"jti": "é".repeat(NONCE_CHARS_MAX + 1)}), "proof_malformed"),
        (json!({"role": "agents"}), "ok"),
        (json!({"role": "service_role"}), "proof_role_wrong"),
        (json!({"role": "Agents"}), "proof_role_wrong"),
        (json!({"role": ["agents"]}), "proof_malformed"),
        (json!({"sub": "x", "iss": 1, "scope": [null]}), "ok"),
    ] {
        assert_eq!(outcome(&with_claims(changes.clone()), &expectation()), slug, "{changes}");
    }
    let unknown_role = Expectation { role: None, ..expectation() };
    assert_eq!(outcome(&with_claims(json!({"role": "agents"})), &unknown_role), "proof_role_wrong");
}

/// Each end, and one microsecond beside it.
#[test]
fn n07_pki_38_times_are_compared_with_the_skew_and_to_the_microsecond() {
    let at = |micros: i64| Expectation { now: UnixTime(ISSUED * 1_000_000 + micros), ..expectation() };
    let text = with_claims(json!({}));
    assert_eq!(outcome(&text, &at(-5_000_001)), "proof_from_future");
    assert_eq!(outcome(&text, &at(-5_000_000)), "ok");
    assert_eq!(outcome(&text, &at(64_999_999)), "ok");
    assert_eq!(outcome(&text, &at(65_000_000)), "proof_expired");
    for (skew, counts_as) in [(0, 0), (-1, 0), (i64::MIN, 0), (300, 300), (301, 300), (i64::MAX, 300)] {
        let at = |micros: i64| Expectation { clock_skew_seconds: skew, ..at(micros) };
        assert_eq!(outcome(&text, &at((60 + counts_as) * 1_000_000 - 1)), "ok", "skew {skew}");
        assert_eq!(outcome(&text, &at((60 + counts_as) * 1_000_000)), "proof_expired", "skew {skew}");
    }
    for now in [i64::MIN, i64::MAX] {
        assert_ne!(outcome(&text, &Expectation { now: UnixTime(now), ..expectation() }), "ok");
    }
}

/// What was used before a restart is not remembered, so it must not be accepted after one.
#[test]
fn n04_a_proof_from_before_the_start_is_refused_unless_it_answers_a_challenge() {
    let started = |second: i64| Expectation { server_started: UnixTime::from_seconds(second), ..expectation() };
    let text = with_claims(json!({}));
    assert_eq!(outcome(&text, &started(ISSUED - 6)), "ok");
    // Issued by a clock that is ahead by the whole skew, it can have been used just before the start.
    assert_eq!(outcome(&text, &started(ISSUED - 5)), "proof_before_start");
    assert_eq!(outcome(&text, &started(ISSUED + 5)), "proof_before_start");
    let answer = with_claims(json!({"nonce": SECRETS[1]}));
    let challenged = Expectation { challenge: Some(SECRETS[1]), ..started(ISSUED + 5) };
    assert_eq!(outcome(&answer, &challenged), "ok");
}

#[test]
fn attack_04_a_nonce_must_be_the_open_challenge() {
    let open = |challenge| Expectation { challenge, ..expectation() };
    let answer = with_claims(json!({"nonce": SECRETS[1], "jti": null}));
    assert_eq!(outcome(&answer, &open(Some(SECRETS[1]))), "ok");
    assert_eq!(outcome(&answer, &open(Some("another"))), "proof_challenge_wrong");
    assert_eq!(outcome(&answer, &open(None)), "proof_challenge_missing");
    assert_eq!(outcome(&with_claims(json!({"nonce": SECRETS[1]})), &open(None)), "proof_challenge_missing");
    assert_eq!(outcome(&with_claims(json!({"nonce": ""})), &open(Some(""))), "proof_malformed");
    assert_eq!(
        outcome(&with_claims(json!({})), &open(Some("another"))),
        "ok",
        "an open challenge need not be answered"
    );
}

#[test]
fn n07_method_and_path_are_those_of_the_request() {
    let request = Request { method: "GET", path: "/orders", path_prefixes: &["/rest/v1", "/api/"] };
    let running = Expectation { request: Some(request), ..expectation() };
    let of = |method: &str, uri: &str| with_claims(json!({"htm": method, "htu": uri}));
    for uri in [
        "/orders",
        "/rest/v1/orders",
        "/api/orders",
        "https://shop.example/orders",
        "HTTPS://shop.example:8443/rest/v1/orders",
        "http://[::1]:3000/orders",
    ] {
        assert_eq!(outcome(&of("GET", uri), &running), "ok", "{uri}");
    }
    for uri in [
        "/orders/",
        "/Orders",
        "/order",
        "/orders?id=eq.1",
        "/orders#x",
        "https://shop.example/orders?",
        "https://shop.example?x/orders",
        "https://shop.example#/orders",
        "//orders",
        "/other/rest/v1/orders",
        "/rest/v2/orders",
        "/rest/v1orders",
        "/rest/v1/../v1/orders",
        "/%6frders",
        "orders",
        "https://shop.example",
        "https:///orders",
        "ftp://shop.example/orders",
        "https:/orders",
        "https://shop.example\\orders",
    ] {
        assert_eq!(outcome(&of("GET", uri), &running), "proof_path_wrong", "{uri}");
    }
    for method in ["get", "POST", "GET "] {
        assert_eq!(outcome(&of(method, "/orders"), &running), "proof_method_wrong", "{method}");
    }
    for lacking in [json!({}), json!({"htm": "GET"}), json!({"htu": "/orders"})] {
        assert_eq!(outcome(&with_claims(lacking), &running), "proof_request_missing");
    }
    for extra in [json!({"htm": "GET", "htu": "/orders"}), json!({"htm": "GET"}), json!({"htu": "/orders"})] {
        assert_eq!(outcome(&with_claims(extra), &expectation()), "proof_request_unexpected");
    }
    for malformed in [json!({"htm": 1, "htu": "/"}), json!({"htm": "GET", "htu": ""}), json!({"htm": "", "htu": "/"})] {
        assert_eq!(outcome(&with_claims(malformed), &running), "proof_malformed");
    }
    let root = Expectation { request: Some(Request { path: "/", ..request }), ..expectation() };
    assert_eq!(outcome(&of("GET", "https://shop.example"), &root), "ok");
}

/// base64url has one accepted form. Otherwise one signature would have many texts.
#[test]
fn pki_39_other_spellings_of_base64_are_refused() {
    let good = proof_with(json!({}), json!({"jti": "a"}));
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, _] = parts.as_slice() else { panic!("three parts") };
    let with_signature = |signature: &str| format!("{header}.{payload}.{signature}");
    assert_eq!(outcome(&with_signature("AQ"), &expectation()), "ok");
    for signature in ["", "AQ==", "AQ=", "AR", "AQ\n", " AQ", "A", "A+8", "A/8", "ＡＱ", "AQ\0"] {
        assert_eq!(outcome(&with_signature(signature), &expectation()), "proof_malformed", "{signature:?}");
    }
    for text in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        header.to_string(),
        format!("{header}.{payload}"),
        format!("{good}.AQ"),
        format!("{header}..AQ"),
        format!(".{payload}.AQ"),
        format!("{header}.{payload}=.AQ"),
        format!("{header}=.{payload}.AQ"),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{good}, {good}"),
        "{}".to_owned(),
        "\u{1F600}.\u{1F600}.\u{1F600}".to_owned(),
    ] {
        assert_eq!(outcome(&text, &expectation()), "proof_malformed", "{text:?}");
    }
}

#[test]
fn pki_33_json_with_two_readings_is_refused() {
    let (header, claims) = (header().to_string(), claims().to_string());
    let extended = |text: &str, member: &str| format!("{},{member}}}", text.strip_suffix('}').unwrap());
    assert_eq!(outcome(&encode(&header, &claims), &expectation()), "ok");
    for (header, claims) in [
        (extended(&header, r#""alg":"none""#), claims.clone()),
        (extended(&header, r#""\u0061lg":"none""#), claims.clone()),
        (header.clone(), extended(&claims, r#""aud":"other""#)),
        (header.clone(), extended(&claims, r#""\u0061ud":"other""#)),
        (header.clone(), extended(&claims, r#""x":"\ud800""#)),
        (header.clone(), extended(&claims, r#""x":1e400"#)),
        (header.clone(), extended(&claims, &format!(r#""x":{}{}"#, "[".repeat(80), "]".repeat(80)))),
        (header.clone(), format!("\u{feff}{claims}")),
        (header.clone(), format!("{claims}{claims}")),
        (header.clone(), format!("[{claims}]")),
        (header.clone(), "null".to_owned()),
        ("[]".to_owned(), claims.clone()),
    ] {
        assert_eq!(outcome(&encode(&header, &claims), &expectation()), "proof_malformed", "{header} {claims}");
    }
    let not_text = format!("{}.{}.AQ", URL_SAFE_NO_PAD.encode(&header), URL_SAFE_NO_PAD.encode(b"{\"a\":\"\xff\"}"));
    assert_eq!(outcome(&not_text, &expectation()), "proof_malformed");
}

#[test]
fn size_is_bounded() {
    let good = proof_with(json!({}), json!({}));
    let filled = |bytes: usize| {
        // Three characters of padding claim make four of base64; the rest goes into the signature.
        let text = with_claims(json!({"x": "x".repeat((bytes - good.len()) / 4 * 3 - 60)}));
        let missing = bytes - text.len();
        format!("{text}{}", "A".repeat(missing - missing % 4)) + &"A".repeat(missing % 4)
    };
    let text = filled(PROOF_BYTES_MAX);
    assert_eq!(text.len(), PROOF_BYTES_MAX);
    assert_ne!(outcome(&text, &expectation()), "proof_too_large");
    assert_eq!(outcome(&format!("{text}A"), &expectation()), "proof_too_large");
    assert_eq!(outcome(&"A".repeat(1_000_000), &expectation()), "proof_too_large");
    let unsigned = good.strip_suffix(SECRETS[2]).unwrap();
    let signed_with = |bytes: usize| format!("{unsigned}{}", URL_SAFE_NO_PAD.encode(vec![1; bytes]));
    assert_eq!(outcome(&signed_with(2048), &expectation()), "ok");
    assert_eq!(outcome(&signed_with(2049), &expectation()), "proof_malformed");
}

/// What names a use is the certificate and the jti or nonce, and nothing that can be varied.
#[test]
fn pki_37_the_use_is_named_by_certificate_and_jti() {
    let id = |text: &str| Proof::parse(text).unwrap().use_id();
    let plain = id(&with_claims(json!({})));
    let resigned = with_claims(json!({})).replace(SECRETS[2], "b3RoZXI");
    assert_eq!(id(&resigned), plain, "another signature");
    assert_eq!(id(&with_claims(json!({"exp": ISSUED + 30, "nonce": "n"}))), plain, "other claims");
    assert_eq!(
        id(&proof_with(json!({"alg": "RS256", "kid": "0a:01"}), json!({}))),
        plain,
        "another spelling of the header"
    );
    let other_key = URL_SAFE_NO_PAD.encode([8; 32]);
    let others = [
        id(&with_claims(json!({"jti": "another"}))),
        id(&proof_with(json!({"x5t#S256": other_key}), json!({}))),
        id(&with_claims(json!({"jti": null, "nonce": SECRETS[0]}))),
        id(&with_claims(json!({"jti": null, "nonce": "another"}))),
    ];
    let all: std::collections::BTreeSet<_> = others.into_iter().chain([plain]).collect();
    assert_eq!(all.len(), 5);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_makes_it_panic(text in r"[A-Za-z0-9_.=-]{0,80}|\PC{0,40}") {
        outcome(&text, &expectation());
    }

    #[test]
    fn no_claims_make_it_panic(header in r#"\{("[a-z]{1,3}":[0-9"a]{1,3},?){0,3}\}"#, claims in any::<String>()) {
        outcome(&encode(&header, &claims), &expectation());
    }

    /// One changed byte anywhere is another proof, or none.
    #[test]
    fn every_byte_counts(at in 0_usize..400, byte in any::<u8>()) {
        let good = proof_with(json!({}), json!({}));
        let mut bytes = good.clone().into_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        if let Ok(text) = String::from_utf8(bytes)
            && let (Ok(changed), Ok(proof)) = (Proof::parse(&text), Proof::parse(&good))
        {
            prop_assert!(changed.signing_input() != proof.signing_input() || changed.signature() != proof.signature());
        }
    }
}
