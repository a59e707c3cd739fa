//! 7 to 9: whom a certificate names.

use kakunin_core::Reason;
use kakunin_core::certificate::{AgentNames, Certificate, NameSource, Profile, check_agent, read_agent};

use crate::recipe::*;

pub fn profile() -> Profile {
    Profile { trust_domain: "agents.example".to_owned(), oid_arcs: vec!["1.3.6.1.4.1.99999".to_owned()] }
}

fn names_of(recipe: &Recipe) -> Result<AgentNames, Reason> {
    read_agent(&Certificate::parse(&recipe.sign(&Key::number(2)))?, &profile())
}

fn named(names: &[Vec<u8>]) -> Recipe {
    World::new().agent.instead(alt_names(names))
}

#[test]
fn pki_07_names_that_deceive_are_refused() {
    let long = "x".repeat(65);
    let cases = [
        ("NUL", "a1\0x"),
        ("a control character", "a1\u{7}"),
        ("C1", "a1\u{85}"),
        ("a line break", "a1\nO=other"),
        ("right-to-left override", "a1\u{202e}1a"),
        ("a direction isolate", "\u{2067}a1"),
        ("a line separator", "a\u{2028}1"),
        ("not NFC", "e\u{301}"),
        ("65 characters", &long),
    ];
    for (what, text) in cases {
        let mut world = World::new();
        world.agent.subject = common_name(text);
        assert_eq!(slug(&world.check()), "certificate_invalid", "{what}");
    }
    for text in ["é", "agent 7", "エージェント", &"x".repeat(64)] {
        let mut world = World::new();
        world.agent.subject = common_name(text);
        assert_eq!(slug(&world.check()), "valid", "{text}");
    }
    // The issuer's name is shown to people too.
    let mut world = World::new();
    world.intermediate.subject = common_name("Inter\u{202e}mediate");
    world.agent.issuer = common_name("Inter\u{202e}mediate");
    assert_eq!(slug(&world.check()), "certificate_invalid");
}

#[test]
fn pki_07_uris_have_no_room_for_tricks() {
    let bases = ["spiffe://agents.example/tenant/t1/agent/", "urn:kakunin:agent:"];
    let tails = ["a1\0x", "a1%00", "a1\u{7f}", "a 1", "a1/", "a1?x", "a1#x", "", ".", "..", "a1\\", "a1:80", "a1@x"];
    for base in bases {
        assert!(names_of(&named(&[uri(&format!("{base}a-1.B_2"))])).is_ok());
        for tail in tails {
            let outcome = names_of(&named(&[uri(&format!("{base}{tail}"))]));
            assert_eq!(slug(&outcome), "profile_violation", "{base}{tail:?}");
        }
        // Not IA5: the certificate itself is malformed.
        assert_eq!(slug(&names_of(&named(&[uri(&format!("{base}é"))]))), "certificate_malformed");
    }
}

#[test]
fn pki_07_the_common_name_is_never_an_identity() {
    let mut without_name = World::new().agent.instead(basic_constraints(false, None));
    without_name.extensions.retain(|extension| !extension.ends_with(AGENT_ID.as_bytes()));
    for subject in ["a1", AGENT_ID, "urn:kakunin:agent:a1", "platform agent:a1"] {
        without_name.subject = common_name(subject);
        let names = names_of(&without_name).unwrap();
        assert_eq!((names.source, names.agent_id, names.tenant_id), (NameSource::None, None, None), "{subject}");
    }
    // A common name that names another agent changes nothing.
    let mut recipe = World::new().agent;
    recipe.subject = common_name("a2");
    assert_eq!(names_of(&recipe).unwrap().agent_id.as_deref(), Some("a1"));
}

