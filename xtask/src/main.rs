//! The steps of the build that cargo does not have: the extension's SQL, its installation, a private PostgreSQL.
//!
//! pgrx leaves a description of every SQL object in a section of the built library. Reading that section and
//! copying three files is all that an installation needs, so that no further cargo subcommand has to be
//! compiled first.

mod base;
mod install;
mod options;
mod pg_config;
mod schema;
mod tree;

use options::Options;
use std::error::Error;
use std::process::ExitCode;

/// What every step returns: a refusal is a sentence for the person at the terminal.
type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    match run(&command, arguments.collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {command}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &str, arguments: Vec<String>) -> Outcome {
    match command {
        "schema" => {
            let options = Options::parse(arguments, &["lib", "out"], 0)?;
            schema::run(&options)
        }
        "install" => {
            let options = Options::parse(arguments, &["pg-config", "lib", "destdir", "prefix-dirs"], 0)?;
            install::install(&options)
        }
        "uninstall" => {
            let options = Options::parse(arguments, &["pg-config", "destdir", "prefix-dirs"], 0)?;
            install::uninstall(&options)
        }
        "pgtree" => {
            let options = Options::parse(arguments, &["pg-config"], 1)?;
            tree::run(&options)
        }
        "base" => {
            Options::parse(arguments, &[], 0)?;
            println!("{}", base::directory()?.display());
            Ok(())
        }
        "" | "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(format!("there is no such command\n{USAGE}").into()),
    }
}

const USAGE: &str = "\
usage: xtask COMMAND [OPTIONS]
  schema    --lib FILE [--out FILE]             write the extension's SQL, to standard output by default
  install   --lib FILE [--pg-config PROGRAM] [--destdir DIR] [--prefix-dirs PKGLIBDIR,SHAREDIR]
                                                copy library, control file and SQL into a PostgreSQL
  uninstall [--pg-config PROGRAM] [--destdir DIR] [--prefix-dirs PKGLIBDIR,SHAREDIR]
                                                remove what install wrote
  pgtree    [DIR] [--pg-config PROGRAM]         copy the programs of a PostgreSQL to a private place and
                                                print the path of the copy's pg_config
  base      print the directory of private trees and clusters, made on first use
The default PROGRAM is $PGRX_PG_CONFIG_PATH, else pg_config from PATH.
";
