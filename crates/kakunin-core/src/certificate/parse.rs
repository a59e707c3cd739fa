//! One certificate (RFC 5280 section 4.1), read strictly.

use std::ops::Range;

use ring::digest::{SHA256, digest};

use super::der::{self, Fault, Reader};
use super::extensions::{self, Extensions};
use super::signature::{self, Algorithm};
use super::{key, names, serial};
use crate::limits::CERTIFICATE_BYTES_MAX;
use crate::{Reason, UnixTime};

/// A certificate of version 3 in strict DER. That it can be parsed says nothing about whether it can be trusted;
/// [`check_path`](super::check_path) does.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate as it was given.
    pub der: Vec<u8>,
    /// SHA-256 of `der`.
    pub fingerprint: [u8; 32],
    /// The serial number as [`serial::normalize`](super::serial::normalize) writes it.
    pub serial: String,
    /// The subject as text (RFC 4514); empty when the name is.
    pub subject: String,
    /// The issuer as text (RFC 4514).
    pub issuer: String,
    /// The subject as a DER `Name`.
    pub subject_der: Vec<u8>,
    /// The issuer as a DER `Name`.
    pub issuer_der: Vec<u8>,
    /// First instant of validity; whole seconds.
    pub not_before: UnixTime,
    /// Last instant of validity, itself included; whole seconds.
    pub not_after: UnixTime,
    /// The public key as a DER SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// Whether basicConstraints says CA.
    pub is_ca: bool,
    /// The subject key identifier, if there is one.
    pub subject_key_id: Option<Vec<u8>>,
    /// The key identifier of the authority key identifier, if there is one.
    pub authority_key_id: Option<Vec<u8>>,
    pub(super) extensions: Extensions,
    /// Whether one of the obsolete unique identifiers is there, which rustls-webpki does not read.
    pub(super) has_unique_id: bool,
    /// The content octets of the serial number's INTEGER, which is how a CRL lists it.
    pub(super) serial_content: Vec<u8>,
    tbs: Range<usize>,
    algorithm: Range<usize>,
    signature: Range<usize>,
}

