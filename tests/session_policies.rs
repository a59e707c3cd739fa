//! The known ways around row-level security, against tables with the policies that `protect_table` writes and with
//! bare ones. What PostgreSQL leaves open is pinned here and explained in docs/binding.md.

use kakunin_tests::Checks;
use kakunin_tests::scene::{
    Scene, TABLES, ask, begin_as, bind_session, refused, refused_inside, run, seen, seen_in_both, state_inside, touched,
};
use postgres::Client;
use std::io::Read;

/// A session of the agents' login, bound to A, in a transaction.
fn bound(scene: &Scene) -> Client {
    let mut app = scene.app();
    bind_session(&mut app, &scene.a);
    run(&mut app, "begin");
    app
}

#[test]
fn t29_t30_no_row_is_written_for_another_agent() {
    let scene = Scene::new();
    let mut app = bound(&scene);
    let mut checks = Checks::new();
    for table in TABLES {
        for (id, statement) in [
            ("T29", format!("insert into {table} values (20, '4B', 'x')")),
            ("T29", format!("insert into {table} values (20, '', 'x')")),
            ("T29", format!("insert into {table} select id + 20, '4B', secret from {table}")),
            (
                "T29",
                format!(
                    "merge into {table} v using (select 20 as id) n on v.id = n.id when not matched then insert values (20, '4B', 'x')"
                ),
            ),
            ("T30", format!("update {table} set s = '4B' where id = 1")),
            ("T30", format!("update {table} set s = '4B'")),
            ("T30", format!("insert into {table} values (1, '4A', 'x') on conflict (id) do update set s = '4B'")),
            (
                "T30",
                format!(
                    "merge into {table} v using (select 1 as id) n on v.id = n.id when matched then update set s = '4B'"
                ),
            ),
        ] {
            let refusal = refused_inside(&mut app, &statement);
            checks.equal(&format!("{id}: {statement}"), refusal.sqlstate, "42501");
        }
        // Its own rows it may write.
        let own = format!("insert into {table} values (20, '4A', 'x'); update {table} set secret = 'y' where id = 20");
        checks.equal(&format!("own rows of {table}"), touched(&mut app, &own), 1);
        let taken = ask(&mut app, &format!("delete from {table} where id >= 20 returning id, secret"));
        checks.equal(&format!("own rows of {table}, taken out"), taken, "20|y");
    }
    // Unbound, nothing can be written at all.
    run(&mut app, "commit; select kakunin.unbind_session()");
    for table in TABLES {
        for serial in ["4A", "4B", ""] {
            let insert = format!("insert into {table} values (30, '{serial}', 'x')");
            checks.equal(&format!("unbound: {insert}"), refused(&mut app, &insert).sqlstate, "42501");
        }
    }
}

#[test]
fn t31_t33_hidden_rows_cannot_be_changed() {
    let scene = Scene::new();
    let mut app = bound(&scene);
    let mut checks = Checks::new();
    for table in TABLES {
        let update = format!("update {table} set secret = 'x' where id = 3");
        checks.equal(&format!("T31: {update}"), touched(&mut app, &update), 0);
        let delete = format!("delete from {table} where id = 3");
        checks.equal(&format!("T31: {delete}"), touched(&mut app, &delete), 0);
        let upsert = format!("insert into {table} values (3, '4A', 'x') on conflict (id) do update set secret = 'x'");
        checks.equal(&format!("T32: {upsert}"), refused_inside(&mut app, &upsert).sqlstate, "42501");
        let nothing = format!("insert into {table} values (3, '4A', 'x') on conflict (id) do nothing");
        checks.equal(&format!("T32: {nothing}"), touched(&mut app, &nothing), 0);
        for action in ["update set secret = 'x'", "delete"] {
            let merge =
                format!("merge into {table} v using (select 3 as id) n on v.id = n.id when matched then {action}");
            checks.equal(&format!("T33: {merge}"), touched(&mut app, &merge), 0);
        }
    }
    run(&mut app, "commit");
    let mut superuser = scene.superuser();
    for table in TABLES {
        let hidden = ask(&mut superuser, &format!("select * from {table} where id = 3"));
        checks.equal(&format!("T31: row 3 of {table}"), hidden, "3|4B|b1");
    }
}

