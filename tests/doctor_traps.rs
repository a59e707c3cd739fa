//! `kakunin.doctor()` against traps in hidden forms: each is found, the statement beside it mends it, and agents see
//! afterwards what they saw before.

mod doctor_traps {
    pub mod traps;
}

use doctor_traps::traps::{TRAPS, Trap};
use kakunin_tests::scene::{ask, run};
use kakunin_tests::stage::{Stage, bind_session};
use kakunin_tests::{Checks, Identity};
use postgres::Client;

/// Severity, finding, object, and remedy.
type Row = [String; 4];

fn doctor(client: &mut Client) -> Vec<Row> {
    let rows = client.query("select severity, finding, object, remedy from kakunin.doctor()", &[]);
    let rows = rows.expect("doctor() does not fail");
    rows.iter().map(|row| std::array::from_fn(|column| row.get(column))).collect()
}

/// Rows without what mends them.
fn findings(rows: &[Row]) -> Vec<[String; 3]> {
    rows.iter().map(|[severity, finding, object, _]| [severity.clone(), finding.clone(), object.clone()]).collect()
}

fn named(text: &str) -> String {
    [("{t}", r#""a b"."c""d""#), ("{s}", r#""a b"."e.f""#), ("{i}", r#""a b"."i j""#), ("{f}", r#""a b"."g h""#)]
        .iter()
        .fold(text.to_owned(), |text, (place, name)| text.replace(place, name))
}

/// Two agents, and an owner whose schema is made anew for each trap.
struct Ward {
    stage: Stage,
    alpha: Identity,
    bravo: Identity,
    superuser: Client,
}

impl Ward {
    fn new() -> Self {
        let stage = Stage::new();
        let (alpha, bravo) = (stage.agent("alpha"), stage.agent("bravo"));
        let mut superuser = stage.cluster.superuser();
        run(&mut superuser, "create role keeper login");
        Self { stage, alpha, bravo, superuser }
    }

    fn furnish(&mut self) {
        let tables = named(TABLES).replace("{alpha}", &self.alpha.serial()).replace("{bravo}", &self.bravo.serial());
        run(&mut self.superuser, &tables);
    }

    fn as_keeper(&mut self, statements: &str) {
        run(&mut self.superuser, &format!("set role keeper; {}; reset role", named(statements)));
    }

    fn clear(&mut self) {
        run(&mut self.superuser, CLEAR);
    }

    fn mend(&mut self, name: &str, by: &str, row: &Row, checks: &mut Checks) {
        let output = self.stage.cluster.psql(by, &row[3]);
        checks.holds(&format!("{name}: the remedy"), output.success, (&row[3], output.stderr));
        let left = doctor(&mut self.superuser);
        let there = left.iter().any(|other| other[1..3] == row[1..3]);
        checks.holds(&format!("{name}: the row is gone"), !there, (&row[3], left));
    }

    /// What each agent, nobody, and a superuser see of the protected table.
    fn seen(&mut self) -> String {
        let bodies = named("select string_agg(body, ' ' order by body) from {t}");
        let mut seen = Vec::new();
        for agent in [&self.alpha, &self.bravo] {
            let mut session = self.stage.connect();
            bind_session(&mut session, &self.stage.proof(agent)).expect("a fresh proof binds");
            seen.push(ask(&mut session, &bodies));
        }
        seen.push(ask(&mut self.stage.connect(), &bodies));
        seen.push(ask(&mut self.superuser, &bodies));
        seen.join("|")
    }

    fn examine(&mut self, trap: &Trap, checks: &mut Checks) {
        let name = trap.name;
        self.furnish();
        checks.equal(&format!("{name}: before"), doctor(&mut self.superuser), Vec::<Row>::new());
        self.as_keeper(trap.made_by);
        let rows = doctor(&mut self.superuser);
        checks.equal(name, findings(&rows), trap.found.to_vec());
        for row in &rows {
            self.mend(name, trap.mended_by, row, checks);
        }
        checks.equal(&format!("{name}: all of them"), doctor(&mut self.superuser), Vec::<Row>::new());
        checks.equal(&format!("{name}: what is seen"), self.seen(), "of alpha|of bravo|NULL|of alpha of bravo");
        self.clear();
    }
}

#[test]
fn every_trap_is_found_and_mended_by_the_statement_beside_it() {
    let (mut ward, mut checks) = (Ward::new(), Checks::new());
    for trap in TRAPS {
        ward.examine(trap, &mut checks);
    }
}

#[test]
fn a_remedy_keeps_the_column_and_the_identity_that_are_there() {
    let (mut ward, mut checks) = (Ward::new(), Checks::new());
    let condition = r#"("f p" = ( SELECT kakunin_cert_fingerprint() AS kakunin_cert_fingerprint))"#;
    let base = r#"create table "a b".p ("f p" text, other text, n int) partition by list (n);
        create table "a b".p1 partition of "a b".p for values in (1);
        select from kakunin.protect_table('"a b".p', 'f p', 'fingerprint', create_index => true);"#;
    let new_partition = r#"create table "a b".p2 partition of "a b".p for values in (2)"#;
    let dropped = r#"drop policy kakunin_binding on "a b".p1"#;
    for (name, change, finding, table) in [
        ("a new partition", new_partition, "partition_without_row_security", "p2"),
        ("no restrictive policy", dropped, "no_restrictive_policy", "p1"),
    ] {
        ward.furnish();
        ward.as_keeper(&format!("{base} {change}"));
        let rows = doctor(&mut ward.superuser);
        checks.equal(name, rows.iter().map(|row| row[1].as_str()).collect::<Vec<_>>(), vec![finding]);
        for row in &rows {
            ward.mend(name, "keeper", row, &mut checks);
        }
        let policies = format!(
            "select policyname, qual from pg_policies where schemaname = 'a b' and tablename = '{table}'
                order by policyname collate \"C\""
        );
        let written = format!("kakunin_access|{condition},kakunin_binding|{condition}");
        checks.equal(name, ask(&mut ward.superuser, &policies), written);
        ward.clear();
    }
}

#[test]
fn a_table_that_a_claim_guarded_is_guarded_by_the_certificate_afterwards() {
    let (mut ward, mut checks) = (Ward::new(), Checks::new());
    ward.furnish();
    // No column has the default's name.
    ward.as_keeper(
        r#"create policy "s p" on {s} using (serial = current_setting('x.y', true));
        alter table {s} enable row level security"#,
    );
    let mut session = ward.stage.bound(&ward.alpha);
    let bravo = ward.bravo.serial();
    let forged = named("select set_config('x.y', '$', false), string_agg(body, ' ') from {s}").replace('$', &bravo);
    run(&mut session, &forged);
    checks.equal("a forged claim, before", ask(&mut session, &forged), format!("{bravo}|of bravo"));
    let rows = doctor(&mut ward.superuser);
    checks.equal("rows", rows.len(), 1);
    for row in &rows {
        ward.mend("the policy", "keeper", row, &mut checks);
    }
    checks.equal("a forged claim, after", ask(&mut session, &forged), format!("{bravo}|of alpha"));
}

#[test]
fn a_name_cannot_put_words_into_a_remedy() {
    let (mut ward, mut checks) = (Ward::new(), Checks::new());
    run(&mut ward.superuser, "create schema authorization keeper; create role gone login");
    // Names of a table, a column, a policy, a view, a function, a role: what stands behind a line's end, a quote or a
    // comment would run as whoever runs the remedy.
    for (number, word) in
        ["a\n; create table public.sprung (); --", "a' || '; create table public.sprung (); --", "a\\'\"\"; --"]
            .iter()
            .enumerate()
    {
        let name = format!("\"{}{word}\"", number);
        let traps = format!(
            "set role keeper;
            create table keeper.{name} ({name} text); create policy {name} on keeper.{name} using (true);
            create policy own on keeper.{name} using ({name} = kakunin_cert_serial());
            create view keeper.v{number} as select * from keeper.{name};
            create materialized view keeper.m{number} as select * from keeper.{name};
            create table keeper.p{number} ({name} text, n int) partition by list (n);
            select from kakunin.protect_table('keeper.p{number}', {literal}, 'agent_id');
            create table keeper.q{number} partition of keeper.p{number} default;
            create table keeper.s{number} ({name} text);
            create policy {name} on keeper.s{number} using ({name} = current_setting('a.b'));
            create function keeper.{name}() returns text security definer immutable language sql
                as 'select kakunin_cert_serial()';
            create policy f on keeper.s{number} as restrictive using (keeper.{name}() is not null);
            reset role; create role {name} bypassrls; grant select on keeper.m{number} to {name};
            grant truncate on keeper.p{number} to {name};",
            literal = quoted(&format!("{number}{}", word.replace("\"\"", "\"")))
        );
        run(&mut ward.superuser, &traps);
    }
    // Each remedy changes what the next one is asked for.
    let mut count = 0;
    while let Some(row) = doctor(&mut ward.superuser).into_iter().next() {
        let output = ward.stage.cluster.psql("postgres", &row[3]);
        checks.holds(&row[2], output.success, (&row[3], output.stderr));
        count += 1;
        if !output.success || count > 100 {
            break;
        }
    }
    checks.equal("all are mended", doctor(&mut ward.superuser), Vec::<Row>::new());
    checks.equal("nothing else ran", ask(&mut ward.superuser, "select to_regclass('public.sprung') is null"), "t");
}

/// A literal of this text.
fn quoted(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

const TABLES: &str = r#"
    create schema "a b" authorization keeper;
    grant usage on schema "a b" to app, other_app;
    set role keeper;
    create table {t} (id int primary key, permitted_agent_serial text not null, body text);
    insert into {t} values (1, '{alpha}', 'of alpha'), (2, '{bravo}', 'of bravo');
    create index "i j" on {t} (permitted_agent_serial);
    select from kakunin.protect_table('{t}');
    create table {s} (id int primary key, serial text not null, body text);
    insert into {s} values (1, '{alpha}', 'of alpha'), (2, '{bravo}', 'of bravo');
    create index on {s} (serial);
    grant select, insert, update, delete on {t}, {s} to app;
    reset role;
"#;

const CLEAR: &str = r#"
    drop schema "a b" cascade;
    drop schema if exists auth cascade;
    drop foreign data wrapper if exists w cascade;
    do $$
    declare
        role_name name;
    begin
        foreach role_name in array array['middle', 'by "pass'] loop
            if exists (select from pg_roles where rolname = role_name) then
                execute format('drop role %I', role_name);
            end if;
        end loop;
    end
    $$;
"#;
