//! Nonsense in every argument of every function: a verdict, NULL, or a refusal in our words. Never an internal error,
//! never a word about the code behind it, never a lost connection.
//!
//! The functions are asked of the catalogue, so that none can be forgotten; an argument of a type that no value is
//! listed for fails the test.

mod bad_input {
    pub mod values;
}

use bad_input::values::{
    ARRAYS, BIGINTS, BYTES, DOCUMENTS, INTEGERS, MOMENTS, NAMES, NUMERICS, RELATIONS, TEXT_ARRAYS, TEXTS,
};
use kakunin_core::Reason;
use kakunin_tests::{Authority, Checks, Cluster, DATABASE, Pki, refusal_of, scene};
use postgres::Client;
use std::fmt::Write;

// --- every function, every argument ---

#[test]
fn nonsense_in_any_argument_gets_an_answer_or_a_refusal_with_a_slug() {
    let stage = Stage::new();
    let mut checks = Checks::new();
    for role in ["app", "admin", "postgres"] {
        let mut client = stage.cluster.connect(role, DATABASE);
        for function in stage.functions() {
            stage.attempt(&mut checks, role, &mut client, &function.calls());
        }
    }
    stage.nothing_happened(&mut checks);
}

#[test]
fn nonsense_in_kakunin_allows_is_false_for_a_bound_session() {
    let stage = Stage::new();
    let agent = stage.pki.intermediate.issue(
        &kakunin_tests::LeafRequest::agent("a")
            .scope(r#"{"allowed_actions":["read:*"],"max_transaction_size":{"amount":"10","currency":"EUR"},"v":1}"#),
    );
    agent.register(&mut stage.cluster.superuser());
    let mut client = stage.cluster.connect("app", DATABASE);
    scene::bind_session(&mut client, &agent);
    let mut checks = Checks::new();
    let allows =
        |client: &mut Client, arguments: &str| scene::ask(client, &format!("select kakunin_allows({arguments})"));
    checks.equal("the nearest thing that is allowed", allows(&mut client, "'read:x', 10"), "t");
    for amount in
        NUMERICS.iter().filter(|amount| !["0::numeric", "null::numeric", "1e-16383::numeric"].contains(amount))
    {
        checks.equal(amount, allows(&mut client, &format!("'read:x', {amount}")), "f");
    }
    for action in TEXTS {
        checks.equal(action, allows(&mut client, action), "f");
    }
    let function = stage.functions().into_iter().find(|function| function.name.ends_with("kakunin_allows"));
    stage.attempt(&mut checks, "app, bound", &mut client, &function.expect("it exists").calls());
    checks.equal("still bound", scene::ask(&mut client, "select kakunin_agent_id()"), "a");
    stage.nothing_happened(&mut checks);
}

#[test]
fn a_null_is_never_a_yes() {
    let stage = Stage::new();
    let mut checks = Checks::new();
    let mut client = stage.cluster.connect("postgres", DATABASE);
    for function in stage.functions() {
        for (at, argument) in function.arguments.iter().enumerate() {
            let null = format!("null::{}", argument.type_name);
            let call = function.call(at, &null);
            // Whoever asks a yes-or-no question about nothing gets no yes.
            let asked = match &*function.result {
                "boolean" => format!("select coalesce(({call})::text, 'null')"),
                "kakunin.path_verdict" | "kakunin.certificate_verdict" if function.volatility != "v" => {
                    format!("select coalesce((({call}).valid)::text, 'null')")
                }
                _ => continue,
            };
            // What may be left out: then the certificate is good all the same.
            let may_be_left_out = argument.has_default || (function.name.ends_with("kakunin_allows") && at > 0);
            if !may_be_left_out {
                let answer = scene::try_ask(&mut client, &asked);
                checks.holds(
                    &call,
                    !matches!(answer.as_deref(), Ok("true")),
                    answer.map_err(|error| error.to_string()),
                );
            }
        }
    }
    stage.nothing_happened(&mut checks);
}

#[test]
fn no_bit_of_a_certificate_can_be_flipped() {
    let stage = Stage::new();
    let mut client = stage.cluster.connect("app", DATABASE);
    let accepted = |client: &mut Client, path: &str| {
        scene::ask(
            client,
            &format!(
                "select count(*) from generate_series(0, 8 * length(bad.thing('leaf')) - 1) place,
                    lateral (select bad.flip(bad.thing('leaf'), place) as leaf) each where {path}"
            ),
        )
    };
    let mut checks = Checks::new();
    let (chain, anchors) = ("array[bad.thing('intermediate')]", "array[bad.thing('root')]");
    for function in ["check_path", "check_certificate"] {
        let whole = format!("select (kakunin.{function}(bad.thing('leaf'), {chain}, now(), {anchors})).valid");
        checks.equal(&format!("{function}: as it was issued"), scene::ask(&mut client, &whole), "t");
        let one = format!("(kakunin.{function}(leaf, {chain}, now(), {anchors})).valid");
        checks.equal(&format!("{function}: one bit flipped"), accepted(&mut client, &one), "0");
        let shorter = format!(
            "select count(*) from generate_series(0, length(bad.thing('leaf')) - 1) bytes
            where (kakunin.{function}(substring(bad.thing('leaf') for bytes), {chain}, now(), {anchors})).valid"
        );
        checks.equal(&format!("{function}: cut off"), scene::ask(&mut client, &shorter), "0");
        let longer =
            format!("select (kakunin.{function}(bad.thing('leaf') || '\\x00', {chain}, now(), {anchors})).reason");
        checks.equal(&format!("{function}: one byte more"), scene::ask(&mut client, &longer), "certificate_malformed");
    }
    stage.nothing_happened(&mut checks);
}

#[test]
fn what_is_too_large_is_refused_before_it_is_parsed() {
    let stage = Stage::new();
    let mut client = stage.cluster.connect("app", DATABASE);
    let mut checks = Checks::new();
    let mut reason = |what: &str, certificate: &str, chain: &str, anchors: &str, crls: &str, expected: &str| {
        let query = format!("select (kakunin.check_path({certificate}, {chain}, now(), {anchors}, {crls})).reason");
        checks.equal(what, scene::ask(&mut client, &query), expected);
    };
    let (leaf, none, root) = ("bad.thing('leaf')", "'{}'::bytea[]", "array[bad.thing('root')]");
    let many = |what: &str, count: u32| format!("array_fill(bad.thing('{what}'), array[{count}])");
    reason("16 kB", "bad.garbage(16384)", none, root, none, "certificate_malformed");
    reason("one byte more", "bad.garbage(16385)", none, root, none, "certificate_too_large");
    reason("1 MB", "bad.garbage(1000000)", none, root, none, "certificate_too_large");
    reason("8 in the chain", leaf, &many("intermediate", 8), root, none, "ok");
    reason("9 in the chain", leaf, &many("intermediate", 9), root, none, "chain_too_long");
    reason("100000 in the chain", leaf, &many("intermediate", 100_000), root, none, "chain_too_long");
    reason("1024 anchors", leaf, &many("intermediate", 1), &many("root", 1024), none, "ok");
    reason("1025 anchors", leaf, &many("intermediate", 1), &many("root", 1025), none, "list_too_long");
    reason("65 revocation lists", leaf, &many("intermediate", 1), root, &many("crl", 65), "list_too_long");
    reason("no anchor", leaf, &many("intermediate", 1), none, none, "no_trust_anchor");
    stage.nothing_happened(&mut checks);
}

#[test]
fn what_a_request_carries_may_be_anything() {
    let stage = Stage::new();
    let mut checks = Checks::new();
    for role in ["app", "gateway"] {
        let mut client = stage.cluster.connect(role, DATABASE);
        for setting in ["request.headers", "request.jwt.claims", "request.method", "request.path"] {
            for value in TEXTS {
                let case = format!("{role}, {setting} {value}");
                scene::run(&mut client, "begin");
                let prepared = format!(
                    "select set_config('request.method', 'GET', true), set_config('request.path', '/t', true),
                        set_config('{setting}', coalesce({value}, ''), true)"
                );
                scene::run(&mut client, &prepared);
                stage.answered(&mut checks, &case, client.batch_execute("select kakunin.pre_request()"));
                scene::run(&mut client, "rollback");
                checks.equal(&case, scene::ask(&mut client, "select kakunin_cert_serial()"), "NULL");
            }
        }
    }
    stage.nothing_happened(&mut checks);
}

// --- texts that are not UTF-8 ---

#[test]
fn a_database_that_is_not_in_utf_8_is_refused() {
    // Scopes, proofs and canonical JSON are UTF-8: a text of another encoding would be another text.
    let cluster = Cluster::start();
    let mut checks = Checks::new();
    for (encoding, allowed) in [("SQL_ASCII", false), ("LATIN1", false), ("EUC_JP", false), ("UTF8", true)] {
        let database = format!("in_{}", encoding.to_lowercase());
        let create =
            format!("create database {database} template template0 encoding '{encoding}' lc_collate 'C' lc_ctype 'C'");
        cluster.connect("postgres", DATABASE).batch_execute(&create).expect("the name is new");
        let mut client = cluster.connect("postgres", &database);
        let created = client.batch_execute("create extension kakunin");
        if allowed {
            checks.holds(encoding, created.is_ok(), &created);
        } else {
            let refusal = refusal_of(created);
            checks.equal(encoding, (&*refusal.sqlstate, refusal.slug()), ("55000", "encoding_unsupported"));
            checks.holds(encoding, !refusal.hint.is_empty() && is_documented(refusal.slug()), &refusal);
            let left = "select count(*) from pg_namespace where nspname = 'kakunin'";
            checks.equal(encoding, scene::ask(&mut client, left), "0");
        }
    }
}

#[test]
fn a_client_of_another_encoding_is_understood() {
    let stage = Stage::new();
    let mut checks = Checks::new();
    // What the client sends and gets is converted by the server, before and after us.
    for encoding in ["LATIN1", "WIN1252", "SJIS", "UTF8"] {
        let script = format!(
            "set client_encoding = '{encoding}';
            select kakunin.model_hash_json(to_jsonb(convert_from('\\xc3a9', 'UTF8')));
            select kakunin.normalize_serial('fe:01');"
        );
        let output = stage.cluster.psql("app", &script);
        checks.equal(
            encoding,
            output.stdout,
            "sha256:f2886017e9c7abacf804b54d64787dce2b611c9544ba21f3affdd126a6e50086\nFE01\n".to_owned(),
        );
    }
    // Bytes that are no text of the client's encoding do not reach us.
    let script = "set client_encoding = 'UTF8';\nselect kakunin.normalize_serial(E'\\xff\\xfe');";
    let output = stage.cluster.psql("app", script);
    checks.holds("not UTF-8", !output.success && output.stderr.contains("invalid byte sequence"), &output);
    stage.nothing_happened(&mut checks);
}

// --- what the test stands on ---

/// A cluster with every kind of valid value in it, and functions that spoil them.
struct Stage {
    cluster: Cluster,
    pki: Pki,
    process: u32,
}

impl Stage {
    fn new() -> Self {
        let cluster = Cluster::builder().set("kakunin.trusted_gateways", "gateway").start();
        let pki = Pki::new();
        let mut superuser = cluster.superuser();
        superuser.batch_execute(ROLES).expect("the roles are new");
        let stage = Self { process: cluster.process(), cluster, pki };
        stage.prepare(&mut superuser);
        stage.pki.trust_root(&mut superuser);
        stage
    }

    /// What a database needs.
    fn prepare(&self, superuser: &mut Client) {
        superuser.batch_execute(SCHEMA).expect("the schema is new");
        let agent = self.pki.agent("victim");
        let revoked = self.pki.agent("gone");
        self.pki.intermediate.revoke(&revoked, "keyCompromise");
        let things = [
            ("leaf", agent.der()),
            ("intermediate", self.pki.intermediate.identity.der()),
            ("root", self.pki.root.identity.der()),
            ("crl", Authority::crl_der(&self.pki.intermediate.crl())),
            ("key", agent.public_key_der()),
            ("signature", agent.sign(b"message")),
            ("deep", nested_sequences(DEEP)),
        ];
        for (name, value) in things {
            superuser.execute("insert into bad.thing values ($1, $2)", &[&name, &value]).expect("the name is new");
        }
        let header = agent.proof_header();
        let proof = agent.jws(&header, &kakunin_tests::claims("kakunin:1/other"));
        superuser.execute("insert into bad.thing values ('proof', convert_to($1, 'UTF8'))", &[&proof]).expect("new");
    }

    fn functions(&self) -> Vec<Function> {
        functions(&mut self.cluster.superuser())
    }

    /// Makes the calls, and undoes each.
    fn attempt(&self, checks: &mut Checks, who: &str, client: &mut Client, calls: &[String]) {
        for batch in calls.chunks(64) {
            let answers = match client.query("select * from bad.attempt($1)", &[&batch]) {
                Ok(answers) => answers,
                Err(error) => panic!("{who}: {error:?}\nin one of:\n{}", batch.join("\n")),
            };
            for (call, answer) in batch.iter().zip(&answers) {
                let [state, message, detail, hint]: [Option<String>; 4] = std::array::from_fn(|at| answer.get(at));
                let [message, detail, hint] = [message, detail, hint].map(Option::unwrap_or_default);
                let name = format!("{who}: {call}");
                match state {
                    None => checks.holds(&name, true, ""),
                    Some(state) => self.refused_well(checks, &name, &state, &message, &detail, &hint),
                }
            }
        }
    }

    fn answered(&self, checks: &mut Checks, name: &str, answer: Result<(), postgres::Error>) {
        if answer.is_err() {
            let refusal = refusal_of(answer);
            self.refused_well(checks, name, &refusal.sqlstate, &refusal.message, &refusal.detail, &refusal.hint);
        } else {
            checks.holds(name, true, "");
        }
    }

    fn refused_well(&self, checks: &mut Checks, name: &str, state: &str, message: &str, detail: &str, hint: &str) {
        let shown: String = format!("{state} {message} / {detail} / {hint}").chars().take(300).collect();
        let leaks = ["panicked", ".rs:", "unwrap", "Box<dyn", "RUST_BACKTRACE"];
        let says = |text: &str| leaks.iter().any(|leak| text.contains(leak));
        let name: String = name.chars().take(300).collect();
        checks.holds(&format!("{name}: internal"), !state.starts_with("XX"), &shown);
        checks.holds(&format!("{name}: tells of code"), !says(message) && !says(detail) && !says(hint), &shown);
        checks.holds(&format!("{name}: at length"), message.len() + detail.len() + hint.len() < 4096, &shown);
        if is_postgres_own(state, message) {
            return;
        }
        let slug = detail.split_once(": ").map_or("", |(slug, _)| slug);
        checks.holds(&format!("{name}: no slug"), is_documented(slug), &shown);
        checks.holds(&format!("{name}: no hint"), !hint.is_empty() || !has_hint(slug), &shown);
        let known = [
            "0A000", "22P02", "22P03", "22023", "22004", "28000", "42501", "42703", "42704", "42804", "42809", "55000",
        ];
        checks.holds(&format!("{name}: SQLSTATE"), known.contains(&state), &shown);
    }

    /// No process of the server has ended, and its log has no word about code either.
    fn nothing_happened(&self, checks: &mut Checks) {
        let log = self.cluster.log();
        for word in ["panicked", "PANIC", "terminated by signal", ".rs:", "stack backtrace"] {
            let line = log.lines().find(|line| line.contains(word) && !line.contains("STATEMENT"));
            checks.equal(&format!("the log has {word:?}"), line, None);
        }
        checks.equal("the server", self.cluster.process(), self.process);
        for table in ["certificate", "revocation"] {
            let count = "registered by a call that was undone";
            let rows = scene::ask(&mut self.cluster.superuser(), &format!("select count(*) from kakunin.{table}"));
            checks.holds(count, rows == "0" || (table == "certificate" && rows == "1"), &rows);
        }
    }
}

/// Refusals in PostgreSQL's words: privileges, and what is not a call at all.
fn is_postgres_own(state: &str, message: &str) -> bool {
    let starts = |texts: &[&str]| texts.iter().any(|text| message.starts_with(text));
    match state {
        "42501" => starts(&["permission denied for", "permission denied: ", "must be owner of"]),
        // The catalogue says trigger, so PostgreSQL itself refuses the call.
        "0A000" => message.contains("can only be called as triggers") || message.contains("cannot accept a value"),
        "39P01" => true,
        _ => false,
    }
}

fn is_documented(slug: &str) -> bool {
    let page = include_str!("../docs/errors.md");
    !slug.is_empty() && page.lines().any(|line| line.starts_with("###") && line.trim_start_matches('#').trim() == slug)
}

/// Whether the table of reasons has a hint for this slug. Slugs of functions written in SQL are not in it.
fn has_hint(slug: &str) -> bool {
    if !Reason::SLUGS.contains(&slug) {
        return slug != "column_type";
    }
    let table = include_str!("../crates/kakunin-core/src/reason.rs");
    let entry = table.split_once(&format!(", \"{slug}\",")).expect("each reason is there").1;
    let entry = entry.split_once(";\n").expect("entries end with a semicolon").0;
    !entry.ends_with("\"\"")
}

struct Argument {
    name: String,
    type_name: String,
    has_default: bool,
}

struct Function {
    name: String,
    result: String,
    volatility: String,
    arguments: Vec<Argument>,
}

/// Every function of the extension, with its arguments.
fn functions(superuser: &mut Client) -> Vec<Function> {
    let query = "
        select p.oid::regproc::text, pg_get_function_result(p.oid), p.provolatile::text, n.nspname::text, p.proname::text,
            array(select coalesce(p.proargnames[at], '') from generate_series(1, p.pronargs) at),
            array(select format_type(type, null) from unnest(p.proargtypes::oid[]) with ordinality each (type, at) order by at),
            p.pronargdefaults::int
        from pg_proc p
            join pg_namespace n on n.oid = p.pronamespace
            join pg_depend d on d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
            join pg_extension e on e.oid = d.refobjid and e.extname = 'kakunin'
        order by 1";
    let rows = superuser.query(query, &[]).expect("the catalogue can be read");
    let functions: Vec<Function> = rows
        .iter()
        .map(|row| {
            let (names, types): (Vec<String>, Vec<String>) = (row.get(5), row.get(6));
            let required = names.len() - usize::try_from(row.get::<_, i32>(7)).expect("a count");
            let arguments = names.into_iter().zip(types).enumerate();
            Function {
                name: format!("{}.{}", row.get::<_, String>(3), row.get::<_, String>(4)),
                result: row.get(1),
                volatility: row.get(2),
                arguments: arguments
                    .map(|(at, (name, type_name))| Argument { name, type_name, has_default: at >= required })
                    .collect(),
            }
        })
        .collect();
    assert!(functions.len() > 30, "these are not all: {}", functions.len());
    functions
}

impl Function {
    /// A call with one argument spoiled and the others as they should be.
    fn call(&self, spoiled: usize, value: &str) -> String {
        let mut call = format!("{}(", self.name);
        for (at, argument) in self.arguments.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            let value = if at == spoiled { value.to_owned() } else { argument.valid() };
            write!(call, "{separator}{value}").expect("a String takes all");
        }
        call + ")"
    }

    fn calls(&self) -> Vec<String> {
        let mut calls = vec![self.call(usize::MAX, "")];
        let nulls: Vec<String> =
            self.arguments.iter().map(|argument| format!("null::{}", argument.type_name)).collect();
        calls.push(format!("{}({})", self.name, nulls.join(", ")));
        for (at, argument) in self.arguments.iter().enumerate() {
            calls.extend(argument.spoiled().iter().map(|value| self.call(at, value)));
        }
        calls
    }
}

