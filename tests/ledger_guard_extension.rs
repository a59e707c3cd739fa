//! What ledgers stand on: the extension's functions, tables and schema; and its scripts and dumps, which must pass.
//! Number 1 of the attacks that must fail.

#[path = "ledger_guard/yard.rs"]
mod yard;

use kakunin_tests::scene::{ask, refused as refusal_of_statement, run, state};
use kakunin_tests::{Checks, Cluster, DATABASE, Shutdown};
use std::path::PathBuf;
use yard::{Yard, allowed, refused};

const EXTENSION: &str = "ledger_extension";

#[test]
fn attack_01_the_extension_stays_while_there_is_a_ledger() {
    let yard = Yard::new();
    let before = yard.state();
    let mut checks = Checks::new();
    let cases: Vec<(&str, &str)> = ATTACKS.iter().map(|statement| (EXTENSION, *statement)).collect();
    for (who, mut client) in [("superuser", yard.superuser()), ("unbridled", yard.unbridled())] {
        refused(&mut checks, who, &mut client, &cases);
    }
    // The owner of the table is told by PostgreSQL that these are not theirs, or by us.
    let mut owner = yard.owner();
    for statement in ATTACKS {
        let found = state(&mut owner, &format!("begin; {statement}"));
        run(&mut owner, "rollback");
        checks.holds(&format!("owner: {statement}"), ["23001", "42501", "0A000"].contains(&found.as_str()), found);
    }
    checks.equal("nothing changed", yard.state(), before);
    // What leaves the extension as it is, and other extensions.
    allowed(
        &mut checks,
        "superuser",
        &mut yard.superuser(),
        &[
            "alter extension kakunin update",
            "create function mine() returns int language sql as 'select 1'; drop function mine()",
            "create function kakunin.mine() returns int language sql as 'select 1'; drop function kakunin.mine()",
            "create or replace function app.strike() returns void language sql as ''",
        ],
    );
}

#[test]
fn scripts_of_the_extension_may_change_it_but_nobody_through_them() {
    let yard = Yard::new();
    let mut checks = Checks::new();
    let mut superuser = yard.superuser();
    let script = Script::new(&mut superuser, "guard.1", SCRIPT);
    // What an event trigger does while the script runs is not the script's.
    for attack in [
        "drop table if exists app.note cascade",
        "delete from app.note",
        "alter table app.note disable trigger ledger_append",
        "create or replace function kakunin.ledger_tx() returns bigint stable language sql as 'select 1::bigint'",
        "update pg_trigger set tgenabled = tgenabled",
    ] {
        run(
            &mut superuser,
            &format!(
                "create function public.strike() returns event_trigger language plpgsql as
                     $f$ begin execute $a${attack}$a$; end $f$;
                 create event trigger strike on ddl_command_end when tag in ('ALTER TABLE')
                     execute function public.strike()"
            ),
        );
        let refusal = refusal_of_statement(&mut superuser, "alter extension kakunin update to 'guard.1'");
        checks.equal(attack, refusal.sqlstate.as_str(), "23001");
        run(&mut superuser, "drop event trigger strike; drop function public.strike()");
    }
    run(&mut superuser, "alter extension kakunin update to 'guard.1'");
    let cost = "select procost from pg_proc where oid = 'kakunin.ledger_refuse()'::regprocedure";
    checks.equal("the script ran", ask(&mut superuser, cost), "7".to_owned());
    drop(script);
    let found = state(&mut superuser, "alter function kakunin.ledger_refuse() cost 8");
    checks.equal("not from outside", found, "23001".to_owned());
}

#[test]
fn what_event_triggers_do_while_a_ledger_is_attached_is_not_allowed_with_it() {
    let yard = Yard::new();
    let mut checks = Checks::new();
    let mut superuser = yard.superuser();
    run(
        &mut superuser,
        "create table victim (id int primary key);
         create function strike() returns event_trigger language plpgsql as
             $$ begin execute current_setting('my.attack'); end $$;
         create event trigger strike on ddl_command_end when tag in ('CREATE TRIGGER', 'ALTER TABLE')
             execute function strike()",
    );
    for (slug, attack) in [
        ("ledger_trigger", "alter table app.note disable trigger ledger_append"),
        ("ledger_append_only", "delete from app.note"),
        ("ledger_definition", "drop table if exists app.event_old"),
        (EXTENSION, "alter function kakunin.ledger_row() volatile"),
        ("ledger_catalogue", "update pg_trigger set tgenabled = tgenabled"),
    ] {
        let attack = format!("set my.attack = '{attack}'; select from kakunin.attach_ledger('victim')");
        refused(&mut checks, "within attach_ledger", &mut superuser, &[(slug, &attack)]);
    }
    allowed(
        &mut checks,
        "a harmless one",
        &mut superuser,
        &["set my.attack = 'select 1'; select from kakunin.attach_ledger('victim')"],
    );
}

