//! Tests against theory: what a stall does to the percentiles, how long a queue makes requests
//! wait, and which of generator and server a delay is attributed to.
#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod common;

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::{GOOD, Server, always, run, send};
use load::{Arrivals, Pace};
use rustix::process::{Pid, Signal, kill_process};
use schema::Code;

const STALL: Duration = Duration::from_millis(300);

/// Another process may take the CPU at any time, which can only add latency: a test passes if one
/// of three runs agrees with theory; a generator that is wrong disagrees in all of them.
fn one_of_three(oracle: impl Fn() -> Result<(), String>) {
    let found: Vec<String> = (0..3).map_while(|_| oracle().err()).collect();
    assert!(found.len() < 3, "{found:#?}");
}

fn ensure(holds: bool, found: impl std::fmt::Debug) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(format!("{found:?}"))
    }
}

/// One stall of s in a run of T, with arrivals at a rate far below capacity: the share of requests
/// that wait longer than w is (s - w) / T, hence p_q = s (1 - (1 - q) T / s).
fn stall(stall: Duration, total: Duration, rate: f64) -> Result<(), String> {
    let before = (total.as_secs_f64() * rate / 3.0) as usize;
    let server = Server::start(move |stream, n| {
        if n == before {
            thread::sleep(stall);
        }
        send(stream, GOOD)
    });
    let mut plan = server.plan();
    plan.pace = Pace::Open {
        rate,
        arrivals: Arrivals::Constant,
    };
    plan.duration = total;
    plan.drain = Duration::from_secs(1);
    let result = run(&plan);
    let scheduled = (total.as_secs_f64() * rate) as u64;
    assert_eq!((result.scheduled, result.requests), (scheduled, scheduled));
    let response = result.response_us;
    let (s_us, total_us) = (stall.as_secs_f64() * 1e6, total.as_secs_f64() * 1e6);
    for (quantile, found) in [(0.99, response.p99), (0.999, response.p999)] {
        let expected = s_us * (1.0 - (1.0 - quantile) * total_us / s_us);
        let error = found.unwrap() / expected - 1.0;
        eprintln!(
            "p{}: {:.0} µs, in theory {expected:.0}",
            quantile * 100.0,
            found.unwrap()
        );
        ensure(error.abs() < 0.05, (quantile, found, expected))?;
    }
    // Measured from the actual send, the stall does not show.
    ensure(
        result.service_us.p99.unwrap() < s_us / 10.0,
        result.service_us,
    )?;
    // The requests waited for the only connection; the generator was on time.
    let waited_us = result.no_connection_us.max.unwrap();
    ensure(
        (waited_us / s_us - 1.0).abs() < 0.05,
        result.no_connection_us,
    )?;
    ensure(
        result.generator.late_p99_us.unwrap() < s_us / 10.0,
        result.generator,
    )
}

#[test]
fn one_stall_shows_in_the_response_and_hides_in_the_service() {
    one_of_three(|| self::stall(STALL, Duration::from_secs(3), 300.0));
}

/// A stall of a second in a minute: p99 = 400 ms.
#[test]
#[ignore = "takes a minute of a quiet machine"]
fn a_stall_of_a_second_in_a_minute() {
    stall(Duration::from_secs(1), Duration::from_secs(60), 200.0).unwrap();
}

#[test]
#[ignore = "takes a minute"]
fn a_closed_loop_hides_a_second_in_a_minute() {
    let p99_us = closed_loop(Duration::from_secs(1), Duration::from_secs(60));
    assert!(p99_us < 50e3, "{p99_us}");
}

/// The same server seen by a closed loop: the 99th percentile of its response, microseconds.
fn closed_loop(stall: Duration, total: Duration) -> f64 {
    let begun = Instant::now();
    let stalled = AtomicBool::new(false);
    let server = Server::start(move |stream, _| {
        if begun.elapsed() > total / 3 && !stalled.swap(true, Ordering::SeqCst) {
            thread::sleep(stall);
        }
        send(stream, GOOD)
    });
    let mut plan = server.plan();
    plan.duration = total;
    let result = run(&plan);
    let max_us = result.response_us.max.unwrap();
    assert!(
        max_us > stall.as_secs_f64() * 0.95e6,
        "the stall was met: {max_us}"
    );
    let p99_us = result.response_us.p99.unwrap();
    eprintln!(
        "closed loop: p99 {p99_us:.0} µs of {} requests",
        result.requests
    );
    p99_us
}

#[test]
fn a_closed_loop_hides_the_stall() {
    // In the open loop above the same stall makes a p99 of 270 ms.
    let p99_us = closed_loop(STALL, Duration::from_secs(3));
    assert!(p99_us < 30e3, "{p99_us}");
}

/// A server that serves one request at a time, for S each, in the order of arrival over all
/// connections. When it is free again is calculated, so that a late wake-up delays one reply and
/// not those after it; the second value sums up how late replies are sent.
fn single_server(service: Duration) -> (Server, Arc<AtomicU64>) {
    let free = Mutex::new(Instant::now());
    let late_ns = Arc::new(AtomicU64::new(0));
    let sum_ns = Arc::clone(&late_ns);
    let server = Server::start(move |stream, _| {
        let done = {
            let mut free = free.lock().unwrap();
            *free = (*free).max(Instant::now()) + service;
            *free
        };
        // It sleeps for most of the time and polls for the rest: a sleep ends about 50 µs late.
        let nearly = done - Duration::from_micros(200);
        thread::sleep(nearly.saturating_duration_since(Instant::now()));
        while Instant::now() < done {
            std::hint::spin_loop();
        }
        sum_ns.fetch_add(done.elapsed().as_nanos() as u64, Ordering::SeqCst);
        send(stream, GOOD)
    });
    (server, late_ns)
}

