//! Which certificates exist here: trust anchors, imported agent certificates, and changes of trust.

use crate::certificate::{agent_verdict, jsonb, present, timestamp};
use crate::error;
use crate::{catalog, chain, config, shmem};
use kakunin_core::certificate::{self, Agent, Certificate};
use kakunin_core::{Reason, limits};
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use std::cell::Cell;

/// Registers a CA certificate that agent certificates may chain to. Returns its fingerprint.
// Definer: writes kakunin.trust_anchor, which no role may write directly.
#[pg_extern(schema = "kakunin", volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn add_trust_anchor(certificate: Option<&[u8]>, label: default!(Option<&str>, "NULL")) -> Result<Vec<u8>, ErrorReport> {
    let certificate = certificate.ok_or_else(|| error::report(Reason::ArgumentNull { what: "certificate".into() }))?;
    let anchor = certificate::check_anchor(certificate, shmem::now()).map_err(error::report)?;
    Spi::run_with_args(
        "insert into kakunin.trust_anchor (fingerprint, certificate, subject, not_before, not_after, label)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (fingerprint) do update set label = coalesce(excluded.label, trust_anchor.label)",
        &[
            anchor.fingerprint.to_vec().into(),
            certificate.to_vec().into(),
            anchor.subject.clone().into(),
            timestamp(anchor.not_before).into(),
            timestamp(anchor.not_after).into(),
            label.map(str::to_owned).into(),
        ],
    )
    .map_err(spi_error)?;
    Ok(anchor.fingerprint.to_vec())
}

/// Registers an agent certificate of any PKI whose root is a trust anchor. `agent_id` names the agent when the
/// certificate does not. A serial number that another issuer has used is refused, because policies compare serial
/// numbers; `allow_shared_serial` is for tables whose policies compare kakunin_cert_fingerprint().
// Definer: writes kakunin.certificate, which no role may write directly.
#[pg_extern(schema = "kakunin", volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn import_certificate(
    certificate: Option<&[u8]>,
    chain: default!(Option<pgrx::Array<&[u8]>>, "'{}'"),
    agent_id: default!(Option<&str>, "NULL"),
    tenant_id: default!(Option<&str>, "NULL"),
    agent_name: default!(Option<&str>, "NULL"),
    allow_shared_serial: default!(Option<bool>, "false"),
) -> Result<pgrx::composite_type!('static, "kakunin.certificate_verdict"), ErrorReport> {
    let certificate = certificate.ok_or_else(|| error::report(Reason::ArgumentNull { what: "certificate".into() }))?;
    let chain = chain.map(present).unwrap_or_default();
    let mut agent =
        chain::check_agent(certificate, &chain, &[], shmem::now(), &config::profile()).map_err(error::report)?;
    name_agent(&mut agent, agent_id, tenant_id).map_err(error::report)?;
    serialize_imports()?;
    refuse_shared_serial(&agent.path.leaf, allow_shared_serial.unwrap_or(false)).map_err(error::report)?;
    insert(&agent, certificate, chain, agent_name)?;
    Ok(agent_verdict(&agent))
}

/// This transaction writes to the tables of trust: after commit, every session looks its certificate up again.
pub fn trust_changes() {
    TRUST_CHANGED.set(true);
}

/// A prepared transaction is committed by another backend, which knows nothing of this change; so it is refused.
pub fn before_prepare() {
    if TRUST_CHANGED.get() {
        ereport!(
            ERROR,
            PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
            "cannot PREPARE a transaction that changes certificates or trust anchors",
            "A revocation must reach every session at its commit."
        );
    }
}

/// Announces the change. Called after the commit; must not fail.
pub fn at_commit() {
    if TRUST_CHANGED.replace(false)
        && let Ok(area) = shmem::area()
    {
        area.advance_epoch();
    }
}

/// Nothing changed after all.
pub fn at_abort() {
    TRUST_CHANGED.set(false);
}

/// The certificate's own names win; what the caller gives fills the gaps and must not contradict.
fn name_agent(agent: &mut Agent, agent_id: Option<&str>, tenant_id: Option<&str>) -> Result<(), Reason> {
    for (ours, given, what) in
        [(&mut agent.agent_id, agent_id, "agent_id"), (&mut agent.tenant_id, tenant_id, "tenant_id")]
    {
        let Some(given) = given else { continue };
        if given.is_empty() || given.chars().count() > limits::ID_CHARS_MAX || given.chars().any(char::is_control) {
            return Err(Reason::AgentNameInvalid { what: what.into() });
        }
        match ours {
            Some(own) if own != given => return Err(Reason::AgentNameContradicts { what: what.into() }),
            _ => *ours = Some(given.to_owned()),
        }
    }
    if agent.agent_id.is_none() { Err(Reason::AgentUnnamed) } else { Ok(()) }
}

/// Two imports at once would not see each other's serial numbers. Readers are not blocked.
fn serialize_imports() -> Result<(), ErrorReport> {
    Spi::run("lock table kakunin.certificate in share row exclusive mode").map_err(spi_error)
}

fn refuse_shared_serial(leaf: &Certificate, may_share: bool) -> Result<(), Reason> {
    for holder in catalog::holders_of_serial(&leaf.serial) {
        if holder.fingerprint == leaf.fingerprint {
            continue;
        }
        if holder.issuer_der == leaf.issuer_der {
            return Err(Reason::SerialReissued { serial: leaf.serial.clone(), issuer: leaf.issuer.clone() });
        }
        if !may_share {
            return Err(Reason::SerialShared { serial: leaf.serial.clone() });
        }
    }
    Ok(())
}

fn insert(agent: &Agent, der: &[u8], chain: Vec<Vec<u8>>, agent_name: Option<&str>) -> Result<(), ErrorReport> {
    let leaf = &agent.path.leaf;
    let arguments: Vec<DatumWithOid> = vec![
        leaf.fingerprint.to_vec().into(),
        leaf.serial.clone().into(),
        leaf.issuer.clone().into(),
        leaf.issuer_der.clone().into(),
        leaf.subject.clone().into(),
        agent.agent_id.clone().into(),
        agent.tenant_id.clone().into(),
        agent_name.map(str::to_owned).into(),
        agent.model_hash.clone().into(),
        agent.scope.as_deref().and_then(jsonb).into(),
        timestamp(leaf.not_before).into(),
        timestamp(leaf.not_after).into(),
        der.to_vec().into(),
        chain.into(),
    ];
    Spi::run_with_args(
        "insert into kakunin.certificate (fingerprint, serial, issuer, issuer_der, subject, agent_id, tenant_id,
             agent_name, model_hash, scope, not_before, not_after, certificate, chain)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         on conflict (fingerprint) do nothing",
        &arguments,
    )
    .map_err(spi_error)
}

fn spi_error(failure: pgrx::spi::Error) -> ErrorReport {
    ErrorReport::new(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, failure.to_string(), "kakunin")
}

thread_local! {
    static TRUST_CHANGED: Cell<bool> = const { Cell::new(false) };
}
