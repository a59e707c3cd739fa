//! Values that hold values: arrays, composites, ranges and multiranges.

use super::{Codec, raw};
use kakunin_core::ledger::row::{RowWriter, range};
use pgrx::prelude::*;

/// An array's element.
pub struct Array {
    element: pg_sys::Oid,
    length: i16,
    by_value: bool,
    align: std::ffi::c_char,
    codec: Codec,
}

impl Array {
    pub(super) fn of(element: pg_sys::Oid, codec: Codec) -> Self {
        let (mut length, mut by_value, mut align) = (0, false, 0);
        // SAFETY: a catalogue lookup that writes to the three locals.
        unsafe { pg_sys::get_typlenbyvalalign(element, &mut length, &mut by_value, &mut align) };
        Self { element, length, by_value, align, codec }
    }

    /// # Safety
    /// The datum is an array of the element's type.
    pub(super) unsafe fn write(&mut self, datum: pg_sys::Datum, out: &mut RowWriter) {
        // SAFETY: dimensions and lower bounds follow the header of a detoasted array, as many as it states; the
        // elements are taken apart by PostgreSQL itself.
        unsafe {
            let array = raw::detoasted(datum).cast::<pg_sys::ArrayType>();
            let count = usize::try_from((*array).ndim).unwrap_or(0);
            let bounds = array.add(1).cast::<i32>();
            let dimensions: Vec<(u32, i32)> =
                (0..count).map(|at| ((*bounds.add(at)).cast_unsigned(), *bounds.add(count + at))).collect();
            out.begin_array(&dimensions);
            let (mut elements, mut nulls, mut total) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
            if count > 0 {
                pg_sys::deconstruct_array(
                    array,
                    self.element,
                    self.length.into(),
                    self.by_value,
                    self.align,
                    &mut elements,
                    &mut nulls,
                    &mut total,
                );
            }
            for at in 0..usize::try_from(total).unwrap_or(0) {
                if *nulls.add(at) {
                    out.null();
                } else {
                    self.codec.write(*elements.add(at), out);
                }
            }
            out.end();
        }
    }
}

/// The attributes of a composite type.
pub struct Composite {
    description: pg_sys::TupleDesc,
    /// None where an attribute was dropped.
    codecs: Vec<Option<Codec>>,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

impl Composite {
    pub(super) fn of(
        type_oid: pg_sys::Oid,
        nested: impl Fn(pg_sys::Oid) -> Result<Codec, String>,
    ) -> Result<Self, String> {
        // SAFETY: the type is composite, so it has a description; the copy lives as long as the backend, because a
        // plan that is dropped may still be in use.
        unsafe {
            let before = pg_sys::MemoryContextSwitchTo(pg_sys::CacheMemoryContext);
            let description = pg_sys::lookup_rowtype_tupdesc_copy(type_oid, -1);
            pg_sys::MemoryContextSwitchTo(before);
            let width = usize::try_from((*description).natts).unwrap_or(0);
            let codecs = (0..width)
                .map(|at| {
                    let attribute = raw::attribute(description, at);
                    if (*attribute).attisdropped { Ok(None) } else { nested((*attribute).atttypid).map(Some) }
                })
                .collect::<Result<Vec<_>, _>>()?;
            Ok(Self { description, codecs, values: vec![pg_sys::Datum::from(0); width], nulls: vec![true; width] })
        }
    }

    /// # Safety
    /// The datum is a value of the composite type.
    pub(super) unsafe fn write(&mut self, datum: pg_sys::Datum, out: &mut RowWriter) {
        out.begin_composite();
        // SAFETY: a detoasted composite is a tuple with its length in front; the buffers have room for its type's
        // attributes. The codecs are taken out, because one of them may write into the same buffers of a nested
        // value of another type only: types do not contain themselves.
        unsafe {
            let header = raw::detoasted(datum).cast::<pg_sys::HeapTupleHeaderData>();
            let mut tuple: pg_sys::HeapTupleData = std::mem::zeroed();
            tuple.t_len = raw::total_bytes(header.cast());
            tuple.t_data = header;
            raw::heap_deform_tuple(&mut tuple, self.description, self.values.as_mut_ptr(), self.nulls.as_mut_ptr());
            for ((codec, value), null) in self.codecs.iter_mut().zip(&self.values).zip(&self.nulls) {
                match codec {
                    None => {}
                    Some(_) if *null => out.null(),
                    Some(codec) => codec.write(*value, out),
                }
            }
        }
        out.end();
    }
}

/// A range type and its subtype.
pub struct Range {
    cache: *mut pg_sys::TypeCacheEntry,
    codec: Codec,
}

impl Range {
    pub(super) fn of(
        type_oid: pg_sys::Oid,
        nested: impl Fn(pg_sys::Oid) -> Result<Codec, String>,
    ) -> Result<Self, String> {
        // SAFETY: entries of the type cache live as long as the backend.
        let cache = unsafe { pg_sys::lookup_type_cache(type_oid, pg_sys::TYPECACHE_RANGE_INFO as i32) };
        // SAFETY: as above; the entry of a range type has that of its subtype.
        let subtype = unsafe {
            let element = (*cache).rngelemtype;
            if element.is_null() { pg_sys::InvalidOid } else { (*element).type_id }
        };
        if subtype == pg_sys::InvalidOid {
            return Err("has a type that is not a range".into());
        }
        Ok(Self { cache, codec: nested(subtype)? })
    }

    /// # Safety
    /// The datum is a value of the range type.
    pub(super) unsafe fn write(&mut self, datum: pg_sys::Datum, out: &mut RowWriter) {
        // SAFETY: a detoasted range of the cached type.
        unsafe { self.write_detoasted(raw::detoasted(datum).cast(), out) };
    }

    /// # Safety
    /// The datum is a value of the multirange type over the range type.
    pub(super) unsafe fn write_multirange(&mut self, datum: pg_sys::Datum, out: &mut RowWriter) {
        out.begin_multirange();
        // SAFETY: PostgreSQL takes a detoasted multirange apart into ranges of the cached type.
        unsafe {
            let (mut count, mut ranges) = (0_i32, std::ptr::null_mut());
            raw::multirange_deserialize(self.cache, raw::detoasted(datum).cast(), &mut count, &mut ranges);
            for at in 0..usize::try_from(count).unwrap_or(0) {
                self.write_detoasted(*ranges.add(at), out);
            }
        }
        out.end();
    }

    unsafe fn write_detoasted(&mut self, value: *mut pg_sys::RangeType, out: &mut RowWriter) {
        // SAFETY: the range is of the cached type; a bound that is not infinite has a value of the subtype.
        unsafe {
            let (mut lower, mut upper): (pg_sys::RangeBound, pg_sys::RangeBound) =
                (std::mem::zeroed(), std::mem::zeroed());
            let mut empty = false;
            pg_sys::range_deserialize(self.cache, value, &mut lower, &mut upper, &mut empty);
            if empty {
                out.begin_range(range::EMPTY);
                return out.end();
            }
            let flag = |set: bool, flag: u8| if set { flag } else { 0 };
            out.begin_range(
                flag(lower.infinite, range::NO_LOWER)
                    | flag(upper.infinite, range::NO_UPPER)
                    | flag(!lower.infinite && lower.inclusive, range::LOWER_INCLUSIVE)
                    | flag(!upper.infinite && upper.inclusive, range::UPPER_INCLUSIVE),
            );
            for bound in [lower, upper] {
                if !bound.infinite {
                    self.codec.write(bound.val, out);
                }
            }
            out.end();
        }
    }
}
