//! `--proxy`: HTTP/1.1 to a back end, on connections that each worker keeps open.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use proto::{Intake, Method, Request, Response, Sink};

use super::errors::is_timeout;
use super::exchange::{final_class, is_refusal, reply};
use super::fields::{ends_here, values};
use super::forwarded::{self, Trusted};
use super::kept;
use super::wire::{Patience, Wire};

/// A request that must not be sent twice goes on a kept connection only if that was used so recently that
/// the back end will hardly be closing it just now.
const FRESH: Duration = Duration::from_secs(1);

/// How long a back end has to say what it thinks of a body that the client holds back, before the client is
/// told to send it. Clients wait no longer, either.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// A back end.
#[derive(Debug)]
pub struct Proxy {
    addr: String,
    patience: Patience,
    trusted: Vec<Trusted>,
}

impl Proxy {
    /// The back end at `http://HOST[:PORT]`.
    ///
    /// # Errors
    /// It is no such URL.
    pub fn new(
        url: &str,
        patience: Patience,
        trusted: Vec<Trusted>,
    ) -> Result<Proxy, &'static str> {
        const WRONG: &str = "not http://HOST or http://HOST:PORT";
        let host = url.strip_prefix("http://").ok_or(WRONG)?;
        let host = host.strip_suffix('/').unwrap_or(host);
        let is_strange = |byte: u8| !byte.is_ascii_graphic() || b"/@?#\\".contains(&byte);
        if host.bytes().any(is_strange) {
            return Err(WRONG);
        }
        // The colons of an IPv6 address stand in brackets.
        let behind = host.rfind(']').map_or(0, |at| at + 1);
        let (name, port) = match host[behind..].find(':') {
            Some(at) => (&host[..behind + at], Some(&host[behind + at + 1..])),
            None => (host, None),
        };
        let is_bracketed = name.starts_with('[') || name.ends_with(']');
        let is_v6 = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
            .is_some_and(|name| name.parse::<std::net::Ipv6Addr>().is_ok());
        if name.is_empty() || is_bracketed != is_v6 {
            return Err(WRONG);
        }
        let port = match port {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse(),
            Some(_) => return Err(WRONG),
            None => Ok(80),
        };
        let port: u16 = port.ok().filter(|&port| port > 0).ok_or(WRONG)?;
        Ok(Proxy {
            addr: format!("{name}:{port}"),
            patience,
            trusted,
        })
    }

    pub fn pass(&self, request: &Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
        if let Some(upload) = request.take_sink::<Upload>() {
            return reply(upload.finish()?, request, response);
        }
        let has_body = !request.body.is_empty();
        let is_usual = matches!(request.method, Method::Post | Method::Put);
        let length = (has_body || is_usual).then_some(request.body.len() as u64);
        let head = self.head(request, length.map_or(Length::None, Length::Known));
        let may_repeat = is_idempotent(request.method);
        while let Some(mut wire) = kept::take() {
            if !wire.is_quiet() || (!may_repeat && wire.idle() > FRESH) {
                continue;
            }
            wire.begin(self.patience);
            match exchange(wire, &head, request) {
                // The back end has closed it just now. What may be repeated is (RFC 9110 section 9.2.2).
                Err(error) if may_repeat && !is_timeout(&error) && is_lost(&error) => break,
                wire => return reply(wire?, request, response),
            }
        }
        let wire = Wire::connect(&self.addr, self.patience)?;
        reply(exchange(wire, &head, request)?, request, response)
    }

    /// A large body goes on as it comes.
    pub fn intake(&self, request: &Request<'_>, bytes: Option<u64>, bytes_max: u64) -> Intake {
        let mut upload = Upload {
            addr: self.addr.clone(),
            patience: self.patience,
            head: self.head(request, bytes.map_or(Length::Chunked, Length::Known)),
            is_chunked: bytes.is_none(),
            has_enough: false,
            wire: None,
            failed: None,
        };
        if expects_continue(request) && bytes.is_none_or(|bytes| bytes <= bytes_max) {
            let asked = upload.ask_first();
            upload.note(asked);
        }
        Intake::Pieces(Box::new(upload), bytes_max)
    }

    /// The head as it goes on.
    fn head(&self, request: &Request<'_>, length: Length) -> Vec<u8> {
        let mut head = Vec::with_capacity(1 << 10);
        for part in [request.method.name(), " ", request.path] {
            head.extend(part.as_bytes());
        }
        if let Some(query) = request.query {
            head.push(b'?');
            head.extend(query.as_bytes());
        }
        head.extend(b" HTTP/1.1\r\n");
        let options = values(request, "connection").map(String::from_utf8_lossy);
        let options = options.collect::<Vec<_>>().join(",");
        let is_own = |name: &str| {
            let of_hops = forwarded::OF_HOPS.iter();
            name.eq_ignore_ascii_case("expect")
                || of_hops.clone().any(|own| own.eq_ignore_ascii_case(name))
        };
        for (name, value) in request.fields() {
            if !ends_here(name, &options) && !is_own(name) {
                for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                    head.extend(part);
                }
            }
        }
        forwarded::write(request, &self.trusted, &mut head);
        head.extend(b"Via: 1.1 turnstile\r\n");
        match length {
            Length::None => {}
            Length::Known(bytes) => head.extend(format!("Content-Length: {bytes}\r\n").as_bytes()),
            Length::Chunked => head.extend(b"Transfer-Encoding: chunked\r\n"),
        }
        head.extend(b"\r\n");
        head
    }
}

