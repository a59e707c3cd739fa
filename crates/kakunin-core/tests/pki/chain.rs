//! 24 to 26: who may issue for whom.

use std::time::{Duration, Instant};

use kakunin_core::Reason;
use kakunin_core::certificate::{Certificate, check_agent, check_anchor, check_parsed_path, check_path};

use crate::names::profile;
use crate::recipe::*;

#[test]
fn a_path_says_what_it_is_made_of() {
    let world = World::new();
    let path = world.check().unwrap();
    assert_eq!(path.leaf.der, world.agent());
    assert_eq!(path.leaf.subject, "CN=a1");
    assert_eq!(path.leaf.issuer, "CN=Intermediate");
    assert_eq!(path.leaf.serial, "10");
    assert_eq!(path.intermediates.iter().map(|ca| ca.subject.as_str()).collect::<Vec<_>>(), ["CN=Intermediate"]);
    assert_eq!(path.anchor.der, world.root());
    assert!(path.anchor.is_ca && !path.leaf.is_ca);
    // The same from certificates that were parsed before.
    let [agent, intermediate, root] =
        [world.agent(), world.intermediate(), world.root()].map(|der| Certificate::parse(&der).unwrap());
    let parsed = check_parsed_path(&agent, &[intermediate], &[root], &[], NOW).unwrap();
    assert_eq!(parsed.anchor.fingerprint, path.anchor.fingerprint);
}

#[test]
fn a_path_needs_its_intermediates_and_an_anchor() {
    let world = World::new();
    let (agent, intermediate, root) = (world.agent(), world.intermediate(), world.root());
    let check = |chain: &[&[u8]], anchors: &[&[u8]]| slug(&check_path(&agent, chain, anchors, &[], NOW));
    assert_eq!(check(&[], &[&root]), "issuer_unknown");
    assert_eq!(check(&[&intermediate], &[]), "no_trust_anchor");
    assert_eq!(check(&[&intermediate, &root], &[&intermediate]), "valid", "an anchor need not be self-signed");
    assert_eq!(check(&[&root, &agent, &intermediate, &intermediate], &[&root]), "valid", "any order, and too much");
    let other_root = Recipe::ca("Root", Key::number(9).spki(), "Root", None).sign(&Key::number(9));
    assert_eq!(check(&[&intermediate], &[&other_root]), "signature_invalid", "the same name, another key");
    assert_eq!(check(&[&intermediate], &[&other_root, &root]), "valid");
    // What cannot be parsed is passed over, and is the reason only when nothing else leads on.
    assert_eq!(check(&[b"garbage", &intermediate], &[b"garbage", &root]), "valid");
    assert_eq!(check(&[b"garbage"], &[&root]), "certificate_malformed");
    assert_eq!(check(&[&intermediate], &[b"garbage"]), "certificate_malformed");
    assert_eq!(slug(&check_path(b"garbage", &[], &[&root], &[], NOW)), "certificate_malformed");
    assert_eq!(slug(&check_path(b"", &[], &[&root], &[], NOW)), "certificate_malformed");
}

#[test]
fn pki_24_only_a_ca_issues() {
    // An agent as issuer.
    let world = World::new();
    let child = Recipe::new("child", Key::number(4).spki(), "a1").sign(&Key::number(3));
    let chain = [world.agent(), world.intermediate()];
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    assert_eq!(slug(&check_path(&child, &chain, &[&world.root()], &[], NOW)), "issuer_not_ca");

    let intermediates = [
        ("without keyCertSign", vec![basic_constraints(true, None), key_usage(0x02)], "issuer_not_ca"),
        ("for signing data", vec![basic_constraints(true, None), key_usage(DIGITAL_SIGNATURE)], "issuer_not_ca"),
        ("not a CA", vec![basic_constraints(false, None), key_usage(DIGITAL_SIGNATURE)], "issuer_not_ca"),
        (
            "not a CA but keyCertSign",
            vec![basic_constraints(false, None), key_usage(CERT_AND_CRL_SIGN)],
            "certificate_invalid",
        ),
        ("without basicConstraints", vec![key_usage(DIGITAL_SIGNATURE)], "issuer_not_ca"),
        ("without extensions", vec![], "issuer_not_ca"),
        ("a CA without keyUsage", vec![basic_constraints(true, None)], "valid"),
    ];
    for (what, extensions, expected) in intermediates {
        let mut world = World::new();
        world.intermediate.extensions = extensions.clone();
        assert_eq!(slug(&world.check()), expected, "intermediate {what}");
        let mut world = World::new();
        world.root.extensions = extensions;
        assert_eq!(slug(&world.check()), expected, "root {what}");
    }
}

