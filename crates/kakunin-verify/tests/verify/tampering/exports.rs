//! Ledgers, checkpoints, prune entries and lines.

use kakunin_core::ledger::export::{checkpoint_line, end_line};
use kakunin_core::ledger::{Detail, Kind, LedgerId};

use super::{EXPORT, Place, changed, edited, entry, first, log};
use crate::book::{A, B, Book, ORIGIN, Signer, row, rows_lines, text};
use crate::harness::{Folder, run};

#[test]
fn a_ledger_that_was_dropped() {
    // The first line still names it.
    changed(|book| book.items.retain(|item| item.entry.ledger == A), "missing", entry(B, 1));
    // It does not: the log has not the root that was signed.
    changed(
        |book| {
            book.items.retain(|item| item.entry.ledger == A);
            book.ledgers = vec![A];
        },
        "checkpoint_mismatch",
        log(5),
    );
}

#[test]
fn a_ledger_that_the_first_line_does_not_name() {
    changed(|book| book.ledgers = vec![A], "foreign_ledger", entry(B, 1));
}

#[test]
fn a_log_that_was_cut_back_to_an_older_checkpoint() {
    // Sound by itself: only who kept a newer checkpoint sees it.
    let (folder, honest) = (Folder::new(), Book::usual());
    let kept = folder.write("kept.note", honest.note(&Signer::new(1), 10));
    let mut book = Book::usual();
    book.items.truncate(8);
    book.checkpoints = vec![5, 8];
    let file = folder.write("ledger.jsonl", text(&book.lines()));
    assert_eq!(run(&["--key", &Signer::new(1).key().to_string(), &file]).code, 0);
    assert_eq!(first(&text(&book.lines()), &["--checkpoint", &kept]), ("truncated".to_owned(), log(10)));
}

#[test]
fn a_log_that_was_signed_anew_with_the_same_key() {
    let (folder, honest) = (Folder::new(), Book::usual());
    let kept = folder.write("kept.note", honest.note(&Signer::new(1), 8));
    let mut book = Book::usual();
    book.at(A, 2).entry.role = "nobody".to_owned();
    book.rechain();
    let content = text(&book.lines());
    let file = folder.write("ledger.jsonl", &content);
    assert_eq!(run(&[&file]).code, 0, "sound by itself");
    assert_eq!(first(&content, &["-c", &kept]), ("inconsistent_checkpoints".to_owned(), log(8)));
}

#[test]
fn a_log_that_was_signed_anew_with_another_key() {
    let (folder, thief) = (Folder::new(), Signer::new(66));
    let mut book = Book::usual();
    book.at(A, 2).entry.role = "nobody".to_owned();
    book.rechain();
    book.keys = vec![thief.key()];
    let content = text(&book.lines_with(|size| book.note(&thief, size), &[]));
    let file = folder.write("ledger.jsonl", &content);
    let said = run(&[&file]);
    assert_eq!(said.code, 0, "sound by itself");
    assert!(said.out.contains("which proves nothing about who signed"));
    assert_eq!(first(&content, &[]), ("unsigned".to_owned(), EXPORT));
    let kept = folder.write("kept.note", Book::usual().note(&Signer::new(1), 8));
    let said = run(&["-c", &kept, &file]);
    assert_eq!(said.code, 1, "the kept checkpoint alone suffices");
    assert!(said.out.contains("FAULT        checkpoint_mismatch: log, checkpoint of size 8"), "{}", said.out);
}

#[test]
fn checkpoints_that_were_removed_replaced_or_forged() {
    let is_checkpoint = |line: &String| line.starts_with("{\"checkpoint\"");
    edited(|lines| lines.retain(|line| !is_checkpoint(line)), "unsigned", EXPORT);
    let thief = Signer::new(66);
    let replace = |with: String| {
        move |lines: &mut Vec<String>| {
            let newest = lines.iter().rposition(is_checkpoint).unwrap();
            lines[newest] = checkpoint_line(&with);
        }
    };
    let book = Book::usual();
    edited(replace(book.note(&thief, 10)), "unsigned", log(10));
    edited(replace(book.note(&Signer::new(1), 8)), "checkpoint_mismatch", log(8));
    edited(replace(Signer::new(1).note(ORIGIN, 10, [7; 32])), "checkpoint_mismatch", log(10));
    edited(replace(Signer::new(1).note("other.example/1", 10, [7; 32])), "foreign_ledger", log(10));
    edited(replace(book.note(&Signer::new(1), 8).replace("\n8\n", "\n10\n")), "bad_signature", log(10));
    edited(replace("no note".to_owned()), "malformed", EXPORT);
    edited(
        |lines| {
            let newest = lines.iter().rposition(is_checkpoint).unwrap();
            lines.insert(newest + 1, checkpoint_line(&Signer::new(1).note(ORIGIN, 10, [7; 32])));
        },
        "inconsistent_checkpoints",
        log(10),
    );
}

