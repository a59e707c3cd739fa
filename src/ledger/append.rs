//! What happens when a row is inserted: the defaults that give it its place, and the trigger that takes its leaf.

use super::plan::PlaceFinder;
use super::{apply, fault, pending, plan, store};
use crate::{backend, error, reading};
use kakunin_core::Reason;
use kakunin_core::ledger::LedgerId;
use pgrx::prelude::*;
use std::ffi::CStr;

/// The default of `ledger_tx`: the number of this transaction.
#[pg_extern(schema = "kakunin", stable, parallel_unsafe)]
fn ledger_tx() -> i64 {
    refuse_worker();
    pending::with(pending::Pending::tx)
}

/// The default of `ledger_row`: the number of a row within its transaction.
// Not volatile, although each call gives another number: COPY would give up inserting in batches.
#[pg_extern(schema = "kakunin", stable, parallel_unsafe)]
fn ledger_row() -> i32 {
    refuse_worker();
    pending::with(pending::Pending::next_row)
}

/// The default of `ledger_salt`: a salt for each redactable column.
// Not volatile for the same reason.
#[pg_extern(schema = "kakunin", stable, strict, parallel_restricted)]
fn ledger_salts(count: i32) -> Vec<u8> {
    let count = usize::try_from(count).unwrap_or(0).min(COLUMNS_MAX);
    let mut salts = vec![0; 16 * count];
    backend::fill_random(&mut salts);
    salts
}

/// `kakunin.ledger_append('<id>')`: AFTER INSERT, for each row; so it sees only rows that are stored, as they are stored.
#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn kakunin_ledger_append(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: PostgreSQL passes a valid call; inside a trigger its context is a TriggerData that is valid, with the
    // relation open and the row in memory.
    unsafe {
        let Some(trigger) = trigger_data(call) else {
            error::raise(Reason::LedgerTriggerOnly { function: "ledger_append" })
        };
        let event = (*trigger).tg_event;
        let (relation, tuple) = ((*trigger).tg_relation, (*trigger).tg_trigtuple);
        if event & pg_sys::TRIGGER_EVENT_OPMASK != pg_sys::TRIGGER_EVENT_INSERT
            || event & (pg_sys::TRIGGER_EVENT_ROW | pg_sys::TRIGGER_EVENT_TIMINGMASK) != pg_sys::TRIGGER_EVENT_ROW
        {
            error::raise(Reason::LedgerTriggerOnly { function: "ledger_append" });
        }
        append(relation, tuple, (*trigger).tg_trigger);
    }
    // The result of an AFTER trigger is ignored.
    pg_sys::Datum::from(0)
}

unsafe fn append(relation: pg_sys::Relation, tuple: pg_sys::HeapTuple, trigger: *mut pg_sys::Trigger) {
    refuse_worker();
    if apply::is_running() {
        // SAFETY: the row that fired this trigger of the relation, which is open.
        return unsafe { apply::row(relation, tuple, ledger_id(trigger, (*relation).rd_id).as_ref()) };
    }
    // SAFETY: the row that fired the trigger of this relation, which is open.
    let (oid, description) = unsafe { ((*relation).rd_id, (*relation).rd_att) };
    let known = plan::known(oid);
    // SAFETY: as above.
    let place = unsafe {
        match &known {
            Some(plan) => plan.borrow_mut().take(tuple, description),
            None => PlaceFinder::of(description).and_then(|finder| finder.place(tuple, description)),
        }
    };
    let Some(place) = place.filter(|place| pending::with(|pending| pending.has_given(place.tx, place.row))) else {
        // A row that was chained elsewhere, and comes with its entry. verify_ledger() compares the two.
        if is_restoring() {
            return;
        }
        error::raise(Reason::LedgerPlaceForged { table: fault::table_name(oid) });
    };
    let plan = known.unwrap_or_else(|| {
        // Not for every row: reading the trigger's argument costs as much as hashing the row. A change of the triggers
        // makes the table's plan unknown.
        // SAFETY: as above.
        unsafe {
            let plan = plan::of(relation, ledger_id(trigger, oid).as_ref());
            plan.borrow_mut().take(tuple, description);
            plan
        }
    });
    let mut plan = plan.borrow_mut();
    let ledger = plan.ledger;
    if !plan.has_whole_salts() {
        error::raise(Reason::LedgerSaltForged { table: fault::table_name(oid) });
    }
    if plan.is_replica {
        // The subscription may be gone.
        apply::refuse_replica(ledger);
        plan.is_replica = false;
    }
    let leaf = plan.leaf().unwrap_or_else(|what| fault::unhashable(plan.relation, &what));
    // SAFETY: reads a variable of this backend.
    let depth = unsafe { pg_sys::GetCurrentTransactionNestLevel() };
    pending::with(|pending| {
        if pending.is_linked() {
            error::raise(Reason::LedgerAppendLate { table: fault::table_name(ledger.relation) });
        }
        pending.act_for(|| reading::with_live(|binding| binding.fingerprint));
        pending.chain(ledger).add(place.row, leaf, depth);
    });
}

