//! N06: a gateway reruns a transaction after a serialization failure, with the same proof. That one case is let through, and
//! only for the backend that failed.

use kakunin_tests::stage::{AGENT, OTHER, Stage, bind, notes, text, verdict};
use kakunin_tests::{Checks, DATABASE, wait_until};
use postgres::Client;
use serde_json::json;

fn reused() -> (String, String) {
    ("28000".to_owned(), "proof_reused".to_owned())
}

fn ok() -> (String, String) {
    ("00000".to_owned(), String::new())
}

fn run(client: &mut Client, statements: &str) {
    if let Err(error) = client.batch_execute(statements) {
        panic!("{statements}: {error:?}");
    }
}

/// A table that two transactions can quarrel about.
fn with_counters(stage: &Stage) {
    let scene = "
        create table counter (id int primary key, n int not null);
        insert into counter values (1, 0), (2, 0);
        grant select, update on counter to app, other_app;";
    run(&mut stage.cluster.superuser(), scene);
}

/// Presents the proof in a transaction of its own, which rolls back.
fn again(session: &mut Client, proof: &str) -> (String, String) {
    run(session, "begin");
    let found = verdict(bind(session, proof));
    run(session, "rollback");
    found
}

/// Opens a transaction, binds it, and has its update collide with another one's that committed meanwhile.
fn collide(stage: &Stage, session: &mut Client, proof: &str) {
    run(session, "begin isolation level repeatable read");
    bind(session, proof).expect("the proof may be used");
    assert_eq!(notes(session), 2);
    run(&mut stage.cluster.superuser(), "update counter set n = n + 1 where id = 1");
    let collision = verdict(session.batch_execute("update counter set n = n + 1 where id = 1"));
    assert_eq!(collision.0, "40001");
    run(session, "rollback");
}

#[test]
fn n06_after_a_serialization_failure_the_same_backend_may_present_its_proof_again() {
    let stage = Stage::new();
    let agent = stage.agent("alpha");
    with_counters(&stage);
    let mut checks = Checks::new();
    let (mut session, mut other) = (stage.connect(), stage.connect());

    let proof = stage.proof(&agent);
    collide(&stage, &mut session, &proof);
    checks.equal("another backend", again(&mut other, &proof), reused());
    checks.equal("a new backend", again(&mut stage.connect(), &proof), reused());
    run(&mut session, "begin");
    checks.equal("the same backend", verdict(bind(&mut session, &proof)), ok());
    checks.equal("the same backend: rows", notes(&mut session), 2);
    run(&mut session, "update counter set n = n + 1 where id = 1; commit");
    checks.equal("once it has committed", again(&mut session, &proof), reused());

    // PostgREST reruns as often as it fails.
    let proof = stage.proof(&agent);
    for _ in 0..4 {
        collide(&stage, &mut session, &proof);
    }
    checks.equal("after four failures", again(&mut session, &proof), ok());
    checks.equal("and then no more", again(&mut session, &proof), reused());

    // Directly after: any transaction between ends it, with or without a proof.
    for between in ["select 1", "begin; commit", "begin; rollback", "select kakunin_cert_serial()"] {
        let proof = stage.proof(&agent);
        collide(&stage, &mut session, &proof);
        run(&mut session, between);
        checks.equal(&format!("after {between}"), again(&mut session, &proof), reused());
    }

    // What the failed transaction did not use is not let through with it.
    let (used, spent_before) = (stage.proof(&agent), stage.proof(&agent));
    checks.equal("a first transaction", again(&mut session, &spent_before), ok());
    collide(&stage, &mut session, &used);
    checks.equal("a proof of an earlier transaction", again(&mut session, &spent_before), reused());

    // It has expired meanwhile.
    let proof = stage.proof(&agent);
    collide(&stage, &mut session, &proof);
    stage.clock.advance(60);
    let expired = ("28000".to_owned(), "proof_expired".to_owned());
    checks.equal("a minute later", again(&mut session, &proof), expired);

    // The certificate was revoked meanwhile.
    let proof = stage.proof(&agent);
    collide(&stage, &mut session, &proof);
    stage.revoke(&agent);
    let revoked = ("28000".to_owned(), "certificate_revoked".to_owned());
    checks.equal("after a revocation", again(&mut session, &proof), revoked);
}

