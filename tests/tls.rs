//! The client certificate of a TLS connection as identity, and as something that a proof must not contradict (N11).

use kakunin_tests::stage::{AGENT, Stage};
use kakunin_tests::{Authority, CaRequest, Checks, DATABASE, Identity, KeyType, LeafRequest, PsqlSession, wait_until};
use std::fs;

fn stage() -> Stage {
    Stage::with(|builder, pki| builder.tls(pki.server_tls()))
}

/// An agent whose certificate may also be presented by a TLS client.
fn agent(stage: &Stage, name: &str) -> Identity {
    let agent = stage.pki.intermediate.issue(&LeafRequest::agent(name).tls_client());
    stage.enrol(&agent);
    agent
}

/// A session over TCP, with libpq; `more` goes into the connection string.
fn connect(stage: &Stage, certificate: Option<&Identity>, more: &str) -> PsqlSession {
    connect_as(stage, AGENT, certificate, more)
}

fn connect_as(stage: &Stage, role: &str, certificate: Option<&Identity>, more: &str) -> PsqlSession {
    let mut connection = stage.cluster.tcp_connection(role, DATABASE);
    connection += &format!(" sslmode=verify-ca sslrootcert='{}' {more}", stage.pki.bundle().display());
    match certificate {
        Some(identity) => {
            let (certificate, key) = (identity.chain_file(), identity.key.clone());
            connection += &format!(" sslcert='{}' sslkey='{}'", certificate.display(), key.display());
        }
        None => connection += " sslcert=none-such sslkey=none-such",
    }
    PsqlSession::open(&connection).unwrap_or_else(|said| panic!("{role} cannot connect: {said}"))
}

/// The rows that a statement shows, or SQLSTATE and slug of its refusal.
fn answer(session: &mut PsqlSession, statement: &str) -> String {
    let known = session.errors().len();
    let reply = session.run(statement);
    if reply.sqlstate == "00000" {
        return reply.rows;
    }
    let slug = wait_until("psql prints the error", || {
        let errors = session.errors();
        let detail = errors.get(known..)?.split_once("DETAIL:  ")?.1;
        Some(detail.split_once(':')?.0.to_owned())
    });
    format!("{} {slug}", reply.sqlstate)
}

fn bind(session: &mut PsqlSession, call: &str, proof: Option<&str>) -> String {
    let proof = proof.map(|proof| format!("'{proof}'")).unwrap_or_default();
    answer(session, &format!("select kakunin.{call}({proof})"))
}

const WHO: &str = "select concat_ws('|', kakunin_binding_source(), kakunin_agent_id(), (select count(*) from note))";
const NOBODY: &str = "0";

