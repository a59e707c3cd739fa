//! Which certificates count: a proof by the right key is worth no more than the certificate that it names.

use kakunin_tests::stage::{Stage, bind, bind_session, notes, serial_seen, text, verdict};
use kakunin_tests::{Authority, CaRequest, Checks, Identity, LeafRequest, Pki, Refusals, wait_until};
use postgres::Client;

/// Puts a row into the registry past every check, as a superuser or a subscription could.
fn smuggle(stage: &Stage, agent: &Identity, certificate: &[u8], chain: &[Vec<u8>]) {
    let insert = "
        insert into kakunin.certificate
            (fingerprint, serial, issuer, issuer_der, subject, agent_id, not_before, not_after, certificate, chain)
        values ($1, $2, 'CN=x', $1, 'CN=x', 'smuggled', now() - interval '1 day', now() + interval '1 year', $3, $4)";
    let mut superuser = stage.cluster.superuser();
    let row = superuser.execute(insert, &[&agent.fingerprint(), &agent.serial(), &certificate, &chain]);
    row.expect("a superuser may");
}

fn import(stage: &Stage, agent: &Identity) -> (String, String) {
    let import = "select kakunin.import_certificate($1, $2)";
    verdict(stage.cluster.superuser().execute(import, &[&agent.der(), &agent.chain_der()]))
}

fn refusal(sqlstate: &str, slug: &str) -> (String, String) {
    (sqlstate.to_owned(), slug.to_owned())
}

#[test]
fn attack_04_a_certificate_of_the_wrong_kind_or_authority_binds_nothing() {
    let stage = Stage::new();
    let good = stage.agent("good");
    let mut refusals = Refusals::new(&stage);
    let issue = |request: LeafRequest| stage.pki.intermediate.issue(&request);

    let unregistered = stage.pki.agent("unregistered");
    refusals.refused("not registered", "certificate_unknown", &stage.proof(&unregistered));
    let nothing = stage.pki.root.identity.clone();
    refusals.refused("the root itself", "certificate_unknown", &stage.proof(&nothing));

    // Somebody else's PKI, with the same names throughout.
    let strangers = Pki::new();
    let stranger = strangers.agent("good");
    // A CA that calls itself as ours does, below nothing.
    let twin = Authority::root(&stage.pki.path().join("twin"), &CaRequest::new("kakunin test intermediate"));
    let mut below_twin = twin.issue(&LeafRequest::agent("good"));
    below_twin.chain = vec![twin.identity.certificate.clone(), stage.pki.intermediate.identity.certificate.clone()];
    // An agent that issues.
    let usurper = Authority::of(&stage.pki.path().join("usurper"), good.clone()).issue(&LeafRequest::agent("usurped"));
    let cases = [
        ("another PKI with the same names", stranger, "signature_invalid"),
        ("a CA of the same name", below_twin, "signature_invalid"),
        ("an agent as issuer", usurper, "issuer_not_ca"),
        ("an EKU of mail", issue(LeafRequest::agent("a").extended_key_usage("emailProtection")), "profile_violation"),
        ("a server's EKU", issue(LeafRequest::agent("b").extended_key_usage("serverAuth")), "profile_violation"),
        ("a CA", issue(LeafRequest::agent("d").basic_constraints("critical, CA:true")), "profile_violation"),
        ("no signing", issue(LeafRequest::agent("e").key_usage("critical, keyAgreement")), "profile_violation"),
        (
            "another trust domain",
            issue(LeafRequest::agent("f").without_names().uri("spiffe://evil.local/tenant/acme/agent/f")),
            "trust_domain_mismatch",
        ),
        (
            "two names",
            issue(LeafRequest::agent("g").uri("spiffe://kakunin.local/tenant/acme/agent/good")),
            "profile_violation",
        ),
        ("a scope that is none", issue(LeafRequest::agent("h").scope("{\"v\":1,\"v\":2}")), "scope_malformed"),
    ];
    for (name, agent, slug) in &cases {
        // What the import refuses is refused at the bind as well, however the row came to be there.
        let found = import(&stage, agent);
        refusals.checks.equal(&format!("{name}: import"), found, refusal("28000", slug));
        smuggle(&stage, agent, &agent.der(), &agent.chain_der());
        refusals.refused(name, slug, &stage.proof(agent));
        refusals.refused(&format!("{name}, again"), slug, &stage.proof(agent));
    }

    // A row whose bytes are not the certificate that its fingerprint names, or no certificate.
    let names_other = stage.pki.agent("names-other");
    smuggle(&stage, &names_other, &good.der(), &good.chain_der());
    refusals.refused("another certificate's bytes", "certificate_unknown", &stage.proof(&names_other));
    for (name, bytes, chain) in [
        ("no bytes", vec![], vec![]),
        ("garbage", vec![0x5a; 2000], vec![]),
        ("a megabyte of garbage", vec![0x30; 1 << 20], vec![]),
        ("cut off", good.der()[..200].to_vec(), vec![]),
    ] {
        let agent = stage.pki.agent(&name.replace(' ', "-"));
        smuggle(&stage, &agent, &bytes, &chain);
        let found = verdict(bind(&mut refusals.client, &stage.proof(&agent)));
        refusals.checks.equal(name, found.0, "22P03");
        refusals.checks.equal(&format!("{name}: unbound"), serial_seen(&mut refusals.client), None);
    }
    let chained = stage.pki.agent("chained");
    smuggle(&stage, &chained, &chained.der(), &[vec![0x30; 1000], vec![]]);
    let found = verdict(bind(&mut refusals.client, &stage.proof(&chained)));
    refusals.checks.holds("garbage as chain", found.0 == "28000" || found.0 == "22P03", &found);
    refusals.accepted("the good one", &stage.proof(&good));
}

