//! `turnstile profile`: what every variant costs on this machine, measured once.
//!
//! Each variant is started once and asked for one kind of request after another. What it cost is the CPU of
//! its process tree, divided by the replies; differences of those are the figures of the profile. They
//! come from windows in which the server is the limit, except where the cost of an idle server is meant.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use report::data::{Mode, Pass, Shape};
use report::out;
use schema::profile::{
    LOW_RPS, MachineOf, PAUSE_US, Profile, SOON_RPS, VERSION, VariantCosts, WORK_US,
};

use crate::failure::{Failure, Unmeasured};
use crate::observe::cpus::{CpuArgs, CpuList};
use crate::observe::environment;
use crate::observe::measured::Sample;
use crate::observe::slice;
use crate::observe::stalls;
use crate::observe::tree::Footprint;
use crate::plan::catalogue::Catalogue;
use crate::plan::contender::Contender;
use crate::plan::request::Request;
use crate::plan::scenario::{PLAINTEXT, Scenario};
use crate::plan::scenarios::TINY;
use crate::plan::visit::Visit;
use crate::plan::workers::Holds;
use crate::run::memory;
use crate::run::server::Server;
use crate::run::setup::Setup;
use crate::run::visit;

/// `turnstile profile`: measure what every variant costs on this machine, for `turnstile pick`.
#[derive(Debug, Clone, clap::Args)]
pub struct ProfileArgs {
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = "results/profile.json")]
    pub out: PathBuf,

    /// Models, as `turnstile bench` takes them
    #[arg(long, value_name = "A,B", default_value = "all-variants")]
    pub models: String,

    /// How often everything is measured
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub repeats: u32,

    /// Who gets which CPUs.
    #[command(flatten)]
    pub cpus: CpuArgs,

    /// Mark it as measured beside other work
    #[arg(long)]
    pub provisional: bool,

    /// Measure only how the kernel shares a CPU and how often CPUs are away (25 s), and write that into the file that is there
    #[arg(long)]
    pub scheduler_only: bool,
}

/// Connections of a saturating load.
const CONNECTIONS: u32 = 32;
/// Connections where requests await, so that a loop still is the limit.
const AWAITING: u32 = 128;
/// Idle connections by which the cost of one is told.
const IDLE: u32 = 400;
/// The length of a window, s.
const WINDOW_S: f64 = 0.4;
/// The same by which the true length of a µs is told.
const LONG_US: f64 = 1_000.0;
/// CPU of the least requests, µs. With none they would be quick ones, which models that have threads for the
/// others serve in another way.
const LEAST_US: f64 = 1.0;
const KIB: f64 = 64.0;
/// How long the CPUs are watched for moments in which they are away.
const WATCHED: Duration = Duration::from_secs(20);

static KEPT: Scenario = Scenario {
    name: "profile",
    connections: AWAITING,
    ..TINY
};
static CHURN: Scenario = Scenario {
    name: "profile-churn",
    keep_alive: false,
    ..TINY
};

/// Runs `turnstile profile`: 0 when written, 2 for arguments that cannot be used, 1 for a failure.
pub fn profile_main(args: &ProfileArgs) -> ExitCode {
    let told = || out::print(&format!("{}\n", args.out.display())).map_err(Failure::from);
    match measure(args).and_then(|()| told()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            match failure {
                // A profile is written whole or not at all.
                Failure::Interrupted => {
                    eprintln!("turnstile profile: interrupted; no profile is written");
                }
                _ => eprintln!("turnstile profile: {failure}"),
            }
            ExitCode::from(failure.code())
        }
    }
}

/// This machine, as a profile names it, where the server would have `server_cpus` CPUs.
pub fn machine(server_cpus: u32) -> anyhow::Result<MachineOf> {
    let allowed = CpuList::allowed()?;
    let env = environment::describe(&Request::default(), &allowed, 0);
    Ok(MachineOf {
        cpu: env.cpu,
        server_cpus,
        cpus: env.cpus,
        memory_mib: env.memory_mib,
        kernel: env.kernel,
    })
}

