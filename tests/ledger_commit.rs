//! The end of a transaction that has added to ledgers, beside many others: isolation levels, locks, waits and their ends.

use kakunin_tests::ledger::{Book, attach};
use kakunin_tests::scene::{ask, run, state};
use kakunin_tests::{Checks, Cluster, DATABASE, sqlstate_of, wait_until};
use std::sync::atomic::{AtomicU64, Ordering};

const SCHEMA: &str = "create table l (id bigint generated always as identity primary key, body text);
                      create table m (id bigint generated always as identity primary key, body text);";

/// Does the same in so many sessions at once; each gets its number and its session.
fn together(cluster: &Cluster, sessions: usize, act: impl Fn(usize, postgres::Client) + Sync) {
    std::thread::scope(|scope| {
        for number in 0..sessions {
            let act = &act;
            scope.spawn(move || act(number, cluster.superuser()));
        }
    });
}

/// The SQLSTATE of an end; that of a session that was ended does not always arrive.
fn ended(result: Result<(), postgres::Error>) -> String {
    match result {
        Ok(()) => "00000".to_owned(),
        Err(error) if error.is_closed() => "57P01".to_owned(),
        Err(error) => sqlstate_of(&error),
    }
}

#[test]
fn under_every_isolation_level_exactly_what_was_committed_is_chained() {
    let mut book = Book::new(SCHEMA, "l");
    let (committed, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    for level in ["read committed", "repeatable read", "serializable"] {
        together(&book.cluster, 6, |number, mut client| {
            for at in 0..40 {
                // Everyone reads what everyone writes: serializable transactions cannot all go through.
                let work = format!(
                    "begin isolation level {level}; select count(*) from l where body like '{}%';
                     insert into l (body) values ('{}x'), ('y')",
                    (number + 1) % 6,
                    number
                );
                let begun = state(&mut client, &work);
                if at % 5 == 0 || begun != "00000" {
                    assert!(["00000", "40001"].contains(&&*begun), "{level}: {begun}");
                    failed.fetch_add(u64::from(at % 5 != 0), Ordering::Relaxed);
                    run(&mut client, "rollback");
                    continue;
                }
                match &*state(&mut client, "commit") {
                    "00000" => committed.fetch_add(1, Ordering::Relaxed),
                    "40001" => failed.fetch_add(1, Ordering::Relaxed),
                    other => panic!("{level}: {other}"),
                };
            }
        });
    }
    let (committed, failed) = (committed.into_inner(), failed.into_inner());
    book.checks.equal("each ended one way or the other", committed + failed, 3 * 6 * 32);
    book.added("all of them", committed, 2 * committed);

    // A snapshot that is older than what others have added, and a serialization failure that must come.
    for level in ["repeatable read", "serializable"] {
        let mut old = book.cluster.superuser();
        run(&mut old, &format!("begin isolation level {level}; select count(*) from m"));
        book.adds(&format!("{level}: others go on"), "insert into l (body) values ('new')", 1, 1);
        run(&mut old, "insert into l (body) values ('old'); commit");
        book.added(&format!("{level}: with an old snapshot"), 1, 1);
    }
    let [mut one, mut two] = [book.cluster.superuser(), book.cluster.superuser()];
    for client in [&mut one, &mut two] {
        run(client, "begin isolation level serializable; select count(*) from m");
    }
    for client in [&mut one, &mut two] {
        run(client, "insert into l (body) values ('skew'); insert into m (body) values ('skew')");
    }
    run(&mut one, "commit");
    book.checks.equal("the second", state(&mut two, "commit"), "40001");
    book.added("one of two", 1, 1);
    run(&mut two, "rollback; insert into l (body) values ('after it')");
    book.added("the same session", 1, 1);
}

#[test]
fn ledgers_that_are_written_in_any_order_do_not_deadlock() {
    let cluster = Cluster::builder().set("deadlock_timeout", "10ms").set("log_lock_waits", "on").start();
    let mut book = Book::on(cluster, SCHEMA, "l");
    attach(&mut book.client, "m");
    together(&book.cluster, 8, |number, mut client| {
        for at in 0..50 {
            let (first, second) = if (number + at) % 2 == 0 { ("l", "m") } else { ("m", "l") };
            let notify = if at % 7 == 0 { "notify news, 'x';" } else { "" };
            run(
                &mut client,
                &format!(
                    "begin; insert into {first} (body) values ('a'); {notify} insert into {second} (body) values ('b'); commit"
                ),
            );
        }
    });
    book.added("all of them", 400, 400);
    book.checks.equal("in the other", book.cluster.ledger("m"), "401 entries, 400 rows");
    book.checks.holds("no deadlock", !book.cluster.log().contains("deadlock"), "the log tells of one");
}

#[test]
fn a_transaction_that_stays_open_holds_nobody_up() {
    let mut book = Book::new(SCHEMA, "l");
    let mut idle = book.cluster.superuser();
    run(&mut idle, "begin; insert into l (body) select 'first' from generate_series(1, 1000)");
    run(&mut book.client, "set statement_timeout = '20s'; set lock_timeout = '20s'");
    book.adds(
        "others go on",
        "insert into l (body) values ('a');;begin;;insert into l (body) values ('b');;commit",
        2,
        2,
    );
    run(&mut book.client, "vacuum (analyze) l");
    // It can wait for one of the others, too, as applications do without knowing it.
    book.adds("on behalf of one that waits", "insert into l (body) values ('c')", 1, 1);
    run(&mut idle, "commit");
    book.added("and then it commits", 1, 1000);
    let last = "select rows, first_row from kakunin.ledger_entry order by seq desc limit 1";
    book.checks.equal("its place is that of its commit", ask(&mut book.client, last), "1000|3");
    // Its numbers were taken before, so that the order of the entries is not that of ledger_tx.
    let order = "select bool_and(tx > before) from (select tx, lag(tx) over (order by seq) as before
                   from kakunin.ledger_entry where tx > 0) e where before is not null";
    book.checks.equal("the order of the numbers", ask(&mut book.client, order), "f");
}

