//! The two edges of a run, at which it tells another process and waits until that lets it go on.
//!
//! The other process can read counters (the server's CPU time, for example) after the last
//! connection is opened and before the first request, and after the last reply and before the first
//! close. Between these two readings there is the load and nothing else.

use std::io::{self, Write};

/// A point of a run at which it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// All connections are open, idle ones included; no request of the load has been sent.
    Opened,
    /// The last reply has arrived or has timed out; no connection has been closed yet.
    Done,
}

impl Edge {
    /// The line that announces it.
    fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Done => "done",
        }
    }

    /// Announces the edge on standard output and waits for a line on standard input.
    ///
    /// If standard output or input is closed, the run goes on.
    pub(crate) fn announce(self) {
        let mut out = io::stdout().lock();
        if writeln!(out, "{}", self.name())
            .and_then(|()| out.flush())
            .is_ok()
        {
            let _line = io::stdin().read_line(&mut String::new());
        }
    }
}
