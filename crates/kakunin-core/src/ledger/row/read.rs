//! Reads the fields of a row, for tools that show them. Whoever checks calls [`super::check_row`] first or instead.

use super::{FORMAT, ROW};
use crate::ledger::{Bytes, LedgerId, Malformed};

/// The fields of one row, in order. An error ends them.
#[derive(Clone, Debug)]
pub struct RowReader<'a> {
    ledger: LedgerId,
    number: u16,
    rest: &'a [u8],
}

/// One field of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Number of the column.
    pub number: u16,
    /// One of [`super::tag`].
    pub tag: u8,
    /// The bytes that the tag describes.
    pub bytes: &'a [u8],
}

impl<'a> RowReader<'a> {
    /// Reads what stands before the fields: refused if it is not a row of format 1.
    pub fn new(row: &'a [u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes(row);
        if bytes.array()? != [ROW, FORMAT] {
            return Err(Malformed::new("it is not a row of format 1"));
        }
        let ledger = LedgerId(bytes.array()?);
        Ok(Self { ledger, number: 0, rest: bytes.0 })
    }

    /// The ledger that the row belongs to.
    pub fn ledger(&self) -> LedgerId {
        self.ledger
    }

    fn field(&mut self) -> Result<Field<'a>, Malformed> {
        let mut bytes = Bytes(self.rest);
        let number = bytes.u16()?;
        if number <= self.number {
            return Err(Malformed::new("fields are not in ascending order"));
        }
        let (tag, value) = value(&mut bytes)?;
        self.number = number;
        self.rest = bytes.0;
        Ok(Field { number, tag, bytes: value })
    }
}

impl<'a> Iterator for RowReader<'a> {
    type Item = Result<Field<'a>, Malformed>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// The values inside an array, composite, range or multirange, once what stands before them was taken off.
#[derive(Clone, Debug)]
pub struct Values<'a>(pub &'a [u8]);

impl<'a> Iterator for Values<'a> {
    /// Tag and bytes.
    type Item = Result<(u8, &'a [u8]), Malformed>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let mut bytes = Bytes(self.0);
        let value = value(&mut bytes);
        self.0 = if value.is_ok() { bytes.0 } else { &[] };
        Some(value)
    }
}

fn value<'a>(bytes: &mut Bytes<'a>) -> Result<(u8, &'a [u8]), Malformed> {
    let tag = bytes.u8()?;
    let length = bytes.u32()?;
    Ok((tag, bytes.take(usize::try_from(length).unwrap_or(usize::MAX))?))
}
