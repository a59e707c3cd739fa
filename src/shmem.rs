//! Shared memory: the revocation epoch, the used proofs, and the heads of ledgers. Nothing here must survive a crash: after a restart
//! bindings are gone with their sessions, and proofs from before the start are refused.

use crate::ledger::head;
use crate::{backend, config, slots};
use kakunin_core::session::replay::{self, Slot};
use kakunin_core::{Reason, UnixTime};
use pgrx::prelude::*;
use std::ffi::CStr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// Is the postmaster loading us right now (`shared_preload_libraries`)?
pub fn preloading() -> bool {
    // SAFETY: a plain read of a variable that only this process writes.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress }
}

/// Chains our requests for shared memory into the server's start. Call while preloading only.
pub fn request() {
    // SAFETY: single-threaded start of the postmaster; each hook is saved before it is replaced.
    unsafe {
        PREVIOUS_REQUEST = pg_sys::shmem_request_hook;
        pg_sys::shmem_request_hook = Some(on_request);
        PREVIOUS_STARTUP = pg_sys::shmem_startup_hook;
        pg_sys::shmem_startup_hook = Some(on_startup);
    }
}

/// The shared area, or the refusal that tells how to get it.
pub fn area() -> Result<Area, Reason> {
    let header = HEADER.load(Ordering::Acquire);
    if header.is_null() { Err(Reason::NotPreloaded) } else { Ok(Area(header)) }
}

/// A handle on the initialised shared area.
#[derive(Clone, Copy)]
pub struct Area(*mut Header);

impl Area {
    /// Number of committed changes of trust since the server started. A reader that holds an older number looks
    /// the certificate up again.
    pub fn epoch(self) -> u64 {
        self.header().epoch.load(Ordering::Acquire)
    }

