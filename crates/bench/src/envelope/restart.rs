//! A server that is replaced under load, with a connection per request.
//!
//! The server runs below `turnstile keep`, since a successor outlives the process that the bench has
//! started; which process serves is told by the file of its id.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;
use report::data::{Mode, Shape};
use rustix::process::Signal;
use schema::Code;
use schema::envelope::{Line, Lost, Moments, Restart, Slice};
use schema::load::LoadResult;

use super::plan::{RESTART_RPS, RESTART_SLICE};
use super::server;
use super::session::{Session, Stopped};
use crate::failure::{Because, Unmeasured};
use crate::observe::client::Client;
use crate::observe::process::Process;
use crate::observe::{sys, tree};
use crate::plan::contender::Contender;
use crate::plan::scenario::PLAINTEXT;
use crate::run::call::Call;
use crate::run::contender;
use crate::run::generator::{self, Pauses};
use crate::run::setup::Setup;

/// Connections at once, at most: a third of a second of requests without a reply.
const CONNECTIONS: u32 = 160;
/// How late the generator may be at the 99th percentile, µs. Times count from when a request was due, so that this is
/// in them; what is looked for are pauses, of milliseconds.
const LATE_US_MAX: f64 = 1_000.0;
/// How long unanswered requests are waited for.
const DRAIN: Duration = Duration::from_secs(1);
/// How long a server, or a successor, may take until it serves.
const READY_WITHIN: Duration = Duration::from_secs(5);
/// How often it is seen whether one does: there is no event for it.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How long the old server may take to end: its connections carry one request each.
const ENDED_WITHIN: Duration = Duration::from_secs(2);
/// How a path is written in a recorded command line.
const PID_FILE: &str = "PID-FILE";

/// Measures one model.
pub fn measure(session: &mut Session, contender: &Contender) -> Result<(), Stopped> {
    let setup = &session.setup;
    let file = session.record.scratch("pid");
    let _left_by_another = fs::remove_file(&file);
    let launch = server::launch(setup, contender, CONNECTIONS, &["--pid-file", PID_FILE]);
    let (process, address) = start(setup, &launch.args, &file)?;
    let window = session.times.restart_window();
    let shape = Shape {
        mode: Mode::Open,
        rate: Some(RESTART_RPS),
        connections: CONNECTIONS,
        pipeline: 1,
        keep_alive: false,
        path: PLAINTEXT.to_owned(),
        duration_s: window.as_secs_f64(),
        ..Shape::default()
    };
    let call = Call {
        seed: session.seed,
        slice: Some(RESTART_SLICE),
        ..Call::new(&address, &shape, DRAIN, setup.load_cpus.len())
    };
    let mut restarts = Restarts {
        setup,
        file: &file,
        at: session.times.restart_at(),
        began: Instant::now(),
        moments: Vec::new(),
        failed: None,
    };
    let load = generator::run(setup, &call, &mut restarts);
    let (moments, failed) = (restarts.moments, restarts.failed);
    let drained = contender::drain(process, &setup.interrupt);
    let _gone_with_the_server = fs::remove_file(&file);
    let load = load?;
    let drained = drained?;
    if let Some(why) = failed {
        return Err(Unmeasured::new(Code::EndedEarly, why).into());
    }
    let line = Restart {
        model: contender.label.clone(),
        restarts: moments,
        spoiled: server::spoiled_beyond(&load, LATE_US_MAX),
        server_command: launch.command(),
        load_command: call.command(),
        ..of(&load)
    };
    session.record.append(&Line::Restart(line))?;
    if let Some(problem) = drained.problems.iter().next() {
        eprintln!("  {}: {}", contender.label, problem.text);
    }
    Ok(())
}

/// What the generator saw.
fn of(load: &LoadResult) -> Restart {
    let slices = load.timeline.iter().map(|slice| Slice {
        start_s: slice.start_s,
        length_s: slice.duration_s,
        scheduled: slice.scheduled,
        served: slice.requests,
        p50_us: slice.p50_us,
        max_us: slice.max_us,
    });
    Restart {
        offered_rps: load.rate_offered.unwrap_or(0.0),
        window_s: load.duration_s,
        scheduled: load.scheduled,
        served: load.requests,
        counts: Lost::of(&load.errors),
        errors: load.errors.clone(),
        slices: slices.collect(),
        ..Restart::default()
    }
}

/// Starts the server below a process that keeps all its successors; gives its address.
fn start(setup: &Setup, args: &[String], file: &Path) -> Result<(Process, String), Unmeasured> {
    let port = contender::free_port().because(Code::NotStarted)?;
    let address = format!("127.0.0.1:{port}");
    let mut command = Command::new(&setup.own);
    command.arg("keep").arg("--").arg(&setup.server);
    for arg in args {
        match arg == PID_FILE {
            true => command.arg(file),
            false => command.arg(arg),
        };
    }
    command.args(["--listen", &address]);
    let mut process = Process::spawn_kept(command, &setup.server_cpus, None)
        .context("this command cannot be run")
        .because(Code::NotStarted)?;
    process.discard_output();
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        if read(file).is_some() && Client::connect(&address, READY_WITHIN).is_ok() {
            return Ok((process, address));
        }
        let ended = process.wait(LOOK_EVERY, &setup.interrupt);
        if ended.because(Code::NotStarted)? || Instant::now() >= deadline {
            process.kill();
            let line = process.error_line().unwrap_or_default();
            let text = format!("the server did not start: {line}");
            return Err(Unmeasured::new(Code::NotStarted, text));
        }
    }
}

