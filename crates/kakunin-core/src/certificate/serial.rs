//! Serial numbers (RFC 5280 section 4.1.2.2) in their one text form: upper-case hexadecimal of the magnitude, no
//! separators, no leading `00` octet, an even number of digits.

use crate::Reason;
use crate::limits::{SERIAL_OCTETS_MAX, SERIAL_TEXT_MAX};

/// Brings any common way of writing a serial number in hexadecimal to the canonical text.
///
/// Understood: upper and lower case, a `0x` prefix, one colon, dash or space between digits, leading zeros, an odd
/// number of digits (a zero is put in front). `10` is sixteen; [`from_decimal`] reads decimal numbers.
///
/// # Errors
/// [`Reason::SerialMalformed`] for other characters, for zero, for a negative number and for one that needs more
/// than 20 octets in DER (a set top bit costs a sign octet).
pub fn normalize(text: &str) -> Result<String, Reason> {
    if text.len() > SERIAL_TEXT_MAX {
        return malformed("It is too long");
    }
    let text = text.trim_matches(' ');
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    if digits.starts_with('-') {
        return malformed("A serial number is positive");
    }
    let mut hex = String::with_capacity(digits.len() + 1);
    let mut after_digit = false;
    for c in digits.chars() {
        match c {
            _ if c.is_ascii_hexdigit() => {
                hex.push(c.to_ascii_uppercase());
                after_digit = true;
            }
            ':' | '-' | ' ' if after_digit => after_digit = false,
            _ => return malformed("It holds something else than hexadecimal digits with single separators"),
        }
    }
    if !after_digit {
        return malformed(if hex.is_empty() { "It is empty" } else { "It ends with a separator" });
    }
    let significant = hex.trim_start_matches('0');
    let padding = if significant.len().is_multiple_of(2) { "" } else { "0" };
    canonical(format!("{padding}{significant}"))
}

/// Reads a serial number written in decimal.
///
/// # Errors
/// [`Reason::SerialMalformed`] as for [`normalize`].
pub fn from_decimal(text: &str) -> Result<String, Reason> {
    let text = text.trim_matches(' ');
    if text.is_empty() || text.len() > SERIAL_TEXT_MAX || !text.bytes().all(|c| c.is_ascii_digit()) {
        return malformed("It is not a decimal number");
    }
    // Base 256, least significant octet first: long multiplication, at most 128 digits.
    let mut octets: Vec<u8> = Vec::new();
    for digit in text.bytes() {
        let mut carry = u32::from(digit - b'0');
        for octet in &mut octets {
            carry += u32::from(*octet) * 10;
            *octet = (carry & 0xff) as u8;
            carry >>= 8;
        }
        if carry > 0 {
            octets.push(carry as u8);
        }
    }
    octets.reverse();
    canonical(hex_of(&octets))
}

/// The canonical text of an INTEGER's content octets (two's complement, as in a certificate or CRL).
///
/// # Errors
/// [`Reason::SerialInvalid`] when it is zero, negative or longer than 20 octets.
pub(crate) fn from_der(content: &[u8]) -> Result<String, Reason> {
    let what = match content {
        [] | [0] => "It is zero",
        [first, ..] if first & 0x80 != 0 => "It is negative",
        _ if content.len() > SERIAL_OCTETS_MAX => "It is longer than 20 octets",
        [0, rest @ ..] => return Ok(hex_of(rest)),
        _ => return Ok(hex_of(content)),
    };
    Err(Reason::SerialInvalid { what: what.to_owned() })
}

pub(crate) fn hex_of(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 0x0f)]);
    octets.iter().flat_map(|octet| [digit(octet >> 4), digit(*octet)]).collect()
}

/// Checks the range of a text that is canonical already.
fn canonical(hex: String) -> Result<String, Reason> {
    let sign_octet = usize::from(hex.as_bytes().first().is_some_and(|first| *first >= b'8'));
    if hex.is_empty() {
        return malformed("It is zero");
    }
    if hex.len() / 2 + sign_octet > SERIAL_OCTETS_MAX {
        return malformed("It needs more than 20 octets");
    }
    Ok(hex)
}

fn malformed<T>(what: &str) -> Result<T, Reason> {
    Err(Reason::SerialMalformed { what: what.to_owned() })
}
