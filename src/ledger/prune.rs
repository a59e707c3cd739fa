//! `kakunin.prune_ledger`: drops a partition whose time is over, and leaves an entry that says so.

mod gone;

use super::store::{self, Ledger};
use super::{apply, columns, fault, owner, raw, run};
use crate::backend;
use crate::error::{self, Result};
use crate::hooks::guard;
use kakunin_core::Reason;
use kakunin_core::ledger::{Detail, Kind};
use pgrx::prelude::*;

/// Drops a partition of a ledger. Every entry with rows in it must have all of them there, and be covered by a
/// checkpoint. Returns the number of rows that are gone. The entries stay, so that the chain verifies as before.
// Definer: drops a table that nobody may drop; the drop itself is done as the table's owner.
#[pg_extern(sql = r#"
create function kakunin.prune_ledger(partition regclass, reason text) returns bigint
    language c volatile parallel unsafe
    security definer set search_path = pg_catalog, pg_temp
    as 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
fn prune_ledger(partition: Option<pg_sys::Oid>, reason: Option<String>) -> Result<i64> {
    let partition = partition.ok_or_else(|| error::report(Reason::ArgumentNull { what: "partition".into() }))?;
    let reason = super::stated(reason).map_err(error::report)?;
    backend::refuse_read_only(c"kakunin.prune_ledger()");
    prune(partition, reason).map_err(error::report)
}

fn prune(partition: pg_sys::Oid, reason: String) -> std::result::Result<i64, Reason> {
    let name = fault::table_name(partition);
    let ancestors = raw::partition_ancestors(partition);
    let ledger = ancestors.last().and_then(|root| store::ledger_by_relation(*root));
    let (Some(ledger), Some(parent)) = (ledger, ancestors.first()) else {
        return Err(Reason::LedgerNotPartition { table: name });
    };
    // First the one above it, as whoever reads it does.
    run(&format!("lock table only {} in access exclusive mode", fault::table_name(*parent)));
    run(&format!("lock table {name} in access exclusive mode"));
    let gone = gone::with(partition, ledger);
    if gone.shared > 0 {
        return Err(Reason::LedgerPruneShared { partition: name, entries: gone.shared.cast_signed() });
    }
    let stretches = gone.stretches;
    if stretches.len() > STRETCHES_MAX {
        return Err(Reason::LedgerPruneScattered { partition: name, stretches: stretches.len(), max: STRETCHES_MAX });
    }
    // A subscriber drops what the publisher has dropped and told of; there is nothing to be chained.
    let is_replica = apply::is_replica(&raw::inheritors(ledger.relation));
    if is_replica && stretches.iter().any(|stretch| !is_pruned(ledger, *stretch)) {
        return Err(Reason::LedgerReplica { table: fault::table_name(ledger.relation) });
    }
    let stretches = if is_replica { Vec::new() } else { stretches };
    let mut details = Vec::new();
    for (first, last) in stretches {
        let checkpoint =
            covering(ledger, last).ok_or_else(|| Reason::LedgerPruneUncovered { partition: name.clone() })?;
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        let reason = reason.clone();
        details.push(Detail::Prune {
            checkpoint: number(checkpoint),
            first: number(first),
            last: number(last),
            reason,
        });
    }
    let parent = fault::table_name(*parent);
    guard::allowed(|| {
        owner::act_as(ledger.relation, || run(&format!("alter table {parent} detach partition {name}")));
        // It may be another's.
        owner::act_as(partition, || run(&format!("drop table {name}")));
    });
    details.iter().for_each(|detail| columns::note(ledger, Kind::Prune, detail));
    Ok(gone.rows.cast_signed())
}

/// Does a prune entry name all of these?
fn is_pruned(ledger: Ledger, (first, last): (i64, i64)) -> bool {
    let query = "
        select exists (select from kakunin.ledger_entry where ledger = $1 and kind = 4
                          and (detail::jsonb->>'first')::bigint <= $2 and (detail::jsonb->>'last')::bigint >= $3)";
    Spi::get_one_with_args(query, &[ledger.number.into(), first.into(), last.into()])
        .unwrap_or_else(|failure| fault::broken(&failure.to_string()))
        .unwrap_or(false)
}

/// Size of the newest checkpoint, if it covers the entry.
fn covering(ledger: Ledger, seq: i64) -> Option<i64> {
    let query = "
        select max(c.size) from kakunin.checkpoint c
         where c.size > (select r.first_index + $2 - r.first_seq from kakunin.log_range r
                          where r.ledger = $1 and $2 between r.first_seq and r.last_seq limit 1)";
    Spi::get_one_with_args(query, &[ledger.number.into(), seq.into()])
        .unwrap_or_else(|failure| fault::broken(&failure.to_string()))
}

/// Prune entries of one call.
const STRETCHES_MAX: usize = 10_000;
