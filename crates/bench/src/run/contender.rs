//! A server that is started by a command: ready when it says so, and gone afterwards with everything
//! that it has started.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;
use schema::{Code, Effect, Reason, Reasons};

use crate::failure::{Because, Unmeasured};
use crate::observe::client::Client;
use crate::observe::cpus::CpuList;
use crate::observe::interrupt::Interrupt;
use crate::observe::measured::Drained;
use crate::observe::process::Process;
use crate::observe::{listening, tree};
use crate::plan::contenders::{Ready, Start};

/// How often it is seen whether a server is ready: there is no event for it.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long a reply may take while a server gets ready.
const REPLY_WITHIN: Duration = Duration::from_secs(1);
/// How long a server may take to end after SIGTERM, before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// Starts it on `cpus`, below a process of this command that keeps it; gives its address.
///
/// # Errors
/// [`Unmeasured::Interrupted`], or why it does not serve: nothing of it is left then.
pub fn start(
    start: &Start,
    own: &Path,
    cpus: &CpuList,
    interrupt: &Interrupt,
) -> Result<(Process, String), Unmeasured> {
    let port = free_port().because(Code::NotStarted)?;
    let address = format!("127.0.0.1:{port}");
    let (words, environment) = start.at(&port.to_string());
    let mut command = Command::new(own);
    command
        .arg("keep")
        .arg("--")
        .args(&words)
        .current_dir(&start.folder)
        .envs(environment);
    let line = match &start.ready {
        Ready::Line(line) => Some(line.as_str()),
        Ready::Path(_) | Ready::Port(_) => None,
    };
    let mut process = Process::spawn_kept(command, cpus, line)
        .context("this command cannot be run")
        .because(Code::NotStarted)?;
    match wait_until_ready(&mut process, start, &address, interrupt) {
        Ok(()) => Ok((process, address)),
        Err(why) if why.kind() == io::ErrorKind::Interrupted => Err(Unmeasured::Interrupted),
        Err(why) => {
            process.kill();
            let said = process.error_line();
            let said = said.map_or_else(String::new, |line| format!("; it said: {line}"));
            let text = format!("the server did not start: {why}{said}");
            Err(Unmeasured::new(Code::NotStarted, text))
        }
    }
}

/// A port on which no process listens.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn wait_until_ready(
    process: &mut Process,
    start: &Start,
    address: &str,
    interrupt: &Interrupt,
) -> io::Result<()> {
    let because = |why: String| Err(io::Error::other(why));
    let deadline = Instant::now() + start.within;
    let mut last = None;
    loop {
        match process.line(LOOK_EVERY, interrupt) {
            Ok(line) => match line.split_once(' ') {
                Some(("cannot", why)) => return because(format!("it cannot be run: {why}")),
                Some(("ended", "exit status 0")) => last = Some("exit status 0".to_owned()),
                Some(("ended", status)) => {
                    return because(format!("it ended with {status} before it was ready"));
                }
                _ => {}
            },
            Err(error) => match error.kind() {
                io::ErrorKind::TimedOut => {}
                io::ErrorKind::Interrupted => return Err(error),
                _ => {
                    let status = last.unwrap_or_else(|| "no status".to_owned());
                    return because(format!("it ended with {status} before it was ready"));
                }
            },
        }
        if is_ready(process, &start.ready, address) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return because(not_ready(process, start, address));
        }
    }
}

fn is_ready(process: &Process, ready: &Ready, address: &str) -> bool {
    let connects = || TcpStream::connect(address).is_ok();
    match ready {
        Ready::Port(_) => connects(),
        Ready::Line(_) => process.has_said() && connects(),
        Ready::Path(path) => Client::connect(address, REPLY_WITHIN)
            .and_then(|mut client| client.ask("GET", path, b""))
            .is_ok_and(|reply| reply.status < 500),
    }
}

/// What is missing when the time is over.
fn not_ready(process: &Process, start: &Start, address: &str) -> String {
    let within = start.within.as_secs_f64();
    let elsewhere = listening::addresses(&tree::members(process.pid()));
    let is_here = |other: &String| listening::is_same(other, address);
    if elsewhere.iter().any(is_here) {
        return match &start.ready {
            Ready::Path(path) => {
                format!("it listens, and does not answer GET {path} within {within} s")
            }
            Ready::Line(line) => {
                format!("it listens, and does not print '{line}' within {within} s")
            }
            Ready::Port(_) => format!("it takes no connection within {within} s"),
        };
    }
    match elsewhere.is_empty() {
        true => format!("it does not listen within {within} s"),
        false => format!(
            "it listens on {}, not on {address}",
            elsewhere.join(" and ")
        ),
    }
}

/// Tells it to stop, and kills what is left after a grace. How other people's servers end makes no
/// figure wrong: it is a note.
///
/// # Errors
/// [`Unmeasured::Interrupted`] or a failed system call; nothing of it is left then, too.
pub fn drain(mut process: Process, interrupt: &Interrupt) -> Result<Drained, Unmeasured> {
    let begun = Instant::now();
    let mut problems = tell_to_stop(&mut process, interrupt)?;
    if !stopping(process.wait(GRACE, interrupt))? {
        problems.push(left(&mut process, interrupt));
    }
    let drain_ms = begun.elapsed().as_secs_f64() * 1e3;
    process.kill();
    Ok(Drained {
        drain_ms: Some(drain_ms),
        exit: None,
        problems,
    })
}

/// Sends SIGTERM; gives a problem where there is no server to get it.
pub fn tell_to_stop(process: &mut Process, interrupt: &Interrupt) -> Result<Reasons, Unmeasured> {
    let mut problems = Reasons::default();
    if stopping(process.wait(Duration::ZERO, interrupt))? {
        let text = "the server ended before it was told to";
        problems.push(Reason::new(Code::EndedEarly, Effect::Invalidates, text));
    } else {
        stopping(process.terminate())?;
    }
    Ok(problems)
}

/// A system call that stops a server, or sees it end.
pub fn stopping<T>(result: io::Result<T>) -> Result<T, Unmeasured> {
    result
        .context("the server cannot be stopped")
        .because(Code::NotDrained)
}

/// What is left when the grace is over: the command itself, or processes that it has left.
fn left(process: &mut Process, interrupt: &Interrupt) -> Reason {
    let mut ended = false;
    while let Ok(line) = process.line(Duration::ZERO, interrupt) {
        ended |= line.starts_with("ended ");
    }
    let within = GRACE.as_secs();
    if !ended {
        let text = format!("it did not end within {within} s after SIGTERM, and was killed");
        return Reason::new(Code::NotDrained, Effect::Notes, text)
            .with("drain_s_max", within as f64);
    }
    let names = tree::names_below(process.pid());
    let count = names.len();
    let text = format!(
        "it left {count} processes running {within} s after SIGTERM, which were killed: {}",
        names.into_iter().take(4).collect::<Vec<_>>().join(", ")
    );
    Reason::new(Code::ProcessesLeft, Effect::Notes, text).with("processes", count as f64)
}
