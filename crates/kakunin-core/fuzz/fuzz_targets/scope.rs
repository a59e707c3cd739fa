//! A scope that is accepted reads back from its canonical form as itself, and any question about it has an answer.
//! Input: lines with the scope, an action, an amount and a venue; then at most one with seconds.
#![no_main]

use kakunin_core::UnixTime;
use kakunin_core::scope::{Action, Scope};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let scope_text = lines.next().unwrap_or_default();
    let Ok(scope) = Scope::parse(scope_text) else { return };
    assert_eq!(Scope::parse(&scope.to_canonical_json()).as_ref(), Ok(&scope));

    let (action, amount, venue) = (lines.next().unwrap_or_default(), lines.next(), lines.next());
    let at = UnixTime(lines.next().and_then(|seconds| seconds.parse().ok()).unwrap_or_default());
    let act = Action { action, amount, venue, at, ..Action::default() };
    let allowed = scope.allows(&act).is_ok();
    if allowed {
        // The same act at a venue that no scope here names: only the star allows that, or no venue in the question.
        let elsewhere = scope.allows(&Action { venue: Some("\u{1}"), ..act }).is_ok();
        let nowhere = scope.allows(&Action { venue: None, ..act }).is_ok();
        assert!(!elsewhere || nowhere);
        assert!(action.len() <= 4 * 255);
    }
});
