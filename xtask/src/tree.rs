//! A private copy of a PostgreSQL's programs.
//!
//! PostgreSQL finds its libraries and shared files relative to its own program, as long as the directories
//! keep their places relative to each other. So a copy under another root is complete: the extension is
//! installed there, and neither the demo nor a test writes to a system directory.

use crate::install::under;
use crate::options::Options;
use crate::pg_config::PgConfig;
use crate::{Outcome, base};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `xtask pgtree`: makes the copy if it is missing or older than the original; prints its `pg_config`.
pub fn run(options: &Options) -> Outcome {
    let original = PgConfig::from_options(options);
    let root = match options.plain(0) {
        Some(directory) => std::path::absolute(directory)?,
        None => base::directory()?.join("tree"),
    };
    let bindir = PathBuf::from(original.ask("--bindir")?);
    if bindir.starts_with(&root) {
        // The environment of a private cluster puts the copy's own pg_config first in PATH.
        println!("{}", bindir.join("pg_config").display());
        return Ok(());
    }
    let pg_config = under(&root, &bindir).join("pg_config");
    let stamp = stamp(&original, &bindir)?;
    if fs::read_to_string(root.join("stamp")).is_ok_and(|found| found == stamp) && pg_config.is_file() {
        println!("{}", pg_config.display());
        return Ok(());
    }

    if root.join("stamp").exists() {
        fs::remove_dir_all(&root)?;
    } else if root.is_dir() && fs::read_dir(&root)?.next().is_some() {
        return Err(format!("{} holds something else; name an empty directory", root.display()).into());
    }
    let (libraries, shared) = original.directories()?;
    for directory in outermost([bindir.clone(), libraries, shared]) {
        copy(&directory, &under(&root, &directory))?;
    }
    require_relocation(&root, &pg_config)?;
    // Where the programs are, for whoever has no pg_config at hand.
    fs::write(root.join("bindir"), under(&root, &bindir).to_string_lossy().as_bytes())?;
    fs::write(root.join("stamp"), stamp)?;
    println!("{}", pg_config.display());
    Ok(())
}

/// What makes a copy out of date: another version, or another build of the server.
fn stamp(original: &PgConfig, bindir: &Path) -> Outcome<String> {
    let server = fs::metadata(bindir.join("postgres"))
        .map_err(|error| format!("{} has no server: {error}", bindir.display()))?;
    let changed = server.modified()?.duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let version = original.ask("--version")?;
    Ok(format!("{version}\n{}\n{} bytes, changed at {changed}\n", bindir.display(), server.len()))
}

/// The given directories without those that lie inside another one of them.
fn outermost(directories: [PathBuf; 3]) -> BTreeSet<PathBuf> {
    let all: BTreeSet<PathBuf> = directories.into_iter().collect();
    let nested = |one: &PathBuf| all.iter().any(|other| one != other && one.starts_with(other));
    all.iter().filter(|one| !nested(one)).cloned().collect()
}

fn copy(from: &Path, to: &Path) -> Outcome {
    fs::create_dir_all(to)?;
    // Owners are not kept: the copy belongs to whoever makes it. "-a" would fail for others than root.
    let status = Command::new("cp")
        .args(["-dR", "--preserve=mode,timestamps", "--reflink=auto"])
        .arg(from.join("."))
        .arg(to)
        .status()?;
    if !status.success() {
        return Err(format!("cannot copy {} to {}", from.display(), to.display()).into());
    }
    Ok(())
}

/// The copy must answer with its own directories, or the extension would be installed into the original.
fn require_relocation(root: &Path, pg_config: &Path) -> Outcome {
    let (libraries, shared) = PgConfig::at(pg_config).directories()?;
    let root = root.canonicalize()?;
    for directory in [libraries, shared] {
        if !directory.canonicalize()?.starts_with(&root) {
            return Err(format!("the copy in {} still uses {}", root.display(), directory.display()).into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::outermost;

    #[test]
    fn a_directory_inside_another_is_copied_with_it() {
        let debian = ["/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/15/lib", "/usr/share/postgresql/15"];
        assert_eq!(outermost(debian.map(Into::into)).len(), 3);
        let nested = ["/opt/pg", "/opt/pg/lib", "/opt/pg-share"];
        let kept: Vec<_> = outermost(nested.map(Into::into)).into_iter().collect();
        assert_eq!(kept, ["/opt/pg", "/opt/pg-share"].map(std::path::PathBuf::from));
    }
}
