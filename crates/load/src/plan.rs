//! What a run is to do, checked before it begins.

use std::time::Duration;

use schema::load::{Arrivals, BodyCheck};

use crate::kind::Kind;
use crate::profile::Step;
use crate::target::Target;

/// Most connections accepted: beyond it one address has no local ports left.
pub const CONNECTIONS_MAX: usize = 1 << 20;

/// Most requests in flight on one connection.
pub const PIPELINE_MAX: usize = 1024;

/// Most steps in a profile.
pub const STEPS_MAX: usize = 1000;

/// Most bytes a UNP request may ask for, as Stevens' servers have it (UNP section 30.2).
pub const UNP_BYTES_MAX: u32 = 16_384;

/// What makes the next request leave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// The previous reply: every connection always has `pipeline` requests in flight.
    Closed,
    /// A schedule that does not look at the replies.
    Open {
        /// Requests a second over all connections; with a profile, those of the warm-up.
        rate: f64,
        /// Their spacing.
        arrivals: Arrivals,
    },
}

/// Clients that behave badly, beside the load and apart from its figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slow {
    /// Clients that send a request of a thousand bytes slowly.
    pub senders: usize,
    /// Clients that read a long reply slowly.
    pub readers: usize,
    /// Bytes a second that each of them sends or reads.
    pub bytes_per_s: u32,
    /// What the readers ask for.
    pub path: String,
}

impl Default for Slow {
    /// None of them; if there were, 100 bytes a second of a mebibyte.
    fn default() -> Self {
        Self {
            senders: 0,
            readers: 0,
            bytes_per_s: 100,
            path: "/bytes/1048576".to_owned(),
        }
    }
}

/// A request that may harm the server, sent beside the load and apart from its figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poison {
    /// What it asks for.
    pub path: String,
    /// Time from one to the next, the first after half of it; once, in the middle, when absent.
    pub every: Option<Duration>,
}

/// A run of the load generator.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where to.
    pub target: Target,
    /// Closed or open loop.
    pub pace: Pace,
    /// The course of an open loop's rate; empty when it is constant.
    pub profile: Vec<Step>,
    /// Seed of Poisson arrivals and of the mix.
    pub seed: u64,
    /// Connections held, or the most open at once with `new_connection`.
    pub connections: usize,
    /// Threads, each with its share of connections and schedule.
    pub threads: usize,
    /// Requests in flight on a connection.
    pub pipeline: usize,
    /// Open a connection for every request.
    pub new_connection: bool,
    /// The measured window: the sum of the profile's steps where there are any.
    pub duration: Duration,
    /// Load of the same kind before it, not recorded.
    pub warmup: Duration,
    /// How long unanswered requests are awaited after it.
    pub drain: Duration,
    /// How long after its intended start a request is given up.
    pub timeout: Duration,
    /// Speak the line protocol of UNP chapter 30 and ask for that many bytes in every request;
    /// HTTP when absent.
    pub unp_bytes: Option<u32>,
    /// Request method.
    pub method: String,
    /// Further header lines, `Name: value`.
    pub headers: Vec<String>,
    /// A mix, in place of the method and the target's path; empty when all requests are alike.
    pub requests: Vec<Kind>,
    /// Bytes of request body; in a mix, of the methods that carry one.
    pub body_bytes: usize,
    /// The statuses that count as correct; any 2xx when empty.
    pub expect_status: Vec<u16>,
    /// What is compared of the body; when absent every byte, but nothing where the path holds a
    /// drawn number.
    pub body_check: Option<BodyCheck>,
    /// Replies within so long are counted apart, in every slice and step.
    pub objective: Option<Duration>,
    /// Further connections that carry one request each and are then held.
    pub idle: usize,
    /// Slow clients beside the load.
    pub slow: Slow,
    /// A poisoned request beside the load.
    pub poison: Option<Poison>,
}

impl Plan {
    /// A closed loop of one connection for a second, to be adjusted field by field.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            pace: Pace::Closed,
            profile: Vec::new(),
            seed: 1,
            connections: 1,
            threads: 1,
            pipeline: 1,
            new_connection: false,
            duration: Duration::from_secs(1),
            warmup: Duration::ZERO,
            drain: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            unp_bytes: None,
            method: "GET".to_owned(),
            headers: Vec::new(),
            requests: Vec::new(),
            body_bytes: 0,
            expect_status: Vec::new(),
            body_check: None,
            objective: None,
            idle: 0,
            slow: Slow::default(),
            poison: None,
        }
    }

    /// The course of the rate, warm-up first; nothing in a closed loop.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let Pace::Open { rate, .. } = self.pace else {
            return Vec::new();
        };
        let constant = [Step::constant(rate, self.duration)];
        let window = match &self.profile[..] {
            [] => &constant[..],
            steps => steps,
        };
        let warmup = Step::constant(rate, self.warmup);
        [&[warmup], window].concat()
    }
}
