//! Ending the use of certificates: who may, in which ways, and that every session learns of it with the commit.

use kakunin_tests::stage::{Stage, bind, notes, serial_seen, text, verdict};
use kakunin_tests::{CaRequest, Checks, DATABASE, Identity, LeafRequest, Pki, wait_until};
use postgres::Client;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn refusal(sqlstate: &str, slug: &str) -> (String, String) {
    (sqlstate.to_owned(), slug.to_owned())
}

fn run(client: &mut Client, statements: &str) {
    if let Err(error) = client.batch_execute(statements) {
        panic!("{statements}: {error:?}");
    }
}

/// What a bound session and a new bind of the same agent make of the situation.
fn standing(stage: &Stage, session: &mut Client, agent: &Identity) -> (i64, String) {
    (notes(session), verdict(bind(&mut stage.connect(), &stage.proof(agent))).1)
}

#[test]
fn attack_05_a_revocation_reaches_the_next_statement_of_every_session() {
    let stage = Stage::new();
    let (alpha, bravo) = (stage.agent("alpha"), stage.agent("bravo"));
    let mut checks = Checks::new();
    let mut by_session = stage.bound(&alpha);
    let mut by_transaction = stage.connect();
    run(&mut by_transaction, "begin");
    bind(&mut by_transaction, &stage.proof(&alpha)).expect("a fresh proof binds");
    let mut bystander = stage.bound(&bravo);
    for session in [&mut by_session, &mut by_transaction, &mut bystander] {
        checks.equal("before", notes(session), 2);
    }

    // Who may.
    let revoke = format!("select kakunin.revoke_certificate('{}')", alpha.serial());
    let issuer = "select kakunin.revoke_issuer('\\x00')";
    let anchor = "select kakunin.remove_trust_anchor('\\x00')";
    let insert = "insert into kakunin.revocation (fingerprint, serial) values ('\\x00', '00')";
    run(&mut stage.cluster.superuser(), "create role auditor login in role kakunin_auditor");
    for (role, statements) in [
        ("app", &[&*revoke, issuer, anchor, insert, "delete from kakunin.trust_anchor"][..]),
        ("auditor", &[&*revoke, issuer, anchor, insert, "truncate kakunin.certificate"]),
        ("admin", &[insert, "delete from kakunin.revocation", "update kakunin.certificate set agent_id = 'x'"]),
    ] {
        let mut client = stage.cluster.connect(role, DATABASE);
        for statement in statements {
            checks.equal(&format!("{role}: {statement}"), verdict(client.batch_execute(statement)).0, "42501");
        }
    }
    checks.equal("a bound agent cannot either", verdict(by_session.batch_execute(&revoke)).0, "42501");
    checks.equal("and nothing happened", notes(&mut by_session), 2);

    let mut admin = stage.cluster.connect("admin", DATABASE);
    let row = "select r.serial, r.reason, r.detail, r.revoked_by::text, r.revoked_at::text
                 from kakunin.revoke_certificate($1, $2, $3) r";
    let told = |row: &postgres::Row| (0..5).map(|column| row.get::<_, Option<String>>(column)).collect::<Vec<_>>();
    let lower = alpha.serial().to_lowercase();
    let first = admin.query_one(row, &[&lower, &"keyCompromise", &"lost laptop"]).expect("an administrator may");
    let expected = [alpha.serial(), "keyCompromise".into(), "lost laptop".into(), "admin".into()].map(Some);
    checks.equal("what is recorded", &told(&first)[..4], &expected[..]);
    checks.equal("bound for the session", (notes(&mut by_session), serial_seen(&mut by_session)), (0, None));
    checks.equal(
        "bound for the transaction",
        (notes(&mut by_transaction), serial_seen(&mut by_transaction)),
        (0, None),
    );
    checks.equal("somebody else", notes(&mut bystander), 2);
    let mut newcomer = stage.connect();
    for session in [&mut by_session, &mut newcomer] {
        let found = verdict(bind(session, &stage.proof(&alpha)));
        checks.equal("binding it again", found, refusal("28000", "certificate_revoked"));
    }
    let found =
        verdict(admin.execute("select kakunin.import_certificate($1, $2)", &[&alpha.der(), &alpha.chain_der()]));
    checks.equal("importing it again", found, refusal("28000", "certificate_revoked"));
    let state = format!("kakunin.verify_certificate('{}') -> 'data' ->> 'status'", alpha.serial());
    checks.equal("its status", text(&mut admin, &state), Some("revoked".to_owned()));

    // A second revocation changes nothing.
    let second = admin.query_one(row, &[&alpha.serial(), &"superseded", &"again"]).expect("an administrator may");
    checks.equal("a second revocation", told(&second), told(&first));

    // A superseded certificate is one that was revoked, while its successor has a serial of its own.
    let successor = stage.pki.intermediate.issue(&LeafRequest::agent("bravo").key(&bravo.key));
    stage.enrol(&successor);
    admin.query_one(row, &[&bravo.serial(), &"superseded", &None::<&str>]).expect("an administrator may");
    checks.equal("superseded", standing(&stage, &mut bystander, &bravo), (0, "certificate_revoked".to_owned()));
    checks.equal("its successor", verdict(bind(&mut stage.connect(), &stage.proof(&successor))).0, "00000");
}