#[test]
fn pki_24_a_ca_is_no_agent_but_its_path_can_be_valid() {
    let world = World::new();
    let (intermediate, root) = (world.intermediate(), world.root());
    assert_eq!(slug(&check_path(&intermediate, &[], &[&root], &[], NOW)), "valid");
    assert_eq!(slug(&check_path(&root, &[], &[&root], &[], NOW)), "valid", "the anchor itself is issued by the anchor");
    let mut agent_ca = world.agent.clone().instead(basic_constraints(true, None)).instead(key_usage(0x84));
    agent_ca.issuer = common_name("Root");
    let agent_ca = agent_ca.sign(&Key::number(1));
    assert_eq!(slug(&check_path(&agent_ca, &[], &[&root], &[], NOW)), "valid");
    assert_eq!(slug(&check_agent(&agent_ca, &[], &[&root], &[], NOW, &profile())), "profile_violation");
    // Every rule holds for a CA as for anyone.
    let forged = Recipe::ca("Intermediate", Key::number(2).spki(), "Root", None).sign(&Key::number(9));
    assert_eq!(slug(&check_path(&forged, &[], &[&root], &[], NOW)), "signature_invalid");
    assert_eq!(
        slug(&check_path(&intermediate, &[], &[&root], &[], NOW.plus_seconds(400 * 86_400))),
        "certificate_expired"
    );
    let crl = CrlRecipe::new("Root", 1).revoking(&world.intermediate.serial).sign(&Key::number(1));
    assert_eq!(slug(&check_path(&intermediate, &[], &[&root], &[&crl], NOW)), "certificate_revoked");
}

#[test]
fn pki_24_path_lengths_count_the_intermediates_below() {
    // Root (limit) - A - B - agent, and the same ending with B as the target.
    let check = |root_limit, a_limit, agent: bool| {
        let root = Recipe::ca("Root", Key::number(1).spki(), "Root", root_limit).sign(&Key::number(1));
        let a = Recipe::ca("A", Key::number(2).spki(), "Root", a_limit).sign(&Key::number(1));
        let b = Recipe::ca("B", Key::number(4).spki(), "A", None).sign(&Key::number(2));
        let leaf = Recipe::agent(Key::number(3).spki(), "B").sign(&Key::number(4));
        let outcome = if agent {
            check_path(&leaf, &[&a, &b], &[&root], &[], NOW)
        } else {
            check_path(&b, &[&a], &[&root], &[], NOW)
        };
        slug(&outcome)
    };
    for (root_limit, a_limit, agent, expected) in [
        (None, None, true, "valid"),
        (Some(2), Some(1), true, "valid"),
        (Some(1), None, true, "path_length_exceeded"),
        (Some(0), None, true, "path_length_exceeded"),
        (None, Some(0), true, "path_length_exceeded"),
        // The target is no intermediate, CA or not.
        (Some(1), Some(0), false, "valid"),
        (Some(0), None, false, "path_length_exceeded"),
    ] {
        assert_eq!(check(root_limit, a_limit, agent), expected, "{root_limit:?} {a_limit:?} {agent}");
    }
}

#[test]
fn pki_24_a_ca_that_renews_its_key_does_not_use_up_a_path_length() {
    // Root (limit 1) - CA - CA with a new key (self-issued) - agent.
    let root = Recipe::ca("Root", Key::number(1).spki(), "Root", Some(1)).sign(&Key::number(1));
    let old = Recipe::ca("CA", Key::number(2).spki(), "Root", Some(0)).sign(&Key::number(1));
    let new = Recipe::ca("CA", Key::number(4).spki(), "CA", Some(0)).sign(&Key::number(2));
    let agent = Recipe::agent(Key::number(3).spki(), "CA").sign(&Key::number(4));
    assert_eq!(slug(&check_path(&agent, &[&new, &old], &[&root], &[], NOW)), "valid");
    let path = check_path(&agent, &[&old, &new], &[&root], &[], NOW).unwrap();
    assert_eq!(path.intermediates.len(), 2);
    // The same with another name in between does.
    let new = Recipe::ca("Other", Key::number(4).spki(), "CA", Some(0)).sign(&Key::number(2));
    let agent = Recipe::agent(Key::number(3).spki(), "Other").sign(&Key::number(4));
    assert_eq!(slug(&check_path(&agent, &[&new, &old], &[&root], &[], NOW)), "path_length_exceeded");
}

