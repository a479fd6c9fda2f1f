//! Where results go: standard output, whose reader may leave, and files, which are whole or not there.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Prints `text` to standard output. A reader that has seen enough (`head -1`) is no error: the command
/// goes on and ends with the status that it would have ended with.
///
/// # Errors
/// When it cannot be written for another reason, such as a full disk.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let printed = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match printed {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.context("cannot write to standard output"),
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
    pub fn open(path: &Path) -> Result<Self> {
        let cannot = || path.display().to_string();
        // Behind a symbolic link lies what is meant: to replace the link would leave that as it is.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            let opened = OpenOptions::new().write(true).open(&path);
            let to = To::Special(opened.with_context(cannot)?);
            return Ok(Self { path, to });
        }
        let name = path.file_name().with_context(cannot)?.to_string_lossy();
        let draft = path.with_file_name(format!(".{name}.{}", std::process::id()));
        fs::File::create(&draft).with_context(cannot)?;
        let to = To::Draft(draft);
        Ok(Self { path, to })
    }

    /// Writes the whole of it. The reader of a FIFO may leave when it has seen enough.
    ///
    /// # Errors
    /// When it cannot be written; what was there before is then as it was.
    pub fn write(mut self, text: &str) -> Result<()> {
        let written = match &mut self.to {
            To::Special(file) => match file.write_all(text.as_bytes()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                written => written,
            },
            To::Draft(draft) => {
                fs::write(&*draft, text).and_then(|()| fs::rename(&*draft, &self.path))
            }
        };
        written.with_context(|| self.path.display().to_string())
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

/// Writes `text` to `path`: a regular file is replaced whole, anything else is written to.
///
/// # Errors
/// When it cannot be written.
pub fn replace(path: &Path, text: &str) -> Result<()> {
    File::open(path)?.write(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_a_link_is_followed() {
        let dir = std::env::temp_dir().join(format!("report-out-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a folder");
        let (file, link) = (dir.join("file"), dir.join("link"));
        fs::write(&file, "before").expect("written");
        symlink(&file, &link).expect("a link");
        // What is given up leaves nothing behind.
        drop(File::open(&link).expect("opened"));
        assert_eq!(fs::read_to_string(&file).expect("read"), "before");
        replace(&link, "after").expect("replaced");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(fs::read_to_string(&file).expect("read"), "after");
        assert_eq!(fs::read_dir(&dir).expect("a folder").count(), 2);
        assert!(replace(&dir.join("no/such/folder"), "x").is_err());
        assert!(replace(Path::new("/dev/full"), "x").is_err());
        replace(Path::new("/dev/null"), "x").expect("written to");
        fs::remove_dir_all(&dir).expect("removed");
    }
}
