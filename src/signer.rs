//! Keys that the signer signs with. The private half of none is ever here.

use crate::error::{self, Result};
use crate::{backend, slots};
use kakunin_core::Reason;
use kakunin_core::signer::message::{Request, Response};
use kakunin_core::signer::softkms::SealedKey;
use kakunin_core::signer::{Algorithm, KeyUri, check_key_name};
use pgrx::prelude::*;

/// Makes a signing key and returns its public half. Rolled back means never made.
// Definer: writes kakunin.signing_key, which no role may write directly.
#[pg_extern(schema = "kakunin", volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
pub fn create_signing_key(name: Option<&str>, algorithm: default!(Option<&str>, "'Ed25519'")) -> Result<Vec<u8>> {
    let null = |what: &str| error::report(Reason::ArgumentNull { what: what.into() });
    let name = name.ok_or_else(|| null("name"))?;
    let algorithm = algorithm.ok_or_else(|| null("algorithm"))?;
    check_key_name(name).map_err(error::report)?;
    make_key(name, algorithm.parse().map_err(error::report)?, false)
}

/// Makes a key and stores it sealed. The first key of a database may be the first of the server, and so may that of a
/// database that was moved here.
pub fn make_key(name: &str, algorithm: Algorithm, moved: bool) -> Result<Vec<u8>> {
    backend::writable().map_err(error::report)?;
    // Two of one name at once would wait for each other anyway; this way the second one sees the first.
    Spi::run("lock table kakunin.signing_key in share row exclusive mode").map_err(error::spi)?;
    if find_key(name)?.is_some() {
        return Err(error::report(Reason::KeyExists { name: name.into() }));
    }
    let first = Spi::get_one::<bool>("select not exists (select from kakunin.signing_key)").map_err(error::spi)?;
    let first = moved || first.unwrap_or(false);
    let request = Request::MakeKey { name: name.into(), algorithm, first };
    let Response::Key(key) = slots::call(&request).map_err(error::report)? else { return Err(unexpected()) };
    Spi::run_with_args(
        "insert into kakunin.signing_key (name, algorithm, public_key, sealed) values ($1, $2, $3, $4)",
        &[key.name.into(), key.algorithm.name().into(), key.public_key.clone().into(), key.sealed.into()],
    )
    .map_err(error::spi)?;
    Ok(key.public_key)
}

/// The key that a URI names.
pub fn key_of(uri: &str) -> Result<SealedKey> {
    let KeyUri::SoftKms(name) = uri.parse().map_err(error::report)?;
    find_key(&name)?.ok_or_else(|| error::report(Reason::KeyUnknown { name }))
}

/// A key by its name.
pub fn find_key(name: &str) -> Result<Option<SealedKey>> {
    Spi::connect(|client| {
        let found = client.select(
            "select algorithm, public_key, sealed from kakunin.signing_key where name = $1",
            None,
            &[name.into()],
        )?;
        if found.is_empty() {
            return Ok(None);
        }
        let row = found.first();
        Ok(Some((row.get::<String>(1)?, row.get::<Vec<u8>>(2)?, row.get::<Vec<u8>>(3)?)))
    })
    .map_err(error::spi)?
    .map(|(algorithm, public_key, sealed)| {
        let algorithm = algorithm.unwrap_or_default().parse().map_err(error::report)?;
        let (public_key, sealed) = (public_key.unwrap_or_default(), sealed.unwrap_or_default());
        Ok(SealedKey { name: name.to_owned(), algorithm, public_key, sealed })
    })
    .transpose()
}

/// The signer answered something else than it was asked.
pub fn unexpected() -> pgrx::pg_sys::panic::ErrorReport {
    error::report(Reason::SignerFailed { what: "its answer is of another kind".into() })
}
