//! Changes to the tables of trust that no trigger announces: TRUNCATE and COPY while triggers are disabled, as
//! `pg_restore --disable-triggers` has them, or another extension of the same name in place of this one. They all make
//! PostgreSQL tell every backend to forget what it knows of the table.

use crate::{ledger, reading};
use pgrx::prelude::*;
use std::cell::RefCell;

/// Registers for changes of tables; called once from `_PG_init`.
pub fn install() {
    // SAFETY: registered once per process, and the library is never unloaded.
    unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(on_change), pg_sys::Datum::from(0)) };
}

/// A table from which it was read whether a binding counts.
pub fn watch(relation: pg_sys::Oid) {
    WATCHED.with_borrow_mut(|watched| {
        if !watched.contains(&relation) {
            watched.push(relation);
        }
    });
}

// Called while messages are taken in, where no ERROR is expected: nothing here can raise one.
unsafe extern "C-unwind" fn on_change(_argument: pg_sys::Datum, relation: pg_sys::Oid) {
    ledger::relation_changed(relation);
    let ours = WATCHED.with(|watched| watched.try_borrow().is_ok_and(|watched| watched.contains(&relation)));
    if ours || relation == pg_sys::InvalidOid {
        reading::look_again();
    }
}

thread_local! {
    static WATCHED: RefCell<Vec<pg_sys::Oid>> = const { RefCell::new(Vec::new()) };
}
