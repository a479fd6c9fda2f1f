//! What a service manager is told (`sd_notify(3)`).

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;

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
