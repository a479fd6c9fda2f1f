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
    /// Header fields of every request, each with its end of line.
    fields: String,
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
    pub body: Vec<u8>,
}

impl Client {
    /// Connects to `HOST:PORT`, to the first address of that name that accepts; every step of every
    /// request is given up after `within`.
    pub fn connect(address: &str, within: Duration) -> anyhow::Result<Self> {
        let addresses = address.to_socket_addrs().context("no such address")?;
        let mut stream = Err(ErrorKind::NotFound.into());
        for found in addresses {
            stream = TcpStream::connect_timeout(&found, within);
            if stream.is_ok() {
                break;
            }
        }
        let stream = stream.context("cannot connect")?;
        stream.set_read_timeout(Some(within))?;
        stream.set_write_timeout(Some(within))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            host: address.to_owned(),
            fields: String::new(),
            received: Vec::new(),
            within,
            used: false,
            closed: false,
        })
    }

    /// The same with header fields, `NAME: VALUE`, in every request.
    #[must_use]
    pub fn with_fields(mut self, fields: &[&str]) -> Self {
        self.fields = fields.iter().map(|line| format!("{line}\r\n")).collect();
        self
    }

    /// Whether the last reply said that no other follows it on its connection.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The same as [`Client::ask`], on a new connection where the server has closed this one.
    pub fn ask_anew(&mut self, method: &str, path: &str, body: &[u8]) -> anyhow::Result<Reply> {
        let again = |client: &mut Self| {
            let fields = std::mem::take(&mut client.fields);
            *client = Self::connect(&client.host.clone(), client.within)?;
            client.fields = fields;
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
    pub fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> anyhow::Result<Reply> {
        let carries = matches!(method, "POST" | "PUT" | "PATCH");
        let length = if body.is_empty() && !carries {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let has_host = self.fields.to_ascii_lowercase().starts_with("host:")
            || self.fields.to_ascii_lowercase().contains("\nhost:");
        let host = match has_host {
            true => String::new(),
            false => format!("Host: {}\r\n", self.host),
        };
        let fields = &self.fields;
        let head = format!("{method} {path} HTTP/1.1\r\n{host}{length}{fields}\r\n");
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
            if n == 0 {
                // Where neither length nor coding is told, the end of the connection is that of the
                // reply (RFC 9112, 6.3).
                let whole = until_close(&self.received)?;
                let ended = || format!("the reply ended after {} bytes", self.received.len());
                let reply = whole.with_context(ended)?;
                (self.closed, self.used) = (true, true);
                self.received.clear();
                return Ok(reply);
            }
            if self.received.len() > REPLY_BYTES_MAX {
                bail!("the reply is longer than {REPLY_BYTES_MAX} bytes");
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

/// What a whole head says of its reply.
struct Head {
    status: u16,
    chunked: bool,
    length: Option<usize>,
    /// Its own length, with the empty line.
    bytes: usize,
}

/// The head of a reply, once it is all there.
fn head(received: &[u8]) -> anyhow::Result<Option<Head>> {
    let Some(end) = received.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&received[..end]);
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok())
        .context("no status line")?;
    // A line that begins with a blank goes on with the field before it (RFC 9112, 5.2).
    let lines = lines.filter(|line| !line.starts_with([' ', '\t']));
    let fields: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
    let field = |name: &str| {
        let found = fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    };
    let length = field("content-length").and_then(|value| value.parse().ok());
    let coding = field("transfer-encoding");
    Ok(Some(Head {
        status,
        chunked: coding.is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")),
        // A 204 and a 304 have no body (RFC 9110, 15.3.5 and 15.4.5).
        length: match status {
            204 | 304 => Some(0),
            _ => length,
        },
        bytes: end + 4,
    }))
}

/// A reply and its length, once it is all there; `None`, too, where the connection must end first.
fn complete(received: &[u8]) -> anyhow::Result<Option<(Reply, usize)>> {
    let Some(head) = head(received)? else {
        return Ok(None);
    };
    let (status, start) = (head.status, head.bytes);
    if head.chunked {
        let whole = unchunk(&received[start..])?;
        return Ok(whole.map(|(body, bytes)| (Reply { status, body }, start + bytes)));
    }
    let Some(length) = head.length else {
        return Ok(None);
    };
    let end = start.saturating_add(length);
    Ok(received.get(start..end).map(|body| {
        let body = body.to_vec();
        (Reply { status, body }, end)
    }))
}

/// The reply whose end is that of its connection, if it is such a one.
fn until_close(received: &[u8]) -> anyhow::Result<Option<Reply>> {
    let head = head(received)?;
    let head = head.filter(|head| !head.chunked && head.length.is_none());
    Ok(head.map(|head| Reply {
        status: head.status,
        body: received[head.bytes..].to_vec(),
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
        let until = b"HTTP/1.0 200 OK\r\nX: y\r\n Content-Length: 9\r\n\r\nabc";
        assert_eq!(complete(until).expect("good"), None);
        let reply = until_close(until).expect("good").expect("a reply");
        assert_eq!((reply.status, &reply.body[..]), (200, &b"abc"[..]));
        let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc";
        assert_eq!(until_close(cut).expect("good"), None);
        assert!(complete(b"SSH-2.0\r\n\r\n").is_err());
    }
}
