//! Exports: whatever a ledger has been through, two programs that have no database find them sound.

use kakunin_tests::offline::{export, sound};
use kakunin_tests::scene::{ask, run, state};
use kakunin_tests::{Checks, Cluster, DATABASE, Python, refusal_of};

const SCHEMA: &str = "
    create schema app;
    create table app.empty (id int primary key);
    create table app.note (id int primary key, body text, secret text);
    create table app.event (id int, day date, body text, primary key (id, day)) partition by range (day);
    create table app.event_1 partition of app.event for values from ('2021-01-01') to ('2022-01-01');
    create table app.event_2 partition of app.event for values from ('2022-01-01') to ('2023-01-01');
";

#[test]
fn exports_are_sound_whatever_a_ledger_has_been_through() {
    let python = Python::with_packages();
    let cluster = Cluster::start();
    let mut client = cluster.superuser();
    let mut checks = Checks::new();
    run(&mut client, SCHEMA);
    run(&mut client, "select from kakunin.attach_ledger('app.empty')");
    let none = refusal_of(export(&mut client, None));
    checks.equal("before any checkpoint", (none.sqlstate.as_str(), none.slug()), ("55000", "no_checkpoint"));
    run(&mut client, "select kakunin.checkpoint()");
    let mut is = |client: &mut postgres::Client, name: &str, relation: Option<&str>, expected: &str| {
        let export = export(client, relation).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        checks.equal(name, sound(&python, &export), expected);
        export
    };
    is(&mut client, "an empty ledger", None, "1 entries, 0 rows, 1 covered");
    is(&mut client, "an empty ledger alone", Some("app.empty"), "1 entries, 0 rows, 1 covered");
    run(&mut client, "insert into app.note values (1, 'one', 's1'), (2, 'two', 's2')");
    run(&mut client, "select from kakunin.attach_ledger('app.note', '{secret}')");
    run(&mut client, "select from kakunin.attach_ledger('app.event')");
    is(&mut client, "ledgers newer than the checkpoint", None, "3 entries, 2 rows, 1 covered");
    is(&mut client, "an open entry that nothing covers", Some("app.note"), "1 entries, 2 rows, 0 covered");
    run(&mut client, "select kakunin.checkpoint()");
    is(&mut client, "an open entry with rows", Some("app.note"), "1 entries, 2 rows, 1 covered");
    for statement in [
        "insert into app.note select g, 'note ' || g, 's' || g from generate_series(3, 2003) g",
        "insert into app.event select g, date '2021-01-01' + g, 'e' from generate_series(1, 50) g",
        "insert into app.event select g, date '2022-01-01' + g, 'f' from generate_series(1, 50) g",
        "begin; insert into app.note values (3000, 'x', 'y'); insert into app.event values (99, '2022-05-05', 'g'); commit",
        "select kakunin.checkpoint()",
        "insert into app.note values (3001, null, null)",
    ] {
        run(&mut client, statement);
    }
    is(&mut client, "a tail", None, "9 entries, 2106 rows, 8 covered");
    is(&mut client, "a part with a tail", Some("app.note"), "4 entries, 2005 rows, 3 covered");
    let before = is(&mut client, "a part", Some("app.event"), "4 entries, 101 rows, 4 covered");

    let lines = |export: &str| {
        export.lines().filter(|line| line.starts_with("{\"rows\"")).map(String::from).collect::<Vec<_>>()
    };
    let secrets = is(&mut client, "before values are erased", Some("app.note"), "4 entries, 2005 rows, 3 covered");
    run(
        &mut client,
        "select kakunin.redact('app.note', ledger_tx, ledger_row, '{secret}', 'asked for') from app.note where id in (1, 500)",
    );
    let erased = is(&mut client, "after values were erased", Some("app.note"), "6 entries, 2005 rows, 3 covered");
    assert_eq!(lines(&secrets), lines(&erased), "an export reads the same before and after");
    assert!(!secrets.contains("s500"));

    run(&mut client, "select kakunin.prune_ledger('app.event_1', 'ten years')");
    let after = is(&mut client, "pruned", Some("app.event"), "5 entries, 51 rows, 4 covered");
    assert_eq!(lines(&before)[1..], lines(&after)[..], "what was not pruned is there");
    is(&mut client, "all of it", None, "12 entries, 2056 rows, 8 covered");
    run(&mut client, "select kakunin.checkpoint()");
    is(&mut client, "all of it, covered", None, "12 entries, 2056 rows, 12 covered");

    // Its own rows, which have no entry yet, are not there, nor a ledger without any.
    run(
        &mut client,
        "begin; create table app.late (id int primary key); select from kakunin.attach_ledger('app.late')",
    );
    run(&mut client, "insert into app.late values (1); insert into app.note values (4000, 'mine', 's')");
    is(&mut client, "within a transaction", None, "12 entries, 2056 rows, 12 covered");
    run(&mut client, "rollback");
    checks.equal("sound", ask(&mut client, "select * from kakunin.verify_ledger()"), "");
}

