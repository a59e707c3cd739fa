//! A binding: whom a session acts for, as the text value of a setting that only the extension can write.
//!
//! The setting is copied to parallel workers and restored by ROLLBACK, so all that readers need is in it; nothing is
//! looked up again but the revocation epoch.

use serde::{Deserialize, Serialize};

use crate::limits::BINDING_BYTES_MAX;
use crate::{Reason, UnixTime};

/// What an identity rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A proof signed by the agent's key.
    Proof,
    /// The client certificate of the connection.
    Tls,
    /// The word of a trusted gateway.
    Gateway,
}

impl Source {
    /// The word that `current_binding()` shows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proof => "proof",
            Self::Tls => "tls",
            Self::Gateway => "gateway",
        }
    }
}

/// The identity of a session or of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// What it rests on.
    pub source: Source,
    /// The serial number of the certificate, in its normal form.
    pub serial: String,
    /// SHA-256 of the certificate's DER: the identity itself.
    pub fingerprint: [u8; 32],
    /// The agent that the certificate was issued to.
    pub agent_id: String,
    /// The tenant of the agent, where the certificate names one.
    pub tenant_id: Option<String>,
    /// SHA-256 of each issuer's DER, intermediates first, the trust anchor last: revoking one of them ends this.
    pub issuer_fingerprints: Vec<[u8; 32]>,
    /// The first instant at which every certificate of the path is valid.
    pub not_before: UnixTime,
    /// The last instant at which every certificate of the path is valid.
    pub not_after: UnixTime,
    /// OID of the role that was current when it was bound; for another role there is no binding.
    pub role: u32,
    /// The scope out of the certificate, in canonical JSON, where there is one.
    pub scope: Option<String>,
    /// The model hash out of the certificate, where there is one.
    pub model_hash: Option<String>,
    /// When it was bound.
    pub bound_at: UnixTime,
    /// Whether it outlives the transaction.
    pub session_scoped: bool,
}

impl Binding {
    /// The setting's value: one line of JSON in ASCII, so that it survives any database encoding. At most
    /// [`BINDING_BYTES_MAX`] bytes for a certificate within the other limits.
    pub fn encode(&self) -> String {
        let stored = Stored {
            v: FORMAT,
            source: self.source,
            serial: self.serial.clone(),
            fingerprint: hex(&self.fingerprint),
            agent: self.agent_id.clone(),
            tenant: self.tenant_id.clone(),
            issuers: self.issuer_fingerprints.iter().map(hex).collect(),
            not_before: self.not_before.0,
            not_after: self.not_after.0,
            role: self.role,
            scope: self.scope.clone(),
            model: self.model_hash.clone(),
            bound_at: self.bound_at.0,
            session: self.session_scoped,
        };
        let mut out = Vec::with_capacity(512);
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, Ascii);
        // Texts, numbers and lists of texts always serialise into memory. Were it not so, the empty text decodes to
        // nothing: unbound.
        match stored.serialize(&mut serializer) {
            Ok(()) => String::from_utf8(out).unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Reads what [`Binding::encode`] wrote. Refuses anything else as `binding_malformed`: other formats, members
    /// that are missing, unknown or double.
    pub fn decode(text: &str) -> Result<Self, Reason> {
        let malformed = |what| Reason::BindingMalformed { what };
        if text.len() > BINDING_BYTES_MAX {
            return Err(malformed("It is too long"));
        }
        let stored: Stored = serde_json::from_str(text).map_err(|_| malformed("It is not a binding"))?;
        if stored.v != FORMAT {
            return Err(malformed("It is of another format"));
        }
        let fingerprint = |text: &String| unhex(text).ok_or(malformed("A fingerprint is not 64 hexadecimal digits"));
        Ok(Self {
            source: stored.source,
            serial: stored.serial,
            fingerprint: fingerprint(&stored.fingerprint)?,
            agent_id: stored.agent,
            tenant_id: stored.tenant,
            issuer_fingerprints: stored.issuers.iter().map(fingerprint).collect::<Result<_, _>>()?,
            not_before: UnixTime(stored.not_before),
            not_after: UnixTime(stored.not_after),
            role: stored.role,
            scope: stored.scope,
            model_hash: stored.model,
            bound_at: UnixTime(stored.bound_at),
            session_scoped: stored.session,
        })
    }

    /// Is every certificate of the path within its validity? Both ends belong to it (RFC 5280 section 4.1.2.5); a
    /// microsecond later it has ended, as it has when the path is checked.
    pub fn alive_at(&self, now: UnixTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

/// May `new` be bound? A transaction has one identity: policies have already let rows through in its name, and a
/// scan must not mix two agents' rows.
///
/// `current` is what is bound now (also a session's or the connection's own), `first_this_transaction` the
/// fingerprint of the first identity that this transaction had, even if it was unbound since. The same certificate
/// may be bound again, from any source; another one is refused as `already_bound`, also when it is of the same agent.
pub fn admit_bind(
    current: Option<&Binding>,
    first_this_transaction: Option<[u8; 32]>,
    new: &Binding,
) -> Result<(), Reason> {
    match current {
        Some(current) if current.fingerprint != new.fingerprint => {
            return Err(Reason::AlreadyBound { serial: current.serial.clone() });
        }
        _ => {}
    }
    match first_this_transaction {
        Some(first) if first != new.fingerprint => Err(Reason::BoundBefore),
        _ => Ok(()),
    }
}

/// The members as they are written. A change of any of them is a new [`FORMAT`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    v: u32,
    source: Source,
    serial: String,
    fingerprint: String,
    agent: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    issuers: Vec<String>,
    not_before: i64,
    not_after: i64,
    role: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    bound_at: i64,
    session: bool,
}

/// Writes everything beyond ASCII as `\u` escapes, with surrogate pairs where they are needed (RFC 8259 section 7).
struct Ascii;

impl serde_json::ser::Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> std::io::Result<()> {
        let mut units = [0; 2];
        for character in fragment.chars() {
            // DEL is ASCII but not printable; it is escaped as well.
            if (' '..='~').contains(&character) {
                out.write_all(&[character as u8])?;
                continue;
            }
            for unit in character.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 64 lower-case digits: one spelling, so that texts compare as the bytes do.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != out.len() || !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(out)
}

const FORMAT: u32 = 1;

#[cfg(test)]
mod tests;
