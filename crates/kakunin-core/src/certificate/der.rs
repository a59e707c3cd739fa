//! A strict DER reader (X.690 sections 8, 10 and 11).
//!
//! Certificates are compared by hash and by byte, so each value may have one encoding only. Whatever BER allows
//! beside it (indefinite and long lengths, constructed strings, padded integers, `TRUE` other than FF, unsorted
//! sets, spelled-out defaults) is refused here, before anything looks at the meaning.

use crate::UnixTime;

/// What is wrong with an encoding; callers wrap it in the [`Reason`](crate::Reason) of what they were reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) &'static str);

/// One value with its tag. `whole` includes tag and length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tlv<'a> {
    pub(crate) tag: u8,
    pub(crate) value: &'a [u8],
    pub(crate) whole: &'a [u8],
}

/// A cursor over concatenated DER values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// The tag of the next value, if there is one.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next value, whatever it is. Only tags below 31 occur in X.509, so the long tag form is refused.
    pub(crate) fn read(&mut self) -> Result<Tlv<'a>, Fault> {
        let (&tag, after_tag) = self.rest.split_first().ok_or(Fault("a value is missing"))?;
        if tag & 0x1f == 0x1f {
            return Err(Fault("a tag number above 30 is used"));
        }
        let (length, after_length) = read_length(after_tag)?;
        let value = after_length.get(..length).ok_or(Fault("a length runs past the end"))?;
        let header = self.rest.len() - after_length.len();
        let (whole, rest) = self.rest.split_at(header + length);
        self.rest = rest;
        Ok(Tlv { tag, value, whole })
    }

    /// The content of the next value, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8, what: &'static str) -> Result<&'a [u8], Fault> {
        self.expect_tlv(tag, what).map(|tlv| tlv.value)
    }

    /// Like [`expect`](Self::expect), with the header.
    pub(crate) fn expect_tlv(&mut self, tag: u8, what: &'static str) -> Result<Tlv<'a>, Fault> {
        if self.peek() != Some(tag) {
            return Err(Fault(what));
        }
        self.read()
    }

    /// The content of the next value if it has this tag, else nothing is consumed.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Fault> {
        if self.peek() == Some(tag) { self.read().map(|tlv| Some(tlv.value)) } else { Ok(None) }
    }

    /// Succeeds when everything was consumed.
    pub(crate) fn finish(&self, what: &'static str) -> Result<(), Fault> {
        if self.at_end() { Ok(()) } else { Err(Fault(what)) }
    }
}

/// Exactly one value of this tag and nothing after it.
pub(crate) fn only<'a>(bytes: &'a [u8], tag: u8, what: &'static str) -> Result<&'a [u8], Fault> {
    let mut reader = Reader::new(bytes);
    let value = reader.expect(tag, what)?;
    reader.finish(what)?;
    Ok(value)
}

/// X.690 section 10.1: definite form, fewest octets. Four octets of length are more than any cap here allows.
fn read_length(bytes: &[u8]) -> Result<(usize, &[u8]), Fault> {
    let (&first, rest) = bytes.split_first().ok_or(Fault("a length is missing"))?;
    if first < 0x80 {
        return Ok((usize::from(first), rest));
    }
    if first == 0x80 {
        return Err(Fault("a length is of the indefinite form"));
    }
    let count = usize::from(first & 0x7f);
    if count > 4 {
        return Err(Fault("a length has more than four octets"));
    }
    let octets = rest.get(..count).ok_or(Fault("a length is cut off"))?;
    let length = octets.iter().fold(0_usize, |sum, &octet| (sum << 8) | usize::from(octet));
    let shortest = length >= 0x80 && octets.first() != Some(&0);
    if !shortest {
        return Err(Fault("a length is not of the shortest form"));
    }
    Ok((length, rest.get(count..).unwrap_or_default()))
}

/// Checks every value in `bytes`, to any depth that X.509 needs, against the rules of its universal type.
/// Context-specific primitive values are opaque here; whoever knows their type checks them.
pub(crate) fn check(bytes: &[u8]) -> Result<(), Fault> {
    check_level(bytes, DEPTH_MAX)
}

fn check_level(bytes: &[u8], depth: usize) -> Result<(), Fault> {
    let Some(deeper) = depth.checked_sub(1) else {
        return Err(Fault("values are nested too deeply"));
    };
    let mut reader = Reader::new(bytes);
    while !reader.at_end() {
        let tlv = reader.read()?;
        match tlv.tag {
            SEQUENCE => check_level(tlv.value, deeper)?,
            SET => {
                check_level(tlv.value, deeper)?;
                check_set_order(tlv.value)?;
            }
            tag if tag & CLASS_MASK == 0 => check_universal(tag, tlv.value)?,
            tag if tag & CONSTRUCTED != 0 => check_level(tlv.value, deeper)?,
            _ => {}
        }
    }
    Ok(())
}

