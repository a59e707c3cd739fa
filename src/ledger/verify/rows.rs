//! The rows of a ledger against its entries: both are sorted by transaction and compared side by side.

use super::super::plan::Plan;
use super::super::raw::{self, RowMemory};
use super::super::sort::{Sorted, Sorter};
use super::super::store::Ledger;
use super::super::{fault, pending};
use kakunin_core::ledger::chain::{Stated, StoredRows};
use kakunin_core::ledger::entry::Column;
use kakunin_core::ledger::{Entry, Fault, FaultKind, Faults, LedgerId};
use pgrx::prelude::*;

/// Gathers what the entries state, then what the tables hold.
pub struct Rows {
    ledger: LedgerId,
    entries: Sorter<ENTRY>,
    rows: Sorter<ROW>,
    /// Transactions below this are not looked at.
    from: i64,
    /// The rows of a table could not be read.
    is_blind: bool,
}

impl Rows {
    /// For a ledger, with memory for so many bytes.
    pub fn new(ledger: LedgerId, bytes: usize) -> Self {
        Self { ledger, entries: Sorter::new(bytes / 2), rows: Sorter::new(bytes / 2), from: i64::MIN, is_blind: false }
    }

    /// Looks only at transactions from this one on.
    pub fn start_at(&mut self, tx: i64) {
        self.from = tx;
    }

    /// Takes what an entry states.
    pub fn entry(&mut self, entry: &Entry) {
        if entry.rows == 0 {
            return;
        }
        let mut record = [0; ENTRY];
        let parts: [&[u8]; 4] =
            [&entry.tx.to_be_bytes(), &entry.seq.to_be_bytes(), &entry.rows.to_be_bytes(), &entry.root];
        write(&mut record, &parts);
        self.entries.push(record);
    }

    /// An entry of this transaction cannot be read, which was told: nothing is known of its rows.
    pub fn excuse(&mut self, tx: i64) {
        let mut record = [0; ENTRY];
        write(&mut record, &[&key(tx), &UNKNOWN.to_be_bytes(), &UNKNOWN.to_be_bytes()]);
        self.entries.push(record);
    }

    /// Takes the rows of a table that holds some of the ledger's, as the snapshot sees them.
    ///
    /// # Safety
    /// The snapshot is registered.
    pub unsafe fn table(
        &mut self,
        heap: pg_sys::Relation,
        ledger: Ledger,
        columns: &[Column],
        snapshot: pg_sys::Snapshot,
        faults: &mut Faults,
    ) {
        // SAFETY: the caller has the table open; the buffers of the plan are those of its description. What a row
        // needs is freed with its memory context.
        unsafe {
            let mut plan = match Plan::new(heap, ledger, columns) {
                Ok(plan) => plan,
                // Which of its columns are not there, or are others, is told of the ledger's table. What of a partition?
                Err(reason) => {
                    self.is_blind = true;
                    if (*heap).rd_id != ledger.relation {
                        self.fault(None, FaultKind::ColumnsChanged, reason.detail(), faults);
                    }
                    return;
                }
            };
            let own = pending::with(|pending| pending.known_tx());
            let memory = RowMemory::new();
            raw::each_row(heap, snapshot, &mut |tuple| {
                let Some(place) = plan.take(tuple, (*heap).rd_att) else {
                    let detail =
                        format!("a row of {} has no ledger_tx and ledger_row", fault::table_name(plan.relation));
                    self.fault(None, FaultKind::Extra, detail, faults);
                    return true;
                };
                // What this transaction has added has no entry yet.
                if place.tx < self.from || Some(place.tx) == own {
                    return true;
                }
                match memory.act(|| plan.leaf()) {
                    Ok(leaf) => {
                        let mut record = [0; ROW];
                        write(&mut record, &[&key(place.tx), &place.row.to_be_bytes(), &leaf]);
                        self.rows.push(record);
                    }
                    Err(what) => {
                        let detail = format!("row {} of transaction {}: {what}", place.row, place.tx);
                        self.fault(None, FaultKind::Malformed, detail, faults);
                    }
                }
                true
            });
        }
    }

