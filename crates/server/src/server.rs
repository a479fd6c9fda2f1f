//! [`Server`]: what all workers of a model share.

use std::fmt;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use os::net::{Addr, Waker};
use os::successor::Program;
use proto::{Lifecycle, Limits, Protocol, Service};

use crate::addresses::Addresses;
use crate::gate::Gate;
use crate::observe::Observed;
use crate::pid_file::PidFile;
use crate::{Block, Board, Calls, Drain, Listener, Listeners, board};

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
    /// What the service builds where it runs.
    pub(crate) lifecycle: Option<&'static dyn Lifecycle>,
    /// Who calls it.
    pub(crate) calls: Calls,
    /// Whether a worker serves one connection at a time.
    pub(crate) may_wait_to_send: bool,
    /// Whether a service may receive the rest of a body inside its call.
    pub(crate) receives: bool,
    /// Whether requests wait for any of several threads, which run the same tasks.
    pub(crate) shares_queue: bool,
    /// Whether each worker is a process of its own.
    pub(crate) processes: bool,
    /// Whether there may be several of these, by design, so that none sees what another one changes.
    pub(crate) several_processes: bool,
    /// Whether the service has said before it was built that it has slow requests.
    pub(crate) knew_of_slow_requests: bool,
    /// The same of bodies that it receives in its calls.
    pub(crate) knew_of_receiving: bool,
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
    /// What is written for the helper, if anything asks for it.
    pub(crate) observed: Option<&'static Observed>,
    /// Path of the admin listener, if it is a Unix socket of our own.
    pub(crate) admin_path: Option<PathBuf>,
    /// The admin listener, for a successor.
    pub(crate) admin: Option<OwnedFd>,
    /// What a successor of this server is, once that is known.
    pub(crate) program: OnceLock<Program>,
    /// Where to tell a predecessor that this server is ready.
    pub(crate) predecessor: Mutex<Option<OwnedFd>>,
    /// A file that holds the id of the main process.
    pub(crate) pid_file: Option<PidFile>,
    /// What worker threads wait for before they begin.
    pub(crate) gate: Gate,
    /// What each client address may have, if that is bounded.
    pub(crate) addresses: Option<&'static Addresses>,
    /// By worker, its requests in flight, if those are bounded; otherwise empty.
    pub(crate) in_flight: &'static [AtomicU64],
    /// Whether the addresses of peers are asked for.
    pub(crate) asks_peers: bool,
    /// Whether it is asked how long each request has waited in its socket.
    pub(crate) asks_ages: bool,
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

    /// Whether the process of worker `number` was to end and to be replaced.
    pub(crate) fn has_retired(&self, number: usize) -> bool {
        let was_told = self.blocks[number].retires.swap(false, Ordering::SeqCst);
        let figures = self.observed.map(|observed| &observed.figures[number]);
        was_told || figures.is_some_and(|figures| figures.retire.swap(0, Ordering::SeqCst) != 0)
    }

    /// The process of worker `number` has ended: what counted for it counts no more.
    pub(crate) fn forget_worker(&self, number: usize) {
        if let Some(own) = self.in_flight.get(number) {
            self.board.refused.forget(own);
        }
        if let Some(observed) = self.observed {
            observed.figures[number].forget_process();
        }
        if let Some(addresses) = self.addresses {
            addresses.forget(number);
        }
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
        if self.drain.leaves_listeners() {
            return;
        }
        self.listeners.iter().for_each(Listener::remove_path);
        if let Some(file) = &self.pid_file {
            file.remove();
        }
        if let Some(path) = &self.admin_path {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Counts a connection that the main thread puts into a queue for workers. Who takes it gives the
    /// result to [`Worker::count_taken`](crate::Worker::count_taken).
    pub fn count_queued(&self) -> Option<Instant> {
        board::add(&self.board.queued, 1);
        self.observed.map(|_| Instant::now())
    }

    /// The part of the scoreboard that concerns the whole server.
    pub fn board(&self) -> &'static Board {
        self.board
    }

    /// The exit status of a server whose service could not be built; 0 of any other.
    pub(crate) fn failed(&self) -> u8 {
        self.board.failed.load(Ordering::SeqCst) as u8
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
