//! From a command line to a running server, and its exit.

use std::fmt::Display;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use clap::{Args, Command, FromArgMatches};
use os::net::{Addr, Waker};
use os::user::Identity;
use proto::{Limits, Service};

use crate::addresses::Addresses;
use crate::bounded::{self, Bounds};
use crate::gate::Gate;
use crate::log::{self as logging, log};
use crate::notify;
use crate::observe::Observed;
use crate::observe::access::AccessLog;
use crate::observe::helper::{self, Tasks};
use crate::observe::view::View;
use crate::pid_file::PidFile;
use crate::refusal::Refusal;
use crate::{
    Address, Block, Board, Drain, Holds, Listeners, Model, ServeArgs, Server, Variant, fit, front,
    limits, listeners, natures, receiving, restart, signals, starting, state, unusable,
};

/// The whole `main` of a program that serves with one model: parses the command line, serves,
/// returns the exit code (0 after a drain, 2 for unusable arguments, 1 for a failure).
pub fn main(model: &'static Model, service: &'static dyn Service) -> ExitCode {
    match parse::<()>(model.name, model.variants[0].summary) {
        Ok((args, ())) => serve(model, &args, service),
        Err(error) => unusable(&error),
    }
}

/// The same for a service that is built here.
pub fn main_owned(model: &'static Model, service: impl Service + 'static) -> ExitCode {
    main(model, Box::leak(Box::new(service)))
}

/// The same for a service with flags of its own, `A`, made of them by `service`.
pub fn main_with<A: Args, S: Service + 'static, E: Display>(
    model: &'static Model,
    service: impl FnOnce(&A) -> Result<S, E>,
) -> ExitCode {
    match parse::<A>(model.name, model.variants[0].summary) {
        Ok((args, own)) => serve_with(model, &args, || service(&own)),
        Err(error) => unusable(&error),
    }
}

/// The flags of a server and of its service, of a program that is about this.
pub(crate) fn parse<A: Args>(
    name: &'static str,
    about: &'static str,
) -> Result<(ServeArgs, A), clap::Error> {
    let command = A::augment_args(ServeArgs::augment_args(Command::new(name)));
    let command = command.about(about).long_about(None);
    let matches = command.try_get_matches()?;
    Ok((
        ServeArgs::from_arg_matches(&matches)?,
        A::from_arg_matches(&matches)?,
    ))
}

/// Serves what `service` makes, for the life of the program, or says in one line why it could not be
/// made.
pub fn serve_with<S: Service + 'static, E: Display>(
    model: &'static Model,
    args: &ServeArgs,
    service: impl FnOnce() -> Result<S, E>,
) -> ExitCode {
    // Before anything is built that a fork would copy.
    if let Err(error) = os::init::stay_behind() {
        return end(1, format_args!("process 1 cannot fork: {error}"));
    }
    match service() {
        Ok(service) => serve(model, args, Box::leak(Box::new(service))),
        Err(error) => end(1, error),
    }
}

/// Serves with `model` until drained, and says how it went in one line and an exit code.
pub fn serve(model: &'static Model, args: &ServeArgs, service: &'static dyn Service) -> ExitCode {
    if let Err(error) = os::init::stay_behind() {
        return end(1, format_args!("process 1 cannot fork: {error}"));
    }
    let (run, server) = match prepare(model, args, service) {
        Ok(prepared) => prepared,
        Err(Refusal::Usage(line)) => return end(2, line),
        Err(Refusal::Failure(line)) => return end(1, line),
    };
    let ran = run(server);
    if let Some(observed) = server.observed {
        helper::finish(observed);
    }
    server.remove_paths();
    logging::account();
    server.end_service();
    match ran {
        Ok(()) if server.failed() != 0 => ExitCode::from(server.failed()),
        Ok(()) => {
            log(format_args!("{}", server.shutdown()));
            if let Some(dropped @ 1..) = server.observed.map(Observed::dropped) {
                log(format_args!(
                    "{dropped} lines of the access log were dropped"
                ));
            }
            ExitCode::SUCCESS
        }
        Err(error) => end(1, error),
    }
}

