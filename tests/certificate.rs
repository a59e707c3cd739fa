//! `check_path` and `check_certificate` at the SQL level: chains of the `openssl` program, judged by it and by us.

use kakunin_tests::{Authority, CaRequest, Checks, Cluster, DATABASE, Identity, KeyType, LeafRequest, Pki, scene};
use postgres::Client;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

// --- chains ---

#[test]
fn chains_of_every_kind_of_key_are_valid() {
    let bench = Bench::new();
    let mut checks = Checks::new();
    let stranger = Pki::new();
    let kinds = [
        ("RSA-4096/2048/2048", KeyType::Rsa(4096), KeyType::RSA_2048, KeyType::RSA_2048, "sha256"),
        ("P-384/P-256/P-256", KeyType::P384, KeyType::P256, KeyType::P256, "sha384"),
        ("P-256/P-256/Ed25519", KeyType::P256, KeyType::P256, KeyType::Ed25519, "sha256"),
        ("RSA-2048/P-384/RSA-2048", KeyType::RSA_2048, KeyType::P384, KeyType::RSA_2048, "sha512"),
    ];
    for (name, root, intermediate, leaf, digest) in kinds {
        // Of an elliptic key the digest is part of the algorithm: P-384 goes with SHA-384 alone.
        let digest_of = |issuer: KeyType| match issuer {
            KeyType::Ec("P-384") => "sha384",
            KeyType::Ec(_) => "sha256",
            _ => digest,
        };
        let pki = Pki::with(
            &CaRequest::new("root").key_type(root).with(|request| request.digest(digest_of(root))),
            &CaRequest::new("intermediate").key_type(intermediate).with(|request| request.digest(digest_of(root))),
        );
        let request = LeafRequest::agent("a").key_type(leaf).digest(digest_of(intermediate));
        let agent = pki.intermediate.issue(&request);
        let anchors = [pki.root.identity.clone()];
        checks.equal(name, bench.path(&agent, &anchors), "ok".to_owned());
        checks.equal(name, bench.agent(&agent, &anchors), "ok".to_owned());
        checks.equal(&format!("{name}, openssl"), openssl(&agent, &anchors, &[]), true);
        // One key more or less than it takes.
        let intermediate_only = [pki.intermediate.identity.clone()];
        checks.equal(
            &format!("{name}, the intermediate as anchor"),
            bench.path(&agent, &intermediate_only),
            "ok".to_owned(),
        );
        let others = [stranger.root.identity.clone()];
        checks.equal(&format!("{name}, another root"), bench.path(&agent, &others), "issuer_unknown".to_owned());
    }
}