#[test]
fn whoever_waits_for_a_chain_can_be_stopped() {
    // A commit that keeps the lock: the old way of releasing, and a standby that never answers.
    let mut cluster =
        Cluster::builder().set("kakunin.early_lock_release", "off").set("deadlock_timeout", "50ms").start();
    let mut superuser = cluster.superuser();
    run(&mut superuser, SCHEMA);
    attach(&mut superuser, "l");
    attach(&mut superuser, "m");
    cluster.set("synchronous_standby_names", "nobody");
    cluster.reload();
    let mut checks = Checks::new();
    // Does not wait for the standby itself.
    run(&mut superuser, "set synchronous_commit = local");
    let waiting = |superuser: &mut postgres::Client, process: i32, event: &str| {
        let query = format!("select coalesce(wait_event, '') from pg_stat_activity where pid = {process}");
        wait_until(event, || (ask(superuser, &query) == event).then_some(()));
    };
    let pid =
        |client: &mut postgres::Client| -> i32 { ask(client, "select pg_backend_pid()").parse().expect("a number") };

    let mut holder = cluster.superuser();
    let holding = pid(&mut holder);
    let holder = std::thread::spawn(move || {
        run(&mut holder, "begin; insert into m (body) values ('held'); commit");
        holder
    });
    waiting(&mut superuser, holding, "SyncRep");
    // PostgreSQL disarms statement_timeout before a COMMIT, but not where a procedure commits.
    let block = "do $$ begin insert into m (body) values ('given up'); commit; end $$";
    for (name, setting, commit, ends, expected) in [
        ("statement_timeout", "set statement_timeout = '300ms'", block, "", "57014"),
        ("lock_timeout", "set lock_timeout = '300ms'", "commit", "", "55P03"),
        ("cancelled", "select", "commit", "pg_cancel_backend", "57014"),
        ("terminated", "select", "commit", "pg_terminate_backend", "57P01"),
    ] {
        let mut client = cluster.superuser();
        run(&mut client, &format!("set synchronous_commit = local; {setting}"));
        if commit == "commit" {
            // It holds the lock of one chain and waits for that of the other.
            run(
                &mut client,
                "begin; insert into m (body) values ('given up'); insert into l (body) values ('given up')",
            );
        }
        let process = pid(&mut client);
        let thread = std::thread::spawn(move || {
            let ended = ended(client.batch_execute(commit));
            // A session that is still there goes on.
            let next = if ended == "57P01" {
                String::new()
            } else {
                state(&mut client, "insert into l (body) values ('next')")
            };
            (ended, next)
        });
        if !ends.is_empty() {
            waiting(&mut superuser, process, "userlock");
            ask(&mut superuser, &format!("select {ends}({process})"));
        }
        let (ended, next) = thread.join().expect("it ends");
        checks.equal(name, &*ended, expected);
        checks.holds(&format!("{name}: afterwards"), next == "00000" || next.is_empty(), next);
    }
    // Others, of another ledger, were not held up.
    run(&mut superuser, "insert into l (body) values ('free')");
    checks.equal("l", cluster.ledger("l"), "5 entries, 4 rows");
    // The client of the one that holds the lock is told, and its commit stays.
    ask(&mut superuser, &format!("select pg_cancel_backend({holding})"));
    let mut holder = holder.join().expect("it ends");
    run(&mut holder, "set synchronous_commit = local; insert into m (body) values ('goes on')");
    checks.equal("m", cluster.ledger("m"), "3 entries, 2 rows");
    checks.equal("its rows", ask(&mut superuser, "select string_agg(body, ',' order by id) from m"), "held,goes on");
}

