//! The export: a ledger as JSON lines that can be checked without a database.
//!
//! Writers build line after line ([`Header::encode`], [`entry_line`], [`RowLines`], …); [`ExportVerifier`] takes line
//! after line and remembers little. A line is in RFC 8785 form, so that it can be read by its first bytes.

mod verify;
mod write;

pub use verify::{ExportReport, ExportVerifier, LedgerReport};
pub use write::{RowLines, checkpoint_line, end_line, entry_line, proof_line};

use serde::{Deserialize, Serialize};

use super::note::{VerifierKey, check_origin};
use super::{LedgerId, Malformed};
use crate::json;
use crate::limits::{EXPORT_KEYS_MAX, EXPORT_LEDGERS_MAX};

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The keys that signed the checkpoints, as the exporting side says.
    pub keys: Vec<VerifierKey>,
    /// The ledgers that the export holds, each once.
    pub ledgers: Vec<LedgerId>,
    /// The log's name.
    pub origin: String,
    /// Is the whole log there?
    pub whole: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderLine {
    format: u64,
    kakunin: String,
    keys: Vec<String>,
    ledgers: Vec<String>,
    origin: String,
    whole: bool,
}

impl Header {
    /// The line, without a newline. Refused if the origin is not one, a ledger is named twice, or there are too many.
    pub fn encode(&self) -> Result<String, Malformed> {
        self.check()?;
        let line = HeaderLine {
            format: FORMAT,
            kakunin: KAKUNIN.to_owned(),
            keys: self.keys.iter().map(VerifierKey::to_string).collect(),
            ledgers: self.ledgers.iter().map(LedgerId::to_string).collect(),
            origin: self.origin.clone(),
            whole: self.whole,
        };
        let value = serde_json::to_value(line).map_err(|error| Malformed::new(error.to_string()))?;
        Ok(json::write_canonical(&value))
    }

    /// Reads the first line. Refused if it is not that of an export of format 1.
    pub fn parse(line: &str) -> Result<Self, Malformed> {
        let value =
            json::parse_strict(line).map_err(|reason| Malformed::new(format!("not an export: {}", reason.detail())))?;
        let read = HeaderLine::deserialize(value).map_err(|error| Malformed::new(format!("not an export: {error}")))?;
        if read.kakunin != KAKUNIN || read.format != FORMAT {
            return Err(Malformed::new("not an export of format 1"));
        }
        let header = Self {
            keys: read.keys.iter().map(|key| key.parse()).collect::<Result<_, _>>()?,
            ledgers: read.ledgers.iter().map(|ledger| ledger.parse()).collect::<Result<_, _>>()?,
            origin: read.origin,
            whole: read.whole,
        };
        if header.encode()? != line {
            return Err(Malformed::new("not an export: the first line is not in RFC 8785 form"));
        }
        Ok(header)
    }

    fn check(&self) -> Result<(), Malformed> {
        check_origin(&self.origin)?;
        if self.ledgers.len() > EXPORT_LEDGERS_MAX || self.keys.len() > EXPORT_KEYS_MAX {
            return Err(Malformed::new("an export names too many ledgers or keys"));
        }
        let mut ledgers = self.ledgers.clone();
        ledgers.sort_unstable();
        ledgers.dedup();
        if ledgers.len() != self.ledgers.len() {
            return Err(Malformed::new("an export names a ledger twice"));
        }
        Ok(())
    }
}

/// The format number of an export.
const FORMAT: u64 = 1;
/// What marks the first line of an export.
const KAKUNIN: &str = "ledger export";
/// How lines start and end.
const ENTRY: (&[u8], &[u8]) = (b"{\"entry\":\"", b"\"}");
const ROWS: (&[u8], &[u8]) = (b"{\"rows\":[\"", b"\"]}");
/// Between two rows of a line.
const BETWEEN_ROWS: &[u8] = b"\",\"";

#[cfg(test)]
mod tests;
