//! The agent profile: whom a certificate names and what it lets that agent do.
//!
//! The identity comes from the subject alternative name. The common name is for people and decides nothing.

use super::der;
use super::extensions::KEY_USAGE_DIGITAL_SIGNATURE;
use super::general_name::URI;
use super::spiffe::{self, SpiffeId};
use super::{Certificate, Path, check_path, names};
use crate::limits::SCOPE_BYTES_MAX;
use crate::scope::Scope;
use crate::{Reason, UnixTime, json, model_hash};

/// What the reader of agent certificates must know about where it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The SPIFFE trust domain whose agents these are; lower case.
    pub trust_domain: String,
    /// Arcs (dotted) under which `.1` is the extended key usage of agents, `.2` the model hash, `.3` the scope.
    pub oid_arcs: Vec<String>,
}

/// What the name in a certificate was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameSource {
    /// A SPIFFE id of the profile's trust domain.
    Spiffe,
    /// `urn:kakunin:agent:ID`, the form of the existing platform: for import.
    Urn,
    /// Neither: a certificate of another PKI, whose agent is named when it is imported.
    None,
}

/// What an agent certificate says by itself, its path not considered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentNames {
    /// Where the next two come from.
    pub source: NameSource,
    /// The agent, 1 to 255 characters of `[A-Za-z0-9._-]`.
    pub agent_id: Option<String>,
    /// The tenant. Of a SPIFFE id its segment; of a URN certificate the organization, if the subject has just one.
    pub tenant_id: Option<String>,
    /// `sha256:` and 64 lower-case hexadecimal digits.
    pub model_hash: Option<String>,
    /// The scope as canonical JSON (RFC 8785), at most 8 KiB, which [`Scope::parse`] understands.
    pub scope: Option<String>,
}

/// An agent certificate with its valid path.
#[derive(Clone, Debug)]
pub struct Agent {
    /// The valid path.
    pub path: Path,
    /// See [`AgentNames::source`].
    pub source: NameSource,
    /// See [`AgentNames::agent_id`].
    pub agent_id: Option<String>,
    /// See [`AgentNames::tenant_id`].
    pub tenant_id: Option<String>,
    /// See [`AgentNames::model_hash`].
    pub model_hash: Option<String>,
    /// See [`AgentNames::scope`].
    pub scope: Option<String>,
}

/// Validates an agent certificate: its path as [`check_path`] does, then the profile, then that every CA in the path
/// that carries a SPIFFE id is of the agent's trust domain and tenant.
///
/// # Errors
/// What [`check_path`] and [`read_agent`] give; [`Reason::TenantMismatch`].
pub fn check_agent(
    certificate: &[u8],
    chain: &[&[u8]],
    anchors: &[&[u8]],
    crls: &[&[u8]],
    as_of: UnixTime,
    profile: &Profile,
) -> Result<Agent, Reason> {
    let path = check_path(certificate, chain, anchors, crls, as_of)?;
    let AgentNames { source, agent_id, tenant_id, model_hash, scope } = read_agent(&path.leaf, profile)?;
    if source == NameSource::Spiffe {
        for issuer in path.intermediates.iter().chain([&path.anchor]) {
            check_issuer(issuer, profile, tenant_id.as_deref())?;
        }
    }
    Ok(Agent { path, source, agent_id, tenant_id, model_hash, scope })
}

/// Reads the profile of one certificate; says nothing about whether it can be trusted.
///
/// # Errors
/// [`Reason::ProfileViolation`] when it is a CA, when its keyUsage lacks digitalSignature or its extended key usage
/// names neither agents nor clients, when it has two URIs or a malformed one;
/// [`Reason::TrustDomainMismatch`] for a SPIFFE id of another trust domain; [`Reason::ModelHashMalformed`],
/// [`Reason::ScopeMalformed`]; [`Reason::ProfileSettingInvalid`] when the profile itself is wrong.
pub fn read_agent(certificate: &Certificate, profile: &Profile) -> Result<AgentNames, Reason> {
    let arcs = arcs(profile)?;
    check_usage(certificate, &arcs)?;
    let mut uris = uris(certificate);
    let (uri, second) = (uris.next(), uris.next());
    if second.is_some() {
        return violation("It has more than one URI as alternative name");
    }
    let (source, agent_id, tenant_id) = match uri {
        None => (NameSource::None, None, None),
        Some(uri) => named_by(uri, certificate, profile)?,
    };
    let model_hash = text_extension(certificate, &arcs, 2)?.map(model_hash::normalize).transpose()?;
    let scope = text_extension(certificate, &arcs, 3)?.map(|text| scope(text, source)).transpose()?;
    Ok(AgentNames { source, agent_id, tenant_id, model_hash, scope })
}

