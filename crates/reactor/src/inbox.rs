//! A queue to a loop that may be asleep.
//!
//! A loop that is awake looks into its inbox before it sleeps, so it need not be woken. The waker,
//! which costs a system call and a wake-up, is used only if the loop sleeps.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use os::net::Waker;

use crate::queue::send;
use crate::sync::{AtomicBool, Ordering};

/// The end of the sender. When the last one is dropped, the loop learns that nothing will come any
/// more.
#[derive(Debug)]
pub struct Mailbox<T = OwnedFd> {
    sender: Option<Sender<T>>,
    shared: Arc<Shared>,
}

/// The end of the loop.
#[derive(Debug)]
pub struct Inbox<T = OwnedFd> {
    receiver: Receiver<T>,
    open: bool,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    waker: Waker,
    asleep: AtomicBool,
}

/// A mailbox and its inbox, for at most `max` items at once.
///
/// # Errors
/// Descriptors have run out.
pub fn inbox<T>(max: usize) -> Result<(Mailbox<T>, Inbox<T>), os::Errno> {
    let (sender, receiver) = bounded(max);
    let shared = Arc::new(Shared {
        waker: Waker::new()?,
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

impl<T> Mailbox<T> {
    /// Adds `item`; the loop need not look before [`wake`](Self::wake). Waits while the inbox is
    /// full: a sender that accepts then stops accepting. False if the loop has ended.
    pub fn put(&self, item: T) -> bool {
        send(self.sender.as_ref(), item, || self.wake())
    }

    /// Wakes the loop if it sleeps with something in its inbox.
    pub fn wake(&self) {
        if !self.is_empty() && self.shared.asleep.swap(false, Ordering::SeqCst) {
            self.shared.waker.wake();
        }
    }

    /// Items in the inbox.
    pub fn len(&self) -> usize {
        self.sender.as_ref().map_or(0, Sender::len)
    }

    /// Whether the inbox is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Drop for Mailbox<T> {
    fn drop(&mut self) {
        self.sender = None;
        self.shared.waker.wake();
    }
}

impl<T> Inbox<T> {
    /// The waker, which the loop watches while it sleeps.
    pub fn waker(&self) -> &Waker {
        &self.shared.waker
    }

    /// Publishes that the loop is about to sleep. False if an item came meanwhile, so that it must
    /// not.
    ///
    /// The sender adds an item, then looks whether the loop sleeps; the loop publishes that it
    /// does, then looks whether there is an item. So one of them sees what the other did.
    pub fn may_sleep(&self) -> bool {
        self.shared.asleep.store(true, Ordering::SeqCst);
        self.receiver.is_empty()
    }

    /// Publishes that the loop is awake.
    pub fn awake(&self) {
        self.shared.asleep.store(false, Ordering::Relaxed);
    }

    /// The next item, if there is one.
    pub fn take(&mut self) -> Option<T> {
        let taken = self.receiver.try_recv();
        self.open = !matches!(taken, Err(TryRecvError::Disconnected));
        taken.ok()
    }

    /// Whether a take has found that the inbox is empty and nothing will come any more. It takes
    /// nothing itself, so an item that comes between two takes is not lost.
    pub fn is_closed(&self) -> bool {
        !self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shuttle::thread;

    #[test]
    fn asking_whether_it_is_closed_loses_nothing() {
        let (mailbox, mut inbox) = inbox(1).unwrap();
        assert!(inbox.take().is_none() && !inbox.is_closed());
        assert!(mailbox.put('a'));
        assert!(!inbox.is_closed() && !inbox.is_closed());
        assert_eq!(inbox.take(), Some('a'), "it is still there");
        drop(mailbox);
        assert!(inbox.take().is_none() && inbox.is_closed());
    }

    /// A sender that adds an item and then looks, and a loop that publishes that it sleeps and then
    /// looks, never both miss. A loop that slept although there is an item would sleep for ever,
    /// which shuttle reports.
    #[test]
    fn no_item_is_missed() {
        shuttle::check_random(
            || {
                let (mailbox, mut inbox) = inbox(4).unwrap();
                let mailbox = Arc::new(mailbox);
                let senders: Vec<_> = (0..2)
                    .map(|sender| {
                        let mailbox = Arc::clone(&mailbox);
                        thread::spawn(move || {
                            for part in 0..2 {
                                assert!(mailbox.put(2 * sender + part));
                                mailbox.wake();
                            }
                        })
                    })
                    .collect();
                let mut taken = Vec::new();
                while taken.len() < 4 {
                    inbox.awake();
                    while let Some(number) = inbox.take() {
                        taken.push(number);
                    }
                    if taken.len() < 4 && inbox.may_sleep() {
                        sleep(inbox.waker());
                    }
                }
                senders
                    .into_iter()
                    .for_each(|sender| sender.join().unwrap());
                taken.sort_unstable();
                assert_eq!(taken, [0, 1, 2, 3]);
            },
            1_500,
        );
    }

    /// Sleeps until the waker is woken, as far as shuttle knows: other threads run until then.
    fn sleep(waker: &Waker) {
        let mut looks = 0;
        let mut fds = [os::net::PollFd::new(waker, os::net::PollFlags::IN)];
        while os::net::poll(&mut fds, Some(std::time::Duration::ZERO)) != Ok(1) {
            looks += 1;
            assert!(looks < 1_000, "asleep with something in the inbox");
            thread::yield_now();
        }
        waker.clear();
    }
}
