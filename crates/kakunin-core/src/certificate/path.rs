//! Finding a path (RFC 4158) and deciding on it (RFC 5280 section 6).
//!
//! The search walks from the target towards the anchors by issuer name. Where one name has several holders a
//! signature tells who is meant, each pair being tried once; so neither decoys nor cycles cost more than pairs.

use std::collections::HashMap;

use super::revocation::Revocation;
use super::{Certificate, names, opinion, rules};
use crate::limits::{ANCHORS_MAX, CHAIN_LENGTH_MAX, PATH_SIGNATURES_MAX, PATH_STEPS_MAX};
use crate::{Reason, UnixTime};

/// A valid path from a target to a trust anchor.
#[derive(Clone, Debug)]
pub struct Path {
    /// The target: the certificate that was asked about.
    pub leaf: Certificate,
    /// The CAs between, the target's issuer first.
    pub intermediates: Vec<Certificate>,
    /// The trust anchor that the last of them, or the target, was issued by.
    pub anchor: Certificate,
    /// The latest beginning of validity in the path, the anchor's included.
    pub not_before: UnixTime,
    /// The earliest end of validity in the path, the anchor's included.
    pub not_after: UnixTime,
}

/// Validates a certificate by RFC 5280 section 6, with no purpose and no name asked for.
///
/// `certificate`, `chain` (at most 8, any order, more than needed is harmless), `anchors` (at most 1024) and `crls`
/// (at most 64) are DER. The target may itself be a CA. Anchors are CA certificates whose own validity, extensions
/// and constraints count; their self-signature does not, but its algorithm must be an accepted one. With `crls` not
/// empty, every certificate below the anchor must be shown by a current CRL not to be revoked. Entries of `chain`
/// and `anchors` that cannot be parsed are passed over.
///
/// # Errors
/// [`Reason::ChainTooLong`], [`Reason::ListTooLong`], [`Reason::NoTrustAnchor`]; what [`Certificate::parse`] gives
/// for the target; otherwise the most telling reason why no candidate path is valid.
pub fn check_path(
    certificate: &[u8],
    chain: &[&[u8]],
    anchors: &[&[u8]],
    crls: &[&[u8]],
    as_of: UnixTime,
) -> Result<Path, Reason> {
    if chain.len() > CHAIN_LENGTH_MAX {
        return Err(Reason::ChainTooLong { count: chain.len(), max: CHAIN_LENGTH_MAX });
    }
    if anchors.len() > ANCHORS_MAX {
        return Err(Reason::ListTooLong { what: "list of trust anchors", count: anchors.len(), max: ANCHORS_MAX });
    }
    let target = Certificate::parse(certificate)?;
    let mut unusable = None;
    let mut parse = |list: &[&[u8]]| -> Vec<Certificate> {
        let keep = |der: &&[u8]| Certificate::parse(der).map_err(|reason| unusable.get_or_insert(reason).clone()).ok();
        list.iter().filter_map(keep).collect()
    };
    let (chain, parsed_anchors) = (parse(chain), parse(anchors));
    let outcome = if parsed_anchors.is_empty() && !anchors.is_empty() {
        Err(Reason::IssuerUnknown { issuer: target.issuer.clone() })
    } else {
        check_parsed_path(&target, &chain, &parsed_anchors, crls, as_of)
    };
    // That no path was found may be because of the one that could not be parsed.
    outcome.map_err(|reason| match (reason, unusable) {
        (Reason::IssuerUnknown { .. }, Some(unusable)) => unusable,
        (reason, _) => reason,
    })
}

/// [`check_path`] for certificates that are parsed already.
///
/// # Errors
/// See [`check_path`].
pub fn check_parsed_path(
    target: &Certificate,
    chain: &[Certificate],
    anchors: &[Certificate],
    crls: &[&[u8]],
    as_of: UnixTime,
) -> Result<Path, Reason> {
    if chain.len() > CHAIN_LENGTH_MAX {
        return Err(Reason::ChainTooLong { count: chain.len(), max: CHAIN_LENGTH_MAX });
    }
    if anchors.is_empty() {
        return Err(Reason::NoTrustAnchor);
    }
    let revocation = Revocation::read(crls)?;
    // An anchor sent along in the chain, as many peers do, is not an intermediate.
    let is_intermediate = |certificate: &&Certificate| {
        certificate.fingerprint != target.fingerprint
            && !anchors.iter().any(|anchor| anchor.fingerprint == certificate.fingerprint)
    };
    let mut search = Search {
        intermediates: chain.iter().filter(is_intermediate).collect(),
        anchors,
        revocation,
        as_of,
        edges: HashMap::new(),
        signatures_left: PATH_SIGNATURES_MAX,
        steps_left: PATH_STEPS_MAX,
        refusal: Reason::IssuerUnknown { issuer: target.issuer.clone() },
    };
    let mut path = vec![target];
    match search.extend(&mut path)? {
        Some(anchor) => Ok(Path::new(&path, anchor)),
        None => Err(search.refusal),
    }
}

impl Path {
    fn new(path: &[&Certificate], anchor: &Certificate) -> Self {
        let mut intermediates: Vec<Certificate> = path.iter().map(|certificate| (*certificate).clone()).collect();
        let leaf = intermediates.remove(0);
        let times = |pick: fn(&Certificate) -> UnixTime| path.iter().copied().chain([anchor]).map(pick);
        Self {
            not_before: times(|certificate| certificate.not_before).max().unwrap_or(leaf.not_before),
            not_after: times(|certificate| certificate.not_after).min().unwrap_or(leaf.not_after),
            leaf,
            intermediates,
            anchor: anchor.clone(),
        }
    }
}