/// How the length of a request's body is told.
#[derive(Debug, Clone, Copy)]
enum Length {
    None,
    Known(u64),
    Chunked,
}

/// Whether the client holds the body back until it is told to send it (RFC 9110 section 10.1.1).
fn expects_continue(request: &Request<'_>) -> bool {
    let expected = values(request, "expect").flat_map(|value| value.split(|&byte| byte == b','));
    let is_continue = |expected: &[u8]| expected.trim_ascii().eq_ignore_ascii_case(b"100-continue");
    request.minor_version == 1 && expected.into_iter().any(is_continue)
}

fn is_idempotent(method: Method<'_>) -> bool {
    !matches!(
        method,
        Method::Post | Method::Patch | Method::Connect | Method::Other(_)
    )
}

/// Whether the connection was closed before a byte of a reply had come.
fn is_lost(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}

/// Sends a whole request, and waits for the first bytes of its reply.
fn exchange(mut wire: Wire, head: &[u8], request: &Request<'_>) -> io::Result<Wire> {
    if request.body.len() <= 16 << 10 {
        // In one segment.
        let whole = [head, request.body].concat();
        send_unless_refused(&mut wire, &whole)?;
    } else {
        wire.send(head)?;
        for piece in request.body.chunks(64 << 10) {
            if !send_unless_refused(&mut wire, piece)? {
                break;
            }
        }
    }
    if wire.fill()? == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(wire)
}

/// Sends, unless the back end has refused the request already. False: the rest need not be sent.
fn send_unless_refused(wire: &mut Wire, bytes: &[u8]) -> io::Result<bool> {
    if is_refusal(wire.early()) {
        wire.refuse();
    }
    wire.send(bytes)
}

/// A large body, which goes on as it comes, on a connection of its own.
struct Upload {
    addr: String,
    patience: Patience,
    head: Vec<u8>,
    is_chunked: bool,
    has_enough: bool,
    wire: Option<Wire>,
    failed: Option<io::Error>,
}

impl Upload {
    /// Has the back end decide by the head, whose expectation goes on. False: it has answered, and wants no
    /// body.
    fn ask_first(&mut self) -> io::Result<bool> {
        let mut wire = Wire::connect(&self.addr, self.patience)?;
        self.head.truncate(self.head.len() - 2);
        self.head.extend(b"Expect: 100-continue\r\n\r\n");
        wire.send(&self.head)?;
        let end = Instant::now() + CONTINUE_WAIT;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let has_sent = wire.listen(left)?;
            if final_class(wire.early()).is_some() {
                wire.refuse();
            }
            // Interim, nothing, or all that it will ever say.
            if !has_sent || wire.refuses() || wire.early().ends_with(b"\r\n\r\n") {
                break;
            }
        }
        let wants_body = !wire.refuses();
        self.wire = Some(wire);
        Ok(wants_body)
    }

    /// Takes note whether the back end wants more, or of its failure, which is the reply.
    fn note(&mut self, wants_more: io::Result<bool>) {
        match wants_more {
            Ok(wants_more) => self.has_enough = !wants_more,
            Err(error) => (self.has_enough, self.failed) = (true, Some(error)),
        }
    }

    /// False: the back end wants no more.
    fn pass_on(&mut self, piece: &[u8]) -> io::Result<bool> {
        let wire = match &mut self.wire {
            Some(wire) => wire,
            none => {
                let wire = none.insert(Wire::connect(&self.addr, self.patience)?);
                wire.send(&self.head)?;
                wire
            }
        };
        if self.is_chunked {
            wire.send(format!("{:x}\r\n", piece.len()).as_bytes())?;
        }
        wire.send(piece)?;
        if self.is_chunked {
            wire.send(b"\r\n")?;
        }
        wire.receive_early()?;
        if is_refusal(wire.early()) {
            wire.refuse();
        }
        Ok(!wire.refuses())
    }

    fn finish(self: Box<Upload>) -> io::Result<Wire> {
        match (self.failed, self.wire) {
            (Some(error), _) => Err(error),
            (None, Some(mut wire)) => {
                if self.is_chunked && !self.has_enough {
                    wire.send(b"0\r\n\r\n")?;
                }
                Ok(wire)
            }
            (None, None) => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Sink for Upload {
    fn take(&mut self, piece: &[u8]) -> io::Result<()> {
        if !self.has_enough {
            let passed = self.pass_on(piece);
            self.note(passed);
        }
        Ok(())
    }

    fn has_enough(&self) -> bool {
        self.has_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_host_and_perhaps_a_port() {
        let patience = Patience {
            each: Duration::from_secs(1),
            total: Duration::ZERO,
        };
        let addr = |url| Proxy::new(url, patience, Vec::new()).map(|proxy| proxy.addr);
        for (url, at) in [
            ("http://host", "host:80"),
            ("http://host:8080/", "host:8080"),
            ("http://[::1]", "[::1]:80"),
            ("http://[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(addr(url).as_deref(), Ok(at));
        }
        for bad in [
            "",
            "host:80",
            "https://host",
            "http://",
            "http:///",
            "http://:80",
            "http://host:",
            "http://host:0",
            "http://host:65536",
            "http://host:x",
            "http://host/path",
            "http://a@host",
            "http://::1",
            "http://[::1",
            "http://::1]",
            "http://[x]:1",
            "http://a b",
            "http://host:+80",
        ] {
            assert!(addr(bad).is_err(), "{bad}");
        }
    }
}