#[test]
fn we_agree_with_openssl_about_good_and_bad_chains() {
    let bench = Bench::new();
    let pki = Pki::new();
    let root = [pki.root.identity.clone()];
    let place = |name: &str| pki.path().join(name);
    let mid = |name: &str, request: CaRequest| pki.root.issue_ca(&place(name), &request);
    let agent = || LeafRequest::agent("a");
    let critical = |request: LeafRequest| request.extension("1.3.6.1.4.1.55555.1", true, &[5, 0]);

    let weak = mid("expired", CaRequest::new("expired").with(LeafRequest::expired));
    let early = mid("early", CaRequest::new("early").with(|request| request.valid("3600", "7200")));
    let no_sign = mid("no-sign", CaRequest::new("no sign").with(|request| request.key_usage("critical, cRLSign")));
    let not_ca =
        mid("not-ca", CaRequest::new("not a CA").with(|request| request.basic_constraints("critical, CA:false")));
    let marked = mid("marked", CaRequest::new("marked").with(critical));
    let named = mid(
        "named",
        CaRequest::new("named").with(|request| {
            // permittedSubtrees with dNSName agents.example
            let base = [&[0x82, 14][..], b"agents.example"].concat();
            let subtree = [&[0x30, 16][..], &base].concat();
            let permitted = [&[0xa0, 18][..], &subtree].concat();
            request.extension("2.5.29.30", true, &[&[0x30, 20][..], &permitted].concat())
        }),
    );
    let below_intermediate = pki.intermediate.issue_ca(&place("below"), &CaRequest::new("one too many"));
    let leaf_as_ca = Authority::of(&place("leaf-as-ca"), pki.agent("issuer"));
    let other = Pki::new();
    let dead_root = Pki::with(&CaRequest::new("dead").with(LeafRequest::expired), &CaRequest::new("below the dead"));
    let with_dns = |name: &str| named.issue(&agent().name(&format!("DNS:{name}")));

    let sound = pki.agent("sound");
    let mut alone = sound.clone();
    alone.chain.clear();
    let mut upside_down = sound.clone();
    upside_down.chain = vec![other.intermediate.identity.certificate.clone(), sound.chain[0].clone()];
    let mut impostor = other.agent("a");
    impostor.chain = vec![other.intermediate.identity.certificate.clone()];
    // Its issuer has the right name and another key.
    let namesake = Pki::new();

    let cases: &[(&str, Identity, &[Identity], &str)] = &[
        ("sound", sound.clone(), &root, "ok"),
        ("with a stranger in the chain", upside_down, &root, "ok"),
        ("the intermediate itself", pki.intermediate.identity.clone(), &root, "ok"),
        ("the root itself", pki.root.identity.clone(), &root, "ok"),
        ("expired", pki.intermediate.issue(&agent().expired()), &root, "certificate_expired"),
        ("not valid yet", pki.intermediate.issue(&agent().valid("3600", "7200")), &root, "certificate_not_yet_valid"),
        ("intermediate expired", weak.issue(&agent()), &root, "certificate_expired"),
        ("intermediate not valid yet", early.issue(&agent()), &root, "certificate_not_yet_valid"),
        ("root expired", dead_root.agent("a"), std::slice::from_ref(&dead_root.root.identity), "certificate_expired"),
        ("intermediate without keyCertSign", no_sign.issue(&agent()), &root, "issuer_not_ca"),
        ("intermediate that is no CA", not_ca.issue(&agent()), &root, "*"),
        ("an agent as issuer", leaf_as_ca.issue(&agent()), &root, "issuer_not_ca"),
        ("path too long", below_intermediate.issue(&agent()), &root, "path_length_exceeded"),
        (
            "critical extension in the leaf",
            pki.intermediate.issue(&critical(agent())),
            &root,
            "critical_extension_unknown",
        ),
        ("critical extension in a CA", marked.issue(&agent()), &root, "critical_extension_unknown"),
        ("name that the CA may give", with_dns("a.agents.example"), &root, "ok"),
        ("name that the CA may not give", with_dns("a.example.org"), &root, "name_constraint_violated"),
        ("intermediate missing", alone, &root, "issuer_unknown"),
        ("another PKI", impostor, &root, "*"),
        ("an issuer of the same name", namesake.agent("a"), &root, "*"),
    ];
    let mut checks = Checks::new();
    for (name, leaf, anchors, expected) in cases {
        let found = bench.path(leaf, anchors);
        if *expected == "*" {
            checks.holds(name, found != "ok", &found);
        } else {
            checks.equal(name, &*found, *expected);
        }
        checks.equal(&format!("{name}: openssl"), openssl(leaf, anchors, &[]), found == "ok");
    }
}

#[test]
fn the_order_of_the_chain_and_what_else_is_in_it_do_not_matter() {
    let bench = Bench::new();
    let pki = Pki::with(&CaRequest::new("root"), &CaRequest::new("one"));
    let two = pki.intermediate.issue_ca(&pki.path().join("two"), &CaRequest::new("two"));
    let three = two.issue_ca(&pki.path().join("three"), &CaRequest::new("three"));
    let mut agent = three.issue(&LeafRequest::agent("a"));
    let anchors = [pki.root.identity.clone()];
    let mut checks = Checks::new();
    checks.equal("as issued", bench.path(&agent, &anchors), "ok".to_owned());
    agent.chain.reverse();
    checks.equal("reversed", bench.path(&agent, &anchors), "ok".to_owned());
    agent.chain.extend([agent.certificate.clone(), pki.root.identity.certificate.clone()]);
    agent.chain.extend(agent.chain.clone().into_iter().take(3));
    checks.equal("with itself, the root and doubles", bench.path(&agent, &anchors), "ok".to_owned());
    agent.chain.push(pki.root.identity.certificate.clone());
    checks.equal("nine", bench.path(&agent, &anchors), "chain_too_long".to_owned());
}