impl Certificate {
    /// Parses one DER certificate of at most 16 KiB.
    ///
    /// Refused is whatever is not the one encoding of a version 3 certificate: BER forms, bytes before or after, a
    /// spelled-out default, a signature algorithm that differs between the signed and the outer part (section
    /// 4.1.1.2), a serial number that is not 1 to 20 octets and positive (4.1.2.2), an empty issuer (4.1.2.4),
    /// UTCTime and GeneralizedTime used for each other's years or in another form (4.1.2.5), an end before the
    /// beginning, an extension twice (4.2), a malformed known extension.
    ///
    /// # Errors
    /// [`Reason::CertificateTooLarge`], [`Reason::CertificateMalformed`], [`Reason::SerialInvalid`],
    /// [`Reason::ExtensionRepeated`], [`Reason::CertificateInvalid`].
    pub fn parse(der: &[u8]) -> Result<Self, Reason> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(Reason::CertificateTooLarge { bytes: der.len(), max: CERTIFICATE_BYTES_MAX });
        }
        let outer = Outer::read(der).map_err(malformed)?;
        let tbs = Tbs::read(outer.tbs.value).map_err(malformed)?;
        if tbs.algorithm != outer.algorithm {
            return invalid("Its two signature algorithms differ");
        }
        let serial = serial::from_der(tbs.serial)?;
        if tbs.issuer.len() <= EMPTY_NAME {
            return invalid("Its issuer is empty");
        }
        if tbs.not_after < tbs.not_before {
            return invalid("Its validity ends before it begins");
        }
        let extensions = extensions::read(tbs.extensions)?;
        let text = |name| names::text(name).map_err(malformed);
        let fingerprint = digest(&SHA256, der);
        // The three parts follow each other, and the last ends the certificate.
        let tbs_start = der.len() - outer.content.len();
        let tbs_end = tbs_start + outer.tbs.whole.len();
        let algorithm_end = tbs_end + outer.algorithm_whole_len;
        Ok(Self {
            fingerprint: fingerprint.as_ref().try_into().unwrap_or([0; 32]),
            serial,
            subject: text(tbs.subject)?,
            issuer: text(tbs.issuer)?,
            subject_der: tbs.subject.to_vec(),
            issuer_der: tbs.issuer.to_vec(),
            not_before: tbs.not_before,
            not_after: tbs.not_after,
            spki: tbs.spki.to_vec(),
            is_ca: extensions.basic_constraints.is_some_and(|constraints| constraints.ca),
            subject_key_id: extensions.subject_key_id.clone(),
            authority_key_id: extensions.authority_key_id.clone(),
            extensions,
            has_unique_id: tbs.has_unique_id,
            serial_content: tbs.serial.to_vec(),
            tbs: tbs_start..tbs_end,
            algorithm: algorithm_end - outer.algorithm.len()..algorithm_end,
            signature: der.len() - outer.signature.len()..der.len(),
            der: der.to_vec(),
        })
    }

    /// Whether the certificate names itself as its issuer (RFC 5280 section 6.1 calls that self-issued).
    pub(super) fn is_self_issued(&self) -> bool {
        names::same(&self.subject_der, &self.issuer_der)
    }

    /// Whether the subject is the empty name.
    pub(super) fn has_empty_subject(&self) -> bool {
        self.subject_der.len() <= EMPTY_NAME
    }

    /// The algorithm that signed this certificate.
    ///
    /// # Errors
    /// [`Reason::AlgorithmUnsupported`] for any that is not accepted in certificates.
    pub(super) fn algorithm(&self) -> Result<Algorithm, Reason> {
        accepted_algorithm(self.part(&self.algorithm))
    }

    /// Whether the key in `issuer_spki` signed this certificate (RFC 5280 section 6.1.3 (a)(1)).
    ///
    /// # Errors
    /// [`Reason::AlgorithmUnsupported`], and what [`signature::verify`] gives.
    pub(super) fn verify_signature(&self, issuer_spki: &[u8]) -> Result<(), Reason> {
        signature::verify(self.algorithm()?, issuer_spki, self.part(&self.tbs), self.part(&self.signature))
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.der.get(range.clone()).unwrap_or_default()
    }
}

/// The algorithm of an AlgorithmIdentifier's content, or the refusal that names its OID.
pub(super) fn accepted_algorithm(identifier: &[u8]) -> Result<Algorithm, Reason> {
    Algorithm::of_identifier(identifier).ok_or_else(|| {
        let oid = Reader::new(identifier).expect(der::OID, "").map_or_else(|_| "?".to_owned(), der::oid_text);
        Reason::AlgorithmUnsupported { algorithm: format!("{oid} with its parameters") }
    })
}

/// `SIGNED{…}` of X.509: the signed part, its algorithm and signature. CRLs have the same frame.
pub(super) struct Outer<'a> {
    pub(super) content: &'a [u8],
    pub(super) tbs: der::Tlv<'a>,
    pub(super) algorithm: &'a [u8],
    pub(super) algorithm_whole_len: usize,
    pub(super) signature: &'a [u8],
}

impl<'a> Outer<'a> {
    pub(super) fn read(der: &'a [u8]) -> Result<Self, Fault> {
        let content = der::only(der, der::SEQUENCE, "It is not exactly one SEQUENCE")?;
        let mut parts = Reader::new(content);
        let tbs = parts.expect_tlv(der::SEQUENCE, "It has no signed part")?;
        let algorithm = parts.expect_tlv(der::SEQUENCE, "It has no signature algorithm")?;
        let signature = parts.expect(der::BIT_STRING, "It has no signature")?;
        parts.finish("It has bytes after the signature")?;
        der::check(tbs.whole)?;
        der::check(algorithm.whole)?;
        Ok(Self {
            content,
            tbs,
            algorithm: algorithm.value,
            algorithm_whole_len: algorithm.whole.len(),
            signature: der::octets_of_bit_string(signature)?,
        })
    }
}

