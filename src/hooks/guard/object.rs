//! Objects that are made, altered or dropped, by oid, as PostgreSQL reports them from inside of statements.

use super::family::{self, Standing};
use super::kind::{Kind, Reach, is_column_of_ours};
use super::{column, frame, look, refusal, trigger, types};
use crate::error;
use crate::ledger::table_name;
use kakunin_core::Reason;
use pgrx::prelude::*;
use std::ffi::{CStr, c_int, c_void};

use pg_sys::ObjectAccessType::{OAT_DROP, OAT_POST_ALTER, OAT_POST_CREATE, OAT_TRUNCATE, Type as Access};

/// Refuses what a ledger does not allow. `argument` is PostgreSQL's, by kind of access.
pub unsafe fn check(access: Access, class: pg_sys::Oid, object: pg_sys::Oid, sub: c_int, argument: *mut c_void) {
    match class {
        pg_sys::RelationRelationId if access == OAT_TRUNCATE => match family::standing(object) {
            Standing::Stranger => {}
            // A parallel restore empties each table before it fills it.
            Standing::Ledger(_) if is_empty(object) => {}
            standing => refusal::rows("TRUNCATE", object, standing),
        },
        pg_sys::RelationRelationId if sub == 0 => relation(access, object),
        pg_sys::RelationRelationId => attribute(access, object, sub),
        pg_sys::TriggerRelationId => trigger::check(access, object),
        _ if class == look::CONSTRAINTS.table => constraint(access, object),
        _ if class == look::DEFAULTS.table => default(object),
        _ if class == look::RULES.table && access == OAT_POST_CREATE => rule(object),
        _ if class == look::INHERITANCE.table && access == OAT_POST_ALTER && !argument.is_null() => {
            // SAFETY: this is what the argument is at this access.
            let parent = unsafe { (*argument.cast::<pg_sys::ObjectAccessPostAlter>()).auxiliary_id };
            inheritance(object, parent);
        }
        pg_sys::ProcedureRelationId => function(access, object),
        pg_sys::NamespaceRelationId => schema(access, object),
        pg_sys::ExtensionRelationId => extension(access, object),
        pg_sys::TypeRelationId if access == OAT_POST_ALTER => altered_type(object),
        _ => {}
    }
}

/// A table, sequence or index as a whole.
fn relation(access: Access, object: pg_sys::Oid) {
    match (access, family::standing(object)) {
        (OAT_DROP, Standing::Stranger) => index(object),
        (OAT_DROP, standing) => refusal::definition("DROP", object, standing),
        (OAT_POST_ALTER, standing) => {
            let allowed = match frame::innermost() {
                Kind::AlterTable(reach) => reach <= reach_allowed(standing),
                Kind::Owner | Kind::Move | Kind::Rewrite => true,
                _ => standing == Standing::Stranger,
            };
            if !allowed {
                refusal::definition(act("ALTER"), object, standing);
            }
        }
        _ => {}
    }
}

/// An index that is about to be dropped: the primary key and the index that entries find their rows by stay.
fn index(object: pg_sys::Oid) {
    let table = look::table_of_index(object);
    if table == pg_sys::InvalidOid || frame::innermost() == Kind::Reindex {
        return;
    }
    let needed = match family::standing(table) {
        Standing::Stranger => false,
        Standing::Ledger(_) => {
            let finds_rows = look::width(object) == 1 && look::column_name(object, 1).as_c_str() == c"ledger_tx";
            finds_rows || look::is_primary(object)
        }
        _ => true,
    };
    if needed {
        refusal::definition("DROP INDEX", object, family::standing(table));
    }
}

/// A column.
fn attribute(access: Access, object: pg_sys::Oid, column: c_int) {
    let standing = family::standing(object);
    let reach = match frame::innermost() {
        Kind::AlterTable(reach) => reach,
        _ => Reach::Past,
    };
    match (access, standing) {
        (OAT_POST_CREATE, Standing::Ledger(_)) if reach == Reach::Later => {
            column::added(object, i16::try_from(column).unwrap_or(0));
        }
        (OAT_POST_ALTER, Standing::Ledger(_)) if reach <= Reach::Later => {}
        (OAT_POST_ALTER, Standing::Own | Standing::Catalogue) if reach == Reach::Storage => {}
        (OAT_POST_ALTER, Standing::Stranger) if reach == Reach::Storage => {}
        (_, Standing::Stranger) => {
            if types::is_row_type_used(object) {
                let act = "ADD, ALTER, RENAME or DROP ATTRIBUTE";
                error::raise(Reason::LedgerType { act, name: table_name(object) });
            }
        }
        (OAT_DROP, standing) => refusal::definition("DROP COLUMN", object, standing),
        (_, standing) => refusal::definition(act("ALTER COLUMN"), object, standing),
    }
}

fn constraint(access: Access, object: pg_sys::Oid) {
    let Some(row) = look::row(look::CONSTRAINTS, object) else { return };
    let Some(relation) = row.oid(c"conrelid").filter(|relation| *relation != pg_sys::InvalidOid) else { return };
    match (access, family::standing(relation), row.char(c"contype")) {
        (_, Standing::Stranger, _) => {}
        (OAT_DROP, standing @ Standing::Ledger(_), Some(b'p')) => {
            refusal::definition("DROP CONSTRAINT of the primary key", relation, standing);
        }
        (OAT_POST_CREATE, Standing::Ledger(_), Some(b'f')) => {
            let writes = |column: &CStr| matches!(row.char(column), Some(b'c' | b'n' | b'd'));
            if writes(c"confdeltype") || writes(c"confupdtype") {
                error::raise(Reason::LedgerCascade { table: table_name(relation) });
            }
        }
        (_, Standing::Ledger(_), _) => {}
        (_, standing, _) => refusal::definition("CREATE, ALTER or DROP of a constraint", relation, standing),
    }
}

