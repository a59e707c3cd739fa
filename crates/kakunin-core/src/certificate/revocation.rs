//! Whether CRLs show every certificate of a path to be good (RFC 5280 section 6.3, complete and direct CRLs).
//!
//! Unknown is refused: no list, an old one, one of another key, one that covers other certificates. Of several
//! lists with one scope the newest counts. A delta CRL never shows that a certificate is good; that it mentions one
//! is enough to refuse it.

use std::collections::HashMap;

use super::crl::Crl;
use super::extensions::KEY_USAGE_CRL_SIGN;
use super::general_name::{DIRECTORY_NAME, GeneralName};
use super::{Certificate, names};
use crate::limits::CRLS_MAX;
use crate::{Reason, UnixTime};

/// The CRLs given for a path; none means that revocation is not asked about.
pub(super) struct Revocation<'a> {
    crls: Vec<Crl<'a>>,
    /// Whether a certificate's key (by fingerprint) signed a list (by index). Long lists are hashed once.
    verified: HashMap<(usize, [u8; 32]), bool>,
}

impl<'a> Revocation<'a> {
    /// Parses all lists.
    ///
    /// # Errors
    /// [`Reason::ListTooLong`], [`Reason::CrlMalformed`].
    pub(super) fn read(crls: &[&'a [u8]]) -> Result<Self, Reason> {
        if crls.len() > CRLS_MAX {
            return Err(Reason::ListTooLong { what: "list of CRLs", count: crls.len(), max: CRLS_MAX });
        }
        let crls = crls.iter().map(|der| Crl::parse(der)).collect::<Result<_, _>>()?;
        Ok(Self { crls, verified: HashMap::new() })
    }

    /// Checks a path whose signatures were verified, target first. The anchor itself is not asked about.
    ///
    /// # Errors
    /// [`Reason::CertificateRevoked`], [`Reason::RevocationUnknown`].
    pub(super) fn check(&mut self, path: &[&Certificate], anchor: &Certificate, as_of: UnixTime) -> Result<(), Reason> {
        if self.crls.is_empty() {
            return Ok(());
        }
        let issuers = path.iter().copied().skip(1).chain([anchor]);
        path.iter().zip(issuers).try_for_each(|(certificate, issuer)| self.check_one(certificate, issuer, as_of))
    }

    fn check_one(&mut self, certificate: &Certificate, issuer: &Certificate, as_of: UnixTime) -> Result<(), Reason> {
        let unknown = |what: String| Err(Reason::RevocationUnknown { serial: certificate.serial.clone(), what });
        let mut obstacle = "no CRL of its issuer is given".to_owned();
        let mut of_issuer: Vec<usize> = Vec::new();
        for index in 0..self.crls.len() {
            match self.obstacle(index, certificate, issuer) {
                Ok(true) => of_issuer.push(index),
                Ok(false) => {}
                Err(what) => obstacle = format!("a CRL cannot be used because {what}"),
            }
        }
        // Newest first; an older list of the same scope with a higher number means that something is wrong.
        let mut lists: Vec<&Crl<'_>> = of_issuer.iter().filter_map(|index| self.crls.get(*index)).collect();
        lists.sort_by_key(|crl| std::cmp::Reverse((crl.this_update, crl.number())));
        // Complete and delta CRLs share one sequence of numbers (section 5.2.3).
        let runs_backwards =
            |(newer, older): (&&Crl<'_>, &&Crl<'_>)| older.scope == newer.scope && older.number() > newer.number();
        let pairs = lists
            .iter()
            .enumerate()
            .flat_map(|(index, newer)| lists.iter().skip(index + 1).map(move |older| (newer, older)));
        if pairs.into_iter().any(runs_backwards) {
            return unknown("the numbers of its issuer's CRLs run backwards".to_owned());
        }
        let mut is_known = false;
        let mut is_mentioned = false;
        let mut scopes: Vec<Option<&[u8]>> = Vec::new();
        for crl in lists {
            if as_of < crl.this_update {
                obstacle = format!("the CRL of its issuer starts at {}", crl.this_update);
                continue;
            }
            if crl.is_delta {
                is_mentioned |= crl.lists(&certificate.serial_content);
                obstacle = "only a delta CRL of its issuer is given".to_owned();
                continue;
            }
            if scopes.contains(&crl.scope) {
                continue;
            }
            scopes.push(crl.scope);
            if crl.lists(&certificate.serial_content) {
                return Err(Reason::CertificateRevoked { serial: certificate.serial.clone() });
            }
            if as_of < crl.next_update {
                is_known = true;
            } else {
                obstacle = format!("the CRL of its issuer ended at {}", crl.next_update);
            }
        }
        match (is_known, is_mentioned) {
            (true, false) => Ok(()),
            (true, true) => unknown("a delta CRL mentions it".to_owned()),
            (false, _) => unknown(obstacle),
        }
    }

    /// Whether a list is one that speaks about a certificate, the time aside: `Ok(false)` when it is of another
    /// issuer, an error with the cause when it is of this issuer but cannot be used.
    fn obstacle(
        &mut self,
        index: usize,
        certificate: &Certificate,
        issuer: &Certificate,
    ) -> Result<bool, &'static str> {
        let Some(crl) = self.crls.get(index) else {
            return Ok(false);
        };
        if !names::same(crl.issuer, &certificate.issuer_der) {
            return Ok(false);
        }
        if let Some(what) = crl.unusable {
            return Err(what);
        }
        if !covers(crl, certificate) {
            return Err("it covers other certificates");
        }
        if !issuer.extensions.has_key_usage(KEY_USAGE_CRL_SIGN) {
            return Err("its issuer may not sign CRLs");
        }
        let verify = || crl.verify_signature(&issuer.spki).is_ok();
        let verified = *self.verified.entry((index, issuer.fingerprint)).or_insert_with(verify);
        if verified { Ok(true) } else { Err("the issuer's key did not sign it") }
    }
}

/// Section 6.3.3 (b)(2): the certificate is of a kind, and of a distribution point, that the list is for.
fn covers(crl: &Crl<'_>, certificate: &Certificate) -> bool {
    let Some(point) = &crl.point else {
        return true;
    };
    let covers_kind = if certificate.is_ca { !point.only_user } else { !point.only_ca };
    let Some(names) = &point.names else {
        return covers_kind;
    };
    covers_kind
        && match &certificate.extensions.distribution_points {
            Some(points) => points
                .iter()
                .filter(|point| !point.has_reasons && !point.has_crl_issuer)
                .any(|point| point.names.iter().any(|name| names.contains(name))),
            // Without distribution points the certificate's issuer is taken for one.
            None => names.contains(&GeneralName { tag: DIRECTORY_NAME, value: certificate.issuer_der.clone() }),
        }
}
