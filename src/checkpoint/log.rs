//! The tables of the log, read and written directly: see [`crate::ledger::store`] for why.

use crate::ledger::raw::RowMemory;
use crate::ledger::store::{self, Fields, Key, Order, Table, Values};
use kakunin_core::Reason;
use kakunin_core::ledger::growth::Hashes;
use kakunin_core::ledger::tile::{Tile, WIDTH};
use kakunin_core::ledger::{Frontier, Hash};
use pgrx::prelude::*;
use std::collections::VecDeque;
use std::ops::Range;

/// A row of kakunin.log.
pub struct StoredLog {
    pub number: i32,
    pub origin: String,
    pub key: String,
}

/// The log's name and key; None before it has one.
pub fn named() -> Option<StoredLog> {
    names().into_iter().next()
}

/// The names that the log has and had, the newest first.
pub fn names() -> Vec<StoredLog> {
    let mut found = Vec::new();
    store::scan(Table::Log, None, &[], &mut |fields| {
        found.extend((|| {
            Some(StoredLog { number: fields.integer(1)?, origin: fields.text(2)?, key: fields.text(3)? })
        })());
    });
    found.sort_by_key(|log: &StoredLog| std::cmp::Reverse(log.number));
    found
}

/// Waits until no other transaction is making a checkpoint.
pub fn wait_for_others() {
    let log = Table::Log.oid();
    // SAFETY: takes a lock that conflicts with theirs, and drops it at once.
    unsafe {
        pg_sys::LockRelationOid(log, pg_sys::ShareLock as i32);
        pg_sys::UnlockRelationOid(log, pg_sys::ShareLock as i32);
    }
}

/// A row of kakunin.checkpoint.
pub struct Stored {
    pub size: u64,
    pub root: Vec<u8>,
    pub note: String,
    frontier: Vec<u8>,
    /// Did this very transaction write it?
    pub is_own: bool,
}

impl Stored {
    fn of(fields: &Fields<'_>) -> Option<Self> {
        Some(Self {
            size: u64::try_from(fields.bigint(1)?).ok()?,
            root: fields.bytes(2)?.to_vec(),
            note: fields.text(3)?,
            frontier: fields.bytes(4)?.to_vec(),
            is_own: fields.is_own(),
        })
    }

    /// The tree's frontier, which has the root that the row states.
    pub fn frontier(&self) -> Result<Frontier, Reason> {
        let broken = || Reason::LogBroken { what: format!("the frontier of checkpoint {} is not its own", self.size) };
        let (hashes, []) = self.frontier.as_chunks() else { return Err(broken()) };
        let frontier = Frontier::restore(self.size, hashes).ok_or_else(broken)?;
        if frontier.root() == *self.root { Ok(frontier) } else { Err(broken()) }
    }
}

/// The newest checkpoint.
pub fn newest() -> Option<Stored> {
    first(&[], Order::Descending)
}

/// The checkpoint of a size.
pub fn of_size(size: i64) -> Option<Stored> {
    first(&[Key::bigint(1, size)], Order::Ascending)
}

fn first(keys: &[Key], order: Order) -> Option<Stored> {
    let mut found = None;
    store::in_order(Table::Checkpoint, Table::CheckpointKey, keys, order, &mut |fields| {
        found = Stored::of(fields);
        false
    });
    found
}

/// Keeps a signed note.
pub fn store_checkpoint(note: &str, frontier: &Frontier) {
    let mut values = Values::new();
    values.bigint(frontier.size().cast_signed());
    values.bytes(&frontier.root());
    values.bytes(note.as_bytes());
    values.bytes(&frontier.subtrees().flat_map(|(_, hash)| *hash).collect::<Vec<u8>>());
    values.bigint(crate::backend::clock());
    insert(Table::Checkpoint, values);
}

/// Tells of a note. Its transaction is flushed at commit, whatever the session's synchronous_commit says.
pub fn publish(note: &str, is_new: bool) {
    // SAFETY: sets a flag of the transaction.
    unsafe { pg_sys::ForceSyncCommit() };
    let told =
        Spi::run_with_args("select pg_catalog.pg_notify('kakunin_checkpoint', $1)", &[note.into()]).and_then(|()| {
            match is_new {
                true => Spi::run_with_args(
                    "insert into kakunin.outbox (topic, payload) values ('checkpoint', $1)",
                    &[note.into()],
                ),
                false => Ok(()),
            }
        });
    if let Err(failure) = told {
        crate::error::spi(failure).report(PgLogLevel::ERROR);
    }
}

