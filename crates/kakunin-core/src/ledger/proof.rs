//! Proofs of RFC 6962 sections 2.1.1 and 2.1.2: that a leaf is in a tree, and that a tree only grew.
//!
//! Making a proof needs hashes of complete subtrees only, which the caller fetches: from tiles, or from leaves with
//! [`from_leaves`]. Checking one needs nothing but the proof (RFC 9162 sections 2.1.3.2 and 2.1.4.2).

use super::Malformed;
use super::merkle::{EMPTY_ROOT, Frontier, Hash, node_hash};

/// The path of leaf `index` in the tree of `size` leaves, from the leaf's sibling up. `subtree(level, index)` gives the
/// hash over the 2^level leaves from `index` × 2^level on. None if there is no such leaf.
pub fn inclusion<E>(
    index: u64,
    size: u64,
    mut subtree: impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Option<Vec<Hash>>, E> {
    if index >= size {
        return Ok(None);
    }
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(range(middle, end, &mut subtree)?);
            end = middle;
        } else {
            path.push(range(start, middle, &mut subtree)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(Some(path))
}

/// The proof that the tree of `old` leaves is a prefix of that of `new`. Empty if `old` is 0 or `new`; None if `old` is
/// larger than `new`.
pub fn consistency<E>(
    old: u64,
    new: u64,
    mut subtree: impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Option<Vec<Hash>>, E> {
    if old > new {
        return Ok(None);
    }
    let mut path = Vec::new();
    if old == 0 || old == new {
        return Ok(Some(path));
    }
    let (mut start, mut end) = (0, new);
    while end != old {
        let middle = start + split(end - start);
        if old <= middle {
            path.push(range(middle, end, &mut subtree)?);
            end = middle;
        } else {
            path.push(range(start, middle, &mut subtree)?);
            start = middle;
        }
    }
    // The old tree itself is known to whoever checks, unless it was cut into parts on the way.
    if start != 0 {
        path.push(range(start, end, &mut subtree)?);
    }
    path.reverse();
    Ok(Some(path))
}

/// The root to which the path leads from leaf `index` of `size`; None if the path has not the length that it must
/// have, or there is no such leaf.
pub fn root_by_inclusion(index: u64, size: u64, leaf: Hash, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

/// Does the path prove that the leaf is number `index` of the tree of `size` leaves with this root?
pub fn verify_inclusion(index: u64, size: u64, leaf: Hash, path: &[Hash], root: &Hash) -> bool {
    root_by_inclusion(index, size, leaf, path).is_some_and(|found| found == *root)
}

/// Does the path prove that the first tree is a prefix of the second? An empty tree is one of any, with an empty path.
pub fn verify_consistency(old: u64, new: u64, old_root: &Hash, new_root: &Hash, path: &[Hash]) -> bool {
    if old > new {
        return false;
    }
    if old == new {
        return path.is_empty() && old_root == new_root && (old != 0 || *old_root == EMPTY_ROOT);
    }
    if old == 0 {
        return path.is_empty() && *old_root == EMPTY_ROOT;
    }
    let (first, rest) = match (old.is_power_of_two(), path.split_first()) {
        (_, None) => return false,
        (true, Some(_)) => (*old_root, path),
        (false, Some((first, rest))) => (*first, rest),
    };
    let skipped = (old - 1).trailing_ones();
    let (mut node, mut last) = ((old - 1) >> skipped, (new - 1) >> skipped);
    let (mut old_hash, mut new_hash) = (first, first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}

/// For [`inclusion`] and [`consistency`]: subtrees of leaves that are at hand. One proof hashes each leaf about once.
pub fn from_leaves(leaves: &[Hash]) -> impl FnMut(u8, u64) -> Result<Hash, Malformed> + '_ {
    |level, index| {
        let missing = || Malformed::new("a subtree lies beyond the leaves");
        let width = 1_usize.checked_shl(level.into()).ok_or_else(missing)?;
        let start = usize::try_from(index).ok().and_then(|index| index.checked_mul(width)).ok_or_else(missing)?;
        let part = start.checked_add(width).and_then(|end| leaves.get(start..end)).ok_or_else(missing)?;
        Ok(super::merkle::root_of(part.iter().copied()))
    }
}

/// The root over leaves `start` to `end`, where `start` is a multiple of a power of two not smaller than the range.
fn range<E>(start: u64, end: u64, subtree: &mut impl FnMut(u8, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    // What a frontier keeps of a tree of this size are the same subtrees, counted from `start`.
    let frontier = Frontier::of(end - start, |level, index| subtree(level, (start >> level) + index))?;
    Ok(frontier.root())
}

/// The largest power of two smaller than a number above 1.
fn split(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

#[cfg(test)]
mod tests;
