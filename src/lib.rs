//! kakunin: X.509 identities for AI agents, enforced inside PostgreSQL.
//!
//! This crate is the face: it translates between PostgreSQL and the pure decisions in `kakunin-core`. A face
//! function gathers (bytes, time, settings), lets the core decide, and acts on the answer. ARCHITECTURE.md draws
//! the map and lists what this code never does.

use pgrx::prelude::*;

mod backend;
mod catalog;
mod certificate;
mod chain;
mod checkpoint;
mod config;
mod error;
mod gateway;
mod hooks;
mod ledger;
mod policy;
mod reading;
mod registry;
mod session;
mod shmem;
mod signer;
mod slots;
mod worker;

pgrx::pg_module_magic!();

/// Tells pgrx the name of the schema that sql/schema.sql makes.
#[pg_schema]
mod kakunin {}

extension_sql_file!("../sql/schema.sql", name = "schema", bootstrap);
extension_sql_file!(
    "../sql/registry_face.sql",
    name = "registry_face",
    requires = ["schema", registry::add_trust_anchor, registry::import_certificate]
);
extension_sql_file!(
    "../sql/certificate_face.sql",
    name = "certificate_face",
    requires = [
        "schema",
        certificate::check_path,
        certificate::check_certificate,
        certificate::verify_signature,
        certificate::pem_decode,
        certificate::pem_encode,
        certificate::normalize_serial,
        certificate::model_hash,
        certificate::model_hash_json_text
    ]
);
extension_sql_file!(
    "../sql/session_face.sql",
    name = "session_face",
    requires = [
        "schema",
        session::session_challenge,
        session::proof_audience,
        session::bind_transaction,
        session::bind_session,
        session::unbind_session,
        session::current_binding,
        session::pre_request,
        session::lock_role,
        session::used_proofs
    ]
);
extension_sql_file!(
    "../sql/policy_face.sql",
    name = "policy_face",
    requires = [
        "schema",
        policy::kakunin_cert_serial,
        policy::kakunin_cert_fingerprint,
        policy::kakunin_agent_id,
        policy::kakunin_tenant_id,
        policy::kakunin_cert_status,
        policy::kakunin_binding_source,
        policy::kakunin_scope,
        policy::kakunin_permitted_instruments,
        policy::kakunin_allows
    ]
);
extension_sql_file!("../sql/ledger.sql", name = "ledger", requires = ["schema"]);
extension_sql_file!(
    "../sql/ledger_face.sql",
    name = "ledger_face",
    requires = [
        "ledger",
        ledger::append::ledger_tx,
        ledger::append::ledger_row,
        ledger::append::ledger_salts,
        ledger::attach::attach_ledger,
        ledger::verify::verify_ledger,
        ledger::redact::redact,
        ledger::prune::prune_ledger,
        ledger::repair::repair_ledger,
        ledger::ends::close_ledger,
        ledger::ends::begin_epoch
    ]
);
extension_sql_file!("../sql/signer.sql", name = "signer", requires = ["schema", signer::create_signing_key]);
extension_sql_file!("../sql/checkpoint.sql", name = "checkpoint", requires = ["ledger", "signer"]);
extension_sql_file!(
    "../sql/checkpoint_face.sql",
    name = "checkpoint_face",
    requires = [
        "checkpoint",
        "ledger_face",
        checkpoint::checkpoint,
        checkpoint::name_log,
        checkpoint::verifier_key,
        checkpoint::proofs::inclusion_proof,
        checkpoint::proofs::consistency_proof
    ]
);
extension_sql_file!("../sql/own_tables.sql", name = "own_tables", requires = ["ledger_face", "checkpoint"]);
extension_sql_file!("../sql/audit.sql", name = "audit", requires = ["ledger_face"]);
extension_sql_file!(
    "../sql/ledger_doctor.sql",
    name = "ledger_doctor",
    requires = ["checkpoint", "ledger_face", slots::signer_runs]
);
extension_sql_file!("../sql/doctor.sql", name = "doctor", requires = ["policy_face", "ledger_doctor"]);
extension_sql_file!("../sql/privileges.sql", name = "privileges", finalize);

/// Called once per process that loads the library: the postmaster when preloaded, else the first backend that
/// calls a function of ours. Shared memory, and with it everything that binds, exists only in the first case.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    let preloaded = shmem::preloading();
    config::define(preloaded);
    if preloaded {
        shmem::request();
        worker::register();
    }
    hooks::install();
    ledger::install();
}
