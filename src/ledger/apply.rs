//! What the worker of a subscription brings: rows that were chained on another server, and the entries that say so.
//!
//! A row and its entry were committed together there, so they come together here. What the rows are is compared with what
//! the entry states before this transaction commits, in whatever order they came; a difference stops the subscription,
//! where it is seen, instead of becoming part of a copy. The copy that a subscription begins with brings each table by
//! itself, so nothing is compared until all of them are there.

use super::pending::Chain;
use super::plan::{self, Plan};
use super::store::{self, Fields, Key, Order, Table};
use super::{fault, raw};
use crate::error;
use kakunin_core::Reason;
use kakunin_core::ledger::{Entry, Hash, Kind, LedgerId};
use pgrx::prelude::*;
use std::cell::RefCell;
use std::collections::HashMap;

/// Is this process the worker of a subscription?
pub fn is_running() -> bool {
    // SAFETY: reads a variable of this process.
    unsafe { pg_sys::IsLogicalWorker() }
}

/// A row was inserted into the table of a ledger, by a worker.
///
/// # Safety
/// The row fired the trigger of this relation, which is open.
pub unsafe fn row(relation: pg_sys::Relation, tuple: pg_sys::HeapTuple, id: Option<&LedgerId>) {
    // SAFETY: by the caller's promise.
    let oid = unsafe { (*relation).rd_id };
    if !has_arrived(oid) {
        return;
    }
    // Without the ledger's own tables there is nothing to compare with.
    let Some(plan) = plan::find(relation, id) else { return };
    let mut plan = plan.borrow_mut();
    // SAFETY: as above.
    let place = unsafe { plan.take(tuple, (*relation).rd_att) };
    let Some(place) = place else { differs(oid, "a row has no ledger_tx and ledger_row".into()) };
    let leaf = plan.leaf().unwrap_or_else(|what| fault::unhashable(oid, &what));
    let ledger = plan.ledger;
    // SAFETY: reads a variable of this backend.
    let depth = unsafe { pg_sys::GetCurrentTransactionNestLevel() };
    APPLIED.with_borrow_mut(|applied| {
        let chain = applied.rows.entry((ledger.number, place.tx)).or_insert_with(|| Chain::new(ledger));
        chain.add(place.row, leaf, depth);
    });
}

/// An entry was inserted by a worker: it must be one, and continue the chain that is here.
pub fn entry(fields: &Fields<'_>) {
    if !has_arrived(Table::Entry.oid()) {
        return;
    }
    let number = fields.integer(1).unwrap_or_default();
    let Some(ledger) = store::ledgers().into_iter().find(|ledger| ledger.number == number) else { return };
    let seq = fields.bigint(2).unwrap_or_default();
    let read = store::entry(fields, ledger.id).filter(|(entry, stored)| entry.hash().ok().as_ref() == Some(stored));
    let Some((entry, _)) = read else { differs(ledger.relation, format!("entry {seq} is not what its hash says")) };
    if entry.seq > 1 && hash_of(number, seq - 1) != Some(entry.previous) {
        differs(ledger.relation, format!("entry {seq} does not continue entry {} here", seq - 1));
    }
    APPLIED.with_borrow_mut(|applied| applied.entries.push((number, entry)));
}

/// Does a subscription of this database bring rows to one of these tables? Such a ledger grows on its publisher; what were
/// chained here would collide with what comes.
pub fn is_replica(relations: &[pg_sys::Oid]) -> bool {
    relations.iter().any(|relation| {
        // SAFETY: a scan of a catalogue by its index, which is open and locked during the scan.
        unsafe {
            let heap = pg_sys::table_open(SUBSCRIBED.into(), pg_sys::AccessShareLock as i32);
            let mut key: pg_sys::ScanKeyData = std::mem::zeroed();
            let (equal, strategy) = (pg_sys::F_OIDEQ.into(), pg_sys::BTEqualStrategyNumber as u16);
            pg_sys::ScanKeyInit(&mut key, SUBSCRIBED_RELATION, strategy, equal, (*relation).into());
            let scan =
                pg_sys::systable_beginscan(heap, SUBSCRIBED_INDEX.into(), true, std::ptr::null_mut(), 1, &mut key);
            let found = !pg_sys::systable_getnext(scan).is_null();
            pg_sys::systable_endscan(scan);
            pg_sys::table_close(heap, pg_sys::AccessShareLock as i32);
            found
        }
    })
}

/// Refuses what would be chained here to a ledger that grows elsewhere.
pub fn refuse_replica(ledger: store::Ledger) {
    if is_replica(&raw::inheritors(ledger.relation)) {
        error::raise(Reason::LedgerReplica { table: fault::table_name(ledger.relation) });
    }
}

/// Is this UPDATE of a row what kakunin.redact() did on the publisher? Then the row's hash stays: the commitments, which
/// came before it, stand for the values that are gone.
///
/// # Safety
/// The rows are the old and the new one of an UPDATE of this relation, which is open.
pub unsafe fn is_redaction(relation: pg_sys::Relation, old: pg_sys::HeapTuple, new: pg_sys::HeapTuple) -> bool {
    // SAFETY: by the caller's promise.
    let (oid, description) = unsafe { ((*relation).rd_id, (*relation).rd_att) };
    let Ok(ledger) = super::ledger_of(oid) else { return false };
    let Ok(mut plan) = Plan::new(relation, ledger, &store::columns(ledger.number)) else { return false };
    let mut leaf = |tuple| {
        // SAFETY: as above.
        let place = unsafe { plan.take(tuple, description) }?;
        Some((place, plan.leaf().ok()?))
    };
    leaf(old).is_some_and(|before| leaf(new) == Some(before))
}

