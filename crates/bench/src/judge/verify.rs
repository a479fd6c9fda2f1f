//! What a server must answer before it is measured in a scenario.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use schema::load::BodyCheck;

use crate::observe::client::{Client, Reply};
use crate::plan::scenario::Scenario;

/// How long a server may take to answer.
const REPLY_WITHIN: Duration = Duration::from_secs(5);
/// The body of `/plaintext`, of every model and of the null server.
const PLAINTEXT: &[u8] = b"Hello, World!";
/// Keys of the store that a scenario with a database asks for.
const KEYS: u32 = 1_000;
/// Bytes of a value in it.
pub const VALUE_BYTES: usize = 100;

/// A value of the store, before and during the load: the letters in turn, as the generator puts them.
pub fn value() -> Vec<u8> {
    (b'a'..=b'z').cycle().take(VALUE_BYTES).collect()
}

/// Which server is asked, and so what is taken on trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// The null server: a constant reply, whatever is asked for.
    Null,
    /// A model: that its routes answer is tested here, what they do is tested elsewhere.
    Model,
    /// A target, of which nothing is known: a path must take the time that it names.
    Target,
}

/// Asks once for every path of `scenario` and checks the replies; fills the store first, where the
/// scenario has one.
///
/// Where `own` is given, that path of a target is asked for in place of the scenario's. Its reply is not
/// known beforehand. How much of it stays the same is given back, so that this much can be checked
/// under load; where `allowed` says how much must, anything less is an error. A server may close its
/// connection after each reply.
///
/// # Errors
/// What is wrong with a reply, with its path.
pub fn verify(
    address: &str,
    scenario: &Scenario,
    own: Option<&str>,
    trust: Trust,
    allowed: Option<BodyCheck>,
) -> anyhow::Result<BodyCheck> {
    let mut client = Client::connect(address, REPLY_WITHIN)?.with_fields(scenario.headers);
    if let Some(path) = own {
        return every_time(&mut client, "GET", path, allowed)
            .with_context(|| not_answered("GET", path));
    }
    if scenario.own && trust != Trust::Null {
        return users_own(&mut client, scenario, trust, allowed);
    }
    if scenario.db && trust != Trust::Null {
        fill(&mut client)?;
    }
    for (method, path) in scenario.requests() {
        if method == "GET" {
            let path = path.replace("{n:1000}", "7");
            check(&mut client, &path, trust).with_context(|| not_answered("GET", &path))?;
        }
    }
    // Paths that are asked for in addition to the load. A model is known to have them.
    let slow = (scenario.slow > 0).then_some(SLOW_PATH);
    let others = scenario.poison.into_iter().chain(slow);
    for path in others.filter(|_| trust == Trust::Target) {
        check(&mut client, path, trust).with_context(|| not_answered("GET", path))?;
    }
    Ok(BodyCheck::Exact)
}

/// Whether the server ends a connection with its first reply, although it is not asked to.
pub fn closes(
    address: &str,
    (method, path): (&str, &str),
    fields: &[&str],
) -> anyhow::Result<bool> {
    let mut client = Client::connect(address, REPLY_WITHIN)?.with_fields(fields);
    client.ask(method, path, b"")?;
    Ok(client.is_closed())
}

fn not_answered(method: &str, path: &str) -> String {
    format!("{method} {path} was not answered as it must be")
}

/// Asks for what the user asks of every row. The least that stays the same of any kind of reply is given
/// back.
fn users_own(
    client: &mut Client,
    scenario: &Scenario,
    trust: Trust,
    allowed: Option<BodyCheck>,
) -> anyhow::Result<BodyCheck> {
    let mut least = BodyCheck::Exact;
    // Of a model under load, all that stays the same is compared.
    let allowed = allowed.filter(|_| trust == Trust::Target);
    for (method, path) in scenario.requests() {
        let once = with_number(path);
        let same = every_time(client, method, &once, allowed);
        let same = same.with_context(|| not_answered(method, &once))?;
        least = least.min(same);
    }
    Ok(least)
}

