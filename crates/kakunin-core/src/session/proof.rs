//! A proof: a compact JWS with which an agent shows, once, that it holds the key of its certificate.
//!
//! Parsing decides what the text says, [`Proof::check`] whether it was made for this database, this moment and this
//! request. Whether the signature verifies under the certificate's key, whether the certificate is good and whether
//! the proof was used before ([`super::replay`]) are the caller's next steps, in this order: nothing is remembered
//! for a text that nobody signed. No refusal here repeats a byte of the proof's `jti`, `nonce` or signature.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::compact::{self, Compact};
use crate::limits::{NONCE_CHARS_MAX, PROOF_BYTES_MAX, PROOF_LIFETIME_SECONDS_MAX, SERIAL_TEXT_MAX};
use crate::{Reason, UnixTime};

/// A proof that is well formed. What it says is not believed before [`Proof::check`] and the signature.
#[derive(Clone, PartialEq)]
pub struct Proof<'a> {
    signing_input: &'a [u8],
    signature: Vec<u8>,
    algorithm: &'static str,
    fingerprint: [u8; 32],
    serial: String,
    audience: String,
    issued_at: UnixTime,
    expires_at: UnixTime,
    not_before: Option<UnixTime>,
    jti: Option<String>,
    nonce: Option<String>,
    method: Option<String>,
    uri: Option<String>,
    role: Option<String>,
}

/// What a proof must have been made for.
#[derive(Clone, Debug)]
pub struct Expectation<'a> {
    /// System identifier and database, as the face writes them.
    pub audience: &'a str,
    /// The time now, not that of the transaction's start.
    pub now: UnixTime,
    /// Seconds by which the signer's clock may differ from ours; what is outside 0 to 300 counts as the nearer end.
    pub clock_skew_seconds: i64,
    /// When the memory of used proofs began: the start of the server.
    pub server_started: UnixTime,
    /// The HTTP request that is running, if one is.
    pub request: Option<Request<'a>>,
    /// The challenge that this session has open, if it has one.
    pub challenge: Option<&'a str>,
    /// The role that statements run as, if the caller tells.
    pub role: Option<&'a str>,
}

/// The HTTP request behind a transaction, as PostgREST tells it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, in upper case.
    pub method: &'a str,
    /// The path, without a query.
    pub path: &'a str,
    /// What gateways in front cut off the path that the client saw, such as `/rest/v1`.
    pub path_prefixes: &'a [&'a str],
}

/// What the memory of used proofs keeps of a proof: see [`Proof::use_id`].
pub type UseId = [u8; 16];

impl<'a> Proof<'a> {
    /// Reads a compact JWS of at most [`PROOF_BYTES_MAX`] bytes.
    ///
    /// Demanded are, in the header, `typ` = `kakunin-proof+jwt`, `alg` out of [`ALGORITHMS`], `x5t#S256` (RFC 7515
    /// section 4.1.8) and `kid`; in the claims `aud`, `iat`, `exp`, and `jti` or `nonce`. Refused are header members
    /// that bring a key along or ask for extensions (`jwk`, `jku`, `x5u`, `x5c`, `crit`, `b64`), claims of a wrong
    /// type and anything that has two readings. Members that are not known are ignored (RFC 7519 section 4).
    pub fn parse(text: &'a str) -> Result<Self, Reason> {
        if text.len() > PROOF_BYTES_MAX {
            return Err(Reason::ProofTooLarge { bytes: text.len(), max: PROOF_BYTES_MAX });
        }
        let Compact { header, payload: claims, signing_input, signature, .. } =
            compact::split(text).map_err(malformed_as)?;

        if header.get("typ").and_then(Value::as_str) != Some(TYPE) {
            return Err(Reason::ProofTypeWrong);
        }
        for member in REFUSED_HEADERS {
            if header.contains_key(*member) {
                return Err(Reason::ProofHeaderRefused { member });
            }
        }
        let algorithm = header.get("alg").and_then(Value::as_str);
        let algorithm =
            ALGORITHMS.iter().find(|known| Some(**known) == algorithm).ok_or(Reason::ProofAlgorithmRefused)?;
        let fingerprint = header
            .get("x5t#S256")
            .and_then(Value::as_str)
            .and_then(|text| compact::decode(text).ok())
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .ok_or(malformed_as("Its header lacks x5t#S256, the base64url SHA-256 of the certificate"))?;
        let serial = text_member(&header, "kid", SERIAL_TEXT_MAX)
            .map_err(|()| malformed_as("Its kid is not a serial number"))?
            .ok_or(malformed_as("Its header lacks kid, the serial number of the certificate"))?;

        let text = |name, what| text_member(&claims, name, NONCE_CHARS_MAX).map_err(|()| malformed_as(what));
        let proof = Self {
            signing_input,
            signature,
            algorithm,
            fingerprint,
            serial,
            audience: audience(&claims).ok_or(malformed_as("Its aud is not one text"))?,
            issued_at: time_member(&claims, "iat")?.ok_or(malformed_as("It lacks iat"))?,
            expires_at: time_member(&claims, "exp")?.ok_or(malformed_as("It lacks exp"))?,
            not_before: time_member(&claims, "nbf")?,
            jti: text("jti", "Its jti is not a text of 1 to 255 characters")?,
            nonce: text("nonce", "Its nonce is not a text of 1 to 255 characters")?,
            role: text("role", "Its role is not a text of 1 to 255 characters")?,
            method: text("htm", "Its htm is not a text of 1 to 255 characters")?,
            uri: text_member(&claims, "htu", PROOF_BYTES_MAX).map_err(|()| malformed_as("Its htu is not a text"))?,
        };
        if proof.jti.is_none() && proof.nonce.is_none() {
            return Err(Reason::ProofUnidentified);
        }
        Ok(proof)
    }

