//! `--fastcgi`: the responder role of FastCGI 1.0, one connection per request. A connection that is kept
//! open holds a child of PHP-FPM's pool also without requests, so none is kept.

use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use proto::{Intake, Request, Response, Sink, percent_decode};

use super::cgi;
use super::records::{RECORD_BYTES_MAX, STDIN, Stdout, param, record, record_head, records};
use super::spool::Spool;
use super::wire::{Patience, Wire};
use crate::plain;

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
        let php = path.windows(5).position(|part| part == b".php/");
        let (script, behind) = path.split_at(php.map_or(path.len(), |at| at + 4));
        let index = match script.ends_with(b"/") {
            true => &b"index.php"[..],
            false => b"",
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
