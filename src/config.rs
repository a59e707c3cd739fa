//! Every setting, with its unit, its range and the strictest context that works. What an agent can `SET`
//! decides nothing here: all of it is set by the server's files, by ALTER SYSTEM, or by a superuser.

pub mod signer;

use kakunin_core::certificate::Profile;
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use std::ffi::CString;

static TRUST_DOMAIN: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"kakunin.local"));
static OID_ARC: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"1.3.6.1.4.1.99999"));
static CLOCK_SKEW: GucSetting<i32> = GucSetting::<i32>::new(5);
static USED_PROOFS_MAX: GucSetting<i32> = GucSetting::<i32>::new(262_144);
static TRUSTED_GATEWAYS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static TRUST_SERIAL_HEADER: GucSetting<bool> = GucSetting::<bool>::new(false);
static GATEWAY_JWT_KEY_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static HTTP_PATH_PREFIX: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"/rest/v1"));
static SESSION_BINDING: GucSetting<bool> = GucSetting::<bool>::new(true);
static EARLY_LOCK_RELEASE: GucSetting<bool> = GucSetting::<bool>::new(true);
static CHAIN_CACHE: GucSetting<bool> = GucSetting::<bool>::new(true);

/// Seconds by which an agent's clock may differ from the server's.
pub fn clock_skew_seconds() -> i64 {
    i64::from(CLOCK_SKEW.get())
}

/// Proofs that shared memory can remember at once.
pub fn used_proofs_max() -> usize {
    usize::try_from(USED_PROOFS_MAX.get()).unwrap_or(0)
}

/// Is this login one that speaks for others (PostgREST's `authenticator`)?
pub fn is_trusted_gateway(session_user: &str) -> bool {
    text(&TRUSTED_GATEWAYS).split(',').map(|name| name.trim().trim_matches('"')).any(|name| name == session_user)
}

/// May a bare `x-kakunin-cert-serial` header bind? Only where a proxy strips it from what clients send.
pub fn trusts_serial_header() -> bool {
    TRUST_SERIAL_HEADER.get()
}

/// Path of the key that re-verifies a gateway's JWT, when one is configured.
pub fn gateway_jwt_key_file() -> Option<String> {
    Some(text(&GATEWAY_JWT_KEY_FILE)).filter(|path| !path.is_empty())
}

/// Path prefix that a reverse proxy in front of the gateway strips.
pub fn http_path_prefix() -> String {
    text(&HTTP_PATH_PREFIX)
}

/// May `bind_session()` be used by this role, in this database?
pub fn session_binding_allowed() -> bool {
    SESSION_BINDING.get()
}

/// Is the verdict on an unchanged chain kept in the backend?
pub fn chain_cache_enabled() -> bool {
    CHAIN_CACHE.get()
}

/// Is the lock of a ledger's chain dropped before the commit is flushed?
pub fn early_lock_release() -> bool {
    EARLY_LOCK_RELEASE.get()
}

/// What an agent certificate must look like here.
pub fn profile() -> Profile {
    let mut oid_arcs = vec![text(&OID_ARC)];
    for arc in PLATFORM_ARCS {
        if !oid_arcs.iter().any(|known| known == arc) {
            oid_arcs.push((*arc).to_owned());
        }
    }
    Profile { trust_domain: text(&TRUST_DOMAIN), oid_arcs }
}

fn text(setting: &GucSetting<Option<CString>>) -> String {
    setting.get().map(|value| value.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Defines the settings. Those of the postmaster can only be defined while it preloads us.
pub fn define(preloaded: bool) {
    let (none, hidden) = (GucFlags::default(), GucFlags::SUPERUSER_ONLY);
    GucRegistry::define_string_guc(
        c"kakunin.trust_domain",
        c"SPIFFE trust domain of agent certificates.",
        c"Host part of spiffe:// names, lower case.",
        &TRUST_DOMAIN,
        GucContext::Sighup,
        none,
    );
    GucRegistry::define_string_guc(c"kakunin.oid_arc", c"OID arc of the certificate extensions.", c"<arc>.1 extended key usage, .2 model hash, .3 scope. The arcs of existing platform certificates are read as well.", &OID_ARC, GucContext::Sighup, none);
    GucRegistry::define_int_guc(c"kakunin.clock_skew", c"Seconds by which an agent's clock may differ from the server's.", c"Shifts the times of proofs only, never the ends of a certificate. After a restart, self-contained proofs are refused for this long.", &CLOCK_SKEW, 0, 300, GucContext::Sighup, GucFlags::UNIT_S);
    GucRegistry::define_string_guc(
        c"kakunin.trusted_gateways",
        c"Login roles whose JWT claims are believed.",
        c"Comma-separated role names, such as PostgREST's authenticator.",
        &TRUSTED_GATEWAYS,
        GucContext::Sighup,
        none,
    );
    GucRegistry::define_bool_guc(
        c"kakunin.trust_serial_header",
        c"Lets a bare x-kakunin-cert-serial header of a trusted gateway bind.",
        c"Only where a proxy removes that header from what clients send: a serial number is public.",
        &TRUST_SERIAL_HEADER,
        GucContext::Sighup,
        none,
    );
    GucRegistry::define_string_guc(c"kakunin.gateway_jwt_key_file", c"File with the key that re-verifies a gateway's JWT.", c"A PEM public key (RS256, ES256, EdDSA), else its content is the HS256 secret. Empty: the gateway's own verification is trusted.", &GATEWAY_JWT_KEY_FILE, GucContext::Sighup, hidden);
    GucRegistry::define_string_guc(
        c"kakunin.http_path_prefix",
        c"Path prefix that a proxy in front of the gateway strips.",
        c"A proof's htu may name the path with or without it.",
        &HTTP_PATH_PREFIX,
        GucContext::Sighup,
        none,
    );
    GucRegistry::define_bool_guc(
        c"kakunin.session_binding",
        c"Allows kakunin.bind_session().",
        c"Switch it off for roles that connect through a transaction pooler: there a session outlives its client.",
        &SESSION_BINDING,
        GucContext::Suset,
        none,
    );
    GucRegistry::define_bool_guc(
        c"kakunin.chain_cache",
        c"Keeps the verdict on an unchanged certificate chain in the backend.",
        c"Times and revocation are read at every bind all the same.",
        &CHAIN_CACHE,
        GucContext::Suset,
        none,
    );
    GucRegistry::define_bool_guc(
        c"kakunin.early_lock_release",
        c"Drops the lock of a ledger's chain before the commit is flushed.",
        c"Commits then share a flush. The client is answered after the flush in any case; others may read the rows some moments before.",
        &EARLY_LOCK_RELEASE,
        GucContext::Suset,
        none,
    );
    signer::define(preloaded);
    if preloaded {
        GucRegistry::define_int_guc(
            c"kakunin.used_proofs_max",
            c"Proofs that shared memory remembers until they expire.",
            c"When it is full of live proofs, further ones are refused. About 54 bytes each.",
            &USED_PROOFS_MAX,
            1024,
            16_777_216,
            GucContext::Postmaster,
            none,
        );
    }
}

/// Arcs that certificates of the existing platform carry (its code, and its documents).
const PLATFORM_ARCS: &[&str] = &["1.3.6.1.4.1.99999", "1.3.6.1.4.1.61411.1"];
