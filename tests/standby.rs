//! Hot standbys and subscribers: agents act there as on the primary, and learn of revocations with the WAL.

use kakunin_tests::scene::try_ask;
use kakunin_tests::stage::{AGENT, OTHER, Stage, bind, bind_session, notes, serial_seen, text, verdict};
use kakunin_tests::{CaRequest, Checks, Cluster, DATABASE, Identity, LeafRequest, sqlstate_of, wait_until};
use postgres::Client;

/// A primary whose clock may jump without its standbys taking that for silence.
fn primary() -> Stage {
    Stage::with(|builder, _| builder.set("wal_sender_timeout", "0").set("wal_receiver_timeout", "0"))
}

/// A standby that has been up for longer than the skew.
fn standby_of(stage: &Stage) -> Cluster {
    let standby = stage.cluster.start_standby();
    stage.clock.advance(11);
    standby
}

fn session_on(server: &Cluster) -> Client {
    server.connect(AGENT, DATABASE)
}

fn bound_on(server: &Cluster, stage: &Stage, agent: &Identity) -> Client {
    let mut session = session_on(server);
    bind_session(&mut session, &stage.proof(agent)).expect("a fresh proof binds");
    session
}

fn ask(client: &mut Client, statements: &str) -> String {
    try_ask(client, statements).unwrap_or_else(|error| sqlstate_of(&error))
}

fn refusal(sqlstate: &str, slug: &str) -> (String, String) {
    (sqlstate.to_owned(), slug.to_owned())
}

fn ok() -> (String, String) {
    refusal("00000", "")
}

#[test]
fn n05_on_a_hot_standby_agents_bind_read_and_are_refused_a_second_use() {
    let stage = primary();
    let (alpha, bravo) = (stage.agent("alpha"), stage.agent("bravo"));
    let standby = standby_of(&stage);
    let mut checks = Checks::new();
    let reused = refusal("28000", "proof_reused");
    let audience = text(&mut session_on(&standby), "kakunin.proof_audience()");
    checks.equal("the audience is the primary's", audience.as_deref(), Some(stage.audience()));

    for begin in ["begin", "begin read only", "begin isolation level repeatable read"] {
        let mut session = session_on(&standby);
        let proof = stage.proof(&alpha);
        session.batch_execute(begin).expect("a transaction can begin");
        checks.equal(&format!("{begin}: bind"), verdict(bind(&mut session, &proof)), ok());
        checks.equal(&format!("{begin}: rows"), notes(&mut session), 2);
        let role = format!("set role {OTHER}");
        checks.equal(&format!("{begin}: the role is locked"), verdict(session.batch_execute(&role)).0, "42501");
        session.batch_execute("rollback").expect("it ends");
        checks.equal(&format!("{begin}: after it"), notes(&mut session), 0);
        checks.equal(&format!("{begin}: again"), verdict(bind(&mut session, &proof)), reused.clone());
        checks.equal(&format!("{begin}: elsewhere"), verdict(bind(&mut session_on(&standby), &proof)), reused.clone());
    }
    let mut session = session_on(&standby);
    let challenge = text(&mut session, "kakunin.session_challenge()").expect("a text");
    let answer = stage.sign(&alpha, &stage.answer(&challenge));
    checks.equal("an answer to a challenge", verdict(bind_session(&mut session, &answer)), ok());
    checks.equal("an answer: rows", notes(&mut session), 2);
    let found = verdict(bind(&mut session, &stage.proof(&bravo)));
    checks.equal("another identity", found, refusal("42501", "already_bound"));
    let binding = "select concat_ws('|', source, agent_id, session_scoped) from kakunin.current_binding()";
    checks.equal("the binding", ask(&mut session, binding), "proof|alpha|t");
    let insert = "insert into note (permitted_agent_serial, body) values (kakunin_cert_serial(), 'x')";
    checks.equal("writing", ask(&mut session, insert), "25006");
    checks.equal("unbinding", ask(&mut session, "select kakunin.unbind_session(); select count(*) from note"), "0");
    let mut superuser = standby.superuser();
    let revoke = format!("select kakunin.revoke_certificate('{}')", alpha.serial());
    checks.equal("revoking belongs on the primary", verdict(superuser.batch_execute(&revoke)).0, "25006");
    let live: i64 = superuser.query_one("select live from kakunin.used_proofs()", &[]).expect("a superuser may").get(0);
    // Of the three transactions and of the session; the one of another identity had verified too.
    checks.equal("what this server remembers", live, 5);

    // Each server remembers its own uses only; docs/replication.md says so, and to use challenges where that matters.
    let proof = stage.proof(&alpha);
    checks.equal("on the primary", verdict(bind(&mut stage.connect(), &proof)), ok());
    checks.equal("the same on the standby", verdict(bind(&mut session, &proof)), ok());
    checks.equal("and on neither again", verdict(bind(&mut session, &proof)), reused.clone());
    checks.equal("not on the primary", verdict(bind(&mut stage.connect(), &proof)), reused);
    let challenge = text(&mut stage.connect(), "kakunin.session_challenge()").expect("a text");
    let answer = stage.sign(&alpha, &stage.answer(&challenge));
    let found = verdict(bind(&mut session, &answer));
    checks.equal("an answer to the primary's challenge", found, refusal("28000", "proof_challenge_missing"));
}

