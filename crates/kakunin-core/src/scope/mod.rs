//! What an agent may do: the scope out of its certificate, and the question whether an act lies inside it.
//!
//! Everything is denied that the scope does not allow. In particular:
//! - A member that is absent allows nothing of its kind: no instrument, no amount above zero. Operating hours are the
//!   exception: they narrow what other members allow, so without them any hour will do.
//! - A limit that is set must be given its parameter: with a list of venues, an act that names no venue is
//!   denied. Only `"*"` waives that, and an empty list, below which there is nothing to name.
//! - An act is denied with the slug of the rule that it broke, and is not told what the rule would have let through.
//!
//! [`Scope::allows`] has no memory. It holds a single amount against the daily limit, but what was spent before, and
//! how often the agent acted, is for counters to know; [`Scope::needs_counters`] tells whether they are needed.

mod decimal;
mod hours;
mod pattern;
mod read;
mod write;

pub use decimal::{DECIMAL_DIGITS_MAX, Decimal};

use crate::{Reason, UnixTime};
use hours::Window;
use pattern::Pattern;

/// A scope. It is the same whether it was read from the canonical form or from one of the older ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    allowed_actions: Vec<Pattern>,
    allowed_counterparties: Option<Names>,
    permitted_instruments: Option<Names>,
    permitted_venues: Option<Names>,
    allowed_regions: Option<Names>,
    max_transaction_size: Option<Money>,
    daily_limit: Option<Money>,
    human_approval_threshold: Option<Money>,
    rate: Option<Rate>,
    operating_hours: Option<Vec<Window>>,
    leverage_permitted: bool,
    max_leverage_ratio: Option<Decimal>,
    model_hashes: Option<Vec<String>>,
    max_depth: Option<u32>,
}

/// An act that an agent is about to do. Texts are compared as they are: case counts, and letters that only look alike
/// are different letters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Action<'a> {
    /// What is done, such as `orders:create`.
    pub action: &'a str,
    /// How much, as a plain decimal number.
    pub amount: Option<&'a str>,
    /// The currency of the amount; without it the amount counts in the scope's own.
    pub currency: Option<&'a str>,
    /// With whom.
    pub counterparty: Option<&'a str>,
    /// In what.
    pub instrument: Option<&'a str>,
    /// Where it is traded.
    pub venue: Option<&'a str>,
    /// Which region it concerns.
    pub region: Option<&'a str>,
    /// The leverage, as a plain decimal number; without it the act is not leveraged.
    pub leverage: Option<&'a str>,
    /// When: the time now.
    pub at: UnixTime,
}

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    /// How much, zero or more.
    pub amount: Decimal,
    /// The currency: 3 to 10 upper-case letters or digits.
    pub currency: String,
}

/// How often an agent may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Acts, 0 to 1,000,000,000.
    pub n: u32,
    /// The length of the window in seconds, 1 to 31,536,000.
    pub per_seconds: u32,
}

/// A set of allowed names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Names {
    /// `"*"`: every name, and no name at all.
    Any,
    /// These, sorted and each once.
    Of(Vec<String>),
}

