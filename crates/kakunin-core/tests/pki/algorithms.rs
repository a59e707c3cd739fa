//! 14 and 16 to 18: signatures and their algorithms.

use kakunin_core::Reason;
use kakunin_core::certificate::signature::{Algorithm, verify};
use kakunin_core::certificate::{Certificate, check_path};
use num_bigint::BigUint;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512, digest};
use ring::rand::SystemRandom;
use ring::signature as ring_signature;

use crate::keys::{certified, rsa_spki};
use crate::recipe::*;
use crate::rsa::{RawRsa, digest_info, octets, pkcs1, pss};

const MESSAGE: &[u8] = b"transfer 10";

/// One signature per algorithm, each with the key that made it.
fn signatures() -> Vec<(Algorithm, Vec<u8>, Vec<u8>)> {
    let (rsa, p256, p384, ed25519) = (Key::rsa(), Key::p256(), Key::p384(), Key::number(7));
    let random = SystemRandom::new();
    let mut made = vec![
        (Algorithm::ES256, p256.spki(), p256.sign(MESSAGE)),
        (Algorithm::ES384, p384.spki(), p384.sign(MESSAGE)),
        (Algorithm::ES256P1363, p256.spki(), fixed(&p256.sign(MESSAGE), 32)),
        (Algorithm::ES384P1363, p384.spki(), fixed(&p384.sign(MESSAGE), 48)),
        (Algorithm::EdDSA, ed25519.spki(), ed25519.sign(MESSAGE)),
    ];
    let Key::Rsa(pair) = &rsa else { unreachable!() };
    let paddings: [(Algorithm, &dyn ring_signature::RsaEncoding); 6] = [
        (Algorithm::RS256, &ring_signature::RSA_PKCS1_SHA256),
        (Algorithm::RS384, &ring_signature::RSA_PKCS1_SHA384),
        (Algorithm::RS512, &ring_signature::RSA_PKCS1_SHA512),
        (Algorithm::PS256, &ring_signature::RSA_PSS_SHA256),
        (Algorithm::PS384, &ring_signature::RSA_PSS_SHA384),
        (Algorithm::PS512, &ring_signature::RSA_PSS_SHA512),
    ];
    for (algorithm, padding) in paddings {
        let mut signature = vec![0; 256];
        pair.sign(padding, &random, MESSAGE, &mut signature).unwrap();
        made.push((algorithm, rsa.spki(), signature));
    }
    made
}

/// The two numbers of a DER signature as r || s.
fn fixed(der: &[u8], length: usize) -> Vec<u8> {
    let r_len = usize::from(der[3]);
    let number = |octets: &[u8]| self::octets(&BigUint::from_bytes_be(octets), length);
    [number(&der[4..4 + r_len]), number(&der[6 + r_len..])].concat()
}

#[test]
fn pki_14_a_signature_verifies_under_its_own_algorithm_and_key_alone() {
    let made = signatures();
    assert_eq!(made.len(), Algorithm::ALL.len());
    for (own, spki, signature) in &made {
        for algorithm in Algorithm::ALL {
            let outcome = verify(algorithm, spki, MESSAGE, signature);
            assert_eq!(outcome.is_ok(), algorithm == *own, "{own} read as {algorithm}: {outcome:?}");
        }
        // Another kind of key is told apart before anything is computed.
        for (other, other_spki, _) in &made {
            if spki[..20] != other_spki[..20] {
                assert_eq!(
                    slug(&verify(*own, other_spki, MESSAGE, signature)),
                    "algorithm_mismatch",
                    "{own} with the key of {other}"
                );
            }
        }
        assert_eq!(verify(*own, spki, b"transfer 100", signature), Err(Reason::SignatureInvalid));
        for changed in 0..signature.len() {
            let mut signature = signature.clone();
            signature[changed] ^= 1;
            assert_eq!(
                verify(*own, spki, MESSAGE, &signature),
                Err(Reason::SignatureInvalid),
                "{own}, octet {changed}"
            );
        }
        for length in [0, 1, signature.len() - 1] {
            assert_eq!(verify(*own, spki, MESSAGE, &signature[..length]), Err(Reason::SignatureInvalid));
        }
        let longer = [signature.as_slice(), &[0]].concat();
        assert_eq!(verify(*own, spki, MESSAGE, &longer), Err(Reason::SignatureInvalid));
        assert_eq!(verify(*own, spki, MESSAGE, &[0; 4096]), Err(Reason::SignatureInvalid));
    }
}

