//! The figures as text, in version 0.0.4 of Prometheus' exposition format, under names by its
//! conventions: base units, `_total` for counters.

mod page;
mod processes;
mod sums;
mod workers;

use std::sync::atomic::Ordering;

use os::signal::monotonic_ns;

use page::{Page, families};
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
    let restart = &view.board.restart;
    families! { page:
        gauge "turnstile_ready" = u8::from(view.board.is_ready()), "1 if /readyz says so.";
        gauge "turnstile_draining" = u8::from(read(&view.board.drain_began_ns) != 0),
            "1 from the beginning of the drain on.";
        counter "turnstile_restarts_total" = restart.before.load(Ordering::Relaxed),
            "Hot restarts that have led to this process, since the first was started; unlike the other counters it goes on.";
        counter "turnstile_restarts_failed_total" = restart.failed.load(Ordering::Relaxed),
            "Successors that did not become ready, so that this process serves on.";
    }
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
    families! { page:
        counter "turnstile_connections_accepted_total" = sum(view, |block| read(&block.connections)),
            "Connections accepted.";
        gauge "turnstile_connections_open" = moment.open, "Connections that are open.";
        gauge "turnstile_connections_idle" =
            moment.open.saturating_sub(moment.in_flight + moment.queued),
            "Open connections on which no request is in flight or waits for a worker.";
        counter "turnstile_received_bytes_total" = sum(view, |block| read(&block.bytes_in)),
            "Bytes received from clients.";
        counter "turnstile_sent_bytes_total" = sum(view, |block| read(&block.bytes_out)),
            "Bytes sent to clients.";
    }
}

/// Whether requests are shed now, by a loop or by the workers that share a queue.
fn is_overloaded(view: &View) -> bool {
    let now_ns = monotonic_ns();
    let shared_ns = view.board.queue_delay.overloaded_until_ns(&view.limits);
    let loops = view.figures();
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
    view.figures().map(of).sum()
}

fn requests(view: &View, moment: &Moment, page: &mut Page) {
    let mut counts = [0; STATUSES];
    view.figures()
        .for_each(|figures| figures.statuses.add_to(&mut counts));
    let class = |class: usize| counts[class * 100..(class + 1) * 100].iter().sum::<u64>();
    let name = |class: usize| match class {
        0 => "none".to_owned(),
        class => format!("{class}xx"),
    };
    let classes = (0..STATUSES / 100).map(|number| (name(number), class(number)));
    let seen = counts.iter().enumerate();
    let seen = seen.filter(|(status, count)| *status >= 100 && **count > 0);
    let errors = [
        ("refused", sum(view, |block| read(&block.refused))),
        ("panic", sum(view, |block| read(&block.panicked))),
        ("broken", sum(view, |block| read(&block.broken))),
        ("cut", read(&view.board.cut)),
    ];
    families! { page:
        counter "turnstile_requests_total" by "status_class" = classes,
            "Requests answered, by the class of the status; none: the protocol has no status.";
        counter "turnstile_responses_total" by "code" = seen, "Requests answered, by the status.";
        counter "turnstile_errors_total" by "class" = errors,
            "Requests refused as malformed, too large or too slow; calls of the service that have panicked; \
             connections that the peer has reset; connections cut at the end of a drain.";
        counter "turnstile_requests_shed_total" = sum(view, |block| read(&block.shed)),
            "Requests answered with 503 since they had waited too long; they count as 5xx and as code 503, too.";
        gauge "turnstile_overloaded" = u8::from(is_overloaded(view)),
            "1 while requests that have waited too long are answered with 503.";
        gauge "turnstile_requests_in_flight" = moment.in_flight,
            "Requests that are computed, or whose replies are delayed or awaited.";
        gauge "turnstile_queue_length" = moment.queued,
            "Requests or connections that wait inside the server for a worker.";
    }
    page.histogram(
        "turnstile_queue_delay_seconds",
        "From the complete request to the call of the service, where requests wait for a worker.",
        &Total::of(view.figures().map(|figures| &figures.queued)),
    );
    page.histogram(
        "turnstile_response_seconds",
        "From the complete request to its response, a delay by the service included.",
        &Total::of(view.figures().map(|figures| &figures.responses)),
    );
}

/// What the limits by address, in flight and in time have refused.
fn refused(view: &View, page: &mut Page) {
    let refused = &view.board.refused;
    let requests = [
        ("rate-per-address", read(&refused.rate)),
        ("in-flight", read(&refused.in_flight)),
        ("deadline", read(&refused.late)),
    ];
    families! { page:
        counter "turnstile_connections_refused_total" by "limit" =
            [("connections-per-address", read(&refused.connections))],
            "Connections closed at once, since their address had as many as it may have.";
        counter "turnstile_requests_refused_total" by "limit" = requests,
            "Requests refused before the service was called: 429 for the rate of an address, 503 for the others; they count in 4xx and 5xx, too.";
        counter "turnstile_deadlines_ignored_total" = read(&refused.nonsense),
            "Requests whose deadline made no sense, so that it was ignored.";
        counter "turnstile_addresses_untracked_total" = read(&refused.untracked),
            "Connections from addresses for which the table had no room, so that no limit held for them.";
    }
}

fn logs(view: &View, page: &mut Page) {
    let shared = view.observed.shared;
    families! { page:
        counter "turnstile_access_log_lines_total" = read(&shared.lines),
            "Lines of the access log that were written.";
        counter "turnstile_access_log_dropped_total" = view.observed.dropped(),
            "Lines for which there was no room, or that could not be written.";
        counter "turnstile_log_suppressed_total" by "topic" = view.board.repeats.suppressed(),
            "Messages that were counted and not written, since they were like the one before.";
    }
}
