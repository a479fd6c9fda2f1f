//! How long a plan takes: announced before it begins.

use std::time::Duration;

use report::data::Pass;

use crate::plan::scenario::Scenario;
use crate::plan::size::Size;
use crate::plan::visit::{Visit, Window};
use crate::plan::workers::Holds;

/// Starting, verifying and stopping a server.
const SERVER: Duration = Duration::from_millis(120);
/// Starting a server by a command, and stopping it, in addition.
const COMMAND: Duration = Duration::from_millis(1_200);
/// The same for each worker, where a worker holds a connection.
const WORKER: Duration = Duration::from_micros(300);
/// A call of the generator beyond its window: its start, connections, counters and result.
const CALL: Duration = Duration::from_millis(60);
/// A slice beyond its window: its counters, its result.
const SLICE: Duration = Duration::from_millis(35);
/// Opening a connection outside of the load, having it served once, and closing it.
const CONNECTION: Duration = Duration::from_micros(120);
/// The part of a drain in which idle connections are given time for one more request.
const DRAIN: Duration = Duration::from_millis(310);
/// Opening the connections that are held during a drain, at most.
const HOLD_MAX: Duration = Duration::from_secs(1);
/// Filling a store.
const STORE: Duration = Duration::from_millis(250);
/// Attaching a tracer and detaching it.
const TRACER: Duration = Duration::from_millis(300);

/// Time of one visit.
pub fn visit(visit: &Visit, size: Size) -> Duration {
    if visit.blocked.is_some() {
        return Duration::ZERO;
    }
    let windows = size.windows();
    let measured: Duration = match visit.pass {
        // A drain is the end of a visit, and none of its own.
        Pass::Measure | Pass::Drain if visit.measured_in_slices() => {
            let slices = visit.slices_planned(size);
            return standing(visit, size) + slice(visit.scenario, size) * slices;
        }
        Pass::Measure | Pass::Drain => {
            let windows = visit.windows.iter().map(|w| window(visit, w, size));
            windows.sum::<Duration>() + drain(visit)
        }
        Pass::Capacity => {
            // Each step opens the idle connections again.
            let call = CALL + CONNECTION * visit.idle;
            let rate = visit.scenario.rates(size).last().copied();
            let search = visit.scenario.search(size).zip(rate);
            search.map_or(Duration::ZERO, |((how, _), rate)| {
                let near = visit.scenario.near_window(&how, rate).min(how.near[1]);
                let [far_steps, near_steps] = how.steps_expected;
                (call + how.far) * far_steps + (call + near) * near_steps
            })
        }
        Pass::SystemCalls => (CALL + windows.calls) * 2 + TRACER,
        Pass::Memory => return memory(visit, size),
    };
    started(visit, size) + measured
}

/// Time of a visit that is measured in slices, without these.
pub fn standing(visit: &Visit, size: Size) -> Duration {
    match visit.blocked {
        Some(_) => Duration::ZERO,
        None => started(visit, size) + CALL + drain(visit) + trickle(visit, size),
    }
}

/// Time of ten requests per second.
fn trickle(visit: &Visit, size: Size) -> Duration {
    match visit.trickles() {
        true => SLICE + size.trickle(),
        false => Duration::ZERO,
    }
}

/// Time of one slice.
pub fn slice(scenario: &Scenario, size: Size) -> Duration {
    SLICE + scenario.slice(size)
}

/// Starting, verifying and warming up.
fn started(visit: &Visit, size: Size) -> Duration {
    let store = match visit.scenario.db && !visit.is_null() {
        true => STORE,
        false => Duration::ZERO,
    };
    let target = visit.contender.target.as_ref();
    let start = target.and_then(|target| target.start.as_ref());
    let command = start.map_or(Duration::ZERO, |_| COMMAND);
    SERVER + command + WORKER * visit.workers.unwrap_or(0) + store + CALL + size.windows().warm_up
}

/// Opening connections, and draining the server with them.
fn drain(visit: &Visit) -> Duration {
    let stays = visit.contender.target.is_some();
    if visit.is_null() || stays {
        return Duration::ZERO;
    }
    let connections = visit.scenario.connections_at_once(visit.idle);
    let kept = match visit.scenario.keep_alive {
        true => DRAIN,
        false => Duration::ZERO,
    };
    kept + (CONNECTION * connections).min(HOLD_MAX)
}

