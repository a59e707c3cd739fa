//! Many small checks in one test, each reported by its own name.

use std::fmt::Debug;

/// Collects what failed, so that one failure does not hide the others. Fails the test when it goes out of scope.
#[derive(Default)]
pub struct Checks {
    failures: Vec<String>,
    count: usize,
}

impl Checks {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One check: `found` must be `expected`.
    pub fn equal<T: PartialEq<U> + Debug, U: Debug>(&mut self, name: &str, found: T, expected: U) {
        self.count += 1;
        if found != expected {
            self.failures.push(format!("{name}: {found:?} instead of {expected:?}"));
        }
    }

    /// One check: it must hold. `found` tells the reader what was there instead.
    pub fn holds(&mut self, name: &str, holds: bool, found: impl Debug) {
        self.count += 1;
        if !holds {
            self.failures.push(format!("{name}: {found:?}"));
        }
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        // A second panic would hide the first.
        if !std::thread::panicking() {
            assert!(self.count > 0, "nothing was checked");
            let failed = self.failures.len();
            assert!(failed == 0, "{failed} of {} checks failed:\n  {}", self.count, self.failures.join("\n  "));
        } else if !self.failures.is_empty() {
            eprintln!("failed before:\n  {}", self.failures.join("\n  "));
        }
    }
}