    /// SHA-256 of the DER of the certificate whose key is said to have signed (`x5t#S256`).
    pub fn certificate_fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// The serial number that the signer claims (`kid`), as it was written.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The JOSE name of the algorithm (`alg`), one of [`ALGORITHMS`]. With ES256 and ES384 the signature has the
    /// fixed-size form of RFC 7518 section 3.4, not DER. Whoever verifies must see to it that the certificate's key
    /// is of the kind that the name asks for.
    pub fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// The bytes that the signature covers.
    pub fn signing_input(&self) -> &[u8] {
        self.signing_input
    }

    /// The signature.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The challenge that the proof answers, if it does.
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }

    /// The name under which this use is remembered: a digest over the certificate's fingerprint and the `jti`, or the
    /// `nonce` where there is no `jti`. Never over the signature, of which ECDSA has several for the same text.
    pub fn use_id(&self) -> UseId {
        let (kind, text) = match (&self.jti, &self.nonce) {
            (Some(jti), _) => (b'j', jti.as_str()),
            (None, nonce) => (b'n', nonce.as_deref().unwrap_or_default()),
        };
        let digest = Sha256::new()
            .chain_update(b"kakunin used proof 1\0")
            .chain_update(self.fingerprint)
            .chain_update([kind])
            .chain_update(text)
            .finalize();
        let mut id = [0; 16];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        id
    }

    /// Its end (`exp`). With the clock skew added, the first instant at which [`Proof::check`] refuses it as expired: until
    /// then its use must be remembered.
    pub fn expires_at(&self) -> UnixTime {
        self.expires_at
    }

    /// Was it made for this database, this moment, this request?
    ///
    /// Every rule has its own reason. The lifetime is at most [`PROOF_LIFETIME_SECONDS_MAX`]; `iat` (and `nbf`) may lie
    /// in the future and `exp` in the past by less than the skew. A `nonce` must be the open challenge. Without
    /// one, `iat` must be later than the server's start by more than the skew, as uses before it are forgotten.
    pub fn check(&self, expected: &Expectation<'_>) -> Result<(), Reason> {
        if self.audience != expected.audience {
            return Err(Reason::ProofAudienceWrong { audience: expected.audience.to_owned() });
        }
        self.check_time(expected)?;
        self.check_single_use(expected)?;
        self.check_request(expected)?;
        match &self.role {
            Some(role) if Some(role.as_str()) != expected.role => Err(Reason::ProofRoleWrong),
            _ => Ok(()),
        }
    }

    fn check_time(&self, expected: &Expectation<'_>) -> Result<(), Reason> {
        let (issued_at, expires_at, now) = (self.issued_at, self.expires_at, expected.now);
        let lifetime = expires_at.0.saturating_sub(issued_at.0);
        if lifetime <= 0 || lifetime > PROOF_LIFETIME_SECONDS_MAX * 1_000_000 {
            let seconds_max = PROOF_LIFETIME_SECONDS_MAX;
            return Err(Reason::ProofLifetimeWrong { issued_at, expires_at, seconds_max });
        }
        let starts_at = self.not_before.map_or(issued_at, |not_before| not_before.max(issued_at));
        if starts_at > now.plus_seconds(skew(expected.clock_skew_seconds)) {
            return Err(Reason::ProofFromFuture { starts_at, now });
        }
        if now >= expires_at.plus_seconds(skew(expected.clock_skew_seconds)) {
            return Err(Reason::ProofExpired { expires_at });
        }
        Ok(())
    }

    fn check_single_use(&self, expected: &Expectation<'_>) -> Result<(), Reason> {
        match (&self.nonce, expected.challenge) {
            (Some(_), None) => Err(Reason::ProofChallengeMissing),
            (Some(nonce), Some(challenge)) if nonce != challenge => Err(Reason::ProofChallengeWrong),
            (Some(_), Some(_)) => Ok(()),
            (None, _) => {
                let (issued_at, started_at) = (self.issued_at, expected.server_started);
                if issued_at <= started_at.plus_seconds(skew(expected.clock_skew_seconds)) {
                    return Err(Reason::ProofBeforeStart { issued_at, started_at });
                }
                Ok(())
            }
        }
    }

    /// `htm` and `htu` (RFC 9449 section 4.2), of which the database knows method and path. The host is not compared:
    /// the audience names this database, and behind a gateway the host is the gateway's.
    fn check_request(&self, expected: &Expectation<'_>) -> Result<(), Reason> {
        match (&expected.request, &self.method, &self.uri) {
            (None, None, None) => Ok(()),
            (None, _, _) => Err(Reason::ProofRequestUnexpected),
            (Some(request), Some(method), Some(uri)) => {
                if method != request.method {
                    return Err(Reason::ProofMethodWrong { method: request.method.to_owned() });
                }
                let path = path_of(uri).filter(|path| request.has_path(path));
                path.map(|_| ()).ok_or_else(|| Reason::ProofPathWrong { path: request.path.to_owned() })
            }
            (Some(_), _, _) => Err(Reason::ProofRequestMissing),
        }
    }
}

