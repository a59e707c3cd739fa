//! The memory of used proofs: which may not be used again before they expire.
//!
//! The table is a slice that the caller keeps, in shared memory and under a lock; [`admit`] is one step on it.
//! A slice of zeroes is an empty table. What must hold:
//! - An entry is never dropped while it is alive. When all places are taken by living entries, the answer is
//!   [`Outcome::Full`], and the proof must be refused.
//! - One step costs little, however full the table is and whatever came before, because every backend waits for it:
//!   expired entries leave through a heap, at most [`EXPIRED_PER_STEP`] in one step, and leave no gap behind.
//! - Clocks may jump and callers may be late. The table knows up to which moment it has forgotten proofs, and
//!   admits none that ends before it.

use super::proof::{UseId, skew};
use crate::{Reason, UnixTime};

/// One place of the table. [`Slot::default`] is an empty one, as are zeroed bytes.
///
/// The slice serves three purposes at once, so that it needs no allocation. The first slot is the table's head.
/// The others are the buckets of a hash table with linear probing, and their `heap` members, taken together, are a
/// binary heap of bucket numbers with the entry that expires first on top.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// The proof; in the head, the seed of the hash function.
    id: UseId,
    /// Its end, in microseconds since 1970; in the head, the latest end of all entries that were dropped.
    expires_at: i64,
    /// Who used it; in the head, how many entries there are.
    owner: u64,
    /// One more than the place of this entry in the heap; 0 means that the bucket is empty.
    position: u32,
    /// The bucket that is at this place of the heap.
    heap: u32,
}

/// What became of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Never seen before; it is remembered now.
    Fresh,
    /// Used before: refuse it.
    Reused,
    /// Used before by the same owner, who may use it again.
    RetriedByOwner,
    /// It cannot be remembered: refuse it.
    Full,
    /// It has ended, or ends so early that its use may have been forgotten: refuse it.
    Expired,
}

impl Outcome {
    /// The reason to refuse, for the outcomes that refuse. `expires_at` is the proof's, `slots` the table's length.
    pub fn refusal(self, expires_at: UnixTime, slots: usize) -> Option<Reason> {
        match self {
            Self::Fresh | Self::RetriedByOwner => None,
            Self::Reused => Some(Reason::ProofReused),
            Self::Full => Some(Reason::ProofStoreFull { count: capacity(slots) }),
            Self::Expired => Some(Reason::ProofExpired { expires_at }),
        }
    }
}

/// Empties the table and seeds its hash function. With a seed that nobody knows, nobody can make proofs that crowd
/// into one corner of the table.
pub fn prepare(slots: &mut [Slot], seed: [u8; 16]) {
    slots.fill(Slot::default());
    if let Some(head) = slots.first_mut() {
        head.id = seed;
    }
}

/// How many living entries a slice of this length holds: three quarters, which keeps searches short.
pub const fn capacity(slots: usize) -> usize {
    let buckets = slots.saturating_sub(1);
    buckets - buckets / 4
}

/// The least slice length that holds this many entries.
pub const fn slots_for(entries: usize) -> usize {
    entries.saturating_add(entries.saturating_sub(1) / 3).saturating_add(1)
}

/// Remembers a use of proof `id`, which ends at `expires_at` (`exp`, without the skew).
///
/// `now` is best read from the clock while the lock is held; one that is late costs no safety. The skew is the one with
/// which the proof was checked; that it may change while the server runs is why ends are kept without it: a
/// proof that was forgotten under a smaller skew does not come back to life under a greater one. `owner` names
/// the backend, unlike any other since the server started; with `owner_may_retry` the one who used the proof may
/// use it again. A proof that comes back with a later end is then remembered until that.
pub fn admit(
    slots: &mut [Slot],
    id: UseId,
    expires_at: UnixTime,
    now: UnixTime,
    clock_skew_seconds: i64,
    owner: u64,
    owner_may_retry: bool,
) -> Outcome {
    let capacity = capacity(slots.len()) as u64;
    let dead = last_dead(now, clock_skew_seconds);
    let mut table = Table::new(slots);
    for _ in 0..EXPIRED_PER_STEP {
        match table.first_to_expire() {
            Some((bucket, ends)) if ends <= dead => table.forget(bucket),
            _ => break,
        }
    }
    // An empty table has forgotten what ended until 1970, so no entry's end is zero.
    if expires_at.0 <= dead.max(table.head().expires_at) {
        return Outcome::Expired;
    }
    if let Some(bucket) = table.find(&id) {
        let entry = table.slot(bucket);
        if entry.expires_at > dead {
            if !owner_may_retry || entry.owner != owner {
                return Outcome::Reused;
            }
            table.extend(bucket, expires_at.0);
            return Outcome::RetriedByOwner;
        }
        table.forget(bucket);
    }
    if table.count() >= capacity {
        return Outcome::Full;
    }
    table.insert(id, expires_at.0, owner);
    Outcome::Fresh
}

