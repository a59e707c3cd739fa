//! What kind of statement it is, as far as ledgers care. Decided by the statement alone; nothing is looked up.

use pgrx::PgList;
use pgrx::prelude::*;
use std::ffi::CStr;

/// A statement, in plain values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ALTER TABLE and its like.
    AlterTable(Reach),
    /// ALTER … OWNER TO, REASSIGN OWNED.
    Owner,
    /// ALTER TABLE ALL IN TABLESPACE.
    Move,
    /// VACUUM, CLUSTER.
    Rewrite,
    /// REINDEX.
    Reindex,
    /// ALTER TYPE … ADD VALUE.
    AddValue,
    /// ALTER DOMAIN.
    Domain,
    /// CREATE TRIGGER.
    CreateTrigger { replaces: bool },
    /// CREATE EXTENSION, ALTER EXTENSION UPDATE.
    Extension,
    /// ALTER EXTENSION DROP.
    ExtensionDrop,
    /// DROP.
    Drop,
    /// ALTER … RENAME.
    Rename,
    /// Anything else.
    Other,
}

/// How far an ALTER TABLE goes, by the part of it that goes farthest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// How rows are stored and by whom they are owned.
    Storage,
    /// What later rows may be; rows that there are stay as they are.
    Later,
    /// Rows that there are, or whether they count.
    Past,
}

impl Kind {
    /// Must the statement be looked at before it runs?
    pub fn concerns_us(self) -> bool {
        match self {
            Self::AlterTable(reach) => reach > Reach::Storage,
            Self::Drop | Self::ExtensionDrop => true,
            _ => false,
        }
    }

    /// May it have added columns?
    pub fn adds_columns(self) -> bool {
        matches!(self, Self::AlterTable(_))
    }
}

/// The kind of a statement.
pub unsafe fn of(statement: *mut pg_sys::Node) -> Kind {
    // SAFETY: the tag tells the type of the node.
    unsafe {
        match (*statement).type_ {
            pg_sys::NodeTag::T_AlterTableStmt => {
                let parts = parts(statement.cast());
                Kind::AlterTable(parts.into_iter().map(|part| reach(part)).max().unwrap_or(Reach::Storage))
            }
            pg_sys::NodeTag::T_AlterOwnerStmt | pg_sys::NodeTag::T_ReassignOwnedStmt => Kind::Owner,
            pg_sys::NodeTag::T_AlterTableMoveAllStmt => Kind::Move,
            pg_sys::NodeTag::T_VacuumStmt | pg_sys::NodeTag::T_ClusterStmt => Kind::Rewrite,
            pg_sys::NodeTag::T_ReindexStmt => Kind::Reindex,
            pg_sys::NodeTag::T_AlterDomainStmt => Kind::Domain,
            pg_sys::NodeTag::T_RenameStmt => Kind::Rename,
            pg_sys::NodeTag::T_DropStmt => Kind::Drop,
            pg_sys::NodeTag::T_AlterEnumStmt => {
                let renames = !(*statement.cast::<pg_sys::AlterEnumStmt>()).oldVal.is_null();
                if renames { Kind::Rename } else { Kind::AddValue }
            }
            pg_sys::NodeTag::T_CreateTrigStmt => {
                Kind::CreateTrigger { replaces: (*statement.cast::<pg_sys::CreateTrigStmt>()).replace }
            }
            pg_sys::NodeTag::T_CreateExtensionStmt | pg_sys::NodeTag::T_AlterExtensionStmt => Kind::Extension,
            pg_sys::NodeTag::T_AlterExtensionContentsStmt => {
                let drops = (*statement.cast::<pg_sys::AlterExtensionContentsStmt>()).action < 0;
                if drops { Kind::ExtensionDrop } else { Kind::Other }
            }
            _ => Kind::Other,
        }
    }
}

/// The parts of an ALTER TABLE.
pub unsafe fn parts(statement: *mut pg_sys::AlterTableStmt) -> Vec<*mut pg_sys::AlterTableCmd> {
    // SAFETY: the list holds nodes of this type.
    unsafe { PgList::<pg_sys::AlterTableCmd>::from_pg((*statement).cmds).iter_ptr().collect() }
}

/// How far one part of an ALTER TABLE goes. What is not named here goes farthest.
pub unsafe fn reach(part: *mut pg_sys::AlterTableCmd) -> Reach {
    use pg_sys::AlterTableType::*;
    // SAFETY: a part of an ALTER TABLE; its name is NULL or NUL-terminated.
    unsafe {
        match (*part).subtype {
            AT_SetStatistics | AT_SetOptions | AT_ResetOptions | AT_SetStorage | AT_SetCompression
            | AT_ValidateConstraint | AT_ChangeOwner | AT_ClusterOn | AT_DropCluster | AT_SetLogged
            | AT_SetTableSpace | AT_SetRelOptions | AT_ResetRelOptions | AT_ReplaceRelOptions | AT_ReplicaIdentity => {
                Reach::Storage
            }
            // Each of them is looked at again where the catalogue has it: columns, constraints, triggers, partitions.
            AT_AddColumn | AT_AddConstraint | AT_AddIndexConstraint | AT_AlterConstraint | AT_DropConstraint
            | AT_SetNotNull | AT_EnableTrig | AT_EnableAlwaysTrig | AT_EnableReplicaTrig | AT_DisableTrig
            | AT_EnableTrigAll | AT_DisableTrigAll | AT_EnableTrigUser | AT_DisableTrigUser | AT_AttachPartition => {
                Reach::Later
            }
            // Row-level security hides rows from some, which is what it is for, and changes none.
            AT_EnableRowSecurity | AT_DisableRowSecurity | AT_ForceRowSecurity | AT_NoForceRowSecurity => Reach::Later,
            AT_ColumnDefault | AT_DropNotNull | AT_AddIdentity | AT_SetIdentity | AT_DropIdentity => {
                if !(*part).name.is_null() && is_column_of_ours(CStr::from_ptr((*part).name)) {
                    Reach::Past
                } else {
                    Reach::Later
                }
            }
            _ => Reach::Past,
        }
    }
}

/// Is this the name of a column that attach_ledger() adds?
pub fn is_column_of_ours(name: &CStr) -> bool {
    [c"ledger_tx", c"ledger_row", c"ledger_salt"].contains(&name)
}
