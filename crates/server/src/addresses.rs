//! What each client address may have: so many connections at once, and so many requests per second.
//!
//! All processes of a server share one table, so that the caps are those of the server. An address is an
//! IPv4 address or the /64 of an IPv6 address, since that is what one client gets (RFC 6177, RFC 7421);
//! the peer of the socket counts and no field of a request, which anybody can make up. Unix sockets have
//! no address and no caps.
//!
//! The table is an open hash of sets of eight slots. A slot is one atomic word, the fingerprint of an
//! address with the number of its connections, and a second one for its rate. A set of eight that are all
//! in use has no room for another address: that one is *not* capped, and counted, because a full table
//! must not become a way to shut others out. A slot is free again when its address has no connection and
//! has been silent for as long as its rate remembers, a second at most.
//!
//! The rate is a token bucket in the form of GCRA (ITU-T I.371): one number per address, the time at
//! which its bucket would be full again. A bucket holds what comes in one second.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use proto::Limits;

use crate::Holds;

/// The table.
#[derive(Debug)]
pub(crate) struct Addresses {
    slots: &'static [Slot],
    /// By slot and worker process, how many connections of the slot it has; see [`Traces`].
    traces: Traces,
    /// Connections of an address at once.
    connections_max: u64,
    rate: Option<Rate>,
    /// Unknown to clients, so that they cannot choose addresses that share a set.
    seed: u64,
}

/// What is known of an address. All of it is 0 at first, and that is a free slot.
#[derive(Debug, Default)]
#[repr(align(16))]
struct Slot {
    /// The fingerprint of the address in the upper 48 bits, how many connections it has in the lower 16.
    word: AtomicU64,
    /// When its bucket will be full, monotonic ns.
    full_ns: AtomicU64,
}