// --- revocation lists ---

#[test]
fn a_status_that_no_list_shows_is_refused() {
    let bench = Bench::new();
    let pki = Pki::new();
    let (sound, gone) = (pki.agent("sound"), pki.agent("gone"));
    let before = pki.intermediate.crl();
    pki.intermediate.revoke(&gone, "keyCompromise");
    let (upper, lower) = (pki.root.crl(), pki.intermediate.crl());
    let old = pki.intermediate.crl_between("-7200", "-3600");
    let early = pki.intermediate.crl_between("3600", "7200");
    let namesake = Pki::new();
    let forged = namesake.intermediate.crl();
    let no_list = pki.root.issue_ca(
        &pki.path().join("no-list"),
        &CaRequest::new("no list").with(|r| r.key_usage("critical, keyCertSign")),
    );
    let below_no_list = no_list.issue(&LeafRequest::agent("a"));
    let fallen = pki.root.issue_ca(&pki.path().join("fallen"), &CaRequest::new("fallen"));
    let below_fallen = fallen.issue(&LeafRequest::agent("a"));
    let fallen_list = fallen.crl();
    pki.root.revoke(&fallen.identity, "cACompromise");
    let upper_after = pki.root.crl();

    let cases: &[(&str, &Identity, &[&PathBuf], &str)] = &[
        ("not revoked", &sound, &[&upper, &lower], "ok"),
        ("lists in another order", &sound, &[&lower, &upper], "ok"),
        ("revoked", &gone, &[&upper, &lower], "certificate_revoked"),
        ("an older list does not know", &gone, &[&upper, &before], "ok"),
        ("list of the issuer missing", &sound, &[&upper], "revocation_unknown"),
        ("list of the root missing", &sound, &[&lower], "revocation_unknown"),
        ("list too old", &sound, &[&upper, &old], "revocation_unknown"),
        ("list not valid yet", &sound, &[&upper, &early], "revocation_unknown"),
        ("list signed by a namesake", &sound, &[&upper, &forged], "revocation_unknown"),
        ("issuer may not sign lists", &below_no_list, &[&upper, &no_list.crl()], "revocation_unknown"),
        ("issuer revoked", &below_fallen, &[&upper_after, &fallen_list], "certificate_revoked"),
        ("issuer not revoked yet", &below_fallen, &[&upper, &fallen_list], "ok"),
    ];
    let anchors = [pki.root.identity.clone()];
    let mut checks = Checks::new();
    for (name, leaf, lists, expected) in cases {
        let found =
            bench.path_with(leaf, &anchors, &lists.iter().map(|file| Authority::crl_der(file)).collect::<Vec<_>>());
        checks.equal(name, &*found, *expected);
        let files: Vec<&Path> = lists.iter().map(|file| file.as_path()).collect();
        checks.equal(&format!("{name}: openssl"), openssl(leaf, &anchors, &files), *expected == "ok");
    }
    for (name, list) in [("garbage", vec![0x30, 3, 2, 1, 0]), ("a certificate", sound.der()), ("empty", Vec::new())] {
        let lists = [Authority::crl_der(&upper), Authority::crl_der(&lower), list];
        checks.equal(name, bench.path_with(&sound, &anchors, &lists), "crl_malformed".to_owned());
    }
    checks.equal("no list at all: nobody asked", bench.path(&gone, &anchors), "ok".to_owned());
}

// --- what an agent must be ---

