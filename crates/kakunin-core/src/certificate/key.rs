//! Public keys: strict SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) of the accepted kinds.

use num_bigint::BigUint;
use rustls_pki_types::alg_id;

use super::der::{self, Fault, Reader};
use super::parse::sentence;
use crate::Reason;
use crate::limits::{PUBLIC_KEY_BYTES_MAX, RSA_BITS_MAX, RSA_BITS_MIN};

/// A key of an accepted kind, borrowed from its encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PublicKey<'a> {
    /// The whole `RSAPublicKey` (RFC 8017 appendix A.1.1) and its exponent.
    Rsa { pkcs1: &'a [u8], exponent: u64 },
    /// Uncompressed point (SEC 1 section 2.3.3), 65 octets.
    P256(&'a [u8]),
    /// Uncompressed point, 97 octets.
    P384(&'a [u8]),
    /// RFC 8032 section 5.1.5, 32 octets.
    Ed25519(&'a [u8; 32]),
}

impl<'a> PublicKey<'a> {
    /// Reads a DER SubjectPublicKeyInfo. Cheap: nothing here does arithmetic, see [`check_sound`](Self::check_sound).
    ///
    /// # Errors
    /// [`Reason::PublicKeyMalformed`] when it is not strict DER of a known structure (RSA parameters must be NULL,
    /// RFC 3279 section 2.3.1; Ed25519 has none, RFC 8410 section 3); [`Reason::KeyUnsupported`] for other algorithms
    /// and curves, explicit curve parameters, compressed points, RSA below 2048 or above 8192 bits or not of whole
    /// octets, even moduli, even exponents and exponents below 3 or above 33 bits.
    pub(crate) fn parse(spki: &'a [u8]) -> Result<Self, Reason> {
        if spki.len() > PUBLIC_KEY_BYTES_MAX {
            return Err(malformed(Fault("the public key is longer than 4096 bytes")));
        }
        let (algorithm, key) = split(spki).map_err(malformed)?;
        let unsupported = |what: &str| Err(Reason::KeyUnsupported { what: what.to_owned() });
        if algorithm == alg_id::RSA_ENCRYPTION.as_ref() {
            parse_rsa(key)
        } else if algorithm == alg_id::ECDSA_P256.as_ref() {
            if is_uncompressed(key, 32) { Ok(Self::P256(key)) } else { unsupported(POINT) }
        } else if algorithm == alg_id::ECDSA_P384.as_ref() {
            if is_uncompressed(key, 48) { Ok(Self::P384(key)) } else { unsupported(POINT) }
        } else if algorithm == alg_id::ED25519.as_ref() {
            parse_ed25519(key)
        } else {
            unsupported("The key is not RSA (with NULL parameters), P-256, P-384 (as named curves) or Ed25519")
        }
    }

    /// The kind, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "RSA",
            Self::P256(_) => "P-256",
            Self::P384(_) => "P-384",
            Self::Ed25519(_) => "Ed25519",
        }
    }

    /// Whether the key is one that a certificate may bind a name to: its point lies on the curve (SEC 1 section
    /// 3.2.2.1), its exponent is at least 65537 (NIST SP 800-56B section 6.2).
    ///
    /// # Errors
    /// [`Reason::KeyUnsupported`]
    pub(crate) fn check_sound(&self) -> Result<(), Reason> {
        let problem = match self {
            Self::Rsa { exponent, .. } if *exponent < 65_537 => "The RSA exponent is below 65537",
            Self::P256(point) if !is_on_curve(point, &P256) => "The point is not on P-256",
            Self::P384(point) if !is_on_curve(point, &P384) => "The point is not on P-384",
            Self::Ed25519(key) if !is_on_edwards_curve(key) => "The key is not a point of edwards25519",
            _ => return Ok(()),
        };
        Err(Reason::KeyUnsupported { what: problem.to_owned() })
    }
}

/// The AlgorithmIdentifier's content and the octets of the key, of whatever kind.
pub(super) fn split(spki: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let mut fields = Reader::new(der::only(spki, der::SEQUENCE, "the public key is not exactly one SEQUENCE")?);
    let identifier = fields.expect(der::SEQUENCE, "the public key has no algorithm")?;
    let key = fields.expect(der::BIT_STRING, "the public key has no bits")?;
    fields.finish("the public key has unknown fields")?;
    let mut parts = Reader::new(identifier);
    parts.expect(der::OID, "the public key has an algorithm without identifier")?;
    if !parts.at_end() {
        parts.read()?;
    }
    parts.finish("the public key has an algorithm with two parameters")?;
    Ok((identifier, der::octets_of_bit_string(key)?))
}

fn parse_rsa(pkcs1: &[u8]) -> Result<PublicKey<'_>, Reason> {
    let numbers = |pkcs1| {
        let mut fields = Reader::new(der::only(pkcs1, der::SEQUENCE, "the RSA key is not exactly one SEQUENCE")?);
        let modulus = der::unsigned(fields.expect(der::INTEGER, "the RSA key has no modulus")?)?;
        let exponent = der::unsigned(fields.expect(der::INTEGER, "the RSA key has no exponent")?)?;
        fields.finish("the RSA key has more than two numbers")?;
        Ok((modulus, exponent))
    };
    let (modulus, exponent) = numbers(pkcs1).map_err(malformed)?;
    let unsupported = |what: String| Err(Reason::KeyUnsupported { what });
    let bits = modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) || !bits.is_multiple_of(8) {
        return unsupported(format!("The RSA modulus has {bits} bits, which is not 2048 to 8192 in whole octets"));
    }
    if modulus.last().is_none_or(|last| last & 1 == 0) {
        return unsupported("The RSA modulus is even".to_owned());
    }
    let value = exponent.iter().fold(0_u64, |sum, octet| (sum << 8) | u64::from(*octet));
    if exponent.len() > 5 || !(3..1 << 33).contains(&value) || value % 2 == 0 {
        return unsupported("The RSA exponent is not an odd number from 3 to 33 bits".to_owned());
    }
    Ok(PublicKey::Rsa { pkcs1, exponent: value })
}

