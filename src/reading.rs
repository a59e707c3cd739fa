//! Reading the binding: what every policy function does, for every row in the worst case.

use crate::hooks::binding as setting;
use crate::{backend, chain, shmem};
use kakunin_core::scope::Scope;
use kakunin_core::session::binding::Binding;
use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::rc::Rc;

/// Reads from the binding, if it counts right now: same role, inside its validity, nothing in its path withdrawn.
/// Doubt means unbound; an error of ours is never raised.
pub fn with_live<T>(read: impl FnOnce(&Binding) -> T) -> Option<T> {
    READING.with(|reading| {
        let generation = setting::generation();
        if reading.generation.get() != generation {
            refresh(reading, generation);
        }
        let binding = reading.binding.borrow();
        let binding = binding.as_ref()?;
        (counts(reading, binding)).then(|| read(binding))
    })
}

/// The binding, if it counts right now.
pub fn live() -> Option<Rc<Binding>> {
    with_live(|_| ()).and_then(|()| stored())
}

/// The scope of the live binding, if it has one that can be understood. Read from its text once per assignment.
pub fn scope() -> Option<Rc<Scope>> {
    with_live(|binding| {
        READING.with(|reading| {
            let parsed = || binding.scope.as_deref().and_then(|text| Scope::parse(text).ok()).map(Rc::new);
            reading.scope.borrow_mut().get_or_insert_with(parsed).clone()
        })
    })
    .flatten()
}

/// What the session is bound to, as stored: also when it no longer counts.
pub fn stored() -> Option<Rc<Binding>> {
    READING.with(|reading| {
        let generation = setting::generation();
        if reading.generation.get() != generation {
            refresh(reading, generation);
        }
        reading.binding.borrow().clone()
    })
}

/// The identity that this transaction has bound, read as, or taken away; it can have no other.
pub fn identity_seen() -> Option<[u8; 32]> {
    READING.with(|reading| reading.identity_seen.get())
}

/// See [`identity_seen`]; forgotten at the ends of transactions.
pub fn set_identity_seen(identity: Option<[u8; 32]>) {
    READING.with(|reading| reading.identity_seen.set(identity));
}

/// A binding that a transaction replaces or takes away has been its identity, whether or not it was read.
pub fn taken_away(old: &CStr) {
    if identity_seen().is_none()
        && let Some(binding) = decode(old)
    {
        set_identity_seen(Some(binding.fingerprint));
    }
}

/// Trust may have changed without a new epoch: the next reading looks into the tables.
pub fn look_again() {
    READING.with(|reading| {
        reading.looks.set(reading.looks.get().wrapping_add(1));
        reading.trusted_at.set(None);
    });
}

fn counts(reading: &Reading, binding: &Binding) -> bool {
    if binding.role != backend::outer_role().to_u32() || !binding.alive_at(shmem::now()) {
        return false;
    }
    match reading.identity_seen.get() {
        None => reading.identity_seen.set(Some(binding.fingerprint)),
        Some(seen) if seen == binding.fingerprint => {}
        Some(_) => return false,
    }
    let Some(moment) = Moment::now() else { return false };
    if reading.trusted_at.get() != Some(moment) {
        let looks = reading.looks.get();
        if !chain::is_trusted(&binding.fingerprint, &binding.issuer_fingerprints) {
            return false;
        }
        // Unless something changed while the tables were read one after the other.
        if looks == reading.looks.get() {
            reading.trusted_at.set(Some(moment));
        }
    }
    true
}

fn refresh(reading: &Reading, generation: u64) {
    reading.binding.replace(setting::value().and_then(decode).map(Rc::new));
    reading.scope.replace(None);
    reading.trusted_at.set(None);
    reading.generation.set(generation);
}

fn decode(value: &CStr) -> Option<Binding> {
    Binding::decode(value.to_str().ok()?).ok()
}

/// A point after which trust may have changed: the epoch on a primary, the replayed WAL position on a standby.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    Epoch(u64),
    Replayed(u64),
}

impl Moment {
    /// Taken before the tables are read, so that a change in between is noticed next time.
    fn now() -> Option<Self> {
        match backend::replayed_position() {
            Some(position) => Some(Self::Replayed(position)),
            None => shmem::area().ok().map(|area| Self::Epoch(area.epoch())),
        }
    }
}

/// The setting's value, decoded once for each assignment of it, and what is known about it.
struct Reading {
    generation: Cell<u64>,
    binding: RefCell<Option<Rc<Binding>>>,
    /// `Some` once it was asked for.
    scope: RefCell<Option<Option<Rc<Scope>>>>,
    trusted_at: Cell<Option<Moment>>,
    /// How often it was said that trust may have changed without a new epoch.
    looks: Cell<u64>,
    identity_seen: Cell<Option<[u8; 32]>>,
}

thread_local! {
    static READING: Reading = const {
        Reading {
            generation: Cell::new(u64::MAX),
            binding: RefCell::new(None),
            scope: RefCell::new(None),
            trusted_at: Cell::new(None),
            looks: Cell::new(0),
            identity_seen: Cell::new(None),
        }
    };
}
