//! Partitions whose time is over: dropped once a checkpoint covers them, and the chain says so.

use kakunin_tests::offline::{export, sound};
use kakunin_tests::scene::{ask, refused, run, state};
use kakunin_tests::{Checks, Cluster, DATABASE, Python, refusal_of};
use postgres::Client;

const SCHEMA: &str = "
    create role owner login; create role admin login in role kakunin_admin; create role auditor login in role kakunin_auditor;
    grant create on schema public to owner;
    set role owner;
    create table event (id int, day date, body text, primary key (id, day, body)) partition by range (day);
    create table event_1 partition of event for values from ('2021-01-01') to ('2022-01-01');
    create table event_2 partition of event for values from ('2022-01-01') to ('2023-01-01') partition by list (body);
    create table event_2_a partition of event_2 for values in ('a');
    create table event_2_b partition of event_2 for values in ('b');
    create table event_3 partition of event for values from ('2023-01-01') to ('2024-01-01');
    create table event_rest partition of event default;
    insert into event values (1, '2021-01-01', 'in the first entry'), (2, '2023-01-01', 'in the first entry');
    create table plain (id int, day date) partition by range (day);
    create table plain_1 partition of plain for values from ('2021-01-01') to ('2022-01-01');
    create table note (id int primary key);
    reset role;
    select from kakunin.attach_ledger('event');
    select from kakunin.attach_ledger('note');
";

/// Each in a transaction of its own: entries 2 and 4 are in the first partition, 3 in the third, 5 and 6 below the second,
/// 7 in the second and third, 8 in the default one.
const ROWS: &[&str] = &[
    "insert into event values (10, '2021-02-02', 'x'), (11, '2021-03-03', 'y')",
    "insert into event values (12, '2023-02-02', 'x')",
    "insert into event values (13, '2021-04-04', 'x')",
    "insert into event values (14, '2022-04-04', 'a')",
    "insert into event values (15, '2022-05-05', 'b'), (16, '2022-06-06', 'a')",
    "insert into event values (17, '2022-04-04', 'b'), (18, '2023-05-05', 'c')",
    "insert into event values (19, '2030-01-01', 'far away')",
];

fn prune(client: &mut Client, partition: &str) -> String {
    match client.query_one("select kakunin.prune_ledger($1::text::regclass, 'ten years')", &[&partition]) {
        Ok(row) => format!("{} rows", row.get::<_, i64>(0)),
        refusal => refusal_of(refusal).slug().to_owned(),
    }
}

fn stretches(client: &mut Client) -> String {
    let query = "select string_agg((detail::jsonb ->> 'first') || '-' || (detail::jsonb ->> 'last'), ' ' order by seq)
                   from kakunin.ledger_entry where kind = 4";
    ask(client, query)
}

fn faults(client: &mut Client) -> String {
    ask(client, "select relation, seq, fault, detail from kakunin.verify_ledger(indexes => true)")
}

#[test]
fn a_partition_goes_once_it_is_covered_and_whole() {
    let python = Python::with_packages();
    let cluster = Cluster::start();
    let mut client = cluster.superuser();
    let mut checks = Checks::new();
    run(&mut client, "create extension amcheck");
    run(&mut client, SCHEMA);
    ROWS.iter().for_each(|row| run(&mut client, row));
    let partitions = ["event_1", "event_2", "event_2_a", "event_2_b", "event_3", "event_rest"];
    // The first entry's rows are in two partitions; entries 6 and 7 have rows in two.
    for (partition, refusal) in partitions.into_iter().zip([
        "ledger_prune_shared",
        "ledger_prune_shared",
        "ledger_prune_shared",
        "ledger_prune_shared",
        "ledger_prune_shared",
        "ledger_prune_uncovered",
    ]) {
        checks.equal(&format!("{partition}, at first"), prune(&mut client, partition), refusal);
    }
    run(&mut client, "select kakunin.checkpoint()");
    checks.equal("the default one", prune(&mut client, "event_rest"), "1 rows");
    checks.equal("what went", stretches(&mut client), "8-8");
    checks.equal("it is gone", ask(&mut client, "select to_regclass('event_rest') is null"), "t");
    checks.equal("sound", faults(&mut client), "");
    checks.equal("shared, and covered", prune(&mut client, "event_1"), "ledger_prune_shared");
    checks.equal("nothing else went", ask(&mut client, "select count(*) from event"), "11");
    let whole = export(&mut client, None).expect("a superuser may");
    checks.equal("an export", sound(&python, &whole), "10 entries, 11 rows, 9 covered");
}