/// One line on standard error, and the exit code. With all that an error was caused by, where it tells
/// that in its alternate form, as those of anyhow do.
pub(crate) fn end(code: u8, why: impl Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {why:#}");
    ExitCode::from(code)
}

/// What a variant runs.
type Run = fn(&'static Server) -> crate::Result;

fn prepare(
    model: &'static Model,
    args: &ServeArgs,
    service: &'static dyn Service,
) -> Result<(Run, &'static Server), Refusal> {
    let variant = model.variant(args.variant.as_deref());
    let variant = variant.map_err(Refusal::Usage)?;
    let variant = &front::before(model.name, variant, args.front)?;
    (variant.needs.kernel)().map_err(Refusal::Failure)?;
    starting::check(model.name, variant, service)?;
    let mut limits = args.limits.clone();
    limits::check(&limits).map_err(Refusal::Usage)?;
    let memory = os::cgroup::memory_bytes_max();
    let memory = fit::connections(&mut limits, args.asks_connections_max, memory);
    if variant.needs.listeners == Listeners::None && needs_helper(args, &limits) {
        return Err(Refusal::Usage(format!(
            "{}: a process for each connection has no --admin, no --access-log, and no worker to replace",
            variant.name
        )));
    }
    bounded::check(args, variant).map_err(Refusal::Usage)?;
    if let Some(list) = &args.cpus {
        confine(list)?;
    }
    let workers = variant.workers.count.resolve(args.workers);
    let workers = workers.map_err(|line| Refusal::Usage(format!("{}: {line}", model.name)))?;
    let workers = at_most_connections(workers, args, &limits);
    let at_start = variant.threads_at_start(workers, &limits);
    fit::threads(at_start, os::thread::mappings_max()).map_err(Refusal::Failure)?;
    os::process::raise_descriptor_limit();
    os::rseq::unregister();
    let mut given = restart::given()?;
    if given.ready.is_none() && !given.listeners.is_empty() && !args.listen.is_empty() {
        if !args.listen.iter().all(Address::is_inherited) {
            return Err(Refusal::Usage(
                "LISTEN_FDS passes listeners, and --listen names others: leave out one of them"
                    .into(),
            ));
        }
        given.listeners.clear();
    }
    let watchdog = notify::watchdog(given.ready.is_some()).map_err(Refusal::Usage)?;
    // A process for one connection has no helper, and is soon over.
    let watchdog = watchdog.filter(|_| variant.needs.listeners != Listeners::None);
    let identity = match (&args.user, &args.group) {
        (None, None) => None,
        (user, group) => {
            Some(Identity::find(user.as_deref(), group.as_deref()).map_err(Refusal::Usage)?)
        }
    };
    // A socket has its permissions from the beginning.
    let usual_mask = args
        .unix_mode
        .map(|mode| os::process::set_umask(!mode & 0o777));
    let listeners = listeners::open(
        variant.needs.listeners,
        std::mem::take(&mut given.listeners),
        &args.listen,
        workers,
        &limits,
        variant.name,
    );
    if let Some(mask) = usual_mask {
        os::process::set_umask(mask);
    }
    let listeners = listeners?;
    front::defer(&listeners, args.front, given.ready.is_some(), &limits)?;
    let datagrams = match variant.needs.datagrams {
        true if !given.datagrams.is_empty() => std::mem::take(&mut given.datagrams),
        true => listeners::open_for_datagrams(&listeners)?,
        false => Vec::new(),
    };
    let inetd_connection = match variant.needs.listeners {
        Listeners::None => {
            let connection = os::inetd::take_connection(Duration::from_millis(limits.write_ms));
            Some(connection.map_err(|line| Refusal::Usage(format!("{}: {line}", variant.name)))?)
        }
        Listeners::Shared | Listeners::PerWorker => None,
    };
    let failed = |error: os::Errno| Refusal::Failure(format!("cannot set up: {error}"));
    let pid_file = args.pid_file.as_deref().map(PidFile::open).transpose();
    let pid_file = pid_file.map_err(Refusal::Failure)?;
    let blocks = workers + (variant.needs.extra_threads)(&limits);
    let (board, blocks) = os::shared::with_header::<Board, Block>(blocks).map_err(failed)?;
    let (tasks, admin_path) = open_helper(args, given.admin)?;
    if let Some(identity) = &identity {
        assume(identity, pid_file.as_ref())?;
    }
    let admin = tasks.admin.as_ref().map(OwnedFd::try_clone).transpose();
    let admin = admin.map_err(|error| Refusal::Failure(format!("--admin: {error}")))?;
    let observed = match needs_helper(args, &limits) || watchdog.is_some() {
        true => {
            let has_log = tasks.access_log.is_some();
            Some(Observed::new(blocks.len(), workers, &limits, has_log).map_err(failed)?)
        }
        false => None,
    };
    let observed = observed.map(|observed| &*Box::leak(Box::new(observed)));
    let held = (variant.workers.processes, variant.workers.holds);
    let addresses = Addresses::new(&limits, held, blocks.len()).map_err(failed)?;
    let bounds = Bounds::new(args, addresses, board, blocks.len()).map_err(failed)?;
    logging::share(&board.repeats);
    board.queue_delay.has_cpus(os::cpu::allowed());
    board.restart.before.store(given.restarts, Ordering::SeqCst);
    let obeyed = natures::obeyed(service, model.name, variant, &limits, (board, blocks));
    let server: &'static Server = Box::leak(Box::new(Server {
        model: model.name,
        variant: variant.name,
        workers,
        drain: Drain::new(board, &limits),
        in_flight: bounds.in_flight(),
        service: bounded::within(front::passable(obeyed, variant), bounds),
        addresses,
        asks_peers: addresses.is_some() || observed.is_some_and(Observed::has_log),
        asks_ages: args.deadline_header.is_some(),
        limits,
        protocol: args.protocol,
        lifecycle: service.lifecycle(),
        calls: variant.workers.calls,
        may_wait_to_send: variant.workers.holds != Holds::Many,
        receives: receiving::may_receive(variant, service),
        shares_queue: variant.needs.aside.is_some(),
        processes: variant.workers.processes,
        several_processes: starting::has_several_processes(variant),
        knew_of_slow_requests: service.has_slow_requests(),
        knew_of_receiving: service.receives(),
        listeners,
        sharing: variant.needs.listeners,
        datagrams,
        inetd_connection: Mutex::new(inetd_connection),
        waker: Waker::new().map_err(failed)?,
        blocks,
        board,
        observed,
        admin_path,
        admin,
        program: OnceLock::new(),
        predecessor: Mutex::new(given.ready),
        pid_file,
        gate: Gate::default(),
    }));
    if server.predecessor.lock().is_ok_and(|it| it.is_some()) {
        server.drain.leave_listeners(true);
    }
    restart::prepare(server);
    if !matches!(&server.listeners[server.listeners_of(0)], [listener] if listener.owned) {
        server.make_listeners_nonblocking().map_err(failed)?;
    }
    notify::open().map_err(Refusal::Failure)?;
    signals::install(server);
    start_helper(server, variant, tasks, watchdog).map_err(failed)?;
    state::serving_begins();
    server.start_before_listening(variant.workers.count)?;
    receiving::say(&starting::label(model.name, variant.name), variant, service);
    let copies = starting::copies(model.name, variant, workers, service);
    for line in memory.iter().chain(&copies) {
        log(format_args!("{line}"));
    }
    Ok((variant.run, server))
}

