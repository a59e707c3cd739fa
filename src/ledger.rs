//! Tables that only grow, and whose growth is chained.
//!
//! A row that is inserted gives a leaf ([`append`], by the [`plan`] of its table); a transaction keeps its leaves to
//! itself ([`pending`]) until its commit writes one entry per ledger ([`commit`]). What the bytes are and whether they
//! agree is core's to say; docs/ledger.md is for people and docs/spec/ledger.md for verifiers.

pub mod append;
pub mod attach;
mod codec;
mod commit;
pub mod fault;
pub mod head;
mod pending;
mod plan;
pub mod raw;
mod refuse;
pub mod store;
pub mod verify;

use pgrx::prelude::*;

pub use commit::{at_abort, at_commit, before_commit, before_prepare, install};

/// A savepoint at this depth was rolled back to. Must not fail.
pub fn savepoint_rolled_back(depth: i32) {
    pending::try_with(|pending| pending.roll_back(depth));
}

/// A savepoint at this depth was released. Must not fail.
pub fn savepoint_released(depth: i32) {
    pending::try_with(|pending| pending.release(depth));
}

/// What was known of a relation is no longer so; zero stands for all. Must not fail.
pub fn relation_changed(relation: pg_sys::Oid) {
    plan::forget(relation);
    store::forget(relation);
}
