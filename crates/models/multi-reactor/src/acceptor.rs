//! The acceptor: the main thread accepts, and gives each socket to the loop with the least to do.

use reactor::{Inbox, Mailbox, inbox};
use server::{Acceptor, Server};

/// A mailbox per loop, for the acceptor, and its inbox, for the loop.
///
/// # Errors
/// Descriptors have run out.
pub(crate) fn inboxes(server: &Server) -> server::Result<(Vec<Mailbox>, Vec<Inbox>)> {
    let pairs = (0..server.workers).map(|_| inbox(server.limits.queue_max));
    Ok(pairs.collect::<Result<Vec<_>, _>>()?.into_iter().unzip())
}

/// Says that the server is ready, and accepts until drained.
///
/// # Errors
/// None that a listener can cause.
pub(crate) fn accept(server: &Server, mailboxes: Vec<Mailbox>) -> server::Result {
    let mut acceptor = Acceptor::new(server)?;
    let (mut sockets, mut next) = (Vec::new(), 0);
    server.ready();
    while acceptor.accept(&mut sockets) {
        for socket in sockets.drain(..) {
            next = least_loaded(server, &mailboxes, next);
            // This fails only if the loop has panicked, and then the process is about to end.
            mailboxes[next].put(socket);
        }
        mailboxes.iter().for_each(Mailbox::wake);
    }
    Ok(())
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
