//! The server under test: started, waited for until it is quiet, drained.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use report::data::Pass;
use schema::{Code, Effect, Reason};

use crate::failure::{Because, Unmeasured};
use crate::observe::cpus::CpuList;
use crate::observe::interrupt::Interrupt;
use crate::observe::measured::Drained;
use crate::observe::process::Process;
use crate::observe::tree::{self, Footprint, Snapshot};
use crate::plan::contender::Contender;
use crate::plan::target::Target;
use crate::plan::visit::Visit;
use crate::run::contender;
use crate::run::lost::Watched;
use crate::run::setup::Setup;

/// How long a server may take until it prints its line.
const START_WITHIN: Duration = Duration::from_secs(10);
/// The most time for a drain: all connections are idle when it begins.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// A tree is quiet when it uses less CPU than this in [`QUIET_STEP`].
const QUIET_NS: u64 = 50_000;
const QUIET_STEP: Duration = Duration::from_millis(3);
/// A server that never becomes quiet (busy polling) is waited for no longer than this.
const QUIET_WITHIN: Duration = Duration::from_millis(90);
/// Servers keep idle connections for longer than any window takes.
pub const IDLE_MS: &str = "120000";
/// The word for a folder in a recorded command line.
const SCRATCH: &str = "SCRATCH";

/// How to start the server of a visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// The file of its store, where it has one; the arguments name it as [`SCRATCH`].
    pub db: Option<PathBuf>,
}

/// A server that listens: one of the bench's own, or a target.
#[derive(Debug, Default)]
pub struct Server {
    process: Option<Process>,
    root: Option<u32>,
    address: String,
    /// The root only keeps the server, which is below it.
    kept: bool,
    /// How it is seen that it still serves, where others have made it.
    watched: Option<Watched>,
    /// Removes the store when the server has ended.
    _store: Option<Store>,
}

/// A folder for the files of a store, removed when this value is dropped.
#[derive(Debug)]
struct Store(PathBuf);

impl Store {
    /// Makes the folder of the store in `file`, empty.
    fn make(file: &Path) -> anyhow::Result<Self> {
        let folder = file.parent().context("a store lies in a folder")?;
        let _left_by_a_killed_run = fs::remove_dir_all(folder);
        fs::create_dir(folder).with_context(|| "no folder for the store".to_owned())?;
        Ok(Self(folder.to_owned()))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _left_behind_if_not = fs::remove_dir_all(&self.0);
    }
}

impl Launch {
    /// The command line of a visit's server: a model of `server`, or the null server of `own`. A
    /// store, where the scenario needs one, is `db`.
    pub fn of(visit: &Visit, server: &Path, own: &Path, db: &Path) -> Self {
        let scenario = visit.scenario;
        let mut args = match visit.is_null() {
            true => vec!["null-server".to_owned()],
            false => serve(&visit.contender, visit.workers),
        };
        let mut add = |more: &[&str]| args.extend(more.iter().map(|&arg| arg.to_owned()));
        let with_db = scenario.db && !visit.is_null();
        if visit.is_null() {
            if !scenario.keep_alive {
                add(&["--close"]);
            }
            if !scenario.mix.is_empty() || scenario.slow > 0 {
                add(&["--scan"]);
            }
            if scenario.reply_bytes > 0 {
                add(&["--bytes", &scenario.reply_bytes.to_string()]);
            }
        } else {
            if visit.contender.sheds && scenario.overload_cpu_us.is_none() {
                // What a model does is measured without shedding: in a closed loop requests always
                // wait for each other, and above its capacity a server would look better than it is.
                add(&["--queue-delay-ms", "0"]);
            }
            let stands = visit.measured_in_slices();
            if visit.idle > 0 || stands || visit.pass == Pass::Memory {
                add(&["--idle-ms", IDLE_MS]);
            }
            if with_db {
                add(&["--db", SCRATCH]);
            }
        }
        let program = if visit.is_null() { own } else { server };
        let launch = Self {
            program: program.to_owned(),
            args,
            db: with_db.then(|| db.to_owned()),
        };
        launch.listening()
    }

    /// The same on a port that the kernel chooses.
    pub fn listening(mut self) -> Self {
        let listen = ["--listen", "127.0.0.1:0"].map(str::to_owned);
        self.args.extend(listen);
        self
    }

    /// The command line as it is recorded: without the path.
    pub fn command(&self) -> String {
        format!("turnstile {}", self.args.join(" "))
    }

    /// The arguments as they are given.
    fn args(&self) -> Vec<OsString> {
        let real = |arg: &String| match &self.db {
            Some(db) if arg == SCRATCH => db.into(),
            _ => arg.into(),
        };
        self.args.iter().map(real).collect()
    }
}

/// The arguments that serve a model with so many workers, as far as every launch has them.
pub fn serve(contender: &Contender, workers: Option<u32>) -> Vec<String> {
    let mut args = vec!["serve", "--model", &contender.model];
    if !contender.default {
        args.extend(["--variant", &contender.variant]);
    }
    let workers = workers.map(|workers| workers.to_string());
    if let Some(workers) = &workers {
        args.extend(["--workers", workers]);
    }
    args.into_iter().map(str::to_owned).collect()
}

