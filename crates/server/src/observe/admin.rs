//! The admin server: `/metrics`, `/healthz` and `/readyz`, in a thread of the helper.
//!
//! A poll loop over a few connections, each a [`Session`] like any other. A client that is slow has its
//! deadlines, and delays no other; when there are as many as there may be, the others wait in the backlog.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use os::Errno;
use os::net::{self, PollFd, PollFlags};
use proto::{Limits, Method, Place, Protocol, Request, Response, Scratch, Session, Turn, Want};

use super::metrics;
use super::view::View;

/// Connections at once.
const CONNECTIONS_MAX: usize = 16;
/// How long accept pauses when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The longest wait.
const LOOK_EVERY: Duration = Duration::from_secs(1);

struct Client {
    socket: OwnedFd,
    session: Session,
    fin_sent: bool,
}

/// Serves for ever.
pub(crate) fn run(listener: &OwnedFd, view: &View) {
    let limits = Limits {
        head_ms: 2_000,
        body_ms: 2_000,
        write_ms: 5_000,
        idle_ms: 30_000,
        body_bytes_max: 0,
        ..Limits::default()
    };
    let service =
        |request: &Request<'_>, response: &mut Response<'_>| answer(view, request, response);
    let (mut scratch, mut clients) = (Scratch::new(SystemTime::now), Vec::<Client>::new());
    let mut input = Vec::with_capacity(16 << 10);
    let mut accept_after = Instant::now();
    // It works without being non-blocking, too; only a client that resets in between could hold it.
    let _ = net::set_nonblocking(listener.as_fd());
    loop {
        let now = Instant::now();
        let accepts = clients.len() < CONNECTIONS_MAX && now >= accept_after;
        let ready = wait(listener, accepts, &clients, now);
        let now = Instant::now();
        let mut turn = Turn {
            now,
            limits: &limits,
            service: &service,
            scratch: &mut scratch,
            place: &Place::default(),
            draining: &AtomicU64::new(0),
        };
        let mut index = 0;
        clients.retain_mut(|client| {
            let is_ready = ready[index];
            index += 1;
            client.go_on(is_ready, &mut input, &mut turn)
        });
        if accepts && ready.last() == Some(&true) {
            match net::accept(listener.as_fd(), true) {
                Ok(socket) => clients.push(Client {
                    socket,
                    session: Session::new(Protocol::Http, &turn),
                    fin_sent: false,
                }),
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    accept_after = now + ACCEPT_PAUSE;
                }
                Err(Errno::INVAL) => accept_after = now + LOOK_EVERY, // Shut down from outside.
                Err(_) => {}
            }
        }
    }
}

/// Waits for what the clients want, until the first deadline at most. Says which are ready, and last
/// whether the listener is.
fn wait(listener: &OwnedFd, accepts: bool, clients: &[Client], now: Instant) -> Vec<bool> {
    let mut until = now + LOOK_EVERY;
    let mut fds = Vec::with_capacity(clients.len() + 1);
    for client in clients {
        let flags = match client.session.want() {
            Want::Write => PollFlags::OUT,
            _ => PollFlags::IN,
        };
        until = until.min(client.session.deadline());
        fds.push(PollFd::new(&client.socket, flags));
    }
    let (flags, most) = match accepts {
        true => (PollFlags::IN, LOOK_EVERY),
        false => (PollFlags::empty(), ACCEPT_PAUSE),
    };
    fds.push(PollFd::new(listener, flags));
    let left = until.saturating_duration_since(now);
    let timeout = left.clamp(Duration::from_millis(1), most);
    match net::poll(&mut fds, Some(timeout)) {
        Ok(_) => fds.iter().map(|fd| !fd.revents().is_empty()).collect(),
        Err(_) => vec![false; fds.len()],
    }
}

impl Client {
    /// Does what can be done now. False: the connection is over.
    fn go_on(&mut self, is_ready: bool, input: &mut Vec<u8>, turn: &mut Turn<'_>) -> bool {
        if is_ready && matches!(self.session.want(), Want::Read | Want::Linger) {
            match net::receive(self.socket.as_fd(), input) {
                Ok(0) if self.session.want() == Want::Linger => return false,
                Ok(0) => self.session.receive_fin(turn),
                Ok(_) if self.session.want() == Want::Linger => {}
                Ok(_) => self.session.receive(input, turn),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        if turn.now >= self.session.deadline() {
            self.session.expire(turn);
        }
        while self.session.want() == Want::Write {
            match net::send(self.socket.as_fd(), self.session.output(turn.scratch)) {
                Ok(bytes) => self.session.sent(bytes, turn),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => {
                    turn.scratch.discard_output();
                    return false;
                }
            }
        }
        self.session.keep_output(turn.scratch);
        match self.session.want() {
            Want::Close => false,
            Want::Linger => {
                std::mem::replace(&mut self.fin_sent, true)
                    || net::shutdown_write(self.socket.as_fd()).is_ok()
            }
            _ => true,
        }
    }
}

const ROUTES: &str = "/metrics  figures, for Prometheus\n\
                      /healthz  whether the server lives\n\
                      /readyz   whether it takes new connections\n";

fn answer(view: &View, request: &Request<'_>, response: &mut Response<'_>) {
    if !matches!(request.method, Method::Get | Method::Head) {
        response.field("Allow", "GET, HEAD");
        say(response, 405, "only GET and HEAD are known here\n");
        return;
    }
    response.field("Cache-Control", "no-store");
    match request.path {
        "/metrics" => {
            response.content_type("text/plain; version=0.0.4; charset=utf-8");
            response.body(metrics::render(view).as_bytes());
        }
        // With every worker stuck no client is served, and only a new start helps.
        "/healthz" if view.stuck_now() >= view.workers => {
            say(response, 503, "all workers are stuck\n");
        }
        "/healthz" => say(response, 200, "ok\n"),
        "/readyz" if view.board.is_ready() => say(response, 200, "ready\n"),
        "/readyz" if view.board.drain_began_ns.load(Ordering::SeqCst) != 0 => {
            say(response, 503, "draining\n");
        }
        "/readyz" => say(response, 503, "not ready\n"),
        "/" => say(response, 200, ROUTES),
        _ => say(response, 404, ROUTES),
    }
}

fn say(response: &mut Response<'_>, status: u16, text: &str) {
    response
        .status(status)
        .content_type("text/plain; charset=utf-8");
    response.body(text.as_bytes());
}
