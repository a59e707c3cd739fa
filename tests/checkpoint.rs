//! Checkpoints: what is signed stays true, whatever fails, and whoever rewrites the database.

use kakunin_core::ledger::note::{Checkpoint, Note};
use kakunin_tests::scene::{ask, refused, run, try_ask};
use kakunin_tests::{Checks, Cluster, DATABASE, Shutdown, refusal_of, wait_until};
use postgres::Client;
use postgres::fallible_iterator::FallibleIterator;
use std::time::Duration;

/// A cluster with two ledgers, `a` and `b`, and a log that has its name.
fn start() -> Cluster {
    prepared(Cluster::start())
}

fn prepared(cluster: Cluster) -> Cluster {
    run(
        &mut cluster.superuser(),
        "create table a (id bigint generated always as identity primary key, v text);
         create table b (id bigint generated always as identity primary key, v text);
         select kakunin.attach_ledger('a'); select kakunin.attach_ledger('b'); select kakunin.name_log('example.org')",
    );
    cluster
}

fn insert(client: &mut Client, table: &str) {
    run(client, &format!("insert into {table} (v) values ('x')"));
}

fn note(client: &mut Client) -> Checkpoint {
    read(&ask(client, "select kakunin.checkpoint()"))
}

fn read(note: &str) -> Checkpoint {
    Checkpoint::parse(Note::parse(note).expect("a note").text()).expect("a checkpoint")
}

/// The note that was published.
fn published(cluster: &Cluster) -> Checkpoint {
    read(&std::fs::read_to_string(cluster.key_directory().join("example.org.checkpoint")).expect("it is there"))
}

/// How a checkpoint ends: its size, or SQLSTATE and slug.
fn outcome(client: &mut Client) -> String {
    match try_ask(client, "select kakunin.checkpoint()") {
        Ok(text) => read(&text).size.to_string(),
        Err(error) => {
            let refusal = refusal_of::<()>(Err(error));
            format!("{} {}", refusal.sqlstate, refusal.slug())
        }
    }
}

/// That all is as it must be: the ranges of the log follow each other without gaps up to the newest checkpoint, those of
/// each ledger too, and no ledger has a fault.
fn sound(client: &mut Client) -> String {
    ask(
        client,
        "with range as (
            select *, last_seq - first_seq + 1 as entries,
                coalesce(lag(last_seq) over (partition by ledger order by first_seq), 0) + 1 as expected_seq,
                sum(last_seq - first_seq + 1) over (order by first_index) as reached
            from kakunin.log_range)
        select bool_and(first_index = reached - entries and first_seq = expected_seq)
            and max(reached) = (select max(size) from kakunin.checkpoint)
            and not exists (select from kakunin.verify_ledger())
        from range",
    )
}

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
fn a_ledger_that_contradicts_itself_is_not_signed() {
    for (name, change, slug) in [
        ("another role", "update kakunin.ledger_entry set role = 'x' where ledger = 1 and seq = 3", "ledger_broken"),
        ("another root", "update kakunin.ledger_entry set root = hash where ledger = 1 and seq = 3", "ledger_broken"),
        ("another hash", "update kakunin.ledger_entry set hash = root where ledger = 1 and seq = 3", "ledger_broken"),
        ("one gone", "delete from kakunin.ledger_entry where ledger = 1 and seq = 3", "ledger_broken"),
        ("a row more", "update kakunin.ledger_entry set rows = 2 where ledger = 1 and seq = 4", "ledger_broken"),
        (
            "a kind that is none",
            "update kakunin.ledger_entry set kind = 99 where ledger = 1 and seq = 4",
            "ledger_broken",
        ),
        ("a short root", "update kakunin.ledger_entry set root = '' where ledger = 1 and seq = 4", "ledger_broken"),
        ("what was signed", "update kakunin.ledger_entry set role = 'x' where ledger = 1 and seq = 1", "ledger_broken"),
        (
            "what was signed, hash",
            "update kakunin.ledger_entry set hash = root where ledger = 1 and seq = 1",
            "log_broken",
        ),
        ("what was signed is gone", "delete from kakunin.ledger_entry where ledger = 2 and seq = 1", "log_broken"),
        ("a frontier", "update kakunin.checkpoint set frontier = sha256('x')", "log_broken"),
        ("a root", "update kakunin.checkpoint set root = sha256('x')", "log_broken"),
        ("a range", "delete from kakunin.log_range where ledger = 2", "log_broken"),
    ] {
        let mut checks = Checks::new();
        let mut cluster = start();
        let mut client = cluster.superuser();
        note(&mut client);
        for _ in 0..4 {
            insert(&mut client, "a");
        }
        drop(client);
        let tables = ["kakunin.ledger_entry", "kakunin.checkpoint", "kakunin.log_range"];
        cluster.tamper(&tables, change);
        let mut client = cluster.superuser();
        checks.equal(name, outcome(&mut client), format!("XX001 {slug}"));
        checks.equal(&format!("{name}: published"), published(&cluster).size, 2);
        checks.equal(&format!("{name}: stored"), ask(&mut client, "select max(size) from kakunin.checkpoint"), "2");
        // Appending goes on, where there is something to append to.
        insert(&mut client, if name == "what was signed is gone" { "a" } else { "b" });
    }
}

