//! Oracles with answers in closed form: what a stall does to the percentiles, and who is to blame.
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

/// Another process may take the CPU at any moment, which only ever adds latency: an oracle holds if
/// one of three runs agrees with it, and a generator that is wrong disagrees in all.
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

/// One stall of s in a run of T, arrivals at a rate far below capacity: the share of requests that
/// wait longer than w is (s - w) / T, hence p_q = s (1 - (1 - q) T / s).
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
    let outcome = run(&plan);
    let scheduled = (total.as_secs_f64() * rate) as u64;
    assert_eq!(
        (outcome.scheduled, outcome.requests),
        (scheduled, scheduled)
    );
    let response = outcome.response_us;
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
    // The view from the send on does not see the stall.
    ensure(
        outcome.service_us.p99.unwrap() < s_us / 10.0,
        outcome.service_us,
    )?;
    // The wait was for the one connection, and the generator was on time.
    let waited_us = outcome.no_connection_us.max.unwrap();
    ensure(
        (waited_us / s_us - 1.0).abs() < 0.05,
        outcome.no_connection_us,
    )?;
    ensure(
        outcome.generator.late_p99_us.unwrap() < s_us / 10.0,
        outcome.generator,
    )
}

#[test]
fn one_stall_shows_in_the_response_and_hides_in_the_service() {
    one_of_three(|| self::stall(STALL, Duration::from_secs(3), 300.0));
}

/// A second in a minute, as METHOD.md has it: p99 = 400 ms.
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
    let outcome = run(&plan);
    let max_us = outcome.response_us.max.unwrap();
    assert!(
        max_us > stall.as_secs_f64() * 0.95e6,
        "the stall was met: {max_us}"
    );
    let p99_us = outcome.response_us.p99.unwrap();
    eprintln!(
        "closed loop: p99 {p99_us:.0} µs of {} requests",
        outcome.requests
    );
    p99_us
}

#[test]
fn a_closed_loop_hides_the_stall() {
    // In the open loop above the same stall makes a p99 of 270 ms.
    let p99_us = closed_loop(STALL, Duration::from_secs(3));
    assert!(p99_us < 30e3, "{p99_us}");
}

/// A server of one hand: each request is served for S after all before it, on whatever connection
/// it came. The hand is a moment kept by arithmetic, so a late wake-up delays one reply and not
/// those behind it; how late replies leave is summed up in the second place.
fn one_hand(service: Duration) -> (Server, Arc<AtomicU64>) {
    let free = Mutex::new(Instant::now());
    let late_ns = Arc::new(AtomicU64::new(0));
    let sum_ns = Arc::clone(&late_ns);
    let server = Server::start(move |stream, _| {
        let done = {
            let mut free = free.lock().unwrap();
            *free = (*free).max(Instant::now()) + service;
            *free
        };
        // Sleep most of the way and spin the rest: a sleep ends some 50 µs late.
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

/// Pollaczek and Khinchine: Poisson arrivals at a fixed service time S and load r wait
/// r S / (2 (1 - r)) on average.
fn queue(service: Duration, load: f64, seed: u64, total: Duration) -> Result<(), String> {
    let (server, late_ns) = one_hand(service);
    let mut plan = server.plan();
    plan.pace = Pace::Open {
        rate: load / service.as_secs_f64(),
        arrivals: Arrivals::Poisson,
    };
    plan.seed = seed;
    // So many that none ever waits in the generator.
    plan.connections = 64;
    plan.duration = total;
    plan.drain = Duration::from_secs(1);
    let outcome = run(&plan);
    assert!(outcome.errors.is_empty(), "{outcome:?}");
    let s_us = service.as_secs_f64() * 1e6;
    let expected_us = load * s_us / (2.0 * (1.0 - load));
    // The server's wake-ups are no part of the queue, and it knows how late they were.
    let late_us = late_ns.load(Ordering::SeqCst) as f64 / 1e3 / outcome.requests as f64;
    let waited_us = outcome.response_us.mean.unwrap() - s_us - late_us;
    eprintln!(
        "mean wait at load {load}: {waited_us:.0} µs, in theory {expected_us:.0}; replies left \
         {late_us:.0} µs late"
    );
    ensure(
        (waited_us / expected_us - 1.0).abs() < 0.1,
        (waited_us, expected_us),
    )?;
    // The queue was the server's.
    ensure(
        outcome.no_connection_us.mean.unwrap() < expected_us / 50.0,
        outcome.no_connection_us,
    )
}

/// A service so long that the wake-ups of a busy machine hardly count. Fourteen seconds then hold
/// some 330 arrivals, whose mean wait strays from theory by a quarter from seed to seed; by
/// Lindley's recursion the arrivals of this one wait as long as theory says, to 0.2 %. So what is
/// shown here is that each wait is measured whole; that seeds make Poisson arrivals is shown by
/// the long run, and by the schedule's own tests.
#[test]
fn a_queue_at_a_fixed_service_time_waits_as_theory_says() {
    let (service, total) = (Duration::from_millis(30), Duration::from_secs(14));
    one_of_three(|| queue(service, 0.7, 186, total));
}

/// Long enough for any seed: the first five stray by 1 to 4 %.
#[test]
#[ignore = "takes two minutes of a quiet machine"]
fn a_long_queue_waits_as_theory_says() {
    let (service, total) = (Duration::from_millis(3), Duration::from_secs(120));
    queue(service, 0.6, 1, total).unwrap();
}

#[test]
fn a_stopped_generator_blames_itself() {
    one_of_three(|| {
        let outcome = stopped_once();
        let late_p99 = outcome["generator"]["late_p99_us"].as_f64().unwrap();
        let service_p99 = outcome["service_us"]["p99"].as_f64().unwrap();
        let response_p99 = outcome["response_us"]["p99"].as_f64().unwrap();
        assert_eq!(outcome["valid"], false);
        let findings = outcome["findings"].to_string();
        assert!(findings.contains("\"generator_late\""), "{outcome}");
        // s (1 - 0.01 T / s) with s = 300 ms and T = 2 s is 280 ms.
        ensure((late_p99 / 280e3 - 1.0).abs() < 0.05, &outcome)?;
        let late_max = outcome["generator"]["max_late_us"].as_f64().unwrap();
        ensure((late_max / 300e3 - 1.0).abs() < 0.05, &outcome)?;
        assert_eq!(
            outcome["late_us"]["max"],
            outcome["generator"]["max_late_us"]
        );
        // Eight connections were free all the time: nothing of it was waiting for one.
        let no_connection_p99 = outcome["no_connection_us"]["p99"].as_f64().unwrap();
        ensure(no_connection_p99 < 30e3, &outcome)?;
        ensure(response_p99 > 250e3 && service_p99 < 30e3, &outcome)
    });
}

/// The result of a generator, a process of its own, that was stopped for 300 ms.
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
    let outcome = run(&plan);
    // Two connections serve at most 200 a second.
    assert!(
        outcome.requests < 130 && outcome.errors["censored"] > 300,
        "{outcome:?}"
    );
    assert!(outcome.rate_achieved < 210.0, "{}", outcome.rate_achieved);
    assert_eq!(outcome.response_us.p50, None);
    assert!(outcome.service_us.p50.unwrap() < 40e3);
    assert!(outcome.no_connection_p99_us > 200e3);
    assert!(outcome.reasons.has(Code::NotSent));
}
