//! Checks an exported ledger, without PostgreSQL.
//!
//! What makes a ledger sound is decided in `kakunin_core::ledger`; here a file is read line by line, and what was found
//! is said to a person or a program.

pub mod arguments;
mod lines;
mod progress;
mod report;
mod show;
mod values;

use std::fs::File;
use std::io::{self, BufReader, Read, Write};

use arguments::{Arguments, Input};
use kakunin_core::ledger::export::{ExportReport, ExportVerifier};
use kakunin_core::ledger::log::Kept;
use kakunin_core::ledger::note::VerifierKey;
use lines::Lines;
use progress::Progress;

/// Why nothing could be said: bad arguments, a file that cannot be read or is none of the kind. A sentence.
#[derive(Debug)]
pub struct Failure(pub String);

/// Reads and checks what the arguments name, and writes what was found to `out`. Gives whether it is sound.
pub fn run(arguments: &Arguments, out: &mut impl Write) -> Result<bool, Failure> {
    let pinned = arguments.keys.iter().map(|key| read_keys(key)).collect::<Result<Vec<_>, _>>()?.concat();
    let kept = arguments.checkpoints.iter().map(|path| read_kept(path)).collect::<Result<Vec<_>, _>>()?;
    let (size, reader): (Option<u64>, Box<dyn Read>) = match &arguments.input {
        Input::Stdin => (None, Box::new(io::stdin().lock())),
        Input::File(path) => {
            let file = File::open(path).map_err(|error| cannot_read(path, &error))?;
            (file.metadata().ok().filter(|data| data.is_file()).map(|data| data.len()), Box::new(file))
        }
    };
    let name = arguments.input.name();
    let mut lines = Lines::new(BufReader::with_capacity(BUFFER_BYTES, reader), arguments.line_bytes_max);
    let report = check(&mut lines, size, pinned.clone(), kept.clone()).map_err(|error| cannot_read(name, &error))?;
    let said = report::Said { report: &report, arguments, pinned: &pinned, kept: &kept };
    let written = if arguments.json { said.json(out) } else { said.text(out) };
    written.and_then(|()| out.flush()).map_err(|error| Failure(format!("cannot write the report: {error}")))?;
    if report.is_sound() && report.coverage.kept_unchecked > 0 {
        return Err(Failure(format!(
            "{} of the checkpoints that were given cannot be compared with a partial export: ask for a whole one",
            report.coverage.kept_unchecked
        )));
    }
    Ok(report.is_sound())
}

fn check(
    lines: &mut Lines<impl io::BufRead>,
    size: Option<u64>,
    pinned: Vec<VerifierKey>,
    kept: Vec<Kept>,
) -> io::Result<ExportReport> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let (first, complete) = lines.next()?.ok_or_else(|| invalid("it is empty".to_owned()))?;
    if !complete {
        return Err(invalid("not an export: its first line does not end".to_owned()));
    }
    let mut verifier = ExportVerifier::new(first, pinned, kept).map_err(|refused| invalid(refused.to_string()))?;
    let mut progress = Progress::new(size);
    while let Some((line, complete)) = lines.next()? {
        verifier.line(line, complete);
        progress.show(lines.bytes(), || verifier.progress());
    }
    Ok(verifier.finish())
}

/// A verifier key, or a file with one in each line; empty lines and those that start with `#` are left out.
fn read_keys(key: &str) -> Result<Vec<VerifierKey>, Failure> {
    if let Ok(key) = key.parse() {
        return Ok(vec![key]);
    }
    let text = read_small(key)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Vec<_> = lines
        .map(|line| line.parse().map_err(|refused| Failure(format!("{key}: {refused}"))))
        .collect::<Result<_, _>>()?;
    if keys.is_empty() { Err(Failure(format!("{key}: there is no key in it"))) } else { Ok(keys) }
}

fn read_kept(path: &str) -> Result<Kept, Failure> {
    Kept::parse(path, read_small(path)?).map_err(|refused| Failure(format!("{path}: {refused}")))
}

/// Keys and checkpoints are small; a device or a pipe that never ends is not read for ever.
fn read_small(path: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(SMALL_BYTES_MAX + 1).read_to_string(&mut text));
    match read {
        Ok(bytes) if bytes as u64 > SMALL_BYTES_MAX => Err(Failure(format!("{path}: it is too large"))),
        Ok(_) => Ok(text),
        Err(error) => Err(cannot_read(path, &error)),
    }
}

fn cannot_read(name: &str, error: &io::Error) -> Failure {
    Failure(format!("{name}: {error}"))
}

/// Bytes that are read from the input at once.
const BUFFER_BYTES: usize = 1024 * 1024;
/// Bytes of a file of keys or of a checkpoint.
const SMALL_BYTES_MAX: u64 = 1024 * 1024;
