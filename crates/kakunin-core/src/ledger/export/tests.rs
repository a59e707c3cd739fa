use super::*;
use crate::ledger::tests::vectors;
use crate::limits::EXPORT_LINE_ROWS_MAX;

fn lines(name: &str) -> Vec<String> {
    let records = vectors("export");
    let record = records.iter().find(|record| record.get("Name") == name).unwrap();
    (0..).map_while(|number| record.find(&format!("Line{number:02}")).map(str::to_owned)).collect()
}

fn verify(lines: &[String], pinned: Vec<VerifierKey>) -> ExportReport {
    let mut verifier = ExportVerifier::new(lines[0].as_bytes(), pinned, vec![]).unwrap();
    lines[1..].iter().for_each(|line| verifier.line(line.as_bytes(), true));
    verifier.finish()
}

fn found(lines: &[String]) -> Vec<(Option<u64>, &'static str, u64)> {
    let report = verify(lines, vec![]);
    report.faults.iter().map(|fault| (fault.seq, fault.fault.slug(), fault.line)).collect()
}

#[test]
fn the_vectors_are_sound() {
    let whole = lines("export, whole");
    let key = Header::parse(&whole[0]).unwrap().keys;
    let report = verify(&whole, key.clone());
    assert_eq!(report.faults, []);
    assert_eq!((report.entries, report.rows, report.coverage.pinned), (9, 5, Some(9)));
    assert_eq!((report.first_at.unwrap().seconds(), report.last_at.unwrap().seconds()), (1_767_225_600, 1_767_225_608));
    let ledger = &report.ledgers[0];
    assert_eq!((ledger.name.as_deref(), ledger.covered, ledger.trusted), (Some("public.audit"), Some(9), true));
    assert_eq!((ledger.rows, ledger.rows_pruned), (5, 1));
    let partial = lines("export, partial");
    let report = verify(&partial, key);
    assert_eq!(report.faults, []);
    assert_eq!((report.log_size, report.ledgers[0].covered, report.ledgers[0].trusted), (Some(5), Some(5), true));
    let report = verify(&partial, vec![]);
    assert!(report.is_sound() && !report.ledgers[0].trusted);
}

#[test]
fn the_lines_of_the_vectors_are_those_that_are_written() {
    for name in ["export, whole", "export, partial"] {
        for (number, line) in lines(name).iter().enumerate() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let bytes = |value: &serde_json::Value| {
                use base64::Engine;
                base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap()).unwrap()
            };
            let written = if number == 0 {
                Header::parse(line).unwrap().encode().unwrap()
            } else if let Some(entry) = value.get("entry") {
                entry_line(&bytes(entry))
            } else if let Some(rows) = value.get("rows") {
                let mut lines = RowLines::new();
                assert!(rows.as_array().unwrap().iter().all(|row| lines.push(&bytes(row)).is_none()));
                lines.flush().unwrap()
            } else if let Some(note) = value.get("checkpoint") {
                checkpoint_line(note.as_str().unwrap())
            } else if let Some(proof) = value.get("proof") {
                proof_line(proof.as_str().unwrap())
            } else {
                end_line(value["end"]["entries"].as_u64().unwrap(), value["end"]["rows"].as_u64().unwrap())
            };
            assert_eq!(written, *line);
        }
    }
}

#[test]
fn rows_are_written_in_lines_of_limited_size() {
    let mut lines = RowLines::new();
    assert_eq!(lines.flush(), None);
    let full: Vec<_> = (0..EXPORT_LINE_ROWS_MAX).filter_map(|_| lines.push(b"row")).collect();
    assert_eq!((full.len(), lines.flush()), (1, None));
    assert_eq!(full[0].matches("cm93").count(), EXPORT_LINE_ROWS_MAX);
    assert!(lines.push(&vec![0; 300_000]).is_some(), "a large row is a line of its own");
    assert_eq!(lines.flush(), None);
}

#[test]
fn the_first_line_says_that_it_is_an_export() {
    let line = &lines("export, whole")[0];
    for refused in [
        String::new(),
        "{}".to_owned(),
        "[1,\"ledger export\",[],[],\"a\",true]".to_owned(),
        line.replace("\"format\":1", "\"format\":2"),
        line.replace("ledger export", "ledger"),
        line.replace(",\"origin\"", ", \"origin\""),
        line.replace("\"whole\":true", "\"whole\":1"),
        line.replace("{\"format\"", "{\"also\":1,\"format\""),
        line.replace("ledger.example/7301\",\"whole", "ledger example\",\"whole"),
        line.replace("\"ledgers\":[", "\"ledgers\":[\"6b616b75-6e69-6e00-0000-0000000000a1\","),
        line.replace("+81583c4c+", "+81583c4d+"),
    ] {
        assert!(ExportVerifier::new(refused.as_bytes(), vec![], vec![]).is_err(), "{refused}");
    }
    assert!(ExportVerifier::new(b"\xff", vec![], vec![]).is_err());
}

