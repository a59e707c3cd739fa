//! Reads a scope: version 1 strictly, and the forms without a version by the names they use.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use unicode_normalization::is_nfc;

use super::decimal::Decimal;
use super::hours::{DAYS, Window};
use super::pattern::Pattern;
use super::{Money, Names, Rate, Scope};
use crate::limits::{ID_CHARS_MAX, SCOPE_BYTES_MAX};
use crate::{Reason, json, model_hash};

/// The rule that a text breaks, as a sentence without its full stop.
type Broken = String;

pub(super) fn scope(text: &str) -> Result<Scope, Reason> {
    read(text).map_err(|what| Reason::ScopeMalformed { what })
}

fn read(text: &str) -> Result<Scope, Broken> {
    if text.len() > SCOPE_BYTES_MAX {
        return Err(format!("It has {} bytes, at most {SCOPE_BYTES_MAX} are read", text.len()));
    }
    let value = json::parse_strict(text).map_err(|reason| reason.detail().trim_end_matches('.').to_owned())?;
    let Value::Object(members) = value else {
        return Err("It is not a JSON object".to_owned());
    };
    let scope = match members.get("v") {
        None => unversioned(members)?,
        Some(version) if version.as_u64() == Some(VERSION) => first_version(&members)?,
        Some(_) => return Err(format!("Its version v is not {VERSION}")),
    };
    // The canonical form spells out what was left out, and it must fit too.
    if super::write::scope(&scope).len() > SCOPE_BYTES_MAX {
        return Err(format!("Its canonical form has more than {SCOPE_BYTES_MAX} bytes"));
    }
    Ok(scope)
}

/// Version 1: every member has one name and one type, and numbers one text.
fn first_version(members: &Map<String, Value>) -> Result<Scope, Broken> {
    let mut scope = Scope::default();
    for (name, value) in members {
        match name.as_str() {
            "v" => {}
            "max_transaction_size" => scope.max_transaction_size = Some(money(name, value)?),
            "daily_limit" => scope.daily_limit = Some(money(name, value)?),
            "human_approval_threshold" => scope.human_approval_threshold = Some(money(name, value)?),
            "rate" => scope.rate = Some(rate(value)?),
            "operating_hours" => scope.operating_hours = Some(windows(value)?),
            "max_leverage_ratio" => scope.max_leverage_ratio = Some(decimal_text(name, value)?),
            "model_hashes" => scope.model_hashes = Some(model_hashes(value)?),
            "max_depth" => scope.max_depth = Some(integer(name, value, 0, DEPTH_MAX)?),
            _ if common(&mut scope, name, value)? => {}
            _ => return Err(unknown(name)),
        }
    }
    Ok(scope)
}

/// The forms without a version, several of which are in use. Names come in snake and camel case and with synonyms,
/// amounts are JSON numbers, and their currency is in the name, in a member beside them, or US dollars.
fn unversioned(members: Map<String, Value>) -> Result<Scope, Broken> {
    let mut known: BTreeMap<&str, (Value, bool)> = BTreeMap::new();
    for (spelling, value) in members {
        let snake = snake_case(&spelling);
        let (_, name) = SYNONYMS.iter().find(|(synonym, _)| *synonym == snake).ok_or_else(|| unknown(&spelling))?;
        if known.insert(name, (value, snake.ends_with("_usd"))).is_some() {
            return Err(format!("Member {name} is there under two names"));
        }
    }
    let stated = known.remove("currency");
    let stated = stated.as_ref().map(|(value, _)| currency(value)).transpose()?;

    let mut scope = Scope::default();
    for (name, (value, named_in_dollars)) in &known {
        let amount = || match value {
            Value::Number(_) => match stated {
                Some(other) if *named_in_dollars && other != DOLLARS => {
                    Err(format!("Member {name} is in {DOLLARS} by its name and in another currency beside it"))
                }
                _ => Ok(Money { amount: number(name, value)?, currency: stated.unwrap_or(DOLLARS).to_owned() }),
            },
            _ => money(name, value),
        };
        match *name {
            "max_transaction_size" => scope.max_transaction_size = Some(amount()?),
            "daily_limit" => scope.daily_limit = Some(amount()?),
            "human_approval_threshold" => scope.human_approval_threshold = Some(amount()?),
            "operating_hours" => scope.operating_hours = Some(vec![daily_window(value)?]),
            "max_leverage_ratio" => scope.max_leverage_ratio = Some(number(name, value)?),
            _ if common(&mut scope, name, value)? => {}
            _ => return Err(unknown(name)),
        }
    }
    Ok(scope)
}

