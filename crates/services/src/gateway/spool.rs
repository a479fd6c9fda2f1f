//! Bytes that wait to be read: in memory while they are few, beyond that in a file without a name.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::atomic::{AtomicU32, Ordering};

/// Most bytes that are kept in memory.
const MEMORY_BYTES_MAX: usize = 256 << 10;

/// A queue of bytes. It is written to its end before it is read, or both by turns.
#[derive(Debug, Default)]
pub struct Spool {
    memory: Vec<u8>,
    file: Option<File>,
    /// Bytes in the file.
    filed: u64,
    /// Bytes that were read.
    read: u64,
}

impl Spool {
    /// How many bytes were pushed.
    pub fn pushed(&self) -> u64 {
        self.memory.len() as u64 + self.filed
    }

    pub fn is_empty(&self) -> bool {
        self.read == self.pushed()
    }

    /// What is in memory, whether it was read or not.
    pub fn start(&self) -> &[u8] {
        &self.memory
    }

    /// # Errors
    /// No file can be had, or its file system is full.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() && self.memory.len() + bytes.len() <= MEMORY_BYTES_MAX {
            self.memory.extend_from_slice(bytes);
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(unnamed_file()?),
        };
        file.write_all_at(bytes, self.filed)?;
        self.filed += bytes.len() as u64;
        Ok(())
    }
}

impl Read for Spool {
    /// 0: there is nothing at present.
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let in_memory = self.memory.len() as u64;
        let bytes = if self.read < in_memory {
            let rest = &self.memory[self.read as usize..];
            let bytes = rest.len().min(to.len());
            to[..bytes].copy_from_slice(&rest[..bytes]);
            bytes
        } else {
            match &self.file {
                Some(file) => file.read_at(to, self.read - in_memory)?,
                None => 0,
            }
        };
        self.read += bytes as u64;
        Ok(bytes)
    }
}

/// A file in the folder for temporary files, which ends with its descriptor.
///
/// # Errors
/// There is no such folder, or no room in it.
pub fn unnamed_file() -> io::Result<File> {
    static FILES: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let name = format!("turnstile-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut options = File::options();
        options.read(true).write(true).create_new(true).mode(0o600);
        match options.open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            // Of an earlier process with this number, or a trap: another name is as good.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in_whatever_keeps_them() {
        for bytes in [0, 1, MEMORY_BYTES_MAX, MEMORY_BYTES_MAX + 1, 1 << 20] {
            let all: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
            let (mut spool, mut read) = (Spool::default(), Vec::new());
            for piece in all.chunks(70_000) {
                spool.push(piece).unwrap();
                let mut room = [0; 1_000];
                let some = spool.read(&mut room).unwrap();
                read.extend_from_slice(&room[..some]);
            }
            assert_eq!(spool.pushed(), bytes as u64);
            spool.read_to_end(&mut read).unwrap();
            assert!(read == all && spool.is_empty(), "{bytes}");
        }
    }
}