impl Argument {
    /// A value that the function can use.
    fn valid(&self) -> String {
        let thing = |name: &str| format!("bad.thing('{name}')");
        match (&*self.name, &*self.type_name) {
            ("certificate", "bytea") => thing("leaf"),
            ("public_key", _) => thing("key"),
            ("signature", _) => thing("signature"),
            (_, "bytea") => thing("leaf"),
            ("chain", _) => format!("array[{}]", thing("intermediate")),
            ("anchors", _) => format!("array[{}]", thing("root")),
            ("crls", _) => "'{}'::bytea[]".to_owned(),
            (_, "bytea[]") => format!("array[{}]", thing("leaf")),
            ("algorithm", _) => "'ES256'".to_owned(),
            ("pem", _) => "kakunin.pem_encode(bad.thing('leaf'))".to_owned(),
            ("serial", _) => "'4A'".to_owned(),
            ("label", _) => "'CERTIFICATE'".to_owned(),
            ("identity", _) => "'serial'".to_owned(),
            ("reason", _) => "'unspecified'".to_owned(),
            ("proof", _) => "convert_from(bad.thing('proof'), 'UTF8')".to_owned(),
            ("action", _) => "'read:x'".to_owned(),
            ("model", "text") => "'{}'".to_owned(),
            (_, "text") => "null::text".to_owned(),
            ("serial_column", _) => "'s'::name".to_owned(),
            (_, "name") => "'s'::name".to_owned(),
            (_, "regclass") => "'bad.mine'::regclass".to_owned(),
            (_, "boolean") => "false".to_owned(),
            (_, "integer" | "bigint") => "1".to_owned(),
            (_, "text[]") => "'{}'::text[]".to_owned(),
            (_, "timestamp with time zone") => "now()".to_owned(),
            (_, "numeric") => "1::numeric".to_owned(),
            (_, "jsonb") => "'{}'::jsonb".to_owned(),
            (name, kind) => panic!("no valid value for argument {name} of type {kind}"),
        }
    }

