//! What a ledger's table is stays as it is, where a change would touch its past. Number 1 of the attacks that must fail.

#[path = "ledger_guard/yard.rs"]
mod yard;

use kakunin_tests::scene::{ask, run, state};
use kakunin_tests::{Checks, refusal_of};
use yard::{Yard, allowed, attempt, refused};

const DEFINITION: &str = "ledger_definition";
const TRIGGER: &str = "ledger_trigger";
const COLUMN: &str = "ledger_column_filled";
const PARTITION: &str = "ledger_partition";
const TYPE: &str = "ledger_type";
const CASCADE: &str = "ledger_cascade";

/// Tries all of it as the owner, as a superuser, and as one that has switched off what can be.
fn all_refused(cases: &[(&str, &str)]) {
    let yard = Yard::new();
    let before = yard.state();
    let mut checks = Checks::new();
    run(
        &mut yard.superuser(),
        "create access method other_heap type table handler heap_tableam_handler;
         create foreign data wrapper w; create server s foreign data wrapper w; grant usage on foreign server s to owner",
    );
    for (who, mut client) in [("owner", yard.owner()), ("superuser", yard.superuser()), ("unbridled", yard.unbridled())]
    {
        refused(&mut checks, who, &mut client, cases);
    }
    checks.equal("nothing changed", yard.state(), before);
}

#[test]
fn attack_01_a_ledger_is_not_dropped() {
    all_refused(&[
        (DEFINITION, "drop table app.note"),
        (DEFINITION, "drop table app.note cascade"),
        (DEFINITION, "drop table app.plain, app.event"),
        (DEFINITION, "drop table app.event_old"),
        (DEFINITION, "drop table app.event_new cascade"),
        (DEFINITION, "drop table app.event_new_1"),
        (TRIGGER, "drop schema app cascade"),
        (DEFINITION, "set search_path = app; drop table if exists nothing, note"),
        (DEFINITION, "drop table app.account cascade; drop type app.mood cascade"),
        (DEFINITION, "drop type app.place cascade"),
        (DEFINITION, "drop type app.level cascade"),
        (DEFINITION, "do $$ begin drop table app.note; end $$"),
        (DEFINITION, "do $$ begin execute 'drop table app.event_old'; end $$"),
        (DEFINITION, "select app.strike_by_name()"),
    ]);
    let yard = Yard::new();
    let mut checks = Checks::new();
    refused(
        &mut checks,
        "superuser",
        &mut yard.superuser(),
        &[
            (TRIGGER, "drop owned by owner cascade"),
            (TRIGGER, "alter extension plpgsql add table app.note; drop extension plpgsql cascade"),
            (
                TRIGGER,
                "alter trigger ledger_append on app.note depends on extension plpgsql; drop extension plpgsql cascade",
            ),
            (TRIGGER, "drop owned by owner, other cascade"),
            (
                DEFINITION,
                "create function hit() returns event_trigger language plpgsql as $$
                    begin drop table if exists app.note; end $$;
                 create event trigger hit on ddl_command_end when tag in ('CREATE VIEW') execute function hit();
                 create view v as select 1",
            ),
        ],
    );
}

