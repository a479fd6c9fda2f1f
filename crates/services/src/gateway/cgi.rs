//! What CGI/1.1 (RFC 3875) has in common with FastCGI: the variables, and the form of a reply.

use std::io::{self, Cursor, Read};

use proto::{Method, Request, Response};

use super::nonsense;
use super::wire::{ends_here, length, pass_fields, read_once};

/// Most bytes of the fields of a reply.
const HEAD_BYTES_MAX: usize = 64 << 10;

pub fn method(request: &Request<'_>) -> String {
    match request.method {
        Method::Other(name) => name.to_owned(),
        known => format!("{known:?}").to_ascii_uppercase(),
    }
}

/// The variables of RFC 3875 section 4.1 that do not depend on the script. The address of the client is
/// not known to a service, so there is no `REMOTE_ADDR`.
pub fn variables(request: &Request<'_>) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = Vec::with_capacity(24);
    let text = |bytes: Option<&[u8]>| bytes.unwrap_or_default().to_vec();
    let host = text(request.field("host"));
    let colon = host.iter().rposition(|&byte| byte == b':');
    let (name, port) = match colon {
        Some(at) if host[at + 1..].iter().all(u8::is_ascii_digit) => (&host[..at], &host[at + 1..]),
        _ => (&host[..], &b"80"[..]),
    };
    let query = request.query.unwrap_or_default();
    let uri = match request.query {
        Some(query) => format!("{}?{query}", request.path),
        None => request.path.to_owned(),
    };
    for (name, value) in [
        ("GATEWAY_INTERFACE", b"CGI/1.1".to_vec()),
        ("SERVER_SOFTWARE", b"turnstile".to_vec()),
        (
            "SERVER_PROTOCOL",
            format!("HTTP/1.{}", request.minor_version).into_bytes(),
        ),
        ("SERVER_NAME", name.to_vec()),
        ("SERVER_PORT", port.to_vec()),
        ("REQUEST_METHOD", method(request).into_bytes()),
        ("REQUEST_URI", uri.into_bytes()),
        ("QUERY_STRING", query.as_bytes().to_vec()),
        ("CONTENT_TYPE", text(request.field("content-type"))),
    ] {
        all.push((name.to_owned(), value));
    }
    if !request.body.is_empty() {
        all.push((
            "CONTENT_LENGTH".to_owned(),
            request.body.len().to_string().into_bytes(),
        ));
    }
    for (name, value) in request.fields() {
        // `Proxy` would become HTTP_PROXY, which libraries believe (CVE-2016-5385). A name with `_` could
        // pass for one with `-`.
        let own = ["proxy", "content-type", "content-length", "authorization"];
        if own.iter().any(|own| own.eq_ignore_ascii_case(name)) || name.contains('_') {
            continue;
        }
        let name = format!("HTTP_{}", name.to_ascii_uppercase().replace('-', "_"));
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => {
                known.extend_from_slice(b", ");
                known.extend_from_slice(value);
            }
            None => all.push((name, value.to_vec())),
        }
    }
    all
}

/// Reads the fields of a reply (RFC 3875 section 6.3), and has the session send the rest as it comes.
///
/// # Errors
/// The script has failed, or what it says is no reply.
pub fn reply(
    mut from: impl Read + Send + 'static,
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
        let mut piece = [0; 4 << 10];
        match read_once(&mut from, &mut piece)? {
            0 => return Err(nonsense("an end inside its fields")),
            bytes => head.extend_from_slice(&piece[..bytes]),
        }
    };
    let rest = head.split_off(end);
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
    let body = Cursor::new(rest).chain(from);
    match bytes {
        Some(bytes) => drop(response.reader(Box::new(body), bytes)),
        None if request.method == Method::Head => drop(response.stream(proto::reader(io::empty()))),
        None => drop(response.stream(proto::reader(body))),
    }
    Ok(())
}

/// Where the body begins: behind an empty line, with or without CR.
fn head_end(head: &[u8]) -> Option<usize> {
    (0..head.len()).find_map(|at| match &head[at..] {
        [b'\n', b'\n', ..] => Some(at + 2),
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}
