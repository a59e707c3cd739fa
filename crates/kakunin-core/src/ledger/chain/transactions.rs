//! Which transactions have an entry already.

use std::collections::BTreeMap;

use crate::limits::LEDGER_TRANSACTION_WORDS_MAX;

/// A set of transaction numbers, 64 to a word. Numbers come from a sequence, so that words fill up. Beyond
/// [`LEDGER_TRANSACTION_WORDS_MAX`] words the lowest are forgotten: a number from there counts as new.
#[derive(Clone, Debug, Default)]
pub(super) struct Transactions(BTreeMap<u64, u64>);

impl Transactions {
    /// Adds one; false if it was there.
    pub(super) fn insert(&mut self, transaction: u64) -> bool {
        let word = self.0.entry(transaction / 64).or_default();
        let bit = 1_u64 << (transaction % 64);
        let new = *word & bit == 0;
        *word |= bit;
        if self.0.len() > LEDGER_TRANSACTION_WORDS_MAX {
            self.0.pop_first();
        }
        new
    }
}
