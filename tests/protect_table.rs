//! `kakunin.protect_table`: on which tables, for which identities, and what an agent can do afterwards.

use kakunin_tests::scene::{
    Scene, ask, begin_as, bind_session, refused, refused_inside, run, seen, state, state_inside, touched,
};
use kakunin_tests::{Checks, DATABASE};
use postgres::Client;

/// What `protect_table` says it did, a step each.
fn steps(client: &mut Client, call: &str) -> Vec<String> {
    let query = format!("select protected::text || ': ' || step from kakunin.protect_table({call})");
    let rows = client.query(&query, &[]).unwrap_or_else(|error| panic!("{call}: {error:?}"));
    rows.iter().map(|row| row.get(0)).collect()
}

/// Row security, whether it is forced, and the policies of a table.
fn state_of(client: &mut Client, table: &str) -> String {
    ask(
        client,
        &format!(
            "select relrowsecurity, relforcerowsecurity,
                (select string_agg(format('%s %s %s %s', polname, polpermissive, polcmd, polroles), '; ' order by polname)
                    from pg_policy where polrelid = c.oid)
             from pg_class c where oid = '{table}'::regclass"
        ),
    )
}

/// With both policies, for all commands and everyone.
const PROTECTED: &str = "t|t|kakunin_access t * {0}; kakunin_binding f * {0}";

#[test]
fn a_table_is_protected_once_however_often_it_is_asked_for() {
    let scene = Scene::new();
    let mut superuser = scene.superuser();
    run(
        &mut superuser,
        "create table plain (id int primary key, permitted_agent_serial text not null);
         insert into plain values (1, '4A'), (2, '4B')",
    );
    let condition = "permitted_agent_serial = (select public.kakunin_cert_serial())";
    let policies = [
        "plain: row level security enabled".to_owned(),
        "plain: forced for the owner too".to_owned(),
        format!("plain: policy kakunin_access lets {condition} through"),
        "plain: restrictive policy kakunin_binding holds beside any later policy".to_owned(),
    ];
    let with = |last: &str| [&policies[..], &[format!("plain: {last}")]].concat();
    let mut checks = Checks::new();
    let advice = "no index leads with the column; for large tables: create index concurrently on public.plain (permitted_agent_serial)";
    checks.equal("the first time", steps(&mut superuser, "'plain'"), with(advice));
    checks.equal("no index is made unasked", indexes(&mut superuser, "plain"), "plain_pkey");
    let once = state_of(&mut superuser, "plain");
    checks.equal("the table", &*once, PROTECTED);
    checks.equal("again", steps(&mut superuser, "'plain'"), with(advice));
    let call = "'plain', create_index => true";
    checks.equal("an index", steps(&mut superuser, call), with("index on the column created"));
    checks.equal("an index, again", steps(&mut superuser, call), with("an index on the column is there"));
    checks.equal("without asking", steps(&mut superuser, "'plain'"), with("an index on the column is there"));
    checks.equal("one index", indexes(&mut superuser, "plain"), "plain_permitted_agent_serial_idx plain_pkey");
    checks.equal("the table, again", state_of(&mut superuser, "plain"), once);
    let silent = "select count(*) from pg_policy p where polrelid = 'plain'::regclass
        and obj_description(p.oid, 'pg_policy') is null";
    checks.equal("policies have comments", ask(&mut superuser, silent), "0");
    // Another identity replaces the condition.
    run(&mut superuser, "select kakunin.protect_table('plain', identity => 'agent_id')");
    let conditions =
        "select string_agg(distinct pg_get_expr(polqual, polrelid) ~ 'kakunin_agent_id' || '', ' ') from pg_policy
        where polrelid = 'plain'::regclass";
    checks.equal("another identity", ask(&mut superuser, conditions), "true");
    // An index that holds some of the rows only is no help to the policy.
    run(
        &mut superuser,
        "drop index plain_permitted_agent_serial_idx;
         create index few on plain (permitted_agent_serial) where id > 100;
         create index second on plain (id, permitted_agent_serial)",
    );
    checks.equal("a partial index", steps(&mut superuser, call).pop(), with("index on the column created").pop());
    checks.equal(
        "all indexes",
        indexes(&mut superuser, "plain"),
        "few plain_permitted_agent_serial_idx plain_pkey second",
    );
}