/// Whether anything is asked for that the helper does, or that needs its figures.
fn needs_helper(args: &ServeArgs, limits: &Limits) -> bool {
    let bounds = [
        limits.stuck_ms,
        limits.worker_requests_max,
        limits.worker_rss_max,
    ];
    args.admin.is_some() || args.access_log.is_some() || bounds.iter().any(|bound| *bound > 0)
}

/// Opens what the helper will use, and returns the path of the admin listener, if it is ours to remove.
fn open_helper(
    args: &ServeArgs,
    given: Option<OwnedFd>,
) -> Result<(Tasks, Option<PathBuf>), Refusal> {
    let mut tasks = Tasks::default();
    let mut path = None;
    if let Some(address) = &args.admin {
        let (listener, addr) = match given {
            Some(listener) => {
                let addr = os::net::listens_at(listener.as_fd()).map_err(Refusal::Failure)?;
                (listener, addr)
            }
            None => listeners::open_one(address)?,
        };
        log(format_args!("admin on {addr}"));
        if let Addr::Unix(unix) = addr {
            path = Some(unix);
        }
        tasks.admin = Some(listener);
    }
    if let Some(target) = &args.access_log {
        let opened = AccessLog::open(target, args.access_log_format);
        tasks.access_log = Some(opened.map_err(|error| {
            Refusal::Failure(format!(
                "cannot write the access log {target}: {}",
                listeners::plain(&error)
            ))
        })?);
    }
    Ok((tasks, path))
}

fn start_helper(
    server: &'static Server,
    variant: &Variant,
    tasks: Tasks,
    watchdog: Option<Duration>,
) -> Result<(), os::Errno> {
    let Some(observed) = server.observed else {
        return Ok(());
    };
    let view = View {
        model: server.model,
        variant: server.variant,
        workers: server.workers,
        processes: variant.workers.processes,
        limits: server.limits.clone(),
        board: server.board,
        blocks: server.blocks,
        observed,
        main: os::process::id(),
        watchdog,
    };
    helper::start(view, tasks)
}

/// Runs as another user from here on: everything that needs more rights is open. A successor does already.
fn assume(identity: &Identity, pid_file: Option<&PidFile>) -> Result<(), Refusal> {
    if identity.is_own() {
        return Ok(());
    }
    let (user, group) = identity.ids();
    let failed = |error: &dyn Display| {
        Refusal::Failure(format!("cannot run as user {user}, group {group}: {error}"))
    };
    // So that a successor can write it.
    if let Some(PidFile { file, .. }) = pid_file {
        std::os::unix::fs::fchown(file, Some(user), Some(group))
            .map_err(|error| failed(&listeners::plain(&error)))?;
    }
    identity.assume().map_err(|error| failed(&error.desc()))
}

/// Confines this process to the CPUs of `list`.
fn confine(list: &str) -> Result<(), Refusal> {
    let cpus = os::cpu::parse_list(list).ok_or_else(|| {
        Refusal::Usage(format!(
            "--cpus {list}: not a list of CPUs such as 0 or 0-3,6"
        ))
    })?;
    os::cpu::confine(&cpus).map_err(|error| Refusal::Usage(format!("--cpus {list}: {error}")))
}

/// `workers`, or the bound of connections if that is lower: further workers would have no connection.
fn at_most_connections(workers: usize, args: &ServeArgs, limits: &Limits) -> usize {
    let most = limits.connections_max;
    if args.workers.is_some_and(|asked| asked > most) {
        log(format_args!(
            "{most} workers, not {workers}: --connections-max allows no more connections"
        ));
    }
    workers.min(most)
}
