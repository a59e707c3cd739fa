use serde_json::{Value, json};

use crate::limits::SCOPE_BYTES_MAX;
use crate::scope::Scope;
use crate::scope::tests::{full, full_with, parse, refused};

/// Each member with a value of another type or form.
#[test]
fn pki_32_version_1_takes_one_type_for_each_member() {
    let money = |amount: Value| json!({"amount": amount, "currency": "EUR"});
    let hours = |days: Value, from: &str, to: &str, tz: &str| json!([{"days": days, "from": from, "to": to, "tz": tz}]);
    let mut changes = vec![
        json!({"v": 2}),
        json!({"v": 0}),
        json!({"v": "1"}),
        json!({"v": 1.5}),
        json!({"v": [1]}),
        json!({"allowed_actions": "*"}),
        json!({"allowed_actions": ["*"]}),
        json!({"allowed_actions": ["admin:"]}),
        json!({"allowed_actions": [1]}),
        json!({"allowed_actions": {"a": 1}}),
        json!({"allowed_actions": ["a", null]}),
        json!({"leverage_permitted": "true"}),
        json!({"leverage_permitted": 1}),
        json!({"max_leverage_ratio": 2.5}),
        json!({"max_leverage_ratio": "2.50"}),
        json!({"max_leverage_ratio": "-2"}),
        json!({"rate": 10}),
        json!({"rate": {"n": 10}}),
        json!({"rate": {"n": "10", "per_seconds": 60}}),
        json!({"rate": {"n": 10, "per_seconds": 0}}),
        json!({"rate": {"n": -1, "per_seconds": 60}}),
        json!({"rate": {"n": 1.5, "per_seconds": 60}}),
        json!({"rate": {"n": 10, "per_seconds": 60, "burst": 5}}),
        json!({"rate": {"n": 1_000_000_001, "per_seconds": 60}}),
        json!({"rate": {"n": 1, "per_seconds": 31_536_001}}),
        json!({"max_depth": -1}),
        json!({"max_depth": "2"}),
        json!({"max_depth": 9}),
        json!({"max_depth": 1.5}),
        json!({"model_hashes": "sha256:00"}),
        json!({"model_hashes": ["sha256:00"]}),
        json!({"model_hashes": ["sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"]}),
        json!({"model_hashes": ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}),
        json!({"operating_hours": {"days": ["mon"], "from": "08:00", "to": "09:00", "tz": "UTC"}}),
        json!({"operating_hours": hours(json!([]), "08:00", "09:00", "UTC")}),
        json!({"operating_hours": hours(json!("mon"), "08:00", "09:00", "UTC")}),
        json!({"operating_hours": hours(json!(["mon"]), "08:00", "08:00", "UTC")}),
        json!({"operating_hours": hours(json!(["mon"]), "08:00", "09:00", "Nowhere/City")}),
        json!({"operating_hours": [{"days": ["mon"], "from": "08:00", "to": "09:00"}]}),
        json!({"operating_hours": [{"days": ["mon"], "from": "08:00", "to": "09:00", "tz": "UTC", "x": 1}]}),
        json!({"operating_hours": [[]]}),
        json!({"maxTransactionSize": 5}),
        json!({"max_single_trade_usd": 5}),
        json!({"allowedActions": ["a"]}),
        json!({"currency": "EUR"}),
        json!({"unknown": true}),
        json!({"V": 1}),
    ];
    for amount in [
        json!(100),
        json!(1.5),
        json!(true),
        json!(["1"]),
        json!({}),
        json!(""),
        json!("1.0"),
        json!("01"),
        json!("-1"),
        json!("-0"),
        json!("+1"),
        json!("1e3"),
        json!("NaN"),
        json!("Infinity"),
        json!("1e400"),
        json!("٣"),
        json!(" 1"),
        json!("1".repeat(40)),
    ] {
        for member in ["max_transaction_size", "daily_limit", "human_approval_threshold"] {
            changes.push(json!({member: money(amount.clone())}));
        }
    }
    for other in [
        json!("100"),
        json!(100),
        json!([]),
        json!({"amount": "1"}),
        json!({"currency": "EUR"}),
        json!({"amount": "1", "currency": "EUR", "per": "day"}),
        json!({"amount": "1", "currency": "eur"}),
        json!({"amount": "1", "currency": "EU"}),
        json!({"amount": "1", "currency": "ELEVENCHARS"}),
        json!({"amount": "1", "currency": "€"}),
        json!({"amount": "1", "currency": 978}),
    ] {
        changes.push(json!({"max_transaction_size": other}));
    }
    for names in [
        json!("LSE"),
        json!(""),
        json!("**"),
        json!(["*"]),
        json!([1]),
        json!([null]),
        json!({}),
        json!(true),
        json!([""]),
        json!([" LSE"]),
        json!(["LSE "]),
        json!(["L\u{0}SE"]),
        json!(["L\nSE"]),
        json!(["L\u{202e}SE"]),
        json!(["L\u{200b}SE"]),
        json!(["e\u{301}"]),
        json!(["x".repeat(256)]),
    ] {
        for member in ["allowed_counterparties", "permitted_instruments", "permitted_venues", "allowed_regions"] {
            changes.push(json!({member: names.clone()}));
        }
    }
    assert!(!refused(&full()));
    for change in changes {
        assert!(refused(&full_with(change.clone())), "{change}");
    }
    let null = full().to_string().replace("\"max_depth\":2", "\"max_depth\":null");
    assert!(Scope::parse(&null).is_err(), "null is no value");
    for accepted in [
        json!({"permitted_venues": ["x".repeat(255)]}),
        json!({"max_depth": 8}),
        json!({"allowed_regions": ["LSE", "LSE"]}),
    ] {
        assert!(!refused(&full_with(accepted)));
    }
}

