//! What a ledger is after anything that happened to it: asked of the extension, and worked out anew by a program that
//! knows the specification and nothing else.

use super::checks::Checks;
use super::client::DATABASE;
use super::cluster::Cluster;
use super::place::workspace;
use super::scene::{ask, run, state};
use postgres::Client;
use serde_json::Value;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// Makes a ledger of a table, as the superuser.
///
/// # Panics
/// When it is refused.
pub fn attach(client: &mut Client, table: &str) {
    attach_redactable(client, table, &[]);
}

/// Makes a ledger of a table in which values of some columns can be erased.
///
/// # Panics
/// When it is refused.
pub fn attach_redactable(client: &mut Client, table: &str, redactable: &[&str]) {
    let attach = "select count(*) from kakunin.attach_ledger($1::text::regclass, $2)";
    client.query_one(attach, &[&table, &redactable]).unwrap_or_else(|error| panic!("{table}: {error:?}"));
}

/// What verify_ledger() finds, as one text: empty where a ledger is sound.
///
/// # Panics
/// When it cannot be asked.
pub fn faults(client: &mut Client, table: &str) -> String {
    let query = "select coalesce(string_agg(concat_ws(' ', fault, seq, row_number, detail), '; '), '')
                   from kakunin.verify_ledger($1::text::regclass)";
    client.query_one(query, &[&table]).unwrap_or_else(|error| panic!("{table}: {error:?}")).get(0)
}

impl Cluster {
    /// A ledger of the database [`DATABASE`], in words: `N entries, M rows` where it is sound by both accounts, else
    /// what is wrong with it.
    ///
    /// # Panics
    /// When the database cannot be read.
    pub fn ledger(&self, table: &str) -> String {
        self.ledger_in(DATABASE, table)
    }

    /// A ledger of any database.
    ///
    /// # Panics
    /// When the database cannot be read.
    pub fn ledger_in(&self, database: &str, table: &str) -> String {
        let mut client = self.connect("postgres", database);
        let faults = faults(&mut client, table);
        let strange = strangers_account(&mut client, table);
        if faults.is_empty() { strange } else { format!("verify_ledger: {faults}; stranger: {strange}") }
    }

    /// The same for several ledgers, in order.
    pub fn ledgers(&self, tables: &[&str]) -> Vec<String> {
        tables.iter().map(|table| self.ledger(table)).collect()
    }
}

