//! Certificate policies (RFC 5280 section 6.1, with every policy acceptable to the user).
//!
//! With any-policy as the user's set, policies decide one thing: a CA may require that some policy holds along the
//! whole path. The section's tree is then only asked whether its lowest level is empty, so one level is all that
//! is kept: what RFC 9618 calls the policies of a depth, each with what the next certificate must say.

use std::collections::{BTreeMap, BTreeSet};

use super::Certificate;
use super::extensions::PolicyMapping;
use crate::Reason;

/// Checks a path, target first.
///
/// # Errors
/// [`Reason::PolicyNotSatisfied`].
pub(super) fn check(path: &[&Certificate], anchor: &Certificate) -> Result<(), Reason> {
    let concerns = |certificate: &&Certificate| {
        let extensions = &certificate.extensions;
        extensions.require_explicit_policy.is_some() || !extensions.policy_mappings.is_empty()
    };
    if !path.iter().any(concerns) && !concerns(&anchor) {
        return Ok(());
    }
    let mut state = State {
        level: Some(BTreeMap::from([(ANY_POLICY, BTreeSet::from([ANY_POLICY]))])),
        explicit_policy: NEVER,
        policy_mapping: NEVER,
        inhibit_any_policy: NEVER,
    };
    state.apply_constraints(anchor);
    for (below, certificate) in path.iter().enumerate().rev() {
        let is_target = below == 0;
        state.enter(certificate, is_target);
        if state.explicit_policy == 0 && state.level.is_none() {
            return Err(Reason::PolicyNotSatisfied);
        }
        if is_target {
            // Section 6.1.5 (a) and (b).
            let required = certificate.extensions.require_explicit_policy == Some(0);
            let explicit = state.explicit_policy.saturating_sub(1);
            if (explicit == 0 || required) && state.level.is_none() {
                return Err(Reason::PolicyNotSatisfied);
            }
        } else {
            state.leave(certificate)?;
        }
    }
    Ok(())
}

/// The variables of section 6.1.2. A level maps each valid policy to the expected ones.
struct State<'a> {
    level: Option<BTreeMap<&'a [u8], BTreeSet<&'a [u8]>>>,
    explicit_policy: u32,
    policy_mapping: u32,
    inhibit_any_policy: u32,
}

impl<'a> State<'a> {
    /// Section 6.1.3 (d) and (e): the level of this certificate, made of the one above.
    fn enter(&mut self, certificate: &'a Certificate, is_target: bool) {
        let above = self.level.take();
        let (Some(above), Some(policies)) = (above, &certificate.extensions.policies) else {
            return;
        };
        let mut level = BTreeMap::new();
        for policy in policies.iter().map(Vec::as_slice).filter(|policy| *policy != ANY_POLICY) {
            let is_expected = above.values().any(|expected| expected.contains(policy));
            if is_expected || above.contains_key(ANY_POLICY) {
                level.insert(policy, BTreeSet::from([policy]));
            }
        }
        let any_counts = self.inhibit_any_policy > 0 || (!is_target && certificate.is_self_issued());
        if any_counts && policies.iter().any(|policy| policy == ANY_POLICY) {
            for expected in above.values().flatten() {
                level.entry(*expected).or_insert_with(|| BTreeSet::from([*expected]));
            }
        }
        self.level = if level.is_empty() { None } else { Some(level) };
    }

    /// Section 6.1.4 (a), (b), (h) to (j): what the next certificate is measured by.
    fn leave(&mut self, certificate: &'a Certificate) -> Result<(), Reason> {
        let mappings = &certificate.extensions.policy_mappings;
        if mappings.iter().any(|(issuer, subject)| issuer == ANY_POLICY || subject == ANY_POLICY) {
            return Err(Reason::PolicyNotSatisfied);
        }
        if let Some(level) = &mut self.level {
            if self.policy_mapping > 0 {
                map(level, mappings);
            } else {
                level.retain(|policy, _| !mappings.iter().any(|(issuer, _)| issuer == policy));
            }
            if level.is_empty() {
                self.level = None;
            }
        }
        if !certificate.is_self_issued() {
            for counter in [&mut self.explicit_policy, &mut self.policy_mapping, &mut self.inhibit_any_policy] {
                *counter = counter.saturating_sub(1);
            }
        }
        self.apply_constraints(certificate);
        Ok(())
    }

    fn apply_constraints(&mut self, certificate: &Certificate) {
        let extensions = &certificate.extensions;
        let lower = |counter: &mut u32, limit: Option<u32>| *counter = (*counter).min(limit.unwrap_or(NEVER));
        lower(&mut self.explicit_policy, extensions.require_explicit_policy);
        lower(&mut self.policy_mapping, extensions.inhibit_policy_mapping);
        lower(&mut self.inhibit_any_policy, extensions.inhibit_any_policy);
    }
}

/// Section 6.1.4 (b)(1): a mapped policy expects its subject policies; one that only any-policy covers is added.
fn map<'a>(level: &mut BTreeMap<&'a [u8], BTreeSet<&'a [u8]>>, mappings: &'a [PolicyMapping]) {
    let has_any = level.contains_key(ANY_POLICY);
    let mut expected: BTreeMap<&[u8], BTreeSet<&[u8]>> = BTreeMap::new();
    for (issuer, subject) in mappings {
        expected.entry(issuer).or_default().insert(subject);
    }
    for (policy, subjects) in expected {
        if has_any || level.contains_key(policy) {
            level.insert(policy, subjects);
        }
    }
}

/// 2.5.29.32.0
const ANY_POLICY: &[u8] = &[0x55, 0x1d, 0x20, 0x00];
/// Longer than any path: the counters start above what a path can use up.
const NEVER: u32 = u32::MAX;
