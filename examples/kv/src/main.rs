//! A key-value store on SQLite, on every model: each worker has a connection of its own.
//!
//! ```text
//! cargo run -p kv -- --model prefork --db notes.db
//! curl localhost:8080/milk -X PUT -d 'two bottles'
//! curl localhost:8080/milk
//! curl localhost:8080/milk -X DELETE
//! ```
//!
//! A connection to SQLite must not cross a fork, and must not be used by two threads at once. So
//! [`per_worker`](turnstile::per_worker) opens one in each worker, after the fork, and the compiler sees to
//! it that no other worker has it: [`WorkerService::call`] takes `&mut self`. The table is created once,
//! before the fork, by a connection that is closed again.
//!
//! In WAL mode readers and the one writer do not wait for each other. A writer waits for another for a
//! second at most, and the client is then told to come back (503). Since a call may wait, the service says
//! that its requests are [`Nature::Blocking`]: a model with threads beside its loops calls it there.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension};
use turnstile::{Method, Nature, Place, Request, Response, Service, WorkerService};

#[derive(clap::Args)]
struct Flags {
    /// File of the store, created if there is none
    #[arg(long, value_name = "FILE")]
    db: PathBuf,
}

/// How long a writer waits for another.
const BUSY: Duration = Duration::from_secs(1);
const KEY_BYTES_MAX: usize = 255;

/// `puts` counts from the creation of a key on, so that one statement says whether it has created it.
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS kv (
    key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL, puts INTEGER NOT NULL
) STRICT";
const GET: &str = "SELECT value FROM kv WHERE key = ?1";
const PUT: &str = "INSERT INTO kv (key, value, puts) VALUES (?1, ?2, 1)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, puts = puts + 1 RETURNING puts";
const DELETE: &str = "DELETE FROM kv WHERE key = ?1";

/// What one worker has.
struct Store {
    connection: Connection,
}

impl Store {
    fn open(path: &Path) -> rusqlite::Result<Store> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "synchronous", "normal")?;
        Ok(Store { connection })
    }

    fn answer(
        &self,
        key: &str,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> rusqlite::Result<()> {
        match request.method {
            Method::Get | Method::Head => {
                let mut get = self.connection.prepare_cached(GET)?;
                let sent = get.query_row([key], |row| {
                    response.content_type("application/octet-stream");
                    response.body(row.get_ref(0)?.as_blob()?);
                    Ok(())
                });
                if sent.optional()?.is_none() {
                    response.status(404);
                }
            }
            Method::Put => {
                let mut put = self.connection.prepare_cached(PUT)?;
                let puts: i64 = put.query_one((key, request.body), |row| row.get(0))?;
                response.status(if puts == 1 { 201 } else { 204 });
            }
            Method::Delete => {
                let deleted = self.connection.prepare_cached(DELETE)?.execute([key])?;
                response.status(if deleted == 1 { 204 } else { 404 });
            }
            _ => {
                let allowed = "GET, HEAD, PUT, DELETE";
                response.status(405).field("Allow", allowed);
            }
        }
        Ok(())
    }
}

impl WorkerService for Store {
    fn call(&mut self, request: &Request<'_>, response: &mut Response<'_>) {
        // The key is taken as it was sent, percent-encoding and all.
        let key = request.path.strip_prefix('/').unwrap_or_default();
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            response.status(404);
            return;
        }
        match self.answer(key, request, response) {
            Ok(()) => {}
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                response.status(503).field("Retry-After", "1");
            }
            Err(error) => {
                turnstile::log(format_args!("{key}: {error}"));
                response.status(500);
            }
        }
    }

    fn nature(&self, _: &Request<'_>) -> Nature {
        Nature::Blocking
    }
}

/// The service of all workers. The file is prepared here, before anything forks.
fn store(flags: &Flags) -> Result<impl Service + use<>, String> {
    let path = flags.db.clone();
    let prepare = || {
        let store = Store::open(&path)?;
        let wal = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
        store
            .connection
            .pragma_update_and_check(None, "journal_mode", "wal", wal)?;
        store.connection.execute_batch(SCHEMA)
    };
    prepare().map_err(|error| format!("--db {}: {error}", path.display()))?;
    Ok(turnstile::per_worker(move |_: &Place| Store::open(&path)).with_slow_requests())
}

fn main() -> ExitCode {
    turnstile::main_on_any(store)
}
