//! 20 to 23: time is an argument, compared exactly.

use kakunin_core::UnixTime;
use kakunin_core::certificate::Certificate;

use crate::recipe::*;

const START: UnixTime = UnixTime::from_seconds(1_767_225_600); // 2026-01-01T00:00:00Z
const END: UnixTime = UnixTime::from_seconds(1_798_761_599); // 2026-12-31T23:59:59Z

#[test]
fn pki_20_both_ends_belong_to_the_validity_to_the_microsecond() {
    let world = World::new();
    for (what, at, expected) in [
        ("a second before", START.plus_seconds(-1), "certificate_not_yet_valid"),
        ("a microsecond before", UnixTime(START.0 - 1), "certificate_not_yet_valid"),
        ("the first instant", START, "valid"),
        ("the last instant", END, "valid"),
        ("a microsecond after", UnixTime(END.0 + 1), "certificate_expired"),
        ("a second after", END.plus_seconds(1), "certificate_expired"),
        ("the beginning of time", UnixTime(i64::MIN), "certificate_not_yet_valid"),
        ("the end of time", UnixTime(i64::MAX), "certificate_expired"),
    ] {
        assert_eq!(slug(&world.check_at(at)), expected, "{what}");
    }
}

#[test]
fn pki_21_an_issuer_that_ended_ends_the_path() {
    let places: [(&str, Place); 2] =
        [("intermediate", |world| &mut world.intermediate), ("root", |world| &mut world.root)];
    for (what, place) in places {
        let mut world = World::new();
        place(&mut world).not_after = tlv(0x17, b"260115115959Z");
        assert_eq!(slug(&world.check()), "certificate_expired", "{what}");
        let path = world.check_at(NOW.plus_seconds(-1)).unwrap();
        assert_eq!(path.not_after, NOW.plus_seconds(-1), "{what}");
        assert_eq!(path.leaf.not_after, END);

        let mut world = World::new();
        place(&mut world).not_before = tlv(0x17, b"260115120001Z");
        assert_eq!(slug(&world.check()), "certificate_not_yet_valid", "{what}");
        let path = world.check_at(NOW.plus_seconds(1)).unwrap();
        assert_eq!(path.not_before, NOW.plus_seconds(1), "{what}");
    }
}

#[test]
fn pki_22_times_have_one_form_per_year() {
    let not_after = |value: Vec<u8>| {
        let recipe = Recipe { not_before: tlv(0x17, b"500101000000Z"), not_after: value, ..World::new().agent };
        Certificate::parse(&recipe.sign(&Key::number(2))).map(|certificate| certificate.not_after)
    };
    let seconds = |seconds| Ok(UnixTime::from_seconds(seconds));
    // UTCTime is split at 50.
    assert_eq!(not_after(tlv(0x17, b"500101000000Z")), seconds(-631_152_000));
    assert_eq!(not_after(tlv(0x17, b"491231235959Z")), seconds(2_524_607_999));
    assert_eq!(not_after(tlv(0x18, b"20500101000000Z")), seconds(2_524_608_000));
    assert_eq!(not_after(tlv(0x18, b"99991231235959Z")), seconds(253_402_300_799));
    assert_eq!(not_after(tlv(0x17, b"280229120000Z")), seconds(1_835_438_400));
    for (tag, text) in [
        (0x18, "20491231235959Z"),
        (0x18, "20260101000000Z"),
        (0x18, "20500101000000"),
        (0x18, "20500101000000+0100"),
        (0x18, "20500101000000.5Z"),
        (0x18, "205001010000Z"),
        (0x18, "20500230000000Z"),
        (0x17, "261231235959"),
        (0x17, "2612312359Z"),
        (0x17, "261231235959+0000"),
        (0x17, "261231235960Z"),
        (0x17, "261231240000Z"),
        (0x17, "261301000000Z"),
        (0x17, "260001000000Z"),
        (0x17, "260100000000Z"),
        (0x17, "270229000000Z"),
        (0x17, "26123123595xZ"),
        (0x17, "20261231235959Z"),
        (0x0c, "261231235959Z"),
    ] {
        assert_eq!(slug(&not_after(tlv(tag, text.as_bytes()))), "certificate_malformed", "{tag:#x} {text}");
    }
    let backwards = Recipe { not_after: tlv(0x17, b"251231235959Z"), ..World::new().agent };
    assert_eq!(slug(&Certificate::parse(&backwards.sign(&Key::number(2)))), "certificate_invalid");
}

#[test]
fn pki_23_a_past_time_is_judged_by_what_held_then_but_never_against_a_later_crl() {
    let world = World::new();
    let root_crl = CrlRecipe::new("Root", 1).sign(&Key::number(1));
    let crl = CrlRecipe::new("Intermediate", 1).revoking(&world.agent.serial).sign(&Key::number(2));
    assert_eq!(slug(&world.check_with(&[&root_crl, &crl])), "certificate_revoked");
    // Asked about the day before, a list made afterwards is not evidence: the status is unknown, not good.
    let (agent, intermediate, root) = (world.agent(), world.intermediate(), world.root());
    let day_before = NOW.plus_seconds(-86_400);
    let outcome =
        kakunin_core::certificate::check_path(&agent, &[&intermediate], &[&root], &[&root_crl, &crl], day_before);
    assert_eq!(slug(&outcome), "revocation_unknown");
    // Without lists, revocation is not asked: whoever audits the past gets the path alone.
    assert_eq!(slug(&world.check_at(day_before)), "valid");
}
