//! The tree itself: what a reader relies on without looking. Needs no server.

mod tidy {
    pub mod files;
    pub mod markdown;
    pub mod unsafe_code;
}

use kakunin_core::Reason;
use std::collections::BTreeSet;
use tidy::files::{Tree, lines};

/// Fails with every finding, so that one run shows them all.
fn require_none(rule: &str, findings: Vec<String>) {
    assert!(findings.is_empty(), "{rule}\n  {}\n", findings.join("\n  "));
}

#[test]
fn no_file_is_too_long_to_read() {
    let tree = Tree::read();
    let code = tree.files().filter(|file| {
        let kept = file.starts_with_any(&["src/", "crates/", "tests/", "xtask/", "bench/", "scripts/", "sql/"]);
        kept && file.has_extension(&["rs", "sql", "sh", "py", "mjs"]) && !file.path.contains("/testdata/")
    });
    let findings = code.filter_map(|file| {
        let count = file.text.lines().count();
        (count > LINES_MAX).then(|| format!("{}: {count} lines", file.path))
    });
    require_none(&format!("a file has at most {LINES_MAX} lines; past that, find the seam"), findings.collect());
}

#[test]
fn unsafe_code_is_in_the_few_places_that_are_reviewed_for_it() {
    let tree = Tree::read();
    let elsewhere = tree.rust().filter(|file| !file.starts_with_any(UNSAFE_PLACES));
    let findings = elsewhere.flat_map(|file| {
        let found = tidy::unsafe_code::lines_with_it(&file.text);
        found.into_iter().map(move |line| format!("{}:{line}", file.path))
    });
    require_none(&format!("unsafe code belongs into {}", UNSAFE_PLACES.join(", ")), findings.collect());
}

#[test]
fn every_unsafe_block_says_what_makes_it_sound() {
    let tree = Tree::read();
    let findings = tree.rust().flat_map(|file| {
        let found = tidy::unsafe_code::blocks_without_reason(&file.text);
        found.into_iter().map(move |line| format!("{}:{line}", file.path))
    });
    require_none("an unsafe block has a line `// SAFETY: …` directly above its statement", findings.collect());
}

#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    // Assembled, so that this file does not name them.
    let places = ["work", "root", "home", "tmp"].map(|name| format!("/{name}/"));
    let tree = Tree::read();
    let findings = tree.files().flat_map(|file| {
        let places = &places;
        lines(&file.text).filter_map(move |(number, line)| {
            let named = places.iter().any(|place| tidy::files::names_place(line, place));
            named.then(|| format!("{}:{number}: {}", file.path, line.trim()))
        })
    });
    require_none("paths are relative to the tree, or asked for", findings.collect());
}

#[test]
fn nothing_is_left_for_later() {
    let marks =
        [["TO", "DO"], ["FIX", "ME"], ["todo", "!("], ["unimplemented", "!("], ["dbg", "!("]].map(|mark| mark.concat());
    let tree = Tree::read();
    let findings = tree.files().flat_map(|file| {
        let marks = &marks;
        lines(&file.text).filter_map(move |(number, line)| {
            let left = marks.iter().any(|mark| line.contains(mark.as_str()));
            left.then(|| format!("{}:{number}: {}", file.path, line.trim()))
        })
    });
    require_none("what is here is finished", findings.collect());
}

#[test]
fn every_reason_for_a_refusal_is_explained() {
    let tree = Tree::read();
    let page = tree.get("docs/errors.md").expect("docs/errors.md explains the reasons");
    let explained: BTreeSet<&str> =
        page.text.lines().filter_map(|line| line.strip_prefix("### ")).map(str::trim).collect();
    let explained: BTreeSet<&str> = explained.iter().map(|heading| heading.trim_matches('`')).collect();
    let known: BTreeSet<&str> = Reason::SLUGS.iter().copied().collect();
    let missing = known.difference(&explained).map(|slug| format!("no heading `### {slug}`"));
    let stale = explained.difference(&known).map(|slug| format!("`### {slug}` is no reason"));
    require_none("docs/errors.md has one heading for each reason", missing.chain(stale).collect());
    assert_eq!(known.len(), Reason::SLUGS.len(), "two reasons share a slug");
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let tree = Tree::read();
    let findings = tree.files().filter(|file| file.has_extension(&["md"])).flat_map(|page| {
        let broken = tidy::markdown::broken_links(&tree, page);
        broken.into_iter().map(move |link| format!("{}: {link}", page.path))
    });
    require_none("a link names a file of the tree and a heading in it", findings.collect());
}

#[test]
fn every_test_file_is_a_test_that_runs() {
    let tree = Tree::read();
    let manifest = &tree.get("tests/Cargo.toml").expect("the package has a manifest").text;
    let listed: BTreeSet<String> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = "))
        .map(|path| format!("tests/{}", path.trim().trim_matches('"')))
        .collect();
    let here = tree.rust().filter(|file| file.path.starts_with("tests/") && file.path.matches('/').count() == 1);
    let findings =
        here.filter(|file| !listed.contains(&file.path)).map(|file| format!("{} has no [[test]]", file.path));
    require_none("tests/Cargo.toml lists every test file", findings.collect());
}

#[test]
fn every_regression_test_has_its_expected_output() {
    let tree = Tree::read();
    let names = |folder: &str, suffix: &str| -> BTreeSet<String> {
        let names = tree.files().filter_map(|file| file.path.strip_prefix(folder)?.strip_suffix(suffix));
        names.map(str::to_owned).collect()
    };
    let (sql, specs) = (names("pg_test/sql/", ".sql"), names("pg_test/specs/", ".spec"));
    let expected = names("pg_test/expected/", ".out");
    let tests: BTreeSet<String> = sql.union(&specs).cloned().collect();
    let missing = tests.difference(&expected).map(|name| format!("pg_test/expected/{name}.out is missing"));
    let stale = expected.difference(&tests).map(|name| format!("pg_test/expected/{name}.out belongs to no test"));
    require_none("a test and its expected output come together", missing.chain(stale).collect());
}

/// Lines of a file. About 400 are a chapter.
const LINES_MAX: usize = 600;

/// Where unsafe code may be: what touches PostgreSQL's own memory and its hooks.
const UNSAFE_PLACES: &[&str] = &[
    "src/hooks/",
    "src/shmem.rs",
    "src/slots.rs",
    "src/worker/",
    "src/ledger/",
    "src/checkpoint/",
    "src/catalog.rs",
    "src/backend.rs",
];
