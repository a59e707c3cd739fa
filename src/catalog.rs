//! Reads our own tables directly, by index, with a snapshot taken now.
//!
//! Not through SPI, for three reasons. A policy function runs as whoever queries, who must not be able to read the
//! registry. A REPEATABLE READ transaction must see a revocation that was committed after it began, as it would
//! see a dropped role. And a parallel worker may scan, but not run SPI with a fresh snapshot.

use crate::hooks::relation::watch;
use pgrx::prelude::*;
use std::ffi::CStr;

/// A registered agent certificate.
pub struct StoredCertificate {
    pub agent_id: String,
    pub tenant_id: Option<String>,
    pub certificate: Vec<u8>,
    pub chain: Vec<Vec<u8>>,
}

/// The registered certificate with this fingerprint.
pub fn certificate(fingerprint: &[u8; 32]) -> Option<StoredCertificate> {
    first(c"certificate", c"certificate_pkey", fingerprint, |row| {
        Some(StoredCertificate {
            agent_id: row.get(CERTIFICATE_AGENT_ID)?,
            tenant_id: row.get(CERTIFICATE_TENANT_ID),
            certificate: row.get(CERTIFICATE_DER)?,
            chain: row.get::<pgrx::Array<&[u8]>>(CERTIFICATE_CHAIN)?.iter().flatten().map(<[u8]>::to_vec).collect(),
        })
    })
    .flatten()
}

/// A registered certificate, as its serial number finds it.
pub struct Holder {
    pub fingerprint: [u8; 32],
    pub issuer_der: Vec<u8>,
}

/// The registered certificates with this serial number; several only where issuers share it.
pub fn holders_of_serial(serial: &str) -> Vec<Holder> {
    let mut holders = Vec::new();
    scan(c"certificate", Some((c"certificate_serial", CERTIFICATE_SERIAL, Key::Text(serial))), |row| {
        let fingerprint = row.get::<Vec<u8>>(FINGERPRINT).and_then(|bytes| bytes.try_into().ok());
        let issuer_der = row.get(CERTIFICATE_ISSUER_DER);
        holders.extend(fingerprint.zip(issuer_der).map(|(fingerprint, issuer_der)| Holder { fingerprint, issuer_der }));
    });
    holders
}

/// Is this certificate registered now?
pub fn is_registered(fingerprint: &[u8; 32]) -> bool {
    first(c"certificate", c"certificate_pkey", fingerprint, |_| ()).is_some()
}

/// Is there a revocation of this certificate?
pub fn is_revoked(fingerprint: &[u8; 32]) -> bool {
    first(c"revocation", c"revocation_pkey", fingerprint, |_| ()).is_some()
}

/// Is this certificate a trust anchor now?
pub fn is_anchor(fingerprint: &[u8; 32]) -> bool {
    first(c"trust_anchor", c"trust_anchor_pkey", fingerprint, |_| ()).is_some()
}

/// DER of every trust anchor.
pub fn anchors() -> Vec<Vec<u8>> {
    let mut anchors = Vec::new();
    scan(c"trust_anchor", None, |row| anchors.extend(row.get::<Vec<u8>>(ANCHOR_DER)));
    anchors
}

fn first<T>(table: &CStr, index: &CStr, fingerprint: &[u8; 32], read: impl Fn(&Row) -> T) -> Option<T> {
    let mut found = None;
    scan(table, Some((index, FINGERPRINT, Key::Bytes(fingerprint))), |row| found = Some(read(row)));
    found
}

enum Key<'a> {
    Bytes(&'a [u8]),
    Text(&'a str),
}

/// One row, taken apart.
struct Row {
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

impl Row {
    fn get<T: FromDatum>(&self, column: i16) -> Option<T> {
        let position = usize::try_from(column - 1).ok()?;
        // SAFETY: the caller names the column's own type; the datum points into the row that the scan holds.
        unsafe { T::from_datum(*self.values.get(position)?, *self.nulls.get(position)?) }
    }
}

/// Calls `visit` for each row, by index when a key is given. A missing table (the extension is being dropped) has
/// no rows: no certificate, no anchor, hence no identity.
fn scan(table: &CStr, key: Option<(&CStr, i16, Key)>, mut visit: impl FnMut(&Row)) {
    // SAFETY: the relation stays open and locked during the scan; a NULL snapshot makes systable_beginscan take a
    // fresh MVCC one for each scan of a table without a catalogue cache; each tuple is read before the next is
    // fetched. An ERROR inside is cleaned up by PostgreSQL's resource owner.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"kakunin".as_ptr(), true);
        let relation = relation_oid(table, schema);
        if relation == pg_sys::InvalidOid {
            return;
        }
        watch(relation);
        let heap = pg_sys::table_open(relation, pg_sys::AccessShareLock as i32);
        let mut scan_key: pg_sys::ScanKeyData = std::mem::zeroed();
        let (index, keys) = match key {
            None => (pg_sys::InvalidOid, 0),
            Some((index, column, key)) => {
                let (function, datum) = match key {
                    Key::Bytes(bytes) => (pg_sys::F_BYTEAEQ, bytes.into_datum()),
                    Key::Text(text) => (pg_sys::F_TEXTEQ, text.into_datum()),
                };
                pg_sys::ScanKeyInit(
                    &mut scan_key,
                    column,
                    pg_sys::BTEqualStrategyNumber as u16,
                    pg_sys::Oid::from(function),
                    datum.unwrap_or(pg_sys::Datum::from(0)),
                );
                if let Key::Text(_) = key {
                    scan_key.sk_collation = pg_sys::DEFAULT_COLLATION_OID;
                }
                (relation_oid(index, schema), 1)
            }
        };
        let description = (*heap).rd_att;
        let width = usize::try_from((*description).natts).unwrap_or(0);
        let scan = pg_sys::systable_beginscan(
            heap,
            index,
            index != pg_sys::InvalidOid,
            std::ptr::null_mut(),
            keys,
            &mut scan_key,
        );
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            let mut row = Row { values: vec![pg_sys::Datum::from(0); width], nulls: vec![true; width] };
            pg_sys::heap_deform_tuple(tuple, description, row.values.as_mut_ptr(), row.nulls.as_mut_ptr());
            visit(&row);
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(heap, pg_sys::AccessShareLock as i32);
    }
}

unsafe fn relation_oid(name: &CStr, schema: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: a NUL-terminated name; an unknown schema simply has no such relation.
    unsafe { pg_sys::get_relname_relid(name.as_ptr(), schema) }
}

// Positions of columns in sql/schema.sql; pg_test/sql/schema.sql fails when they move.
const FINGERPRINT: i16 = 1;
const ANCHOR_DER: i16 = 2;
const CERTIFICATE_SERIAL: i16 = 2;
const CERTIFICATE_ISSUER_DER: i16 = 4;
const CERTIFICATE_AGENT_ID: i16 = 6;
const CERTIFICATE_TENANT_ID: i16 = 7;
const CERTIFICATE_DER: i16 = 13;
const CERTIFICATE_CHAIN: i16 = 14;