#[test]
fn attack_04_a_certificate_outside_its_time_binds_nothing() {
    const DAY: i64 = 86_400;
    let stage = Stage::new();
    let mut checks = Checks::new();
    let for_a_day = stage.pki.intermediate.issue(&LeafRequest::agent("for-a-day").valid("-60", "86400"));
    let from_tomorrow = stage.pki.intermediate.issue(&LeafRequest::agent("from-tomorrow").valid("86400", "31536000"));
    // Its issuer ends first.
    let request = CaRequest::new("short").with(|request| request.valid("-300", "86400"));
    let short = stage.pki.root.issue_ca(&stage.pki.path().join("short"), &request);
    let below_short = short.issue(&LeafRequest::agent("below-short"));
    let always = stage.agent("always");
    for agent in [&for_a_day, &below_short] {
        stage.enrol(agent);
    }
    checks.equal(
        "import before its time",
        import(&stage, &from_tomorrow),
        refusal("28000", "certificate_not_yet_valid"),
    );
    stage.clock.advance(2 * DAY);
    stage.enrol(&from_tomorrow);
    stage.clock.advance(-2 * DAY);

    // A backend that has verified the chain before, and one that has not.
    let mut veteran = stage.connect();
    let mut bound = Vec::new();
    for agent in [&always, &for_a_day, &below_short] {
        checks.equal("within its time", verdict(bind(&mut veteran, &stage.proof(agent))).0, "00000");
        bound.push(stage.bound(agent));
    }
    let mut both = |name: &str, agent: &Identity, expected: (String, String)| {
        checks.equal(
            &format!("{name}: known chain"),
            verdict(bind(&mut veteran, &stage.proof(agent))),
            expected.clone(),
        );
        checks.equal(
            &format!("{name}: new session"),
            verdict(bind(&mut stage.connect(), &stage.proof(agent))),
            expected,
        );
    };
    both("before its time", &from_tomorrow, refusal("28000", "certificate_not_yet_valid"));
    stage.clock.advance(2 * DAY);
    both("after its time", &for_a_day, refusal("28000", "certificate_expired"));
    both("after its issuer's time", &below_short, refusal("28000", "certificate_expired"));
    both("within its time", &from_tomorrow, refusal("00000", ""));
    both("always", &always, refusal("00000", ""));
    // Whoever was bound while it was good.
    let rows: Vec<i64> = bound.iter_mut().map(notes).collect();
    checks.equal("rows of sessions that were bound before", rows, vec![2, 0, 0]);
    let expired = import(&stage, &for_a_day);
    checks.equal("import after its time", expired, refusal("28000", "certificate_expired"));
    stage.clock.advance(-4 * DAY);
    let rows: Vec<i64> = bound.iter_mut().map(notes).collect();
    checks.equal("with the clock set back before all of them", rows, vec![0, 0, 0]);
}

