//! Why a bench ends early, and the exit code that says so; and why a trial has no figures.

use std::{fmt, io};

use schema::{Code, Effect, Reason};

/// What ends a bench before its plan is done.
#[derive(Debug)]
pub enum Failure {
    /// The arguments cannot be used: exit 2.
    Usage(String),
    /// Something failed on the way: exit 1.
    Failed(anyhow::Error),
    /// Ctrl-C or SIGTERM: exit 130, with what was measured kept.
    Interrupted,
}

/// What leaves a trial without figures. The run goes on, unless it was interrupted.
#[derive(Debug)]
pub enum Unmeasured {
    /// It could not be measured.
    Because(Reason),
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

/// Gives an error the code by which a trial tells it.
pub trait Because<T> {
    /// The same, of which an error leaves a trial without figures; a wait that a signal has ended stays
    /// an interruption.
    fn because(self, code: Code) -> Result<T, Unmeasured>;
}

impl Failure {
    /// The exit code of the command.
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
            Self::Interrupted => 130,
        }
    }

    /// An argument that cannot be used.
    pub fn usage(line: impl Into<String>) -> Self {
        Self::Usage(line.into())
    }
}

/// As `bail!` of anyhow, with arguments that cannot be used.
macro_rules! bail_usage {
    ($($line:tt)+) => {
        return Err($crate::failure::Failure::usage(std::fmt::format(format_args!($($line)+))))
    };
}

/// As `ensure!` of anyhow.
macro_rules! ensure_usage {
    ($usable:expr, $($line:tt)+) => {
        if !$usable {
            $crate::failure::bail_usage!($($line)+);
        }
    };
}

pub(crate) use {bail_usage, ensure_usage};

impl Unmeasured {
    /// A reason that makes the trial INVALID.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self::Because(Reason::new(code, Effect::Invalidates, text))
    }

    /// The same with the moment at which it happened; an interruption stays one.
    pub fn during(self, moment: &str) -> Self {
        match self {
            Self::Because(reason) => Self::Because(Reason {
                text: format!("in {moment}, {reason}"),
                ..reason
            }),
            Self::Interrupted => Self::Interrupted,
        }
    }
}

impl<T, E: Into<anyhow::Error>> Because<T> for Result<T, E> {
    fn because(self, code: Code) -> Result<T, Unmeasured> {
        self.map_err(|error| {
            let error = error.into();
            match error.downcast_ref().map(io::Error::kind) {
                Some(io::ErrorKind::Interrupted) => Unmeasured::Interrupted,
                // `{:#}` puts the causes on the same line.
                _ => Unmeasured::new(code, format!("{error:#}")),
            }
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(line) => f.write_str(line),
            Self::Failed(error) => write!(f, "{error:#}"),
            Self::Interrupted => f.write_str("interrupted; what was measured is kept"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.into())
    }
}
