//! The body of a request between the connection, which receives it, and the handler, which polls it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::BoxError;

/// From so many bytes on that a handler has not polled, nothing more is received.
const FULL_BYTES: usize = 256 << 10;

/// Where received pieces go in. Dropped before [`end`](Inlet::end), it breaks the body off.
#[derive(Debug)]
pub(crate) struct Inlet(Arc<Mutex<Queue>>);

/// Where they come out.
#[derive(Debug)]
pub(crate) struct Outlet(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    /// How many bytes the handler has not polled, if the length is known.
    left: Option<u64>,
    ended: bool,
    broken_off: bool,
    /// The handler will not poll again.
    unheard: bool,
    /// The handler has returned.
    returned: bool,
    handler: Option<Waker>,
    receiver: Option<Waker>,
}

impl Queue {
    /// Once the handler has returned, only its response polls, which is sent when all has come.
    fn is_full(&self) -> bool {
        self.bytes >= FULL_BYTES && !self.returned
    }
}

/// Says, when it is dropped, that the handler has returned.
#[derive(Debug)]
pub(crate) struct Ended(Arc<Mutex<Queue>>);

impl Drop for Ended {
    fn drop(&mut self) {
        let mut queue = lock(&self.0);
        queue.returned = true;
        wake_receiver(queue);
    }
}

/// A body of `bytes` bytes, or of unknown length.
pub(crate) fn inflow(bytes: Option<u64>) -> (Inlet, Outlet) {
    let queue = Arc::new(Mutex::new(Queue {
        left: bytes,
        ..Queue::default()
    }));
    (Inlet(Arc::clone(&queue)), Outlet(queue))
}

impl Inlet {
    pub(crate) fn push(&self, piece: &[u8]) {
        let mut queue = lock(&self.0);
        if !queue.unheard {
            queue.bytes += piece.len();
            queue.pieces.push_back(Bytes::copy_from_slice(piece));
        }
        wake(queue);
    }

    pub(crate) fn end(&self) {
        let mut queue = lock(&self.0);
        queue.ended = true;
        wake(queue);
    }

    /// To be dropped by the task of the handler when that has returned.
    pub(crate) fn told_at_the_end(&self) -> Ended {
        Ended(Arc::clone(&self.0))
    }

    pub(crate) fn is_full(&self) -> bool {
        lock(&self.0).is_full()
    }

    /// Waits until it is not full.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut queue = lock(&self.0);
        if !queue.is_full() {
            return Poll::Ready(());
        }
        queue.receiver = Some(cx.waker().clone());
        Poll::Pending
    }

    /// How many bytes wait to be polled.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.0).bytes
    }

    /// Whether the response is known, and does not depend on the rest of the body.
    pub(crate) fn has_enough(&self) -> bool {
        let queue = lock(&self.0);
        queue.returned && queue.unheard
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        let mut queue = lock(&self.0);
        queue.broken_off = !queue.ended;
        wake(queue);
    }
}

impl Outlet {
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        let mut queue = lock(&self.0);
        if let Some(piece) = queue.pieces.pop_front() {
            queue.bytes -= piece.len();
            if let Some(left) = &mut queue.left {
                *left = left.saturating_sub(piece.len() as u64);
            }
            wake_receiver(queue);
            return Poll::Ready(Some(Ok(piece)));
        }
        match (queue.ended, queue.broken_off) {
            (true, _) => Poll::Ready(None),
            (false, true) => Poll::Ready(Some(Err("the client has broken off".into()))),
            (false, false) => {
                queue.handler = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        let queue = lock(&self.0);
        queue.ended && queue.pieces.is_empty()
    }

    pub(crate) fn left(&self) -> Option<u64> {
        lock(&self.0).left
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        let mut queue = lock(&self.0);
        queue.unheard = true;
        queue.bytes = 0;
        queue.pieces.clear();
        wake_receiver(queue);
    }
}

/// Wakes the handler, outside of the lock.
fn wake(mut queue: MutexGuard<'_, Queue>) {
    let handler = queue.handler.take();
    drop(queue);
    if let Some(handler) = handler {
        handler.wake();
    }
}

fn wake_receiver(mut queue: MutexGuard<'_, Queue>) {
    let receiver = queue.receiver.take();
    drop(queue);
    if let Some(receiver) = receiver {
        receiver.wake();
    }
}

/// What is done under this lock cannot fail half-way.
fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
