//! What `pg_config` says about a PostgreSQL installation.

use crate::Outcome;
use crate::options::Options;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One PostgreSQL installation, known by its `pg_config` program.
pub struct PgConfig {
    program: PathBuf,
}

impl PgConfig {
    /// The installation that the options name: `--pg-config`, else `$PGRX_PG_CONFIG_PATH`, else the one on PATH.
    pub fn from_options(options: &Options) -> Self {
        let named = options.get("pg-config").map(PathBuf::from);
        let program = named.or_else(|| std::env::var_os("PGRX_PG_CONFIG_PATH").map(PathBuf::from));
        Self { program: program.unwrap_or_else(|| "pg_config".into()) }
    }

    /// The installation of one program.
    pub fn at(program: &Path) -> Self {
        Self { program: program.to_owned() }
    }

    /// The answer to one question, for example `--sharedir`.
    pub fn ask(&self, question: &str) -> Outcome<String> {
        let program = self.program.display();
        let output = Command::new(&self.program)
            .arg(question)
            .output()
            .map_err(|error| format!("cannot run {program}: {error}; scripts/install-deps.sh installs it"))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{program} {question} failed: {}", stderr.trim()).into());
        }
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// The directories of loadable libraries and of shared files, in this order.
    pub fn directories(&self) -> Outcome<(PathBuf, PathBuf)> {
        Ok((self.ask("--pkglibdir")?.into(), self.ask("--sharedir")?.into()))
    }
}
