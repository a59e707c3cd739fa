//! `kakunin.verify_ledger`: is a ledger what its entries say, and are they a chain that checkpoints vouch for?

mod log;
mod rows;
mod single;
mod table;
mod tiles;

use super::sort::memory;
use super::store::{self, Ledger};
use super::{fault, members, pending};
use crate::checkpoint;
use crate::error::{self, Result};
use kakunin_core::Reason;
use kakunin_core::ledger::chain::{ChainVerifier, Head};
use kakunin_core::ledger::entry::Column;
use kakunin_core::ledger::{Detail, Entry, Fault, FaultKind, Faults, Kind};
use pgrx::prelude::*;
use std::collections::HashSet;

/// kakunin.ledger_fault: ledger, relation, seq, row_number, fault, detail.
type FaultRow = (Option<pgrx::Uuid>, Option<pg_sys::Oid>, Option<i64>, Option<i64>, String, String);
/// Checks one ledger, or all of them, and returns a row for each fault; none if all is sound.
///
/// `since` is the size of a checkpoint: what it covers is believed. `tx` and `row_number` choose one entry or one row.
/// With `indexes`, extension amcheck looks whether indexes lack rows.
// Definer: reads rows and entries that its caller may have no right to; only the facts of a fault come out.
#[pg_extern(sql = r#"
create function kakunin.verify_ledger(
    relation regclass default null, since bigint default null,
    tx bigint default null, row_number integer default null, indexes boolean default false
) returns setof kakunin.ledger_fault
    language c volatile parallel unsafe
    security definer set search_path = pg_catalog, pg_temp
    as 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
// pgrx must see the type itself.
#[allow(clippy::type_complexity)]
fn verify_ledger(
    relation: Option<pg_sys::Oid>,
    since: Option<i64>,
    tx: Option<i64>,
    row_number: Option<i32>,
    indexes: Option<bool>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(ledger, Option<pgrx::Uuid>),
            name!(relation, Option<pg_sys::Oid>),
            name!(seq, Option<i64>),
            name!(row_number, Option<i64>),
            name!(fault, String),
            name!(detail, String),
        ),
    >,
> {
    let ledgers = match relation {
        None if tx.is_some() => return Err(error::report(Reason::ArgumentNull { what: "relation".into() })),
        None => store::ledgers(),
        Some(relation) => vec![super::ledger_of(relation).map_err(error::report)?],
    };
    let since = since.map(covered).transpose().map_err(error::report)?;
    let remembered = log::Remembered::ask();
    let there: Vec<bool> = ledgers.iter().map(|ledger| members::hold(*ledger)).collect();
    let mut found = Vec::new();
    // SAFETY: one snapshot for entries and rows, so that a transaction is seen whole or not at all; it is registered
    // until the end.
    unsafe {
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
        for (ledger, is_there) in ledgers.iter().zip(there) {
            let mut faults = Faults::new();
            match tx {
                Some(tx) => single::check(*ledger, tx, row_number, snapshot, &mut faults),
                None => verify(*ledger, is_there, since, indexes.unwrap_or(false), snapshot, &mut faults),
            }
            collect(Some(*ledger), faults, &mut found);
        }
        if tx.is_none() {
            let mut faults = Faults::new();
            table::check_own(&mut faults);
            log::check(remembered, since, snapshot, &mut faults);
            if indexes.unwrap_or(false) {
                table::check_own_indexes(&mut faults);
            }
            collect(None, faults, &mut found);
        }
        pg_sys::UnregisterSnapshot(snapshot);
    }
    Ok(TableIterator::new(found))
}

/// The size of a checkpoint that there is.
fn covered(size: i64) -> std::result::Result<u64, Reason> {
    let newest = checkpoint::log::newest().map_or(0, |newest| newest.size);
    let invalid = Reason::CheckpointSizeInvalid { size, max: newest };
    checkpoint::log::of_size(size).map(|stored| stored.size).ok_or(invalid)
}

fn collect(ledger: Option<Ledger>, mut faults: Faults, found: &mut Vec<FaultRow>) {
    let count = faults.count();
    let list = faults.take();
    if count > list.len() as u64 {
        let name = ledger.map_or("the log".into(), |ledger| fault::table_name(ledger.relation));
        notice!("{name} has {count} faults, of which the first {} are listed", list.len());
    }
    found.extend(list.into_iter().map(|fault| row(ledger, fault)));
}

fn row(ledger: Option<Ledger>, fault: Fault) -> FaultRow {
    let signed = |value: Option<u64>| value.and_then(|value| i64::try_from(value).ok());
    (
        fault.ledger.map(|id| pgrx::Uuid::from_bytes(id.0)),
        ledger.map(|ledger| ledger.relation),
        signed(fault.seq),
        signed(fault.row),
        fault.fault.slug().to_owned(),
        fault.detail,
    )
}

