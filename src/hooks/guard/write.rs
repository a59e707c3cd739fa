//! UPDATE and DELETE, whatever they are wrapped in: views, rules, MERGE, ON CONFLICT, foreign keys, functions, WITH.

use super::{family, frame, refusal};
use crate::ledger;
use family::Standing;
use pgrx::PgList;
use pgrx::prelude::*;

/// Chains into the executor's permission check.
pub fn install() {
    // SAFETY: _PG_init runs once per process; the previous hook is kept and called.
    unsafe {
        PREVIOUS = pg_sys::ExecutorCheckPerms_hook;
        pg_sys::ExecutorCheckPerms_hook = Some(on_check);
    }
}

// Not guarded and without destructors, so that errors pass as they are.
#[cfg(feature = "pg15")]
unsafe extern "C-unwind" fn on_check(tables: *mut pg_sys::List, raises: bool) -> bool {
    // SAFETY: PostgreSQL passes the tables of a plan; they are handed on as they came.
    unsafe {
        let granted = match PREVIOUS {
            Some(previous) => previous(tables, raises),
            None => true,
        };
        granted && admits(tables, raises)
    }
}

// Not guarded, as above.
#[cfg(not(feature = "pg15"))]
unsafe extern "C-unwind" fn on_check(tables: *mut pg_sys::List, permissions: *mut pg_sys::List, raises: bool) -> bool {
    // SAFETY: PostgreSQL passes the tables of a plan and what is asked of them; they are handed on as they came.
    unsafe {
        let granted = match PREVIOUS {
            Some(previous) => previous(tables, permissions, raises),
            None => true,
        };
        granted && admits(permissions, raises)
    }
}

#[cfg(feature = "pg15")]
type Asked = pg_sys::RangeTblEntry;
#[cfg(not(feature = "pg15"))]
type Asked = pg_sys::RTEPermissionInfo;

#[pg_guard]
unsafe extern "C-unwind" fn admits(tables: *mut pg_sys::List, raises: bool) -> bool {
    // SAFETY: the list holds nodes of this type.
    let asked = unsafe { PgList::<Asked>::from_pg(tables) };
    for table in asked.iter_ptr() {
        // SAFETY: as above.
        let (relation, permissions, updates) =
            unsafe { ((*table).relid, (*table).requiredPerms, !(*table).updatedCols.is_null()) };
        let inserts = permissions & ACL_INSERT != 0;
        // SELECT FOR UPDATE asks for the permission, but for no column.
        let updates = permissions & ACL_UPDATE != 0 && updates;
        let deletes = permissions & ACL_DELETE != 0;
        if (inserts || updates || deletes) && relation != pg_sys::InvalidOid {
            let act = match (inserts, updates, deletes) {
                (true, true, _) => "INSERT … ON CONFLICT DO UPDATE",
                (_, true, true) => "MERGE",
                (_, true, _) => "UPDATE",
                (_, _, true) => "DELETE",
                _ => "INSERT",
            };
            if !admits_write(act, relation, updates || deletes, raises) {
                return false;
            }
        }
    }
    true
}

fn admits_write(act: &'static str, relation: pg_sys::Oid, changes: bool, raises: bool) -> bool {
    let active = family::is_active();
    if !changes && family::is_register(relation) {
        family::announce();
    }
    let is_catalogue = relation.to_u32() < pg_sys::FirstUnpinnedObjectId;
    if !active || !(changes || is_catalogue) {
        return true;
    }
    match family::standing(relation) {
        Standing::Stranger => true,
        // That of kakunin.redact(), which the ledger's triggers hold to one row.
        Standing::Ledger(_) if act == "UPDATE" && ledger::is_update_allowed(relation) => true,
        _ if frame::write_is_allowed() => true,
        _ if !raises => false,
        standing => refusal::rows(act, relation, standing),
    }
}

static mut PREVIOUS: pg_sys::ExecutorCheckPerms_hook_type = None;
const ACL_INSERT: pg_sys::AclMode = pg_sys::ACL_INSERT as pg_sys::AclMode;
const ACL_UPDATE: pg_sys::AclMode = pg_sys::ACL_UPDATE as pg_sys::AclMode;
const ACL_DELETE: pg_sys::AclMode = pg_sys::ACL_DELETE as pg_sys::AclMode;
