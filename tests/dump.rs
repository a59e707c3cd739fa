//! Dump and restore: the registry, the protected tables and what was revoked come back, and mean the same.

use kakunin_tests::scene::{ask, refused, run, state};
use kakunin_tests::stage::{AGENT, Stage, bind_session, notes, text, verdict};
use kakunin_tests::{CaRequest, Checks, Cluster, DATABASE, Identity, LeafRequest};
use postgres::Client;
use serde_json::json;

/// A database with everything in it that a dump must carry.
struct Source {
    stage: Stage,
    alpha: Identity,
    /// Revoked.
    bravo: Identity,
    /// Below a CA that was revoked.
    charlie: Identity,
}

impl Source {
    fn new() -> Self {
        let stage = Stage::new();
        let (alpha, bravo) = (stage.agent("alpha"), stage.agent("bravo"));
        let second = stage.pki.root.issue_ca(&stage.pki.path().join("second"), &CaRequest::new("second intermediate"));
        let charlie = second.issue(&LeafRequest::agent("charlie").scope(r#"{"allowed_actions":["a:b"],"v":1}"#));
        stage.enrol(&charlie);
        let mut superuser = stage.cluster.superuser();
        run(&mut superuser, TABLES);
        let insert = "insert into keeper.\"led ger\" (\"f p\", n) select encode($1::bytea, 'hex'), n
            from generate_series(1, 3) n";
        superuser.execute(insert, &[&alpha.fingerprint()]).expect("a superuser may");
        stage.revoke(&bravo);
        let revoke = "select kakunin.revoke_issuer($1, 'cACompromise', 'it''s \"gone\"')";
        superuser.execute(revoke, &[&second.identity.der()]).expect("a superuser may");
        Self { stage, alpha, bravo, charlie }
    }

    /// What the catalogue and the tables say; the same before and after.
    fn content(client: &mut Client) -> Vec<String> {
        let mut found: Vec<String> = CONTENT.iter().map(|query| ask(client, query)).collect();
        found.push(ask(client, "select severity, finding, object, detail, remedy from kakunin.doctor()"));
        found
    }

    /// Compares a restored database with this one, by its content and by what agents can do in it.
    fn compare(&self, name: &str, cluster: &Cluster, database: &str, checks: &mut Checks) {
        let mut superuser = cluster.connect("postgres", database);
        let content = Self::content(&mut superuser);
        for (found, expected) in content.iter().zip(Self::content(&mut self.stage.cluster.superuser())) {
            checks.equal(&format!("{name}: content"), found, &expected);
        }
        for (agent, answer) in [(&self.alpha, "active"), (&self.bravo, "revoked"), (&self.charlie, "active")] {
            let verified = "select kakunin.verify_certificate('$') #>> '{data,status}'";
            let verified = verified.replace('$', &agent.serial());
            let here = ask(&mut self.stage.cluster.superuser(), &verified);
            checks.equal(&format!("{name}: verify_certificate"), ask(&mut superuser, &verified), here.clone());
            if agent.serial() != self.charlie.serial() {
                checks.equal(&format!("{name}: the status"), here.to_lowercase(), answer.to_owned());
            }
        }
        let mut session = cluster.connect(AGENT, database);
        checks.equal(&format!("{name}: unbound"), notes(&mut session), 0);
        let old = verdict(bind_session(&mut session, &self.stage.proof(&self.alpha)));
        checks.equal(&format!("{name}: a proof for the other database"), old, refusal("proof_audience_wrong"));
        let audience = text(&mut session, "kakunin.proof_audience()").expect("it has one");
        let proof = |agent: &Identity, session: &mut Client| {
            let challenge = text(session, "kakunin.session_challenge()").expect("anyone may ask");
            let claims = json!({ "aud": audience, "jti": null, "nonce": challenge });
            self.stage.sign(agent, &self.stage.claims_but(claims))
        };
        for agent in [&self.bravo, &self.charlie] {
            let answer = proof(agent, &mut session);
            let found = verdict(bind_session(&mut session, &answer));
            checks.equal(&format!("{name}: a revoked agent"), found, refusal("certificate_revoked"));
        }
        let answer = proof(&self.alpha, &mut session);
        checks.equal(&format!("{name}: bind"), verdict(bind_session(&mut session, &answer)).0, "00000");
        checks.equal(&format!("{name}: own rows"), notes(&mut session), 2);
        for table in ["\"led ger\"", "\"led 1\""] {
            let count = format!("select count(*) from keeper.{table}");
            checks.equal(&format!("{name}: {table}"), ask(&mut session, &count), "3".to_owned());
            let mut unbound = cluster.connect(AGENT, database);
            checks.equal(&format!("{name}: {table}, unbound"), ask(&mut unbound, &count), "0".to_owned());
        }
        let foreign =
            format!("insert into note (permitted_agent_serial, body) values ('{}', 'x')", self.bravo.serial());
        checks.equal(&format!("{name}: writing for another"), state(&mut session, &foreign), "42501".to_owned());
        // What happens after the restore is announced as anywhere else.
        let revoke = format!("begin; select kakunin.revoke_certificate('{}')", self.alpha.serial());
        run(&mut superuser, &revoke);
        checks.equal(&format!("{name}: before the commit"), notes(&mut session), 2);
        run(&mut superuser, "commit");
        checks.equal(&format!("{name}: revoked"), notes(&mut session), 0);
    }

    fn dump(&self, file: &str, options: &[&str]) -> String {
        let path = self.stage.cluster.socket_directory().join(file).to_string_lossy().into_owned();
        let output = self.stage.cluster.tool("pg_dump", "postgres", &[options, &["-f", &path, DATABASE]].concat());
        assert!(output.success, "{}", output.stderr);
        assert_eq!(output.stderr, "", "a dump without a word");
        path
    }
}

fn refusal(slug: &str) -> (String, String) {
    ("28000".to_owned(), slug.to_owned())
}

fn restore(cluster: &Cluster, database: &str, runs: &[&[&str]]) {
    run(&mut cluster.connect("postgres", "postgres"), &format!("create database {database} template template0"));
    for arguments in runs {
        let all = [&["-d", database, "--exit-on-error"], *arguments].concat();
        let output = cluster.tool("pg_restore", "postgres", &all);
        assert!(output.success, "{arguments:?}: {}", output.stderr);
    }
}

#[test]
fn a_dump_of_a_database_comes_back_whole_in_every_format() {
    let source = Source::new();
    let mut checks = Checks::new();
    let custom = source.dump("custom", &["-Fc"]);
    let plain = source.dump("plain.sql", &["-Fp"]);
    let directory = source.dump("directory", &["-Fd", "-j", "2"]);
    let cluster = &source.stage.cluster;
    restore(cluster, "custom", &[&[&custom]]);
    source.compare("custom", cluster, "custom", &mut checks);
    let sections = ["pre-data", "data", "post-data"].map(|section| format!("--section={section}"));
    let runs = sections.each_ref().map(|section| [section.as_str(), custom.as_str()]);
    restore(cluster, "sections", &runs.each_ref().map(|run| &run[..]));
    source.compare("by sections", cluster, "sections", &mut checks);
    restore(cluster, "parallel", &[&["-j", "2", &directory]]);
    source.compare("directory, two jobs", cluster, "parallel", &mut checks);

    run(&mut cluster.connect("postgres", "postgres"), "create database plain template template0");
    let output = cluster.psql_over(&cluster.connection("postgres", "plain"), &format!("\\i {plain}"));
    assert!(output.success, "{}", output.stderr);
    source.compare("plain", cluster, "plain", &mut checks);

    // A copy by the server itself.
    run(&mut cluster.connect("postgres", "postgres"), &format!("create database cloned template {DATABASE}"));
    source.compare("a template", cluster, "cloned", &mut checks);
    // A dump of a restored database is the dump.
    let again = cluster.socket_directory().join("again.sql").to_string_lossy().into_owned();
    let output = cluster.tool("pg_dump", "postgres", &["-Fp", "-f", &again, "plain"]);
    checks.holds("dumped again", output.success, output.stderr);
}

#[test]
fn a_dump_of_a_whole_cluster_comes_back_in_another_one() {
    let source = Source::new();
    let mut checks = Checks::new();
    let target = Cluster::builder().fresh().without_extension().clock(&source.stage.clock).start();
    let globals = source.stage.cluster.tool("pg_dumpall", "postgres", &["--globals-only", "--no-role-passwords"]);
    assert!(globals.success, "{}", globals.stderr);
    let globals: String = globals
        .stdout
        .lines()
        .filter(|line| !line.ends_with("ROLE postgres;"))
        .map(|line| format!("{line}\n"))
        .collect();
    let output = target.psql("postgres", &globals);
    assert!(output.success, "{}", output.stderr);
    let custom = std::fs::read(source.dump("custom", &["-Fc"])).expect("it was written");
    let file = target.private_file("custom", &custom).to_string_lossy().into_owned();
    restore(&target, "moved", &[&["--single-transaction", &file]]);
    source.compare("another cluster", &target, "moved", &mut checks);
    let member = "select pg_has_role('admin', 'kakunin_admin', 'member')";
    checks.equal("who administers", ask(&mut target.connect("postgres", "moved"), member), "t".to_owned());
}

#[test]
fn an_upgrade_by_pg_upgrade_keeps_everything() {
    // Between two clusters of one version: another is not needed to see that each object can be written anew.
    let mut source = Source::new();
    let mut checks = Checks::new();
    let clock = &source.stage.clock;
    let mut target = Cluster::builder().fresh().without_extension().clock(clock).start();
    run(&mut target.connect("postgres", "postgres"), &format!("drop database {DATABASE}"));
    target.upgrade_from(&mut source.stage.cluster);
    source.compare("upgraded", &target, DATABASE, &mut checks);
    let update = "alter extension kakunin update; drop extension kakunin cascade; create extension kakunin";
    checks.equal("it is an extension still", state(&mut target.superuser(), update), "00000".to_owned());
}

#[test]
fn data_alone_goes_into_a_database_that_has_the_extension() {
    let source = Source::new();
    let mut checks = Checks::new();
    let data = source.dump("registry", &["-Fc", "--data-only", "-t", "kakunin.*"]);
    let schema = source.dump("schema", &["-Fc", "--schema-only"]);
    let cluster = &source.stage.cluster;
    restore(cluster, "parts", &[&[&schema]]);
    let mut superuser = cluster.connect("postgres", "parts");
    checks.equal("no registry yet", ask(&mut superuser, REGISTERED), "0|0|0".to_owned());
    let output = cluster.tool("pg_restore", "postgres", &["-d", "parts", "--exit-on-error", &data]);
    checks.holds("the data", output.success, output.stderr);
    checks.equal("the registry", ask(&mut superuser, REGISTERED), "1|3|2".to_owned());
    // Twice is refused, and changes nothing.
    let output = cluster.tool("pg_restore", "postgres", &["-d", "parts", "--exit-on-error", &data]);
    checks.holds("the data again", output.stderr.contains("duplicate key"), output.stderr);
    checks.equal("the registry, again", ask(&mut superuser, REGISTERED), "1|3|2".to_owned());
}

#[test]
fn a_restore_beside_bound_sessions_is_announced_to_them() {
    let source = Source::new();
    let mut checks = Checks::new();
    let stage = &source.stage;
    stage.revoke(&source.alpha);
    let revocations = source.dump("revocations", &["-Fc", "--data-only", "-t", "kakunin.revocation"]);
    let mut superuser = stage.cluster.superuser();
    for (name, options) in [("as it comes", None), ("without triggers", Some("--disable-triggers"))] {
        run(&mut superuser, "truncate kakunin.revocation");
        let mut session = stage.bound(&source.alpha);
        checks.equal(&format!("{name}: bound"), notes(&mut session), 2);
        let arguments = ["-d", DATABASE, "--exit-on-error", &revocations];
        let output = stage.cluster.tool("pg_restore", "postgres", &[options.as_slice(), arguments.as_slice()].concat());
        checks.holds(&format!("{name}: restored"), output.success, output.stderr);
        checks.equal(&format!("{name}: told"), notes(&mut session), 0);
    }
    // `pg_restore` enables the triggers again as ordinary ones, which do not fire for what replication applies.
    let rows = superuser.query("select severity, finding, object, remedy from kakunin.doctor()", &[]);
    let rows = rows.expect("doctor() does not fail");
    checks.holds("doctor() says so", !rows.is_empty(), rows.len());
    for row in rows {
        let found: [String; 3] = std::array::from_fn(|column| row.get(column));
        checks.equal("a row", found, ["high", "registry_trigger_off", "kakunin.revocation"]);
        run(&mut superuser, row.get(3));
    }
    checks.equal("mended", ask(&mut superuser, "select * from kakunin.doctor()"), String::new());
    run(&mut superuser, "truncate kakunin.revocation; set session_replication_role = replica");
    let mut session = stage.bound(&source.alpha);
    run(&mut superuser, &format!("select kakunin.revoke_certificate('{}')", source.alpha.serial()));
    checks.equal("as replication writes", notes(&mut session), 0);
}

#[test]
fn n01_an_agent_dumps_nothing_of_what_is_protected() {
    let source = Source::new();
    let cluster = &source.stage.cluster;
    let mut superuser = cluster.superuser();
    run(
        &mut superuser,
        "create role backup login in role pg_read_all_data; create role bypassing login bypassrls;
        grant pg_read_all_data to bypassing; create role by_audit login in role kakunin_auditor, pg_read_all_data;
        grant select on sequence note_id_seq to app",
    );
    let mut checks = Checks::new();
    let serial = source.alpha.serial();
    // Of everything, agents may not even read the registry.
    let output = cluster.tool("pg_dump", AGENT, &[DATABASE]);
    checks.holds("all, as an agent", output.stderr.contains("permission denied for "), &output.stderr);
    for (name, role, table) in [
        ("an agent", AGENT, "note"),
        ("the owner", "keeper", "keeper.\"led ger\""),
        ("the owner, a partition", "keeper", "keeper.\"led 1\""),
        ("a role that reads all data", "backup", "note"),
        ("an auditor that reads all data", "by_audit", "note"),
    ] {
        let output = cluster.tool("pg_dump", role, &["--data-only", "-t", table, DATABASE]);
        let partitioned = table.contains("ger");
        if !partitioned {
            let refused = !output.success && output.stderr.contains("row-level security policy");
            checks.holds(&format!("{name}: refused"), refused, &output.stderr);
        }
        checks.holds(&format!("{name}: nothing leaks"), !output.stdout.contains(&serial), &output.stdout);
        let output = cluster.tool(
            "pg_dump",
            role,
            &["--data-only", "--enable-row-security", "--inserts", "-t", table, DATABASE],
        );
        checks.holds(&format!("{name}, with row security"), output.success, &output.stderr);
        checks.holds(&format!("{name}, with row security: none"), !output.stdout.contains("INSERT"), &output.stdout);
    }
    // The options of a connection bind nobody, so that a dump cannot be made to see an agent's rows.
    let forged = format!("dbname={DATABASE} options='-c kakunin.binding={serial}'");
    let output =
        cluster.tool("pg_dump", AGENT, &["--data-only", "--enable-row-security", "--inserts", "-t", "note", &forged]);
    checks.holds("a forged option", !output.stdout.contains("INSERT"), &output.stdout);
    // The nearest that can: whoever bypasses.
    for (role, table) in [("bypassing", "note"), ("postgres", "note")] {
        let output = cluster.tool("pg_dump", role, &["--data-only", "--inserts", "-t", table, DATABASE]);
        checks.equal(&format!("{role}: all rows"), output.stdout.matches("INSERT").count(), 6);
    }
    let output = cluster.tool("pg_dump", "bypassing", &["-Fp", DATABASE]);
    checks.holds("the whole, as one that bypasses", output.success, &output.stderr);
    checks.holds("with the registry", output.stdout.contains("COPY kakunin.revocation"), output.stdout.len());
    // COPY of a table's rows is held to the same.
    let refusal = refused(&mut cluster.connect(AGENT, DATABASE), "set row_security = off; table note");
    checks.equal("row security off", refusal.sqlstate, "42501".to_owned());
}

const REGISTERED: &str =
    "select (select count(*) from kakunin.trust_anchor), (select count(*) from kakunin.certificate),
    (select count(*) from kakunin.revocation)";

const CONTENT: &[&str] = &[
    REGISTERED,
    "select md5(string_agg(t::text, '|' order by t::text)) from kakunin.trust_anchor t",
    "select md5(string_agg(t::text, '|' order by t::text)) from kakunin.certificate t",
    "select md5(string_agg(t::text, '|' order by t::text)) from kakunin.revocation t",
    "select md5(string_agg(t::text, '|' order by t::text)) from note t",
    "select schemaname, tablename, policyname, permissive, roles, cmd, qual, with_check from pg_policies
        order by 1, 2, 3",
    "select oid::regclass, relrowsecurity, relforcerowsecurity, coalesce(relacl, acldefault('r', relowner)) from pg_class
        where relnamespace::regnamespace::text in ('public', 'keeper', 'kakunin') and relkind in ('r', 'p', 'v')
        order by oid::regclass::text",
    "select tgrelid::regclass, tgname, tgenabled from pg_trigger where not tgisinternal order by 1, 2",
    "select obj_description(oid, 'pg_policy') from pg_policy order by polrelid::regclass::text, polname",
    "select p.oid::regprocedure, array(select unnest(coalesce(p.proacl, acldefault('f', p.proowner)))::text order by 1),
        p.provolatile, p.prosecdef, p.proconfig from pg_proc p
        join pg_depend d on d.objid = p.oid and d.classid = 'pg_proc'::regclass and d.deptype = 'e'
        where d.refobjid = (select oid from pg_extension where extname = 'kakunin') order by p.oid::regprocedure::text",
    "select extname, extversion, extnamespace::regnamespace, array(select unnest(extconfig)::regclass::text order by 1)
        from pg_extension where extname = 'kakunin'",
    "select definition from pg_views where schemaname = 'keeper'",
];

const TABLES: &str = r#"
    create role keeper login;
    create schema keeper authorization keeper;
    grant usage on schema keeper to app;
    set role keeper;
    create table keeper."led ger" ("f p" text default public.kakunin_cert_fingerprint(), n int) partition by list (n);
    create table keeper."led 1" partition of keeper."led ger" default;
    create function keeper.own(text) returns boolean stable language sql as
        'select $1 = (select public.kakunin_cert_fingerprint())';
    select from kakunin.protect_table('keeper."led ger"', 'f p', 'fingerprint', create_index => true);
    create policy "ne st" on keeper."led 1" as restrictive for select to app using (keeper.own("f p"));
    create view keeper.v with (security_invoker) as select n, public.kakunin_agent_id() from keeper."led ger";
    grant select on all tables in schema keeper to app;
    reset role;
"#;
