//! Rows of a ledger stay as they are: every way to write to them is refused, to superusers too.
//! Number 1 of the attacks that must fail.

#[path = "ledger_guard/yard.rs"]
mod yard;

use kakunin_tests::scene::{ask, run, state};
use kakunin_tests::{Checks, Cluster, refusal_of};
use yard::{Yard, allowed, attempt, refused};

const APPEND_ONLY: &str = "ledger_append_only";
const CATALOGUE: &str = "ledger_catalogue";

#[test]
fn attack_01_no_statement_changes_rows_of_a_ledger() {
    let yard = Yard::new();
    let before = yard.state();
    let mut checks = Checks::new();
    let writers = [("owner", yard.owner()), ("superuser", yard.superuser()), ("unbridled", yard.unbridled())];
    for (who, mut client) in writers {
        let cases: Vec<(&str, &str)> = ROW_WRITES.iter().map(|statement| (APPEND_ONLY, *statement)).collect();
        refused(&mut checks, who, &mut client, &cases);
        // A procedure ends the transaction that it is called in, so it is called outside of one.
        let refusal = refusal_of(client.batch_execute("call app.strike_procedure()"));
        checks.equal(&format!("{who}: a procedure"), refusal.slug(), APPEND_ONLY);
    }
    checks.equal("nothing changed", yard.state(), before);
}

#[test]
fn attack_01_a_role_that_was_granted_everything_changes_no_row() {
    let yard = Yard::new();
    run(&mut yard.superuser(), "grant usage on schema app to other; grant all on all tables in schema app to other");
    let mut other = yard.cluster.connect("other", kakunin_tests::DATABASE);
    let mut checks = Checks::new();
    let cases = [
        (APPEND_ONLY, "update app.note set body = 'x'"),
        (APPEND_ONLY, "delete from app.event"),
        (APPEND_ONLY, "truncate app.note"),
        (APPEND_ONLY, "update app.note_view set body = 'x'"),
    ];
    refused(&mut checks, "other", &mut other, &cases);
    // Who may not do it anyhow is told so by PostgreSQL.
    run(&mut yard.superuser(), "revoke update on app.note from other");
    let found = attempt(&mut other, "update app.note set body = 'x'");
    checks.equal("without the privilege", found, "42501 permission denied for table note".to_owned());
}

#[test]
fn attack_01_no_plan_that_was_made_before_there_was_a_ledger_changes_rows() {
    let yard = Yard::new();
    let mut checks = Checks::new();
    let mut superuser = yard.superuser();
    run(
        &mut superuser,
        "create table late (id int primary key, body text); insert into late values (1, 'a');
         prepare change as update late set body = 'b'; execute change; execute change; execute change;
         execute change; execute change; execute change;
         set plan_cache_mode = force_generic_plan; execute change;
         create function late_change() returns void language plpgsql as $$ begin delete from late where id = 7; end $$;
         select late_change()",
    );
    let mut other = yard.superuser();
    run(&mut other, "select kakunin.attach_ledger('late')");
    refused(
        &mut checks,
        "prepared",
        &mut superuser,
        &[(APPEND_ONLY, "execute change"), (APPEND_ONLY, "select late_change()")],
    );
    // And in the transaction that makes the ledger.
    refused(
        &mut checks,
        "attached in this transaction",
        &mut superuser,
        &[
            (
                APPEND_ONLY,
                "create table now (id int primary key); select kakunin.attach_ledger('now'); delete from now",
            ),
            (
                "ledger_definition",
                "create table now (id int primary key); select kakunin.attach_ledger('now'); drop table now",
            ),
        ],
    );
    // One that was rolled back is none.
    run(&mut superuser, "create table undone (id int primary key)");
    run(&mut superuser, "begin; select kakunin.attach_ledger('undone'); rollback");
    run(&mut superuser, "delete from undone; drop table undone");
}

