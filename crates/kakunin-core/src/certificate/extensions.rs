//! Certificate extensions (RFC 5280 section 4.2): each at most once, the known ones fully parsed.

use super::der::{self, Fault, Reader};
use super::general_name::{GeneralName, NameConstraints, alt_names, general_names, name_constraints};
use super::parse::sentence;
use crate::Reason;

/// What the extensions of a certificate say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extensions {
    pub(crate) basic_constraints: Option<BasicConstraints>,
    /// Bit 0 is digitalSignature, as RFC 5280 section 4.2.1.3 numbers them.
    pub(crate) key_usage: Option<u16>,
    /// Content octets of the purposes' OIDs.
    pub(crate) extended_key_usage: Option<Vec<Vec<u8>>>,
    pub(crate) subject_alt_names: Option<Vec<GeneralName>>,
    pub(crate) subject_alt_names_critical: bool,
    pub(crate) name_constraints: Option<NameConstraints>,
    pub(crate) subject_key_id: Option<Vec<u8>>,
    pub(crate) authority_key_id: Option<Vec<u8>>,
    pub(crate) distribution_points: Option<Vec<DistributionPoint>>,
    pub(crate) policies: Option<Vec<Vec<u8>>>,
    pub(crate) policy_mappings: Vec<PolicyMapping>,
    pub(crate) require_explicit_policy: Option<u32>,
    pub(crate) inhibit_policy_mapping: Option<u32>,
    pub(crate) inhibit_any_policy: Option<u32>,
    /// Whether an extension is critical that is processed here but not by rustls-webpki.
    pub(crate) critical_beyond_webpki: bool,
    /// The first critical extension that nothing here processes, as a dotted OID.
    pub(crate) unknown_critical: Option<String>,
    /// All that is not known here: OID content and value.
    pub(crate) others: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What a policy of the issuer is called below: issuer's and subject's OID content (RFC 5280 section 4.2.1.5).
pub(crate) type PolicyMapping = (Vec<u8>, Vec<u8>);

/// RFC 5280 section 4.2.1.9.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BasicConstraints {
    pub(crate) ca: bool,
    pub(crate) path_length: Option<u32>,
}

/// RFC 5280 section 4.2.1.13.
#[derive(Clone, Debug)]
pub(crate) struct DistributionPoint {
    /// The full names; empty when there are none or the name is relative to the issuer.
    pub(crate) names: Vec<GeneralName>,
    pub(crate) has_reasons: bool,
    pub(crate) has_crl_issuer: bool,
}

impl Extensions {
    pub(crate) fn has_key_usage(&self, bit: u16) -> bool {
        self.key_usage.is_none_or(|bits| bits & bit != 0)
    }

    /// The value of an extension that is not known here.
    pub(crate) fn other(&self, oid: &[u8]) -> Option<&[u8]> {
        self.others.iter().find(|(found, _)| found == oid).map(|(_, value)| value.as_slice())
    }
}

/// Reads the content of the `[3]` field; nothing when it is absent.
///
/// # Errors
/// [`Reason::ExtensionRepeated`], [`Reason::CertificateMalformed`].
pub(crate) fn read(field: Option<&[u8]>) -> Result<Extensions, Reason> {
    let mut extensions = Extensions::default();
    let Some(field) = field else {
        return Ok(extensions);
    };
    let malformed = |fault| Reason::CertificateMalformed { what: sentence(fault) };
    let mut list =
        Reader::new(der::only(field, der::SEQUENCE, "the extensions are not a SEQUENCE").map_err(malformed)?);
    if list.at_end() {
        return Err(malformed(Fault("the list of extensions is empty")));
    }
    let mut seen: Vec<&[u8]> = Vec::new();
    while !list.at_end() {
        let extension = Extension::read(&mut list).map_err(malformed)?;
        if seen.contains(&extension.oid) {
            return Err(Reason::ExtensionRepeated { oid: der::oid_text(extension.oid) });
        }
        seen.push(extension.oid);
        extensions.remember(&extension).map_err(|fault| {
            let oid = der::oid_text(extension.oid);
            Reason::CertificateMalformed { what: format!("In extension {oid} {}", fault.0) }
        })?;
    }
    Ok(extensions)
}

