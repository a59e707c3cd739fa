//! Reads catalogues for the guard: also rows that the running command has just written, which caches do not have yet.

use pgrx::prelude::*;
use std::ffi::{CStr, CString};

/// One row of a table.
pub struct Row {
    relation: pg_sys::Oid,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

impl Row {
    /// A column of type oid.
    pub fn oid(&self, column: &CStr) -> Option<pg_sys::Oid> {
        self.datum(column).map(|datum| pg_sys::Oid::from(datum.value() as u32))
    }

    /// A column of type smallint.
    pub fn int2(&self, column: &CStr) -> Option<i16> {
        self.datum(column).map(|datum| datum.value() as i16)
    }

    /// A column of type "char".
    pub fn char(&self, column: &CStr) -> Option<u8> {
        self.datum(column).map(|datum| datum.value() as u8)
    }

    /// A column of type boolean.
    pub fn bool(&self, column: &CStr) -> Option<bool> {
        self.datum(column).map(|datum| datum.value() != 0)
    }

    /// A column of type name.
    pub fn name(&self, column: &CStr) -> Option<CString> {
        // SAFETY: a name is a NUL-terminated array, which the row holds.
        self.datum(column).map(|datum| unsafe { CStr::from_ptr(datum.cast_mut_ptr()).to_owned() })
    }

    /// A column of type uuid.
    pub fn uuid(&self, column: &CStr) -> Option<[u8; 16]> {
        // SAFETY: a uuid is 16 bytes, which the row holds.
        self.datum(column).map(|datum| unsafe { *datum.cast_mut_ptr::<[u8; 16]>() })
    }

    /// A column of type bytea.
    pub fn bytes(&self, column: &CStr) -> Option<Vec<u8>> {
        // SAFETY: the caller names a column of that type.
        self.datum(column).and_then(|datum| unsafe { Vec::<u8>::from_datum(datum, false) })
    }

    /// How many numbers a column of type int2vector holds.
    pub fn columns(&self, column: &CStr) -> Option<i32> {
        // SAFETY: the row holds a value of that type.
        self.datum(column).map(|datum| unsafe { (*datum.cast_mut_ptr::<pg_sys::int2vector>()).dim1 })
    }

    /// Is there a value?
    pub fn has(&self, column: &CStr) -> bool {
        self.datum(column).is_some()
    }

