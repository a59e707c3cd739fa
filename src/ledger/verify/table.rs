//! What keeps a ledger's table safe, and whether it is still there. Each query gives the faults of one kind.

use super::super::codec::Codec;
use super::super::store::{self, Ledger, Table};
use super::super::{fault, raw};
use kakunin_core::ledger::entry::Column;
use kakunin_core::ledger::{Fault, FaultKind, Faults};
use pgrx::prelude::*;
use std::ffi::CStr;

/// Is all there that keeps the table append-only, and nothing that hides or shows other rows?
pub fn check(ledger: Ledger, faults: &mut Faults) {
    let id = ledger.id.to_string();
    for (kind, query) in QUERIES {
        for detail in ask(query, &[ledger.relation.into(), id.as_str().into()]) {
            found(Some(ledger), *kind, detail, faults);
        }
    }
}

/// The same of the tables that ledgers are kept in.
pub fn check_own(faults: &mut Faults) {
    for (kind, query) in OWN_QUERIES {
        for detail in ask(query, &[]) {
            found(None, *kind, detail, faults);
        }
    }
}

/// The first column of each row.
fn ask(query: &str, arguments: &[pgrx::datum::DatumWithOid<'_>]) -> Vec<String> {
    let details = Spi::connect(|client| {
        let rows = client.select(query, None, arguments)?;
        rows.map(|row| row.get::<String>(1)).collect::<Result<Vec<_>, pgrx::spi::Error>>()
    });
    details.unwrap_or_else(|failure| fault::broken(&failure.to_string())).into_iter().flatten().collect()
}

/// Has every B-tree of a table all of its rows? Extension amcheck looks, and raises where it finds something.
pub fn check_indexes(ledger: Option<Ledger>, member: pg_sys::Oid, faults: &mut Faults) {
    let query = "
        select format('%s: %s', x.indexrelid::regclass, f.fault)
          from pg_index x join pg_class c on c.oid = x.indexrelid join pg_am a on a.oid = c.relam
         cross join lateral (select kakunin._index_fault(x.indexrelid)) f(fault)
         where x.indrelid = $1 and a.amname = 'btree' and x.indisvalid and f.fault is not null
         order by 1";
    for detail in ask(query, &[member.into()]) {
        found(ledger, FaultKind::IndexWrong, detail, faults);
    }
}

/// The same of the tables that ledgers are kept in: what an index there lacks is not found.
pub fn check_own_indexes(faults: &mut Faults) {
    for table in [
        Table::Ledger,
        Table::Column,
        Table::Entry,
        Table::Redaction,
        Table::LogRange,
        Table::LogTile,
        Table::Checkpoint,
    ] {
        check_indexes(None, table.oid(), faults);
    }
}

/// Are the columns those of the chain's newest map?
pub fn check_columns(ledger: Ledger, stated: &[Column], faults: &mut Faults) {
    if *stated != store::columns(ledger.number) {
        let detail = "kakunin.ledger_column is not the column map that the chain states";
        found(Some(ledger), FaultKind::ColumnsChanged, detail.into(), faults);
    }
    for detail in compare_columns(ledger, stated) {
        found(Some(ledger), FaultKind::ColumnsChanged, detail, faults);
    }
}

fn compare_columns(ledger: Ledger, stated: &[Column]) -> Vec<String> {
    let mut differences = Vec::new();
    // SAFETY: the relation is open while its description is read.
    unsafe {
        let heap = pg_sys::try_relation_open(ledger.relation, pg_sys::AccessShareLock as i32);
        if heap.is_null() {
            return vec!["the table is not there".into()];
        }
        let description = (*heap).rd_att;
        for column in stated {
            let Some(at) = store::attribute_named(description, &column.name) else {
                differences.push(format!("column {} is not there", column.name));
                continue;
            };
            let attribute = raw::attribute(description, at);
            let r#type = super::super::attach::type_text((*attribute).atttypid, (*attribute).atttypmod);
            if r#type != column.r#type {
                differences.push(format!("column {} is of type {type}, not {}", column.name, column.r#type));
            } else if let Err(what) = Codec::of((*attribute).atttypid) {
                differences.push(format!("column {} {what}", column.name));
            }
        }
        for at in 0..usize::try_from((*description).natts).unwrap_or(0) {
            let attribute = raw::attribute(description, at);
            let name = CStr::from_ptr((*attribute).attname.data.as_ptr()).to_string_lossy();
            let own = ["ledger_tx", "ledger_row", "ledger_salt"].contains(&&*name);
            if !(*attribute).attisdropped && !own && !stated.iter().any(|column| column.name == name) {
                differences.push(format!("column {name} is not in the map: its values are not chained"));
            }
        }
        pg_sys::relation_close(heap, pg_sys::AccessShareLock as i32);
    }
    differences
}

fn found(ledger: Option<Ledger>, fault: FaultKind, detail: String, faults: &mut Faults) {
    faults.push(Fault { ledger: ledger.map(|ledger| ledger.id), seq: None, row: None, fault, detail, line: 0 });
}

/// `$1` is the table, `$2` the ledger's id.
const QUERIES: &[(FaultKind, &str)] = &[
    (
        FaultKind::TriggerDisabled,
        "with recursive member(oid) as (
             select $1::oid union all
             select i.inhrelid from member m join pg_class p on p.oid = m.oid join pg_inherits i on i.inhparent = m.oid
              where p.relkind = 'p'
         ), wanted(name, function, kind) as (
             -- BEFORE is 2, ROW 1, INSERT 4, DELETE 8, UPDATE 16, TRUNCATE 32 (pg_trigger.h).
             values ('ledger_append', 'ledger_append', 1 | 4), ('ledger_refuse', 'ledger_refuse', 1 | 2 | 8 | 16),
                    ('ledger_refuse_statement', 'ledger_refuse', 2 | 8 | 16 | 32)
         )
         select case when t.oid is null then format('%s has no trigger %s', m.oid::regclass, w.name)
                     when t.tgenabled <> 'A' then format('trigger %s of %s is not enabled always', w.name, m.oid::regclass)
                     else format('trigger %s of %s is not the ledger''s own', w.name, m.oid::regclass) end
           from member m cross join wanted w
           left join pg_trigger t on t.tgrelid = m.oid and t.tgname = w.name
          where (t.oid is null or t.tgenabled <> 'A' or t.tgtype <> w.kind or t.tgqual is not null
                 or t.tgattr::text <> '' or t.tgconstraint <> 0
                 or t.tgfoid <> to_regproc('kakunin.' || w.function)
                 or w.name = 'ledger_append' and t.tgargs <> convert_to($2, 'UTF8') || '\\x00'::bytea
                    -- Of a table that comes with the extension it is empty.
                    and not (t.tgargs = '\\x00'::bytea
                             and (select c.relnamespace from pg_class c where c.oid = m.oid) = to_regnamespace('kakunin')))
            -- A partition that was added later has none for statements: its rows are guarded one by one.
            and not (t.oid is null and w.name = 'ledger_refuse_statement' and m.oid <> $1::oid)
          order by 1",
    ),
    (
        FaultKind::TriggerDisabled,
        "select format('function kakunin.%s() is not the extension''s own', w.name)
           from (values ('ledger_append', 'kakunin_ledger_append'), ('ledger_refuse', 'kakunin_ledger_refuse'),
                        ('ledger_tx', 'ledger_tx_wrapper'), ('ledger_row', 'ledger_row_wrapper')) w(name, symbol)
           left join pg_proc p on p.oid = to_regproc('kakunin.' || w.name)
           left join pg_language l on l.oid = p.prolang
          where (l.lanname = 'c' and p.prosrc = w.symbol and p.probin ~ '(^|/)kakunin$') is not true and $1::oid is not null
            and $2 is not null
          order by 1",
    ),
    (
        FaultKind::TriggerDisabled,
        "with recursive member(oid) as (
             select $1::oid union all
             select i.inhrelid from member m join pg_class p on p.oid = m.oid join pg_inherits i on i.inhparent = m.oid
              where p.relkind = 'p'
         )
         select format('%s is marked as a table without triggers', m.oid::regclass)
           from member m join pg_class c on c.oid = m.oid where not c.relhastriggers and $2 is not null order by 1",
    ),
    (
        FaultKind::ColumnsChanged,
        "with recursive member(oid) as (
             select $1::oid union all
             select i.inhrelid from member m join pg_class p on p.oid = m.oid join pg_inherits i on i.inhparent = m.oid
              where p.relkind = 'p'
         ), wanted(name, written) as (
             values ('ledger_tx', 'kakunin.ledger_tx()'), ('ledger_row', 'kakunin.ledger_row()'),
                    ('ledger_salt', 'kakunin.ledger_salts(%)')
         )
         select format('the default of %s in %s is not the ledger''s own', w.name, m.oid::regclass)
           from member m join pg_attribute a on a.attrelid = m.oid and a.attnum > 0 and not a.attisdropped
           join wanted w on w.name = a.attname
           left join pg_attrdef d on d.adrelid = m.oid and d.adnum = a.attnum
          where $2 is not null
            -- A partition that was a table before may have none: then it takes rows by way of the ledger's table only.
            and case when d.oid is null then m.oid = $1::oid
                     else pg_get_expr(d.adbin, d.adrelid) not like w.written end
          order by 1",
    ),
    (
        FaultKind::ChildTable,
        "with recursive member(oid) as (
             select $1::oid union all
             select i.inhrelid from member m join pg_class p on p.oid = m.oid join pg_inherits i on i.inhparent = m.oid
              where p.relkind = 'p'
         )
         select format('%s inherits from %s, and its rows show there', i.inhrelid::regclass, i.inhparent::regclass)
           from member m join pg_class p on p.oid = m.oid join pg_inherits i on i.inhparent = m.oid
           join pg_class c on c.oid = i.inhrelid
          where not (p.relkind = 'p' and c.relkind in ('r', 'p')) and $2 is not null order by 1",
    ),
    (
        FaultKind::RulePresent,
        "with recursive member(oid) as (
             select $1::oid union all
             select i.inhrelid from member m join pg_class p on p.oid = m.oid join pg_inherits i on i.inhparent = m.oid
              where p.relkind = 'p'
         )
         select format('rule %I of %s', r.rulename, m.oid::regclass)
           from member m join pg_rewrite r on r.ev_class = m.oid where $2 is not null order by 1",
    ),
    (
        FaultKind::IndexWrong,
        "with recursive member(oid) as (
             select $1::oid union all
             select i.inhrelid from member m join pg_class p on p.oid = m.oid join pg_inherits i on i.inhparent = m.oid
              where p.relkind = 'p'
         )
         select format('index %s is not in use: it may lack rows', x.indexrelid::regclass)
           from member m join pg_class c on c.oid = m.oid join pg_index x on x.indrelid = m.oid
          -- One of a partitioned table is valid once all partitions have theirs.
          where not (x.indisvalid and x.indisready and x.indislive) and (c.relkind = 'r' or m.oid = $1::oid)
            and $2 is not null order by 1",
    ),
];

