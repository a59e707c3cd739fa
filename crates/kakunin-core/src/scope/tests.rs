use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Friday, 15 January 2027, 08:00 UTC.
const AT: UnixTime = UnixTime::from_seconds(1_800_000_000);

/// Every member that version 1 has.
pub(super) fn full() -> Value {
    json!({
        "v": 1,
        "allowed_actions": ["orders:create", "data.*"],
        "allowed_counterparties": ["Bank B", "Bank A"],
        "permitted_instruments": ["XAU", "BTC-USD"],
        "permitted_venues": ["LSE"],
        "allowed_regions": ["EU", "CH"],
        "max_transaction_size": {"amount": "1000.5", "currency": "EUR"},
        "daily_limit": {"amount": "5000", "currency": "EUR"},
        "human_approval_threshold": {"amount": "900", "currency": "EUR"},
        "rate": {"n": 10, "per_seconds": 60},
        "operating_hours": [{"days": ["fri", "mon"], "from": "08:00", "to": "17:00", "tz": "UTC"}],
        "leverage_permitted": true,
        "max_leverage_ratio": "2.5",
        "model_hashes": ["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
        "max_depth": 2,
    })
}

pub(super) fn parse(value: &Value) -> Scope {
    Scope::parse(&value.to_string()).unwrap_or_else(|reason| panic!("{value}: {}", reason.detail()))
}

pub(super) fn refused(value: &Value) -> bool {
    match Scope::parse(&value.to_string()) {
        Ok(_) => false,
        Err(reason) => {
            assert_eq!(reason.slug(), "scope_malformed");
            true
        }
    }
}

/// [`full`] with some members replaced; null takes one away.
pub(super) fn full_with(changes: Value) -> Value {
    let mut value = full();
    for (name, change) in changes.as_object().unwrap() {
        let members = value.as_object_mut().unwrap();
        if change.is_null() {
            members.remove(name)
        } else {
            members.insert(name.clone(), change.clone())
        };
    }
    value
}

/// An act that [`full`] allows.
fn act() -> Action<'static> {
    Action {
        action: "orders:create",
        amount: Some("100"),
        currency: None,
        counterparty: Some("Bank A"),
        instrument: Some("XAU"),
        venue: Some("LSE"),
        region: Some("EU"),
        leverage: None,
        at: AT,
    }
}