#[test]
fn what_cannot_be_revoked_is_said_in_a_sentence() {
    let stage = Stage::new();
    let agent = stage.agent("alpha");
    let mut checks = Checks::new();
    let mut session = stage.bound(&agent);
    let mut admin = stage.cluster.connect("admin", DATABASE);
    let root = stage.pki.root.identity.der();
    let hex: String = root.iter().map(|byte| format!("{byte:02x}")).collect();
    for (name, call, sqlstate, slug) in [
        ("no serial", "revoke_certificate(null)".to_owned(), "22023", "argument_null"),
        ("an empty serial", "revoke_certificate('')".to_owned(), "22P02", "serial_malformed"),
        ("a negative serial", "revoke_certificate('-01')".to_owned(), "22P02", "serial_malformed"),
        ("a megabyte", "revoke_certificate(repeat('A', 1000000))".to_owned(), "22P02", "serial_malformed"),
        ("an unknown serial", "revoke_certificate('0102')".to_owned(), "42704", "certificate_unknown"),
        (
            "an unknown reason",
            format!("revoke_certificate('{}', 'because')", agent.serial()),
            "22023",
            "revocation_reason_unknown",
        ),
        (
            "a hold",
            format!("revoke_certificate('{}', 'certificateHold')", agent.serial()),
            "22023",
            "revocation_reason_unknown",
        ),
        ("an issuer that is garbage", "revoke_issuer('\\x3000')".to_owned(), "22P03", "certificate_malformed"),
        ("an issuer that is null", "revoke_issuer(null)".to_owned(), "22023", "argument_null"),
        (
            "an issuer, with an unknown reason",
            format!("revoke_issuer('\\x{hex}', 'because')"),
            "22023",
            "revocation_reason_unknown",
        ),
    ] {
        let found = verdict(admin.batch_execute(&format!("select kakunin.{call}")));
        checks.equal(name, found, refusal(sqlstate, slug));
    }
    checks.equal(
        "an anchor that is none",
        text(&mut admin, "kakunin.remove_trust_anchor('\\x00')"),
        Some("false".into()),
    );
    checks.equal("an anchor that is null", text(&mut admin, "kakunin.remove_trust_anchor(null)"), Some("false".into()));
    checks.equal("nothing was revoked", notes(&mut session), 2);
    let reasons = ["unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded"];
    for reason in reasons.into_iter().chain(["cessationOfOperation", "privilegeWithdrawn", "aACompromise"]) {
        let agent = stage.pki.agent(reason);
        stage.register(&agent);
        let revoke = format!("select kakunin.revoke_certificate('{}', '{reason}')", agent.serial());
        checks.equal(reason, verdict(admin.batch_execute(&revoke)).0, "00000");
    }
    // A null reason is the one that says nothing.
    let revoke = format!("(kakunin.revoke_certificate('{}', null)).reason", agent.serial());
    checks.equal("a null reason", text(&mut admin, &revoke), Some("unspecified".to_owned()));
    checks.equal("with the first", notes(&mut session), 0);
}

