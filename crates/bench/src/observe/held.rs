//! Connections that are held while a server is told to stop, and which of its workers serve them.
//!
//! A drain with nothing connected is no drain. So the connections of the scenario are there when
//! SIGTERM comes, each of them served once and silent since. They are the bench's own, opened one
//! after the other when everything else has been measured, and each asks who serves it: that is how
//! the workers share fresh connections, whatever each connection is worth in requests.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::judge::fairness::{self, Who};
use crate::observe::client::Client;
use crate::observe::interrupt::Interrupt;

/// Time for all of them: where that is too short, as many as there are by then.
const OPEN_WITHIN: Duration = Duration::from_secs(1);
/// A connection that is not served by then has no worker.
const REPLY_WITHIN: Duration = Duration::from_millis(250);

/// What is to be held.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Connections.
    pub connections: u32,
    /// What each asks for.
    pub path: &'a str,
    /// `false`: each is closed when it is answered, as those of the scenario are.
    pub keep: bool,
}

/// Connections that are open, and who serves them.
#[derive(Debug, Default)]
pub struct Held {
    clients: Vec<Client>,
    by_worker: BTreeMap<(u64, u64), u64>,
}

/// Connections served by each worker, and how even that is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spread {
    /// In the order of process and worker number; workers that were met nowhere come last, with 0.
    pub connections: Vec<u64>,
    /// Jain's index of them.
    pub jain: Option<f64>,
}

impl Held {
    /// Opens what is wanted, within a bounded time.
    pub fn open(address: &str, wanted: Wanted<'_>, interrupt: &Interrupt) -> Self {
        let mut held = Self::default();
        let deadline = Instant::now() + OPEN_WITHIN;
        for _ in 0..wanted.connections {
            if Instant::now() >= deadline || interrupt.came() {
                break;
            }
            let served = Client::connect(address, REPLY_WITHIN).and_then(|mut client| {
                let reply = client.ask("GET", wanted.path, b"")?;
                Ok((client, reply))
            });
            // One that waits for a worker would let all that follow wait as long.
            let Ok((client, reply)) = served else { break };
            if let Ok(who) = serde_json::from_slice::<Who>(&reply.body) {
                *held.by_worker.entry(who.worker()).or_default() += 1;
            }
            if wanted.keep {
                held.clients.push(client);
            }
        }
        held
    }

    /// How many are open.
    pub fn count(&self) -> u32 {
        u32::try_from(self.clients.len()).unwrap_or(u32::MAX)
    }

    /// How `workers` shared them; nothing where their number is not known, or cannot be right.
    pub fn spread(&self, workers: u32) -> Spread {
        let workers = usize::try_from(workers).unwrap_or(usize::MAX);
        let mut connections: Vec<u64> = self.by_worker.values().copied().collect();
        if connections.is_empty() || connections.len() > workers {
            return Spread::default();
        }
        connections.resize(workers, 0);
        Spread {
            jain: fairness::jain(&connections),
            connections,
        }
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
        let held = Held::open(&uneven(), wanted(true), &interrupt);
        assert_eq!(held.count(), 8);
        let spread = held.spread(2);
        assert_eq!(spread.connections, [6, 2]);
        assert!(spread.jain.is_some_and(|jain| (jain - 0.8).abs() < 1e-9));
        assert_eq!(held.spread(4).connections, [6, 2, 0, 0]);
        assert_eq!(
            held.spread(1),
            Spread::default(),
            "not this server's number"
        );
        let closed = Held::open(&uneven(), wanted(false), &interrupt);
        assert_eq!(
            (closed.count(), closed.spread(2).connections),
            (0, vec![6, 2])
        );
    }

    #[test]
    fn a_server_that_serves_no_more_holds_up_nobody() {
        let interrupt = Interrupt::watch().expect("handlers");
        // It listens, and that is all.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let wanted = Wanted {
            connections: 1_000,
            path: "/",
            keep: true,
        };
        let start = Instant::now();
        assert_eq!(Held::open(&address, wanted, &interrupt).count(), 0);
        assert!(start.elapsed() < OPEN_WITHIN);
    }
}
