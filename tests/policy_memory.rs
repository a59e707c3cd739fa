//! A session that calls for a long time uses no more memory than one that has just begun.

use kakunin_tests::scene::{ask, run};
use kakunin_tests::stage::{AGENT, Stage};
use kakunin_tests::{Checks, DATABASE, LeafRequest, Python};
use postgres::Client;
use std::fs;

/// What a backend holds, in kilobytes: PostgreSQL's memory contexts, and the pages that the kernel has given it, in
/// which the allocator of Rust is too.
#[derive(Clone, Copy, Debug)]
struct Memory {
    contexts: u64,
    process: u64,
}

impl Memory {
    fn of(client: &mut Client) -> Self {
        let contexts = ask(client, "select sum(total_bytes) / 1024 from pg_backend_memory_contexts");
        let contexts = contexts.split('.').next().and_then(|whole| whole.parse().ok()).expect("a number");
        let process = ask(client, "select pg_backend_pid()");
        let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the backend lives");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux tells it");
        let process = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
        Self { contexts, process }
    }
}

/// A backend's memory after some calls, which fill caches, and after many more.
fn check(checks: &mut Checks, client: &mut Client, name: &str, calls: impl Fn(u32) -> String, many: u32) {
    for _ in 0..2 {
        run(client, &calls(many / 10));
    }
    let before = Memory::of(client);
    run(client, &calls(many));
    let after = Memory::of(client);
    let grown = |after: u64, before: u64| after.saturating_sub(before);
    checks.holds(
        &format!("{name}: {many} calls"),
        grown(after.contexts, before.contexts) <= KILOBYTES && grown(after.process, before.process) <= KILOBYTES,
        (before, after),
    );
}

/// The allocator's own coming and going. Of 10^5 calls that lose 16 bytes each it would be 1,600.
const KILOBYTES: u64 = 400;

const MANY: u32 = 100_000;

fn stage() -> Stage {
    let stage = Stage::with(|builder, _| builder.set("kakunin.trusted_gateways", "gateway"));
    run(&mut stage.cluster.superuser(), "create role gateway login; grant pg_read_all_stats to app, gateway");
    stage
}

/// Rows that are made one by one; in FROM, PostgreSQL would first put all of them into memory.
fn rows(count: u32) -> String {
    format!("(select generate_series(1, {count}) as n) as each")
}

/// A statement that evaluates an expression for each row.
fn each_row(expression: &'static str) -> impl Fn(u32) -> String {
    move |count| format!("select count({expression}) from {}", rows(count))
}

#[test]
fn readers_and_verify_signature_leave_memory_flat() {
    let stage = stage();
    let scope = r#"{"allowed_actions":["orders:*"],"max_transaction_size":{"amount":"2500","currency":"EUR"},"operating_hours":[{"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"00:00","to":"24:00","tz":"Europe/Berlin"}],"permitted_instruments":["EURUSD"],"v":1}"#;
    let agent = stage.pki.intermediate.issue(&LeafRequest::agent("alpha").scope(scope));
    stage.enrol(&agent);
    let mut app = stage.bound(&agent);
    let mut checks = Checks::new();
    let signature = agent.sign(b"hello");
    run(
        &mut app,
        "create temporary table material (key bytea, signature bytea); set max_parallel_workers_per_gather = 0",
    );
    app.execute("insert into material values ($1, $2)", &[&agent.public_key_der(), &signature]).expect("its own table");
    let good = "select kakunin.verify_signature('ES256-P1363', key, 'hello', signature) from material";
    checks.equal("the signature is good", ask(&mut app, good), "t");
    let allowed = "kakunin_allows('orders:create', 1, instrument => 'EURUSD')";
    checks.equal("the act is allowed", ask(&mut app, &format!("select {allowed}")), "t");

    // Volatile arguments, so that nothing is computed once.
    check(
        &mut checks,
        &mut app,
        "kakunin_cert_serial",
        each_row("case when n > random() then kakunin_cert_serial() end"),
        MANY,
    );
    for (name, expression) in [
        ("fingerprint", "case when n > random() then kakunin_cert_fingerprint() end"),
        ("agent and tenant", "case when n > random() then kakunin_agent_id() || kakunin_tenant_id() end"),
        ("status and source", "case when n > random() then kakunin_cert_status() || kakunin_binding_source() end"),
        ("scope", "case when n > random() then kakunin_scope() end"),
        ("instruments", "case when n > random() then kakunin_permitted_instruments() end"),
        ("allows", "kakunin_allows('orders:create', n % 2500, instrument => 'EURUSD')"),
        ("denies", "kakunin_allows('orders:' || n, n, 'x', 'y', 'z', 'u')"),
        ("current_binding", "case when n > random() then kakunin.current_binding() end"),
        ("normalize_serial", "kakunin.normalize_serial(to_hex(n))"),
        ("a signature that is none", "kakunin.verify_signature('ES256', ('x' || n)::bytea, 'hello', 'x')"),
    ] {
        check(&mut checks, &mut app, name, each_row(expression), MANY);
    }
    let verify = |message: &'static str| {
        move |count| {
            format!(
                "select count(kakunin.verify_signature('ES256-P1363', (select key from material), ({message})::bytea,
                    (select signature from material))) from {}",
                rows(count)
            )
        }
    };
    check(&mut checks, &mut app, "verify_signature", verify("left('hello' || n, 5)"), MANY);
    check(&mut checks, &mut app, "verify_signature, another message", verify("'x' || n"), MANY);
    // A point query each, with the policy's own call.
    let points = |count| {
        format!(
            "do $$ begin for i in 1..{count} loop perform from note where id = i; end loop; end $$;
             do $$ begin for i in 1..{count} loop execute 'select from note where id = 1'; end loop; end $$"
        )
    };
    check(&mut checks, &mut app, "planning and running under policies", points, MANY / 2);
}

