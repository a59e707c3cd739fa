//! Two registered agents on a cluster: what a test about sessions begins with, and the words it asks with.

use super::client::{DATABASE, Refusal, refusal_of};
use super::cluster::{Builder, Cluster};
use super::pki::{Identity, LeafRequest, Pki};
use super::proof::claims;
use postgres::{Client, SimpleQueryMessage};

/// Serial number of the certificate of agent `a`.
pub const SERIAL_A: &str = "4A";
/// Serial number of the certificate of agent `b`.
pub const SERIAL_B: &str = "4B";

/// Two tables with the same rows: one with the policies that `protect_table` writes, which hold for its owner too, and
/// one with a bare call in a permissive policy, as people write it.
pub const TABLES: [&str; 2] = ["t.v", "t.bare"];

/// A cluster that trusts one root, with the certificates of two agents in its registry.
///
/// Logins: `app`, as which agents connect, and `gateway`, which is nothing by itself but may become `app` or `warden`.
/// Roles: `keeper`, which owns tables, and `warden`, which bypasses row-level security. Both tables of [`TABLES`] hold
/// rows 1 and 2 of agent `a`, row 3 of agent `b`, and row 4, whose serial number is the empty text.
pub struct Scene {
    /// The cluster.
    pub cluster: Cluster,
    /// Who issued the certificates.
    pub pki: Pki,
    /// Agent `a`; serial number [`SERIAL_A`].
    pub a: Identity,
    /// Agent `b`; serial number [`SERIAL_B`].
    pub b: Identity,
}

impl Scene {
    /// On a cluster like any other.
    pub fn new() -> Self {
        Self::on(Cluster::builder())
    }

    /// On a cluster with other wishes; it has the extension.
    pub fn on(builder: Builder) -> Self {
        let cluster = builder.start();
        let pki = Pki::new();
        let agent = |name: &str, serial: &str, scope: &str| {
            pki.intermediate.issue(&LeafRequest::agent(name).serial(serial).scope(scope))
        };
        let (a, b) = (agent("a", SERIAL_A, SCOPE_A), agent("b", SERIAL_B, SCOPE_B));
        let mut superuser = cluster.superuser();
        superuser.batch_execute(ROLES).expect("the roles are new");
        superuser.batch_execute(SCHEMA).expect("the tables are new");
        pki.trust_root(&mut superuser);
        for agent in [&a, &b] {
            agent.register(&mut superuser);
        }
        Self { cluster, pki, a, b }
    }

    /// A new session of `app`.
    pub fn app(&self) -> Client {
        self.cluster.connect("app", DATABASE)
    }

