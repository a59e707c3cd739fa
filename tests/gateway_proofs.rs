//! Requests through the real PostgREST that are signed by the agent's own key: what a proof is for, and that it is good
//! for one use.

use kakunin_tests::{Answer, DATABASE, Gateway, Identity, KeyType, LeafRequest, Request, refusal_of, wait_until};
use serde_json::{Value, json};

/// What `api.whoami` says about one member.
fn said(request: Request, member: &str) -> Value {
    request.rpc_by_get("whoami").data()[member].clone()
}

fn serial(request: Request) -> Value {
    said(request, "serial")
}

// --- single use ---

#[test]
fn r10_r11_proofs_bind_in_read_only_and_in_writing_requests() {
    let gateway = Gateway::start();
    let alpha = || gateway.client().signed_by(&gateway.alpha);
    assert_eq!(alpha().select("note").ids(), [1, 2], "R10 GET");
    assert_eq!(alpha().count("note").counted(), 2, "R10 HEAD");
    assert_eq!(said(alpha(), "read_only"), "on", "R10 a function by GET");
    let stable = alpha().rpc("whoami", &json!({}));
    assert_eq!((&stable.data()["serial"], &stable.data()["read_only"]), (&json!("0A01"), &json!("on")), "R10 POST");
    let written = alpha().run("select kakunin_cert_serial(), current_setting('transaction_read_only') as read_only");
    assert_eq!(*written.data(), json!([{ "kakunin_cert_serial": "0A01", "read_only": "off" }]), "R11");
    assert_eq!(alpha().update("note", 1, &json!({ "body": "changed" })).ids(), [1], "R11 PATCH");
    assert_eq!(alpha().update("note", 3, &json!({ "body": "changed" })).ids(), [0; 0], "R11 PATCH of bravo's");
    let stolen = alpha().update("note", 1, &json!({ "permitted_agent_serial": "0B02" }));
    assert_eq!(stolen.refusal(), (401, "42501", ""), "R11 PATCH to bravo");
    for (id, serial, status) in [(10, "0A01", 201), (11, "0B02", 401)] {
        let row = json!({ "id": id, "permitted_agent_serial": serial });
        assert_eq!(alpha().insert("note", &row).status(), status, "R11 POST {serial}");
    }
}

#[test]
fn r12_r13_a_proof_is_good_for_one_request_whatever_became_of_it() {
    let gateway = Gateway::start();
    let for_select = || gateway.proof(&gateway.alpha, &json!({ "htm": "GET", "htu": "/note" }));
    let for_call =
        |function: &str| gateway.proof(&gateway.alpha, &json!({ "htm": "POST", "htu": format!("/rpc/{function}") }));
    let reused = (403, "28000", "proof_reused");

    let proof = for_select();
    assert_eq!(gateway.client().proof(&proof).select("note").ids(), [1, 2], "R12");
    assert_eq!(gateway.client().proof(&proof).select("note").refusal(), reused, "R12");
    let proof = for_call("noop");
    assert_eq!(*gateway.client().proof(&proof).rpc("noop", &json!({})).data(), 1, "R12");
    assert_eq!(gateway.client().proof(&proof).rpc("noop", &json!({})).refusal(), reused, "R12");

    // R13b: the request fails and is rolled back, the use of the proof is not.
    for code in ["P0001", "22012", "23505", "57014"] {
        let (proof, fail) = (for_call("fail"), json!({ "code": code }));
        assert_eq!(gateway.client().proof(&proof).rpc("fail", &fail).refusal().1, code, "R13");
        for _ in 0..4 {
            // Four times, so that each connection of the pool was asked.
            assert_eq!(gateway.client().proof(&proof).rpc("fail", &fail).refusal(), reused, "R13b {code}");
        }
    }
    // A refused one is spent only if it was good: a proof for another path still is one.
    let proof = for_select();
    assert_eq!(gateway.client().proof(&proof).rpc("noop", &json!({})).refusal().2, "proof_method_wrong");
    assert_eq!(gateway.client().proof(&proof).select("note").ids(), [1, 2]);
}