/// What tests/clients/ledger_stranger.py makes of entries and rows.
fn strangers_account(client: &mut Client, table: &str) -> String {
    // Both copies must be of one moment.
    client.batch_execute("begin isolation level repeatable read read only").expect("a transaction can begin");
    let text: String = client.query_one(QUESTION, &[&table]).expect("the ledger's map can be read").get(0);
    let mut question: Value = serde_json::from_str(&text).expect("PostgreSQL writes JSON");
    let number = question["ledger_number"].to_string();
    let names = question["columns"].as_array().expect("an array").iter();
    let columns: String = names.map(|column| format!(", {}", column["quoted"].as_str().expect("a text"))).collect();
    let salt = if question["salted"] == true { "ledger_salt" } else { "null" };
    let rows = copy(client, &format!("select ledger_tx, ledger_row, {salt}{columns} from {table}"));
    let entries = copy(
        client,
        &format!(
            "select seq, kind, tx, first_row, rows, at, root, certificate, role, detail, previous, hash
               from kakunin.ledger_entry where ledger = {number} order by seq"
        ),
    );
    client.batch_execute("commit").expect("nothing was written");
    question["entries"] = entries.len().into();
    let mut child = Command::new("python3")
        .arg(workspace().join("tests/clients/ledger_stranger.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    let line = question.to_string() + "\n";
    for bytes in [line.as_bytes(), &entries, &rows] {
        // If it ended before, its errors say why.
        let _ = stdin.write_all(bytes);
    }
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.is_empty() { said } else { format!("{said} {errors}") }
}

fn copy(client: &mut Client, query: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let copy = format!("copy ({query}) to stdout (format binary)");
    let mut reader = client.copy_out(&copy).unwrap_or_else(|error| panic!("{copy}: {error:?}"));
    reader.read_to_end(&mut bytes).expect("the server sends all");
    bytes
}

/// A ledger to which a test adds step by step: after each, it must be sound and have what it is expected to have. In
/// the end, the stranger looks at it as well.
pub struct Book {
    /// The server.
    pub cluster: Cluster,
    /// A session of the superuser.
    pub client: Client,
    /// What failed.
    pub checks: Checks,
    /// Whether the stranger is asked in the end. It takes a second for each 100,000 rows.
    pub asks_the_stranger: bool,
    table: String,
    entries: u64,
    rows: u64,
}

impl Book {
    /// On a new cluster, with `schema` run and `table`, which is empty, attached.
    pub fn new(schema: &str, table: &str) -> Self {
        Self::on(Cluster::start(), schema, table)
    }

    /// On a cluster that is there.
    pub fn on(cluster: Cluster, schema: &str, table: &str) -> Self {
        let mut client = cluster.superuser();
        run(&mut client, schema);
        attach(&mut client, table);
        Self {
            cluster,
            client,
            checks: Checks::new(),
            asks_the_stranger: true,
            table: table.to_owned(),
            entries: 1,
            rows: 0,
        }
    }

    /// Runs each of the statements, which are separated by two semicolons, and looks whether they have added so many
    /// entries and rows.
    pub fn adds(&mut self, name: &str, statements: &str, entries: u64, rows: u64) {
        self.adds_unseen(statements, entries, rows);
        self.added(name, 0, 0);
    }

    /// The same, without a look: the next one shows it.
    pub fn adds_unseen(&mut self, statements: &str, entries: u64, rows: u64) {
        for statement in statements.split(";;") {
            run(&mut self.client, statement);
        }
        self.entries += entries;
        self.rows += rows;
    }

    /// Looks whether so many entries and rows were added since the last step.
    pub fn added(&mut self, name: &str, entries: u64, rows: u64) {
        self.entries += entries;
        self.rows += rows;
        let count = format!(
            "select (select count(*) from kakunin.ledger_entry e join kakunin.ledger l on l.number = e.ledger
                      where l.relation = '{0}'::regclass) || ' entries, ' || (select count(*) from {0}) || ' rows'",
            self.table
        );
        let faults = faults(&mut self.client, &self.table);
        let found = if faults.is_empty() { ask(&mut self.client, &count) } else { faults };
        self.checks.equal(name, found, self.expected());
    }

    fn expected(&self) -> String {
        format!("{} entries, {} rows", self.entries, self.rows)
    }

    /// Runs statements that must end with this SQLSTATE and add nothing.
    pub fn fails(&mut self, name: &str, statements: &str, sqlstate: &str) {
        self.checks.equal(name, state(&mut self.client, statements), sqlstate);
        run(&mut self.client, "rollback");
        self.added(name, 0, 0);
    }
}

impl Drop for Book {
    /// The stranger looks at the whole of it once, at the end.
    fn drop(&mut self) {
        if self.asks_the_stranger && !std::thread::panicking() {
            self.checks.equal("in the end", self.cluster.ledger(&self.table), self.expected());
        }
    }
}

/// The column map of ledger `$1`, and every type that its columns are made of.
const QUESTION: &str = "
    with recursive map as (
        select l.number as ledger, l.id, l.relation, m.number, m.name, m.type, m.redactable, a.atttypid
          from kakunin.ledger l
          join kakunin.ledger_column m on m.ledger = l.number
          join pg_attribute a on a.attrelid = l.relation and a.attname = m.name
         where l.relation = $1::text::regclass
    ), type(oid) as (
        select atttypid from map
        union
        select below.oid from type t join pg_type p on p.oid = t.oid cross join lateral (
            select p.typbasetype where p.typtype = 'd'
            union all select p.typelem where p.typsubscript = 'array_subscript_handler'::regproc
            union all select atttypid from pg_attribute
                       where attrelid = p.typrelid and attnum > 0 and not attisdropped and p.typtype = 'c'
            union all select rngsubtype from pg_range where rngtypid = p.oid
            union all select rngtypid from pg_range where rngmultitypid = p.oid
        ) below(oid)
    )
    select json_build_object(
        'ledger', (select id from map limit 1),
        'ledger_number', (select ledger from map limit 1),
        'name', (select quote_ident(n.nspname) || '.' || quote_ident(c.relname)
                   from pg_class c join pg_namespace n on n.oid = c.relnamespace
                  where c.oid = (select relation from map limit 1)),
        'salted', exists (select from map where redactable),
        'columns', (select json_agg(json_build_object('number', number, 'name', name, 'quoted', quote_ident(name),
                        'type', type, 'redactable', redactable, 'oid', atttypid::bigint) order by number) from map),
        'types', (select json_object_agg(p.oid::text, json_build_object(
                        'name', p.typname, 'kind', p.typtype, 'native', p.typnamespace = 'pg_catalog'::regnamespace,
                        'base', p.typbasetype::bigint,
                        'element', case when p.typsubscript = 'array_subscript_handler'::regproc
                                        then p.typelem::bigint else 0 end,
                        'subtype', (select rngsubtype::bigint from pg_range where rngtypid = p.oid),
                        'range', (select rngtypid::bigint from pg_range where rngmultitypid = p.oid)))
                    from type t join pg_type p on p.oid = t.oid)
    )::text";
