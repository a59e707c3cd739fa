//! An export of any lines is read to its end, and one with a fault says so.
#![no_main]

use kakunin_core::ledger::export::{ExportVerifier, Header};
use kakunin_core::ledger::log::Kept;
use libfuzzer_sys::fuzz_target;

// The header and a checkpoint of the vectors, so that lines behind it are read at all.
const WHOLE: &str = r#"{"format":1,"kakunin":"ledger export","keys":["ledger.example/7301+81583c4c+AQu8NGpXZnw4ASC9nH/X5R0sX9/qN80vW/QFssa/by14"],"ledgers":["6b616b75-6e69-6e00-0000-0000000000a1"],"origin":"ledger.example/7301","whole":true}"#;
const KEPT: &str = "ledger.example/7301\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n\u{2014} a AAAAAAA=\n";

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    if let Some(header) = std::str::from_utf8(bytes).ok().and_then(|text| Header::parse(text).ok()) {
        assert_eq!(header.encode().as_deref().map(str::as_bytes), Ok(bytes));
    }
    let first = if choice % 2 == 0 { WHOLE.to_owned() } else { WHOLE.replace("true", "false") };
    let pinned = if choice % 4 < 2 { vec![] } else { Header::parse(WHOLE).unwrap().keys };
    let kept = if choice % 8 < 4 { vec![] } else { vec![Kept::parse("kept", KEPT).unwrap()] };
    let mut verifier = ExportVerifier::new(first.as_bytes(), pinned, kept).unwrap();
    let mut lines = bytes.split(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        verifier.line(line, lines.peek().is_some());
    }
    let report = verifier.finish();
    assert_eq!(report.is_sound(), report.faults.is_empty());
    assert!(report.faults.is_sorted_by_key(|fault| fault.line));
    // Only the vectors' own lines are sound, and those are signed.
    assert!(!report.is_sound() || report.ledgers.iter().all(|ledger| ledger.entries > 0));
});