/// docs/binding.md#t34
#[test]
fn t34_a_unique_key_tells_that_a_value_exists_and_nothing_more() {
    let scene = Scene::new();
    let mut app = bound(&scene);
    let mut checks = Checks::new();
    for table in TABLES {
        let refusal = refused_inside(&mut app, &format!("insert into {table} values (3, '4A', 'x')"));
        checks.equal(&format!("T34: {table}"), (&*refusal.sqlstate, &*refusal.detail), ("23505", ""));
    }
}

#[test]
fn t35_t36_row_security_cannot_be_switched_off() {
    let scene = Scene::new();
    let mut app = bound(&scene);
    let mut checks = Checks::new();
    for table in TABLES {
        let off = format!("set local row_security = off; table {table}");
        checks.equal(&format!("T35: {off}"), refused_inside(&mut app, &off).sqlstate, "42501");
    }
    let replica = "set local session_replication_role = replica";
    checks.equal("T36", refused_inside(&mut app, replica).sqlstate, "42501");
    checks.equal("and A's rows are there", seen_in_both(&mut app), "1,2");
}

#[test]
fn t37_t39_copy_follows_the_policies() {
    let scene = Scene::new();
    let mut app = bound(&scene);
    let mut checks = Checks::new();
    for table in TABLES {
        let file = format!("copy {table} to '/dev/null'");
        checks.equal(&format!("T37: {file}"), refused_inside(&mut app, &file).sqlstate, "42501");
        for source in [table.to_owned(), format!("(table {table})"), format!("{table} (id, secret)")] {
            let mut text = String::new();
            let mut copy = app.copy_out(&format!("copy {source} to stdout")).expect("its own rows");
            copy.read_to_string(&mut text).expect("it is UTF-8");
            drop(copy);
            checks.equal(&format!("T38: {source}"), text.lines().count(), 2);
            checks.holds(&format!("T38: {source}, A's only"), !text.contains("b1"), &text);
        }
        let from = format!("copy {table} from stdin");
        checks.equal(&format!("T39: {from}"), refused_inside(&mut app, &from).sqlstate, "0A000");
    }
}

/// docs/binding.md#t40
#[test]
fn t40_truncate_ignores_policies_and_needs_a_grant() {
    let scene = Scene::new();
    let mut checks = Checks::new();
    for table in TABLES {
        let mut app = bound(&scene);
        let truncate = format!("truncate {table}");
        checks.equal(&format!("T40: {truncate}"), refused_inside(&mut app, &truncate).sqlstate, "42501");
        run(&mut app, "rollback");
        run(&mut scene.superuser(), &format!("grant truncate on {table} to app"));
        run(&mut app, &truncate);
        let left = ask(&mut scene.superuser(), &format!("select count(*) from {table}"));
        checks.equal(&format!("T40: with a grant, {table}"), left, "0");
    }
}

/// docs/binding.md#t43
#[test]
fn t41_t43_leaky_functions_do_not_meet_hidden_rows() {
    let scene = Scene::new();
    run(&mut scene.superuser(), "grant create on schema t to app");
    let mut app = bound(&scene);
    run(
        &mut app,
        "create temp table leaked (x text);
         create function t.leak(text) returns boolean language plpgsql cost 0.0000001 as $$ begin
             insert into leaked values ($1);
             return true;
         end $$;
         create operator t.<<< (leftarg = text, rightarg = text, function = texteq);
         create function t.peek(text, text) returns boolean language plpgsql cost 0.0000001 as $$ begin
             insert into leaked values ($1);
             return true;
         end $$;
         create operator t.<?> (leftarg = text, rightarg = text, function = t.peek, restrict = eqsel);",
    );
    let mut checks = Checks::new();
    for table in TABLES {
        for query in [
            format!("select count(*) from {table} where t.leak(secret)"),
            format!("select count(*) from {table} where t.leak(secret) and id = 3"),
            format!("select count(*) from {table} where t.leak(secret) or id = 3"),
            format!("select count(*) from {table} where secret operator(t.<?>) 'x'"),
            format!("select count(*) from {table} a join {table} b on t.leak(b.secret)"),
            format!("select count(*) from (select secret from {table} offset 0) x where t.leak(secret)"),
            format!("update {table} set secret = secret where t.leak(secret)"),
            format!("select t.leak(secret) from {table}"),
        ] {
            run(&mut app, "delete from leaked");
            run(&mut app, &query);
            let met = ask(&mut app, "select distinct x from leaked order by x");
            checks.holds(&format!("T41: {query}"), ["", "a1,a2"].contains(&&*met), &met);
        }
        let divide = format!("select count(*) from {table} where 1 / (case when secret = 'b1' then 0 else 1 end) = 1");
        checks.equal(&format!("T43: {divide}"), state_inside(&mut app, &divide), "00000");
        let cast =
            format!("select count(*) from {table} where (case secret when 'b1' then secret else '1' end)::int = 1");
        checks.equal(&format!("T43: {cast}"), state_inside(&mut app, &cast), "00000");
    }
    let promote = "alter function t.leak(text) leakproof";
    checks.equal("T42", refused_inside(&mut app, promote).sqlstate, "42501");
    checks.equal("T42: another mark is free", state_inside(&mut app, "alter function t.leak(text) stable"), "00000");
}