    /// A column by its name: its number differs between versions.
    fn datum(&self, column: &CStr) -> Option<pg_sys::Datum> {
        // SAFETY: an unknown name gives 0.
        let number = unsafe { pg_sys::get_attnum(self.relation, column.as_ptr()) };
        let position = usize::try_from(i32::from(number) - 1).ok()?;
        (!*self.nulls.get(position)?).then_some(*self.values.get(position)?)
    }
}

/// The row of a catalogue with this oid, as the running command left it.
pub fn row(catalogue: Catalogue, oid: pg_sys::Oid) -> Option<Row> {
    let mut found = None;
    scan(catalogue.table, Some((catalogue.index, c"oid", oid)), now(), |row| found = Some(row));
    found
}

/// Does `child` inherit from `parent`, as the running command left it?
pub fn inherits(child: pg_sys::Oid, parent: pg_sys::Oid) -> bool {
    let mut found = false;
    scan(INHERITANCE.table, Some((INHERITANCE.index, c"inhrelid", child)), now(), |row| {
        found |= row.oid(c"inhparent") == Some(parent);
    });
    found
}

/// Each row of a table of ours that is committed now, or written by this transaction.
pub fn rows(table: pg_sys::Oid, visit: impl FnMut(Row)) {
    scan(table, None, std::ptr::null_mut(), visit);
}

/// Schema kakunin, if there is one.
pub fn schema() -> Option<pg_sys::Oid> {
    // SAFETY: with missing_ok set, an unknown name gives 0.
    let schema = unsafe { pg_sys::get_namespace_oid(c"kakunin".as_ptr(), true) };
    (schema != pg_sys::InvalidOid).then_some(schema)
}

/// This extension; 0 where it is not installed.
pub fn extension() -> pg_sys::Oid {
    // SAFETY: with missing_ok set, an unknown name gives 0.
    unsafe { pg_sys::get_extension_oid(c"kakunin".as_ptr(), true) }
}

/// Is it one of the extension's functions?
pub fn is_function_of_ours(function: pg_sys::Oid) -> bool {
    let extension = extension();
    // SAFETY: reads the catalogue of dependencies.
    extension != pg_sys::InvalidOid
        && unsafe { pg_sys::getExtensionOfObject(pg_sys::ProcedureRelationId, function) } == extension
}

/// A table or sequence by name; 0 if there is none.
pub fn relation(name: &CStr, schema: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: a NUL-terminated name.
    unsafe { pg_sys::get_relname_relid(name.as_ptr(), schema) }
}

/// A table and its partitions, or the tables that inherit from it.
pub fn descendants(relation: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    // SAFETY: no lock is taken, and the list holds oids; an error raised inside is carried over by the guard.
    unsafe {
        let find = || raw::find_all_inheritors(relation, pg_sys::NoLock as i32, std::ptr::null_mut());
        pgrx::PgList::<pg_sys::Oid>::from_pg(pg_sys::ffi::pg_guard_ffi_boundary(find)).iter_oid().collect()
    }
}

/// The table of an index.
pub fn table_of_index(index: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: with missing_ok set, an unknown index gives 0.
    unsafe { pg_sys::IndexGetRelation(index, true) }
}

/// Schema of a relation.
pub fn schema_of(relation: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: an unknown relation gives 0.
    unsafe { pg_sys::get_rel_namespace(relation) }
}

/// Name and arguments of a function that exists.
pub fn function_name(function: pg_sys::Oid) -> String {
    // SAFETY: PostgreSQL allocates the text.
    unsafe { CStr::from_ptr(pg_sys::format_procedure(function)) }.to_string_lossy().into_owned()
}

/// Name of a type that exists.
pub fn type_name(found: pg_sys::Oid) -> String {
    // SAFETY: PostgreSQL allocates the text.
    unsafe { CStr::from_ptr(pg_sys::format_type_be(found)) }.to_string_lossy().into_owned()
}

/// Is this index that of a primary key?
pub fn is_primary(index: pg_sys::Oid) -> bool {
    // SAFETY: a cache with this key; the entry is held while it is read.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::INDEXRELID as i32, index.into());
        if tuple.is_null() {
            return false;
        }
        let primary = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_index>()).indisprimary;
        pg_sys::ReleaseSysCache(tuple);
        primary
    }
}

/// The column's name; empty if there is none.
pub fn column_name(relation: pg_sys::Oid, column: i16) -> CString {
    // SAFETY: with missing_ok set, an unknown column gives NULL.
    unsafe {
        let name = pg_sys::get_attname(relation, column, true);
        if name.is_null() { CString::default() } else { CStr::from_ptr(name).to_owned() }
    }
}

/// Reads one row from a cache of PostgreSQL's.
pub fn cached<T>(
    cache: pg_sys::SysCacheIdentifier::Type,
    keys: [pg_sys::Datum; 2],
    read: impl FnOnce(pg_sys::HeapTuple) -> T,
) -> Option<T> {
    // SAFETY: the caller names a cache with these keys. The entry is held while it is read.
    unsafe {
        let tuple = pg_sys::SearchSysCache2(cache as i32, keys[0], keys[1]);
        if tuple.is_null() {
            return None;
        }
        let found = read(tuple);
        pg_sys::ReleaseSysCache(tuple);
        Some(found)
    }
}

/// How many columns a relation has, those included that were dropped.
pub fn width(relation: pg_sys::Oid) -> i16 {
    class(relation, |class| class.relnatts).unwrap_or(0)
}

