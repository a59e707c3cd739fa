//! Where private PostgreSQL trees and clusters live.
//!
//! PostgreSQL refuses to run as root, so as root the server runs as the user `postgres`, who must be able to
//! reach the directory: not the case for a clone in root's home. And a Unix socket's path has at most 107
//! bytes. So: below the target directory when both hold, else a fresh directory for temporary files, whose
//! path is kept in the target directory so that every later run finds it again.

use crate::{Outcome, schema};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The operating system's user that runs servers when we are root; Debian's packages make it.
const SERVER_USER: &str = "postgres";

/// The longest base, in bytes: leaves room for a cluster's name and the socket's within 107.
const BASE_BYTES_MAX: usize = 70;

/// The directory, made if it is not there. `$KAKUNIN_BASE` overrides the choice.
pub fn directory() -> Outcome<PathBuf> {
    if let Some(chosen) = std::env::var_os("KAKUNIN_BASE").filter(|value| !value.is_empty()) {
        let chosen = std::path::absolute(chosen)?;
        make(&chosen)?;
        return Ok(chosen);
    }
    let target = target_directory()?;
    fs::create_dir_all(&target)?;
    let record = target.join("kakunin-base");
    if let Some(kept) = recorded(&record) {
        return Ok(kept);
    }
    let near = target.join("pg");
    make(&near)?;
    let base = if near.as_os_str().len() <= BASE_BYTES_MAX && reachable(&near)? {
        near
    } else {
        fs::remove_dir(&near)?;
        temporary()?
    };
    fs::write(&record, base.to_string_lossy().as_bytes())?;
    Ok(base)
}

/// Cargo's target directory: `$CARGO_TARGET_DIR`, else `target` at the root of the tree.
pub fn target_directory() -> Outcome<PathBuf> {
    match std::env::var_os("CARGO_TARGET_DIR").filter(|value| !value.is_empty()) {
        Some(directory) => Ok(schema::root()?.join(directory)),
        None => Ok(schema::root()?.join("target")),
    }
}

/// The base of an earlier run, if it is still there, still ours, and still reachable.
fn recorded(record: &Path) -> Option<PathBuf> {
    let kept = PathBuf::from(fs::read_to_string(record).ok()?.trim());
    let metadata = fs::symlink_metadata(&kept).ok()?;
    let ours = metadata.is_dir() && metadata.uid() == own_uid() && metadata.mode() & 0o022 == 0;
    (ours && reachable(&kept).ok()?).then_some(kept)
}

fn make(directory: &Path) -> Outcome {
    fs::create_dir_all(directory).map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
    // The server's user reads programs below it; nobody else writes.
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// A new directory with an unpredictable name, so that no other user can have made it first.
fn temporary() -> Outcome<PathBuf> {
    let output = Command::new("mktemp").args(["-d", "-t", "kakunin.XXXXXXXX"]).output()?;
    if !output.status.success() {
        return Err(format!("mktemp failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    let directory = PathBuf::from(String::from_utf8(output.stdout)?.trim_end());
    make(&directory)?;
    if reachable(&directory)? {
        return Ok(directory);
    }
    fs::remove_dir(&directory)?;
    Err(format!("{} is not reachable by {SERVER_USER}; set KAKUNIN_BASE to a directory that is", directory.display())
        .into())
}

/// Whether the user that runs the server can use the directory.
fn reachable(directory: &Path) -> Outcome<bool> {
    if own_uid() != 0 {
        return Ok(true);
    }
    let user = [format!("--reuid={SERVER_USER}"), format!("--regid={SERVER_USER}"), "--clear-groups".to_owned()];
    let status = Command::new("setpriv")
        .args(user)
        .args(["test", "-x"])
        .arg(directory)
        .current_dir("/")
        .status()
        .map_err(|error| format!("cannot run setpriv: {error}"))?;
    match status.code() {
        Some(0) => Ok(true),
        Some(1) if user_exists()? => Ok(false),
        _ => Err(format!("there is no user {SERVER_USER}; scripts/install-deps.sh installs PostgreSQL").into()),
    }
}

fn user_exists() -> Outcome<bool> {
    Ok(Command::new("id").args(["-u", SERVER_USER]).output()?.status.success())
}

/// The user that owns this process.
fn own_uid() -> u32 {
    // A process's own directory in /proc belongs to its effective user.
    fs::metadata("/proc/self").map_or(u32::MAX, |metadata| metadata.uid())
}
