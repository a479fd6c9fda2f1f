//! The tasks: one per listener that accepts, and one per connection.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use server::{Accepted, AsyncService, Backoff, Connection, Need, Server, Worker};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};

use crate::alarm::{Alarm, Set};
use crate::watch::{Borrowed, watch};

/// What the tasks of one runtime share.
#[derive(Debug)]
pub struct Tasks {
    server: &'static Server,
    /// A permit per connection that may be open. A task takes one before it accepts, so that
    /// nothing is accepted to be dropped.
    room: Arc<Semaphore>,
    /// The drain has begun.
    drain: Notify,
    /// Of replies that are delayed.
    alarm: Alarm,
}

impl Tasks {
    /// Accepts at every listener and serves at most `max` connections at once, until drained.
    ///
    /// # Errors
    /// Descriptors or memory have run out at the start.
    pub async fn accept_all(server: &'static Server, max: usize) -> server::Result {
        let max = u32::try_from(max.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let tasks = Arc::new(Tasks {
            server,
            room: Arc::new(Semaphore::new(max as usize)),
            drain: Notify::new(),
            alarm: Alarm::new()?,
        });
        let rings = Arc::clone(&tasks);
        tokio::spawn(async move { rings.alarm.ring().await });
        let mut acceptors = JoinSet::new();
        for (index, listener) in server.listeners.iter().enumerate() {
            let listener = watch(Borrowed(listener.as_fd()), Interest::READABLE)?;
            acceptors.spawn(Arc::clone(&tasks).accept(index, listener));
        }
        let waker = watch(Borrowed(server.waker.as_fd()), Interest::READABLE)?;
        server.ready();
        let _ = waker.readable().await?; // It is never cleared.
        tasks.drain.notify_waiters();
        while let Some(acceptor) = acceptors.join_next().await {
            acceptor?;
        }
        server.shut_down_listeners();
        // All permits are back when the last connection has ended.
        let _all = tasks.room.acquire_many(max).await?;
        Ok(())
    }

    /// Accepts at listener number `index` until the drain has emptied it.
    async fn accept(self: Arc<Self>, index: usize, mut listener: AsyncFd<Borrowed>) {
        let mut backoff = Backoff::new(self.server.limits.accept_pause_ms_max);
        let mut drain = pin!(self.drain.notified());
        // From here on the drain cannot be missed.
        drain.as_mut().enable();
        loop {
            let Ok(permit) = Arc::clone(&self.room).acquire_owned().await else {
                return; // The semaphore is never closed.
            };
            let accepted = if self.server.drain.has_begun() {
                self.server.accept_ready(index, &mut backoff)
            } else {
                poll_fn(|cx| {
                    if drain.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(Accepted::Interrupted);
                    }
                    self.poll_accept(cx, &mut listener, index, &mut backoff)
                })
                .await
            };
            match accepted {
                Accepted::Socket(socket) => self.spawn(socket, permit),
                Accepted::Interrupted => {}
                Accepted::Pause(pause) => {
                    // A connection that ends gives back what was short.
                    let _ = tokio::time::timeout(pause, ENDED.notified()).await;
                }
                Accepted::Empty => return,
            }
        }
    }

    /// Accepts as soon as a connection may wait at the listener.
    fn poll_accept(
        &self,
        cx: &mut Context<'_>,
        listener: &mut AsyncFd<Borrowed>,
        index: usize,
        backoff: &mut Backoff,
    ) -> Poll<Accepted> {
        loop {
            let Ok(mut ready) = ready!(listener.poll_read_ready_mut(cx)) else {
                return Poll::Ready(Accepted::Empty); // The runtime is shutting down.
            };
            match self.server.accept_ready(index, backoff) {
                Accepted::Empty => ready.clear_ready(),
                other => return Poll::Ready(other),
            }
        }
    }

