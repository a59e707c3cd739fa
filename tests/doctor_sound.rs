//! `kakunin.doctor()`: what is no trap, however strange, gives no row and no error; and who may ask.

use kakunin_tests::scene::{ask, refused, run, try_ask};
use kakunin_tests::stage::{AGENT, OTHER, Stage};
use kakunin_tests::{Checks, Cluster, DATABASE};
use postgres::Client;

/// Severity, finding, object of every row.
fn found(client: &mut Client) -> String {
    ask(client, "select severity, finding, object from kakunin.doctor()")
}

#[test]
fn a_sound_database_gives_no_row() {
    let stage = Stage::new();
    let mut superuser = stage.cluster.superuser();
    let mut keeper = stage.cluster.superuser();
    let mut checks = Checks::new();
    checks.equal("one table", found(&mut superuser), String::new());
    run(&mut keeper, "create role keeper login; create schema \"a b\" authorization keeper; set role keeper");
    for (name, statements) in SOUND {
        run(&mut keeper, statements);
        checks.equal(name, found(&mut superuser), String::new());
    }
    // The same for every database of the cluster that has the extension.
    run(&mut superuser, "create database other");
    let mut other = stage.cluster.connect("postgres", "other");
    run(&mut other, "create schema \"p q\"; create extension kakunin schema \"p q\"");
    checks.equal("another schema", found(&mut other), String::new());
    let table = r#"create table note (serial text); select from kakunin.protect_table('note', 'serial');
        create view v as select * from note"#;
    run(&mut other, table);
    let expected = "high|view_without_security_invoker|public.v,medium|no_index_for_policy|public.note";
    checks.equal("another schema, traps", found(&mut other), expected.to_owned());
    checks.equal("the first database", found(&mut superuser), String::new());
}

#[test]
fn what_has_nothing_to_do_with_agents_gives_no_row() {
    let cluster = Cluster::start();
    let mut superuser = cluster.superuser();
    let mut checks = Checks::new();
    for (name, statements) in UNRELATED {
        run(&mut superuser, statements);
        checks.equal(name, found(&mut superuser), String::new());
    }
}

#[test]
fn strange_objects_are_no_error() {
    let stage = Stage::new();
    let mut superuser = stage.cluster.superuser();
    run(&mut superuser, "create schema strange");
    let mut checks = Checks::new();
    let mut temporary = stage.cluster.superuser();
    for (name, statements, expected) in STRANGE {
        run(&mut superuser, statements);
        let rows = try_ask(&mut superuser, "select severity, finding, object from kakunin.doctor()");
        let rows = rows.unwrap_or_else(|error| format!("{error:?}"));
        checks.equal(name, rows.as_str(), *expected);
        run(&mut superuser, "drop schema strange cascade; create schema strange");
    }
    // Temporary tables of another session, with policies and a view.
    let statements = "create temp table t (permitted_agent_serial text);
        select from kakunin.protect_table('t', create_index => true);
        create temp view v with (security_invoker) as select * from t";
    run(&mut temporary, statements);
    checks.equal("somebody's temporary table", found(&mut superuser), String::new());
    run(&mut temporary, "drop view v; create temp view v as select * from t");
    // Nobody else can reach it, or mend it.
    checks.equal("somebody's temporary view", found(&mut superuser), String::new());
    let expected = "high|view_without_security_invoker|v".to_owned();
    checks.equal("a temporary view of one's own", found(&mut temporary), expected);
    let remedy = ask(&mut temporary, "select remedy from kakunin.doctor()");
    run(&mut temporary, &remedy);
    checks.equal("mended", found(&mut temporary), String::new());
}

