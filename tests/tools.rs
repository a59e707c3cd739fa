//! The harness itself: what it starts is what it says, and it leaves nothing behind. No test here needs the
//! extension.

use kakunin_tests::{
    Authority, CaRequest, Cluster, DATABASE, Identity, KeyType, LeafRequest, Node, Pki, PoolMode, Pooler, Postgrest,
    PostgrestSettings, PsqlSession, Python, Shutdown, claims, refusal_of, sqlstate_of, wait_until,
};
use std::path::{Path, PathBuf};
use std::process::Command;

fn one(client: &mut postgres::Client, query: &str) -> String {
    client.query_one(&format!("select ({query})::text"), &[]).expect("the query runs").get(0)
}

// --- clusters ---

#[test]
fn a_cluster_ends_with_its_test_and_leaves_no_file() {
    let cluster = Cluster::builder().bare().start();
    let (process, files) = (cluster.process(), cluster.socket_directory().to_owned());
    assert!(Path::new(&format!("/proc/{process}")).exists());
    drop(cluster);
    assert!(!Path::new(&format!("/proc/{process}")).exists());
    assert!(!files.exists());
}

#[test]
fn a_cluster_outlives_the_thread_that_started_it() {
    let cluster = std::thread::spawn(|| Cluster::builder().bare().start()).join().expect("it starts");
    assert_eq!(one(&mut cluster.superuser(), "1 + 1"), "2");
}

#[test]
fn the_server_runs_unprivileged_and_without_backtraces() {
    let cluster = Cluster::builder().bare().start();
    let process = format!("/proc/{}", cluster.process());
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&process).expect("it runs"));
    assert_ne!(owner, 0);
    let environment = std::fs::read(format!("{process}/environ")).expect("root, or our own process");
    assert!(!String::from_utf8_lossy(&environment).contains("RUST_BACKTRACE"));
}

#[test]
fn what_is_committed_survives_a_restart_and_a_crash() {
    let mut cluster = Cluster::builder().bare().start();
    cluster.superuser().batch_execute("create table t (id int); insert into t values (1)").expect("DDL");
    cluster.restart(Shutdown::Fast);
    cluster.superuser().batch_execute("insert into t values (2)").expect("DML");
    cluster.crash();
    cluster.superuser().batch_execute("insert into t values (3)").expect("DML");
    cluster.restart(Shutdown::Immediate);
    assert_eq!(one(&mut cluster.superuser(), "select sum(id) from t"), "6");
}

#[test]
fn a_killed_backend_ends_every_session() {
    let cluster = Cluster::builder().bare().start();
    let mut bystander = cluster.superuser();
    let mut victim = cluster.superuser();
    let process: i32 = victim.query_one("select pg_backend_pid()", &[]).expect("a query").get(0);
    cluster.kill_backend(process);
    assert!(bystander.batch_execute("select 1").is_err());
    assert_eq!(one(&mut cluster.superuser(), "1"), "1");
}

#[test]
fn a_setting_reaches_sessions_after_a_reload() {
    let mut cluster = Cluster::builder().bare().set("work_mem", "3MB").start();
    assert_eq!(one(&mut cluster.superuser(), "current_setting('work_mem')"), "3MB");
    cluster.set("work_mem", "5MB");
    cluster.reload();
    assert_eq!(one(&mut cluster.superuser(), "current_setting('work_mem')"), "5MB");
}

#[test]
fn a_refusal_says_what_the_server_said() {
    let cluster = Cluster::builder().bare().start();
    let mut client = cluster.superuser();
    let raise =
        "do $$ begin raise 'no entry' using errcode = '28000', detail = 'proof_replayed: seen.', hint = 'Go.'; end $$";
    let refusal = refusal_of(client.batch_execute(raise));
    assert_eq!((&*refusal.sqlstate, &*refusal.message, refusal.slug()), ("28000", "no entry", "proof_replayed"));
    assert!(refusal.text().contains("Go."));
    assert_eq!(sqlstate_of(&client.batch_execute("select 1/0").expect_err("a division by zero")), "22012");
}

