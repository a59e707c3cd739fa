//! Why something was refused: one variant per rule, with its facts.
//!
//! The slug is the same word everywhere: the first word of DETAIL, the `reason` column of a verdict, the
//! heading in docs/errors.md. A refusal never carries a secret, a proof or a signature.

use crate::UnixTime;

/// What kind of refusal this is. The face maps a class to one SQLSTATE and nothing else does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The identity is not proven: expired, revoked, wrong chain, replayed (28000).
    IdentityNotProven,
    /// The identity is fine, the act is refused: scope, role, second bind (42501).
    ActRefused,
    /// Bytes that cannot be decoded (22P03).
    UndecodableBytes,
    /// Text that cannot be decoded (22P02).
    UndecodableText,
    /// An argument out of range (22023).
    ArgumentOutOfRange,
    /// A prerequisite is missing: not preloaded, no anchor, not configured (55000).
    NotReady,
    /// A bounded store is full (53000).
    Full,
    /// A change of what a ledger holds was attempted (23001).
    LedgerChange,
    /// A ledger is not what its entries say (XX001).
    LedgerBroken,
    /// Something that cannot work here, whoever asks (0A000).
    Unsupported,
    /// More than one act may hold (54000).
    LimitExceeded,
    /// A trigger's function was called in another way (39P01).
    TriggerProtocol,
    /// Keys, or the files of the signer, cannot be used; or it is too slow (58030).
    KeyService,
    /// The transaction or the server is read-only (25006).
    ReadOnly,
}

macro_rules! reasons {
    ($( $(#[$doc:meta])* $variant:ident $({ $($field:ident : $type:ty),* $(,)? })? => $class:ident, $slug:literal, $message:literal, $detail:literal, $hint:literal; )*) => {
        /// A refusal and its facts.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Reason {
            $( #[doc = concat!("`", $slug, "`: ", $message, ".\n\n")] $(#[$doc])* #[allow(missing_docs)] $variant $({ $($field: $type),* })?, )*
        }

        impl Reason {
            /// The stable word for this refusal.
            pub fn slug(&self) -> &'static str {
                match self { $( Self::$variant $({ $($field: _),* })? => $slug, )* }
            }
            /// The class, which decides the SQLSTATE.
            pub fn class(&self) -> Class {
                match self { $( Self::$variant $({ $($field: _),* })? => Class::$class, )* }
            }
            /// The error message: short, lower case, no full stop.
            pub fn message(&self) -> &'static str {
                match self { $( Self::$variant $({ $($field: _),* })? => $message, )* }
            }
            /// The facts, as one sentence.
            pub fn detail(&self) -> String {
                match self { $( Self::$variant $({ $($field),* })? => format!($detail), )* }
            }
            /// The next step, or an empty text when there is none to give.
            pub fn hint(&self) -> &'static str {
                match self { $( Self::$variant $({ $($field: _),* })? => $hint, )* }
            }
            /// Every slug, for the page that explains them and the test that compares the two.
            pub const SLUGS: &'static [&'static str] = &[ $( $slug, )* ];
        }
    };
}

