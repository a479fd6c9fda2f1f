//! Handing sockets to a loop that may be asleep.
//!
//! A loop that is awake looks into its inbox before it sleeps, so it need not be woken: the bell,
//! a system call and a wake-up, rings only for one that sleeps.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};
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
        Inbox { receiver, shared },
    ))
}

impl Mailbox {
    /// Hands `socket` over. Waits while the inbox is full: a sender that accepts then does not look
    /// at the door. False if the loop is gone.
    pub fn send(&self, socket: OwnedFd) -> bool {
        let sent = self
            .sender
            .as_ref()
            .is_some_and(|sender| sender.send(socket).is_ok());
        self.shared.wake();
        sent
    }
}

impl Mailbox {
    /// Sockets on their way.
    #[allow(clippy::len_without_is_empty)] // A load to compare, not a collection.
    pub fn len(&self) -> usize {
        self.sender.as_ref().map_or(0, Sender::len)
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.sender = None;
        self.shared.bell.ring();
    }
}

impl Shared {
    fn wake(&self) {
        if self.asleep.swap(false, Ordering::SeqCst) {
            self.bell.ring();
        }
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
    pub fn take(&self) -> Option<OwnedFd> {
        self.receiver.try_recv().ok()
    }

    /// Whether nothing is there and nothing will come.
    pub fn is_closed(&self) -> bool {
        matches!(
            self.receiver.try_recv(),
            Err(crossbeam_channel::TryRecvError::Disconnected)
        )
    }
}
