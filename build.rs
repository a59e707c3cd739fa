//! Compiles the one C file, against the headers of the server that pgrx builds for.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=src/hooks/peer.c");
    println!("cargo:rerun-if-env-changed=PGRX_PG_CONFIG_PATH");
    let pg_config = std::env::var("PGRX_PG_CONFIG_PATH").unwrap_or_else(|_| "pg_config".into());
    let output = Command::new(&pg_config)
        .arg("--includedir-server")
        .output()
        .unwrap_or_else(|error| panic!("cannot run {pg_config}: {error}"));
    let include = String::from_utf8(output.stdout).expect("pg_config prints text");
    cc::Build::new().file("src/hooks/peer.c").include(include.trim()).warnings(false).compile("kakunin_peer");
}
