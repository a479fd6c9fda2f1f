//! A client that sends bytes in any pieces, and takes nothing in a reply on trust.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::PATIENCE;

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    /// Received and not yet looked at.
    input: Vec<u8>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// One reply, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    /// Value of the only field called `name`.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut found = self
            .fields
            .iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name));
        let value = found.next().map(|(_, value)| value.as_str());
        if found.next().is_some() { None } else { value }
    }

    /// Whether it announces the end of the connection.
    pub fn closes(&self) -> bool {
        self.field("connection") == Some("close")
    }

    /// Expects this status.
    pub fn expect(self, status: u16) -> anyhow::Result<Reply> {
        ensure!(self.status == status, "{status} expected, not {self}");
        Ok(self)
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(80)]);
        write!(f, "{} {:?} {body:?}", self.status, self.fields)
    }
}

impl Client {
    /// Connects to an address as the server prints it.
    pub fn connect(addr: &str) -> anyhow::Result<Client> {
        let stream = match addr.strip_prefix("unix:") {
            Some(path) => Stream::Unix(UnixStream::connect(path)?),
            None => {
                let stream = TcpStream::connect(addr).with_context(|| format!("connect {addr}"))?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
        };
        Client::over(stream)
    }

    /// The same from `source`, an address of this machine, as another client.
    pub fn connect_from(source: [u8; 4], addr: &str) -> anyhow::Result<Client> {
        use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
        let to: std::net::SocketAddr = addr.parse()?;
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&socket, &std::net::SocketAddr::from((source, 0)))?;
        connect(&socket, &to).with_context(|| format!("connect {addr}"))?;
        Client::over(Stream::Tcp(TcpStream::from(socket)))
    }

    fn over(stream: Stream) -> anyhow::Result<Client> {
        let client = Client {
            stream,
            input: Vec::new(),
        };
        client.wait_at_most(PATIENCE)?;
        Ok(client)
    }

    fn wait_at_most(&self, timeout: Duration) -> std::io::Result<()> {
        let timeout = Some(timeout.max(Duration::from_millis(1)));
        match &self.stream {
            Stream::Tcp(stream) => stream
                .set_read_timeout(timeout)
                .and(stream.set_write_timeout(timeout)),
            Stream::Unix(stream) => stream
                .set_read_timeout(timeout)
                .and(stream.set_write_timeout(timeout)),
        }
    }

