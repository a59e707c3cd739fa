//! Tiles of a log: 256 hashes each, as C2SP tlog-tiles lays them out.
//!
//! A tile of level 0 holds leaf hashes; one of level *l* + 1 the roots of 256 full tiles of level *l*. Only full tiles
//! are stored. What lies right of them is fewer than 256 hashes on each level.

use std::ops::Range;

use super::merkle::{Hash, root_of};

/// The place of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// 0 to 7.
    pub level: u8,
    /// From 0 on, within its level.
    pub index: u64,
}

impl Tile {
    /// The tile that holds the nodes below the complete subtree of 2^`level` leaves number `index`, and where in it. The
    /// subtree's hash is [`root_of`] over those. Levels are 0 to 63.
    pub fn of_subtree(level: u8, index: u64) -> (Self, Range<usize>) {
        let below = u32::from(level % HEIGHT);
        let first = index.checked_shl(below).unwrap_or(u64::MAX);
        let start = usize::try_from(first % WIDTH as u64).unwrap_or_default();
        (Self { level: level / HEIGHT, index: first / WIDTH as u64 }, start..start + (1 << below))
    }

    /// The tile one level up that holds this one's root, and where in it.
    pub fn parent(self) -> (Self, usize) {
        let place = usize::try_from(self.index % WIDTH as u64).unwrap_or_default();
        (Self { level: self.level + 1, index: self.index / WIDTH as u64 }, place)
    }

    /// How many hashes of this tile exist in a log of `size` leaves: 0 to 256.
    pub fn width(self, size: u64) -> usize {
        let nodes = size.checked_shr(u32::from(self.level) * u32::from(HEIGHT)).unwrap_or_default();
        let before = self.index.saturating_mul(WIDTH as u64);
        usize::try_from(nodes.saturating_sub(before)).unwrap_or(WIDTH).min(WIDTH)
    }

    /// Its path below `tile/`, such as `0/x001/x234/067`; with `width` below 256 that of the partial tile.
    pub fn path(self, width: usize) -> String {
        let mut groups = vec![format!("{:03}", self.index % 1000)];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(format!("x{:03}", rest % 1000));
            rest /= 1000;
        }
        groups.push(self.level.to_string());
        groups.reverse();
        let path = groups.join("/");
        if width < WIDTH { format!("{path}.p/{width}") } else { path }
    }
}

/// The tiles that become full when a log grows from `old` to `new` leaves, lower levels first, so that each can be
/// made from those before it. None if it did not grow.
pub fn completed(old: u64, new: u64) -> impl Iterator<Item = Tile> {
    (0..LEVELS).flat_map(move |level| {
        let span = u32::from(level + 1) * u32::from(HEIGHT);
        let full = |size: u64| size.checked_shr(span).unwrap_or_default();
        (full(old)..full(new)).map(move |index| Tile { level, index })
    })
}

/// The root of a full tile, which stands for it one level up. None unless there are 256 hashes.
pub fn tile_root(hashes: &[Hash]) -> Option<Hash> {
    (hashes.len() == WIDTH).then(|| root_of(hashes.iter().copied()))
}

/// Hashes in a full tile.
pub const WIDTH: usize = 256;
/// Levels of the tree that one level of tiles spans.
const HEIGHT: u8 = 8;
/// Levels of tiles: 8 × 8 bits.
const LEVELS: u8 = 8;

#[cfg(test)]
mod tests;
