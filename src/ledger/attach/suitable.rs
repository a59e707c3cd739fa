//! Which tables can become ledgers.

use super::super::codec::Codec;
use super::super::plan::{ROW, SALT, TX};
use super::super::{fault, raw, store};
use kakunin_core::Reason;
use kakunin_core::ledger::entry::Column;
use pgrx::prelude::*;
use std::ffi::CStr;

/// A table that is locked, and suitable but for its columns.
pub struct Table {
    /// With its schema, quoted.
    pub name: String,
    /// Its partitions at every level.
    pub partitions: Vec<String>,
    /// Those of them that hold rows; the table itself, if it is not partitioned.
    pub leaves: Vec<pg_sys::Oid>,
}

/// Locks the table against everyone and looks at what it is.
pub fn lock(relation: pg_sys::Oid) -> Result<Table, Reason> {
    let name = fault::table_name(relation);
    // Before the lock: it can be taken only of a table or a view.
    refuse(&name, first(KIND, relation))?;
    let owns = Spi::get_one_with_args::<bool>(OWNS, &[relation.into()]);
    if !matches!(owns, Ok(Some(true))) {
        ereport!(
            ERROR,
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("must be owner of table {name}"),
            "ledger_not_owner: Only its owner makes a ledger of a table."
        );
    }
    // By number: until then it can be given another name, and its name to another table. Then its partitions.
    // SAFETY: the lock is kept until this transaction ends.
    unsafe { pg_sys::LockRelationOid(relation, pg_sys::AccessExclusiveLock as i32) };
    let name = fault::table_name(relation);
    super::super::run(&format!("lock table {name} in access exclusive mode"));
    if store::ledger_by_relation(relation).is_some() {
        return Err(Reason::LedgerAttached { table: name });
    }
    refuse(&name, first(TABLE, relation))?;
    let mut table = Table { name, partitions: Vec::new(), leaves: Vec::new() };
    let members = Spi::connect(|client| {
        let rows = client.select(MEMBERS, None, &[relation.into()])?;
        rows.map(|row| Ok((row.get::<pg_sys::Oid>(1)?, row.get::<bool>(2)?)))
            .collect::<Result<Vec<_>, pgrx::spi::Error>>()
    });
    for (member, is_leaf) in members.unwrap_or_else(|failure| fault::broken(&failure.to_string())) {
        let (Some(member), Some(is_leaf)) = (member, is_leaf) else { continue };
        if member != relation {
            table.partitions.push(fault::table_name(member));
        }
        if is_leaf {
            table.leaves.push(member);
        }
    }
    Ok(table)
}

