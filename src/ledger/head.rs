//! The newest entry of each chain, in shared memory: it saves looking it up in the table while the chain is locked.
//!
//! Only a copy. A place is read and written by whoever holds the lock of its chain; one that is not there, or not
//! yet filled, means that the table is asked. It names the file of kakunin.ledger_entry, so that another table of
//! this name (after DROP EXTENSION, TRUNCATE, or in another database) never meets its heads.

use kakunin_core::UnixTime;
use kakunin_core::ledger::chain::Head;
use pgrx::prelude::*;
use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// The newest entry of a chain, if it is known. Call while holding the chain's lock.
pub fn get(file: pg_sys::Oid, ledger: i32) -> Option<Head> {
    let place = find(file, ledger)?;
    if place.state.load(Ordering::Acquire) != FILLED {
        return None;
    }
    // SAFETY: only the holder of the chain's lock reads or writes the copy.
    Some(unsafe { (*place.head.get()).to_head() })
}

/// Replaces it. Call while holding the chain's lock. Must not fail: it runs after the commit.
pub fn publish(file: pg_sys::Oid, ledger: i32, head: &Head) {
    if let Some(place) = find(file, ledger) {
        // SAFETY: as above.
        unsafe { *place.head.get() = Stored::of(head) };
        place.state.store(FILLED, Ordering::Release);
    }
}

/// The table was written to by somebody else, such as a restore: what is known of its chains may be wrong.
pub fn forget(file: pg_sys::Oid) {
    let key = key(file, 0) & FILE_MASK;
    for place in places() {
        if place.key.load(Ordering::Acquire) & FILE_MASK == key {
            place.state.store(EMPTY, Ordering::Release);
        }
    }
}

/// Whether a chain's lock looks taken: a hint that saves trying.
#[derive(Clone, Copy)]
pub struct Busy(Option<&'static Place>);

/// That of a chain.
pub fn busy(file: pg_sys::Oid, ledger: i32) -> Busy {
    Busy(find(file, ledger))
}

impl Busy {
    pub fn is_set(self) -> bool {
        self.0.is_some_and(|place| place.busy.load(Ordering::Relaxed) != 0)
    }

    pub fn set(self) {
        self.store(1);
    }

    pub fn clear(self) {
        self.store(0);
    }

    fn store(self, value: u32) {
        if let Some(place) = self.0 {
            place.busy.store(value, Ordering::Relaxed);
        }
    }
}

/// What to ask for at server start.
pub const BYTES: usize = size_of::<Place>() * PLACES;

/// Makes the area; called once per start, and again after a crash.
///
/// # Safety
/// Called while shared memory is set up, by the process that does so.
pub unsafe fn start() {
    // SAFETY: ShmemInitStruct gives BYTES of memory, aligned to a cache line, which nobody else uses; zeros are empty
    // places.
    unsafe {
        let mut found = false;
        let area = pg_sys::ShmemInitStruct(NAME.as_ptr(), BYTES, &mut found).cast::<Place>();
        if !found {
            area.cast::<u8>().write_bytes(0, BYTES);
        }
        AREA.store(area, Ordering::Release);
    }
}

#[repr(C, align(64))]
pub struct Place {
    /// Which chain; zero while the place is free. Never changed once it is set.
    key: AtomicU64,
    database: AtomicU32,
    state: AtomicU32,
    busy: AtomicU32,
    head: UnsafeCell<Stored>,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Stored {
    seq: u64,
    hash: [u8; 32],
    rows: u64,
    at: i64,
    closed: bool,
}

impl Stored {
    fn of(head: &Head) -> Self {
        Self { seq: head.seq, hash: head.hash, rows: head.rows, at: head.at.0, closed: head.closed }
    }

    fn to_head(self) -> Head {
        Head { seq: self.seq, hash: self.hash, rows: self.rows, at: UnixTime(self.at), closed: self.closed }
    }
}

/// The place of a chain, taking a free one if it has none. None where kakunin was not preloaded, or all are taken.
fn find(file: pg_sys::Oid, ledger: i32) -> Option<&'static Place> {
    // SAFETY: reads a variable of this backend.
    let database = unsafe { pg_sys::MyDatabaseId }.to_u32();
    let key = key(file, ledger);
    let places = places();
    let start = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize ^ database as usize;
    for step in 0..PROBES {
        let place = places.get(start.wrapping_add(step) % PLACES)?;
        let taken = place.key.compare_exchange(0, key, Ordering::AcqRel, Ordering::Acquire);
        if taken.is_ok() {
            place.database.store(database, Ordering::Release);
            return Some(place);
        }
        // Between the two stores the place belongs to a database that is not known yet: zero, which none is.
        if taken == Err(key) && place.database.load(Ordering::Acquire) == database {
            return Some(place);
        }
    }
    None
}

/// Never zero, because the number of a file is not.
fn key(file: pg_sys::Oid, ledger: i32) -> u64 {
    u64::from(file.to_u32()) << 32 | u64::from(ledger.cast_unsigned())
}

fn places() -> &'static [Place] {
    let area = AREA.load(Ordering::Acquire);
    if area.is_null() {
        return &[];
    }
    // SAFETY: the area has PLACES places, which were set up before any other process; what changes later is atomic, or
    // guarded by the lock of its chain. Shared memory is never unmapped while the process runs.
    unsafe { std::slice::from_raw_parts(area, PLACES) }
}

static AREA: AtomicPtr<Place> = AtomicPtr::new(std::ptr::null_mut());
const NAME: &CStr = c"kakunin ledger heads";
/// Chains whose head is known at once, in all databases; further ones look into the table.
const PLACES: usize = 1024;
/// Places that are tried for one chain.
const PROBES: usize = 16;
const EMPTY: u32 = 0;
const FILLED: u32 = 1;
const FILE_MASK: u64 = 0xffff_ffff_0000_0000;
