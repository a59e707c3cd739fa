//! Python with PyJWT and cryptography: proofs that our own code has no part in.

use super::place::{self, workspace};
use super::process;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The packages of `tests/requirements.txt`, installed in an environment of their own.
pub struct Python {
    interpreter: PathBuf,
}

impl Python {
    /// Installs the packages when that has not been done for this requirements.txt.
    ///
    /// # Panics
    /// When pip cannot fetch them, with what it printed.
    pub fn with_packages() -> Self {
        let requirements = workspace().join("tests/requirements.txt");
        let wanted = fs::read_to_string(&requirements).expect("it is in the tree");
        let directory = place::cache("python").join(place::digest(&wanted));
        place::made_once(&directory, |beside| {
            process::run(Command::new("python3").args(["-m", "venv"]).arg(beside));
            let mut pip = Command::new(beside.join("bin/python"));
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&requirements);
            process::run(&mut pip);
        });
        Self { interpreter: directory.join("bin/python") }
    }

    /// Runs a script of `tests/clients/`; what it printed, without the line end.
    ///
    /// # Panics
    /// When it fails, with what it printed.
    pub fn run(&self, script: &str, arguments: &[&str]) -> String {
        self.run_with_input(script, arguments, "")
    }

    /// The same with a text on standard input.
    ///
    /// # Panics
    /// When it fails, with what it printed.
    pub fn run_with_input(&self, script: &str, arguments: &[&str], input: &str) -> String {
        let scratch = place::Scratch::new();
        let input = fs::File::open(scratch.write("input", input.as_bytes())).expect("it was just written");
        let mut command = Command::new(&self.interpreter);
        command.arg(workspace().join("tests/clients").join(script)).args(arguments).stdin(input);
        String::from_utf8_lossy(&process::run(&mut command).stdout).trim_end().to_owned()
    }
}