#[test]
fn n08_on_a_hot_standby_an_open_session_learns_of_a_revocation_when_it_is_replayed() {
    let stage = primary();
    let second = stage.pki.root.issue_ca(&stage.pki.path().join("second"), &CaRequest::new("second intermediate"));
    let (alpha, bravo) = (stage.agent("alpha"), stage.agent("bravo"));
    let charlie = second.issue(&LeafRequest::agent("charlie"));
    stage.enrol(&charlie);
    let scene = "
        create table many (id int primary key, permitted_agent_serial text);
        insert into many select n, $1 from generate_series(1, 3000) n;"
        .replace("$1", &format!("'{}'", alpha.serial()));
    let scene = scene
        + "select from kakunin.protect_table('many'); grant select on many to app; analyze many;
        create function note_count() returns bigint language plpgsql as
            $$ begin return (select count(*) from note); end $$;";
    stage.cluster.superuser().batch_execute(&scene).expect("a superuser may");
    let standby = standby_of(&stage);
    let mut checks = Checks::new();

    let count = "select count(*) from note";
    let readers = [
        ("a plain statement", "", count, "2"),
        ("a function", "", "select note_count()", "2"),
        ("a prepared statement", "prepare q as select count(*) from note; execute q", "execute q", "2"),
        ("repeatable read", "begin isolation level repeatable read; select count(*) from note", count, "2"),
        (
            "parallel workers",
            "set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0",
            "select count(*) from many",
            "3000",
        ),
    ];
    let mut sessions: Vec<Client> = readers.iter().map(|_| bound_on(&standby, &stage, &alpha)).collect();
    for ((name, setup, statement, before), session) in readers.iter().zip(&mut sessions) {
        session.batch_execute(setup).expect("anyone may");
        checks.equal(&format!("{name}, before"), ask(session, statement), *before);
    }
    let mut transaction = session_on(&standby);
    transaction.batch_execute("begin").expect("a transaction can begin");
    bind(&mut transaction, &stage.proof(&alpha)).expect("a fresh proof binds");
    let mut bystander = bound_on(&standby, &stage, &bravo);
    let mut below_second = bound_on(&standby, &stage, &charlie);

    // Rolled back on the primary, nothing happens here, although WAL arrives.
    let revoke = format!("select kakunin.revoke_certificate('{}')", alpha.serial());
    stage.cluster.superuser().batch_execute(&format!("begin; {revoke}; rollback")).expect("a superuser may");
    standby.wait_for_replay(&stage.cluster);
    checks.equal("rolled back on the primary", ask(&mut sessions[0], count), "2");

    // A standby that lags sees what it has replayed, and no later state.
    let mut superuser = standby.superuser();
    superuser.batch_execute("select pg_wal_replay_pause()").expect("a superuser may");
    wait_until("replay pauses", || {
        (text(&mut superuser, "pg_get_wal_replay_pause_state()")? == "paused").then_some(())
    });
    stage.revoke(&alpha);
    checks.equal("on the primary", verdict(bind(&mut stage.connect(), &stage.proof(&alpha))).1, "certificate_revoked");
    checks.equal("while replay is paused", ask(&mut sessions[0], count), "2");
    superuser.batch_execute("select pg_wal_replay_resume()").expect("a superuser may");
    standby.wait_for_replay(&stage.cluster);
    for ((name, _, statement, _), session) in readers.iter().zip(&mut sessions) {
        checks.equal(&format!("{name}, after"), ask(session, statement), "0");
    }
    checks.equal("bound for a transaction", (notes(&mut transaction), serial_seen(&mut transaction)), (0, None));
    checks.equal("somebody else", notes(&mut bystander), 2);
    let found = verdict(bind(&mut session_on(&standby), &stage.proof(&alpha)));
    checks.equal("a new bind", found, refusal("28000", "certificate_revoked"));

    let issuer = "select kakunin.revoke_issuer($1)";
    stage.cluster.superuser().execute(issuer, &[&second.identity.der()]).expect("a superuser may");
    standby.wait_for_replay(&stage.cluster);
    checks.equal("its issuer was revoked", notes(&mut below_second), 0);
    checks.equal("below another issuer", notes(&mut bystander), 2);
    // Registered on the primary, good on the standby.
    let delta = stage.agent("delta");
    standby.wait_for_replay(&stage.cluster);
    checks.equal("a new agent", notes(&mut bound_on(&standby, &stage, &delta)), 2);
    let remove = "select kakunin.remove_trust_anchor($1)";
    let root = stage.pki.root.identity.fingerprint();
    stage.cluster.superuser().execute(remove, &[&root]).expect("a superuser may");
    standby.wait_for_replay(&stage.cluster);
    checks.equal("the anchor was removed", notes(&mut bystander), 0);
}

