//! A database with ledgers of every kind, to be dumped, moved and replicated; and what must hold wherever it arrives.

use super::client::refusal_of;
use super::cluster::{Builder, Cluster};
use super::scene::{ask, run, try_ask};
use kakunin_core::ledger::export::{ExportReport, ExportVerifier};
use kakunin_core::ledger::log::Kept;
use kakunin_core::ledger::note::VerifierKey;
use postgres::Client;

/// Makes the ledgers: plain, partitioned and pruned, with erased values; four checkpoints' worth of entries,
/// of which the newest is in none.
pub fn build(cluster: &Cluster) {
    let mut superuser = cluster.superuser();
    run(&mut superuser, ROLES);
    run(&mut superuser, LEDGERS);
    // Each statement is a transaction of its own.
    for statement in STEPS.split(";\n").filter(|statement| !statement.trim().is_empty()) {
        run(&mut superuser, statement);
    }
}

/// A cluster with all of it.
pub fn start(builder: Builder) -> Cluster {
    let cluster = builder.start();
    build(&cluster);
    cluster
}

/// What verify_ledger() finds; empty if all is sound.
pub fn faults(client: &mut Client) -> String {
    ask(client, "select relation, seq, fault, detail from kakunin.verify_ledger()")
}

/// The newest entry of each ledger: id, number, rows, hash.
pub fn heads(client: &mut Client) -> Vec<String> {
    let query = "select distinct on (l.id) l.id, e.seq, e.first_row + e.rows, e.hash
        from kakunin.ledger l join kakunin.ledger_entry e on e.ledger = l.number order by l.id, e.seq desc";
    ask(client, query).split(',').map(str::to_owned).collect()
}

/// Adds a row to each ledger.
pub fn append(client: &mut Client, body: &str) {
    for statement in APPEND {
        run(client, &statement.replace("BODY", body));
    }
}

/// Does each ledger continue where `before` was, with the same id and one entry more that names the hash before?
pub fn continues(client: &mut Client, before: &[String]) -> Result<(), String> {
    for head in before {
        let parts: Vec<&str> = head.split('|').collect();
        let query = format!(
            "select count(*) from kakunin.ledger l join kakunin.ledger_entry e on e.ledger = l.number
             where l.id = '{}' and e.seq = {} + 1 and e.previous = '{}' and e.first_row = {}",
            parts[0], parts[1], parts[3], parts[2]
        );
        if ask(client, &query) != "1" {
            return Err(format!("nothing continues {head}"));
        }
    }
    Ok(())
}

/// The lines of an export.
pub fn export(client: &mut Client) -> Vec<String> {
    let rows = client.query("select kakunin.export_ledger()", &[]).expect("a superuser may");
    rows.iter().map(|row| row.get(0)).collect()
}

/// What kakunin-verify finds in an export, with a key and notes that were kept.
pub fn check_export(lines: &[String], key: Option<&str>, kept: &[&str]) -> ExportReport {
    let keys: Vec<VerifierKey> = key.iter().map(|key| key.parse().expect("a verifier key")).collect();
    let kept = kept.iter().enumerate().map(|(at, note)| Kept::parse(format!("note {at}"), *note).expect("a note"));
    let mut verifier = ExportVerifier::new(lines[0].as_bytes(), keys, kept.collect()).expect("an export");
    lines[1..].iter().for_each(|line| verifier.line(line.as_bytes(), true));
    verifier.finish()
}

/// The slugs of its faults.
pub fn slugs(report: &ExportReport) -> Vec<String> {
    report.faults.iter().map(|fault| format!("{}: {}", fault.fault.slug(), fault.detail)).collect()
}

/// Makes a checkpoint: the note, or SQLSTATE and slug of the refusal.
pub fn checkpoint(client: &mut Client) -> Result<String, String> {
    match client.query_one("select kakunin.checkpoint()", &[]) {
        Ok(row) => Ok(row.get(0)),
        refusal => {
            let refusal = refusal_of(refusal);
            Err(format!("{} {}", refusal.sqlstate, refusal.slug()))
        }
    }
}

