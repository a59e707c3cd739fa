//! PostgreSQL's own client programs: `pg_dump`, `pg_restore`, `pg_dumpall`.

use super::cluster::Cluster;
use super::place::program;
use super::process;
use super::psql::Output;

impl Cluster {
    /// Runs a client program as a role of this cluster, over the Unix socket. The program runs as the server's user:
    /// files that it writes belong into [`Cluster::socket_directory`].
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn tool(&self, name: &str, role: &str, arguments: &[&str]) -> Output {
        let mut command = process::as_server(&program(name), "KILL");
        command.arg("-h").arg(self.socket_directory()).args(["-p", &self.port().to_string(), "-U", role, "-w"]);
        let output = command.args(arguments).output().unwrap_or_else(|error| panic!("{name} cannot run: {error}"));
        Output {
            success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
