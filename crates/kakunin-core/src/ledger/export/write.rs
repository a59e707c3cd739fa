//! Builds the lines of an export. None has a newline at its end.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::json::write_canonical;
use crate::limits::EXPORT_LINE_ROWS_MAX;

/// The line of an entry, from its bytes.
pub fn entry_line(entry: &[u8]) -> String {
    let mut line = String::with_capacity(entry.len() / 3 * 4 + 20);
    line.push_str("{\"entry\":\"");
    STANDARD.encode_string(entry, &mut line);
    line.push_str("\"}");
    line
}

/// The line of a checkpoint, from the signed note.
pub fn checkpoint_line(note: &str) -> String {
    write_canonical(&json!({ "checkpoint": note }))
}

/// The line of a proof, from the text of a tlog-proof.
pub fn proof_line(proof: &str) -> String {
    write_canonical(&json!({ "proof": proof }))
}

/// The last line: how many entries and rows the lines before hold. Numbers are below 2^53.
pub fn end_line(entries: u64, rows: u64) -> String {
    format!("{{\"end\":{{\"entries\":{entries},\"rows\":{rows}}}}}")
}

/// Gathers rows into lines.
#[derive(Clone, Debug, Default)]
pub struct RowLines {
    line: String,
    rows: usize,
}

impl RowLines {
    /// With no row yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the bytes of a row. Gives a line whenever one is full: at [`EXPORT_LINE_ROWS_MAX`] rows, or past
    /// [`LINE_BYTES`] bytes.
    pub fn push(&mut self, row: &[u8]) -> Option<String> {
        self.line.push_str(if self.rows == 0 { "{\"rows\":[\"" } else { "\",\"" });
        STANDARD.encode_string(row, &mut self.line);
        self.rows += 1;
        (self.rows >= EXPORT_LINE_ROWS_MAX || self.line.len() > LINE_BYTES).then(|| self.close())
    }

    /// The line of the rows that are left, if there are any: after the last row of each entry.
    pub fn flush(&mut self) -> Option<String> {
        (self.rows > 0).then(|| self.close())
    }

    fn close(&mut self) -> String {
        self.rows = 0;
        self.line.push_str("\"]}");
        std::mem::take(&mut self.line)
    }
}

/// Bytes after which a line is closed, so that readers need little memory.
pub const LINE_BYTES: usize = 256 * 1024;
