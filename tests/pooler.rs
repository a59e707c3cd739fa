//! Agents that share server sessions through pgbouncer: what one client bound must be gone for the next.

use kakunin_tests::scene::{SERIAL_A, SERIAL_B, Scene, ask, refused, run, state, try_ask};
use kakunin_tests::{
    Checks, Cluster, DATABASE, Identity, PoolMode, Pooler, PsqlSession, claims, refusal_of, wait_until,
};
use postgres::Client;

/// The scene with a protected table and two pooled logins: `pooled` may not bind sessions, `gateway` is trusted to
/// speak for others. `app` is a login as it comes.
fn scene() -> Scene {
    let builder = Cluster::builder().set("kakunin.trusted_gateways", "gateway").set("kakunin.clock_skew", "0");
    let scene = Scene::on(builder);
    let setup = format!(
        "create role pooled login;
         alter role pooled set kakunin.session_binding = off;
         create table note (id int primary key, permitted_agent_serial text not null);
         insert into note values (1, '{SERIAL_A}'), (2, '{SERIAL_A}'), (3, '{SERIAL_B}');
         select from kakunin.protect_table('note');
         grant select, insert on note to app, pooled, gateway;"
    );
    run(&mut scene.superuser(), &setup);
    // Proofs have whole seconds, and one that is not younger than the server is refused.
    wait_until("the next second after the server's start", || {
        let later = "select date_trunc('second', clock_timestamp()) > pg_postmaster_start_time()";
        (ask(&mut scene.superuser(), later) == "t").then_some(())
    });
    scene
}

/// A proof that no session has asked for.
fn proof(scene: &Scene, agent: &Identity) -> String {
    agent.proof(&claims(&ask(&mut scene.superuser(), "select kakunin.proof_audience()")))
}

/// Binding as a statement. Over a pooler in transaction mode drivers of this kind pass literals.
fn bind(scene: &Scene, agent: &Identity) -> String {
    bind_with(&proof(scene, agent))
}

fn bind_with(proof: &str) -> String {
    format!("select kakunin.bind_transaction('{proof}')")
}

/// A proof for the challenge of the server session that answers now.
fn answer(client: &mut Client, agent: &Identity) -> String {
    let asked = ask(client, "select kakunin.proof_audience(), kakunin.session_challenge()");
    let (audience, nonce) = asked.split_once('|').expect("two columns");
    let mut claims = claims(audience);
    claims["nonce"] = nonce.into();
    claims.as_object_mut().expect("claims are an object").remove("jti");
    agent.proof(&claims)
}

fn backend(client: &mut Client) -> String {
    ask(client, "select pg_backend_pid()")
}

fn who(client: &mut Client) -> String {
    ask(client, WHO)
}

/// Who the session is and what it sees.
const WHO: &str = "select coalesce(kakunin_cert_serial(), 'nobody'), coalesce((select string_agg(id::text, ' ' order by id) from note), 'nothing')";
const NOBODY: &str = "nobody|nothing";
const A: &str = "4A|1 2";
const B: &str = "4B|3";

// --- transaction mode ---

