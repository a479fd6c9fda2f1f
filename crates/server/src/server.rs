//! [`Server`]: what all workers of a model share.

use std::fmt;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use os::net::{Addr, Waker};
use proto::{Limits, Protocol, Service};

use crate::{Block, Board, Drain, Listener, Listeners};

/// What a model works with. It is created before the first fork or thread, and never freed.
pub struct Server {
    /// Name of the model that runs.
    pub model: &'static str,
    /// Name of its variant, `-` if the model has one only.
    pub variant: &'static str,
    /// How many workers there are.
    pub workers: usize,
    /// The bounds.
    pub limits: Limits,
    /// The protocol.
    pub protocol: Protocol,
    /// The service that answers requests.
    pub service: &'static dyn Service,
    /// The listeners; see [`listeners_of`](Server::listeners_of).
    pub listeners: Vec<Listener>,
    /// Whether workers share them.
    pub(crate) sharing: Listeners,
    /// UDP sockets on the same addresses, if the variant needs them.
    pub datagrams: Vec<UdpSocket>,
    /// The connection for which a super-server has started this process.
    pub(crate) inetd_connection: Mutex<Option<OwnedFd>>,
    /// The state of the drain.
    pub drain: Drain,
    /// Readable from the beginning of the drain on, for loops that wait in a selector.
    pub waker: Waker,
    /// Blocks of the scoreboard: one for each worker, then one for each [extra
    /// thread](Server::extra_thread).
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

/// The figures of a server that has drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// Connections accepted.
    pub connections: u64,
    /// Requests served.
    pub requests: u64,
    /// Of these, requests answered with 503 because they had waited too long.
    pub shed: u64,
    /// Connections that were cut at the end of the grace.
    pub cut: u64,
    /// Workers that ended unexpectedly and were replaced.
    pub respawned: u64,
}

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shutdown {
            connections,
            requests,
            shed,
            cut,
            respawned,
        } = self;
        write!(
            f,
            "drained: {connections} connections, {requests} requests, {cut} cut, {respawned} workers replaced"
        )?;
        match shed {
            0 => Ok(()),
            _ => write!(f, ", {shed} shed"),
        }
    }
}

impl Server {
    /// The connection for which a super-server has started this process. `None`: there is none, or it was
    /// taken before.
    pub fn take_inetd_connection(&self) -> Option<OwnedFd> {
        self.inetd_connection
            .lock()
            .map_or(None, |mut connection| connection.take())
    }

    pub(crate) fn has_unix_listener(&self) -> bool {
        self.listeners
            .iter()
            .any(|listener| !matches!(listener.addr, Addr::Tcp(_)))
    }

    pub(crate) fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.limits.write_ms)
    }

    /// Counts a connection that was cut at the end of the grace.
    pub fn count_cut(&self) {
        self.board.cut.fetch_add(1, Ordering::Relaxed);
    }

    /// The worker number of extra thread `index`, which is not one of the workers.
    pub fn extra_thread(&self, index: usize) -> usize {
        self.workers + index
    }

    /// How many connections loop `number` of `loops` may have. Together they may have as many as the server.
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
            shed: sum(|block| block.shed.load(Ordering::Relaxed)),
            cut: self.board.cut.load(Ordering::Relaxed),
            respawned: self.board.respawned.load(Ordering::Relaxed),
        }
    }
}
