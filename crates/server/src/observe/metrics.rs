//! The figures as text, in version 0.0.4 of Prometheus' exposition format, under names by its
//! conventions: base units, `_total` for counters.

mod page;
mod processes;
mod sums;
mod workers;

use std::sync::atomic::Ordering;

use os::signal::monotonic_ns;

use page::Page;
use processes::processes;
use sums::{read, sum};
use workers::workers;

use super::figures::{Figures, STATUSES, Total};
use super::view::View;
use crate::Block;

/// The whole page. Counters are read one after another while workers write them, so that sums may
/// differ by what was going on.
pub(crate) fn render(view: &View) -> String {
    let mut page = Page::default();
    server(view, &mut page);
    let moment = Moment::of(view);
    connections(view, &moment, &mut page);
    requests(view, &moment, &mut page);
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

/// What must agree within a page, read at one time.
struct Moment {
    in_flight: u64,
    queued: u64,
    open: u64,
}

impl Moment {
    fn of(view: &View) -> Moment {
        // A request is on an open connection, so that it is counted first.
        let (in_flight, queued) = (in_flight(view), queue_length(view));
        let open = sum(view, Block::open);
        Moment {
            in_flight,
            queued,
            open,
        }
    }
}

fn connections(view: &View, moment: &Moment, page: &mut Page) {
    let accepted = sum(view, |block| read(&block.connections));
    page.counter(
        "turnstile_connections_accepted_total",
        "Connections accepted.",
        accepted,
    );
    page.gauge(
        "turnstile_connections_open",
        "Connections that are open.",
        moment.open,
    );
    page.gauge(
        "turnstile_connections_idle",
        "Open connections on which no request is in flight or waits for a worker.",
        moment.open.saturating_sub(moment.in_flight + moment.queued),
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

/// Requests that are computed, or whose replies are delayed or awaited: those that `--in-flight-max` bounds.
fn in_flight(view: &View) -> u64 {
    let of = |figures: &Figures| {
        let is_in_call = read(&figures.call_began_ns) != 0;
        u64::from(is_in_call) + read(&figures.waiting)
    };
    view.observed.figures.iter().map(of).sum()
}

fn requests(view: &View, moment: &Moment, page: &mut Page) {
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
        "Requests that are computed, or whose replies are delayed or awaited.",
        moment.in_flight,
    );
    page.gauge(
        "turnstile_queue_length",
        "Requests or connections that wait inside the server for a worker.",
        moment.queued,
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
