//! 16 and 27: revocation by CRL; what is not known is refused.

use kakunin_core::certificate::check_path;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use sha2::{Digest, Sha224};

use crate::recipe::*;
use crate::rsa::{RawRsa, pkcs1};

/// The agent under the two lists of its issuers.
fn check(root_crl: &CrlRecipe, crl: &CrlRecipe) -> &'static str {
    slug(&World::new().check_with(&[&root_crl.sign(&Key::number(1)), &crl.sign(&Key::number(2))]))
}

fn root_crl() -> CrlRecipe {
    CrlRecipe::new("Root", 1)
}

fn crl() -> CrlRecipe {
    CrlRecipe::new("Intermediate", 1)
}

#[test]
fn pki_27_every_certificate_below_the_anchor_needs_a_list() {
    let world = World::new();
    let (root_crl, crl) = (root_crl().sign(&Key::number(1)), crl().sign(&Key::number(2)));
    assert_eq!(slug(&world.check_with(&[])), "valid", "none given: not asked");
    assert_eq!(slug(&world.check_with(&[&root_crl, &crl])), "valid");
    assert_eq!(slug(&world.check_with(&[&crl, &root_crl, &crl])), "valid");
    assert_eq!(slug(&world.check_with(&[&crl])), "revocation_unknown");
    assert_eq!(slug(&world.check_with(&[&root_crl])), "revocation_unknown");
    let many: Vec<&[u8]> = vec![&crl; 65];
    assert_eq!(slug(&world.check_with(&many)), "list_too_long");
    assert_eq!(slug(&world.check_with(&[b"garbage"])), "crl_malformed");
    assert_eq!(slug(&world.check_with(&[&[&crl[..], &[0]].concat()])), "crl_malformed");
}

#[test]
fn pki_16_weak_digests_are_refused_in_lists() {
    // Sound in all else: each list bears a signature that is right under the digest it names.
    let (rsa, key) = (RawRsa::new(), Key::rsa());
    let root = Recipe::ca("Root", key.spki(), "Root", None).sign(&key);
    let agent = Recipe::agent(Key::number(3).spki(), "Root").sign(&key);
    let list = root_crl();
    let check = |signature_kind: &str, digest_kind: &str, hash: &dyn Fn(&[u8]) -> Vec<u8>| {
        let identifier = algorithm(signature_kind, &[5, 0]);
        let tbs = sequence(&[
            &[2, 1, 1],
            &identifier,
            &list.issuer,
            &list.this_update,
            &list.next_update,
            &tlv(0xa0, &tlv(0x30, &list.extensions.concat())),
        ]);
        let info = sequence(&[&algorithm(digest_kind, &[5, 0]), &tlv(4, &hash(&tbs))]);
        let crl = sequence(&[&tbs, &identifier, &bits(&rsa.sign(&pkcs1(&info)))]);
        slug(&check_path(&agent, &[], &[&root], &[&crl], NOW))
    };
    let sha1 = |tbs: &[u8]| digest(&SHA1_FOR_LEGACY_USE_ONLY, tbs).as_ref().to_vec();
    let sha224 = |tbs: &[u8]| Sha224::digest(tbs).to_vec();
    let sha256 = |tbs: &[u8]| digest(&SHA256, tbs).as_ref().to_vec();
    assert_eq!(check(RSA_WITH_SHA256, "2.16.840.1.101.3.4.2.1", &sha256), "valid");
    assert_eq!(check("1.2.840.113549.1.1.5", "1.3.14.3.2.26", &sha1), "revocation_unknown");
    assert_eq!(check("1.2.840.113549.1.1.14", "2.16.840.1.101.3.4.2.4", &sha224), "revocation_unknown");
}

#[test]
fn pki_27_listed_is_revoked_wherever_in_the_path() {
    let world = World::new();
    assert_eq!(check(&root_crl(), &crl().revoking(&[0x55])), "valid");
    assert_eq!(check(&root_crl(), &crl().revoking(&[0x55]).revoking(&world.agent.serial)), "certificate_revoked");
    assert_eq!(check(&root_crl().revoking(&world.intermediate.serial), &crl()), "certificate_revoked");
    // A list of the root does not speak about what the intermediate issued.
    assert_eq!(check(&root_crl().revoking(&[0x55]), &crl()), "valid");
    for reason in [0, 1, 2, 3, 4, 5, 6, 9, 10] {
        let reason_code = extension("2.5.29.21", false, &tlv(0x0a, &[reason]));
        let mut listing = crl();
        listing.revoked.push(crl_entry(&world.agent.serial, &[reason_code]));
        assert_eq!(check(&root_crl(), &listing), "certificate_revoked", "reason {reason}");
    }
    for reason in [7, 8, 11] {
        let reason_code = extension("2.5.29.21", false, &tlv(0x0a, &[reason]));
        let mut listing = crl();
        listing.revoked.push(crl_entry(&[0x55], &[reason_code]));
        assert_eq!(check(&root_crl(), &listing), "crl_malformed", "reason {reason}");
    }
}

