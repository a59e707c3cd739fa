//! Which tables belong to a ledger. Remembered until PostgreSQL says that some table changed, so that a database without
//! a ledger pays a comparison of two numbers.

use super::look;
use crate::ledger;
use pgrx::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a table is to the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A ledger's table, or one of its partitions at any level; with the ledger's table.
    Ledger(pg_sys::Oid),
    /// A table or sequence that ledgers are kept in.
    Own,
    /// One of PostgreSQL's own.
    Catalogue,
    /// Anything else.
    Stranger,
}

/// Registers for changes of tables; called once from `_PG_init`.
pub fn install() {
    // SAFETY: registered once per process, and the library is never unloaded.
    unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(on_change), pg_sys::Datum::from(0)) };
}

/// Tells every session to look again which tables are ledgers, once this transaction commits, and this one at once.
pub fn announce() {
    // So that this session knows which table lists them.
    is_active();
    let register = KNOWN.with_borrow(|known| known.register);
    if register != pg_sys::InvalidOid {
        // SAFETY: sends a message about a table that exists; nothing is read or written.
        unsafe { pg_sys::CacheInvalidateRelcacheByRelid(register) };
    }
}

/// Is there a ledger in this database?
pub fn is_active() -> bool {
    if LOOKED.get() != GENERATION.load(Ordering::Relaxed) {
        look();
    }
    ACTIVE.get()
}

/// Is this the table that lists the ledgers? Ask after [`is_active`].
pub fn is_register(relation: pg_sys::Oid) -> bool {
    KNOWN.with_borrow(|known| known.register == relation && relation != pg_sys::InvalidOid)
}

/// What this relation is. Ask only while [`is_active`].
pub fn standing(relation: pg_sys::Oid) -> Standing {
    if relation.to_u32() < pg_sys::FirstUnpinnedObjectId {
        return Standing::Catalogue;
    }
    if let Some(known) = KNOWN.with_borrow(|known| known.standings.get(&relation).copied()) {
        return known;
    }
    let generation = GENERATION.load(Ordering::Relaxed);
    let root = ledger::partition_ancestors(relation).into_iter().find(|ancestor| is_root(*ancestor));
    let standing = root.map_or(Standing::Stranger, Standing::Ledger);
    // What changed meanwhile was not seen.
    if GENERATION.load(Ordering::Relaxed) == generation {
        KNOWN.with_borrow_mut(|known| known.standings.insert(relation, standing));
    }
    standing
}

/// The tables of all ledgers.
pub fn roots() -> Vec<pg_sys::Oid> {
    KNOWN.with_borrow(|known| known.roots.clone())
}

/// The id of the ledger that has this table.
pub fn id_of(root: pg_sys::Oid) -> Option<[u8; 16]> {
    let register = KNOWN.with_borrow(|known| known.register);
    let mut id = None;
    look::rows(register, |row| {
        if row.oid(c"relation") == Some(root) {
            id = row.uuid(c"id");
        }
    });
    id
}

fn is_root(relation: pg_sys::Oid) -> bool {
    KNOWN.with_borrow(|known| known.roots.contains(&relation))
}

fn look() {
    // SAFETY: reads variables of this backend.
    if unsafe { pg_sys::IsBinaryUpgrade || !pg_sys::IsTransactionState() } {
        // pg_upgrade writes to the catalogues. Outside of a transaction nothing can be read, nor changed.
        ACTIVE.set(false);
        return;
    }
    // An error in here leaves the number of the last look as it was.
    let generation = GENERATION.load(Ordering::Relaxed);
    let mut known = Known::nothing();
    if let Some(schema) = look::schema() {
        known.register = look::relation(c"ledger", schema);
        if known.register != pg_sys::InvalidOid {
            look::rows(known.register, |row| known.roots.extend(row.oid(c"relation")));
        }
        if !known.roots.is_empty() {
            let own = OWN.iter().map(|name| look::relation(name, schema)).filter(|own| *own != pg_sys::InvalidOid);
            known.standings.extend(own.map(|own| (own, Standing::Own)));
            known.standings.extend(known.roots.iter().map(|root| (*root, Standing::Ledger(*root))));
        }
    }
    ACTIVE.set(!known.roots.is_empty());
    KNOWN.set(known);
    LOOKED.set(generation);
}

// Called while messages are taken in, where no ERROR is expected: nothing here can raise one.
unsafe extern "C-unwind" fn on_change(_argument: pg_sys::Datum, _relation: pg_sys::Oid) {
    // Also of other tables than the list: a table can become a ledger, or part of one, and new lists can come.
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

struct Known {
    register: pg_sys::Oid,
    roots: Vec<pg_sys::Oid>,
    standings: HashMap<pg_sys::Oid, Standing>,
}

impl Known {
    fn nothing() -> Self {
        Self { register: pg_sys::InvalidOid, roots: Vec::new(), standings: HashMap::new() }
    }
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::new(Known::nothing());
    static LOOKED: Cell<u64> = const { Cell::new(0) };
    static ACTIVE: Cell<bool> = const { Cell::new(false) };
}
static GENERATION: AtomicU64 = AtomicU64::new(1);

/// What ledgers are kept in, in schema kakunin.
const OWN: &[&CStr] = &[
    c"ledger",
    c"ledger_column",
    c"ledger_entry",
    c"ledger_redaction",
    c"ledger_number_seq",
    c"ledger_tx_number",
    c"log",
    c"log_range",
    c"log_tile",
    c"checkpoint",
    c"signing_key",
];
