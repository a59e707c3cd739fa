//! Is it the one encoding of what it says? Every byte of a row counts.

use super::{DIMENSIONS_MAX, NAN_32, NAN_64, RowReader, Values, range, tag};
use crate::ledger::{Bytes, LedgerId, Malformed};
use crate::limits::{LEDGER_NESTING_MAX, LEDGER_ROW_BYTES_MAX};

/// Reads a row of at most [`LEDGER_ROW_BYTES_MAX`] bytes whole and says which ledger it belongs to. Refused is what a
/// [`super::RowWriter`] would not have written, but jsonb is only looked at as text.
pub fn check_row(row: &[u8]) -> Result<LedgerId, Malformed> {
    if row.len() > LEDGER_ROW_BYTES_MAX {
        return Err(Malformed::new(format!("the row has more than {LEDGER_ROW_BYTES_MAX} bytes")));
    }
    let fields = RowReader::new(row)?;
    let ledger = fields.ledger();
    for field in fields {
        let field = field?;
        match field.tag {
            tag::NULL => return refuse("a column is NULL and has a field"),
            tag::COMMITMENT if field.bytes.len() == 32 => {}
            tag::COMMITMENT => return refuse("a commitment has not 32 bytes"),
            tag => check(tag, field.bytes, 0)?,
        }
    }
    Ok(ledger)
}

/// Checks the bytes of one value against its tag: also of a redactable column's value, which stands in no row.
pub fn check_value(tag: u8, bytes: &[u8]) -> Result<(), Malformed> {
    check(tag, bytes, 0)
}

fn check(tag: u8, bytes: &[u8], depth: usize) -> Result<(), Malformed> {
    match tag {
        tag::NULL => bytes.is_empty().or_refuse("a NULL has bytes"),
        tag::BOOLEAN => matches!(bytes, [0 | 1]).or_refuse("a boolean is not 0 or 1"),
        tag::REAL => match <[u8; 4]>::try_from(bytes).map(u32::from_be_bytes) {
            Ok(bits) => (!f32::from_bits(bits).is_nan() || bits == NAN_32).or_refuse("a real is an unusual NaN"),
            Err(_) => refuse("a real has not 4 bytes"),
        },
        tag::DOUBLE => match <[u8; 8]>::try_from(bytes).map(u64::from_be_bytes) {
            Ok(bits) => (!f64::from_bits(bits).is_nan() || bits == NAN_64).or_refuse("a double is an unusual NaN"),
            Err(_) => refuse("a double has not 8 bytes"),
        },
        tag::NUMERIC => numeric(bytes),
        tag::TEXT | tag::JSONB | tag::ENUM => std::str::from_utf8(bytes).is_ok().or_refuse("a text is not UTF-8"),
        tag::BYTES => Ok(()),
        tag::INTEGER | tag::TIMESTAMPTZ | tag::TIMESTAMP | tag::TIME => {
            (bytes.len() == 8).or_refuse("an integer or a time has not 8 bytes")
        }
        tag::DATE => match <[u8; 8]>::try_from(bytes).map(i64::from_be_bytes) {
            Ok(days) => i32::try_from(days).is_ok().or_refuse("a date is out of range"),
            Err(_) => refuse("a date has not 8 bytes"),
        },
        tag::TIMETZ => (bytes.len() == 12).or_refuse("a time with time zone has not 12 bytes"),
        tag::INTERVAL | tag::UUID => (bytes.len() == 16).or_refuse("an interval or a uuid has not 16 bytes"),
        tag::ARRAY => array(bytes, depth),
        tag::COMPOSITE => {
            let depth = deeper(depth)?;
            Values(bytes).try_for_each(|value| value.and_then(|(tag, bytes)| check(tag, bytes, depth)))
        }
        tag::RANGE => bounds(bytes, depth),
        tag::MULTIRANGE => {
            let depth = deeper(depth)?;
            Values(bytes).try_for_each(|value| match value? {
                (tag::RANGE, bytes) => check(tag::RANGE, bytes, depth),
                _ => refuse("a multirange holds something else than ranges"),
            })
        }
        tag::BITS => bits(bytes),
        tag::OTHER => {
            let mut bytes = Bytes(bytes);
            let length = bytes.u8()?;
            let name = bytes.take(length.into())?;
            (length > 0 && std::str::from_utf8(name).is_ok()).or_refuse("the name of a type is empty or not UTF-8")
        }
        _ => refuse("a tag is not known"),
    }
}

