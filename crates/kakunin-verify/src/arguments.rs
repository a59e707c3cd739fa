//! The command line.

use std::ffi::OsString;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Print [`HELP`].
    Help,
    /// Print the version.
    Version,
    /// Check an export.
    Verify(Arguments),
}

/// How an export is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// Verifier keys, or files of them.
    pub keys: Vec<String>,
    /// Files with checkpoints that were kept.
    pub checkpoints: Vec<String>,
    /// The report as JSON.
    pub json: bool,
    /// Every fault, not only the first.
    pub all: bool,
    /// The rows of the entry at fault.
    pub show_values: bool,
    /// Bytes of one line of the export.
    pub line_bytes_max: usize,
    /// Where the export is.
    pub input: Input,
}

/// Where the export is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// `-`
    Stdin,
    /// A path.
    File(String),
}

impl Input {
    /// Its name in messages.
    pub fn name(&self) -> &str {
        match self {
            Self::Stdin => "standard input",
            Self::File(path) => path,
        }
    }
}

impl Arguments {
    /// Reads the arguments behind the program's name. An error is a sentence.
    pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Request, String> {
        let mut words = Vec::new();
        for word in arguments {
            words.push(word.into_string().map_err(|word| format!("{} is not UTF-8", word.to_string_lossy()))?);
        }
        let mut parsed = Self {
            keys: Vec::new(),
            checkpoints: Vec::new(),
            json: false,
            all: false,
            show_values: false,
            line_bytes_max: LINE_MIB_DEFAULT << 20,
            input: Input::Stdin,
        };
        let mut inputs = Vec::new();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
                _ => (word, None),
            };
            let mut value = || match &inline {
                Some(value) => Ok(value.clone()),
                None => words.next().ok_or_else(|| format!("{name} needs a value")),
            };
            match name.as_str() {
                "--key" | "-k" => parsed.keys.push(value()?),
                "--checkpoint" | "-c" => parsed.checkpoints.push(value()?),
                "--max-line" => parsed.line_bytes_max = mebibytes(&value()?)?,
                _ if inline.is_some() => return Err(format!("{name} takes no value, or is not known")),
                "--json" => parsed.json = true,
                "--all" => parsed.all = true,
                "--show-values" => parsed.show_values = true,
                "--help" | "-h" => return Ok(Request::Help),
                "--version" | "-V" => return Ok(Request::Version),
                "--" => inputs.extend(words.by_ref()),
                "-" => inputs.push(name),
                _ if name.starts_with('-') => return Err(format!("{name} is not known")),
                _ => inputs.push(name),
            }
        }
        match inputs.as_slice() {
            [] => Err("no export is named; - is standard input".to_owned()),
            [input] => {
                parsed.input = if input == "-" { Input::Stdin } else { Input::File(input.clone()) };
                Ok(Request::Verify(parsed))
            }
            [_, more, ..] => Err(format!("one export at a time: {more} is one too many")),
        }
    }
}

fn mebibytes(text: &str) -> Result<usize, String> {
    let number = text.parse::<usize>().ok().filter(|number| (1..=LINE_MIB_MAX).contains(number));
    number.map(|number| number << 20).ok_or(format!("--max-line is a number from 1 to {LINE_MIB_MAX}"))
}

/// MiB of a line if nothing else is said: a row of 190 MB fits.
const LINE_MIB_DEFAULT: usize = 256;
/// MiB of a line at most: the largest row that a ledger takes fits.
const LINE_MIB_MAX: usize = 1536;

/// What `--help` prints.
pub const HELP: &str = "\
kakunin-verify - check an exported ledger, without PostgreSQL

USAGE
    kakunin-verify [OPTION]... FILE
    kakunin-verify [OPTION]... -          read standard input

DESCRIPTION
    Reads what kakunin.export_ledger() wrote and checks all of it: every row
    against the tree of its entry, every entry against the one before it, the
    log against every checkpoint, and the signature of every checkpoint. Prints
    what was checked, what is covered by a signature and what is not yet, and
    the first fault with its ledger, entry and row. Memory does not grow with
    the number of rows, and the file is read once.

    An export says itself which key signed it. A signature under that key shows
    that nothing was changed since; it shows nothing about who signed. Pass the
    key that you were given by another way (--key), or a checkpoint that you
    kept from earlier (--checkpoint), or both.

