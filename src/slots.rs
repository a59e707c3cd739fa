//! How a backend asks the signer: slots in shared memory, and latches to wake the other side.
//!
//! ```text
//! FREE ─claim─► CLAIMED ─► REQUEST ─signer takes it─► BUSY ─► DONE ─► FREE
//!                             │                        ├─ the backend left ─► ABANDONED ─► FREE
//!                             └─ the backend left ─► FREE   └─ the signer ended ─► FAILED ─► FREE
//! ```
//!
//! Whoever moves a slot out of a state owns what is in it: a backend writes in CLAIMED and reads in DONE and FAILED, the
//! signer reads and writes in BUSY. Nothing secret is in a slot. A key that travels is sealed.

use crate::config;
use kakunin_core::Reason;
use kakunin_core::limits::{SIGNER_MESSAGE_BYTES_MAX, SIGNER_REQUESTS_MAX};
use kakunin_core::signer::message::{Request, Response};
use pgrx::prelude::*;
use std::cell::{Cell, UnsafeCell};
use std::ffi::CStr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Asks the signer and waits for the answer, as long as `kakunin.signer_deadline` says. A cancel ends the wait.
pub fn call(request: &Request) -> Result<Response, Reason> {
    let message = request.encode();
    if message.len() > SIGNER_MESSAGE_BYTES_MAX {
        return Err(Reason::SignerFailed { what: "the request is too long".into() });
    }
    let queue = queue()?;
    let held = Held::claim(queue)?;
    held.slot().write(&message);
    held.slot().state.store(REQUEST, Ordering::Release);
    queue.wake_signer();
    let answer = wait(queue, held.slot())?;
    match Response::decode(&answer) {
        Ok(Response::Refused(refusal)) => Err(refusal.into()),
        Ok(response) => Ok(response),
        Err(what) => Err(Reason::SignerFailed { what: what.to_string() }),
    }
}

fn wait(queue: &Queue, slot: &Slot) -> Result<Vec<u8>, Reason> {
    let milliseconds = config::signer::deadline_milliseconds();
    let deadline = Instant::now() + Duration::from_millis(milliseconds.unsigned_abs().into());
    loop {
        match slot.state.load(Ordering::Acquire) {
            DONE => return Ok(slot.read()),
            FAILED => return Err(Reason::SignerFailed { what: "it ended while it worked on the request".into() }),
            _ => {}
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let running = !queue.signer.load(Ordering::Acquire).is_null();
            return Err(if running { Reason::SignerTooSlow { milliseconds } } else { Reason::SignerNotRunning });
        }
        sleep(left.min(Duration::from_secs(1)));
        pg_sys::check_for_interrupts!();
    }
}