#[test]
fn r16_r17_r18_a_client_that_retries_needs_a_proof_for_each_attempt() {
    let gateway = Gateway::start();
    // R16: a header that was set once is the same on the retry, and by then it is spent.
    for client in [gateway.client(), gateway.bare_client()] {
        let proof = gateway.proof(&gateway.alpha, &json!({ "htm": "GET", "htu": "/note" }));
        let answer = client.proof(&proof).losing(1).select("note");
        assert_eq!(answer.refusal(), (403, "28000", "proof_reused"), "R16");
        assert_eq!(answer.proofs(), [json!(proof), json!(proof)], "R16: the client did retry");
    }
    // R17: a fetch that signs, given to the client when it is made; R18: put into one that exists.
    let clients = [
        ("R17", gateway.client().signed_by(&gateway.alpha)),
        ("R18", gateway.client().signed_late_by(&gateway.alpha)),
        ("R17 postgrest-js", gateway.bare_client().signed_by(&gateway.alpha)),
    ];
    for (id, client) in clients {
        let answer = client.losing(2).select("note");
        assert_eq!(answer.ids(), [1, 2], "{id}");
        let [first, second, third] = answer.proofs() else { panic!("{id}: three attempts: {answer:?}") };
        assert!(first != second && second != third && first != third, "{id}");
    }
}

#[test]
fn r21_the_servers_own_rerun_is_one_request() {
    // One connection: a replay meets the session that remembers its own failed attempts.
    let gateway = Gateway::builder().postgrest(|settings| settings.pool_size = 1).start();
    let flaky = |client: Request, code: &str| client.rpc("flaky", &json!({ "failures": 3, "code": code }));
    let replayed = |proofs: &[Value]| {
        let [proof] = proofs else { panic!("the client asked once: {proofs:?}") };
        flaky(gateway.client().proof(proof.as_str().expect("it was signed")), "40001").refusal()
            == (403, "28000", "proof_reused")
    };
    let answer = flaky(gateway.client().signed_by(&gateway.alpha), "40001");
    assert_eq!(*answer.data(), json!({ "run": 4, "ids": [1, 2] }), "R21");
    assert!(replayed(answer.proofs()), "R21: after success it is spent");

    // PostgREST does not run again after any other error, and the proof may not be presented again.
    gateway.cluster.superuser().batch_execute("alter sequence api.calls restart").expect("DDL");
    let answer = flaky(gateway.client().signed_by(&gateway.alpha), "55P03");
    assert_eq!(answer.refusal().1, "55P03", "R21");
    assert!(replayed(answer.proofs()), "R21: after another error it is spent");

    // Nor after a deadlock, which PostgREST reports at once: the connection is somebody else's by now.
    let answer = flaky(gateway.client().signed_by(&gateway.alpha), "40P01");
    assert_eq!(answer.refusal().1, "40P01", "R21");
    assert!(replayed(answer.proofs()), "R21: after a deadlock it is spent");
}

#[test]
fn r12_of_many_requests_at_once_with_one_proof_one_binds() {
    let gateway = Gateway::builder().postgrest(|settings| settings.pool_size = 8).start();
    let proof = gateway.proof(&gateway.alpha, &json!({ "htm": "GET", "htu": "/note" }));
    let answers = gateway.select_together(vec![gateway.client().proof(&proof); 24], "note");
    let (bound, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status() == 200);
    assert_eq!(bound.len(), 1);
    assert_eq!(bound[0].ids(), [1, 2]);
    for answer in refused {
        assert_eq!(answer.refusal(), (403, "28000", "proof_reused"));
    }
}

#[test]
fn clients_that_share_two_connections_see_their_own_rows() {
    let gateway = Gateway::builder().postgrest(|settings| settings.pool_size = 2).start();
    let sdk = gateway.platform_token("bravo", "0B02");
    let kinds: [(Request, &[i64]); 6] = [
        (gateway.client().signed_by(&gateway.alpha), &[1, 2]),
        (gateway.client(), &[]),
        (gateway.client().token(&sdk), &[3]),
        (gateway.client().signed_late_by(&gateway.bravo), &[3]),
        (gateway.client().claiming(&json!({ "role": "service_role" })), &[1, 2, 3]),
        (gateway.client().claiming(&json!({ "kakunin_cert_serial": "0A01" })).header("x-other", "1"), &[1, 2]),
    ];
    let clients = (0..10).flat_map(|_| kinds.iter().map(|(client, _)| client.clone())).collect();
    let answers = gateway.select_together(clients, "note");
    assert_eq!(answers.len(), 60);
    for (answer, (_, expected)) in answers.iter().zip(kinds.iter().cycle()) {
        assert_eq!(answer.ids(), *expected);
    }
}

