//! The rows that a table has when it becomes a ledger.

use super::super::plan::{PlaceFinder, Plan};
use super::super::raw::{self, RowMemory};
use super::super::store::Ledger;
use super::super::{fault, pending};
use super::suitable::Table;
use kakunin_core::Reason;
use kakunin_core::ledger::entry::Column;
use pgrx::prelude::*;

/// Takes the leaf of each row into the entry that opens the ledger. Returns how many there are.
pub fn take(ledger: Ledger, columns: &[Column], table: &Table) -> Result<u64, Reason> {
    let mut count = 0;
    for leaf in in_order(table) {
        count += take_one(leaf, ledger, columns)?;
    }
    Ok(count)
}

/// Each partition was numbered as a whole: in the order of its first row, all rows come in order.
fn in_order(table: &Table) -> Vec<pg_sys::Oid> {
    let mut firsts: Vec<(i32, pg_sys::Oid)> =
        table.leaves.iter().filter_map(|leaf| Some((first_row(*leaf)?, *leaf))).collect();
    firsts.sort_by_key(|(first, _)| *first);
    firsts.into_iter().map(|(_, leaf)| leaf).collect()
}

/// The number of the first row.
fn first_row(relation: pg_sys::Oid) -> Option<i32> {
    let mut row = None;
    // SAFETY: the table is locked by this transaction; the row is looked at while it is visited.
    unsafe {
        let heap = pg_sys::table_open(relation, pg_sys::AccessShareLock as i32);
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
        let finder = PlaceFinder::of((*heap).rd_att);
        raw::each_row(heap, snapshot, &mut |tuple| {
            let place = finder.as_ref().and_then(|finder| finder.place(tuple, (*heap).rd_att));
            row = place.map(|place| place.row);
            false
        });
        pg_sys::UnregisterSnapshot(snapshot);
        pg_sys::table_close(heap, pg_sys::NoLock as i32);
    }
    row
}

fn take_one(relation: pg_sys::Oid, ledger: Ledger, columns: &[Column]) -> Result<u64, Reason> {
    let mut count = 0;
    // SAFETY: the table is locked by this transaction, which has just rewritten it; so every row that a snapshot of now
    // sees is there to stay. What a row needs is freed with its memory context.
    unsafe {
        let heap = pg_sys::table_open(relation, pg_sys::AccessShareLock as i32);
        let mut plan = Plan::new(heap, ledger, columns)?;
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
        let memory = RowMemory::new();
        let depth = pg_sys::GetCurrentTransactionNestLevel();
        raw::each_row(heap, snapshot, &mut |tuple| {
            let Some(place) = plan.take(tuple, (*heap).rd_att) else {
                fault::broken("a row has no place in its ledger")
            };
            let leaf = memory.act(|| plan.leaf()).unwrap_or_else(|what| fault::unhashable(relation, &what));
            pending::with(|pending| pending.chain(ledger).add(place.row, leaf, depth));
            count += 1;
            true
        });
        pg_sys::UnregisterSnapshot(snapshot);
        pg_sys::table_close(heap, pg_sys::NoLock as i32);
    }
    Ok(count)
}
