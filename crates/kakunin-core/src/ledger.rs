//! The ledger: what is hashed, what is chained and what is signed. docs/spec/ledger.md describes every byte.
//!
//! A row becomes bytes ([`row`]) and a leaf of its transaction's tree ([`merkle`]). An [`entry`] stands for the rows of
//! one transaction and holds the hash of the entry before. All entries of a database are the leaves of one log, over
//! whose size and root a [`note`] is signed. [`chain`] and [`log`] check what they are fed, in order and in
//! constant memory; [`export`] reads and writes the file that can be checked without a database.
//!
//! Nothing here asks whether an act is allowed. It only says what the bytes are, and whether they agree.

pub mod chain;
pub mod entry;
pub mod export;
pub mod fault;
pub mod growth;
pub mod log;
pub mod merkle;
pub mod note;
pub mod proof;
pub mod row;
pub mod tile;
pub mod tlog_proof;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

pub use entry::{Detail, Entry, Kind};
pub use fault::{Fault, FaultKind, Faults};
pub use merkle::{Frontier, Hash};

/// The UUID of a ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerId(pub [u8; 16]);

/// As PostgreSQL writes a UUID: lower case, with dashes.
impl fmt::Display for LedgerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// Reads what `Display` writes, and nothing else.
impl FromStr for LedgerId {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let refused = || Malformed::new("a ledger is not named by a UUID in lower case");
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
        let mut id = Self::default();
        let (pairs, []) = digits.as_chunks::<2>() else { return Err(refused()) };
        if pairs.len() != id.0.len() {
            return Err(refused());
        }
        for (to, pair) in id.0.iter_mut().zip(pairs) {
            let digits = std::str::from_utf8(pair).map_err(|_| refused())?;
            *to = u8::from_str_radix(digits, 16).map_err(|_| refused())?;
        }
        // One spelling only: dashes in their places, no upper case, no sign.
        if id.to_string() == text { Ok(id) } else { Err(refused()) }
    }
}

/// Bytes or text that are not what the format says, and in which respect: a sentence without a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(Cow<'static, str>);

impl Malformed {
    /// With what is wrong, such as `the row ends early`.
    pub fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

/// Takes bytes from the front of what is left; every read that goes beyond the end is an error.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed(Cow::Borrowed("the bytes end early")))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed(Cow::Borrowed("the bytes end early")))?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Malformed> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
pub(crate) mod tests;
