use super::*;

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, content.len() as u8], content].concat()
}

fn attribute(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
    tlv(der::SEQUENCE, &[tlv(der::OID, oid), tlv(tag, value)].concat())
}

/// A name of relative names, each of attributes.
fn name(rdns: &[&[Vec<u8>]]) -> Vec<u8> {
    let content: Vec<u8> = rdns.iter().flat_map(|attributes| tlv(der::SET, &attributes.concat())).collect();
    tlv(der::SEQUENCE, &content)
}

fn common_name(tag: u8, value: &[u8]) -> Vec<u8> {
    name(&[&[attribute(COMMON_NAME, tag, value)]])
}

fn utf8(value: &str) -> Vec<u8> {
    common_name(der::UTF8_STRING, value.as_bytes())
}

#[test]
fn text_follows_rfc_4514() {
    let (country, organization) = (&[0x55, 4, 6], ORGANIZATION);
    let shown = name(&[
        &[attribute(country, der::PRINTABLE_STRING, b"EU")],
        &[attribute(organization, der::UTF8_STRING, b"Sue, Grabbit and Runn")],
        &[
            attribute(COMMON_NAME, der::UTF8_STRING, b"L. Eagle"),
            attribute(&[0x55, 4, 0x0b], der::UTF8_STRING, b"Sales"),
        ],
    ]);
    assert_eq!(text(&shown).as_deref(), Ok("CN=L. Eagle+OU=Sales,O=Sue\\, Grabbit and Runn,C=EU"));
    assert_eq!(text(&name(&[])).as_deref(), Ok(""));
    for (value, expected) in [
        ("#x", "CN=\\#x"),
        ("x#", "CN=x#"),
        (" x ", "CN=\\ x\\ "),
        (" ", "CN=\\ "),
        ("a\\b\"c+d;e<f>g", "CN=a\\\\b\\\"c\\+d\\;e\\<f\\>g"),
        ("Lučić", "CN=Lučić"),
        ("a\0b\nc", "CN=a\\00b\\0Ac"),
        ("a\u{202e}b", "CN=a\\E2\\80\\AEb"),
        ("", "CN="),
    ] {
        assert_eq!(text(&utf8(value)).as_deref(), Ok(expected));
    }
    assert_eq!(text(&common_name(der::BMP_STRING, &[0x30, 0xab])).as_deref(), Ok("CN=カ"));
    assert_eq!(text(&common_name(der::UNIVERSAL_STRING, &[0, 1, 0xf6, 0])).as_deref(), Ok("CN=😀"));
    // Neither a type without a keyword nor a value without text can be shown as text.
    let private = name(&[&[attribute(&[0x2b, 6, 1, 4, 1, 0x81, 0xfd, 0x59, 1], der::UTF8_STRING, b"x")]]);
    assert_eq!(text(&private).as_deref(), Ok("1.3.6.1.4.1.32473.1=#0C0178"));
    assert_eq!(text(&common_name(der::TELETEX_STRING, b"x")).as_deref(), Ok("CN=#140178"));
    assert_eq!(text(&common_name(der::BMP_STRING, &[0xd8, 0])).as_deref(), Ok("CN=#1E02D800"), "half a surrogate pair");
}

#[test]
fn equality_ignores_case_white_space_and_string_type() {
    for (left, right) in [
        ("Example CA", "EXAMPLE  ca"),
        (" Example CA ", "example ca"),
        ("ＣＡ", "ca"),
        ("Å", "a\u{30a}"),
        ("C\u{ad}A", "CA"),
    ] {
        assert!(same(&utf8(left), &utf8(right)), "{left} {right}");
    }
    assert!(same(&utf8("CA"), &common_name(der::PRINTABLE_STRING, b"ca")));
    assert!(same(&utf8("カ"), &common_name(der::BMP_STRING, &[0x30, 0xab])));
    for (left, right) in [("Example CA", "ExampleCA"), ("a", "а"), ("ca", "ca1"), ("", "x")] {
        assert!(!same(&utf8(left), &utf8(right)), "{left} {right}");
    }
    // What has no text equals only its own encoding.
    assert!(!same(&common_name(der::TELETEX_STRING, b"ca"), &common_name(der::TELETEX_STRING, b"CA")));
    assert!(same(&common_name(der::TELETEX_STRING, b"ca"), &common_name(der::TELETEX_STRING, b"ca")));
    assert!(!same(b"x", &utf8("x")) && same(b"x", b"x"));
}

#[test]
fn relative_names_keep_their_order_and_attributes_have_none() {
    let cn = || attribute(COMMON_NAME, der::UTF8_STRING, b"a");
    let o = || attribute(ORGANIZATION, der::UTF8_STRING, b"b");
    let upper = || attribute(ORGANIZATION, der::UTF8_STRING, b"B");
    assert!(same(&name(&[&[cn(), o()]]), &name(&[&[upper(), cn()]])));
    assert!(!same(&name(&[&[cn()], &[o()]]), &name(&[&[o()], &[cn()]])));
    assert!(!same(&name(&[&[cn()], &[o()]]), &name(&[&[cn(), o()]])));
    assert!(!same(&name(&[&[cn()]]), &name(&[&[cn()], &[o()]])));
    let (short, long) = (name(&[&[o()]]), name(&[&[upper()], &[cn()]]));
    assert_eq!(is_within(&long, &short), Ok(true));
    assert_eq!(is_within(&short, &long), Ok(false));
    assert_eq!(is_within(&short, &name(&[])), Ok(true));
    assert_eq!(is_within(&name(&[&[cn()], &[o()]]), &short), Ok(false), "the base is at the other end");
    assert_eq!(is_within(&name(&[&[o(), cn()]]), &short), Ok(false), "a relative name is whole");
}

#[test]
fn broken_names_are_faults() {
    let good = utf8("x");
    for end in 0..good.len() {
        assert!(parse(&good[..end]).is_err());
    }
    assert!(parse(&[good.as_slice(), &[0]].concat()).is_err());
    assert!(parse(&name(&[&[]])).is_err());
    assert!(parse(&tlv(der::SEQUENCE, &tlv(der::SET, &tlv(der::SEQUENCE, &tlv(der::OID, COMMON_NAME))))).is_err());
}
