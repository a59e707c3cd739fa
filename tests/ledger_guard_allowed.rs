//! What may be done to a ledger: maintenance, privileges, additions. And that the guard leaves the errors of others as
//! they are.

#[path = "ledger_guard/yard.rs"]
mod yard;

use kakunin_tests::scene::{ask, refused, run, state};
use kakunin_tests::{Checks, Cluster, refusal_of};
use yard::{Yard, allowed, attempt, refused as all_refused};

#[test]
fn the_owner_maintains_a_ledger_and_adds_to_it() {
    let yard = Yard::new();
    let before = yard.state();
    let mut checks = Checks::new();
    allowed(&mut checks, "owner", &mut yard.owner(), ADDITIONS);
    allowed(&mut checks, "superuser", &mut yard.superuser(), ADDITIONS);
    allowed(&mut checks, "unbridled", &mut yard.unbridled(), ADDITIONS);
    allowed(&mut checks, "superuser", &mut yard.superuser(), FOR_SUPERUSERS);
    checks.equal("all rolled back", yard.state(), before);
}

#[test]
fn what_rewrites_or_locks_a_ledger_leaves_its_rows_as_they_are() {
    let yard = Yard::new();
    let before = yard.state();
    let mut checks = Checks::new();
    for (who, mut client) in [("owner", yard.owner()), ("superuser", yard.superuser())] {
        for statement in MAINTENANCE {
            checks.equal(&format!("{who}: {statement}"), state(&mut client, statement), "00000".to_owned());
        }
    }
    let mut superuser = yard.superuser();
    for statement in MAINTENANCE_OF_OURS {
        checks.equal(statement, state(&mut superuser, statement), "00000".to_owned());
    }
    checks.equal("as before", yard.state(), before.clone());
    run(&mut superuser, "set allow_in_place_tablespaces = on");
    run(&mut superuser, "create tablespace elsewhere location ''");
    run(&mut superuser, "alter table app.note set tablespace elsewhere");
    run(&mut superuser, "alter table all in tablespace elsewhere set tablespace pg_default");
    run(&mut superuser, "reassign owned by owner to other");
    run(&mut superuser, "alter table app.note owner to owner");
    checks.equal("rows", &yard.state()[..2], &before[..2]);
    let inserted = state(&mut superuser, "insert into app.note (body) values ('still')");
    checks.equal("it goes on", inserted, "00000".to_owned());
}

#[test]
fn columns_partitions_and_indexes_are_added() {
    let yard = Yard::new();
    let mut checks = Checks::new();
    let mut owner = yard.owner();
    let rows = |client: &mut _| ask(client, "select count(*) from app.event");
    let count = rows(&mut owner);
    run(&mut owner, "alter table app.event add column extra text");
    run(&mut owner, "alter table app.event alter column extra set default 'later'");
    run(
        &mut owner,
        "create table app.event_next partition of app.event for values from ('2022-01-01') to ('2023-01-01');
         create table app.event_far (like app.event including defaults including indexes) partition by list (id);
         create table app.event_far_1 partition of app.event_far default;
         insert into app.event_far (id, day) values (1, '2030-01-01'); delete from app.event_far;
         alter table app.event attach partition app.event_far for values from ('2030-01-01') to ('2031-01-01')",
    );
    let trigger =
        "select string_agg(tgrelid::regclass || ' ' || tgenabled::text, ', ' order by tgrelid::regclass::text)
        from pg_trigger where tgname = 'ledger_refuse_statement'
        and tgrelid in ('app.event_next'::regclass, 'app.event_far'::regclass, 'app.event_far_1'::regclass)";
    let expected = "app.event_far A, app.event_far_1 A, app.event_next A";
    checks.equal("the trigger for statements", ask(&mut owner, trigger), expected.to_owned());
    checks.equal("no row came with them", rows(&mut owner), count);
    let mut superuser = yard.superuser();
    all_refused(
        &mut checks,
        "new partitions",
        &mut superuser,
        &[
            ("ledger_append_only", "truncate app.event_next"),
            ("ledger_append_only", "truncate app.event_far_1"),
            ("ledger_append_only", "delete from app.event_far_1 where false"),
            ("ledger_definition", "alter table app.event drop column extra"),
            ("ledger_definition", "drop table app.event_far_1"),
        ],
    );
    run(&mut owner, "create index concurrently on app.note (account)");
    run(&mut owner, "reindex table concurrently app.note");
    run(&mut owner, "drop index app.note_account_idx, app.note_body");
}

