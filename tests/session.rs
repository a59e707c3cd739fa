//! Who can move the binding of a session: a proof, and nothing else. An agent, a definer wrapper, a superuser's SET,
//! a pooler and a placeholder that was there before the library are tried one by one.

use kakunin_tests::scene::{
    SERIAL_A, SERIAL_B, Scene, TABLES, ask, begin_as, bind_session, proof, refused, refused_inside, run, seen_in_both,
    state, state_inside,
};
use kakunin_tests::{Checks, Cluster, DATABASE, PoolMode, Pooler, wait_until};
use postgres::NoTls;

/// What the setting holds while a session is bound to `b`: the best forgery there is.
fn binding_of_b(scene: &Scene) -> String {
    let mut session = scene.app();
    bind_session(&mut session, &scene.b);
    ask(&mut session, "show kakunin.binding")
}

#[test]
fn t01_to_t08_an_agent_cannot_write_the_binding() {
    let scene = Scene::new();
    let forged = binding_of_b(&scene);
    let mut app = scene.app();
    let mut checks = Checks::new();
    checks.equal("T01: unbound, no rows", seen_in_both(&mut app), "");
    bind_session(&mut app, &scene.a);
    checks.equal("T02: bound to A, A's rows", seen_in_both(&mut app), "1,2");

    let set = format!("set kakunin.binding = '{forged}'");
    let refusal = refused(&mut app, &set);
    checks.equal("T03: SET", &*refusal.sqlstate, "42501");
    checks.equal(
        "T03: SET LOCAL",
        state(&mut app, &format!("begin; {}; commit", set.replace("set", "set local"))),
        "42501",
    );
    run(&mut app, "rollback");
    for local in ["true", "false"] {
        let call = format!("select set_config('kakunin.binding', '{forged}', {local})");
        checks.equal("T04: set_config", state(&mut app, &call), "42501");
    }
    // The setting is not in the view, so that there is no row for the view's rule to turn into a set_config.
    let update = format!("update pg_settings set setting = '{forged}' where name = 'kakunin.binding'");
    checks.equal("T05: update pg_settings", ask(&mut app, &update), "");
    checks.equal("T05: still A", seen_in_both(&mut app), "1,2");
    let update = format!("update pg_settings set setting = '{forged}' where name = 'kakunin.session_binding'");
    checks.equal("T05: a setting that is in the view", state(&mut app, &update), "42501");
    run(&mut scene.superuser(), "grant create on schema t to app");
    let function = format!("create function t.forge() returns bigint language sql set kakunin.binding = '{forged}'");
    let function = function + " as 'select count(*) from t.v'";
    checks.equal("T06: CREATE FUNCTION … SET", state(&mut app, &function), "42501");
    let function = "create function t.forge() returns bigint language sql as 'select count(*) from t.v'";
    run(&mut app, function);
    let alter = format!("alter function t.forge() set kakunin.binding = '{forged}'");
    checks.equal("T06: ALTER FUNCTION … SET", state(&mut app, &alter), "42501");
    let alter = format!("alter role app set kakunin.binding = '{forged}'");
    checks.equal("T07: ALTER ROLE … SET", state(&mut app, &alter), "42501");
    checks.equal("T08: still A", seen_in_both(&mut app), "1,2");
    checks.equal("T08: still A's serial", ask(&mut app, "select kakunin_cert_serial()"), SERIAL_A);
    // What is allowed beside all that: reading one's own binding.
    let shown = ask(&mut app, "show kakunin.binding");
    checks.holds("anyone may read it", shown.contains(SERIAL_A), shown);
}

