//! What a backend asks the signer, and what it answers: bytes in a slot of shared memory.
//!
//! Both ends are of one library, so there is one version of this. It is read with care all the same: what is in the
//! slot came from another process.

use super::Algorithm;
use super::memory::Range;
use super::softkms::SealedKey;
use crate::Reason;
use crate::ledger::{Bytes, Hash, Malformed};
use crate::limits::{CHECKPOINT_RANGES_MAX, NOTE_BYTES_MAX, PROOF_HASHES_MAX};

/// What can be asked. The signer builds the bytes that it signs from these; it signs nothing that it is handed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Make a key.
    MakeKey {
        /// Its name.
        name: String,
        /// What it signs by.
        algorithm: Algorithm,
        /// Has the database no other key? Only then may a new key-encryption key be made: the others need theirs.
        first: bool,
    },
    /// What was signed last for the log of this name?
    LastCheckpoint {
        /// The log.
        origin: String,
    },
    /// Sign a checkpoint.
    SignCheckpoint(Box<SignCheckpoint>),
}

/// A checkpoint to sign, with all that shows that it continues the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignCheckpoint {
    /// The key.
    pub key: SealedKey,
    /// The log.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
    /// Size of the checkpoint that was signed last.
    pub old_size: u64,
    /// That the tree of `old_size` entries is a prefix of this one (RFC 6962).
    pub proof: Vec<Hash>,
    /// The newest note that the database has: believed if the signer remembers none.
    pub known: Option<String>,
    /// The size that the database has for good, and where the entries from there on come from.
    pub from: u64,
    /// See `from`.
    pub ranges: Vec<Range>,
}

/// What the signer answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// The key that was made.
    Key(SealedKey),
    /// What was signed last, and how the log came to it; None if nothing is remembered.
    Last(Option<Last>),
    /// The signed note.
    Note(String),
    /// No.
    Refused(Refusal),
}

/// The last checkpoint of a log, as the signer remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    /// The signed note.
    pub note: String,
    /// The size that the database had for good when it was signed.
    pub from: u64,
    /// The entries between that and the note, in order. Empty if that is not remembered.
    pub ranges: Vec<Range>,
}

macro_rules! refusals {
    ($( $number:literal $variant:ident $field:ident, )*) => {
        /// Why the signer refused; each stands for the reason of the same name.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Refusal { $( $variant(String), )* }

        impl Refusal {
            fn parts(&self) -> (u8, &str) {
                match self { $( Self::$variant(text) => ($number, text), )* }
            }

            fn from_parts(number: u8, text: String) -> Option<Self> {
                match number { $( $number => Some(Self::$variant(text)), )* _ => None }
            }
        }

        impl From<Refusal> for Reason {
            fn from(refusal: Refusal) -> Self {
                match refusal { $( Refusal::$variant($field) => Self::$variant { $field }, )* }
            }
        }

        /// None for a reason that is none of the signer's.
        impl TryFrom<Reason> for Refusal {
            type Error = Reason;
            fn try_from(reason: Reason) -> Result<Self, Reason> {
                match reason { $( Reason::$variant { $field } => Ok(Self::$variant($field)), )* other => Err(other) }
            }
        }
    };
}

refusals! {
    1 KeyDirectoryRefused what,
    2 KeyFileUnusable what,
    3 KeyEncryptionKeyMissing what,
    4 KeyEncryptionKeyWrong name,
    5 SealedKeyMalformed name,
    6 CheckpointInconsistent what,
    7 CheckpointMemoryDamaged what,
    8 SignerFailed what,
}

impl Request {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::MakeKey { name, algorithm, first } => {
                bytes.extend([1, u8::from(*first)]);
                put(&mut bytes, name.as_bytes());
                put(&mut bytes, algorithm.name().as_bytes());
            }
            Self::LastCheckpoint { origin } => {
                bytes.push(2);
                put(&mut bytes, origin.as_bytes());
            }
            Self::SignCheckpoint(request) => {
                bytes.push(3);
                put_key(&mut bytes, &request.key);
                put(&mut bytes, request.origin.as_bytes());
                bytes.extend(request.size.to_be_bytes());
                bytes.extend(request.root);
                bytes.extend(request.old_size.to_be_bytes());
                put(&mut bytes, &request.proof.concat());
                put_option(&mut bytes, request.known.as_deref());
                put_ranges(&mut bytes, request.from, &request.ranges);
            }
        }
        bytes
    }

    /// Reads what [`Request::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes(bytes);
        let request = match bytes.u8()? {
            1 => {
                let first = bytes.u8()? == 1;
                Self::MakeKey { name: text(&mut bytes)?, algorithm: algorithm(&mut bytes)?, first }
            }
            2 => Self::LastCheckpoint { origin: text(&mut bytes)? },
            3 => {
                let (key, origin, size, root) = (key(&mut bytes)?, text(&mut bytes)?, bytes.u64()?, bytes.array()?);
                let (old_size, proof) = (bytes.u64()?, hashes(&mut bytes)?);
                let known = option(&mut bytes)?;
                let (from, ranges) = ranges(&mut bytes)?;
                Self::SignCheckpoint(Box::new(SignCheckpoint {
                    key,
                    origin,
                    size,
                    root,
                    old_size,
                    proof,
                    known,
                    from,
                    ranges,
                }))
            }
            _ => return Err(Malformed::new("the request is of no kind")),
        };
        end(&bytes)?;
        Ok(request)
    }
}

