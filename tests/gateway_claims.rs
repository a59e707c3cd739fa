//! Agents behind the real PostgREST whose gateway vouches for them: a serial number in the claims of a token, believed
//! for a trusted login alone, and verified again in the database where it has the key.

use kakunin_tests::{
    Answer, CaRequest, Checks, DATABASE, Gateway, Identity, KeyType, LeafRequest, Pki, Postgrest, PsqlSession, Request,
    refusal_of,
};
use serde_json::{Value, json};

fn whoami(request: Request) -> Value {
    request.rpc_by_get("whoami").data().clone()
}

fn serial(request: Request) -> Value {
    whoami(request)["serial"].clone()
}

/// A gateway whose database has the secret or the public key of its tokens.
fn verifying(key: &[u8]) -> Gateway {
    let mut gateway = Gateway::start();
    use_key(&mut gateway, key);
    gateway
}

fn use_key(gateway: &mut Gateway, key: &[u8]) {
    let file = gateway.cluster.private_file("jwt.key", key);
    gateway.cluster.set("kakunin.gateway_jwt_key_file", &file.to_string_lossy());
    gateway.cluster.reload();
}

/// A moment so many seconds from now.
fn after(seconds: i64) -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    now.as_secs().cast_signed() + seconds
}

// --- what the claims bind ---

#[test]
fn r02_a_serial_number_in_the_claims_binds_wherever_it_stands() {
    let gateway = Gateway::start();
    let mut checks = Checks::new();
    let in_metadata = |serial: Value| json!({ "app_metadata": { "provider": "kakunin", "cert_serial": serial } });
    let bound = [
        ("R2 kakunin_cert_serial", json!({ "kakunin_cert_serial": "0A01" })),
        ("R2 app_metadata.cert_serial", in_metadata(json!("0A01"))),
        ("R2 both", json!({ "kakunin_cert_serial": "0A01", "app_metadata": { "cert_serial": "0A01" } })),
        (
            "R2 both, spelled apart",
            json!({ "kakunin_cert_serial": "0a:01", "app_metadata": { "cert_serial": "0x0A01" } }),
        ),
        ("R2 lower case", json!({ "kakunin_cert_serial": "0a01" })),
        ("R2 leading zeros", json!({ "kakunin_cert_serial": "00 00 0A 01" })),
        ("R2 an empty one beside it", json!({ "kakunin_cert_serial": "", "app_metadata": { "cert_serial": "0A01" } })),
        ("R2 null beside it", json!({ "kakunin_cert_serial": null, "app_metadata": { "cert_serial": "0A01" } })),
        ("R2 anonymous", json!({ "kakunin_cert_serial": "0A01", "role": "anon" })),
    ];
    for (name, claims) in bound {
        let who = whoami(gateway.client().claiming(&claims));
        checks.equal(name, (&who["serial"], &who["source"]), (&json!("0A01"), &json!("gateway")));
        checks.equal(name, (&who["agent"], &who["status"]), (&json!("alpha"), &json!("active")));
        checks.equal(name, gateway.client().claiming(&claims).select("note").ids(), vec![1, 2]);
    }
    let unbound = [
        ("R2 no claim", json!({})),
        ("R2 an empty text", in_metadata(json!(""))),
        ("R2 null", in_metadata(Value::Null)),
        ("R2 no app_metadata", json!({ "app_metadata": null })),
        // What a user can write is not looked at.
        ("R2 user_metadata", json!({ "user_metadata": { "cert_serial": "0A01", "kakunin_cert_serial": "0A01" } })),
        (
            "R2 deeper",
            json!({ "app_metadata": { "kakunin": { "cert_serial": "0A01" }, "kakunin_cert_serial": "0A01" } }),
        ),
        ("R2 top level", json!({ "cert_serial": "0A01" })),
        ("R2 another case", json!({ "Kakunin_Cert_Serial": "0A01" })),
    ];
    for (name, claims) in unbound {
        checks.equal(name, serial(gateway.client().claiming(&claims)), Value::Null);
        checks.equal(name, gateway.client().claiming(&claims).select("note").ids(), Vec::<i64>::new());
    }
    let refused = [
        ("R2 unknown", json!({ "kakunin_cert_serial": "0C03" }), "certificate_unknown"),
        ("R2 a number", json!({ "kakunin_cert_serial": 2561 }), "claims_malformed"),
        ("R2 a list", in_metadata(json!(["0A01"])), "claims_malformed"),
        ("R2 no number", json!({ "kakunin_cert_serial": "alpha" }), "claims_malformed"),
        ("R2 negative", json!({ "kakunin_cert_serial": "-0A01" }), "claims_malformed"),
        ("R2 app_metadata is a text", json!({ "app_metadata": "0A01" }), "claims_malformed"),
        (
            "R2 two agents",
            json!({ "kakunin_cert_serial": "0A01", "app_metadata": { "cert_serial": "0B02" } }),
            "claims_disagree",
        ),
    ];
    for (name, claims, slug) in refused {
        let answer = gateway.client().claiming(&claims).select("note");
        checks.equal(name, answer.refusal(), (403, "28000", slug));
    }
}

