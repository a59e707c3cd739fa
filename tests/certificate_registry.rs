//! Registered certificates: of our own profile, of any other PKI, of the existing platform; and what
//! `verify_certificate` says about them. Besides, the functions on texts: PEM, serial numbers, model hashes.

use kakunin_tests::{Authority, Checks, Clock, Cluster, DATABASE, Identity, LeafRequest, Pki, refusal_of, scene};
use postgres::Client;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

// --- verify_certificate ---

#[test]
fn verify_certificate_answers_in_the_shape_that_clients_read() {
    let desk = Desk::new();
    let mut checks = Checks::new();
    let scope = r#"{"allowed_actions":["orders:create","orders:read"],"v":1}"#;
    let agent = desk.pki.intermediate.issue(&LeafRequest::agent("trader").serial("0A0B0C0D0E0F1011").scope(scope));
    desk.import(&agent, "agent_name => 'The trader'");
    let expected = |status: &str| {
        let (active, hash) = (status == "active", format!("sha256:{}", "5a".repeat(32)));
        let actions = json!(["orders:create", "orders:read"]);
        let scope: Value = serde_json::from_str(scope).expect("JSON");
        json!({
            "serial_number": "0A0B0C0D0E0F1011", "serial": "0A0B0C0D0E0F1011",
            "status": status, "certificate_status": status, "valid": active, "revoked": status == "revoked",
            "issuer": "CN=kakunin test intermediate", "fingerprint": hex(&agent.fingerprint()),
            "agent_id": "trader", "agent_name": "The trader", "operator_org": "acme", "model_hash": hash,
            "permitted_actions": actions, "financial_scope": scope, "halt_receipt": null,
            "agent": {
                "id": "trader", "name": "The trader", "model": null, "model_hash": hash, "version": null,
                "operator_org": "acme", "permitted_actions": actions, "financial_scope": scope,
            },
        })
    };
    let times = ["issued_at", "expires_at", "valid_from", "valid_until"];
    let moving = ["reason", "revoked_at", "revocation_reason"];
    let mut compare = |status: &str, found: &Value| {
        let data = &found["data"];
        let expected = expected(status);
        for (name, value) in expected.as_object().expect("an object") {
            checks.equal(&format!("{status}: {name}"), &data[name], value);
        }
        let names: BTreeSet<&str> = data.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        let known = expected.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        let known: BTreeSet<&str> = known.chain(times).chain(moving).collect();
        checks.equal(&format!("{status}: members"), names, known);
        checks.equal(&format!("{status}: top"), found.as_object().map(|members| members.len()), Some(1));
        for name in times {
            // ISO 8601, as every JSON reader of dates understands.
            let text = data[name].as_str().unwrap_or_default();
            checks.holds(&format!("{status}: {name}"), text.get(10..11) == Some("T") && text.len() >= 20, text);
        }
        checks.equal(&format!("{status}: twice"), &data["issued_at"], &data["valid_from"]);
        checks.equal(&format!("{status}: twice"), &data["expires_at"], &data["valid_until"]);
        data.clone()
    };
    let active = compare("active", &desk.verify("0A0B0C0D0E0F1011"));
    let revoked_later = desk.pki.intermediate.issue(&LeafRequest::agent("trader").scope(scope));
    desk.import(&revoked_later, "agent_name => 'The trader'");
    desk.clock.advance(2 * 31_536_000);
    let expired = compare("expired", &desk.verify("0a:0b:0c:0d:0e:0f:10:11"));
    desk.clock.advance(-2 * 31_536_000);
    scene::run(
        &mut desk.cluster.superuser(),
        "select kakunin.revoke_certificate('0A0B0C0D0E0F1011', 'keyCompromise', 'lost')",
    );
    let revoked = compare("revoked", &desk.verify("0A0B0C0D0E0F1011"));
    // Revoked stays revoked, also after its end.
    desk.clock.advance(2 * 31_536_000);
    let still = compare("revoked", &desk.verify("0A0B0C0D0E0F1011"));
    desk.clock.advance(-2 * 31_536_000);

    for (name, data, reason) in [
        ("active", &active, "ok"),
        ("expired", &expired, "certificate_expired"),
        ("revoked", &revoked, "certificate_revoked"),
    ] {
        checks.equal(&format!("{name}: reason"), &data["reason"], reason);
    }
    checks.equal("active: revoked_at", &active["revoked_at"], &Value::Null);
    checks.equal("active: revocation_reason", &active["revocation_reason"], &Value::Null);
    checks.equal("revoked: revocation_reason", &revoked["revocation_reason"], "keyCompromise");
    checks.holds("revoked: revoked_at", revoked["revoked_at"].is_string(), &revoked["revoked_at"]);
    checks.equal("revoked for good", &still["revocation_reason"], "keyCompromise");
    checks.equal("unknown", desk.verify("0B"), json!({ "error": "certificate not found" }));
    checks.equal("the detail is for operators", revoked.to_string().contains("lost"), false);
}