    /// Values that it cannot use, or hardly.
    fn spoiled(&self) -> Vec<String> {
        let fixed: &[&str] = match &*self.type_name {
            "bytea" => BYTES,
            "bytea[]" => ARRAYS,
            "text" => TEXTS,
            "name" => NAMES,
            "jsonb" => DOCUMENTS,
            "numeric" => NUMERICS,
            "timestamp with time zone" => MOMENTS,
            "boolean" => &["null::boolean", "true"],
            "regclass" => RELATIONS,
            "integer" => INTEGERS,
            "bigint" => BIGINTS,
            "text[]" => TEXT_ARRAYS,
            other => panic!("no nonsense is listed for arguments of type {other}"),
        };
        let mut values: Vec<String> = fixed.iter().map(|value| (*value).to_owned()).collect();
        let valid = self.valid();
        let part = match (&*self.name, &*self.type_name) {
            (_, "bytea") => valid,
            ("crls", "bytea[]") => "bad.thing('crl')".to_owned(),
            (_, "bytea[]") => valid.trim_start_matches("array[").trim_end_matches(']').to_owned(),
            ("proof", _) => "bad.thing('proof')".to_owned(),
            ("pem", _) => "convert_to(kakunin.pem_encode(bad.thing('leaf')), 'UTF8')".to_owned(),
            _ => return values,
        };
        let wrapped = |value: String| match &*self.type_name {
            "bytea" => value,
            "bytea[]" => format!("array[{value}]"),
            _ => format!("bad.readable({value})"),
        };
        // Percent of its length, and a bit at that place.
        for percent in (0..100).step_by(2) {
            values.push(wrapped(format!("bad.cut({part}, {percent})")));
            values.push(wrapped(format!("bad.flip({part}, length({part}) * 8 * {percent} / 100 + {})", percent % 8)));
        }
        values
    }
}