#[test]
fn t09_t10_a_reset_unbinds_and_never_rebinds() {
    let scene = Scene::new();
    let mut app = scene.app();
    let mut checks = Checks::new();
    for (id, reset) in [("T09", "reset all"), ("T10", "discard all")] {
        bind_session(&mut app, &scene.a);
        checks.equal(&format!("{id}: bound before {reset}"), seen_in_both(&mut app), "1,2");
        run(&mut app, reset);
        checks.equal(&format!("{id}: unbound after {reset}"), seen_in_both(&mut app), "");
        checks.equal(&format!("{id}: NULL after {reset}"), ask(&mut app, "select kakunin_cert_serial()"), "NULL");
        // The session is as good as new: B can bind, and only B's rows come.
        bind_session(&mut app, &scene.b);
        checks.equal(&format!("{id}: B after {reset}"), seen_in_both(&mut app), "3");
        run(&mut app, "select kakunin.unbind_session()");
    }

    // One by one it is not the agent's to reset; unbind_session() is.
    bind_session(&mut app, &scene.a);
    for statement in ["reset kakunin.binding", "set kakunin.binding = default", "set kakunin.binding = ''"] {
        checks.equal(&format!("T09: {statement}"), state(&mut app, statement), "42501");
        checks.equal(&format!("T09: still A after {statement}"), seen_in_both(&mut app), "1,2");
    }
    run(&mut app, "select kakunin.unbind_session()");

    // Inside a transaction a reset unbinds too, and another identity is still refused there.
    begin_as(&mut app, &scene.a);
    run(&mut app, "reset all");
    checks.equal("T09: unbound inside the transaction", seen_in_both(&mut app), "");
    let second = proof(&mut app, &scene.b);
    let refusal = refused_inside(&mut app, &format!("select kakunin.bind_transaction('{second}')"));
    checks.equal("T09: another identity", (&*refusal.sqlstate, refusal.slug()), ("42501", "bound_before"));
    run(&mut app, "rollback");
}

/// docs/binding.md#t11
#[test]
fn t11_a_claim_that_the_agent_sets_itself_moves_only_policies_that_trust_it() {
    let scene = Scene::new();
    run(
        &mut scene.superuser(),
        "set role keeper;
         create table t.seed (id int primary key, s text not null);
         insert into t.seed values (1, '4A'), (2, '4B');
         alter table t.seed enable row level security;
         create policy own on t.seed
             using (s = current_setting('request.jwt.claims', true)::json ->> 'kakunin_cert_serial');
         grant select on t.seed to app;",
    );
    let forged = r#"{"kakunin_cert_serial": "4B", "app_metadata": {"cert_serial": "4B"}}"#;
    let through = |table: &str| {
        format!(
            "select v.id from (select set_config('request.jwt.claims', '{forged}', false) as claims) c,
                    lateral (select id from {table} where c.claims is not null) v order by v.id"
        )
    };
    let mut app = scene.app();
    let mut checks = Checks::new();
    checks.equal("T11: the claim opens a policy that reads it", ask(&mut app, &through("t.seed")), "2");
    for table in TABLES {
        checks.equal("T11: unbound, the claim moves nothing", ask(&mut app, &through(table)), "");
    }
    bind_session(&mut app, &scene.a);
    for table in TABLES {
        checks.equal("T11: bound to A, the claim moves nothing", ask(&mut app, &through(table)), "1,2");
    }
    checks.equal("T11: and not later either", seen_in_both(&mut app), "1,2");
}

#[test]
fn p01_a_value_from_before_the_library_is_dropped() {
    // Not preloaded: the library comes with the first call of a function of ours.
    let cluster = Cluster::builder().without_preload().start();
    run(&mut cluster.superuser(), "create role app login");
    let mut checks = Checks::new();

    let mut app = cluster.connect("app", DATABASE);
    run(&mut app, "set kakunin.binding = 'forged'; set kakunin.anything = 'forged'");
    checks.equal("P1: it can be set before", ask(&mut app, "show kakunin.binding"), "forged");
    checks.equal("P1: SET before the library", ask(&mut app, "select kakunin_cert_serial()"), "NULL");
    checks.equal("P1: the value is gone", ask(&mut app, "select current_setting('kakunin.binding', true)"), "");
    checks.equal(
        "P1: the other name is gone",
        ask(&mut app, "select current_setting('kakunin.anything', true)"),
        "NULL",
    );
    checks.equal("P1: and it stays gone", state(&mut app, "set kakunin.binding = 'forged'"), "42501");

    let mut config = cluster.config("app", DATABASE);
    let mut app = config.options("-c kakunin.binding=forged").connect(NoTls).expect("a placeholder is accepted");
    checks.equal("P1: it can be given before", ask(&mut app, "show kakunin.binding"), "forged");
    checks.equal("P1: PGOPTIONS before the library", ask(&mut app, "select kakunin_cert_serial()"), "NULL");
    checks.equal("P1: the given value is gone", ask(&mut app, "show kakunin.binding"), "");
    checks.equal("P1: reset does not bring it back", ask(&mut app, "reset all; show kakunin.binding"), "");

    let refusal = refused(&mut app, "select kakunin.bind_transaction('x.y.z')");
    checks.equal("P1: without preload nothing binds", (&*refusal.sqlstate, refusal.slug()), ("55000", "not_preloaded"));
}

