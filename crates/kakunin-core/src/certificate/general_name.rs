//! Names that are not distinguished names (`GeneralName`, RFC 5280 section 4.2.1.6), and the subtrees of them that a CA
//! is confined to.

use super::der::{self, Fault, Reader};

/// RFC 5280 section 4.2.1.6; the tag tells the kind, the value is the content of that tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GeneralName {
    pub(crate) tag: u8,
    pub(crate) value: Vec<u8>,
}

/// RFC 5280 section 4.2.1.10.
#[derive(Clone, Debug)]
pub(crate) struct NameConstraints {
    pub(crate) permitted: Vec<GeneralName>,
    pub(crate) excluded: Vec<GeneralName>,
}

/// The value of a subject alternative name extension (RFC 5280 section 4.2.1.6).
pub(super) fn alt_names(value: &[u8]) -> Result<Vec<GeneralName>, Fault> {
    let names = general_names(der::only(value, der::SEQUENCE, "a SEQUENCE is missing")?)?;
    let is_sound = |name: &GeneralName| match name.tag {
        IP_ADDRESS => matches!(name.value.len(), 4 | 16),
        EMAIL | DNS_NAME | URI => !name.value.is_empty(),
        _ => true,
    };
    if names.iter().all(is_sound) { Ok(names) } else { Err(Fault("a name is empty or an address has a wrong length")) }
}

/// `GeneralNames`, at least one.
pub(super) fn general_names(content: &[u8]) -> Result<Vec<GeneralName>, Fault> {
    let mut list = Reader::new(content);
    let mut names = Vec::new();
    while !list.at_end() {
        names.push(general_name(&mut list)?);
    }
    if names.is_empty() { Err(Fault("it has no names")) } else { Ok(names) }
}

fn general_name(list: &mut Reader<'_>) -> Result<GeneralName, Fault> {
    let tlv = list.read()?;
    match tlv.tag {
        // IA5String; the implicit tag hides that from the general check.
        EMAIL | DNS_NAME | URI if !tlv.value.is_ascii() => return Err(Fault("a name is not ASCII")),
        DIRECTORY_NAME => super::names::parse(tlv.value).map(drop)?,
        OTHER_NAME | EMAIL | DNS_NAME | X400_ADDRESS | EDI_PARTY_NAME | URI | IP_ADDRESS | REGISTERED_ID => {}
        _ => return Err(Fault("a name is of an unknown kind")),
    }
    Ok(GeneralName { tag: tlv.tag, value: tlv.value.to_vec() })
}

/// The value of a name constraints extension.
pub(super) fn name_constraints(value: &[u8]) -> Result<NameConstraints, Fault> {
    let mut fields = Reader::new(der::only(value, der::SEQUENCE, "a SEQUENCE is missing")?);
    let permitted = fields.optional(PERMITTED)?.map(subtrees).transpose()?;
    let excluded = fields.optional(EXCLUDED)?.map(subtrees).transpose()?;
    fields.finish("unknown fields follow")?;
    if permitted.is_none() && excluded.is_none() {
        return Err(Fault("it constrains nothing"));
    }
    Ok(NameConstraints { permitted: permitted.unwrap_or_default(), excluded: excluded.unwrap_or_default() })
}

/// RFC 5280 section 4.2.1.10: minimum is zero, which DER leaves out, and maximum is absent.
fn subtrees(content: &[u8]) -> Result<Vec<GeneralName>, Fault> {
    let mut list = Reader::new(content);
    let mut bases = Vec::new();
    while !list.at_end() {
        let mut subtree = Reader::new(list.expect(der::SEQUENCE, "a subtree is not a SEQUENCE")?);
        let base = general_name(&mut subtree)?;
        subtree.finish("a subtree has a minimum or maximum")?;
        if base.tag == IP_ADDRESS && !matches!(base.value.len(), 8 | 32) {
            return Err(Fault("an address range has a wrong length"));
        }
        bases.push(base);
    }
    if bases.is_empty() { Err(Fault("a list of subtrees is empty")) } else { Ok(bases) }
}

pub(crate) const OTHER_NAME: u8 = 0xa0;
pub(crate) const EMAIL: u8 = 0x81;
pub(crate) const DNS_NAME: u8 = 0x82;
const X400_ADDRESS: u8 = 0xa3;
pub(crate) const DIRECTORY_NAME: u8 = 0xa4;
const EDI_PARTY_NAME: u8 = 0xa5;
pub(crate) const URI: u8 = 0x86;
pub(crate) const IP_ADDRESS: u8 = 0x87;
const REGISTERED_ID: u8 = 0x88;

const PERMITTED: u8 = 0xa0;
const EXCLUDED: u8 = 0xa1;
