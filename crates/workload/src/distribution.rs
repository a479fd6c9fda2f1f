//! How long something takes, as a distribution.

/// A distribution of a non-negative number.
#[derive(Debug, Clone, PartialEq)]
pub enum Distribution {
    /// Always the same.
    Constant(f64),
    /// Exponential.
    Exponential {
        /// Its mean.
        mean: f64,
    },
    /// Log-normal.
    Lognormal {
        /// Its mean.
        mean: f64,
        /// Its coefficient of variation: standard deviation divided by mean.
        cv: f64,
    },
    /// One of several values.
    Values {
        /// The values.
        values: Vec<f64>,
        /// The share of each, adding up to 1.
        shares: Vec<f64>,
    },
}

impl Distribution {
    /// Its mean.
    pub fn mean(&self) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Exponential { mean } | Self::Lognormal { mean, .. } => *mean,
            Self::Values { values, shares } => values.iter().zip(shares).map(|(v, s)| v * s).sum(),
        }
    }

    /// The mean of its square.
    pub fn mean_square(&self) -> f64 {
        match self {
            Self::Constant(value) => value * value,
            Self::Exponential { mean } => 2.0 * mean * mean,
            Self::Lognormal { mean, cv } => mean * mean * (1.0 + cv * cv),
            Self::Values { values, shares } => {
                values.iter().zip(shares).map(|(v, s)| v * v * s).sum()
            }
        }
    }

    /// Whether it is always zero.
    pub fn is_zero(&self) -> bool {
        self.mean() == 0.0
    }

    /// The value below which a share `at` of it lies, `at` in (0, 1).
    ///
    /// Values drawn by this from uniform numbers keep their order when the distribution is scaled, which
    /// is what common random numbers need.
    pub fn quantile(&self, at: f64) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Exponential { mean } => -mean * (1.0 - at).ln(),
            Self::Lognormal { mean, cv } => {
                let variance = (1.0 + cv * cv).ln();
                mean * (variance.sqrt() * normal_quantile(at) - variance / 2.0).exp()
            }
            Self::Values { values, shares } => {
                let mut below = 0.0;
                for (value, share) in values.iter().zip(shares) {
                    below += share;
                    if at < below {
                        return *value;
                    }
                }
                values.last().copied().unwrap_or(0.0)
            }
        }
    }

    /// The same with every value multiplied by `factor`.
    pub fn scaled(&self, factor: f64) -> Self {
        match self {
            Self::Constant(value) => Self::Constant(value * factor),
            Self::Exponential { mean } => Self::Exponential {
                mean: mean * factor,
            },
            Self::Lognormal { mean, cv } => Self::Lognormal {
                mean: mean * factor,
                cv: *cv,
            },
            Self::Values { values, shares } => Self::Values {
                values: values.iter().map(|v| v * factor).collect(),
                shares: shares.clone(),
            },
        }
    }
}

/// The quantile of the standard normal distribution, by Acklam's rational approximation: the relative
/// error is below 1.2e-9.
pub(crate) fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 5] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 4] = [
        7.784695709041462e-3,
        3.224671290700398e-1,
        2.445134137142996,
        3.754408661907416,
    ];
    let poly = |c: &[f64], x: f64| c.iter().fold(0.0, |sum, c| sum * x + c);
    let tail = |q: f64| poly(&C, q) / (poly(&D, q) * q + 1.0);
    if p < 0.02425 {
        tail((-2.0 * p.ln()).sqrt())
    } else if p > 1.0 - 0.02425 {
        -tail((-2.0 * (1.0 - p).ln()).sqrt())
    } else {
        let q = p - 0.5;
        let r = q * q;
        poly(&A, r) * q / (poly(&B, r) * r + 1.0)
    }
}
