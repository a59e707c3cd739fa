//! Proofs that nobody signed with the key of the certificate that they name, and texts that are no proofs.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kakunin_tests::stage::{Stage, bind, change, notes, serial_seen, text, verdict};
use kakunin_tests::{Identity, KeyType, LeafRequest, Refusals, thumbprint};
use serde_json::{Value, json};
use std::process::Command;

#[test]
fn attack_04_a_known_serial_without_the_key_binds_nothing() {
    let stage = Stage::new();
    let victim = stage.agent("victim");
    let thief = stage.agent("thief");
    let rsa_victim = stage.pki.intermediate.issue(&LeafRequest::agent("rsa-victim").key_type(KeyType::RSA_2048));
    stage.enrol(&rsa_victim);
    let header = stage.header(&victim);
    let mut refusals = Refusals::new(&stage);
    let with = |signer: &Identity, base: &Identity, changes: Value| {
        signer.jws(&stage.header_but(base, changes), &stage.claims())
    };
    let unsigned = |header: &Value, signature: &[u8]| {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (header, claims) = (encode(header.to_string().as_bytes()), encode(stage.claims().to_string().as_bytes()));
        format!("{header}.{claims}.{}", encode(signature))
    };

    // The victim's certificate, another key.
    refusals.refused("signed by another agent", "proof_signature_invalid", &with(&thief, &victim, json!({})));
    refusals.refused(
        "kid of the victim",
        "proof_serial_wrong",
        &with(&thief, &thief, json!({ "kid": victim.serial() })),
    );
    let thumb = json!({ "x5t#S256": thumbprint(&victim) });
    refusals.refused("x5t#S256 of the victim", "proof_serial_wrong", &with(&thief, &thief, thumb));
    refusals.accepted("the thief as itself", &with(&thief, &thief, json!({})));

    // Algorithms.
    let refused = "proof_algorithm_refused";
    for algorithm in ["none", "None", "HS256", "HS512", "es256", "ES256K", "ES512", "RS1", "RSA1_5", "", "ES256-P1363"]
    {
        let proof = with(&victim, &victim, json!({ "alg": algorithm }));
        refusals.refused(&format!("alg {algorithm:?}"), refused, &proof);
    }
    refusals.refused("alg is absent", refused, &with(&victim, &victim, json!({ "alg": null })));
    refusals.refused("alg is a list", refused, &with(&victim, &victim, json!({ "alg": ["ES256"] })));
    let mut none = header.clone();
    change(&mut none, json!({ "alg": "none" }));
    refusals.refused("alg none without a signature", "proof_malformed", &unsigned(&none, b""));
    for (name, key) in [("its DER", victim.public_key_der()), ("its PEM", public_key_pem(&victim))] {
        let mut hs256 = header.clone();
        change(&mut hs256, json!({ "alg": "HS256" }));
        let proof = hmac(&unsigned(&hs256, b"x"), &key);
        refusals.refused(&format!("HS256 with the public key, {name}"), refused, &proof);
    }
    let invalid = "proof_signature_invalid";
    for (name, agent, claimed) in [
        ("ES256 as ES384", &victim, "ES384"),
        ("ES256 as RS256", &victim, "RS256"),
        ("ES256 as EdDSA", &victim, "EdDSA"),
        ("ES256 as PS256", &victim, "PS256"),
        ("RS256 as PS256", &rsa_victim, "PS256"),
        ("RS256 as RS384", &rsa_victim, "RS384"),
        ("RS256 as ES256", &rsa_victim, "ES256"),
    ] {
        refusals.refused(name, invalid, &with(agent, agent, json!({ "alg": claimed })));
    }

    // Signatures.
    let good = stage.sign(&victim, &stage.claims());
    let (input, signature) = good.rsplit_once('.').expect("three parts");
    let bytes = URL_SAFE_NO_PAD.decode(signature).expect("openssl's signature");
    let resigned = |bytes: &[u8]| format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes));
    let mut flipped = bytes.clone();
    flipped[40] ^= 1;
    refusals.refused("one bit of the signature", invalid, &resigned(&flipped));
    refusals.refused("r and s are zero", invalid, &resigned(&[0; 64]));
    refusals.refused("the signature in DER", invalid, &resigned(&der_signature(&bytes)));
    refusals.refused("a short signature", invalid, &resigned(&bytes[..63]));
    refusals.refused("a long signature", invalid, &resigned(&[&bytes[..], &[0]].concat()));
    refusals.refused("a signature of 2049 bytes", "proof_malformed", &resigned(&[1; 2049]));
    let other = stage.sign(&victim, &stage.claims());
    let foreign = format!("{}.{signature}", other.rsplit_once('.').expect("three parts").0);
    refusals.refused("the signature of another proof", invalid, &foreign);
    // None of these used it up.
    refusals.accepted("the proof itself", &good);
    let twin = resigned(&negated(&bytes));
    assert_ne!(twin, good);
    let refused = verdict(bind(&mut refusals.client, &twin));
    refusals.checks.equal("the same proof with s negated", refused, ("28000".to_owned(), "proof_reused".to_owned()));

    // Headers that bring a key along, or that say how to read the rest.
    for (member, value) in [
        ("jwk", json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" })),
        ("jku", json!("https://example.org/keys")),
        ("x5u", json!("https://example.org/certificate")),
        ("x5c", json!([URL_SAFE_NO_PAD.encode(thief.der())])),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
    ] {
        let mut changes = json!({});
        changes[member] = value;
        refusals.refused(&format!("header {member}"), "proof_header_refused", &with(&victim, &victim, changes));
    }
    for kind in [json!("JWT"), json!("dpop+jwt"), json!("application/kakunin-proof+jwt"), Value::Null, json!(7)] {
        let proof = with(&victim, &victim, json!({ "typ": kind }));
        refusals.refused(&format!("typ {kind}"), "proof_type_wrong", &proof);
    }
    for (name, value) in [
        ("absent", Value::Null),
        ("hexadecimal", json!(hex(&victim.fingerprint()))),
        ("padded", json!(thumbprint(&victim) + "=")),
        ("short", json!(URL_SAFE_NO_PAD.encode(&victim.fingerprint()[..31]))),
        ("SHA-1", json!(URL_SAFE_NO_PAD.encode([7; 20]))),
        ("a list", json!([thumbprint(&victim)])),
    ] {
        let proof = with(&victim, &victim, json!({ "x5t#S256": value }));
        refusals.refused(&format!("x5t#S256 {name}"), "proof_malformed", &proof);
    }
    refusals.accepted("members that nobody knows", &with(&victim, &victim, json!({ "cty": "x", "iss": 7 })));

    // The setting itself takes nothing, whatever is known of the victim.
    let mut bound = stage.bound(&victim);
    let value = text(&mut bound, "current_setting('kakunin.binding')").expect("a bound session has one");
    for statement in [
        format!("set kakunin.binding = '{value}'"),
        format!("set local kakunin.binding = '{value}'"),
        format!("select set_config('kakunin.binding', '{value}', true)"),
    ] {
        let found = verdict(refusals.client.batch_execute(&statement)).0;
        refusals.checks.equal("writing the binding of another session", found, "42501");
    }
    refusals.checks.equal("rows for nobody", notes(&mut refusals.client), 0);
}

