//! Each way to change an export is found, and named with its place: here rows and entries, in `exports` the rest.

mod exports;

use kakunin_core::UnixTime;
use kakunin_core::ledger::export::{end_line, entry_line};
use kakunin_core::ledger::merkle::EMPTY_ROOT;
use kakunin_core::ledger::{Detail, Kind, LedgerId};

use crate::book::{A, B, Book, Item, Signer, row, text};
use crate::harness::{Folder, run};

/// Where a fault is: its ledger and number, and its row.
type Place = (Option<LedgerId>, Option<u64>, Option<u64>);

fn entry(ledger: LedgerId, seq: u64) -> Place {
    (Some(ledger), Some(seq), None)
}

fn row_of(ledger: LedgerId, seq: u64, row: u64) -> Place {
    (Some(ledger), Some(seq), Some(row))
}

fn log(size: u64) -> Place {
    (None, Some(size), None)
}

const EXPORT: Place = (None, None, None);

/// Checks an export with the honest key and says which fault comes first.
fn first(content: &str, arguments: &[&str]) -> (String, Place) {
    let folder = Folder::new();
    let file = folder.write("ledger.jsonl", content);
    let key = Signer::new(1).key().to_string();
    let mut all = vec!["--json", "--key", &key];
    all.extend(arguments);
    all.push(&file);
    let said = run(&all);
    assert_eq!((said.code, said.err.as_str()), (1, ""), "{}", said.out);
    let object: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let fault = &object["faults"][0];
    let ledger = fault["ledger"].as_str().map(|ledger| ledger.parse().unwrap());
    let place = (ledger, fault["seq"].as_u64(), fault["row"].as_u64());
    (fault["fault"].as_str().unwrap().to_owned(), place)
}

/// Changes the entries of the usual book. The checkpoints stay those that were signed.
#[track_caller]
fn changed(change: impl FnOnce(&mut Book), slug: &str, place: Place) {
    let mut book = Book::usual();
    change(&mut book);
    assert_ne!(book.lines(), Book::usual().lines(), "nothing was changed");
    let lines = book.lines_with(|size| Book::usual().note(&Signer::new(1), size), &[]);
    assert_eq!(first(&text(&lines), &[]), (slug.to_owned(), place));
}

/// Changes the lines of the usual book's export.
#[track_caller]
fn edited(change: impl FnOnce(&mut Vec<String>), slug: &str, place: Place) {
    let mut lines = Book::usual().lines();
    change(&mut lines);
    assert_ne!(lines, Book::usual().lines(), "nothing was changed");
    assert_eq!(first(&text(&lines), &[]), (slug.to_owned(), place));
}

/// The entry of a ledger whose rows are a given number.
fn with_rows(book: &Book, ledger: LedgerId, rows: usize) -> u64 {
    book.of(ledger).find(|item| item.rows.len() == rows && item.entry.kind == Kind::Rows).unwrap().entry.seq
}

#[test]
fn a_row_that_was_edited() {
    changed(|book| book.at(A, 2).rows[0] = row(A, 0, "other"), "altered", row_of(A, 2, 0));
    changed(|book| book.at(A, 3).rows[1] = row(A, 1, "other"), "altered", entry(A, 3));
    // Also behind the newest checkpoint, where only the entry speaks for it.
    changed(|book| book.items[11].rows[0] = row(A, 0, "other"), "altered", entry(A, 8));
}

#[test]
fn a_row_that_was_deleted() {
    let seq = with_rows(&Book::usual(), A, 4);
    for (gone, expected) in [(0, 3), (2, 3), (3, 3)] {
        changed(|book| drop(book.at(A, seq).rows.remove(gone)), "missing", row_of(A, seq, expected));
    }
    changed(|book| book.at(A, seq).rows.clear(), "pruned_without_entry", entry(A, seq));
}

#[test]
fn a_row_that_was_added() {
    changed(|book| book.at(A, 2).rows.push(row(A, 9, "new")), "extra", row_of(A, 2, 1));
    changed(|book| book.at(B, 1).rows.push(row(B, 9, "new")), "extra", row_of(B, 1, 0));
    changed(
        |book| {
            let first = book.at(A, 2).rows[0].clone();
            book.at(A, 2).rows.push(first);
        },
        "extra",
        row_of(A, 2, 1),
    );
}

#[test]
fn rows_that_were_swapped() {
    let seq = with_rows(&Book::usual(), A, 4);
    changed(|book| book.at(A, seq).rows.swap(1, 2), "altered", entry(A, seq));
}

#[test]
fn a_row_that_was_moved_to_another_entry_or_ledger() {
    changed(
        |book| {
            let moved = book.at(A, 3).rows.pop().unwrap();
            book.at(A, 5).rows.push(moved);
        },
        "missing",
        row_of(A, 3, 1),
    );
    changed(|book| book.at(A, 2).rows[0] = row(B, 0, "row 0 of entry 2"), "foreign_ledger", row_of(A, 2, 0));
}

#[test]
fn a_row_whose_bytes_are_no_row() {
    changed(|book| book.at(A, 3).rows[1].push(0), "malformed", row_of(A, 3, 1));
    changed(|book| book.at(A, 3).rows[1].truncate(30), "malformed", row_of(A, 3, 1));
}

