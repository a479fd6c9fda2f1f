//! Moments as logs write them, as nanoseconds since 1970.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

const SECOND_NS: u64 = 1_000_000_000;
const DAY_S: i64 = 86_400;
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A moment, and whether it is given in whole seconds.
pub(crate) type Moment = (u64, bool);

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let since_march = (month + 9) % 12;
    let day_of_year = (153 * since_march + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

/// Reads `10/Oct/2000:13:55:36 -0700`; the seconds may have a fraction.
pub(crate) fn clf(text: &str) -> Result<Moment> {
    let parts = || -> Option<Moment> {
        let (moment, zone) = text.split_once(' ')?;
        let mut parts = moment.splitn(4, ['/', ':']);
        let day = digits(parts.next()?, 1..=31)?;
        let name = parts.next()?;
        let month = MONTHS.iter().position(|&month| month == name)? as i64 + 1;
        let year = digits(parts.next()?, 1970..=9999)?;
        at((year, month, day), parts.next()?, zone)
    };
    parts().with_context(|| format!("{text:?} is no time such as 10/Oct/2000:13:55:36 -0700"))
}

/// Reads `2026-11-25T22:10:23.5Z` and its kin (RFC 3339; a space instead of the T, no zone for UTC).
pub(crate) fn rfc3339(text: &str) -> Result<Moment> {
    let parts = || -> Option<Moment> {
        let (date, rest) = text.split_once(['T', 't', ' '])?;
        let mut parts = date.splitn(3, '-');
        let year = digits(parts.next()?, 1970..=9999)?;
        let month = digits(parts.next()?, 1..=12)?;
        let day = digits(parts.next()?, 1..=31)?;
        let end = rest.find(['Z', 'z', '+', '-', ' ']).unwrap_or(rest.len());
        let (clock, zone) = rest.split_at(end);
        at((year, month, day), clock, zone.trim())
    };
    parts().with_context(|| format!("{text:?} is no time such as 2026-11-25T22:10:23Z"))
}

/// Reads a number of seconds, milliseconds, microseconds or nanoseconds since 1970: which one is told
/// by its size, since logs are younger than 1973 and older than 5138.
pub(crate) fn epoch(number: &str) -> Result<Moment> {
    let cannot = || format!("{number} is no time since 1970");
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    ensure!(
        !whole.is_empty() && whole.bytes().all(|b| b.is_ascii_digit()),
        cannot()
    );
    let whole: u64 = whole.parse().with_context(cannot)?;
    let unit_ns = match whole {
        0..100_000_000_000 => SECOND_NS,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1000,
        _ => 1,
    };
    let part_ns = fraction_ns(fraction).with_context(cannot)? / (SECOND_NS / unit_ns);
    let ns = whole.checked_mul(unit_ns).with_context(cannot)?;
    Ok((ns + part_ns, unit_ns == SECOND_NS && fraction.is_empty()))
}

/// A number of seconds, not negative and at most some 584 years.
pub(crate) fn seconds(number: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number)
        .ok()
        .filter(|d| u64::try_from(d.as_nanos()).is_ok())
}

fn at((year, month, day): (i64, i64, i64), clock: &str, zone: &str) -> Option<Moment> {
    let month_days = days(year + month / 12, month % 12 + 1, 1) - days(year, month, 1);
    let mut parts = clock.splitn(3, ':');
    let hour = digits(parts.next()?, 0..=23)?;
    let minute = digits(parts.next()?, 0..=59)?;
    let last = parts.next()?;
    let (second, fraction) = last.split_once(['.', ',']).unwrap_or((last, ""));
    // A leap second is the second after it.
    let second = digits(second, 0..=60)?;
    let since = days(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
    let since = u64::try_from(since - offset_s(zone)?).ok()?;
    let ns = since.checked_mul(SECOND_NS)? + fraction_ns(fraction)?;
    (day <= month_days).then_some((ns, fraction.is_empty()))
}

/// Seconds that a zone is ahead of UTC.
fn offset_s(zone: &str) -> Option<i64> {
    if matches!(zone, "" | "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_at_checked(2)?;
    let minutes = minutes.strip_prefix(':').unwrap_or(minutes);
    Some(sign * (digits(hours, 0..=23)? * 3600 + digits(minutes, 0..=59)? * 60))
}

fn digits(text: &str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
    let plain = text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    let number = plain.then(|| text.parse().ok())??;
    range.contains(&number).then_some(number)
}

/// The digits behind a decimal point, as nanoseconds; further ones are cut off.
fn fraction_ns(digits: &str) -> Option<u64> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let first = &digits[..digits.len().min(9)];
    format!("{first:0<9}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_moment_in_every_form() {
        // `date -u -d @971211336` is 2000-10-10 20:55:36.
        let moment = 971_211_336 * SECOND_NS;
        for text in ["10/Oct/2000:13:55:36 -0700", "10/Oct/2000:20:55:36 +0000"] {
            assert_eq!(clf(text).unwrap(), (moment, true), "{text}");
        }
        let half = moment + SECOND_NS / 2;
        assert_eq!(clf("10/Oct/2000:20:55:36.5 +0000").unwrap(), (half, false));
        for text in [
            "2000-10-10T20:55:36Z",
            "2000-10-10 20:55:36",
            "2000-10-10T22:25:36+01:30",
            "2000-10-10T13:55:36-0700",
        ] {
            assert_eq!(rfc3339(text).unwrap(), (moment, true), "{text}");
        }
        assert_eq!(rfc3339("2000-10-10T20:55:36.500Z").unwrap(), (half, false));
        assert_eq!(epoch("971211336").unwrap(), (moment, true));
        assert_eq!(epoch("971211336.5").unwrap(), (half, false));
        assert_eq!(epoch("971211336500").unwrap(), (half, false));
        assert_eq!(epoch("971211336500000").unwrap(), (half, false));
        assert_eq!(epoch("971211336500000000").unwrap(), (half, false));
        assert_eq!(epoch("971211336500.5").unwrap().0, half + 500_000);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "10/Oct/2000",
            "31/Feb/2000:00:00:00 +0000",
            "29/Feb/2001:00:00:00 +0000",
            "10/oct/2000:00:00:00 +0000",
            "10/Oct/2000:24:00:00 +0000",
            "10/Oct/2000:00:00:00 0000",
            "10/Oct/2000:00:00:00 +\u{e9}",
        ] {
            assert!(clf(text).is_err(), "{text}");
        }
        assert!(clf("29/Feb/2000:00:00:00 +0000").is_ok());
        for text in ["2000-10-10", "2000-13-10T00:00:00Z", "T", "2000-10-10T1Z"] {
            assert!(rfc3339(text).is_err(), "{text}");
        }
        for text in ["", "-5", "1e9", ".5", "99999999999999999999"] {
            assert!(epoch(text).is_err(), "{text}");
        }
    }
}
