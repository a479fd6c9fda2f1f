//! A visit: a fresh server, verified, warmed up, measured window by window, drained.
//!
//! The server is warmed up by a call of the generator of its own. Each window is one more call without
//! warm-up, which pauses when its connections are open, and again before it closes them. What the
//! server used between the readings in the two pauses is what the requests made it do, and is divided
//! by the replies of this call. The readings are taken when the tree is quiet. Memory is read during
//! the warm-up, because to read it during a window would disturb server and generator; where there are
//! idle connections, after the window, while they are open.

use std::time::Duration;

use report::data::{Role, Shape};
use schema::Code;

use crate::failure::{Because, Unmeasured};
use crate::judge::verify::{Trust, verify};
use crate::observe::connections::{OpenConnections, Wanted};
use crate::observe::measured::{Drained, Measured, Sample, WarmUp};
use crate::observe::strace::SystemCalls;
use crate::observe::whoami;
use crate::plan::scenario::PLAINTEXT;
use crate::plan::visit::{Visit, Window};
use crate::run::call::Call;
use crate::run::generator;
use crate::run::readings::{Readings, WarmUpReading};
use crate::run::server::Server;
use crate::run::setup::Setup;

/// Where in the warm-up the memory of the server is read, as a share of it.
const FOOTPRINT_AT: f64 = 0.6;

/// How many times the connections of a scenario with one connection per request are opened to see
/// which workers serve them.
const FRESH_TIMES: u32 = 8;

/// Measures `windows` on a fresh server.
///
/// # Errors
/// [`Unmeasured::Interrupted`], or why there is nothing to show; the server is gone either way.
pub fn measure(setup: &Setup, visit: &Visit, windows: &[Window]) -> Result<Measured, Unmeasured> {
    let (server, warm_up) = begin(setup, visit)?;
    let mut replies = warm_up.replies;
    let mut samples = Vec::new();
    for window in windows {
        let shape = setup.shape(visit, Some(window));
        samples.push(match sample(setup, visit, &shape, &server) {
            Ok(sample) => {
                replies += sample.load.requests;
                Ok(sample)
            }
            Err(Unmeasured::Interrupted) => return Err(Unmeasured::Interrupted),
            Err(Unmeasured::Because(reason)) => Err(reason),
        });
    }
    let workers = workers_of(setup, visit);
    let served = whoami::served(server.address(), workers);
    let held = hold(setup, visit, &server);
    let drained = server.drain(&setup.interrupt)?;
    Ok(Measured {
        warm_up,
        samples,
        replies,
        workers,
        served,
        held: held.count(),
        fresh: held.by_worker,
        drained,
    })
}

/// Starts the server of a visit, verifies it and warms it up.
pub fn begin(setup: &Setup, visit: &Visit) -> Result<(Server, WarmUp), Unmeasured> {
    let (server, trust) = match &visit.contender.target {
        Some(target) => (Server::of_target(setup, target)?, Trust::Target),
        None => {
            let server = Server::of_visit(setup, visit, &setup.db_of(visit))?;
            let null = visit.contender.role == Role::Null;
            (server, if null { Trust::Null } else { Trust::Model })
        }
    };
    let unloaded = server.footprint();
    let (path, check) = (visit.own_path(), Some(visit.check));
    verify(server.address(), visit.scenario, path, trust, check).because(Code::NotVerified)?;
    let served = whoami::served(server.address(), workers_of(setup, visit));
    let shape = setup.shape(visit, None);
    let mut warming = WarmUpReading {
        server: &server,
        after: Duration::from_secs_f64(shape.duration_s * FOOTPRINT_AT),
        loaded: None,
    };
    let call = call(setup, visit, &server, &shape);
    let load = generator::run(setup, &call, &mut warming)
        .map_err(|unmeasured| unmeasured.during("the warm-up"))?;
    let warm_up = WarmUp {
        unloaded,
        loaded: warming.loaded,
        served,
        replies: 1 + load.requests,
        rps: load.rate_achieved,
    };
    Ok((server, warm_up))
}

