//! Where Rust code is `unsafe`, and whether it says why that is sound.

/// The lines with the keyword in code.
pub fn lines_with_it(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    for (index, line) in code_lines(text).iter().enumerate() {
        if keyword(line).is_some() {
            found.push(index + 1);
        }
    }
    found
}

/// The lines where an `unsafe` block or `impl` starts without a comment `SAFETY:` above its statement.
pub fn blocks_without_reason(text: &str) -> Vec<usize> {
    let (code, lines) = (code_lines(text), text.lines().collect::<Vec<_>>());
    let mut found = Vec::new();
    for (index, line) in code.iter().enumerate() {
        let opens = keyword(line).is_some_and(|rest| {
            let rest = rest.trim_start();
            rest.starts_with('{') || rest.starts_with("impl")
        });
        if opens && !reason_above(&code, &lines, index) {
            found.push(index + 1);
        }
    }
    found
}

/// Walks up from a line through the rest of its statement, its attributes and its comments.
fn reason_above(code: &[String], lines: &[&str], index: usize) -> bool {
    for above in (0..index).rev() {
        let (line, code) = (lines[above].trim(), code[above].trim());
        if line.contains("// SAFETY:") {
            return true;
        }
        let comment_or_attribute = line.starts_with("//") || line.starts_with("#[");
        let ended = line.is_empty() || code.ends_with([';', '{', '}']);
        if !comment_or_attribute && ended {
            return false;
        }
    }
    false
}

/// What stands behind the keyword in a line of code.
fn keyword(line: &str) -> Option<&str> {
    let word = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices("unsafe").find_map(|(at, keyword)| {
        let (before, after) = (&line[..at], &line[at + keyword.len()..]);
        (!before.ends_with(word) && !after.starts_with(word)).then_some(after)
    })
}

/// The lines without comments and without what is between quotes. Enough for code that rustfmt has laid out: raw
/// strings and strings over several lines are taken apart line by line.
fn code_lines(text: &str) -> Vec<String> {
    let mut in_comment = false;
    text.lines().map(|line| code_of(line, &mut in_comment)).collect()
}

fn code_of(line: &str, in_comment: &mut bool) -> String {
    let mut code = String::new();
    let mut rest = line;
    let mut in_text = false;
    while let Some(character) = rest.chars().next() {
        let step = if *in_comment {
            *in_comment = !rest.starts_with("*/");
            if *in_comment { character.len_utf8() } else { 2 }
        } else if in_text {
            in_text = character != '"';
            if character == '\\' {
                1 + rest[1..].chars().next().map_or(0, char::len_utf8)
            } else {
                character.len_utf8()
            }
        } else if rest.starts_with("//") {
            break;
        } else if rest.starts_with("/*") {
            *in_comment = true;
            2
        } else if rest.starts_with("'\"'") {
            3
        } else {
            in_text = character == '"';
            code.push(character);
            character.len_utf8()
        };
        rest = &rest[step..];
    }
    code
}

#[test]
fn the_keyword_counts_in_code_only() {
    assert_eq!(lines_with_it("// unsafe\nlet a = \"unsafe\";\nunsafe { f() }\nparallel_unsafe\n/* unsafe */"), [3]);
}

#[test]
fn a_reason_stands_above_the_statement() {
    let good = "// SAFETY: it is ours.\nlet a =\n    unsafe { f() };";
    let bad = "let b = 1;\nlet a = unsafe { f() };";
    let far = "// SAFETY: it is ours.\nlet b = 1;\nunsafe { f() };";
    assert!(blocks_without_reason(good).is_empty());
    assert_eq!((blocks_without_reason(bad), blocks_without_reason(far)), (vec![2], vec![3]));
    // A function's contract is its documentation's matter.
    assert!(blocks_without_reason("pub unsafe fn f() {}").is_empty());
}
