//! Which error ended the transaction, if one did. A gateway that reruns a transaction after a serialization failure presents
//! the same proof again, and that one case must be told from every other abort.

use pgrx::prelude::*;
use std::cell::Cell;

/// Was the last error of this backend one that a client is expected to retry (40001, 40P01)? Forgets it.
pub fn take_retryable() -> bool {
    RETRYABLE.replace(false)
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
                RETRYABLE.set(code == SERIALIZATION_FAILURE || code == DEADLOCK_DETECTED);
            }
        }
        if let Some(previous) = PREVIOUS {
            previous(report);
        }
    }
}

thread_local! {
    static RETRYABLE: Cell<bool> = const { Cell::new(false) };
}
static mut PREVIOUS: pg_sys::emit_log_hook_type = None;
const IN_FAILED_TRANSACTION: i32 = PgSqlErrorCode::ERRCODE_IN_FAILED_SQL_TRANSACTION as i32;
const SERIALIZATION_FAILURE: i32 = PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE as i32;
const DEADLOCK_DETECTED: i32 = PgSqlErrorCode::ERRCODE_T_R_DEADLOCK_DETECTED as i32;