reasons! {
    // --- bytes and text ---
    /// The DER is not a certificate, or not strict DER.
    CertificateMalformed { what: String } => UndecodableBytes, "certificate_malformed",
        "certificate cannot be decoded", "{what}.", "Pass one DER certificate; kakunin.pem_decode() turns PEM into DER.";
    CertificateTooLarge { bytes: usize, max: usize } => UndecodableBytes, "certificate_too_large",
        "certificate is too large", "It has {bytes} bytes, at most {max} are read.", "";
    PemMalformed { what: String } => UndecodableText, "pem_malformed",
        "PEM text cannot be decoded", "{what}.", "Pass blocks that start with -----BEGIN CERTIFICATE----- as openssl writes them.";
    SerialMalformed { what: String } => UndecodableText, "serial_malformed",
        "certificate serial number is not valid", "{what}.", "Write it in hexadecimal; colons, dashes, 0x and lower case are understood.";
    JsonMalformed { what: String } => UndecodableText, "json_malformed",
        "JSON text cannot be accepted", "{what}.", "";
    CrlMalformed { what: String } => UndecodableBytes, "crl_malformed",
        "certificate revocation list cannot be decoded", "{what}.", "Pass DER CRLs of RFC 5280 section 5.";
    PublicKeyMalformed { what: String } => UndecodableBytes, "public_key_malformed",
        "public key cannot be decoded", "{what}.", "Pass a DER SubjectPublicKeyInfo (openssl pkey -pubout -outform DER).";
    ListTooLong { what: &'static str, count: usize, max: usize } => ArgumentOutOfRange, "list_too_long",
        "list is too long", "The {what} has {count} entries, at most {max} are considered.", "";

    // --- the path (RFC 5280 section 6) ---
    ChainTooLong { count: usize, max: usize } => ArgumentOutOfRange, "chain_too_long",
        "certificate chain is too long", "It has {count} certificates, at most {max} are considered.", "";
    NoTrustAnchor => NotReady, "no_trust_anchor",
        "no trust anchor is registered", "There is no certificate to build a path to.", "Register one with kakunin.add_trust_anchor().";
    IssuerUnknown { issuer: String } => IdentityNotProven, "issuer_unknown",
        "certificate does not chain to a trust anchor", "No path from issuer {issuer} ends at a trust anchor.", "Pass the missing intermediates in chain, or register the root with kakunin.add_trust_anchor().";
    CertificateExpired { serial: String, not_after: UnixTime } => IdentityNotProven, "certificate_expired",
        "certificate has expired", "Serial {serial} ended at {not_after}.", "Import its successor with kakunin.import_certificate().";
    CertificateNotYetValid { serial: String, not_before: UnixTime } => IdentityNotProven, "certificate_not_yet_valid",
        "certificate is not valid yet", "Serial {serial} starts at {not_before}.", "";
    SignatureInvalid => IdentityNotProven, "signature_invalid",
        "signature does not verify", "The bytes were not signed by the key that is named.", "";
    CertificateRevoked { serial: String } => IdentityNotProven, "certificate_revoked",
        "certificate has been revoked", "Serial {serial} is revoked.", "";
    RevocationUnknown { serial: String, what: String } => IdentityNotProven, "revocation_unknown",
        "revocation status of a certificate is not known", "Serial {serial}: {what}.", "Pass current CRLs of every issuer in the path.";
    IssuerNotCa { subject: String } => IdentityNotProven, "issuer_not_ca",
        "issuing certificate is not a CA", "{subject} may not sign certificates.", "";
    PathLengthExceeded => IdentityNotProven, "path_length_exceeded",
        "path length constraint is violated", "A CA in the path allows fewer intermediates below it.", "";
    NameConstraintViolated => IdentityNotProven, "name_constraint_violated",
        "name constraint is violated", "A CA in the path may not issue for this name.", "";
    CertificateInvalid { what: String } => IdentityNotProven, "certificate_invalid",
        "certificate breaks a rule of RFC 5280", "{what}.", "";
    AlgorithmUnsupported { algorithm: String } => IdentityNotProven, "algorithm_unsupported",
        "signature algorithm is not supported", "{algorithm} is not among the accepted algorithms.", "Accepted are RSA 2048 to 8192 with SHA-256/384/512, P-256 with SHA-256, P-384 with SHA-384, and Ed25519.";
    KeyUnsupported { what: String } => IdentityNotProven, "key_unsupported",
        "public key is not accepted", "{what}.", "Use RSA 2048 to 8192, P-256, P-384 or Ed25519.";
    AlgorithmMismatch { algorithm: &'static str, key: &'static str } => IdentityNotProven, "algorithm_mismatch",
        "signature algorithm does not fit the public key", "{algorithm} is not an algorithm for a key of kind {key}.", "";
    SerialInvalid { what: String } => IdentityNotProven, "serial_invalid",
        "serial number of a certificate breaks RFC 5280", "{what}.", "Serial numbers are positive and have at most 20 octets (section 4.1.2.2).";
    ExtensionRepeated { oid: String } => IdentityNotProven, "extension_repeated",
        "certificate has an extension twice", "Extension {oid} occurs more than once.", "";
    CriticalExtensionUnknown { oid: String } => IdentityNotProven, "critical_extension_unknown",
        "certificate has a critical extension that is not processed", "Extension {oid} is critical.", "";
    PolicyNotSatisfied => IdentityNotProven, "policy_not_satisfied",
        "certificate policies are not satisfied", "A CA in the path requires a policy that the path does not keep.", "";
    PathTooComplex => IdentityNotProven, "path_too_complex",
        "certificate chain offers too many paths", "The search for a valid path was given up.", "Pass only the intermediates of one path.";

    // --- the agent profile ---
    ProfileViolation { what: String } => IdentityNotProven, "profile_violation",
        "certificate is not an agent certificate", "{what}.", "docs/certificates.md lists what an agent certificate carries.";
    ScopeMalformed { what: String } => IdentityNotProven, "scope_malformed",
        "scope of the certificate cannot be accepted", "{what}.", "docs/scope.md describes the members.";
    TrustDomainMismatch { found: String, expected: String } => IdentityNotProven, "trust_domain_mismatch",
        "certificate belongs to another trust domain", "It names {found}, here is {expected}.", "kakunin.trust_domain names the trust domain of this database.";
    TenantMismatch { tenant: String, issuer: String } => IdentityNotProven, "tenant_mismatch",
        "certificate of one tenant was issued by the CA of another", "It names tenant {tenant}, its CA tenant {issuer}.", "";
    ProfileSettingInvalid { what: String } => ArgumentOutOfRange, "profile_setting_invalid",
        "setting of the agent profile is not valid", "{what}.", "Look at kakunin.trust_domain and kakunin.oid_arc.";

    // --- session ---
    ProofTooLarge { bytes: usize, max: usize } => IdentityNotProven, "proof_too_large",
        "proof is too large", "It has {bytes} bytes, at most {max} are read.", "";
    /// The facts of a malformed proof are fixed sentences, so that no byte of it can reach an error text.
    ProofMalformed { what: &'static str } => IdentityNotProven, "proof_malformed",
        "proof cannot be decoded", "{what}.", "docs/spec/proof.md shows what a proof is made of.";
    ProofTypeWrong => IdentityNotProven, "proof_type_wrong",
        "token is not a proof", "Its typ is not kakunin-proof+jwt.", "A token made for something else proves nothing here; sign one with that typ.";
    ProofAlgorithmRefused => IdentityNotProven, "proof_algorithm_refused",
        "algorithm of the proof is not accepted", "Its alg is none of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 and EdDSA.", "";
    ProofHeaderRefused { member: &'static str } => IdentityNotProven, "proof_header_refused",
        "proof has a header that is not accepted", "Member {member} of its header must not be there.", "The key is the certificate's alone, named by x5t#S256.";
    ProofAudienceWrong { audience: String } => IdentityNotProven, "proof_audience_wrong",
        "proof was made for another database", "Here aud must be {audience}.", "";
    ProofLifetimeWrong { issued_at: UnixTime, expires_at: UnixTime, seconds_max: i64 } => IdentityNotProven, "proof_lifetime_wrong",
        "lifetime of the proof is not accepted", "It runs from {issued_at} to {expires_at}; it must run forward, for {seconds_max} seconds at most.", "";
    ProofExpired { expires_at: UnixTime } => IdentityNotProven, "proof_expired",
        "proof has expired", "It ended at {expires_at}.", "Sign a new one for each request.";
    ProofFromFuture { starts_at: UnixTime, now: UnixTime } => IdentityNotProven, "proof_from_future",
        "proof is not valid yet", "It starts at {starts_at}, here it is {now}.", "Compare the clocks; kakunin.clock_skew is what they may differ by.";
    ProofBeforeStart { issued_at: UnixTime, started_at: UnixTime } => IdentityNotProven, "proof_before_start",
        "proof is older than the server", "It was issued at {issued_at}; the server, which started at {started_at}, no longer knows whether it was used.", "Sign a new one.";
    ProofUnidentified => IdentityNotProven, "proof_unidentified",
        "proof could be used twice", "It has neither a jti nor a nonce.", "Give it a jti of its own, or the nonce from kakunin.session_challenge().";
    ProofChallengeMissing => IdentityNotProven, "proof_challenge_missing",
        "proof answers no challenge", "It has a nonce, and no challenge is open in this session.", "Call kakunin.session_challenge() in the session that is to be bound; a challenge is good for one proof.";
    ProofChallengeWrong => IdentityNotProven, "proof_challenge_wrong",
        "proof answers another challenge", "Its nonce is not the one this session is waiting for.", "";
    ProofRequestMissing => IdentityNotProven, "proof_request_missing",
        "proof names no request", "An HTTP request is running, and the proof lacks htm or htu.", "";
    ProofRequestUnexpected => IdentityNotProven, "proof_request_unexpected",
        "proof was made for an HTTP request", "It has htm or htu, and no HTTP request is running.", "";
    ProofMethodWrong { method: String } => IdentityNotProven, "proof_method_wrong",
        "proof was made for another request", "Here htm must be {method}.", "";
    ProofPathWrong { path: String } => IdentityNotProven, "proof_path_wrong",
        "proof was made for another request", "Here the path of htu must be {path}, and htu has no query and no fragment.", "kakunin.http_path_prefix holds what the gateway strips from the path.";
    ProofRoleWrong => IdentityNotProven, "proof_role_wrong",
        "proof was made for another role", "Its role is not the current one.", "";
    ProofSerialWrong => IdentityNotProven, "proof_serial_wrong",
        "proof names two certificates", "Its kid is not the serial of the certificate that x5t#S256 names.", "";
    ProofReused => IdentityNotProven, "proof_reused",
        "proof has been used before", "A proof is good for one use.", "Sign a new one for each attempt, with a jti of its own.";
    ProofStoreFull { count: usize } => Full, "proof_store_full",
        "certificate's share of the used-proof table is full", "All {count} places of the share hold proofs that are still alive, so a new one could be used twice; a share is 1/32 of kakunin.used_proofs_max.", "Wait until they expire, or raise kakunin.used_proofs_max and restart.";
    BindingMalformed { what: &'static str } => IdentityNotProven, "binding_malformed",
        "stored binding cannot be decoded", "{what}.", "Bind again.";
    AlreadyBound { serial: String } => ActRefused, "already_bound",
        "another identity is already bound", "This transaction or session acts for serial {serial}.", "Start a new transaction, after kakunin.unbind_session() where a session is bound.";
    BoundBefore => ActRefused, "bound_before",
        "another identity was bound before", "This transaction has acted for another certificate.", "Start a new transaction.";
    ClaimsMalformed { what: &'static str } => IdentityNotProven, "claims_malformed",
        "claims of the request cannot be accepted", "{what}.", "";
    ClaimsDisagree => IdentityNotProven, "claims_disagree",
        "claims of the request name two certificates", "app_metadata.cert_serial, kakunin_cert_serial and x-kakunin-cert-serial must agree where they are present.", "";
    HeadersMalformed { what: &'static str } => IdentityNotProven, "headers_malformed",
        "headers of the request cannot be accepted", "{what}.", "";
    TokenMalformed { what: &'static str } => IdentityNotProven, "token_malformed",
        "token of the gateway cannot be decoded", "{what}.", "";
    TokenAlgorithmRefused => IdentityNotProven, "token_algorithm_refused",
        "algorithm of the token is not accepted", "Its alg is not one that the configured key is for.", "A secret verifies HS256; a public key verifies RS256, ES256 or EdDSA, by its kind.";
    TokenSignatureInvalid => IdentityNotProven, "token_signature_invalid",
        "token of the gateway does not verify", "It was not signed with the configured key.", "";
    TokenExpired { expires_at: UnixTime } => IdentityNotProven, "token_expired",
        "token of the gateway has expired", "It ended at {expires_at}.", "";
    TokenFromFuture { starts_at: UnixTime, now: UnixTime } => IdentityNotProven, "token_from_future",
        "token of the gateway is not valid yet", "It starts at {starts_at}, here it is {now}.", "";
    TokenSecretTooShort { bytes: usize, min: usize } => NotReady, "token_secret_too_short",
        "secret for the gateway's tokens is too short", "It has {bytes} bytes, HS256 asks for {min} (RFC 7518 section 3.2).", "";
    ModelHashMalformed => UndecodableText, "model_hash_malformed",
        "model hash is not valid", "It is not sha256: and 64 hexadecimal digits.", "kakunin.model_hash() makes one.";

    // --- scope ---
    ScopeParameterMissing { parameter: &'static str } => ActRefused, "scope_parameter_missing",
        "act is outside the scope", "The scope limits the {parameter}, and none was given.", "";
    ScopeActionDenied => ActRefused, "scope_action_denied",
        "act is outside the scope", "The action is not among the allowed ones.", "";
    ScopeAmountMalformed => ActRefused, "scope_amount_malformed",
        "act is outside the scope", "The amount is not a plain decimal number of zero or more.", "";
    ScopeAmountExceeded => ActRefused, "scope_amount_exceeded",
        "act is outside the scope", "The amount is more than the scope allows.", "";
    ScopeCurrencyDenied => ActRefused, "scope_currency_denied",
        "act is outside the scope", "The amount is in another currency than the scope.", "";
    ScopeApprovalRequired => ActRefused, "scope_approval_required",
        "act needs the approval of a person", "The amount is more than the agent may decide alone.", "";
    ScopeLeverageDenied => ActRefused, "scope_leverage_denied",
        "act is outside the scope", "The leverage is more than the scope allows.", "";
    ScopeCounterpartyDenied => ActRefused, "scope_counterparty_denied",
        "act is outside the scope", "The counterparty is not among the allowed ones.", "";
    ScopeInstrumentDenied => ActRefused, "scope_instrument_denied",
        "act is outside the scope", "The instrument is not among the permitted ones.", "";
    ScopeVenueDenied => ActRefused, "scope_venue_denied",
        "act is outside the scope", "The venue is not among the permitted ones.", "";
    ScopeRegionDenied => ActRefused, "scope_region_denied",
        "act is outside the scope", "The region is not among the allowed ones.", "";
    ScopeHoursDenied { at: UnixTime } => ActRefused, "scope_hours_denied",
        "act is outside the scope", "At {at} the agent is off duty.", "";

    // --- keys and the signer ---
    KeyNameInvalid => ArgumentOutOfRange, "key_name_invalid",
        "name of a key is not valid", "It is not 1 to 63 lower-case letters, digits, underscores and dashes.", "";
    KeyAlgorithmUnknown => ArgumentOutOfRange, "key_algorithm_unknown",
        "algorithm of a key is not known", "Keys are made for Ed25519.", "";
    KeyUriUnknown => ArgumentOutOfRange, "key_uri_unknown",
        "key is not named by a URI that is known", "Known is softkms:NAME.", "";
    KeyUnknown { name: String } => NotReady, "key_unknown",
        "signing key does not exist", "There is no {name} in kakunin.signing_key.", "Make one with kakunin.create_signing_key().";
    KeyExists { name: String } => ArgumentOutOfRange, "key_exists",
        "signing key exists already", "There is a {name} in kakunin.signing_key, and it can have signed.", "Choose another name.";
    SignerNotRunning => NotReady, "signer_not_running",
        "signer does not run", "It is the process that holds the keys, and is restarted one second after it ends.", "Look at the server's log for what ends it.";
    SignerQueueFull { count: usize } => Full, "signer_queue_full",
        "too many requests wait for the signer", "All {count} places are taken.", "Try again.";
    SignerTooSlow { milliseconds: i32 } => KeyService, "signer_too_slow",
        "signer did not answer in time", "{milliseconds} ms have passed.", "Look at the server's log and at the disk of kakunin.key_directory; kakunin.signer_deadline is the time to wait.";
    SignerFailed { what: String } => KeyService, "signer_failed",
        "signer could not do it", "{what}.", "Look at the server's log.";
    KeyDirectoryRefused { what: String } => KeyService, "key_directory_refused",
        "directory of the keys cannot be used", "{what}.", "kakunin.key_directory names a directory outside the data directory that only the server's operating system user can write.";
    KeyFileUnusable { what: String } => KeyService, "key_file_unusable",
        "file in the directory of the keys cannot be used", "{what}.", "Look at its owner and permissions, and at the disk.";
    KeyEncryptionKeyMissing { what: String } => KeyService, "key_encryption_key_missing",
        "key-encryption key is missing", "{what} is not there, and keys were sealed with one.", "Put the file back from where it was kept, readable by the server's operating system user alone.";
    KeyEncryptionKeyWrong { name: String } => KeyService, "key_encryption_key_wrong",
        "key was sealed with another key-encryption key", "Key {name} does not open with the file kek of kakunin.key_directory.", "Put back the file kek that the key was made with.";
    SealedKeyMalformed { name: String } => UndecodableBytes, "sealed_key_malformed",
        "sealed key cannot be opened", "What kakunin.signing_key has of {name} is not what was sealed under this name and public key.", "Restore the row from a backup.";

    // --- checkpoints and proofs ---
    OriginInvalid => ArgumentOutOfRange, "origin_invalid",
        "name of a log is not valid", "It is not 1 to 255 bytes without spaces, control characters and plus signs.", "";
    LogNamed { origin: String } => NotReady, "log_named",
        "log has a name already", "Its name is {origin}, and no epoch has begun since its newest checkpoint.", "A restored or moved database gets another name after kakunin.begin_epoch().";
    LogNameUsed { origin: String } => ArgumentOutOfRange, "log_name_used",
        "log had this name before", "{origin} names what was signed before the epoch.", "Choose another name.";
    CheckpointInconsistent { what: String } => LedgerBroken, "checkpoint_inconsistent",
        "checkpoint does not continue the one that was signed last", "The signer refused: {what}.", "The database was changed past kakunin, restored to an earlier state, or copied. Compare it with the file .checkpoint in kakunin.key_directory; docs/ledger-lifecycle.md says how to go on.";
    CheckpointMemoryDamaged { what: String } => KeyService, "checkpoint_memory_damaged",
        "last checkpoint that the signer remembers cannot be read", "{what}.", "Put back the file .checkpoint of this log in kakunin.key_directory from where it was published to.";
    LedgerChainBroken { ledger: String, seq: i64, what: String } => LedgerBroken, "ledger_broken",
        "ledger is broken", "Entry {seq} of ledger {ledger}: {what}.", "No checkpoint is signed. kakunin.verify_ledger() lists what is wrong.";
    LogBroken { what: String } => LedgerBroken, "log_broken",
        "log of checkpoints is broken", "{what}.", "kakunin.log_range, log_tile and checkpoint are written by kakunin.checkpoint() alone; restore them from a backup.";
    TransactionReadOnly => ReadOnly, "transaction_read_only",
        "transaction is read-only", "What was asked for has to be written down.", "";
    ServerIsStandby => ReadOnly, "server_is_standby",
        "server is a standby", "What was asked for has to be written down.", "Ask the primary.";
    CheckpointNotDurable => NotReady, "checkpoint_not_durable",
        "entries are not on the standby yet", "The wait for synchronous replication ended without an acknowledgement.", "";
    NoCheckpoint => NotReady, "no_checkpoint",
        "there is no checkpoint", "Nothing was signed of that size.", "Make one with kakunin.checkpoint(); kakunin.checkpoint lists them.";
    EntryNotCovered { seq: i64, size: u64 } => NotReady, "entry_not_covered",
        "no checkpoint covers the entry yet", "Entry {seq} is not among the {size} entries of the checkpoint.", "Make one with kakunin.checkpoint().";
    EntryUnknown => ArgumentOutOfRange, "entry_unknown",
        "ledger has no such entry", "No transaction of this number added rows to it.", "ledger_tx of a row is the number.";
    EntryRowUnknown { seq: i64, number: i32 } => ArgumentOutOfRange, "entry_row_unknown",
        "entry has no such row", "Entry {seq} has no row {number}.", "ledger_row of a row is the number.";
    EntryRowsPruned { seq: i64 } => NotReady, "entry_rows_pruned",
        "rows of the entry are gone", "A proof of a row of entry {seq} needs all of its rows.", "The entry itself can still be proven: leave row_number out.";
    CheckpointSizeInvalid { size: i64, max: u64 } => ArgumentOutOfRange, "checkpoint_size_invalid",
        "size of a log is out of range", "{size} is not within 0 to {max}.", "";

    // --- the registry and the server ---
    /// Shared memory is missing because the library was not preloaded.
    NotPreloaded => NotReady, "not_preloaded",
        "kakunin must be loaded at server start", "Used proofs and revocations live in shared memory.", "Add kakunin to shared_preload_libraries and restart the server.";
    ArgumentNull { what: String } => ArgumentOutOfRange, "argument_null",
        "argument must not be null", "Argument {what} is null.", "";
    CertificateUnknown => IdentityNotProven, "certificate_unknown",
        "agent certificate is not registered here", "No registered certificate has this identity.", "Register it with kakunin.import_certificate().";
    NoClientCertificate => IdentityNotProven, "no_client_certificate",
        "no proof was given and the connection has no client certificate", "Neither names an agent.", "Pass a proof, or connect with TLS and the agent's certificate and key.";
    TlsIdentityMismatch => IdentityNotProven, "tls_identity_mismatch",
        "certificate differs from the one this connection was made with", "The TLS client certificate is registered to another agent.", "Bind as the agent that connected, or connect as the one to bind.";
    ProofSignatureInvalid => IdentityNotProven, "proof_signature_invalid",
        "proof was not signed by the certificate's key", "The signature does not verify under the registered public key.", "Sign header and payload exactly as they are sent; docs/spec/proof.md gives the bytes.";
    SessionBindingRefused { role: String } => ActRefused, "session_binding_refused",
        "a session may not be bound here", "Sessions of role {role} can serve more than one client.", "Use kakunin.bind_transaction() in each transaction.";
    RequestAlreadySeen => ActRefused, "request_already_seen",
        "kakunin.pre_request() was already called in this transaction", "A request is looked at once, before any statement of its own.", "";
    SerialAmbiguous { serial: String } => IdentityNotProven, "serial_ambiguous",
        "serial number names more than one certificate", "Serial {serial} was used by several issuers.", "Bind with a proof, which names the certificate by fingerprint.";
    SerialShared { serial: String } => ActRefused, "serial_shared",
        "serial number is already registered for another issuer", "Serial {serial} would name two agents in policies that compare serial numbers.", "Pass allow_shared_serial => true only if policies compare kakunin_cert_fingerprint().";
    /// RFC 5280 section 4.1.2.2 makes a serial number unique within its issuer.
    SerialReissued { serial: String, issuer: String } => ActRefused, "serial_reissued",
        "issuer has used this serial number before", "Another certificate of issuer {issuer} with serial {serial} is registered.", "Two CAs with one name cannot be told apart: give one of them another distinguished name.";
    RoleLockImpossible => ActRefused, "role_lock_impossible",
        "role cannot be locked from inside a SECURITY DEFINER function", "The lock would be lost when that function returns.", "Call kakunin.pre_request() directly, or from a function that is SECURITY INVOKER.";
    AgentUnnamed => ArgumentOutOfRange, "agent_unnamed",
        "certificate does not name an agent", "It has no SPIFFE or URN name of an agent.", "Pass agent_id => … to kakunin.import_certificate().";
    AgentNameInvalid { what: String } => ArgumentOutOfRange, "agent_name_invalid",
        "name is empty, too long, or has control characters", "Argument {what} cannot be used as a name.", "";
    AgentNameContradicts { what: String } => ArgumentOutOfRange, "agent_name_contradicts",
        "name differs from the one in the certificate", "Argument {what} contradicts what the certificate says.", "Leave it out: the certificate's own name is used.";
    GatewayKeyUnreadable { what: String } => NotReady, "gateway_key_unreadable",
        "key that verifies the gateway's tokens cannot be read", "Reading kakunin.gateway_jwt_key_file failed: {what}.", "The file must be readable by the server's operating system user.";

    // --- the ledger ---
    LedgerAppendOnly { act: &'static str, table: String } => LedgerChange, "ledger_append_only",
        "rows of a ledger cannot be changed", "{act} of {table} was refused.", "Add a row that corrects the earlier one; kakunin.prune_ledger() and kakunin.redact() are the ways to remove what may not be kept.";
    LedgerPlaceForged { table: String } => LedgerChange, "ledger_place_forged",
        "place of a row in the ledger is not for the caller to choose", "A row for {table} claims a ledger_tx or ledger_row that was not given to it.", "Leave the columns ledger_tx, ledger_row and ledger_salt out.";
    LedgerSaltForged { table: String } => LedgerChange, "ledger_salt_forged",
        "salts of a row are not for the caller to choose", "The ledger_salt of a row for {table} does not have a salt for each redactable column.", "Leave the columns ledger_tx, ledger_row and ledger_salt out.";
    LedgerTriggerOnly { function: &'static str } => TriggerProtocol, "ledger_trigger_only",
        "function is for triggers only", "kakunin.{function}() is called by the triggers of a ledger.", "";
    LedgerUnknown { table: String } => ArgumentOutOfRange, "ledger_unknown",
        "table is not a ledger", "{table} has no ledger attached.", "kakunin.attach_ledger() attaches one; kakunin.ledger lists those that are.";
    LedgerPrepare => Unsupported, "ledger_prepare",
        "cannot PREPARE a transaction that has added to a ledger", "Its entries are chained at commit, and a prepared transaction would hold the chain until it ends.", "Use COMMIT.";
    LedgerParallel => Unsupported, "ledger_parallel",
        "a parallel worker cannot add to a ledger", "The leader's transaction holds what was added so far.", "Mark the function that inserts PARALLEL UNSAFE.";
    LedgerRowsMax { table: String } => LimitExceeded, "ledger_rows_max",
        "transaction has added too many rows to a ledger", "{table} takes 2^31 rows in a transaction.", "Load in several transactions.";
    LedgerOutOfOrder { table: String, max: usize } => LimitExceeded, "ledger_out_of_order",
        "rows of a ledger reached it too far out of order", "More than {max} later rows of {table} came before an earlier one, as when a trigger adds to the table that it is on.", "Add fewer rows with each statement.";
    LedgerRowMalformed { table: String, what: String } => LimitExceeded, "ledger_row_malformed",
        "row cannot be added to the ledger", "Hashing a row of {table} failed: {what}.", "";
    LedgerAppendLate { table: String } => Unsupported, "ledger_append_late",
        "row came after its transaction's entry was made", "Another extension added to {table} while the transaction was committing.", "";
    LedgerEntryMalformed { what: String } => LedgerBroken, "ledger_entry_malformed",
        "entry of a ledger cannot be read or written", "{what}.", "kakunin.verify_ledger() lists what is wrong.";
    LedgerReplicaDiffers { table: String, what: String } => LedgerBroken, "ledger_replica_differs",
        "what was replicated to a ledger is not what its entries state", "{table}: {what}.", "The subscription stops here. docs/ledger-lifecycle.md says how to find the cause.";
    LedgerReplica { table: String } => NotReady, "ledger_replica",
        "ledger grows on another server", "A subscription of this database brings the rows of {table}.", "Add to it on the publisher. To go on here instead, drop the subscription and call kakunin.begin_epoch().";
    LedgerClosed { table: String } => LedgerChange, "ledger_closed",
        "ledger is closed", "Nothing can be added to {table} any more.", "";
    LedgerRelationUnsuitable { table: String, what: &'static str } => Unsupported, "ledger_relation_unsuitable",
        "table cannot become a ledger", "{table} {what}.", "docs/ledger.md lists what a ledger's table may have.";
    LedgerColumnUnsuitable { table: String, column: String, what: String } => Unsupported, "ledger_column_unsuitable",
        "column cannot be in a ledger", "Column {column} of {table} {what}.", "Store a value of such a type as text, bytea or jsonb; a redactable column takes NULL and is not generated.";
    LedgerAttached { table: String } => NotReady, "ledger_attached",
        "table is a ledger already", "{table} was attached before.", "";
    LedgerRowUnknown { table: String, tx: i64, row: i32 } => ArgumentOutOfRange, "ledger_row_unknown",
        "row is not in the ledger", "{table} has no row {row} of transaction {tx}.", "Pass the row's ledger_tx and ledger_row.";
    LedgerNotRedactable { table: String, column: String } => Unsupported, "ledger_not_redactable",
        "column cannot be redacted", "Column {column} of {table} was not made redactable, so its value is part of the row's hash.", "Name columns that may have to be erased with attach_ledger(..., redactable => '{...}').";
    LedgerErasureIncomplete { table: String } => ActRefused, "ledger_erasure_incomplete",
        "value was not erased", "A trigger of {table} changed what the row would be.", "Triggers that fire before an update must leave ledger rows alone.";
    LedgerPruneShared { partition: String, entries: i64 } => ActRefused, "ledger_prune_shared",
        "partition shares transactions with rows that stay", "{entries} transactions added rows to {partition} and to other partitions, or some of their rows are gone.", "Rows of one transaction can be proven only together: prune all partitions that they are in at once, or keep them.";
    LedgerPruneUncovered { partition: String } => NotReady, "ledger_prune_uncovered",
        "partition has rows that no checkpoint covers", "Not every entry with rows in {partition} is in the log of a checkpoint.", "Call kakunin.checkpoint() and keep the note outside of the server.";
    LedgerPruneScattered { partition: String, stretches: usize, max: usize } => LimitExceeded, "ledger_prune_scattered",
        "rows of the partition are scattered over the chain", "Entries with rows in {partition} lie in {stretches} stretches; one prune names up to {max}.", "Partition by time, so that the rows of a partition are next to each other in the chain.";
    LedgerNotPartition { table: String } => ArgumentOutOfRange, "ledger_not_partition",
        "only a partition of a ledger can be pruned", "{table} is not a partition of a partitioned table that is a ledger.", "Partition the ledger's table by time before attaching it.";
    ReasonMissing => ArgumentOutOfRange, "reason_missing",
        "a reason must be given", "The entry in the chain says why, and who reads it later was not there.", "Pass a text, such as the ticket or the law.";

    // --- what keeps a ledger as it is ---
    LedgerDefinition { act: &'static str, table: String } => LedgerChange, "ledger_definition",
        "definition of a ledger cannot be changed this way", "{act} of {table} was refused.", "docs/ledger.md lists what may be altered; kakunin.prune_ledger() is the way to remove old partitions.";
    LedgerTrigger { trigger: String, table: String } => LedgerChange, "ledger_trigger",
        "trigger of a ledger stays as it is", "Trigger {trigger} of {table} must fire always.", "Name your own triggers one by one; restore without --disable-triggers.";
    LedgerColumnFilled { column: String, table: String } => LedgerChange, "ledger_column_filled",
        "new column of a ledger would have values in rows that are there", "Column {column} of {table} would not be NULL in them.", "Add the column without a default first; set the default in a second statement.";
    LedgerCascade { table: String } => LedgerChange, "ledger_cascade",
        "foreign key would change rows of a ledger", "Its action on delete or update writes to {table}.", "Use NO ACTION or RESTRICT.";
    LedgerPartition { partition: String, what: &'static str } => LedgerChange, "ledger_partition",
        "table cannot become a partition of a ledger", "{partition} {what}.", "Attach an empty, permanent table and insert the rows into the ledger.";
    LedgerType { act: &'static str, name: String } => LedgerChange, "ledger_type",
        "type of a ledger's column cannot be changed", "{act} of {name} would change what rows say.", "Make a new type, and a new column for later rows.";
    LedgerExtension { act: &'static str, object: String } => LedgerChange, "ledger_extension",
        "ledgers need this object as it is", "{act} of {object} was refused.", "It stays while kakunin.ledger has a row.";
    LedgerCatalogue { act: &'static str, table: String } => LedgerChange, "ledger_catalogue",
        "system catalogues cannot be written to where there is a ledger", "{act} of {table} was refused.", "Use the statement that makes this change.";
}