impl Scope {
    /// Reads a scope of at most [`SCOPE_BYTES_MAX`](crate::limits::SCOPE_BYTES_MAX) bytes: the form with `"v":1` that
    /// [`Scope::to_canonical_json`] writes, in any spelling of JSON, or one of the older forms without `v`. docs/scope.md
    /// lists the members of both.
    ///
    /// Refused as `scope_malformed`: whatever [`parse_strict`](crate::json::parse_strict) refuses, members that are not
    /// known (one could be a limit), a member under two names, values of another type, amounts that are no plain
    /// decimal numbers, texts that are not in NFC or hold invisible characters, unknown zones, other versions.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        read::scope(text)
    }

    /// The one form in which a scope is issued: RFC 8785 JSON, `"v":1`, lists sorted. [`Scope::parse`] reads it back to
    /// an equal scope.
    pub fn to_canonical_json(&self) -> String {
        write::scope(self)
    }

    /// Is this act inside the scope? The first broken rule is the answer.
    pub fn allows(&self, act: &Action<'_>) -> Result<(), Reason> {
        let well_formed = pattern::is_name(act.action);
        if !well_formed || !self.allowed_actions.iter().any(|pattern| pattern.covers(act.action)) {
            return Err(Reason::ScopeActionDenied);
        }
        self.check_amount(act)?;
        self.check_leverage(act)?;
        let names = |set, given, parameter, denied| check_name(set, given, parameter).map_err(|e| e.unwrap_or(denied));
        names(&self.allowed_counterparties, act.counterparty, "counterparty", Reason::ScopeCounterpartyDenied)?;
        names(&self.permitted_instruments, act.instrument, "instrument", Reason::ScopeInstrumentDenied)?;
        names(&self.permitted_venues, act.venue, "venue", Reason::ScopeVenueDenied)?;
        names(&self.allowed_regions, act.region, "region", Reason::ScopeRegionDenied)?;
        match &self.operating_hours {
            Some(windows) if !windows.iter().any(|window| window.contains(act.at)) => {
                Err(Reason::ScopeHoursDenied { at: act.at })
            }
            _ => Ok(()),
        }
    }

    /// Does it set a limit over several acts, which [`Scope::allows`] cannot decide alone? Whoever lets an act happen
    /// must then count it, and refuse what would go beyond.
    pub fn needs_counters(&self) -> bool {
        self.daily_limit.is_some() || self.rate.is_some()
    }

    /// The limit over a rolling day, if one is set.
    pub fn daily_limit(&self) -> Option<&Money> {
        self.daily_limit.as_ref()
    }

    /// The limit on how often the agent acts, if one is set.
    pub fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// The allowed actions as they are written: names, and name spaces that end in `*`.
    pub fn allowed_actions(&self) -> Vec<String> {
        self.allowed_actions.iter().map(Pattern::to_string).collect()
    }

    /// The instruments the agent is limited to. Nothing when the scope names none, and also when it allows every one:
    /// a policy that compares with this list must not open on `"*"`.
    pub fn permitted_instruments(&self) -> Option<&[String]> {
        match &self.permitted_instruments {
            Some(Names::Of(names)) => Some(names),
            Some(Names::Any) | None => None,
        }
    }

    /// The model hashes the agent may run with, in normal form, if the scope names them.
    pub fn model_hashes(&self) -> Option<&[String]> {
        self.model_hashes.as_deref()
    }

    /// How many generations of delegated agents may follow; without it none.
    pub fn max_depth(&self) -> u32 {
        self.max_depth.unwrap_or(0)
    }

    fn check_amount(&self, act: &Action<'_>) -> Result<(), Reason> {
        let limits = [&self.max_transaction_size, &self.daily_limit];
        let set = || limits.into_iter().chain([&self.human_approval_threshold]).flatten();
        let Some(text) = act.amount else {
            return if set().next().is_none() { Ok(()) } else { Err(missing("amount")) };
        };
        let amount = Decimal::parse(text).ok_or(Reason::ScopeAmountMalformed)?;
        if let Some(currency) = act.currency
            && set().any(|money| money.currency != currency)
        {
            return Err(Reason::ScopeCurrencyDenied);
        }
        // Without a limit, nothing but zero is within it.
        let limited = limits.into_iter().any(Option::is_some);
        let within = |limit: &Option<Money>| limit.as_ref().is_none_or(|money| amount <= money.amount);
        if !limits.into_iter().all(within) || !limited && !amount.is_zero() {
            return Err(Reason::ScopeAmountExceeded);
        }
        if within(&self.human_approval_threshold) { Ok(()) } else { Err(Reason::ScopeApprovalRequired) }
    }

    fn check_leverage(&self, act: &Action<'_>) -> Result<(), Reason> {
        let Some(text) = act.leverage else {
            return Ok(());
        };
        let leverage = Decimal::parse(text).ok_or(Reason::ScopeLeverageDenied)?;
        let max = self.max_leverage_ratio.as_ref().filter(|_| self.leverage_permitted);
        if leverage <= Decimal::one() || max.is_some_and(|max| leverage <= *max) {
            return Ok(());
        }
        Err(Reason::ScopeLeverageDenied)
    }
}

/// Without a reason in the error, the name is not in the set.
fn check_name(set: &Option<Names>, given: Option<&str>, parameter: &'static str) -> Result<(), Option<Reason>> {
    match (set, given) {
        (Some(Names::Any), _) | (None, None) => Ok(()),
        (Some(Names::Of(names)), Some(given)) if names.iter().any(|name| name == given) => Ok(()),
        (Some(Names::Of(names)), None) if names.is_empty() => Ok(()),
        (Some(Names::Of(_)), None) => Err(Some(missing(parameter))),
        (None | Some(Names::Of(_)), Some(_)) => Err(None),
    }
}

fn missing(parameter: &'static str) -> Reason {
    Reason::ScopeParameterMissing { parameter }
}

#[cfg(test)]
mod tests;
