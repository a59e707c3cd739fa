//! Checkpoints: what is signed stays true, whatever fails.

use kakunin_tests::log::{insert, note, outcome, published, published_or_none, read, sound, start};
use kakunin_tests::scene::{ask, refused, run};
use kakunin_tests::{Checks, Cluster, wait_until};
use postgres::Client;
use postgres::fallible_iterator::FallibleIterator;
use std::time::Duration;

#[test]
fn a_log_grows_with_its_ledgers_and_repeats_its_note_when_nothing_is_new() {
    let cluster = start();
    let mut client = cluster.superuser();
    let mut checks = Checks::new();
    let first = ask(&mut client, "select kakunin.checkpoint()");
    checks.equal("both are open", read(&first).size, 2);
    checks.equal("origin", read(&first).origin, "example.org");
    checks.equal("nothing new", ask(&mut client, "select kakunin.checkpoint()"), first.clone());
    checks.equal("one row", ask(&mut client, "select count(*) from kakunin.checkpoint"), "1");
    run(&mut client, "listen kakunin_checkpoint");
    for size in 3..10 {
        insert(&mut client, if size % 2 == 0 { "a" } else { "b" });
        checks.equal("grown", note(&mut client).size, size);
        checks.equal("published", published(&cluster).size, size);
    }
    let told = client.notifications().timeout_iter(Duration::from_secs(5)).take(7).collect::<Vec<_>>();
    let told: Vec<u64> = told.expect("the connection is there").iter().map(|told| read(told.payload()).size).collect();
    checks.equal("told", told, (3..10).collect::<Vec<u64>>());
    let outbox = "select string_agg(split_part(payload, e'\\n', 2), ',' order by id) from kakunin.outbox";
    checks.equal("outbox", ask(&mut client, outbox), "2,3,4,5,6,7,8,9");
    checks.equal("sound", sound(&mut client), "t");
}

#[test]
fn what_is_not_committed_is_not_signed() {
    let cluster = start();
    let (mut client, mut other) = (cluster.superuser(), cluster.superuser());
    let mut checks = Checks::new();
    run(&mut other, "begin; insert into a (v) values ('open')");
    checks.equal("another's open transaction", outcome(&mut client), "2");
    run(&mut client, "begin; insert into a (v) values ('own')");
    checks.equal("its own", outcome(&mut client), "2");
    run(&mut client, "commit");
    run(&mut other, "rollback");
    checks.equal("after the commit", outcome(&mut client), "3");
    // A snapshot that is older than the entries.
    run(&mut client, "begin isolation level repeatable read; select 1");
    insert(&mut other, "b");
    checks.equal("another's checkpoint", outcome(&mut other), "4");
    insert(&mut other, "b");
    checks.equal("read as of now", outcome(&mut client), "5");
    run(&mut client, "commit");
    // Written by hand, as a restore does, and not committed yet.
    run(
        &mut client,
        "begin; insert into kakunin.ledger_entry
            select ledger, seq + 1, 1, 1000, first_row + rows, 1, root, at, null, role, '', hash, hash
            from kakunin.ledger_entry where ledger = 1 order by seq desc limit 1",
    );
    checks.equal("by hand", outcome(&mut client), "XX001 ledger_broken");
    run(&mut client, "rollback");
    checks.equal("sound", sound(&mut client), "t");
    for (begin, expected) in [("begin read only", "25006 transaction_read_only"), ("begin", "5")] {
        run(&mut client, begin);
        checks.equal(begin, outcome(&mut client), expected);
        run(&mut client, "rollback");
    }
}

#[test]
fn a_checkpoint_that_was_rolled_back_stays_signed_and_the_log_continues_it() {
    let mut cluster = start();
    let mut checks = Checks::new();
    let mut signed = Vec::new();
    let mut client = cluster.superuser();
    // Each time `b` is new first, and then `a`, which a later checkpoint would put before it.
    let ends = ["rollback", "rollback to s; rollback", "select 1/0", "commit", "crash", "terminate"];
    for (round, end) in ends.into_iter().enumerate() {
        insert(&mut client, "b");
        run(&mut client, "begin; savepoint s");
        signed.push(note(&mut client));
        run(&mut client, "savepoint t");
        let mut other = cluster.superuser();
        insert(&mut other, "b");
        insert(&mut other, "a");
        signed.push(note(&mut client));
        run(&mut client, "rollback to t");
        insert(&mut other, "a");
        signed.push(note(&mut client));
        checks.equal(&format!("{end}: published"), published(&cluster).size, signed.last().expect("one").size);
        match end {
            "crash" => cluster.crash(),
            "terminate" => {
                let process: i32 = client.query_one("select pg_backend_pid()", &[]).expect("a query").get(0);
                run(&mut other, &format!("select pg_terminate_backend({process})"));
            }
            "select 1/0" => checks.equal(end, refused(&mut client, end).sqlstate, "22012"),
            end => run(&mut client, end),
        }
        client = cluster.superuser();
        insert(&mut client, "a");
        if round % 2 == 0 {
            // The signer forgets nothing when it ends.
            cluster.end_signer("TERM");
        }
        signed.push(note(&mut client));
        checks.equal(&format!("{end}: sound"), sound(&mut client), "t");
    }
    // The log of now has the root of everything that was ever signed.
    let leaves = "select e.hash from kakunin.log_range r join kakunin.ledger_entry e
        on e.ledger = r.ledger and e.seq between r.first_seq and r.last_seq
        order by r.first_index + e.seq - r.first_seq";
    let rows = client.query(leaves, &[]).expect("a superuser may");
    let leaves: Vec<[u8; 32]> = rows.iter().map(|row| row.get::<_, Vec<u8>>(0).try_into().expect("a hash")).collect();
    for checkpoint in &signed {
        let root = kakunin_core::ledger::merkle::root_of(leaves[..checkpoint.size as usize].iter().copied());
        checks.equal(&format!("root of {}", checkpoint.size), root, checkpoint.root);
    }
    checks.equal("signed", signed.len(), 4 * ends.len());
}

