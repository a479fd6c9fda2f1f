//! **Proactor**: operations are submitted, the kernel carries them out, and one loop handles those
//! that are complete.
//!
//! ```text
//!             ┌───────────── kernel ──────────────┐   ┌─────────────── loop ───────────────┐
//!   clients ═▶│ accept │ read, into lent buffers  │──▶│ wait ─▶ for each complete: compute │
//!             │ write, out of lent buffers        │◀──│         submit the next operations │
//!             └───────────────────────────────────┘   └────────────────────────────────────┘
//! ```
//!
//! accepts: the kernel · reads: the kernel · computes: the loop · writes: the kernel
//!
//! A reactor is told that it can read; a proactor is told what was read. Every listener has one
//! accept that goes on by itself, every connection has one such receive, and both put their results
//! into the completion queue of the loop. Receives fill buffers that all connections share, so an
//! idle connection owns none. Replies are queued, and one system call per batch submits them all
//! and waits for the next completions. A reply after which the connection only waits completes
//! without a notice.
//!
//! **Cost.** Per connection: a close, and a share of the waits; no accept and no registration. Per
//! request: a share of one `io_uring_enter` per batch, and nothing else: 1 call with one client,
//! 0.05 with 64 busy ones. Each request is copied once out of the kernel into a shared buffer, and
//! each reply once back.
//!
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls per connection | calls per request | wake-ups per connection, 8 workers |
//! |---|---|---|---|---|
//! | `io-uring` | `io_uring_enter` | `close`, `io_uring_enter` ×2 | `io_uring_enter` | 3 |
//! | `posix-aio` | `rt_sigtimedwait` | `accept4` ×2, `close`, `getpid`, `getuid`, `pread64`, `read`, `rt_sigqueueinfo`, `rt_sigtimedwait` ×2, `setsockopt`, (`futex`) | `getpid` ×2, `getuid` ×2, `pread64`, `pwrite64`, `read`, `rt_sigqueueinfo` ×2, `rt_sigtimedwait` ×2, `write`, (`futex`) | 9 |
//! | `reuseport` | `io_uring_enter` ×3, `ppoll` | `close`, `io_uring_enter` ×2 | `io_uring_enter` | 2 |
//!
//! **What breaks it.** A handler that computes or blocks: all other connections wait for it. A
//! second CPU: the loop cannot use it, for if several rings wait at one listener, the kernel always
//! wakes the same one (of two rings, one got 200 of 200 connections); `reuseport` has a listener for
//! each. Kernels before 6.1, and containers whose seccomp filter forbids io_uring: the server says
//! so and exits.
//!
//! **When to pick it.** There are many connections, handlers are short, one CPU is enough, and
//! system calls are what costs.
//!
//! **Variants.**
//!
//! - `reuseport`: each thread has a ring, and a listener of its own, among which the kernel spreads
//!   the connections by their hash. accepts: the kernel · reads: the kernel · computes: a loop ·
//!   writes: the kernel. A call costs what it costs with one ring. What hashes to a busy loop waits
//!   for it, whichever loop is free; in a drain every loop empties every listener. TCP only.
//! - `posix-aio` is the proactor of the C library: helper threads of glibc carry out `aio_read`
//!   and `aio_write`. accepts: the loop · reads: a helper thread · computes: the loop · writes: a
//!   helper thread. A real-time signal that carries the token of the connection tells the loop
//!   that an operation has completed, and a signal of the listener that a client waits there, so
//!   one `rt_sigtimedwait` waits for everything; `aio_suspend` would search a list of all
//!   operations at each wake-up, and knows no listeners. (If the queue of signals was full and one
//!   was lost, the loop finds the operation by looking, twice per second.) glibc serves the
//!   operations of one descriptor one after another, so a connection has one operation at a time,
//!   and a helper thread waits in `read` for each idle client: `--workers`, 512 by default, bounds
//!   both helper threads and connections, and beyond it the loop accepts no client. `aio_cancel`
//!   cannot end an operation that a helper thread has begun, so receives end with the timeout of
//!   the socket, as in blocking models. A request costs a `pread64` and a `pwrite64` that fail
//!   with ESPIPE before the `read` and the `write` that succeed, two signals sent and received,
//!   and four switches between threads; an idle connection costs a thread and a buffer. It is here
//!   to be measured.
//!
//! **Source.** Pyarali, Harrison, Schmidt, Jordan, *Proactor*, POSA2; Axboe, *Efficient IO with
//! io_uring*; Windows completion ports.