#[test]
fn r02_the_token_of_the_platforms_sdk_binds_and_its_policies_work() {
    let gateway = Gateway::start();
    let mut checks = Checks::new();
    let sdk = || gateway.client().token(&gateway.platform_token("agent-alpha", "0A01"));
    let who = whoami(sdk());
    checks.equal("R2 sdk", &who["serial"], &json!("0A01"));
    checks.equal("R2 sdk: the certificate names the agent, not the token", &who["agent"], &json!("alpha"));
    checks.equal("R2 sdk", &who["role"], &json!("authenticated"));
    checks.equal("R2 sdk, protect_table", sdk().select("note").ids(), vec![1, 2]);
    // Policies that read the claims themselves go on as they were: the SDK's by `sub`, the article's by a claim that the
    // SDK does not mint.
    checks.equal("legacy policy on sub", sdk().select("ledger").ids(), vec![1]);
    checks.equal("legacy policy on kakunin_cert_serial", sdk().select("vault").ids(), Vec::<i64>::new());
    let article = || gateway.client().claiming(&json!({ "kakunin_cert_serial": "0A01" }));
    checks.equal("legacy policy on kakunin_cert_serial", article().select("vault").ids(), vec![1, 2]);
    checks.equal("legacy policy on sub", article().select("ledger").ids(), Vec::<i64>::new());
    checks.equal("legacy policy, unbound", gateway.client().select("vault").ids(), Vec::<i64>::new());
    let service = gateway.client().claiming(&json!({ "role": "service_role" }));
    checks.equal("service_role", service.select("note").ids(), vec![1, 2, 3]);
    let bound_service = gateway.client().claiming(&json!({ "role": "service_role", "kakunin_cert_serial": "0A01" }));
    checks.equal("service_role, bound", serial(bound_service.clone()), json!("0A01"));
    checks.equal("service_role bypasses policies all the same", bound_service.select("note").ids(), vec![1, 2, 3]);
}

#[test]
fn r02_the_claims_of_a_login_that_nobody_named_bind_nobody() {
    let mut gateway = Gateway::start();
    let other = gateway.beside(|settings| settings.authenticator = "other_login".to_owned());
    let claims = json!({ "kakunin_cert_serial": "0A01", "app_metadata": { "cert_serial": "0A01" } });
    let through_other = |gateway: &Gateway| gateway.client().at(&other).claiming(&claims).select("note").ids();
    assert_eq!(gateway.client().claiming(&claims).select("note").ids(), [1, 2]);
    assert_eq!(through_other(&gateway), [0; 0]);
    // Nor does a claim that would be refused elsewhere: nobody looks at it.
    let nonsense = gateway.client().at(&other).claiming(&json!({ "kakunin_cert_serial": 1 }));
    assert_eq!(nonsense.select("note").ids(), [0; 0]);
    let header = gateway.client().at(&other).header("x-kakunin-cert-serial", "0A01");
    assert_eq!(header.select("note").ids(), [0; 0]);

    for (trusted, expected) in [
        ("authenticator, other_login", vec![1, 2]),
        ("other_login ,authenticator", vec![1, 2]),
        ("\"other_login\"", vec![1, 2]),
        ("other", vec![]),
        ("other_login2,other_logi", vec![]),
        ("OTHER_LOGIN", vec![]),
        ("anon,authenticated", vec![]),
        ("*", vec![]),
        ("", vec![]),
    ] {
        gateway.cluster.set("kakunin.trusted_gateways", trusted);
        gateway.cluster.reload();
        assert_eq!(through_other(&gateway), expected, "trusted: {trusted}");
    }
    assert_eq!(gateway.client().claiming(&claims).select("note").ids(), [0; 0], "authenticator is trusted no longer");
}

