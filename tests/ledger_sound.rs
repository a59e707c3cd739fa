//! No false alarm: a sound ledger is found sound, whatever happens beside the verification and around it.

use kakunin_tests::scene::{ask, run, state};
use kakunin_tests::{Checks, Cluster, DATABASE};
use postgres::Client;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const SCHEMA: &str = "
    create extension amcheck;
    create table note (id serial primary key, body text, secret text);
    create table event (id serial, day date, body text, primary key (id, day)) partition by range (day);
    create table event_1 partition of event for values from ('2021-01-01') to ('2022-01-01');
    create table event_2 partition of event for values from ('2022-01-01') to ('2023-01-01');
    select from kakunin.attach_ledger('note', '{secret}');
    select from kakunin.attach_ledger('event');
    create index on note (body);
";

fn faults(client: &mut Client) -> String {
    ask(client, "select relation, seq, row_number, fault, detail from kakunin.verify_ledger()")
}

#[test]
fn nothing_is_found_while_others_append_erase_and_sign() {
    let cluster = Cluster::start();
    let mut checks = Checks::new();
    run(&mut cluster.superuser(), SCHEMA);
    let done = AtomicBool::new(false);
    let rounds = AtomicU64::new(0);
    let mut found = Vec::new();
    std::thread::scope(|scope| {
        let connect = || cluster.superuser();
        for writer in 0..12 {
            let (done, rounds) = (&done, &rounds);
            scope.spawn(move || {
                let mut client = connect();
                while !done.load(Ordering::Relaxed) {
                    let round = rounds.fetch_add(1, Ordering::Relaxed);
                    if round > STATEMENTS_MAX {
                        break;
                    }
                    let statement = match (writer, round % 4) {
                        (0, _) => "select kakunin.checkpoint()".to_owned(),
                        (1, _) => "select kakunin.redact('note', ledger_tx, ledger_row, '{secret}', 'r') from note
                                    where secret is not null limit 1"
                            .to_owned(),
                        (_, 0) => "begin; insert into note (body) values ('undone'); savepoint a;
                                   insert into event (day) values ('2021-01-01'); rollback"
                            .to_owned(),
                        (_, 1) => "begin; insert into note (body, secret) values ('kept', 's'); savepoint a;
                                   insert into event (day) values ('2021-01-01'); rollback to a; commit"
                            .to_owned(),
                        _ => format!(
                            "insert into note (body, secret) select 'row', 's' from generate_series(1, {});
                             insert into event (day) values ('2021-01-01'), ('2022-02-02')",
                            round % 7
                        ),
                    };
                    // A redaction can meet another.
                    let _ = client.batch_execute(&statement);
                }
            });
        }
        let _ends = Ends(&done);
        let mut client = connect();
        for round in 0..ROUNDS {
            let begin =
                ["begin", "begin isolation level repeatable read; select 1", "begin isolation level serializable"];
            run(&mut client, begin[round % 3]);
            found.push(faults(&mut client));
            let exported = kakunin_tests::offline::export(&mut client, None);
            if let Ok(exported) = exported {
                let (report, status) = kakunin_tests::offline::verify_offline(&exported, &[], &[]);
                found.push(if status == 0 { String::new() } else { report["faults"].to_string() });
                run(&mut client, "commit");
            } else {
                // Before the first checkpoint.
                run(&mut client, "rollback");
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    checks.equal(
        "while others write",
        found.iter().filter(|found| !found.is_empty()).collect::<Vec<_>>(),
        Vec::<&String>::new(),
    );
    checks.holds("it was looked at", found.len() > ROUNDS, found.len());
    let mut client = cluster.superuser();
    checks.equal("then", faults(&mut client), "");
    for count in ["kakunin.ledger_entry where kind = 1", "kakunin.checkpoint", "kakunin.ledger_redaction"] {
        let count = ask(&mut client, &format!("select count(*) from {count}"));
        checks.holds("something was done", count.parse::<u64>().is_ok_and(|count| count > 0), count);
    }
}

/// How often it is verified while others write.
const ROUNDS: usize = 10;
/// What the writers do at most, so that verifying ends in time.
const STATEMENTS_MAX: u64 = 1500;

/// Ends the others, also when the test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn nothing_is_found_while_columns_and_partitions_come_and_go() {
    let cluster = Cluster::start();
    let mut checks = Checks::new();
    let mut client = cluster.superuser();
    run(&mut client, SCHEMA);
    let done = AtomicBool::new(false);
    let mut found = Vec::new();
    std::thread::scope(|scope| {
        let (done, cluster) = (&done, &cluster);
        scope.spawn(move || {
            let _ends = Ends(done);
            let mut client = cluster.superuser();
            for round in 0..12 {
                let year = 2030 + round;
                run(&mut client, &format!("alter table note add column more_{round} int"));
                run(
                    &mut client,
                    &format!(
                        "create table event_{year} partition of event
                    for values from ('{year}-01-01') to ('{}-01-01')",
                        year + 1
                    ),
                );
                run(&mut client, &format!("insert into event (day) values ('{year}-01-01')"));
                run(&mut client, &format!("create table late_{round} (id int primary key)"));
                run(&mut client, &format!("select from kakunin.attach_ledger('late_{round}')"));
                run(&mut client, "select kakunin.checkpoint()");
                run(&mut client, &format!("select kakunin.prune_ledger('event_{year}', 'r')"));
            }
        });
        while !done.load(Ordering::Relaxed) {
            found.push(faults(&mut client));
            if let Ok(exported) = kakunin_tests::offline::export(&mut client, None) {
                let (report, status) = kakunin_tests::offline::verify_offline(&exported, &[], &[]);
                found.push(if status == 0 { String::new() } else { report["faults"].to_string() });
            }
        }
    });
    checks.equal(
        "meanwhile",
        found.iter().filter(|found| !found.is_empty()).collect::<Vec<_>>(),
        Vec::<&String>::new(),
    );
    checks.equal("then", faults(&mut client), "");
}

#[test]
fn nothing_is_found_in_a_transaction_that_has_done_something_itself() {
    let cluster = Cluster::start();
    let mut client = cluster.superuser();
    let mut checks = Checks::new();
    run(&mut client, SCHEMA);
    run(&mut client, "insert into note (body, secret) values ('a', 's'), ('b', 't')");
    for (level, end) in [("read committed", "rollback"), ("repeatable read", "rollback"), ("serializable", "commit")] {
        run(&mut client, &format!("begin isolation level {level}; select count(*) from note"));
        for statement in [
            "insert into note (body, secret) values ('mine', 's')",
            "savepoint a",
            "alter table note add column more int",
            "insert into note (body, more) values ('mine', 1)",
            "rollback to a",
            "select kakunin.redact('note', ledger_tx, ledger_row, '{secret}', 'r') from note where body = 'a' and secret = 's'",
            "alter table note add column more int",
            "insert into note (body, more) values ('mine', 1)",
            "create table late (id int primary key); insert into late values (1)",
            "select from kakunin.attach_ledger('late'); insert into late values (2)",
            "select kakunin.begin_epoch('r')",
            "select kakunin.close_ledger('late', 'r')",
        ] {
            run(&mut client, statement);
            checks.equal(&format!("{level}: {statement}"), faults(&mut client), "");
        }
        run(&mut client, end);
        checks.equal(&format!("{level}: {end}"), faults(&mut client), "");
    }
}

#[test]
fn nothing_is_found_after_the_table_was_written_anew_or_much_was_undone() {
    let cluster = Cluster::start();
    let mut client = cluster.superuser();
    let mut checks = Checks::new();
    run(&mut client, SCHEMA);
    run(&mut client, "insert into note (body, secret) select 'row ' || g, 's' from generate_series(1, 500) g");
    run(&mut client, "insert into event (day) select date '2021-01-01' + g from generate_series(1, 500) g");
    run(
        &mut client,
        "select kakunin.redact('note', ledger_tx, ledger_row, '{secret}', 'r') from note where id % 50 = 0",
    );
    run(&mut client, "select kakunin.checkpoint()");
    let storm = "do $$ begin
        for round in 1..300 loop
            begin
                insert into note (body) values ('undone');
                insert into event (day) values ('2021-05-05');
                if round % 3 > 0 then raise division_by_zero; end if;
            exception when division_by_zero then null;
            end;
        end loop; end $$";
    for statement in [
        storm,
        "vacuum note",
        "vacuum (full, analyze) note",
        "cluster note using note_body_idx",
        "cluster event_1 using event_1_pkey",
        "reindex table note",
        "reindex table concurrently note",
        "reindex table event",
        "vacuum full event",
        "alter table note set (fillfactor = 50)",
        "vacuum (freeze, full) kakunin.ledger_entry",
        "reindex table kakunin.ledger_entry",
        "analyze",
        "insert into note (body) values ('then')",
    ] {
        checks.equal(statement, state(&mut client, statement), "00000");
        let found = "select relation, seq, fault, detail from kakunin.verify_ledger(indexes => true)";
        checks.equal(&format!("after {statement}"), ask(&mut client, found), "");
    }
    let newest = "select * from kakunin.verify_ledger(since => (select max(size) from kakunin.checkpoint))";
    checks.equal("since the newest checkpoint", ask(&mut client, newest), "");
    let single =
        "select f.* from (select distinct ledger_tx from note) n, kakunin.verify_ledger('note', tx => n.ledger_tx) f";
    checks.equal("each entry alone", ask(&mut client, single), "");
    let mut auditor = {
        run(&mut client, "create role auditor login in role kakunin_auditor");
        cluster.connect("auditor", DATABASE)
    };
    checks.equal("as an auditor", faults(&mut auditor), "");
    checks.equal("read only", ask(&mut auditor, "begin read only; select fault from kakunin.verify_ledger()"), "");
}
