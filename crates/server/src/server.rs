//! [`Server`]: what a model and everything it starts work with.

use std::fmt;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use os::net::{Addr, Waker};
use proto::{Limits, Protocol, Service};

use crate::{Block, Board, Drain, Listener, Listeners};

/// Everything a model needs, made before its first fork or thread and never moved.
pub struct Server {
    /// Name of the model that runs.
    pub model: &'static str,
    /// Name of its variant, `-` where the model has one only.
    pub variant: &'static str,
    /// How many workers it has.
    pub workers: usize,
    /// The bounds.
    pub limits: Limits,
    /// What is spoken.
    pub protocol: Protocol,
    /// Who answers.
    pub service: &'static dyn Service,
    /// The listeners; [`listeners_of`](Server::listeners_of) says whose.
    pub listeners: Vec<Listener>,
    /// Whose they are.
    pub(crate) sharing: Listeners,
    /// Sockets for datagrams at the same addresses, where the variant takes them.
    pub datagrams: Vec<UdpSocket>,
    /// The connection that a super-server has accepted for us.
    pub(crate) given: Mutex<Option<OwnedFd>>,
    /// The state of the drain.
    pub drain: Drain,
    /// Is woken when the drain begins, for whoever waits in a selector; nobody clears it.
    pub waker: Waker,
    /// One block of the scoreboard for each worker, then one for each thread
    /// [extra](Server::extra_thread) them.
    pub blocks: &'static [Block],
    pub(crate) board: &'static Board,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("model", &self.model)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

/// What a drain came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// Connections served since the start.
    pub connections: u64,
    /// Requests served.
    pub requests: u64,
    /// Connections cut at the end of the grace.
    pub cut: u64,
    /// Workers replaced.
    pub respawned: u64,
}

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shutdown {
            connections,
            requests,
            cut,
            respawned,
        } = self;
        write!(
            f,
            "drained: {connections} connections, {requests} requests, {cut} cut, {respawned} workers replaced"
        )
    }
}

impl Server {
    /// The connection with which a super-server has started this process; once.
    pub fn given(&self) -> Option<OwnedFd> {
        self.given.lock().map_or(None, |mut given| given.take())
    }

    pub(crate) fn has_unix_listener(&self) -> bool {
        self.listeners
            .iter()
            .any(|listener| !matches!(listener.addr, Addr::Tcp(_)))
    }

    pub(crate) fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.limits.write_ms)
    }

    /// Counts a connection that the end of the grace cut.
    pub fn count_cut(&self) {
        self.board.cut.fetch_add(1, Ordering::Relaxed);
    }

    /// Number of the thread that is number `index` of those beside the workers.
    pub fn extra_thread(&self, index: usize) -> usize {
        self.workers + index
    }

    /// Connections that loop `number` of `loops` may hold: together, as many as the server may.
    pub fn connections_max_of(&self, number: usize, loops: usize) -> usize {
        let max = self.limits.connections_max;
        max / loops + usize::from(number % loops < max % loops)
    }

    /// Counts as cut the connections that are still open and were not counted as cut before.
    pub(crate) fn count_open_as_cut(&self) {
        let left = self.blocks.iter().filter(|block| !block.is_cut());
        let open: u64 = left.map(Block::open).sum();
        (0..open).for_each(|_| self.count_cut());
    }

    /// Removes the paths of our own Unix listeners. Async-signal-safe: std copies a path as short as
    /// a socket's (107 bytes at most, `unix(7)`) to the stack, not to the heap.
    pub(crate) fn remove_paths(&self) {
        for listener in &self.listeners {
            if let (Addr::Unix(path), true) = (&listener.addr, listener.owned) {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// The sums of the scoreboard.
    pub(crate) fn shutdown(&self) -> Shutdown {
        let sum = |figure: fn(&Block) -> u64| self.blocks.iter().map(figure).sum();
        Shutdown {
            connections: sum(|block| block.connections.load(Ordering::Relaxed)),
            requests: sum(|block| block.requests.load(Ordering::Relaxed)),
            cut: self.board.cut.load(Ordering::Relaxed),
            respawned: self.board.respawned.load(Ordering::Relaxed),
        }
    }
}
