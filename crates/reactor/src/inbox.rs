//! Handing sockets to a loop that may be asleep.
//!
//! A loop that is awake looks into its inbox before it sleeps, so it need not be woken: the bell,
//! a system call and a wake-up, rings only for one that sleeps.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};
use os::net::Bell;

/// The sender's end. Dropping the last one tells the loop that nothing will come any more.
#[derive(Debug)]
pub struct Mailbox {
    sender: Option<Sender<OwnedFd>>,
    shared: Arc<Shared>,
}

/// The loop's end.
#[derive(Debug)]
pub struct Inbox {
    receiver: Receiver<OwnedFd>,
    open: bool,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    bell: Bell,
    asleep: AtomicBool,
}

/// A mailbox and its inbox, for at most `max` sockets on their way.
///
/// # Errors
/// Descriptors have run out.
pub fn inbox(max: usize) -> Result<(Mailbox, Inbox), os::Errno> {
    let (sender, receiver) = bounded(max);
    let shared = Arc::new(Shared {
        bell: Bell::new()?,
        asleep: AtomicBool::new(false),
    });
    Ok((
        Mailbox {
            sender: Some(sender),
            shared: Arc::clone(&shared),
        },
        Inbox {
            receiver,
            open: true,
            shared,
        },
    ))
}

impl Mailbox {
    /// Puts `socket` in; the loop need not look before [`wake`](Self::wake). Waits while the inbox is
    /// full: a sender that accepts then does not look at the door. False if the loop is gone.
    pub fn put(&self, socket: OwnedFd) -> bool {
        let Some(sender) = &self.sender else {
            return false;
        };
        match sender.try_send(socket) {
            Ok(()) => true,
            Err(TrySendError::Disconnected(_)) => false,
            Err(TrySendError::Full(socket)) => {
                self.wake();
                sender.send(socket).is_ok()
            }
        }
    }

    /// Wakes the loop if it sleeps with something in its inbox.
    pub fn wake(&self) {
        if !self.is_empty() && self.shared.asleep.swap(false, Ordering::SeqCst) {
            self.shared.bell.ring();
        }
    }

    /// Sockets on their way.
    pub fn len(&self) -> usize {
        self.sender.as_ref().map_or(0, Sender::len)
    }

    /// Whether none is on its way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.sender = None;
        self.shared.bell.ring();
    }
}

impl Inbox {
    /// What to watch for while asleep.
    pub fn bell(&self) -> &Bell {
        &self.shared.bell
    }

    /// Says that the loop is about to sleep. False if something came meanwhile: it must not.
    ///
    /// The sender sends, then looks whether the loop sleeps; the loop says so, then looks whether
    /// something was sent. One of them sees the other.
    pub fn may_sleep(&self) -> bool {
        self.shared.asleep.store(true, Ordering::SeqCst);
        self.receiver.is_empty()
    }

    /// Says that the loop is awake.
    pub fn awake(&self) {
        self.shared.asleep.store(false, Ordering::Relaxed);
    }

    /// The next socket, if one is there.
    pub fn take(&mut self) -> Option<OwnedFd> {
        let taken = self.receiver.try_recv();
        self.open = !matches!(taken, Err(TryRecvError::Disconnected));
        taken.ok()
    }

    /// Whether a take has found that nothing is there and nothing will come. It takes nothing: a
    /// socket that comes between two takes is not lost.
    pub fn is_closed(&self) -> bool {
        !self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> OwnedFd {
        std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into()
    }

    #[test]
    fn asking_whether_it_is_closed_loses_nothing() {
        let (mailbox, mut inbox) = inbox(1).unwrap();
        assert!(inbox.take().is_none() && !inbox.is_closed());
        assert!(mailbox.put(socket()));
        assert!(!inbox.is_closed() && !inbox.is_closed());
        assert!(inbox.take().is_some(), "it is still there");
        drop(mailbox);
        assert!(inbox.take().is_none() && inbox.is_closed());
    }

    /// A sender that sends, then looks, and a loop that says it sleeps, then looks, never both miss.
    #[test]
    fn no_socket_is_slept_over() {
        for _ in 0..2_000 {
            let (mailbox, mut inbox) = inbox(1).unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    assert!(mailbox.put(socket()));
                    mailbox.wake();
                });
                while inbox.take().is_none() {
                    if inbox.may_sleep() {
                        let mut fds = [os::net::PollFd::new(inbox.bell(), os::net::PollFlags::IN)];
                        let rung = os::net::poll(&mut fds, Some(std::time::Duration::from_secs(5)));
                        assert_eq!(rung, Ok(1), "asleep with a socket in the inbox");
                    }
                    inbox.awake();
                }
            });
        }
    }
}
