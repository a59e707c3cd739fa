//! What an HTTP gateway in front of the database (PostgREST) says about the request that is running.

use crate::{backend, config};
use kakunin_core::certificate::pem;
use kakunin_core::session::claims;
use kakunin_core::session::jwt::{self, JwtKey};
use kakunin_core::session::proof::Request;
use kakunin_core::{Reason, UnixTime};

/// Method and path of a running request.
pub struct HttpRequest {
    method: String,
    path: String,
}

impl HttpRequest {
    /// In the form that a proof is compared with.
    pub fn as_expected<'a>(&'a self, path_prefixes: &'a [&'a str]) -> Request<'a> {
        Request { method: &self.method, path: &self.path, path_prefixes }
    }
}

/// The request that is running, if one is.
pub fn request() -> Option<HttpRequest> {
    Some(HttpRequest { method: backend::setting(c"request.method")?, path: backend::setting(c"request.path")? })
}

/// The proof in header `X-Kakunin-Proof`, if there is one.
pub fn proof_header() -> Result<Option<String>, Reason> {
    match backend::setting(c"request.headers") {
        Some(headers) => claims::header(&headers, claims::PROOF_HEADER),
        None => Ok(None),
    }
}

/// The serial number that the gateway's JWT names. Where a key is configured the token is verified again here, so
/// that nothing but a signed claim counts, whoever wrote the settings of the request.
pub fn claimed_serial(now: UnixTime) -> Result<Option<String>, Reason> {
    let headers = backend::setting(c"request.headers");
    let claims = match config::gateway_jwt_key_file() {
        None => backend::setting(c"request.jwt.claims"),
        Some(path) => match bearer_token(headers.as_deref())? {
            Some(token) => Some(jwt::verify(&token, &jwt_key(&path)?, now, config::clock_skew_seconds())?),
            None => None,
        },
    };
    claims::serial_from(claims.as_deref(), headers.as_deref(), config::trusts_serial_header())
}

fn bearer_token(headers: Option<&str>) -> Result<Option<String>, Reason> {
    let Some(headers) = headers else { return Ok(None) };
    let Some(value) = claims::header(headers, "authorization")? else { return Ok(None) };
    Ok(value
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim().to_owned()))
}

/// A PEM public key, or else the shared secret, as the operator wrote it without the line's end.
fn jwt_key(path: &str) -> Result<JwtKey, Reason> {
    let content =
        std::fs::read(path).map_err(|error| Reason::GatewayKeyUnreadable { what: error.kind().to_string() })?;
    match std::str::from_utf8(&content) {
        Ok(text) if text.contains("-----BEGIN") => {
            let blocks = pem::decode(text)?;
            let block = blocks.into_iter().find(|block| block.label == "PUBLIC KEY");
            block
                .map(|block| JwtKey::PublicKey(block.der))
                .ok_or(Reason::GatewayKeyUnreadable { what: "no PUBLIC KEY block".into() })
        }
        _ => Ok(JwtKey::Secret(content.trim_ascii_end().to_vec())),
    }
}