fn public_key_pem(agent: &Identity) -> Vec<u8> {
    let output = Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(&agent.key).output();
    output.expect("openssl runs").stdout
}

/// Puts an HMAC-SHA-256 in place of the signature.
fn hmac(proof: &str, key: &[u8]) -> String {
    let (input, _) = proof.rsplit_once('.').expect("three parts");
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-binary", "-mac", "hmac", "-macopt", &format!("hexkey:{}", hex(key))]);
    let mut child =
        openssl.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().expect("openssl runs");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), input.as_bytes()).expect("openssl reads");
    let output = child.wait_with_output().expect("openssl ends");
    assert_eq!(output.stdout.len(), 32);
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(output.stdout))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The DER form of a fixed-size ECDSA signature.
fn der_signature(fixed: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len() - 1);
        let mut content = number[start..].to_vec();
        if content[0] & 0x80 != 0 {
            content.insert(0, 0);
        }
        [&[2, u8::try_from(content.len()).expect("it is short")], &content[..]].concat()
    };
    let (r, s) = fixed.split_at(fixed.len() / 2);
    let content = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(content.len()).expect("it is short")], &content[..]].concat()
}

/// The other valid P-256 signature of the same text: s replaced by n - s.
fn negated(fixed: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
        0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let (r, s) = fixed.split_at(32);
    let mut out = r.to_vec();
    let mut difference = [0_u8; 32];
    let mut borrow = 0_i16;
    for i in (0..32).rev() {
        let digit = i16::from(ORDER[i]) - i16::from(s[i]) - borrow;
        borrow = i16::from(digit < 0);
        difference[i] = u8::try_from(digit + 256 * borrow).expect("it is a digit of base 256");
    }
    out.extend(difference);
    out
}

