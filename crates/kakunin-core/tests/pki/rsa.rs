//! RSA by hand, so that the padding under a valid signature can be wrong.

use num_bigint::BigUint;
use ring::digest::{Algorithm, SHA256, digest};

/// The numbers of the test key.
pub struct RawRsa {
    pub n: BigUint,
    d: BigUint,
}

impl RawRsa {
    pub fn new() -> Self {
        let document = include_bytes!("../../testdata/certificate/rsa2048.pk8");
        // PrivateKeyInfo { version, algorithm, OCTET STRING { RSAPrivateKey { version, n, e, d, … } } }
        let (info, _) = value(document);
        let (_, rest) = value(info);
        let (_, rest) = value(rest);
        let (key, _) = value(value(rest).0);
        let (_, rest) = value(key);
        let (n, rest) = value(rest);
        let (_, rest) = value(rest);
        let (d, _) = value(rest);
        Self { n: BigUint::from_bytes_be(n), d: BigUint::from_bytes_be(d) }
    }

    /// Signs an encoded message as it is: 256 octets.
    pub fn sign(&self, encoded: &[u8]) -> Vec<u8> {
        octets(&BigUint::from_bytes_be(encoded).modpow(&self.d, &self.n), 256)
    }
}

/// The content of the first value and what follows it.
fn value(der: &[u8]) -> (&[u8], &[u8]) {
    let (start, length) = match der[1] {
        length @ 0..=0x7f => (2, usize::from(length)),
        0x81 => (3, usize::from(der[2])),
        _ => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
    };
    (&der[start..start + length], &der[start + length..])
}

/// A number in exactly this many octets.
pub fn octets(number: &BigUint, length: usize) -> Vec<u8> {
    let octets = number.to_bytes_be();
    [vec![0; length - octets.len()], octets].concat()
}

/// EMSA-PSS (RFC 8017 section 9.1.1) for a modulus of 2048 bits.
pub fn pss(hash: &'static Algorithm, mask_hash: &'static Algorithm, message: &[u8], salt: &[u8]) -> Vec<u8> {
    let length = hash.output_len();
    let inner = [&[0; 8], digest(hash, message).as_ref(), salt].concat();
    let h = digest(hash, &inner);
    let block = [vec![0; 256 - salt.len() - length - 2], vec![1], salt.to_vec()].concat();
    let mask = (0_u32..)
        .flat_map(|counter| digest(mask_hash, &[h.as_ref(), &counter.to_be_bytes()].concat()).as_ref().to_vec());
    let mut encoded: Vec<u8> = block.iter().zip(mask).map(|(octet, mask)| octet ^ mask).collect();
    encoded[0] &= 0x7f;
    [encoded.as_slice(), h.as_ref(), &[0xbc]].concat()
}

/// DigestInfo for SHA-256 (RFC 8017 section 9.2), with the parameters as given.
pub fn digest_info(message: &[u8], parameters: &[u8]) -> Vec<u8> {
    use crate::recipe::{oid, sequence, tlv};
    let algorithm = sequence(&[&oid("2.16.840.1.101.3.4.2.1"), parameters]);
    sequence(&[&algorithm, &tlv(4, digest(&SHA256, message).as_ref())])
}

/// EMSA-PKCS1-v1_5 around a DigestInfo with as many octets of padding as fit.
pub fn pkcs1(info: &[u8]) -> Vec<u8> {
    [&[0, 1][..], &vec![0xff; 256 - 3 - info.len()], &[0], info].concat()
}
