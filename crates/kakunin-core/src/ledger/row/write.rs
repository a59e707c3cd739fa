//! Writes a row into a buffer that is used again for the next.

use super::{DIMENSIONS_MAX, FORMAT, NAN_32, NAN_64, ROW, Sign, commitment, range, tag};
use crate::ledger::merkle::{Hash, LEAF, hash_of_prefixed};
use crate::ledger::{LedgerId, Malformed};
use crate::limits::{LEDGER_NESTING_MAX, LEDGER_ROW_BYTES_MAX};

/// Builds the bytes of one row after the other.
///
/// `begin(ledger)`, then for each column that is not NULL `field(number)`, in ascending order, and one value; at the end
/// [`RowWriter::leaf`] or [`RowWriter::bytes`]. Containers are opened with `begin_…`, filled with values and
/// closed with `end`. A call that breaks the format is remembered and comes out at the end, so that the calls between
/// need no checking.
#[derive(Debug, Default)]
pub struct RowWriter {
    /// The 0x00 of a leaf, then the row: hashed in one call.
    bytes: Vec<u8>,
    number: u16,
    awaits_value: bool,
    open: Vec<Frame>,
    error: Option<Malformed>,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    /// Where the value's tag is.
    start: usize,
    holds: Holds,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Holds {
    /// So many more elements.
    Elements(u64),
    Attributes,
    /// So many more bounds.
    Bounds(u64),
    Ranges,
    /// One value (true: still to come), of which only a commitment stays.
    Secret([u8; 16], bool),
}

impl RowWriter {
    /// A writer with nothing begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a row of a ledger, and forgets the one before with its error.
    pub fn begin(&mut self, ledger: &LedgerId) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&[LEAF, ROW, FORMAT]);
        self.bytes.extend_from_slice(&ledger.0);
        self.number = 0;
        self.awaits_value = false;
        self.open.clear();
        self.error = None;
    }

    /// Starts a field: one value must follow. Numbers are 1 and above, and ascend.
    pub fn field(&mut self, number: u16) {
        if !self.open.is_empty() || self.awaits_value {
            self.fail("a field starts before the one before it is complete");
        } else if number <= self.number {
            self.fail("fields are not in ascending order");
        }
        self.number = number;
        self.awaits_value = true;
        self.bytes.extend_from_slice(&number.to_be_bytes());
    }

    /// A boolean.
    pub fn boolean(&mut self, value: bool) {
        self.value(tag::BOOLEAN, &[u8::from(value)]);
    }

    /// A smallint, integer, bigint or oid.
    pub fn integer(&mut self, value: i64) {
        self.value(tag::INTEGER, &value.to_be_bytes());
    }

    /// A real. Every NaN becomes the one NaN of the format.
    pub fn real(&mut self, value: f32) {
        let bits = if value.is_nan() { NAN_32 } else { value.to_bits() };
        self.value(tag::REAL, &bits.to_be_bytes());
    }

    /// A double precision. Every NaN becomes the one NaN of the format.
    pub fn double(&mut self, value: f64) {
        let bits = if value.is_nan() { NAN_64 } else { value.to_bits() };
        self.value(tag::DOUBLE, &bits.to_be_bytes());
    }

    /// A numeric: the sum of `digits[i]` × 10000^(`weight` − i). Digits are below 10000; zeros at either end may be
    /// there and are left out. For what is not a number, weight and digits count for nothing.
    pub fn numeric(&mut self, sign: Sign, weight: i32, digits: &[u16]) {
        let start = self.open_value(tag::NUMERIC, false);
        if !matches!(sign, Sign::Plus | Sign::Minus) {
            self.bytes.push(sign as u8);
            return self.close_value(start);
        }
        let leading = digits.iter().take_while(|digit| **digit == 0).count();
        let trailing = digits.iter().rev().take_while(|digit| **digit == 0).count();
        let shown = digits.get(leading..digits.len().saturating_sub(trailing)).unwrap_or_default();
        if shown.is_empty() {
            self.bytes.extend_from_slice(&[Sign::Plus as u8, 0, 0]);
            return self.close_value(start);
        }
        let weight = i64::from(weight) - i64::try_from(leading).unwrap_or(i64::MAX);
        match i16::try_from(weight) {
            Ok(weight) if shown.iter().all(|digit| *digit < 10_000) => {
                self.bytes.push(sign as u8);
                self.bytes.extend_from_slice(&weight.to_be_bytes());
                shown.iter().for_each(|digit| self.bytes.extend_from_slice(&digit.to_be_bytes()));
            }
            _ => self.fail("a numeric has a weight or a digit out of range"),
        }
        self.close_value(start);
    }

    /// A text, varchar, char(n) with its padding, name, json or xml.
    pub fn text(&mut self, value: &str) {
        self.value(tag::TEXT, value.as_bytes());
    }

    /// A bytea.
    pub fn bytea(&mut self, value: &[u8]) {
        self.value(tag::BYTES, value);
    }

    /// A timestamp with time zone: microseconds since 2000-01-01 00:00 UTC.
    pub fn timestamptz(&mut self, microseconds: i64) {
        self.value(tag::TIMESTAMPTZ, &microseconds.to_be_bytes());
    }

    /// A timestamp without time zone: microseconds since 2000-01-01 00:00.
    pub fn timestamp(&mut self, microseconds: i64) {
        self.value(tag::TIMESTAMP, &microseconds.to_be_bytes());
    }

    /// A date: days since 2000-01-01; the extremes of i32 are the infinities.
    pub fn date(&mut self, days: i32) {
        self.value(tag::DATE, &i64::from(days).to_be_bytes());
    }

    /// A time: microseconds since midnight.
    pub fn time(&mut self, microseconds: i64) {
        self.value(tag::TIME, &microseconds.to_be_bytes());
    }

    /// A time with time zone: microseconds since midnight, and seconds west of UTC.
    pub fn timetz(&mut self, microseconds: i64, seconds_west: i32) {
        self.value_of(tag::TIMETZ, &[&microseconds.to_be_bytes(), &seconds_west.to_be_bytes()]);
    }

    /// An interval.
    pub fn interval(&mut self, microseconds: i64, days: i32, months: i32) {
        let parts: [&[u8]; 3] = [&microseconds.to_be_bytes(), &days.to_be_bytes(), &months.to_be_bytes()];
        self.value_of(tag::INTERVAL, &parts);
    }

    /// A uuid.
    pub fn uuid(&mut self, value: &[u8; 16]) {
        self.value(tag::UUID, value);
    }

    /// A jsonb, as the text that docs/spec/ledger.md describes; the text is taken as it is.
    pub fn jsonb(&mut self, canonical: &str) {
        self.value(tag::JSONB, canonical.as_bytes());
    }

    /// The label of an enum.
    pub fn enum_label(&mut self, label: &str) {
        self.value(tag::ENUM, label.as_bytes());
    }

    /// A bit or bit varying: the bytes hold `bits` bits, the last byte padded at its low end. Padding is made zero.
    pub fn bits(&mut self, bits: u32, bytes: &[u8]) {
        if bytes.len() != bits.div_ceil(8) as usize {
            self.fail("a bit string has too many or too few bytes");
        }
        let start = self.open_value(tag::BITS, false);
        self.bytes.extend_from_slice(&bits.to_be_bytes());
        self.bytes.extend_from_slice(bytes);
        if let (1.., Some(last)) = (bits % 8, self.bytes.last_mut().filter(|_| !bytes.is_empty())) {
            *last &= 0xff << (8 - bits % 8);
        }
        self.close_value(start);
    }

    /// A value of any other type: the type's name without schema (1 to 255 bytes) and what its send function gives.
    pub fn other(&mut self, type_name: &str, sent: &[u8]) {
        let length = u8::try_from(type_name.len()).unwrap_or_default();
        if length == 0 {
            self.fail("the name of a type has not 1 to 255 bytes");
        }
        self.value_of(tag::OTHER, &[&[length], type_name.as_bytes(), sent]);
    }

    /// The commitment to a value of a redactable column that is gone.
    pub fn commitment(&mut self, commitment: &Hash) {
        if !self.open.is_empty() {
            self.fail("a commitment is inside another value");
        }
        self.value(tag::COMMITMENT, commitment);
    }

    /// NULL inside an array or a composite.
    pub fn null(&mut self) {
        if !matches!(self.open.last(), Some(Frame { holds: Holds::Elements(_) | Holds::Attributes, .. })) {
            self.fail("a NULL is outside of an array or a composite");
        }
        self.value(tag::NULL, &[]);
    }

    /// Opens an array: for each dimension its length (1 and above) and lower bound; none for an empty array. As many
    /// values or NULLs must follow as the lengths multiply to.
    pub fn begin_array(&mut self, dimensions: &[(u32, i32)]) {
        let count = u8::try_from(dimensions.len()).ok().filter(|count| *count <= DIMENSIONS_MAX);
        let elements = dimensions.iter().try_fold(1_u64, |all, (length, _)| all.checked_mul(u64::from(*length)));
        let (Some(count), Some(elements)) = (count, elements.filter(|elements| *elements > 0)) else {
            return self.fail("an array has too many dimensions, or an empty one");
        };
        self.open_frame(tag::ARRAY, Holds::Elements(if count == 0 { 0 } else { elements }));
        self.bytes.push(count);
        for (length, lower) in dimensions {
            self.bytes.extend_from_slice(&length.to_be_bytes());
            self.bytes.extend_from_slice(&lower.to_be_bytes());
        }
    }

    /// Opens a composite: each attribute that was not dropped follows, as a value or NULL.
    pub fn begin_composite(&mut self) {
        self.open_frame(tag::COMPOSITE, Holds::Attributes);
    }

    /// Opens a range: flags of [`range`], then the lower bound and the upper, where there are.
    pub fn begin_range(&mut self, flags: u8) {
        let Some(bounds) = range::bounds(flags) else { return self.fail("the flags of a range contradict each other") };
        self.open_frame(tag::RANGE, Holds::Bounds(bounds));
        self.bytes.push(flags);
    }

    /// Opens a multirange: ranges follow.
    pub fn begin_multirange(&mut self) {
        self.open_frame(tag::MULTIRANGE, Holds::Ranges);
    }

    /// Opens a redactable field: one value follows, of which the row holds only the [`commitment`] under this salt.
    pub fn begin_redactable(&mut self, salt: &[u8; 16]) {
        if !self.open.is_empty() || !self.awaits_value {
            return self.fail("a redactable value is not a whole field");
        }
        self.open.push(Frame { start: self.bytes.len(), holds: Holds::Secret(*salt, true) });
        self.awaits_value = false;
    }

    /// Refuses the row: a value has no encoding, for a reason that only the caller can know.
    pub fn refuse(&mut self, what: &'static str) {
        self.fail(what);
    }

    /// Closes what was opened last.
    pub fn end(&mut self) {
        let Some(frame) = self.open.pop() else { return self.fail("nothing is open to be closed") };
        match frame.holds {
            Holds::Elements(0) | Holds::Attributes | Holds::Bounds(0) | Holds::Ranges => self.close_value(frame.start),
            Holds::Secret(salt, false) => self.hide(frame.start, &salt),
            _ => self.fail("a container is closed before it is full"),
        }
    }

    /// The row. Refused if a call broke the format, something is still open, or the row has more than
    /// [`LEDGER_ROW_BYTES_MAX`] bytes.
    pub fn bytes(&self) -> Result<&[u8], Malformed> {
        self.prefixed().map(|bytes| bytes.get(1..).unwrap_or_default())
    }

    /// The row's leaf hash; refused as by [`RowWriter::bytes`].
    pub fn leaf(&self) -> Result<Hash, Malformed> {
        self.prefixed().map(hash_of_prefixed)
    }

    fn prefixed(&self) -> Result<&[u8], Malformed> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if self.bytes.is_empty() || self.awaits_value || !self.open.is_empty() {
            return Err(Malformed::new("the row is not complete"));
        }
        if self.bytes.len() > 1 + LEDGER_ROW_BYTES_MAX {
            return Err(Malformed::new(format!("the row has more than {LEDGER_ROW_BYTES_MAX} bytes")));
        }
        Ok(&self.bytes)
    }

    fn value(&mut self, tag: u8, bytes: &[u8]) {
        self.value_of(tag, &[bytes]);
    }

    fn value_of(&mut self, tag: u8, parts: &[&[u8]]) {
        let start = self.open_value(tag, false);
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.close_value(start);
    }

    /// Writes a tag and room for the length, if a value may stand here.
    fn open_value(&mut self, tag: u8, container: bool) -> usize {
        let allowed = match self.open.last_mut().map(|frame| &mut frame.holds) {
            None => std::mem::take(&mut self.awaits_value),
            Some(Holds::Elements(left) | Holds::Bounds(left)) => {
                let allowed = *left > 0;
                *left = left.saturating_sub(1);
                allowed
            }
            Some(Holds::Attributes) => true,
            Some(Holds::Ranges) => tag == tag::RANGE,
            Some(Holds::Secret(_, to_come)) => std::mem::take(to_come),
        };
        if !allowed {
            self.fail("a value stands where none is expected");
        }
        if container && self.open.len() >= LEDGER_NESTING_MAX {
            self.fail("values are nested too deep");
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[tag, 0, 0, 0, 0]);
        start
    }

    fn open_frame(&mut self, tag: u8, holds: Holds) {
        let start = self.open_value(tag, true);
        self.open.push(Frame { start, holds });
    }

    /// Writes the length of the value whose tag is at `start`.
    fn close_value(&mut self, start: usize) {
        let length = self.bytes.len().saturating_sub(start + HEADER);
        match (u32::try_from(length), self.bytes.get_mut(start + 1..start + HEADER)) {
            (Ok(length), Some(room)) => room.copy_from_slice(&length.to_be_bytes()),
            _ => self.fail("a value has 4 GiB or more"),
        }
    }

    /// Puts a commitment in the place of the value that starts at `start`.
    fn hide(&mut self, start: usize, salt: &[u8; 16]) {
        let (Some(tag), Some(bytes)) = (self.bytes.get(start), self.bytes.get(start + HEADER..)) else {
            return self.fail("a redactable value is not complete");
        };
        let hidden = commitment(salt, self.number, *tag, bytes);
        // The value leaves the buffer, too, not only the row.
        if let Some(value) = self.bytes.get_mut(start..) {
            value.fill(0);
        }
        self.bytes.truncate(start);
        self.bytes.extend_from_slice(&[tag::COMMITMENT, 0, 0, 0, 32]);
        self.bytes.extend_from_slice(&hidden);
    }

    /// Only the first error is kept: those behind it follow from it.
    fn fail(&mut self, what: &'static str) {
        self.error.get_or_insert(Malformed::new(what));
    }
}

/// Bytes of a tag and a length.
const HEADER: usize = 5;
