//! The steps of an open loop whose rate changes.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Error, Result, ensure};
use schema::duration;

/// Highest rate accepted, requests per second: with the time-out it bounds the queue of due
/// requests.
pub const RATE_MAX: f64 = 1e6;

/// A part of an open loop in which the rate is constant or changes linearly.
///
/// ```
/// use std::time::Duration;
/// let ramp: load::Step = "100-2000:5s".parse().unwrap();
/// assert_eq!((ramp.rate_from, ramp.rate_to), (100.0, 2000.0));
/// assert_eq!(ramp.duration, Duration::from_secs(5));
/// assert!("100".parse::<load::Step>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Requests per second at the beginning.
    pub rate_from: f64,
    /// Requests per second at the end.
    pub rate_to: f64,
    /// How long it lasts.
    pub duration: Duration,
}

impl Step {
    /// A step of constant rate.
    pub fn constant(rate: f64, duration: Duration) -> Self {
        Self {
            rate_from: rate,
            rate_to: rate,
            duration,
        }
    }

    /// Requests expected in it.
    pub fn expected(&self) -> f64 {
        (self.rate_from + self.rate_to) / 2.0 * self.duration.as_secs_f64()
    }

    /// Refuses what cannot be run; a rate of 0 is a pause.
    pub(crate) fn check(&self) -> Result<()> {
        for rate in [self.rate_from, self.rate_to] {
            ensure!(
                (0.0..=RATE_MAX).contains(&rate),
                "a rate of the profile must be 0 to {RATE_MAX}"
            );
        }
        ensure!(
            !self.duration.is_zero(),
            "a step of the profile must be longer than zero"
        );
        Ok(())
    }
}

impl FromStr for Step {
    type Err = Error;

    /// Reads `RATE:DURATION` or `FROM-TO:DURATION`.
    fn from_str(text: &str) -> Result<Self> {
        let (rates, length) = text
            .split_once(':')
            .with_context(|| format!("{text:?} is not RATE:DURATION or FROM-TO:DURATION"))?;
        let (from, to) = rates.split_once('-').unwrap_or((rates, rates));
        let rate = |text: &str| {
            text.parse::<f64>()
                .with_context(|| format!("{text:?} is not a rate"))
        };
        let step = Self {
            rate_from: rate(from)?,
            rate_to: rate(to)?,
            duration: duration::parse(length).map_err(Error::msg)?,
        };
        step.check()?;
        Ok(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read() {
        let step = |text: &str| text.parse::<Step>().unwrap();
        assert_eq!(
            step("50:500ms"),
            Step::constant(50.0, Duration::from_millis(500))
        );
        assert_eq!(step("0-100:2s").expected(), 100.0);
        for text in [
            "", "5", "5:", ":5s", "-5:1s", "5-:1s", "nan:1s", "1e9:1s", "5:0s", "5:1x",
        ] {
            let error = text.parse::<Step>().unwrap_err();
            assert!(!format!("{error:#}").contains('\n'), "{text}");
        }
    }
}