fn indexes(client: &mut Client, table: &str) -> String {
    ask(
        client,
        &format!("select string_agg(indexrelid::regclass::text, ' ' order by 1) from (
            select indexrelid::regclass::text collate \"C\" as indexrelid from pg_index where indrelid = '{table}'::regclass
            order by 1) as each"),
    )
}

#[test]
fn force_decides_about_the_owner() {
    let scene = Scene::new();
    let mut superuser = scene.superuser();
    run(
        &mut superuser,
        "set role keeper; create table t.mine (id int, permitted_agent_serial text); insert into t.mine values (1, '4A')",
    );
    let mut checks = Checks::new();
    let call = "'t.mine', force => false";
    let told = steps(&mut superuser, call);
    checks.holds("nothing is said of the owner", !told.iter().any(|step| step.contains("owner")), &told);
    checks.equal("not forced", seen(&mut superuser, "t.mine"), "1");
    run(&mut superuser, "select kakunin.protect_table('t.mine')");
    checks.equal("forced", seen(&mut superuser, "t.mine"), "");
    checks.equal("the owner writes no row", state(&mut superuser, "insert into t.mine values (2, '4A')"), "42501");
    // What was forced stays so until somebody says otherwise in so many words.
    run(&mut superuser, "select kakunin.protect_table('t.mine', force => false)");
    checks.equal("still forced", seen(&mut superuser, "t.mine"), "");
    run(&mut superuser, "alter table t.mine no force row level security");
    checks.equal("the owner's own word", seen(&mut superuser, "t.mine"), "1");
}

#[test]
fn what_cannot_be_protected_is_refused_and_left_as_it_was() {
    let scene = Scene::new();
    let mut superuser = scene.superuser();
    run(
        &mut superuser,
        "create table plain (id int, permitted_agent_serial text, owner name, code char(4), list text[], gone text);
         alter table plain drop column gone;
         create domain word as text;
         create collation careless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         create table worded (w word, c text collate careless);
         create view a_view as table plain;
         create materialized view a_copy as table plain;
         create sequence a_sequence;
         create type a_type as (permitted_agent_serial text);
         create index an_index on plain (id);
         create foreign data wrapper nowhere;
         create server nowhere foreign data wrapper nowhere;
         create foreign table far (permitted_agent_serial text) server nowhere;
         create table other (permitted_agent_serial text);
         grant all on plain to app;",
    );
    let mut checks = Checks::new();
    for (call, sqlstate, slug) in [
        ("'a_view'", "42809", "not_a_table"),
        ("'a_copy'", "42809", "not_a_table"),
        ("'a_sequence'", "42809", "not_a_table"),
        ("'a_type'", "42809", "not_a_table"),
        ("'an_index'", "42809", "not_a_table"),
        ("'far'", "42809", "not_a_table"),
        ("0::regclass", "42809", "not_a_table"),
        ("'plain', 'serial'", "42703", "column_unknown"),
        ("'plain', 'gone'", "42703", "column_unknown"),
        ("'plain', '........pg.dropped.6........'", "42703", "column_unknown"),
        ("'plain', 'Permitted_Agent_Serial'", "42703", "column_unknown"),
        ("'plain', '\"permitted_agent_serial\"'", "42703", "column_unknown"),
        ("'plain', 'permitted_agent_serial) or (true'", "42703", "column_unknown"),
        ("'plain', ''", "42703", "column_unknown"),
        ("'plain', 'ctid'", "42703", "column_unknown"),
        ("'plain', 'tableoid'", "42703", "column_unknown"),
        ("'plain', 'id'", "42804", "column_type"),
        ("'plain', 'owner'", "42804", "column_type"),
        ("'plain', 'code'", "42804", "column_type"),
        ("'plain', 'list'", "42804", "column_type"),
        ("'worded', 'w'", "42804", "column_type"),
        // Its = finds texts equal that are not: one agent would have another one's rows.
        ("'worded', 'c'", "42804", "column_type"),
        ("'plain', identity => 'name'", "22023", "identity_unknown"),
        ("'plain', identity => 'SERIAL'", "22023", "identity_unknown"),
        ("'plain', identity => ''", "22023", "identity_unknown"),
        ("'plain', identity => null", "22023", "identity_unknown"),
        ("'plain', identity => repeat('x', 1000000)", "22023", "identity_unknown"),
        ("null", "22023", "argument_null"),
        ("'plain', null", "22023", "argument_null"),
        ("'plain', force => null", "22023", "argument_null"),
        ("'plain', create_index => null", "22023", "argument_null"),
        ("'absent'", "42P01", ""),
    ] {
        let call = format!("select kakunin.protect_table({call})");
        match superuser.batch_execute(&call) {
            Ok(()) => checks.holds(&call, false, "it was done"),
            refusal => {
                let refusal = kakunin_tests::refusal_of(refusal);
                checks.equal(&call, (&*refusal.sqlstate, refusal.slug()), (sqlstate, slug));
                checks.holds(&format!("{call}: is short"), refusal.text().len() < 1000, &refusal);
            }
        }
    }
    for table in ["plain", "worded"] {
        checks.equal(&format!("{table} is as it was"), state_of(&mut superuser, table), "f|f|NULL");
    }

    // Only the owner, and whoever is the owner.
    let mut app = scene.app();
    for call in ["'plain'", "'other'", "'kakunin.revocation', 'serial'", "'pg_class', 'relname'"] {
        let call = format!("select kakunin.protect_table({call})");
        let found = state(&mut app, &call);
        checks.holds(&format!("not the owner: {call}"), ["42501", "42804"].contains(&&*found), &found);
    }
    checks.equal("plain is as it was", state_of(&mut superuser, "plain"), "f|f|NULL");
    run(&mut superuser, "alter table plain owner to keeper; grant keeper to app");
    checks.equal("a member of the owner", state(&mut app, "select kakunin.protect_table('plain')"), "00000");
    checks.equal("plain is protected", state_of(&mut superuser, "plain"), PROTECTED);
}

