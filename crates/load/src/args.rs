//! The command line.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use schema::duration;
use schema::load::{Arrivals, BodyCheck};

use crate::choice::{Choice, choice};
use crate::fail_on::FailOn;
use crate::kind::Kind;
use crate::merge::Merge;
use crate::percentile::Percentile;
use crate::plan::{Pace, Plan, Poison, Slow, THINK_MAX};
use crate::profile::Step;
use crate::script::Script;
use crate::script::reading::Use;
use crate::share::Share;
use crate::target::Target;

/// Send load to a server and measure it without hiding late replies.
///
/// Without --rate the loop is closed: each reply lets the next request be sent. With --rate or
/// --profile the loop is open: each request is due at a scheduled time, and its response time
/// counts from then on, whatever delays its sending.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "load",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    /// The server: http://HOST:PORT/PATH, unp://HOST:PORT or unix:/SOCKET:/PATH
    #[arg(required = true)]
    pub url: Option<String>,

    /// Open loop: requests per second over all connections
    #[arg(long, value_name = "R")]
    pub rate: Option<f64>,

    /// Open loop in steps, RATE:DURATION or FROM-TO:DURATION, instead of --rate and --duration
    #[arg(
        long,
        value_name = "STEP,...",
        value_delimiter = ',',
        value_parser = parsed::<Step>,
        conflicts_with_all = ["rate", "duration"]
    )]
    pub profile: Vec<Step>,

    /// How the arrivals of an open loop are spaced
    #[arg(long, value_parser = choice(ARRIVALS), default_value = "poisson")]
    pub arrivals: Arrivals,

    /// Seed of Poisson arrivals and of the mix
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Send the I-th of N equal parts of this load, for a machine of several: its share of the rate,
    /// the connections and the extra clients, and a seed of its own; of a replay every N-th request
    #[arg(long, value_name = "I/N", conflicts_with_all = ["slices", "poison"])]
    pub share: Option<Share>,

    /// Connections held; with --new-connection, the most that are open at once [default: 64; of a
    /// --rate below 64, one per request and second, and at least one per thread of each machine]
    #[arg(long, short, value_name = "N")]
    pub connections: Option<usize>,

    /// Threads, each with its share of the connections and of the schedule
    #[arg(long, short, value_name = "N", default_value_t = 1)]
    pub threads: usize,

    /// Length of the measured window (10s, 500ms, 2m)
    /// [default: 10s; of a replay, the length of the log]
    #[arg(long, short, value_name = "D", value_parser = duration::parse)]
    pub duration: Option<Duration>,

    /// Load of the same kind before the window, which is not recorded
    #[arg(long, value_name = "D", default_value = "1s", value_parser = duration::parse)]
    pub warmup: Duration,

    /// How long to wait for unanswered requests after the window; then they count as censored
    #[arg(long, value_name = "D", default_value = "1s", value_parser = duration::parse)]
    pub drain: Duration,

    /// Time-out of a request, counted from its intended start
    #[arg(long, value_name = "D", default_value = "10s", value_parser = duration::parse)]
    pub timeout: Duration,

    /// Requests in flight on each connection
    #[arg(long, short, value_name = "N", default_value_t = 1)]
    pub pipeline: usize,

    /// Open a connection for every request; the server closes it after the reply
    #[arg(long)]
    pub new_connection: bool,

    /// The share of requests that come on a connection of their own, 0 to 1; the others share those that are
    /// kept. 1 is --new-connection
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.0,
        value_parser = churn,
        conflicts_with_all = ["new_connection", "replay", "mix_from", "body_lines", "header_lines"]
    )]
    pub churn: f64,

    /// Closed loop: how long each client waits after a reply before its next request, milliseconds,
    /// fractions too. Their first requests are spread evenly over that time
    #[arg(
        long,
        value_name = "T",
        default_value_t = 0.0,
        value_parser = think_ms,
        conflicts_with_all = ["rate", "profile", "replay"]
    )]
    pub think_ms: f64,

    /// The protocol; unp is the line protocol of UNP chapter 30 [default: as the URL says]
    #[arg(long, value_enum)]
    pub protocol: Option<Protocol>,

    /// Bytes that each UNP request asks for, 1 to 16384 [default: 4000]
    #[arg(long, value_name = "N")]
    pub unp_bytes: Option<u32>,

    /// Request method; POST if there is a body, else GET
    #[arg(long, short, value_name = "METHOD")]
    pub method: Option<String>,

    /// A kind of request in a mix, WEIGHT:METHOD:PATH, instead of the URL's path; {n:K} in PATH is
    /// replaced by a number below K, drawn for every request. May be given many times
    #[arg(long = "request", value_name = "KIND", value_parser = parsed::<Kind>, conflicts_with = "method")]
    pub requests: Vec<Kind>,

    /// Send the requests of an access log (common, combined, JSON lines) or a HAR at their own times;
    /// a reply is right if its status is the one in the file, whatever its body
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["rate", "profile", "requests", "method", "mix_from", "warmup", "body_check"]
    )]
    pub replay: Option<PathBuf>,

    /// Replay so many times faster
    #[arg(long, value_name = "X", requires = "replay", default_value_t = 1.0)]
    pub speed: f64,

    /// Smooth the bursts of a replay: spread the requests of each D over it, as --arrivals says. A log
    /// of whole seconds is smoothed over 1s at least
    #[arg(long, value_name = "D", requires = "replay", value_parser = duration::parse)]
    pub smooth: Option<Duration>,

    /// Draw the requests from an access log, a HAR, or JSON lines with method, path, headers and body,
    /// each as often as it is in it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["requests", "method", "body_check"])]
    pub mix_from: Option<PathBuf>,

    /// Bytes of the request body; in a mix, of POST, PUT and PATCH requests
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = body_bytes)]
    pub body_bytes: usize,

    /// The request body, or @FILE for the bytes of a file; in a mix, of POST, PUT and PATCH requests
    #[arg(long, value_name = "TEXT|@FILE", conflicts_with = "body_bytes")]
    pub body: Option<String>,

    /// Request bodies, one per line of FILE; every request draws one. Bodies of replies are not compared
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["replay", "mix_from", "requests", "body", "body_bytes", "body_check"]
    )]
    pub body_lines: Option<PathBuf>,

    /// Header lines, one per line of FILE; every request draws one, with --body-lines that of the same
    /// line as its body. Bodies of replies are not compared
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["replay", "mix_from", "requests", "body_check"]
    )]
    pub header_lines: Option<PathBuf>,

    /// An additional header line, NAME: VALUE
    #[arg(long = "header", short = 'H', value_name = "LINE")]
    pub headers: Vec<String>,

    /// The statuses that count as correct [default: any 2xx]
    #[arg(
        long,
        value_name = "N,...",
        value_delimiter = ',',
        value_parser = clap::value_parser!(u16).range(200..=599)
    )]
    pub expect_status: Vec<u16>,

    /// How much of each body must equal the first correct one of its kind and status [default:
    /// exact, but none where the path contains {n:K}]
    #[arg(long, value_parser = choice(BODY_CHECKS))]
    pub body_check: Option<BodyCheck>,

    /// Also count the correct replies that end within N microseconds of their intended start
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub objective_us: Option<u64>,

    /// Report this percentile of the response, too; with FIRST..END over these kinds of the mix, counted
    /// from 0
    #[arg(long, value_name = "Q[@FIRST..END]", value_parser = parsed::<Percentile>)]
    pub percentile: Option<Percentile>,

    /// Length of the slices of time in the result, of which a window has 1000 at most [default: a
    /// hundredth of the window, 100ms at least]
    #[arg(
        long,
        value_name = "D",
        value_parser = duration::parse,
        conflicts_with_all = ["slices", "emit_hdr", "share"]
    )]
    pub slice: Option<Duration>,

    /// Additional connections that carry one request before the run and are then held idle
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub idle: usize,

    /// Additional clients that send a request of a thousand bytes slowly
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub slow_senders: usize,

    /// Additional clients that read a long reply slowly
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub slow_readers: usize,

    /// Bytes per second that a slow client sends or reads
    #[arg(long, value_name = "B", default_value_t = Slow::default().bytes_per_s)]
    pub slow_bytes_per_s: u32,

    /// The path that slow readers request
    #[arg(long, value_name = "PATH", default_value_t = Slow::default().path)]
    pub slow_path: String,

    /// An additional request for PATH, which may harm the server, every EVERY or once in the middle
    #[arg(long, value_name = "PATH[:EVERY]", value_parser = poison)]
    pub poison: Option<Poison>,

    /// Load in slices: for each line on standard input such as {"seconds": 0.3, "rate": 5000} load
    /// that long, and print the result on one line; connections stay open in between
    #[arg(
        long,
        conflicts_with_all = [
            "rate", "profile", "duration", "warmup", "idle", "slow_senders", "slow_readers", "poison",
            "json", "emit_hdr"
        ]
    )]
    pub slices: bool,

    /// Print `opened` when the connections are open, before the first request, and `done` after the
    /// last reply, before they are closed; after each, wait for a line on standard input
    #[arg(long, requires = "quiet")]
    pub edges: bool,

    /// Print what has come so far on standard error, some times per second, as a line of JSON:
    /// correct replies, failures, and the mean time in the system since the line before
    #[arg(long, requires = "quiet", conflicts_with = "slices")]
    pub preview: bool,

    /// Write the result as JSON; - is standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write the result as comma-separated values: the run, steps, kinds of request, slices of time
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,

    /// Exit with status 1 if this holds: errors>N, errors>N%, p50|p90|p99|p99.9|max>DURATION, rate<N,
    /// invalid;
    /// may be given many times
    #[arg(long, value_name = "CONDITION", value_parser = parsed::<FailOn>)]
    pub fail_on: Vec<FailOn>,

    /// Write the exact counts and histograms, for turnstile load merge
    #[arg(long, value_name = "FILE")]
    pub emit_hdr: Option<PathBuf>,

    /// Print neither progress nor table
    #[arg(long, short)]
    pub quiet: bool,
}