struct Search<'a> {
    intermediates: Vec<&'a Certificate>,
    anchors: &'a [Certificate],
    revocation: Revocation<'a>,
    as_of: UnixTime,
    /// Whether the second of two certificates (by fingerprint) signed the first.
    edges: HashMap<([u8; 32], [u8; 32]), bool>,
    signatures_left: usize,
    steps_left: usize,
    /// The most telling refusal so far.
    refusal: Reason,
}

impl<'a> Search<'a> {
    /// Tries to complete `path` (target first), anchors before longer ways. Leaves the valid path in place.
    ///
    /// # Errors
    /// [`Reason::PathTooComplex`] when the budget is used up; every other refusal is kept and the search goes on.
    fn extend(&mut self, path: &mut Vec<&'a Certificate>) -> Result<Option<&'a Certificate>, Reason> {
        self.steps_left = self.steps_left.checked_sub(1).ok_or(Reason::PathTooComplex)?;
        let Some(head) = path.last().copied() else {
            return Ok(None);
        };
        let anchors = self.anchors.iter().filter(|anchor| names::same(&head.issuer_der, &anchor.subject_der));
        let anchors: Vec<&Certificate> = anchors.collect();
        let issuers: Vec<&Certificate> = if path.len() > CHAIN_LENGTH_MAX {
            Vec::new()
        } else {
            let may_follow =
                |issuer: &&&Certificate| names::same(&head.issuer_der, &issuer.subject_der) && !repeats(path, issuer);
            self.intermediates.iter().filter(may_follow).copied().collect()
        };
        let is_ambiguous = anchors.len() + issuers.len() > 1;
        for anchor in by_key_id(head, anchors) {
            if is_ambiguous && !self.signed(head, anchor)? {
                continue;
            }
            match self.judge(path, anchor)? {
                Ok(()) => return Ok(Some(anchor)),
                Err(reason) => self.remember(reason),
            }
        }
        for issuer in by_key_id(head, issuers) {
            if let Err(reason) = rules::as_issuer(issuer, self.as_of) {
                self.remember(reason);
                continue;
            }
            if is_ambiguous && !self.signed(head, issuer)? {
                continue;
            }
            path.push(issuer);
            if let Some(anchor) = self.extend(path)? {
                return Ok(Some(anchor));
            }
            path.pop();
        }
        Ok(None)
    }

    /// Decides on one complete path. The outer error ends the search.
    fn judge(&mut self, path: &[&Certificate], anchor: &Certificate) -> Result<Result<(), Reason>, Reason> {
        if let Err(reason) = rules::check(path, anchor, self.as_of) {
            return Ok(Err(reason));
        }
        // Where rustls-webpki can judge, it verifies the signatures; otherwise they are verified here.
        let verdict = if opinion::applies(path, anchor, self.as_of) {
            self.spend(path.len())?;
            opinion::check(path, anchor, self.as_of)
        } else {
            self.signatures(path, anchor)?
        };
        Ok(verdict.and_then(|()| self.revocation.check(path, anchor, self.as_of)))
    }

    fn signatures(&mut self, path: &[&Certificate], anchor: &Certificate) -> Result<Result<(), Reason>, Reason> {
        let issuers = path.iter().copied().skip(1).chain([anchor]);
        for (certificate, issuer) in path.iter().zip(issuers) {
            if !self.signed(certificate, issuer)? {
                return Ok(Err(Reason::SignatureInvalid));
            }
        }
        Ok(Ok(()))
    }

    fn signed(&mut self, certificate: &Certificate, issuer: &Certificate) -> Result<bool, Reason> {
        let edge = (certificate.fingerprint, issuer.fingerprint);
        if let Some(signed) = self.edges.get(&edge) {
            return Ok(*signed);
        }
        self.spend(1)?;
        let outcome = certificate.verify_signature(&issuer.spki);
        self.edges.insert(edge, outcome.is_ok());
        let signed = outcome.is_ok();
        if let Err(reason) = outcome {
            self.remember(reason);
        }
        Ok(signed)
    }

    fn spend(&mut self, signatures: usize) -> Result<(), Reason> {
        self.signatures_left = self.signatures_left.checked_sub(signatures).ok_or(Reason::PathTooComplex)?;
        Ok(())
    }

    fn remember(&mut self, reason: Reason) {
        if weight(&reason) > weight(&self.refusal) {
            self.refusal = reason;
        }
    }
}

/// RFC 4158 section 5.2: a subject with the same key twice in a path leads nowhere new.
fn repeats(path: &[&Certificate], issuer: &Certificate) -> bool {
    path.iter().any(|seen| seen.spki == issuer.spki && names::same(&seen.subject_der, &issuer.subject_der))
}

/// Issuers whose key identifier is the one that the certificate names come first. It is a hint only (RFC 5280
/// section 4.2.1.1): a mismatch forbids nothing.
fn by_key_id<'a>(certificate: &Certificate, mut issuers: Vec<&'a Certificate>) -> Vec<&'a Certificate> {
    issuers.sort_by_key(|issuer| match (&certificate.authority_key_id, &issuer.subject_key_id) {
        (Some(wanted), Some(found)) if wanted == found => 0,
        (Some(_), Some(_)) => 2,
        _ => 1,
    });
    issuers
}

/// When several candidates fail, the reason that got furthest tells most; of equals the first stays.
fn weight(reason: &Reason) -> u8 {
    match reason {
        Reason::IssuerUnknown { .. } => 0,
        Reason::SignatureInvalid | Reason::AlgorithmMismatch { .. } => 1,
        Reason::RevocationUnknown { .. } => 3,
        Reason::CertificateRevoked { .. } => 4,
        _ => 2,
    }
}
