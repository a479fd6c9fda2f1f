//! The listeners. They are opened before any worker starts.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use os::Errno;
use os::net::{self, Addr};

use crate::refusal::Refusal;
use crate::{Address, Limits};

/// Whose the listeners are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listeners {
    /// All workers share them.
    Shared,
    /// Each worker has its own, on the same addresses (`SO_REUSEPORT`).
    PerWorker,
    /// There are none: a super-server has accepted the connection, which is descriptor 0.
    None,
}

/// A listener.
#[derive(Debug)]
pub struct Listener {
    listener: OwnedFd,
    /// Its address, with port 0 resolved.
    pub addr: Addr,
    /// Whether this server has opened it. Otherwise other processes may use it, and it must neither be made
    /// non-blocking nor shut down, nor its path removed.
    pub owned: bool,
    /// Device and inode of its file, if it has one of its own. While it is open, no other file has them.
    file: Option<(u64, u64)>,
}

impl Listener {
    fn of(listener: OwnedFd, asked: &Addr) -> Listener {
        let addr = net::local_addr(listener.as_fd(), asked);
        Listener::given(listener, addr, !matches!(asked, Addr::Inherited(_)))
    }

    /// One that another process has opened; `owned` if that has left it to this one.
    pub(crate) fn given(listener: OwnedFd, addr: Addr, owned: bool) -> Listener {
        Listener {
            file: net::file_of(&addr).filter(|_| owned),
            listener,
            addr,
            owned,
        }
    }