#[test]
fn attack_01_columns_of_a_ledger_stay() {
    all_refused(&[
        (DEFINITION, "alter table app.note drop column body"),
        (DEFINITION, "alter table app.note drop column if exists nothing, drop column ledger_tx cascade"),
        (DEFINITION, "alter table app.note alter column body type varchar"),
        (DEFINITION, "alter table app.note alter column body type text using 'forged'"),
        (DEFINITION, "alter table app.note add column extra int, alter column account type bigint"),
        (DEFINITION, "alter table app.note rename column body to text"),
        (DEFINITION, "alter table app.note rename body to text"),
        (DEFINITION, "alter view app.note rename column body to text"),
        (DEFINITION, "alter table app.note alter column ledger_tx drop not null"),
        (DEFINITION, "alter table app.note alter column ledger_row drop default"),
        (DEFINITION, "alter table app.note alter column ledger_tx set default 7"),
        (DEFINITION, "alter table app.event alter column ledger_tx drop default"),
        (DEFINITION, "alter table app.event_old alter column ledger_tx set default 7"),
        (DEFINITION, "alter table only app.event_new_1 alter column ledger_row drop default"),
        (DEFINITION, "alter table app.event drop column body"),
        (DEFINITION, "alter table app.event alter column body type varchar"),
        (DEFINITION, "alter table app.event rename column body to text"),
        (COLUMN, "alter table app.note add column extra int default 5"),
        (COLUMN, "alter table app.note add column extra text default 'x' not null"),
        (COLUMN, "alter table app.note add column extra timestamptz default now()"),
        (COLUMN, "alter table app.note add column extra float default random()"),
        (COLUMN, "alter table app.note add column extra int default 5, alter column extra set default null"),
        (COLUMN, "alter table app.note add column extra float default random(), alter column extra set default null"),
        (COLUMN, "alter table app.note add column extra serial"),
        (COLUMN, "alter table app.note add column extra int generated always as identity"),
        (COLUMN, "alter table app.note add column extra text generated always as (body || '!') stored"),
        (COLUMN, "create domain app.five as int default 5; alter table app.note add column extra app.five"),
        (COLUMN, "alter table app.event add column extra int default 5"),
        (COLUMN, "alter table app.event add column extra float default random()"),
        (
            COLUMN,
            "create function app.alters() returns bool language plpgsql as
                $$ begin alter table app.account set (fillfactor = 90); return true; end $$;
             alter table app.note add column extra float default random(), alter column extra set default null,
                add constraint c check (app.alters())",
        ),
        (
            COLUMN,
            "create function app.swallow() returns bool language plpgsql as
                $$ begin perform 1 / 0; return true; exception when others then return true; end $$;
             alter table app.note add column extra int default 5, add constraint c check (app.swallow())",
        ),
    ]);
}