#[test]
fn p01_a_preloaded_library_takes_no_value_from_a_client() {
    let scene = Scene::new();
    let forged = binding_of_b(&scene);
    let mut config = scene.cluster.config("app", DATABASE);
    let escaped = forged.replace('\\', "\\\\").replace(' ', "\\ ");
    match config.options(&format!("-c kakunin.binding={escaped}")).connect(NoTls) {
        Err(error) => assert_eq!(kakunin_tests::sqlstate_of(&error), "42501"),
        Ok(mut app) => assert_eq!(seen_in_both(&mut app), ""),
    }
    // Beside it: a setting that anyone may give.
    let mut app =
        scene.cluster.config("app", DATABASE).options("-c work_mem=3MB").connect(NoTls).expect("it is allowed");
    assert_eq!(ask(&mut app, "show work_mem"), "3MB");
    assert_eq!(seen_in_both(&mut app), "");
}

#[test]
fn p02_the_prefix_is_reserved() {
    let scene = Scene::new();
    let mut app = scene.app();
    let mut checks = Checks::new();
    for statement in [
        "set kakunin.unknown = 'x'",
        "select set_config('kakunin.unknown', 'x', false)",
        "alter role app set kakunin.unknown = 'x'",
    ] {
        checks.equal(&format!("P2: {statement}"), state(&mut app, statement), "42602");
    }
    checks.equal("P2: beside it, a name that nobody owns", state(&mut app, "set kakunin_x.unknown = 'x'"), "00000");
}

#[test]
fn p08_the_gate_opens_for_parallel_workers_and_for_nobody_else() {
    let scene = Scene::new();
    run(
        &mut scene.superuser(),
        "create table t.big as select g as id, case when g % 100 = 0 then '4A' else '4B' end as s
           from generate_series(1, 40000) g;
         alter table t.big enable row level security;
         create policy own on t.big using (s = kakunin_cert_serial());
         grant select on t.big to app;
         analyze t.big;",
    );
    let mut app = scene.app();
    run(
        &mut app,
        "set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0; set parallel_tuple_cost = 0;
         set min_parallel_table_scan_size = 0; set parallel_leader_participation = off",
    );
    begin_as(&mut app, &scene.a);
    let plan = ask(&mut app, "explain (analyze, costs off, timing off, summary off) select count(*) from t.big");
    let mut checks = Checks::new();
    checks.holds("P8: two workers copied the setting", plan.contains("Workers Launched: 2"), &plan);
    checks.equal("P8: all rows come from workers", ask(&mut app, "select count(*) from t.big"), "400");
    let forge = "select set_config('kakunin.binding', 'forged', true)";
    checks.equal("P8: the leader's gate is shut", state_inside(&mut app, forge), "42501");
    run(&mut app, "commit");
    checks.equal("P8: unbound workers see nothing", ask(&mut app, "select count(*) from t.big"), "0");
}

/// docs/binding.md#g3
#[test]
fn p09_a_grant_of_the_parameter_gives_nothing() {
    let scene = Scene::new();
    let forged = binding_of_b(&scene);
    run(&mut scene.superuser(), "grant set, alter system on parameter kakunin.binding to app");
    let mut app = scene.app();
    bind_session(&mut app, &scene.a);
    let mut checks = Checks::new();
    checks.equal("P9: SET", state(&mut app, &format!("set kakunin.binding = '{forged}'")), "42501");
    let alter = format!("alter role app set kakunin.binding = '{forged}'");
    checks.equal("P9: ALTER ROLE", state(&mut app, &alter), "42501");
    let alter = format!("alter system set kakunin.binding = '{forged}'");
    checks.holds("P9: ALTER SYSTEM", state(&mut app, &alter) != "00000", ());
    checks.equal("P9: still A", seen_in_both(&mut app), "1,2");
    checks.equal("P9: clearing is free", state(&mut app, "set kakunin.binding = ''"), "00000");
    checks.equal("P9: and unbinds", seen_in_both(&mut app), "");
}

