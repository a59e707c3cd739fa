//! Settings of the signer and of the workers.

use super::text;
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use std::ffi::CString;
use std::path::PathBuf;

static KEY_DIRECTORY: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static SIGNER_DEADLINE: GucSetting<i32> = GucSetting::<i32>::new(5000);
static DATABASES: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static CHECKPOINT_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(60);

/// The directory of the signer's files, if one is named.
pub fn key_directory() -> Option<PathBuf> {
    Some(text(&KEY_DIRECTORY)).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// How long a backend waits for the signer.
pub fn deadline_milliseconds() -> i32 {
    SIGNER_DEADLINE.get()
}

/// Databases that have a worker, each once, in the order in which they are named.
pub fn databases() -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for name in text(&DATABASES).split(',').map(|name| name.trim().trim_matches('"')) {
        if !name.is_empty() && !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
    }
    found
}

/// Seconds between the checkpoints that a worker makes; None if it makes none.
pub fn checkpoint_interval_seconds() -> Option<u32> {
    u32::try_from(CHECKPOINT_INTERVAL.get()).ok().filter(|seconds| *seconds > 0)
}

/// Defines them. Those of the postmaster can only be defined while it preloads us.
pub fn define(preloaded: bool) {
    GucRegistry::define_int_guc(
        c"kakunin.signer_deadline",
        c"Time to wait for the signer.",
        c"A request that has no answer then fails.",
        &SIGNER_DEADLINE,
        100,
        600_000,
        GucContext::Sighup,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_int_guc(
        c"kakunin.checkpoint_interval",
        c"Seconds between the checkpoints that a worker makes.",
        c"In the databases of kakunin.databases that have a ledger. 0 makes none.",
        &CHECKPOINT_INTERVAL,
        0,
        86_400,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    if !preloaded {
        return;
    }
    GucRegistry::define_string_guc(
        c"kakunin.key_directory",
        c"Directory of the signer's files.",
        c"Outside the data directory, writable by the server's user alone. Empty means the data directory's name with .kakunin at its end.",
        &KEY_DIRECTORY,
        GucContext::Postmaster,
        GucFlags::SUPERUSER_ONLY,
    );
    GucRegistry::define_string_guc(
        c"kakunin.databases",
        c"Databases that have a worker.",
        c"Comma-separated. Each takes one of max_worker_processes.",
        &DATABASES,
        GucContext::Postmaster,
        GucFlags::default(),
    );
}
