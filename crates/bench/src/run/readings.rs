//! What is read while the generator pauses, and while it warms the server up.

use std::time::{Duration, Instant};

use schema::Code;
use schema::load::LoadResult;

use crate::failure::{Because, Unmeasured};
use crate::observe::machine;
use crate::observe::measured::Sample;
use crate::observe::others::{self, Others, Side};
use crate::observe::strace::{SystemCalls, Tracer};
use crate::observe::tree::{Footprint, Snapshot, Usage};
use crate::run::call::Call;
use crate::run::generator::{self, Pauses};
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
    /// How long the server has still work to do behind its last reply.
    pub settles: Duration,
    /// The generator's process.
    pub generator: Option<u32>,
    pub before: Option<Reading>,
    pub after: Option<Reading>,
}

/// What was read in a pause.
pub struct Reading {
    pub tree: Option<Snapshot>,
    pub machine: machine::Reading,
    pub processes: others::Reading,
    pub at: Instant,
    pub with_idle: Option<Footprint>,
    pub counted: Option<SystemCalls>,
}

impl<'a> Readings<'a> {
    /// Readings of a window on `server`.
    pub fn new(setup: &'a Setup, server: &'a Server) -> Self {
        Self {
            setup,
            server,
            with_idle: false,
            traced: None,
            tracer: None,
            settles: Duration::ZERO,
            generator: None,
            before: None,
            after: None,
        }
    }

    /// The readings around one call of the generator.
    pub fn of_call(mut self, call: &Call<'_>) -> Result<(Sample, Option<SystemCalls>), Unmeasured> {
        let load = generator::run(self.setup, call, &mut self)?;
        self.sample(load, call.command())
    }

    /// What lies between the two readings, and what the tracer counted.
    pub fn sample(
        self,
        load: LoadResult,
        command: String,
    ) -> Result<(Sample, Option<SystemCalls>), Unmeasured> {
        let (Some(before), Some(after)) = (&self.before, &self.after) else {
            let text = "the generator did not pause to be read";
            return Err(Unmeasured::new(Code::GeneratorFailed, text));
        };
        let usage = match (&before.tree, &after.tree) {
            (Some(before), Some(after)) => after.since(before),
            _ => Usage::default(),
        };
        let machine = after.machine.since(&before.machine);
        let sample = Sample {
            load,
            usage,
            machine,
            others: self.others(before, after, usage, machine),
            with_idle: after.with_idle,
            command,
        };
        Ok((sample, self.after.and_then(|after| after.counted)))
    }

    /// What others used of the CPUs between the two readings. Of a server whose process is not known (a target
    /// without `pid=`) nothing is said: what it uses itself cannot be told from what others use.
    fn others(
        &self,
        before: &Reading,
        after: &Reading,
        usage: Usage,
        machine: machine::Window,
    ) -> Others {
        let Setup {
            server_cpus,
            load_cpus,
            ..
        } = self.setup;
        if before.tree.is_none() {
            return Others::default();
        }
        let trees = [&before.tree, &after.tree].into_iter().flatten();
        let mut own: Vec<u32> = trees.flat_map(Snapshot::pids).collect();
        own.extend(self.generator);
        own.push(std::process::id());
        let server_ns = usage.cpu_us.map(|us| (us * 1e3) as u64);
        let generator_ns = self
            .generator
            .and_then(|pid| after.processes.used_ns(&before.processes, pid));
        let both_ns = server_ns.zip(generator_ns).map(|(a, b)| a + b);
        let shared = server_cpus.overlaps(load_cpus);
        let side = |cpus, ticks, own_ns| Side {
            cpus,
            ticks,
            own_ns: if shared { both_ns } else { own_ns },
        };
        let window_ns = after.at.duration_since(before.at).as_nanos();
        let others = Others::between(
            &before.processes,
            &after.processes,
            &own,
            u64::try_from(window_ns).unwrap_or(u64::MAX),
            [
                side(server_cpus, machine.server, server_ns),
                side(load_cpus, machine.load, generator_ns),
            ],
        );
        Others {
            bench: self.setup.benches.other().filter(|_| others.too_much()),
            ..others
        }
    }

    fn machine(&self) -> Result<machine::Reading, Unmeasured> {
        let cpus = [&self.setup.server_cpus, &self.setup.load_cpus];
        machine::Reading::take(cpus).because(Code::NotCounted)
    }
}

impl Pauses for Readings<'_> {
    fn generator(&mut self, pid: u32) {
        self.generator = Some(pid);
    }

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
            processes: others::Reading::take(),
            machine: self.machine()?,
            at: Instant::now(),
            with_idle: None,
            counted: None,
        });
        Ok(())
    }

    fn after_load(&mut self) -> Result<(), Unmeasured> {
        std::thread::sleep(self.settles);
        let (at, machine) = (Instant::now(), self.machine()?);
        let processes = others::Reading::take();
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
            processes,
            machine,
            at,
            with_idle,
            counted,
        });
        Ok(())
    }
}
