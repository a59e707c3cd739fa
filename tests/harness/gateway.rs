//! A database as Supabase shapes it behind a real PostgREST, and agents that come to it with real clients.

use super::client::DATABASE;
use super::cluster::{Builder, Cluster};
use super::node::Node;
use super::node_session::NodeSession;
use super::pki::{Identity, KeyType, LeafRequest, Pki};
use super::postgrest::{Postgrest, PostgrestSettings};
use super::wait::wait_until;
use serde_json::{Value, json};
use std::cell::{RefCell, RefMut};
use std::time::{SystemTime, UNIX_EPOCH};

/// What a gateway is started with.
pub struct GatewayBuilder {
    cluster: Builder,
    settings: PostgrestSettings,
}

impl GatewayBuilder {
    /// A line of postgresql.conf.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.cluster = self.cluster.set(name, value);
        self
    }

    /// Changes PostgREST's configuration.
    pub fn postgrest(mut self, change: impl FnOnce(&mut PostgrestSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Starts cluster, PostgREST and Node, with two registered agents: alpha has serial 0A01, an RSA key and notes 1
    /// and 2, bravo has serial 0B02, a P-256 key and note 3.
    pub fn start(self) -> Gateway {
        let cluster = self.cluster.start();
        let pki = Pki::new();
        let mut superuser = cluster.superuser();
        superuser.batch_execute(include_str!("gateway.sql")).expect("the file is sound");
        pki.trust_root(&mut superuser);
        let agent = |name: &str, serial: &str, key_type| {
            let identity = pki.intermediate.issue(&LeafRequest::agent(name).serial(serial).key_type(key_type));
            identity.register(&mut cluster.superuser());
            identity
        };
        let alpha = agent("alpha", "0A01", KeyType::RSA_2048);
        let bravo = agent("bravo", "0B02", KeyType::P256);
        let audience = superuser.query_one("select kakunin.proof_audience()", &[]).expect("preloaded").get(0);
        let postgrest = Postgrest::start(&cluster, &self.settings);
        wait_until("the next second after the server's start", || {
            let later = "select date_trunc('second', clock_timestamp()) > pg_postmaster_start_time()";
            superuser.query_one(later, &[]).expect("a plain query").get::<_, bool>(0).then_some(())
        });
        let node = RefCell::new(NodeSession::start(&Node::with_clients(), "gateway.mjs"));
        let mut gateway =
            Gateway { postgrest, node, settings: self.settings, pki, alpha, bravo, audience, anonymous: None, cluster };
        gateway.anonymous = Some(gateway.token(&json!({ "role": "anon", "exp": now() + 600 })));
        gateway
    }
}

/// Everything that a request passes through; dropping it ends all of it.
pub struct Gateway {
    postgrest: Postgrest,
    node: RefCell<NodeSession>,
    settings: PostgrestSettings,
    /// Who issued the agents' certificates.
    pub pki: Pki,
    /// The agent with serial 0A01.
    pub alpha: Identity,
    /// The agent with serial 0B02.
    pub bravo: Identity,
    /// What a proof for the database names.
    pub audience: String,
    anonymous: Option<String>,
    /// The database server.
    pub cluster: Cluster,
}

impl Gateway {
    /// A gateway whose PostgREST calls `kakunin.pre_request` and logs in as a trusted `authenticator`.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// A gateway with other wishes.
    pub fn builder() -> GatewayBuilder {
        let settings = PostgrestSettings {
            database: DATABASE.to_owned(),
            authenticator: "authenticator".to_owned(),
            schema: "api".to_owned(),
            anonymous: "anon".to_owned(),
            pre_request: "kakunin.pre_request".to_owned(),
            jwt_secret: SECRET.to_owned(),
            pool_size: 3,
            more: String::new(),
        };
        // Proofs of libraries have whole seconds. With no skew, one made in the second after the server's start is
        // younger than the server, and the tests need not wait for longer.
        let cluster =
            Cluster::builder().set("kakunin.trusted_gateways", "authenticator").set("kakunin.clock_skew", "0");
        GatewayBuilder { cluster, settings }
    }

    /// PostgREST's address.
    pub fn url(&self) -> String {
        self.postgrest.url()
    }

    /// PostgREST's log until now.
    pub fn log(&self) -> String {
        self.postgrest.log()
    }

    /// A second PostgREST in front of the same database.
    pub fn beside(&self, change: impl FnOnce(&mut PostgrestSettings)) -> Postgrest {
        let mut settings = self.settings.clone();
        change(&mut settings);
        Postgrest::start(&self.cluster, &settings)
    }

    /// A supabase-js client with the key that everybody has.
    pub fn client(&self) -> Request<'_> {
        let command = json!({ "do": "call", "url": self.url(), "apiKey": self.anonymous, "headers": {} });
        Request { gateway: self, command }
    }

    /// A postgrest-js client without any key.
    pub fn bare_client(&self) -> Request<'_> {
        self.client().with("library", "postgrest")
    }

    /// A request of plain HTTP, with its header lines exactly as given. The body is JSON.
    pub fn http(&self, method: &str, path: &str, lines: &[(&str, &str)], body: &str) -> Answer {
        let mut flat = vec!["content-type", "application/json"];
        flat.extend(lines.iter().flat_map(|(name, value)| [*name, *value]));
        let command =
            json!({ "do": "http", "url": self.url(), "method": method, "path": path, "lines": flat, "body": body });
        self.ask(&command)
    }

    /// The ids of a table's rows for many clients at once: their answers in the same order.
    pub fn select_together(&self, clients: Vec<Request>, table: &str) -> Vec<Answer> {
        let call = json!({ "table": table });
        let calls: Vec<Value> = clients.into_iter().map(|client| client.with("call", call.clone()).command).collect();
        let mut answer = self.node().ask(&json!({ "do": "together", "calls": calls }));
        let Value::Array(answers) = answer["answers"].take() else { panic!("no list: {answer}") };
        answers.into_iter().map(Answer).collect()
    }

    /// A token of the gateway (HS256) with exactly these claims.
    pub fn token(&self, claims: &Value) -> String {
        self.token_with(SECRET, claims)
    }

    /// A token (HS256) under another secret.
    pub fn token_with(&self, secret: &str, claims: &Value) -> String {
        self.text(&json!({ "do": "mint", "claims": claims, "algorithm": "HS256", "secret": secret }))
    }

    /// The token that the platform's TypeScript SDK mints for an agent.
    pub fn platform_token(&self, agent_id: &str, serial: &str) -> String {
        let scopes = ["read"];
        self.text(&json!({
            "do": "platformToken", "agentId": agent_id, "serial": serial, "scopes": scopes, "secret": SECRET
        }))
    }

    /// A token that a private key signs.
    pub fn token_signed_by(&self, key: &Identity, claims: &Value) -> String {
        self.text(&json!({ "do": "mint", "claims": claims, "algorithm": key.algorithm(), "key": key.key }))
    }

    /// A proof by jose, with its claims (`htm`, `htu`, …) changed as told; null takes one out.
    pub fn proof(&self, agent: &Identity, claims: &Value) -> String {
        self.text(&json!({
            "do": "sign", "agent": agent_of(agent), "audience": self.audience, "claims": claims, "header": {}
        }))
    }

    /// The public half of a key as a JWK, which is how PostgREST wants it.
    pub fn jwk(&self, key: &Identity) -> String {
        self.text(&json!({ "do": "jwk", "key": key.key }))
    }

    fn text(&self, command: &Value) -> String {
        self.node().ask(command)["text"].as_str().expect("a token is a text").to_owned()
    }

    fn ask(&self, command: &Value) -> Answer {
        Answer(self.node().ask(command))
    }

    fn node(&self) -> RefMut<'_, NodeSession> {
        self.node.borrow_mut()
    }
}

