use proptest::prelude::*;

use super::*;
use crate::ledger::merkle::root_of;
use crate::ledger::merkle::tests::{leaves, naive_root};
use crate::ledger::tests::{hash, vectors};

fn path_of(text: &str) -> Vec<Hash> {
    text.split(',').filter(|node| !node.is_empty()).map(hash).collect()
}

/// The eight leaves of the vectors, from the record of their tree.
fn vector_leaves() -> Vec<Hash> {
    let record = &vectors("tree")[8];
    let input = |text: &str| crate::ledger::merkle::leaf_hash(&crate::ledger::tests::unhex(&text[1..]));
    record.get("Leaves").split(',').map(input).collect()
}

#[test]
fn the_vectors_come_out_and_verify() {
    let leaves = vector_leaves();
    for record in vectors("inclusion") {
        let (index, size): (usize, usize) = (record.get("Index").parse().unwrap(), record.get("Size").parse().unwrap());
        let path = path_of(record.get("Path"));
        let made = inclusion(index as u64, size as u64, from_leaves(&leaves[..size])).unwrap().unwrap();
        assert_eq!(made, path, "{}", record.get("Name"));
        assert!(verify_inclusion(index as u64, size as u64, leaves[index], &path, &naive_root(&leaves[..size])));
    }
    for record in vectors("consistency") {
        let (old, new): (usize, usize) = (record.get("Old").parse().unwrap(), record.get("New").parse().unwrap());
        let path = path_of(record.get("Path"));
        let made = consistency(old as u64, new as u64, from_leaves(&leaves[..new])).unwrap().unwrap();
        assert_eq!(made, path, "{}", record.get("Name"));
        let (old_root, new_root) = (naive_root(&leaves[..old]), naive_root(&leaves[..new]));
        assert!(verify_consistency(old as u64, new as u64, &old_root, &new_root, &path));
    }
}

#[test]
fn each_leaf_of_each_small_tree_is_proven_at_its_place_alone() {
    let leaves = leaves(33);
    for size in 1..=33_u64 {
        let tree = &leaves[..size as usize];
        let root = naive_root(tree);
        for index in 0..size {
            let path = inclusion(index, size, from_leaves(tree)).unwrap().unwrap();
            for other in 0..size + 2 {
                let proven = verify_inclusion(other, size, leaves[index as usize], &path, &root);
                assert_eq!(proven, other == index, "{index} as {other} in {size}");
            }
            let longer = [path.as_slice(), &[root]].concat();
            assert!(!verify_inclusion(index, size, leaves[index as usize], &longer, &root));
            if let Some((_, shorter)) = path.split_last() {
                assert!(!verify_inclusion(index, size, leaves[index as usize], shorter, &root));
            }
        }
    }
}

#[test]
fn each_pair_of_small_trees_is_proven_consistent_and_no_other_pair() {
    let leaves = leaves(24);
    for new in 0..=24_u64 {
        let new_root = naive_root(&leaves[..new as usize]);
        for old in 0..=new {
            let old_root = naive_root(&leaves[..old as usize]);
            let path = consistency(old, new, from_leaves(&leaves[..new as usize])).unwrap().unwrap();
            assert!(verify_consistency(old, new, &old_root, &new_root, &path), "{old} {new}");
            assert!(!verify_consistency(old, new, &[7; 32], &new_root, &path));
            // From the empty tree everything follows, whatever its root: the root is what the signature is for.
            assert!(old == 0 || !verify_consistency(old, new, &old_root, &[7; 32], &path));
            let longer = [path.as_slice(), &[new_root]].concat();
            assert!(!verify_consistency(old, new, &old_root, &new_root, &longer));
            if let Some((_, shorter)) = path.split_last() {
                assert!(!verify_consistency(old, new, &old_root, &new_root, shorter), "{old} {new}");
            }
        }
        assert!(!verify_consistency(new + 1, new, &new_root, &new_root, &[]));
        assert_eq!(consistency(new + 1, new, from_leaves(&leaves)).unwrap(), None);
    }
}

#[test]
fn what_is_not_there_has_no_proof() {
    let leaves = leaves(3);
    assert_eq!(inclusion(3, 3, from_leaves(&leaves)).unwrap(), None);
    assert_eq!(inclusion(0, 0, from_leaves(&leaves)).unwrap(), None);
    assert!(inclusion(0, 5, from_leaves(&leaves)).is_err());
    assert!(inclusion(5, u64::MAX, from_leaves(&leaves)).is_err());
    assert!(!verify_inclusion(0, 0, leaves[0], &[], &leaves[0]));
}

#[test]
fn huge_sizes_are_decided_without_overflow() {
    let path = vec![[1; 32]; 64];
    for size in [1 << 63, u64::MAX - 1, u64::MAX] {
        let root = root_by_inclusion(size - 1, size, [2; 32], &path);
        assert!(root.is_none() || root.is_some_and(|root| root != [0; 32]));
        assert!(!verify_consistency(size - 1, size, &[1; 32], &[2; 32], &path));
        assert!(!verify_consistency(1, size, &[1; 32], &[2; 32], &path));
    }
    let made = inclusion(u64::MAX - 1, u64::MAX, |_, _| Ok::<_, ()>([1; 32])).unwrap().unwrap();
    assert_eq!(made.len(), 63);
    assert!(root_by_inclusion(u64::MAX - 1, u64::MAX, [1; 32], &made).is_some());
}

proptest! {
    #[test]
    fn larger_trees_are_proven_and_a_changed_bit_is_seen(size in 1_usize..500, index: usize, bit in 0_usize..256, at: usize) {
        let tree = leaves(size);
        let index = index % size;
        let root = root_of(tree.iter().copied());
        let mut path = inclusion(index as u64, size as u64, from_leaves(&tree)).unwrap().unwrap();
        prop_assert!(verify_inclusion(index as u64, size as u64, tree[index], &path, &root));
        if !path.is_empty() {
            let at = at % path.len();
            path[at][bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!verify_inclusion(index as u64, size as u64, tree[index], &path, &root));
        }
    }

    #[test]
    fn growth_is_proven_and_a_changed_bit_is_seen(new in 1_usize..500, old: usize, bit in 0_usize..256, at: usize) {
        let tree = leaves(new);
        let old = 1 + old % new;
        let (old_root, new_root) = (naive_root(&tree[..old]), naive_root(&tree));
        let mut path = consistency(old as u64, new as u64, from_leaves(&tree)).unwrap().unwrap();
        prop_assert!(verify_consistency(old as u64, new as u64, &old_root, &new_root, &path));
        if !path.is_empty() {
            let at = at % path.len();
            path[at][bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!verify_consistency(old as u64, new as u64, &old_root, &new_root, &path));
        }
    }
}