/// The forms in use, each with what it becomes.
#[test]
fn the_forms_without_a_version_become_one_type() {
    let dollars = |amount: &str| json!({"amount": amount, "currency": "USD"});
    for (older, canonical) in [
        (
            json!({"max_single_trade_usd": 10000, "daily_limit_usd": 50000.25, "permitted_instruments": ["BTC", "ETH"],
                "permitted_venues": ["binance"], "leverage_permitted": true, "max_leverage_ratio": 3}),
            json!({"v": 1, "max_transaction_size": dollars("10000"), "daily_limit": dollars("50000.25"),
                "permitted_instruments": ["BTC", "ETH"], "permitted_venues": ["binance"], "leverage_permitted": true,
                "max_leverage_ratio": "3"}),
        ),
        (
            json!({"maxTransactionSize": 500, "allowedCounterparties": ["acme"], "allowedActions": ["read:portfolio"],
                "allowedRegions": ["EU"]}),
            json!({"v": 1, "max_transaction_size": dollars("500"), "allowed_counterparties": ["acme"],
                "allowed_actions": ["read:portfolio"], "allowed_regions": ["EU"]}),
        ),
        (
            json!({"maxDailyVolume": 1.5, "allowedMarkets": ["NYSE"], "counterpartyWhitelist": ["acme"],
                "allowedHours": {"start": "09:00", "end": "17:00", "tz": "America/New_York"}}),
            json!({"v": 1, "daily_limit": dollars("1.5"), "permitted_venues": ["NYSE"], "allowed_counterparties": ["acme"],
                "operating_hours": [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "09:00", "to": "17:00",
                    "tz": "America/New_York"}]}),
        ),
        (
            json!({"max_transaction_usd": 100, "daily_limit_usd": 200, "currency": "USD", "permitted_actions": ["a"]}),
            json!({"v": 1, "max_transaction_size": dollars("100"), "daily_limit": dollars("200"), "allowed_actions": ["a"]}),
        ),
        (
            json!({"maxTransactionSize": 100, "currency": "EUR"}),
            json!({"v": 1, "max_transaction_size": {"amount": "100", "currency": "EUR"}}),
        ),
        (
            json!({"max_transaction_size": {"amount": "7", "currency": "CHF"}, "currency": "EUR"}),
            json!({"v": 1, "max_transaction_size": {"amount": "7", "currency": "CHF"}}),
        ),
    ] {
        assert_eq!(parse(&older), parse(&canonical), "{older}");
    }
}

