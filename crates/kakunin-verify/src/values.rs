//! Values of rows as text, for people. Nothing is decided with it.

use kakunin_core::ledger::row::{Values, tag};
use kakunin_core::limits::LEDGER_NESTING_MAX;

use crate::show::plain;

/// A value as PostgreSQL or nearly so; what is long is cut.
pub fn text(tag: u8, bytes: &[u8]) -> String {
    text_at(tag, bytes, 0)
}

/// Values inside values beyond [`LEDGER_NESTING_MAX`] are shown as bytes: what is shown may be what was refused.
fn text_at(tag: u8, bytes: &[u8], depth: usize) -> String {
    let readable = if depth > LEDGER_NESTING_MAX { None } else { whole(tag, bytes, depth) };
    let shown = readable.unwrap_or_else(|| hex(bytes));
    match shown.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}… ({} bytes)", shown.get(..end).unwrap_or_default(), bytes.len()),
        None => shown,
    }
}

/// None where the bytes are not what the tag says.
fn whole(tag: u8, bytes: &[u8], depth: usize) -> Option<String> {
    let integer = || bytes.try_into().ok().map(i64::from_be_bytes);
    Some(match tag {
        tag::NULL => "null".to_owned(),
        tag::BOOLEAN => if bytes == [1] { "true" } else { "false" }.to_owned(),
        tag::INTEGER => integer()?.to_string(),
        tag::REAL => f32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        tag::DOUBLE => f64::from_be_bytes(bytes.try_into().ok()?).to_string(),
        tag::NUMERIC => numeric(bytes)?,
        tag::TEXT | tag::ENUM => format!("'{}'", plain(std::str::from_utf8(bytes).ok()?)),
        tag::JSONB => plain(std::str::from_utf8(bytes).ok()?),
        tag::TIMESTAMPTZ => time(integer()?),
        tag::TIMESTAMP => time(integer()?).trim_end_matches('Z').to_owned(),
        tag::DATE => match integer()? {
            days if days == i64::from(i32::MAX) => "infinity".to_owned(),
            days if days == i64::from(i32::MIN) => "-infinity".to_owned(),
            days => time(days.checked_mul(86_400_000_000)?).split('T').next()?.to_owned(),
        },
        tag::TIME => clock(integer()?),
        tag::TIMETZ => {
            let (time, west) = bytes.split_first_chunk::<8>()?;
            let west = i32::from_be_bytes(west.try_into().ok()?);
            format!("{} ({} s west of UTC)", clock(i64::from_be_bytes(*time)), west)
        }
        tag::INTERVAL => {
            let (time, rest) = bytes.split_first_chunk::<8>()?;
            let (days, months) = rest.split_first_chunk::<4>()?;
            let months = i32::from_be_bytes(months.try_into().ok()?);
            let (days, time) = (i32::from_be_bytes(*days), i64::from_be_bytes(*time));
            format!("{months} months {days} days {time} µs")
        }
        tag::UUID => {
            let digits = hex(bytes);
            let part = |start: usize, end: usize| digits.get(start..end);
            let parts = [part(2, 10)?, part(10, 14)?, part(14, 18)?, part(18, 22)?, part(22, 34)?];
            parts.join("-")
        }
        tag::ARRAY => {
            let (dimensions, rest) = bytes.split_first()?;
            format!("{{{}}}", list(rest.get(8 * usize::from(*dimensions)..)?, depth))
        }
        tag::COMPOSITE => format!("({})", list(bytes, depth)),
        tag::RANGE => {
            let (flags, bounds) = bytes.split_first()?;
            if flags & 1 != 0 {
                return Some("empty".to_owned());
            }
            let mut bounds = Values(bounds).map(|value| {
                value.map_or_else(|error| error.to_string(), |(tag, bytes)| text_at(tag, bytes, depth + 1))
            });
            let lower = if flags & 8 == 0 { bounds.next()? } else { String::new() };
            let upper = if flags & 16 == 0 { bounds.next()? } else { String::new() };
            let (open, close) = (if flags & 2 != 0 { '[' } else { '(' }, if flags & 4 != 0 { ']' } else { ')' });
            format!("{open}{lower},{upper}{close}")
        }
        tag::MULTIRANGE => format!("{{{}}}", list(bytes, depth)),
        tag::BITS => {
            let (count, bytes) = bytes.split_first_chunk::<4>()?;
            let digits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
            format!("B'{}'", digits.get(..u32::from_be_bytes(*count) as usize)?)
        }
        tag::OTHER => {
            let (length, rest) = bytes.split_first()?;
            let (name, sent) = rest.split_at_checked(usize::from(*length))?;
            format!("{} {}", plain(std::str::from_utf8(name).ok()?), hex(sent))
        }
        tag::COMMITMENT => format!("commitment {}", hex(bytes)),
        _ => return None,
    })
}

fn list(values: &[u8], depth: usize) -> String {
    let values = Values(values).map(|value| match value {
        Ok((tag, bytes)) => text_at(tag, bytes, depth + 1),
        Err(refused) => refused.to_string(),
    });
    values.collect::<Vec<_>>().join(",")
}