/// A row of kakunin.log_range.
#[derive(Clone, Copy, Debug)]
pub struct StoredRange {
    pub first_index: i64,
    pub ledger: i32,
    pub first_seq: i64,
    pub last_seq: i64,
}

impl StoredRange {
    fn of(fields: &Fields<'_>) -> Option<Self> {
        let (first_index, ledger) = (fields.bigint(1)?, fields.integer(2)?);
        Some(Self { first_index, ledger, first_seq: fields.bigint(3)?, last_seq: fields.bigint(4)? })
    }

    /// Number in the log of its last entry.
    pub fn last_index(&self) -> u64 {
        self.first_index.saturating_add(self.last_seq.saturating_sub(self.first_seq)).cast_unsigned()
    }
}

/// All of them in the order of the log.
pub fn ranges_as_of(snapshot: pg_sys::Snapshot) -> Vec<StoredRange> {
    let mut ranges = Vec::new();
    // SAFETY: the caller has the snapshot registered.
    unsafe {
        store::in_order_as_of(Table::LogRange, Table::LogRangeKey, &[], Order::Ascending, snapshot, &mut |fields| {
            ranges.extend(StoredRange::of(fields));
            true
        });
    }
    ranges
}

/// The sizes of all checkpoints, ascending.
pub fn checkpoints_as_of(snapshot: pg_sys::Snapshot) -> Vec<u64> {
    let mut sizes = Vec::new();
    // SAFETY: the caller has the snapshot registered.
    unsafe {
        store::in_order_as_of(
            Table::Checkpoint,
            Table::CheckpointKey,
            &[],
            Order::Ascending,
            snapshot,
            &mut |fields| {
                sizes.extend(fields.bigint(1).and_then(|size| u64::try_from(size).ok()));
                true
            },
        );
    }
    sizes
}

/// The last entry of a ledger that is in one of the ranges.
pub fn last_seq_of(ranges: &[StoredRange], ledger: i32) -> Option<i64> {
    ranges.iter().rev().find(|range| range.ledger == ledger).map(|range| range.last_seq)
}

/// Up to where the log has the entries of a ledger.
pub fn last_range(ledger: i32) -> Option<StoredRange> {
    range(Table::LogRangeLedger, &[Key::integer(1, ledger)])
}

/// Where entry `seq` of a ledger is in the log, if it is.
pub fn index_of(ledger: i32, seq: i64) -> Option<u64> {
    let found = range(Table::LogRangeLedger, &[Key::integer(1, ledger), Key::bigint_to(2, seq)])?;
    (seq <= found.last_seq).then(|| (found.first_index + (seq - found.first_seq)).cast_unsigned())
}

/// The last entry of a ledger that is in the log of a size; 0 if there is none.
pub fn last_covered(ledger: i32, size: u64) -> i64 {
    let mut last = 0;
    store::in_order(
        Table::LogRange,
        Table::LogRangeLedger,
        &[Key::integer(1, ledger)],
        Order::Descending,
        &mut |fields| match StoredRange::of(fields) {
            Some(range) if range.last_index() < size => {
                last = range.last_seq;
                false
            }
            _ => true,
        },
    );
    last
}

/// The last row, in the order of the index, that the keys allow.
fn range(index: Table, keys: &[Key]) -> Option<StoredRange> {
    let mut found = None;
    store::in_order(Table::LogRange, index, keys, Order::Descending, &mut |fields| {
        found = StoredRange::of(fields);
        false
    });
    found
}

/// Says where entries of a ledger are.
pub fn store_range(first_index: u64, ledger: i32, first_seq: i64, last_seq: i64) {
    let mut values = Values::new();
    values.bigint(first_index.cast_signed());
    values.integer(ledger);
    values.bigint(first_seq);
    values.bigint(last_seq);
    insert(Table::LogRange, values);
}