#[test]
fn n08_on_a_hot_standby_time_passes_as_well() {
    let stage = primary();
    let agent = stage.pki.intermediate.issue(&LeafRequest::agent("brief").valid("-60", "86400"));
    stage.enrol(&agent);
    let standby = standby_of(&stage);
    let mut checks = Checks::new();
    let mut session = bound_on(&standby, &stage, &agent);
    checks.equal("before", notes(&mut session), 2);
    stage.clock.advance(2 * 86_400);
    checks.equal("after", (notes(&mut session), serial_seen(&mut session)), (0, None));
    let found = verdict(bind(&mut session_on(&standby), &stage.proof(&agent)));
    checks.equal("a new bind", found, refusal("28000", "certificate_expired"));
}

#[test]
fn attack_05_after_a_promotion_bindings_go_on_and_revocations_hold() {
    let stage = primary();
    let (alpha, bravo, charlie) = (stage.agent("alpha"), stage.agent("bravo"), stage.agent("charlie"));
    let standby = standby_of(&stage);
    let mut checks = Checks::new();
    let used = stage.proof(&alpha);
    let mut session = session_on(&standby);
    bind_session(&mut session, &used).expect("a fresh proof binds");
    checks.equal("bound before", notes(&mut session), 2);
    let mut revoked_before = bound_on(&standby, &stage, &bravo);
    let mut revoked_after = bound_on(&standby, &stage, &charlie);
    for session in [&mut revoked_before, &mut revoked_after] {
        checks.equal("bound before", notes(session), 2);
    }
    // Begun before the promotion, it stays read only, and bound.
    let mut old = session_on(&standby);
    old.batch_execute("begin isolation level repeatable read").expect("a transaction can begin");
    bind(&mut old, &stage.proof(&alpha)).expect("a fresh proof binds");
    checks.equal("in an old transaction, before", notes(&mut old), 2);
    stage.revoke(&bravo);
    standby.wait_for_replay(&stage.cluster);
    standby.promote();

    checks.equal("still bound", notes(&mut session), 2);
    checks.equal("in an old transaction, after", notes(&mut old), 2);
    checks.equal("revoked before the promotion", notes(&mut revoked_before), 0);
    let found = verdict(bind(&mut session_on(&standby), &stage.proof(&bravo)));
    checks.equal("revoked before, a new bind", found, refusal("28000", "certificate_revoked"));
    checks.equal("not revoked yet", notes(&mut revoked_after), 2);
    let found = verdict(bind(&mut session_on(&standby), &used));
    checks.equal("a proof used before the promotion", found, refusal("28000", "proof_reused"));
    let insert = "insert into note (permitted_agent_serial, body) values (kakunin_cert_serial(), 'new') returning body";
    checks.equal("it can write now", ask(&mut session, insert), "new");

    let revoke = format!("select kakunin.revoke_certificate('{}')", charlie.serial());
    standby.superuser().batch_execute(&revoke).expect("a superuser may");
    checks.equal("revoked after the promotion", notes(&mut revoked_after), 0);
    let revoke = format!("select kakunin.revoke_certificate('{}')", alpha.serial());
    standby.superuser().batch_execute(&revoke).expect("a superuser may");
    checks.equal("revoked after, bound before", notes(&mut session), 0);
    checks.equal("revoked after, in an old transaction", notes(&mut old), 0);
    checks.equal("revoked after, writing", ask(&mut session, &insert.replace("kakunin_cert_serial()", "'x'")), "42501");
}

