//! pgbouncer in front of a cluster.

use super::cluster::Cluster;
use super::place::Scratch;
use super::process;
use super::psql;
use super::wait::{DEADLINE, wait_until};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};

/// When a server connection goes back to the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// After the client's session, cleaned by DISCARD ALL.
    Session,
    /// After each transaction, not cleaned.
    Transaction,
    /// After each statement.
    Statement,
}

/// A running pooler; dropping it ends it.
pub struct Pooler {
    scratch: Scratch,
    child: Child,
}

impl Pooler {
    /// Starts a pooler with at most `pool_size` server connections for each pair of user and database.
    pub fn start(cluster: &Cluster, mode: PoolMode, pool_size: u32) -> Self {
        let scratch = Scratch::new();
        let mode = match mode {
            PoolMode::Session => "session",
            PoolMode::Transaction => "transaction",
            PoolMode::Statement => "statement",
        };
        let users = scratch.write("users", b"\"postgres\" \"\"\n");
        // Whoever has a role of the cluster may connect: the socket's directory keeps everybody else out.
        let ini = format!(
            "[databases]
* = host={cluster_directory} port={port} auth_user=postgres
[pgbouncer]
listen_addr =
listen_port = {PORT}
unix_socket_dir = {directory}
unix_socket_mode = 0700
auth_type = trust
auth_file = {users}
auth_query = select usename, '' from pg_catalog.pg_shadow where usename = $1
pool_mode = {mode}
default_pool_size = {pool_size}
server_round_robin = 0
ignore_startup_parameters = extra_float_digits
logfile = {log}
pidfile =
admin_users = postgres
",
            cluster_directory = cluster.socket_directory().display(),
            port = cluster.port(),
            directory = scratch.path().display(),
            users = users.display(),
            log = scratch.path().join("log").display(),
        );
        let ini = scratch.write("pgbouncer.ini", ini.as_bytes());
        let mut command = process::as_server(Path::new("pgbouncer"), "KILL");
        command.arg("-q").arg(ini).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = process::spawn(command);
        let socket = scratch.path().join(format!(".s.PGSQL.{PORT}"));
        let log = scratch.path().join("log");
        wait_until("the pooler listens", || {
            if let Some(status) = child.try_wait().expect("it is our child") {
                panic!("pgbouncer ended: {status}\n{}", process::tail(&log));
            }
            // The file is there before anybody listens behind it.
            UnixStream::connect(&socket).ok().map(drop)
        });
        Self { scratch, child }
    }

    /// A connection through the pooler. In transaction mode use the simple protocol (`simple_query`,
    /// `batch_execute`): a prepared statement stays with one server connection.
    pub fn connect(&self, user: &str, database: &str) -> postgres::Client {
        let mut config = postgres::Config::new();
        config.host_path(self.scratch.path()).port(PORT).user(user).dbname(database).connect_timeout(DEADLINE);
        config.connect(postgres::NoTls).unwrap_or_else(|error| panic!("{user} cannot connect: {error}\n{}", self.log()))
    }

    /// libpq's connection string through the pooler.
    pub fn connection(&self, user: &str, database: &str) -> String {
        psql::connection(self.scratch.path(), PORT, user, database)
    }

    /// The pooler's log until now.
    pub fn log(&self) -> String {
        fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The socket has a directory of its own, so that the number is free.
const PORT: u16 = 6432;
