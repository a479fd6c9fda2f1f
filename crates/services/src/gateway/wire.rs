//! Connections to back ends, and fields as they pass a hop.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use proto::Response;

use super::nonsense;

/// A connection to a back end, on which every wait has an end.
#[derive(Debug)]
pub enum Wire {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Wire {
    /// Connects to `HOST:PORT` or `unix:/path`, trying all addresses of the host.
    pub fn connect(addr: &str, patience: Duration) -> io::Result<Wire> {
        let timeout = Some(patience);
        if let Some(path) = addr.strip_prefix("unix:") {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(timeout)?;
            stream.set_write_timeout(timeout)?;
            return Ok(Wire::Unix(stream));
        }
        let mut failed = io::Error::new(ErrorKind::NotFound, "no address");
        for addr in addr.to_socket_addrs()? {
            match TcpStream::connect_timeout(&addr, patience) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(timeout)?;
                    stream.set_write_timeout(timeout)?;
                    return Ok(Wire::Tcp(stream));
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Whether an idle connection is still of use: neither closed nor with bytes that nobody asked for.
    pub fn is_quiet(&self) -> bool {
        let Wire::Tcp(stream) = self else {
            return false;
        };
        let waits = |stream: &TcpStream| matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        stream.set_nonblocking(true).is_ok()
            && waits(stream)
            && stream.set_nonblocking(false).is_ok()
    }
}

impl Read for Wire {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Tcp(stream) => stream.read(to),
            Wire::Unix(stream) => stream.read(to),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Tcp(stream) => stream.write(bytes),
            Wire::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads once, whatever signals come.
pub fn read_once(from: &mut impl Read, to: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(to) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Fields that hold for one hop only (RFC 9110 section 7.6.1), and those that the session writes itself.
const OF_A_HOP: [&str; 12] = [
    "connection",
    "proxy-connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "proxy-authenticate",
    "proxy-authorization",
    "date",
    "server",
];

/// Whether a field ends at this hop, by its name or because `Connection` names it.
pub fn ends_here(name: &str, connection: &str) -> bool {
    OF_A_HOP.iter().any(|own| own.eq_ignore_ascii_case(name))
        || connection
            .split(',')
            .any(|named| named.trim().eq_ignore_ascii_case(name))
}

/// Adds the fields of the back end, all or none.
///
/// # Errors
/// One of them would corrupt the head.
pub fn pass_fields(response: &mut Response<'_>, fields: &[(&str, &[u8])]) -> io::Result<()> {
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let mut texts = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let value = str::from_utf8(value.trim_ascii());
        let value = value.map_err(|_| nonsense("a field that is no text"))?;
        let clean = !value
            .bytes()
            .any(|byte| byte.is_ascii_control() && byte != b'\t');
        if name.is_empty() || !name.bytes().all(named) || !clean {
            return Err(nonsense("a malformed field"));
        }
        texts.push((name, value));
    }
    for (name, value) in texts {
        response.field(name, value);
    }
    Ok(())
}

/// `Content-Length` as a number.
///
/// # Errors
/// It is none.
pub fn length(value: &[u8]) -> io::Result<u64> {
    let text = str::from_utf8(value.trim_ascii()).unwrap_or_default();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or_else(|| nonsense("a malformed Content-Length"))
}
