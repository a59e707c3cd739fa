//! Command line options: `--name value` or `--name=value`, and plain arguments.

use crate::Outcome;
use std::collections::HashMap;
use std::path::PathBuf;

/// The options of one command.
pub struct Options {
    named: HashMap<String, String>,
    plain: Vec<String>,
}

impl Options {
    /// Reads the arguments; a name outside `known` and more than `plain_max` plain arguments are refused.
    pub fn parse(arguments: Vec<String>, known: &[&str], plain_max: usize) -> Outcome<Self> {
        let mut options = Self { named: HashMap::new(), plain: Vec::new() };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let Some(option) = argument.strip_prefix("--") else {
                options.plain.push(argument);
                continue;
            };
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name.to_owned(), value.to_owned()),
                None => {
                    let value = arguments.next().ok_or_else(|| format!("--{option} needs a value"))?;
                    (option.to_owned(), value)
                }
            };
            if !known.contains(&name.as_str()) {
                return Err(format!("there is no option --{name}").into());
            }
            options.named.insert(name, value);
        }
        match options.plain.get(plain_max) {
            Some(extra) => Err(format!("unexpected argument \"{extra}\"").into()),
            None => Ok(options),
        }
    }

    /// The value of an option; an empty value counts as not given, so that a Makefile may pass an unset variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.named.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of an option that has no default, as a path.
    pub fn path(&self, name: &str) -> Outcome<PathBuf> {
        Ok(self.get(name).ok_or_else(|| format!("--{name} is missing"))?.into())
    }

    /// The plain argument at `index`, if there is one.
    pub fn plain(&self, index: usize) -> Option<&str> {
        self.plain.get(index).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn parse(line: &str) -> Result<Options, String> {
        let arguments = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(arguments, &["lib", "destdir"], 1).map_err(|error| error.to_string())
    }

    #[test]
    fn both_ways_of_writing_a_value_are_read() {
        let options = parse("--lib a.so there --destdir=/stage").expect("these are known");
        assert_eq!((options.get("lib"), options.get("destdir")), (Some("a.so"), Some("/stage")));
        assert_eq!((options.plain(0), options.plain(1)), (Some("there"), None));
    }

    #[test]
    fn an_empty_value_counts_as_not_given() {
        let options = parse("--destdir=").expect("it is known");
        assert_eq!(options.get("destdir"), None);
        assert!(options.path("destdir").is_err());
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert_eq!(parse("--prefix x").err().as_deref(), Some("there is no option --prefix"));
        assert_eq!(parse("--lib").err().as_deref(), Some("--lib needs a value"));
        assert_eq!(parse("one two").err().as_deref(), Some("unexpected argument \"two\""));
    }
}