fn outcome(scope: &Scope, act: &Action<'_>) -> &'static str {
    scope.allows(act).map_or_else(|reason| reason.slug(), |()| "allowed")
}

#[test]
fn the_canonical_form_is_fixed() {
    let expected = concat!(
        r#"{"allowed_actions":["orders:create","data.*"],"allowed_counterparties":["Bank A","Bank B"],"allowed_regions":["CH","EU"],"#,
        r#""daily_limit":{"amount":"5000","currency":"EUR"},"human_approval_threshold":{"amount":"900","currency":"EUR"},"#,
        r#""leverage_permitted":true,"max_depth":2,"max_leverage_ratio":"2.5","max_transaction_size":{"amount":"1000.5","currency":"EUR"},"#,
        r#""model_hashes":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],"#,
        r#""operating_hours":[{"days":["mon","fri"],"from":"08:00","to":"17:00","tz":"UTC"}],"permitted_instruments":["BTC-USD","XAU"],"#,
        r#""permitted_venues":["LSE"],"rate":{"n":10,"per_seconds":60},"v":1}"#,
    );
    assert_eq!(parse(&full()).to_canonical_json(), expected);
    assert_eq!(Scope::default().to_canonical_json(), r#"{"allowed_actions":[],"leverage_permitted":false,"v":1}"#);
}

#[test]
fn what_was_written_reads_back_to_the_same_scope() {
    for value in [
        full(),
        json!({"v": 1}),
        json!({"v": 1, "allowed_counterparties": "*", "permitted_instruments": [], "operating_hours": []}),
        json!({"maxTransactionSize": 10, "allowedHours": {"start": "22:00", "end": "06:00", "tz": "Asia/Tokyo"}}),
    ] {
        let scope = parse(&value);
        let written = scope.to_canonical_json();
        assert_eq!(Scope::parse(&written).as_ref(), Ok(&scope));
        assert_eq!(crate::json::canonicalize(&written).as_ref(), Ok(&written));
    }
}

#[test]
fn an_allowed_act_is_allowed_and_each_rule_denies_with_its_slug() {
    let scope = parse(&full());
    assert_eq!(outcome(&scope, &act()), "allowed");
    for (act, slug) in [
        (Action { action: "orders:delete", ..act() }, "scope_action_denied"),
        (Action { action: "data.read", ..act() }, "allowed"),
        (Action { action: "", ..act() }, "scope_action_denied"),
        (Action { amount: None, ..act() }, "scope_parameter_missing"),
        (Action { amount: Some("900"), ..act() }, "allowed"),
        (Action { amount: Some("900.01"), ..act() }, "scope_approval_required"),
        (Action { amount: Some("1000.50"), ..act() }, "scope_approval_required"),
        (Action { amount: Some("1000.51"), ..act() }, "scope_amount_exceeded"),
        (Action { currency: Some("EUR"), ..act() }, "allowed"),
        (Action { currency: Some("USD"), ..act() }, "scope_currency_denied"),
        (Action { currency: Some("eur"), ..act() }, "scope_currency_denied"),
        (Action { leverage: Some("2.50"), ..act() }, "allowed"),
        (Action { leverage: Some("2.51"), ..act() }, "scope_leverage_denied"),
        (Action { leverage: Some("-1"), ..act() }, "scope_leverage_denied"),
        (Action { counterparty: None, ..act() }, "scope_parameter_missing"),
        (Action { counterparty: Some("Bank C"), ..act() }, "scope_counterparty_denied"),
        (Action { counterparty: Some("bank a"), ..act() }, "scope_counterparty_denied"),
        (Action { instrument: None, ..act() }, "scope_parameter_missing"),
        (Action { instrument: Some("XA"), ..act() }, "scope_instrument_denied"),
        (Action { instrument: Some("ХAU"), ..act() }, "scope_instrument_denied"),
        (Action { instrument: Some(""), ..act() }, "scope_instrument_denied"),
        (Action { instrument: Some("*"), ..act() }, "scope_instrument_denied"),
        (Action { venue: None, ..act() }, "scope_parameter_missing"),
        (Action { venue: Some("NYSE"), ..act() }, "scope_venue_denied"),
        (Action { region: None, ..act() }, "scope_parameter_missing"),
        (Action { region: Some("US"), ..act() }, "scope_region_denied"),
        (Action { at: UnixTime(AT.0 - 1), ..act() }, "scope_hours_denied"),
        (Action { at: AT.plus_seconds(9 * 3600), ..act() }, "scope_hours_denied"),
        (Action { at: AT.plus_seconds(86_400), ..act() }, "scope_hours_denied"),
    ] {
        assert_eq!(outcome(&scope, &act), slug, "{act:?}");
    }
}

/// An amount that some readers would take for less than it is.
#[test]
fn attack_08_amounts_that_are_no_plain_numbers_are_denied() {
    let scope = parse(&full());
    for amount in [
        "",
        "NaN",
        "Infinity",
        "-Infinity",
        "inf",
        "-1",
        "-0",
        "+1",
        "1e2",
        "1E2",
        "0x1",
        " 1",
        "1 ",
        "1,0",
        "٣",
        "0100",
        "1.",
        ".1",
    ] {
        assert_eq!(outcome(&scope, &Action { amount: Some(amount), ..act() }), "scope_amount_malformed", "{amount:?}");
        let unlimited = json!({"v": 1, "allowed_actions": ["orders:create"]});
        let bare = Action { action: "orders:create", amount: Some(amount), ..Action::default() };
        assert_eq!(outcome(&parse(&unlimited), &bare), "scope_amount_malformed", "{amount:?}");
    }
    let forty_digits = "1".repeat(40);
    assert_eq!(outcome(&scope, &Action { amount: Some(&forty_digits), ..act() }), "scope_amount_malformed");
    for amount in ["0", "0.00", "899.99", "900.000"] {
        assert_eq!(outcome(&scope, &Action { amount: Some(amount), ..act() }), "allowed", "{amount:?}");
    }
}

/// What a scope does not mention it does not allow.
#[test]
fn pki_32_an_absent_member_allows_nothing_of_its_kind() {
    let scope = parse(&json!({"v": 1, "allowed_actions": ["orders:create"]}));
    let bare = Action { action: "orders:create", at: AT, ..Action::default() };
    assert_eq!(outcome(&scope, &bare), "allowed");
    for (act, slug) in [
        (Action { amount: Some("0"), ..bare }, "allowed"),
        (Action { amount: Some("0.01"), ..bare }, "scope_amount_exceeded"),
        (Action { counterparty: Some("a"), ..bare }, "scope_counterparty_denied"),
        (Action { instrument: Some("a"), ..bare }, "scope_instrument_denied"),
        (Action { venue: Some("a"), ..bare }, "scope_venue_denied"),
        (Action { region: Some("a"), ..bare }, "scope_region_denied"),
        (Action { leverage: Some("1"), ..bare }, "allowed"),
        (Action { leverage: Some("1.01"), ..bare }, "scope_leverage_denied"),
    ] {
        assert_eq!(outcome(&scope, &act), slug, "{act:?}");
    }
    for nothing in [json!({}), json!({"v": 1}), json!({"v": 1, "allowed_actions": []})] {
        assert_eq!(outcome(&parse(&nothing), &bare), "scope_action_denied");
    }
    assert_eq!(parse(&json!({})).max_depth(), 0);
}

#[test]
fn pki_32_a_star_waives_and_an_empty_list_closes() {
    let of = |names: Value| parse(&json!({"v": 1, "allowed_actions": ["a"], "permitted_venues": names}));
    let at_venue = |venue| Action { action: "a", venue, at: AT, ..Action::default() };
    assert_eq!(outcome(&of(json!("*")), &at_venue(Some("anywhere"))), "allowed");
    assert_eq!(outcome(&of(json!("*")), &at_venue(None)), "allowed");
    assert_eq!(outcome(&of(json!([])), &at_venue(Some("LSE"))), "scope_venue_denied");
    assert_eq!(outcome(&of(json!([])), &at_venue(None)), "allowed", "where no venue is allowed none need be named");
    assert_eq!(outcome(&of(json!(["LSE"])), &at_venue(None)), "scope_parameter_missing");
}

#[test]
fn each_limit_on_amounts_holds_by_itself() {
    let of = |limits: Value| {
        let mut value = json!({"v": 1, "allowed_actions": ["a"]});
        value.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
        parse(&value)
    };
    let money = |amount: &str| json!({"amount": amount, "currency": "USD"});
    let spend = |amount| Action { action: "a", amount, at: AT, ..Action::default() };
    let daily = of(json!({"daily_limit": money("10")}));
    assert_eq!(outcome(&daily, &spend(Some("10"))), "allowed");
    assert_eq!(outcome(&daily, &spend(Some("10.01"))), "scope_amount_exceeded", "one act beyond a day's limit");
    assert_eq!(outcome(&daily, &spend(None)), "scope_parameter_missing");
    let approval = of(json!({"human_approval_threshold": money("10")}));
    assert_eq!(outcome(&approval, &spend(None)), "scope_parameter_missing");
    assert_eq!(outcome(&approval, &spend(Some("5"))), "scope_amount_exceeded", "a threshold is no permission");
    let zero = of(json!({"max_transaction_size": money("0")}));
    assert_eq!(outcome(&zero, &spend(Some("0.00"))), "allowed");
    assert_eq!(outcome(&zero, &spend(None)), "scope_parameter_missing");
    let mixed = of(json!({"max_transaction_size": money("10"), "daily_limit": {"amount": "10", "currency": "EUR"}}));
    for currency in ["USD", "EUR"] {
        let spend = Action { currency: Some(currency), ..spend(Some("1")) };
        assert_eq!(outcome(&mixed, &spend), "scope_currency_denied", "one amount cannot be in two currencies");
    }
}

#[test]
fn leverage_needs_both_the_permission_and_the_ratio() {
    let with = |changes| outcome(&parse(&full_with(changes)), &Action { leverage: Some("2"), ..act() });
    assert_eq!(with(json!({})), "allowed");
    assert_eq!(with(json!({"leverage_permitted": false})), "scope_leverage_denied");
    assert_eq!(with(json!({"leverage_permitted": null})), "scope_leverage_denied");
    assert_eq!(with(json!({"max_leverage_ratio": null})), "scope_leverage_denied");
}

#[test]
fn counters_are_asked_for_when_a_limit_spans_several_acts() {
    assert!(parse(&full()).needs_counters());
    assert!(parse(&full_with(json!({"rate": null}))).needs_counters());
    assert!(parse(&full_with(json!({"daily_limit": null}))).needs_counters());
    let without = parse(&full_with(json!({"rate": null, "daily_limit": null})));
    assert!(!without.needs_counters() && without.rate().is_none() && without.daily_limit().is_none());
    assert_eq!(parse(&full()).rate(), Some(Rate { n: 10, per_seconds: 60 }));
    assert_eq!(parse(&full()).daily_limit().map(|limit| limit.amount.to_string()).as_deref(), Some("5000"));
}

#[test]
fn lists_are_shown_as_policies_may_use_them() {
    let scope = parse(&full());
    assert_eq!(scope.permitted_instruments(), Some(&["BTC-USD".to_owned(), "XAU".to_owned()][..]));
    assert_eq!(scope.allowed_actions(), ["orders:create", "data.*"]);
    assert_eq!(scope.model_hashes().map(<[String]>::len), Some(1));
    assert_eq!(scope.max_depth(), 2);
    for (instruments, expected) in [(json!("*"), None), (json!(null), None), (json!([]), Some(&[][..]))] {
        let scope = parse(&full_with(json!({"permitted_instruments": instruments})));
        assert_eq!(scope.permitted_instruments(), expected);
    }
}

/// The agent sees that it was refused and the slug, not the policy.
#[test]
fn no_denial_tells_what_the_scope_would_have_let_through() {
    let scope = parse(&full());
    for act in [
        Action { action: "x", ..act() },
        Action { amount: Some("99999"), ..act() },
        Action { amount: Some("950"), ..act() },
        Action { amount: None, ..act() },
        Action { currency: Some("USD"), ..act() },
        Action { leverage: Some("9"), ..act() },
        Action { counterparty: Some("x"), ..act() },
        Action { instrument: Some("x"), ..act() },
        Action { venue: Some("x"), ..act() },
        Action { region: Some("x"), ..act() },
        Action { at: AT.plus_seconds(-3600), ..act() },
    ] {
        let reason = scope.allows(&act).unwrap_err();
        assert_eq!(reason.class(), crate::Class::ActRefused);
        let shown = format!("{} {} {} {reason:?}", reason.message(), reason.detail(), reason.hint());
        for limit in ["1000", "5000", "900", "EUR", "2.5", "Bank", "BTC", "XAU", "LSE", "CH", "orders", "data", "17:00"]
        {
            assert!(!shown.contains(limit), "{shown} tells {limit}");
        }
    }
}

fn any_scope() -> impl Strategy<Value = Value> {
    let name = "[a-zé0-9]{1,6}";
    let names = prop_oneof![Just(json!("*")), prop::collection::vec(name, 0..4).prop_map(|names| json!(names))];
    let action = "[a-z]{1,4}([:.][a-z]{1,4}){0,2}([:.]\\*)?";
    let money = ("(0|[1-9][0-9]{0,20})(\\.[0-9]{0,4}[1-9])?", "[A-Z]{3}")
        .prop_map(|(amount, currency)| json!({"amount": amount, "currency": currency}));
    let hours = (prop::sample::subsequence(&["mon", "tue", "sat", "sun"][..], 1..4), 0_u16..12, 12_u16..24)
        .prop_map(|(days, from, to)| json!({"days": days, "from": format!("{from:02}:30"), "to": format!("{to:02}:00"), "tz": "UTC"}));
    let optional = |name: &'static str, value: BoxedStrategy<Value>| {
        prop::option::of(value).prop_map(move |value| value.map(|value| (name.to_owned(), value)))
    };
    let members = vec![
        optional("allowed_actions", prop::collection::vec(action, 0..4).prop_map(|all| json!(all)).boxed()),
        optional("allowed_counterparties", names.clone().boxed()),
        optional("permitted_instruments", names.clone().boxed()),
        optional("permitted_venues", names.clone().boxed()),
        optional("allowed_regions", names.boxed()),
        optional("max_transaction_size", money.clone().boxed()),
        optional("daily_limit", money.clone().boxed()),
        optional("human_approval_threshold", money.boxed()),
        optional("operating_hours", prop::collection::vec(hours, 0..3).prop_map(|all| json!(all)).boxed()),
        optional("leverage_permitted", any::<bool>().prop_map(|permitted| json!(permitted)).boxed()),
        optional("max_depth", (0_u32..9).prop_map(|depth| json!(depth)).boxed()),
    ];
    members.prop_map(|members| {
        let version = ("v".to_owned(), json!(1));
        Value::Object(members.into_iter().flatten().chain([version]).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_scope_reads_back_as_itself(value in any_scope()) {
        let scope = parse(&value);
        let written = scope.to_canonical_json();
        prop_assert_eq!(Scope::parse(&written), Ok(scope));
        prop_assert_eq!(crate::json::canonicalize(&written), Ok(written.clone()));
    }

    /// Taking a parameter away from an act never helps it, unless the scope does not limit that parameter at all.
    #[test]
    fn attack_08_leaving_out_a_parameter_gains_nothing(value in any_scope(), venue in "[a-z]{1,6}", amount in 0_u32..100) {
        let mut value = value;
        value["allowed_actions"] = json!(["a"]);
        value.as_object_mut().unwrap().remove("operating_hours");
        let scope = parse(&value);
        let amount = amount.to_string();
        let named = Action { action: "a", venue: Some(&venue), amount: Some(&amount), at: AT, ..Action::default() };
        let venue_is_limited = value["permitted_venues"].as_array().is_some_and(|names| !names.is_empty());
        let (no_venue, no_amount) = (Action { venue: None, ..named }, Action { amount: None, ..named });
        prop_assert!(!venue_is_limited || scope.allows(&no_venue).is_err());
        let amount_is_limited = ["max_transaction_size", "daily_limit", "human_approval_threshold"].iter().any(|name| value.get(name).is_some());
        prop_assert!(!amount_is_limited || scope.allows(&no_amount).is_err());
    }

    #[test]
    fn no_text_makes_it_panic(text in r#"[\[\]{}",:0-9a-z_\\]{0,60}|\PC{0,40}"#, action in any::<String>(), amount in any::<String>(), at in any::<i64>()) {
        let act = Action { action: &action, amount: Some(&amount), at: UnixTime(at), ..Action::default() };
        if let Ok(scope) = Scope::parse(&text) {
            let _ = scope.allows(&act);
        }
        let _ = parse(&full()).allows(&act);
    }
}