#[test]
fn pki_08_exactly_one_uri_of_the_one_form() {
    let names = names_of(&named(&[uri(AGENT_ID)])).unwrap();
    assert_eq!(names.source, NameSource::Spiffe);
    assert_eq!((names.agent_id.as_deref(), names.tenant_id.as_deref()), (Some("a1"), Some("t1")));
    // A DNS name beside it is what name constraints want.
    assert!(names_of(&named(&[uri(AGENT_ID), dns("a1.t1.agents.example")])).is_ok());

    let cases: [(&str, &[&str], &str); 17] = [
        ("two of them", &[AGENT_ID, AGENT_ID], "profile_violation"),
        ("one more of another kind", &[AGENT_ID, "https://agents.example/"], "profile_violation"),
        ("SPIFFE and URN", &[AGENT_ID, "urn:kakunin:agent:a1"], "profile_violation"),
        ("another trust domain", &["spiffe://other.example/tenant/t1/agent/a1"], "trust_domain_mismatch"),
        ("a trust domain below", &["spiffe://x.agents.example/tenant/t1/agent/a1"], "trust_domain_mismatch"),
        ("an upper-case host", &["spiffe://Agents.example/tenant/t1/agent/a1"], "profile_violation"),
        ("an upper-case scheme", &["SPIFFE://agents.example/tenant/t1/agent/a1"], "profile_violation"),
        ("a percent-encoded host", &["spiffe://agents%2eexample/tenant/t1/agent/a1"], "profile_violation"),
        ("a percent-encoded segment", &["spiffe://agents.example/tenant/t1/agent/%61"], "profile_violation"),
        ("a dot-dot segment", &["spiffe://agents.example/tenant/t1/../agent/a1"], "profile_violation"),
        ("a port", &["spiffe://agents.example:443/tenant/t1/agent/a1"], "profile_violation"),
        ("a user", &["spiffe://x@agents.example/tenant/t1/agent/a1"], "profile_violation"),
        ("an empty segment", &["spiffe://agents.example/tenant//agent/a1"], "profile_violation"),
        ("a path that goes on", &["spiffe://agents.example/tenant/t1/agent/a1/x"], "profile_violation"),
        ("a path of other words", &["spiffe://agents.example/ns/t1/sa/a1"], "profile_violation"),
        ("the trust domain alone", &["spiffe://agents.example"], "profile_violation"),
        ("a tenant alone", &["spiffe://agents.example/tenant/t1"], "profile_violation"),
    ];
    for (what, uris, expected) in cases {
        let names: Vec<Vec<u8>> = uris.iter().map(|text| uri(text)).collect();
        assert_eq!(slug(&names_of(&named(&names))), expected, "{what}");
    }
    for (length, expected) in [(255, "valid"), (256, "profile_violation")] {
        let agent = format!("spiffe://agents.example/tenant/t1/agent/{}", "a".repeat(length));
        assert_eq!(slug(&names_of(&named(&[uri(&agent)]))), expected);
    }
}

#[test]
fn pki_08_the_platforms_urn_is_told_apart_and_strict() {
    let mut recipe = named(&[uri("urn:kakunin:agent:0b7c")]);
    recipe.subject =
        name(&[("2.5.4.3", utf8("trader:0b7c")), ("2.5.4.10", utf8("tenant-1")), ("2.5.4.6", tlv(0x13, b"EU"))]);
    let names = names_of(&recipe).unwrap();
    assert_eq!(names.source, NameSource::Urn);
    assert_eq!((names.agent_id.as_deref(), names.tenant_id.as_deref()), (Some("0b7c"), Some("tenant-1")));
    // Two organizations name no tenant.
    recipe.subject = name(&[("2.5.4.10", utf8("tenant-1")), ("2.5.4.10", utf8("tenant-2"))]);
    assert_eq!(slug(&names_of(&recipe)), "profile_violation");
    for urn in ["URN:kakunin:agent:a1", "urn:Kakunin:agent:a1", "urn:kakunin:agent", "urn:kakunin:tenant:a1"] {
        assert_eq!(slug(&names_of(&named(&[uri(urn)]))), "profile_violation", "{urn}");
    }
    // What another PKI writes is nobody's name here, and no error.
    for other in ["https://example.org/agents/a1", "urn:uuid:0b7c", "mailto:a1@example.org"] {
        assert_eq!(names_of(&named(&[uri(other)])).unwrap().source, NameSource::None, "{other}");
    }
}

#[test]
fn pki_09_nobody_and_old_versions_are_refused() {
    let agent = || World::new().agent;
    let parse_slug = |recipe: &Recipe| slug(&Certificate::parse(&recipe.sign(&Key::number(2))));
    assert_eq!(parse_slug(&Recipe { issuer: name(&[]), ..agent() }), "certificate_invalid");
    for version in [vec![], tlv(0xa0, &[2, 1, 0]), tlv(0xa0, &[2, 1, 1]), tlv(0xa0, &[2, 1, 3])] {
        assert_eq!(parse_slug(&Recipe { version, ..agent() }), "certificate_malformed");
    }
    let without_extensions = Recipe { version: vec![], extensions: vec![], ..agent() };
    assert_eq!(parse_slug(&without_extensions), "certificate_malformed");

    // A CA must have a subject; an agent may do without if its alternative name is critical.
    let mut world = World::new();
    world.intermediate.subject = name(&[]);
    world.agent.issuer = name(&[]);
    assert_eq!(slug(&world.check()), "certificate_invalid");
    let mut world = World::new();
    world.agent.subject = name(&[]);
    assert_eq!(slug(&world.check()), "certificate_invalid");
    world.agent = world.agent.instead(extension("2.5.29.17", true, &tlv(0x30, &uri(AGENT_ID))));
    assert_eq!(slug(&world.check()), "valid");
}

