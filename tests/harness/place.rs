//! Where the private PostgreSQL, the clusters and what was fetched from registries live.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::process;

/// The root of the source tree.
pub fn workspace() -> PathBuf {
    let package =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.parent().expect("the package lies inside the workspace").to_owned()
}

/// Cargo's target directory.
fn target() -> PathBuf {
    let chosen = std::env::var_os("CARGO_TARGET_DIR").filter(|directory| !directory.is_empty());
    workspace().join(chosen.unwrap_or_else(|| "target".into()))
}

/// The directory of private trees and clusters, as `xtask base` chose it: the server's user can reach it.
pub fn base() -> &'static Path {
    static BASE: OnceLock<PathBuf> = OnceLock::new();
    BASE.get_or_init(|| {
        if let Some(chosen) = std::env::var_os("KAKUNIN_BASE").filter(|directory| !directory.is_empty()) {
            return std::path::absolute(chosen).expect("KAKUNIN_BASE is a path");
        }
        let record = target().join("kakunin-base");
        let base = PathBuf::from(fs::read_to_string(&record).unwrap_or_default().trim());
        let there = base.join("tree").is_dir();
        assert!(there, "{} names no private PostgreSQL to test with: run `make private` first", record.display());
        base
    })
}

/// A program of the private PostgreSQL, such as `psql`.
pub fn program(name: &str) -> PathBuf {
    static BIN: OnceLock<PathBuf> = OnceLock::new();
    let bin = BIN.get_or_init(|| {
        let recorded = fs::read_to_string(base().join("tree/bindir")).expect("`make private` records it");
        recorded.trim().into()
    });
    bin.join(name)
}

/// The stamp of the private PostgreSQL: changes with its version.
pub fn stamp() -> String {
    fs::read_to_string(base().join("tree/stamp")).expect("`make private` writes it")
}

/// A directory for what is fetched once from a registry and kept.
pub fn cache(name: &str) -> PathBuf {
    let directory = target().join("cache").join(name);
    fs::create_dir_all(&directory).expect("the cache can be made");
    directory
}

/// Makes `directory` once, by `fill` in a directory beside it that is then renamed. Two processes may both
/// fill one; the first to finish wins, and nobody ever sees half of it.
pub fn made_once(directory: &Path, fill: impl FnOnce(&Path)) {
    if directory.exists() {
        return;
    }
    let mut beside = directory.as_os_str().to_owned();
    beside.push(format!(".{}", unique()));
    let beside = PathBuf::from(beside);
    fill(&beside);
    if fs::rename(&beside, directory).is_err() {
        assert!(directory.exists(), "{} cannot be made", directory.display());
        let _ = fs::remove_dir_all(&beside);
    }
}

/// A short name for a text: another text, another name.
pub fn digest(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// A name that no other test has: the process and a count.
pub fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A directory of one test, removed when dropped; kept when `KAKUNIN_KEEP` is set.
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A new directory that the server's user owns and nobody else can enter. Its path is short enough for a
    /// Unix socket.
    pub fn new() -> Self {
        let run = base().join("run");
        fs::create_dir_all(&run).expect("the base can be written");
        sweep(&run);
        let path = run.join(unique());
        fs::create_dir(&path).expect("the name is new");
        process::give_to_server(&path, 0o700);
        Self { path }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file that the server's user owns and only that user can read.
    pub fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path.join(name);
        fs::write(&path, content).expect("a scratch directory can be written");
        process::give_to_server(&path, 0o600);
        path
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::env::var_os("KAKUNIN_KEEP").is_some() {
            eprintln!("kept: {}", self.path.display());
        } else {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Removes directories of processes that are gone: their servers ended with them.
fn sweep(run: &Path) {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        for entry in fs::read_dir(run).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some((process, _)) = name.split_once('-') else { continue };
            if !Path::new("/proc").join(process).exists() && std::env::var_os("KAKUNIN_KEEP").is_none() {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    });
}
