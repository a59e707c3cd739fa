//! numeric, from its storage format: sign and weight in a header of two or four bytes, then base 10000 digits.

use kakunin_core::ledger::row::{RowWriter, Sign};

/// Writes what follows a numeric's length.
pub fn write(payload: &[u8], out: &mut RowWriter) {
    let (sign, weight, digits) = parts(payload);
    out.numeric(sign, weight, &digits);
}

/// As a decimal number with all its digits: no exponent, no zeros at the end of a fraction. Only for numbers.
pub fn decimal(payload: &[u8], out: &mut String) {
    let (sign, weight, digits) = parts(payload);
    let leading = digits.iter().take_while(|digit| **digit == 0).count();
    let kept = digits.get(leading..).unwrap_or_default();
    if kept.is_empty() {
        return out.push('0');
    }
    if sign == Sign::Minus {
        out.push('-');
    }
    let weight = weight - i32::try_from(leading).unwrap_or(i32::MAX);
    let whole = usize::try_from(weight + 1).unwrap_or(0);
    if whole == 0 {
        out.push('0');
    }
    for place in 0..whole {
        push_digit(kept.get(place).copied().unwrap_or(0), place == 0, out);
    }
    if kept.len() > whole {
        out.push('.');
        (0..-1 - weight).for_each(|_| out.push_str("0000"));
        kept.iter().skip(whole).for_each(|digit| push_digit(*digit, false, out));
    }
    // Zeros at the end of a fraction say nothing, nor does its point.
    if kept.len() > whole {
        let shown = out.trim_end_matches('0').trim_end_matches('.').len();
        out.truncate(shown);
    }
}

/// Four decimal digits; the first of a number without zeros in front.
fn push_digit(digit: u16, is_first: bool, out: &mut String) {
    let mut shown = !is_first;
    for unit in [1000, 100, 10, 1] {
        let decimal = u8::try_from(digit / unit % 10).unwrap_or(0);
        shown |= decimal != 0 || unit == 1;
        if shown {
            out.push(char::from(b'0' + decimal));
        }
    }
}

fn parts(payload: &[u8]) -> (Sign, i32, Vec<u16>) {
    let (header, rest) = payload.split_first_chunk::<2>().unwrap_or((&[0; 2], &[]));
    let header = u16::from_ne_bytes(*header);
    let (sign, weight, digits) = match header & SIGN_MASK {
        SPECIAL => match header {
            PLUS_INFINITY => (Sign::Infinity, 0, &[][..]),
            MINUS_INFINITY => (Sign::MinusInfinity, 0, &[][..]),
            _ => (Sign::NaN, 0, &[][..]),
        },
        SHORT => {
            let magnitude = i32::from(header & SHORT_WEIGHT);
            let weight = if header & SHORT_WEIGHT_MINUS != 0 { magnitude - SHORT_WEIGHT_SPAN } else { magnitude };
            (if header & SHORT_MINUS != 0 { Sign::Minus } else { Sign::Plus }, weight, rest)
        }
        long => {
            let (weight, digits) = rest.split_first_chunk::<2>().unwrap_or((&[0; 2], &[]));
            let sign = if long == LONG_MINUS { Sign::Minus } else { Sign::Plus };
            (sign, i32::from(i16::from_ne_bytes(*weight)), digits)
        }
    };
    (sign, weight, digits.as_chunks::<2>().0.iter().map(|pair| u16::from_ne_bytes(*pair)).collect())
}

// PostgreSQL's src/backend/utils/adt/numeric.c describes the header.
const SIGN_MASK: u16 = 0xc000;
const LONG_MINUS: u16 = 0x4000;
const SHORT: u16 = 0x8000;
const SPECIAL: u16 = 0xc000;
const PLUS_INFINITY: u16 = 0xd000;
const MINUS_INFINITY: u16 = 0xf000;
const SHORT_MINUS: u16 = 0x2000;
const SHORT_WEIGHT_MINUS: u16 = 0x0040;
const SHORT_WEIGHT: u16 = 0x003f;
/// A negative weight is stored in 7 bits, as two's complement.
const SHORT_WEIGHT_SPAN: i32 = 0x40;
