//! What kind of statement it is, as far as ledgers care. Decided by the statement alone; nothing is looked up.

use pg_sys::AlterTableType as part;
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
}

/// The kind of a statement.
pub unsafe fn of(statement: *mut pg_sys::Node) -> Kind {
    // SAFETY: the tag tells the type of the node.
    unsafe {
        match (*statement).type_ {
            pg_sys::NodeTag::T_AlterTableStmt => {
                let parts = parts(statement.cast());
                Kind::AlterTable(parts.into_iter().map(|command| reach(command)).max().unwrap_or(Reach::Storage))
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
pub unsafe fn reach(command: *mut pg_sys::AlterTableCmd) -> Reach {
    // SAFETY: a part of an ALTER TABLE; its name is NULL or NUL-terminated.
    unsafe {
        match (*command).subtype {
            part::AT_SetStatistics
            | part::AT_SetOptions
            | part::AT_ResetOptions
            | part::AT_SetStorage
            | part::AT_SetCompression
            | part::AT_ValidateConstraint
            | part::AT_ChangeOwner
            | part::AT_ClusterOn
            | part::AT_DropCluster
            | part::AT_SetLogged
            | part::AT_SetTableSpace
            | part::AT_SetRelOptions
            | part::AT_ResetRelOptions
            | part::AT_ReplaceRelOptions
            | part::AT_ReplicaIdentity => Reach::Storage,
            // Each of them is looked at again where the catalogue has it: columns, constraints, triggers, partitions.
            part::AT_AddColumn
            | part::AT_AddConstraint
            | part::AT_AddIndexConstraint
            | part::AT_AlterConstraint
            | part::AT_DropConstraint
            | part::AT_SetNotNull
            | part::AT_EnableTrig
            | part::AT_EnableAlwaysTrig
            | part::AT_EnableReplicaTrig
            | part::AT_DisableTrig
            | part::AT_EnableTrigAll
            | part::AT_DisableTrigAll
            | part::AT_EnableTrigUser
            | part::AT_DisableTrigUser
            | part::AT_AttachPartition => Reach::Later,
            // Row-level security hides rows from some, which is what it is for, and changes none.
            part::AT_EnableRowSecurity
            | part::AT_DisableRowSecurity
            | part::AT_ForceRowSecurity
            | part::AT_NoForceRowSecurity => Reach::Later,
            part::AT_ColumnDefault
            | part::AT_DropNotNull
            | part::AT_AddIdentity
            | part::AT_SetIdentity
            | part::AT_DropIdentity => {
                if !(*command).name.is_null() && is_column_of_ours(CStr::from_ptr((*command).name)) {
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
