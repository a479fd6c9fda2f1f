//! What models cannot do by design. Everything that is not here must work in every model.

use turnstile::{Calls, Count, Holds};

use crate::harness::Column;

/// What a model cannot do by design.
#[derive(Debug, Clone, Copy)]
enum Limit {
    OneClient,
    NeverRests,
    OnlyTcp,
    Hashed,
    ThreadEnds,
    ThreadGone,
    ProcessEnds,
    ProcessGone,
    PassedWhole,
    OneThread,
    LockStays,
    OneWorkerEach,
    Unaged,
}

impl Limit {
    /// Whether a model has it: what it says of its workers tells.
    fn is_of(self, column: &Column) -> bool {
        let workers = &column.own.workers;
        let holds_workers = workers.holds == Holds::Workers;
        match self {
            Limit::OneClient => column.has_one_client(),
            Limit::NeverRests => column.never_rests(),
            Limit::OnlyTcp => column.has_own_listeners(),
            Limit::Hashed => column.has_own_listeners() && holds_workers,
            Limit::ThreadEnds => {
                column.starts_for_requests() && !workers.processes && column.gateway
            }
            Limit::ThreadGone => column.starts_for_requests() && !workers.processes,
            Limit::ProcessEnds => {
                column.starts_for_requests() && workers.processes && column.gateway
            }
            Limit::ProcessGone => column.starts_for_requests() && workers.processes,
            Limit::PassedWhole => column.front && workers.processes,
            Limit::OneThread => column.front && workers.count == Count::One,
            Limit::LockStays => column.own.needs.accept_lock && workers.holds == Holds::Many,
            Limit::OneWorkerEach => holds_workers,
            Limit::Unaged => !holds_workers || workers.calls != Calls::Worker,
        }
    }

    /// In words, with what bounds the harm.
    fn why(self) -> &'static str {
        match self {
            Limit::OneClient => {
                "one client at a time: the others wait in the backlog until it has gone, which its deadlines bound"
            }
            Limit::NeverRests => {
                "it tries every socket all the time, whatever happens: one CPU is always busy, never more"
            }
            Limit::OnlyTcp => {
                "SO_REUSEPORT spreads nothing over Unix sockets: it refuses them in one line before it listens"
            }
            Limit::Hashed => {
                "what hashes to a busy child waits for it, even if another is free: as long as the deadlines let its client stay"
            }
            Limit::ThreadEnds => {
                "a thread per request: its connection to the back end ends with it"
            }
            Limit::ThreadGone => "the thread that answered has ended with its event",
            Limit::ProcessEnds => {
                "a process per request: its connection to the back end ends with it"
            }
            Limit::ProcessGone => "the process that answered has ended with its request",
            Limit::PassedWhole => {
                "a request is passed to its process whole: a body beyond --body-bytes-max, which memory need not hold elsewhere, is refused with 413"
            }
            Limit::OneThread => {
                "one thread computes: while it is blocked, so are all requests, as long as the call takes"
            }
            Limit::LockStays => {
                "while the others sleep, the loop that has the lock takes everybody: it is killed with all its clients"
            }
            Limit::OneWorkerEach => {
                "a persistent connection occupies a worker until it ends, at the latest after --idle-ms without a request"
            }
            Limit::Unaged => {
                "the kernel does not say how long a request has waited in a Unix socket, so a loop sheds only what waits behind others that it was woken for"
            }
        }
    }
}

use Limit::{
    Hashed, LockStays, NeverRests, OneClient, OneThread, OneWorkerEach, OnlyTcp, PassedWhole,
    ProcessEnds, ProcessGone, ThreadEnds, ThreadGone, Unaged,
};

/// (row, what a model may have that excuses it from the row).
const DESIGN: &[(&str, &[Limit])] = &[
    (TWO_HUNDRED, &[OneClient, Hashed]),
    (OTHERS_DURING_WAIT, &[OneClient, Hashed]),
    (OTHERS_DURING_UNREAD, &[OneClient, Hashed]),
    (OTHERS_DURING_SLOW_HEADS, &[OneClient, Hashed]),
    (OTHERS_BEHIND_WAIT, &[OneThread]),
    (CAPPED, &[OneClient, Hashed]),
    (CAPPED_CROWD, &[OneClient, Hashed]),
    (IN_FLIGHT, &[OneClient, Hashed]),
    (UNIX_UNCAPPED, &[OneClient, OnlyTcp]),
    (ALIKE, &[OneClient, Hashed]),
    (STANDING_UNIX, &[OneClient, OnlyTcp, Unaged]),
    (MORE_THAN_WORKERS, &[OneClient, OneWorkerEach]),
    (SLOW_SIXTY, &[OneClient, OneWorkerEach]),
    (SLOW_ONE_WORKER, &[OneClient, OneWorkerEach]),
    (OUT_OF_DESCRIPTORS, &[NeverRests]),
    (DRAIN_WITHOUT_DESCRIPTORS, &[OneClient, NeverRests, Hashed]),
    (DRAIN_IDLE, &[Hashed]),
    (DRAIN_LAST_REQUEST, &[Hashed]),
    (DRAIN_RACE, &[Hashed]),
    (ENDLESS, &[Hashed]),
    (WORKERS_TERMINATED, &[Hashed]),
    (WORKER_KILLED, &[Hashed, LockStays]),
    (UNIX, &[OnlyTcp]),
    (UNIX_MODE, &[OnlyTcp]),
    (FOREIGN_PATH, &[OnlyTcp]),
    (RESTART_UNIX, &[OnlyTcp]),
    (SECOND_SERVER, &[OnlyTcp]),
    (SEVERAL, &[OnlyTcp]),
    (STALE, &[OnlyTcp]),
    (SLOWEST_READER, &[OnlyTcp]),
    (DRIPPING_READER, &[OnlyTcp]),
    (WHOAMI, &[ThreadGone, ProcessGone]),
    (ASKED_AGAIN, &[ThreadEnds, ProcessEnds]),
    (LARGE_AS_IT_COMES, &[PassedWhole]),
    (LARGE_FOR_A_PROGRAM, &[PassedWhole]),
    (EARLY_REPLY, &[PassedWhole]),
    (BOTH_WAYS, &[PassedWhole]),
    (PHP_BOTH_WAYS, &[PassedWhole]),
];

