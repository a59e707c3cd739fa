//! Proofs that bind, made by other people's programs, and every way in which one is refused.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kakunin_tests::stage::{AGENT, OTHER, Stage, bind, serial_seen, text, verdict};
use kakunin_tests::{Checks, DATABASE, Identity, KeyType, LeafRequest, Node, Python, Refusals, refusal_of};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

// --- what binds ---

/// A program that signs a JWS with an agent's key: header and claims in, the compact form out.
type Signer<'a> = &'a dyn Fn(&Identity, &Value, &Value) -> String;

fn proofs_of_each_kind_of_key_bind(sign: Signer) {
    let stage = Stage::new();
    let mut checks = Checks::new();
    let kinds = [
        ("rsa", KeyType::RSA_2048, &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"][..]),
        ("p256", KeyType::P256, &["ES256"]),
        ("p384", KeyType::P384, &["ES384"]),
        ("ed25519", KeyType::Ed25519, &["EdDSA"]),
    ];
    for (name, key_type, algorithms) in kinds {
        let agent = stage.pki.intermediate.issue(&LeafRequest::agent(name).key_type(key_type));
        stage.enrol(&agent);
        for algorithm in algorithms {
            let header = stage.header_but(&agent, json!({ "alg": algorithm }));
            let proof = sign(&agent, &header, &stage.claims());
            checks.equal(&format!("{algorithm} with a jti"), what_it_binds(&stage, &proof), expected(&agent, name));

            let mut client = stage.connect();
            let challenge = text(&mut client, "kakunin.session_challenge()").expect("it is never null");
            let proof = sign(&agent, &header, &stage.answer(&challenge));
            let found = binding_in(&mut client, &proof);
            checks.equal(&format!("{algorithm} with a challenge"), found, expected(&agent, name));
        }
    }
    let unused = stage.connect().query_one("select kakunin_cert_serial() is null", &[]).expect("a plain query");
    checks.equal("another session stays unbound", unused.get::<_, bool>(0), true);
}

/// Source, serial, agent, tenant and the number of visible notes, as one text.
fn what_it_binds(stage: &Stage, proof: &str) -> String {
    binding_in(&mut stage.connect(), proof)
}

fn binding_in(client: &mut postgres::Client, proof: &str) -> String {
    let mut transaction = client.transaction().expect("a transaction can begin");
    if let Err(error) = bind(&mut transaction, proof) {
        return format!("{:?}", refusal_of::<()>(Err(error)));
    }
    let row = "concat_ws('|', kakunin_binding_source(), kakunin_cert_serial(), kakunin_agent_id(), kakunin_tenant_id(),
        (select count(*) from note), (select session_scoped from kakunin.current_binding()))";
    let found = text(&mut transaction, row).expect("concat_ws is never null");
    transaction.commit().expect("nothing failed");
    assert_eq!(serial_seen(client), None, "the binding ends with the transaction");
    found
}

fn expected(agent: &Identity, name: &str) -> String {
    format!("proof|{}|{name}|acme|2|f", agent.serial())
}

#[test]
fn a_proof_made_by_openssl_binds_for_each_kind_of_key() {
    let sign = |agent: &Identity, header: &Value, claims: &Value| {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", encode(header), encode(claims));
        let signature = match header["alg"].as_str().expect("an algorithm") {
            algorithm @ ("RS384" | "RS512" | "PS256" | "PS384" | "PS512") => rsa(agent, algorithm, input.as_bytes()),
            _ => agent.sign(input.as_bytes()),
        };
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    };
    proofs_of_each_kind_of_key_bind(&sign);
}

