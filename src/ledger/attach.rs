//! `kakunin.attach_ledger`: makes a ledger of a table, with the rows that it has.

mod existing;
mod suitable;

pub use suitable::type_text;

use super::plan::{ROW, SALT, TX};
use super::store::{self, Ledger, Table};
use super::{columns, fault, owner, pending, plan, run};
use crate::error::{self, Result};
use crate::hooks::guard;
use crate::{backend, shmem};
use kakunin_core::Reason;
use kakunin_core::ledger::{Detail, Kind, LedgerId, entry::Column};
use pgrx::prelude::*;

/// Makes a table append-only and chains its rows from now on; `redactable` names columns whose values can be erased later
/// by kakunin.redact(). Says what was done, a row for each step. Takes an exclusive lock, and rewrites a table that has rows.
// Invoker: what it does to the table, its caller could do; what it writes of its own goes past SQL. It acts as the table's
// owner, after it was made sure that its caller may.
#[pg_extern(sql = r#"
create function kakunin.attach_ledger(relation regclass, redactable text[] default '{}')
    returns table (step text, detail text)
    language c volatile parallel unsafe set search_path = pg_catalog, pg_temp
    as 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
fn attach_ledger(
    relation: Option<pg_sys::Oid>,
    redactable: Option<Vec<Option<String>>>,
) -> Result<TableIterator<'static, (name!(step, String), name!(detail, String))>> {
    let relation = relation.ok_or_else(|| error::report(Reason::ArgumentNull { what: "relation".into() }))?;
    let redactable: Vec<String> = redactable.unwrap_or_default().into_iter().flatten().collect();
    let steps = attach(relation, &redactable).map_err(error::report)?;
    Ok(TableIterator::new(steps))
}

type Steps = Vec<(String, String)>;

fn attach(relation: pg_sys::Oid, redactable: &[String]) -> std::result::Result<Steps, Reason> {
    shmem::area()?;
    backend::refuse_read_only(c"kakunin.attach_ledger()");
    let table = suitable::lock(relation)?;
    // Writing the table anew runs functions of its owner's, in constraints and indexes: never as a superuser who attaches.
    owner::act_as(relation, || attach_locked(relation, &table, redactable))
}

fn attach_locked(
    relation: pg_sys::Oid,
    table: &suitable::Table,
    redactable: &[String],
) -> std::result::Result<Steps, Reason> {
    let columns = suitable::columns(relation, table, redactable)?;
    let mut steps = Steps::new();

    let ledger = Ledger { number: next_ledger_number(), id: new_id(), relation };
    add_columns(table, redactable, &mut steps);
    register(ledger, &columns);
    steps.push(("ledger".into(), format!("{} is ledger {}", table.name, ledger.id)));
    steps.push(("columns".into(), describe(&columns)));

    let detail = Detail::Open { columns: columns.clone(), name: table.name.clone() };
    pending::with(pending::Pending::tx);
    columns::note(ledger, Kind::Open, &detail);
    let rows = existing::take(ledger, &columns, table)?;
    steps.push(("rows".into(), format!("{rows} rows are in the first entry")));

    guard::allowed(|| add_triggers(table, &ledger.id, &mut steps));
    plan::forget_all();
    Ok(steps)
}

