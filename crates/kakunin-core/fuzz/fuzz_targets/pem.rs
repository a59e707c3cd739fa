//! What is read is written and read again as the same blocks.
#![no_main]

use kakunin_core::certificate::pem::{LABELS, decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(blocks) = decode(text) else { return };
    assert!(!blocks.is_empty());
    let written: String = blocks.iter().map(|block| encode(&block.der, block.label).unwrap()).collect();
    assert_eq!(decode(&written), Ok(blocks.clone()));
    assert!(blocks.iter().all(|block| LABELS.contains(&block.label)));
});
