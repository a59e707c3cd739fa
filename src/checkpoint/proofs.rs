//! Proofs that others can check with nothing but a checkpoint: that an entry is in the log, and that the log only grew.

use super::log::{self, KeptHashes, Stored};
use crate::error::{self, Result};
use crate::ledger::fault::table_name;
use crate::ledger::raw::partition_ancestors;
use crate::ledger::rows;
use crate::ledger::store::{self, Key, Ledger, Order, Table};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kakunin_core::Reason;
use kakunin_core::ledger::growth::subtree;
use kakunin_core::ledger::merkle::root_of;
use kakunin_core::ledger::proof;
use kakunin_core::ledger::tlog_proof::{RowProof, TlogProof};
use kakunin_core::ledger::{Entry, Hash};
use pgrx::prelude::*;

/// That a row is in an entry of the log, or without `row_number` that the entry is: a C2SP tlog-proof, under the newest
/// checkpoint or the one of `checkpoint_size`. The numbers are the row's `ledger_tx` and `ledger_row`.
// Definer: reads rows, entries and the log for those who may have a proof. Only hashes come out.
#[pg_extern(sql = r#"
create function kakunin.inclusion_proof(
        relation regclass, tx bigint, row_number integer default null, checkpoint_size bigint default null)
    returns text
    language c stable parallel unsafe
    security definer set search_path = pg_catalog, pg_temp
    as 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
pub fn inclusion_proof(
    relation: Option<pg_sys::Oid>,
    tx: Option<i64>,
    row_number: Option<i32>,
    checkpoint_size: Option<i64>,
) -> Result<String> {
    let null = |what: &str| error::report(Reason::ArgumentNull { what: what.into() });
    let relation = relation.ok_or_else(|| null("relation"))?;
    let tx = tx.ok_or_else(|| null("tx"))?;
    let ledger = partition_ancestors(relation).last().copied().unwrap_or(relation);
    let ledger = store::ledger_by_relation(ledger)
        .ok_or_else(|| error::report(Reason::LedgerUnknown { table: table_name(relation) }))?;
    let checkpoint = match checkpoint_size {
        None => log::newest(),
        Some(size) => log::of_size(size),
    };
    let checkpoint = checkpoint.ok_or_else(|| error::report(Reason::NoCheckpoint))?;
    let seq = seq_of(ledger, tx)?.ok_or_else(|| error::report(Reason::EntryUnknown))?;
    prove(ledger, tx, seq, row_number, &checkpoint).map_err(error::report)
}

/// The proof of an entry under a checkpoint, and of one row of it if one is meant.
pub fn prove(
    ledger: Ledger,
    tx: i64,
    seq: i64,
    row_number: Option<i32>,
    checkpoint: &Stored,
) -> std::result::Result<String, Reason> {
    let uncovered = Reason::EntryNotCovered { seq, size: checkpoint.size };
    let index = log::index_of(ledger.number, seq).filter(|index| *index < checkpoint.size).ok_or(uncovered)?;
    let row = row_number.map(|number| prove_row(ledger, tx, seq, number)).transpose()?;
    let mut kept = KeptHashes::default();
    let size = size_now();
    let path = proof::inclusion(index, checkpoint.size, |level, at| subtree(&mut kept, size, level, at))?;
    let proof = TlogProof { row, index, path: path.unwrap_or_default(), checkpoint: checkpoint.note.clone() };
    proof.encode().map_err(|what| Reason::LogBroken { what: what.to_string() })
}

/// The way from a row to the root that its entry states.
fn prove_row(ledger: Ledger, tx: i64, seq: i64, number: i32) -> std::result::Result<RowProof, Reason> {
    let broken = |what: &str| Reason::LedgerChainBroken { ledger: ledger.id.to_string(), seq, what: what.to_owned() };
    let entry = entry(ledger, seq).ok_or_else(|| broken("it cannot be read"))?;
    let rows = rows::of_transaction(ledger, tx, false);
    if rows.is_empty() {
        return Err(Reason::EntryRowsPruned { seq });
    }
    let leaves: Vec<Hash> = rows.iter().map(|row| row.leaf).collect();
    if leaves.len() as u64 != entry.rows || root_of(leaves.iter().copied()) != entry.root {
        return Err(broken("its rows are not those that were added"));
    }
    let at = rows.iter().position(|row| row.number == number).ok_or(Reason::EntryRowUnknown { seq, number })? as u64;
    let path = proof::inclusion(at, entry.rows, proof::from_leaves(&leaves));
    let path = path.map_err(|what| broken(&what.to_string()))?.unwrap_or_default();
    Ok(RowProof { index: at, rows: entry.rows, path })
}

fn entry(ledger: Ledger, seq: i64) -> Option<Entry> {
    let mut found = None;
    let keys = [Key::integer(1, ledger.number), Key::bigint(2, seq)];
    store::in_order(Table::Entry, Table::EntryKey, &keys, Order::Ascending, &mut |fields| {
        found = store::entry(fields, ledger.id).map(|(entry, _)| entry);
        false
    });
    found
}

/// That the log of `old_size` entries is a prefix of that of `new_size`, or of the newest checkpoint: the hashes of RFC
/// 6962 section 2.1.2 in base64, as the lines of a C2SP add-checkpoint request.
// Definer: reads the log for those who may have a proof.
#[pg_extern(schema = "kakunin", stable, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
pub fn consistency_proof(old_size: Option<i64>, new_size: default!(Option<i64>, "NULL")) -> Result<Vec<String>> {
    let old_size = old_size.ok_or_else(|| error::report(Reason::ArgumentNull { what: "old_size".into() }))?;
    let newest = log::newest().ok_or_else(|| error::report(Reason::NoCheckpoint))?;
    let within = |size: i64, max: u64| {
        let invalid = || error::report(Reason::CheckpointSizeInvalid { size, max });
        u64::try_from(size).ok().filter(|size| *size <= max).ok_or_else(invalid)
    };
    let new = new_size.map_or(Ok(newest.size), |size| within(size, newest.size))?;
    let old = within(old_size, new)?;
    let mut kept = KeptHashes::default();
    let path = proof::consistency(old, new, |level, at| subtree(&mut kept, newest.size, level, at));
    let path = path.map_err(error::report)?.unwrap_or_default();
    Ok(path.iter().map(|hash| STANDARD.encode(hash)).collect())
}

/// Number of entries that the tables of the log hold.
fn size_now() -> u64 {
    log::newest().map_or(0, |newest| newest.size)
}

/// The entry that a transaction wrote.
fn seq_of(ledger: Ledger, tx: i64) -> Result<Option<i64>> {
    let query = "select seq from kakunin.ledger_entry where ledger = $1 and tx = $2 and tx > 0";
    let found = Spi::connect(|client| {
        let found = client.select(query, Some(1), &[ledger.number.into(), tx.into()])?;
        if found.is_empty() { Ok(None) } else { found.first().get_one::<i64>() }
    });
    found.map_err(error::spi)
}
