//! Learning a class from a running service at a low load.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::refused::{Refused, failed, unusable};

/// Requests that are sent, one after the other.
const REQUESTS: u32 = 200;
/// The most time for all of them.
const WITHIN: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_secs(10);
const BYTES_MAX: u64 = 64 << 20;

/// What of a response is neither CPU nor run delay is blocked time and the waking of the server and of this
/// client, each on a core that sleeps. That takes tens of microseconds and differs from run to run, so that
/// less than this cannot be told from it.
const BLOCKED_US_MIN: f64 = 100.0;

/// CPU and run delay of a process, ns.
#[derive(Clone, Copy, Default)]
struct Used {
    cpu_ns: u64,
    delay_ns: u64,
}

/// Asks `url` again and again on one connection, and gives a workload of what a request took.
///
/// The CPU of the process and the time that its threads waited for a core come from the scheduler
/// (`/proc/PID/task/*/schedstat`); the rest of the response is blocked time.
pub(super) fn learn(url: &str, pid: Option<u32>) -> Result<String, Refused> {
    let bad = || unusable(format!("--learn {url}: it must be http://HOST:PORT/PATH"));
    let rest = url.strip_prefix("http://").ok_or_else(bad)?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    if !plain(host) || !plain(path) {
        return Err(bad());
    }
    let named = match host.contains(':') {
        true => host.to_owned(),
        false => format!("{host}:80"),
    };
    let unreachable = |error: std::io::Error| failed(format!("--learn {url}: {error}"));
    let address = named
        .to_socket_addrs()
        .map_err(unreachable)?
        .next()
        .ok_or_else(bad)?;
    let stream = TcpStream::connect_timeout(&address, TIMEOUT).map_err(unreachable)?;
    stream
        .set_read_timeout(Some(TIMEOUT))
        .map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    let mut client = Client {
        writer: stream.try_clone().map_err(unreachable)?,
        reader: BufReader::new(stream),
        head: format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    };
    client
        .ask()
        .map_err(|line| failed(format!("--learn {url}: {line}")))?;
    let before = pid.map(used).transpose()?;
    let (begun, mut wall, mut bytes, mut many) = (Instant::now(), Duration::ZERO, 0, 0);
    while many < REQUESTS && begun.elapsed() < WITHIN {
        let sent = Instant::now();
        bytes += client
            .ask()
            .map_err(|line| failed(format!("--learn {url}: after {many} requests, {line}")))?;
        wall += sent.elapsed();
        many += 1;
    }
    let after = pid.map(used).transpose()?;
    let per = |us: f64| us / f64::from(many.max(1));
    let wall_us = per(wall.as_secs_f64() * 1e6);
    let (cpu_us, delay_us) = match (before, after) {
        (Some(before), Some(after)) => (
            per(after.cpu_ns.saturating_sub(before.cpu_ns) as f64 / 1e3),
            per(after.delay_ns.saturating_sub(before.delay_ns) as f64 / 1e3),
        ),
        _ => (0.0, 0.0),
    };
    let rest_us = (wall_us - cpu_us - delay_us).max(0.0);
    let mut text = format!("# Learned from {many} requests to {url}, one after the other\n");
    let blocked_us = if rest_us < BLOCKED_US_MIN {
        let _ = writeln!(
            text,
            "# {rest_us:.1} us of a response were not computed: less than {BLOCKED_US_MIN} us cannot be told from waking two threads, and does not count as blocked"
        );
        0.0
    } else {
        rest_us
    };
    // The load is not learned: a flag says it. Writing to a string cannot fail.
    let _ = write!(
        text,
        "rate = 100\n\n[[class]]\nname = \"learned\"\ncpu_us = {cpu_us:.1}\nblocked_us = {blocked_us:.1}\nreply_bytes = {}\n",
        bytes / u64::from(many.max(1))
    );
    Ok(text)
}

fn used(pid: u32) -> Result<Used, Refused> {
    let gone = |error: std::io::Error| failed(format!("--learn-pid {pid}: {error}"));
    let mut total = Used::default();
    for task in fs::read_dir(format!("/proc/{pid}/task")).map_err(gone)? {
        // A thread that has ended meanwhile has no file any more.
        let Ok(text) = fs::read_to_string(task.map_err(gone)?.path().join("schedstat")) else {
            continue;
        };
        let mut numbers = text
            .split_whitespace()
            .filter_map(|n| n.parse::<u64>().ok());
        total.cpu_ns += numbers.next().unwrap_or(0);
        total.delay_ns += numbers.next().unwrap_or(0);
    }
    Ok(total)
}

struct Client {
    writer: TcpStream,
    reader: BufReader<TcpStream>,
    head: String,
}

impl Client {
    /// Sends the request and reads the reply: bytes of its body.
    fn ask(&mut self) -> Result<u64, String> {
        let io = |error: std::io::Error| error.to_string();
        self.writer.write_all(self.head.as_bytes()).map_err(io)?;
        let mut line = String::new();
        let mut head = (&mut self.reader).take(64 << 10);
        head.read_line(&mut line).map_err(io)?;
        let status = line.split(' ').nth(1).and_then(|s| s.parse::<u16>().ok());
        let status = status.ok_or("the reply is no HTTP")?;
        if !(200..300).contains(&status) {
            return Err(format!(
                "it answers with status {status}: nothing is learned from errors"
            ));
        }
        let mut length = None;
        loop {
            line.clear();
            if head.read_line(&mut line).map_err(io)? == 0 {
                return Err("the reply ends within its head".into());
            }
            if line.trim_end().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse::<u64>().ok();
            }
        }
        let length = length.filter(|&n| n <= BYTES_MAX);
        let length = length.ok_or("the reply has no Content-Length, or more than 64 MiB")?;
        let read = std::io::copy(&mut (&mut self.reader).take(length), &mut std::io::sink());
        if read.map_err(io)? < length {
            return Err("the reply ends early".into());
        }
        Ok(length)
    }
}