#[test]
fn attack_05_revoking_an_issuer_or_removing_an_anchor_cuts_off_everyone_below() {
    let stage = Stage::new();
    let second = stage.pki.root.issue_ca(&stage.pki.path().join("second"), &CaRequest::new("second intermediate"));
    let alpha = stage.agent("alpha");
    let bravo = second.issue(&LeafRequest::agent("bravo"));
    stage.enrol(&bravo);
    let mut checks = Checks::new();
    let (mut first, mut other) = (stage.bound(&alpha), stage.bound(&bravo));
    // It has verified both chains before.
    let mut veteran = stage.connect();
    for agent in [&alpha, &bravo] {
        bind(&mut veteran, &stage.proof(agent)).expect("a fresh proof binds");
    }
    let mut admin = stage.cluster.connect("admin", DATABASE);
    let root = &stage.pki.root.identity;
    let good = (2, String::new());

    // An anchor that does not matter here keeps the list from being empty.
    let strangers = Pki::with(&CaRequest::new("another root"), &CaRequest::new("another intermediate"));
    let add = "select kakunin.add_trust_anchor($1)";
    admin.execute(add, &[&strangers.root.identity.der()]).expect("an administrator may");
    checks.equal("another anchor", standing(&stage, &mut first, &alpha), good.clone());

    let remove = "select kakunin.remove_trust_anchor($1)";
    let removed: bool = admin.query_one(remove, &[&root.fingerprint()]).expect("an administrator may").get(0);
    checks.equal("it was an anchor", removed, true);
    for (name, session, agent) in [("alpha", &mut first, &alpha), ("bravo", &mut other, &bravo)] {
        let found = standing(&stage, session, agent);
        checks.equal(&format!("{name} without its anchor"), found, (0, "issuer_unknown".to_owned()));
        let found = verdict(bind(&mut veteran, &stage.proof(agent)));
        checks.equal(&format!("{name} without its anchor, known chain"), found, refusal("28000", "issuer_unknown"));
    }
    admin.execute(add, &[&root.der()]).expect("an administrator may");
    for (name, session, agent) in [("alpha", &mut first, &alpha), ("bravo", &mut other, &bravo)] {
        checks.equal(&format!("{name} with its anchor back"), standing(&stage, session, agent), good.clone());
        let found = verdict(bind(&mut veteran, &stage.proof(agent))).0;
        checks.equal(&format!("{name} with its anchor back, known chain"), found, "00000");
    }

    let revoke = "select kakunin.revoke_issuer($1, 'cACompromise', 'stolen')";
    admin.execute(revoke, &[&second.identity.der()]).expect("an administrator may");
    checks.equal("below another issuer", standing(&stage, &mut first, &alpha), good.clone());
    checks.equal(
        "below the revoked issuer",
        standing(&stage, &mut other, &bravo),
        (0, "certificate_revoked".to_owned()),
    );
    let found = verdict(bind(&mut veteran, &stage.proof(&bravo)));
    checks.equal("below the revoked issuer, known chain", found, refusal("28000", "certificate_revoked"));
    let new = second.issue(&LeafRequest::agent("new"));
    let found = verdict(admin.execute("select kakunin.import_certificate($1, $2)", &[&new.der(), &new.chain_der()]));
    checks.equal("a new certificate below it", found, refusal("28000", "certificate_revoked"));

    // The root, by name: it still is an anchor, and it is revoked.
    admin.execute(revoke, &[&root.der()]).expect("an administrator may");
    checks.equal("below the revoked root", standing(&stage, &mut first, &alpha), (0, "certificate_revoked".to_owned()));
    let verdict_of = "(kakunin.check_certificate($1, $2)).reason";
    let row = admin.query_one(&format!("select {verdict_of}"), &[&alpha.der(), &alpha.chain_der()]);
    checks.equal("what a check says", row.expect("a question").get::<_, String>(0), "certificate_revoked");
}

