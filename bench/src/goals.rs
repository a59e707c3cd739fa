//! What is measured, and what is aimed at. The scripts report values under these names.

mod ledger;

use std::fmt;

/// One measurement that is taken for several cases in turn.
pub struct Test {
    pub name: &'static str,
    pub title: &'static str,
    pub unit: &'static str,
    pub cases: &'static [&'static str],
    pub figure: Figure,
}

/// The number by which a case is judged.
#[derive(Clone, Copy)]
pub enum Figure {
    /// Its value beside the named case's.
    RatioTo(&'static str),
    /// The named case's value beside its own: how much of that speed is left.
    SpeedOf(&'static str),
    /// How many fit in a second; its value is in microseconds.
    PerSecond,
    /// Its value.
    Plain,
}

impl Figure {
    pub fn name(self) -> String {
        match self {
            Self::RatioTo(case) => format!("cost relative to: {case}"),
            Self::SpeedOf(case) => format!("speed relative to: {case}"),
            Self::PerSecond => "per second".to_owned(),
            Self::Plain => "plain".to_owned(),
        }
    }
}

pub struct Goal {
    pub test: &'static str,
    pub case: &'static str,
    pub bound: Bound,
}

#[derive(Clone, Copy)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    pub fn holds(self, figure: f64) -> bool {
        match self {
            Self::AtMost(bound) => figure <= bound,
            Self::AtLeast(bound) => figure >= bound,
        }
    }

    pub fn value(self) -> f64 {
        match self {
            Self::AtMost(bound) | Self::AtLeast(bound) => bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(bound) => write!(f, "<= {bound}"),
            Self::AtLeast(bound) => write!(f, ">= {bound}"),
        }
    }
}

/// A constant in the query, read by a role that row level security does not apply to.
const YARDSTICK: &str = "constant, no RLS";
const PROTECTED: &str = "protect_table()";
const BARE: &str = "bare kakunin_cert_serial()";
const POLICIES: &[&str] = &[YARDSTICK, PROTECTED, BARE, "request.jwt.claims", "plpgsql helper"];
const RATIO: Figure = Figure::RatioTo(YARDSTICK);

/// Everything that is measured, in the order of the table.
pub fn tests() -> impl Iterator<Item = &'static Test> {
    TESTS.iter().chain(ledger::TESTS)
}

/// What is aimed at with a case, if anything.
pub fn goal(test: &str, case: &str) -> Option<&'static Goal> {
    GOALS.iter().chain(ledger::GOALS).find(|goal| goal.test == test && goal.case == case)
}

const TESTS: &[Test] = &[
    Test { name: "scan", title: "sequential scan, CPU", unit: "ms", cases: POLICIES, figure: RATIO },
    Test { name: "parallel", title: "scan by 2 workers, wall", unit: "ms", cases: POLICIES, figure: RATIO },
    Test { name: "own", title: "own rows by index, CPU", unit: "ms", cases: POLICIES, figure: RATIO },
    Test { name: "point", title: "point query, CPU", unit: "us", cases: POLICIES, figure: RATIO },
    Test { name: "list", title: "list by index, CPU", unit: "us", cases: POLICIES, figure: RATIO },
    Test { name: "bind", title: "bind_session(), CPU", unit: "us", cases: BINDS, figure: Figure::PerSecond },
    Test { name: "bind_wall", title: "bind_session(), wall", unit: "us", cases: BINDS, figure: Figure::PerSecond },
    Test {
        name: "signature",
        title: "RSA-2048 signature, CPU",
        unit: "us",
        cases: &["ring alone", "verify_signature()"],
        figure: Figure::SpeedOf("ring alone"),
    },
    Test { name: "resident", title: "memory of the backend", unit: "kB", cases: CALLS, figure: Figure::Plain },
    Test { name: "allocated", title: "memory contexts", unit: "kB", cases: CALLS, figure: Figure::Plain },
];

const GOALS: &[Goal] = &[
    Goal { test: "scan", case: PROTECTED, bound: Bound::AtMost(1.05) },
    Goal { test: "scan", case: BARE, bound: Bound::AtMost(1.10) },
    Goal { test: "parallel", case: PROTECTED, bound: Bound::AtMost(1.10) },
    Goal { test: "parallel", case: BARE, bound: Bound::AtMost(1.10) },
    Goal { test: "own", case: PROTECTED, bound: Bound::AtMost(1.10) },
    Goal { test: "own", case: BARE, bound: Bound::AtMost(1.10) },
    Goal { test: "point", case: PROTECTED, bound: Bound::AtMost(1.10) },
    Goal { test: "point", case: BARE, bound: Bound::AtMost(1.10) },
    Goal { test: "list", case: PROTECTED, bound: Bound::AtMost(1.10) },
    Goal { test: "list", case: BARE, bound: Bound::AtMost(1.10) },
    Goal { test: "bind", case: "chain verified", bound: Bound::AtLeast(3_000.0) },
    Goal { test: "bind", case: "chain verdict kept", bound: Bound::AtLeast(10_000.0) },
    Goal { test: "signature", case: "verify_signature()", bound: Bound::AtLeast(0.9) },
    // A leak of one byte a call would show as a megabyte after a million calls; what is left is the allocator's.
    Goal { test: "resident", case: "kakunin_cert_serial()", bound: Bound::AtMost(GROWTH_MAX) },
    Goal { test: "resident", case: "verify_signature()", bound: Bound::AtMost(GROWTH_MAX) },
    Goal { test: "resident", case: "check_certificate()", bound: Bound::AtMost(GROWTH_MAX) },
    Goal { test: "resident", case: "bind_transaction()", bound: Bound::AtMost(GROWTH_MAX) },
    Goal { test: "allocated", case: "kakunin_cert_serial()", bound: Bound::AtMost(GROWTH_MAX) },
    Goal { test: "allocated", case: "verify_signature()", bound: Bound::AtMost(GROWTH_MAX) },
    Goal { test: "allocated", case: "check_certificate()", bound: Bound::AtMost(GROWTH_MAX) },
    Goal { test: "allocated", case: "bind_transaction()", bound: Bound::AtMost(GROWTH_MAX) },
];

const BINDS: &[&str] = &["chain verified", "chain verdict kept"];
const CALLS: &[&str] = &["kakunin_cert_serial()", "verify_signature()", "check_certificate()", "bind_transaction()"];
/// Kilobytes.
const GROWTH_MAX: f64 = 256.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_goal_and_every_yardstick_is_measured() {
        for goal in GOALS.iter().chain(ledger::GOALS) {
            let test = tests().find(|test| test.name == goal.test);
            assert!(test.is_some_and(|test| test.cases.contains(&goal.case)), "{}, {}", goal.test, goal.case);
        }
        for test in tests() {
            if let Figure::RatioTo(yardstick) | Figure::SpeedOf(yardstick) = test.figure {
                assert!(test.cases.contains(&yardstick), "{}", test.name);
            }
            assert_eq!(tests().filter(|other| other.name == test.name).count(), 1, "{}", test.name);
        }
    }
}
