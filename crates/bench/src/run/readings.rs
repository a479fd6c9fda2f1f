//! What is read while the generator pauses, and while it warms the server up.

use std::time::Duration;

use schema::Code;

use crate::failure::{Because, Unmeasured};
use crate::observe::machine;
use crate::observe::strace::{SystemCalls, Tracer};
use crate::observe::tree::{Footprint, Snapshot};
use crate::run::generator::Pauses;
use crate::run::server::Server;
use crate::run::setup::Setup;

/// Memory is read in the middle of the warm-up.
pub struct WarmUpReading<'a> {
    pub server: &'a Server,
    pub after: Duration,
    pub loaded: Option<Footprint>,
}

impl Pauses for WarmUpReading<'_> {
    fn during_load_after(&self) -> Option<Duration> {
        Some(self.after)
    }

    fn during_load(&mut self) {
        self.loaded = self.server.footprint();
    }
}

/// The readings in the two pauses of a window.
pub struct Readings<'a> {
    pub setup: &'a Setup,
    pub server: &'a Server,
    /// Memory is read after the load, with the idle connections open.
    pub with_idle: bool,
    /// The root of the tree whose system calls are counted.
    pub traced: Option<u32>,
    pub tracer: Option<Tracer<'a>>,
    pub before: Option<Reading>,
    pub after: Option<Reading>,
}

/// What was read in a pause.
pub struct Reading {
    pub tree: Option<Snapshot>,
    pub machine: machine::Reading,
    pub with_idle: Option<Footprint>,
    pub counted: Option<SystemCalls>,
}

impl Readings<'_> {
    fn machine(&self) -> Result<machine::Reading, Unmeasured> {
        let cpus = [&self.setup.server_cpus, &self.setup.load_cpus];
        machine::Reading::take(&cpus).because(Code::NotCounted)
    }
}

impl Pauses for Readings<'_> {
    fn before_load(&mut self) -> Result<(), Unmeasured> {
        let Setup {
            trace,
            server_cpus,
            interrupt,
            ..
        } = self.setup;
        self.server.wait_until_quiet();
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

    fn after_load(&mut self) -> Result<(), Unmeasured> {
        let machine = self.machine()?;
        let tracer = self.tracer.take();
        let counted = tracer
            .map(|tracer| tracer.finish(&self.setup.interrupt))
            .transpose()?;
        // A server that polls never becomes quiet: of such a one the first reading counts.
        let at_once = self.server.snapshot()?;
        let tree = if self.server.wait_until_quiet() {
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
