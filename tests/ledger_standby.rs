//! Ledgers and standbys: a commit waits for one as its setting says, and what a standby has is sound at each moment.

use kakunin_tests::ledger::{Book, attach, faults};
use kakunin_tests::scene::{ask, run, state};
use kakunin_tests::{Checks, Cluster, sqlstate_of, wait_until};
use postgres::Client;

const SCHEMA: &str = "create table l (id bigint generated always as identity primary key, body text);
                      create table m (id bigint generated always as identity primary key, body text);
                      create table plain (id int primary key); create table l_1 (id int primary key);";

/// A primary that waits for its standby.
fn pair() -> (Cluster, Cluster) {
    let mut primary = Cluster::builder().set("wal_sender_timeout", "0").set("wal_receiver_timeout", "0").start();
    let standby = primary.start_standby();
    primary.set("synchronous_standby_names", "*");
    primary.reload();
    let mut client = primary.superuser();
    wait_until("the standby counts", || {
        (ask(&mut client, "select string_agg(sync_state, '') from pg_stat_replication") == "sync").then_some(())
    });
    (primary, standby)
}

fn waits_for(client: &mut Client, process: &str, event: &str) {
    let query = format!("select coalesce(wait_event, '') from pg_stat_activity where pid = {process}");
    wait_until(event, || (ask(client, &query) == event).then_some(()));
}

#[test]
fn a_commit_is_answered_when_its_setting_says_so() {
    let (primary, standby) = pair();
    let mut book = Book::on(primary, SCHEMA, "l");
    // What an answer promises, asked right after it.
    for early in ["on", "off"] {
        for (level, promise) in [
            ("off", "true"),
            ("local", "pg_current_wal_flush_lsn() > $1"),
            ("remote_write", "(select write_lsn > $1 from pg_stat_replication)"),
            ("on", "(select flush_lsn > $1 from pg_stat_replication)"),
            ("remote_apply", "(select replay_lsn > $1 from pg_stat_replication)"),
        ] {
            run(
                &mut book.client,
                &format!("set kakunin.early_lock_release = {early}; set synchronous_commit = {level}"),
            );
            for _ in 0..5 {
                run(&mut book.client, "begin; insert into l (body) values ('a')");
                let before = ask(&mut book.client, "select pg_current_wal_insert_lsn()");
                run(&mut book.client, "commit");
                let kept =
                    ask(&mut book.client, &format!("select {}", promise.replace("$1", &format!("'{before}'::pg_lsn"))));
                book.checks.equal(&format!("{level}, early {early}"), kept, "t");
                if level == "remote_apply" {
                    let last = "select max(id) from l";
                    let (here, there) = (ask(&mut book.client, last), ask(&mut standby.superuser(), last));
                    book.checks.equal("remote_apply: seen there", there, here);
                }
            }
            book.checks.equal("the setting is as it was", ask(&mut book.client, "show synchronous_commit"), level);
            book.added(level, 5, 5);
        }
    }

    // While the standby does not answer: who waits, and for what.
    standby.receive(false);
    for (early, level, waits, second_waits) in [
        ("on", "off", "", ""),
        ("on", "local", "", ""),
        ("on", "remote_write", "SyncRep", "SyncRep"),
        ("on", "on", "SyncRep", "SyncRep"),
        ("on", "remote_apply", "SyncRep", "userlock"),
        ("off", "local", "", ""),
        ("off", "on", "SyncRep", "userlock"),
    ] {
        let mut sessions = Vec::new();
        let mut looking = book.cluster.superuser();
        for event in [waits, second_waits] {
            let mut client = book.cluster.superuser();
            run(&mut client, &format!("set kakunin.early_lock_release = {early}; set synchronous_commit = {level}"));
            let process = ask(&mut client, "select pg_backend_pid()");
            let thread = std::thread::spawn(move || run(&mut client, "insert into l (body) values ('b')"));
            if event.is_empty() {
                thread.join().expect("it does not wait");
            } else {
                waits_for(&mut looking, &process, event);
                sessions.push(thread);
            }
        }
        if waits.is_empty() {
            book.added(&format!("{level}, early {early}: does not wait"), 2, 2);
            continue;
        }
        // Those that wait are seen already where the lock is free, as the page on replication says.
        standby.receive(true);
        sessions.into_iter().for_each(|thread| thread.join().expect("it goes on"));
        book.added(&format!("{level}, early {early}: waited"), 2, 2);
        standby.receive(false);
    }
    standby.receive(true);
}

#[test]
fn a_standby_has_a_sound_ledger_at_each_moment_and_goes_on_with_it_as_a_primary() {
    let primary = Cluster::builder().set("wal_sender_timeout", "0").start();
    let standby = primary.start_standby();
    let mut checks = Checks::new();
    let mut superuser = primary.superuser();
    run(&mut superuser, SCHEMA);
    attach(&mut superuser, "l");
    attach(&mut superuser, "m");
    standby.wait_for_replay(&primary);
    let mut there = standby.superuser();
    let mut looks = 0;
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let mut client = primary.superuser();
                scope.spawn(move || {
                    for _ in 0..150 {
                        run(&mut client, "begin; insert into l (body) values ('a'), ('b'); insert into m (body) values ('c'); commit");
                    }
                })
            })
            .collect();
        while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            for table in ["l", "m"] {
                checks.equal(&format!("{table} while it grows"), faults(&mut there, table), String::new());
            }
            looks += 1;
        }
    });
    checks.holds("it was looked at", looks > 0, looks);
    standby.wait_for_replay(&primary);
    let everything = ["601 entries, 1200 rows", "601 entries, 600 rows"];
    checks.equal("there", standby.ledgers(&["l", "m"]), everything);
    checks.equal("here", primary.ledgers(&["l", "m"]), everything);
    let insert = "insert into l (body) values ('there')";
    checks.equal("adding there", there.batch_execute(insert).map_err(|error| sqlstate_of(&error)), Err("25006".into()));
    for function in WRITERS {
        checks.equal(&format!("{function} there"), state(&mut there, &format!("select {function}")), "25006");
        let read_only = format!("begin read only; select {function}");
        checks.equal(&format!("{function}, read only"), state(&mut superuser, &read_only), "25006");
        run(&mut superuser, "rollback");
    }
    drop(superuser);

    drop(primary);
    standby.promote();
    run(&mut there, &format!("{insert}; insert into m (body) values ('there')"));
    checks.equal("as a primary", standby.ledgers(&["l", "m"]), ["602 entries, 1201 rows", "602 entries, 601 rows"]);
}

/// What writes to a ledger, and can do so neither on a standby nor in a transaction that is read only.
const WRITERS: &[&str] = &[
    "kakunin.attach_ledger('plain')",
    "kakunin.close_ledger('l', 'over')",
    "kakunin.begin_epoch('moved')",
    "kakunin.redact('l', 1, 0, array['body'], 'asked for')",
    "kakunin.prune_ledger('l_1', 'old')",
    "kakunin.name_log('test.example/log')",
    "kakunin.ledger_tx()",
];
