//! SPIFFE ids (SPIFFE-ID section 2) of the one form that names an agent or a tenant.

use crate::limits::{ID_CHARS_MAX, SPIFFE_ID_BYTES_MAX};

/// What a SPIFFE id of this project names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SpiffeId<'a> {
    /// `spiffe://TRUST-DOMAIN/tenant/TENANT/agent/AGENT`
    Agent { trust_domain: &'a str, tenant: &'a str, agent: &'a str },
    /// `spiffe://TRUST-DOMAIN/tenant/TENANT`, which tenants' CAs carry.
    Tenant { trust_domain: &'a str, tenant: &'a str },
    /// Any other path; an empty one names the trust domain.
    Other { trust_domain: &'a str },
}

/// Parses by the strict grammar: no percent-encoding, query, fragment, user or port, no empty or dot segment, a
/// trust domain in lower case. Returns what is wrong otherwise.
pub(super) fn parse(uri: &str) -> Result<SpiffeId<'_>, &'static str> {
    if uri.len() > SPIFFE_ID_BYTES_MAX {
        return Err("a SPIFFE id is longer than 2048 bytes");
    }
    let rest = uri.strip_prefix("spiffe://").ok_or("a URI is not a SPIFFE id")?;
    let (trust_domain, path) = rest.split_once('/').map_or((rest, None), |(domain, path)| (domain, Some(path)));
    if !is_trust_domain(trust_domain) {
        return Err("the trust domain of a SPIFFE id has characters that are not allowed");
    }
    let segments: Vec<&str> = path.map(|path| path.split('/').collect()).unwrap_or_default();
    if !segments.iter().all(|segment| is_segment(segment)) {
        return Err("the path of a SPIFFE id has a segment that is not allowed");
    }
    match segments.as_slice() {
        ["tenant", tenant, "agent", agent] if is_id(tenant) && is_id(agent) => {
            Ok(SpiffeId::Agent { trust_domain, tenant, agent })
        }
        ["tenant", tenant] if is_id(tenant) => Ok(SpiffeId::Tenant { trust_domain, tenant }),
        _ => Ok(SpiffeId::Other { trust_domain }),
    }
}

/// SPIFFE-ID section 2.1: lower-case letters, digits, dots, dashes, underscores; at most 255 characters.
pub(super) fn is_trust_domain(text: &str) -> bool {
    let is_allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b".-_".contains(&c);
    !text.is_empty() && text.len() <= 255 && text.bytes().all(is_allowed)
}

/// SPIFFE-ID section 2.2: letters, digits, dots, dashes, underscores; not empty, not a relative segment.
pub(super) fn is_segment(text: &str) -> bool {
    let is_allowed = |c: u8| c.is_ascii_alphanumeric() || b".-_".contains(&c);
    !text.is_empty() && text != "." && text != ".." && text.bytes().all(is_allowed)
}

/// A segment short enough to be an agent's or tenant's id.
pub(super) fn is_id(text: &str) -> bool {
    is_segment(text) && text.len() <= ID_CHARS_MAX
}

#[cfg(test)]
mod tests;