#[test]
fn a_dump_comes_back_whole_and_is_guarded() {
    let yard = Yard::new();
    let before = yard.state();
    let mut checks = Checks::new();
    let cluster = &yard.cluster;
    let file = |name: &str| cluster.socket_directory().join(name).to_string_lossy().into_owned();
    let (custom, directory, plain) = (file("custom"), file("directory"), file("plain.sql"));
    for arguments in [vec!["-Fc", "-f", &custom], vec!["-Fd", "-f", &directory], vec!["-Fp", "-f", &plain]] {
        let output = cluster.tool("pg_dump", "postgres", &[arguments, vec![DATABASE]].concat());
        assert!(output.success, "{}", output.stderr);
    }
    let sections =
        ["--section=pre-data", "--section=data", "--section=post-data"].map(|section| vec![section, &custom]);
    let ways: [(&str, Vec<Vec<&str>>); 4] = [
        ("one_transaction", vec![vec!["--single-transaction", &custom]]),
        ("sections", sections.to_vec()),
        ("jobs", vec![vec!["-j", "2", &directory]]),
        ("schema_and_data", vec![vec!["--schema-only", &custom], vec!["--data-only", &custom]]),
    ];
    for (database, runs) in &ways {
        run(&mut cluster.connect("postgres", "postgres"), &format!("create database {database} template template0"));
        for arguments in runs {
            let all = [&["-d", database, "--exit-on-error"], &arguments[..]].concat();
            let output = cluster.tool("pg_restore", "postgres", &all);
            checks.holds(&format!("{database}: {arguments:?}"), output.success, &output.stderr);
        }
        guarded(&mut checks, database, cluster, &before);
    }
    run(&mut cluster.connect("postgres", "postgres"), "create database by_psql template template0");
    let output = cluster.psql_over(&cluster.connection("postgres", "by_psql"), &format!("\\i {plain}"));
    checks.holds("by_psql", output.success, &output.stderr);
    guarded(&mut checks, "by_psql", cluster, &before);
    // What would switch triggers off does not get to it.
    run(&mut cluster.connect("postgres", "postgres"), "create database off template one_transaction");
    let arguments = ["-d", "off", "--exit-on-error", "--data-only", "--disable-triggers", "-t", "note", &custom];
    let output = cluster.tool("pg_restore", "postgres", &arguments);
    checks.holds("--disable-triggers", !output.success, "it succeeded");
    checks.holds("its hint", output.stderr.contains("without --disable-triggers"), &output.stderr);
    // Nor does what would drop the ledger first.
    let output = cluster.tool("pg_restore", "postgres", &["-d", "off", "--exit-on-error", "--clean", &custom]);
    checks.holds("--clean", !output.success && output.stderr.contains("ledger"), &output.stderr);
    guarded(&mut checks, "off", cluster, &before);
}

#[test]
fn an_upgrade_by_pg_upgrade_keeps_the_guard() {
    let mut yard = Yard::new();
    let before = yard.state();
    let mut checks = Checks::new();
    let mut target = Cluster::builder().fresh().without_extension().start();
    run(&mut target.connect("postgres", "postgres"), &format!("drop database {DATABASE}"));
    target.upgrade_from(&mut yard.cluster);
    guarded(&mut checks, DATABASE, &target, &before);
    target.restart(Shutdown::Immediate);
    guarded(&mut checks, DATABASE, &target, &before);
}

