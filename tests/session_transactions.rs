//! How long a binding lasts: transactions, savepoints, cursors, prepared statements, and what outlives it.

use kakunin_tests::scene::{
    SERIAL_A, SERIAL_B, Scene, TABLES, ask, begin_as, bind, bind_session, proof, refused, refused_inside, run, seen,
    seen_in_both, state, touched, try_bind,
};
use kakunin_tests::{Checks, refusal_of};

#[test]
fn t12_t13_a_transaction_binding_ends_with_the_transaction() {
    let scene = Scene::new();
    let mut app = scene.app();
    let mut checks = Checks::new();
    for end in ["commit", "rollback"] {
        begin_as(&mut app, &scene.a);
        checks.equal(&format!("T12: bound before {end}"), seen_in_both(&mut app), "1,2");
        run(&mut app, end);
        checks.equal(&format!("T13: unbound after {end}"), seen_in_both(&mut app), "");
        checks.equal(&format!("T13: NULL after {end}"), ask(&mut app, "select kakunin_cert_serial()"), "NULL");
        checks.equal(&format!("T13: empty after {end}"), ask(&mut app, "show kakunin.binding"), "");
    }
    // Without BEGIN the statement is the transaction.
    bind(&mut app, &scene.a);
    checks.equal("T13: unbound after a single statement", seen_in_both(&mut app), "");
    // COMMIT AND CHAIN begins another transaction, which is unbound.
    begin_as(&mut app, &scene.a);
    run(&mut app, "commit and chain");
    checks.equal("T13: unbound after COMMIT AND CHAIN", seen_in_both(&mut app), "");
    run(&mut app, "rollback");
}

#[test]
fn t14_a_second_identity_in_a_savepoint_is_refused() {
    let scene = Scene::new();
    let mut app = scene.app();
    let mut checks = Checks::new();
    begin_as(&mut app, &scene.a);
    run(&mut app, "savepoint s");
    let refusal = refusal_of(try_bind(&mut app, &scene.b));
    checks.equal("T14: the second bind", (&*refusal.sqlstate, refusal.slug()), ("42501", "already_bound"));
    run(&mut app, "rollback to savepoint s");
    checks.equal("T14: still A after ROLLBACK TO", seen_in_both(&mut app), "1,2");
    // Beside it: the same identity again.
    checks.equal("T14: A again", try_bind(&mut app, &scene.a).is_ok(), true);
    checks.equal("T14: still A", seen_in_both(&mut app), "1,2");
    run(&mut app, "commit");

    // A bind that a savepoint takes back has been the identity of this transaction all the same.
    run(&mut app, "begin; savepoint s");
    bind(&mut app, &scene.a);
    run(&mut app, "rollback to savepoint s");
    checks.equal("T14: unbound after ROLLBACK TO", seen_in_both(&mut app), "");
    let second = proof(&mut app, &scene.b);
    let refusal = refused_inside(&mut app, &format!("select kakunin.bind_transaction('{second}')"));
    checks.equal("T14: another one afterwards", (&*refusal.sqlstate, refusal.slug()), ("42501", "bound_before"));
    bind(&mut app, &scene.a);
    checks.equal("T14: the same one afterwards", seen_in_both(&mut app), "1,2");
    run(&mut app, "commit");
    begin_as(&mut app, &scene.b);
    checks.equal("T14: B in the next transaction", seen_in_both(&mut app), "3");
    run(&mut app, "commit");
}

#[test]
fn p06_no_rollback_falls_back_to_another_identity() {
    let scene = Scene::new();
    let mut app = scene.app();
    bind_session(&mut app, &scene.a);
    let mut checks = Checks::new();

    // A transaction of another identity cannot be had over a session of A.
    for second in ["kakunin.bind_transaction", "kakunin.bind_session"] {
        run(&mut app, "begin");
        let text = proof(&mut app, &scene.b);
        let refusal = refused_inside(&mut app, &format!("select {second}('{text}')"));
        let found = (&*refusal.sqlstate, refusal.slug());
        checks.equal(&format!("P6: {second} over a session of A"), found, ("42501", "already_bound"));
        checks.equal("P6: still A", seen_in_both(&mut app), "1,2");
        run(&mut app, "rollback");
        checks.equal("P6: still A after ROLLBACK", seen_in_both(&mut app), "1,2");
    }
    begin_as(&mut app, &scene.a);
    run(&mut app, "commit");
    checks.equal("P6: A's session goes on after a transaction of A", seen_in_both(&mut app), "1,2");
    run(&mut app, "begin; select kakunin.unbind_session(); rollback");
    checks.equal("P6: an unbind that is rolled back did not happen", seen_in_both(&mut app), "1,2");
    run(&mut app, "begin; select kakunin.unbind_session(); commit");
    checks.equal("P6: an unbind that is committed did", seen_in_both(&mut app), "");
    run(&mut app, "begin");
    bind_session(&mut app, &scene.b);
    run(&mut app, "rollback");
    checks.equal("P6: a session bind that is rolled back did not happen", seen_in_both(&mut app), "");
}

