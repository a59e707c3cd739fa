//! `kakunin.export_ledger`: the log, or one ledger of it, as lines that kakunin-verify checks without a database.
//!
//! Entries come in the order of the log and rows behind their entries, while tables hold rows as they came. So rows
//! are sorted by where they belong, in bounded memory and by their places in the tables, and then fetched one by one.

mod order;
mod sink;

use super::rows::Reader;
use super::store::{self, Ledger};
use super::{append, fault, members, pending};
use crate::checkpoint::log::{self, StoredLog, StoredRange};
use crate::checkpoint::{key_that_signs, proofs};
use crate::error;
use kakunin_core::Reason;
use kakunin_core::ledger::Kind;
use kakunin_core::ledger::entry::Column;
use kakunin_core::ledger::export::{Header, RowLines, checkpoint_line, end_line, entry_line, proof_line};
use kakunin_core::ledger::note::VerifierKey;
use order::{Member, Placed, Rows};
use pgrx::prelude::*;
use sink::Sink;
use std::collections::HashMap;

/// `kakunin.export_ledger(relation regclass)`; sql/ledger_face.sql declares it.
#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn kakunin_export_ledger(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: PostgreSQL passes a valid call with one argument, a regclass or NULL.
    let (relation, mut sink) = unsafe { (append::oid_argument(call, 0), Sink::new(call)) };
    let ledger = relation.map(|relation| super::ledger_of(relation).unwrap_or_else(|reason| error::raise(reason)));
    // SAFETY: one snapshot for all that is read; dropped below, or by PostgreSQL after an error.
    unsafe {
        let (ledgers, snapshot) = ledgers_and_snapshot(ledger);
        if let Err(reason) = export(ledger, ledgers, snapshot, &mut sink) {
            error::raise(reason);
        }
        pg_sys::UnregisterSnapshot(snapshot);
    }
    pg_sys::Datum::from(0)
}

/// How PostgreSQL learns the calling convention.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_kakunin_export_ledger() -> &'static pg_sys::Pg_finfo_record {
    &pg_sys::Pg_finfo_record { api_version: 1 }
}

/// The ledgers to export, by id, and a snapshot that is taken once nobody can take a partition away. It must not have a
/// checkpoint over a ledger that is not in the list.
unsafe fn ledgers_and_snapshot(only: Option<Ledger>) -> (Vec<Ledger>, pg_sys::Snapshot) {
    loop {
        let mut ledgers = only.map_or_else(store::ledgers, |ledger| vec![ledger]);
        // One that this very transaction opened has no entry yet.
        ledgers.retain(|ledger| {
            !pending::with(|pending| pending.notes(ledger.number)).iter().any(|note| note.kind == Kind::Open)
        });
        ledgers.sort_by_key(|ledger| ledger.id);
        for ledger in &ledgers {
            members::hold(*ledger);
        }
        // SAFETY: registered until the caller has done, or this comes round again.
        unsafe {
            let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
            let listed = |range: &StoredRange| ledgers.iter().any(|ledger| ledger.number == range.ledger);
            let known = store::ledgers();
            let is_known = |range: &StoredRange| known.iter().any(|ledger| ledger.number == range.ledger);
            let ranges = log::ranges_as_of(snapshot);
            if only.is_some() || !ranges.iter().any(|range| is_known(range) && !listed(range)) {
                return (ledgers, snapshot);
            }
            pg_sys::UnregisterSnapshot(snapshot);
        }
        pg_sys::check_for_interrupts!();
    }
}

unsafe fn export(
    only: Option<Ledger>,
    ledgers: Vec<Ledger>,
    snapshot: pg_sys::Snapshot,
    sink: &mut Sink,
) -> Result<(), Reason> {
    let log = log::named().ok_or(Reason::NoCheckpoint)?;
    let checkpoints = log::checkpoints_as_of(snapshot);
    let size = checkpoints.last().copied().ok_or(Reason::NoCheckpoint)?;
    let ranges = log::ranges_as_of(snapshot);
    check_ranges(&ranges, size)?;
    let ranges: Vec<StoredRange> =
        ranges.into_iter().filter(|range| ledgers.iter().any(|ledger| ledger.number == range.ledger)).collect();
    let header = Header {
        keys: keys_that_sign(&log),
        ledgers: ledgers.iter().map(|ledger| ledger.id).collect(),
        origin: log.origin.clone(),
        whole: only.is_none(),
    };
    sink.line(&header.encode().map_err(|what| Reason::LogBroken { what: what.to_string() })?);

    let maps: HashMap<i32, Vec<Column>> = ledgers.iter().map(|it| (it.number, store::columns(it.number))).collect();
    let mut rows = Rows::new();
    let mut tails = Vec::new();
    let mut unlogged = size;
    for ledger in &ledgers {
        // SAFETY: the snapshot is registered by the caller.
        let tail = unsafe { rows.gather(*ledger, &ranges, unlogged, snapshot) };
        unlogged += tail.1;
        tails.push((*ledger, tail.0));
    }
    let (members, placed) = rows.sorted();
    let mut writer =
        Writer { sink, snapshot, members, maps, readers: HashMap::new(), placed, next: None, entries: 0, rows: 0 };
    writer.advance();

    let mut upcoming = checkpoints.iter().copied().peekable();
    if only.is_none() && upcoming.next_if_eq(&0).is_some() {
        writer.checkpoint(0);
    }
    for range in &ranges {
        let Some(ledger) = ledgers.iter().find(|ledger| ledger.number == range.ledger) else { continue };
        let last = log::last_seq_of(&ranges, range.ledger);
        let (first_index, first_seq) = (range.first_index.cast_unsigned(), range.first_seq);
        // SAFETY: as above.
        unsafe {
            let mut failure = None;
            store::entries_as_of(ledger.number, range.first_seq, snapshot, &mut |fields| {
                let seq = fields.bigint(2).unwrap_or(0);
                if seq > range.last_seq {
                    return false;
                }
                writer.entry(*ledger, fields, first_index + (seq - first_seq).cast_unsigned());
                let done = if only.is_some() && Some(seq) == last { writer.proof(*ledger, seq) } else { Ok(()) };
                failure = done.err();
                failure.is_none()
            });
            if let Some(reason) = failure {
                return Err(reason);
            }
        }
        // A checkpoint is made of whole ranges.
        if only.is_none()
            && let Some(size) = upcoming.next_if(|size| *size <= range.last_index() + 1)
        {
            writer.checkpoint(size);
        }
    }
    let mut place = size;
    for (ledger, from) in tails {
        // SAFETY: as above.
        unsafe {
            store::entries_as_of(ledger.number, from, snapshot, &mut |fields| {
                writer.entry(ledger, fields, place);
                place += 1;
                true
            });
        }
    }
    writer.finish();
    Ok(())
}