/// An RSA signature by the `openssl` program with any digest and padding.
fn rsa(agent: &Identity, algorithm: &str, message: &[u8]) -> Vec<u8> {
    let file = agent.certificate.with_extension("message");
    fs::write(&file, message).expect("the directory is ours");
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", &format!("-sha{}", &algorithm[2..]), "-sign"]).arg(&agent.key);
    if algorithm.starts_with("PS") {
        openssl.args(["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]);
    }
    let output = openssl.arg(&file).output().expect("openssl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn a_proof_made_by_pyjwt_binds_for_each_kind_of_key() {
    let python = Python::with_packages();
    proofs_of_each_kind_of_key_bind(&|agent, header, claims| {
        let algorithm = header["alg"].as_str().expect("an algorithm");
        let key = agent.key.to_string_lossy();
        python.run("pyjwt_proof.py", &[&key, algorithm, &header.to_string(), &claims.to_string()])
    });
}

#[test]
fn a_proof_made_by_jose_binds_for_each_kind_of_key() {
    let node = Node::with_clients();
    proofs_of_each_kind_of_key_bind(&|agent, header, claims| {
        let (key, header, claims) = (agent.key.to_string_lossy(), header.to_string(), claims.to_string());
        let output = node.run("jose_proof.mjs", &[("KEY_FILE", &*key), ("HEADER", &header), ("CLAIMS", &claims)]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    });
}

// --- what is refused ---

#[test]
fn n07_a_proof_for_another_database_or_role_is_refused() {
    let stage = Stage::new();
    let agent = stage.agent("alpha");
    let header = stage.header(&agent);
    let mut refusals = Refusals::new(&stage);
    let sign = |changes: Value| agent.jws(&header, &stage.claims_but(changes));
    let (system, _) = stage.audience().split_once('/').expect("it has two parts");

    for (name, audience) in [
        ("another database", format!("{system}/postgres")),
        ("another server", format!("kakunin:1/{DATABASE}")),
        ("the database alone", DATABASE.to_owned()),
        ("upper case", stage.audience().to_uppercase()),
        ("one character more", format!("{}x", stage.audience())),
        ("a line end behind it", format!("{}\n", stage.audience())),
        ("nothing", String::new()),
    ] {
        refusals.refused(&format!("aud is {name}"), "proof_audience_wrong", &sign(json!({ "aud": audience })));
    }
    let both = json!([stage.audience(), "kakunin:1/test"]);
    for (name, audience) in [
        ("absent", Value::Null),
        ("a list of two", both),
        ("a list of none", json!([])),
        ("a list of one number", json!([7])),
        ("a number", json!(7)),
        ("an object", json!({ "aud": stage.audience() })),
    ] {
        refusals.refused(&format!("aud is {name}"), "proof_malformed", &sign(json!({ "aud": audience })));
    }
    refusals.accepted("aud is a list of one", &sign(json!({ "aud": [stage.audience()] })));

    refusals.refused("another role", "proof_role_wrong", &sign(json!({ "role": OTHER })));
    refusals.refused("the role in upper case", "proof_role_wrong", &sign(json!({ "role": AGENT.to_uppercase() })));
    refusals.refused("an empty role", "proof_malformed", &sign(json!({ "role": "" })));
    refusals.refused("a role that is a number", "proof_malformed", &sign(json!({ "role": 10 })));
    refusals.accepted("the current role", &sign(json!({ "role": AGENT })));

    // What was refused for one role was never used: it still serves the role that it was made for.
    let for_other = sign(json!({ "role": OTHER }));
    refusals.refused("a proof of another role's", "proof_role_wrong", &for_other);
    let mut other = stage.cluster.connect(OTHER, DATABASE);
    refusals.checks.equal("the same proof by that role", verdict(bind(&mut other, &for_other)).0, "00000");

    // The same proof in another database of the same server.
    let mut superuser = stage.cluster.superuser();
    superuser.batch_execute("create database elsewhere").expect("a superuser may");
    stage.cluster.connect("postgres", "elsewhere").batch_execute("create extension kakunin").expect("a superuser may");
    let mut elsewhere = stage.cluster.connect(AGENT, "elsewhere");
    let refused = verdict(bind(&mut elsewhere, &stage.proof(&agent)));
    refusals.checks.equal("in another database", refused, ("28000".to_owned(), "proof_audience_wrong".to_owned()));
}

#[test]
fn n07_a_proof_for_another_method_or_path_is_refused() {
    let stage = Stage::new();
    let agent = stage.agent("alpha");
    let header = stage.header(&agent);
    let mut refusals = Refusals::new(&stage);
    let sign = |changes: Value| agent.jws(&header, &stage.claims_but(changes));
    let request = |method: &str, uri: &str| sign(json!({ "htm": method, "htu": uri }));

    refusals.refused("htm and htu without a request", "proof_request_unexpected", &request("GET", "/note"));
    refusals.refused("htm alone without a request", "proof_request_unexpected", &sign(json!({ "htm": "GET" })));

    // What PostgREST sets before anything else in the transaction, here for the session.
    let settings = "select set_config('request.method', 'GET', false), set_config('request.path', '/note', false)";
    refusals.client.batch_execute(settings).expect("anyone may");
    refusals.refused("neither htm nor htu", "proof_request_missing", &sign(json!({})));
    refusals.refused("htm alone", "proof_request_missing", &sign(json!({ "htm": "GET" })));
    refusals.refused("htu alone", "proof_request_missing", &sign(json!({ "htu": "/note" })));
    for method in ["POST", "get", "GET ", "HEAD"] {
        refusals.refused(&format!("method {method:?}"), "proof_method_wrong", &request(method, "/note"));
    }
    for uri in [
        "/notes",
        "/note/",
        "//note",
        "/NOTE",
        "/./note",
        "/x/../note",
        "/%6eote",
        "note",
        "/note?id=eq.1",
        "/note#top",
        "https://host/rest/v1",
        "https://host/other/note",
        "/rest/v1note",
        "/rest/v1/rest/v1/note",
        "ftp://host/note",
        "https:///note",
        "https://host",
    ] {
        refusals.refused(&format!("path {uri:?}"), "proof_path_wrong", &request("GET", uri));
    }
    for uri in ["", "\u{0}"] {
        let slug = if uri.is_empty() { "proof_malformed" } else { "proof_path_wrong" };
        refusals.refused(&format!("path {uri:?}"), slug, &request("GET", uri));
    }
    for uri in ["/note", "https://host/note", "http://host:8000/rest/v1/note", "/rest/v1/note", "HTTPS://host/note"] {
        refusals.accepted(&format!("path {uri:?}"), &request("GET", uri));
    }
}

#[test]
fn n07_the_times_of_a_proof_have_limits() {
    let stage = Stage::with(|builder, _| builder.set("kakunin.clock_skew", "100"));
    let agent = stage.agent("alpha");
    let header = stage.header(&agent);
    let mut refusals = Refusals::new(&stage);
    // Far enough from the start, so that a proof within the skew is younger than the server by more than the skew.
    stage.clock.advance(1000);
    let between = |from: i64, to: i64| {
        let now = stage.clock.now();
        agent.jws(&header, &stage.claims_but(json!({ "iat": now + from, "exp": now + to })))
    };
    // Distances are far from the limits where the clock goes on between signing and binding; the limits themselves
    // do not depend on it.
    refusals.accepted("60 seconds long", &between(0, 60));
    refusals.refused("61 seconds long", "proof_lifetime_wrong", &between(0, 61));
    refusals.refused("a year long", "proof_lifetime_wrong", &between(0, 31_536_000));
    refusals.refused("no time long", "proof_lifetime_wrong", &between(10, 10));
    refusals.refused("it ends before it begins", "proof_lifetime_wrong", &between(10, 0));
    refusals.accepted("ended within the skew", &between(-70, -20));
    refusals.refused("ended before the skew", "proof_expired", &between(-150, -101));
    refusals.accepted("begins within the skew", &between(40, 70));
    refusals.refused("begins after the skew", "proof_from_future", &between(300, 330));

    let sign = |changes: Value| agent.jws(&header, &stage.claims_but(changes));
    let now = stage.clock.now();
    refusals.refused("nbf after the skew", "proof_from_future", &sign(json!({ "nbf": now + 300 })));
    refusals.accepted("nbf in the past", &sign(json!({ "nbf": now - 300 })));
    refusals.accepted("with a fraction", &sign(json!({ "iat": now as f64 - 0.5, "exp": now as f64 + 29.25 })));
    refusals.refused(
        "a fraction too long",
        "proof_lifetime_wrong",
        &sign(json!({ "iat": now, "exp": now as f64 + 60.5 })),
    );
    for (name, value) in [
        ("absent", Value::Null),
        ("a text", json!(now.to_string())),
        ("negative", json!(-1)),
        ("in milliseconds", json!(now * 1000)),
        ("beyond 64 bits", json!(1e300)),
        ("an object", json!({})),
        ("true", json!(true)),
    ] {
        for claim in ["iat", "exp", "nbf"] {
            if claim == "nbf" && value.is_null() {
                continue;
            }
            let mut changes = json!({});
            changes[claim] = value.clone();
            refusals.refused(&format!("{claim} is {name}"), "proof_malformed", &sign(changes));
        }
    }
}

#[test]
fn n07_a_proof_says_what_makes_it_single() {
    let stage = Stage::new();
    let agent = stage.agent("alpha");
    let header = stage.header(&agent);
    let mut refusals = Refusals::new(&stage);
    let sign = |changes: Value| agent.jws(&header, &stage.claims_but(changes));
    let challenge = |client: &mut postgres::Client| text(client, "kakunin.session_challenge()").expect("a text");

    refusals.refused("neither jti nor nonce", "proof_unidentified", &sign(json!({ "jti": null })));
    for (name, value) in [
        ("empty", json!("")),
        ("a number", json!(7)),
        ("a list", json!(["a"])),
        ("256 characters", json!("é".repeat(256))),
    ] {
        refusals.refused(&format!("jti is {name}"), "proof_malformed", &sign(json!({ "jti": value })));
        refusals.refused(&format!("nonce is {name}"), "proof_malformed", &sign(json!({ "nonce": value })));
    }
    refusals.accepted("jti of 255 characters", &sign(json!({ "jti": "é".repeat(255) })));

    let answer = |nonce: &str| agent.jws(&header, &stage.answer(nonce));
    refusals.refused("a nonce where no challenge is open", "proof_challenge_missing", &answer(&"0".repeat(48)));
    let open = challenge(&mut refusals.client);
    refusals.refused("another nonce", "proof_challenge_wrong", &answer(&"0".repeat(48)));
    refusals.refused("the nonce in upper case", "proof_challenge_wrong", &answer(&open.to_uppercase()));
    refusals.refused("a part of the nonce", "proof_challenge_wrong", &answer(&open[..47]));
    let mut other = stage.connect();
    let of_other = challenge(&mut other);
    refusals.refused("the nonce of another session", "proof_challenge_wrong", &answer(&of_other));
    refusals.checks.equal(
        "our nonce in another session",
        verdict(bind(&mut other, &answer(&open))),
        ("28000".to_owned(), "proof_challenge_wrong".to_owned()),
    );
    refusals.accepted("the nonce, after all that", &answer(&open));
    refusals.refused("the nonce again", "proof_challenge_missing", &answer(&open));
    // A jti beside the nonce does not make the nonce good for more.
    let twice = |nonce: &str| sign(json!({ "nonce": nonce }));
    refusals.refused("the nonce again, with a jti", "proof_challenge_missing", &twice(&open));

    let replaced = challenge(&mut refusals.client);
    let latest = challenge(&mut refusals.client);
    refusals.refused("a challenge that was replaced", "proof_challenge_wrong", &answer(&replaced));
    refusals.accepted("the latest challenge, with a jti", &twice(&latest));

    let late = challenge(&mut refusals.client);
    stage.clock.advance(61);
    refusals.refused("a challenge after a minute", "proof_challenge_missing", &answer(&late));
    let intime = challenge(&mut refusals.client);
    stage.clock.advance(30);
    refusals.accepted("a challenge after half a minute", &answer(&intime));
}
