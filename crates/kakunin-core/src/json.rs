//! JSON that has one meaning, and its canonical bytes (RFC 8785, RFC 7493).
//!
//! A signature or a hash over JSON is worth something only if every reader sees the same document. So the
//! reader here refuses what readers are known to disagree on: members that appear twice (also when one of them is
//! spelled with escapes), lone surrogates, numbers that a double cannot hold, a byte order mark, text behind the
//! document. Sizes and nesting are checked over the bytes before anything recurses.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::Reason;
use crate::limits::{JSON_BYTES_MAX, JSON_DEPTH_MAX};

/// The RFC 8785 form of a JSON text: members in UTF-16 order, no space, numbers as ECMAScript writes them.
///
/// Accepts what [`parse_strict`] accepts and refuses with the same reason. Canonicalising twice changes nothing.
pub fn canonicalize(text: &str) -> Result<String, Reason> {
    Ok(write_canonical(&parse_strict(text)?))
}

/// Reads a JSON text (RFC 8259) of at most [`JSON_BYTES_MAX`] bytes, nested at most [`JSON_DEPTH_MAX`] deep and
/// with at most [`VALUES_MAX`] values.
///
/// Beside what breaks the grammar it refuses, as `json_malformed`:
/// - two members of the same name in one object, compared after escapes are resolved (RFC 7493 section 2.3);
/// - escapes that name half of a surrogate pair (RFC 7493 section 2.1), and a byte order mark;
/// - a number outside the range of an IEEE 754 double, or so small that it becomes zero (RFC 8785 section 3.2.2.3);
/// - a number beyond 2^53 whose canonical form would show another number. Fractions may round, as RFC 8785 has it.
pub fn parse_strict(text: &str) -> Result<Value, Reason> {
    parse(text, JSON_BYTES_MAX, Numbers::Exact)
}

/// Reads one JSON object of at most `bytes_max` bytes. Numbers may be of any size that a double reaches: for
/// claims and headers, whose numbers are compared but never hashed.
pub(crate) fn parse_object(text: &str, bytes_max: usize) -> Result<Map<String, Value>, Reason> {
    match parse(text, bytes_max, Numbers::Rounded)? {
        Value::Object(members) => Ok(members),
        _ => Err(malformed("an object is expected")),
    }
}

/// The canonical text of a value that was read by [`parse_strict`] or built from strings and small integers.
pub(crate) fn write_canonical(value: &Value) -> String {
    let mut out = String::new();
    write_value(value, &mut out);
    out
}

/// What happens to a number that a double cannot hold exactly.
#[derive(Clone, Copy, PartialEq)]
enum Numbers {
    Exact,
    Rounded,
}

fn parse(text: &str, bytes_max: usize, numbers: Numbers) -> Result<Value, Reason> {
    if text.len() > bytes_max {
        return Err(malformed(format!("it has {} bytes, at most {bytes_max} are read", text.len())));
    }
    if text.starts_with('\u{feff}') {
        return Err(malformed("it starts with a byte order mark"));
    }
    scan(text, numbers)?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| malformed(error.to_string()))
}

/// One pass over the bytes, without recursion: nesting, the number of values, and each number. It knows just enough
/// of the grammar to skip strings; whatever is not JSON is left for the parser to refuse.
fn scan(text: &str, numbers: Numbers) -> Result<(), Reason> {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut values) = (0, 0_usize, 1_usize);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = end_of_string(bytes, at + 1);
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                values += 1;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            b'-' | b'0'..=b'9' => {
                let rest = bytes.get(at..).unwrap_or_default();
                let length = rest.iter().take_while(|b| b"+-.0123456789Ee".contains(b)).count();
                check_number(text.get(at..at + length).unwrap_or_default(), numbers)?;
                at += length;
                continue;
            }
            _ => {}
        }
        if depth > JSON_DEPTH_MAX {
            return Err(malformed(format!("it is nested more than {JSON_DEPTH_MAX} deep")));
        }
        if values > VALUES_MAX {
            return Err(malformed(format!("it has more than {VALUES_MAX} values")));
        }
        at += 1;
    }
    Ok(())
}

