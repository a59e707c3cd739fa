//! The model hash: which model an agent runs, as `sha256:` and 64 lower-case hexadecimal digits.

use sha2::{Digest, Sha256};

use crate::{Reason, json};

/// The hash of the bytes of a model, or of the text that names it.
pub fn model_hash(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(PREFIX.len() + 2 * 32);
    out.push_str(PREFIX);
    for byte in Sha256::digest(bytes) {
        out.push_str(&format!("{byte:02x}"));
    }
    out
}

/// The hash of a model's description in JSON: over its RFC 8785 form, so that spacing and the order of members do
/// not matter. Refuses what [`json::canonicalize`] refuses.
pub fn model_hash_json(text: &str) -> Result<String, Reason> {
    Ok(model_hash(json::canonicalize(text)?.as_bytes()))
}

/// The one form of a model hash: takes 64 hexadecimal digits of either case, with or without `sha256:` before them.
/// Anything else is refused as `model_hash_malformed`.
pub fn normalize(text: &str) -> Result<String, Reason> {
    let digits = text.strip_prefix(PREFIX).unwrap_or(text);
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Reason::ModelHashMalformed);
    }
    Ok(format!("{PREFIX}{}", digits.to_ascii_lowercase()))
}

const PREFIX: &str = "sha256:";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::vectors::records;

    #[test]
    fn the_published_vectors_come_out() {
        for record in records(include_str!("../testdata/model_hash.txt")) {
            let hash = match (record.find("Text"), record.find("Json")) {
                (Some(text), None) => model_hash(text.as_bytes()),
                (None, Some(json)) => model_hash_json(json).unwrap(),
                _ => panic!("{}: one of Text and Json is needed", record.get("Name")),
            };
            assert_eq!(hash, record.get("Hash"), "{}", record.get("Name"));
        }
    }

    #[test]
    fn both_spellings_become_one_and_others_are_refused() {
        let hash = model_hash(b"");
        let digits = hash.strip_prefix("sha256:").unwrap();
        for spelling in
            [hash.clone(), digits.to_owned(), digits.to_uppercase(), format!("sha256:{}", digits.to_uppercase())]
        {
            assert_eq!(normalize(&spelling).as_ref(), Ok(&hash));
        }
        for refused in [
            "",
            "sha256:",
            &digits[1..],
            &format!("{digits}0"),
            &format!("sha512:{digits}"),
            &format!(" {hash}"),
            &digits.replace('e', "g"),
        ] {
            assert_eq!(normalize(refused), Err(Reason::ModelHashMalformed), "{refused}");
        }
        assert_eq!(normalize("sha256:é"), Err(Reason::ModelHashMalformed));
    }

    #[test]
    fn a_description_that_readers_could_take_two_ways_has_no_hash() {
        assert_eq!(model_hash_json(r#"{"a":1,"a":2}"#).unwrap_err().slug(), "json_malformed");
    }
}