/// A client and one request of it. Whatever sets a header does so for every attempt of the request.
#[derive(Clone)]
pub struct Request<'a> {
    gateway: &'a Gateway,
    command: Value,
}

impl Request<'_> {
    fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.command[member] = value.into();
        self
    }

    /// Goes to another PostgREST.
    pub fn at(self, postgrest: &Postgrest) -> Self {
        let url = postgrest.url();
        self.with("url", url)
    }

    /// A header that the client is made with.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.command["headers"][name] = value.into();
        self
    }

    /// A header that is set on a client that exists already.
    pub fn late_header(mut self, name: &str, value: &str) -> Self {
        self.command["lateHeaders"][name] = value.into();
        self
    }

    /// A token for the `Authorization` header.
    pub fn token(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// A token (HS256) with these claims, good for ten minutes, for role `authenticated` unless they say otherwise.
    pub fn claiming(self, claims: &Value) -> Self {
        let mut all = json!({ "role": "authenticated", "exp": now() + 600 });
        for (name, value) in claims.as_object().expect("claims are an object") {
            all[name] = value.clone();
        }
        let token = self.gateway.token(&all);
        self.token(&token)
    }

    /// A proof that was signed before and is sent with every attempt.
    pub fn proof(self, proof: &str) -> Self {
        self.header("x-kakunin-proof", proof)
    }

    /// The client signs a proof for each attempt, in a `fetch` that it is made with.
    pub fn signed_by(self, agent: &Identity) -> Self {
        let proof = json!({ "agent": agent_of(agent), "audience": self.gateway.audience, "claims": {}, "header": {} });
        self.with("proof", proof)
    }

    /// The same for a client that exists already: its `rest.fetch` is replaced.
    pub fn signed_late_by(self, agent: &Identity) -> Self {
        self.signed_by(agent).with("late", true)
    }

    /// Changes claims of the signed proofs; null takes one out.
    pub fn proving(mut self, claims: &Value) -> Self {
        self.command["proof"]["claims"] = claims.clone();
        self
    }

    /// Changes header members of the signed proofs; null takes one out.
    pub fn proving_under(mut self, header: &Value) -> Self {
        self.command["proof"]["header"] = header.clone();
        self
    }

    /// The first answers get lost on the way back.
    pub fn losing(self, answers: u32) -> Self {
        self.with("lose", answers)
    }

    /// The ids of a table's rows, by GET.
    pub fn select(self, table: &str) -> Answer {
        self.call(json!({ "table": table }))
    }

    /// The number of a table's rows, by HEAD.
    pub fn count(self, table: &str) -> Answer {
        self.call(json!({ "table": table, "head": true }))
    }

    /// A new row, by POST.
    pub fn insert(self, table: &str, row: &Value) -> Answer {
        self.call(json!({ "table": table, "rows": [row] }))
    }

    /// Changes the row of this id, by PATCH.
    pub fn update(self, table: &str, id: i32, change: &Value) -> Answer {
        self.call(json!({ "table": table, "change": change, "at": id }))
    }

    /// A function, by POST.
    pub fn rpc(self, function: &str, parameters: &Value) -> Answer {
        self.call(json!({ "rpc": function, "parameters": parameters }))
    }

    /// A function without parameters, by GET.
    pub fn rpc_by_get(self, function: &str) -> Answer {
        self.call(json!({ "rpc": function, "get": true }))
    }

    /// What `api.run` gives for a query, by POST.
    pub fn run(self, query: &str) -> Answer {
        self.rpc("run", &json!({ "statement": query }))
    }

    fn call(self, call: Value) -> Answer {
        let gateway = self.gateway;
        gateway.ask(&self.with("call", call).command)
    }
}

