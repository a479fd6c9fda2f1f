//! Connections that carry one request, which shows that they work, and are then held idle.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use schema::load::IdleFigures;

use super::exchange::{Exchange, RequestState};
use crate::checker::{Checker, ReferenceBodies};
use crate::clock::{duration_ns, now_ns};
use crate::plan::Plan;
use crate::poller::Poller;
use crate::socket;

/// Most connections being opened at once: fewer than the shortest usual backlog.
const OPENING_MAX: usize = 100;

/// How long a server that accepts no further connection is waited for at least, nanoseconds.
const TIMEOUT_NS_MIN: u64 = 1_000_000_000;

/// Longest time between two checks for an interrupt, nanoseconds.
const CHECK_NS_MAX: u64 = 50_000_000;

/// The connections held.
#[derive(Debug)]
pub(crate) struct IdleConnections {
    asked: usize,
    held: Vec<OwnedFd>,
}

impl IdleConnections {
    /// Opens the plan's idle connections, each with a request whose reply is checked. A server
    /// that accepts only some of them does not stop the run; the result says how many.
    pub(crate) fn open(
        plan: &Plan,
        references: &ReferenceBodies,
        stop: &AtomicBool,
    ) -> Result<Self> {
        let request = plan.lasting_request();
        let mut checker = Checker::new(plan, 0, references);
        let mut poller = Poller::new()?;
        let mut scratch = vec![0; 64 * 1024];
        let mut held = Vec::with_capacity(plan.idle);
        let mut opening: Vec<Option<Exchange>> = (0..OPENING_MAX).map(|_| None).collect();
        let mut unused: Vec<usize> = (0..OPENING_MAX).collect();
        let timeout_ns = duration_ns(plan.timeout).max(TIMEOUT_NS_MIN);
        let mut deadline_ns = now_ns() + timeout_ns;
        let mut left = plan.idle;
        while (left > 0 || unused.len() < OPENING_MAX) && now_ns() < deadline_ns {
            while left > 0
                && let Some(index) = unused.pop()
            {
                left -= 1;
                let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
                match socket::open(plan.target.address(), None) {
                    Ok(socket) => {
                        let exchange = Exchange::new(socket);
                        poller.add(exchange.socket(), index as u64, flags)?;
                        opening[index] = Some(exchange);
                    }
                    // A Unix socket whose backlog is full.
                    Err(Errno::AGAIN) => {
                        left += 1;
                        unused.push(index);
                        break;
                    }
                    Err(_) => unused.push(index),
                }
            }
            let events = poller.wait(CHECK_NS_MAX)?;
            for event in 0..events {
                let (token, _) = poller.event(event);
                let index = token as usize;
                let Some(exchange) = &mut opening[index] else {
                    continue;
                };
                match exchange.advance(&request, &mut checker, &mut scratch) {
                    RequestState::Waiting => continue,
                    RequestState::Answered(verdict) if verdict.class.is_none() => {
                        held.extend(opening[index].take().map(Exchange::into_socket));
                        deadline_ns = now_ns() + timeout_ns;
                    }
                    RequestState::Answered(_) | RequestState::Lost(_) => opening[index] = None,
                }
                unused.push(index);
            }
            if stop.load(Ordering::Relaxed) {
                bail!("interrupted before the load began");
            }
        }
        Ok(Self {
            asked: plan.idle,
            held,
        })
    }

    /// Counts the connections that are still open, and closes them.
    pub(crate) fn close(self) -> IdleFigures {
        let open = self.held.iter().filter(|socket| is_open(socket)).count() as u64;
        let opened = self.held.len() as u64;
        IdleFigures {
            asked: self.asked as u64,
            opened,
            open_at_end: open,
            closed_by_server: opened - open,
        }
    }
}

/// Whether the peer has left a connection open that has no request in flight.
fn is_open(socket: &OwnedFd) -> bool {
    let mut scratch = [0; 4096];
    loop {
        match recv(socket, &mut scratch, RecvFlags::DONTWAIT) {
            // The server may send a reply such as 408 before it closes.
            Ok((1.., _)) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return true,
            _ => return false,
        }
    }
}
