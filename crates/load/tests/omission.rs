//! Oracles with answers in closed form: what a stall does to the percentiles, and who is to blame.
#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod common;

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use common::{GOOD, Server, always, run, send};
use load::{Arrivals, Pace};
use rustix::process::{Pid, Signal, kill_process};

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
#[test]
fn one_stall_shows_in_the_response_and_hides_in_the_service() {
    one_of_three(|| {
        let server = Server::start(|stream, n| {
            if n == 300 {
                thread::sleep(STALL);
            }
            send(stream, GOOD)
        });
        let mut plan = server.plan();
        plan.pace = Pace::Open {
            rate: 300.0,
            arrivals: Arrivals::Constant,
        };
        plan.duration = Duration::from_secs(3);
        plan.drain = Duration::from_secs(1);
        let outcome = run(&plan);
        assert_eq!((outcome.scheduled, outcome.requests), (900, 900));
        let response = outcome.response_us;
        let (s_us, total_us) = (300e3, 3e6);
        for (quantile, found) in [(0.99, response.p99), (0.999, response.p999)] {
            let expected = s_us * (1.0 - (1.0 - quantile) * total_us / s_us);
            let error = found.unwrap() / expected - 1.0;
            ensure(error.abs() < 0.05, (quantile, found, expected))?;
        }
        // A closed view does not see the stall.
        ensure(outcome.service_us.p99.unwrap() < 30e3, outcome.service_us)?;
        // The wait was for the one connection, and the generator was on time.
        ensure(
            outcome.no_connection_p99_us > 200e3,
            outcome.no_connection_p99_us,
        )?;
        ensure(outcome.generator.late_p99_us < 10e3, outcome.generator)
    });
}

#[test]
fn a_stopped_generator_blames_itself() {
    one_of_three(|| {
        let outcome = stopped_once();
        let late_p99 = outcome["generator"]["late_p99_us"].as_f64().unwrap();
        let service_p99 = outcome["service_us"]["p99"].as_f64().unwrap();
        let response_p99 = outcome["response_us"]["p99"].as_f64().unwrap();
        assert_eq!(outcome["valid"], false);
        assert!(
            outcome["reasons"].to_string().contains("generator-late"),
            "{outcome}"
        );
        // s (1 - 0.01 T / s) with s = 300 ms and T = 2 s is 280 ms.
        ensure((late_p99 / 280e3 - 1.0).abs() < 0.05, &outcome)?;
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
    assert!(
        outcome
            .reasons
            .iter()
            .any(|reason| reason.starts_with("sent/scheduled"))
    );
}
