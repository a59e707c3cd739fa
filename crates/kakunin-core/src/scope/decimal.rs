//! Amounts as exact decimal numbers. They are compared and nothing else, so they stay digits: no rounding, no overflow.

use std::cmp::Ordering;
use std::fmt;

/// A decimal number of zero or more, with at most [`DECIMAL_DIGITS_MAX`] digits. Equal numbers are equal values:
/// `1.50` and `1.5`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// Without leading zeros; empty for zero.
    whole: String,
    /// Without trailing zeros.
    fraction: String,
}

impl Decimal {
    /// Reads digits, perhaps with a point between them. Nothing else is a number here: no sign, not even before zero,
    /// no exponent, no white space, no separators, no digits of other scripts, no leading zeros, no NaN or Infinity.
    pub fn parse(text: &str) -> Option<Self> {
        // All digits and one point; a longer text need not be looked at.
        if text.len() > DECIMAL_DIGITS_MAX + 1 {
            return None;
        }
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (text, ""),
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if whole.is_empty() || leading_zero || !digits(whole) || !digits(fraction) {
            return None;
        }
        if whole.len() + fraction.len() > DECIMAL_DIGITS_MAX {
            return None;
        }
        let whole = if whole == "0" { "" } else { whole };
        Some(Self { whole: whole.to_owned(), fraction: fraction.trim_end_matches('0').to_owned() })
    }

    /// Reads the one form in which an issued scope holds a number, which is the form that is displayed.
    pub fn parse_canonical(text: &str) -> Option<Self> {
        Self::parse(text).filter(|decimal| decimal.to_string() == text)
    }

    /// Is it zero?
    pub fn is_zero(&self) -> bool {
        self.whole.is_empty() && self.fraction.is_empty()
    }

    pub(super) fn one() -> Self {
        Self { whole: "1".to_owned(), fraction: String::new() }
    }
}

impl Ord for Decimal {
    /// Without leading zeros the longer whole part is the larger one; fractions compare from the point on.
    fn cmp(&self, other: &Self) -> Ordering {
        let whole = self.whole.len().cmp(&other.whole.len()).then_with(|| self.whole.cmp(&other.whole));
        whole.then_with(|| self.fraction.cmp(&other.fraction))
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.whole.is_empty() { "0" } else { &self.whole })?;
        if !self.fraction.is_empty() {
            write!(f, ".{}", self.fraction)?;
        }
        Ok(())
    }
}

/// Digits of a number, before and behind the point together: what a 128-bit integer always holds, so that counters
/// can add amounts exactly.
pub const DECIMAL_DIGITS_MAX: usize = 38;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Forms that other readers would take for a number.
    #[test]
    fn pki_32_attack_08_only_plain_numbers_are_numbers() {
        let number_of = |digits: usize| "9".repeat(digits);
        for text in ["0", "1", "10", "0.5", "100.00", "0.000", &number_of(DECIMAL_DIGITS_MAX)] {
            assert!(Decimal::parse(text).is_some(), "{text}");
        }
        for text in [
            "",
            " 1",
            "1 ",
            "-1",
            "-0",
            "+1",
            "1e3",
            "1E3",
            "1.",
            ".5",
            ".",
            "1.2.3",
            "01",
            "00",
            "00.5",
            "1,000",
            "1_000",
            "0x10",
            "NaN",
            "nan",
            "Infinity",
            "inf",
            "-Infinity",
            "٣",
            "１",
            "1\0",
            "1.-5",
            "²",
            "1.5e0",
            &number_of(DECIMAL_DIGITS_MAX + 1),
            &number_of(40),
            &format!("0.{}", number_of(DECIMAL_DIGITS_MAX)),
        ] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn pki_32_an_issued_number_has_one_form() {
        assert!(Decimal::parse_canonical("1.5").is_some());
        for text in ["1.0", "1.50", "0.0", "01"] {
            assert_eq!(Decimal::parse_canonical(text), None, "{text}");
        }
        assert_eq!(Decimal::parse("1.0"), Decimal::parse("1"));
        assert_eq!(Decimal::parse("0.00").map(|zero| (zero.is_zero(), zero.to_string())), Some((true, "0".to_owned())));
    }

    #[test]
    fn no_cent_is_lost_where_a_double_would_round() {
        let number = |text| Decimal::parse(text).unwrap();
        assert!(number("9007199254740993") > number("9007199254740992"));
        assert!(number("0.3") < number("0.3000000000000000000000000000000000001"));
        assert!(number("9") < number("10") && number("0.9") < number("1") && number("1.05") < number("1.5"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// Against integers of the same scale.
        #[test]
        fn compares_as_numbers_do(left in 0_u64..200_000, right in 0_u64..200_000) {
            let text = |cents: u64| format!("{}.{:02}", cents / 100, cents % 100);
            let number = |cents| Decimal::parse(&text(cents)).unwrap();
            prop_assert_eq!(number(left).cmp(&number(right)), left.cmp(&right));
            prop_assert_eq!(Decimal::parse_canonical(&number(left).to_string()), Some(number(left)));
        }
    }
}