#[test]
fn pki_24_only_a_sound_ca_can_be_registered_as_an_anchor() {
    let world = World::new();
    let check = |der: &[u8]| slug(&check_anchor(der, NOW));
    assert_eq!(check(&world.root()), "valid");
    assert_eq!(check(&world.intermediate()), "valid", "who signed it does not matter");
    assert_eq!(check(&world.agent()), "issuer_not_ca");
    assert_eq!(check(b"garbage"), "certificate_malformed");
    assert_eq!(slug(&check_anchor(&world.root(), NOW.plus_seconds(400 * 86_400))), "certificate_expired");
    assert_eq!(slug(&check_anchor(&world.root(), NOW.plus_seconds(-400 * 86_400))), "certificate_not_yet_valid");
    let no_sign = world.root.clone().instead(key_usage(0x02)).sign(&Key::number(1));
    assert_eq!(check(&no_sign), "issuer_not_ca");
    let unknown = world.root.clone().with(extension("1.2.3.4", true, &[5, 0])).sign(&Key::number(1));
    assert_eq!(check(&unknown), "critical_extension_unknown");
}

#[test]
fn pki_24_a_self_signed_agent_is_nobody() {
    let world = World::new();
    let mut recipe = world.agent.clone();
    recipe.issuer = recipe.subject.clone();
    let self_signed = recipe.sign(&Key::number(3));
    assert_eq!(slug(&check_path(&self_signed, &[], &[&world.root()], &[], NOW)), "issuer_unknown");
    assert_eq!(slug(&check_path(&self_signed, &[&self_signed], &[&world.root()], &[], NOW)), "issuer_unknown");
    // Not even as an anchor: anchors are CAs.
    assert_eq!(slug(&check_path(&self_signed, &[], &[&self_signed], &[], NOW)), "issuer_not_ca");
}

#[test]
fn extensions_that_contradict_each_other_are_refused() {
    let limit_without_ca = extension("2.5.29.19", true, &sequence(&[&[2, 1, 0]]));
    for extension in [limit_without_ca, key_usage(0x84), permitted(&[dns("agents.example")])] {
        let mut world = World::new();
        world.agent = world.agent.instead(extension);
        assert_eq!(slug(&world.check()), "certificate_invalid");
    }
}

#[test]
fn names_are_compared_as_names() {
    // RFC 5280 section 7.1: case and white space of a name do not matter, nor whether it is UTF8 or Printable.
    let check = |issuer: Vec<u8>| {
        let mut world = World::new();
        world.agent.issuer = issuer;
        slug(&world.check())
    };
    assert_eq!(check(common_name("INTERMEDIATE")), "valid");
    assert_eq!(check(common_name("  intermediate ")), "valid");
    assert_eq!(check(name(&[("2.5.4.3", tlv(0x13, b"Intermediate"))])), "valid");
    assert_eq!(check(common_name("Inter mediate")), "issuer_unknown");
    assert_eq!(check(name(&[("2.5.4.10", utf8("Intermediate"))])), "issuer_unknown");
    assert_eq!(check(name(&[("2.5.4.3", utf8("Intermediate")), ("2.5.4.3", utf8("Intermediate"))])), "issuer_unknown");
}

fn identified(recipe: Recipe, key_id: u8) -> Recipe {
    recipe.with(extension("2.5.29.14", false, &tlv(4, &[key_id])))
}

#[test]
fn pki_25_two_intermediates_of_one_name_are_told_apart() {
    let world = World::new();
    let other = Recipe::ca("Intermediate", Key::number(8).spki(), "Root", Some(0));
    let (agent, right, wrong, root) = (world.agent(), world.intermediate(), other.sign(&Key::number(1)), world.root());
    for chain in [[right.as_slice(), &wrong], [&wrong, &right]] {
        let path = check_path(&agent, &chain, &[&root], &[], NOW).unwrap();
        assert_eq!(path.intermediates[0].der, right);
    }
    assert_eq!(slug(&check_path(&agent, &[&wrong], &[&root], &[], NOW)), "signature_invalid");
    // A key identifier that points at the wrong one is a hint, not a rule.
    let agent =
        world.agent.clone().with(extension("2.5.29.35", false, &sequence(&[&tlv(0x80, &[8])]))).sign(&Key::number(2));
    let right = identified(world.intermediate.clone(), 2).sign(&Key::number(1));
    let wrong = identified(other, 8).sign(&Key::number(1));
    assert_eq!(slug(&check_path(&agent, &[&right, &wrong], &[&root], &[], NOW)), "valid");
}