#[test]
fn odd_names_are_names() {
    let scene = Scene::new();
    let mut superuser = scene.superuser();
    run(&mut superuser, r#"create schema "a b"; create schema pg; grant usage on schema "a b", pg to app"#);
    let mut app = scene.app();
    bind_session(&mut app, &scene.a);
    let mut checks = Checks::new();
    for (table, column) in [
        (r#""a b"."c""d""#, r#""e""f g""#),
        (r#""a b"."select""#, r#""select""#),
        (r#""a b"."%I %s""#, r#""%I""#),
        (r#""a b"."x' or true --""#, r#""x') or (true --""#),
        (r#"pg."Größe""#, r#""größte""#),
        (r#"public."kakunin_cert_serial""#, "kakunin_cert_serial"),
        (r#"public."pg_class""#, "oid_text"),
    ] {
        let name = column.trim_matches('"').replace("\"\"", "\"").replace('\'', "''");
        let literal = table.replace('\'', "''");
        run(
            &mut superuser,
            &format!(
                "create table {table} (id int, {column} text);
                 insert into {table} values (1, '4A'), (2, '4B');
                 select from kakunin.protect_table('{literal}', '{name}', create_index => true);
                 grant select, insert on {table} to app"
            ),
        );
        checks.equal(table, state_of(&mut superuser, &literal), PROTECTED);
        checks.equal(&format!("{table}: rows"), seen(&mut app, table), "1");
        let insert = format!("insert into {table} values (3, '4B')");
        checks.equal(&format!("{table}: insert"), state(&mut app, &insert), "42501");
        let insert = format!("insert into {table} values (3, '4A')");
        checks.equal(&format!("{table}: own insert"), state(&mut app, &insert), "00000");
    }
    // What the caller's search path says has no part in it.
    run(
        &mut superuser,
        "create schema decoy;
         create function decoy.kakunin_cert_serial() returns text language sql return '4B';
         create table decoy.note (id int, permitted_agent_serial text);
         create table note (id int, permitted_agent_serial text);
         set search_path = decoy, public;
         select from kakunin.protect_table('public.note');
         reset search_path",
    );
    checks.equal("the one that was named", state_of(&mut superuser, "note"), PROTECTED);
    checks.equal("not its namesake", state_of(&mut superuser, "decoy.note"), "f|f|NULL");
    let called =
        "select distinct pg_get_expr(polqual, polrelid) ~ 'decoy' from pg_policy where polrelid = 'note'::regclass";
    checks.equal("the extension's function", ask(&mut superuser, called), "f");
    // A temporary table, also one that is called like a catalogue.
    run(&mut app, "create temporary table pg_class (id int, permitted_agent_serial text)");
    run(&mut app, "insert into pg_temp.pg_class values (1, '4A'), (2, '4B')");
    run(&mut app, "select kakunin.protect_table('pg_temp.pg_class')");
    checks.equal("a temporary table", seen(&mut app, "pg_temp.pg_class"), "1");
}

#[test]
fn each_identity_compares_with_what_the_column_holds() {
    let scene = Scene::new();
    let mut superuser = scene.superuser();
    let fingerprint = "encode(fingerprint, 'hex')";
    let mut checks = Checks::new();
    for (identity, value, of_a, of_b) in [
        ("serial", "serial", "1", "2"),
        ("fingerprint", fingerprint, "1", "2"),
        ("agent_id", "agent_id", "1", "2"),
        // Both are of one tenant.
        ("tenant_id", "tenant_id", "1,2", "1,2"),
    ] {
        let table = format!("of_{identity}");
        run(
            &mut superuser,
            &format!(
                "create table {table} (id int, who varchar(64));
                 insert into {table} select row_number() over (order by serial), {value} from kakunin.certificate;
                 insert into {table} values (3, ''), (4, null), (5, 'somebody'), (6, lower('4A'));
                 select from kakunin.protect_table('{table}', 'who', '{identity}', create_index => true);
                 insert into {table} select 100 + n, 'nobody' from generate_series(1, 20000) n;
                 grant select on {table} to app;
                 analyze {table}"
            ),
        );
        let mut app = scene.app();
        checks.equal(&format!("{identity}, unbound"), seen(&mut app, &table), "");
        for (agent, expected) in [(&scene.a, of_a), (&scene.b, of_b)] {
            begin_as(&mut app, agent);
            checks.equal(identity, seen(&mut app, &table), expected);
            run(&mut app, "commit");
        }
        let plan = ask(&mut app, &format!("explain (costs off) select * from {table}"));
        let indexed = plan.contains("InitPlan 1") && plan.contains("Index Cond: ((who)::text = $0)");
        checks.holds(&format!("{identity}: asked once, and the index is used"), indexed, &plan);
        run(&mut app, PARALLEL);
        let plan = ask(&mut app, &format!("explain (costs off) select count(*) from {table} where id <> 7"));
        let parallel = plan.contains("Workers Planned: 2") && plan.contains("InitPlan 1");
        checks.holds(&format!("{identity}: two workers are planned"), parallel, &plan);
        bind_session(&mut app, &scene.a);
        let count = ask(&mut app, &format!("select count(*) from {table} where id <> 7"));
        checks.equal(&format!("{identity}: what the workers see"), count.parse().ok(), Some(of_a.split(',').count()));
    }
}

/// Workers cost nothing, indexes are out of the question.
const PARALLEL: &str =
    "set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0; set parallel_tuple_cost = 0;
    set min_parallel_table_scan_size = 0; set enable_indexscan = off; set enable_bitmapscan = off";

#[test]
fn partitions_are_protected_with_their_table() {
    let scene = Scene::new();
    let mut superuser = scene.superuser();
    run(
        &mut superuser,
        "create table part (id int, permitted_agent_serial text) partition by range (id);
         create table part_low partition of part for values from (0) to (10);
         -- The columns of this one are in another order.
         create table part_high (extra int, permitted_agent_serial text, id int);
         alter table part_high drop column extra;
         alter table part attach partition part_high for values from (10) to (20);
         create table part_rest partition of part default partition by list (permitted_agent_serial);
         create table part_rest_b partition of part_rest for values in ('4B');
         create table part_rest_other partition of part_rest default;
         insert into part select n, case when n % 2 = 0 then '4A' else '4B' end from generate_series(1, 25) n;
         create table single (id int, permitted_agent_serial text) partition by range (id);
         grant select, insert, update, delete on part, part_low, part_high, part_rest, part_rest_b, part_rest_other to app;",
    );
    let members = ["part", "part_low", "part_high", "part_rest", "part_rest_b", "part_rest_other"];
    let mut checks = Checks::new();
    let told = steps(&mut superuser, "'part', create_index => true");
    for member in members {
        checks.equal(member, state_of(&mut superuser, member), PROTECTED);
        let prefix = format!("{member}: ");
        checks.equal(
            &format!("{member}: steps"),
            told.iter().filter(|step| step.starts_with(&prefix)).count(),
            if member == "part" { 5 } else { 4 },
        );
    }
    let indexed = ask(
        &mut superuser,
        "select count(*) from pg_index i join pg_class c on c.oid = i.indrelid where c.relname ~ '^part' and i.indisvalid",
    );
    checks.equal("an index on each", indexed, "6");
    checks.equal("no partitions yet", steps(&mut superuser, "'single'").len(), 5);

    let mut app = scene.app();
    for member in members {
        checks.equal(&format!("{member}, unbound"), seen(&mut app, member), "");
    }
    bind_session(&mut app, &scene.a);
    for (member, expected) in [
        ("part", "2,4,6,8,10,12,14,16,18,20,22,24"),
        ("part_low", "2,4,6,8"),
        ("part_high", "10,12,14,16,18"),
        ("part_rest", "20,22,24"),
        ("part_rest_b", ""),
        ("part_rest_other", "20,22,24"),
    ] {
        checks.equal(member, seen(&mut app, member), expected);
    }
    for (statement, expected) in [
        ("insert into part values (5, '4B')", "42501"),
        ("insert into part_low values (5, '4B')", "42501"),
        ("insert into part_rest_b values (30, '4B')", "42501"),
        ("update part set permitted_agent_serial = '4B' where id = 22", "42501"),
        ("insert into part values (6, '4A')", "00000"),
        ("insert into part_low values (6, '4A')", "00000"),
        ("update part set id = 16 where id = 6", "00000"),
    ] {
        checks.equal(statement, state(&mut app, statement), expected);
    }
    checks.equal("rows that moved to another partition", ask(&mut app, "select count(*) from part_high"), "8");
    checks.equal("another agent's partition", touched(&mut app, "delete from part_rest_b"), 0);

    // A foreign partition has no row security: the whole is refused, not the rest of it done.
    run(
        &mut superuser,
        "create table wide (id int, permitted_agent_serial text) partition by list (id);
         create foreign data wrapper nowhere;
         create server nowhere foreign data wrapper nowhere;
         create foreign table far partition of wide for values in (1) server nowhere",
    );
    let call = "select kakunin.protect_table('wide')";
    checks.equal(call, refused(&mut superuser, call).sqlstate, "42809");
    checks.equal("the table is as it was", state_of(&mut superuser, "wide"), "f|f|NULL");
}

#[test]
fn policies_that_were_there_stay_and_cannot_open_the_table() {
    let scene = Scene::new();
    let mut superuser = scene.superuser();
    run(
        &mut superuser,
        "create table shared (id int, permitted_agent_serial text, team text);
         insert into shared values (1, '4A', 'red'), (2, '4A', 'blue'), (3, '4B', 'red');
         create policy open on shared using (true) with check (true);
         create policy red on shared as restrictive for select using (team = 'red');
         alter table shared enable row level security;
         grant select, insert, update, delete on shared to app",
    );
    let mut app = scene.app();
    let mut checks = Checks::new();
    checks.equal("before", seen(&mut app, "shared"), "1,3");
    run(&mut superuser, "select kakunin.protect_table('shared')");
    checks.equal(
        "all four are there",
        state_of(&mut superuser, "shared"),
        "t|t|kakunin_access t * {0}; kakunin_binding f * {0}; open t * {0}; red f r {0}",
    );
    checks.equal("unbound", seen(&mut app, "shared"), "");
    checks.equal("unbound insert", state(&mut app, "insert into shared values (4, '4A', 'red')"), "42501");
    bind_session(&mut app, &scene.a);
    checks.equal("bound", seen(&mut app, "shared"), "1");
    checks.equal("an insert for another", state(&mut app, "insert into shared values (4, '4B', 'red')"), "42501");
    checks.equal("an insert", state(&mut app, "insert into shared values (4, '4A', 'red')"), "00000");
    // Without its own permissive policy, an older one opens what the binding leaves.
    run(&mut superuser, "drop policy kakunin_access on shared");
    checks.equal("held by the binding alone", seen(&mut app, "shared"), "1,4");
    run(&mut superuser, "drop policy open on shared");
    checks.equal("nothing permits", seen(&mut app, "shared"), "");
    run(&mut superuser, "select kakunin.protect_table('shared')");
    checks.equal("mended", seen(&mut app, "shared"), "1,4");
}

#[test]
fn an_agent_reads_and_writes_its_own_rows_with_every_command() {
    let scene = Scene::new();
    let mut superuser = scene.superuser();
    run(
        &mut superuser,
        "create table note (
            id int primary key,
            permitted_agent_serial text not null default kakunin_cert_serial(),
            body text);
         insert into note values (1, '4A', 'a'), (2, '4B', 'b');
         select from kakunin.protect_table('note', create_index => true);
         grant select, insert, update, delete on note to app",
    );
    let mut app = scene.app();
    let mut checks = Checks::new();
    checks.equal("the default, unbound", state(&mut app, "insert into note (id) values (9)"), "42501");
    begin_as(&mut app, &scene.a);
    for (statement, expected) in [
        ("insert into note (id, body) values (10, 'new') returning id, permitted_agent_serial", "10|4A"),
        ("update note set body = 'x' returning id", "1,10"),
        ("update note set body = 'y' where id = 2 returning id", ""),
        ("insert into note values (10, '4A', 'c') on conflict (id) do update set body = 'up' returning body", "up"),
        ("insert into note values (2, '4A', 'c') on conflict do nothing returning id", ""),
        (
            "with moved as (delete from note where id = 10 returning *) insert into note select id + 1, permitted_agent_serial, body from moved returning id",
            "11",
        ),
        (
            "merge into note n using (values (1), (2), (12)) v (id) on n.id = v.id
            when matched then update set body = 'merged'
            when not matched and v.id <> 2 then insert (id, body) values (v.id, 'merged');
          select id, body from note order by id",
            "1|merged,11|up,12|merged",
        ),
        ("delete from note where id in (2, 12) returning id", "12"),
        ("select id from note order by id for update", "1,11"),
        ("table note order by id", "1|4A|merged,11|4A|up"),
        ("select count(*) from note n right join (values (1), (2)) v (id) using (id) where n.body is null", "1"),
    ] {
        checks.equal(statement, ask(&mut app, statement), expected);
    }
    for statement in [
        "insert into note values (20, '4B', 'x')",
        "insert into note values (20, null, 'x')",
        "insert into note values (20, '4a', 'x')",
        "update note set permitted_agent_serial = '4B' where id = 1",
        "insert into note values (2, '4A', 'c') on conflict (id) do update set body = 'mine'",
        "insert into note values (1, '4A', 'c') on conflict (id) do update set permitted_agent_serial = '4B'",
        "merge into note n using (values (1)) v (id) on n.id = v.id when matched then update set permitted_agent_serial = '4B'",
        "merge into note n using (values (21)) v (id) on n.id = v.id when not matched then insert values (21, '4B', 'x')",
        "copy note to '/dev/null'",
        "copy note from stdin",
        "truncate note",
        "alter table note disable row level security",
        "alter table note no force row level security",
        "drop policy kakunin_binding on note",
        "create policy mine on note using (true)",
        "set local row_security = off; table note",
        "select from kakunin.protect_table('note', 'body')",
    ] {
        let found = state_inside(&mut app, statement);
        // COPY FROM does not go with row security.
        let expected = if statement.starts_with("copy note from") { "0A000" } else { "42501" };
        checks.equal(statement, &*found, expected);
    }
    let mut copied = String::new();
    let mut copy = app.copy_out("copy (table note order by id) to stdout").expect("its own rows");
    std::io::Read::read_to_string(&mut copy, &mut copied).expect("it is UTF-8");
    drop(copy);
    checks.equal("copy to stdout", copied, "1\t4A\tmerged\n11\t4A\tup\n");
    // The refusal names no value of the row.
    let refusal = refused_inside(&mut app, "insert into note values (30, '4B', 'confidential')");
    checks.holds("a refusal tells nothing of the row", !refusal.text().contains("confidential"), &refusal);
    run(&mut app, "commit");
    checks.equal("the other agent's row", ask(&mut superuser, "select * from note where id = 2"), "2|4B|b");
    // A new column and a renamed one keep the policies.
    run(&mut superuser, "alter table note rename permitted_agent_serial to whose; alter table note rename to letter");
    let mut other = scene.cluster.connect("app", DATABASE);
    bind_session(&mut other, &scene.b);
    checks.equal("renamed", seen(&mut other, "letter"), "2");
}
