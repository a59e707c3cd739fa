//! The role of a bound session: it is locked until the transaction ends, and the binding counts for it alone.

use kakunin_tests::scene::{
    Scene, TABLES, ask, begin_as, bind, bind_session, proof, refused_inside, run, seen, seen_in_both, state,
    state_inside, try_ask,
};
use kakunin_tests::{Checks, DATABASE};
use postgres::Client;

/// A session of `gateway` that has become `app`, in a transaction.
fn as_app(scene: &Scene) -> Client {
    let mut session = scene.cluster.connect("gateway", DATABASE);
    run(&mut session, "begin; set local role app");
    session
}

fn role(client: &mut Client) -> String {
    ask(client, "select current_user")
}

/// Tries to become `warden`; the role afterwards.
fn escape(client: &mut Client) -> String {
    let _ = state_inside(client, "select set_config('role', 'warden', true)");
    role(client)
}

#[test]
fn t25_a_cached_plan_follows_the_role() {
    let scene = Scene::new();
    let mut session = scene.cluster.connect("gateway", DATABASE);
    let mut checks = Checks::new();
    for table in TABLES {
        for (form, query) in [
            ("cte", format!("with c as (select id from {table}) select count(*) from c")),
            ("sublink", format!("select (select count(*) from {table})")),
            ("plain", format!("select count(*) from {table}")),
        ] {
            run(&mut session, &format!("set role app; prepare q as {query}"));
            let mut counts = Vec::new();
            for role in ["app", "warden", "app"] {
                run(&mut session, &format!("set role {role}"));
                counts.push(ask(&mut session, "execute q"));
            }
            checks.equal(&format!("T25: {form} on {table}"), counts.join(","), "0,4,0");
            run(&mut session, "deallocate q");
        }
    }
}

/// docs/binding.md#t26
#[test]
fn t26_a_member_of_a_bypass_role_is_held_by_the_lock_alone() {
    let scene = Scene::new();
    let mut checks = Checks::new();
    for table in TABLES {
        let same_statement = format!(
            "select v.id from (select set_config('role', 'warden', true) as r) c,
                    lateral (select id from {table} where c.r is not null) v order by v.id"
        );
        let mut session = as_app(&scene);
        checks.equal(&format!("T26: same statement, {table}"), ask(&mut session, &same_statement), "");
        checks.equal(&format!("T26: next statement, unlocked, {table}"), seen(&mut session, table), "1,2,3,4");

        for lock in ["select kakunin.lock_role()", "select kakunin.pre_request()"] {
            let mut session = as_app(&scene);
            run(&mut session, lock);
            let refusal = refused_inside(&mut session, &same_statement);
            checks.equal(&format!("T26 R19: {lock}, {table}"), refusal.sqlstate, "42501");
            checks.equal(&format!("T26 R19: no rows, {table}"), seen(&mut session, table), "");
            checks.equal(&format!("T26 R19: still app, {table}"), role(&mut session), "app");
        }
        // A bind locks as well.
        let mut session = as_app(&scene);
        bind(&mut session, &scene.a);
        checks.equal(
            &format!("T26 R19: bound, {table}"),
            refused_inside(&mut session, &same_statement).sqlstate,
            "42501",
        );
        checks.equal(&format!("T26 R19: A's rows, {table}"), seen(&mut session, table), "1,2");
    }
}

#[test]
fn l1_without_the_lock_a_member_changes_its_role() {
    let scene = Scene::new();
    assert_eq!(escape(&mut as_app(&scene)), "warden");
}

