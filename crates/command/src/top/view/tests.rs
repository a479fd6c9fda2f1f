use std::time::{Duration, Instant};

use super::*;

const FIRST: &str = "\
turnstile_build_info{version=\"1.2\",model=\"prefork\",variant=\"accept\"} 1
turnstile_ready 1
turnstile_draining 0
process_start_time_seconds 100
process_cpu_seconds_total 10
process_open_fds 12
process_max_fds 1024
process_resident_memory_bytes 2097152
turnstile_requests_total{status_class=\"2xx\"} 1000
turnstile_requests_total{status_class=\"5xx\"} 0
turnstile_errors_total{class=\"panic\"} 0
turnstile_response_seconds_bucket{le=\"0.001\"} 500
turnstile_response_seconds_bucket{le=\"+Inf\"} 1000
turnstile_workers 2
turnstile_workers_busy 1
turnstile_worker_requests_total{worker=\"0\"} 1000
turnstile_worker_requests_total{worker=\"1\"} 0
turnstile_worker_busy{worker=\"0\"} 1
turnstile_worker_held_seconds_total{worker=\"0\"} 1
";

/// The second reading, two seconds later.
fn second() -> String {
    FIRST
        .replace("} 1000\n", "} 3000\n")
        .replace("le=\"0.001\"} 500", "le=\"0.001\"} 2500")
        .replace(
            "held_seconds_total{worker=\"0\"} 1",
            "held_seconds_total{worker=\"0\"} 2",
        )
        .replace(
            "process_cpu_seconds_total 10",
            "process_cpu_seconds_total 13",
        )
        .replace("{class=\"panic\"} 0", "{class=\"panic\"} 4")
}

fn shown(first: &str, second: &str, room: Room) -> String {
    let at = Instant::now();
    let before = Page::parse(first, at).expect("a page");
    let now = Page::parse(second, at + Duration::from_secs(2)).expect("a page");
    let mut history = History::default();
    history.add(request_rate(&before, &now));
    let addr = "unix:/a".parse().expect("an address");
    let lines = interval(&addr, &before, &now, &history, room);
    lines.iter().map(|line| line.text() + "\n").collect()
}

#[test]
fn rates_are_those_of_the_interval() {
    let text = shown(FIRST, &second(), Room::PLAIN);
    for part in [
        "turnstile 1.2 prefork:accept  at unix:/a\n",
        "state     serving  up ",
        "process   CPU 150 %  memory 2.00 MiB  threads 0  files 12 of 1,024\n",
        "requests  1,000/s",
        "statuses  2xx 1,000/s  5xx 0/s  shed 0/s\n",
        "response  p50 500 us  p90 900 us  p99 990 us  p99.9 999 us\n",
        "errors    panic 2/s\n",
        "workers   busy 1 of 2  stuck 0  replaced 0\n",
        "     0  busy        0         0/s     1,000/s    50 %          -          0\n",
        "        1 more without a connection\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[test]
fn a_server_that_was_restarted_begins_at_0() {
    let after = second().replace("time_seconds 100", "time_seconds 200");
    let text = shown(FIRST, &after, Room::PLAIN);
    assert!(text.contains("serving  restarted  up"), "{text}");
    assert!(text.contains("requests  1,500/s"), "{text}");
}

#[test]
fn trouble_is_seen_on_the_line_of_the_state() {
    let drains = second().replace("draining 0", "draining 1") + "turnstile_overloaded 1\n";
    let text = shown(FIRST, &drains, Room::PLAIN);
    assert!(
        text.contains("draining  overloaded, shedding requests"),
        "{text}"
    );
}

#[test]
fn a_low_screen_has_fewer_workers() {
    let room = Room {
        lines: 14,
        columns: 80,
        unicode: true,
    };
    let text = shown(FIRST, &second(), room);
    assert!(text.lines().count() <= 14, "{text}");
    assert!(text.contains('█'), "{text}");
    let room = Room { lines: 3, ..room };
    assert!(
        !shown(FIRST, &second(), room).contains("worker "),
        "no room"
    );
}
