use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const OWNER: u64 = 7;

fn id(number: u64) -> UseId {
    // Spread like a digest, so that tests see realistic runs.
    let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&mixed.to_le_bytes());
    id[8..].copy_from_slice(&(mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9).to_le_bytes());
    id
}

fn second(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(seconds)
}

fn table(entries: usize) -> Vec<Slot> {
    vec![Slot::default(); slots_for(entries)]
}

/// Without a skew, as another owner than whoever came before.
fn use_once(slots: &mut [Slot], number: u64, expires_at: i64, now: i64) -> Outcome {
    admit(slots, id(number), second(expires_at), second(now), 0, OWNER, false)
}

/// What must hold after every step; gives the mean number of buckets from its home to an entry.
fn check_structure(slots: &mut [Slot]) -> f64 {
    let table = Table::new(slots);
    let count = table.count() as u32;
    let mut distance = 0;
    let mut seen = 0;
    for bucket in 0..table.buckets {
        let entry = table.slot(bucket);
        if entry.position == 0 {
            continue;
        }
        seen += 1;
        assert_eq!(table.find(&entry.id), Some(bucket), "every entry is found where it is");
        assert!(entry.position <= count);
        assert_eq!(table.slot(entry.position - 1).heap, bucket, "the heap and the buckets agree");
        distance += u64::from((bucket + table.buckets - table.home(&entry.id)) % table.buckets);
    }
    assert_eq!(seen, count, "the count is right");
    for place in 1..count {
        assert!(table.ends_at((place - 1) / 2) <= table.ends_at(place), "the heap is one");
    }
    distance as f64 / f64::from(count.max(1))
}

#[test]
fn n04_pki_37_a_proof_is_good_for_one_use() {
    let mut slots = table(8);
    assert_eq!(use_once(&mut slots, 1, 60, 0), Outcome::Fresh);
    for now in [0, 30, 59] {
        assert_eq!(use_once(&mut slots, 1, 60, now), Outcome::Reused);
    }
    assert_eq!(use_once(&mut slots, 2, 60, 0), Outcome::Fresh, "another proof is another matter");
    assert_eq!([59, 60].map(|now| live(&slots, second(now), 0)), [2, 0]);
    assert_eq!([64, 65].map(|now| live(&slots, second(now), 5)), [2, 0]);
    assert_eq!(use_once(&mut slots, 1, 60, 60), Outcome::Expired);
    assert_eq!(use_once(&mut slots, 1, 120, 60), Outcome::Fresh, "a jti may come again when its proof has ended");
}

#[test]
fn n06_only_the_owner_may_retry_and_only_when_allowed() {
    let mut slots = table(8);
    let mut present =
        |expires_at, owner, may_retry| admit(&mut slots, id(1), second(expires_at), second(0), 0, owner, may_retry);
    assert_eq!(present(60, OWNER, true), Outcome::Fresh);
    assert_eq!(present(60, OWNER + 1, true), Outcome::Reused);
    assert_eq!(present(60, OWNER, false), Outcome::Reused);
    assert_eq!(present(60, OWNER, true), Outcome::RetriedByOwner);
    assert_eq!(present(60, OWNER, true), Outcome::RetriedByOwner, "PostgREST runs a transaction again more than once");
    // Two proofs with one jti: the retry makes it remembered to the end of the later one, and never shorter.
    assert_eq!(present(90, OWNER, true), Outcome::RetriedByOwner);
    assert_eq!(present(60, OWNER, true), Outcome::RetriedByOwner);
    assert_eq!(admit(&mut slots, id(1), second(90), second(80), 0, OWNER + 1, true), Outcome::Reused);
    check_structure(&mut slots);
}

#[test]
fn n09_a_full_table_refuses_and_forgets_nothing() {
    for entries in [1, 2, 3, 4, 5, 100, 1000] {
        let mut slots = table(entries);
        let places = capacity(slots.len()) as u64;
        for number in 0..places {
            assert_eq!(use_once(&mut slots, number, 60, 0), Outcome::Fresh, "{number} of {places}");
        }
        check_structure(&mut slots);
        for number in 0..places {
            assert_eq!(use_once(&mut slots, number, 60, 59), Outcome::Reused);
        }
        assert_eq!(use_once(&mut slots, 1_000_000, 60, 59), Outcome::Full);
        assert_eq!(
            Outcome::Full.refusal(second(60), slots.len()).map(|reason| reason.slug()),
            Some("proof_store_full")
        );
        assert_eq!(use_once(&mut slots, 1_000_000, 120, 60), Outcome::Fresh, "one that ended makes room");
        check_structure(&mut slots);
    }
    for none in [0, 1] {
        assert_eq!(use_once(&mut vec![Slot::default(); none], 1, 60, 0), Outcome::Full, "no place at all");
    }
}

#[test]
fn the_least_length_for_a_number_of_entries_is_found() {
    for entries in 1..5000 {
        assert!(capacity(slots_for(entries)) >= entries);
        assert!(capacity(slots_for(entries) - 1) < entries);
    }
    assert_eq!((capacity(0), capacity(1), slots_for(0)), (0, 0, 1));
}

