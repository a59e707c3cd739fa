//! Calls of the `openssl` program, and the files it reads.

use super::Identity;
use super::request::KeyType;
use crate::harness::{place, process};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// One of the program's commands, untouched by the machine's own configuration.
pub fn command(name: &str) -> Command {
    let mut command = Command::new("openssl");
    command.arg(name).env("OPENSSL_CONF", "/dev/null");
    command
}

/// Runs it; what it wrote to standard output.
///
/// # Panics
/// When it fails, with what it said.
pub fn output_of(command: &mut Command) -> Vec<u8> {
    process::run(command).stdout
}

/// A new key in the directory.
pub fn generate_key(directory: &Path, stem: &str, key_type: KeyType) -> PathBuf {
    let file = directory.join(format!("{stem}.key"));
    let mut genpkey = command("genpkey");
    match key_type {
        KeyType::Rsa(bits) => {
            genpkey.args(["-algorithm", "RSA", "-pkeyopt", &format!("rsa_keygen_bits:{bits}")]);
        }
        KeyType::Ec(curve) => {
            genpkey.args(["-algorithm", "EC", "-pkeyopt", &format!("ec_paramgen_curve:{curve}")]);
        }
        KeyType::Ed25519 => {
            genpkey.args(["-algorithm", "ED25519"]);
        }
    }
    output_of(genpkey.arg("-out").arg(&file));
    file
}

/// What `openssl ca` and `openssl req` read.
pub fn configuration(directory: &Path, identity: &Identity) -> String {
    format!(
        "[req]
distinguished_name = name
string_mask = utf8only
prompt = no
[name]
[ca]
default_ca = this
[this]
database = {directory}/index.txt
serial = {directory}/serial
crlnumber = {directory}/crlnumber
new_certs_dir = {directory}
certificate = {certificate}
private_key = {key}
default_md = sha256
preserve = yes
policy = any
unique_subject = no
crl_extensions = list
[any]
countryName = optional
organizationName = optional
organizationalUnitName = optional
serialNumber = optional
commonName = optional
[list]
authorityKeyIdentifier = keyid:always
",
        directory = directory.display(),
        certificate = identity.certificate.display(),
        key = identity.key.display(),
    )
}

/// The serial number of the next certificate: the given hexadecimal, else 16 random bytes with the top bit clear
/// and a first byte that is not zero.
pub fn set_serial(directory: &Path, wished: Option<&str>) {
    let serial = match wished {
        Some(serial) => serial.to_owned(),
        None => {
            let mut bytes = random();
            bytes[0] = bytes[0] & 0x3f | 0x40;
            bytes.iter().map(|byte| format!("{byte:02X}")).collect()
        }
    };
    fs::write(directory.join("serial"), serial + "\n").expect("the directory is ours");
}

/// Seconds from now, as text, to the form that openssl reads; any other text stays as it is.
pub fn time(text: &str) -> String {
    let Ok(distance) = text.parse::<i64>() else { return text.to_owned() };
    // Fourteen digits and no sign are a moment already, though a number as well.
    if text.len() >= 14 {
        return text.to_owned();
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
    let mut date = Command::new("date");
    date.args(["-u", "-d", &format!("@{}", now + distance), "+%Y%m%d%H%M%SZ"]);
    String::from_utf8_lossy(&output_of(&mut date)).trim().to_owned()
}

/// A name for files that no other certificate has.
pub fn file_stem() -> String {
    format!("issued-{}", place::unique())
}

/// 16 random bytes.
pub fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    let read = fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    read.expect("Linux has randomness");
    bytes
}
