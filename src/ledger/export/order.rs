//! Where each row belongs in an export.

use super::super::sort::{Sorted, Sorter, memory};
use super::super::store::{self, Ledger};
use super::super::{fault, members, pending};
use crate::checkpoint::log::StoredRange;
use pgrx::prelude::*;

/// A table that holds rows of a ledger.
#[derive(Clone, Copy)]
pub struct Member {
    pub relation: pg_sys::Oid,
    pub ledger: Ledger,
}

/// A row: the place of its entry, its number, and where it lies.
#[derive(Clone, Copy)]
pub struct Placed {
    pub position: u64,
    pub member: u32,
    block: u32,
    offset: u16,
}

impl Placed {
    /// Where it lies in its table.
    pub fn at(&self) -> pg_sys::ItemPointerData {
        let mut at = pg_sys::ItemPointerData::default();
        pgrx::itemptr::item_pointer_set_all(&mut at, self.block, self.offset);
        at
    }
}

/// Gathers the rows of one ledger after the other.
pub struct Rows {
    members: Vec<Member>,
    placed: Sorter<PLACED>,
}

impl Rows {
    pub fn new() -> Self {
        Self { members: Vec::new(), placed: Sorter::new(memory() / 2) }
    }

    /// Takes the rows of a ledger. Entries that are in no range come from position `unlogged` on; answers which `seq`
    /// is the first of them, and how many there are.
    ///
    /// # Safety
    /// The snapshot is registered.
    pub unsafe fn gather(
        &mut self,
        ledger: Ledger,
        ranges: &[StoredRange],
        unlogged: u64,
        snapshot: pg_sys::Snapshot,
    ) -> (i64, u64) {
        let mut own = ranges.iter().filter(|range| range.ledger == ledger.number).peekable();
        let mut entries: Sorter<ENTRY> = Sorter::new(memory() / 4);
        let (mut first_unlogged, mut count) = (i64::MAX, 0);
        let mut logged = 0;
        // SAFETY: by the caller's promise.
        unsafe {
            store::entries_as_of(ledger.number, 0, snapshot, &mut |fields| {
                let (Some(seq), Some(tx)) = (fields.bigint(2), fields.bigint(4)) else { return true };
                while own.next_if(|range| range.last_seq < seq).is_some() {}
                let position = match own.peek() {
                    Some(range) => (range.first_index + (seq - range.first_seq)).cast_unsigned(),
                    None => {
                        first_unlogged = first_unlogged.min(seq);
                        count += 1;
                        unlogged + count - 1
                    }
                };
                logged = seq;
                if tx > 0 {
                    entries.push(record(&[&tx.to_be_bytes(), &position.to_be_bytes()]));
                }
                true
            });
            let mut rows: Sorter<ROW> = Sorter::new(memory() / 4);
            for (member, is_leaf) in members::of(ledger) {
                if is_leaf {
                    let number = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
                    self.members.push(Member { relation: member, ledger });
                    take(member, number, snapshot, &mut rows);
                }
            }
            self.join(ledger, entries, rows);
        }
        (first_unlogged.min(logged + 1), count)
    }

    /// Rows get the position of their entry. Those of no entry have none, and are left out.
    fn join(&mut self, ledger: Ledger, entries: Sorter<ENTRY>, rows: Sorter<ROW>) {
        let mut rows = rows.sorted().peekable();
        let mut strays = 0_u64;
        // What this transaction has added will have one.
        let own = pending::with(|pending| pending.known_tx()).map(i64::to_be_bytes);
        let mut stray = |row: &[u8; ROW]| strays += u64::from(own.is_none_or(|own| row[..8] != own));
        for entry in entries.sorted() {
            let (tx, position) = entry.split_at(8);
            while let Some(row) = rows.next_if(|row| row[..8] < *tx) {
                stray(&row);
            }
            while let Some(row) = rows.next_if(|row| row[..8] == *tx) {
                self.placed.push(record(&[position, &row[8..]]));
            }
        }
        rows.for_each(|row| stray(&row));
        if strays > 0 {
            let table = fault::table_name(ledger.relation);
            ereport!(
                WARNING,
                PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
                format!("{strays} rows of {table} belong to no entry and are not exported"),
                "kakunin.verify_ledger() names their transactions."
            );
        }
    }

    /// The tables, and all rows in the order of the export.
    pub fn sorted(self) -> (Vec<Member>, SortedRows) {
        (self.members, SortedRows(self.placed.sorted()))
    }
}

/// All rows in the order of the export.
pub struct SortedRows(Sorted<PLACED>);

impl SortedRows {
    pub fn next(&mut self) -> Option<Placed> {
        let record = self.0.next()?;
        let (position, rest) = record.split_first_chunk()?;
        let (_row, rest) = rest.split_first_chunk::<4>()?;
        let (member, rest) = rest.split_first_chunk()?;
        let (block, offset) = rest.split_first_chunk()?;
        Some(Placed {
            position: u64::from_be_bytes(*position),
            member: u32::from_be_bytes(*member),
            block: u32::from_be_bytes(*block),
            offset: u16::from_be_bytes(offset.try_into().ok()?),
        })
    }
}

unsafe fn take(member: pg_sys::Oid, number: u32, snapshot: pg_sys::Snapshot, rows: &mut Sorter<ROW>) {
    // SAFETY: by the caller's promise.
    unsafe {
        super::super::rows::scan(member, snapshot, &mut |place, at| {
            let (block, offset) = pgrx::itemptr::item_pointer_get_both(at);
            rows.push(record(&[
                &place.tx.cast_unsigned().to_be_bytes(),
                &place.row.to_be_bytes(),
                &number.to_be_bytes(),
                &block.to_be_bytes(),
                &offset.to_be_bytes(),
            ]));
        });
    }
}

fn record<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut record = [0; N];
    record.iter_mut().zip(parts.iter().flat_map(|part| part.iter())).for_each(|(to, from)| *to = *from);
    record
}

/// Transaction, position.
const ENTRY: usize = 8 + 8;
/// Transaction, number, table, block, offset.
const ROW: usize = 8 + 4 + 4 + 4 + 2;
/// Position in place of the transaction.
const PLACED: usize = ROW;
