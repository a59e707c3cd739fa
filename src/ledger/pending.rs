//! What this transaction has added to ledgers so far. Nothing is locked and nothing is written before its commit.

mod chain;

pub use chain::{Chain, Note};

use super::store::{self, Ledger};
use crate::error;
use kakunin_core::Reason;
use kakunin_core::ledger::Hash;
use std::cell::RefCell;

/// The state of one transaction.
#[derive(Default)]
pub struct Pending {
    /// Its number, once it has one.
    tx: Option<i64>,
    /// The next `ledger_row` to be given.
    next_row: i32,
    /// The certificate that it was bound to when it added something.
    certificate: Option<Hash>,
    chains: Vec<Chain>,
    /// Its entries are made: what comes now would be lost.
    is_linked: bool,
}

impl Pending {
    /// The number of this transaction; taken from the sequence when it is first asked for.
    pub fn tx(&mut self) -> i64 {
        *self.tx.get_or_insert_with(store::next_transaction)
    }

    /// The number of the transaction, if it has one.
    pub fn known_tx(&self) -> Option<i64> {
        self.tx
    }

    /// The next number of a row. Numbers ascend; one whose row was not stored after all leaves a gap.
    pub fn next_row(&mut self) -> i32 {
        let row = self.next_row;
        self.next_row = row.checked_add(1).unwrap_or_else(|| {
            error::raise(Reason::LedgerRowsMax { table: "A ledger".into() });
        });
        row
    }

    /// Was this number given to a row of this transaction?
    pub fn has_given(&self, tx: i64, row: i32) -> bool {
        self.tx == Some(tx) && (0..self.next_row).contains(&row)
    }

    /// Remembers who acts, the first time that somebody does.
    pub fn act_for(&mut self, certificate: impl FnOnce() -> Option<Hash>) {
        if self.certificate.is_none() {
            self.certificate = certificate();
        }
    }

    /// Who acted.
    pub fn certificate(&self) -> Option<Hash> {
        self.certificate
    }

    /// What was added to this ledger.
    pub fn chain(&mut self, ledger: Ledger) -> &mut Chain {
        let at = match self.chains.iter().position(|chain| chain.ledger.number == ledger.number) {
            Some(at) => at,
            None => {
                self.chains.push(Chain::new(ledger));
                self.chains.len() - 1
            }
        };
        &mut self.chains[at]
    }

    /// The entries without rows that this transaction will add to a ledger.
    pub fn notes(&self, ledger: i32) -> Vec<Note> {
        let chain = self.chains.iter().find(|chain| chain.ledger.number == ledger);
        chain.map_or(Vec::new(), |chain| chain.notes().to_vec())
    }

    /// Is there anything to be linked?
    pub fn has_work(&self) -> bool {
        self.chains.iter().any(|chain| !chain.is_empty())
    }

    /// Were the entries made?
    pub fn is_linked(&self) -> bool {
        self.is_linked
    }

    /// The chains that have something, by number: the order in which they are locked.
    pub fn take_chains(&mut self) -> Vec<Chain> {
        self.is_linked = true;
        let mut chains = std::mem::take(&mut self.chains);
        chains.retain(|chain| !chain.is_empty());
        chains.sort_by_key(|chain| chain.ledger.number);
        chains
    }

    /// Back to nothing. Must not fail: it runs after the commit.
    pub fn clear(&mut self) {
        self.tx = None;
        self.next_row = 0;
        self.certificate = None;
        self.chains.clear();
        self.is_linked = false;
    }

    /// A savepoint at this depth was rolled back to.
    pub fn roll_back(&mut self, depth: i32) {
        self.chains.iter_mut().for_each(|chain| chain.roll_back(depth));
    }

    /// A savepoint at this depth was released.
    pub fn release(&mut self, depth: i32) {
        self.chains.iter_mut().for_each(|chain| chain.release(depth));
    }
}

/// Acts on the state of this transaction.
pub fn with<T>(act: impl FnOnce(&mut Pending) -> T) -> T {
    PENDING.with_borrow_mut(act)
}

/// The same where nothing may fail.
pub fn try_with(act: impl FnOnce(&mut Pending)) {
    PENDING.with(|pending| {
        if let Ok(mut pending) = pending.try_borrow_mut() {
            act(&mut pending);
        }
    });
}

thread_local! {
    static PENDING: RefCell<Pending> = RefCell::new(Pending::default());
}