/// One transaction reads the rows of one agent, whatever it binds, unbinds and takes back.
#[test]
fn p06_a_transaction_never_reads_as_two_agents() {
    let scene = Scene::new();
    let mut checks = Checks::new();
    for first_reads in [true, false] {
        for unbind in ["select kakunin.unbind_session()", "reset all", "nothing but pre_request()"] {
            for undo in ["rollback to savepoint s", "release savepoint s"] {
                let mut app = scene.app();
                bind_session(&mut app, &scene.a);
                run(&mut app, "begin; declare c cursor for select s from t.bare");
                let mut rows = Vec::new();
                if first_reads {
                    rows.push(ask(&mut app, "fetch 1 from c"));
                }
                run(&mut app, "savepoint s");
                let second = proof(&mut app, &scene.b);
                let bind = match unbind {
                    "nothing but pre_request()" => format!(
                        "select set_config('request.headers', '{{\"x-kakunin-proof\": \"{second}\"}}', true);
                         select kakunin.pre_request()"
                    ),
                    unbind => format!("{unbind}; select kakunin.bind_transaction('{second}')"),
                };
                let bound = state(&mut app, &bind);
                if bound != "00000" {
                    run(&mut app, "rollback to savepoint s");
                }
                rows.push(seen(&mut app, "t.bare"));
                rows.push(ask(&mut app, "fetch 1 from c"));
                run(&mut app, undo);
                rows.push(seen(&mut app, "t.bare"));
                rows.push(ask(&mut app, "fetch all from c"));
                let as_a = rows.iter().any(|found| found.contains(SERIAL_A) || found == "1,2");
                let as_b = rows.iter().any(|found| found.contains(SERIAL_B) || found == "3");
                let what = format!("P6: {unbind}, {undo}, A has read before: {first_reads}, second bind {bound}");
                checks.holds(&what, !(as_a && as_b), rows);
            }
        }
    }
}

#[test]
fn t15_a_failed_block_takes_its_bind_back() {
    let scene = Scene::new();
    let mut app = scene.app();
    run(&mut app, "begin");
    let first = proof(&mut app, &scene.a);
    let block = format!(
        "do $$ begin
             begin
                 perform kakunin.bind_transaction('{first}');
                 if kakunin_cert_serial() is distinct from '{SERIAL_A}' then raise 'not bound'; end if;
                 raise exception using errcode = 'P0042';
             exception when sqlstate 'P0042' then null;
             end;
         end $$"
    );
    run(&mut app, &block);
    let mut checks = Checks::new();
    checks.equal("T15: unbound after the block", seen_in_both(&mut app), "");
    let refusal = refused_inside(&mut app, &format!("select kakunin.bind_transaction('{first}')"));
    checks.equal(
        "T15: and its proof is spent",
        (&*refusal.sqlstate, refusal.slug()),
        ("28000", "proof_challenge_missing"),
    );
    bind(&mut app, &scene.a);
    checks.equal("T15: a fresh one binds", seen_in_both(&mut app), "1,2");
    run(&mut app, "commit");
}

/// docs/binding.md#t17
#[test]
fn t16_a_prepared_transaction_takes_the_binding_with_it() {
    let scene = Scene::new();
    let mut app = scene.app();
    let mut checks = Checks::new();
    for (id, end) in [(10, "commit prepared 'held'"), (11, "rollback prepared 'held'")] {
        begin_as(&mut app, &scene.a);
        run(&mut app, &format!("insert into t.v values ({id}, '4A', 'prepared'); prepare transaction 'held'"));
        checks.equal("T16: unbound afterwards", seen_in_both(&mut app), "");
        checks.equal("T16: the role is free again", state(&mut app, "set role app; reset role"), "00000");
        run(&mut scene.superuser(), end);
    }
    begin_as(&mut app, &scene.a);
    checks.equal("T16: committed by somebody else", seen(&mut app, "t.v"), "1,2,10");
    run(&mut app, "commit");
}

