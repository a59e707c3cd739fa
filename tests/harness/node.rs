//! Node.js with the clients that users have: supabase-js, postgrest-js and jose.

use super::place::{self, workspace};
use super::process;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The modules of `tests/clients/package-lock.json`, installed.
pub struct Node {
    directory: PathBuf,
}

impl Node {
    /// Installs the modules, at the versions and with the digests of the lock file, when that has not been done.
    ///
    /// # Panics
    /// When npm cannot fetch them, with what it printed.
    pub fn with_clients() -> Self {
        let clients = workspace().join("tests/clients");
        let wanted = ["package.json", "package-lock.json"]
            .map(|name| (name, fs::read_to_string(clients.join(name)).expect("it is in the tree")));
        let directory = place::cache("node").join(place::digest(&format!("{wanted:?}")));
        place::made_once(&directory, |beside| {
            fs::create_dir(beside).expect("the cache can be written");
            for (name, text) in &wanted {
                fs::write(beside.join(name), text).expect("the cache can be written");
            }
            process::run(Command::new("npm").args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(beside));
        });
        Self { directory }
    }

    /// Runs a script of `tests/clients/` (an ES module) with these environment variables; its output, also when
    /// it fails.
    pub fn run(&self, script: &str, environment: &[(&str, &str)]) -> Output {
        let source = workspace().join("tests/clients").join(script);
        let text = fs::read_to_string(&source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
        self.run_text(&text, &self.directory, environment)
    }

    /// The same for a script that is nowhere in the tree, such as one that a page shows, in a directory of choice.
    pub fn run_text(&self, script: &str, directory: &Path, environment: &[(&str, &str)]) -> Output {
        let copy = self.beside_modules("script.mjs", script);
        let mut command = command();
        command.arg(&copy).envs(environment.iter().copied()).current_dir(directory);
        let output = command.output().expect("node runs");
        let _ = fs::remove_file(&copy);
        output
    }

    /// A file of its own with this text beside the modules, because imports are resolved from where a script lies.
    pub(super) fn beside_modules(&self, name: &str, text: &str) -> PathBuf {
        let file = self.directory.join(format!("{}-{name}", place::unique()));
        fs::write(&file, text).expect("the cache can be written");
        file
    }
}

/// Node.js, with the Web Crypto API as a global: jose wants it there, and before version 20 it is a module only.
pub(super) fn command() -> Command {
    let mut command = Command::new("node");
    command.args(["--import", "data:text/javascript,import{webcrypto}from'node:crypto';globalThis.crypto??=webcrypto"]);
    command
}
