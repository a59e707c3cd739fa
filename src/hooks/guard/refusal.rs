//! How the guard refuses.

use super::family::Standing;
use crate::error;
use crate::ledger::table_name;
use kakunin_core::Reason;
use pgrx::prelude::*;

/// Refuses a change of rows that are there.
pub fn rows(act: &'static str, relation: pg_sys::Oid, standing: Standing) -> ! {
    let table = table_name(relation);
    error::raise(match standing {
        Standing::Catalogue => Reason::LedgerCatalogue { act, table },
        _ => Reason::LedgerAppendOnly { act, table },
    })
}

/// Refuses a change of what a table is.
pub fn definition(act: &'static str, relation: pg_sys::Oid, standing: Standing) -> ! {
    let object = table_name(relation);
    error::raise(match standing {
        Standing::Catalogue => Reason::LedgerCatalogue { act, table: object },
        Standing::Own => Reason::LedgerExtension { act, object },
        _ => Reason::LedgerDefinition { act, table: object },
    })
}

/// Refuses a change of something in the extension.
pub fn extension(act: &'static str, object: String) -> ! {
    error::raise(Reason::LedgerExtension { act, object })
}
