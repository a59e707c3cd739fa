//! Checks an export line by line.

mod summary;

pub use summary::{ExportReport, LedgerReport};

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{BETWEEN_ROWS, ENTRY, Header, ROWS};
use crate::json;
use crate::ledger::chain::{ChainVerifier, EntryRows};
use crate::ledger::log::{Coverage, Kept, Keys, LogVerifier};
use crate::ledger::merkle::{LEAF, hash_of_prefixed, leaf_hash};
use crate::ledger::note::VerifierKey;
use crate::ledger::tlog_proof::TlogProof;
use crate::ledger::{Detail, Entry, FaultKind, Faults, Hash, LedgerId, Malformed, row};
use crate::limits::EXPORT_LINE_ROWS_MAX;

/// Takes an export line after line. Memory does not grow with the number of rows.
pub struct ExportVerifier {
    header: Header,
    log: LogVerifier,
    ledgers: HashMap<LedgerId, Ledger>,
    current: Current,
    rows: EntryRows,
    /// A byte string out of base64, behind the 0x00 of a leaf.
    buffer: Vec<u8>,
    faults: Faults,
    line: u64,
    end_line: Option<u64>,
    cut: bool,
    report: ExportReport,
}

struct Ledger {
    chain: ChainVerifier,
    report: LedgerReport,
    /// Size of the log up to its newest entry.
    log_size: u64,
}

/// The entry that rows and proofs belong to.
enum Current {
    None,
    /// It could not be read, and neither can its rows.
    Unreadable,
    Entry {
        entry: Box<Entry>,
        hash: Hash,
        log_size: u64,
        line: u64,
    },
}

impl ExportVerifier {
    /// Starts with the first line, without its newline. `pinned` are keys, and `kept` checkpoints, that whoever checks
    /// brought along. Refused if the line is not that of an export of format 1.
    pub fn new(line: &[u8], pinned: Vec<VerifierKey>, kept: Vec<Kept>) -> Result<Self, Malformed> {
        let line = std::str::from_utf8(line).map_err(|_| Malformed::new("not an export: it is not UTF-8"))?;
        let header = Header::parse(line)?;
        let mut faults = Faults::new();
        let keys = Keys { pinned, own: header.keys.clone() };
        let log = LogVerifier::new(&header.origin, keys, kept, &mut faults);
        let ledger = |id: &LedgerId| {
            let report = LedgerReport { ledger: *id, ..LedgerReport::default() };
            (*id, Ledger { chain: ChainVerifier::new(*id), report, log_size: 0 })
        };
        Ok(Self {
            ledgers: header.ledgers.iter().map(ledger).collect(),
            report: ExportReport { origin: header.origin.clone(), whole: header.whole, ..ExportReport::default() },
            header,
            log,
            current: Current::None,
            rows: EntryRows::new(),
            buffer: vec![LEAF],
            faults,
            line: 1,
            end_line: None,
            cut: false,
        })
    }

    /// What the first line says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Entries and rows so far, for a progress bar.
    pub fn progress(&self) -> (u64, u64) {
        (self.report.entries, self.report.rows)
    }

    /// Takes the next line, without its newline. `complete` is false for a last line that had none: one that was cut
    /// off is then told as such.
    pub fn line(&mut self, line: &[u8], complete: bool) {
        self.line += 1;
        if self.end_line.is_some() {
            return self.fault(FaultKind::Misplaced, "a line follows the last one");
        }
        if let Err(refused) = self.read(line) {
            if complete {
                self.fault(FaultKind::Malformed, refused.to_string());
            } else {
                self.cut = true;
            }
        }
    }

    /// Ends the export: behind its last line, wherever that was.
    pub fn finish(mut self) -> ExportReport {
        let line = self.line + 1;
        if self.end_line.is_none() {
            let what = if self.cut { "in the middle of a line" } else { "before its last line" };
            self.faults.log(None, line, FaultKind::Incomplete, format!("the export ends {what}"));
        }
        let ended = self.end_line.is_some();
        let covered = self.log.coverage();
        for id in &self.header.ledgers {
            let Some(mut ledger) = self.ledgers.remove(id) else { continue };
            ledger.note_coverage(covered);
            if ended {
                if ledger.report.entries == 0 {
                    let detail = "the first line names the ledger, and it has no entries";
                    self.faults.ledger((*id, 1, 1), None, FaultKind::Missing, detail);
                } else if !self.header.whole && !ledger.report.trusted && self.log.has_pinned() {
                    let (seq, detail) = (ledger.report.last_seq, "no proof of it is signed by a key that was given");
                    self.faults.ledger((*id, seq, line), None, FaultKind::Unsigned, detail);
                }
                ledger.chain.finish(&mut self.faults);
            }
            self.report.ledgers.push(ledger.report);
        }
        self.report.coverage = if self.header.whole {
            self.log.finish(line, &mut self.faults)
        } else {
            self.log.finish_partial(line, &mut self.faults)
        };
        self.report.fault_count = self.faults.count();
        self.report.faults = self.faults.into_sorted();
        self.report
    }