/// X.690 section 11.6: the components of a SET OF ascend by their encoding (X.501 uses no other SET).
fn check_set_order(content: &[u8]) -> Result<(), Fault> {
    let mut reader = Reader::new(content);
    let mut previous: &[u8] = &[];
    while !reader.at_end() {
        let whole = reader.read()?.whole;
        if whole <= previous {
            return Err(Fault("a SET OF is not in ascending order"));
        }
        previous = whole;
    }
    Ok(())
}

fn check_universal(tag: u8, value: &[u8]) -> Result<(), Fault> {
    match tag {
        BOOLEAN => boolean(value).map(drop),
        INTEGER | ENUMERATED => integer(value).map(drop),
        BIT_STRING => bit_string(value).map(drop),
        OCTET_STRING => Ok(()),
        NULL if value.is_empty() => Ok(()),
        OID => oid(value),
        UTF8_STRING => std::str::from_utf8(value).map(drop).map_err(|_| Fault("a UTF8String is not UTF-8")),
        NUMERIC_STRING if value.iter().all(|c| c.is_ascii_digit() || *c == b' ') => Ok(()),
        PRINTABLE_STRING if value.iter().all(is_printable) => Ok(()),
        IA5_STRING if value.is_ascii() => Ok(()),
        VISIBLE_STRING if value.iter().all(|c| (0x20..0x7f).contains(c)) => Ok(()),
        TELETEX_STRING => Ok(()),
        BMP_STRING if value.len().is_multiple_of(2) => Ok(()),
        UNIVERSAL_STRING if value.len().is_multiple_of(4) => Ok(()),
        UTC_TIME | GENERALIZED_TIME => time(tag, value).map(drop),
        NULL => Err(Fault("a NULL has content")),
        NUMERIC_STRING | PRINTABLE_STRING | IA5_STRING | VISIBLE_STRING => {
            Err(Fault("a string holds characters that its type does not have"))
        }
        BMP_STRING | UNIVERSAL_STRING => Err(Fault("a wide string ends within a character")),
        tag if tag & CONSTRUCTED != 0 => Err(Fault("a primitive type has the constructed form")),
        _ => Err(Fault("a value has a type that X.509 does not use")),
    }
}

/// X.680 section 41.4: the characters of a PrintableString.
fn is_printable(c: &u8) -> bool {
    c.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(c)
}

/// X.690 section 11.1: `FF` or `00`.
pub(crate) fn boolean(value: &[u8]) -> Result<bool, Fault> {
    match value {
        [0xff] => Ok(true),
        [0x00] => Ok(false),
        _ => Err(Fault("a BOOLEAN is neither FF nor 00")),
    }
}

/// X.690 section 8.3.2: the first nine bits are not all equal. Returns the content octets, two's complement.
pub(crate) fn integer(value: &[u8]) -> Result<&[u8], Fault> {
    match value {
        [] => Err(Fault("an INTEGER is empty")),
        [0x00, second, ..] if second & 0x80 == 0 => Err(Fault("an INTEGER is padded")),
        [0xff, second, ..] if second & 0x80 != 0 => Err(Fault("an INTEGER is padded")),
        _ => Ok(value),
    }
}

/// The magnitude of an INTEGER that must be positive or zero, without the sign octet.
pub(crate) fn unsigned(value: &[u8]) -> Result<&[u8], Fault> {
    match integer(value)? {
        [first, ..] if first & 0x80 != 0 => Err(Fault("an INTEGER is negative")),
        [0x00, rest @ ..] if !rest.is_empty() => Ok(rest),
        value => Ok(value),
    }
}

/// A small INTEGER, zero or more.
pub(crate) fn small(value: &[u8]) -> Result<u32, Fault> {
    let octets = unsigned(value)?;
    if octets.len() > 4 {
        return Err(Fault("an INTEGER is too large"));
    }
    Ok(octets.iter().fold(0, |sum, &octet| (sum << 8) | u32::from(octet)))
}

/// X.690 section 11.2.1: unused bits are zero. Returns their number and the octets.
pub(crate) fn bit_string(value: &[u8]) -> Result<(u8, &[u8]), Fault> {
    let (&unused, octets) = value.split_first().ok_or(Fault("a BIT STRING is empty"))?;
    let padding_is_zero = match octets.last() {
        None => unused == 0,
        Some(last) => unused < 8 && u32::from(*last).trailing_zeros() >= u32::from(unused),
    };
    if padding_is_zero { Ok((unused, octets)) } else { Err(Fault("a BIT STRING has set or too many unused bits")) }
}

/// A BIT STRING of whole octets.
pub(crate) fn octets_of_bit_string(value: &[u8]) -> Result<&[u8], Fault> {
    match bit_string(value)? {
        (0, octets) => Ok(octets),
        _ => Err(Fault("a BIT STRING does not end with an octet")),
    }
}

