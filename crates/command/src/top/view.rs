//! What is shown of two readings: lines of text, for a screen or for a pipe.

use super::admin::Admin;
use super::history::History;
use super::page::{Histogram, Page};

mod interval;
mod text;
mod workers;

use interval::Interval;
pub use text::{Line, Style};
use text::{bytes, count, duration, per_second, percent, up};

/// An interval, and what it may take of the screen.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Columns of the terminal.
    pub columns: usize,
    /// Lines of the terminal.
    pub lines: usize,
    /// Whether it can show more than ASCII.
    pub unicode: bool,
}

impl Room {
    /// Where there is no terminal.
    pub const PLAIN: Room = Room {
        columns: usize::MAX,
        lines: 32,
        unicode: false,
    };
}

const CLASSES: (&str, &str) = ("turnstile_requests_total", "status_class");

/// Requests answered per second.
pub fn request_rate(before: &Page, now: &Page) -> f64 {
    let rates = Interval::new(before, now).rates(CLASSES.0, CLASSES.1);
    rates.iter().map(|(_, rate)| rate).sum()
}

/// What is shown before there is an interval.
pub fn begin(addr: &Admin, now: &Page) -> Vec<Line> {
    vec![
        title(addr, now),
        Line::default().part(Style::Dim, "waiting for the first interval"),
    ]
}

/// All lines.
pub fn interval(
    addr: &Admin,
    before: &Page,
    now: &Page,
    history: &History,
    room: Room,
) -> Vec<Line> {
    let of = Interval::new(before, now);
    let mut lines = vec![title(addr, now), state(&of), process(&of)];
    lines.push(requests(&of, history, room));
    lines.extend([statuses(&of), response(&of)]);
    lines.extend([queue(&of), connections(&of), traffic(&of), errors(&of)]);
    lines.push(busy(&of));
    lines.extend(log(&of));
    let left = room.lines.saturating_sub(lines.len() + 2);
    lines.extend(workers::table(&of, left));
    lines
}

fn title(addr: &Admin, now: &Page) -> Line {
    let of = |label| now.label("turnstile_build_info", label);
    let name = match of("variant") {
        "-" | "" => of("model").to_owned(),
        variant => format!("{}:{variant}", of("model")),
    };
    Line::default()
        .part(Style::Strong, format!("turnstile {} {name}", of("version")))
        .part(Style::Plain, format!("  at {addr}"))
}

fn state(of: &Interval<'_>) -> Line {
    let now = of.now;
    let is = |name| now.get(name) == 1.0;
    let line = Line::titled("state");
    let line = match (is("turnstile_draining"), is("turnstile_ready")) {
        (true, _) => line.part(Style::Bad, "draining"),
        (false, true) => line.part(Style::Good, "serving"),
        (false, false) => line.part(Style::Bad, "not ready"),
    };
    let line = line.flag(is("turnstile_overloaded"), "overloaded, shedding requests");
    let line = line.flag(of.restarted, "restarted");
    let line = line.figure("", format!("up {}", up(now)));
    match now.get("turnstile_restarts_total") {
        0.0 => line,
        restarts => line.figure("restarts", count(restarts)),
    }
}

fn process(of: &Interval<'_>) -> Line {
    let now = of.now;
    let (open, most) = (now.get("process_open_fds"), now.get("process_max_fds"));
    let files = match most {
        0.0 => count(open),
        most => format!("{} of {}", count(open), count(most)),
    };
    Line::titled("process")
        .figure("CPU", percent(of.rate("process_cpu_seconds_total")))
        .figure("memory", bytes(now.get("process_resident_memory_bytes")))
        .figure("threads", count(now.get("process_threads")))
        .figure("files", files)
}

/// Lower and higher parts of a character.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII_BARS: [char; 5] = [' ', '.', ':', '|', '#'];

fn requests(of: &Interval<'_>, history: &History, room: Room) -> Line {
    let rate = per_second(request_rate(of.before, of.now));
    let line = Line::titled("requests").part(Style::Strong, format!("{rate:<12}"));
    if room.columns == usize::MAX {
        return line;
    }
    let width = room.columns.saturating_sub(40).min(60);
    let heights = if room.unicode { &BARS[..] } else { &ASCII_BARS };
    let (bars, most) = history.bars(width, heights);
    line.part(Style::Dim, bars)
        .part(Style::Dim, format!("  {} at most", per_second(most)))
}