/// The column map of the table as it is now.
pub fn columns(relation: pg_sys::Oid, table: &Table, redactable: &[String]) -> Result<Vec<Column>, Reason> {
    let refused = |column: &str, what: String| Reason::LedgerColumnUnsuitable {
        table: table.name.clone(),
        column: column.to_owned(),
        what,
    };
    let mut columns: Vec<Column> = Vec::new();
    // SAFETY: the relation is locked, so its description stays as it is until it is closed.
    unsafe {
        let heap = pg_sys::table_open(relation, pg_sys::AccessShareLock as i32);
        let description = (*heap).rd_att;
        let mut failure = None;
        for at in 0..usize::try_from((*description).natts).unwrap_or(0) {
            let attribute = raw::attribute(description, at);
            if (*attribute).attisdropped {
                continue;
            }
            let name = CStr::from_ptr((*attribute).attname.data.as_ptr()).to_string_lossy().into_owned();
            let redactable = redactable.contains(&name);
            let problem = if [TX, ROW, SALT].contains(&name.as_str()) {
                Some("has a name that the ledger needs for its own".to_owned())
            } else if redactable && (*attribute).attnotnull {
                Some("cannot be redactable: it is NOT NULL".to_owned())
            } else if redactable && (*attribute).attgenerated != 0 {
                Some("cannot be redactable: it is generated from others".to_owned())
            } else {
                Codec::of((*attribute).atttypid).err()
            };
            if let Some(problem) = problem {
                failure = Some(refused(&name, problem));
                break;
            }
            let r#type = type_text((*attribute).atttypid, (*attribute).atttypmod);
            let number = u16::try_from(columns.len() + 1).unwrap_or(u16::MAX);
            columns.push(Column { name, number, redactable, r#type });
        }
        pg_sys::table_close(heap, pg_sys::NoLock as i32);
        if let Some(failure) = failure {
            return Err(failure);
        }
    }
    match redactable.iter().find(|name| !columns.iter().any(|column| column.name == **name)) {
        Some(missing) => Err(refused(missing, "does not exist".to_owned())),
        None => Ok(columns),
    }
}

/// A type as a column map names it, whatever the search path: with its schema, but for the types of the standard.
pub fn type_text(type_oid: pg_sys::Oid, modifier: i32) -> String {
    let flags = (pg_sys::FORMAT_TYPE_TYPEMOD_GIVEN
        | pg_sys::FORMAT_TYPE_FORCE_QUALIFY
        | pg_sys::FORMAT_TYPE_ALLOW_INVALID) as u16;
    // SAFETY: a catalogue lookup; with the flag, an unknown type has a name as well. The text is copied.
    unsafe { CStr::from_ptr(pg_sys::format_type_extended(type_oid, modifier, flags)).to_string_lossy().into_owned() }
}

fn refuse(table: &str, number: Option<i32>) -> Result<(), Reason> {
    let what = number.and_then(|number| PROBLEMS.iter().find(|(problem, _)| *problem == number));
    match what {
        Some((_, what)) => Err(Reason::LedgerRelationUnsuitable { table: table.to_owned(), what }),
        None => Ok(()),
    }
}

fn first(query: &str, relation: pg_sys::Oid) -> Option<i32> {
    Spi::get_one_with_args(query, &[relation.into()]).unwrap_or_else(|failure| fault::broken(&failure.to_string()))
}

/// What the queries below find, by number.
const PROBLEMS: &[(i32, &str)] = &[
    (1, "is not an ordinary or partitioned table"),
    (2, "is a foreign table, whose rows are elsewhere"),
    (3, "is temporary or unlogged, so that a crash empties it"),
    (4, "belongs to PostgreSQL or to this extension"),
    (5, "is a partition: attach the ledger to the root of its partitioned table"),
    (6, "is a typed table, which takes no further columns"),
    (7, "has a parent or children by inheritance, and rows would show in more than one of them"),
    (8, "has no primary key"),
    (9, "has rules, which rewrite what is inserted"),
    (10, "is not stored as a heap"),
    (11, "has a foreign key whose action would change its rows"),
    (12, "has a partition that is foreign, temporary, unlogged or not a heap"),
    (13, "has a partition with rules or a statement trigger of the ledger's name"),
];
const OWNS: &str = "select pg_has_role(current_user, c.relowner, 'usage') from pg_class c where c.oid = $1";
// 0 if there is nothing against it; a number without a relation is none of a table.
const KIND: &str = "
    select coalesce((
        select case when c.relkind = 'f' then 2
                    when c.relkind not in ('r', 'p') then 1
                    when c.relpersistence <> 'p' then 3
                    when n.nspname in ('pg_catalog', 'information_schema', 'pg_toast') then 4
                    when n.nspname = 'kakunin' then 4
                    else 0
               end
          from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = $1), 1)";
const TABLE: &str = "
    with recursive member(oid) as (
        select $1::oid union all select i.inhrelid from member m join pg_inherits i on i.inhparent = m.oid
    )
    select case when c.relispartition then 5
                when c.reloftype <> 0 then 6
                when exists (select from pg_inherits i where i.inhrelid = c.oid) then 7
                when c.relkind = 'r' and exists (select from pg_inherits i where i.inhparent = c.oid) then 7
                when not exists (select from pg_index x where x.indrelid = c.oid and x.indisprimary) then 8
                when exists (select from pg_rewrite r where r.ev_class = c.oid) then 9
                when c.relkind = 'r' and c.relam <> (select a.oid from pg_am a where a.amname = 'heap') then 10
                when exists (select from pg_constraint k
                              where k.conrelid in (select oid from member) and k.contype = 'f'
                                and (k.confdeltype in ('c', 'n', 'd') or k.confupdtype in ('c', 'n', 'd'))) then 11
                when exists (select from member m join pg_class p on p.oid = m.oid
                              where p.relkind not in ('r', 'p') or p.relpersistence <> 'p'
                                 or p.relkind = 'r' and p.relam <> (select a.oid from pg_am a where a.amname = 'heap')) then 12
                when exists (select from member m join pg_rewrite r on r.ev_class = m.oid) then 13
           end
      from pg_class c where c.oid = $1";
const MEMBERS: &str = "
    with recursive member(oid) as (
        select $1::oid union all select i.inhrelid from member m join pg_inherits i on i.inhparent = m.oid
    )
    select m.oid, c.relkind = 'r' from member m join pg_class c on c.oid = m.oid order by m.oid";
