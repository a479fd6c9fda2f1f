//! Why a bench ends early, and the exit code that says so.

use std::fmt;

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

    /// The same, with what failed in front; an interruption stays one.
    pub fn of(self, what: &str) -> Self {
        match self {
            Self::Failed(error) => Self::Failed(error.context(what.to_owned())),
            other => other,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(line) => f.write_str(line),
            // `{:#}` puts the causes on the same line.
            Self::Failed(error) => write!(f, "{error:#}"),
            Self::Interrupted => f.write_str("interrupted; what was measured is kept"),
        }
    }
}

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
