//! Clients that think after each reply.
#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod common;

use std::thread;
use std::time::Duration;

use common::{GOOD, Server, Then, always, run, send};
use load::{LoadResult, Plan};

/// N clients that think for T send N / (T + R) requests per second: none can send more than one in
/// each T, and whoever does not think has a request under way.
fn keeps_the_law(plan: &Plan, result: &LoadResult) {
    let (clients, think) = (plan.connections as f64, plan.think.as_secs_f64());
    let most = clients * (plan.duration.as_secs_f64() / think + 1.0);
    assert!(result.scheduled as f64 <= most, "{result:?}");
    assert!(result.requests >= clients as u64, "{result:?}");
    assert!(result.errors.is_empty(), "{:?}", result.errors);
    assert_eq!(result.think_ms, think * 1e3);
    let closing = result.rate_achieved * result.closing_mean_us / 1e6;
    let there = result.mean_in_flight + result.mean_thinking + closing;
    assert!((there / clients - 1.0).abs() < 0.05, "{there}: {result:?}");
    // A late generator makes clients think longer, and is told apart from the lateness of arrivals.
    assert!(result.late_us.count > 0);
    assert_eq!(result.generator.late_p99_us, Some(0.0));
}

#[test]
fn each_client_waits_between_its_requests() {
    let server = Server::start(|stream, _| {
        thread::sleep(Duration::from_millis(2));
        send(stream, GOOD)
    });
    for (threads, warmup_ms, new_connection) in [(1, 0, false), (3, 30, false), (1, 0, true)] {
        let mut plan = server.plan();
        plan.connections = 8;
        plan.threads = threads;
        plan.think = Duration::from_millis(20);
        plan.warmup = Duration::from_millis(warmup_ms);
        plan.duration = Duration::from_millis(400);
        plan.new_connection = new_connection;
        let result = run(&plan);
        keeps_the_law(&plan, &result);
        assert_eq!(
            result.response_us.count, result.service_us.count,
            "a response counts from the send"
        );
    }
}

#[test]
fn the_first_requests_are_spread_over_the_time_of_thinking() {
    let server = Server::start(always(GOOD));
    let mut plan = server.plan();
    plan.connections = 8;
    plan.threads = 2;
    plan.think = Duration::from_millis(400);
    plan.duration = Duration::from_millis(400);
    let result = run(&plan);
    // Each client has its first request in the window, and its second behind it.
    assert!(result.scheduled <= 8, "{result:?}");
    let most = result.timeline.iter().map(|slice| slice.scheduled).max();
    assert!(most < Some(8), "{:?}", result.timeline);
}

#[test]
fn a_client_that_lost_its_connection_thinks_and_goes_on() {
    let server = Server::start(|stream, n| match n % 7 {
        3 => Then::Close,
        5 => Then::Reset,
        _ => send(stream, GOOD),
    });
    for new_connection in [false, true] {
        let mut plan = server.plan();
        plan.connections = 4;
        plan.think = Duration::from_millis(5);
        plan.new_connection = new_connection;
        let result = run(&plan);
        let most = 4.0 * (plan.duration.as_secs_f64() / plan.think.as_secs_f64() + 1.0);
        assert!(result.scheduled as f64 <= most, "{result:?}");
        assert!(result.requests > 4 && result.failures() > 0, "{result:?}");
    }
}