#[test]
fn an_entry_that_was_edited_in_any_member() {
    let edits: [fn(&mut Item); 7] = [
        |item| item.entry.role = "nobody".to_owned(),
        |item| item.entry.at = UnixTime(item.entry.at.0 + 1),
        |item| item.entry.certificate = Some([7; 32]),
        |item| item.entry.tx += 100,
        |item| item.entry.root[0] ^= 1,
        |item| item.entry.previous[0] ^= 1,
        |item| item.entry.certificate = None,
    ];
    for edit in edits {
        changed(|book| edit(book.at(A, 4)), "altered", entry(A, 4));
    }
    changed(|book| book.at(A, 4).entry.rows -= 1, "extra", row_of(A, 4, 3));
    changed(|book| book.at(A, 4).entry.first_row += 1, "miscounted", entry(A, 4));
}

#[test]
fn the_opening_entry_that_was_edited() {
    changed(
        |book| {
            let detail = &mut book.at(B, 1).entry.detail;
            *detail = detail.replace("public.audit_b0", "public.audit_c0");
        },
        "altered",
        entry(B, 1),
    );
    changed(|book| book.at(B, 1).entry.detail.push(' '), "malformed", entry(B, 1));
}

#[test]
fn entries_that_were_deleted() {
    for seq in [1, 2, 4] {
        let remove = |book: &mut Book| {
            let index = book.index(A, seq);
            book.items.remove(index);
        };
        changed(remove, "missing", entry(A, seq));
    }
    changed(|book| drop(book.items.drain(2..6)), "missing", entry(A, 2));
}

#[test]
fn the_last_entry_before_a_checkpoint_that_was_deleted() {
    // Nothing follows it, so that only the checkpoint knows of it.
    edited(
        |lines| {
            let newest = lines.iter().rposition(|line| line.starts_with("{\"checkpoint\"")).unwrap();
            let entry = lines[..newest].iter().rposition(|line| line.starts_with("{\"entry\"")).unwrap();
            lines.drain(entry..newest);
            lines.drain(entry + 1..);
            lines.push(end_line(9, 18));
        },
        "truncated",
        log(10),
    );
}

#[test]
fn a_deleted_entry_whose_followers_were_numbered_and_linked_anew() {
    changed(
        |book| {
            let index = book.index(A, 4);
            book.items.remove(index);
            book.rechain();
        },
        "checkpoint_mismatch",
        log(8),
    );
}

#[test]
fn everything_linked_anew_after_an_edit() {
    changed(
        |book| {
            book.at(A, 2).rows[0] = row(A, 0, "other");
            book.at(A, 2).restate();
            book.rechain();
        },
        "checkpoint_mismatch",
        log(5),
    );
    // A change behind the first checkpoint shows at the second.
    changed(
        |book| {
            book.at(A, 5).entry.role = "nobody".to_owned();
            book.rechain();
        },
        "checkpoint_mismatch",
        log(8),
    );
}

#[test]
fn an_entry_that_was_inserted() {
    changed(
        |book| {
            let mut forged = book.at(A, 3).clone();
            forged.rows = vec![row(A, 5, "forged")];
            forged.restate();
            let index = book.index(A, 3);
            book.items.insert(index + 1, forged);
        },
        "forked",
        entry(A, 3),
    );
    changed(
        |book| {
            let mut forged = book.at(A, 3).clone();
            forged.entry.tx = 5000;
            let index = book.index(A, 3);
            book.items.insert(index + 1, forged);
            book.rechain();
        },
        "checkpoint_mismatch",
        log(5),
    );
}

#[test]
fn entries_that_were_swapped_or_repeated() {
    changed(|book| book.items.swap(2, 3), "reordered", entry(A, 2));
    changed(
        |book| {
            let again = book.at(A, 3).clone();
            let index = book.index(A, 3);
            book.items.insert(index + 1, again);
        },
        "duplicated",
        entry(A, 3),
    );
    // Two ledgers' entries in another order: each chain is sound, the log is not.
    changed(|book| book.items.swap(3, 4), "checkpoint_mismatch", log(5));
}

#[test]
fn an_entry_that_was_replaced_by_one_of_another_history() {
    changed(
        |book| {
            let forged = &mut book.at(A, 4).entry;
            forged.previous = [9; 32];
            forged.role = "nobody".to_owned();
        },
        "forked",
        entry(A, 4),
    );
}

#[test]
fn time_transactions_and_kinds_that_contradict_the_entries_before() {
    let rechained = |change: fn(&mut Book), slug: &str, place: Place| {
        changed(
            |book| {
                change(book);
                book.rechain();
            },
            slug,
            place,
        );
    };
    rechained(|book| book.at(A, 4).entry.at = UnixTime(0), "time_reversed", entry(A, 4));
    rechained(|book| book.at(A, 4).entry.tx = book.at(A, 2).entry.tx, "transaction_reused", entry(A, 4));
    rechained(|book| book.at(A, 4).entry.tx = 0, "malformed", entry(A, 4));
    rechained(
        |book| {
            let item = book.at(A, 4);
            item.rows.clear();
            item.restate();
            item.entry = kakunin_core::ledger::Entry {
                kind: Kind::Close,
                tx: 0,
                root: EMPTY_ROOT,
                detail: Detail::Close { reason: "done".to_owned() }.encode().unwrap(),
                ..item.entry.clone()
            };
        },
        "after_close",
        entry(A, 5),
    );
}

#[test]
fn an_entry_whose_bytes_are_no_entry() {
    edited(|lines| lines[3] = lines[3].replace("RQGgoKCg", "RQGg"), "malformed", EXPORT);
    edited(
        |lines| {
            let mut bytes = Book::usual().items[2].bytes();
            bytes.push(0);
            lines[3] = entry_line(&bytes);
        },
        "malformed",
        entry(A, 2),
    );
    edited(|lines| lines[3] = "{\"entry\":\"RQE\"}".to_owned(), "malformed", EXPORT);
}