#[test]
fn a_certificate_below_a_root_that_is_not_trusted_any_more_is_not_valid() {
    let desk = Desk::new();
    let agent = desk.pki.agent("a");
    desk.import(&agent, "agent_name => null");
    assert_eq!(desk.verify(&agent.serial())["data"]["valid"], true);
    let root = desk.pki.root.identity.fingerprint();
    desk.cluster.superuser().execute("select kakunin.remove_trust_anchor($1)", &[&root]).expect("it is one");
    let after = desk.verify(&agent.serial());
    assert_eq!((&after["data"]["valid"], &after["data"]["agent_name"]), (&json!(false), &json!("a")));
    assert_ne!(after["data"]["status"], "active");
}

#[test]
fn verify_certificate_is_for_agents_auditors_and_administrators() {
    let desk = Desk::new();
    let mut checks = Checks::new();
    for (role, expected) in [("agent", "00000"), ("auditor", "00000"), ("admin", "00000"), ("app", "42501")] {
        let mut client = desk.cluster.connect(role, DATABASE);
        checks.equal(role, &*scene::state(&mut client, "select kakunin.verify_certificate('0A')"), expected);
        // It answers about one certificate; it does not list them.
        let lists = if role == "auditor" || role == "admin" { "00000" } else { "42501" };
        checks.equal(role, &*scene::state(&mut client, "select from kakunin.certificate"), lists);
    }
}

#[test]
fn n13_every_way_to_write_a_serial_number_finds_the_same_certificate() {
    let desk = Desk::new();
    let mut checks = Checks::new();
    let agent = desk.pki.intermediate.issue(&LeafRequest::agent("a").serial("FE01ABCD"));
    desk.import(&agent, "agent_name => null");
    let ten = desk.pki.intermediate.issue(&LeafRequest::agent("ten").serial("10"));
    desk.import(&ten, "agent_name => null");
    for form in [
        "FE01ABCD",
        "fe01abcd",
        "FE:01:AB:CD",
        "fe-01-ab-cd",
        "0xfe01abcd",
        "0XFE01ABCD",
        "00FE01ABCD",
        "00:00:FE:01:AB:CD",
        "fe 01 ab cd",
        " fe01abcd ",
    ] {
        match desk.try_verify(form) {
            Ok(found) => checks.equal(form, &found["data"]["serial"], "FE01ABCD"),
            Err(error) => checks.holds(form, false, error.to_string()),
        }
    }
    checks.equal("10 is hexadecimal", &desk.verify("10")["data"]["agent_id"], "ten");
    checks.equal("16 is not 10", desk.verify("16"), json!({ "error": "certificate not found" }));
    for form in [
        "",
        "0",
        "00",
        "-2",
        "FE01ABCG",
        "+FE",
        "FE::01",
        ":FE",
        "F  E",
        "0x",
        "ＦＥ",
        &"FE".repeat(21),
        &"0".repeat(200),
    ] {
        let refusal = refusal_of(desk.try_verify(form));
        checks.equal(form, (&*refusal.sqlstate, refusal.slug()), ("22P02", "serial_malformed"));
    }
}

// --- any PKI ---