fn is_uncompressed(point: &[u8], field_octets: usize) -> bool {
    point.len() == 1 + 2 * field_octets && point.first() == Some(&4)
}

/// RFC 8032 section 5.1.3 demands that y is below p. Points of small order are refused because signatures under
/// them verify for many messages.
fn parse_ed25519(key: &[u8]) -> Result<PublicKey<'_>, Reason> {
    let Ok(key) = <&[u8; 32]>::try_from(key) else {
        return Err(malformed(Fault("the Ed25519 key does not have 32 octets")));
    };
    let mut y = *key;
    y[31] &= 0x7f;
    let is_canonical = y.iter().rev().lt(ED25519_P.iter().rev());
    if !is_canonical || ED25519_SMALL_ORDER_Y.contains(&y) {
        return Err(Reason::KeyUnsupported { what: "The Ed25519 key is not canonical or of small order".to_owned() });
    }
    Ok(PublicKey::Ed25519(key))
}

/// y² = x³ - 3x + b over the field of p, with both coordinates below p. The point at infinity has no such form.
fn is_on_curve(point: &[u8], curve: &Curve) -> bool {
    let Some((x, y)) = point.get(1..).and_then(|both| both.split_at_checked(both.len() / 2)) else {
        return false;
    };
    let (x, y) = (BigUint::from_bytes_be(x), BigUint::from_bytes_be(y));
    let (p, b) = (BigUint::from_bytes_be(curve.p), BigUint::from_bytes_be(curve.b));
    if x >= p || y >= p {
        return false;
    }
    // p - 3 in the place of -3: no subtraction that could go below zero.
    let minus_three = &p - 3_u32;
    (&y * &y) % &p == ((&x * &x + minus_three) * &x + b) % &p
}

/// RFC 8032 section 5.1.3: x² = (y² - 1) / (d y² + 1) has a root. A quotient u/v is a square exactly when u·v is.
fn is_on_edwards_curve(key: &[u8; 32]) -> bool {
    let mut y = *key;
    y[31] &= 0x7f;
    let (p, d, y) =
        (BigUint::from_bytes_le(&ED25519_P), BigUint::from_bytes_le(&ED25519_D), BigUint::from_bytes_le(&y));
    let one = BigUint::from(1_u32);
    let square = (&y * &y) % &p;
    let (numerator, denominator) = ((&square + &p - &one) % &p, (&d * &square + &one) % &p);
    let half = (&p - &one) >> 1_u32;
    // Euler's criterion; zero (x = 0) is a point of small order and was refused before.
    ((numerator * denominator) % &p).modpow(&half, &p) == one
}

fn malformed(fault: Fault) -> Reason {
    Reason::PublicKeyMalformed { what: sentence(fault) }
}

const POINT: &str = "The elliptic curve key is not an uncompressed point";

struct Curve {
    p: &'static [u8],
    b: &'static [u8],
}

/// FIPS 186-4 section D.1.2.3.
const P256: Curve = Curve {
    p: &hex("FFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF", [0; 32]),
    b: &hex("5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B", [0; 32]),
};

/// FIPS 186-4 section D.1.2.4.
const P384: Curve = Curve {
    p: &hex(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFFFF0000000000000000FFFFFFFF",
        [0; 48],
    ),
    b: &hex(
        "B3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF",
        [0; 48],
    ),
};

/// p = 2^255 - 19, little-endian as everything in RFC 8032.
const ED25519_P: [u8; 32] = hex("EDFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF7F", [0; 32]);
/// d = -121665/121666.
const ED25519_D: [u8; 32] = hex("A3785913CA4DEB75ABD841414D0A700098E879777940C78C73FE6F2BEE6C0352", [0; 32]);
/// The y coordinates of the eight points whose order divides the cofactor: orders 4, 1, 2, and 8 twice.
const ED25519_SMALL_ORDER_Y: [[u8; 32]; 5] = [
    hex("0000000000000000000000000000000000000000000000000000000000000000", [0; 32]),
    hex("0100000000000000000000000000000000000000000000000000000000000000", [0; 32]),
    hex("ECFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF7F", [0; 32]),
    hex("26E8958FC2B227B045C3F489F2EF98F0D5DFAC05D3C63339B13802886D53FC05", [0; 32]),
    hex("C7176A703D4DD84FBA3C0B760D10670F2A2053FA2C39CCC64EC7FD7792AC037A", [0; 32]),
];

/// Decodes a constant; a wrong digit or length stops the build.
const fn hex<const N: usize>(text: &str, mut octets: [u8; N]) -> [u8; N] {
    let digits = text.as_bytes();
    assert!(digits.len() == 2 * N);
    let mut at = 0;
    while at < N {
        octets[at] = nibble(digits[2 * at]) << 4 | nibble(digits[2 * at + 1]);
        at += 1;
    }
    octets
}

const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'A'..=b'F' => digit - b'A' + 10,
        _ => panic!(),
    }
}

#[cfg(test)]
mod tests;