#[test]
fn entries_that_are_interleaved_make_a_prune_entry_for_each_stretch() {
    let python = Python::with_packages();
    let cluster = Cluster::start();
    let mut client = cluster.superuser();
    let mut checks = Checks::new();
    run(&mut client, "create extension amcheck");
    run(&mut client, &SCHEMA.replace("insert into event values (1, '2021-01-01', 'in the first entry'), (2, '2023-01-01', 'in the first entry');", ""));
    for row in &ROWS[..5] {
        run(&mut client, row);
    }
    run(&mut client, "insert into event values (30, '2021-08-08', 'z')");
    checks.equal("nothing covers them", prune(&mut client, "event_1"), "ledger_prune_uncovered");
    run(&mut client, "select kakunin.checkpoint()");
    run(&mut client, "insert into event values (31, '2021-09-09', 'z')");
    checks.equal("the newest is not covered", prune(&mut client, "event_1"), "ledger_prune_uncovered");
    run(&mut client, "select kakunin.checkpoint()");
    run(&mut client, "begin; insert into event values (32, '2021-09-09', 'mine')");
    checks.equal("rows of this very transaction", prune(&mut client, "event_1"), "ledger_prune_shared");
    run(&mut client, "rollback");
    checks.equal("three stretches", prune(&mut client, "event_1"), "5 rows");
    checks.equal("which", stretches(&mut client), "2-2 4-4 7-8");
    checks.equal("sound", faults(&mut client), "");
    checks.equal("half of what is below another", prune(&mut client, "event_2_b"), "ledger_prune_shared");
    checks.equal("all of it, at once", prune(&mut client, "event_2"), "3 rows");
    checks.equal("which then", stretches(&mut client), "2-2 4-4 7-8 5-6");
    checks.equal("its partitions are gone", ask(&mut client, "select to_regclass('event_2_a') is null"), "t");
    checks.equal("still sound", faults(&mut client), "");
    for relation in [None, Some("event")] {
        let exported = export(&mut client, relation).expect("a superuser may");
        let said = sound(&python, &exported);
        checks.holds("an export", said.contains(" 1 rows, "), said);
    }
    run(&mut client, "create table event_1 partition of event for values from ('2021-01-01') to ('2022-01-01')");
    run(&mut client, "insert into event values (10, '2021-02-02', 'a later row of an id that was there')");
    checks.equal("an empty one takes its place", faults(&mut client), "");
    run(&mut client, "create table event_0 partition of event for values from ('2000-01-01') to ('2001-01-01')");
    checks.equal("a partition without rows", prune(&mut client, "event_0"), "0 rows");
    run(&mut client, "begin; select kakunin.checkpoint()");
    checks.equal("within a transaction", prune(&mut client, "event_3"), "1 rows");
    checks.equal("sound within it", faults(&mut client), "");
    run(&mut client, "rollback");
    checks.equal("rolled back", ask(&mut client, "select count(*) from event_3"), "1");
    checks.equal("sound after it", faults(&mut client), "");
}