// --- what a proof is for ---

#[test]
fn r14_headers_of_every_size_that_a_gateway_passes() {
    let gateway = Gateway::start();
    let padded =
        |bytes: usize| gateway.client().signed_by(&gateway.alpha).proving_under(&json!({ "pad": "A".repeat(bytes) }));
    // A proof of 6 kB, and the most that is read: 8 kB.
    let answer = padded(4000).select("note");
    assert_eq!(answer.ids(), [1, 2]);
    let length = |answer: &Answer| answer.proofs()[0].as_str().expect("it was signed").len();
    assert!((5500..6500).contains(&length(&answer)), "{}", length(&answer));
    let spare = (8192 - length(&answer)) * 3 / 4;
    let answer = padded(4000 + spare - 3).select("note");
    assert_eq!(answer.ids(), [1, 2]);
    assert!((8180..=8192).contains(&length(&answer)), "{}", length(&answer));
    let answer = padded(4000 + spare + 16).select("note");
    assert!(length(&answer) > 8192);
    assert_eq!(answer.refusal(), (403, "28000", "proof_too_large"));
    // Thirty kilobytes beside it are nothing to us; sixty do not pass the gateway, and then nothing ran at all.
    let proof = || gateway.proof(&gateway.alpha, &json!({ "htm": "GET", "htu": "/note" }));
    let beside = |proof: &str, bytes: usize| {
        gateway.http("GET", "/note?select=id", &[("x-kakunin-proof", proof), ("x-other", &"A".repeat(bytes))], "")
    };
    assert_eq!(beside(&proof(), 30_000).ids(), [1, 2]);
    let unspent = proof();
    assert!((400..500).contains(&beside(&unspent, 60_000).status()));
    assert_eq!(beside(&unspent, 0).ids(), [1, 2]);
}

#[test]
fn r15_a_header_that_was_sent_twice_is_refused() {
    let gateway = Gateway::start();
    let proof = || gateway.proof(&gateway.alpha, &json!({ "htm": "GET", "htu": "/note" }));
    let get = |lines: &[(&str, &str)]| gateway.http("GET", "/note?select=id", lines, "");
    let refused = (403, "28000", "headers_malformed");
    let (one, two) = (proof(), proof());
    // Proxies and fetch join two headers with a comma.
    for joined in
        [format!("{one}, {two}"), format!("{one},{one}"), format!("{one}, "), format!(", {one}"), ", ".to_owned()]
    {
        assert_eq!(get(&[("x-kakunin-proof", &joined)]).refusal(), refused, "R15 {joined}");
    }
    assert_eq!(get(&[("x-kakunin-cert-serial", "0A01, 0B02")]).refusal(), refused, "R15");
    let joined = format!("Bearer {}, Bearer x", gateway.token(&json!({ "role": "anon", "exp": 4_000_000_000_u64 })));
    assert_eq!(get(&[("authorization", &joined)]).status(), 401, "R15: the gateway itself refuses this one");
    // Of several lines PostgREST keeps the last, so that there is one proof to look at, and only that is spent.
    assert_eq!(get(&[("x-kakunin-proof", &one), ("X-Kakunin-Proof", "")]).ids(), [0; 0], "R15");
    assert_eq!(get(&[("x-kakunin-proof", &one), ("X-Kakunin-Proof", "x")]).refusal().2, "proof_malformed", "R15");
    assert_eq!(get(&[("x-kakunin-proof", "x"), ("X-Kakunin-Proof", &one)]).ids(), [1, 2], "R15");
    assert_eq!(get(&[("x-kakunin-proof", &one), ("x-kakunin-proof", &two)]).ids(), [1, 2], "R15");
    assert_eq!(get(&[("X-KAKUNIN-PROOF", &two)]).refusal(), (403, "28000", "proof_reused"), "R15");
}

