//! What a back end of HTTP answers: its head, and its body as it comes.

use std::io::{self, ErrorKind, Read};

use proto::{Method, Request, Response};

use super::errors::nonsense;
use super::fields::{ends_here, length, lists, pass_fields};
use super::kept::keep;
use super::wire::Wire;

/// Most bytes of the head of a reply, and of its trailers.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Most bytes of a line of the chunked coding.
const LINE_BYTES_MAX: usize = 4 << 10;
/// Most interim responses before the final one.
const INTERIM_MAX: usize = 16;
/// A body that came with its head is sent at once, up to so many bytes.
const WHOLE_BYTES_MAX: u64 = 64 << 10;

/// How the body of a reply ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
    Closed,
}

/// The class of the final status in these first bytes of a reply, `b'2'` for example, if the whole head is
/// there. Interim responses before it are passed over.
pub fn final_class(early: &[u8]) -> Option<u8> {
    let mut rest = early;
    loop {
        let end = head_end(rest)?;
        match rest.get(..10)? {
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', _, b' ', class] if *class != b'1' => {
                return Some(*class);
            }
            _ => rest = &rest[end..],
        }
    }
}

/// Whether what came before the request was out is the whole head of a refusal: then the back end does not
/// read the rest of the request (RFC 9112 section 9.5).
pub fn is_refusal(early: &[u8]) -> bool {
    matches!(final_class(early), Some(b'4' | b'5'))
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    at.map(|at| at + 4)
}

/// Reads the final head, and has the session send the body as it comes, or at once if it is there.
///
/// # Errors
/// There is none, it is too late, or it can be read in two ways.
pub fn reply(mut wire: Wire, request: &Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
    let head = final_head(&mut wire)?;
    let mut room = [httparse::EMPTY_HEADER; 128];
    let mut parsed = httparse::Response::new(&mut room);
    let whole = parsed.parse(&head);
    let (Ok(httparse::Status::Complete(_)), Some(status), Some(version)) =
        (whole, parsed.code, parsed.version)
    else {
        return Err(nonsense("a malformed head"));
    };
    let (framing, options) = framing(parsed.headers)?;
    if !(200..600).contains(&status) {
        return Err(nonsense("a malformed status"));
    }
    let fields = parsed.headers.iter().map(|field| (field.name, field.value));
    let kept = fields.filter(|(name, _)| !ends_here(name, &options));
    let fields: Vec<_> = kept.collect();
    pass_fields(response, &fields)?;
    response.status(status);
    let closes = lists(&options, "close");
    let mut body = Body {
        wire: Some(wire),
        framing: framing.unwrap_or(Framing::Closed),
        chunk: None,
        reusable: version == 1 && !closes,
    };
    if request.method == Method::Head || status == 204 || status == 304 {
        body.framing = Framing::Length(0);
        body.end();
        match framing {
            Some(Framing::Length(bytes)) => {
                response.stream_of(bytes, proto::reader(io::empty()));
            }
            _ => drop(response.stream(proto::reader(io::empty()))),
        }
        return Ok(());
    }
    let framing = body.framing;
    match framing {
        Framing::Length(bytes) if body.take_whole(bytes, response.body_buffer()) => {}
        Framing::Length(bytes) => drop(response.stream_of(bytes, proto::reader(body))),
        Framing::Chunked | Framing::Closed => drop(response.stream(proto::reader(body))),
    }
    Ok(())
}

/// The head behind the interim responses, which are not passed on (RFC 9110 section 15.2 allows that).
fn final_head(wire: &mut Wire) -> io::Result<Vec<u8>> {
    for _ in 0..INTERIM_MAX {
        let end = loop {
            if let Some(end) = head_end(wire.buffered()) {
                break end;
            }
            if wire.buffered().len() > HEAD_BYTES_MAX {
                return Err(nonsense("a head without an end"));
            }
            if wire.fill()? == 0 {
                return Err(nonsense("an end inside its head"));
            }
        };
        let head = wire.buffered()[..end].to_vec();
        wire.consume(end);
        match head.get(9..12) {
            Some(b"101") => return Err(nonsense("a protocol that was not asked for")),
            Some([b'1', ..]) => {}
            _ => return Ok(head),
        }
    }
    Err(nonsense("interim responses without an end"))
}

/// How the fields say that the body ends, and the options of `Connection`.
fn framing(fields: &[httparse::Header<'_>]) -> io::Result<(Option<Framing>, String)> {
    let (mut framing, mut options) = (None, String::new());
    for field in fields {
        let told = match field.name.to_ascii_lowercase().as_str() {
            "content-length" => Framing::Length(length(field.value)?),
            "transfer-encoding" if field.value.eq_ignore_ascii_case(b"chunked") => Framing::Chunked,
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
    Ok((framing, options))
}

/// The body of a reply. Once it is complete, the worker keeps the connection.
struct Body {
    wire: Option<Wire>,
    framing: Framing,
    /// Bytes left of the current chunk.
    chunk: Option<u64>,
    reusable: bool,
}

impl Body {
    /// Nothing that was not asked for may be left on a connection that is kept.
    fn end(&mut self) {
        let wire = self.wire.take();
        if let Some(wire) = wire.filter(|wire| self.reusable && wire.is_spent()) {
            keep(wire);
        }
    }

    /// Moves a body of `bytes` bytes into `to` if all of it has come with the head.
    fn take_whole(&mut self, bytes: u64, to: &mut Vec<u8>) -> bool {
        let Some(wire) = &mut self.wire else {
            return false;
        };
        let buffered = wire.buffered();
        if bytes > WHOLE_BYTES_MAX || (buffered.len() as u64) < bytes {
            return false;
        }
        to.extend_from_slice(&buffered[..bytes as usize]);
        wire.consume(bytes as usize);
        self.end();
        true
    }

    fn receive(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match &mut self.wire {
            Some(wire) => wire.read(to),
            None => Ok(0),
        }
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
            let mut bytes = 0;
            loop {
                let trailer = self.line()?;
                bytes += trailer.len();
                match trailer.is_empty() {
                    true => break,
                    false if bytes > HEAD_BYTES_MAX => return Err(nonsense("endless trailers")),
                    false => {}
                }
            }
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
