//! The three sizes of a run, and how long everything in them takes.

use std::time::Duration;

use crate::failure::Failure;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// One block of short windows, to see that everything runs: nothing is ranked.
    Smoke,
    /// Three blocks: ranges, and tiers where the ranges are disjoint.
    Quick,
    /// Sixteen blocks: medians with intervals, comparisons with verdicts.
    Full,
}

/// Durations of one visit to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// The warm-up, before anything is counted.
    pub warm_up: Duration,
    /// Each closed-loop window.
    pub closed: Duration,
    /// Each open-loop window.
    pub open: Duration,
    /// Overload: at half of what the CPU can compute, at twice, and at half again.
    pub overload: [Duration; 3],
    /// An open-loop window with one request in its middle that takes 300 ms, and its end.
    pub poison: Duration,
    /// Each step of a capacity search.
    pub step: Duration,
    /// The window in which system calls are counted.
    pub calls: Duration,
    /// How long unanswered requests are waited for after an open window before they are censored.
    pub drain: Duration,
}

/// How a capacity is searched for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// The number of blocks with a search, from the first on.
    pub blocks: u32,
    /// Ratio of neighbouring rates: the width of a bracket.
    pub ratio: f64,
    /// How many such ratios the first step up or down takes.
    pub stride: u32,
    /// The most windows for one server.
    pub steps_max: u32,
    /// The windows that a search usually takes far from the edge and near it: for the estimate only.
    pub steps_expected: [u32; 2],
    /// The length of a window far from the edge, where a server keeps the objective with ease or
    /// misses it by far.
    pub far: Duration,
    /// The least and the longest near it.
    pub near: [Duration; 2],
}

/// Width of a bracket that is searched for to within 3 %.
const FINE_RATIO: f64 = 1.03;

impl Size {
    /// Reads a size by its name.
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
            Self::Full => 16,
        }
    }

    /// How long each window is.
    ///
    /// A warm-up takes at least one second, except in smoke, which ranks nothing.
    pub fn windows(self) -> Windows {
        let ms = Duration::from_millis;
        match self {
            Self::Smoke => Windows {
                warm_up: ms(300),
                closed: ms(400),
                open: ms(400),
                overload: [ms(300), ms(300), ms(900)],
                poison: ms(1000),
                step: ms(300),
                calls: ms(300),
                drain: ms(250),
            },
            Self::Quick => Windows {
                warm_up: ms(1000),
                closed: ms(800),
                open: ms(800),
                overload: [ms(500), ms(800), ms(1800)],
                poison: ms(1200),
                step: ms(600),
                calls: ms(500),
                drain: ms(400),
            },
            Self::Full => Windows {
                warm_up: ms(1500),
                closed: ms(2000),
                open: ms(2000),
                overload: [ms(1000), ms(2000), ms(5000)],
                poison: ms(2000),
                step: ms(1500),
                calls: ms(1000),
                drain: ms(1000),
            },
        }
    }

    /// Slices of each window per block, and how long one is.
    pub fn slices(self) -> (u32, Duration) {
        match self {
            Self::Smoke => (4, Duration::from_millis(80)),
            Self::Quick => (4, Duration::from_millis(160)),
            Self::Full => (4, Duration::from_millis(450)),
        }
    }

    /// Time to make zones narrower by further rotations, as a share of what the plan takes without.
    pub fn narrowing_share(self) -> f64 {
        match self {
            Self::Smoke | Self::Full => 0.0,
            Self::Quick => 0.08,
        }
    }

    /// How long ten requests per second are offered.
    pub fn trickle(self) -> Duration {
        match self {
            Self::Smoke => Duration::from_millis(500),
            Self::Quick | Self::Full => Duration::from_secs(1),
        }
    }

    /// How a capacity is searched for in steps of a quarter or a twentieth, where windows that hold
    /// enough requests for less would take too long; `None` where there is no time for any.
    pub fn search(self) -> Option<Search> {
        let step = self.windows().step;
        match self {
            Self::Smoke => None,
            Self::Quick => Some(Search {
                blocks: 1,
                ratio: 1.25,
                stride: 1,
                steps_max: 10,
                steps_expected: [0, 6],
                far: step,
                near: [step, step],
            }),
            Self::Full => Some(Search {
                blocks: 3,
                ratio: 1.05,
                stride: 4,
                steps_max: 24,
                steps_expected: [4, 7],
                far: step,
                near: [step, step],
            }),
        }
    }

    /// How it is searched for to within 3 %: in short windows as long as the edge is far, and in long
    /// ones near it.
    pub fn fine_search(self) -> Option<Search> {
        let ms = Duration::from_millis;
        let coarse = self.search()?;
        let (far, near) = match self {
            Self::Smoke | Self::Quick => (ms(230), [ms(450), ms(1_000)]),
            Self::Full => (ms(600), [ms(1_500), ms(20_000)]),
        };
        Some(Search {
            ratio: FINE_RATIO,
            stride: 8,
            steps_max: 2 * coarse.steps_max,
            steps_expected: [4, 6],
            far,
            near,
            ..coarse
        })
    }

    /// Numbers of connections at which memory is read.
    pub fn memory_steps(self) -> &'static [u32] {
        match self {
            Self::Smoke => &[0, 100, 1_000],
            Self::Quick | Self::Full => &[0, 100, 1_000, 10_000],
        }
    }

    /// Idle connections, in scenarios that hold many.
    pub fn idle_connections(self) -> u32 {
        match self {
            Self::Smoke => 1_000,
            Self::Quick | Self::Full => 10_000,
        }
    }
}
