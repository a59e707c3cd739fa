//! Values that are erased are gone, and what is left of them proves what was there only to who has them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kakunin_core::ledger::row::{RowReader, commitment, tag};
use kakunin_tests::offline::export;
use kakunin_tests::scene::{ask, refused, run, state};
use kakunin_tests::{Checks, Cluster, DATABASE};
use postgres::Client;
use std::fs;

const SCHEMA: &str = "
    create role owner login; create role admin login in role kakunin_admin;
    create role auditor login in role kakunin_auditor; create role agent login in role kakunin_agent;
    grant create on schema public to owner, admin;
    set role owner;
    create type pair as (a int, b text);
    create table note (id int primary key, body text, secret text, pair pair, data jsonb, large text, amount int);
    create index on note (secret);
    create index on note ((lower(secret)));
    grant insert, select on note to agent;
    create table event (id int, day date, secret text, primary key (id, day)) partition by range (day);
    create table event_1 partition of event for values from ('2021-01-01') to ('2022-01-01');
    create table event_2 partition of event for values from ('2022-01-01') to ('2023-01-01');
    reset role;
    select from kakunin.attach_ledger('note', '{secret,pair,data,large,amount}');
    select from kakunin.attach_ledger('event', '{secret}');
    insert into note values
        (1, 'one', 'MARKER-secret-one', '(1,MARKER-pair)', '{\"a\": \"MARKER-data\"}', 'MARKER' || repeat('z', 100000), 7),
        (2, 'two', 'MARKER-secret-two', null, null, null, null);
    insert into event values (1, '2021-02-02', 'MARKER-event-one'), (2, '2022-02-02', 'MARKER-event-two');
";

fn redact(client: &mut Client, table: &str, id: i32, columns: &str) -> String {
    let redact = format!("select kakunin.redact('{table}', ledger_tx, ledger_row, '{{{columns}}}', 'asked for')");
    ask(client, &format!("{redact} from {table} where id = {id}"))
}

fn faults(client: &mut Client) -> String {
    ask(client, "select relation, seq, fault, detail from kakunin.verify_ledger()")
}

/// How often a text is in the files of a table and its indexes.
fn traces(cluster: &Cluster, client: &mut Client, table: &str, text: &str) -> usize {
    run(client, "checkpoint");
    let files = format!(
        "select pg_relation_filepath(oid) from pg_class
          where oid in (select '{table}'::regclass union select indexrelid from pg_index where indrelid = '{table}'::regclass
                        union select reltoastrelid from pg_class where oid = '{table}'::regclass and reltoastrelid <> 0)"
    );
    let files = ask(client, &files);
    let content = |file: &str| fs::read(cluster.data_directory().join(file)).expect("the table has a file");
    files.split(',').map(|file| memchr::memmem::find_iter(&content(file), text).count()).sum()
}

