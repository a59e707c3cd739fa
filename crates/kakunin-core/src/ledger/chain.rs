//! Checks one ledger: that its entries follow from each other, and that rows are those of their entry.
//!
//! [`ChainVerifier`] is fed the entries of a ledger one by one, [`EntryRows`] the rows of one entry. Both remember little:
//! the entry before, and what is still to be explained. An entry is often found wrong only by the next one, which
//! holds its hash; so a fault can come one call later than its entry.

mod rows;
mod stored;
mod transactions;

pub use rows::{EntryRows, RowsOutcome};
pub use stored::{Stated, StoredRows};

use super::merkle::Hash;
use super::{Detail, Entry, FaultKind, Faults, Kind, LedgerId};
use crate::UnixTime;
use crate::limits::LEDGER_STRETCHES_MAX;
use transactions::Transactions;

/// Where a ledger stands: what the next entry is checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// `seq` of the last entry.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
    /// Rows of the ledger up to it.
    pub rows: u64,
    /// Its time.
    pub at: UnixTime,
    /// Was it a `close`?
    pub closed: bool,
}

/// Checks the entries of one ledger in the order in which they are fed.
#[derive(Clone, Debug)]
pub struct ChainVerifier {
    ledger: LedgerId,
    last: Option<Last>,
    /// The newest gap in `seq`, as long as the entry may just be out of order.
    open_gap: Option<Stretch>,
    gaps: Vec<Stretch>,
    suspect: Option<Suspect>,
    pruned: Vec<Stretch>,
    /// May the last stretch of `pruned` be prolonged?
    prolong: bool,
    transactions: Transactions,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    seq: u64,
    hash: Hash,
    /// The hash that is stored beside the entry, if that is another.
    stored: Option<Hash>,
    /// None behind an entry that could not be read.
    rows: Option<u64>,
    at: UnixTime,
    closed: bool,
    line: u64,
}

/// Entries `first` to `last`, seen at `line`; `log_size` is that of the log up to the last of them.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    first: u64,
    last: u64,
    line: u64,
    log_size: Option<u64>,
}

/// An entry does not hold the hash of the one before. Which of the two was changed is seen at the next.
#[derive(Clone, Copy, Debug)]
struct Suspect {
    before: (u64, u64),
    at: (u64, u64),
    /// What the hash of the entry would be if it did hold it.
    hash_if_linked: Option<Hash>,
}

impl ChainVerifier {
    /// For a ledger from its first entry on.
    pub fn new(ledger: LedgerId) -> Self {
        Self {
            ledger,
            last: None,
            open_gap: None,
            gaps: Vec::new(),
            suspect: None,
            pruned: Vec::new(),
            prolong: false,
            transactions: Transactions::default(),
        }
    }

    /// For what follows an entry that is known to be good. Transactions that were named before are not known.
    pub fn resume(ledger: LedgerId, head: &Head) -> Self {
        let Head { seq, hash, rows, at, closed } = *head;
        let last = Last { seq, hash, stored: None, rows: Some(rows), at, closed, line: 0 };
        Self { last: Some(last), ..Self::new(ledger) }
    }

    /// Where the ledger stands after what was fed; None before the first entry, and behind one that could not be read.
    pub fn head(&self) -> Option<Head> {
        let last = self.last?;
        Some(Head { seq: last.seq, hash: last.hash, rows: last.rows?, at: last.at, closed: last.closed })
    }

    /// Takes the next entry. `hash` is the one computed from its bytes; `stored` the one that is kept beside it, where
    /// there is one; `line` is repeated in faults.
    pub fn entry(&mut self, entry: &Entry, hash: &Hash, stored: Option<&Hash>, line: u64, faults: &mut Faults) {
        let place = (self.ledger, entry.seq, line);
        if entry.ledger != self.ledger {
            return faults.ledger(place, None, FaultKind::ForeignLedger, format!("it is of ledger {}", entry.ledger));
        }
        if let Err(refused) = entry.check() {
            faults.ledger(place, None, FaultKind::Malformed, refused.to_string());
        }
        if !self.is_next(entry.seq, hash, line, faults) {
            return;
        }
        let linked = self.check_link(entry, hash, line, faults);
        if let Some(last) = self.last {
            if last.closed {
                faults.ledger(place, None, FaultKind::AfterClose, format!("entry {} closed the ledger", last.seq));
            }
            if linked && last.rows.is_some_and(|rows| rows != entry.first_row) {
                let detail =
                    format!("it says {} rows before it, the entries before add up to another", entry.first_row);
                faults.ledger(place, None, FaultKind::Miscounted, detail);
            }
            if linked && entry.at < last.at {
                let detail = format!("{} is earlier than {} of the entry before", entry.at, last.at);
                faults.ledger(place, None, FaultKind::TimeReversed, detail);
            }
        }
        if entry.tx != 0 && !self.transactions.insert(entry.tx) {
            let detail = format!("transaction {} has an entry already", entry.tx);
            faults.ledger(place, None, FaultKind::TransactionReused, detail);
        }
        if entry.kind == Kind::Prune
            && let Ok(Detail::Prune { checkpoint, first, last, .. }) = entry.detail()
        {
            self.prune(place, checkpoint, first, last, faults);
        }
        self.last = Some(Last {
            seq: entry.seq,
            hash: *hash,
            stored: stored.copied().filter(|stored| stored != hash),
            rows: entry.first_row.checked_add(entry.rows),
            at: entry.at,
            closed: self.last.is_some_and(|last| last.closed) || entry.kind == Kind::Close,
            line,
        });
    }

