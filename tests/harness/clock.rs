//! A server's clock that a test can move, so that "a minute later" takes no minute.

use super::cluster::Builder;
use super::place::{self, Scratch};
use super::process;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The time of day of the servers that were started with it. The machine's clock, and with it what `openssl` and
/// other clients believe, stays as it is.
pub struct Clock {
    // Holds the file; removed with the clock.
    _scratch: Scratch,
    file: PathBuf,
    distance: AtomicI64,
}

impl Clock {
    /// A clock that shows the machine's time, until it is moved.
    pub fn new() -> Self {
        let scratch = Scratch::new();
        let file = scratch.write("clock", &0_i64.to_ne_bytes());
        Self { _scratch: scratch, file, distance: AtomicI64::new(0) }
    }

    /// Moves it by this many seconds, forward or back. Every process of the servers sees that at its next look.
    pub fn advance(&self, seconds: i64) {
        let distance = self.distance.fetch_add(seconds, Ordering::SeqCst) + seconds;
        let file = fs::OpenOptions::new().write(true).open(&self.file).expect("the clock lives");
        file.write_all_at(&distance.to_ne_bytes(), 0).expect("the file is ours");
    }

    /// What it shows: whole seconds since 1970, rounded down.
    pub fn now(&self) -> i64 {
        let machine = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        machine.cast_signed() + self.distance.load(Ordering::SeqCst)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// The server takes the time of day from this clock, also after a restart, and so does a standby of it.
    pub fn clock(self, clock: &Clock) -> Self {
        let library = library().to_string_lossy().into_owned();
        self.environment("LD_PRELOAD", &library).environment("KAKUNIN_TEST_CLOCK", &clock.file.to_string_lossy())
    }
}

/// The library that servers are started with: compiled once.
fn library() -> PathBuf {
    let directory = place::base().join(format!("clock-{}", place::digest(SOURCE)));
    place::made_once(&directory, |beside| {
        fs::create_dir(beside).expect("the base can be written");
        process::give_to_server(beside, 0o755);
        compile(beside);
    });
    directory.join("clock.so")
}

fn compile(directory: &Path) {
    let source = directory.join("clock.c");
    fs::write(&source, SOURCE).expect("the directory is ours");
    let library = directory.join("clock.so");
    process::run(Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source));
    process::give_to_server(&library, 0o755);
}

const SOURCE: &str = include_str!("clock.c");
