//! The loads of a scenario.

use crate::data::{Mode, Shape};

/// One kind of load within a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// As fast as replies come.
    Closed,
    /// A fixed offered rate, in thousandths of a request per second so that it can be a key.
    Open {
        /// Requests offered in 1,000 s.
        rate_milli: u64,
    },
}

impl Window {
    /// Closed or open loop.
    pub fn mode(self) -> Mode {
        match self {
            Self::Closed => Mode::Closed,
            Self::Open { .. } => Mode::Open,
        }
    }

    /// The window a trial's load belongs to.
    pub fn of(shape: &Shape) -> Self {
        match shape.mode {
            Mode::Closed => Self::Closed,
            Mode::Open => {
                let rate = shape.rate.unwrap_or(0.0).max(0.0);
                Self::Open {
                    rate_milli: (rate * 1000.0).round() as u64,
                }
            }
        }
    }

    /// Offered requests per second; `None` in a closed loop.
    pub fn rate(self) -> Option<f64> {
        match self {
            Self::Closed => None,
            Self::Open { rate_milli } => Some(rate_milli as f64 / 1000.0),
        }
    }

    /// `closed loop` or `at 2,000/s`.
    pub fn describe(self) -> String {
        match self.rate() {
            None => "closed loop".to_owned(),
            Some(rate) => format!("at {}/s", crate::format::number(rate)),
        }
    }
}
