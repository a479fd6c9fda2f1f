//! `--proxy`: HTTP/1.1 to a back end, on connections that each worker keeps open.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use proto::{Method, Request, Response};

use super::wire::{Wire, ends_here, length, pass_fields, read_once};
use super::{cgi, is_timeout, nonsense};

/// Most bytes of the head of a reply, and of a line of its chunked coding.
const HEAD_BYTES_MAX: usize = 64 << 10;
const LINE_BYTES_MAX: usize = 4 << 10;
/// Connections that a worker keeps open; it uses one at a time.
const KEPT_MAX: usize = 2;

thread_local! {
    static KEPT: RefCell<Vec<Wire>> = const { RefCell::new(Vec::new()) };
}

/// A back end.
#[derive(Debug)]
pub struct Proxy {
    addr: String,
    patience: Duration,
}

impl Proxy {
    /// The back end at `http://HOST[:PORT]`.
    pub fn new(url: &str, patience: Duration) -> Result<Proxy, &'static str> {
        let host = url.strip_prefix("http://").ok_or("not http://HOST:PORT")?;
        let host = host.strip_suffix('/').unwrap_or(host);
        if host.is_empty() || host.contains(['/', '@', '?', '#']) {
            return Err("not http://HOST:PORT");
        }
        let has_port = host
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let addr = if has_port {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        Ok(Proxy { addr, patience })
    }

    pub fn pass(&self, request: &Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
        let head = head(request);
        while let Some(wire) = KEPT.with_borrow_mut(Vec::pop) {
            if !wire.is_quiet() {
                continue;
            }
            match Exchange::begin(wire, &head, request) {
                // The back end has closed it just now. What may be repeated is (RFC 9110 section 9.2.2).
                Err(error) if !is_timeout(&error) && is_idempotent(request.method) => break,
                begun => return begun?.reply(request, response),
            }
        }
        let wire = Wire::connect(&self.addr, self.patience)?;
        Exchange::begin(wire, &head, request)?.reply(request, response)
    }
}

fn is_idempotent(method: Method<'_>) -> bool {
    !matches!(
        method,
        Method::Post | Method::Patch | Method::Connect | Method::Other(_)
    )
}

/// The request as it goes on.
fn head(request: &Request<'_>) -> Vec<u8> {
    let mut head = format!("{} {}", cgi::method(request), request.path).into_bytes();
    if let Some(query) = request.query {
        head.push(b'?');
        head.extend(query.as_bytes());
    }
    head.extend(b" HTTP/1.1\r\n");
    let options = request
        .fields()
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection"));
    let options: Vec<_> = options
        .map(|(_, value)| String::from_utf8_lossy(value))
        .collect();
    let options = options.join(",");
    // What earlier hops said of the client is not ours to vouch for.
    let own = [
        "expect",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
    ];
    for (name, value) in request.fields() {
        if !ends_here(name, &options) && !own.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                head.extend(part);
            }
        }
    }
    if let Some(host) = request.field("host") {
        head.extend(b"X-Forwarded-Host: ");
        head.extend(host);
        head.extend(b"\r\n");
    }
    head.extend(
        b"X-Forwarded-Proto: http\r\nForwarded: for=unknown;proto=http\r\nVia: 1.1 turnstile\r\n",
    );
    if !request.body.is_empty() || matches!(request.method, Method::Post | Method::Put) {
        head.extend(format!("Content-Length: {}\r\n", request.body.len()).into_bytes());
    }
    head.extend(b"\r\n");
    head
}

/// How the body of a reply ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
    Closed,
}

/// A request that was sent, and a final head that was received.
struct Exchange {
    wire: Wire,
    head: Vec<u8>,
    /// Received behind the head.
    rest: Vec<u8>,
}

