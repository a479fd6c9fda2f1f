//! The acceptor: the main thread accepts, and gives each socket to the loop with the least to do.

use reactor::{Inbox, Mailbox, inbox};
use server::{Backoff, Block, Phase, Server};

/// A mailbox per loop, for the acceptor, and its inbox, for the loop.
///
/// # Errors
/// Descriptors have run out.
pub(crate) fn inboxes(server: &Server) -> server::Result<(Vec<Mailbox>, Vec<Inbox>)> {
    let pairs = (0..server.workers).map(|_| inbox(server.limits.queue_max));
    Ok(pairs.collect::<Result<Vec<_>, _>>()?.into_iter().unzip())
}

/// Says that the server is ready, and accepts until drained. With as many connections as there may be it leaves
/// the listeners alone, and looks for room after pauses: a loop that closes a connection knows nothing of it.
///
/// # Errors
/// None that a listener can cause.
pub(crate) fn accept(server: &Server, mailboxes: Vec<Mailbox>) -> server::Result {
    server.make_listeners_nonblocking()?;
    let mut backoff = Backoff::new(server.limits.accept_pause_ms_max);
    let mut full = backoff.clone();
    let (mut sockets, mut next, mut accepted) = (Vec::new(), 0, 0);
    server.ready();
    loop {
        let room = room(server, accepted);
        if room == 0 {
            if server.drain.phase() == Phase::Cutting {
                server.shut_down_listeners();
                return Ok(());
            }
            let _ = server.wait_for_drain(full.pause()); // EINTR: a signal of the drain.
            continue;
        }
        full.reset();
        if !server.accept_batch(&mut sockets, room, &mut backoff) {
            return Ok(());
        }
        accepted += sockets.len() as u64;
        for socket in sockets.drain(..) {
            next = least_loaded(server, &mailboxes, next);
            // This fails only if the loop has panicked, and then the process is about to end.
            mailboxes[next].put(socket);
        }
        mailboxes.iter().for_each(Mailbox::wake);
    }
}

/// How many more connections there may be, with so many accepted and given to loops before.
fn room(server: &Server, accepted: u64) -> usize {
    let loops = &server.blocks[..server.workers];
    let closed: u64 = loops.iter().map(Block::closed).sum();
    let open = accepted.saturating_sub(closed);
    server.limits.connections_max.saturating_sub(open as usize)
}

/// The loop with the fewest connections, counting those in its inbox, of those that may have more; of equals, the
/// next in turn.
fn least_loaded(server: &Server, mailboxes: &[Mailbox], last: usize) -> usize {
    let count = mailboxes.len();
    let turn = (1..=count).map(|step| (last + step) % count);
    turn.min_by_key(|&number| {
        let load = server.blocks[number].open() + mailboxes[number].len() as u64;
        let is_full = load >= server.connections_max_of(number, count) as u64;
        (is_full, load)
    })
    .unwrap_or(0)
}