#[test]
fn n02_a_binding_of_one_transaction_does_not_reach_the_next_client() {
    let scene = scene();
    let pooler = Pooler::start(&scene.cluster, PoolMode::Transaction, 1);
    let mut checks = Checks::new();
    for login in ["app", "pooled", "gateway"] {
        let (mut one, mut two) = (pooler.connect(login, DATABASE), pooler.connect(login, DATABASE));
        checks.equal("N02: one server session", backend(&mut one), backend(&mut two));
        for end in ["commit", "rollback", "select 1/0", "prepare transaction 'p'"] {
            run(&mut one, "begin");
            run(&mut one, &bind(&scene, &scene.a));
            checks.equal("N02: bound", who(&mut one), A);
            let (sqlstate, then) = match end {
                "select 1/0" => ("22012", "rollback"),
                "prepare transaction 'p'" => ("00000", "rollback prepared 'p'"),
                _ => ("00000", ""),
            };
            checks.equal(end, state(&mut one, end), sqlstate.to_owned());
            run(&mut one, then);
            checks.equal(&format!("N02 {login}, next client after {end}"), who(&mut two), NOBODY);
            checks.equal(&format!("N02 {login}, same client after {end}"), who(&mut one), NOBODY);
            run(&mut two, "begin");
            run(&mut two, &bind(&scene, &scene.b));
            checks.equal(&format!("N02 {login}, another agent after {end}"), who(&mut two), B);
            run(&mut two, "commit");
        }
        // A statement of its own is a transaction of its own; several in one message are one.
        run(&mut one, &bind(&scene, &scene.a));
        checks.equal(&format!("N02 {login}, without a transaction"), who(&mut one), NOBODY);
        checks.equal(
            &format!("N02 {login}, one message"),
            ask(&mut one, &format!("{}; {WHO}", bind(&scene, &scene.a))),
            A,
        );
        checks.equal(&format!("N02 {login}, after that message"), who(&mut two), NOBODY);
        // A client that vanishes inside its transaction.
        run(&mut one, "begin");
        run(&mut one, &bind(&scene, &scene.a));
        drop(one);
        checks.equal(&format!("N02 {login}, after a client has vanished"), who(&mut two), NOBODY);
    }
}

#[test]
fn n02_two_clients_at_once_are_two_agents() {
    let scene = scene();
    let pooler = Pooler::start(&scene.cluster, PoolMode::Transaction, 2);
    let (mut one, mut two) = (pooler.connect("pooled", DATABASE), pooler.connect("pooled", DATABASE));
    run(&mut one, "begin");
    run(&mut two, "begin");
    assert_ne!(backend(&mut one), backend(&mut two));
    // Challenges are of the server session, so they are asked for inside the transaction.
    let (proof_a, proof_b) = (answer(&mut one, &scene.a), answer(&mut two, &scene.b));
    let swapped = refused(&mut two, &bind_with(&proof_a));
    assert_eq!((&*swapped.sqlstate, swapped.slug()), ("28000", "proof_challenge_wrong"));
    run(&mut two, "rollback; begin");
    run(&mut one, &bind_with(&proof_a));
    run(&mut two, &bind_with(&proof_b));
    assert_eq!((&*who(&mut one), &*who(&mut two)), (A, B));
    let second = refused(&mut one, &bind(&scene, &scene.b));
    assert_eq!((&*second.sqlstate, second.slug()), ("42501", "already_bound"));
    run(&mut one, "rollback");
    assert_eq!(
        (&*who(&mut two), &*{
            run(&mut two, "commit");
            who(&mut two)
        }),
        (B, NOBODY)
    );
}

#[test]
fn n02_a_challenge_from_another_transaction_may_belong_to_another_session() {
    let scene = scene();
    let pooler = Pooler::start(&scene.cluster, PoolMode::Transaction, 2);
    let (mut one, mut two) = (pooler.connect("pooled", DATABASE), pooler.connect("pooled", DATABASE));
    let proof = answer(&mut one, &scene.a);
    // The other client takes the server session that gave the challenge.
    let first = backend(&mut one);
    run(&mut two, "begin");
    assert_eq!(backend(&mut two), first);
    let missing = refused(&mut one, &bind_with(&proof));
    assert_eq!((&*missing.sqlstate, missing.slug()), ("28000", "proof_challenge_missing"));
    run(&mut two, "commit");
}

