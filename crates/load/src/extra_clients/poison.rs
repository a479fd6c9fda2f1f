//! Requests that may harm the server, from time to time, each on a connection of its own.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use rustix::event::epoll::EventFlags;

use super::counts::PoisonCounts;
use super::exchange::{Exchange, RequestState};
use crate::checker::Checker;
use crate::clock::{duration_ns, now_ns};
use crate::plan::{Plan, Poison};
use crate::poller::Poller;
use crate::socket;
use crate::window::Window;

/// Longest time between two checks for the end of the run, nanoseconds.
const CHECK_NS_MAX: u64 = 20_000_000;

/// A poisoned request without a reply.
struct Unanswered {
    exchange: Exchange,
    token: u64,
    intended_ns: u64,
}

/// Sends the poisoned requests of a window until the run is over. A request that has no reply then,
/// or after the plan's time-out, is lost. Response times count from the intended start, as those of
/// the load do.
pub(crate) fn send_poison(
    plan: &Plan,
    poison: &Poison,
    window: Window,
    over: &AtomicBool,
) -> Result<PoisonCounts> {
    let request = plan.request_for("GET", &poison.path, true);
    let every_ns = poison
        .every
        .map_or(window.end_ns - window.start_ns, duration_ns);
    let timeout_ns = duration_ns(plan.timeout);
    let mut checker = Checker::framing_only();
    let mut poller = Poller::new()?;
    let mut scratch = vec![0; 64 * 1024];
    let mut counts = PoisonCounts::default();
    let mut unanswered: Vec<Unanswered> = Vec::new();
    let mut due_ns = window.start_ns.saturating_add(every_ns / 2);
    while !over.load(Ordering::Relaxed) {
        let now = now_ns();
        while due_ns <= now && due_ns < window.end_ns {
            counts.sent += 1;
            match socket::open(plan.target.address(), None) {
                Ok(socket) => {
                    let exchange = Exchange::new(socket);
                    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
                    poller.add(exchange.socket(), counts.sent, flags)?;
                    unanswered.push(Unanswered {
                        exchange,
                        token: counts.sent,
                        intended_ns: due_ns,
                    });
                }
                Err(_) => counts.lost += 1,
            }
            due_ns = due_ns.saturating_add(every_ns);
        }
        let next_ns = if due_ns < window.end_ns {
            due_ns.saturating_sub(now).min(CHECK_NS_MAX)
        } else {
            CHECK_NS_MAX
        };
        for event in 0..poller.wait(next_ns)? {
            let (token, _) = poller.event(event);
            let Some(at) = unanswered.iter().position(|request| request.token == token) else {
                continue;
            };
            let exchange = &mut unanswered[at].exchange;
            match exchange.advance(&request, &mut checker, &mut scratch) {
                RequestState::Waiting => continue,
                RequestState::Answered(_) => {
                    counts.answered += 1;
                    counts
                        .response
                        .record(now_ns() - unanswered[at].intended_ns);
                }
                RequestState::Lost(_) => counts.lost += 1,
            }
            unanswered.swap_remove(at);
        }
        let limit_ns = now_ns().saturating_sub(timeout_ns);
        let before = unanswered.len();
        unanswered.retain(|request| request.intended_ns > limit_ns);
        counts.lost += (before - unanswered.len()) as u64;
    }
    counts.lost += unanswered.len() as u64;
    Ok(counts)
}