fn insert(table: Table, values: Values) {
    // SAFETY: the values are those of the table's columns, in order (pg_test/sql/schema.sql fails when they move); the
    // table exists, for a function of the extension runs.
    unsafe {
        let Some(heap) = store::open(table, pg_sys::RowExclusiveLock) else { return };
        let indexes = pg_sys::CatalogOpenIndexes(heap);
        values.insert(heap, indexes);
        pg_sys::CatalogCloseIndexes(indexes);
        pg_sys::table_close(heap, pg_sys::RowExclusiveLock as i32);
    }
}

/// The hashes of the log, as its tables keep them. Some tiles are remembered: one proof asks for the same ones.
#[derive(Default)]
pub struct KeptHashes {
    recent: VecDeque<(Tile, Vec<Hash>)>,
}

impl KeptHashes {
    /// The hash of one entry, from its tile if that is full.
    pub fn leaf(&mut self, index: u64) -> Result<Hash, Reason> {
        let (tile, places) = Tile::of_subtree(0, index);
        let hash = self.tile(tile)?.get(places.start).copied();
        hash.ok_or_else(|| broken_tile(tile))
    }

    fn remember(&mut self, tile: Tile, hashes: &[Hash]) {
        if self.recent.len() >= TILES_REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((tile, hashes.to_vec()));
    }
}

impl Hashes for KeptHashes {
    type Error = Reason;

    fn leaves(&mut self, entries: Range<u64>) -> Result<Vec<Hash>, Reason> {
        let broken = |what: &str| Reason::LogBroken { what: format!("entries {entries:?} of the log: {what}") };
        let mut hashes = Vec::new();
        let mut next = entries.start;
        while next < entries.end {
            let range = range(Table::LogRangeKey, &[Key::bigint_to(1, next.cast_signed())]);
            let range = range.filter(|range| range.last_index() >= next);
            let range = range.ok_or_else(|| broken("kakunin.log_range does not say where they are"))?;
            let from = range.first_seq + (next.cast_signed() - range.first_index);
            let count = (range.last_index() + 1).min(entries.end) - next;
            let keys = [Key::integer(1, range.ledger), Key::bigint_from(2, from)];
            let before = hashes.len();
            let memory = RowMemory::new();
            store::in_order(Table::Entry, Table::EntryKey, &keys, Order::Ascending, &mut |fields| {
                let read = || fields.bytes(13).and_then(|hash| Hash::try_from(hash).ok());
                let place = (hashes.len() - before) as i64;
                match memory.act(read).filter(|_| fields.bigint(2) == Some(from + place)) {
                    Some(hash) => hashes.push(hash),
                    None => return false,
                }
                ((hashes.len() - before) as u64) < count
            });
            if ((hashes.len() - before) as u64) < count {
                return Err(broken("kakunin.ledger_entry does not have them"));
            }
            next += count;
        }
        Ok(hashes)
    }

    fn tile(&mut self, tile: Tile) -> Result<Vec<Hash>, Reason> {
        if let Some((_, hashes)) = self.recent.iter().find(|(known, _)| *known == tile) {
            return Ok(hashes.clone());
        }
        let keys = [Key::smallint(1, tile.level.into()), Key::bigint(2, tile.index.cast_signed())];
        let mut found = None;
        let memory = RowMemory::new();
        store::in_order(Table::LogTile, Table::LogTileKey, &keys, Order::Ascending, &mut |fields| {
            found = memory.act(|| fields.bytes(3).map(|hashes| hashes.as_chunks().0.to_vec()));
            false
        });
        let found = found.filter(|hashes: &Vec<Hash>| hashes.len() == WIDTH).ok_or_else(|| broken_tile(tile))?;
        self.remember(tile, &found);
        Ok(found)
    }

    fn keep(&mut self, tile: Tile, hashes: &[Hash]) -> Result<(), Reason> {
        let mut values = Values::new();
        values.smallint(tile.level.into());
        values.bigint(tile.index.cast_signed());
        values.bytes(hashes.as_flattened());
        insert(Table::LogTile, values);
        self.remember(tile, hashes);
        Ok(())
    }
}

fn broken_tile(tile: Tile) -> Reason {
    Reason::LogBroken { what: format!("tile {} of level {} is missing", tile.index, tile.level) }
}

/// A kilobyte for 32 hashes: 2 MB, which holds the tiles below one of the next level.
const TILES_REMEMBERED: usize = 256;
