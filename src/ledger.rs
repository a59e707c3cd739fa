//! Tables that only grow, and whose growth is chained.
//!
//! A row that is inserted gives a leaf ([`append`], by the [`plan`] of its table); a transaction keeps its leaves to
//! itself ([`pending`]) until its commit writes one entry per ledger ([`commit`]). What the bytes are and whether they
//! agree is core's to say; docs/ledger.md is for people and docs/spec/ledger.md for verifiers.

pub mod append;
mod apply;
pub mod attach;
mod builtin;
mod codec;
mod columns;
mod commit;
pub mod ends;
mod export;
pub mod fault;
pub mod head;
mod members;
mod owner;
mod pending;
mod plan;
pub mod prune;
pub mod raw;
pub mod redact;
mod refuse;
pub mod repair;
pub mod rows;
mod sort;
pub mod store;
pub mod verify;

use kakunin_core::Reason;
use pgrx::prelude::*;

pub use attach::partition_joined;
pub use columns::changed as columns_changed;
pub use commit::{at_abort, at_commit, before_commit, before_prepare, install};
pub use fault::table_name;
pub use raw::partition_ancestors;
pub use refuse::is_update_allowed;

/// A savepoint at this depth was rolled back to. Must not fail.
pub fn savepoint_rolled_back(depth: i32) {
    pending::try_with(|pending| pending.roll_back(depth));
    apply::roll_back(depth);
}

/// A savepoint at this depth was released. Must not fail.
pub fn savepoint_released(depth: i32) {
    pending::try_with(|pending| pending.release(depth));
    apply::release(depth);
}

/// What was known of a relation is no longer so; zero stands for all. Must not fail.
pub fn relation_changed(relation: pg_sys::Oid) {
    plan::forget(relation);
    store::forget(relation);
}

/// The ledger of a table, or of a partition of one.
fn ledger_of(relation: pg_sys::Oid) -> Result<store::Ledger, Reason> {
    let root = raw::partition_ancestors(relation).last().copied().unwrap_or(relation);
    store::ledger_by_relation(root).ok_or_else(|| Reason::LedgerUnknown { table: fault::table_name(relation) })
}

/// What an entry will say of why. Refused if it is empty.
fn stated(reason: Option<String>) -> Result<String, Reason> {
    reason.filter(|reason| !reason.trim().is_empty()).ok_or(Reason::ReasonMissing)
}

/// Runs one statement, with the rights of the current user.
fn run(statement: &str) {
    if let Err(failure) = Spi::run(statement) {
        ereport!(ERROR, PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, format!("{failure}"));
    }
}