#[test]
fn attack_01_the_tables_that_ledgers_are_kept_in_are_append_only_too() {
    let yard = Yard::new();
    let before = yard.state();
    let mut checks = Checks::new();
    for (who, mut client) in [("superuser", yard.superuser()), ("unbridled", yard.unbridled())] {
        for (table, column) in OWN_TABLES {
            for statement in [
                format!("update kakunin.{table} set {column} = {column}"),
                format!("delete from kakunin.{table}"),
                format!("truncate kakunin.{table} cascade"),
            ] {
                refused(&mut checks, who, &mut client, &[(APPEND_ONLY, &statement)]);
            }
        }
        refused(
            &mut checks,
            who,
            &mut client,
            &[
                (APPEND_ONLY, "delete from kakunin.ledger where relation = 'app.note'::regclass"),
                (APPEND_ONLY, "update kakunin.ledger set relation = 'app.plain'::regclass where number = 1"),
            ],
        );
    }
    checks.equal("nothing changed", yard.state(), before);
}

#[test]
fn attack_01_the_audit_log_is_a_ledger_from_its_first_row_on() {
    let cluster = Cluster::start();
    let mut checks = Checks::new();
    let (mut superuser, mut other) = (cluster.superuser(), cluster.superuser());
    // Another session has looked before there was a ledger.
    run(&mut other, "delete from kakunin.revocation");
    run(
        &mut superuser,
        "insert into kakunin.audit_log (event_type, actor_type, actor_id) values ('a.b', 'system', 'x')",
    );
    for (who, client) in [("the session", &mut superuser), ("another", &mut other)] {
        run(client, "set session_replication_role = replica");
        refused(
            &mut checks,
            who,
            client,
            &[
                (APPEND_ONLY, "update kakunin.audit_log set description = ''"),
                (APPEND_ONLY, "delete from kakunin.audit_log"),
                (APPEND_ONLY, "truncate kakunin.audit_log"),
                ("ledger_definition", "drop table kakunin.audit_log cascade"),
                ("ledger_definition", "alter table kakunin.audit_log drop column description"),
                ("ledger_trigger", "alter table kakunin.audit_log disable trigger ledger_append"),
                ("ledger_extension", "drop extension kakunin cascade"),
                (CATALOGUE, "delete from pg_trigger"),
            ],
        );
    }
}

#[test]
fn attack_01_no_catalogue_is_written_to_where_there_is_a_ledger() {
    let yard = Yard::new();
    let before = yard.state();
    let mut checks = Checks::new();
    let cases: Vec<(&str, &str)> = CATALOGUE_WRITES.iter().map(|statement| (CATALOGUE, *statement)).collect();
    refused(&mut checks, "superuser", &mut yard.superuser(), &cases);
    refused(&mut checks, "unbridled", &mut yard.unbridled(), &cases);
    let cases: Vec<(&str, &str)> = CATALOGUE_CHANGES.iter().map(|statement| (CATALOGUE, *statement)).collect();
    refused(&mut checks, "unbridled", &mut yard.unbridled(), &cases);
    // Where long values are, PostgreSQL lets nobody write.
    let toast = "select reltoastrelid::regclass from pg_class where oid = 'app.note'::regclass";
    let toast = ask(&mut yard.superuser(), toast);
    for statement in ["delete from", "update", "truncate"] {
        let set = if statement == "update" { "set chunk_seq = 0" } else { "" };
        let found = attempt(&mut yard.unbridled(), &format!("{statement} {toast} {set}"));
        checks.equal(&format!("{statement} {toast}"), &found[..5], "42809");
    }
    checks.equal("nothing changed", yard.state(), before);
    // Reading and maintaining them is as ever.
    let fine = ["select count(*) from pg_class", "analyze pg_class", "reindex table pg_class", "set work_mem = '5MB'"];
    allowed(&mut checks, "superuser", &mut yard.superuser(), &fine);
    checks.equal("vacuum", state(&mut yard.superuser(), "vacuum full pg_attrdef"), "00000".to_owned());
    checks.equal("settings", state(&mut yard.superuser(), SETTING), "00000".to_owned());
}

