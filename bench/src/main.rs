//! What the benchmarks need beside a server. scripts/bench.sh runs the measurements and calls this for the rest.

mod goals;
mod hashes;
mod plot;
mod proofs;
mod report;
mod statistics;

use std::process::ExitCode;

/// What every command returns: a refusal is a sentence for the person at the terminal.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["proofs", algorithm, pki, serial, audience, count] => proofs::print(algorithm, pki, serial, audience, count),
        ["message", pki] => proofs::print_message(pki),
        ["ring", pki, count] => proofs::verify_with_ring(pki, count),
        ["sha256", bytes, rows] => hashes::hash_rows(bytes, rows),
        ["report", directory] => report::write(directory.as_ref()),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kakunin-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "
  proofs rsa|p256 PKI SERIAL AUDIENCE COUNT   sign that many proofs, one a line
  message PKI                                 a message and its RSA-2048 signature in hexadecimal, one a line
  ring PKI COUNT                              verify that signature so often, with ring alone
  sha256 BYTES ROWS                           hash so many rows of so many bytes, and a node of a tree for each
  report DIRECTORY                            read results.tsv; print a table, write report.json and report.svg";