    /// A new session of the superuser.
    pub fn superuser(&self) -> Client {
        self.cluster.superuser()
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

/// A proof that answers a challenge of this session. Good for one use, also right after a server start.
pub fn proof(client: &mut Client, agent: &Identity) -> String {
    let row = client.query_one("select kakunin.proof_audience(), kakunin.session_challenge()", &[]);
    let row = row.expect("anyone may ask for a challenge");
    let mut claims = claims(row.get(0));
    claims["nonce"] = row.get::<_, String>(1).into();
    claims.as_object_mut().expect("claims are an object").remove("jti");
    agent.proof(&claims)
}

/// Binds until the transaction ends, or says why not.
///
/// # Errors
/// The server's refusal.
pub fn try_bind(client: &mut Client, agent: &Identity) -> Result<(), postgres::Error> {
    let proof = proof(client, agent);
    client.execute("select kakunin.bind_transaction($1)", &[&proof]).map(|_| ())
}

/// Binds until the transaction ends; call it inside one.
pub fn bind(client: &mut Client, agent: &Identity) {
    try_bind(client, agent).expect("a registered agent can bind");
}

/// Begins a transaction and binds it.
pub fn begin_as(client: &mut Client, agent: &Identity) {
    run(client, "begin");
    bind(client, agent);
}

/// Binds until the session ends, or says why not.
///
/// # Errors
/// The server's refusal.
pub fn try_bind_session(client: &mut Client, agent: &Identity) -> Result<(), postgres::Error> {
    let proof = proof(client, agent);
    client.execute("select kakunin.bind_session($1)", &[&proof]).map(|_| ())
}

/// Binds until the session ends.
pub fn bind_session(client: &mut Client, agent: &Identity) {
    try_bind_session(client, agent).expect("a registered agent can bind");
}

/// The ids that the session sees in a table, in order.
pub fn seen(client: &mut Client, table: &str) -> String {
    ask(client, &format!("select id from {table} order by id"))
}

/// The ids that the session sees in both [`TABLES`].
///
/// # Panics
/// When they differ.
pub fn seen_in_both(client: &mut Client) -> String {
    let [protected, bare] = TABLES.map(|table| seen(client, table));
    assert_eq!(protected, bare, "the two forms of the policy differ");
    protected
}

/// Runs statements that succeed.
///
/// # Panics
/// When one fails, with what the server said.
pub fn run(client: &mut Client, statements: &str) {
    if let Err(error) = client.batch_execute(statements) {
        panic!("{statements}\n{}", text_of(&error));
    }
}

/// The rows of the last query among the statements as one text: rows separated by a comma, columns by `|`; `NULL` for
/// a null.
///
/// # Panics
/// When a statement fails, with what the server said.
pub fn ask(client: &mut Client, statements: &str) -> String {
    match try_ask(client, statements) {
        Ok(rows) => rows,
        Err(error) => panic!("{statements}\n{}", text_of(&error)),
    }
}

/// As [`ask`].
///
/// # Errors
/// The server's refusal.
pub fn try_ask(client: &mut Client, statements: &str) -> Result<String, postgres::Error> {
    let mut rows: Vec<String> = Vec::new();
    let mut complete = false;
    for message in client.simple_query(statements)? {
        match message {
            SimpleQueryMessage::Row(row) => {
                if std::mem::take(&mut complete) {
                    rows.clear();
                }
                let columns: Vec<&str> = (0..row.len()).map(|column| row.get(column).unwrap_or("NULL")).collect();
                rows.push(columns.join("|"));
            }
            SimpleQueryMessage::CommandComplete(_) => complete = true,
            _ => {}
        }
    }
    Ok(rows.join(","))
}

/// The refusal of statements that must be refused. Inside a transaction use [`refused_inside`].
pub fn refused(client: &mut Client, statements: &str) -> Refusal {
    match client.batch_execute(statements) {
        Ok(()) => panic!("this must be refused, and it was not: {statements}"),
        refusal => refusal_of(refusal),
    }
}

/// The refusal of statements that must be refused; the transaction goes on as it was before them.
pub fn refused_inside(client: &mut Client, statements: &str) -> Refusal {
    run(client, "savepoint attempt");
    let refusal = refused(client, statements);
    run(client, "rollback to savepoint attempt; release savepoint attempt");
    refusal
}

/// The SQLSTATE with which statements end: `00000` for success.
pub fn state(client: &mut Client, statements: &str) -> String {
    match client.batch_execute(statements) {
        Ok(()) => "00000".to_owned(),
        refusal => refusal_of(refusal).sqlstate,
    }
}

/// As [`state`]; after a refusal the transaction goes on as it was before.
pub fn state_inside(client: &mut Client, statements: &str) -> String {
    run(client, "savepoint attempt");
    let state = state(client, statements);
    let end = if state == "00000" { "release" } else { "rollback to" };
    run(client, &format!("{end} savepoint attempt"));
    state
}

/// The rows that the last statement touched: what its command tag ends with.
pub fn touched(client: &mut Client, statements: &str) -> u64 {
    let messages = client.simple_query(statements).unwrap_or_else(|error| panic!("{statements}\n{}", text_of(&error)));
    let counts = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::CommandComplete(count) => Some(*count),
        _ => None,
    });
    counts.last().expect("a statement that completed")
}

fn text_of(error: &postgres::Error) -> String {
    match error.as_db_error() {
        Some(refusal) => format!(
            "{} {}\nDETAIL: {}\nHINT: {}",
            refusal.code().code(),
            refusal.message(),
            refusal.detail().unwrap_or_default(),
            refusal.hint().unwrap_or_default()
        ),
        None => format!("the server did not answer: {error}"),
    }
}

const ROLES: &str = "
    create role app login;
    create role keeper;
    create role warden bypassrls;
    create role gateway login noinherit;
    grant app, warden to gateway;
";

const SCHEMA: &str = "
    create schema t authorization keeper;
    grant usage on schema t to public;
    set role keeper;
    create table t.v (id int primary key, s text not null, secret text);
    insert into t.v values (1, '4A', 'a1'), (2, '4A', 'a2'), (3, '4B', 'b1'), (4, '', 'empty');
    create table t.bare (like t.v including all);
    insert into t.bare table t.v;
    select from kakunin.protect_table('t.v', 's');
    alter table t.bare enable row level security;
    create policy own on t.bare using (s = kakunin_cert_serial());
    grant select, insert, update, delete on t.v, t.bare to app, warden;
    reset role;
";

/// Whoever asks what agent `a` may do must name one of the instruments.
const SCOPE_A: &str =
    r#"{"allowed_actions":["note:read","trade:*"],"permitted_instruments":["EURUSD","GBPUSD"],"v":1}"#;
/// Agent `b` may read notes, and no instrument is permitted to it.
const SCOPE_B: &str = r#"{"allowed_actions":["note:read"],"v":1}"#;