#[test]
fn n14_one_serial_under_two_authorities_is_two_identities() {
    let stage = Stage::new();
    let mut checks = Checks::new();
    let second = stage.pki.root.issue_ca(&stage.pki.path().join("second"), &CaRequest::new("second intermediate"));
    let serial = "5E11A100F00D";
    let one = stage.pki.intermediate.issue(&LeafRequest::agent("one").serial(serial));
    let two = second.issue(&LeafRequest::agent("two").serial(serial));
    stage.register(&one);
    checks.equal("a second one is refused", import(&stage, &two), refusal("42501", "serial_shared"));
    checks.equal("it binds nothing", verdict(bind(&mut stage.connect(), &stage.proof(&two))).1, "certificate_unknown");
    checks.equal("the first, imported again", import(&stage, &one), refusal("00000", ""));
    let mut superuser = stage.cluster.superuser();
    let shared = "select kakunin.import_certificate($1, $2, allow_shared_serial => true)";
    superuser.execute(shared, &[&two.der(), &two.chain_der()]).expect("asked for");

    // A table by fingerprint tells them apart.
    let table = "
        create table shared_note (id int, owner text);
        select from kakunin.protect_table('shared_note', 'owner', identity => 'fingerprint');
        grant select, insert on shared_note to app;";
    superuser.batch_execute(table).expect("a superuser may");
    let hex = |agent: &Identity| agent.fingerprint().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (id, agent) in [(1, &one), (2, &two)] {
        superuser.execute("insert into shared_note values ($1, $2)", &[&id, &hex(agent)]).expect("a superuser may");
    }
    let rows =
        |client: &mut Client| text(client, "select coalesce(string_agg(id::text, ','), 'none') from shared_note");
    let (mut session_one, mut session_two) = (stage.bound(&one), stage.bound(&two));
    for (name, session, agent, id) in [("one", &mut session_one, &one, "1"), ("two", &mut session_two, &two, "2")] {
        checks.equal(&format!("{name}: serial"), serial_seen(session), Some(serial.to_owned()));
        checks.equal(&format!("{name}: fingerprint"), text(session, "kakunin_cert_fingerprint()"), Some(hex(agent)));
        checks.equal(&format!("{name}: agent"), text(session, "kakunin_agent_id()"), Some(name.to_owned()));
        checks.equal(&format!("{name}: rows"), rows(session), Some(id.to_owned()));
        let wrong = format!("insert into shared_note values (3, '{}')", hex(if name == "one" { &two } else { &one }));
        checks.equal(&format!("{name}: a row of the other"), verdict(session.batch_execute(&wrong)).0, "42501");
        // The identity is the certificate, so the other one is another.
        let other = if name == "one" { &two } else { &one };
        let found = verdict(bind(session, &stage.proof(other)));
        checks.equal(&format!("{name}: binding the other"), found, refusal("42501", "already_bound"));
    }

    let ambiguous = verdict(superuser.batch_execute(&format!("select kakunin.revoke_certificate('{serial}')")));
    checks.equal("revoking by serial alone", ambiguous, refusal("42P08", "serial_ambiguous"));
    checks.equal(
        "nothing was revoked",
        (rows(&mut session_one), rows(&mut session_two)),
        (Some("1".into()), Some("2".into())),
    );
    let revoke = "select kakunin.revoke_certificate($1, fingerprint => $2)";
    let nobody: &[u8] = &[7; 32];
    let found = verdict(superuser.execute(revoke, &[&serial, &nobody]));
    checks.equal("revoking a fingerprint that is none", found, refusal("42704", "certificate_unknown"));
    superuser.execute(revoke, &[&serial, &two.fingerprint()]).expect("a superuser may");
    checks.equal("the other stays", rows(&mut session_one), Some("1".to_owned()));
    checks.equal("this one ends", rows(&mut session_two), Some("none".to_owned()));
    let found = verdict(bind(&mut stage.connect(), &stage.proof(&two)));
    checks.equal("it binds no more", found, refusal("28000", "certificate_revoked"));
    checks.equal("the other binds", verdict(bind(&mut stage.connect(), &stage.proof(&one))).0, "00000");
}

