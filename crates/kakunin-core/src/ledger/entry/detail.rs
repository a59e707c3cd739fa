//! What an entry says beside its rows: JSON by RFC 8785, one shape for each kind.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Kind;
use crate::json;
use crate::ledger::Malformed;
use crate::limits::LEDGER_DETAIL_BYTES_MAX;

/// The detail of an entry, by kind. Numbers are at most 2^53 − 1, which every reader of JSON holds (RFC 7493 section 2.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Detail {
    /// Of kind `rows`: none.
    None,
    /// Of kind `open`.
    Open {
        /// The columns, by ascending number.
        columns: Vec<Column>,
        /// The table's name with its schema.
        name: String,
    },
    /// Of kind `columns`.
    Columns {
        /// The columns, by ascending number.
        columns: Vec<Column>,
    },
    /// Of kind `prune`: rows of these entries may be gone.
    Prune {
        /// Size of the log in a published checkpoint that covers all of them.
        checkpoint: u64,
        /// `seq` of the first.
        first: u64,
        /// `seq` of the last.
        last: u64,
        /// Why, as the caller said.
        reason: String,
    },
    /// Of kind `epoch`.
    Epoch {
        /// Why, as the caller said.
        reason: String,
        /// PostgreSQL's system identifier, in decimal: it needs more than 53 bits.
        system: String,
        /// PostgreSQL's timeline.
        timeline: u64,
    },
    /// Of kind `redact`: values were erased.
    Redact {
        /// Numbers of the columns, ascending.
        columns: Vec<u16>,
        /// Why, and with whose approval, as the caller said.
        reason: String,
        /// The row's `ledger_row`.
        row: u64,
        /// The row's `ledger_tx`.
        tx: u64,
    },
    /// Of kind `close`.
    Close {
        /// Why, as the caller said.
        reason: String,
    },
}

/// One column of the map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The number that its fields have; 1 and above.
    pub number: u16,
    /// Does the row hold a commitment in place of its value?
    pub redactable: bool,
    /// Its type, as `format_type` writes it.
    pub r#type: String,
}

impl Detail {
    /// The JSON text; empty for [`Detail::None`]. Refused if a number is beyond 2^53 − 1, column numbers do not ascend
    /// from 1, a prune names no entries, or the text has more than [`LEDGER_DETAIL_BYTES_MAX`] bytes.
    pub fn encode(&self) -> Result<String, Malformed> {
        self.check()?;
        if *self == Self::None {
            return Ok(String::new());
        }
        let value = serde_json::to_value(self).map_err(|error| Malformed::new(error.to_string()))?;
        let text = json::write_canonical(&value);
        if text.len() > LEDGER_DETAIL_BYTES_MAX {
            return Err(Malformed::new(format!("a detail has more than {LEDGER_DETAIL_BYTES_MAX} bytes")));
        }
        Ok(text)
    }

    /// Reads the detail of an entry of some kind. Refused is everything but what [`Detail::encode`] writes.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, Malformed> {
        if kind == Kind::Rows {
            return if text.is_empty() {
                Ok(Self::None)
            } else {
                Err(Malformed::new("an entry of kind rows has a detail"))
            };
        }
        if text.len() > LEDGER_DETAIL_BYTES_MAX {
            return Err(Malformed::new(format!("a detail has more than {LEDGER_DETAIL_BYTES_MAX} bytes")));
        }
        let value =
            json::parse_strict(text).map_err(|reason| Malformed::new(format!("a detail: {}", reason.detail())))?;
        let detail = read(kind, value)?;
        // One spelling only, which also refuses an array in the place of an object: serde reads both.
        if detail.encode()? != text {
            return Err(Malformed::new("a detail is not in RFC 8785 form"));
        }
        Ok(detail)
    }

    /// The kind whose detail this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::None => Kind::Rows,
            Self::Open { .. } => Kind::Open,
            Self::Columns { .. } => Kind::Columns,
            Self::Prune { .. } => Kind::Prune,
            Self::Epoch { .. } => Kind::Epoch,
            Self::Redact { .. } => Kind::Redact,
            Self::Close { .. } => Kind::Close,
        }
    }

    fn check(&self) -> Result<(), Malformed> {
        let exact = |numbers: &[u64]| numbers.iter().all(|number| *number <= EXACT_MAX);
        let ascending = |numbers: Vec<u16>| {
            let before = std::iter::once(0).chain(numbers.iter().copied());
            before.zip(&numbers).all(|(before, number)| before < *number)
        };
        let (sound, what) = match self {
            Self::None | Self::Close { .. } => (true, ""),
            Self::Open { columns, .. } | Self::Columns { columns } => (
                ascending(columns.iter().map(|column| column.number).collect()),
                "the numbers of columns do not ascend",
            ),
            Self::Redact { columns, row, tx, .. } => (
                !columns.is_empty() && ascending(columns.clone()) && exact(&[*row, *tx]),
                "a redaction names no columns, or a number out of range",
            ),
            Self::Prune { checkpoint, first, last, .. } => (
                *first >= 1 && first <= last && exact(&[*checkpoint, *first, *last]),
                "a prune entry names no entries, or a number out of range",
            ),
            Self::Epoch { system, timeline, .. } => (
                !system.is_empty() && system.bytes().all(|byte| byte.is_ascii_digit()) && exact(&[*timeline]),
                "an epoch names no system, or a number out of range",
            ),
        };
        if sound { Ok(()) } else { Err(Malformed::new(what)) }
    }
}

/// Each kind with exactly its members; `untagged` would guess the kind from the members.
fn read(kind: Kind, value: Value) -> Result<Detail, Malformed> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Open {
        columns: Vec<Column>,
        name: String,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Columns {
        columns: Vec<Column>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Prune {
        checkpoint: u64,
        first: u64,
        last: u64,
        reason: String,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Epoch {
        reason: String,
        system: String,
        timeline: u64,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Redact {
        columns: Vec<u16>,
        reason: String,
        row: u64,
        tx: u64,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Close {
        reason: String,
    }
    let detail = match kind {
        Kind::Rows => Ok(Detail::None),
        Kind::Open => Open::deserialize(value).map(|Open { columns, name }| Detail::Open { columns, name }),
        Kind::Columns => Columns::deserialize(value).map(|Columns { columns }| Detail::Columns { columns }),
        Kind::Prune => Prune::deserialize(value).map(|Prune { checkpoint, first, last, reason }| Detail::Prune {
            checkpoint,
            first,
            last,
            reason,
        }),
        Kind::Epoch => Epoch::deserialize(value).map(|Epoch { reason, system, timeline }| Detail::Epoch {
            reason,
            system,
            timeline,
        }),
        Kind::Redact => Redact::deserialize(value).map(|Redact { columns, reason, row, tx }| Detail::Redact {
            columns,
            reason,
            row,
            tx,
        }),
        Kind::Close => Close::deserialize(value).map(|Close { reason }| Detail::Close { reason }),
    };
    detail.map_err(|error| Malformed::new(format!("a detail: {error}")))
}

/// The largest integer up to which every integer is a double of its own.
const EXACT_MAX: u64 = (1 << 53) - 1;
