//! Adds the entries of ledgers to the log, each after it was checked.

use super::log::{self, KeptHashes};
use crate::backend;
use crate::ledger::raw::RowMemory;
use crate::ledger::store::{self, Fields, Key, Ledger, Order, Table};
use kakunin_core::Reason;
use kakunin_core::ledger::chain::{ChainVerifier, Head};
use kakunin_core::ledger::growth::Growth;
use kakunin_core::ledger::{Entry, Faults, Frontier, Hash, Kind};

/// Ledgers that have entries which the log does not have, by number. If there are more than `most`, those that waited
/// longest.
pub fn candidates(most: usize) -> Vec<Ledger> {
    let mut found: Vec<(i64, Ledger)> = Vec::new();
    for ledger in store::ledgers() {
        let covered = log::last_range(ledger.number);
        let newest = store::head(ledger.number).map_or(0, |head| head.seq);
        if newest > covered.as_ref().map_or(0, |range| range.last_seq.cast_unsigned()) {
            found.push((covered.map_or(-1, |range| range.first_index), ledger));
        }
    }
    found.sort_by_key(|(index, ledger)| (*index, ledger.number));
    found.truncate(most);
    let mut ledgers: Vec<Ledger> = found.into_iter().map(|(_, ledger)| ledger).collect();
    ledgers.sort_by_key(|ledger| ledger.number);
    ledgers
}

/// A ledger by its number.
pub fn ledger(number: u32) -> Option<Ledger> {
    store::ledgers().into_iter().find(|ledger| ledger.number.cast_unsigned() == number)
}

/// The log while it grows.
pub struct Appender {
    growth: Growth,
    kept: KeptHashes,
    memory: RowMemory,
}

impl Appender {
    pub fn new(growth: Growth, kept: KeptHashes) -> Self {
        Self { growth, kept, memory: RowMemory::new() }
    }

    /// Size and root so far.
    pub fn frontier(&self) -> &Frontier {
        self.growth.frontier()
    }

    /// The log as it is now, and what is kept of it.
    pub fn finish(self) -> (Frontier, KeptHashes) {
        (self.growth.frontier().clone(), self.kept)
    }

    /// Adds the entries of a ledger that the log does not have yet, or the first `most` of them. Returns how many.
    pub fn append(&mut self, ledger: Ledger, most: Option<u64>) -> Result<u64, Reason> {
        let covered = log::last_range(ledger.number);
        let (first_index, from) = (self.frontier().size(), covered.as_ref().map_or(1, |range| range.last_seq));
        let mut check = match &covered {
            None => Check { ledger, chain: Some(ChainVerifier::new(ledger.id)), faults: Faults::new(), seq: 0 },
            Some(_) => Check { ledger, chain: None, faults: Faults::new(), seq: from - 1 },
        };
        let logged = covered.map(|range| self.logged(range.last_index())).transpose()?;
        let (mut count, mut outcome) = (0, Ok(()));
        let keys = [Key::integer(1, ledger.number), Key::bigint_from(2, from)];
        let Self { growth, kept, memory } = self;
        store::in_order(Table::Entry, Table::EntryKey, &keys, Order::Ascending, &mut |fields| {
            if most == Some(count) {
                return false;
            }
            outcome = memory.act(|| check.next(fields, logged.as_ref())).and_then(|hash| {
                let Some(hash) = hash else { return Ok(()) };
                count += 1;
                growth.push(hash, kept)
            });
            outcome.is_ok()
        });
        outcome?;
        if logged.is_some() && check.chain.is_none() {
            return Err(check.broken("it was signed and is gone"));
        }
        if count > 0 {
            let first_seq = check.seq - count.cast_signed() + 1;
            log::store_range(first_index, ledger.number, first_seq, check.seq);
            // Whatever reads the log from here on reads this.
            backend::next_command();
        }
        Ok(count)
    }

    /// The hash of an entry as the log has it.
    fn logged(&mut self, index: u64) -> Result<Hash, Reason> {
        match self.growth.leaf(index) {
            Some(hash) => Ok(*hash),
            None => self.kept.leaf(index),
        }
    }
}

/// Follows a ledger's chain.
struct Check {
    ledger: Ledger,
    /// None before the entry at which the log ends has been seen.
    chain: Option<ChainVerifier>,
    faults: Faults,
    /// Of the last entry.
    seq: i64,
}

impl Check {
    /// The hash of the next entry; None for the one at which the log ends, which it has already.
    fn next(&mut self, fields: &Fields<'_>, logged: Option<&Hash>) -> Result<Option<Hash>, Reason> {
        let expected = self.seq + 1;
        let seq = fields.bigint(2).unwrap_or_default();
        if fields.is_own() {
            return Err(self.broken_at(seq, "it was written by the transaction that asks for the checkpoint"));
        }
        let (entry, stored) = store::entry(fields, self.ledger.id)
            .ok_or_else(|| self.broken_at(seq, "a column holds what no entry can"))?;
        let hash = entry.hash().map_err(|what| self.broken_at(seq, &what.to_string()))?;
        let Some(chain) = &mut self.chain else {
            if seq != expected {
                return Err(self.broken_at(expected, "it was signed and is gone"));
            }
            if hash != stored || Some(&hash) != logged {
                return Err(self.broken_at(seq, "it is not the one that was signed"));
            }
            self.chain = Some(ChainVerifier::resume(self.ledger.id, &head_of(&entry, hash)));
            self.seq = seq;
            return Ok(None);
        };
        chain.entry(&entry, &hash, Some(&stored), 0, &mut self.faults);
        if let Some(fault) = self.faults.list().first() {
            return Err(self.broken_at(seq, &format!("{}: {}", fault.fault.slug(), fault.detail)));
        }
        self.seq = seq;
        Ok(Some(hash))
    }

    fn broken(&self, what: &str) -> Reason {
        self.broken_at(self.seq + 1, what)
    }

    fn broken_at(&self, seq: i64, what: &str) -> Reason {
        Reason::LedgerChainBroken { ledger: self.ledger.id.to_string(), seq, what: what.to_owned() }
    }
}

fn head_of(entry: &Entry, hash: Hash) -> Head {
    let rows = entry.first_row.saturating_add(entry.rows);
    Head { seq: entry.seq, hash, rows, at: entry.at, closed: entry.kind == Kind::Close }
}
