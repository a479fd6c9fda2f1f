//! JSON, and state that all requests share: notes, added by POST and read by GET.
//!
//! ```text
//! cargo run -p json_state
//! curl localhost:8080/notes -d '{"text": "buy milk"}'
//! curl localhost:8080/notes
//! ```
//!
//! The state is a value behind a mutex, which the threads of `thread-pool` share. Where workers are
//! processes (`prefork`, `fork-per-client`, `multi-reactor:processes`), each has a copy of its own, as
//! it was when the process was forked: a note added in one is missing in the others. State belongs in
//! a database or in shared memory there.

use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use turnstile::models::thread_pool;
use turnstile::{Method, Request, Response, Service};

#[derive(Serialize, Deserialize)]
struct Note {
    text: String,
}

struct Notes(Mutex<Vec<Note>>);

/// Clients must not fill the memory.
const NOTES_MAX: usize = 1_000;

impl Notes {
    fn all(&self) -> MutexGuard<'_, Vec<Note>> {
        // A request that panicked while it held the lock has left the notes whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are with this one, unless there is no room for it.
    fn add(&self, note: Note) -> Option<usize> {
        let mut all = self.all();
        (all.len() < NOTES_MAX).then(|| {
            all.push(note);
            all.len()
        })
    }
}

impl Service for Notes {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        match (request.method, request.path) {
            (Method::Get, "/notes") => json(response, 200, &*self.all()),
            (Method::Post, "/notes") => match serde_json::from_slice(request.body) {
                Ok(note) => match self.add(note) {
                    Some(count) => json(response, 201, &count),
                    None => json(response, 507, "there is no room for more notes"),
                },
                Err(error) => json(response, 400, &error.to_string()),
            },
            _ => json(response, 404, "there are only /notes"),
        }
    }
}

fn json<T: Serialize + ?Sized>(response: &mut Response<'_>, status: u16, value: &T) {
    let response = response.status(status).content_type("application/json");
    serde_json::to_writer(response.body_buffer(), value).expect("memory takes all that is written");
}

fn main() -> ExitCode {
    static NOTES: Notes = Notes(Mutex::new(Vec::new()));
    turnstile::main(&thread_pool::MODEL, &NOTES)
}