/// One window.
pub fn sample(
    setup: &Setup,
    visit: &Visit,
    shape: &Shape,
    server: &Server,
) -> Result<Sample, Unmeasured> {
    sample_under(setup, visit, shape, server, None).map(|(sample, _)| sample)
}

/// What is counted of a server.
#[derive(Debug)]
pub struct Counted {
    /// The window under the tracer.
    pub sample: Sample,
    pub calls: SystemCalls,
    /// Wake-ups per request of one client that waits for each answer, where no task of the server ended.
    pub wakeups: Option<f64>,
    /// How the server ended.
    pub drained: Drained,
}

/// A window in which the server's wake-ups are counted, and one in which its system calls are, on a fresh
/// server.
pub fn count(setup: &Setup, visit: &Visit, window: &Window) -> Result<Counted, Unmeasured> {
    let (server, _) = begin(setup, visit)?;
    let root = server.root().ok_or_else(|| {
        let text = "the process of this server is not known";
        Unmeasured::new(Code::ProcessUnknown, text)
    })?;
    let shape = Shape {
        duration_s: setup.size.windows().calls.as_secs_f64(),
        ..setup.shape(visit, Some(window))
    };
    // A single client leaves nothing to chance: whether two requests share a wake-up, or the next one is
    // there already. A tracer would add wake-ups of its own.
    let one = Shape {
        connections: 1,
        pipeline: 1,
        idle: 0,
        slow_senders: 0,
        slow_readers: 0,
        ..shape.clone()
    };
    let alone = self::sample(setup, visit, &one, &server)?;
    let (sample, counted) = sample_under(setup, visit, &shape, &server, Some(root))?;
    let calls = counted.ok_or_else(|| Unmeasured::new(Code::NotCounted, "nothing was counted"))?;
    Ok(Counted {
        sample,
        calls,
        wakeups: alone.waits(),
        drained: server.drain(&setup.interrupt)?,
    })
}

/// One window, under a tracer of the tree of `traced` where there is one.
fn sample_under(
    setup: &Setup,
    visit: &Visit,
    shape: &Shape,
    server: &Server,
    traced: Option<u32>,
) -> Result<(Sample, Option<SystemCalls>), Unmeasured> {
    let call = call(setup, visit, server, shape);
    let readings = Readings {
        with_idle: visit.idle > 0,
        traced,
        ..Readings::new(setup, server)
    };
    readings.of_call(&call)
}

pub fn call<'a>(setup: &Setup, visit: &Visit, server: &'a Server, shape: &'a Shape) -> Call<'a> {
    let (drain, threads) = (setup.size.windows().drain, setup.load_cpus.len());
    Call {
        seed: visit.seed,
        within_us: visit.scenario.objective.map(|objective| objective.p99_us),
        check: visit.check,
        ..Call::new(server.address(), shape, drain, threads)
    }
}

/// Workers that a server is known to have, 0 where that is not known.
pub fn workers_of(setup: &Setup, visit: &Visit) -> u32 {
    let known = visit.workers_known(setup.server_cpus.len());
    known.filter(|_| !visit.is_null()).unwrap_or(0)
}

/// Opens the connections of the scenario, to be held while the server is told to stop.
pub fn hold(setup: &Setup, visit: &Visit, server: &Server) -> OpenConnections {
    let keep = visit.scenario.keep_alive;
    // Where each reply ends its connection, more of them cost little, and a few would tell little.
    let times = if keep { 1 } else { FRESH_TIMES };
    let wanted = Wanted {
        connections: visit.scenario.connections_at_once(visit.idle) * times,
        path: if visit.is_null() {
            PLAINTEXT
        } else {
            "/whoami"
        },
        keep,
    };
    // A target is not stopped, and a null server that closes its connections holds none.
    let stops = visit.contender.target.is_none();
    if stops && (keep || !visit.is_null()) {
        OpenConnections::open(server.address(), wanted, &setup.interrupt)
    } else {
        OpenConnections::default()
    }
}
