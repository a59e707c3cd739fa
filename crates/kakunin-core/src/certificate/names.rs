//! Distinguished names: their text (RFC 4514) and when two of them are the same (RFC 5280 section 7.1).

use std::fmt::Write;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::der::{self, Fault, Reader};
use crate::limits::COMMON_NAME_MAX;

/// One attribute of a relative distinguished name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'a> {
    /// Content octets of the type's OBJECT IDENTIFIER.
    pub(crate) oid: &'a [u8],
    tag: u8,
    value: &'a [u8],
    /// The encoded value, header included.
    whole: &'a [u8],
}

/// The relative distinguished names of a DER `Name`, in the order of the encoding.
pub(crate) fn parse(name: &[u8]) -> Result<Vec<Vec<Attribute<'_>>>, Fault> {
    let mut sequence = Reader::new(der::only(name, der::SEQUENCE, "a name is not a SEQUENCE")?);
    let mut rdns = Vec::new();
    while !sequence.at_end() {
        let mut set = Reader::new(sequence.expect(der::SET, "a relative name is not a SET")?);
        let mut attributes = Vec::new();
        while !set.at_end() {
            attributes.push(attribute(&mut set)?);
        }
        if attributes.is_empty() {
            return Err(Fault("a relative name is empty"));
        }
        rdns.push(attributes);
    }
    Ok(rdns)
}

fn attribute<'a>(set: &mut Reader<'a>) -> Result<Attribute<'a>, Fault> {
    let mut pair = Reader::new(set.expect(der::SEQUENCE, "a name attribute is not a SEQUENCE")?);
    let oid = pair.expect(der::OID, "a name attribute has no type")?;
    let value = pair.read()?;
    pair.finish("a name attribute has more than a value")?;
    Ok(Attribute { oid, tag: value.tag, value: value.value, whole: value.whole })
}

impl Attribute<'_> {
    /// The value as text, if it has a string type with a defined repertoire (TeletexString has none in practice).
    pub(crate) fn text(&self) -> Option<String> {
        match self.tag {
            der::UTF8_STRING | der::PRINTABLE_STRING | der::IA5_STRING | der::NUMERIC_STRING | der::VISIBLE_STRING => {
                std::str::from_utf8(self.value).ok().map(str::to_owned)
            }
            der::BMP_STRING => {
                let (units, _) = self.value.as_chunks::<2>();
                units.iter().map(|unit| char::from_u32(u32::from(u16::from_be_bytes(*unit)))).collect()
            }
            der::UNIVERSAL_STRING => {
                let (units, _) = self.value.as_chunks::<4>();
                units.iter().map(|unit| char::from_u32(u32::from_be_bytes(*unit))).collect()
            }
            _ => None,
        }
    }

    /// What equality compares: for strings the prepared text, for all else the encoding.
    fn prepared(&self) -> Prepared<'_> {
        match self.text() {
            Some(text) => Prepared::Text(prepare(&text)),
            None => Prepared::Encoding(self.whole),
        }
    }
}

#[derive(PartialEq, Eq)]
enum Prepared<'a> {
    Text(String),
    Encoding(&'a [u8]),
}