unsafe fn verify(
    ledger: Ledger,
    is_there: bool,
    since: Option<u64>,
    indexes: bool,
    snapshot: pg_sys::Snapshot,
    faults: &mut Faults,
) {
    // SAFETY: the caller has the snapshot registered.
    unsafe {
        let mut rows = rows::Rows::new(ledger.id, memory());
        let chain = check_chain(ledger, since, snapshot, &mut rows, faults);
        if !is_there {
            let (ledger, fault) = (Some(ledger.id), FaultKind::Missing);
            let detail = "its table is not there".to_owned();
            return faults.push(Fault { ledger, seq: None, row: None, fault, detail, line: 0 });
        }
        table::check(ledger, faults);
        // Rows are read by the map that the chain states. Where it states none, its first entry is gone.
        let columns = match &chain.map {
            Some(columns) => {
                table::check_columns(ledger, columns, faults);
                columns.clone()
            }
            None => store::columns(ledger.number),
        };
        for (member, is_leaf) in members::of(ledger) {
            if is_leaf {
                let heap = pg_sys::table_open(member, pg_sys::AccessShareLock as i32);
                rows.table(heap, ledger, &columns, snapshot, faults);
                pg_sys::table_close(heap, pg_sys::AccessShareLock as i32);
                if indexes {
                    table::check_indexes(Some(ledger), member, faults);
                }
            }
        }
        // What could not be read is not missing.
        if let Some(absent) = rows.compare(faults) {
            chain.explain(ledger, absent, faults);
        }
        chain.compare_redactions(ledger, snapshot, faults);
    }
}

/// What a prune entry says.
struct Prune {
    seq: u64,
    checkpoint: u64,
    first: u64,
    last: u64,
}

/// What was learnt from the entries.
struct Chain {
    /// The newest column map.
    map: Option<Vec<Column>>,
    /// The entry that states it.
    map_seq: u64,
    /// Each prune.
    pruned: Vec<Prune>,
    /// Transaction, row and column of each value that an entry says was erased.
    redacted: HashSet<(u64, u64, u16)>,
}

impl Chain {
    /// Learns from an entry. Of column maps the newest counts, whichever comes first here.
    fn take(&mut self, seq: u64, detail: Detail) {
        match detail {
            Detail::Open { columns, .. } | Detail::Columns { columns } if self.map_seq < seq => {
                self.map = Some(columns);
                self.map_seq = seq;
            }
            Detail::Prune { checkpoint, first, last, .. } => self.pruned.push(Prune { seq, checkpoint, first, last }),
            Detail::Redact { columns, row, tx, .. } => {
                self.redacted.extend(columns.into_iter().map(|column| (tx, row, column)));
            }
            _ => {}
        }
    }

    fn take_from(&mut self, entry: &Entry) {
        if !matches!(entry.kind, Kind::Rows)
            && let Ok(detail) = entry.detail()
        {
            self.take(entry.seq, detail);
        }
    }

    /// Values that are gone must have been redacted by an entry.
    unsafe fn compare_redactions(&self, ledger: Ledger, snapshot: pg_sys::Snapshot, faults: &mut Faults) {
        // SAFETY: the caller has the snapshot registered.
        for (tx, row, number) in unsafe { store::redactions_as_of(ledger.number, snapshot) } {
            if !self.redacted.contains(&(tx, row, number)) {
                let detail =
                    format!("column {number} of row {row} of transaction {tx} was erased, and no entry says so");
                let seq = i64::try_from(tx).ok().and_then(|tx| single::seq_of(ledger, tx));
                let seq = seq.and_then(|seq| u64::try_from(seq).ok());
                let (ledger, row, fault) = (Some(ledger.id), Some(row), FaultKind::Altered);
                faults.push(Fault { ledger, seq, row, fault, detail, line: 0 });
            }
        }
    }