/// Reads the row of pg_class.
pub fn class<T>(relation: pg_sys::Oid, read: impl FnOnce(&pg_sys::FormData_pg_class) -> T) -> Option<T> {
    // SAFETY: a cache with this key; the entry is held while it is read.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::RELOID as i32, relation.into());
        if tuple.is_null() {
            return None;
        }
        let found = read(&*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>());
        pg_sys::ReleaseSysCache(tuple);
        Some(found)
    }
}

/// Is there a row in the table itself, committed or of this transaction?
pub fn has_rows(table: pg_sys::Oid) -> bool {
    // SAFETY: as in `scan`.
    unsafe {
        let heap = pg_sys::table_open(table, pg_sys::AccessShareLock as i32);
        let scan =
            pg_sys::systable_beginscan(heap, pg_sys::InvalidOid, false, std::ptr::null_mut(), 0, std::ptr::null_mut());
        let found = !pg_sys::systable_getnext(scan).is_null();
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(heap, pg_sys::AccessShareLock as i32);
        found
    }
}

/// A snapshot that sees what this transaction has done so far.
fn now() -> pg_sys::Snapshot {
    &raw mut pg_sys::SnapshotSelfData
}

fn scan(
    table: pg_sys::Oid,
    key: Option<(u32, &CStr, pg_sys::Oid)>,
    snapshot: pg_sys::Snapshot,
    mut visit: impl FnMut(Row),
) {
    // SAFETY: the relation stays open and locked during the scan; a NULL snapshot makes systable_beginscan take a fresh
    // MVCC one; each tuple is taken apart, and what it holds copied, before the next is fetched. An ERROR inside is
    // cleaned up by PostgreSQL's resource owner.
    unsafe {
        let heap = pg_sys::table_open(table, pg_sys::AccessShareLock as i32);
        let mut scan_key: pg_sys::ScanKeyData = std::mem::zeroed();
        let index = match key {
            None => pg_sys::InvalidOid,
            Some((index, column, value)) => {
                pg_sys::ScanKeyInit(
                    &mut scan_key,
                    pg_sys::get_attnum(table, column.as_ptr()),
                    pg_sys::BTEqualStrategyNumber as u16,
                    pg_sys::Oid::from(pg_sys::F_OIDEQ),
                    value.into(),
                );
                pg_sys::Oid::from(index)
            }
        };
        let description = (*heap).rd_att;
        let width = usize::try_from((*description).natts).unwrap_or(0);
        let scan =
            pg_sys::systable_beginscan(heap, index, key.is_some(), snapshot, i32::from(key.is_some()), &mut scan_key);
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            // A copy in the memory of the statement: a row may outlive the scan.
            let tuple = pg_sys::heap_copytuple(tuple);
            let mut row =
                Row { relation: table, values: vec![pg_sys::Datum::from(0); width], nulls: vec![true; width] };
            pg_sys::heap_deform_tuple(tuple, description, row.values.as_mut_ptr(), row.nulls.as_mut_ptr());
            visit(row);
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(heap, pg_sys::AccessShareLock as i32);
    }
}

/// A function that pgrx does not bind.
mod raw {
    use super::*;

    unsafe extern "C-unwind" {
        pub fn find_all_inheritors(parent: pg_sys::Oid, lock: i32, counts: *mut *mut pg_sys::List)
        -> *mut pg_sys::List;
    }
}

/// A catalogue whose rows have oids, and its index on them. PostgreSQL assigns these numbers once, in its headers.
#[derive(Clone, Copy)]
pub struct Catalogue {
    pub table: pg_sys::Oid,
    index: u32,
}

impl Catalogue {
    const fn new(table: u32, index: u32) -> Self {
        Self { table: pg_sys::Oid::from_u32(table), index }
    }
}

pub const TRIGGERS: Catalogue = Catalogue::new(2620, 2702);
pub const RULES: Catalogue = Catalogue::new(2618, 2692);
pub const CONSTRAINTS: Catalogue = Catalogue::new(2606, 2667);
pub const DEFAULTS: Catalogue = Catalogue::new(2604, 2657);
/// pg_inherits, and its index on child and number.
pub const INHERITANCE: Catalogue = Catalogue::new(2611, 2680);
