//! `/files/PATH`: the regular files below one folder, and nothing else.
//!
//! What lies below is the kernel's to say: `openat2(2)` with `RESOLVE_BENEATH` resolves the whole
//! path, symbolic links included, without leaving the folder at any step, whatever is renamed
//! meanwhile. So nothing here has to understand a path; it is decoded once and handed over.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use proto::{
    Content, ETag, Memory, Method, Nature, Request, Response, Service, Validators, percent_decode,
};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2};
use rustix::io::Errno;

use crate::{log, media, plain};

/// Longest path, bytes (PATH_MAX, without its NUL).
const PATH_BYTES_MAX: usize = 4_095;
/// Codings of files that are compressed already, the better one first, and how their names end.
const CODINGS: [(&str, &[u8]); 2] = [("br", b".br"), ("gzip", b".gz")];
/// What stands for a folder.
const INDEX: &[u8] = b"index.html";
/// The last second of year 9999, the last that the format of dates can say.
const LAST_SECOND: u64 = 253_402_300_799;

/// The files below a folder, as a service: `/a/b` is the file `a/b`. A folder is its `index.html`.
#[derive(Debug)]
pub struct Files {
    root: OwnedFd,
    precompressed: bool,
}

/// Why there is no such file to send.
enum Miss {
    /// It is not there, not below the folder, or not a regular file.
    Absent,
    Forbidden,
    /// A folder with an index, asked for without the slash that its links need.
    Folder,
    /// The machine's fault, not the path's.
    Failed(io::Error),
}

impl From<Errno> for Miss {
    fn from(error: Errno) -> Miss {
        match error {
            // XDEV: it leaves the folder. LOOP: links, or a magic link. NXIO: a socket.
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::XDEV
            | Errno::LOOP
            | Errno::NAMETOOLONG
            | Errno::INVAL
            | Errno::NXIO
            | Errno::NODEV => Miss::Absent,
            Errno::ACCESS | Errno::PERM => Miss::Forbidden,
            error => Miss::Failed(error.into()),
        }
    }
}

/// A regular file, and what has to be said of it.
struct Found {
    file: File,
    bytes: u64,
    version: Validators,
}

impl Files {
    /// Opens the folder, and asks the kernel whether it can resolve paths beneath it.
    ///
    /// # Errors
    /// The folder cannot be opened, or `openat2(2)` is missing (Linux 5.6) or forbidden. The text begins
    /// with the folder.
    pub fn open(root: impl AsRef<Path>) -> io::Result<Files> {
        let root = root.as_ref();
        let failed =
            |kind, reason: &str| io::Error::new(kind, format!("{}: {reason}", root.display()));
        let refused = |error: Errno| {
            let text = error.to_string();
            let reason = text.split(" (os error").next().unwrap_or(&text);
            failed(error.kind(), reason)
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let files = Files {
            root: rustix::fs::open(root, flags, Mode::empty()).map_err(refused)?,
            precompressed: false,
        };
        match files.beneath(b".", OFlags::PATH) {
            Ok(_) => Ok(files),
            Err(Errno::NOSYS | Errno::PERM) => Err(failed(
                ErrorKind::Unsupported,
                "openat2(2), which keeps requests below it, is forbidden here",
            )),
            Err(error) => Err(refused(error)),
        }
    }

    /// Looks for `a.css.br` and `a.css.gz` beside `a.css`, and sends those to clients that ask for these
    /// codings. That takes a system call or two more for each such request.
    pub fn precompressed(self) -> Files {
        Files {
            precompressed: true,
            ..self
        }
    }

    /// Answers a GET or HEAD for `path`, which is not decoded.
    pub fn get(&self, path: &str, request: &Request<'_>, response: &mut Response<'_>) {
        let mut room = [0; PATH_BYTES_MAX];
        let found = match percent_decode(path, &mut room) {
            Ok(path) => self.find(path).map(|found| {
                (
                    self.encoded(path, found, request, response),
                    media::of(path),
                )
            }),
            Err(_) => Err(Miss::Absent),
        };
        let sent = found.and_then(|(found, media)| {
            let media = if path.is_empty() || path.ends_with('/') {
                media::of(INDEX)
            } else {
                media
            };
            send(found, media, request, response).map_err(Miss::Failed)
        });
        match sent {
            Ok(()) => {}
            Err(Miss::Absent) => plain(response, 404, "There is no such file.\n"),
            Err(Miss::Forbidden) => plain(response, 403, "That file may not be read.\n"),
            Err(Miss::Folder) => {
                let query = request.query.map(|query| format!("?{query}"));
                let to = format!("{}/{}", request.path, query.unwrap_or_default());
                response.field("Location", &to);
                plain(response, 301, "That is a folder.\n");
            }
            Err(Miss::Failed(error)) => {
                log(format_args!("files: {error}"));
                plain(response, 500, "The file could not be read.\n");
            }
        }
    }

    fn find(&self, path: &[u8]) -> Result<Found, Miss> {
        // The kernel would allow `..` as long as it stays below. No client that normalises sends
        // it, and without it resolution cannot ask to be tried again (EAGAIN, openat2(2)).
        if path.contains(&0) || path.split(|&byte| byte == b'/').any(|name| name == b"..") {
            return Err(Miss::Absent);
        }
        let folder = path.is_empty() || path.ends_with(b"/");
        if folder {
            return self.open_regular(&[path, INDEX].concat());
        }
        match self.open_regular(path) {
            Err(Miss::Folder) => self
                .open_regular(&[path, b"/", INDEX].concat())
                .and(Err(Miss::Folder)),
            found => found,
        }
    }

    /// The file that was found, or a compressed one beside it, if the client has asked for that coding.
    fn encoded(
        &self,
        path: &[u8],
        found: Found,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> Found {
        if !self.precompressed {
            return found;
        }
        response.field("Vary", "Accept-Encoding");
        let folder = path.is_empty() || path.ends_with(b"/");
        let name = if folder { INDEX } else { b"" };
        for (coding, ending) in CODINGS {
            if request.accepts_encoding(coding)
                && let Ok(encoded) = self.open_regular(&[path, name, ending].concat())
            {
                response.field("Content-Encoding", coding);
                return encoded;
            }
        }
        found
    }

    /// Opens `path` if it is a regular file.
    fn open_regular(&self, path: &[u8]) -> Result<Found, Miss> {
        // Without NONBLOCK a FIFO would hold the worker until somebody writes to it.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = self.beneath(path, flags)?;
        let stat = fstat(&file)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Found {
                file: file.into(),
                bytes: stat.st_size.try_into().unwrap_or(0),
                version: version(&stat),
            }),
            FileType::Directory => Err(Miss::Folder),
            _ => Err(Miss::Absent),
        }
    }