#[test]
fn only_administrators_prune_and_only_partitions_of_ledgers() {
    let cluster = Cluster::start();
    let mut superuser = cluster.superuser();
    let mut checks = Checks::new();
    run(&mut superuser, SCHEMA);
    run(&mut superuser, "insert into event values (19, '2030-01-01', 'far away')");
    run(&mut superuser, "select kakunin.checkpoint()");
    let before =
        ask(&mut superuser, "select count(*) from pg_class where relkind in ('r', 'p') and relpersistence = 'p'");
    for role in ["owner", "auditor"] {
        let attempt = "select kakunin.prune_ledger('event_rest', 'r')";
        checks.equal(role, state(&mut cluster.connect(role, DATABASE), attempt), "42501");
    }
    let mut admin = cluster.connect("admin", DATABASE);
    for (what, partition) in [
        ("the ledger's own table", "event"),
        ("a ledger without partitions", "note"),
        ("a partition of a table that is none", "plain_1"),
        ("a table that is none", "plain"),
        ("one of ours", "kakunin.ledger_entry"),
        ("one of PostgreSQL's", "pg_catalog.pg_class"),
        ("an index", "event_rest_pkey"),
    ] {
        checks.equal(what, prune(&mut admin, partition), "ledger_not_partition");
    }
    for (what, statement, slug) in [
        ("no partition", "select kakunin.prune_ledger(null, 'r')", "argument_null"),
        ("no reason", "select kakunin.prune_ledger('event_rest', null)", "reason_missing"),
        ("a blank reason", "select kakunin.prune_ledger('event_rest', ' ')", "reason_missing"),
        ("read only", "begin read only; select kakunin.prune_ledger('event_rest', 'r')", ""),
    ] {
        let found = refused(&mut admin, statement);
        checks.holds(what, found.slug() == slug && found.sqlstate != "XX000", found.text());
        run(&mut admin, "rollback");
    }
    // Names that another schema shadows, and objects of a session's own, are what they are.
    run(&mut admin, "create temp table event_rest (id int)");
    checks.equal("a temporary table of the name", prune(&mut admin, "event_rest"), "ledger_not_partition");
    let there = "select count(*) from pg_class where relkind in ('r', 'p') and relpersistence = 'p'";
    checks.equal("nothing went", ask(&mut superuser, there), before.as_str());
    checks.equal("who owns nothing of it prunes", prune(&mut admin, "public.event_rest"), "1 rows");
    checks.equal("one table less", ask(&mut superuser, &format!("{there} and relname = 'event_rest'")), "0");
    checks.equal("sound", faults_without_indexes(&mut superuser), "");
}

fn faults_without_indexes(client: &mut Client) -> String {
    ask(client, "select relation, seq, fault, detail from kakunin.verify_ledger()")
}

#[test]
fn what_depends_on_a_partition_keeps_it_and_triggers_of_events_do_not_help() {
    let cluster = Cluster::start();
    let mut client = cluster.superuser();
    let mut checks = Checks::new();
    run(&mut client, SCHEMA);
    run(&mut client, "insert into event values (19, '2030-01-01', 'far away')");
    run(&mut client, "select kakunin.checkpoint()");
    run(&mut client, "create view seen as select * from event_rest");
    let state_of = "select (select count(*) from event), (select count(*) from kakunin.ledger_entry),
                           (select count(*) from pg_inherits where inhparent = 'event'::regclass)";
    let before = ask(&mut client, state_of);
    checks.equal("a view", state(&mut client, "select kakunin.prune_ledger('event_rest', 'r')"), "2BP01");
    checks.equal("nothing is changed", ask(&mut client, state_of), before.as_str());
    run(&mut client, "drop view seen");
    run(
        &mut client,
        "create function strike() returns event_trigger language plpgsql as $$ begin
             if to_regclass('public.event_3') is not null then execute 'drop table public.event_3'; end if; end $$;
         create event trigger strike on sql_drop execute function strike()",
    );
    let refusal = refused(&mut client, "select kakunin.prune_ledger('event_rest', 'r')");
    checks.equal("what an event trigger drops with it", refusal.sqlstate.as_str(), "23001");
    checks.equal("nothing is changed either", ask(&mut client, state_of), before.as_str());
    run(&mut client, "drop event trigger strike");
    checks.equal("then", prune(&mut client, "event_rest"), "1 rows");
}