/// String preparation of RFC 4518 as far as equality needs it: compatibility forms and case folded, outer white
/// space removed, inner runs of it made one space, characters without meaning of their own dropped.
fn prepare(text: &str) -> String {
    let folded: String = text.nfkc().flat_map(char::to_lowercase).nfkc().filter(|c| !is_ignored(*c)).collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// RFC 4518 section 2.2: soft hyphen, joiners, zero-width space, variation selectors, object replacement.
fn is_ignored(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{1806}' | '\u{180b}'..='\u{180d}' | '\u{200b}' | '\u{fe00}'..='\u{fe0f}' | '\u{fffc}')
}

/// Whether two DER names are the same name (RFC 5280 section 7.1): the same number of relative names in the same
/// order, each with the same attributes in any order. Names that cannot be parsed equal only themselves.
pub(crate) fn same(left: &[u8], right: &[u8]) -> bool {
    if left == right {
        return true;
    }
    match (parse(left), parse(right)) {
        (Ok(left), Ok(right)) => left.len() == right.len() && starts_with(&left, &right),
        _ => false,
    }
}

/// Whether `name` lies in the subtree `base`: it begins with the relative names of the base (RFC 5280 section
/// 4.2.1.10, directoryName).
pub(crate) fn is_within(name: &[u8], base: &[u8]) -> Result<bool, Fault> {
    let (name, base) = (parse(name)?, parse(base)?);
    Ok(name.len() >= base.len() && starts_with(&name, &base))
}

fn starts_with(name: &[Vec<Attribute<'_>>], base: &[Vec<Attribute<'_>>]) -> bool {
    base.iter().zip(name).all(|(base, name)| {
        base.len() == name.len() && base.iter().all(|wanted| name.iter().any(|found| equal(wanted, found)))
    })
}

fn equal(left: &Attribute<'_>, right: &Attribute<'_>) -> bool {
    left.oid == right.oid && (left.whole == right.whole || left.prepared() == right.prepared())
}

/// The text of a name by RFC 4514: last relative name first, `+` within one, special characters escaped. Control
/// and direction characters are escaped too, so that the text shows what it says.
pub(crate) fn text(name: &[u8]) -> Result<String, Fault> {
    let mut shown = String::new();
    for (place, rdn) in parse(name)?.iter().rev().enumerate() {
        for (index, attribute) in rdn.iter().enumerate() {
            match (place, index) {
                (0, 0) => {}
                (_, 0) => shown.push(','),
                _ => shown.push('+'),
            }
            push_attribute(&mut shown, attribute);
        }
    }
    Ok(shown)
}

fn push_attribute(shown: &mut String, attribute: &Attribute<'_>) {
    let keyword = KEYWORDS.iter().find(|(oid, _)| *oid == attribute.oid).map(|(_, keyword)| *keyword);
    match (keyword, attribute.text()) {
        (Some(keyword), Some(text)) => {
            shown.push_str(keyword);
            shown.push('=');
            push_escaped(shown, &text);
        }
        // Section 2.4: a type without a keyword takes the hexadecimal of its encoded value.
        _ => {
            let encoded = super::serial::hex_of(attribute.whole);
            shown.push_str(&keyword.map_or_else(|| der::oid_text(attribute.oid), str::to_owned));
            shown.push_str("=#");
            shown.push_str(&encoded);
        }
    }
}

fn push_escaped(shown: &mut String, text: &str) {
    let last = text.chars().count().saturating_sub(1);
    for (index, c) in text.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => shown.extend(['\\', c]),
            ' ' if index == 0 || index == last => shown.push_str("\\ "),
            '#' if index == 0 => shown.push_str("\\#"),
            _ if is_deceptive(c) => {
                for octet in c.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing to a String cannot fail.
                    let _ = write!(shown, "\\{octet:02X}");
                }
            }
            _ => shown.push(c),
        }
    }
}

/// Characters that change what a person sees of the text around them: controls, line and paragraph separators,
/// direction marks, the byte order mark.
pub(crate) fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Refuses names that cannot be shown or compared faithfully: deceptive characters, text not in Unicode NFC, a
/// common name above 64 characters (RFC 5280 appendix A, ub-common-name).
pub(crate) fn check_text(name: &[u8]) -> Result<(), Fault> {
    for attribute in parse(name)?.iter().flatten() {
        let Some(text) = attribute.text() else { continue };
        if text.chars().any(is_deceptive) {
            return Err(Fault("a name holds a control or direction character"));
        }
        if !is_nfc(&text) {
            return Err(Fault("a name is not in Unicode normalisation form C"));
        }
        if attribute.oid == COMMON_NAME && text.chars().count() > COMMON_NAME_MAX {
            return Err(Fault("a common name has more than 64 characters"));
        }
    }
    Ok(())
}

/// The texts of all attributes of one type, in order; an attribute without text is `None`.
pub(crate) fn values(name: &[u8], oid: &[u8]) -> Result<Vec<Option<String>>, Fault> {
    let rdns = parse(name)?;
    Ok(rdns.iter().flatten().filter(|attribute| attribute.oid == oid).map(Attribute::text).collect())
}

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
pub(crate) const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
pub(crate) const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01];

/// RFC 4514 section 3 and the descriptors registered for other attributes that occur in certificates.
const KEYWORDS: [(&[u8], &str); 17] = [
    (COMMON_NAME, "CN"),
    (&[0x55, 0x04, 0x04], "sn"),
    (&[0x55, 0x04, 0x05], "serialNumber"),
    (&[0x55, 0x04, 0x06], "C"),
    (&[0x55, 0x04, 0x07], "L"),
    (&[0x55, 0x04, 0x08], "ST"),
    (&[0x55, 0x04, 0x09], "STREET"),
    (ORGANIZATION, "O"),
    (&[0x55, 0x04, 0x0b], "OU"),
    (&[0x55, 0x04, 0x0c], "title"),
    (&[0x55, 0x04, 0x11], "postalCode"),
    (&[0x55, 0x04, 0x2a], "givenName"),
    (&[0x55, 0x04, 0x2e], "dnQualifier"),
    (&[0x55, 0x04, 0x61], "organizationIdentifier"),
    (EMAIL_ADDRESS, "emailAddress"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19], "DC"),
];

#[cfg(test)]
mod tests;
