//! No token verifies that was not signed with the secret, and what a gateway passes on is read or refused.
//! Input: lines with a header, claims and a signature, from which a token is made.
#![no_main]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kakunin_core::UnixTime;
use kakunin_core::session::claims;
use kakunin_core::session::jwt::{self, JwtKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let mut lines = input.splitn(3, '\n');
    let [header, claims, rest] = [(); 3].map(|()| lines.next().unwrap_or_default());
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let made = format!("{}.{}.{}", part(header), part(claims), part(rest));
    let secret = JwtKey::Secret(b"thirty-two bytes that are secret".to_vec());
    for token in [input, &made] {
        assert!(jwt::verify(token, &secret, UnixTime(0), 0).is_err());
        assert!(jwt::verify(token, &JwtKey::PublicKey(rest.into()), UnixTime(0), 0).is_err());
    }
    if let Ok(Some(serial)) = claims::serial_from(Some(claims), Some(header), true) {
        let again = format!(r#"{{"kakunin_cert_serial":"{serial}"}}"#);
        assert_eq!(claims::serial_from(Some(&again), None, false), Ok(Some(serial)));
    }
    let _ = claims::bearer_token(header);
});