#[test]
fn clusters_share_a_system_identifier_unless_one_is_fresh() {
    let identifier = "select system_identifier from pg_control_system()";
    let [first, second, fresh] =
        [Cluster::builder().bare(), Cluster::builder().bare(), Cluster::builder().bare().fresh()]
            .map(|builder| one(&mut builder.start().superuser(), identifier));
    assert_eq!(first, second);
    assert_ne!(first, fresh);
}

#[test]
fn over_tcp_anyone_but_the_superuser_connects() {
    let cluster = Cluster::builder().bare().tcp().start();
    cluster.superuser().batch_execute("create role visitor login").expect("DDL");
    let visitor = cluster.psql_over(&cluster.tcp_connection("visitor", DATABASE), "select current_user");
    assert_eq!((visitor.success, &*visitor.stdout), (true, "visitor\n"));
    let superuser = cluster.psql_over(&cluster.tcp_connection("postgres", DATABASE), "select 1");
    assert!(!superuser.success && superuser.stderr.contains("pg_hba.conf rejects"), "{superuser:?}");
}

// --- psql ---

#[test]
fn psql_stops_at_the_first_error() {
    let cluster = Cluster::builder().bare().start();
    let output = cluster.psql("postgres", "select 1, 2; select 1/0; select 3;");
    assert_eq!((output.success, &*output.stdout), (false, "1|2\n"));
    assert!(output.stderr.contains("division by zero"));
}

#[test]
fn a_psql_session_keeps_its_state_and_tells_refusals_apart() {
    let cluster = Cluster::builder().bare().start();
    let mut session = PsqlSession::open(&cluster.connection("postgres", DATABASE)).expect("it connects");
    session.run("create temp table t as select generate_series(1, 3) as id");
    assert_eq!(session.run("select id from t order by id").rows, "1\n2\n3");
    let reply = session.run("select 1/0");
    assert_eq!((&*reply.sqlstate, &*reply.message), ("22012", "division by zero"));
    assert_eq!(session.run("select 4").sqlstate, "00000");

    let process = session.run("select pg_backend_pid()").rows;
    cluster.superuser().batch_execute(&format!("select pg_terminate_backend({process})")).expect("a superuser may");
    wait_until("the session ends", || session.try_run("select 1").is_none().then_some(()));
    assert!(
        PsqlSession::open(&cluster.connection("nobody", DATABASE)).is_err_and(|said| said.contains("does not exist"))
    );
}

// --- standbys, poolers ---

#[test]
fn a_standby_follows_and_can_be_promoted() {
    let primary = Cluster::builder().bare().start();
    let standby = primary.start_standby();
    primary.superuser().batch_execute("create table t (id int); insert into t values (7)").expect("DDL");
    standby.wait_for_replay(&primary);
    assert_eq!(one(&mut standby.superuser(), "select id from t"), "7");
    let refusal = refusal_of(standby.superuser().batch_execute("insert into t values (8)"));
    assert_eq!(refusal.sqlstate, "25006");
    standby.promote();
    standby.superuser().batch_execute("insert into t values (8)").expect("it is a primary now");
}

