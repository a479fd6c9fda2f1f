//! The result of a run, made from its record: the figures, without a verdict.

mod parts;

use schema::load::{BodyCheck, GeneratorCost, Latency, LoadResult, Mode};

use self::parts::ratio;
use crate::clock::SECOND_NS;
use crate::record::{NANO, RunRecord};

/// The figures of a record, and the reasons that it holds already.
pub(crate) fn of(record: &RunRecord) -> LoadResult {
    let (shape, counts, usage) = (&record.shape, &record.counts, &record.usage);
    let duration_s = counts.length_ns as f64 / SECOND_NS as f64;
    let finished = counts.finished_in_window as f64;
    let late_us = counts.late.latency(0);
    let no_connection_us = counts.no_connection.latency(0);
    // Where clients think, a late generator makes them think longer, and no response.
    let late_of_due = match shape.arrivals {
        Some(_) => late_us,
        None => Latency::default(),
    };
    let busy_ns = usage.cpu_ns.saturating_sub(usage.spin_ns) as f64;
    let failed = counts.failed();
    LoadResult {
        url: shape.url.clone(),
        mode: match shape.arrivals {
            Some(_) => Mode::Open,
            None => Mode::Closed,
        },
        arrivals: shape.arrivals,
        seed: record.seed,
        runs: record.started_unix_ns.len() as u64,
        overlap_share: record.overlap_share(),
        connections: record.connections,
        threads: record.threads,
        pipeline: shape.pipeline,
        new_connection: shape.new_connection,
        churn: shape.churn_nano as f64 / NANO,
        think_ms: shape.think_ns as f64 / 1e6,
        body_check: shape.body_check.unwrap_or(BodyCheck::Exact),
        requests: counts.answered(),
        scheduled: counts.scheduled(),
        sent: counts.sent,
        duration_s,
        rate_offered: parts::rate_offered(record),
        rate_achieved: ratio(finished, duration_s),
        response_us: counts.response(|_| true).latency(failed.total()),
        percentile: shape.percentile.map(|percentile| percentile.of(counts)),
        service_us: counts.service().latency(0),
        slip_us: counts.slip().latency(0),
        late_us,
        no_connection_us,
        connect_us: counts.connect.latency(0),
        no_connection_p99_us: no_connection_us.p99.unwrap_or(0.0),
        mean_in_flight: ratio(counts.occupied_ns as f64 / SECOND_NS as f64, duration_s),
        mean_thinking: ratio(counts.thinking_ns as f64 / SECOND_NS as f64, duration_s),
        closing_mean_us: ratio(usage.closing_ns as f64 / 1e3, finished),
        errors: parts::errors(&failed),
        statuses: parts::statuses(counts),
        malformed: counts.malformed.clone(),
        requests_file: record.requests_file.clone(),
        phases: parts::phases(record),
        timeline: parts::timeline(record),
        kinds: parts::kinds(record),
        connections_alive: record.alive,
        connections_lost: record.lost,
        connections_closed: record.closed,
        connections_closed_idle: record.closed_idle,
        silent_connections: Some(record.silent),
        idle: record.extra.idle,
        slow: record.extra.slow.as_ref().map(parts::slow),
        poison: record.extra.poison.as_ref().map(parts::poison),
        wakeups: usage.wakeups,
        bytes_received: usage.received_bytes,
        generator: GeneratorCost {
            threads: record.threads,
            cpu_us_per_request: Some(ratio(busy_ns / 1e3, finished)),
            late_p99_us: Some(late_of_due.p99.unwrap_or(0.0)),
            max_late_us: Some(late_of_due.max.unwrap_or(0.0)),
            cpu_share: Some(ratio(usage.cpu_ns as f64, usage.wall_ns as f64)),
            spin_share: ratio(usage.spin_ns as f64, usage.wall_ns as f64),
            busiest_thread_share: Some(record.busiest_thread_share()),
        },
        response_hdr: None,
        connections_reopened: 0,
        valid: false,
        reasons: record.reasons.clone(),
    }
}