/// The protocols that load can speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// The line protocol of UNP chapter 30: a number and a newline, and that many bytes back.
    Unp,
}

const ARRIVALS: &[Choice<Arrivals>] = &[
    (
        "poisson",
        "Exponential gaps, as independent users make them",
        Arrivals::Poisson,
    ),
    ("constant", "Equal gaps", Arrivals::Constant),
];

const BODY_CHECKS: &[Choice<BodyCheck>] = &[
    (
        "none",
        "Nothing; framing and status still are checked",
        BodyCheck::None,
    ),
    ("length", "Its length", BodyCheck::Length),
    (
        "exact",
        "Every byte (up to 64 MiB, and the length beyond)",
        BodyCheck::Exact,
    ),
];

/// Bytes that a UNP request asks for, as in Stevens' measurements (UNP section 30.3).
const UNP_BYTES: u32 = 4000;

/// What load can do instead of sending load.
#[derive(Debug, Clone, Subcommand)]
enum Command {
    Merge(Merge),
}

impl Args {
    /// The files to add up, if that is what the arguments ask for.
    pub fn merge(&self) -> Option<&Merge> {
        self.command.as_ref().map(|Command::Merge(merge)| merge)
    }

    /// The run that these arguments ask for.
    ///
    /// # Errors
    /// A malformed URL, or a value out of its range; the message is one line.
    pub fn plan(&self) -> Result<Plan> {
        let arrivals = self.arrivals;
        let body = self.body.as_deref().map(body).transpose()?;
        let carries = self.body_bytes > 0 || body.is_some() || self.body_lines.is_some();
        let method = if carries { "POST" } else { "GET" };
        let first = self.profile.first().map(|step| step.rate_from);
        let duration = if self.profile.is_empty() {
            self.duration.unwrap_or(DURATION)
        } else {
            self.profile.iter().map(|step| step.duration).sum()
        };
        let target: Target = self.url.as_deref().unwrap_or_default().parse()?;
        let unp = self
            .protocol
            .map_or(target.is_unp(), |p| p == Protocol::Unp);
        ensure!(
            unp || self.unp_bytes.is_none(),
            "--unp-bytes belongs to --protocol unp"
        );
        let mut plan = Plan {
            target,
            pace: first
                .or(self.rate)
                .map_or(Pace::Closed, |rate| Pace::Open { rate, arrivals }),
            profile: self.profile.clone(),
            seed: self.seed,
            phase: 0.0,
            connections: self
                .connections
                .unwrap_or_else(|| self.connections_default()),
            threads: self.threads,
            pipeline: self.pipeline,
            new_connection: self.new_connection || self.churn == 1.0,
            churn: if self.churn < 1.0 { self.churn } else { 0.0 },
            think: Duration::from_secs_f64(self.think_ms / 1e3),
            duration,
            warmup: if self.slices {
                Duration::ZERO
            } else {
                self.warmup
            },
            drain: self.drain,
            timeout: self.timeout,
            unp_bytes: unp.then_some(self.unp_bytes.unwrap_or(UNP_BYTES)),
            method: self.method.clone().unwrap_or_else(|| method.to_owned()),
            headers: self.headers.clone(),
            script: None,
            requests: self.requests.clone(),
            body_bytes: self.body_bytes,
            body,
            expect_status: self.expect_status.clone(),
            body_check: self.body_check,
            percentile: self.percentile,
            objective: self.objective_us.map(Duration::from_micros),
            slice: self.slice,
            idle: self.idle,
            slow: Slow {
                senders: self.slow_senders,
                readers: self.slow_readers,
                bytes_per_s: self.slow_bytes_per_s,
                path: self.slow_path.clone(),
            },
            poison: self.poison.clone(),
        };
        self.add_script(&mut plan)?;
        if let Some(share) = self.share {
            share.apply(&mut plan)?;
        }
        plan.check()?;
        let to_stdout = |file: &Option<PathBuf>| file.as_deref() == Some(Path::new("-"));
        let to_stdout = [&self.json, &self.emit_hdr, &self.csv].map(to_stdout);
        let on_stdout = to_stdout.into_iter().filter(|&it| it).count();
        ensure!(
            on_stdout < 2,
            "only one of --json, --emit-hdr and --csv can go to standard output"
        );
        let stdout_taken = on_stdout > 0;
        ensure!(
            !(self.edges && stdout_taken),
            "with --edges results cannot go to standard output"
        );
        Ok(plan)
    }
}