pub const CAPPED: &str = "cap per address: the next is closed at once";
pub const CAPPED_CROWD: &str = "cap per address: of a crowd, so many are served";
pub const UNIX_UNCAPPED: &str = "cap and rate per address: unix sockets have none";
pub const ALIKE: &str = "clients that ask all the time are served alike";
pub const STANDING_UNIX: &str = "a standing queue is shed on a unix socket";
pub const IN_FLIGHT: &str = "in flight: one too many is refused";
pub const ASKED_AGAIN: &str = "gateway: a back end is asked again on its connection";
pub const LARGE_AS_IT_COMES: &str = "gateway: a large body goes on as it comes";
pub const LARGE_FOR_A_PROGRAM: &str = "gateway: a large body for a program";
pub const EARLY_REPLY: &str = "gateway: a reply before the body was sent";
pub const BOTH_WAYS: &str = "gateway: both ways at once";
pub const PHP_BOTH_WAYS: &str = "gateway: PHP-FPM, large both ways";
pub const SECOND_SERVER: &str = "unix socket, a second server while the first drains";
pub const DESCRIPTORS_AND_LOG: &str = "descriptors run out: few lines in the log";
pub const ACTIVATED: &str = "LISTEN_FDS: socket activation";
pub const RESTART_UNIX: &str = "restart: a unix socket";
pub const WORKERS_TERMINATED: &str = "SIGTERM to worker processes";
pub const UNIX_MODE: &str = "--unix-mode";
pub const FOREIGN_PATH: &str = "unix socket, replaced by another server";
pub const SLOWEST_READER: &str = "reader as slow as allowed gets all";
pub const DRIPPING_READER: &str = "dripping reader is cut";
pub const WORKER_KILLED: &str = "kill -9 of a worker";
pub const DRAIN_IDLE: &str = "drain: idle connections";
pub const DRAIN_LAST_REQUEST: &str = "drain: one last request";
pub const DRAIN_RACE: &str = "drain: request racing SIGTERM";
pub const OUT_OF_DESCRIPTORS: &str = "descriptors run out";
pub const DRAIN_WITHOUT_DESCRIPTORS: &str = "descriptors run out before a drain";
pub const ENDLESS: &str = "stream: endless ones end in a drain";
pub const WHOAMI: &str = "whoami";
pub const UNIX: &str = "unix socket";
pub const STALE: &str = "unix socket, stale";
pub const SEVERAL: &str = "several listeners";
pub const INHERITED: &str = "inherited listener";
pub const SUCCESSOR: &str = "inherited listener outlives a drain";
pub const SHUT_OUTSIDE: &str = "inherited listener is shut from outside";
pub const TWO_HUNDRED: &str = "two hundred connections at once";
pub const OTHERS_DURING_WAIT: &str = "others are served during a wait";
pub const OTHERS_DURING_UNREAD: &str = "others are served beside unread replies";
pub const OTHERS_DURING_SLOW_HEADS: &str = "others are served beside slow heads";
pub const OTHERS_BEHIND_WAIT: &str =
    "others are served while what was pipelined behind a wait blocks";
pub const SLOW_ONE_WORKER: &str = "slow clients, one worker and a full queue";
pub const SLOW_SIXTY: &str = "sixty slow heads, bodies and readers at once";
pub const MORE_THAN_WORKERS: &str = "more persistent connections than workers";

/// Why a model need not do `row`, if so. Where a super-server accepts, each client has a process.
pub fn excuse(row: &str, column: &Column) -> Option<&'static str> {
    if column.needs_a_super_server() {
        return None;
    }
    let (_, limits) = DESIGN.iter().find(|(of, _)| *of == row)?;
    let limit = limits.iter().find(|limit| limit.is_of(column))?;
    Some(limit.why())
}