/// A default was set, or is about to go.
fn default(object: pg_sys::Oid) {
    let Some(row) = look::row(look::DEFAULTS, object) else { return };
    let (Some(relation), Some(column)) = (row.oid(c"adrelid"), row.int2(c"adnum")) else { return };
    match family::standing(relation) {
        Standing::Stranger => {}
        Standing::Ledger(_) if !is_column_of_ours(&look::column_name(relation, column)) => {}
        standing => refusal::definition("SET or DROP DEFAULT", relation, standing),
    }
}

/// A rule could swallow every INSERT, and say that it succeeded.
fn rule(object: pg_sys::Oid) {
    let Some(row) = look::row(look::RULES, object) else { return };
    let Some(relation) = row.oid(c"ev_class") else { return };
    match family::standing(relation) {
        Standing::Stranger => {}
        standing => refusal::definition("CREATE RULE", relation, standing),
    }
}

/// A table begins or ceases to be a partition or child of another.
fn inheritance(child: pg_sys::Oid, parent: pg_sys::Oid) {
    let standing = family::standing(parent);
    match family::standing(child) {
        Standing::Ledger(root) if root == child => refusal::definition("INHERIT", child, Standing::Ledger(root)),
        own @ (Standing::Own | Standing::Catalogue) => refusal::definition("INHERIT", child, own),
        _ => {}
    }
    match standing {
        Standing::Stranger => {}
        Standing::Ledger(_) if !look::inherits(child, parent) => {
            refusal::definition("DETACH PARTITION", parent, standing);
        }
        Standing::Ledger(_) if look::class(parent, |class| class.relkind as u8) == Some(b'p') => partition(child),
        _ => refusal::definition("INHERIT", parent, standing),
    }
}

/// What becomes a partition of a ledger brings no rows, and keeps those that come.
fn partition(child: pg_sys::Oid) {
    for member in look::descendants(child) {
        let found = look::class(member, |class| (class.relkind as u8, class.relpersistence as u8, class.relhasrules));
        let what = match found {
            Some((b'p', ..)) => continue,
            Some((b'r', b'p', false)) if look::has_rows(member) => "has rows already, which no entry names",
            Some((b'r', b'p', false)) => continue,
            Some((b'r', b'p', true)) => "has a rule",
            Some((b'r', ..)) => "is not a permanent table",
            _ => "is not a table of this database",
        };
        error::raise(Reason::LedgerPartition { partition: table_name(member), what });
    }
}

/// Is there no row to lose? The lock, which TRUNCATE takes anyway, keeps it so. It is not taken of a table with rows:
/// PostgreSQL has not looked yet whether the role may truncate it.
fn is_empty(table: pg_sys::Oid) -> bool {
    if look::class(table, |class| class.relkind as u8) != Some(b'r') || look::has_rows(table) {
        return false;
    }
    // SAFETY: locks by oid until the transaction ends.
    unsafe { pg_sys::LockRelationOid(table, pg_sys::AccessExclusiveLock as i32) };
    !look::has_rows(table)
}

fn function(access: Access, object: pg_sys::Oid) {
    if (access == OAT_POST_ALTER && frame::innermost() == Kind::Owner) || !look::is_function_of_ours(object) {
        return;
    }
    let act = match access {
        OAT_DROP => "DROP FUNCTION",
        OAT_POST_CREATE => "CREATE OR REPLACE FUNCTION",
        _ => "ALTER FUNCTION",
    };
    refusal::extension(act, look::function_name(object));
}

fn schema(access: Access, object: pg_sys::Oid) {
    if access == OAT_POST_CREATE || (access == OAT_POST_ALTER && frame::innermost() == Kind::Owner) {
        return;
    }
    let act = if access == OAT_DROP { "DROP SCHEMA" } else { "ALTER SCHEMA" };
    if Some(object) == look::schema() {
        refusal::extension(act, "schema kakunin".to_owned());
    }
    // Another table could take the name that the ledger had.
    let ledger = family::roots().into_iter().find(|root| look::schema_of(*root) == object);
    if let Some(root) = ledger
        && access == OAT_POST_ALTER
    {
        refusal::definition("ALTER SCHEMA … RENAME", root, Standing::Ledger(root));
    }
}

fn extension(access: Access, object: pg_sys::Oid) {
    if object != look::extension() {
        return;
    }
    if access == OAT_DROP {
        refusal::extension("DROP", "extension kakunin".to_owned());
    }
    if frame::innermost() == Kind::ExtensionDrop {
        refusal::extension("ALTER EXTENSION … DROP", "extension kakunin".to_owned());
    }
}

fn altered_type(object: pg_sys::Oid) {
    let harmless = match frame::innermost() {
        Kind::Owner | Kind::AddValue | Kind::Domain => true,
        Kind::AlterTable(reach) => reach == Reach::Storage,
        _ => false,
    };
    if !harmless && types::is_used(object) {
        error::raise(Reason::LedgerType { act: "ALTER TYPE", name: look::type_name(object) });
    }
}

fn reach_allowed(standing: Standing) -> Reach {
    match standing {
        Standing::Stranger => Reach::Past,
        Standing::Ledger(_) => Reach::Later,
        Standing::Own | Standing::Catalogue => Reach::Storage,
    }
}

/// What to call it: the statement is known better than the object.
fn act(otherwise: &'static str) -> &'static str {
    match frame::innermost() {
        Kind::Rename => "RENAME",
        Kind::AlterTable(_) => "ALTER TABLE",
        _ => otherwise,
    }
}