#[test]
fn a_client_certificate_binds_without_a_proof() {
    let stage = stage();
    let mut checks = Checks::new();
    for (name, key_type, version) in [
        ("rsa", KeyType::RSA_2048, "TLSv1.2"),
        ("p256", KeyType::P256, "TLSv1.2"),
        ("p384", KeyType::P384, "TLSv1.3"),
        ("ed25519", KeyType::Ed25519, "TLSv1.3"),
    ] {
        let request = LeafRequest::agent(name).tls_client().key_type(key_type);
        let agent = stage.pki.intermediate.issue(&request);
        stage.enrol(&agent);
        let versions = format!("ssl_min_protocol_version={version} ssl_max_protocol_version={version}");
        let mut session = connect(&stage, Some(&agent), &versions);
        let who = format!("tls|{name}|2");
        let protocol = "select version from pg_stat_ssl where pid = pg_backend_pid()";
        checks.equal(&format!("{name}: protocol"), answer(&mut session, protocol), version);
        checks.equal(&format!("{name}: at first nobody"), answer(&mut session, WHO), NOBODY);
        checks.equal(&format!("{name}: bind_session()"), bind(&mut session, "bind_session", None), "");
        checks.equal(&format!("{name}: bound"), answer(&mut session, WHO), who.clone());
        let serial = answer(&mut session, "select kakunin_cert_serial()");
        checks.equal(&format!("{name}: serial"), serial, agent.serial());
        // A TLS certificate is no proof that is used up.
        checks.equal(&format!("{name}: again"), bind(&mut session, "bind_session", None), "");
        answer(&mut session, "select kakunin.unbind_session()");
        checks.equal(&format!("{name}: unbound"), answer(&mut session, WHO), NOBODY);
        answer(&mut session, "begin");
        checks.equal(&format!("{name}: bind_transaction()"), bind(&mut session, "bind_transaction", None), "");
        checks.equal(&format!("{name}: in the transaction"), answer(&mut session, WHO), who.clone());
        answer(&mut session, "commit");
        checks.equal(&format!("{name}: after it"), answer(&mut session, WHO), NOBODY);
        answer(&mut session, "begin read only");
        checks.equal(&format!("{name}: read only"), bind(&mut session, "bind_transaction", None), "");
        checks.equal(&format!("{name}: read only, bound"), answer(&mut session, WHO), who.clone());
        answer(&mut session, "commit");
        // Workers have no connection of their own; they get what the leader was bound to.
        checks.equal(&format!("{name}: for a worker"), bind(&mut session, "bind_session", None), "");
        answer(&mut session, "set force_parallel_mode = on");
        checks.equal(&format!("{name}: in a worker"), answer(&mut session, WHO), who);
        // Two reconnecting clients share nothing.
        let mut other = connect(&stage, Some(&agent), &versions);
        checks.equal(&format!("{name}: another connection"), answer(&mut other, WHO), NOBODY);
    }
    checks.equal("no proof was used", stage.used_proofs(), 0);
}

#[test]
fn without_a_client_certificate_that_is_registered_there_is_nothing_to_bind() {
    let stage = stage();
    let mut checks = Checks::new();
    let known = agent(&stage, "alpha");
    let mut bare = connect(&stage, None, "");
    let mut local = PsqlSession::open(&stage.cluster.connection(AGENT, DATABASE)).expect("the socket is open");
    let stranger = stage.pki.intermediate.issue(&LeafRequest::agent("stranger").tls_client());
    let mut proxy = connect(&stage, Some(&stranger), "");
    for (name, session, slug) in [
        ("TLS without a certificate", &mut bare, "no_client_certificate"),
        ("a Unix socket", &mut local, "no_client_certificate"),
        ("a certificate that is not registered", &mut proxy, "certificate_unknown"),
    ] {
        for call in ["bind_session", "bind_transaction"] {
            for argument in [None, Some("null")] {
                let argument = argument.unwrap_or_default();
                let found = answer(session, &format!("select kakunin.{call}({argument})"));
                checks.equal(&format!("{name}, {call}({argument})"), found, format!("28000 {slug}"));
            }
        }
        checks.equal(&format!("{name}: nobody"), answer(session, WHO), NOBODY);
        // Each may bring a proof instead: no registered certificate contradicts it.
        checks.equal(&format!("{name}: a proof"), bind(session, "bind_session", Some(&stage.proof(&known))), "");
        checks.equal(&format!("{name}: bound by it"), answer(session, WHO), "proof|alpha|2");
    }
    // Registered while the connection is open.
    stage.enrol(&stranger);
    answer(&mut proxy, "select kakunin.unbind_session()");
    checks.equal("once it is registered", bind(&mut proxy, "bind_session", None), "");
    checks.equal("once it is registered: bound", answer(&mut proxy, WHO), "tls|stranger|2");

    // The handshake itself refuses whom the server's CA file does not cover, and a certificate for other purposes.
    let outsiders = Authority::root(&stage.pki.path().join("outside"), &CaRequest::new("outside"));
    let outsider = outsiders.issue(&LeafRequest::agent("outsider").tls_client());
    let purpose = stage.pki.intermediate.issue(&LeafRequest::agent("purpose"));
    for (name, identity) in [("another CA", &outsider), ("no clientAuth", &purpose)] {
        let connection = format!(
            "{} sslmode=require sslcert='{}' sslkey='{}'",
            stage.cluster.tcp_connection(AGENT, DATABASE),
            identity.chain_file().display(),
            identity.key.display()
        );
        checks.holds(name, PsqlSession::open(&connection).is_err(), ());
    }
}