/// docs/binding.md#t45
#[test]
fn t44_t45_statistics_are_hidden_and_estimates_are_not() {
    let scene = Scene::new();
    run(
        &mut scene.superuser(),
        "create table t.many as select g as id, case when g % 100 = 0 then '4A' else '4B' end as s
           from generate_series(1, 20000) g;
         select from kakunin.protect_table('t.many', 's');
         grant select on t.many to app;
         analyze t.many;",
    );
    let mut app = bound(&scene);
    let mut checks = Checks::new();
    let stats = "select count(*) from pg_stats where schemaname = 't' and tablename = 'many'";
    checks.equal("T44: pg_stats", ask(&mut app, stats), "0");
    checks.equal("T44: pg_statistic", refused_inside(&mut app, "table pg_statistic").sqlstate, "42501");
    let mut estimate = |serial: &str| -> f64 {
        let plan = ask(&mut app, &format!("explain (format json) select * from t.many where s = '{serial}'"));
        let (_, rows) = plan.split_once("\"Plan Rows\": ").expect("a plan has an estimate");
        rows.split([',', '\n']).next().and_then(|rows| rows.trim().parse().ok()).expect("a number")
    };
    let (rare, frequent) = (estimate("4A"), estimate("4B"));
    checks.holds(
        "T45: the estimate follows the frequency of a hidden serial",
        frequent > 10.0 * rare,
        (rare, frequent),
    );
    checks.equal("T45: and shows no row", ask(&mut app, "select count(*) from t.many where s = '4B'"), "0");
}

#[test]
fn t46_a_look_alike_in_the_search_path_has_no_effect() {
    let scene = Scene::new();
    run(&mut scene.superuser(), "grant create on schema t to app");
    let mut app = bound(&scene);
    run(
        &mut app,
        "create function pg_temp.kakunin_cert_serial() returns text language sql as $$ select '4B' $$;
         create function t.kakunin_cert_serial() returns text language sql as $$ select '4B' $$;
         create function t.texteq(text, text) returns boolean language sql as 'select true';
         create operator t.= (leftarg = text, rightarg = text, function = t.texteq);
         set local search_path = pg_temp, t, public, pg_catalog;",
    );
    assert_eq!(ask(&mut app, "select kakunin_cert_serial()"), "4B", "the look-alike is found first");
    assert_eq!(seen_in_both(&mut app), "1,2");
}

/// docs/binding.md#t47
#[test]
fn t47_an_unqualified_name_in_a_wrapper_can_be_hijacked() {
    let scene = Scene::new();
    run(
        &mut scene.superuser(),
        "create function public.helper() returns text stable language sql as 'select public.kakunin_cert_serial()';
         create function t.by_name() returns text stable language sql as 'select helper()';
         create function t.by_oid() returns text stable language sql begin atomic select public.helper(); end;
         create table t.named as table t.v;
         create table t.resolved as table t.v;
         alter table t.named enable row level security;
         alter table t.resolved enable row level security;
         create policy own on t.named using (s = (select t.by_name()));
         create policy own on t.resolved using (s = (select t.by_oid()));
         grant select on t.named, t.resolved to app;
         grant create on schema t to app;",
    );
    let mut app = bound(&scene);
    let both = |app: &mut Client| (seen(app, "t.named"), seen(app, "t.resolved"));
    let mut checks = Checks::new();
    checks.equal("T47: before", both(&mut app), ("1,2".to_owned(), "1,2".to_owned()));
    run(
        &mut app,
        "create function t.helper() returns text language sql as $$ select '4B' $$; set local search_path = t, public",
    );
    checks.equal("T47: hijacked, and not", both(&mut app), ("3".to_owned(), "1,2".to_owned()));
}

