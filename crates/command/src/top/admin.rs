//! Reading `/metrics` of an admin address.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::page::Page;

/// An admin address, as users write it.
#[derive(Debug, Clone)]
pub enum Admin {
    /// A host and a port.
    Tcp(String),
    /// The path of a Unix socket, or `@name` for an abstract one.
    Unix(PathBuf),
}

/// The largest page that is read, bytes: a line for each of ten thousand workers is smaller.
const PAGE_BYTES_MAX: u64 = 32 << 20;

/// Why there is no page.
#[derive(Debug)]
pub enum Failure {
    /// No server listens there, or it has gone.
    Gone(String),
    /// A server listens and does not answer in time.
    Silent,
    /// What answers is no admin server of Turnstile.
    Foreign(String),
}

impl FromStr for Admin {
    type Err = String;

    fn from_str(text: &str) -> Result<Admin, String> {
        let wrong = || format!("{text:?} is not HOST:PORT, [IPV6]:PORT, :PORT or unix:/path");
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" | "@" => Err(wrong()),
                path => Ok(Admin::Unix(path.into())),
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        port.parse::<u16>().map_err(|_| wrong())?;
        let is_bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        match host {
            "fd" => Err("fd:N is of another process: give the address that it has".into()),
            "" => Ok(Admin::Tcp(format!("localhost:{port}"))),
            _ if is_bare_v6 => Err(wrong()),
            _ => Ok(Admin::Tcp(text.to_owned())),
        }
    }
}

impl fmt::Display for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Admin::Tcp(text) => f.write_str(text),
            Admin::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Failure {
    /// The line for an address that was never read.
    pub fn at(&self, addr: &Admin) -> String {
        match self {
            Failure::Gone(why) => format!("cannot reach {addr}: {why}"),
            Failure::Silent => format!("{addr} does not answer"),
            Failure::Foreign(what) => {
                format!("{addr} is not the --admin address of a Turnstile server: {what}")
            }
        }
    }

    /// The line for an address that was read before.
    pub fn since(&self, addr: &Admin) -> String {
        match self {
            Failure::Gone(why) => format!("the server at {addr} has ended: {why}"),
            Failure::Silent => format!("the server at {addr} does not answer any more"),
            Failure::Foreign(what) => format!("another server is at {addr} now: {what}"),
        }
    }

    fn of(error: &std::io::Error) -> Failure {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Failure::Silent,
            ErrorKind::NotFound => Failure::Gone("there is no such socket".into()),
            ErrorKind::ConnectionRefused => Failure::Gone("no server listens there".into()),
            ErrorKind::PermissionDenied => Failure::Gone("permission denied".into()),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => {
                Failure::Gone("it has closed the connection".into())
            }
            _ => Failure::Gone(error.to_string()),
        }
    }
}

/// A connection of either kind.
trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

impl Admin {
    /// Gets the page. Everything together takes `patience` at most.
    pub fn read(&self, patience: Duration) -> Result<Page, Failure> {
        let until = Instant::now() + patience;
        let mut stream = self.connect(until).map_err(|error| Failure::of(&error))?;
        let at = Instant::now();
        let text = exchange(&mut *stream, until)?;
        let (head, body) = split(&text)?;
        let status = head.lines().next().unwrap_or_default();
        if status.split(' ').nth(1) != Some("200") {
            return Err(Failure::Foreign(format!(
                "it answers GET /metrics with {status:?}"
            )));
        }
        match Page::parse(body, at) {
            Some(page) if page.is_ours() => Ok(page),
            Some(_) => Err(Failure::Foreign(
                "its metrics are those of another program".into(),
            )),
            None => Err(Failure::Foreign("its /metrics has another format".into())),
        }
    }

    /// Tries every address that a name has.
    fn connect(&self, until: Instant) -> std::io::Result<Box<dyn Stream>> {
        let left = || {
            let left = until.saturating_duration_since(Instant::now());
            left.max(Duration::from_millis(1))
        };
        match self {
            Admin::Unix(path) => {
                let name = path.to_str().and_then(|path| path.strip_prefix('@'));
                let stream = match name {
                    Some(name) => UnixStream::connect_addr(
                        &std::os::unix::net::SocketAddr::from_abstract_name(name)?,
                    )?,
                    None => UnixStream::connect(path)?,
                };
                stream.set_read_timeout(Some(left()))?;
                stream.set_write_timeout(Some(left()))?;
                Ok(Box::new(stream))
            }
            Admin::Tcp(text) => {
                let addrs: Vec<SocketAddr> = text.to_socket_addrs()?.collect();
                let mut last = std::io::Error::other("the name has no address");
                for addr in addrs {
                    match TcpStream::connect_timeout(&addr, left()) {
                        Ok(stream) => {
                            stream.set_read_timeout(Some(left()))?;
                            stream.set_write_timeout(Some(left()))?;
                            return Ok(Box::new(stream));
                        }
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
        }
    }
}

/// Asks, and reads to the end of the connection.
fn exchange(stream: &mut dyn Stream, until: Instant) -> Result<Vec<u8>, Failure> {
    let ask = b"GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n";
    stream.write_all(ask).map_err(|error| Failure::of(&error))?;
    let (mut all, mut piece) = (Vec::new(), [0; 16 << 10]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Ok(all),
            Ok(bytes) => all.extend_from_slice(&piece[..bytes]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::of(&error)),
        }
        if Instant::now() >= until {
            return Err(Failure::Silent); // A timeout of each read alone would never be over.
        }
        if all.len() as u64 > PAGE_BYTES_MAX {
            return Err(Failure::Foreign("it answers without end".into()));
        }
    }
}

/// Head and body of a reply.
fn split(reply: &[u8]) -> Result<(&str, &str), Failure> {
    if reply.is_empty() {
        return Err(Failure::Gone("it has closed the connection".into()));
    }
    let foreign = || Failure::Foreign("it does not speak HTTP".into());
    let end = reply.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end
        .filter(|_| reply.starts_with(b"HTTP/1."))
        .ok_or_else(foreign)?;
    let head = std::str::from_utf8(&reply[..end]).map_err(|_| foreign())?;
    let body = std::str::from_utf8(&reply[end + 4..]).map_err(|_| foreign())?;
    // A server that ends in the middle of a page.
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    if length.is_some_and(|length| length != body.len()) {
        return Err(Failure::Gone("it has closed the connection".into()));
    }
    Ok((head, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_admin() {
        for (text, shown) in [
            ("127.0.0.1:9", "127.0.0.1:9"),
            ("[::1]:9", "[::1]:9"),
            (":9", "localhost:9"),
            ("name:9", "name:9"),
            ("unix:/a/b", "unix:/a/b"),
            ("unix:@a", "unix:@a"),
        ] {
            let parsed: Admin = text.parse().expect(text);
            assert_eq!(parsed.to_string(), shown);
        }
        for text in [
            "", "9", "name", "name:x", "::1:9", "unix:", "fd:3", "a:99999",
        ] {
            assert!(text.parse::<Admin>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_reply_is_told_from_half_of_one() {
        assert!(matches!(split(b"SSH-2.0\r\n"), Err(Failure::Foreign(_))));
        assert!(matches!(split(b""), Err(Failure::Gone(_))));
        let half = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc";
        assert!(matches!(split(half), Err(Failure::Gone(_))));
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc";
        assert_eq!(split(whole).expect("whole").1, "abc");
    }
}