#[test]
fn a_database_without_a_ledger_is_not_concerned() {
    let cluster = Cluster::start();
    let mut client = cluster.superuser();
    let mut checks = Checks::new();
    let fine = [
        "create table t (id int primary key); insert into t values (1); update t set id = 2; truncate t; drop table t",
        "update pg_description set description = description where false",
        "drop extension kakunin cascade",
        "create table t (i int); create rule r as on insert to t do instead nothing; alter table t disable trigger all",
    ];
    allowed(&mut checks, "no ledger", &mut client, &fine);
    run(&mut client, "create table t (id int primary key); drop extension kakunin; create extension kakunin");
    // The extension came after this session's first look, and the ledger after that.
    run(&mut client, "delete from t; select kakunin.attach_ledger('t')");
    refused(&mut checks, "then", &mut client, &[(APPEND_ONLY, "delete from t")]);
    // Other databases of the cluster are not concerned.
    run(&mut client, "create database elsewhere");
    let mut elsewhere = cluster.connect("postgres", "elsewhere");
    let fine = ["create table t (id int); delete from t; drop table t", "update pg_class set relname = relname"];
    allowed(&mut checks, "elsewhere", &mut elsewhere, &fine);
}

#[test]
fn what_only_adds_or_reads_works() {
    let yard = Yard::new();
    let mut checks = Checks::new();
    for (who, mut client) in [("owner", yard.owner()), ("superuser", yard.superuser())] {
        allowed(&mut checks, who, &mut client, READS_AND_INSERTS);
    }
    let output = yard.cluster.psql("owner", COPY);
    checks.holds("copy", output.success, &output.stderr);
    let mut superuser = yard.superuser();
    checks.equal(
        "copied",
        ask(&mut superuser, "select count(*) from app.note where body like 'copied%'"),
        "2".to_owned(),
    );
    let entries = "select count(*) from kakunin.ledger_entry where kind = 1 and rows = 2 and ledger = 1";
    checks.equal("chained", ask(&mut superuser, entries), "1".to_owned());
}

/// With a column of each.
const OWN_TABLES: &[(&str, &str)] = &[
    ("ledger", "attached_by"),
    ("ledger_column", "type"),
    ("ledger_entry", "detail"),
    ("ledger_redaction", "commitment"),
    ("log", "origin"),
    ("log_range", "ledger"),
    ("log_tile", "hashes"),
    ("checkpoint", "note"),
    ("signing_key", "public_key"),
];

const ROW_WRITES: &[&str] = &[
    "update app.note set body = 'forged'",
    "update app.note set body = 'forged' where false",
    "update only app.note set body = 'forged' where id = 1",
    "update app.note n set mood = 'allow' from app.account a where a.id = n.account",
    "delete from app.note",
    "delete from app.note using app.account a where a.id = account returning body",
    "truncate app.note",
    "truncate only app.note restart identity cascade",
    "truncate app.plain, app.note",
    "truncate app.account cascade",
    "update app.event set body = 'forged'",
    "delete from app.event where day < '2021-01-01'",
    "truncate app.event",
    "update app.event_old set body = 'forged'",
    "delete from app.event_old where false",
    "truncate app.event_old",
    "update app.event_new set body = 'forged'",
    "delete from app.event_new_1",
    "truncate app.event_new_1",
    "update app.event set day = '2020-05-05' where id = 2",
    "merge into app.note n using app.account a on a.id = n.account when matched then update set body = 'forged'",
    "merge into app.note n using app.account a on a.id = n.account when matched then delete",
    "merge into app.event e using (select 1) x on false when not matched then insert values (9, '2020-09-09')
        when matched then delete",
    "insert into app.note (id, body) values (1, 'forged') on conflict (id) do update set body = excluded.body",
    "insert into app.event values (1, '2020-02-02') on conflict (id, day) do update set body = 'forged'",
    "with gone as (delete from app.note returning 1) select count(*) from gone",
    "with changed as (update app.event_old set body = '' returning 1) select count(*) from changed",
    "explain analyze update app.note set body = 'forged'",
    "do $$ begin delete from app.note; end $$",
    "do $$ begin begin delete from app.note; exception when division_by_zero then null; end; end $$",
    "do $$ begin execute 'truncate app.event_old'; end $$",
    "do $$ declare c cursor for select * from app.note for update; r record;
        begin open c; fetch c into r; update app.note set body = 'x' where current of c; end $$",
    "select app.strike()",
    "update app.note_view set body = 'forged'",
    "delete from app.note_view",
    "update app.plain set body = 'forged'",
    "prepare p as update app.note set body = $1; execute p('forged')",
    "declare c cursor for select * from app.note for update; fetch c; delete from app.note where current of c",
    "update app.note set ledger_tx = 1",
    "update app.note set ledger_row = ledger_row + 1",
    "update app.event_new_1 set ledger_tx = ledger_tx",
];

