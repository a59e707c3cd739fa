//! `psql`: a client that is not ours, with libpq's TLS.

use super::place::program;
use super::process;
use super::wait::DEADLINE;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a run of `psql` printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Whether every statement succeeded.
    pub success: bool,
    /// Rows, one a line, columns separated by `|`.
    pub stdout: String,
    /// Errors and notices.
    pub stderr: String,
}

/// Runs a script and stops at its first error. `connection` is libpq's: `host=… user=…` or a URI.
pub fn run(connection: &str, script: &str) -> Output {
    let mut child = command(connection)
        .args(["-v", "ON_ERROR_STOP=1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("psql runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    let script = script.to_owned();
    // A long script and a long output would wait for each other.
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(script.as_bytes());
    });
    let output = child.wait_with_output().expect("psql ends");
    let _ = writer.join();
    Output {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn command(connection: &str) -> Command {
    let mut command = Command::new(program("psql"));
    command.args(["-X", "-q", "-A", "-t", "-d", connection]);
    // HOME is not passed on: libpq would take certificates from it.
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").env("HOME", "/nonexistent");
    command
}

/// What one statement of a [`PsqlSession`] gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Rows, one a line, columns separated by `|`.
    pub rows: String,
    /// The SQLSTATE; `00000` for success.
    pub sqlstate: String,
    /// The primary message of the error, or an empty text.
    pub message: String,
}

/// A session that stays open: one statement at a time.
pub struct PsqlSession {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    errors: Arc<Mutex<String>>,
    error_reader: Option<JoinHandle<()>>,
}

impl PsqlSession {
    /// Connects. `connection` is libpq's: `host=… user=…` or a URI.
    ///
    /// # Errors
    /// What `psql` printed, when the server did not let it in.
    pub fn open(connection: &str) -> Result<Self, String> {
        let mut command = command(connection);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = process::spawn(command);
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        let mut stderr = child.stderr.take().expect("it is piped");
        let errors = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&errors);
        let error_reader = std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut chunk) {
                kept.lock().expect("appending does not panic").push_str(&String::from_utf8_lossy(&chunk[..count]));
            }
        });
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut session = Self { child, stdin, lines, errors, error_reader: Some(error_reader) };
        match session.try_run("") {
            Some(_) => Ok(session),
            None => Err(session.last_words()),
        }
    }

    /// Runs one statement, without its semicolon.
    ///
    /// # Panics
    /// When the connection is lost, with what `psql` printed.
    pub fn run(&mut self, statement: &str) -> Reply {
        match self.try_run(statement) {
            Some(reply) => reply,
            None => panic!("the connection was lost: {}", self.last_words()),
        }
    }

    /// Runs one statement; nothing when the connection is lost.
    pub fn try_run(&mut self, statement: &str) -> Option<Reply> {
        writeln!(self.stdin, "{statement};\n\\warn {MARK}\n\\echo {MARK} :SQLSTATE :LAST_ERROR_MESSAGE").ok()?;
        self.stdin.flush().ok()?;
        let mut rows = String::new();
        loop {
            let line = match self.lines.recv_timeout(DEADLINE) {
                Ok(line) => line,
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("no answer within {} s: {statement}", DEADLINE.as_secs()),
            };
            let Some(end) = line.strip_prefix(MARK) else {
                if !rows.is_empty() {
                    rows.push('\n');
                }
                rows.push_str(&line);
                continue;
            };
            let (sqlstate, message) = end.trim_start().split_once(' ').unwrap_or((end.trim(), ""));
            self.await_errors();
            // An empty statement leaves the state as it was; psql starts without one.
            let sqlstate = if sqlstate.starts_with(':') { "00000" } else { sqlstate };
            // The message is that of the latest error, however long ago.
            let message = if sqlstate == "00000" { "" } else { message };
            return Some(Reply { rows, sqlstate: sqlstate.to_owned(), message: message.to_owned() });
        }
    }

    /// Standard error is read beside standard output: waits for its part of the answer.
    fn await_errors(&self) {
        let (mark, ended) = (format!("{MARK}\n"), Instant::now() + DEADLINE);
        loop {
            let mut errors = self.errors.lock().expect("appending does not panic");
            if let Some(at) = errors.find(&mark) {
                errors.replace_range(at..at + mark.len(), "");
                return;
            }
            drop(errors);
            assert!(Instant::now() < ended, "standard error did not end within {} s", DEADLINE.as_secs());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// What went to standard error until now: errors in full, notices, and why the connection was lost.
    pub fn errors(&self) -> String {
        self.errors.lock().expect("appending does not panic").clone()
    }

    fn last_words(&mut self) -> String {
        let _ = self.child.wait();
        if let Some(reader) = self.error_reader.take() {
            let _ = reader.join();
        }
        self.errors()
    }
}

impl Drop for PsqlSession {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A libpq connection string from its parts.
pub fn connection(host: &Path, port: u16, user: &str, database: &str) -> String {
    format!("host='{}' port={port} user='{user}' dbname='{database}'", host.display())
}

/// Ends the output of a statement.
const MARK: &str = "--end-of-reply--";