#[test]
fn auditors_and_administrators_may_ask_and_see_what_a_superuser_sees() {
    let stage = Stage::new();
    let mut superuser = stage.cluster.superuser();
    let scene = "
        create role auditor login in role kakunin_auditor;
        create role by_agent login in role kakunin_agent;
        create schema hidden;
        create table hidden.note (permitted_agent_serial text);
        select from kakunin.protect_table('hidden.note');
        create view hidden.v as select * from hidden.note;
        alter role other_app bypassrls;";
    run(&mut superuser, scene);
    let everything = "select * from kakunin.doctor()";
    let rows = ask(&mut superuser, everything);
    let mut checks = Checks::new();
    checks.equal("a superuser: rows", rows.matches("hidden.note").count() > 1, true);
    for role in ["auditor", "admin"] {
        let mut session = stage.cluster.connect(role, DATABASE);
        checks.equal(role, ask(&mut session, everything), rows.clone());
        // Names are looked up where the function says, not where its caller says.
        let shadowed = "set search_path = pg_temp; create temp table pg_policy (); create temp table pg_class ();
            create function pg_temp.format(text, text) returns text language sql as 'select null::text'; ";
        checks.equal(
            &format!("{role}, shadowing"),
            ask(&mut session, &format!("{shadowed}{everything}")),
            rows.clone(),
        );
        let settings = "reset search_path; set row_security = off; set standard_conforming_strings = off;
            set quote_all_identifiers = on; ";
        checks.equal(
            &format!("{role}, other settings"),
            ask(&mut session, &format!("{settings}{everything}")),
            rows.clone(),
        );
    }
    for role in [AGENT, OTHER, "by_agent"] {
        let refusal = refused(&mut stage.cluster.connect(role, DATABASE), everything);
        checks.equal(role, refusal.sqlstate, "42501".to_owned());
    }
    // In a transaction that may only read, and as part of a larger query.
    run(&mut superuser, "begin read only");
    checks.equal("read only", ask(&mut superuser, everything), rows.clone());
    run(&mut superuser, "rollback");
    let worst = "select finding from kakunin.doctor() where severity = 'high' order by finding limit 1";
    checks.equal("part of a query", ask(&mut superuser, worst), "role_bypasses_row_security".to_owned());
}

#[test]
fn a_server_that_does_not_preload_is_examined_as_well() {
    // Nothing has read these words before: the library is not there to judge them.
    let cluster = Cluster::builder()
        .without_preload()
        .set("kakunin.trust_serial_header", "perhaps")
        .set("kakunin.trusted_gateways", "nobody, \"")
        .start();
    let mut superuser = cluster.superuser();
    let mut checks = Checks::new();
    let scene = "create role auditor login in role kakunin_auditor;
        create table note (permitted_agent_serial text);
        select from kakunin.protect_table('note', create_index => true);
        create view v as select * from note";
    run(&mut superuser, scene);
    let mut auditor = cluster.connect("auditor", DATABASE);
    let forged = "set kakunin.trust_serial_header = 'maybe'; set kakunin.trusted_gateways = ',,';";
    for (name, client, before) in [("a superuser", &mut superuser, ""), ("an auditor", &mut auditor, forged)] {
        let rows = ask(client, &format!("{before} select finding from kakunin.doctor()"));
        checks.holds(&format!("{name}: not preloaded"), rows.starts_with("not_preloaded,"), &rows);
        checks.holds(&format!("{name}: the view"), rows.contains("view_without_security_invoker"), &rows);
    }
}

