//! 1 to 6: one certificate has one encoding.

use kakunin_core::Reason;
use kakunin_core::certificate::{Certificate, Profile, check_agent, check_path, pem, read_agent};
use num_bigint::BigUint;

use crate::recipe::*;

fn parse_slug(der: &[u8]) -> &'static str {
    slug(&Certificate::parse(der))
}

fn armor(label: &str, der: &[u8]) -> String {
    let encoded = pem::encode(der, "CERTIFICATE").unwrap();
    encoded.replace("CERTIFICATE", label)
}

#[test]
fn pki_01_pem_takes_one_block_and_nothing_after_the_value() {
    let certificate = World::new().agent();
    let text = armor("CERTIFICATE", &certificate);
    assert_eq!(pem::decode_certificate(&text), Ok(certificate.clone()));

    let with_tail = [certificate.as_slice(), &[0]].concat();
    assert!(matches!(pem::encode(&with_tail, "CERTIFICATE"), Err(Reason::PemMalformed { .. })));
    let tail_in_block = {
        use base64::Engine;
        let base64 = base64::engine::general_purpose::STANDARD.encode(&with_tail);
        format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n")
    };
    for (what, text) in [
        ("bytes after the value", tail_in_block),
        ("two blocks where one is asked for", format!("{text}{text}")),
        ("another label", armor("TRUSTED CERTIFICATE", &certificate)),
        ("a lower-case label", armor("certificate", &certificate)),
        ("lower-case boundaries", text.to_lowercase()),
        ("a private key", armor("PRIVATE KEY", &certificate)),
        ("labels that differ", text.replace("END CERTIFICATE", "END X509 CRL")),
    ] {
        assert_eq!(slug(&pem::decode_certificate(&text)), "pem_malformed", "{what}");
    }
    // Several blocks are what a chain is; in order.
    let other = World::new().root();
    let chain = format!("{text}{}", armor("CERTIFICATE", &other));
    assert_eq!(pem::decode_certificates(&chain), Ok(vec![certificate, other]));
}

#[test]
fn pki_01_pem_takes_crlf_final_newlines_and_text_around() {
    let certificate = World::new().agent();
    let text = armor("CERTIFICATE", &certificate);
    for text in [
        text.replace('\n', "\r\n"),
        text.replace('\n', "\r"),
        text.replace('\n', " \t\n"),
        format!("{text}\n\n"),
        text.trim_end().to_owned(),
        format!("subject=CN = a1\nissuer=CN = Intermediate\n{text}"),
        format!("{text}Bag Attributes: none\n"),
    ] {
        assert_eq!(pem::decode_certificate(&text), Ok(certificate.clone()), "{text:?}");
    }
}

#[test]
fn pki_01_a_certificate_with_bytes_around_it_is_refused() {
    let certificate = World::new().agent();
    assert_eq!(parse_slug(&certificate), "valid");
    for tail in [&[0_u8][..], &[5, 0], &certificate] {
        assert_eq!(parse_slug(&[&certificate, tail].concat()), "certificate_malformed");
        assert_eq!(parse_slug(&[tail, &certificate].concat()), "certificate_malformed");
    }
    for end in 0..certificate.len() {
        assert_eq!(parse_slug(&certificate[..end]), "certificate_malformed", "cut at {end}");
    }
    assert_eq!(parse_slug(&[0x30; 16 * 1024 + 1]), "certificate_too_large");
}

