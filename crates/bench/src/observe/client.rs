//! A client of the bench's own: one request at a time, to verify a server, to ask its workers, and to
//! hold connections.
//!
//! The load always comes from the generator; nothing that this client does is measured.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, ensure};
use httparse::Status;

/// The largest reply that is accepted.
const REPLY_BYTES_MAX: usize = 2 << 20;
/// The most fields of a head.
const FIELDS_MAX: usize = 256;

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
        let mut ended = false;
        loop {
            if let Some((head, body, bytes)) = whole(&self.received, ended)? {
                let status = head.status;
                (self.closed, self.used) = (head.closes || ended, true);
                self.received.drain(..bytes);
                return Ok(Reply { status, body });
            }
            let bytes = self.received.len();
            ensure!(!ended, "the reply ended after {bytes} bytes");
            let n = self.stream.read(&mut chunk).context("no reply")?;
            ensure!(
                n == 0 || bytes <= REPLY_BYTES_MAX,
                "the reply is longer than {REPLY_BYTES_MAX} bytes"
            );
            self.received.extend_from_slice(&chunk[..n]);
            ended = n == 0;
        }
    }
}

/// What a whole head says of its reply.
struct Head {
    status: u16,
    is_chunked: bool,
    length: Option<usize>,
    /// No other reply follows it on its connection (RFC 9112, 9.3).
    closes: bool,
    /// Its own length, with the empty line.
    bytes: usize,
}

/// The head of a reply, once it is all there.
fn head(received: &[u8]) -> anyhow::Result<Option<Head>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Response::new(&mut fields);
    let mut lenient = httparse::ParserConfig::default();
    lenient
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true);
    let parsed = lenient.parse_response(&mut head, received);
    let parsed = parsed.context("no head of a reply")?;
    let (Status::Complete(bytes), Some(status)) = (parsed, head.code) else {
        return Ok(None);
    };
    let values = |name: &'static str| {
        let fields = head.headers.iter();
        let named = fields.filter(move |field| field.name.eq_ignore_ascii_case(name));
        named.map(|field| String::from_utf8_lossy(field.value).to_ascii_lowercase())
    };
    let length = values("content-length").next();
    let says = |what: &str| values("connection").any(|value| value.contains(what));
    Ok(Some(Head {
        status,
        is_chunked: values("transfer-encoding").next().as_deref() == Some("chunked"),
        length: match status {
            // A 204 and a 304 have no body (RFC 9110, 15.3.5 and 15.4.5).
            204 | 304 => Some(0),
            _ => length.and_then(|value| value.trim().parse().ok()),
        },
        closes: says("close") || (head.version == Some(0) && !says("keep-alive")),
        bytes,
    }))
}

/// The head and the body of a reply, and how long both are, once it is all there. Where neither length nor
/// coding is told, the end of the connection is that of the reply (RFC 9112, 6.3).
fn whole(received: &[u8], ended: bool) -> anyhow::Result<Option<(Head, Vec<u8>, usize)>> {
    let Some(head) = head(received)? else {
        return Ok(None);
    };
    let rest = &received[head.bytes..];
    let body = match head.length {
        _ if head.is_chunked => unchunk(rest)?,
        Some(length) => rest.get(..length).map(|body| (body.to_vec(), length)),
        None => ended.then(|| (rest.to_vec(), rest.len())),
    };
    let start = head.bytes;
    Ok(body.map(|(body, bytes)| (head, body, start + bytes)))
}

/// The body of a chunked reply (RFC 9112, 7.1) and the bytes it took, once it is all there.
fn unchunk(bytes: &[u8]) -> anyhow::Result<Option<(Vec<u8>, usize)>> {
    let rest = |at: usize| bytes.get(at..).unwrap_or_default();
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let size = httparse::parse_chunk_size(rest(at));
        let Status::Complete((line, size)) = size.ok().context("no chunk size")? else {
            return Ok(None);
        };
        at += line;
        if size == 0 {
            let mut trailers = [httparse::EMPTY_HEADER; FIELDS_MAX];
            let trailers = httparse::parse_headers(rest(at), &mut trailers)?;
            return Ok(match trailers {
                Status::Complete((length, _)) => Some((body, at + length)),
                Status::Partial => None,
            });
        }
        let Some(chunk) = rest(at).get(..usize::try_from(size)?) else {
            return Ok(None);
        };
        body.extend_from_slice(chunk);
        at += chunk.len() + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The status, the body and the length of a reply.
    fn taken(received: &[u8], ended: bool) -> Option<(u16, Vec<u8>, usize)> {
        let whole = whole(received, ended).expect("good");
        whole.map(|(head, body, bytes)| (head.status, body, bytes))
    }

    #[test]
    fn a_reply_is_taken_apart_when_it_is_complete() {
        let reply = b"HTTP/1.1 200 OK\r\nX: y\r\ncontent-length: 3\r\n\r\nabcd";
        let abc = |bytes: usize| Some((200, b"abc".to_vec(), bytes));
        assert_eq!(taken(reply, false), abc(reply.len() - 1));
        assert_eq!(taken(&reply[..reply.len() - 2], false), None);
        assert_eq!(taken(&reply[..20], false), None);
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n1\r\nc\r\n0\r\n\r\nd";
        assert_eq!(taken(chunked, false), abc(chunked.len() - 1));
        for n in 47..chunked.len() - 1 {
            assert_eq!(taken(&chunked[..n], false), None, "{n}");
        }
        let empty = taken(b"HTTP/1.1 204 No Content\r\n\r\nH", false);
        assert_eq!(empty, Some((204, Vec::new(), 27)));
        let until = b"HTTP/1.0 200 OK\r\nX: y\r\n Content-Length: 9\r\n\r\nabc";
        assert_eq!(taken(until, false), None);
        assert_eq!(taken(until, true), abc(until.len()));
        let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc";
        assert_eq!(taken(cut, true), None);
        assert!(whole(b"SSH-2.0\r\n\r\n", false).is_err());
    }

    #[test]
    fn a_reply_says_whether_it_is_the_last_one() {
        let closes = |first: &str, fields: &str| {
            let reply = format!("{first}\r\n{fields}Content-Length: 0\r\n\r\n");
            head(reply.as_bytes()).expect("good").expect("whole").closes
        };
        assert!(!closes("HTTP/1.1 200 OK", "Connection: keep-alive\r\n"));
        assert!(closes(
            "HTTP/1.1 200 OK",
            "Connection: x\r\nconnection: Close\r\n"
        ));
        assert!(closes("HTTP/1.0 200 OK", ""));
        assert!(!closes("HTTP/1.0 200 OK", "Connection: Keep-Alive\r\n"));
    }
}