    fn spawn(self: &Arc<Self>, socket: OwnedFd, permit: OwnedSemaphorePermit) {
        let tasks = Arc::clone(self);
        tokio::spawn(async move {
            let _permit = permit;
            let service = tasks.server.service.asynchronous();
            let connection = with_worker(tasks.server, |worker| match service {
                Some(_) => Connection::staged(socket, worker),
                None => Connection::new(socket, worker),
            });
            // Without memory for another registration the connection ends here. It is lent, because a future keeps
            // what it is given twice: as it was given, and as a local.
            let mut watched = watch(connection, Interest::READABLE | Interest::WRITABLE);
            if let Ok(connection) = &mut watched {
                serve(connection, service.as_deref(), &tasks).await;
            }
            drop(watched);
            ENDED.notify_one();
        });
    }
}

/// A connection of this process has ended.
static ENDED: Notify = Notify::const_new();

/// The task of a connection, from its first byte to its last.
async fn serve(
    connection: &mut AsyncFd<Connection>,
    service: Option<&dyn AsyncService>,
    tasks: &Tasks,
) {
    // Polled once: that registers the waker of this task, which never changes, so that the task is
    // woken when the drain begins. The deadline changes then.
    let mut drain = pin!(tasks.drain.notified());
    let _ = poll_fn(|cx| Poll::Ready(drain.as_mut().poll(cx).is_ready())).await;
    let deadline = connection.get_ref().deadline(tasks.server);
    let timer = pin!(tokio::time::sleep_until(deadline.into()));
    let mut timer = Timer {
        sleep: timer,
        wakes: false,
        alarm: &tasks.alarm,
        set: Set::default(),
    };
    let mut need = Need::Readable;
    while need != Need::Closed {
        need = match (need, service) {
            (Need::Compute, Some(service)) => {
                compute(connection.get_mut(), service, &mut timer, tasks.server).await
            }
            (Need::Time, Some(_)) => {
                poll_fn(|cx| ask(cx, connection, &mut timer, tasks.server)).await
            }
            _ => poll_fn(|cx| step(cx, connection, need, &mut timer, tasks.server)).await,
        };
    }
}

/// The timers of a task.
struct Timer<'t> {
    /// For deadlines, in whole milliseconds.
    sleep: Pin<&'t mut Sleep>,
    /// It will wake the task, whose waker never changes: it need not be polled until it has fired.
    wakes: bool,
    /// For a reply that is delayed.
    alarm: &'t Alarm,
    set: Set,
}

impl Timer<'_> {
    /// Whether this moment has come; if not, the task is woken then, or earlier.
    fn poll(&mut self, cx: &mut Context<'_>, moment: Instant) -> Poll<()> {
        // A later moment is set only when the timer has fired, so most requests do not touch it.
        if moment < self.sleep.deadline() || self.sleep.is_elapsed() {
            self.sleep.as_mut().reset(moment);
            self.wakes = false;
        }
        if self.wakes {
            return Poll::Pending;
        }
        let polled = self.sleep.as_mut().poll(cx);
        self.wakes = polled.is_pending();
        polled
    }
}

/// Asks the source of a streamed reply whenever the task is woken: it may have been the source.
fn ask(
    cx: &mut Context<'_>,
    connection: &mut AsyncFd<Connection>,
    timer: &mut Timer<'_>,
    server: &'static Server,
) -> Poll<Need> {
    match with_worker(server, |worker| connection.get_mut().ask(worker)) {
        Need::Time => step(cx, connection, Need::Time, timer, server),
        need => Poll::Ready(need),
    }
}

/// Awaits the reply to the request that was received, at most until the drain cuts the connection, and
/// returns what that needs next.
async fn compute(
    connection: &mut Connection,
    service: &dyn AsyncService,
    timer: &mut Timer<'_>,
    server: &'static Server,
) -> Need {
    let begun = match connection.take_begun() {
        Some(begun) => Ok(begun),
        None => with_worker(server, |worker| connection.begin(service, worker)),
    };
    let mut pending = match begun {
        Ok(pending) => pending,
        Err(need) => return need,
    };
    // Of a reply that is there at once, the clock of the receive is good enough.
    let mut at_once = true;
    let awaited = poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| pending.as_mut().poll(cx)));
        match polled {
            Ok(Poll::Ready(())) => return Poll::Ready(Awaited::Ready),
            Ok(Poll::Pending) => at_once = false,
            Err(_) => return Poll::Ready(Awaited::Panicked),
        }
        // The task is woken when a drain begins.
        let Some(began) = server.drain.began() else {
            return Poll::Pending;
        };
        let grace_ends = server.drain.grace_ends(began).into();
        timer.poll(cx, grace_ends).map(|()| Awaited::Late)
    });
    let ready = match awaited.await {
        Awaited::Ready => Some(pending),
        Awaited::Panicked => None,
        Awaited::Late => {
            server.count_cut();
            return Need::Closed;
        }
    };
    with_worker_as_it_is(server, |worker| {
        if !at_once {
            worker.tick();
        }
        connection.answer(ready, worker)
    })
}