#[test]
fn a_large_export_needs_little_memory_and_can_be_copied_to_a_file() {
    let python = Python::with_packages();
    let cluster = Cluster::builder().set("work_mem", "64kB").set("maintenance_work_mem", "1MB").start();
    let mut client = cluster.superuser();
    let mut checks = Checks::new();
    run(
        &mut client,
        "create table big (id int primary key, body text); create table wide (id int primary key, body text);
         select from kakunin.attach_ledger('big'); select from kakunin.attach_ledger('wide')",
    );
    run(&mut client, "insert into big select g, 'row ' || g from generate_series(1, 90000) g");
    run(&mut client, "insert into big select -g, 'row ' || g from generate_series(1, 10000) g");
    // Values that lie outside of their rows, compressed and not.
    run(
        &mut client,
        "insert into wide select g, string_agg(md5(g::text || h), '') from generate_series(1, 3) g,
             generate_series(1, 60000) h group by g;
         insert into wide values (4, repeat('x', 3000000))",
    );
    run(&mut client, "select kakunin.checkpoint()");
    let whole = export(&mut client, None).expect("a superuser may");
    checks.equal("whole", sound(&python, &whole), "5 entries, 100004 rows, 5 covered");
    let file = cluster.socket_directory().join("export");
    let copy = format!("copy (select kakunin.export_ledger()) to '{}'", file.display());
    run(&mut client, &copy);
    // COPY doubles the backslashes of the notes.
    let copied = std::fs::read_to_string(&file).expect("the server has written it").replace("\\\\", "\\");
    checks.equal("copied", sound(&python, &copied), "5 entries, 100004 rows, 5 covered");
    checks.holds("the same", copied == whole, "they differ");

    let limited = cluster.psql(
        "postgres",
        "select length(kakunin.export_ledger()) > 0 limit 1;
        select count(*) from (select kakunin.export_ledger('big') limit 2) x;
        begin; declare c cursor for select kakunin.export_ledger(); fetch c; close c; commit;",
    );
    checks.equal("limited", limited.stderr.as_str(), "");
    checks.holds("no warning in the log", !cluster.log().contains("WARNING"), cluster.log());
}

#[test]
fn auditors_may_export_and_nobody_else() {
    let cluster = Cluster::start();
    let mut superuser = cluster.superuser();
    let mut checks = Checks::new();
    run(
        &mut superuser,
        "create role owner login; grant create on schema public to owner;
         create role auditor login in role kakunin_auditor; create role admin login in role kakunin_admin;
         create role agent login in role kakunin_agent; create role anybody login",
    );
    run(&mut superuser, "set role owner; create table t (id int primary key); grant all on t to agent, anybody");
    run(&mut superuser, "reset role; select from kakunin.attach_ledger('t')");
    run(&mut superuser, "select kakunin.checkpoint()");
    for (role, expected) in
        [("auditor", "00000"), ("admin", "00000"), ("owner", "42501"), ("agent", "42501"), ("anybody", "42501")]
    {
        let mut client = cluster.connect(role, DATABASE);
        for statement in
            ["select kakunin.export_ledger()", "select kakunin.export_ledger('t')", "select kakunin.verify_ledger()"]
        {
            checks.equal(&format!("{role}: {statement}"), state(&mut client, statement), expected);
        }
        checks.equal(
            &format!("{role} makes no entry"),
            state(&mut client, "delete from kakunin.ledger_entry"),
            "42501",
        );
    }
}
