//! A Node.js script that stays: a test asks it one thing after the other and pays for its start once.

use super::node::{self, Node};
use super::place::workspace;
use super::process;
use super::wait::DEADLINE;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// A running script of `tests/clients/` that answers each line of JSON with one; dropping it ends it.
pub struct NodeSession {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<String>,
    script: PathBuf,
}

impl NodeSession {
    /// Starts a script. What it writes to standard error is shown.
    pub fn start(node: &Node, script: &str) -> Self {
        let source = workspace().join("tests/clients").join(script);
        let text = fs::read_to_string(&source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
        let script = node.beside_modules(script, &text);
        let mut command = node::command();
        command.arg(&script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = process::spawn(command);
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, stdin, answers, script }
    }

    /// Sends one command and waits for its answer.
    ///
    /// # Panics
    /// When the script ends or does not answer in time, and when the answer has a member `failure`.
    pub fn ask(&mut self, command: &Value) -> Value {
        writeln!(self.stdin, "{command}").expect("the script runs");
        let line = self.answers.recv_timeout(DEADLINE).unwrap_or_else(|error| panic!("{error}: {command}"));
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(answer.get("failure").is_none(), "{command}: {}", answer["failure"]);
        answer
    }
}

impl Drop for NodeSession {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.script);
    }
}