/// The path with a number in place of `{n:K}`.
pub fn with_number(path: &str) -> String {
    let number = |(before, rest): (&str, &str)| {
        let (_, after) = rest.split_once('}')?;
        Some(format!("{before}0{after}"))
    };
    let found = path.split_once("{n:").and_then(number);
    found.unwrap_or_else(|| path.to_owned())
}

/// Puts every key once: to read a key that is not there would be another load.
fn fill(client: &mut Client) -> anyhow::Result<()> {
    let value = value();
    for key in 0..KEYS {
        let path = format!("/kv/{key}");
        let reply = client.ask_anew("PUT", &path, &value);
        let status = reply.with_context(|| not_answered("PUT", &path))?.status;
        ensure!(
            matches!(status, 200 | 201 | 204),
            "{}: status {status}",
            not_answered("PUT", &path)
        );
    }
    Ok(())
}

/// The path that the generator's slow readers ask for.
const SLOW_PATH: &str = "/bytes/1048576";

/// Asks a target several times for a path of its own: how much of the reply stays the same.
fn every_time(
    client: &mut Client,
    method: &str,
    path: &str,
    allowed: Option<BodyCheck>,
) -> anyhow::Result<BodyCheck> {
    let good = |reply: &Reply| (200..300).contains(&reply.status);
    let first = client.ask_anew(method, path, b"")?;
    ensure!(good(&first), "status {} instead of 200", first.status);
    let mut same = BodyCheck::Exact;
    for _ in 1..TRIES {
        let again = client.ask_anew(method, path, b"")?;
        ensure!(good(&again), "status {} the next time", again.status);
        same = same.min(match again.body == first.body {
            true => BodyCheck::Exact,
            false if again.body.len() == first.body.len() => BodyCheck::Length,
            false => BodyCheck::None,
        });
    }
    match allowed {
        Some(BodyCheck::Exact) => ensure!(
            same == BodyCheck::Exact,
            "not the same reply every time (--body-check length, or none)"
        ),
        Some(BodyCheck::Length) => ensure!(
            same != BodyCheck::None,
            "not a reply of the same length every time (--body-check none)"
        ),
        Some(BodyCheck::None) | None => {}
    }
    Ok(allowed.unwrap_or(same))
}

/// How often a target is asked for the same path.
const TRIES: usize = 5;

fn timed(client: &mut Client, path: &str) -> anyhow::Result<(Reply, Duration)> {
    let start = Instant::now();
    let reply = client.ask_anew("GET", path, b"")?;
    Ok((reply, start.elapsed()))
}

fn check(client: &mut Client, path: &str, trust: Trust) -> anyhow::Result<()> {
    let (mut reply, mut took) = timed(client, path)?;
    if trust == Trust::Target {
        // The machine may delay one reply; only the server delays each of several.
        for _ in 1..TRIES {
            let (again, time) = timed(client, path)?;
            (reply, took) = (again, took.min(time));
        }
    }
    let status = reply.status;
    ensure!(status == 200, "status {status} instead of 200");
    if path == "/plaintext" {
        let body = String::from_utf8_lossy(&reply.body);
        ensure!(reply.body == PLAINTEXT, "body {body:?}");
    }
    if trust == Trust::Null {
        return Ok(());
    }
    if path.starts_with("/kv/") {
        ensure!(reply.body == value(), "another value than was put");
    }
    if let Some(bytes) = number(path, "/bytes/") {
        let length = reply.body.len();
        ensure!(length as u64 == bytes, "{length} bytes instead of {bytes}");
    }
    let waits = number(path, "/sleep/").or_else(|| number(path, "/wait/"));
    // The work is calibrated, not timed: where the CPU runs faster than then, it takes less time.
    let computes = number(path, "/cpu/").map(|micros| (micros, micros / 2));
    if let Some((micros, least)) = waits.map(|micros| (micros, micros)).or(computes) {
        ensure!(
            trust != Trust::Target || took >= Duration::from_micros(least),
            "after {} µs instead of {micros}",
            took.as_micros()
        );
    }
    Ok(())
}