#[test]
fn decoding_sees_the_entries_of_a_chain_in_their_order() {
    let cluster = Cluster::builder().set("wal_level", "logical").start();
    let mut book = Book::on(cluster, SCHEMA, "l");
    attach(&mut book.client, "m");
    ask(&mut book.client, "select pg_create_logical_replication_slot('watch', 'test_decoding')");
    let stop = AtomicU64::new(0);
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        let decoding = scope.spawn(|| {
            let mut client = book.cluster.superuser();
            let mut lines = Vec::new();
            loop {
                let last = stop.load(Ordering::Acquire) > 0;
                let changes = client.query("select data from pg_logical_slot_get_changes('watch', null, null)", &[]);
                lines.extend(changes.expect("it can be decoded").iter().map(|row| row.get::<_, String>(0)));
                if last {
                    return lines;
                }
            }
        });
        together(&book.cluster, 6, |_, mut client| {
            for _ in 0..50 {
                run(
                    &mut client,
                    "begin; insert into l (body) values ('a'), ('b'); insert into m (body) values ('c'); commit",
                );
            }
        });
        stop.store(1, Ordering::Release);
        seen = decoding.join().expect("it ends");
    });
    for ledger in [1, 2] {
        let mark = format!("table kakunin.ledger_entry: INSERT: ledger[integer]:{ledger} seq[bigint]:");
        let sequence: Vec<u64> =
            seen.iter().filter_map(|line| line.strip_prefix(&mark)?.split_once(' ')?.0.parse().ok()).collect();
        let expected: Vec<u64> = (2..=301).collect();
        book.checks.equal(&format!("ledger {ledger}"), sequence == expected, true);
    }
    book.added("all of them", 300, 600);
}

#[test]
fn sessions_that_end_in_the_middle_leave_nothing() {
    let mut book = Book::new(SCHEMA, "l");
    for how in ["terminate", "vanish", "close"] {
        let mut client = book.cluster.superuser();
        run(
            &mut client,
            "begin; insert into l (body) select 'lost' from generate_series(1, 100); savepoint s; insert into l (body) values ('lost')",
        );
        let process = ask(&mut client, "select pg_backend_pid()");
        match how {
            "terminate" => {
                ask(&mut book.client, &format!("select pg_terminate_backend({process})"));
            }
            // Without a word to the server.
            "vanish" => std::mem::forget(std::thread::spawn(move || drop(client))),
            _ => client.close().expect("it can be closed"),
        }
        let gone = format!("select count(*) from pg_stat_activity where pid = {process}");
        wait_until("the session is gone", || (ask(&mut book.client, &gone) == "0").then_some(()));
        book.adds(how, "insert into l (body) values ('next')", 1, 1);
    }
    // Cancelled while rows are on their way, and between them and the commit.
    let mut client = book.cluster.connect("postgres", DATABASE);
    let cancel = client.cancel_token();
    let thread = std::thread::spawn(move || {
        let ended = state(&mut client, "insert into l (body) select 'x' from generate_series(1, 50000000)");
        (ended, state(&mut client, "insert into l (body) values ('next')"))
    });
    let running = "select count(*) from pg_stat_activity where query like 'insert%50000000%' and state = 'active'";
    wait_until("it runs", || (ask(&mut book.client, running) == "1").then_some(()));
    cancel.cancel_query(postgres::NoTls).expect("it can be cancelled");
    let ended = thread.join().expect("it ends");
    book.checks.equal("cancelled", ended, ("57014".to_owned(), "00000".to_owned()));
    book.added("cancelled", 1, 1);
}
