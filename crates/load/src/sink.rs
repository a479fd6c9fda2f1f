//! Where a result is written: standard output, or a file that is either whole or does not exist.

use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use schema::out;

/// A destination that was found to be writable before the run.
#[derive(Debug)]
pub(crate) enum Sink {
    Stdout,
    File(out::File),
}

impl Sink {
    /// Makes sure that the result can be written.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        let file = out::File::open(path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self::File(file))
    }

    /// Writes the whole result.
    pub(crate) fn write(self, text: &str) -> Result<()> {
        match self {
            Self::Stdout => out::write(&mut io::stdout(), text).context("cannot write the result"),
            Self::File(file) => {
                let cannot = format!("cannot write {}", file.path().display());
                file.write(text, true).context(cannot)
            }
        }
    }
}
