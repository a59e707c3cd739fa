//! `kakunin.redact`: erases values of redactable columns. The row's hash holds commitments to them, which stay.

use super::plan::{Place, SALT};
use super::rows;
use super::store::{self, Ledger, Table};
use super::{columns, fault, members, owner, refuse};
use crate::backend;
use crate::error::{self, Result};
use kakunin_core::Reason;
use kakunin_core::ledger::row::{RowReader, tag};
use kakunin_core::ledger::{Detail, Kind, entry::Column};
use pgrx::prelude::*;

/// Erases values of one row of a ledger, by its `ledger_tx` and `ledger_row`. Returns how many there were. The chain
/// verifies as before and holds an entry that says why. Copies in WAL, backups and dead rows go as those do.
// Definer: changes a row of a table that nobody may change; the change itself is made as the table's owner.
#[pg_extern(sql = r#"
create function kakunin.redact(relation regclass, tx bigint, row_number integer, columns text[], reason text)
    returns integer
    language c volatile parallel unsafe
    security definer set search_path = pg_catalog, pg_temp
    as 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
fn redact(
    relation: Option<pg_sys::Oid>,
    tx: Option<i64>,
    row_number: Option<i32>,
    columns: Option<Vec<Option<String>>>,
    reason: Option<String>,
) -> Result<i32> {
    let null = |what: &str| error::report(Reason::ArgumentNull { what: what.into() });
    let relation = relation.ok_or_else(|| null("relation"))?;
    let (tx, row) = (tx.ok_or_else(|| null("tx"))?, row_number.ok_or_else(|| null("row_number"))?);
    let names: Vec<String> = columns.ok_or_else(|| null("columns"))?.into_iter().flatten().collect();
    let reason = super::stated(reason).map_err(error::report)?;
    let ledger = super::ledger_of(relation).map_err(error::report)?;
    backend::refuse_read_only(c"kakunin.redact()");
    erase(ledger, tx, row, &names, reason).map_err(error::report)
}

fn erase(ledger: Ledger, tx: i64, row: i32, names: &[String], reason: String) -> std::result::Result<i32, Reason> {
    let table = || fault::table_name(ledger.relation);
    let map = store::columns(ledger.number);
    let secrets: Vec<&Column> = map.iter().filter(|column| column.redactable).collect();
    let mut chosen: Vec<(usize, &Column)> = Vec::new();
    for name in names {
        let found = secrets.iter().enumerate().find(|(_, column)| column.name == *name);
        let (place, column) =
            found.ok_or_else(|| Reason::LedgerNotRedactable { table: table(), column: name.clone() })?;
        chosen.push((place, column));
    }
    chosen.sort_by_key(|(place, _)| *place);
    chosen.dedup_by_key(|(place, _)| *place);

    let before = read(ledger, tx, row)?;
    let commitments = commitments(&before.bytes);
    chosen.retain(|(_, column)| commitments.iter().any(|(number, _)| *number == column.number));
    chosen.retain(|(_, column)| store::commitment(ledger.number, tx, row, column.number).is_none());
    if chosen.is_empty() {
        return Ok(0);
    }
    for (number, commitment) in &commitments {
        if chosen.iter().any(|(_, column)| column.number == *number) {
            // SAFETY: the values are of the table's columns, in order.
            unsafe {
                store::insert(Table::Redaction, |values| {
                    values.integer(ledger.number);
                    values.bigint(tx);
                    values.integer(row);
                    values.integer(i32::from(*number));
                    values.bytes(commitment);
                });
            }
        }
    }
    // SAFETY: makes the commitments visible to the reading below.
    unsafe { pg_sys::CommandCounterIncrement() };
    update(ledger, tx, row, &chosen);
    // A trigger of the owner's may have had a hand in it: in the row, or in whether anything was done at all.
    let after = read(ledger, tx, row)?;
    if after.leaf != before.leaf || chosen.iter().any(|(_, column)| !after.erased.contains(&column.number)) {
        return Err(Reason::LedgerErasureIncomplete { table: table() });
    }
    let columns = chosen.iter().map(|(_, column)| column.number).collect();
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    let detail = Detail::Redact { columns, reason, row: number(row.into()), tx: number(tx) };
    columns::note(ledger, Kind::Redact, &detail);
    Ok(i32::try_from(chosen.len()).unwrap_or(i32::MAX))
}

fn read(ledger: Ledger, tx: i64, row: i32) -> std::result::Result<rows::Stored, Reason> {
    let mut found = rows::of_transaction(ledger, tx, true);
    found.retain(|stored| stored.number == row);
    let unknown = || Reason::LedgerRowUnknown { table: fault::table_name(ledger.relation), tx, row };
    found.pop().ok_or_else(unknown)
}

fn commitments(bytes: &[u8]) -> Vec<(u16, [u8; 32])> {
    let Ok(fields) = RowReader::new(bytes) else { return Vec::new() };
    let commitment = |field: kakunin_core::ledger::row::Field| {
        (field.tag == tag::COMMITMENT).then(|| Some((field.number, field.bytes.try_into().ok()?))).flatten()
    };
    fields.flatten().filter_map(commitment).collect()
}

/// Sets the values to NULL and their salts to zeros: what is left can neither be read nor guessed.
fn update(ledger: Ledger, tx: i64, row: i32, chosen: &[(usize, &Column)]) {
    let mut salt = SALT.to_owned();
    for (place, _) in chosen {
        salt = format!("overlay({salt} placing '\\x00000000000000000000000000000000'::bytea from {})", place * 16 + 1);
    }
    let nulls: Vec<String> =
        chosen.iter().map(|(_, column)| format!("{} = null", spi::quote_identifier(&column.name))).collect();
    for (member, is_leaf) in members::of(ledger) {
        if is_leaf {
            let statement = format!(
                "update only {} set {}, {SALT} = {salt} where ledger_tx = {tx} and ledger_row = {row}",
                fault::table_name(member),
                nulls.join(", ")
            );
            let place = Place { tx, row };
            owner::act_as(ledger.relation, || refuse::allow_update(member, place, || super::run(&statement)));
        }
    }
}
