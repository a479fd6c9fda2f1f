//! What models cannot do by design. Everything that is not here must work in every model.

use crate::harness::Column;

const ONE_CLIENT: &str = "one client at a time: the others wait in the backlog until it has gone, which its deadlines bound";
const NEVER_RESTS: &str =
    "it tries every socket all the time, whatever happens: one CPU is always busy, never more";
const ONLY_TCP: &str =
    "SO_REUSEPORT spreads nothing over Unix sockets: it refuses them in one line before it listens";
const HASHED: &str = "what hashes to a busy child waits for it, even if another is free: as long as the deadlines let its client stay";
const THREAD_ENDS: &str = "a thread per request: its connection to the back end ends with it";
const PROCESS_ENDS: &str = "a process per request: its connection to the back end ends with it";
const PROCESS_GONE: &str = "the process that answered has ended with its request";
const PASSED_WHOLE: &str = "a request is passed to its process whole: a body beyond --body-bytes-max, which memory need not hold elsewhere, is refused with 413";
const ONE_THREAD: &str =
    "one thread computes: while it is blocked, so are all requests, as long as the call takes";
const LOCK_STAYS: &str = "while the others sleep, the loop that has the lock takes everybody: it is killed with all its clients";
const THREAD_GONE: &str = "the thread that answered has ended with its event";
const ASIDE: &str = "what blocks is served aside, so no client waits behind it in the backlog";
const ONE_WORKER_EACH: &str = "a persistent connection occupies a worker until it ends, at the latest after --idle-ms without a request";

