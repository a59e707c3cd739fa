//! Checkpoints, keys and proofs that are accepted are written back as they were.
#![no_main]

use kakunin_core::ledger::note::{Checkpoint, Note, VerifierKey};
use kakunin_core::ledger::tlog_proof::TlogProof;
use libfuzzer_sys::fuzz_target;

const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

fuzz_target!(|text: &str| {
    if let Ok(note) = Note::parse(text) {
        assert!(text.starts_with(note.text()) && note.text().ends_with('\n'));
        // Nobody but the holder of that key can make a note that it verifies.
        assert!(note.verify(&[KEY.parse().unwrap()]).is_err() || note.text().starts_with("If you think"));
    }
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(checkpoint.text(), text);
    }
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(proof) = TlogProof::parse(text) {
        assert_eq!(proof.encode().as_deref(), Ok(text));
    }
});