    /// Removes its path, unless that is another's by now: a server may have replaced the socket since it
    /// was shut down. Async-signal-safe.
    pub(crate) fn remove_path(&self) {
        if let (Addr::Unix(path), Some(file)) = (&self.addr, self.file)
            && net::file_of(&self.addr) == Some(file)
        {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// Makes our own listeners non-blocking, so that workers which would block in accept return from it once
/// the backlog is empty, and makes them ignore new connection requests. Async-signal-safe.
pub(crate) fn stop_accepting(listeners: &[Listener]) {
    for listener in listeners.iter().filter(|listener| listener.owned) {
        os::signal::ignore_syns(listener.as_fd());
        // Of an open descriptor this does not fail.
        let _ = net::set_nonblocking(listener.as_fd());
    }
}

/// Opens a UDP socket on the address of each listener that has an IP address.
pub(crate) fn open_for_datagrams(listeners: &[Listener]) -> Result<Vec<UdpSocket>, Refusal> {
    let mut sockets = Vec::new();
    for listener in listeners {
        if let Addr::Tcp(addr) = listener.addr {
            let failed = |error: io::Error| {
                let why = plain(&error);
                Refusal::Failure(format!("cannot receive datagrams at {addr}: {why}"))
            };
            let socket = UdpSocket::bind(addr).map_err(failed)?;
            socket.set_nonblocking(true).map_err(failed)?;
            sockets.push(socket);
        }
    }
    Ok(sockets)
}

/// Where a server listens unless `--listen` says otherwise.
const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Opens listeners on `addresses`, or on the usual address if there are none. With
/// [`Listeners::PerWorker`], those of worker 0 come first, then those of worker 1, and so on.
/// `variant` is its name, for error messages.
pub(crate) fn open(
    sharing: Listeners,
    given: Vec<Listener>,
    addresses: &[Address],
    workers: usize,
    limits: &Limits,
    variant: &str,
) -> Result<Vec<Listener>, Refusal> {
    if !given.is_empty() {
        return adopt(sharing, given, workers, limits, variant);
    }
    let usual = [Address::One(Addr::Tcp(USUAL))];
    let asked = match addresses {
        [] => &usual,
        addresses => addresses,
    };
    let listeners = match sharing {
        Listeners::Shared => open_shared(asked, limits)?,
        Listeners::PerWorker => open_each(asked, workers, limits, variant)?,
        Listeners::None if addresses.is_empty() => Vec::new(),
        Listeners::None => {
            return Err(Refusal::Usage(format!(
                "--listen: {variant} opens no listener; it serves the connection on descriptor 0"
            )));
        }
    };
    bound_sends(listeners, limits)
}

fn bound_sends(listeners: Vec<Listener>, limits: &Limits) -> Result<Vec<Listener>, Refusal> {
    for listener in &listeners {
        net::set_send_timeout(listener.as_fd(), Duration::from_millis(limits.write_ms))
            .map_err(|error| failed(&listener.addr, &error.into()))?;
    }
    Ok(listeners)
}

/// Takes on listeners that were given to this process. Where each worker has its own, one that another process has
/// opened is one of theirs, and a predecessor may have had another number of workers: each worker takes as many as the one that takes most, and what
/// is missing for that is opened. None is left out, since the kernel gives connections to each.
fn adopt(
    sharing: Listeners,
    given: Vec<Listener>,
    workers: usize,
    limits: &Limits,
    variant: &str,
) -> Result<Vec<Listener>, Refusal> {
    match sharing {
        Listeners::Shared => return bound_sends(given, limits),
        Listeners::PerWorker => {}
        Listeners::None => {
            return Err(Refusal::Usage(format!(
                "LISTEN_FDS: {variant} serves the connection on descriptor 0, and no listener"
            )));
        }
    }
    let mut by_address: Vec<(SocketAddr, Vec<Listener>)> = Vec::new();
    for listener in given {
        let Addr::Tcp(addr) = listener.addr else {
            return Err(Refusal::Usage(format!(
                "{}: {variant} needs a listener per worker, and the kernel shares only TCP ports",
                listener.addr
            )));
        };
        if !listener.owned {
            os::reuseport::share(&listener).map_err(|error| failed(&addr, &error.into()))?;
        }
        match by_address.iter_mut().find(|(known, _)| *known == addr) {
            Some((_, all)) => all.push(listener),
            None => by_address.push((addr, vec![listener])),
        }
    }
    let mut of_workers: Vec<Vec<Listener>> = (0..workers).map(|_| Vec::new()).collect();
    for (addr, mut all) in by_address {
        while !all.len().is_multiple_of(workers) {
            let opened = os::reuseport::another(addr, limits.backlog);
            let opened = opened.map_err(|error| failed(&Addr::Tcp(addr), &error))?;
            all.push(Listener::given(opened, Addr::Tcp(addr), true));
        }
        for (number, listener) in all.into_iter().enumerate() {
            of_workers[number % workers].push(listener);
        }
    }
    bound_sends(of_workers.into_iter().flatten().collect(), limits)
}

/// Opens one listener at `address`, for the admin server, and returns it with its address.
pub(crate) fn open_one(address: &Address) -> Result<(OwnedFd, Addr), Refusal> {
    let opened = open_what_is_there(address, &candidates(address)?, |addr| {
        let listener = net::listen(addr, ADMIN_BACKLOG)?;
        let addr = net::local_addr(listener.as_fd(), addr);
        Ok((listener, addr))
    })?;
    let mut opened = opened.into_iter();
    match (opened.next(), opened.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(Refusal::Usage(format!(
            "--admin {address}: the name has several addresses; name one of them"
        ))),
    }
}

/// Connections that wait for the admin server.
const ADMIN_BACKLOG: i32 = 128;

fn open_shared(addresses: &[Address], limits: &Limits) -> Result<Vec<Listener>, Refusal> {
    let mut all = Vec::new();
    let open = |addr: &Addr| Ok(Listener::of(net::listen(addr, limits.backlog)?, addr));
    for address in addresses {
        all.extend(open_what_is_there(address, &candidates(address)?, open)?);
    }
    Ok(all)
}

fn open_each(
    addresses: &[Address],
    workers: usize,
    limits: &Limits,
    variant: &str,
) -> Result<Vec<Listener>, Refusal> {
    let mut of_workers: Vec<Vec<Listener>> = (0..workers).map(|_| Vec::new()).collect();
    for address in addresses {
        if let Some(inherited @ Addr::Inherited(_)) = candidates(address)?.first() {
            let listener = net::listen(inherited, limits.backlog);
            let listener = listener.map_err(|error| failed(address, &error))?;
            let listener = vec![Listener::of(listener, inherited)];
            let all = adopt(Listeners::PerWorker, listener, workers, limits, variant)?;
            for (listeners, listener) in of_workers.iter_mut().zip(all) {
                listeners.push(listener);
            }
            continue;
        }
        let tcp = candidates(address)?.into_iter().map(|addr| match addr {
            Addr::Tcp(tcp) => Ok(tcp),
            Addr::Unix(_) | Addr::Inherited(_) => Err(Refusal::Usage(format!(
                "--listen {addr}: {variant} needs a listener per worker, and the kernel shares only \
                 TCP ports"
            ))),
        });
        let opened = open_what_is_there(address, &tcp.collect::<Result<Vec<_>, _>>()?, |tcp| {
            let all = os::reuseport::listeners(*tcp, limits.backlog, workers)?;
            Ok((Addr::Tcp(*tcp), all))
        })?;
        for (addr, all) in opened {
            for (listeners, listener) in of_workers.iter_mut().zip(all) {
                listeners.push(Listener::of(listener, &addr));
            }
        }
    }
    Ok(of_workers.into_iter().flatten().collect())
}

fn candidates(address: &Address) -> Result<Vec<Addr>, Refusal> {
    let all = address.candidates();
    all.map_err(|why| Refusal::Failure(format!("cannot listen on {address}: {why}")))
}

/// Opens the `candidates` of an address. Those that this machine does not have, such as the IPv6 one of
/// a name where there is no IPv6, are left out as long as there is another.
fn open_what_is_there<C: fmt::Display, T>(
    address: &Address,
    candidates: &[C],
    open: impl Fn(&C) -> io::Result<T>,
) -> Result<Vec<T>, Refusal> {
    let (mut opened, mut absent) = (Vec::new(), None);
    for candidate in candidates {
        match open(candidate) {
            Ok(listener) => opened.push(listener),
            Err(error) if is_absent(&error) => absent = Some(error),
            Err(error) => return Err(failed(candidate, &error)),
        }
        if address.wants_one() && !opened.is_empty() {
            break;
        }
    }
    match absent {
        Some(error) if opened.is_empty() => Err(failed(address, &error)),
        _ => Ok(opened),
    }
}

/// Whether this machine has no such address, or no address of that family (`ip(7)`, `socket(2)`).
fn is_absent(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error())
}

fn failed(addr: &impl fmt::Display, error: &io::Error) -> Refusal {
    Refusal::Failure(format!("cannot listen on {addr}: {}", plain(error)))
}

/// The reason without the "(os error N)" that std appends.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