/// Sleeps until the latch of this process is set, and takes it back. The process ends with the postmaster.
pub fn sleep(at_most: Duration) {
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    let milliseconds = at_most.as_millis().clamp(1, 3_600_000) as std::ffi::c_long;
    // SAFETY: the latch of this process, which it owns while it runs.
    unsafe {
        pg_sys::WaitLatch(pg_sys::MyLatch, events as i32, milliseconds, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
}

/// A slot that this backend holds. It goes back when this goes out of scope, also by an error.
struct Held {
    queue: &'static Queue,
    index: usize,
}

impl Held {
    fn claim(queue: &'static Queue) -> Result<Self, Reason> {
        free_at_exit();
        let free =
            |slot: &Slot| slot.state.compare_exchange(FREE, CLAIMED, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let index = queue.slots.iter().position(free).ok_or(Reason::SignerQueueFull { count: SIGNER_REQUESTS_MAX })?;
        HELD.set(Some(index));
        let held = Self { queue, index };
        held.slot().generation.fetch_add(1, Ordering::Relaxed);
        // SAFETY: reads a variable of this process: the address of its latch, which lies in shared memory.
        held.slot().waiter.store(unsafe { pg_sys::MyLatch }, Ordering::Release);
        Ok(held)
    }

    fn slot(&self) -> &'static Slot {
        &self.queue.slots[self.index]
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.set(None);
        self.slot().leave();
    }
}

/// A backend that is told to end does so without unwinding, so the slot is given back by PostgreSQL's own means.
fn free_at_exit() {
    if !AT_EXIT.replace(true) {
        // SAFETY: the callback is a function of this library, which is never unloaded.
        unsafe { pg_sys::before_shmem_exit(Some(on_exit), pg_sys::Datum::from(0)) };
    }
}

unsafe extern "C-unwind" fn on_exit(_code: i32, _argument: pg_sys::Datum) {
    if let (Some(index), Ok(queue)) = (HELD.take(), queue()) {
        queue.slots[index].leave();
    }
}

/// The queue in shared memory.
pub fn queue() -> Result<&'static Queue, Reason> {
    let queue = QUEUE.load(Ordering::Acquire);
    // SAFETY: null, or made once before any other process was there; what changes is atomic, or guarded by a state.
    unsafe { queue.as_ref() }.ok_or(Reason::NotPreloaded)
}

/// Is there a signer? For kakunin.doctor(): a process without a database is not in pg_stat_activity.
#[pg_extern(schema = "kakunin", name = "_signer_runs", volatile, parallel_unsafe)]
pub fn signer_runs() -> bool {
    queue().is_ok_and(|queue| !queue.signer.load(Ordering::Acquire).is_null())
}

/// What the signer, backends and workers share.
#[repr(C, align(64))]
pub struct Queue {
    /// The signer's latch; null while there is none.
    signer: AtomicPtr<pg_sys::Latch>,
    /// For each database of `kakunin.databases`: twice the number of times that its worker could not connect, and one
    /// more if the last process of it could not.
    pub failures: [AtomicU32; DATABASES_MAX],
    slots: [Slot; SIGNER_REQUESTS_MAX],
}

impl Queue {
    /// This process is the signer from now on. What its predecessor had begun has failed.
    pub fn serve_from_now_on(&self) {
        for slot in &self.slots {
            let _ = slot.state.compare_exchange(ABANDONED, FREE, Ordering::AcqRel, Ordering::Relaxed);
            if slot.state.compare_exchange(BUSY, FAILED, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                slot.wake();
            }
        }
        // SAFETY: reads a variable of this process; the callback is a function of this library.
        unsafe {
            self.signer.store(pg_sys::MyLatch, Ordering::Release);
            pg_sys::before_shmem_exit(Some(on_signer_exit), pg_sys::Datum::from(0));
        }
    }

    /// Answers every request that waits. Returns how many there were.
    pub fn answer(&self, mut answer: impl FnMut(&[u8]) -> Vec<u8>) -> usize {
        let mut count = 0;
        for slot in &self.slots {
            if slot.state.compare_exchange(REQUEST, BUSY, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            count += 1;
            let generation = slot.generation.load(Ordering::Relaxed);
            let response = answer(&slot.read());
            // No other request can be in a slot that is BUSY or ABANDONED. If one were, it must not get this answer.
            if slot.generation.load(Ordering::Relaxed) != generation {
                continue;
            }
            slot.write(&response);
            if slot.state.compare_exchange(BUSY, DONE, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                slot.wake();
            } else {
                let _ = slot.state.compare_exchange(ABANDONED, FREE, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
        count
    }

    fn wake_signer(&self) {
        let latch = self.signer.load(Ordering::Acquire);
        if !latch.is_null() {
            // SAFETY: the latch of a process slot in shared memory; if another process owns it now, it wakes once in vain.
            unsafe { pg_sys::SetLatch(latch) };
        }
    }
}

unsafe extern "C-unwind" fn on_signer_exit(_code: i32, _argument: pg_sys::Datum) {
    if let Ok(queue) = queue() {
        queue.signer.store(std::ptr::null_mut(), Ordering::Release);
    }
}

#[repr(C, align(64))]
struct Slot {
    state: AtomicU32,
    generation: AtomicU32,
    length: AtomicU32,
    waiter: AtomicPtr<pg_sys::Latch>,
    message: UnsafeCell<[u8; SIGNER_MESSAGE_BYTES_MAX]>,
}

// SAFETY: the states see to it that one process at a time touches the message.
unsafe impl Sync for Slot {}

impl Slot {
    /// A message that is too long becomes an empty one, which nobody can read as an answer.
    fn write(&self, message: &[u8]) {
        let message = if message.len() <= SIGNER_MESSAGE_BYTES_MAX { message } else { &[] };
        // SAFETY: the state says that the message is ours, see the top of this file.
        unsafe { (&mut (*self.message.get()))[..message.len()].copy_from_slice(message) };
        self.length.store(message.len() as u32, Ordering::Relaxed);
    }

    fn read(&self) -> Vec<u8> {
        let length = (self.length.load(Ordering::Relaxed) as usize).min(SIGNER_MESSAGE_BYTES_MAX);
        // SAFETY: the state says that the message is ours.
        unsafe { (&(*self.message.get()))[..length].to_vec() }
    }

    fn wake(&self) {
        let latch = self.waiter.load(Ordering::Acquire);
        if !latch.is_null() {
            // SAFETY: as in `wake_signer`.
            unsafe { pg_sys::SetLatch(latch) };
        }
    }

    /// The backend goes. A request that the signer works on is freed by the signer.
    fn leave(&self) {
        loop {
            let state = self.state.load(Ordering::Acquire);
            let next = if state == BUSY { ABANDONED } else { FREE };
            if self.state.compare_exchange(state, next, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return;
            }
        }
    }
}

/// Bytes of shared memory.
pub const BYTES: usize = size_of::<Queue>();

/// Makes the queue, or finds it. Called by the postmaster when shared memory is made.
pub fn make() {
    let mut found = false;
    // SAFETY: gives BYTES of memory, aligned to a cache line, which nobody else uses; zeros are a queue without a signer
    // and with every slot free.
    unsafe {
        let queue = pg_sys::ShmemInitStruct(NAME.as_ptr(), BYTES, &mut found).cast::<Queue>();
        if !found {
            queue.cast::<u8>().write_bytes(0, BYTES);
        }
        QUEUE.store(queue, Ordering::Release);
    }
}

thread_local! {
    static HELD: Cell<Option<usize>> = const { Cell::new(None) };
    static AT_EXIT: Cell<bool> = const { Cell::new(false) };
}
static QUEUE: AtomicPtr<Queue> = AtomicPtr::new(std::ptr::null_mut());
const NAME: &CStr = c"kakunin signer";
/// Databases that `kakunin.databases` can name.
pub const DATABASES_MAX: usize = 64;

const FREE: u32 = 0;
const CLAIMED: u32 = 1;
const REQUEST: u32 = 2;
const BUSY: u32 = 3;
const DONE: u32 = 4;
const FAILED: u32 = 5;
const ABANDONED: u32 = 6;
