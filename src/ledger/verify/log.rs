//! The log of all ledgers against the checkpoints that were signed of it: those in the database, and the last one that
//! the signer remembers outside of it.

use super::super::store;
use super::tiles::Tiles;
use crate::checkpoint::log::{self, Stored, StoredLog};
use crate::checkpoint::{key_that_signs, settled_last};
use kakunin_core::ledger::log::{Kept, Keys, LogVerifier};
use kakunin_core::ledger::note::{Checkpoint, Note};
use kakunin_core::ledger::{Fault, FaultKind, Faults};
use kakunin_core::signer::message::Last;
use pgrx::prelude::*;

/// What the signer remembers, asked before the snapshot is taken: what was signed by then is in the database, or its
/// transaction has failed.
pub struct Remembered(Option<(StoredLog, Option<Last>)>);

impl Remembered {
    /// Asks the signer, if it runs.
    pub fn ask() -> Self {
        Self(log::named().map(|log| {
            let last = settled_last(&log.origin);
            (log, last)
        }))
    }
}

/// Checks the log from its beginning, or from a checkpoint on that is believed.
///
/// # Safety
/// The snapshot is registered.
pub unsafe fn check(remembered: Remembered, since: Option<u64>, snapshot: pg_sys::Snapshot, faults: &mut Faults) {
    let known = faults.count();
    let sizes = log::checkpoints_as_of(snapshot);
    let Some((log, last)) = remembered.0 else {
        if let Some(size) = sizes.last() {
            let detail = "the log has checkpoints and no name: kakunin.log is empty".to_owned();
            tell(FaultKind::Missing, Some(*size), detail, faults);
        }
        return;
    };
    let mut own = Vec::new();
    for name in log::names() {
        match key_that_signs(&name) {
            Ok(key) => own.push(key),
            Err(_) => tell(FaultKind::Unsigned, None, format!("the key of log {} is not there", name.origin), faults),
        }
    }
    let kept = last.as_ref().and_then(|last| Kept::parse("the signer's last checkpoint", last.note.clone()).ok());
    let keys = Keys { pinned: Vec::new(), own };
    let start = since.and_then(|size| log::of_size(size.cast_signed())).and_then(|stored| stored.frontier().ok());
    let mut verifier = match start {
        Some(tree) => LogVerifier::resume(&*log.origin, keys, kept.into_iter().collect(), tree, faults),
        None => LogVerifier::new(&*log.origin, keys, kept.into_iter().collect(), faults),
    };
    let start = verifier.size();
    let mut upcoming = sizes.iter().copied().filter(|size| *size >= start).peekable();
    let mut note = |verifier: &mut LogVerifier, faults: &mut Faults| {
        while let Some(size) = upcoming.next_if(|size| *size <= verifier.size()) {
            if let Some(stored) = log::of_size(size.cast_signed()) {
                verifier.checkpoint(&stored.note, 0, faults);
                check_columns(&stored, faults);
            }
        }
    };
    // SAFETY: by the caller's promise. Tiles are made anew from the first entry on, or not at all.
    let mut tiles = if start == 0 { Some(unsafe { Tiles::new(snapshot) }) } else { None };
    let ledgers = store::ledgers();
    note(&mut verifier, faults);
    let ranges = log::ranges_as_of(snapshot);
    let mut expected = 0;
    for range in &ranges {
        if range.first_index != expected {
            let detail = format!("kakunin.log_range goes from {expected} to {}", range.first_index);
            tell(FaultKind::Missing, u64::try_from(expected).ok(), detail, faults);
        }
        expected = range.last_index().cast_signed() + 1;
        if range.last_index() < verifier.size() {
            continue;
        }
        if !ledgers.iter().any(|ledger| ledger.number == range.ledger) {
            let detail =
                format!("the log has entries of ledger number {}, which is not in kakunin.ledger", range.ledger);
            tell(FaultKind::Missing, Some(expected.cast_unsigned()), detail, faults);
        }
        // SAFETY: by the caller's promise.
        unsafe { feed(&mut verifier, tiles.as_mut(), range.ledger, range.first_seq, range.last_seq, snapshot) };
        note(&mut verifier, faults);
    }
    // Checkpoints that cover more than there is.
    let end = verifier.size();
    let beyond = sizes.iter().copied().find(|size| *size > end);
    if let Some(stored) = beyond.and_then(|size| log::of_size(size.cast_signed())) {
        verifier.checkpoint(&stored.note, 0, faults);
        check_columns(&stored, faults);
    }
    let newest = sizes.last().copied().unwrap_or(0);
    if end > newest {
        let detail = format!("the log is said to have {end} entries, and the newest checkpoint covers {newest}");
        tell(FaultKind::Extra, Some(end), detail, faults);
    }
    // A transaction that failed after its checkpoint was signed: the next one continues in the same order.
    if let Some(last) = last.filter(|last| last.from == verifier.size()) {
        for range in &last.ranges {
            let (number, first) = (range.ledger.cast_signed(), log::last_range(range.ledger.cast_signed()));
            let first = first.map_or(0, |range| range.last_seq) + 1;
            // SAFETY: as above.
            unsafe { feed(&mut verifier, None, number, first, first + range.entries.cast_signed() - 1, snapshot) };
        }
    }
    verifier.finish(0, faults);
    // If the entries are not those that were signed, the tiles are not to blame.
    if faults.count() == known
        && let Some(tile) = tiles.and_then(Tiles::finish)
    {
        let detail = format!("tile {} of level {} is not made of the entries of the log", tile.index, tile.level);
        tell(FaultKind::StoredHashWrong, None, detail, faults);
    }
}

/// Feeds the hashes of entries, as they are stored: whether they are those of the entries is checked elsewhere.
unsafe fn feed(
    verifier: &mut LogVerifier,
    mut tiles: Option<&mut Tiles>,
    ledger: i32,
    first: i64,
    last: i64,
    snapshot: pg_sys::Snapshot,
) {
    // SAFETY: by the caller's promise.
    unsafe {
        store::entries_as_of(ledger, first, snapshot, &mut |fields| {
            if fields.bigint(2).is_none_or(|seq| seq > last) {
                return false;
            }
            if let Some(hash) = fields.bytes(13).and_then(|hash| hash.try_into().ok()) {
                verifier.entry(&hash);
                if let Some(tiles) = &mut tiles {
                    tiles.leaf(&hash);
                }
            }
            true
        });
    }
}

/// A checkpoint's columns repeat its note, and checkpoints to come are made from them.
fn check_columns(stored: &Stored, faults: &mut Faults) {
    let note = Note::parse(&stored.note).and_then(|note| Checkpoint::parse(note.text()));
    let is_own = note.is_ok_and(|note| note.size == stored.size && note.root == *stored.root);
    if !is_own || stored.frontier().is_err() {
        let detail = "the columns of the checkpoint are not what its note states".to_owned();
        tell(FaultKind::StoredHashWrong, Some(stored.size), detail, faults);
    }
}

fn tell(fault: FaultKind, seq: Option<u64>, detail: String, faults: &mut Faults) {
    faults.push(Fault { ledger: None, seq, row: None, fault, detail, line: 0 });
}
