//! 10, 11 and 13: serial numbers.

use kakunin_core::certificate::{Certificate, check_path, serial};

use crate::recipe::*;

#[test]
fn pki_10_every_way_of_writing_a_serial_number_is_one() {
    let canonical = "FE01A2B3C4D5E6F708192A3B4C5D6E7F";
    for text in [
        canonical,
        "00FE01A2B3C4D5E6F708192A3B4C5D6E7F",
        "fe01a2b3c4d5e6f708192a3b4c5d6e7f",
        "FE:01:A2:B3:C4:D5:E6:F7:08:19:2A:3B:4C:5D:6E:7F",
        "fe01-a2b3-c4d5-e6f7-0819-2a3b-4c5d-6e7f",
        "fe 01 a2 b3 c4 d5 e6 f7 08 19 2a 3b 4c 5d 6e 7f",
        "0xfe01a2b3c4d5e6f708192a3b4c5d6e7f",
        "0XFE01A2B3C4D5E6F708192A3B4C5D6E7F",
        " FE01A2B3C4D5E6F708192A3B4C5D6E7F ",
    ] {
        assert_eq!(serial::normalize(text).as_deref(), Ok(canonical), "{text}");
    }
    // An odd number of digits is padded in front.
    for (text, expected) in [("1", "01"), ("abc", "0ABC"), ("0abc", "0ABC"), ("000abc", "0ABC"), ("f:ab", "0FAB")] {
        assert_eq!(serial::normalize(text).as_deref(), Ok(expected), "{text}");
    }
    assert_eq!(serial::normalize("10").as_deref(), Ok("10"));
    assert_eq!(serial::from_decimal("10").as_deref(), Ok("0A"));
    assert_eq!(
        serial::from_decimal("340282366920938463463374607431768211455").as_deref(),
        Ok("FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF")
    );
}

#[test]
fn pki_10_what_is_no_serial_number_is_refused() {
    for text in [
        "", " ", "0x", ":", "fe:", ":fe", "fe::01", "fe -01", "xyz", "fe\0", "fe\n", "0x0xfe", "٣", "ｆｅ", "+1",
        "1.5", "1e3g",
    ] {
        assert_eq!(slug(&serial::normalize(text)), "serial_malformed", "{text:?}");
    }
    for text in ["", "0", "-1", "0x1", "1 2", "٣"] {
        assert_eq!(slug(&serial::from_decimal(text)), "serial_malformed", "{text:?}");
    }
}

#[test]
fn pki_11_zero_negative_and_long_serial_numbers_are_refused() {
    for text in ["0", "00", "0x000", "-1", "-FE", "- FE"] {
        assert_eq!(slug(&serial::normalize(text)), "serial_malformed", "{text:?}");
    }
    // Twenty octets in DER; a set top bit needs one more for the sign.
    assert_eq!(slug(&serial::normalize(&"7f".repeat(20))), "valid");
    assert_eq!(slug(&serial::normalize(&"ff".repeat(19))), "valid");
    assert_eq!(slug(&serial::normalize(&"ff".repeat(20))), "serial_malformed");
    assert_eq!(slug(&serial::normalize(&"01".repeat(21))), "serial_malformed");
    assert_eq!(slug(&serial::normalize(&"0".repeat(129))), "serial_malformed");

    let parse = |content: &[u8]| {
        let recipe = Recipe { serial: content.to_vec(), ..World::new().agent };
        Certificate::parse(&recipe.sign(&Key::number(2))).map(|certificate| certificate.serial)
    };
    assert_eq!(parse(&[0x7f; 20]), Ok("7F".repeat(20)));
    assert_eq!(parse(&[0, 0xfe, 1]), Ok("FE01".to_owned()));
    assert_eq!(parse(&[1]), Ok("01".to_owned()));
    for (content, expected) in [
        (&[0_u8][..], "serial_invalid"),
        (&[0xfe], "serial_invalid"),
        (&[0xff; 1], "serial_invalid"),
        (&[0x7f; 21], "serial_invalid"),
        (&[&[0_u8][..], &[0xff; 20]].concat(), "serial_invalid"),
        (&[], "certificate_malformed"),
    ] {
        assert_eq!(slug(&parse(content)), expected, "{content:?}");
    }
}

#[test]
fn pki_11_a_negative_entry_of_a_crl_is_not_the_positive_serial_number() {
    let mut world = World::new();
    world.agent.serial = vec![0, 0xfe];
    let root_crl = CrlRecipe::new("Root", 1).sign(&Key::number(1));
    let check = |entry: &[u8]| {
        let crl = CrlRecipe::new("Intermediate", 1).revoking(entry).sign(&Key::number(2));
        slug(&world.check_with(&[&root_crl, &crl]))
    };
    assert_eq!(check(&[0xfe]), "valid");
    assert_eq!(check(&[0, 0xfe]), "certificate_revoked");
}

#[test]
fn pki_13_one_serial_number_under_two_issuers_is_two_certificates() {
    let world = World::new();
    let other_ca = Recipe::ca("Other", Key::number(5).spki(), "Root", None).sign(&Key::number(1));
    let other_agent = Recipe { serial: world.agent.serial.clone(), ..Recipe::agent(Key::number(6).spki(), "Other") };
    let other_agent = other_agent.sign(&Key::number(5));
    let root_crl = CrlRecipe::new("Root", 1).sign(&Key::number(1));
    let revoking = CrlRecipe::new("Intermediate", 1).revoking(&world.agent.serial).sign(&Key::number(2));
    let other = CrlRecipe::new("Other", 1).sign(&Key::number(5));
    let crls: [&[u8]; 3] = [&root_crl, &revoking, &other];
    assert_eq!(slug(&world.check_with(&crls)), "certificate_revoked");
    let root = world.root();
    assert_eq!(slug(&check_path(&other_agent, &[&other_ca], &[&root], &crls, NOW)), "valid");
}
