//! What `turnstile compare-live` is asked for.

use std::path::PathBuf;

use crate::observe::cpus::CpuArgs;

/// Is B slower than A? Measured in turns, in under two minutes
///
/// A and B are each one of:
///
///   prefork, prefork:flock     a model of this build, or one of its variants
///   '--model M --workers 4'    arguments of `turnstile serve`, for this build
///   './other/turnstile serve --model M'
///                              another build (anything that prints `listening on ADDR` and takes
///                              `--listen`; the flag is added)
///   'nginx -c /tmp/a.conf -g "..."' with {addr} or {port} in it
///                              any command; it is told where to listen on 127.0.0.1, and is ready
///                              when it accepts a connection
///
/// No shell is involved: words are split at blanks, and quotes and backslashes keep them together.
///
/// Exit status: 0 nothing became slower, and a slowdown would have been seen; 1 B is slower in some
/// figure, or answered wrongly where A did not; 2 unusable arguments; 3 it cannot be decided; 130
/// interrupted.
#[derive(Debug, Clone, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct LiveArgs {
    /// What B is compared with
    #[arg(allow_hyphen_values = true)]
    pub a: String,

    /// What is judged
    #[arg(allow_hyphen_values = true)]
    pub b: String,

    /// Path to ask for
    #[arg(long, value_name = "PATH", default_value = "/plaintext")]
    pub path: String,

    /// Path to ask B for, where it is another one: a difference that is known beforehand shows what a
    /// session can tell
    #[arg(long, value_name = "PATH")]
    pub path_b: Option<String>,

    /// Connections, kept alive
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub connections: u32,

    /// Requests per second of the open loop [default: four tenths of what the slower one can do]
    #[arg(long, value_name = "N")]
    pub rate: Option<f64>,

    /// What the exit status rests on: figures that are timed, or figures that are counted (user
    /// instructions where the machine counts them, system calls, wake-ups; all per request), which a
    /// noisy machine hardly changes. With `exact` nothing is timed, and it takes some ten seconds
    #[arg(long, value_enum, default_value_t = Gate::Timed)]
    pub gate: Gate,

    /// Seconds after which the timing ends, decided or not
    #[arg(long, value_name = "N", default_value_t = 110, value_parser = clap::value_parser!(u64).range(10..=86_400))]
    pub seconds: u64,

    /// Two are equal when they differ by less than so many per cent (three times as many for p99)
    #[arg(long, value_name = "PERCENT", default_value_t = 3.0)]
    pub within: f64,

    /// The seed of the order and the arrivals
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Who gets which CPUs.
    #[command(flatten)]
    pub cpus: CpuArgs,

    /// Write the result to FILE as JSON, too
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// A generator other than this command, for tests.
    #[arg(long, value_name = "PATH", hide = true)]
    pub load: Option<PathBuf>,
}

/// What the exit status rests on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Figures that are timed. What is counted is shown beside them.
    #[default]
    Timed,
    /// Figures that are counted.
    Exact,
}
