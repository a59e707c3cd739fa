use super::*;
use crate::ledger::merkle::{leaf_hash, root_of};
use crate::ledger::proof::{consistency, inclusion, verify_consistency, verify_inclusion};
use std::collections::BTreeMap;

/// A log in memory that notes what was asked of it.
#[derive(Default)]
struct Memory {
    leaves: Vec<Hash>,
    tiles: BTreeMap<Tile, Vec<Hash>>,
    tiles_read: usize,
}

impl Hashes for Memory {
    type Error = String;
    fn leaves(&mut self, entries: Range<u64>) -> Result<Vec<Hash>, String> {
        assert!(entries.end - entries.start <= 256);
        let (start, end) = (entries.start as usize, entries.end as usize);
        self.leaves.get(start..end).map(<[Hash]>::to_vec).ok_or(format!("no leaves {entries:?}"))
    }
    fn tile(&mut self, tile: Tile) -> Result<Vec<Hash>, String> {
        self.tiles_read += 1;
        self.tiles.get(&tile).cloned().ok_or(format!("no {tile:?}"))
    }
    fn keep(&mut self, tile: Tile, hashes: &[Hash]) -> Result<(), String> {
        assert_eq!(hashes.len(), 256);
        assert!(self.tiles.insert(tile, hashes.to_vec()).is_none(), "{tile:?} twice");
        Ok(())
    }
}

fn leaf(index: u64) -> Hash {
    leaf_hash(&index.to_be_bytes())
}

/// Grows a log to each of these sizes, anew each time.
fn grown(sizes: &[u64]) -> (Memory, Frontier) {
    let (mut memory, mut frontier) = (Memory::default(), Frontier::new());
    for &size in sizes {
        let mut growth = Growth::resume(frontier, &mut memory).unwrap().unwrap();
        for index in growth.frontier().size()..size {
            growth.push(leaf(index), &mut memory).unwrap();
            memory.leaves.push(leaf(index));
        }
        frontier = growth.frontier().clone();
    }
    (memory, frontier)
}

#[test]
fn a_log_that_grew_in_steps_is_the_one_that_grew_at_once() {
    let size = 256 * 256 + 777;
    let (once, frontier) = grown(&[size]);
    assert_eq!(frontier.root(), root_of((0..size).map(leaf)));
    assert_eq!(once.tiles_read, 0, "what was just made is at hand");
    assert_eq!(once.tiles.len(), 256 + 3 + 1);
    for tile in crate::ledger::tile::completed(0, size) {
        assert!(once.tiles.contains_key(&tile), "{tile:?}");
    }
    let steps = [0, 1, 1, 255, 256, 257, 700, 40_000, 65_535, 65_536, 65_537, size];
    let (stepwise, again) = grown(&steps);
    assert_eq!(stepwise.tiles, once.tiles);
    assert_eq!(again.root(), frontier.root());
    assert!(stepwise.tiles_read > 0);
}

#[test]
fn what_is_right_of_the_tiles_must_agree_with_the_frontier() {
    let (mut memory, frontier) = grown(&[700]);
    assert!(Growth::resume(frontier.clone(), &mut memory).unwrap().is_some());
    for wrong in [512, 600, 699] {
        let good = std::mem::take(&mut memory.leaves[wrong]);
        assert!(Growth::resume(frontier.clone(), &mut memory).unwrap().is_none(), "{wrong}");
        memory.leaves[wrong] = good;
    }
    memory.leaves.truncate(699);
    assert!(Growth::resume(frontier, &mut memory).is_err());
}

#[test]
fn entries_at_the_edge_are_known() {
    let (mut memory, frontier) = grown(&[700]);
    let growth = Growth::resume(frontier, &mut memory).unwrap().unwrap();
    assert_eq!(growth.leaf(511), None);
    assert_eq!(growth.leaf(512), Some(&leaf(512)));
    assert_eq!(growth.leaf(699), Some(&leaf(699)));
    assert_eq!(growth.leaf(700), None);
}

/// The root at each size, of those up to one.
fn roots(size: u64) -> Vec<Hash> {
    let mut frontier = Frontier::new();
    let root = |frontier: &Frontier| frontier.root();
    let mut roots = vec![root(&frontier)];
    for index in 0..size {
        frontier.push(leaf(index));
        roots.push(root(&frontier));
    }
    roots
}

#[test]
fn proofs_are_made_from_tiles() {
    for size in [1, 255, 256, 257, 66_000] {
        let (mut memory, _) = grown(&[size]);
        let roots = roots(size);
        let root = |size: u64| &roots[size as usize];
        for index in [0, 254, 256, 65_535, 65_536, size - 1] {
            let path = inclusion(index, size, |level, at| subtree(&mut memory, size, level, at)).unwrap();
            assert_eq!(path.is_some(), index < size);
            let Some(path) = path else { continue };
            assert!(verify_inclusion(index, size, leaf(index), &path, root(size)), "{index} of {size}");
        }
        for old in [0, 1, 255, 256, 257, 65_537, size] {
            // Also from an older size than the one that is kept.
            for new in [size, size / 2] {
                let path = consistency(old, new, |level, at| subtree(&mut memory, size, level, at)).unwrap();
                let Some(path) = path else { continue };
                assert!(verify_consistency(old, new, root(old), root(new), &path), "{old} to {new} of {size}");
            }
        }
    }
}
