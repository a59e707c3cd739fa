//! Certificates and CRLs written field by field, so that each field can be wrong, and signed all the same.

use kakunin_core::certificate::{Path, check_path};
use kakunin_core::{Reason, UnixTime};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RsaKeyPair,
};

/// 2026-01-15T12:00:00Z, inside every validity that a recipe gives unless told otherwise.
pub const NOW: UnixTime = UnixTime::from_seconds(1_768_478_400);

pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match length {
        0..=0x7f => out.push(length as u8),
        0x80..=0xff => out.extend([0x81, length as u8]),
        0x100..=0xffff => out.extend([0x82, (length >> 8) as u8, length as u8]),
        _ => out.extend([0x83, (length >> 16) as u8, (length >> 8) as u8, length as u8]),
    }
    out.extend(content);
    out
}

pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// The whole OBJECT IDENTIFIER of a dotted text.
pub fn oid(text: &str) -> Vec<u8> {
    let arcs: Vec<u64> = text.split('.').map(|arc| arc.parse().unwrap()).collect();
    let mut content = Vec::new();
    for arc in [&[arcs[0] * 40 + arcs[1]], &arcs[2..]].concat() {
        let mut groups = vec![(arc & 0x7f) as u8];
        let mut rest = arc >> 7;
        while rest > 0 {
            groups.insert(0, 0x80 | (rest & 0x7f) as u8);
            rest >>= 7;
        }
        content.extend(groups);
    }
    tlv(0x06, &content)
}

pub fn utf8(text: &str) -> Vec<u8> {
    tlv(0x0c, text.as_bytes())
}

pub fn bits(octets: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], octets].concat())
}

/// A name of one attribute per relative name.
pub fn name(attributes: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let rdn = |(kind, value): &(&str, Vec<u8>)| tlv(0x31, &sequence(&[&oid(kind), value]));
    tlv(0x30, &attributes.iter().map(rdn).collect::<Vec<_>>().concat())
}

pub fn common_name(text: &str) -> Vec<u8> {
    name(&[("2.5.4.3", utf8(text))])
}

pub fn extension(kind: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    sequence(&[&oid(kind), critical, &tlv(0x04, value)])
}

pub fn basic_constraints(ca: bool, path_length: Option<u8>) -> Vec<u8> {
    let ca: &[u8] = if ca { &[1, 1, 0xff] } else { &[] };
    let limit = path_length.map(|limit| vec![2, 1, limit]).unwrap_or_default();
    extension("2.5.29.19", true, &sequence(&[ca, &limit]))
}

/// keyUsage from its first octet, digitalSignature being 0x80.
pub fn key_usage(octet: u8) -> Vec<u8> {
    extension("2.5.29.15", true, &tlv(0x03, &[octet.trailing_zeros() as u8, octet]))
}

pub const DIGITAL_SIGNATURE: u8 = 0x80;
pub const CERT_AND_CRL_SIGN: u8 = 0x06;

pub fn alt_names(names: &[Vec<u8>]) -> Vec<u8> {
    extension("2.5.29.17", false, &tlv(0x30, &names.concat()))
}

pub fn uri(text: &str) -> Vec<u8> {
    tlv(0x86, text.as_bytes())
}

pub fn dns(text: &str) -> Vec<u8> {
    tlv(0x82, text.as_bytes())
}

/// nameConstraints that permit the given bases.
pub fn permitted(bases: &[Vec<u8>]) -> Vec<u8> {
    let subtrees: Vec<u8> = bases.iter().flat_map(|base| sequence(&[base])).collect();
    extension("2.5.29.30", true, &sequence(&[&tlv(0xa0, &subtrees)]))
}

pub const RSA_WITH_SHA256: &str = "1.2.840.113549.1.1.11";
pub const ECDSA_WITH_SHA256: &str = "1.2.840.10045.4.3.2";

pub fn algorithm(kind: &str, parameters: &[u8]) -> Vec<u8> {
    sequence(&[&oid(kind), parameters])
}

