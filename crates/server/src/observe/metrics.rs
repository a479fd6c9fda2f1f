//! The figures as text, in version 0.0.4 of Prometheus' exposition format, under names by its
//! conventions: base units, `_total` for counters.

use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use os::signal::monotonic_ns;

use super::figures::{BOUNDS_US, Figures, STATUSES, Total};
use super::helper::View;
use super::process;
use crate::Block;

/// The text that is being made.
#[derive(Debug, Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// Writing to a string does not fail.
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.0, "{line}");
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "counter", help);
        self.line(format_args!("{name} {value}"));
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.line(format_args!("{name} {value}"));
    }

    /// A sample for each value of one label.
    fn by<L: Display, V: Display>(
        &mut self,
        (name, kind, help): (&str, &str, &str),
        label: &str,
        samples: impl IntoIterator<Item = (L, V)>,
    ) {
        self.family(name, kind, help);
        for (value, sample) in samples {
            self.line(format_args!("{name}{{{label}=\"{value}\"}} {sample}"));
        }
    }

    fn histogram(&mut self, name: &str, help: &str, total: &Total) {
        self.family(name, "histogram", help);
        let mut below = 0;
        for (bound, count) in BOUNDS_US.iter().zip(total.counts) {
            below += count;
            let bound = *bound as f64 / 1e6;
            self.line(format_args!("{name}_bucket{{le=\"{bound}\"}} {below}"));
        }
        below += total.counts[BOUNDS_US.len()];
        self.line(format_args!("{name}_bucket{{le=\"+Inf\"}} {below}"));
        self.line(format_args!("{name}_sum {}", seconds(total.sum_ns)));
        self.line(format_args!("{name}_count {below}"));
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn read(value: &AtomicU64) -> u64 {
    value.load(Ordering::Relaxed)
}

fn sum(view: &View, of: fn(&Block) -> u64) -> u64 {
    view.blocks.iter().map(of).sum()
}

/// The whole page. Counters are read one after another while workers write them, so that sums may
/// differ by what was going on.
pub(crate) fn render(view: &View) -> String {
    let mut page = Page::default();
    server(view, &mut page);
    connections(view, &mut page);
    requests(view, &mut page);
    refused(view, &mut page);
    workers(view, &mut page);
    logs(view, &mut page);
    processes(view, &mut page);
    page.0
}

fn server(view: &View, page: &mut Page) {
    page.family(
        "turnstile_build_info",
        "gauge",
        "The program, and the model it runs.",
    );
    page.line(format_args!(
        "turnstile_build_info{{version=\"{}\",model=\"{}\",variant=\"{}\"}} 1",
        env!("CARGO_PKG_VERSION"),
        view.model,
        view.variant
    ));
    let ready = u8::from(view.board.is_ready());
    page.gauge("turnstile_ready", "1 if /readyz says so.", ready);
    let draining = u8::from(read(&view.board.drain_began_ns) != 0);
    page.gauge(
        "turnstile_draining",
        "1 from the beginning of the drain on.",
        draining,
    );
    let restart = &view.board.restart;
    page.counter(
        "turnstile_restarts_total",
        "Hot restarts that have led to this process, since the first was started; unlike the other counters it goes on.",
        restart.before.load(Ordering::Relaxed),
    );
    page.counter(
        "turnstile_restarts_failed_total",
        "Successors that did not become ready, so that this process serves on.",
        restart.failed.load(Ordering::Relaxed),
    );
}

fn connections(view: &View, page: &mut Page) {
    let accepted = sum(view, |block| read(&block.connections));
    let open = sum(view, Block::open);
    page.counter(
        "turnstile_connections_accepted_total",
        "Connections accepted.",
        accepted,
    );
    page.gauge(
        "turnstile_connections_open",
        "Connections that are open.",
        open,
    );
    page.gauge(
        "turnstile_connections_idle",
        "Open connections on which no request is computed or waits for a worker.",
        open.saturating_sub(in_flight(view)),
    );
    page.counter(
        "turnstile_received_bytes_total",
        "Bytes received from clients.",
        sum(view, |block| read(&block.bytes_in)),
    );
    page.counter(
        "turnstile_sent_bytes_total",
        "Bytes sent to clients.",
        sum(view, |block| read(&block.bytes_out)),
    );
}

/// Whether requests are shed now, by a loop or by the workers that share a queue.
fn is_overloaded(view: &View) -> bool {
    let now_ns = monotonic_ns();
    let shared_ns = view.board.queue_delay.overloaded_until_ns(&view.limits);
    let loops = view.observed.figures.iter();
    loops
        .map(|figures| read(&figures.overloaded_until_ns))
        .chain([shared_ns])
        .any(|until_ns| now_ns < until_ns)
}

/// Requests, or connections, that wait inside the server for a worker.
fn queue_length(view: &View) -> u64 {
    let queued = read(&view.board.queued) + sum(view, |block| read(&block.queued));
    queued.saturating_sub(sum(view, |block| read(&block.taken)))
}

fn calls(view: &View) -> u64 {
    let figures = view.observed.figures.iter();
    figures
        .filter(|figures| read(&figures.call_began_ns) != 0)
        .count() as u64
}

fn in_flight(view: &View) -> u64 {
    calls(view) + queue_length(view)
}

fn requests(view: &View, page: &mut Page) {
    let figures = || view.observed.figures.iter();
    let of = |status| {
        figures()
            .map(|figures| figures.statuses.of(status))
            .sum::<u64>()
    };
    let counts: Vec<_> = (0..STATUSES).map(of).collect();
    let class = |class: usize| counts[class * 100..(class + 1) * 100].iter().sum::<u64>();
    let name = |class: usize| match class {
        0 => "none".to_owned(),
        class => format!("{class}xx"),
    };
    page.by(
        (
            "turnstile_requests_total",
            "counter",
            "Requests answered, by the class of the status; none: the protocol has no status.",
        ),
        "status_class",
        (0..STATUSES / 100).map(|number| (name(number), class(number))),
    );
    let seen = counts
        .iter()
        .enumerate()
        .filter(|(status, count)| *status >= 100 && **count > 0);
    page.by(
        (
            "turnstile_responses_total",
            "counter",
            "Requests answered, by the status.",
        ),
        "code",
        seen,
    );
    let errors = [
        ("refused", sum(view, |block| read(&block.refused))),
        ("panic", sum(view, |block| read(&block.panicked))),
        ("broken", sum(view, |block| read(&block.broken))),
        ("cut", read(&view.board.cut)),
    ];
    page.by(
        (
            "turnstile_errors_total",
            "counter",
            "Requests refused as malformed, too large or too slow; calls of the service that have panicked; \
             connections that the peer has reset; connections cut at the end of a drain.",
        ),
        "class",
        errors,
    );
    page.counter(
        "turnstile_requests_shed_total",
        "Requests answered with 503 since they had waited too long; they count as 5xx and as code 503, too.",
        sum(view, |block| read(&block.shed)),
    );
    page.gauge(
        "turnstile_overloaded",
        "1 while requests that have waited too long are answered with 503.",
        u8::from(is_overloaded(view)),
    );
    page.gauge(
        "turnstile_requests_in_flight",
        "Requests that are computed or wait for a worker.",
        in_flight(view),
    );
    page.gauge(
        "turnstile_queue_length",
        "Requests or connections that wait inside the server for a worker.",
        queue_length(view),
    );
    page.histogram(
        "turnstile_queue_delay_seconds",
        "From the complete request to the call of the service, where requests wait for a worker.",
        &Total::of(figures().map(|figures| &figures.queued)),
    );
    page.histogram(
        "turnstile_response_seconds",
        "From the complete request to its response, a delay by the service included.",
        &Total::of(figures().map(|figures| &figures.responses)),
    );
}

/// What the limits by address, in flight and in time have refused.
fn refused(view: &View, page: &mut Page) {
    let refused = &view.board.refused;
    page.by(
        (
            "turnstile_connections_refused_total",
            "counter",
            "Connections closed at once, since their address had as many as it may have.",
        ),
        "limit",
        [("connections-per-address", read(&refused.connections))],
    );
    page.by(
        (
            "turnstile_requests_refused_total",
            "counter",
            "Requests refused before the service was called: 429 for the rate of an address, 503 for the others; they count in 4xx and 5xx, too.",
        ),
        "limit",
        [
            ("rate-per-address", read(&refused.rate)),
            ("in-flight", read(&refused.in_flight)),
            ("deadline", read(&refused.late)),
        ],
    );
    page.counter(
        "turnstile_deadlines_ignored_total",
        "Requests whose deadline made no sense, so that it was ignored.",
        read(&refused.nonsense),
    );
    page.counter(
        "turnstile_addresses_untracked_total",
        "Connections from addresses for which the table had no room, so that no limit held for them.",
        read(&refused.untracked),
    );
}

fn workers(view: &View, page: &mut Page) {
    let (board, shared) = (view.board, view.observed.shared);
    page.gauge(
        "turnstile_workers",
        "Workers that the server may have.",
        view.workers,
    );
    let busy = view.blocks.iter().zip(view.observed.figures);
    let busy = busy.filter(|(block, figures)| is_busy(block, figures));
    page.gauge(
        "turnstile_workers_busy",
        "Workers that serve a request, or a connection between two bytes of one.",
        busy.count(),
    );
    page.gauge(
        "turnstile_workers_stuck",
        "Workers that have been in one call of the service for longer than --stuck-ms.",
        view.stuck_now(),
    );
    page.counter(
        "turnstile_workers_stuck_total",
        "Calls of the service that were longer than --stuck-ms.",
        read(&shared.stuck),
    );
    page.counter(
        "turnstile_workers_killed_total",
        "Workers killed for that.",
        read(&shared.killed),
    );
    page.counter(
        "turnstile_workers_replaced_total",
        "Workers that have ended unexpectedly and were replaced.",
        read(&board.respawned),
    );
    page.counter(
        "turnstile_workers_retired_total",
        "Workers replaced by --worker-requests-max or --worker-rss-max.",
        read(&board.retired),
    );
    page.counter(
        "turnstile_loop_held_total",
        "Requests declared as computing or blocking that were served in a loop, whose connections waited.",
        sum(view, |block| read(&block.held)),
    );
    page.counter(
        "turnstile_loop_held_seconds_total",
        "For how long.",
        seconds(sum(view, |block| read(&block.held_ns))),
    );
    per_worker(view, page);
}

fn is_busy(block: &Block, figures: &Figures) -> bool {
    block.is_busy() || read(&figures.call_began_ns) != 0
}

/// A figure of a worker.
type Figure = fn(&Block) -> u64;

/// Workers that have never been are left out: fork-per-client may have hundreds.
fn per_worker(view: &View, page: &mut Page) {
    let known = || {
        let all = view.blocks.iter().zip(view.observed.figures).enumerate();
        all.filter(|(_, (block, _))| {
            block.id.load(Ordering::Relaxed) != 0
                || read(&block.connections) + read(&block.requests) > 0
        })
    };
    let counters: [(&str, &str, Figure); 2] = [
        (
            "turnstile_worker_connections_total",
            "Connections accepted, by worker.",
            |block| read(&block.connections),
        ),
        (
            "turnstile_worker_requests_total",
            "Requests served, by worker.",
            |block| read(&block.requests),
        ),
    ];
    for (name, help, of) in counters {
        let samples = known().map(|(number, (block, _))| (number, of(block)));
        page.by((name, "counter", help), "worker", samples);
    }
    page.by(
        (
            "turnstile_worker_connections_open",
            "gauge",
            "Connections that are open, by the worker that has accepted them.",
        ),
        "worker",
        known().map(|(number, (block, _))| (number, block.open())),
    );
    page.by(
        (
            "turnstile_worker_busy",
            "gauge",
            "1 for a worker that serves a request, or a connection between two bytes of one.",
        ),
        "worker",
        known().map(|(number, (block, figures))| (number, u8::from(is_busy(block, figures)))),
    );
    page.by(
        (
            "turnstile_worker_held_seconds_total",
            "counter",
            "Time for which calls of the service have held a worker, or its loop.",
        ),
        "worker",
        known().map(|(number, (_, figures))| (number, seconds(read(&figures.held_ns)))),
    );
    page.by(
        (
            "turnstile_worker_held_seconds_max",
            "gauge",
            "The longest of these calls.",
        ),
        "worker",
        known().map(|(number, (_, figures))| (number, seconds(read(&figures.held_ns_max)))),
    );
    let now_ns = monotonic_ns();
    page.by(
        (
            "turnstile_worker_call_seconds",
            "gauge",
            "For how long the present call of the service has held a worker; 0 outside of calls.",
        ),
        "worker",
        known().map(|(number, (_, figures))| {
            let began_ns = read(&figures.call_began_ns);
            let held_ns = if began_ns == 0 {
                0
            } else {
                now_ns.saturating_sub(began_ns)
            };
            (number, seconds(held_ns))
        }),
    );
}

fn logs(view: &View, page: &mut Page) {
    let shared = view.observed.shared;
    page.counter(
        "turnstile_access_log_lines_total",
        "Lines of the access log that were written.",
        read(&shared.lines),
    );
    page.counter(
        "turnstile_access_log_dropped_total",
        "Lines for which there was no room, or that could not be written.",
        view.observed.dropped(),
    );
    page.by(
        (
            "turnstile_log_suppressed_total",
            "counter",
            "Messages that were counted and not written, since they were like the one before.",
        ),
        "topic",
        view.board.repeats.suppressed(),
    );
}

/// Of the main process and the worker processes together, under the names of Prometheus' own
/// collectors. Pages that processes share count in each.
fn processes(view: &View, page: &mut Page) {
    let Some(main) = process::usage(view.main) else {
        return;
    };
    let (mut all, mut descriptors) = (main, process::descriptors(view.main));
    if view.processes {
        let ids = view
            .blocks
            .iter()
            .map(|block| block.id.load(Ordering::Relaxed));
        for id in ids.filter(|id| *id != 0 && *id != view.main) {
            let worker = process::usage(id).filter(|usage| usage.parent == view.main);
            let Some(worker) = worker else { continue };
            all.cpu_ticks += worker.cpu_ticks;
            all.threads += worker.threads;
            all.virtual_bytes += worker.virtual_bytes;
            all.resident_bytes += worker.resident_bytes;
            descriptors += process::descriptors(id);
        }
    }
    let per_second = os::process::ticks_per_second() as f64;
    // The kernel adds what a worker has used to the main process when that reaps it. In between it was
    // seen in neither, if the main process was read before, and a counter must not fall.
    let ticks = view
        .observed
        .shared
        .cpu_ticks
        .fetch_max(all.cpu_ticks, Ordering::Relaxed);
    page.counter(
        "process_cpu_seconds_total",
        "CPU time of all processes of the server, the ended ones included.",
        ticks.max(all.cpu_ticks) as f64 / per_second,
    );
    page.gauge(
        "process_resident_memory_bytes",
        "Resident memory.",
        all.resident_bytes,
    );
    page.gauge(
        "process_virtual_memory_bytes",
        "Virtual memory.",
        all.virtual_bytes,
    );
    page.gauge("process_threads", "Threads.", all.threads);
    page.gauge("process_open_fds", "Open descriptors.", descriptors);
    if let Some(limit) = os::process::descriptor_limit() {
        page.gauge(
            "process_max_fds",
            "The limit of descriptors of each process.",
            limit,
        );
    }
    if let Some(boot) = process::boot_seconds() {
        let started = boot as f64 + main.started_ticks as f64 / per_second;
        page.gauge(
            "process_start_time_seconds",
            "When the main process was started, seconds since 1970.",
            started,
        );
    }
}