/// Pollaczek and Khinchine: with Poisson arrivals, a fixed service time S and load r, requests wait
/// r S / (2 (1 - r)) on average.
fn queue(service: Duration, load: f64, seed: u64, total: Duration) -> Result<(), String> {
    let (server, late_ns) = single_server(service);
    let mut plan = server.plan();
    plan.pace = Pace::Open {
        rate: load / service.as_secs_f64(),
        arrivals: Arrivals::Poisson,
    };
    plan.seed = seed;
    // There are so many that no request waits in the generator.
    plan.connections = 64;
    plan.duration = total;
    plan.drain = Duration::from_secs(1);
    let result = run(&plan);
    assert!(result.errors.is_empty(), "{result:?}");
    let s_us = service.as_secs_f64() * 1e6;
    let expected_us = load * s_us / (2.0 * (1.0 - load));
    // The late wake-ups of the server are not part of the queue; it knows how late they were.
    let late_us = late_ns.load(Ordering::SeqCst) as f64 / 1e3 / result.requests as f64;
    let waited_us = result.response_us.mean.unwrap() - s_us - late_us;
    eprintln!(
        "mean wait at load {load}: {waited_us:.0} µs, in theory {expected_us:.0}; replies left \
         {late_us:.0} µs late"
    );
    ensure(
        (waited_us / expected_us - 1.0).abs() < 0.1,
        (waited_us, expected_us),
    )?;
    // The requests queued in the server, not in the generator.
    ensure(
        result.no_connection_us.mean.unwrap() < expected_us / 50.0,
        result.no_connection_us,
    )
}

/// The service is so long that late wake-ups of a busy machine hardly matter. Fourteen seconds then
/// contain about 330 arrivals, whose mean wait differs from theory by a quarter from seed to seed;
/// by Lindley's recursion the arrivals of this seed wait as long as theory says, to 0.2 %. So this
/// shows that each wait is measured whole. That seeds give Poisson arrivals is shown by the long
/// run and by the tests of the schedule.
#[test]
fn a_queue_at_a_fixed_service_time_waits_as_theory_says() {
    let (service, total) = (Duration::from_millis(30), Duration::from_secs(14));
    one_of_three(|| queue(service, 0.7, 186, total));
}

/// This is long enough for any seed: the first five differ from theory by 1 to 4 %.
#[test]
#[ignore = "takes two minutes of a quiet machine"]
fn a_long_queue_waits_as_theory_says() {
    let (service, total) = (Duration::from_millis(3), Duration::from_secs(120));
    queue(service, 0.6, 1, total).unwrap();
}

#[test]
fn a_stopped_generator_reports_its_own_delay() {
    one_of_three(|| {
        let result = stopped_once();
        let late_p99 = result["generator"]["late_p99_us"].as_f64().unwrap();
        let service_p99 = result["service_us"]["p99"].as_f64().unwrap();
        let response_p99 = result["response_us"]["p99"].as_f64().unwrap();
        assert_eq!(result["valid"], false);
        let findings = result["findings"].to_string();
        assert!(findings.contains("\"generator_late\""), "{result}");
        // s (1 - 0.01 T / s) with s = 300 ms and T = 2 s is 280 ms.
        ensure((late_p99 / 280e3 - 1.0).abs() < 0.05, &result)?;
        let late_max = result["generator"]["max_late_us"].as_f64().unwrap();
        ensure((late_max / 300e3 - 1.0).abs() < 0.05, &result)?;
        assert_eq!(result["late_us"]["max"], result["generator"]["max_late_us"]);
        // Eight connections were free all the time: no request waited for one.
        let no_connection_p99 = result["no_connection_us"]["p99"].as_f64().unwrap();
        ensure(no_connection_p99 < 30e3, &result)?;
        ensure(response_p99 > 250e3 && service_p99 < 30e3, &result)
    });
}

/// The result of a generator in a process of its own that was stopped for 300 ms.
fn stopped_once() -> serde_json::Value {
    let server = Server::start(always(GOOD));
    let mut child = Command::new(env!("CARGO_BIN_EXE_load"))
        .args([
            &server.url(),
            "--rate",
            "400",
            "--arrivals",
            "constant",
            "--connections",
            "8",
        ])
        .args([
            "--duration",
            "2s",
            "--warmup",
            "0s",
            "--json",
            "-",
            "--quiet",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let limit = Instant::now() + Duration::from_secs(10);
    while server.requests.load(Ordering::SeqCst) < 200 && Instant::now() < limit {
        thread::yield_now();
    }
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::STOP).unwrap();
    thread::sleep(STALL);
    kill_process(pid, Signal::CONT).unwrap();
    let mut json = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut json)
        .unwrap();
    assert!(child.wait().unwrap().success());
    serde_json::from_str(&json).unwrap()
}

#[test]
fn overload_waits_in_the_queue_and_ends_censored() {
    let server = Server::start(|stream, _| {
        thread::sleep(Duration::from_millis(10));
        send(stream, GOOD)
    });
    let mut plan = server.plan();
    plan.pace = Pace::Open {
        rate: 1000.0,
        arrivals: Arrivals::Poisson,
    };
    plan.connections = 2;
    plan.duration = Duration::from_millis(500);
    plan.drain = Duration::from_millis(100);
    let result = run(&plan);
    // Two connections serve at most 200 requests per second.
    assert!(
        result.requests < 130 && result.errors["censored"] > 300,
        "{result:?}"
    );
    assert!(result.rate_achieved < 210.0, "{}", result.rate_achieved);
    assert_eq!(result.response_us.p50, None);
    assert!(result.service_us.p50.unwrap() < 40e3);
    assert!(result.no_connection_p99_us > 200e3);
    assert!(result.reasons.has(Code::NotSent));
}
