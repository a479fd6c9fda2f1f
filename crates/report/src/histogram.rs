//! The histogram of a slice, unpacked.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;

use crate::data::Trial;
use crate::stats::resample::Counts;

/// The response times of a slice in µs, with the requests that got no right answer; `None` for a trial
/// that has no histogram, or one that cannot be unpacked.
pub fn of_slice(trial: &Trial) -> Option<Counts> {
    let bytes = BASE64_STANDARD.decode(trial.response_hdr.as_ref()?).ok()?;
    let histogram: Histogram<u64> = Deserializer::new()
        .deserialize(&mut bytes.as_slice())
        .ok()?;
    let mut counts = Counts::default();
    for value in histogram.iter_recorded() {
        let middle_ns = histogram.median_equivalent(value.value_iterated_to());
        counts.add(middle_ns as f64 / 1e3, value.count_at_value());
    }
    let figures = trial.figures.as_ref()?;
    counts.add_unanswered(figures.scheduled.saturating_sub(histogram.len()));
    Some(counts)
}
