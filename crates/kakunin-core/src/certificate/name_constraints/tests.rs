use super::*;

fn name(tag: u8, value: &[u8]) -> GeneralName {
    GeneralName { tag, value: value.to_vec() }
}

/// Whether a name is allowed where one base is permitted, and where it is excluded.
fn both(tag: u8, base: &[u8], value: &[u8]) -> (bool, bool) {
    let (base, value) = (name(tag, base), name(tag, value));
    let permits = NameConstraints { permitted: vec![base.clone()], excluded: vec![] };
    let excludes = NameConstraints { permitted: vec![], excluded: vec![base] };
    (is_allowed(&value, &permits), is_allowed(&value, &excludes))
}

/// In the subtree, outside of it, or not to be told: refused either way.
const INSIDE: (bool, bool) = (true, false);
const OUTSIDE: (bool, bool) = (false, true);
const UNCLEAR: (bool, bool) = (false, false);

#[test]
fn dns_names_lie_in_the_domain_or_below() {
    for (base, value, expected) in [
        ("host.example.com", "host.example.com", INSIDE),
        ("host.example.com", "www.HOST.example.com", INSIDE),
        ("host.example.com", "a.b.host.example.com", INSIDE),
        ("host.example.com", "host1.example.com", OUTSIDE),
        ("host.example.com", "xhost.example.com", OUTSIDE),
        ("host.example.com", "example.com", OUTSIDE),
        ("", "anything.example", INSIDE),
        (".example.com", "a.example.com", INSIDE),
        // A leading dot leaves the domain itself out of what is permitted, but not of what is excluded.
        (".example.com", "example.com", UNCLEAR),
        ("example.com", "*.example.com", INSIDE),
        // A wildcard may cover an excluded name, and reaches beyond a permitted one.
        ("www.example.com", "*.example.com", UNCLEAR),
        ("www.example.com", "*.example.org", OUTSIDE),
        ("example.com", "example.com.", UNCLEAR),
        ("example.com", ".example.com", UNCLEAR),
        ("example.com", "a..example.com", UNCLEAR),
        ("example.com", "a b.example.com", UNCLEAR),
        ("example.com", "a\0.example.com", UNCLEAR),
        ("example.com", "a.*.example.com", UNCLEAR),
        ("exa mple.com", "a.example.com", UNCLEAR),
        ("..example.com", "a.example.com", UNCLEAR),
    ] {
        assert_eq!(both(DNS_NAME, base.as_bytes(), value.as_bytes()), expected, "{base} {value}");
    }
}

#[test]
fn addresses_lie_in_a_prefix_of_their_family() {
    let v4 = |network: [u8; 4], mask: [u8; 4]| [network, mask].concat();
    let v6 = [
        [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    let mut in_v6 = [0; 16];
    in_v6[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
    for (base, value, expected) in [
        (v4([192, 0, 2, 0], [255, 255, 255, 0]), &[192, 0, 2, 7][..], INSIDE),
        (v4([192, 0, 2, 0], [255, 255, 255, 0]), &[192, 0, 3, 7], OUTSIDE),
        (v4([192, 0, 2, 0], [255, 255, 254, 0]), &[192, 0, 3, 7], INSIDE),
        (v4([192, 0, 2, 5], [255, 255, 255, 255]), &[192, 0, 2, 5], INSIDE),
        (v4([0, 0, 0, 0], [0, 0, 0, 0]), &[8, 8, 8, 8], INSIDE),
        (v4([0, 0, 0, 0], [0, 0, 0, 0]), &in_v6, OUTSIDE),
        (v6.clone(), &in_v6, INSIDE),
        (v6, &[192, 0, 2, 7], OUTSIDE),
        (v4([192, 0, 2, 0], [255, 0, 255, 0]), &[192, 0, 2, 7], UNCLEAR),
        (v4([192, 0, 2, 0], [255, 255, 253, 0]), &[192, 0, 2, 7], UNCLEAR),
        (v4([192, 0, 2, 0], [0, 0, 0, 1]), &[192, 0, 2, 7], UNCLEAR),
    ] {
        assert_eq!(both(IP_ADDRESS, &base, value), expected, "{base:?} {value:?}");
    }
}

#[test]
fn mailboxes_are_named_alone_by_host_or_by_domain() {
    for (base, value, expected) in [
        ("root@example.com", "root@EXAMPLE.com", INSIDE),
        ("root@example.com", "Root@example.com", OUTSIDE),
        ("example.com", "anyone@example.com", INSIDE),
        ("example.com", "anyone@mail.example.com", OUTSIDE),
        (".example.com", "anyone@mail.example.com", INSIDE),
        (".example.com", "anyone@example.com", OUTSIDE),
        ("example.com", "a@b@example.com", INSIDE),
        ("example.com", "example.com", UNCLEAR),
        ("example.com", "@example.com", UNCLEAR),
        ("example.com", "a@", UNCLEAR),
    ] {
        assert_eq!(both(EMAIL, base.as_bytes(), value.as_bytes()), expected, "{base} {value}");
    }
}

#[test]
fn uris_are_compared_by_a_host_that_is_a_name() {
    for (base, value, expected) in [
        ("agents.example", "spiffe://agents.example/tenant/t1", INSIDE),
        ("agents.example", "https://user@AGENTS.example:8443/x?y#z", INSIDE),
        ("agents.example", "https://x.agents.example/", OUTSIDE),
        (".agents.example", "https://x.agents.example/", INSIDE),
        (".agents.example", "https://agents.example/", OUTSIDE),
        ("agents.example", "https://other.example/agents.example", OUTSIDE),
        ("agents.example", "https://agents.example@other.example/", OUTSIDE),
        ("agents.example", "https://other.example?@agents.example", OUTSIDE),
        ("agents.example", "urn:kakunin:agent:a1", UNCLEAR),
        ("agents.example", "https://192.0.2.1/", UNCLEAR),
        ("agents.example", "https://[2001:db8::1]/", UNCLEAR),
        ("agents.example", "https:///x", UNCLEAR),
        ("agents.example", "//agents.example/", UNCLEAR),
    ] {
        assert_eq!(both(URI, base.as_bytes(), value.as_bytes()), expected, "{base} {value}");
    }
}

#[test]
fn a_name_needs_one_permitted_subtree_and_no_excluded_one() {
    let dns = |text: &str| name(DNS_NAME, text.as_bytes());
    let constraints = NameConstraints {
        permitted: vec![dns("a.example"), dns("b.example")],
        excluded: vec![dns("secret.a.example"), name(EMAIL, b"a.example")],
    };
    assert!(is_allowed(&dns("x.a.example"), &constraints));
    assert!(is_allowed(&dns("x.b.example"), &constraints));
    assert!(!is_allowed(&dns("x.c.example"), &constraints));
    assert!(!is_allowed(&dns("x.secret.a.example"), &constraints));
    assert!(is_allowed(&name(URI, b"https://c.example/"), &constraints), "another kind of name");
}
