//! Columns that are added to a ledger: rows that there are must have NULL in them, and so keep their hashes.

use super::family::Standing;
use super::{family, frame, look};
use crate::{error, ledger};
use kakunin_core::Reason;
use pgrx::prelude::*;
use std::cell::RefCell;

/// A column was added; it is looked at when the statement has done everything.
pub fn added(relation: pg_sys::Oid, column: i16) {
    let added = Added { relation, column, file: file_of(relation), mark: frame::mark() };
    ADDED.with_borrow_mut(|columns| columns.push(added));
}

/// The statement at this depth has ended: the columns that it added are looked at. Not before, also when other statements
/// ran within it, as when a function in a check constraint runs some: it may yet write the table anew.
pub fn check_added(depth: usize) {
    let columns: Vec<Added> = ADDED.with_borrow_mut(|added| {
        let (ended, open) = std::mem::take(added).into_iter().partition(|added| added.mark.ended_with(depth));
        *added = open;
        ended
    });
    if columns.is_empty() {
        return;
    }
    // SAFETY: between the statement and the end of it; what it did becomes visible here instead of there.
    unsafe { pg_sys::CommandCounterIncrement() };
    let mut roots = Vec::new();
    for added in &columns {
        if is_filled(added) {
            error::raise(Reason::LedgerColumnFilled {
                column: look::column_name(added.relation, added.column).to_string_lossy().into_owned(),
                table: ledger::table_name(added.relation),
            });
        }
        if let Standing::Ledger(root) = family::standing(added.relation)
            && !roots.contains(&root)
        {
            roots.push(root);
        }
    }
    roots.into_iter().for_each(ledger::columns_changed);
}

/// What was added within a (sub)transaction of this level or deeper is not there any more.
pub fn forget(level: i32) {
    ADDED.with_borrow_mut(|columns| columns.retain(|added| !added.mark.undone_with(level)));
}

/// Has a row that was there before something else than NULL in it? Either the catalogue holds the value, or the table was
/// written anew.
fn is_filled(added: &Added) -> bool {
    let keys = [added.relation.into(), added.column.into()];
    let missing = look::cached(pg_sys::SysCacheIdentifier::ATTNUM, keys, |tuple| {
        // SAFETY: a row of pg_attribute, which the cache holds while it is read.
        unsafe { (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_attribute>()).atthasmissing }
    });
    missing != Some(false) || file_of(added.relation) != added.file
}

/// Which file holds the table's rows.
fn file_of(relation: pg_sys::Oid) -> pg_sys::Oid {
    look::class(relation, |class| class.relfilenode).unwrap_or(pg_sys::InvalidOid)
}

struct Added {
    relation: pg_sys::Oid,
    column: i16,
    file: pg_sys::Oid,
    mark: frame::Mark,
}

thread_local! {
    static ADDED: RefCell<Vec<Added>> = const { RefCell::new(Vec::new()) };
}