#[test]
fn pki_02_other_encodings_of_the_same_content_are_refused() {
    let certificate = World::new().agent();
    // 30 82 xx xx ...: the outer length in more octets than needed, and indefinite.
    let content = &certificate[4..];
    let long = [&[0x30, 0x83, 0, certificate[2], certificate[3]], content].concat();
    let indefinite = [&[0x30, 0x80], content, &[0, 0]].concat();
    assert_eq!(parse_slug(&long), "certificate_malformed");
    assert_eq!(parse_slug(&indefinite), "certificate_malformed");

    let short_in_long_form = |value: &[u8]| [&[value[0], 0x81, value[1]], &value[2..]].concat();
    let agent = || World::new().agent;
    let constraints = |content: &[u8]| extension("2.5.29.19", true, content);
    let usage = |content: &[u8]| extension("2.5.29.15", true, content);
    let mut cases: Vec<(&str, Recipe)> = Vec::new();
    let mut case = |what, recipe| cases.push((what, recipe));
    case("a length of the long form", Recipe { subject: short_in_long_form(&common_name("a1")), ..agent() });
    case("a padded serial number", Recipe { serial: vec![0, 0x10], ..agent() });
    case("TRUE that is not FF", agent().instead(constraints(&sequence(&[&[1, 1, 1]]))));
    case("a spelled-out FALSE in basicConstraints", agent().instead(constraints(&sequence(&[&[1, 1, 0]]))));
    case("a spelled-out critical FALSE", agent().with(sequence(&[&oid("1.2.3.4"), &[1, 1, 0], &tlv(4, &[5, 0])])));
    case("a constructed OCTET STRING", agent().with(sequence(&[&oid("1.2.3.4"), &tlv(0x24, &tlv(4, &[5, 0]))])));
    case("a constructed BIT STRING", agent().instead(usage(&tlv(0x23, &tlv(3, &[7, 0x80])))));
    case("trailing zero bits in a named bit list", agent().instead(usage(&tlv(3, &[0, 0x80]))));
    case("unused bits that are set", agent().instead(usage(&tlv(3, &[7, 0x81]))));
    case("bytes after an extension's value", agent().instead(usage(&[tlv(3, &[7, 0x80]), vec![5, 0]].concat())));
    case("an empty list of key purposes", agent().with(extension("2.5.29.37", false, &tlv(0x30, &[]))));
    case(
        "a padded OBJECT IDENTIFIER",
        Recipe { subject: common_name("x").iter().map(|c| if *c == 0x55 { 0x80 } else { *c }).collect(), ..agent() },
    );
    case("a UTF8String that is not", Recipe { subject: name(&[("2.5.4.3", tlv(0x0c, &[0xff]))]), ..agent() });
    case(
        "a PrintableString with an underscore",
        Recipe { subject: name(&[("2.5.4.3", tlv(0x13, b"a_1"))]), ..agent() },
    );
    case("a tag of the long form", Recipe { subject: name(&[("2.5.4.3", vec![0x1f, 0x0c, 1, b'x'])]), ..agent() });
    let unsorted =
        tlv(0x31, &[sequence(&[&oid("2.5.4.10"), &utf8("b")]), sequence(&[&oid("2.5.4.3"), &utf8("a")])].concat());
    case("an unsorted SET", Recipe { subject: tlv(0x30, &unsorted), ..agent() });
    case("no content in a relative name", Recipe { subject: tlv(0x30, &tlv(0x31, &[])), ..agent() });
    for (what, recipe) in cases {
        let der = recipe.sign(&Key::number(2));
        assert_eq!(parse_slug(&der), "certificate_malformed", "{what}");
    }
    let sorted =
        tlv(0x31, &[sequence(&[&oid("2.5.4.3"), &utf8("a")]), sequence(&[&oid("2.5.4.10"), &utf8("b")])].concat());
    let accepted = Recipe { subject: tlv(0x30, &sorted), ..agent() };
    assert_eq!(parse_slug(&accepted.sign(&Key::number(2))), "valid");
}

#[test]
fn pki_02_nesting_is_bounded() {
    let mut value = vec![5, 0];
    for _ in 0..2000 {
        value = tlv(0x30, &value);
    }
    let deep = World::new().agent.instead(extension("2.5.29.32", false, &value)).sign(&Key::number(2));
    assert_eq!(parse_slug(&deep), "certificate_malformed");
}

/// The certificate of a P-256 CA with its signature's two numbers replaced.
fn with_signature(certificate: &[u8], tbs: &[u8], key: &Key, r: &[u8], s: &[u8]) -> Vec<u8> {
    assert!(certificate.windows(tbs.len()).any(|window| window == tbs));
    sequence(&[tbs, &key.algorithm(), &bits(&sequence(&[&tlv(2, r), &tlv(2, s)]))])
}

