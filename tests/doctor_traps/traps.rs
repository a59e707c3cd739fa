//! Unsafe things, each made in a database where nothing else is unsafe. `{t}` is a protected table, `{s}` one without
//! policies; both have names that need quotes, belong to `keeper` and hold a row of agent `alpha` and one of `bravo`.

/// One unsafe thing.
pub struct Trap {
    /// What it is.
    pub name: &'static str,
    /// How it is made, as the owner of the tables; `reset role` in between makes a superuser of it.
    pub made_by: &'static str,
    /// The rows of `doctor()`, in its order: severity, finding, object.
    pub found: &'static [[&'static str; 3]],
    /// Who runs the remedies.
    pub mended_by: &'static str,
}

const fn trap(name: &'static str, made_by: &'static str, found: &'static [[&'static str; 3]]) -> Trap {
    Trap { name, made_by, found, mended_by: "keeper" }
}

const fn of_superuser(name: &'static str, made_by: &'static str, found: &'static [[&'static str; 3]]) -> Trap {
    Trap { name, made_by, found, mended_by: "postgres" }
}

/// `{t}`, as `doctor()` writes it.
const TABLE: &str = r#""a b"."c""d""#;
/// The policy that the claim traps make.
const SEED: &str = r#"policy "s p" on "a b"."e.f""#;