#[test]
fn pki_25_an_expired_or_revoked_way_does_not_close_the_other() {
    let world = World::new();
    let (agent, root) = (world.agent(), world.root());
    // The same name and key, certified twice; the old certificate ended, or was revoked.
    let mut old = world.intermediate.clone();
    old.not_after = tlv(0x17, b"260114000000Z");
    let (old, new) = (old.sign(&Key::number(1)), world.intermediate());
    for chain in [[old.as_slice(), &new], [&new, &old]] {
        assert_eq!(check_path(&agent, &chain, &[&root], &[], NOW).unwrap().intermediates[0].der, new);
    }
    let mut other = world.intermediate.clone();
    other.serial = vec![0x77];
    let other = other.sign(&Key::number(1));
    let root_crl = CrlRecipe::new("Root", 1).revoking(&world.intermediate.serial).sign(&Key::number(1));
    let crl = CrlRecipe::new("Intermediate", 1).sign(&Key::number(2));
    for chain in [[other.as_slice(), &new], [&new, &other]] {
        let path = check_path(&agent, &chain, &[&root], &[&root_crl, &crl], NOW).unwrap();
        assert_eq!(path.intermediates[0].der, other);
    }
    assert_eq!(slug(&check_path(&agent, &[&new], &[&root], &[&root_crl, &crl], NOW)), "certificate_revoked");
}

#[test]
fn pki_25_cross_signed_roots_and_cycles_find_the_anchor() {
    let world = World::new();
    let (agent, intermediate) = (world.agent(), world.intermediate());
    // Root was certified by New root, which is the only anchor; Root certified New root in turn.
    let new_root = Recipe::ca("New root", Key::number(11).spki(), "New root", None).sign(&Key::number(11));
    let cross = Recipe::ca("Root", Key::number(1).spki(), "New root", None).sign(&Key::number(11));
    let back = Recipe::ca("New root", Key::number(11).spki(), "Root", None).sign(&Key::number(1));
    let path = check_path(&agent, &[&back, &world.root(), &intermediate, &cross], &[&new_root], &[], NOW).unwrap();
    assert_eq!(path.anchor.der, new_root);
    assert_eq!(path.intermediates.len(), 2);
    // The cycle without an anchor ends too.
    let unrelated = Recipe::ca("Unrelated", Key::number(12).spki(), "Unrelated", None).sign(&Key::number(12));
    let cycle: [&[u8]; 4] = [&back, &world.root(), &intermediate, &cross];
    assert_eq!(slug(&check_path(&agent, &cycle, &[&unrelated], &[], NOW)), "issuer_unknown");
    // Both roots are anchors: the shortest way is taken.
    let path = check_path(&agent, &cycle[1..], &[&new_root, &world.root()], &[], NOW).unwrap();
    assert_eq!(path.intermediates.len(), 1);
}

#[test]
fn pki_25_more_than_eight_intermediates_are_refused_and_eight_are_not() {
    let root = Recipe::ca("CA 0", Key::number(20).spki(), "CA 0", None).sign(&Key::number(20));
    let chain: Vec<Vec<u8>> = (1..=9)
        .map(|i| {
            Recipe::ca(&format!("CA {i}"), Key::number(20 + i).spki(), &format!("CA {}", i - 1), None)
                .sign(&Key::number(19 + i))
        })
        .collect();
    for length in 1..=9_usize {
        let agent = Recipe::agent(Key::number(3).spki(), &format!("CA {length}")).sign(&Key::number(20 + length as u8));
        let chain: Vec<&[u8]> = chain[..length].iter().map(Vec::as_slice).collect();
        let outcome = check_path(&agent, &chain, &[&root], &[], NOW);
        if length <= 8 {
            assert_eq!(outcome.unwrap().intermediates.len(), length);
        } else {
            assert_eq!(outcome.unwrap_err(), Reason::ChainTooLong { count: 9, max: 8 });
        }
    }
    let world = World::new();
    let decoys = vec![world.intermediate(); 100];
    let decoys: Vec<&[u8]> = decoys.iter().map(Vec::as_slice).collect();
    assert_eq!(slug(&check_path(&world.agent(), &decoys, &[&world.root()], &[], NOW)), "chain_too_long");
}

