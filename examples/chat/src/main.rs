//! A chat over server-sent events: what is posted to `/say` is sent to all who listen at `/events`.
//!
//! ```text
//! cargo run -p chat -- --model multi-reactor
//! curl -N localhost:8080/events &
//! curl localhost:8080/say -d 'hello'
//! ```
//!
//! All listeners must see the same lines, so the service says [`Memory::OneProcess`]: on prefork and other
//! models of several processes it does not start, and names the models that can.
//!
//! Each listener is asked for news every 50 ms, which costs a microsecond or two. Models with loops and
//! tasks serve others meanwhile, so that thousands may listen. On models of threads a listener keeps its
//! thread: thread-pool has 64 of them, and needs one that is free for `/say`. iterative has one worker,
//! which serves one listener and no other client.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use turnstile::{Events, Memory, Method, Pull, Request, Response, Service};

/// Lines that are kept for listeners who are late.
const LINES_MAX: usize = 1_000;
const PAUSE: Duration = Duration::from_millis(50);

struct Lines {
    said: u64,
    last: VecDeque<String>,
}

struct Chat(Arc<Mutex<Lines>>);

fn lock(lines: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Chat {
    fn new() -> Chat {
        let (said, last) = (0, VecDeque::new());
        Chat(Arc::new(Mutex::new(Lines { said, last })))
    }

    fn say(&self, line: &[u8]) {
        let mut lines = lock(&self.0);
        lines.said += 1;
        let line = String::from_utf8_lossy(line).into_owned();
        lines.last.push_back(line);
        if lines.last.len() > LINES_MAX {
            lines.last.pop_front();
        }
    }

    /// Sends what was said after the event that the browser has got last, and what is said from now on.
    fn listen(&self, request: &Request<'_>, response: &mut Response<'_>) {
        let lines = Arc::clone(&self.0);
        let last = request.last_event_id().and_then(|id| id.parse().ok());
        let mut heard: u64 = last.unwrap_or_else(|| lock(&lines).said);
        response.events(move |events: &mut Events<'_, '_>| {
            let lines = lock(&lines);
            let first = lines.said - lines.last.len() as u64;
            for (number, line) in (first + 1..).zip(&lines.last) {
                if number > heard {
                    events.send_with_id(&number.to_string(), "", line);
                }
            }
            heard = lines.said;
            Ok(Pull::Later(PAUSE))
        });
    }
}

impl Service for Chat {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        match (request.method, request.path) {
            (Method::Get, "/events") => self.listen(request, response),
            (Method::Post, "/say") => {
                self.say(request.body);
                response.status(204);
            }
            _ => drop(response.status(404)),
        }
    }

    fn memory(&self) -> Memory {
        Memory::OneProcess
    }
}

fn main() -> ExitCode {
    turnstile::main_on_any(|_: &()| Ok::<_, Infallible>(Chat::new()))
}
