//! 15: public keys.

use std::time::{Duration, Instant};

use kakunin_core::certificate::signature::{Algorithm, verify};
use num_bigint::BigUint;

use crate::recipe::*;
use crate::rsa::octets;

const MESSAGE: &[u8] = b"transfer 10";
/// The usual public exponent, 65537.
const F4: &[u8] = &[1, 0, 1];

/// An RSA key of these numbers.
pub fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let integer = |octets: &[u8]| {
        let sign = if octets.first().is_some_and(|first| first & 0x80 != 0) { &[0][..] } else { &[] };
        tlv(2, &[sign, octets].concat())
    };
    let key = sequence(&[&integer(modulus), &integer(exponent)]);
    sequence(&[&algorithm("1.2.840.113549.1.1.1", &[5, 0]), &bits(&key)])
}

/// An odd number of this many bits.
fn modulus(bit_length: usize) -> Vec<u8> {
    octets(&((BigUint::from(1_u32) << (bit_length - 1)) + 1_u32), bit_length.div_ceil(8))
}

/// A key on a curve, with the point as it is written.
fn ec_spki(curve: &[u8], point: &[u8]) -> Vec<u8> {
    sequence(&[&algorithm("1.2.840.10045.2.1", curve), &bits(point)])
}

/// What becomes of an agent certificate with this key.
pub fn certified(spki: Vec<u8>) -> &'static str {
    let mut world = World::new();
    world.agent.spki = spki;
    slug(&world.check())
}

#[test]
fn pki_15_rsa_keys_have_2048_to_8192_bits_in_octets_and_sound_exponents() {
    let n = modulus(2048);
    for bit_length in [2048, 2056, 3072, 4096, 8192] {
        assert_eq!(certified(rsa_spki(&modulus(bit_length), F4)), "valid", "{bit_length}");
    }
    for bit_length in [8, 512, 1024, 2040, 2047, 2049, 2052, 8200, 16384] {
        let spki = rsa_spki(&modulus(bit_length), F4);
        assert_eq!(certified(spki.clone()), "key_unsupported", "{bit_length}");
        let started = Instant::now();
        assert_eq!(slug(&verify(Algorithm::RS256, &spki, MESSAGE, &vec![1; bit_length / 8])), "key_unsupported");
        assert!(started.elapsed() < Duration::from_millis(50), "{bit_length} bits");
    }
    let mut even = n.clone();
    even[255] = 2;
    assert_eq!(certified(rsa_spki(&even, F4)), "key_unsupported");
    // Exponent 3 verifies foreign signatures; a certificate must have 65537 or more.
    assert_eq!(certified(rsa_spki(&n, &[3])), "key_unsupported");
    assert_eq!(slug(&verify(Algorithm::RS256, &rsa_spki(&n, &[3]), MESSAGE, &[1; 256])), "signature_invalid");
    for exponent in [&[0_u8][..], &[1], &[2], &[1, 0, 2], &[2, 0, 0, 0, 1], &[1; 6], &[1; 256]] {
        let spki = rsa_spki(&n, exponent);
        assert_eq!(certified(spki.clone()), "key_unsupported", "{exponent:?}");
        assert_eq!(slug(&verify(Algorithm::RS256, &spki, MESSAGE, &[1; 256])), "key_unsupported", "{exponent:?}");
    }
    assert_eq!(certified(rsa_spki(&n, &[1, 0, 0, 0, 1])), "valid", "2^32 + 1");
}

