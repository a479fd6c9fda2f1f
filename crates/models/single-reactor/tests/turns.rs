//! No variant loses an event, and none starves a connection.
//!
//! A loop whose selector reports changes stalls if it stops before it has received everything, and
//! starves other connections if it goes on until it has. Buffers and batches are as small as they
//! can be, so that every turn ends early.

use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const VARIANTS: &[&str] = &["epoll", "epoll-edge", "poll", "select", "busy"];

/// Below every deadline of the server, so that a stall is not ended by one.
const PATIENCE: Duration = Duration::from_secs(4);

/// Turns end after 64 bytes received, 4096 sent, and one connection accepted.
const SHORT_TURNS: &[&str] = &[
    "--input-bytes=64",
    "--turn-bytes-max=4096",
    "--events-max=1",
];

/// A running server, killed when dropped.
struct Running {
    process: Child,
    addr: String,
}

impl Running {
    fn start(variant: &str, flags: &[&str]) -> Result<Running> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_single-reactor"))
            .args(["--listen=127.0.0.1:0", "--variant", variant])
            .arg("--queue-delay-ms=0")
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let stdout = process.stdout.take();
        BufReader::new(stdout.ok_or(Error::other("piped"))?).read_line(&mut line)?;
        let addr = line.trim().strip_prefix("listening on ");
        let addr = addr.ok_or(Error::other(format!("ready with {line:?}")))?;
        Ok(Running {
            process,
            addr: addr.to_owned(),
        })
    }

    fn connect(&self) -> Result<TcpStream> {
        let client = TcpStream::connect(&self.addr)?;
        client.set_read_timeout(Some(PATIENCE))?;
        client.set_write_timeout(Some(PATIENCE))?;
        Ok(client)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

/// Reads one reply and returns its body.
fn reply(client: &mut impl BufRead) -> Result<Vec<u8>> {
    let (mut line, mut length) = (String::new(), 0);
    client.read_line(&mut line)?;
    if !line.starts_with("HTTP/1.1 200") {
        return Err(Error::other(format!("answered {line:?}")));
    }
    while line != "\r\n" {
        line.clear();
        client.read_line(&mut line)?;
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().map_err(Error::other)?;
        }
    }
    let mut body = vec![0; length];
    client.read_exact(&mut body)?;
    Ok(body)
}

/// Runs `test` against every variant, and says which failed.
fn each(flags: &[&str], test: impl Fn(&Running) -> Result<()>) {
    for variant in VARIANTS {
        let tested = Running::start(variant, flags).and_then(|server| test(&server));
        assert!(tested.is_ok(), "{variant}: {tested:?}");
    }
}

#[test]
fn pipelined_requests_beyond_a_turn_are_all_answered() {
    each(SHORT_TURNS, |server| {
        let client = server.connect()?;
        // 64 divides it: the last receive fills its buffer, and nothing is behind it.
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "a".repeat(32));
        assert_eq!(request.len(), 64);
        (&client).write_all(request.repeat(300).as_bytes())?;
        let mut replies = BufReader::new(&client);
        (0..300).try_for_each(|_| reply(&mut replies).map(drop))?;
        // And the connection still serves what comes later.
        (&client).write_all(request.as_bytes())?;
        reply(&mut replies).map(drop)
    });
}

