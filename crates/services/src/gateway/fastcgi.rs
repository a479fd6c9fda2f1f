//! `--fastcgi`: the responder role of FastCGI 1.0, one connection per request. A connection that is kept
//! open holds a child of PHP-FPM's pool also while nobody asks, so none is kept.

use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use proto::{Intake, Request, Response, Sink, percent_decode};

use super::spool::Spool;
use super::wire::{Patience, Wire};
use super::{cgi, nonsense};
use crate::{log, plain};

const BEGIN: u8 = 1;
const END: u8 = 3;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;
const STDERR: u8 = 7;
/// The id of the only request on a connection.
const ID: u8 = 1;
const RECORD_BYTES_MAX: usize = 65_528;

/// An application, and the folder of its scripts.
#[derive(Debug)]
pub struct FastCgi {
    addr: String,
    root: PathBuf,
    patience: Patience,
}

impl FastCgi {
    pub fn new(addr: &str, root: PathBuf, patience: Patience) -> FastCgi {
        let addr = addr.to_owned();
        FastCgi {
            addr,
            root,
            patience,
        }
    }

    pub fn pass(&self, request: &Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
        if let Some(upload) = request.take_sink::<Upload>() {
            return cgi::reply(upload.finish()?, request, response);
        }
        let spooled = request.take_sink::<Spooled>();
        let bytes = match &spooled {
            Some(spooled) => spooled.0.pushed(),
            None => request.body.len() as u64,
        };
        let Some(mut head) = self.head(request, bytes) else {
            plain(response, 404, "There is no such script.\n");
            return Ok(());
        };
        let mut wire = Wire::connect(&self.addr, self.patience)?;
        match spooled {
            Some(spooled) => {
                wire.send(&head)?;
                send_spooled(spooled.0, &mut wire)?;
                wire.send(&record_head(STDIN, 0))?;
            }
            None => {
                for piece in request.body.chunks(RECORD_BYTES_MAX) {
                    record(STDIN, piece, &mut head);
                }
                record(STDIN, b"", &mut head);
                wire.send(&head)?;
            }
        }
        cgi::reply(Stdout::of(wire), request, response)
    }

    /// What becomes of a large body. An application is told the length before the body, so one of unknown
    /// length is kept until it is known.
    pub fn intake(&self, request: &Request<'_>, bytes: Option<u64>, bytes_max: u64) -> Intake {
        match (bytes, bytes.map(|bytes| self.head(request, bytes))) {
            (Some(left), Some(Some(head))) => Intake::Pieces(
                Box::new(Upload {
                    addr: self.addr.clone(),
                    patience: self.patience,
                    head,
                    left,
                    wire: None,
                    failed: None,
                }),
                bytes_max,
            ),
            _ => Intake::Pieces(Box::new(Spooled(Spool::default())), bytes_max),
        }
    }

    /// The records of a request before its body. `None`: its path can be no script.
    fn head(&self, request: &Request<'_>, body_bytes: u64) -> Option<Vec<u8>> {
        let mut room = [0; 4 << 10];
        let path = percent_decode(request.path, &mut room).ok()?;
        // The application opens what it is told, so nothing above the folder may be told.
        let is_path = !path.contains(&0) && path.starts_with(b"/");
        if !is_path || path.split(|&byte| byte == b'/').any(|name| name == b"..") {
            return None;
        }
        // `/a.php/b` is the script `/a.php` and the path `/b` behind it; a folder is its `index.php`.
        let end = path
            .windows(5)
            .position(|part| part == b".php/")
            .map(|at| at + 4);
        let (script, behind) = path.split_at(end.unwrap_or(path.len()));
        let index = if script.ends_with(b"/") {
            &b"index.php"[..]
        } else {
            b""
        };
        let mut params = Vec::with_capacity(1 << 10);
        cgi::variables(request, body_bytes, |name, value| {
            param(name, &[value], &mut params);
        });
        let root = self.root.as_os_str().as_bytes();
        for (name, parts) in [
            ("SCRIPT_FILENAME", &[root, script, index][..]),
            ("SCRIPT_NAME", &[script, index]),
            ("DOCUMENT_ROOT", &[root]),
            ("PATH_INFO", &[behind]),
            ("REDIRECT_STATUS", &[b"200"]),
        ] {
            param(name, parts, &mut params);
        }
        Some(records(&params))
    }
}

fn send_spooled(mut spool: Spool, wire: &mut Wire) -> io::Result<()> {
    let mut piece = [0; 16 << 10];
    loop {
        let bytes = spool.read(&mut piece)?;
        if bytes == 0 || !wire.send(&record_head(STDIN, bytes))? || !wire.send(&piece[..bytes])? {
            return Ok(());
        }
    }
}

/// A large body, which goes on as it comes.
struct Upload {
    addr: String,
    patience: Patience,
    head: Vec<u8>,
    /// Bytes that have not come yet.
    left: u64,
    wire: Option<Wire>,
    failed: Option<io::Error>,
}

impl Upload {
    fn pass_on(&mut self, piece: &[u8]) -> io::Result<()> {
        let wire = match &mut self.wire {
            Some(wire) => wire,
            none => {
                let wire = none.insert(Wire::connect(&self.addr, self.patience)?);
                wire.send(&self.head)?;
                wire
            }
        };
        for piece in piece.chunks(RECORD_BYTES_MAX) {
            wire.send(&record_head(STDIN, piece.len()))?;
            wire.send(piece)?;
        }
        wire.receive_early()
    }