#[test]
fn n14_two_imports_at_once_do_not_share_a_serial_by_accident() {
    let stage = Stage::new();
    let mut checks = Checks::new();
    let second = stage.pki.root.issue_ca(&stage.pki.path().join("second"), &CaRequest::new("second intermediate"));
    for (end, expected) in [("commit", refusal("42501", "serial_shared")), ("rollback", refusal("00000", ""))] {
        let serial = if end == "commit" { "0A0B0C" } else { "0D0E0F" };
        let one = stage.pki.intermediate.issue(&LeafRequest::agent("one").serial(serial));
        let two = second.issue(&LeafRequest::agent("two").serial(serial));
        let mut first = stage.cluster.superuser();
        first.batch_execute("begin").expect("a transaction can begin");
        let import = "select kakunin.import_certificate($1, $2)";
        first.execute(import, &[&one.der(), &one.chain_der()]).expect("it can be registered");
        let mut observer = stage.cluster.superuser();
        let found = std::thread::scope(|scope| {
            let other = scope.spawn(|| super_import(&stage, &two));
            // It must wait for the first one's end, or have said no before.
            wait_until("the second import waits or ends", || {
                let waits = "exists (select from pg_stat_activity where wait_event_type = 'Lock')";
                (other.is_finished() || text(&mut observer, waits)? == "true").then_some(())
            });
            first.batch_execute(end).expect("it ends");
            other.join().expect("no panic")
        });
        checks.equal(&format!("while another import of this serial ends with {end}"), found, expected);
        let count = format!("(select count(*) from kakunin.certificate where serial = '{serial}')");
        checks.equal(&format!("registered, after {end}"), text(&mut observer, &count), Some("1".to_owned()));
    }
}

/// Imports in a transaction whose snapshot may be older than another import.
fn super_import(stage: &Stage, agent: &Identity) -> (String, String) {
    let mut superuser = stage.cluster.superuser();
    superuser.batch_execute("begin isolation level repeatable read; select 1").expect("a transaction can begin");
    let import = "select kakunin.import_certificate($1, $2)";
    let found = verdict(superuser.execute(import, &[&agent.der(), &agent.chain_der()]));
    superuser.batch_execute("commit").expect("it ends");
    found
}

