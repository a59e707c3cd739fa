//! One proof, one use: whoever presents it again, wherever, and after whatever.

use kakunin_tests::stage::{AGENT, Stage, bind, bind_session, change, notes, serial_seen, text, verdict};
use kakunin_tests::{Checks, DATABASE, Identity, KeyType, LeafRequest, Python, Shutdown};
use serde_json::json;
use std::sync::{Arc, Barrier};

fn refusal(sqlstate: &str, slug: &str) -> (String, String) {
    (sqlstate.to_owned(), slug.to_owned())
}

fn reused() -> (String, String) {
    refusal("28000", "proof_reused")
}

fn ok() -> (String, String) {
    refusal("00000", "")
}

// --- N04 ---

#[test]
fn n04_a_used_proof_is_refused_in_every_session_and_after_every_end() {
    let stage = Stage::new();
    let agent = stage.agent("alpha");
    let mut checks = Checks::new();
    let (mut one, mut other) = (stage.connect(), stage.connect());
    let mut again = |name: &str, one: &mut postgres::Client, proof: &str| {
        checks.equal(&format!("{name}, same session"), verdict(bind(one, proof)), reused());
        checks.equal(&format!("{name}, same session, for the session"), verdict(bind_session(one, proof)), reused());
        checks.equal(&format!("{name}, other session"), verdict(bind(&mut other, proof)), reused());
        checks.equal(&format!("{name}, new session"), verdict(bind(&mut stage.connect(), proof)), reused());
        checks.equal(
            &format!("{name}, other role"),
            verdict(bind(&mut stage.cluster.connect("other_app", DATABASE), proof)),
            reused(),
        );
        checks.equal(&format!("{name}: unbound"), serial_seen(one), None);
    };
    let begin_with = |one: &mut postgres::Client, proof: &str| {
        one.batch_execute("begin").expect("a transaction can begin");
        bind(one, proof).expect("a fresh proof binds");
    };

    let proof = stage.proof(&agent);
    bind(&mut one, &proof).expect("a fresh proof binds");
    again("after one statement", &mut one, &proof);

    for end in ["commit", "rollback"] {
        let proof = stage.proof(&agent);
        begin_with(&mut one, &proof);
        one.batch_execute(end).expect("it ends");
        again(&format!("after {end}"), &mut one, &proof);
    }

    let proof = stage.proof(&agent);
    one.batch_execute("begin; savepoint before").expect("a transaction can begin");
    bind(&mut one, &proof).expect("a fresh proof binds");
    one.batch_execute("rollback to before").expect("a savepoint can be returned to");
    assert_eq!(serial_seen(&mut one), None, "the binding follows the savepoint");
    one.batch_execute("savepoint retry").expect("a savepoint");
    let result = verdict(bind(&mut one, &proof));
    one.batch_execute("rollback").expect("it ends");
    again("after ROLLBACK TO", &mut one, &proof);

    let proof = stage.proof(&agent);
    begin_with(&mut one, &proof);
    one.batch_execute("select 1/0").expect_err("a division by zero");
    one.batch_execute("rollback").expect("it ends");
    again("after an error", &mut one, &proof);

    let proof = stage.proof(&agent);
    begin_with(&mut one, &proof);
    one.batch_execute("prepare transaction 'n04'").expect("nothing forbids it");
    again("after PREPARE TRANSACTION", &mut one, &proof);
    one.batch_execute("rollback prepared 'n04'").expect("its owner may");

    let proof = stage.proof(&agent);
    bind_session(&mut one, &proof).expect("a fresh proof binds");
    one.batch_execute("discard all").expect("anyone may");
    again("after DISCARD ALL", &mut one, &proof);

    // Inside the very transaction that used it: there is nothing to gain, and nothing to be had.
    let proof = stage.proof(&agent);
    begin_with(&mut one, &proof);
    let twice = verdict(bind(&mut one, &proof));
    one.batch_execute("rollback").expect("it ends");
    again("after a second try in the same transaction", &mut one, &proof);
    checks.equal("after ROLLBACK TO, inside", result, reused());
    checks.equal("twice in one transaction", twice, reused());

    // An answer to a challenge is remembered in the same way, and its challenge is gone.
    let challenge = text(&mut one, "kakunin.session_challenge()").expect("a text");
    let answer = stage.sign(&agent, &stage.answer(&challenge));
    begin_with(&mut one, &answer);
    one.batch_execute("rollback").expect("it ends");
    let missing = refusal("28000", "proof_challenge_missing");
    checks.equal("an answer, same session", verdict(bind(&mut one, &answer)), missing.clone());
    checks.equal("an answer, other session", verdict(bind(&mut stage.connect(), &answer)), missing);

    // Another certificate may use the same jti: what is remembered is the pair.
    let other_agent = stage.agent("bravo");
    let claims = stage.claims();
    checks.equal("a jti", verdict(bind(&mut one, &stage.sign(&agent, &claims))), ok());
    checks.equal("the same jti of another agent", verdict(bind(&mut one, &stage.sign(&other_agent, &claims))), ok());
    checks.equal("the same jti, signed anew", verdict(bind(&mut one, &stage.sign(&agent, &claims))), reused());
    let mut later = claims.clone();
    change(&mut later, json!({ "exp": stage.clock.now() + 25, "role": AGENT }));
    checks.equal("the same jti in another proof", verdict(bind(&mut one, &stage.sign(&agent, &later))), reused());
}