#[test]
fn a_plain_certificate_is_named_at_its_import() {
    let desk = Desk::new();
    let mut checks = Checks::new();
    let plain = desk.pki.intermediate.issue(
        &LeafRequest::empty()
            .common_name("CN is for people")
            .key_usage("critical, digitalSignature")
            .extended_key_usage("clientAuth")
            .basic_constraints("CA:false"),
    );
    let mut refused = |name: &str, arguments: &str, slug: &str| {
        let refusal = refusal_of(desk.try_import(&plain, arguments));
        checks.equal(name, (&*refusal.sqlstate, refusal.slug()), ("22023", slug));
    };
    refused("without a name", "agent_id => null", "agent_unnamed");
    refused("with an empty name", "agent_id => ''", "agent_name_invalid");
    refused("with a control character", "agent_id => E'a\\nb'", "agent_name_invalid");
    refused("with a long name", "agent_id => repeat('a', 256)", "agent_name_invalid");
    refused("with an empty tenant", "agent_id => 'a', tenant_id => ''", "agent_name_invalid");
    desk.import(&plain, "agent_id => 'billing', tenant_id => 'finance', agent_name => 'Billing'");
    let found = desk.verify(&plain.serial());
    checks.equal("agent", &found["data"]["agent_id"], "billing");
    checks.equal("tenant", &found["data"]["operator_org"], "finance");
    checks.equal("scope", &found["data"]["financial_scope"], &Value::Null);
    checks.equal("actions", &found["data"]["permitted_actions"], &json!([]));
    // It binds, as nobody with a scope.
    let mut client = desk.cluster.connect("app", DATABASE);
    scene::bind_session(&mut client, &plain);
    let bound = "select kakunin_agent_id(), kakunin_tenant_id(), kakunin_scope(), kakunin_allows('read'), kakunin_cert_serial()";
    checks.equal("bound", scene::ask(&mut client, bound), format!("billing|finance|NULL|f|{}", plain.serial()));

    let named = desk.pki.agent("own");
    for (arguments, slug) in
        [("agent_id => 'other'", "agent_name_contradicts"), ("tenant_id => 'other'", "agent_name_contradicts")]
    {
        let refusal = refusal_of(desk.try_import(&named, arguments));
        checks.equal(arguments, (&*refusal.sqlstate, refusal.slug()), ("22023", slug));
    }
    desk.import(&named, "agent_id => 'own', tenant_id => 'acme'");
    // Again: nothing changes, no second row.
    desk.import(&named, "agent_name => 'later'");
    let rows = "select count(*), max(agent_name) from kakunin.certificate where agent_id = 'own'";
    checks.equal("twice", scene::ask(&mut desk.cluster.superuser(), rows), "1|NULL".to_owned());
}

#[test]
fn what_cannot_be_trusted_is_not_imported() {
    let desk = Desk::new();
    let mut checks = Checks::new();
    let stranger = Pki::new();
    let issue = |request: LeafRequest| desk.pki.intermediate.issue(&request);
    let agent = || LeafRequest::agent("a");
    let mut alone = desk.pki.agent("alone");
    alone.chain.clear();
    let gone = desk.pki.agent("gone");
    desk.import(&gone, "agent_name => null");
    scene::run(&mut desk.cluster.superuser(), &format!("select kakunin.revoke_certificate('{}')", gone.serial()));
    let cases = [
        ("expired", issue(agent().expired()), "28000", "certificate_expired"),
        ("not valid yet", issue(agent().valid("3600", "7200")), "28000", "certificate_not_yet_valid"),
        ("another PKI", stranger.agent("a"), "28000", "signature_invalid"),
        ("without its intermediate", alone, "28000", "issuer_unknown"),
        ("a CA", desk.pki.intermediate.identity.clone(), "28000", "profile_violation"),
        ("revoked before", gone, "28000", "certificate_revoked"),
    ];
    for (name, certificate, state, slug) in cases {
        let refusal = refusal_of(desk.try_import(&certificate, "agent_name => null"));
        checks.equal(name, (&*refusal.sqlstate, refusal.slug()), (state, slug));
    }
    let mut superuser = desk.cluster.superuser();
    let anchor = |der: Vec<u8>, superuser: &mut Client| {
        refusal_of(superuser.query("select kakunin.add_trust_anchor($1)", &[&der]))
    };
    for (name, der) in [("an agent as anchor", desk.pki.agent("b").der()), ("garbage as anchor", vec![0x30, 0])] {
        let refusal = anchor(der, &mut superuser);
        checks.holds(name, ["28000", "22P03"].contains(&&*refusal.sqlstate) && !refusal.slug().is_empty(), &refusal);
    }
    let count = "select count(*) from kakunin.certificate";
    checks.equal("nothing else came in", scene::ask(&mut superuser, count), "1".to_owned());
}

// --- the existing platform ---