#[test]
fn a_proof_comes_before_the_claims() {
    let gateway = Gateway::start();
    let claims = json!({ "kakunin_cert_serial": "0B02" });
    let who = whoami(gateway.client().claiming(&claims).signed_by(&gateway.alpha));
    assert_eq!((&who["serial"], &who["source"]), (&json!("0A01"), &json!("proof")));
    // A bad proof ends the request; it does not fall back to the claims.
    let refused = gateway.client().claiming(&claims).proof("x").select("note");
    assert_eq!(refused.refusal(), (403, "28000", "proof_malformed"));
    assert_eq!(gateway.client().claiming(&claims).proof("").select("note").ids(), [3]);
}

#[test]
fn the_serial_header_must_agree_and_counts_alone_only_where_it_is_trusted() {
    let mut gateway = Gateway::start();
    let other = gateway.beside(|settings| settings.authenticator = "other_login".to_owned());
    let claims = json!({ "kakunin_cert_serial": "0A01" });
    let agreeing = gateway.client().claiming(&claims).header("x-kakunin-cert-serial", "0a:01");
    assert_eq!(agreeing.select("note").ids(), [1, 2]);
    let disagreeing = gateway.client().claiming(&claims).header("x-kakunin-cert-serial", "0B02");
    assert_eq!(disagreeing.select("note").refusal(), (403, "28000", "claims_disagree"));
    let malformed = gateway.client().claiming(&claims).header("x-kakunin-cert-serial", "bravo");
    assert_eq!(malformed.select("note").refusal(), (403, "28000", "claims_malformed"));

    gateway.cluster.set("kakunin.trust_serial_header", "on");
    gateway.cluster.reload();
    let alone = |at: Option<&Postgrest>| {
        let client = gateway.client().header("x-kakunin-cert-serial", "0B02");
        let client = at.map_or(client.clone(), |postgrest| client.clone().at(postgrest));
        client.select("note").ids()
    };
    assert_eq!(alone(None), [3]);
    assert_eq!(alone(Some(&other)), [0; 0]);
    let disagreeing = gateway.client().claiming(&claims).header("x-kakunin-cert-serial", "0B02");
    assert_eq!(disagreeing.select("note").refusal(), (403, "28000", "claims_disagree"));
    // Of several lines PostgREST keeps the last: a proxy has to replace the header, not to put one before it.
    let lines = [("x-kakunin-cert-serial", "0A01"), ("x-kakunin-cert-serial", "0B02")];
    assert_eq!(gateway.http("GET", "/note?select=id", &lines, "").ids(), [3]);
}

#[test]
fn a_serial_number_of_two_issuers_binds_nobody_and_a_proof_still_does() {
    let gateway = Gateway::start();
    let other = Pki::with(&CaRequest::new("another root"), &CaRequest::new("another intermediate"));
    let twin = other.intermediate.issue(&LeafRequest::agent("twin").serial("0A01"));
    let mut superuser = gateway.cluster.superuser();
    other.trust_root(&mut superuser);
    let import = "select kakunin.import_certificate($1, $2, allow_shared_serial => true)";
    superuser.execute(import, &[&twin.der(), &twin.chain_der()]).expect("it is allowed explicitly");
    let claimed = gateway.client().claiming(&json!({ "kakunin_cert_serial": "0A01" }));
    assert_eq!(claimed.select("note").refusal(), (403, "28000", "serial_ambiguous"));
    for (identity, agent) in [(&gateway.alpha, "alpha"), (&twin, "twin")] {
        assert_eq!(whoami(gateway.client().signed_by(identity))["agent"], agent);
    }
}

