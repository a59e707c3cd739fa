//! Textual encodings (RFC 7468).
//!
//! A text may hold several blocks and explanatory lines around them, as `openssl` writes both. Within a block
//! nothing is forgiven: bytes after the outer value would give one certificate several fingerprints.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::der;
use crate::Reason;
use crate::limits::{PEM_BLOCKS_MAX, PEM_BYTES_MAX};

/// One block of a PEM text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What the block says it holds; one of [`LABELS`].
    pub label: &'static str,
    /// The decoded bytes: exactly one DER value of type SEQUENCE.
    pub der: Vec<u8>,
}

/// The labels that are read and written. Private keys are not among them: none belongs into a database.
pub const LABELS: [&str; 4] = ["CERTIFICATE", "X509 CRL", "PUBLIC KEY", "CERTIFICATE REQUEST"];

/// Reads all blocks of a text, in order. Lines end with LF, CRLF or CR.
///
/// # Errors
/// [`Reason::PemMalformed`] when there is no block, when a label is not one of [`LABELS`] (labels are upper case),
/// when a boundary is damaged or does not match, when the base64 is not canonical (alphabet, padding, pad bits),
/// when a block has headers, or holds anything but one SEQUENCE; or when the text exceeds its limits
/// (1 MiB, 64 blocks).
pub fn decode(text: &str) -> Result<Vec<Block>, Reason> {
    if text.len() > PEM_BYTES_MAX {
        return malformed("It is longer than 1 MiB");
    }
    let mut blocks = Vec::new();
    let mut lines = text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'));
    while let Some(line) = lines.next() {
        let line = line.trim_end_matches([' ', '\t']);
        if !line.contains(DASHES) {
            continue;
        }
        let label = label_of(line, "BEGIN ")?;
        if blocks.len() == PEM_BLOCKS_MAX {
            return malformed("It has more than 64 blocks");
        }
        let mut base64 = String::new();
        loop {
            let Some(line) = lines.next() else {
                return malformed("A block has no end");
            };
            let line = line.trim_end_matches([' ', '\t']);
            if line.contains(DASHES) {
                if label_of(line, "END ")? != label {
                    return malformed("A block ends with another label than it began with");
                }
                break;
            }
            if line.is_empty() {
                return malformed("A block has an empty line");
            }
            base64.push_str(line);
        }
        // The engine refuses other alphabets, white space, missing padding and pad bits that are not zero.
        let Ok(der) = STANDARD.decode(&base64) else {
            return malformed("A block is not canonical base64");
        };
        if der::only(&der, der::SEQUENCE, "").is_err() {
            return malformed("A block does not hold exactly one DER value");
        }
        blocks.push(Block { label, der });
    }
    if blocks.is_empty() {
        return malformed("It has no block");
    }
    Ok(blocks)
}

/// Reads a text in which every block is a certificate.
///
/// # Errors
/// [`Reason::PemMalformed`], see [`decode`].
pub fn decode_certificates(text: &str) -> Result<Vec<Vec<u8>>, Reason> {
    let certificate = |block: Block| {
        if block.label == "CERTIFICATE" { Ok(block.der) } else { malformed("A block is not a certificate") }
    };
    decode(text)?.into_iter().map(certificate).collect()
}

/// Reads a text with one certificate and nothing else.
///
/// # Errors
/// [`Reason::PemMalformed`], see [`decode`].
pub fn decode_certificate(text: &str) -> Result<Vec<u8>, Reason> {
    let mut certificates = decode_certificates(text)?;
    match (certificates.pop(), certificates.is_empty()) {
        (Some(certificate), true) => Ok(certificate),
        _ => malformed("It has more than one block"),
    }
}

/// Writes one block: lines of 64 characters, LF at the end of each (RFC 7468 section 2).
///
/// # Errors
/// [`Reason::PemMalformed`] when the label is not one of [`LABELS`], or the bytes are not one DER SEQUENCE or too
/// many: what is written can be read again.
pub fn encode(der: &[u8], label: &str) -> Result<String, Reason> {
    let label = known(label)?;
    if der.len() > PEM_BYTES_MAX / 2 {
        return malformed("It would be longer than can be read again");
    }
    if der::only(der, der::SEQUENCE, "").is_err() {
        return malformed("The bytes are not exactly one DER value");
    }
    let base64 = STANDARD.encode(der);
    let mut text = format!("{DASHES}BEGIN {label}{DASHES}\n");
    for line in base64.as_bytes().chunks(LINE) {
        text.extend(line.iter().map(|c| char::from(*c)));
        text.push('\n');
    }
    text.push_str(&format!("{DASHES}END {label}{DASHES}\n"));
    Ok(text)
}

fn label_of(line: &str, kind: &str) -> Result<&'static str, Reason> {
    let inner = line.strip_prefix(DASHES).and_then(|line| line.strip_suffix(DASHES));
    match inner.and_then(|inner| inner.strip_prefix(kind)) {
        Some(label) => known(label),
        None => malformed("A line with five dashes is not the boundary that belongs there"),
    }
}

fn known(label: &str) -> Result<&'static str, Reason> {
    if label.ends_with("PRIVATE KEY") {
        return malformed("It holds a private key, which belongs in no database");
    }
    match LABELS.into_iter().find(|known| *known == label) {
        Some(label) => Ok(label),
        None => malformed("A label is not CERTIFICATE, X509 CRL, PUBLIC KEY or CERTIFICATE REQUEST"),
    }
}

fn malformed<T>(what: &str) -> Result<T, Reason> {
    Err(Reason::PemMalformed { what: what.to_owned() })
}

const DASHES: &str = "-----";
const LINE: usize = 64;