/// How many entries are alive. Takes time in proportion to the length of the table: for people who look.
pub fn live(slots: &[Slot], now: UnixTime, clock_skew_seconds: i64) -> usize {
    let dead = last_dead(now, clock_skew_seconds);
    slots.iter().skip(1).filter(|slot| slot.position != 0 && slot.expires_at > dead).count()
}

/// The latest end that a dead proof can have, in microseconds.
fn last_dead(now: UnixTime, clock_skew_seconds: i64) -> i64 {
    now.plus_seconds(-skew(clock_skew_seconds)).0
}

/// The steps on the table. Numbers that lead out of the slice, which only damaged memory can hold, read as an empty
/// slot and are written nowhere, and every loop has a bound: damage can give a wrong answer, not a crash or a hang.
struct Table<'a> {
    slots: &'a mut [Slot],
    buckets: u32,
}

impl<'a> Table<'a> {
    fn new(slots: &'a mut [Slot]) -> Self {
        let buckets = u32::try_from(slots.len().saturating_sub(1)).unwrap_or(u32::MAX);
        Self { slots, buckets }
    }

    fn head(&self) -> Slot {
        self.slots.first().copied().unwrap_or_default()
    }

    fn count(&self) -> u64 {
        self.head().owner.min(u64::from(self.buckets))
    }

    fn slot(&self, bucket: u32) -> Slot {
        self.slots.get(bucket as usize + 1).copied().unwrap_or_default()
    }

    fn change(&mut self, bucket: u32, change: impl FnOnce(&mut Slot)) {
        if let Some(slot) = self.slots.get_mut(bucket as usize + 1) {
            change(slot);
        }
    }

    fn set_count(&mut self, count: u64) {
        if let Some(head) = self.slots.first_mut() {
            head.owner = count;
        }
    }

    /// Where the search for an id starts: a multilinear hash of its halves, whose upper bits spread any set of ids
    /// that was chosen without knowing the seed.
    fn home(&self, id: &UseId) -> u32 {
        let halves = |bytes: &UseId| {
            let value = u128::from_le_bytes(*bytes);
            (value as u64, (value >> 64) as u64)
        };
        let ((low, high), (low_factor, high_factor)) = (halves(id), halves(&self.head().id));
        let hash = low.wrapping_mul(low_factor | 1).wrapping_add(high.wrapping_mul(high_factor | 1));
        ((u128::from(hash) * u128::from(self.buckets)) >> 64) as u32
    }

    fn next(&self, bucket: u32) -> u32 {
        if bucket.saturating_add(1) >= self.buckets { 0 } else { bucket + 1 }
    }

    fn find(&self, id: &UseId) -> Option<u32> {
        let mut bucket = self.home(id);
        for _ in 0..self.buckets {
            let slot = self.slot(bucket);
            if slot.position == 0 {
                return None;
            }
            if slot.id == *id {
                return Some(bucket);
            }
            bucket = self.next(bucket);
        }
        None
    }

