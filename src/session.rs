//! Who this session is: the commands that bind it.

use crate::certificate::{Verdict, jsonb, timestamp};
use crate::chain::{self, Verified};
use crate::error::{self, Result};
use crate::hooks::binding::{self as setting, Lifetime};
use crate::hooks::failure::Failure;
use crate::hooks::{peer, transaction};
use crate::{backend, catalog, config, gateway, reading, shmem};
use kakunin_core::certificate::signature::{self, Algorithm};
use kakunin_core::certificate::{Certificate, serial};
use kakunin_core::session::binding::{Binding, Source, admit_bind};
use kakunin_core::session::proof::{Expectation, Proof};
use kakunin_core::{Reason, UnixTime, limits};
use pgrx::prelude::*;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

/// A fresh nonce for a proof. Open for 60 s or until it is used; a second call replaces the first.
#[pg_extern(schema = "kakunin", volatile, parallel_unsafe)]
fn session_challenge() -> Result<String> {
    shmem::area().map_err(error::report)?;
    let nonce = backend::random_text();
    let open_until = shmem::now().plus_seconds(limits::CHALLENGE_SECONDS_MAX);
    CHALLENGE.set(Some((nonce.clone(), open_until)));
    Ok(nonce)
}

/// The audience that a proof for this database names.
#[pg_extern(schema = "kakunin", stable, parallel_restricted)]
fn proof_audience() -> String {
    audience()
}

/// Binds until the transaction ends. Without a proof, the connection's TLS client certificate is used.
#[pg_extern(schema = "kakunin", volatile, parallel_unsafe)]
fn bind_transaction(proof: default!(Option<&str>, "NULL")) -> Result<()> {
    bind(proof, Lifetime::Transaction).map_err(error::report)
}

/// Binds until the session ends, `unbind_session()`, or a reset. For direct connections.
#[pg_extern(schema = "kakunin", volatile, parallel_unsafe)]
fn bind_session(proof: default!(Option<&str>, "NULL")) -> Result<()> {
    let user = backend::session_user();
    if config::is_trusted_gateway(&user) || !config::session_binding_allowed() || serves_requests() {
        return Err(error::report(Reason::SessionBindingRefused { role: user }));
    }
    bind(proof, Lifetime::Session).map_err(error::report)
}

/// Ends the binding, from here on in this session. Another identity needs another transaction.
#[pg_extern(schema = "kakunin", volatile, parallel_unsafe)]
fn unbind_session() {
    setting::assign("", Lifetime::Session);
}

/// Fixes the current role until the transaction ends.
#[pg_extern(schema = "kakunin", volatile, parallel_unsafe)]
fn lock_role() {
    transaction::lock_role();
}

/// What the session is bound to, or NULL.
#[pg_extern(schema = "kakunin", stable, parallel_restricted)]
fn current_binding() -> Option<pgrx::composite_type!('static, "kakunin.session_binding")> {
    let binding = reading::live()?;
    let mut row = Verdict::new("kakunin.session_binding");
    row.set("source", Some(binding.source.as_str()));
    row.set("serial", Some(binding.serial.clone()));
    row.set("fingerprint", Some(binding.fingerprint.to_vec()));
    row.set("agent_id", Some(binding.agent_id.clone()));
    row.set("tenant_id", binding.tenant_id.clone());
    row.set("model_hash", binding.model_hash.clone());
    row.set("scope", binding.scope.as_deref().and_then(jsonb));
    row.set("not_before", timestamp(binding.not_before));
    row.set("not_after", timestamp(binding.not_after));
    row.set("bound_at", timestamp(binding.bound_at));
    row.set("session_scoped", Some(binding.session_scoped));
    Some(row.0)
}

/// Proofs that shared memory remembers now, and how many it can.
#[pg_extern(schema = "kakunin", volatile, parallel_restricted)]
fn used_proofs() -> Result<TableIterator<'static, (name!(live, i64), name!(capacity, i64))>> {
    let (live, capacity) = shmem::area().map_err(error::report)?.used_proofs(shmem::now());
    Ok(TableIterator::once((live as i64, capacity as i64)))
}

/// For PostgREST's `db-pre-request`: binds what the request proves, and locks the role in any case.
#[pg_extern(schema = "kakunin", volatile, parallel_unsafe)]
fn pre_request() -> Result<()> {
    if !transaction::lock_role() {
        return Err(error::report(Reason::RoleLockImpossible));
    }
    if REQUEST_SEEN.replace(true) {
        return Err(error::report(Reason::RequestAlreadySeen));
    }
    drop_leftover().and_then(|()| pre_request_binding()).map_err(error::report)
}

