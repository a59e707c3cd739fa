//! The directory of the keys: the key-encryption key, and what was signed last for each log. Read and written by the
//! signer alone, at each request anew, so that no key stays in memory and a file that was put back counts at once.

use crate::{backend, config};
use kakunin_core::Reason;
use kakunin_core::limits::NOTE_BYTES_MAX;
use kakunin_core::signer::softkms::{KEK_BYTES, Kek, Secret};
use ring::rand::{SecureRandom, SystemRandom};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The directory, after it was found fit.
pub struct Directory(PathBuf);

impl Directory {
    /// Finds the directory that `kakunin.key_directory` names, or makes it.
    pub fn open() -> Result<Self, Reason> {
        let refused = |what: String| Reason::KeyDirectoryRefused { what };
        let data = backend::data_directory();
        let chosen = config::signer::key_directory().unwrap_or_else(|| beside(&data));
        let shown = chosen.display().to_string();
        if !chosen.is_absolute() {
            return Err(refused(format!("{shown} is not an absolute path")));
        }
        let data = fs::canonicalize(&data).map_err(|error| refused(format!("{}: {error}", data.display())))?;
        let inside = |path: &Path| fs::canonicalize(path).is_ok_and(|path| path.starts_with(&data));
        // Before it is made, its parent tells where it would be.
        if inside(&chosen) || (!chosen.exists() && chosen.parent().is_some_and(inside)) {
            return Err(refused(format!("{shown} is inside the data directory, and so in every backup of it")));
        }
        match DirBuilder::new().mode(0o700).create(&chosen) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(refused(format!("{shown} cannot be made: {error}"))),
        }
        let found = fs::metadata(&chosen).map_err(|error| refused(format!("{shown}: {error}")))?;
        if !found.is_dir() {
            return Err(refused(format!("{shown} is not a directory")));
        }
        if found.uid() != own_user(&refused)? {
            return Err(refused(format!("{shown} belongs to another user than the server's")));
        }
        if found.mode() & 0o022 != 0 {
            return Err(refused(format!("{shown} can be written by others (mode {:04o})", found.mode() & 0o7777)));
        }
        Ok(Self(chosen))
    }

    /// The key-encryption key.
    pub fn kek(&self) -> Result<Kek, Reason> {
        let path = self.0.join(KEK);
        match self.read_kek(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(Reason::KeyEncryptionKeyMissing { what: path.display().to_string() })
            }
            Err(error) => Err(unusable(&path, &error)),
            Ok(kek) => Ok(kek),
        }
    }

    /// The key-encryption key; made now if there is none.
    pub fn kek_or_new(&self) -> Result<Kek, Reason> {
        let path = self.0.join(KEK);
        if !path.exists() {
            let kek = random::<KEK_BYTES>()?;
            self.write(KEK, &**kek, 0o600)?;
        }
        self.kek()
    }

    fn read_kek(&self, path: &Path) -> io::Result<Kek> {
        let file = File::open(path)?;
        let found = file.metadata()?;
        let refused = |what: &str| Err(io::Error::other(what.to_owned()));
        if !found.is_file() {
            return refused("it is not a plain file");
        }
        if found.mode() & 0o077 != 0 {
            return refused("others than its owner may use it; its mode must be 0600");
        }
        let mut bytes = Zeroizing::new([0; KEK_BYTES + 1]);
        let mut filled = 0;
        let mut reader = &file;
        while filled < bytes.len() {
            match reader.read(&mut bytes[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        Kek::new(&bytes[..filled]).map_or_else(|| refused("it does not have 32 bytes"), Ok)
    }

    /// The last note of a log; None if there is none.
    pub fn note(&self, stem: &str) -> Result<Option<String>, Reason> {
        let path = self.0.join(format!("{stem}.checkpoint"));
        match read_text(&path) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                Err(Reason::CheckpointMemoryDamaged { what: format!("{} is not a text", path.display()) })
            }
            Err(error) => Err(unusable(&path, &error)),
        }
    }

    /// The file of plans beside it; it only helps, so one that cannot be read is none.
    pub fn plans(&self, stem: &str) -> Option<String> {
        read_text(&self.0.join(format!("{stem}.plan"))).ok()
    }

    /// Makes a note the last one. It is public: whoever may enter the directory may read it.
    pub fn write_note(&self, stem: &str, note: &str) -> Result<(), Reason> {
        self.write(&format!("{stem}.checkpoint"), note.as_bytes(), 0o644)
    }

    /// Writes the file of plans.
    pub fn write_plans(&self, stem: &str, plans: &str) -> Result<(), Reason> {
        self.write(&format!("{stem}.plan"), plans.as_bytes(), 0o600)
    }

    /// The whole file or nothing, and on disk before this returns.
    fn write(&self, name: &str, content: &[u8], mode: u32) -> Result<(), Reason> {
        let (path, beside) = (self.0.join(name), self.0.join(format!("{name}.new")));
        let written = || -> io::Result<()> {
            // What an earlier attempt left, or a link that somebody placed there.
            match fs::remove_file(&beside) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            file.write_all(content)?;
            file.set_permissions(Permissions::from_mode(mode))?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            File::open(&self.0)?.sync_all()
        };
        written().map_err(|error| unusable(&path, &error))
    }
}

/// Random bytes, overwritten when they go out of scope.
pub fn random<const N: usize>() -> Result<Secret<N>, Reason> {
    let mut bytes: Secret<N> = Box::new(Zeroizing::new([0; N]));
    let filled = SystemRandom::new().fill(&mut **bytes);
    filled.map_err(|_| Reason::SignerFailed { what: "the system gives no random bytes".into() })?;
    Ok(bytes)
}

/// `<data directory>.kakunin`
fn beside(data: &Path) -> PathBuf {
    let mut name = data.components().as_path().as_os_str().to_owned();
    name.push(".kakunin");
    name.into()
}

fn own_user(refused: &impl Fn(String) -> Reason) -> Result<u32, Reason> {
    fs::metadata("/proc/self").map(|own| own.uid()).map_err(|error| refused(format!("/proc/self: {error}")))
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(TEXT_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn unusable(path: &Path, error: &io::Error) -> Reason {
    Reason::KeyFileUnusable { what: format!("{}: {error}", path.display()) }
}

const KEK: &str = "kek";
/// Bytes of a file that is read.
const TEXT_BYTES_MAX: u64 = NOTE_BYTES_MAX as u64;