impl Response {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Key(key) => {
                bytes.push(1);
                put_key(&mut bytes, key);
            }
            Self::Last(None) => bytes.push(2),
            Self::Last(Some(last)) => {
                bytes.push(3);
                put(&mut bytes, last.note.as_bytes());
                put_ranges(&mut bytes, last.from, &last.ranges);
            }
            Self::Note(note) => {
                bytes.push(4);
                put(&mut bytes, note.as_bytes());
            }
            Self::Refused(refusal) => {
                let (number, what) = refusal.parts();
                bytes.extend([5, number]);
                put(&mut bytes, what.as_bytes());
            }
        }
        bytes
    }

    /// Reads what [`Response::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes(bytes);
        let response = match bytes.u8()? {
            1 => Self::Key(key(&mut bytes)?),
            2 => Self::Last(None),
            3 => {
                let note = text(&mut bytes)?;
                let (from, ranges) = ranges(&mut bytes)?;
                Self::Last(Some(Last { note, from, ranges }))
            }
            4 => Self::Note(text(&mut bytes)?),
            5 => {
                let (number, what) = (bytes.u8()?, text(&mut bytes)?);
                let refusal = Refusal::from_parts(number, what);
                Self::Refused(refusal.ok_or(Malformed::new("the refusal is of no kind"))?)
            }
            _ => return Err(Malformed::new("the response is of no kind")),
        };
        end(&bytes)?;
        Ok(response)
    }
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(part);
}

fn put_option(bytes: &mut Vec<u8>, part: Option<&str>) {
    bytes.push(part.is_some().into());
    put(bytes, part.unwrap_or_default().as_bytes());
}

fn put_key(bytes: &mut Vec<u8>, key: &SealedKey) {
    put(bytes, key.name.as_bytes());
    put(bytes, key.algorithm.name().as_bytes());
    put(bytes, &key.public_key);
    put(bytes, &key.sealed);
}

fn put_ranges(bytes: &mut Vec<u8>, from: u64, ranges: &[Range]) {
    bytes.extend(from.to_be_bytes());
    bytes.extend(u32::try_from(ranges.len()).unwrap_or(u32::MAX).to_be_bytes());
    for range in ranges {
        bytes.extend(range.ledger.to_be_bytes());
        bytes.extend(range.entries.to_be_bytes());
    }
}

fn part<'a>(bytes: &mut Bytes<'a>) -> Result<&'a [u8], Malformed> {
    let length = bytes.u32()?;
    bytes.take(usize::try_from(length).unwrap_or(usize::MAX))
}

fn text(bytes: &mut Bytes<'_>) -> Result<String, Malformed> {
    let text = std::str::from_utf8(part(bytes)?).map_err(|_| Malformed::new("a text is not UTF-8"))?;
    if text.len() > NOTE_BYTES_MAX { Err(Malformed::new("a text is too long")) } else { Ok(text.to_owned()) }
}

fn option(bytes: &mut Bytes<'_>) -> Result<Option<String>, Malformed> {
    let present = bytes.u8()? == 1;
    let text = text(bytes)?;
    Ok(present.then_some(text))
}

fn algorithm(bytes: &mut Bytes<'_>) -> Result<Algorithm, Malformed> {
    text(bytes)?.parse().map_err(|_| Malformed::new("the algorithm is not known"))
}

fn key(bytes: &mut Bytes<'_>) -> Result<SealedKey, Malformed> {
    let (name, algorithm) = (text(bytes)?, algorithm(bytes)?);
    Ok(SealedKey { name, algorithm, public_key: part(bytes)?.to_vec(), sealed: part(bytes)?.to_vec() })
}

fn hashes(bytes: &mut Bytes<'_>) -> Result<Vec<Hash>, Malformed> {
    let (hashes, []) = part(bytes)?.as_chunks() else { return Err(Malformed::new("a hash ends early")) };
    if hashes.len() > PROOF_HASHES_MAX { Err(Malformed::new("a proof is too long")) } else { Ok(hashes.to_vec()) }
}

fn ranges(bytes: &mut Bytes<'_>) -> Result<(u64, Vec<Range>), Malformed> {
    let (from, count) = (bytes.u64()?, bytes.u32()?);
    if usize::try_from(count).unwrap_or(usize::MAX) > CHECKPOINT_RANGES_MAX {
        return Err(Malformed::new("there are too many ranges"));
    }
    let ranges = (0..count).map(|_| Ok(Range { ledger: bytes.u32()?, entries: bytes.u64()? }));
    Ok((from, ranges.collect::<Result<_, Malformed>>()?))
}

fn end(bytes: &Bytes<'_>) -> Result<(), Malformed> {
    if bytes.is_empty() { Ok(()) } else { Err(Malformed::new("bytes follow the message")) }
}
