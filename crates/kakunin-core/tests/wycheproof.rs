//! Project Wycheproof's vectors (JSON, not part of this repository) against `signature::verify`.
//!
//! They are read from the folder in the environment variable `KAKUNIN_WYCHEPROOF`, else from
//! `../shared/data/wycheproof` beside the repository. Every file there must be understood: one that is not fails the
//! test, so that a new file is never skipped in silence. How many vectors ran, or that there are none, is said also
//! when the test passes.

use std::io::Write;
use std::path::{Path, PathBuf};

use kakunin_core::Reason;
use kakunin_core::certificate::signature::{Algorithm, verify};
use serde_json::Value;

#[test]
fn verdicts_agree_with_wycheproof() {
    let Some(folder) = folder() else {
        say("skipped: no Wycheproof vectors here; set KAKUNIN_WYCHEPROOF to their folder");
        return;
    };
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files = files.map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|kind| kind == "json")).collect();
    files.sort();
    assert!(!files.is_empty(), "no vectors in {}", folder.display());
    let mut total = Count::default();
    for path in files {
        let file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let count = run(&file, &name);
        // The file knows how many it has: none may have been passed over.
        let announced = file["numberOfTests"].as_u64().unwrap();
        assert_eq!(count.valid + count.invalid + count.refused, announced, "{name}");
        println!("{name}: {} valid, {} invalid, {} refused as unsupported", count.valid, count.invalid, count.refused);
        total.add(&count);
    }
    say(&format!(
        "{} Wycheproof vectors ran: {} valid, {} invalid, {} refused as unsupported",
        total.valid + total.invalid + total.refused,
        total.valid,
        total.invalid,
        total.refused
    ));
}

/// Writes past the test harness, which swallows what a passing test prints.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").unwrap();
}

#[derive(Default)]
struct Count {
    valid: u64,
    invalid: u64,
    /// Of algorithms that are not accepted, whatever their verdict is.
    refused: u64,
}

impl Count {
    fn add(&mut self, other: &Self) {
        self.valid += other.valid;
        self.invalid += other.invalid;
        self.refused += other.refused;
    }
}

fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/wycheproof");
    match std::env::var_os("KAKUNIN_WYCHEPROOF") {
        Some(folder) => Some(PathBuf::from(folder)),
        None => beside.is_dir().then_some(beside),
    }
}

fn run(file: &Value, name: &str) -> Count {
    let mut count = Count::default();
    for group in file["testGroups"].as_array().unwrap() {
        let algorithm = algorithm(group);
        let spki = spki(group);
        for test in group["tests"].as_array().unwrap() {
            let what = format!("{name} #{}: {}", test["tcId"], test["comment"]);
            let (message, signature) = (hex(&test["msg"]), hex(&test["sig"]));
            let Some(algorithm) = algorithm else {
                // No algorithm that we have may accept it in place of its own. (A vector of the one RSA padding can
                // be a sound signature of the other, which is why it is among them.)
                for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| is_like(*algorithm, group)) {
                    assert!(verify(algorithm, &spki, &message, &signature).is_err(), "{what} as {algorithm}");
                }
                count.refused += 1;
                continue;
            };
            let outcome = verify(algorithm, &spki, &message, &signature);
            match test["result"].as_str().unwrap() {
                "valid" => {
                    assert_eq!(outcome, Ok(()), "{what}");
                    count.valid += 1;
                }
                "invalid" => {
                    assert_eq!(outcome, Err(Reason::SignatureInvalid), "{what}");
                    count.invalid += 1;
                }
                // Either verdict is right by the vectors; which one is ours is fixed by why they are in doubt.
                _ => {
                    let flags = test["flags"].as_array().unwrap().iter().map(|flag| flag.as_str().unwrap());
                    let mut accepts = true;
                    for flag in flags {
                        accepts &= match flag {
                            // A DigestInfo without NULL is not the one encoding of RFC 8017 section 9.2.
                            "MissingNull" => false,
                            // Exponent 3 is weak only under a lax verifier.
                            "SmallPublicKey" => true,
                            other => panic!("{what}: no rule for flag {other}"),
                        };
                    }
                    assert_eq!(outcome.is_ok(), accepts, "{what}");
                    if accepts { count.valid += 1 } else { count.invalid += 1 }
                }
            }
        }
    }
    count
}