#[test]
fn rows_that_are_gone_without_or_with_a_false_prune_entry() {
    let pruned = |prune: Option<(u64, u64, u64)>, gone: &[(LedgerId, u64)], slug: &str, place: Place| {
        let mut book = Book::usual();
        if let Some((checkpoint, first, last)) = prune {
            let detail = Detail::Prune { checkpoint, first, last, reason: "old".to_owned() };
            book.add(A, Kind::Prune, vec![], &detail.encode().unwrap());
        }
        let lines = book.lines_with(|size| book.note(&Signer::new(1), size), gone);
        assert_eq!(first(&text(&lines), &[]), (slug.to_owned(), place));
    };
    pruned(None, &[(A, 2)], "pruned_without_entry", entry(A, 2));
    pruned(Some((5, 1, 3)), &[(A, 2), (A, 3), (A, 4)], "pruned_without_entry", entry(A, 4));
    pruned(Some((5, 1, 3)), &[(B, 2)], "pruned_without_entry", entry(B, 2));
    pruned(Some((5, 1, 5)), &[(A, 2), (A, 3), (A, 4), (A, 5)], "prune_not_covered", entry(A, 9));
    pruned(Some((12, 2, 9)), &[(A, 2)], "prune_not_covered", entry(A, 9));
}

#[test]
fn an_export_that_was_cut_off() {
    let whole = text(&Book::usual().lines());
    let end = whole.find("{\"end\"").unwrap();
    assert_eq!(first(&whole[..end], &[]), ("incomplete".to_owned(), EXPORT));
    assert_eq!(first(&whole[..end - 40], &[]), ("incomplete".to_owned(), EXPORT));
    assert_eq!(first(&whole[..end + 5], &[]), ("incomplete".to_owned(), EXPORT));
    edited(|lines| *lines.last_mut().unwrap() = end_line(12, 24), "incomplete", EXPORT);
    edited(|lines| *lines.last_mut().unwrap() = end_line(13, 23), "incomplete", EXPORT);
}

#[test]
fn lines_that_do_not_belong() {
    edited(|lines| lines.push(lines[1].clone()), "misplaced", EXPORT);
    edited(|lines| lines.push(String::new()), "misplaced", EXPORT);
    edited(|lines| lines.insert(1, rows_lines(&[row(A, 1, "early")]).remove(0)), "misplaced", EXPORT);
    edited(|lines| lines.insert(4, "{\"comment\":\"hello\"}".to_owned()), "malformed", EXPORT);
    edited(|lines| lines[2] = lines[2].replace("\":\"", "\": \""), "malformed", EXPORT);
}

#[test]
fn a_whole_export_that_is_passed_off_as_a_part_or_the_other_way_round() {
    edited(|lines| lines[0] = lines[0].replace("\"whole\":true", "\"whole\":false"), "misplaced", EXPORT);
    let mut part = Book::usual().partial_lines(B, 10, &Signer::new(1));
    part[0] = part[0].replace("\"whole\":false", "\"whole\":true");
    assert_eq!(first(&text(&part), &[]).0, "misplaced");
}

#[test]
fn a_part_that_was_changed() {
    let honest = || Book::usual().partial_lines(B, 10, &Signer::new(1));
    let part = |change: &dyn Fn(&mut Vec<String>), slug: &str, place: Place| {
        let mut lines = honest();
        change(&mut lines);
        assert_ne!(lines, honest(), "nothing was changed");
        assert_eq!(first(&text(&lines), &[]), (slug.to_owned(), place));
    };
    let proof = honest().iter().position(|line| line.starts_with("{\"proof\"")).unwrap();
    part(&|lines| drop(lines.remove(proof)), "unsigned", entry(B, 4));
    // The proof of the third entry behind the fourth.
    part(
        &|lines| {
            let moved = lines.remove(proof);
            lines.insert(lines.len() - 1, moved);
        },
        "bad_proof",
        entry(B, 4),
    );
    part(&|lines| lines[proof] = lines[proof].replace("index 7", "index 6"), "bad_proof", entry(B, 3));
}