/// The members that are alike in all forms. False if `name` is none of them.
fn common(scope: &mut Scope, name: &str, value: &Value) -> Result<bool, Broken> {
    match name {
        "allowed_actions" => scope.allowed_actions = actions(value)?,
        "allowed_counterparties" => scope.allowed_counterparties = Some(names(name, value)?),
        "permitted_instruments" => scope.permitted_instruments = Some(names(name, value)?),
        "permitted_venues" => scope.permitted_venues = Some(names(name, value)?),
        "allowed_regions" => scope.allowed_regions = Some(names(name, value)?),
        "leverage_permitted" => {
            scope.leverage_permitted = value.as_bool().ok_or_else(|| format!("{name} is not true or false"))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn actions(value: &Value) -> Result<Vec<Pattern>, Broken> {
    let mut patterns = Vec::new();
    for text in texts("allowed_actions", value)? {
        let broken = || format!("allowed_actions holds {text:?}, which is no name and no name space like orders:*");
        patterns.push(Pattern::parse(text).ok_or_else(broken)?);
    }
    patterns.sort_unstable();
    patterns.dedup();
    Ok(patterns)
}

fn names(name: &str, value: &Value) -> Result<Names, Broken> {
    if value.as_str() == Some("*") {
        return Ok(Names::Any);
    }
    let mut names = Vec::new();
    for text in texts(name, value)? {
        // A star in a list could be meant as a name or as "all".
        if !is_text(text) || text == "*" {
            return Err(format!("{name} holds {text:?}, which is not accepted as a name"));
        }
        names.push(text.to_owned());
    }
    names.sort_unstable();
    names.dedup();
    Ok(Names::Of(names))
}

fn model_hashes(value: &Value) -> Result<Vec<String>, Broken> {
    let mut hashes = Vec::new();
    for text in texts("model_hashes", value)? {
        let hash = model_hash::normalize(text).ok().filter(|hash| hash == text);
        hashes.push(hash.ok_or("model_hashes holds something else than sha256: and 64 lower-case hexadecimal digits")?);
    }
    hashes.sort_unstable();
    hashes.dedup();
    Ok(hashes)
}

fn texts<'a>(name: &str, value: &'a Value) -> Result<Vec<&'a str>, Broken> {
    let texts = value.as_array().and_then(|items| items.iter().map(Value::as_str).collect());
    texts.ok_or_else(|| format!("{name} is not a list of texts"))
}

fn money(name: &str, value: &Value) -> Result<Money, Broken> {
    match value.as_object().map(|members| (members.len(), members.get("amount"), members.get("currency"))) {
        Some((2, Some(amount), Some(unit))) => {
            Ok(Money { amount: decimal_text(name, amount)?, currency: currency(unit)?.to_owned() })
        }
        _ => Err(format!("{name} is not an object of amount and currency")),
    }
}

fn currency(value: &Value) -> Result<&str, Broken> {
    let sound = |text: &&str| {
        CURRENCY_CHARS.contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    value.as_str().filter(sound).ok_or_else(|| "A currency is not 3 to 10 upper-case letters or digits".to_owned())
}

/// A number as version 1 writes it: a text, so that no reader makes a double of it.
fn decimal_text(name: &str, value: &Value) -> Result<Decimal, Broken> {
    let decimal = value.as_str().and_then(Decimal::parse_canonical);
    decimal
        .ok_or_else(|| format!("{name} is not a decimal number of zero or more, written as text in its shortest form"))
}

/// A number as the forms without a version write it. What the text of a double shows is what it stands for.
fn number(name: &str, value: &Value) -> Result<Decimal, Broken> {
    let text = match value {
        Value::Number(number) => match number.as_u64() {
            Some(integer) => integer.to_string(),
            None => number.as_f64().map(|double| double_text(double, value)).unwrap_or_default(),
        },
        _ => String::new(),
    };
    Decimal::parse(&text).ok_or_else(|| format!("{name} is not a number of zero or more and at most 38 digits"))
}

/// The text in canonical JSON, so that a scope says the same before and after it is put into that form. Where that
/// has an exponent or drops the sign of a zero, the one of Display: the same digits without exponent, and a sign, which
/// no decimal has.
fn double_text(double: f64, value: &Value) -> String {
    let canonical = json::write_canonical(value);
    if double.is_sign_negative() || canonical.contains('e') { double.to_string() } else { canonical }
}

fn integer(name: &str, value: &Value, min: u32, max: u32) -> Result<u32, Broken> {
    let integer = value.as_u64().and_then(|integer| u32::try_from(integer).ok());
    let integer = integer.filter(|integer| (min..=max).contains(integer));
    integer.ok_or_else(|| format!("{name} is not an integer from {min} to {max}"))
}

fn rate(value: &Value) -> Result<Rate, Broken> {
    match value.as_object().map(|members| (members.len(), members.get("n"), members.get("per_seconds"))) {
        Some((2, Some(n), Some(per_seconds))) => Ok(Rate {
            n: integer("n of rate", n, 0, RATE_MAX)?,
            per_seconds: integer("per_seconds of rate", per_seconds, 1, RATE_SECONDS_MAX)?,
        }),
        _ => Err("rate is not an object of n and per_seconds".to_owned()),
    }
}

fn windows(value: &Value) -> Result<Vec<Window>, Broken> {
    let items = value.as_array().ok_or("operating_hours is not a list")?;
    let mut windows = Vec::new();
    for item in items {
        let member = |name| item.get(name).and_then(Value::as_str);
        let four = item.as_object().is_some_and(|members| members.len() == 4);
        let parts = (item.get("days"), member("from"), member("to"), member("tz"));
        let (true, (Some(days), Some(from), Some(to), Some(tz))) = (four, parts) else {
            return Err("operating_hours holds something else than objects of days, from, to and tz".to_owned());
        };
        let days = texts("days of operating_hours", days)?;
        windows.push(Window::new(days.into_iter(), from, to, tz).ok_or(BROKEN_WINDOW)?);
    }
    windows.sort_unstable_by(|one, other| one.order().cmp(&other.order()));
    windows.dedup();
    Ok(windows)
}

/// Hours without days are for every day.
fn daily_window(value: &Value) -> Result<Window, Broken> {
    let member = |name| value.get(name).and_then(Value::as_str);
    let three = value.as_object().is_some_and(|members| members.len() == 3);
    match (three, member("start"), member("end"), member("tz")) {
        (true, Some(start), Some(end), Some(tz)) => {
            Ok(Window::new(DAYS.into_iter(), start, end, tz).ok_or(BROKEN_WINDOW)?)
        }
        _ => Err("allowed hours are not an object of start, end and tz".to_owned()),
    }
}

/// A text of 1 to 255 characters as people write and see it: in NFC, without characters that control, that show as
/// nothing or that turn the direction of writing, and without a space at its ends.
pub(super) fn is_text(text: &str) -> bool {
    is_plain_text(text) && is_nfc(text)
}

/// [`is_text`] without NFC: for texts that are only compared with ones that are in NFC.
pub(super) fn is_plain_text(text: &str) -> bool {
    let visible =
        |character: char| !character.is_control() && !INVISIBLE.iter().any(|range| range.contains(&character));
    !text.is_empty() && text.chars().count() <= ID_CHARS_MAX && text.trim() == text && text.chars().all(visible)
}

/// `maxTransactionSize` as `max_transaction_size`.
fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(character.to_ascii_lowercase());
    }
    out
}