/// Is this a gateway's connection, whatever its login? Then the next request is another client's. That pre_request()
/// was called cannot be unsaid by any SQL of the request; its settings can.
fn serves_requests() -> bool {
    REQUEST_SEEN.get() || gateway::request().is_some()
}

/// A binding from before the request is not the request's. Nothing was read under it in this transaction yet, unless
/// the identity seen says so. Below a savepoint, which could bring it back, it is refused instead.
fn drop_leftover() -> std::result::Result<(), Reason> {
    let Some(leftover) = reading::stored() else { return Ok(()) };
    if backend::is_below_savepoint() {
        return Err(Reason::AlreadyBound { serial: leftover.serial.clone() });
    }
    let seen = reading::identity_seen();
    setting::assign("", Lifetime::Transaction);
    reading::set_identity_seen(seen);
    Ok(())
}

fn pre_request_binding() -> std::result::Result<(), Reason> {
    if let Some(proof) = gateway::proof_header()? {
        return bind(Some(&proof), Lifetime::Transaction);
    }
    let user = backend::session_user();
    if !config::is_trusted_gateway(&user) {
        return Ok(());
    }
    shmem::area()?;
    let now = shmem::now();
    let Some(claimed) = gateway::claimed_serial(now)? else { return Ok(()) };
    let verified = match catalog::holders_of_serial(&claimed).as_slice() {
        [holder] => chain::verify(&holder.fingerprint, now)?,
        [] => return Err(Reason::CertificateUnknown),
        _ => return Err(Reason::SerialAmbiguous { serial: claimed }),
    };
    store(&verified, Source::Gateway, now, Lifetime::Transaction)
}

fn bind(proof: Option<&str>, lifetime: Lifetime) -> std::result::Result<(), Reason> {
    let area = shmem::area()?;
    let now = shmem::now();
    match proof {
        Some(proof) => {
            let verified = prove(area, proof, now)?;
            store(&verified, Source::Proof, now, lifetime)
        }
        None => {
            let fingerprint = peer_fingerprint().ok_or(Reason::NoClientCertificate)?;
            let verified = chain::verify(&fingerprint, now)?;
            store(&verified, Source::Tls, now, lifetime)
        }
    }
}

/// Checks a proof down to its single use, which is spent here even if the bind is refused later.
fn prove(area: shmem::Area, text: &str, now: UnixTime) -> std::result::Result<Rc<Verified>, Reason> {
    let proof = Proof::parse(text)?;
    let challenge = open_challenge(now);
    let request = gateway::request();
    let prefix = config::http_path_prefix();
    let prefixes = [prefix.as_str()];
    let role = backend::outer_role_name();
    proof.check(&Expectation {
        audience: &audience(),
        now,
        clock_skew_seconds: config::clock_skew_seconds(),
        server_started: area.started(),
        request: request.as_ref().map(|request| request.as_expected(&prefixes)),
        challenge: challenge.as_deref(),
        role: Some(&role),
    })?;
    let verified = chain::verify(&proof.certificate_fingerprint(), now)?;
    if serial::normalize(proof.serial()).as_deref() != Ok(verified.serial.as_str()) {
        return Err(Reason::ProofSerialWrong);
    }
    signature::verify(jws_algorithm(proof.algorithm())?, &verified.spki, proof.signing_input(), proof.signature())
        .map_err(|_| Reason::ProofSignatureInvalid)?;
    spend(area, &proof, now)?;
    Ok(verified)
}

/// JOSE writes ECDSA signatures in their fixed-size form (RFC 7518 section 3.4).
fn jws_algorithm(name: &str) -> std::result::Result<Algorithm, Reason> {
    match name {
        "ES256" => Ok(Algorithm::ES256P1363),
        "ES384" => Ok(Algorithm::ES384P1363),
        other => other.parse().map_err(|_| Reason::ProofAlgorithmRefused),
    }
}

fn spend(area: shmem::Area, proof: &Proof, now: UnixTime) -> std::result::Result<(), Reason> {
    let id = proof.use_id();
    let may_retry = RETRYABLE.with_borrow(|retry| retry.ids.contains(&id) && retry.stays_with_client());
    area.admit_proof(&proof.certificate_fingerprint(), id, proof.expires_at(), now, backend::identity(), may_retry)?;
    if proof.nonce().is_some() {
        CHALLENGE.set(None);
    }
    RETRYABLE.with_borrow_mut(|retry| retry.ids.retain(|retried| *retried != id));
    SPENT.with_borrow_mut(|ids| ids.push(id));
    Ok(())
}

