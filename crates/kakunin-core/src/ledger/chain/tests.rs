use super::*;
use crate::ledger::Fault;
use crate::ledger::merkle::{EMPTY_ROOT, leaf_hash, root_of};

const LEDGER: LedgerId = LedgerId([0xa1; 16]);

/// A sound chain: an opening entry without rows, then `count` − 1 entries of two rows.
fn chain(count: u64) -> Vec<Entry> {
    let mut chain = vec![Entry {
        ledger: LEDGER,
        seq: 1,
        kind: Kind::Open,
        tx: 0,
        first_row: 0,
        rows: 0,
        root: EMPTY_ROOT,
        at: UnixTime(1_000_000),
        certificate: None,
        role: "owner".to_owned(),
        detail: r#"{"columns":[],"name":"public.t"}"#.to_owned(),
        previous: [0; 32],
    }];
    for seq in 2..=count {
        let previous = chain.last().unwrap().hash().unwrap();
        chain.push(Entry {
            seq,
            kind: Kind::Rows,
            tx: 100 + seq,
            first_row: 2 * (seq - 2),
            rows: 2,
            root: root_of(rows(seq)),
            at: UnixTime(1_000_000 * seq as i64),
            detail: String::new(),
            previous,
            ..chain[0].clone()
        });
    }
    chain
}

fn rows(seq: u64) -> [Hash; 2] {
    [leaf_hash(&[seq as u8, 0]), leaf_hash(&[seq as u8, 1])]
}

/// The hash of any entry, also one that would not be written.
fn hash_of(entry: &Entry) -> Hash {
    entry.hash().unwrap_or_else(|_| leaf_hash(format!("{entry:?}").as_bytes()))
}

/// Makes the chain follow from itself again, from an index on.
fn relink(chain: &mut [Entry], from: usize) {
    for index in from..chain.len() {
        chain[index].previous = hash_of(&chain[index - 1]);
    }
}

fn verify_with(mut verifier: ChainVerifier, chain: &[Entry], pruned: &[u64]) -> Vec<Fault> {
    let (mut faults, mut entry_rows) = (Faults::new(), EntryRows::new());
    for (index, entry) in chain.iter().enumerate() {
        let line = index as u64 + 1;
        verifier.entry(entry, &hash_of(entry), None, line, &mut faults);
        entry_rows.begin(entry, line);
        if entry.rows > 0 && !pruned.contains(&entry.seq) {
            (0..).zip(rows(entry.seq)).for_each(|(position, leaf)| entry_rows.row(position, leaf, &mut faults));
        }
        let outcome = entry_rows.finish(&mut faults);
        verifier.rows(entry, outcome, Some(line), line, &mut faults);
    }
    verifier.finish(&mut faults);
    faults.into_sorted()
}

/// Number and word of each fault.
fn found(chain: &[Entry]) -> Vec<(u64, &'static str)> {
    named(verify_with(ChainVerifier::new(LEDGER), chain, &[]))
}

fn named(faults: Vec<Fault>) -> Vec<(u64, &'static str)> {
    faults.iter().map(|fault| (fault.seq.unwrap(), fault.fault.slug())).collect()
}

#[test]
fn a_sound_chain_has_no_fault() {
    assert_eq!(found(&chain(20)), []);
    assert_eq!(found(&[]), []);
}

#[test]
fn an_entry_that_was_changed_is_named_wherever_it_stands() {
    for seq in 1..=6 {
        let mut chain = chain(8);
        chain[seq - 1].role = "other".to_owned();
        assert_eq!(found(&chain), [(seq as u64, "altered")], "{seq}");
    }
    // The last has no successor that knows its hash; that is what checkpoints are for.
    let mut chain = chain(8);
    chain[7].role = "other".to_owned();
    assert_eq!(found(&chain), []);
}

#[test]
fn a_changed_hash_of_the_entry_before_is_laid_on_the_entry_that_holds_it() {
    let mut chain = chain(8);
    chain[4].previous = [9; 32];
    assert_eq!(found(&chain), [(5, "altered")]);
}