#[test]
fn each_outcome_that_refuses_has_its_reason() {
    let slug = |outcome: Outcome| outcome.refusal(second(1), 9).map(|reason| reason.slug());
    assert_eq!(slug(Outcome::Fresh), None);
    assert_eq!(slug(Outcome::RetriedByOwner), None);
    assert_eq!(slug(Outcome::Reused), Some("proof_reused"));
    assert_eq!(slug(Outcome::Expired), Some("proof_expired"));
    assert_eq!(Outcome::Full.refusal(second(1), 9), Some(Reason::ProofStoreFull { count: 6 }));
}

/// A backend reads the clock, waits, and comes back when the others are ahead and have forgotten the first use.
#[test]
fn n04_a_caller_with_a_late_clock_cannot_use_a_forgotten_proof() {
    let mut slots = table(8);
    assert_eq!(use_once(&mut slots, 1, 60, 0), Outcome::Fresh);
    assert_eq!(use_once(&mut slots, 2, 200, 100), Outcome::Fresh);
    assert_eq!(live(&slots, second(0), 0), 1, "proof 1 is forgotten");
    assert_eq!(use_once(&mut slots, 1, 60, 59), Outcome::Expired);
    assert_eq!(use_once(&mut slots, 3, 61, 59), Outcome::Fresh, "one that ends later was not forgotten");
}

#[test]
fn n04_a_clock_that_jumps_ahead_and_back_blocks_only_what_was_forgotten() {
    let mut slots = table(8);
    assert_eq!(use_once(&mut slots, 1, 60, 0), Outcome::Fresh);
    assert_eq!(use_once(&mut slots, 2, 2_000_000_060, 2_000_000_000), Outcome::Fresh);
    assert_eq!(use_once(&mut slots, 1, 60, 1), Outcome::Expired);
    assert_eq!(use_once(&mut slots, 3, 61, 1), Outcome::Fresh);
}

#[test]
fn n04_a_greater_skew_revives_no_forgotten_proof() {
    let mut slots = table(8);
    let present = |slots: &mut [Slot], number, expires_at, now, skew| {
        admit(slots, id(number), second(expires_at), second(now), skew, OWNER, false)
    };
    assert_eq!(present(&mut slots, 1, 60, 0, 0), Outcome::Fresh);
    assert_eq!(present(&mut slots, 2, 120, 61, 0), Outcome::Fresh);
    assert_eq!(present(&mut slots, 1, 60, 62, 300), Outcome::Expired);
    assert_eq!(present(&mut slots, 3, 61, 62, 300), Outcome::Fresh);
    assert_eq!(present(&mut slots, 3, 61, 62, 300), Outcome::Reused);
    assert_eq!(present(&mut slots, 3, 61, 62, 0), Outcome::Expired);
}

#[test]
fn times_at_the_ends_of_the_range_do_no_harm() {
    let mut slots = table(8);
    for (expires_at, now) in [(i64::MAX, i64::MIN), (i64::MIN, i64::MAX), (i64::MIN, i64::MIN), (0, -1), (-1, -2)] {
        admit(&mut slots, id(1), UnixTime(expires_at), UnixTime(now), i64::MAX, OWNER, true);
        check_structure(&mut slots);
    }
    assert_eq!(use_once(&mut slots, 2, 0, -1), Outcome::Expired, "what ended by 1970 is not admitted");
}

/// Three quarters full and with a hundred times its size gone through it, a search is as short as in a new table.
#[test]
fn searches_stay_short_after_many_expirations() {
    let mut slots = table(3000);
    prepare(&mut slots, *b"0123456789abcdef");
    let capacity = capacity(slots.len()) as u64;
    for number in 0..100 * capacity {
        // One proof each second, and each lives until the table is just full.
        let now = number as i64;
        assert_eq!(use_once(&mut slots, number, now + capacity as i64, now), Outcome::Fresh);
    }
    assert_eq!(live(&slots, second(100 * capacity as i64 - 1), 0) as u64, capacity);
    let distance = check_structure(&mut slots);
    assert!(distance < 3.0, "linear probing at 3/4 takes 1.5 steps beyond the first; here {distance}");
}

/// Whoever knows the hash function could choose ids that fall into one place; a seed scatters them.
#[test]
fn attack_12_a_seed_scatters_chosen_ids() {
    let distance = |seed: [u8; 16], half: usize| {
        let mut slots = table(4000);
        prepare(&mut slots, seed);
        for number in 0..2000_u64 {
            let mut id = [0; 16];
            id[half * 8..][..8].copy_from_slice(&number.to_le_bytes());
            assert_eq!(admit(&mut slots, id, second(60), second(0), 0, OWNER, false), Outcome::Fresh);
        }
        check_structure(&mut slots)
    };
    for half in [0, 1] {
        assert!(distance([0; 16], half) > 500.0, "without a seed they crowd");
        assert!(distance(*b"\x8f\x02\xd7\x13\xa5\x66\x9c\x41\x3d\xee\x0b\x77\x52\xc8\x1a\xf9", half) < 10.0);
    }
}

