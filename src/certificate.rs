//! Questions about certificates and signatures. Nonsense gets a verdict; only what returns bytes or text raises.

use crate::error::{self, Result};
use crate::{chain, config, shmem};
use kakunin_core::certificate::{self, Agent, Certificate, pem, serial, signature};
use kakunin_core::{Reason, UnixTime, json, model_hash as core_model_hash};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::heap_tuple::PgHeapTuple;
use pgrx::prelude::*;

/// Plain RFC 5280 path validation of any certificate. With CRLs, the whole path is checked against them, and an
/// unknown status is refused.
#[pg_extern(schema = "kakunin", immutable, parallel_safe)]
fn check_path(
    certificate: &[u8],
    chain: pgrx::Array<&[u8]>,
    as_of: TimestampWithTimeZone,
    anchors: pgrx::Array<&[u8]>,
    crls: default!(pgrx::Array<&[u8]>, "'{}'"),
) -> pgrx::composite_type!('static, "kakunin.path_verdict") {
    let (chain, anchors, crls) = (present(chain), present(anchors), present(crls));
    let outcome =
        certificate::check_path(certificate, &borrowed(&chain), &borrowed(&anchors), &borrowed(&crls), unix(as_of));
    let mut verdict = Verdict::new("kakunin.path_verdict");
    verdict.outcome(outcome.err());
    verdict.0
}

/// Checks an agent certificate: path, profile, and what it says. Without `anchors` the registered ones are used,
/// and a registered revocation of any certificate in the path counts.
#[pg_extern(schema = "kakunin", stable, parallel_safe)]
fn check_certificate(
    certificate: Option<&[u8]>,
    chain: default!(Option<pgrx::Array<&[u8]>>, "'{}'"),
    as_of: default!(Option<TimestampWithTimeZone>, "now()"),
    anchors: default!(Option<pgrx::Array<&[u8]>>, "NULL"),
    crls: default!(Option<pgrx::Array<&[u8]>>, "'{}'"),
) -> Option<pgrx::composite_type!('static, "kakunin.certificate_verdict")> {
    let certificate = certificate?;
    let as_of = as_of.map_or_else(shmem::now, unix);
    let (chain, crls) = (chain.map(present).unwrap_or_default(), crls.map(present).unwrap_or_default());
    let profile = config::profile();
    let outcome = match anchors.map(present) {
        None => chain::check_agent(certificate, &chain, &crls, as_of, &profile),
        Some(anchors) => certificate::check_agent(
            certificate,
            &borrowed(&chain),
            &borrowed(&anchors),
            &borrowed(&crls),
            as_of,
            &profile,
        ),
    };
    Some(match outcome {
        Ok(agent) => agent_verdict(&agent),
        Err(reason) => {
            let mut verdict = Verdict::new("kakunin.certificate_verdict");
            if let Ok(leaf) = Certificate::parse(certificate) {
                verdict.describe(&leaf);
            }
            verdict.outcome(Some(reason));
            verdict.0
        }
    })
}

/// Verifies a signature. `algorithm` is a JOSE name; `public_key` a DER SubjectPublicKeyInfo.
#[pg_extern(schema = "kakunin", immutable, parallel_safe)]
fn verify_signature(algorithm: &str, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    algorithm.parse().is_ok_and(|algorithm| signature::verify(algorithm, public_key, message, signature).is_ok())
}

/// The DER of every block of a PEM text (RFC 7468), in order.
#[pg_extern(schema = "kakunin", immutable, parallel_safe)]
fn pem_decode(pem: &str) -> Result<Vec<Vec<u8>>> {
    let blocks = pem::decode(pem).map_err(error::report)?;
    Ok(blocks.into_iter().map(|block| block.der).collect())
}

/// One PEM block with this label.
#[pg_extern(schema = "kakunin", immutable, parallel_safe)]
fn pem_encode(der: &[u8], label: default!(&str, "'CERTIFICATE'")) -> Result<String> {
    pem::encode(der, label).map_err(error::report)
}