/// docs/binding.md#t17
#[test]
fn t17_a_deferred_trigger_still_sees_the_binding() {
    let scene = Scene::new();
    run(
        &mut scene.superuser(),
        "create table t.deferred (x int);
         create table t.witness (protected bigint, bare bigint, serial text);
         create function t.look() returns trigger language plpgsql as $$ begin
             insert into t.witness values
                 ((select count(*) from t.v), (select count(*) from t.bare), kakunin_cert_serial());
             return null;
         end $$;
         create constraint trigger look after insert on t.deferred deferrable initially deferred
             for each row execute function t.look();
         grant insert on t.deferred, t.witness to app;",
    );
    let mut app = scene.app();
    begin_as(&mut app, &scene.a);
    run(&mut app, "insert into t.deferred values (1); commit");
    assert_eq!(ask(&mut scene.superuser(), "table t.witness"), "2|2|4A");
    run(&mut app, "insert into t.deferred values (2)");
    assert_eq!(ask(&mut scene.superuser(), "select * from t.witness where serial is null"), "0|0|NULL");
}

/// docs/binding.md#t18
#[test]
fn t18_a_with_hold_cursor_outlives_the_binding() {
    let scene = Scene::new();
    let mut app = scene.app();
    let mut checks = Checks::new();
    for table in TABLES {
        begin_as(&mut app, &scene.a);
        run(&mut app, &format!("declare c cursor with hold for select id from {table} order by id; commit"));
        checks.equal(&format!("T18: {table}"), ask(&mut app, "fetch all from c"), "1,2");
        checks.equal(&format!("T18: unbound, {table}"), seen(&mut app, table), "");
        run(&mut app, "discard all");
        checks.equal(&format!("T18: DISCARD ALL, {table}"), state(&mut app, "fetch all from c"), "34000");
    }
}

/// docs/binding.md#t19
#[test]
fn t19_a_temporary_copy_outlives_the_binding() {
    let scene = Scene::new();
    let mut app = scene.app();
    let mut checks = Checks::new();
    for table in TABLES {
        begin_as(&mut app, &scene.a);
        run(&mut app, &format!("create temp table copied as table {table}; commit"));
        checks.equal(&format!("T19: {table}"), ask(&mut app, "select id from copied order by id"), "1,2");
        run(&mut app, "discard temp");
        checks.equal(&format!("T19: DISCARD TEMP, {table}"), state(&mut app, "table copied"), "42P01");
    }
}

/// docs/binding.md#t20
#[test]
fn t20_t21_t22_no_cursor_mixes_two_agents() {
    let scene = Scene::new();
    run(
        &mut scene.superuser(),
        "create table t.bare_rows as select g as id, case when g % 2 = 0 then '4A' else '4B' end as s
           from generate_series(1, 10) g;
         create table t.wrapped_rows as table t.bare_rows;
         alter table t.bare_rows enable row level security;
         alter table t.wrapped_rows enable row level security;
         create policy own on t.bare_rows using (s = kakunin_cert_serial());
         create policy own on t.wrapped_rows using (s = (select kakunin_cert_serial()));
         grant select on t.bare_rows, t.wrapped_rows to app;",
    );
    let mut app = scene.app();
    let mut checks = Checks::new();
    for (id, query) in [
        ("T20", "select s from t.bare_rows order by id"),
        ("T21", "select s from t.bare_rows"),
        ("T22", "select s from t.wrapped_rows"),
    ] {
        begin_as(&mut app, &scene.a);
        run(&mut app, &format!("declare c cursor for {query}"));
        checks.equal(&format!("{id}: the first row"), ask(&mut app, "fetch 1 from c"), "4A");
        let second = proof(&mut app, &scene.b);
        let refusal = refused_inside(&mut app, &format!("select kakunin.bind_transaction('{second}')"));
        let found = (&*refusal.sqlstate, refusal.slug());
        checks.equal(&format!("{id}: the second bind"), found, ("42501", "already_bound"));
        run(&mut app, "select kakunin.unbind_session()");
        let second = proof(&mut app, &scene.b);
        let refusal = refused_inside(&mut app, &format!("select kakunin.bind_transaction('{second}')"));
        let found = (&*refusal.sqlstate, refusal.slug());
        checks.equal(&format!("{id}: the second bind after unbinding"), found, ("42501", "bound_before"));
        let rest = ask(&mut app, "fetch all from c");
        checks.holds(&format!("{id}: the rest is A's or nothing"), !rest.contains("4B"), &rest);
        run(&mut app, "commit");
    }
}