/// Makes the chain of ledger 1 anew from its first entry on, as whoever may write everything can.
const REWRITE: &str = r"
do $$
declare
    e kakunin.ledger_entry;
    last bytea := '\x0000000000000000000000000000000000000000000000000000000000000000';
begin
    update kakunin.ledger_entry set role = 'somebody else' where ledger = 1;
    for e in select * from kakunin.ledger_entry where ledger = 1 order by seq loop
        e.previous := last;
        last := sha256('\x00'::bytea || '\x4501'::bytea || uuid_send((select id from kakunin.ledger where number = 1))
            || int8send(e.seq) || substr(int2send(e.kind), 2) || int8send(e.tx) || int8send(e.first_row)
            || int8send(e.rows) || e.root || int8send((extract(epoch from e.at) * 1000000)::bigint) || '\x00'::bytea
            || int2send(octet_length(e.role)::smallint) || convert_to(e.role, 'UTF8')
            || int4send(octet_length(e.detail)) || convert_to(e.detail, 'UTF8') || e.previous);
        update kakunin.ledger_entry set previous = e.previous, hash = last where ledger = 1 and seq = e.seq;
    end loop;
end $$;
";

#[test]
fn a_superuser_who_rewrites_everything_gets_no_signature_for_it() {
    let tables = ["kakunin.ledger_entry", "kakunin.checkpoint", "kakunin.log_range", "kakunin.log_tile"];
    for (name, more, expected) in [
        ("the ledger", "", "XX001 log_broken"),
        (
            "the ledger, and no log is left",
            "delete from kakunin.checkpoint; delete from kakunin.log_range; delete from kakunin.log_tile",
            "XX001 checkpoint_inconsistent",
        ),
        (
            "the ledger, and a log of the newest checkpoint",
            "delete from kakunin.checkpoint where size < 6; delete from kakunin.log_range",
            "XX001 log_broken",
        ),
        (
            "the ledger, and an older log",
            "delete from kakunin.checkpoint where size > 2; delete from kakunin.log_range where first_index > 1",
            "XX001 log_broken",
        ),
    ] {
        let mut checks = Checks::new();
        let mut cluster = start();
        let mut client = cluster.superuser();
        note(&mut client);
        for _ in 0..4 {
            insert(&mut client, "a");
        }
        let signed = note(&mut client);
        drop(client);
        cluster.tamper(&tables, &format!("{REWRITE} {more}"));
        let mut client = cluster.superuser();
        checks.equal(name, outcome(&mut client), expected);
        insert(&mut client, "a");
        checks.equal(&format!("{name}, and more"), outcome(&mut client), expected);
        checks.equal(&format!("{name}: published"), published(&cluster), signed);
    }
    // What nothing outside has seen cannot be told from what was always so.
    let mut cluster = start();
    for _ in 0..4 {
        insert(&mut cluster.superuser(), "a");
    }
    cluster.tamper(&tables, REWRITE);
    assert_eq!(outcome(&mut cluster.superuser()), "6");
}

