//! The extension's SQL, from the section that pgrx leaves in the built library.

use crate::Outcome;
use crate::options::Options;
use object::{Object, ObjectSection};
use pgrx_sql_entity_graph::{ControlFile, PgrxSql, SqlGraphEntity, section};
use std::fs;
use std::path::{Path, PathBuf};

/// The version of the extension: one for the whole workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The name of the extension.
pub const NAME: &str = "kakunin";

/// `xtask schema`.
pub fn run(options: &Options) -> Outcome {
    let schema = read(&options.path("lib")?)?;
    match options.get("out") {
        Some(out) => {
            fs::write(out, &schema.sql).map_err(|error| format!("cannot write {out}: {error}"))?;
            eprintln!("{out}: {} entities", schema.entity_count);
        }
        None => print!("{}", schema.sql),
    }
    Ok(())
}

/// The SQL of a built library.
pub struct Schema {
    /// What `CREATE EXTENSION` runs.
    pub sql: String,
    /// Functions, types and SQL blocks that the library describes; at least one.
    pub entity_count: usize,
}

/// Reads a built library. A library without any entity is refused: the linker dropped the section.
pub fn read(library: &Path) -> Outcome<Schema> {
    let bytes = fs::read(library).map_err(|error| format!("cannot read {}: {error}", library.display()))?;
    let file = object::File::parse(&*bytes)?;
    let section = file
        .sections()
        .find(|section| section.name().is_ok_and(section::is_schema_section_name))
        .ok_or_else(|| format!("{} has no section {}", library.display(), section::ELF_SECTION_NAME))?;

    let control = ControlFile::from_path_with_cargo_version(root()?.join("kakunin.control"), VERSION)?;
    let described = section::decode_entities(section.data()?)?;
    let entity_count = described.len();
    if entity_count == 0 {
        return Err(format!("{} describes no SQL object", library.display()).into());
    }
    let entities = std::iter::once(SqlGraphEntity::ExtensionRoot(control)).chain(described);
    let sql = PgrxSql::build(entities, NAME.to_owned(), false)?.to_sql()?;
    Ok(Schema { sql, entity_count })
}

/// The root of the source tree: the nearest directory, upwards from here, that holds the control file.
pub fn root() -> Outcome<PathBuf> {
    let here = std::env::current_dir()?;
    let found = here.ancestors().find(|directory| directory.join("kakunin.control").is_file());
    Ok(found.ok_or("run this inside the source tree: kakunin.control was not found")?.to_owned())
}
