//! The public key that checks a note.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::{Digest, Sha256};

use super::check_origin;
use crate::ledger::Malformed;

/// An Ed25519 public key and its name. Its text is `<name>+<key hash, 8 hex digits>+<base64 of 0x01 || key>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    public_key: [u8; 32],
}

impl VerifierKey {
    /// With a name that [`check_origin`] accepts.
    pub fn new(name: impl Into<String>, public_key: [u8; 32]) -> Result<Self, Malformed> {
        let name = name.into();
        check_origin(&name)?;
        Ok(Self { name, public_key })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The 32 bytes of RFC 8032.
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// The first four bytes of `H(name || 0x0A || 0x01 || key)`. It finds a key; it does not prove one.
    pub fn hash(&self) -> [u8; 4] {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', ED25519_TYPE])
            .chain_update(self.public_key)
            .finalize()
            .into();
        let [first, second, third, fourth, ..] = digest;
        [first, second, third, fourth]
    }

    /// Is this a signature of the key over the message?
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public_key).verify(message, signature).is_ok()
    }

    /// The line of a note that holds a signature, with its newline.
    pub fn signature_line(&self, signature: &[u8; 64]) -> String {
        let mut bytes = self.hash().to_vec();
        bytes.extend_from_slice(signature);
        format!("\u{2014} {} {}\n", self.name, STANDARD.encode(bytes))
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519_TYPE];
        key.extend_from_slice(&self.public_key);
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.hash()), STANDARD.encode(key))
    }
}

/// Reads what `Display` writes. Other types of key are refused: one algorithm is what can be checked.
impl FromStr for VerifierKey {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let refused = || Malformed::new("a verifier key is not <name>+<hash>+<base64 of an Ed25519 key>");
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(refused());
        };
        let bytes = STANDARD.decode(key).map_err(|_| refused())?;
        let (&ED25519_TYPE, public_key) = bytes.split_first().ok_or_else(refused)? else { return Err(refused()) };
        let key = Self::new(name, public_key.try_into().map_err(|_| refused())?)?;
        // The hash, and one spelling only.
        if key.to_string() == text { Ok(key) } else { Err(refused()) }
    }
}

/// Signature type of C2SP signed-note.
const ED25519_TYPE: u8 = 1;
