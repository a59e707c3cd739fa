use super::*;

fn window(days: &[&str], from: &str, to: &str, zone: &str) -> Option<Window> {
    Window::new(days.iter().copied(), from, to, zone)
}

/// 1,800,000,000 is Friday, 15 January 2027, 08:00:00 UTC.
const FRIDAY_8_00: i64 = 1_800_000_000;

fn minutes_after(minutes: i64) -> UnixTime {
    UnixTime::from_seconds(FRIDAY_8_00 + minutes * 60)
}

#[test]
fn attack_08_the_ends_are_exact() {
    let office = window(&["mon", "tue", "wed", "thu", "fri"], "09:00", "17:30", "UTC").unwrap();
    for (minutes, inside) in
        [(59, false), (60, true), (569, true), (570, false), (60 + 1440, false), (60 + 3 * 1440, true)]
    {
        assert_eq!(office.contains(minutes_after(minutes)), inside, "{minutes} minutes after");
    }
    assert!(!office.contains(UnixTime(minutes_after(60).0 - 1)));
    assert!(office.contains(UnixTime(minutes_after(570).0 - 1)));
    assert_eq!(minutes_after(0).to_string(), "2027-01-15T08:00:00Z");
}

#[test]
fn attack_08_a_night_belongs_to_the_day_it_starts_on() {
    let friday_night = window(&["fri"], "22:00", "06:00", "UTC").unwrap();
    let at = |hours: i64| friday_night.contains(minutes_after(hours * 60));
    assert!(!at(-3), "Friday 05:00 is of Thursday's night");
    assert!(at(14) && at(21), "Friday 22:00, Saturday 05:00");
    assert!(!at(22) && !at(38), "Saturday 06:00 and 22:00");
    let sunday_night = window(&["sun"], "23:00", "01:00", "UTC").unwrap();
    assert!(sunday_night.contains(minutes_after(64 * 60 + 30)), "Monday 00:30");
}

#[test]
fn a_whole_day_and_a_whole_week() {
    let saturday = window(&["sat"], "00:00", "24:00", "UTC").unwrap();
    assert!(!saturday.contains(minutes_after(16 * 60 - 1)));
    assert!(saturday.contains(minutes_after(16 * 60)) && saturday.contains(minutes_after(40 * 60 - 1)));
    assert!(!saturday.contains(minutes_after(40 * 60)));
    let always = window(&DAYS, "00:00", "24:00", "UTC").unwrap();
    for minutes in (-20_000..20_000).step_by(7) {
        assert!(always.contains(minutes_after(minutes)));
    }
    assert!(always.contains(UnixTime(-1)), "before 1970");
}

#[test]
fn attack_08_zones_follow_their_rules() {
    let morning = |zone| window(&DAYS, "09:00", "10:00", zone).unwrap();
    // Friday 08:00 UTC is 09:00 in Berlin, 03:00 in New York, 13:45 in Kathmandu.
    assert!(morning("Europe/Berlin").contains(minutes_after(0)));
    assert!(morning("America/New_York").contains(minutes_after(6 * 60)));
    assert!(morning("Asia/Kathmandu").contains(minutes_after(-4 * 60 - 45)));
    assert!(morning("+05:45").contains(minutes_after(-4 * 60 - 45)));
    assert!(morning("-03:30").contains(minutes_after(4 * 60 + 30)));
    // In July Berlin is two hours ahead of UTC.
    let july = |hour: i64| UnixTime::from_seconds(1_815_696_000 + hour * 3600);
    assert_eq!(july(0).to_string(), "2027-07-16T00:00:00Z");
    assert!(morning("Europe/Berlin").contains(july(7)) && !morning("Europe/Berlin").contains(july(8)));
    assert!(morning("+01:00").contains(july(8)), "an offset knows no summer");
}

/// In Berlin, on 28 March 2027 the hour from 02:00 is left out, on 31 October 2027 it comes twice.
#[test]
fn attack_08_the_hours_when_the_clock_changes() {
    let window = window(&["sun"], "02:00", "03:00", "Europe/Berlin").unwrap();
    let utc = |seconds: i64| UnixTime::from_seconds(seconds);
    let spring = 1_806_195_600;
    assert_eq!(utc(spring).to_string(), "2027-03-28T01:00:00Z");
    for minutes in -120..120 {
        assert!(!window.contains(utc(spring + minutes * 60)), "there is no such hour");
    }
    let autumn = 1_824_944_400;
    assert_eq!(utc(autumn).to_string(), "2027-10-31T01:00:00Z");
    let inside: Vec<i64> = (-180..180).filter(|minutes| window.contains(utc(autumn + minutes * 60))).collect();
    assert_eq!((inside.len(), inside.first(), inside.last()), (120, Some(&-60), Some(&59)));
}

#[test]
fn what_is_not_a_window_is_refused() {
    for (days, from, to, zone) in [
        (&[][..], "09:00", "10:00", "UTC"),
        (&["mon", "mon"], "09:00", "10:00", "UTC"),
        (&["Mon"], "09:00", "10:00", "UTC"),
        (&["monday"], "09:00", "10:00", "UTC"),
        (&["mon"], "09:00", "09:00", "UTC"),
        (&["mon"], "00:00", "00:00", "UTC"),
        (&["mon"], "22:00", "00:00", "UTC"),
        (&["mon"], "24:00", "06:00", "UTC"),
        (&["mon"], "24:00", "24:00", "UTC"),
        (&["mon"], "09:00", "24:01", "UTC"),
        (&["mon"], "09:60", "10:00", "UTC"),
        (&["mon"], "9:00", "10:00", "UTC"),
        (&["mon"], "09:00", "1000", "UTC"),
        (&["mon"], "09:00:00", "10:00", "UTC"),
        (&["mon"], "-1:00", "10:00", "UTC"),
        (&["mon"], "٠٩:٠٠", "10:00", "UTC"),
        (&["mon"], "09:00", "10:00", ""),
        (&["mon"], "09:00", "10:00", "utc"),
        (&["mon"], "09:00", "10:00", "Europe/Atlantis"),
        (&["mon"], "09:00", "10:00", "europe/berlin"),
        (&["mon"], "09:00", "10:00", "../etc/localtime"),
        (&["mon"], "09:00", "10:00", "EST5EDT,M3.2.0,M11.1.0"),
        (&["mon"], "09:00", "10:00", "+14:01"),
        (&["mon"], "09:00", "10:00", "-24:00"),
        (&["mon"], "09:00", "10:00", "-00:00"),
        (&["mon"], "09:00", "10:00", "+1"),
        (&["mon"], "09:00", "10:00", "+0100"),
    ] {
        assert_eq!(window(days, from, to, zone), None, "{days:?} {from} {to} {zone}");
    }
    for zone in ["UTC", "Etc/UTC", "+00:00", "+14:00", "-12:00", "US/Eastern", "Asia/Tokyo"] {
        assert!(window(&["mon"], "09:00", "10:00", zone).is_some(), "{zone}");
    }
}

#[test]
fn instants_beyond_the_calendar_are_outside() {
    let always = window(&DAYS, "00:00", "24:00", "Europe/Berlin").unwrap();
    assert!(always.contains(UnixTime::from_seconds(253_402_207_199)), "the last days of the year 9999");
    for now in [i64::MIN, i64::MAX] {
        let _ = always.contains(UnixTime(now));
        let _ = window(&DAYS, "00:00", "24:00", "+14:00").unwrap().contains(UnixTime(now));
    }
}
