//! PostgreSQL's own client programs: `pg_dump`, `pg_restore`, `pg_dumpall`, `pg_upgrade`.

use super::cluster::{Cluster, Shutdown};
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

    /// Runs `pg_upgrade` from another cluster into this one, which has nothing in it. Both are stopped for it and
    /// started again; the other keeps its files.
    ///
    /// # Panics
    /// When the program fails, with what it printed.
    pub fn upgrade_from(&mut self, old: &mut Cluster) {
        self.stop(Shutdown::Fast);
        old.stop(Shutdown::Fast);
        let bin = program("pg_upgrade").parent().expect("a program lies in a directory").to_owned();
        let mut command = process::as_server(&program("pg_upgrade"), "KILL");
        // It leaves a script where it runs.
        command.current_dir(self.socket_directory());
        command.arg("-b").arg(&bin).arg("-B").arg(&bin).arg("-d").arg(old.data_directory());
        command.arg("-D").arg(self.data_directory()).arg("-s").arg(self.socket_directory());
        // Other tests' clusters listen elsewhere: these are names of sockets in a directory of this test.
        process::run(command.args(["-U", "postgres", "-p", "5433", "-P", "5434", "--no-sync"]));
        old.start_server();
        self.start_server();
    }
}
