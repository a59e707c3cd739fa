//! `kakunin_allows`: scopes, questions, answers. docs/scope.md is the rule.

use kakunin_tests::scene::{Scene, ask, bind_session, run};
use kakunin_tests::stage::Stage;
use kakunin_tests::{Checks, LeafRequest};
use postgres::Client;

/// A session bound to a new certificate with this scope, and its serial number.
fn session_with(scene: &Scene, serial: &str, scope: Option<&str>) -> Client {
    let request = LeafRequest::agent("scoped").serial(serial).without_extension(SCOPE_OID);
    let request = match scope {
        Some(scope) => request.scope(scope),
        None => request,
    };
    let agent = scene.pki.intermediate.issue(&request);
    agent.register(&mut scene.superuser());
    let mut session = scene.app();
    bind_session(&mut session, &agent);
    session
}

/// Arguments of `kakunin_allows`, and the answer.
type Question<'a> = (&'a str, bool);

/// Asks each question of each scope; without one, of a certificate that has none.
fn check_all(scopes: &[(Option<&str>, &[Question])]) {
    let scene = Scene::new();
    let mut checks = Checks::new();
    for (number, (scope, questions)) in scopes.iter().enumerate() {
        let mut session = session_with(&scene, &format!("{:02X}", 0x50 + number), *scope);
        for (question, expected) in *questions {
            let name = format!("{}: {question}", scope.unwrap_or("no scope"));
            checks.equal(&name, allows(&mut session, question), *expected);
        }
    }
}

fn allows(session: &mut Client, arguments: &str) -> bool {
    match &*ask(session, &format!("select kakunin_allows({arguments})")) {
        "t" => true,
        "f" => false,
        other => panic!("{arguments}: {other}"),
    }
}

