//! A database with ledgers, copies of it that somebody changed behind the extension's back, and what is said of them.

use kakunin_tests::offline::{export, first_fault, verify_offline};
use kakunin_tests::scene::{ask, run};
use kakunin_tests::{Checks, Cluster, DATABASE, Shutdown, refusal_of};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One way to tamper.
pub struct Case {
    /// What is done, in words.
    pub name: &'static str,
    /// How: as a superuser of a server that does not preload the library. The extension's triggers are off, unless the
    /// statements begin with [`TRIGGERS_ON`].
    pub sql: &'static str,
    /// What verify_ledger() says, in order: `ledger seq fault`, with `-` where it names no entry.
    pub found: &'static [&'static str],
    /// What kakunin-verify says first of an export, given the key and a checkpoint from before: `seq fault`, `sound`, or
    /// the reason why no export can be made.
    pub offline: &'static str,
}

/// The statements run while the extension's triggers are on.
pub const TRIGGERS_ON: &str = "-- triggers on";

/// Makes a copy of the database for each case, tampers with all of them, and checks what is said of each.
pub fn check(cases: &[Case]) {
    let mut scene = Scene::new();
    scene.cluster.set("shared_preload_libraries", "");
    scene.cluster.restart(Shutdown::Fast);
    run(&mut scene.cluster.superuser(), TRIGGERS_OFF);
    let copy = |number: usize| format!("copy_{number}");
    let mut postgres = scene.cluster.connect("postgres", "postgres");
    for (number, case) in cases.iter().enumerate() {
        run(&mut postgres, &format!("create database {} template {DATABASE}", copy(number)));
        let tamper = |statements: &str| run(&mut scene.cluster.connect("postgres", &copy(number)), statements);
        match case.sql.strip_prefix(TRIGGERS_ON) {
            // What is written to the catalogues counts for sessions that begin later.
            Some(late) => [TRIGGERS_BACK, late].into_iter().for_each(tamper),
            None => tamper(&format!("{};{TRIGGERS_BACK}", case.sql)),
        }
    }
    drop(postgres);
    scene.cluster.set("shared_preload_libraries", "kakunin");
    scene.cluster.restart(Shutdown::Fast);

    let mut checks = Checks::new();
    for (number, case) in cases.iter().enumerate() {
        let warned = Arc::new(AtomicBool::new(false));
        let sees = Arc::clone(&warned);
        let mut config = scene.cluster.config("postgres", &copy(number));
        config.notice_callback(move |notice| _ = sees.fetch_or(notice.severity() == "WARNING", Ordering::Relaxed));
        let mut client = config.connect(postgres::NoTls).expect("the server runs");
        checks.equal(&format!("{}: in the database", case.name), found(&mut client), case.found.join(", "));
        let mut offline = match export(&mut client, None) {
            Ok(export) => first_fault(&verify_offline(&export, &[&scene.key], &[&scene.checkpoint]).0),
            refusal => refusal_of(refusal).slug().to_owned(),
        };
        if warned.load(Ordering::Relaxed) {
            offline += ", with a warning";
        }
        checks.equal(&format!("{}: offline", case.name), offline, case.offline);
    }
}

/// What verify_ledger() finds.
pub fn found(client: &mut postgres::Client) -> String {
    let faults = "
        select case when to_regclass(relation::text) is null and relation is not null then 'gone'
                    else coalesce(relation::text, 'log') end || ' ' || coalesce(seq::text, '-') || ' ' || fault
          from (select distinct relation, seq, fault from kakunin.verify_ledger(indexes => true)) f
         order by relation is null, relation::text, seq, fault";
    ask(client, faults).replace(',', ", ").replace("app.", "")
}

/// A cluster with ledgers, and what was kept of them elsewhere.
pub struct Scene {
    pub cluster: Cluster,
    pub key: String,
    pub checkpoint: String,
}

impl Scene {
    pub fn new() -> Self {
        let cluster = Cluster::start();
        let mut superuser = cluster.superuser();
        run(&mut superuser, SCHEMA);
        for entry in FIRST_ENTRIES {
            run(&mut superuser, entry);
        }
        run(&mut superuser, "call app.fill()");
        run(&mut superuser, "select kakunin.checkpoint()");
        for entry in MORE_ENTRIES {
            run(&mut superuser, entry);
        }
        let kept = |client: &mut postgres::Client, query: &str| -> String {
            client.query_one(query, &[]).expect("an administrator may").get(0)
        };
        let checkpoint = kept(&mut superuser, "select kakunin.checkpoint()");
        let key = kept(&mut superuser, "select kakunin.verifier_key()");
        for entry in TAIL {
            run(&mut superuser, entry);
        }
        run(&mut superuser, FORGE);
        Self { cluster, key, checkpoint }
    }
}