#[test]
fn n04_a_proof_that_verified_is_spent_even_if_the_bind_is_refused() {
    let stage = Stage::new();
    let (alpha, bravo) = (stage.agent("alpha"), stage.agent("bravo"));
    let mut session = stage.bound(&alpha);
    let mut checks = Checks::new();
    let proof = stage.proof(&bravo);
    checks.equal("another identity", verdict(bind(&mut session, &proof)), refusal("42501", "already_bound"));
    checks.equal("the first stays", serial_seen(&mut session), Some(alpha.serial()));
    checks.equal("its proof, where it could bind", verdict(bind(&mut stage.connect(), &proof)), reused());
    checks.equal("a fresh one there", verdict(bind(&mut stage.connect(), &stage.proof(&bravo))), ok());
}

#[test]
fn n04_of_sixteen_sessions_that_present_one_proof_one_wins() {
    const SESSIONS: usize = 16;
    let stage = Stage::new();
    let agent = stage.agent("alpha");
    let mut checks = Checks::new();
    let mut sessions: Vec<postgres::Client> = (0..SESSIONS).map(|_| stage.connect()).collect();
    for round in 0..8 {
        let proof = stage.proof(&agent);
        let barrier = Arc::new(Barrier::new(SESSIONS));
        let results: Vec<(String, String)> = std::thread::scope(|scope| {
            let attempts: Vec<_> = sessions
                .iter_mut()
                .map(|session| {
                    let (barrier, proof) = (Arc::clone(&barrier), proof.as_str());
                    scope.spawn(move || {
                        // Half of them in a transaction that rolls back at once.
                        session.batch_execute("begin").expect("a transaction can begin");
                        barrier.wait();
                        let found = verdict(bind(session, proof));
                        session.batch_execute("rollback").expect("it ends");
                        found
                    })
                })
                .collect();
            attempts.into_iter().map(|attempt| attempt.join().expect("no panic")).collect()
        });
        let won = results.iter().filter(|found| **found == ok()).count();
        let refused = results.iter().filter(|found| **found == reused()).count();
        checks.equal(&format!("round {round}: winners and losers"), (won, refused), (1, SESSIONS - 1));
    }
}

