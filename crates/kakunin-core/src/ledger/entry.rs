//! An entry: what one transaction added to one ledger, and the hash of the entry before.

mod detail;

pub use detail::{Column, Detail};

use super::merkle::{EMPTY_ROOT, Hash, LEAF, hash_of_prefixed, leaf_hash};
use super::row::FORMAT;
use super::{Bytes, LedgerId, Malformed};
use crate::UnixTime;
use crate::limits::LEDGER_DETAIL_BYTES_MAX;

/// One entry of a ledger. Every member is as docs/spec/ledger.md has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The ledger that it belongs to.
    pub ledger: LedgerId,
    /// 1, 2, 3 … within the ledger.
    pub seq: u64,
    /// What it says.
    pub kind: Kind,
    /// Number of the transaction that added the rows; 0 where there are none.
    pub tx: u64,
    /// How many rows the ledger had before.
    pub first_row: u64,
    /// Number of rows.
    pub rows: u64,
    /// Root of the tree over the rows' leaves; [`EMPTY_ROOT`] where there are none.
    pub root: Hash,
    /// The clock at commit, never before the entry before.
    pub at: UnixTime,
    /// SHA-256 of the agent certificate that the transaction was bound to.
    pub certificate: Option<Hash>,
    /// The session's user; at most 65535 bytes.
    pub role: String,
    /// JSON by RFC 8785, by kind: see [`Detail`].
    pub detail: String,
    /// Hash of the entry before; zeros in the first.
    pub previous: Hash,
}

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Rows were added.
    Rows = 1,
    /// The first entry, with the rows that there were.
    Open = 2,
    /// The columns from now on.
    Columns = 3,
    /// Rows may be gone.
    Prune = 4,
    /// The server was restored or moved.
    Epoch = 5,
    /// Values were erased.
    Redact = 6,
    /// Nothing is added any more.
    Close = 7,
}

impl Kind {
    /// The kind of a number; None for one that there is not.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Open => "open",
            Self::Columns => "columns",
            Self::Prune => "prune",
            Self::Epoch => "epoch",
            Self::Redact => "redact",
            Self::Close => "close",
        }
    }

    /// All kinds, by number.
    pub const ALL: [Self; 7] =
        [Self::Rows, Self::Open, Self::Columns, Self::Prune, Self::Epoch, Self::Redact, Self::Close];
}

