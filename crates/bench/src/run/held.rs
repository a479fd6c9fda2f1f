//! A server that is held ready beside others, and loaded slice by slice over connections that stay.

use std::time::Duration;

use report::data::Shape;

use crate::failure::Unmeasured;
use crate::judge::beside::RecentOthers;
use crate::observe::measured::Sample;
use crate::run::call::Call;
use crate::run::readings::Readings;
use crate::run::server::Server;
use crate::run::setup::Setup;
use crate::run::slice_generator::{Asked, SliceGenerator};

/// How long the last requests of a slice are waited for.
const DRAIN: Duration = Duration::from_millis(500);

/// A server that stands, and the generator that holds its connections.
#[derive(Debug)]
pub struct Held {
    server: Server,
    generator: SliceGenerator,
    /// How long it has still work to do behind its last reply.
    settles: Duration,
    /// It uses CPU without load, and is stopped by a signal while others are loaded.
    restless: bool,
    /// What others used of the CPUs while it was loaded.
    pub beside: RecentOthers,
}

impl Held {
    /// Holds `server` ready for slices of `shape`.
    pub fn new(
        setup: &Setup,
        server: Server,
        shape: &Shape,
        settles: Duration,
    ) -> Result<Self, Unmeasured> {
        let call = Call::new(server.address(), shape, DRAIN, setup.load_cpus.len());
        let generator = SliceGenerator::start(setup, &call)?;
        Ok(Self {
            server,
            generator,
            settles,
            restless: false,
            beside: RecentOthers::default(),
        })
    }

    /// Loads it for the first time, in which it is not measured.
    pub fn warm_up(&mut self, setup: &Setup, asked: &Asked) -> Result<Sample, Unmeasured> {
        let warm = self.load(setup, asked)?;
        self.beside = RecentOthers::default();
        self.restless = !self.server.wait_until_quiet();
        if self.restless {
            self.server.stop(true);
        }
        Ok(warm)
    }

    /// Loads it for one slice.
    pub fn load(&mut self, setup: &Setup, asked: &Asked) -> Result<Sample, Unmeasured> {
        if self.restless {
            self.server.stop(false);
        }
        let mut readings = Readings {
            settles: self.settles,
            ..Readings::new(setup, &self.server)
        };
        let load = self.generator.slice(setup, asked, &mut readings);
        let sample = load.and_then(|load| readings.sample(load, self.generator.command(asked)));
        if self.restless {
            self.server.stop(true);
        }
        let (sample, _) = sample?;
        self.beside.add(&sample.others);
        Ok(sample)
    }

    /// Stops it.
    ///
    /// # Errors
    /// [`Unmeasured::Interrupted`], or why it could not be stopped; it is gone either way.
    pub fn end(self, setup: &Setup) -> Result<(), Unmeasured> {
        if self.restless {
            self.server.stop(false);
        }
        // Where a worker holds a connection, one that is held would keep it from ending.
        self.generator.end(setup)?;
        self.server.drain(&setup.interrupt).map(drop)
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        self.server.address()
    }
}