/// May rows come with a place of their own? Those of superusers, who restore dumps. Not of whoever calls a function that a
/// superuser owns.
fn is_restoring() -> bool {
    // SAFETY: all read the state of this backend, or the catalogue.
    unsafe { pg_sys::superuser() && pg_sys::superuser_arg(pg_sys::GetSessionUserId()) }
}

fn refuse_worker() {
    // SAFETY: reads a variable of this backend.
    if unsafe { pg_sys::ParallelWorkerNumber } >= 0 {
        error::raise(Reason::LedgerParallel);
    }
}

/// The trigger that a function was called for, if it was.
///
/// # Safety
/// The call is PostgreSQL's.
pub unsafe fn trigger_data(call: pg_sys::FunctionCallInfo) -> Option<*mut pg_sys::TriggerData> {
    // SAFETY: the context, if any, is a node with a tag.
    unsafe {
        let context = (*call).context;
        (!context.is_null() && (*context).type_ == pg_sys::NodeTag::T_TriggerData).then_some(context.cast())
    }
}

/// An argument of type oid, or one such as regclass; None if it is NULL or not there.
///
/// # Safety
/// The call is PostgreSQL's.
pub unsafe fn oid_argument(call: pg_sys::FunctionCallInfo, at: usize) -> Option<pg_sys::Oid> {
    // SAFETY: a call has as many arguments as it states.
    unsafe {
        if usize::try_from((*call).nargs).is_ok_and(|count| at < count) {
            let argument = *(*call).args.as_ptr().add(at);
            (!argument.isnull).then(|| pg_sys::Oid::from(argument.value.value() as u32))
        } else {
            None
        }
    }
}

/// The ledger that the trigger's argument names; None where that is empty, as on tables that come with the extension.
unsafe fn ledger_id(trigger: *mut pg_sys::Trigger, relation: pg_sys::Oid) -> Option<LedgerId> {
    // SAFETY: a trigger's arguments are NUL-terminated, as many as it states.
    let argument = unsafe {
        if (*trigger).tgnargs == 1 { CStr::from_ptr(*(*trigger).tgargs).to_str().unwrap_or("?") } else { "?" }
    };
    if argument.is_empty() && store::is_ours(relation) {
        return None;
    }
    let unknown = |_| error::raise(Reason::LedgerUnknown { table: fault::table_name(relation) });
    Some(argument.parse().unwrap_or_else(unknown))
}

/// How PostgreSQL learns the calling convention.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_kakunin_ledger_append() -> &'static pg_sys::Pg_finfo_record {
    &pg_sys::Pg_finfo_record { api_version: 1 }
}

/// Columns of a table in PostgreSQL.
const COLUMNS_MAX: usize = 1600;