    /// Rows that are gone must have been pruned, which is allowed once a checkpoint covers them.
    fn explain(&self, ledger: Ledger, absent: Vec<u64>, faults: &mut Faults) {
        for Prune { seq, checkpoint, first, last } in &self.pruned {
            let end = checkpoint::log::index_of(ledger.number, i64::try_from(*last).unwrap_or(i64::MAX));
            if last >= seq || end.is_none_or(|end| end >= *checkpoint) {
                let detail =
                    format!("entries {first} to {last} are not all covered by the checkpoint of size {checkpoint}");
                let (ledger, fault) = (Some(ledger.id), FaultKind::PruneNotCovered);
                faults.push(Fault { ledger, seq: Some(*seq), row: None, fault, detail, line: 0 });
            }
        }
        let mut stretch: Option<(u64, u64)> = None;
        let unexplained =
            absent.into_iter().filter(|seq| !self.pruned.iter().any(|prune| (prune.first..=prune.last).contains(seq)));
        let mut tell = |(first, last): (u64, u64)| {
            let detail = format!("the rows of entries {first} to {last} are gone, and no prune entry says so");
            let fault = FaultKind::PrunedWithoutEntry;
            faults.push(Fault { ledger: Some(ledger.id), seq: Some(first), row: None, fault, detail, line: 0 });
        };
        for seq in unexplained {
            match &mut stretch {
                Some((_, last)) if *last + 1 == seq => *last = seq,
                _ => {
                    if let Some(done) = stretch.replace((seq, seq)) {
                        tell(done);
                    }
                }
            }
        }
        if let Some(done) = stretch {
            tell(done);
        }
    }
}

unsafe fn check_chain(
    ledger: Ledger,
    since: Option<u64>,
    snapshot: pg_sys::Snapshot,
    rows: &mut rows::Rows,
    faults: &mut Faults,
) -> Chain {
    let mut chain = Chain { map: None, map_seq: 0, pruned: Vec::new(), redacted: HashSet::new() };
    let believed = since.map_or(0, |size| checkpoint::log::last_covered(ledger.number, size));
    let mut verifier = ChainVerifier::new(ledger.id);
    let (mut count, mut first_tx, mut opened) = (0_u64, u64::MAX, false);
    // SAFETY: the caller has the snapshot registered.
    unsafe {
        store::entries_as_of(ledger.number, believed.max(1), snapshot, &mut |fields| {
            count += 1;
            let read = store::entry(fields, ledger.id).map(|(entry, stored)| (entry.hash(), entry, stored));
            match read {
                Some((Ok(hash), entry, stored)) if believed > 0 && Ok(entry.seq) == u64::try_from(believed) => {
                    let head = Head {
                        seq: entry.seq,
                        hash,
                        rows: entry.first_row.saturating_add(entry.rows),
                        at: entry.at,
                        closed: entry.kind == Kind::Close,
                    };
                    verifier = ChainVerifier::resume(ledger.id, &head);
                    if hash != stored {
                        verifier.unreadable(entry.seq, &hash, "its bytes do not have its stored hash", count, faults);
                    }
                }
                Some((Ok(hash), entry, stored)) => {
                    verifier.entry(&entry, &hash, Some(&stored), count, faults);
                    if entry.rows > 0 {
                        first_tx = first_tx.min(entry.tx);
                        rows.entry(&entry);
                    }
                    chain.take_from(&entry);
                }
                unreadable => {
                    let (seq, stored, what) = match unreadable {
                        Some((Err(what), entry, stored)) => (entry.seq, stored, what.to_string()),
                        _ => {
                            let seq = fields.bigint(2).and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0);
                            let stored = fields.bytes(13).and_then(|hash| hash.try_into().ok()).unwrap_or([0; 32]);
                            (seq, stored, "a column holds what no entry can".to_owned())
                        }
                    };
                    verifier.unreadable(seq, &stored, &what, count, faults);
                    rows.excuse(fields.bigint(4).unwrap_or_default());
                }
            }
            true
        });
        if believed > 0 {
            rows.start_at(i64::try_from(first_tx).unwrap_or(i64::MAX));
            // Entries from before are believed, but rows of theirs can lie among the newer ones.
            store::entries_as_of(ledger.number, 1, snapshot, &mut |fields| {
                if fields.bigint(2).is_none_or(|seq| seq > believed) {
                    return false;
                }
                if let Some((entry, _)) = store::entry(fields, ledger.id) {
                    if entry.tx >= first_tx {
                        rows.entry(&entry);
                    }
                    chain.take_from(&entry);
                }
                true
            });
        }
    }
    // What this transaction has done has no entry yet.
    for (number, note) in (0..).zip(pending::with(|pending| pending.notes(ledger.number))) {
        if let Ok(detail) = Detail::parse(note.kind, &note.detail) {
            chain.take(SEQ_UNKNOWN + number, detail);
            opened |= note.kind == Kind::Open;
        }
    }
    if count == 0 && !opened {
        let detail = "the ledger has no entry, not even its first".to_owned();
        let (ledger, fault) = (Some(ledger.id), FaultKind::Missing);
        faults.push(Fault { ledger, seq: None, row: None, fault, detail, line: 0 });
    }
    verifier.finish(faults);
    chain
}

/// Stands for the `seq` of an entry that is not written yet: behind all that are.
const SEQ_UNKNOWN: u64 = 1 << 63;