#[test]
fn certificates_as_the_existing_platform_makes_them_are_understood() {
    let desk = Desk::new();
    let mut checks = Checks::new();
    let (root, leaf) = platform(&desk.pki, "1.3.6.1.4.1.99999", "8F".to_owned() + &"0C".repeat(15));
    let (_, other_arc) = platform_below(&desk.pki, &root, "1.3.6.1.4.1.61411.1", "0D".repeat(16));
    let mut superuser = desk.cluster.superuser();
    superuser.execute("select kakunin.add_trust_anchor($1, 'platform')", &[&root.der()]).expect("it is a CA");
    for (name, certificate, tenant) in [("one arc", &leaf, "7f0c2f0e"), ("the other", &other_arc, "7f0c2f0e")] {
        desk.import(certificate, "agent_name => null");
        let found = desk.verify(&certificate.serial());
        checks.equal(name, &found["data"]["agent_id"], "3b2a9c");
        checks.equal(name, &found["data"]["operator_org"], tenant);
        checks.equal(name, &found["data"]["model_hash"], &json!(format!("sha256:{}", "ab".repeat(32))));
        checks.equal(name, &found["data"]["valid"], true);
    }
    // The scope is read in the platform's form, and means the same.
    let mut client = desk.cluster.connect("app", DATABASE);
    scene::bind_session(&mut client, &leaf);
    for (call, expected) in [
        ("kakunin_agent_id()", "3b2a9c"),
        ("kakunin_permitted_instruments()", "{BTC-USD,ETH-USD}"),
        ("kakunin_scope() ->> 'max_single_trade_usd'", "50000"),
        // Neither form of the platform's certificates names actions.
        ("kakunin_allows('trade', 10, instrument => 'BTC-USD', venue => 'coinbase')", "f"),
    ] {
        checks.equal(call, scene::ask(&mut client, &format!("select {call}")), expected.to_owned());
    }
    let refusal = refusal_of(desk.try_import(&leaf, "agent_id => 'someone-else'"));
    checks.equal("its own name wins", refusal.slug(), "agent_name_contradicts");
}

/// Root and agent laid out as the platform does it: no key identifiers, nothing critical in the leaf, CN with a colon.
fn platform(pki: &Pki, arc: &str, serial: String) -> (Identity, Identity) {
    let root = pki.agent("platform-root");
    let extensions = "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n";
    sign(pki, &root, &root, "/CN=Kakunin AI Agent CA/O=Kakunin/C=EU", extensions, "01", "-sha256");
    platform_below(pki, &root, arc, serial)
}

fn platform_below(pki: &Pki, root: &Identity, arc: &str, serial: String) -> (Identity, Identity) {
    let mut leaf = pki.intermediate.issue(&LeafRequest::agent("platform").key_type(kakunin_tests::KeyType::RSA_2048));
    leaf.chain.clear();
    let scope = r#"{"max_single_trade_usd":50000,"daily_limit_usd":250000,"permitted_instruments":["BTC-USD","ETH-USD"],"permitted_venues":["coinbase"],"leverage_permitted":false}"#;
    let extensions = format!(
        "basicConstraints=CA:false\nkeyUsage=digitalSignature,nonRepudiation\nextendedKeyUsage=clientAuth\n\
        subjectAltName=URI:urn:kakunin:agent:3b2a9c\nauthorityInfoAccess=caIssuers;URI:https://ca.example/ca.crt\n\
        {arc}.2=ASN1:UTF8String:sha256:{}\n{arc}.3=DER:{}\n",
        "ab".repeat(32),
        utf8_string(scope)
    );
    sign(pki, &leaf, root, "/CN=trader:3b2a9c/O=7f0c2f0e/C=EU", &extensions, &serial, "-sha256");
    (root.clone(), leaf)
}

