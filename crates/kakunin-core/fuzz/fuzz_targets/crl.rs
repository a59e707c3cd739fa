//! A list that its issuer did not sign tells nothing: with it alone, no status is known.
#![no_main]

use kakunin_core::certificate::check_path;
use kakunin_core::{Reason, UnixTime};
use libfuzzer_sys::fuzz_target;

const ROOT: &[u8] = include_bytes!("../fixtures/root.der");
const INTERMEDIATE: &[u8] = include_bytes!("../fixtures/intermediate.der");
const AGENT: &[u8] = include_bytes!("../fixtures/agent.der");
const ROOT_CRL: &[u8] = include_bytes!("../fixtures/root.crl");
const INTERMEDIATE_CRL: &[u8] = include_bytes!("../fixtures/intermediate.crl");
/// 2026-01-15T12:00:00Z
const NOW: UnixTime = UnixTime::from_seconds(1_768_478_400);

fuzz_target!(|crl: &[u8]| {
    match check_path(AGENT, &[INTERMEDIATE], &[ROOT], &[ROOT_CRL, crl], NOW) {
        Ok(_) => assert_eq!(crl, INTERMEDIATE_CRL),
        Err(reason) => {
            assert!(matches!(reason, Reason::CrlMalformed { .. } | Reason::RevocationUnknown { .. }), "{reason:?}");
        }
    }
    // Beside the true lists it changes nothing, unless it cannot be read at all.
    match check_path(AGENT, &[INTERMEDIATE], &[ROOT], &[ROOT_CRL, crl, INTERMEDIATE_CRL], NOW) {
        Ok(_) => {}
        Err(reason) => assert!(matches!(reason, Reason::CrlMalformed { .. }), "{reason:?}"),
    }
});