impl Entry {
    /// The bytes. Refuses what [`Entry::check`] refuses and texts that are too long.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let mut bytes = self.encode_after(&[])?;
        bytes.shrink_to_fit();
        Ok(bytes)
    }

    /// The hash, as a leaf of the log and as `previous` of the next. Refused as by [`Entry::encode`].
    pub fn hash(&self) -> Result<Hash, Malformed> {
        self.encode_after(&[LEAF]).map(|bytes| hash_of_prefixed(&bytes))
    }

    /// Bytes and hash at once.
    pub fn encode_and_hash(&self) -> Result<(Vec<u8>, Hash), Malformed> {
        let bytes = self.encode()?;
        let hash = leaf_hash(&bytes);
        Ok((bytes, hash))
    }

    /// Reads bytes that are one entry and nothing else: layout, kind and texts. Does not say that the members agree,
    /// see [`Entry::check`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes(bytes);
        if bytes.array()? != [ENTRY, FORMAT] {
            return Err(Malformed::new("it is not an entry of format 1"));
        }
        let entry = Self {
            ledger: LedgerId(bytes.array()?),
            seq: bytes.u64()?,
            kind: Kind::from_number(bytes.u8()?).ok_or(Malformed::new("the kind of an entry is not known"))?,
            tx: bytes.u64()?,
            first_row: bytes.u64()?,
            rows: bytes.u64()?,
            root: bytes.array()?,
            at: UnixTime(bytes.i64()?),
            certificate: match bytes.u8()? {
                0 => None,
                32 => Some(bytes.array()?),
                _ => return Err(Malformed::new("a certificate's hash has not 0 or 32 bytes")),
            },
            role: {
                let length = bytes.u16()?;
                text(&mut bytes, length.into())?
            },
            detail: {
                let length = usize::try_from(bytes.u32()?).unwrap_or(usize::MAX);
                if length > LEDGER_DETAIL_BYTES_MAX {
                    return Err(Malformed::new(format!("a detail has more than {LEDGER_DETAIL_BYTES_MAX} bytes")));
                }
                text(&mut bytes, length)?
            },
            previous: bytes.array()?,
        };
        if bytes.is_empty() { Ok(entry) } else { Err(Malformed::new("bytes follow the entry")) }
    }

    /// Ledger and `seq` of bytes that start like an entry, also where [`Entry::decode`] refuses the rest.
    pub fn peek(bytes: &[u8]) -> Option<(LedgerId, u64)> {
        let mut bytes = Bytes(bytes);
        bytes.array::<2>().ok()?;
        Some((LedgerId(bytes.array().ok()?), bytes.u64().ok()?))
    }

    /// Do the members agree with each other? What depends on the entry before is checked by
    /// [`super::chain::ChainVerifier`].
    pub fn check(&self) -> Result<(), Malformed> {
        let first = self.seq == 1;
        let refused = if self.seq == 0 {
            "entries are counted from 1"
        } else if first != (self.kind == Kind::Open) {
            "the first entry is the one that opens the ledger"
        } else if first && (self.previous != [0; 32] || self.first_row != 0) {
            "the first entry has nothing before it"
        } else if self.kind == Kind::Rows && self.rows == 0 {
            "an entry of kind rows has no rows"
        } else if self.rows > 0 && !matches!(self.kind, Kind::Rows | Kind::Open) {
            "an entry of this kind has no rows"
        } else if (self.rows == 0) != (self.tx == 0) {
            "a transaction has a number if it added rows, and only then"
        } else if self.rows == 0 && self.root != EMPTY_ROOT {
            "the tree of no rows has another root"
        } else if self.first_row.checked_add(self.rows).is_none() {
            "the number of rows is beyond 64 bits"
        } else {
            return Detail::parse(self.kind, &self.detail).map(|_| ());
        };
        Err(Malformed::new(refused))
    }

    /// What `detail` says. Refused if it is not what the kind has.
    pub fn detail(&self) -> Result<Detail, Malformed> {
        Detail::parse(self.kind, &self.detail)
    }

    fn encode_after(&self, prefix: &[u8]) -> Result<Vec<u8>, Malformed> {
        self.check()?;
        let role = u16::try_from(self.role.len()).map_err(|_| Malformed::new("a role has more than 65535 bytes"))?;
        let detail = u32::try_from(self.detail.len()).unwrap_or(u32::MAX);
        let certificate: &[u8] = self.certificate.as_ref().map_or(&[], |hash| hash);
        let mut bytes = Vec::with_capacity(prefix.len() + FIXED_BYTES + 32 + self.role.len() + self.detail.len());
        for part in [
            prefix,
            &[ENTRY, FORMAT],
            &self.ledger.0,
            &self.seq.to_be_bytes(),
            &[self.kind as u8],
            &self.tx.to_be_bytes(),
            &self.first_row.to_be_bytes(),
            &self.rows.to_be_bytes(),
            &self.root,
            &self.at.0.to_be_bytes(),
            &[if self.certificate.is_some() { 32 } else { 0 }],
            certificate,
            &role.to_be_bytes(),
            self.role.as_bytes(),
            &detail.to_be_bytes(),
            self.detail.as_bytes(),
            &self.previous,
        ] {
            bytes.extend_from_slice(part);
        }
        Ok(bytes)
    }
}

fn text(bytes: &mut Bytes<'_>, length: usize) -> Result<String, Malformed> {
    let text = std::str::from_utf8(bytes.take(length)?);
    text.map(str::to_owned).map_err(|_| Malformed::new("a text of an entry is not UTF-8"))
}

/// The first byte of an entry.
const ENTRY: u8 = b'E';
/// Bytes of an entry beside certificate, role and detail.
const FIXED_BYTES: usize = 2 + 16 + 8 + 1 + 8 + 8 + 8 + 32 + 8 + 1 + 2 + 4 + 32;

#[cfg(test)]
mod tests;
