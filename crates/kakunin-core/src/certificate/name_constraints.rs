//! Name constraints (RFC 5280 section 4.2.1.10): what a CA may issue for.

use super::general_name::{DIRECTORY_NAME, DNS_NAME, EMAIL, GeneralName, IP_ADDRESS, NameConstraints, URI};
use super::{Certificate, names};
use crate::Reason;

/// Checks every certificate of a path, target first, against the constraints of all CAs above it (section 6.1.3
/// (b) and (c)). A self-issued certificate is exempt unless it is the target.
///
/// # Errors
/// [`Reason::NameConstraintViolated`], also for constraints on kinds of names that are not understood.
pub(super) fn check(path: &[&Certificate], anchor: &Certificate) -> Result<(), Reason> {
    let mut constraints: Vec<&NameConstraints> = anchor.extensions.name_constraints.iter().collect();
    for (below, certificate) in path.iter().enumerate().rev() {
        if !constraints.is_empty() && (below == 0 || !certificate.is_self_issued()) {
            let names = names_of(certificate)?;
            let holds = |constraints: &&NameConstraints| names.iter().all(|name| is_allowed(name, constraints));
            if !constraints.iter().all(holds) {
                return Err(Reason::NameConstraintViolated);
            }
        }
        constraints.extend(&certificate.extensions.name_constraints);
    }
    Ok(())
}

/// The subject, the alternative names, and the subject's e-mail addresses where there are no alternative names.
fn names_of(certificate: &Certificate) -> Result<Vec<GeneralName>, Reason> {
    let mut all = Vec::new();
    if !certificate.has_empty_subject() {
        all.push(GeneralName { tag: DIRECTORY_NAME, value: certificate.subject_der.clone() });
    }
    match &certificate.extensions.subject_alt_names {
        Some(alternative) => all.extend(alternative.iter().cloned()),
        None => {
            let addresses = names::values(&certificate.subject_der, names::EMAIL_ADDRESS);
            for address in addresses.map_err(|_| Reason::NameConstraintViolated)? {
                let address = address.ok_or(Reason::NameConstraintViolated)?;
                all.push(GeneralName { tag: EMAIL, value: address.into_bytes() });
            }
        }
    }
    Ok(all)
}

/// A name is allowed when no excluded subtree holds it and, if subtrees of its kind are permitted, one does. What
/// cannot be compared is not allowed.
fn is_allowed(name: &GeneralName, constraints: &NameConstraints) -> bool {
    let of_kind = |base: &&GeneralName| base.tag == name.tag;
    let is_excluded =
        constraints.excluded.iter().filter(of_kind).any(|base| holds(base, name, Side::Excluded) != Some(false));
    let mut permitted = constraints.permitted.iter().filter(of_kind).peekable();
    let is_permitted =
        permitted.peek().is_none() || permitted.any(|base| holds(base, name, Side::Permitted) == Some(true));
    is_permitted && !is_excluded
}

/// Which way doubt falls: a wildcard covers names that may lie in an excluded subtree.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Permitted,
    Excluded,
}

/// Whether the subtree holds the name; nothing when that cannot be told.
fn holds(base: &GeneralName, name: &GeneralName, side: Side) -> Option<bool> {
    match name.tag {
        DNS_NAME => dns_holds(text(base)?, text(name)?, side),
        IP_ADDRESS => address_range_holds(&base.value, &name.value),
        EMAIL => email_holds(text(base)?, text(name)?),
        URI => host_holds(text(base)?, uri_host(text(name)?)?),
        DIRECTORY_NAME => names::is_within(&name.value, &base.value).ok(),
        _ => None,
    }
}

fn text(name: &GeneralName) -> Option<&str> {
    std::str::from_utf8(&name.value).ok()
}

/// Any name made by adding labels to the left of the base; the empty base holds all. A base with a leading dot is
/// not in the RFC but in use: it permits names below it only, and excludes the domain as well.
fn dns_holds(base: &str, name: &str, side: Side) -> Option<bool> {
    let plain = name.strip_prefix("*.").unwrap_or(name);
    let domain = base.strip_prefix('.').unwrap_or(base);
    if !is_host(plain) || !(domain.is_empty() || is_host(domain)) {
        return None;
    }
    let below_only = side == Side::Permitted && base.starts_with('.');
    let is_within = if below_only { is_below(name, domain) } else { is_at_or_below(name, domain) };
    let may_cover = side == Side::Excluded && name != plain && is_at_or_below(domain, plain);
    Some(is_within || may_cover)
}

fn is_at_or_below(name: &str, domain: &str) -> bool {
    domain.is_empty() || name.eq_ignore_ascii_case(domain) || is_below(name, domain)
}

fn is_below(name: &str, domain: &str) -> bool {
    let Some(start) = name.len().checked_sub(domain.len()) else {
        return false;
    };
    let tail_matches = name.get(start..).is_some_and(|tail| tail.eq_ignore_ascii_case(domain));
    tail_matches && (domain.is_empty() || name.get(..start).is_some_and(|head| head.len() > 1 && head.ends_with('.')))
}

/// Labels of letters, digits, hyphens (and underscores, which occur), none empty, no trailing dot.
fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Address and mask of one family; the mask is a prefix (RFC 4632).
fn address_range_holds(base: &[u8], address: &[u8]) -> Option<bool> {
    let (network, mask) = base.split_at(base.len() / 2);
    let ones = mask.iter().take_while(|octet| **octet == 0xff).count();
    let is_prefix = match mask.get(ones..).and_then(<[u8]>::split_first) {
        Some((partial, rest)) => {
            partial.leading_ones() + partial.trailing_zeros() >= 8 && rest.iter().all(|octet| *octet == 0)
        }
        None => true,
    };
    if !is_prefix {
        return None;
    }
    let same = |((network, mask), octet): ((&u8, &u8), &u8)| network & mask == octet & mask;
    Some(address.len() == network.len() && network.iter().zip(mask).zip(address).all(same))
}

/// A mailbox, all mailboxes of a host, or (with a leading dot) of all hosts below a domain. Only the host is
/// compared without case.
fn email_holds(base: &str, address: &str) -> Option<bool> {
    let (local, host) = address.rsplit_once('@')?;
    if local.is_empty() || !is_host(host) {
        return None;
    }
    match base.rsplit_once('@') {
        Some((base_local, base_host)) => Some(local == base_local && host.eq_ignore_ascii_case(base_host)),
        None => host_holds(base, host),
    }
}

/// A host, or with a leading dot every host below a domain.
fn host_holds(base: &str, host: &str) -> Option<bool> {
    match base.strip_prefix('.') {
        Some(domain) if is_host(domain) => Some(is_below(host, domain)),
        None if is_host(base) => Some(host.eq_ignore_ascii_case(base)),
        _ => None,
    }
}

/// The host of a URI with an authority (RFC 3986 section 3.2), which must be a name: an address, or no host at
/// all, cannot be compared with a constraint, and the RFC says to reject it.
fn uri_host(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c));
    let authority = rest.split(['/', '?', '#']).next()?;
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host_and_port.split_once(':').map_or(host_and_port, |(host, _)| host);
    let is_address = host.rsplit('.').next().is_some_and(|label| label.bytes().all(|c| c.is_ascii_digit()));
    (is_scheme && is_host(host) && !is_address).then_some(host)
}

#[cfg(test)]
mod tests;
