//! Histograms of times, and their percentiles, in which failures rank as infinite.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};
use schema::load::Latency;
use serde::{Deserialize, Serialize, Serializer, de, ser};

/// Longest time that is told apart, nanoseconds (an hour); longer ones count as this.
const TIME_NS_MAX: u64 = 3_600_000_000_000;

/// Significant decimal digits kept.
const DIGITS: u8 = 3;

/// A histogram of times: they are recorded in nanoseconds, percentiles are in microseconds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Durations(Histogram<u64>);

impl Default for Durations {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, TIME_NS_MAX, DIGITS);
        Self(histogram.expect("the constant bounds are valid"))
    }
}

impl Durations {
    #[inline]
    pub(crate) fn record(&mut self, ns: u64) {
        self.0.saturating_record(ns);
    }

    /// Records the same time `n` times.
    pub(crate) fn record_n(&mut self, ns: u64, n: u64) {
        self.0.saturating_record_n(ns, n);
    }

    /// The histogram of all parts together.
    pub(crate) fn sum<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut sum = Self::default();
        parts.into_iter().for_each(|part| sum.merge(part));
        sum
    }

    /// Adds another histogram.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.0.is_empty() {
            return;
        }
        self.0
            .add(&other.0)
            .expect("all histograms have the same bounds");
    }

    /// How many are recorded.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The value at a quantile, with `unanswered` additional values that are infinite; `None` is infinite.
    pub(crate) fn at(&self, quantile: f64, unanswered: u64) -> Option<f64> {
        let count = self.0.len();
        // The smallest rank with at least that share of all values at or below it.
        let population = count + unanswered;
        let rank = ((quantile * population as f64).ceil() as u64).clamp(1, population.max(1));
        (rank <= count).then(|| {
            let within = rank as f64 / count as f64;
            self.0.value_at_quantile(within).min(self.0.max()) as f64 / 1e3
        })
    }

    /// The percentiles, with `unanswered` additional values that are infinite.
    pub(crate) fn latency(&self, unanswered: u64) -> Latency {
        let count = self.0.len();
        let at = |quantile| self.at(quantile, unanswered);
        Latency {
            count,
            mean: (count > 0).then(|| self.0.mean() / 1e3),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: at(1.0),
        }
    }
}

/// As text in the form that HdrHistogram's logs use: version 2, deflated, base 64.
impl Serialize for Durations {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.0, &mut bytes)
            .map_err(ser::Error::custom)?;
        serializer.serialize_str(&BASE64.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Durations {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'_, str>>::deserialize(deserializer)?;
        let bytes = BASE64.decode(&*text).map_err(de::Error::custom)?;
        let found: Histogram<u64> = hdrhistogram::serialization::Deserializer::new()
            .deserialize(&mut &bytes[..])
            .map_err(de::Error::custom)?;
        let bounds =
            |histogram: &Histogram<u64>| (histogram.low(), histogram.high(), histogram.sigfig());
        let like = Self::default();
        if bounds(&found) != bounds(&like.0) {
            return Err(de::Error::custom("a histogram has other bounds"));
        }
        Ok(Self(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thousand() -> Durations {
        let mut durations = Durations::default();
        (1..=1000).for_each(|us| durations.record(us * 1000));
        durations
    }

    fn near(value: Option<f64>, expected: f64) -> bool {
        value.is_some_and(|v| (v / expected - 1.0).abs() < 0.002)
    }

    #[test]
    fn percentiles_of_a_uniform_distribution() {
        let latency = thousand().latency(0);
        assert_eq!(latency.count, 1000);
        assert!(near(latency.mean, 500.5) && near(latency.p50, 500.0) && near(latency.p90, 900.0));
        assert!(near(latency.p99, 990.0) && near(latency.p999, 999.0) && near(latency.max, 1000.0));
    }

    #[test]
    fn failures_rank_above_every_latency() {
        let latency = thousand().latency(20);
        // Rank 510 of 1020, 918 of 1020, and 1010 of 1020, which is a failure.
        assert!(
            near(latency.p50, 510.0) && near(latency.p90, 918.0),
            "{latency:?}"
        );
        assert_eq!((latency.p99, latency.p999, latency.max), (None, None, None));
        assert!(near(latency.mean, 500.5));
        assert_eq!(thousand().latency(10_000).p50, None);
    }

    #[test]
    fn one_failure_in_a_thousand_hides_only_what_it_reaches() {
        let mut durations = Durations::default();
        durations.record_n(5_000, 999);
        let latency = durations.latency(1);
        assert!(near(latency.p999, 5.0));
        assert_eq!(latency.max, None);
    }

    #[test]
    fn nothing_recorded_is_no_figure() {
        let latency = Durations::default().latency(3);
        assert_eq!(
            (latency.count, latency.mean, latency.p50, latency.max),
            (0, None, None, None)
        );
        assert_eq!(Durations::default().latency(0).p50, None);
    }

    #[test]
    fn a_written_histogram_reads_back_as_itself() {
        for durations in [Durations::default(), thousand()] {
            let text = serde_json::to_string(&durations).unwrap();
            let read: Durations = serde_json::from_str(&text).unwrap();
            assert_eq!(read, durations);
            assert_eq!(read.latency(0), durations.latency(0));
        }
        for text in ["\"\"", "\"!\"", "\"HISTFAAA\"", "3"] {
            assert!(serde_json::from_str::<Durations>(text).is_err(), "{text}");
        }
    }
}