/// The process that serves.
fn read(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Replaces the server while the load goes on.
struct Restarts<'a> {
    setup: &'a Setup,
    file: &'a PathBuf,
    /// When, from the start of the window.
    at: Vec<Duration>,
    began: Instant,
    moments: Vec<Moments>,
    failed: Option<String>,
}

impl Pauses for Restarts<'_> {
    fn before_load(&mut self) -> Result<(), Unmeasured> {
        self.began = Instant::now();
        Ok(())
    }

    fn during_load_after(&self) -> Option<Duration> {
        self.at.first().copied()
    }

    fn during_load(&mut self) {
        for at in self.at.clone() {
            if !self.sleep_until(self.began + at) {
                return;
            }
            match self.replace() {
                Ok(Some(moments)) => self.moments.push(moments),
                Ok(None) => return,
                Err(why) => {
                    self.failed = Some(why);
                    return;
                }
            }
        }
    }
}

impl Restarts<'_> {
    /// One restart; `None` when the bench is interrupted.
    fn replace(&self) -> Result<Option<Moments>, String> {
        let old = read(self.file).ok_or("the file of the process id has gone")?;
        let asked_s = self.age_s();
        sys::send(old, Signal::USR2).map_err(|error| format!("process {old}: {error}"))?;
        let is_new = || read(self.file).is_some_and(|pid| pid != old);
        match self.eventually(READY_WITHIN, is_new) {
            Some(true) => {}
            Some(false) => {
                let within = READY_WITHIN.as_secs();
                return Err(format!("no successor was ready within {within} s"));
            }
            None => return Ok(None),
        }
        let replaced_s = self.age_s();
        let ended = self.eventually(ENDED_WITHIN, || !tree::is_alive(old));
        let ended_s = ended.unwrap_or(false).then(|| self.age_s());
        Ok(Some(Moments {
            asked_s,
            replaced_s,
            ended_s,
        }))
    }

    fn age_s(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Waits until `is_so`; `None` when the bench is interrupted.
    fn eventually(&self, within: Duration, is_so: impl Fn() -> bool) -> Option<bool> {
        let deadline = Instant::now() + within;
        loop {
            if is_so() {
                return Some(true);
            }
            if Instant::now() >= deadline {
                return Some(false);
            }
            if !self.sleep_until(Instant::now() + LOOK_EVERY) {
                return None;
            }
        }
    }

    /// `false` when the bench is interrupted.
    fn sleep_until(&self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        std::thread::sleep(left);
        !self.setup.interrupt.is_set()
    }
}

#[cfg(test)]
mod tests {
    use schema::load::SliceFigures;

    use super::*;

    /// Ten slices of five requests; in the fourth two were refused, in the seventh one was lost.
    #[test]
    fn a_series_with_known_losses_gives_them() {
        let slice = |n: u64| {
            let failed = match n {
                3 => 2,
                6 => 1,
                _ => 0,
            };
            SliceFigures {
                start_s: n as f64 * 0.01,
                duration_s: 0.01,
                scheduled: 5,
                requests: 5 - failed,
                errors_total: failed,
                p50_us: Some(90.0 + n as f64),
                max_us: (failed == 0).then_some(400.0),
                ..SliceFigures::default()
            }
        };
        let load = LoadResult {
            scheduled: 50,
            requests: 47,
            duration_s: 0.1,
            rate_offered: Some(500.0),
            timeline: (0..10).map(slice).collect(),
            errors: [("refused".to_owned(), 2), ("reset".to_owned(), 1)].into(),
            ..LoadResult::default()
        };
        let says = of(&load);
        assert_eq!((says.scheduled, says.served), (50, 47));
        assert_eq!((says.counts.refused, says.counts.lost), (2, 1));
        assert_eq!(says.served + says.counts.total(), says.scheduled);
        let failed: Vec<u64> = says.slices.iter().map(|s| s.scheduled - s.served).collect();
        assert_eq!(failed, [0, 0, 0, 2, 0, 0, 1, 0, 0, 0]);
        assert_eq!(
            (says.slices[3].max_us, says.slices[4].max_us),
            (None, Some(400.0))
        );
    }

    #[test]
    fn a_process_is_alive_until_it_ends() {
        assert!(tree::is_alive(std::process::id()));
        let mut child = Command::new("true").spawn().expect("it starts");
        let pid = child.id();
        let deadline = Instant::now() + Duration::from_secs(20);
        while tree::is_alive(pid) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(!tree::is_alive(pid), "a zombie is not alive");
        child.wait().expect("it ended");
        assert!(!tree::is_alive(0));
    }
}
