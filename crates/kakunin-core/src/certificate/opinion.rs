//! The second opinion: the path that was found, put before rustls-webpki.
//!
//! For a path that webpki has the features for, which is every path an agent has, both validators must accept, and
//! webpki is the one that verifies the signatures. It is asked about exactly one path, so that its own search, which
//! many certificates of one name can make slow, has nothing to choose.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime as WebpkiTime};
use webpki::ring as algs;
use webpki::{EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert};

use super::Certificate;
use super::general_name::{DNS_NAME, IP_ADDRESS};
use crate::{Reason, UnixTime};

/// Whether webpki implements everything this path uses. It does not: CAs as targets, more than six intermediates,
/// names that are equal but not the same bytes, self-issued certificates in path lengths, constraints on other names
/// than DNS and addresses, extensions other than a few being critical, path lengths above 255, unique identifiers, times before 1970.
pub(super) fn applies(path: &[&Certificate], anchor: &Certificate, as_of: UnixTime) -> bool {
    let Some((target, intermediates)) = path.split_first() else {
        return false;
    };
    let all = || path.iter().copied().chain([anchor]);
    !target.is_ca
        && intermediates.len() <= INTERMEDIATES_MAX
        && as_of >= EPOCH
        && all().all(is_plain)
        && all().zip(all().skip(1)).all(|(certificate, issuer)| certificate.issuer_der == issuer.subject_der)
        && !intermediates.iter().any(|certificate| certificate.is_self_issued())
}

fn is_plain(certificate: &Certificate) -> bool {
    let extensions = &certificate.extensions;
    let constraints = extensions.name_constraints.iter();
    let mut bases = constraints.flat_map(|constraints| constraints.permitted.iter().chain(&constraints.excluded));
    let path_length = extensions.basic_constraints.and_then(|constraints| constraints.path_length);
    certificate.not_before >= EPOCH
        && !extensions.critical_beyond_webpki
        && !certificate.has_unique_id
        && path_length.is_none_or(|length| length <= u32::from(u8::MAX))
        && bases.all(|base| matches!(base.tag, DNS_NAME | IP_ADDRESS))
}

/// Asks webpki about a path, target first.
///
/// # Errors
/// Its refusal in our words.
pub(super) fn check(path: &[&Certificate], anchor: &Certificate, as_of: UnixTime) -> Result<(), Reason> {
    let der = |certificate: &'_ Certificate| CertificateDer::from(certificate.der.clone());
    let Some((target, intermediates)) = path.split_first() else {
        return Err(Reason::NoTrustAnchor);
    };
    let (target_der, anchor_der) = (der(target), der(anchor));
    let intermediates: Vec<CertificateDer<'_>> = intermediates.iter().map(|certificate| der(certificate)).collect();
    let end_entity = EndEntityCert::try_from(&target_der).map_err(|error| refusal(&error))?;
    let anchors = [anchor_from_trusted_cert(&anchor_der).map_err(|error| refusal(&error))?];
    // Whole seconds: the exact comparison was made before.
    let seconds = u64::try_from(as_of.seconds()).unwrap_or(0);
    let time = WebpkiTime::since_unix_epoch(Duration::from_secs(seconds));
    end_entity
        .verify_for_usage(ALGORITHMS, &anchors, &intermediates, time, AnyPurpose, None, None)
        .map(drop)
        .map_err(|error| refusal(&error))
}

/// No purpose is asked for here; who needs one looks at the extension.
struct AnyPurpose;

impl ExtendedKeyUsageValidator for AnyPurpose {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        Ok(())
    }
}

fn refusal(error: &Error) -> Reason {
    match error {
        Error::InvalidSignatureForPublicKey => Reason::SignatureInvalid,
        Error::NameConstraintViolation => Reason::NameConstraintViolated,
        Error::PathLenConstraintViolated => Reason::PathLengthExceeded,
        Error::UnsupportedSignatureAlgorithmContext(_) | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            Reason::CertificateInvalid {
                what: "A certificate's signature algorithm does not fit the issuer's key".to_owned(),
            }
        }
        _ => Reason::CertificateInvalid { what: "The independent validator refuses the path".to_owned() },
    }
}

/// The same pairs of algorithm and key as [`Algorithm`](super::signature::Algorithm) accepts in certificates.
static ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    algs::ECDSA_P256_SHA256,
    algs::ECDSA_P384_SHA384,
    algs::ED25519,
    algs::RSA_PKCS1_2048_8192_SHA256,
    algs::RSA_PKCS1_2048_8192_SHA384,
    algs::RSA_PKCS1_2048_8192_SHA512,
    algs::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
    algs::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
    algs::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    algs::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algs::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algs::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// What webpki's own path has room for.
const INTERMEDIATES_MAX: usize = 6;
const EPOCH: UnixTime = UnixTime(0);
