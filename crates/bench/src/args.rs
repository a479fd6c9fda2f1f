//! The command line of `turnstile bench`, and the sizes it names.

use std::path::PathBuf;
use std::time::Duration;

use crate::failure::Failure;

/// `turnstile bench`: measure models side by side, and leave a folder with every figure.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// smoke (1 block, no ranking), quick (3 blocks) or full (10 blocks) [default: quick]
    #[arg(long, value_name = "SIZE")]
    pub size: Option<String>,

    /// Models, as `prefork` or `prefork:flock`; or `all`, or `all-variants` [default: all]
    #[arg(long, value_name = "A,B")]
    pub models: Option<String>,

    /// Scenarios; --list-scenarios names them [default: every one]
    #[arg(long, value_name = "A,B")]
    pub scenarios: Option<String>,

    /// Folder for the results [default: results/UTC-TIME-SIZE]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Go on with an unfinished run: trials it already holds are not repeated
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    pub resume: Option<PathBuf>,

    /// Everything random derives from it: the order of servers and the arrivals
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// CPUs for the server, such as 0-3,8 [default: the lower half of the allowed]
    #[arg(long, value_name = "LIST")]
    pub server_cpus: Option<String>,

    /// CPUs for the load generator [default: the upper half of the allowed]
    #[arg(long, value_name = "LIST")]
    pub load_cpus: Option<String>,

    /// The server to measure: any command that speaks `models --json` and `serve` [default: this one]
    #[arg(long, value_name = "PATH")]
    pub server: Option<PathBuf>,

    /// Print the scenarios and stop
    #[arg(long)]
    pub list_scenarios: bool,

    /// A generator other than this command, for tests of the bench itself.
    #[arg(long, value_name = "PATH", hide = true)]
    pub load: Option<PathBuf>,
}

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// One block of short windows: does everything run? No ranking.
    Smoke,
    /// Three blocks: ranges, and tiers where the ranges are disjoint.
    Quick,
    /// Ten blocks: medians with intervals, comparisons with verdicts.
    Full,
}

impl Size {
    /// Reads a size by its name.
    ///
    /// # Errors
    /// A usage failure that names the sizes.
    pub fn parse(name: &str) -> Result<Self, Failure> {
        match name {
            "smoke" => Ok(Self::Smoke),
            "quick" => Ok(Self::Quick),
            "full" => Ok(Self::Full),
            _ => Err(Failure::usage(format!(
                "unknown size '{name}': smoke, quick or full"
            ))),
        }
    }

    /// The name, as the command line and the files spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Quick => "quick",
            Self::Full => "full",
        }
    }

    /// Blocks: repetitions of the whole matrix, each with its own order and arrivals.
    pub fn blocks(self) -> u32 {
        match self {
            Self::Smoke => 1,
            Self::Quick => 3,
            Self::Full => 10,
        }
    }

    /// Warm-up, closed-loop window and open-loop window.
    ///
    /// A second of warm-up is the least that METHOD asks for; smoke, which ranks nothing, takes less.
    pub fn windows(self) -> Windows {
        let ms = Duration::from_millis;
        match self {
            Self::Smoke => Windows {
                warm_up: ms(300),
                closed: ms(400),
                open: ms(400),
                drain: ms(250),
            },
            Self::Quick => Windows {
                warm_up: ms(1000),
                closed: ms(1000),
                open: ms(800),
                drain: ms(400),
            },
            Self::Full => Windows {
                warm_up: ms(1500),
                closed: ms(3000),
                open: ms(3000),
                drain: ms(1000),
            },
        }
    }
}

/// Durations of one visit to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// Load before anything is counted.
    pub warm_up: Duration,
    /// Each closed-loop window.
    pub closed: Duration,
    /// Each open-loop window.
    pub open: Duration,
    /// How long unanswered requests are waited for after an open window before they are censored.
    pub drain: Duration,
}