/// The one canonical form of a serial number: upper-case hexadecimal without separators or leading zero octets.
#[pg_extern(schema = "kakunin", immutable, parallel_safe)]
fn normalize_serial(serial: &str) -> Result<String> {
    serial::normalize(serial).map_err(error::report)
}

/// `sha256:` and the lower-case hexadecimal SHA-256 of the bytes.
#[pg_extern(schema = "kakunin", immutable, parallel_safe)]
fn model_hash(model: &[u8]) -> String {
    core_model_hash::model_hash(model)
}

/// The model hash of a JSON text in its canonical form (RFC 8785). kakunin.model_hash_json(jsonb) hands over the
/// text, because jsonb holds numbers that Rust's JSON types do not.
#[pg_extern(schema = "kakunin", name = "_model_hash_json", immutable, parallel_safe)]
fn model_hash_json_text(model: &str) -> Result<String> {
    core_model_hash::model_hash_json(model).map_err(error::report)
}

/// The verdict on an accepted agent certificate.
pub fn agent_verdict(agent: &Agent) -> PgHeapTuple<'static, AllocatedByRust> {
    let mut verdict = Verdict::new("kakunin.certificate_verdict");
    verdict.describe(&agent.path.leaf);
    verdict.set("agent_id", agent.agent_id.clone());
    verdict.set("model_hash", agent.model_hash.clone());
    verdict.set("scope", agent.scope.as_deref().and_then(jsonb));
    verdict.outcome(None);
    verdict.0
}

/// A JSON text as jsonb.
pub fn jsonb(text: &str) -> Option<pgrx::JsonB> {
    json::parse_strict(text).ok().map(pgrx::JsonB)
}

/// A core time as timestamptz.
pub fn timestamp(time: UnixTime) -> Option<TimestampWithTimeZone> {
    TimestampWithTimeZone::try_from(time.0.checked_sub(shmem::POSTGRES_EPOCH_MICROS)?).ok()
}

/// Copies of the members that are not NULL.
pub fn present(values: pgrx::Array<&[u8]>) -> Vec<Vec<u8>> {
    values.iter().flatten().map(<[u8]>::to_vec).collect()
}

/// The same, as the core takes them.
pub fn borrowed(values: &[Vec<u8>]) -> Vec<&[u8]> {
    values.iter().map(Vec::as_slice).collect()
}

fn unix(timestamp: TimestampWithTimeZone) -> UnixTime {
    UnixTime(pg_sys::TimestampTz::from(timestamp).saturating_add(shmem::POSTGRES_EPOCH_MICROS))
}

/// A row of a composite type of ours, filled by column name.
pub struct Verdict(pub PgHeapTuple<'static, AllocatedByRust>);

impl Verdict {
    /// All columns NULL.
    pub fn new(type_name: &str) -> Self {
        Self(PgHeapTuple::new_composite_type(type_name).expect("sql/schema.sql makes the type"))
    }

    /// Sets one column.
    pub fn set<T: IntoDatum>(&mut self, column: &str, value: Option<T>) {
        if let Some(value) = value {
            self.0.set_by_name(column, value).expect("sql/schema.sql makes the column");
        }
    }

    fn outcome(&mut self, refusal: Option<Reason>) {
        self.set("valid", Some(refusal.is_none()));
        self.set("reason", Some(refusal.as_ref().map_or("ok", Reason::slug)));
        self.set("detail", refusal.as_ref().map(Reason::detail));
    }

    fn describe(&mut self, leaf: &Certificate) {
        self.set("serial", Some(leaf.serial.clone()));
        self.set("subject", Some(leaf.subject.clone()));
        self.set("issuer", Some(leaf.issuer.clone()));
        self.set("not_before", timestamp(leaf.not_before));
        self.set("not_after", timestamp(leaf.not_after));
        self.set("fingerprint", Some(leaf.fingerprint.to_vec()));
    }
}