#[test]
fn a_valid_path_does_not_make_an_agent() {
    let bench = Bench::new();
    let pki = Pki::new();
    let tenant = |name: &str, request: CaRequest| pki.root.issue_ca(&pki.path().join(name), &request);
    let acme = tenant("acme", CaRequest::new("acme").with(|r| r.uri("spiffe://kakunin.local/tenant/acme")));
    let rival = tenant("rival", CaRequest::new("rival").with(|r| r.uri("spiffe://kakunin.local/tenant/rival")));
    let foreign =
        tenant("foreign", CaRequest::new("foreign").with(|r| r.uri("spiffe://elsewhere.example/tenant/acme")));
    let issue = |request: LeafRequest| pki.intermediate.issue(&request);
    let agent = || LeafRequest::agent("a");
    let named = |uri: &str| issue(agent().without_names().uri(uri));
    let scoped = |scope: &str| issue(agent().scope(scope));
    let long = format!(r#"{{"allowed_actions":["{}"],"v":1}}"#, "x".repeat(9000));
    let deep = format!(r#"{{"v":1,"x":{}{}}}"#, "[".repeat(4000), "]".repeat(4000));
    let hash = "1.3.6.1.4.1.99999.2";

    let cases: &[(&str, Identity, &str)] = &[
        ("an agent", issue(agent()), "ok"),
        ("of the tenant of its CA", acme.issue(&agent()), "ok"),
        ("of another tenant than its CA", rival.issue(&agent()), "tenant_mismatch"),
        ("below a CA of another trust domain", foreign.issue(&agent()), "trust_domain_mismatch"),
        ("a CA", pki.intermediate.identity.clone(), "profile_violation"),
        ("a TLS server", issue(LeafRequest::server("localhost")), "profile_violation"),
        ("for clients", issue(agent().extended_key_usage("clientAuth")), "ok"),
        ("for any purpose", issue(agent().extended_key_usage("anyExtendedKeyUsage")), "ok"),
        ("for no purpose in particular", issue(agent().extended_key_usage("")), "ok"),
        ("for signing code", issue(agent().extended_key_usage("codeSigning")), "profile_violation"),
        ("only to encrypt", issue(agent().key_usage("critical, keyEncipherment")), "profile_violation"),
        ("without key usage", issue(agent().key_usage("")), "ok"),
        ("two names", issue(agent().uri("spiffe://kakunin.local/tenant/acme/agent/b")), "profile_violation"),
        ("a name and an address", issue(agent().name("DNS:a.example")), "ok"),
        ("another trust domain", named("spiffe://elsewhere.example/tenant/acme/agent/a"), "trust_domain_mismatch"),
        ("upper-case trust domain", named("spiffe://KAKUNIN.local/tenant/acme/agent/a"), "profile_violation"),
        ("upper-case scheme", named("SPIFFE://kakunin.local/tenant/acme/agent/a"), "*"),
        ("percent-encoded", named("spiffe://kakunin.local/tenant/acme/agent/%61"), "profile_violation"),
        ("dots", named("spiffe://kakunin.local/tenant/acme/agent/.."), "profile_violation"),
        ("a port", named("spiffe://kakunin.local:1/tenant/acme/agent/a"), "profile_violation"),
        ("a user", named("spiffe://x@kakunin.local/tenant/acme/agent/a"), "profile_violation"),
        ("a query", named("spiffe://kakunin.local/tenant/acme/agent/a?x=1"), "profile_violation"),
        ("one part more", named("spiffe://kakunin.local/tenant/acme/agent/a/b"), "profile_violation"),
        ("one part less", named("spiffe://kakunin.local/tenant/acme/agent"), "profile_violation"),
        ("a tenant", named("spiffe://kakunin.local/tenant/acme"), "profile_violation"),
        ("a slash at the end", named("spiffe://kakunin.local/tenant/acme/agent/a/"), "profile_violation"),
        ("a URN without an id", named("urn:kakunin:agent:"), "profile_violation"),
        ("a URN of something else", named("urn:kakunin:tenant:a"), "profile_violation"),
        ("scope not canonical", scoped(r#"{"v":1,"allowed_actions":["read.*"]}"#), "scope_malformed"),
        ("scope with a space", scoped(r#"{"allowed_actions":["read.*"], "v":1}"#), "scope_malformed"),
        ("member twice", scoped(r#"{"allowed_actions":[],"allowed_actions":["read.*"],"v":1}"#), "scope_malformed"),
        (
            "its escaped twin",
            scoped(r#"{"allowed_actions":[],"allowed\u005factions":["read.*"],"v":1}"#),
            "scope_malformed",
        ),
        ("half a surrogate", scoped(r#"{"allowed_actions":["\ud800"],"v":1}"#), "scope_malformed"),
        ("text behind", scoped(r#"{"v":1} "#), "scope_malformed"),
        ("no JSON", scoped("read.*"), "scope_malformed"),
        ("too long", scoped(&long), "scope_malformed"),
        ("too deep", scoped(&deep), "scope_malformed"),
        (
            "scope as bytes",
            issue(agent().without_extension("1.3.6.1.4.1.99999.3").extension(
                "1.3.6.1.4.1.99999.3",
                false,
                &[4, 2, b'{', b'}'],
            )),
            "profile_violation",
        ),
        ("under both arcs", issue(agent().text_extension("1.3.6.1.4.1.61411.1.3", r#"{"v":1}"#)), "profile_violation"),
        ("model hash plain", issue(agent().without_extension(hash).text_extension(hash, &"5A".repeat(32))), "ok"),
        (
            "model hash short",
            issue(agent().without_extension(hash).text_extension(hash, "sha256:5a")),
            "model_hash_malformed",
        ),
        (
            "critical scope",
            issue(agent().without_extension(hash).extension(hash, true, &[12, 1, b'x'])),
            "critical_extension_unknown",
        ),
        ("nobody's", issue(agent().without_names()), "ok"),
    ];
    let anchors = [pki.root.identity.clone()];
    let mut checks = Checks::new();
    for (name, leaf, expected) in cases {
        let found = bench.agent(leaf, &anchors);
        if *expected == "*" {
            checks.holds(name, found != "ok", &found);
        } else {
            checks.equal(name, &*found, *expected);
        }
        let critical = *expected == "critical_extension_unknown";
        checks.equal(&format!("{name}: as a path"), bench.path(leaf, &anchors) == "ok", !critical);
    }
}

#[test]
fn serial_numbers_are_positive_and_have_twenty_octets_at_most() {
    let bench = Bench::new();
    let pki = Pki::new();
    let anchors = [pki.root.identity.clone()];
    let mut checks = Checks::new();
    let with = |serial: &str| pki.intermediate.issue(&LeafRequest::agent("a").serial(serial));
    for (serial, shown) in [
        ("01", Some("01")),
        ("7F", Some("7F")),
        // The top bit set: DER puts an octet of zeros before it, which is no part of the number.
        ("FE", Some("FE")),
        (&*"7F".repeat(20), Some(&*"7F".repeat(20))),
        (&*"7F".repeat(21), None),
    ] {
        let leaf = with(serial);
        let verdict = bench.verdict(&leaf, &anchors);
        match shown {
            Some(shown) => checks.equal(serial, verdict, ("ok".to_owned(), Some(shown.to_owned()))),
            None => {
                checks.holds(serial, verdict.0 == "serial_invalid" || verdict.0 == "certificate_malformed", &verdict)
            }
        }
    }
    for (name, serial, printed) in [("negative", "-2", "-02"), ("zero", "0", "00")] {
        let leaf = unusual_serial(&pki, name, serial);
        checks.equal(&format!("{name}: as openssl prints it"), leaf.serial(), printed.to_owned());
        let verdict = bench.verdict(&leaf, &anchors);
        checks.holds(name, verdict.0 == "serial_invalid" || verdict.0 == "certificate_malformed", &verdict);
    }
}

// --- time ---

#[test]
fn the_ends_of_validity_are_inclusive_whatever_the_clock_of_the_session_shows() {
    let bench = Bench::new();
    let pki = Pki::with(
        &CaRequest::new("root").with(|r| r.valid("20400101000000Z", "20991231235959Z")),
        &CaRequest::new("intermediate").with(|r| r.valid("20400101000000Z", "20991231235959Z")),
    );
    // UTCTime before 2050, GeneralizedTime from then on (RFC 5280 section 4.1.2.5).
    let leaf = pki.intermediate.issue(&LeafRequest::agent("a").valid("20491231235959Z", "20500101000000Z"));
    let moments = [
        ("2049-12-31 23:59:58.999999Z", "certificate_not_yet_valid"),
        ("2049-12-31 23:59:59Z", "ok"),
        ("2049-12-31 23:59:59.5Z", "ok"),
        ("2050-01-01 00:00:00Z", "ok"),
        ("2050-01-01 00:00:00.000001Z", "certificate_expired"),
        ("2050-01-01 01:00:00+01", "ok"),
        ("infinity", "certificate_expired"),
        ("-infinity", "certificate_not_yet_valid"),
    ];
    let mut checks = Checks::new();
    let mut client = bench.cluster.connect("app", DATABASE);
    for zone in ["UTC", "Asia/Kathmandu", "America/St_Johns"] {
        for style in ["ISO, MDY", "SQL, DMY", "German"] {
            scene::run(
                &mut client,
                &format!("set timezone = '{zone}'; set datestyle = '{style}'; set intervalstyle = 'sql_standard'"),
            );
            for (moment, expected) in moments {
                let query = format!(
                    "select reason, to_char(not_before at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS'), extract(epoch from not_after)::text, detail
                    from kakunin.check_certificate($1, $2, '{moment}'::timestamptz, $3)"
                );
                let row = client.query_one(&query, &[&leaf.der(), &leaf.chain_der(), &vec![pki.root.identity.der()]]);
                let row = row.expect("a question");
                let found: (&str, &str, &str) = (row.get(0), row.get(1), row.get(2));
                let case = format!("{moment} in {zone}, {style}");
                checks.equal(&case, found, (expected, "2049-12-31 23:59:59", "2524608000.000000"));
                let detail: Option<&str> = row.get(3);
                // What ends first in all eternity is anyone's.
                let said = moment.ends_with("infinity")
                    || match expected {
                        "certificate_expired" => detail.is_some_and(|text| text.contains("2050-01-01T00:00:00Z")),
                        "certificate_not_yet_valid" => detail.is_some_and(|text| text.contains("2049-12-31T23:59:59Z")),
                        _ => detail.is_none(),
                    };
                checks.holds(&format!("{case}: detail"), said, detail);
            }
        }
    }
}

// --- cost ---

#[test]
fn a_hundred_thousand_calls_leave_the_memory_of_the_backend_flat() {
    let bench = Bench::new();
    // RSA, which verifies fastest; one signature a path.
    let pki = Pki::with(&CaRequest::new("root").key_type(KeyType::RSA_2048), &CaRequest::new("unused"));
    let leaf = pki.root.issue(&LeafRequest::agent("a").key_type(KeyType::RSA_2048));
    let mut superuser = bench.cluster.superuser();
    let process: i32 = superuser.query_one("select pg_backend_pid()", &[]).expect("a query").get(0);
    superuser
        .batch_execute("create temp table thing (leaf bytea, root bytea, key bytea, signature bytea)")
        .expect("new");
    let (der, root, key, signature) = (leaf.der(), pki.root.identity.der(), leaf.public_key_der(), leaf.sign(b"m"));
    superuser.execute("insert into thing values ($1, $2, $3, $4)", &[&der, &root, &key, &signature]).expect("new");
    let mut checks = Checks::new();
    let calls = [
        (
            "check_certificate",
            "(kakunin.check_certificate(leaf, '{}', now() + n * interval '1 microsecond', array[root])).valid",
        ),
        (
            "a refusal of check_path",
            "not (kakunin.check_path(leaf, '{}', now() + n * interval '1 microsecond', array[leaf])).valid",
        ),
        ("verify_signature", "kakunin.verify_signature('RS256', key, 'm' || right(n::text, 0)::bytea, signature)"),
    ];
    for (name, call) in calls {
        let ask = |superuser: &mut Client, count: u32| {
            let query = format!("select count(*) from thing, generate_series(1, {count}) n where {call}");
            checks_count(superuser, &query, count);
            let used = "select sum(used_bytes)::bigint from pg_backend_memory_contexts";
            let contexts: i64 = superuser.query_one(used, &[]).expect("a superuser may").get(0);
            (contexts, resident(process))
        };
        let (contexts_before, resident_before) = ask(&mut superuser, 50_000);
        let (contexts, resident) = ask(&mut superuser, 100_000);
        // A leak of 100 bytes a call would be 10 MB.
        checks.holds(&format!("{name}: contexts"), contexts < contexts_before + 1_000_000, (contexts_before, contexts));
        checks.holds(&format!("{name}: resident"), resident < resident_before + 8_000_000, (resident_before, resident));
    }
}

#[test]
fn a_long_row_of_questions_can_be_cancelled() {
    let bench = Bench::new();
    let pki = Pki::new();
    let leaf = pki.agent("a");
    let mut client = bench.cluster.connect("app", DATABASE);
    client.batch_execute("create temp table thing (leaf bytea, chain bytea[], root bytea)").expect("new");
    let root = pki.root.identity.der();
    client.execute("insert into thing values ($1, $2, $3)", &[&leaf.der(), &leaf.chain_der(), &root]).expect("new");
    let query = "set statement_timeout = '100ms';
        select count(*) from thing, generate_series(1, 1000000) n
        where (kakunin.check_path(leaf, chain, now() + n * interval '1 microsecond', array[root])).valid";
    assert_eq!(scene::refused(&mut client, query).sqlstate, "57014");
    assert_eq!(scene::ask(&mut client, "set statement_timeout = 0; select 1"), "1");
}

#[test]
fn a_parallel_worker_gives_the_same_verdicts() {
    let bench = Bench::new();
    let pki = Pki::new();
    let leaf = pki.agent("a");
    let mut superuser = bench.cluster.superuser();
    pki.trust_root(&mut superuser);
    superuser.batch_execute("create table thing (leaf bytea, chain bytea[])").expect("new");
    superuser.execute("insert into thing values ($1, $2)", &[&leaf.der(), &leaf.chain_der()]).expect("new");
    let query = "select (kakunin.check_certificate(leaf, chain)).reason || ' ' || (kakunin.check_certificate(leaf, chain)).agent_id from thing";
    assert_eq!(scene::ask(&mut superuser, query), "ok a");
    scene::run(&mut superuser, "set force_parallel_mode = on");
    let plan = scene::ask(&mut superuser, &format!("explain (costs off) {query}"));
    assert!(plan.contains("Gather"), "{plan}");
    assert_eq!(scene::ask(&mut superuser, query), "ok a");
    leaf.register(&mut superuser);
    superuser.execute("select kakunin.revoke_certificate($1)", &[&leaf.serial()]).expect("it is registered");
    let query = query.replace(".agent_id", ".serial");
    assert_eq!(scene::ask(&mut superuser, &query), format!("certificate_revoked {}", leaf.serial()));
}

// --- what the tests stand on ---

/// A cluster and an ordinary role on it, which asks.
struct Bench {
    cluster: Cluster,
}

impl Bench {
    fn new() -> Self {
        let cluster = Cluster::start();
        cluster.superuser().batch_execute("create role app login").expect("the role is new");
        Self { cluster }
    }

    fn path(&self, leaf: &Identity, anchors: &[Identity]) -> String {
        self.path_with(leaf, anchors, &[])
    }

    fn path_with(&self, leaf: &Identity, anchors: &[Identity], lists: &[Vec<u8>]) -> String {
        let anchors: Vec<Vec<u8>> = anchors.iter().map(Identity::der).collect();
        let query = "select valid, reason from kakunin.check_path($1, $2, now(), $3, $4)";
        let mut client = self.cluster.connect("app", DATABASE);
        let row = client.query_one(query, &[&leaf.der(), &leaf.chain_der(), &anchors, &lists]).expect("a question");
        let reason: String = row.get(1);
        assert_eq!(row.get::<_, bool>(0), reason == "ok");
        reason
    }

    fn agent(&self, leaf: &Identity, anchors: &[Identity]) -> String {
        self.verdict(leaf, anchors).0
    }

    fn verdict(&self, leaf: &Identity, anchors: &[Identity]) -> (String, Option<String>) {
        let anchors: Vec<Vec<u8>> = anchors.iter().map(Identity::der).collect();
        let query = "select valid, reason, serial from kakunin.check_certificate($1, $2, anchors => $3)";
        let mut client = self.cluster.connect("app", DATABASE);
        let row = client.query_one(query, &[&leaf.der(), &leaf.chain_der(), &anchors]).expect("a question");
        let reason: String = row.get(1);
        assert_eq!(row.get::<_, bool>(0), reason == "ok");
        (reason, row.get(2))
    }
}

/// What `openssl verify` says.
fn openssl(leaf: &Identity, anchors: &[Identity], lists: &[&Path]) -> bool {
    let joined = |files: Vec<&Path>, name: &str| {
        let text: String = files.iter().map(|file| fs::read_to_string(file).expect("it was just made")).collect();
        let file = leaf.certificate.with_extension(name);
        fs::write(&file, text).expect("the directory is ours");
        file
    };
    let mut verify = Command::new("openssl");
    verify.env("OPENSSL_CONF", "/dev/null").args(["verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-CAfile"]);
    verify.arg(joined(anchors.iter().map(|anchor| anchor.certificate.as_path()).collect(), "anchors.pem"));
    if !leaf.chain.is_empty() {
        verify.arg("-untrusted").arg(joined(leaf.chain.iter().map(PathBuf::as_path).collect(), "untrusted.pem"));
    }
    if !lists.is_empty() {
        verify.arg("-crl_check_all").arg("-CRLfile").arg(joined(lists.to_vec(), "lists.pem"));
    }
    verify.arg(&leaf.certificate).output().expect("openssl runs").status.success()
}

/// `openssl ca` makes no serial number of zero or below; `openssl x509` does.
fn unusual_serial(pki: &Pki, name: &str, serial: &str) -> Identity {
    let agent = pki.agent(name);
    let file = |ending: &str| pki.path().join(format!("{name}.{ending}"));
    let run = |command: &mut Command| {
        let output = command.env("OPENSSL_CONF", "/dev/null").output().expect("openssl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let extensions = format!(
        "basicConstraints=CA:false\nkeyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\n\
        authorityKeyIdentifier=keyid:always\nsubjectAltName=URI:spiffe://kakunin.local/tenant/acme/agent/{name}\n"
    );
    fs::write(file("ext"), extensions).expect("the directory is ours");
    fs::write(file("cnf"), "[req]\ndistinguished_name=name\nprompt=no\n[name]\nCN=agent\n").expect("it is ours");
    let mut req = Command::new("openssl");
    req.args(["req", "-new", "-key"]).arg(&agent.key).arg("-config").arg(file("cnf")).arg("-out").arg(file("csr"));
    run(&mut req);
    let issuer = &pki.intermediate.identity;
    let mut x509 = Command::new("openssl");
    x509.args(["x509", "-req", "-days", "30", "-set_serial", serial, "-in"]).arg(file("csr"));
    x509.arg("-CA").arg(&issuer.certificate).arg("-CAkey").arg(&issuer.key);
    run(x509.arg("-extfile").arg(file("ext")).arg("-out").arg(&agent.certificate));
    agent
}

fn checks_count(client: &mut Client, query: &str, expected: u32) {
    let count: i64 = client.query_one(query, &[]).expect("a question").get(0);
    assert_eq!(count, i64::from(expected), "{query}");
}

/// Bytes of a process that are in memory.
fn resident(process: i32) -> i64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs, and we are root or it is ours");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux says so");
    line.trim().trim_end_matches(" kB").trim().parse::<i64>().expect("a number") * 1024
}
