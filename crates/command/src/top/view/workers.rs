//! A line for each worker, as far as there is room.

use super::interval::Interval;
use super::text::{Line, Style, count, duration, per_second, percent};

/// One worker in one interval.
struct Worker<'a> {
    number: &'a str,
    busy: bool,
    open: f64,
    accepted: f64,
    served: f64,
    held: f64,
    call_seconds: f64,
    longest_seconds: f64,
}

impl Worker<'_> {
    fn has_done_something(&self) -> bool {
        self.busy || self.open + self.accepted + self.served > 0.0
    }
}

/// The workers that have done most, `room` lines at most with the head and what is left out.
pub(super) fn table(of: &Interval<'_>, room: usize) -> Vec<Line> {
    let mut all = workers(of);
    let known = all.len();
    all.retain(Worker::has_done_something);
    let fitting = room.saturating_sub(2);
    if all.len() > fitting {
        // Those that hold most of the time come first; of these, those that serve most.
        all.sort_by(|a, b| {
            b.held
                .total_cmp(&a.held)
                .then(b.served.total_cmp(&a.served))
        });
    }
    let shown = all.len().min(fitting);
    if shown == 0 {
        return Vec::new();
    }
    let mut lines = vec![Line::default(), head()];
    lines.extend(all[..shown].iter().map(line));
    if known > shown {
        let idle = known - all.len();
        let why = match all.len() - shown {
            0 => format!("{idle} more without a connection"),
            busy => format!("{} more, {idle} of them without a connection", busy + idle),
        };
        lines.push(Line::default().part(Style::Dim, format!("        {why}")));
    }
    lines
}

fn workers<'a>(of: &Interval<'a>) -> Vec<Worker<'a>> {
    let value = |name: &str, number: &str| of.now.with(name, "worker", number);
    let known = of.now.by("turnstile_worker_requests_total", "worker");
    let worker = |(number, _): (&'a str, f64)| Worker {
        number,
        busy: value("turnstile_worker_busy", number) == 1.0,
        open: value("turnstile_worker_connections_open", number),
        accepted: of.rate_with("turnstile_worker_connections_total", "worker", number),
        served: of.rate_with("turnstile_worker_requests_total", "worker", number),
        held: of.rate_with("turnstile_worker_held_seconds_total", "worker", number),
        call_seconds: value("turnstile_worker_call_seconds", number),
        longest_seconds: value("turnstile_worker_held_seconds_max", number),
    };
    known.map(worker).collect()
}

fn head() -> Line {
    Line::default().part(
        Style::Dim,
        format!(
            "{:>6}  {:<4}  {:>7}  {:>10}  {:>10}  {:>6}  {:>9}  {:>9}",
            "worker", "", "open", "accepted", "served", "held", "call now", "longest"
        ),
    )
}

fn line(worker: &Worker<'_>) -> Line {
    let busy = if worker.busy { "busy" } else { "" };
    let call = match worker.call_seconds {
        0.0 => "-".to_owned(),
        seconds => duration(seconds),
    };
    Line::default().part(
        Style::Plain,
        format!(
            "{:>6}  {busy:<4}  {:>7}  {:>10}  {:>10}  {:>6}  {call:>9}  {:>9}",
            worker.number,
            count(worker.open),
            per_second(worker.accepted),
            per_second(worker.served),
            percent(worker.held),
            duration(worker.longest_seconds),
        ),
    )
}
