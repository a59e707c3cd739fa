//! How the guard refuses.

use super::family::Standing;
use super::look;
use crate::error;
use kakunin_core::Reason;
use pgrx::prelude::*;

/// Raises the refusal.
pub fn raise(reason: Reason) -> ! {
    error::report(reason).report(PgLogLevel::ERROR);
    unreachable!("an error report of level ERROR does not return")
}

/// Refuses a change of rows that are there.
pub fn rows(act: &'static str, relation: pg_sys::Oid, standing: Standing) -> ! {
    let table = look::name_of(relation);
    raise(match standing {
        Standing::Catalogue => Reason::LedgerCatalogue { act, table },
        _ => Reason::LedgerAppendOnly { act, table },
    })
}

/// Refuses a change of what a table is.
pub fn definition(act: &'static str, relation: pg_sys::Oid, standing: Standing) -> ! {
    let object = look::name_of(relation);
    raise(match standing {
        Standing::Catalogue => Reason::LedgerCatalogue { act, table: object },
        Standing::Own => Reason::LedgerExtension { act, object },
        _ => Reason::LedgerDefinition { act, table: object },
    })
}

/// Refuses a change of something in the extension.
pub fn extension(act: &'static str, object: String) -> ! {
    raise(Reason::LedgerExtension { act, object })
}