impl Server {
    /// Starts it on `cpus` and waits until it says that it listens.
    pub fn start(
        launch: &Launch,
        cpus: &CpuList,
        interrupt: &Interrupt,
    ) -> Result<Self, Unmeasured> {
        let store = launch.db.as_deref().map(Store::make).transpose();
        let store = store.because(Code::NotStarted)?;
        let mut process = Process::spawn(&launch.program, &launch.args(), cpus)
            .with_context(|| format!("the server {} cannot be run", launch.program.display()))
            .because(Code::NotStarted)?;
        match process.first_line("listening on ", START_WITHIN, interrupt) {
            Ok(address) => Ok(Self {
                _store: store,
                ..Self::started(process, address)
            }),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                Err(Unmeasured::Interrupted)
            }
            Err(error) => {
                process.kill();
                let line = process.error_line().unwrap_or_else(|| error.to_string());
                let text = format!("the server did not start: {line}");
                Err(Unmeasured::new(Code::NotStarted, text))
            }
        }
    }

    /// Starts that of a visit, whose store is `db`.
    pub fn of_visit(setup: &Setup, visit: &Visit, db: &Path) -> Result<Self, Unmeasured> {
        let launch = Launch::of(visit, &setup.server, &setup.own, db);
        Self::start(&launch, &setup.server_cpus, &setup.interrupt)
    }

    /// A server that `process` is, which listens on `address`.
    pub fn started(process: Process, address: String) -> Self {
        Self {
            root: Some(process.pid()),
            process: Some(process),
            address,
            ..Self::default()
        }
    }

    /// A server that is not of the collection: started by its command, or running already.
    pub fn of_target(setup: &Setup, target: &Target) -> Result<Self, Unmeasured> {
        let Some(start) = &target.start else {
            return Ok(Self::running(target));
        };
        let (cpus, interrupt) = (&setup.server_cpus, &setup.interrupt);
        let (process, address) = contender::start(start, &setup.own, cpus, interrupt)?;
        let watched = Watched::new(&process, &address, target.path.as_deref());
        Ok(Self {
            watched: Some(watched),
            kept: true,
            ..Self::started(process, address)
        })
    }

    /// A server that is running already, and is neither started nor stopped.
    pub fn running(target: &Target) -> Self {
        Self {
            root: target.pid,
            address: target.address.clone(),
            ..Self::default()
        }
    }

    /// Why it serves no longer, where that can be told; see [`Watched::lost`].
    pub fn lost(&mut self, answered: bool, interrupt: &Interrupt) -> Option<Reason> {
        let watched = self.watched.as_mut()?;
        watched.lost(self.process.as_mut()?, answered, interrupt)
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The root of its tree, where it is known.
    pub fn root(&self) -> Option<u32> {
        self.root
    }

    /// Its memory and tasks, where they can be read.
    pub fn footprint(&self) -> Option<Footprint> {
        let take = if self.kept {
            Footprint::take_below
        } else {
            Footprint::take
        };
        self.root.map(take).filter(|f| f.tasks > 0)
    }

    /// What its tree has used so far, where that can be read.
    pub fn snapshot(&self) -> Result<Option<Snapshot>, Unmeasured> {
        let snapshot = self.root.map(Snapshot::take).transpose();
        snapshot.because(Code::EndedEarly)
    }

    /// Waits until the tree uses no CPU, so that the work behind the last request is counted, too. There
    /// is no event to wait for.
    ///
    /// Returns `false` when the tree does not become quiet.
    pub fn wait_until_quiet(&self) -> bool {
        let Some(root) = self.root else { return true };
        let pids = tree::members(root);
        let deadline = Instant::now() + QUIET_WITHIN;
        let mut before = tree::living_cpu_ns(&pids);
        while Instant::now() < deadline {
            std::thread::sleep(QUIET_STEP);
            let now = tree::living_cpu_ns(&pids);
            if now.saturating_sub(before) < QUIET_NS {
                return true;
            }
            before = now;
        }
        false
    }

    /// Stops it by a signal, or lets it go on: one that does not come to rest by itself would take the
    /// CPU from its neighbours. A target is left alone.
    pub fn stop(&self, stopped: bool) {
        if let Some(process) = &self.process {
            // One that has ended is noticed by what is read next.
            let _ended = process.stop(stopped);
        }
    }

    /// Sends SIGTERM, times the drain, and kills what is left. A target is left alone.
    ///
    /// # Errors
    /// [`Unmeasured::Interrupted`] or a failed system call; the tree has ended then, too.
    pub fn drain(mut self, interrupt: &Interrupt) -> Result<Drained, Unmeasured> {
        match self.process.take() {
            Some(process) if self.kept => contender::drain(process, interrupt),
            Some(process) => drain(process, interrupt),
            None => Ok(Drained::default()),
        }
    }
}

fn drain(mut process: Process, interrupt: &Interrupt) -> Result<Drained, Unmeasured> {
    let start = Instant::now();
    let mut problems = contender::tell_to_stop(&mut process, interrupt)?;
    let problem = |code, text: String| Reason::new(code, Effect::Invalidates, text);
    if !contender::stopping(process.wait(DRAIN_WITHIN, interrupt))? {
        let within_s = DRAIN_WITHIN.as_secs();
        let text = format!("no end of the drain within {within_s} s");
        problems.push(problem(Code::NotDrained, text).with("drain_s_max", within_s as f64));
    }
    let left = if problems.is_empty() {
        process.wait_until_gone().len()
    } else {
        0
    };
    let drain_ms = start.elapsed().as_secs_f64() * 1e3;
    if left > 0 {
        let text = format!("{left} processes were left running after the drain");
        problems.push(problem(Code::ProcessesLeft, text).with("processes", left as f64));
    }
    process.kill();
    let exit = process.exit();
    if let Some(exit) = exit.filter(|exit| !exit.status.success() && problems.is_empty()) {
        let line = process.error_line().map(|line| format!(" ({line})"));
        let text = format!(
            "the server ended with {} after SIGTERM{}",
            exit.status,
            line.unwrap_or_default()
        );
        problems.push(problem(Code::ExitCode, text));
    }
    Ok(Drained {
        drain_ms: Some(drain_ms),
        exit,
        problems,
    })
}