/// Begins an epoch and names the log anew; its new key.
pub fn rename(client: &mut Client, origin: &str) -> String {
    run(client, "select kakunin.begin_epoch('a test')");
    ask(client, &format!("select kakunin.name_log('{origin}')"))
}

/// Statements that a ledger refuses, each with its SQLSTATE: also to those who restored it.
pub fn is_guarded(client: &mut Client) -> Vec<String> {
    let attempts = [
        "update app.note set body = 'x'",
        "delete from keeper.event",
        "truncate keeper.bare",
        "drop table keeper.person",
    ];
    attempts
        .iter()
        .filter(|attempt| {
            let outcome = try_ask(client, &format!("begin; {attempt}"));
            run(client, "rollback");
            outcome.is_ok()
        })
        .map(|attempt| (*attempt).to_owned())
        .collect()
}

/// What a dump leaves to `pg_dumpall --globals-only`.
pub const ROLES: &str = "create role keeper login; create role other login";

const LEDGERS: &str = "
    grant kakunin_admin to keeper;
    create schema app authorization keeper;
    create schema keeper authorization keeper;
    set role keeper;
    create type app.mood as enum ('calm', 'upset');
    create table app.note (id bigint generated by default as identity primary key, body text, amount numeric,
        mood app.mood, tags text[]);
    insert into app.note (body, amount, mood, tags) values ('first', 1.50, 'calm', '{a,b}'), ('second', null, null, null);
    select from kakunin.attach_ledger('app.note');
    create table keeper.bare (id uuid primary key default gen_random_uuid(), body text, at timestamptz);
    select from kakunin.attach_ledger('keeper.bare');
    create table keeper.event (id bigint, day date, body text, primary key (id, day)) partition by range (day);
    create table keeper.event_old partition of keeper.event for values from ('2020-01-01') to ('2021-01-01');
    create table keeper.event_new partition of keeper.event for values from ('2021-01-01') to ('2022-01-01')
        partition by range (day);
    create table keeper.event_new_1 partition of keeper.event_new for values from ('2021-01-01') to ('2021-07-01');
    select from kakunin.attach_ledger('keeper.event');
    create table keeper.person (id int primary key, name text, mail text, note text);
    select from kakunin.attach_ledger('keeper.person', '{name,mail}');
    grant insert, select on all tables in schema app, keeper to other;
    grant usage on schema app, keeper to other;
";

const STEPS: &str = r#"
insert into app.note (body, amount) select 'n' || n, n from generate_series(1, 300) n;
insert into app.note (body) values ('one'), ('two');
alter table app.note add column later jsonb;
insert into app.note (body, later) values ('with later', '{"a": 1.50, "b": [null, "é"]}');
insert into keeper.bare (body, at) values ('line
break', '2026-01-01 00:00:00.5+00'), (null, 'infinity');
insert into keeper.event values (1, '2020-02-02', 'a');
insert into keeper.event values (2, '2021-02-02', 'b'), (3, '2021-02-03', 'b');
create table keeper.event_new_2 partition of keeper.event_new for values from ('2021-07-01') to ('2022-01-01');
insert into keeper.event values (4, '2021-08-02', 'c'), (5, '2021-02-04', 'c');
insert into keeper.person values (1, 'Ann', 'ann@example.org', 'n1'), (2, 'Bob', 'bob@example.org', 'n2');
insert into keeper.person values (3, 'Cy', null, 'n3');
begin; insert into keeper.bare (body) values ('in one'); insert into app.note (body) values ('in one'); commit;
select kakunin.name_log('example.org/source');
select kakunin.checkpoint();
select kakunin.prune_ledger('keeper.event_old', 'its time is over');
select kakunin.redact('keeper.person', ledger_tx, ledger_row, '{name,mail}', 'asked to') from keeper.person where id = 1;
insert into app.note (body) values ('after');
select kakunin.checkpoint();
insert into app.note (body) values ('uncovered');
"#;

const APPEND: [&str; 4] = [
    "insert into app.note (body, later) values ('BODY', '{}')",
    "insert into keeper.bare (body, at) values ('BODY', now())",
    "insert into keeper.event values (1000 + 1e9 * random(), '2021-03-03', 'BODY')",
    "insert into keeper.person values (1000 + 1e9 * random(), 'BODY', 'BODY', 'BODY')",
];