    fn beneath(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::CLOEXEC;
        rustix::io::retry_on_intr(|| openat2(&self.root, path, flags, Mode::empty(), resolve))
    }
}

impl Service for Files {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        match (request.method, request.path.strip_prefix('/')) {
            (Method::Get | Method::Head, Some(path)) => self.get(path, request, response),
            (Method::Get | Method::Head, None) => plain(response, 404, "There is no such file.\n"),
            _ => {
                response.field("Allow", "GET, HEAD");
                plain(response, 405, "Files can be read, no more.\n");
            }
        }
    }

    fn memory(&self) -> Memory {
        Memory::Any
    }

    fn has_slow_requests(&self) -> bool {
        true
    }

    fn nature(&self, _: &Request<'_>) -> Nature {
        Nature::Blocking
    }
}

/// What tells this version of a file from others. Another file of that name has another inode, and a
/// change of this one another time or size.
fn version(stat: &Stat) -> Validators {
    let (inode, bytes) = (stat.st_ino, stat.st_size);
    let (seconds, nanos) = (stat.st_mtime, stat.st_mtime_nsec);
    let tag = format!("{inode:x}-{bytes:x}-{seconds:x}-{nanos:x}");
    Validators {
        etag: Some(ETag::strong(tag)),
        modified: Some(date(stat.st_mtime)),
    }
}

/// A time of modification as dates can say it: not before 1970, and not later than now (RFC 9110
/// section 8.8.2.1).
fn date(seconds: i64) -> SystemTime {
    let seconds = u64::try_from(seconds).unwrap_or(0).min(LAST_SECOND);
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    modified.min(SystemTime::now())
}

fn send(
    found: Found,
    media: &'static str,
    request: &Request<'_>,
    response: &mut Response<'_>,
) -> io::Result<()> {
    let Found {
        file,
        bytes,
        version,
    } = found;
    response.content_type(media);
    response.content(request, &version, bytes, Announced { file, bytes })
}

/// A file of which so many bytes were announced.
struct Announced {
    file: File,
    bytes: u64,
}

impl Content for Announced {
    fn read_at(&mut self, at: u64, to: &mut [u8]) -> io::Result<usize> {
        let read = match self.file.read_at(to, at) {
            Ok(0) if at < self.bytes && !to.is_empty() => Err(ErrorKind::UnexpectedEof.into()),
            read => read,
        };
        match &read {
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                let left = self.bytes.saturating_sub(at);
                log(format_args!("files: {left} bytes short: {error}"));
            }
            _ => {}
        }
        read
    }
}
