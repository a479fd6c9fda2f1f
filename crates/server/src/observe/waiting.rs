//! Requests that are in flight while no worker computes them: their replies are delayed, or awaited.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use proto::{AsyncReply, Pending, Response};

/// One of them, until this is dropped, by whichever worker has its connection then.
#[derive(Debug)]
pub(crate) struct Waiting(&'static AtomicU64);

impl Waiting {
    /// One more in `count`.
    pub(crate) fn begin(count: &'static AtomicU64) -> Waiting {
        count.fetch_add(1, Ordering::Relaxed);
        Waiting(count)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The same reply, counted in `count` while it is awaited. One that is there at once is never counted.
pub(crate) fn counted(pending: Pending, count: &'static AtomicU64) -> Pending {
    Box::pin(Counted {
        pending,
        count,
        waiting: None,
    })
}

struct Counted {
    pending: Pending,
    count: &'static AtomicU64,
    waiting: Option<Waiting>,
}

impl AsyncReply for Counted {
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let polled = self.pending.as_mut().poll(cx);
        if polled.is_ready() {
            self.waiting = None;
        } else if self.waiting.is_none() {
            self.waiting = Some(Waiting::begin(self.count));
        }
        polled
    }

    fn fill(mut self: Pin<&mut Self>, response: &mut Response<'_>) {
        self.pending.as_mut().fill(response);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};
    use std::task::Waker;

    use proto::{Fill, pending};

    use super::*;

    fn fill() -> Fill {
        Box::new(|response| {
            response.status(204);
        })
    }

    fn count() -> &'static AtomicU64 {
        &os::shared::words(1).unwrap()[0]
    }

    fn poll(pending: &mut Pending) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        pending.as_mut().poll(&mut context).is_ready()
    }

    #[test]
    fn what_is_awaited_counts_until_it_is_there_or_dropped() {
        let count = count();
        let now = || count.load(Ordering::Relaxed);
        let mut polls = 0;
        let late = std::future::poll_fn(move |_| {
            polls += 1;
            match polls {
                1 | 2 => Poll::Pending,
                _ => Poll::Ready(fill()),
            }
        });
        let mut late = counted(pending(late), count);
        let mut never = counted(pending(std::future::pending()), count);
        assert_eq!(now(), 0);
        assert!(!poll(&mut late) && !poll(&mut late) && !poll(&mut never));
        assert_eq!(now(), 2);
        assert!(poll(&mut late));
        assert_eq!(now(), 1);
        drop(never);
        assert_eq!(now(), 0);
    }

    #[test]
    fn what_is_there_at_once_does_not_count() {
        let count = count();
        let at_once: Ready<Fill> = ready(fill());
        let mut at_once = counted(pending(at_once), count);
        assert!(poll(&mut at_once));
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }
}