#[test]
fn attack_05_a_revocation_that_is_rolled_back_changes_nothing() {
    let stage = Stage::new();
    let agent = stage.agent("alpha");
    let mut checks = Checks::new();
    let mut session = stage.bound(&agent);
    let mut superuser = stage.cluster.superuser();
    let revoke = format!("select kakunin.revoke_certificate('{}')", agent.serial());
    let good = (2, String::new());

    run(&mut superuser, &format!("begin; {revoke}"));
    checks.equal("before its commit", standing(&stage, &mut session, &agent), good.clone());
    run(&mut superuser, "rollback");
    checks.equal("after its rollback", standing(&stage, &mut session, &agent), good.clone());
    run(&mut superuser, &format!("begin; savepoint s; {revoke}; rollback to s; commit"));
    checks.equal("after ROLLBACK TO", standing(&stage, &mut session, &agent), good.clone());
    superuser.batch_execute(&format!("{revoke}; select 1/0")).expect_err("a division by zero");
    checks.equal("after an error", standing(&stage, &mut session, &agent), good.clone());
    let victim: i32 = superuser.query_one("select pg_backend_pid()", &[]).expect("a plain query").get(0);
    run(&mut superuser, &format!("begin; {revoke}"));
    run(&mut stage.cluster.superuser(), &format!("select pg_terminate_backend({victim})"));
    wait_until("the backend is gone", || superuser.batch_execute("select 1").is_err().then_some(()));
    checks.equal("after its backend was ended", standing(&stage, &mut session, &agent), good.clone());

    // Two-phase commit: another backend commits, which knows nothing of the change.
    let mut superuser = stage.cluster.superuser();
    let other = stage.pki.agent("bravo");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let chain: Vec<String> = other.chain_der().iter().map(|der| format!("'\\x{}'::bytea", hex(der))).collect();
    for change in [
        revoke.clone(),
        format!("select kakunin.import_certificate('\\x{}', array[{}])", hex(&other.der()), chain.join(",")),
        format!("select kakunin.remove_trust_anchor('\\x{}')", hex(&stage.pki.root.identity.fingerprint())),
        format!("select kakunin.revoke_issuer('\\x{}')", hex(&stage.pki.intermediate.identity.der())),
        "truncate kakunin.revocation".to_owned(),
    ] {
        let name = change.split('(').next().unwrap_or_default().to_owned();
        run(&mut superuser, &format!("begin; {change}"));
        let found = verdict(superuser.batch_execute("prepare transaction 'change'")).0;
        checks.equal(&format!("{name}, prepared"), found, "0A000");
        run(&mut superuser, "rollback");
        checks.equal(&format!("{name}: nothing is prepared"), prepared(&mut superuser), 0);
        checks.equal(&format!("after {name}, prepared"), standing(&stage, &mut session, &agent), good.clone());
    }
    // Reading the registry, and acting as an agent, can be prepared.
    run(&mut superuser, "begin; select count(*) from kakunin.revocation; prepare transaction 'reading'");
    checks.equal("a transaction that reads", prepared(&mut superuser), 1);
    run(&mut superuser, "rollback prepared 'reading'");
    run(&mut superuser, &format!("begin; {revoke}; commit"));
    checks.equal("after its commit", standing(&stage, &mut session, &agent), (0, "certificate_revoked".to_owned()));
}

fn prepared(client: &mut Client) -> i64 {
    client.query_one("select count(*) from pg_prepared_xacts", &[]).expect("a plain query").get(0)
}

