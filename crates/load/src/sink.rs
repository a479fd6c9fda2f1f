//! Where a result is written: a file is either whole or does not exist.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A destination that was found to be writable before the run.
#[derive(Debug)]
pub(crate) enum Sink {
    Stdout,
    /// A device or a pipe, which cannot be replaced, only written to.
    Special(File),
    File(Draft),
}

/// A file under a temporary name in the same folder; if it is dropped, nothing remains of it.
#[derive(Debug)]
pub(crate) struct Draft {
    file: File,
    draft: PathBuf,
    path: PathBuf,
}

impl Sink {
    /// Makes sure that the result can be written.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        let cannot = || format!("cannot write {}", path.display());
        // Behind a symbolic link lies what is meant: to replace the link would leave that as it is.
        let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        // Renaming a file over a device would replace the device.
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return OpenOptions::new()
                .write(true)
                .open(path)
                .map(Self::Special)
                .with_context(cannot);
        }
        let name = path.file_name().with_context(cannot)?.to_string_lossy();
        let draft = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        let file = File::create(&draft).with_context(cannot)?;
        Ok(Self::File(Draft {
            file,
            draft,
            path: path.to_owned(),
        }))
    }

    /// Writes the whole result.
    pub(crate) fn write(self, text: &str) -> Result<()> {
        match self {
            Self::Stdout => written(&mut io::stdout(), text).context("cannot write the result"),
            Self::Special(mut file) => written(&mut file, text).context("cannot write the result"),
            Self::File(mut draft) => draft
                .publish(text)
                .with_context(|| format!("cannot write {}", draft.path.display())),
        }
    }
}

/// Writes to a pipe or a device. A reader that has seen enough (`head -1`) is no error.
pub(crate) fn written(to: &mut dyn Write, text: &str) -> io::Result<()> {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

impl Draft {
    fn publish(&mut self, text: &str) -> io::Result<()> {
        self.file.write_all(text.as_bytes())?;
        self.file.sync_all()?;
        fs::rename(&self.draft, &self.path)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After a rename there is no file of that name any more, and that is fine.
        let _ = fs::remove_file(&self.draft);
    }
}
