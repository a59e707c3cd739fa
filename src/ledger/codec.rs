//! From stored values to the bytes that are hashed: one codec for each type of column.
//!
//! Datums are read as they are stored, never through a text that depends on a setting. docs/spec/ledger.md has the
//! table of tags; core's [`RowWriter`] holds to it.

mod container;
mod jsonb;
mod numeric;

use super::raw;
use kakunin_core::ledger::row::RowWriter;
use pgrx::prelude::*;
use std::ffi::CStr;

/// How the values of one type are written.
pub enum Codec {
    Boolean,
    SmallInteger,
    Integer,
    BigInteger,
    Oid,
    Real,
    Double,
    Numeric,
    /// A varlena of text.
    Text,
    Name,
    Bytes,
    TimestampTz,
    Timestamp,
    Date,
    Time,
    TimeTz,
    Interval,
    Uuid,
    /// With room for its text.
    Jsonb(String),
    Enum,
    Bits,
    Array(Box<container::Array>),
    Composite(Box<container::Composite>),
    Range(Box<container::Range>),
    Multirange(Box<container::Range>),
    /// Its name, and its send function.
    Other(String, Box<pg_sys::FmgrInfo>),
}

impl Codec {
    /// For a type; Err says what keeps it out of a ledger.
    pub fn of(type_oid: pg_sys::Oid) -> Result<Self, String> {
        Self::nested(type_oid, 0)
    }

    fn nested(type_oid: pg_sys::Oid, depth: usize) -> Result<Self, String> {
        if depth > TYPE_DEPTH_MAX {
            return Err("has a type that is nested too deep".into());
        }
        // SAFETY: a catalogue lookup; a domain over a domain is followed to its end.
        let base = unsafe { pg_sys::getBaseType(type_oid) };
        Ok(match base {
            pg_sys::BOOLOID => Self::Boolean,
            pg_sys::INT2OID => Self::SmallInteger,
            pg_sys::INT4OID => Self::Integer,
            pg_sys::INT8OID => Self::BigInteger,
            pg_sys::OIDOID => Self::Oid,
            pg_sys::FLOAT4OID => Self::Real,
            pg_sys::FLOAT8OID => Self::Double,
            pg_sys::NUMERICOID => Self::Numeric,
            pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::BPCHAROID | pg_sys::JSONOID | pg_sys::XMLOID => Self::Text,
            pg_sys::NAMEOID => Self::Name,
            pg_sys::BYTEAOID => Self::Bytes,
            pg_sys::TIMESTAMPTZOID => Self::TimestampTz,
            pg_sys::TIMESTAMPOID => Self::Timestamp,
            pg_sys::DATEOID => Self::Date,
            pg_sys::TIMEOID => Self::Time,
            pg_sys::TIMETZOID => Self::TimeTz,
            pg_sys::INTERVALOID => Self::Interval,
            pg_sys::UUIDOID => Self::Uuid,
            pg_sys::JSONBOID => Self::Jsonb(String::new()),
            pg_sys::BITOID | pg_sys::VARBITOID => Self::Bits,
            // What they point at has another number in another database.
            pg_sys::REGCLASSOID
            | pg_sys::REGPROCOID
            | pg_sys::REGPROCEDUREOID
            | pg_sys::REGOPEROID
            | pg_sys::REGOPERATOROID
            | pg_sys::REGTYPEOID
            | pg_sys::REGROLEOID
            | pg_sys::REGNAMESPACEOID
            | pg_sys::REGCONFIGOID
            | pg_sys::REGDICTIONARYOID
            | pg_sys::REGCOLLATIONOID => return Err("names an object by a number that a restore changes".into()),
            _ => return Self::by_kind(base, depth),
        })
    }

    fn by_kind(base: pg_sys::Oid, depth: usize) -> Result<Self, String> {
        // SAFETY: catalogue lookups of a type that exists.
        let (kind, element) = unsafe { (pg_sys::get_typtype(base), pg_sys::get_element_type(base)) };
        if element != pg_sys::InvalidOid {
            return Ok(Self::Array(Box::new(container::Array::of(element, Self::nested(element, depth + 1)?))));
        }
        match u8::try_from(kind).unwrap_or_default() {
            b'e' => Ok(Self::Enum),
            b'c' => container::Composite::of(base, |oid| Self::nested(oid, depth + 1))
                .map(|it| Self::Composite(Box::new(it))),
            b'r' => container::Range::of(base, |oid| Self::nested(oid, depth + 1)).map(|it| Self::Range(Box::new(it))),
            b'm' => {
                // SAFETY: a catalogue lookup of a multirange type.
                let range = unsafe { pg_sys::get_multirange_range(base) };
                let range = container::Range::of(range, |oid| Self::nested(oid, depth + 1))?;
                Ok(Self::Multirange(Box::new(range)))
            }
            _ => Self::other(base),
        }
    }