#[test]
fn what_is_erased_is_gone_and_the_chain_verifies() {
    let cluster = Cluster::start();
    let mut client = cluster.superuser();
    let mut checks = Checks::new();
    run(&mut client, SCHEMA);
    checks.equal("before", faults(&mut client), "");
    checks.holds("it is there", traces(&cluster, &mut client, "note", "MARKER-secret-one") > 1, "not found");
    checks.equal("five values", redact(&mut client, "note", 1, "secret,pair,data,large,amount"), "5");
    checks.equal("again", redact(&mut client, "note", 1, "secret,pair,data,large,amount"), "0");
    checks.equal("one value named twice", redact(&mut client, "note", 2, "secret,secret"), "1");
    checks.equal("values that were NULL", redact(&mut client, "note", 2, "pair,amount"), "0");
    checks.equal("no column", redact(&mut client, "note", 2, ""), "0");
    checks.equal("in a partition", redact(&mut client, "event", 1, "secret"), "1");
    let rows = "select id, body, secret, pair, data, large, amount from note order by id";
    let expected = "1|one|NULL|NULL|NULL|NULL|NULL,2|two|NULL|NULL|NULL|NULL|NULL";
    checks.equal("what is left", ask(&mut client, rows), expected);
    checks.equal("by the name of its partition", redact(&mut client, "event_1", 1, "secret"), "0");
    checks.equal(
        "other partitions",
        ask(&mut client, "select id, secret from event order by id"),
        "1|NULL,2|MARKER-event-two",
    );
    checks.equal("after", faults(&mut client), "");
    let entries =
        "select count(*), string_agg(distinct detail::jsonb ->> 'reason', '') from kakunin.ledger_entry where kind = 6";
    checks.equal("each has an entry", ask(&mut client, entries), "3|asked for");
    // Dead rows go as they do in any table.
    run(&mut client, "vacuum full note");
    run(&mut client, "vacuum full event_1");
    for table in ["note", "event_1"] {
        checks.equal(&format!("{table}: in the files"), traces(&cluster, &mut client, table, "MARKER"), 0);
    }
    checks.equal(
        "by index",
        ask(&mut client, "set enable_seqscan = off; select count(*) from note where secret like 'MARKER%'"),
        "0",
    );
    checks.equal("sound", ask(&mut client, "select * from kakunin.verify_ledger()"), "");

    for (what, statement, slug) in [
        (
            "a column that is not",
            "select kakunin.redact('note', ledger_tx, ledger_row, '{body}', 'r') from note",
            "ledger_not_redactable",
        ),
        (
            "no such column",
            "select kakunin.redact('note', ledger_tx, ledger_row, '{nothing}', 'r') from note",
            "ledger_not_redactable",
        ),
        (
            "our own",
            "select kakunin.redact('note', ledger_tx, ledger_row, '{ledger_salt}', 'r') from note",
            "ledger_not_redactable",
        ),
        ("no such row", "select kakunin.redact('note', ledger_tx, 9, '{secret}', 'r') from note", "ledger_row_unknown"),
        ("no such transaction", "select kakunin.redact('note', -1, 0, '{secret}', 'r')", "ledger_row_unknown"),
        (
            "no reason",
            "select kakunin.redact('note', ledger_tx, ledger_row, '{secret}', ' ') from note",
            "reason_missing",
        ),
        ("no ledger", "select kakunin.redact('pg_class', 1, 0, '{secret}', 'r')", "ledger_unknown"),
    ] {
        checks.equal(what, refused(&mut client, statement).slug(), slug);
    }
}

#[test]
fn only_administrators_erase() {
    let cluster = Cluster::start();
    let mut checks = Checks::new();
    run(&mut cluster.superuser(), SCHEMA);
    let attempt = "select kakunin.redact('note', 1, 0, '{secret}', 'r')";
    for role in ["owner", "agent", "auditor"] {
        let mut client = cluster.connect(role, DATABASE);
        checks.equal(role, state(&mut client, attempt), "42501");
        checks.equal(
            &format!("{role}: update"),
            state(&mut client, "update note set secret = null").chars().take(2).collect::<String>(),
            if role == "owner" { "23" } else { "42" },
        );
    }
    // Who has no right to the table at all, but is an administrator.
    let mut admin = cluster.connect("admin", DATABASE);
    checks.equal("admin reads", state(&mut admin, "select * from note"), "42501");
    let place = ask(&mut cluster.superuser(), "select ledger_tx || ', ' || ledger_row from note where id = 1");
    checks.equal("admin", ask(&mut admin, &format!("select kakunin.redact('note', {place}, '{{secret}}', 'r')")), "1");
    checks.equal("sound", faults(&mut cluster.superuser()), "");
}

#[test]
fn whoever_has_value_and_salt_proves_what_was_there() {
    let cluster = Cluster::start();
    let mut client = cluster.superuser();
    run(&mut client, SCHEMA);
    let salts: Vec<u8> =
        client.query_one("select ledger_salt from note where id = 1", &[]).expect("it is there").get(0);
    redact(&mut client, "note", 1, "secret,amount");
    run(&mut client, "select kakunin.checkpoint()");
    let export = export(&mut client, Some("note")).expect("a superuser may");
    let line = export.lines().find(|line| line.starts_with("{\"rows\"")).expect("it has rows");
    let rows: serde_json::Value = serde_json::from_str(line).expect("it is JSON");
    let row = STANDARD.decode(rows["rows"][0].as_str().expect("a text")).expect("base64");
    let field = |number: u16| {
        let fields = RowReader::new(&row).expect("a row").map(|field| field.expect("a field"));
        let field = fields.into_iter().find(|field| field.number == number).expect("it is there");
        assert_eq!(field.tag, tag::COMMITMENT);
        field.bytes.to_vec()
    };
    let salt = |place: usize| -> [u8; 16] { salts[place * 16..][..16].try_into().expect("one for each column") };
    let (secret, amount) = (b"MARKER-secret-one", 7_i64.to_be_bytes());
    assert_eq!(field(3), commitment(&salt(0), 3, tag::TEXT, secret));
    assert_eq!(field(7), commitment(&salt(4), 7, tag::INTEGER, &amount));
    assert_ne!(field(3), commitment(&salt(1), 3, tag::TEXT, secret), "each column has its own salt");
    assert_ne!(field(3), commitment(&salt(0), 3, tag::TEXT, b"MARKER-secret-two"));
    let left: Vec<u8> = client.query_one("select ledger_salt from note where id = 1", &[]).expect("it is there").get(0);
    assert_eq!((&left[..16], &left[64..]), (&[0; 16][..], &[0; 16][..]), "the salts are gone");
    assert_eq!(left[16..64], salts[16..64], "those of other columns are not");
}

