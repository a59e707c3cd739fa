use crate::book::{A, Book, Signer, text};
use crate::harness::{Folder, run};

#[test]
fn help_and_version_are_printed() {
    let said = run(&["--help"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    for part in ["USAGE", "EXIT STATUS", "--checkpoint FILE", "docs/spec/ledger.md"] {
        assert!(said.out.contains(part), "{part}");
    }
    let said = run(&["-V"]);
    assert_eq!((said.code, said.out.as_str()), (0, concat!("kakunin-verify ", env!("CARGO_PKG_VERSION"), "\n")));
}

#[test]
fn what_cannot_be_checked_is_exit_status_2_and_a_sentence() {
    let folder = Folder::new();
    let lines = Book::usual().lines();
    let export = folder.write("ledger.jsonl", text(&lines));
    let empty = folder.write("empty", "");
    let other = folder.write("other", "{\"a\":1}\n");
    let binary = folder.write("binary", b"\xff\xfe\0\n");
    let newer = folder.write("newer", lines[0].replace("\"format\":1", "\"format\":2") + "\n");
    let cut = folder.write("cut", &lines[0]);
    let missing = folder.path().join("missing").to_str().unwrap().to_owned();
    let folder_path = folder.path().to_str().unwrap();
    for (arguments, expected) in [
        (vec![], "no export is named"),
        (vec![&*export, &*export], "one too many"),
        (vec!["--keys", &*export], "--keys is not known"),
        (vec![&*missing], "missing: "),
        (vec![folder_path], "directory"),
        (vec![&*empty], "it is empty"),
        (vec![&*other], "not an export"),
        (vec![&*binary], "not an export"),
        (vec![&*newer], "not an export of format 1"),
        (vec![&*cut], "first line does not end"),
        (vec!["--key", "nobody", &*export], "nobody: "),
        (vec!["--key", &*empty, &*export], "no key in it"),
        (vec!["--key", &*other, &*export], "verifier key"),
        (vec!["--key", "/dev/zero", &*export], "too large"),
        (vec!["--checkpoint", &*other, &*export], "other: a note"),
        (vec!["--checkpoint", &*missing, &*export], "missing: "),
    ] {
        let said = run(&arguments);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?}");
        assert!(said.err.starts_with("kakunin-verify: ") && said.err.contains(expected), "{expected}: {}", said.err);
    }
}

#[test]
fn a_line_that_is_too_long_is_not_read_into_memory() {
    let (folder, mut book) = (Folder::new(), Book::new(&[A]));
    let long = crate::book::row(A, 1, &"x".repeat(900_000));
    book.add(A, kakunin_core::ledger::Kind::Rows, vec![long], "");
    let file = folder.write("ledger.jsonl", text(&book.lines()));
    assert_eq!(run(&[&file]).code, 0);
    let said = run(&["--max-line", "1", &file]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("--max-line"), "{}", said.err);
}

#[test]
fn values_are_shown_only_when_asked_for() {
    let (folder, mut book) = (Folder::new(), Book::usual());
    let note = |size| Book::usual().note(&Signer::new(1), size);
    book.at(A, 2).rows[0] = crate::book::row(A, 0, "Jane\u{1b}[2J");
    let file = folder.write("ledger.jsonl", text(&book.lines_with(note, &[])));
    let said = run(&[&file]);
    assert_eq!(said.code, 1);
    assert!(!said.out.contains("Jane"), "{}", said.out);
    let said = run(&["--show-values", &file]);
    assert!(said.out.contains("row 0: id = 0, note = 'Jane\\u{1b}[2J'"), "{}", said.out);
    assert!(said.out.contains("rows by kakunin_agent at 2026-01-01T00:00:02Z, transaction 1002"), "{}", said.out);
    assert!(!said.out.contains('\u{1b}'));
}

#[test]
fn no_progress_is_drawn_where_there_is_no_terminal() {
    let (folder, mut book) = (Folder::new(), Book::new(&[A]));
    for _ in 0..200 {
        book.add_rows(A, 100);
    }
    let file = folder.write("ledger.jsonl", text(&book.lines()));
    assert_eq!(run(&[&file]).err, "");
}
