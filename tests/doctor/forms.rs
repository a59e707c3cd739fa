//! Unsafe things, each made in a database where nothing else is unsafe, and the rows that `doctor()` gives for them.
//! The schema and the table that they are made in have names that need quotes.

/// Something unsafe that a test puts into a database that has nothing else.
pub struct Trap {
    /// What it is.
    pub name: &'static str,
    /// Who makes it, and runs the remedies: [`OWNER`] or the superuser.
    pub role: &'static str,
    /// How it is made.
    pub setup: &'static str,
    /// The rows that it leads to.
    pub rows: &'static [(&'static str, &'static str, &'static str)],
    /// What the remedies leave behind outside the schema.
    pub undo: &'static str,
}

/// Who owns the table.
pub const OWNER: &str = "\"Kee per\"";
/// Who may do everything.
pub const SUPERUSER: &str = "postgres";
const TABLE: &str = r#""a b"."c""d""#;

fn trap(name: &'static str, setup: &'static str, rows: &'static [(&'static str, &'static str, &'static str)]) -> Trap {
    Trap { name, role: OWNER, setup, rows, undo: "" }
}

/// As [`trap`], on a protected table.
macro_rules! protected {
    ($setup:literal) => {
        concat!(r#"select from kakunin.protect_table('"a b"."c""d"');"#, $setup)
    };
}

/// Each finding in its plainest form.
pub fn plain() -> Vec<Trap> {
    vec![
        trap(
            "policy_reads_setting",
            r#"create policy "p 1" on "a b"."c""d" using (permitted_agent_serial = current_setting('app.serial', true))"#,
            &[("high", "policy_reads_setting", r#"policy "p 1" on "a b"."c""d""#)],
        ),
        trap(
            "no_index_for_policy",
            protected!(r#"drop index "a b".c_d_index"#),
            &[("medium", "no_index_for_policy", TABLE)],
        ),
        trap(
            "row_security_off",
            protected!(r#"alter table "a b"."c""d" disable row level security"#),
            &[("high", "row_security_off", TABLE)],
        ),
        trap(
            "owner_not_forced",
            protected!(r#"alter table "a b"."c""d" no force row level security"#),
            &[("medium", "owner_not_forced", TABLE)],
        ),
        trap(
            "no_restrictive_policy",
            protected!(r#"drop policy kakunin_binding on "a b"."c""d""#),
            &[("medium", "no_restrictive_policy", TABLE)],
        ),
        trap(
            "permissive_policy_opens",
            protected!(
                r#"drop policy kakunin_binding on "a b"."c""d"; create policy "op en" on "a b"."c""d" using (true)"#
            ),
            &[
                ("high", "permissive_policy_opens", r#"policy "op en" on "a b"."c""d""#),
                ("medium", "no_restrictive_policy", TABLE),
            ],
        ),
        trap(
            "view_without_security_invoker",
            protected!(
                r#"create view "a b"."v w" as table "a b"."c""d";
                   create view "a b".off with (security_invoker = off) as table "a b"."c""d""#
            ),
            &[
                ("high", "view_without_security_invoker", r#""a b"."v w""#),
                ("high", "view_without_security_invoker", r#""a b".off"#),
            ],
        ),
        trap(
            "materialized_view_copies_rows",
            protected!(
                r#"create materialized view "a b"."m v" as table "a b"."c""d";
                   grant select on "a b"."m v" to public, "Au dit""#
            ),
            &[("high", "materialized_view_copies_rows", r#""a b"."m v""#)],
        ),
        trap(
            "partition_without_row_security",
            r#"create table "a b".top (permitted_agent_serial text, n int) partition by list (n);
               create index on "a b".top (permitted_agent_serial);
               select from kakunin.protect_table('"a b".top');
               create table "a b"."mid dle" partition of "a b".top for values in (1, 2) partition by list (n);
               create table "a b"."lea f" partition of "a b"."mid dle" for values in (1)"#,
            &[
                ("high", "partition_without_row_security", r#""a b"."mid dle""#),
                ("high", "partition_without_row_security", r#""a b"."lea f""#),
            ],
        ),
        trap(
            "child_without_row_security",
            protected!(
                r#"create table "a b"."ki d" () inherits ("a b"."c""d");
                   create index on "a b"."ki d" (permitted_agent_serial)"#
            ),
            &[("high", "child_without_row_security", r#""a b"."ki d""#)],
        ),
        trap("policy_function_slow_or_stale", FUNCTIONS, FUNCTION_ROWS),
        trap(
            "truncate_granted",
            protected!(r#"grant truncate on "a b"."c""d" to public, "Au dit""#),
            &[("medium", "truncate_granted", TABLE), ("medium", "truncate_granted", TABLE)],
        ),
        trap(
            "schema_open_to_all",
            r#"grant create on schema "a b" to public"#,
            &[("high", "schema_open_to_all", r#""a b""#)],
        ),
        Trap {
            role: SUPERUSER,
            undo: r#"drop role "by ""pass", "by login""#,
            ..trap(
                "role_bypasses_row_security",
                r#"create role "by ""pass" bypassrls; create role "by login" bypassrls login"#,
                &[
                    ("high", "role_bypasses_row_security", r#"by "pass"#),
                    ("high", "role_bypasses_row_security", "by login"),
                ],
            )
        },
        Trap {
            role: SUPERUSER,
            undo: "alter role app reset all; grant temporary on database test to public",
            ..trap(
                "temporary_granted",
                "alter role app set kakunin.session_binding = off",
                &[("medium", "temporary_granted", "database test")],
            )
        },
        // As `pg_restore --disable-triggers` leaves them.
        Trap {
            role: SUPERUSER,
            ..trap(
                "registry_trigger_off",
                "alter table kakunin.revocation disable trigger all; alter table kakunin.revocation enable trigger all",
                &[
                    ("high", "registry_trigger_off", "kakunin.revocation"),
                    ("high", "registry_trigger_off", "kakunin.revocation"),
                ],
            )
        },
    ]
}

/// The same behind functions, views, levels and spellings.
pub fn hidden() -> Vec<Trap> {
    vec![
        trap(
            "claims through a SQL function",
            r#"create function "a b".claim() returns text stable language sql
                   as $$select current_setting('request.jwt.claims', true)::json ->> 'serial'$$;
               create policy own on "a b"."c""d" using (permitted_agent_serial = "a b".claim())"#,
            &[("high", "policy_reads_setting", r#"policy own on "a b"."c""d""#)],
        ),
        trap(
            "claims through a function with a parsed body",
            r#"create function "a b".claim() returns text stable language sql
                   return current_setting('request.jwt.claims', true)::json ->> 'serial';
               create policy own on "a b"."c""d" using (permitted_agent_serial = "a b".claim())"#,
            &[("high", "policy_reads_setting", r#"policy own on "a b"."c""d""#)],
        ),
        trap(
            "a wrapper with a parsed body",
            r#"create function "a b".serial() returns text immutable language sql return kakunin_cert_serial();
               select from kakunin.protect_table('"a b"."c""d"');
               create policy own on "a b"."c""d" as restrictive using (permitted_agent_serial = "a b".serial())"#,
            &[("medium", "policy_function_slow_or_stale", r#""a b".serial()"#)],
        ),
        Trap {
            role: SUPERUSER,
            undo: "drop schema auth cascade",
            ..trap(
                "auth.jwt()",
                r#"create schema auth;
                   create function auth.jwt() returns jsonb stable language sql
                       as $$select current_setting('request.jwt.claims', true)::jsonb$$;
                   create policy own on "a b"."c""d" with check (permitted_agent_serial = (select auth.jwt() ->> 's'))"#,
                &[("high", "policy_reads_setting", r#"policy own on "a b"."c""d""#)],
            )
        },
        trap(
            "a setting in a subselect of a CASE, WITH CHECK only",
            r#"create policy own on "a b"."c""d" for insert to public with check (
                   case when id > 0 then exists (select where current_setting('app.serial') = permitted_agent_serial) end)"#,
            &[("high", "policy_reads_setting", r#"policy own on "a b"."c""d""#)],
        ),
        trap(
            "a setting beside a name with an apostrophe",
            r#"create table "a b".i ("it's" text); create index on "a b".i ("it's");
               create policy own on "a b".i using ("it's" = current_setting('app.serial', true));
               alter table "a b".i rename "it's" to permitted_agent_serial;
               alter table "a b".i add "it's" text;
               create policy also on "a b".i using ("it's" = current_setting('app.serial', true))"#,
            &[
                ("high", "policy_reads_setting", r#"policy also on "a b".i"#),
                ("high", "policy_reads_setting", r#"policy own on "a b".i"#),
            ],
        ),
        trap(
            "a setting behind an operator",
            r#"create function "a b".claimed(text, text) returns boolean stable language sql
                   as $$select $1 = current_setting($2, true)$$;
               create operator "a b".=== (function = "a b".claimed, leftarg = text, rightarg = text);
               create policy own on "a b"."c""d" using (permitted_agent_serial operator("a b".===) 'app.serial')"#,
            &[("high", "policy_reads_setting", r#"policy own on "a b"."c""d""#)],
        ),
        trap(
            "only a partition is protected",
            r#"create table "a b".top (permitted_agent_serial text, n int) partition by list (n);
               create table "a b".part partition of "a b".top for values in (1);
               create index on "a b".top (permitted_agent_serial);
               select from kakunin.protect_table('"a b".part')"#,
            &[("high", "parent_without_row_security", r#""a b".top"#)],
        ),
        trap(
            "only an inheriting table is protected",
            r#"create table "a b".top (permitted_agent_serial text); create table "a b".kid () inherits ("a b".top);
               create index on "a b".top (permitted_agent_serial); create index on "a b".kid (permitted_agent_serial);
               select from kakunin.protect_table('"a b".kid')"#,
            &[("high", "parent_without_row_security", r#""a b".top"#)],
        ),
        trap(
            "a view of a view: only the lower one reads as its owner",
            protected!(
                r#"create view "a b".lower as table "a b"."c""d"; create view "a b".upper as table "a b".lower;
                   create view "a b".sound with (security_invoker = 1) as table "a b"."c""d";
                   create view "a b".above as table "a b".sound"#
            ),
            &[("high", "view_without_security_invoker", r#""a b".lower"#)],
        ),
        trap(
            "a view that reads in a subselect",
            protected!(r#"create view "a b".counted as select (select count(*) from "a b"."c""d") as n"#),
            &[("high", "view_without_security_invoker", r#""a b".counted"#)],
        ),
        trap(
            "a materialized view of an invoker view",
            protected!(
                r#"create view "a b".sound with (security_invoker) as table "a b"."c""d";
                   create materialized view "a b".copy as table "a b".sound; grant select on "a b".copy to app"#
            ),
            &[("high", "materialized_view_copies_rows", r#""a b".copy"#)],
        ),
        trap(
            "a grandchild",
            protected!(
                r#"create table "a b".kid () inherits ("a b"."c""d"); alter table "a b".kid enable row level security;
                   create table "a b".grandkid () inherits ("a b".kid);
                   create index on "a b".grandkid (permitted_agent_serial)"#
            ),
            &[("high", "child_without_row_security", r#""a b".grandkid"#)],
        ),
        trap(
            "a partition with a policy of its own that opens it",
            r#"create table "a b".top (permitted_agent_serial text, n int) partition by list (n);
               create index on "a b".top (permitted_agent_serial);
               select from kakunin.protect_table('"a b".top');
               create table "a b".part partition of "a b".top for values in (1);
               alter table "a b".part enable row level security;
               create policy open on "a b".part using (true)"#,
            &[("high", "partition_without_row_security", r#""a b".part"#)],
        ),
        trap(
            "no restrictive policy where another column names the agent",
            r#"create table "a b".o (owner text); create index on "a b".o (owner);
               select from kakunin.protect_table('"a b".o', 'owner', 'agent_id');
               drop policy kakunin_binding on "a b".o"#,
            &[("medium", "no_restrictive_policy", r#""a b".o"#)],
        ),
        trap(
            "a partition where another column names the agent",
            r#"create table "a b".top (owner text, n int) partition by list (n); create index on "a b".top (owner);
               select from kakunin.protect_table('"a b".top', 'owner', 'fingerprint');
               create table "a b".part partition of "a b".top for values in (1)"#,
            &[("high", "partition_without_row_security", r#""a b".part"#)],
        ),
        trap(
            "no index on a partitioned table",
            r#"create table "a b".top (permitted_agent_serial text) partition by list (permitted_agent_serial);
               select from kakunin.protect_table('"a b".top')"#,
            &[("medium", "no_index_for_policy", r#""a b".top"#)],
        ),
        trap(
            "an index for some rows only",
            protected!(
                r#"drop index "a b".c_d_index; create index on "a b"."c""d" (permitted_agent_serial) where archived"#
            ),
            &[("medium", "no_index_for_policy", TABLE)],
        ),
        Trap {
            role: SUPERUSER,
            undo: "alter database test reset all; grant temporary on database test to public",
            ..trap(
                "bindings of sessions switched off in capitals",
                "alter database test set kakunin.session_binding = 'OFF'",
                &[("medium", "temporary_granted", "database test")],
            )
        },
    ]
}

/// One fault each, and one function with all of them.
const FUNCTIONS: &str = r#"
    create function "a b"."st ale"() returns text immutable language sql as 'select public.kakunin_cert_serial()';
    create function "a b"."slo w"() returns text volatile language sql as 'select public.kakunin_cert_serial()';
    create function "a b".definer() returns text stable security definer
        language sql as 'select public.kakunin_cert_serial()';
    create function "a b".path(text, "a b"."c""d") returns text stable set search_path = pg_catalog
        language sql as 'select public.kakunin_cert_serial()';
    create function "a b".every() returns text volatile security definer set search_path = pg_catalog
        language plpgsql as 'begin return public.kakunin_cert_serial(); end';
    select from kakunin.protect_table('"a b"."c""d"');
    create policy own on "a b"."c""d" as restrictive using (
        permitted_agent_serial in ("a b"."st ale"(), "a b"."slo w"()));
    create policy more on "a b"."c""d" as restrictive using (
        permitted_agent_serial = "a b".definer() or "a b".every() is null)
        with check (permitted_agent_serial = "a b".path('x', "c""d"))"#;
const FUNCTION_ROWS: &[(&str, &str, &str)] = &[
    ("medium", "policy_function_slow_or_stale", r#""a b"."st ale"()"#),
    ("medium", "policy_function_slow_or_stale", r#""a b"."slo w"()"#),
    ("medium", "policy_function_slow_or_stale", r#""a b".definer()"#),
    ("medium", "policy_function_slow_or_stale", r#""a b".path(text,"a b"."c""d")"#),
    ("medium", "policy_function_slow_or_stale", r#""a b".every()"#),
];
