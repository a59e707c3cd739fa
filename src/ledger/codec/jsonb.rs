//! jsonb as the text of RFC 8785, with numbers in all their digits.

use super::{numeric, raw};
use kakunin_core::json;
use kakunin_core::ledger::row::RowWriter;
use pgrx::prelude::*;

/// Writes a jsonb.
///
/// # Safety
/// The datum is a jsonb.
pub unsafe fn write(datum: pg_sys::Datum, out: &mut RowWriter) {
    let mut text = String::new();
    // SAFETY: the container starts behind the length; detoasting has aligned it. The iterator ends by itself.
    unsafe {
        let root = raw::detoasted(datum).cast::<u8>().add(pg_sys::VARHDRSZ).cast();
        let mut iterator = pg_sys::JsonbIteratorInit(root);
        let mut value = std::mem::zeroed();
        let token = pg_sys::JsonbIteratorNext(&mut iterator, &mut value, false);
        write_token(token, &mut iterator, &value, &mut text);
    }
    out.jsonb(&text);
}

/// Writes the value that starts with this token, and takes the tokens that belong to it.
unsafe fn write_token(
    token: pg_sys::JsonbIteratorToken::Type,
    iterator: &mut *mut pg_sys::JsonbIterator,
    value: &pg_sys::JsonbValue,
    out: &mut String,
) {
    // SAFETY: the iterator is that of a stored jsonb; the token tells what `value` holds.
    unsafe {
        match token {
            pg_sys::JsonbIteratorToken::WJB_BEGIN_ARRAY => write_array(iterator, value.val.array.rawScalar, out),
            pg_sys::JsonbIteratorToken::WJB_BEGIN_OBJECT => write_object(iterator, out),
            _ => write_scalar(value, out),
        }
    }
}

unsafe fn write_array(iterator: &mut *mut pg_sys::JsonbIterator, is_scalar: bool, out: &mut String) {
    // A scalar at the top is stored as an array of one.
    if !is_scalar {
        out.push('[');
    }
    let mut first = true;
    loop {
        // SAFETY: as above.
        unsafe {
            pg_sys::check_stack_depth();
            let mut value = std::mem::zeroed();
            let token = pg_sys::JsonbIteratorNext(iterator, &mut value, false);
            if matches!(token, pg_sys::JsonbIteratorToken::WJB_END_ARRAY | pg_sys::JsonbIteratorToken::WJB_DONE) {
                break;
            }
            if !std::mem::take(&mut first) {
                out.push(',');
            }
            write_token(token, iterator, &value, out);
        }
    }
    if !is_scalar {
        out.push(']');
    }
}

unsafe fn write_object(iterator: &mut *mut pg_sys::JsonbIterator, out: &mut String) {
    let mut members: Vec<(String, String)> = Vec::new();
    loop {
        // SAFETY: as above; a key is followed by its value.
        unsafe {
            pg_sys::check_stack_depth();
            let mut value = std::mem::zeroed();
            let token = pg_sys::JsonbIteratorNext(iterator, &mut value, false);
            if token != pg_sys::JsonbIteratorToken::WJB_KEY {
                break;
            }
            let key = string(&value).to_owned();
            let token = pg_sys::JsonbIteratorNext(iterator, &mut value, false);
            let mut text = String::new();
            write_token(token, iterator, &value, &mut text);
            members.push((key, text));
        }
    }
    // Stored by length and bytes; RFC 8785 section 3.2.3 wants the order of UTF-16 units.
    members.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
    out.push('{');
    for (place, (key, text)) in members.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        json::write_string(key, out);
        out.push(':');
        out.push_str(text);
    }
    out.push('}');
}

unsafe fn write_scalar(value: &pg_sys::JsonbValue, out: &mut String) {
    // SAFETY: the type tells which member of the union is set.
    unsafe {
        match value.type_ {
            pg_sys::jbvType::jbvString => json::write_string(string(value), out),
            pg_sys::jbvType::jbvNumeric => {
                numeric::decimal(raw::payload(pg_sys::Datum::from(value.val.numeric)), out);
            }
            pg_sys::jbvType::jbvBool => out.push_str(if value.val.boolean { "true" } else { "false" }),
            _ => out.push_str("null"),
        }
    }
}

unsafe fn string(value: &pg_sys::JsonbValue) -> &str {
    // SAFETY: the value is a string or a key, whose bytes lie in the stored jsonb.
    unsafe {
        let string = value.val.string;
        let length = usize::try_from(string.len).unwrap_or(0);
        raw::text(std::slice::from_raw_parts(string.val.cast(), length))
    }
}