#[test]
fn binding_and_being_refused_leave_memory_flat() {
    let stage = stage();
    let agent = stage.agent("alpha");
    let mut checks = Checks::new();
    let claims = format!(r#"{{"kakunin_cert_serial":"{}"}}"#, agent.serial());
    let requests = move |count: u32| {
        format!(
            "do $$ begin for i in 1..{count} loop
                 perform set_config('request.jwt.claims', '{claims}', true);
                 perform kakunin.pre_request();
                 if kakunin_cert_serial() is null then raise 'not bound'; end if;
                 commit;
             end loop; end $$"
        )
    };
    let mut gateway = stage.cluster.connect("gateway", DATABASE);
    check(&mut checks, &mut gateway, "a gateway's requests", &requests, MANY);
    let uncached = "alter role gateway set kakunin.chain_cache = off";
    run(&mut stage.cluster.superuser(), uncached);
    let mut gateway = stage.cluster.connect("gateway", DATABASE);
    checks.equal("the verdict is not kept", ask(&mut gateway, "show kakunin.chain_cache"), "off");
    check(&mut checks, &mut gateway, "a gateway's requests, the chain verified each time", &requests, MANY / 5);

    // Proofs by PyJWT, each for one use.
    let mut app = stage.cluster.connect(AGENT, DATABASE);
    let (header, claims) = (stage.header(&agent).to_string(), stage.claims().to_string());
    let key = agent.key.to_string_lossy();
    let printed = Python::with_packages().run("pyjwt_proofs.py", &[&key, agent.algorithm(), &header, &claims, "1800"]);
    let proofs: Vec<&str> = printed.lines().collect();
    run(&mut app, "create temporary table proof (n int primary key, text text)");
    let insert = "insert into proof select n, text from unnest($1::text[]) with ordinality as each (text, n)";
    app.execute(insert, &[&proofs]).expect("its own table");
    run(&mut app, "create temporary sequence next_proof");
    let binds = |count| {
        format!(
            "do $$ declare proof text; begin for i in 1..{count} loop
                 select p.text into strict proof from proof p where p.n = (select nextval('next_proof'));
                 perform kakunin.bind_session(proof);
                 if kakunin_binding_source() <> 'proof' then raise 'not bound'; end if;
                 perform kakunin.unbind_session();
                 commit;
             end loop; end $$"
        )
    };
    check(&mut checks, &mut app, "bind_session and unbind_session", binds, 1500);

    // Each refusal is an error that is caught: with a proof that was used, with a signature that is wrong, with text.
    let refusals = |proof: &'static str, slug: &'static str| {
        move |count| {
            format!(
                "do $$ declare said text; begin for i in 1..{count} loop
                     begin
                         perform kakunin.bind_transaction({proof});
                     exception when others then
                         get stacked diagnostics said = pg_exception_detail;
                         if said not like '{slug}:%' then raise '%', said; end if;
                     end;
                     commit;
                 end loop; end $$"
            )
        }
    };
    for (name, proof, slug, many) in [
        ("a used proof", "(select p.text from proof p where n = 1)", "proof_reused", MANY / 5),
        ("no proof", "'x.y.' || i", "proof_malformed", MANY),
        ("a long text", "repeat('x', 9000)", "proof_too_large", MANY / 5),
    ] {
        check(&mut checks, &mut app, name, refusals(proof, slug), many);
    }
}