#[test]
fn pki_03_signatures_have_one_encoding_but_two_values() {
    let ca = Key::p256();
    let root = Recipe::ca("Root", ca.spki(), "Root", None).sign(&ca);
    let recipe = Recipe::agent(Key::number(3).spki(), "Root");
    let tbs = recipe.tbs(&ca);
    let certificate = recipe.sign(&ca);
    // Take r and s of a real signature over the same bytes.
    let signature = ca.sign(&tbs);
    let r_len = usize::from(signature[3]);
    let (r, s) = (&signature[4..4 + r_len], &signature[6 + r_len..]);
    let check = |r: &[u8], s: &[u8]| {
        let der = with_signature(&certificate, &tbs, &ca, r, s);
        slug(&check_path(&der, &[], &[&root], &[], NOW))
    };
    assert_eq!(check(r, s), "valid");

    let n = BigUint::parse_bytes(b"FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551", 16).unwrap();
    let unsigned = |value: &BigUint| {
        let octets = value.to_bytes_be();
        if octets[0] & 0x80 != 0 { [&[0], octets.as_slice()].concat() } else { octets }
    };
    let number = |octets: &[u8]| BigUint::from_bytes_be(octets);
    // A verifier of ECDSA cannot tell s from n - s, which is why nothing is ever remembered by its signature.
    assert_eq!(check(r, &unsigned(&(&n - number(s)))), "valid");

    let padded = [&[0], r].concat();
    for (what, r, s) in [
        ("r with an octet too many", padded.as_slice(), s),
        ("a negative r", &[0x80], s),
        ("a negative s", r, &[0xff]),
        ("r zero", &[0], s),
        ("s zero", r, &[0]),
        ("r plus n", &unsigned(&(number(r) + &n)), s),
        ("s plus n", r, &unsigned(&(number(s) + &n))),
        ("r equal to n", &unsigned(&n), s),
        ("an empty r", &[], s),
    ] {
        assert_eq!(check(r, s), "signature_invalid", "{what}");
    }
    // The same with bytes after the second number, inside and after the SEQUENCE.
    let inside = sequence(&[&tlv(2, r), &tlv(2, s), &[5, 0]]);
    let after = [sequence(&[&tlv(2, r), &tlv(2, s)]), vec![0]].concat();
    for signature in [inside, after] {
        let der = sequence(&[&tbs, &ca.algorithm(), &bits(&signature)]);
        assert_eq!(slug(&check_path(&der, &[], &[&root], &[], NOW)), "signature_invalid");
    }
}

#[test]
fn pki_04_algorithm_identifiers_must_agree_and_have_their_parameters() {
    let rsa = Key::rsa();
    let rsa_root = Recipe::ca("Root", rsa.spki(), "Root", None).sign(&rsa);
    let p256 = Key::p256();
    let p256_root = Recipe::ca("Root", p256.spki(), "Root", None).sign(&p256);
    let signed_as = |signer: &Key, root: &[u8], inner: Vec<u8>, outer: Vec<u8>| {
        let mut recipe = Recipe::agent(Key::number(3).spki(), "Root");
        (recipe.inner_algorithm, recipe.outer_algorithm) = (Some(inner), Some(outer));
        slug(&check_path(&recipe.sign(signer), &[], &[root], &[], NOW))
    };
    let with = |kind, parameters: &[u8]| algorithm(kind, parameters);
    let both = |signer: &Key, root: &[u8], identifier: Vec<u8>| signed_as(signer, root, identifier.clone(), identifier);

    let null: &[u8] = &[5, 0];
    assert_eq!(both(&rsa, &rsa_root, with(RSA_WITH_SHA256, null)), "valid");
    // RFC 4055 section 5: NULL must be written, and its absence must be read.
    assert_eq!(both(&rsa, &rsa_root, with(RSA_WITH_SHA256, &[])), "valid");
    assert_eq!(both(&rsa, &rsa_root, with(RSA_WITH_SHA256, &tlv(4, &[]))), "algorithm_unsupported");
    assert_eq!(both(&rsa, &rsa_root, with(RSA_WITH_SHA256, &[5, 0, 5, 0])), "algorithm_unsupported");
    assert_eq!(both(&p256, &p256_root, with(ECDSA_WITH_SHA256, &[])), "valid");
    assert_eq!(both(&p256, &p256_root, with(ECDSA_WITH_SHA256, null)), "algorithm_unsupported");
    // The two identifiers differ, even if only in a parameter that both may lack.
    let differing = signed_as(&rsa, &rsa_root, with(RSA_WITH_SHA256, null), with(RSA_WITH_SHA256, &[]));
    assert_eq!(differing, "certificate_invalid");
    let weaker_inside = signed_as(&rsa, &rsa_root, with("1.2.840.113549.1.1.5", null), with(RSA_WITH_SHA256, null));
    assert_eq!(weaker_inside, "certificate_invalid");
}

