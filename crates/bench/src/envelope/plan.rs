//! How long everything takes in each size, and what may be asked for.

use std::time::Duration;

use report::data::Env;
use schema::envelope::{BARE, BARE_AGAIN, Run, Setup, VERSION};

use crate::args::Args;
use crate::failure::Failure;
use crate::observe::cpus::CpuList;
use crate::observe::environment;
use crate::plan::contender::Contender;
use crate::plan::request::Request;
use crate::plan::size::Size;

/// CPU of a request of the overload, µs: as long as a page that is computed.
pub const REQUEST_US: f64 = 1_000.0;
/// Replies later than this are no goodput, µs: a hundred times what the request takes, as in the
/// scenario *overload*.
pub const OBJECTIVE_US: f64 = 100.0 * REQUEST_US;
/// Connections of the overload, kept alive.
pub const OVERLOAD_CONNECTIONS: u32 = 64;
/// Requests per second while a server is replaced: few enough that every model serves them, each with a
/// connection of its own, in a third of a CPU.
pub const RESTART_RPS: f64 = 500.0;
/// The length of a slice of the window of restarts: five requests.
pub const RESTART_SLICE: Duration = Duration::from_millis(10);
/// Connections of the logs, kept alive.
pub const LOG_CONNECTIONS: u32 = 16;

/// The setups of the logs, and what stands for a file in their flags.
pub const FILE: &str = "FILE";
pub const SETUPS: [(&str, &[&str]); 6] = [
    (BARE, &[]),
    (BARE_AGAIN, &[]),
    ("admin", &["--admin", "127.0.0.1:0"]),
    ("log to a file", &["--access-log", FILE]),
    (
        "JSON log to a file",
        &["--access-log", FILE, "--access-log-format", "json"],
    ),
    ("log to /dev/null", &["--access-log", "/dev/null"]),
];

/// A part of the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Overload,
    Restart,
    Logs,
}

impl Part {
    /// In the order in which they are measured.
    pub const ALL: [Self; 3] = [Self::Overload, Self::Restart, Self::Logs];

    /// As the file has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overload => "overload",
            Self::Restart => "restart",
            Self::Logs => "logs",
        }
    }
}

/// How much is measured of every model, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Times {
    /// Name of the size.
    pub name: &'static str,
    /// Offered rates of the overload, in capacities.
    pub factors: &'static [f64],
    /// Repetitions of the overload.
    pub blocks: u32,
    /// The closed loop that tells the capacity.
    pub capacity: Duration,
    /// Load at the same rate before a window of the overload.
    pub warm_up: Duration,
    pub window: Duration,
    /// Load at half the capacity behind a window of the highest rate.
    pub recovery: Duration,
    /// Restarts, and the time from one to the next; half of it lies before the first.
    pub restarts: u32,
    pub restart_every: Duration,
    /// Rotations of the logs, and the length of a slice.
    pub rotations: u32,
    pub slice: Duration,
}

/// How long requests without a reply are waited for behind a window of the overload.
pub const OVERLOAD_DRAIN: Duration = Duration::from_millis(150);
/// How long lines of an access log may take until they are written, with a reserve: the helper looks after
/// 100 ms at the latest.
pub const LOG_SETTLES: Duration = Duration::from_millis(115);

/// What starting, verifying and ending takes, by measurement on two CPUs: a server and its generator, and a
/// slice on one that stands.
const AROUND_WINDOW: Duration = Duration::from_millis(150);
const AROUND_RESTARTS: Duration = Duration::from_millis(700);
const AROUND_SLICE: Duration = Duration::from_millis(25);
const AROUND_STANDING: Duration = Duration::from_millis(150);

impl Times {
    fn of_size(size: Size) -> Self {
        let ms = Duration::from_millis;
        match size {
            Size::Smoke => Self {
                name: size.name(),
                factors: &[0.5, 2.0, 10.0],
                blocks: 1,
                capacity: ms(200),
                warm_up: ms(100),
                window: ms(200),
                recovery: ms(100),
                restarts: 1,
                restart_every: ms(700),
                rotations: 2,
                slice: ms(40),
            },
            Size::Quick => Self {
                name: size.name(),
                factors: &[0.5, 1.0, 2.0, 10.0],
                blocks: 1,
                capacity: ms(600),
                warm_up: ms(500),
                window: ms(1_200),
                recovery: ms(2_000),
                restarts: 4,
                restart_every: ms(1_000),
                rotations: 10,
                slice: ms(150),
            },
            Size::Full => Self {
                factors: &[0.5, 1.0, 2.0, 10.0],
                name: size.name(),
                blocks: 3,
                capacity: ms(1_000),
                warm_up: ms(1_000),
                window: ms(3_000),
                recovery: ms(2_000),
                restarts: 10,
                restart_every: ms(1_000),
                rotations: 30,
                slice: ms(300),
            },
        }
    }

