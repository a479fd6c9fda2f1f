//! The records of FastCGI 1.0 (sections 3 and 5), of one request on a connection of its own.

use std::io::{self, ErrorKind, Read};

use super::cgi;
use super::errors::nonsense;
use super::wire::Wire;
use crate::log;

const BEGIN: u8 = 1;
const END: u8 = 3;
const PARAMS: u8 = 4;
pub const STDIN: u8 = 5;
const STDOUT: u8 = 6;
const STDERR: u8 = 7;
/// The id of the only request on a connection.
const ID: u8 = 1;
/// Most bytes of the content of a record that is sent.
pub const RECORD_BYTES_MAX: usize = 65_528;

/// A request up to its body.
pub fn records(params: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(params.len() + 64);
    record(BEGIN, &[0, 1, 0, 0, 0, 0, 0, 0], &mut bytes); // A responder; the connection ends with it.
    for piece in params.chunks(RECORD_BYTES_MAX) {
        record(PARAMS, piece, &mut bytes);
    }
    record(PARAMS, b"", &mut bytes);
    bytes
}

/// A name and its value, which comes in parts, behind their lengths.
pub fn param(name: &str, value: &[&[u8]], to: &mut Vec<u8>) {
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
pub fn record_head(kind: u8, bytes: usize) -> [u8; 8] {
    let [high, low] = (bytes as u16).to_be_bytes();
    [1, kind, 0, ID, high, low, 0, 0]
}

pub fn record(kind: u8, content: &[u8], to: &mut Vec<u8>) {
    to.extend(record_head(kind, content.len()));
    to.extend(content);
}

/// What the application writes to its standard output; its standard error goes to the log.
pub struct Stdout {
    wire: Wire,
    /// Bytes of the current record that are not read yet, and of the padding behind it.
    left: usize,
    padding: usize,
    done: bool,
}

impl Stdout {
    pub fn of(wire: Wire) -> Stdout {
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
