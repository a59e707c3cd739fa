//! Statements that are looked at before they run, because PostgreSQL reports nothing from inside of them, or something
//! else first. Names mean what they mean at this moment; what is reported from inside is refused there whatever they meant.

use super::family::{self, Standing};
use super::kind::{self, Kind, Reach};
use super::{look, refusal};
use pg_sys::AlterTableType as part;
use pgrx::PgList;
use pgrx::prelude::*;
use std::ffi::CStr;

/// Refuses what a ledger does not allow.
pub unsafe fn check(statement: *mut pg_sys::Node, kind: Kind) {
    // SAFETY: the kind says what type of node it is.
    unsafe {
        match kind {
            Kind::AlterTable(_) => alter_table(statement.cast()),
            Kind::Drop => drop(statement.cast()),
            Kind::ExtensionDrop => {
                let name = (*statement.cast::<pg_sys::AlterExtensionContentsStmt>()).extname;
                if is_kakunin(name) {
                    refusal::extension("ALTER EXTENSION … DROP", "extension kakunin".to_owned());
                }
            }
            _ => {}
        }
    }
}

unsafe fn alter_table(statement: *mut pg_sys::AlterTableStmt) {
    // SAFETY: a parse tree as PostgreSQL built it.
    unsafe {
        let relation = relation((*statement).relation);
        if relation == pg_sys::InvalidOid {
            return;
        }
        let standing = family::standing(relation);
        let limit = match standing {
            Standing::Stranger => return detach_concurrently(statement),
            Standing::Ledger(_) => Reach::Later,
            Standing::Own | Standing::Catalogue => Reach::Storage,
        };
        for command in kind::parts(statement) {
            if kind::reach(command) > limit {
                refusal::definition(name_of((*command).subtype), relation, standing);
            }
        }
    }
}

/// DETACH PARTITION CONCURRENTLY commits half way, before anything is reported, and the name may come to mean a ledger while
/// the statement waits for a lock. A name without a schema is taken for whatever ledger has it; one with a schema cannot be
/// turned around, since ledgers and their schemas are not renamed.
unsafe fn detach_concurrently(statement: *mut pg_sys::AlterTableStmt) {
    // SAFETY: a parse tree as PostgreSQL built it.
    unsafe {
        let name = (*statement).relation;
        let concurrently = kind::parts(statement).into_iter().any(|command| {
            (*command).subtype == part::AT_DetachPartition
                && (*(*command).def.cast::<pg_sys::PartitionCmd>()).concurrent
        });
        if concurrently && (*name).schemaname.is_null() {
            let name = CStr::from_ptr((*name).relname);
            let mut members = family::roots().into_iter().flat_map(look::descendants);
            if let Some(member) = members.find(|member| look::relation(name, look::schema_of(*member)) == *member) {
                refusal::definition("DETACH PARTITION … CONCURRENTLY", member, Standing::Ledger(member));
            }
        }
    }
}

/// Before PostgreSQL complains about what depends on the object, which says less.
unsafe fn drop(statement: *mut pg_sys::DropStmt) {
    use pg_sys::ObjectType::*;
    // SAFETY: the kind of object says what the list holds.
    unsafe {
        for object in PgList::<pg_sys::Node>::from_pg((*statement).objects).iter_ptr() {
            match (*statement).removeType {
                OBJECT_EXTENSION if is_kakunin(text(object)) => {
                    refusal::extension("DROP EXTENSION", "extension kakunin".to_owned());
                }
                OBJECT_SCHEMA if is_kakunin(text(object)) => {
                    refusal::extension("DROP SCHEMA", "schema kakunin".to_owned());
                }
                OBJECT_TABLE | OBJECT_SEQUENCE => {
                    let relation = relation(pg_sys::makeRangeVarFromNameList(object.cast()));
                    match family::standing(relation) {
                        Standing::Stranger | Standing::Catalogue => {}
                        standing => refusal::definition("DROP", relation, standing),
                    }
                }
                OBJECT_FUNCTION | OBJECT_ROUTINE | OBJECT_PROCEDURE => {
                    let function = pg_sys::LookupFuncWithArgs((*statement).removeType, object.cast(), true);
                    if function != pg_sys::InvalidOid && look::is_function_of_ours(function) {
                        refusal::extension("DROP FUNCTION", look::function_name(function));
                    }
                }
                _ => {}
            }
        }
    }
}

/// The relation that a name means now; 0 if none.
unsafe fn relation(name: *mut pg_sys::RangeVar) -> pg_sys::Oid {
    // SAFETY: a name as the parser made it; no lock is taken.
    unsafe {
        pg_sys::RangeVarGetRelidExtended(
            name,
            pg_sys::NoLock as i32,
            pg_sys::RVROption::RVR_MISSING_OK,
            None,
            std::ptr::null_mut(),
        )
    }
}

unsafe fn text(node: *mut pg_sys::Node) -> *const std::ffi::c_char {
    // SAFETY: the caller knows that it is a name.
    unsafe { (*node.cast::<pg_sys::String>()).sval }
}

unsafe fn is_kakunin(name: *const std::ffi::c_char) -> bool {
    // SAFETY: NULL or NUL-terminated.
    unsafe { !name.is_null() && CStr::from_ptr(name) == c"kakunin" }
}

/// What the part of an ALTER TABLE is called.
fn name_of(command: part::Type) -> &'static str {
    match command {
        part::AT_ColumnDefault => "ALTER COLUMN … DEFAULT",
        part::AT_DropNotNull => "DROP NOT NULL",
        part::AT_SetNotNull => "SET NOT NULL",
        part::AT_DropExpression => "DROP EXPRESSION",
        part::AT_DropColumn => "DROP COLUMN",
        part::AT_AddColumn => "ADD COLUMN",
        part::AT_AlterColumnType => "ALTER COLUMN … TYPE",
        part::AT_AddConstraint => "ADD CONSTRAINT",
        part::AT_DropConstraint => "DROP CONSTRAINT",
        part::AT_SetUnLogged => "SET UNLOGGED",
        part::AT_SetAccessMethod => "SET ACCESS METHOD",
        part::AT_AddInherit => "INHERIT",
        part::AT_DropInherit => "NO INHERIT",
        part::AT_AttachPartition => "ATTACH PARTITION",
        part::AT_DetachPartition | part::AT_DetachPartitionFinalize => "DETACH PARTITION",
        part::AT_EnableRule | part::AT_EnableAlwaysRule | part::AT_EnableReplicaRule | part::AT_DisableRule => {
            "ENABLE or DISABLE RULE"
        }
        part::AT_AddOf | part::AT_DropOf => "OF",
        part::AT_EnableTrig
        | part::AT_EnableAlwaysTrig
        | part::AT_EnableReplicaTrig
        | part::AT_EnableTrigAll
        | part::AT_EnableTrigUser => "ENABLE TRIGGER",
        part::AT_DisableTrig | part::AT_DisableTrigAll | part::AT_DisableTrigUser => "DISABLE TRIGGER",
        part::AT_AddIdentity | part::AT_SetIdentity | part::AT_DropIdentity => "ALTER COLUMN … IDENTITY",
        _ => "ALTER TABLE",
    }
}