#[test]
fn a_database_that_lost_what_was_signed_is_not_signed_for() {
    let mut cluster = start();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    insert(&mut client, "a");
    note(&mut client);
    drop(client);
    cluster.stop(Shutdown::Fast);
    let (data, copy) = (cluster.data_directory(), cluster.socket_directory().join("copy"));
    let copied = |from: &std::path::Path, to: &std::path::Path| {
        let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status();
        assert!(done.expect("cp runs").success());
    };
    copied(&data, &copy);
    cluster.start_server();
    let mut client = cluster.superuser();
    insert(&mut client, "b");
    let signed = note(&mut client);
    drop(client);
    // Restored to the earlier state.
    cluster.stop(Shutdown::Fast);
    std::fs::remove_dir_all(&data).expect("the test may");
    copied(&copy, &data);
    cluster.start_server();
    let mut client = cluster.superuser();
    checks.equal("restored", outcome(&mut client), "XX001 checkpoint_inconsistent");
    insert(&mut client, "b");
    insert(&mut client, "b");
    checks.equal("restored, and more", outcome(&mut client), "XX001 checkpoint_inconsistent");
    checks.equal("published", published(&cluster), signed);
    // The way on is not in SQL.
    run(&mut client, "select kakunin.begin_epoch('restored')");
    checks.equal("with an epoch", outcome(&mut client), "XX001 checkpoint_inconsistent");
    for file in ["example.org.checkpoint", "example.org.plan"] {
        let kept = cluster.socket_directory().join(file);
        std::fs::rename(cluster.key_directory().join(file), kept).expect("the test may");
    }
    checks.equal("from what the database has", outcome(&mut client), "7");
    checks.equal("faults", ask(&mut client, "select * from kakunin.verify_ledger()"), "");
}

#[test]
fn two_copies_of_a_database_cannot_both_continue_its_log() {
    let cluster = start();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    insert(&mut client, "a");
    note(&mut client);
    drop(client);
    let dump = cluster.socket_directory().join("dump").to_string_lossy().into_owned();
    let output = cluster.tool("pg_dump", "postgres", &["-Fc", "-f", &dump, DATABASE]);
    assert!(output.success && output.stderr.is_empty(), "{}", output.stderr);
    run(&mut cluster.connect("postgres", "postgres"), "create database copy template template0");
    let output = cluster.tool("pg_restore", "postgres", &["-d", "copy", "--exit-on-error", &dump]);
    assert!(output.success, "{}", output.stderr);
    let (mut client, mut copy) = (cluster.superuser(), cluster.connect("postgres", "copy"));
    let content = "select (select string_agg(c::text, ',' order by size) from kakunin.checkpoint c),
        (select string_agg(r::text, ',' order by first_index) from kakunin.log_range r), (select l::text from kakunin.log l),
        (select string_agg(k::text, ',' order by name) from kakunin.signing_key k),
        (select string_agg(o::text, ',' order by id) from kakunin.outbox o)";
    checks.equal("content", ask(&mut copy, content), ask(&mut client, content));
    checks.equal("the same note", outcome(&mut copy), "3");
    checks.equal("sound", sound(&mut copy), "t");
    // Only one of them goes on.
    insert(&mut copy, "a");
    checks.equal("the copy", outcome(&mut copy), "4");
    insert(&mut client, "b");
    checks.equal("the first one", outcome(&mut client), "XX001 checkpoint_inconsistent");
    checks.equal("the copy again", outcome(&mut copy), "4");
    checks.equal("sound again", sound(&mut copy), "t");
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

fn published_or_none(cluster: &Cluster) -> u64 {
    let file = cluster.key_directory().join("example.org.checkpoint");
    std::fs::read_to_string(file).map_or(0, |note| read(&note).size)
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
