//! What may be registered as a trust anchor.

use super::{Certificate, rules};
use crate::{Reason, UnixTime};

/// Checks a certificate that is to become a trust anchor: a CA that may sign certificates (RFC 5280 sections 4.2.1.3
/// and 4.2.1.9), with an accepted key, inside its validity. Who signed it does not matter: trust starts here.
///
/// # Errors
/// What [`Certificate::parse`] gives; [`Reason::IssuerNotCa`], [`Reason::CertificateExpired`],
/// [`Reason::CertificateNotYetValid`], [`Reason::KeyUnsupported`] and the other rules that hold for an issuer in a path.
pub fn check_anchor(certificate: &[u8], now: UnixTime) -> Result<Certificate, Reason> {
    let anchor = Certificate::parse(certificate)?;
    rules::as_issuer(&anchor, now)?;
    Ok(anchor)
}