#[test]
fn n11_a_proof_that_contradicts_the_tls_identity_is_refused() {
    let stage = stage();
    let mut checks = Checks::new();
    let (alpha, bravo) = (agent(&stage, "alpha"), agent(&stage, "bravo"));
    let mismatch = "28000 tls_identity_mismatch";
    let mut session = connect(&stage, Some(&alpha), "");
    for call in ["bind_session", "bind_transaction"] {
        let proof = stage.proof(&bravo);
        checks.equal(&format!("{call}, another agent"), bind(&mut session, call, Some(&proof)), mismatch);
        checks.equal(&format!("{call}: nobody"), answer(&mut session, WHO), NOBODY);
        let spent = bind(&mut connect(&stage, None, ""), call, Some(&proof));
        checks.equal(&format!("{call}: the proof had verified, and is spent"), spent, "28000 proof_reused");
    }
    checks.equal("the same agent", bind(&mut session, "bind_session", Some(&stage.proof(&alpha))), "");
    checks.equal("the same agent: bound", answer(&mut session, WHO), "proof|alpha|2");
    checks.equal("the same from TLS", bind(&mut session, "bind_session", None), "");
    checks.equal("the same from TLS: bound", answer(&mut session, WHO), "tls|alpha|2");
    let found = bind(&mut session, "bind_transaction", Some(&stage.proof(&bravo)));
    checks.equal("another one, when bound", found, mismatch);
    checks.equal("the first stays", answer(&mut session, WHO), "tls|alpha|2");

    // Another certificate of the same agent is another identity.
    let renewed = agent(&stage, "alpha");
    let found = bind(&mut session, "bind_session", Some(&stage.proof(&renewed)));
    checks.equal("a renewed certificate", found, mismatch);

    // A certificate that was revoked still names somebody: it cannot serve to act as somebody else.
    stage.revoke(&alpha);
    checks.equal("revoked", answer(&mut session, WHO), NOBODY);
    checks.equal("revoked, from TLS", bind(&mut session, "bind_session", None), "28000 certificate_revoked");
    answer(&mut session, "select kakunin.unbind_session()");
    checks.equal("revoked, another agent", bind(&mut session, "bind_session", Some(&stage.proof(&bravo))), mismatch);
    let mut reconnected = connect(&stage, Some(&alpha), "");
    let found = bind(&mut reconnected, "bind_session", Some(&stage.proof(&bravo)));
    checks.equal("revoked, on a new connection", found, mismatch);
    // Taken out of the registry, it is a stranger's like that of any proxy.
    let delete = format!("delete from kakunin.certificate where serial = '{}'", alpha.serial());
    stage.cluster.superuser().batch_execute(&delete).expect("a superuser may");
    let found = bind(&mut reconnected, "bind_session", Some(&stage.proof(&bravo)));
    checks.equal("not registered any more", found, "");
}

#[test]
fn a_session_bound_by_tls_ends_with_its_certificate() {
    let stage = stage();
    let mut checks = Checks::new();
    let alpha = agent(&stage, "alpha");
    let request = LeafRequest::agent("brief").tls_client().valid("-60", "86400");
    let brief = stage.pki.intermediate.issue(&request);
    stage.enrol(&brief);
    let (mut first, mut second) = (connect(&stage, Some(&alpha), ""), connect(&stage, Some(&brief), ""));
    for session in [&mut first, &mut second] {
        checks.equal("bind", bind(session, "bind_session", None), "");
    }
    stage.revoke(&alpha);
    checks.equal("revoked", answer(&mut first, WHO), NOBODY);
    checks.equal("revoked, bind", bind(&mut first, "bind_session", None), "28000 certificate_revoked");
    checks.equal("the other one", answer(&mut second, WHO), "tls|brief|2");
    stage.clock.advance(2 * 86_400);
    checks.equal("expired", answer(&mut second, WHO), NOBODY);
    checks.equal("expired, bind", bind(&mut second, "bind_session", None), "28000 certificate_expired");
    let insert = format!("insert into note (permitted_agent_serial, body) values ('{}', 'late')", brief.serial());
    checks.equal("expired, insert", second.run(&insert).sqlstate, "42501");
}