#[test]
fn pki_27_a_list_is_current_from_this_update_to_before_next_update() {
    let with_times = |this: &[u8], next: &[u8]| CrlRecipe {
        this_update: tlv(0x17, this),
        next_update: tlv(0x17, next),
        ..root_crl()
    };
    let far = b"270101000000Z";
    for (this, next, expected) in [
        (b"260115120000Z", far, "valid"),
        (b"260115120001Z", far, "revocation_unknown"),
        (b"260101000000Z", b"260115120001Z", "valid"),
        (b"260101000000Z", b"260115120000Z", "revocation_unknown"),
        (b"260101000000Z", b"260115115959Z", "revocation_unknown"),
    ] {
        assert_eq!(check(&with_times(this, next), &crl()), expected, "{this:?} {next:?}");
    }
    // An ended list that names the certificate still says that it was revoked.
    let ended = CrlRecipe { next_update: tlv(0x17, b"260115010000Z"), ..crl() };
    assert_eq!(check(&root_crl(), &ended.revoking(&World::new().agent.serial)), "certificate_revoked");
    for next_update in [vec![], tlv(0x18, b"20260116000000Z"), tlv(0x17, b"2601160000Z")] {
        assert_eq!(check(&CrlRecipe { next_update, ..root_crl() }, &crl()), "crl_malformed");
    }
}

#[test]
fn pki_27_the_newest_list_counts_and_numbers_do_not_run_backwards() {
    let world = World::new();
    let root_crl = root_crl().sign(&Key::number(1));
    let list = |number: u8, this_update: &[u8], revoking: bool| {
        let list = CrlRecipe { this_update: tlv(0x17, this_update), ..CrlRecipe::new("Intermediate", number) };
        let list = if revoking { list.revoking(&world.agent.serial) } else { list };
        list.sign(&Key::number(2))
    };
    let both = |one: &[u8], other: &[u8]| {
        let (forth, back) = (world.check_with(&[&root_crl, one, other]), world.check_with(&[&root_crl, other, one]));
        assert_eq!(slug(&forth), slug(&back), "the order in which lists are given decides nothing");
        slug(&forth)
    };
    let (earlier, later) = (b"260115000000Z", b"260115060000Z");
    assert_eq!(both(&list(4, earlier, false), &list(5, later, true)), "certificate_revoked");
    assert_eq!(both(&list(4, earlier, true), &list(5, later, false)), "valid", "released from hold");
    assert_eq!(both(&list(5, earlier, true), &list(4, later, false)), "revocation_unknown");
    assert_eq!(both(&list(5, earlier, false), &list(4, later, false)), "revocation_unknown");
}

#[test]
fn pki_27_a_list_counts_only_if_its_issuer_signed_it_and_may() {
    let world = World::new();
    let own = root_crl().sign(&Key::number(1));
    let with = |crl: &[u8]| slug(&world.check_with(&[&own, crl]));
    assert_eq!(with(&crl().sign(&Key::number(9))), "revocation_unknown", "another key of the same name");
    assert_eq!(with(&CrlRecipe::new("Other", 1).sign(&Key::number(2))), "revocation_unknown", "another name");
    // The right one beside a wrong one.
    let (right, wrong) = (crl().sign(&Key::number(2)), crl().revoking(&world.agent.serial).sign(&Key::number(9)));
    assert_eq!(slug(&world.check_with(&[&own, &wrong, &right])), "valid");
    let mut forged = right.clone();
    let at = forged.windows(13).position(|window| window == b"260116000000Z").unwrap();
    forged[at] = b'3';
    assert_eq!(with(&forged), "revocation_unknown", "changed after it was signed");

    // Without cRLSign.
    let mut world = World::new();
    world.intermediate = world.intermediate.instead(key_usage(0x04));
    let crls: [&[u8]; 2] = [&own, &right];
    assert_eq!(slug(&world.check_with(&crls)), "revocation_unknown");
    world.intermediate.extensions.retain(|extension| !extension.ends_with(&[3, 2, 2, 4]));
    assert_eq!(slug(&world.check_with(&crls)), "valid", "no keyUsage at all");
}

