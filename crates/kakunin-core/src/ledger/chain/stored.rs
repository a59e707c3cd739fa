//! The rows that a table has of one entry, each with the number that is stored in it.

use crate::ledger::merkle::{Frontier, Hash};
use crate::ledger::{FaultKind, Faults, LedgerId};

/// What an entry states of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stated {
    /// The entry's ledger.
    pub ledger: LedgerId,
    /// Its `seq`.
    pub seq: u64,
    /// Number of rows.
    pub rows: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

/// Compares the rows of one entry after the other, in ascending order of their numbers. Unlike in an export, a row's
/// number is known, and numbers may have gaps: an INSERT that stored nothing has used one up.
#[derive(Clone, Debug, Default)]
pub struct StoredRows {
    tree: Frontier,
    last: Option<u32>,
    gap: Option<u32>,
    duplicates: u64,
}

impl StoredRows {
    /// With no row yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next row.
    pub fn row(&mut self, number: u32, leaf: Hash, of: &Stated, faults: &mut Faults) {
        if self.last == Some(number) {
            self.duplicates += 1;
            let detail = "there is more than one row of this number";
            return faults.ledger((of.ledger, of.seq, 0), Some(number.into()), FaultKind::Duplicated, detail);
        }
        let expected = self.last.map_or(0, |last| last + 1);
        if number > expected {
            self.gap.get_or_insert(expected);
        }
        self.last = Some(number);
        self.tree.push(leaf);
    }

    /// Ends the entry and starts the next. True if not one row of it was there, which a prune entry can explain.
    pub fn finish(&mut self, of: &Stated, faults: &mut Faults) -> bool {
        let (found, root) = (self.tree.size(), self.tree.root());
        let (gap, last, duplicates) = (self.gap.take(), self.last.take(), std::mem::take(&mut self.duplicates));
        self.tree.clear();
        if found == 0 {
            return of.rows > 0;
        }
        let place = (of.ledger, of.seq, 0);
        if found < of.rows {
            let row = gap.unwrap_or_else(|| last.map_or(0, |last| last.saturating_add(1)));
            let detail = format!("the entry states {} rows, the table has {found} of them", of.rows);
            faults.ledger(place, Some(row.into()), FaultKind::Missing, detail);
        } else if found > of.rows {
            let detail = format!("the entry states {} rows, the table has {found} that claim to be of it", of.rows);
            faults.ledger(place, None, FaultKind::Extra, detail);
        } else if root != of.root && duplicates == 0 {
            // Of an entry with one row it is known which.
            let row = if of.rows == 1 { last.map(u64::from) } else { None };
            let detail = "the rows do not have the root that the entry states";
            faults.ledger(place, row, FaultKind::Altered, detail);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::merkle::{leaf_hash, root_of};

    fn stated(leaves: &[&[u8]]) -> Stated {
        let rows = leaves.len() as u64;
        Stated { ledger: LedgerId([7; 16]), seq: 3, rows, root: root_of(leaves.iter().map(|leaf| leaf_hash(leaf))) }
    }

    fn check(entry: &[&[u8]], rows: &[(u32, &[u8])]) -> Vec<(FaultKind, Option<u64>)> {
        let (mut stored, mut faults, stated) = (StoredRows::new(), Faults::new(), stated(entry));
        rows.iter().for_each(|(number, row)| stored.row(*number, leaf_hash(row), &stated, &mut faults));
        assert!(!stored.finish(&stated, &mut faults) || rows.is_empty());
        faults.list().iter().map(|fault| (fault.fault, fault.row)).collect()
    }

    #[test]
    fn the_rows_of_an_entry_are_sound_also_with_gaps_in_their_numbers() {
        assert_eq!(check(&[b"a", b"b"], &[(0, b"a"), (1, b"b")]), []);
        assert_eq!(check(&[b"a", b"b"], &[(2, b"a"), (9, b"b")]), []);
    }

    #[test]
    fn each_difference_has_its_word_and_its_row() {
        let entry: &[&[u8]] = &[b"a", b"b", b"c"];
        assert_eq!(check(entry, &[(0, b"a"), (2, b"c")]), [(FaultKind::Missing, Some(1))]);
        assert_eq!(check(entry, &[(0, b"a"), (1, b"b")]), [(FaultKind::Missing, Some(2))]);
        assert_eq!(check(entry, &[(0, b"a"), (1, b"x"), (2, b"c")]), [(FaultKind::Altered, None)]);
        assert_eq!(check(entry, &[(0, b"b"), (1, b"a"), (2, b"c")]), [(FaultKind::Altered, None)]);
        assert_eq!(check(entry, &[(0, b"a"), (1, b"b"), (1, b"b"), (2, b"c")]), [(FaultKind::Duplicated, Some(1))]);
        assert_eq!(check(entry, &[(0, b"a"), (1, b"b"), (2, b"c"), (3, b"d")]), [(FaultKind::Extra, None)]);
        assert_eq!(check(&[b"a"], &[(5, b"b")]), [(FaultKind::Altered, Some(5))]);
    }

    #[test]
    fn an_entry_without_any_of_its_rows_is_told_from_a_fault() {
        let (mut stored, mut faults, stated) = (StoredRows::new(), Faults::new(), stated(&[b"a"]));
        assert!(stored.finish(&stated, &mut faults));
        assert!(faults.is_empty());
    }
}
