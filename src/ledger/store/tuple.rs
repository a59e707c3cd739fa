//! Rows of our own tables, taken apart and put together.

use super::raw;
use pgrx::prelude::*;
use std::ffi::CStr;
use std::marker::PhantomData;

/// A row, taken apart; columns are counted from 1, as in the catalogue.
pub struct Fields<'a> {
    description: pg_sys::TupleDesc,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
    inserted_by: pg_sys::TransactionId,
    tuple: PhantomData<&'a ()>,
}

impl Fields<'_> {
    /// Room for rows of this description.
    ///
    /// # Safety
    /// The description stays valid as long as this is used.
    pub unsafe fn room(description: pg_sys::TupleDesc) -> Self {
        // SAFETY: by the caller's promise.
        let width = unsafe { usize::try_from((*description).natts).unwrap_or(0) };
        Self {
            description,
            values: vec![pg_sys::Datum::from(0); width],
            nulls: vec![true; width],
            inserted_by: pg_sys::InvalidTransactionId,
            tuple: PhantomData,
        }
    }

    /// One row.
    ///
    /// # Safety
    /// The tuple is of this description; both live as long as this is used.
    pub unsafe fn of(tuple: pg_sys::HeapTuple, description: pg_sys::TupleDesc) -> Option<Self> {
        // SAFETY: by the caller's promise.
        unsafe {
            let mut fields = Self::room(description);
            fields.fill(tuple);
            Some(fields)
        }
    }

    /// Takes another row apart.
    ///
    /// # Safety
    /// As for [`Fields::of`].
    pub unsafe fn fill(&mut self, tuple: pg_sys::HeapTuple) {
        // SAFETY: the buffers have room for each attribute.
        unsafe {
            raw::heap_deform_tuple(tuple, self.description, self.values.as_mut_ptr(), self.nulls.as_mut_ptr());
            self.inserted_by = (*(*tuple).t_data).t_choice.t_heap.t_xmin;
        }
    }

    /// Did this very transaction insert the row?
    pub fn is_own(&self) -> bool {
        // SAFETY: looks at what this backend knows of its own transaction.
        unsafe { pg_sys::TransactionIdIsCurrentTransactionId(self.inserted_by) }
    }

    fn datum(&self, column: usize) -> Option<pg_sys::Datum> {
        let at = column.checked_sub(1)?;
        if *self.nulls.get(at)? { None } else { self.values.get(at).copied() }
    }

    pub fn boolean(&self, column: usize) -> Option<bool> {
        self.datum(column).map(|datum| datum.value() & 0xff != 0)
    }

    pub fn smallint(&self, column: usize) -> Option<i16> {
        self.datum(column).map(|datum| datum.value() as i16)
    }

    pub fn integer(&self, column: usize) -> Option<i32> {
        self.datum(column).map(|datum| datum.value() as i32)
    }

    pub fn bigint(&self, column: usize) -> Option<i64> {
        self.datum(column).map(|datum| datum.value() as i64)
    }

    pub fn uuid(&self, column: usize) -> Option<[u8; 16]> {
        // SAFETY: the caller names a column of type uuid.
        self.datum(column).map(|datum| unsafe { *datum.cast_mut_ptr::<[u8; 16]>() })
    }

    pub fn bytes(&self, column: usize) -> Option<&[u8]> {
        // SAFETY: the caller names a column of type bytea or text; the bytes live as long as the row.
        self.datum(column).map(|datum| unsafe { raw::payload(datum) })
    }

    pub fn text(&self, column: usize) -> Option<String> {
        self.bytes(column).map(|bytes| raw::text(bytes).to_owned())
    }

    pub fn name(&self, column: usize) -> Option<String> {
        // SAFETY: the caller names a column of type name.
        self.datum(column).map(|datum| unsafe { CStr::from_ptr(datum.cast_mut_ptr()).to_string_lossy().into_owned() })
    }
}

