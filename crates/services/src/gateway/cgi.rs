//! What CGI/1.1 (RFC 3875) has in common with FastCGI: the variables, and the form of a reply.

use std::io::{self, Cursor, ErrorKind, Read};

use proto::{Method, Peer, Piece, Pull, Request, Response};

use super::errors::nonsense;
use super::fields::{ends_here, length, pass_fields};

/// Most bytes of the fields of a reply.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// A body that is complete when its head is read is sent at once, up to so many bytes.
const WHOLE_BYTES_MAX: usize = 64 << 10;

/// What a script writes.
pub trait Output: Read + Send + 'static {
    /// Whether the next read returns without waiting.
    fn is_ready(&self) -> bool {
        false
    }
}

/// Gives `put` the variables of RFC 3875 section 4.1 that do not depend on the script, for a body of
/// `body_bytes` bytes. `REMOTE_ADDR` is the other end of the connection: a proxy, if there is one.
pub fn variables(request: &Request<'_>, body_bytes: u64, mut put: impl FnMut(&str, &[u8])) {
    let host = request.field("host").unwrap_or_default();
    let colon = host.iter().rposition(|&byte| byte == b':');
    let (name, port) = match colon {
        Some(at) if host[at + 1..].iter().all(u8::is_ascii_digit) => (&host[..at], &host[at + 1..]),
        _ => (host, &b"80"[..]),
    };
    put("GATEWAY_INTERFACE", b"CGI/1.1");
    put("SERVER_SOFTWARE", b"turnstile");
    let protocol = match request.minor_version {
        0 => &b"HTTP/1.0"[..],
        _ => b"HTTP/1.1",
    };
    put("SERVER_PROTOCOL", protocol);
    put("SERVER_NAME", name);
    put("SERVER_PORT", port);
    put("REQUEST_METHOD", request.method.name().as_bytes());
    match request.query {
        Some(query) => {
            let uri = [request.path, "?", query].concat();
            put("REQUEST_URI", uri.as_bytes());
        }
        None => put("REQUEST_URI", request.path.as_bytes()),
    }
    put("QUERY_STRING", request.query.unwrap_or_default().as_bytes());
    let media = request.field("content-type").unwrap_or_default();
    put("CONTENT_TYPE", media);
    if body_bytes > 0 {
        put("CONTENT_LENGTH", body_bytes.to_string().as_bytes());
    }
    match request.peer() {
        Peer::Ip(addr) => {
            put("REMOTE_ADDR", addr.ip().to_string().as_bytes());
            put("REMOTE_PORT", addr.port().to_string().as_bytes());
        }
        Peer::Unix => put("REMOTE_ADDR", b"unix:"),
        Peer::Unknown => {}
    }
    fields(request, put);
}

/// The fields of the request as variables. Several of one name are one variable.
fn fields(request: &Request<'_>, mut put: impl FnMut(&str, &[u8])) {
    // `Proxy` would become HTTP_PROXY, which libraries believe (CVE-2016-5385). A name with `_` could
    // pass for one with `-`.
    let own = ["proxy", "content-type", "content-length", "authorization"];
    let mut variable = String::new();
    for (at, (name, value)) in request.fields().enumerate() {
        if own.iter().any(|own| own.eq_ignore_ascii_case(name)) || name.contains('_') {
            continue;
        }
        let is_same = |(other, _): &(&str, &[u8])| other.eq_ignore_ascii_case(name);
        if request.fields().take(at).any(|field| is_same(&field)) {
            continue;
        }
        variable.clear();
        variable.push_str("HTTP_");
        let upper = name.chars().map(|char| match char {
            '-' => '_',
            char => char.to_ascii_uppercase(),
        });
        variable.extend(upper);
        if request.fields().skip(at + 1).any(|field| is_same(&field)) {
            let all = request.fields().filter(is_same).map(|(_, value)| value);
            put(&variable, &all.collect::<Vec<_>>().join(&b", "[..]));
        } else {
            put(&variable, value);
        }
    }
}

