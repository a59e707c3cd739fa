//! Plain facts about this backend and its server.

use kakunin_core::Reason;
use pgrx::prelude::*;
use std::ffi::{CStr, OsString, c_char};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The role that SET ROLE or SET SESSION AUTHORIZATION chose; the bodies of definer functions do not change it.
pub fn outer_role() -> pg_sys::Oid {
    // SAFETY: reads a variable of this backend.
    unsafe { raw::GetOuterUserId() }
}

/// Its name.
pub fn outer_role_name() -> String {
    role_name(outer_role())
}

/// The role that logged in.
pub fn session_user() -> String {
    // SAFETY: reads a variable of this backend.
    role_name(unsafe { pg_sys::GetSessionUserId() })
}

/// Distinguishes this backend from every other, also from a later one with the same process id.
pub fn identity() -> u64 {
    // SAFETY: plain reads of variables set at backend start.
    unsafe { (pg_sys::MyProcPid as u64) << 32 ^ pg_sys::MyStartTimestamp as u64 }
}

/// What initdb gave this cluster; its physical copies have the same.
pub fn system_identifier() -> u64 {
    // SAFETY: reads the control file's copy in memory.
    unsafe { pg_sys::GetSystemIdentifier() }
}

/// The database that we are connected to.
pub fn database_name() -> String {
    // SAFETY: an unknown database gives NULL.
    unsafe { owned(pg_sys::get_database_name(pg_sys::MyDatabaseId)) }.unwrap_or_default()
}

/// The cluster's files.
pub fn data_directory() -> PathBuf {
    // SAFETY: set once at server start, before any other process is there.
    PathBuf::from(OsString::from_vec(unsafe { CStr::from_ptr(pg_sys::DataDir) }.to_bytes().to_vec()))
}

/// On a standby, how far WAL was replayed; `None` on a primary.
pub fn replayed_position() -> Option<u64> {
    // SAFETY: both read shared state of the server.
    unsafe { raw::RecoveryInProgress().then(|| raw::GetXLogReplayRecPtr(std::ptr::null_mut())) }
}

/// Does this server replay the WAL of another one?
pub fn is_standby() -> bool {
    // SAFETY: reads shared state of the server.
    unsafe { raw::RecoveryInProgress() }
}

/// May this transaction write? PostgreSQL would refuse too, but after locks were asked for.
pub fn writable() -> Result<(), Reason> {
    // SAFETY: reads shared state of the server, and a variable of this backend.
    let (standby, read_only) = unsafe { (raw::RecoveryInProgress(), pg_sys::XactReadOnly) };
    match (standby, read_only) {
        (true, _) => Err(Reason::ServerIsStandby),
        (_, true) => Err(Reason::TransactionReadOnly),
        _ => Ok(()),
    }
}

/// Raises PostgreSQL's own refusal where the transaction cannot write: it is read only, as each is on a standby.
pub fn refuse_read_only(command: &CStr) {
    // SAFETY: the name is copied into the message.
    unsafe { pg_sys::PreventCommandIfReadOnly(command.as_ptr()) };
}

/// What this transaction wrote is seen by what it reads from here on.
pub fn next_command() {
    // SAFETY: in a transaction, and no tuple that was read before is held.
    unsafe { pg_sys::CommandCounterIncrement() };
}

/// The server's clock, in PostgreSQL's microseconds since 2000.
pub fn clock() -> i64 {
    // SAFETY: reads the clock.
    unsafe { raw::GetCurrentTimestamp() }
}

/// Is a savepoint open, or a block with an exception handler?
pub fn is_below_savepoint() -> bool {
    // SAFETY: reads a variable of this backend.
    unsafe { pg_sys::GetCurrentTransactionNestLevel() > 1 }
}

/// A setting that may not exist. Empty counts as absent: PostgreSQL leaves '' behind after a transaction.
pub fn setting(name: &CStr) -> Option<String> {
    // SAFETY: with missing_ok set, an unknown name gives NULL; the text is copied before anything can change it.
    unsafe { owned(pg_sys::GetConfigOption(name.as_ptr(), true, false)) }.filter(|value| !value.is_empty())
}

/// Fills a buffer with bytes that nobody can guess.
pub fn fill_random(bytes: &mut [u8]) {
    // SAFETY: fills exactly the buffer that is passed.
    if !unsafe { pg_sys::pg_strong_random(bytes.as_mut_ptr().cast(), bytes.len()) } {
        ereport!(ERROR, PgSqlErrorCode::ERRCODE_SYSTEM_ERROR, "could not generate random bytes");
    }
}

/// 48 hexadecimal digits that nobody can guess.
pub fn random_text() -> String {
    let mut bytes = [0u8; 24];
    fill_random(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn role_name(role: pg_sys::Oid) -> String {
    // SAFETY: with noerr set, an unknown role gives NULL.
    unsafe { owned(pg_sys::GetUserNameFromId(role, true)) }.unwrap_or_default()
}

unsafe fn owned(text: *const c_char) -> Option<String> {
    // SAFETY: the caller passes NULL or a NUL-terminated string.
    unsafe { (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned()) }
}

/// Functions that raise no error, so that the guard which pgrx puts around each call, dear where a policy runs for
/// every row, has nothing to catch.
mod raw {
    use super::pg_sys;

    unsafe extern "C" {
        pub fn GetOuterUserId() -> pg_sys::Oid;
        pub fn RecoveryInProgress() -> bool;
        pub fn GetXLogReplayRecPtr(timeline: *mut u32) -> u64;
        pub fn GetCurrentTimestamp() -> i64;
    }
}