impl Args {
    /// How many connections there are where none are asked for: more than requests per second would
    /// idle, and servers close idle ones.
    fn connections_default(&self) -> usize {
        let machines = self.share.map_or(1, Share::parts);
        let least = self.threads.saturating_mul(machines);
        self.rate.map_or(CONNECTIONS, |rate| {
            let needed = (rate.ceil() as usize).clamp(1, CONNECTIONS);
            needed.max(least.min(CONNECTIONS))
        })
    }

    /// Adds the requests of a file, if one is given.
    fn add_script(&self, plan: &mut Plan) -> Result<()> {
        ensure!(
            self.speed.is_finite() && self.speed > 0.0,
            "--speed must be above 0"
        );
        ensure!(
            self.smooth.is_none_or(|window| !window.is_zero()),
            "--smooth must be above 0"
        );
        let (speed, smooth) = (self.speed, self.smooth);
        let (path, how) = match (&self.replay, &self.mix_from) {
            (Some(path), _) => (path, Use::Replay { speed, smooth }),
            (None, Some(path)) => (path, Use::Mix),
            (None, None) if self.body_lines.is_some() || self.header_lines.is_some() => {
                let (bodies, headers) = (self.body_lines.as_deref(), self.header_lines.as_deref());
                return Script::apply_lines(bodies, headers, plan);
            }
            (None, None) => return Ok(()),
        };
        if let Use::Replay { .. } = how {
            let (rate, arrivals) = (1.0, self.arrivals);
            plan.pace = Pace::Open { rate, arrivals };
        }
        Script::apply(path, how, self.duration, plan)
    }
}