/// The values of a new row, in the order of its columns.
#[derive(Default)]
pub struct Values {
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
    /// What the datums of variable length point at.
    buffers: Vec<Vec<u64>>,
}

impl Values {
    pub fn new() -> Self {
        Self { values: Vec::with_capacity(16), nulls: Vec::with_capacity(16), buffers: Vec::with_capacity(8) }
    }

    fn push(&mut self, datum: pg_sys::Datum) {
        self.values.push(datum);
        self.nulls.push(false);
    }

    pub fn null(&mut self) {
        self.values.push(pg_sys::Datum::from(0));
        self.nulls.push(true);
    }

    pub fn boolean(&mut self, value: bool) {
        self.push(pg_sys::Datum::from(value));
    }

    pub fn smallint(&mut self, value: i16) {
        self.push(pg_sys::Datum::from(value));
    }

    pub fn integer(&mut self, value: i32) {
        self.push(pg_sys::Datum::from(value));
    }

    pub fn bigint(&mut self, value: i64) {
        self.push(pg_sys::Datum::from(value));
    }

    pub fn oid(&mut self, value: pg_sys::Oid) {
        self.push(pg_sys::Datum::from(value));
    }

    /// A uuid.
    pub fn uuid(&mut self, value: &[u8; 16]) {
        let datum = self.buffer(0, value);
        self.push(datum);
    }

    /// A name of less than 64 bytes.
    pub fn name(&mut self, value: &str) {
        let mut name = [0_u8; pg_sys::NAMEDATALEN as usize];
        name.iter_mut().zip(value.bytes().take(pg_sys::NAMEDATALEN as usize - 1)).for_each(|(to, from)| *to = from);
        let datum = self.buffer(0, &name);
        self.push(datum);
    }

    /// A bytea or a text of less than 1 GiB.
    pub fn bytes(&mut self, value: &[u8]) {
        let header = (u32::try_from(value.len() + HEADER).unwrap_or(u32::MAX) << 2).to_ne_bytes();
        let datum = self.buffer(HEADER, value);
        // SAFETY: the buffer starts with room for the header.
        unsafe { *datum.cast_mut_ptr::<[u8; HEADER]>() = header };
        self.push(datum);
    }

    /// A copy that is aligned, behind some room.
    fn buffer(&mut self, room: usize, bytes: &[u8]) -> pg_sys::Datum {
        let mut buffer = vec![0_u64; (room + bytes.len()).div_ceil(8)];
        // SAFETY: the buffer has at least that many bytes.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.as_mut_ptr().cast::<u8>().add(room), bytes.len())
        };
        let datum = pg_sys::Datum::from(buffer.as_mut_ptr());
        self.buffers.push(buffer);
        datum
    }

    /// Adds the row to a result.
    ///
    /// # Safety
    /// The values are of the description's columns.
    pub unsafe fn put(mut self, store: *mut pg_sys::Tuplestorestate, description: pg_sys::TupleDesc) {
        // SAFETY: by the caller's promise; the row is copied.
        unsafe {
            pg_sys::tuplestore_putvalues(store, description, self.values.as_mut_ptr(), self.nulls.as_mut_ptr());
        }
    }

    /// Inserts the row and its index entries.
    ///
    /// # Safety
    /// The values are those of the relation's columns; the relation is open, and so are its indexes.
    pub unsafe fn insert(mut self, heap: pg_sys::Relation, indexes: pg_sys::CatalogIndexState) {
        // SAFETY: by the caller's promise. The buffers live until the tuple is made.
        unsafe {
            let tuple = pg_sys::heap_form_tuple((*heap).rd_att, self.values.as_mut_ptr(), self.nulls.as_mut_ptr());
            pg_sys::CatalogTupleInsertWithInfo(heap, tuple, indexes);
            pg_sys::heap_freetuple(tuple);
        }
    }
}

/// Bytes of a varlena's header.
const HEADER: usize = 4;