/// What a client got.
#[derive(Debug, Clone)]
pub struct Answer(Value);

impl Answer {
    /// The HTTP status of the last attempt.
    pub fn status(&self) -> u64 {
        self.0["status"].as_u64().unwrap_or_default()
    }

    /// The body of a success.
    ///
    /// # Panics
    /// When it was none, with what it was.
    pub fn data(&self) -> &Value {
        assert!(self.0["error"].is_null() && (200..300).contains(&self.status()), "{self:?}");
        &self.0["data"]
    }

    /// The ids in a list of rows.
    pub fn ids(&self) -> Vec<i64> {
        let rows = self.data().as_array().unwrap_or_else(|| panic!("no rows: {self:?}"));
        rows.iter().map(|row| row["id"].as_i64().expect("an id is a number")).collect()
    }

    /// How many rows a HEAD counted.
    pub fn counted(&self) -> u64 {
        self.data();
        self.0["count"].as_u64().unwrap_or_else(|| panic!("not counted: {self:?}"))
    }

    /// HTTP status, SQLSTATE and slug of a refusal.
    ///
    /// # Panics
    /// When it was none.
    pub fn refusal(&self) -> (u64, &str, &str) {
        let error = &self.0["error"];
        assert!(error.is_object(), "this must be refused, and it was not: {self:?}");
        let text = |member: &str| error[member].as_str().unwrap_or_default();
        let slug = text("details").split_once(':').map_or("", |(slug, _)| slug);
        (self.status(), text("code"), slug)
    }

    /// Everything in the answer, to look for what must not be in it.
    pub fn text(&self) -> String {
        [&self.0["data"], &self.0["error"]].map(Value::to_string).join("\n")
    }

    /// The proof header of each attempt, null where there was none.
    pub fn proofs(&self) -> &[Value] {
        self.0["proofs"].as_array().map_or(&[], Vec::as_slice)
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn agent_of(identity: &Identity) -> Value {
    json!({ "certificate": identity.certificate, "key": identity.key, "algorithm": identity.algorithm() })
}

/// What PostgREST's tokens are signed with.
const SECRET: &str = "a secret of thirty-two bytes or more";
