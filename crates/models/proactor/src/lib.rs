//! **Proactor**: operations are begun, the kernel carries them out, and one loop handles what is
//! complete.
//!
//! ```text
//!             ┌───────────── kernel ──────────────┐   ┌────────────── loop ──────────────┐
//!   clients ═▶│ accept │ read, into lent buffers  │──▶│ wait ─▶ for each complete: compute │
//!             │ write, out of lent buffers        │◀──│         begin the next operations  │
//!             └───────────────────────────────────┘   └────────────────────────────────────┘
//! ```
//!
//! accepts: the kernel · reads: the kernel · computes: the loop · writes: the kernel
//!
//! A reactor is told that it could read now; a proactor is told what was read. Every listener has one
//! accept that goes on by itself, every connection one receive, and both deliver into the loop's
//! completion queue; receives fill buffers that all connections share, so an idle one owns none.
//! Replies are queued, and one system call a batch submits them all and waits for what comes next.
//! A reply after which there is nothing to do but wait succeeds in silence.
//!
//! **Cost.** A connection: a close, and its share of the waits; no accept, no registration. A
//! request: its share of one `io_uring_enter` for the whole batch, and nothing else: 1 call with one
//! client, 0.05 with 64 busy ones. One copy out of the kernel into a shared buffer, one back.
//!
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls a connection | calls a request | wake-ups a connection, 8 workers |
//! |---|---|---|---|---|
//! | `io-uring` | `io_uring_enter` | `close`, `io_uring_enter` ×2 | `io_uring_enter` | 3 |
//! | `posix-aio` | `rt_sigtimedwait` | `accept4` ×2, `close`, `getpid`, `getuid`, `pread64`, `read`, `rt_sigqueueinfo`, `rt_sigtimedwait` ×2, `setsockopt`, (`futex`) | `getpid` ×2, `getuid` ×2, `pread64`, `pwrite64`, `read`, `rt_sigqueueinfo` ×2, `rt_sigtimedwait` ×2, `write`, (`futex`) | 9 |
//!
//! **What breaks it.** A handler that computes or blocks: everybody waits for it. A second CPU: it
//! is never used, for of several rings that wait at one listener the kernel wakes the same one always
//! (two rings, 200 connections: 200 to one), so a ring per thread would need a listener each.
//! Kernels before 6.1, and containers whose seccomp filter forbids io_uring: it says so and exits.
//!
//! **When to pick it.** Many connections, short handlers, one CPU, and system calls are what costs.
//!
//! **Variants.** `posix-aio` is the proactor of the standard library: `aio_read` and `aio_write`,
//! which glibc has helper threads do. accepts: the loop · reads: a helper thread · computes: the
//! loop · writes: a helper thread. An end is told by a real-time signal that carries the
//! connection, a new connection by a signal of the listener, so one `rt_sigtimedwait` waits for
//! everything; `aio_suspend` would search a list of all operations at each wake-up, and knows no
//! listeners. (A signal that the full queue has dropped is made up for by a look, twice a second.)
//! glibc serves the requests for one descriptor one after another, so a connection has one operation
//! at a time, and a helper waits in `read` for each idle client: `--workers`, 512 unless told, bounds
//! both helpers and connections, and it stops looking at the listener there. `aio_cancel` cannot end what
//! a helper has begun, so receives end with the socket's timeout, as in blocking models. A request
//! costs a `pread64` and a `pwrite64` that fail with ESPIPE before the `read` and the `write` that
//! do it, two signals sent and taken, and four switches between threads; an idle connection costs a
//! thread and a buffer. It is here to be measured.
//!
//! **Source.** Pyarali, Harrison, Schmidt, Jordan, *Proactor*, POSA2; Axboe, *Efficient IO with
//! io_uring*; Windows completion ports.

mod aio;
mod uring;

use server::{Count, Model, Needs, Roles, Variant, Workers};

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
            summary: "The kernel accepts, reads and writes; one loop computes on what is complete.",
            pick_when: "connections are many, handlers short, and system calls are what costs",
            breaks_when: "a handler computes or blocks: everybody waits for it; or io_uring is forbidden",
            workers: Workers::ONE_LOOP,
            needs: Needs {
                kernel: os::ring::Ring::probe,
                ..Needs::USUAL
            },
            run: |server| uring::Proactor::new(server)?.run(),
        },
        Variant {
            name: "posix-aio",
            roles: Roles {
                accepts: "the loop",
                reads: "a helper thread",
                computes: "the loop",
                writes: "a helper thread",
            },
            summary: "Helper threads of the C library read and write; one loop computes on what is complete.",
            pick_when: "never, but to know its price: a thread a client would serve the same in a third of the calls",
            breaks_when: "there are more clients than helper threads: an idle one occupies one",
            workers: Workers::threads(Count::UpTo(512)),
            needs: Needs::USUAL,
            run: |server| {
                aio::Proactor::new(server)?.run();
                Ok(())
            },
        },
    ],
};
