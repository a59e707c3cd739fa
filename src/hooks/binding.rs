//! The gated setting `kakunin.binding`: a setting that everyone may read and only [`assign`] may write.
//!
//! A setting, because PostgreSQL then gives us rollback, savepoints, parallel workers and a pooler's reset. Gated,
//! because a check hook that admits nothing but our own setter holds against SET, set_config, ALTER ROLE, function
//! SET clauses, GRANT SET and superusers alike. The hook runs again in each parallel worker, so it must not verify
//! proofs or read keys; RESET only clears, which fails closed.

use crate::reading;
use pgrx::prelude::*;
use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::atomic::{AtomicU64, Ordering};

/// How long a binding lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    Transaction,
    Session,
}

/// Writes the setting; an empty value unbinds. Raises PostgreSQL's own error if the transaction cannot take it
/// (for instance inside a parallel query).
pub fn assign(value: &str, lifetime: Lifetime) {
    let value = CString::new(value).unwrap_or_default();
    let action = match lifetime {
        Lifetime::Transaction => pg_sys::GucAction::GUC_ACTION_LOCAL,
        Lifetime::Session => pg_sys::GucAction::GUC_ACTION_SET,
    };
    let _open = OpenGate::new();
    // SAFETY: both strings are NUL-terminated and outlive the call, which copies the value. An ERROR inside
    // unwinds through here and closes the gate.
    unsafe {
        pg_sys::set_config_option(
            NAME.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_SUSET,
            pg_sys::GucSource::PGC_S_SESSION,
            action,
            true,
            0,
            false,
        );
    }
}

/// Counts assignments (ours, a rollback's, a reset's); a cached reading is good while this stands still.
pub fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// The encoded binding, or `None` when unbound.
pub fn value() -> Option<&'static CStr> {
    // SAFETY: PostgreSQL keeps this pointer at a NUL-terminated string until the next assignment; callers decode
    // it at once and keep no reference.
    unsafe {
        let value = VALUE;
        if value.is_null() || *value == 0 { None } else { Some(CStr::from_ptr(value)) }
    }
}

/// Defines the setting and reserves the prefix, so that `SET kakunin.anything` is refused as well.
pub fn define() {
    // SAFETY: called once per process from _PG_init with static strings.
    unsafe {
        pg_sys::DefineCustomStringVariable(
            NAME.as_ptr(),
            c"The agent certificate that this session is bound to.".as_ptr(),
            c"Written by kakunin.bind_transaction() and kakunin.bind_session() only; RESET unbinds.".as_ptr(),
            &raw mut VALUE,
            c"".as_ptr(),
            pg_sys::GucContext::PGC_SUSET,
            (pg_sys::GUC_NOT_IN_SAMPLE | pg_sys::GUC_DISALLOW_IN_FILE | pg_sys::GUC_NO_SHOW_ALL) as i32,
            Some(check),
            Some(on_assign),
            None,
        );
        pg_sys::MarkGUCPrefixReserved(c"kakunin".as_ptr());
    }
}

/// Admits the empty value, our own setter, and the copy that a parallel worker gets of its leader's settings.
#[pg_guard]
unsafe extern "C-unwind" fn check(
    value: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: PostgreSQL passes a valid pointer to a string or to NULL; the message buffers are its own.
    unsafe {
        if (*value).is_null() || **value == 0 || GATE_OPEN.get() || pg_sys::InitializingParallelWorker {
            return true;
        }
        pg_sys::GUC_check_errcode(pg_sys::errcodes::PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE as i32);
        pg_sys::GUC_check_errmsg_string =
            pg_sys::pstrdup(c"setting \"kakunin.binding\" is written by the extension only".as_ptr());
        pg_sys::GUC_check_errhint_string = pg_sys::pstrdup(c"Present a proof to kakunin.bind_transaction().".as_ptr());
        false
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_assign(_value: *const c_char, _extra: *mut c_void) {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    // The old value is still there. When PostgreSQL restores values at the end of a (sub)transaction, nothing is noted.
    // SAFETY: reads a variable of this backend.
    if unsafe { pg_sys::IsTransactionState() }
        && let Some(old) = value()
    {
        reading::taken_away(old);
    }
}

/// While one of these lives, the check hook admits a value. Dropped on unwinding too.
struct OpenGate;

impl OpenGate {
    fn new() -> Self {
        GATE_OPEN.set(true);
        Self
    }
}

impl Drop for OpenGate {
    fn drop(&mut self) {
        GATE_OPEN.set(false);
    }
}

thread_local! {
    static GATE_OPEN: Cell<bool> = const { Cell::new(false) };
}
static GENERATION: AtomicU64 = AtomicU64::new(0);
static mut VALUE: *mut c_char = std::ptr::null_mut();
const NAME: &CStr = c"kakunin.binding";
