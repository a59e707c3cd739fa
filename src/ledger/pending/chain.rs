//! What one transaction has added to one ledger: leaves, and entries without rows.

use super::super::fault;
use super::Ledger;
use crate::error;
use kakunin_core::Reason;
use kakunin_core::ledger::{Frontier, Hash, Kind};
use std::rc::Rc;

/// Rows as leaves, in order of `ledger_row`.
///
/// They mostly come in that order, but not always: a trigger that adds to its own table does so between two rows of the
/// statement that fired it, and COPY fills partitions batch by batch. So the newest leaves wait, and the lowest half
/// of them is folded into the tree when there are too many.
pub struct Chain {
    pub ledger: Ledger,
    tree: Tree,
    waiting: Vec<(i32, Hash)>,
    notes: Vec<Note>,
    /// One for each depth of savepoint below which something was added, the deepest last.
    marks: Vec<Mark>,
}

/// Leaves that are folded, up to this row.
#[derive(Clone)]
struct Tree {
    frontier: Frontier,
    folded_to: i32,
}

/// An entry without rows of its own, or the detail of the one that opens the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub kind: Kind,
    pub detail: String,
}

/// What there was before a savepoint.
struct Mark {
    depth: i32,
    waiting: usize,
    notes: usize,
    /// Set when leaves were folded since: the tree then, and the leaves that were waiting.
    folded: Option<Rc<Folded>>,
}

impl Chain {
    pub fn new(ledger: Ledger) -> Self {
        let tree = Tree { frontier: Frontier::new(), folded_to: -1 };
        Self { ledger, tree, waiting: Vec::new(), notes: Vec::new(), marks: Vec::new() }
    }

    /// Adds the leaf of a row. `depth` is that of the savepoint that it is under.
    pub fn add(&mut self, row: i32, leaf: Hash, depth: i32) {
        self.mark(depth);
        if row <= self.tree.folded_to {
            let table = fault::table_name(self.ledger.relation);
            error::raise(Reason::LedgerOutOfOrder { table, max: WAITING_MAX / 2 });
        }
        self.waiting.push((row, leaf));
        if self.waiting.len() >= WAITING_MAX {
            self.fold();
        }
    }

    /// Adds an entry without rows.
    pub fn note(&mut self, kind: Kind, detail: String, depth: i32) {
        self.mark(depth);
        self.notes.push(Note { kind, detail });
    }

    /// The entries without rows so far.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Is there nothing, also after a rollback?
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.tree.frontier.size() == 0 && self.notes.is_empty()
    }

    /// Entries without rows, and the tree over the rows. Two rows of one number cannot be told apart later, so they
    /// are refused.
    pub fn finish(mut self) -> (Vec<Note>, Frontier) {
        let all = self.waiting.len();
        self.marks.clear();
        self.fold_lowest(all);
        (self.notes, self.tree.frontier)
    }

    fn fold(&mut self) {
        // The marks point into what is about to go.
        let before = Rc::new((self.tree.clone(), self.waiting.clone()));
        for mark in self.marks.iter_mut().filter(|mark| mark.folded.is_none()) {
            mark.folded = Some(Rc::clone(&before));
        }
        self.fold_lowest(WAITING_MAX / 2);
    }

    fn fold_lowest(&mut self, count: usize) {
        if !self.waiting.is_sorted_by_key(|(row, _)| *row) {
            self.waiting.sort_unstable_by_key(|(row, _)| *row);
        }
        for (row, leaf) in self.waiting.drain(..count) {
            if row <= self.tree.folded_to {
                error::raise(Reason::LedgerPlaceForged { table: fault::table_name(self.ledger.relation) });
            }
            self.tree.folded_to = row;
            self.tree.frontier.push(leaf);
        }
    }

    fn mark(&mut self, depth: i32) {
        if depth > 1 && self.marks.last().is_none_or(|mark| mark.depth < depth) {
            let (waiting, notes) = (self.waiting.len(), self.notes.len());
            self.marks.push(Mark { depth, waiting, notes, folded: None });
        }
    }

    /// Back to what there was before the savepoint.
    pub fn roll_back(&mut self, depth: i32) {
        while let Some(mark) = self.marks.pop_if(|mark| mark.depth >= depth) {
            if let Some(folded) = mark.folded {
                let (tree, waiting) = Rc::unwrap_or_clone(folded);
                self.tree = tree;
                self.waiting = waiting;
            }
            self.waiting.truncate(mark.waiting);
            self.notes.truncate(mark.notes);
        }
    }

    /// What was added below the savepoint belongs to the one above it.
    pub fn release(&mut self, depth: i32) {
        if let Some(mut mark) = self.marks.pop_if(|mark| mark.depth >= depth) {
            mark.depth = depth - 1;
            if mark.depth > 1 && self.marks.last().is_none_or(|above| above.depth < mark.depth) {
                self.marks.push(mark);
            }
        }
    }
}

/// The tree, and the leaves that were waiting.
type Folded = (Tree, Vec<(i32, Hash)>);
/// Leaves that wait for earlier ones: 2.6 MB.
const WAITING_MAX: usize = 65_536;
