//! `--fastcgi`: the responder role of FastCGI 1.0, one connection per request.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use proto::{Request, Response, percent_decode};

use super::wire::Wire;
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
    patience: Duration,
}

impl FastCgi {
    pub fn new(addr: &str, root: PathBuf, patience: Duration) -> FastCgi {
        let addr = addr.to_owned();
        FastCgi {
            addr,
            root,
            patience,
        }
    }

    pub fn pass(&self, request: &Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
        let mut room = [0; 4 << 10];
        let path = match percent_decode(request.path, &mut room) {
            Ok(path) if !path.contains(&0) && path.starts_with(b"/") => path,
            _ => {
                plain(response, 404, "There is no such script.\n");
                return Ok(());
            }
        };
        // The application opens what it is told, so nothing above the folder may be told.
        if path.split(|&byte| byte == b'/').any(|name| name == b"..") {
            plain(response, 404, "There is no such script.\n");
            return Ok(());
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
        let script = [script, index].concat();
        let mut variables = cgi::variables(request);
        let root = self.root.as_os_str().as_bytes();
        for (name, value) in [
            ("SCRIPT_FILENAME", [root, &script].concat()),
            ("SCRIPT_NAME", script.clone()),
            ("DOCUMENT_ROOT", root.to_vec()),
            ("PATH_INFO", behind.to_vec()),
            ("REDIRECT_STATUS", b"200".to_vec()),
        ] {
            variables.push((name.to_owned(), value));
        }
        let mut wire = Wire::connect(&self.addr, self.patience)?;
        wire.write_all(&records(&variables, request.body))?;
        let output = Output {
            wire,
            left: 0,
            padding: 0,
            done: false,
        };
        cgi::reply(output, request, response)
    }
}

/// A whole request.
fn records(variables: &[(String, Vec<u8>)], body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1_024 + body.len());
    record(BEGIN, &[0, 1, 0, 0, 0, 0, 0, 0], &mut bytes); // A responder; the connection ends with it.
    let mut params = Vec::new();
    for (name, value) in variables {
        for length in [name.len(), value.len()] {
            match u8::try_from(length) {
                Ok(length @ ..=127) => params.push(length),
                _ => params.extend((length as u32 | 1 << 31).to_be_bytes()),
            }
        }
        params.extend(name.as_bytes());
        params.extend(value);
    }
    for (kind, stream) in [(PARAMS, &params[..]), (STDIN, body)] {
        for piece in stream.chunks(RECORD_BYTES_MAX) {
            record(kind, piece, &mut bytes);
        }
        record(kind, b"", &mut bytes);
    }
    bytes
}

fn record(kind: u8, content: &[u8], to: &mut Vec<u8>) {
    let [high, low] = (content.len() as u16).to_be_bytes();
    to.extend([1, kind, 0, ID, high, low, 0, 0]);
    to.extend(content);
}

/// What the application writes to its standard output; its standard error goes to the log.
struct Output {
    wire: Wire,
    /// Bytes of the current record that are not read yet, and of the padding behind it.
    left: usize,
    padding: usize,
    done: bool,
}

impl Output {
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

impl Read for Output {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.advance()?;
        if self.done || to.is_empty() {
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