#[test]
fn n02_a_session_cannot_be_bound_where_it_would_outlive_its_client() {
    let scene = scene();
    let pooler = Pooler::start(&scene.cluster, PoolMode::Transaction, 1);
    let mut checks = Checks::new();
    for login in ["pooled", "gateway"] {
        let (mut one, mut two) = (pooler.connect(login, DATABASE), pooler.connect(login, DATABASE));
        let proof = proof(&scene, &scene.a);
        let bind_session = format!("select kakunin.bind_session('{proof}')");
        let refusal = refused(&mut one, &bind_session);
        checks.equal(login, (&*refusal.sqlstate, refusal.slug()), ("42501", "session_binding_refused"));
        checks.holds(login, !refusal.text().contains(&proof), "the proof is in the error");
        checks.equal(login, who(&mut one), NOBODY);
        checks.equal(login, who(&mut two), NOBODY);
        run(&mut one, "begin");
        let inside = refused(&mut one, &bind_session);
        checks.equal(login, inside.slug(), "session_binding_refused");
        run(&mut one, "rollback");
        // The refusal came before the proof was looked at, so it is still good for what is allowed.
        checks.equal(login, ask(&mut one, &format!("{}; {WHO}", bind_with(&proof))), A);
    }
    // A role of a trusted gateway's session does not change whose session it is.
    let mut gateway = pooler.connect("gateway", DATABASE);
    let as_app = format!("begin; set local role app; select kakunin.bind_session('{}')", proof(&scene, &scene.a));
    checks.equal("gateway as app", refused(&mut gateway, &as_app).slug(), "session_binding_refused");
    run(&mut gateway, "rollback");

    let mut pooled = pooler.connect("pooled", DATABASE);
    for attempt in [
        "set kakunin.session_binding = on",
        "set local kakunin.session_binding = on",
        "select set_config('kakunin.session_binding', 'on', false)",
        "alter role pooled set kakunin.session_binding = on",
        "alter role pooled reset kakunin.session_binding",
        "create function pg_temp.on() returns void language sql set kakunin.session_binding = on as 'select'",
        "update pg_settings set setting = 'on' where name = 'kakunin.session_binding'",
    ] {
        checks.equal(attempt, state(&mut pooled, attempt), "42501".to_owned());
    }
    for attempt in ["reset all", "discard all"] {
        run(&mut pooled, attempt);
        checks.equal(attempt, ask(&mut pooled, "show kakunin.session_binding"), "off");
    }
    let options = format!("{} options='-c kakunin.session_binding=on'", pooler.connection("pooled", DATABASE));
    checks.holds("startup options", PsqlSession::open(&options).is_err(), "pgbouncer let them pass");
}

#[test]
fn n02_where_it_is_left_on_a_session_binding_reaches_the_next_client() {
    // The page says so, and gives the setting that forbids it. DISCARD ALL ends it.
    let scene = scene();
    let pooler = Pooler::start(&scene.cluster, PoolMode::Transaction, 1);
    let (mut one, mut two) = (pooler.connect("app", DATABASE), pooler.connect("app", DATABASE));
    run(&mut one, &format!("select kakunin.bind_session('{}')", proof(&scene, &scene.a)));
    assert_eq!(who(&mut two), A);
    let other = refused(&mut two, &bind(&scene, &scene.b));
    assert_eq!((&*other.sqlstate, other.slug()), ("42501", "already_bound"));
    for end in ["discard all", "reset all", "select kakunin.unbind_session()"] {
        run(&mut two, end);
        assert_eq!((&*who(&mut one), &*who(&mut two)), (NOBODY, NOBODY), "{end}");
        run(&mut one, &format!("select kakunin.bind_session('{}')", proof(&scene, &scene.a)));
    }
}

#[test]
fn n02_a_prepared_statement_that_another_client_left_knows_nobody() {
    let scene = scene();
    let pooler = Pooler::start(&scene.cluster, PoolMode::Transaction, 1);
    let (mut one, mut two) = (pooler.connect("pooled", DATABASE), pooler.connect("pooled", DATABASE));
    run(&mut one, "set plan_cache_mode = force_generic_plan");
    run(&mut one, &format!("prepare who as {WHO}; prepare bare as select id from note order by id"));
    run(&mut one, "begin");
    run(&mut one, &bind(&scene, &scene.a));
    for _ in 0..7 {
        assert_eq!(ask(&mut one, "execute who"), A);
        assert_eq!(ask(&mut one, "execute bare"), "1,2");
    }
    run(&mut one, "commit");
    assert_eq!((&*ask(&mut two, "execute who"), &*ask(&mut two, "execute bare")), (NOBODY, ""));
    run(&mut two, "begin");
    run(&mut two, &bind(&scene, &scene.b));
    assert_eq!((&*ask(&mut two, "execute who"), &*ask(&mut two, "execute bare")), (B, "3"));
    run(&mut two, "rollback");
    assert_eq!((&*ask(&mut one, "execute who"), &*ask(&mut one, "execute bare")), (NOBODY, ""));
}

