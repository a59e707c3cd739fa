//! What was found in an export.

use crate::UnixTime;
use crate::ledger::log::Coverage;
use crate::ledger::{Entry, Fault, LedgerId};

/// The outcome of a verification.
#[derive(Clone, Debug, Default)]
pub struct ExportReport {
    /// The log's name.
    pub origin: String,
    /// Is the whole log there, as the export says?
    pub whole: bool,
    /// The ledgers, in the order in which the export names them.
    pub ledgers: Vec<LedgerReport>,
    /// Entries that were read.
    pub entries: u64,
    /// Rows that were read.
    pub rows: u64,
    /// Time of the earliest entry.
    pub first_at: Option<UnixTime>,
    /// Time of the latest entry.
    pub last_at: Option<UnixTime>,
    /// What is covered by whom. Of a partial export only the checkpoints count; see [`LedgerReport::covered`].
    pub coverage: Coverage,
    /// Of a partial export: the size of the newest log that a proof leads to.
    pub log_size: Option<u64>,
    /// What is wrong, in the order of the lines; the first [`crate::limits::LEDGER_FAULTS_MAX`].
    pub faults: Vec<Fault>,
    /// How many faults there were.
    pub fault_count: u64,
}

/// One ledger of an export.
#[derive(Clone, Debug, Default)]
pub struct LedgerReport {
    /// Its UUID.
    pub ledger: LedgerId,
    /// The name of its table when it was opened.
    pub name: Option<String>,
    /// Entries that were read.
    pub entries: u64,
    /// `seq` of its newest entry.
    pub last_seq: u64,
    /// Rows that were read.
    pub rows: u64,
    /// Rows that are gone by retention.
    pub rows_pruned: u64,
    /// Time of its first entry.
    pub first_at: Option<UnixTime>,
    /// Time of its last entry.
    pub last_at: Option<UnixTime>,
    /// `seq` of its newest entry that a signed checkpoint covers.
    pub covered: Option<u64>,
    /// Is that by a pinned key or a checkpoint that was kept?
    pub trusted: bool,
}

impl ExportReport {
    /// Is nothing wrong?
    pub fn is_sound(&self) -> bool {
        self.fault_count == 0
    }

    pub(super) fn note(&mut self, entry: &Entry) {
        self.first_at = Some(self.first_at.map_or(entry.at, |at| at.min(entry.at)));
        self.last_at = self.last_at.max(Some(entry.at));
    }
}
