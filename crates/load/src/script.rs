//! Requests from life: those of an access log or a HAR, at their own times or drawn as a mix.

mod lines;
pub(crate) mod reading;
mod times;

use std::time::Duration;

use schema::digest::digest;
use schema::load::RequestsFile;

use crate::kind::Kind;

/// The requests of a file, ready to be sent.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// The bytes of each different request.
    pub(crate) bytes: Vec<Vec<u8>>,
    /// The kind of each different request.
    pub(crate) kinds_of: Vec<u16>,
    /// In the order of time: which request it is.
    pub(crate) order: Vec<u32>,
    /// When each is due, from the start of the run; empty for a mix.
    pub(crate) due_ns: Vec<u64>,
    /// The status in the file of each kind.
    pub(crate) statuses: Vec<Option<u16>>,
    /// A kind for each method and status.
    kinds: Vec<Kind>,
    /// Lines or entries that are no request, and the first of them.
    broken: traces::Broken,
    /// Requests of a HAR to another host than its first.
    elsewhere: u64,
    span: Duration,
    /// What the whole is, where this is a part of it.
    whole: Option<Whole>,
}

/// A script of which several machines send a part each.
#[derive(Debug, Clone, Copy)]
struct Whole {
    requests: u64,
    digest: u64,
}

impl Script {
    /// Whether its requests have times of their own.
    pub(crate) fn is_replay(&self) -> bool {
        !self.due_ns.is_empty()
    }

    /// The requests of the whole file.
    pub(crate) fn requests(&self) -> u64 {
        self.whole
            .map_or(self.order.len() as u64, |whole| whole.requests)
    }

    /// The part of a replay that holds every `parts`-th request, from `first` on and at its own time. It is
    /// still known by what the whole is, so that the records of all parts can be added up.
    pub(crate) fn every(&self, parts: usize, first: usize) -> Self {
        let order = self.order.iter().skip(first).step_by(parts);
        let due_ns = self.due_ns.iter().skip(first).step_by(parts);
        let whole = Whole {
            requests: self.requests(),
            digest: self.digest(),
        };
        Self {
            order: order.copied().collect(),
            due_ns: due_ns.copied().collect(),
            whole: Some(whole),
            ..self.clone()
        }
    }

    /// A digest of the requests and their order, which runs that are added up share.
    pub(crate) fn digest(&self) -> u64 {
        if let Some(whole) = self.whole {
            return whole.digest;
        }
        let orders = self.order.iter().fold(0u64, |sum, &at| {
            sum.rotate_left(5) ^ u64::from(at).wrapping_mul(0x9E37_79B9)
        });
        let bytes = self.bytes.iter().map(|bytes| digest(bytes));
        bytes.fold(orders, |sum, one| sum.rotate_left(7) ^ one)
    }

    /// What was read, as counts.
    pub(crate) fn counts(&self) -> RequestsFile {
        let first = self.broken.first.clone().unzip();
        RequestsFile {
            requests: self.requests(),
            different: self.bytes.len() as u64,
            broken: self.broken.count,
            broken_first: first.0,
            broken_why: first.1,
            elsewhere: self.elsewhere,
        }
    }

    /// What was read, in one line.
    pub(crate) fn summary(&self) -> String {
        let mut text = format!(
            "{} requests, {} different, {:.3} s",
            self.requests(),
            self.bytes.len(),
            self.span.as_secs_f64()
        );
        if self.whole.is_some() {
            text += &format!(
                "; {} of them are the share of this machine",
                self.order.len()
            );
        }
        if let Some((number, why)) = &self.broken.first {
            let count = self.broken.count;
            text += &format!("; {count} broken lines, the first {number}: {why}");
        }
        if self.elsewhere > 0 {
            text += &format!("; {} requests to other hosts left out", self.elsewhere);
        }
        text
    }
}
