//! Many honest rows at once: nothing is found where nothing is wrong, and memory does not grow with the number of rows.

use kakunin_tests::ledger::{attach, attach_redactable, faults};
use kakunin_tests::scene::{ask, run};
use kakunin_tests::{Checks, Cluster};
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Two ledgers of many types, one of them partitioned. `draw` makes rows of random values, NULLs among them, the same
/// for the same seed.
const SCHEMA: &str = "
    create type mood as enum ('sad', 'ok', 'happy'); create type pair as (a numeric, b text);
    create table l (id bigint generated always as identity primary key, whole bigint, ratio float8, exact numeric,
                    body text, made timestamptz, day date, lasts interval, facts jsonb, tags text[], feels mood,
                    two pair, between_them int4range, bits bit varying, at inet, raw bytea);
    create table p (id bigint generated always as identity, whole bigint, ratio float8, exact numeric,
                    body text, made timestamptz, day date, lasts interval, facts jsonb, tags text[], feels mood,
                    two pair, between_them int4range, bits bit varying, at inet, raw bytea, primary key (id))
        partition by hash (id);
    create table p_0 partition of p for values with (modulus 3, remainder 0);
    create table p_1 partition of p for values with (modulus 3, remainder 1);
    create table p_2 partition of p for values with (modulus 3, remainder 2);
    create function draw(count int) returns table (whole bigint, ratio float8, exact numeric, body text,
        made timestamptz, day date, lasts interval, facts jsonb, tags text[], feels mood, two pair, between_them int4range,
        bits bit varying, at inet, raw bytea) language sql volatile as $$
            select (r * 1e18)::bigint - 500000000000000000,
                   case n % 7 when 0 then 'NaN' when 1 then null when 2 then -0.0 else (r - 0.5) * 10.0 ^ (n % 40) end,
                   case n % 9 when 0 then 'NaN' when 1 then null when 2 then 'Infinity'
                              else trunc((r::numeric - 0.5) * 10.0 ^ (n % 30), n % 12) end,
                   case n % 5 when 0 then null when 1 then '' else left(repeat(md5(r::text) || ' é ', 1 + n % 90), n % 3000) end,
                   case n % 50 when 0 then 'infinity' else '2000-01-01 UTC'::timestamptz + r * interval '40 years' end,
                   '1970-01-01'::date + (r * 40000)::int, make_interval(0, n % 14, 0, (r * 100)::int, 0, 0, r * 10000),
                   case n % 4 when 0 then null else jsonb_build_object('n', n, 'r', r, 'list', array[r::text, null], md5(r::text), null) end,
                   case n % 6 when 0 then '{}' when 1 then null else array[r::text, null, 'x'] end,
                   (array['sad', 'ok', 'happy', null]::mood[])[n % 4 + 1], row(trunc(r::numeric, 5), n)::pair,
                   case n % 8 when 0 then 'empty' when 1 then null else int4range(n, n + 1 + (r * 100)::int) end,
                   ((r * 1e9)::bigint)::bit(40)::bit varying, '10.0.0.0'::inet + (r * 1e6)::bigint,
                   case n % 3 when 0 then null else decode(md5(r::text), 'hex') end
              from (select (random() * 1000)::int as n, random() as r from generate_series(1, count)) drawn $$;";

const COLUMNS: &str =
    "whole, ratio, exact, body, made, day, lasts, facts, tags, feels, two, between_them, bits, at, raw";