#[test]
fn pki_14_algorithms_have_exact_names() {
    for algorithm in Algorithm::ALL {
        assert_eq!(algorithm.name().parse(), Ok(algorithm));
    }
    for name in [
        "",
        "none",
        "None",
        "HS256",
        "HS512",
        "rs256",
        "RS256 ",
        "RS1",
        "ES512",
        "ES256K",
        "PS256-P1363",
        "Ed25519",
        "ES256-p1363",
        "RSA1_5",
    ] {
        assert_eq!(slug(&name.parse::<Algorithm>()), "algorithm_unsupported", "{name:?}");
    }
    // What a refusal repeats is short and cannot disturb a terminal or a log.
    let Err(Reason::AlgorithmUnsupported { algorithm }) = "x\u{202e}\n\0".repeat(99).parse::<Algorithm>() else {
        unreachable!()
    };
    assert_eq!(algorithm, "x".repeat(40));
}

#[test]
fn pki_14_a_certificate_cannot_borrow_an_algorithm() {
    let (p256, p384) = (Key::p256(), Key::p384());
    let root = |key: &Key| Recipe::ca("Root", key.spki(), "Root", None).sign(key);
    let (p256_root, p384_root) = (root(&p256), root(&p384));
    let mut recipe = Recipe::agent(Key::number(3).spki(), "Root");
    let mut check = |kind: &str, parameters: &[u8], signer: &Key, root: &[u8]| {
        recipe.inner_algorithm = Some(algorithm(kind, parameters));
        recipe.outer_algorithm = recipe.inner_algorithm.clone();
        slug(&check_path(&recipe.sign(signer), &[], &[root], &[], NOW))
    };
    assert_eq!(check(ECDSA_WITH_SHA256, &[], &p256, &p256_root), "valid");
    for (what, kind, parameters, signer, root) in [
        ("P-256 under the name of P-384", "1.2.840.10045.4.3.3", &[][..], &p256, &p256_root),
        ("P-384 under the name of P-256", ECDSA_WITH_SHA256, &[], &p384, &p384_root),
        ("ECDSA under the name of RSA", RSA_WITH_SHA256, &[5, 0], &p256, &p256_root),
        ("ECDSA under the name of Ed25519", "1.3.101.112", &[], &p256, &p256_root),
    ] {
        let outcome = check(kind, parameters, signer, root);
        assert!(
            ["algorithm_mismatch", "certificate_invalid", "signature_invalid"].contains(&outcome),
            "{what}: {outcome}"
        );
    }
}

#[test]
fn pki_16_weak_digests_are_refused_in_every_certificate() {
    let weak = [
        ("MD5 with RSA", "1.2.840.113549.1.1.4", &[5, 0][..]),
        ("SHA-1 with RSA", "1.2.840.113549.1.1.5", &[5, 0]),
        ("SHA-224 with RSA", "1.2.840.113549.1.1.14", &[5, 0]),
        ("SHA-1 with ECDSA", "1.2.840.10045.4.1", &[]),
        ("SHA-224 with ECDSA", "1.2.840.10045.4.3.1", &[]),
        ("SHA-512 with ECDSA", "1.2.840.10045.4.3.4", &[]),
        ("PSS with its default SHA-1", "1.2.840.113549.1.1.10", &[0x30, 0]),
    ];
    let places: [Place; 3] = [|world| &mut world.agent, |world| &mut world.intermediate, |world| &mut world.root];
    for (what, kind, parameters) in weak {
        for place in places {
            let mut world = World::new();
            let recipe = place(&mut world);
            recipe.inner_algorithm = Some(algorithm(kind, parameters));
            recipe.outer_algorithm = recipe.inner_algorithm.clone();
            assert_eq!(slug(&world.check()), "algorithm_unsupported", "{what}");
        }
    }
}

#[test]
fn pki_16_a_signature_that_is_right_under_sha_1_is_refused() {
    let rsa = RawRsa::new();
    let root = Recipe::ca("Root", Key::rsa().spki(), "Root", None).sign(&Key::rsa());
    let mut recipe = Recipe::agent(Key::number(3).spki(), "Root");
    recipe.inner_algorithm = Some(algorithm("1.2.840.113549.1.1.5", &[5, 0]));
    let tbs = recipe.tbs(&Key::rsa());
    let info =
        sequence(&[&algorithm("1.3.14.3.2.26", &[5, 0]), &tlv(4, digest(&SHA1_FOR_LEGACY_USE_ONLY, &tbs).as_ref())]);
    let der = sequence(&[&tbs, &algorithm("1.2.840.113549.1.1.5", &[5, 0]), &bits(&rsa.sign(&pkcs1(&info)))]);
    assert!(Certificate::parse(&der).is_ok());
    assert_eq!(slug(&check_path(&der, &[], &[&root], &[], NOW)), "algorithm_unsupported");
}

