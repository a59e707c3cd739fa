//! The triggers that refuse every change of what a ledger holds.

use super::{append, fault, head};
use crate::error;
use kakunin_core::Reason;
use pgrx::prelude::*;

/// `kakunin.ledger_refuse()`: BEFORE UPDATE, DELETE or TRUNCATE, for rows and for statements. ON CONFLICT DO UPDATE and
/// MERGE fire it before they look at a row.
#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn kakunin_ledger_refuse(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: PostgreSQL passes a valid call; inside a trigger its context is a valid TriggerData.
    let (event, relation) = unsafe {
        match append::trigger_data(call) {
            Some(trigger) => ((*trigger).tg_event, (*(*trigger).tg_relation).rd_id),
            None => error::raise(Reason::LedgerTriggerOnly { function: "ledger_refuse" }),
        }
    };
    let act = match event & pg_sys::TRIGGER_EVENT_OPMASK {
        pg_sys::TRIGGER_EVENT_UPDATE => "UPDATE",
        pg_sys::TRIGGER_EVENT_DELETE => "DELETE",
        pg_sys::TRIGGER_EVENT_TRUNCATE => "TRUNCATE",
        _ => error::raise(Reason::LedgerTriggerOnly { function: "ledger_refuse" }),
    };
    error::raise(Reason::LedgerAppendOnly { act, table: fault::table_name(relation) })
}

/// `kakunin._entries_restored()`: AFTER INSERT on kakunin.ledger_entry. What a commit writes fires no trigger; so this
/// is a restore, or a subscription, and what shared memory knows of the chains may be wrong.
#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn kakunin_entries_restored(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: as above.
    unsafe {
        match append::trigger_data(call) {
            Some(trigger) => head::forget((*(*trigger).tg_relation).rd_node.relNode),
            None => error::raise(Reason::LedgerTriggerOnly { function: "_entries_restored" }),
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