/// Connections where none are given, at most.
const CONNECTIONS: usize = 64;

/// Length of the window where none is given.
const DURATION: Duration = Duration::from_secs(10);

/// Largest request body, bytes.
const BODY_BYTES_MAX: usize = 64 << 20;

/// A value that says itself what is wrong with it, and why.
fn parsed<T: FromStr<Err = anyhow::Error>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{error:#}"))
}

/// The text itself, or the bytes of the file behind an @.
fn body(text: &str) -> Result<Vec<u8>> {
    let Some(path) = text.strip_prefix('@') else {
        return Ok(text.as_bytes().to_vec());
    };
    let cannot = || format!("cannot read the body from {path}");
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).with_context(cannot)?;
    // A device may never end.
    file.take(BODY_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(cannot)?;
    ensure!(
        bytes.len() <= BODY_BYTES_MAX,
        "the body in {path} is longer than {BODY_BYTES_MAX} bytes"
    );
    Ok(bytes)
}

/// A colon may be part of the path: what follows the last colon is a time only if it is written as
/// one.
fn poison(text: &str) -> Result<Poison, String> {
    let timed = text
        .rsplit_once(':')
        .and_then(|(path, every)| Some((path, duration::parse(every).ok()?)));
    let (path, every) = timed.map_or((text, None), |(path, every)| (path, Some(every)));
    Ok(Poison {
        path: path.to_owned(),
        every,
    })
}

fn think_ms(text: &str) -> Result<f64, String> {
    let ms = text.parse::<f64>().map_err(|error| error.to_string())?;
    let most = THINK_MAX.as_millis() as f64;
    (0.0..=most)
        .contains(&ms)
        .then_some(ms)
        .ok_or_else(|| format!("0 to {most}"))
}

fn churn(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().map_err(|error| error.to_string())?;
    (0.0..=1.0)
        .contains(&share)
        .then_some(share)
        .ok_or_else(|| "0 to 1".to_owned())
}

fn body_bytes(text: &str) -> Result<usize, String> {
    let bytes = text.parse::<usize>().map_err(|error| error.to_string())?;
    (bytes <= BODY_BYTES_MAX)
        .then_some(bytes)
        .ok_or_else(|| format!("at most {BODY_BYTES_MAX}"))
}

#[cfg(test)]
mod tests;
