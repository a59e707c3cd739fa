//! What policies call. STABLE, PARALLEL SAFE, and silent: unbound, expired or revoked gives NULL or false.

use crate::{reading, shmem};
use kakunin_core::scope::Action;
use pgrx::prelude::*;

/// Serial number of the certificate this session is bound to: upper-case hexadecimal without separators.
#[pg_extern(stable, parallel_safe)]
fn kakunin_cert_serial() -> Option<String> {
    reading::with_live(|binding| binding.serial.clone())
}

/// SHA-256 of that certificate, lower-case hexadecimal. Unlike a serial number it names one certificate among all
/// issuers.
#[pg_extern(stable, parallel_safe)]
fn kakunin_cert_fingerprint() -> Option<String> {
    reading::with_live(|binding| binding.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The agent that the certificate names.
#[pg_extern(stable, parallel_safe)]
fn kakunin_agent_id() -> Option<String> {
    reading::with_live(|binding| binding.agent_id.clone())
}

/// The tenant that the certificate names.
#[pg_extern(stable, parallel_safe)]
fn kakunin_tenant_id() -> Option<String> {
    reading::with_live(|binding| binding.tenant_id.clone()).flatten()
}

/// 'active' while the binding counts, else NULL.
#[pg_extern(stable, parallel_safe)]
fn kakunin_cert_status() -> Option<&'static str> {
    reading::with_live(|_| "active")
}

/// How the session proved who it is: 'proof', 'tls' or 'gateway'.
#[pg_extern(stable, parallel_safe)]
fn kakunin_binding_source() -> Option<&'static str> {
    reading::with_live(|binding| binding.source.as_str())
}

/// The scope that the certificate carries.
#[pg_extern(stable, parallel_safe)]
fn kakunin_scope() -> Option<pgrx::JsonB> {
    let binding = reading::live()?;
    serde_json::from_str(binding.scope.as_deref()?).ok().map(pgrx::JsonB)
}

/// Instruments that the scope permits; NULL when it names none.
#[pg_extern(stable, parallel_safe)]
fn kakunin_permitted_instruments() -> Option<Vec<String>> {
    reading::scope()?.permitted_instruments().map(<[String]>::to_vec)
}

/// Does the scope permit this action, now? A limit that is set and whose parameter is missing denies.
#[pg_extern(stable, parallel_safe)]
fn kakunin_allows(
    action: Option<&str>,
    amount: default!(Option<pgrx::AnyNumeric>, "NULL"),
    counterparty: default!(Option<&str>, "NULL"),
    instrument: default!(Option<&str>, "NULL"),
    venue: default!(Option<&str>, "NULL"),
    region: default!(Option<&str>, "NULL"),
) -> bool {
    let (Some(action), Some(scope)) = (action, reading::scope()) else { return false };
    let amount = amount.map(|amount| amount.to_string());
    let request = Action {
        action,
        amount: amount.as_deref(),
        counterparty,
        instrument,
        venue,
        region,
        at: shmem::now(),
        ..Action::default()
    };
    scope.allows(&request).is_ok()
}

/// C symbols of the functions above: what the planner hook recognises.
pub const SYMBOLS: &[&str] = &[
    "kakunin_cert_serial_wrapper",
    "kakunin_cert_fingerprint_wrapper",
    "kakunin_agent_id_wrapper",
    "kakunin_tenant_id_wrapper",
    "kakunin_cert_status_wrapper",
    "kakunin_binding_source_wrapper",
    "kakunin_scope_wrapper",
    "kakunin_permitted_instruments_wrapper",
    "kakunin_allows_wrapper",
];
