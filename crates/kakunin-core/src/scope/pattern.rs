//! Names of actions, and patterns over them.

use std::fmt;

use super::read::{is_plain_text, is_text};

/// A name, or a name space: `orders:create`, `orders:*`, `data.*`. Separators are `:` and `.`, and they differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pattern {
    /// This name alone.
    Name(String),
    /// Every name that starts with this, which ends in a separator, and goes on behind it.
    Space(String),
}

impl Pattern {
    /// Refuses what could be read as more or less than it is meant: `*` alone or inside, and a name space without its
    /// star (`admin:`) or without its separator (`adm*`).
    pub(super) fn parse(text: &str) -> Option<Self> {
        if !is_text(text) {
            return None;
        }
        match text.strip_suffix('*') {
            None => is_name(text).then(|| Self::Name(text.to_owned())),
            Some(space) => {
                let name = space.strip_suffix(SEPARATORS)?;
                is_name(name).then(|| Self::Space(space.to_owned()))
            }
        }
    }

    /// Is this action allowed by the pattern? It must be a name ([`is_name`]).
    pub(super) fn covers(&self, action: &str) -> bool {
        match self {
            Self::Name(name) => action == name,
            // The separator at the end of the space keeps `data.` from covering `database`; what is behind it is not
            // empty, because names do not end in a separator.
            Self::Space(space) => action.starts_with(space.as_str()),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Space(space) => write!(f, "{space}*"),
        }
    }
}

/// Could this name an action? Up to 255 letters, digits and signs without white space and star, in parts that
/// separators divide and of which none is empty: so there is no `..` and no empty suffix.
pub(super) fn is_name(text: &str) -> bool {
    let sign = |character: char| character.is_alphanumeric() || character.is_ascii_graphic() && character != '*';
    is_plain_text(text) && text.split(SEPARATORS).all(|part| !part.is_empty()) && text.chars().all(sign)
}

const SEPARATORS: [char; 2] = [':', '.'];

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, action: &str) -> bool {
        is_name(action) && Pattern::parse(pattern).is_some_and(|pattern| pattern.covers(action))
    }

    #[test]
    fn pki_34_attack_08_a_pattern_is_no_prefix() {
        for (pattern, action) in [
            ("orders:create", "orders:create"),
            ("orders:*", "orders:create"),
            ("orders:*", "orders:create:now"),
            ("orders:*", "orders:a.b"),
            ("data.*", "data.read"),
            ("a.b.*", "a.b.c"),
            ("e", "e"),
            ("größe:*", "größe:lesen"),
        ] {
            assert!(covers(pattern, action), "{pattern} should cover {action}");
        }
        for (pattern, action) in [
            ("data.*", "database.read"),
            ("data.*", "data"),
            ("data.*", "data."),
            ("data.*", "data:read"),
            ("data.*", "DATA.read"),
            ("data.*", "data.."),
            ("data.*", "data..read"),
            ("data.*", "dаta.read"),
            ("data.*", "xdata.read"),
            ("data.*", "data.*"),
            ("e", "execute"),
            ("execute", "e"),
            ("admin:*", "admin:"),
            ("admin:*", "admin"),
            ("admin:*", "administrator:x"),
            ("files:*", "files:../etc"),
            ("files:*", "files:a/../b"),
            ("files:*", "files: a"),
            ("files:*", "files:a\n"),
            ("files:*", "files:a\0"),
            ("files:*", "files:a\u{202e}"),
            ("orders:create", "orders:create "),
            ("orders:create", "Orders:create"),
            ("orders:create", "orders:create:now"),
            ("größe", "gro\u{308}ße"),
        ] {
            assert!(!covers(pattern, action), "{pattern:?} should not cover {action:?}");
        }
    }

    #[test]
    fn pki_34_patterns_without_a_name_space_are_none() {
        for text in [
            "",
            "*",
            ":*",
            ".*",
            "admin:",
            "data.",
            "adm*",
            "a:*:b",
            "a**",
            "a:**",
            "*.read",
            "a::*",
            ".a",
            "a..b",
            "a b",
            " a",
            "a\u{200b}",
        ] {
            assert_eq!(Pattern::parse(text), None, "{text:?}");
        }
        assert_eq!(Pattern::parse("gro\u{308}ße"), None, "not in NFC");
        assert!(Pattern::parse(&"a".repeat(255)).is_some());
        assert!(Pattern::parse(&"a".repeat(256)).is_none());
        assert!(!is_name(&"a".repeat(256)));
    }
}
