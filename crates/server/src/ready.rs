//! Ready: the moment from which a server says that it serves.
//!
//! A model says so from inside its `run`, once its workers exist. Only then are the addresses printed, the
//! service manager told, and a predecessor replaced, so a server that cannot have its threads or its
//! loops never takes over from one that serves.

use std::io::Write;
use std::sync::atomic::Ordering;

use crate::{Server, log, notify, restart, signals};

impl Server {
    /// Says that this server can serve. A model calls this in its main process, from `run`, when its
    /// workers exist; threads of [`Threads::spawn`](crate::Threads::spawn) begin their work then. Further
    /// calls do nothing.
    pub fn ready(&self) {
        if !self.gate.open() || self.drain.has_begun() {
            return;
        }
        if let Some(file) = &self.pid_file
            && let Err(line) = file.write()
        {
            log(format_args!("error: {line}"));
            self.board.failed.store(1, Ordering::SeqCst);
            signals::end_server(self);
            return;
        }
        announce(self);
        // Of a successor, the predecessor tells: to the service manager it is the main process until then.
        if !restart::say_ready(self) {
            let id = os::process::id();
            notify::send(format_args!("READY=1\nMAINPID={id}\nSTATUS=serving"));
        }
    }
}

/// Prints one line per listener on standard output. If no process reads that any more, the server serves
/// all the same.
fn announce(server: &Server) {
    server.board.set_ready(true);
    let mut out = std::io::stdout().lock();
    let mut listeners = server.listeners[server.listeners_of(0)].iter();
    let printed = listeners
        .try_for_each(|listener| writeln!(out, "listening on {}", listener.addr))
        .and_then(|()| out.flush());
    if let Err(error) = printed {
        log(format_args!("cannot print the addresses: {error}"));
    }
}
