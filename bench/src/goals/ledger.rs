//! What is measured of ledgers, and what is aimed at.

use super::{Bound, Figure, Goal, Test};

pub const TESTS: &[Test] = &[
    Test { name: "append_1_1", title: "1 row, 1 client", unit: "us", cases: TABLES, figure: SHARE },
    Test { name: "append_1_4", title: "1 row, 4 clients", unit: "us", cases: TABLES, figure: SHARE },
    Test { name: "append_1_16", title: "1 row, 16 clients", unit: "us", cases: TABLES, figure: SHARE },
    Test { name: "append_100_1", title: "100 rows, 1 client", unit: "us", cases: TABLES, figure: SHARE },
    Test { name: "append_100_4", title: "100 rows, 4 clients", unit: "us", cases: TABLES, figure: SHARE },
    Test { name: "append_100_16", title: "100 rows, 16 clients", unit: "us", cases: TABLES, figure: SHARE },
    Test { name: "chain_1", title: "1 row, 1 client", unit: "us", cases: CHAINS, figure: Figure::SpeedOf(CHAIN) },
    Test { name: "chain_4", title: "1 row, 4 clients", unit: "us", cases: CHAINS, figure: Figure::SpeedOf(CHAIN) },
    Test { name: "chain_16", title: "1 row, 16 clients", unit: "us", cases: CHAINS, figure: Figure::SpeedOf(CHAIN) },
    Test { name: "append_copy", title: "COPY, a row", unit: "us", cases: TABLES, figure: SHARE },
    Test { name: "append_copy_cpu", title: "COPY, a row, CPU", unit: "us", cases: TABLES, figure: SHARE },
    Test {
        name: "standby_wait",
        title: "waiting for the standby",
        unit: "of 8",
        cases: RELEASES,
        figure: Figure::Plain,
    },
    Test { name: "standby_lock", title: "waiting for the chain", unit: "of 8", cases: RELEASES, figure: Figure::Plain },
    Test {
        name: "checkpoint",
        title: "checkpoint(), an entry",
        unit: "us",
        cases: &["entries that are new"],
        figure: Figure::PerSecond,
    },
    Test { name: "checkpoint_idle", title: "checkpoint()", unit: "ms", cases: &["nothing new"], figure: Figure::Plain },
    Test {
        name: "signer",
        title: "signature and commit",
        unit: "us",
        cases: &["1 at once", "4 at once"],
        figure: Figure::PerSecond,
    },
    Test {
        name: "verify",
        title: "verify_ledger(), a row, CPU",
        unit: "us",
        cases: ENTRIES,
        figure: Figure::PerSecond,
    },
    Test {
        name: "verify_wall",
        title: "verify_ledger(), a row, wall",
        unit: "us",
        cases: ENTRIES,
        figure: Figure::PerSecond,
    },
    Test {
        name: "verify_limit",
        title: "verifying a row, CPU",
        unit: "us",
        cases: &["scan alone", "SHA-256 alone", LIMIT, "verify_ledger()"],
        figure: Figure::SpeedOf(LIMIT),
    },
    Test { name: "verify_memory_64", title: "verifying in 64 MB", unit: "MB", cases: SIZES, figure: Figure::Plain },
    Test { name: "verify_memory_4", title: "verifying in 4 MB", unit: "MB", cases: SIZES, figure: Figure::Plain },
    Test {
        name: "export",
        title: "exporting a row, wall",
        unit: "us",
        cases: &["export_ledger()"],
        figure: Figure::PerSecond,
    },
    Test {
        name: "offline",
        title: "from a file, a row, wall",
        unit: "us",
        cases: &["kakunin-verify"],
        figure: Figure::PerSecond,
    },
    Test {
        name: "offline_cpu",
        title: "from a file, a row, CPU",
        unit: "us",
        cases: &["kakunin-verify"],
        figure: Figure::PerSecond,
    },
    Test { name: "offline_memory", title: "memory of kakunin-verify", unit: "MB", cases: SIZES, figure: Figure::Plain },
    Test { name: "honest", title: "false alarms", unit: "faults", cases: HONEST, figure: Figure::Plain },
];

pub const GOALS: &[Goal] = &[
    Goal { test: "append_1_1", case: LEDGER, bound: Bound::AtLeast(0.9) },
    Goal { test: "append_1_16", case: LEDGER, bound: Bound::AtLeast(0.85) },
    Goal { test: "append_100_1", case: LEDGER, bound: Bound::AtLeast(0.9) },
    Goal { test: "append_100_4", case: LEDGER, bound: Bound::AtLeast(0.9) },
    Goal { test: "append_100_16", case: LEDGER, bound: Bound::AtLeast(0.7) },
    Goal { test: "chain_16", case: LEDGER, bound: Bound::AtLeast(10.0) },
    Goal { test: "append_copy", case: LEDGER, bound: Bound::AtLeast(0.7) },
    Goal { test: "standby_wait", case: EARLY, bound: Bound::AtLeast(8.0) },
    Goal { test: "standby_lock", case: EARLY, bound: Bound::AtMost(0.0) },
    Goal { test: "verify", case: "100 rows an entry", bound: Bound::AtLeast(1_000_000.0) },
    // Its sorts may take maintenance_work_mem; the rest must not grow with the rows.
    Goal { test: "verify_memory_64", case: "all rows", bound: Bound::AtMost(64.0) },
    Goal { test: "verify_memory_4", case: "all rows", bound: Bound::AtMost(8.0) },
    Goal { test: "offline", case: "kakunin-verify", bound: Bound::AtLeast(1_000_000.0) },
    Goal { test: "offline_memory", case: "all rows", bound: Bound::AtMost(64.0) },
    Goal { test: "honest", case: MEANWHILE, bound: Bound::AtMost(0.0) },
    Goal { test: "honest", case: "verify_ledger()", bound: Bound::AtMost(0.0) },
    Goal { test: "honest", case: "kakunin-verify", bound: Bound::AtMost(0.0) },
];

const PLAIN: &str = "plain table";
const LEDGER: &str = "ledger";
const CHAIN: &str = "plpgsql chain";
const TABLES: &[&str] = &[PLAIN, LEDGER, "ledger, lock held", CHAIN];
const CHAINS: &[&str] = &[CHAIN, LEDGER, PLAIN];
const SHARE: Figure = Figure::SpeedOf(PLAIN);
const EARLY: &str = "released early";
const RELEASES: &[&str] = &[EARLY, "held over the flush"];
const ENTRIES: &[&str] = &["1000 rows an entry", "100 rows an entry", "1 row an entry"];
const LIMIT: &str = "scan and SHA-256";
const SIZES: &[&str] = &["a fifth of the rows", "all rows"];
const MEANWHILE: &str = "verify_ledger() meanwhile";
const HONEST: &[&str] = &[MEANWHILE, "verify_ledger()", "kakunin-verify"];
