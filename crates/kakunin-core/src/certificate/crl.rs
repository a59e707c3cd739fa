//! One certificate revocation list (RFC 5280 section 5), read strictly.

use super::der::{self, Fault, Reader};
use super::extensions::{AUTHORITY_KEY_ID, Extension, authority_key_id, point_names};
use super::general_name::GeneralName;
use super::parse::{Outer, accepted_algorithm, sentence, time};
use super::signature;
use crate::limits::CRL_BYTES_MAX;
use crate::{Reason, UnixTime};

/// A parsed CRL, borrowed from its bytes.
#[derive(Debug)]
pub(super) struct Crl<'a> {
    /// The issuer as a DER `Name`.
    pub(super) issuer: &'a [u8],
    pub(super) this_update: UnixTime,
    pub(super) next_update: UnixTime,
    /// Magnitude of the CRL number, big-endian.
    number: &'a [u8],
    /// The issuing distribution point's value; lists with an equal one have the same scope.
    pub(super) scope: Option<&'a [u8]>,
    pub(super) point: Option<IssuingPoint>,
    /// Whether it lists only what changed since another list (section 5.2.4).
    pub(super) is_delta: bool,
    /// Why the list may not be used to tell a status, although it is well formed.
    pub(super) unusable: Option<&'static str>,
    revoked: &'a [u8],
    tbs: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

/// RFC 5280 section 5.2.5, as far as lists that can be used have it.
#[derive(Debug)]
pub(super) struct IssuingPoint {
    /// The full names; nothing when the list has no name.
    pub(super) names: Option<Vec<GeneralName>>,
    pub(super) only_user: bool,
    pub(super) only_ca: bool,
}

impl<'a> Crl<'a> {
    /// Parses one DER CRL of version 2. nextUpdate (section 5.1.2.5) and the CRL number (5.2.3) must be there.
    ///
    /// # Errors
    /// [`Reason::CrlMalformed`], also for one above 16 MiB.
    pub(super) fn parse(der: &'a [u8]) -> Result<Self, Reason> {
        if der.len() > CRL_BYTES_MAX {
            return Err(Reason::CrlMalformed {
                what: format!("It has {} bytes, at most {CRL_BYTES_MAX} are read", der.len()),
            });
        }
        Self::read(der).map_err(|fault| Reason::CrlMalformed { what: sentence(fault) })
    }

    fn read(der: &'a [u8]) -> Result<Self, Fault> {
        let outer = Outer::read(der)?;
        let mut fields = Reader::new(outer.tbs.value);
        match fields.optional(der::INTEGER)? {
            Some([1]) => {}
            _ => return Err(Fault("it is not a CRL of version 2")),
        }
        if fields.expect(der::SEQUENCE, "it has no inner signature algorithm")? != outer.algorithm {
            return Err(Fault("its two signature algorithms differ"));
        }
        let issuer = fields.expect_tlv(der::SEQUENCE, "it has no issuer")?.whole;
        let this_update = time(&mut fields)?;
        if !matches!(fields.peek(), Some(der::UTC_TIME | der::GENERALIZED_TIME)) {
            return Err(Fault("it has no nextUpdate"));
        }
        let next_update = time(&mut fields)?;
        let revoked = fields.optional(der::SEQUENCE)?.unwrap_or_default();
        let extensions = fields.expect(EXTENSIONS, "it has no extensions, so no CRL number")?;
        fields.finish("it has unknown fields")?;
        let mut crl = Crl {
            issuer,
            this_update,
            next_update,
            number: &[],
            scope: None,
            point: None,
            is_delta: false,
            unusable: None,
            revoked,
            tbs: outer.tbs.whole,
            algorithm: outer.algorithm,
            signature: outer.signature,
        };
        crl.read_extensions(extensions)?;
        crl.read_entries()?;
        Ok(crl)
    }

    fn read_extensions(&mut self, field: &'a [u8]) -> Result<(), Fault> {
        let mut list = Reader::new(der::only(field, der::SEQUENCE, "its extensions are not a SEQUENCE")?);
        let mut seen: Vec<&[u8]> = Vec::new();
        while !list.at_end() {
            let extension = Extension::read(&mut list)?;
            if seen.contains(&extension.oid) {
                return Err(Fault("it has an extension twice"));
            }
            seen.push(extension.oid);
            match extension.oid {
                CRL_NUMBER => {
                    self.number = der::unsigned(der::only(extension.value, der::INTEGER, "its number is no INTEGER")?)?;
                    if extension.critical || self.number.len() > NUMBER_OCTETS_MAX {
                        return Err(Fault("its number is critical or longer than 20 octets"));
                    }
                }
                ISSUING_POINT => {
                    self.scope = Some(extension.value);
                    self.read_issuing_point(extension.value)?;
                }
                AUTHORITY_KEY_ID => authority_key_id(extension.value).map(drop)?,
                DELTA_INDICATOR => self.is_delta = true,
                _ if extension.critical => self.unusable = Some("it has an unknown critical extension"),
                _ => {}
            }
        }
        if seen.contains(&CRL_NUMBER) { Ok(()) } else { Err(Fault("it has no CRL number")) }
    }