#[test]
fn n13_the_kid_may_write_one_serial_in_several_ways_and_no_other() {
    let stage = Stage::new();
    // The top bit is set, and 20 octets are the most that there can be: this one has 19, for it costs a sign octet.
    let top = stage.pki.intermediate.issue(&LeafRequest::agent("top").serial(&format!("FE0A{}", "5B".repeat(17))));
    let small = stage.pki.intermediate.issue(&LeafRequest::agent("small").serial("10"));
    stage.enrol(&top);
    stage.enrol(&small);
    let mut refusals = Refusals::new(&stage);
    let with =
        |agent: &Identity, kid: &str| agent.jws(&stage.header_but(agent, json!({ "kid": kid })), &stage.claims());
    let serial = top.serial();
    let pairs: Vec<&str> = (0..serial.len()).step_by(2).map(|at| &serial[at..at + 2]).collect();
    for (name, kid) in [
        ("as openssl prints it", serial.clone()),
        ("lower case", serial.to_lowercase()),
        ("colons", pairs.join(":")),
        ("dashes", pairs.join("-")),
        ("spaces", pairs.join(" ")),
        ("0x", format!("0x{serial}")),
        ("a leading 00", format!("00{serial}")),
        ("many leading zeros", format!("{}{serial}", "0".repeat(40))),
    ] {
        refusals.accepted(name, &with(&top, &kid));
    }
    refusals.accepted("one digit less, because it was a zero", &with(&small, "010"));
    for (name, kid) in [
        ("negative", format!("-{serial}")),
        ("one octet cut off", serial[2..].to_owned()),
        ("one octet more", format!("01{serial}")),
        ("two's complement of its octets", format!("FF{serial}")),
        ("two separators in a row", pairs.join("::")),
        ("a separator at the end", format!("{serial}:")),
        ("another character", format!("{serial}g")),
        ("digits of another script", serial.replace('5', "５")),
        ("21 octets", format!("01{}", "00".repeat(20))),
        ("zero", "00".to_owned()),
        ("a line end", format!("{serial}\n")),
    ] {
        refusals.refused(name, "proof_serial_wrong", &with(&top, &kid));
    }
    refusals.refused("decimal", "proof_serial_wrong", &with(&small, "16"));
    refusals.refused("empty", "proof_malformed", &with(&top, ""));
    refusals.refused("129 characters", "proof_malformed", &with(&top, &format!("{}{serial}", "0".repeat(91))));
    let number = top.jws(&stage.header_but(&top, json!({ "kid": 16 })), &stage.claims());
    refusals.refused("a number", "proof_malformed", &number);
    let absent = top.jws(&stage.header_but(&top, json!({ "kid": null })), &stage.claims());
    refusals.refused("absent", "proof_malformed", &absent);

    // Whatever was written, policies see the one canonical text.
    let mut transaction = refusals.client.transaction().expect("a transaction can begin");
    bind(&mut transaction, &with(&top, &pairs.join(":").to_lowercase())).expect("colons are understood");
    refusals.checks.equal("what policies see", serial_seen(&mut transaction), Some(serial));
    refusals.checks.equal("rows", notes(&mut transaction), 2);
}