#[test]
fn errors_of_others_keep_their_context_position_and_names() {
    let yard = Yard::new();
    let mut checks = Checks::new();
    for (who, cluster) in [("a ledger", None), ("no ledger", Some(Cluster::start()))] {
        let mut client = cluster.as_ref().map_or_else(|| yard.superuser(), Cluster::superuser);
        run(&mut client, "create table public.u (id int constraint u_key primary key); insert into u values (1)");
        let error = client.batch_execute("do $$ begin insert into u values (1); end $$").expect_err("a duplicate");
        let error = error.as_db_error().expect("the server's");
        let names = (error.schema(), error.table(), error.constraint());
        checks.equal(&format!("{who}: names"), names, (Some("public"), Some("u"), Some("u_key")));
        let context = error.where_().unwrap_or_default().to_owned();
        checks.holds(&format!("{who}: context"), context.contains("inline_code_block line 1"), context);
        for statement in ["alter table u add column x nosuchtype", "create index on u (nosuch(id))"] {
            let error = client.batch_execute(statement).expect_err("it does not exist");
            let position = error.as_db_error().expect("the server's").position().cloned();
            checks.holds(&format!("{who}: {statement}"), position.is_some(), position);
        }
        let error = client.batch_execute("do $$ begin execute 'drop table nosuch'; end $$").expect_err("no table");
        let context = error.as_db_error().expect("the server's").where_().unwrap_or_default().to_owned();
        checks.holds(&format!("{who}: nested"), context.contains("SQL statement \"drop table nosuch\""), context);
    }
    // What the guard says itself has context as well.
    let refusal = refused(&mut yard.superuser(), "do $$ begin execute 'drop table app.note'; end $$");
    checks.holds("ours", refusal.context.contains("SQL statement \"drop table app.note\""), refusal.context);
}

#[test]
fn a_refusal_can_be_caught_and_leaves_nothing_behind() {
    let yard = Yard::new();
    let mut checks = Checks::new();
    let mut client = yard.superuser();
    // After each of these the innermost statement is another one than the one that failed.
    let caught = "do $$ begin
            begin drop table app.note; exception when restrict_violation then null; end;
            begin alter table app.note add column extra int default 5; exception when restrict_violation then null; end;
            begin vacuum app.note; exception when others then null; end;
            begin reindex table nosuch; exception when others then null; end;
            begin drop index app.note_ledger_tx_idx; exception when restrict_violation then raise 'as it must be'; end;
        end $$";
    let refusal = refusal_of(client.batch_execute(caught));
    checks.equal("the last of them", refusal.message, "as it must be".to_owned());
    run(&mut client, "begin; savepoint a");
    refused(&mut client, "alter extension kakunin drop function kakunin.ledger_row()");
    run(&mut client, "rollback to a");
    refused(&mut client, "drop index app.note_ledger_tx_idx");
    run(&mut client, "rollback");
    // A procedure that rolls back in the middle.
    run(
        &mut client,
        "create procedure p() language plpgsql as $$ begin
            alter table app.note add column extra int; rollback;
            alter table app.note add column extra int; commit;
            alter table app.note add column more int default 5; end $$",
    );
    let refusal = refused(&mut client, "call p()");
    checks.equal("in a procedure", refusal.slug(), "ledger_column_filled");
    let columns = "select string_agg(attname, ',') from pg_attribute where attrelid = 'app.note'::regclass
        and attname in ('extra', 'more')";
    checks.equal("what was committed", ask(&mut client, columns), "extra".to_owned());
    let found = attempt(&mut client, "insert into app.note (body) values ('on it goes')");
    checks.equal("and it goes on", found, "00000 ".to_owned());
}

