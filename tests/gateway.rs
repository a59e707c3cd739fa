//! Agents behind the real PostgREST with the real supabase-js: who is nobody, and what SQL inside a request cannot do.
//! The ids are those of the probes that showed what such a gateway does without the extension.

use kakunin_tests::{CaRequest, Gateway, Identity, Node, Pki, Request, workspace};
use serde_json::{Value, json};
use std::fs;

/// What `api.whoami` says about one member.
fn said(request: Request, member: &str) -> Value {
    request.rpc_by_get("whoami").data()[member].clone()
}

fn serial(request: Request) -> Value {
    said(request, "serial")
}

// --- unbound ---

#[test]
fn r01_a_request_without_a_proof_sees_no_rows_and_writes_none() {
    let gateway = Gateway::start();
    assert_eq!(gateway.client().select("note").ids(), [0; 0]);
    assert_eq!(gateway.bare_client().select("note").ids(), [0; 0]);
    assert_eq!(gateway.client().count("note").counted(), 0);
    assert_eq!(said(gateway.client(), "status"), Value::Null);

    let row = json!({ "id": 4, "permitted_agent_serial": "0A01" });
    assert_eq!(gateway.client().insert("note", &row).refusal(), (401, "42501", ""));
    assert_eq!(gateway.client().update("note", 1, &json!({ "body": "x" })).ids(), [0; 0]);
    assert_eq!(gateway.client().signed_by(&gateway.alpha).insert("note", &row).status(), 201);
    assert_eq!(gateway.client().signed_by(&gateway.alpha).select("note").ids(), [1, 2, 4]);
}

#[test]
fn r04_a_header_on_an_existing_client_reaches_pre_request() {
    let gateway = Gateway::start();
    let proof = gateway.proof(&gateway.alpha, &json!({ "htm": "GET", "htu": "/rpc/whoami" }));
    assert_eq!(serial(gateway.client().late_header("x-kakunin-proof", &proof)), "0A01");
    assert_eq!(serial(gateway.client().late_header("x-kakunin-proof", "")), Value::Null);
}

#[test]
fn r05_r03_a_serial_number_in_a_header_binds_nobody() {
    let gateway = Gateway::start();
    for client in [gateway.client(), gateway.client().claiming(&json!({})), gateway.bare_client()] {
        let client = client.header("x-kakunin-cert-serial", "0B02");
        assert_eq!(serial(client.clone()), Value::Null);
        assert_eq!(client.select("note").ids(), [0; 0]);
    }
    // Beside a proof it changes nothing either: the proof names the agent.
    let client = gateway.client().header("x-kakunin-cert-serial", "0B02").signed_by(&gateway.alpha);
    assert_eq!(client.select("note").ids(), [1, 2]);
}

#[test]
fn r06_r07_the_documented_set_config_calls_bind_nobody() {
    let gateway = Gateway::start();
    let set = |client: Request, setting: &str, value: &str, is_local: bool| {
        client.rpc("set_config", &json!({ "setting": setting, "value": value, "is_local": is_local }))
    };
    let service = || gateway.client().claiming(&json!({ "role": "service_role" }));
    // R6a: once a name that anybody may write; now the prefix is the extension's.
    for setting in ["kakunin.agent_id", "kakunin.cert_status"] {
        let refused = set(service(), setting, "agent-alpha", true);
        assert_eq!(refused.refusal(), (400, "42602", ""), "R6a {setting}");
    }
    assert_eq!(set(service(), "kakunin.binding", "0A01", true).refusal(), (403, "42501", ""), "R6a");
    // R6b: the query that follows in that document sees everything, as a BYPASSRLS role does.
    assert_eq!(service().select("note").ids(), [1, 2, 3], "R6b");
    assert_eq!(serial(service()), Value::Null, "R6b");

    let claim = r#"{"kakunin_cert_serial":"0A01"}"#;
    set(gateway.client(), "request.jwt.claims", claim, true).data();
    assert_eq!(gateway.client().select("note").ids(), [0; 0], "R7");
}

