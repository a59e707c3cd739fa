use super::*;
use crate::ledger::tests::{hash, unhex, vectors};

/// The entry that a vector describes by its members.
fn described(record: &crate::session::vectors::Record) -> Entry {
    let number = |key: &str| record.get(key).parse().unwrap();
    Entry {
        ledger: LedgerId(unhex(record.get("Ledger")).try_into().unwrap()),
        seq: number("Seq"),
        kind: Kind::from_number(record.get("Kind").parse().unwrap()).unwrap(),
        tx: number("Tx"),
        first_row: number("FirstRow"),
        rows: number("Rows"),
        root: hash(record.get("Root")),
        at: UnixTime(record.get("At").parse().unwrap()),
        certificate: Some(record.get("Certificate")).filter(|text| !text.is_empty()).map(hash),
        role: record.get("Role").to_owned(),
        detail: record.get("Detail").to_owned(),
        previous: hash(record.get("Previous")),
    }
}

#[test]
fn the_vectors_come_out_and_are_read_back() {
    let mut previous = [0; 32];
    let mut kinds = std::collections::BTreeSet::new();
    for record in vectors("entry") {
        let (entry, bytes) = (described(&record), unhex(record.get("Bytes")));
        assert_eq!(entry.encode().unwrap(), bytes, "{}", record.get("Name"));
        assert_eq!(entry.hash().unwrap(), hash(record.get("Hash")));
        assert_eq!(entry.encode_and_hash().unwrap(), (bytes.clone(), hash(record.get("Hash"))));
        assert_eq!(Entry::decode(&bytes).as_ref(), Ok(&entry));
        assert_eq!(Entry::peek(&bytes), Some((entry.ledger, entry.seq)));
        let detail = entry.detail().unwrap();
        assert_eq!((detail.kind(), detail.encode().unwrap()), (entry.kind, entry.detail.clone()));
        assert_eq!(std::mem::replace(&mut previous, hash(record.get("Hash"))), entry.previous);
        kinds.insert(entry.kind);
    }
    assert_eq!(kinds.len(), Kind::ALL.len());
}

#[test]
fn no_part_of_an_entry_and_nothing_more_than_one_is_an_entry() {
    for record in vectors("entry") {
        let bytes = unhex(record.get("Bytes"));
        for length in 0..bytes.len() {
            assert!(Entry::decode(&bytes[..length]).is_err(), "{length}");
        }
        assert!(Entry::decode(&[&bytes[..], &[0]].concat()).is_err());
    }
}

#[test]
fn a_changed_byte_is_refused_or_is_another_entry() {
    let bytes = unhex(vectors("entry")[1].get("Bytes"));
    for at in 0..bytes.len() {
        for change in [1, 0x80] {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            if let Ok(entry) = Entry::decode(&changed)
                && entry.check().is_ok()
            {
                assert_eq!(entry.encode().unwrap(), changed, "byte {at}");
            }
        }
    }
}

#[test]
fn members_that_contradict_each_other_are_refused() {
    let records = vectors("entry");
    let (open, rows, columns) = (described(&records[0]), described(&records[1]), described(&records[2]));
    for sound in [&open, &rows, &columns] {
        assert_eq!(sound.check(), Ok(()));
    }
    let empty_open = Entry { rows: 0, tx: 0, root: EMPTY_ROOT, ..open.clone() };
    assert_eq!(empty_open.check(), Ok(()), "a table may be empty when it becomes a ledger");
    let refused = [
        Entry { seq: 0, ..rows.clone() },
        Entry { seq: 1, ..rows.clone() },
        Entry { seq: 2, ..open.clone() },
        Entry { previous: [1; 32], ..open.clone() },
        Entry { first_row: 1, ..open.clone() },
        Entry { rows: 0, tx: 0, root: EMPTY_ROOT, ..rows.clone() },
        Entry { rows: 1, tx: 5, ..columns.clone() },
        Entry { tx: 0, ..rows.clone() },
        Entry { tx: 5, ..columns.clone() },
        Entry { root: [1; 32], ..columns.clone() },
        Entry { first_row: u64::MAX, ..rows.clone() },
        Entry { detail: "{}".to_owned(), ..rows.clone() },
        Entry { detail: String::new(), ..columns.clone() },
        Entry { kind: Kind::Close, ..columns.clone() },
    ];
    for entry in refused {
        assert!(entry.check().is_err(), "{entry:?}");
        assert!(entry.encode().is_err());
        assert!(entry.hash().is_err());
    }
    assert!(Entry { role: "a".repeat(65_535), ..rows.clone() }.encode().is_ok());
    assert!(Entry { role: "a".repeat(65_536), ..rows }.encode().is_err());
}

