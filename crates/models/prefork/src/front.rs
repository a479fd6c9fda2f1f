//! `--front poll`: one more process holds connections, and passes complete requests to children.

use reactor::front::{Links, Seat, in_process};
use server::{Backoff, Children, Front, Server, ServingChild, Worker};

pub(crate) const FRONT: Option<Front> = Some(Front {
    serves: "a child",
    processes: true,
    extra_threads: |_| 1,
    run,
});

fn run(server: &'static Server) -> server::Result {
    let links = Links::new(server.workers)?;
    let mut children = Children::with_front(server);
    let Some(child) = children.supervise() else {
        children.drain();
        return Ok(());
    };
    if server.drain.has_begun() {
        // It was forked because no worker has found the backlog empty: there is no front and no child beside it.
        serve_backlog(server, child);
    }
    if child.number == server.extra_thread(0) {
        in_process(server, child, links.of_front(), false);
    }
    let Some(links) = links.of_seat(child.number) else {
        child.end()
    };
    let mut worker = child.worker();
    let seat = Seat::new(links, child.number);
    child.ready();
    seat.serve(&mut worker);
    child.end()
}

/// Serves what waits in the backlog, as a child without a front does, and ends.
fn serve_backlog(server: &'static Server, child: ServingChild) -> ! {
    let mut worker = Worker::before_fork(server);
    worker.become_process(child.number);
    let mut backoff = Backoff::new(server.limits.accept_pause_ms_max);
    child.ready();
    while let Some(connection) = worker.accept(&mut backoff) {
        worker.serve(connection);
    }
    child.end()
}
