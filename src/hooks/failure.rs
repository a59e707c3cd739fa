//! Which error ended the transaction, if one did. A gateway that reruns a transaction after a serialization failure presents
//! the same proof again, and that one case must be told from every other abort.

use pgrx::prelude::*;
use std::cell::Cell;

/// An error after which a client is expected to try the same transaction again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// 40001
    Serialization,
    /// 40P01
    Deadlock,
}

/// The last error of this backend, if it was one of those. Forgets it.
pub fn take() -> Option<Failure> {
    LAST.take()
}

/// Chains into the log of errors.
pub fn install() {
    // SAFETY: _PG_init runs once per process; the previous hook is kept and called.
    unsafe {
        PREVIOUS = pg_sys::emit_log_hook;
        pg_sys::emit_log_hook = Some(on_log);
    }
}

// Not guarded: a frame without destructors between PostgreSQL and the next hook, so errors pass as they are.
unsafe extern "C-unwind" fn on_log(report: *mut pg_sys::ErrorData) {
    // SAFETY: PostgreSQL passes the report it is about to write.
    unsafe {
        if (*report).elevel >= PgLogLevel::ERROR as i32 {
            let code = (*report).sqlerrcode;
            // Statements after the failure are refused with an error of their own, which says nothing new.
            if code != IN_FAILED_TRANSACTION {
                LAST.set(match code {
                    SERIALIZATION_FAILURE => Some(Failure::Serialization),
                    DEADLOCK_DETECTED => Some(Failure::Deadlock),
                    _ => None,
                });
            }
        }
        if let Some(previous) = PREVIOUS {
            previous(report);
        }
    }
}

thread_local! {
    static LAST: Cell<Option<Failure>> = const { Cell::new(None) };
}
static mut PREVIOUS: pg_sys::emit_log_hook_type = None;
const IN_FAILED_TRANSACTION: i32 = PgSqlErrorCode::ERRCODE_IN_FAILED_SQL_TRANSACTION as i32;
const SERIALIZATION_FAILURE: i32 = PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE as i32;
const DEADLOCK_DETECTED: i32 = PgSqlErrorCode::ERRCODE_T_R_DEADLOCK_DETECTED as i32;