/// The number behind `prefix`.
fn number(path: &str, prefix: &str) -> Option<u64> {
    path.strip_prefix(prefix)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::plan::scenarios::SCENARIOS;

    /// A server of one connection, whose replies are made from their number.
    fn server(body: impl Fn(usize) -> String + Send + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut reader = BufReader::new(stream.try_clone().expect("a descriptor"));
            for n in 0.. {
                let (mut line, mut length) = (String::new(), 0);
                while line != "\r\n" {
                    line.clear();
                    if reader.read_line(&mut line).is_ok_and(|bytes| bytes == 0) {
                        return;
                    }
                    let bytes = line.strip_prefix("Content-Length: ");
                    length = bytes.map_or(length, |bytes| bytes.trim().parse().expect("bytes"));
                }
                reader.read_exact(&mut vec![0; length]).expect("a body");
                let body = body(n);
                let length = body.len();
                let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
                if stream.write_all(reply.as_bytes()).is_err() {
                    return;
                }
            }
        });
        address
    }

    fn scenario(name: &str) -> &'static Scenario {
        let found = SCENARIOS.iter().find(|s| s.name == name);
        found.expect("a scenario of the table")
    }

    #[test]
    fn a_store_that_forgets_what_was_put_is_seen() {
        let sqlite = scenario("sqlite");
        let kept = server(|_| String::from_utf8(value()).expect("letters"));
        verify(&kept, sqlite, None, Trust::Model, None).expect("the value that was put");
        let forgotten = server(|_| "v".repeat(VALUE_BYTES));
        let error = verify(&forgotten, sqlite, None, Trust::Model, None).expect_err("another one");
        assert!(format!("{error:#}").contains("another value than was put"));
    }

    #[test]
    fn what_a_target_answers_is_learnt_and_must_not_change() {
        let latency = scenario("latency");
        let own = Some("/index.html");
        let steady = server(|_| "<html>".to_owned());
        let exact = Some(BodyCheck::Exact);
        verify(&steady, latency, own, Trust::Target, exact).expect("always the same");
        let fickle = server(|n| format!("visitor {}", n / 3));
        let error = verify(&fickle, latency, own, Trust::Target, exact).expect_err("it changes");
        let line = format!("{error:#}");
        assert!(line.starts_with("GET /index.html") && line.contains("not the same reply"));
    }

    #[test]
    fn as_much_of_a_reply_is_checked_as_stays_the_same() {
        let latency = scenario("latency");
        let own = Some("/index.html");
        let check = |address: &str, allowed| verify(address, latency, own, Trust::Target, allowed);
        let steady = server(|_| "<html>".to_owned());
        assert_eq!(check(&steady, None).expect("answers"), BodyCheck::Exact);
        let counts = server(|n| format!("visitor {}", n % 10));
        assert_eq!(check(&counts, None).expect("answers"), BodyCheck::Length);
        let grows = server(|n| "x".repeat(n + 1));
        assert_eq!(check(&grows, None).expect("answers"), BodyCheck::None);
        let grows = server(|n| "x".repeat(n + 1));
        let error = check(&grows, Some(BodyCheck::Length)).expect_err("it grows");
        assert!(format!("{error:#}").contains("--body-check none"));
    }

    #[test]
    fn a_server_that_closes_after_each_reply_is_asked_anew() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        std::thread::spawn(move || {
            for (n, stream) in listener.incoming().enumerate() {
                let mut stream = stream.expect("a client");
                let _request = stream.read(&mut [0; 1024]);
                // Every other reply does not say that it is the last one.
                let says = if n % 2 == 0 {
                    "Connection: close\r\n"
                } else {
                    ""
                };
                let reply = format!("HTTP/1.1 200 OK\r\n{says}Content-Length: 2\r\n\r\nok");
                let _sent = stream.write_all(reply.as_bytes());
            }
        });
        let own = Some("/");
        let check = verify(&address, scenario("latency"), own, Trust::Target, None);
        assert_eq!(check.expect("it answers"), BodyCheck::Exact);
        let closes = || closes(&address, ("GET", "/"), &[]);
        let said = [closes(), closes()];
        let said = said.map(|closes| closes.expect("it answers"));
        assert!(said.contains(&true), "{said:?}");
    }
}
