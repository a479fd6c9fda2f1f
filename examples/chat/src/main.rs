//! A chat over server-sent events: what is posted to `/say` is sent to all who listen at `/events`.
//!
//! ```text
//! cargo run -p chat
//! curl -N localhost:8080/events &
//! curl localhost:8080/say -d 'hello'
//! ```
//!
//! Each listener is asked for news every 50 ms, which costs a worker a microsecond or two; no thread is
//! held meanwhile on models with loops. Workers must be threads: processes would each have their own chat.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use turnstile::models::multi_reactor;
use turnstile::{Events, Method, Pull, Request, Response};

/// Lines that are kept for listeners who are late.
const LINES_MAX: usize = 1_000;
const PAUSE: Duration = Duration::from_millis(50);

struct Chat {
    said: u64,
    lines: VecDeque<String>,
}

static CHAT: Mutex<Chat> = Mutex::new(Chat {
    said: 0,
    lines: VecDeque::new(),
});

fn chat() -> MutexGuard<'static, Chat> {
    CHAT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(request: &Request<'_>, response: &mut Response<'_>) {
    match (request.method, request.path) {
        (Method::Get, "/events") => listen(request, response),
        (Method::Post, "/say") => {
            let mut chat = chat();
            chat.said += 1;
            chat.lines
                .push_back(String::from_utf8_lossy(request.body).into_owned());
            if chat.lines.len() > LINES_MAX {
                chat.lines.pop_front();
            }
            response.status(204);
        }
        _ => drop(response.status(404)),
    }
}

/// Sends what was said after the event that the browser has got last, and what is said from now on.
fn listen(request: &Request<'_>, response: &mut Response<'_>) {
    let last = request.last_event_id().and_then(|id| id.parse().ok());
    let mut heard: u64 = last.unwrap_or_else(|| chat().said);
    response.events(move |events: &mut Events<'_, '_>| {
        let chat = chat();
        let first = chat.said - chat.lines.len() as u64;
        for (number, line) in (first + 1..).zip(&chat.lines) {
            if number > heard {
                events.send_with_id(&number.to_string(), "", line);
            }
        }
        heard = chat.said;
        Ok(Pull::Later(PAUSE))
    });
}

fn main() -> ExitCode {
    turnstile::main(&multi_reactor::MODEL, &serve)
}
