//! Keys that the signer makes: sealed under a key-encryption key that only the signer reads.
//!
//! ```text
//! sealed    = 'K' || 0x01 || kek id (8) || nonce (12) || AES-256-GCM(seed) || tag (16)
//! kek id    = the first 8 bytes of SHA-256("kakunin key-encryption key" || 0x00 || kek)
//! bound to  = 'K' || 0x01 || kek id || length (u8) || name || length (u8) || algorithm || public key
//! ```
//!
//! The last line is the additional data of RFC 5116: a sealed key opens only under its own name and public key.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::signature::{Ed25519KeyPair, KeyPair};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::{Algorithm, Signer, check_key_name};
use crate::Reason;

/// A secret that stays where it is: moving it moves a pointer, and leaves no copy behind. It is overwritten when it goes out
/// of scope.
pub type Secret<const N: usize> = Box<Zeroizing<[u8; N]>>;

/// The key-encryption key.
pub struct Kek(Secret<KEK_BYTES>);

impl Kek {
    /// From the bytes of its file; None unless there are exactly [`KEK_BYTES`].
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut kek: Secret<KEK_BYTES> = Box::default();
        if bytes.len() != KEK_BYTES {
            return None;
        }
        kek.copy_from_slice(bytes);
        Some(Self(kek))
    }

    /// Tells one key-encryption key from another without telling anything of it.
    fn id(&self) -> [u8; ID_BYTES] {
        let digest = Sha256::new().chain_update(ID_DOMAIN).chain_update(**self.0).finalize();
        let mut id = [0; ID_BYTES];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        id
    }

    fn cipher(&self) -> LessSafeKey {
        let key = UnboundKey::new(&AES_256_GCM, &**self.0).expect("the key has the cipher's length");
        LessSafeKey::new(key)
    }
}

/// A key as kakunin.signing_key stores it, and as it travels to the signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedKey {
    /// Its name.
    pub name: String,
    /// What it signs by.
    pub algorithm: Algorithm,
    /// Its public half.
    pub public_key: Vec<u8>,
    /// Its private half, see the top of this file.
    pub sealed: Vec<u8>,
}

impl SealedKey {
    /// Makes a key. `seed` and `nonce` must be random and used once.
    pub fn make(
        name: &str,
        algorithm: Algorithm,
        seed: &Secret<SEED_BYTES>,
        nonce: [u8; NONCE_LEN],
        kek: &Kek,
    ) -> Result<Self, Reason> {
        check_key_name(name)?;
        let mut key = Self { name: name.to_owned(), algorithm, public_key: public_half(seed), sealed: vec![] };
        key.seal(seed, nonce, kek);
        scrub_stack();
        Ok(key)
    }

    /// Opens it.
    pub fn open(&self, kek: &Kek) -> Result<SoftKey, Reason> {
        check_key_name(&self.name)?;
        let opened = self.unseal(kek);
        scrub_stack();
        opened
    }

    #[inline(never)]
    fn seal(&mut self, seed: &[u8; SEED_BYTES], nonce: [u8; NONCE_LEN], kek: &Kek) {
        let mut secret = Zeroizing::new(*seed);
        let (bound, nonce_once) = (Aad::from(self.bound_to(kek)), Nonce::assume_unique_for_key(nonce));
        let tag = kek.cipher().seal_in_place_separate_tag(nonce_once, bound, &mut *secret);
        self.sealed = [FORMAT.as_slice(), &kek.id(), &nonce, &*secret].concat();
        self.sealed.extend_from_slice(tag.expect("32 bytes are not too many").as_ref());
    }

    #[inline(never)]
    fn unseal(&self, kek: &Kek) -> Result<SoftKey, Reason> {
        let malformed = || Reason::SealedKeyMalformed { name: self.name.clone() };
        let rest = self.sealed.strip_prefix(FORMAT.as_slice()).ok_or_else(malformed)?;
        let (id, rest) = rest.split_first_chunk::<ID_BYTES>().ok_or_else(malformed)?;
        let (nonce, secret) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(malformed)?;
        let mut secret = Zeroizing::new(<[u8; SEED_BYTES + TAG_BYTES]>::try_from(secret).map_err(|_| malformed())?);
        if *id != kek.id() {
            return Err(Reason::KeyEncryptionKeyWrong { name: self.name.clone() });
        }
        let bound = Aad::from(self.bound_to(kek));
        let opened = kek.cipher().open_in_place(Nonce::assume_unique_for_key(*nonce), bound, &mut *secret);
        let mut seed: Secret<SEED_BYTES> = Box::default();
        seed.copy_from_slice(opened.map_err(|_| malformed())?);
        Ok(SoftKey { name: self.name.clone(), seed, public_key: self.public_key.clone() })
    }

    fn bound_to(&self, kek: &Kek) -> Vec<u8> {
        let mut bytes = [FORMAT.as_slice(), &kek.id()].concat();
        for text in [&*self.name, self.algorithm.name()] {
            bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(&self.public_key);
        bytes
    }
}

/// A key that was opened.
pub struct SoftKey {
    name: String,
    seed: Secret<SEED_BYTES>,
    public_key: Vec<u8>,
}

impl Signer for SoftKey {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Ed25519
    }

    fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Reason> {
        let signature = sign(&self.seed, &self.public_key, message);
        scrub_stack();
        signature.ok_or_else(|| Reason::SealedKeyMalformed { name: self.name.clone() })
    }
}

/// Apart, so that the expanded key lies below the caller's frame, where [`scrub_stack`] writes.
#[inline(never)]
fn sign(seed: &[u8; SEED_BYTES], public_key: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public_key).ok()?;
    Some(pair.sign(message).as_ref().to_vec())
}

#[inline(never)]
fn public_half(seed: &[u8; SEED_BYTES]) -> Vec<u8> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("the seed has the algorithm's length");
    pair.public_key().as_ref().to_vec()
}

/// Overwrites what the functions called before left on the stack: ring's copies of a key, and what a compiler spills, are not
/// overwritten by themselves. For the end of whatever has handled a key.
#[inline(never)]
pub fn scrub_stack() {
    let mut area = [0_u8; 64 * 1024];
    area.zeroize();
    std::hint::black_box(&area);
}

/// Bytes of the key-encryption key.
pub const KEK_BYTES: usize = 32;
/// Bytes that a key is made from.
pub const SEED_BYTES: usize = 32;
const FORMAT: [u8; 2] = [b'K', 1];
const ID_DOMAIN: &[u8] = b"kakunin key-encryption key\0";
const ID_BYTES: usize = 8;
const TAG_BYTES: usize = 16;
