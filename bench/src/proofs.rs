//! Signed proofs, and the signature check that the one in the database is compared with.

use crate::Outcome;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
    UnparsedPublicKey,
};
use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Prints `count` proofs for the certificate `algorithm`.der of the directory, each good for 60 s and one use.
pub fn print(algorithm: &str, pki: &str, serial: &str, audience: &str, count: &str) -> Outcome {
    let pki = Path::new(pki);
    let key = Key::read(algorithm, pki)?;
    let certificate = fs::read(pki.join(algorithm).with_extension("der"))?;
    let fingerprint = ring::digest::digest(&ring::digest::SHA256, &certificate);
    let header = format!(
        r#"{{"typ":"kakunin-proof+jwt","alg":"{}","x5t#S256":"{}","kid":"{serial}"}}"#,
        key.jose_name(),
        URL_SAFE_NO_PAD.encode(fingerprint)
    );
    let header = URL_SAFE_NO_PAD.encode(header);
    let random = SystemRandom::new();
    let mut output = BufWriter::new(std::io::stdout().lock());
    for _ in 0..count.parse::<u32>()? {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut jti = [0; 16];
        random.fill(&mut jti).map_err(|_| "no random bytes")?;
        let jti = URL_SAFE_NO_PAD.encode(jti);
        let payload = format!(r#"{{"aud":"{audience}","iat":{now},"exp":{},"jti":"{jti}"}}"#, now + 60);
        let input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(key.sign(input.as_bytes(), &random)?);
        writeln!(output, "{input}.{signature}")?;
    }
    Ok(output.flush()?)
}

/// Prints what the two signature checks are given: the message and its signature, in hexadecimal.
pub fn print_message(pki: &str) -> Outcome {
    let signature = rsa_signature(pki)?.1;
    println!("{}\n{}", hex(MESSAGE), hex(&signature));
    Ok(())
}

/// Verifies that signature `count` times. The key is parsed each time, as it is where it comes as an argument.
pub fn verify_with_ring(pki: &str, count: &str) -> Outcome {
    let (key, signature) = rsa_signature(pki)?;
    let public_key = key.public().as_ref();
    for _ in 0..count.parse::<u32>()? {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, std::hint::black_box(public_key))
            .verify(std::hint::black_box(MESSAGE), std::hint::black_box(&signature))
            .map_err(|_| "a signature of ours does not verify")?;
    }
    Ok(())
}

fn rsa_signature(pki: &str) -> Outcome<(RsaKeyPair, Vec<u8>)> {
    let Key::Rsa(key) = Key::read("rsa", Path::new(pki))? else { return Err("not an RSA key".into()) };
    let mut signature = vec![0; key.public().modulus_len()];
    // The PKCS #1 v1.5 scheme is deterministic (RFC 8017 section 8.2), so that each call gives the same signature.
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), MESSAGE, &mut signature).map_err(|_| "cannot sign")?;
    Ok((*key, signature))
}

enum Key {
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>),
}

impl Key {
    fn read(algorithm: &str, pki: &Path) -> Outcome<Self> {
        let bytes = fs::read(pki.join(algorithm).with_extension("pk8"))?;
        let refused = |error: ring::error::KeyRejected| format!("key of {algorithm} was refused: {error}");
        match algorithm {
            "rsa" => Ok(Self::Rsa(Box::new(RsaKeyPair::from_pkcs8(&bytes).map_err(refused)?))),
            "p256" => {
                let signing = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let key = EcdsaKeyPair::from_pkcs8(signing, &bytes, &SystemRandom::new()).map_err(refused)?;
                Ok(Self::P256(Box::new(key)))
            }
            _ => Err(format!("unknown algorithm {algorithm}").into()),
        }
    }

    fn jose_name(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
        }
    }

    fn sign(&self, message: &[u8], random: &SystemRandom) -> Outcome<Vec<u8>> {
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, random, message, &mut signature).map_err(|_| "cannot sign")?;
                Ok(signature)
            }
            Self::P256(key) => Ok(key.sign(random, message).map_err(|_| "cannot sign")?.as_ref().to_vec()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As long as the signed part of a proof.
const MESSAGE: &[u8] = &[b'm'; 420];