#[test]
fn pki_27_two_issuers_of_one_name_have_each_their_list() {
    let world = World::new();
    let other = Recipe::ca("Intermediate", Key::number(8).spki(), "Root", Some(0)).sign(&Key::number(1));
    let other_agent = Recipe::agent(Key::number(6).spki(), "Intermediate").sign(&Key::number(8));
    let root = world.root();
    let own = root_crl().sign(&Key::number(1));
    let revoking = crl().revoking(&world.agent.serial).sign(&Key::number(2));
    let clean = CrlRecipe::new("Intermediate", 9).sign(&Key::number(8));
    for crls in [[own.as_slice(), &revoking, &clean], [&own, &clean, &revoking]] {
        assert_eq!(slug(&world.check_with(&crls)), "certificate_revoked");
        assert_eq!(slug(&check_path(&other_agent, &[&other], &[&root], &crls, NOW)), "valid");
    }
}

#[test]
fn pki_27_extensions_that_are_not_processed_make_a_list_useless() {
    let unknown = |critical| extension("1.2.3.4", critical, &[5, 0]);
    assert_eq!(check(&root_crl(), &crl().with(unknown(false))), "valid");
    assert_eq!(check(&root_crl(), &crl().with(unknown(true))), "revocation_unknown");
    let mut listing = crl();
    listing.revoked.push(crl_entry(&[0x55], &[unknown(false)]));
    assert_eq!(check(&root_crl(), &listing), "valid");
    listing.revoked.push(crl_entry(&[0x56], &[unknown(true)]));
    assert_eq!(check(&root_crl(), &listing), "revocation_unknown", "in an entry about another certificate");
    assert_eq!(check(&root_crl(), &crl().with(unknown(false)).with(unknown(false))), "crl_malformed");
    let authority_key_id = extension("2.5.29.35", false, &sequence(&[&tlv(0x80, &[1])]));
    assert_eq!(check(&root_crl(), &crl().with(authority_key_id)), "valid");
}

#[test]
fn pki_27_a_list_has_a_number() {
    let number = |critical, content: &[u8]| {
        let mut list = crl();
        list.extensions = vec![extension("2.5.29.20", critical, &tlv(2, content))];
        check(&root_crl(), &list)
    };
    assert_eq!(number(false, &[0]), "valid");
    assert_eq!(number(false, &[0x7f; 20]), "valid");
    assert_eq!(number(false, &[0x7f; 21]), "crl_malformed");
    assert_eq!(number(false, &[0xff]), "crl_malformed", "negative");
    assert_eq!(number(true, &[1]), "crl_malformed", "critical");
    let mut without = crl();
    without.extensions = vec![extension("1.2.3.4", false, &[5, 0])];
    assert_eq!(check(&root_crl(), &without), "crl_malformed");
}

/// issuingDistributionPoint with the given fields.
fn issuing_point(fields: &[&[u8]]) -> Vec<u8> {
    extension("2.5.29.28", true, &sequence(fields))
}

fn point_name(text: &str) -> Vec<u8> {
    tlv(0xa0, &tlv(0xa0, &uri(text)))
}

fn distribution_points(text: &str) -> Vec<u8> {
    extension("2.5.29.31", false, &sequence(&[&sequence(&[&point_name(text)])]))
}

