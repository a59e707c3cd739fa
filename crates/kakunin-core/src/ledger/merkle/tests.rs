use proptest::prelude::*;

use super::*;
use crate::ledger::tests::{hash, unhex, vectors};

/// RFC 6962 section 2.1, as it is written there.
pub(crate) fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        _ => {
            let split = (0..).map(|bit| 1 << bit).take_while(|power| *power < leaves.len()).last().unwrap();
            node_hash(&naive_root(&leaves[..split]), &naive_root(&leaves[split..]))
        }
    }
}

/// Leaves that differ.
pub(crate) fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|index| leaf_hash(&index.to_be_bytes())).collect()
}

#[test]
fn the_trees_of_certificate_transparency_come_out() {
    // The roots that the tests of that project state, for its eight well-known leaves.
    let published = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    for (record, published) in vectors("tree").iter().zip(published) {
        assert_eq!(record.get("Root"), published);
        let inputs = record.get("Leaves").split(',').filter(|input| !input.is_empty());
        let leaves: Vec<_> = inputs.map(|input| leaf_hash(&unhex(&input[1..]))).collect();
        assert_eq!(root_of(leaves.iter().copied()), hash(published), "{}", record.get("Name"));
        assert_eq!(naive_root(&leaves), hash(published));
    }
    assert_eq!(vectors("tree").len(), published.len());
    assert_eq!(EMPTY_ROOT, hash(published[0]));
}

#[test]
fn every_size_up_to_600_has_the_root_of_the_definition_and_can_be_stored() {
    let leaves = leaves(600);
    let mut frontier = Frontier::new();
    for size in 0..=leaves.len() {
        let root = naive_root(&leaves[..size]);
        assert_eq!((frontier.size(), frontier.root()), (size as u64, root), "{size}");
        let stored: Vec<_> = frontier.subtrees().map(|(_, hash)| *hash).collect();
        assert_eq!(stored.len() as u32, size.count_ones());
        let mut restored = Frontier::restore(size as u64, &stored).unwrap();
        assert_eq!(restored.root(), root);
        if let Some(leaf) = leaves.get(size) {
            frontier.push(*leaf);
            restored.push(*leaf);
            assert_eq!(restored.root(), frontier.root());
        }
    }
}

#[test]
fn a_frontier_is_restored_from_the_right_number_of_hashes_only() {
    assert!(Frontier::restore(5, &[[1; 32]; 2]).is_some());
    assert!(Frontier::restore(5, &[[1; 32]; 1]).is_none());
    assert!(Frontier::restore(5, &[[1; 32]; 3]).is_none());
    assert!(Frontier::restore(u64::MAX, &[[1; 32]; 64]).is_some());
}

#[test]
fn the_largest_tree_takes_no_leaf_and_does_not_panic() {
    let mut frontier = Frontier::restore(u64::MAX, &[[1; 32]; 64]).unwrap();
    let root = frontier.root();
    frontier.push([2; 32]);
    assert_eq!((frontier.size(), frontier.root()), (u64::MAX, root));
    frontier.clear();
    assert_eq!(frontier.root(), EMPTY_ROOT);
}

proptest! {
    #[test]
    fn a_clone_is_a_savepoint(before in 0_usize..200, inside in 0_usize..200, after in 0_usize..200) {
        let all = leaves(before + inside + after);
        let mut frontier = Frontier::new();
        all[..before].iter().for_each(|leaf| frontier.push(*leaf));
        let savepoint = frontier.clone();
        all[before..before + inside].iter().for_each(|leaf| frontier.push(*leaf));
        frontier = savepoint;
        all[before + inside..].iter().for_each(|leaf| frontier.push(*leaf));
        let kept = [&all[..before], &all[before + inside..]].concat();
        prop_assert_eq!(frontier.root(), naive_root(&kept));
    }
}