#[test]
fn n04_after_a_crash_restart_older_proofs_are_refused() {
    for skew in [0, 5] {
        let stage = Stage::with(|builder, _| builder.set("kakunin.clock_skew", &skew.to_string()));
        let agent = stage.agent("alpha");
        let mut checks = Checks::new();
        let mut session = stage.connect();
        let used = stage.proof(&agent);
        let unused = stage.proof(&agent);
        bind_session(&mut session, &used).expect("a fresh proof binds");
        checks.equal("used before the crash", verdict(bind(&mut stage.connect(), &used)), reused());

        let victim: i32 = session.query_one("select pg_backend_pid()", &[]).expect("a plain query").get(0);
        stage.cluster.kill_backend(victim);
        checks.holds("its session is gone", session.batch_execute("select 1").is_err(), ());
        let mut session = stage.connect();
        checks.equal("nobody is bound", serial_seen(&mut session), None);
        let old = refusal("28000", "proof_before_start");
        let name = |what: &str| format!("skew {skew}: {what}");
        checks.equal(&name("used before"), verdict(bind(&mut session, &used)), old.clone());
        checks.equal(&name("issued before, never used"), verdict(bind(&mut session, &unused)), old.clone());
        checks.equal(&name("the table is empty"), stage.used_proofs(), 0);

        // A challenge is younger than its session, so nobody has to wait.
        let challenge = text(&mut session, "kakunin.session_challenge()").expect("a text");
        checks.equal(
            &name("an answer"),
            verdict(bind(&mut session, &stage.sign(&agent, &stage.answer(&challenge)))),
            ok(),
        );

        // The second of the start counts as before it, and so do those that a fast clock may have been ahead.
        stage.clock.advance(skew + 1);
        let started = "extract(epoch from pg_postmaster_start_time())::bigint";
        let started: i64 = text(&mut session, started).expect("it started").parse().expect("seconds");
        checks.holds(&name("the postmaster went on"), started < stage.clock.now(), started);
        let fresh = stage.proof(&agent);
        checks.equal(&name("issued after the skew"), verdict(bind(&mut session, &fresh)), ok());
        checks.equal(&name("the same once more"), verdict(bind(&mut session, &fresh)), reused());

        // A clock that was set back does not bring a proof back.
        stage.clock.advance(-(skew + 3));
        checks.equal(&name("with the clock set back"), verdict(bind(&mut session, &fresh)).0, "28000");
    }
}

#[test]
fn n04_after_a_restart_older_proofs_are_refused() {
    let mut stage = Stage::new();
    let agent = stage.agent("alpha");
    let mut checks = Checks::new();
    let old = refusal("28000", "proof_before_start");
    for how in [Shutdown::Fast, Shutdown::Immediate] {
        let (used, unused) = (stage.proof(&agent), stage.proof(&agent));
        bind(&mut stage.connect(), &used).expect("a fresh proof binds");
        stage.cluster.restart(how);
        checks.equal(&format!("used, {how:?}"), verdict(bind(&mut stage.connect(), &used)), old.clone());
        checks.equal(&format!("unused, {how:?}"), verdict(bind(&mut stage.connect(), &unused)), old.clone());
        stage.clock.advance(10);
        checks.equal(&format!("fresh, {how:?}"), verdict(bind(&mut stage.connect(), &stage.proof(&agent))), ok());
    }
}

#[test]
fn n04_a_clock_that_jumps_does_not_bring_a_used_proof_back() {
    let stage = Stage::new();
    let agent = stage.agent("alpha");
    let mut checks = Checks::new();
    let mut session = stage.connect();
    let used = stage.proof(&agent);
    checks.equal("fresh", verdict(bind(&mut session, &used)), ok());
    stage.clock.advance(3600);
    checks.equal("an hour later", verdict(bind(&mut session, &used)), refusal("28000", "proof_expired"));
    // Makes room: expired entries are dropped now.
    for _ in 0..200 {
        checks.equal("others meanwhile", verdict(bind(&mut session, &stage.proof(&agent))), ok());
    }
    stage.clock.advance(-3600);
    let found = verdict(bind(&mut session, &used));
    checks.equal("when the clock is set back", found.0, "28000");
    // Greater skew would make an expired proof young again.
    stage.clock.advance(40);
    stage.cluster.superuser().batch_execute("alter system set kakunin.clock_skew = 300").expect("a superuser may");
    stage.cluster.reload();
    checks.equal("with a greater skew", verdict(bind(&mut stage.connect(), &used)).0, "28000");
}

