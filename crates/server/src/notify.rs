//! What a service manager is told (`sd_notify(3)`).

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::time::Duration;

/// The socket of the service manager, if there is one.
static SOCKET: OnceLock<OwnedFd> = OnceLock::new();

/// Connects to the socket that `NOTIFY_SOCKET` names. Returns what is wrong with it, in one line.
pub(crate) fn open() -> Result<(), String> {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
        return Ok(());
    };
    let socket = os::net::datagrams_to(path.as_ref())
        .map_err(|error| format!("NOTIFY_SOCKET={}: {error}", path.display()))?;
    let _ = SOCKET.set(socket);
    Ok(())
}

/// The socket, if there is one.
pub(crate) fn socket() -> Option<BorrowedFd<'static>> {
    SOCKET.get().map(AsFd::as_fd)
}

/// Within how much time the service manager wants to hear that the server is well
/// (`sd_watchdog_enabled(3)`). `None`: it does not. A successor has the variables of its predecessor, and
/// so another process id.
pub(crate) fn watchdog(is_successor: bool) -> Result<Option<Duration>, String> {
    let given = |name: &str| std::env::var(name).ok();
    let Some(text) = given("WATCHDOG_USEC") else {
        return Ok(None);
    };
    let own = os::process::id().to_string();
    if given("WATCHDOG_PID").is_some_and(|id| id != own) && !is_successor {
        return Ok(None);
    }
    match text.parse() {
        Ok(us @ 1..) => Ok(Some(Duration::from_micros(us))),
        _ => Err(format!("WATCHDOG_USEC={text}: not a number above 0")),
    }
}

/// Sends these lines. Async-signal-safe.
pub(crate) fn send(lines: std::fmt::Arguments<'_>) {
    let Some(socket) = SOCKET.get() else {
        return;
    };
    let mut buffer = [0; 200];
    let mut rest = &mut buffer[..];
    let _ = rest.write_fmt(lines);
    let unused = rest.len();
    // Whether the manager reads it is its affair.
    let _ = os::net::send(socket.as_fd(), &buffer[..buffer.len() - unused]);
}
