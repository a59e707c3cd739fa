//! The tiles of the log, which proofs are made from: they must be those of the entries.

use crate::ledger::raw::RowMemory;
use crate::ledger::store::{self, Key, Order, Table};
use kakunin_core::ledger::Hash;
use kakunin_core::ledger::tile::{Tile, WIDTH, tile_root};
use pgrx::prelude::*;

/// Fed with the leaves of the log in order, it makes each tile anew and compares.
pub struct Tiles {
    snapshot: pg_sys::Snapshot,
    memory: RowMemory,
    levels: Vec<Level>,
    wrong: Option<Tile>,
}

#[derive(Default)]
struct Level {
    hashes: Vec<Hash>,
    index: u64,
}

impl Tiles {
    /// For a log from its first entry on.
    ///
    /// # Safety
    /// The snapshot stays registered as long as this lives.
    pub unsafe fn new(snapshot: pg_sys::Snapshot) -> Self {
        Self { snapshot, memory: RowMemory::new(), levels: Vec::new(), wrong: None }
    }

    /// Takes the hash of the next entry.
    pub fn leaf(&mut self, leaf: &Hash) {
        let mut next = Some(*leaf);
        let mut level = 0;
        while let Some(hash) = next.take() {
            if self.levels.len() <= level {
                self.levels.push(Level::default());
            }
            let Some(edge) = self.levels.get_mut(level) else { return };
            edge.hashes.push(hash);
            if edge.hashes.len() == WIDTH {
                let tile = Tile { level: u8::try_from(level).unwrap_or(u8::MAX), index: edge.index };
                // SAFETY: by the promise of whoever made this.
                if self.wrong.is_none() && !self.memory.act(|| unsafe { is_kept(tile, &edge.hashes, self.snapshot) }) {
                    self.wrong = Some(tile);
                }
                next = tile_root(&edge.hashes);
                edge.hashes.clear();
                edge.index += 1;
            }
            level += 1;
        }
    }

    /// The first tile that is not kept as it must be.
    pub fn finish(self) -> Option<Tile> {
        self.wrong
    }
}

unsafe fn is_kept(tile: Tile, hashes: &[Hash], snapshot: pg_sys::Snapshot) -> bool {
    let keys = [Key::smallint(1, tile.level.into()), Key::bigint(2, tile.index.cast_signed())];
    let mut found = false;
    let mut visit = |fields: &store::Fields<'_>| {
        found = fields.bytes(3) == Some(hashes.as_flattened());
        false
    };
    // SAFETY: by the caller's promise.
    unsafe { store::in_order_as_of(Table::LogTile, Table::LogTileKey, &keys, Order::Ascending, snapshot, &mut visit) };
    found
}
