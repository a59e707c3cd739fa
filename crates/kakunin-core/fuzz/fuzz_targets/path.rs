//! Under an anchor whose key nobody has, nothing is valid but what that key signed.
//! Input: certificates one after the other; the first is the target. The true intermediate is always at hand.
#![no_main]

use kakunin_core::UnixTime;
use kakunin_core::certificate::check_path;
use libfuzzer_sys::fuzz_target;

const ROOT: &[u8] = include_bytes!("../fixtures/root.der");
const INTERMEDIATE: &[u8] = include_bytes!("../fixtures/intermediate.der");
const AGENT: &[u8] = include_bytes!("../fixtures/agent.der");
/// 2026-01-15T12:00:00Z
const NOW: UnixTime = UnixTime::from_seconds(1_768_478_400);

fuzz_target!(|input: &[u8]| {
    let certificates = split(input);
    let Some((target, rest)) = certificates.split_first() else { return };
    let chain: Vec<&[u8]> = rest.iter().copied().take(7).chain([INTERMEDIATE]).collect();
    if check_path(target, &chain, &[ROOT], &[], NOW).is_ok() {
        assert!([ROOT, INTERMEDIATE, AGENT].contains(target));
    }
    // With the input as anchors, the path must end at one of them.
    if let Ok(path) = check_path(AGENT, &chain, &certificates, &[], NOW) {
        assert!(certificates.contains(&path.anchor.der.as_slice()));
    }
});

/// Cuts where the outer lengths say.
fn split(mut input: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let [0x30, 0x82, high, low, ..] = input {
        let end = (4 + (usize::from(*high) << 8 | usize::from(*low))).min(input.len());
        let (part, rest) = input.split_at(end);
        parts.push(part);
        input = rest;
    }
    parts
}