    fn other(base: pg_sys::Oid) -> Result<Self, String> {
        let name = type_name(base);
        // Looked up here rather than by getTypeBinaryOutputInfo, which raises where there is none.
        // SAFETY: a search of the catalogue cache, released at once; the send function's data lives as long as the
        // backend, like the plan that holds it may.
        unsafe {
            let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::TYPEOID as i32, pg_sys::Datum::from(base));
            if tuple.is_null() {
                return Err("has a type that does not exist".into());
            }
            let send = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_type>()).typsend;
            pg_sys::ReleaseSysCache(tuple);
            if send == pg_sys::InvalidOid {
                return Err(format!("has type {name}, which has no binary form"));
            }
            let mut function = Box::new(std::mem::zeroed::<pg_sys::FmgrInfo>());
            pg_sys::fmgr_info_cxt(send, &mut *function, pg_sys::CacheMemoryContext);
            Ok(Self::Other(name, function))
        }
    }

    /// Writes one value that is not NULL. The memory that it takes is that of the current context.
    ///
    /// # Safety
    /// The datum is a value of the type that the codec is for.
    pub unsafe fn write(&mut self, datum: pg_sys::Datum, out: &mut RowWriter) {
        // SAFETY: by the caller's promise each datum is what its arm takes it for; pointers are read within the
        // lengths that their types state.
        unsafe {
            match self {
                Self::Boolean => out.boolean(datum.value() & 0xff != 0),
                Self::SmallInteger => out.integer(i64::from(datum.value() as i16)),
                Self::Integer => out.integer(i64::from(datum.value() as i32)),
                Self::BigInteger => out.integer(datum.value() as i64),
                Self::Oid => out.integer(i64::from(datum.value() as u32)),
                Self::Real => out.real(f32::from_bits(datum.value() as u32)),
                Self::Double => out.double(f64::from_bits(datum.value() as u64)),
                Self::Numeric => numeric::write(raw::payload(datum), out),
                Self::Text => out.text(raw::text(raw::payload(datum))),
                Self::Name => out.text(raw::text(CStr::from_ptr(datum.cast_mut_ptr()).to_bytes())),
                Self::Bytes => out.bytea(raw::payload(datum)),
                Self::TimestampTz => out.timestamptz(datum.value() as i64),
                Self::Timestamp => out.timestamp(datum.value() as i64),
                Self::Date => out.date(datum.value() as i32),
                Self::Time => out.time(datum.value() as i64),
                Self::TimeTz => {
                    let time: *mut pg_sys::TimeTzADT = datum.cast_mut_ptr();
                    out.timetz((*time).time, (*time).zone);
                }
                Self::Interval => {
                    let interval: *mut pg_sys::Interval = datum.cast_mut_ptr();
                    out.interval((*interval).time, (*interval).day, (*interval).month);
                }
                Self::Uuid => out.uuid(&*datum.cast_mut_ptr::<[u8; 16]>()),
                Self::Jsonb(text) => jsonb::write(datum, text, out),
                Self::Enum => out.enum_label(&enum_label(pg_sys::Oid::from(datum.value() as u32))),
                Self::Bits => {
                    let payload = raw::payload(datum);
                    let (count, bits) = payload.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
                    out.bits(u32::from_ne_bytes(*count), bits);
                }
                Self::Array(array) => array.write(datum, out),
                Self::Composite(composite) => composite.write(datum, out),
                Self::Range(range) => range.write(datum, out),
                Self::Multirange(range) => range.write_multirange(datum, out),
                Self::Other(name, function) => {
                    let _utf8 = Utf8Client::new();
                    let sent = pg_sys::SendFunctionCall(&mut **function, datum);
                    out.other(name, raw::payload(pg_sys::Datum::from(sent)));
                }
            }
        }
    }
}

fn type_name(type_oid: pg_sys::Oid) -> String {
    // SAFETY: a search of the catalogue cache; the name is copied before the entry is released.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::TYPEOID as i32, pg_sys::Datum::from(type_oid));
        if tuple.is_null() {
            return String::new();
        }
        let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_type>();
        let name = CStr::from_ptr((*form).typname.data.as_ptr()).to_string_lossy().into_owned();
        pg_sys::ReleaseSysCache(tuple);
        name
    }
}

fn enum_label(value: pg_sys::Oid) -> String {
    // SAFETY: as above. A value without a label cannot be stored; it would become an empty one.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::ENUMOID as i32, pg_sys::Datum::from(value));
        if tuple.is_null() {
            return String::new();
        }
        let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_enum>();
        let label = CStr::from_ptr((*form).enumlabel.data.as_ptr()).to_string_lossy().into_owned();
        pg_sys::ReleaseSysCache(tuple);
        label
    }
}

/// While one lives, send functions write UTF-8 whatever the client reads: their texts are converted for the client.
struct Utf8Client(Option<i32>);

impl Utf8Client {
    fn new() -> Self {
        // SAFETY: from UTF-8, the only encoding of a database with this extension, to UTF-8 needs no conversion.
        unsafe {
            let client = pg_sys::pg_get_client_encoding();
            if client == UTF8 {
                return Self(None);
            }
            pg_sys::SetClientEncoding(UTF8);
            Self(Some(client))
        }
    }
}

impl Drop for Utf8Client {
    fn drop(&mut self) {
        if let Some(client) = self.0 {
            // SAFETY: the encoding that was in use, whose conversion is prepared.
            unsafe { pg_sys::SetClientEncoding(client) };
        }
    }
}

/// Types inside each other: arrays of composites of ranges. Values are bounded by the format as well.
const TYPE_DEPTH_MAX: usize = 32;
const UTF8: i32 = pg_sys::pg_enc::PG_UTF8 as i32;
