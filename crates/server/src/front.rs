//! What keeps slow clients from holding workers (`--front`).

use clap::ValueEnum;
use clap::builder::PossibleValue;
use os::net::{self, Addr};
use proto::{Intake, Request, Service};

use crate::refusal::Refusal;
use crate::{Holds, Limits, Listener, Listeners, Variant, receiving};

/// Who waits for a request while the client is slow to send it, or slow to take the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlowClients {
    /// A [front](crate::Front): one poller holds all connections, and a worker takes one with its complete
    /// request.
    Poll,
    /// The kernel, until the first byte of a new connection has come (`TCP_DEFER_ACCEPT`, `tcp(7)`), or the
    /// time for a head has passed.
    Defer,
}

impl ValueEnum for SlowClients {
    fn value_variants<'a>() -> &'a [SlowClients] {
        &[SlowClients::Poll, SlowClients::Defer]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            SlowClients::Poll => PossibleValue::new("poll")
                .help("One poller holds connections until a request is complete"),
            SlowClients::Defer => PossibleValue::new("defer")
                .help("The kernel holds new connections until their first byte"),
        })
    }
}

/// The variant as it is with what was asked for, or why it cannot have that.
pub(crate) fn before(
    model: &str,
    variant: &Variant,
    asked: Option<SlowClients>,
) -> Result<Variant, Refusal> {
    if asked != Some(SlowClients::Poll) {
        return Ok(*variant);
    }
    variant.fronted().ok_or_else(|| {
        let why = if variant.needs.listeners == Listeners::None {
            "it serves one connection and ends, so a slow client delays no other"
        } else if variant.workers.holds == Holds::Many {
            "its connections hold no worker, so it needs none"
        } else {
            "it has none; iterative, fork-per-client, prefork, thread-per-client and thread-pool \
             have (cargo feature `front`)"
        };
        Refusal::Usage(format!("--front: {model}: {why}"))
    })
}

/// The service as a front asks it. Requests that are passed to another process are passed whole: a sink that
/// takes a body in pieces is made by the front, and could not follow. So a body beyond the limit of memory is
/// refused, unless the service has it kept in memory.
pub(crate) fn passable(service: &'static dyn Service, variant: &Variant) -> &'static dyn Service {
    match receiving::passes_whole(variant) {
        true => Box::leak(Box::new(Passable(service))),
        false => service,
    }
}

struct Passable(&'static dyn Service);

#[deny(clippy::missing_trait_methods)] // What it does not pass on is lost.
impl Service for Passable {
    proto::pass_on!(0: call, nature, has_slow_requests, memory, lifecycle, asynchronous, awaits, receives);

    fn intake(&self, request: &Request<'_>, bytes: Option<u64>) -> Intake {
        match self.0.intake(request, bytes) {
            Intake::Pieces(..) | Intake::Upload(_) => Intake::Refuse,
            other => other,
        }
    }
}

/// Has the kernel hold new connections, if that was asked for. A predecessor may have asked for it at
/// listeners that it has left to this process.
pub(crate) fn defer(
    listeners: &[Listener],
    asked: Option<SlowClients>,
    has_predecessor: bool,
    limits: &Limits,
) -> Result<(), Refusal> {
    let asks = asked == Some(SlowClients::Defer);
    if !asks && !has_predecessor {
        return Ok(());
    }
    let seconds = match asks {
        true => limits.head_ms.div_ceil(1_000),
        false => 0,
    };
    let mut any = false;
    for listener in listeners {
        any |= net::defer_accept(listener, seconds.try_into().unwrap_or(i32::MAX));
    }
    if asks && !any {
        listeners.iter().for_each(Listener::remove_path);
        let addr = listeners.first().map(|listener| &listener.addr);
        let addr = addr.map_or_else(|| "descriptor 0".to_owned(), Addr::to_string);
        return Err(Refusal::Usage(format!(
            "--front defer: {addr} is no TCP listener; over Unix sockets there is --front poll only"
        )));
    }
    Ok(())
}