/// What has come of a reply that was awaited.
enum Awaited {
    Ready,
    Panicked,
    /// The drain cuts its connection.
    Late,
}

/// Steps the connection as soon as `need` is there or the deadline has passed, and returns what it
/// needs next.
fn step(
    cx: &mut Context<'_>,
    connection: &mut AsyncFd<Connection>,
    need: Need,
    timer: &mut Timer<'_>,
    server: &'static Server,
) -> Poll<Need> {
    let ready = match need {
        Need::Readable => connection.poll_read_ready_mut(cx),
        Need::Writable => connection.poll_write_ready_mut(cx),
        Need::Time | Need::Compute | Need::Closed => Poll::Pending,
    };
    if let Poll::Ready(ready) = ready {
        let Ok(mut ready) = ready else {
            return Poll::Ready(Need::Closed); // The runtime is shutting down.
        };
        let connection = ready.get_inner_mut();
        let need = with_worker(server, |worker| connection.step(worker));
        if connection.would_block() {
            ready.clear_ready();
        }
        return Poll::Ready(need);
    }
    loop {
        let deadline = connection.get_ref().deadline(server);
        ready!(match need {
            Need::Time => timer.alarm.poll(cx, deadline, &mut timer.set),
            _ => timer.poll(cx, deadline.into()),
        });
        let connection = connection.get_mut();
        let expired = with_worker(server, |worker| {
            (connection.deadline(server) <= worker.now).then(|| connection.expire(worker))
        });
        if let Some(need) = expired {
            return Poll::Ready(need);
        }
    }
}

thread_local! {
    /// The buffers, the clock and the counters of this thread, for the task that runs.
    static WORKER: RefCell<Option<Numbered>> = const { RefCell::new(None) };
}

/// The worker of a thread. Its number is free again when the thread ends, as those do that were started
/// while a request was served aside.
struct Numbered(Worker);

impl Drop for Numbered {
    fn drop(&mut self) {
        NUMBERS.lock().put_back(self.0.number);
    }
}

/// Worker numbers that no thread has.
static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers {
    next: 0,
    free: Vec::new(),
});

struct Numbers {
    next: usize,
    free: Vec<usize>,
}

impl Numbers {
    fn take(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }

    fn put_back(&mut self, number: usize) {
        self.free.push(number);
    }
}

/// Reads the clock of this thread's worker, and calls `act` with it. Tasks do not await in `act`.
fn with_worker<T>(server: &'static Server, act: impl FnOnce(&mut Worker) -> T) -> T {
    with_worker_as_it_is(server, |worker| {
        worker.tick();
        act(worker)
    })
}

/// The same with its clock as it was read last.
fn with_worker_as_it_is<T>(server: &'static Server, act: impl FnOnce(&mut Worker) -> T) -> T {
    WORKER.with_borrow_mut(|worker| {
        let Numbered(worker) = worker.get_or_insert_with(|| first_worker(server));
        act(worker)
    })
}

/// The worker of a thread that had none. The runtime has as many threads as there are blocks, at most.
#[cold]
fn first_worker(server: &'static Server) -> Numbered {
    let number = NUMBERS.lock().take() % server.blocks.len();
    let mut worker = Worker::ready(server, number);
    if let Some(service) = server.service.asynchronous() {
        worker.begin_with(service);
    }
    Numbered(worker)
}