/// X.690 section 8.19: each arc in base 128 with the fewest octets.
fn oid(value: &[u8]) -> Result<(), Fault> {
    let complete = value.last().is_some_and(|last| last & 0x80 == 0);
    let mut starts_arc = true;
    for octet in value {
        if starts_arc && *octet == 0x80 {
            return Err(Fault("an OBJECT IDENTIFIER is padded"));
        }
        starts_arc = octet & 0x80 == 0;
    }
    if complete { Ok(()) } else { Err(Fault("an OBJECT IDENTIFIER is cut off")) }
}

/// The text of an OBJECT IDENTIFIER's content, for messages. Arcs above 2^64 are shown as `?`.
pub(crate) fn oid_text(value: &[u8]) -> String {
    let mut arcs: Vec<Option<u64>> = Vec::new();
    let mut arc: Option<u64> = Some(0);
    for octet in value {
        arc = arc.and_then(|sum| sum.checked_mul(128)?.checked_add(u64::from(octet & 0x7f)));
        if octet & 0x80 == 0 {
            match (arcs.is_empty(), arc) {
                (true, Some(first)) => {
                    let root = (first / 40).min(2);
                    arcs.extend([Some(root), Some(first - root * 40)]);
                }
                _ => arcs.push(arc),
            }
            arc = Some(0);
        }
    }
    let shown = arcs.into_iter().map(|arc| arc.map_or_else(|| "?".to_owned(), |arc| arc.to_string()));
    shown.collect::<Vec<_>>().join(".")
}

/// The content octets of an OBJECT IDENTIFIER written as text (`1.3.6.1.4.1.99999`).
pub(crate) fn oid_octets(text: &str) -> Option<Vec<u8>> {
    let arcs = text.split('.').map(|arc| {
        let canonical =
            !arc.is_empty() && arc.bytes().all(|c| c.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0'));
        if canonical { arc.parse::<u64>().ok() } else { None }
    });
    let arcs = arcs.collect::<Option<Vec<u64>>>()?;
    let (&[root, second], rest) = arcs.split_first_chunk::<2>()?;
    if root > 2 || (root < 2 && second > 39) {
        return None;
    }
    let mut octets = Vec::new();
    push_arc(&mut octets, (root * 40).checked_add(second)?);
    rest.iter().for_each(|arc| push_arc(&mut octets, *arc));
    Some(octets)
}

fn push_arc(octets: &mut Vec<u8>, arc: u64) {
    let groups = (64 - arc.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let more = if group == 0 { 0 } else { 0x80 };
        octets.push(more | ((arc >> (7 * group)) & 0x7f) as u8);
    }
}

/// RFC 5280 section 4.1.2.5: UTCTime as `YYMMDDHHMMSSZ` (years 1950 to 2049), GeneralizedTime as
/// `YYYYMMDDHHMMSSZ`, without fraction. Which of the two a year must use is the certificate's rule, not DER's.
pub(crate) fn time(tag: u8, value: &[u8]) -> Result<UnixTime, Fault> {
    const WHAT: Fault = Fault("a time is not written as RFC 5280 demands");
    let (digits, zone) = value.split_last().map(|(zone, digits)| (digits, *zone)).ok_or(WHAT)?;
    if zone != b'Z' || !digits.iter().all(u8::is_ascii_digit) {
        return Err(WHAT);
    }
    let (year_digits, rest) = digits.split_at_checked(if tag == UTC_TIME { 2 } else { 4 }).ok_or(WHAT)?;
    let number = |digits: &[u8]| digits.iter().fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let mut year = number(year_digits);
    if tag == UTC_TIME {
        year += if year >= 50 { 1900 } else { 2000 };
    }
    let [month, day, hour, minute, second] = match rest.len() {
        10 => [0, 2, 4, 6, 8].map(|at| number(rest.get(at..at + 2).unwrap_or_default())),
        _ => return Err(WHAT),
    };
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days_in_month = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return Err(WHAT),
    };
    if !(1..=days_in_month).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return Err(WHAT);
    }
    let days = days_from_civil(year, month, day);
    Ok(UnixTime::from_seconds(days * 86_400 + hour * 3600 + minute * 60 + second))
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar; years are counted from March.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OID: u8 = 0x06;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const NUMERIC_STRING: u8 = 0x12;
pub(crate) const PRINTABLE_STRING: u8 = 0x13;
pub(crate) const TELETEX_STRING: u8 = 0x14;
pub(crate) const IA5_STRING: u8 = 0x16;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const VISIBLE_STRING: u8 = 0x1a;
pub(crate) const UNIVERSAL_STRING: u8 = 0x1c;
pub(crate) const BMP_STRING: u8 = 0x1e;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
const CLASS_MASK: u8 = 0xc0;
const CONSTRUCTED: u8 = 0x20;
/// Levels of nesting. A name constraint with a directory name, the deepest structure of RFC 5280, needs 9.
const DEPTH_MAX: usize = 24;

#[cfg(test)]
mod tests;
