//! Certificates made by the `openssl` program: a root, an intermediate below it, and whatever they issue.

mod openssl;
mod request;

pub use request::{CaRequest, KeyType, LeafRequest};

use super::cluster::ServerTls;
use super::place::Scratch;
use openssl::{command, configuration, file_stem, output_of, set_serial};
use std::fs;
use std::path::{Path, PathBuf};

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate: PEM.
    pub certificate: PathBuf,
    /// The private key: PEM, PKCS #8.
    pub key: PathBuf,
    /// What kind of key it is.
    pub key_type: KeyType,
    /// The certificates between this one and the root, nearest first, without the root: PEM files.
    pub chain: Vec<PathBuf>,
}

impl Identity {
    /// The certificate in DER.
    pub fn der(&self) -> Vec<u8> {
        der_of(&self.certificate)
    }

    /// The certificates between this one and the root, nearest first, without the root, in DER.
    pub fn chain_der(&self) -> Vec<Vec<u8>> {
        self.chain.iter().map(|file| der_of(file)).collect()
    }

    /// The certificate in PEM.
    pub fn pem(&self) -> String {
        fs::read_to_string(&self.certificate).expect("it was just made")
    }

    /// The DER SubjectPublicKeyInfo.
    pub fn public_key_der(&self) -> Vec<u8> {
        output_of(command("pkey").arg("-in").arg(&self.key).args(["-pubout", "-outform", "DER"]))
    }

    /// The serial number as `openssl` prints it: upper-case hexadecimal.
    pub fn serial(&self) -> String {
        let printed = output_of(command("x509").arg("-in").arg(&self.certificate).args(["-noout", "-serial"]));
        String::from_utf8_lossy(&printed).trim().trim_start_matches("serial=").to_owned()
    }

    /// SHA-256 of the DER.
    pub fn fingerprint(&self) -> Vec<u8> {
        output_of(command("dgst").args(["-sha256", "-binary"]).arg(self.der_file()))
    }

    /// A PEM file with this certificate and its chain, as servers and clients of TLS send them.
    pub fn chain_file(&self) -> PathBuf {
        let file = self.certificate.with_extension("chain.pem");
        let mut text = self.pem();
        for above in &self.chain {
            text.push_str(&fs::read_to_string(above).expect("it was made before"));
        }
        fs::write(&file, text).expect("the directory is ours");
        file
    }

    fn der_file(&self) -> PathBuf {
        let file = self.certificate.with_extension("der");
        fs::write(&file, self.der()).expect("the directory is ours");
        file
    }
}

/// A CA: issues, revokes, publishes its list.
pub struct Authority {
    directory: PathBuf,
    /// Its certificate and key.
    pub identity: Identity,
}

impl Authority {
    /// A self-signed CA in a new directory.
    pub fn root(directory: &Path, request: &CaRequest) -> Self {
        fs::create_dir(directory).expect("the name is new");
        let key = openssl::generate_key(directory, "ca", request.key_type);
        let authority = Self {
            directory: directory.to_owned(),
            identity: Identity {
                certificate: directory.join("ca.pem"),
                key,
                key_type: request.key_type,
                chain: Vec::new(),
            },
        };
        authority.prepare();
        authority.sign(&request.as_leaf(), &authority.identity.clone(), true);
        authority
    }

    /// A CA made of a certificate and a key that are there, whether or not the certificate says that it is one.
    pub fn of(directory: &Path, identity: Identity) -> Self {
        fs::create_dir(directory).expect("the name is new");
        let authority = Self { directory: directory.to_owned(), identity };
        authority.prepare();
        authority
    }

    /// A CA below this one.
    pub fn issue_ca(&self, directory: &Path, request: &CaRequest) -> Self {
        fs::create_dir(directory).expect("the name is new");
        let key = openssl::generate_key(directory, "ca", request.key_type);
        let identity =
            Identity { certificate: directory.join("ca.pem"), key, key_type: request.key_type, chain: self.chain() };
        self.sign(&request.as_leaf(), &identity, false);
        let authority = Self { directory: directory.to_owned(), identity };
        authority.prepare();
        authority
    }

    /// A certificate that is no CA's.
    pub fn issue(&self, request: &LeafRequest) -> Identity {
        let stem = file_stem();
        let key = match &request.key {
            Some(key) => key.clone(),
            None => openssl::generate_key(&self.directory, &stem, request.key_type),
        };
        let certificate = self.directory.join(format!("{stem}.pem"));
        let identity = Identity { certificate, key, key_type: request.key_type, chain: self.chain() };
        self.sign(request, &identity, false);
        identity
    }

    /// Marks a certificate as revoked; [`Authority::crl`] lists it from then on. `reason` is one of RFC 5280's
    /// words, such as `keyCompromise`.
    pub fn revoke(&self, identity: &Identity, reason: &str) {
        output_of(self.ca().arg("-revoke").arg(&identity.certificate).args(["-crl_reason", reason]));
    }

    /// The current revocation list: a PEM file, good for a day.
    pub fn crl(&self) -> PathBuf {
        self.crl_between("-60", "86400")
    }