#[test]
fn pki_27_a_list_for_other_certificates_tells_nothing() {
    let here = "http://crl.example/t1.crl";
    let with_point = |points: Option<Vec<u8>>, list: CrlRecipe| {
        let mut world = World::new();
        world.agent.extensions.extend(points);
        slug(&world.check_with(&[&root_crl().sign(&Key::number(1)), &list.sign(&Key::number(2))]))
    };
    let sharded = |text: &str| crl().with(issuing_point(&[&point_name(text)]));
    assert_eq!(with_point(Some(distribution_points(here)), sharded(here)), "valid");
    assert_eq!(with_point(Some(distribution_points(here)), crl()), "valid", "a list of everything");
    assert_eq!(with_point(Some(distribution_points(here)), sharded("http://crl.example/t2.crl")), "revocation_unknown");
    assert_eq!(with_point(None, sharded(here)), "revocation_unknown", "nothing says which shard it would be in");
    let issuer_as_point = tlv(0xa0, &tlv(0xa0, &tlv(0xa4, &common_name("Intermediate"))));
    assert_eq!(with_point(None, crl().with(issuing_point(&[&issuer_as_point]))), "valid");

    let (only_user, only_ca) = (tlv(0x81, &[0xff]), tlv(0x82, &[0xff]));
    for (fields, of_agent, of_intermediate) in [
        (vec![only_user.as_slice()], "valid", "revocation_unknown"),
        (vec![&only_ca], "revocation_unknown", "valid"),
        (vec![&tlv(0x83, &[5, 0x60])], "revocation_unknown", "revocation_unknown"),
        (vec![&tlv(0x84, &[0xff])], "revocation_unknown", "revocation_unknown"),
        (vec![&tlv(0x85, &[0xff])], "revocation_unknown", "revocation_unknown"),
        (vec![&tlv(0x81, &[0])], "crl_malformed", "crl_malformed"),
        (vec![&tlv(0x81, &[1])], "crl_malformed", "crl_malformed"),
        (vec![&only_ca, &only_user], "crl_malformed", "crl_malformed"),
        (vec![&tlv(0x86, &[0xff])], "crl_malformed", "crl_malformed"),
    ] {
        assert_eq!(check(&root_crl(), &crl().with(issuing_point(&fields))), of_agent, "{fields:?}");
        assert_eq!(check(&root_crl().with(issuing_point(&fields)), &crl()), of_intermediate, "{fields:?}");
    }
    // An entry for another issuer's certificate makes a list indirect as well.
    let mut indirect = crl();
    let certificate_issuer = extension("2.5.29.29", true, &tlv(0x30, &tlv(0xa4, &common_name("Other"))));
    indirect.revoked.push(crl_entry(&[0x55], &[certificate_issuer]));
    assert_eq!(check(&root_crl(), &indirect), "revocation_unknown");
}

#[test]
fn pki_27_a_delta_list_never_clears_anyone() {
    let world = World::new();
    let delta = |number: u8| CrlRecipe::new("Intermediate", number).with(extension("2.5.29.27", true, &tlv(2, &[1])));
    let with = |lists: &[&CrlRecipe]| {
        let mut crls = vec![root_crl().sign(&Key::number(1))];
        crls.extend(lists.iter().map(|list| list.sign(&Key::number(2))));
        slug(&world.check_with(&crls.iter().map(Vec::as_slice).collect::<Vec<_>>()))
    };
    let removal = |list: CrlRecipe| {
        let mut list = list;
        list.revoked.push(crl_entry(&world.agent.serial, &[extension("2.5.29.21", false, &tlv(0x0a, &[8]))]));
        list
    };
    assert_eq!(with(&[&delta(2)]), "revocation_unknown");
    assert_eq!(with(&[&crl(), &delta(2)]), "valid");
    assert_eq!(with(&[&crl(), &delta(2).revoking(&world.agent.serial)]), "revocation_unknown");
    assert_eq!(with(&[&crl().revoking(&world.agent.serial), &removal(delta(2))]), "certificate_revoked");
}

#[test]
fn pki_27_a_list_in_another_shape_is_malformed() {
    let list = crl().sign(&Key::number(2));
    let world = World::new();
    let root_crl = root_crl().sign(&Key::number(1));
    for end in 0..list.len() {
        assert_eq!(slug(&world.check_with(&[&root_crl, &list[..end]])), "crl_malformed", "cut at {end}");
    }
    // Version 1, and an inner algorithm that differs.
    let key = Key::number(2);
    let tbs = |version: &[u8], algorithm: &[u8]| {
        let number = extension("2.5.29.20", false, &[2, 1, 1]);
        sequence(&[
            version,
            algorithm,
            &common_name("Intermediate"),
            &crl().this_update,
            &crl().next_update,
            &tlv(0xa0, &tlv(0x30, &number)),
        ])
    };
    let signed = |tbs: Vec<u8>| sequence(&[&tbs, &key.algorithm(), &bits(&key.sign(&tbs))]);
    let good = signed(tbs(&[2, 1, 1], &key.algorithm()));
    assert_eq!(slug(&world.check_with(&[&root_crl, &good])), "valid");
    for bad in [
        signed(tbs(&[], &key.algorithm())),
        signed(tbs(&[2, 1, 0], &key.algorithm())),
        signed(tbs(&[2, 1, 2], &key.algorithm())),
        signed(tbs(&[2, 1, 1], &algorithm(RSA_WITH_SHA256, &[5, 0]))),
    ] {
        assert_eq!(slug(&world.check_with(&[&root_crl, &bad])), "crl_malformed");
    }
}