    fn insert(&mut self, id: UseId, expires_at: i64, owner: u64) {
        let mut bucket = self.home(&id);
        for _ in 0..self.buckets {
            if self.slot(bucket).position == 0 {
                let place = self.count() as u32;
                self.set_count(u64::from(place) + 1);
                self.change(bucket, |slot| (slot.id, slot.expires_at, slot.owner) = (id, expires_at, owner));
                self.put_in_heap(place, bucket);
                self.move_up(place);
                return;
            }
            bucket = self.next(bucket);
        }
    }

    /// Lets an entry live longer, never shorter.
    fn extend(&mut self, bucket: u32, expires_at: i64) {
        self.change(bucket, |slot| slot.expires_at = slot.expires_at.max(expires_at));
        self.move_down(self.slot(bucket).position.saturating_sub(1));
    }

    /// Drops an entry, and notes up to when proofs are forgotten.
    fn forget(&mut self, bucket: u32) {
        let entry = self.slot(bucket);
        if let Some(head) = self.slots.first_mut() {
            head.expires_at = head.expires_at.max(entry.expires_at);
        }
        let place = entry.position.saturating_sub(1);
        let last = (self.count() as u32).saturating_sub(1);
        self.set_count(u64::from(last));
        if place != last {
            self.put_in_heap(place, self.slot(last).heap);
            self.move_up(place);
            self.move_down(place);
        }
        self.clear(bucket);
        self.close_gap(bucket);
    }

    /// Moves later entries of the same run forward, so that searches may stop at the first empty bucket.
    fn close_gap(&mut self, mut gap: u32) {
        let mut bucket = gap;
        for _ in 0..self.buckets {
            bucket = self.next(bucket);
            let entry = self.slot(bucket);
            if entry.position == 0 {
                return;
            }
            let home = self.home(&entry.id);
            // Its home lies behind the gap, going round: it would not be found in the gap.
            let stays = if gap <= bucket { gap < home && home <= bucket } else { gap < home || home <= bucket };
            if !stays {
                self.change(gap, |slot| {
                    (slot.id, slot.expires_at, slot.owner) = (entry.id, entry.expires_at, entry.owner);
                });
                self.put_in_heap(entry.position.saturating_sub(1), gap);
                self.clear(bucket);
                gap = bucket;
            }
        }
    }

    /// Empties a bucket. Its `heap` member belongs to the heap and stays.
    fn clear(&mut self, bucket: u32) {
        self.change(bucket, |slot| *slot = Slot { heap: slot.heap, ..Slot::default() });
    }

    fn first_to_expire(&self) -> Option<(u32, i64)> {
        if self.count() == 0 {
            return None;
        }
        let bucket = self.slot(0).heap;
        Some((bucket, self.slot(bucket).expires_at))
    }

    fn put_in_heap(&mut self, place: u32, bucket: u32) {
        self.change(place, |slot| slot.heap = bucket);
        self.change(bucket, |slot| slot.position = place.saturating_add(1));
    }

    fn ends_at(&self, place: u32) -> i64 {
        self.slot(self.slot(place).heap).expires_at
    }

    fn swap_in_heap(&mut self, one: u32, other: u32) {
        let (bucket_of_one, bucket_of_other) = (self.slot(one).heap, self.slot(other).heap);
        self.put_in_heap(one, bucket_of_other);
        self.put_in_heap(other, bucket_of_one);
    }

    fn move_up(&mut self, mut place: u32) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.ends_at(parent) <= self.ends_at(place) {
                return;
            }
            self.swap_in_heap(place, parent);
            place = parent;
        }
    }

    fn move_down(&mut self, mut place: u32) {
        let count = self.count();
        loop {
            let left = u64::from(place) * 2 + 1;
            let earliest = [left, left + 1]
                .into_iter()
                .filter(|child| *child < count)
                .map(|child| child as u32)
                .min_by_key(|child| self.ends_at(*child));
            match earliest {
                Some(child) if self.ends_at(child) < self.ends_at(place) => {
                    self.swap_in_heap(place, child);
                    place = child;
                }
                _ => return,
            }
        }
    }
}

/// Expired entries that one step removes. More than one, so that the table empties faster than it fills.
pub const EXPIRED_PER_STEP: usize = 8;

#[cfg(test)]
mod tests;
