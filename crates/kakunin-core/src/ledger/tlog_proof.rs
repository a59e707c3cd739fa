//! C2SP tlog-proof files: that an entry is in a log under a signed checkpoint, and a row in an entry.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::merkle::{Hash, leaf_hash};
use super::note::{Checkpoint, Note, Unverified, VerifierKey, decimal};
use super::{Bytes, Entry, Malformed, proof};
use crate::limits::{NOTE_BYTES_MAX, TLOG_EXTRA_BYTES_MAX};

/// One proof, well formed. Nothing of it is believed before [`TlogProof::verify_entry`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Where in its entry the row is; None in the proof of an entry alone.
    pub row: Option<RowProof>,
    /// Number of the entry in the log, from 0.
    pub index: u64,
    /// The path from the entry to the root.
    pub path: Vec<Hash>,
    /// The signed note.
    pub checkpoint: String,
}

/// The place of a row in the tree of its entry: the `extra` data of a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProof {
    /// Number of the row in the entry, from 0.
    pub index: u64,
    /// Number of rows of the entry.
    pub rows: u64,
    /// The path from the row to the entry's root.
    pub path: Vec<Hash>,
}

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// The note is not a checkpoint.
    Malformed(Malformed),
    /// The note is not signed by a key that was given.
    Note(Unverified),
    /// The entry is not at this place of the log.
    Entry,
    /// The row is not at this place of the entry.
    Row,
}

impl TlogProof {
    /// The file. Refused if the extra data or the note is longer than what is read.
    pub fn encode(&self) -> Result<String, Malformed> {
        let mut text = format!("{MAGIC}\n");
        if let Some(row) = &self.row {
            text.push_str(&format!("extra {}\n", STANDARD.encode(row.encode()?)));
        }
        text.push_str(&format!("index {}\n", self.index));
        for hash in &self.path {
            text.push_str(&STANDARD.encode(hash));
            text.push('\n');
        }
        Note::parse(&self.checkpoint)?;
        Ok(format!("{text}\n{}", self.checkpoint))
    }

    /// Reads a file. The note is checked for its form only.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.len() > BYTES_MAX {
            return Err(Malformed::new(format!("a proof has more than {BYTES_MAX} bytes")));
        }
        let refused = || Malformed::new("it is not a C2SP tlog-proof");
        let (head, checkpoint) = text.split_once("\n\n").ok_or_else(refused)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(MAGIC) {
            return Err(refused());
        }
        let extra = lines.next_if(|line| line.starts_with("extra "));
        let extra = extra.and_then(|line| line.strip_prefix("extra "));
        let row = extra.map(|extra| RowProof::decode(&STANDARD.decode(extra).map_err(|_| refused())?)).transpose()?;
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(decimal).ok_or_else(refused)?;
        let hash = |line: &str| STANDARD.decode(line).ok().and_then(|hash| Hash::try_from(hash).ok());
        let path = lines.map(|line| hash(line).ok_or_else(refused)).collect::<Result<Vec<_>, _>>()?;
        if path.len() > PATH_MAX {
            return Err(refused());
        }
        Note::parse(checkpoint)?;
        Ok(Self { row, index, path, checkpoint: checkpoint.to_owned() })
    }

    /// The checkpoint under which the entry with this hash is in the log, if a key that was given signed it.
    pub fn verify_entry(&self, entry: Hash, keys: &[VerifierKey]) -> Result<Checkpoint, Unproven> {
        let note = Note::parse(&self.checkpoint).map_err(Unproven::Malformed)?;
        note.verify(keys).map_err(Unproven::Note)?;
        let checkpoint = Checkpoint::parse(note.text()).map_err(Unproven::Malformed)?;
        if !self.leads_to(entry, &checkpoint) {
            return Err(Unproven::Entry);
        }
        Ok(checkpoint)
    }

    /// Does the path lead from the entry with this hash to the root of the checkpoint? Says nothing of signatures.
    pub fn leads_to(&self, entry: Hash, checkpoint: &Checkpoint) -> bool {
        proof::verify_inclusion(self.index, checkpoint.size, entry, &self.path, &checkpoint.root)
    }

    /// The same for a row: its bytes are in the entry, and the entry is in the log.
    pub fn verify_row(&self, row: &[u8], entry: &[u8], keys: &[VerifierKey]) -> Result<Checkpoint, Unproven> {
        let checkpoint = self.verify_entry(leaf_hash(entry), keys)?;
        let place = self.row.as_ref().ok_or(Unproven::Row)?;
        let entry = Entry::decode(entry).map_err(Unproven::Malformed)?;
        let ledger = super::row::check_row(row).map_err(Unproven::Malformed)?;
        let proven = ledger == entry.ledger
            && place.rows == entry.rows
            && proof::verify_inclusion(place.index, place.rows, leaf_hash(row), &place.path, &entry.root);
        if proven { Ok(checkpoint) } else { Err(Unproven::Row) }
    }
}

impl RowProof {
    fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let mut bytes = [self.index.to_be_bytes(), self.rows.to_be_bytes()].concat();
        bytes.extend(self.path.iter().flatten());
        if bytes.len() > TLOG_EXTRA_BYTES_MAX {
            Err(Malformed::new("the path of a row is too long"))
        } else {
            Ok(bytes)
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > TLOG_EXTRA_BYTES_MAX {
            return Err(Malformed::new("the path of a row is too long"));
        }
        let mut bytes = Bytes(bytes);
        let (index, rows) = (bytes.u64()?, bytes.u64()?);
        let (path, []) = bytes.0.as_chunks() else { return Err(Malformed::new("the path of a row ends early")) };
        Ok(Self { index, rows, path: path.to_vec() })
    }
}

/// The first line.
const MAGIC: &str = "c2sp.org/tlog-proof@v1";
/// Hashes of a path: one for each bit of a size.
const PATH_MAX: usize = 64;
/// Bytes of a file.
const BYTES_MAX: usize = NOTE_BYTES_MAX + 2 * TLOG_EXTRA_BYTES_MAX + 64 * 45;

#[cfg(test)]
mod tests;
