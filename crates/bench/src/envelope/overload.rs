//! The overload: goodput, refusals and response times at several offered rates, with shedding and without.
//!
//! A fresh server is asked for each rate, because what an overload leaves behind would be in the next
//! window. The load goes on at the same rate for a while before the window: what is told is how a server
//! lives with an overload, not how it falls into one. Behind the window of the highest rate comes a step at half
//! the capacity, which says how soon it is what it was.

use std::time::Duration;

use report::data::{Mode, Shape};
use schema::envelope::{After, Line, Overload};
use schema::load::LoadResult;
use schema::{Code, Effect, Reason};

use super::plan::{OBJECTIVE_US, OVERLOAD_CONNECTIONS, OVERLOAD_DRAIN, REQUEST_US};
use super::server;
use super::session::{Session, Stopped};
use crate::failure::Unmeasured;
use crate::observe::measured::Sample;
use crate::plan::contender::Contender;
use crate::run::call::Call;
use crate::run::readings::Readings;
use crate::run::server::{Launch, Server};

/// The bound of the queue delay is off: every request is served, however late.
const WITHOUT: &[&str] = &["--queue-delay-ms", "0"];

/// Measures one model.
pub fn measure(session: &mut Session, contender: &Contender) -> Result<(), Stopped> {
    if !contender.sheds {
        let text = "it has no bound of the queue delay to switch off".to_owned();
        let reason = Reason::new(Code::BlocksByDesign, Effect::Excuses, text);
        return Err(Unmeasured::Because(reason).into());
    }
    let new_connection = server::needs_new_connections(contender, OVERLOAD_CONNECTIONS)?;
    let closed = Shape {
        connections: OVERLOAD_CONNECTIONS,
        pipeline: 1,
        keep_alive: !new_connection,
        path: format!("/cpu/{REQUEST_US}"),
        duration_s: session.times.capacity.as_secs_f64(),
        ..Shape::default()
    };
    let launch = |session: &Session, flags: &[&str]| {
        server::launch(&session.setup, contender, OVERLOAD_CONNECTIONS, flags).listening()
    };
    let capacity = window(session, &launch(session, WITHOUT), &closed, session.seed)?;
    let capacity_rps = capacity.load.rate_achieved;
    if capacity_rps <= 0.0 {
        let text = "it served nothing in a closed loop";
        return Err(Unmeasured::new(Code::GeneratorFailed, text).into());
    }
    for block in 0..session.times.blocks {
        for &factor in session.times.factors {
            let mut both = [true, false];
            session.random.shuffle(&mut both);
            let seed = session.random.next_u64();
            for sheds in both {
                let flags = if sheds { &[][..] } else { WITHOUT };
                let launch = launch(session, flags);
                let shape = at_rate(session, &closed, capacity_rps, factor);
                let sample = window(session, &launch, &shape, seed)?;
                let line = Overload {
                    model: contender.label.clone(),
                    block,
                    sheds,
                    factor,
                    capacity_rps,
                    offered_rps: capacity_rps * factor,
                    window_s: session.times.window.as_secs_f64(),
                    new_connection,
                    spoiled: server::spoiled(&sample),
                    server_command: launch.command(),
                    load_command: sample.command.clone(),
                    ..told(&sample.load)
                };
                session.record.append(&Line::Overload(line))?;
            }
        }
    }
    Ok(())
}

/// Load behind an overload, in capacities.
const AFTERWARDS: f64 = 0.5;

/// An open loop in two equal steps, of which the first is the warm-up, and behind the highest rate a third.
fn at_rate(session: &Session, closed: &Shape, capacity_rps: f64, factor: f64) -> Shape {
    let times = &session.times;
    let rps = capacity_rps * factor;
    let mut steps = vec![(rps, times.warm_up), (rps, times.window)];
    if times.recovers_from(factor) {
        steps.push((capacity_rps * AFTERWARDS, times.recovery));
    }
    let step = |(rps, time): &(f64, Duration)| format!("{rps:.1}:{}ms", time.as_millis());
    let profile: Vec<_> = steps.iter().map(step).collect();
    let duration: Duration = steps.iter().map(|(_, time)| *time).sum();
    Shape {
        mode: Mode::Open,
        rate: Some(rps),
        profile: Some(profile.join(",")),
        duration_s: duration.as_secs_f64(),
        ..closed.clone()
    }
}

/// What the step behind the warm-up says, and the one behind that.
fn told(load: &LoadResult) -> Overload {
    let Some(step) = load.phases.get(1) else {
        return Overload::default();
    };
    Overload {
        scheduled: step.scheduled,
        served: step.requests,
        in_time: step.within_objective.unwrap_or(0),
        errors: step.errors.clone(),
        served_p50_us: step.served_us.p50,
        served_p99_us: step.served_us.p99,
        after: load.phases.get(2).map(|step| After {
            scheduled: step.scheduled,
            in_time: step.within_objective.unwrap_or(0),
        }),
        ..Overload::default()
    }
}

/// One window on a server of its own, which is killed then: to drain it would be to wait until it has
/// computed requests whose clients have stopped waiting.
fn window(
    session: &Session,
    launch: &Launch,
    shape: &Shape,
    seed: u64,
) -> Result<Sample, Unmeasured> {
    let setup = &session.setup;
    let server = Server::start(launch, &setup.server_cpus, &setup.interrupt)?;
    let threads = setup.load_cpus.len();
    let call = Call {
        seed,
        within_us: Some(OBJECTIVE_US),
        ..Call::new(server.address(), shape, OVERLOAD_DRAIN, threads)
    };
    let (sample, _) = Readings::new(setup, &server).of_call(&call)?;
    Ok(sample)
}

#[cfg(test)]
mod tests {
    use schema::load::{Latency, PhaseFigures};

    use super::*;

    #[test]
    fn the_warm_up_is_not_in_the_figures() {
        let step = |requests, p99| PhaseFigures {
            scheduled: requests + 3,
            requests,
            within_objective: Some(requests - 1),
            errors: [("shed".to_owned(), 3)].into(),
            served_us: Latency {
                p99: Some(p99),
                ..Latency::default()
            },
            ..PhaseFigures::default()
        };
        let mut load = LoadResult {
            phases: vec![step(100, 9.0), step(40, 2.0)],
            ..LoadResult::default()
        };
        let says = told(&load);
        assert_eq!((says.scheduled, says.served, says.in_time), (43, 40, 39));
        assert_eq!((says.errors["shed"], says.served_p99_us), (3, Some(2.0)));
        assert_eq!(says.after, None);
        load.phases.push(step(20, 1.0));
        let says = told(&load);
        assert_eq!((says.scheduled, says.served_p99_us), (43, Some(2.0)));
        let after = says.after.map(|after| (after.scheduled, after.in_time));
        assert_eq!(after, Some((23, 19)));
    }
}
