//! Writes the canonical form of a scope.

use serde_json::{Map, Value, json};

use super::{Money, Names, Scope};
use crate::json::write_canonical;

pub(super) fn scope(scope: &Scope) -> String {
    let mut members = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            members.insert(name.to_owned(), value);
        }
    };
    put("v", Some(json!(1)));
    put("allowed_actions", Some(json!(scope.allowed_actions())));
    put("allowed_counterparties", scope.allowed_counterparties.as_ref().map(names));
    put("permitted_instruments", scope.permitted_instruments.as_ref().map(names));
    put("permitted_venues", scope.permitted_venues.as_ref().map(names));
    put("allowed_regions", scope.allowed_regions.as_ref().map(names));
    put("max_transaction_size", scope.max_transaction_size.as_ref().map(money));
    put("daily_limit", scope.daily_limit.as_ref().map(money));
    put("human_approval_threshold", scope.human_approval_threshold.as_ref().map(money));
    put("rate", scope.rate.map(|rate| json!({"n": rate.n, "per_seconds": rate.per_seconds})));
    put(
        "operating_hours",
        scope.operating_hours.as_ref().map(|windows| {
            let window =
                |(days, from, to, tz): (Vec<_>, _, _, _)| json!({"days": days, "from": from, "to": to, "tz": tz});
            windows.iter().map(|each| window(each.texts())).collect()
        }),
    );
    put("leverage_permitted", Some(json!(scope.leverage_permitted)));
    put("max_leverage_ratio", scope.max_leverage_ratio.as_ref().map(|ratio| json!(ratio.to_string())));
    put("model_hashes", scope.model_hashes.as_ref().map(|hashes| json!(hashes)));
    put("max_depth", scope.max_depth.map(|depth| json!(depth)));
    write_canonical(&Value::Object(members))
}

fn names(names: &Names) -> Value {
    match names {
        Names::Any => json!("*"),
        Names::Of(names) => json!(names),
    }
}

fn money(money: &Money) -> Value {
    json!({"amount": money.amount.to_string(), "currency": money.currency})
}