#[test]
fn n02_what_one_client_leaves_in_settings_binds_nobody_else() {
    let scene = scene();
    let pooler = Pooler::start(&scene.cluster, PoolMode::Transaction, 1);
    let (mut one, mut two) = (pooler.connect("gateway", DATABASE), pooler.connect("gateway", DATABASE));
    let claims = format!(r#"{{"kakunin_cert_serial":"{SERIAL_A}"}}"#);
    let headers = serde_json::json!({ "x-kakunin-proof": proof(&scene, &scene.a) });
    run(&mut one, &format!("select set_config('request.jwt.claims', '{claims}', false)"));
    run(&mut one, &format!("select set_config('request.headers', '{headers}', false)"));
    assert_eq!(who(&mut two), NOBODY);
    for attempt in [
        "set kakunin.binding = '4A'",
        "select set_config('kakunin.binding', '{}', false)",
        "set kakunin.trusted_gateways = 'app'",
    ] {
        let state = state(&mut one, attempt);
        assert!(["42501", "55P02"].contains(&&*state), "{attempt}: {state}");
    }
    // A request that somebody pretends to be running makes the next client's proof one too few: refused, never believed.
    run(&mut one, "set request.method = 'GET'; set request.path = '/note'");
    let refusal = refused(&mut two, &bind(&scene, &scene.b));
    assert_eq!((&*refusal.sqlstate, refusal.slug()), ("28000", "proof_request_missing"));
    assert_eq!(ask(&mut two, &format!("set local request.path = ''; {}; {WHO}", bind(&scene, &scene.b))), B);
    run(&mut two, "discard all");
    assert_eq!(ask(&mut two, &format!("{}; {WHO}", bind(&scene, &scene.b))), B);
}

#[test]
fn n02_t19_a_temporary_table_of_another_client_stands_before_the_real_one() {
    let scene = scene();
    let pooler = Pooler::start(&scene.cluster, PoolMode::Transaction, 1);
    let (mut thief, mut victim) = (pooler.connect("pooled", DATABASE), pooler.connect("pooled", DATABASE));
    let write = |victim: &mut Client| {
        run(victim, "begin");
        run(victim, &bind(&scene, &scene.a));
        let written = state(victim, &format!("insert into note values (9, '{SERIAL_A}')"));
        run(victim, "commit");
        written
    };
    run(&mut thief, "create temp table note (id int, permitted_agent_serial text)");
    assert_eq!(write(&mut victim), "00000");
    assert_eq!(ask(&mut thief, "select id from note"), "9", "the page says so: names without a schema meet it first");
    assert_eq!(ask(&mut scene.superuser(), "select count(*) from public.note where id = 9"), "0");
    run(&mut thief, "discard all");
    // What the page advises closes it.
    run(&mut scene.superuser(), &format!("revoke temporary on database {DATABASE} from public"));
    assert_eq!(state(&mut thief, "create temp table note (id int)"), "42501");
    assert_eq!(write(&mut victim), "00000");
    assert_eq!(ask(&mut scene.superuser(), "select count(*) from public.note where id = 9"), "1");
}

#[test]
fn n02_a_pooled_connection_has_no_certificate_of_an_agent() {
    let scene = scene();
    let pooler = Pooler::start(&scene.cluster, PoolMode::Transaction, 1);
    let mut client = pooler.connect("pooled", DATABASE);
    let refusal = refused(&mut client, "select kakunin.bind_transaction()");
    assert_eq!((&*refusal.sqlstate, refusal.slug()), ("28000", "no_client_certificate"));
    // Statement mode: a bind and its query cannot be one transaction.
    let pooler = Pooler::start(&scene.cluster, PoolMode::Statement, 1);
    let mut client = pooler.connect("pooled", DATABASE);
    run(&mut client, &bind(&scene, &scene.a));
    assert_eq!(who(&mut client), NOBODY);
    assert!(client.batch_execute("begin").is_err());
}

// --- replay ---

#[test]
fn n02_n04_a_proof_that_another_client_has_seen_is_dead() {
    let scene = scene();
    let mut checks = Checks::new();
    for pool_size in [1, 2] {
        let pooler = Pooler::start(&scene.cluster, PoolMode::Transaction, pool_size);
        let (mut one, mut two) = (pooler.connect("pooled", DATABASE), pooler.connect("pooled", DATABASE));
        for end in ["commit", "rollback", "select 1/0", "do $$ begin raise 'x' using errcode = '57014'; end $$"] {
            let proof = proof(&scene, &scene.a);
            run(&mut one, "begin");
            run(&mut one, &bind_with(&proof));
            if pool_size == 2 {
                // Another server session, at the same moment.
                let refusal = refused(&mut two, &bind_with(&proof));
                checks.equal("N04 meanwhile", (&*refusal.sqlstate, refusal.slug()), ("28000", "proof_reused"));
            }
            let _ = one.batch_execute(end);
            run(&mut one, "rollback");
            for client in [&mut two, &mut one] {
                let refusal = refused(client, &bind_with(&proof));
                let name = format!("N04 after {end}, pool of {pool_size}");
                checks.equal(&name, (&*refusal.sqlstate, refusal.slug()), ("28000", "proof_reused"));
                checks.equal(&name, who(client), NOBODY);
            }
        }
    }
}

#[test]
fn n06_behind_a_pooler_a_failed_transaction_leaves_no_proof_to_the_next_client() {
    let scene = scene();
    let pooler = Pooler::start(&scene.cluster, PoolMode::Transaction, 1);
    let (mut victim, mut thief) = (pooler.connect("pooled", DATABASE), pooler.connect("pooled", DATABASE));
    let mut watcher = scene.cluster.connect("pooled", DATABASE);
    for code in ["40001", "40P01"] {
        run(&mut victim, "begin");
        run(&mut victim, &bind(&scene, &scene.a));
        // Sessions of one role see each other's SQL, and with it the literal.
        let seen =
            ask(&mut watcher, "select query from pg_stat_activity where query like 'select kakunin.bind_transaction%'");
        let fail = format!("do $$ begin raise 'as asked' using errcode = '{code}'; end $$");
        assert_eq!(state(&mut victim, &fail), code);
        run(&mut victim, "rollback");
        // The server session is the same, but the client is not: nothing tells that it is not a thief.
        run(&mut thief, "begin");
        let refusal = refused(&mut thief, &seen);
        assert_eq!((&*refusal.sqlstate, refusal.slug()), ("28000", "proof_reused"), "{code}");
        run(&mut thief, "rollback");
        assert_eq!(who(&mut thief), NOBODY, "{code}");
    }
}

// --- session mode ---

#[test]
fn n03_the_next_client_of_a_session_finds_it_unbound() {
    let scene = scene();
    let pooler = Pooler::start(&scene.cluster, PoolMode::Session, 1);
    let mut one = pooler.connect("app", DATABASE);
    let proof_a = answer(&mut one, &scene.a);
    run(&mut one, &format!("select kakunin.bind_session('{proof_a}')"));
    let first = backend(&mut one);
    assert_eq!(who(&mut one), A, "N03: bound as long as the client stays");
    run(&mut one, "begin; commit");
    assert_eq!(who(&mut one), A);
    run(&mut one, &format!("prepare who as {WHO}; create temp table copy as select * from note"));
    // A challenge that it leaves unanswered, and one of its transactions left open.
    let unanswered = answer(&mut one, &scene.a);
    drop(one);

    let mut two = pooler.connect("app", DATABASE);
    assert_eq!(backend(&mut two), first, "N03: the same server session");
    assert_eq!(who(&mut two), NOBODY, "N03");
    assert_eq!(ask(&mut two, "select kakunin.current_binding() is null"), "t");
    assert_eq!(state(&mut two, "execute who"), "26000", "DISCARD ALL was here");
    assert_eq!(state(&mut two, "select * from copy"), "42P01");
    let replay = refused(&mut two, &format!("select kakunin.bind_session('{proof_a}')"));
    assert_eq!(replay.sqlstate, "28000");
    // Another agent may bind it now, for as long as it stays.
    let proof_b = answer(&mut two, &scene.b);
    run(&mut two, &format!("select kakunin.bind_session('{proof_b}')"));
    assert_eq!(who(&mut two), B);
    let stale = refused(&mut two, &format!("select kakunin.bind_session('{unanswered}')"));
    assert_eq!(stale.sqlstate, "28000");
    drop(two);
    let mut three = pooler.connect("app", DATABASE);
    assert_eq!((&*backend(&mut three), &*who(&mut three)), (&*first, NOBODY), "N03");
}

#[test]
fn n03_a_client_can_end_its_session_binding_in_every_way_and_stays_unbound() {
    let scene = scene();
    let pooler = Pooler::start(&scene.cluster, PoolMode::Session, 1);
    let mut client = pooler.connect("app", DATABASE);
    for end in [
        "discard all",
        "reset all",
        "select kakunin.unbind_session()",
        "begin; select kakunin.unbind_session(); commit",
    ] {
        let proof = answer(&mut client, &scene.a);
        run(&mut client, &format!("select kakunin.bind_session('{proof}')"));
        assert_eq!(who(&mut client), A, "before {end}");
        run(&mut client, end);
        assert_eq!(who(&mut client), NOBODY, "{end}");
    }
    // What is rolled back did not happen.
    let proof = answer(&mut client, &scene.a);
    run(&mut client, &format!("select kakunin.bind_session('{proof}')"));
    run(&mut client, "begin; reset all; rollback");
    assert_eq!(who(&mut client), A);
    // The setting itself is a superuser's, also to be emptied.
    for attempt in ["reset kakunin.binding", "set kakunin.binding to default", "set kakunin.binding = ''"] {
        assert_eq!(state(&mut client, attempt), "42501", "{attempt}");
        assert_eq!(who(&mut client), A, "{attempt}");
    }
}

#[test]
fn n03_statements_prepared_in_the_protocol_follow_the_identity() {
    let scene = scene();
    let pooler = Pooler::start(&scene.cluster, PoolMode::Session, 1);
    let mut client = pooler.connect("app", DATABASE);
    let statement = client.prepare("select id from note order by id").expect("a session keeps what it prepared");
    let ids = |client: &mut Client| -> Vec<i32> {
        let rows = client.query(&statement, &[]).expect("reading is never an error");
        rows.iter().map(|row| row.get(0)).collect()
    };
    let mut seen = Vec::new();
    for agent in [Some(&scene.a), None, Some(&scene.b), Some(&scene.a)] {
        run(&mut client, "begin");
        if let Some(agent) = agent {
            let proof = proof(&scene, agent);
            client.execute("select kakunin.bind_transaction($1)", &[&proof]).expect("a parameter, as it should be");
        }
        seen.push(ids(&mut client));
        run(&mut client, "commit");
    }
    assert_eq!(seen, [vec![1, 2], vec![], vec![3], vec![1, 2]]);
    let dead = proof(&scene, &scene.a);
    client.execute("select kakunin.bind_transaction($1)", &[&dead]).expect("its first use");
    let refusal = refusal_of(client.execute("select kakunin.bind_transaction($1)", &[&dead]));
    assert_eq!((&*refusal.sqlstate, refusal.slug()), ("28000", "proof_reused"));
    assert!(try_ask(&mut client, WHO).is_ok_and(|who| who == NOBODY));
}
