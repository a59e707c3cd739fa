//! Whether a path that was found is valid: RFC 5280 section 6.1 without signatures and revocation, which cost more
//! and come after.

use super::extensions::{BasicConstraints, KEY_USAGE_CERT_SIGN};
use super::key::PublicKey;
use super::{Certificate, name_constraints, names, policy};
use crate::{Reason, UnixTime};

/// Checks a path, target first, against an anchor whose certificate counts like one of the path: its validity,
/// extensions and constraints are enforced too (section 6.2 leaves that to the implementation).
///
/// # Errors
/// The first rule that is broken, looking from the target to the anchor.
pub(super) fn check(path: &[&Certificate], anchor: &Certificate, as_of: UnixTime) -> Result<(), Reason> {
    let (target, intermediates) = path.split_first().ok_or(Reason::NoTrustAnchor)?;
    each(target, as_of)?;
    for issuer in intermediates.iter().copied().chain([anchor]) {
        as_issuer(issuer, as_of)?;
    }
    path_length(intermediates, anchor)?;
    name_constraints::check(path, anchor)?;
    policy::check(path, anchor)
}

/// What an issuer in a path must be, whatever the path.
pub(super) fn as_issuer(certificate: &Certificate, as_of: UnixTime) -> Result<(), Reason> {
    each(certificate, as_of)?;
    // Section 6.1.4 (k) and (n). Without keyUsage a CA may sign: the RFC obliges issuers to set it, not users to ask.
    if !certificate.is_ca || !certificate.extensions.has_key_usage(KEY_USAGE_CERT_SIGN) {
        return Err(Reason::IssuerNotCa { subject: certificate.subject.clone() });
    }
    Ok(())
}

/// What every certificate of a path must be.
fn each(certificate: &Certificate, as_of: UnixTime) -> Result<(), Reason> {
    let serial = || certificate.serial.clone();
    if as_of < certificate.not_before {
        return Err(Reason::CertificateNotYetValid { serial: serial(), not_before: certificate.not_before });
    }
    if as_of > certificate.not_after {
        return Err(Reason::CertificateExpired { serial: serial(), not_after: certificate.not_after });
    }
    if let Some(oid) = &certificate.extensions.unknown_critical {
        return Err(Reason::CriticalExtensionUnknown { oid: oid.clone() });
    }
    contradictions(certificate)?;
    for name in [&certificate.subject_der, &certificate.issuer_der] {
        names::check_text(name).map_err(|fault| Reason::CertificateInvalid {
            what: format!("In the certificate with serial {} {}", certificate.serial, fault.0),
        })?;
    }
    certificate.algorithm()?;
    PublicKey::parse(&certificate.spki)?.check_sound()
}

/// Extensions that RFC 5280 section 4.2.1 forbids to stand together.
fn contradictions(certificate: &Certificate) -> Result<(), Reason> {
    let extensions = &certificate.extensions;
    let is_ca = certificate.is_ca;
    let what = if is_ca && certificate.has_empty_subject() {
        "has a CA without a subject (section 4.1.2.6)"
    } else if certificate.has_empty_subject() && extensions.subject_alt_names.is_none() {
        "names nobody (section 4.1.2.6)"
    } else if certificate.has_empty_subject() && !extensions.subject_alt_names_critical {
        "has an empty subject and no critical subjectAltName (section 4.1.2.6)"
    } else if !is_ca && extensions.key_usage.is_some_and(|bits| bits & KEY_USAGE_CERT_SIGN != 0) {
        "may sign certificates but is not a CA (section 4.2.1.9)"
    } else if !is_ca && matches!(extensions.basic_constraints, Some(BasicConstraints { path_length: Some(_), .. })) {
        "limits a path length but is not a CA (section 4.2.1.9)"
    } else if !is_ca && extensions.name_constraints.is_some() {
        "constrains names but is not a CA (section 4.2.1.10)"
    } else {
        return Ok(());
    };
    Err(Reason::CertificateInvalid { what: format!("The certificate with serial {} {what}", certificate.serial) })
}

/// Section 6.1.4 (l) and (m): how many intermediates may follow; self-issued ones do not count, the target never.
fn path_length(intermediates: &[&Certificate], anchor: &Certificate) -> Result<(), Reason> {
    let limit = |certificate: &Certificate| {
        certificate.extensions.basic_constraints.and_then(|constraints| constraints.path_length).unwrap_or(u32::MAX)
    };
    let mut left = limit(anchor);
    for certificate in intermediates.iter().rev() {
        if !certificate.is_self_issued() {
            left = left.checked_sub(1).ok_or(Reason::PathLengthExceeded)?;
        }
        left = left.min(limit(certificate));
    }
    Ok(())
}
