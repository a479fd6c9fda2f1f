//! What a run is to do, checked before it begins.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::ValueEnum;
use serde::Serialize;

use crate::schedule::Arrivals;
use crate::target::Target;

/// Highest rate accepted, requests a second: with the time-out it bounds the queue of due requests.
pub const RATE_MAX: f64 = 1e6;

/// Most connections accepted: beyond it one address has no local ports left.
pub const CONNECTIONS_MAX: usize = 1 << 20;

/// Most requests in flight on one connection.
pub const PIPELINE_MAX: usize = 1024;

/// What makes the next request leave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// The previous reply: every connection always has `pipeline` requests in flight.
    Closed,
    /// A schedule that does not look at the replies.
    Open {
        /// Requests a second over all connections.
        rate: f64,
        /// Their spacing.
        arrivals: Arrivals,
    },
}

/// How far a reply's body is compared with the first correct one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum BodyCheck {
    /// Not at all; framing and status still are.
    None,
    /// Its length.
    Length,
    /// Every byte (up to 64 MiB, and the length beyond).
    Exact,
}

/// A run of the load generator.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where to.
    pub target: Target,
    /// Closed or open loop.
    pub pace: Pace,
    /// Seed of Poisson arrivals.
    pub seed: u64,
    /// Connections held, or the most open at once with `new_connection`.
    pub connections: usize,
    /// Threads, each with its share of connections and schedule.
    pub threads: usize,
    /// Requests in flight on a connection.
    pub pipeline: usize,
    /// Open a connection for every request.
    pub new_connection: bool,
    /// The measured window.
    pub duration: Duration,
    /// Load of the same kind before it, not recorded.
    pub warmup: Duration,
    /// How long unanswered requests are awaited after it.
    pub drain: Duration,
    /// How long after its intended start a request is given up.
    pub timeout: Duration,
    /// Request method.
    pub method: String,
    /// Further header lines, `Name: value`.
    pub headers: Vec<String>,
    /// Bytes of request body.
    pub body_bytes: usize,
    /// The status that counts as correct; any 2xx when absent.
    pub expect_status: Option<u16>,
    /// What is compared of the body.
    pub body_check: BodyCheck,
}

impl Plan {
    /// A closed loop of one connection for a second, to be adjusted field by field.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            pace: Pace::Closed,
            seed: 1,
            connections: 1,
            threads: 1,
            pipeline: 1,
            new_connection: false,
            duration: Duration::from_secs(1),
            warmup: Duration::ZERO,
            drain: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            method: "GET".to_owned(),
            headers: Vec::new(),
            body_bytes: 0,
            expect_status: None,
            body_check: BodyCheck::Exact,
        }
    }

    /// Refuses what cannot be run, in one line.
    ///
    /// # Errors
    /// Names the first field that is out of its range.
    pub fn check(&self) -> Result<()> {
        ensure!(
            (1..=CONNECTIONS_MAX).contains(&self.connections),
            "connections must be 1 to {CONNECTIONS_MAX}"
        );
        ensure!(
            (1..=self.connections).contains(&self.threads),
            "threads must be 1 to the number of connections ({})",
            self.connections
        );
        ensure!(
            (1..=PIPELINE_MAX).contains(&self.pipeline),
            "pipeline must be 1 to {PIPELINE_MAX}"
        );
        ensure!(
            !(self.new_connection && self.pipeline > 1),
            "a connection a request cannot be pipelined"
        );
        ensure!(!self.duration.is_zero(), "duration must be above zero");
        ensure!(!self.timeout.is_zero(), "timeout must be above zero");
        if let Pace::Open { rate, .. } = self.pace {
            ensure!(
                rate > 0.0 && rate <= RATE_MAX,
                "rate must be above 0 and at most {RATE_MAX}"
            );
        }
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        ensure!(
            !self.method.is_empty() && self.method.bytes().all(token),
            "method {:?} is not a token",
            self.method
        );
        for line in &self.headers {
            let Some((name, value)) = line.split_once(':') else {
                bail!("header {line:?} has no colon");
            };
            ensure!(
                !name.is_empty() && name.bytes().all(token) && !value.contains(['\r', '\n', '\0']),
                "header {line:?} is malformed"
            );
        }
        Ok(())
    }

    /// The bytes of one request.
    pub fn request(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target.path());
        let given = |name: &str| {
            self.headers.iter().any(|h| {
                h.split(':')
                    .next()
                    .is_some_and(|n| n.eq_ignore_ascii_case(name))
            })
        };
        if !given("host") {
            head += &format!("Host: {}\r\n", self.target.host());
        }
        if self.new_connection {
            head += "Connection: close\r\n";
        }
        if self.body_bytes > 0 || matches!(self.method.as_str(), "POST" | "PUT" | "PATCH") {
            head += &format!("Content-Length: {}\r\n", self.body_bytes);
        }
        for line in &self.headers {
            head += line;
            head += "\r\n";
        }
        head += "\r\n";
        let mut request = head.into_bytes();
        // Letters in turn, so that a reply that echoes shifted bytes is seen as wrong.
        request.extend((0..self.body_bytes).map(|i| b'a' + (i % 26) as u8));
        request
    }
}
