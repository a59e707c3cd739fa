//! A serial number has one text, and every text that is accepted leads to it.
#![no_main]

use kakunin_core::certificate::serial::{from_decimal, normalize};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for canonical in [normalize(text), from_decimal(text)].into_iter().flatten() {
        assert_eq!(normalize(&canonical).as_ref(), Ok(&canonical));
        assert_eq!(normalize(&format!("0x00{}", canonical.to_lowercase())).as_ref(), Ok(&canonical));
        assert!(canonical.len() <= 40 && canonical.len() % 2 == 0 && !canonical.starts_with("00"));
    }
});
