//! Clients that think: in a closed loop each waits a while after a reply before its next request.

use anyhow::Result;

use super::state::{Thought, Worker};
use crate::clock::now_ns;
use crate::slot::State;

impl Worker<'_> {
    /// Sets until when replies are followed by requests at once.
    pub(super) fn follow_window(&mut self) {
        self.at_once_until_ns = match self.think_ns {
            0 => self.recorder.window.end_ns,
            _ => 0,
        };
    }

    /// All clients think for the first time, and their first requests are spread evenly over that
    /// time: clients that all began at once would stay together, as a convoy.
    pub(super) fn think_first(&mut self, anchor_ns: u64) {
        let (threads, clients) = (self.plan.threads, self.plan.connections as f64);
        for index in 0..self.clients().len() {
            let client = (index * threads + self.thread) as f64 + self.plan.phase;
            let share = client / clients;
            let until_ns = anchor_ns + (share * self.think_ns as f64) as u64;
            self.think_until(index, anchor_ns, until_ns);
        }
    }

    /// The client of a slot has its reply, or has lost its connection: it thinks, unless it does
    /// already or a request of it is under way. Nothing happens where clients do not think.
    #[cold]
    #[inline(never)]
    pub(super) fn think(&mut self, index: usize) {
        let index = self.client(index);
        if self.think_ns == 0 || self.slots[index].thinks || !self.started || self.waits(index) {
            return;
        }
        // All think for the same time, so those that began first end first.
        self.think_until(index, self.now_ns, self.now_ns + self.think_ns);
    }

    fn think_until(&mut self, slot: usize, since_ns: u64, until_ns: u64) {
        self.slots[slot].thinks = true;
        self.thinking.push_back(Thought {
            slot,
            since_ns,
            until_ns,
        });
        self.expect_next_thought();
    }

    fn expect_next_thought(&mut self) {
        let next = self.thinking.front();
        self.expect_due(next.map_or(u64::MAX, |thought| thought.until_ns));
    }

    /// Sends the requests of all clients that have thought.
    pub(super) fn end_thoughts(&mut self) -> Result<()> {
        while self.next_due_ns <= self.now_ns {
            let Some(thought) = self.thinking.pop_front() else {
                break;
            };
            self.expect_next_thought();
            self.recorder.thought(thought.since_ns, self.now_ns);
            self.recorder.thought_late(thought.until_ns, self.now_ns);
            self.slots[thought.slot].thinks = false;
            if self.now_ns < self.recorder.window.end_ns {
                self.send_after_thought(thought.slot)?;
            }
            self.now_ns = now_ns();
        }
        Ok(())
    }

    fn send_after_thought(&mut self, index: usize) -> Result<()> {
        if self.is_mixed() {
            return self.send_of_client(index);
        }
        let slot = &self.slots[index];
        match slot.state {
            State::Open if slot.pending.is_empty() && !self.plan.new_connection => {
                self.send_now(index)
            }
            State::Down if slot.retry_ns <= self.now_ns => self.connect_with_request(index),
            // One that pauses after a failure is opened again, and its client thinks then.
            _ => Ok(()),
        }
    }
}
