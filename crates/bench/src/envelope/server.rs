//! Command lines of the servers, and why a sample may not be believed.

use schema::gates::{STEAL_SHARE_MAX, late_us_max};
use schema::load::LoadResult;
use schema::{Code, Effect};

use crate::failure::Unmeasured;
use crate::judge::gates;
use crate::observe::measured::Sample;
use crate::plan::contender::Contender;
use crate::plan::workers::Holds;
use crate::run::server::{IDLE_MS, Launch, serve};
use crate::run::setup::Setup;

/// The command that serves `contender` for so many connections, without where it listens.
pub fn launch(setup: &Setup, contender: &Contender, connections: u32, flags: &[&str]) -> Launch {
    let cpus = setup.server_cpus.len();
    let workers = contender.workers.asked_for(connections, false, cpus);
    let mut args = serve(contender, workers);
    let more = [&["--idle-ms", IDLE_MS], flags].concat();
    args.extend(more.into_iter().map(str::to_owned));
    Launch {
        program: setup.server.clone(),
        args,
        db: None,
    }
}

/// Whether requests need a connection each: of a server that serves one client at a time, all other
/// persistent connections would never be served.
pub fn needs_new_connections(contender: &Contender, connections: u32) -> Result<bool, Unmeasured> {
    match contender.workers.cannot_hold(connections) {
        None => Ok(false),
        Some(_) if contender.workers.holds == Holds::One => Ok(true),
        Some(reason) => Err(Unmeasured::Because(reason)),
    }
}

/// Why a sample is not to be believed, where it is not: the work of other programs, or the generator's.
pub fn spoiled(sample: &Sample) -> Option<String> {
    let share = sample.others.server.share.max(sample.others.load.share);
    if gates::is_shared(&sample.others) {
        return Some(format!("others used {:.0} % of the CPUs", share * 100.0));
    }
    let stolen = sample.machine.used.stolen_share();
    if stolen > STEAL_SHARE_MAX {
        return Some(format!("{:.0} % of the CPUs was stolen", stolen * 100.0));
    }
    spoiled_load(&sample.load)
}

/// The same as far as the generator's own result tells.
///
/// An overloaded server keeps requests waiting for a connection, and fails some: that is the result, and
/// no fault of the generator, as long as this noticed in time that they were due.
pub fn spoiled_load(load: &LoadResult) -> Option<String> {
    let ranked = load
        .phases
        .last()
        .map_or(load.service_us.p99, |phase| phase.served_us.p99);
    let reported_us = ranked.unwrap_or(0.0).max(load.no_connection_p99_us);
    spoiled_beyond(load, late_us_max(reported_us))
}

/// The same where the generator may be late by so many µs at the 99th percentile.
pub fn spoiled_beyond(load: &LoadResult, allowed_us: f64) -> Option<String> {
    let late_us = load.generator.late_p99_us.unwrap_or(0.0);
    if late_us > allowed_us {
        return Some(format!("the generator was {late_us:.0} us late"));
    }
    let wrong = [Code::GeneratorCpu, Code::WrongBodies];
    let mut reasons = load.reasons.iter();
    let found = reasons.find(|reason| {
        wrong.contains(&reason.code)
            && matches!(reason.effect, Effect::Limits | Effect::Invalidates)
    });
    found.map(|reason| reason.text.clone())
}

#[cfg(test)]
mod tests {
    use schema::Reason;
    use schema::load::{Latency, PhaseFigures};

    use super::*;
    use crate::plan::workers::Workers;
    use crate::plan::workers::examples::{ONE_CLIENT, PROCESSES};

    fn contender(workers: Workers) -> Contender {
        Contender::model("m", "v", false, workers)
    }

    #[test]
    fn a_server_of_one_client_is_asked_on_new_connections() {
        let of =
            |workers, connections| needs_new_connections(&contender(workers), connections).ok();
        assert_eq!(of(ONE_CLIENT, 64), Some(true));
        assert_eq!(of(Workers::LOOP, 64), Some(false));
        assert_eq!(of(PROCESSES, 64), Some(false));
        let few = Workers {
            connections_max: Some(10),
            ..Workers::LOOP
        };
        assert_eq!(of(few, 64), None, "it cannot hold them");
    }

    #[test]
    fn a_late_generator_spoils_and_an_overloaded_server_does_not() {
        let load = |late_us, served_us, no_connection_us| {
            let mut load = LoadResult {
                no_connection_p99_us: no_connection_us,
                ..LoadResult::default()
            };
            load.generator.late_p99_us = Some(late_us);
            load.phases.push(PhaseFigures {
                served_us: Latency {
                    p99: served_us,
                    ..Latency::default()
                },
                ..PhaseFigures::default()
            });
            load
        };
        for (late_us, served_us, no_connection_us, is_spoiled) in [
            (20.0, Some(1_000.0), 0.0, false),
            (5_000.0, Some(10_000.0), 0.0, true),
            (5_000.0, Some(900_000.0), 0.0, false),
            (5_000.0, None, 900_000.0, false),
            (5_000.0, None, 0.0, true),
        ] {
            let said = spoiled_load(&load(late_us, served_us, no_connection_us));
            assert_eq!(
                said.is_some(),
                is_spoiled,
                "{late_us} {served_us:?} {said:?}"
            );
        }
        let mut censored = load(20.0, None, 0.0);
        let not_sent = Reason::new(Code::NotSent, Effect::Invalidates, "not sent");
        censored.reasons = vec![not_sent].into();
        assert_eq!(spoiled_load(&censored), None);
        let bound = Reason::new(Code::GeneratorCpu, Effect::Limits, "busy");
        censored.reasons = vec![bound].into();
        assert_eq!(spoiled_load(&censored).as_deref(), Some("busy"));
    }
}
