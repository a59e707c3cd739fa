//! `doctor()` against databases with one trap each: it names the trap, its remedy mends it, and a sound database is
//! left in peace.

mod doctor {
    pub mod forms;
}

use doctor::forms::{SUPERUSER, Trap, hidden, plain};
use kakunin_tests::scene::{ask, refused, run};
use kakunin_tests::stage::{Stage, notes};
use kakunin_tests::{Checks, Cluster, Shutdown, workspace};
use std::collections::BTreeSet;
use std::fs;

/// Severity, finding, object.
type Row = (String, String, String);

const ROLES: &str = r#"create role "Kee per"; create role "Au dit";"#;
/// A table whose names need quotes in every place, not protected yet.
const TABLE_SQL: &str = r#"
    create schema "a b" authorization "Kee per";
    set role "Kee per";
    create table "a b"."c""d" (id int, permitted_agent_serial text not null, archived boolean not null default false);
    create index c_d_index on "a b"."c""d" (permitted_agent_serial);
"#;
const PROTECT: &str = r#"select from kakunin.protect_table('"a b"."c""d"');"#;

fn rows(cluster: &Cluster) -> Vec<Row> {
    let query = "select severity, finding, object from kakunin.doctor()";
    let rows = cluster.superuser().query(query, &[]).expect("the doctor never fails");
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

fn expected(rows: &[(&str, &str, &str)]) -> Vec<Row> {
    let mut rows: Vec<Row> = rows.iter().map(|row| (row.0.into(), row.1.into(), row.2.into())).collect();
    rows.sort();
    rows
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort();
    rows
}

/// The remedy of a row, if the row is there. Of several rows for one object the first counts.
fn remedy(cluster: &Cluster, row: &Row) -> Option<String> {
    let query = "select remedy from kakunin.doctor() where finding = $1 and object = $2";
    let found = cluster.superuser().query(query, &[&row.1, &row.2]).expect("the doctor never fails");
    found.first().map(|row| row.get(0))
}

/// Runs a remedy as it is written, as a person would: statement by statement.
fn mend(cluster: &Cluster, checks: &mut Checks, name: &str, role: &str, remedy: &str) {
    let output = cluster.psql(SUPERUSER, &format!("set role {role};\n{remedy}\n"));
    checks.holds(&format!("{name}: the remedy runs: {remedy}"), output.success, &output.stderr);
    if remedy.contains("pg_reload_conf") {
        cluster.reload();
    }
}

/// Runs the remedies until the rows are gone: an object may have as many faults as a function has properties.
fn mend_all(cluster: &Cluster, checks: &mut Checks, name: &str, role: &str, rows_before: &[Row]) {
    const FAULTS: usize = 3;
    for row in rows_before {
        for _ in 0..FAULTS {
            let Some(remedy) = remedy(cluster, row) else { break };
            mend(cluster, checks, name, role, &remedy);
            let unexpected: Vec<Row> = rows(cluster).into_iter().filter(|row| !rows_before.contains(row)).collect();
            checks.equal(&format!("{name}: the remedy opens nothing else"), unexpected, vec![]);
        }
    }
    checks.equal(&format!("{name}: mended"), rows(cluster), vec![]);
}

/// Each trap alone: found, mended, removed; and an agent that is bound throughout goes on reading its rows.
fn spring(traps: &[Trap]) {
    let stage = Stage::new();
    let mut bound = stage.bound(&stage.agent("bound"));
    let mut superuser = stage.cluster.superuser();
    run(&mut superuser, ROLES);
    let mut checks = Checks::new();
    checks.equal("before", rows(&stage.cluster), vec![]);
    for trap in traps {
        run(&mut superuser, &format!("{TABLE_SQL} reset role; set role {}; {}; reset role", trap.role, trap.setup));
        let wanted = expected(trap.rows);
        checks.equal(trap.name, sorted(rows(&stage.cluster)), wanted.clone());
        mend_all(&stage.cluster, &mut checks, trap.name, trap.role, &wanted);
        checks.equal(&format!("{}: a bound agent's rows", trap.name), notes(&mut bound), 2);
        run(&mut superuser, &format!("drop schema \"a b\" cascade; {}", trap.undo));
        checks.equal(&format!("{}: afterwards", trap.name), rows(&stage.cluster), vec![]);
    }
}

#[test]
fn every_trap_is_named_and_its_remedy_mends_it() {
    spring(&plain());
}

#[test]
fn a_trap_in_another_form_is_found_too() {
    spring(&hidden());
}

#[test]
fn what_is_sound_is_left_in_peace() {
    let cluster = Cluster::start();
    let mut superuser = cluster.superuser();
    let mut checks = Checks::new();
    run(&mut superuser, "create role app login");
    checks.equal("an empty database", rows(&cluster), vec![]);
    run(&mut superuser, &format!("{ROLES} {TABLE_SQL} {PROTECT} reset role"));
    let sound = [
        (
            "by fingerprint",
            "create table f (owner text); create index on f (owner);
            select from kakunin.protect_table('f', 'owner', identity => 'fingerprint')",
        ),
        (
            "partitions two levels deep",
            "create table top (permitted_agent_serial text, n int) partition by list (n);
            create table mid partition of top for values in (1, 2) partition by list (n);
            create table leaf partition of mid for values in (1);
            select from kakunin.protect_table('top', create_index => true)",
        ),
        (
            "invoker views",
            r#"create view v with (security_invoker) as table "a b"."c""d";
            create view w with (security_invoker = yes) as select * from v join top using (permitted_agent_serial)"#,
        ),
        (
            "an inheriting table that is protected too",
            "create table kid () inherits (f); create index on kid (owner);
            select from kakunin.protect_table('kid', 'owner', 'fingerprint')",
        ),
        (
            "policies by hand",
            "create table hand (s text, archived boolean); create index on hand (s, archived);
            alter table hand enable row level security, force row level security;
            create policy own on hand using (s = kakunin_cert_serial());
            create policy bound on hand as restrictive using (s = (select kakunin_cert_serial()))",
        ),
        (
            "a second condition beside the one with the index",
            "create policy kept on hand as restrictive using (s = kakunin_cert_serial() and not archived)",
        ),
        ("a permissive policy below a restrictive one", "create policy everybody on hand using (true)"),
        (
            "a table without policies",
            "create table plain (n int); create view plain_view as table plain;
            grant all on plain to public",
        ),
        (
            "policies that have nothing to do with certificates",
            "create table team (member name, note text);
            alter table team enable row level security;
            create function mine(name) returns boolean volatile language sql as 'select $1 = current_user';
            create policy mine on team using (mine(member));
            create policy \"some\" on team for update to public using (exists (select from plain where n = length(note)))",
        ),
        (
            "a wrapper as it should be",
            "create function serial() returns text stable language sql
                as 'select public.kakunin_cert_serial()';
            create policy wrapped on hand as restrictive using (s = public.serial())",
        ),
        ("a text that looks like a call", "create policy said on team using (note <> 'current_setting(')"),
        ("a materialized view that nobody else reads", "create materialized view own_copy as table f"),
        (
            "a setting of something else",
            "alter role app set kakunin.session_binding = on; grant truncate on plain to app",
        ),
    ];
    for (name, setup) in sound {
        run(&mut superuser, setup);
        checks.equal(name, rows(&cluster), vec![]);
    }
}

#[test]
fn strange_objects_do_not_stop_it() {
    let cluster = Cluster::start();
    let mut superuser = cluster.superuser();
    run(
        &mut superuser,
        "create role app login; create role keeper;
         create foreign data wrapper nothing; create server far foreign data wrapper nothing;
         create foreign table far_table (permitted_agent_serial text) server far;
         create table top (permitted_agent_serial text, n int) partition by list (n);
         create index on only top (permitted_agent_serial);
         select from kakunin.protect_table('top');
         create foreign table far_part partition of top for values in (9) server far;
         create table dropped (gone int, permitted_agent_serial text, gone_too text);
         alter table dropped drop gone; alter table dropped drop gone_too;
         create index on dropped (lower(permitted_agent_serial)); create index on dropped (permitted_agent_serial);
         select from kakunin.protect_table('dropped');
         create table none (); alter table none enable row level security; create policy nothing on none;
         create policy restricted on none as restrictive for delete to public, app using (false);
         create policy cased on dropped as restrictive for all to public using (
             case when permitted_agent_serial is null then false
                  else permitted_agent_serial in (select kakunin_cert_serial() union all select null) end);
         create policy whole on dropped as restrictive using (dropped is not null and kakunin_cert_serial() is not null);
         create view weird as with recursive r as (select 1 as n union all select n + 1 from r where n < 2) table r;
         create rule redirected as on insert to dropped do also nothing;
         create sequence counter; create type pair as (a int, b text);
         create schema \"%s %I\"; create table \"%s %I\".\"'; drop table top; --\" (permitted_agent_serial text);
         select from kakunin.protect_table('\"%s %I\".\"''; drop table top; --\"');
         create temporary table temp (permitted_agent_serial text); select from kakunin.protect_table('temp');",
    );
    let mut checks = Checks::new();
    let query = "select finding, object from kakunin.doctor() order by finding, object collate \"C\"";
    checks.equal(
        "what is unsafe among them",
        ask(&mut superuser, query),
        "no_index_for_policy|\"%s %I\".\"'; drop table top; --\",no_index_for_policy|temp,\
         partition_without_row_security|public.far_part",
    );
    let remedy = "select remedy from kakunin.doctor() where object like '%drop table%'";
    let remedy = ask(&mut superuser, remedy);
    mend(&cluster, &mut checks, "a name that is a statement", SUPERUSER, &remedy);
    checks.equal("the table is there", ask(&mut superuser, "select to_regclass('public.top') is not null"), "t");

    // Somebody else's temporary table, a hostile search path, and names that would be found first.
    let mut other = cluster.superuser();
    run(
        &mut other,
        "create schema evil; create table evil.pg_policy (oid oid);
         create function evil.format(text, variadic text[]) returns text language plpgsql as 'begin raise ''used''; end';
         create temporary table pg_class (oid oid); create temporary table pg_proc (proname text);
         set search_path = evil, pg_temp, pg_catalog",
    );
    // Nobody else can reach the first session's temporary table, or mend it.
    let found = ask(&mut other, "select finding, object from kakunin.doctor() order by 1, 2");
    checks.equal("with names that shadow the catalogues", found, "partition_without_row_security|public.far_part");
}

#[test]
fn auditors_and_administrators_may_ask_and_agents_may_not() {
    let cluster = Cluster::start();
    let mut superuser = cluster.superuser();
    run(
        &mut superuser,
        "create role app login; create role agent login in role kakunin_agent;
         create role auditor login in role kakunin_auditor; create role admin login in role kakunin_admin;
         create table note (permitted_agent_serial text); select from kakunin.protect_table('note');
         revoke all on note from public",
    );
    let mut checks = Checks::new();
    let query = "select finding, object, remedy from kakunin.doctor()";
    let all = ask(&mut superuser, query);
    checks.holds("the superuser", all.starts_with("no_index_for_policy|public.note|create index"), &all);
    for role in ["auditor", "admin"] {
        checks.equal(role, ask(&mut cluster.connect(role, "test"), query), all.clone());
    }
    for role in ["app", "agent"] {
        checks.equal(role, refused(&mut cluster.connect(role, "test"), query).sqlstate, "42501");
    }
    // What an auditor is told to run, an auditor may not.
    let refusal = refused(&mut cluster.connect("auditor", "test"), "create index on note (permitted_agent_serial)");
    checks.equal("an auditor changes nothing", refusal.sqlstate, "42501");
}

#[test]
fn gateways_that_are_trusted_too_much_are_named() {
    let mut cluster = Cluster::start();
    let mut checks = Checks::new();
    run(
        &mut cluster.superuser(),
        r#"create table note (permitted_agent_serial text); select from kakunin.protect_table('note', create_index => true);
           create role gate login noinherit; create role "Odd Gate" login noinherit; create role between;
           create role service bypassrls; grant between to "Odd Gate"; grant service to between"#,
    );
    let key = cluster.private_file("key", b"a secret of more than thirty-two bytes, at least");
    // Sessions that cannot be bound are shared ones, on the whole server here.
    let service = ("high", "role_bypasses_row_security", "service");
    cluster.set("kakunin.session_binding", "off");
    cluster.reload();
    let shared = expected(&[service, ("medium", "temporary_granted", "database test")]);
    checks.equal("no bindings of sessions", rows(&cluster), shared);
    cluster.set("kakunin.session_binding", "on");
    // Without a trusted gateway nobody is believed.
    cluster.set("kakunin.trust_serial_header", "on");
    cluster.reload();
    checks.equal("no gateway", rows(&cluster), expected(&[("high", "role_bypasses_row_security", "service")]));
    cluster.set("kakunin.trusted_gateways", r#"gate, "Odd Gate", nobody"#);
    cluster.reload();
    let wanted = [
        ("high", "bare_serial_header_trusted", "kakunin.trust_serial_header"),
        ("high", "role_bypasses_row_security", "service"),
        ("medium", "gateway_reaches_bypass_role", "\"Odd Gate\""),
        ("medium", "gateway_token_not_reverified", "kakunin.gateway_jwt_key_file"),
        ("medium", "temporary_granted", "database test"),
    ];
    let mut left = expected(&wanted);
    checks.equal("all of it", sorted(rows(&cluster)), left.clone());
    for finding in ["bare_serial_header_trusted", "gateway_token_not_reverified", "temporary_granted"] {
        let row = left.iter().find(|row| row.1 == finding).expect("it is expected").clone();
        let remedy = remedy(&cluster, &row).unwrap_or_default();
        if finding == "gateway_token_not_reverified" {
            // Which file it is, only the reader knows.
            checks.holds(finding, remedy.contains("kakunin.gateway_jwt_key_file"), &remedy);
            cluster.set("kakunin.gateway_jwt_key_file", &key.to_string_lossy());
            cluster.reload();
        } else {
            mend(&cluster, &mut checks, finding, SUPERUSER, &remedy);
        }
        left.retain(|other| *other != row);
        checks.equal(&format!("{finding}: mended"), sorted(rows(&cluster)), left.clone());
    }
    // What db-pre-request says is not to be seen from here: the reminder stays until the role is out of reach.
    let reminder = remedy(&cluster, &left[1]).unwrap_or_default();
    checks.holds("the reminder", reminder.contains("kakunin.pre_request"), &reminder);
    run(&mut cluster.superuser(), "revoke service from between");
    left.retain(|row| row.1 != "gateway_reaches_bypass_role");
    checks.equal("out of reach", rows(&cluster), left.clone());
    mend_all(&cluster, &mut checks, "role_bypasses_row_security", SUPERUSER, &left);
}

#[test]
fn a_server_without_the_library_is_named_and_keeps_its_other_libraries() {
    let other = "auto_explain, pg_stat_statements";
    let mut cluster = Cluster::builder().without_preload().set("shared_preload_libraries", other).start();
    let mut checks = Checks::new();
    let wanted = expected(&[("high", "not_preloaded", "shared_preload_libraries")]);
    checks.equal("found", rows(&cluster), wanted.clone());
    // Without the library the settings are whatever a session writes.
    for value in ["banana", ""] {
        // A session of its own: doctor() loads the library, which then defines the settings.
        let mut session = cluster.superuser();
        run(
            &mut session,
            &format!("set kakunin.trust_serial_header = '{value}'; set kakunin.trusted_gateways = 'gate'"),
        );
        let found = ask(&mut session, "select finding from kakunin.doctor() where finding = 'not_preloaded'");
        checks.equal(&format!("{value:?} as a setting"), found, "not_preloaded");
    }
    let remedy = remedy(&cluster, &wanted[0]).expect("it was found");
    mend(&cluster, &mut checks, "not_preloaded", SUPERUSER, &remedy);
    cluster.restart(Shutdown::Fast);
    checks.equal("mended", rows(&cluster), vec![]);
    let kept = ask(&mut cluster.superuser(), "show shared_preload_libraries").replace(' ', "");
    checks.equal("the other libraries", kept, "auto_explain,pg_stat_statements,kakunin");
    for spelling in ["$libdir/kakunin", "auto_explain,kakunin", "\"kakunin\" , auto_explain"] {
        run(&mut cluster.superuser(), "alter system reset shared_preload_libraries");
        cluster.set("shared_preload_libraries", spelling);
        cluster.restart(Shutdown::Fast);
        checks.equal(spelling, rows(&cluster), vec![]);
    }
}

#[test]
fn a_server_below_the_security_floor_is_named() {
    let cluster = Cluster::start();
    let mut superuser = cluster.superuser();
    let mut checks = Checks::new();
    let version: i32 = ask(&mut superuser, "show server_version_num").parse().expect("a number");
    // A server's version cannot be set, so a copy of the function gets another floor.
    let source = ask(&mut superuser, "select prosrc from pg_proc where oid = 'kakunin.doctor'::regproc");
    let major = version / 10_000;
    let line = format!("({major}, {major}00");
    let start = source.find(&line).expect("the floor of this major release") + format!("({major}, ").len();
    for (name, floor, found) in [("a later floor", version + 1, true), ("this release", version, false)] {
        let copy = format!("{}{floor}{}", &source[..start], &source[start + 6..]);
        let create = format!(
            "create or replace function public.doctor_of_another_floor()
                 returns table (severity text, finding text, object text, detail text, remedy text)
                 language sql stable set search_path = pg_catalog, pg_temp as $copy${copy}$copy$"
        );
        run(&mut superuser, &create);
        let row = ask(
            &mut superuser,
            "select severity, object = 'server ' || current_setting('server_version'), remedy ~ '^Upgrade to PostgreSQL'
               from public.doctor_of_another_floor() where finding = 'server_below_security_floor'",
        );
        checks.equal(name, row, if found { "high|t|t" } else { "" });
    }
}

/// Severity and name of every finding, as the installed function has them.
fn findings() -> BTreeSet<(String, String)> {
    let cluster = Cluster::start();
    let source = ask(&mut cluster.superuser(), "select prosrc from pg_proc where oid = 'kakunin.doctor'::regproc");
    let mut findings = BTreeSet::new();
    for severity in ["high", "medium"] {
        for part in source.split(&format!("'{severity}',")).skip(1) {
            let column = part.split(',').next().expect("a part at least");
            let words = column.split('\'').skip(1).step_by(2).filter(|word| word.contains('_'));
            findings.extend(words.map(|word| (severity.to_owned(), word.to_owned())));
        }
    }
    findings
}

#[test]
fn the_page_explains_every_finding() {
    let findings = findings();
    let page = fs::read_to_string(workspace().join("docs/policies.md")).expect("the page is there");
    let section = page.split("## `kakunin.doctor()`").nth(1).expect("the section is there");
    let section = section.split("\n## ").next().expect("a part at least");
    let explained: BTreeSet<(String, String)> = section
        .split("\n### ")
        .skip(1)
        .map(|entry| {
            let (name, text) = entry.split_once('\n').expect("a text below the name");
            let severity = text.trim_start().split(['.', ' ', '\n']).next().unwrap_or_default();
            (severity.to_lowercase(), name.trim_matches('`').to_owned())
        })
        .collect();
    assert_eq!(explained, findings);
    // This file tries each of them.
    let read = |file: &str| fs::read_to_string(workspace().join(file)).expect("the file is there");
    let tests = read("tests/doctor.rs") + &read("tests/doctor/forms.rs");
    let quoted = |name: &str| ['"', '\''].map(|quote| format!("{quote}{name}{quote}"));
    let tried = |name: &str| quoted(name).iter().any(|name| tests.contains(name));
    let untried: Vec<_> = findings.iter().filter(|(_, name)| !tried(name)).collect();
    assert!(untried.is_empty(), "no test has {untried:?}");
    assert!(findings.len() >= 20, "{findings:?}");
}