const MEDDLING: &str = "
    set role owner;
    create table meddled (id int primary key, body text, secret text, other text);
    create table beside (id int primary key, secret text);
    create table plain (copy text);
    create function meddle() returns trigger language plpgsql as $$
        begin
            case current_setting('app.mode', true)
                when 'another column' then new.body := 'changed';
                when 'another secret' then new.other := null;
                when 'the value stays' then new.secret := old.secret;
                when 'another value' then new.secret := 'forged';
                when 'nothing is done' then return null;
                when 'the row stays' then return old;
                when 'the salt stays' then new.ledger_salt := old.ledger_salt;
                when 'the place' then new.ledger_tx := new.ledger_tx + 1;
                when 'the number' then new.ledger_row := new.ledger_row + 5;
                when 'another row' then update public.meddled set secret = null where id = 2;
                when 'the row itself' then update public.meddled set body = 'changed' where id = 1;
                when 'another ledger' then update public.beside set secret = 'forged';
                when 'a row more' then insert into public.meddled (id, body, ledger_tx, ledger_row)
                                       values (77, 'forged', old.ledger_tx, old.ledger_row);
                when 'a deletion' then delete from public.meddled where id = 2;
                when 'an emptying' then truncate public.beside;
                when 'another owner' then execute 'alter table public.meddled disable trigger all';
                else null;
            end case;
            return new;
        end $$;
    create trigger meddle before update on meddled for each row execute function meddle();
    create trigger meddle_later after update on meddled for each row execute function meddle();
    reset role;
    select from kakunin.attach_ledger('meddled', '{secret,other}');
    select from kakunin.attach_ledger('beside', '{secret}');
    begin;
    insert into meddled values (1, 'one', 's1', 'o1'), (2, 'two', 's2', 'o2');
    insert into beside (id, secret, ledger_row) values (1, 'b1', 0);
    commit;
";

#[test]
fn triggers_of_the_owner_that_interfere_are_refused_and_nothing_is_changed() {
    let cluster = Cluster::start();
    let mut client = cluster.superuser();
    let mut checks = Checks::new();
    run(&mut client, SCHEMA);
    run(&mut client, MEDDLING);
    let state_of = "select (select string_agg(m::text, ';' order by id) from meddled m), (select string_agg(b::text, ';') from beside b),
                           (select count(*) from kakunin.ledger_redaction), (select count(*) from kakunin.ledger_entry)";
    let before = ask(&mut client, state_of);
    checks.equal(
        "two ledgers have a row of one place",
        ask(&mut client, "select count(*) from meddled m join beside b using (ledger_tx, ledger_row)"),
        "1",
    );
    let attempt = "select kakunin.redact('meddled', ledger_tx, ledger_row, '{secret}', 'r') from meddled where id = 1";
    for (mode, refusal) in [
        ("another column", "ledger_erasure_incomplete"),
        ("another secret", "ledger_erasure_incomplete"),
        ("the value stays", "ledger_erasure_incomplete"),
        ("another value", "ledger_erasure_incomplete"),
        ("nothing is done", "ledger_erasure_incomplete"),
        ("the row stays", "ledger_erasure_incomplete"),
        ("the salt stays", "ledger_erasure_incomplete"),
        ("the place", "ledger_row_unknown"),
        ("the number", "ledger_row_unknown"),
        ("another row", "ledger_append_only"),
        ("the row itself", ""),
        ("another ledger", "ledger_append_only"),
        ("a row more", "ledger_place_forged"),
        ("a deletion", "ledger_append_only"),
        ("an emptying", "ledger_append_only"),
        ("another owner", ""),
    ] {
        run(&mut client, &format!("set app.mode = '{mode}'"));
        let found = refused(&mut client, attempt);
        checks.holds(mode, found.slug() == refusal || refusal.is_empty(), found.text());
        checks.equal(&format!("{mode}: what is there"), ask(&mut client, state_of), before.as_str());
    }
    run(&mut client, "set app.mode = ''");
    checks.equal("left alone", ask(&mut client, attempt), "1");
    checks.equal("sound", faults(&mut client), "");
}

