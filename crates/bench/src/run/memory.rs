//! What connections cost in memory: a server holds 0, 100, 1,000 and 10,000 of them.
//!
//! Each connection is served one request and is idle then. The bench opens them itself, since nothing is
//! timed. Where a worker holds a connection, each step has a fresh server with as many workers; else
//! connections are added on the same server.

use std::time::Duration;

use report::data::MemoryStep;

use crate::failure::Unmeasured;
use crate::observe::client::Client;
use crate::observe::interrupt::Interrupt;
use crate::plan::visit::Visit;
use crate::plan::workers::{Count, Holds, Workers};
use crate::run::server::Server;
use crate::run::setup::Setup;

/// A connection that is not served within this is not held.
const REPLY_WITHIN: Duration = Duration::from_secs(3);
/// After how many connections it is checked whether Ctrl-C has been pressed.
const BATCH: u32 = 256;
/// Descriptors that bench and server need in addition to the connections.
const SPARE_FILES: u64 = 128;

/// Memory of the server of `visit` at each number of connections.
pub fn read(setup: &Setup, visit: &Visit) -> Result<Vec<MemoryStep>, Unmeasured> {
    let workers = visit.contender.workers;
    let pool = matches!(workers.count, Count::Pool(_)) && workers.holds == Holds::Workers;
    let resized = pool && visit.contender.target.is_none();
    let mut steps = Vec::new();
    let mut held: Vec<Client> = Vec::new();
    let mut server: Option<Server> = None;
    for &connections in setup.size.memory_steps() {
        if let Some(reason) = impossible(&workers, connections, &steps) {
            steps.push(MemoryStep {
                connections: connections.into(),
                reason,
                ..MemoryStep::default()
            });
            continue;
        }
        if resized || server.is_none() {
            held.clear();
            if let Some(server) = server.take() {
                server.drain(&setup.interrupt)?;
            }
            server = Some(start(setup, visit, connections)?);
        }
        let Some(server) = &server else { break };
        let (path, interrupt) = (visit.path(), &setup.interrupt);
        let reason = hold(server, path, &mut held, connections, interrupt)?;
        server.wait_until_quiet();
        let footprint = server.footprint().filter(|_| reason.is_none());
        steps.push(MemoryStep {
            connections: connections.into(),
            pss_kib: footprint.map(|f| f.pss_kib),
            private_kib: footprint.map(|f| f.private_kib),
            rss_kib: footprint.map(|f| f.rss_kib),
            tasks: footprint.map(|f| f.tasks),
            held: reason.is_none(),
            reason: reason.unwrap_or_default(),
        });
    }
    drop(held);
    if let Some(server) = server {
        server.drain(&setup.interrupt)?;
    }
    Ok(steps)
}

/// Why so many connections need not be tried, when they need not.
fn impossible(workers: &Workers, connections: u32, before: &[MemoryStep]) -> Option<String> {
    if let Some(step) = before.iter().find(|step| !step.held) {
        return Some(step.reason.clone());
    }
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let files = files.unwrap_or(u64::MAX);
    if u64::from(connections) + SPARE_FILES > files {
        return Some(format!(
            "no process may have more than {files} descriptors here"
        ));
    }
    workers.cannot_hold(connections).map(|reason| reason.text)
}

fn start(setup: &Setup, visit: &Visit, connections: u32) -> Result<Server, Unmeasured> {
    if let Some(target) = &visit.contender.target {
        return Server::of_target(setup, target);
    }
    let workers = visit.contender.workers;
    let most = match workers.count {
        // One bound serves all steps: such workers come with their connections.
        Count::UpTo(_) => setup.size.memory_steps().iter().copied().max(),
        Count::Pool(_) => Some(connections),
        Count::One | Count::PerCpu => None,
    };
    let workers = most.filter(|&most| most > 0 && workers.holds == Holds::Workers);
    let sized = Visit {
        workers,
        ..visit.clone()
    };
    Server::of_visit(setup, &sized, &setup.db)
}

/// Opens connections until there are so many; gives the reason when the server does not hold them.
pub fn hold(
    server: &Server,
    path: &str,
    held: &mut Vec<Client>,
    connections: u32,
    interrupt: &Interrupt,
) -> Result<Option<String>, Unmeasured> {
    let before = held.len();
    for n in before..usize::try_from(connections).unwrap_or(usize::MAX) {
        if n % BATCH as usize == 0 && interrupt.is_set() {
            return Err(Unmeasured::Interrupted);
        }
        let served = Client::connect(server.address(), REPLY_WITHIN)
            .and_then(|mut client| client.ask("GET", path, b"").map(|reply| (client, reply)));
        match served {
            Ok((client, reply)) if reply.status == 200 => held.push(client),
            Ok((_, reply)) => {
                let status = reply.status;
                return Ok(Some(format!("connection {}: status {status}", n + 1)));
            }
            Err(error) => return Ok(Some(format!("connection {}: {error:#}", n + 1))),
        }
    }
    // The server may have closed those of the steps before: each is asked again.
    for client in held.iter_mut().take(before) {
        if let Err(error) = client.ask("GET", path, b"") {
            return Ok(Some(format!("a connection was not kept: {error:#}")));
        }
    }
    Ok(None)
}
