//! What the writer writes passes the check, in whatever order it is called; what passes is read to the end.
#![no_main]

use kakunin_core::ledger::LedgerId;
use kakunin_core::ledger::row::{RowReader, RowWriter, Sign, check_row, check_value, tag};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(ledger) = check_row(bytes) {
        let fields = RowReader::new(bytes).unwrap();
        assert_eq!(fields.ledger(), ledger);
        for field in fields {
            let field = field.unwrap();
            assert!(field.tag == tag::COMMITMENT || check_value(field.tag, field.bytes).is_ok());
        }
    }

    let mut writer = RowWriter::new();
    writer.begin(&LedgerId::default());
    let mut number = 0;
    let mut calls = bytes.chunks(3);
    while let Some(&[call, first, second]) = calls.next() {
        let wide = i64::from_be_bytes([first, second, first, second, 0, 0, first, second]);
        match call % 28 {
            0 | 1 => {
                number += 1 + u16::from(first % 2);
                writer.field(number);
            }
            2 => writer.boolean(first % 2 == 0),
            3 => writer.integer(wide),
            4 => writer.real(f32::from_bits(wide as u32)),
            5 => writer.double(f64::from_bits(wide as u64)),
            6 => {
                let signs = [Sign::Plus, Sign::Minus, Sign::NaN, Sign::Infinity, Sign::MinusInfinity];
                writer.numeric(signs[usize::from(first % 5)], second.into(), &[0, first.into(), 0, second.into(), 0]);
            }
            7 => writer.text("a\u{e9}"),
            8 => writer.bytea(&[first, second]),
            9 => writer.timestamptz(wide),
            10 => writer.date(wide as i32),
            11 => writer.timetz(wide, first.into()),
            12 => writer.interval(wide, first.into(), second.into()),
            13 => writer.uuid(&[first; 16]),
            14 => writer.jsonb("{}"),
            15 => writer.enum_label("label"),
            16 => writer.bits(u32::from(first % 17), &vec![second; usize::from(first % 17).div_ceil(8)]),
            17 => writer.other("inet", &[first]),
            18 => writer.commitment(&[first; 32]),
            19 => writer.null(),
            20 => writer.begin_array(&[(u32::from(first % 3), 1)]),
            21 => writer.begin_array(&[]),
            22 => writer.begin_composite(),
            23 => writer.begin_range(first % 33),
            24 => writer.begin_multirange(),
            25 => writer.begin_redactable(&[first; 16]),
            _ => writer.end(),
        }
    }
    if let Ok(row) = writer.bytes() {
        assert_eq!(check_row(row), Ok(LedgerId::default()));
        assert!(writer.leaf().is_ok());
    }
});
