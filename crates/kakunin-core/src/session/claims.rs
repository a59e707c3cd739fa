//! What a gateway says about the caller: the claims of the token it checked, and the headers it passed on.
//!
//! Both are settings that any SQL can write, so nothing here is evidence. The caller asks only for a `session_user`
//! that is a trusted gateway, and checks the token itself ([`super::jwt`]) where it has the key.

use serde_json::{Map, Value};

use crate::certificate::serial;
use crate::limits::JWT_BYTES_MAX;
use crate::{Reason, json};

/// The serial number that a request claims, in its normal form, or nothing if it claims none.
///
/// Three places are read: `app_metadata.cert_serial` and `kakunin_cert_serial` in the claims, and the header
/// `x-kakunin-cert-serial`, which any client can set and which therefore counts alone only with `trust_header`. The
/// empty text is the same as absent, in each place and for the claims and headers as a whole: that is what the
/// settings hold between transactions. Where several are present they must be one number, whatever the spelling, or
/// the request is refused as `claims_disagree`; what cannot be read is refused, not skipped.
pub fn serial_from(claims: Option<&str>, headers: Option<&str>, trust_header: bool) -> Result<Option<String>, Reason> {
    let claims = match claims {
        None | Some("") => Map::new(),
        Some(text) => json::parse_object(text, JWT_BYTES_MAX)
            .map_err(|_| malformed("request.jwt.claims is not one unambiguous JSON object"))?,
    };
    let in_metadata = match claims.get("app_metadata") {
        None | Some(Value::Null) => None,
        Some(Value::Object(metadata)) => serial_in(metadata, "cert_serial")?,
        Some(_) => return Err(malformed("app_metadata is not an object")),
    };
    let at_top = serial_in(&claims, "kakunin_cert_serial")?;
    let in_header = match headers {
        None => None,
        Some(headers) => header(headers, SERIAL_HEADER)?.as_deref().map(normal).transpose()?,
    };

    let present: Vec<&String> = [&in_metadata, &at_top, &in_header].into_iter().flatten().collect();
    if present.windows(2).any(|pair| pair.first() != pair.last()) {
        return Err(Reason::ClaimsDisagree);
    }
    Ok(in_metadata.or(at_top).or(if trust_header { in_header } else { None }))
}

/// One header out of `request.headers`, a JSON object of texts; an empty one is the same as absent.
///
/// `name` is compared without regard to case. A header that was sent several times is refused: as PostgREST joins them
/// with a comma, one with a comma is, and so are two members that differ in case only.
pub fn header(headers_json: &str, name: &str) -> Result<Option<String>, Reason> {
    if headers_json.is_empty() {
        return Ok(None);
    }
    let headers = json::parse_object(headers_json, HEADERS_BYTES_MAX)
        .map_err(|_| headers_malformed("request.headers is not one unambiguous JSON object"))?;
    let mut values = headers.iter().filter(|(member, _)| member.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(Value::String(value)), None) => value,
        (Some(_), None) => return Err(headers_malformed("A header is not a text")),
        (Some(_), Some(_)) => return Err(headers_malformed(SENT_TWICE)),
    };
    if value.contains(',') {
        return Err(headers_malformed(SENT_TWICE));
    }
    Ok((!value.is_empty()).then(|| value.clone()))
}

/// The token in the `authorization` header, if it is of the Bearer scheme (RFC 6750 section 2.1).
pub fn bearer_token(headers_json: &str) -> Result<Option<String>, Reason> {
    let value = header(headers_json, "authorization")?;
    Ok(value.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' ').to_owned())
    }))
}

fn serial_in(members: &Map<String, Value>, name: &str) -> Result<Option<String>, Reason> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => normal(text).map(Some),
        Some(_) => Err(malformed("A serial number in it is not a text")),
    }
}

fn normal(text: &str) -> Result<String, Reason> {
    serial::normalize(text).map_err(|_| malformed("A serial number in it is not valid"))
}

fn malformed(what: &'static str) -> Reason {
    Reason::ClaimsMalformed { what }
}

fn headers_malformed(what: &'static str) -> Reason {
    Reason::HeadersMalformed { what }
}

/// The header that carries a serial number.
pub const SERIAL_HEADER: &str = "x-kakunin-cert-serial";
/// The header that carries a proof.
pub const PROOF_HEADER: &str = "x-kakunin-proof";
/// Bytes of `request.headers`. Gateways pass on some tens of kilobytes at most.
pub const HEADERS_BYTES_MAX: usize = 128 * 1024;
const SENT_TWICE: &str = "A header that must be alone was sent several times";

#[cfg(test)]
mod tests;
