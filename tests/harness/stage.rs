//! A cluster in which agents act: it trusts a PKI, has one protected table, and its clock can be moved.

use super::client::{DATABASE, Refusal, refusal_of};
use super::clock::Clock;
use super::cluster::{Builder, Cluster};
use super::pki::{Identity, Pki};
use postgres::GenericClient;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// The cluster and who acts in it. Role [`AGENT`] is what agents log in as; table `note` is protected and has
/// two rows for each agent made by [`Stage::agent`].
pub struct Stage {
    /// The server.
    pub cluster: Cluster,
    /// The PKI whose root is trusted.
    pub pki: Pki,
    /// The server's clock. It starts ten seconds ahead, so that proofs made now are younger than the server.
    pub clock: Clock,
    audience: String,
    count: AtomicU32,
    headers: Mutex<HashMap<PathBuf, Value>>,
}

impl Stage {
    /// With the default settings.
    pub fn new() -> Self {
        Self::with(|builder, _| builder)
    }

    /// With other wishes for the cluster, which may need files of the PKI.
    pub fn with(wishes: impl FnOnce(Builder, &Pki) -> Builder) -> Self {
        let (pki, clock) = (Pki::new(), Clock::new());
        let cluster = wishes(Cluster::builder().clock(&clock), &pki).start();
        let mut superuser = cluster.superuser();
        superuser.batch_execute(SCENE).expect("the scene can be set");
        let root = pki.root.identity.der();
        superuser.execute("select kakunin.add_trust_anchor($1)", &[&root]).expect("a root can be trusted");
        let audience = superuser.query_one("select kakunin.proof_audience()", &[]).expect("it has one").get(0);
        clock.advance(SECONDS_AHEAD);
        Self { cluster, pki, clock, audience, count: AtomicU32::new(0), headers: Mutex::default() }
    }

    /// A new agent of the intermediate CA, with a P-256 key, registered, with two notes.
    pub fn agent(&self, name: &str) -> Identity {
        let agent = self.pki.agent(name);
        self.enrol(&agent);
        agent
    }

    /// Registers an agent's certificate and writes two notes for it.
    pub fn enrol(&self, agent: &Identity) {
        self.register(agent);
        self.write_notes(&agent.serial(), 2);
    }

    /// Registers an agent's certificate.
    pub fn register(&self, agent: &Identity) {
        let mut superuser = self.cluster.superuser();
        let import = "select kakunin.import_certificate($1, $2)";
        superuser.execute(import, &[&agent.der(), &agent.chain_der()]).expect("it can be registered");
    }

    /// Adds rows to the protected table.
    pub fn write_notes(&self, serial: &str, count: i32) {
        let insert =
            "insert into note (permitted_agent_serial, body) select $1, 'note ' || n from generate_series(1, $2) n";
        self.cluster.superuser().execute(insert, &[&serial, &count]).expect("a superuser may");
    }

    /// What a proof for this database names.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The claims of a fresh proof by the server's clock: good for 30 seconds, with a `jti` of its own.
    pub fn claims(&self) -> Value {
        let now = self.clock.now();
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        json!({ "aud": self.audience, "iat": now, "exp": now + 30, "jti": format!("jti-{count}-{}", std::process::id()) })
    }

    /// The claims with members changed; null takes one out.
    pub fn claims_but(&self, changes: Value) -> Value {
        let mut claims = self.claims();
        change(&mut claims, changes);
        claims
    }

    /// The claims of a proof that answers a challenge.
    pub fn answer(&self, challenge: &str) -> Value {
        self.claims_but(json!({ "jti": null, "nonce": challenge }))
    }

    /// The header of an agent's proofs. Kept, because `openssl` is asked three times for what is in it.
    pub fn header(&self, agent: &Identity) -> Value {
        let mut headers = self.headers.lock().expect("making a header does not panic");
        headers.entry(agent.certificate.clone()).or_insert_with(|| agent.proof_header()).clone()
    }