/// Before the commit: compares what came. May raise.
pub fn before_commit() {
    let Applied { mut rows, entries } = APPLIED.take();
    for (number, entry) in entries {
        let came = rows.remove(&(number, entry.tx.cast_signed())).map(|chain| (chain.ledger, chain.finish().1));
        // Rows from before there was a ledger came when they were added.
        if entry.kind == Kind::Open {
            continue;
        }
        let (count, root) = came.as_ref().map_or((0, None), |(_, tree)| (tree.size(), Some(tree.root())));
        if count == entry.rows && (count == 0 || root == Some(entry.root)) {
            continue;
        }
        let Some(ledger) = store::ledgers().into_iter().find(|ledger| ledger.number == number) else { continue };
        if !is_whole(ledger) {
            continue;
        }
        let seq = entry.seq;
        if count == entry.rows {
            differs(ledger.relation, format!("the {count} rows of entry {seq} are not those that it states"));
        }
        differs(ledger.relation, format!("entry {seq} states {} rows, and {count} came with it", entry.rows));
    }
    for ((_, tx), chain) in rows {
        if !chain.is_empty() && is_whole(chain.ledger) {
            let (relation, count) = (chain.ledger.relation, chain.finish().1.size());
            differs(
                relation,
                format!("{count} rows say that transaction {tx} added them, and no entry came with them"),
            );
        }
    }
}

/// The transaction is over. Must not fail.
pub fn clear() {
    APPLIED.with(|applied| {
        if let Ok(mut applied) = applied.try_borrow_mut() {
            applied.rows.clear();
            applied.entries.clear();
        }
    });
}

/// A savepoint at this depth was rolled back to. Must not fail.
pub fn roll_back(depth: i32) {
    each(|chain| chain.roll_back(depth));
}

/// A savepoint at this depth was released. Must not fail.
pub fn release(depth: i32) {
    each(|chain| chain.release(depth));
}

fn each(act: impl FnMut(&mut Chain)) {
    APPLIED.with(|applied| {
        if let Ok(mut applied) = applied.try_borrow_mut() {
            applied.rows.values_mut().for_each(act);
        }
    });
}

/// Does this subscription bring all of a ledger by now: each table that holds rows, and the entries?
fn is_whole(ledger: store::Ledger) -> bool {
    let states: Vec<u8> = raw::inheritors(ledger.relation).into_iter().filter_map(state).collect();
    has_arrived(Table::Entry.oid()) && !states.is_empty() && states.iter().all(|state| *state == READY)
}

/// Does the worker apply transactions to this table, rather than copy what the publisher had?
fn has_arrived(relation: pg_sys::Oid) -> bool {
    // A publication may name the partitioned table instead.
    let named = std::iter::once(relation).chain(raw::partition_ancestors(relation));
    named.filter_map(state).next() == Some(READY)
}

/// How far this subscription is with a table; None if it does not bring it.
fn state(relation: pg_sys::Oid) -> Option<u8> {
    mod symbol {
        use pgrx::prelude::*;
        unsafe extern "C-unwind" {
            pub fn GetSubscriptionRelState(subscription: pg_sys::Oid, relation: pg_sys::Oid, position: *mut u64) -> u8;
            /// A Subscription, whose first member is its number.
            pub static MySubscription: *const pg_sys::Oid;
        }
    }
    let mut position = 0;
    // SAFETY: set in the worker of a subscription before it applies anything; an error inside is carried over.
    let state = unsafe {
        let subscription = symbol::MySubscription;
        if subscription.is_null() {
            return None;
        }
        pg_sys::ffi::pg_guard_ffi_boundary(|| symbol::GetSubscriptionRelState(*subscription, relation, &mut position))
    };
    (state != UNKNOWN).then_some(state)
}

/// The hash of an entry that is here.
fn hash_of(ledger: i32, seq: i64) -> Option<Hash> {
    let keys = [Key::integer(1, ledger), Key::bigint(2, seq)];
    let mut found = None;
    store::in_order(Table::Entry, Table::EntryKey, &keys, Order::Ascending, &mut |fields| {
        found = fields.bytes(13).and_then(|hash| hash.try_into().ok());
        false
    });
    found
}

fn differs(relation: pg_sys::Oid, what: String) -> ! {
    error::raise(Reason::LedgerReplicaDiffers { table: fault::table_name(relation), what })
}

/// What this transaction has brought.
#[derive(Default)]
struct Applied {
    /// By the ledger's number and `ledger_tx`.
    rows: HashMap<(i32, i64), Chain>,
    /// With the ledger's number.
    entries: Vec<(i32, Entry)>,
}

thread_local! {
    static APPLIED: RefCell<Applied> = RefCell::new(Applied::default());
}
/// pg_subscription_rel, its column srrelid, and its index that begins with that.
const SUBSCRIBED: u32 = 6102;
const SUBSCRIBED_RELATION: i16 = 2;
const SUBSCRIBED_INDEX: u32 = 6117;
/// SUBREL_STATE_READY, SUBREL_STATE_UNKNOWN
const READY: u8 = b'r';
const UNKNOWN: u8 = 0;
