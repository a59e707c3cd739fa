//! Certificates and lists that the `openssl` program makes, so that this crate is not only tested against what it
//! thinks certificates look like; and the two verdicts compared.

use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use kakunin_core::certificate::{Certificate, Profile, check_agent, check_path, pem, serial, signature};
use kakunin_core::{Reason, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

/// A folder of its own, removed at the end.
struct Shop(PathBuf);

impl Shop {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("kakunin-core-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// Runs `openssl` with the words of a line, in the folder. Returns whether it succeeded, and what it said.
    fn try_openssl(&self, line: &str) -> (bool, String) {
        let words = line.split_whitespace();
        let output = Command::new("openssl").args(words).current_dir(&self.0).output();
        let output = output.expect("these tests need the openssl program");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    fn openssl(&self, line: &str) -> String {
        let (succeeded, said) = self.try_openssl(line);
        assert!(succeeded, "openssl {line}: {said}");
        said
    }

    fn write(&self, file: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.0.join(file), content).unwrap();
    }

    fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.0.join(file)).unwrap()
    }

    /// The DER of a PEM file with one block.
    fn der(&self, file: &str) -> Vec<u8> {
        let text = String::from_utf8(self.read(file)).unwrap();
        let [block] = pem::decode(&text).unwrap().try_into().unwrap();
        block.der
    }

    /// A key and a certificate for it; the issuer `name` itself makes it self-signed.
    fn certify(&self, name: &str, subject: &str, issuer: &str, key: &str, extensions: &str, more: &str) {
        self.openssl(&format!("genpkey {key} -out {name}.key"));
        self.write(&format!("{name}.ext"), extensions);
        self.openssl(&format!("req -new -key {name}.key -subj {subject} -out {name}.csr"));
        let signer = if issuer == name {
            format!("-signkey {name}.key")
        } else {
            format!("-CA {issuer}.pem -CAkey {issuer}.key")
        };
        let days = if more.contains("-days") { "" } else { "-days 30" };
        self.openssl(&format!("x509 -req -in {name}.csr {signer} -extfile {name}.ext {days} {more} -out {name}.pem"));
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixTime::from_seconds(since.as_secs() as i64)
}

const RSA: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";
const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";
const P384: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-384";
const ED25519: &str = "-algorithm ED25519";
const CA: &str = "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n\
                  authorityKeyIdentifier=keyid\n";
const AGENT: &str = "basicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature\n\
                     extendedKeyUsage=clientAuth\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n\
                     subjectAltName=URI:spiffe://agents.example/tenant/t1/agent/a1\n\
                     1.3.6.1.4.1.99999.2=ASN1:UTF8String:sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n\
                     1.3.6.1.4.1.99999.3=ASN1:UTF8String:{\\\"v\\\":1}\n";

#[test]
fn chains_of_every_kind_of_key_are_valid_and_read_alike() {
    let shop = Shop::new("kinds");
    let pss = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest";
    for (kind, root_key, key, agent_key, more) in [
        ("rsa", RSA, RSA, RSA, ""),
        ("rsa384", RSA, RSA, RSA, "-sha384"),
        ("rsa512", RSA, RSA, P256, "-sha512"),
        ("pss", RSA, RSA, RSA, &format!("-sha256 {pss}")),
        ("p256", P256, P256, P256, "-sha256"),
        ("p384", P384, P384, ED25519, "-sha384"),
        ("ed25519", ED25519, ED25519, ED25519, ""),
        ("mixed", P384, RSA, ED25519, ""),
    ] {
        let [root, intermediate, agent] = ["r", "i", "a"].map(|part| format!("{kind}-{part}"));
        let own = if kind == "mixed" { "-sha384" } else { more };
        shop.certify(&root, "/CN=Root", &root, root_key, CA, own);
        shop.certify(&intermediate, "/O=T1/CN=Intermediate", &root, key, CA, own);
        shop.certify(&agent, "/C=EU/O=t1/CN=a1", &intermediate, agent_key, AGENT, more);
        let said =
            shop.openssl(&format!("verify -x509_strict -CAfile {root}.pem -untrusted {intermediate}.pem {agent}.pem"));
        assert!(said.contains("OK"), "{kind}: {said}");

        let [root, intermediate, agent] =
            [root, intermediate, agent].map(|name| (shop.der(&format!("{name}.pem")), name));
        let profile = Profile { trust_domain: "agents.example".into(), oid_arcs: vec!["1.3.6.1.4.1.99999".into()] };
        let found = check_agent(&agent.0, &[&intermediate.0], &[&root.0], &[], now(), &profile);
        let found = found.unwrap_or_else(|reason| panic!("{kind}: {reason:?}"));
        assert_eq!((found.agent_id.as_deref(), found.tenant_id.as_deref()), (Some("a1"), Some("t1")));
        assert!(found.model_hash.is_some() && found.scope.as_deref() == Some(r#"{"v":1}"#));

        for (der, name) in [&root, &intermediate, &agent] {
            reads_alike(&shop, der, name);
        }
    }
}

/// What we read is what `openssl x509` and an independent parser read.
fn reads_alike(shop: &Shop, der: &[u8], name: &str) {
    let ours = Certificate::parse(der).unwrap();
    let said = shop
        .openssl(&format!("x509 -in {name}.pem -noout -serial -fingerprint -sha256 -subject -issuer -nameopt RFC2253"));
    let field = |field: &str| {
        let line = said.lines().find(|line| line.to_lowercase().starts_with(field)).unwrap();
        line.split_once('=').unwrap().1.to_owned()
    };
    assert_eq!(ours.serial, field("serial"));
    assert_eq!(serial::normalize(&field("serial")).as_ref(), Ok(&ours.serial));
    let fingerprint: String = ours.fingerprint.iter().map(|octet| format!("{octet:02X}")).collect();
    assert_eq!(fingerprint, field("sha256 fingerprint").replace(':', ""));
    assert_eq!(ours.subject, field("subject"));
    assert_eq!(ours.issuer, field("issuer"));

    let (_, other) = X509Certificate::from_der(der).unwrap();
    assert_eq!(ours.not_before.seconds(), other.validity().not_before.timestamp());
    assert_eq!(ours.not_after.seconds(), other.validity().not_after.timestamp());
    assert_eq!(ours.spki, other.public_key().raw);
    assert_eq!(ours.is_ca, other.is_ca());
    assert_eq!(pem::encode(der, "CERTIFICATE").unwrap().into_bytes(), shop.read(&format!("{name}.pem")));
}

#[test]
fn verdicts_agree_on_what_is_wrong_with_a_path() {
    let shop = Shop::new("verdicts");
    shop.certify("root", "/CN=Root", "root", P256, CA, "");
    let ca = |change: &str, to: &str| CA.replace(change, to);
    let cases = [
        ("fine", CA.to_owned(), AGENT.to_owned(), "", "valid"),
        ("no-sign", ca("keyCertSign,", ""), AGENT.to_owned(), "", "issuer_not_ca"),
        (
            "no-ca",
            ca("CA:true", "CA:false").replace("keyCertSign,cRLSign", "digitalSignature"),
            AGENT.to_owned(),
            "",
            "issuer_not_ca",
        ),
        ("critical", CA.to_owned(), format!("{AGENT}1.2.3.4=critical,ASN1:NULL\n"), "", "critical_extension_unknown"),
        (
            "critical-ca",
            format!("{CA}1.2.3.4=critical,ASN1:NULL\n"),
            AGENT.to_owned(),
            "",
            "critical_extension_unknown",
        ),
        (
            "dns-in",
            format!("{CA}nameConstraints=critical,permitted;DNS:agents.example\n"),
            AGENT.replace("a1\n", "a1,DNS:a1.agents.example\n"),
            "",
            "valid",
        ),
        (
            "dns-out",
            format!("{CA}nameConstraints=critical,permitted;DNS:agents.example\n"),
            AGENT.replace("a1\n", "a1,DNS:a1.other.example\n"),
            "",
            "name_constraint_violated",
        ),
        (
            "uri-in",
            format!("{CA}nameConstraints=critical,permitted;URI:agents.example\n"),
            AGENT.to_owned(),
            "",
            "valid",
        ),
        (
            "uri-out",
            format!("{CA}nameConstraints=critical,permitted;URI:other.example\n"),
            AGENT.to_owned(),
            "",
            "name_constraint_violated",
        ),
        (
            "mail-in",
            format!("{CA}nameConstraints=critical,permitted;email:.example\n"),
            AGENT.replace("a1\n", "a1,email:a1@agents.example\n"),
            "",
            "valid",
        ),
        (
            "mail-out",
            format!("{CA}nameConstraints=critical,excluded;email:agents.example\n"),
            AGENT.replace("a1\n", "a1,email:a1@agents.example\n"),
            "",
            "name_constraint_violated",
        ),
        (
            "address-in",
            format!("{CA}nameConstraints=critical,permitted;IP:192.0.2.0/255.255.255.0\n"),
            AGENT.replace("a1\n", "a1,IP:192.0.2.7\n"),
            "",
            "valid",
        ),
        (
            "address-out",
            format!("{CA}nameConstraints=critical,permitted;IP:192.0.2.0/255.255.255.0\n"),
            AGENT.replace("a1\n", "a1,IP:192.0.3.7\n"),
            "",
            "name_constraint_violated",
        ),
        ("expired", CA.to_owned(), AGENT.to_owned(), "-days -1", "certificate_expired"),
    ];
    for (name, ca, agent, more, expected) in cases {
        let intermediate = format!("{name}-i");
        shop.certify(&intermediate, &format!("/CN={name}"), "root", P256, &ca, "");
        // `-days -1` would put the end before the beginning; an end in the past needs a beginning before it.
        if more.is_empty() {
            shop.certify(name, "/CN=a1", &intermediate, P256, &agent, "");
        } else {
            expired(&shop, name, &intermediate, &agent);
        }
        let (theirs, said) =
            shop.try_openssl(&format!("verify -CAfile root.pem -untrusted {intermediate}.pem {name}.pem"));
        let [agent, intermediate] = [name, &intermediate].map(|name| shop.der(&format!("{name}.pem")));
        let ours = check_path(&agent, &[&intermediate], &[&shop.der("root.pem")], &[], now());
        assert_eq!(slug(&ours), expected, "{name}");
        assert_eq!(ours.is_ok(), theirs, "{name}: {said}");
    }
}

/// A certificate that ended, made with `openssl ca`, which takes both times.
fn expired(shop: &Shop, name: &str, issuer: &str, extensions: &str) {
    shop.openssl(&format!("genpkey {P256} -out {name}.key"));
    shop.openssl(&format!("req -new -key {name}.key -subj /CN=a1 -out {name}.csr"));
    shop.write(&format!("{name}.ext"), extensions);
    database(shop, issuer);
    shop.openssl(&format!(
        "ca -batch -notext -config {issuer}.cnf -in {name}.csr -out {name}.pem -extfile {name}.ext \
         -startdate 20250101000000Z -enddate 20250201000000Z"
    ));
}

/// What `openssl ca` needs to issue and to list.
fn database(shop: &Shop, issuer: &str) {
    shop.write(&format!("{issuer}.index"), "");
    shop.write(&format!("{issuer}.serial"), "7F01\n");
    shop.write(&format!("{issuer}.number"), "01\n");
    let settings = format!(
        "[ca]\ndefault_ca=own\n[own]\ndatabase={issuer}.index\nserial={issuer}.serial\ncrlnumber={issuer}.number\n\
         new_certs_dir=.\ncertificate={issuer}.pem\nprivate_key={issuer}.key\ndefault_md=sha256\npolicy=any\n\
         default_days=30\ndefault_crl_days=7\ncrl_extensions=crl\nunique_subject=no\n[any]\ncommonName=supplied\n\
         [crl]\nauthorityKeyIdentifier=keyid\n"
    );
    shop.write(&format!("{issuer}.cnf"), settings);
}

#[test]
fn lists_that_openssl_makes_revoke_and_clear() {
    let shop = Shop::new("lists");
    shop.certify("root", "/CN=Root", "root", RSA, CA, "");
    shop.certify("ca", "/CN=CA", "root", P256, CA, "");
    for issuer in ["root", "ca"] {
        database(&shop, issuer);
    }
    for name in ["good", "bad"] {
        shop.openssl(&format!("genpkey {P256} -out {name}.key"));
        shop.openssl(&format!("req -new -key {name}.key -subj /CN={name} -out {name}.csr"));
        shop.write("agent.ext", AGENT);
        shop.openssl(&format!("ca -batch -notext -config ca.cnf -in {name}.csr -out {name}.pem -extfile agent.ext"));
    }
    shop.openssl("ca -config ca.cnf -revoke bad.pem -crl_reason keyCompromise");
    for issuer in ["root", "ca"] {
        shop.openssl(&format!("ca -config {issuer}.cnf -gencrl -out {issuer}.crl"));
    }
    let [root, ca, good, bad] = ["root", "ca", "good", "bad"].map(|name| shop.der(&format!("{name}.pem")));
    let lists = ["root", "ca"].map(|name| shop.der(&format!("{name}.crl")));
    let lists: Vec<&[u8]> = lists.iter().map(Vec::as_slice).collect();
    // A list begins at the second it was made in.
    let check = |target: &[u8], lists: &[&[u8]]| slug(&check_path(target, &[&ca], &[&root], lists, now()));
    assert_eq!(check(&good, &lists), "valid");
    assert_eq!(check(&bad, &lists), "certificate_revoked");
    assert_eq!(check(&bad, &[]), "valid", "without lists nobody asked");
    assert_eq!(check(&good, &lists[1..]), "revocation_unknown");
    assert_eq!(check(&ca, &lists), "valid", "a CA as target");
    let later = now().plus_seconds(8 * 86_400);
    assert_eq!(slug(&check_path(&good, &[&ca], &[&root], &lists, later)), "revocation_unknown");
    // The same by openssl.
    shop.openssl("verify -crl_check_all -CAfile root.pem -untrusted ca.pem -CRLfile root.crl -CRLfile ca.crl good.pem");
    let (theirs, _) = shop.try_openssl(
        "verify -crl_check_all -CAfile root.pem -untrusted ca.pem -CRLfile root.crl -CRLfile ca.crl bad.pem",
    );
    assert!(!theirs);
}

#[test]
fn signatures_that_openssl_makes_verify() {
    let shop = Shop::new("signatures");
    shop.write("message", "transfer 10");
    let pss = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen";
    for (algorithm, key, how) in [
        ("RS256", RSA, "dgst -sha256 -sign".to_owned()),
        ("RS384", RSA, "dgst -sha384 -sign".to_owned()),
        ("RS512", RSA, "dgst -sha512 -sign".to_owned()),
        ("PS256", RSA, format!("dgst -sha256 {pss}:digest -sign")),
        ("PS384", RSA, format!("dgst -sha384 {pss}:digest -sign")),
        ("PS512", RSA, format!("dgst -sha512 {pss}:digest -sign")),
        ("ES256", P256, "dgst -sha256 -sign".to_owned()),
        ("ES384", P384, "dgst -sha384 -sign".to_owned()),
        ("EdDSA", ED25519, String::new()),
    ] {
        shop.openssl(&format!("genpkey {key} -out key"));
        shop.openssl("pkey -in key -pubout -outform DER -out spki");
        if how.is_empty() {
            shop.openssl("pkeyutl -sign -rawin -inkey key -in message -out signature");
        } else {
            shop.openssl(&format!("{how} key -out signature message"));
        }
        let verify = |message: &[u8]| {
            signature::verify(algorithm.parse().unwrap(), &shop.read("spki"), message, &shop.read("signature"))
        };
        assert_eq!(verify(b"transfer 10"), Ok(()), "{algorithm}");
        assert_eq!(verify(b"transfer 11"), Err(Reason::SignatureInvalid), "{algorithm}");
        if algorithm.starts_with("PS") {
            // openssl's own default is the longest salt that fits, which is refused.
            shop.openssl(&format!("{} key -out signature message", how.replace(":digest", ":max")));
            assert_eq!(verify_again(&shop, algorithm), Err(Reason::SignatureInvalid), "{algorithm}");
        }
    }
}

fn verify_again(shop: &Shop, algorithm: &str) -> Result<(), Reason> {
    signature::verify(algorithm.parse()?, &shop.read("spki"), b"transfer 10", &shop.read("signature"))
}

fn slug<T>(outcome: &Result<T, Reason>) -> &'static str {
    outcome.as_ref().map_or_else(Reason::slug, |_| "valid")
}