fn store(verified: &Verified, source: Source, now: UnixTime, lifetime: Lifetime) -> std::result::Result<(), Reason> {
    refuse_contradiction(verified)?;
    let binding = Binding {
        source,
        serial: verified.serial.clone(),
        fingerprint: verified.fingerprint,
        agent_id: verified.agent_id.clone(),
        tenant_id: verified.tenant_id.clone(),
        issuer_fingerprints: verified.issuers.clone(),
        not_before: verified.not_before,
        not_after: verified.not_after,
        role: backend::outer_role().to_u32(),
        scope: verified.scope.clone(),
        model_hash: verified.model_hash.clone(),
        bound_at: now,
        session_scoped: lifetime == Lifetime::Session,
    };
    admit_bind(reading::stored().as_deref(), reading::identity_seen(), &binding)?;
    reading::set_identity_seen(Some(binding.fingerprint));
    setting::assign(&binding.encode(), lifetime);
    transaction::lock_role();
    Ok(())
}

/// A connection whose own TLS certificate is a registered agent's cannot act as another one. The certificate of a
/// proxy is registered as nobody's, and contradicts nothing.
fn refuse_contradiction(verified: &Verified) -> std::result::Result<(), Reason> {
    match peer_fingerprint() {
        Some(peer) if peer != verified.fingerprint && catalog::certificate(&peer).is_some() => {
            Err(Reason::TlsIdentityMismatch)
        }
        _ => Ok(()),
    }
}

/// Called when a transaction has committed or was prepared.
pub fn at_commit() {
    SPENT.take();
    RETRYABLE.take();
    reading::set_identity_seen(None);
    REQUEST_SEEN.set(false);
}

/// Called when a transaction was aborted. After a serialization failure or a deadlock, and only then, the proofs
/// it spent may be presented again by this backend in its next transaction.
pub fn at_abort(failure: Option<Failure>) {
    let mut ids = SPENT.take();
    if failure.is_none() {
        ids.clear();
    }
    RETRYABLE.set(Retry { ids, failure });
    reading::set_identity_seen(None);
    REQUEST_SEEN.set(false);
}

/// Proofs of a transaction that failed for no fault of its own.
#[derive(Default)]
struct Retry {
    ids: Vec<[u8; 16]>,
    failure: Option<Failure>,
}

impl Retry {
    /// Is whoever presents a proof now the one who did before? Behind a pooler the next transaction can be another
    /// client's, who may have read the proof in pg_stat_activity. PostgREST, though, reruns a serialization failure
    /// before it gives the connection back, and a login that may bind whole sessions has them to itself.
    fn stays_with_client(&self) -> bool {
        let rerun = self.failure == Some(Failure::Serialization) && gateway::request().is_some();
        rerun || (config::session_binding_allowed() && !config::is_trusted_gateway(&backend::session_user()))
    }
}

fn open_challenge(now: UnixTime) -> Option<String> {
    CHALLENGE
        .with_borrow(|challenge| challenge.as_ref().filter(|(_, until)| now <= *until).map(|(nonce, _)| nonce.clone()))
}

fn peer_fingerprint() -> Option<[u8; 32]> {
    PEER.with(|peer_once| *peer_once.get_or_init(|| Some(Certificate::parse(&peer::certificate()?).ok()?.fingerprint)))
}

fn audience() -> String {
    AUDIENCE.with(|once| {
        once.get_or_init(|| format!("kakunin:{}/{}", backend::system_identifier(), backend::database_name())).clone()
    })
}

thread_local! {
    static CHALLENGE: RefCell<Option<(String, UnixTime)>> = const { RefCell::new(None) };
    static SPENT: RefCell<Vec<[u8; 16]>> = const { RefCell::new(Vec::new()) };
    static RETRYABLE: RefCell<Retry> = const { RefCell::new(Retry { ids: Vec::new(), failure: None }) };
    static REQUEST_SEEN: Cell<bool> = const { Cell::new(false) };
    static PEER: OnceCell<Option<[u8; 32]>> = const { OnceCell::new() };
    static AUDIENCE: OnceCell<String> = const { OnceCell::new() };
}
