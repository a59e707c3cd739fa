//! No signature over the message is found for any key, whatever the key is made of.
//! Input: two octets with the length of a SubjectPublicKeyInfo, the SubjectPublicKeyInfo, a signature.
#![no_main]

use kakunin_core::certificate::signature::{Algorithm, verify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((length, rest)) = input.split_first_chunk::<2>() else { return };
    let (spki, signature) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
    for algorithm in Algorithm::ALL {
        assert!(verify(algorithm, spki, b"a message", signature).is_err());
    }
});
