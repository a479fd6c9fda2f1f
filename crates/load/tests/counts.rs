//! Whatever the plan and the server, every scheduled request has exactly one outcome.
#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod common;

use std::sync::OnceLock;
use std::time::Duration;

use common::{GOOD, Server, Then, assert_adds_up, send};
use load::{Arrivals, Pace, Plan};
use proptest::prelude::*;

/// A server that treats requests in different ways, by their number.
fn varying() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        Server::start(|stream, n| match n % 97 {
            13 => Then::Reset,
            29 => Then::Close,
            41 => send(stream, b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"),
            53 => send(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\njello"),
            67 => send(stream, b"HELO\r\n\r\n"),
            // The request is never answered.
            83 => Then::Continue,
            _ => send(stream, GOOD),
        })
    })
}

fn plans() -> impl Strategy<Value = Plan> {
    let arrivals = prop_oneof![Just(Arrivals::Poisson), Just(Arrivals::Constant)];
    let pace = prop_oneof![
        Just(Pace::Closed),
        (50.0..20_000.0, arrivals).prop_map(|(rate, arrivals)| Pace::Open { rate, arrivals }),
    ];
    let shape = (1usize..12, 1usize..4, 1usize..9, any::<bool>());
    let times = (1u64..120, 0u64..40, 0u64..60, 10u64..400);
    let step = (0.0..5_000.0, 0.0..5_000.0, 1u64..80);
    let steps = prop_oneof![
        2 => Just(Vec::new()),
        1 => proptest::collection::vec(step, 1..5),
    ];
    let mixed = any::<bool>();
    let think = prop_oneof![Just(0u64), 1u64..30];
    let churn = prop_oneof![3 => Just(0.0), 1 => 0.01..0.99];
    let further = (steps, mixed, think, churn);
    (pace, any::<u64>(), shape, times, further).prop_map(|(pace, seed, shape, times, further)| {
        let (connections, threads, pipeline, new_connection) = shape;
        let (duration, warmup, drain, timeout) = times;
        let mut plan = varying().plan();
        plan.pace = pace;
        plan.seed = seed;
        plan.connections = connections;
        plan.threads = threads.min(connections);
        plan.pipeline = if new_connection { 1 } else { pipeline };
        plan.new_connection = new_connection;
        plan.duration = Duration::from_millis(duration);
        plan.warmup = Duration::from_millis(warmup);
        plan.drain = Duration::from_millis(drain);
        plan.timeout = Duration::from_millis(timeout);
        let (steps, mixed, think, churn) = further;
        if churn > 0.0 && !new_connection {
            (plan.churn, plan.pipeline) = (churn, 1);
        }
        if pace == Pace::Closed && think > 0 {
            plan.think = Duration::from_millis(think);
            plan.pipeline = 1;
        }
        if let (Pace::Open { arrivals, .. }, false) = (pace, steps.is_empty()) {
            let step = |(rate_from, rate_to, ms): (f64, f64, u64)| load::Step {
                rate_from,
                rate_to,
                duration: Duration::from_millis(ms),
            };
            plan.profile = steps.into_iter().map(step).collect();
            plan.duration = plan.profile.iter().map(|step| step.duration).sum();
            let rate = plan.profile[0].rate_from;
            plan.pace = Pace::Open { rate, arrivals };
        }
        if mixed {
            let kinds = ["3:GET:/", "1:HEAD:/{n:5}", "2:PUT:/x"];
            plan.requests = kinds.iter().map(|kind| kind.parse().unwrap()).collect();
        }
        plan
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..Default::default() })]

    #[test]
    fn outcomes_add_up(plan in plans()) {
        let result = load::run(&plan).unwrap();
        assert_adds_up(&result);
        if let Pace::Open { rate, arrivals: Arrivals::Constant } = plan.pace {
            // The schedule does not depend on the server: everything that was due was scheduled.
            let due = if plan.profile.is_empty() {
                rate * result.duration_s
            } else {
                plan.profile.iter().map(load::Step::expected).sum()
            };
            prop_assert!((result.scheduled as f64 - due).abs() <= 1.0 + plan.threads as f64);
        }
    }
}