/// docs/binding.md#g3
#[test]
fn g1_g3_a_superuser_cannot_write_the_binding_either() {
    let scene = Scene::new();
    let forged = binding_of_b(&scene);
    let mut superuser = scene.superuser();
    let mut checks = Checks::new();
    checks.equal("G1: SET", state(&mut superuser, &format!("set kakunin.binding = '{forged}'")), "42501");
    let call = format!("select set_config('kakunin.binding', '{forged}', false)");
    checks.equal("G1: set_config", state(&mut superuser, &call), "42501");
    let alter = format!("alter database {DATABASE} set kakunin.binding = '{forged}'");
    checks.holds("G1: ALTER DATABASE", state(&mut superuser, &alter) != "00000" || new_app_sees(&scene).is_empty(), ());
    let alter = format!("alter system set kakunin.binding = '{forged}'");
    checks.holds("G1: ALTER SYSTEM", state(&mut superuser, &alter) != "00000", ());
    run(
        &mut superuser,
        "create function t.set(name text, value text) returns text language sql security definer
             as 'select set_config(name, value, true)';
         grant execute on function t.set(text, text) to app",
    );
    let mut app = scene.app();
    let call = format!("select t.set('kakunin.binding', '{forged}')");
    checks.equal("G1: a superuser's definer wrapper", state(&mut app, &call), "42501");
    checks.equal("G1: a wrapper may set what is free", state(&mut app, "select t.set('x.y', 'z')"), "00000");

    let alter = format!("alter role app set kakunin.binding = '{forged}'");
    checks.holds("G3: ALTER ROLE SET", state(&mut superuser, &alter) != "00000" || new_app_sees(&scene).is_empty(), ());
    // Not through a row of the catalogue that no command would write.
    run(
        &mut superuser,
        &format!(
            "insert into pg_db_role_setting values (0, 'app'::regrole, array['kakunin.binding={}'])",
            forged.replace('\'', "''")
        ),
    );
    checks.equal("G3: a row of pg_db_role_setting", new_app_sees(&scene), "");
}

fn new_app_sees(scene: &Scene) -> String {
    seen_in_both(&mut scene.app())
}

#[test]
fn g2_the_binding_follows_the_transaction() {
    let scene = Scene::new();
    let mut app = scene.app();
    let mut checks = Checks::new();
    begin_as(&mut app, &scene.a);
    run(&mut app, "savepoint before; select kakunin.unbind_session()");
    checks.equal("G2: unbound", seen_in_both(&mut app), "");
    run(&mut app, "rollback to savepoint before");
    checks.equal("G2: ROLLBACK TO brings A back", seen_in_both(&mut app), "1,2");
    run(&mut app, "commit");
    checks.equal("G2: unbound after COMMIT", seen_in_both(&mut app), "");
    begin_as(&mut app, &scene.a);
    run(&mut app, "reset all");
    checks.equal("G2: RESET ALL", seen_in_both(&mut app), "");
    run(&mut app, "rollback");
    checks.equal("G2: unbound after ROLLBACK", seen_in_both(&mut app), "");
}