/// RFC 5280 section 4.2.1.3 and 4.2.1.12: a certificate with a purpose serves no other.
fn check_usage(certificate: &Certificate, arcs: &[Vec<u8>]) -> Result<(), Reason> {
    if certificate.is_ca {
        return violation("It is a CA");
    }
    if !certificate.extensions.has_key_usage(KEY_USAGE_DIGITAL_SIGNATURE) {
        return violation("Its key usage lacks digitalSignature");
    }
    let is_fit = |purpose: &Vec<u8>| {
        purpose == CLIENT_AUTH || purpose == ANY_PURPOSE || arcs.iter().any(|arc| *purpose == below(arc, 1))
    };
    match &certificate.extensions.extended_key_usage {
        Some(purposes) if !purposes.iter().any(is_fit) => {
            violation("Its extended key usage names neither agents nor clients")
        }
        _ => Ok(()),
    }
}

fn uris(certificate: &Certificate) -> impl Iterator<Item = &str> {
    let names = certificate.extensions.subject_alt_names.iter().flatten();
    // Parsing has made sure that URIs are ASCII.
    names.filter(|name| name.tag == URI).map(|name| std::str::from_utf8(&name.value).unwrap_or_default())
}

type Named = (NameSource, Option<String>, Option<String>);

fn named_by(uri: &str, certificate: &Certificate, profile: &Profile) -> Result<Named, Reason> {
    if let Some(id) = uri.strip_prefix(AGENT_URN) {
        if !spiffe::is_id(id) {
            return violation("The agent id of its URN has characters that are not allowed");
        }
        return Ok((NameSource::Urn, Some(id.to_owned()), tenant_of_subject(certificate)?));
    }
    let scheme = uri.split(':').next().unwrap_or_default();
    if scheme.eq_ignore_ascii_case("urn") && uri.to_ascii_lowercase().starts_with("urn:kakunin:") {
        return violation("Its URN is not of the form urn:kakunin:agent:ID");
    }
    if !scheme.eq_ignore_ascii_case("spiffe") {
        return Ok((NameSource::None, None, None));
    }
    match spiffe::parse(uri) {
        Ok(SpiffeId::Agent { trust_domain, tenant, agent }) if trust_domain == profile.trust_domain => {
            Ok((NameSource::Spiffe, Some(agent.to_owned()), Some(tenant.to_owned())))
        }
        Ok(
            SpiffeId::Agent { trust_domain, .. }
            | SpiffeId::Tenant { trust_domain, .. }
            | SpiffeId::Other { trust_domain },
        ) if trust_domain != profile.trust_domain => {
            Err(Reason::TrustDomainMismatch { found: trust_domain.to_owned(), expected: profile.trust_domain.clone() })
        }
        Ok(_) => violation("Its SPIFFE id is not of the form spiffe://DOMAIN/tenant/TENANT/agent/AGENT"),
        Err(what) => violation(what),
    }
}

/// The organization, when the subject has exactly one that can be an id.
fn tenant_of_subject(certificate: &Certificate) -> Result<Option<String>, Reason> {
    let organizations = names::values(&certificate.subject_der, names::ORGANIZATION)
        .map_err(|fault| Reason::ProfileViolation { what: fault.0.to_owned() })?;
    match organizations.as_slice() {
        [] => Ok(None),
        [Some(tenant)] if spiffe::is_id(tenant) => Ok(Some(tenant.clone())),
        _ => violation("Its subject does not name one tenant as organization"),
    }
}

