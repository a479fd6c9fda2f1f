//! Handing things to a loop that may be asleep.
//!
//! A loop that is awake looks into its inbox before it sleeps, so it need not be woken: the waker,
//! a system call and a wake-up, is used only for one that sleeps.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};
use os::net::Waker;

use crate::sync::{AtomicBool, Ordering};

/// The sender's end. Dropping the last one tells the loop that nothing will come any more.
#[derive(Debug)]
pub struct Mailbox<T = OwnedFd> {
    sender: Option<Sender<T>>,
    shared: Arc<Shared>,
}

/// The loop's end.
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

/// A mailbox and its inbox, for at most `max` things on their way.
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
    /// Puts `thing` in; the loop need not look before [`wake`](Self::wake). Waits while the inbox is
    /// full: a sender that accepts then does not look at the listener. False if the loop is gone.
    pub fn put(&self, thing: T) -> bool {
        let Some(sender) = &self.sender else {
            return false;
        };
        match sender.try_send(thing) {
            Ok(()) => true,
            Err(TrySendError::Disconnected(_)) => false,
            Err(TrySendError::Full(thing)) => {
                self.wake();
                sender.send(thing).is_ok()
            }
        }
    }

    /// Wakes the loop if it sleeps with something in its inbox.
    pub fn wake(&self) {
        if !self.is_empty() && self.shared.asleep.swap(false, Ordering::SeqCst) {
            self.shared.waker.wake();
        }
    }

    /// Things on their way.
    pub fn len(&self) -> usize {
        self.sender.as_ref().map_or(0, Sender::len)
    }

    /// Whether none is on its way.
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
    /// What to watch for while asleep.
    pub fn waker(&self) -> &Waker {
        &self.shared.waker
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

    /// The next thing, if one is there.
    pub fn take(&mut self) -> Option<T> {
        let taken = self.receiver.try_recv();
        self.open = !matches!(taken, Err(TryRecvError::Disconnected));
        taken.ok()
    }

    /// Whether a take has found that nothing is there and nothing will come. It takes nothing: what
    /// comes between two takes is not lost.
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

    /// A sender that sends, then looks, and a loop that says it sleeps, then looks, never both miss.
    /// A loop that slept over something would sleep for ever, which shuttle reports.
    #[test]
    fn nothing_is_slept_over() {
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

    /// Sleeps until the waker is woken, as far as shuttle knows: it gives others their turn until then.
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
