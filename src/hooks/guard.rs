//! Refuses what would change a ledger's past, for everyone, superusers too.
//!
//! Three of PostgreSQL's hooks, because none sees everything. The executor's permission check sees every UPDATE and
//! DELETE, whatever it is wrapped in. The object access hook sees every object that is dropped or altered, by its oid and
//! under its lock, so that names and nesting cannot mislead it. The utility hook sees what those two do not: statements
//! that fire nothing, and which statement an alteration belongs to. What a statement does to a ledger must be on a list of
//! what is harmless; everything else is refused.

mod column;
mod family;
mod frame;
mod kind;
mod look;
mod object;
mod partition;
mod refusal;
mod statement;
mod trigger;
mod types;
mod write;

pub use family::announce;
pub use frame::{allowed, at_abort, at_subtransaction_abort};

use pgrx::prelude::*;
use std::ffi::{c_char, c_int, c_void};

/// Chains into the hooks; called once from `_PG_init`, while the library is preloaded.
pub fn install() {
    family::install();
    // SAFETY: _PG_init runs once per process; the previous hooks are kept and called.
    unsafe {
        PREVIOUS_UTILITY = pg_sys::ProcessUtility_hook;
        pg_sys::ProcessUtility_hook = Some(on_utility);
        PREVIOUS_ACCESS = pg_sys::object_access_hook;
        pg_sys::object_access_hook = Some(on_access);
    }
    write::install();
}

// Not guarded and without destructors, so that errors of the statement reach the user with context and position.
#[allow(clippy::too_many_arguments)]
unsafe extern "C-unwind" fn on_utility(
    planned: *mut pg_sys::PlannedStmt,
    source: *const c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    parameters: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    destination: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: PostgreSQL passes a statement to execute; all of it is handed on as it came.
    unsafe {
        let depth = before_utility((*planned).utilityStmt);
        match PREVIOUS_UTILITY {
            Some(previous) => {
                previous(planned, source, read_only_tree, context, parameters, environment, destination, completion)
            }
            None => raw::standard_ProcessUtility(
                planned,
                source,
                read_only_tree,
                context,
                parameters,
                environment,
                destination,
                completion,
            ),
        }
        after_utility(depth);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn before_utility(statement: *mut pg_sys::Node) -> usize {
    // SAFETY: the statement that PostgreSQL is about to execute.
    unsafe {
        let kind = kind::of(statement);
        if kind.concerns_us() && family::is_active() && !frame::statement_is_allowed() {
            statement::check(statement, kind);
        }
        frame::enter(kind)
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn after_utility(depth: usize) {
    frame::leave(depth);
    column::check_added(depth);
    partition::complete(depth);
}

// Not guarded, as above.
unsafe extern "C-unwind" fn on_access(
    access: pg_sys::ObjectAccessType::Type,
    class: pg_sys::Oid,
    object: pg_sys::Oid,
    sub: c_int,
    argument: *mut c_void,
) {
    // SAFETY: PostgreSQL passes what happens to which object; it is handed on as it came.
    unsafe {
        if let Some(previous) = PREVIOUS_ACCESS {
            previous(access, class, object, sub, argument);
        }
        // These two are asked often, and change nothing.
        if access != pg_sys::ObjectAccessType::OAT_FUNCTION_EXECUTE
            && access != pg_sys::ObjectAccessType::OAT_NAMESPACE_SEARCH
        {
            check_access(access, class, object, sub, argument);
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn check_access(
    access: pg_sys::ObjectAccessType::Type,
    class: pg_sys::Oid,
    object: pg_sys::Oid,
    sub: c_int,
    argument: *mut c_void,
) {
    if family::is_active() && !frame::object_is_allowed() {
        // SAFETY: as PostgreSQL passed it.
        unsafe { object::check(access, class, object, sub, argument) };
    }
}

/// Declared here rather than taken from pgrx: its wrapper would strip context and position off every error.
mod raw {
    use super::*;

    unsafe extern "C-unwind" {
        pub fn standard_ProcessUtility(
            planned: *mut pg_sys::PlannedStmt,
            source: *const c_char,
            read_only_tree: bool,
            context: pg_sys::ProcessUtilityContext::Type,
            parameters: pg_sys::ParamListInfo,
            environment: *mut pg_sys::QueryEnvironment,
            destination: *mut pg_sys::DestReceiver,
            completion: *mut pg_sys::QueryCompletion,
        );
    }
}

static mut PREVIOUS_UTILITY: pg_sys::ProcessUtility_hook_type = None;
static mut PREVIOUS_ACCESS: pg_sys::object_access_hook_type = None;