#[test]
fn attack_01_triggers_of_a_ledger_stay_and_fire_always() {
    all_refused(&[
        (TRIGGER, "alter table app.note disable trigger ledger_append"),
        (TRIGGER, "alter table app.note disable trigger ledger_refuse"),
        (TRIGGER, "alter table app.note disable trigger user"),
        (TRIGGER, "alter table app.note enable trigger ledger_append"),
        (TRIGGER, "alter table app.note enable trigger user"),
        (TRIGGER, "alter table app.note enable replica trigger ledger_refuse_statement"),
        (TRIGGER, "alter table app.event disable trigger ledger_append"),
        (TRIGGER, "alter table only app.event disable trigger ledger_append"),
        (TRIGGER, "alter table app.event_old disable trigger ledger_append"),
        (TRIGGER, "alter table app.event_new_1 enable trigger user"),
        (TRIGGER, "drop trigger ledger_append on app.note"),
        (TRIGGER, "drop trigger ledger_refuse on app.event"),
        (TRIGGER, "drop trigger ledger_refuse_statement on app.event_old"),
        (TRIGGER, "alter trigger ledger_append on app.note rename to x"),
        (TRIGGER, "alter trigger ledger_append on app.event rename to x"),
        (
            TRIGGER,
            "create or replace trigger ledger_append after insert on app.note for each row when (false)
                execute function kakunin.ledger_append('x')",
        ),
        (
            TRIGGER,
            "create or replace trigger ledger_refuse before update on app.note for each row
                execute function kakunin.ledger_refuse()",
        ),
        (
            TRIGGER,
            "create function app.f() returns trigger language plpgsql as 'begin return null; end';
             create or replace trigger ledger_append after insert on app.note for each row execute function app.f()",
        ),
        (
            TRIGGER,
            "do $$ declare id uuid := (select id from kakunin.ledger where relation = 'app.note'::regclass); begin
                execute format('create or replace trigger ledger_append after insert on app.note for each row
                    execute function kakunin.ledger_append(%L)', id); end $$",
        ),
        (
            TRIGGER,
            "create trigger another after insert on app.note for each row execute function kakunin.ledger_append('x')",
        ),
    ]);
    let yard = Yard::new();
    let mut checks = Checks::new();
    for statement in ["alter table app.note disable trigger all", "alter table app.note enable trigger all"] {
        // As pg_restore --disable-triggers does it; the hint says so.
        let refusal = refusal_of(yard.superuser().batch_execute(statement));
        checks.equal(statement, (refusal.sqlstate.as_str(), refusal.slug()), ("23001", TRIGGER));
        checks.holds("the hint", refusal.hint.contains("without --disable-triggers"), &refusal.hint);
    }
}

#[test]
fn attack_01_no_rule_swallows_rows_and_no_table_stands_in() {
    all_refused(&[
        (DEFINITION, "create rule r as on insert to app.note do instead nothing"),
        (DEFINITION, "create rule r as on insert to app.event_old do instead nothing"),
        (DEFINITION, "create rule r as on update to app.note do also select 1"),
        (DEFINITION, "create or replace rule r as on delete to app.event do instead nothing"),
        (DEFINITION, "alter table app.note disable rule nothing"),
        (DEFINITION, "create table app.child () inherits (app.note)"),
        (
            DEFINITION,
            "create table app.child (like app.note including constraints); alter table app.child inherit app.note",
        ),
        (DEFINITION, "create table app.parent (id bigint); alter table app.note inherit app.parent"),
        (
            DEFINITION,
            "create table app.root (like app.note) partition by list (id);
             alter table app.root attach partition app.note default",
        ),
        (
            DEFINITION,
            "create table app.root (like app.event) partition by list (id);
             alter table app.root attach partition app.event default",
        ),
        (DEFINITION, "alter table app.note rename to other"),
        (DEFINITION, "alter index app.note rename to other"),
        (DEFINITION, "alter table app.event_old rename to other"),
        (DEFINITION, "create schema elsewhere; alter table app.note set schema elsewhere"),
        (DEFINITION, "create schema elsewhere; alter table app.event_new_1 set schema elsewhere"),
        (DEFINITION, "alter schema app rename to elsewhere"),
        (DEFINITION, "alter table app.note set unlogged"),
        (DEFINITION, "create type app.t as (id bigint); alter table app.note of app.t"),
        (DEFINITION, "alter table app.note drop constraint note_pkey"),
        (DEFINITION, "alter table app.event drop constraint event_pkey cascade"),
        (DEFINITION, "drop index app.note_ledger_tx_idx"),
        (DEFINITION, "drop index app.event_ledger_tx_idx"),
        (CASCADE, "alter table app.note add foreign key (account) references app.account on delete cascade"),
        (CASCADE, "alter table app.note add foreign key (account) references app.account on delete set null"),
        (CASCADE, "alter table app.note add foreign key (account) references app.account on update set default"),
        (
            CASCADE,
            "create table app.body (b text primary key);
             alter table app.event add foreign key (body) references app.body on update cascade",
        ),
        (CASCADE, "alter table app.note add column extra int references app.account on delete cascade"),
    ]);
}

#[test]
fn attack_01_partitions_of_a_ledger_stay_and_bring_no_rows() {
    all_refused(&[
        (DEFINITION, "alter table app.event detach partition app.event_old"),
        (DEFINITION, "alter table app.event_new detach partition app.event_new_1"),
        (DEFINITION, "alter table app.event detach partition app.event_old finalize"),
        (
            PARTITION,
            "create table app.filled (like app.event including all);
             insert into app.filled values (7, '2022-02-02', 'forged');
             alter table app.event attach partition app.filled for values from ('2022-01-01') to ('2023-01-01')",
        ),
        (
            PARTITION,
            "create table app.filled (like app.event including all) partition by range (day);
             create table app.filled_1 partition of app.filled default;
             insert into app.filled values (7, '2022-02-02', 'forged');
             alter table app.event attach partition app.filled for values from ('2022-01-01') to ('2023-01-01')",
        ),
        (
            PARTITION,
            "create table app.ruled (like app.event including all);
             create rule r as on insert to app.ruled do instead nothing;
             alter table app.event attach partition app.ruled for values from ('2022-01-01') to ('2023-01-01')",
        ),
        (
            PARTITION,
            "create table app.h partition of app.event for values from ('2022-01-01') to ('2023-01-01') using other_heap",
        ),
        (
            PARTITION,
            "create foreign table app.f partition of app.event for values from ('2022-01-01') to ('2023-01-01') server s",
        ),
        (
            PARTITION,
            "create unlogged table app.u partition of app.event for values from ('2022-01-01') to ('2023-01-01')",
        ),
    ]);
    let yard = Yard::new();
    let mut checks = Checks::new();
    let mut client = yard.superuser();
    // The nearest that is none of these.
    allowed(
        &mut checks,
        "superuser",
        &mut client,
        &["create table app.fit (like app.event including all);
           alter table app.event attach partition app.fit for values from ('2022-01-01') to ('2023-01-01')"],
    );
    // These end transactions of their own.
    for statement in [
        "alter table app.event detach partition app.event_old concurrently",
        "alter table app.event_new detach partition app.event_new_1 concurrently",
        "drop index concurrently app.note_ledger_tx_idx",
    ] {
        checks.equal(statement, state(&mut client, statement), "23001".to_owned());
    }
    // A name that comes to mean the ledger while the statement waits for its lock.
    let mut other = yard.superuser();
    run(
        &mut other,
        "create schema before; create table before.event (day date) partition by range (day);
         create table before.event_old partition of before.event for values from ('2020-01-01') to ('2021-01-01')",
    );
    run(&mut client, "set search_path = before, app");
    run(&mut other, "begin; drop table before.event");
    let statement = "alter table event detach partition event_old concurrently";
    let found = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| state(&mut client, statement));
        let is_over = || waiting.is_finished() || waits(&mut yard.superuser());
        kakunin_tests::wait_until("it waits, or was refused", || is_over().then_some(()));
        run(&mut other, "commit");
        waiting.join().expect("it does not panic")
    });
    checks.equal("another table's name", found, "23001".to_owned());
    run(&mut client, "reset search_path");
    let partitions =
        "select count(*) from pg_inherits where inhparent = 'app.event'::regclass and not inhdetachpending";
    checks.equal("no partition is half detached", ask(&mut client, partitions), "2".to_owned());
    // A partition that came later is one as well.
    run(&mut client, "create table app.event_later partition of app.event (ledger_tx default 3) default");
    refused(
        &mut checks,
        "later",
        &mut client,
        &[
            ("ledger_append_only", "truncate app.event_later"),
            ("ledger_append_only", "delete from app.event_later where false"),
            (DEFINITION, "drop table app.event_later"),
            (TRIGGER, "alter table app.event_later disable trigger ledger_append"),
        ],
    );
    run(&mut client, "grant insert on app.event_later to owner");
    let found = attempt(&mut yard.owner(), "insert into app.event_later (id, day) values (1, '2030-01-01')");
    checks.equal("a place that was not given", found, "23001 ledger_place_forged".to_owned());
}