// --- N05 ---

#[test]
fn n05_read_only_transactions_bind_and_remember() {
    let stage = Stage::new();
    let agent = stage.agent("alpha");
    let mut checks = Checks::new();
    for (name, begin) in [
        ("read only", "begin read only"),
        ("repeatable read, read only", "begin isolation level repeatable read read only"),
        ("serializable, read only, deferrable", "begin isolation level serializable read only deferrable"),
    ] {
        let mut session = stage.connect();
        let proof = stage.proof(&agent);
        session.batch_execute(begin).expect("a transaction can begin");
        checks.equal(name, verdict(bind(&mut session, &proof)), ok());
        checks.equal(&format!("{name}: rows"), notes(&mut session), 2);
        session.batch_execute("rollback").expect("it ends");
        session.batch_execute(begin).expect("a transaction can begin");
        checks.equal(&format!("{name}: again"), verdict(bind(&mut session, &proof)), reused());
        session.batch_execute("rollback").expect("it ends");
    }
    let mut session = stage.connect();
    session.batch_execute("set default_transaction_read_only = on").expect("anyone may");
    let proof = stage.proof(&agent);
    checks.equal("read only by default", verdict(bind_session(&mut session, &proof)), ok());
    checks.equal("read only by default: rows", notes(&mut session), 2);
    let insert = "insert into note (permitted_agent_serial, body) values (kakunin_cert_serial(), 'new')";
    checks.equal("read only by default: writes", verdict(session.batch_execute(insert)).0, "25006");
    checks.equal("read only by default: again", verdict(bind(&mut stage.connect(), &proof)), reused());
    session.batch_execute("select kakunin.unbind_session()").expect("anyone may");
    checks.equal("read only by default: unbound", notes(&mut session), 0);
}

// --- N09 ---

