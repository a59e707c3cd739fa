//! The worker of a database: makes a checkpoint every `kakunin.checkpoint_interval`.
//!
//! It starts when recovery is over, so a standby has none, and a standby that is promoted gets one. It acts as role
//! kakunin_worker, which may do nothing but that.

use super::{mind_requests, mind_signals};
use crate::ledger::store;
use crate::{config, slots};
use pgrx::PgTryBuilder;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use std::ffi::CString;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Where the postmaster starts the process. The argument is the place of the database in `kakunin.databases`.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn kakunin_worker_main(argument: pg_sys::Datum) {
    mind_signals();
    let place = argument.value();
    let database = config::signer::databases().swap_remove(place);
    let queue = slots::queue().expect("the process is registered only where shared memory is made");
    let failures = &queue.failures[place];
    let name = CString::new(&*database).expect("a setting has no zero byte");
    let (count, just_failed) = (failures.load(Ordering::Relaxed) / 2, failures.load(Ordering::Relaxed) % 2 == 1);
    if just_failed {
        wait_for_database(&name, failures, if count < 2 { PAUSE } else { MINUTE });
    }
    // A process can connect once, and a failure ends it. The next one knows by this that it must wait.
    failures.store(2 * count.saturating_add(1) + 1, Ordering::Relaxed);
    // SAFETY: once in this process, which was registered for a connection.
    unsafe { pg_sys::BackgroundWorkerInitializeConnection(name.as_ptr(), std::ptr::null(), 0) };
    failures.store(0, Ordering::Relaxed);
    work(&database)
}

/// A checkpoint, and sleep; for ever. An error is logged when it is another one than before.
fn work(database: &str) -> ! {
    let mut complaint = None;
    loop {
        mind_requests();
        let started = Instant::now();
        if config::signer::checkpoint_interval_seconds().is_some() {
            let outcome = make_checkpoint();
            match &outcome {
                Err(what) if complaint.as_ref() != Some(what) => {
                    pgrx::warning!("no checkpoint of database \"{database}\": {what}");
                }
                Ok(true) if complaint.is_some() => {
                    pgrx::log!("checkpoints of database \"{database}\" are made again");
                }
                _ => {}
            }
            complaint = match outcome {
                Ok(true) => None,
                Ok(false) => complaint,
                Err(what) => Some(what),
            };
        }
        loop {
            // Both may change while it sleeps.
            let interval = config::signer::checkpoint_interval_seconds();
            let due = interval.map(|seconds| started + Duration::from_secs(seconds.into()));
            let left = due.map_or(HOUR, |due| due.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            slots::sleep(left.min(HOUR));
            mind_requests();
        }
    }
}

/// In a transaction of its own. False if the database has no ledger.
fn make_checkpoint() -> Result<bool, String> {
    let attempt = PgTryBuilder::new(AssertUnwindSafe(|| {
        // SAFETY: the process is connected and in no transaction.
        unsafe {
            pg_sys::StartTransactionCommand();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, CHECKPOINT.as_ptr());
        }
        let there = !store::ledgers().is_empty();
        if there {
            as_worker(|| Spi::run("select kakunin.checkpoint()").map_err(|failure| failure.to_string()))?;
        }
        // SAFETY: ends what was begun above.
        unsafe {
            pg_sys::PopActiveSnapshot();
            pg_sys::CommitTransactionCommand();
        }
        Ok(there)
    }))
    .catch_others(|error| Err(describe(error)));
    let outcome = attempt.execute();
    // SAFETY: whatever state the transaction is in, none is open afterwards.
    unsafe {
        if outcome.is_err() {
            pg_sys::AbortOutOfAnyTransaction();
        }
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null());
    }
    outcome
}

/// Acts with the rights of kakunin_worker, which cannot be laid down until `act` is over. An abort gives them back too.
fn as_worker(act: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    // SAFETY: a catalogue lookup; the error for a role that is not there is caught by the caller.
    let role = unsafe { pg_sys::get_role_oid(WORKER.as_ptr(), false) };
    let (mut user, mut context) = (pg_sys::InvalidOid, 0);
    // SAFETY: both calls touch variables of this process; what was there is put back.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
        pg_sys::SetUserIdAndSecContext(role, context | pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32);
    }
    let outcome = act();
    // SAFETY: as above.
    unsafe { pg_sys::SetUserIdAndSecContext(user, context) };
    outcome
}

fn describe(error: CaughtError) -> String {
    let (CaughtError::PostgresError(report)
    | CaughtError::ErrorReport(report)
    | CaughtError::RustPanic { ereport: report, .. }) = error;
    match report.detail() {
        Some(detail) => format!("{} ({detail})", report.message()),
        None => report.message().to_owned(),
    }
}

/// The predecessor could not connect: waits until the database is there, and has the postmaster start another process.
/// What keeps failing is tried, and logged, once a minute.
fn wait_for_database(name: &CString, failures: &AtomicU32, pause: Duration) -> ! {
    // SAFETY: once in this process: without a database it sees the shared catalogues, and can wait without a word.
    unsafe { pg_sys::BackgroundWorkerInitializeConnection(std::ptr::null(), std::ptr::null(), 0) };
    loop {
        let pause = if is_there(name) { pause } else { PAUSE };
        let until = Instant::now() + pause;
        while Instant::now() < until {
            slots::sleep(until.saturating_duration_since(Instant::now()));
            mind_requests();
        }
        if is_there(name) {
            failures.fetch_sub(1, Ordering::Relaxed);
            // SAFETY: ends the process in order. Exit code 1 has the postmaster start it again.
            unsafe { pg_sys::proc_exit(1) };
        }
    }
}

fn is_there(name: &CString) -> bool {
    // SAFETY: a catalogue lookup in a transaction of its own.
    unsafe {
        pg_sys::StartTransactionCommand();
        let found = pg_sys::get_database_oid(name.as_ptr(), true);
        pg_sys::CommitTransactionCommand();
        found != pg_sys::InvalidOid
    }
}

const WORKER: &std::ffi::CStr = c"kakunin_worker";
const CHECKPOINT: &std::ffi::CStr = c"select kakunin.checkpoint()";
const PAUSE: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
