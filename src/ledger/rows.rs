//! The stored rows of one entry: for proofs, and to check it alone.

use super::plan::{Place, PlaceFinder, Plan};
use super::raw::{self, RowMemory};
use super::store::{self, Ledger};
use super::{fault, members, owner};
use crate::error;
use kakunin_core::ledger::Hash;
use kakunin_core::ledger::merkle::leaf_hash;
use pgrx::prelude::*;

/// One row.
pub struct Stored {
    /// Its `ledger_row`.
    pub number: i32,
    /// Its leaf hash.
    pub leaf: Hash,
    /// Columns whose value is gone with its salt, by number.
    pub erased: Vec<u16>,
    /// Its bytes, where they were asked for.
    pub bytes: Vec<u8>,
}

/// The rows that say that this transaction added them, by number, as they are now. The caller may read the tables.
pub fn of_transaction(ledger: Ledger, tx: i64, with_bytes: bool) -> Vec<Stored> {
    // SAFETY: a snapshot of now, which also sees what this transaction has done so far; taken off below, or by
    // PostgreSQL after an error.
    unsafe {
        pg_sys::CommandCounterIncrement();
        pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot());
    }
    let found = read_all(ledger, tx, with_bytes);
    // SAFETY: as above.
    unsafe { pg_sys::PopActiveSnapshot() };
    found
}

fn read_all(ledger: Ledger, tx: i64, with_bytes: bool) -> Vec<Stored> {
    let columns = store::columns(ledger.number);
    let mut found = Vec::new();
    for (member, is_leaf) in members::of(ledger) {
        if !is_leaf {
            continue;
        }
        let places = places(member, tx);
        if places.is_empty() {
            continue;
        }
        // SAFETY: the table is open; a snapshot is active while a function runs.
        unsafe {
            let heap = pg_sys::table_open(member, pg_sys::AccessShareLock as i32);
            let mut reader = Reader::new(heap, ledger, &columns);
            for mut place in places {
                let read = reader.read(&mut place, pg_sys::GetActiveSnapshot(), |place, plan| {
                    let erased = plan.erased();
                    let bytes = plan.bytes().unwrap_or_else(|what| fault::unhashable(member, &what));
                    let leaf = leaf_hash(bytes);
                    Stored {
                        number: place.row,
                        leaf,
                        erased,
                        bytes: if with_bytes { bytes.to_vec() } else { Vec::new() },
                    }
                });
                found.extend(read);
            }
            drop(reader);
            pg_sys::table_close(heap, pg_sys::AccessShareLock as i32);
        }
    }
    found.sort_by_key(|row: &Stored| row.number);
    found
}

/// Where the rows lie; the index on ledger_tx finds them. Asked as the table's owner, because planning a query runs
/// functions that the owner put into indexes and constraints.
fn places(member: pg_sys::Oid, tx: i64) -> Vec<pg_sys::ItemPointerData> {
    let query = format!("select ctid from only {} where ledger_tx = $1", fault::table_name(member));
    let ask = || {
        Spi::connect(|client| {
            let rows = client.select(query.as_str(), None, &[tx.into()])?;
            rows.map(|row| row.get::<pg_sys::ItemPointerData>(1)).collect::<Result<Vec<_>, pgrx::spi::Error>>()
        })
    };
    owner::act_as(member, ask)
        .unwrap_or_else(|failure| fault::broken(&failure.to_string()))
        .into_iter()
        .flatten()
        .collect()
}

/// Visits each row of one table as it lies there: the place that it claims, and where it lies. Runs nobody's functions.
///
/// # Safety
/// The snapshot is active or registered.
pub unsafe fn scan(
    member: pg_sys::Oid,
    snapshot: pg_sys::Snapshot,
    visit: &mut dyn FnMut(Place, pg_sys::ItemPointerData),
) {
    // SAFETY: the table is open during the scan; each row is looked at before the next is fetched.
    unsafe {
        let heap = pg_sys::table_open(member, pg_sys::AccessShareLock as i32);
        let finder = PlaceFinder::of((*heap).rd_att);
        raw::each_row(heap, snapshot, &mut |tuple| {
            if let Some(place) = finder.as_ref().and_then(|finder| finder.place(tuple, (*heap).rd_att)) {
                visit(place, (*tuple).t_self);
            }
            true
        });
        pg_sys::table_close(heap, pg_sys::AccessShareLock as i32);
    }
}

/// Reads rows of one table by where they lie.
pub struct Reader {
    heap: pg_sys::Relation,
    slot: *mut pg_sys::TupleTableSlot,
    plan: Plan,
    memory: RowMemory,
}

impl Reader {
    /// For a table of the ledger.
    ///
    /// # Safety
    /// The table stays open as long as this lives.
    pub unsafe fn new(heap: pg_sys::Relation, ledger: Ledger, columns: &[kakunin_core::ledger::entry::Column]) -> Self {
        let plan = Plan::new(heap, ledger, columns).unwrap_or_else(|reason| error::raise(reason));
        // SAFETY: a slot for the table's rows, dropped with this.
        let slot = unsafe { pg_sys::table_slot_create(heap, std::ptr::null_mut()) };
        Self { heap, slot, plan, memory: RowMemory::new() }
    }

    /// The row at a place, as the snapshot sees it; None if it sees none there.
    ///
    /// # Safety
    /// The snapshot is active or registered.
    pub unsafe fn read<T>(
        &mut self,
        at: &mut pg_sys::ItemPointerData,
        snapshot: pg_sys::Snapshot,
        act: impl FnOnce(Place, &mut Plan) -> T,
    ) -> Option<T> {
        // SAFETY: the slot holds the row until it is cleared; heap tables are the only ones that are attached.
        unsafe {
            let method = (*(*self.heap).rd_tableam).tuple_fetch_row_version?;
            if !pg_sys::ffi::pg_guard_ffi_boundary(|| method(self.heap, at, snapshot, self.slot)) {
                return None;
            }
            let mut owned = false;
            let tuple = pg_sys::ExecFetchSlotHeapTuple(self.slot, false, &mut owned);
            let place = self.plan.take(tuple, (*self.heap).rd_att)?;
            let plan = &mut self.plan;
            Some(self.memory.act(|| act(place, plan)))
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // While an error unwinds, PostgreSQL drops the slot with its memory.
        if !std::thread::panicking() {
            // SAFETY: made by us and dropped nowhere else.
            unsafe { pg_sys::ExecDropSingleTupleTableSlot(self.slot) };
        }
    }
}
