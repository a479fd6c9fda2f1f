//! What a run is to do.

use std::sync::Arc;
use std::time::Duration;

use schema::load::{Arrivals, BodyCheck};

use crate::kind::Kind;
use crate::percentile::Percentile;
use crate::profile::Step;
use crate::script::Script;
use crate::target::Target;

/// Most connections accepted: beyond it one address has no local ports left.
pub const CONNECTIONS_MAX: usize = 1 << 20;

/// Most requests in flight on one connection.
pub const PIPELINE_MAX: usize = 1024;

/// Most steps in a profile.
pub const STEPS_MAX: usize = 1000;

/// Most bytes that a UNP request may ask for, as in Stevens' servers (UNP section 30.2).
pub const UNP_BYTES_MAX: u32 = 16_384;

/// Longest time that a client thinks, as workloads have it.
pub const THINK_MAX: Duration = Duration::from_secs(3600);

/// What makes the next request be sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// The reply to a previous one: every connection always has `pipeline` requests in flight,
    /// unless its client thinks first.
    Closed,
    /// A schedule that does not depend on the replies.
    Open {
        /// Requests per second over all connections; with a profile, those of the warm-up.
        rate: f64,
        /// Their spacing.
        arrivals: Arrivals,
    },
}

/// Slow clients in addition to the load, which are not part of its figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slow {
    /// Clients that send a request of a thousand bytes slowly.
    pub senders: usize,
    /// Clients that read a long reply slowly.
    pub readers: usize,
    /// Bytes per second that each of them sends or reads.
    pub bytes_per_s: u32,
    /// The path that the readers request.
    pub path: String,
}

impl Default for Slow {
    /// No client; the rate is 100 bytes per second, the reply a mebibyte.
    fn default() -> Self {
        Self {
            senders: 0,
            readers: 0,
            bytes_per_s: 100,
            path: "/bytes/1048576".to_owned(),
        }
    }
}

/// A request that may harm the server, in addition to the load and not part of its figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poison {
    /// The path that it requests.
    pub path: String,
    /// Time from one request to the next, the first after half of it; when absent there is one
    /// request, in the middle of the window.
    pub every: Option<Duration>,
}

/// A run of the load generator.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The server.
    pub target: Target,
    /// Closed or open loop.
    pub pace: Pace,
    /// The steps of an open loop's rate; empty when it is constant.
    pub profile: Vec<Step>,
    /// Seed of Poisson arrivals and of the mix.
    pub seed: u64,
    /// Where constant arrivals begin, as a share of the gap between two of them: several machines interleave.
    pub(crate) phase: f64,
    /// Connections held; with `new_connection`, the most that are open at once.
    pub connections: usize,
    /// Threads, each with its share of the connections and of the schedule.
    pub threads: usize,
    /// Requests in flight per connection.
    pub pipeline: usize,
    /// Open a connection for every request.
    pub new_connection: bool,
    /// Without `new_connection`, the share of requests that come on a connection of their own, 0 to less than 1.
    /// As many such connections as kept ones are open at once, at most.
    pub churn: f64,
    /// In a closed loop, the time from a reply to the next request of that connection. The first
    /// requests are spread evenly over it.
    pub think: Duration,
    /// Length of the measured window: the sum of the profile's steps if there are any.
    pub duration: Duration,
    /// Load of the same kind before the window, which is not recorded.
    pub warmup: Duration,
    /// How long to wait for unanswered requests after the window.
    pub drain: Duration,
    /// Time-out of a request, counted from its intended start.
    pub timeout: Duration,
    /// Speak the line protocol of UNP chapter 30 and ask for that many bytes in every request;
    /// HTTP when absent.
    pub unp_bytes: Option<u32>,
    /// Request method.
    pub method: String,
    /// Additional header lines, `Name: value`.
    pub headers: Vec<String>,
    /// Requests from a file, which replace all others; set together with `requests`.
    pub(crate) script: Option<Arc<Script>>,
    /// A mix, instead of the method and the target's path; empty when all requests are equal.
    pub requests: Vec<Kind>,
    /// Bytes of the request body; in a mix, of the methods that carry one.
    pub body_bytes: usize,
    /// The request body itself, instead of so many bytes.
    pub body: Option<Vec<u8>>,
    /// The statuses that count as correct; any 2xx when empty.
    pub expect_status: Vec<u16>,
    /// How much of the body is compared; when absent every byte, but nothing where the path
    /// contains a drawn number.
    pub body_check: Option<BodyCheck>,
    /// A percentile of the response beside the usual ones.
    pub percentile: Option<Percentile>,
    /// Replies within this time are counted, in every slice and step.
    pub objective: Option<Duration>,
    /// Length of the slices of time in the result; when absent a hundredth of the window, but at
    /// least 100 ms.
    pub slice: Option<Duration>,
    /// Additional connections that carry one request each and are then held idle.
    pub idle: usize,
    /// Additional slow clients.
    pub slow: Slow,
    /// An additional request that may harm the server.
    pub poison: Option<Poison>,
}

impl Plan {
    /// A closed loop of one connection for one second; any field can be changed.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            pace: Pace::Closed,
            profile: Vec::new(),
            seed: 1,
            phase: 0.0,
            connections: 1,
            threads: 1,
            pipeline: 1,
            new_connection: false,
            churn: 0.0,
            think: Duration::ZERO,
            duration: Duration::from_secs(1),
            warmup: Duration::ZERO,
            drain: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            unp_bytes: None,
            method: "GET".to_owned(),
            headers: Vec::new(),
            script: None,
            requests: Vec::new(),
            body_bytes: 0,
            body: None,
            expect_status: Vec::new(),
            body_check: None,
            percentile: None,
            objective: None,
            slice: None,
            idle: 0,
            slow: Slow::default(),
            poison: None,
        }
    }

    /// Some requests have a connection of their own, and others do not.
    pub(crate) fn is_mixed(&self) -> bool {
        !self.new_connection && self.churn > 0.0
    }

    /// The steps of the rate, the warm-up first; none in a closed loop.
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