/// docs/binding.md#t48, docs/binding.md#t51
#[test]
fn t48_to_t54_owners_see_everything_until_it_is_forced() {
    let scene = Scene::new();
    let mut superuser = scene.superuser();
    run(&mut superuser, "alter table t.v no force row level security; set role keeper");
    for table in ["v", "bare"] {
        run(
            &mut superuser,
            &format!(
                "create view t.{table}_view as table t.{table};
                 create view t.{table}_invoker with (security_invoker) as table t.{table};
                 create materialized view t.{table}_copy as table t.{table};
                 create function t.{table}_count() returns bigint language sql security definer
                     as 'select count(*) from t.{table}';
                 grant select on t.{table}_view, t.{table}_invoker, t.{table}_copy to app;"
            ),
        );
    }
    run(&mut superuser, "reset role");
    let mut app = bound(&scene);
    let mut checks = Checks::new();
    let count = |app: &mut Client, relation: &str| ask(app, &format!("select count(*) from t.{relation}"));
    for table in ["v", "bare"] {
        checks.equal(&format!("T48: owner's view of {table}"), count(&mut app, &format!("{table}_view")), "4");
        checks.equal(&format!("T49: invoker's view of {table}"), count(&mut app, &format!("{table}_invoker")), "2");
        checks.equal(
            &format!("T50: definer function on {table}"),
            ask(&mut app, &format!("select t.{table}_count()")),
            "4",
        );
        checks.equal(&format!("T51: copy of {table}"), count(&mut app, &format!("{table}_copy")), "4");
    }
    run(&mut app, "commit");

    for table in ["v", "bare"] {
        run(&mut superuser, &format!("alter table t.{table} force row level security"));
        checks.equal(&format!("T52: forced, owner's view of {table}"), count(&mut app, &format!("{table}_view")), "2");
        checks.equal(
            &format!("T53: forced, definer on {table}"),
            ask(&mut app, &format!("select t.{table}_count()")),
            "2",
        );
        checks.equal(&format!("T51: an old copy of {table}"), count(&mut app, &format!("{table}_copy")), "4");
        run(&mut superuser, "set role keeper");
        checks.equal(&format!("T54b: the owner, unbound, {table}"), count(&mut superuser, table), "0");
        run(&mut superuser, &format!("refresh materialized view t.{table}_copy; reset role"));
        checks.equal(
            &format!("T51: a copy refreshed by an unbound owner, {table}"),
            count(&mut app, &format!("{table}_copy")),
            "0",
        );
    }
}

/// docs/binding.md#t56
#[test]
fn t56_t57_foreign_keys_look_past_policies() {
    let scene = Scene::new();
    run(
        &mut scene.superuser(),
        "create table t.parent (id int primary key, s text not null);
         create table t.child (id int primary key, parent int references t.parent on delete cascade, s text not null);
         insert into t.parent values (1, '4A'), (2, '4B');
         insert into t.child values (1, 1, '4B');
         select from kakunin.protect_table('t.parent', 's');
         select from kakunin.protect_table('t.child', 's');
         grant select, insert, update, delete on t.parent, t.child to app;",
    );
    let mut app = bound(&scene);
    let mut checks = Checks::new();
    let insert = |id: i32, parent: i32| format!("insert into t.child values ({id}, {parent}, '4A')");
    checks.equal("T56: a hidden parent is accepted", state_inside(&mut app, &insert(5, 2)), "00000");
    let refusal = refused_inside(&mut app, &insert(6, 99));
    checks.equal("T56: an absent parent is not", &*refusal.sqlstate, "23503");
    checks.equal("T57: the child is hidden", ask(&mut app, "select id from t.child order by id"), "5");
    run(&mut app, "delete from t.parent where id = 1; commit");
    let left = ask(&mut scene.superuser(), "select id from t.child order by id");
    checks.equal("T57: and deleted with its parent", left, "5");
}