#[test]
fn an_entry_that_fits_neither_side_is_a_fork() {
    let mut chain = chain(8);
    chain[4].previous = [9; 32];
    chain[4].role = "other".to_owned();
    assert_eq!(found(&chain), [(5, "forked")]);
    let mut second = chain[2].clone();
    second.role = "other".to_owned();
    let mut chain = super::tests::chain(8);
    chain.insert(3, second);
    assert_eq!(found(&chain), [(3, "forked")]);
}

#[test]
fn missing_entries_are_named_by_the_first() {
    for (gone, expected) in [(0..1, 1), (3..4, 4), (2..6, 3)] {
        let mut chain = chain(8);
        chain.drain(gone);
        assert_eq!(found(&chain), [(expected, "missing")]);
    }
    let mut chain = chain(10);
    chain.remove(7);
    chain.remove(3);
    assert_eq!(found(&chain), [(4, "missing"), (8, "missing")]);
}

#[test]
fn entries_out_of_order_and_twice_are_told_apart() {
    let mut swapped = chain(8);
    swapped.swap(3, 4);
    assert_eq!(found(&swapped), [(4, "reordered")]);
    let mut moved = chain(8);
    let entry = moved.remove(2);
    moved.push(entry);
    assert_eq!(found(&moved), [(3, "missing"), (3, "reordered")]);
    let mut twice = chain(8);
    twice.insert(4, twice[3].clone());
    assert_eq!(found(&twice), [(4, "duplicated")]);
    let mut later = chain(8);
    later.push(later[2].clone());
    assert_eq!(found(&later), [(3, "duplicated")]);
}

#[test]
fn a_chain_that_was_linked_anew_is_still_checked_against_itself() {
    let changed = |change: &dyn Fn(&mut Entry)| {
        let mut chain = chain(8);
        change(&mut chain[4]);
        relink(&mut chain, 5);
        found(&chain)
    };
    assert_eq!(changed(&|entry| entry.role = "other".to_owned()), [], "only a checkpoint can tell");
    assert_eq!(changed(&|entry| entry.first_row += 1), [(5, "miscounted"), (6, "miscounted")]);
    assert_eq!(changed(&|entry| entry.at.0 = 0), [(5, "time_reversed")]);
    assert_eq!(changed(&|entry| entry.at.0 = i64::MAX), [(6, "time_reversed")]);
    assert_eq!(changed(&|entry| entry.tx = 103), [(5, "transaction_reused")]);
    assert_eq!(changed(&|entry| entry.root = [1; 32]), [(5, "altered")]);
    assert_eq!(changed(&|entry| entry.rows = 1), [(5, "extra"), (6, "miscounted")]);
    assert_eq!(changed(&|entry| entry.rows = 3), [(5, "missing"), (6, "miscounted")]);
    assert_eq!(changed(&|entry| entry.tx = 0), [(5, "malformed")]);
    assert_eq!(changed(&|entry| entry.kind = Kind::Open), [(5, "malformed")]);
    assert_eq!(changed(&|entry| entry.ledger = LedgerId([1; 16])), [(5, "foreign_ledger"), (5, "missing")]);
}

#[test]
fn nothing_follows_a_close() {
    let mut chain = chain(6);
    let close = |entry: &mut Entry| {
        *entry = Entry {
            kind: Kind::Close,
            tx: 0,
            rows: 0,
            root: EMPTY_ROOT,
            detail: r#"{"reason":"r"}"#.to_owned(),
            ..entry.clone()
        };
    };
    close(&mut chain[5]);
    assert_eq!(found(&chain), []);
    let mut chain = super::tests::chain(6);
    close(&mut chain[3]);
    chain[4].first_row -= 2;
    chain[5].first_row -= 2;
    relink(&mut chain, 4);
    assert_eq!(found(&chain), [(5, "after_close"), (6, "after_close")]);
}

/// Appends a prune entry.
fn prune(chain: &mut Vec<Entry>, checkpoint: u64, first: u64, last: u64) {
    let detail = Detail::Prune { checkpoint, first, last, reason: "ten years".to_owned() }.encode().unwrap();
    let before = chain.last().unwrap();
    chain.push(Entry {
        seq: before.seq + 1,
        kind: Kind::Prune,
        tx: 0,
        first_row: before.first_row + before.rows,
        rows: 0,
        root: EMPTY_ROOT,
        detail,
        previous: hash_of(before),
        ..before.clone()
    });
}