#[test]
fn n06_a_failure_at_commit_under_serializable_counts_and_a_deadlock_does() {
    let stage = Stage::new();
    let agent = stage.agent("alpha");
    with_counters(&stage);
    let mut checks = Checks::new();
    let mut session = stage.connect();

    // A read-write dependency both ways; the other one commits first, so ours fails, at COMMIT.
    let proof = stage.proof(&agent);
    let mut rival = stage.cluster.connect("other_app", DATABASE);
    run(&mut session, "begin isolation level serializable");
    bind(&mut session, &proof).expect("a fresh proof binds");
    run(&mut rival, "begin isolation level serializable");
    let sum = "select sum(n) from counter";
    run(&mut session, sum);
    run(&mut rival, sum);
    run(&mut session, "update counter set n = n + 1 where id = 1");
    run(&mut rival, "update counter set n = n + 1 where id = 2; commit");
    checks.equal("the commit", verdict(session.batch_execute("commit")).0, "40001");
    checks.equal("another backend", again(&mut rival, &proof), reused());
    checks.equal("the same backend", again(&mut session, &proof), ok());
    checks.equal("the same backend, once more", again(&mut session, &proof), reused());

    // Each waits for the other's row; ours asks first whether that is a deadlock.
    let proof = stage.proof(&agent);
    run(&mut stage.cluster.superuser(), "alter role other_app set deadlock_timeout = '1h'");
    let mut rival = stage.cluster.connect("other_app", DATABASE);
    run(&mut session, "begin");
    bind(&mut session, &proof).expect("a fresh proof binds");
    run(&mut session, "update counter set n = 1 where id = 1");
    run(&mut rival, "begin; update counter set n = 1 where id = 2");
    let rival = std::thread::spawn(move || {
        run(&mut rival, "update counter set n = 1 where id = 1");
        run(&mut rival, "commit");
    });
    let mut watcher = stage.cluster.superuser();
    wait_until("the other one waits", || {
        let waits = "exists (select from pg_stat_activity where usename = 'other_app' and wait_event_type = 'Lock')";
        (text(&mut watcher, waits)? == "true").then_some(())
    });
    checks.equal("the deadlock", verdict(session.batch_execute("update counter set n = 1 where id = 2")).0, "40P01");
    rival.join().expect("the other one goes on");
    run(&mut session, "rollback");
    checks.equal("after a deadlock", again(&mut session, &proof), ok());
    checks.equal("after a deadlock, once more", again(&mut session, &proof), reused());
}

#[test]
fn n06_no_other_end_of_a_transaction_counts() {
    let stage = Stage::new();
    let agent = stage.agent("alpha");
    with_counters(&stage);
    let mut checks = Checks::new();
    let mut session = stage.connect();
    let fail = |state: &str| format!("do $$ begin raise exception 'failed' using errcode = '{state}'; end $$");
    let caught = |state: &str| {
        format!(
            "do $$ begin raise exception 'failed' using errcode = '{state}'; exception when others then null; end $$"
        )
    };

    let bound = |session: &mut Client, name: &str, checks: &mut Checks| {
        let proof = stage.proof(&agent);
        run(session, "begin");
        checks.equal(&format!("{name}: a fresh proof"), verdict(bind(session, &proof)), ok());
        proof
    };
    for state in ["22012", "23505", "42501", "28000", "53000", "55P03", "57014", "40000", "40002", "40003", "25006"] {
        let proof = bound(&mut session, state, &mut checks);
        checks.equal(&format!("{state}: it fails"), verdict(session.batch_execute(&fail(state))).0, state);
        run(&mut session, "rollback");
        checks.equal(&format!("after {state}"), again(&mut session, &proof), reused());
    }

    // Real ones.
    let proof = bound(&mut session, "a cancelled statement", &mut checks);
    run(&mut session, "set local statement_timeout = '10ms'");
    checks.equal("it is cancelled", verdict(session.batch_execute("select pg_sleep(60)")).0, "57014");
    run(&mut session, "rollback");
    checks.equal("after a cancelled statement", again(&mut session, &proof), reused());

    // Only the failure that ended the transaction counts.
    let proof = bound(&mut session, "a caught 40001", &mut checks);
    run(&mut session, &caught("40001"));
    run(&mut session, "rollback");
    checks.equal("after a caught 40001 and ROLLBACK", again(&mut session, &proof), reused());

    let proof = bound(&mut session, "a caught 40001, then 22012", &mut checks);
    run(&mut session, &caught("40001"));
    session.batch_execute(&fail("22012")).expect_err("it fails");
    run(&mut session, "rollback");
    checks.equal("after a caught 40001 and 22012", again(&mut session, &proof), reused());

    let proof = bound(&mut session, "40001 in a savepoint, then ROLLBACK", &mut checks);
    run(&mut session, "savepoint s");
    session.batch_execute(&fail("40001")).expect_err("it fails");
    run(&mut session, "rollback to s; select 1; rollback");
    checks.equal("after 40001 in a savepoint and ROLLBACK", again(&mut session, &proof), reused());

    // A failure in a savepoint of a transaction that committed says nothing about the next one.
    run(&mut session, "begin; savepoint s");
    session.batch_execute(&fail("40001")).expect_err("it fails");
    run(&mut session, "rollback to s; commit");
    let proof = bound(&mut session, "ROLLBACK, one transaction later", &mut checks);
    run(&mut session, "rollback");
    checks.equal("after ROLLBACK, one transaction later", again(&mut session, &proof), reused());

    // 22012 in a savepoint does not hide the failure that comes after it.
    let proof = bound(&mut session, "22012 in a savepoint, then 40001", &mut checks);
    run(&mut session, "savepoint s");
    session.batch_execute(&fail("22012")).expect_err("it fails");
    run(&mut session, "rollback to s");
    session.batch_execute(&fail("40001")).expect_err("it fails");
    // Statements that are refused because the transaction has failed are errors too.
    checks.equal("a failed transaction", verdict(session.batch_execute("select 1")).0, "25P02");
    run(&mut session, "rollback");
    checks.equal("after 40001 at last", again(&mut session, &proof), ok());
    checks.equal("and no more", again(&mut session, &proof), reused());

    // A client that goes away in the middle leaves nothing to anyone.
    let proof = bound(&mut session, "a lost connection", &mut checks);
    drop(session);
    checks.equal("after a lost connection", again(&mut stage.connect(), &proof), reused());
}

