//! Hot standbys: a copy of a primary that streams from it.

use super::cluster::Cluster;
use super::place::{Scratch, program};
use super::process;
use super::wait::wait_until;

impl Cluster {
    /// Starts a hot standby of this cluster, with the same settings.
    pub fn start_standby(&self) -> Cluster {
        let scratch = Scratch::new();
        let data = scratch.path().join("data");
        let mut backup = process::as_server(&program("pg_basebackup"), "KILL");
        backup.arg("-h").arg(self.socket_directory()).args(["-p", &self.port().to_string(), "-U", "postgres"]);
        backup.args(["-R", "-X", "stream", "-c", "fast", "--no-sync", "-D"]).arg(&data);
        process::run(&mut backup);
        let standby = Cluster::run(self.builder_of().clone(), scratch);
        standby.wait_for_replay(self);
        standby
    }

    /// Waits until this standby has replayed all that `primary` has written until now.
    pub fn wait_for_replay(&self, primary: &Cluster) {
        let mut client = primary.connect("postgres", "postgres");
        let written: String =
            client.query_one("select pg_current_wal_lsn()::text", &[]).expect("the primary answers").get(0);
        let replayed = format!("select pg_last_wal_replay_lsn() >= '{written}'");
        wait_until("the standby catches up", || {
            let mut standby = self.try_connect("postgres", "postgres").ok()?;
            let row = standby.query_one(&replayed, &[]).ok()?;
            row.get::<_, Option<bool>>(0)?.then_some(())
        });
    }

    /// Makes this standby a primary, and waits until it is one.
    pub fn promote(&self) {
        let mut client = self.connect("postgres", "postgres");
        let promoted: bool = client.query_one("select pg_promote()", &[]).expect("a standby can be promoted").get(0);
        assert!(promoted, "the standby did not become a primary");
    }

    /// Stops or goes on taking WAL from the primary: to it, a standby that is paused is one that does not answer.
    pub fn receive(&self, goes_on: bool) {
        let mut client = self.connect("postgres", "postgres");
        let receiver = client.query_one("select pid from pg_stat_wal_receiver", &[]).expect("it streams");
        let process = u32::try_from(receiver.get::<_, i32>(0)).expect("a pid is positive");
        process::signal(process, if goes_on { "CONT" } else { "STOP" });
    }
}