    /// Takes an entry that [`Entry::decode`] refused. `hash` is that of its bytes, `seq` what [`Entry::peek`] says.
    pub fn unreadable(&mut self, seq: u64, hash: &Hash, why: &str, line: u64, faults: &mut Faults) {
        faults.ledger((self.ledger, seq, line), None, FaultKind::Malformed, why);
        if self.last.map_or(0, |last| last.seq).checked_add(1) == Some(seq) {
            self.settle_gap(faults);
            self.settle_suspect(faults);
            let (at, closed) = self.last.map_or((UnixTime(i64::MIN), false), |last| (last.at, last.closed));
            self.last = Some(Last { seq, hash: *hash, stored: None, rows: None, at, closed, line });
        }
    }

    /// Takes what [`EntryRows::finish`] said of an entry. `log_size` is the size of the log up to this entry, where it
    /// is known: a prune entry must name a checkpoint that covers it.
    pub fn rows(&mut self, entry: &Entry, outcome: RowsOutcome, log_size: Option<u64>, line: u64, faults: &mut Faults) {
        if entry.rows == 0 {
            return;
        }
        if outcome != RowsOutcome::Absent {
            self.prolong = false;
            return;
        }
        if let (true, Some(stretch)) = (self.prolong, self.pruned.last_mut()) {
            stretch.last = entry.seq;
            stretch.log_size = log_size;
        } else if self.pruned.len() < LEDGER_STRETCHES_MAX {
            self.pruned.push(Stretch { first: entry.seq, last: entry.seq, line, log_size });
            self.prolong = true;
        } else {
            let detail = "more stretches of pruned entries than are remembered";
            faults.ledger((self.ledger, entry.seq, line), None, FaultKind::PrunedWithoutEntry, detail);
        }
    }

    /// Ends the ledger: what nothing later can explain any more becomes a fault.
    pub fn finish(mut self, faults: &mut Faults) {
        self.settle_gap(faults);
        let stored = self.last.and_then(|last| last.stored);
        self.suspect = self.suspect.filter(|suspect| stored.is_none() || suspect.hash_if_linked != stored);
        self.settle_suspect(faults);
        if let Some(Last { seq, line, stored: Some(_), .. }) = self.last {
            let detail = "its bytes do not have the hash that is stored with it";
            faults.ledger((self.ledger, seq, line), None, FaultKind::Altered, detail);
        }
        for Stretch { first, last, line, .. } in self.pruned {
            let detail = format!("the rows of entries {first} to {last} are gone, and no prune entry says so");
            faults.ledger((self.ledger, first, line), None, FaultKind::PrunedWithoutEntry, detail);
        }
    }

    /// Is this the next entry, perhaps behind a gap? One that is late or comes again changes nothing.
    fn is_next(&mut self, seq: u64, hash: &Hash, line: u64, faults: &mut Faults) -> bool {
        let place = (self.ledger, seq, line);
        let next = self.last.map_or(0, |last| last.seq).saturating_add(1);
        let late = |gap: &Stretch| gap.first <= seq && seq <= gap.last;
        if let Some(last) = self.last.filter(|last| seq <= last.seq) {
            if let Some(gap) = self.open_gap.filter(late) {
                self.open_gap = None;
                let rest = [(gap.first, seq.wrapping_sub(1)), (seq.saturating_add(1), gap.last)];
                for (first, last) in rest.into_iter().filter(|(first, last)| first <= last) {
                    self.note_gap(Stretch { first, last, ..gap }, faults);
                }
                let detail = format!("it stands behind entry {}", last.seq);
                faults.ledger(place, None, FaultKind::Reordered, detail);
            } else if self.gaps.iter().any(late) {
                faults.ledger(place, None, FaultKind::Reordered, format!("it stands behind entry {}", last.seq));
            } else if seq == last.seq && *hash != last.hash {
                faults.ledger(place, None, FaultKind::Forked, "there is another entry of this number");
            } else {
                faults.ledger(place, None, FaultKind::Duplicated, "an entry of this number was there before");
            }
            return false;
        }
        self.settle_gap(faults);
        if seq > next {
            self.open_gap = Some(Stretch { first: next, last: seq - 1, line, log_size: None });
        }
        true
    }