    /// A revocation list whose thisUpdate and nextUpdate lie at these distances from now, in seconds.
    pub fn crl_between(&self, this_update: &str, next_update: &str) -> PathBuf {
        let file = self.directory.join(format!("{}.crl.pem", file_stem()));
        let (from, to) = (openssl::time(this_update), openssl::time(next_update));
        let mut ca = self.ca();
        ca.args(["-gencrl", "-crl_lastupdate", &from, "-crl_nextupdate", &to, "-out"]).arg(&file);
        output_of(&mut ca);
        file
    }

    /// A revocation list in DER, from its PEM file.
    pub fn crl_der(file: &Path) -> Vec<u8> {
        output_of(command("crl").arg("-in").arg(file).args(["-outform", "DER"]))
    }

    /// What the certificates of this CA have above them: itself and its own chain, without the root.
    fn chain(&self) -> Vec<PathBuf> {
        let is_root = self.identity.chain.is_empty() && self.directory.join("selfsigned").exists();
        match is_root {
            true => Vec::new(),
            false => [std::slice::from_ref(&self.identity.certificate), &self.identity.chain].concat(),
        }
    }

    /// The files that `openssl ca` keeps its state in.
    fn prepare(&self) {
        for (name, content) in [("index.txt", ""), ("index.txt.attr", "unique_subject = no\n"), ("crlnumber", "01\n")] {
            fs::write(self.directory.join(name), content).expect("the directory is ours");
        }
        let configuration = configuration(&self.directory, &self.identity);
        fs::write(self.directory.join("ca.cnf"), configuration).expect("the directory is ours");
    }

    fn ca(&self) -> std::process::Command {
        let mut ca = command("ca");
        ca.args(["-batch", "-config"]).arg(self.directory.join("ca.cnf"));
        ca
    }

    fn sign(&self, request: &LeafRequest, identity: &Identity, own: bool) {
        let stem = identity.certificate.with_extension("");
        let (csr, extensions) = (stem.with_extension("csr"), stem.with_extension("ext"));
        let mut req = command("req");
        req.args(["-new", "-utf8", "-key"]).arg(&identity.key).args(["-subj", &request.subject(), "-out"]).arg(&csr);
        output_of(req.arg("-config").arg(self.directory.join("ca.cnf")));

        fs::write(&extensions, request.extension_file(own)).expect("the directory is ours");
        set_serial(&self.directory, request.serial.as_deref());
        let mut ca = self.ca();
        ca.args(["-notext", "-md", &request.digest, "-in"]).arg(&csr).arg("-out").arg(&identity.certificate);
        ca.args(["-startdate", &openssl::time(&request.not_before), "-enddate", &openssl::time(&request.not_after)]);
        ca.arg("-extfile").arg(&extensions);
        if own {
            ca.arg("-selfsign");
            fs::write(self.directory.join("selfsigned"), "").expect("the directory is ours");
        }
        output_of(&mut ca);
    }
}

/// A root, an intermediate below it, and the directory of what they issue; removed when dropped.
pub struct Pki {
    scratch: Scratch,
    /// The root: what a verifier trusts.
    pub root: Authority,
    /// The CA that issues.
    pub intermediate: Authority,
}

impl Pki {
    /// A root and an intermediate with P-256 keys, which are made in no time.
    pub fn new() -> Self {
        Self::with(
            &CaRequest::new("kakunin test root").path_length(Some(1)),
            &CaRequest::new("kakunin test intermediate").path_length(Some(0)),
        )
    }

    /// A root and an intermediate to one's wishes.
    pub fn with(root: &CaRequest, intermediate: &CaRequest) -> Self {
        let scratch = Scratch::new();
        let root = Authority::root(&scratch.path().join("root"), root);
        let intermediate = root.issue_ca(&scratch.path().join("intermediate"), intermediate);
        Self { scratch, root, intermediate }
    }

    /// An agent's certificate from the intermediate, with a P-256 key.
    pub fn agent(&self, agent: &str) -> Identity {
        self.intermediate.issue(&LeafRequest::agent(agent))
    }

    /// What a server on 127.0.0.1 needs for TLS: its certificate from the intermediate, and root and intermediate
    /// as the CAs of clients.
    pub fn server_tls(&self) -> ServerTls {
        let server = self.intermediate.issue(&LeafRequest::server("localhost"));
        let both = self.bundle();
        ServerTls { certificate: server.chain_file(), key: server.key, client_ca: Some(both), client_crl: None }
    }

    /// Root and intermediate in one PEM file.
    pub fn bundle(&self) -> PathBuf {
        let file = self.scratch.path().join("bundle.pem");
        let text = self.root.identity.pem() + &self.intermediate.identity.pem();
        fs::write(&file, text).expect("the directory is ours");
        file
    }

    /// A directory for further authorities and files.
    pub fn path(&self) -> &Path {
        self.scratch.path()
    }
}

impl Default for Pki {
    fn default() -> Self {
        Self::new()
    }
}

fn der_of(certificate: &Path) -> Vec<u8> {
    output_of(command("x509").arg("-in").arg(certificate).args(["-outform", "DER"]))
}