#[test]
fn without_pre_request_nothing_binds() {
    let gateway = Gateway::start();
    let plain = gateway.beside(|settings| settings.pre_request = String::new());
    let claimed = || gateway.client().at(&plain).claiming(&json!({ "kakunin_cert_serial": "0A01" }));
    assert_eq!(claimed().select("note").ids(), [0; 0]);
    assert_eq!(gateway.client().at(&plain).signed_by(&gateway.alpha).select("note").ids(), [0; 0]);
    assert_eq!(claimed().select("vault").ids(), [1, 2], "a policy on the claims needs no pre_request");
}

// --- verified again ---

#[test]
fn a_secret_in_the_database_verifies_hs256_tokens_again() {
    // The line's end is the editor's.
    let mut gateway = verifying(b"a secret of thirty-two bytes or more\n");
    let claims = json!({ "kakunin_cert_serial": "0A01" });
    let claimed = |gateway: &Gateway| gateway.client().claiming(&claims).select("note").status();
    assert_eq!(gateway.client().claiming(&claims).select("note").ids(), [1, 2]);
    let sdk = gateway.platform_token("agent-alpha", "0A01");
    assert_eq!(gateway.client().token(&sdk).select("note").ids(), [1, 2]);
    // Who claims nothing is nobody, with a token or without; the service role works.
    assert_eq!(gateway.client().select("note").ids(), [0; 0]);
    assert_eq!(gateway.bare_client().select("note").ids(), [0; 0]);
    let service = gateway.client().claiming(&json!({ "role": "service_role" }));
    assert_eq!(service.select("note").ids(), [1, 2, 3]);
    // Proofs do not depend on it.
    assert_eq!(gateway.client().signed_by(&gateway.bravo).select("note").ids(), [3]);

    // The gateway allows thirty seconds for clocks; here it is kakunin.clock_skew, which these tests set to none.
    let timed = |gateway: &Gateway, times: Value| {
        let mut all = json!({ "role": "authenticated", "kakunin_cert_serial": "0A01" });
        for (name, value) in times.as_object().expect("an object") {
            all[name] = value.clone();
        }
        gateway.client().token(&gateway.token(&all)).select("note")
    };
    let refused = |slug| (403, "28000", slug);
    assert_eq!(timed(&gateway, json!({ "exp": after(-10) })).refusal(), refused("token_expired"));
    assert_eq!(timed(&gateway, json!({})).refusal(), refused("token_malformed"));
    assert_eq!(timed(&gateway, json!({ "exp": after(60), "nbf": after(20) })).refusal(), refused("token_from_future"));
    assert_eq!(timed(&gateway, json!({ "exp": after(60), "iat": after(20) })).refusal(), refused("token_from_future"));
    gateway.cluster.set("kakunin.clock_skew", "30");
    gateway.cluster.reload();
    assert_eq!(timed(&gateway, json!({ "exp": after(-10) })).ids(), [1, 2]);
    assert_eq!(timed(&gateway, json!({ "exp": after(60), "nbf": after(20) })).ids(), [1, 2]);

    // Another secret than the gateway's, one that is too short, and none at all.
    use_key(&mut gateway, b"another secret of thirty-two bytes or more");
    let refused = gateway.client().claiming(&claims).select("note");
    assert_eq!(refused.refusal(), (403, "28000", "token_signature_invalid"));
    use_key(&mut gateway, b"a secret of thirty-one bytes...\n");
    let refused = gateway.client().claiming(&claims).select("note");
    assert_eq!(refused.refusal(), (500, "55000", "token_secret_too_short"));
    use_key(&mut gateway, b"\n");
    assert_eq!(claimed(&gateway), 500);
    let missing = gateway.cluster.data_directory().join("missing.key");
    gateway.cluster.set("kakunin.gateway_jwt_key_file", &missing.to_string_lossy());
    gateway.cluster.reload();
    let refused = gateway.client().claiming(&claims).select("note");
    assert_eq!(refused.refusal(), (500, "55000", "gateway_key_unreadable"));
    assert!(!refused.text().contains("missing.key"), "where the key lies is nobody's business");
    // A request without a token needs no key.
    let asked = gateway.bare_client().run("select current_setting('kakunin.gateway_jwt_key_file')");
    assert_eq!(asked.refusal().1, "42501");
}