    /// Whether a window at so many capacities is followed by load that the server can bear.
    pub fn recovers_from(&self, factor: f64) -> bool {
        factor > 1.0 && self.factors.iter().all(|other| *other <= factor)
    }

    /// The window of the restarts.
    pub fn restart_window(&self) -> Duration {
        self.restart_every * self.restarts
    }

    /// When each restart is asked for, from the start of the window: in the middle of its own share.
    pub fn restart_at(&self) -> Vec<Duration> {
        let at = |n| self.restart_every * n + self.restart_every.mul_f64(0.4);
        (0..self.restarts).map(at).collect()
    }

    /// How long a part of one model takes.
    pub fn of(&self, part: Part) -> Duration {
        match part {
            Part::Overload => {
                let windows = self.blocks * 2 * self.factors.len() as u32;
                let one = self.warm_up + self.window + OVERLOAD_DRAIN + AROUND_WINDOW;
                self.capacity + AROUND_WINDOW + one * windows + self.recovery * self.blocks * 2
            }
            Part::Restart => self.restart_window() + AROUND_RESTARTS,
            Part::Logs => {
                let around = LOG_SETTLES + AROUND_SLICE;
                let rotation = (self.slice + around) * SETUPS.len() as u32;
                let begin = (self.slice * 2 + around + AROUND_STANDING) * SETUPS.len() as u32;
                begin + rotation * self.rotations
            }
        }
    }

    /// How long everything takes for so many models.
    pub fn total(&self, models: usize) -> Duration {
        let one: Duration = Part::ALL.into_iter().map(|part| self.of(part)).sum();
        one * u32::try_from(models).unwrap_or(u32::MAX)
    }
}

/// What `args` ask for.
pub fn times(args: &Args) -> Result<Times, Failure> {
    let size = Size::parse(args.size.as_deref().unwrap_or("quick"))?;
    Ok(Times::of_size(size))
}

/// The first line of the file, and what a folder says that holds nothing else.
pub fn described(
    times: &Times,
    allowed: &CpuList,
    [server_cpus, load_cpus]: [&CpuList; 2],
    contenders: &[Contender],
    seed: u64,
) -> (Run, Env) {
    let request = Request {
        size: times.name.to_owned(),
        seed,
        server_cpus: server_cpus.to_string(),
        load_cpus: load_cpus.to_string(),
        ..Request::default()
    };
    let env = environment::describe(&request, allowed, 0);
    let mut remarks = env.remarks.clone();
    if server_cpus.overlaps(load_cpus) && allowed.len() > 1 {
        remarks.push("Server and generator share a CPU: each slows the other down.".to_owned());
    }
    let run = Run {
        version: VERSION,
        turnstile: env.turnstile.clone(),
        commit: env.commit.clone(),
        started: env.started.clone(),
        size: env.size.clone(),
        seed,
        cpu: env.cpu.clone(),
        cpus: env.cpus,
        server_cpus: env.server_cpus.clone(),
        load_cpus: env.load_cpus.clone(),
        kernel: env.kernel.clone(),
        remarks,
        models: contenders.iter().map(|each| each.label.clone()).collect(),
        request_us: REQUEST_US,
        objective_us: OBJECTIVE_US,
        factors: times.factors.to_vec(),
        setups: SETUPS
            .iter()
            .map(|(name, flags)| Setup {
                name: (*name).to_owned(),
                flags: flags.join(" "),
            })
            .collect(),
    };
    (run, env)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODELS: usize = 12;

    #[test]
    fn twelve_models_take_no_longer_than_the_page_says() {
        for (size, minutes) in [(Size::Smoke, 2.0), (Size::Quick, 10.0)] {
            let total = Times::of_size(size).total(MODELS);
            assert!(total.as_secs_f64() < minutes * 60.0, "{size:?}: {total:?}");
        }
    }

    #[test]
    fn restarts_lie_within_the_window_and_apart() {
        for size in [Size::Smoke, Size::Quick, Size::Full] {
            let times = Times::of_size(size);
            let at = times.restart_at();
            assert_eq!(at.len(), times.restarts as usize);
            assert!(at[0] > Duration::ZERO);
            assert!(*at.last().expect("one") < times.restart_window());
            assert!(
                at.windows(2)
                    .all(|two| two[1] - two[0] == times.restart_every)
            );
        }
    }

    #[test]
    fn the_generator_takes_so_many_slices() {
        for size in [Size::Smoke, Size::Quick, Size::Full] {
            let window = Times::of_size(size).restart_window();
            assert!(window.as_nanos() / RESTART_SLICE.as_nanos() <= 1_000);
        }
    }
}
