//! What connections cost in memory: a server that holds 0, 100, 1,000 and 10,000 of them.
//!
//! Each connection has been served one request and is then silent. The client is the bench's own:
//! nothing is timed. A model in which a worker holds a connection gets a fresh server with as many
//! workers for each step; the others hold more and more on the same server.

use std::time::Duration;

use report::data::MemoryStep;

use crate::failure::Unmeasured;
use crate::observe::client::Client;
use crate::observe::interrupt::Interrupt;
use crate::plan::nature::{Holds, Nature, Workers};
use crate::plan::visit::Visit;
use crate::run::server::{Launch, Server};
use crate::run::setup::Setup;

/// A connection that is not served within this is not held.
const REPLY_WITHIN: Duration = Duration::from_secs(3);
/// How many connections are opened between two looks for Ctrl-C.
const BATCH: u32 = 256;
/// Descriptors that bench and server need for themselves.
const SPARE_FILES: u64 = 128;

/// Memory of the server of `visit` at each of the steps, and the command lines' common part.
///
/// # Errors
/// [`Unmeasured::Interrupted`], or why no server started.
pub fn read(setup: &Setup, visit: &Visit) -> Result<Vec<MemoryStep>, Unmeasured> {
    let nature = visit.contender.nature;
    let pool = matches!(nature.workers, Workers::Pool(_)) && nature.holds == Holds::Workers;
    let resized = pool && visit.contender.target.is_none();
    let mut steps = Vec::new();
    let mut held: Vec<Client> = Vec::new();
    let mut server: Option<Server> = None;
    for &connections in setup.size.memory_steps() {
        if let Some(reason) = impossible(&nature, connections, &steps) {
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
        let reason = hold(
            server,
            visit.path(),
            &mut held,
            connections,
            &setup.interrupt,
        )?;
        server.rest();
        let footprint = server.footprint();
        steps.push(MemoryStep {
            connections: connections.into(),
            pss_kib: footprint.map(|f| f.pss_kib).filter(|_| reason.is_none()),
            rss_kib: footprint.map(|f| f.rss_kib).filter(|_| reason.is_none()),
            tasks: footprint.map(|f| f.tasks).filter(|_| reason.is_none()),
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

/// Why so many cannot be held, before it is tried.
fn impossible(nature: &Nature, connections: u32, before: &[MemoryStep]) -> Option<String> {
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
    nature.cannot_hold(connections).map(|reason| reason.text)
}

fn start(setup: &Setup, visit: &Visit, connections: u32) -> Result<Server, Unmeasured> {
    if let Some(target) = &visit.contender.target {
        return Ok(Server::running(target));
    }
    let nature = visit.contender.nature;
    let most = match nature.workers {
        // A bound holds for all steps: threads come with their connections.
        Workers::UpTo(_) => setup.size.memory_steps().iter().copied().max(),
        Workers::Pool(_) => Some(connections),
        Workers::One | Workers::PerCpu => None,
    };
    let workers = most.filter(|&most| most > 0 && nature.holds == Holds::Workers);
    let sized = Visit {
        workers,
        ..visit.clone()
    };
    let launch = Launch::of(&sized, &setup.server, &setup.own, &setup.db);
    Server::start(&launch, &setup.server_cpus, &setup.interrupt)
}

/// Opens connections until there are so many; says why when there are not.
fn hold(
    server: &Server,
    path: &str,
    held: &mut Vec<Client>,
    connections: u32,
    interrupt: &Interrupt,
) -> Result<Option<String>, Unmeasured> {
    let before = held.len();
    for n in before..usize::try_from(connections).unwrap_or(usize::MAX) {
        if n % BATCH as usize == 0 && interrupt.came() {
            return Err(Unmeasured::Interrupted);
        }
        let served = Client::connect(server.address(), REPLY_WITHIN)
            .and_then(|mut client| client.ask("GET", path, b"").map(|reply| (client, reply)));
        match served {
            Ok((client, reply)) if reply.status == 200 => held.push(client),
            Ok((_, reply)) => {
                return Ok(Some(format!(
                    "connection {}: status {}",
                    n + 1,
                    reply.status
                )));
            }
            Err(error) => return Ok(Some(format!("connection {}: {error:#}", n + 1))),
        }
    }
    // Those that were there before may have been closed meanwhile: each is asked again.
    for client in held.iter_mut().take(before) {
        if let Err(error) = client.ask("GET", path, b"") {
            return Ok(Some(format!("a connection was not kept: {error:#}")));
        }
    }
    Ok(None)
}
