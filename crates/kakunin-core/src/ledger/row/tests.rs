use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::ledger::tests::{hash, unhex, vectors};
use crate::ledger::{LedgerId, Malformed};
use crate::limits::LEDGER_NESTING_MAX;

const LEDGER: LedgerId = LedgerId(*b"kakunin\0\0\0\0\0\0\0\0\xa1");

/// Writes a row from the words that the vectors have for it; testdata/ledger.py reads the same ones.
fn play(writer: &mut RowWriter, script: &str) {
    let text = |argument: &str| serde_json::from_str::<String>(argument).unwrap();
    let list = |argument: &str| argument.split(',').map(|number| number.parse::<i64>().unwrap()).collect::<Vec<_>>();
    for word in script.split("; ").filter(|word| !word.is_empty()) {
        let (name, argument) = word.split_once(' ').unwrap_or((word, ""));
        match name {
            "field" => writer.field(argument.parse().unwrap()),
            "boolean" => writer.boolean(argument == "true"),
            "integer" => writer.integer(argument.parse().unwrap()),
            "real" => writer.real(argument.parse().unwrap()),
            "double" => writer.double(argument.parse().unwrap()),
            "text" => writer.text(&text(argument)),
            "bytea" => writer.bytea(&unhex(argument)),
            "timestamptz" => writer.timestamptz(argument.parse().unwrap()),
            "timestamp" => writer.timestamp(argument.parse().unwrap()),
            "date" => writer.date(argument.parse().unwrap()),
            "time" => writer.time(argument.parse().unwrap()),
            "timetz" => writer.timetz(list(argument)[0], list(argument)[1] as i32),
            "interval" => writer.interval(list(argument)[0], list(argument)[1] as i32, list(argument)[2] as i32),
            "uuid" => writer.uuid(&unhex(argument).try_into().unwrap()),
            "jsonb" => writer.jsonb(argument),
            "enum" => writer.enum_label(&text(argument)),
            "commitment" => writer.commitment(&hash(argument)),
            "numeric" => {
                let (sign, numbers) = argument.split_once(',').unwrap();
                let sign = match sign {
                    "plus" => Sign::Plus,
                    "minus" => Sign::Minus,
                    "nan" => Sign::NaN,
                    "infinity" => Sign::Infinity,
                    "-infinity" => Sign::MinusInfinity,
                    other => panic!("{other}"),
                };
                let digits: Vec<_> = list(numbers)[1..].iter().map(|digit| *digit as u16).collect();
                writer.numeric(sign, list(numbers)[0] as i32, &digits);
            }
            "bits" => {
                let bytes = argument.as_bytes().chunks(8);
                // Padded with ones, which the writer must clear.
                let byte = |bits: &[u8]| {
                    (0..8).fold(0, |byte, at| byte << 1 | u8::from(bits.get(at).is_none_or(|bit| *bit == b'1')))
                };
                writer.bits(argument.len() as u32, &bytes.map(byte).collect::<Vec<_>>());
            }
            "other" => {
                let (type_name, sent) = argument.split_once(',').unwrap();
                writer.other(type_name, &unhex(sent));
            }
            "null" => writer.null(),
            "array" => {
                let dimension = |text: &str| {
                    let (length, lower) = text.split_once(':').unwrap();
                    (length.parse().unwrap(), lower.parse().unwrap())
                };
                let dimensions = argument.split(',').filter(|text| !text.is_empty()).map(dimension);
                writer.begin_array(&dimensions.collect::<Vec<_>>());
            }
            "composite" => writer.begin_composite(),
            "range" => writer.begin_range(argument.parse().unwrap()),
            "multirange" => writer.begin_multirange(),
            "redactable" => writer.begin_redactable(&unhex(argument).try_into().unwrap()),
            "end" => writer.end(),
            other => panic!("{other}"),
        }
    }
}

fn written(script: &str) -> Result<Vec<u8>, Malformed> {
    let mut writer = RowWriter::new();
    writer.begin(&LEDGER);
    play(&mut writer, script);
    writer.bytes().map(<[u8]>::to_vec)
}

#[test]
fn the_vectors_come_out_and_are_sound() {
    let mut writer = RowWriter::new();
    for record in vectors("row") {
        writer.begin(&LEDGER);
        play(&mut writer, record.get("Write"));
        let bytes = unhex(record.get("Bytes"));
        assert_eq!(writer.bytes(), Ok(bytes.as_slice()), "{}", record.get("Name"));
        assert_eq!(writer.leaf(), Ok(hash(record.get("Leaf"))));
        assert_eq!(crate::ledger::merkle::leaf_hash(&bytes), hash(record.get("Leaf")));
        assert_eq!(check_row(&bytes), Ok(LEDGER), "{}", record.get("Name"));
    }
    for record in vectors("commitment") {
        let value = unhex(record.get("Value"));
        let (number, tag) = (record.get("Number").parse().unwrap(), record.get("Tag").parse().unwrap());
        let salt = unhex(record.get("Salt")).try_into().unwrap();
        assert_eq!(commitment(&salt, number, tag, &value), hash(record.get("Commitment")));
        assert_eq!(check_value(tag, &value), Ok(()));
    }
}