fn measure(args: &ProfileArgs) -> Result<(), Failure> {
    let allowed = CpuList::allowed()?;
    let (server_cpus, load_cpus) = args.cpus.shared_out(&allowed)?;
    if args.scheduler_only {
        return scheduler(&args.out, &server_cpus, &load_cpus);
    }
    let own = std::env::current_exe().context("this command does not find itself")?;
    let contenders = Catalogue::ask(&own)?.choose(&args.models)?;
    let folder = args.out.parent().filter(|f| !f.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| ".".as_ref()).to_owned();
    fs::create_dir_all(&folder).map_err(|error| {
        Failure::usage(format!("--out: cannot make {}: {error}", folder.display()))
    })?;
    // Before anything is measured: a file that cannot be written is known now.
    let file = open(&args.out)?;
    let scratch = std::path::absolute(&folder).context("there is no such folder")?;
    let scratch = |name: &str| scratch.join(format!(".profile-{}-{name}", std::process::id()));
    let setup = Setup::of_own(server_cpus, load_cpus, scratch)?;
    let scheduled = scheduling(&setup.server_cpus, &setup.load_cpus, Profile::default())?;
    let request = Request {
        server_cpus: setup.server_cpus.to_string(),
        load_cpus: setup.load_cpus.to_string(),
        ..Request::default()
    };
    let env = environment::describe(&request, &allowed, 0);
    let mut profile = Profile {
        version: VERSION,
        turnstile: env.turnstile,
        commit: env.commit,
        measured: env.started,
        provisional: args.provisional,
        remarks: env.remarks,
        machine: machine(u32::try_from(setup.server_cpus.len()).unwrap_or(u32::MAX))?,
        ..scheduled
    };
    if args.provisional {
        let remark = "Provisional: it was measured beside other work.";
        profile.remarks.push(remark.to_owned());
    }
    for (at, contender) in contenders.iter().enumerate() {
        eprintln!("{}/{} {}", at + 1, contenders.len(), contender.label);
        let mut costs = VariantCosts {
            model: contender.model.clone(),
            variant: contender.variant.clone(),
            ..VariantCosts::default()
        };
        for _ in 0..args.repeats {
            let asked = Variant {
                setup: &setup,
                contender,
            };
            match asked.measure(&mut costs, &mut profile.cpu_factor) {
                Ok(()) => {}
                Err(Unmeasured::Interrupted) => return Err(Failure::Interrupted),
                Err(Unmeasured::Because(reason)) => costs.failed = reason.text.clone(),
            }
        }
        if costs.request_us.is_empty() {
            eprintln!("  not measured: {}", costs.failed);
        } else {
            costs.failed.clear();
        }
        profile.variants.push(costs);
    }
    write(&profile, file)?;
    Ok(())
}

fn open(path: &Path) -> Result<out::File, Failure> {
    out::File::open(path).map_err(|error| Failure::usage(format!("--out: cannot write {error:#}")))
}

fn write(profile: &Profile, to: out::File) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(profile).context("a profile is plain data")? + "\n";
    to.write(&text).context("cannot write")
}

/// Measures how a CPU is shared and how often it is away, into the profile in `file`.
fn scheduler(file: &Path, server_cpus: &CpuList, load_cpus: &CpuList) -> Result<(), Failure> {
    let unusable = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("--scheduler-only: {}: {error}", file.display()))
    };
    let text = fs::read_to_string(file).map_err(|error| unusable(&error))?;
    let profile: Profile = serde_json::from_str(&text).map_err(|error| unusable(&error))?;
    let to = open(file)?;
    write(&scheduling(server_cpus, load_cpus, profile)?, to)?;
    Ok(())
}

/// The profile with how a CPU is shared and how often it is away, measured now.
fn scheduling(
    server_cpus: &CpuList,
    load_cpus: &CpuList,
    profile: Profile,
) -> anyhow::Result<Profile> {
    let slices = slice::measure(server_cpus)?;
    let (of_server, of_client) = stalls::measure(server_cpus, load_cpus, WATCHED)?;
    Ok(Profile {
        slice_us: slices.slice_us,
        preempt_us: slices.preempt_us,
        protect_us: slices.protect_us,
        stalls: Some(of_server),
        client_stalls: Some(of_client),
        ..profile
    })
}

