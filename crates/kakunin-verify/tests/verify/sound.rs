use std::io::Write;
use std::process::{Command, Stdio};

use kakunin_core::ledger::{Detail, Kind};

use crate::book::{A, B, Book, Signer, text};
use crate::harness::{Folder, run, said};

#[test]
fn an_honest_export_is_sound_and_everything_is_counted() {
    let (folder, book) = (Folder::new(), Book::usual());
    let file = folder.write("ledger.jsonl", text(&book.lines()));
    let key = Signer::new(1).key().to_string();
    let said = run(&["--key", &key, &file]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    for part in [
        "log          ledger.example/7301, the whole log",
        "public.audit_a0 (a0a0a0a0-a0a0-a0a0-a0a0-a0a0a0a0a0a0): 8 entries, 17 rows, signed for up to entry 7",
        "public.audit_b0 (b0b0b0b0-b0b0-b0b0-b0b0-b0b0b0b0b0b0): 4 entries, 6 rows, signed for up to entry 3",
        "entries      12",
        "rows         23",
        "time         2026-01-01T00:00:00Z to 2026-01-01T00:00:11Z",
        "checkpoints  3 verified",
        "signature    by a key that was given: 10 of 12 entries",
        "tail         2 entries are newer than the newest checkpoint, and not signed for yet",
        "Sound: no fault was found.",
    ] {
        assert!(said.out.contains(part), "{part:?} is not in:\n{}", said.out);
    }
    assert!(!said.out.contains("proves nothing"));
}

#[test]
fn without_a_key_it_is_said_that_the_signature_proves_nothing_about_who_signed() {
    let folder = Folder::new();
    let file = folder.write("ledger.jsonl", text(&Book::usual().lines()));
    let said = run(&[&file]);
    assert_eq!(said.code, 0);
    assert!(said.out.contains("by a key that the export names: 10 of 12 entries"), "{}", said.out);
    assert!(said.out.contains("which proves nothing about who signed"), "{}", said.out);
}

#[test]
fn standard_input_is_read_and_keys_come_from_a_file() {
    let folder = Folder::new();
    let keys = format!("# keys of the ledger\n\n{}\n{}\n", Signer::new(9).key(), Signer::new(1).key());
    let keys = folder.write("keys.txt", keys);
    let mut child = Command::new(env!("CARGO_BIN_EXE_kakunin-verify"))
        .args(["-k", &keys, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text(&Book::usual().lines()).as_bytes()).unwrap();
    let said = said(child.wait_with_output().unwrap());
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("by a key that was given"));
}

#[test]
fn a_kept_checkpoint_vouches_for_the_log_up_to_it() {
    let (folder, mut book) = (Folder::new(), Book::usual());
    let kept = folder.write("march.note", book.note(&Signer::new(1), 8));
    book.add_rows(B, 3);
    let file = folder.write("ledger.jsonl", text(&book.lines()));
    let said = run(&["--checkpoint", &kept, &file]);
    assert_eq!(said.code, 0, "{}", said.out);
    assert!(said.out.contains("continues    the checkpoint that was given: 8 of 13 entries"), "{}", said.out);
    assert!(said.out.contains("Beyond the checkpoint that was given, signatures were checked only"), "{}", said.out);
}

#[test]
fn every_kind_of_entry_is_accepted_where_it_belongs() {
    let (folder, mut book) = (Folder::new(), Book::usual());
    let columns = Detail::Columns { columns: vec![] }.encode().unwrap();
    book.add(A, Kind::Columns, vec![], &columns);
    let redact = Detail::Redact { columns: vec![2], reason: "request 17".to_owned(), row: 0, tx: 1003 };
    book.add(A, Kind::Redact, vec![], &redact.encode().unwrap());
    let prune = Detail::Prune { checkpoint: 8, first: 1, last: 4, reason: "ten years".to_owned() };
    book.add(A, Kind::Prune, vec![], &prune.encode().unwrap());
    let epoch = Detail::Epoch { reason: "moved".to_owned(), system: "7443210987654321098".to_owned(), timeline: 2 };
    book.add(B, Kind::Epoch, vec![], &epoch.encode().unwrap());
    book.add(B, Kind::Close, vec![], &Detail::Close { reason: "replaced".to_owned() }.encode().unwrap());
    book.checkpoints.push(book.items.len() as u64);
    let signer = Signer::new(1);
    let lines = book.lines_with(|size| book.note(&signer, size), &[(A, 2), (A, 3), (A, 4)]);
    let file = folder.write("ledger.jsonl", text(&lines));
    let said = run(&["--key", &signer.key().to_string(), &file]);
    assert_eq!(said.code, 0, "{}", said.out);
    assert!(said.out.contains("rows and 7 pruned, all signed for"), "{}", said.out);
}

#[test]
fn a_partial_export_is_sound_under_its_proof() {
    let (folder, book, signer) = (Folder::new(), Book::usual(), Signer::new(1));
    let file = folder.write("part.jsonl", text(&book.partial_lines(B, 10, &signer)));
    let said = run(&["--key", &signer.key().to_string(), &file]);
    assert_eq!(said.code, 0, "{}", said.out);
    assert!(said.out.contains("a part of the log: other ledgers are not here"), "{}", said.out);
    assert!(said.out.contains("4 entries, 6 rows, signed for up to entry 3"), "{}", said.out);
    let same = folder.write("same.note", book.note(&signer, 10));
    assert_eq!(run(&["-c", &same, &file]).code, 0);
    let older = folder.write("older.note", book.note(&signer, 8));
    let said = run(&["-c", &older, &file]);
    assert_eq!(said.code, 2, "what cannot be compared is not called sound");
    assert!(said.err.contains("cannot be compared with a partial export"), "{}", said.err);
}

#[test]
fn an_entry_with_more_rows_than_a_line_holds_is_read() {
    let (folder, mut book) = (Folder::new(), Book::new(&[A]));
    book.add_rows(A, 2_500);
    book.add_rows(A, 1_000);
    let lines = book.lines();
    assert_eq!(lines.iter().filter(|line| line.starts_with("{\"rows\"")).count(), 4);
    let file = folder.write("ledger.jsonl", text(&lines));
    let said = run(&[&file]);
    assert_eq!(said.code, 0, "{}", said.out);
    assert!(said.out.contains("signature    none"), "{}", said.out);
}

#[test]
fn the_report_is_one_json_object_for_programs() {
    let (folder, mut book) = (Folder::new(), Book::usual());
    let file = folder.write("ledger.jsonl", text(&book.lines()));
    let said = run(&["--json", &file]);
    let object: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, said.out.lines().count()), (0, 1));
    assert_eq!((&object["sound"], &object["entries"], &object["rows"]), (&true.into(), &12.into(), &23.into()));
    assert_eq!((&object["covered_by_own_key"], &object["covered_by_given_key"]), (&10.into(), &().into()));
    assert_eq!(object["ledgers"][1]["covered_seq"], 3);
    book.at(A, 3).entry.role = "nobody".to_owned();
    let note = |size| Book::usual().note(&Signer::new(1), size);
    let file = folder.write("changed.jsonl", text(&book.lines_with(note, &[])));
    let said = run(&["--json", "--all", &file]);
    let object: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &object["sound"], &object["fault_count"]), (1, &false.into(), &2.into()));
    let fault = &object["faults"][0];
    assert_eq!((&fault["fault"], &fault["seq"], &fault["row"]), (&"altered".into(), &3.into(), &().into()));
    assert_eq!(object["faults"][1]["fault"], "checkpoint_mismatch");
}