#[test]
fn l2_while_locked_nothing_changes_the_role() {
    let scene = Scene::new();
    run(
        &mut scene.superuser(),
        "grant create on schema t to app;
         create procedure t.jump() language plpgsql as $$ begin set local role warden; end $$;",
    );
    let attempts = [
        "select set_config('role', 'warden', true)",
        "select set_config('role', 'warden', false)",
        "select set_config('session_authorization', 'app', true)",
        "set role warden",
        "set local role warden",
        "set session role warden",
        "set role none",
        "reset role",
        "set session authorization default",
        "set local session authorization gateway",
        "reset session authorization",
        "do $$ begin perform set_config('role', 'warden', true); end $$",
        "do $$ begin execute 'set role warden'; end $$",
        "call t.jump()",
        "create function t.as_warden() returns bigint language sql set role warden as 'select count(*) from t.v'",
        "create function pg_temp.jump() returns text language sql as
             $$ select set_config('role', 'warden', true) $$; select pg_temp.jump()",
    ];
    let mut checks = Checks::new();
    for lock in ["kakunin.lock_role()", "bind"] {
        let mut session = as_app(&scene);
        match lock {
            "bind" => bind(&mut session, &scene.a),
            lock => run(&mut session, &format!("select {lock}")),
        }
        let before = seen_in_both(&mut session);
        for attempt in attempts {
            let what = format!("L2: {lock}: {attempt}");
            checks.equal(&what, refused_inside(&mut session, attempt).sqlstate, "42501");
            checks.equal(&what, role(&mut session), "app");
            checks.equal(&what, seen_in_both(&mut session), &*before);
        }
        // These are allowed and leave the role alone.
        checks.equal("L2: RESET ALL", state_inside(&mut session, "reset all"), "00000");
        checks.equal("L2: after RESET ALL", role(&mut session), "app");
        checks.equal("L2: other settings", state_inside(&mut session, "set local work_mem = '1MB'"), "00000");
        checks.equal("L2: DISCARD ALL", state_inside(&mut session, "discard all"), "25001");
        checks.equal("L2: at the end", role(&mut session), "app");
    }
}

/// A function whose SET clause names a role is made before the lock and called after it.
#[test]
fn l2_a_function_with_a_role_in_its_set_clause_is_refused_while_locked() {
    let scene = Scene::new();
    run(
        &mut scene.superuser(),
        "create function t.as_warden() returns bigint language sql set role = 'warden' as 'select count(*) from t.v'",
    );
    let mut session = as_app(&scene);
    assert_eq!(ask(&mut session, "select t.as_warden()"), "4", "PostgreSQL allows it to a member");
    run(&mut session, "select kakunin.lock_role()");
    assert_eq!(refused_inside(&mut session, "select t.as_warden()").sqlstate, "42501");
    assert_eq!(role(&mut session), "app");
}

#[test]
fn l3_the_end_of_the_transaction_unlocks() {
    let scene = Scene::new();
    let mut checks = Checks::new();
    let mut session = scene.cluster.connect("gateway", DATABASE);
    for (what, end) in [
        ("COMMIT", "commit"),
        ("ROLLBACK", "rollback"),
        ("an error", "savepoint s; select 1/0"),
        ("COMMIT AND CHAIN", "commit and chain"),
        ("PREPARE TRANSACTION", "prepare transaction 'l3'"),
    ] {
        run(&mut session, "begin; set local role app; select kakunin.lock_role()");
        checks.equal(&format!("L3: locked before {what}"), escape(&mut session), "app");
        if state(&mut session, end) != "00000" || end.ends_with("chain") {
            run(&mut session, "rollback");
        }
        checks.equal(&format!("L3: the login again after {what}"), role(&mut session), "gateway");
        run(&mut session, "begin; set local role app");
        checks.equal(&format!("L3: free after {what}"), escape(&mut session), "warden");
        run(&mut session, "commit");
    }
    // A lock that two transactions took is gone after the second, too.
    for _ in 0..2 {
        run(&mut session, "begin; set local role app; select kakunin.lock_role(); select kakunin.lock_role(); commit");
    }
    checks.equal("L3: not counted", state(&mut session, "set role warden; reset role"), "00000");
}

#[test]
fn l4_a_rollback_to_before_the_lock_takes_it_back_with_the_binding() {
    let scene = Scene::new();
    let mut checks = Checks::new();
    let mut session = as_app(&scene);
    run(&mut session, "savepoint s; select kakunin.lock_role(); rollback to savepoint s");
    checks.equal("L4: the lock is lost", escape(&mut session), "warden");

    let mut session = as_app(&scene);
    run(&mut session, "savepoint s");
    bind(&mut session, &scene.a);
    run(&mut session, "savepoint later");
    run(&mut session, "rollback to savepoint later");
    checks.equal("L4: a later savepoint keeps it", escape(&mut session), "app");
    checks.equal("L4: and the binding", seen_in_both(&mut session), "1,2");
    run(&mut session, "rollback to savepoint s");
    checks.equal("L4: the binding is lost", ask(&mut session, "select kakunin_cert_serial()"), "NULL");
    checks.equal("L4: and so is the lock", escape(&mut session), "warden");
}

