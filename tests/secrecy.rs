//! N16: what a server writes down of a proof, wherever it writes, and that nothing of it is worth having.

use kakunin_tests::stage::{Stage, bind, bind_session, text, verdict};
use kakunin_tests::{Checks, DATABASE, Identity, refusal_of};
use postgres::Client;

/// A stage whose server writes down as much as it can.
fn talkative(more: &[(&str, &str)]) -> Stage {
    Stage::with(|mut builder, _| {
        for (name, value) in [
            ("shared_preload_libraries", "kakunin, auto_explain, pg_stat_statements"),
            ("log_statement", "all"),
            ("log_duration", "on"),
            ("log_min_duration_statement", "0"),
            ("log_error_verbosity", "verbose"),
            ("log_min_messages", "debug1"),
            ("auto_explain.log_min_duration", "0"),
            ("auto_explain.log_nested_statements", "on"),
            ("pg_stat_statements.track", "all"),
            ("track_activity_query_size", "64kB"),
        ]
        .iter()
        .chain(more)
        {
            builder = builder.set(name, value);
        }
        builder
    })
}

/// Presents proofs in every way there is: as a parameter, accepted and refused, within a function of the caller's, and twice.
fn present(stage: &Stage, agent: &Identity, session: &mut Client) -> Vec<String> {
    let mut proofs = Vec::new();
    let mut fresh = || {
        let proof = stage.proof(agent);
        proofs.push(proof.clone());
        proof
    };
    let proof = fresh();
    bind(session, &proof).expect("a fresh proof binds");
    bind(session, &proof).expect_err("it was used");
    let proof = fresh();
    bind_session(session, &proof).expect("a fresh proof binds");
    text(session, "kakunin.current_binding()").expect("it is bound");
    session.batch_execute("select kakunin.unbind_session()").expect("anyone may");
    let proof = fresh();
    session.execute("select wrapped($1)", &[&proof]).expect("a fresh proof binds");
    session.execute("select wrapped($1)", &[&proof]).expect_err("it was used");
    session.execute("select dynamic($1)", &[&proof]).expect_err("it was used");
    let proof = fresh();
    let broken = format!("{}AAAA{}", &proof[..proof.len() - 8], &proof[proof.len() - 4..]);
    bind(session, &broken).expect_err("its signature is another");
    bind(session, &proof[..200]).expect_err("it is cut off");
    bind(session, &format!("{proof}\n")).expect_err("a line end is no base64url");
    bind(session, &proof.repeat(40)).expect_err("it is too long");
    proofs
}

const FUNCTIONS: &str = "
create function wrapped(proof text) returns void language plpgsql as
    $$ begin perform kakunin.bind_transaction(proof); end $$;
create function dynamic(proof text) returns void language plpgsql as
    $$ begin execute 'select kakunin.bind_transaction($1)' using proof; end $$;
create extension pg_stat_statements;
";

/// The longest run of characters of one of the proofs' signatures, or 40 characters of claims, found in a text.
fn leaked(text: &str, proofs: &[String]) -> Option<String> {
    let pieces = proofs.iter().flat_map(|proof| {
        let parts: Vec<&str> = proof.split('.').collect();
        // The header is the same in all proofs and secret to nobody; claims and signature are what makes one.
        [parts[1], parts[2]].into_iter().flat_map(|part| {
            let bytes = part.as_bytes().chunks(16).filter(|chunk| chunk.len() == 16);
            bytes.map(|chunk| String::from_utf8_lossy(chunk).into_owned()).collect::<Vec<_>>()
        })
    });
    pieces.into_iter().find(|piece| text.contains(piece.as_str()))
}

#[test]
fn n16_without_logged_parameters_no_log_holds_a_proof() {
    let stage = talkative(&[("log_parameter_max_length", "0"), ("log_parameter_max_length_on_error", "0")]);
    let agent = stage.agent("alpha");
    stage.cluster.superuser().batch_execute(FUNCTIONS).expect("a superuser may");
    let mut checks = Checks::new();
    let mut session = stage.connect();
    let proofs = present(&stage, &agent, &mut session);

    let log = stage.cluster.log();
    checks.holds("the log tells of binds", log.contains("kakunin.bind_transaction($1)"), ());
    checks.holds("of refusals", log.contains("proof_reused") && log.contains("proof_signature_invalid"), ());
    checks.holds("of plans", log.contains("Query Text: "), ());
    checks.equal("the log", leaked(&log, &proofs), None);
    let mut superuser = stage.cluster.superuser();
    let activity = text(&mut superuser, "(select string_agg(query, e'\\n') from pg_stat_activity)").expect("queries");
    checks.holds("activity is seen", activity.contains("bind_transaction"), &activity);
    checks.equal("pg_stat_activity", leaked(&activity, &proofs), None);
    let statements =
        text(&mut superuser, "(select string_agg(query, e'\\n') from pg_stat_statements)").expect("queries");
    checks.holds("statements are counted", statements.contains("kakunin.bind_session($1)"), &statements);
    checks.equal("pg_stat_statements", leaked(&statements, &proofs), None);

    // What the extension keeps for itself is no proof either: the setting of a bound session, and its tables.
    let proof = stage.proof(&agent);
    bind_session(&mut session, &proof).expect("a fresh proof binds");
    let setting = text(&mut session, "current_setting('kakunin.binding')").expect("a bound session has one");
    checks.holds("the setting tells who it is", setting.contains(&agent.serial()), &setting);
    checks.equal("the setting", leaked(&setting, &[proof]), None);
    let key = std::fs::read_to_string(&agent.key).expect("openssl wrote it");
    let key: String = key.lines().filter(|line| !line.starts_with('-')).collect();
    checks.holds("the private key never came here", !stage.cluster.log().contains(&key[..40]), ());
    let files = text(
        &mut superuser,
        "(select count(*) from kakunin.certificate c where encode(c.certificate, 'escape') like '%PRIVATE%')",
    );
    checks.equal("nor into a table", files, Some("0".to_owned()));
}

