//! Every bound in one place, with its unit. Sizes are checked before bytes are parsed.

/// Bytes of one DER certificate.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of one DER CRL that a caller may pass in.
pub const CRL_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Intermediate certificates beside a leaf (RUSTSEC lessons: path building is costly with many same-name ones).
pub const CHAIN_LENGTH_MAX: usize = 8;
/// Signatures of certificates verified in the search for one path: the slowest accepted key (RSA-8192) stays below
/// a tenth of a second.
pub const PATH_SIGNATURES_MAX: usize = 128;
/// Partial paths looked at in the search for one path.
pub const PATH_STEPS_MAX: usize = 4096;
/// Trust anchors considered for one path.
pub const ANCHORS_MAX: usize = 1024;
/// CRLs given for one path.
pub const CRLS_MAX: usize = 64;
/// Characters of a PEM text.
pub const PEM_BYTES_MAX: usize = 1024 * 1024;
/// Blocks in one PEM text.
pub const PEM_BLOCKS_MAX: usize = 64;
/// Octets of a serial number (RFC 5280 section 4.1.2.2).
pub const SERIAL_OCTETS_MAX: usize = 20;
/// Characters of a serial number as text, separators included.
pub const SERIAL_TEXT_MAX: usize = 128;
/// Characters of a common name (RFC 5280 appendix A, ub-common-name).
pub const COMMON_NAME_MAX: usize = 64;
/// Bytes of a SPIFFE id (SPIFFE-ID section 2.3).
pub const SPIFFE_ID_BYTES_MAX: usize = 2048;
/// Characters of an agent or tenant id.
pub const ID_CHARS_MAX: usize = 255;
/// Bytes of the scope extension.
pub const SCOPE_BYTES_MAX: usize = 8 * 1024;
/// Nesting of a JSON text.
pub const JSON_DEPTH_MAX: usize = 64;
/// Bytes of a JSON text to canonicalise.
pub const JSON_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a public key (SubjectPublicKeyInfo).
pub const PUBLIC_KEY_BYTES_MAX: usize = 4 * 1024;
/// Bits of an RSA modulus: lower and upper end of what is verified.
pub const RSA_BITS_MIN: usize = 2048;
/// See [`RSA_BITS_MIN`]. Above this one verification takes long enough to be a denial of service.
pub const RSA_BITS_MAX: usize = 8192;
/// Bytes of a signature.
pub const SIGNATURE_BYTES_MAX: usize = 2 * 1024;
/// Bytes of a compact JWS proof; fits an HTTP header line (8 kB at usual gateways).
pub const PROOF_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a gateway's JWT.
pub const JWT_BYTES_MAX: usize = 16 * 1024;
/// Characters of a `jti` or `nonce`.
pub const NONCE_CHARS_MAX: usize = 255;
/// Seconds between `iat` and `exp` of a proof, at most.
pub const PROOF_LIFETIME_SECONDS_MAX: i64 = 60;
/// Seconds a `session_challenge()` stays open.
pub const CHALLENGE_SECONDS_MAX: i64 = 60;
/// Bytes of the encoded binding (the value of the gated setting).
pub const BINDING_BYTES_MAX: usize = 32 * 1024;
/// Bytes of a ledger's row. PostgreSQL itself holds no single value beyond this.
pub const LEDGER_ROW_BYTES_MAX: usize = 1 << 30;
/// Arrays, composites, ranges and multiranges inside each other in one value of a ledger's row.
pub const LEDGER_NESTING_MAX: usize = 64;
/// Bytes of an entry's `detail`: the names and types of the 1600 columns that a table can have fit.
pub const LEDGER_DETAIL_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a signed note: room for 16 signatures, also post-quantum ones of 5 kB (C2SP signed-note).
pub const NOTE_BYTES_MAX: usize = 128 * 1024;
/// Signatures of one note. C2SP signed-note asks for at least 16.
pub const NOTE_SIGNATURES_MAX: usize = 100;
/// Bytes of a note's key name, and so of a log's origin.
pub const NOTE_NAME_BYTES_MAX: usize = 255;
/// Bytes of the `extra` data of a tlog-proof: two integers and 64 hashes need 2,064.
pub const TLOG_EXTRA_BYTES_MAX: usize = 4 * 1024;
/// Ledgers that one export can name.
pub const EXPORT_LEDGERS_MAX: usize = 100_000;
/// Verifier keys that one export can name.
pub const EXPORT_KEYS_MAX: usize = 1000;
/// Rows in one line of an export.
pub const EXPORT_LINE_ROWS_MAX: usize = 1000;
/// Stretches of pruned entries that a verifier remembers until their prune entry comes, for one ledger; also
/// stretches of missing entries.
pub const LEDGER_STRETCHES_MAX: usize = 100_000;
/// Faults of one verification that are kept; more are only counted.
pub const LEDGER_FAULTS_MAX: usize = 1000;
/// Words of 64 transaction numbers that a verifier remembers for one ledger, 16 bytes each. Beyond, it forgets the lowest.
pub const LEDGER_TRANSACTION_WORDS_MAX: usize = 1 << 20;
/// Characters of a signing key's name.
pub const KEY_NAME_CHARS_MAX: usize = 63;
/// Bytes of a request to the signer, and of its answer: a CA certificate and its key fit.
pub const SIGNER_MESSAGE_BYTES_MAX: usize = 32 * 1024;
/// Requests that wait for the signer at once.
pub const SIGNER_REQUESTS_MAX: usize = 32;
/// Hashes of a consistency proof: one for each bit of a size, and the one it starts from.
pub const PROOF_HASHES_MAX: usize = 65;
/// Ranges of entries that one checkpoint adds to the log: one per ledger that has new ones. What is beyond waits for
/// the next.
pub const CHECKPOINT_RANGES_MAX: usize = 1024;