const ESCALATION: &str = "
    create schema own;
    create function own.grab() returns void language plpgsql as $$
        begin
            if current_user <> 'owner' then execute 'alter role owner superuser'; end if;
        end $$;
    create function own.f(int) returns int language plpgsql immutable as $$ begin perform own.grab(); return 1; end $$;
    create table own.l (id int, day date, secret text, primary key (id, day)) partition by range (day);
    create table own.l_1 partition of own.l for values from ('2021-01-01') to ('2022-01-01');
    create table own.l_2 partition of own.l for values from ('2022-01-01') to ('2023-01-01');
";
const ESCALATION_LATER: &str = "
    create index on own.l ((id + own.f(1)));
    create index on own.l (id) where own.f(2) = 1;
    create statistics own.s on (id + own.f(3)), day from own.l_1;
    alter table own.l add check (own.f(4) = 1 or id > 0);
    insert into own.l values (1, '2021-01-01', 's1');
";

#[test]
fn attack_11_functions_in_indexes_and_constraints_run_as_nobody_but_the_owner() {
    let cluster = Cluster::start();
    let mut superuser = cluster.superuser();
    let mut checks = Checks::new();
    run(
        &mut superuser,
        "create extension amcheck; create role owner login in role kakunin_admin, kakunin_auditor;
         grant create on database test to owner",
    );
    run(&mut cluster.connect("owner", DATABASE), ESCALATION);
    run(&mut superuser, "select from kakunin.attach_ledger('own.l', '{secret}')");
    let mut owner = cluster.connect("owner", DATABASE);
    run(&mut owner, ESCALATION_LATER);
    run(&mut owner, "insert into own.l values (2, '2022-02-02', 's2')");
    run(&mut superuser, "select kakunin.checkpoint()");
    // A superuser who asked the table would run them.
    let tx = ask(&mut owner, "select ledger_tx from own.l where id = 1");
    for statement in [
        format!("select * from kakunin.verify_ledger('own.l', tx => {tx})"),
        "select * from kakunin.verify_ledger(indexes => true)".to_owned(),
        format!("select kakunin.inclusion_proof('own.l', {tx}, 0)"),
        format!("select kakunin.redact('own.l', {tx}, 0, '{{secret}}', 'r')"),
        "select kakunin.checkpoint()".to_owned(),
        "select kakunin.export_ledger()".to_owned(),
        "select kakunin.prune_ledger('own.l_1', 'r')".to_owned(),
        "select kakunin.close_ledger('own.l', 'r')".to_owned(),
    ] {
        // A new session each time: what was planned once is remembered.
        let mut client = cluster.connect("owner", DATABASE);
        run(&mut client, "set constraint_exclusion = on");
        checks.equal(&statement, state(&mut client, &statement), "00000");
        checks.equal("who it is", ask(&mut superuser, "select rolsuper from pg_roles where rolname = 'owner'"), "f");
    }
    checks.equal("sound", faults(&mut superuser), "");
}

#[test]
fn row_security_that_is_forced_hides_nothing_from_an_erasure() {
    let cluster = Cluster::start();
    let mut client = cluster.superuser();
    let mut checks = Checks::new();
    run(&mut client, SCHEMA);
    run(&mut client, "alter table note enable row level security; alter table note force row level security");
    checks.equal(
        "the owner sees nothing",
        ask(&mut cluster.connect("owner", DATABASE), "select count(*) from note"),
        "0",
    );
    let place = ask(&mut client, "select ledger_tx || ', ' || ledger_row from note where id = 1");
    let mut admin = cluster.connect("admin", DATABASE);
    checks.equal("erased", ask(&mut admin, &format!("select kakunin.redact('note', {place}, '{{secret}}', 'r')")), "1");
    checks.equal("it is gone", ask(&mut client, "select secret from note where id = 1"), "NULL");
    let tx = place.split(',').next().expect("two numbers").to_owned();
    checks.equal("sound", ask(&mut client, &format!("select * from kakunin.verify_ledger('note', tx => {tx})")), "");
    checks.equal("all of it", faults(&mut client), "");
}
