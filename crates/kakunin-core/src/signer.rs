//! What the signer signs with, and what it is asked. The signer is the one process that sees private keys; everything
//! that it decides is here, its files and its clock are not. docs/checkpoints.md tells the whole.

pub mod memory;
pub mod message;
pub mod softkms;

use std::fmt;
use std::str::FromStr;

use crate::Reason;
use crate::limits::KEY_NAME_CHARS_MAX;

/// Where a key is, and its name there: `softkms:NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyUri {
    /// Made by the signer, and stored sealed in kakunin.signing_key.
    SoftKms(String),
}

impl fmt::Display for KeyUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::SoftKms(name) = self;
        write!(f, "{SOFT_KMS}:{name}")
    }
}

impl FromStr for KeyUri {
    type Err = Reason;
    fn from_str(uri: &str) -> Result<Self, Reason> {
        let (scheme, name) = uri.split_once(':').unwrap_or_default();
        if scheme != SOFT_KMS {
            return Err(Reason::KeyUriUnknown);
        }
        check_key_name(name)?;
        Ok(Self::SoftKms(name.to_owned()))
    }
}

/// Can a key be called so? 1 to 63 lower-case letters, digits, underscores and dashes.
pub fn check_key_name(name: &str) -> Result<(), Reason> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    if (1..=KEY_NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(())
    } else {
        Err(Reason::KeyNameInvalid)
    }
}

/// What a key signs by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RFC 8032. The public key is its 32 bytes, a signature 64.
    Ed25519,
}

impl Algorithm {
    /// Its name, in tables and in what is sealed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "Ed25519",
        }
    }
}

impl FromStr for Algorithm {
    type Err = Reason;
    fn from_str(name: &str) -> Result<Self, Reason> {
        match name {
            "Ed25519" => Ok(Self::Ed25519),
            _ => Err(Reason::KeyAlgorithmUnknown),
        }
    }
}

/// A private key, wherever it is. Nothing but its public half and its signatures comes out.
pub trait Signer {
    /// What it signs by.
    fn algorithm(&self) -> Algorithm;
    /// The public key, as [`Algorithm`] says.
    fn public_key(&self) -> &[u8];
    /// The signature over a message.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Reason>;
}

/// The scheme of keys that the signer makes itself.
const SOFT_KMS: &str = "softkms";

#[cfg(test)]
mod tests;
