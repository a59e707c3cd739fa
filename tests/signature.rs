//! `verify_signature` against signatures that the `openssl` program made: every JOSE name, every kind of key.

use kakunin_tests::{Checks, Cluster, DATABASE, Scratch};
use postgres::Client;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn a_signature_verifies_under_its_own_name_and_no_other() {
    let cluster = cluster();
    let (mut client, mut checks, bench) = (cluster.connect("app", DATABASE), Checks::new(), Bench::new());
    let keys = bench.keys();
    for (kind, key) in &keys {
        for (made_as, signature) in bench.signatures(kind, key) {
            for name in NAMES {
                // RSA keys know nothing of PKCS #1 or PSS, so both kinds are tried with each; and so on.
                let expected = *name == made_as;
                let case = format!("{kind} key, made as {made_as}, verified as {name}");
                checks.equal(&case, verify(&mut client, name, &bench.public(key), MESSAGE, &signature), expected);
            }
            for (other, other_key) in keys.iter().filter(|(other, _)| other != kind) {
                let case = format!("{kind} key, made as {made_as}, under a key of kind {other}");
                checks.equal(&case, verify(&mut client, made_as, &bench.public(other_key), MESSAGE, &signature), false);
            }
            let public = bench.public(key);
            let case = format!("{kind} key, made as {made_as}: ");
            checks.equal(
                &(case.clone() + "another message"),
                verify(&mut client, made_as, &public, b"other", &signature),
                false,
            );
            checks.equal(&(case.clone() + "empty"), verify(&mut client, made_as, &public, MESSAGE, b""), false);
            let longer = [&signature[..], &[0]].concat();
            checks.equal(
                &(case.clone() + "one byte more"),
                verify(&mut client, made_as, &public, MESSAGE, &longer),
                false,
            );
            let shorter = &signature[..signature.len() - 1];
            checks.equal(
                &(case.clone() + "one byte less"),
                verify(&mut client, made_as, &public, MESSAGE, shorter),
                false,
            );
            for at in [0, signature.len() / 2, signature.len() - 1] {
                let mut flipped = signature.clone();
                flipped[at] ^= 1;
                let case = format!("{case}bit of byte {at} flipped");
                checks.equal(&case, verify(&mut client, made_as, &public, MESSAGE, &flipped), false);
            }
        }
    }
}

