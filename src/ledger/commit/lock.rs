//! The lock of a chain: held from reading its newest entry until the commit record is inserted.
//!
//! A heavyweight lock, so that PostgreSQL detects deadlocks, lets the wait be cancelled and drops it at an error. A
//! queue of waiters would be served in turn, each after it was woken; with a stretch of some microseconds that is
//! most of the time. So a waiter first tries again and again, giving way in between, and queues only when that
//! has taken long.

use super::super::head;
use pgrx::prelude::*;

/// A lock that this transaction holds.
pub struct Lock {
    tag: pg_sys::LOCKTAG,
    busy: head::Busy,
}

/// Waits for the lock of a chain. The file stands for kakunin.ledger_entry as it is: another extension of this name has
/// another.
pub fn acquire(ledger: i32, file: pg_sys::Oid) -> Lock {
    // SAFETY: reads a variable of this backend.
    let database = unsafe { pg_sys::MyDatabaseId };
    let tag = pg_sys::LOCKTAG {
        locktag_field1: database.to_u32(),
        locktag_field2: file.to_u32(),
        locktag_field3: ledger.cast_unsigned(),
        locktag_field4: CLASS,
        locktag_type: pg_sys::LockTagType::LOCKTAG_USERLOCK as u8,
        locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
    };
    let busy = head::busy(file, ledger);
    // SAFETY: the lock must belong to the transaction and not to a savepoint, whose rollback would drop it; the owner is
    // put back on every path, because an error ends the transaction anyway.
    unsafe {
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::CurrentResourceOwner = pg_sys::TopTransactionResourceOwner;
        let mut taken = false;
        for attempt in 0..ATTEMPTS {
            if !busy.is_set() || attempt % BLIND_ATTEMPTS == BLIND_ATTEMPTS - 1 {
                let got = pg_sys::LockAcquire(&tag, pg_sys::ExclusiveLock as i32, false, true);
                if got != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL {
                    taken = true;
                    break;
                }
            }
            pg_sys::check_for_interrupts!();
            give_way(attempt);
        }
        if !taken {
            pg_sys::LockAcquire(&tag, pg_sys::ExclusiveLock as i32, false, false);
        }
        pg_sys::CurrentResourceOwner = owner;
    }
    busy.set();
    Lock { tag, busy }
}

impl Lock {
    /// Drops it, after the commit record. Must not fail.
    pub fn release(self) {
        self.busy.clear();
        // SAFETY: held since `acquire`, by the transaction's owner; unlike that of a lock that is not held, the release
        // of one that is raises nothing.
        unsafe {
            let owner = pg_sys::CurrentResourceOwner;
            pg_sys::CurrentResourceOwner = pg_sys::TopTransactionResourceOwner;
            raw::LockRelease(&self.tag, pg_sys::ExclusiveLock as i32, false);
            pg_sys::CurrentResourceOwner = owner;
        }
    }

    /// PostgreSQL drops it, as it does after an error.
    pub fn forget(self) {
        self.busy.clear();
    }
}

fn give_way(attempt: u32) {
    if attempt < YIELDS {
        std::thread::yield_now();
    } else {
        // SAFETY: sleeps; a signal ends it early.
        unsafe { pg_sys::pg_usleep(SLEEP_MICROSECONDS) };
    }
}

mod raw {
    use pgrx::prelude::*;
    unsafe extern "C-unwind" {
        pub fn LockRelease(tag: *const pg_sys::LOCKTAG, mode: i32, session: bool) -> bool;
    }
}

/// Among locks of extensions (LOCKTAG_USERLOCK); advisory locks are of another type.
const CLASS: u16 = 0x6b6b;
const ATTEMPTS: u32 = 200;
/// How often the lock is tried although it looks taken: whoever set that may be gone.
const BLIND_ATTEMPTS: u32 = 32;
const YIELDS: u32 = 100;
const SLEEP_MICROSECONDS: std::ffi::c_long = 50;
