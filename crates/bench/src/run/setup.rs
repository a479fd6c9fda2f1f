//! What all visits of a run share: the programs, their CPUs, and how long everything takes.

use std::path::PathBuf;

use anyhow::Context;
use report::data::{Mode, Shape};

use crate::observe::benches::Benches;
use crate::observe::cpus::CpuList;
use crate::observe::interrupt::Interrupt;
use crate::plan::size::Size;
use crate::plan::visit::{Visit, Window};

/// What all visits of a run share.
#[derive(Debug)]
pub struct Setup {
    /// The server under test.
    pub server: PathBuf,
    /// This command: it holds the null server.
    pub own: PathBuf,
    /// The load generator.
    pub load: PathBuf,
    /// CPUs of the server.
    pub server_cpus: CpuList,
    /// CPUs of the generator.
    pub load_cpus: CpuList,
    /// How much is measured, and for how long.
    pub size: Size,
    /// The file of the generator's result, which is removed when it has been read.
    pub json: PathBuf,
    /// The file of a store, alone in its folder; both are removed when the server has ended.
    pub db: PathBuf,
    /// The file of the tracer's count, which is removed when it has been read.
    pub trace: PathBuf,
    /// Other benches that run at the same time.
    pub benches: Benches,
    /// Ctrl-C.
    pub interrupt: Interrupt,
}

impl Setup {
    /// A session in which this program is server, generator and null server, in smoke size. `scratch` makes
    /// the path of a file of its own from a name.
    pub fn of_own(
        server_cpus: CpuList,
        load_cpus: CpuList,
        scratch: impl Fn(&str) -> PathBuf,
    ) -> anyhow::Result<Setup> {
        let own = std::env::current_exe().context("this command does not find itself")?;
        Ok(Setup {
            benches: Benches::join(&[&server_cpus, &load_cpus]),
            server: own.clone(),
            load: own.clone(),
            own,
            server_cpus,
            load_cpus,
            size: Size::Smoke,
            json: scratch("load.json"),
            db: scratch("store").join("kv.db"),
            trace: scratch("calls"),
            interrupt: Interrupt::watch()?,
        })
    }

    /// The same with its files among the temporary ones of the machine, which are named after `what`.
    pub fn temporary(
        server_cpus: CpuList,
        load_cpus: CpuList,
        what: &str,
    ) -> anyhow::Result<Setup> {
        let name = |file: &str| format!("turnstile-{what}-{}.{file}", std::process::id());
        Self::of_own(server_cpus, load_cpus, |file| {
            std::env::temp_dir().join(name(file))
        })
    }

    /// The file of the store of a visit: servers that stand side by side have one each.
    pub fn db_of(&self, visit: &Visit) -> PathBuf {
        match (self.db.parent(), self.db.file_name()) {
            (Some(folder), Some(name)) if visit.measured_in_slices() => {
                let mut own = folder.as_os_str().to_owned();
                own.push(format!("-{}", visit.order));
                PathBuf::from(own).join(name)
            }
            _ => self.db.clone(),
        }
    }

    /// The load of a window, or that of the warm-up with `None`.
    pub fn shape(&self, visit: &Visit, window: Option<&Window>) -> Shape {
        let scenario = visit.scenario;
        let mode = window.map_or(Mode::Closed, |w| w.mode);
        let duration = window.map_or(self.size.windows().warm_up, |w| {
            w.duration(scenario, self.size)
        });
        let steps = window.map_or(&[][..], |w| &w.steps);
        let profile = steps
            .iter()
            .map(|step| format!("{}:{}ms", step.rate, step.duration.as_millis()))
            .collect::<Vec<_>>();
        let plain = Shape {
            mode,
            rate: window.and_then(|w| w.rate),
            connections: scenario.connections,
            pipeline: scenario.pipeline,
            keep_alive: scenario.keep_alive && !visit.closes,
            churn: scenario.churn,
            percentile: scenario.objective.and_then(|objective| objective.asked()),
            think_ms: match mode {
                Mode::Closed => scenario.think_ms,
                Mode::Open => 0.0,
            },
            path: visit.path().to_owned(),
            duration_s: duration.as_secs_f64(),
            mix: scenario.mix.iter().map(|&kind| kind.to_owned()).collect(),
            body_bytes: scenario.body_bytes,
            headers: scenario.headers.iter().map(|&line| line.into()).collect(),
            profile: (!profile.is_empty()).then(|| profile.join(",")),
            ..Shape::default()
        };
        if window.is_none() {
            return plain;
        }
        Shape {
            idle: visit.idle,
            slow_senders: scenario.slow,
            slow_readers: scenario.slow,
            poison: scenario.poison.map(str::to_owned),
            ..plain
        }
    }
}
