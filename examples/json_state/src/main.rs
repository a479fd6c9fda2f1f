//! JSON, and state that all requests share: notes, added by POST and read by GET.
//!
//! ```text
//! cargo run -p json_state -- --model thread-pool
//! curl localhost:8080/notes -d '{"text": "buy milk"}'
//! curl localhost:8080/notes
//! ```
//!
//! The state is a value behind a mutex. Threads share it. Where workers are processes (`prefork`,
//! `fork-per-client`, `multi-reactor:processes`) each would have a copy of its own, and a note that one has
//! added would be missing in the others. So the service says [`Memory::OneProcess`]: on those models it does
//! not start, and names the models that can. The examples `kv` and `counter` show state for processes.

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use turnstile::{Memory, Method, Request, Response, Service};

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
            (Method::Get, "/notes") => response.json(&*self.all()),
            (Method::Post, "/notes") => match request.json() {
                Ok(note) => match self.add(note) {
                    Some(count) => response.status(201).json(&count),
                    None => response.status(507).json("there is no room for more notes"),
                },
                Err(error) => response.status(400).json(&error.to_string()),
            },
            _ => response.status(404).json("there are only /notes"),
        };
    }

    fn memory(&self) -> Memory {
        Memory::OneProcess
    }
}

fn main() -> ExitCode {
    let notes = Notes(Mutex::new(Vec::new()));
    turnstile::main_on_any(|_: &()| Ok::<_, Infallible>(notes))
}
