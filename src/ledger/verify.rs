//! `kakunin.verify_ledger`: is a ledger what its entries say, and are they a chain that checkpoints vouch for?

mod rows;
mod table;

use super::store::{self, Ledger};
use super::{fault, members};
use crate::error::{self, Result};
use kakunin_core::ledger::chain::ChainVerifier;
use kakunin_core::ledger::{Detail, Fault, FaultKind, Faults, Kind};
use pgrx::prelude::*;

/// kakunin.ledger_fault: ledger, relation, seq, row_number, fault, detail.
type FaultRow = (Option<pgrx::Uuid>, Option<pg_sys::Oid>, Option<i64>, Option<i64>, String, String);

/// Checks one ledger, or all of them, and returns a row for each fault; none if all is sound.
// Definer: reads rows and entries that its caller may have no right to; only the facts of a fault come out.
#[pg_extern(sql = r#"
create function kakunin.verify_ledger(relation regclass default null)
    returns setof kakunin.ledger_fault
    language c volatile parallel unsafe
    security definer set search_path = pg_catalog, pg_temp
    as 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
fn verify_ledger(
    relation: Option<pg_sys::Oid>,
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
        None => store::ledgers(),
        Some(relation) => vec![super::ledger_of(relation).map_err(error::report)?],
    };
    let mut found = Vec::new();
    for ledger in ledgers {
        let mut faults = Faults::new();
        verify(ledger, &mut faults);
        let count = faults.count();
        let list = faults.take();
        if count > list.len() as u64 {
            notice!(
                "{} has {count} faults, of which the first {} are listed",
                fault::table_name(ledger.relation),
                list.len()
            );
        }
        found.extend(list.into_iter().map(|fault| row(ledger, fault)));
    }
    Ok(TableIterator::new(found))
}

fn row(ledger: Ledger, fault: Fault) -> FaultRow {
    let signed = |value: Option<u64>| value.and_then(|value| i64::try_from(value).ok());
    (
        Some(pgrx::Uuid::from_bytes(ledger.id.0)),
        Some(ledger.relation),
        signed(fault.seq),
        signed(fault.row),
        fault.fault.slug().to_owned(),
        fault.detail,
    )
}

fn verify(ledger: Ledger, faults: &mut Faults) {
    table::check(ledger, faults);
    // SAFETY: one snapshot for entries and rows, so that a transaction is seen whole or not at all; it is registered
    // until the end.
    unsafe {
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
        let mut rows = rows::Rows::new(ledger.id, super::memory());
        let chain = check_chain(ledger, snapshot, &mut rows, faults);
        table::check_columns(ledger, chain.map.as_ref(), faults);
        let columns = store::columns(ledger.number);
        for (member, is_leaf) in members::of(ledger) {
            if !is_leaf {
                continue;
            }
            let heap = pg_sys::table_open(member, pg_sys::AccessShareLock as i32);
            rows.table(heap, ledger, &columns, snapshot, faults);
            pg_sys::table_close(heap, pg_sys::AccessShareLock as i32);
        }
        let absent = rows.compare(faults);
        chain.explain(ledger, absent, faults);
        pg_sys::UnregisterSnapshot(snapshot);
    }
}

/// What was learnt from the entries.
struct Chain {
    /// The newest column map.
    map: Option<Detail>,
    /// First and last entry of each prune.
    pruned: Vec<(u64, u64)>,
}

impl Chain {
    /// Rows that are gone must have been pruned.
    fn explain(&self, ledger: Ledger, absent: Vec<u64>, faults: &mut Faults) {
        let mut stretch: Option<(u64, u64)> = None;
        let unexplained =
            absent.into_iter().filter(|seq| !self.pruned.iter().any(|(first, last)| (first..=last).contains(&seq)));
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

unsafe fn check_chain(ledger: Ledger, snapshot: pg_sys::Snapshot, rows: &mut rows::Rows, faults: &mut Faults) -> Chain {
    let mut verifier = ChainVerifier::new(ledger.id);
    let mut chain = Chain { map: None, pruned: Vec::new() };
    let mut count = 0_u64;
    // SAFETY: the snapshot is registered by the caller.
    unsafe {
        store::entries_as_of(ledger.number, 0, snapshot, &mut |fields| {
            count += 1;
            match store::entry(fields, ledger.id) {
                Some((entry, stored)) => match entry.hash() {
                    Ok(hash) => {
                        verifier.entry(&entry, &hash, Some(&stored), count, faults);
                        rows.entry(&entry);
                        match (entry.kind, entry.detail()) {
                            (Kind::Open | Kind::Columns, Ok(detail)) => chain.map = Some(detail),
                            (Kind::Prune, Ok(Detail::Prune { first, last, .. })) => chain.pruned.push((first, last)),
                            _ => {}
                        }
                    }
                    Err(what) => verifier.unreadable(entry.seq, &stored, &what.to_string(), count, faults),
                },
                None => {
                    let seq = fields.bigint(2).and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0);
                    verifier.unreadable(seq, &[0; 32], "a column holds what no entry can", count, faults);
                }
            }
            true
        });
    }
    if count == 0 {
        let detail = "the ledger has no entry, not even its first";
        faults.push(Fault {
            ledger: Some(ledger.id),
            seq: None,
            row: None,
            fault: FaultKind::Missing,
            detail: detail.into(),
            line: 0,
        });
    }
    verifier.finish(faults);
    chain
}