#[test]
fn r08_a_poisoned_connection_binds_nobody() {
    let gateway = Gateway::builder().postgrest(|settings| settings.pool_size = 1).start();
    let poison = |setting: &str, value: &str| {
        gateway.client().rpc("set_config", &json!({ "setting": setting, "value": value, "is_local": false }))
    };
    let claim = json!({ "kakunin_cert_serial": "0A01", "app_metadata": { "cert_serial": "0A01" } }).to_string();
    poison("request.jwt.claims", &claim).data();
    poison("request.headers", r#"{"x-kakunin-cert-serial":"0A01"}"#).data();
    poison("request.method", "GET").data();
    poison("request.path", "/note").data();
    assert_eq!(gateway.client().select("note").ids(), [0; 0], "R8");
    assert_eq!(gateway.bare_client().select("note").ids(), [0; 0], "R8");

    // R8b: a name that nobody owns stays for the next client of the connection, which is why it must mean nothing.
    poison("somebody.else", "poison").data();
    let next = gateway.client().run("select current_setting('somebody.else', true) as value");
    assert_eq!(next.data()[0]["value"], "poison", "R8b: the connection is the same");
    assert_eq!(serial(gateway.client()), Value::Null, "R8b");
    for setting in ["kakunin.binding", "kakunin.trusted_gateways", "kakunin.trust_serial_header"] {
        let answer = poison(setting, "on");
        assert!(["42501", "55P02"].contains(&answer.refusal().1), "R8b {setting}: {answer:?}");
    }
    // And an agent that proves who it is is itself on that connection.
    assert_eq!(gateway.client().signed_by(&gateway.bravo).select("note").ids(), [3]);
    assert_eq!(gateway.client().select("note").ids(), [0; 0]);
}

// --- inside one request ---

#[test]
fn r09_a_spoof_inside_a_request_gains_nothing() {
    let gateway = Gateway::start();
    let forged = r#"{"kakunin_cert_serial":"0B02"}"#;
    for setting in ["request.jwt.claims", "request.headers"] {
        let query = format!(
            "select count(n.id) from (select set_config('{setting}', '{forged}', true) as c) forged
              left join lateral (select id from api.note where forged.c is not null) n on true"
        );
        assert_eq!(gateway.client().run(&query).data()[0]["count"], 0, "R9 {setting}");
        let as_alpha = gateway.client().signed_by(&gateway.alpha).run(&query);
        assert_eq!(as_alpha.data()[0]["count"], 2, "R9 {setting}, bound");
    }
    let victim = json!({ "victim": "0B02" });
    assert_eq!(*gateway.client().rpc("spoof", &victim).data(), Value::Null, "R9b");
    assert_eq!(*gateway.client().signed_by(&gateway.alpha).rpc("spoof", &victim).data(), json!([1, 2]), "R9b, bound");
}

#[test]
fn r09_sql_of_a_request_cannot_ask_for_a_second_look_or_another_identity() {
    let gateway = Gateway::start();
    let perform = |client: Request, statement: &str| client.rpc("perform", &json!({ "statement": statement }));
    let again = "select kakunin.pre_request()";
    assert_eq!(perform(gateway.client(), again).refusal(), (401, "42501", "request_already_seen"));
    let alpha = || gateway.client().signed_by(&gateway.alpha);
    assert_eq!(perform(alpha(), again).refusal(), (401, "42501", "request_already_seen"));
    // Nor after giving the identity up, nor in a subtransaction, nor with forged claims or another's proof before it.
    let tries = [
        "do $$ begin perform kakunin.unbind_session(); perform kakunin.pre_request(); end $$".to_owned(),
        "do $$ begin begin raise division_by_zero; exception when others then perform kakunin.pre_request(); end; end $$".to_owned(),
        format!(
            "do $$ begin perform set_config('request.jwt.claims', '{}', true); perform kakunin.pre_request(); end $$",
            r#"{"kakunin_cert_serial":"0B02"}"#
        ),
        format!(
            "do $$ begin perform set_config('request.headers', '{}', true); perform kakunin.pre_request(); end $$",
            json!({ "x-kakunin-proof": gateway.proof(&gateway.bravo, &json!({ "htm": "POST", "htu": "/rpc/perform" })) })
        ),
    ];
    for statement in &tries {
        assert_eq!(perform(gateway.client(), statement).refusal().2, "request_already_seen", "{statement}");
        assert_eq!(perform(alpha(), statement).refusal().2, "request_already_seen", "{statement}");
    }
    // A second proof, of another agent, is refused for whom it proves; the same agent may prove itself again.
    let second = |agent: &Identity| {
        let proof = gateway.proof(agent, &json!({ "htm": "POST", "htu": "/rpc/perform" }));
        perform(alpha(), &format!("select kakunin.bind_transaction('{proof}')"))
    };
    assert_eq!(second(&gateway.bravo).refusal(), (401, "42501", "already_bound"));
    second(&gateway.alpha).data();
}

#[test]
fn r08_what_a_request_binds_cannot_outlive_it_whoever_logged_in() {
    let gateway = Gateway::start();
    // Nobody has to name the login for proofs to count, so this one is as good as the other.
    let other = gateway.beside(|settings| {
        settings.authenticator = "other_login".to_owned();
        settings.pool_size = 1;
    });
    for postgrest in [None, Some(&other)] {
        let client = || match postgrest {
            None => gateway.client(),
            Some(postgrest) => gateway.client().at(postgrest),
        };
        let request = json!({ "htm": "POST", "htu": "/rpc/perform" });
        for disguise in ["", "perform set_config('request.method', '', true), set_config('request.path', '', true);"] {
            // Without a request a proof has to be one for plain SQL.
            let claims = if disguise.is_empty() { &request } else { &json!({}) };
            let proof = gateway.proof(&gateway.alpha, claims);
            let statement = format!("do $$ begin {disguise} perform kakunin.bind_session('{proof}'); end $$");
            let bound = client().rpc("perform", &json!({ "statement": statement }));
            assert_eq!(bound.refusal(), (401, "42501", "session_binding_refused"), "{disguise}");
        }
        assert_eq!(client().select("note").ids(), [0; 0], "the next client is nobody");
        assert_eq!(client().signed_by(&gateway.bravo).select("note").ids(), [3]);
    }
}

#[test]
fn r19_a_function_body_cannot_become_another_role() {
    let gateway = Gateway::start();
    let no_rights = json!({});
    let clients = [gateway.client(), gateway.bare_client(), gateway.client().signed_by(&gateway.alpha)];
    for (client, status) in clients.into_iter().zip([401, 401, 401]) {
        assert_eq!(client.rpc("escalate", &no_rights).refusal(), (status, "42501", ""), "R19");
    }
    let user = gateway.client().claiming(&json!({}));
    assert_eq!(user.clone().rpc("escalate", &no_rights).refusal(), (403, "42501", ""), "R19 authenticated");
    for statement in [
        "set role service_role",
        "set local role service_role",
        "reset role",
        "set session authorization default",
        "reset session authorization",
        "do $$ begin set role service_role; end $$",
        "select set_config('session_authorization', 'authenticator', false)",
        "alter role authenticated set role = 'service_role'",
    ] {
        let refused = user.clone().rpc("perform", &json!({ "statement": statement }));
        assert_eq!(refused.refusal(), (403, "42501", ""), "R19 {statement}");
    }
    // The lock lasts as long as the transaction, which no function of a request can end.
    let refused = user.clone().rpc("perform", &json!({ "statement": "do $$ begin commit; end $$" }));
    assert_eq!(refused.refusal().1, "2D000", "R19");
    // RESET ALL and DISCARD leave the role alone; the request stays who it is.
    assert_eq!(user.clone().rpc("perform", &json!({ "statement": "reset all" })).status(), 204);
    // Whoever comes with a token of the role has it, before and after.
    let service = gateway.client().claiming(&json!({ "role": "service_role" }));
    assert_eq!(service.clone().select("note").ids(), [1, 2, 3]);
    assert_eq!(said(service, "role"), "service_role");
    assert_eq!(said(user, "role"), "authenticated");
}

#[test]
fn r20_the_proof_that_a_request_can_read_is_dead() {
    let gateway = Gateway::start();
    let read = gateway.client().signed_by(&gateway.alpha).proving(&json!({ "htu": "/note" }));
    // The function is not what the proof is for, so this one is refused; what it would show is what was sent.
    assert_eq!(read.rpc_by_get("own_proof").refusal().2, "proof_path_wrong");
    let own = gateway.client().signed_by(&gateway.alpha).rpc_by_get("own_proof");
    let proof = own.data().as_str().expect("the function sees the header").to_owned();
    let replay = gateway.client().proof(&proof).rpc_by_get("own_proof");
    assert_eq!(replay.refusal(), (403, "28000", "proof_reused"));
    // Whoever reads the logs finds none, dead or alive.
    for log in [gateway.cluster.log(), gateway.log()] {
        assert!(!log.contains("eyJ"), "a proof or a token is in a log:\n{log}");
    }
    // Neither may the request itself use it once more.
    let twice = "do $$ begin perform kakunin.bind_transaction(
        current_setting('request.headers')::json ->> 'x-kakunin-proof'); end $$";
    let again = gateway.client().signed_by(&gateway.alpha).rpc("perform", &json!({ "statement": twice }));
    assert_eq!(again.refusal(), (403, "28000", "proof_reused"));
    assert!(!again.text().contains(&proof[proof.len() - 20..]));
}