#[test]
fn garbage_is_refused_in_a_sentence() {
    let stage = Stage::new();
    let agent = stage.agent("alpha");
    let mut refusals = Refusals::new(&stage);
    let good = stage.proof(&agent);
    let parts: Vec<&str> = good.split('.').collect();
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let signed = |header: &str, claims: &str| {
        let input = format!("{}.{}", encode(header), encode(claims));
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(agent.sign(input.as_bytes())))
    };
    let (header, claims) = (stage.header(&agent).to_string(), stage.claims().to_string());
    let within = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from));
        text.replacen(from, to, 1)
    };

    for (name, proof) in [
        ("nothing", String::new()),
        ("a word", "proof".to_owned()),
        ("two dots", "..".to_owned()),
        ("two parts", parts[..2].join(".")),
        ("four parts", format!("{good}.{}", parts[2])),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("a space before it", format!(" {good}")),
        ("a line end behind it", format!("{good}\n")),
        ("padding", format!("{good}==")),
        ("the other alphabet", format!("{}.{}.{}", parts[0], parts[1], "+/".repeat(43))),
        ("two proofs with a comma", format!("{good}, {}", stage.proof(&agent))),
        ("Bearer before it", format!("Bearer {good}")),
        (
            "JSON serialisation",
            json!({ "protected": parts[0], "payload": parts[1], "signature": parts[2] }).to_string(),
        ),
        ("not ASCII", format!("{}é.{}.{}", parts[0], parts[1], parts[2])),
        ("an array as header", signed("[]", &claims)),
        ("a text as claims", signed(&header, "\"x\"")),
        ("text behind the header", signed(&format!("{header} x"), &claims)),
        ("a member twice", signed(&header, &within(&claims, "{", "{\"aud\":\"x\","))),
        ("a member twice, escaped", signed(&header, &within(&claims, "{", "{\"\\u0061ud\":\"x\","))),
        ("alg twice", signed(&within(&header, "{", "{\"alg\":\"none\","), &claims)),
        ("half a surrogate pair", signed(&header, &within(&claims, "{", "{\"x\":\"\\ud800\","))),
        ("a byte order mark", signed(&format!("\u{feff}{header}"), &claims)),
        ("a comment", signed(&format!("/**/{header}"), &claims)),
        ("a comma at the end", signed(&within(&header, "}", ",}"), &claims)),
        ("1000 levels of JSON", signed(&header, &format!("{}{}", "[".repeat(1000), "]".repeat(1000)))),
    ] {
        refusals.refused(name, "proof_malformed", &proof);
    }
    let invalid_utf8 = format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(b"{\"typ\":\"\xff\"}"), parts[1], parts[2]);
    refusals.refused("not UTF-8 inside", "proof_malformed", &invalid_utf8);
    // The last character of a part carries bits that must be zero, else one proof had several spellings.
    let last = parts[2].chars().next_back().expect("it is not empty");
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = alphabet.chars().nth(alphabet.find(last).expect("base64url") + 1).expect("the unused bits were zero");
    let respelled = format!("{}{next}", &good[..good.len() - 1]);
    refusals.refused("unused bits that are set", "proof_malformed", &respelled);
    refusals.accepted("the proof itself", &good);

    // Sizes: 8192 bytes are read, not one more.
    let padded = |length: usize| {
        let mut filler = 0;
        loop {
            let claims = stage.claims_but(json!({ "filler": "x".repeat(filler) }));
            let proof = agent.jws(&stage.header(&agent), &claims);
            match length.saturating_sub(proof.len()) {
                0 => break proof,
                missing => filler += (missing * 3 / 4).max(1),
            }
        }
    };
    let longest = padded(8191);
    refusals.checks.holds("the longest proof", (8191..=8192).contains(&longest.len()), longest.len());
    refusals.accepted("8192 bytes", &longest);
    refusals.refused("more than 8192 bytes", "proof_too_large", &padded(8193));
    for (name, proof) in [
        ("1 MB of one letter", "a".repeat(1 << 20)),
        ("1 MB of dots", ".".repeat(1 << 20)),
        ("1 MB of brackets", "[".repeat(1 << 20)),
        ("10000 levels of JSON", signed(&header, &format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)))),
        ("1 MB of base64", good.replace('.', "").repeat(1 << 11)),
    ] {
        refusals.refused(name, "proof_too_large", &proof);
    }
    let null: Option<&str> = None;
    let found = refusals.client.execute("select kakunin.bind_transaction($1)", &[&null]);
    refusals.checks.equal("NULL", verdict(found), ("28000".to_owned(), "no_client_certificate".to_owned()));
}
