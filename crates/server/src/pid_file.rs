//! The file that holds the id of the main process.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use crate::listeners;

/// The file, open from the beginning: when the id is written, the process may be another user's.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    pub(crate) file: File,
}

impl PidFile {
    /// Opens it, and changes nothing in it: until this server is ready it may be a predecessor's.
    pub(crate) fn open(path: &Path) -> Result<PidFile, String> {
        let file = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(path)
            .map_err(|error| failed(path, &error))?;
        Ok(PidFile {
            path: path.to_owned(),
            file,
        })
    }

    /// Writes it, in place: after a hot restart the successor may have no right to make files there.
    pub(crate) fn write(&self) -> Result<(), String> {
        let mut file = &self.file;
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(format!("{}\n", os::process::id()).as_bytes()))
            .map_err(|error| failed(&self.path, &error))
    }

    /// Removes it. A path of usual length is copied to the stack: async-signal-safe.
    pub(crate) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A server that does not come into being leaves no empty file behind.
impl Drop for PidFile {
    fn drop(&mut self) {
        if self.file.metadata().is_ok_and(|it| it.len() == 0) {
            self.remove();
        }
    }
}

fn failed(path: &Path, error: &std::io::Error) -> String {
    format!("--pid-file {}: {}", path.display(), listeners::plain(error))
}