const CATALOGUE_WRITES: &[&str] = &[
    "copy pg_trigger from program 'true'",
    "update pg_class set relhastriggers = false where oid = 'app.note'::regclass",
    "update pg_class set relnatts = relnatts where false",
    "update pg_trigger set tgenabled = 'D'",
    "delete from pg_trigger where tgrelid = 'app.note'::regclass",
    "update pg_rewrite set ev_enabled = 'D'",
    "update pg_proc set prosrc = 'kakunin_ledger_refuse' where proname = 'ledger_append'",
    "update pg_attribute set attname = 'x' where attrelid = 'app.note'::regclass and attname = 'body'",
    "delete from pg_attrdef where adrelid = 'app.note'::regclass",
    "insert into pg_inherits select 'app.plain'::regclass, 'app.note'::regclass, 1, false",
    "delete from pg_inherits where inhrelid = 'app.event_old'::regclass",
    "delete from pg_depend",
    "delete from pg_extension where extname = 'kakunin'",
    "update pg_index set indisunique = false where indrelid = 'kakunin.ledger'::regclass",
    "delete from pg_constraint where conrelid = 'app.note'::regclass",
    "update pg_type set typsend = 'textsend' where typname = 'mood'",
    "update pg_enum set enumlabel = 'forged' where enumlabel = 'deny'",
    "update pg_namespace set nspname = 'x' where nspname = 'kakunin'",
    "update pg_authid set rolsuper = true where rolname = 'owner'",
    "merge into pg_class c using (select 1) x on false when matched then delete",
    "with x as (delete from pg_trigger returning 1) select count(*) from x",
    "do $$ begin update pg_class set relname = relname where false; end $$",
];

const CATALOGUE_CHANGES: &[&str] = &[
    "alter table pg_trigger add column x int",
    "alter table pg_class enable row level security",
    "create trigger t before insert on pg_description for each row execute function kakunin.ledger_refuse()",
    "create rule r as on update to pg_class do instead nothing",
    "truncate pg_trigger",
    "alter table pg_trigger rename to x",
];

const READS_AND_INSERTS: &[&str] = &[
    "select * from app.note; table app.event; select * from app.event_old",
    "select * from app.note for update",
    "select * from app.note for no key update; select * from app.event for share; select * from app.note for key share",
    "select * from app.note n join app.account a on a.id = n.account for update of n skip locked",
    "lock table app.note in access exclusive mode",
    "insert into app.note (account, body) values (1, 'x'), (2, 'y') returning id",
    "insert into app.event values (10, '2020-10-10', 'x'), (11, '2021-04-04', 'y')",
    "insert into app.event_old (id, day) values (12, '2020-12-12')",
    "insert into app.note_view (body) values ('through the view')",
    "insert into app.note (id, body) values (1, 'there') on conflict do nothing",
    "insert into app.note (body) select body from app.note",
    "merge into app.note n using (select 77 as id) x on x.id = n.id when not matched then insert (id) values (x.id)",
    "with added as (insert into app.note (body) values ('x') returning id) select * from added",
    "create temp table mine as select * from app.note; update mine set body = ''; delete from mine; drop table mine",
    "update app.account set name = 'three' where id = 2",
    "prepare p as insert into app.note (body) values ($1); execute p('x')",
    "explain (costs off) update app.account set name = ''",
];

const COPY: &str = "copy app.note (account, body) from stdin;
1\tcopied a
2\tcopied b
\\.
copy app.event (id, day, body) from stdin with (format csv, header match);
id,day,body
20,2020-11-11,copied
\\.
";

const SETTING: &str = "update pg_settings set setting = '6MB' where name = 'work_mem'";