#[test]
fn an_agent_certificate_is_for_agents() {
    let check = |recipe: Recipe| {
        let world = World { agent: recipe, ..World::new() };
        slug(&check_agent(&world.agent(), &[&world.intermediate()], &[&world.root()], &[], NOW, &profile()))
    };
    let agent = || World::new().agent;
    let purposes = |list: &[&str]| {
        let content: Vec<u8> = list.iter().flat_map(|purpose| oid(purpose)).collect();
        extension("2.5.29.37", false, &tlv(0x30, &content))
    };
    let (client, server) = ("1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1");
    assert_eq!(check(agent()), "valid");
    assert_eq!(check(agent().instead(key_usage(0x40))), "profile_violation", "nonRepudiation alone");
    assert_eq!(check(agent().instead(key_usage(0xc0))), "valid");
    assert_eq!(check(agent().with(purposes(&[client]))), "valid");
    assert_eq!(check(agent().with(purposes(&["1.3.6.1.4.1.99999.1"]))), "valid");
    assert_eq!(check(agent().with(purposes(&[server, client]))), "valid");
    assert_eq!(check(agent().with(purposes(&["2.5.29.37.0"]))), "valid");
    assert_eq!(check(agent().with(purposes(&[server]))), "profile_violation");
    assert_eq!(check(agent().with(purposes(&["1.3.6.1.5.5.7.3.9"]))), "profile_violation", "an OCSP responder");
}

#[test]
fn model_hash_and_scope_are_read_from_the_signed_bytes() {
    let hash = "37051265633b44cdc37e17ecdd8e6ba573647fec4c6a64e6d9eea0eb44a0b70f";
    let model = |text: &str| extension("1.3.6.1.4.1.99999.2", false, &utf8(text));
    let scope = |text: &str| extension("1.3.6.1.4.1.99999.3", false, &utf8(text));
    let agent = || World::new().agent;
    for text in [hash.to_owned(), hash.to_uppercase(), format!("sha256:{hash}")] {
        let names = names_of(&agent().with(model(&text))).unwrap();
        assert_eq!(names.model_hash, Some(format!("sha256:{hash}")));
    }
    for text in ["", "sha256:", "gpt-4o", &hash[1..], &format!("sha512:{hash}"), &format!("{hash} ")] {
        assert_eq!(slug(&names_of(&agent().with(model(text)))), "model_hash_malformed", "{text:?}");
    }
    assert_eq!(names_of(&agent()).unwrap().scope, None, "an agent needs none");
    let canonical = r#"{"allowed_actions":["read"],"v":1}"#;
    assert_eq!(names_of(&agent().with(scope(canonical))).unwrap().scope.as_deref(), Some(canonical));
    let spaced = r#"{"v": 1, "allowed_actions": ["read"]}"#;
    assert_eq!(slug(&names_of(&agent().with(scope(spaced)))), "scope_malformed");
    assert_eq!(slug(&names_of(&agent().with(scope(r#"{"v":1,"v":2}"#)))), "scope_malformed");
    assert_eq!(slug(&names_of(&agent().with(scope("{")))), "scope_malformed");
    // The platform's own certificates carry what its serialiser wrote, which is canonicalised; never a repetition.
    let platform = || named(&[uri("urn:kakunin:agent:a1")]);
    assert_eq!(names_of(&platform().with(scope(spaced))).unwrap().scope.as_deref(), Some(canonical));
    assert_eq!(slug(&names_of(&platform().with(scope(r#"{"v":1,"v":2}"#)))), "scope_malformed");

    // Canonical JSON that is no scope, because a member could be a limit that is not understood.
    for text in ["[]", r#"{"v":2}"#, r#"{"limit":1,"v":1}"#, r#"{"allowed_actions":"read","v":1}"#] {
        assert_eq!(slug(&names_of(&agent().with(scope(text)))), "scope_malformed", "{text}");
        assert_eq!(slug(&names_of(&platform().with(scope(text)))), "scope_malformed", "{text}");
    }
    let venues: Vec<String> = (0..1000).map(|n| format!(r#""{n:05}""#)).collect();
    let head =
        format!(r#"{{"allowed_actions":[],"leverage_permitted":false,"permitted_venues":[{},""#, venues.join(","));
    let long = format!(r#"{head}x{}"],"v":1}}"#, "x".repeat(8 * 1024 - head.len() - 10));
    assert_eq!(long.len(), 8 * 1024);
    assert_eq!(slug(&names_of(&agent().with(scope(&long)))), "valid");
    assert_eq!(slug(&names_of(&agent().with(scope(&format!("{long} "))))), "scope_malformed");
    // Other types, or more than one value, are not the extension.
    for value in [tlv(0x13, b"{}"), tlv(0x04, b"{}"), [utf8("{}"), utf8("{}")].concat(), b"{}".to_vec()] {
        let recipe = agent().with(extension("1.3.6.1.4.1.99999.3", false, &value));
        assert_eq!(slug(&names_of(&recipe)), "profile_violation");
    }
}

#[test]
fn a_profile_that_is_wrong_is_said_to_be() {
    let certificate = Certificate::parse(&World::new().agent()).unwrap();
    for (trust_domain, arc) in [
        ("", "1.2.3"),
        ("Agents.example", "1.2.3"),
        ("agents.example", "1.2.x"),
        ("agents.example", "3.1"),
        ("agents.example", "1.02"),
    ] {
        let profile = Profile { trust_domain: trust_domain.to_owned(), oid_arcs: vec![arc.to_owned()] };
        assert_eq!(slug(&read_agent(&certificate, &profile)), "profile_setting_invalid");
    }
}