#[test]
fn l5_a_lock_taken_in_a_definer_function_is_lost_on_return() {
    let scene = Scene::new();
    run(
        &mut scene.superuser(),
        "create function t.lock() returns void language sql security definer as 'select kakunin.lock_role()';
         create function t.bind(text) returns text language plpgsql security definer as $$ begin
             perform kakunin.bind_transaction($1);
             return kakunin_cert_serial();
         end $$;",
    );
    let mut checks = Checks::new();
    let mut session = as_app(&scene);
    run(&mut session, "select t.lock()");
    checks.equal("L5: lost on return", escape(&mut session), "warden");

    // A bind in there survives to the end, for the role that called; the lock does not.
    let mut session = as_app(&scene);
    let text = proof(&mut session, &scene.a);
    checks.equal("L5: bound inside", ask(&mut session, &format!("select t.bind('{text}')")), "4A");
    checks.equal("L5: bound afterwards", seen_in_both(&mut session), "1,2");
    checks.equal("L5: not locked", escape(&mut session), "warden");
    checks.equal("L5: another role has no binding", ask(&mut session, "select kakunin_cert_serial()"), "NULL");

    // With the lock from outside it stays.
    let mut session = as_app(&scene);
    run(&mut session, "select kakunin.lock_role(); select t.lock()");
    checks.equal("L5: a lock from outside stays", escape(&mut session), "app");
}

#[test]
fn l6_l8_a_lock_taken_in_any_other_function_is_kept() {
    let scene = Scene::new();
    run(
        &mut scene.superuser(),
        "create function t.lock_in_block() returns void language plpgsql as $$ begin
             begin perform kakunin.lock_role(); exception when others then raise; end;
         end $$;
         create function t.lock_with_path() returns void language plpgsql set search_path = '' as $$ begin
             perform kakunin.lock_role();
         end $$;
         create procedure t.lock_in_procedure() language plpgsql as $$ begin perform kakunin.lock_role(); end $$;",
    );
    let mut checks = Checks::new();
    for (what, call) in [
        ("L6: invoker function with an EXCEPTION block", "select t.lock_in_block()"),
        ("L8: function with a SET clause", "select t.lock_with_path()"),
        ("L6: procedure", "call t.lock_in_procedure()"),
        ("L6: DO", "do $$ begin perform kakunin.lock_role(); end $$"),
    ] {
        let mut session = as_app(&scene);
        run(&mut session, call);
        checks.equal(what, escape(&mut session), "app");
        run(&mut session, "commit");
        checks.equal(&format!("{what}, afterwards"), state(&mut session, "set role warden"), "00000");
    }
}

#[test]
fn l7_ordinary_work_goes_on_while_locked() {
    let scene = Scene::new();
    run(
        &mut scene.superuser(),
        "grant create on schema t to app;
         create table t.parent (id int primary key);
         create table t.child (id int, parent int references t.parent on delete cascade);
         insert into t.parent select generate_series(1, 10);
         grant all on t.parent, t.child to app;
         create function t.definer() returns text language sql security definer as 'select current_user::text';
         create table t.big as select generate_series(1, 20000) as x;
         grant select on t.big to app;",
    );
    let mut session = as_app(&scene);
    bind(&mut session, &scene.a);
    run(
        &mut session,
        "create temp table scratch (x int primary key) on commit drop;
         insert into scratch select generate_series(1, 100);
         analyze scratch;
         create index on scratch ((x + 1));
         insert into t.child values (1, 1), (2, 2);
         delete from t.parent where id = 1;
         create table t.own (x int);
         create function t.helper() returns int language sql as 'select 1';
         create materialized view t.copied as select x from generate_series(1, 3) as x;",
    );
    let mut checks = Checks::new();
    run(&mut session, "refresh materialized view t.copied");
    checks.equal("L7: the cascade went through", ask(&mut session, "select id from t.child"), "2");
    checks.equal("L7: a definer function returns to us", ask(&mut session, "select t.definer()"), "postgres");
    checks.equal("L7: still app", role(&mut session), "app");
    run(
        &mut session,
        "set local max_parallel_workers_per_gather = 2; set local parallel_setup_cost = 0;
         set local parallel_tuple_cost = 0; set local min_parallel_table_scan_size = 0",
    );
    checks.equal("L7: parallel workers", ask(&mut session, "select count(*) from t.big where x > 0"), "20000");
    checks.equal("L7: A's rows", seen_in_both(&mut session), "1,2");
    checks.equal("L7: still locked", escape(&mut session), "app");
    run(&mut session, "commit");
}

