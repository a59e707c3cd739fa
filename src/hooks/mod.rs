//! Where PostgreSQL calls us. Each file saves the previous hook, calls it on every path, and hands the case to a
//! face function by name.

use crate::shmem;

pub mod binding;
pub mod failure;
pub mod guard;
mod light;
pub mod peer;
mod planner;
pub mod relation;
pub mod transaction;
mod trigger;

/// Installs everything; called once from `_PG_init`.
pub fn install() {
    binding::define();
    failure::install();
    if shmem::preloading() {
        guard::install();
    }
    planner::install();
    relation::install();
    transaction::install();
}
