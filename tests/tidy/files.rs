//! The files of the tree, as text.

use kakunin_tests::workspace;
use std::fs;
use std::path::Path;

/// One file.
pub struct File {
    /// Its path from the root of the tree, with `/`.
    pub path: String,
    /// Its content.
    pub text: String,
}

impl File {
    /// Whether its path starts with one of these.
    pub fn starts_with_any(&self, starts: &[&str]) -> bool {
        starts.iter().any(|start| self.path.starts_with(start))
    }

    /// Whether its name ends in one of these extensions.
    pub fn has_extension(&self, extensions: &[&str]) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension))
    }
}

/// All files that people write; not what is built, fetched or kept by git.
pub struct Tree {
    files: Vec<File>,
}

impl Tree {
    /// Reads the tree. Files that are not UTF-8 are left out.
    pub fn read() -> Self {
        let mut files = Vec::new();
        collect(&workspace(), "", &mut files);
        assert!(files.iter().any(|file| file.path == "Cargo.toml"), "this is not the root of the tree");
        Self { files }
    }

    /// Every file.
    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.files.iter()
    }

    /// Every Rust file.
    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files().filter(|file| file.has_extension(&["rs"]))
    }

    /// The file at a path.
    pub fn get(&self, path: &str) -> Option<&File> {
        self.files().find(|file| file.path == path)
    }

    /// Whether there is a file, or a directory with files, at a path.
    pub fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let below = format!("{path}/");
        path.is_empty() || self.files().any(|file| file.path == path || file.path.starts_with(&below))
    }
}

fn collect(root: &Path, below: &str, files: &mut Vec<File>) {
    let entries = fs::read_dir(root.join(below)).expect("the tree can be read");
    for entry in entries {
        let entry = entry.expect("the tree can be read");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let kind = entry.file_type().expect("the tree can be read");
        if kind.is_dir() && !NOT_OURS.contains(&&*name) {
            collect(root, &path, files);
        } else if kind.is_file() && !NOT_WRITTEN.contains(&&*name) {
            let Ok(text) = fs::read_to_string(entry.path()) else { continue };
            files.push(File { path, text });
        }
    }
}

/// Lines with their numbers, from 1.
pub fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// Whether a line names a place (a directory at the root, with slashes around its name) at the start of a path: not
/// inside a longer one or a URL.
pub fn names_place(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|character| character.is_alphanumeric() || "._-/}~*$)>".contains(character))
    })
}

/// Directories that nobody writes.
const NOT_OURS: &[&str] = &[".git", "target", "node_modules", "corpus", "artifacts", "__pycache__"];

/// Files that a program writes.
const NOT_WRITTEN: &[&str] = &["Cargo.lock"];