#[test]
fn pki_17_pkcs1_padding_is_compared_whole() {
    let (rsa, spki) = (RawRsa::new(), Key::rsa().spki());
    let info = digest_info(MESSAGE, &[5, 0]);
    let check = |encoded: &[u8]| slug(&verify(Algorithm::RS256, &spki, MESSAGE, &rsa.sign(encoded)));
    assert_eq!(check(&pkcs1(&info)), "valid");

    let space = 256 - 3 - info.len();
    let padded = |head: &[u8], padding: Vec<u8>, tail: &[u8]| [head, &padding, tail].concat();
    let with_zero = [&[0], info.as_slice()].concat();
    let ber = {
        // The digest's length in the long form.
        let mut ber = info.clone();
        let at = ber.len() - 33;
        ber.insert(at, 0x81);
        ber[1] += 1;
        ber
    };
    for (what, encoded) in [
        ("no NULL in DigestInfo", pkcs1(&digest_info(MESSAGE, &[]))),
        ("another value for NULL", pkcs1(&digest_info(MESSAGE, &[4, 0]))),
        ("BER in DigestInfo", pkcs1(&ber)),
        ("the digest alone", pkcs1(digest(&SHA256, MESSAGE).as_ref())),
        (
            "short padding, the rest after it",
            padded(&[0, 1], [vec![0xff; 8], with_zero.clone(), vec![0; space - 8]].concat(), &[]),
        ),
        ("bytes after DigestInfo", pkcs1(&[info.as_slice(), &[0; 16]].concat())),
        ("block type 2", padded(&[0, 2], vec![0xff; space], &with_zero)),
        ("block type 0", padded(&[0, 0], vec![0; space], &with_zero)),
        (
            "a zero within the padding",
            padded(&[0, 1], [vec![0xff; 9], vec![0], vec![0xff; space - 10]].concat(), &with_zero),
        ),
        ("no zero after the padding", padded(&[0, 1], vec![0xff; space + 1], &info)),
        (
            "another digest's name",
            pkcs1(&sequence(&[
                &algorithm("2.16.840.1.101.3.4.2.3", &[5, 0]),
                &tlv(4, digest(&SHA256, MESSAGE).as_ref()),
            ])),
        ),
    ] {
        assert_eq!(encoded.len(), 256, "{what}");
        assert_eq!(check(&encoded), "signature_invalid", "{what}");
    }
    // s + n is another text for the same number.
    let signature = rsa.sign(&pkcs1(&info));
    let larger = (BigUint::from_bytes_be(&signature) + &rsa.n).to_bytes_be();
    assert_eq!(slug(&verify(Algorithm::RS256, &spki, MESSAGE, &larger)), "signature_invalid");
    assert_eq!(slug(&verify(Algorithm::RS256, &spki, MESSAGE, &[0; 256])), "signature_invalid");
}

#[test]
fn pki_17_a_cube_root_is_not_a_signature() {
    // With exponent 3, a number whose cube begins with the right padding is found without any key.
    let n = RawRsa::new().n;
    let info = digest_info(MESSAGE, &[5, 0]);
    let head = [&[0, 1][..], &[0xff; 8], &[0], &info].concat();
    let target = [head.as_slice(), &vec![0xff; 256 - head.len()]].concat();
    let forged = octets(&BigUint::from_bytes_be(&target).cbrt(), 256);
    let cube = octets(&(BigUint::from_bytes_be(&forged).pow(3)), 256);
    assert!(cube.starts_with(&head));
    let spki = rsa_spki(&octets(&n, 256), &[3]);
    assert_eq!(slug(&verify(Algorithm::RS256, &spki, MESSAGE, &forged)), "signature_invalid");
}

#[test]
fn pki_17_the_salt_of_pss_is_as_long_as_the_hash() {
    let (rsa, spki) = (RawRsa::new(), Key::rsa().spki());
    let check = |encoded: &[u8]| slug(&verify(Algorithm::PS256, &spki, MESSAGE, &rsa.sign(encoded)));
    assert_eq!(check(&pss(&SHA256, &SHA256, MESSAGE, &[7; 32])), "valid");
    for length in [0, 20, 31, 33, 64, 222] {
        assert_eq!(check(&pss(&SHA256, &SHA256, MESSAGE, &vec![7; length])), "signature_invalid", "salt of {length}");
    }
    assert_eq!(check(&pss(&SHA256, &SHA512, MESSAGE, &[7; 32])), "signature_invalid", "another hash in MGF1");
    let mut trailer = pss(&SHA256, &SHA256, MESSAGE, &[7; 32]);
    trailer[255] = 0xcc;
    assert_eq!(check(&trailer), "signature_invalid", "another trailer");
    let mut top_bit = pss(&SHA256, &SHA256, MESSAGE, &[7; 32]);
    top_bit[0] |= 0x80;
    if BigUint::from_bytes_be(&top_bit) < rsa.n {
        assert_eq!(check(&top_bit), "signature_invalid", "the bit above the encoded message");
    }
}

