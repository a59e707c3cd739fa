//! Refusals that are raised from more than one place.

use crate::error;
use kakunin_core::Reason;
use kakunin_core::ledger::Malformed;
use pgrx::prelude::*;
use std::ffi::CStr;

/// A row that cannot be hashed.
pub fn unhashable(relation: pg_sys::Oid, what: &Malformed) -> ! {
    error::raise(Reason::LedgerRowMalformed { table: table_name(relation), what: what.to_string() })
}

/// An entry, or what must be one, is not.
pub fn broken(what: &str) -> ! {
    error::raise(Reason::LedgerEntryMalformed { what: what.to_owned() })
}

/// The name of a table with its schema, quoted where that is needed.
pub fn table_name(relation: pg_sys::Oid) -> String {
    // SAFETY: catalogue lookups; an unknown relation gives NULL. The texts are copied at once.
    unsafe {
        let name = pg_sys::get_rel_name(relation);
        if name.is_null() {
            return format!("relation {}", relation.to_u32());
        }
        let schema = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(relation));
        let qualified = pg_sys::quote_qualified_identifier(schema, name);
        CStr::from_ptr(qualified).to_string_lossy().into_owned()
    }
}
