//! A binding that is accepted is written back as one that reads the same.
#![no_main]

use kakunin_core::UnixTime;
use kakunin_core::limits::BINDING_BYTES_MAX;
use kakunin_core::session::binding::Binding;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(binding) = Binding::decode(text) {
        let written = binding.encode();
        assert!(written.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        // Texts beyond the limits of their kinds can grow by being escaped.
        assert!(Binding::decode(&written).as_ref() == Ok(&binding) || written.len() > BINDING_BYTES_MAX);
        assert!(!binding.alive_at(UnixTime(i64::MAX)) || binding.not_after == UnixTime(i64::MAX));
    }
});