/// Does any session wait for a lock?
fn waits(client: &mut postgres::Client) -> bool {
    ask(client, "select count(*) from pg_stat_activity where wait_event_type = 'Lock'") != "0"
}

#[test]
fn attack_01_types_of_a_ledger_do_not_change_what_rows_say() {
    all_refused(&[
        (TYPE, "alter type app.mood rename value 'deny' to 'forged'"),
        (TYPE, "alter type app.mood rename to other"),
        (TYPE, "create schema elsewhere; alter type app.mood set schema elsewhere"),
        (TYPE, "alter type app.level rename value 'low' to 'forged'"),
        (TYPE, "alter type app.levels rename to other"),
        (TYPE, "alter type app.place add attribute extra int"),
        (TYPE, "alter type app.place drop attribute name"),
        (TYPE, "alter type app.place rename attribute name to label"),
        (TYPE, "alter type app.inner_place drop attribute x"),
        (TYPE, "alter type app.inner_place rename attribute x to y2"),
        (TYPE, "alter domain app.title rename to heading"),
        (TYPE, "alter table app.shape add column extra int"),
        (TYPE, "alter table app.shape drop column colour"),
        (TYPE, "alter table app.shape rename column colour to color"),
        (TYPE, "alter table app.shape rename to form"),
    ]);
}
