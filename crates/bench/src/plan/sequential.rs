//! Rounds that go on until verdicts are settled: how `--minutes` and `--until` are read.

use report::data::Sequential;

use crate::failure::{Failure, bail_usage};

/// What is settled where only the time is given, per cent.
const UNTIL_PERCENT: f64 = 3.0;
/// Finer than half a per cent no machine is the same for long enough; coarser than a half is not worth asking.
const PERCENT_MIN: f64 = 0.5;
const PERCENT_MAX: f64 = 50.0;
/// A week.
const MINUTES_MAX: f64 = 7.0 * 24.0 * 60.0;

/// Rotations by which a verdict of 3 % is settled or given up: as many as compare-live takes in two
/// minutes. A finer one takes more, with the square of how much finer it is.
const ROTATIONS: f64 = 120.0;
/// The least and the most.
const ROTATIONS_MIN: f64 = 24.0;
const ROTATIONS_MAX: f64 = 1_200.0;

/// How a run in rounds goes on; `None` where neither flag is given.
pub fn asked(minutes: Option<f64>, until: Option<&str>) -> Result<Option<Sequential>, Failure> {
    if minutes.is_none() && until.is_none() {
        return Ok(None);
    }
    if let Some(minutes) = minutes
        && !(minutes > 0.0 && minutes <= MINUTES_MAX)
    {
        bail_usage!("--minutes {minutes}: more than 0, and at most a week");
    }
    let until_percent = until.map_or(Ok(UNTIL_PERCENT), percent)?;
    let finer = (UNTIL_PERCENT / until_percent).powi(2);
    let rotations = (ROTATIONS * finer).clamp(ROTATIONS_MIN, ROTATIONS_MAX);
    Ok(Some(Sequential {
        until_percent,
        rotations_max: rotations.round() as u32,
        minutes,
    }))
}

/// `3%`, `3 %` or `3`.
fn percent(text: &str) -> Result<f64, Failure> {
    let number = text.trim().trim_end_matches('%').trim();
    number
        .parse()
        .ok()
        .filter(|percent| (PERCENT_MIN..=PERCENT_MAX).contains(percent))
        .ok_or_else(|| {
            Failure::usage(format!(
                "--until '{text}': a percentage from {PERCENT_MIN} to {PERCENT_MAX}, such as 3%"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_and_percentages_are_read() {
        let of = |minutes, until| {
            let asked = asked(minutes, until).expect("good");
            asked.map(|how| (how.until_percent, how.rotations_max, how.minutes))
        };
        assert_eq!(of(None, None), None);
        assert_eq!(of(Some(10.0), None), Some((3.0, 120, Some(10.0))));
        assert_eq!(of(None, Some("3%")), Some((3.0, 120, None)));
        assert_eq!(of(None, Some(" 1.5 % ")), Some((1.5, 480, None)));
        assert_eq!(of(None, Some("0.5")), Some((0.5, 1_200, None)));
        assert_eq!(of(Some(0.5), Some("10")), Some((10.0, 24, Some(0.5))));
    }

    #[test]
    fn what_is_no_time_and_no_percentage_is_refused_by_name() {
        for until in ["", "x", "0", "0.4", "-3%", "51%", "3%%x", "nan", "inf"] {
            let error = asked(None, Some(until)).expect_err(until);
            assert_eq!(error.code(), 2);
            assert!(error.to_string().starts_with("--until '"), "{error}");
        }
        for minutes in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            let error = asked(Some(minutes), None).expect_err("no time");
            assert!(error.to_string().starts_with("--minutes "), "{error}");
        }
    }
}
