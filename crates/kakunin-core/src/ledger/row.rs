//! A row as bytes: format number, ledger, and each column that is not NULL as number, tag, length and bytes.
//!
//! [`RowWriter`] writes them and [`RowReader`] reads them; both hold to the same rules, so that what one refuses the
//! other never wrote. docs/spec/ledger.md has the table of tags.

mod check;
mod read;
mod write;

pub use check::{check_row, check_value};
pub use read::{Field, RowReader, Values};
pub use write::RowWriter;

use sha2::{Digest, Sha256};

use super::merkle::Hash;

/// What stands for a redactable column's value: `H('C' || 0x01 || salt || number || tag || bytes)`. Whoever has the
/// salt and the value can show that they were in the row; without the salt nothing can be learnt by guessing.
pub fn commitment(salt: &[u8; 16], number: u16, tag: u8, bytes: &[u8]) -> Hash {
    Sha256::new()
        .chain_update([b'C', FORMAT])
        .chain_update(salt)
        .chain_update(number.to_be_bytes())
        .chain_update([tag])
        .chain_update(bytes)
        .finalize()
        .into()
}

/// The type tags, by what they are for.
pub mod tag {
    /// NULL inside an array or a composite; never of a column.
    pub const NULL: u8 = 0;
    /// boolean: one byte, 0 or 1.
    pub const BOOLEAN: u8 = 1;
    /// smallint, integer, bigint, oid: i64.
    pub const INTEGER: u8 = 2;
    /// real: IEEE 754 single.
    pub const REAL: u8 = 3;
    /// double precision: IEEE 754 double.
    pub const DOUBLE: u8 = 4;
    /// numeric: sign, weight, base 10000 digits.
    pub const NUMERIC: u8 = 5;
    /// text, varchar, char(n), name, json, xml: UTF-8.
    pub const TEXT: u8 = 6;
    /// bytea.
    pub const BYTES: u8 = 7;
    /// timestamp with time zone: i64 microseconds since 2000-01-01 UTC.
    pub const TIMESTAMPTZ: u8 = 8;
    /// timestamp: i64 microseconds since 2000-01-01.
    pub const TIMESTAMP: u8 = 9;
    /// date: i64 days since 2000-01-01.
    pub const DATE: u8 = 10;
    /// time: i64 microseconds since midnight.
    pub const TIME: u8 = 11;
    /// time with time zone: as `TIME`, then i32 seconds west of UTC.
    pub const TIMETZ: u8 = 12;
    /// interval: i64 microseconds, i32 days, i32 months.
    pub const INTERVAL: u8 = 13;
    /// uuid: 16 bytes.
    pub const UUID: u8 = 14;
    /// jsonb: canonical text.
    pub const JSONB: u8 = 15;
    /// An enum: its label.
    pub const ENUM: u8 = 16;
    /// An array: dimensions, then elements.
    pub const ARRAY: u8 = 17;
    /// A composite type: its attributes.
    pub const COMPOSITE: u8 = 18;
    /// A range: flags, then bounds.
    pub const RANGE: u8 = 19;
    /// A multirange: its ranges.
    pub const MULTIRANGE: u8 = 20;
    /// bit, bit varying: u32 bits, then bytes.
    pub const BITS: u8 = 21;
    /// Any other type: its name, then what its send function gives.
    pub const OTHER: u8 = 127;
    /// A redactable column: a commitment.
    pub const COMMITMENT: u8 = 128;
}

/// The sign of a numeric, or what it is instead of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Zero or above.
    Plus = 0,
    /// Below zero.
    Minus = 1,
    /// Not a number.
    NaN = 2,
    /// Infinity.
    Infinity = 3,
    /// Minus infinity.
    MinusInfinity = 4,
}

/// Flags of a range; the bits are those of the format.
pub mod range {
    /// The range has no element; no other flag is set.
    pub const EMPTY: u8 = 1;
    /// The lower bound belongs to it.
    pub const LOWER_INCLUSIVE: u8 = 2;
    /// The upper bound belongs to it.
    pub const UPPER_INCLUSIVE: u8 = 4;
    /// There is no lower bound.
    pub const NO_LOWER: u8 = 8;
    /// There is no upper bound.
    pub const NO_UPPER: u8 = 16;

    /// How many bounds follow these flags; None where they contradict each other.
    pub(crate) const fn bounds(flags: u8) -> Option<u64> {
        let impossible = flags & !31 != 0
            || (flags & EMPTY != 0 && flags != EMPTY)
            || (flags & NO_LOWER != 0 && flags & LOWER_INCLUSIVE != 0)
            || (flags & NO_UPPER != 0 && flags & UPPER_INCLUSIVE != 0);
        if impossible {
            return None;
        }
        if flags & EMPTY != 0 {
            return Some(0);
        }
        Some(2 - (flags & NO_LOWER != 0) as u64 - (flags & NO_UPPER != 0) as u64)
    }
}

/// The format number of rows and entries.
pub(crate) const FORMAT: u8 = 1;
/// The first byte of a row.
pub(crate) const ROW: u8 = b'R';
/// Dimensions of an array (PostgreSQL's MAXDIM).
pub(crate) const DIMENSIONS_MAX: u8 = 6;
/// The one NaN of a real.
pub(crate) const NAN_32: u32 = 0x7fc0_0000;
/// The one NaN of a double.
pub(crate) const NAN_64: u64 = 0x7ff8_0000_0000_0000;

#[cfg(test)]
mod tests;
