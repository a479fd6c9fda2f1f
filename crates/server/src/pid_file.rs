//! The file that holds the id of the main process.

use std::path::Path;

use crate::{Server, listeners};

/// Writes it, in place: after a hot restart the successor may have no right to make files there.
pub(crate) fn write(server: &Server) -> Result<(), String> {
    let Some(path) = &server.pid_file else {
        return Ok(());
    };
    std::fs::write(path, format!("{}\n", os::process::id())).map_err(|error| {
        format!(
            "--pid-file {}: {}",
            path.display(),
            listeners::plain(&error)
        )
    })
}

/// Removes it. A path of usual length is copied to the stack: async-signal-safe.
pub(crate) fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}