fn unknown(name: &str) -> Broken {
    let shown: String = name.chars().take(64).collect();
    format!("Member {shown:?} is not known")
}

const VERSION: u64 = 1;
const DOLLARS: &str = "USD";
const CURRENCY_CHARS: std::ops::RangeInclusive<usize> = 3..=10;
const DEPTH_MAX: u32 = 8;
const RATE_MAX: u32 = 1_000_000_000;
const RATE_SECONDS_MAX: u32 = 31_536_000;
const BROKEN_WINDOW: &str =
    "operating hours are not days (mon to sun) with two different times (HH:MM) in a known zone";

/// Names in the forms without a version, and the member that each one is.
const SYNONYMS: &[(&str, &str)] = &[
    ("allowed_actions", "allowed_actions"),
    ("permitted_actions", "allowed_actions"),
    ("allowed_counterparties", "allowed_counterparties"),
    ("counterparty_whitelist", "allowed_counterparties"),
    ("permitted_instruments", "permitted_instruments"),
    ("allowed_instruments", "permitted_instruments"),
    ("permitted_venues", "permitted_venues"),
    ("allowed_venues", "permitted_venues"),
    ("allowed_markets", "permitted_venues"),
    ("allowed_regions", "allowed_regions"),
    ("max_transaction_size", "max_transaction_size"),
    ("max_transaction_usd", "max_transaction_size"),
    ("max_single_trade_usd", "max_transaction_size"),
    ("daily_limit", "daily_limit"),
    ("daily_limit_usd", "daily_limit"),
    ("max_daily_volume", "daily_limit"),
    ("human_approval_threshold", "human_approval_threshold"),
    ("human_approval_threshold_usd", "human_approval_threshold"),
    ("currency", "currency"),
    ("allowed_hours", "operating_hours"),
    ("leverage_permitted", "leverage_permitted"),
    ("max_leverage_ratio", "max_leverage_ratio"),
];

/// Soft hyphen, zero-width characters and joiners, marks that turn the direction of writing, byte order mark, tags.
const INVISIBLE: &[std::ops::RangeInclusive<char>] = &[
    '\u{ad}'..='\u{ad}',
    '\u{61c}'..='\u{61c}',
    '\u{180e}'..='\u{180e}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{feff}'..='\u{feff}',
    '\u{fff9}'..='\u{fffb}',
    '\u{e0000}'..='\u{e007f}',
];

#[cfg(test)]
mod tests;