#[test]
fn a_public_key_in_the_database_verifies_tokens_again_and_its_kind_decides() {
    let mut gateway = Gateway::start();
    let forger = forger(&gateway);
    for key_type in [KeyType::RSA_2048, KeyType::P256, KeyType::Ed25519] {
        let signer = gateway.pki.intermediate.issue(&LeafRequest::agent("signer").key_type(key_type));
        let jwk = gateway.jwk(&signer).replace('"', "\\\"");
        let asymmetric = gateway.beside(|settings| settings.jwt_secret = jwk);
        let claims = json!({ "role": "authenticated", "kakunin_cert_serial": "0A01", "exp": after(600) });
        let signed = gateway.token_signed_by(&signer, &claims);
        let select = |gateway: &Gateway| gateway.client().at(&asymmetric).token(&signed).select("note");

        let public = public_key_pem(&signer);
        use_key(&mut gateway, public.as_bytes());
        assert_eq!(select(&gateway).ids(), [1, 2], "{key_type:?}");
        // The oldest confusion: a public key is no secret, and so nothing that it "signs" as HS256 counts.
        let confused = gateway.token_with(&public, &json!({ "kakunin_cert_serial": "0B02", "exp": after(600) }));
        assert_eq!(
            forged(&gateway, &forger, &confused).refusal(),
            (403, "28000", "token_algorithm_refused"),
            "{key_type:?}"
        );
        let stranger = gateway.pki.intermediate.issue(&LeafRequest::agent("stranger").key_type(key_type));
        let strange = gateway.token_signed_by(&stranger, &claims);
        assert_eq!(
            forged(&gateway, &forger, &strange).refusal(),
            (403, "28000", "token_signature_invalid"),
            "{key_type:?}"
        );
        // A certificate is no key, however much it looks like one.
        use_key(&mut gateway, signer.pem().as_bytes());
        assert_eq!(select(&gateway).refusal(), (500, "55000", "gateway_key_unreadable"), "{key_type:?}");
    }
    let p384 = gateway.pki.intermediate.issue(&LeafRequest::agent("signer").key_type(KeyType::P384));
    use_key(&mut gateway, public_key_pem(&p384).as_bytes());
    let token = gateway.token_signed_by(&p384, &json!({ "kakunin_cert_serial": "0A01", "exp": after(600) }));
    assert_eq!(forged(&gateway, &forger, &token).refusal(), (403, "28000", "token_algorithm_refused"));
}

#[test]
fn forged_claims_count_for_nothing_where_the_database_has_the_key() {
    let gateway = Gateway::builder().start();
    let forging = gateway.beside(|settings| settings.pre_request = "api.forging_claims".to_owned());
    let alpha = json!({ "kakunin_cert_serial": "0A01" });
    // Without the key the word of whoever writes the setting first is taken: doctor() says so.
    assert_eq!(serial(gateway.client().at(&forging).claiming(&alpha)), "0B02");
    let found = "select count(*) from kakunin.doctor() where finding = 'gateway_token_not_reverified'";
    let finding =
        |gateway: &Gateway| gateway.cluster.superuser().query_one(found, &[]).expect("a plain query").get::<_, i64>(0);
    assert_eq!(finding(&gateway), 1);

    let mut gateway = gateway;
    use_key(&mut gateway, b"a secret of thirty-two bytes or more");
    assert_eq!(finding(&gateway), 0);
    assert_eq!(serial(gateway.client().at(&forging).claiming(&alpha)), "0A01");
    assert_eq!(serial(gateway.client().at(&forging)), Value::Null, "the anonymous token claims nothing");
    assert_eq!(serial(gateway.bare_client().at(&forging)), Value::Null, "no token at all");

    let forger = forger(&gateway);
    // Nor does a header that was written inside the database, unless it holds what the gateway's key has signed.
    let bravo = json!({ "kakunin_cert_serial": "0B02", "exp": after(600) });
    let stolen_secret = gateway.token_with("another secret of thirty-two bytes or more", &bravo);
    assert_eq!(forged(&gateway, &forger, &stolen_secret).refusal(), (403, "28000", "token_signature_invalid"));
    // {"alg":"none"} and {"kakunin_cert_serial":"0B02","exp":4000000000}, with and without something for a signature.
    let none = "eyJhbGciOiJub25lIn0.eyJrYWt1bmluX2NlcnRfc2VyaWFsIjoiMEIwMiIsImV4cCI6NDAwMDAwMDAwMH0.";
    assert_eq!(forged(&gateway, &forger, none).refusal(), (403, "28000", "token_malformed"));
    assert_eq!(forged(&gateway, &forger, &format!("{none}AAAA")).refusal(), (403, "28000", "token_algorithm_refused"));
    for nonsense in ["x", "a.b", "....", "e30.e30.AAAA extra"] {
        let answer = forged(&gateway, &forger, nonsense);
        assert_eq!(answer.refusal(), (403, "28000", "token_malformed"), "{nonsense}");
    }
    assert_eq!(forged(&gateway, &forger, "").ids(), [0; 0], "an empty token is none");
    // A token for another purpose is none of the gateway's, even when the same key signed it: a proof, say.
    let proof = gateway.proof(&gateway.alpha, &json!({}));
    assert_eq!(forged(&gateway, &forger, &proof).refusal(), (403, "28000", "token_malformed"));
}