OPTIONS
    -k, --key KEY|FILE
            A verifier key, <name>+<hash>+<base64>, or a file with one in each
            line. The newest checkpoint must be signed by one of these. May be
            given several times, such as after a change of keys.

    -c, --checkpoint FILE
            A signed checkpoint that you kept. The log must continue it: a log
            that is shorter is the fault 'truncated', one with another past
            'checkpoint_mismatch' or, if both are signed,
            'inconsistent_checkpoints'. May be given several times.

    --json  The report as one JSON object.

    --all   Every fault instead of the first; at most 1000 are kept.

    --show-values
            With the first fault of a ledger, the entry and its first rows, with
            the values that they hold. Rows may hold personal data, so that
            nothing of them is printed otherwise. Not with standard input.

    --max-line MIB
            How long a line of the export may be, from 1 to 1536 (256).

    -h, --help
    -V, --version

EXIT STATUS
    0   The export is sound.
    1   There is a fault.
    2   The arguments are wrong, a file could not be read or is no export, or a
        checkpoint that was given could not be compared.

FAULTS
    altered                   bytes are not those that were hashed
    missing, extra            an entry or a row too few, or too many
    duplicated, reordered     an entry twice, or behind a later one
    forked                    two entries of one number, or another past
    truncated                 the log is shorter than a checkpoint says
    malformed                 bytes are not what the format says
    miscounted, time_reversed, transaction_reused, after_close
                              an entry contradicts those before it
    pruned_without_entry, prune_not_covered
                              rows are gone without a sound prune entry
    unsigned, bad_signature   a checkpoint is not signed as it must be
    checkpoint_mismatch       the log has not the root of a checkpoint
    inconsistent_checkpoints  two signed checkpoints contradict each other
    bad_proof                 a proof does not lead to its checkpoint
    foreign_ledger            something of another ledger or log
    misplaced, incomplete     a line out of place; the export was cut off

EXAMPLES
    psql -AtX -c \"select kakunin.export_ledger()\" > ledger.jsonl
    kakunin-verify --key log.example/7301+81583c4c+AQu8NG... ledger.jsonl
    zcat ledger.jsonl.gz | kakunin-verify -k keys.txt -c march.note -

The bytes are described in docs/spec/ledger.md, so that you can check this
program with one of your own.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Request, String> {
        Arguments::parse(words.iter().map(OsString::from))
    }

    #[test]
    fn options_and_the_file_come_in_any_order() {
        let words = ["--key", "a", "file", "--key=c=", "-k", "-", "-c", "d", "--json", "--all", "--max-line", "1"];
        let Ok(Request::Verify(parsed)) = parse(&words) else { panic!("{words:?}") };
        assert_eq!(parsed.keys, ["a", "c=", "-"]);
        assert_eq!(parsed.checkpoints, ["d"]);
        assert_eq!((parsed.json, parsed.all, parsed.show_values), (true, true, false));
        assert_eq!((parsed.line_bytes_max, parsed.input), (1 << 20, Input::File("file".to_owned())));
        assert!(matches!(parse(&["--", "--all"]), Ok(Request::Verify(Arguments { input: Input::File(_), .. }))));
        assert!(matches!(parse(&["-"]), Ok(Request::Verify(Arguments { input: Input::Stdin, .. }))));
        assert_eq!(parse(&["file", "--help", "--bad"]), Ok(Request::Help));
        assert_eq!(parse(&["-V"]), Ok(Request::Version));
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for words in [
            &[][..],
            &["--key"],
            &["--key", "a"],
            &["a", "b"],
            &["--keys", "a", "b"],
            &["-x", "a"],
            &["--json=1", "a"],
            &["--max-line", "0", "a"],
            &["--max-line", "1537", "a"],
            &["--max-line=x", "a"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
        assert!(parse(&["--max-line", "1536", "a"]).is_ok());
    }

    #[test]
    fn the_help_names_every_fault_that_an_export_can_have() {
        use kakunin_core::ledger::FaultKind;
        // These need a database to be seen.
        let in_database = FaultKind::ALL.iter().position(|kind| *kind == FaultKind::StoredHashWrong).unwrap();
        for kind in &FaultKind::ALL[..in_database] {
            assert!(HELP.contains(kind.slug()), "{kind}");
        }
        assert!(HELP.lines().all(|line| line.len() <= 80), "wider than a terminal");
    }
}