#[test]
fn n14_one_serial_and_two_long_issuer_names_are_told_apart_by_tls() {
    // Longer than the 63 characters that pg_stat_ssl shows, and different only behind those.
    let organization = "x".repeat(64);
    let mut authorities = Vec::new();
    let stage = Stage::with(|builder, pki| {
        let mut tls = pki.server_tls();
        let bundle = pki.path().join("clients.pem");
        let mut text = fs::read_to_string(pki.bundle()).expect("it was just written");
        for name in ["first", "second"] {
            let request = CaRequest::new(name).with(|request| request.organization(Some(&organization)));
            let authority = pki.root.issue_ca(&pki.path().join(name), &request);
            text += &authority.identity.pem();
            authorities.push(authority);
        }
        fs::write(&bundle, text).expect("the directory is ours");
        tls.client_ca = Some(bundle);
        builder.tls(tls)
    });
    let mut checks = Checks::new();
    let serial = "0102030405";
    let agents: Vec<Identity> = ["one", "two"]
        .iter()
        .zip(&authorities)
        .map(|(name, authority)| authority.issue(&LeafRequest::agent(name).tls_client().serial(serial)))
        .collect();
    let mut superuser = stage.cluster.superuser();
    for agent in &agents {
        let import = "select kakunin.import_certificate($1, $2, allow_shared_serial => true)";
        superuser.execute(import, &[&agent.der(), &agent.chain_der()]).expect("asked for");
    }
    stage.write_notes(serial, 1);
    let issuer = "select left(issuer_dn, 66) || '/' || client_serial from pg_stat_ssl where pid = pg_backend_pid()";
    let mut shown = Vec::new();
    for (name, agent, other) in [("one", &agents[0], &agents[1]), ("two", &agents[1], &agents[0])] {
        let mut session = connect(&stage, Some(agent), "");
        checks.equal(&format!("{name}: bind"), bind(&mut session, "bind_session", None), "");
        checks.equal(&format!("{name}: who"), answer(&mut session, WHO), format!("tls|{name}|1"));
        let fingerprint: String = agent.fingerprint().iter().map(|byte| format!("{byte:02x}")).collect();
        let found = answer(&mut session, "select kakunin_cert_fingerprint()");
        checks.equal(&format!("{name}: fingerprint"), found, fingerprint);
        let found = bind(&mut session, "bind_session", Some(&stage.proof(other)));
        checks.equal(&format!("{name}: the other"), found, "28000 tls_identity_mismatch");
        shown.push(answer(&mut session, issuer));
    }
    checks.equal("what PostgreSQL shows of both", &shown[0], &shown[1]);
}

#[test]
fn a_gateway_session_is_not_bound_by_its_own_certificate() {
    let stage = Stage::with(|builder, pki| builder.tls(pki.server_tls()).set("kakunin.trusted_gateways", "other_app"));
    let mut checks = Checks::new();
    let alpha = agent(&stage, "alpha");
    let mut gateway = connect_as(&stage, "other_app", Some(&alpha), "");
    checks.equal("bind_session()", bind(&mut gateway, "bind_session", None), "42501 session_binding_refused");
    let proof = stage.proof(&alpha);
    let found = bind(&mut gateway, "bind_session", Some(&proof));
    checks.equal("bind_session(proof)", found, "42501 session_binding_refused");
    answer(&mut gateway, "begin");
    checks.equal("the proof, unspent, for a transaction", bind(&mut gateway, "bind_transaction", Some(&proof)), "");
    checks.equal("bound", answer(&mut gateway, WHO), "proof|alpha|2");
    answer(&mut gateway, "commit");

    stage
        .cluster
        .superuser()
        .batch_execute("alter role app set kakunin.session_binding = off")
        .expect("a superuser may");
    let mut pooled = connect(&stage, Some(&alpha), "");
    checks.equal("switched off", bind(&mut pooled, "bind_session", None), "42501 session_binding_refused");
    let found = pooled.run("set kakunin.session_binding = on").sqlstate;
    checks.equal("an agent cannot switch it on", found, "42501");
}
