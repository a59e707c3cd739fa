//! A log that grows, and is kept as full tiles: what must be at hand to add to it, and to prove something of it.

use std::ops::Range;

use super::merkle::{Frontier, Hash};
use super::tile::{Tile, WIDTH, tile_root};

/// Where the hashes of a log are kept.
pub trait Hashes {
    /// Why something could not be read or written.
    type Error;
    /// The hashes of these entries, which lie right of the full tiles.
    fn leaves(&mut self, entries: Range<u64>) -> Result<Vec<Hash>, Self::Error>;
    /// The 256 hashes of a full tile.
    fn tile(&mut self, tile: Tile) -> Result<Vec<Hash>, Self::Error>;
    /// Keeps a full tile.
    fn keep(&mut self, tile: Tile, hashes: &[Hash]) -> Result<(), Self::Error>;
}

/// Adds entries to a log, in memory that does not grow with it.
pub struct Growth {
    frontier: Frontier,
    levels: Vec<Edge>,
}

/// The tile of one level that is not full yet: its first hashes are not at hand, the others are.
#[derive(Default)]
struct Edge {
    elsewhere: usize,
    hashes: Vec<Hash>,
}

impl Growth {
    /// For a log with this frontier. None if the entries right of its full tiles are not those of the frontier.
    pub fn resume<H: Hashes>(frontier: Frontier, kept: &mut H) -> Result<Option<Self>, H::Error> {
        let size = frontier.size();
        let edge = size % WIDTH as u64;
        let hashes = if edge == 0 { Vec::new() } else { kept.leaves(size - edge..size)? };
        let mut tree = Frontier::new();
        hashes.iter().for_each(|leaf| tree.push(*leaf));
        let below = frontier.subtrees().take_while(|(level, _)| u32::from(*level) < WIDTH.ilog2());
        if tree.size() != edge || !tree.subtrees().eq(below) {
            return Ok(None);
        }
        let mut levels = vec![Edge { elsewhere: 0, hashes }];
        levels.extend((1..LEVELS).map(|level| {
            let nodes = size.checked_shr(level * WIDTH.ilog2()).unwrap_or_default();
            Edge { elsewhere: usize::try_from(nodes % WIDTH as u64).unwrap_or_default(), hashes: Vec::new() }
        }));
        Ok(Some(Self { frontier, levels }))
    }

    /// Size and root.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// The hash of an entry right of the full tiles; None if it is elsewhere.
    pub fn leaf(&self, index: u64) -> Option<&Hash> {
        let edge = self.levels.first()?;
        let first = self.frontier.size() - edge.hashes.len() as u64;
        edge.hashes.get(usize::try_from(index.checked_sub(first)?).ok()?)
    }

    /// Adds the hash of the next entry, and keeps the tiles that become full.
    pub fn push<H: Hashes>(&mut self, leaf: Hash, kept: &mut H) -> Result<(), H::Error> {
        self.frontier.push(leaf);
        let (mut level, mut hash) = (0, leaf);
        while let Some(edge) = self.levels.get_mut(level) {
            edge.hashes.push(hash);
            if edge.elsewhere + edge.hashes.len() < WIDTH {
                break;
            }
            let mut hashes = Vec::with_capacity(WIDTH);
            let tile = Tile { level: level as u8, index: self.frontier.size() / width(level) - 1 };
            for place in 0..edge.elsewhere as u64 {
                let below = Tile { level: tile.level - 1, index: tile.index * WIDTH as u64 + place };
                hashes.extend(tile_root(&kept.tile(below)?));
            }
            hashes.append(&mut edge.hashes);
            edge.elsewhere = 0;
            kept.keep(tile, &hashes)?;
            // There are 256, or the store gave a tile that is none; then the root comes out wrong, and nobody signs it.
            hash = tile_root(&hashes).unwrap_or_default();
            level += 1;
        }
        Ok(())
    }
}

/// The hash over the 2^level entries from `index` × 2^level on, in a log of `size` entries: what the proofs of
/// [`super::proof`] ask for.
pub fn subtree<H: Hashes>(kept: &mut H, size: u64, level: u8, index: u64) -> Result<Hash, H::Error> {
    let (tile, places) = Tile::of_subtree(level, index);
    let hashes = if tile.width(size) == WIDTH {
        let hashes = kept.tile(tile)?;
        hashes.get(places).map(<[Hash]>::to_vec).unwrap_or_default()
    } else {
        let first = tile.index * WIDTH as u64;
        let nodes = first + places.start as u64..first + places.end as u64;
        match tile.level.checked_sub(1) {
            None => kept.leaves(nodes)?,
            Some(below) => {
                let mut hashes = Vec::new();
                for index in nodes {
                    hashes.extend(tile_root(&kept.tile(Tile { level: below, index })?));
                }
                hashes
            }
        }
    };
    Ok(super::merkle::root_of(hashes))
}

/// Entries below a full tile of a level.
fn width(level: usize) -> u64 {
    1_u64.checked_shl((level as u32 + 1) * WIDTH.ilog2()).unwrap_or(u64::MAX)
}

/// Levels of tiles that can become full: those of 2^56 entries.
const LEVELS: u32 = 7;

#[cfg(test)]
mod tests;