const ADDITIONS: &[&str] = &[
    "create index on app.note (account, mood); create unique index extra on app.note (id, body); drop index app.extra",
    "create index on app.event (body); drop index app.event_body_idx",
    "drop index app.note_body",
    "alter index app.note_body rename to other; alter index app.other set (fillfactor = 70)",
    "grant select, insert on app.note to other; revoke insert on app.note from other; grant all on app.event to public",
    "comment on table app.note is 'x'; comment on column app.note.body is 'y'; comment on trigger ledger_append on app.note is 'z'",
    "alter table app.note enable row level security; create policy p on app.note using (true); drop policy p on app.note",
    "alter table app.event force row level security; alter table app.event no force row level security",
    "alter table app.note disable row level security",
    "alter table app.note set (fillfactor = 50, autovacuum_enabled = off); alter table app.note reset (fillfactor)",
    "alter table app.note alter column body set statistics 500, alter column body set storage external",
    "alter table app.note alter column body set (n_distinct = 5), alter column body set compression pglz",
    "alter table app.note cluster on note_pkey; alter table app.note set without cluster",
    "alter table app.note replica identity full",
    "alter table app.note add column extra text",
    "alter table app.note add column extra text, add column more app.mood, alter column extra set default 'x'",
    "alter table app.note add column extra int check (extra > 0) references app.account",
    "alter table app.note add column if not exists body text",
    "alter table app.event add column extra int",
    "alter table app.note add constraint c check (body <> 'x') not valid; alter table app.note validate constraint c",
    "alter table app.note add constraint c check (true); alter table app.note rename constraint c to d;
     alter table app.note drop constraint d",
    "alter table app.note add constraint f foreign key (account) references app.account on delete restrict",
    "alter table app.note add unique (id, body); alter table app.event add unique (day, id)",
    "alter table app.note drop constraint note_account_fkey",
    "alter table app.note alter column body drop not null; alter table app.note alter column account set not null",
    "alter table app.note alter column body set default 'y'; alter table app.note alter column body drop default",
    "alter table app.note alter column ledger_tx set not null",
    "alter table app.note alter column id drop identity; alter table app.note alter column id add generated always as identity",
    "create table app.pointing (note bigint references app.note on delete cascade)",
    "create function app.t() returns trigger language plpgsql as 'begin new.body = upper(new.body); return new; end';
     create trigger mine before insert on app.note for each row execute function app.t();
     create or replace trigger mine before insert on app.note for each row execute function app.t();
     insert into app.note (body) values ('x');
     alter table app.note disable trigger mine; alter table app.note enable always trigger mine;
     alter trigger mine on app.note rename to yours; drop trigger yours on app.note",
    "create function app.t() returns trigger language plpgsql as 'begin return null; end';
     create constraint trigger mine after insert on app.note deferrable for each row execute function app.t()",
    "alter table app.note enable always trigger ledger_append; alter table app.event enable always trigger ledger_refuse",
    "create table app.p partition of app.event for values from ('2022-01-01') to ('2023-01-01')",
    "create table app.p partition of app.event_new default",
    "create table app.p (like app.event including all);
     alter table app.event attach partition app.p for values from ('2022-01-01') to ('2023-01-01')",
    "create table app.copy (like app.note including all); drop table app.copy",
    "create table app.copy as table app.note; update app.copy set body = ''; truncate app.copy; drop table app.copy",
    "create view app.v as select * from app.note; create or replace view app.v as select * from app.note; drop view app.v",
    "create materialized view app.m as select * from app.note; refresh materialized view app.m",
    "create statistics app.s on account, mood from app.note; drop statistics app.s",
    "alter type app.mood add value 'ask'",
    "alter domain app.title set default 'x'; alter domain app.title add constraint c check (value <> 'y')",
    "alter table app.shape owner to current_user; grant usage on type app.mood to other",
    "lock table app.note; select count(*) from app.note",
    "create table app.other (id int); create rule r as on insert to app.other do instead nothing; drop table app.other",
    "create schema more create table t (i int) create view v as select 1; drop schema more cascade",
    "alter table app.plain rename to simple; alter table app.simple add column c int default 7; drop table app.simple",
    "select from kakunin.attach_ledger('app.account')",
];

const FOR_SUPERUSERS: &[&str] = &[
    "alter table app.note owner to other; alter schema app owner to other; alter type app.mood owner to other",
    "reassign owned by owner to other",
    "create publication p for table app.note; drop publication p",
    "alter extension kakunin update",
    "alter function kakunin.ledger_append() owner to owner; alter schema kakunin owner to owner",
    "grant execute on function kakunin.ledger_append() to other; grant usage on schema kakunin to other",
    "create role r; drop owned by r; drop role r",
];

const MAINTENANCE: &[&str] = &[
    "vacuum app.note",
    "vacuum (full, analyze) app.note",
    "vacuum full app.event",
    "analyze app.event",
    "cluster app.note using note_pkey",
    "reindex table app.note",
    "reindex table concurrently app.note",
    "reindex index concurrently app.note_ledger_tx_idx",
    "reindex index concurrently app.event_old_pkey",
    "reindex table concurrently app.event",
    "alter table app.note set without cluster",
];

const MAINTENANCE_OF_OURS: &[&str] = &[
    "vacuum full kakunin.ledger",
    "vacuum full kakunin.ledger_entry",
    "analyze kakunin.ledger_column",
    "reindex table concurrently kakunin.ledger_entry",
    "cluster kakunin.ledger using ledger_pkey",
    "alter table kakunin.ledger set without cluster",
    "alter table kakunin.ledger_entry set (fillfactor = 100)",
    "reindex schema kakunin",
];