#[test]
fn sessions_at_once_make_one_log() {
    let cluster = start();
    let mut checks = Checks::new();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let cluster = &cluster;
            scope.spawn(move || {
                let mut client = cluster.superuser();
                for _ in 0..50 {
                    insert(&mut client, if worker % 2 == 0 { "a" } else { "b" });
                    note(&mut client);
                }
            });
        }
    });
    let mut client = cluster.superuser();
    checks.equal("size", note(&mut client).size, 202);
    checks.equal("sound", sound(&mut client), "t");
}

#[test]
fn what_was_signed_is_there_after_a_crash() {
    let mut cluster = start();
    let mut checks = Checks::new();
    for round in 0..6 {
        // Nobody who inserts waits for the disk, and what is not written is lost with the processes.
        let before = published_or_none(&cluster);
        let ended = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for table in ["a", "b"] {
                let (cluster, ended) = (&cluster, &ended);
                scope.spawn(move || {
                    let mut client = cluster.superuser();
                    run(&mut client, "set synchronous_commit = off");
                    while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                        if client.batch_execute(&format!("insert into {table} (v) values ('x')")).is_err() {
                            break;
                        }
                    }
                });
            }
            let (cluster, ended) = (&cluster, &ended);
            scope.spawn(move || {
                let mut client = cluster.superuser();
                while client.batch_execute("select kakunin.checkpoint()").is_ok() {}
                ended.store(true, std::sync::atomic::Ordering::Relaxed);
            });
            wait_until("some checkpoints", || (published_or_none(cluster) > before + 200 + 70 * round).then_some(()));
            cluster.kill_all();
        });
        cluster.recover();
        let signed = published(&cluster);
        let mut client = cluster.superuser();
        let entries: i64 = client.query_one("select count(*) from kakunin.ledger_entry", &[]).expect("a query").get(0);
        checks.holds(&format!("round {round}: entries"), entries as u64 >= signed.size, (entries, signed.size));
        checks.equal(&format!("round {round}: it goes on"), outcome(&mut client), entries.to_string());
        checks.equal(&format!("round {round}: sound"), sound(&mut client), "t");
    }
}

#[test]
fn what_is_signed_was_flushed_before() {
    let mut cluster = start();
    let mut checks = Checks::new();
    for round in 0..3 {
        let (mut client, mut other) = (cluster.superuser(), cluster.superuser());
        // Nothing but the checkpoint itself writes WAL to its file: not the commit of the entries, not the process that
        // would do it soon, and not the commit of the checkpoint, which never comes.
        run(&mut other, "set synchronous_commit = off");
        cluster.pause("walwriter");
        insert(&mut other, "a");
        insert(&mut other, "b");
        run(&mut client, "begin");
        let signed = note(&mut client);
        cluster.crash();
        let mut client = cluster.superuser();
        let entries = ask(&mut client, "select count(*) from kakunin.ledger_entry");
        checks.equal(&format!("round {round}: entries"), entries, signed.size.to_string());
        checks.equal(&format!("round {round}: it goes on"), outcome(&mut client), signed.size.to_string());
    }
}