#[test]
fn pki_25_decoys_of_one_name_cost_little_and_change_nothing() {
    // Seven CAs of the intermediate's name that certify each other, with valid signatures, before the right one.
    let world = World::new();
    let (agent, intermediate, root) = (world.agent(), world.intermediate(), world.root());
    let decoys: Vec<Vec<u8>> = (0..7_u8)
        .map(|i| {
            Recipe::ca("Intermediate", Key::number(40 + i).spki(), "Intermediate", None)
                .sign(&Key::number(40 + (i + 1) % 7))
        })
        .collect();
    let mut chain: Vec<&[u8]> = decoys.iter().map(Vec::as_slice).collect();
    chain.push(&intermediate);
    let started = Instant::now();
    assert_eq!(slug(&check_path(&agent, &chain, &[&root], &[], NOW)), "valid");
    // A hundred anchors of the root's name, the right one last.
    let impostors: Vec<Vec<u8>> = (0..100)
        .map(|i| {
            let mut recipe = Recipe::ca("Root", Key::number(60).spki(), "Root", None);
            recipe.serial = vec![1, i];
            recipe.sign(&Key::number(60))
        })
        .collect();
    let mut anchors: Vec<&[u8]> = impostors.iter().map(Vec::as_slice).collect();
    anchors.push(&root);
    assert_eq!(slug(&check_path(&agent, &[&intermediate], &anchors, &[], NOW)), "valid");
    // Eight of one name that all certify each other and lead nowhere, in every order: given up, not followed.
    let clique: Vec<Vec<u8>> = (0..8_u8)
        .map(|i| {
            Recipe::ca("Intermediate", Key::number(2).spki(), "Intermediate", None)
                .with(extension("1.2.3", false, &[i]))
                .sign(&Key::number(2))
        })
        .collect();
    let clique: Vec<&[u8]> = clique.iter().map(Vec::as_slice).collect();
    assert_eq!(slug(&check_path(&agent, &clique, &[&root], &[], NOW)), "issuer_unknown");
    let elapsed = started.elapsed();
    assert!(elapsed < Duration::from_millis(2000), "{elapsed:?}, in a build without optimisation");
}

#[test]
fn pki_26_a_tenants_ca_issues_for_that_tenant() {
    let tenant = |text: &str| alt_names(&[uri(text)]);
    let check = |intermediate: &[Vec<u8>], root: &[Vec<u8>]| {
        let mut world = World::new();
        world.intermediate.extensions.extend_from_slice(intermediate);
        world.root.extensions.extend_from_slice(root);
        let outcome = check_agent(&world.agent(), &[&world.intermediate()], &[&world.root()], &[], NOW, &profile());
        slug(&outcome)
    };
    let (own, other) = ("spiffe://agents.example/tenant/t1", "spiffe://agents.example/tenant/t2");
    assert_eq!(check(&[], &[]), "valid");
    assert_eq!(check(&[tenant(own)], &[]), "valid");
    assert_eq!(check(&[tenant(own)], &[tenant("spiffe://agents.example")]), "valid");
    assert_eq!(check(&[tenant(other)], &[]), "tenant_mismatch");
    assert_eq!(check(&[tenant(own)], &[tenant(other)]), "tenant_mismatch");
    assert_eq!(check(&[tenant("spiffe://other.example/tenant/t1")], &[]), "trust_domain_mismatch");
    assert_eq!(check(&[tenant("spiffe://agents.example/tenant/t1/../t2")], &[]), "profile_violation");
    assert_eq!(check(&[tenant(AGENT_ID)], &[]), "profile_violation");
    assert_eq!(check(&[tenant("https://ca.example/")], &[]), "valid", "no SPIFFE id");
}

#[test]
fn pki_26_the_ca_of_the_same_name_but_another_key_is_another_tenant() {
    let world = World::new();
    let mut other = Recipe::ca("Intermediate", Key::number(8).spki(), "Root", Some(0));
    other.extensions.push(alt_names(&[uri("spiffe://agents.example/tenant/t2")]));
    let forged = world.agent.clone().sign(&Key::number(8));
    let outcome = check_agent(
        &forged,
        &[&other.sign(&Key::number(1)), &world.intermediate()],
        &[&world.root()],
        &[],
        NOW,
        &profile(),
    );
    assert_eq!(slug(&outcome), "tenant_mismatch");
    // Its alternative name changed after it was signed.
    let mut der = other.sign(&Key::number(1));
    let at = der.windows(2).rposition(|pair| pair == b"t2").unwrap();
    der[at + 1] = b'1';
    let outcome = check_agent(&forged, &[&der], &[&world.root()], &[], NOW, &profile());
    assert_eq!(slug(&outcome), "signature_invalid");
}
