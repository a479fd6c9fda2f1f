//! Where results go: streams, whose reader may leave, and files, which are whole or not there.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes to a stream. A reader that has seen enough (`head -1`) is no error: the command goes on and ends with
/// the status that it would have ended with.
///
/// # Errors
/// When it cannot be written for another reason, such as a full disk.
pub fn write(to: &mut dyn Write, text: &str) -> io::Result<()> {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// A file that a result goes to, found to be writable before anything is measured.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    to: To,
}

#[derive(Debug)]
enum To {
    /// A pipe or a device cannot be replaced, only written to.
    Special(fs::File),
    /// Written beside the path and renamed, so that no reader sees half of it.
    Draft(PathBuf),
}

impl File {
    /// Opens `path`; of a FIFO this waits for its reader.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(path: &Path) -> io::Result<Self> {
        // Behind a symbolic link lies what is meant: to replace the link would leave that as it is.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let to = if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            To::Special(OpenOptions::new().write(true).open(&path)?)
        } else {
            let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
            let draft = format!(".{}.{}", name.to_string_lossy(), std::process::id());
            let draft = path.with_file_name(draft);
            fs::File::create(&draft)?;
            To::Draft(draft)
        };
        Ok(Self { path, to })
    }

    /// What it is or replaces.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the whole of it, and waits until it is on the disk if it must be `durable`.
    ///
    /// # Errors
    /// When it cannot be written; what was there before is then as it was.
    pub fn write(mut self, text: &str, durable: bool) -> io::Result<()> {
        match &mut self.to {
            To::Special(file) => write(file, text),
            To::Draft(draft) => {
                fs::write(&*draft, text)?;
                if durable {
                    fs::File::open(&*draft)?.sync_all()?;
                }
                fs::rename(draft, &self.path)
            }
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if let To::Draft(draft) = &self.to {
            // After a rename there is none of that name any more.
            let _ = fs::remove_file(draft);
        }
    }
}