#[test]
fn the_log_only_grows_and_has_one_name() {
    let cluster = start();
    let mut client = cluster.superuser();
    let mut checks = Checks::new();
    note(&mut client);
    for table in ["log", "log_range", "log_tile", "checkpoint"] {
        for statement in [
            format!("delete from kakunin.{table}"),
            format!("truncate kakunin.{table}"),
            format!("set session_replication_role = replica; delete from kakunin.{table}"),
        ] {
            let refusal = refused(&mut client, &statement);
            checks.equal(&statement, (&*refusal.sqlstate, refusal.slug()), ("23001", "ledger_append_only"));
            run(&mut client, "rollback; reset session_replication_role");
        }
    }
    checks.equal("update", refused(&mut client, "update kakunin.log set origin = 'x'").sqlstate, "23001");
    for (statement, sqlstate, slug) in [
        ("select kakunin.name_log('other.example')", "55000", "log_named"),
        ("select kakunin.name_log('a b')", "22023", "origin_invalid"),
        ("select kakunin.name_log('a+b')", "22023", "origin_invalid"),
        ("select kakunin.name_log('')", "22023", "origin_invalid"),
        ("select kakunin.name_log(repeat('x', 256))", "22023", "origin_invalid"),
        ("select kakunin.name_log(null)", "22023", "argument_null"),
    ] {
        let refusal = refused(&mut client, statement);
        checks.equal(statement, (&*refusal.sqlstate, refusal.slug()), (sqlstate, slug));
    }
    // The longest name, and the strangest database.
    let mut postgres = cluster.connect("postgres", "postgres");
    run(&mut postgres, "create database long");
    run(&mut postgres, "create database \"a b+c\u{e9}/../\"");
    let mut long = cluster.connect("postgres", "long");
    run(&mut long, "create extension kakunin; select kakunin.name_log(repeat('\u{e9}', 127) || '/')");
    checks.equal("longest", outcome(&mut long), "0");
    let mut strange = cluster.connect("postgres", "a b+c\u{e9}/../");
    run(&mut strange, "create extension kakunin");
    let origin = read(&ask(&mut strange, "select kakunin.checkpoint()")).origin;
    checks.holds("strange", origin.starts_with("a-b-c\u{e9}/../-"), &origin);
    checks.equal("strange again", read(&ask(&mut strange, "select kakunin.checkpoint()")).origin, origin);
    let files = std::fs::read_dir(cluster.key_directory()).expect("it is there").count();
    checks.equal("files: two for each log, and the key", files, 7);
}

#[test]
fn more_ledgers_than_one_checkpoint_takes_wait_for_the_next() {
    let cluster = start();
    let mut client = cluster.superuser();
    let mut checks = Checks::new();
    run(
        &mut client,
        "do $$ begin for i in 1..1100 loop
            execute format('create table t%s (id int primary key)', i);
            perform kakunin.attach_ledger(format('t%s', i)::regclass);
            commit;
        end loop; end $$",
    );
    checks.equal("the first", outcome(&mut client), "1024");
    // New entries of those that had their turn do not keep the others waiting.
    run(
        &mut client,
        "do $$ begin for i in 1..1100 loop execute format('insert into t%s values (1)', i); commit; end loop; end $$",
    );
    checks.equal("the second", outcome(&mut client), "2126");
    checks.equal("the third", outcome(&mut client), "2202");
    let behind = "select count(*) from kakunin.ledger_entry e where not exists (select from kakunin.log_range r
        where r.ledger = e.ledger and e.seq between r.first_seq and r.last_seq)";
    checks.equal("behind", ask(&mut client, behind), "0");
}

#[test]
fn a_worker_makes_checkpoints_where_there_are_ledgers() {
    let cluster = Cluster::builder()
        .set("kakunin.databases", "test, nowhere, \"postgres\"")
        .set("kakunin.checkpoint_interval", "1")
        .start();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    run(&mut client, "create table a (id int primary key)");
    run(&mut client, "select kakunin.attach_ledger('a')");
    let size = |client: &mut Client| ask(client, "select max(size) from kakunin.checkpoint");
    wait_until("the first", || (size(&mut client) == "1").then_some(()));
    run(&mut client, "insert into a values (1)");
    wait_until("the next", || (size(&mut client) == "2").then_some(()));
    cluster.end_signer("TERM");
    run(&mut client, "insert into a values (2)");
    wait_until("after the signer ended", || (size(&mut client) == "3").then_some(()));
    let terminate = "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'kakunin worker'";
    run(&mut client, terminate);
    run(&mut client, "insert into a values (3)");
    wait_until("after the worker ended", || (size(&mut client) == "4").then_some(()));
    checks.equal("who", ask(&mut client, "select named_by from kakunin.log"), "postgres");
    checks.equal("sound", ask(&mut client, "select * from kakunin.verify_ledger()"), "");
    // What cannot be done is said once, and nothing turns in circles.
    std::fs::rename(cluster.key_directory().join("kek"), cluster.key_directory().join("kept")).expect("the test may");
    run(&mut client, "insert into a values (4)");
    let complaint = "no checkpoint of database \"test\": key-encryption key is missing";
    wait_until("it complains", || cluster.log().contains(complaint).then_some(()));
    run(&mut client, "select pg_sleep(3)");
    checks.equal("complaints", cluster.log().matches(complaint).count(), 1);
    std::fs::rename(cluster.key_directory().join("kept"), cluster.key_directory().join("kek")).expect("the test may");
    wait_until("it goes on", || (size(&mut client) == "5").then_some(()));
    wait_until("it says so", || {
        cluster.log().contains("checkpoints of database \"test\" are made again").then_some(())
    });
    let nowhere = cluster.log().matches("database \"nowhere\" does not exist").count();
    checks.equal("a database that is not there", nowhere, 1);
    run(&mut cluster.connect("postgres", "postgres"), "create database nowhere");
    let mut late = cluster.connect("postgres", "nowhere");
    run(&mut late, "create extension kakunin; create table a (id int primary key); select kakunin.attach_ledger('a')");
    wait_until("a database that came later", || (size(&mut late) == "1").then_some(()));
}
