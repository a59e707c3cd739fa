//! The rows of one entry against the root that the entry states.

use crate::ledger::merkle::{Frontier, Hash};
use crate::ledger::{Entry, FaultKind, Faults, LedgerId};

/// Checks the rows of one entry after the other; used again without being made anew.
#[derive(Clone, Debug, Default)]
pub struct EntryRows {
    place: (LedgerId, u64, u64),
    declared: u64,
    root: Hash,
    tree: Frontier,
    /// The position that the next row must have.
    next: u64,
    given: u64,
    faulty: bool,
    finished: bool,
}

/// What the rows of an entry are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsOutcome {
    /// Those that the entry states.
    Sound,
    /// The entry states some, and not one was given.
    Absent,
    /// Others; the faults were told.
    Faulty,
}

impl EntryRows {
    /// With no entry begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts with the rows of an entry; `line` is repeated in faults.
    pub fn begin(&mut self, entry: &Entry, line: u64) {
        self.place = (entry.ledger, entry.seq, line);
        self.declared = entry.rows;
        self.root = entry.root;
        self.tree.clear();
        self.next = 0;
        self.given = 0;
        self.faulty = false;
        self.finished = false;
    }

    /// Takes the leaf hash of the next row. `position` is where it says it stands in the entry, counted from 0.
    pub fn row(&mut self, position: u64, leaf: Hash, faults: &mut Faults) {
        self.given = self.given.saturating_add(1);
        if position < self.next {
            return self.fault(position, FaultKind::Duplicated, "there is more than one row at this place", faults);
        }
        if position >= self.declared {
            return self.fault(position, FaultKind::Extra, "the entry has fewer rows", faults);
        }
        if position > self.next {
            self.fault(self.next, FaultKind::Missing, "there is no row at this place", faults);
        }
        self.next = position.saturating_add(1);
        self.tree.push(leaf);
    }

    /// Takes a row whose bytes are not a row of this ledger. It keeps its place.
    pub fn bad_row(&mut self, position: u64, kind: FaultKind, why: &str, faults: &mut Faults) {
        self.given = self.given.saturating_add(1);
        self.next = self.next.max(position.saturating_add(1));
        self.fault(position, kind, why, faults);
    }

    /// The position that the next row must have: how many there were, if none was out of place.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Rows that were given.
    pub fn given(&self) -> u64 {
        self.given
    }

    /// Was [`EntryRows::finish`] called for this entry?
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Ends the entry. Whether rows that are absent may be so is for [`super::ChainVerifier::rows`].
    pub fn finish(&mut self, faults: &mut Faults) -> RowsOutcome {
        self.finished = true;
        if self.given == 0 && self.declared > 0 {
            return RowsOutcome::Absent;
        }
        if self.next < self.declared {
            self.fault(self.next, FaultKind::Missing, "there is no row at this place, nor behind it", faults);
        }
        if !self.faulty && self.tree.root() != self.root {
            self.faulty = true;
            let detail = "the rows do not have the root that the entry states";
            // Of an entry with one row it is known which.
            let row = (self.declared == 1).then_some(0);
            faults.ledger(self.place, row, FaultKind::Altered, detail);
        }
        if self.faulty { RowsOutcome::Faulty } else { RowsOutcome::Sound }
    }

    fn fault(&mut self, row: u64, kind: FaultKind, detail: &str, faults: &mut Faults) {
        self.faulty = true;
        faults.ledger(self.place, Some(row), kind, detail);
    }
}
