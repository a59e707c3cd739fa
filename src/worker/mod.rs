//! The processes of our own: the signer, and a worker for each database of `kakunin.databases`.

mod checkpoints;
pub mod keys;
mod signer;

use crate::config;
use crate::slots::DATABASES_MAX;
use pgrx::bgworkers::{BackgroundWorkerBuilder, BgWorkerStartTime};
use pgrx::prelude::*;
use std::time::Duration;

/// Registers the processes with the postmaster. Call while preloading only.
pub fn register() {
    BackgroundWorkerBuilder::new("kakunin signer")
        .set_type("kakunin signer")
        .set_library("kakunin")
        .set_function("kakunin_signer_main")
        .enable_shmem_access(None)
        .set_start_time(BgWorkerStartTime::PostmasterStart)
        .set_restart_time(Some(Duration::from_secs(1)))
        .load();
    let databases = config::signer::databases();
    if databases.len() > DATABASES_MAX {
        pgrx::warning!("kakunin.databases names more than {DATABASES_MAX} databases; those beyond have no worker");
    }
    for (place, database) in databases.iter().enumerate().take(DATABASES_MAX) {
        // The name has room for 95 bytes; that of a database has at most 63.
        let of = if database.len() < pg_sys::NAMEDATALEN as usize { database } else { "a name that is too long" };
        BackgroundWorkerBuilder::new(&format!("kakunin worker of {of}"))
            .set_type("kakunin worker")
            .set_library("kakunin")
            .set_function("kakunin_worker_main")
            .set_argument(Some(pg_sys::Datum::from(place)))
            .enable_spi_access()
            .set_start_time(BgWorkerStartTime::RecoveryFinished)
            .set_restart_time(Some(Duration::from_secs(5)))
            .load();
    }
}

/// The signals that a process of ours minds: SIGTERM ends it at the next place where it looks, SIGHUP makes it read the
/// settings again.
fn mind_signals() {
    // SAFETY: the handlers are PostgreSQL's own, for processes like this one; signals are blocked until here.
    unsafe {
        pg_sys::pqsignal(SIGHUP, Some(raw::SignalHandlerForConfigReload));
        pg_sys::pqsignal(SIGTERM, Some(raw::die));
        pg_sys::BackgroundWorkerUnblockSignals();
    }
}

/// Ends the process if it was told to (with exit code 1, so that the postmaster starts it again unless the server
/// stops), and reads the settings again if it was told to.
fn mind_requests() {
    pg_sys::check_for_interrupts!();
    // SAFETY: a flag of this process that the handler of SIGHUP sets.
    unsafe {
        if pg_sys::ConfigReloadPending != 0 {
            pg_sys::ConfigReloadPending = 0;
            pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
        }
    }
}

/// PostgreSQL's own handlers, as they are: a signal handler must not pass through the guard that pgrx puts around calls.
mod raw {
    unsafe extern "C-unwind" {
        pub fn SignalHandlerForConfigReload(signal: i32);
        pub fn die(signal: i32);
    }
}

const SIGHUP: i32 = 1;
const SIGTERM: i32 = 15;
