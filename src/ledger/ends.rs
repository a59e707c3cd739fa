//! Entries that say something of the ledger as a whole: it is closed, or its server was moved.

use super::store;
use super::{columns, fault};
use crate::backend;
use crate::error::{self, Result};
use kakunin_core::Reason;
use kakunin_core::ledger::{Detail, Kind};
use pgrx::prelude::*;

/// Ends a ledger: nothing can be added to it any more. Its rows stay, and stay guarded.
// Definer: its caller needs no right to insert.
#[pg_extern(sql = r#"
create function kakunin.close_ledger(relation regclass, reason text) returns void
    language c volatile parallel unsafe
    security definer set search_path = pg_catalog, pg_temp
    as 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
fn close_ledger(relation: Option<pg_sys::Oid>, reason: Option<String>) -> Result<()> {
    let relation = relation.ok_or_else(|| error::report(Reason::ArgumentNull { what: "relation".into() }))?;
    let reason = super::stated(reason).map_err(error::report)?;
    let ledger = super::ledger_of(relation).map_err(error::report)?;
    backend::refuse_read_only(c"kakunin.close_ledger()");
    columns::note(ledger, Kind::Close, &Detail::Close { reason });
    Ok(())
}

/// Writes an entry into every open ledger: the server was restored to an earlier state, promoted, or moved. Returns how
/// many ledgers there are.
// Definer: its caller needs no right to insert.
#[pg_extern(sql = r#"
create function kakunin.begin_epoch(reason text) returns integer
    language c volatile parallel unsafe
    security definer set search_path = pg_catalog, pg_temp
    as 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
fn begin_epoch(reason: Option<String>) -> Result<i32> {
    let reason = super::stated(reason).map_err(error::report)?;
    backend::refuse_read_only(c"kakunin.begin_epoch()");
    let timeline = Spi::get_one::<i32>(TIMELINE).ok().flatten();
    let timeline = timeline.unwrap_or_else(|| fault::broken("the server states no timeline"));
    let system = backend::system_identifier().to_string();
    advance_numbers();
    let mut count = 0;
    for ledger in store::ledgers() {
        if store::head(ledger.number).is_some_and(|head| head.closed) {
            continue;
        }
        let timeline = u64::try_from(timeline).unwrap_or(0);
        let detail = Detail::Epoch { reason: reason.clone(), system: system.clone(), timeline };
        columns::note(ledger, Kind::Epoch, &detail);
        count += 1;
    }
    Ok(count)
}

/// Sequences are neither replicated to subscribers nor restored by every kind of dump; no number may be given twice.
fn advance_numbers() {
    super::run(
        "select pg_catalog.setval('kakunin.ledger_tx_number', m.tx) from (select max(tx) as tx from kakunin.ledger_entry) m
          where m.tx > (select last_value from kakunin.ledger_tx_number);
         select pg_catalog.setval('kakunin.ledger_number_seq', m.number)
           from (select max(number) as number from kakunin.ledger) m
          where m.number > (select last_value from kakunin.ledger_number_seq)",
    );
}

/// The one that is written to; the control file has that of the last checkpoint of the server.
const TIMELINE: &str = "
    select ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::integer";
