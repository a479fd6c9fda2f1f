//! A share of the requests has a connection of its own; the others share those that are kept.
#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod common;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use common::{GOOD, Server, Then, run, send};
use load::{Arrivals, Kind, Pace, Plan};

/// The requests of each connection, by the server's thread: whether each asked for its end.
type Seen = Arc<Mutex<HashMap<ThreadId, Vec<bool>>>>;

/// A server that closes connections that ask for it.
fn server() -> (Server, Seen) {
    let seen: Seen = Arc::default();
    let list = Arc::clone(&seen);
    let server = Server::reading(move |stream, _, head| {
        let once = head.contains("Connection: close");
        let connection = thread::current().id();
        list.lock()
            .unwrap()
            .entry(connection)
            .or_default()
            .push(once);
        match send(stream, GOOD) {
            Then::Continue if once => Then::Close,
            then => then,
        }
    });
    (server, seen)
}

fn paces() -> [(Pace, Duration); 3] {
    let arrivals = Arrivals::Poisson;
    [
        (
            Pace::Open {
                rate: 2_000.0,
                arrivals,
            },
            Duration::ZERO,
        ),
        (Pace::Closed, Duration::ZERO),
        (Pace::Closed, Duration::from_millis(2)),
    ]
}

fn checked(plan: &Plan, seen: &Seen) {
    seen.lock().unwrap().clear();
    let result = run(plan);
    assert!(result.errors.is_empty(), "{:?}", result.errors);
    assert_eq!((result.connections_lost, result.connections_closed), (0, 0));
    assert_eq!(result.churn, plan.churn);
    assert_eq!(result.connections_alive, plan.connections as u64);
    let seen = seen.lock().unwrap();
    let is_kept = |asked: &Vec<bool>| !asked.contains(&true);
    let kept = seen.values().filter(|asked| is_kept(asked)).count();
    assert_eq!(kept, plan.connections, "{:?}", plan.pace);
    let (mut own, mut all) = (0, 0);
    for asked in seen.values() {
        all += asked.len();
        if !is_kept(asked) {
            assert_eq!(asked.as_slice(), [true], "one request each");
            own += 1;
        }
    }
    assert!(all > 50, "{all}");
    let spread = 5.0 * (plan.churn * (1.0 - plan.churn) / all as f64).sqrt();
    let share = f64::from(own) / all as f64;
    assert!((share - plan.churn).abs() < spread, "{share} of {all}");
}

#[test]
fn each_request_has_the_connection_that_was_drawn() {
    let (server, seen) = server();
    for (pace, think) in paces() {
        for (threads, kinds) in [(1, &[][..]), (2, &["3:GET:/a/{n:9}", "1:GET:/b"])] {
            let mut plan = server.plan();
            (plan.pace, plan.think) = (pace, think);
            (plan.connections, plan.threads, plan.churn) = (4, threads, 0.3);
            plan.requests = kinds.iter().map(|k| k.parse::<Kind>().unwrap()).collect();
            checked(&plan, &seen);
        }
    }
}

#[test]
fn clients_that_think_do_so_after_either_kind_of_request() {
    let (server, _) = server();
    let mut plan = server.plan();
    (plan.connections, plan.churn) = (8, 0.5);
    plan.think = Duration::from_millis(20);
    plan.duration = Duration::from_millis(400);
    let result = run(&plan);
    // N clients that think for T send N / (T + R) requests per second, and none more than N / T.
    assert!(result.scheduled <= 8 * 21, "{}", result.scheduled);
    let closing = result.rate_achieved * result.closing_mean_us / 1e6;
    let there = result.mean_in_flight + result.mean_thinking + closing;
    assert!((there / 8.0 - 1.0).abs() < 0.05, "{there}");
}

#[test]
fn a_server_that_is_gone_fails_both_kinds_and_the_run_ends() {
    for (pace, think) in paces() {
        let server = Server::start(|stream, n| match n {
            0..40 => send(stream, GOOD),
            _ => Then::Die,
        });
        let mut plan = server.plan();
        (plan.pace, plan.think) = (pace, think);
        (plan.connections, plan.churn) = (3, 0.5);
        plan.timeout = Duration::from_millis(60);
        let result = run(&plan);
        assert!(result.failures() > 0, "{result:?}");
    }
}

#[test]
fn connections_that_are_kept_stay_between_slices() {
    let (server, seen) = server();
    let url = server.url();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_load"))
        .args([&url, "--slices", "--connections", "3", "--churn", "0.4"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let line = b"{\"seconds\": 0.2, \"rate\": 500}\n";
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &line.repeat(3)).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout.split(|&byte| byte == b'\n').count(), 4);
    let seen = seen.lock().unwrap();
    let kept = seen.values().filter(|asked| !asked.contains(&true));
    assert_eq!(kept.count(), 3, "the same in all three slices");
}