/// (row, model or one variant of it, why not).
pub const DESIGN: &[(&str, &str, &str)] = &[
    (TWO_HUNDRED, "iterative", ONE_CLIENT),
    (OTHERS_DURING_WAIT, "iterative", ONE_CLIENT),
    (OTHERS_DURING_UNREAD, "iterative", ONE_CLIENT),
    (OTHERS_DURING_SLOW_HEADS, "iterative", ONE_CLIENT),
    (OUT_OF_DESCRIPTORS, "single-reactor:busy", NEVER_RESTS),
    (UNIX, "prefork:reuseport", ONLY_TCP),
    (UNIX, "multi-reactor:reuseport", ONLY_TCP),
    (UNIX, "proactor:reuseport", ONLY_TCP),
    (UNIX, "multi-reactor:processes-reuseport", ONLY_TCP),
    (RESTART_UNIX, "prefork:reuseport", ONLY_TCP),
    (RESTART_UNIX, "multi-reactor:reuseport", ONLY_TCP),
    (RESTART_UNIX, "proactor:reuseport", ONLY_TCP),
    (RESTART_UNIX, "multi-reactor:processes-reuseport", ONLY_TCP),
    (UNIX_MODE, "prefork:reuseport", ONLY_TCP),
    (UNIX_MODE, "multi-reactor:reuseport", ONLY_TCP),
    (UNIX_MODE, "proactor:reuseport", ONLY_TCP),
    (UNIX_MODE, "multi-reactor:processes-reuseport", ONLY_TCP),
    (FOREIGN_PATH, "prefork:reuseport", ONLY_TCP),
    (FOREIGN_PATH, "multi-reactor:reuseport", ONLY_TCP),
    (FOREIGN_PATH, "proactor:reuseport", ONLY_TCP),
    (FOREIGN_PATH, "multi-reactor:processes-reuseport", ONLY_TCP),
    (SECOND_SERVER, "prefork:reuseport", ONLY_TCP),
    (SECOND_SERVER, "multi-reactor:reuseport", ONLY_TCP),
    (SECOND_SERVER, "proactor:reuseport", ONLY_TCP),
    (SECOND_SERVER, "multi-reactor:processes-reuseport", ONLY_TCP),
    (DESCRIPTORS_AND_LOG, "single-reactor:busy", NEVER_RESTS),
    (STALE, "prefork:reuseport", ONLY_TCP),
    (STALE, "multi-reactor:reuseport", ONLY_TCP),
    (STALE, "proactor:reuseport", ONLY_TCP),
    (STALE, "multi-reactor:processes-reuseport", ONLY_TCP),
    (SEVERAL, "prefork:reuseport", ONLY_TCP),
    (SEVERAL, "multi-reactor:reuseport", ONLY_TCP),
    (SEVERAL, "proactor:reuseport", ONLY_TCP),
    (SEVERAL, "multi-reactor:processes-reuseport", ONLY_TCP),
    (SLOWEST_READER, "prefork:reuseport", ONLY_TCP),
    (SLOWEST_READER, "multi-reactor:reuseport", ONLY_TCP),
    (SLOWEST_READER, "proactor:reuseport", ONLY_TCP),
    (
        SLOWEST_READER,
        "multi-reactor:processes-reuseport",
        ONLY_TCP,
    ),
    (DRIPPING_READER, "prefork:reuseport", ONLY_TCP),
    (DRIPPING_READER, "multi-reactor:reuseport", ONLY_TCP),
    (DRIPPING_READER, "proactor:reuseport", ONLY_TCP),
    (
        DRIPPING_READER,
        "multi-reactor:processes-reuseport",
        ONLY_TCP,
    ),
    (DRAIN_WITHOUT_DESCRIPTORS, "iterative", ONE_CLIENT),
    (
        DRAIN_WITHOUT_DESCRIPTORS,
        "single-reactor:busy",
        NEVER_RESTS,
    ),
    (DRAIN_WITHOUT_DESCRIPTORS, "prefork:reuseport", HASHED),
    (TWO_HUNDRED, "prefork:reuseport", HASHED),
    (OTHERS_DURING_WAIT, "prefork:reuseport", HASHED),
    (OTHERS_DURING_UNREAD, "prefork:reuseport", HASHED),
    (OTHERS_DURING_SLOW_HEADS, "prefork:reuseport", HASHED),
    (WORKER_KILLED, "prefork:reuseport", HASHED),
    (WORKER_KILLED, "multi-reactor:processes-lock", LOCK_STAYS),
    (DRAIN_BACKLOG, "async-tasks", ASIDE),
    (ENDLESS, "prefork:reuseport", HASHED),
    (WORKERS_TERMINATED, "prefork:reuseport", HASHED),
    (DRAIN_IDLE, "prefork:reuseport", HASHED),
    (DRAIN_LAST_REQUEST, "prefork:reuseport", HASHED),
    (DRAIN_RACE, "prefork:reuseport", HASHED),
    (WHOAMI, "multi-reactor:thread-per-event", THREAD_GONE),
    (CAPPED, "iterative", ONE_CLIENT),
    (CAPPED_CROWD, "iterative", ONE_CLIENT),
    (UNIX_UNCAPPED, "iterative", ONE_CLIENT),
    (IN_FLIGHT, "iterative", ONE_CLIENT),
    (CAPPED, "prefork:reuseport", HASHED),
    (CAPPED_CROWD, "prefork:reuseport", HASHED),
    (IN_FLIGHT, "prefork:reuseport", HASHED),
    (UNIX_UNCAPPED, "prefork:reuseport", ONLY_TCP),
    (UNIX_UNCAPPED, "multi-reactor:reuseport", ONLY_TCP),
    (UNIX_UNCAPPED, "proactor:reuseport", ONLY_TCP),
    (UNIX_UNCAPPED, "multi-reactor:processes-reuseport", ONLY_TCP),
    (MORE_THAN_WORKERS, "iterative", ONE_CLIENT),
    (MORE_THAN_WORKERS, "fork-per-client", ONE_WORKER_EACH),
    (MORE_THAN_WORKERS, "prefork", ONE_WORKER_EACH),
    (MORE_THAN_WORKERS, "thread-per-client", ONE_WORKER_EACH),
    (MORE_THAN_WORKERS, "thread-pool", ONE_WORKER_EACH),
    (MORE_THAN_WORKERS, "proactor:posix-aio", ONE_WORKER_EACH),
    (SLOW_SIXTY, "iterative", ONE_CLIENT),
    (SLOW_SIXTY, "fork-per-client", ONE_WORKER_EACH),
    (SLOW_SIXTY, "prefork", ONE_WORKER_EACH),
    (SLOW_SIXTY, "thread-per-client", ONE_WORKER_EACH),
    (SLOW_SIXTY, "thread-pool", ONE_WORKER_EACH),
    (SLOW_SIXTY, "proactor:posix-aio", ONE_WORKER_EACH),
    (SLOW_ONE_WORKER, "iterative", ONE_CLIENT),
    (SLOW_ONE_WORKER, "fork-per-client", ONE_WORKER_EACH),
    (SLOW_ONE_WORKER, "prefork", ONE_WORKER_EACH),
    (SLOW_ONE_WORKER, "thread-per-client", ONE_WORKER_EACH),
    (SLOW_ONE_WORKER, "thread-pool", ONE_WORKER_EACH),
    (SLOW_ONE_WORKER, "proactor:posix-aio", ONE_WORKER_EACH),
    (OTHERS_BEHIND_WAIT, "iterative+front", ONE_THREAD),
    (WHOAMI, "thread-per-client+front", THREAD_GONE),
    (ASKED_AGAIN, "thread-per-client+front", THREAD_ENDS),
    (ASKED_AGAIN, "fork-per-client+front", PROCESS_ENDS),
    (WHOAMI, "fork-per-client+front", PROCESS_GONE),
    (LARGE_AS_IT_COMES, "fork-per-client+front", PASSED_WHOLE),
    (LARGE_AS_IT_COMES, "prefork+front", PASSED_WHOLE),
    (LARGE_FOR_A_PROGRAM, "fork-per-client+front", PASSED_WHOLE),
    (LARGE_FOR_A_PROGRAM, "prefork+front", PASSED_WHOLE),
    (EARLY_REPLY, "fork-per-client+front", PASSED_WHOLE),
    (EARLY_REPLY, "prefork+front", PASSED_WHOLE),
    (BOTH_WAYS, "fork-per-client+front", PASSED_WHOLE),
    (BOTH_WAYS, "prefork+front", PASSED_WHOLE),
    (PHP_BOTH_WAYS, "fork-per-client+front", PASSED_WHOLE),
    (PHP_BOTH_WAYS, "prefork+front", PASSED_WHOLE),
];

pub const CAPPED: &str = "cap per address: the next is closed at once";
pub const CAPPED_CROWD: &str = "cap per address: of a crowd, so many are served";
pub const UNIX_UNCAPPED: &str = "cap and rate per address: unix sockets have none";
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
pub const DRAIN_BACKLOG: &str = "drain: the backlog is served";
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
    let mut all = DESIGN.iter().filter(|_| !column.needs_a_super_server());
    // A front lifts what a model cannot do.
    let is_its = |by: &str| (!column.front && by == column.model) || by == column.label();
    all.find(|(of, by, _)| *of == row && is_its(by))
        .map(|(_, _, why)| *why)
}