impl Exchange {
    fn begin(mut wire: Wire, head: &[u8], request: &Request<'_>) -> io::Result<Exchange> {
        wire.write_all(head)?;
        wire.write_all(request.body)?;
        let mut input = Vec::new();
        loop {
            if let Some(at) = input.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = input.split_off(at + 4);
                let head = std::mem::replace(&mut input, rest);
                // Interim responses are not passed on (RFC 9110 section 15.2 allows that).
                match head.get(9..12) {
                    Some(b"101") => return Err(nonsense("a protocol that was not asked for")),
                    Some([b'1', ..]) => continue,
                    _ => {}
                }
                let rest = input;
                return Ok(Exchange { wire, head, rest });
            }
            if input.len() > HEAD_BYTES_MAX {
                return Err(nonsense("a head without an end"));
            }
            let mut piece = [0; 4 << 10];
            match read_once(&mut wire, &mut piece)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                bytes => input.extend_from_slice(&piece[..bytes]),
            }
        }
    }

    fn reply(self, request: &Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
        let mut room = [httparse::EMPTY_HEADER; 128];
        let mut parsed = httparse::Response::new(&mut room);
        let whole = parsed.parse(&self.head);
        let (Ok(httparse::Status::Complete(_)), Some(status), Some(version)) =
            (whole, parsed.code, parsed.version)
        else {
            return Err(nonsense("a malformed head"));
        };
        let (mut framing, mut options) = (None, String::new());
        for field in &*parsed.headers {
            let told = match field.name.to_ascii_lowercase().as_str() {
                "content-length" => Framing::Length(length(field.value)?),
                "transfer-encoding" if field.value.eq_ignore_ascii_case(b"chunked") => {
                    Framing::Chunked
                }
                "transfer-encoding" => return Err(nonsense("an unknown transfer coding")),
                "connection" => {
                    options += &String::from_utf8_lossy(field.value);
                    options.push(',');
                    continue;
                }
                _ => continue,
            };
            if framing.replace(told).is_some() {
                return Err(nonsense("a length that can be read in two ways"));
            }
        }
        if !(200..600).contains(&status) {
            return Err(nonsense("a malformed status"));
        }
        let fields = parsed.headers.iter().map(|field| (field.name, field.value));
        let fields: Vec<_> = fields
            .filter(|(name, _)| !ends_here(name, &options))
            .collect();
        pass_fields(response, &fields)?;
        response.status(status);
        let closes = options
            .split(',')
            .any(|option| option.trim().eq_ignore_ascii_case("close"));
        let mut body = Body {
            wire: Some(self.wire),
            rest: self.rest,
            framing: framing.unwrap_or(Framing::Closed),
            chunk: None,
            reusable: version == 1 && !closes,
        };
        if request.method == Method::Head || status == 204 || status == 304 {
            body.framing = Framing::Length(0);
            body.end();
            match framing {
                Some(Framing::Length(bytes)) => drop(response.reader(Box::new(io::empty()), bytes)),
                _ => drop(response.stream(proto::reader(io::empty()))),
            }
            return Ok(());
        }
        match body.framing {
            Framing::Length(0) => body.end(),
            Framing::Length(bytes) => drop(response.reader(Box::new(body), bytes)),
            Framing::Chunked | Framing::Closed => drop(response.stream(proto::reader(body))),
        }
        Ok(())
    }
}

/// The body of a reply. Once it is complete, the worker keeps the connection.
struct Body {
    wire: Option<Wire>,
    rest: Vec<u8>,
    framing: Framing,
    /// Bytes left of the current chunk.
    chunk: Option<u64>,
    reusable: bool,
}

impl Body {
    fn end(&mut self) {
        if let Some(wire) = self
            .wire
            .take()
            .filter(|_| self.reusable && self.rest.is_empty())
        {
            KEPT.with_borrow_mut(|kept| {
                if kept.len() < KEPT_MAX {
                    kept.push(wire);
                }
            });
        }
    }

    fn receive(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            return match &mut self.wire {
                Some(wire) => read_once(wire, to),
                None => Ok(0),
            };
        }
        let bytes = self.rest.len().min(to.len());
        to[..bytes].copy_from_slice(&self.rest[..bytes]);
        self.rest.drain(..bytes);
        Ok(bytes)
    }

    /// A line of the chunked coding, without CR LF.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        let (mut line, mut byte) = (Vec::new(), [0]);
        while !line.ends_with(b"\r\n") {
            if self.receive(&mut byte)? == 0 || line.len() > LINE_BYTES_MAX {
                return Err(nonsense("a chunk that is cut"));
            }
            line.push(byte[0]);
        }
        line.truncate(line.len() - 2);
        Ok(line)
    }

    /// The size of the next chunk; behind the last one there are trailers, which end here.
    fn next_chunk(&mut self) -> io::Result<u64> {
        if self.chunk.is_some() && !self.line()?.is_empty() {
            return Err(nonsense("a chunk longer than its size"));
        }
        let line = self.line()?;
        let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
        let digits = str::from_utf8(digits.trim_ascii_end()).unwrap_or_default();
        let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = u64::from_str_radix(digits, 16).ok().filter(|_| all);
        let size = size.ok_or_else(|| nonsense("a malformed chunk size"))?;
        if size == 0 {
            while !self.line()?.is_empty() {}
        }
        Ok(size)
    }
}

impl Read for Body {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if to.is_empty() || self.wire.is_none() {
            return Ok(0);
        }
        let left = match self.framing {
            Framing::Closed => return self.receive(to),
            Framing::Length(left) => left,
            Framing::Chunked => match self.chunk {
                Some(left @ 1..) => left,
                _ => {
                    let size = self.next_chunk()?;
                    self.chunk = Some(size);
                    size
                }
            },
        };
        if left == 0 {
            self.end();
            return Ok(0);
        }
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(to.len());
        let bytes = self.receive(&mut to[..room])?;
        if bytes == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let left = left - bytes as u64;
        match &mut self.framing {
            Framing::Length(rest) => *rest = left,
            _ => self.chunk = Some(left),
        }
        if left == 0 && self.framing == Framing::Length(0) {
            self.end();
        }
        Ok(bytes)
    }
}