#[test]
fn rows_may_be_gone_only_if_a_prune_entry_says_so() {
    let pruned = |chain: &[Entry], gone: &[u64]| named(verify_with(ChainVerifier::new(LEDGER), chain, gone));
    let sound = chain(8);
    assert_eq!(pruned(&sound, &[2, 3, 4, 6]), [(2, "pruned_without_entry"), (6, "pruned_without_entry")]);
    let mut whole = chain(8);
    prune(&mut whole, 4, 1, 4);
    assert_eq!(pruned(&whole, &[2, 3, 4]), []);
    assert_eq!(pruned(&whole, &[]), [], "they may still be there");
    assert_eq!(pruned(&whole, &[2, 3, 4, 5]), [(5, "pruned_without_entry")]);
    prune(&mut whole, 7, 6, 7);
    assert_eq!(pruned(&whole, &[2, 3, 4, 6]), []);
    assert_eq!(pruned(&whole, &[2, 3, 4, 6, 7, 8]), [(8, "pruned_without_entry")]);
    let mut middle = chain(8);
    prune(&mut middle, 8, 4, 5);
    assert_eq!(pruned(&middle, &[3, 4, 5, 6]), [(3, "pruned_without_entry"), (6, "pruned_without_entry")]);
    let mut early = chain(8);
    prune(&mut early, 3, 2, 4);
    assert_eq!(pruned(&early, &[2, 3, 4]), [(9, "prune_not_covered")]);
    let mut future = chain(8);
    prune(&mut future, 20, 2, 9);
    assert_eq!(pruned(&future, &[2]), [(9, "prune_not_covered")]);
}

#[test]
fn a_hash_that_is_stored_beside_an_entry_tells_which_of_the_two_was_changed() {
    let check = |chain: &[Entry], stored: &[Hash]| {
        let (mut verifier, mut faults) = (ChainVerifier::new(LEDGER), Faults::new());
        for (entry, stored) in chain.iter().zip(stored) {
            verifier.entry(entry, &hash_of(entry), Some(stored), entry.seq, &mut faults);
        }
        verifier.finish(&mut faults);
        named(faults.into_sorted())
    };
    let sound = chain(6);
    let stored: Vec<_> = sound.iter().map(hash_of).collect();
    assert_eq!(check(&sound, &stored), []);
    for seq in 1..=6 {
        let mut altered = sound.clone();
        altered[seq - 1].role = "other".to_owned();
        assert_eq!(check(&altered, &stored), [(seq as u64, "altered")], "also the last");
    }
    let mut other = stored.clone();
    other[2] = [9; 32];
    assert_eq!(check(&sound, &other), [(3, "stored_hash_wrong")]);
}

#[test]
fn verification_goes_on_from_a_head() {
    let chain = chain(10);
    let mut first = ChainVerifier::new(LEDGER);
    let mut faults = Faults::new();
    assert_eq!(first.head(), None);
    chain[..6].iter().for_each(|entry| first.entry(entry, &hash_of(entry), None, 0, &mut faults));
    let head = first.head().unwrap();
    assert_eq!((head.seq, head.rows, head.hash, head.closed), (6, 10, hash_of(&chain[5]), false));
    assert_eq!(verify_with(ChainVerifier::resume(LEDGER, &head), &chain[6..], &[]), []);
    let wrong = Head { hash: [1; 32], ..head };
    assert_eq!(named(verify_with(ChainVerifier::resume(LEDGER, &wrong), &chain[6..], &[])), [(6, "altered")]);
    assert_eq!(named(verify_with(ChainVerifier::resume(LEDGER, &head), &chain[7..], &[])), [(7, "missing")]);
}

