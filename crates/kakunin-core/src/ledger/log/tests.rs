use ring::signature::{Ed25519KeyPair, KeyPair};

use super::*;
use crate::ledger::Fault;
use crate::ledger::merkle::root_of;
use crate::ledger::merkle::tests::leaves;
use crate::ledger::proof;

const ORIGIN: &str = "ledger.example/1";

struct Signing(Ed25519KeyPair);

impl Signing {
    fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }
    fn key(&self) -> VerifierKey {
        VerifierKey::new(ORIGIN, self.0.public_key().as_ref().try_into().unwrap()).unwrap()
    }
    fn note(&self, size: u64, root: Hash) -> String {
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root };
        let signature = self.0.sign(checkpoint.text().as_bytes()).as_ref().try_into().unwrap();
        checkpoint.with_signature(&self.key(), &signature).unwrap()
    }
    /// The note that is due at this size of the log of [`leaves`].
    fn due(&self, size: usize) -> String {
        self.note(size as u64, root_of(leaves(size)))
    }
}

enum Step {
    Entries(usize),
    Note(String),
}

fn run(pinned: &[&Signing], own: &[&Signing], kept: &[String], steps: Vec<Step>) -> (Coverage, Vec<&'static str>) {
    let keys = |signers: &[&Signing]| signers.iter().map(|signer| signer.key()).collect();
    let kept =
        kept.iter().enumerate().map(|(index, note)| Kept::parse(format!("kept {index}"), note.as_str()).unwrap());
    let mut faults = Faults::new();
    let keys = Keys { pinned: keys(pinned), own: keys(own) };
    let mut log = LogVerifier::new(ORIGIN, keys, kept.collect(), &mut faults);
    for (line, step) in (2..).zip(steps) {
        match step {
            Step::Entries(upto) => leaves(upto)[log.size() as usize..].iter().for_each(|leaf| log.entry(leaf)),
            Step::Note(note) => log.checkpoint(&note, line, &mut faults),
        }
    }
    let coverage = log.finish(99, &mut faults);
    (coverage, faults.into_sorted().iter().map(|fault: &Fault| fault.fault.slug()).collect())
}

use Step::{Entries, Note as Signed};

#[test]
fn checkpoints_that_agree_cover_the_log_up_to_them() {
    let (ours, other) = (Signing::new(1), Signing::new(2));
    let steps =
        || vec![Signed(ours.due(0)), Entries(5), Signed(ours.due(5)), Entries(9), Signed(ours.due(9)), Entries(12)];
    let (coverage, faults) = run(&[&ours], &[&ours], &[], steps());
    assert_eq!(faults, [""; 0]);
    assert_eq!((coverage.entries, coverage.checkpoints, coverage.pinned, coverage.own), (12, 3, Some(9), None));
    let (coverage, faults) = run(&[], &[&ours], &[], steps());
    assert_eq!(faults, [""; 0]);
    assert_eq!((coverage.trusted(), coverage.any()), (None, Some(9)), "its own word proves nothing");
    let (_, faults) = run(&[], &[&other], &[], steps());
    assert_eq!(faults, ["unsigned"; 3]);
    let (_, faults) = run(&[&other], &[&ours], &[], steps());
    assert_eq!(faults, ["unsigned"]);
    let (_, faults) = run(&[&ours], &[], &[], vec![Entries(3)]);
    assert_eq!(faults, ["unsigned"], "no checkpoint at all");
    let (_, faults) = run(&[], &[&ours], &[], vec![Entries(3)]);
    assert_eq!(faults, [""; 0]);
}

#[test]
fn the_key_may_change_as_long_as_the_newest_checkpoint_is_by_a_key_that_was_given() {
    let (old, new) = (Signing::new(1), Signing::new(2));
    let steps = || vec![Entries(5), Signed(old.due(5)), Entries(9), Signed(new.due(9))];
    let (coverage, faults) = run(&[&new], &[&old, &new], &[], steps());
    assert_eq!((faults.as_slice(), coverage.pinned), (&[][..], Some(9)));
    let (coverage, faults) = run(&[&old], &[&old, &new], &[], steps());
    assert_eq!((faults.as_slice(), coverage.pinned), (&["unsigned"][..], Some(5)));
    let (_, faults) = run(&[&old, &new], &[], &[], steps());
    assert_eq!(faults, [""; 0]);
}