/// The order of the base point of edwards25519 (RFC 8032 section 5.1).
fn order() -> BigUint {
    (BigUint::from(1_u32) << 252_u32) + BigUint::parse_bytes(b"27742317777372353535851937790883648493", 10).unwrap()
}

fn little_endian(number: &BigUint) -> Vec<u8> {
    let mut octets = octets(number, 32);
    octets.reverse();
    octets
}

fn ed25519_spki(key: &[u8]) -> Vec<u8> {
    sequence(&[&algorithm("1.3.101.112", &[]), &bits(key)])
}

#[test]
fn pki_18_ed25519_signatures_have_one_value() {
    let key = Key::number(7);
    let (spki, signature) = (key.spki(), key.sign(MESSAGE));
    let check = |r: &[u8], s: &[u8]| slug(&verify(Algorithm::EdDSA, &spki, MESSAGE, &[r, s].concat()));
    let (r, s) = signature.split_at(32);
    assert_eq!(check(r, s), "valid");
    let larger = little_endian(&(BigUint::from_bytes_le(s) + order()));
    assert_eq!(check(r, &larger), "signature_invalid", "s plus the order");
    assert_eq!(check(r, &little_endian(&order())), "signature_invalid", "s equal to the order");

    // R = the identity, s = k·a: right by the equation. Whether R may be written as p + 1 is what differs.
    let a = {
        let mut a = digest(&SHA512, &[7; 32]).as_ref()[..32].to_vec();
        a[0] &= 248;
        a[31] = a[31] & 127 | 64;
        BigUint::from_bytes_le(&a)
    };
    let public_key = &spki[spki.len() - 32..];
    let s_for = |r: &[u8]| {
        let k = BigUint::from_bytes_le(digest(&SHA512, &[r, public_key, MESSAGE].concat()).as_ref());
        little_endian(&(k * &a % order()))
    };
    let p = (BigUint::from(1_u32) << 255_u32) - 19_u32;
    let identity = little_endian(&BigUint::from(1_u32));
    let identity_written_otherwise = little_endian(&(p + 1_u32));
    assert_eq!(check(&identity, &s_for(&identity)), "valid");
    assert_eq!(check(&identity_written_otherwise, &s_for(&identity_written_otherwise)), "signature_invalid");
}

#[test]
fn pki_18_ed25519_keys_are_canonical_and_of_large_order() {
    let p = (BigUint::from(1_u32) << 255_u32) - 19_u32;
    let eight = |hex: &str| {
        BigUint::from_bytes_le(
            &hex.as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect::<Vec<_>>(),
        )
    };
    let small = [
        BigUint::from(0_u32),
        BigUint::from(1_u32),
        &p - 1_u32,
        eight("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        eight("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    ];
    let sign_bit = BigUint::from(1_u32) << 255_u32;
    let mut keys: Vec<BigUint> = small.iter().flat_map(|y| [y.clone(), y + &sign_bit]).collect();
    // Every y that has a second text: 0 to 18 written as p to p + 18.
    keys.extend((0_u32..19).flat_map(|y| [&p + y, &p + y + &sign_bit]));
    for key in keys {
        let spki = ed25519_spki(&little_endian(&key));
        for _ in 0..2 {
            // R the identity and s zero is a signature under a key of small order, for one message in eight.
            let signature = [little_endian(&BigUint::from(1_u32)), vec![0; 32]].concat();
            for message in [MESSAGE, b"", b"a", b"b", b"c", b"d", b"e", b"f", b"g"] {
                assert_eq!(slug(&verify(Algorithm::EdDSA, &spki, message, &signature)), "key_unsupported", "{key:x}");
            }
            assert_eq!(certified(spki.clone()), "key_unsupported");
        }
    }
    // y = 2 belongs to no point: no signature verifies, and no certificate may carry it.
    let no_point = ed25519_spki(&little_endian(&BigUint::from(2_u32)));
    assert_eq!(certified(no_point.clone()), "key_unsupported");
    assert_eq!(slug(&verify(Algorithm::EdDSA, &no_point, MESSAGE, &[0; 64])), "signature_invalid");
}
