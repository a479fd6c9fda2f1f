//! A workload from an access log or a HAR file.

use std::collections::BTreeMap;
use std::path::Path;

use workload::{Class, Distribution, Offered, Workload};

use super::refused::{Refused, unusable};

/// Classes that are told apart; all other requests are one more.
const CLASSES: usize = 7;
/// Values that stand for the durations of a class.
const VALUES: usize = 20;

/// What is known of a class.
#[derive(Default)]
struct Seen {
    requests: u64,
    bytes: u64,
    with_bytes: u64,
    durations_us: Vec<f64>,
}

/// The workload of the requests in `file`, as TOML with what was seen as comments.
///
/// Its rate is that of the busiest minute. Where the file tells durations (HAR does, the combined format
/// does not), they are blocked time, and requests are told apart by method and path; where it does not,
/// all are one class, whose times flags say.
pub(super) fn workload(file: &Path) -> Result<String, Refused> {
    let wrong = |line: String| unusable(format!("--from {}: {line}", file.display()));
    let mut trace = traces::Trace::open(file).map_err(|error| wrong(format!("{error:#}")))?;
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    let mut minutes: BTreeMap<u64, u64> = BTreeMap::new();
    let (mut first, mut last) = (u64::MAX, 0);
    for entry in trace.by_ref() {
        let entry = entry.map_err(|error| wrong(format!("{error:#}")))?;
        first = first.min(entry.time_unix_ns);
        last = last.max(entry.time_unix_ns);
        *minutes
            .entry(entry.time_unix_ns / 60_000_000_000)
            .or_default() += 1;
        let path = entry.path.split('?').next().unwrap_or_default();
        let of = seen.entry(format!("{} {path}", entry.method)).or_default();
        of.requests += 1;
        if let Some(bytes) = entry.bytes {
            of.bytes += bytes;
            of.with_bytes += 1;
        }
        if let Some(duration) = entry.duration {
            of.durations_us.push(duration.as_secs_f64() * 1e6);
        }
    }
    let all: u64 = seen.values().map(|s| s.requests).sum();
    if all == 0 {
        return Err(wrong("there is no request in it".into()));
    }
    let span_s = (last - first) as f64 / 1e9;
    let busiest = minutes.values().copied().max().unwrap_or(all);
    let rate = busiest as f64 / span_s.clamp(1.0, 60.0);
    let timed = seen.values().any(|s| !s.durations_us.is_empty());
    let classes = classes(seen, all, timed);
    let workload = Workload {
        offered: Offered::Open { rate },
        connections: 64,
        active: 64,
        churn: 0.0,
        classes,
        objective: workload::Objective::default(),
        machine: workload::Machine::default(),
        needs: workload::Needs::default(),
    };
    let workload = workload.checked().map_err(wrong)?;
    let broken = trace.broken();
    let mut said =
        format!("# {all} requests in {span_s:.0} s; the rate is that of the busiest minute\n");
    if let Some((number, why)) = &broken.first {
        said += &format!(
            "# {} broken lines were skipped, the first of them line {number}: {}\n",
            broken.count,
            why.lines().next().unwrap_or_default()
        );
    }
    said += if timed {
        "# Durations are taken for blocked time; what of them is CPU, the file does not say\n"
    } else {
        "# The file does not say what a request costs: say --cpu-us, --blocked-us and --wait-us\n"
    };
    Ok(format!("{said}{workload}"))
}

fn classes(mut seen: BTreeMap<String, Seen>, all: u64, timed: bool) -> Vec<Class> {
    let mut rest = Seen::default();
    let mut often: Vec<(String, u64)> = seen
        .iter()
        .map(|(name, s)| (name.clone(), s.requests))
        .collect();
    often.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let keep = if timed { CLASSES } else { 0 };
    for (name, _) in often.iter().skip(keep) {
        let Some(other) = seen.remove(name) else {
            continue;
        };
        rest.requests += other.requests;
        rest.bytes += other.bytes;
        rest.with_bytes += other.with_bytes;
        rest.durations_us.extend(other.durations_us);
    }
    let kept = often
        .into_iter()
        .take(keep)
        .filter_map(|(name, _)| Some((seen.remove(&name)?, name)));
    let mut parts: Vec<(Seen, String)> = kept.collect();
    if rest.requests > 0 {
        parts.push((rest, "others".into()));
    }
    parts
        .into_iter()
        .map(|(seen, name)| class(seen, name, all))
        .collect()
}

fn class(seen: Seen, name: String, all: u64) -> Class {
    let mut times = seen.durations_us;
    times.retain(|us| us.is_finite() && *us >= 0.0);
    times.sort_by(f64::total_cmp);
    let part = |n: usize| times[(2 * n + 1) * times.len() / (2 * VALUES)].min(workload::MICROS_MAX);
    let blocked_us = if times.is_empty() {
        Distribution::Constant(0.0)
    } else {
        Distribution::Values {
            values: (0..VALUES).map(part).collect(),
            shares: vec![1.0 / VALUES as f64; VALUES],
        }
    };
    Class {
        name,
        share: seen.requests as f64 / all as f64,
        blocked_us,
        reply_bytes: (seen.bytes / seen.with_bytes.max(1)).min(64 << 20),
        ..Class::default()
    }
}