/// One `Extension`, of a certificate, a CRL or a CRL entry.
pub(crate) struct Extension<'a> {
    pub(crate) oid: &'a [u8],
    pub(crate) critical: bool,
    pub(crate) value: &'a [u8],
}

impl<'a> Extension<'a> {
    pub(crate) fn read(list: &mut Reader<'a>) -> Result<Self, Fault> {
        let mut fields = Reader::new(list.expect(der::SEQUENCE, "an extension is not a SEQUENCE")?);
        let oid = fields.expect(der::OID, "an extension has no type")?;
        let critical = default_false(fields.optional(der::BOOLEAN)?)?;
        let value = fields.expect(der::OCTET_STRING, "an extension has no value")?;
        fields.finish("an extension has more than a value")?;
        Ok(Self { oid, critical, value })
    }
}

/// X.690 section 11.5: a value that is the default is left out.
fn default_false(value: Option<&[u8]>) -> Result<bool, Fault> {
    match value.map(der::boolean).transpose()? {
        Some(false) => Err(Fault("a default is spelled out")),
        value => Ok(value.unwrap_or(false)),
    }
}

impl Extensions {
    fn remember(&mut self, extension: &Extension<'_>) -> Result<(), Fault> {
        let value = extension.value;
        let known = is_known(extension.oid);
        if known {
            der::check(value)?;
            // One value and no more, whatever its type.
            let mut one = Reader::new(value);
            one.read()?;
            one.finish("bytes follow the value")?;
        } else {
            self.others.push((extension.oid.to_vec(), value.to_vec()));
            if extension.critical && self.unknown_critical.is_none() {
                self.unknown_critical = Some(der::oid_text(extension.oid));
            }
        }
        match extension.oid {
            SUBJECT_KEY_ID => self.subject_key_id = Some(key_id(value)?),
            KEY_USAGE => self.key_usage = Some(key_usage(value)?),
            SUBJECT_ALT_NAME => {
                self.subject_alt_names = Some(alt_names(value)?);
                self.subject_alt_names_critical = extension.critical;
            }
            BASIC_CONSTRAINTS => self.basic_constraints = Some(basic_constraints(value)?),
            NAME_CONSTRAINTS => self.name_constraints = Some(name_constraints(value)?),
            DISTRIBUTION_POINTS => self.distribution_points = Some(distribution_points(value)?),
            CERTIFICATE_POLICIES => self.policies = Some(policies(value)?),
            POLICY_MAPPINGS => self.policy_mappings = policy_mappings(value)?,
            AUTHORITY_KEY_ID => self.authority_key_id = authority_key_id(value)?,
            POLICY_CONSTRAINTS => {
                (self.require_explicit_policy, self.inhibit_policy_mapping) = policy_constraints(value)?;
            }
            EXTENDED_KEY_USAGE => self.extended_key_usage = Some(purposes(value)?),
            INHIBIT_ANY_POLICY => {
                let skip = der::only(value, der::INTEGER, "the number of certificates is missing")?;
                self.inhibit_any_policy = Some(saturating(skip)?);
            }
            _ => {}
        }
        self.critical_beyond_webpki |= extension.critical && known && !KNOWN_TO_WEBPKI.contains(&extension.oid);
        Ok(())
    }
}

/// Extensions that are processed, or that say nothing a path depends on and may therefore be critical.
fn is_known(oid: &[u8]) -> bool {
    let about_paths = [
        SUBJECT_KEY_ID,
        KEY_USAGE,
        SUBJECT_ALT_NAME,
        ISSUER_ALT_NAME,
        BASIC_CONSTRAINTS,
        NAME_CONSTRAINTS,
        DISTRIBUTION_POINTS,
        CERTIFICATE_POLICIES,
        POLICY_MAPPINGS,
        AUTHORITY_KEY_ID,
        POLICY_CONSTRAINTS,
        EXTENDED_KEY_USAGE,
        INHIBIT_ANY_POLICY,
        AUTHORITY_INFO_ACCESS,
        SUBJECT_INFO_ACCESS,
    ];
    about_paths.contains(&oid)
}