/// More entries end at once than one step removes, and some of those that are left come back.
#[test]
fn dead_entries_are_replaced_wherever_they_are() {
    let mut slots = table(100);
    for number in 0..100 {
        assert_eq!(use_once(&mut slots, number, 1 + (number as i64 * 37) % 100, 0), Outcome::Fresh);
    }
    for step in 0..100 {
        let number = (step * 61 + 7) % 100;
        assert_eq!(use_once(&mut slots, number, 300 + number as i64, 200), Outcome::Fresh);
        check_structure(&mut slots);
        assert_eq!(live(&slots, second(200), 0) as u64, step + 1);
    }
}

#[test]
fn entries_can_leave_in_any_order() {
    let mut slots = table(100);
    for number in 0..100 {
        assert_eq!(use_once(&mut slots, number, 1 + (number as i64 * 37) % 100, 0), Outcome::Fresh);
    }
    for step in 0..100 {
        let mut table = Table::new(&mut slots);
        let bucket = table.find(&id((step * 61 + 7) % 100)).unwrap();
        table.forget(bucket);
        check_structure(&mut slots);
    }
    assert_eq!(live(&slots, second(0), 0), 0);
}

#[test]
fn preparing_empties_the_table() {
    let mut slots = table(8);
    assert_eq!(use_once(&mut slots, 1, 60, 0), Outcome::Fresh);
    prepare(&mut slots, [1; 16]);
    assert_eq!(live(&slots, second(0), 0), 0);
    assert_eq!(use_once(&mut slots, 1, 60, 0), Outcome::Fresh);
    prepare(&mut [], [1; 16]);
}

/// The plain description of the table: nothing but what is remembered.
#[derive(Default)]
struct Model {
    used: HashMap<u64, (i64, u64)>,
}

impl Model {
    fn admit(
        &mut self,
        number: u64,
        expires_at: i64,
        now: i64,
        owner: u64,
        may_retry: bool,
        capacity: usize,
    ) -> Outcome {
        self.used.retain(|_, (ends, _)| *ends > now);
        if expires_at <= now {
            return Outcome::Expired;
        }
        if let Some((ends, first_owner)) = self.used.get_mut(&number) {
            if !may_retry || *first_owner != owner {
                return Outcome::Reused;
            }
            *ends = (*ends).max(expires_at);
            return Outcome::RetriedByOwner;
        }
        if self.used.len() >= capacity {
            return Outcome::Full;
        }
        self.used.insert(number, (expires_at, owner));
        Outcome::Fresh
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// With a clock that goes forward the table answers exactly as the model does, at every step.
    #[test]
    fn n04_n09_agrees_with_the_model(
        entries in 1_usize..24,
        seed in any::<[u8; 16]>(),
        steps in prop::collection::vec((0_u64..40, 1_i64..30, 0_i64..3, 0_u64..3, any::<bool>()), 1..200),
    ) {
        let mut slots = table(entries);
        prepare(&mut slots, seed);
        let capacity = capacity(slots.len());
        let (mut model, mut now) = (Model::default(), 1);
        for (number, lifetime, pause, owner, may_retry) in steps {
            now += pause;
            let expires_at = now + lifetime - 1;
            let expected = model.admit(number, expires_at, now, owner, may_retry, capacity);
            let outcome = admit(&mut slots, id(number), second(expires_at), second(now), 0, owner, may_retry);
            prop_assert_eq!(outcome, expected);
            check_structure(&mut slots);
            prop_assert_eq!(live(&slots, second(now), 0), model.used.values().filter(|(ends, _)| *ends > now).count());
        }
    }

    /// With a clock that jumps as it likes and a skew that changes, a proof is still fresh at most once.
    #[test]
    fn n04_no_clock_makes_a_proof_fresh_twice(
        steps in prop::collection::vec((0_u64..12, 0_i64..60, 0_i64..10, any::<bool>()), 1..200),
    ) {
        let mut slots = table(6);
        let mut fresh = HashMap::new();
        for (number, now, skew, may_retry) in steps {
            let expires_at = 20 + number as i64;
            let outcome = admit(&mut slots, id(number), second(expires_at), second(now), skew, OWNER, may_retry);
            if outcome == Outcome::Fresh {
                prop_assert_eq!(fresh.insert(number, now), None);
            }
            check_structure(&mut slots);
        }
    }

    /// Memory that something else has written over may give any answer, but it gives one.
    #[test]
    fn damaged_memory_neither_panics_nor_hangs(
        words in prop::collection::vec((any::<[u8; 16]>(), any::<i64>(), any::<u64>(), 0_u32..40, 0_u32..40), 0..12),
        number in any::<u64>(),
    ) {
        let slot = |(id, expires_at, owner, position, heap)| Slot { id, expires_at, owner, position, heap };
        let mut slots: Vec<Slot> = words.into_iter().map(slot).collect();
        for step in 0..20 {
            use_once(&mut slots, number ^ step, 100, step as i64);
            live(&slots, second(50), 0);
        }
    }
}
