//! Connections that are held while a server is told to stop, and which of its workers serve them.
//!
//! A drain with no connection open is no drain. So the connections of the scenario are open when
//! SIGTERM is sent, each of them served once and silent since. The bench opens them itself, one after
//! the other, when everything else has been measured, and on each it asks which worker serves it:
//! that tells how the workers share fresh connections, however many requests each of them carries.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::observe::client::Client;
use crate::observe::interrupt::Interrupt;
use crate::observe::whoami::{Whoami, Worker};

/// Time for all of them: where that is too short, as many are held as are open by then.
const OPEN_WITHIN: Duration = Duration::from_secs(1);
/// A connection that is not served within this time has no worker.
const REPLY_WITHIN: Duration = Duration::from_millis(250);

/// Connections that each worker has served.
pub type ByWorker = BTreeMap<Worker, u64>;

/// What is to be held.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub connections: u32,
    /// The path that each asks for.
    pub path: &'a str,
    /// `false`: each is closed when it is answered, as those of the scenario are.
    pub keep: bool,
}

/// Connections that the bench has opened.
#[derive(Debug, Default)]
pub struct OpenConnections {
    clients: Vec<Client>,
    /// How many connections each worker served, those that have been closed included.
    pub by_worker: ByWorker,
}

impl OpenConnections {
    /// Opens what is wanted, within a bounded time.
    pub fn open(address: &str, wanted: Wanted<'_>, interrupt: &Interrupt) -> Self {
        Self::open_within(OPEN_WITHIN, REPLY_WITHIN, address, wanted, interrupt)
    }

    fn open_within(
        all: Duration,
        each: Duration,
        address: &str,
        wanted: Wanted<'_>,
        interrupt: &Interrupt,
    ) -> Self {
        let mut open = Self::default();
        let deadline = Instant::now() + all;
        for _ in 0..wanted.connections {
            if Instant::now() >= deadline || interrupt.is_set() {
                break;
            }
            let served = Client::connect(address, each).and_then(|mut client| {
                let reply = client.ask("GET", wanted.path, b"")?;
                Ok((client, reply))
            });
            // Where one connection waits for a worker, all that follow would wait as long.
            let Ok((client, reply)) = served else { break };
            if let Ok(whoami) = serde_json::from_slice::<Whoami>(&reply.body) {
                *open.by_worker.entry(whoami.worker()).or_default() += 1;
            }
            if wanted.keep {
                open.clients.push(client);
            }
        }
        open
    }

    /// How many are open.
    pub fn count(&self) -> u32 {
        u32::try_from(self.clients.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// A server of two workers, of which the first takes three connections of four.
    fn uneven() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for (n, stream) in listener.incoming().enumerate() {
                let Ok(mut stream) = stream else { return };
                let _request = stream.read(&mut [0; 1024]);
                let worker = u8::from(n % 4 == 3);
                let body = format!("{{\"pid\":7,\"worker\":{worker},\"requests\":1}}");
                let length = body.len();
                let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
                let _client_gone = stream.write_all(reply.as_bytes());
                open.push(stream);
            }
        });
        address
    }

    #[test]
    fn connections_are_held_and_their_workers_counted() {
        let interrupt = Interrupt::watch().expect("handlers");
        let wanted = |keep| Wanted {
            connections: 8,
            path: "/whoami",
            keep,
        };
        let shares = ByWorker::from([((7, 0), 6), ((7, 1), 2)]);
        let long = Duration::from_secs(60);
        let open =
            |keep| OpenConnections::open_within(long, long, &uneven(), wanted(keep), &interrupt);
        let held = open(true);
        assert_eq!((held.count(), &held.by_worker), (8, &shares));
        let closed = open(false);
        assert_eq!((closed.count(), &closed.by_worker), (0, &shares));
    }

    #[test]
    fn a_server_that_does_not_answer_is_not_asked_again() {
        let interrupt = Interrupt::watch().expect("handlers");
        // It listens, and that is all: the kernel completes connections, and no process accepts them.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let wanted = Wanted {
            connections: 1_000,
            path: "/",
            keep: true,
        };
        let held = OpenConnections::open(&address, wanted, &interrupt);
        assert_eq!(held.count(), 0);
        listener.set_nonblocking(true).expect("a listener");
        let tried = std::iter::from_fn(|| listener.accept().ok()).count();
        assert_eq!(tried, 1, "the first connection without a reply is the last");
    }
}
