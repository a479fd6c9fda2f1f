//! Wakes tasks whose reply is delayed.
//!
//! Such a delay stands for a back end, and tokio's own timers would not do for it: they count whole milliseconds, so
//! that a wait of 1 ms takes 1 to 3. The answer of a back end comes on a socket, which wakes its task at once. So does
//! the descriptor of this timer. Deadlines of clients, of which a millisecond is no matter, are left to tokio.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use os::timer::Timer;
use parking_lot::Mutex;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::watch::watch;

/// The moments at which tasks of a runtime are to be woken.
#[derive(Debug)]
pub struct Alarm {
    timer: AsyncFd<Timer>,
    waits: Mutex<BinaryHeap<Reverse<Wait>>>,
}

/// What a task keeps: until when the alarm knows of it.
#[derive(Debug, Default)]
pub struct Set(Option<Instant>);

/// A task that waits. They are ordered by time.
#[derive(Debug)]
struct Wait {
    until: Instant,
    waker: Waker,
}

impl Alarm {
    /// One of the runtime of the calling task.
    ///
    /// # Errors
    /// Descriptors or memory have run out.
    pub fn new() -> std::io::Result<Alarm> {
        Ok(Alarm {
            timer: watch(Timer::new()?, Interest::READABLE)?,
            waits: Mutex::default(),
        })
    }

    /// Whether this moment has come; if not, the task is woken then, or earlier. Its waker never changes.
    pub fn poll(&self, cx: &mut Context<'_>, until: Instant, set: &mut Set) -> Poll<()> {
        let now = Instant::now();
        if until <= now {
            set.0 = None;
            return Poll::Ready(());
        }
        if set.0 != Some(until) {
            set.0 = Some(until);
            let waker = cx.waker().clone();
            let mut waits = self.waits.lock();
            if waits
                .peek()
                .is_none_or(|Reverse(first)| until < first.until)
            {
                self.timer.get_ref().set(until - now);
            }
            waits.push(Reverse(Wait { until, waker }));
        }
        Poll::Pending
    }

    /// Wakes tasks when their moments have come, for as long as the runtime lives.
    pub async fn ring(&self) {
        let mut due = Vec::new();
        // It fails when the runtime ends.
        while let Ok(mut fired) = self.timer.readable().await {
            fired.get_inner().take();
            fired.clear_ready();
            self.take_due(&mut due);
            due.drain(..).for_each(Waker::wake);
        }
    }

    fn take_due(&self, due: &mut Vec<Waker>) {
        let mut waits = self.waits.lock();
        let now = Instant::now();
        while let Some(Reverse(first)) = waits.peek() {
            if first.until > now {
                self.timer.get_ref().set(first.until - now);
                return;
            }
            due.extend(waits.pop().map(|Reverse(wait)| wait.waker));
        }
    }
}

impl Ord for Wait {
    fn cmp(&self, other: &Wait) -> std::cmp::Ordering {
        self.until.cmp(&other.until)
    }
}

impl PartialOrd for Wait {
    fn partial_cmp(&self, other: &Wait) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Wait {
    fn eq(&self, other: &Wait) -> bool {
        self.until == other.until
    }
}

impl Eq for Wait {}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    /// Runs what `test` makes of an alarm that rings.
    fn with_alarm<F: Future>(test: impl FnOnce(Arc<Alarm>) -> F) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        runtime.expect("a runtime").block_on(async {
            let alarm = Arc::new(Alarm::new().expect("a descriptor"));
            let rings = Arc::clone(&alarm);
            tokio::spawn(async move { rings.ring().await });
            test(alarm).await
        });
    }

    #[test]
    fn tasks_are_woken_in_the_order_of_their_moments_and_not_before() {
        with_alarm(async |alarm| {
            let begun = Instant::now();
            let order = Arc::new(Mutex::new(Vec::new()));
            let mut tasks = tokio::task::JoinSet::new();
            // The first is set to 3 ms, then to something sooner, and behind it to what lies between.
            for wait_us in [3_000, 500, 1_500, 0, 1_500] {
                let (alarm, order) = (Arc::clone(&alarm), Arc::clone(&order));
                tasks.spawn(async move {
                    let until = begun + Duration::from_micros(wait_us);
                    let mut set = Set::default();
                    poll_fn(|cx| alarm.poll(cx, until, &mut set)).await;
                    assert!(Instant::now() >= until);
                    order.lock().push(wait_us);
                });
            }
            tasks.join_all().await;
            assert!(alarm.waits.lock().is_empty());
            let order = std::mem::take(&mut *order.lock());
            assert_eq!(order.len(), 5);
            assert_eq!(order.last(), Some(&3_000));
        });
    }

    #[test]
    fn a_moment_that_is_moved_counts() {
        with_alarm(async |alarm| {
            let mut set = Set::default();
            let far = Instant::now() + Duration::from_secs(3_600);
            let first = poll_fn(|cx| Poll::Ready(alarm.poll(cx, far, &mut set))).await;
            assert!(first.is_pending());
            let near = Instant::now() + Duration::from_micros(200);
            poll_fn(|cx| alarm.poll(cx, near, &mut set)).await;
            assert!(Instant::now() >= near);
        });
    }
}
