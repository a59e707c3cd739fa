//! An entry that is accepted is the one encoding of what it says, and a detail is as well.
#![no_main]

use kakunin_core::ledger::entry::Entry;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(entry) = Entry::decode(bytes) else { return };
    assert_eq!(Entry::peek(bytes), Some((entry.ledger, entry.seq)));
    if entry.check().is_ok() {
        assert_eq!(entry.encode().as_deref(), Ok(bytes));
        let detail = entry.detail().unwrap();
        assert_eq!((detail.kind(), detail.encode()), (entry.kind, Ok(entry.detail.clone())));
    } else {
        assert!(entry.encode().is_err());
    }
});
