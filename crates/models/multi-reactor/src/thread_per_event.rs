//! `thread-per-event`: a loop waits, and starts a thread for every event of a connection.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use reactor::{Events, Handle, Handles, Inbox};
use server::{
    Calls, Handover, Needs, RequestCalls, Roles, Server, Threads, Topology, Variant, Worker,
    Workers, log,
};

use crate::acceptor;

pub(crate) const VARIANT: Variant = Variant {
    name: "thread-per-event",
    roles: Roles::accepted_by("the main thread", "a thread"),
    summary: "Reactors wait, and a thread is started for every event of a connection.",
    pick_when: "you want to know whether it is as bad as they say; never otherwise",
    breaks_when: "there are requests: each costs the start of a thread",
    workers: Workers {
        calls: Calls::ExtraThread,
        topology: Topology::Staged,
        request: Some(RequestCalls {
            handover: Handover::Started,
            ..RequestCalls::ROUND
        }),
        ..Workers::LOOPS
    },
    needs: Needs {
        extra_threads: |limits| limits.threads_max,
        ..Needs::SUPERSEDED
    },
    run,
};

fn run(server: &'static Server) -> server::Result {
    let threads = Threads::new(server)?;
    let workers = Arc::new(SpareWorkers::new(server));
    let (mailboxes, inboxes) = acceptor::inboxes(server)?;
    for (number, inbox) in inboxes.into_iter().enumerate() {
        let event_loop = Loop {
            server,
            handles: Arc::new(Handles::without_listeners(server, number)?),
            threads: threads.clone(),
            workers: Arc::clone(&workers),
            worker: Worker::ready(server, number),
            has_logged_shortage: false,
        };
        event_loop.handles.watch_waker(inbox.waker())?;
        threads.spawn(number, move |_| event_loop.run(inbox))?;
    }
    acceptor::accept(server, mailboxes)?;
    threads.finish();
    Ok(())
}

/// One loop.
struct Loop {
    server: &'static Server,
    handles: Arc<Handles>,
    threads: Threads,
    workers: Arc<SpareWorkers>,
    worker: Worker,
    /// It was logged that a thread could not be had.
    has_logged_shortage: bool,
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
                if let Some(handle) = self.handles.dispatch(handle, &mut self.worker) {
                    self.start(handle);
                }
            }
        }
    }

    /// Starts a thread for this event. If none can be had, the loop serves it.
    fn start(&mut self, handle: Handle) {
        let (worker, number) = BorrowedWorker::from(&self.workers);
        let handles = Arc::clone(&self.handles);
        let started = self
            .threads
            .spawn(number, move |_| worker.serve(&handles, handle));
        if let Err(error) = started {
            if !std::mem::replace(&mut self.has_logged_shortage, true) {
                log(format_args!(
                    "thread: {error}; the loop serves where none can be had"
                ));
            }
            self.handles.serve(handle, &mut self.worker);
        }
    }
}

/// Workers that no thread has now: their buffers, and the bound on how many threads run at once.
struct SpareWorkers {
    spare: Mutex<Vec<Worker>>,
    returned: Condvar,
}

impl SpareWorkers {
    fn new(server: &'static Server) -> SpareWorkers {
        let numbers = (0..server.limits.threads_max).rev();
        let workers = numbers.map(|index| Worker::ready(server, server.extra_thread(index)));
        SpareWorkers {
            spare: Mutex::new(workers.collect()),
            returned: Condvar::new(),
        }
    }
}

/// A worker that a thread has until it ends.
struct BorrowedWorker {
    worker: Option<Worker>,
    from: Arc<SpareWorkers>,
}

impl BorrowedWorker {
    /// A spare one, and its number. If as many threads run as may, it waits for one to end, and
    /// no thread looks at the selector meanwhile.
    fn from(workers: &Arc<SpareWorkers>) -> (BorrowedWorker, usize) {
        let mut spare = workers.spare.lock();
        let worker = loop {
            match spare.pop() {
                Some(worker) => break worker,
                None => workers.returned.wait(&mut spare),
            }
        };
        let number = worker.number;
        let borrowed = BorrowedWorker {
            worker: Some(worker),
            from: Arc::clone(workers),
        };
        (borrowed, number)
    }

    fn serve(mut self, handles: &Handles, handle: Handle) {
        if let Some(worker) = &mut self.worker {
            worker.tick();
            handles.serve(handle, worker);
        }
    }
}

impl Drop for BorrowedWorker {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            self.from.spare.lock().push(worker);
            self.from.returned.notify_one();
        }
    }
}