#[test]
fn a_pooler_hands_one_server_session_to_two_clients() {
    let cluster = Cluster::builder().bare().start();
    cluster.superuser().batch_execute("create role visitor login").expect("DDL");
    let ask = |client: &mut postgres::Client, query| {
        let replies = client.simple_query(query).expect("the query runs");
        let row = replies.iter().find_map(|reply| match reply {
            postgres::SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        row.expect("one row").to_owned()
    };
    let backend = |client: &mut postgres::Client| ask(client, "select pg_backend_pid()");
    let pooler = Pooler::start(&cluster, PoolMode::Transaction, 1);
    let (mut one, mut two) = (pooler.connect("visitor", DATABASE), pooler.connect("visitor", DATABASE));
    assert_eq!(backend(&mut one), backend(&mut two));

    // In session mode, a client has its server session for itself, and the next one finds it cleaned.
    let pooler = Pooler::start(&cluster, PoolMode::Session, 1);
    let mut one = pooler.connect("visitor", DATABASE);
    let first = backend(&mut one);
    one.batch_execute("set work_mem = '7MB'").expect("a setting");
    drop(one);
    let mut two = pooler.connect("visitor", DATABASE);
    assert_eq!(backend(&mut two), first);
    assert_eq!(ask(&mut two, "show work_mem"), "4MB");
}

// --- certificates ---

fn openssl(arguments: &[&str], files: &[&Path]) -> (bool, String) {
    let mut command = Command::new("openssl");
    let output = command.args(arguments).args(files).output().expect("openssl runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// Whether `openssl verify` accepts a certificate under the root, with or without revocation lists.
fn verifies(pki: &Pki, identity: &Identity, more: &[&str]) -> (bool, String) {
    let root = pki.root.identity.certificate.to_string_lossy().into_owned();
    let intermediate = pki.intermediate.identity.certificate.to_string_lossy().into_owned();
    let arguments = [&["verify", "-x509_strict", "-CAfile", &*root, "-untrusted", &*intermediate], more].concat();
    openssl(&arguments, &[&identity.certificate])
}

#[test]
fn an_agents_certificate_has_the_agents_profile() {
    let pki = Pki::new();
    let agent = pki.agent("alpha");
    let (accepted, said) = verifies(&pki, &agent, &[]);
    assert!(accepted, "{said}");
    let (_, text) = openssl(&["x509", "-noout", "-text", "-in"], &[&agent.certificate]);
    for part in [
        "Subject: O = acme, CN = alpha",
        "URI:spiffe://kakunin.local/tenant/acme/agent/alpha",
        "X509v3 Key Usage: critical",
        "Digital Signature",
        "CA:FALSE",
        "1.3.6.1.4.1.99999.1",
        "X509v3 Authority Key Identifier",
        r#"{"allowed_actions":["read.*"],"v":1}"#,
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert_eq!(agent.serial().len(), 32);
    assert_ne!(agent.serial(), pki.agent("alpha").serial());
    assert_eq!(agent.chain_der(), [pki.intermediate.identity.der()]);
    assert_eq!(agent.fingerprint().len(), 32);
}

#[test]
fn a_certificate_can_be_wrong_in_the_way_a_test_wants() {
    let pki = Pki::new();
    let expired = pki.intermediate.issue(&LeafRequest::agent("late").expired());
    let (accepted, said) = verifies(&pki, &expired, &[]);
    assert!(!accepted && said.contains("certificate has expired"), "{said}");

    let numbered = pki.intermediate.issue(&LeafRequest::agent("numbered").serial("0A01"));
    assert_eq!(numbered.serial(), "0A01");

    let scoped = pki.intermediate.issue(&LeafRequest::agent("scoped").scope("{}"));
    let (_, text) = openssl(&["x509", "-noout", "-text", "-in"], &[&scoped.certificate]);
    let scopes: Vec<&str> = text.lines().skip_while(|line| line.trim() != "1.3.6.1.4.1.99999.3:").skip(1).collect();
    assert!(scopes[0].ends_with("{}"), "{text}");

    let outside = Pki::new();
    assert!(!verifies(&pki, &outside.agent("alpha"), &[]).0);
}

#[test]
fn a_revoked_certificate_is_on_the_list() {
    let pki = Pki::new();
    let (good, bad) = (pki.agent("good"), pki.agent("bad"));
    pki.intermediate.revoke(&bad, "keyCompromise");
    let (leaf_list, ca_list) = (pki.intermediate.crl(), pki.root.crl());
    assert!(Authority::crl_der(&leaf_list).starts_with(&[0x30]));
    let lists = [leaf_list, ca_list].map(|file: PathBuf| file.to_string_lossy().into_owned());
    let more = ["-crl_check_all", "-CRLfile", &lists[0], "-CRLfile", &lists[1]];
    let (accepted, said) = verifies(&pki, &good, &more);
    assert!(accepted, "{said}");
    let (accepted, said) = verifies(&pki, &bad, &more);
    assert!(!accepted && said.contains("certificate revoked"), "{said}");
}

#[test]
fn every_kind_of_key_can_be_had() {
    let root = CaRequest::new("kakunin test RSA root").key_type(KeyType::Rsa(2048)).path_length(Some(1));
    let pki = Pki::with(&root, &CaRequest::new("kakunin test P-384 intermediate").key_type(KeyType::P384));
    for key_type in [KeyType::RSA_2048, KeyType::P256, KeyType::P384, KeyType::Ed25519] {
        let agent = pki.intermediate.issue(&LeafRequest::agent("keyed").key_type(key_type));
        let (accepted, said) = verifies(&pki, &agent, &[]);
        assert!(accepted, "{key_type:?}: {said}");
    }
}

// --- other people's programs ---

#[test]
fn proofs_of_openssl_and_of_pyjwt_are_the_same_to_pyjwt() {
    let (pki, python) = (Pki::new(), Python::with_packages());
    for key_type in [KeyType::RSA_2048, KeyType::P256, KeyType::P384, KeyType::Ed25519] {
        let agent = pki.intermediate.issue(&LeafRequest::agent("signer").key_type(key_type));
        let public = agent.key.with_extension("pub");
        openssl(&["pkey", "-pubout", "-out"], &[&public, Path::new("-in"), &agent.key]);
        let (public, key) = (public.to_string_lossy(), agent.key.to_string_lossy());

        let (header, claims) = (agent.proof_header(), claims("somewhere"));
        let ours = agent.proof(&claims);
        let arguments = [&*key, agent.algorithm(), &header.to_string(), &claims.to_string()];
        let theirs = python.run("pyjwt_proof.py", &arguments);
        for token in [ours, theirs] {
            let verified = python.run("pyjwt_verify.py", &[&*public, agent.algorithm(), &token]);
            let verified: serde_json::Value = serde_json::from_str(&verified).expect("JSON");
            assert_eq!(verified, claims, "{key_type:?}");
        }
    }
}

#[test]
fn a_tls_server_asks_for_a_certificate_and_knows_whose_it_is() {
    let pki = Pki::new();
    let request = LeafRequest::agent("alpha").tls_client();
    let others = Pki::new();
    let (agent, stranger) = (pki.intermediate.issue(&request), others.intermediate.issue(&request));
    let cluster = Cluster::builder()
        .bare()
        .tls(pki.server_tls())
        .hba("hostssl all alpha 127.0.0.1/32 cert clientcert=verify-full")
        .start();
    cluster.superuser().batch_execute("create role alpha login; create role guest login").expect("DDL");
    let root = pki.root.identity.certificate.display();
    let with = |user: &str, identity: &Identity| {
        let connection = cluster.tcp_connection(user, DATABASE);
        let (certificate, key) = (identity.chain_file(), &identity.key);
        format!(
            "{connection} sslmode=verify-full sslrootcert='{root}' sslcert='{}' sslkey='{}' hostaddr=127.0.0.1",
            certificate.display(),
            key.display()
        )
    };
    let mut session = PsqlSession::open(&with("alpha", &agent)).expect("the certificate is accepted");
    let peer = session.run("select client_dn, client_serial::text from pg_stat_ssl where pid = pg_backend_pid()");
    assert!(peer.rows.starts_with("/O=acme/CN=alpha|"), "{peer:?}");
    assert!(PsqlSession::open(&with("alpha", &stranger)).is_err_and(|said| said.contains("unknown ca")));
    let plain = format!("{} sslmode=disable", cluster.tcp_connection("guest", DATABASE));
    assert!(PsqlSession::open(&plain).is_err_and(|said| said.contains("no pg_hba.conf entry")));
}

#[test]
fn supabase_js_reads_through_postgrest() {
    let cluster = Cluster::builder().bare().start();
    let setup = "
        create role authenticator login noinherit;
        create role anon;
        grant anon to authenticator;
        create schema api;
        create table api.note (id int primary key);
        insert into api.note values (1), (2);
        grant usage on schema api to anon;
        grant select on api.note to anon";
    cluster.superuser().batch_execute(setup).expect("DDL");
    let settings = PostgrestSettings {
        database: DATABASE.to_owned(),
        authenticator: "authenticator".to_owned(),
        schema: "api".to_owned(),
        anonymous: "anon".to_owned(),
        pre_request: String::new(),
        jwt_secret: "a secret of thirty-two bytes or more".to_owned(),
        pool_size: 2,
        more: String::new(),
    };
    let postgrest = Postgrest::start(&cluster, &settings);
    let output = Node::with_clients().run("select_notes.mjs", &[("POSTGREST_URL", &postgrest.url())]);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        printed.contains(r#"{"data":[{"id":1},{"id":2}],"code":null,"status":200}"#),
        "{output:?}\n{}",
        postgrest.log()
    );
}