#[test]
fn pki_05_any_extension_twice_is_refused() {
    let world = World::new();
    let text = |text: &str| utf8(text);
    let repeatable = [
        ("scope", extension("1.3.6.1.4.1.99999.3", false, &text("{}"))),
        ("model hash", extension("1.3.6.1.4.1.99999.2", false, &text(&"0".repeat(64)))),
        ("extended key usage", extension("2.5.29.37", false, &sequence(&[&oid("1.3.6.1.5.5.7.3.2")]))),
        ("alternative name", alt_names(&[uri(AGENT_ID)])),
        ("basic constraints", basic_constraints(false, None)),
        ("key usage", key_usage(DIGITAL_SIGNATURE)),
        ("one that nobody knows", extension("1.2.3.4", false, &[5, 0])),
    ];
    for (what, repeated) in repeatable {
        let once = world.agent.clone().instead(repeated.clone());
        assert_eq!(
            slug(&check_path(&once.sign(&Key::number(2)), &[&world.intermediate()], &[&world.root()], &[], NOW)),
            "valid",
            "{what}"
        );
        let twice = once.with(repeated).sign(&Key::number(2));
        assert_eq!(parse_slug(&twice), "extension_repeated", "{what}");
    }
}

#[test]
fn pki_05_doubled_scope_extension_is_refused() {
    let arcs = ["1.3.6.1.4.1.99999", "1.3.6.1.4.1.61411.1"];
    let profile = Profile { trust_domain: "agents.example".to_owned(), oid_arcs: arcs.map(str::to_owned).to_vec() };
    let scope = |arc: &str| extension(&format!("{arc}.3"), false, &utf8(r#"{"v":1}"#));
    let world = World::new();
    let same_oid = world.agent.clone().with(scope(arcs[0])).with(scope(arcs[0])).sign(&Key::number(2));
    let refused = check_agent(&same_oid, &[&world.intermediate()], &[&world.root()], &[], NOW, &profile);
    assert_eq!(slug(&refused), "extension_repeated");
    // Two scopes under two arcs are two scopes as well.
    let two_arcs = world.agent.clone().with(scope(arcs[0])).with(scope(arcs[1])).sign(&Key::number(2));
    let certificate = Certificate::parse(&two_arcs).unwrap();
    assert_eq!(slug(&read_agent(&certificate, &profile)), "profile_violation");
}

#[test]
fn pki_06_unknown_critical_extensions_are_refused_wherever_they_are() {
    let unknown = |critical| extension("1.3.6.1.4.1.32473.77", critical, &[5, 0]);
    let own_scope = |critical| extension("1.3.6.1.4.1.99999.3", critical, &utf8(r#"{"v":1}"#));
    let places: [Place; 3] = [|world| &mut world.agent, |world| &mut world.intermediate, |world| &mut world.root];
    for place in places {
        for make in [unknown as fn(bool) -> Vec<u8>, own_scope] {
            for (critical, expected) in [(false, "valid"), (true, "critical_extension_unknown")] {
                let mut world = World::new();
                let recipe = place(&mut world);
                *recipe = recipe.clone().with(make(critical));
                assert_eq!(slug(&world.check()), expected);
            }
        }
    }
}
