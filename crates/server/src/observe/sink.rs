//! Where the access log goes.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use os::net::{self, PollFd, PollFlags};

/// Where the access log goes, as users write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// `-`: standard error.
    Stderr,
    /// A file, to which lines are appended.
    File(PathBuf),
    /// `unix:PATH`: a Unix datagram socket; each line is a datagram.
    Datagrams(PathBuf),
}

impl FromStr for LogTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<LogTarget, String> {
        match (text, text.strip_prefix("unix:")) {
            ("", _) | (_, Some("")) => Err("a path is needed".into()),
            ("-", _) => Ok(LogTarget::Stderr),
            (_, Some(path)) => Ok(LogTarget::Datagrams(path.into())),
            (path, None) => Ok(LogTarget::File(path.into())),
        }
    }
}

impl fmt::Display for LogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogTarget::Stderr => f.write_str("-"),
            LogTarget::File(path) => path.display().fmt(f),
            LogTarget::Datagrams(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A target that is open.
#[derive(Debug)]
pub(crate) enum Sink {
    Stderr,
    /// The file, and whether its last line has no end yet.
    File(File, bool),
    /// The socket, and whether its receiver made no room in time in this round.
    Datagrams(UnixDatagram, bool),
}

/// A write to a pipe of at most so many bytes does not mix with those of others (`pipe(7)`).
const PIPE_BYTES: usize = 4096;

impl LogTarget {
    /// Opens it. A pipe without a reader and a socket without a receiver are errors, and not a reason to wait.
    pub(crate) fn open(&self) -> io::Result<Sink> {
        match self {
            LogTarget::Stderr => Ok(Sink::Stderr),
            LogTarget::File(path) => {
                let mut options = OpenOptions::new();
                options.append(true).create(true);
                options.custom_flags(os::net::O_NONBLOCK);
                Ok(Sink::File(options.open(path)?, false))
            }
            LogTarget::Datagrams(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                socket.connect(path)?;
                Ok(Sink::Datagrams(socket, false))
            }
        }
    }
}

impl Sink {
    /// Its descriptor, if it has one of its own.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Sink::Stderr => None,
            Sink::File(file, _) => Some(file.as_fd()),
            Sink::Datagrams(socket, _) => Some(socket.as_fd()),
        }
    }

    /// A round of writes begins: a receiver that had no room in the last one may have some.
    pub(crate) fn begin_round(&mut self) {
        if let Sink::Datagrams(_, is_stuck) = self {
            *is_stuck = false;
        }
    }

    /// Writes whole lines. Returns how many could not be written, and why, if any.
    pub(crate) fn write(&mut self, lines: &str) -> (u64, Option<io::Error>) {
        match self {
            Sink::Stderr => write_pieces(lines),
            Sink::File(file, torn) => append(file, torn, lines),
            Sink::Datagrams(socket, is_stuck) => send_each(socket, is_stuck, lines),
        }
    }
}

/// How long a write waits, for all its lines together, until a receiver takes some out of its queue. That is short:
/// `net.unix.max_dgram_qlen` is 10 by default (`unix(7)`), and lines come many at a time.
const ROOM_WITHIN: Duration = Duration::from_millis(100);

/// A datagram for each line. For a receiver that is stuck, because it made no room in time, the writer does not wait.
fn send_each(socket: &UnixDatagram, is_stuck: &mut bool, lines: &str) -> (u64, Option<io::Error>) {
    let (mut lost, mut why) = (0, None);
    let give_up = Instant::now() + ROOM_WITHIN;
    for line in lines.lines() {
        while let Err(error) = socket.send(line.as_bytes()) {
            let is_full = error.kind() == ErrorKind::WouldBlock;
            if is_full && !*is_stuck && gets_room(socket, give_up) {
                continue;
            }
            *is_stuck |= is_full;
            lost += 1;
            why = Some(error);
            break;
        }
    }
    (lost, why)
}

/// Waits until the receiver's queue has room. False: it has none in time.
fn gets_room(socket: &UnixDatagram, give_up: Instant) -> bool {
    let left = give_up.saturating_duration_since(Instant::now());
    let mut fds = [PollFd::new(socket, PollFlags::OUT)];
    !left.is_zero() && matches!(net::poll(&mut fds, Some(left)), Ok(1..))
}

/// To standard error, which others write, too: each write is of whole lines.
fn write_pieces(lines: &str) -> (u64, Option<io::Error>) {
    let mut rest = lines;
    while !rest.is_empty() {
        let piece = match rest.len() <= PIPE_BYTES {
            true => rest,
            false => {
                let first = rest.as_bytes()[..PIPE_BYTES].iter();
                let end = first.rev().position(|byte| *byte == b'\n');
                let end = end.map_or_else(
                    || rest.find('\n').map_or(rest.len(), |at| at + 1),
                    |back| PIPE_BYTES - back,
                );
                &rest[..end]
            }
        };
        if let Err(error) = io::stderr().write_all(piece.as_bytes()) {
            return (count(rest), Some(error));
        }
        rest = &rest[piece.len()..];
    }
    (0, None)
}

fn append(file: &mut File, torn: &mut bool, lines: &str) -> (u64, Option<io::Error>) {
    let mut rest = lines.as_bytes();
    if *torn {
        // The rest of a line that did not fit is lost; the next one begins a line.
        match file.write(b"\n") {
            Ok(1) => *torn = false,
            Ok(_) => return (count(lines), Some(ErrorKind::WriteZero.into())),
            Err(error) => return (count(lines), Some(error)),
        }
    }
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(0) => return (lost(rest), Some(ErrorKind::WriteZero.into())),
            Ok(bytes) => {
                *torn = rest[bytes - 1] != b'\n';
                rest = &rest[bytes..];
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (lost(rest), Some(error)),
        }
    }
    (0, None)
}

fn count(lines: &str) -> u64 {
    lost(lines.as_bytes())
}

fn lost(rest: &[u8]) -> u64 {
    rest.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_told_apart() {
        for (text, target) in [
            ("-", LogTarget::Stderr),
            ("unix:/a", LogTarget::Datagrams("/a".into())),
            ("/a/b.log", LogTarget::File("/a/b.log".into())),
        ] {
            assert_eq!(text.parse(), Ok(target.clone()));
            assert_eq!(target.to_string(), text);
        }
        assert!("".parse::<LogTarget>().is_err());
        assert!("unix:".parse::<LogTarget>().is_err());
    }

    #[test]
    fn a_full_device_loses_lines_and_says_how_many() {
        let Ok(mut sink) = LogTarget::File("/dev/full".into()).open() else {
            return; // Not every system has one.
        };
        let (lost, why) = sink.write("a\nb\n");
        assert_eq!(lost, 2);
        assert_eq!(why.map(|why| why.kind()), Some(ErrorKind::StorageFull));
    }

    #[test]
    fn each_line_is_a_datagram_and_nobody_waits_for_a_reader() {
        let path = std::env::temp_dir().join(format!("turnstile-sink-{}", std::process::id()));
        let reader = UnixDatagram::bind(&path).unwrap();
        let mut sink = LogTarget::Datagrams(path.clone()).open().unwrap();
        assert_eq!(sink.write("one\ntwo\n").0, 0);
        let mut datagram = [0; 9];
        for expected in [b"one", b"two"] {
            assert_eq!(reader.recv(&mut datagram).unwrap(), 3);
            assert_eq!(&datagram[..3], expected);
        }
        let many = "line\n".repeat(100_000);
        assert!(sink.write(&many).0 > 0);
        let _ = std::fs::remove_file(path);
    }
}