fn utf8_string(text: &str) -> String {
    let length = u8::try_from(text.len()).expect("below 256");
    let der = [&[0x0c, 0x81, length][..], text.as_bytes()].concat();
    der.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

fn sign(pki: &Pki, subject: &Identity, issuer: &Identity, name: &str, extensions: &str, serial: &str, digest: &str) {
    let stem = subject.certificate.with_extension("");
    let [csr, ext] = ["platform.csr", "platform.ext"].map(|ending| stem.with_extension(ending));
    let configuration = pki.path().join("platform.cnf");
    fs::write(&configuration, "[req]\ndistinguished_name=name\n[name]\n").expect("the directory is ours");
    fs::write(&ext, extensions).expect("the directory is ours");
    let run = |command: &mut Command| {
        let output = command.env("OPENSSL_CONF", "/dev/null").output().expect("openssl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let mut req = Command::new("openssl");
    req.args(["req", "-new", "-subj", name, "-key"]).arg(&subject.key).arg("-config").arg(&configuration);
    run(req.arg("-out").arg(&csr));
    let mut x509 = Command::new("openssl");
    x509.args(["x509", "-req", "-days", "365", digest, "-set_serial", &format!("0x{serial}"), "-in"]).arg(&csr);
    if subject.key == issuer.key {
        x509.arg("-signkey").arg(&issuer.key);
    } else {
        x509.arg("-CA").arg(&issuer.certificate).arg("-CAkey").arg(&issuer.key);
    }
    run(x509.arg("-extfile").arg(&ext).arg("-out").arg(&subject.certificate));
}

// --- texts ---

#[test]
fn pem_is_what_openssl_writes_and_nothing_else() {
    let desk = Desk::new();
    let mut client = desk.cluster.connect("app", DATABASE);
    let mut checks = Checks::new();
    let agent = desk.pki.agent("a");
    let bundle = fs::read_to_string(agent.chain_file()).expect("it was just made");
    let decode = |client: &mut Client, text: &str| -> Result<Vec<Vec<u8>>, postgres::Error> {
        client.query_one("select kakunin.pem_decode($1)", &[&text]).map(|row| row.get(0))
    };
    let encode = |client: &mut Client, der: &[u8], label: &str| -> Result<String, postgres::Error> {
        client.query_one("select kakunin.pem_encode($1, $2)", &[&der, &label]).map(|row| row.get(0))
    };
    let both = vec![agent.der(), desk.pki.intermediate.identity.der()];
    checks.equal("encoded", encode(&mut client, &agent.der(), "CERTIFICATE").ok(), Some(agent.pem()));
    let list = desk.pki.intermediate.crl();
    let list_pem = fs::read_to_string(&list).expect("it was just made");
    checks.equal("a list", encode(&mut client, &Authority::crl_der(&list), "X509 CRL").ok(), Some(list_pem));
    let text = openssl(&["x509", "-text", "-in", &agent.certificate.to_string_lossy()]);
    let public = openssl(&["pkey", "-pubout", "-in", &agent.key.to_string_lossy()]);
    let pem = agent.pem();
    for (name, text, expected) in [
        ("two blocks", bundle.clone(), both.clone()),
        ("lines ending as on Windows", bundle.replace('\n', "\r\n"), both),
        ("words before the block", text, vec![agent.der()]),
        ("no line end at the end", pem.trim_end().to_owned(), vec![agent.der()]),
        ("a public key", public, vec![agent.public_key_der()]),
    ] {
        checks.equal(name, decode(&mut client, &text).ok(), Some(expected));
    }
    let tail = [&agent.der()[..], &[0]].concat();
    fs::write(agent.certificate.with_extension("tail"), &tail).expect("the directory is ours");
    let with_tail = format!(
        "-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n",
        openssl(&["base64", "-in", &agent.certificate.with_extension("tail").to_string_lossy()])
    );
    let key = fs::read_to_string(&agent.key).expect("it was just made");
    for (name, text) in [
        ("bytes after the certificate", with_tail),
        ("a private key", key),
        ("lower-case label", pem.replace("CERTIFICATE", "certificate")),
        ("another label", pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE")),
        ("two labels", pem.replacen("CERTIFICATE", "X509 CRL", 1)),
        ("no end", pem.replace("-----END CERTIFICATE-----", "")),
        ("no begin", pem.replace("-----BEGIN CERTIFICATE-----", "")),
        ("four dashes", pem.replace("-----END", "----END")),
        ("another alphabet", pem.replacen("M", "_", 1)),
        ("a comma inside", pem.replacen("\nM", "\n,M", 1)),
        ("headers", pem.replacen("-----\n", "-----\nProc-Type: 4,ENCRYPTED\n\n", 1)),
        ("empty", String::new()),
        ("DER as text", "0\u{82}".to_owned()),
    ] {
        let refusal = refusal_of(decode(&mut client, &text));
        checks.equal(name, (&*refusal.sqlstate, refusal.slug()), ("22P02", "pem_malformed"));
        checks.holds(&format!("{name}: repeats the text"), !refusal.text().contains("MII"), &refusal);
    }
    for (name, der, label) in
        [("label", agent.der(), "PRIVATE KEY"), ("label", agent.der(), "X"), ("bytes", vec![1], "CERTIFICATE")]
    {
        let refusal = refusal_of(encode(&mut client, &der, label));
        checks.equal(&format!("{name} {label}"), (&*refusal.sqlstate, refusal.slug()), ("22P02", "pem_malformed"));
    }
}

#[test]
fn model_hashes_are_those_of_other_tools() {
    let desk = Desk::new();
    let mut client = desk.cluster.connect("app", DATABASE);
    let mut checks = Checks::new();
    let vectors = [
        ("", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("gpt-4o-2024-08", "sha256:37051265633b44cdc37e17ecdd8e6ba573647fec4c6a64e6d9eea0eb44a0b70f"),
    ];
    for (model, expected) in vectors {
        let found: String =
            client.query_one("select kakunin.model_hash($1)", &[&model.as_bytes()]).expect("a question").get(0);
        checks.equal(model, &*found, expected);
    }
    // Each document beside its canonical form by RFC 8785, written by hand from the rules of its section 3.2.
    let documents = [
        (r#"{"b":2,"a":1}"#, r#"{"a":1,"b":2}"#),
        (r#" [ 1.0 , 1e0 , 100E-2 , -0.0 ] "#, "[1,1,1,0]"),
        (
            r#"[1e21, 1e-7, 0.000001, 333333333.33333329, 4.5, 2e-3]"#,
            "[1e+21,1e-7,0.000001,333333333.3333333,4.5,0.002]",
        ),
        (
            r#"{"\u20ac":1,"\r":2,"1":3,"\ud83d\ude00":4,"\u0080":5,"\u00f6":6,"\ufb33":7}"#,
            "{\"\\r\":2,\"1\":3,\"\u{80}\":5,\"\u{f6}\":6,\"\u{20ac}\":1,\"\u{1f600}\":4,\"\u{fb33}\":7}",
        ),
        (r#""\u0041\/\u2028\u001f\t\"\\""#, "\"A/\u{2028}\\u001f\\t\\\"\\\\\""),
        (r#"{"a":{"c":[true,false,null],"b":{}}}"#, r#"{"a":{"b":{},"c":[true,false,null]}}"#),
    ];
    for (document, canonical) in documents {
        // The canonical text goes to a file and through another program.
        let file = desk.pki.path().join("canonical.json");
        fs::write(&file, canonical).expect("the directory is ours");
        let digest = openssl(&["dgst", "-sha256", "-r", &file.to_string_lossy()]);
        let expected = format!("sha256:{}", digest.split(' ').next().unwrap_or_default());
        let found = scene::ask(&mut client, &format!("select kakunin.model_hash_json($json${document}$json$)"));
        checks.equal(document, found, expected);
    }
    for (document, slug) in [("1e400", "json_malformed"), ("[1e309]", "json_malformed")] {
        let refusal = scene::refused(&mut client, &format!("select kakunin.model_hash_json('{document}')"));
        checks.equal(document, (&*refusal.sqlstate, refusal.slug()), ("22P02", slug));
    }
}

// --- what the tests stand on ---

/// A cluster that trusts one root, with a login for every kind of role.
struct Desk {
    cluster: Cluster,
    pki: Pki,
    clock: Clock,
}

impl Desk {
    fn new() -> Self {
        let (pki, clock) = (Pki::new(), Clock::new());
        let cluster = Cluster::builder().clock(&clock).start();
        let mut superuser = cluster.superuser();
        superuser.batch_execute(ROLES).expect("the roles are new");
        pki.trust_root(&mut superuser);
        Self { cluster, pki, clock }
    }

    fn try_import(&self, certificate: &Identity, arguments: &str) -> Result<(), postgres::Error> {
        let query = format!("select kakunin.import_certificate($1, $2, {arguments})");
        let mut admin = self.cluster.connect("admin", DATABASE);
        admin.execute(&query, &[&certificate.der(), &certificate.chain_der()]).map(|_| ())
    }

    fn import(&self, certificate: &Identity, arguments: &str) {
        self.try_import(certificate, arguments).expect("it can be registered");
    }

    fn try_verify(&self, serial: &str) -> Result<Value, postgres::Error> {
        let mut agent = self.cluster.connect("agent", DATABASE);
        let row = agent.query_one("select kakunin.verify_certificate($1)::text", &[&serial])?;
        Ok(serde_json::from_str(row.get(0)).expect("jsonb is JSON"))
    }

    fn verify(&self, serial: &str) -> Value {
        self.try_verify(serial).expect("a question")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output().expect("openssl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const ROLES: &str = "
    create role app login;
    create role agent login in role kakunin_agent;
    create role auditor login in role kakunin_auditor;
    create role admin login in role kakunin_admin;
";
