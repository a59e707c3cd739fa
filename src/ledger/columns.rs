//! Columns that a ledger's table gets later.

use super::attach::{self, type_text};
use super::plan::{self, ROW, SALT, TX};
use super::store::{self, Ledger};
use super::{apply, codec::Codec, fault, pending, raw};
use crate::error;
use kakunin_core::Reason;
use kakunin_core::ledger::entry::Column;
use kakunin_core::ledger::{Detail, Kind};
use pgrx::prelude::*;
use std::ffi::CStr;

/// A statement has altered this ledger's table: chains its new columns, if there are any. Rows from before have NULL in
/// them, which leaves their hashes as they are.
pub fn changed(relation: pg_sys::Oid) {
    let Some(ledger) = store::ledger_by_relation(relation) else { return };
    // Where the rows come from, the column is chained, and that comes with them.
    if apply::is_replica(&raw::inheritors(relation)) {
        return;
    }
    let mut columns = store::columns(ledger.number);
    let before = columns.len();
    let refused = |column: &str, what: String| {
        let (table, column) = (fault::table_name(relation), column.to_owned());
        error::raise(Reason::LedgerColumnUnsuitable { table, column, what })
    };
    // SAFETY: the relation is open while its description is read.
    unsafe {
        let heap = pg_sys::table_open(relation, pg_sys::AccessShareLock as i32);
        let description = (*heap).rd_att;
        for at in 0..usize::try_from((*description).natts).unwrap_or(0) {
            let attribute = raw::attribute(description, at);
            let name = CStr::from_ptr((*attribute).attname.data.as_ptr()).to_string_lossy().into_owned();
            if (*attribute).attisdropped
                || [TX, ROW, SALT].contains(&name.as_str())
                || columns.iter().any(|column| column.name == name)
            {
                continue;
            }
            if let Err(what) = Codec::of((*attribute).atttypid) {
                refused(&name, what);
            }
            // A default that is stored for the rows that there are would be part of them.
            if (*attribute).attnotnull || (*attribute).atthasmissing || (*attribute).attgenerated != 0 {
                refused(&name, "must be nullable and without a default when it is added".to_owned());
            }
            let last = columns.last().map_or(0, |column| column.number);
            let number = last.checked_add(1).unwrap_or_else(|| fault::broken("there are no more column numbers"));
            let r#type = type_text((*attribute).atttypid, (*attribute).atttypmod);
            columns.push(Column { name, number, redactable: false, r#type });
        }
        pg_sys::table_close(heap, pg_sys::NoLock as i32);
    }
    if columns.len() > before {
        attach::register_columns(ledger, &columns[before..]);
        note(ledger, Kind::Columns, &Detail::Columns { columns });
        plan::forget_all();
    }
}

/// Adds an entry without rows to what this transaction will chain.
pub fn note(ledger: Ledger, kind: Kind, detail: &Detail) {
    apply::refuse_replica(ledger);
    let detail = detail.encode().unwrap_or_else(|what| fault::broken(&what.to_string()));
    // SAFETY: reads a variable of this backend.
    let depth = unsafe { pg_sys::GetCurrentTransactionNestLevel() };
    pending::with(|pending| pending.chain(ledger).note(kind, detail, depth));
}
