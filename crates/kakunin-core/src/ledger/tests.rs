use super::*;

/// Hexadecimal digits as bytes.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "{text}");
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

/// 64 hexadecimal digits as a hash.
pub(crate) fn hash(text: &str) -> Hash {
    unhex(text).try_into().unwrap()
}

/// The vectors of one structure.
pub(crate) fn vectors(structure: &str) -> Vec<crate::session::vectors::Record> {
    let all = crate::session::vectors::records(include_str!("../../testdata/ledger.txt"));
    let found: Vec<_> = all.into_iter().filter(|record| record.get("Structure") == structure).collect();
    assert!(!found.is_empty(), "no vector of {structure}");
    found
}

#[test]
fn a_ledger_is_named_in_one_way_only() {
    let text = "6b616b75-6e69-6e00-0000-0000000000a1";
    let id: LedgerId = text.parse().unwrap();
    assert_eq!(id.0[..6], *b"kakuni");
    assert_eq!(id.to_string(), text);
    for refused in [
        "",
        "6B616B75-6e69-6e00-0000-0000000000a1",
        "6b616b756e696e0000000000000000a1",
        "6b616b75-6e69-6e00-0000-0000000000a",
        "6b616b75-6e69-6e00-0000-0000000000a10",
        "{6b616b75-6e69-6e00-0000-0000000000a1}",
        "+b616b75-6e69-6e00-0000-0000000000a1",
        "6b616b7-56e69-6e00-0000-0000000000a1",
        "6b616b75-6e69-6e00-0000-00000000000é",
    ] {
        assert!(refused.parse::<LedgerId>().is_err(), "{refused}");
    }
}

#[test]
fn each_kind_of_fault_has_a_word_of_its_own() {
    let mut slugs: Vec<_> = FaultKind::ALL.iter().map(|kind| kind.slug()).collect();
    assert!(slugs.iter().all(|slug| slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
    slugs.sort_unstable();
    slugs.dedup();
    assert_eq!(slugs.len(), FaultKind::ALL.len());
}

#[test]
fn faults_beyond_the_limit_are_counted_only() {
    let mut faults = Faults::new();
    for line in 0..crate::limits::LEDGER_FAULTS_MAX as u64 + 1 {
        faults.log(None, 5_000 - line, FaultKind::Malformed, "");
    }
    assert_eq!(faults.count(), 1001);
    let sorted = faults.into_sorted();
    assert_eq!((sorted.len(), sorted[0].line, sorted[999].line), (1000, 4001, 5000));
}

#[test]
fn each_kind_of_fault_is_explained_on_the_page() {
    let page = include_str!("../../../../docs/spec/ledger.md");
    for kind in FaultKind::ALL {
        assert!(page.contains(&format!("`{kind}`")), "{kind}");
    }
}