#[test]
fn erasing_a_value_keeps_the_hash_of_its_row() {
    let records = vectors("row");
    let find = |name: &str| records.iter().find(|record| record.get("Name") == name).unwrap().get("Leaf").to_owned();
    assert_eq!(find("row: redactable"), find("row: redacted"));
}

#[test]
fn the_reader_gives_each_field() {
    let row = written(r#"field 2; text "a"; field 5; array 2:1; integer 1; null; end"#).unwrap();
    let fields: Vec<_> = RowReader::new(&row).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(fields[0], Field { number: 2, tag: tag::TEXT, bytes: b"a" });
    assert_eq!((fields[1].number, fields[1].tag, fields.len()), (5, tag::ARRAY, 2));
    let elements: Vec<_> = Values(&fields[1].bytes[9..]).collect::<Result<_, _>>().unwrap();
    assert_eq!(elements, [(tag::INTEGER, &1_i64.to_be_bytes()[..]), (tag::NULL, &[])]);
    assert_eq!(RowReader::new(&row).unwrap().ledger(), LEDGER);
}

#[test]
fn calls_that_break_the_format_are_remembered_until_the_end() {
    for refused in [
        "field 1",
        "integer 1",
        "field 0; integer 1",
        "field 2; integer 1; field 1; integer 1",
        "field 1; integer 1; field 1; integer 1",
        "field 1; field 2; integer 1",
        "field 1; integer 1; integer 2",
        "field 1; null",
        "field 1; array 2:1; integer 1; end",
        "field 1; array 1:1; integer 1; integer 2; end",
        "field 1; array 0:1; end",
        "field 1; array ; integer 1; end",
        "field 1; array 1:1,1:1,1:1,1:1,1:1,1:1,1:1; integer 1; end",
        "field 1; array 4294967295:1,4294967295:1,4294967295:1; end",
        "field 1; array 1:1; integer 1",
        "field 1; array 1:1; field 2; integer 1; end",
        "field 1; integer 1; end",
        "field 1; range 3; end",
        "field 1; range 10; integer 1; end",
        "field 1; range 20; integer 1; end",
        "field 1; range 32; integer 1; integer 2; end",
        "field 1; range 2; integer 1; end",
        "field 1; range 2; integer 1; null; end",
        "field 1; multirange ; integer 1; end",
        "field 1; multirange ; null; end",
        "field 1; numeric plus,0,10000",
        "field 1; numeric plus,40000,1",
        "field 1; numeric minus,-32768,0,1",
        "field 1; other ,00",
        "field 1; redactable 000102030405060708090a0b0c0d0e0f; end",
        "field 1; redactable 000102030405060708090a0b0c0d0e0f; null; end",
        "field 1; redactable 000102030405060708090a0b0c0d0e0f; integer 1; integer 2; end",
        "field 1; array 1:1; redactable 000102030405060708090a0b0c0d0e0f; integer 1; end; end",
        "redactable 000102030405060708090a0b0c0d0e0f; integer 1; end",
    ] {
        assert!(written(refused).is_err(), "{refused}");
    }
    let zeros = "00".repeat(32);
    assert!(written(&format!("field 1; array 1:1; commitment {zeros}; end")).is_err());
    let mut writer = RowWriter::new();
    assert!(writer.leaf().is_err(), "nothing was begun");
    writer.begin(&LEDGER);
    writer.field(1);
    writer.bits(9, &[0xff]);
    assert!(writer.leaf().is_err());
    writer.begin(&LEDGER);
    writer.field(1);
    writer.other(&"x".repeat(256), &[]);
    assert!(writer.leaf().is_err());
    writer.begin(&LEDGER);
    assert!(writer.leaf().is_ok(), "an error ends with its row");
}

#[test]
fn a_hidden_value_does_not_stay_in_the_buffer() {
    let mut writer = RowWriter::new();
    writer.begin(&LEDGER);
    play(&mut writer, r#"field 1; redactable 000102030405060708090a0b0c0d0e0f; text "Jane Doe of Springfield"; end"#);
    assert_eq!(writer.bytes().unwrap().len(), 18 + 2 + 5 + 32);
    assert!(!format!("{writer:?}").contains("74, 97, 110, 101"));
}

#[test]
fn nesting_at_the_limit_is_written_and_read_and_one_past_it_is_neither() {
    let nested = |depth: usize| format!("field 1; {}{}", "composite ; ".repeat(depth), vec!["end"; depth].join("; "));
    let row = written(&nested(LEDGER_NESTING_MAX)).unwrap();
    assert_eq!(check_row(&row), Ok(LEDGER));
    assert!(written(&nested(LEDGER_NESTING_MAX + 1)).is_err());
    let mut value = Vec::new();
    for _ in 0..=LEDGER_NESTING_MAX {
        value = [&[tag::COMPOSITE][..], &(value.len() as u32).to_be_bytes(), &value].concat();
    }
    let row = [&b"R\x01"[..], &LEDGER.0, &[0, 1], &value].concat();
    assert!(check_row(&row).is_err());
}

#[test]
fn values_that_have_another_encoding_are_refused() {
    for (tag, refused) in [
        (tag::NULL, "00"),
        (tag::BOOLEAN, "02"),
        (tag::BOOLEAN, ""),
        (tag::INTEGER, "00000001"),
        (tag::REAL, "7fc00001"),
        (tag::REAL, "ffc00000"),
        (tag::REAL, "7fc0"),
        (tag::DOUBLE, "fff8000000000000"),
        (tag::DOUBLE, "7ff8"),
        (tag::NUMERIC, ""),
        (tag::NUMERIC, "00"),
        (tag::NUMERIC, "010000"),
        (tag::NUMERIC, "000001"),
        (tag::NUMERIC, "05"),
        (tag::NUMERIC, "0200"),
        (tag::NUMERIC, "0000010000"),
        (tag::NUMERIC, "00000100010000"),
        (tag::NUMERIC, "0000002710"),
        (tag::NUMERIC, "00000000"),
        (tag::TEXT, "ff"),
        (tag::JSONB, "c0af"),
        (tag::ENUM, "eda080"),
        (tag::DATE, "0000000080000000"),
        (tag::TIMETZ, "0000000000000000"),
        (tag::INTERVAL, "00"),
        (tag::UUID, "00"),
        (tag::ARRAY, ""),
        (tag::ARRAY, "0000"),
        (tag::ARRAY, "010000000000000001"),
        (tag::ARRAY, "010000000100000001"),
        (tag::ARRAY, "07"),
        (tag::COMPOSITE, "02"),
        (tag::COMPOSITE, "80000000200000000000000000000000000000000000000000000000000000000000000000"),
        (tag::RANGE, ""),
        (tag::RANGE, "03"),
        (tag::RANGE, "0b"),
        (tag::RANGE, "18010000000101"),
        (tag::RANGE, "080000000000"),
        (tag::MULTIRANGE, "010000000100"),
        (tag::BITS, "00000001ff"),
        (tag::BITS, "00000001"),
        (tag::BITS, "000000080000"),
        (tag::OTHER, ""),
        (tag::OTHER, "00"),
        (tag::OTHER, "0561"),
        (tag::OTHER, "01ff"),
        (22, ""),
        (tag::COMMITMENT, "00"),
    ] {
        assert!(check_value(tag, &unhex(refused)).is_err(), "{tag} {refused}");
    }
}

#[test]
fn no_part_of_a_row_passes_unless_it_ends_with_a_field() {
    for record in vectors("row") {
        let row = unhex(record.get("Bytes"));
        let ends: Vec<_> = (0..row.len()).filter(|length| check_row(&row[..*length]).is_ok()).collect();
        let fields = RowReader::new(&row).unwrap().count();
        assert!(ends.len() <= fields, "{} {ends:?}", record.get("Name"));
        assert!(check_row(&[&row[..], &[0]].concat()).is_err());
    }
}

/// Writes anew what a reader finds, through the writer's typed calls where they can normalise.
fn rewrite(writer: &mut RowWriter, tag: u8, bytes: &[u8]) {
    let integer = || i64::from_be_bytes(bytes.try_into().unwrap());
    match tag {
        tag::NULL => writer.null(),
        tag::BOOLEAN => writer.boolean(bytes == [1]),
        tag::INTEGER => writer.integer(integer()),
        tag::REAL => writer.real(f32::from_be_bytes(bytes.try_into().unwrap())),
        tag::DOUBLE => writer.double(f64::from_be_bytes(bytes.try_into().unwrap())),
        tag::NUMERIC => {
            let sign = [Sign::Plus, Sign::Minus, Sign::NaN, Sign::Infinity, Sign::MinusInfinity][usize::from(bytes[0])];
            let weight = bytes.get(1..3).map_or(0, |weight| i16::from_be_bytes(weight.try_into().unwrap()));
            let digits = bytes.get(3..).unwrap_or_default().chunks(2);
            let digits: Vec<_> = digits.map(|digit| u16::from_be_bytes(digit.try_into().unwrap())).collect();
            writer.numeric(sign, weight.into(), &digits);
        }
        tag::TEXT => writer.text(std::str::from_utf8(bytes).unwrap()),
        tag::BYTES => writer.bytea(bytes),
        tag::TIMESTAMPTZ => writer.timestamptz(integer()),
        tag::TIMESTAMP => writer.timestamp(integer()),
        tag::DATE => writer.date(integer() as i32),
        tag::TIME => writer.time(integer()),
        tag::TIMETZ => {
            let (time, zone) = bytes.split_at(8);
            writer.timetz(i64::from_be_bytes(time.try_into().unwrap()), i32::from_be_bytes(zone.try_into().unwrap()));
        }
        tag::INTERVAL => {
            let part = |at: usize| i32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
            writer.interval(i64::from_be_bytes(bytes[..8].try_into().unwrap()), part(8), part(12));
        }
        tag::UUID => writer.uuid(bytes.try_into().unwrap()),
        tag::JSONB => writer.jsonb(std::str::from_utf8(bytes).unwrap()),
        tag::ENUM => writer.enum_label(std::str::from_utf8(bytes).unwrap()),
        tag::ARRAY => {
            let (head, rest) = bytes[1..].split_at(8 * usize::from(bytes[0]));
            let dimension = |part: &[u8]| {
                let (length, lower) = part.split_at(4);
                (u32::from_be_bytes(length.try_into().unwrap()), i32::from_be_bytes(lower.try_into().unwrap()))
            };
            writer.begin_array(&head.chunks(8).map(dimension).collect::<Vec<_>>());
            rewrite_all(writer, rest);
        }
        tag::COMPOSITE => {
            writer.begin_composite();
            rewrite_all(writer, bytes);
        }
        tag::RANGE => {
            writer.begin_range(bytes[0]);
            rewrite_all(writer, &bytes[1..]);
        }
        tag::MULTIRANGE => {
            writer.begin_multirange();
            rewrite_all(writer, bytes);
        }
        tag::BITS => writer.bits(u32::from_be_bytes(bytes[..4].try_into().unwrap()), &bytes[4..]),
        tag::OTHER => {
            let (name, sent) = bytes[1..].split_at(bytes[0].into());
            writer.other(std::str::from_utf8(name).unwrap(), sent);
        }
        tag::COMMITMENT => writer.commitment(bytes.try_into().unwrap()),
        other => panic!("{other}"),
    }
}

fn rewrite_all(writer: &mut RowWriter, values: &[u8]) {
    for value in Values(values) {
        let (tag, bytes) = value.unwrap();
        rewrite(writer, tag, bytes);
    }
    writer.end();
}

fn assert_canonical(row: &[u8]) {
    let mut writer = RowWriter::new();
    let fields = RowReader::new(row).unwrap();
    writer.begin(&fields.ledger());
    for field in fields {
        let field = field.unwrap();
        writer.field(field.number);
        rewrite(&mut writer, field.tag, field.bytes);
    }
    assert_eq!(writer.bytes(), Ok(row));
}

/// The rows of the vectors.
static ROWS: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| vectors("row").iter().map(|record| unhex(record.get("Bytes"))).collect());

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    #[test]
    fn whatever_passes_is_what_the_writer_writes(which: usize, at: usize, byte: u8, insert: bool) {
        let mut row = ROWS[which % ROWS.len()].clone();
        let at = at % row.len();
        if insert {
            row.insert(at, byte);
        } else {
            row[at] = byte;
        }
        if check_row(&row).is_ok() {
            assert_canonical(&row);
        }
    }

    #[test]
    fn numbers_of_every_kind_are_written_soundly(bits: u64, digits in proptest::collection::vec(0_u16..10_000, 0..6), weight in -100_i32..100) {
        let mut writer = RowWriter::new();
        writer.begin(&LEDGER);
        writer.field(1);
        writer.double(f64::from_bits(bits));
        writer.field(2);
        writer.real(f32::from_bits(bits as u32));
        writer.field(3);
        writer.numeric(Sign::Minus, weight, &digits);
        let row = writer.bytes().unwrap().to_vec();
        prop_assert_eq!(check_row(&row), Ok(LEDGER));
        assert_canonical(&row);
        // Zeros at either end say nothing.
        let padded = [&[0, 0][..], &digits, &[0]].concat();
        let mut again = RowWriter::new();
        again.begin(&LEDGER);
        again.field(3);
        again.numeric(Sign::Minus, weight + 2, &padded);
        prop_assert!(row.ends_with(&again.bytes().unwrap()[18..]));
    }
}