#[test]
fn a_proof_is_for_one_method_and_one_path() {
    let gateway = Gateway::start();
    let alpha = |claims: Value| gateway.client().signed_by(&gateway.alpha).proving(&claims);
    let refused = |claims: Value, slug: &str| {
        assert_eq!(alpha(claims.clone()).select("note").refusal(), (403, "28000", slug), "{claims}");
    };
    let host = gateway.url();
    for path in ["/note", "/rest/v1/note"] {
        for htu in [path.to_owned(), format!("{host}{path}"), format!("HTTPS://api.example:8443{path}")] {
            assert_eq!(alpha(json!({ "htu": htu })).select("note").ids(), [1, 2], "{htu}");
        }
    }
    for htu in [
        "/",
        "/vault",
        "/notes",
        "/note/",
        "/Note",
        "note",
        "//note",
        "/rest/v1",
        "/rest/v1//note",
        "/rest/v1note",
        "/v1/note",
        "/rest/v1/rest/v1/note",
        "/rest/v1/../note",
        "/n%6fte",
        "/note?select=id",
        "/note#x",
        "/note;x",
        "/rpc/note",
        "ftp://api.example/note",
        "https:///note",
        "https://api.example",
        "https://api.example?x=/note",
        "https:/note",
    ] {
        refused(json!({ "htu": htu }), "proof_path_wrong");
    }
    for htm in ["POST", "HEAD", "get", "Get", " GET", "OPTIONS", "*"] {
        refused(json!({ "htm": htm }), "proof_method_wrong");
    }
    for claims in [json!({ "htm": null }), json!({ "htu": null }), json!({ "htm": null, "htu": null })] {
        refused(claims, "proof_request_missing");
    }
    for claims in [json!({ "htm": "" }), json!({ "htu": "" }), json!({ "htm": 1 }), json!({ "htu": ["/note"] })] {
        refused(claims, "proof_malformed");
    }
    // Each method has its own word.
    assert_eq!(alpha(json!({ "htm": "HEAD" })).count("note").counted(), 2);
    assert_eq!(alpha(json!({ "htm": "GET" })).count("note").status(), 403);
    let statement = json!({ "statement": "select 1" });
    assert_eq!(alpha(json!({ "htm": "GET" })).rpc("run", &statement).refusal().2, "proof_method_wrong");
    assert_eq!(alpha(json!({ "htm": "POST" })).rpc("run", &statement).status(), 200);
    // A path is compared as it was sent: escapes are not decoded, so client and server spell it alike.
    let spaced = gateway.client().signed_by(&gateway.alpha).select("my note");
    assert_eq!(spaced.ids(), [1]);
    let root = gateway.proof(&gateway.alpha, &json!({ "htm": "GET", "htu": "/" }));
    assert_eq!(gateway.http("GET", "/", &[("x-kakunin-proof", &root)], "").status(), 200);
    assert_eq!(gateway.http("GET", "/", &[("x-kakunin-proof", &root)], "").refusal().2, "proof_reused");
}

#[test]
fn the_prefix_that_a_proxy_strips_is_a_setting() {
    let mut gateway = Gateway::builder().set("kakunin.http_path_prefix", "/data/").start();
    let select = |gateway: &Gateway, htu: &str| {
        gateway.client().signed_by(&gateway.alpha).proving(&json!({ "htu": htu })).select("note")
    };
    assert_eq!(select(&gateway, "/data/note").ids(), [1, 2]);
    assert_eq!(select(&gateway, "/note").ids(), [1, 2]);
    assert_eq!(select(&gateway, "/rest/v1/note").refusal().2, "proof_path_wrong");
    gateway.cluster.set("kakunin.http_path_prefix", "");
    gateway.cluster.reload();
    // Sessions of the pool read the files again between two statements.
    wait_until("the pool's sessions have no prefix", || {
        let answer = select(&gateway, "/data/note");
        (answer.status() == 403).then(|| assert_eq!(answer.refusal().2, "proof_path_wrong"))
    });
    assert_eq!(select(&gateway, "/note").ids(), [1, 2]);
}

#[test]
fn a_proof_for_a_request_is_none_for_plain_sql_and_the_reverse() {
    let gateway = Gateway::start();
    let for_request = gateway.proof(&gateway.alpha, &json!({ "htm": "GET", "htu": "/note" }));
    let mut session = gateway.cluster.connect("authenticator", DATABASE);
    let refusal = refusal_of(session.execute("select kakunin.bind_transaction($1)", &[&for_request]));
    assert_eq!((&*refusal.sqlstate, refusal.slug()), ("28000", "proof_request_unexpected"));
    assert_eq!(gateway.client().proof(&for_request).select("note").ids(), [1, 2]);

    let plain = gateway.proof(&gateway.alpha, &json!({}));
    assert_eq!(gateway.client().proof(&plain).select("note").refusal(), (403, "28000", "proof_request_missing"));
    session.execute("select kakunin.bind_transaction($1)", &[&plain]).expect("nothing was wrong with it here");
}

