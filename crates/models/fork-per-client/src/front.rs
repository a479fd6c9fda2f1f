//! `--front poll`: one more process holds connections, and the parent forks a child for every request that is
//! complete.

use std::sync::atomic::Ordering;

use os::process::Signal;
use os::{Errno, signal};
use reactor::front::{Links, Passed, Report, Said, in_process, serve_one};
use server::{Backoff, Children, Front, Phase, Server, ServingChild, Topic, repeated};

use crate::{CHILD_ENDED, on_end};

pub(crate) const FRONT: Option<Front> = Some(Front {
    serves: "a child",
    processes: true,
    extra_threads: |limits| 1 + limits.sending_max.min(limits.connections_max),
    run,
});

fn run(server: &'static Server) -> server::Result {
    signal::handle(&[Signal::CHILD], on_end);
    let links = Links::new(1)?;
    let mut parent = Parent {
        server,
        children: Children::with_front(server),
        ids: vec![None; server.blocks.len()],
        front: Backoff::new(server.limits.respawn_pause_ms_max),
        has_front: false,
        forking: Backoff::new(server.limits.accept_pause_ms_max),
    };
    match parent.run(&links) {
        Some(Started::Front(child)) => in_process(server, child, links.of_front(), true),
        Some(Started::Child(child, passed)) => {
            let mut worker = child.worker();
            if let Some(links) = links.of_seat(0) {
                serve_one(&links, child.number, passed, &mut worker);
            }
            child.end()
        }
        None => {}
    }
    drop(links);
    parent.children.drain();
    Ok(())
}

/// What a process is that the parent has forked.
enum Started {
    Front(ServingChild),
    Child(ServingChild, Passed),
}

struct Parent {
    server: &'static Server,
    children: Children,
    /// By worker number, the request that its process serves.
    ids: Vec<Option<u64>>,
    /// Pauses before a front that has died is replaced.
    front: Backoff,
    /// It was forked, and has not ended.
    has_front: bool,
    forking: Backoff,
}

impl Parent {
    /// Forks the front, and a child for every request that it passes, until it says that there will be no more:
    /// `Some` in what was forked.
    fn run(&mut self, links: &Links) -> Option<Started> {
        let server = self.server;
        let mut room = Vec::new();
        while server.drain.phase() < Phase::Cutting {
            if CHILD_ENDED.swap(false, Ordering::Relaxed) {
                self.children.reap_each(|number, well| {
                    note(&mut self.ids, &mut self.has_front, links, number, well);
                });
            }
            if server.drain.has_begun() {
                self.children.signal_drain();
                if !self.has_front {
                    return None;
                }
            } else if !self.has_front {
                if let Some(child) = self.fork_front() {
                    return Some(Started::Front(child));
                }
                continue;
            }
            server.ready();
            if self.children.is_full() {
                // Their clients take their replies slowly. What the front passes meanwhile, as many requests as
                // children may compute, waits in its socket, and the rest in its queue.
                if let Some((number, well)) = self.children.wait_for_number() {
                    note(&mut self.ids, &mut self.has_front, links, number, well);
                }
                continue;
            }
            match links.listen(&mut room) {
                Ok(Said::Request(passed)) => {
                    if let Some(child) = self.fork_for(&passed, links) {
                        return Some(Started::Child(child, passed));
                    }
                }
                Ok(Said::Lost(id)) => lost(links, id),
                Ok(Said::NoMore) => return None,
                Ok(Said::AreYouThere | Said::Nothing) | Err(_) => {}
            }
        }
        None
    }

    /// Forks the front: `Some` in it.
    fn fork_front(&mut self) -> Option<ServingChild> {
        let forked = self.children.fork_number(self.server.extra_thread(0));
        match forked {
            Ok(None) => self.has_front = true,
            Ok(child) => return child,
            Err(error) => self.pause(error, true),
        }
        None
    }

    /// Forks a child for a request, now or when it can be had: `Some` in the child.
    fn fork_for(&mut self, passed: &Passed, links: &Links) -> Option<ServingChild> {
        loop {
            let number = self.children.next_number();
            match self.children.fork() {
                Ok(None) => {
                    self.forking.reset();
                    if let Some(id) = number.and_then(|number| self.ids.get_mut(number)) {
                        *id = Some(passed.id);
                    }
                    return None;
                }
                Ok(child) => return child,
                Err(error) => self.pause(error, false),
            }
            if self.server.drain.phase() >= Phase::Cutting {
                lost(links, passed.id);
                return None;
            }
        }
    }

    fn pause(&mut self, error: Errno, of_front: bool) {
        repeated(
            Topic::Fork,
            format_args!("fork: {error}; clients wait until one can be had"),
        );
        let backoff = match of_front {
            true => &mut self.front,
            false => &mut self.forking,
        };
        let _ = self.server.wait_for_drain(backoff.pause());
    }
}

/// Child `number` has ended. If that was in the middle of a request, the front closes its client.
fn note(ids: &mut [Option<u64>], has_front: &mut bool, links: &Links, number: usize, well: bool) {
    match ids[number].take() {
        None => *has_front = false, // It alone serves no request.
        Some(id) if !well => lost(links, id),
        Some(_) => {}
    }
}

fn lost(links: &Links, id: u64) {
    links.report(Report::Done {
        seat: 0,
        id,
        end: None,
    });
}