    fn read_issuing_point(&mut self, value: &[u8]) -> Result<(), Fault> {
        der::check(value)?;
        let mut fields = Reader::new(der::only(value, der::SEQUENCE, "its distribution point is no SEQUENCE")?);
        let names = fields.optional(POINT_NAME)?.map(point_names).transpose()?;
        let mut flag = |tag| match fields.optional(tag)?.map(der::boolean).transpose()? {
            Some(false) => Err(Fault("its distribution point spells out a default")),
            flag => Ok(flag.is_some()),
        };
        let (only_user, only_ca) = (flag(ONLY_USER)?, flag(ONLY_CA)?);
        let some_reasons = fields.optional(ONLY_SOME_REASONS)?.map(der::bit_string).transpose()?;
        let mut flag = |tag| match fields.optional(tag)?.map(der::boolean).transpose()? {
            Some(false) => Err(Fault("its distribution point spells out a default")),
            flag => Ok(flag.is_some()),
        };
        let (indirect, only_attributes) = (flag(INDIRECT)?, flag(ONLY_ATTRIBUTES)?);
        fields.finish("its distribution point has unknown fields")?;
        if indirect {
            self.unusable = Some("it is an indirect CRL");
        } else if some_reasons.is_some() {
            self.unusable = Some("it covers some reasons only");
        } else if only_attributes {
            self.unusable = Some("it covers attribute certificates only");
        } else if names == Some(None) {
            self.unusable = Some("its distribution point is named relative to the issuer");
        }
        self.point = Some(IssuingPoint { names: names.flatten(), only_user, only_ca });
        Ok(())
    }

    /// Section 5.3: a list with one entry that cannot be processed tells nothing about any certificate.
    fn read_entries(&mut self) -> Result<(), Fault> {
        let mut list = Reader::new(self.revoked);
        while !list.at_end() {
            let mut entry = Reader::new(list.expect(der::SEQUENCE, "an entry is not a SEQUENCE")?);
            entry.expect(der::INTEGER, "an entry has no serial number")?;
            time(&mut entry)?;
            let Some(extensions) = entry.optional(der::SEQUENCE)? else {
                entry.finish("an entry has unknown fields")?;
                continue;
            };
            entry.finish("an entry has unknown fields")?;
            let mut extensions = Reader::new(extensions);
            let mut reasons = 0;
            while !extensions.at_end() {
                let extension = Extension::read(&mut extensions)?;
                match extension.oid {
                    CERTIFICATE_ISSUER => self.unusable = Some("it is an indirect CRL"),
                    REASON_CODE => {
                        reasons += 1;
                        let code = der::only(extension.value, der::ENUMERATED, "a reason is no ENUMERATED")?;
                        // 7 is unused and 8, removeFromCRL, belongs to delta CRLs (section 5.3.1).
                        let is_possible = matches!(code, [0..=6 | 9 | 10]) || (self.is_delta && code == [8]);
                        if reasons > 1 || !is_possible {
                            return Err(Fault("an entry has a reason that it cannot have"));
                        }
                    }
                    INVALIDITY_DATE => {
                        let date = der::only(extension.value, der::GENERALIZED_TIME, "a date is no GeneralizedTime")?;
                        der::time(der::GENERALIZED_TIME, date)?;
                    }
                    _ if extension.critical => self.unusable = Some("an entry has an unknown critical extension"),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Whether the list holds a serial number, given as the content of its INTEGER.
    pub(super) fn lists(&self, serial: &[u8]) -> bool {
        let mut list = Reader::new(self.revoked);
        while let Ok(entry) = list.expect(der::SEQUENCE, "") {
            if Reader::new(entry).expect(der::INTEGER, "") == Ok(serial) {
                return true;
            }
        }
        false
    }

    /// Whether the key in `issuer_spki` signed the list.
    pub(super) fn verify_signature(&self, issuer_spki: &[u8]) -> Result<(), Reason> {
        signature::verify(accepted_algorithm(self.algorithm)?, issuer_spki, self.tbs, self.signature)
    }

    /// Orders lists of one scope by number.
    pub(super) fn number(&self) -> (usize, &[u8]) {
        (self.number.len(), self.number)
    }
}

const EXTENSIONS: u8 = 0xa0;
const POINT_NAME: u8 = 0xa0;
const ONLY_USER: u8 = 0x81;
const ONLY_CA: u8 = 0x82;
const ONLY_SOME_REASONS: u8 = 0x83;
const INDIRECT: u8 = 0x84;
const ONLY_ATTRIBUTES: u8 = 0x85;
/// Section 5.2.3.
const NUMBER_OCTETS_MAX: usize = 20;
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 20];
const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
const INVALIDITY_DATE: &[u8] = &[0x55, 0x1d, 24];
const DELTA_INDICATOR: &[u8] = &[0x55, 0x1d, 27];
const ISSUING_POINT: &[u8] = &[0x55, 0x1d, 28];
const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 29];
