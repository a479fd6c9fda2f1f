//! What a server must answer before it is measured in a scenario.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::client::{Client, Reply};
use crate::scenario::Scenario;

/// How long a server may take to answer a request that verifies it.
const REPLY_WITHIN: Duration = Duration::from_secs(5);
/// The body of `/plaintext`, of every model and of the null server.
const PLAINTEXT: &[u8] = b"Hello, World!";
/// Keys of the store that a scenario with a database asks for.
const KEYS: u32 = 1_000;
/// Bytes of a value in it.
pub const VALUE_BYTES: usize = 100;

/// A value of the store, before and during the load: the generator puts letters in turn.
pub fn value() -> Vec<u8> {
    (b'a'..=b'z').cycle().take(VALUE_BYTES).collect()
}

/// Who is asked, and so what is taken on trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// A constant reply, whatever is asked for.
    Null,
    /// Our routes: what they do is tested elsewhere, that they answer is tested here.
    Model,
    /// A stranger: a path must take the time that its name says.
    Stranger,
}

/// Asks once for every path of `scenario` and checks the replies; fills the store first, where the
/// scenario has one.
///
/// A path of the server's `own` is asked for in place of the scenario's; what it answers is not
/// known beforehand, but must be the same every time.
///
/// # Errors
/// What is wrong with a reply, with its path.
pub fn verify(
    address: &str,
    scenario: &Scenario,
    own: Option<&str>,
    trust: Trust,
) -> anyhow::Result<()> {
    let mut client = Client::connect(address, REPLY_WITHIN)?;
    if let Some(path) = own {
        return always_alike(&mut client, path).with_context(|| not_answered(path));
    }
    if scenario.db && trust != Trust::Null {
        fill(&mut client)?;
    }
    for (method, path) in scenario.requests() {
        if method == "GET" {
            let path = path.replace("{n:1000}", "7");
            check(&mut client, &path, trust).with_context(|| not_answered(&path))?;
        }
    }
    // What is asked for beside the load: of a model we know that it is there.
    let slow = (scenario.slow > 0).then_some(SLOW_PATH);
    let beside = scenario.poison.into_iter().chain(slow);
    for path in beside.filter(|_| trust == Trust::Stranger) {
        check(&mut client, path, trust).with_context(|| not_answered(path))?;
    }
    Ok(())
}

fn not_answered(path: &str) -> String {
    format!("GET {path} was not answered as it must be")
}

/// Puts every key once: a read of what is not there would measure something else.
fn fill(client: &mut Client) -> anyhow::Result<()> {
    let value = value();
    for key in 0..KEYS {
        let path = format!("/kv/{key}");
        let reply = client
            .ask("PUT", &path, &value)
            .with_context(|| format!("PUT {path} was not answered as it must be"))?;
        ensure!(
            matches!(reply.status, 200 | 201 | 204),
            "PUT {path} was not answered as it must be: status {}",
            reply.status
        );
    }
    Ok(())
}

/// What the generator's slow readers ask for.
const SLOW_PATH: &str = "/bytes/1048576";

/// Asks a stranger several times for what only it knows.
fn always_alike(client: &mut Client, path: &str) -> anyhow::Result<()> {
    let first = client.ask("GET", path, b"")?;
    ensure!(
        first.status == 200,
        "status {} instead of 200",
        first.status
    );
    for _ in 1..TRIES {
        let again = client.ask("GET", path, b"")?;
        ensure!(again == first, "not the same reply every time");
    }
    Ok(())
}

/// How often a stranger is asked for the same.
const TRIES: usize = 5;

fn timed(client: &mut Client, path: &str) -> anyhow::Result<(Reply, Duration)> {
    let start = Instant::now();
    let reply = client.ask("GET", path, b"")?;
    Ok((reply, start.elapsed()))
}

fn check(client: &mut Client, path: &str, trust: Trust) -> anyhow::Result<()> {
    let (mut reply, mut took) = timed(client, path)?;
    if trust == Trust::Stranger {
        // The machine may dawdle over one reply; over each of several only the server does.
        for _ in 1..TRIES {
            let (again, time) = timed(client, path)?;
            (reply, took) = (again, took.min(time));
        }
    }
    ensure!(
        reply.status == 200,
        "status {} instead of 200",
        reply.status
    );
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
    if let Some(micros) = number(path, "/sleep/").or_else(|| number(path, "/wait/")) {
        ensure!(
            trust != Trust::Stranger || took >= Duration::from_micros(micros),
            "after {} µs instead of {micros}",
            took.as_micros()
        );
    }
    // Work is calibrated, not timed: a fast moment of the machine is no fault.
    if let Some(micros) = number(path, "/cpu/") {
        ensure!(
            trust != Trust::Stranger || took >= Duration::from_micros(micros / 2),
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
