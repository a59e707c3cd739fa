//! A proof that is accepted is made of the text's own parts, and its check has an answer at any time.
//! Input: a proof; or two lines with header and claims, of which one is made.
#![no_main]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kakunin_core::UnixTime;
use kakunin_core::session::proof::{Expectation, Proof, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let text = match input.split_once('\n') {
        None => input.to_owned(),
        Some((header, claims)) => format!("{}.{}.AQ", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims)),
    };
    let Ok(proof) = Proof::parse(&text) else { return };
    let signature = URL_SAFE_NO_PAD.encode(proof.signature());
    assert_eq!([proof.signing_input(), signature.as_bytes()].join(&b'.'), text.as_bytes());

    let request = Some(Request { method: "GET", path: "/a", path_prefixes: &["/b"] });
    for request in [None, request] {
        for now in [i64::MIN, 0, proof.expires_at().0.saturating_sub(1), proof.expires_at().0, i64::MAX] {
            let expected = Expectation {
                audience: "a",
                now: UnixTime(now),
                clock_skew_seconds: 0,
                server_started: UnixTime(0),
                request,
                challenge: proof.nonce(),
                role: None,
            };
            assert!(proof.check(&expected).is_err() || now < proof.expires_at().0);
        }
    }
});
