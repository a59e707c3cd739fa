use super::*;

/// SEC 1 form of the base points (FIPS 186-4 sections D.1.2.3 and D.1.2.4): wrong constants would not hold them.
const G256: [u8; 64] = hex(
    "6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296\
     4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5",
    [0; 64],
);
const G384: [u8; 96] = hex(
    "AA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7\
     3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F",
    [0; 96],
);

#[test]
fn base_points_lie_on_their_curves_and_neighbours_do_not() {
    let point = |coordinates: &[u8]| [&[4], coordinates].concat();
    assert!(is_on_curve(&point(&G256), &P256));
    assert!(is_on_curve(&point(&G384), &P384));
    for at in 0..64 {
        let mut neighbour = point(&G256);
        neighbour[1 + at] ^= 1;
        assert!(!is_on_curve(&neighbour, &P256), "octet {at}");
    }
    assert!(!is_on_curve(&[], &P256) && !is_on_curve(&[4], &P256));
}

#[test]
fn the_base_point_of_edwards25519_is_a_sound_key() {
    // y = 4/5 (RFC 8032 section 5.1); with the other x as well.
    let mut base = [0x66; 32];
    base[0] = 0x58;
    for sign in [0, 0x80] {
        base[31] = 0x66 | sign;
        let PublicKey::Ed25519(key) = parse_ed25519(&base).unwrap() else { unreachable!() };
        assert!(is_on_edwards_curve(key));
    }
}

#[test]
fn half_of_all_small_y_belong_to_points() {
    // Which of 2 to 11 do was computed from the equation of the curve, independently of this code.
    let on_curve: Vec<u8> = (2..12)
        .filter(|y| {
            let mut key = [0; 32];
            key[0] = *y;
            is_on_edwards_curve(&key)
        })
        .collect();
    assert_eq!(on_curve, [3, 4, 5, 6, 9, 10]);
}
