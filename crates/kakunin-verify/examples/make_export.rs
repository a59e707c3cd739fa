//! Writes an honest export to measure `kakunin-verify` with: `make_export ROWS ROWS_PER_ENTRY BYTES_PER_ROW`.

use std::io::{self, BufWriter, Write};

use kakunin_core::UnixTime;
use kakunin_core::ledger::export::{Header, RowLines, checkpoint_line, end_line, entry_line};
use kakunin_core::ledger::note::{Checkpoint, VerifierKey};
use kakunin_core::ledger::row::RowWriter;
use kakunin_core::ledger::{Detail, Entry, Frontier, Kind, LedgerId};
use ring::signature::{Ed25519KeyPair, KeyPair};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers = std::env::args().skip(1).map(|word| word.parse()).collect::<Result<Vec<u64>, _>>()?;
    let [rows, per_entry, bytes] = numbers[..] else {
        return Err("make_export ROWS ROWS_PER_ENTRY BYTES_PER_ROW".into());
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let ledger = LedgerId([0xa0; 16]);
    let origin = "ledger.example/7301".to_owned();
    let signer = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).map_err(|_| "no key")?;
    let key = VerifierKey::new(origin.clone(), signer.public_key().as_ref().try_into()?)?;
    let header = Header { keys: vec![key.clone()], ledgers: vec![ledger], origin: origin.clone(), whole: true };
    writeln!(out, "{}", header.encode()?)?;

    let mut log = Frontier::new();
    let (mut entries, mut written, mut previous) = (0, 0, [0; 32]);
    let mut row = RowWriter::new();
    let mut lines = RowLines::new();
    // A row has 18 bytes before its fields, 15 of an integer, and 7 before the bytes of the text.
    let note = "x".repeat(usize::try_from(bytes)?.saturating_sub(40));
    while written < rows || entries == 0 {
        let count = if entries == 0 { 0 } else { per_entry.min(rows - written) };
        let mut tree = Frontier::new();
        let mut gathered = Vec::new();
        for number in written..written + count {
            row.begin(&ledger);
            row.field(1);
            row.integer(i64::try_from(number)?);
            row.field(2);
            row.text(&note);
            tree.push(row.leaf()?);
            gathered.extend(lines.push(row.bytes()?));
        }
        gathered.extend(lines.flush());
        let detail = Detail::Open { columns: vec![], name: "public.bench".to_owned() };
        let entry = Entry {
            ledger,
            seq: entries + 1,
            kind: if entries == 0 { Kind::Open } else { Kind::Rows },
            tx: if count == 0 { 0 } else { entries },
            first_row: written,
            rows: count,
            root: tree.root(),
            at: UnixTime(1_767_225_600_000_000 + i64::try_from(entries)?),
            certificate: Some([7; 32]),
            role: "kakunin_agent".to_owned(),
            detail: if entries == 0 { detail.encode()? } else { String::new() },
            previous,
        };
        let (encoded, hash) = entry.encode_and_hash()?;
        writeln!(out, "{}", entry_line(&encoded))?;
        for line in gathered {
            writeln!(out, "{line}")?;
        }
        log.push(hash);
        previous = hash;
        entries += 1;
        written += count;
    }
    let checkpoint = Checkpoint { origin, size: log.size(), root: log.root() };
    let signature = signer.sign(checkpoint.text().as_bytes()).as_ref().try_into()?;
    writeln!(out, "{}", checkpoint_line(&checkpoint.with_signature(&key, &signature)?))?;
    writeln!(out, "{}", end_line(entries, rows))?;
    Ok(out.flush()?)
}