/// The fields of a TBSCertificate in their order.
struct Tbs<'a> {
    serial: &'a [u8],
    algorithm: &'a [u8],
    issuer: &'a [u8],
    not_before: UnixTime,
    not_after: UnixTime,
    subject: &'a [u8],
    spki: &'a [u8],
    has_unique_id: bool,
    extensions: Option<&'a [u8]>,
}

impl<'a> Tbs<'a> {
    fn read(content: &'a [u8]) -> Result<Self, Fault> {
        let mut fields = Reader::new(content);
        // Version 1 is the default and may not be spelled out; 2 has no extensions. Only 3 (written 2) is of use.
        match fields.optional(VERSION)? {
            Some([der::INTEGER, 1, 2]) => {}
            _ => return Err(Fault("It is not a certificate of version 3")),
        }
        let serial = fields.expect(der::INTEGER, "It has no serial number")?;
        let algorithm = fields.expect(der::SEQUENCE, "It has no inner signature algorithm")?;
        let issuer = fields.expect_tlv(der::SEQUENCE, "It has no issuer")?.whole;
        let mut validity = Reader::new(fields.expect(der::SEQUENCE, "It has no validity")?);
        let (not_before, not_after) = (time(&mut validity)?, time(&mut validity)?);
        validity.finish("Its validity has more than two times")?;
        let subject = fields.expect_tlv(der::SEQUENCE, "It has no subject")?.whole;
        let spki = fields.expect_tlv(der::SEQUENCE, "It has no public key")?.whole;
        key::split(spki)?;
        // Section 4.1.2.8: not to be issued, but to be read; they mean nothing.
        let has_unique_id = matches!(fields.peek(), Some(ISSUER_UNIQUE_ID | SUBJECT_UNIQUE_ID));
        for tag in [ISSUER_UNIQUE_ID, SUBJECT_UNIQUE_ID] {
            fields.optional(tag)?.map(der::bit_string).transpose()?;
        }
        let extensions = fields.optional(EXTENSIONS)?;
        fields.finish("It has unknown fields")?;
        Ok(Self { serial, algorithm, issuer, not_before, not_after, subject, spki, has_unique_id, extensions })
    }
}

/// RFC 5280 section 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050.
pub(super) fn time(fields: &mut Reader<'_>) -> Result<UnixTime, Fault> {
    let tlv = fields.read()?;
    let time = der::time(tlv.tag, tlv.value);
    match tlv.tag {
        der::UTC_TIME => time,
        der::GENERALIZED_TIME if time? >= YEAR_2050 => time,
        der::GENERALIZED_TIME => Err(Fault("A time before 2050 is written as GeneralizedTime")),
        _ => Err(Fault("A time is missing")),
    }
}

fn malformed(fault: Fault) -> Reason {
    Reason::CertificateMalformed { what: sentence(fault) }
}

/// Faults of the reader start in lower case, those of a certificate do not; a detail is a sentence.
pub(super) fn sentence(fault: Fault) -> String {
    let mut chars = fault.0.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn invalid<T>(what: &str) -> Result<T, Reason> {
    Err(Reason::CertificateInvalid { what: what.to_owned() })
}

/// Bytes of an empty `Name`: tag and length.
const EMPTY_NAME: usize = 2;
const VERSION: u8 = 0xa0;
const ISSUER_UNIQUE_ID: u8 = 0x81;
const SUBJECT_UNIQUE_ID: u8 = 0x82;
const EXTENSIONS: u8 = 0xa3;
const YEAR_2050: UnixTime = UnixTime::from_seconds(2_524_608_000);