/// docs/binding.md#t54
#[test]
fn t54_another_role_reads_no_binding() {
    let scene = Scene::new();
    let mut superuser = scene.superuser();
    run(&mut superuser, "create role other; grant usage on schema t to other; grant select on t.v, t.bare to other");
    run(&mut superuser, "set session authorization app");
    bind_session(&mut superuser, &scene.a);
    let mut checks = Checks::new();
    checks.equal("T54: as app", seen_in_both(&mut superuser), "1,2");
    run(&mut superuser, "reset session authorization; set role other");
    checks.equal("T54: as other", seen_in_both(&mut superuser), "");
    for reader in ["kakunin_cert_serial()", "kakunin_agent_id()", "kakunin_cert_status()", "kakunin.current_binding()"]
    {
        checks.equal(&format!("T54: {reader}"), ask(&mut superuser, &format!("select {reader}")), "NULL");
    }
    checks.equal(
        "T54: kakunin_allows",
        ask(&mut superuser, "select kakunin_allows('note:read', instrument => 'EURUSD')"),
        "f",
    );
    run(&mut superuser, "set role keeper");
    checks.equal("T54: the owner of a forced table", seen(&mut superuser, "t.v"), "");
    run(&mut superuser, "reset role; set role app");
    checks.equal("T54: back as app", seen_in_both(&mut superuser), "1,2");
    checks.equal(
        "T54: kakunin_allows again",
        ask(&mut superuser, "select kakunin_allows('note:read', instrument => 'EURUSD')"),
        "t",
    );

    // By SET ROLE on an agent's own connection, between transactions of a session binding.
    let mut session = scene.cluster.connect("gateway", DATABASE);
    run(&mut session, "set role app");
    bind_session(&mut session, &scene.a);
    checks.equal("T54: gateway as app", seen_in_both(&mut session), "1,2");
    run(&mut session, "set role warden");
    checks.equal("T54: gateway as warden", ask(&mut session, "select kakunin_cert_serial()"), "NULL");
    run(&mut session, "reset role");
    checks.equal("T54: gateway as itself", ask(&mut session, "select kakunin_cert_serial()"), "NULL");
    run(&mut session, "set role app");
    checks.equal("T54: gateway as app again", seen_in_both(&mut session), "1,2");
}

/// docs/binding.md#t55
#[test]
fn t55_superusers_and_bypass_roles_see_everything() {
    let scene = Scene::new();
    let mut superuser = scene.superuser();
    assert_eq!(seen_in_both(&mut superuser), "1,2,3,4");
    begin_as(&mut superuser, &scene.a);
    assert_eq!(seen_in_both(&mut superuser), "1,2,3,4", "a binding narrows nothing for a superuser");
    run(&mut superuser, "rollback; set role warden");
    assert_eq!(seen_in_both(&mut superuser), "1,2,3,4");
}

/// docs/binding.md#t61
#[test]
fn t61_predefined_roles_do_not_bypass() {
    let scene = Scene::new();
    run(&mut scene.superuser(), "grant pg_read_all_data, pg_write_all_data to app");
    let mut app = scene.app();
    assert_eq!(seen_in_both(&mut app), "");
    begin_as(&mut app, &scene.a);
    assert_eq!(seen_in_both(&mut app), "1,2");
    for table in TABLES {
        assert_eq!(
            try_ask(&mut app, &format!("update {table} set secret = 'x' where id = 3 returning id")).ok().as_deref(),
            Some("")
        );
    }
}