/// A key pair that signs certificates.
pub enum Key {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl Key {
    /// A key that is the same in every run.
    pub fn number(seed: u8) -> Self {
        Self::Ed25519(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    pub fn p256() -> Self {
        let (kind, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Self::P256(EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).unwrap())
    }

    pub fn p384() -> Self {
        let (kind, random) = (&ECDSA_P384_SHA384_ASN1_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Self::P384(EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).unwrap())
    }

    pub fn rsa() -> Self {
        let document = include_bytes!("../../testdata/certificate/rsa2048.pk8");
        Self::Rsa(Box::new(RsaKeyPair::from_pkcs8(document).unwrap()))
    }

    pub fn spki(&self) -> Vec<u8> {
        let named_curve = |curve| algorithm("1.2.840.10045.2.1", &oid(curve));
        let (algorithm, key) = match self {
            Self::Ed25519(pair) => (sequence(&[&oid("1.3.101.112")]), pair.public_key().as_ref()),
            Self::P256(pair) => (named_curve("1.2.840.10045.3.1.7"), pair.public_key().as_ref()),
            Self::P384(pair) => (named_curve("1.3.132.0.34"), pair.public_key().as_ref()),
            Self::Rsa(pair) => (algorithm("1.2.840.113549.1.1.1", &[5, 0]), pair.public_key().as_ref()),
        };
        sequence(&[&algorithm, &bits(key)])
    }

    /// The AlgorithmIdentifier that [`sign`](Self::sign) belongs to.
    pub fn algorithm(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(_) => algorithm("1.3.101.112", &[]),
            Self::P256(_) => algorithm(ECDSA_WITH_SHA256, &[]),
            Self::P384(_) => algorithm("1.2.840.10045.4.3.3", &[]),
            Self::Rsa(_) => algorithm(RSA_WITH_SHA256, &[5, 0]),
        }
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::P256(pair) | Self::P384(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }
}

/// A certificate to be; fields are encoded values.
#[derive(Clone)]
pub struct Recipe {
    pub version: Vec<u8>,
    pub serial: Vec<u8>,
    /// Nothing means the signer's own.
    pub inner_algorithm: Option<Vec<u8>>,
    pub outer_algorithm: Option<Vec<u8>>,
    pub issuer: Vec<u8>,
    pub not_before: Vec<u8>,
    pub not_after: Vec<u8>,
    pub subject: Vec<u8>,
    pub spki: Vec<u8>,
    pub extensions: Vec<Vec<u8>>,
}

impl Recipe {
    pub fn new(subject: &str, spki: Vec<u8>, issuer: &str) -> Self {
        Self {
            version: tlv(0xa0, &[2, 1, 2]),
            serial: vec![0x10],
            inner_algorithm: None,
            outer_algorithm: None,
            issuer: common_name(issuer),
            not_before: tlv(0x17, b"260101000000Z"),
            not_after: tlv(0x17, b"261231235959Z"),
            subject: common_name(subject),
            spki,
            extensions: Vec::new(),
        }
    }

    pub fn ca(subject: &str, spki: Vec<u8>, issuer: &str, path_length: Option<u8>) -> Self {
        let mut recipe = Self::new(subject, spki, issuer);
        recipe.extensions = vec![basic_constraints(true, path_length), key_usage(CERT_AND_CRL_SIGN)];
        recipe
    }

    /// An agent of the tenant and trust domain that the tests use.
    pub fn agent(spki: Vec<u8>, issuer: &str) -> Self {
        let mut recipe = Self::new("a1", spki, issuer);
        recipe.extensions =
            vec![basic_constraints(false, None), key_usage(DIGITAL_SIGNATURE), alt_names(&[uri(AGENT_ID)])];
        recipe
    }

    pub fn with(mut self, extension: Vec<u8>) -> Self {
        self.extensions.push(extension);
        self
    }

    /// Replaces the extension of the same type.
    pub fn instead(mut self, extension: Vec<u8>) -> Self {
        let kind = |extension: &[u8]| {
            let content = &extension[extension.len() - content_len(extension)..];
            content[..2 + usize::from(content[1])].to_vec()
        };
        self.extensions.retain(|present| kind(present) != kind(&extension));
        self.with(extension)
    }

    pub fn tbs(&self, signer: &Key) -> Vec<u8> {
        let algorithm = self.inner_algorithm.clone().unwrap_or_else(|| signer.algorithm());
        let extensions = match self.extensions.as_slice() {
            [] => Vec::new(),
            list => tlv(0xa3, &tlv(0x30, &list.concat())),
        };
        sequence(&[
            &self.version,
            &tlv(0x02, &self.serial),
            &algorithm,
            &self.issuer,
            &sequence(&[&self.not_before, &self.not_after]),
            &self.subject,
            &self.spki,
            &extensions,
        ])
    }

    pub fn sign(&self, signer: &Key) -> Vec<u8> {
        let tbs = self.tbs(signer);
        let algorithm = self.outer_algorithm.clone().unwrap_or_else(|| signer.algorithm());
        sequence(&[&tbs, &algorithm, &bits(&signer.sign(&tbs))])
    }
}

fn content_len(value: &[u8]) -> usize {
    match value[1] {
        length @ 0..=0x7f => usize::from(length),
        0x81 => usize::from(value[2]),
        _ => usize::from(value[2]) << 8 | usize::from(value[3]),
    }
}

pub const AGENT_ID: &str = "spiffe://agents.example/tenant/t1/agent/a1";

/// A CRL to be.
#[derive(Clone)]
pub struct CrlRecipe {
    pub issuer: Vec<u8>,
    pub this_update: Vec<u8>,
    pub next_update: Vec<u8>,
    /// Encoded entries.
    pub revoked: Vec<Vec<u8>>,
    pub extensions: Vec<Vec<u8>>,
}

impl CrlRecipe {
    pub fn new(issuer: &str, number: u8) -> Self {
        Self {
            issuer: common_name(issuer),
            this_update: tlv(0x17, b"260115000000Z"),
            next_update: tlv(0x17, b"260116000000Z"),
            revoked: Vec::new(),
            extensions: vec![extension("2.5.29.20", false, &tlv(0x02, &[number]))],
        }
    }

    pub fn revoking(mut self, serial: &[u8]) -> Self {
        self.revoked.push(crl_entry(serial, &[]));
        self
    }

    pub fn with(mut self, extension: Vec<u8>) -> Self {
        self.extensions.push(extension);
        self
    }

    pub fn sign(&self, signer: &Key) -> Vec<u8> {
        let revoked = match self.revoked.as_slice() {
            [] => Vec::new(),
            list => tlv(0x30, &list.concat()),
        };
        let tbs = sequence(&[
            &[2, 1, 1],
            &signer.algorithm(),
            &self.issuer,
            &self.this_update,
            &self.next_update,
            &revoked,
            &tlv(0xa0, &tlv(0x30, &self.extensions.concat())),
        ]);
        sequence(&[&tbs, &signer.algorithm(), &bits(&signer.sign(&tbs))])
    }
}

pub fn crl_entry(serial: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let extensions = if extensions.is_empty() { Vec::new() } else { tlv(0x30, &extensions.concat()) };
    sequence(&[&tlv(0x02, serial), &tlv(0x17, b"260114000000Z"), &extensions])
}

/// Root, intermediate and agent under keys 1, 2 and 3; each recipe can be changed before it is signed.
pub struct World {
    pub root: Recipe,
    pub intermediate: Recipe,
    pub agent: Recipe,
}

/// Picks one of a world's recipes.
pub type Place = fn(&mut World) -> &mut Recipe;

impl World {
    pub fn new() -> Self {
        Self {
            root: Recipe::ca("Root", Key::number(1).spki(), "Root", None),
            intermediate: Recipe::ca("Intermediate", Key::number(2).spki(), "Root", Some(0)),
            agent: Recipe::agent(Key::number(3).spki(), "Intermediate"),
        }
    }

    pub fn root(&self) -> Vec<u8> {
        self.root.sign(&Key::number(1))
    }

    pub fn intermediate(&self) -> Vec<u8> {
        self.intermediate.sign(&Key::number(1))
    }

    pub fn agent(&self) -> Vec<u8> {
        self.agent.sign(&Key::number(2))
    }

    pub fn check(&self) -> Result<Path, Reason> {
        self.check_at(NOW)
    }

    pub fn check_at(&self, as_of: UnixTime) -> Result<Path, Reason> {
        check_path(&self.agent(), &[&self.intermediate()], &[&self.root()], &[], as_of)
    }

    pub fn check_with(&self, crls: &[&[u8]]) -> Result<Path, Reason> {
        check_path(&self.agent(), &[&self.intermediate()], &[&self.root()], crls, NOW)
    }
}

/// The slug of a refusal, or `valid`: what most tests compare.
pub fn slug<T>(outcome: &Result<T, Reason>) -> &'static str {
    match outcome {
        Ok(_) => "valid",
        Err(reason) => reason.slug(),
    }
}