fn numeric(bytes: &[u8]) -> Result<(), Malformed> {
    let mut bytes = Bytes(bytes);
    let sign = bytes.u8()?;
    if (2..=4).contains(&sign) {
        return bytes.is_empty().or_refuse("a numeric that is no number has digits");
    }
    let weight = bytes.u16()?;
    let (digits, []) = bytes.0.as_chunks::<2>() else { return refuse("the bytes of a numeric end early") };
    let digit = |pair: &[u8; 2]| u16::from_be_bytes(*pair);
    if sign > 1 || digits.iter().any(|pair| digit(pair) >= 10_000) {
        return refuse("a numeric has a digit or a sign that there is not");
    }
    match (digits.first(), digits.last()) {
        (Some(first), Some(last)) => {
            (digit(first) != 0 && digit(last) != 0).or_refuse("a numeric starts or ends with a zero")
        }
        _ => (sign == 0 && weight == 0).or_refuse("a numeric is an unusual zero"),
    }
}

fn array(bytes: &[u8], depth: usize) -> Result<(), Malformed> {
    let depth = deeper(depth)?;
    let mut bytes = Bytes(bytes);
    let dimensions = bytes.u8()?;
    if dimensions > DIMENSIONS_MAX {
        return refuse("an array has too many dimensions");
    }
    let mut elements = u64::from(dimensions > 0);
    for _ in 0..dimensions {
        let length = bytes.u32()?;
        bytes.u32()?;
        elements = elements.checked_mul(u64::from(length)).filter(|elements| *elements > 0).ok_or(EMPTY_DIMENSION)?;
    }
    let mut found = 0_u64;
    for value in Values(bytes.0) {
        let (tag, bytes) = value?;
        check(tag, bytes, depth)?;
        found += 1;
    }
    (found == elements).or_refuse("an array has more or fewer elements than its dimensions say")
}

fn bounds(bytes: &[u8], depth: usize) -> Result<(), Malformed> {
    let depth = deeper(depth)?;
    let mut bytes = Bytes(bytes);
    let expected = range::bounds(bytes.u8()?).ok_or(Malformed::new("the flags of a range contradict each other"))?;
    let mut found = 0_u64;
    for value in Values(bytes.0) {
        match value? {
            (tag::NULL, _) => return refuse("a bound of a range is NULL"),
            (tag, bytes) => check(tag, bytes, depth)?,
        }
        found += 1;
    }
    (found == expected).or_refuse("a range has more or fewer bounds than its flags say")
}

fn bits(bytes: &[u8]) -> Result<(), Malformed> {
    let mut bytes = Bytes(bytes);
    let count = bytes.u32()?;
    if bytes.0.len() != count.div_ceil(8) as usize {
        return refuse("a bit string has too many or too few bytes");
    }
    let padding = match (count % 8, bytes.0.last()) {
        (used @ 1.., Some(last)) => last & (0xff >> used),
        _ => 0,
    };
    (padding == 0).or_refuse("a bit string has padding that is not zero")
}

fn deeper(depth: usize) -> Result<usize, Malformed> {
    if depth >= LEDGER_NESTING_MAX { refuse("values are nested too deep") } else { Ok(depth + 1) }
}

fn refuse<T>(what: &'static str) -> Result<T, Malformed> {
    Err(Malformed::new(what))
}

trait OrRefuse {
    fn or_refuse(self, what: &'static str) -> Result<(), Malformed>;
}

impl OrRefuse for bool {
    fn or_refuse(self, what: &'static str) -> Result<(), Malformed> {
        if self { Ok(()) } else { refuse(what) }
    }
}

const EMPTY_DIMENSION: Malformed = Malformed(std::borrow::Cow::Borrowed("an array has an empty dimension"));
