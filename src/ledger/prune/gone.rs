//! Which entries go with a partition: found by reading its rows as they lie, not by a query. Planning one would run
//! functions that the table's owner put into an index or a constraint, as whoever owns the extension.

use super::super::sort::{Sorter, memory};
use super::super::store::{self, Ledger};
use super::super::{members, rows};
use pgrx::prelude::*;

/// What a partition holds.
pub struct Gone {
    /// Rows.
    pub rows: u64,
    /// Transactions whose rows are not all in it, or that have no entry.
    pub shared: u64,
    /// First and last entry of each stretch whose rows are in it. Entries without rows do not end a stretch.
    pub stretches: Vec<(i64, i64)>,
}

/// Looks at a partition that nobody can write to.
pub fn with(partition: pg_sys::Oid, ledger: Ledger) -> Gone {
    let memory = memory() / 3;
    let (mut held, mut entries) = (Sorter::<ROW>::new(memory), Sorter::<ENTRY>::new(memory));
    // SAFETY: one snapshot of now, registered while both are read; after an error PostgreSQL lets go of it.
    unsafe {
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
        for (member, is_leaf) in members::below(partition) {
            if is_leaf {
                rows::scan(member, snapshot, &mut |place, _| held.push(place.tx.cast_unsigned().to_be_bytes()));
            }
        }
        store::entries_as_of(ledger.number, 0, snapshot, &mut |fields| {
            let numbers = [fields.bigint(4), fields.bigint(2), fields.bigint(6)].map(Option::unwrap_or_default);
            if numbers[2] > 0 {
                let mut record = [0; ENTRY];
                record.as_chunks_mut().0.iter_mut().zip(numbers).for_each(|(to, from)| *to = from.to_be_bytes());
                entries.push(record);
            }
            true
        });
        pg_sys::UnregisterSnapshot(snapshot);
    }
    compare(held, entries, memory)
}

fn compare(held: Sorter<ROW>, entries: Sorter<ENTRY>, memory: usize) -> Gone {
    let mut gone = Gone { rows: 0, shared: 0, stretches: Vec::new() };
    let mut in_order = Sorter::<GONE>::new(memory);
    let mut held = held.sorted().peekable();
    for record in entries.sorted() {
        let (tx, rest) = record.split_at(8);
        let (seq, stated) = rest.split_at(8);
        while let Some(other) = held.next_if(|row| row[..] < *tx) {
            gone.rows += 1;
            gone.shared += 1;
            while held.next_if_eq(&other).is_some() {
                gone.rows += 1;
            }
        }
        let mut count = 0_u64;
        while held.next_if(|row| row[..] == *tx).is_some() {
            count += 1;
        }
        gone.rows += count;
        gone.shared += u64::from(count > 0 && count.to_be_bytes()[..] != *stated);
        let mut found = [0; GONE];
        found[..8].copy_from_slice(seq);
        found[8] = u8::from(count > 0);
        in_order.push(found);
    }
    while let Some(other) = held.next() {
        gone.rows += 1;
        gone.shared += 1;
        while held.next_if_eq(&other).is_some() {
            gone.rows += 1;
        }
    }
    let mut is_open = false;
    for record in in_order.sorted() {
        let is_gone = record[8] != 0;
        let seq = record.first_chunk().map_or(0, |seq| i64::from_be_bytes(*seq));
        match gone.stretches.last_mut() {
            Some((_, last)) if is_gone && is_open => *last = seq,
            _ if is_gone => gone.stretches.push((seq, seq)),
            _ => {}
        }
        is_open = is_gone;
    }
    gone
}

/// Transaction.
const ROW: usize = 8;
/// Transaction, `seq`, rows.
const ENTRY: usize = 8 + 8 + 8;
/// `seq`, and whether its rows are in the partition.
const GONE: usize = 8 + 1;
