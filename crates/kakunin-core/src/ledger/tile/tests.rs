use std::collections::BTreeMap;

use super::*;
use crate::ledger::merkle::Frontier;
use crate::ledger::merkle::tests::leaves;
use crate::ledger::proof;

#[test]
fn the_example_of_the_specification_comes_out() {
    // A log of 70,000: 273 full tiles and 112 hashes, 1 full tile and 17 hashes, 1 hash.
    let full: Vec<_> = completed(0, 70_000).collect();
    assert_eq!(full.iter().filter(|tile| tile.level == 0).count(), 273);
    assert_eq!(full.iter().filter(|tile| tile.level == 1).collect::<Vec<_>>(), [&Tile { level: 1, index: 0 }]);
    assert_eq!(full.len(), 274);
    let width = |level, index| Tile { level, index }.width(70_000);
    assert_eq!((width(0, 272), width(0, 273), width(0, 274)), (256, 112, 0));
    assert_eq!((width(1, 0), width(1, 1), width(1, 2)), (256, 17, 0));
    assert_eq!((width(2, 0), width(3, 0), width(7, 0)), (1, 0, 0));
    assert_eq!(Tile { level: 1, index: 0 }.width(256), 1);
}

#[test]
fn paths_are_those_of_the_layout() {
    assert_eq!(Tile { level: 0, index: 1_234_067 }.path(256), "0/x001/x234/067");
    assert_eq!(Tile { level: 2, index: 5 }.path(17), "2/005.p/17");
    assert_eq!(Tile { level: 1, index: 1000 }.path(256), "1/x001/000");
    assert_eq!(Tile { level: 0, index: 0 }.parent(), (Tile { level: 1, index: 0 }, 0));
    assert_eq!(Tile { level: 0, index: 515 }.parent(), (Tile { level: 1, index: 2 }, 3));
}

#[test]
fn growth_in_steps_completes_the_same_tiles_as_at_once() {
    let at_once: std::collections::BTreeSet<_> = completed(0, 200_000).collect();
    let mut stepwise = std::collections::BTreeSet::new();
    let mut size = 0;
    for step in [1, 254, 1, 255, 65_025, 1, 0, 100_000, 34_463] {
        for tile in completed(size, size + step) {
            assert!(stepwise.insert(tile), "{tile:?} twice");
        }
        size += step;
    }
    assert_eq!(size, 200_000);
    assert_eq!(stepwise, at_once);
    assert_eq!(completed(5, 4).count(), 0);
    assert_eq!(completed(1 << 56, (1 << 56) + 255).count(), 0);
    assert_eq!(completed((1 << 56) - 1, 1 << 56).map(|tile| tile.level).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
}

/// A log kept as its full tiles, and the hashes right of them.
struct Tiles {
    full: BTreeMap<Tile, Vec<Hash>>,
    leaves: Vec<Hash>,
}

impl Tiles {
    fn new(leaves: Vec<Hash>) -> Self {
        let mut tiles = Self { full: BTreeMap::new(), leaves };
        for tile in completed(0, tiles.leaves.len() as u64) {
            let hashes: Vec<_> = (0..256).map(|place| tiles.node(tile.level, tile.index * 256 + place)).collect();
            assert!(tile_root(&hashes).is_some());
            tiles.full.insert(tile, hashes);
        }
        tiles
    }

    /// Hash `index` of a level of tiles.
    fn node(&self, level: u8, index: u64) -> Hash {
        if level == 0 {
            return self.leaves[index as usize];
        }
        tile_root(&self.full[&Tile { level: level - 1, index }]).unwrap()
    }

    fn subtree(&self, level: u8, index: u64) -> Result<Hash, ()> {
        let (tile, places) = Tile::of_subtree(level, index);
        assert!(places.end <= tile.width(self.leaves.len() as u64));
        Ok(root_of(places.map(|place| match self.full.get(&tile) {
            Some(hashes) => hashes[place],
            None => self.node(tile.level, tile.index * 256 + place as u64),
        })))
    }
}

#[test]
fn proofs_from_tiles_are_those_from_leaves() {
    let tiles = Tiles::new(leaves(67_000));
    let all = &tiles.leaves;
    for (index, size) in [(0, 67_000), (66_999, 67_000), (65_535, 65_536), (65_536, 66_000), (300, 513), (255, 257)] {
        let made = proof::inclusion(index, size, |level, index| tiles.subtree(level, index)).unwrap();
        let expected = proof::inclusion(index, size, proof::from_leaves(&all[..size as usize])).unwrap();
        assert_eq!(made, expected, "{index} in {size}");
    }
    for (old, new) in [(1, 67_000), (65_536, 67_000), (300, 301), (66_999, 67_000), (12_345, 54_321)] {
        let made = proof::consistency(old, new, |level, index| tiles.subtree(level, index)).unwrap();
        let expected = proof::consistency(old, new, proof::from_leaves(&all[..new as usize])).unwrap();
        assert_eq!(made, expected, "{old} and {new}");
    }
    let frontier = Frontier::of(66_001, |level, index| tiles.subtree(level, index)).unwrap();
    assert_eq!(frontier.root(), root_of(all[..66_001].iter().copied()));
}

#[test]
fn no_place_overflows() {
    for level in 0..64 {
        let (tile, places) = Tile::of_subtree(level, u64::MAX);
        assert!(tile.level < 8 && places.end <= 256, "{level}");
    }
    assert_eq!(Tile { level: 0, index: u64::MAX }.width(u64::MAX), 0);
}