/// docs/binding.md#t58, docs/binding.md#t59
#[test]
fn t58_to_t60_partitions_and_later_policies() {
    let scene = Scene::new();
    run(
        &mut scene.superuser(),
        "create table t.by_hand (id int, s text not null) partition by range (id);
         create table t.by_hand_1 partition of t.by_hand for values from (0) to (100);
         create table t.by_function (like t.by_hand) partition by range (id);
         create table t.by_function_1 partition of t.by_function for values from (0) to (100);
         insert into t.by_hand values (1, '4A'), (2, '4B');
         insert into t.by_function values (1, '4A'), (2, '4B');
         alter table t.by_hand enable row level security;
         create policy own on t.by_hand using (s = kakunin_cert_serial());
         select from kakunin.protect_table('t.by_function', 's');
         grant select on t.by_hand, t.by_hand_1, t.by_function, t.by_function_1 to app;",
    );
    let mut app = scene.app();
    bind_session(&mut app, &scene.a);
    let mut checks = Checks::new();
    checks.equal("T58: through the parent", seen(&mut app, "t.by_hand"), "1");
    checks.equal("T58: the partition itself, by hand", seen(&mut app, "t.by_hand_1"), "1,2");
    checks.equal("T58: through the parent, protected", seen(&mut app, "t.by_function"), "1");
    checks.equal("T58: the partition itself, protected", seen(&mut app, "t.by_function_1"), "1");

    let mut superuser = scene.superuser();
    let open = |table: &str| format!("create policy later on {table} using (true)");
    run(&mut superuser, &open("t.by_hand"));
    checks.equal("T59: a later permissive policy opens", seen(&mut app, "t.by_hand"), "1,2");
    run(&mut superuser, "create policy held on t.by_hand as restrictive using (s = kakunin_cert_serial())");
    checks.equal("T60: a restrictive policy holds", seen(&mut app, "t.by_hand"), "1");
    for table in ["t.v", "t.by_function", "t.by_function_1"] {
        let before = seen(&mut app, table);
        run(&mut superuser, &open(table));
        checks.equal(&format!("T60: {table} holds"), seen(&mut app, table), before);
    }
    // A partition that comes later is not protected before protect_table runs again.
    run(
        &mut superuser,
        "create table t.by_function_2 partition of t.by_function for values from (100) to (200);
         insert into t.by_function values (101, '4A'), (102, '4B');
         grant select on t.by_function_2 to app",
    );
    checks.equal("T58: a later partition, through the parent", seen(&mut app, "t.by_function"), "1,101");
    checks.equal("T58: a later partition itself", seen(&mut app, "t.by_function_2"), "101,102");
    run(&mut superuser, "select from kakunin.protect_table('t.by_function', 's')");
    checks.equal("T58: protected again", seen(&mut app, "t.by_function_2"), "101");
}

/// docs/binding.md#t62
#[test]
fn t62_t63_t64_unbound_is_null_and_never_the_empty_text() {
    let scene = Scene::new();
    run(
        &mut scene.superuser(),
        "create table t.claimed as table t.v;
         create table t.plain as table t.v;
         alter table t.claimed enable row level security;
         alter table t.plain enable row level security;
         create policy own on t.claimed
             using (s = current_setting('request.jwt.claims', true)::json ->> 'kakunin_cert_serial');
         create policy own on t.plain using (s = current_setting('somebody.serial', true));
         grant select on t.claimed, t.plain to app;",
    );
    let mut app = scene.app();
    let mut checks = Checks::new();
    run(&mut app, r#"begin; set local request.jwt.claims = '{"kakunin_cert_serial": "4A"}'"#);
    checks.equal("T62: in the transaction", seen(&mut app, "t.claimed"), "1,2");
    run(&mut app, "commit");
    checks.equal("T62: the claim is empty, not NULL", ask(&mut app, "show request.jwt.claims"), "");
    checks.equal("T62b: and such a policy fails", refused(&mut app, "table t.claimed").sqlstate, "22P02");
    run(&mut app, "begin; set local somebody.serial = '4A'; commit");
    checks.equal("T63: a plain setting shows row 4", seen(&mut app, "t.plain"), "4");

    checks.equal("T64: unbound, never bound", seen_in_both(&mut app), "");
    begin_as(&mut app, &scene.a);
    run(&mut app, "commit");
    checks.equal("T64: unbound after a binding", seen_in_both(&mut app), "");
    checks.equal("T64: NULL", ask(&mut app, "select kakunin_cert_serial() is null"), "t");
    bind_session(&mut app, &scene.a);
    run(&mut app, "select kakunin.unbind_session()");
    checks.equal("T64: unbound by unbind_session", seen_in_both(&mut app), "");
    run(&mut app, "reset all");
    checks.equal("T64: unbound by RESET ALL", seen_in_both(&mut app), "");
}