/// DER that nests SEQUENCEs, each with its right length.
fn nested_sequences(depth: usize) -> Vec<u8> {
    // From the inside out, backwards: contents first.
    let mut reversed: Vec<u8> = vec![0, 5];
    for _ in 0..depth {
        let length = reversed.len();
        if length < 0x80 {
            reversed.push(u8::try_from(length).expect("below 128"));
        } else {
            let [_, a, b, c] = u32::try_from(length).expect("short").to_be_bytes();
            reversed.extend([c, b, a, 0x83]);
        }
        reversed.push(0x30);
    }
    reversed.reverse();
    reversed
}

const DEEP: usize = 10_000;

const ROLES: &str = "
    create role app login;
    create role gateway login;
    create role admin login in role kakunin_admin, kakunin_auditor, kakunin_agent;
";

const SCHEMA: &str = "
    create schema bad;
    create table bad.thing (name text primary key, value bytea not null);
    create function bad.thing(wanted text) returns bytea language sql stable
        as $$ select value from bad.thing where name = wanted $$;
    create function bad.garbage(bytes int) returns bytea language sql immutable
        as $$ select substring(string_agg(sha256(n::text::bytea), '' order by n) for bytes) from generate_series(0, bytes / 32) n $$;
    create function bad.cut(value bytea, percent int) returns bytea language sql immutable
        as $$ select substring(value for length(value) * percent / 100) $$;
    create function bad.flip(value bytea, place int) returns bytea language sql immutable
        as $$ select set_bit(value, place, 1 - get_bit(value, place)) $$;
    -- A flipped byte of a text may be none any more: then a question mark stands there.
    create function bad.readable(value bytea) returns text language sql immutable
        as $$ select translate(encode(value, 'escape'), '\\', '?') $$;
    create function bad.deep(opening text, closing text) returns jsonb language sql immutable
        as $$ select (repeat(opening, 10000) || '1' || repeat(closing, 10000))::jsonb $$;
    create function bad.attempt(calls text[])
        returns table (state text, message text, detail text, hint text)
        language plpgsql
    as $$
    declare
        call text;
        answer text;
    begin
        foreach call in array calls loop
            begin
                execute 'select (' || call || ')::text' into answer;
                raise exception using errcode = 'UNDO1';
            exception
                when sqlstate 'UNDO1' then
                    state := null; message := null; detail := null; hint := null;
                when others then
                    get stacked diagnostics message = message_text, detail = pg_exception_detail, hint = pg_exception_hint;
                    state := sqlstate;
                    -- The client reads UTF-8, whatever this database holds.
                    message := encode(convert_to(message, getdatabaseencoding()), 'escape');
                    detail := encode(convert_to(detail, getdatabaseencoding()), 'escape');
                    hint := encode(convert_to(hint, getdatabaseencoding()), 'escape');
            end;
            return next;
        end loop;
    end
    $$;
    create table bad.mine (s text);
    create table bad.foreign_owned (s text);
    create view bad.view as select s from bad.mine;
    create sequence bad.number;
    alter table bad.mine owner to app;
    alter view bad.view owner to app;
    grant usage on schema bad to public;
    grant select on bad.thing to public;
";
