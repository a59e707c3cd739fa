//! `kakunin.prune_ledger`: drops a partition whose time is over, and leaves an entry that says so.

use super::store::{self, Ledger};
use super::{columns, fault, owner, raw, run};
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
    prune(partition, reason).map_err(error::report)
}

fn prune(partition: pg_sys::Oid, reason: String) -> std::result::Result<i64, Reason> {
    let name = fault::table_name(partition);
    let ancestors = raw::partition_ancestors(partition);
    let ledger = ancestors.last().and_then(|root| store::ledger_by_relation(*root));
    let (Some(ledger), Some(parent)) = (ledger, ancestors.first()) else {
        return Err(Reason::LedgerNotPartition { table: name });
    };
    run(&format!("lock table {name} in access exclusive mode"));
    let rows = one::<i64>(&format!("select count(*) from {name}"), ledger);
    let shared = one::<i64>(&SHARED.replace("PARTITION", &name), ledger);
    if shared > 0 {
        return Err(Reason::LedgerPruneShared { partition: name, entries: shared });
    }
    let stretches = stretches(&name, ledger);
    if stretches.len() > STRETCHES_MAX {
        return Err(Reason::LedgerPruneScattered { partition: name, stretches: stretches.len(), max: STRETCHES_MAX });
    }
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
        owner::act_as(ledger.relation, || {
            run(&format!("alter table {parent} detach partition {name}"));
            run(&format!("drop table {name}"));
        });
    });
    details.iter().for_each(|detail| columns::note(ledger, Kind::Prune, detail));
    Ok(rows)
}

/// First and last entry of each stretch whose rows are in the partition.
fn stretches(name: &str, ledger: Ledger) -> Vec<(i64, i64)> {
    Spi::connect(|client| {
        let query = STRETCHES.replace("PARTITION", name);
        let rows = client.select(query.as_str(), None, &[ledger.number.into()])?;
        rows.map(|row| Ok(row.get::<i64>(1)?.zip(row.get::<i64>(2)?)))
            .collect::<std::result::Result<Vec<_>, pgrx::spi::Error>>()
    })
    .unwrap_or_else(|failure| fault::broken(&failure.to_string()))
    .into_iter()
    .flatten()
    .collect()
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

fn one<T: FromDatum + pgrx::IntoDatum>(query: &str, ledger: Ledger) -> T {
    Spi::get_one_with_args(query, &[ledger.number.into()])
        .ok()
        .flatten()
        .unwrap_or_else(|| fault::broken("a count gave nothing"))
}

/// `$1` is the ledger. Transactions whose rows are not all in the partition, or that have no entry.
const SHARED: &str = "
    select count(*) from (select ledger_tx, count(*) as rows from PARTITION group by ledger_tx) g
      left join kakunin.ledger_entry e on e.ledger = $1 and e.tx = g.ledger_tx and e.rows = g.rows
     where e.seq is null and $1 is not null";
/// `$1` is the ledger. Entries without rows of their own do not end a stretch.
const STRETCHES: &str = "
    with entry as (
        select e.seq, e.tx in (select ledger_tx from PARTITION) as gone
          from kakunin.ledger_entry e where e.ledger = $1 and e.rows > 0
    ), numbered as (
        select seq, gone, row_number() over (order by seq) - row_number() over (partition by gone order by seq) as stretch
          from entry
    )
    select min(seq), max(seq) from numbered where gone group by stretch order by 1";
/// Prune entries of one call.
const STRETCHES_MAX: usize = 10_000;
