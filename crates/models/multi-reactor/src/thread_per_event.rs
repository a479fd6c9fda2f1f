//! `thread-per-event`: a loop waits, and starts a thread for every event.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use reactor::{Events, Handle, Handles, Inbox, inbox};
use server::{Needs, Roles, Server, Threads, Variant, Worker, Workers, log};

pub(crate) const VARIANT: Variant = Variant {
    name: "thread-per-event",
    roles: Roles::accepted_by("the main thread", "a thread"),
    summary: "Reactors wait, and every event on a connection is served by a thread of its own.",
    pick_when: "never: it is here because it is claimed to be terrible",
    breaks_when: "requests come: each costs the making of a thread",
    workers: Workers::LOOPS,
    needs: Needs {
        extra_threads: |limits| limits.threads_max,
        ..Needs::USUAL
    },
    run,
};

pub(crate) fn run(server: &'static Server) -> server::Result {
    let threads = Threads::new(server)?;
    let stock = Arc::new(Stock::new(server));
    let mut mailboxes = Vec::new();
    for number in 0..server.workers {
        let (mailbox, inbox) = inbox(server.limits.queue_max)?;
        let event_loop = Loop {
            server,
            handles: Arc::new(Handles::without_listeners(server, number)?),
            threads: threads.clone(),
            stock: Arc::clone(&stock),
            worker: Worker::ready(server, number),
            short: false,
        };
        event_loop.handles.watch_waker(inbox.waker())?;
        threads.spawn(number, move |_| event_loop.run(inbox))?;
        mailboxes.push(mailbox);
    }
    server.make_listeners_nonblocking()?;
    super::accept(server, &mailboxes);
    drop(mailboxes);
    threads.finish();
    Ok(())
}

/// One loop.
struct Loop {
    server: &'static Server,
    handles: Arc<Handles>,
    threads: Threads,
    stock: Arc<Stock>,
    worker: Worker,
    /// A thread could not be had once, which was said.
    short: bool,
}

impl Loop {
    fn run(mut self, mut inbox: Inbox) {
        let mut events = Events::with_capacity(self.server.limits.events_max);
        let mut ready = Vec::new();
        loop {
            inbox.awake();
            while !self.handles.is_full()
                && let Some(socket) = inbox.take()
            {
                self.handles.adopt(socket, &mut self.worker);
            }
            if inbox.is_closed() && self.handles.is_over() {
                return;
            }
            let may_sleep = self.handles.is_full() || inbox.may_sleep();
            let timeout = (!may_sleep).then_some(std::time::Duration::ZERO);
            self.handles
                .wait(&mut self.worker, &mut events, timeout, &mut ready);
            for handle in ready.drain(..) {
                if let Some(handle) = self.handles.tend(handle, &mut self.worker) {
                    self.start(handle);
                }
            }
        }
    }

    /// Starts a thread for this event. Without one, the loop serves it.
    fn start(&mut self, handle: Handle) {
        let (lent, number) = Lent::from(&self.stock);
        let handles = Arc::clone(&self.handles);
        let started = self
            .threads
            .spawn(number, move |_| lent.serve(&handles, handle));
        if let Err(error) = started {
            if !std::mem::replace(&mut self.short, true) {
                log(format_args!(
                    "thread: {error}; the loop serves where none can be had"
                ));
            }
            self.handles.serve(handle, &mut self.worker);
        }
    }
}

/// Workers for threads to come: their buffers, and the bound on how many run at once.
struct Stock {
    free: Mutex<Vec<Worker>>,
    returned: Condvar,
}

impl Stock {
    fn new(server: &'static Server) -> Stock {
        let numbers = (0..server.limits.threads_max).rev();
        let workers = numbers.map(|index| Worker::ready(server, server.extra_thread(index)));
        Stock {
            free: Mutex::new(workers.collect()),
            returned: Condvar::new(),
        }
    }
}

/// A worker that a thread has, until it ends.
struct Lent {
    worker: Option<Worker>,
    stock: Arc<Stock>,
}

impl Lent {
    /// A free one, and its number. Waits for a thread to end, if as many run as may; nobody looks at the selector meanwhile.
    fn from(stock: &Arc<Stock>) -> (Lent, usize) {
        let mut free = stock.free.lock();
        let worker = loop {
            match free.pop() {
                Some(worker) => break worker,
                None => stock.returned.wait(&mut free),
            }
        };
        let number = worker.number;
        let lent = Lent {
            worker: Some(worker),
            stock: Arc::clone(stock),
        };
        (lent, number)
    }

    fn serve(mut self, handles: &Handles, handle: Handle) {
        if let Some(worker) = &mut self.worker {
            worker.tick();
            handles.serve(handle, worker);
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            self.stock.free.lock().push(worker);
            self.stock.returned.notify_one();
        }
    }
}