fn window(visit: &Visit, window: &Window, size: Size) -> Duration {
    CALL + window.duration(visit.scenario, size) + CONNECTION * visit.idle
}

/// Time to read memory up to the step that the server cannot hold; where a worker holds a connection,
/// each step has a server of its own.
fn memory(visit: &Visit, size: Size) -> Duration {
    let workers = visit.contender.workers;
    let held = |n: &&u32| workers.cannot_hold(**n).is_none();
    let steps = size.memory_steps().iter().filter(held);
    steps
        .map(|&connections| {
            let own = if workers.holds == Holds::Workers {
                SERVER + WORKER * connections
            } else {
                CALL
            };
            own + CONNECTION * connections
        })
        .sum()
}

/// `40 s`, `12 min`, `1 h 50 min`, `5 days`.
pub fn words(time: Duration) -> String {
    let seconds = time.as_secs_f64().round();
    let minutes = (seconds / 60.0).round();
    match seconds {
        ..100.0 => format!("{seconds} s"),
        ..5400.0 => format!("{minutes} min"),
        259_200.0.. => format!("{} days", (seconds / 86_400.0).round()),
        _ => format!("{} h {} min", (minutes / 60.0).floor(), minutes % 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::contender::Contender;
    use crate::plan::layout::{Spec, lay_out};
    use crate::plan::passes::{Passes, default_scenarios, scenarios};
    use crate::plan::workers::Workers;
    use crate::plan::workers::examples::*;

    fn twelve_models(size: Size, scenario_spec: &str) -> Duration {
        let models = [
            ("iterative", ONE_CLIENT),
            ("fork-per-client", PROCESS_PER_CLIENT),
            ("prefork", PROCESSES),
            ("thread-per-client", THREAD_PER_CLIENT),
            ("thread-pool", THREADS),
            ("single-reactor", ONE_LOOP),
            ("reactor-pool", STAGED),
            ("multi-reactor", Workers::LOOP),
            ("leader-follower", SHARING),
            ("proactor", ONE_LOOP),
            ("signal-driven", ONE_LOOP),
            ("async-tasks", Workers::LOOP),
        ];
        let contenders: Vec<Contender> = models
            .iter()
            .map(|&(model, workers)| Contender::model(model, "", true, workers))
            .collect();
        let plan = lay_out(&Spec {
            size,
            contenders: &contenders,
            scenarios: &scenarios(scenario_spec).expect("known"),
            passes: &Passes::parse("all").expect("known"),
            seed: 1,
            server_cpus: 1,
            idle: size.idle_connections(),
            rates: &std::collections::BTreeMap::new(),
            rounds: None,
        });
        plan.iter().map(|v| visit(v, size)).sum()
    }

    #[test]
    fn every_size_keeps_its_promise_for_twelve_models() {
        let minutes = |size| twelve_models(size, default_scenarios(size)).as_secs_f64() / 60.0;
        let smoke = minutes(Size::Smoke);
        assert!((1.0..2.7).contains(&smoke), "{smoke}");
        let quick = minutes(Size::Quick);
        assert!((10.0..14.0).contains(&quick), "{quick}");
        let hours = minutes(Size::Full) / 60.0;
        assert!((2.0..9.5).contains(&hours), "{hours}");
    }

    #[test]
    fn what_is_added_is_counted() {
        let quick = |spec| twelve_models(Size::Quick, spec);
        assert!(quick("key,sqlite") > quick("key"));
        assert!(quick("overload") > quick("poison"));
        assert!(quick("idle-many") > Duration::from_secs(60));
    }

    #[test]
    fn times_are_said_in_words() {
        for (seconds, says) in [
            (8, "8 s"),
            (99, "99 s"),
            (110, "2 min"),
            (840, "14 min"),
            (6600, "1 h 50 min"),
            (432_000, "5 days"),
        ] {
            assert_eq!(words(Duration::from_secs(seconds)), says);
        }
    }
}