/// Behind a pooler the next transaction of a backend can be another client's.
#[test]
fn n06_where_a_backend_may_change_hands_only_a_rerun_of_a_request_counts() {
    let stage = Stage::with(|builder, _| builder.set("kakunin.trusted_gateways", "other_app"));
    let agent = stage.agent("alpha");
    with_counters(&stage);
    run(&mut stage.cluster.superuser(), "alter role app set kakunin.session_binding = off");
    let mut checks = Checks::new();
    for (name, role) in [("session binding is off", AGENT), ("a gateway", OTHER)] {
        let mut session = stage.cluster.connect(role, DATABASE);
        let proof = stage.proof(&agent);
        collide(&stage, &mut session, &proof);
        checks.equal(&format!("{name}, no request"), again(&mut session, &proof), reused());

        // What PostgREST does: it reruns a serialization failure before it gives the connection back.
        let request = "select set_config('request.method', 'GET', false), set_config('request.path', '/note', false)";
        run(&mut session, request);
        let proof = stage.sign(&agent, &stage.claims_but(json!({ "htm": "GET", "htu": "/note" })));
        collide(&stage, &mut session, &proof);
        checks.equal(&format!("{name}, another backend"), again(&mut stage.connect(), &proof).0, "28000");
        checks.equal(&format!("{name}, a rerun"), again(&mut session, &proof), ok());
        checks.equal(&format!("{name}, a rerun that was rolled back"), again(&mut session, &proof), reused());
        let proof = stage.sign(&agent, &stage.claims_but(json!({ "htm": "GET", "htu": "/note" })));
        run(&mut session, "begin");
        bind(&mut session, &proof).expect("a fresh proof binds");
        let deadlock = "do $$ begin raise exception 'failed' using errcode = '40P01'; end $$";
        checks.equal(&format!("{name}, a deadlock"), verdict(session.batch_execute(deadlock)).0, "40P01");
        run(&mut session, "rollback");
        checks.equal(&format!("{name}, after a deadlock"), again(&mut session, &proof), reused());
    }
}

/// A challenge is good for one use, whatever comes after: the session asks for another.
#[test]
fn n06_an_answer_to_a_challenge_is_not_presented_again() {
    let stage = Stage::new();
    let agent = stage.agent("alpha");
    with_counters(&stage);
    let mut checks = Checks::new();
    let mut session = stage.connect();
    let challenge = text(&mut session, "kakunin.session_challenge()").expect("a text");
    let answer = stage.sign(&agent, &stage.answer(&challenge));
    collide(&stage, &mut session, &answer);
    let missing = ("28000".to_owned(), "proof_challenge_missing".to_owned());
    checks.equal("the same answer", again(&mut session, &answer), missing);
    let challenge = text(&mut session, "kakunin.session_challenge()").expect("a text");
    checks.equal("another answer", again(&mut session, &stage.sign(&agent, &stage.answer(&challenge))), ok());
}