mod aio;
mod uring;

use std::sync::{Arc, Barrier, mpsc};

use server::{Calls, Count, Model, Needs, Roles, Server, Threads, Topology, Variant, Workers};

/// The model.
pub const MODEL: Model = Model {
    name: "proactor",
    variants: &[
        Variant {
            name: "io-uring",
            roles: Roles {
                accepts: "the kernel",
                reads: "the kernel",
                computes: "the loop",
                writes: "the kernel",
            },
            summary: "The kernel accepts, reads and writes; one loop computes when requests are complete.",
            pick_when: "there are many connections, handlers are short, and system calls are what costs",
            breaks_when: "a handler computes or blocks: all other connections wait for it; or io_uring is forbidden",
            workers: Workers::ONE_LOOP.calling(None),
            needs: Needs {
                io_uring: true,
                kernel: os::ring::Ring::probe,
                ..Needs::USUAL
            },
            run: |server| {
                let ring = uring::Proactor::new(server, 0)?;
                server.ready();
                ring.run()
            },
        },
        Variant {
            name: "reuseport",
            roles: Roles {
                accepts: "the kernel",
                reads: "the kernel",
                computes: "a loop",
                writes: "the kernel",
            },
            summary: "A ring and a listener per thread; the kernel spreads connections by their hash.",
            pick_when: "the same, and CPUs are several",
            breaks_when: "there are few connections, or one loop is busy: what hashes to it waits for it",
            workers: Workers::LOOPS.calling(None),
            needs: Needs {
                io_uring: true,
                kernel: os::ring::Ring::probe,
                ..Needs::OWN_LISTENERS
            },
            run: rings,
        },
        Variant {
            name: "posix-aio",
            roles: Roles {
                accepts: "the loop",
                reads: "a helper thread",
                computes: "the loop",
                writes: "a helper thread",
            },
            summary: "Helper threads of the C library read and write; one loop computes when requests are complete.",
            pick_when: "you want to know what it costs; otherwise, a thread per client needs a third of the calls",
            breaks_when: "there are more clients than helper threads: each idle client occupies one",
            // One loop computes for all; the helper threads that connections occupy only read and write.
            workers: Workers {
                calls: Calls::Loop,
                topology: Topology::Loops,
                request: None,
                ..Workers::threads(Count::UpTo(512))
            },
            needs: Needs::SUPERSEDED,
            run: |server| {
                let proactor = aio::Proactor::new(server)?;
                server.ready();
                proactor.run();
                Ok(())
            },
        },
    ],
};

/// A ring per thread. All are made before the first serves, whose connections could take the
/// descriptors of the rest; and each by its own thread, as no other may use it.
fn rings(server: &'static Server) -> server::Result {
    let threads = Threads::new(server)?;
    let (made, results) = mpsc::channel();
    let gate = Arc::new(Barrier::new(server.workers + 1));
    for number in 0..server.workers {
        let (made, gate) = (made.clone(), Arc::clone(&gate));
        threads.spawn_at_once(number, move |number| {
            let ring = match uring::Proactor::new(server, number) {
                Ok(ring) => ring,
                Err(error) => return drop(made.send(Err(error.to_string()))),
            };
            let _ = made.send(Ok(())); // The main thread waits for it.
            gate.wait();
            if let Err(error) = ring.run() {
                panic!("ring {number}: {error}"); // Which ends the process.
            }
        })?;
    }
    // Without all rings the server does not start: those that are made wait at the gate until the
    // process ends.
    for _ in 0..server.workers {
        results.recv()??;
    }
    gate.wait();
    threads.finish();
    Ok(())
}
