//! A request that may harm the server, now and then, each on a connection of its own.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use rustix::event::epoll::EventFlags;

use super::counts;
use super::exchange::{Exchange, Progress};
use crate::clock::{duration_ns, now_ns};
use crate::judge::Judge;
use crate::plan::{Plan, Poison};
use crate::poller::Poller;
use crate::socket;
use crate::window::Window;

/// How often the end of the run is looked for, nanoseconds.
const LOOK_NS: u64 = 20_000_000;

/// A poisoned request without its outcome.
struct Pending {
    exchange: Exchange,
    token: u64,
    intended_ns: u64,
}

/// Sends the poisoned requests of a window until the run is over; what has no reply then, or after
/// the plan's time-out, is lost. Times count from the intended moment, as those of the load do.
///
/// # Errors
/// A failure of epoll.
pub(crate) fn poison(
    plan: &Plan,
    poison: &Poison,
    window: Window,
    over: &AtomicBool,
) -> Result<counts::Poison> {
    let request = plan.request_for("GET", &poison.path, true);
    let every_ns = poison
        .every
        .map_or(window.end_ns - window.start_ns, duration_ns);
    let timeout_ns = duration_ns(plan.timeout);
    let mut judge = Judge::of_framing();
    let mut poller = Poller::new()?;
    let mut scratch = vec![0; 64 * 1024];
    let mut found = counts::Poison::new();
    let mut pending: Vec<Pending> = Vec::new();
    let mut due_ns = window.start_ns.saturating_add(every_ns / 2);
    while !over.load(Ordering::Relaxed) {
        let now = now_ns();
        while due_ns <= now && due_ns < window.end_ns {
            found.sent += 1;
            match socket::open(plan.target.address(), None) {
                Ok(socket) => {
                    let exchange = Exchange::new(socket);
                    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
                    poller.add(exchange.socket(), found.sent, flags)?;
                    pending.push(Pending {
                        exchange,
                        token: found.sent,
                        intended_ns: due_ns,
                    });
                }
                Err(_) => found.lost += 1,
            }
            due_ns = due_ns.saturating_add(every_ns);
        }
        let next_ns = if due_ns < window.end_ns {
            due_ns.saturating_sub(now).min(LOOK_NS)
        } else {
            LOOK_NS
        };
        for event in 0..poller.wait(next_ns)? {
            let (token, _) = poller.event(event);
            let Some(at) = pending.iter().position(|pending| pending.token == token) else {
                continue;
            };
            let exchange = &mut pending[at].exchange;
            match exchange.advance(&request, &mut judge, &mut scratch) {
                Progress::Waiting => continue,
                Progress::Answered(_) => {
                    found.answered += 1;
                    found.response.record(now_ns() - pending[at].intended_ns);
                }
                Progress::Lost(_) => found.lost += 1,
            }
            pending.swap_remove(at);
        }
        let limit_ns = now_ns().saturating_sub(timeout_ns);
        let before = pending.len();
        pending.retain(|pending| pending.intended_ns > limit_ns);
        found.lost += (before - pending.len()) as u64;
    }
    found.lost += pending.len() as u64;
    Ok(found)
}
