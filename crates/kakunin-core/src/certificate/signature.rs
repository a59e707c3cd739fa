//! Signatures by their JOSE names, over a raw message and a SubjectPublicKeyInfo.

use std::fmt;
use std::str::FromStr;

use ring::signature::{self as ring_signature, UnparsedPublicKey, VerificationAlgorithm};
use rustls_pki_types::alg_id;

use super::key::PublicKey;
use crate::Reason;
use crate::limits::SIGNATURE_BYTES_MAX;

/// A signature algorithm (RFC 7518 section 3.1, RFC 8037), together with the form of its signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2).
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256, 32 octets of salt (RFC 8017 section 8.1).
    PS256,
    /// RSASSA-PSS with SHA-384, MGF1 with SHA-384, 48 octets of salt.
    PS384,
    /// RSASSA-PSS with SHA-512, MGF1 with SHA-512, 64 octets of salt.
    PS512,
    /// ECDSA on P-256 with SHA-256; signatures are DER (RFC 3279 section 2.2.3).
    ES256,
    /// ECDSA on P-384 with SHA-384; signatures are DER.
    ES384,
    /// ECDSA on P-256 with SHA-256; signatures are r || s of 64 octets, as JOSE writes them.
    ES256P1363,
    /// ECDSA on P-384 with SHA-384; signatures are r || s of 96 octets.
    ES384P1363,
    /// Ed25519 (RFC 8032 section 5.1).
    EdDSA,
}

impl Algorithm {
    /// Every algorithm that is verified.
    pub const ALL: [Self; 11] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES256P1363,
        Self::ES384P1363,
        Self::EdDSA,
    ];

    /// The name: JOSE's, with `-P1363` for the fixed-size form of ECDSA signatures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES256P1363 => "ES256-P1363",
            Self::ES384P1363 => "ES384-P1363",
            Self::EdDSA => "EdDSA",
        }
    }

    /// What ring knows this algorithm as, and the octets of the key in the form ring reads; nothing when the key is
    /// of another kind. The match is the whole matrix: a pair that is not here does not verify.
    fn with_key(self, key: PublicKey<'_>) -> Option<(&'static dyn VerificationAlgorithm, &[u8])> {
        use PublicKey::{Ed25519, P256, P384, Rsa};
        Some(match (self, key) {
            (Self::RS256, Rsa { pkcs1, .. }) => (&ring_signature::RSA_PKCS1_2048_8192_SHA256, pkcs1),
            (Self::RS384, Rsa { pkcs1, .. }) => (&ring_signature::RSA_PKCS1_2048_8192_SHA384, pkcs1),
            (Self::RS512, Rsa { pkcs1, .. }) => (&ring_signature::RSA_PKCS1_2048_8192_SHA512, pkcs1),
            (Self::PS256, Rsa { pkcs1, .. }) => (&ring_signature::RSA_PSS_2048_8192_SHA256, pkcs1),
            (Self::PS384, Rsa { pkcs1, .. }) => (&ring_signature::RSA_PSS_2048_8192_SHA384, pkcs1),
            (Self::PS512, Rsa { pkcs1, .. }) => (&ring_signature::RSA_PSS_2048_8192_SHA512, pkcs1),
            (Self::ES256, P256(point)) => (&ring_signature::ECDSA_P256_SHA256_ASN1, point),
            (Self::ES384, P384(point)) => (&ring_signature::ECDSA_P384_SHA384_ASN1, point),
            (Self::ES256P1363, P256(point)) => (&ring_signature::ECDSA_P256_SHA256_FIXED, point),
            (Self::ES384P1363, P384(point)) => (&ring_signature::ECDSA_P384_SHA384_FIXED, point),
            (Self::EdDSA, Ed25519(key)) => (&ring_signature::ED25519, key),
            _ => return None,
        })
    }

    /// The algorithm of an X.509 AlgorithmIdentifier's content, if certificates and CRLs may be signed with it.
    ///
    /// Parameters are compared byte by byte: NULL or absent for PKCS#1 v1.5 (RFC 4055 section 5 demands both to be
    /// read), absent for ECDSA and Ed25519 (RFC 5758 section 3.2, RFC 8410 section 3), the exact structure with a
    /// salt as long as the hash for PSS (RFC 4055 section 3.1).
    pub(crate) fn of_identifier(content: &[u8]) -> Option<Self> {
        let known = [
            (alg_id::RSA_PKCS1_SHA256, Self::RS256),
            (alg_id::RSA_PKCS1_SHA384, Self::RS384),
            (alg_id::RSA_PKCS1_SHA512, Self::RS512),
            (alg_id::ECDSA_SHA256, Self::ES256),
            (alg_id::ECDSA_SHA384, Self::ES384),
            (alg_id::ED25519, Self::EdDSA),
            (alg_id::RSA_PSS_SHA256, Self::PS256),
            (alg_id::RSA_PSS_SHA384, Self::PS384),
            (alg_id::RSA_PSS_SHA512, Self::PS512),
        ];
        known.into_iter().find_map(|(identifier, algorithm)| {
            let identifier: &[u8] = identifier.as_ref();
            let absent_null = matches!(algorithm, Self::RS256 | Self::RS384 | Self::RS512)
                && identifier.strip_suffix(DER_NULL) == Some(content);
            (identifier == content || absent_null).then_some(algorithm)
        })
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// By exact name; there is no `none`, no HMAC and no alias.
impl FromStr for Algorithm {
    type Err = Reason;

    fn from_str(name: &str) -> Result<Self, Reason> {
        let unsupported = || {
            let shown: String = name.chars().filter(|c| !super::names::is_deceptive(*c)).take(40).collect();
            Reason::AlgorithmUnsupported { algorithm: shown }
        };
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name).ok_or_else(unsupported)
    }
}

/// Verifies a signature over a message with the key in a DER SubjectPublicKeyInfo (at most 4096 bytes).
///
/// Accepted keys: RSA of 2048 to 8192 bits with an odd exponent from 3, P-256, P-384, Ed25519. The kind of key and
/// the algorithm must belong together, so nobody can choose a weaker reading of a key. Verification is strict:
/// DigestInfo of PKCS#1 v1.5 byte by byte and with NULL (RFC 8017 section 9.2), PSS salt as long as the hash, r and
/// s in range and minimal, s of Ed25519 below the order, keys not of small order.
///
/// # Errors
/// [`Reason::PublicKeyMalformed`], [`Reason::KeyUnsupported`], [`Reason::AlgorithmMismatch`] before any
/// arithmetic; [`Reason::SignatureInvalid`] when the signature does not verify.
pub fn verify(algorithm: Algorithm, spki_der: &[u8], message: &[u8], signature: &[u8]) -> Result<(), Reason> {
    let key = PublicKey::parse(spki_der)?;
    let Some((verification, octets)) = algorithm.with_key(key) else {
        return Err(Reason::AlgorithmMismatch { algorithm: algorithm.name(), key: key.kind() });
    };
    if signature.len() > SIGNATURE_BYTES_MAX {
        return Err(Reason::SignatureInvalid);
    }
    UnparsedPublicKey::new(verification, octets).verify(message, signature).map_err(|_| Reason::SignatureInvalid)
}

const DER_NULL: &[u8] = &[0x05, 0x00];