/// The index behind the quote that ends a string whose content starts at `at`.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

fn check_number(token: &str, numbers: Numbers) -> Result<(), Reason> {
    if token.len() > NUMBER_CHARS_MAX {
        return Err(malformed(format!("a number has more than {NUMBER_CHARS_MAX} characters")));
    }
    let Ok(double) = token.parse::<f64>() else {
        return Ok(()); // not a number at all: the parser says so, with the place
    };
    if double.is_infinite() {
        return Err(malformed("a number is outside the range of a double"));
    }
    if numbers == Numbers::Rounded {
        return Ok(());
    }
    let written = decimal_digits(token);
    if double == 0.0 && !written.0.is_empty() {
        return Err(malformed("a number is too small for a double"));
    }
    // Rust's shortest digits differ from ECMAScript's only where a double lies halfway between two shortest texts. An
    // integer there is an odd multiple of 5·10^k, so its neighbours are at most 2^k away, nearer than both texts.
    if double.abs() >= EXACT_MAX && written != decimal_digits(&format!("{double:e}")) {
        return Err(malformed("a number beyond 2^53 cannot be held exactly by a double"));
    }
    Ok(())
}

/// A decimal number without its sign as significant digits and a power of ten, so that two spellings of one number
/// compare equal: `1200`, `1.2e3` and `12e2` are all `("12", 2)`.
fn decimal_digits(token: &str) -> (String, i64) {
    let (mantissa, exponent) = token.split_once(['e', 'E']).unwrap_or((token, "0"));
    let exponent: i64 = exponent.parse().unwrap_or_default();
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
    let shown = digits.trim_end_matches('0');
    let dropped = (digits.len() - shown.len()) as i64;
    (shown.trim_start_matches('0').to_owned(), exponent.saturating_sub(fraction.len() as i64).saturating_add(dropped))
}

/// Reads any value and refuses members that appear twice; `serde_json` itself would keep the last one.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;
    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is not finite"))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = items.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(A::Error::custom("a member appears twice"));
            }
            let value = items.next_value_seed(Strict)?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(number, out),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            // RFC 8785 section 3.2.3 sorts by UTF-16 code units: U+1F600 comes before U+FB33, in UTF-8 it is behind.
            sorted.sort_unstable_by(|(left, _), (right, _)| left.encode_utf16().cmp(right.encode_utf16()));
            out.push('{');
            for (index, (name, item)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(name, out);
                out.push(':');
                write_value(item, out);
            }
            out.push('}');
        }
    }
}

/// RFC 8785 section 3.2.2.3: the shortest text that reads back as the same double, in ECMAScript's notation.
fn write_number(number: &Number, out: &mut String) {
    // A number that was read is finite; the fallback only keeps this function total.
    let double = number.as_f64().filter(|double| double.is_finite()).unwrap_or_default();
    out.push_str(ryu_js::Buffer::new().format_finite(double));
}

/// Appends a string in quotes. RFC 8785 section 3.2.2.2: what must be escaped is, in the short form where there is one.
pub fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    // Most strings have nothing to escape, and are copied whole.
    while let Some(at) = rest.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        match special.as_bytes().first() {
            Some(b'"') => out.push_str("\\\""),
            Some(b'\\') => out.push_str("\\\\"),
            Some(8) => out.push_str("\\b"),
            Some(b'\t') => out.push_str("\\t"),
            Some(b'\n') => out.push_str("\\n"),
            Some(12) => out.push_str("\\f"),
            Some(b'\r') => out.push_str("\\r"),
            Some(other) => out.push_str(&format!("\\u{other:04x}")),
            None => {}
        }
        rest = special.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
    out.push('"');
}

fn malformed(what: impl Into<String>) -> Reason {
    Reason::JsonMalformed { what: what.into() }
}

/// Values in one text. A text of the greatest size holds millions of empty objects, and each costs hundreds of bytes
/// once it is read.
pub const VALUES_MAX: usize = 500_000;
/// Characters of one number. No double needs more: the longest exact expansion has 1,076.
pub const NUMBER_CHARS_MAX: usize = 1100;
/// Up to here every integer is a double of its own.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

#[cfg(test)]
mod tests;