#[test]
fn checkpoints_that_do_not_agree_are_told_once() {
    let ours = Signing::new(1);
    let wrong = ours.note(5, [7; 32]);
    let (coverage, faults) =
        run(&[&ours], &[], &[], vec![Entries(5), Signed(wrong.clone()), Entries(9), Signed(ours.due(9))]);
    assert_eq!((faults.as_slice(), coverage.pinned), (&["checkpoint_mismatch", "unsigned"][..], None));
    let (_, faults) = run(&[], &[&ours], &[], vec![Entries(4), Signed(ours.due(5))]);
    assert_eq!(faults, ["truncated"]);
    let (_, faults) = run(&[], &[&ours], &[], vec![Entries(6), Signed(ours.due(5))]);
    assert_eq!(faults, ["checkpoint_mismatch"]);
    let (_, faults) = run(&[], &[&ours], &[], vec![Entries(5), Signed(ours.due(5)), Signed(ours.due(5))]);
    assert_eq!(faults, [""; 0], "a second one shows that the log is alive");
    let (_, faults) = run(&[], &[&ours], &[], vec![Entries(5), Signed(ours.due(5)), Signed(wrong)]);
    assert_eq!(faults, ["inconsistent_checkpoints"]);
    let text = Checkpoint { origin: ORIGIN.to_owned(), size: 5, root: root_of(leaves(5)) };
    let forged = text.with_signature(&ours.key(), &[7; 64]).unwrap();
    let (_, faults) = run(&[], &[&ours], &[], vec![Entries(5), Signed(forged)]);
    assert_eq!(faults, ["bad_signature"]);
    let (_, faults) = run(&[], &[&ours], &[], vec![Entries(5), Signed("nothing".to_owned())]);
    assert_eq!(faults, ["malformed"]);
    let foreign = ours.due(5).replace(ORIGIN, "ledger.example/2");
    let (_, faults) = run(&[], &[&ours], &[], vec![Entries(5), Signed(foreign)]);
    assert_eq!(faults, ["foreign_ledger"]);
}

#[test]
fn a_checkpoint_that_was_kept_must_be_continued() {
    let (ours, other) = (Signing::new(1), Signing::new(2));
    let steps = || vec![Entries(5), Signed(ours.due(5)), Entries(9), Signed(ours.due(9)), Entries(11)];
    for size in [0, 1, 3, 5, 8, 9, 11] {
        let (coverage, faults) = run(&[], &[&ours], &[other.due(size)], steps());
        assert_eq!((faults.as_slice(), coverage.kept), (&[][..], Some(size as u64)), "{size}");
    }
    let (_, faults) = run(&[], &[&ours], &[ours.due(12)], steps());
    assert_eq!(faults, ["truncated"]);
    let (_, faults) = run(&[], &[&ours], &[ours.note(10, [7; 32])], steps());
    assert_eq!(faults, ["truncated"], "behind the newest checkpoint the order is another");
    let (_, faults) = run(&[], &[&ours], &[ours.note(7, [7; 32])], steps());
    assert_eq!(faults, ["inconsistent_checkpoints"], "the key signed two histories");
    let (_, faults) = run(&[], &[&ours], &[other.note(7, [7; 32])], steps());
    assert_eq!(faults, ["checkpoint_mismatch"]);
    let foreign = ours.due(5).replace(ORIGIN, "ledger.example/2");
    let (_, faults) = run(&[], &[&ours], &[foreign], steps());
    assert_eq!(faults, ["foreign_ledger"]);
    let forged = ours.due(5).replacen('A', "B", 1);
    if Kept::parse("", forged.as_str()).is_ok() {
        let (_, faults) = run(&[], &[&ours], &[forged], steps());
        assert!(!faults.is_empty());
    }
    assert!(Kept::parse("file", "nothing").is_err());
}

#[test]
fn a_kept_checkpoint_with_a_bad_signature_is_told() {
    let ours = Signing::new(1);
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: 5, root: root_of(leaves(5)) };
    let forged = checkpoint.with_signature(&ours.key(), &[7; 64]).unwrap();
    let (_, faults) = run(&[&ours], &[], &[forged], vec![Entries(5), Signed(ours.due(5))]);
    assert_eq!(faults, ["bad_signature"]);
}

#[test]
fn verification_goes_on_from_a_known_tree() {
    let ours = Signing::new(1);
    let mut faults = Faults::new();
    let tree = Frontier::of(70, |level, index| proof::from_leaves(&leaves(70))(level, index)).unwrap();
    let keys = Keys { pinned: vec![ours.key()], own: vec![] };
    let kept = vec![Kept::parse("kept", ours.due(60)).unwrap(), Kept::parse("kept", ours.due(80)).unwrap()];
    let mut log = LogVerifier::resume(ORIGIN, keys, kept, tree, &mut faults);
    leaves(100)[70..].iter().for_each(|leaf| log.entry(leaf));
    log.checkpoint(&ours.due(100), 2, &mut faults);
    let coverage = log.finish(3, &mut faults);
    assert!(faults.is_empty());
    assert_eq!((coverage.pinned, coverage.kept, coverage.entries), (Some(100), Some(80), 100));
}