fn statuses(of: &Interval<'_>) -> Line {
    let mut line = Line::titled("statuses");
    for (class, rate) in of.rates(CLASSES.0, CLASSES.1) {
        let is_usual = matches!(class, "2xx" | "4xx" | "5xx");
        if is_usual || rate > 0.0 {
            line = match class {
                "5xx" => line.alarm(class, rate),
                _ => line.figure(class, per_second(rate)),
            };
        }
    }
    let line = line.alarm("shed", of.rate("turnstile_requests_shed_total"));
    let limits = of.rates("turnstile_requests_refused_total", "limit");
    match limits.iter().map(|(_, rate)| rate).sum::<f64>() {
        0.0 => line,
        refused => line.alarm("beyond limits", refused),
    }
}

/// Percentiles of what came in this interval.
fn percentiles(line: Line, histogram: &Histogram) -> Line {
    let mut line = line;
    for (name, part) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
        let value = match histogram.quantile(part) {
            None => "-".to_owned(),
            Some(seconds) if seconds.is_finite() => duration(seconds),
            Some(_) => format!("> {}", duration(histogram.last_bound())),
        };
        line = line.figure(name, value);
    }
    line
}

fn response(of: &Interval<'_>) -> Line {
    let histogram = of.histogram("turnstile_response_seconds");
    percentiles(Line::titled("response"), &histogram)
}

/// Where requests wait inside the server for a worker.
fn queue(of: &Interval<'_>) -> Line {
    let histogram = of.histogram("turnstile_queue_delay_seconds");
    let waiting = count(of.now.get("turnstile_queue_length"));
    let line = Line::titled("queue").figure("waiting", waiting);
    match histogram.count() {
        0.0 => line,
        _ => percentiles(line, &histogram),
    }
}

fn connections(of: &Interval<'_>) -> Line {
    let now = |name| count(of.now.get(name));
    let line = Line::titled("sockets")
        .figure("open", now("turnstile_connections_open"))
        .figure("idle", now("turnstile_connections_idle"))
        .figure("in flight", now("turnstile_requests_in_flight"));
    let accepted = of.rate("turnstile_connections_accepted_total");
    let line = line.figure("accepted", per_second(accepted));
    let refused = of.rates("turnstile_connections_refused_total", "limit");
    match refused.iter().map(|(_, rate)| rate).sum::<f64>() {
        0.0 => line,
        refused => line.alarm("refused", refused),
    }
}

fn traffic(of: &Interval<'_>) -> Line {
    let rate = |name| format!("{}/s", bytes(of.rate(name)));
    Line::titled("traffic")
        .figure("received", rate("turnstile_received_bytes_total"))
        .figure("sent", rate("turnstile_sent_bytes_total"))
}

fn errors(of: &Interval<'_>) -> Line {
    let mut line = Line::titled("errors");
    for (class, rate) in of.rates("turnstile_errors_total", "class") {
        line = line.alarm(class, rate);
    }
    line
}

fn busy(of: &Interval<'_>) -> Line {
    let now = |name| of.now.get(name);
    let (busy, all) = (now("turnstile_workers_busy"), now("turnstile_workers"));
    let line = Line::titled("workers").figure("busy", format!("{} of {}", count(busy), count(all)));
    let line = line.alarm_count("stuck", now("turnstile_workers_stuck"));
    let line = line.alarm_count("replaced", now("turnstile_workers_replaced_total"));
    match of.rate("turnstile_loop_held_seconds_total") {
        0.0 => line,
        held => line.alarm_text("loops held", percent(held)),
    }
}

/// The access log, where there is one.
fn log(of: &Interval<'_>) -> Option<Line> {
    let total = |name| of.now.get(name);
    let dropped = "turnstile_access_log_dropped_total";
    let lines = "turnstile_access_log_lines_total";
    (total(lines) + total(dropped) > 0.0).then(|| {
        Line::titled("log")
            .figure("lines", per_second(of.rate(lines)))
            .alarm("dropped", of.rate(dropped))
    })
}

#[cfg(test)]
mod tests;