fn basic_constraints(value: &[u8]) -> Result<BasicConstraints, Fault> {
    let mut fields = Reader::new(der::only(value, der::SEQUENCE, "a SEQUENCE is missing")?);
    let ca = default_false(fields.optional(der::BOOLEAN)?)?;
    let path_length = fields.optional(der::INTEGER)?.map(saturating).transpose()?;
    fields.finish("unknown fields follow")?;
    Ok(BasicConstraints { ca, path_length })
}

/// A count that only ever limits: what does not fit is as good as the largest.
fn saturating(value: &[u8]) -> Result<u32, Fault> {
    der::unsigned(value)?;
    Ok(der::small(value).unwrap_or(u32::MAX))
}

/// A named bit list: trailing zero bits are not encoded (X.690 section 11.2.2), and at least one bit is set.
fn key_usage(value: &[u8]) -> Result<u16, Fault> {
    let (unused, octets) = der::bit_string(der::only(value, der::BIT_STRING, "a BIT STRING is missing")?)?;
    let bits = match octets {
        [first] => u16::from(first.reverse_bits()),
        [first, second] => u16::from(first.reverse_bits()) | u16::from(second.reverse_bits()) << 8,
        _ => return Err(Fault("it does not have one to nine bits")),
    };
    let ends_with_one = octets.last().is_some_and(|last| *last != 0 && last.trailing_zeros() == u32::from(unused));
    if ends_with_one { Ok(bits) } else { Err(Fault("it ends with a zero bit")) }
}

fn purposes(value: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
    let mut list = Reader::new(der::only(value, der::SEQUENCE, "a SEQUENCE is missing")?);
    let mut purposes = Vec::new();
    while !list.at_end() {
        purposes.push(list.expect(der::OID, "a purpose is not an OBJECT IDENTIFIER")?.to_vec());
    }
    if purposes.is_empty() { Err(Fault("it is empty")) } else { Ok(purposes) }
}

fn key_id(value: &[u8]) -> Result<Vec<u8>, Fault> {
    Ok(der::only(value, der::OCTET_STRING, "an OCTET STRING is missing")?.to_vec())
}

/// Only the key identifier is of use; issuer and serial must come together (RFC 5280 section 4.2.1.1).
pub(crate) fn authority_key_id(value: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    let mut fields = Reader::new(der::only(value, der::SEQUENCE, "a SEQUENCE is missing")?);
    let key_id = fields.optional(CONTEXT_0)?.map(<[u8]>::to_vec);
    let issuer = fields.optional(CONTEXT_1_CONSTRUCTED)?.map(general_names).transpose()?;
    let serial = fields.optional(CONTEXT_2)?.map(der::integer).transpose()?;
    fields.finish("unknown fields follow")?;
    if issuer.is_some() == serial.is_some() { Ok(key_id) } else { Err(Fault("issuer and serial do not come together")) }
}

fn distribution_points(value: &[u8]) -> Result<Vec<DistributionPoint>, Fault> {
    let mut list = Reader::new(der::only(value, der::SEQUENCE, "a SEQUENCE is missing")?);
    let mut points = Vec::new();
    while !list.at_end() {
        let mut fields = Reader::new(list.expect(der::SEQUENCE, "a distribution point is not a SEQUENCE")?);
        let names = fields.optional(CONTEXT_0_CONSTRUCTED)?.map(point_names).transpose()?;
        let reasons = fields.optional(CONTEXT_1)?.map(der::bit_string).transpose()?;
        let crl_issuer = fields.optional(CONTEXT_2_CONSTRUCTED)?.map(general_names).transpose()?;
        fields.finish("unknown fields follow")?;
        if names.is_none() && crl_issuer.is_none() {
            return Err(Fault("a distribution point has neither name nor issuer"));
        }
        points.push(DistributionPoint {
            names: names.flatten().unwrap_or_default(),
            has_reasons: reasons.is_some(),
            has_crl_issuer: crl_issuer.is_some(),
        });
    }
    if points.is_empty() { Err(Fault("it is empty")) } else { Ok(points) }
}

/// `DistributionPointName`: the full names, or nothing for a name relative to the CRL issuer.
pub(crate) fn point_names(content: &[u8]) -> Result<Option<Vec<GeneralName>>, Fault> {
    let mut choice = Reader::new(content);
    let tlv = choice.read()?;
    choice.finish("a distribution point has two names")?;
    match tlv.tag {
        CONTEXT_0_CONSTRUCTED => general_names(tlv.value).map(Some),
        CONTEXT_1_CONSTRUCTED => Ok(None),
        _ => Err(Fault("a distribution point has a name of an unknown kind")),
    }
}