#[test]
fn a_gateways_own_login_in_plain_sql_is_looked_at_once_in_each_transaction() {
    let mut gateway = Gateway::start();
    let open = |gateway: &Gateway, login: &str| {
        PsqlSession::open(&gateway.cluster.connection(login, DATABASE)).expect("it may log in")
    };
    let claim = |serial: &str| {
        format!("select set_config('request.jwt.claims', '{{\"kakunin_cert_serial\":\"{serial}\"}}', true)")
    };
    let mut session = open(&gateway, "authenticator");
    session.run("begin");
    session.run("set local role authenticated");
    session.run(&claim("0A01"));
    assert_eq!(session.run("select kakunin.pre_request()").sqlstate, "00000");
    assert_eq!(session.run("select kakunin_cert_serial()").rows, "0A01");
    session.run("savepoint s");
    session.run(&claim("0B02"));
    assert_eq!(session.run("select kakunin.pre_request()").sqlstate, "42501", "{}", session.errors());
    session.run("rollback to s");
    assert_eq!(session.run("select kakunin.pre_request()").sqlstate, "42501");
    session.run("rollback to s");
    assert_eq!(session.run("select kakunin_cert_serial()").rows, "0A01");
    session.run("commit");
    assert_eq!(session.run("select coalesce(kakunin_cert_serial(), 'nobody')").rows, "nobody");
    // The next transaction is the next request, whoever's it is.
    session.run("begin");
    session.run("set local role authenticated");
    session.run(&claim("0B02"));
    session.run("select kakunin.pre_request()");
    assert_eq!(session.run("select kakunin_cert_serial()").rows, "0B02");
    session.run("rollback");

    // Any other login: the same words, and nobody. The role is locked all the same.
    let mut session = open(&gateway, "other_login");
    session.run("begin");
    session.run("set local role authenticated");
    session.run(&claim("0A01"));
    assert_eq!(session.run("select kakunin.pre_request()").sqlstate, "00000");
    assert_eq!(session.run("select coalesce(kakunin_cert_serial(), 'nobody')").rows, "nobody");
    assert_eq!(session.run("set role service_role").sqlstate, "42501");
    session.run("rollback");

    // Becoming the gateway's role does not make a session the gateway's.
    gateway.cluster.superuser().batch_execute("grant authenticator to other_login").expect("DDL");
    let mut session = open(&gateway, "other_login");
    session.run("begin");
    session.run("set local role authenticator");
    session.run(&claim("0A01"));
    session.run("select kakunin.pre_request()");
    assert_eq!(session.run("select coalesce(kakunin_cert_serial(), 'nobody')").rows, "nobody");
    session.run("rollback");

    // With the key, words alone bind nobody for the gateway's login either.
    use_key(&mut gateway, b"a secret of thirty-two bytes or more");
    let mut session = open(&gateway, "authenticator");
    session.run("begin");
    session.run(&claim("0A01"));
    assert_eq!(session.run("select kakunin.pre_request()").sqlstate, "00000");
    assert_eq!(session.run("select coalesce(kakunin_cert_serial(), 'nobody')").rows, "nobody");
}