/// That of the log, and those of its earlier names as far as they are there.
fn keys_that_sign(log: &StoredLog) -> Vec<VerifierKey> {
    let own = key_that_signs(log).unwrap_or_else(|report| error::throw(report));
    let earlier = log::names().into_iter().filter(|name| name.number < log.number);
    std::iter::once(own).chain(earlier.filter_map(|name| key_that_signs(&name).ok())).collect()
}

/// Where entries are in the log must be plain: what is put in a wrong place would look as if it had been changed.
fn check_ranges(ranges: &[StoredRange], size: u64) -> Result<(), Reason> {
    let broken = |index: u64| Reason::LogBroken {
        what: format!("kakunin.log_range does not say which entry has number {index} in the log"),
    };
    let mut next = 0;
    let mut last: HashMap<i32, i64> = HashMap::new();
    for range in ranges {
        let before = last.insert(range.ledger, range.last_seq).unwrap_or(0);
        if range.first_index.cast_unsigned() != next || range.first_seq != before + 1 {
            return Err(broken(next));
        }
        next = range.last_index() + 1;
    }
    if next == size { Ok(()) } else { Err(broken(next.min(size))) }
}

/// Writes entries with their rows.
struct Writer<'a> {
    sink: &'a mut Sink,
    snapshot: pg_sys::Snapshot,
    members: Vec<Member>,
    maps: HashMap<i32, Vec<Column>>,
    readers: HashMap<u32, (pg_sys::Relation, Reader)>,
    placed: order::SortedRows,
    next: Option<Placed>,
    entries: u64,
    rows: u64,
}

impl Writer<'_> {
    fn advance(&mut self) {
        self.next = self.placed.next();
    }

    fn entry(&mut self, ledger: Ledger, fields: &store::Fields<'_>, position: u64) {
        let encoded = store::entry(fields, ledger.id).and_then(|(entry, _)| entry.encode().ok());
        let Some(bytes) = encoded else {
            let seq = fields.bigint(2).unwrap_or(0);
            fault::broken(&format!("entry {seq} of {} is none", fault::table_name(ledger.relation)))
        };
        self.sink.line(&entry_line(&bytes));
        self.entries += 1;
        let mut lines = RowLines::new();
        // Rows before this place are of an entry that is not there any more.
        while self.next.is_some_and(|next| next.position < position) {
            self.advance();
        }
        while let Some(row) = self.next.filter(|next| next.position == position) {
            if let Some(line) = self.row(row, &mut lines) {
                self.sink.line(&line);
            }
            self.advance();
        }
        if let Some(line) = lines.flush() {
            self.sink.line(&line);
        }
    }

    fn row(&mut self, row: Placed, lines: &mut RowLines) -> Option<String> {
        let member = *self.members.get(row.member as usize)?;
        let (_, reader) = self.readers.entry(row.member).or_insert_with(|| {
            let columns = self.maps.get(&member.ledger.number).map_or(&[][..], Vec::as_slice);
            // SAFETY: the table stays open until `finish`, or until PostgreSQL closes it after an error.
            unsafe {
                let heap = pg_sys::table_open(member.relation, pg_sys::AccessShareLock as i32);
                (heap, Reader::new(heap, member.ledger, columns))
            }
        });
        let mut at = row.at();
        // SAFETY: the snapshot is registered as long as the export runs.
        let line = unsafe {
            reader.read(&mut at, self.snapshot, |_, plan| match plan.bytes() {
                Ok(bytes) => lines.push(bytes),
                Err(what) => fault::unhashable(member.relation, &what),
            })
        };
        self.rows += u64::from(line.is_some());
        line.flatten()
    }

    fn checkpoint(&mut self, size: u64) {
        if let Some(stored) = log::of_size(size.cast_signed()) {
            self.sink.line(&checkpoint_line(&stored.note));
        }
    }

    fn proof(&mut self, ledger: Ledger, seq: i64) -> Result<(), Reason> {
        let newest = log::newest().ok_or(Reason::NoCheckpoint)?;
        let proof = proofs::prove(ledger, 0, seq, None, &newest)?;
        self.sink.line(&proof_line(&proof));
        Ok(())
    }

    fn finish(mut self) {
        for (_, (heap, reader)) in self.readers.drain() {
            drop(reader);
            // SAFETY: opened in `row`.
            unsafe { pg_sys::table_close(heap, pg_sys::AccessShareLock as i32) };
        }
        self.sink.line(&end_line(self.entries, self.rows));
    }
}