// --- revocation, statuses, documents ---

#[test]
fn a_revocation_between_two_requests_is_seen_by_the_second() {
    // One connection, which has the verdict on the chain in its memory.
    let gateway = Gateway::builder().postgrest(|settings| settings.pool_size = 1).start();
    let alpha = || gateway.client().signed_by(&gateway.alpha);
    let token = gateway.platform_token("alpha", "0A01");
    let by_token = || gateway.client().token(&token);
    assert_eq!((alpha().select("note").ids(), by_token().select("note").ids()), (vec![1, 2], vec![1, 2]));
    let revoke = "select kakunin.revoke_certificate('0A01', 'keyCompromise')";
    gateway.cluster.superuser().batch_execute(revoke).expect("a superuser may");
    assert_eq!(alpha().select("note").refusal(), (403, "28000", "certificate_revoked"));
    assert_eq!(by_token().select("note").refusal(), (403, "28000", "certificate_revoked"));
    assert_eq!(gateway.client().signed_by(&gateway.bravo).select("note").ids(), [3]);

    // The root that both agents stand on is taken away; another one stays.
    let mut superuser = gateway.cluster.superuser();
    Pki::with(&CaRequest::new("another root"), &CaRequest::new("another intermediate")).trust_root(&mut superuser);
    let root = gateway.pki.root.identity.fingerprint();
    superuser.execute("select kakunin.remove_trust_anchor($1)", &[&root]).expect("a superuser may");
    assert_eq!(gateway.client().signed_by(&gateway.bravo).select("note").refusal(), (403, "28000", "issuer_unknown"));
    assert_eq!(gateway.client().select("note").ids(), [0; 0]);
}

