//! A client of the bench's own: one request at a time, to verify a server, to ask its workers, and to
//! hold connections.
//!
//! The load always comes from the generator; nothing that this client does is measured.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, bail};

/// The largest reply that is accepted.
const REPLY_BYTES_MAX: usize = 2 << 20;

/// A connection to a server.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    host: String,
    received: Vec<u8>,
    within: Duration,
    /// It has carried a reply.
    used: bool,
    /// The last reply was the last one of its connection.
    closed: bool,
}

/// A reply that tells its length.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Client {
    /// Connects to `HOST:PORT`; every step of every request is given up after `within`.
    ///
    /// # Errors
    /// When there is no connection.
    pub fn connect(address: &str, within: Duration) -> anyhow::Result<Self> {
        let mut addresses = address.to_socket_addrs().context("no such address")?;
        let address_found = addresses.next().context("no such address")?;
        let stream =
            TcpStream::connect_timeout(&address_found, within).context("cannot connect")?;
        stream.set_read_timeout(Some(within))?;
        stream.set_write_timeout(Some(within))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            host: address.to_owned(),
            received: Vec::new(),
            within,
            used: false,
            closed: false,
        })
    }

    /// Whether the last reply said that no other follows it on its connection.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The same as [`Client::ask`], on a new connection where the server has closed this one.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn ask_anew(&mut self, method: &str, path: &str, body: &[u8]) -> anyhow::Result<Reply> {
        let again = |client: &mut Self| {
            *client = Self::connect(&client.host.clone(), client.within)?;
            client.ask(method, path, body)
        };
        if self.closed {
            return again(self);
        }
        let used = self.used;
        self.ask(method, path, body).or_else(|error| {
            let kind = error
                .downcast_ref::<std::io::Error>()
                .map(std::io::Error::kind);
            let late = matches!(kind, Some(ErrorKind::WouldBlock | ErrorKind::TimedOut));
            // A server may close a connection at any time between two requests (RFC 9112, 9.5).
            match used && self.received.is_empty() && !late {
                true => again(self),
                false => Err(error),
            }
        })
    }

    /// Sends a request and waits for its reply.
    ///
    /// # Errors
    /// When no reply comes, or it is not HTTP.
    pub fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> anyhow::Result<Reply> {
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{length}\r\n",
            self.host
        );
        let request = [head.as_bytes(), body].concat();
        self.stream
            .write_all(&request)
            .context("cannot send a request")?;
        let mut chunk = [0; 16_384];
        loop {
            if let Some((reply, bytes)) = complete(&self.received)? {
                self.closed = closes(&self.received[..bytes]);
                self.used = true;
                self.received.drain(..bytes);
                return Ok(reply);
            }
            let n = self.stream.read(&mut chunk).context("no reply")?;
            if n == 0 || self.received.len() > REPLY_BYTES_MAX {
                bail!("the reply ended after {} bytes", self.received.len());
            }
            self.received.extend_from_slice(&chunk[..n]);
        }
    }
}

/// Whether a reply says that no other follows it on its connection (RFC 9112, 9.3).
fn closes(reply: &[u8]) -> bool {
    let text = String::from_utf8_lossy(reply);
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let says = |what: &str| {
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .any(|(name, value)| {
                name.eq_ignore_ascii_case("connection") && value.to_ascii_lowercase().contains(what)
            })
    };
    says("close") || (head.starts_with("HTTP/1.0") && !says("keep-alive"))
}

/// A reply and its length, once it is all there.
fn complete(received: &[u8]) -> anyhow::Result<Option<(Reply, usize)>> {
    let Some(end) = received.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&received[..end]);
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok())
        .context("no status line")?;
    let fields: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
    let field = |name: &str| {
        let found = fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    };
    if field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        let whole = unchunk(&received[end + 4..])?;
        return Ok(whole.map(|(body, bytes)| (Reply { status, body }, end + 4 + bytes)));
    }
    let length: Option<usize> = field("content-length").and_then(|value| value.parse().ok());
    // RFC 9110, 15.3.5: a 204 has no body and no length.
    let length = if status == 204 { Some(0) } else { length };
    let length = length.context("neither Content-Length nor chunks")?;
    Ok(received.get(end + 4..end + 4 + length).map(|body| {
        let body = body.to_vec();
        (Reply { status, body }, end + 4 + length)
    }))
}

/// The body of a chunked reply (RFC 9112, 7.1) and the bytes it took, once it is all there.
fn unchunk(bytes: &[u8]) -> anyhow::Result<Option<(Vec<u8>, usize)>> {
    let line_from = |start: usize| {
        let end = bytes.get(start..)?.windows(2).position(|w| w == b"\r\n")?;
        Some(&bytes[start..start + end])
    };
    let (mut body, mut at) = (Vec::new(), 0);
    while let Some(line) = line_from(at) {
        let digits = String::from_utf8_lossy(line);
        let digits = digits.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits, 16).context("no chunk size")?;
        at += line.len() + 2;
        if size == 0 {
            // Trailers, up to an empty line.
            while let Some(trailer) = line_from(at) {
                at += trailer.len() + 2;
                if trailer.is_empty() {
                    return Ok(Some((body, at)));
                }
            }
            return Ok(None);
        }
        let Some(chunk) = at.checked_add(size).and_then(|end| bytes.get(at..end)) else {
            return Ok(None);
        };
        body.extend_from_slice(chunk);
        at += size + 2;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_taken_apart_when_it_is_complete() {
        let reply = b"HTTP/1.1 200 OK\r\nX: y\r\ncontent-length: 3\r\n\r\nabcd";
        let body = b"abc".to_vec();
        let whole = Some((Reply { status: 200, body }, reply.len() - 1));
        assert_eq!(complete(reply).expect("good"), whole);
        assert_eq!(complete(&reply[..reply.len() - 2]).expect("good"), None);
        assert_eq!(complete(&reply[..20]).expect("good"), None);
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n1\r\nc\r\n0\r\n\r\nd";
        let body = b"abc".to_vec();
        let whole = Some((Reply { status: 200, body }, chunked.len() - 1));
        assert_eq!(complete(chunked).expect("good"), whole);
        for n in 47..chunked.len() - 1 {
            assert_eq!(complete(&chunked[..n]).expect("good"), None, "{n}");
        }
        let empty = complete(b"HTTP/1.1 204 No Content\r\n\r\nH").expect("good");
        assert_eq!(
            empty.map(|(reply, bytes)| (reply.status, bytes)),
            Some((204, 27))
        );
        assert!(complete(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(complete(b"SSH-2.0\r\n\r\n").is_err());
    }
}