#[test]
fn a_detail_has_one_spelling_and_the_members_of_its_kind() {
    let column = r#"{"name":"a","number":1,"redactable":false,"type":"text"}"#;
    let two = column.replace("\"number\":1", "\"number\":2");
    for (kind, accepted) in [
        (Kind::Rows, String::new()),
        (Kind::Open, format!(r#"{{"columns":[{column},{two}],"name":"public.t"}}"#)),
        (Kind::Open, r#"{"columns":[],"name":"public.t"}"#.to_owned()),
        (Kind::Columns, format!(r#"{{"columns":[{two}]}}"#)),
        (Kind::Prune, r#"{"checkpoint":9007199254740991,"first":1,"last":9007199254740991,"reason":""}"#.to_owned()),
        (Kind::Epoch, r#"{"reason":"r","system":"7443210987654321098","timeline":2}"#.to_owned()),
        (Kind::Redact, r#"{"columns":[1,9],"reason":"r","row":0,"tx":1}"#.to_owned()),
        (Kind::Close, r#"{"reason":"日本"}"#.to_owned()),
    ] {
        let detail = Detail::parse(kind, &accepted).unwrap();
        assert_eq!((detail.kind(), detail.encode()), (kind, Ok(accepted)));
    }
    for (kind, refused) in [
        (Kind::Rows, " ".to_owned()),
        (Kind::Close, String::new()),
        (Kind::Close, "null".to_owned()),
        (Kind::Close, r#"["why"]"#.to_owned()),
        (Kind::Close, r#"{"reason": "r"}"#.to_owned()),
        (Kind::Close, r#"{"reason":"r","more":1}"#.to_owned()),
        (Kind::Close, r#"{"reason":"r","reason":"r"}"#.to_owned()),
        (Kind::Close, r#"{"reason":"\u0061"}"#.to_owned()),
        (Kind::Close, r#"{"columns":[]}"#.to_owned()),
        (Kind::Columns, format!(r#"{{"columns":[{two},{column}]}}"#)),
        (Kind::Columns, format!(r#"{{"columns":[{column},{column}]}}"#)),
        (Kind::Columns, format!(r#"{{"columns":[{}]}}"#, column.replace(":1,", ":0,"))),
        (Kind::Columns, format!(r#"{{"columns":[{}]}}"#, column.replace(":1,", ":65536,"))),
        (Kind::Columns, format!(r#"{{"columns":[{}]}}"#, column.replace("false", "0"))),
        (Kind::Columns, r#"{"columns":[["a",1,false,"text"]]}"#.to_owned()),
        (Kind::Prune, r#"{"checkpoint":1,"first":0,"last":1,"reason":""}"#.to_owned()),
        (Kind::Prune, r#"{"checkpoint":1,"first":2,"last":1,"reason":""}"#.to_owned()),
        (Kind::Prune, r#"{"checkpoint":9007199254740992,"first":1,"last":1,"reason":""}"#.to_owned()),
        (Kind::Epoch, r#"{"reason":"r","system":"","timeline":2}"#.to_owned()),
        (Kind::Epoch, r#"{"reason":"r","system":"7x","timeline":2}"#.to_owned()),
        (Kind::Redact, r#"{"columns":[],"reason":"r","row":0,"tx":1}"#.to_owned()),
        (Kind::Redact, r#"{"columns":[2,1],"reason":"r","row":0,"tx":1}"#.to_owned()),
    ] {
        assert!(Detail::parse(kind, &refused).is_err(), "{} {refused}", kind.name());
    }
}

#[test]
fn a_detail_at_the_limit_is_read_and_one_past_it_is_not() {
    let text = |bytes: usize| format!(r#"{{"reason":"{}"}}"#, "r".repeat(bytes - 13));
    for (bytes, accepted) in [(LEDGER_DETAIL_BYTES_MAX, true), (LEDGER_DETAIL_BYTES_MAX + 1, false)] {
        assert_eq!(text(bytes).len(), bytes);
        assert_eq!(Detail::parse(Kind::Close, &text(bytes)).is_ok(), accepted);
        assert_eq!(Detail::Close { reason: "r".repeat(bytes - 13) }.encode().is_ok(), accepted);
    }
}
