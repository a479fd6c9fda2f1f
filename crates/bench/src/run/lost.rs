//! A server that was started by a command, and serves no longer in the middle of its measurement: it has
//! ended, hangs, or has left its address to another.
//!
//! What the generator sees of that are refused connections and missing replies, or nothing at all where
//! another server took the address. So it is asked after each slice whether the server still holds its
//! listener.

use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use schema::{Code, Effect, Reason};

use crate::observe::client::Client;
use crate::observe::interrupt::Interrupt;
use crate::observe::listening::Held;
use crate::observe::process::Process;
use crate::observe::tree;
use crate::plan::scenario::PLAINTEXT;

/// How long the answer to a single request is waited for, when a slice had none.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// A process that was killed may take a moment until its listener is gone.
const ENDS_WITHIN: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A server that is looked after: its root, where it listens, and what is asked of it.
#[derive(Debug)]
pub struct Watched {
    address: String,
    path: String,
    /// Its listener; `None` where the files of its processes cannot be read.
    listener: Option<Held>,
}

impl Watched {
    /// A server below `process` that listens on `address`, and is asked for `path`.
    pub fn new(process: &Process, address: &str, path: Option<&str>) -> Self {
        Self {
            address: address.to_owned(),
            path: path.unwrap_or(PLAINTEXT).to_owned(),
            listener: Held::find(&tree::members(process.pid()), address),
        }
    }

    /// Why it serves no longer; `None` as long as it does. `answered` says whether replies came in the last
    /// slice. Whatever is left of a server that is lost has been killed.
    pub fn lost(
        &mut self,
        process: &mut Process,
        answered: bool,
        interrupt: &Interrupt,
    ) -> Option<Reason> {
        let held = self.listener.as_ref().is_some_and(Held::is_there);
        if answered && (held || self.listener.is_none()) {
            return None;
        }
        if answered || self.is_gone(process) {
            // One that has replaced its listener, as in a reload of its own, serves on.
            return match Held::find(&tree::members(process.pid()), &self.address) {
                Some(held) => {
                    self.listener = Some(held);
                    None
                }
                None => Some(self.ended(process, interrupt)),
            };
        }
        let why = self.ask().err()?;
        if self.is_gone(process) {
            return Some(self.ended(process, interrupt));
        }
        process.kill();
        let text = format!("it runs and answers no more: GET {}: {why}", self.path);
        Some(Reason::new(Code::Hangs, Effect::Invalidates, text))
    }

    /// Whether its listener, or all of it, is gone.
    fn is_gone(&self, process: &Process) -> bool {
        let gone = || {
            let members = tree::members(process.pid());
            let none = !members.iter().any(|&pid| pid != process.pid());
            none || self.listener.as_ref().is_some_and(|held| !held.is_there())
        };
        let deadline = Instant::now() + ENDS_WITHIN;
        while !gone() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        true
    }

    /// Asks it once.
    fn ask(&self) -> Result<(), String> {
        let client = Client::connect(&self.address, ANSWER_WITHIN);
        let reply = client.and_then(|mut client| client.ask("GET", &self.path, b""));
        let Err(error) = reply else { return Ok(()) };
        let kind = error.downcast_ref().map(io::Error::kind);
        Err(match kind {
            Some(io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                format!("no answer within {} s", ANSWER_WITHIN.as_secs())
            }
            _ => format!("{error:#}"),
        })
    }

    /// What is known about its end.
    fn ended(&self, process: &mut Process, interrupt: &Interrupt) -> Reason {
        let mut status = String::new();
        while let Ok(line) = process.line(LOOK_EVERY, interrupt) {
            if let Some(ended) = line.strip_prefix("ended ") {
                status = format!(" with {ended}");
            }
        }
        let mut left = tree::names_below(process.pid());
        left.truncate(4);
        process.kill();
        let mut text = match left.is_empty() {
            true => format!("it ended in the middle of the measurement{status}"),
            false => format!(
                "it stopped listening in the middle of the measurement; what was left of it was killed: {}",
                left.join(", ")
            ),
        };
        if TcpStream::connect(&self.address).is_ok() {
            text += ", and another process answers at its address";
        }
        if let Some(line) = process.error_line() {
            text += &format!("; it said: {line}");
        }
        Reason::new(Code::EndedEarly, Effect::Invalidates, text)
    }
}
