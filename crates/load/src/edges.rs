//! The edges of a run as another process sees them: it is told, and says when to go on.
//!
//! Counters that someone else keeps (the server's CPU time, say) can then be read between the last
//! connection opened and the first request, and between the last reply and the first close. What
//! lies between these readings is the load and nothing else.

use std::io::{self, Write};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// All connections are open, idle ones included; no request of the load has been sent.
    Opened,
    /// The last reply is there, or given up; every connection that was open still is.
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
    /// Where nobody answers any more the run goes on: it is not for it to stand still.
    pub(crate) fn announce(self) {
        let mut out = io::stdout().lock();
        if writeln!(out, "{}", self.name())
            .and_then(|()| out.flush())
            .is_ok()
        {
            let _gone_on = io::stdin().read_line(&mut String::new());
        }
    }
}