#[test]
fn n16_a_proof_that_was_logged_is_dead() {
    let stage = talkative(&[
        ("log_parameter_max_length", "-1"),
        ("log_parameter_max_length_on_error", "-1"),
        ("auto_explain.log_verbose", "on"),
    ]);
    let agent = stage.agent("alpha");
    stage.cluster.superuser().batch_execute(FUNCTIONS).expect("a superuser may");
    let mut checks = Checks::new();
    let mut session = stage.connect();
    let used = stage.proof(&agent);
    bind_session(&mut session, &used).expect("a fresh proof binds");

    // PostgreSQL writes bind parameters when it is told to. What is read there was used before.
    let log = stage.cluster.log();
    let logged =
        log.split("$1 = '").skip(1).filter_map(|rest| rest.split('\'').next()).find(|text| text.starts_with("eyJ"));
    checks.equal("PostgreSQL logs the parameter", logged, Some(&*used));
    // Whatever log_parameter_max_length says, a verbose plan shows the parameter as the constant that it was planned with.
    checks.holds("auto_explain logs it", log.contains(&format!("Output: kakunin.bind_session('{used}'")), ());
    for (name, role) in [("the thief", "other_app"), ("the same role", "app")] {
        let found = verdict(bind(&mut stage.cluster.connect(role, DATABASE), logged.unwrap_or_default()));
        checks.equal(name, found, ("28000".to_owned(), "proof_reused".to_owned()));
    }

    // A literal is in the statement, and so wherever statements are; pg_stat_statements alone leaves it out.
    let literal = stage.proof(&agent);
    session
        .batch_execute(&format!("select kakunin.unbind_session(); select kakunin.bind_session('{literal}')"))
        .expect("it binds");
    let mut other = stage.connect();
    let seen =
        "(select query from pg_stat_activity where query like '%kakunin.bind_session(''%' and pid <> pg_backend_pid())";
    let query = text(&mut other, seen).unwrap_or_default();
    checks.holds("a session of the same role sees the statement", query.contains(&literal), &query);
    let stolen = query.split('\'').nth(1).unwrap_or_default();
    checks.equal("and has nothing of it", verdict(bind(&mut other, stolen)).1, "proof_reused");
    let statements = "(select string_agg(query, e'\\n') from pg_stat_statements)";
    let statements = text(&mut stage.cluster.superuser(), statements).expect("queries");
    checks.equal("pg_stat_statements", leaked(&statements, &[literal]), None);
    let mut stranger = stage.cluster.connect("other_app", DATABASE);
    let hidden = text(&mut stranger, seen);
    checks.equal("a session of another role sees none", hidden, None);
}

#[test]
fn n16_no_refusal_repeats_what_was_presented() {
    let stage = Stage::with(|builder, _| builder.set("log_min_messages", "debug5"));
    let agent = stage.agent("alpha");
    stage
        .cluster
        .superuser()
        .batch_execute(&FUNCTIONS.replace("create extension pg_stat_statements;", ""))
        .expect("functions");
    let mut checks = Checks::new();
    let mut session = stage.connect();
    session.batch_execute("set client_min_messages = debug5").expect("anyone may");
    let secret = "c2VjcmV0LXRoYXQtbm9ib2R5LW1heS1yZXBlYXQ";
    let claims = |changes| stage.sign(&agent, &stage.claims_but(changes));
    for (name, proof) in [
        ("in a jti that is too long", claims(serde_json::json!({ "jti": secret.repeat(10) }))),
        ("in a nonce", claims(serde_json::json!({ "nonce": secret }))),
        ("in the audience", claims(serde_json::json!({ "aud": secret }))),
        ("in the role", claims(serde_json::json!({ "role": secret }))),
        ("in the path", claims(serde_json::json!({ "htm": secret, "htu": secret }))),
        ("in a name of a claim", claims(serde_json::json!({ secret: 1, "iat": null }))),
        ("as the proof", secret.to_owned()),
        ("as the signature", format!("{}.{secret}", claims(serde_json::json!({})).rsplit_once('.').expect("parts").0)),
    ] {
        for call in ["kakunin.bind_transaction", "kakunin.bind_session", "wrapped", "dynamic"] {
            let result = session.execute(&format!("select {call}($1)"), &[&proof]);
            let refusal = refusal_of(result);
            checks.equal(&format!("{call}, {name}"), &*refusal.sqlstate, "28000");
            checks.holds(
                &format!("{call}, {name}: what the client is told"),
                !refusal.text().contains(secret),
                &refusal,
            );
            checks.equal(&format!("{call}, {name}: its proof"), leaked_any(&refusal.text(), &proof), None);
        }
    }
    let log = stage.cluster.log();
    checks.holds("the log", !log.contains(secret), ());
    checks.holds("the log has the refusals", log.contains("proof_malformed"), ());
}

fn leaked_any(text: &str, proof: &str) -> Option<String> {
    let bytes = proof.as_bytes().chunks(12).filter(|chunk| chunk.len() == 12);
    bytes.map(|chunk| String::from_utf8_lossy(chunk).into_owned()).find(|piece| text.contains(piece.as_str()))
}