    /// Sends all of it in one write, if the kernel takes it so.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> anyhow::Result<()> {
        let sent = match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes.as_ref()),
            Stream::Unix(stream) => stream.write_all(bytes.as_ref()),
        };
        sent.context("send")
    }

    /// Its own port.
    pub fn port(&self) -> anyhow::Result<u16> {
        match &self.stream {
            Stream::Tcp(stream) => Ok(stream.local_addr()?.port()),
            Stream::Unix(_) => bail!("a Unix socket has no port"),
        }
    }

    /// `GET` on a persistent connection.
    pub fn get(&mut self, path: &str) -> anyhow::Result<Reply> {
        self.ask(path)?;
        self.reply().with_context(|| format!("GET {path}"))
    }

    /// Sends a `GET` and waits for nothing.
    pub fn ask(&mut self, path: &str) -> anyhow::Result<()> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n"))
    }

    /// FIN: nothing more will be sent.
    pub fn finish_writing(&self) -> anyhow::Result<()> {
        match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write)?,
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write)?,
        }
        Ok(())
    }

    /// Ends the connection with a reset.
    pub fn reset(self) -> anyhow::Result<()> {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO))?;
        Ok(())
    }

    /// Takes in little ahead of what is read.
    pub fn buffer_little(&self) -> anyhow::Result<()> {
        Ok(rustix::net::sockopt::set_socket_recv_buffer_size(
            &self.stream,
            64 << 10,
        )?)
    }

    /// One receive: how many bytes came, 0 for FIN.
    fn receive(&mut self) -> std::io::Result<usize> {
        let mut piece = [0; 64 << 10];
        let bytes = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(&mut piece)?,
            Stream::Unix(stream) => stream.read(&mut piece)?,
        };
        self.input.extend_from_slice(&piece[..bytes]);
        Ok(bytes)
    }

    fn receive_more(&mut self, what: &str) -> anyhow::Result<()> {
        match self.receive() {
            Ok(0) => bail!("FIN inside {what}, after {} bytes of it", self.input.len()),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                bail!("no {what} within {PATIENCE:?}")
            }
            Err(error) => bail!(
                "{error} inside {what}, after {} bytes of it",
                self.input.len()
            ),
        }
    }

    /// The reply to anything but HEAD.
    pub fn reply(&mut self) -> anyhow::Result<Reply> {
        let (mut reply, length) = self.reply_head()?;
        reply.body = match reply.field("transfer-encoding") {
            Some(_) => self.chunks()?,
            None => self.bytes(length)?,
        };
        Ok(reply)
    }

    /// The chunks of a body, up to the last one (RFC 9112 section 7.1).
    fn chunks(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut body = Vec::new();
        while let chunk = self.chunk()?
            && !chunk.is_empty()
        {
            body.extend(chunk);
        }
        Ok(body)
    }

    /// One chunk; the last one is empty.
    pub fn chunk(&mut self) -> anyhow::Result<Vec<u8>> {
        let end = loop {
            if let Some(at) = self.input.windows(2).position(|two| two == b"\r\n") {
                break at;
            }
            self.receive_more("the size of a chunk")?;
        };
        let line = self.bytes(end + 2)?;
        let digits = str::from_utf8(&line[..end])?;
        ensure!(
            digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "chunk size {digits:?}"
        );
        let mut chunk = self.bytes(usize::from_str_radix(digits, 16)? + 2)?;
        ensure!(chunk.ends_with(b"\r\n"), "a chunk's end");
        chunk.truncate(chunk.len() - 2);
        Ok(chunk)
    }

    /// The reply to HEAD, with the length that the body would have had.
    pub fn reply_to_head(&mut self) -> anyhow::Result<(Reply, usize)> {
        self.reply_head()
    }

    /// Exactly this many bytes.
    pub fn bytes(&mut self, count: usize) -> anyhow::Result<Vec<u8>> {
        while self.input.len() < count {
            self.receive_more("a body")?;
        }
        let rest = self.input.split_off(count);
        Ok(std::mem::replace(&mut self.input, rest))
    }

    /// Everything up to FIN.
    pub fn rest(&mut self) -> anyhow::Result<Vec<u8>> {
        loop {
            match self.receive() {
                Ok(0) => return Ok(std::mem::take(&mut self.input)),
                Ok(_) => {}
                Err(error) => bail!("{error} instead of FIN, after {} bytes", self.input.len()),
            }
        }
    }

    /// Reads until the connection ends in whatever way, and says how many bytes came.
    pub fn hear_out(&mut self) -> anyhow::Result<usize> {
        let mut count = std::mem::take(&mut self.input).len();
        loop {
            match self.receive() {
                Ok(0) => return Ok(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => bail!("it is still open"),
                Err(_) => return Ok(count),
                Ok(bytes) => count += bytes,
            }
            self.input.clear();
        }
    }

    /// FIN, and not a byte before it.
    pub fn end(&mut self) -> anyhow::Result<()> {
        let rest = self.rest()?;
        ensure!(
            rest.is_empty(),
            "FIN expected, not {:?}",
            String::from_utf8_lossy(&rest[..rest.len().min(200)])
        );
        Ok(())
    }

    /// Whether nothing comes for so long; what does come is kept for later.
    pub fn hears_nothing(&mut self, time: Duration) -> anyhow::Result<bool> {
        self.wait_at_most(time)?;
        let nothing = match self.receive() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => true,
            Ok(bytes) if bytes > 0 => false,
            ended => bail!("the connection ends: {ended:?}"),
        };
        self.wait_at_most(PATIENCE)?;
        Ok(nothing)
    }

    /// Nothing comes for so long, neither bytes nor FIN.
    pub fn silence(&mut self, time: Duration) -> anyhow::Result<()> {
        ensure!(self.input.is_empty(), "{} bytes too many", self.input.len());
        let end = Instant::now() + time;
        while let left = end.saturating_duration_since(Instant::now())
            && left > Duration::ZERO
        {
            self.wait_at_most(left)?;
            match self.receive() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(0) => bail!("FIN within {time:?}"),
                Ok(_) => bail!("unexpected: {:?}", String::from_utf8_lossy(&self.input)),
                Err(error) => bail!("{error} within {time:?}"),
            }
        }
        Ok(self.wait_at_most(PATIENCE)?)
    }

    /// Reads a status line and fields; returns the length of the body that follows.
    fn reply_head(&mut self) -> anyhow::Result<(Reply, usize)> {
        let end = loop {
            if let Some(at) = self.input.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            ensure!(self.input.len() < 64 << 10, "a head without end");
            self.receive_more("a reply's head")?;
        };
        let rest = self.input.split_off(end);
        let head = String::from_utf8(std::mem::replace(&mut self.input, rest))?;
        parse_head(&head).with_context(|| format!("reply {head:?}"))
    }
}

/// RFC 9112 sections 4 and 5, and what this server promises beyond.
fn parse_head(head: &str) -> anyhow::Result<(Reply, usize)> {
    let lines: Vec<_> = head.trim_end_matches("\r\n").split("\r\n").collect();
    let status = lines[0].strip_prefix("HTTP/1.1 ").context("version")?;
    let (status, reason) = status.split_once(' ').context("a reason's space")?;
    ensure!(
        !head.replace("\r\n", "").contains(['\r', '\n']),
        "bare line ends"
    );
    ensure!(status.len() == 3 && !reason.is_empty(), "status line");
    let status: u16 = status.parse()?;
    let mut fields = Vec::new();
    for line in &lines[1..] {
        let (name, value) = line
            .split_once(": ")
            .with_context(|| format!("field {line:?}"))?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        ensure!(name.bytes().all(is_name), "field name {name:?}");
        fields.push((name.to_owned(), value.to_owned()));
    }
    let reply = Reply {
        status,
        fields,
        body: Vec::new(),
    };
    let length = reply.field("content-length");
    if status < 200 || status == 204 || status == 304 {
        ensure!(length.is_none(), "a body that cannot be");
        return Ok((reply, 0));
    }
    ensure!(
        reply.field("date").is_some_and(|date| date.len() == 29),
        "Date"
    );
    if let Some(coding) = reply.field("transfer-encoding") {
        ensure!(coding == "chunked" && length.is_none(), "coding");
        ensure!(reply.field("content-type").is_some(), "type");
        return Ok((reply, 0));
    }
    let length = length.context("exactly one Content-Length")?;
    ensure!(length.bytes().all(|byte| byte.is_ascii_digit()), "length");
    let length = length.parse()?;
    ensure!(length == 0 || reply.field("content-type").is_some(), "type");
    Ok((reply, length))
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}