/// Numbers that are the same in each run.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// Adds rows from several sessions until there are so many, while others verify and clean up; nobody may find a fault.
fn add_and_verify(rows: u64, seed: u64) {
    let cluster = Cluster::builder()
        .set("autovacuum_naptime", "1s")
        .set("autovacuum_vacuum_insert_threshold", "100")
        .set("autovacuum_vacuum_insert_scale_factor", "0")
        .start();
    let mut superuser = cluster.superuser();
    run(&mut superuser, SCHEMA);
    attach(&mut superuser, "l");
    attach_redactable(&mut superuser, "p", &["body", "facts", "exact"]);
    let (l, p, looks, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let mut checks = Checks::new();
    std::thread::scope(|scope| {
        let (cluster, l, p, looks, done) = (&cluster, &l, &p, &looks, &done);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn(move || {
                    let mut client = cluster.superuser();
                    let mut state = seed + writer;
                    run(&mut client, &format!("select setseed(0.{:03})", (seed + writer) % 1000));
                    while l.load(Ordering::Relaxed) + p.load(Ordering::Relaxed) < rows {
                        let count = [1, 1, 1, 2, 10, 100, 500][next(&mut state) as usize % 7];
                        // Most go to one of them, so that the other stays small enough for the stranger.
                        let (table, total) = if next(&mut state).is_multiple_of(5) { ("p", p) } else { ("l", l) };
                        let insert =
                            |count: u64| format!("insert into {table} ({COLUMNS}) select * from draw({count})");
                        let (work, kept) = match next(&mut state) % 6 {
                            0 => (format!("begin; {}; rollback", insert(count)), 0),
                            1 => (
                                format!("begin; {}; savepoint s; {}; rollback to s; commit", insert(count), insert(7)),
                                count,
                            ),
                            2 => (
                                format!("begin; savepoint s; {}; release s; {}; commit", insert(count), insert(3)),
                                count + 3,
                            ),
                            _ => (insert(count), count),
                        };
                        run(&mut client, &work);
                        total.fetch_add(kept, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let verifying = scope.spawn(move || {
            let mut client = cluster.superuser();
            let mut found = String::new();
            while !done.load(Ordering::Acquire) {
                found += &faults(&mut client, "l");
                found += &faults(&mut client, "p");
                run(&mut client, "vacuum p");
                looks.fetch_add(1, Ordering::Relaxed);
            }
            found
        });
        let ends: Vec<_> = writers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Release);
        checks.equal("found meanwhile", verifying.join().expect("it ends"), String::new());
        assert!(ends.iter().all(Result::is_ok), "a writer failed");
    });
    checks.holds("it was verified meanwhile", looks.into_inner() > 0, "never");
    checks.equal("faults of l", faults(&mut superuser, "l"), String::new());
    let count = ask(&mut superuser, "select (select count(*) from l), (select count(*) from p)");
    checks.equal("rows", count, format!("{}|{}", l.into_inner(), p.into_inner()));
    let strange = cluster.ledger("p");
    checks.holds("by the stranger's account", strange.ends_with(" rows"), strange);
}

#[test]
fn a_hundred_thousand_random_rows_from_many_sessions_show_no_fault() {
    add_and_verify(100_000, SEED);
}

#[test]
fn memory_does_not_grow_with_the_number_of_rows() {
    let cluster = Cluster::start();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    run(
        &mut client,
        "create table l (id bigint primary key, body text);
         create table m (id int primary key, facts jsonb, at inet, list numeric[], long text);",
    );
    attach(&mut client, "l");
    attach(&mut client, "m");
    let file = cluster.socket_directory().join("rows");
    run(
        &mut cluster.superuser(),
        &format!("copy (select n, 'row' from generate_series(1, 1000000) n) to '{}'", file.display()),
    );
    let copy = format!("copy l (id, body) from '{}'", file.display());
    let various = "insert into m select n, jsonb_build_object('n', n, 'list', array[n, n]), '10.0.0.1', array[n, 1.5],
                          repeat('long ', 2000) from generate_series(1, 50000) n";
    // Plans and caches are made by a first row.
    run(
        &mut client,
        "insert into l values (0, 'first'); insert into m values (0, '{}', '::1', '{1}', repeat('long ', 2000))",
    );
    let process = ask(&mut client, "select pg_backend_pid()");
    let contexts = "select sum(total_bytes) from pg_backend_memory_contexts";
    let kept = |client: &mut postgres::Client| -> i64 { ask(client, contexts).parse().expect("a number") };
    let peak = || -> i64 {
        let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the session is there");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says it");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    };
    kept(&mut client);
    for (name, statement, most) in [
        // PostgreSQL itself keeps 10 bytes for each row whose trigger waits for the end of the statement.
        ("a million rows", &*copy, 48_000),
        ("rows of many types", various, 32_000),
    ] {
        let (kept_before, peak_before) = (kept(&mut client), peak());
        run(&mut client, statement);
        let (kept_more, peak_more) = (kept(&mut client) - kept_before, peak() - peak_before);
        checks.holds(&format!("{name}: bytes kept"), kept_more < 1_000_000, kept_more);
        checks.holds(&format!("{name}: kB in use at once"), peak_more < most, peak_more);
    }
    // Neither does that of a verification, nor of attaching a table that is full.
    run(&mut client, "set maintenance_work_mem = '16MB'");
    let (kept_before, peak_before) = (kept(&mut client), peak());
    for table in ["l", "m"] {
        checks.equal(table, faults(&mut client, table), String::new());
    }
    run(&mut client, "create table n as select id, facts, at, list, long from m; alter table n add primary key (id)");
    attach(&mut client, "n");
    let (kept_more, peak_more) = (kept(&mut client) - kept_before, peak() - peak_before);
    checks.holds("verifying and attaching: bytes kept", kept_more < 1_000_000, kept_more);
    checks.holds("verifying and attaching: kB in use at once", peak_more < 48_000, peak_more);
    checks.equal(
        "the rows",
        ask(&mut client, "select (select count(*) from l), (select count(*) from m)"),
        "1000001|50001",
    );
    checks.equal("n", faults(&mut client, "n"), String::new());
}

const SEED: u64 = 20_260_302;
const WRITERS: u64 = 8;