/// A CA with a SPIFFE id may issue for that trust domain and, if it names one, that tenant alone.
fn check_issuer(issuer: &Certificate, profile: &Profile, tenant: Option<&str>) -> Result<(), Reason> {
    let is_spiffe = |uri: &&str| uri.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe:"));
    for uri in uris(issuer).filter(is_spiffe) {
        let (trust_domain, named) = match spiffe::parse(uri) {
            Ok(SpiffeId::Tenant { trust_domain, tenant }) => (trust_domain, Some(tenant)),
            Ok(SpiffeId::Other { trust_domain }) => (trust_domain, None),
            Ok(SpiffeId::Agent { .. }) => return violation("A CA in its path carries the SPIFFE id of an agent"),
            Err(what) => return violation(what),
        };
        if trust_domain != profile.trust_domain {
            return Err(Reason::TrustDomainMismatch {
                found: trust_domain.to_owned(),
                expected: profile.trust_domain.clone(),
            });
        }
        if let (Some(named), Some(tenant)) = (named, tenant)
            && named != tenant
        {
            return Err(Reason::TenantMismatch { tenant: tenant.to_owned(), issuer: named.to_owned() });
        }
    }
    Ok(())
}

fn arcs(profile: &Profile) -> Result<Vec<Vec<u8>>, Reason> {
    let invalid = |what: String| Reason::ProfileSettingInvalid { what };
    if !spiffe::is_trust_domain(&profile.trust_domain) {
        return Err(invalid("The trust domain is not a SPIFFE trust domain".to_owned()));
    }
    let arc = |text: &String| der::oid_octets(text).ok_or_else(|| invalid("An arc is not a dotted OID".to_owned()));
    profile.oid_arcs.iter().map(arc).collect()
}

/// An extension under any of the arcs: a UTF8String, at most one among all of them.
fn text_extension<'a>(certificate: &'a Certificate, arcs: &[Vec<u8>], number: u8) -> Result<Option<&'a str>, Reason> {
    let mut found = arcs.iter().filter_map(|arc| certificate.extensions.other(&below(arc, number)));
    let Some(value) = found.next() else {
        return Ok(None);
    };
    if found.next().is_some() {
        return violation("It has one extension under two arcs");
    }
    let text = der::only(value, der::UTF8_STRING, "").ok().and_then(|text| std::str::from_utf8(text).ok());
    match text {
        Some(text) => Ok(Some(text)),
        None => violation("Its model hash or scope is not exactly one UTF8String"),
    }
}

/// The OID content of a number below 128 under an arc.
fn below(arc: &[u8], number: u8) -> Vec<u8> {
    [arc, &[number]].concat()
}

/// The existing platform writes its scope as it serialises it; all others must write the canonical bytes, so that
/// one scope has one certificate.
fn scope(text: &str, source: NameSource) -> Result<String, Reason> {
    let malformed = |what: String| Reason::ScopeMalformed { what };
    if text.len() > SCOPE_BYTES_MAX {
        return Err(malformed(format!("It has {} bytes, at most {SCOPE_BYTES_MAX} are read", text.len())));
    }
    let canonical =
        json::canonicalize(text).map_err(|reason| malformed(reason.detail().trim_end_matches('.').to_owned()))?;
    if source != NameSource::Urn && canonical != text {
        return Err(malformed("It is not canonical JSON (RFC 8785)".to_owned()));
    }
    // One that could not be understood later would bind an agent to which nothing is ever allowed.
    Scope::parse(&canonical)?;
    Ok(canonical)
}

fn violation<T>(what: &str) -> Result<T, Reason> {
    // Rules shared with other readers speak of their subject; here the sentence starts.
    let mut chars = what.chars();
    let what = chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default();
    Err(Reason::ProfileViolation { what })
}

const AGENT_URN: &str = "urn:kakunin:agent:";
/// 1.3.6.1.5.5.7.3.2
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];
/// 2.5.29.37.0
const ANY_PURPOSE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
