//! How many requests each worker of a server has served, as the workers say themselves.
//!
//! The generator cannot know which worker serves a connection. But each worker counts the requests it
//! has served, and `/whoami` tells that count. So as many connections are opened as there are
//! workers, all of them at once: a worker that holds one is not asked twice, and each worker is asked
//! once. Where a worker cannot be reached it is missing from the answer.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::observe::client::Client;

/// More workers than this are not asked.
const WORKERS_MAX: u32 = 256;
/// Rounds in which workers that share connections are looked for.
const ROUNDS_MAX: u32 = 4;
/// A worker that does not answer within this time is busy with something else.
const REPLY_WITHIN: Duration = Duration::from_millis(500);

/// What `/whoami` says, as far as it is used here.
#[derive(Debug, Deserialize)]
pub struct Whoami {
    pid: u64,
    worker: u64,
    requests: u64,
}

/// A worker: its process, and its number in the server.
pub type Worker = (u64, u64);

/// Requests that each worker has served.
pub type Served = BTreeMap<Worker, u64>;

impl Whoami {
    /// Who answered.
    pub fn worker(&self) -> Worker {
        (self.pid, self.worker)
    }
}

/// Asks the `workers` of the server at `address`; nothing where they are not known or too many.
pub fn served(address: &str, workers: u32) -> Served {
    let mut served = Served::new();
    let all = usize::try_from(workers).unwrap_or(usize::MAX);
    if workers == 0 || workers > WORKERS_MAX {
        return served;
    }
    for _ in 0..ROUNDS_MAX {
        let mut open = Vec::new();
        for _ in 0..workers {
            let Ok(mut client) = Client::connect(address, REPLY_WITHIN) else {
                break;
            };
            let Ok(reply) = client.ask("GET", "/whoami", b"") else {
                break;
            };
            let Ok(whoami) = serde_json::from_slice::<Whoami>(&reply.body) else {
                return Served::new();
            };
            served.insert(whoami.worker(), whoami.requests);
            open.push(client);
        }
        if served.len() >= all || open.is_empty() {
            break;
        }
    }
    served
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoami_is_read() {
        let whoami: Whoami = serde_json::from_str(
            r#"{"model":"prefork","variant":"accept","pid":7,"thread":7,"worker":3,"requests":12}"#,
        )
        .expect("as the route says it");
        assert_eq!((whoami.pid, whoami.worker, whoami.requests), (7, 3, 12));
    }
}