#[test]
fn a_session_of_a_gateway_cannot_be_bound_for_longer_than_a_transaction() {
    let gateway = Gateway::start();
    let mut login = gateway.cluster.connect("authenticator", DATABASE);
    let bind = |login: &mut postgres::Client, function: &str| {
        let proof = gateway.proof(&gateway.alpha, &json!({}));
        login.execute(&format!("select kakunin.{function}($1)"), &[&proof])
    };
    let refusal = refusal_of(bind(&mut login, "bind_session"));
    assert_eq!((&*refusal.sqlstate, refusal.slug()), ("42501", "session_binding_refused"));
    bind(&mut login, "bind_transaction").expect("for one transaction it can");
    let serial: Option<String> = login.query_one("select kakunin_cert_serial()", &[]).expect("a plain query").get(0);
    assert_eq!(serial, None);
    // The login counts, not what it has become.
    login.batch_execute("set role authenticated").expect("it is a member");
    let refusal = refusal_of(bind(&mut login, "bind_session"));
    assert_eq!(refusal.slug(), "session_binding_refused");
}

#[test]
fn a_function_around_pre_request_keeps_the_role_locked_or_is_refused() {
    let gateway = Gateway::start();
    let invoker = gateway.beside(|settings| settings.pre_request = "api.as_invoker".to_owned());
    assert_eq!(gateway.client().at(&invoker).signed_by(&gateway.alpha).select("note").ids(), [1, 2]);
    assert_eq!(gateway.client().at(&invoker).rpc("escalate", &json!({})).refusal(), (401, "42501", ""));
    // The return of a SECURITY DEFINER function would take the lock back in silence.
    let definer = gateway.beside(|settings| settings.pre_request = "api.as_definer".to_owned());
    assert_eq!(gateway.client().at(&definer).rpc("escalate", &json!({})).refusal().1, "42501");
    assert_eq!(
        gateway.client().at(&definer).signed_by(&gateway.alpha).rpc("escalate", &json!({})).refusal().1,
        "42501"
    );
}

#[test]
fn a_binding_from_before_a_request_is_not_the_requests() {
    let gateway = Gateway::start();
    let mut session = PsqlSession::open(&gateway.cluster.connection("other_login", DATABASE)).expect("it may log in");
    let proof = |agent: &Identity| gateway.proof(agent, &json!({}));
    let who = |session: &mut PsqlSession| session.run("select coalesce(kakunin_cert_serial(), 'nobody')").rows;
    session.run(&format!("select kakunin.bind_session('{}')", proof(&gateway.alpha)));
    assert_eq!(who(&mut session), "0A01");
    let header = |agent: &Identity| {
        let headers = json!({ "x-kakunin-proof": proof(agent) });
        format!("select set_config('request.headers', '{headers}', true)")
    };

    session.run("begin");
    assert_eq!(session.run("select kakunin.pre_request()").sqlstate, "00000");
    assert_eq!(who(&mut session), "nobody");
    session.run("rollback");
    session.run("begin");
    session.run(&header(&gateway.bravo));
    assert_eq!(session.run("select kakunin.pre_request()").sqlstate, "00000", "{}", session.errors());
    assert_eq!(who(&mut session), "0B02");
    session.run("commit");
    // Rows that were read in alpha's name stay alpha's: such a transaction cannot become bravo's.
    session.run("begin");
    assert_eq!(who(&mut session), "0A01");
    session.run(&header(&gateway.bravo));
    assert_eq!(session.run("select kakunin.pre_request()").sqlstate, "42501");
    assert!(session.errors().contains("bound_before"), "{}", session.errors());
    session.run("rollback");
    assert_eq!(who(&mut session), "0A01", "what the session was bound to before is as it was");
}

/// A PostgREST in which a function writes an `Authorization` header before `pre_request()` looks at it.
fn forger(gateway: &Gateway) -> Postgrest {
    gateway.beside(|settings| settings.pre_request = "api.forging_token".to_owned())
}

/// A request whose `Authorization` header that function wrote.
fn forged(gateway: &Gateway, forger: &Postgrest, token: &str) -> Answer {
    gateway.client().at(forger).header("x-forged", &format!("Bearer {token}")).select("note")
}

/// The public half of a key as PEM.
fn public_key_pem(identity: &Identity) -> String {
    let mut command = std::process::Command::new("openssl");
    let output = command.args(["pkey", "-pubout", "-in"]).arg(&identity.key).output().expect("openssl runs");
    String::from_utf8(output.stdout).expect("PEM is text")
}
