//! The verdict on a registered certificate, now. The mathematics of an unchanged chain is kept per backend; times,
//! revocations and anchors are read every time.

use crate::certificate::borrowed;
use crate::{catalog, config};
use kakunin_core::certificate::{self, Agent, Certificate, Profile};
use kakunin_core::{Reason, UnixTime};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// A certificate whose path was verified, and who it names.
pub struct Verified {
    pub fingerprint: [u8; 32],
    pub serial: String,
    pub spki: Vec<u8>,
    pub agent_id: String,
    pub tenant_id: Option<String>,
    pub model_hash: Option<String>,
    /// Canonical JSON.
    pub scope: Option<String>,
    /// Intermediates from the leaf's issuer upwards, then the anchor.
    pub issuers: Vec<[u8; 32]>,
    pub not_before: UnixTime,
    pub not_after: UnixTime,
    profile: Profile,
}

/// Verifies the registered certificate with this fingerprint.
pub fn verify(fingerprint: &[u8; 32], now: UnixTime) -> Result<Rc<Verified>, Reason> {
    let profile = config::profile();
    if let Some(known) = cached(fingerprint, &profile) {
        if is_trusted(fingerprint, &known.issuers) {
            check_times(&known, now)?;
            return Ok(known);
        }
        // Something was withdrawn; the chain may have another way up by now.
        forget(fingerprint);
    }
    let verified = Rc::new(verify_path(fingerprint, now, profile)?);
    remember(&verified);
    Ok(verified)
}

/// Validates an agent certificate against the registered anchors and the registered revocations. Where a revoked
/// certificate is on the path, a way around it is looked for.
pub fn check_agent(
    certificate: &[u8],
    chain: &[Vec<u8>],
    crls: &[Vec<u8>],
    as_of: UnixTime,
    profile: &Profile,
) -> Result<Agent, Reason> {
    let anchors = catalog::anchors();
    let check = |chain: &[&[u8]], anchors: &[&[u8]]| {
        certificate::check_agent(certificate, chain, anchors, &borrowed(crls), as_of, profile)
    };
    let agent = check(&borrowed(chain), &borrowed(&anchors))?;
    let Some(revoked) = revoked_member(&agent) else { return Ok(agent) };
    if catalog::is_revoked(&agent.path.leaf.fingerprint) {
        return Err(revoked);
    }
    let standing = |list: &[Vec<u8>]| -> Vec<Vec<u8>> {
        let stands =
            |der: &&Vec<u8>| Certificate::parse(der).is_ok_and(|member| !catalog::is_revoked(&member.fingerprint));
        list.iter().filter(stands).cloned().collect()
    };
    check(&borrowed(&standing(chain)), &borrowed(&standing(&anchors))).map_err(|_| revoked)
}

fn revoked_member(agent: &Agent) -> Option<Reason> {
    let path = &agent.path;
    let mut members = std::iter::once(&path.leaf).chain(&path.intermediates).chain([&path.anchor]);
    let revoked = members.find(|member| catalog::is_revoked(&member.fingerprint))?;
    Some(Reason::CertificateRevoked { serial: revoked.serial.clone() })
}

fn check_times(verified: &Verified, now: UnixTime) -> Result<(), Reason> {
    let serial = || verified.serial.clone();
    if now < verified.not_before {
        return Err(Reason::CertificateNotYetValid { serial: serial(), not_before: verified.not_before });
    }
    if now > verified.not_after {
        return Err(Reason::CertificateExpired { serial: serial(), not_after: verified.not_after });
    }
    Ok(())
}

/// The certificate is still registered, none of its path is revoked, and its anchor still is one. A handful of index
/// look-ups.
pub fn is_trusted(fingerprint: &[u8; 32], issuers: &[[u8; 32]]) -> bool {
    catalog::is_registered(fingerprint)
        && !catalog::is_revoked(fingerprint)
        && !issuers.iter().any(catalog::is_revoked)
        && issuers.last().is_some_and(catalog::is_anchor)
}

fn verify_path(fingerprint: &[u8; 32], now: UnixTime, profile: Profile) -> Result<Verified, Reason> {
    let stored = catalog::certificate(fingerprint).ok_or(Reason::CertificateUnknown)?;
    let agent = check_agent(&stored.certificate, &stored.chain, &[], now, &profile)?;
    let leaf = agent.path.leaf;
    if leaf.fingerprint != *fingerprint {
        return Err(Reason::CertificateUnknown);
    }
    let issuers =
        agent.path.intermediates.iter().chain([&agent.path.anchor]).map(|issuer| issuer.fingerprint).collect();
    Ok(Verified {
        fingerprint: leaf.fingerprint,
        serial: leaf.serial,
        spki: leaf.spki,
        agent_id: agent.agent_id.unwrap_or(stored.agent_id),
        tenant_id: agent.tenant_id.or(stored.tenant_id),
        model_hash: agent.model_hash,
        scope: agent.scope,
        issuers,
        not_before: agent.path.not_before,
        not_after: agent.path.not_after,
        profile,
    })
}

fn cached(fingerprint: &[u8; 32], profile: &Profile) -> Option<Rc<Verified>> {
    if !config::chain_cache_enabled() {
        return None;
    }
    VERDICTS.with_borrow(|verdicts| verdicts.get(fingerprint).filter(|known| known.profile == *profile).cloned())
}

fn remember(verified: &Rc<Verified>) {
    VERDICTS.with_borrow_mut(|verdicts| {
        if verdicts.len() >= VERDICTS_MAX {
            verdicts.clear();
        }
        verdicts.insert(verified.fingerprint, Rc::clone(verified));
    });
}

fn forget(fingerprint: &[u8; 32]) {
    VERDICTS.with_borrow_mut(|verdicts| verdicts.remove(fingerprint));
}

thread_local! {
    static VERDICTS: RefCell<HashMap<[u8; 32], Rc<Verified>>> = RefCell::new(HashMap::new());
}
/// Chains kept per backend; a few kilobytes each.
const VERDICTS_MAX: usize = 256;