#[test]
fn lines_out_of_place_are_told() {
    let whole = lines("export, whole");
    let with = |at: usize, line: &str| {
        let mut lines = whole.clone();
        lines.insert(at, line.to_owned());
        found(&lines)
    };
    assert_eq!(with(1, &whole[3]), [(None, "misplaced", 2)], "rows before any entry");
    assert_eq!(with(5, &whole[3]), [(None, "misplaced", 6)], "rows behind a checkpoint");
    assert_eq!(with(17, ""), [(None, "misplaced", 18)]);
    for unknown in
        ["", "{}", "{\"rows\":[]}", "{\"row\":\"\"}", "{\"entry\":1}", "{\"end\":[]}", "{\"a\":1,\"b\":2}", "é", "{"]
    {
        assert_eq!(with(4, unknown), [(None, "malformed", 5)], "{unknown}");
    }
    assert_eq!(with(4, "{\"proof\":\"\"}"), [(None, "misplaced", 5)]);
    assert_eq!(with(4, "{\"checkpoint\":\"\"}"), [(None, "malformed", 5)]);
    let mut partial = lines("export, partial");
    partial.insert(3, whole[4].clone());
    assert_eq!(found(&partial), [(None, "misplaced", 4)]);
}

#[test]
fn an_export_that_ends_early_is_told_as_that_alone() {
    let whole = lines("export, whole");
    for length in 1..whole.len() {
        let report = verify(&whole[..length], vec![]);
        let slugs: Vec<_> = report.faults.iter().map(|fault| fault.fault.slug()).collect();
        assert_eq!(slugs, ["incomplete"], "{length} lines");
    }
    for length in 1..whole[3].len() {
        let mut verifier = ExportVerifier::new(whole[0].as_bytes(), vec![], vec![]).unwrap();
        whole[1..3].iter().for_each(|line| verifier.line(line.as_bytes(), true));
        verifier.line(&whole[3].as_bytes()[..length], false);
        let report = verifier.finish();
        assert_eq!((report.faults.len(), report.faults[0].fault.slug()), (1, "incomplete"));
        assert!(report.faults[0].detail.contains("middle"), "{length}");
    }
    let mut verifier = ExportVerifier::new(whole[0].as_bytes(), vec![], vec![]).unwrap();
    for (number, line) in whole.iter().enumerate().skip(1) {
        verifier.line(line.as_bytes(), number + 1 < whole.len());
    }
    assert!(verifier.finish().is_sound(), "the last newline may be missing");
}

#[test]
fn every_changed_character_is_seen() {
    for name in ["export, whole", "export, partial"] {
        let lines = lines(name);
        for number in 1..lines.len() {
            for at in (0..lines[number].len()).step_by(7) {
                let mut line = lines[number].clone().into_bytes();
                line[at] = if line[at] == b'A' { b'B' } else { b'A' };
                let mut verifier = ExportVerifier::new(lines[0].as_bytes(), vec![], vec![]).unwrap();
                for (other, unchanged) in lines.iter().enumerate().skip(1) {
                    verifier.line(if other == number { &line } else { unchanged.as_bytes() }, true);
                }
                assert!(!verifier.finish().is_sound(), "{name}, line {number}, byte {at}");
            }
        }
    }
}

#[test]
fn a_line_of_rows_and_a_first_line_are_read_up_to_their_limits() {
    let rows = |count: usize| format!("{{\"rows\":[{}]}}", vec!["\"\""; count].join(","));
    let with = |line: String| {
        let mut lines = lines("export, whole");
        lines[3] = line;
        found(&lines).into_iter().map(|fault| fault.1).filter(|slug| *slug == "malformed").count()
    };
    // Each of these rows is malformed; in the second line so is the line.
    assert_eq!(with(rows(10)), 10);
    let limit = crate::limits::LEDGER_FAULTS_MAX;
    assert_eq!(with(rows(EXPORT_LINE_ROWS_MAX)), limit);
    let mut over = lines("export, whole");
    over[3] = rows(EXPORT_LINE_ROWS_MAX + 1);
    let honest = Header::parse(&over[0]).unwrap();
    let (at_limit, past_it) = (vec![rows(EXPORT_LINE_ROWS_MAX)], vec![over[3].clone()]);
    let count = |line: &[String]| {
        let mut all = over.clone();
        all[3] = line[0].clone();
        verify(&all, vec![]).fault_count
    };
    assert_eq!(count(&past_it) - count(&at_limit), 2, "one row and the line");

    let ledgers = |count: usize| {
        let ledgers = (0..count as u128).map(|number| LedgerId(number.to_be_bytes())).collect();
        Header { ledgers, ..honest.clone() }.encode().map(|line| Header::parse(&line).is_ok())
    };
    assert_eq!(ledgers(EXPORT_LEDGERS_MAX), Ok(true));
    assert!(ledgers(EXPORT_LEDGERS_MAX + 1).is_err());
    let keys = |count: usize| Header { keys: vec![honest.keys[0].clone(); count], ..honest.clone() }.encode();
    assert!(Header::parse(&keys(EXPORT_KEYS_MAX).unwrap()).is_ok());
    assert!(keys(EXPORT_KEYS_MAX + 1).is_err());
}