/// ATTACKS 3: every way to write settings that an agent has, at every moment it has one.
#[test]
fn attack_3_settings_decide_nothing() {
    let scene = Scene::new();
    let forged = binding_of_b(&scene);
    let claims = r#"{"role": "warden", "kakunin_cert_serial": "4B", "app_metadata": {"cert_serial": "4B"}}"#;
    let headers = r#"{"x-kakunin-cert-serial": "4B", "x-kakunin-proof": "4B"}"#;
    run(
        &mut scene.superuser(),
        "create function t.set(name text, value text, local boolean) returns text language sql security definer
             as 'select set_config(name, value, local)';
         grant execute on function t.set(text, text, boolean) to app",
    );
    let mut checks = Checks::new();
    let moments = [
        ("in the same transaction", "begin", "", "rollback"),
        ("after ROLLBACK TO SAVEPOINT", "begin; savepoint s; select 1; rollback to savepoint s", "", "rollback"),
        ("in a later transaction", "begin; select 1; commit", "", ""),
        ("after DISCARD ALL", "discard all", "", ""),
    ];
    for (moment, before, between, after) in moments {
        for setter in ["set_config", "t.set"] {
            for local in ["true", "false"] {
                let mut app = scene.app();
                run(&mut app, before);
                let inside = before.starts_with("begin") && !before.ends_with("commit");
                let mut attempt = |name: &str, value: &str| {
                    let value = value.replace('\'', "''");
                    let call = format!("select {setter}('{name}', '{value}', {local})");
                    if inside { state_inside(&mut app, &call) } else { state(&mut app, &call) }
                };
                let what = format!("3: {setter}, local {local}, {moment}");
                checks.equal(&format!("{what}: kakunin.binding"), attempt("kakunin.binding", &forged), "42501");
                checks.equal(&format!("{what}: kakunin.anything"), attempt("kakunin.anything", "x"), "42602");
                checks.equal(
                    &format!("{what}: kakunin.trusted_gateways"),
                    attempt("kakunin.trusted_gateways", "app"),
                    "55P02",
                );
                checks.equal(&format!("{what}: role"), attempt("role", "warden"), "42501");
                // These are anyone's; they must not count.
                checks.equal(&format!("{what}: claims"), attempt("request.jwt.claims", claims), "00000");
                checks.equal(&format!("{what}: headers"), attempt("request.headers", headers), "00000");
                run(&mut app, between);
                checks.equal(&format!("{what}: no rows"), seen_in_both(&mut app), "");
                run(&mut app, after);
                checks.equal(&format!("{what}: no rows afterwards"), seen_in_both(&mut app), "");
            }
        }
    }
    // The claims of a login that is no gateway bind nothing, even when the agent calls the gateway's own function.
    let mut app = scene.app();
    run(&mut app, &format!("select set_config('request.jwt.claims', '{claims}', false)"));
    run(&mut app, "begin; select kakunin.pre_request()");
    checks.equal("3: claims of a login that is no gateway", seen_in_both(&mut app), "");
    run(&mut app, "commit");
}

/// ATTACKS 3, through a transaction pooler: what one client sets is there for the next, and does not matter.
#[test]
fn attack_3_a_transaction_pooler_carries_no_identity() {
    let scene = Scene::new();
    run(&mut scene.superuser(), "create function t.proof_for(text) returns text language sql as 'select $1'");
    let pooler = Pooler::start(&scene.cluster, PoolMode::Transaction, 1);
    let mut first = pooler.connect("app", DATABASE);
    let mut second = pooler.connect("app", DATABASE);
    let mut checks = Checks::new();
    let backend = ask(&mut first, "select pg_backend_pid()");
    checks.equal(
        "3: one server session for both clients",
        ask(&mut second, "select pg_backend_pid()"),
        backend.as_str(),
    );

    // A bound transaction in the simple protocol, as a pooler wants it.
    run(&mut first, "begin");
    let challenge = ask(&mut first, "select kakunin.session_challenge()");
    let audience = ask(&mut first, "select kakunin.proof_audience()");
    let mut claims = kakunin_tests::claims(&audience);
    claims["nonce"] = challenge.into();
    claims.as_object_mut().expect("claims are an object").remove("jti");
    let proof = scene.a.proof(&claims);
    run(&mut first, &format!("select kakunin.bind_transaction('{proof}')"));
    checks.equal("3: bound through the pooler", seen_in_both(&mut first), "1,2");
    run(&mut first, "commit");
    checks.equal("3: the other client is unbound", seen_in_both(&mut second), "");

    let binding = binding_of_b(&scene);
    checks.equal("3: forging", state(&mut first, &format!("set kakunin.binding = '{binding}'")), "42501");
    run(&mut first, r#"set request.jwt.claims = '{"kakunin_cert_serial": "4B"}'"#);
    wait_until("the setting reaches the other client", || {
        let claims = ask(&mut second, "select current_setting('request.jwt.claims', true)");
        claims.contains(SERIAL_B).then_some(())
    });
    checks.equal("3: a poisoned pool opens nothing", seen_in_both(&mut second), "");
}
