//! Waits until what was read is sure to survive: on disk here, and on the synchronous standby where there is one.
//!
//! A transaction of another session can be seen before its commit is flushed (kakunin.early_lock_release, and
//! synchronous_commit = off). A checkpoint over such entries would contradict the log after a crash or a failover.

use crate::slots;
use kakunin_core::Reason;
use pgrx::prelude::*;
use std::time::Duration;

/// Waits for what this transaction has read. It has written since, and WAL is flushed and sent in order, so its own last
/// record tells. A cancel ends the wait with an error; unlike at a commit, nothing has happened yet.
pub fn wait() -> Result<(), Reason> {
    // SAFETY: a variable of this backend: the end of the last record that it wrote, or zero.
    let position = unsafe { pg_sys::XactLastRecEnd };
    if position == 0 {
        // It has written nothing, so it has found nothing new.
        return Ok(());
    }
    // SAFETY: the position is the end of a record.
    unsafe { pg_sys::XLogFlush(position) };
    let mut pause = Duration::from_millis(1);
    while is_synchronous() && acknowledged() < position {
        slots::sleep(pause);
        pg_sys::check_for_interrupts!();
        // What is synchronous may have changed, and settings are read between statements only.
        if config_changed() {
            return Err(Reason::CheckpointNotDurable);
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
    Ok(())
}

/// Do commits wait for a standby here? The session's own synchronous_commit does not count: a checkpoint is for everybody.
fn is_synchronous() -> bool {
    // SAFETY: a setting of this backend, NULL or a text, and one of the server.
    unsafe {
        !pg_sys::SyncRepStandbyNames.is_null() && *pg_sys::SyncRepStandbyNames != 0 && pg_sys::max_wal_senders > 0
    }
}

/// Up to where the synchronous standbys have flushed.
fn acknowledged() -> u64 {
    // SAFETY: made at server start; a walsender advances the aligned 64 bits, which are read at once.
    unsafe { (&raw const (*pg_sys::WalSndCtl).lsn[FLUSHED]).read_volatile() }
}

fn config_changed() -> bool {
    // SAFETY: a flag of this process that the handler of SIGHUP sets.
    unsafe { pg_sys::ConfigReloadPending != 0 }
}

/// SYNC_REP_WAIT_FLUSH
const FLUSHED: usize = 1;
const PAUSE_MAX: Duration = Duration::from_millis(50);
