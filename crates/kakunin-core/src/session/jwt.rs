//! A gateway's token, verified again: the second opinion for a deployment that has the gateway's secret or public key.

use ring::hmac;
use serde_json::{Map, Value};

use super::compact::{self, Compact};
use super::proof::skew;
use crate::certificate::signature::{self, Algorithm};
use crate::limits::JWT_BYTES_MAX;
use crate::{Reason, UnixTime};

/// What verifies a gateway's tokens. The kind decides the algorithms, never the token.
#[derive(Clone)]
pub enum JwtKey {
    /// The secret of HS256; at least [`SECRET_BYTES_MIN`] bytes.
    Secret(Vec<u8>),
    /// A DER SubjectPublicKeyInfo: RSA for RS256, P-256 for ES256, Ed25519 for EdDSA.
    PublicKey(Vec<u8>),
}

/// Says which kind it is, and no more.
impl std::fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "JwtKey::Secret(..)",
            Self::PublicKey(_) => "JwtKey::PublicKey(..)",
        })
    }
}

/// Verifies a compact JWS of at most [`JWT_BYTES_MAX`] bytes and gives back its claims, as the signer wrote them.
///
/// `skew_seconds` is what the gateway's clock may differ by, 0 to 300. Refused are, beside a wrong signature, an `alg`
/// that does not fit the key (RFC 8725 section 3.1), extensions (`crit`), a `typ` of another purpose, a token without
/// `exp` or after it, and one before its `nbf` or `iat`. Who the token is for is the gateway's business.
pub fn verify(token: &str, key: &JwtKey, now: UnixTime, skew_seconds: i64) -> Result<String, Reason> {
    if token.len() > JWT_BYTES_MAX {
        return Err(malformed("It is too long"));
    }
    let Compact { header, payload_text, payload, signing_input, signature } =
        compact::split(token).map_err(malformed)?;
    if header.contains_key("crit") || header.contains_key("b64") {
        return Err(malformed("It asks for extensions"));
    }
    let typ = header.get("typ").map(|typ| typ.as_str().unwrap_or_default());
    if !typ.is_none_or(|typ| TYPES.iter().any(|known| known.eq_ignore_ascii_case(typ))) {
        return Err(malformed("Its typ says that it is for another purpose"));
    }
    let algorithm = header.get("alg").and_then(Value::as_str).unwrap_or_default();
    check_signature(algorithm, key, signing_input, &signature)?;
    check_time(&payload, now, skew(skew_seconds))?;
    Ok(payload_text)
}

fn check_signature(algorithm: &str, key: &JwtKey, message: &[u8], signature: &[u8]) -> Result<(), Reason> {
    // JOSE writes ECDSA signatures in the fixed-size form (RFC 7518 section 3.4).
    let (algorithm, spki) = match (key, algorithm) {
        (JwtKey::Secret(secret), "HS256") => {
            if secret.len() < SECRET_BYTES_MIN {
                return Err(Reason::TokenSecretTooShort { bytes: secret.len(), min: SECRET_BYTES_MIN });
            }
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
            return hmac::verify(&key, message, signature).map_err(|_| Reason::TokenSignatureInvalid);
        }
        (JwtKey::PublicKey(spki), "RS256") => (Algorithm::RS256, spki),
        (JwtKey::PublicKey(spki), "ES256") => (Algorithm::ES256P1363, spki),
        (JwtKey::PublicKey(spki), "EdDSA") => (Algorithm::EdDSA, spki),
        _ => return Err(Reason::TokenAlgorithmRefused),
    };
    signature::verify(algorithm, spki, message, signature).map_err(|_| Reason::TokenSignatureInvalid)
}

fn check_time(claims: &Map<String, Value>, now: UnixTime, skew_seconds: i64) -> Result<(), Reason> {
    let time = |name| match claims.get(name) {
        None => Ok(None),
        Some(value) => compact::numeric_date(value).map(Some).ok_or(malformed("A time in it is not a NumericDate")),
    };
    let expires_at = time("exp")?.ok_or(malformed("It lacks exp, so it would be good for ever"))?;
    if now >= expires_at.plus_seconds(skew_seconds) {
        return Err(Reason::TokenExpired { expires_at });
    }
    for starts_at in [time("nbf")?, time("iat")?].into_iter().flatten() {
        if starts_at > now.plus_seconds(skew_seconds) {
            return Err(Reason::TokenFromFuture { starts_at, now });
        }
    }
    Ok(())
}

fn malformed(what: &'static str) -> Reason {
    Reason::TokenMalformed { what }
}

/// Bytes of an HS256 secret, at least (RFC 7518 section 3.2).
pub const SECRET_BYTES_MIN: usize = 32;
/// The values of `typ` that an access token has (RFC 7519 section 5.1, RFC 9068 section 2.1).
const TYPES: &[&str] = &["JWT", "at+jwt", "application/at+jwt"];

#[cfg(test)]
mod tests;