    fn read(&mut self, line: &[u8]) -> Result<(), Malformed> {
        if let Some(rows) = between(line, ROWS) {
            return self.read_rows(rows);
        }
        if let Some(entry) = between(line, ENTRY) {
            self.finish_entry();
            return self.read_entry(entry);
        }
        let text = std::str::from_utf8(line).map_err(|_| Malformed::new("the line is not UTF-8"))?;
        let value = json::parse_strict(text).map_err(|reason| Malformed::new(reason.detail()))?;
        if json::write_canonical(&value) != text {
            return Err(Malformed::new("the line is not in RFC 8785 form"));
        }
        let Value::Object(members) = &value else { return Err(Malformed::new(UNKNOWN_LINE)) };
        let mut members = members.iter();
        match (members.next().map(|(name, value)| (name.as_str(), value)), members.next()) {
            (Some(("checkpoint", Value::String(note))), None) if self.header.whole => {
                self.finish_entry();
                self.log.checkpoint(note, self.line, &mut self.faults);
                self.current = Current::None;
            }
            (Some(("proof", Value::String(proof))), None) if !self.header.whole => {
                self.finish_entry();
                self.read_proof(proof)?;
            }
            (Some(("checkpoint" | "proof", Value::String(_))), None) => {
                self.fault(FaultKind::Misplaced, "whole exports have checkpoints, partial ones have proofs");
            }
            (Some(("end", Value::Object(counts))), None) => {
                let count = |name| counts.get(name).and_then(Value::as_u64);
                let stated = (count("entries"), count("rows"));
                if counts.len() != 2 {
                    return Err(Malformed::new(UNKNOWN_LINE));
                }
                self.finish_entry();
                self.end_line = Some(self.line);
                self.current = Current::None;
                let found = (self.report.entries, self.report.rows);
                if stated != (Some(found.0), Some(found.1)) {
                    let detail =
                        format!("there are {} entries and {} rows, the last line says otherwise", found.0, found.1);
                    self.fault(FaultKind::Incomplete, detail);
                }
            }
            _ => return Err(Malformed::new(UNKNOWN_LINE)),
        }
        Ok(())
    }

    fn read_entry(&mut self, encoded: &[u8]) -> Result<(), Malformed> {
        self.current = Current::Unreadable;
        decode(encoded, &mut self.buffer)?;
        let bytes = self.buffer.get(1..).unwrap_or_default();
        let hash = leaf_hash(bytes);
        // The entries of a partial export are not the leaves of the log: proofs place them there.
        if self.header.whole {
            self.log.entry(&hash);
        }
        self.report.entries += 1;
        let log_size = self.log.size();
        let entry = match (Entry::decode(bytes), Entry::peek(bytes)) {
            (Ok(entry), _) => entry,
            (Err(refused), peeked) => {
                let known = peeked.and_then(|(id, seq)| Some((self.ledgers.get_mut(&id)?, seq)));
                let Some((ledger, seq)) = known else { return Err(refused) };
                ledger.chain.unreadable(seq, &hash, &refused.to_string(), self.line, &mut self.faults);
                ledger.report.entries += 1;
                return Ok(());
            }
        };
        let (line, seq) = (self.line, entry.seq);
        let Some(ledger) = self.ledgers.get_mut(&entry.ledger) else {
            let detail = "the first line does not name this ledger";
            self.faults.ledger((entry.ledger, seq, line), None, FaultKind::ForeignLedger, detail);
            return Ok(());
        };
        ledger.note_coverage(self.log.coverage());
        ledger.chain.entry(&entry, &hash, None, line, &mut self.faults);
        ledger.note(&entry, log_size);
        self.report.note(&entry);
        self.rows.begin(&entry, line);
        self.current = Current::Entry { entry: Box::new(entry), hash, log_size, line };
        Ok(())
    }