#[test]
fn a_proof_may_name_the_role_and_then_is_for_that_role_alone() {
    let gateway = Gateway::start();
    let as_role =
        |client: Request, role: &str| client.signed_by(&gateway.alpha).proving(&json!({ "role": role })).select("note");
    let user = gateway.client().claiming(&json!({}));
    assert_eq!(as_role(gateway.client(), "anon").ids(), [1, 2]);
    assert_eq!(as_role(user.clone(), "authenticated").ids(), [1, 2]);
    for (client, role) in [(user, "anon"), (gateway.client(), "authenticated"), (gateway.client(), "authenticator")] {
        assert_eq!(as_role(client, role).refusal(), (403, "28000", "proof_role_wrong"), "{role}");
    }
}

#[test]
fn every_kind_of_key_signs_and_no_other_key_does() {
    let gateway = Gateway::start();
    for key_type in [KeyType::RSA_2048, KeyType::P256, KeyType::P384, KeyType::Ed25519] {
        let agent = gateway.pki.intermediate.issue(&LeafRequest::agent("keyed").key_type(key_type));
        let unknown = gateway.client().signed_by(&agent).select("note");
        assert_eq!(unknown.refusal(), (403, "28000", "certificate_unknown"), "{key_type:?}");
        agent.register(&mut gateway.cluster.superuser());
        assert_eq!(serial(gateway.client().signed_by(&agent)), json!(agent.serial()), "{key_type:?}");
        let stranger = gateway.pki.intermediate.issue(&LeafRequest::agent("stranger").key_type(key_type));
        let forger = Identity { certificate: agent.certificate.clone(), ..stranger };
        let forged = gateway.client().signed_by(&forger).select("note");
        assert_eq!(forged.refusal(), (403, "28000", "proof_signature_invalid"), "{key_type:?}");
    }
    let proof = gateway.client().signed_by(&gateway.alpha);
    let other = proof.clone().proving_under(&json!({ "kid": "0B02" })).select("note");
    assert_eq!(other.refusal(), (403, "28000", "proof_serial_wrong"));
    let typed = proof.clone().proving_under(&json!({ "typ": "JWT" })).select("note");
    assert_eq!(typed.refusal(), (403, "28000", "proof_type_wrong"));
    let elsewhere = proof.proving(&json!({ "aud": gateway.audience.clone() + "2" })).select("note");
    assert_eq!(elsewhere.refusal(), (403, "28000", "proof_audience_wrong"));
    let nonsense =
        [("x", "malformed"), ("a.b.c", "malformed"), ("Bearer x", "malformed"), ("e30.e30.e30", "type_wrong")];
    for (nonsense, slug) in nonsense {
        let refused = gateway.client().proof(nonsense).select("note");
        assert_eq!(refused.refusal(), (403, "28000", &*format!("proof_{slug}")), "{nonsense}");
    }
}

#[test]
fn a_proof_counts_for_a_login_that_is_no_trusted_gateway() {
    let gateway = Gateway::start();
    let other = gateway.beside(|settings| settings.authenticator = "other_login".to_owned());
    let alpha = gateway.client().at(&other).signed_by(&gateway.alpha);
    assert_eq!(said(alpha.clone(), "login"), "other_login");
    assert_eq!(said(alpha.clone(), "source"), "proof");
    assert_eq!(alpha.select("note").ids(), [1, 2]);
    assert_eq!(gateway.client().at(&other).rpc("escalate", &json!({})).refusal(), (401, "42501", ""), "R19");
    // One proof is one use, through whichever gateway.
    let proof = gateway.proof(&gateway.alpha, &json!({ "htm": "GET", "htu": "/note" }));
    assert_eq!(gateway.client().proof(&proof).select("note").ids(), [1, 2]);
    let replay = gateway.client().at(&other).proof(&proof).select("note");
    assert_eq!(replay.refusal(), (403, "28000", "proof_reused"));
}