#[test]
fn attack_05_logical_replication_of_the_registry_announces_revocations() {
    let publisher = Stage::with(|builder, _| builder.set("wal_level", "logical").set("wal_sender_timeout", "0"));
    let (alpha, bravo) = (publisher.agent("alpha"), publisher.agent("bravo"));
    let subscriber = Cluster::builder().fresh().clock(&publisher.clock).set("wal_receiver_timeout", "0").start();
    let mut checks = Checks::new();
    let tables = "kakunin.trust_anchor, kakunin.certificate, kakunin.revocation";
    let mut source = publisher.cluster.superuser();
    source.batch_execute(&format!("create publication registry for table {tables}")).expect("a superuser may");
    let mut superuser = subscriber.superuser();
    let scene = "
        create role app login;
        create table note (permitted_agent_serial text);
        select from kakunin.protect_table('note');
        grant select on note to app;";
    superuser.batch_execute(scene).expect("a superuser may");
    for agent in [&alpha, &bravo] {
        superuser.execute("insert into note values ($1)", &[&agent.serial()]).expect("a superuser may");
    }
    let connection = publisher.cluster.connection("postgres", DATABASE).replace('\'', "''");
    let subscribe = format!("create subscription registry connection '{connection}' publication registry");
    superuser.batch_execute(&subscribe).expect("a superuser may");
    wait_until("the first copy arrives", || {
        let copied = "(select count(*) from pg_subscription_rel where srsubstate in ('r', 's'))::text || '/' ||
            (select count(*) from kakunin.certificate)::text";
        (text(&mut superuser, copied)? == "3/2").then_some(())
    });
    publisher.clock.advance(11);

    // Another server: proofs of the publisher's agents for it are made for its own audience.
    let mut session = session_on(&subscriber);
    let found = verdict(bind(&mut session, &publisher.proof(&alpha)));
    checks.equal("a proof for the publisher", found, refusal("28000", "proof_audience_wrong"));
    let audience = text(&mut session, "kakunin.proof_audience()").expect("it has one");
    let bound = |agent: &Identity| {
        let mut session = session_on(&subscriber);
        let claims = publisher.claims_but(serde_json::json!({ "aud": audience }));
        bind_session(&mut session, &publisher.sign(agent, &claims)).expect("a fresh proof binds");
        session
    };
    let (mut one, mut two) = (bound(&alpha), bound(&bravo));
    checks.equal("replicated agents", (notes(&mut one), notes(&mut two)), (1, 1));

    publisher.revoke(&alpha);
    wait_until("the session learns of the revocation", || (notes(&mut one) == 0).then_some(()));
    checks.equal("the other one", notes(&mut two), 1);
    source.batch_execute("truncate kakunin.revocation").expect("a superuser may");
    wait_until("the session learns of its removal", || (notes(&mut one) == 1).then_some(()));
    let root = publisher.pki.root.identity.fingerprint();
    source.execute("select kakunin.remove_trust_anchor($1)", &[&root]).expect("a superuser may");
    wait_until("the session learns that the anchor is gone", || (notes(&mut two) == 0).then_some(()));
    checks.equal("everybody", notes(&mut one), 0);
}
