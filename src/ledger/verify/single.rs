//! One row, or the rows of one entry: against the entry, and the entry against its neighbours and the log.

use super::super::fault;
use super::super::rows;
use super::super::store::{self, Ledger};
use crate::checkpoint::log;
use crate::checkpoint::{key_that_signs, proofs};
use kakunin_core::ledger::chain::{Stated, StoredRows};
use kakunin_core::ledger::tlog_proof::TlogProof;
use kakunin_core::ledger::{Entry, Fault, FaultKind, Faults, Hash};
use pgrx::prelude::*;

/// Checks the entry of a transaction and its rows; of one row also that it is there.
///
/// # Safety
/// The snapshot is registered.
pub unsafe fn check(ledger: Ledger, tx: i64, row: Option<i32>, snapshot: pg_sys::Snapshot, faults: &mut Faults) {
    let tell = |seq: Option<u64>, row: Option<i32>, kind: FaultKind, detail: &str, faults: &mut Faults| {
        let row = row.and_then(|row| u64::try_from(row).ok());
        faults.push(Fault { ledger: Some(ledger.id), seq, row, fault: kind, detail: detail.into(), line: 0 });
    };
    let Some(seq) = seq_of(ledger, tx) else {
        return tell(None, row, FaultKind::Missing, "the transaction has no entry in the ledger", faults);
    };
    // SAFETY: by the caller's promise.
    let around = unsafe { around(ledger, seq, snapshot) };
    let number = u64::try_from(seq).ok();
    let Some((entry, hash, stored)) = around.iter().find(|(entry, ..)| Some(entry.seq) == number) else {
        return tell(number, row, FaultKind::Malformed, "the entry cannot be read", faults);
    };
    if hash != stored {
        tell(number, None, FaultKind::Altered, "its bytes do not have the hash that is stored with it", faults);
    }
    for (one, ..) in &around {
        let before = around.iter().find(|(other, ..)| other.seq + 1 == one.seq);
        if before.is_some_and(|(_, hash, _)| one.previous != *hash) {
            tell(Some(one.seq), None, FaultKind::Forked, "it does not continue the entry before", faults);
        }
    }
    let found = rows::of_transaction(ledger, tx, false);
    let stated = Stated { ledger: ledger.id, seq: entry.seq, rows: entry.rows, root: entry.root };
    let mut stored_rows = StoredRows::new();
    for stored in &found {
        stored_rows.row(u32::try_from(stored.number).unwrap_or(u32::MAX), stored.leaf, &stated, faults);
    }
    if stored_rows.finish(&stated, faults) {
        tell(number, row, FaultKind::PrunedWithoutEntry, "no row of the entry is there", faults);
    } else if row.is_some_and(|row| !found.iter().any(|stored| stored.number == row)) {
        tell(number, row, FaultKind::Missing, "the entry has no row of this number", faults);
    }
    check_log(ledger, seq, hash, |kind, detail| tell(number, None, kind, &detail, faults));
}

/// Is it in the log that the newest checkpoint signs, if that covers it?
fn check_log(ledger: Ledger, seq: i64, hash: &Hash, mut tell: impl FnMut(FaultKind, String)) {
    let (Some(log), Some(newest)) = (log::named(), log::newest()) else { return };
    if log::index_of(ledger.number, seq).is_none_or(|index| index >= newest.size) {
        return;
    }
    let Ok(key) = key_that_signs(&log) else {
        return tell(FaultKind::Unsigned, format!("the key of log {} is not there", log.origin));
    };
    let proof = proofs::prove(ledger, 0, seq, None, &newest).map(|proof| TlogProof::parse(&proof));
    match proof {
        Ok(Ok(proof)) if proof.verify_entry(*hash, &[key]).is_ok() => {}
        Ok(_) => tell(FaultKind::BadProof, "its proof does not lead to the newest checkpoint".into()),
        Err(reason) => tell(FaultKind::BadProof, reason.detail()),
    }
}

/// The entry with its neighbours: as it states itself, its hash, and the hash that is stored.
unsafe fn around(ledger: Ledger, seq: i64, snapshot: pg_sys::Snapshot) -> Vec<(Entry, Hash, Hash)> {
    let mut found = Vec::new();
    // SAFETY: by the caller's promise.
    unsafe {
        store::entries_as_of(ledger.number, seq - 1, snapshot, &mut |fields| {
            let read = store::entry(fields, ledger.id);
            found.extend(read.and_then(|(entry, stored)| entry.hash().ok().map(|hash| (entry, hash, stored))));
            fields.bigint(2).is_some_and(|at| at <= seq)
        });
    }
    found
}

pub fn seq_of(ledger: Ledger, tx: i64) -> Option<i64> {
    let query = "select min(seq) from kakunin.ledger_entry where ledger = $1 and tx = $2 and tx > 0";
    Spi::get_one_with_args(query, &[ledger.number.into(), tx.into()])
        .unwrap_or_else(|failure| fault::broken(&failure.to_string()))
}
