//! The canonical form of whatever is accepted is stable, and reading it gives the same document.
#![no_main]

use kakunin_core::json::{canonicalize, parse_strict};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(canonical) = canonicalize(text) {
        assert_eq!(canonicalize(&canonical).as_ref(), Ok(&canonical));
        assert!(parse_strict(&canonical).is_ok());
    } else {
        assert!(parse_strict(text).is_err());
    }
});