/// Run one after the other, by the owner of the tables.
const SOUND: &[(&str, &str)] = &[
    (
        "tables by every identity, with odd names",
        r#"create table "a b"."c""d" (permitted_agent_serial text, n numeric);
        select from kakunin.protect_table('"a b"."c""d"', create_index => true);
        create table "a b"."f p" ("x y" varchar(64), body text);
        select from kakunin.protect_table('"a b"."f p"', 'x y', 'fingerprint', create_index => true);
        create table "a b".agents (agent text primary key);
        select from kakunin.protect_table('"a b".agents', 'agent', 'agent_id');
        create table "a b".tenants (tenant text, flag boolean);
        create index on "a b".tenants using hash (tenant);
        select from kakunin.protect_table('"a b".tenants', 'tenant', 'tenant_id')"#,
    ),
    (
        "policies by hand, with other columns and other readers",
        r#"create table "a b".hand (id int, tenant text, status text, amount numeric, open boolean);
        create index on "a b".hand (tenant);
        alter table "a b".hand enable row level security;
        alter table "a b".hand force row level security;
        create policy p on "a b".hand using (tenant = kakunin_tenant_id() or open or status = 'open');
        create policy r on "a b".hand as restrictive using (tenant = (select kakunin_tenant_id()));
        create policy source on "a b".hand as restrictive using ((select kakunin_binding_source()) in ('proof', 'tls'));
        create policy scope on "a b".hand as restrictive for insert with check (kakunin_allows('trade:new', amount));
        create policy status on "a b".hand as restrictive using ((select kakunin_cert_status()) = 'active')"#,
    ),
    (
        "one restrictive policy for each command beside an open one",
        r#"create table "a b".each (serial text);
        create index on "a b".each (serial);
        alter table "a b".each enable row level security, force row level security;
        create policy p on "a b".each using (true);
        create policy r1 on "a b".each as restrictive for select using (serial = (select kakunin_cert_serial()));
        create policy r2 on "a b".each as restrictive for insert with check (serial = (select kakunin_cert_serial()));
        create policy r3 on "a b".each as restrictive for update using (serial = (select kakunin_cert_serial()));
        create policy r4 on "a b".each as restrictive for delete using (serial = (select kakunin_cert_serial()))"#,
    ),
    (
        "an index on what the policy compares, which is no column",
        r#"create table "a b".expressed (tenant uuid);
        create index on "a b".expressed ((tenant::text));
        alter table "a b".expressed enable row level security, force row level security;
        create policy p on "a b".expressed using (tenant::text = (select kakunin_tenant_id()));
        create policy r on "a b".expressed as restrictive using (tenant::text = (select kakunin_tenant_id()))"#,
    ),
    (
        "a wrapper as it should be",
        r#"create function "a b".me() returns text stable language sql as 'select public.kakunin_cert_serial()';
        create function "a b".it() returns text stable language sql return public.kakunin_cert_serial();
        create policy more on "a b"."c""d" as restrictive
            using (permitted_agent_serial = (select "a b".me()) and permitted_agent_serial = "a b".it())"#,
    ),
    (
        "partitions on two levels",
        r#"create table "a b".p (permitted_agent_serial text, n int) partition by list (n);
        create table "a b".p1 partition of "a b".p for values in (1) partition by list (n);
        create table "a b".p2 partition of "a b".p1 for values in (1);
        create table "a b".p3 partition of "a b".p default;
        select from kakunin.protect_table('"a b".p', create_index => true)"#,
    ),
    (
        "a partition that nobody can read: row security without a policy",
        r#"create table "a b".p4 partition of "a b".p for values in (4);
        alter table "a b".p4 enable row level security"#,
    ),
    (
        "a table that inherits, protected as well",
        r#"create table "a b".child () inherits ("a b"."c""d");
        select from kakunin.protect_table('"a b".child', create_index => true)"#,
    ),
    (
        "views of the session, and views of them that are not",
        r#"create view "a b".v with (security_invoker) as select * from "a b"."c""d";
        create view "a b".w with (security_invoker = yes, security_barrier) as select count(*) from "a b".p;
        create view "a b".of_v as select * from "a b".v"#,
    ),
    ("a copy that only its owner may read", r#"create materialized view "a b".m as select * from "a b"."c""d""#),
    (
        "grants of everything but TRUNCATE",
        r#"grant select, insert, update, delete, references, trigger on all tables in schema "a b"
            to app with grant option;
        revoke all on "a b".m from app;
        grant usage on schema "a b" to public"#,
    ),
    (
        "a dropped column, a renamed one, a renamed table",
        r#"drop view "a b".of_v, "a b".v; drop materialized view "a b".m;
        alter table "a b"."c""d" drop column n;
        alter table "a b"."c""d" rename column permitted_agent_serial to "s 1";
        alter table "a b"."c""d" rename to "e f""#,
    ),
];

/// Run one after the other, by a superuser, where no table is protected.
const UNRELATED: &[(&str, &str)] = &[
    ("a table without policies", "create table plain (permitted_agent_serial text)"),
    ("views of the system's", "create view v as select c.oid from pg_catalog.pg_class c, information_schema.tables"),
    (
        "policies that know no agent",
        "create table by_role (owner name, open boolean);
        alter table by_role enable row level security;
        create policy p on by_role using (owner = current_user);
        create policy q on by_role for select using (open);
        create policy r on by_role as restrictive for delete using (false)",
    ),
    (
        "policies that are not in force",
        "create table off (owner name); create policy p on off using (owner = session_user)",
    ),
    (
        "a volatile definer function with a setting, which reads no claim",
        "create table member (name text);
        create function is_member(who text) returns boolean security definer set search_path = '' language sql
            as 'select exists (select from public.member m where m.name = who)';
        create policy members on by_role using (is_member(owner::text))",
    ),
    (
        "names that look like the real ones",
        "create function my_current_setting(text) returns text stable language sql as 'select $1';
        create function current_setting_of(text) returns text stable language sql as 'select $1';
        create policy named on by_role using (my_current_setting('a.b') = current_setting_of('a.b'))",
    ),
    (
        "a role that bypasses, TRUNCATE, an open schema",
        "create role bypass bypassrls; grant truncate on plain to public; grant create on schema public to public",
    ),
    (
        "settings that a trigger reads, and no policy",
        "create function note_it() returns trigger language plpgsql as
            $$ begin perform set_config('a.b', current_setting('c.d', true), true); return new; end $$;
        create trigger note_it before insert on by_role for each row execute function note_it()",
    ),
    ("a materialized view for all", "create materialized view m as select * from plain; grant select on m to public"),
    (
        "partitions and children",
        "create table parted (n int) partition by list (n); create table part partition of parted default;
        create table heir () inherits (plain)",
    ),
];

/// Each alone, by a superuser, in a schema of its own, beside one sound table.
const STRANGE: &[(&str, &str, &str)] = &[
    (
        "a foreign table with a view",
        "create foreign data wrapper w; create server s foreign data wrapper w;
        create foreign table strange.f (permitted_agent_serial text) server s;
        create view strange.v as select * from strange.f",
        "",
    ),
    (
        "a domain, an array, a composite and a generated column",
        "create domain strange.serial_of as text check (value <> '');
        create type strange.pair as (a text, b int);
        create table strange.t (s strange.serial_of, many text[], pair strange.pair,
            g text generated always as (md5(s)) stored);
        create index on strange.t (s);
        alter table strange.t enable row level security, force row level security;
        create policy p on strange.t using (s = (select kakunin_cert_serial()) or (pair).a = any (many));
        create policy r on strange.t as restrictive using (case when g is null then s = kakunin_cert_serial()
            else (select kakunin_cert_serial()) = s end)",
        "",
    ),
    (
        "a policy without a column, one for one command, one for several roles",
        "create table strange.t (id int);
        alter table strange.t enable row level security, force row level security;
        create policy p on strange.t for insert to kakunin_agent, kakunin_admin
            with check (kakunin_cert_serial() is not null);
        create policy r on strange.t as restrictive to public using (kakunin_cert_status() = 'active')",
        "",
    ),
    (
        "a table without columns, one that lost a column",
        "create table strange.none (); create table strange.t (a int, permitted_agent_serial text);
        select from kakunin.protect_table('strange.t', create_index => true);
        alter table strange.t drop column a; alter table strange.none enable row level security;
        create policy p on strange.none using (true)",
        "",
    ),
    (
        "a policy that reads its own table and another one",
        "create table strange.t (permitted_agent_serial text, parent text);
        create table strange.u (name text primary key);
        create index on strange.t (permitted_agent_serial);
        alter table strange.t enable row level security, force row level security;
        create policy p on strange.t using (exists (select from strange.u where name = parent)
            and kakunin_cert_serial() <> '');
        create policy r on strange.t as restrictive
            using (permitted_agent_serial in (select kakunin_cert_serial() from strange.t x))",
        "",
    ),
    (
        "functions that call themselves and each other, and a view of them",
        "create function strange.f(n int) returns text stable language plpgsql as
            $$ begin return case when n = 0 then 'x' else strange.f (n - 1) || strange.g(n) end; end $$;
        create function strange.g(n int) returns text stable language plpgsql as
            $$ begin return strange.f(n - 1); end $$;
        create view strange.v as select strange.f(1) as x;
        create table strange.t (x text); alter table strange.t enable row level security;
        create policy p on strange.t using (x = strange.f(3) and x in (select v.x from strange.v v))",
        "",
    ),
    (
        "functions with every name, overloaded; aggregates, procedures, operators",
        r#"create function strange."a(b*[\" (int) returns text stable language sql as $$ select 'x' $$;
        create function strange."a(b*[\" (text) returns text stable language sql as
            $$ select strange."a(b*[\" (1) || '?+(' $$;
        create aggregate strange.longest (text) (sfunc = textcat, stype = text);
        create procedure strange.run() language sql as 'select 1';
        create function strange.eq(text, text) returns boolean stable language sql as 'select $1 = $2';
        create operator strange.=== (leftarg = text, rightarg = text, function = strange.eq);
        create table strange.u (x text);
        create table strange.t (x text); alter table strange.t enable row level security;
        create policy p on strange.t using (x operator(strange.===) strange."a(b*[\" ('y')
            and x = (select strange.longest(u.x) from strange.u u))"#,
        "",
    ),
    (
        "rules, sequences, types and indices of every kind",
        "create sequence strange.s; create table strange.log (x text); create type strange.e as enum ('a');
        create table strange.t (permitted_agent_serial text, e strange.e, j jsonb);
        select from kakunin.protect_table('strange.t', create_index => true);
        create index on strange.t using gin (j); create index on strange.t using brin (permitted_agent_serial);
        create index on strange.t (lower(permitted_agent_serial), e) where e = 'a';
        create rule r as on insert to strange.t do also insert into strange.log values (new.permitted_agent_serial);
        create unlogged table strange.u (like strange.t including all)",
        "",
    ),
    (
        "a protected table that nobody can reach",
        "create table strange.t (permitted_agent_serial text);
        select from kakunin.protect_table('strange.t');
        drop policy kakunin_access on strange.t",
        "medium|no_index_for_policy|strange.t",
    ),
    (
        "a table whose row type is used elsewhere, a view with a window",
        "create table strange.t (permitted_agent_serial text, n int);
        create index on strange.t (permitted_agent_serial);
        create table strange.u (t strange.t);
        create view strange.v with (security_invoker) as select row_number() over (partition by permitted_agent_serial)
            from strange.t where exists (select from strange.u);
        select from kakunin.protect_table('strange.t')",
        "",
    ),
];
