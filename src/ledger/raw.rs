//! PostgreSQL's stored values as slices, and the few functions of its that raise no error and are called for every
//! row: pgrx's guard around them would cost more than they do.

use pgrx::prelude::*;

/// The bytes of a varlena without its length, detoasted where that is needed.
///
/// # Safety
/// The datum is a varlena that is not NULL. The bytes live as long as the tuple, or the current memory context.
pub unsafe fn payload<'a>(datum: pg_sys::Datum) -> &'a [u8] {
    // SAFETY: by the caller's promise; the first byte tells a short header (low bit set) from a long one, and 0x01
    // is that of a value that is stored elsewhere (varattrib_1b_e), as bit 1 of a long header is of a compressed one.
    unsafe {
        let mut value: *mut u8 = datum.cast_mut_ptr();
        if *value == EXTERNAL || *value & LONG_MASK == COMPRESSED {
            value = pg_sys::pg_detoast_datum_packed(value.cast()).cast();
        }
        if *value & 1 == 1 {
            return std::slice::from_raw_parts(value.add(1), usize::from(*value >> 1) - 1);
        }
        std::slice::from_raw_parts(value.add(pg_sys::VARHDRSZ), total_bytes(value) as usize - pg_sys::VARHDRSZ)
    }
}

/// The varlena with a header of four bytes, and so aligned.
///
/// # Safety
/// As for [`payload`].
pub unsafe fn detoasted(datum: pg_sys::Datum) -> *mut pg_sys::varlena {
    // SAFETY: by the caller's promise.
    unsafe {
        let value: *mut u8 = datum.cast_mut_ptr();
        if *value & LONG_MASK == 0 { value.cast() } else { pg_sys::pg_detoast_datum(value.cast()) }
    }
}

/// The length of a varlena with a header of four bytes that is not compressed, header included.
///
/// # Safety
/// The pointer is at such a header.
pub unsafe fn total_bytes(value: *const u8) -> u32 {
    // SAFETY: four bytes can be read; the two low bits are flags.
    unsafe { u32::from_ne_bytes(*value.cast::<[u8; 4]>()) >> 2 }
}

/// Text of a database in UTF-8, which is the only encoding that the extension is made in. Bytes that are not are a
/// damaged page; they become an empty text, whose hash cannot be the right one.
pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Attribute `at`, from 0, of a description.
///
/// # Safety
/// The description is valid and has the attribute.
pub unsafe fn attribute(description: pg_sys::TupleDesc, at: usize) -> *mut pg_sys::FormData_pg_attribute {
    // SAFETY: by the caller's promise; the array follows the struct.
    unsafe { (*description).attrs.as_mut_ptr().add(at) }
}

unsafe extern "C-unwind" {
    /// Takes a tuple apart.
    pub fn heap_deform_tuple(
        tuple: pg_sys::HeapTuple,
        description: pg_sys::TupleDesc,
        values: *mut pg_sys::Datum,
        nulls: *mut bool,
    );
}

/// The partitioned tables above a partition, from its parent to the root. Not among pgrx's bindings.
pub fn partition_ancestors(relation: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    mod symbol {
        use pgrx::prelude::*;
        unsafe extern "C-unwind" {
            pub fn get_partition_ancestors(relation: pg_sys::Oid) -> *mut pg_sys::List;
        }
    }
    // SAFETY: a catalogue lookup, asked of partitions only; the list is copied and freed.
    unsafe {
        if !pg_sys::get_rel_relispartition(relation) {
            return Vec::new();
        }
        let list = pg_sys::ffi::pg_guard_ffi_boundary(|| symbol::get_partition_ancestors(relation));
        let ancestors = pgrx::PgList::<pg_sys::Oid>::from_pg(list).iter_oid().collect();
        pg_sys::list_free(list);
        ancestors
    }
}

/// A table and all that inherit from it, partitions too. Not among pgrx's bindings.
pub fn inheritors(relation: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    mod symbol {
        use pgrx::prelude::*;
        unsafe extern "C-unwind" {
            pub fn find_all_inheritors(
                parent: pg_sys::Oid,
                lock: i32,
                parents: *mut *mut pg_sys::List,
            ) -> *mut pg_sys::List;
        }
    }
    // SAFETY: catalogue lookups without locks: the tables are not touched. The list is copied and freed.
    unsafe {
        let list = pg_sys::ffi::pg_guard_ffi_boundary(|| {
            symbol::find_all_inheritors(relation, pg_sys::NoLock as i32, std::ptr::null_mut())
        });
        let found = pgrx::PgList::<pg_sys::Oid>::from_pg(list).iter_oid().collect();
        pg_sys::list_free(list);
        found
    }
}

/// Visits the rows of a table as they lie, until `visit` says false. A query would be answered with the rows that row-level
/// security shows, and planning it would run functions of the table's owner.
///
/// # Safety
/// The table is open and the snapshot registered or active. A row lives until the next is visited.
pub unsafe fn each_row(
    heap: pg_sys::Relation,
    snapshot: pg_sys::Snapshot,
    visit: &mut dyn FnMut(pg_sys::HeapTuple) -> bool,
) {
    // SAFETY: by the caller's promise; only heap tables are attached.
    unsafe {
        let scan = pg_sys::table_beginscan_strat(heap, snapshot, 0, std::ptr::null_mut(), true, false);
        loop {
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() || !visit(tuple) {
                break;
            }
            pg_sys::check_for_interrupts!();
        }
        pg_sys::table_endscan(scan);
    }
}

/// Memory for what one row needs, emptied after each.
pub struct RowMemory(pg_sys::MemoryContext);

impl RowMemory {
    /// Below the current context, with which it goes.
    pub fn new() -> Self {
        // SAFETY: default sizes.
        Self(unsafe {
            pg_sys::AllocSetContextCreateExtended(
                pg_sys::CurrentMemoryContext,
                c"kakunin ledger row".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            )
        })
    }

    /// Acts with this as the current context, and empties it.
    pub fn act<T>(&self, act: impl FnOnce() -> T) -> T {
        // SAFETY: the context before is put back; after an error, PostgreSQL does that.
        unsafe {
            let before = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = self.0;
            let result = act();
            pg_sys::CurrentMemoryContext = before;
            if !(*self.0).isReset {
                pg_sys::MemoryContextReset(self.0);
            }
            result
        }
    }
}

/// Not among pgrx's bindings.
///
/// # Safety
/// The cache entry is that of the multirange's range type.
pub unsafe fn multirange_deserialize(
    range: *mut pg_sys::TypeCacheEntry,
    value: *mut pg_sys::varlena,
    count: *mut i32,
    ranges: *mut *mut *mut pg_sys::RangeType,
) {
    mod symbol {
        use pgrx::prelude::*;
        unsafe extern "C-unwind" {
            pub fn multirange_deserialize(
                range: *mut pg_sys::TypeCacheEntry,
                value: *const pg_sys::varlena,
                count: *mut i32,
                ranges: *mut *mut *mut pg_sys::RangeType,
            );
        }
    }
    // SAFETY: by the caller's promise; an error raised inside is carried over by the guard.
    unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| symbol::multirange_deserialize(range, value, count, ranges)) }
}

/// The first byte of a value that is stored elsewhere (little-endian, VARATT_IS_1B_E).
const EXTERNAL: u8 = 1;
/// The two low bits of the first byte: 00 is a long header, 10 a compressed value.
const LONG_MASK: u8 = 3;
const COMPRESSED: u8 = 2;
#[cfg(not(target_endian = "little"))]
compile_error!("the first byte of a varlena is read as on little-endian machines");
