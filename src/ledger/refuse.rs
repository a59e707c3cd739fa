//! The triggers that refuse every change of what a ledger holds.

use super::plan::{Place, PlaceFinder};
use super::store::{Fields, Table};
use super::{append, apply, fault, head};
use crate::error;
use kakunin_core::Reason;
use pgrx::prelude::*;
use std::cell::Cell;

/// `kakunin.ledger_refuse()`: BEFORE UPDATE, DELETE or TRUNCATE, for rows and for statements. ON CONFLICT DO UPDATE and
/// MERGE fire it before they look at a row.
#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn kakunin_ledger_refuse(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: PostgreSQL passes a valid call; inside a trigger its context is a valid TriggerData.
    let (event, relation) = unsafe {
        let Some(trigger) = append::trigger_data(call) else {
            error::raise(Reason::LedgerTriggerOnly { function: "ledger_refuse" })
        };
        if passes(trigger) {
            // What a BEFORE trigger returns is the row to store; of a statement there is none.
            return pg_sys::Datum::from((*trigger).tg_newtuple);
        }
        ((*trigger).tg_event, (*(*trigger).tg_relation).rd_id)
    };
    let act = match event & pg_sys::TRIGGER_EVENT_OPMASK {
        pg_sys::TRIGGER_EVENT_UPDATE => "UPDATE",
        pg_sys::TRIGGER_EVENT_DELETE => "DELETE",
        pg_sys::TRIGGER_EVENT_TRUNCATE => "TRUNCATE",
        _ => error::raise(Reason::LedgerTriggerOnly { function: "ledger_refuse" }),
    };
    error::raise(Reason::LedgerAppendOnly { act, table: fault::table_name(relation) })
}

/// Lets the triggers pass an UPDATE of one row of one table, that of kakunin.redact(). Triggers of the table's owner run
/// within it, so every other row stays refused; also that of another ledger with the same place in the same transaction.
pub fn allow_update<T>(table: pg_sys::Oid, of: Place, act: impl FnOnce() -> T) -> T {
    struct Shut;
    impl Drop for Shut {
        fn drop(&mut self) {
            UPDATE_ALLOWED.set(None);
        }
    }
    let _shut = Shut;
    UPDATE_ALLOWED.set(Some((table, of)));
    act()
}

/// Is an UPDATE of this table by kakunin.redact() running?
pub fn is_update_allowed(table: pg_sys::Oid) -> bool {
    UPDATE_ALLOWED.get().is_some_and(|(allowed, _)| allowed == table)
}

/// Is this trigger fired by that UPDATE, and if for a row, then for the row that it is about?
unsafe fn passes(trigger: *mut pg_sys::TriggerData) -> bool {
    // SAFETY: a valid trigger's relation is open, and its old row in memory.
    unsafe {
        let (event, relation) = ((*trigger).tg_event, (*trigger).tg_relation);
        if event & pg_sys::TRIGGER_EVENT_OPMASK != pg_sys::TRIGGER_EVENT_UPDATE {
            return false;
        }
        if apply::is_running() && event & pg_sys::TRIGGER_EVENT_ROW != 0 {
            return apply::is_redaction(relation, (*trigger).tg_trigtuple, (*trigger).tg_newtuple);
        }
        let Some((table, allowed)) = UPDATE_ALLOWED.get() else { return false };
        if (*relation).rd_id != table {
            return false;
        }
        if event & pg_sys::TRIGGER_EVENT_ROW == 0 {
            return true;
        }
        let description = (*relation).rd_att;
        let finder = PlaceFinder::of(description);
        finder.and_then(|finder| finder.place((*trigger).tg_trigtuple, description)) == Some(allowed)
    }
}

/// `kakunin._entries_restored()`: AFTER INSERT on our own tables. What the extension writes fires no trigger; so this is a
/// restore, or a subscription, and what is remembered of chains, tables and their columns may be wrong.
#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn kakunin_entries_restored(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: as above.
    unsafe {
        let Some(trigger) = append::trigger_data(call) else {
            error::raise(Reason::LedgerTriggerOnly { function: "_entries_restored" })
        };
        let relation = (*trigger).tg_relation;
        if (*relation).rd_id != Table::Entry.oid() {
            pg_sys::CacheInvalidateRelcacheAll();
        } else {
            head::forget((*relation).rd_node.relNode);
            if apply::is_running()
                && let Some(fields) = Fields::of((*trigger).tg_trigtuple, (*relation).rd_att)
            {
                apply::entry(&fields);
            }
        }
    }
    // The result of an AFTER trigger is ignored.
    pg_sys::Datum::from(0)
}

/// How PostgreSQL learns the calling convention.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_kakunin_entries_restored() -> &'static pg_sys::Pg_finfo_record {
    &pg_sys::Pg_finfo_record { api_version: 1 }
}

/// How PostgreSQL learns the calling convention.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_kakunin_ledger_refuse() -> &'static pg_sys::Pg_finfo_record {
    &pg_sys::Pg_finfo_record { api_version: 1 }
}

thread_local! {
    static UPDATE_ALLOWED: Cell<Option<(pg_sys::Oid, Place)>> = const { Cell::new(None) };
}
