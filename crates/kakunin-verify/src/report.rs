//! Says what was found.

use std::io::{self, Write};

use kakunin_core::ledger::export::{ExportReport, LedgerReport};
use kakunin_core::ledger::log::Kept;
use kakunin_core::ledger::note::VerifierKey;
use kakunin_core::ledger::{Fault, LedgerId};
use serde_json::{Value, json};

use crate::arguments::{Arguments, Input};
use crate::show;

/// A report, and what it was asked for with.
pub struct Said<'a> {
    pub report: &'a ExportReport,
    pub arguments: &'a Arguments,
    pub pinned: &'a [VerifierKey],
    pub kept: &'a [Kept],
}

impl Said<'_> {
    /// For people.
    pub fn text(&self, out: &mut impl Write) -> io::Result<()> {
        let report = self.report;
        let which = if report.whole { "the whole log" } else { "a part of the log: other ledgers are not here" };
        writeln!(out, "log          {}, {which}", show::plain(&report.origin))?;
        for ledger in &report.ledgers {
            writeln!(out, "ledger       {}", self.ledger_line(ledger))?;
        }
        writeln!(out, "entries      {}", report.entries)?;
        writeln!(out, "rows         {}", report.rows)?;
        if let (Some(first), Some(last)) = (report.first_at, report.last_at) {
            writeln!(out, "time         {first} to {last}")?;
        }
        writeln!(out, "checkpoints  {} verified", report.coverage.checkpoints)?;
        for (topic, line) in self.coverage_lines() {
            writeln!(out, "{topic:<13}{line}")?;
        }
        if report.is_sound() {
            return writeln!(out, "\nSound: no fault was found.");
        }
        let shown = if self.arguments.all { report.faults.len() } else { 1 };
        for fault in report.faults.iter().take(shown) {
            self.fault(out, fault)?;
        }
        let more = report.fault_count - shown.min(report.faults.len()) as u64;
        if more > 0 {
            let hint = if self.arguments.all { "" } else { "; --all shows them" };
            writeln!(out, "\nand {more} more fault{}{hint}.", if more == 1 { "" } else { "s" })?;
        }
        Ok(())
    }

    /// For programs: one object in one line.
    pub fn json(&self, out: &mut impl Write) -> io::Result<()> {
        let report = self.report;
        let time = |at: Option<kakunin_core::UnixTime>| at.map(|at| at.to_string());
        let ledger = |ledger: &LedgerReport| {
            json!({
                "ledger": ledger.ledger.to_string(),
                "name": ledger.name,
                "entries": ledger.entries,
                "last_seq": ledger.last_seq,
                "rows": ledger.rows,
                "rows_pruned": ledger.rows_pruned,
                "first_at": time(ledger.first_at),
                "last_at": time(ledger.last_at),
                "covered_seq": ledger.covered,
                "covered_by_trusted": ledger.trusted,
            })
        };
        let shown = if self.arguments.all { report.faults.len() } else { 1 };
        let faults: Vec<Value> = report.faults.iter().take(shown).map(fault_json).collect();
        let coverage = &report.coverage;
        let object = json!({
            "sound": report.is_sound(),
            "origin": report.origin,
            "whole": report.whole,
            "entries": report.entries,
            "rows": report.rows,
            "first_at": time(report.first_at),
            "last_at": time(report.last_at),
            "ledgers": report.ledgers.iter().map(ledger).collect::<Vec<_>>(),
            "checkpoints_verified": coverage.checkpoints,
            "covered_by_given_key": coverage.pinned,
            "covered_by_own_key": coverage.own,
            "covered_by_given_checkpoint": coverage.kept,
            "given_checkpoints_not_compared": coverage.kept_unchecked,
            "fault_count": report.fault_count,
            "faults": faults,
        });
        writeln!(out, "{object}")
    }

    fn ledger_line(&self, ledger: &LedgerReport) -> String {
        let mut line = format!("{}: {} entries, {} rows", self.name(ledger.ledger), ledger.entries, ledger.rows);
        if ledger.rows_pruned > 0 {
            line.push_str(&format!(" and {} pruned", ledger.rows_pruned));
        }
        match ledger.covered {
            Some(seq) if seq == ledger.last_seq => line.push_str(", all signed for"),
            Some(seq) => line.push_str(&format!(", signed for up to entry {seq}")),
            None => line.push_str(", not signed for yet"),
        }
        line
    }

    /// What is vouched for, by whom, and what is not.
    fn coverage_lines(&self) -> Vec<(&'static str, String)> {
        let (report, coverage) = (self.report, &self.report.coverage);
        let upto = |size: u64| match report.whole {
            true => format!("{size} of {} entries", coverage.entries),
            false => format!("entries of the log up to {size}"),
        };
        let mut lines = Vec::new();
        match (coverage.pinned, coverage.own) {
            (Some(size), _) => lines.push(("signature", format!("by a key that was given: {}", upto(size)))),
            (None, Some(size)) if self.pinned.is_empty() => {
                lines.push(("signature", format!("by a key that the export names: {}", upto(size))));
            }
            (None, Some(_)) => lines.push(("signature", "by none of the keys that were given".to_owned())),
            (None, None) => lines.push(("signature", "none: no checkpoint covers anything here".to_owned())),
        }
        if let Some(size) = coverage.kept {
            let kept = self.kept.iter().filter(|kept| kept.checkpoint().size <= size).count();
            let given = if kept == 1 { "the checkpoint that was given" } else { "checkpoints that were given" };
            lines.push(("continues", format!("{given}: {}", upto(size))));
        }
        if report.whole
            && let Some(tail) =
                coverage.entries.checked_sub(coverage.any().unwrap_or_default()).filter(|tail| *tail > 0)
        {
            let what = "newer than the newest checkpoint, and not signed for yet";
            lines.push(("tail", format!("{tail} entries are {what}")));
        }
        if self.pinned.is_empty() {
            let beyond = if coverage.kept.is_some() { "Beyond the checkpoint that was given, s" } else { "S" };
            lines.push((
                "note",
                format!(
                    "{beyond}ignatures were checked only against the key inside the export, \
                     which proves nothing about who signed. Pass --key."
                ),
            ));
        }
        lines
    }

    fn fault(&self, out: &mut impl Write, fault: &Fault) -> io::Result<()> {
        let place = match (fault.ledger, fault.seq) {
            (Some(ledger), Some(seq)) => format!("ledger {}, entry {seq}", self.name(ledger)),
            (_, Some(size)) => format!("log, checkpoint of size {size}"),
            _ => "log".to_owned(),
        };
        let row = fault.row.map(|row| format!(", row {row}")).unwrap_or_default();
        writeln!(out, "\nFAULT        {}: {place}{row}", fault.fault)?;
        writeln!(out, "             {}", show::plain(&fault.detail))?;
        writeln!(out, "             at line {} of the export", fault.line)?;
        if self.arguments.show_values
            && let Input::File(path) = &self.arguments.input
            && fault.ledger.is_some()
        {
            show::entry_at(out, path, fault.line, self.arguments.line_bytes_max)?;
        }
        Ok(())
    }

    fn name(&self, id: LedgerId) -> String {
        let ledger = self.report.ledgers.iter().find(|ledger| ledger.ledger == id);
        match ledger.and_then(|ledger| ledger.name.as_ref()) {
            Some(name) => format!("{} ({id})", show::plain(name)),
            None => id.to_string(),
        }
    }
}

fn fault_json(fault: &Fault) -> Value {
    json!({
        "fault": fault.fault.slug(),
        "ledger": fault.ledger.map(|ledger| ledger.to_string()),
        "seq": fault.seq,
        "row": fault.row,
        "detail": fault.detail,
        "line": fault.line,
    })
}