#[test]
fn pki_15_curves_are_named_and_points_lie_on_them() {
    let p256 = Key::p256().spki();
    let point = &p256[p256.len() - 65..];
    let curve = oid("1.2.840.10045.3.1.7");
    assert_eq!(certified(ec_spki(&curve, point)), "valid");

    let mut off_curve = point.to_vec();
    off_curve[64] ^= 1;
    let p = BigUint::parse_bytes(b"FFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF", 16).unwrap();
    let too_large = [&[4], octets(&p, 32).as_slice(), &point[33..]].concat();
    let compressed = [&[2 | (point[64] & 1)], &point[1..33]].concat();
    let hybrid = [&[6 | (point[64] & 1)], &point[1..]].concat();
    for (what, point) in [
        ("not on the curve", off_curve.as_slice()),
        ("a coordinate not below p", &too_large),
        ("infinity", &[0]),
        ("zeros", &[0; 65]),
        ("compressed", &compressed),
        ("hybrid", &hybrid),
        ("nothing", &[]),
        ("cut off", &point[..64]),
    ] {
        let spki = ec_spki(&curve, point);
        assert_eq!(certified(spki.clone()), "key_unsupported", "{what}");
        assert!(verify(Algorithm::ES256P1363, &spki, MESSAGE, &[1; 64]).is_err(), "{what}");
    }
    for (what, curve) in [
        ("P-192", oid("1.2.840.10045.3.1.1")),
        ("P-224", oid("1.3.132.0.33")),
        ("P-521", oid("1.3.132.0.35")),
        ("secp256k1", oid("1.3.132.0.10")),
        ("brainpoolP256r1", oid("1.3.36.3.3.2.8.1.1.7")),
        ("P-384 with a point of P-256", oid("1.3.132.0.34")),
        ("explicit parameters", sequence(&[&[2, 1, 1], &sequence(&[&oid("1.2.840.10045.1.1")])])),
        ("implicit parameters", vec![5, 0]),
        ("no parameters", vec![]),
    ] {
        assert_eq!(certified(ec_spki(&curve, point)), "key_unsupported", "{what}");
    }
    let p384 = Key::p384().spki();
    let mut point = p384[p384.len() - 97..].to_vec();
    assert_eq!(certified(ec_spki(&oid("1.3.132.0.34"), &point)), "valid");
    point[96] ^= 1;
    assert_eq!(certified(ec_spki(&oid("1.3.132.0.34"), &point)), "key_unsupported");
}

#[test]
fn pki_15_other_kinds_of_keys_and_other_structures_are_refused() {
    let ed25519 = Key::number(3).spki();
    let octets = &ed25519[ed25519.len() - 32..];
    let key = |identifier: &[u8], key: &[u8]| sequence(&[identifier, &bits(key)]);
    for (what, identifier) in [
        ("DSA", algorithm("1.2.840.10040.4.1", &sequence(&[&[2, 1, 7], &[2, 1, 3], &[2, 1, 2]]))),
        ("X25519", algorithm("1.3.101.110", &[])),
        ("Ed448", algorithm("1.3.101.113", &[])),
        ("Ed25519 with parameters", algorithm("1.3.101.112", &[5, 0])),
        ("RSA for PSS only", algorithm("1.2.840.113549.1.1.10", &[])),
        ("RSA without parameters", algorithm("1.2.840.113549.1.1.1", &[])),
    ] {
        assert_eq!(certified(key(&identifier, octets)), "key_unsupported", "{what}");
    }
    let identifier = algorithm("1.3.101.112", &[]);
    for (what, spki) in [
        ("31 octets", key(&identifier, &octets[1..])),
        ("33 octets", key(&identifier, &[octets, &[0]].concat())),
        ("not whole octets", sequence(&[&identifier, &tlv(3, &[&[1], &octets[..31], &[0]].concat())])),
        ("more than a key", sequence(&[&identifier, &bits(octets), &[5, 0]])),
        ("no key", sequence(&[&identifier])),
        (
            "a negative modulus",
            sequence(&[
                &algorithm("1.2.840.113549.1.1.1", &[5, 0]),
                &bits(&sequence(&[&tlv(2, &[0x80; 256]), &tlv(2, F4)])),
            ]),
        ),
        (
            "a padded modulus",
            sequence(&[
                &algorithm("1.2.840.113549.1.1.1", &[5, 0]),
                &bits(&sequence(&[&tlv(2, &[&[0], modulus(2047).as_slice()].concat()), &tlv(2, F4)])),
            ]),
        ),
    ] {
        assert_eq!(slug(&verify(Algorithm::EdDSA, &spki, MESSAGE, &[0; 64])), "public_key_malformed", "{what}");
        assert_ne!(certified(spki), "valid", "{what}");
    }
    assert_eq!(slug(&verify(Algorithm::EdDSA, &[0x30; 5000], MESSAGE, &[0; 64])), "public_key_malformed");
    assert_eq!(slug(&verify(Algorithm::EdDSA, &[], MESSAGE, &[0; 64])), "public_key_malformed");
}
