//! `--front poll`: one more process holds connections, and passes complete requests to children.

use reactor::front::{Links, Seat, in_process};
use server::{Children, Front, Server};

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
    if child.number == server.extra_thread(0) {
        in_process(server, child, links.of_front(), false);
    }
    let Some(links) = links.of_seat(child.number) else {
        child.end() // Of the last in a drain: there is nobody to serve for.
    };
    let mut worker = child.worker();
    let seat = Seat::new(links, child.number);
    child.ready();
    seat.serve(&mut worker);
    child.end()
}
