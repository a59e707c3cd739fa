//! `kakunin-verify`: see `kakunin-verify --help`.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use kakunin_verify::arguments::{Arguments, HELP, Request};

fn main() -> ExitCode {
    let request = Arguments::parse(std::env::args_os().skip(1));
    let mut out = BufWriter::new(io::stdout().lock());
    let outcome = match request {
        Ok(Request::Help) => write!(out, "{HELP}").map(|()| true).map_err(|error| error.to_string()),
        Ok(Request::Version) => writeln!(out, "kakunin-verify {}", env!("CARGO_PKG_VERSION"))
            .map(|()| true)
            .map_err(|error| error.to_string()),
        Ok(Request::Verify(arguments)) => kakunin_verify::run(&arguments, &mut out).map_err(|failure| failure.0),
        Err(wrong) => Err(format!("{wrong}\nTry 'kakunin-verify --help'.")),
    };
    let outcome = outcome.and_then(|sound| out.flush().map(|()| sound).map_err(|error| error.to_string()));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => {
            eprintln!("kakunin-verify: {failure}");
            ExitCode::from(2)
        }
    }
}
