//! The compact serialisation of a JWS (RFC 7515 section 3.1), as far as a proof and a gateway's token share it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::limits::SIGNATURE_BYTES_MAX;
use crate::{UnixTime, json};

/// A token whose three parts are decoded and whose JSON means one thing. Nothing about it is believed yet.
pub(super) struct Compact<'a> {
    pub header: Map<String, Value>,
    /// The payload as the signer wrote it, for a caller that hands it on.
    pub payload_text: String,
    pub payload: Map<String, Value>,
    /// The bytes that the signature covers: header, dot, payload, still encoded.
    pub signing_input: &'a [u8],
    pub signature: Vec<u8>,
}

/// Takes a token apart. The caller has checked its size. What is refused is told in a fixed sentence, because
/// whatever the token says must not reach an error text.
pub(super) fn split(text: &str) -> Result<Compact<'_>, &'static str> {
    let (signing_input, signature) = text.rsplit_once('.').ok_or(THREE_PARTS)?;
    // A fourth part leaves a dot in the payload, which is no character of base64url.
    let (header, payload) = signing_input.split_once('.').ok_or(THREE_PARTS)?;
    let header = decode_text(header)?;
    let payload_text = decode_text(payload)?;
    let signature = decode(signature)?;
    if signature.is_empty() {
        return Err("It carries no signature");
    }
    if signature.len() > SIGNATURE_BYTES_MAX {
        return Err("Its signature is too long");
    }
    // The size of the whole token bounds the size of its parts.
    let header =
        json::parse_object(&header, text.len()).map_err(|_| "Its header is not one unambiguous JSON object")?;
    let payload =
        json::parse_object(&payload_text, text.len()).map_err(|_| "Its claims are not one unambiguous JSON object")?;
    Ok(Compact { header, payload_text, payload, signing_input: signing_input.as_bytes(), signature })
}

/// base64url as RFC 7515 section 2 has it, in its one accepted form: no padding, no white space, no other alphabet,
/// and the unused bits of the last character are zero. Otherwise one signed text would have many spellings.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, &'static str> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| "A part of it is not base64url without padding")
}

/// A NumericDate (RFC 7519 section 2): seconds since 1970, perhaps with a fraction, in the years 1970 to 9999.
/// Anything else is nothing. Fractions are kept to the microsecond.
pub(super) fn numeric_date(value: &Value) -> Option<UnixTime> {
    let number = value.as_number()?;
    let micros = match number.as_i64() {
        Some(seconds) => seconds.checked_mul(1_000_000)?,
        // Up to the year 9999 a double resolves 31 microseconds, and what is no number becomes 0 in the conversion.
        None => (number.as_f64()? * 1e6).round() as i64,
    };
    (0..=YEAR_9999_END).contains(&micros).then_some(UnixTime(micros))
}

fn decode_text(part: &str) -> Result<String, &'static str> {
    String::from_utf8(decode(part)?).map_err(|_| "A part of it is not UTF-8")
}

const THREE_PARTS: &str = "It does not have three parts with a dot between them";
const YEAR_9999_END: i64 = 253_402_300_799_999_999;