/// A variant that is measured.
pub(super) struct Variant<'a> {
    pub(super) setup: &'a Setup,
    pub(super) contender: &'a Contender,
}

impl Variant<'_> {
    fn visit(&self, scenario: &'static Scenario, held: u32, idle: u32) -> Visit {
        let cpus = self.setup.server_cpus.len();
        Visit {
            idle,
            workers: self.contender.workers.asked_for(held, false, cpus),
            ..Visit::new(Pass::Measure, scenario, self.contender.clone())
        }
    }

    /// CPU of a request that computes for [`WORK_US`], saturated, in each of `times` windows, µs.
    pub(super) fn saturated_us(&self, times: usize) -> Result<Vec<f64>, Unmeasured> {
        let visit = self.visit(&KEPT, AWAITING, 0);
        let (server, _) = visit::begin(self.setup, &visit)?;
        let shape = closed(&work(WORK_US, 0.0), CONNECTIONS);
        let each: Result<Vec<f64>, Unmeasured> = (0..times)
            .map(|_| self.cpu_us(&visit, &shape, &server))
            .collect();
        server.drain(&self.setup.interrupt)?;
        each
    }

    /// Adds a figure to every list of `costs` that this variant has one for.
    fn measure(&self, costs: &mut VariantCosts, factors: &mut Vec<f64>) -> Result<(), Unmeasured> {
        self.memory(costs)?;
        let one = self.contender.workers.holds == Holds::One;
        let visit = self.visit(&KEPT, AWAITING, 0);
        let (server, warm_up) = match one {
            // A server of one client at a time cannot be warmed up by many.
            true => visit::begin(self.setup, &self.visit(&CHURN, 1, 0))?,
            false => visit::begin(self.setup, &visit)?,
        };
        // Where a connection occupies a worker, this is what the worker and its connection take.
        let occupied = self.contender.workers.holds == Holds::Workers;
        if let (Some(rest), Some(with), true) = (warm_up.unloaded, warm_up.loaded, occupied) {
            let more = with.pss_kib.saturating_sub(rest.pss_kib) as f64;
            costs.connection_kib = more / f64::from(AWAITING);
            let more = with.kernel_kib.saturating_sub(rest.kernel_kib) as f64;
            costs.connection_kernel_kib = Some(more / f64::from(AWAITING));
        }
        let connections = if one { 1 } else { CONNECTIONS };
        let cpu = |path: &str, connections: u32| {
            let shape = closed(path, connections);
            self.cpu_us(&visit, &shape, &server)
        };
        let short = cpu(&work(WORK_US, 0.0), connections)?;
        let long = cpu(&work(LONG_US, 0.0), connections)?;
        let factor = (long - short) / (LONG_US - WORK_US);
        let request = short - WORK_US * factor;
        let low = Shape {
            mode: Mode::Open,
            rate: Some(LOW_RPS),
            ..closed(&work(LEAST_US, 0.0), connections)
        };
        let sample = self.sample(&visit, &low, &server)?;
        let idle_cpu = per_request(&sample)?;
        let p50 = sample.load.response_us.p50.unwrap_or(idle_cpu);
        let soon = Shape {
            rate: Some(SOON_RPS),
            ..low.clone()
        };
        let soon_cpu = self.cpu_us(&visit, &soon, &server)?;
        let late = |path: String, nominal: f64| -> Result<f64, Unmeasured> {
            let shape = Shape {
                path,
                ..low.clone()
            };
            let sample = self.sample(&visit, &shape, &server)?;
            let took = sample.load.response_us.p50.unwrap_or(p50 + nominal);
            Ok((took - p50 - nominal).max(0.0))
        };
        let blocked_late = late(format!("/work/{LEAST_US}/{PAUSE_US}/0/13"), PAUSE_US)?;
        let awaited_late = late(work(LEAST_US, PAUSE_US), PAUSE_US)?;
        let unblocked = self.unblocked_us(&visit, &server, connections)?;
        let awaiting = if one { 1 } else { AWAITING };
        let resumed = cpu(&work(WORK_US, 1_000.0), awaiting)?;
        // Beside the same work as above, so that the generator has as much time to itself: a server whose replies
        // wake up a client pays for that, on some machines more than for anything else.
        let sent = format!("/work/{WORK_US}/0/0/{}", KIB * 1024.0);
        let sent = cpu(&sent, connections)?;
        let received = {
            let shape = Shape {
                mix: vec![format!("1:POST:{}", work(WORK_US, 0.0))],
                body_bytes: (KIB * 1024.0) as u64,
                ..closed(&work(WORK_US, 0.0), connections)
            };
            self.cpu_us(&visit, &shape, &server)?
        };
        let own = Shape {
            keep_alive: false,
            ..closed(&work(WORK_US, 0.0), connections)
        };
        let opened = self.cpu_us(&visit, &own, &server)?;
        let scan = match self.contender.workers.holds {
            Holds::Many => Some(self.scan(&server)?),
            Holds::One | Holds::Workers => None,
        };
        server.drain(&self.setup.interrupt)?;
        factors.push(factor);
        costs.request_us.push(request.max(0.1));
        let least = request + LEAST_US * factor;
        costs.wake_us.push((idle_cpu - least).max(0.0));
        costs.wake_soon_us.push((soon_cpu - least).max(0.0));
        costs.base_us.push((p50 - idle_cpu).max(0.0));
        costs.resume_us.push((resumed - short).max(0.0));
        costs.unblock_us.push((unblocked - short).max(0.0));
        costs.blocked_late_us.push(blocked_late);
        costs.awaited_late_us.push(awaited_late);
        costs.kib_out_us.push(((sent - short) / KIB).max(0.0));
        costs.kib_in_us.push(((received - short) / KIB).max(0.0));
        costs.connection_us.push((opened - short).max(0.0));
        costs.scan_us.extend(scan);
        Ok(())
    }

    /// CPU of a request that computes for [`WORK_US`] and blocks, µs. Where workers share all connections, it takes
    /// many of them to keep the CPU busy meanwhile: with as many as there are CPUs, the figure would be that of an
    /// idle one that is woken up.
    fn unblocked_us(
        &self,
        visit: &Visit,
        server: &Server,
        connections: u32,
    ) -> Result<f64, Unmeasured> {
        let path = format!("/work/{WORK_US}/{PAUSE_US}/0/13");
        let cpus = self.setup.server_cpus.len();
        let workers = &self.contender.workers;
        if workers.holds != Holds::Many || !workers.shares {
            return self.cpu_us(visit, &closed(&path, connections), server);
        }
        let visit = Visit {
            workers: workers.asked_for(AWAITING, true, cpus),
            ..visit.clone()
        };
        let (server, _) = visit::begin(self.setup, &visit)?;
        let us = self.cpu_us(&visit, &closed(&path, AWAITING), &server)?;
        server.drain(&self.setup.interrupt)?;
        Ok(us)
    }

    /// What each idle connection adds to a request that is alone in its wait: one client asks again and
    /// again, without idle connections and beside them.
    fn scan(&self, server: &Server) -> Result<f64, Unmeasured> {
        let alone = self.cpu_us(
            &self.visit(&KEPT, AWAITING, 0),
            &closed(PLAINTEXT, 1),
            server,
        )?;
        let shape = Shape {
            idle: IDLE,
            ..closed(PLAINTEXT, 1)
        };
        let visit = self.visit(&KEPT, AWAITING, IDLE);
        let sample = self.sample(&visit, &shape, server)?;
        Ok(((per_request(&sample)? - alone) / f64::from(IDLE)).max(0.0))
    }

    /// What an idle connection takes of a server that holds many. A fresh one is asked, that has served
    /// nothing else: one that has would give connections the memory of earlier ones.
    fn connection_memory(&self, costs: &mut VariantCosts) -> Result<(), Unmeasured> {
        let visit = self.visit(&KEPT, IDLE, IDLE);
        let server = Server::of_visit(self.setup, &visit, &self.setup.db)?;
        let mut held = Vec::new();
        let interrupt = &self.setup.interrupt;
        // The first ones bring what all of them share: buffers of a worker, and tables.
        let few = memory::hold(&server, PLAINTEXT, &mut held, IDLE / 10, interrupt)?;
        server.wait_until_quiet();
        let less = server.footprint();
        let all = memory::hold(&server, PLAINTEXT, &mut held, IDLE, interrupt)?;
        server.wait_until_quiet();
        if let (None, None, Some(less), Some(more)) = (few, all, less, server.footprint()) {
            let kib = more.pss_kib.saturating_sub(less.pss_kib) as f64;
            costs.connection_kib = kib / f64::from(IDLE - IDLE / 10);
            let kib = more.kernel_kib.saturating_sub(less.kernel_kib) as f64;
            costs.connection_kernel_kib = Some(kib / f64::from(IDLE - IDLE / 10));
        }
        drop(held);
        server.drain(&self.setup.interrupt)?;
        Ok(())
    }

    /// Memory at rest, with few workers and with more.
    fn memory(&self, costs: &mut VariantCosts) -> Result<(), Unmeasured> {
        if self.contender.workers.holds == Holds::Many {
            self.connection_memory(costs)?;
        }
        let read = |workers: Option<u32>| -> Result<Option<Footprint>, Unmeasured> {
            let visit = Visit {
                workers,
                ..self.visit(&KEPT, 1, 0)
            };
            let server = Server::of_visit(self.setup, &visit, &self.setup.db)?;
            let footprint = server.footprint();
            server.drain(&self.setup.interrupt)?;
            Ok(footprint)
        };
        let asked = self.contender.workers.asked_for(33, false, 1);
        let (few, more) = (1, 33);
        let kib = |footprint: Option<Footprint>| {
            footprint.map_or([0.0; 2], |f| [f.pss_kib as f64, f.kernel_kib as f64])
        };
        let (rest, worker) = match asked {
            Some(_) => {
                let (less, much) = (kib(read(Some(few))?), kib(read(Some(more))?));
                let worker = |at: usize| ((much[at] - less[at]) / f64::from(more - few)).max(0.0);
                let rest = |at: usize| (less[at] - worker(at)).max(0.0);
                ([rest(0), rest(1)], [worker(0), worker(1)])
            }
            None => (kib(read(None)?), [0.0; 2]),
        };
        (costs.rest_kib, costs.worker_kib) = (rest[0], worker[0]);
        (costs.rest_kernel_kib, costs.worker_kernel_kib) = (Some(rest[1]), Some(worker[1]));
        Ok(())
    }

    fn sample(&self, visit: &Visit, shape: &Shape, server: &Server) -> Result<Sample, Unmeasured> {
        visit::sample(self.setup, visit, shape, server)
    }

    fn cpu_us(&self, visit: &Visit, shape: &Shape, server: &Server) -> Result<f64, Unmeasured> {
        per_request(&self.sample(visit, shape, server)?)
    }
}

/// CPU of the server's tree per reply, µs.
fn per_request(sample: &Sample) -> Result<f64, Unmeasured> {
    let text = "the server answered nothing, or its CPU is not known";
    let unknown = || Unmeasured::new(schema::Code::NothingAnswered, text);
    sample.cpu_us().ok_or_else(unknown)
}

fn work(cpu_us: f64, wait_us: f64) -> String {
    format!("/work/{cpu_us}/0/{wait_us}/13")
}

fn closed(path: &str, connections: u32) -> Shape {
    Shape {
        mode: Mode::Closed,
        connections,
        pipeline: 1,
        keep_alive: true,
        path: path.to_owned(),
        duration_s: WINDOW_S,
        ..Shape::default()
    }
}
