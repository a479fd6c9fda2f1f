//! The outcome of a column in words: who leads, and by how much over whom.

use crate::format;
use crate::metric::Metric;
use crate::stats::{self, Comparison};

/// The outcome of a column.
#[derive(Debug, Clone)]
pub struct Headline {
    /// The best median among what is ranked; `None` where nothing is.
    pub best: Option<String>,
    /// Shown to differ from the best by less than the zone.
    pub equivalent: Vec<String>,
    /// Neither different from the best nor equivalent to it, as far as was found.
    pub too_close: Vec<String>,
    /// The best of the second tier, and how it compares.
    pub next: Option<(String, stats::Comparison)>,
    /// LIMITED entries, which may be better than anything ranked.
    pub limited: usize,
}

/// A sentence in pieces: `true` for what is set in bold.
pub type Pieces = Vec<(bool, String)>;

impl Headline {
    /// How far the next tier is behind: `+12–18 %`, `2.1–2.4×`, or of a rate `−11–15 %`; `None` where there
    /// is none, or it is infinitely far behind.
    pub fn margin(&self, metric: Metric) -> Option<String> {
        let (_, against) = self.next.as_ref()?;
        let is_finite = against.log < stats::INFINITE_LOG / 2.0;
        is_finite.then(|| match (metric, size(against)) {
            (Metric::Throughput | Metric::Goodput, _) => format!("−{}", less(against)),
            (_, (size, true)) => size,
            (_, (size, false)) => format!("+{size}"),
        })
    }

    /// The outcome in one sentence: who won, by how much over whom, what is too close to call.
    pub fn sentence(&self, metric: Metric) -> Pieces {
        let Some(best) = &self.best else {
            let why = match self.limited {
                0 => "nothing could be ranked".to_owned(),
                n => format!("not ranked: the generator was the limit of {n}"),
            };
            return vec![(false, why)];
        };
        let mut text = vec![(true, best.clone())];
        let mut say = |bold: bool, more: String| text.push((bold, more));
        let alone = self.equivalent.is_empty() && self.too_close.is_empty();
        say(false, if alone { " wins" } else { " leads" }.to_owned());
        if !self.equivalent.is_empty() {
            say(false, format!("; {} equivalent", named(&self.equivalent)));
        }
        if !self.too_close.is_empty() {
            say(
                false,
                format!("; {} too close to call", named(&self.too_close)),
            );
        }
        match &self.next {
            Some((label, against)) if against.log >= stats::INFINITE_LOG / 2.0 => {
                say(
                    false,
                    format!("; {label} and all that follow do not hold this rate"),
                );
            }
            Some((label, against)) => {
                let joint = if alone { ": " } else { "; next, " };
                say(false, format!("{joint}{label} {}", behind(metric, against)));
            }
            None if alone => {}
            None => say(false, "; no other tier".to_owned()),
        }
        if self.limited > 0 {
            say(false, format!("; {} limited, not ranked", self.limited));
        }
        text
    }
}

/// `a`, `a and b`, `a, b, c and 4 more are`; with its verb.
fn named(names: &[String]) -> String {
    const SHOWN: usize = 3;
    match names {
        [one] => format!("{one} is"),
        [first @ .., last] if names.len() <= SHOWN => {
            format!("{} and {last} are", first.join(", "))
        }
        _ => format!(
            "{} and {} more are",
            names[..SHOWN].join(", "),
            names.len() - SHOWN
        ),
    }
}

/// `12–18 %`, or `2.1–2.4×` and `true`: beyond twice, a factor reads better than a percentage.
fn size(against: &Comparison) -> (String, bool) {
    let (low, high) = (against.low.exp(), against.high.exp());
    let percent = |factor: f64| format!("{:.0}", (factor - 1.0) * 100.0);
    match (percent(low), percent(high)) {
        _ if high >= 2.0 => (format!("{}×", format::factor_interval(low, high)), true),
        (low, high) if low == high => (format!("{low} %"), false),
        (low, high) => (format!("{low}–{high} %"), false),
    }
}

/// How much less a rate is that is so many times worse: 1.7 times worse is 41 % less.
fn less(against: &Comparison) -> String {
    let percent = |log: f64| format!("{:.0}", (1.0 - (-log).exp()) * 100.0);
    match (percent(against.low), percent(against.high)) {
        (low, high) if low == high => format!("{low} %"),
        (low, high) => format!("{low}–{high} %"),
    }
}

/// `needs 12–18 % more CPU`: how far the next tier is behind.
pub fn behind(metric: Metric, against: &Comparison) -> String {
    let (size, twice) = size(against);
    match (metric, twice) {
        (Metric::ServerCpu | Metric::MachineCpu, false) => format!("needs {size} more CPU"),
        (Metric::ServerCpu | Metric::MachineCpu, true) => format!("needs {size} the CPU"),
        (Metric::Pss | Metric::PssIdle, false) => format!("takes {size} more memory"),
        (Metric::Pss | Metric::PssIdle, true) => format!("takes {size} the memory"),
        (Metric::Throughput | Metric::Goodput, _) => format!("does {} less", less(against)),
        (_, false) => format!("takes {size} longer"),
        (_, true) => format!("takes {size} as long"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Verdict;

    #[test]
    fn a_rate_that_is_so_many_times_worse_is_so_much_less() {
        let against = |low: f64, high: f64| Comparison {
            log: low.ln(),
            low: low.ln(),
            high: high.ln(),
            pairs: 10,
            verdict: Verdict::Slower,
            smallest: 0.0,
        };
        let said = |metric, low, high| behind(metric, &against(low, high));
        assert_eq!(said(Metric::Throughput, 1.68, 1.75), "does 40–43 % less");
        assert_eq!(said(Metric::Goodput, 4.0, 5.0), "does 75–80 % less");
        assert_eq!(
            said(Metric::ServerCpu, 1.68, 1.75),
            "needs 68–75 % more CPU"
        );
        assert_eq!(said(Metric::P99, 2.5, 3.0), "takes 2.50–3.00× as long");
    }
}