#[test]
fn attack_05_however_the_registry_is_written_every_session_learns_of_it() {
    let stage = Stage::new();
    let mut checks = Checks::new();
    let mut superuser = stage.cluster.superuser();
    let revocation = |agent: &Identity| {
        let hex: String = agent.fingerprint().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("insert into kakunin.revocation (fingerprint, serial) values ('\\x{hex}', '{}')", agent.serial())
    };
    let mut next = 0;
    let mut agent = || {
        next += 1;
        let agent = stage.agent(&format!("agent-{next}"));
        // It has verified the chain and read the rows.
        let mut session = stage.bound(&agent);
        assert_eq!(notes(&mut session), 2);
        (agent, session)
    };
    let revoked = (0, "certificate_revoked".to_owned());

    let (victim, mut session) = agent();
    run(&mut superuser, &revocation(&victim));
    checks.equal("a plain insert", standing(&stage, &mut session, &victim), revoked.clone());
    run(&mut superuser, "delete from kakunin.revocation");
    checks.equal("taken back by a superuser", standing(&stage, &mut session, &victim), (2, String::new()));
    run(&mut superuser, &format!("{}; truncate kakunin.revocation", revocation(&victim)));
    checks.equal("emptied by a superuser", standing(&stage, &mut session, &victim), (2, String::new()));

    let (victim, mut session) = agent();
    run(&mut superuser, &format!("set session_replication_role = replica; {}", revocation(&victim)));
    checks.equal("as a replica", standing(&stage, &mut session, &victim), revoked.clone());
    run(&mut superuser, "set session_replication_role = origin");

    let (victim, mut session) = agent();
    let copy = superuser.copy_in("copy kakunin.revocation (fingerprint, serial) from stdin");
    let mut copy = copy.expect("a superuser may");
    let hex: String = victim.fingerprint().iter().map(|byte| format!("{byte:02x}")).collect();
    std::io::Write::write_all(&mut copy, format!("\\\\x{hex}\t{}\n", victim.serial()).as_bytes()).expect("it is read");
    copy.finish().expect("a superuser may");
    checks.equal("COPY", standing(&stage, &mut session, &victim), revoked.clone());

    let (victim, mut session) = agent();
    let (other, _) = agent();
    run(&mut superuser, &revocation(&other));
    let hex: String = victim.fingerprint().iter().map(|byte| format!("{byte:02x}")).collect();
    let change = format!("update kakunin.revocation set fingerprint = '\\x{hex}' where serial = '{}'", other.serial());
    run(&mut superuser, &change);
    checks.equal("an update", standing(&stage, &mut session, &victim), revoked.clone());

    let (victim, mut session) = agent();
    run(&mut superuser, &format!("do $$ begin {}; end $$", revocation(&victim)));
    checks.equal("in a block", standing(&stage, &mut session, &victim), revoked.clone());

    let (victim, mut session) = agent();
    let procedure =
        format!("create procedure p() language plpgsql as $$ begin {}; commit; end $$", revocation(&victim));
    run(&mut superuser, &procedure);
    run(&mut superuser, "call p()");
    checks.equal("in a procedure that commits", standing(&stage, &mut session, &victim), revoked.clone());

    // A certificate that is not registered any more binds nothing and keeps nothing.
    let (victim, mut session) = agent();
    let mut veteran = stage.connect();
    bind(&mut veteran, &stage.proof(&victim)).expect("a fresh proof binds");
    run(&mut superuser, &format!("delete from kakunin.certificate where serial = '{}'", victim.serial()));
    let gone = "certificate_unknown".to_owned();
    checks.equal("deleted", standing(&stage, &mut session, &victim), (0, gone.clone()));
    checks.equal("deleted, known chain", verdict(bind(&mut veteran, &stage.proof(&victim))).1, gone);
    stage.register(&victim);
    checks.equal("registered again", standing(&stage, &mut session, &victim), (2, String::new()));

    let (victim, mut session) = agent();
    run(&mut superuser, "truncate kakunin.trust_anchor");
    checks.equal("without any anchor", standing(&stage, &mut session, &victim), (0, "no_trust_anchor".to_owned()));
}

#[test]
fn attack_05_no_statement_that_starts_after_a_revocation_sees_rows() {
    const ROUNDS: usize = 12;
    const READERS: usize = 4;
    let stage = Stage::new();
    let agents: Vec<Identity> = (0..ROUNDS).map(|round| stage.agent(&format!("agent-{round}"))).collect();
    let mut checks = Checks::new();
    let mut binder = stage.connect();
    for (round, agent) in agents.iter().enumerate() {
        let mut sessions: Vec<Client> = (0..READERS).map(|_| stage.bound(agent)).collect();
        let (revoked, reads, late) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
        let proof = stage.proof(agent);
        std::thread::scope(|scope| {
            for (number, session) in sessions.iter_mut().enumerate() {
                let (revoked, reads, late) = (&revoked, &reads, &late);
                scope.spawn(move || {
                    if number % 2 == 1 {
                        run(session, "begin isolation level repeatable read");
                    }
                    let mut after = 0;
                    while after < 20 {
                        // Read before the statement starts: whoever sees it set must see no rows.
                        let must_be_empty = revoked.load(Ordering::SeqCst);
                        let count = notes(session);
                        reads.fetch_add(1, Ordering::SeqCst);
                        if must_be_empty {
                            after += 1;
                            if count > 0 {
                                late.fetch_add(1, Ordering::SeqCst);
                            }
                        }
                    }
                });
            }
            wait_until("the readers read", || (reads.load(Ordering::SeqCst) > 40).then_some(()));
            stage.revoke(agent);
            revoked.store(true, Ordering::SeqCst);
            // Signed before, presented after.
            let found = verdict(bind(&mut binder, &proof));
            checks.equal(&format!("round {round}: a bind"), found, refusal("28000", "certificate_revoked"));
        });
        checks.equal(&format!("round {round}: late reads"), late.load(Ordering::SeqCst), 0);
    }
}