/// Who has which connections, where workers are processes: one that is killed cannot give them back.
#[derive(Debug)]
enum Traces {
    /// All workers are threads of one process.
    None,
    /// A worker has one connection: its slot and one, or 0.
    One(&'static [AtomicU64]),
    /// A worker has many: how many of each slot, by worker and slot.
    Many(&'static [AtomicU64]),
}

/// A token bucket.
#[derive(Debug, Clone, Copy)]
struct Rate {
    /// From one token to the next.
    token_ns: u64,
    /// From empty to full.
    bucket_ns: u64,
}

/// A connection counts for its address until this is dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    table: &'static Addresses,
    slot: u32,
    worker: u32,
}

/// What came of a new connection.
#[derive(Debug)]
pub(crate) enum Entered {
    /// It counts.
    Counted(Counted),
    /// The address has as many as it may have.
    Refused,
    /// The table has no room for the address.
    Untracked,
}

/// Slots of a set: those of eight are two cache lines.
const WAYS: usize = 8;
const COUNT_BITS: u32 = 16;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
/// After so many attempts that others have crossed, the table counts as full for this connection.
const ATTEMPTS: usize = 64;

fn count(word: u64) -> u64 {
    word & COUNT_MASK
}

fn fingerprint(word: u64) -> u64 {
    word >> COUNT_BITS
}

impl Addresses {
    /// The table that these limits ask for, if they do, for so many workers: whether they are processes,
    /// and how many connections each has.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn new(
        limits: &Limits,
        (processes, holds): (bool, Holds),
        workers: usize,
    ) -> Result<Option<&'static Addresses>, os::Errno> {
        let connections = limits.connections_per_address_max;
        let rate = limits.rate_per_address_max;
        if connections == 0 && rate == 0 {
            return Ok(None);
        }
        let slots = limits.addresses_max.max(WAYS).next_power_of_two();
        let traces = match (processes, holds) {
            (false, _) => Traces::None,
            (true, Holds::One | Holds::Workers) => Traces::One(os::shared::words(workers)?),
            (true, Holds::Many) => Traces::Many(os::shared::words(workers * slots)?),
        };
        let table = Addresses {
            slots: os::shared::slice(slots)?,
            traces,
            // Without a cap of their own, connections are counted all the same: a slot with one stays.
            connections_max: match connections {
                0 => COUNT_MASK,
                most => most,
            },
            rate: (rate > 0).then(|| Rate {
                token_ns: (1_000_000_000 / rate).max(1),
                bucket_ns: 1_000_000_000,
            }),
            seed: RandomState::new().build_hasher().finish(),
        };
        Ok(Some(Box::leak(Box::new(table))))
    }

    /// The set of an address, and its fingerprint there.
    fn place(&self, addr: IpAddr) -> (&'static [Slot], usize, u64) {
        let mixed = mix(key(addr) ^ self.seed);
        let sets = self.slots.len() / WAYS;
        let first = (mixed as usize % sets) * WAYS;
        // A fingerprint of 0 would look like a free slot.
        let fingerprint = fingerprint(mixed).max(1);
        (&self.slots[first..first + WAYS], first, fingerprint)
    }

    /// Whether an address has as many connections as it may have.
    pub(crate) fn is_full(&self, addr: IpAddr) -> bool {
        let (set, _, fingerprint) = self.place(addr);
        connections(set, fingerprint) >= self.connections_max
    }

    /// Counts a connection of `addr` that `worker` has accepted.
    pub(crate) fn enter(&'static self, addr: IpAddr, worker: usize, now_ns: u64) -> Entered {
        let (set, first, fingerprint) = self.place(addr);
        for _ in 0..ATTEMPTS {
            let words = read(set);
            if connections(set, fingerprint) >= self.connections_max {
                return Entered::Refused;
            }
            let own = words.iter().position(|word| is_of(*word, fingerprint));
            let (way, next) = match own {
                Some(way) if count(words[way]) < COUNT_MASK => (way, words[way] + 1),
                Some(_) => return Entered::Untracked,
                None => {
                    let free = set.iter().zip(words).position(|(slot, word)| {
                        count(word) == 0 && slot.full_ns.load(Ordering::SeqCst) <= now_ns
                    });
                    match free {
                        Some(way) => (way, fingerprint << COUNT_BITS | 1),
                        None => return Entered::Untracked,
                    }
                }
            };
            let word = &set[way].word;
            if word
                .compare_exchange(words[way], next, Ordering::SeqCst, Ordering::SeqCst)
                .is_err()
            {
                continue;
            }
            // Another process may have taken another slot for the address at the same time. Both see the
            // other, both give up theirs, and then both find the first.
            if own.is_none()
                && read(set)
                    .iter()
                    .filter(|word| is_of(**word, fingerprint))
                    .count()
                    > 1
            {
                word.fetch_sub(1, Ordering::SeqCst);
                continue;
            }
            let slot = (first + way) as u32;
            let worker = worker as u32;
            self.trace(worker, slot);
            return Entered::Counted(Counted {
                table: self,
                slot,
                worker,
            });
        }
        Entered::Untracked
    }

    /// Takes a token of `addr`. `Err`: there is none for so many ns.
    pub(crate) fn take(&self, addr: IpAddr, now_ns: u64) -> Result<(), u64> {
        let Some(rate) = self.rate else {
            return Ok(());
        };
        let (set, _, fingerprint) = self.place(addr);
        // The connection of the request holds the slot.
        let own = set
            .iter()
            .find(|slot| is_of(slot.word.load(Ordering::SeqCst), fingerprint));
        let Some(slot) = own else {
            return Ok(()); // There was no room for the address.
        };
        loop {
            let full_ns = slot.full_ns.load(Ordering::SeqCst);
            let next_ns = full_ns.max(now_ns) + rate.token_ns;
            let missing_ns = next_ns.saturating_sub(now_ns + rate.bucket_ns);
            if missing_ns > 0 {
                return Err(missing_ns);
            }
            let set = slot.full_ns.compare_exchange_weak(
                full_ns,
                next_ns,
                Ordering::SeqCst,
                Ordering::SeqCst,
            );
            if set.is_ok() {
                return Ok(());
            }
        }
    }

    /// The process of `worker` has ended, with all its connections.
    pub(crate) fn forget(&self, worker: usize) {
        match self.traces {
            Traces::None => {}
            Traces::One(traces) => {
                let trace = traces[worker].swap(0, Ordering::SeqCst);
                if trace > 0 {
                    self.give_back(trace as usize - 1, 1);
                }
            }
            Traces::Many(traces) => {
                let own = &traces[worker * self.slots.len()..][..self.slots.len()];
                for (slot, trace) in own.iter().enumerate() {
                    // Pages that were never written are not written now.
                    if trace.load(Ordering::SeqCst) > 0 {
                        self.give_back(slot, trace.swap(0, Ordering::SeqCst));
                    }
                }
            }
        }
    }

    fn give_back(&self, slot: usize, connections: u64) {
        self.slots[slot]
            .word
            .fetch_sub(connections, Ordering::SeqCst);
    }

    fn trace(&self, worker: u32, slot: u32) {
        let (worker, slot) = (worker as usize, slot as usize);
        match self.traces {
            Traces::None => {}
            Traces::One(traces) => traces[worker].store(slot as u64 + 1, Ordering::SeqCst),
            Traces::Many(traces) => {
                traces[worker * self.slots.len() + slot].fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    fn untrace(&self, worker: u32, slot: u32) {
        let (worker, slot) = (worker as usize, slot as usize);
        match self.traces {
            Traces::None => {}
            Traces::One(traces) => traces[worker].store(0, Ordering::SeqCst),
            Traces::Many(traces) => {
                traces[worker * self.slots.len() + slot].fetch_sub(1, Ordering::SeqCst);
            }
        }
    }
}

/// The trace goes first: a process that is killed in between keeps a connection counted for ever, where
/// the other order would count that of another client as gone.
impl Drop for Counted {
    fn drop(&mut self) {
        self.table.untrace(self.worker, self.slot);
        self.table.give_back(self.slot as usize, 1);
    }
}

fn read(set: &[Slot]) -> [u64; WAYS] {
    std::array::from_fn(|way| set[way].word.load(Ordering::SeqCst))
}

fn is_of(word: u64, of: u64) -> bool {
    fingerprint(word) == of
}

/// Connections of an address in its set.
fn connections(set: &[Slot], fingerprint: u64) -> u64 {
    let own = read(set)
        .into_iter()
        .filter(|word| is_of(*word, fingerprint));
    own.map(count).sum()
}

/// A number for what counts as one client. Two clients never have the same.
fn key(addr: IpAddr) -> u64 {
    match addr.to_canonical() {
        // ff00::/8 is multicast (RFC 4291 section 2.7), so no peer has it.
        IpAddr::V4(addr) => 0xffff_ffff << 32 | u64::from(addr.to_bits()),
        IpAddr::V6(addr) => (addr.to_bits() >> 64) as u64,
    }
}

/// A permutation of all numbers that spreads them (the finalizer of SplitMix64).
fn mix(mut number: u64) -> u64 {
    number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests;