#[test]
fn n09_a_full_table_refuses_and_shows_it() {
    let stage = Stage::with(|builder, _| builder.set("kakunin.used_proofs_max", "1024"));
    let agent = stage.agent("alpha");
    let mut checks = Checks::new();
    let counts = |stage: &Stage| -> (i64, i64) {
        let row = stage.cluster.superuser().query_one("select live, capacity from kakunin.used_proofs()", &[]);
        let row = row.expect("a superuser may");
        (row.get(0), row.get(1))
    };
    let capacity = counts(&stage).1;
    checks.holds("the capacity is what was asked for", (1024..1200).contains(&capacity), capacity);

    let first = stage.proof(&agent);
    checks.equal("the first", verdict(bind(&mut stage.connect(), &first)), ok());
    // More proofs than there are places, in one transaction of one agent; each refusal is undone alone.
    let proofs = many_proofs(&stage, &agent, 1400);
    let mut session = stage.connect();
    session.batch_execute(BIND_ALL).expect("a temporary function");
    let row = session.query_one("select * from pg_temp.bind_all($1)", &[&proofs]).expect("refusals are caught");
    let (bound, full, other): (i64, i64, Option<String>) = (row.get(0), row.get(1), row.get(2));
    checks.equal("nothing else went wrong", other, None);
    checks.equal("each was bound or refused", bound + full, 1400);
    checks.holds("the table filled up", full > 0, full);
    let (live, capacity) = counts(&stage);
    checks.equal("what is remembered", live, bound + 1);
    checks.holds("never more than there is room for", live <= capacity, (live, capacity));
    // Proofs of one certificate share one of 32 parts, so that nobody can use up what the others need.
    checks.equal("the agent used its part and no more", live, capacity / 32);
    // Which part that is depends on a secret; that four others are all in the same one is a matter of 1 in 10^6.
    let others: Vec<_> = ["bravo", "charlie", "delta", "echo"].map(|name| stage.agent(name)).into();
    let bound_others = others.iter().filter(|other| bind(&mut stage.connect(), &stage.proof(other)).is_ok()).count();
    checks.holds("other agents still bind", bound_others > 0, bound_others);

    // Full refuses; it does not forget.
    checks.equal("the first, once more", verdict(bind(&mut session, &first)), reused());
    let again = session.query_one("select * from pg_temp.bind_all($1)", &[&proofs]).expect("refusals are caught");
    checks.equal("no proof of all those binds again", again.get::<_, i64>(0), 0);
    // A challenge needs a place as well, and is not lost for want of one.
    let refused = loop {
        let challenge = text(&mut session, "kakunin.session_challenge()").expect("a text");
        let answer = stage.sign(&agent, &stage.answer(&challenge));
        let found = verdict(bind(&mut session, &answer));
        if found != ok() {
            break (answer, found);
        }
    };
    checks.equal("an answer", refused.1, refusal("53000", "proof_store_full"));

    // A minute later all of them have expired.
    stage.clock.advance(40);
    checks.equal("none is alive", counts(&stage).0, 0);
    checks.equal("the answer that found no place", verdict(bind(&mut session, &refused.0)).0, "28000");
    let fresh = stage.proof(&agent);
    checks.equal("a new one", verdict(bind(&mut session, &fresh)), ok());
    checks.equal("a new one, again", verdict(bind(&mut session, &fresh)), reused());
    let late = session.query_one("select * from pg_temp.bind_all($1)", &[&proofs]).expect("refusals are caught");
    checks.equal("none of the old ones", (late.get::<_, i64>(0), late.get::<_, i64>(1)), (0, 0));

    // Who may look.
    let look = "select * from kakunin.used_proofs()";
    checks.equal("an agent may not look", verdict(stage.connect().batch_execute(look)).0, "42501");
    let mut admin = stage.cluster.connect("admin", DATABASE);
    checks.equal("an administrator may", verdict(admin.batch_execute(look)).0, "00000");
}

fn many_proofs(stage: &Stage, agent: &Identity, count: i32) -> Vec<String> {
    let key = agent.key.to_string_lossy();
    let (header, claims) = (stage.header(agent).to_string(), stage.claims().to_string());
    let arguments = [&*key, agent.algorithm(), &header, &claims, &count.to_string()];
    let printed = Python::with_packages().run("pyjwt_proofs.py", &arguments);
    let proofs: Vec<String> = printed.lines().map(str::to_owned).collect();
    assert_eq!(proofs.len(), usize::try_from(count).expect("it is positive"));
    proofs
}

/// Presents each proof in a subtransaction of its own, and counts how that ended.
const BIND_ALL: &str = "
create function pg_temp.bind_all(proofs text[], out bound bigint, out full_ bigint, out other text) language plpgsql as $$
declare
    proof text;
begin
    bound := 0;
    full_ := 0;
    foreach proof in array proofs loop
        begin
            perform kakunin.bind_transaction(proof);
            bound := bound + 1;
        exception
            when sqlstate '53000' then full_ := full_ + 1;
            when sqlstate '28000' then if sqlerrm not in ('proof has been used before', 'proof has expired') then other := sqlerrm; end if;
        end;
    end loop;
end
$$";

#[test]
fn a_proof_of_each_kind_of_key_is_good_for_one_use() {
    let stage = Stage::new();
    let mut checks = Checks::new();
    for (name, key_type) in [("rsa", KeyType::RSA_2048), ("p384", KeyType::P384), ("ed25519", KeyType::Ed25519)] {
        let agent = stage.pki.intermediate.issue(&LeafRequest::agent(name).key_type(key_type));
        stage.enrol(&agent);
        let proof = stage.proof(&agent);
        checks.equal(name, verdict(bind(&mut stage.connect(), &proof)), ok());
        checks.equal(&format!("{name}, again"), verdict(bind(&mut stage.connect(), &proof)), reused());
    }
}