fn numeric(bytes: &[u8]) -> Option<String> {
    let (sign, rest) = bytes.split_first()?;
    match sign {
        2 => return Some("NaN".to_owned()),
        3 => return Some("Infinity".to_owned()),
        4 => return Some("-Infinity".to_owned()),
        _ => {}
    }
    let (weight, digits) = rest.split_first_chunk::<2>()?;
    let weight = i32::from(i16::from_be_bytes(*weight));
    let digits: Vec<u16> = digits.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
    let digit = |power: i32| usize::try_from(weight - power).ok().and_then(|at| digits.get(at)).copied().unwrap_or(0);
    let whole: String = (0..=weight.max(0)).rev().map(|power| format!("{:04}", digit(power))).collect();
    let whole = whole.trim_start_matches('0');
    let lowest = weight - i32::try_from(digits.len()).ok()? + 1;
    let fraction: String = (lowest..0).rev().map(|power| format!("{:04}", digit(power))).collect();
    let fraction = fraction.trim_end_matches('0');
    let (minus, whole) = (if *sign == 1 { "-" } else { "" }, if whole.is_empty() { "0" } else { whole });
    Some(if fraction.is_empty() { format!("{minus}{whole}") } else { format!("{minus}{whole}.{fraction}") })
}

/// Microseconds since 2000-01-01 UTC.
fn time(microseconds: i64) -> String {
    match microseconds {
        i64::MAX => "infinity".to_owned(),
        i64::MIN => "-infinity".to_owned(),
        _ => {
            let at = kakunin_core::UnixTime(microseconds.saturating_add(SECONDS_TO_2000 * 1_000_000));
            match at.0.rem_euclid(1_000_000) {
                0 => at.to_string(),
                part => format!("{}.{part:06}Z", at.to_string().trim_end_matches('Z')),
            }
        }
    }
}

fn clock(microseconds: i64) -> String {
    let seconds = microseconds.div_euclid(1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{hour:02}:{minute:02}:{second:02}.{:06}", microseconds.rem_euclid(1_000_000))
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().take(CHARS_MAX).map(|byte| format!("{byte:02x}")).collect();
    format!("\\x{digits}")
}

/// Characters of a value that are shown.
const CHARS_MAX: usize = 200;
/// Seconds from 1970 to 2000.
const SECONDS_TO_2000: i64 = 946_684_800;

#[cfg(test)]
mod tests {
    use kakunin_core::ledger::LedgerId;
    use kakunin_core::ledger::row::{RowReader, RowWriter, Sign};

    use super::*;

    fn shown(write: impl Fn(&mut RowWriter)) -> String {
        let mut writer = RowWriter::new();
        writer.begin(&LedgerId::default());
        writer.field(1);
        write(&mut writer);
        let field = RowReader::new(writer.bytes().unwrap()).unwrap().next().unwrap().unwrap();
        text(field.tag, field.bytes)
    }

    #[test]
    fn values_are_shown_as_people_know_them() {
        assert_eq!(shown(|row| row.boolean(true)), "true");
        assert_eq!(shown(|row| row.integer(-5)), "-5");
        assert_eq!(shown(|row| row.double(0.1)), "0.1");
        assert_eq!(shown(|row| row.text("it's\n")), "'it's\\u{a}'");
        assert_eq!(shown(|row| row.bytea(&[0, 255])), "\\x00ff");
        assert_eq!(shown(|row| row.timestamptz(757_382_400_000_001)), "2024-01-01T00:00:00.000001Z");
        assert_eq!(shown(|row| row.timestamptz(i64::MAX)), "infinity");
        assert_eq!(shown(|row| row.date(8766)), "2024-01-01");
        assert_eq!(shown(|row| row.date(i32::MIN)), "-infinity");
        assert_eq!(shown(|row| row.time(3_661_000_001)), "01:01:01.000001");
        assert_eq!(shown(|row| row.uuid(&[0x11; 16])), "11111111-1111-1111-1111-111111111111");
        assert_eq!(shown(|row| row.bits(3, &[0b1010_0000])), "B'101'");
        assert_eq!(shown(|row| row.other("inet", &[2])), "inet \\x02");
        assert_eq!(shown(|row| row.text(&"é".repeat(300))), format!("'{}… (600 bytes)", "é".repeat(199)));
    }

    #[test]
    fn numerics_are_shown_in_full() {
        for (sign, weight, digits, expected) in [
            (Sign::Plus, 0, &[][..], "0"),
            (Sign::Plus, 1, &[1, 2345, 6780], "12345.678"),
            (Sign::Minus, -1, &[1], "-0.0001"),
            (Sign::Plus, -2, &[5], "0.00000005"),
            (Sign::Plus, 2, &[7], "700000000"),
            (Sign::NaN, 0, &[], "NaN"),
            (Sign::MinusInfinity, 0, &[], "-Infinity"),
        ] {
            assert_eq!(shown(|row| row.numeric(sign, weight, digits)), expected);
        }
    }

    #[test]
    fn containers_are_shown_with_what_is_in_them() {
        let array = shown(|row| {
            row.begin_array(&[(2, 1)]);
            row.integer(1);
            row.null();
            row.end();
        });
        assert_eq!(array, "{1,null}");
        let range = shown(|row| {
            row.begin_range(2);
            row.integer(1);
            row.integer(10);
            row.end();
        });
        assert_eq!(range, "[1,10)");
        let open = shown(|row| {
            row.begin_multirange();
            row.begin_range(8);
            row.date(0);
            row.end();
            row.end();
        });
        assert_eq!(open, "{(,2000-01-01)}");
    }

    #[test]
    fn what_is_nested_without_end_is_shown_up_to_a_depth() {
        let mut value = Vec::new();
        for _ in 0..20_000 {
            let length = (value.len() as u32).to_be_bytes();
            value.splice(0..0, [&[tag::COMPOSITE][..], &length].concat());
        }
        assert!(text(tag::COMPOSITE, &value).starts_with("((((("));
    }

    #[test]
    fn bytes_that_are_not_what_their_tag_says_do_not_panic() {
        for tag in 0..=255 {
            for length in 0..40 {
                for byte in [0, 1, 0x7f, 0xff] {
                    assert!(text(tag, &vec![byte; length]).chars().count() <= CHARS_MAX + 20);
                }
            }
        }
    }
}
