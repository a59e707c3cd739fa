//! Proofs of possession (compact JWS, RFC 7515) signed by the `openssl` program.

use super::pki::{Identity, KeyType};
use super::{place, process};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// The claims of a fresh proof for one use: good for 30 seconds.
pub fn claims(audience: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let jti = format!("{}-{}-{now}", place::unique(), place::digest(audience));
    json!({ "aud": audience, "iat": now, "exp": now + 30, "jti": jti })
}

/// `x5t#S256`: base64url of the SHA-256 of the DER.
pub fn thumbprint(identity: &Identity) -> String {
    URL_SAFE_NO_PAD.encode(identity.fingerprint())
}

impl Identity {
    /// A proof with these claims.
    pub fn proof(&self, claims: &Value) -> String {
        self.jws(&self.proof_header(), claims)
    }

    /// The header of a proof, to change it.
    pub fn proof_header(&self) -> Value {
        json!({
            "typ": "kakunin-proof+jwt",
            "alg": self.algorithm(),
            "kid": self.serial(),
            "x5t#S256": thumbprint(self),
        })
    }

    /// A compact JWS of any header and payload, signed with this key as its kind demands.
    pub fn jws(&self, header: &Value, claims: &Value) -> String {
        let input =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.sign(input.as_bytes());
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The JOSE name of the key's algorithm (RFC 7518 section 3.1, RFC 8037).
    pub fn algorithm(&self) -> &'static str {
        match self.key_type {
            KeyType::Rsa(_) => "RS256",
            KeyType::Ec("P-384") => "ES384",
            KeyType::Ec(_) => "ES256",
            KeyType::Ed25519 => "EdDSA",
        }
    }

    /// A signature in JOSE's form: for ECDSA the two numbers at their fixed size (RFC 7518 section 3.4).
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let file = self.certificate.with_extension(format!("{}.message", place::unique()));
        fs::write(&file, message).expect("the directory is ours");
        let mut command = Command::new("openssl");
        match self.key_type {
            // Ed25519 takes the message itself, which only this command does.
            KeyType::Ed25519 => command.args(["pkeyutl", "-sign", "-rawin", "-inkey"]).arg(&self.key).arg("-in"),
            KeyType::Ec("P-384") => command.args(["dgst", "-sha384", "-sign"]).arg(&self.key),
            _ => command.args(["dgst", "-sha256", "-sign"]).arg(&self.key),
        };
        let signature = process::run(command.arg(&file)).stdout;
        let _ = fs::remove_file(&file);
        match self.key_type {
            KeyType::Ec("P-384") => fixed_size(&signature, 48),
            KeyType::Ec(_) => fixed_size(&signature, 32),
            KeyType::Rsa(_) | KeyType::Ed25519 => signature,
        }
    }
}

/// `SEQUENCE { INTEGER, INTEGER }` to the two numbers, each of `size` bytes. All lengths are below 128.
fn fixed_size(der: &[u8], size: usize) -> Vec<u8> {
    let mut rest = der.get(2..).expect("openssl writes a SEQUENCE");
    let mut numbers = Vec::with_capacity(2 * size);
    for _ in 0..2 {
        let length = usize::from(rest[1]);
        let (number, after) = rest[2..].split_at(length);
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        numbers.resize(numbers.len() + size - number.len(), 0);
        numbers.extend(number);
        rest = after;
    }
    numbers
}
