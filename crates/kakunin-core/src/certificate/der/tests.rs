use super::*;

#[test]
fn reads_values_in_order_and_nothing_past_the_end() {
    let mut reader = Reader::new(&[0x02, 1, 5, 0x05, 0, 0x04, 2, 1]);
    assert_eq!(reader.optional(BOOLEAN), Ok(None));
    assert_eq!(reader.expect(INTEGER, "x"), Ok(&[5][..]));
    assert_eq!(reader.expect(INTEGER, "not an integer"), Err(Fault("not an integer")));
    assert_eq!(reader.optional(NULL), Ok(Some(&[][..])));
    assert!(reader.finish("more").is_err());
    assert!(reader.read().is_err());
    assert_eq!(reader.peek(), Some(OCTET_STRING), "a value that is cut off is not consumed");
}

#[test]
fn lengths_have_one_form() {
    let value = |header: &[u8], length: usize| [header, &vec![0; length]].concat();
    for (header, length) in
        [(&[4, 0x7f][..], 0x7f), (&[4, 0x81, 0x80], 0x80), (&[4, 0x82, 1, 0], 0x100), (&[4, 0x83, 1, 0, 0], 0x1_0000)]
    {
        let bytes = value(header, length);
        assert_eq!(only(&bytes, OCTET_STRING, "x").map(<[u8]>::len), Ok(length));
        assert!(only(&bytes[..bytes.len() - 1], OCTET_STRING, "x").is_err());
    }
    // Enough bytes follow for any of these to be read by a lax reader.
    for header in [
        &[4, 0x80][..],
        &[4, 0x81, 0x7f],
        &[4, 0x82, 0, 0x80],
        &[4, 0x83, 0, 1, 0],
        &[4, 0x85, 0, 0, 0, 0, 1],
        &[4, 0xff],
        &[0x1f, 0x20, 0],
    ] {
        assert!(Reader::new(&value(header, 0x200)).read().is_err(), "{header:?}");
    }
    for cut_off in [&[4][..], &[4, 0x82, 1], &[4, 0x84, 0xff, 0xff, 0xff, 0xff], &[4, 1]] {
        assert!(Reader::new(cut_off).read().is_err(), "{cut_off:?}");
    }
}

#[test]
fn integers_are_minimal_and_signs_are_seen() {
    for padded in [&[0_u8, 0][..], &[0, 0x7f], &[0xff, 0x80], &[0xff, 0xff], &[]] {
        assert!(integer(padded).is_err(), "{padded:?}");
    }
    for minimal in [&[0_u8][..], &[0x7f], &[0, 0x80], &[0x80], &[0xff, 0x7f]] {
        assert_eq!(integer(minimal), Ok(minimal));
    }
    assert_eq!(unsigned(&[0, 0x80]), Ok(&[0x80][..]));
    assert_eq!(unsigned(&[0]), Ok(&[0][..]));
    assert!(unsigned(&[0x80]).is_err());
    assert_eq!(small(&[0, 0xff, 0xff, 0xff, 0xff]), Ok(u32::MAX));
    assert!(small(&[1, 0, 0, 0, 0]).is_err());
}

#[test]
fn bit_strings_have_zero_padding() {
    assert_eq!(bit_string(&[0]), Ok((0, &[][..])));
    assert_eq!(bit_string(&[7, 0x80]), Ok((7, &[0x80][..])));
    assert_eq!(octets_of_bit_string(&[0, 0xff]), Ok(&[0xff][..]));
    for bad in [&[][..], &[1], &[8, 0], &[7, 0xc0], &[1, 0xff]] {
        assert!(bit_string(bad).is_err(), "{bad:?}");
    }
    assert!(octets_of_bit_string(&[1, 0xfe]).is_err());
}

#[test]
fn object_identifiers_go_both_ways() {
    for (text, octets) in [
        ("2.5.29.19", &[0x55, 0x1d, 0x13][..]),
        ("1.3.6.1.4.1.99999", &[0x2b, 6, 1, 4, 1, 0x86, 0x8d, 0x1f]),
        ("2.999.1", &[0x88, 0x37, 1]),
        ("0.0", &[0]),
        ("2.39.18446744073709551615", &[0x77, 0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
    ] {
        assert_eq!(oid_octets(text).as_deref(), Some(octets), "{text}");
        assert_eq!(oid_text(octets), text);
        assert_eq!(oid(octets), Ok(()));
    }
    for text in
        ["", "1", "1.", ".1", "1..2", "3.1", "1.40", "1.2.-3", "1.2.+3", "1.2.03", "1.2.18446744073709551616", "a.b"]
    {
        assert_eq!(oid_octets(text), None, "{text:?}");
    }
    assert!(oid(&[]).is_err() && oid(&[0x80, 1]).is_err() && oid(&[0x55, 0x80, 1]).is_err() && oid(&[0x88]).is_err());
    assert_eq!(oid_text(&[0x55, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), "2.5.?");
}

#[test]
fn times_are_counted_from_1970() {
    for (tag, text, seconds) in [
        (UTC_TIME, "700101000000Z", 0),
        (UTC_TIME, "691231235959Z", -1),
        (UTC_TIME, "000229000000Z", 951_782_400),
        (UTC_TIME, "380119031408Z", 2_147_483_648),
        (GENERALIZED_TIME, "00000101000000Z", -62_167_219_200),
        (GENERALIZED_TIME, "24000229000000Z", 13_574_563_200),
    ] {
        assert_eq!(time(tag, text.as_bytes()), Ok(UnixTime::from_seconds(seconds)), "{text}");
    }
    assert!(time(GENERALIZED_TIME, b"21000229000000Z").is_err(), "2100 is no leap year");
    assert!(time(UTC_TIME, b"").is_err() && time(UTC_TIME, b"Z").is_err());
}

#[test]
fn types_and_nesting_are_checked_to_the_depth() {
    let wrap = |times: usize| {
        (0..times).fold(vec![NULL, 0], |value, _| [&[SEQUENCE, value.len() as u8], value.as_slice()].concat())
    };
    assert_eq!(check(&wrap(DEPTH_MAX - 1)), Ok(()));
    assert!(check(&wrap(DEPTH_MAX)).is_err());
    for (what, bytes) in [
        ("a primitive SEQUENCE", &[0x10, 0][..]),
        ("a constructed INTEGER", &[0x22, 3, 2, 1, 1]),
        ("REAL", &[0x09, 0]),
        ("the end of an indefinite length", &[0x00, 0]),
        ("NULL with content", &[5, 1, 0]),
        ("a bad value within a context tag", &[0xa0, 3, 1, 1, 1]),
        ("half a BMP character", &[BMP_STRING, 1, 0]),
        ("an equal pair in a SET", &[SET, 4, 5, 0, 5, 0]),
        ("letters in NumericString", &[NUMERIC_STRING, 1, b'a']),
        ("a high octet in IA5String", &[IA5_STRING, 1, 0x80]),
        ("a control in VisibleString", &[VISIBLE_STRING, 1, 7]),
    ] {
        assert!(check(bytes).is_err(), "{what}");
    }
    assert_eq!(check(&[0x80, 1, 0xff]), Ok(()), "what a context tag means is for others to say");
}
