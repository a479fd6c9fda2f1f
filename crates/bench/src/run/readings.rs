//! What is read where the generator stands still, and while it warms the server up.

use std::time::Duration;

use schema::Code;

use crate::failure::{Because, Unmeasured};
use crate::observe::calls::{Counted, Tracer};
use crate::observe::machine;
use crate::observe::tree::{Footprint, Snapshot};
use crate::run::generator::Edges;
use crate::run::server::Server;
use crate::run::setup::Setup;

/// The warm-up: memory is read in its middle.
pub struct Warming<'a> {
    pub server: &'a Server,
    pub after: Duration,
    pub loaded: Option<Footprint>,
}

impl Edges for Warming<'_> {
    fn look_after(&self) -> Option<Duration> {
        Some(self.after)
    }

    fn look(&mut self) {
        self.loaded = self.server.footprint();
    }
}

/// The readings at the two edges of a window.
pub struct Readings<'a> {
    pub setup: &'a Setup,
    pub server: &'a Server,
    /// Memory is read at the end.
    pub with_idle: bool,
    /// The root of the tree whose system calls are counted.
    pub traced: Option<u32>,
    pub tracer: Option<Tracer<'a>>,
    pub before: Option<Reading>,
    pub after: Option<Reading>,
}

/// What was read at an edge.
pub struct Reading {
    pub tree: Option<Snapshot>,
    pub machine: machine::Reading,
    pub with_idle: Option<Footprint>,
    pub counted: Option<Counted>,
}

impl Readings<'_> {
    fn machine(&self) -> Result<machine::Reading, Unmeasured> {
        let cpus = [&self.setup.server_cpus, &self.setup.load_cpus];
        machine::Reading::take(&cpus).because(Code::NotCounted)
    }
}

impl Edges for Readings<'_> {
    fn opened(&mut self) -> Result<(), Unmeasured> {
        let Setup {
            trace,
            server_cpus,
            interrupt,
            ..
        } = self.setup;
        self.server.rest();
        if let Some(root) = self.traced {
            self.tracer = Some(Tracer::attach(root, trace, server_cpus, interrupt)?);
        }
        self.before = Some(Reading {
            tree: self.server.snapshot()?,
            machine: self.machine()?,
            with_idle: None,
            counted: None,
        });
        Ok(())
    }

    fn done(&mut self) -> Result<(), Unmeasured> {
        let machine = self.machine()?;
        let tracer = self.tracer.take();
        let counted = tracer
            .map(|tracer| tracer.finish(&self.setup.interrupt))
            .transpose()?;
        // A server that never rests goes on using CPU: its books are closed at once.
        let at_once = self.server.snapshot()?;
        let tree = if self.server.rest() {
            self.server.snapshot()?
        } else {
            at_once
        };
        let with_idle = self.with_idle.then(|| self.server.footprint()).flatten();
        self.after = Some(Reading {
            tree,
            machine,
            with_idle,
            counted,
        });
        Ok(())
    }
}
