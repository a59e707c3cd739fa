//! What an HTTP gateway in front of the database (PostgREST) says about the request that is running.

use crate::config;
use kakunin_core::certificate::pem;
use kakunin_core::session::claims;
use kakunin_core::session::jwt::{self, JwtKey};
use kakunin_core::session::proof::Request;
use kakunin_core::{Reason, UnixTime};
use pgrx::prelude::*;
use std::ffi::CStr;

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
    Some(HttpRequest { method: read(c"request.method")?, path: read(c"request.path")? })
}

/// The proof in header `X-Kakunin-Proof`, if there is one.
pub fn proof_header() -> Result<Option<String>, Reason> {
    match read(c"request.headers") {
        Some(headers) => claims::header(&headers, "x-kakunin-proof"),
        None => Ok(None),
    }
}

/// The serial number that the gateway's JWT names. Where a key is configured the token is verified again here, so
/// that nothing but a signed claim counts, whoever wrote the settings of the request.
pub fn claimed_serial(now: UnixTime) -> Result<Option<String>, Reason> {
    let headers = read(c"request.headers");
    let claims = match config::gateway_jwt_key_file() {
        None => read(c"request.jwt.claims"),
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

/// A setting that may not exist; empty counts as absent (PostgreSQL leaves '' behind after a transaction).
fn read(name: &CStr) -> Option<String> {
    // SAFETY: with missing_ok set, an unknown name gives NULL; the text is copied before anything can change it.
    unsafe {
        let value = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        if value.is_null() || *value == 0 { None } else { Some(CStr::from_ptr(value).to_string_lossy().into_owned()) }
    }
}
