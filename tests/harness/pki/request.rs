//! What a certificate is to hold. The defaults make a sound one; every test changes what it is about.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The kind of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// RSA with this many bits.
    Rsa(u32),
    /// An elliptic curve by openssl's name.
    Ec(&'static str),
    /// Ed25519.
    Ed25519,
}

impl KeyType {
    /// RSA with 2048 bits.
    pub const RSA_2048: Self = Self::Rsa(2048);
    /// NIST P-256.
    pub const P256: Self = Self::Ec("P-256");
    /// NIST P-384.
    pub const P384: Self = Self::Ec("P-384");
}

/// What a CA's certificate is to hold.
#[derive(Debug, Clone)]
pub struct CaRequest {
    pub(super) key_type: KeyType,
    inner: LeafRequest,
    path_length: Option<u32>,
}

impl CaRequest {
    /// A CA with a P-256 key, good for ten years, without a limit on the path below it.
    pub fn new(common_name: &str) -> Self {
        let inner = LeafRequest { common_name: common_name.to_owned(), ..LeafRequest::empty() };
        let inner = inner.key_usage("critical, keyCertSign, cRLSign").valid("-300", "315360000");
        Self { key_type: KeyType::P256, inner, path_length: None }
    }

    /// The kind of its key.
    pub fn key_type(mut self, key_type: KeyType) -> Self {
        self.key_type = key_type;
        self
    }

    /// How many CAs may stand below it.
    pub fn path_length(mut self, length: Option<u32>) -> Self {
        self.path_length = length;
        self
    }

    /// Changes what it has in common with other certificates: times, key usage, extensions, serial number.
    pub fn with(mut self, change: impl FnOnce(LeafRequest) -> LeafRequest) -> Self {
        self.inner = change(self.inner);
        self
    }

    pub(super) fn as_leaf(&self) -> LeafRequest {
        let length = self.path_length.map(|length| format!(", pathlen:{length}")).unwrap_or_default();
        let mut request = self.inner.clone();
        if request.basic_constraints.is_none() {
            request.basic_constraints = Some(format!("critical, CA:true{length}"));
        }
        request
    }
}

/// What a certificate is to hold.
#[derive(Debug, Clone)]
pub struct LeafRequest {
    pub(super) key_type: KeyType,
    pub(super) key: Option<PathBuf>,
    pub(super) serial: Option<String>,
    pub(super) digest: String,
    pub(super) not_before: String,
    pub(super) not_after: String,
    common_name: String,
    organization: Option<String>,
    names: Vec<String>,
    basic_constraints: Option<String>,
    key_usage: Option<String>,
    extended_key_usage: Option<String>,
    extensions: Vec<(String, bool, Vec<u8>)>,
}