    /// Does it hold the hash of the entry before? False also where that cannot be said.
    fn check_link(&mut self, entry: &Entry, hash: &Hash, line: u64, faults: &mut Faults) -> bool {
        let suspect = self.suspect.take();
        let Some(last) = self.last.filter(|_| self.open_gap.is_none()) else {
            self.suspect = suspect;
            self.settle_suspect(faults);
            return self.last.is_none() && self.open_gap.is_none();
        };
        let before = (self.ledger, last.seq, last.line);
        if let Some(stored) = last.stored {
            let (kind, detail) = if entry.previous == last.hash {
                (FaultKind::StoredHashWrong, "the hash stored with it is not its own, which the next entry holds")
            } else {
                (FaultKind::Altered, "its bytes do not have the hash that is stored with it")
            };
            faults.ledger(before, None, kind, detail);
            // What differs in it is the hash that it holds of the one before, which is then as it was.
            let suspect = suspect.filter(|suspect| suspect.hash_if_linked != Some(stored));
            if entry.previous == last.hash || entry.previous == stored {
                self.suspect = suspect;
                self.settle_suspect(faults);
                return entry.previous == last.hash;
            }
        }
        let linked = entry.previous == last.hash;
        match suspect {
            Some(Suspect { before: (seq, line), .. }) if linked => {
                let detail = "its bytes do not have the hash that the next entry holds";
                faults.ledger((self.ledger, seq, line), None, FaultKind::Altered, detail);
            }
            Some(Suspect { hash_if_linked: Some(other), .. }) if entry.previous == other => {
                let detail = "the hash that it holds of the entry before was changed";
                faults.ledger(before, None, FaultKind::Altered, detail);
                return false;
            }
            Some(_) => {
                let detail = "it does not continue the entry before, and the next does not continue it";
                faults.ledger(before, None, FaultKind::Forked, detail);
                return false;
            }
            None if !linked => {
                let relinked = Entry { previous: last.hash, ..entry.clone() };
                self.suspect = Some(Suspect {
                    before: (last.seq, last.line),
                    at: (entry.seq, line),
                    hash_if_linked: relinked.hash().ok().filter(|other| other != hash),
                });
            }
            None => {}
        }
        linked
    }

    fn prune(&mut self, place: (LedgerId, u64, u64), checkpoint: u64, first: u64, last: u64, faults: &mut Faults) {
        let (_, seq, _) = place;
        let mut uncovered = last >= seq;
        let mut rest = Vec::new();
        for stretch in std::mem::take(&mut self.pruned) {
            if stretch.last < first || last < stretch.first {
                rest.push(stretch);
                continue;
            }
            // The log sizes of entries inside a stretch are not remembered, so only a whole one can be judged.
            uncovered |= stretch.last <= last && stretch.log_size.is_some_and(|size| size > checkpoint);
            if stretch.first < first {
                rest.push(Stretch { last: first - 1, log_size: None, ..stretch });
            }
            if last < stretch.last {
                rest.push(Stretch { first: last + 1, ..stretch });
            }
        }
        self.pruned = rest;
        self.prolong = false;
        if uncovered {
            let detail =
                format!("entries {first} to {last} are not all covered by the checkpoint of size {checkpoint}");
            faults.ledger(place, None, FaultKind::PruneNotCovered, detail);
        }
    }

    /// The next entry did not come late: what the gap left out is missing.
    fn settle_gap(&mut self, faults: &mut Faults) {
        if let Some(gap) = self.open_gap.take() {
            self.note_gap(gap, faults);
        }
    }

    fn note_gap(&mut self, gap: Stretch, faults: &mut Faults) {
        let detail = if gap.first == gap.last {
            "the entry is not there".to_owned()
        } else {
            format!("entries {} to {} are not there", gap.first, gap.last)
        };
        faults.ledger((self.ledger, gap.first, gap.line), None, FaultKind::Missing, detail);
        if self.gaps.len() < LEDGER_STRETCHES_MAX {
            self.gaps.push(gap);
        }
    }

    /// Nothing follows that could tell which of two entries was changed: the more likely one, with both named.
    fn settle_suspect(&mut self, faults: &mut Faults) {
        if let Some(Suspect { before: (seq, line), at: (next, _), .. }) = self.suspect.take() {
            let detail = format!("its bytes do not have the hash that entry {next} holds, unless that was changed");
            faults.ledger((self.ledger, seq, line), None, FaultKind::Altered, detail);
        }
    }
}

#[cfg(test)]
mod tests;