#[test]
fn names_that_are_no_algorithm_verify_nothing() {
    let cluster = cluster();
    let (mut client, mut checks, bench) = (cluster.connect("app", DATABASE), Checks::new(), Bench::new());
    let key = bench.key("p256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let signature = bench.sign(&key, &["-sha256"]);
    let public = bench.public(&key);
    checks.equal("ES256", verify(&mut client, "ES256", &public, MESSAGE, &signature), true);
    for name in [
        "",
        "none",
        "None",
        "es256",
        "ES256 ",
        " ES256",
        "HS256",
        "ES256K",
        "ES512",
        "RS1",
        "ecdsa-with-SHA256",
        "ES256-p1363",
        "P1363",
        "*",
    ] {
        checks.equal(name, verify(&mut client, name, &public, MESSAGE, &signature), false);
    }
    // The public key as the secret of an HMAC: what verifiers fell for that let the token choose.
    let mut mac = Command::new("openssl");
    mac.args(["dgst", "-sha256", "-binary", "-mac", "HMAC", "-macopt", &format!("hexkey:{}", hex(&public))]);
    let mac = output(mac.arg(bench.message()));
    checks.equal("the HMAC has 32 bytes", mac.len(), 32);
    for name in ["HS256", "ES256", "ES256-P1363", "RS256"] {
        checks.equal(&format!("an HMAC as {name}"), verify(&mut client, name, &public, MESSAGE, &mac), false);
    }
}

#[test]
fn weak_and_unusual_keys_verify_nothing() {
    let cluster = cluster();
    let (mut client, mut checks, bench) = (cluster.connect("app", DATABASE), Checks::new(), Bench::new());
    let rsa = |bits: &str| {
        ["-algorithm".to_owned(), "RSA".to_owned(), "-pkeyopt".to_owned(), format!("rsa_keygen_bits:{bits}")]
    };
    let curve = |name: &str| {
        ["-algorithm".to_owned(), "EC".to_owned(), "-pkeyopt".to_owned(), format!("ec_paramgen_curve:{name}")]
    };
    let cases: &[(&str, [String; 4], &str, bool)] = &[
        ("RSA with 2048 bits", rsa("2048"), "RS256", true),
        ("RSA with 1024 bits", rsa("1024"), "RS256", false),
        ("RSA with 2047 bits", rsa("2047"), "RS256", false),
        ("P-256", curve("P-256"), "ES256", true),
        ("P-224", curve("P-224"), "ES256", false),
        ("P-192", curve("P-192"), "ES256", false),
        ("P-521", curve("P-521"), "ES256", false),
        ("secp256k1", curve("secp256k1"), "ES256", false),
        ("brainpoolP256r1", curve("brainpoolP256r1"), "ES256", false),
    ];
    for (name, options, algorithm, expected) in cases {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let key = bench.key(&name.replace(' ', "-"), &options);
        let signature = bench.sign(&key, &["-sha256"]);
        checks.equal(name, verify(&mut client, algorithm, &bench.public(&key), MESSAGE, &signature), *expected);
    }
    // The same curve, its parameters spelled out, and its point compressed.
    let p256 = bench.key("explicit", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let signature = bench.sign(&p256, &["-sha256"]);
    for (name, options) in [
        ("explicit parameters", ["-ec_param_enc", "explicit", "-ec_conv_form", "uncompressed"]),
        ("compressed point", ["-ec_param_enc", "named_curve", "-ec_conv_form", "compressed"]),
    ] {
        let public = output(
            Command::new("openssl").args(["pkey", "-pubout", "-outform", "DER"]).args(options).arg("-in").arg(&p256),
        );
        checks.equal(name, verify(&mut client, "ES256", &public, MESSAGE, &signature), false);
    }
    let public = bench.public(&p256);
    checks.equal("named, uncompressed", verify(&mut client, "ES256", &public, MESSAGE, &signature), true);
    checks.equal(
        "bytes after the key",
        verify(&mut client, "ES256", &[&public[..], &[0]].concat(), MESSAGE, &signature),
        false,
    );
    checks.equal("no key", verify(&mut client, "ES256", b"", MESSAGE, &signature), false);
}

#[test]
fn digests_and_paddings_that_jose_does_not_name_verify_nothing() {
    let cluster = cluster();
    let (mut client, mut checks, bench) = (cluster.connect("app", DATABASE), Checks::new(), Bench::new());
    let rsa = bench.key("rsa", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let p256 = bench.key("p256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let p384 = bench.key("p384", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]);
    let pss = |salt: &'static str| vec!["-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", salt];
    let cases = [
        ("SHA-1", &rsa, vec!["-sha1"]),
        ("SHA-224", &rsa, vec!["-sha224"]),
        ("MD5", &rsa, vec!["-md5"]),
        ("PSS with salt of 0 bytes", &rsa, pss("rsa_pss_saltlen:0")),
        ("PSS with salt of 20 bytes", &rsa, pss("rsa_pss_saltlen:20")),
        ("PSS with the longest salt", &rsa, pss("rsa_pss_saltlen:max")),
        ("P-256 with SHA-384", &p256, vec!["-sha384"]),
        ("P-256 with SHA-1", &p256, vec!["-sha1"]),
        ("P-384 with SHA-256", &p384, vec!["-sha256"]),
        ("P-384 with SHA-512", &p384, vec!["-sha512"]),
    ];
    for (name, key, options) in cases {
        let signature = bench.sign(key, &options);
        for algorithm in NAMES {
            let case = format!("{name} as {algorithm}");
            checks.equal(&case, verify(&mut client, algorithm, &bench.public(key), MESSAGE, &signature), false);
        }
    }
    let right = bench.sign(&rsa, &pss("rsa_pss_saltlen:digest"));
    checks.equal(
        "PSS with salt as long as the digest",
        verify(&mut client, "PS256", &bench.public(&rsa), MESSAGE, &right),
        true,
    );
}

#[test]
fn a_null_verifies_nothing() {
    let cluster = cluster();
    let mut client = cluster.connect("app", DATABASE);
    let nulls = ["null, '', '', ''", "'ES256', null, '', ''", "'ES256', '', null, ''", "'ES256', '', '', null"];
    for arguments in nulls {
        let query = format!("select kakunin.verify_signature({arguments})");
        let answer: Option<bool> = client.query_one(&query, &[]).expect("a question").get(0);
        assert_eq!(answer, None, "{arguments}");
    }
}

fn cluster() -> Cluster {
    let cluster = Cluster::start();
    cluster.superuser().batch_execute("create role app login").expect("the role is new");
    cluster
}

fn verify(client: &mut Client, algorithm: &str, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let query = "select kakunin.verify_signature($1, $2, $3, $4)";
    client.query_one(query, &[&algorithm, &key, &message, &signature]).expect("a question").get(0)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("openssl runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Keys and a message in files.
struct Bench {
    scratch: Scratch,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { scratch: Scratch::new() };
        bench.scratch.write("message", MESSAGE);
        bench
    }

    fn message(&self) -> PathBuf {
        self.scratch.path().join("message")
    }

    fn key(&self, name: &str, options: &[&str]) -> PathBuf {
        let file = self.scratch.path().join(name);
        output(Command::new("openssl").arg("genpkey").args(options).arg("-out").arg(&file));
        file
    }

    fn keys(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("RSA", self.key("rsa", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"])),
            ("P-256", self.key("p256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])),
            ("P-384", self.key("p384", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"])),
            ("Ed25519", self.key("ed25519", &["-algorithm", "ED25519"])),
        ]
    }

    fn public(&self, key: &Path) -> Vec<u8> {
        output(Command::new("openssl").args(["pkey", "-pubout", "-outform", "DER", "-in"]).arg(key))
    }

    fn sign(&self, key: &Path, options: &[&str]) -> Vec<u8> {
        output(Command::new("openssl").arg("dgst").args(options).arg("-sign").arg(key).arg(self.message()))
    }

    /// Each kind of signature that a key can make, by its JOSE name.
    fn signatures(&self, kind: &str, key: &Path) -> Vec<(&'static str, Vec<u8>)> {
        let pss =
            |digest: &'static str| vec![digest, "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"];
        match kind {
            "RSA" => vec![
                ("RS256", self.sign(key, &["-sha256"])),
                ("RS384", self.sign(key, &["-sha384"])),
                ("RS512", self.sign(key, &["-sha512"])),
                ("PS256", self.sign(key, &pss("-sha256"))),
                ("PS384", self.sign(key, &pss("-sha384"))),
                ("PS512", self.sign(key, &pss("-sha512"))),
            ],
            "P-256" => {
                let der = self.sign(key, &["-sha256"]);
                vec![("ES256-P1363", self.fixed_size(&der, 32)), ("ES256", der)]
            }
            "P-384" => {
                let der = self.sign(key, &["-sha384"]);
                vec![("ES384-P1363", self.fixed_size(&der, 48)), ("ES384", der)]
            }
            _ => {
                let mut command = Command::new("openssl");
                command.args(["pkeyutl", "-sign", "-rawin", "-inkey"]).arg(key).arg("-in").arg(self.message());
                vec![("EdDSA", output(&mut command))]
            }
        }
    }

    /// The two numbers of an ECDSA signature as `openssl asn1parse` prints them, each with `octets` octets.
    fn fixed_size(&self, der: &[u8], octets: usize) -> Vec<u8> {
        let file = self.scratch.write("signature", der);
        let printed = output(Command::new("openssl").args(["asn1parse", "-inform", "DER", "-in"]).arg(file));
        let text = String::from_utf8_lossy(&printed).into_owned();
        let numbers = text.lines().filter(|line| line.contains("INTEGER")).map(|line| {
            let digits = line.rsplit(':').next().expect("asn1parse prints the number").trim();
            format!("{digits:0>width$}", width = 2 * octets)
        });
        let digits: String = numbers.collect();
        assert_eq!(digits.len(), 4 * octets, "{text}");
        (0..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal"))
            .collect()
    }
}

const MESSAGE: &[u8] = b"transfer 10 EUR to bob";

const NAMES: &[&str] =
    &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES256-P1363", "ES384-P1363", "EdDSA"];
