//! A PostgreSQL cluster of one test.

use super::client::DATABASE;
use super::place::{self, Scratch, program};
use super::process;
use super::psql::{self, Output};
use super::wait::{DEADLINE, wait_until};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How a server is stopped, in PostgreSQL's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Sessions are ended, data is written (SIGINT).
    Fast,
    /// As after a crash: recovery at the next start (SIGQUIT).
    Immediate,
}

/// The files of a server that speaks TLS. It copies them.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// The server's certificate, with intermediates behind it: PEM.
    pub certificate: PathBuf,
    /// Its key: PEM.
    pub key: PathBuf,
    /// The CA certificates that client certificates are checked against; without it no client is asked for one.
    pub client_ca: Option<PathBuf>,
    /// Revocation lists for client certificates: PEM.
    pub client_crl: Option<PathBuf>,
}

/// What a cluster is started with.
#[derive(Debug, Clone)]
pub struct Builder {
    preload: bool,
    extension: bool,
    fresh: bool,
    tcp: bool,
    tls: Option<ServerTls>,
    settings: Vec<(String, String)>,
    hba: Vec<String>,
    ident: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Builder {
    /// Neither preloads the library nor creates the extension.
    pub fn bare(mut self) -> Self {
        (self.preload, self.extension) = (false, false);
        self
    }

    /// Does not preload the library.
    pub fn without_preload(mut self) -> Self {
        self.preload = false;
        self
    }

    /// Does not create the extension in the database.
    pub fn without_extension(mut self) -> Self {
        self.extension = false;
        self
    }

    /// Has a system identifier of its own: clusters share one otherwise, as copies of one template. Costs a second.
    pub fn fresh(mut self) -> Self {
        self.fresh = true;
        self
    }

    /// Also listens on 127.0.0.1. The superuser cannot connect there: other users of the machine could.
    pub fn tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    /// Listens on 127.0.0.1 and speaks TLS there.
    pub fn tls(mut self, tls: ServerTls) -> Self {
        (self.tcp, self.tls) = (true, Some(tls));
        self
    }

    /// A line of postgresql.conf; the value is quoted here. Later lines win.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A line of pg_hba.conf, before the lines that let everybody in.
    pub fn hba(mut self, line: &str) -> Self {
        self.hba.push(line.to_owned());
        self
    }

    /// A line of pg_ident.conf.
    pub fn ident(mut self, line: &str) -> Self {
        self.ident.push(line.to_owned());
        self
    }

    /// A variable of the server's environment, which is otherwise empty but for the path.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the cluster.
    ///
    /// # Panics
    /// When the server does not come up, with its log.
    pub fn start(self) -> Cluster {
        let scratch = Scratch::new();
        let data = scratch.path().join("data");
        if self.fresh {
            init(&data);
        } else {
            copy(&template(), &data);
        }
        let extension = self.extension;
        let cluster = Cluster::run(self, scratch);
        let mut postgres = cluster.connect("postgres", "postgres");
        postgres.batch_execute(&format!("create database {DATABASE}")).expect("the database is new");
        if extension {
            cluster.superuser().batch_execute("create extension kakunin").expect("the extension can be created");
        }
        cluster
    }
}

/// A running cluster; dropping it ends the server and removes its files.
pub struct Cluster {
    builder: Builder,
    scratch: Scratch,
    port: u16,
    server: Option<Child>,
}

impl Cluster {
    /// A cluster that preloads the library, with the extension in database [`DATABASE`].
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// A cluster with other wishes.
    pub fn builder() -> Builder {
        Builder {
            preload: true,
            extension: true,
            fresh: false,
            tcp: false,
            tls: None,
            settings: Vec::new(),
            hba: Vec::new(),
            ident: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Starts a server on a data directory that is there: `data` in the scratch directory.
    pub(super) fn run(builder: Builder, scratch: Scratch) -> Self {
        let port = if builder.tcp { free_port() } else { 5432 };
        let mut cluster = Self { builder, scratch, port, server: None };
        cluster.start_server();
        cluster
    }

    /// A connection of the superuser to [`DATABASE`].
    pub fn superuser(&self) -> postgres::Client {
        self.connect("postgres", DATABASE)
    }

    /// A connection over the Unix socket; no password is asked for.
    ///
    /// # Panics
    /// When the server refuses it; [`Cluster::try_connect`] returns that.
    pub fn connect(&self, user: &str, database: &str) -> postgres::Client {
        self.try_connect(user, database).unwrap_or_else(|error| panic!("{user} cannot connect to {database}: {error}"))
    }

    /// A connection over the Unix socket.
    ///
    /// # Errors
    /// Those of the client: the server is down, or refuses.
    pub fn try_connect(&self, user: &str, database: &str) -> Result<postgres::Client, postgres::Error> {
        self.config(user, database).connect(postgres::NoTls)
    }

    /// The client's settings behind [`Cluster::connect`], to add to them.
    pub fn config(&self, user: &str, database: &str) -> postgres::Config {
        let mut config = postgres::Config::new();
        config.host_path(self.socket_directory()).port(self.port).user(user).dbname(database);
        config.connect_timeout(DEADLINE);
        config
    }

    /// libpq's connection string over the Unix socket.
    pub fn connection(&self, user: &str, database: &str) -> String {
        psql::connection(self.socket_directory(), self.port, user, database)
    }

    /// libpq's connection string over TCP; append `sslmode=…` and what else the connection needs.
    pub fn tcp_connection(&self, user: &str, database: &str) -> String {
        assert!(self.builder.tcp, "ask for tcp() or tls() in the builder");
        psql::connection(Path::new("127.0.0.1"), self.port, user, database)
    }

    /// Runs a script with `psql` as `user` in [`DATABASE`]; stops at the first error.
    pub fn psql(&self, user: &str, script: &str) -> Output {
        psql::run(&self.connection(user, DATABASE), script)
    }

    /// Runs a script with `psql` over a connection string.
    pub fn psql_over(&self, connection: &str, script: &str) -> Output {
        psql::run(connection, script)
    }

    /// Where the Unix socket is.
    pub fn socket_directory(&self) -> &Path {
        self.scratch.path()
    }

    /// The port, of the Unix socket and of TCP.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The data directory.
    pub fn data_directory(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    /// A file that the server can read and nobody else: a key, a CRL.
    pub fn private_file(&self, name: &str, content: &[u8]) -> PathBuf {
        self.scratch.write(name, content)
    }

    /// The server's log.
    pub fn log_path(&self) -> PathBuf {
        self.scratch.path().join("log")
    }

    /// The text of the server's log until now.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// Changes a setting of postgresql.conf; takes effect at [`Cluster::reload`] or [`Cluster::restart`].
    pub fn set(&mut self, name: &str, value: &str) {
        self.builder.settings.push((name.to_owned(), value.to_owned()));
        self.write_settings();
    }

    /// Puts a line in front of pg_hba.conf; takes effect at [`Cluster::reload`].
    pub fn hba(&mut self, line: &str) {
        self.builder.hba.insert(0, line.to_owned());
        self.write_settings();
    }

    /// Makes the server read its files again, and waits until it has: new sessions see the change.
    pub fn reload(&self) {
        let loaded = "select pg_catalog.pg_conf_load_time()::text";
        let mut client = self.connect("postgres", "postgres");
        let before: String = client.query_one(loaded, &[]).expect("a plain query").get(0);
        process::signal(self.process(), "HUP");
        wait_until("the server reads its files again", || {
            let mut later = self.try_connect("postgres", "postgres").ok()?;
            let now: String = later.query_one(loaded, &[]).ok()?.get(0);
            (now != before).then_some(())
        });
    }

    /// Stops the server.
    pub fn stop(&mut self, how: Shutdown) {
        let Some(mut server) = self.server.take() else { return };
        process::signal(server.id(), if how == Shutdown::Fast { "INT" } else { "QUIT" });
        wait_until("the server stops", || server.try_wait().expect("it is our child"));
    }

    /// Stops the server and starts it again.
    pub fn restart(&mut self, how: Shutdown) {
        self.stop(how);
        self.start_server();
    }

    /// Starts a server that was stopped.
    pub fn start_server(&mut self) {
        assert!(self.server.is_none(), "it runs");
        self.write_settings();
        // A pid file of a killed server would be taken for the new one's.
        let _ = fs::remove_file(self.data_directory().join("postmaster.pid"));
        let log =
            fs::OpenOptions::new().create(true).append(true).open(self.log_path()).expect("the log can be written");
        let mut command = process::as_server(&program("postgres"), "QUIT");
        command.arg("-D").arg(self.data_directory());
        command.envs(self.builder.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        self.server = Some(process::spawn(command));
        self.wait_until_ready();
    }

    /// Kills the postmaster and all its children as the kernel would when memory runs out, and starts the server again.
    pub fn crash(&mut self) {
        self.kill_all();
        self.recover();
    }

    /// The first half of [`Cluster::crash`].
    pub fn kill_all(&self) {
        let server = self.process();
        let children = process::children(server);
        process::signal(server, "KILL");
        for &child in &children {
            process::signal(child, "KILL");
        }
        wait_until("its children are gone", || children.iter().all(|&child| !process::alive(child)).then_some(()));
    }

    /// The second half of [`Cluster::crash`].
    pub fn recover(&mut self) {
        let Some(mut server) = self.server.take() else { panic!("it does not run") };
        server.wait().expect("it is our child");
        self.start_server();
    }

    /// Kills one backend, given its `pg_backend_pid()`, and waits until the server has recovered: it ends all
    /// sessions and starts shared memory anew.
    pub fn kill_backend(&self, process: i32) {
        let process = u32::try_from(process).expect("a pid is positive");
        let recoveries = self.recoveries();
        process::signal(process, "KILL");
        wait_until("the server recovers", || {
            (self.recoveries() > recoveries && self.try_connect("postgres", "postgres").is_ok()).then_some(())
        });
    }

    fn recoveries(&self) -> usize {
        self.log().matches("all server processes terminated; reinitializing").count()
    }

    /// The postmaster's process id.
    pub fn process(&self) -> u32 {
        self.server.as_ref().expect("the server runs").id()
    }

    pub(super) fn builder_of(&self) -> &Builder {
        &self.builder
    }

    fn wait_until_ready(&mut self) {
        let state = self.data_directory().join("postmaster.pid");
        let log = self.log_path();
        let server = self.server.as_mut().expect("it was just started");
        wait_until("the server accepts connections", || {
            if let Some(status) = server.try_wait().expect("it is our child") {
                panic!("the server ended: {status}\n{}", process::tail(&log));
            }
            // The last line is written by the postmaster for pg_ctl, which waits in the same way.
            let text = fs::read_to_string(&state).unwrap_or_default();
            matches!(text.lines().nth(7).map(str::trim), Some("ready" | "standby")).then_some(())
        });
    }

    fn write_settings(&self) {
        let mut conf = String::from(BASE_SETTINGS);
        let mut set = |name: &str, value: &str| {
            conf.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
        };
        set("unix_socket_directories", &self.scratch.path().to_string_lossy());
        set("port", &self.port.to_string());
        set("hba_file", &self.scratch.path().join("hba.conf").to_string_lossy());
        set("ident_file", &self.scratch.path().join("ident.conf").to_string_lossy());
        set("listen_addresses", if self.builder.tcp { "127.0.0.1" } else { "" });
        set("shared_preload_libraries", if self.builder.preload { "kakunin" } else { "" });
        if let Some(tls) = &self.builder.tls {
            set("ssl", "on");
            let files = [
                ("ssl_cert_file", Some(&tls.certificate)),
                ("ssl_key_file", Some(&tls.key)),
                ("ssl_ca_file", tls.client_ca.as_ref()),
                ("ssl_crl_file", tls.client_crl.as_ref()),
            ];
            for (name, file) in files {
                let Some(file) = file else { continue };
                let content = fs::read(file).expect("the TLS files are there");
                set(name, &self.scratch.write(name, &content).to_string_lossy());
            }
        }
        for (name, value) in &self.builder.settings {
            set(name, value);
        }
        self.scratch.write("data/kakunin.conf", conf.as_bytes());
        let mut hba = self.builder.hba.join("\n");
        hba.push_str(if self.builder.tls.is_some() { HBA_TLS } else { HBA });
        self.scratch.write("hba.conf", hba.as_bytes());
        self.scratch.write("ident.conf", (self.builder.ident.join("\n") + "\n").as_bytes());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", process::tail(&self.log_path()));
        }
        if let Some(mut server) = self.server.take() {
            process::signal(server.id(), "QUIT");
            let _ = server.wait();
        }
    }
}

/// A data directory that every cluster starts as a copy of: made once per version of PostgreSQL.
fn template() -> PathBuf {
    let made_from = format!("{}{INITDB:?}", place::stamp());
    let template = place::base().join(format!("template-{}", place::digest(&made_from)));
    place::made_once(&template, |beside| {
        fs::create_dir(beside).expect("the base can be written");
        process::give_to_server(beside, 0o700);
        init(&beside.join("data"));
    });
    template.join("data")
}

fn init(data: &Path) {
    process::run(process::as_server(&program("initdb"), "KILL").args(INITDB).arg("-D").arg(data));
    let conf = data.join("postgresql.conf");
    let text = fs::read_to_string(&conf).expect("initdb wrote it") + "include 'kakunin.conf'\n";
    fs::write(&conf, text).expect("initdb wrote it");
    process::give_to_server(&conf, 0o600);
}

fn copy(from: &Path, to: &Path) {
    process::run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to));
}

/// A port that nobody listens on. Somebody else may take it before we do; then the server's log says so.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("it is bound").port()
}

const INITDB: &[&str] = &["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "--wal-segsize=1"];

/// Small and quick: a test's server loses no more than the test when the machine stops, so nothing is flushed.
/// `kill -9` loses nothing of that: what was written is in the kernel.
const BASE_SETTINGS: &str = "\
fsync = off
shared_buffers = 16MB
max_connections = 40
max_prepared_transactions = 10
max_wal_size = 64MB
min_wal_size = 2MB
unix_socket_permissions = 0700
log_line_prefix = '%m [%p] %q%u@%d '
log_checkpoints = off
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
";

/// The socket's directory keeps other users of the machine out; over TCP the superuser is never let in.
const HBA: &str = "
local all,replication all trust
host all postgres 127.0.0.1/32 reject
host all all 127.0.0.1/32 trust
";
const HBA_TLS: &str = "
local all,replication all trust
host all postgres 127.0.0.1/32 reject
hostssl all all 127.0.0.1/32 trust
";