    fn finish(self: Box<Upload>) -> io::Result<Stdout> {
        match (self.failed, self.wire) {
            (Some(error), _) => Err(error),
            (None, Some(mut wire)) => {
                if self.left == 0 {
                    wire.send(&record_head(STDIN, 0))?;
                }
                Ok(Stdout::of(wire))
            }
            (None, None) => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Sink for Upload {
    fn take(&mut self, piece: &[u8]) -> io::Result<()> {
        self.left = self.left.saturating_sub(piece.len() as u64);
        if self.failed.is_none() {
            self.failed = self.pass_on(piece).err();
        }
        Ok(())
    }

    fn has_enough(&self) -> bool {
        self.failed.is_some() || self.wire.as_ref().is_some_and(Wire::refuses)
    }
}

/// A large body of which the length is not known yet.
struct Spooled(Spool);

impl Sink for Spooled {
    fn take(&mut self, piece: &[u8]) -> io::Result<()> {
        self.0.push(piece)
    }
}

/// A request up to its body.
fn records(params: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(params.len() + 64);
    record(BEGIN, &[0, 1, 0, 0, 0, 0, 0, 0], &mut bytes); // A responder; the connection ends with it.
    for piece in params.chunks(RECORD_BYTES_MAX) {
        record(PARAMS, piece, &mut bytes);
    }
    record(PARAMS, b"", &mut bytes);
    bytes
}

/// A name and its value, which comes in parts, behind their lengths.
fn param(name: &str, value: &[&[u8]], to: &mut Vec<u8>) {
    for length in [name.len(), value.iter().map(|part| part.len()).sum()] {
        match u8::try_from(length) {
            Ok(length @ ..=127) => to.push(length),
            _ => to.extend((length as u32 | 1 << 31).to_be_bytes()),
        }
    }
    to.extend(name.as_bytes());
    value.iter().for_each(|part| to.extend(*part));
}

/// The head of a record; its content has at most [`RECORD_BYTES_MAX`] bytes.
fn record_head(kind: u8, bytes: usize) -> [u8; 8] {
    let [high, low] = (bytes as u16).to_be_bytes();
    [1, kind, 0, ID, high, low, 0, 0]
}

fn record(kind: u8, content: &[u8], to: &mut Vec<u8>) {
    to.extend(record_head(kind, content.len()));
    to.extend(content);
}

/// What the application writes to its standard output; its standard error goes to the log.
struct Stdout {
    wire: Wire,
    /// Bytes of the current record that are not read yet, and of the padding behind it.
    left: usize,
    padding: usize,
    done: bool,
}

impl Stdout {
    fn of(wire: Wire) -> Stdout {
        Stdout {
            wire,
            left: 0,
            padding: 0,
            done: false,
        }
    }

    /// Reads exactly so many bytes; an end before them is an error.
    fn exactly(&mut self, to: &mut [u8]) -> io::Result<()> {
        self.wire.read_exact(to)
    }

    /// Goes to the next record of the output.
    fn advance(&mut self) -> io::Result<()> {
        while self.left == 0 && !self.done {
            let mut skipped = [0; 256];
            let padding = std::mem::take(&mut self.padding);
            self.exactly(&mut skipped[..padding])?;
            let mut head = [0; 8];
            self.exactly(&mut head)?;
            let [version, kind, _, id, high, low, padding, _] = head;
            if version != 1 || id != ID {
                return Err(nonsense("a record that is not FastCGI"));
            }
            let bytes = usize::from(u16::from_be_bytes([high, low]));
            self.padding = padding.into();
            match kind {
                STDOUT => self.left = bytes,
                STDERR => {
                    let mut text = vec![0; bytes];
                    self.exactly(&mut text)?;
                    for line in String::from_utf8_lossy(&text).lines() {
                        log(format_args!("fastcgi: {}", line.escape_debug()));
                    }
                }
                END if bytes == 8 => {
                    let mut body = [0; 8];
                    self.exactly(&mut body)?;
                    if body[4] != 0 {
                        return Err(io::Error::other("the FastCGI application is overloaded"));
                    }
                    self.done = true;
                }
                _ => return Err(nonsense("a record that is not expected")),
            }
        }
        Ok(())
    }
}

impl cgi::Output for Stdout {
    fn is_ready(&self) -> bool {
        if self.done {
            return true;
        }
        let buffered = self.wire.buffered();
        if self.left > 0 {
            return !buffered.is_empty();
        }
        // The head of the next record, and what is read of it at once.
        let mut next = buffered.get(self.padding..).unwrap_or_default();
        while let [_, STDOUT, _, _, 0, 0, padding, _, rest @ ..] = next {
            next = rest.get(usize::from(*padding)..).unwrap_or_default();
        }
        match *next {
            [_, STDOUT, _, _, _, _, _, _, _, ..] => true,
            [_, END, _, _, _, _, _, _, ..] => next.len() >= 16,
            _ => false,
        }
    }
}

impl Read for Stdout {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if to.is_empty() {
            return Ok(0);
        }
        self.advance()?;
        if self.done {
            return Ok(0);
        }
        let room = self.left.min(to.len());
        match self.wire.read(&mut to[..room])? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            bytes => {
                self.left -= bytes;
                Ok(bytes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_framed_as_the_specification_says() {
        let mut params = Vec::new();
        param("A", &[b"b"], &mut params);
        param("LONG", &[&[b'x'; 150], &[b'x'; 50]], &mut params);
        let bytes = records(&params);
        assert_eq!(
            bytes[..16],
            [1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        );
        let params = 4 + 1 + 4 + 4 + 200;
        assert_eq!(bytes[16..24], [1, 4, 0, 1, 0, params as u8, 0, 0]);
        assert_eq!(bytes[24..28], [1, 1, b'A', b'b']);
        assert_eq!(bytes[28..33], [4, 0x80, 0, 0, 200]);
        assert_eq!(bytes[bytes.len() - 8..], [1, 4, 0, 1, 0, 0, 0, 0]);
    }
}