/// Is everything there that was, and refused what was?
fn guarded(checks: &mut Checks, database: &str, cluster: &Cluster, before: &[String]) {
    let mut client = cluster.connect("postgres", database);
    let found = yard::state_of(&mut client);
    for (found, expected) in found.iter().zip(before) {
        checks.equal(&format!("{database}: the state"), found, expected);
    }
    refused(
        checks,
        database,
        &mut client,
        &[
            ("ledger_append_only", "update app.note set body = ''"),
            ("ledger_append_only", "truncate app.event_old"),
            ("ledger_definition", "drop table app.event"),
            ("ledger_trigger", "alter table app.event_new_1 disable trigger ledger_append"),
            (EXTENSION, "drop extension kakunin cascade"),
            ("ledger_catalogue", "delete from pg_trigger"),
        ],
    );
    let faults = "select fault, detail from kakunin.verify_ledger()";
    checks.equal(&format!("{database}: verified"), ask(&mut client, faults), String::new());
    let inserted = state(&mut client, "begin; insert into app.note (body) values ('x'); rollback");
    checks.equal(&format!("{database}: it goes on"), inserted, "00000".to_owned());
}

/// An update script of the extension, which is there until it is dropped.
struct Script(PathBuf);

impl Script {
    fn new(superuser: &mut postgres::Client, to: &str, text: &str) -> Self {
        let place = "select setting from pg_config where name = 'SHAREDIR'";
        let version = "select extversion from pg_extension where extname = 'kakunin'";
        let name = format!("kakunin--{}--{to}.sql", ask(superuser, version));
        let path = PathBuf::from(ask(superuser, place)).join("extension").join(name);
        std::fs::write(&path, text).expect("the private PostgreSQL can be written to");
        Self(path)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

const SCRIPT: &str = "
alter table kakunin.ledger_entry add column extra int;
alter function kakunin.ledger_refuse() cost 7;
create or replace function kakunin.extra() returns int language sql as 'select 1';
alter table kakunin.ledger disable trigger ledger_refuse;
alter table kakunin.ledger enable always trigger ledger_refuse;
";

const ATTACKS: &[&str] = &[
    "drop extension kakunin",
    "drop extension kakunin cascade",
    "drop extension if exists nothing, kakunin cascade",
    "drop schema kakunin cascade",
    "alter schema kakunin rename to other",
    "alter extension kakunin drop function kakunin.ledger_append()",
    "alter extension kakunin drop table kakunin.ledger",
    "drop function kakunin.ledger_append() cascade",
    "drop function kakunin.ledger_refuse",
    "drop routine kakunin.ledger_tx() cascade",
    "create or replace function kakunin.ledger_append() returns trigger language plpgsql as 'begin return null; end'",
    "create or replace function kakunin.ledger_refuse() returns trigger language plpgsql as 'begin return old; end'",
    "create or replace function kakunin.ledger_tx() returns bigint language sql as 'select 1::bigint'",
    "alter function kakunin.ledger_append() rename to other",
    "alter function kakunin.ledger_refuse() set schema public",
    "alter function kakunin.ledger_row() set work_mem = '4MB'",
    "alter function kakunin.ledger_tx() volatile",
    "alter function kakunin.ledger_append() security definer",
    "drop table kakunin.ledger cascade",
    "drop table kakunin.ledger_entry",
    "drop sequence kakunin.ledger_tx_number cascade",
    "alter sequence kakunin.ledger_tx_number restart",
    "alter sequence kakunin.ledger_tx_number rename to other",
    "alter table kakunin.ledger rename to other",
    "alter table kakunin.ledger_entry set schema public",
    "alter table kakunin.ledger_entry set unlogged",
    "alter table kakunin.ledger_entry add column extra int",
    "alter table kakunin.ledger_entry drop column hash",
    "alter table kakunin.ledger_entry alter column detail type varchar using ''",
    "alter table kakunin.ledger_entry rename column hash to other",
    "alter table kakunin.ledger_entry add check (false) not valid",
    "alter table kakunin.ledger drop constraint ledger_pkey cascade",
    "alter table kakunin.ledger alter column id drop not null",
    "alter table kakunin.ledger alter column id set default '00000000-0000-0000-0000-000000000000'",
    "alter table kakunin.ledger disable trigger all",
    "alter table kakunin.ledger_entry disable trigger ledger_refuse",
    "alter table kakunin.ledger enable row level security",
    "drop trigger ledger_refuse on kakunin.ledger",
    "alter trigger ledger_refuse on kakunin.ledger rename to other",
    "create trigger mine before insert on kakunin.ledger_entry for each row execute function kakunin.ledger_refuse()",
    "create rule r as on insert to kakunin.ledger_entry do instead nothing",
    "create table public.child () inherits (kakunin.ledger_entry)",
    "create table public.parent (number int not null); alter table kakunin.ledger inherit public.parent",
    "drop index kakunin.ledger_entry_tx",
];
