//! The listeners. They are opened before any worker starts.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use os::net::{self, Addr};

use crate::Limits;
use crate::refusal::Refusal;

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
}

impl Listener {
    fn of(listener: OwnedFd, asked: &Addr) -> Listener {
        Listener {
            addr: net::local_addr(listener.as_fd(), asked),
            listener,
            owned: !matches!(asked, Addr::Inherited(_)),
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
    let addrs = listeners.iter().filter_map(|listener| match listener.addr {
        Addr::Tcp(addr) => Some(addr),
        Addr::Unix(_) | Addr::Inherited(_) => None,
    });
    addrs
        .map(|addr| {
            let socket = UdpSocket::bind(addr).and_then(|socket| {
                socket.set_nonblocking(true)?;
                Ok(socket)
            });
            socket.map_err(|error| {
                Refusal::Failure(format!(
                    "cannot receive datagrams at {addr}: {}",
                    plain(&error)
                ))
            })
        })
        .collect()
}

/// Where a server listens unless `--listen` says otherwise.
const USUAL: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// Opens listeners on `addrs`, or on the usual address if there are none. With
/// [`Listeners::PerWorker`], those of worker 0 come first, then those of worker 1, and so on.
/// `variant` is its name, for error messages.
pub(crate) fn open(
    sharing: Listeners,
    addrs: &[Addr],
    workers: usize,
    limits: &Limits,
    variant: &str,
) -> Result<Vec<Listener>, Refusal> {
    let usual = [Addr::Tcp(USUAL)];
    let asked = match addrs {
        [] => &usual,
        addrs => addrs,
    };
    let listeners = match sharing {
        Listeners::Shared => asked
            .iter()
            .map(|addr| {
                let listener = net::listen(addr, limits.backlog);
                let listener = listener.map_err(|error| failed(addr, &error))?;
                Ok(Listener::of(listener, addr))
            })
            .collect::<Result<Vec<_>, _>>()?,
        Listeners::PerWorker => open_each(asked, workers, limits, variant)?,
        Listeners::None if addrs.is_empty() => Vec::new(),
        Listeners::None => {
            return Err(Refusal::Usage(format!(
                "--listen: {variant} opens no listener; it serves the connection on descriptor 0"
            )));
        }
    };
    for listener in &listeners {
        net::set_send_timeout(listener.as_fd(), Duration::from_millis(limits.write_ms))
            .map_err(|error| failed(&listener.addr, &error.into()))?;
    }
    Ok(listeners)
}

fn open_each(
    addrs: &[Addr],
    workers: usize,
    limits: &Limits,
    variant: &str,
) -> Result<Vec<Listener>, Refusal> {
    let mut of_workers: Vec<Vec<Listener>> = (0..workers).map(|_| Vec::new()).collect();
    for addr in addrs {
        let Addr::Tcp(tcp) = addr else {
            return Err(Refusal::Usage(format!(
                "--listen {addr}: {variant} needs a listener per worker, and the kernel shares only \
                 TCP ports"
            )));
        };
        let all = os::reuseport::listeners(*tcp, limits.backlog, workers);
        let all = all.map_err(|error| failed(addr, &error))?;
        for (listeners, listener) in of_workers.iter_mut().zip(all) {
            listeners.push(Listener::of(listener, addr));
        }
    }
    Ok(of_workers.into_iter().flatten().collect())
}

fn failed(addr: &Addr, error: &std::io::Error) -> Refusal {
    Refusal::Failure(format!("cannot listen on {addr}: {}", plain(error)))
}

/// The reason without the "(os error N)" that std appends.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