fn describe(columns: &[Column]) -> String {
    let shown = |column: &Column| {
        let redactable = if column.redactable { ", redactable" } else { "" };
        format!("{} {} {}{redactable}", column.number, column.name, column.r#type)
    };
    columns.iter().map(shown).collect::<Vec<_>>().join("; ")
}

fn add_columns(table: &suitable::Table, redactable: &[String], steps: &mut Steps) {
    let name = &table.name;
    let secrets = redactable.len();
    let salt = |function: &str| match secrets {
        0 => String::new(),
        _ => format!(", add column {SALT} bytea not null default kakunin.{function}({secrets})"),
    };
    // A default that is volatile makes PostgreSQL compute it for each row that there is; the one that stays does not
    // look so, because COPY inserts in batches only then.
    run(&format!(
        "alter table {name} add column {TX} bigint not null default kakunin.ledger_tx(),
             add column {ROW} integer not null default kakunin._number_row(){}",
        salt("_new_salts")
    ));
    run(&format!("alter table {name} alter column {ROW} set default kakunin.ledger_row()"));
    steps.push(("column".into(), format!("{TX} bigint: the transaction that added the row")));
    steps.push(("column".into(), format!("{ROW} integer: the row's number within it")));
    if secrets > 0 {
        run(&format!("alter table {name} alter column {SALT} set default kakunin.ledger_salts({secrets})"));
        steps.push(("column".into(), format!("{SALT} bytea: salts of the commitments to {}", redactable.join(", "))));
    }
    let brin = "using brin (ledger_tx) with (pages_per_range = 32)";
    run(&format!("create index on {name} {brin}"));
    steps.push(("index".into(), format!("{brin}: finds the rows of an entry")));
}

/// A table has become a partition of a ledger. PostgreSQL has given it triggers for rows; those for statements it leaves
/// to us.
pub fn partition_joined(partition: pg_sys::Oid) {
    // SAFETY: with missing_ok set, an unknown name gives 0.
    let there = unsafe { pg_sys::get_trigger_oid(partition, c"ledger_refuse_statement".as_ptr(), true) };
    if there == pg_sys::InvalidOid {
        let name = fault::table_name(partition);
        guard::allowed(|| {
            refuse_statements(&name);
            run(&format!("alter table {name} enable always trigger ledger_refuse_statement"));
        });
    }
}

fn refuse_statements(table: &str) {
    run(&format!(
        "create trigger ledger_refuse_statement before update or delete or truncate on {table}
         for each statement execute function kakunin.ledger_refuse()"
    ));
}

fn add_triggers(table: &suitable::Table, id: &LedgerId, steps: &mut Steps) {
    let name = &table.name;
    run(&format!(
        "create trigger ledger_append after insert on {name} for each row execute function kakunin.ledger_append('{id}')"
    ));
    run(&format!(
        "create trigger ledger_refuse before update or delete on {name} for each row
         execute function kakunin.ledger_refuse()"
    ));
    for relation in std::iter::once(name).chain(&table.partitions) {
        refuse_statements(relation);
        for trigger in ["ledger_append", "ledger_refuse", "ledger_refuse_statement"] {
            run(&format!("alter table {relation} enable always trigger {trigger}"));
        }
    }
    for (trigger, what) in [
        ("ledger_append", "takes the leaf of each row"),
        ("ledger_refuse", "refuses UPDATE and DELETE of a row"),
        ("ledger_refuse_statement", "refuses UPDATE, DELETE and TRUNCATE"),
    ] {
        steps.push(("trigger".into(), format!("{trigger}: {what}")));
    }
}

/// Writes kakunin.ledger and kakunin.ledger_column.
pub fn register(ledger: Ledger, columns: &[Column]) {
    // SAFETY: the values are of the table's columns, in order.
    unsafe {
        store::insert(Table::Ledger, |values| {
            values.integer(ledger.number);
            values.uuid(&ledger.id.0);
            values.oid(ledger.relation);
            values.bigint(pg_sys::GetCurrentStatementStartTimestamp());
            values.bytes(backend::session_user().as_bytes());
        });
    }
    register_columns(ledger, columns);
}

/// Writes kakunin.ledger_column.
pub fn register_columns(ledger: Ledger, columns: &[Column]) {
    for column in columns {
        // SAFETY: as above.
        unsafe {
            store::insert(Table::Column, |values| {
                values.integer(ledger.number);
                values.integer(i32::from(column.number));
                values.name(&column.name);
                values.bytes(column.r#type.as_bytes());
                values.boolean(column.redactable);
            });
        }
    }
    // SAFETY: makes what was written visible to what follows.
    unsafe { pg_sys::CommandCounterIncrement() };
    guard::announce();
}

/// The number of a new ledger.
pub fn next_ledger_number() -> i32 {
    i32::try_from(store::next_value(Table::LedgerNumber))
        .unwrap_or_else(|_| fault::broken("there are too many ledgers"))
}

/// A random UUID (RFC 9562 section 5.4).
pub fn new_id() -> LedgerId {
    let mut bytes = [0_u8; 16];
    backend::fill_random(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    LedgerId(bytes)
}
