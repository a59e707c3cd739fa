//! Crashes: the whole server is killed again and again while a dozen sessions add to ledgers. Every row that was
//! acknowledged is there, and no chain is torn.

use kakunin_tests::ledger::{attach, faults};
use kakunin_tests::scene::{ask, run};
use kakunin_tests::{Cluster, DATABASE, Shutdown};
use postgres::Client;
use std::collections::BTreeSet;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const SCHEMA: &str = "
    create table l (id bigint primary key, body text);
    create table m (id bigint primary key, body text) partition by hash (id);
    create table m_0 partition of m for values with (modulus 2, remainder 0);
    create table m_1 partition of m for values with (modulus 2, remainder 1);
    create function late() returns trigger language plpgsql as
        $$ begin insert into m values (-new.id, 'late'); return null; end $$;
    create constraint trigger late after insert on l deferrable initially deferred
        for each row when (new.id % 5 = 0) execute function late();";

/// Adds rows until the server is gone. Returns what was acknowledged.
fn write(mut client: Client, writer: u64, round: u64) -> BTreeSet<i64> {
    let early = if writer.is_multiple_of(2) { "on" } else { "off" };
    let settings = format!("set kakunin.early_lock_release = {early}; set statement_timeout = '30s'");
    if client.batch_execute(&settings).is_err() {
        return BTreeSet::new();
    }
    let mut acknowledged = BTreeSet::new();
    for at in 0.. {
        let id = i64::try_from((round * 100 + writer) * 1_000_000 + at).expect("small numbers");
        let work = match at % 4 {
            0 => format!("insert into l values ({id}, 'one')"),
            1 => format!("begin; insert into m values ({id}, 'x'); insert into l values ({id}, 'two'); commit"),
            2 => format!(
                "begin; insert into l values ({id}, 'kept'); savepoint s; insert into l values ({}, 'not kept'); rollback to s; commit",
                id + 500_000
            ),
            _ => format!("insert into l select {id}, repeat('three', 1000)"),
        };
        match client.batch_execute(&work) {
            Ok(()) => acknowledged.insert(id),
            Err(error) => {
                // Nothing but the end of the server ends a writer; a timeout would mean that it hung.
                let code = error.code().map(|code| code.code().to_owned());
                let ended = code.as_deref().is_none_or(|code| code.starts_with("57P"));
                assert!(ended, "writer {writer}: {error:?}");
                return acknowledged;
            }
        };
    }
    acknowledged
}

fn start_writers(cluster: &Cluster, round: u64) -> Vec<JoinHandle<BTreeSet<i64>>> {
    (0..WRITERS)
        .map(|writer| {
            let client = cluster.superuser();
            std::thread::spawn(move || write(client, writer, round))
        })
        .collect()
}

fn check(cluster: &Cluster, acknowledged: &BTreeSet<i64>, what: &str) {
    let mut client = cluster.connect("postgres", DATABASE);
    let there = client.query("select id from l", &[]).expect("it can be read");
    let there: BTreeSet<i64> = there.iter().map(|row| row.get(0)).collect();
    let lost: Vec<&i64> = acknowledged.difference(&there).take(10).collect();
    assert!(lost.is_empty(), "{what}: acknowledged and lost: {lost:?}");
    let halves = "select count(*) from l where id % 5 = 0 and not exists (select from m where m.id = -l.id)";
    assert_eq!(ask(&mut client, halves), "0", "{what}: half of a transaction is there");
    for table in ["l", "m"] {
        assert_eq!(faults(&mut client, table), "", "{what}: {table}");
    }
}

#[test]
fn a_server_that_is_killed_again_and_again_has_every_acknowledged_row_and_whole_chains() {
    let mut cluster = Cluster::builder().set("checkpoint_timeout", "30s").set("wal_writer_delay", "200ms").start();
    let mut superuser = cluster.superuser();
    run(&mut superuser, SCHEMA);
    attach(&mut superuser, "l");
    attach(&mut superuser, "m");
    drop(superuser);
    let started = Instant::now();
    let mut acknowledged = BTreeSet::new();
    let mut rounds = 0;
    // Bounded in time, too, for a machine that is slow: the number below is what must be reached in any case.
    while rounds < ROUNDS && (rounds < ROUNDS_MIN || started.elapsed() < TIME_MAX) {
        let writers = start_writers(&cluster, rounds);
        // Different moments: of the work, of a checkpoint, of the first commits after a recovery.
        std::thread::sleep(Duration::from_millis(20 + rounds * 37 % 230));
        if rounds % 4 == 1 {
            let _ = cluster.superuser().batch_execute("checkpoint");
        }
        match rounds % 7 {
            3 => cluster.restart(Shutdown::Immediate),
            5 => {
                let mut victim = cluster.superuser();
                let process = victim.query_one("select pg_backend_pid()", &[]).expect("it answers").get(0);
                cluster.kill_backend(process);
            }
            _ => cluster.crash(),
        }
        for writer in writers {
            acknowledged.extend(writer.join().expect("a writer ends with the server"));
        }
        check(&cluster, &acknowledged, &format!("round {rounds}"));
        rounds += 1;
    }
    assert!(rounds >= ROUNDS_MIN, "it was killed {rounds} times");
    assert!(acknowledged.len() > 1000, "only {} commits were acknowledged", acknowledged.len());
    // It goes on after all that, and the stranger finds nothing either.
    run(&mut cluster.superuser(), "insert into l values (-1, 'after it all')");
    for table in ["l", "m"] {
        let found = cluster.ledger(table);
        assert!(found.ends_with(" rows"), "{table}: {found}");
    }
}

const WRITERS: u64 = 12;
const ROUNDS: u64 = 24;
const ROUNDS_MIN: u64 = 20;
const TIME_MAX: Duration = Duration::from_secs(30);