#[test]
fn refusals_become_the_http_statuses_that_the_page_names() {
    let gateway = Gateway::start();
    let status = |client: Request, code: &str| {
        let answer = client.rpc("fail", &json!({ "code": code }));
        assert_eq!(answer.refusal().1, code);
        answer.status()
    };
    let user = || gateway.client().claiming(&json!({}));
    for (code, anonymous, known) in
        [("28000", 403, 403), ("42501", 401, 403), ("53000", 503, 503), ("55000", 500, 500), ("22P02", 400, 400)]
    {
        assert_eq!(status(gateway.client(), code), anonymous, "{code}");
        assert_eq!(status(gateway.bare_client(), code), anonymous, "{code}");
        assert_eq!(status(user(), code), known, "{code}");
    }
}

#[test]
fn the_page_on_gateways_shows_a_client_that_works() {
    let gateway = Gateway::start();
    let page = fs::read_to_string(workspace().join("docs/gateways.md")).expect("it is in the tree");
    let blocks: Vec<&str> =
        page.split("```js\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    let [proofs, client, ..] = blocks[..] else { panic!("the page shows two scripts") };
    let directory = gateway.pki.path().join("page");
    fs::create_dir(&directory).expect("the directory is ours");
    fs::copy(&gateway.alpha.certificate, directory.join("agent.crt")).expect("the directory is ours");
    fs::copy(&gateway.alpha.key, directory.join("agent.key")).expect("the directory is ours");
    // The page's second script imports the first; here both are one, and what the reader has of their own comes first.
    let client = client.replace("import { withProofs } from './proofs.mjs'\n", "");
    let script = format!(
        "{proofs}
const [url, anonKey] = [process.env.URL, process.env.ANON_KEY]
const audience = await (await fetch(url + '/rpc/proof_audience')).json()
globalThis.WebSocket ??= class {{}}
const direct = fetch
globalThis.fetch = (input, init) => direct(String(input).replace('/rest/v1', ''), init)
{client}
console.log(JSON.stringify(data?.map((row) => row.id) ?? (await client.from('note').select()).error))
"
    );
    let token = gateway.token(&json!({ "role": "anon", "exp": 4_000_000_000_u64 }));
    let environment = [("URL", &*gateway.url()), ("ANON_KEY", &*token)];
    let output = Node::with_clients().run_text(&script, &directory, &environment);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "[1,2]", "{output:?}");
}