#[test]
fn an_entry_that_cannot_be_read_is_one_fault() {
    let chain = chain(6);
    let (mut verifier, mut faults) = (ChainVerifier::new(LEDGER), Faults::new());
    for entry in &chain {
        if entry.seq == 4 {
            verifier.unreadable(4, &hash_of(entry), "the bytes end early", 4, &mut faults);
            assert_eq!(verifier.head(), None);
        } else {
            verifier.entry(entry, &hash_of(entry), None, entry.seq, &mut faults);
        }
    }
    verifier.finish(&mut faults);
    assert_eq!(named(faults.into_sorted()), [(4, "malformed")]);
}

#[test]
fn rows_are_compared_by_place_and_root() {
    let entry = Entry { rows: 3, root: root_of([[1; 32], [2; 32], [3; 32]]), ..chain(2)[1].clone() };
    let check = |rows: &[(u64, u8)]| {
        let (mut entry_rows, mut faults) = (EntryRows::new(), Faults::new());
        entry_rows.begin(&entry, 7);
        rows.iter().for_each(|(position, byte)| entry_rows.row(*position, [*byte; 32], &mut faults));
        let outcome = entry_rows.finish(&mut faults);
        let name = |fault: &Fault| (fault.row, fault.fault.slug());
        (outcome, faults.list().iter().map(name).collect::<Vec<_>>())
    };
    let faulty = RowsOutcome::Faulty;
    assert_eq!(check(&[(0, 1), (1, 2), (2, 3)]), (RowsOutcome::Sound, vec![]));
    assert_eq!(check(&[]), (RowsOutcome::Absent, vec![]));
    assert_eq!(check(&[(0, 1), (1, 3), (2, 2)]), (faulty, vec![(None, "altered")]));
    assert_eq!(check(&[(0, 1), (1, 2)]), (faulty, vec![(Some(2), "missing")]));
    assert_eq!(check(&[(1, 2), (2, 3)]), (faulty, vec![(Some(0), "missing")]));
    assert_eq!(check(&[(0, 1), (2, 3)]), (faulty, vec![(Some(1), "missing")]));
    assert_eq!(check(&[(0, 1), (1, 2), (1, 2), (2, 3)]), (faulty, vec![(Some(1), "duplicated")]));
    assert_eq!(check(&[(0, 1), (1, 2), (2, 3), (3, 4)]), (faulty, vec![(Some(3), "extra")]));
}

#[test]
fn extreme_numbers_do_not_panic() {
    let mut chain = chain(3);
    chain[1].seq = u64::MAX;
    chain[1].root = root_of(rows(u64::MAX));
    chain[2].seq = u64::MAX;
    chain[2].rows = u64::MAX;
    assert_eq!(found(&chain[..2]), [(2, "missing")]);
    let faults = found(&chain);
    assert!(faults.contains(&(u64::MAX, "malformed")) && faults.contains(&(u64::MAX, "forked")), "{faults:?}");
}

#[test]
fn transactions_beyond_the_limit_are_forgotten_and_never_taken_for_known() {
    use crate::limits::LEDGER_TRANSACTION_WORDS_MAX;
    let mut known = Transactions::default();
    for word in 0..LEDGER_TRANSACTION_WORDS_MAX as u64 {
        assert!(known.insert(64 * word));
    }
    assert!(!known.insert(0), "the lowest is still known");
    assert!(known.insert(u64::MAX), "one word more");
    assert!(!known.insert(64), "the next lowest is known");
    assert!(known.insert(0), "the lowest was forgotten");
}

#[test]
fn stretches_of_pruned_entries_are_remembered_up_to_a_limit() {
    let entry = chain(2).remove(1);
    let mut verifier = ChainVerifier::new(LEDGER);
    let mut faults = Faults::new();
    let mut prune_one = |seq: u64, faults: &mut Faults| {
        verifier.rows(&Entry { seq, ..entry.clone() }, RowsOutcome::Absent, None, seq, faults);
        verifier.rows(&Entry { seq: seq + 1, ..entry.clone() }, RowsOutcome::Sound, None, seq, faults);
    };
    (0..LEDGER_STRETCHES_MAX as u64).for_each(|number| prune_one(2 * number + 2, &mut faults));
    assert!(faults.is_empty());
    prune_one(1_000_000, &mut faults);
    assert_eq!(named(faults.into_sorted()), [(1_000_000, "pruned_without_entry")]);
}