fn policies(value: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
    let mut list = Reader::new(der::only(value, der::SEQUENCE, "a SEQUENCE is missing")?);
    let mut policies: Vec<Vec<u8>> = Vec::new();
    while !list.at_end() {
        let mut fields = Reader::new(list.expect(der::SEQUENCE, "a policy is not a SEQUENCE")?);
        let policy = fields.expect(der::OID, "a policy has no identifier")?;
        fields.optional(der::SEQUENCE)?;
        fields.finish("a policy has unknown fields")?;
        if policies.iter().any(|seen| seen == policy) {
            return Err(Fault("a policy occurs twice"));
        }
        policies.push(policy.to_vec());
    }
    if policies.is_empty() { Err(Fault("it is empty")) } else { Ok(policies) }
}

fn policy_mappings(value: &[u8]) -> Result<Vec<PolicyMapping>, Fault> {
    let mut list = Reader::new(der::only(value, der::SEQUENCE, "a SEQUENCE is missing")?);
    let mut mappings = Vec::new();
    while !list.at_end() {
        let mut pair = Reader::new(list.expect(der::SEQUENCE, "a mapping is not a SEQUENCE")?);
        let issuer = pair.expect(der::OID, "a mapping has no issuer policy")?.to_vec();
        let subject = pair.expect(der::OID, "a mapping has no subject policy")?.to_vec();
        pair.finish("a mapping has unknown fields")?;
        mappings.push((issuer, subject));
    }
    if mappings.is_empty() { Err(Fault("it is empty")) } else { Ok(mappings) }
}

fn policy_constraints(value: &[u8]) -> Result<(Option<u32>, Option<u32>), Fault> {
    let mut fields = Reader::new(der::only(value, der::SEQUENCE, "a SEQUENCE is missing")?);
    let require_explicit = fields.optional(CONTEXT_0)?.map(saturating).transpose()?;
    let inhibit_mapping = fields.optional(CONTEXT_1)?.map(saturating).transpose()?;
    fields.finish("unknown fields follow")?;
    if require_explicit.is_none() && inhibit_mapping.is_none() {
        return Err(Fault("it constrains nothing"));
    }
    Ok((require_explicit, inhibit_mapping))
}

pub(crate) const KEY_USAGE_DIGITAL_SIGNATURE: u16 = 1;
pub(crate) const KEY_USAGE_CERT_SIGN: u16 = 1 << 5;
pub(crate) const KEY_USAGE_CRL_SIGN: u16 = 1 << 6;

const CONTEXT_0: u8 = 0x80;
const CONTEXT_1: u8 = 0x81;
const CONTEXT_2: u8 = 0x82;
const CONTEXT_0_CONSTRUCTED: u8 = 0xa0;
const CONTEXT_1_CONSTRUCTED: u8 = 0xa1;
const CONTEXT_2_CONSTRUCTED: u8 = 0xa2;

/// id-ce is 2.5.29 (RFC 5280 appendix A.2), id-pe 1.3.6.1.5.5.7.1.
const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 14];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 17];
const ISSUER_ALT_NAME: &[u8] = &[0x55, 0x1d, 18];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 30];
const DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1d, 31];
const CERTIFICATE_POLICIES: &[u8] = &[0x55, 0x1d, 32];
const POLICY_MAPPINGS: &[u8] = &[0x55, 0x1d, 33];
pub(crate) const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
const POLICY_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 36];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
const INHIBIT_ANY_POLICY: &[u8] = &[0x55, 0x1d, 54];
const AUTHORITY_INFO_ACCESS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x01];
const SUBJECT_INFO_ACCESS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x0b];

/// What rustls-webpki 0.103 processes; it refuses every other extension that is critical.
const KNOWN_TO_WEBPKI: [&[u8]; 6] =
    [KEY_USAGE, SUBJECT_ALT_NAME, BASIC_CONSTRAINTS, NAME_CONSTRAINTS, DISTRIBUTION_POINTS, EXTENDED_KEY_USAGE];
