//! From a command line to a running server, and its exit.

use std::fmt;
use std::io::Write;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser};
use os::net::{Addr, Waker};
use proto::{Limits, Protocol, Service};

use crate::{
    Block, Board, Drain, Listener, Listeners, Model, ServeArgs, Variant, drain, listeners, unusable,
};

/// Everything a model needs, made before its first fork or thread and never moved.
pub struct Server {
    /// The model that runs.
    pub model: &'static Model,
    /// Its variant.
    pub variant: &'static Variant,
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
    /// Sockets for datagrams at the same addresses, where the variant takes them.
    pub datagrams: Vec<UdpSocket>,
    /// The connection that a super-server has accepted for us.
    given: Mutex<Option<OwnedFd>>,
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
            .field("model", &self.model.name)
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

    pub(crate) fn begin_drain(&self) {
        self.drain.begin(); // A second signal changes nothing.
        self.close_listeners();
        self.waker.wake();
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

    /// Counts as cut what is still open and was not counted by pressing.
    pub(crate) fn count_left_as_cut(&self) {
        let left = self.blocks.iter().filter(|block| !block.is_cut());
        let open: u64 = left.map(Block::open).sum();
        (0..open).for_each(|_| self.count_cut());
    }

    /// The end of [`serve`], from a signal handler: no allocation, no lock.
    pub(crate) fn leave_now(&self) -> ! {
        self.count_left_as_cut();
        self.remove_paths();
        let mut line = [0; 200];
        let mut rest = &mut line[..];
        let _ = writeln!(rest, "turnstile: {}", self.shutdown());
        let unused = rest.len();
        os::signal::write(2, &line[..line.len() - unused]);
        os::process::exit_now(0)
    }

    pub(crate) fn remove_paths(&self) {
        for listener in &self.listeners {
            if let (Addr::Unix(path), true) = (&listener.addr, listener.owned) {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    fn shutdown(&self) -> Shutdown {
        let sum = |figure: fn(&Block) -> u64| self.blocks.iter().map(figure).sum();
        Shutdown {
            connections: sum(|block| block.connections.load(Ordering::Relaxed)),
            requests: sum(|block| block.requests.load(Ordering::Relaxed)),
            cut: self.board.cut.load(Ordering::Relaxed),
            respawned: self.board.respawned.load(Ordering::Relaxed),
        }
    }
}

/// One line on standard error, where logs go, in one write, so that the lines of several processes
/// do not mix. A closed standard error loses it.
pub fn log(line: fmt::Arguments<'_>) {
    let _ = std::io::stderr().write_all(format!("turnstile: {line}\n").as_bytes());
}

/// The whole `main` of a model's own program: parses the command line, serves, returns the exit
/// code (0 after a drain, 2 for unusable arguments, 1 for a failure).
pub fn main(model: &'static Model, service: &'static dyn Service) -> ExitCode {
    /// A service without flags of its own.
    #[derive(Debug, clap::Args)]
    struct NoFlags {}
    main_with(model, |_: &NoFlags| Ok(service))
}

/// The same for a service with flags of its own, `A`, made of them by `service`.
pub fn main_with<A: clap::Args>(
    model: &'static Model,
    service: impl FnOnce(&A) -> anyhow::Result<&'static dyn Service>,
) -> ExitCode {
    /// Serves with one concurrency model.
    #[derive(Debug, Parser)]
    struct Program<A: clap::Args> {
        #[command(flatten)]
        args: ServeArgs,
        #[command(flatten)]
        service: A,
    }
    let command = Program::<A>::command()
        .name(model.name)
        .about(model.variants[0].summary);
    match command
        .try_get_matches()
        .and_then(|matches| Program::<A>::from_arg_matches(&matches))
    {
        Ok(program) => serve_with(model, &program.args, || service(&program.service)),
        Err(error) => unusable(&error),
    }
}

/// Serves what `service` makes, or says in one line why it could not be made.
pub fn serve_with(
    model: &'static Model,
    args: &ServeArgs,
    service: impl FnOnce() -> anyhow::Result<&'static dyn Service>,
) -> ExitCode {
    match service() {
        Ok(service) => serve(model, args, service),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(1)
        }
    }
}

/// Serves with `model` until drained, and says how it went in one line and an exit code.
pub fn serve(model: &'static Model, args: &ServeArgs, service: &'static dyn Service) -> ExitCode {
    let server = match prepare(model, args, service) {
        Ok(server) => server,
        Err(Refusal::Usage(line)) => {
            let _ = writeln!(std::io::stderr(), "error: {line}");
            return ExitCode::from(2);
        }
        Err(Refusal::Failure(line)) => {
            let _ = writeln!(std::io::stderr(), "error: {line}");
            return ExitCode::from(1);
        }
    };
    announce(server);
    let ran = (server.variant.run)(server);
    server.remove_paths();
    match ran {
        Ok(()) => {
            log(format_args!("{}", server.shutdown()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(1)
        }
    }
}

pub(crate) enum Refusal {
    /// The arguments are unusable.
    Usage(String),
    /// The machine said no.
    Failure(String),
}

fn prepare(
    model: &'static Model,
    args: &ServeArgs,
    service: &'static dyn Service,
) -> Result<&'static Server, Refusal> {
    let variant = model
        .variant(args.variant.as_deref())
        .map_err(Refusal::Usage)?;
    (variant.needs.kernel)().map_err(Refusal::Failure)?;
    let limits = args.limits.resolve().map_err(Refusal::Usage)?;
    if let Some(list) = &args.cpus {
        let cpus = os::cpu::parse_list(list).ok_or_else(|| {
            Refusal::Usage(format!(
                "--cpus {list}: not a list of CPUs such as 0 or 0-3,6"
            ))
        })?;
        os::cpu::confine(&cpus)
            .map_err(|error| Refusal::Usage(format!("--cpus {list}: {error}")))?;
    }
    let workers = variant
        .workers
        .count
        .resolve(args.workers)
        .map_err(|line| Refusal::Usage(format!("{}: {line}", model.name)))?;
    let workers = with_work(workers, args, &limits);
    os::process::raise_descriptor_limit();
    os::rseq::decline();
    let listeners = listeners::open(variant, args, workers, &limits)?;
    let datagrams = match variant.needs.datagrams {
        true => listeners::open_for_datagrams(&listeners)?,
        false => Vec::new(),
    };
    let given = match variant.needs.listeners {
        Listeners::None => {
            let given = os::inetd::connection(Duration::from_millis(limits.write_ms));
            Some(given.map_err(|line| Refusal::Usage(format!("{}: {line}", variant.name)))?)
        }
        Listeners::Shared | Listeners::PerWorker => None,
    };
    let failed = |error: os::Errno| Refusal::Failure(format!("cannot set up: {error}"));
    let blocks = workers + (variant.needs.extra_threads)(&limits);
    let (board, blocks) = os::shared::headed::<Board, Block>(blocks).map_err(failed)?;
    let server: &'static Server = Box::leak(Box::new(Server {
        model,
        variant,
        workers,
        drain: Drain::new(board, &limits),
        limits,
        protocol: args.protocol.into(),
        service,
        listeners,
        datagrams,
        given: Mutex::new(given),
        waker: Waker::new().map_err(failed)?,
        blocks,
        board,
    }));
    if !matches!(&server.listeners[server.listeners_of(0)], [listener] if listener.owned) {
        server.make_listeners_nonblocking().map_err(failed)?;
    }
    drain::install(server);
    Ok(server)
}

/// Of `workers` those that can have a connection: where each serves one, they are the bound.
fn with_work(workers: usize, args: &ServeArgs, limits: &Limits) -> usize {
    let most = limits.connections_max;
    if args.workers.is_some_and(|asked| asked > most) {
        log(format_args!(
            "{most} workers, not {workers}: there may be no more connections (--connections-max)"
        ));
    }
    workers.min(most)
}

/// Ready: one line an address, on standard output. Whoever was to read it may have gone.
fn announce(server: &Server) {
    let mut out = std::io::stdout().lock();
    let mut listeners = server.listeners[server.listeners_of(0)].iter();
    let said = listeners
        .try_for_each(|listener| writeln!(out, "listening on {}", listener.addr))
        .and_then(|()| out.flush());
    if let Err(error) = said {
        log(format_args!("nobody hears where it listens: {error}"));
    }
}
