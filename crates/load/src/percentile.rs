//! A percentile that is asked for beside the usual ones.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result, ensure};
use schema::load::PercentileFigures;
use serde::{Deserialize, Serialize};

use crate::counts::Counts;
use crate::durations::Durations;

/// A percentile of the response, over all requests or over some kinds of a mix: `95`, `99.9@2..5`.
///
/// ```
/// assert!("99.9@0..3".parse::<load::Percentile>().is_ok());
/// assert!("99.9@3..3".parse::<load::Percentile>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Percentile {
    /// In thousandths of a per cent: whole numbers are read back exactly.
    thousandths: u32,
    /// The first kind, and the one behind the last, in the order of the mix.
    kinds: Option<(usize, usize)>,
}

impl Percentile {
    /// The kinds that it is about.
    pub(crate) fn kinds(&self) -> Option<(usize, usize)> {
        self.kinds
    }

    /// What a run shows of it.
    pub(crate) fn of(self, counts: &Counts) -> PercentileFigures {
        let (response, failed) = match self.kinds {
            None => (counts.response(|_| true), counts.failed().total()),
            Some((first, end)) => {
                let kinds = counts.kinds.get(first..end).unwrap_or_default();
                let failed = kinds.iter().map(|kind| kind.failed.total()).sum();
                (Durations::sum(kinds.iter().map(|k| &k.response)), failed)
            }
        };
        PercentileFigures {
            asked: self.to_string(),
            scheduled: response.count() + failed,
            response_us: response.at(f64::from(self.thousandths) / 100_000.0, failed),
        }
    }
}

impl fmt::Display for Percentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.thousandths) / 1_000.0)?;
        match self.kinds {
            Some((first, end)) => write!(f, "@{first}..{end}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Percentile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let form = || format!("{text:?} is not Q or Q@FIRST..END, such as 99.9 or 95@0..3");
        let (percentile, kinds) = match text.split_once('@') {
            Some((percentile, kinds)) => (percentile, Some(kinds)),
            None => (text, None),
        };
        let percentile: f64 = percentile.parse().ok().with_context(form)?;
        let thousandths = (percentile * 1_000.0).round();
        ensure!(
            (1.0..=99_999.0).contains(&thousandths),
            "percentile {percentile} is not 0.001 to 99.999"
        );
        let ends = |kinds: &str| {
            let (first, end) = kinds.split_once("..")?;
            let ends: (usize, usize) = (first.parse().ok()?, end.parse().ok()?);
            (ends.0 < ends.1).then_some(ends)
        };
        Ok(Self {
            thousandths: thousandths as u32,
            kinds: kinds.map(|k| ends(k).with_context(form)).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_read_and_written() {
        for text in ["95", "99.9", "99.99@0..3", "0.5@7..8"] {
            let read: Percentile = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
        }
        for text in [
            "", "0", "100", "99.9996", "0.0001", "x", "nan", "95@", "95@3", "95@3..3", "95@a..b",
        ] {
            assert!(text.parse::<Percentile>().is_err(), "{text}");
        }
    }
}
