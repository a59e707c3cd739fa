//! What can be wrong with a ledger: one word per kind, the same in SQL and in the offline program.

use std::fmt;

use super::LedgerId;
use crate::limits::LEDGER_FAULTS_MAX;

macro_rules! kinds {
    ($( $(#[$doc:meta])* $variant:ident => $slug:literal; )*) => {
        /// The kind of a fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FaultKind {
            $( $(#[$doc])* $variant, )*
        }

        impl FaultKind {
            /// Its stable word.
            pub fn slug(self) -> &'static str {
                match self { $( Self::$variant => $slug, )* }
            }
            /// All kinds, for pages and tests that must name each.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )* ];
        }
    };
}

kinds! {
    /// Bytes are not those that were hashed: an entry, or the rows of one.
    Altered => "altered";
    /// An entry or a row that must be there is not.
    Missing => "missing";
    /// A row or an entry is there that nothing accounts for.
    Extra => "extra";
    /// An entry or a row is there twice.
    Duplicated => "duplicated";
    /// An entry stands behind one that came after it.
    Reordered => "reordered";
    /// Two histories: another entry of the same number, or one that continues another past.
    Forked => "forked";
    /// The log is shorter than a checkpoint says.
    Truncated => "truncated";
    /// Bytes are not what the format says.
    Malformed => "malformed";
    /// An entry counts the rows before it wrongly.
    Miscounted => "miscounted";
    /// An entry is earlier than the one before it.
    TimeReversed => "time_reversed";
    /// Two entries of a ledger name the same transaction.
    TransactionReused => "transaction_reused";
    /// An entry follows the one that closed the ledger.
    AfterClose => "after_close";
    /// Rows are gone, and no prune entry says so.
    PrunedWithoutEntry => "pruned_without_entry";
    /// A prune entry names entries that its checkpoint does not cover, or that come after it.
    PruneNotCovered => "prune_not_covered";
    /// A checkpoint is not signed by a key that counts.
    Unsigned => "unsigned";
    /// A signature by a known key does not verify.
    BadSignature => "bad_signature";
    /// The entries do not have the root that a checkpoint states.
    CheckpointMismatch => "checkpoint_mismatch";
    /// Two signed checkpoints cannot both be of one log that only grew.
    InconsistentCheckpoints => "inconsistent_checkpoints";
    /// A proof does not show that its entry is in the log.
    BadProof => "bad_proof";
    /// The export belongs to another log, or holds a ledger that it does not name.
    ForeignLedger => "foreign_ledger";
    /// A line of an export stands where it must not, or follows the last.
    Misplaced => "misplaced";
    /// The export ends early, or its last line counts something else.
    Incomplete => "incomplete";
    /// The stored hash, root or other copy of an entry is not that of the entry.
    StoredHashWrong => "stored_hash_wrong";
    /// A trigger that keeps the table append-only, or that hashes its rows, is off or gone.
    TriggerDisabled => "trigger_disabled";
    /// A table inherits from the ledger's table, and its rows show there.
    ChildTable => "child_table";
    /// A rule rewrites what is done with the table.
    RulePresent => "rule_present";
    /// An index does not show the rows that the table has.
    IndexWrong => "index_wrong";
    /// The table's columns are not those of the column map in the chain.
    ColumnsChanged => "columns_changed";
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The ledger; None if the log as a whole is concerned.
    pub ledger: Option<LedgerId>,
    /// The entry's `seq`; the size of the log where there is no ledger; None where neither is known.
    pub seq: Option<u64>,
    /// Number of the row within its entry, from 0.
    pub row: Option<u64>,
    /// What is wrong.
    pub fault: FaultKind,
    /// The facts: a sentence without a full stop, and without values of rows.
    pub detail: String,
    /// The line of the export, from 1, at which it shows; elsewhere whatever the caller counts, or 0.
    pub line: u64,
}

/// Collects faults: the first [`LEDGER_FAULTS_MAX`], and how many there were.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    list: Vec<Fault>,
    count: u64,
}

impl Faults {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, fault: Fault) {
        self.count = self.count.saturating_add(1);
        if self.list.len() < LEDGER_FAULTS_MAX {
            self.list.push(fault);
        }
    }

    /// How many there were, also those that were not kept.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Those that were kept, in the order in which they were found.
    pub fn list(&self) -> &[Fault] {
        &self.list
    }

    /// Takes out those that were kept, as a face does that returns them row by row.
    pub fn take(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.list)
    }

    /// Those that were kept, by line: what is wrong with an entry often shows only at the next.
    pub fn into_sorted(mut self) -> Vec<Fault> {
        self.list.sort_by_key(|fault| fault.line);
        self.list
    }

    pub(crate) fn ledger(
        &mut self,
        (ledger, seq, line): (LedgerId, u64, u64),
        row: Option<u64>,
        fault: FaultKind,
        detail: impl Into<String>,
    ) {
        self.push(Fault { ledger: Some(ledger), seq: Some(seq), row, fault, detail: detail.into(), line });
    }

    pub(crate) fn log(&mut self, seq: Option<u64>, line: u64, fault: FaultKind, detail: impl Into<String>) {
        self.push(Fault { ledger: None, seq, row: None, fault, detail: detail.into(), line });
    }
}
