//! Connections that are held and do nothing, after one request that proves them.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use schema::load::IdleFigures;

use super::exchange::{Exchange, Progress};
use crate::clock::{duration_ns, now_ns};
use crate::judge::{Judge, Models};
use crate::plan::Plan;
use crate::poller::Poller;
use crate::socket;

/// Most connections being opened at once: fewer than the shortest usual backlog.
const OPENING_MAX: usize = 100;

/// Least patience with a server that opens no further connection, nanoseconds.
const PATIENCE_NS_MIN: u64 = 1_000_000_000;

/// How often an interrupt is looked for, nanoseconds.
const LOOK_NS: u64 = 50_000_000;

/// The connections held.
#[derive(Debug)]
pub(crate) struct Idle {
    asked: usize,
    held: Vec<OwnedFd>,
}

impl Idle {
    /// Opens the plan's idle connections, each with a request whose reply is checked. A server
    /// that takes only some of them does not stop the run; that it did is told at its end.
    ///
    /// # Errors
    /// An interrupt, or a failure of epoll.
    pub(crate) fn open(plan: &Plan, models: &Models, stop: &AtomicBool) -> Result<Self> {
        let request = plan.lasting_request();
        let mut judge = Judge::new(plan, 0, models);
        let mut poller = Poller::new()?;
        let mut scratch = vec![0; 64 * 1024];
        let mut held = Vec::with_capacity(plan.idle);
        let mut opening: Vec<Option<Exchange>> = (0..OPENING_MAX).map(|_| None).collect();
        let mut places: Vec<usize> = (0..OPENING_MAX).collect();
        let patience_ns = duration_ns(plan.timeout).max(PATIENCE_NS_MIN);
        let mut deadline_ns = now_ns() + patience_ns;
        let mut left = plan.idle;
        while (left > 0 || places.len() < OPENING_MAX) && now_ns() < deadline_ns {
            while left > 0
                && let Some(place) = places.pop()
            {
                left -= 1;
                let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
                match socket::open(plan.target.address(), None) {
                    Ok(socket) => {
                        let exchange = Exchange::new(socket);
                        poller.add(exchange.socket(), place as u64, flags)?;
                        opening[place] = Some(exchange);
                    }
                    // A Unix socket whose backlog is full.
                    Err(Errno::AGAIN) => {
                        left += 1;
                        places.push(place);
                        break;
                    }
                    Err(_) => places.push(place),
                }
            }
            let events = poller.wait(LOOK_NS)?;
            for event in 0..events {
                let (token, _) = poller.event(event);
                let place = token as usize;
                let Some(exchange) = &mut opening[place] else {
                    continue;
                };
                match exchange.advance(&request, &mut judge, &mut scratch) {
                    Progress::Waiting => continue,
                    Progress::Answered(verdict) if verdict.class.is_none() => {
                        held.extend(opening[place].take().map(Exchange::into_socket));
                        deadline_ns = now_ns() + patience_ns;
                    }
                    Progress::Answered(_) | Progress::Lost(_) => opening[place] = None,
                }
                places.push(place);
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

    /// Looks which connections are still open, and closes them.
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

/// Whether the peer has left a connection open on which nothing is awaited.
fn is_open(socket: &OwnedFd) -> bool {
    let mut scratch = [0; 4096];
    loop {
        match recv(socket, &mut scratch, RecvFlags::DONTWAIT) {
            // A last word, such as 408; the end comes behind it.
            Ok((1.., _)) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return true,
            _ => return false,
        }
    }
}
