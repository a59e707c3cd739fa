//! Shows the entry at a line of the export with its rows, for `--show-values`: the only place where values are printed.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kakunin_core::ledger::row::RowReader;
use kakunin_core::ledger::{Detail, Entry, LedgerId};
use serde_json::Value;

use crate::lines::Lines;
use crate::values;

/// Reads the file again up to the entry in line `line`, and prints it with its first rows.
pub fn entry_at(out: &mut impl Write, path: &str, line: u64, line_bytes_max: usize) -> io::Result<()> {
    let mut lines = Lines::new(BufReader::new(File::open(path)?), line_bytes_max);
    let mut columns: HashMap<LedgerId, HashMap<u16, String>> = HashMap::new();
    let mut number = 0;
    let mut shown: Option<LedgerId> = None;
    let mut rows = 0;
    while let Some((text, _)) = lines.next()? {
        number += 1;
        let rows_line = text.starts_with(b"{\"rows\":");
        if number > line && !rows_line {
            break;
        }
        if rows_line && number <= line {
            continue;
        }
        let Ok(value) = serde_json::from_slice::<Value>(text) else { continue };
        if let (Some(ledger), Some(list)) = (shown, value.get("rows").and_then(Value::as_array)) {
            for row in list {
                if rows == ROWS_MAX {
                    return writeln!(out, "             … and more rows");
                }
                let names = columns.get(&ledger);
                writeln!(out, "             row {rows}: {}", row_text(row, names))?;
                rows += 1;
            }
            continue;
        }
        let bytes = value.get("entry").and_then(Value::as_str).and_then(|entry| STANDARD.decode(entry).ok());
        let Some(Ok(entry)) = bytes.map(|bytes| Entry::decode(&bytes)) else { continue };
        if let Ok(Detail::Open { columns: map, .. } | Detail::Columns { columns: map }) = entry.detail() {
            columns.insert(entry.ledger, map.into_iter().map(|column| (column.number, column.name)).collect());
        }
        if number == line {
            let (kind, role) = (entry.kind.name(), plain(&entry.role));
            writeln!(out, "             {kind} by {role} at {}, transaction {}", entry.at, entry.tx)?;
            if !entry.detail.is_empty() {
                writeln!(out, "             {}", plain(&entry.detail))?;
            }
            shown = Some(entry.ledger);
        }
    }
    Ok(())
}

fn row_text(row: &Value, names: Option<&HashMap<u16, String>>) -> String {
    let Some(bytes) = row.as_str().and_then(|row| STANDARD.decode(row).ok()) else { return "not base64".to_owned() };
    let fields = match RowReader::new(&bytes) {
        Ok(fields) => fields,
        Err(refused) => return refused.to_string(),
    };
    let texts = fields.map(|field| match field {
        Err(refused) => refused.to_string(),
        Ok(field) => {
            let name = names.and_then(|names| names.get(&field.number));
            let name = name.map_or_else(|| format!("column {}", field.number), |name| plain(name));
            format!("{name} = {}", values::text(field.tag, field.bytes))
        }
    });
    texts.collect::<Vec<_>>().join(", ")
}

/// A text from the export as it can be printed: nothing in it moves the cursor or turns the direction of writing.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character == ' ' || character.is_ascii_graphic() || character.is_alphanumeric() {
            out.push(character);
        } else {
            out.extend(character.escape_unicode());
        }
    }
    out
}

/// Rows of an entry that are shown.
const ROWS_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_is_printed() {
        assert_eq!(plain("日本 a-b"), "日本 a-b");
        assert_eq!(plain("a\u{1b}[2Jb\n\u{202e}\u{9b}"), "a\\u{1b}[2Jb\\u{a}\\u{202e}\\u{9b}");
    }
}
