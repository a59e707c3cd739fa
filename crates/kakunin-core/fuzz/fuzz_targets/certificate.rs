//! What is parsed is the one encoding of what it says: an independent parser reads the same from it.
#![no_main]

use kakunin_core::certificate::{Certificate, Profile, read_agent, serial};
use libfuzzer_sys::fuzz_target;
use x509_parser::prelude::{FromDer, X509Certificate};

fuzz_target!(|der: &[u8]| {
    let Ok(certificate) = Certificate::parse(der) else { return };
    assert_eq!(certificate.der, der);
    assert_eq!(serial::normalize(&certificate.serial).as_ref(), Ok(&certificate.serial));
    assert!(certificate.not_before <= certificate.not_after);

    let (rest, other) = X509Certificate::from_der(der).expect("the other parser is the more lenient one");
    assert!(rest.is_empty());
    let serial = format!("{:X}", other.tbs_certificate.serial);
    assert_eq!(certificate.serial.trim_start_matches('0'), serial);
    assert_eq!(certificate.subject_der, other.subject().as_raw());
    assert_eq!(certificate.issuer_der, other.issuer().as_raw());
    assert_eq!(certificate.spki, other.public_key().raw);
    assert_eq!(certificate.is_ca, other.is_ca());
    assert_eq!(certificate.not_before.seconds(), other.validity().not_before.timestamp());
    assert_eq!(certificate.not_after.seconds(), other.validity().not_after.timestamp());

    let profile = Profile { trust_domain: "agents.example".into(), oid_arcs: vec!["1.3.6.1.4.1.99999".into()] };
    if let Ok(names) = read_agent(&certificate, &profile) {
        assert!(!certificate.is_ca);
        assert!(names.agent_id.is_none_or(|id| der.windows(id.len()).any(|window| window == id.as_bytes())));
    }
});