/// Shows what the text says of itself, without what could be used or guessed from: no `jti`, `nonce`, signature.
impl std::fmt::Debug for Proof<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proof")
            .field("algorithm", &self.algorithm)
            .field("audience", &self.audience)
            .field("issued_at", &self.issued_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl Request<'_> {
    /// Is `path` this request's path, as we see it or with a known prefix before it?
    fn has_path(&self, path: &str) -> bool {
        let with = |prefix: &&str| path.strip_prefix(prefix.trim_end_matches('/')) == Some(self.path);
        path == self.path || self.path_prefixes.iter().any(with)
    }
}

/// The path of an `htu`: an absolute http or https URL, or the bare path. A query or a fragment must not be there
/// (RFC 9449 section 4.2). Nothing is decoded or resolved, so two spellings of a path are two paths.
fn path_of(uri: &str) -> Option<&str> {
    if uri.contains(['?', '#']) {
        return None;
    }
    if uri.starts_with('/') {
        return Some(uri);
    }
    let (scheme, rest) = uri.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return None;
    }
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    (!host.is_empty()).then_some(if path.is_empty() { "/" } else { path })
}

/// `aud` (RFC 7519 section 4.1.3): a text or an array of exactly one. With several audiences, whoever runs one of them
/// could use the proof at the others.
fn audience(claims: &Map<String, Value>) -> Option<String> {
    let audience = match claims.get("aud")? {
        Value::String(audience) => audience,
        Value::Array(items) => match items.as_slice() {
            [Value::String(audience)] => audience,
            _ => return None,
        },
        _ => return None,
    };
    Some(audience.clone())
}

/// A member that is absent, or a text of 1 to `chars_max` characters.
fn text_member(members: &Map<String, Value>, name: &str, chars_max: usize) -> Result<Option<String>, ()> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && text.chars().count() <= chars_max => Ok(Some(text.clone())),
        Some(_) => Err(()),
    }
}

fn time_member(claims: &Map<String, Value>, name: &str) -> Result<Option<UnixTime>, Reason> {
    let time = |value| compact::numeric_date(value).ok_or(malformed_as("A time in it is not a NumericDate"));
    claims.get(name).map(time).transpose()
}

/// The skew that counts: within 0 to [`CLOCK_SKEW_SECONDS_MAX`].
pub(super) fn skew(seconds: i64) -> i64 {
    seconds.clamp(0, CLOCK_SKEW_SECONDS_MAX)
}

fn malformed_as(what: &'static str) -> Reason {
    Reason::ProofMalformed { what }
}

/// The accepted values of `alg`. No `none`, and no HMAC: a certificate's key is public.
pub const ALGORITHMS: &[&str] = &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];
/// The value of `typ`, so that a token signed for another purpose never counts (RFC 8725 section 3.11).
pub const TYPE: &str = "kakunin-proof+jwt";
/// Seconds of clock skew that are allowed for at most.
pub const CLOCK_SKEW_SECONDS_MAX: i64 = 300;
/// Header members that bring a key along, or that change what is signed.
const REFUSED_HEADERS: &[&str] = &["crit", "jwk", "jku", "x5u", "x5c", "b64"];

#[cfg(test)]
mod tests;