#[test]
fn n10_an_error_on_the_way_never_leaves_a_session_bound() {
    let stage = Stage::new();
    let agent = stage.agent("alpha");
    let mut checks = Checks::new();
    let functions = "
        create function sneaky(proof text) returns void parallel safe language plpgsql as
            $$ begin perform kakunin.bind_transaction(proof); end $$;
        create function bind_then_fail(proof text, lasting boolean) returns text language plpgsql as $$
        begin
            if lasting then perform kakunin.bind_session(proof); else perform kakunin.bind_transaction(proof); end if;
            raise exception 'after the bind, as %', kakunin_cert_serial();
        exception when others then
            return sqlerrm;
        end $$;";
    stage.cluster.superuser().batch_execute(functions).expect("a superuser may");
    let stolen = text(&mut stage.bound(&agent), "current_setting('kakunin.binding')").expect("a bound session has one");
    let mut session = stage.connect();
    let mut after = |name: &str, session: &mut Client| {
        checks.equal(&format!("{name}: unbound"), (serial_seen(session), notes(session)), (None, 0));
        let setting = text(session, "current_setting('kakunin.binding', true)");
        checks.holds(&format!("{name}: no value"), setting.as_deref().unwrap_or_default().is_empty(), &setting);
        let forged = verdict(session.execute("select set_config('kakunin.binding', $1, false)", &[&stolen])).0;
        checks.equal(&format!("{name}: the gate is closed"), forged, "42501");
    };
    let mut expected = Vec::new();

    after("at first", &mut session);
    for function in ["bind_transaction", "bind_session"] {
        let query = format!("select kakunin.{function}($1), 1 / (length($1) - length($1))");
        let found = verdict(session.execute(&query, &[&stage.proof(&agent)])).0;
        expected.push(("an error behind it in the same statement", found, "22012"));
        after(&format!("{function}, then an error in the same statement"), &mut session);
        let proof = stage.proof(&agent);
        session.batch_execute("begin").expect("a transaction can begin");
        session.execute(&format!("select kakunin.{function}($1)"), &[&proof]).expect("a fresh proof binds");
        session.batch_execute("select 1/0").expect_err("a division by zero");
        session.batch_execute("commit").expect("it ends, rolled back");
        after(&format!("{function}, then an error, then COMMIT"), &mut session);
        let lasting = function == "bind_session";
        let said = session.query_one("select bind_then_fail($1, $2)", &[&stage.proof(&agent), &lasting]);
        let said: String = said.expect("it is caught").get(0);
        checks_bound(&said, &agent);
        after(&format!("{function} in a block that fails"), &mut session);
    }

    // Inside a parallel query settings cannot be changed: the setter itself raises, in a worker and in the leader.
    session.batch_execute("set force_parallel_mode = on").expect("anyone may");
    let proof = stage.proof(&agent);
    expected.push(("in a parallel worker", verdict(session.execute("select sneaky($1)", &[&proof])).0, "25000"));
    after("in a parallel worker", &mut session);
    session.batch_execute("reset force_parallel_mode").expect("anyone may");
    expected.push(("its proof is spent", verdict(bind(&mut session, &proof)).1, "proof_reused"));
    after("with a proof that a worker spent", &mut session);

    // It waits for the registry and gives up: nothing was spent, because nothing was verified yet.
    let mut superuser = stage.cluster.superuser();
    for table in ["certificate", "revocation", "trust_anchor"] {
        superuser.batch_execute(&format!("begin; lock table kakunin.{table}")).expect("a superuser may");
        let proof = stage.proof(&agent);
        let mut fresh = stage.connect();
        for (setting, state) in [("lock_timeout", "55P03"), ("statement_timeout", "57014")] {
            fresh.batch_execute(&format!("set {setting} = '50ms'")).expect("anyone may");
            expected.push(("while the registry is locked", verdict(bind(&mut fresh, &proof)).0, state));
            fresh.batch_execute(&format!("reset {setting}")).expect("anyone may");
        }
        superuser.batch_execute("rollback").expect("it ends");
        after(&format!("while {table} is locked"), &mut fresh);
        expected.push(("when it is free again", verdict(bind_session(&mut fresh, &proof)).0, "00000"));
        // What was looked up once need not be looked up again, as long as nothing was committed.
        expected.push(("rows", notes(&mut fresh).to_string(), "2"));
        superuser.batch_execute(&format!("begin; lock table kakunin.{table}")).expect("a superuser may");
        fresh.batch_execute("set lock_timeout = '50ms'").expect("anyone may");
        let found = fresh.query_one("select count(*) from note", &[]).map(|row| row.get::<_, i64>(0));
        let unchanged = found.as_ref().is_ok_and(|count| *count == 2);
        expected.push(("rows while the registry is locked", unchanged.to_string(), "true"));
        superuser.batch_execute("rollback").expect("it ends");
    }

    // In a transaction that has failed, and after a bind that was refused for another reason.
    session.batch_execute("begin").expect("a transaction can begin");
    session.batch_execute("select 1/0").expect_err("a division by zero");
    let proof = stage.proof(&agent);
    let simple = format!("select kakunin.bind_transaction('{proof}')");
    expected.push(("in a failed transaction", verdict(session.batch_execute(&simple)).0, "25P02"));
    session.batch_execute("rollback").expect("it ends");
    after("in a failed transaction", &mut session);
    expected.push(("its proof is as good as before", verdict(bind(&mut session, &proof)).0, "00000"));
    after("at the end", &mut session);
    for (name, found, wanted) in expected {
        checks.equal(name, found, wanted);
    }
}

fn checks_bound(said: &str, agent: &Identity) {
    assert_eq!(said, format!("after the bind, as {}", agent.serial()));
}
