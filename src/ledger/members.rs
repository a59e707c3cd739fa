//! The tables that hold a ledger's rows.

use super::store::Ledger;
use pgrx::PgList;
use pgrx::prelude::*;

/// The ledger's own table and its partitions, at every level: number, whether it holds rows. They are locked until the
/// transaction ends against every change of what they are. It is what they are now, whatever snapshot the statement has:
/// a query would name partitions that are gone.
pub fn of(ledger: Ledger) -> Vec<(pg_sys::Oid, bool)> {
    below(ledger.relation)
}

/// A partition, and its own at every level.
pub fn below(relation: pg_sys::Oid) -> Vec<(pg_sys::Oid, bool)> {
    let mut found = Vec::new();
    let mut open = vec![relation];
    while let Some(relation) = open.pop() {
        // SAFETY: takes a lock on a number, whether or not a relation of it is left when it is granted; then its kind is
        // looked up, zero if there is none.
        let kind = unsafe {
            pg_sys::LockRelationOid(relation, pg_sys::AccessShareLock as i32);
            pg_sys::get_rel_relkind(relation).cast_unsigned()
        };
        match kind {
            b'p' => {
                // SAFETY: a list of numbers, each of a relation that was locked and is there.
                let children = unsafe {
                    PgList::<pg_sys::Oid>::from_pg(pg_sys::ffi::pg_guard_ffi_boundary(|| {
                        raw::find_inheritance_children(relation, pg_sys::AccessShareLock as i32)
                    }))
                };
                open.extend(children.iter_oid());
                found.push((relation, false));
            }
            0 => {}
            kind => found.push((relation, kind == b'r')),
        }
    }
    found.sort_unstable_by_key(|(member, _)| member.to_u32());
    found
}

/// Locks them before a snapshot is taken, so that what is read then is described by that snapshot: a partition that is pruned
/// meanwhile would look like rows that are gone. False if the ledger's own table is not there.
pub fn hold(ledger: Ledger) -> bool {
    of(ledger).iter().any(|(member, _)| *member == ledger.relation)
}

/// pgrx has no binding of it.
mod raw {
    use super::*;

    unsafe extern "C-unwind" {
        pub fn find_inheritance_children(parent: pg_sys::Oid, lock: pg_sys::LOCKMODE) -> *mut pg_sys::List;
    }
}
