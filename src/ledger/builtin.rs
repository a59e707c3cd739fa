//! The ledgers that come with the extension: each is opened by its first row.

use super::attach::{new_id, next_ledger_number, register, type_text};
use super::plan::{ROW, TX};
use super::store::{self, Ledger, Table};
use super::{columns, fault, raw};
use kakunin_core::ledger::{Detail, Kind, entry::Column};
use pgrx::prelude::*;
use std::ffi::CStr;

/// The ledger of a table of ours; made if there is none.
pub fn ledger(relation: pg_sys::Relation) -> Ledger {
    // SAFETY: the caller has the relation open.
    let oid = unsafe { (*relation).rd_id };
    if let Some(ledger) = store::ledger_by_relation(oid) {
        return ledger;
    }
    // Two first rows at once: the second waits for the first one's transaction.
    // SAFETY: the lock is kept until this transaction ends.
    unsafe { pg_sys::LockRelationOid(Table::Ledger.oid(), pg_sys::ShareRowExclusiveLock as i32) };
    store::ledger_by_relation(oid).unwrap_or_else(|| open(relation))
}

fn open(relation: pg_sys::Relation) -> Ledger {
    // SAFETY: as above.
    let (oid, columns) = unsafe { ((*relation).rd_id, map((*relation).rd_att)) };
    let ledger = Ledger { number: next_ledger_number(), id: new_id(), relation: oid };
    register(ledger, &columns);
    columns::note(ledger, Kind::Open, &Detail::Open { columns, name: fault::table_name(oid) });
    // If this is rolled back, plans that name the ledger must be, too.
    // SAFETY: sends a message about a table that exists.
    unsafe { pg_sys::CacheInvalidateRelcacheByRelid(oid) };
    ledger
}

unsafe fn map(description: pg_sys::TupleDesc) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    // SAFETY: within the number of attributes.
    unsafe {
        for at in 0..usize::try_from((*description).natts).unwrap_or(0) {
            let attribute = raw::attribute(description, at);
            let name = CStr::from_ptr((*attribute).attname.data.as_ptr()).to_string_lossy().into_owned();
            if !(*attribute).attisdropped && name != TX && name != ROW {
                let number = u16::try_from(columns.len() + 1).unwrap_or(u16::MAX);
                let r#type = type_text((*attribute).atttypid, (*attribute).atttypmod);
                columns.push(Column { name, number, redactable: false, r#type });
            }
        }
    }
    columns
}
