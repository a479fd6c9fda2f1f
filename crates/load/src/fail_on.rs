//! Conditions under which a script is to see a failure.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail, ensure};
use schema::duration;
use schema::load::LoadResult;

/// A condition on a result: `errors>0.1%`, `errors>5`, `p99>25ms`, `rate<1000`, `invalid`.
///
/// ```
/// assert!("p99>25ms".parse::<load::FailOn>().is_ok());
/// assert!("p98>25ms".parse::<load::FailOn>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct FailOn {
    text: String,
    condition: Condition,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Condition {
    /// More failures than this share of the scheduled requests.
    ErrorShare(f64),
    /// More failures than this.
    Errors(u64),
    /// A percentile of the response above so many microseconds.
    Above(Percentile, f64),
    /// Fewer correct replies per second.
    RateBelow(f64),
    /// The result is not valid.
    Invalid,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Percentile {
    P50,
    P90,
    P99,
    P999,
    Max,
}

impl FromStr for FailOn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let form = || {
            format!(
                "{text:?} is not errors>N, errors>N%, p50|p90|p99|p99.9|max>DURATION, rate<N or invalid"
            )
        };
        if plain == "invalid" {
            let (text, condition) = (plain, Condition::Invalid);
            return Ok(Self { text, condition });
        }
        let at = plain.find(['<', '>']).with_context(form)?;
        let (name, value) = plain.split_at(at);
        let (sign, value) = value.split_at(1);
        let number = |text: &str| {
            let number = text.parse::<f64>().ok();
            number
                .filter(|n| n.is_finite() && *n >= 0.0)
                .with_context(|| format!("{text:?} is no number of at least 0"))
        };
        let percentile = match name {
            "p50" => Some(Percentile::P50),
            "p90" => Some(Percentile::P90),
            "p99" => Some(Percentile::P99),
            "p99.9" | "p999" => Some(Percentile::P999),
            "max" => Some(Percentile::Max),
            _ => None,
        };
        let condition = match (name, sign, percentile) {
            ("errors", ">", _) => match value.strip_suffix('%') {
                Some(percent) => {
                    let percent = number(percent)?;
                    ensure!(percent < 100.0, "there are never more than 100 % errors");
                    Condition::ErrorShare(percent / 100.0)
                }
                None => Condition::Errors(value.parse().with_context(form)?),
            },
            ("rate", "<", _) => Condition::RateBelow(number(value)?),
            (_, ">", Some(percentile)) => {
                let limit = duration::parse(value).map_err(Error::msg)?;
                Condition::Above(percentile, limit.as_secs_f64() * 1e6)
            }
            _ => bail!(form()),
        };
        let text = plain;
        Ok(Self { text, condition })
    }
}

impl FailOn {
    /// What was found, if the condition holds. A run without a correct reply has infinite
    /// percentiles and a rate of 0; one in which nothing was due fails every condition.
    pub(crate) fn holds(&self, result: &LoadResult) -> Option<String> {
        let (failed, scheduled) = (result.failures(), result.scheduled);
        if scheduled == 0 {
            return Some(format!("{}: no request was due", self.text));
        }
        let found = match self.condition {
            Condition::ErrorShare(limit) => {
                let share = failed as f64 / scheduled as f64;
                (share > limit).then(|| format!("{failed} of {scheduled} requests failed"))
            }
            Condition::Errors(limit) => {
                (failed > limit).then(|| format!("{failed} of {scheduled} requests failed"))
            }
            Condition::RateBelow(limit) => {
                let rate = result.rate_achieved;
                (rate < limit).then(|| format!("the rate is {rate:.2}"))
            }
            Condition::Invalid => (!result.valid).then(|| {
                let reasons = result.reasons.iter().map(|reason| reason.text.as_str());
                reasons.collect::<Vec<_>>().join("; ")
            }),
            Condition::Above(percentile, limit_us) => {
                let us = percentile.of(result);
                us.is_none_or(|us| us > limit_us).then(|| match us {
                    Some(us) => format!("it is {:.3} ms", us / 1e3),
                    None => "it is infinite".to_owned(),
                })
            }
        };
        found.map(|found| format!("{self}: {found}"))
    }
}

impl Percentile {
    /// Of the response, microseconds; `None` is infinite.
    fn of(self, result: &LoadResult) -> Option<f64> {
        let response = &result.response_us;
        match self {
            Self::P50 => response.p50,
            Self::P90 => response.p90,
            Self::P99 => response.p99,
            Self::P999 => response.p999,
            Self::Max => response.max,
        }
    }
}

impl fmt::Display for FailOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str, result: &LoadResult) -> bool {
        text.parse::<FailOn>().unwrap().holds(result).is_some()
    }

    #[test]
    fn conditions_hold_beyond_their_limit_and_not_at_it() {
        let mut result = LoadResult {
            scheduled: 1000,
            requests: 990,
            rate_achieved: 99.0,
            ..LoadResult::default()
        };
        result.errors.insert("reset".to_owned(), 10);
        result.response_us.p50 = Some(2000.0);
        for (text, expected) in [
            ("errors>0", true),
            ("errors>9", true),
            ("errors>10", false),
            ("errors > 1%", false),
            ("errors>0.9%", true),
            ("rate<99", false),
            ("rate<99.5", true),
            ("p50>2ms", false),
            ("p50>1999us", true),
            // It falls among the failures.
            ("p99>10s", true),
            ("max>10s", true),
        ] {
            assert_eq!(holds(text, &result), expected, "{text}");
        }
        assert!(holds("rate<1", &LoadResult::default()), "nothing was due");
        assert!(holds("invalid", &result));
        result.valid = true;
        assert!(!holds("invalid", &result));
    }

    #[test]
    fn what_is_no_condition_is_refused_in_one_line() {
        for text in [
            "",
            "errors",
            "errors<1",
            "rate>5",
            "p98>1ms",
            "p99<1ms",
            "errors>x",
            "errors>-1",
            "errors>100%",
            "errors>nan%",
            "rate<inf",
            "invalid>1",
        ] {
            let error = format!("{:#}", text.parse::<FailOn>().unwrap_err());
            assert!(!error.contains('\n'), "{text}");
        }
    }
}