/// Reads the fields of a reply (RFC 3875 section 6.3), and has the session send the rest as it comes, or at
/// once if it is there.
///
/// # Errors
/// The script has failed, or what it says is no reply.
pub fn reply(
    mut from: impl Output,
    request: &Request<'_>,
    response: &mut Response<'_>,
) -> io::Result<()> {
    let mut head = Vec::new();
    let end = loop {
        if let Some(end) = head_end(&head) {
            break end;
        }
        if head.len() > HEAD_BYTES_MAX {
            return Err(nonsense("fields without an end"));
        }
        if read_into(&mut head, &mut from)? == 0 {
            return Err(nonsense("an end inside its fields"));
        }
    };
    let mut rest = head.split_off(end);
    let (mut status, mut media, mut location, mut bytes) = (None, false, false, None);
    let mut fields = Vec::new();
    for line in head.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let colon = line.iter().position(|&byte| byte == b':');
        let colon = colon.ok_or_else(|| nonsense("a line that is no field"))?;
        let name = str::from_utf8(&line[..colon]).map_err(|_| nonsense("a malformed field"))?;
        let value = line[colon + 1..].trim_ascii();
        match name.to_ascii_lowercase().as_str() {
            "status" => {
                let code = value
                    .get(..3)
                    .and_then(|code| str::from_utf8(code).ok()?.parse().ok());
                let code = code.filter(|code| (200..600).contains(code));
                status = Some(code.ok_or_else(|| nonsense("a malformed Status"))?);
            }
            "content-length" => bytes = Some(length(value)?),
            lower => {
                media |= lower == "content-type";
                location |= lower == "location";
                if !ends_here(name, "") {
                    fields.push((name, value));
                }
            }
        }
    }
    if status.is_none() && !media && !location {
        return Err(nonsense("no field of CGI"));
    }
    pass_fields(response, &fields)?;
    response.status(status.unwrap_or(if location { 302 } else { 200 }));
    let is_head = request.method == Method::Head;
    let mut is_whole = false;
    while !is_whole && !is_head && from.is_ready() && rest.len() < WHOLE_BYTES_MAX {
        is_whole = read_into(&mut rest, &mut from)? == 0;
    }
    if is_whole && bytes.is_none_or(|bytes| bytes == rest.len() as u64) {
        response.body(&rest);
        return Ok(());
    }
    let body = Cursor::new(rest).chain(from);
    match bytes {
        Some(bytes) if is_head => drop(response.stream_of(bytes, proto::reader(io::empty()))),
        None if is_head => drop(response.stream(proto::reader(io::empty()))),
        Some(bytes) => drop(response.stream_of(bytes, announced(body, bytes))),
        None => drop(response.stream(proto::reader(body))),
    }
    Ok(())
}

/// Appends what one read returns.
fn read_into(bytes: &mut Vec<u8>, from: &mut impl Read) -> io::Result<usize> {
    let mut piece = [0; 4 << 10];
    let read = read_once(from, &mut piece)?;
    bytes.extend_from_slice(&piece[..read]);
    Ok(read)
}

/// Reads once, whatever signals come.
fn read_once(from: &mut impl Read, to: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(to) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// A body of `bytes` bytes. Its last piece is held back until the script has ended as it should: one that
/// fails at the end, or writes more than it has announced, must not pass for one that is right.
fn announced(
    mut body: impl Read + Send + 'static,
    bytes: u64,
) -> impl FnMut(&mut Piece<'_>) -> io::Result<Pull> + Send + 'static {
    let mut left = bytes;
    move |piece| {
        let room = usize::try_from(left).unwrap_or(usize::MAX);
        let mut read = vec![0; piece.room().max(1).min(room)];
        if left > 0 {
            let bytes = read_once(&mut body, &mut read)?;
            if bytes == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            left -= bytes as u64;
            read.truncate(bytes);
        }
        if left == 0 && read_once(&mut body, &mut [0])? > 0 {
            return Err(nonsense("more than it has announced"));
        }
        piece.push(&read);
        Ok(if left == 0 { Pull::End } else { Pull::More })
    }
}

/// Where the body begins: behind an empty line, with or without CR.
fn head_end(head: &[u8]) -> Option<usize> {
    (0..head.len()).find_map(|at| match &head[at..] {
        [b'\n', b'\n', ..] => Some(at + 2),
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}