const SCHEMA: &str = "
    create extension amcheck;
    create schema app;
    create type app.mood as enum ('calm', 'cross');
    create table app.note (
        id bigint primary key, body text, count int, amount numeric, flag boolean, at timestamptz, data jsonb,
        bytes bytea, parts int[], mood app.mood, place point, span int4range, secret text, other text
    );
    insert into app.note values
        (1, 'one', 1, 1.5, true, '2026-01-01', '{\"a\": 1}', '\\x01', '{1,2}', 'calm', '(1,2)', '[1,3)', 's1', 'o1'),
        (2, 'two', 2, 2.5, true, '2026-01-02', '{\"a\": 2}', '\\x02', '{2,3}', 'calm', '(2,3)', '[2,4)', 's2', 'o2');
    select from kakunin.attach_ledger('app.note', '{secret,other}');
    create index note_body on app.note (body);

    create table app.event (id int, day date, body text, primary key (id, day)) partition by range (day);
    create table app.event_1 partition of app.event for values from ('2021-01-01') to ('2022-01-01');
    create table app.event_2 partition of app.event for values from ('2022-01-01') to ('2023-01-01');
    create table app.event_3 partition of app.event for values from ('2023-01-01') to ('2024-01-01');
    select from kakunin.attach_ledger('app.event');

    create table app.mini (id int primary key, body text);
    select from kakunin.attach_ledger('app.mini');
    create index mini_body on app.mini (body);
    create procedure app.fill() language plpgsql as $$
        begin
            for number in 1..260 loop
                insert into app.mini values (number, 'mini ' || number);
                commit;
            end loop;
        end $$;
";

/// Entries of note: 2 with three rows, 3 with one, 4 with two, which event has an entry of, too. Of event: 2 and 3 in the
/// first partition, 4 in the second. Of mini: 2 to 261 with a row each.
const FIRST_ENTRIES: &[&str] = &[
    "insert into app.note (id, body, count, secret, other) values (3, 'three', 3, 's3', 'o3'), (4, 'four', 4, 's4', 'o4'),
         (5, 'five', 5, 's5', 'o5')",
    "begin; insert into app.note (id, body) values (99, 'undone'); rollback",
    "insert into app.note (id, body, count) values (6, 'six', 6)",
    "begin; insert into app.note (id, body) values (7, 'seven'), (8, 'eight');
     insert into app.event values (1, '2021-01-01', 'a'); commit",
    "insert into app.event values (2, '2021-02-02', 'b')",
    "insert into app.event values (3, '2022-02-02', 'c'), (4, '2022-03-03', 'd')",
];
/// Of note: 5 redacts row 3, 6 with one row. Of event: 5 with a row in the third partition.
const MORE_ENTRIES: &[&str] = &[
    "select kakunin.redact('app.note', ledger_tx, ledger_row, '{secret}', 'asked for') from app.note where id = 3",
    "insert into app.note (id, body) values (9, 'nine')",
    "insert into app.event values (5, '2023-03-03', 'e')",
];
/// Newer than the checkpoint. Of note: 7 and 8 with a row each. Of mini: 262.
const TAIL: &[&str] = &[
    "insert into app.note (id, body) values (10, 'ten')",
    "insert into app.note (id, body) values (11, 'eleven')",
    "insert into app.mini values (300, 'mini 300')",
];

/// What somebody needs who wants no seam to be seen: hashes of entries and rows, as docs/spec/ledger.md says.
const FORGE: &str = "
    create schema forge;
    create function forge.hash(e kakunin.ledger_entry) returns bytea language sql as $$
        select sha256('\\x004501' || uuid_send(l.id) || int8send(e.seq) || substr(int2send(e.kind), 2) || int8send(e.tx)
                      || int8send(e.first_row) || int8send(e.rows) || e.root
                      || int8send((extract(epoch from e.at) * 1000000)::bigint)
                      || case when e.certificate is null then '\\x00'::bytea else '\\x20'::bytea || e.certificate end
                      || int2send(octet_length(e.role)::int2) || convert_to(e.role, 'UTF8')
                      || int4send(octet_length(e.detail)) || convert_to(e.detail, 'UTF8') || e.previous)
          from kakunin.ledger l where l.number = e.ledger $$;
    create function forge.leaf(r app.mini) returns bytea language sql as $$
        select sha256('\\x005201' || uuid_send(l.id) || '\\x00010200000008' || int8send(r.id)
                      || '\\x000206' || int4send(octet_length(r.body)) || convert_to(r.body, 'UTF8'))
          from kakunin.ledger l where l.relation = 'app.mini'::regclass $$;
    create function forge.number(ledger regclass) returns int language sql as $$
        select number from kakunin.ledger where relation = $1 $$;
    -- Numbers, counts and links all entries of a ledger anew.
    create function forge.chain(of regclass) returns void language plpgsql as $$
        declare
            e kakunin.ledger_entry;
            previous bytea := decode(repeat('00', 32), 'hex');
            place bigint := 0;
            before bigint := 0;
        begin
            for e in select * from kakunin.ledger_entry where ledger = forge.number(of) order by seq loop
                place := place + 1;
                delete from kakunin.ledger_entry where ledger = e.ledger and seq = e.seq;
                e.seq := place;
                e.first_row := before;
                e.previous := previous;
                e.hash := forge.hash(e);
                insert into kakunin.ledger_entry select e.*;
                previous := e.hash;
                before := before + e.rows;
            end loop;
        end $$;
    do $$ begin
        if exists (select from kakunin.ledger_entry e where forge.hash(e) <> e.hash) then
            raise 'a hash is not made as the extension makes it';
        end if;
    end $$;
";

const TRIGGERS_OFF: &str = "
    set allow_system_table_mods = on;
    update pg_trigger set tgenabled = 'D' where tgname like 'ledger_%' or tgname = 'entries_restored';
";
const TRIGGERS_BACK: &str = "
    set allow_system_table_mods = on;
    update pg_trigger set tgenabled = 'A' where tgname like 'ledger_%' or tgname = 'entries_restored';
";
