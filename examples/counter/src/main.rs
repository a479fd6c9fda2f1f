//! What state means in processes and threads: every request adds one to four counters.
//!
//! ```text
//! cargo run -p counter -- --model prefork --workers 3
//! for i in 1 2 3 4 5 6; do curl -s localhost:8080; done
//! cargo run -p counter -- --model thread-pool --workers 3
//! ```
//!
//! | counter | built | shared by |
//! |---|---|---|
//! | `copied` | before the first fork | the threads of a process; every process has a copy |
//! | `process` | in each process | the threads of that process |
//! | `worker` | in each worker | nobody: it is a plain number, without a lock |
//! | `shared` | before the first fork, in shared memory | everybody |
//!
//! On prefork only `shared` counts all requests. On thread-pool `copied` and `process` do so, too,
//! because all workers are in one process.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use turnstile::{Place, Request, Response, Service, SharedCounter, WorkerService};

/// What the workers of one process share.
struct InProcess {
    counted: AtomicU64,
}

/// What one worker has for itself.
struct InWorker {
    copied: &'static AtomicU64,
    shared: SharedCounter,
    process: Arc<InProcess>,
    counted: u64,
}

impl WorkerService for InWorker {
    fn call(&mut self, request: &Request<'_>, response: &mut Response<'_>) {
        self.counted += 1; // `&mut self`: no other thread has it.
        let text = format!(
            r#"{{"process_id":{},"worker_number":{},"copied":{},"process":{},"worker":{},"shared":{}}}"#,
            request.place.process,
            request.place.worker,
            self.copied.fetch_add(1, Ordering::Relaxed) + 1,
            self.process.counted.fetch_add(1, Ordering::Relaxed) + 1,
            self.counted,
            self.shared.add(1),
        );
        response
            .content_type("application/json")
            .body(text.as_bytes());
    }
}

fn counters() -> std::io::Result<impl Service + 'static> {
    static COPIED: AtomicU64 = AtomicU64::new(0);
    let shared = SharedCounter::new()?;
    let process = |_: &Place| {
        Ok::<_, std::io::Error>(InProcess {
            counted: AtomicU64::new(0),
        })
    };
    let worker = move |process: &Arc<InProcess>, _: &Place| {
        Ok::<_, std::io::Error>(InWorker {
            copied: &COPIED,
            shared,
            process: Arc::clone(process),
            counted: 0,
        })
    };
    Ok(turnstile::per_process_and_worker(process, worker))
}

fn main() -> ExitCode {
    turnstile::main_on_any(|_: &()| counters())
}