    fn read_rows(&mut self, mut rest: &[u8]) -> Result<(), Malformed> {
        let ledger = match &self.current {
            Current::Entry { entry, .. } if !self.rows.is_finished() => entry.ledger,
            Current::Unreadable => return Ok(()),
            _ => {
                self.fault(FaultKind::Misplaced, "rows stand where no entry is");
                return Ok(());
            }
        };
        let mut rows = 0;
        loop {
            let quote = memchr::memchr(b'"', rest);
            let encoded = quote.and_then(|quote| rest.get(..quote)).unwrap_or(rest);
            rows += 1;
            self.read_row(ledger, encoded);
            let Some(quote) = quote else { break };
            rest = rest
                .get(quote..)
                .and_then(|rest| rest.strip_prefix(BETWEEN_ROWS))
                .ok_or(Malformed::new(UNKNOWN_LINE))?;
        }
        if rows > EXPORT_LINE_ROWS_MAX {
            return Err(Malformed::new(format!("the line has more than {EXPORT_LINE_ROWS_MAX} rows")));
        }
        Ok(())
    }

    fn read_row(&mut self, ledger: LedgerId, encoded: &[u8]) {
        self.report.rows += 1;
        let position = self.rows.next().max(self.rows.given());
        let bytes = decode(encoded, &mut self.buffer).map(|()| self.buffer.get(1..).unwrap_or_default());
        let refused = match bytes.and_then(row::check_row) {
            Ok(id) if id == ledger => return self.rows.row(position, hash_of_prefixed(&self.buffer), &mut self.faults),
            Ok(id) => (FaultKind::ForeignLedger, format!("the row is of ledger {id}")),
            Err(refused) => (FaultKind::Malformed, refused.to_string()),
        };
        self.rows.bad_row(position, refused.0, &refused.1, &mut self.faults);
    }

    fn read_proof(&mut self, proof: &str) -> Result<(), Malformed> {
        let proof = TlogProof::parse(proof)?;
        let Current::Entry { entry, hash, .. } = &self.current else {
            self.fault(FaultKind::Misplaced, "a proof stands where no entry is");
            return Ok(());
        };
        let place = (entry.ledger, entry.seq, self.line);
        let proven = self.log.proof(&proof, *hash, place, &mut self.faults);
        if let (Some((size, trusted)), Some(ledger)) = (proven, self.ledgers.get_mut(&entry.ledger)) {
            ledger.report.covered = Some(entry.seq);
            ledger.report.trusted |= trusted;
            self.report.log_size = self.report.log_size.max(Some(size));
        }
        Ok(())
    }

    /// The rows of the entry are all there.
    fn finish_entry(&mut self) {
        let Current::Entry { entry, log_size, line, .. } = &self.current else { return };
        if self.rows.is_finished() {
            return;
        }
        let outcome = self.rows.finish(&mut self.faults);
        let log_size = self.header.whole.then_some(*log_size);
        if let Some(ledger) = self.ledgers.get_mut(&entry.ledger) {
            ledger.report.rows += self.rows.given();
            if outcome == crate::ledger::chain::RowsOutcome::Absent {
                ledger.report.rows_pruned = ledger.report.rows_pruned.saturating_add(entry.rows);
            }
            ledger.chain.rows(entry, outcome, log_size, *line, &mut self.faults);
        }
    }

    fn fault(&mut self, kind: FaultKind, detail: impl Into<String>) {
        self.faults.log(None, self.line, kind, detail);
    }
}

impl Ledger {
    fn note(&mut self, entry: &Entry, log_size: u64) {
        self.log_size = log_size;
        let report = &mut self.report;
        report.entries += 1;
        report.last_seq = report.last_seq.max(entry.seq);
        report.first_at = report.first_at.or(Some(entry.at));
        report.last_at = report.last_at.max(Some(entry.at));
        if let Ok(Detail::Open { name, .. }) = entry.detail() {
            report.name = Some(name);
        }
    }

    /// Notes that its newest entry so far is covered, if it is. Coverage only grows between two entries.
    fn note_coverage(&mut self, covered: Coverage) {
        let within = |size: Option<u64>| size.is_some_and(|size| size >= self.log_size);
        if self.log_size > 0 && within(covered.any()) {
            self.report.covered = Some(self.report.last_seq);
            self.report.trusted = within(covered.trusted());
        }
    }
}

/// The middle of a line that starts and ends so.
fn between<'a>(line: &'a [u8], (start, end): (&[u8], &[u8])) -> Option<&'a [u8]> {
    line.strip_prefix(start)?.strip_suffix(end)
}

/// Decodes into the buffer, behind its first byte.
fn decode(encoded: &[u8], buffer: &mut Vec<u8>) -> Result<(), Malformed> {
    buffer.truncate(1);
    STANDARD.decode_vec(encoded, buffer).map_err(|_| Malformed::new("it is not base64"))
}

const UNKNOWN_LINE: &str = "the line is none that an export has";