#[test]
fn t23_a_generic_plan_follows_the_binding() {
    let scene = Scene::new();
    let mut app = scene.app();
    run(&mut app, "set plan_cache_mode = force_generic_plan");
    let mut checks = Checks::new();
    for (name, table, condition) in [
        ("all_v", "t.v", "true"),
        ("all_bare", "t.bare", "true"),
        ("key_v", "t.v", "id in (1, 3)"),
        ("key_bare", "t.bare", "id in (1, 3)"),
        ("one_v", "t.v", "id = 1"),
        ("one_bare", "t.bare", "id = 1"),
    ] {
        let query = format!("select string_agg(id::text, ' ' order by id) from {table} where {condition}");
        run(&mut app, &format!("prepare {name} as {query}"));
        let execute = format!("execute {name}");
        let (as_a, as_b) = match condition {
            "true" => ("1 2", "3"),
            "id in (1, 3)" => ("1", "3"),
            _ => ("1", "NULL"),
        };
        checks.equal(&format!("T23: {name}, unbound at first"), ask(&mut app, &execute), "NULL");
        for _ in 0..2 {
            begin_as(&mut app, &scene.a);
            checks.equal(&format!("T23: {name}, bound to A"), ask(&mut app, &execute), as_a);
            run(&mut app, "commit");
            begin_as(&mut app, &scene.b);
            checks.equal(&format!("T23: {name}, bound to B"), ask(&mut app, &execute), as_b);
            run(&mut app, "commit");
            checks.equal(&format!("T23: {name}, unbound"), ask(&mut app, &execute), "NULL");
        }
    }
    // And a revocation reaches the same plans.
    bind_session(&mut app, &scene.a);
    checks.equal("T23: bound before the revocation", ask(&mut app, "execute all_bare"), "1 2");
    run(&mut scene.superuser(), "select kakunin.revoke_certificate('4A')");
    for name in ["all_v", "all_bare", "key_v", "key_bare", "one_v", "one_bare"] {
        checks.equal(&format!("T23: {name}, revoked"), ask(&mut app, &format!("execute {name}")), "NULL");
    }
}

/// docs/binding.md#t24
#[test]
fn t24_an_immutable_wrapper_is_stale() {
    let scene = Scene::new();
    run(
        &mut scene.superuser(),
        "create function t.frozen() returns text immutable language sql as 'select public.kakunin_cert_serial()';
         create function t.fresh() returns text stable language sql as 'select public.kakunin_cert_serial()';
         create table t.frozen_rows as table t.v;
         create table t.fresh_rows as table t.v;
         alter table t.frozen_rows enable row level security;
         alter table t.fresh_rows enable row level security;
         create policy own on t.frozen_rows using (s = t.frozen());
         create policy own on t.fresh_rows using (s = t.fresh());
         grant select on t.frozen_rows, t.fresh_rows to app;",
    );
    let mut app = scene.app();
    run(&mut app, "set plan_cache_mode = force_generic_plan");
    let mut checks = Checks::new();
    for (table, as_b) in [("t.frozen_rows", "1 2"), ("t.fresh_rows", "3")] {
        begin_as(&mut app, &scene.a);
        run(&mut app, &format!("prepare q as select string_agg(id::text, ' ' order by id) from {table}"));
        checks.equal(&format!("T24: {table} as A"), ask(&mut app, "execute q"), "1 2");
        run(&mut app, "commit");
        begin_as(&mut app, &scene.b);
        checks.equal(&format!("T24: {table} as B"), ask(&mut app, "execute q"), as_b);
        run(&mut app, "commit; deallocate q");
    }
    // doctor() finds it.
    let found = ask(
        &mut scene.superuser(),
        "select object from kakunin.doctor() where finding = 'policy_function_slow_or_stale' order by object",
    );
    checks.equal("T24: doctor names it", found, "t.frozen()");
}

#[test]
fn a_binding_is_the_same_in_every_isolation_level_and_access_mode() {
    let scene = Scene::new();
    let mut app = scene.app();
    let mut checks = Checks::new();
    for mode in [
        "read only",
        "isolation level read uncommitted",
        "isolation level repeatable read",
        "isolation level serializable, read only, deferrable",
    ] {
        run(&mut app, &format!("begin transaction {mode}"));
        bind(&mut app, &scene.a);
        checks.equal(mode, seen_in_both(&mut app), "1,2");
        run(&mut app, "commit");
        checks.equal(&format!("{mode}, afterwards"), seen_in_both(&mut app), "");
    }
    // A statement that wrote nothing of its own can be told from one that did.
    begin_as(&mut app, &scene.a);
    checks.equal("own rows can be changed", touched(&mut app, "update t.v set secret = 'x'"), 2);
    run(&mut app, "rollback");
    let refusal = refused(&mut app, "begin read only; update t.v set secret = 'x'");
    checks.equal("and not in READ ONLY", refusal.sqlstate, "25006");
}