    /// Announces a committed change of trust to every session.
    pub fn advance_epoch(self) {
        self.header().epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// When this shared memory was made: at server start and after each crash restart.
    pub fn started(self) -> UnixTime {
        UnixTime(self.header().started)
    }

    /// Remembers a proof until it expires, or refuses it because it was used before. Proofs of one certificate share a
    /// partition, so that an agent that floods the table fills its own part of it.
    pub fn admit_proof(
        self,
        fingerprint: &[u8; 32],
        id: [u8; 16],
        expires_at: UnixTime,
        now: UnixTime,
        owner: u64,
        may_retry: bool,
    ) -> Result<(), Reason> {
        let per = self.header().slots_per_partition;
        let admit = |slots: &mut [Slot]| {
            replay::admit(slots, id, expires_at, now, config::clock_skew_seconds(), owner, may_retry)
        };
        match self.with_partition(self.partition_of(fingerprint), admit).refusal(expires_at, per) {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }

    /// Proofs that are remembered now, and how many could be.
    pub fn used_proofs(self, now: UnixTime) -> (usize, usize) {
        let live = (0..PARTITIONS)
            .map(|n| self.with_partition(n, |slots| replay::live(slots, now, config::clock_skew_seconds())))
            .sum();
        (live, replay::capacity(self.header().slots_per_partition) * PARTITIONS)
    }

    /// Keyed, so that nobody can have a certificate made that shares a chosen agent's partition.
    fn partition_of(self, fingerprint: &[u8; 32]) -> usize {
        let [key, factor] = self.header().partition_key;
        let mix = |mixed: u64, byte: &u8| (mixed ^ u64::from(*byte)).wrapping_mul(factor | 1);
        (fingerprint.iter().fold(key, mix) >> 32) as usize % PARTITIONS
    }

    fn header(self) -> &'static Header {
        // SAFETY: non-null by construction; the header is written once, before any other process exists, and what
        // changes later is atomic. Shared memory is never unmapped while the process runs.
        unsafe { &*self.0 }
    }

    fn with_partition<T>(self, partition: usize, act: impl FnOnce(&mut [Slot]) -> T) -> T {
        let per = self.header().slots_per_partition;
        // SAFETY: the lock array has PARTITIONS members and the slot array PARTITIONS * per, both made in
        // on_startup. The exclusive lock makes the slice ours alone; `act` is a pure function that cannot
        // raise a PostgreSQL error, and the guard releases on unwinding.
        unsafe {
            let _held = HeldLock::acquire(&raw mut (*self.header().locks.add(partition)).lock);
            let slots = self.0.cast::<u8>().add(HEADER_BYTES).cast::<Slot>().add(partition * per);
            act(std::slice::from_raw_parts_mut(slots, per))
        }
    }
}

/// An LWLock that is released when this goes out of scope.
struct HeldLock(*mut pg_sys::LWLock);

impl HeldLock {
    unsafe fn acquire(lock: *mut pg_sys::LWLock) -> Self {
        // SAFETY: the caller passes a lock of our tranche.
        unsafe { pg_sys::LWLockAcquire(lock, pg_sys::LWLockMode::LW_EXCLUSIVE) };
        Self(lock)
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        // SAFETY: acquired in `acquire` and released nowhere else.
        unsafe { pg_sys::LWLockRelease(self.0) };
    }
}

#[repr(C, align(64))]
struct Header {
    epoch: AtomicU64,
    started: i64,
    slots_per_partition: usize,
    partition_key: [u64; 2],
    locks: *mut pg_sys::LWLockPadded,
}

fn slots_per_partition() -> usize {
    replay::slots_for(config::used_proofs_max().div_ceil(PARTITIONS))
}

fn area_bytes() -> usize {
    HEADER_BYTES + slots_per_partition() * PARTITIONS * size_of::<Slot>()
}

#[pg_guard]
unsafe extern "C-unwind" fn on_request() {
    // SAFETY: called by the postmaster at the only moment when requests are allowed.
    unsafe {
        if let Some(previous) = PREVIOUS_REQUEST {
            previous();
        }
        pg_sys::RequestAddinShmemSpace(area_bytes());
        pg_sys::RequestAddinShmemSpace(head::BYTES);
        pg_sys::RequestAddinShmemSpace(slots::BYTES);
        pg_sys::RequestNamedLWLockTranche(NAME.as_ptr(), PARTITIONS as i32);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_startup() {
    // SAFETY: called once per start (and crash restart) by the postmaster; ShmemInitStruct gives area_bytes() of
    // memory, aligned to a cache line, which nobody else uses.
    unsafe {
        if let Some(previous) = PREVIOUS_STARTUP {
            previous();
        }
        let mut found = false;
        let area = pg_sys::ShmemInitStruct(NAME.as_ptr(), area_bytes(), &mut found).cast::<Header>();
        if !found {
            area.cast::<u8>().write_bytes(0, area_bytes());
            area.write(Header {
                epoch: AtomicU64::new(1),
                started: now().0,
                slots_per_partition: slots_per_partition(),
                partition_key: [random_u64(), random_u64()],
                locks: pg_sys::GetNamedLWLockTranche(NAME.as_ptr()),
            });
            for partition in 0..PARTITIONS {
                Area(area).with_partition(partition, |slots| replay::prepare(slots, random_seed()));
            }
        }
        head::start();
        slots::make();
        HEADER.store(area, Ordering::Release);
    }
}

fn random_u64() -> u64 {
    u128::from_le_bytes(random_seed()) as u64
}

fn random_seed() -> [u8; 16] {
    let mut seed = [0; 16];
    // SAFETY: fills exactly the buffer that is passed. Without randomness the table still works, only guessably.
    let _ = unsafe { pg_sys::pg_strong_random(seed.as_mut_ptr().cast(), seed.len()) };
    seed
}

/// The server's clock.
pub fn now() -> UnixTime {
    UnixTime(backend::clock() + POSTGRES_EPOCH_MICROS)
}

/// Microseconds from 1970-01-01, where Unix counts from, to 2000-01-01, where PostgreSQL does.
pub const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

static HEADER: AtomicPtr<Header> = AtomicPtr::new(std::ptr::null_mut());
static mut PREVIOUS_REQUEST: pg_sys::shmem_request_hook_type = None;
static mut PREVIOUS_STARTUP: pg_sys::shmem_startup_hook_type = None;
const NAME: &CStr = c"kakunin";
/// Independent parts of the used-proof table, so that agents neither queue behind one lock nor fill each other's.
const PARTITIONS: usize = 32;
const HEADER_BYTES: usize = size_of::<Header>();