    /// Compares. Returns the entries of which no row is there, by `seq`; None if not all rows could be read.
    pub fn compare(self, faults: &mut Faults) -> Option<Vec<u64>> {
        if self.is_blind {
            return None;
        }
        let mut absent = Vec::new();
        let ledger = self.ledger;
        let mut rows = Reader { rows: self.rows.sorted(), next: None };
        rows.advance();
        let mut stored = StoredRows::new();
        let mut before = None;
        for record in self.entries.sorted() {
            let (tx, stated) = read_entry(ledger, &record);
            // A second entry of the transaction was told of, and the rows are those of the first.
            if before.replace(tx) == Some(tx) {
                continue;
            }
            while let Some(row) = rows.next.filter(|row| row.tx < tx) {
                rows.skip(row.tx, ledger, faults);
            }
            if stated.rows == UNKNOWN {
                while rows.next.is_some_and(|row| row.tx == tx) {
                    rows.advance();
                }
                continue;
            }
            while let Some(row) = rows.next.filter(|row| row.tx == tx) {
                stored.row(row.number, row.leaf, &stated, faults);
                rows.advance();
            }
            if stored.finish(&stated, faults) {
                absent.push(stated.seq);
            }
        }
        while let Some(row) = rows.next {
            rows.skip(row.tx, ledger, faults);
        }
        absent.sort_unstable();
        Some(absent)
    }

    fn fault(&self, seq: Option<u64>, kind: FaultKind, detail: String, faults: &mut Faults) {
        faults.push(Fault { ledger: Some(self.ledger), seq, row: None, fault: kind, detail, line: 0 });
    }
}

/// A row as it was sorted.
#[derive(Clone, Copy)]
struct Row {
    tx: u64,
    number: u32,
    leaf: [u8; 32],
}

struct Reader {
    rows: Sorted<ROW>,
    next: Option<Row>,
}

impl Reader {
    fn advance(&mut self) {
        self.next = self.rows.next().and_then(|record| {
            let (tx, rest) = record.split_first_chunk()?;
            let (number, leaf) = rest.split_first_chunk()?;
            let (tx, number) = (u64::from_be_bytes(*tx), u32::from_be_bytes(*number));
            Some(Row { tx, number, leaf: leaf.try_into().ok()? })
        });
    }

    /// The rows of a transaction that has no entry: one fault for all of them.
    fn skip(&mut self, tx: u64, ledger: LedgerId, faults: &mut Faults) {
        let mut count = 0_u64;
        let first = self.next.map_or(0, |row| row.number);
        while self.next.is_some_and(|row| row.tx == tx) {
            count += 1;
            self.advance();
        }
        let detail = format!("{count} rows say that transaction {tx} added them, which has no entry");
        let row = Some(first.into());
        faults.push(Fault { ledger: Some(ledger), seq: None, row, fault: FaultKind::Extra, detail, line: 0 });
    }
}

fn read_entry(ledger: LedgerId, record: &[u8; ENTRY]) -> (u64, Stated) {
    let number =
        |at: usize| record.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let root = record.last_chunk().copied().unwrap_or_default();
    (number(0), Stated { ledger, seq: number(8), rows: number(16), root })
}

/// A number that nobody gave, below zero, sorts behind all others.
fn key(tx: i64) -> [u8; 8] {
    tx.cast_unsigned().to_be_bytes()
}

fn write<const N: usize>(record: &mut [u8; N], parts: &[&[u8]]) {
    let bytes = parts.iter().flat_map(|part| part.iter());
    record.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
}

/// Transaction, `seq`, rows, root.
const ENTRY: usize = 8 + 8 + 8 + 32;
/// Transaction, number, leaf.
const ROW: usize = 8 + 4 + 32;
/// Rows of an entry that cannot be read.
const UNKNOWN: u64 = u64::MAX;