#[test]
fn attack_08_forms_without_a_version_are_no_looser() {
    for older in [
        json!({"max_single_trade_usd": "10000"}),
        json!({"max_single_trade_usd": -1}),
        json!({"max_single_trade_usd": true}),
        json!({"max_single_trade_usd": null}),
        json!({"max_single_trade_usd": 1e300}),
        json!({"max_single_trade_usd": 1, "maxTransactionSize": 2}),
        json!({"max_single_trade_usd": 1, "maxSingleTradeUsd": 1}),
        json!({"max_single_trade_usd": 1, "currency": "EUR"}),
        json!({"maxTransactionSize": 1, "currency": "euro"}),
        json!({"maxTransactionSize": {"amount": 1, "currency": "EUR"}}),
        json!({"allowedActions": ["*"]}),
        json!({"allowedActions": "read"}),
        json!({"permitted_venues": ["*"]}),
        json!({"leverage_permitted": "yes"}),
        json!({"max_leverage_ratio": "3"}),
        json!({"allowedHours": {"start": "09:00", "end": "17:00"}}),
        json!({"allowedHours": {"start": 9, "end": 17, "tz": "UTC"}}),
        json!({"allowedHours": "09:00-17:00"}),
        json!({"someOtherLimit": 1}),
        json!({"allowed_Actions": ["a"]}),
        json!({"rate": {"n": 1, "per_seconds": 1}}),
        json!([]),
        json!("*"),
        json!(null),
    ] {
        assert!(refused(&older), "{older}");
    }
    let exponent = Scope::parse(r#"{"max_single_trade_usd":1e2}"#).unwrap();
    assert_eq!(exponent, parse(&json!({"max_single_trade_usd": 100})), "in JSON a number is a number");
    assert!(Scope::parse(r#"{"max_single_trade_usd":-0}"#).is_err());
    assert!(Scope::parse(r#"{"max_single_trade_usd":-0.0}"#).is_err());
    assert!(Scope::parse(r#"{"max_single_trade_usd":-0.5}"#).is_err());
    // Halfway between two shortest texts: the limit is the one that canonical JSON shows, as exact as it can be.
    let halfway = Scope::parse(r#"{"max_single_trade_usd":1911072355785949.25}"#).unwrap();
    assert_eq!(halfway, Scope::parse(r#"{"max_single_trade_usd":1911072355785949.2}"#).unwrap());
    assert!(halfway.to_canonical_json().contains(r#""1911072355785949.2""#));
    let small = Scope::parse(r#"{"max_single_trade_usd":1.5e-7}"#).unwrap();
    assert!(small.to_canonical_json().contains(r#""0.00000015""#));
}

#[test]
fn pki_33_json_with_two_readings_is_no_scope() {
    for text in [
        "",
        "{",
        r#"{"v":1,"v":1}"#,
        r#"{"v":1,"\u0076":1}"#,
        r#"{"v":1,"allowed_actions":["a"],"allowed_\u0061ctions":["b"]}"#,
        r#"{"v":1,"allowed_regions":["\ud800"]}"#,
        r#"{"v":1} "#.trim_end().trim_end_matches('}'),
        "\u{feff}{\"v\":1}",
        r#"{"v":1}{"v":1}"#,
        r#"{"max_single_trade_usd":1e400}"#,
        r#"{"max_single_trade_usd":9007199254740993}"#,
        r#"{"max_single_trade_usd":NaN}"#,
    ] {
        assert_eq!(Scope::parse(text).map_err(|reason| reason.slug()), Err("scope_malformed"), "{text}");
    }
    let deep = format!(r#"{{"v":{}1{}}}"#, "[".repeat(4000), "]".repeat(4000));
    assert!(Scope::parse(&deep).is_err());
}

#[test]
fn size_is_bounded_as_written_and_in_canonical_form() {
    let names = |count: usize, last: usize| {
        let mut names: Vec<String> = (0..count).map(|n| format!("{n:0>200}")).collect();
        names.push("x".repeat(last));
        json!({"v": 1, "allowed_actions": ["a"], "leverage_permitted": false, "allowed_regions": names})
    };
    let exact = (1..250).map(|last| names(39, last)).find(|value| value.to_string().len() == SCOPE_BYTES_MAX).unwrap();
    assert_eq!(parse(&exact).to_canonical_json().len(), SCOPE_BYTES_MAX);
    assert!(Scope::parse(&format!("{exact} ")).is_err());
    let mut grows =
        (1..250).map(|last| names(39, last)).find(|value| value.to_string().len() == SCOPE_BYTES_MAX + 27).unwrap();
    grows.as_object_mut().unwrap().remove("leverage_permitted");
    assert_eq!(grows.to_string().len(), SCOPE_BYTES_MAX);
    assert!(refused(&grows), "spelled out it is too long");
}
