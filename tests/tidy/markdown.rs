//! Links between the pages.

use super::files::{File, Tree};

/// The relative links of a page that lead to no file, or to no heading of it.
pub fn broken_links(tree: &Tree, page: &File) -> Vec<String> {
    let mut broken = Vec::new();
    for target in links(&page.text) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (path, heading) = target.split_once('#').unwrap_or((target, ""));
        let Some(path) = resolve(&page.path, path) else {
            broken.push(format!("{target} leads out of the tree"));
            continue;
        };
        if !tree.has(&path) {
            broken.push(format!("{target} leads nowhere"));
        } else if !heading.is_empty()
            && tree.get(&path).is_some_and(|file| !anchors(&file.text).any(|anchor| anchor == heading))
        {
            broken.push(format!("{target}: there is no such heading"));
        }
    }
    broken
}

/// What stands between `](` and `)`, outside code.
fn links(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for line in prose(text) {
        // Every second part of a line is between backquotes.
        for part in line.split('`').step_by(2) {
            for rest in part.split("](").skip(1) {
                if let Some((target, _)) = rest.split_once(')') {
                    found.push(target.split_whitespace().next().unwrap_or_default());
                }
            }
        }
    }
    found
}

/// The lines outside fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// A path from the root, of a link in the page at `from`; nothing when it leads out of the tree.
fn resolve(from: &str, link: &str) -> Option<String> {
    if link.is_empty() {
        return Some(from.to_owned());
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The anchors of a page: those it names itself (`<a id="…">`), and those its headings get: lower case, words joined by
/// dashes, other signs left out.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let named = prose(text).flat_map(|line| line.split("<a id=\"").skip(1).filter_map(|rest| rest.split_once('"')));
    let headings = prose(text).filter_map(|line| {
        let heading = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?;
        let kept = heading.trim().chars().filter(|sign| sign.is_alphanumeric() || " -_".contains(*sign));
        Some(kept.collect::<String>().to_lowercase().replace(' ', "-"))
    });
    named.map(|(name, _)| name.to_owned()).chain(headings)
}

#[test]
fn links_are_resolved_as_a_browser_does() {
    assert_eq!(resolve("docs/a.md", "../README.md").as_deref(), Some("README.md"));
    assert_eq!(resolve("docs/a.md", "").as_deref(), Some("docs/a.md"));
    assert_eq!(resolve("a.md", "../b.md"), None);
    assert_eq!(links("see [a](b.md#c) and `[x](y)`\n```\n[p](q)\n```\n[r](s \"title\")"), ["b.md#c", "s"]);
    assert_eq!(anchors("# Two words, `code`\n<a id=\"t1\"></a>").collect::<Vec<_>>(), ["t1", "two-words-code"]);
}