/// Those of one table and its surroundings.
pub const TRAPS: &[Trap] = &[
    trap("row security off", "alter table {t} disable row level security", &[["high", "row_security_off", TABLE]]),
    trap(
        "row security off behind a wrapper",
        "create function {f}() returns text stable language sql as 'select public.kakunin_cert_serial()';
        create policy p on {s} using (serial = {f}()); create policy r on {s} as restrictive using (serial = {f}());
        create index on {s} (serial); alter table {s} force row level security",
        &[["high", "row_security_off", r#""a b"."e.f""#]],
    ),
    trap("owner not forced", "alter table {t} no force row level security", &[["medium", "owner_not_forced", TABLE]]),
    trap("no index", "drop index {i}", &[["medium", "no_index_for_policy", TABLE]]),
    trap(
        "a partial index only",
        "drop index {i}; create index on {t} (permitted_agent_serial) where body <> ''",
        &[["medium", "no_index_for_policy", TABLE]],
    ),
    trap(
        "an index that starts with another column",
        "drop index {i}; create index on {t} (body, permitted_agent_serial)",
        &[["medium", "no_index_for_policy", TABLE]],
    ),
    trap(
        "no index on a partitioned table",
        r#"create table "a b"."p q" (permitted_agent_serial text) partition by list (permitted_agent_serial);
        create table "a b".p1 partition of "a b"."p q" for values in ('1');
        select from kakunin.protect_table('"a b"."p q"')"#,
        &[["medium", "no_index_for_policy", r#""a b"."p q""#]],
    ),
    trap("no restrictive policy", "drop policy kakunin_binding on {t}", &[["medium", "no_restrictive_policy", TABLE]]),
    trap(
        "an open policy beside a permissive one",
        r#"drop policy kakunin_binding on {t}; create policy "o""p" on {t} using (true)"#,
        &[
            ["high", "permissive_policy_opens", r#"policy "o""p" on "a b"."c""d""#],
            ["medium", "no_restrictive_policy", TABLE],
        ],
    ),
    trap(
        "restrictive for reading only, open for writing",
        r#"drop policy kakunin_binding on {t}; create policy "o""p" on {t} for insert with check (true);
        create policy narrow on {t} as restrictive for select
            using (permitted_agent_serial = (select public.kakunin_cert_serial()))"#,
        &[
            ["high", "permissive_policy_opens", r#"policy "o""p" on "a b"."c""d""#],
            ["medium", "no_restrictive_policy", TABLE],
        ],
    ),
    trap(
        "restrictive for one role, open for all",
        r#"drop policy kakunin_binding on {t}; create policy "o""p" on {t} using (true);
        create policy narrow on {t} as restrictive to app
            using (permitted_agent_serial = (select public.kakunin_cert_serial()))"#,
        &[
            ["high", "permissive_policy_opens", r#"policy "o""p" on "a b"."c""d""#],
            ["medium", "no_restrictive_policy", TABLE],
        ],
    ),
    trap(
        "restrictive for writing only",
        r#"drop policy kakunin_binding on {t}; create policy narrow on {t} as restrictive for insert
            with check (permitted_agent_serial = (select public.kakunin_cert_serial()))"#,
        &[["medium", "no_restrictive_policy", TABLE]],
    ),
    trap(
        "restrictive for one role only",
        r#"drop policy kakunin_binding on {t}; create policy narrow on {t} as restrictive to app
            using (permitted_agent_serial = (select public.kakunin_cert_serial()))"#,
        &[["medium", "no_restrictive_policy", TABLE]],
    ),
    trap(
        "restrictive with a check that is always true",
        r#"drop policy kakunin_binding on {t}; create policy narrow on {t} as restrictive
            using (permitted_agent_serial = (select public.kakunin_cert_serial())) with check (true)"#,
        &[["medium", "no_restrictive_policy", TABLE]],
    ),
    trap(
        "a view that reads as its owner",
        r#"create view "a b"."v ""w" as select * from {t}"#,
        &[["high", "view_without_security_invoker", r#""a b"."v ""w""#]],
    ),
    trap(
        "a view that reads in a subquery, with the option off",
        r#"create view "a b".v with (security_invoker = off, security_barrier) as
            select 1 as one where exists (select from {t})"#,
        &[["high", "view_without_security_invoker", r#""a b".v"#]],
    ),
    trap(
        "a view of a view",
        r#"create view "a b".v as select * from {t}; create view "a b".w as select * from "a b".v"#,
        &[["high", "view_without_security_invoker", r#""a b".v"#]],
    ),
    trap(
        "a materialized view",
        r#"create materialized view "a b"."m v" as select * from {t};
        grant select on "a b"."m v" to app with grant option; grant select (body) on "a b"."m v" to public"#,
        &[["high", "materialized_view_copies_rows", r#""a b"."m v""#]],
    ),
    trap(
        "a materialized view of a view of the session",
        r#"create view "a b".v with (security_invoker) as select * from {t};
        create materialized view "a b"."m v" as select * from "a b".v; grant select on "a b"."m v" to app"#,
        &[["high", "materialized_view_copies_rows", r#""a b"."m v""#]],
    ),
    trap(
        "a view of a materialized view that nobody else may read",
        r#"create materialized view "a b"."m v" as select * from {t};
        create view "a b".v as select * from "a b"."m v"; grant select on "a b".v to app"#,
        &[["high", "view_without_security_invoker", r#""a b".v"#]],
    ),
    trap(
        "partitions that were attached later, on two levels",
        r#"create table "a b"."p q" (permitted_agent_serial text, n int) partition by list (n);
        select from kakunin.protect_table('"a b"."p q"', create_index => true);
        create table "a b"."p 1" partition of "a b"."p q" for values in (1) partition by list (n);
        create table "a b"."p 2" partition of "a b"."p 1" for values in (1)"#,
        &[
            ["high", "partition_without_row_security", r#""a b"."p 1""#],
            ["high", "partition_without_row_security", r#""a b"."p 2""#],
        ],
    ),
    trap(
        "a partition below two protected levels",
        r#"create table "a b".p (permitted_agent_serial text, n int) partition by list (n);
        create table "a b".p1 partition of "a b".p for values in (1) partition by list (n);
        select from kakunin.protect_table('"a b".p', create_index => true);
        create table "a b".p2 partition of "a b".p1 for values in (1)"#,
        &[["high", "partition_without_row_security", r#""a b".p2"#]],
    ),
    trap(
        "a partition with a policy of its own",
        r#"create table "a b".p (permitted_agent_serial text, n int) partition by list (n);
        select from kakunin.protect_table('"a b".p', create_index => true);
        create table "a b".p1 partition of "a b".p for values in (1);
        alter table "a b".p1 enable row level security; create policy all_of_it on "a b".p1 using (true)"#,
        &[["high", "partition_without_row_security", r#""a b".p1"#]],
    ),
    trap(
        "a partition with its policies switched off",
        r#"create table "a b".p (permitted_agent_serial text, n int) partition by list (n);
        create table "a b".p1 partition of "a b".p for values in (1);
        select from kakunin.protect_table('"a b".p', create_index => true);
        alter table "a b".p1 disable row level security"#,
        &[["high", "row_security_off", r#""a b".p1"#]],
    ),
    of_superuser(
        "a foreign partition",
        r#"reset role; create foreign data wrapper "w"; create server "s" foreign data wrapper "w"; set role keeper;
        create table "a b".p (permitted_agent_serial text, n int) partition by list (n);
        select from kakunin.protect_table('"a b".p'); reset role;
        create foreign table "a b"."f 1" partition of "a b".p for values in (1) server "s""#,
        &[
            ["high", "partition_without_row_security", r#""a b"."f 1""#],
            ["medium", "no_index_for_policy", r#""a b".p"#],
        ],
    ),
    trap(
        "tables that inherit, on two levels",
        r#"create table "a b"."k 1" () inherits ({t}); create table "a b"."k 2" () inherits ("a b"."k 1");
        create index on "a b"."k 1" (permitted_agent_serial); create index on "a b"."k 2" (permitted_agent_serial)"#,
        &[
            ["high", "child_without_row_security", r#""a b"."k 1""#],
            ["high", "child_without_row_security", r#""a b"."k 2""#],
        ],
    ),
    trap(
        "an immutable definer function with a setting",
        "create function {f}() returns text immutable security definer set search_path = '' language sql
            as 'select public.kakunin_cert_serial()';
        create policy later on {t} as restrictive using (permitted_agent_serial = {f}())",
        &[["medium", "policy_function_slow_or_stale", r#""a b"."g h"()"#]],
    ),
    trap(
        "a volatile function with an argument",
        "create function {f}(t text) returns boolean language plpgsql as
            $$ begin return t = public.kakunin_cert_serial(); end $$;
        create policy later on {t} as restrictive using ({f}(permitted_agent_serial))",
        &[["medium", "policy_function_slow_or_stale", r#""a b"."g h"(text)"#]],
    ),
    trap(
        "a definer function whose body is no text",
        "create function {f}() returns text stable security definer language sql
            begin atomic; select public.kakunin_cert_serial(); end;
        create policy later on {t} as restrictive using (permitted_agent_serial = {f}())",
        &[["medium", "policy_function_slow_or_stale", r#""a b"."g h"()"#]],
    ),
    trap(
        "an immutable function behind a stable one",
        r#"create function {f}() returns text immutable language sql as 'select public.kakunin_cert_serial()';
        create function "a b".outer_one() returns text stable language sql as 'select "a b"."g h"()';
        create policy later on {t} as restrictive using (permitted_agent_serial = "a b".outer_one())"#,
        &[["medium", "policy_function_slow_or_stale", r#""a b"."g h"()"#]],
    ),
    trap(
        "a function with a SET clause only",
        "create function {f}() returns text stable set work_mem = '1MB' language sql
            as 'select public.kakunin_cert_serial()';
        create policy later on {t} as restrictive using (permitted_agent_serial = {f}())",
        &[["medium", "policy_function_slow_or_stale", r#""a b"."g h"()"#]],
    ),
    of_superuser(
        "a role that bypasses, behind a membership",
        r#"reset role; create role "by ""pass" bypassrls; create role middle; grant "by ""pass" to middle;
        grant middle to other_app"#,
        &[["high", "role_bypasses_row_security", r#"by "pass"#]],
    ),
    trap(
        "TRUNCATE with the right to grant it on",
        "grant truncate on {t} to app with grant option; set role app; grant truncate on {t} to other_app",
        &[["medium", "truncate_granted", TABLE]],
    ),
    trap("TRUNCATE to all", "grant truncate on {t} to public", &[["medium", "truncate_granted", TABLE]]),
    trap(
        "a schema where all may create",
        r#"grant create on schema "a b" to public"#,
        &[["high", "schema_open_to_all", r#""a b""#]],
    ),
    trap(
        "the claim in a policy",
        r#"create policy "s p" on {s} using (
            serial = (current_setting('request.jwt.claims', true)::jsonb) ->> 'kakunin_cert_serial')"#,
        &[["high", "policy_reads_setting", SEED]],
    ),
    trap(
        "the claim in a subquery, by another spelling, for one command",
        r#"create policy "s p" on {s} for update to app using (true) with check (
            serial = (select x from "pg_catalog" . "current_setting" ( 'request.' || 'jwt.claims', true ) x))"#,
        &[["high", "policy_reads_setting", SEED]],
    ),
    trap(
        "the claim by a function in SQL",
        r#"create function {f}() returns text stable language sql as $$ SELECT Current_Setting ('my.serial', true) $$;
        create policy "s p" on {s} using (serial = {f}())"#,
        &[["high", "policy_reads_setting", SEED]],
    ),
    trap(
        "the claim by a function whose body is no text",
        r#"create function {f}() returns text stable language sql return current_setting('my.serial', true);
        create policy "s p" on {s} using (serial = (select {f}()))"#,
        &[["high", "policy_reads_setting", SEED]],
    ),
    trap(
        "the claim by a function behind a function",
        r#"create function {f}() returns text stable language sql as $$ select "current_setting"('my.serial', true) $$;
        create function "a b".outer_one() returns text stable language plpgsql as
            $$ begin return "a b"."g h" (); end $$;
        create policy "s p" on {s} using (serial = (select "a b".outer_one()))"#,
        &[["high", "policy_reads_setting", SEED]],
    ),
    trap(
        "the claim by a function, with a comment in the call",
        r#"create function {f}() returns text stable language sql as
            $$ select /* here */ current_setting /* and -- here */ ('my.serial', true) $$;
        create policy "s p" on {s} using (serial = {f}())"#,
        &[["high", "policy_reads_setting", SEED]],
    ),
    trap(
        "the claim by SHOW",
        r#"create function {f}() returns text stable language plpgsql as
            $$ declare answer text; begin show my.serial into answer; return answer; end $$;
        create policy "s p" on {s} using (serial = {f}())"#,
        &[["high", "policy_reads_setting", SEED]],
    ),
    trap(
        "a setting of the client's, out of the view of all settings",
        r#"create policy "s p" on {s} using (
            serial = (select p.setting from pg_settings p where p.name = 'application_name'))"#,
        &[["high", "policy_reads_setting", SEED]],
    ),
    trap(
        "the claim through an operator and an aggregate",
        r#"create function {f}(text, text) returns text stable language sql as
            $$ select current_setting($2, true) $$;
        create aggregate "a b".last_one (text) (sfunc = {f}, stype = text);
        create operator "a b".@@@ (leftarg = text, rightarg = text, function = {f});
        create policy "s p" on {s} using (
            serial = (select "a b".last_one(x operator("a b".@@@) 'my.serial') from (values ('a')) v (x)))"#,
        &[["high", "policy_reads_setting", SEED]],
    ),
    trap(
        "the claim by auth.uid()",
        r#"reset role; create schema auth; create function auth.uid() returns text stable language sql as
            $$ select current_setting('request.jwt.claim.sub', true) $$; grant usage on schema auth to public;
        set role keeper; create policy "s p" on {s} using (serial = (select auth.uid()))"#,
        &[["high", "policy_reads_setting", SEED]],
    ),
    trap(
        "the claim through a view of a view",
        r#"create view "a b".claim as select current_setting('my.serial', true) as serial;
        create view "a b".claims as select * from "a b".claim;
        create policy "s p" on {s} using (serial in (select c.serial from "a b".claims c))"#,
        &[["high", "policy_reads_setting", SEED]],
    ),
];