#[test]
fn an_action_is_allowed_by_its_name_or_its_name_space() {
    let names = r#"{"allowed_actions":["orders:create","data.*","ns:sub:*","über:*"],"v":1}"#;
    check_all(&[
        (
            Some(names),
            &[
                ("'orders:create'", true),
                ("action => 'orders:create'", true),
                ("'orders:delete'", false),
                ("'orders:create:x'", false),
                ("'orders:'", false),
                ("'orders'", false),
                ("'orders.create'", false),
                ("'ORDERS:create'", false),
                ("' orders:create'", false),
                ("'orders:create '", false),
                ("E'orders:create\\n'", false),
                ("'data.read'", true),
                ("'data.read.all'", true),
                ("'data.read:all'", true),
                ("'data'", false),
                ("'data.'", false),
                ("'data..read'", false),
                ("'data.read.'", false),
                ("'data:read'", false),
                ("'database.read'", false),
                ("'DATA.read'", false),
                ("'data.*'", false),
                ("'data.a*'", false),
                ("'data.r ead'", false),
                ("'data.' || repeat('a', 250)", true),
                ("'data.' || repeat('a', 251)", false),
                ("repeat('a', 1000000)", false),
                ("'data.' || repeat('.', 1000000)", false),
                ("E'data.\\x01'", false),
                ("'ns:sub:x'", true),
                ("'ns:other'", false),
                ("'ns:sub'", false),
                ("'über:x'", true),
                // The same letter in two code points.
                ("U&'u\\0308ber:x'", false),
                ("'uber:x'", false),
                ("'*'", false),
                ("''", false),
                ("null", false),
                ("null, 0", false),
            ],
        ),
        (Some(r#"{"allowed_actions":[],"v":1}"#), &[("'orders:create'", false), ("''", false), ("null", false)]),
        (Some(r#"{"v":1}"#), &[("'orders:create'", false), ("null", false)]),
        // It binds identity only.
        (None, &[("'orders:create'", false), ("'*'", false), ("null", false), ("'a', 0, 'x', 'x', 'x', 'x'", false)]),
    ]);
}

#[test]
fn an_amount_is_held_against_every_limit_to_the_last_digit() {
    check_all(&[
        (
            Some(r#"{"allowed_actions":["a"],"max_transaction_size":{"amount":"2500.5","currency":"EUR"},"v":1}"#),
            &[
                ("'a', 2500.5", true),
                ("'a', 2500.50", true),
                ("'a', 2500.49", true),
                ("'a', 2500.51", false),
                ("'a', 2500.500000000000000000000000000001", false),
                ("'a', 1e3", true),
                ("'a', 2501", false),
                ("'a', 10000", false),
                ("'a', 0", true),
                ("'a', 0.00", true),
                ("'a', '-0'", true),
                ("'a', 0.000000001", true),
                ("'a', -0.01", false),
                ("'a', -2500", false),
                ("'a', 'NaN'", false),
                ("'a', 'Infinity'", false),
                ("'a', '-Infinity'", false),
                ("'a', 1e100", false),
                ("'a', 1e-100", false),
                ("'a', 1e131071", false),
                ("'a', -1e131071", false),
                // A limit that is set must be given its parameter.
                ("'a', null", false),
                ("'a'", false),
                ("'b', 1", false),
            ],
        ),
        (
            Some(r#"{"allowed_actions":["a"],"daily_limit":{"amount":"10000","currency":"EUR"},"v":1}"#),
            &[("'a', 10000", true), ("'a', 10000.01", false), ("'a', 0", true), ("'a'", false)],
        ),
        // Below both, at each.
        (
            Some(
                r#"{"allowed_actions":["a"],"daily_limit":{"amount":"50","currency":"EUR"},"max_transaction_size":{"amount":"100","currency":"EUR"},"v":1}"#,
            ),
            &[("'a', 50", true), ("'a', 50.01", false), ("'a', 100", false)],
        ),
        // Above it a human decides: that is not this function.
        (
            Some(
                r#"{"allowed_actions":["a"],"human_approval_threshold":{"amount":"1000","currency":"EUR"},"max_transaction_size":{"amount":"2500","currency":"EUR"},"v":1}"#,
            ),
            &[("'a', 1000", true), ("'a', 1000.01", false), ("'a', 2500", false), ("'a'", false)],
        ),
        // A threshold permits no amount by itself.
        (
            Some(r#"{"allowed_actions":["a"],"human_approval_threshold":{"amount":"1000","currency":"EUR"},"v":1}"#),
            &[("'a', 0", true), ("'a', 0.01", false), ("'a', 1000", false), ("'a'", false)],
        ),
        (
            Some(r#"{"allowed_actions":["a"],"max_transaction_size":{"amount":"0","currency":"EUR"},"v":1}"#),
            &[("'a', 0", true), ("'a', 0.01", false), ("'a'", false)],
        ),
        // No limit, no amount.
        (
            Some(r#"{"allowed_actions":["a"],"v":1}"#),
            &[
                ("'a'", true),
                ("'a', null", true),
                ("'a', 0", true),
                ("'a', 0.01", false),
                ("'a', -1", false),
                ("'a', 'NaN'", false),
            ],
        ),
        // More digits than a double or a 64-bit integer holds.
        (
            Some(
                r#"{"allowed_actions":["a"],"max_transaction_size":{"amount":"99999999999999999999999999999999999.99","currency":"EUR"},"v":1}"#,
            ),
            &[
                ("'a', 99999999999999999999999999999999999.99", true),
                ("'a', 100000000000000000000000000000000000", false),
                ("'a', 99999999999999999999999999999999999.991", false),
            ],
        ),
        // The older form: dollars as a JSON number.
        (
            Some(r#"{"counterparty_whitelist":["ACME"],"max_transaction_usd":100,"permitted_actions":["a"]}"#),
            &[
                ("'a', 100, 'ACME'", true),
                ("'a', 100.01, 'ACME'", false),
                ("'a', 100", false),
                ("'a', 100, 'Other'", false),
                ("'a', counterparty => 'ACME'", false),
            ],
        ),
    ]);
}

/// Member of the scope and parameter of the function.
const LISTS: [(&str, &str); 4] = [
    ("allowed_counterparties", "counterparty"),
    ("permitted_instruments", "instrument"),
    ("permitted_venues", "venue"),
    ("allowed_regions", "region"),
];

#[test]
fn counterparty_instrument_venue_and_region_must_be_named_and_listed() {
    let scene = Scene::new();
    let mut checks = Checks::new();
    let mut serial = 0x50;
    for (member, parameter) in LISTS {
        let others: Vec<&str> = LISTS.iter().map(|(_, other)| *other).filter(|other| *other != parameter).collect();
        for (list, questions) in [
            (
                r#"["EU","Zürich AG"]"#,
                &[
                    ("'EU'", true),
                    ("'Zürich AG'", true),
                    ("U&'Zu\\0308rich AG'", false),
                    ("'eu'", false),
                    ("'E'", false),
                    ("'EUR'", false),
                    ("' EU'", false),
                    ("'EU '", false),
                    ("'EU,Zürich AG'", false),
                    // A Greek capital that looks like an E.
                    ("U&'\\0395U'", false),
                    ("'*'", false),
                    ("'%'", false),
                    ("''", false),
                    ("null", false),
                ][..],
            ),
            (r#""*""#, &[("'EU'", true), ("''", true), ("null", true)]),
            ("[]", &[("'EU'", false), ("''", false), ("null", true)]),
            ("", &[("'EU'", false), ("''", false), ("null", true)]),
        ] {
            let limit = if list.is_empty() { String::new() } else { format!(r#","{member}":{list}"#) };
            let mut session = session_with(
                &scene,
                &format!("{serial:02X}"),
                Some(&format!(r#"{{"allowed_actions":["a"]{limit},"v":1}}"#)),
            );
            serial += 1;
            for (value, expected) in questions {
                let question = format!("'a', {parameter} => {value}");
                checks.equal(&format!("{member} {list}: {question}"), allows(&mut session, &question), *expected);
                // Another parameter does not stand for it, nor passes beside it.
                let question = format!("'a', {parameter} => {value}, {} => 'EU'", others[0]);
                checks.equal(&format!("{member} {list}: {question}"), allows(&mut session, &question), false);
            }
            let left_out = allows(&mut session, "'a'");
            let null = questions.iter().find(|(value, _)| *value == "null").map(|(_, expected)| *expected);
            checks.equal(&format!("{member} {list}: left out is null"), Some(left_out), null);
        }
    }
}

#[test]
fn every_rule_must_hold_at_once() {
    let scene = Scene::new();
    let scope = r#"{"allowed_actions":["orders:create"],"allowed_counterparties":["ACME"],"allowed_regions":["EU"],"max_transaction_size":{"amount":"1000","currency":"EUR"},"permitted_instruments":["EURUSD"],"permitted_venues":["XLON"],"v":1}"#;
    let mut session = session_with(&scene, "50", Some(scope));
    let mut checks = Checks::new();
    let good = ["'orders:create'", "1000", "'ACME'", "'EURUSD'", "'XLON'", "'EU'"];
    checks.equal("all of them", allows(&mut session, &good.join(", ")), true);
    for place in 0..good.len() {
        for wrong in ["null", if place == 1 { "1000.01" } else { "'x'" }] {
            let mut arguments = good;
            arguments[place] = wrong;
            let question = arguments.join(", ");
            checks.equal(&question, allows(&mut session, &question), false);
        }
    }
    // In a prepared statement, with columns for arguments, and in one call after the other.
    run(
        &mut session,
        "create temporary table deed as
            select n, case when n % 2 = 0 then 'orders:create' else 'orders:delete' end as action, 998.5 + n as amount
            from generate_series(0, 3) n;
         prepare ask(numeric) as select string_agg(
            kakunin_allows(action, amount + $1, 'ACME', 'EURUSD', 'XLON', 'EU')::text, ' ' order by n) from deed;
         set plan_cache_mode = force_generic_plan",
    );
    checks.equal("columns", ask(&mut session, "execute ask(0)"), "true false false false");
    checks.equal("columns", ask(&mut session, "execute ask(-0.5)"), "true false true false");
}

#[test]
fn operating_hours_are_read_from_the_servers_clock() {
    const DAY: i64 = 86_400;
    let stage = Stage::new();
    let scope = r#"{"allowed_actions":["a"],"operating_hours":[{"days":["mon","tue"],"from":"08:00","to":"18:00","tz":"+02:00"},{"days":["fri"],"from":"22:00","to":"02:00","tz":"UTC"}],"v":1}"#;
    let agent = stage.pki.intermediate.issue(&LeafRequest::agent("hours").scope(scope));
    stage.register(&agent);
    let mut session = stage.bound(&agent);
    let mut checks = Checks::new();
    // Day 4 of 1970 was a Monday; the next one of its kind that is to come.
    let monday = ((stage.clock.now() / DAY - 4) / 7 + 1) * 7 + 4;
    for (name, day, hour, minute, expected) in [
        ("Monday before eight in the zone", 0, 5, 59, false),
        ("Monday at eight", 0, 6, 0, true),
        ("Monday, the last minute", 0, 15, 59, true),
        ("Monday at six", 0, 16, 0, false),
        ("Tuesday", 1, 12, 0, true),
        ("Wednesday", 2, 12, 0, false),
        ("Friday before ten", 4, 21, 59, false),
        ("Friday at ten", 4, 22, 0, true),
        ("the night after Friday", 5, 1, 59, true),
        ("that night is over", 5, 2, 0, false),
        ("Saturday evening", 5, 23, 0, false),
        ("Monday a week later", 7, 6, 0, true),
    ] {
        let moment = (monday + day) * DAY + hour * 3600 + minute * 60;
        stage.clock.advance(moment + 2 - stage.clock.now());
        checks.equal(name, allows(&mut session, "'a'"), expected);
        // The session's own zone has no part in it.
        run(&mut session, "set timezone = 'Asia/Tokyo'");
        checks.equal(&format!("{name}, session in Tokyo"), allows(&mut session, "'a'"), expected);
        run(&mut session, "reset timezone");
    }
}

/// The default arc's scope.
const SCOPE_OID: &str = "1.3.6.1.4.1.99999.3";
