//! Checkpoints as signed notes: C2SP signed-note and tlog-checkpoint.
//!
//! Signing itself is done elsewhere, by whoever holds the key: [`Checkpoint::text`] is what is signed,
//! [`Checkpoint::with_signature`] the note. Signatures by keys that are not known are ignored, as the
//! specification demands, so that witnesses can add theirs.

mod key;

pub use key::VerifierKey;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Malformed;
use super::merkle::Hash;
use crate::limits::{NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX};

/// Size and root of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name, which is also the name of the key that signs for it: see [`check_origin`].
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

impl Checkpoint {
    /// What is signed: three lines, each with its newline.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// The signed note. The signature is that of the key over [`Checkpoint::text`]; it is not verified here. The key's
    /// name is the origin, or the note is refused.
    pub fn with_signature(&self, key: &VerifierKey, signature: &[u8; 64]) -> Result<String, Malformed> {
        check_origin(&self.origin)?;
        if key.name() != self.origin {
            return Err(Malformed::new("the key's name is not the origin of the log"));
        }
        Ok(format!("{}\n{}", self.text(), key.signature_line(signature)))
    }

    /// Reads the text of a note. Lines behind the third are refused: this log has none.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let refused = || Malformed::new("a checkpoint is not origin, size and root, a line each");
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root), Some(""), None) =
            (lines.next(), lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(refused());
        };
        check_origin(origin)?;
        let root = STANDARD.decode(root).ok().and_then(|root| Hash::try_from(root).ok()).ok_or_else(refused)?;
        let size = decimal(size).ok_or_else(refused)?;
        Ok(Self { origin: origin.to_owned(), size, root })
    }
}

/// A note that is well formed. Its text means nothing before [`Note::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    text: &'a str,
    signatures: Vec<Signature<'a>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature<'a> {
    name: &'a str,
    key_hash: [u8; 4],
    signature: Vec<u8>,
}

/// Why a note is not to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// No signature is by a key that was given.
    Unsigned,
    /// A signature claims to be by a key that was given, and is not.
    BadSignature,
}

impl<'a> Note<'a> {
    /// Reads a note of at most [`NOTE_BYTES_MAX`] bytes with 1 to [`NOTE_SIGNATURES_MAX`] signatures: the lines behind
    /// the last empty line. Control characters other than newlines are refused.
    pub fn parse(note: &'a str) -> Result<Self, Malformed> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(Malformed::new(format!("a note has more than {NOTE_BYTES_MAX} bytes")));
        }
        if note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err(Malformed::new("a note has control characters"));
        }
        let refused = || Malformed::new("a note is not text, an empty line and signatures");
        // The text keeps its own newline; the second of the two is the empty line.
        let end = note.rfind("\n\n").ok_or_else(refused)? + 1;
        let (text, rest) = note.split_at_checked(end).ok_or_else(refused)?;
        let lines = rest.strip_prefix('\n').and_then(|rest| rest.strip_suffix('\n')).ok_or_else(refused)?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() >= NOTE_SIGNATURES_MAX {
                return Err(Malformed::new(format!("a note has more than {NOTE_SIGNATURES_MAX} signatures")));
            }
            signatures.push(Signature::parse(line).ok_or_else(refused)?);
        }
        Ok(Self { text, signatures })
    }

    /// The text, with its last newline. Not to be believed before [`Note::verify`].
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Is it signed by one of these keys? Gives the place of the first such key. One signature under a given key's name
    /// and hash that does not verify spoils the note, whatever others there are.
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<usize, Unverified> {
        let mut found = None;
        for signature in &self.signatures {
            // Two keys may share name and hash; the signature is good if it is that of one of them.
            let mut claimed = keys.iter().enumerate().filter(|(_, key)| signature.is_by(key)).peekable();
            if claimed.peek().is_none() {
                continue;
            }
            let signer = claimed.find(|(_, key)| key.verifies(self.text.as_bytes(), &signature.signature));
            let (place, _) = signer.ok_or(Unverified::BadSignature)?;
            found = found.or(Some(place));
        }
        found.ok_or(Unverified::Unsigned)
    }
}

impl<'a> Signature<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        check_origin(name).ok()?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (key_hash, signature) = bytes.split_first_chunk()?;
        (!signature.is_empty()).then(|| Self { name, key_hash: *key_hash, signature: signature.to_vec() })
    }

    fn is_by(&self, key: &VerifierKey) -> bool {
        self.name == key.name() && self.key_hash == key.hash()
    }
}

/// Can this be the name of a key, and so of a log? 1 to 255 bytes without spaces of any script, `+` or control
/// characters (C2SP signed-note).
pub fn check_origin(name: &str) -> Result<(), Malformed> {
    let sound = !name.is_empty()
        && name.len() <= crate::limits::NOTE_NAME_BYTES_MAX
        && !name.contains(|character: char| character.is_whitespace() || character.is_control() || character == '+');
    if sound { Ok(()) } else { Err(Malformed::new("a key name is not 1 to 255 bytes without spaces and +")) }
}

/// A number without sign and leading zeros.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests;