const OWN_QUERIES: &[(FaultKind, &str)] = &[
    (
        FaultKind::TriggerDisabled,
        "with own(name) as (
             values ('ledger'), ('ledger_column'), ('ledger_entry'), ('ledger_redaction'), ('log'), ('log_range'),
                    ('log_tile'), ('checkpoint')
         ), wanted(name, kind) as (
             -- As below: BEFORE is 2, ROW 1, DELETE 8, UPDATE 16, TRUNCATE 32.
             values ('ledger_refuse', 1 | 2 | 8 | 16), ('ledger_refuse_statement', 2 | 8 | 16 | 32)
         )
         select format('trigger %s of kakunin.%s is not there, not the extension''s own, or not enabled always', w.name, o.name)
           from own o cross join wanted w join pg_class c on c.oid = to_regclass('kakunin.' || o.name)
           left join pg_trigger t on t.tgrelid = c.oid and t.tgname = w.name
          where (c.relhastriggers and t.tgenabled = 'A' and t.tgtype = w.kind and t.tgqual is null
                 and t.tgattr::text = '' and t.tgconstraint = 0
                 and t.tgfoid = to_regproc('kakunin.ledger_refuse')) is not true
          order by 1",
    ),
    (
        FaultKind::ChildTable,
        "select format('%s inherits from %s, and its rows show there', i.inhrelid::regclass, c.oid::regclass)
           from pg_inherits i join pg_class c on c.oid = i.inhparent
          where c.relnamespace = to_regnamespace('kakunin') and c.relkind = 'r' order by 1",
    ),
];