/// Which of our algorithms a group is about; nothing when it is about one that is not accepted.
fn algorithm(group: &Value) -> Option<Algorithm> {
    let (kind, sha) = (group["type"].as_str().unwrap(), group["sha"].as_str().unwrap());
    let curve = group["publicKey"]["curve"].as_str();
    match (kind, sha, curve) {
        ("RsassaPkcs1Verify" | "RsassaPkcs1Generate", "SHA-256", _) => Some(Algorithm::RS256),
        ("RsassaPkcs1Verify" | "RsassaPkcs1Generate", "SHA-384", _) => Some(Algorithm::RS384),
        ("RsassaPkcs1Verify" | "RsassaPkcs1Generate", "SHA-512", _) => Some(Algorithm::RS512),
        ("RsassaPkcs1Verify" | "RsassaPkcs1Generate", _, _) => None,
        ("RsassaPssVerify", sha, _) => {
            let salt_is_as_long_as_the_hash = match sha {
                "SHA-256" => (Algorithm::PS256, 32),
                "SHA-384" => (Algorithm::PS384, 48),
                "SHA-512" => (Algorithm::PS512, 64),
                _ => return None,
            };
            let (algorithm, salt) = salt_is_as_long_as_the_hash;
            (group["sLen"] == salt && group["mgfSha"] == sha).then_some(algorithm)
        }
        ("EcdsaVerify", "SHA-256", Some("secp256r1")) => Some(Algorithm::ES256),
        ("EcdsaVerify", "SHA-384", Some("secp384r1")) => Some(Algorithm::ES384),
        ("EcdsaP1363Verify", "SHA-256", Some("secp256r1")) => Some(Algorithm::ES256P1363),
        ("EcdsaP1363Verify", "SHA-384", Some("secp384r1")) => Some(Algorithm::ES384P1363),
        ("EcdsaVerify" | "EcdsaP1363Verify", _, Some(_)) => None,
        ("EddsaVerify", _, Some("edwards25519")) => Some(Algorithm::EdDSA),
        ("EddsaVerify", _, Some(_)) => None,
        other => panic!("a kind of vectors that is not understood: {other:?}"),
    }
}

/// Whether an algorithm has the padding that a group of RSA vectors is about; all have for other groups.
fn is_like(algorithm: Algorithm, group: &Value) -> bool {
    match group["type"].as_str() {
        Some("RsassaPssVerify") => !algorithm.name().starts_with("RS"),
        Some("RsassaPkcs1Verify" | "RsassaPkcs1Generate") => !algorithm.name().starts_with("PS"),
        _ => true,
    }
}

/// The public key: as the group has it, or made of the private key where vectors are for signers.
fn spki(group: &Value) -> Vec<u8> {
    if let Some(spki) = group["publicKeyDer"].as_str() {
        return hex(&Value::from(spki));
    }
    let (modulus, exponent) = (hex(&group["privateKey"]["modulus"]), hex(&group["privateKey"]["publicExponent"]));
    let integer = |octets: &[u8]| {
        let octets = &octets[octets.iter().take_while(|octet| **octet == 0).count()..];
        let sign: &[u8] = if octets[0] & 0x80 != 0 { &[0] } else { &[] };
        tlv(2, &[sign, octets].concat())
    };
    let key = tlv(0x30, &[integer(&modulus), integer(&exponent)].concat());
    let rsa_encryption = hex(&Value::from("300d06092a864886f70d0101010500"));
    tlv(0x30, &[rsa_encryption, tlv(3, &[&[0], key.as_slice()].concat())].concat())
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let header =
        if length < 0x80 { vec![tag, length as u8] } else { vec![tag, 0x82, (length >> 8) as u8, length as u8] };
    [header, content.to_vec()].concat()
}

fn hex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap().as_bytes();
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.chunks(2).map(octet).collect()
}
