//! The ends of transactions, and the role lock that lasts until one.

use super::{failure, guard};
use crate::{ledger, registry, session};
use pgrx::prelude::*;
use std::cell::Cell;

/// Fixes the current role until the transaction ends: SET ROLE, RESET ROLE, SET SESSION AUTHORIZATION and
/// set_config('role', …) are refused by PostgreSQL itself from here on (SECURITY_LOCAL_USERID_CHANGE). A rollback
/// to an older savepoint undoes it. Inside a SECURITY DEFINER function, whose return would undo it, the answer is
/// false unless the lock was taken before.
pub fn lock_role() -> bool {
    let (user, context) = security_context();
    if context & LOCAL_USERID_CHANGE == 0 {
        set_security_context(user, context | LOCAL_USERID_CHANGE);
        ROLE_LOCKED.set(true);
    }
    ROLE_LOCKED.get()
}

/// Registers the callbacks; called once from `_PG_init`.
pub fn install() {
    // SAFETY: registered once per process, and the library is never unloaded.
    unsafe {
        pg_sys::RegisterXactCallback(Some(on_end), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(on_subtransaction), std::ptr::null_mut());
    }
}

/// Commit and prepare leave the security context alone (abort restores it), so the lock is taken back here. Only
/// the bit: the user stays whoever it is now.
fn unlock_role() {
    if ROLE_LOCKED.replace(false) {
        let (user, context) = security_context();
        set_security_context(user, context & !LOCAL_USERID_CHANGE);
    }
}

// Nothing but what comes before a commit or a prepare may raise an error here: after a commit that would take the server down.
#[pg_guard]
unsafe extern "C-unwind" fn on_end(event: pg_sys::XactEvent::Type, _argument: *mut core::ffi::c_void) {
    match event {
        pg_sys::XactEvent::XACT_EVENT_PRE_COMMIT => ledger::before_commit(),
        pg_sys::XactEvent::XACT_EVENT_PRE_PREPARE => {
            registry::before_prepare();
            ledger::before_prepare();
        }
        pg_sys::XactEvent::XACT_EVENT_COMMIT => {
            unlock_role();
            failure::take();
            ledger::at_commit();
            registry::at_commit();
            session::at_commit();
        }
        pg_sys::XactEvent::XACT_EVENT_PREPARE => {
            unlock_role();
            failure::take();
            session::at_commit();
        }
        pg_sys::XactEvent::XACT_EVENT_ABORT => {
            ROLE_LOCKED.set(false);
            guard::at_abort();
            ledger::at_abort();
            registry::at_abort();
            session::at_abort(failure::take());
        }
        _ => {}
    }
}

/// A savepoint that is set, or rolled back to (which sets it anew): an error before it was recovered from, and a role
/// lock that was taken after it is gone.
#[pg_guard]
unsafe extern "C-unwind" fn on_subtransaction(
    event: pg_sys::SubXactEvent::Type,
    _own: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _argument: *mut core::ffi::c_void,
) {
    match event {
        pg_sys::SubXactEvent::SUBXACT_EVENT_START_SUB => {
            failure::take();
        }
        pg_sys::SubXactEvent::SUBXACT_EVENT_COMMIT_SUB => ledger::savepoint_released(depth()),
        pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB => {
            guard::at_subtransaction_abort();
            ledger::savepoint_rolled_back(depth());
            let (_, context) = security_context();
            ROLE_LOCKED.set(ROLE_LOCKED.get() && context & LOCAL_USERID_CHANGE != 0);
        }
        _ => {}
    }
}

/// How many savepoints are open, and one.
fn depth() -> i32 {
    // SAFETY: reads a variable of this backend.
    unsafe { pg_sys::GetCurrentTransactionNestLevel() }
}

fn security_context() -> (pg_sys::Oid, i32) {
    let (mut user, mut context) = (pg_sys::InvalidOid, 0);
    // SAFETY: writes to the two locals.
    unsafe { pg_sys::GetUserIdAndSecContext(&mut user, &mut context) };
    (user, context)
}

fn set_security_context(user: pg_sys::Oid, context: i32) {
    // SAFETY: both values come from `security_context`, with one documented bit changed.
    unsafe { pg_sys::SetUserIdAndSecContext(user, context) };
}

thread_local! {
    static ROLE_LOCKED: Cell<bool> = const { Cell::new(false) };
}
const LOCAL_USERID_CHANGE: i32 = pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32;
