//! The policy functions as a policy meets them: what they answer, and to whom.

use kakunin_tests::scene::{
    SERIAL_A, Scene, ask, begin_as, bind_session, refused, run, seen, seen_in_both, state, try_ask,
};
use kakunin_tests::{Checks, Cluster, DATABASE, Identity, LeafRequest, refusal_of};

/// All of them at once. `kakunin_allows` asks for what agent `a` may do.
const ANSWERS: &str = "
    select kakunin_cert_serial(), kakunin_cert_fingerprint(), kakunin_agent_id(), kakunin_tenant_id(),
        kakunin_cert_status(), kakunin_binding_source(), kakunin_scope(), kakunin_permitted_instruments(),
        kakunin_allows('note:read', instrument => 'EURUSD')";

/// What they answer when nobody is bound.
const NOTHING: &str = "NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|f";

/// An agent that is not one of the scene's.
fn enrol(scene: &Scene, request: &LeafRequest) -> Identity {
    let agent = scene.pki.intermediate.issue(request);
    agent.register(&mut scene.superuser());
    agent
}

fn fingerprint(agent: &Identity) -> String {
    agent.fingerprint().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn each_policy_function_answers_for_the_certificate_that_is_bound() {
    let scene = Scene::new();
    let plain = enrol(&scene, &LeafRequest::agent("plain").serial("4C").without_extension(SCOPE_OID));
    // A URN names no tenant, and without an organisation in the subject there is none.
    let urn = LeafRequest::agent("x").without_names().uri("urn:kakunin:agent:lone").organization(None);
    let lone = enrol(
        &scene,
        &urn.serial("4D").scope(r#"{"allowed_actions":["note:read"],"permitted_instruments":"*","v":1}"#),
    );
    let scope_a =
        r#"{"v": 1, "allowed_actions": ["note:read", "trade:*"], "permitted_instruments": ["EURUSD", "GBPUSD"]}"#;
    let scope_b = r#"{"v": 1, "allowed_actions": ["note:read"]}"#;
    let scope_lone = r#"{"v": 1, "allowed_actions": ["note:read"], "permitted_instruments": "*"}"#;
    let mut app = scene.app();
    let mut checks = Checks::new();
    checks.equal("never bound", ask(&mut app, ANSWERS), NOTHING);
    for (agent, expected) in [
        (&scene.a, format!("4A|{}|a|acme|active|proof|{scope_a}|{{EURUSD,GBPUSD}}|t", fingerprint(&scene.a))),
        (&scene.b, format!("4B|{}|b|acme|active|proof|{scope_b}|NULL|f", fingerprint(&scene.b))),
        (&plain, format!("4C|{}|plain|acme|active|proof|NULL|NULL|f", fingerprint(&plain))),
        // A scope that permits every instrument has no list: a policy that compares with it stays closed.
        (&lone, format!("4D|{}|lone|NULL|active|proof|{scope_lone}|NULL|t", fingerprint(&lone))),
    ] {
        begin_as(&mut app, agent);
        checks.equal("bound in the transaction", ask(&mut app, ANSWERS), &*expected);
        run(&mut app, "savepoint s; rollback to s");
        checks.equal("after a savepoint", ask(&mut app, ANSWERS), &*expected);
        run(&mut app, "commit");
        checks.equal("the transaction is over", ask(&mut app, ANSWERS), NOTHING);
        bind_session(&mut app, agent);
        checks.equal("bound in the session", ask(&mut app, ANSWERS), &*expected);
        checks.equal("read by a parallel worker", ask(&mut app, &format!("{PARALLEL}; {ANSWERS}")), &*expected);
        run(&mut app, "reset force_parallel_mode; select kakunin.unbind_session()");
        checks.equal("unbound", ask(&mut app, ANSWERS), NOTHING);
    }
}

#[test]
fn each_policy_function_is_silent_after_a_revocation_and_for_another_role() {
    let scene = Scene::new();
    run(&mut scene.superuser(), "create role clerk; grant clerk to app");
    let mut app = scene.app();
    let mut checks = Checks::new();
    bind_session(&mut app, &scene.a);
    let bound = ask(&mut app, ANSWERS);
    checks.holds("bound", bound.starts_with("4A|"), &bound);
    run(&mut app, "set role clerk");
    checks.equal("another role", ask(&mut app, ANSWERS), NOTHING);
    run(&mut app, "reset role");
    checks.equal("the role that bound", ask(&mut app, ANSWERS), &*bound);

    run(&mut app, "begin");
    run(&mut scene.superuser(), "select kakunin.revoke_certificate('4A')");
    checks.equal("revoked, in an open transaction", ask(&mut app, ANSWERS), NOTHING);
    run(&mut app, "commit");
    checks.equal("revoked", ask(&mut app, ANSWERS), NOTHING);
    checks.equal("revoked, by a worker", ask(&mut app, &format!("{PARALLEL}; {ANSWERS}")), NOTHING);
    checks.equal("revoked, no rows", seen_in_both(&mut app), "");
    // The other agent is not touched.
    let mut other = scene.app();
    bind_session(&mut other, &scene.b);
    checks.equal("the other agent", seen_in_both(&mut other), "3");
}

#[test]
fn without_preload_readers_are_silent_and_nothing_binds() {
    let cluster = Cluster::builder().without_preload().set("kakunin.trusted_gateways", "gateway").start();
    let mut superuser = cluster.superuser();
    run(
        &mut superuser,
        "create role app login;
         create role gateway login;
         create table v (id int, permitted_agent_serial text not null);
         insert into v values (1, '4A');
         select from kakunin.protect_table('v');
         grant select, insert on v to app;",
    );
    let mut checks = Checks::new();
    let mut app = cluster.connect("app", DATABASE);
    checks.equal("in a session that has not loaded the library", ask(&mut app, ANSWERS), NOTHING);
    checks.equal("again", ask(&mut app, ANSWERS), NOTHING);
    checks.equal("no rows", seen(&mut app, "v"), "");
    checks.equal("no insert", state(&mut app, "insert into v values (2, '4A')"), "42501");
    let value = state(&mut app, "set kakunin.binding = 'x'");
    checks.equal("nobody writes the binding", value, "42501");
    for call in [
        "kakunin.bind_transaction('x')",
        "kakunin.bind_session('x')",
        "kakunin.bind_transaction()",
        "kakunin.bind_session()",
        "kakunin.session_challenge()",
    ] {
        let refusal = refused(&mut app, &format!("select {call}"));
        checks.equal(call, (&*refusal.sqlstate, refusal.slug()), ("55000", "not_preloaded"));
        checks.holds(&format!("{call}: what to do"), refusal.hint.contains("shared_preload_libraries"), &refusal);
    }
    let mut gateway = cluster.connect("gateway", DATABASE);
    let request =
        r#"begin; set local request.jwt.claims = '{"kakunin_cert_serial":"4A"}'; select kakunin.pre_request()"#;
    checks.equal("a gateway's request", refused(&mut gateway, request).slug(), "not_preloaded");
    run(&mut gateway, "rollback");
    // What needs no memory of the server's works.
    for call in ["kakunin.normalize_serial('4a')", "kakunin.unbind_session()", "kakunin.current_binding()"] {
        checks.equal(call, state(&mut app, &format!("select {call}")), "00000");
    }
    checks.equal("still silent", ask(&mut app, ANSWERS), NOTHING);
}

/// Statements, and from which of the logins on they are allowed: everyone, an agent, an auditor, an administrator,
/// nobody. A statement that is allowed may fail for another reason.
const STATEMENTS: &[(usize, &str)] = &[
    (EVERYONE, "select kakunin_cert_serial(), kakunin_allows('x')"),
    (EVERYONE, "select kakunin_cert_fingerprint(), kakunin_agent_id(), kakunin_tenant_id(), kakunin_cert_status()"),
    (EVERYONE, "select kakunin_binding_source(), kakunin_scope(), kakunin_permitted_instruments()"),
    (EVERYONE, "select kakunin.normalize_serial('4a'), kakunin.pem_encode('x'), kakunin.pem_decode('x')"),
    (EVERYONE, "select kakunin.model_hash('x'), kakunin.model_hash_json('{}')"),
    (EVERYONE, "select kakunin.verify_signature('ES256', '', '', '')"),
    (EVERYONE, "select kakunin.check_path('x', '{}', now(), '{}'), kakunin.check_certificate('x')"),
    (EVERYONE, "select kakunin.session_challenge(), kakunin.proof_audience(), kakunin.current_binding()"),
    (EVERYONE, "select kakunin.bind_transaction('x')"),
    (EVERYONE, "select kakunin.bind_session('x')"),
    (EVERYONE, "select kakunin.unbind_session()"),
    (EVERYONE, "begin; select kakunin.pre_request(); select kakunin.lock_role(); rollback"),
    (EVERYONE, "create temporary table own (permitted_agent_serial text); select kakunin.protect_table('own')"),
    (EVERYONE, "select kakunin.ledger_tx(), kakunin.ledger_row(), kakunin.ledger_salts(1)"),
    (EVERYONE, "select kakunin._number_row(), kakunin._new_salts(1), kakunin.verifier_key()"),
    (
        EVERYONE,
        "create temporary table audited ();
         create trigger a after insert on audited for each row execute function kakunin.ledger_append('');
         create trigger r before update on audited for each row execute function kakunin.ledger_refuse()",
    ),
    (AGENTS, "select kakunin.verify_certificate('4A')"),
    (AUDITORS, "select kakunin.verify_ledger()"),
    (AUDITORS, "select kakunin.export_ledger()"),
    (AUDITORS, "select kakunin.inclusion_proof('kakunin.audit_log', 1), kakunin.consistency_proof(0)"),
    (AUDITORS, "table kakunin.ledger; table kakunin.ledger_entry; table kakunin.checkpoint; table kakunin.audit_log"),
    (ADMINISTRATORS, "select kakunin.attach_ledger('kakunin.audit_log')"),
    (ADMINISTRATORS, "select kakunin.redact('kakunin.audit_log', 1, 0, '{x}', 'why')"),
    (ADMINISTRATORS, "select kakunin.prune_ledger('kakunin.audit_log', 'why')"),
    (ADMINISTRATORS, "select kakunin.close_ledger('kakunin.audit_log', 'why')"),
    (ADMINISTRATORS, "begin; select kakunin.begin_epoch('why'); rollback"),
    (ADMINISTRATORS, "select kakunin.repair_ledger()"),
    (ADMINISTRATORS, "select kakunin.name_log(' ')"),
    (ADMINISTRATORS, "select kakunin.create_signing_key(' ')"),
    (NOBODY, "insert into kakunin.ledger_entry select * from kakunin.ledger_entry"),
    (NOBODY, "delete from kakunin.checkpoint"),
    (NOBODY, "select sealed from kakunin.signing_key"),
    (AUDITORS, "select kakunin.doctor()"),
    (AUDITORS, "select kakunin.used_proofs()"),
    (AUDITORS, "table kakunin.certificate"),
    (AUDITORS, "table kakunin.trust_anchor"),
    (AUDITORS, "table kakunin.revocation"),
    (ADMINISTRATORS, "select kakunin.add_trust_anchor('x')"),
    (ADMINISTRATORS, "select kakunin.remove_trust_anchor('x')"),
    (ADMINISTRATORS, "select kakunin.import_certificate('x')"),
    (ADMINISTRATORS, "select kakunin.revoke_certificate('FF')"),
    (ADMINISTRATORS, "select kakunin.revoke_issuer('x')"),
    (NOBODY, "insert into kakunin.certificate select * from kakunin.certificate"),
    (NOBODY, "update kakunin.certificate set agent_id = 'a'"),
    (NOBODY, "delete from kakunin.certificate"),
    (NOBODY, "delete from kakunin.revocation"),
    (NOBODY, "update kakunin.revocation set reason = 'superseded'"),
    (
        NOBODY,
        "insert into kakunin.revocation (fingerprint, serial) select fingerprint, serial from kakunin.certificate",
    ),
    (NOBODY, "insert into kakunin.trust_anchor select * from kakunin.trust_anchor"),
    (NOBODY, "truncate kakunin.revocation"),
    (NOBODY, "begin; lock table kakunin.revocation in access exclusive mode"),
    (NOBODY, "select kakunin._revocation_reason('superseded')"),
    (NOBODY, "create function kakunin.f() returns int language sql return 1"),
    (NOBODY, "create table kakunin.t ()"),
    (NOBODY, "alter function kakunin_cert_serial() immutable"),
    (NOBODY, "alter table kakunin.revocation disable trigger all"),
    (
        NOBODY,
        "create temporary table mine (); create trigger t after insert on mine execute function kakunin.trust_changed()",
    ),
    (NOBODY, "drop extension kakunin cascade"),
];

const EVERYONE: usize = 0;
const AGENTS: usize = 1;
const AUDITORS: usize = 2;
const ADMINISTRATORS: usize = 3;
const NOBODY: usize = 4;

/// docs/operations.md, the table of roles.
#[test]
fn each_role_may_do_what_is_said_of_it_and_no_more() {
    let scene = Scene::new();
    run(
        &mut scene.superuser(),
        "create role someone login;
         create role agent login in role kakunin_agent;
         create role auditor login in role kakunin_auditor;
         create role administrator login in role kakunin_admin;",
    );
    let mut checks = Checks::new();
    for (rank, role) in ["someone", "agent", "auditor", "administrator"].into_iter().enumerate() {
        for (from, statement) in STATEMENTS {
            let mut session = scene.cluster.connect(role, DATABASE);
            let found = state(&mut session, statement);
            let allowed = rank >= *from;
            checks.equal(&format!("{role}: {statement} ({found}) is allowed"), found != "42501", allowed);
            checks.holds(&format!("{role}: {statement}, cleanly"), found != "XX000", &found);
        }
    }
    // No function of the extension is open to everyone by oversight: these are all.
    let open = "
        select string_agg(distinct proname, ' ' order by proname)
        from pg_proc p join pg_depend d on d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
        where d.refobjid = (select oid from pg_extension where extname = 'kakunin')
            and has_function_privilege('someone', p.oid, 'execute')";
    let open = ask(&mut scene.superuser(), open);
    for name in open.split(' ') {
        let asked = STATEMENTS.iter().any(|(from, statement)| *from == EVERYONE && statement.contains(name));
        // Part of model_hash_json, which runs as whoever calls it.
        checks.holds(&format!("{name} is open to everyone"), asked || name == "_model_hash_json", &open);
    }
}

/// docs/policies.md, "More patterns".
#[test]
fn policies_by_tenant_scope_and_source_hold() {
    let scene = Scene::new();
    let foreign =
        LeafRequest::agent("f").without_names().uri("spiffe://kakunin.local/tenant/other/agent/f").serial("4F");
    let foreign = enrol(&scene, &foreign);
    let trader = r#"{"allowed_actions":["trade.execute"],"max_transaction_size":{"amount":"100","currency":"EUR"},"permitted_instruments":["EURUSD"],"v":1}"#;
    let trader = enrol(&scene, &LeafRequest::agent("trader").serial("4E").scope(trader));
    run(
        &mut scene.superuser(),
        "create table orders (id int, tenant text);
         insert into orders values (1, 'acme'), (2, 'other'), (3, null);
         create table trade (id int, amount numeric, counterparty text, instrument text, venue text, region text);
         alter table orders enable row level security;
         alter table trade enable row level security;
         create policy open on orders using (true);
         create policy order_tenant on orders as restrictive using (tenant = (select kakunin_tenant_id()));
         create policy open on trade using (true);
         create policy trade_scope on trade as restrictive for insert
             with check (kakunin_allows('trade.execute', amount, counterparty, instrument, venue, region));
         create policy trade_source on trade as restrictive
             using ((select kakunin_binding_source()) in ('proof', 'tls'));
         grant select on orders to app;
         grant select, insert on trade to app;",
    );
    let mut checks = Checks::new();
    let mut app = scene.app();
    checks.equal("unbound: orders", seen(&mut app, "orders"), "");
    checks.equal("unbound: trade", refused(&mut app, "insert into trade values (0)").sqlstate, "42501");
    for (agent, orders) in [(&scene.a, "1"), (&scene.b, "1"), (&foreign, "2")] {
        begin_as(&mut app, agent);
        checks.equal("one tenant, many agents", seen(&mut app, "orders"), orders);
        run(&mut app, "commit");
    }
    bind_session(&mut app, &trader);
    for (values, expected) in [
        ("1, 100, null, 'EURUSD', null, null", "00000"),
        ("2, 100.01, null, 'EURUSD', null, null", "42501"),
        ("3, 100, null, 'USDJPY', null, null", "42501"),
        ("4, 100, null, null, null, null", "42501"),
        ("5, null, null, 'EURUSD', null, null", "42501"),
        ("6, 100, 'ACME', 'EURUSD', null, null", "42501"),
        ("7, 'NaN', null, 'EURUSD', null, null", "42501"),
        ("8, 0, null, 'EURUSD', null, null", "00000"),
    ] {
        checks.equal(values, state(&mut app, &format!("insert into trade values ({values})")), expected);
    }
    // One row outside the scope, and none of them is written.
    let many = "insert into trade select n + 10, n, null, 'EURUSD', null, null from generate_series(99, 101) n";
    checks.equal("many rows", state(&mut app, many), "42501");
    checks.equal("what is there", seen(&mut app, "trade"), "1,8");
}

#[test]
fn the_functions_live_in_the_schema_that_create_extension_names() {
    let cluster = Cluster::builder().without_extension().start();
    let mut superuser = cluster.superuser();
    run(
        &mut superuser,
        r#"create schema "A b, 9%I";
           create extension kakunin schema "A b, 9%I";
           create table v (id int, permitted_agent_serial text);
           insert into v values (1, '4A');
           select from kakunin.protect_table('v');
           create role app login;
           grant select on v to app;"#,
    );
    let mut checks = Checks::new();
    let mut app = cluster.connect("app", DATABASE);
    checks.equal("no rows", seen(&mut app, "v"), "");
    let names =
        "select string_agg(distinct pronamespace::regnamespace::text, ' ') from pg_proc where proname ~ '^kakunin_'";
    checks.equal("the schema", ask(&mut superuser, names), r#""A b, 9%I""#);
    let bare = try_ask(&mut app, "select kakunin_cert_serial()");
    checks.equal("not in public", refusal_of(bare).sqlstate, "42883");
}

#[test]
fn a_serial_number_alone_is_not_an_identity_that_anyone_can_state() {
    let scene = Scene::new();
    let mut app = scene.app();
    let mut checks = Checks::new();
    for statement in [
        format!(
            "set request.jwt.claims = '{{\"kakunin_cert_serial\":\"{SERIAL_A}\"}}'; begin; select kakunin.pre_request(); commit"
        ),
        format!(
            "set request.headers = '{{\"x-kakunin-cert-serial\":\"{SERIAL_A}\"}}'; begin; select kakunin.pre_request(); commit"
        ),
    ] {
        run(&mut app, &statement);
        checks.equal(&statement, ask(&mut app, ANSWERS), NOTHING);
    }
}

/// The default arc's scope.
const SCOPE_OID: &str = "1.3.6.1.4.1.99999.3";

/// The next statements run in a worker, if they may.
const PARALLEL: &str = "set force_parallel_mode = on";
