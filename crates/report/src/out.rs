//! Where results go: standard output, whose reader may leave, and files, which are whole or not there.

use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use schema::out;

/// Prints `text` to standard output, whose reader may leave when it has seen enough.
///
/// # Errors
/// When it cannot be written for another reason, such as a full disk.
pub fn print(text: &str) -> Result<()> {
    out::write(&mut io::stdout().lock(), text).context("cannot write to standard output")
}

/// A file that a result goes to, found to be writable before anything is measured.
#[derive(Debug)]
pub struct File(out::File);

impl File {
    /// Opens `path`; of a FIFO this waits for its reader.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(path: &Path) -> Result<Self> {
        let file = out::File::open(path);
        Ok(Self(file.with_context(|| path.display().to_string())?))
    }

    /// Writes the whole of it. The reader of a FIFO may leave when it has seen enough.
    ///
    /// # Errors
    /// When it cannot be written; what was there before is then as it was.
    pub fn write(self, text: &str) -> Result<()> {
        let path = self.0.path().display().to_string();
        self.0.write(text, false).context(path)
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
    use std::fs;
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
