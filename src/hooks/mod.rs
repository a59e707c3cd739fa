//! Where PostgreSQL calls us. Each file saves the previous hook, calls it on every path, and hands the case to a
//! face function by name.

pub mod binding;
pub mod failure;
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
    planner::install();
    relation::install();
    transaction::install();
}
