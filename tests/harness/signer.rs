//! The signer of a cluster and its files; and what a superuser without scruples does to ledgers.

use super::cluster::{Cluster, Shutdown};
use super::process;
use super::scene::run;
use super::wait::wait_until;
use std::path::PathBuf;

impl Cluster {
    /// The process id of the signer. Waits until there is one.
    pub fn signer(&self) -> u32 {
        wait_until("the signer runs", || {
            let mut children = process::children(self.process()).into_iter();
            children.find(|&child| title(child).contains("kakunin signer"))
        })
    }

    /// The processes of workers.
    pub fn workers(&self) -> Vec<u32> {
        let children = process::children(self.process()).into_iter();
        children.filter(|&child| title(child).contains("kakunin worker")).collect()
    }

    /// Stops a process of the server, by a word of its title, until the server ends.
    pub fn pause(&self, title_has: &str) {
        let mut children = process::children(self.process()).into_iter();
        let found = children.find(|&child| title(child).contains(title_has));
        process::signal(found.expect("the process is there"), "STOP");
    }

    /// Sends the signer a signal, and waits until another process is the signer.
    pub fn end_signer(&self, signal: &str) {
        let before = self.signer();
        process::signal(before, signal);
        wait_until("another signer runs", || (self.signer() != before).then_some(()));
    }

    /// Where the signer keeps its files if no setting says otherwise.
    pub fn key_directory(&self) -> PathBuf {
        self.socket_directory().join("data.kakunin")
    }

    /// Changes what nobody may change: with a server that does not preload the library, and triggers switched off.
    pub fn tamper(&mut self, tables: &[&str], statements: &str) {
        self.set("shared_preload_libraries", "");
        self.restart(Shutdown::Fast);
        let mut superuser = self.superuser();
        for table in tables {
            run(&mut superuser, &format!("alter table {table} disable trigger user"));
        }
        run(&mut superuser, statements);
        for table in tables {
            run(&mut superuser, &format!("alter table {table} enable trigger user"));
        }
        drop(superuser);
        self.set("shared_preload_libraries", "kakunin");
        self.restart(Shutdown::Fast);
    }
}

fn title(process: u32) -> String {
    let title = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&title).into_owned()
}