impl LeafRequest {
    /// An agent of tenant `acme` in trust domain `kakunin.local`, with a scope and a model hash, good for a year.
    pub fn agent(agent: &str) -> Self {
        Self { common_name: agent.to_owned(), organization: Some("acme".to_owned()), ..Self::empty() }
            .uri(&format!("spiffe://kakunin.local/tenant/acme/agent/{agent}"))
            .key_usage("critical, digitalSignature")
            .extended_key_usage(&format!("{ARC}.1"))
            .basic_constraints("CA:false")
            .text_extension(&format!("{ARC}.2"), &format!("sha256:{}", "5a".repeat(32)))
            .text_extension(&format!("{ARC}.3"), r#"{"allowed_actions":["read.*"],"v":1}"#)
    }

    /// A TLS server of this name and 127.0.0.1.
    pub fn server(name: &str) -> Self {
        let mut request = Self { common_name: name.to_owned(), ..Self::empty() };
        request.names = vec![format!("DNS:{name}"), "IP:127.0.0.1".to_owned()];
        request.key_usage("critical, digitalSignature").extended_key_usage("serverAuth").basic_constraints("CA:false")
    }

    /// Nothing but key, times and key identifiers.
    pub fn empty() -> Self {
        Self {
            key_type: KeyType::P256,
            key: None,
            serial: None,
            digest: "sha256".to_owned(),
            not_before: "-60".to_owned(),
            not_after: "31536000".to_owned(),
            common_name: String::new(),
            organization: None,
            names: Vec::new(),
            basic_constraints: None,
            key_usage: None,
            extended_key_usage: None,
            extensions: Vec::new(),
        }
    }

    /// The kind of its key.
    pub fn key_type(mut self, key_type: KeyType) -> Self {
        self.key_type = key_type;
        self
    }

    /// An existing key, of the kind that `key_type` says.
    pub fn key(mut self, key: &Path) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// The serial number: hexadecimal, an even number of digits.
    pub fn serial(mut self, serial: &str) -> Self {
        self.serial = Some(serial.to_owned());
        self
    }

    /// The digest that its issuer signs, by openssl's name.
    pub fn digest(mut self, digest: &str) -> Self {
        self.digest = digest.to_owned();
        self
    }

    /// notBefore and notAfter: seconds from now (`-60`), or moments (`20260131000000Z`).
    pub fn valid(mut self, not_before: &str, not_after: &str) -> Self {
        (self.not_before, self.not_after) = (not_before.to_owned(), not_after.to_owned());
        self
    }

    /// A certificate that ended an hour ago.
    pub fn expired(self) -> Self {
        self.valid("-86400", "-3600")
    }

    /// The common name.
    pub fn common_name(mut self, name: &str) -> Self {
        self.common_name = name.to_owned();
        self
    }

    /// The organization, or none.
    pub fn organization(mut self, name: Option<&str>) -> Self {
        self.organization = name.map(str::to_owned);
        self
    }

    /// One more URI among the subject's alternative names.
    pub fn uri(mut self, uri: &str) -> Self {
        self.names.push(format!("URI:{uri}"));
        self
    }

    /// One more alternative name in openssl's form: `DNS:…`, `IP:…`, `URI:…`.
    pub fn name(mut self, name: &str) -> Self {
        self.names.push(name.to_owned());
        self
    }

    /// No alternative names.
    pub fn without_names(mut self) -> Self {
        self.names.clear();
        self
    }

    /// basicConstraints in openssl's form.
    pub fn basic_constraints(mut self, value: &str) -> Self {
        self.basic_constraints = Some(value.to_owned());
        self
    }

    /// keyUsage in openssl's form; empty for none.
    pub fn key_usage(mut self, value: &str) -> Self {
        self.key_usage = Some(value.to_owned()).filter(|value| !value.is_empty());
        self
    }

    /// extendedKeyUsage in openssl's form, OIDs or names; empty for none.
    pub fn extended_key_usage(mut self, value: &str) -> Self {
        self.extended_key_usage = Some(value.to_owned()).filter(|value| !value.is_empty());
        self
    }

    /// An agent that may also be a TLS client: OpenSSL refuses a client whose key usages do not say so.
    pub fn tls_client(self) -> Self {
        self.extended_key_usage(&format!("{ARC}.1,clientAuth"))
    }

    /// One more extension, with the DER of its value. Of two with one OID openssl keeps the last.
    pub fn extension(mut self, oid: &str, critical: bool, der: &[u8]) -> Self {
        self.extensions.push((oid.to_owned(), critical, der.to_vec()));
        self
    }

    /// One more extension, not critical, that holds a UTF8String.
    pub fn text_extension(self, oid: &str, text: &str) -> Self {
        let der = utf8_string(text.as_bytes());
        self.extension(oid, false, &der)
    }

    /// No extension of this OID, whatever the defaults put there.
    pub fn without_extension(mut self, oid: &str) -> Self {
        self.extensions.retain(|(other, ..)| other != oid);
        self
    }

    /// The scope: RFC 8785 JSON, in place of the default.
    pub fn scope(self, json: &str) -> Self {
        let oid = format!("{ARC}.3");
        self.without_extension(&oid).text_extension(&oid, json)
    }

    pub(super) fn subject(&self) -> String {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('/', "\\/").replace('+', "\\+");
        let mut subject = String::new();
        if let Some(organization) = &self.organization {
            subject.push_str(&format!("/O={}", escaped(organization)));
        }
        if !self.common_name.is_empty() {
            subject.push_str(&format!("/CN={}", escaped(&self.common_name)));
        }
        if subject.is_empty() { "/".to_owned() } else { subject }
    }

    /// The file that `openssl ca -extfile` reads. Values go in as DER, because its own forms give quotes, commas
    /// and dollars a meaning.
    pub(super) fn extension_file(&self, own: bool) -> String {
        let mut file = String::new();
        let mut line = |name: &str, value: &str| {
            writeln!(file, "{name} = {value}").expect("a String takes all");
        };
        let named = [
            ("basicConstraints", &self.basic_constraints),
            ("keyUsage", &self.key_usage),
            ("extendedKeyUsage", &self.extended_key_usage),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                line(name, value);
            }
        }
        if !self.names.is_empty() {
            line("subjectAltName", &self.names.join(","));
        }
        line("subjectKeyIdentifier", "hash");
        // A self-signed certificate is its own issuer, whose certificate is not there yet.
        if !own {
            line("authorityKeyIdentifier", "keyid:always");
        }
        for (oid, critical, der) in &self.extensions {
            let hex: Vec<String> = der.iter().map(|byte| format!("{byte:02x}")).collect();
            let critical = if *critical { "critical," } else { "" };
            line(oid, &format!("{critical}DER:{}", hex.join(":")));
        }
        file
    }
}

/// The DER of a UTF8String of less than 64 kB.
fn utf8_string(text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("an extension is short").to_be_bytes();
    let mut der = vec![0x0c];
    match length {
        [0, short @ 0..=0x7f] => der.push(short),
        [0, byte] => der.extend([0x81, byte]),
        [high, low] => der.extend([0x82, high, low]),
    }
    der.extend(text);
    der
}

/// The OID arc of the extensions, by default.
const ARC: &str = "1.3.6.1.4.1.99999";
