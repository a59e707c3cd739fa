//! Types that columns of ledgers are made of. Renaming an enum's label, or dropping an attribute of a composite type, would
//! change what rows say, without a write to any of them.

use super::{family, look};
use pgrx::prelude::*;
use std::collections::HashSet;

/// Is this type in a column of a ledger, on its own or inside of another type?
pub fn is_used(wanted: pg_sys::Oid) -> bool {
    let mut seen = HashSet::new();
    let mut open: Vec<pg_sys::Oid> = family::roots().into_iter().flat_map(columns_of).collect();
    while let Some(found) = open.pop() {
        if found == wanted {
            return true;
        }
        if !is_built_in(found) && seen.insert(found) {
            open.extend(parts_of(found));
        }
    }
    false
}

/// Is the row type of this table, or this composite type, in a column of a ledger?
pub fn is_row_type_used(relation: pg_sys::Oid) -> bool {
    // SAFETY: an unknown relation, and one without a row type, gives 0.
    let row_type = unsafe { pg_sys::get_rel_type_id(relation) };
    row_type != pg_sys::InvalidOid && is_used(row_type)
}

fn columns_of(relation: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    // SAFETY: a column that was dropped has no type.
    let types = (1..=look::width(relation)).map(|column| unsafe { pg_sys::get_atttype(relation, column) });
    types.filter(|found| *found != pg_sys::InvalidOid).collect()
}

/// What a type is made of.
fn parts_of(whole: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    // SAFETY: each of them gives 0 for a type of another kind; the kind is looked at first where one does not.
    let part = unsafe {
        match pg_sys::get_typtype(whole) as u8 {
            b'c' => return columns_of(pg_sys::get_typ_typrelid(whole)),
            b'd' => pg_sys::getBaseType(whole),
            b'r' => pg_sys::get_range_subtype(whole),
            b'm' => pg_sys::get_multirange_range(whole),
            _ => pg_sys::get_element_type(whole),
        }
    };
    if part == pg_sys::InvalidOid { Vec::new() } else { vec![part] }
}

fn is_built_in(found: pg_sys::Oid) -> bool {
    found.to_u32() < pg_sys::FirstUnpinnedObjectId
}
