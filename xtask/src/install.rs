//! Copies the extension into a PostgreSQL installation, and removes it.

use crate::options::Options;
use crate::pg_config::PgConfig;
use crate::{Outcome, schema};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// `xtask install`.
pub fn install(options: &Options) -> Outcome {
    let library = options.path("lib")?;
    let schema = schema::read(&library)?;
    let root = schema::root()?;
    let target = Target::from_options(options)?;
    target.make()?;

    let control = fs::read_to_string(root.join("kakunin.control"))?.replace("@CARGO_VERSION@", schema::VERSION);
    let script = format!("{}--{}.sql", schema::NAME, schema::VERSION);
    put(&target.extension.join(script), schema.sql.as_bytes(), 0o644)?;
    for upgrade in upgrade_scripts(&root.join("sql"))? {
        let name = upgrade.file_name().ok_or("an upgrade script without a name")?;
        put(&target.extension.join(name), &fs::read(&upgrade)?, 0o644)?;
    }
    put(&target.extension.join("kakunin.control"), control.as_bytes(), 0o644)?;
    put(&target.library, &fs::read(&library)?, 0o755)?;

    println!(
        "kakunin {}: {} entities, {} and {}",
        schema::VERSION,
        schema.entity_count,
        target.library.display(),
        target.extension.display()
    );
    Ok(())
}

/// `xtask uninstall`. What is not there is no error.
pub fn uninstall(options: &Options) -> Outcome {
    let target = Target::from_options(options)?;
    let mut files = vec![target.library, target.extension.join("kakunin.control")];
    files.extend(scripts(&target.extension)?);
    for file in files {
        match fs::remove_file(&file) {
            Ok(()) => println!("removed {}", file.display()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("cannot remove {}: {error}", file.display()).into()),
        }
    }
    Ok(())
}

/// Where the files go.
struct Target {
    library: PathBuf,
    extension: PathBuf,
}

impl Target {
    fn from_options(options: &Options) -> Outcome<Self> {
        let (libraries, shared) = match options.get("prefix-dirs") {
            Some(both) => {
                let (libraries, shared) = both.split_once(',').ok_or("--prefix-dirs takes PKGLIBDIR,SHAREDIR")?;
                (libraries.into(), shared.into())
            }
            None => PgConfig::from_options(options).directories()?,
        };
        let placed = |directory: PathBuf| match options.get("destdir") {
            Some(destdir) => under(Path::new(destdir), &directory),
            None => directory,
        };
        Ok(Self { library: placed(libraries).join("kakunin.so"), extension: placed(shared).join("extension") })
    }

    fn make(&self) -> Outcome {
        for directory in [self.library.parent().unwrap_or(Path::new("/")), &self.extension] {
            fs::create_dir_all(directory).map_err(|error| denied(directory, &error))?;
        }
        Ok(())
    }
}

/// `directory` below `destdir`, as packagers stage files.
pub fn under(destdir: &Path, directory: &Path) -> PathBuf {
    destdir.join(directory.strip_prefix("/").unwrap_or(directory))
}

/// Writes a file beside its place and renames it.
///
/// A running server has the library mapped: bytes written into the same inode would change code under its
/// feet and end it with SIGBUS, while a rename leaves it the old inode.
fn put(path: &Path, bytes: &[u8], mode: u32) -> Outcome {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".new.{}", std::process::id()));
    let beside = PathBuf::from(name);
    let written = fs::write(&beside, bytes)
        .and_then(|()| fs::set_permissions(&beside, fs::Permissions::from_mode(mode)))
        .and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| {
        // Best effort: the error that is reported matters more than a left-over file.
        let _ = fs::remove_file(&beside);
        denied(path, &error)
    })
}

fn denied(path: &Path, error: &std::io::Error) -> Box<dyn std::error::Error + Send + Sync> {
    let hint = match error.kind() {
        std::io::ErrorKind::PermissionDenied => "; installing into a system PostgreSQL needs root",
        _ => "",
    };
    format!("cannot write {}: {error}{hint}", path.display()).into()
}

/// The released steps from one version to the next: `kakunin--A--B.sql`.
fn upgrade_scripts(directory: &Path) -> Outcome<Vec<PathBuf>> {
    let is_step = |path: &PathBuf| path.to_string_lossy().matches("--").count() == 2;
    Ok(scripts(directory)?.into_iter().filter(is_step).collect())
}

/// Every `kakunin--*.sql` in a directory, in order of name; none when there is no such directory.
fn scripts(directory: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !directory.is_dir() {
        return Ok(found);
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("kakunin--") && name.ends_with(".sql") {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{put, scripts, under, upgrade_scripts};
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::path::{Path, PathBuf};

    /// A directory of one test.
    fn scratch(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("kakunin-xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("there is room");
        directory
    }

    #[test]
    fn a_file_that_is_in_use_is_replaced_and_not_changed() {
        let directory = scratch("put");
        let file = directory.join("kakunin.so");
        put(&file, b"first", 0o755).expect("it can be written");
        let before = fs::metadata(&file).expect("it is there").ino();
        let held = fs::File::open(&file).expect("it is there");
        put(&file, b"second", 0o755).expect("it can be written");
        assert_ne!(fs::metadata(&file).expect("it is there").ino(), before);
        assert_eq!(std::io::read_to_string(held).expect("the old one is still whole"), "first");
        assert_eq!(fs::read_dir(&directory).expect("it is there").count(), 1, "no file is left beside it");
        fs::remove_dir_all(directory).expect("it is ours");
    }

    #[test]
    fn upgrade_steps_are_told_from_whole_scripts() {
        let directory = scratch("steps");
        for name in ["kakunin--0.1.0.sql", "kakunin--0.1.0--0.2.0.sql", "schema.sql", "kakunin.control"] {
            fs::write(directory.join(name), "").expect("there is room");
        }
        assert_eq!(upgrade_scripts(&directory).expect("it is there"), [directory.join("kakunin--0.1.0--0.2.0.sql")]);
        assert_eq!(scripts(&directory).expect("it is there").len(), 2);
        assert!(scripts(&directory.join("nowhere")).expect("no directory, no script").is_empty());
        fs::remove_dir_all(directory).expect("it is ours");
    }

    #[test]
    fn a_staged_file_lies_below_the_stage() {
        assert_eq!(under(Path::new("/stage"), Path::new("/usr/lib")), Path::new("/stage/usr/lib"));
        assert_eq!(under(Path::new("stage"), Path::new("usr/lib")), Path::new("stage/usr/lib"));
    }
}
