//! jsonb as the text of RFC 8785, with numbers in all their digits.
//!
//! Read straight from its storage: PostgreSQL's iterator would be called, with a guard, for every key and value. A
//! container is a header with the number of its members, an entry of four bytes for each key and value, and their
//! bytes (src/include/utils/jsonb.h). What does not fit is a damaged page and reads as null.

use super::{numeric, raw};
use kakunin_core::json;
use kakunin_core::ledger::row::RowWriter;
use pgrx::prelude::*;

/// Writes a jsonb. `text` is used again for each.
///
/// # Safety
/// The datum is a jsonb.
pub unsafe fn write(datum: pg_sys::Datum, text: &mut String, out: &mut RowWriter) {
    text.clear();
    // SAFETY: by the caller's promise.
    let container = unsafe { raw::payload(datum) };
    match write_container(container, 0, text) {
        Ok(()) => out.jsonb(text),
        Err(TooDeep) => out.refuse("a jsonb is nested too deep"),
    }
}

struct TooDeep;

fn write_container(container: &[u8], depth: usize, out: &mut String) -> Result<(), TooDeep> {
    if depth > DEPTH_MAX {
        return Err(TooDeep);
    }
    let Some(container) = Container::read(container) else {
        out.push_str("null");
        return Ok(());
    };
    if container.header & OBJECT != 0 {
        return write_object(&container, depth, out);
    }
    // A scalar at the top is stored as an array of one.
    let is_scalar = container.header & SCALAR != 0;
    if !is_scalar {
        out.push('[');
    }
    let mut values = container.entries(0);
    for at in 0..container.count {
        if at > 0 {
            out.push(',');
        }
        let (kind, bytes) = values.next();
        write_value(kind, bytes, depth, out)?;
    }
    if !is_scalar {
        out.push(']');
    }
    Ok(())
}

fn write_object(container: &Container, depth: usize, out: &mut String) -> Result<(), TooDeep> {
    let mut keys = container.entries(0);
    let mut values = container.entries(container.count);
    let mut members: Vec<(&str, u32, &[u8])> = Vec::with_capacity(container.count);
    for _ in 0..container.count {
        let (_, key) = keys.next();
        let (kind, bytes) = values.next();
        members.push((raw::text(key), kind, bytes));
    }
    // Stored by length and bytes; RFC 8785 section 3.2.3 wants the order of UTF-16 units, which is that of bytes up to
    // the surrogates.
    if members.iter().all(|(key, ..)| key.is_ascii()) {
        members.sort_unstable_by_key(|(key, ..)| *key);
    } else {
        members.sort_by(|(one, ..), (other, ..)| one.encode_utf16().cmp(other.encode_utf16()));
    }
    out.push('{');
    for (at, (key, kind, bytes)) in members.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        json::write_string(key, out);
        out.push(':');
        write_value(kind, bytes, depth, out)?;
    }
    out.push('}');
    Ok(())
}

fn write_value(kind: u32, bytes: &[u8], depth: usize, out: &mut String) -> Result<(), TooDeep> {
    match kind {
        STRING => json::write_string(raw::text(bytes), out),
        // The length in front of it is that of the varlena.
        NUMERIC => numeric::decimal(bytes.get(4..).unwrap_or_default(), out),
        TRUE => out.push_str("true"),
        FALSE => out.push_str("false"),
        CONTAINER => write_container(bytes, depth + 1, out)?,
        _ => out.push_str("null"),
    }
    Ok(())
}

/// An array or an object.
struct Container<'a> {
    header: u32,
    /// Elements, or pairs.
    count: usize,
    entries: &'a [[u8; 4]],
    data: &'a [u8],
}

impl<'a> Container<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk()?;
        let header = u32::from_ne_bytes(*header);
        let count = usize::try_from(header & COUNT).ok()?;
        let entries = if header & OBJECT != 0 { count * 2 } else { count };
        let (entries, data) = rest.split_at_checked(entries.checked_mul(4)?)?;
        Some(Self { header, count, entries: entries.as_chunks().0, data })
    }

    /// The entries from `first` on.
    fn entries(&self, first: usize) -> Entries<'a> {
        let mut entries = Entries { entries: self.entries, data: self.data, at: 0, end: 0 };
        // Most entries state a length, and one in 32 where it ends: so one walks from the last that does.
        let known = self
            .entries
            .get(..first)
            .unwrap_or_default()
            .iter()
            .rposition(|entry| u32::from_ne_bytes(*entry) & HAS_OFFSET != 0);
        entries.at = known.unwrap_or(0);
        while entries.at < first {
            entries.next();
        }
        entries
    }
}

/// Walks along the entries of a container.
struct Entries<'a> {
    entries: &'a [[u8; 4]],
    data: &'a [u8],
    at: usize,
    /// Where the entry before ends.
    end: usize,
}

impl<'a> Entries<'a> {
    /// Type and bytes of the next entry.
    fn next(&mut self) -> (u32, &'a [u8]) {
        let entry = self.entries.get(self.at).map_or(NULL, |entry| u32::from_ne_bytes(*entry));
        self.at += 1;
        let (start, number) = (self.end, (entry & OFFSET_OR_LENGTH) as usize);
        self.end = if entry & HAS_OFFSET != 0 { number } else { start + number };
        let kind = entry & TYPE;
        // Numbers and containers are aligned to four bytes; the padding counts to their length.
        let start = if matches!(kind, NUMERIC | CONTAINER) { start.next_multiple_of(4) } else { start };
        (kind, self.data.get(start..self.end).unwrap_or_default())
    }
}

const COUNT: u32 = 0x0fff_ffff;
const SCALAR: u32 = 0x1000_0000;
const OBJECT: u32 = 0x2000_0000;
const OFFSET_OR_LENGTH: u32 = 0x0fff_ffff;
const TYPE: u32 = 0x7000_0000;
const HAS_OFFSET: u32 = 0x8000_0000;
const STRING: u32 = 0;
const NUMERIC: u32 = 0x1000_0000;
const FALSE: u32 = 0x2000_0000;
const TRUE: u32 = 0x3000_0000;
const NULL: u32 = 0x4000_0000;
const CONTAINER: u32 = 0x5000_0000;
/// PostgreSQL's own limit is its stack: some thousands of levels with the default of 2 MB.
const DEPTH_MAX: usize = 10_000;