#[test]
fn a_body_and_a_reply_beyond_a_turn_arrive() {
    each(SHORT_TURNS, |server| {
        let client = server.connect()?;
        let body: Vec<_> = (0..300_000u32).map(|byte| byte as u8).collect();
        let head = format!(
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        (&client).write_all(&[head.as_bytes(), &body].concat())?;
        let mut replies = BufReader::new(&client);
        assert_eq!(reply(&mut replies)?, body);
        // The request comes while the reply before fills the socket: the event is there before the
        // loop wants to read.
        (&client).write_all(request("/bytes/8000000").as_bytes())?;
        (&client).write_all(request("/bytes/7").as_bytes())?;
        assert_eq!(reply(&mut replies)?.len(), 8_000_000);
        assert_eq!(reply(&mut replies)?.len(), 7);
        Ok(())
    });
}

#[test]
fn what_comes_during_a_wait_is_answered_after_it() {
    each(&[], |server| {
        let client = server.connect()?;
        let mut replies = BufReader::new(&client);
        (&client).write_all(request("/wait/100000").as_bytes())?;
        // The reply to another client shows that the wait has begun: this loop has one thread.
        let other = server.connect()?;
        (&other).write_all(request("/").as_bytes())?;
        reply(&mut BufReader::new(&other))?;
        (&client).write_all(request("/bytes/5").as_bytes())?;
        reply(&mut replies)?;
        assert_eq!(reply(&mut replies)?.len(), 5);
        Ok(())
    });
}

#[test]
fn a_fin_right_behind_a_request_ends_the_connection() {
    each(&[], |server| {
        for path in ["/", "/wait/1000", "/bytes/3000000"] {
            let client = server.connect()?;
            (&client).write_all(request(path).as_bytes())?;
            client.shutdown(Shutdown::Write)?;
            let mut replies = BufReader::new(&client);
            reply(&mut replies)?;
            assert_eq!(replies.read(&mut [0; 16])?, 0, "closed after the answer");
        }
        Ok(())
    });
}

#[test]
fn a_fin_that_comes_with_a_request_is_not_overlooked() {
    each(&[], |server| {
        let client = server.connect()?;
        let mut replies = BufReader::new(&client);
        (&client).write_all(request("/").as_bytes())?;
        reply(&mut replies)?;
        // This blocks the only thread, so that request and FIN are one event when it waits again.
        let other = server.connect()?;
        (&other).write_all(request("/").as_bytes())?;
        let mut others = BufReader::new(&other);
        reply(&mut others)?;
        (&other).write_all(request("/sleep/100000").as_bytes())?;
        (&client).write_all(request("/").as_bytes())?;
        client.shutdown(Shutdown::Write)?;
        reply(&mut others)?;
        reply(&mut replies)?;
        assert_eq!(replies.read(&mut [0; 16])?, 0, "closed after the answer");
        Ok(())
    });
}

#[test]
fn many_clients_are_accepted_one_by_one() {
    each(SHORT_TURNS, |server| {
        let clients: Vec<_> = (0..200).map(|_| server.connect()).collect::<Result<_>>()?;
        for mut client in &clients {
            client.write_all(request("/").as_bytes())?;
        }
        clients
            .iter()
            .try_for_each(|client| reply(&mut BufReader::new(client)).map(drop))
    });
}

#[test]
fn a_client_in_the_backlog_is_accepted_when_another_ends() {
    each(&["--connections-max=2"], |server| {
        let mut accepted = vec![server.connect()?, server.connect()?];
        for mut client in &accepted {
            client.write_all(request("/").as_bytes())?;
            reply(&mut BufReader::new(client))?;
        }
        let waiting = server.connect()?;
        (&waiting).write_all(request("/bytes/3").as_bytes())?;
        waiting.set_read_timeout(Some(Duration::from_millis(200)))?;
        let early = reply(&mut BufReader::new(&waiting));
        assert!(early.is_err(), "the server was full");
        waiting.set_read_timeout(Some(PATIENCE))?;
        accepted.pop();
        assert_eq!(reply(&mut BufReader::new(&waiting))?.len(), 3);
        Ok(())
    });
}

/// One client has sent thousands of requests when another sends one. The loop, which was busy,
/// finds both: it serves what one turn takes of the first, and then the other.
#[test]
fn thousands_of_requests_have_one_turn_at_a_time() {
    const TURN_BYTES: usize = 4096;
    each(&[&format!("--input-bytes={TURN_BYTES}")], |server| {
        let [flooding, blocking, small] = [server.connect()?, server.connect()?, server.connect()?];
        for mut client in [&flooding, &blocking, &small] {
            client.write_all(request("/").as_bytes())?;
            reply(&mut BufReader::new(client))?;
        }
        (&blocking).write_all(request("/sleep/200000").as_bytes())?;
        let one = request("/");
        (&flooding).write_all(one.repeat(3_000).as_bytes())?;
        (&small).write_all(request("/whoami").as_bytes())?;
        let whoami = reply(&mut BufReader::new(&small))?;
        let served = served(&whoami).ok_or(Error::other("whoami says how many it has served"))?;
        // One turn before, and one that the loop may have begun while the request was in flight.
        let fair = 4 + 2 * TURN_BYTES.div_ceil(one.len());
        assert!(served <= fair, "{served} were served first, not {fair}");
        let mut replies = BufReader::new(&flooding);
        (0..3_000).try_for_each(|_| reply(&mut replies).map(drop))
    });
}

fn served(whoami: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(whoami).ok()?;
    let (_, after) = text.split_once("\"requests\":")?;
    let digits = after.split(|byte: char| !byte.is_ascii_digit()).next()?;
    digits.parse().ok()
}
