//! Registering what the `openssl` program made.

use super::pki::{Identity, Pki};
use postgres::Client;

impl Pki {
    /// Makes the root a trust anchor.
    pub fn trust_root(&self, administrator: &mut Client) {
        let certificate = self.root.identity.der();
        administrator.query("select kakunin.add_trust_anchor($1)", &[&certificate]).expect("the root is a CA");
    }
}

impl Identity {
    /// Imports the certificate with its chain.
    pub fn register(&self, administrator: &mut Client) {
        let import = "select kakunin.import_certificate($1, $2)";
        administrator.query(import, &[&self.der(), &self.chain_der()]).expect("the certificate is sound");
    }
}