    /// The header with members changed; null takes one out.
    pub fn header_but(&self, agent: &Identity, changes: Value) -> Value {
        let mut header = self.header(agent);
        change(&mut header, changes);
        header
    }

    /// A proof with these claims.
    pub fn sign(&self, agent: &Identity, claims: &Value) -> String {
        agent.jws(&self.header(agent), claims)
    }

    /// A fresh proof.
    pub fn proof(&self, agent: &Identity) -> String {
        self.sign(agent, &self.claims())
    }

    /// A session of an agent, not bound.
    pub fn connect(&self) -> postgres::Client {
        self.cluster.connect(AGENT, DATABASE)
    }

    /// A session of an agent, bound with a fresh proof until it ends.
    pub fn bound(&self, agent: &Identity) -> postgres::Client {
        let mut session = self.connect();
        bind_session(&mut session, &self.proof(agent)).expect("a fresh proof binds");
        session
    }

    /// How many proofs the server remembers.
    pub fn used_proofs(&self) -> i64 {
        let live = "select live from kakunin.used_proofs()";
        self.cluster.superuser().query_one(live, &[]).expect("a superuser may").get(0)
    }

    /// Revokes as a superuser.
    pub fn revoke(&self, agent: &Identity) {
        let revoke = "select kakunin.revoke_certificate($1)";
        self.cluster.superuser().execute(revoke, &[&agent.serial()]).expect("a registered certificate can be revoked");
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

/// Sets members of a JSON object; null takes one out.
pub fn change(object: &mut Value, changes: Value) {
    let (Some(object), Value::Object(changes)) = (object.as_object_mut(), changes) else { panic!("two objects") };
    for (name, value) in changes {
        match value {
            Value::Null => object.remove(&name),
            value => object.insert(name, value),
        };
    }
}

/// Binds the transaction, or the statement where none is open; the proof is a bind parameter.
///
/// # Errors
/// The server's refusal.
pub fn bind(client: &mut impl GenericClient, proof: &str) -> Result<(), postgres::Error> {
    client.execute("select kakunin.bind_transaction($1)", &[&proof]).map(|_| ())
}

/// Binds the session.
///
/// # Errors
/// The server's refusal.
pub fn bind_session(client: &mut impl GenericClient, proof: &str) -> Result<(), postgres::Error> {
    client.execute("select kakunin.bind_session($1)", &[&proof]).map(|_| ())
}

/// SQLSTATE and slug of a refusal, to compare with what is expected.
pub fn verdict<T>(result: Result<T, postgres::Error>) -> (String, String) {
    match result {
        Ok(_) => ("00000".to_owned(), String::new()),
        Err(_) => {
            let refusal: Refusal = refusal_of(result);
            (refusal.sqlstate.clone(), refusal.slug().to_owned())
        }
    }
}

/// How many notes the session sees.
pub fn notes(client: &mut impl GenericClient) -> i64 {
    client.query_one("select count(*) from note", &[]).expect("reading is never an error").get(0)
}

/// The serial number that the policies see.
pub fn serial_seen(client: &mut impl GenericClient) -> Option<String> {
    client.query_one("select kakunin_cert_serial()", &[]).expect("reading is never an error").get(0)
}

/// Like `client.query_one` for one column of text: any expression.
pub fn text(client: &mut impl GenericClient, expression: &str) -> Option<String> {
    let query = format!("select ({expression})::text");
    client.query_one(&query, &[]).unwrap_or_else(|error| panic!("{expression}: {error:?}")).get(0)
}

/// The role that agents log in as.
pub const AGENT: &str = "app";
/// Another role without privileges of its own, which logs in as well.
pub const OTHER: &str = "other_app";

/// More than twice the default of `kakunin.clock_skew`.
const SECONDS_AHEAD: i64 = 11;

const SCENE: &str = "
create role app login;
create role other_app login;
create role admin login in role kakunin_admin;
create table note (
    id int generated always as identity primary key,
    permitted_agent_serial text not null,
    body text not null
);
select from kakunin.protect_table('note', create_index => true);
grant select, insert, update, delete on note to app, other_app;
";
