//! Hot standbys, which stream from a primary; and backups, from which a cluster comes back as of an earlier moment.

use super::cluster::{Builder, Cluster};
use super::place::{Scratch, program};
use super::process;
use super::wait::wait_until;
use std::path::PathBuf;

/// What a cluster was at one moment, and where the WAL since then is.
pub struct Backup {
    scratch: Scratch,
    archive: PathBuf,
}

impl Backup {
    /// Starts a cluster from it that recovers up to a restore point and is a primary then.
    pub fn recover(self, builder: Builder, point: &str) -> Cluster {
        let copy = format!("cp {}/%f %p", self.archive.display());
        let builder = builder
            .set("restore_command", &copy)
            .set("recovery_target_name", point)
            .set("recovery_target_action", "promote");
        self.scratch.write("data/recovery.signal", b"");
        let cluster = Cluster::run(builder, self.scratch);
        let mut client = cluster.connect("postgres", "postgres");
        wait_until("recovery ends", || {
            let row = client.query_one("select pg_is_in_recovery()", &[]).ok()?;
            (!row.get::<_, bool>(0)).then_some(())
        });
        cluster
    }
}

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

    /// A copy of the files as they are now. The cluster must archive its WAL: [`Cluster::archive`] is where.
    pub fn back_up(&self) -> Backup {
        let scratch = Scratch::new();
        let mut backup = process::as_server(&program("pg_basebackup"), "KILL");
        backup.arg("-h").arg(self.socket_directory()).args(["-p", &self.port().to_string(), "-U", "postgres"]);
        backup.args(["-X", "none", "-c", "fast", "--no-sync", "-D"]).arg(scratch.path().join("data"));
        process::run(&mut backup);
        Backup { scratch, archive: self.archive() }
    }

    /// Where WAL is archived to: `archive_command` must copy it there.
    pub fn archive(&self) -> PathBuf {
        self.socket_directory().join("archive")
    }

    /// Waits until all that was written until now is archived.
    pub fn archive_all(&self) {
        let mut client = self.connect("postgres", "postgres");
        let row = client.query_one("select pg_walfile_name(pg_switch_wal())", &[]).expect("a superuser may");
        let file = self.archive().join(row.get::<_, String>(0));
        wait_until("WAL is archived", || file.exists().then_some(()));
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
