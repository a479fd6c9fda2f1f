//! `/kv/KEY`: a store in one SQLite file, shared by all processes and threads that serve.
//!
//! Every thread has a connection of its own, opened when it first needs one, so that no lock of
//! ours stands before SQLite's. In WAL mode readers and the one writer do not wait for each other;
//! writers wait for writers, inside SQLite, up to a bound. With `synchronous=NORMAL` a power cut
//! may undo the last replies, and never tears the file.
//!
//! No connection survives a fork (sqlite.org/howtocorrupt.html, section 2.6): the schema is
//! prepared on a connection that is closed before anything forks, and a process that inherited one
//! all the same answers 500 and says so.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use proto::{ETag, Method, Request, Response, Validators, percent_decode};
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior,
};

use crate::{log, plain};

/// Longest key, bytes.
pub const KEY_BYTES_MAX: usize = 255;

/// `puts` counts from the creation on, which is how a PUT knows whether it created: one statement,
/// so one transaction, and no race to lose.
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS kv (
    key BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL,
    puts INTEGER NOT NULL
) STRICT";
const GET: &str = "SELECT value FROM kv WHERE key = ?1";
const PUT: &str = "INSERT INTO kv (key, value, puts) VALUES (?1, ?2, 1)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, puts = puts + 1 RETURNING puts";
const DELETE: &str = "DELETE FROM kv WHERE key = ?1";

/// A store in a file.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    busy: Duration,
    /// Which store a thread's connection belongs to, should a program have several.
    number: u64,
}

/// A thread's connection.
struct Opened {
    connection: Connection,
    store: u64,
}

thread_local! {
    static OPENED: RefCell<Option<Opened>> = const { RefCell::new(None) };
}

static STORES: AtomicU64 = AtomicU64::new(0);

/// The process that has opened connections, 0 for none yet.
static OPENED_BY: AtomicU32 = AtomicU32::new(0);

/// What came of a request to the store.
enum Outcome {
    Found,
    Created,
    Replaced,
    Deleted,
    Absent,
    /// The response says so already: a precondition does not hold.
    Refused,
}

/// Why nothing came of it.
#[derive(Debug)]
enum Failure {
    Sqlite(rusqlite::Error),
    /// This process has inherited its parent's connections.
    Inherited,
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Failure {
        Failure::Sqlite(error)
    }
}

impl Store {
    /// Creates the file where there is none, and makes sure that it can serve. `busy` is how long a
    /// request waits for another writer.
    ///
    /// # Errors
    /// The file cannot be made, opened or locked, is something else, or cannot have a write-ahead
    /// log where it is.
    pub fn open(path: &Path, busy: Duration) -> anyhow::Result<Store> {
        let store = Store {
            path: path.to_owned(),
            busy,
            number: STORES.fetch_add(1, Ordering::Relaxed),
        };
        store
            .prepare()
            .with_context(|| format!("--db {}", path.display()))?;
        Ok(store)
    }

    fn prepare(&self) -> anyhow::Result<()> {
        let connection = self.connect(OpenFlags::SQLITE_OPEN_CREATE)?;
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
        ensure!(mode == "wal", "no write-ahead log can be kept beside it");
        connection.execute_batch(SCHEMA)?;
        for statement in [GET, PUT, DELETE] {
            connection.prepare(statement)?;
        }
        connection.close().map_err(|(_, error)| error)?;
        Ok(())
    }

    fn connect(&self, create: OpenFlags) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | create;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(self.busy)?;
        connection.pragma_update(None, "synchronous", "normal")?;
        Ok(connection)
    }

    /// Answers a GET, HEAD, PUT or DELETE of `key`, which is not decoded.
    pub fn answer(&self, key: &str, request: &Request<'_>, response: &mut Response<'_>) {
        let mut room = [0; KEY_BYTES_MAX];
        let key = match percent_decode(key, &mut room) {
            Ok(key) if !key.is_empty() => key,
            _ => return plain(response, 400, "A key is 1 to 255 bytes, percent-encoded.\n"),
        };
        match self.with_connection(|connection| act(connection, key, request, response)) {
            Ok(Outcome::Found | Outcome::Refused) => {}
            Ok(Outcome::Created) => drop(response.status(201)),
            Ok(Outcome::Replaced | Outcome::Deleted) => drop(response.status(204)),
            Ok(Outcome::Absent) => plain(response, 404, "There is no such key.\n"),
            Err(failure) => fail(&failure, response),
        }
    }

    /// Calls `act` with this thread's connection, opened if need be.
    fn with_connection<T>(
        &self,
        act: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Failure> {
        let me = std::process::id();
        match OPENED_BY.compare_exchange(0, me, Ordering::Relaxed, Ordering::Relaxed) {
            Err(other) if other != me => return Err(Failure::Inherited),
            _ => {}
        }
        OPENED.with_borrow_mut(|opened| {
            let connection = match opened.take() {
                Some(opened) if opened.store == self.number => opened.connection,
                _ => self.connect(OpenFlags::empty())?,
            };
            let store = self.number;
            let opened = opened.insert(Opened { connection, store });
            Ok(act(&opened.connection)?)
        })
    }
}

fn act(
    connection: &Connection,
    key: &[u8],
    request: &Request<'_>,
    response: &mut Response<'_>,
) -> rusqlite::Result<Outcome> {
    match request.method {
        Method::Put | Method::Delete if is_conditional(request) => {
            // Another writer must not come between the check and the change.
            let immediate = TransactionBehavior::Immediate;
            let transaction = Transaction::new_unchecked(connection, immediate)?;
            let outcome = if is_allowed(&transaction, key, request, response)? {
                change(&transaction, key, request)?
            } else {
                Outcome::Refused
            };
            transaction.commit()?;
            Ok(outcome)
        }
        Method::Put | Method::Delete => change(connection, key, request),
        _ => {
            let mut get = connection.prepare_cached(GET)?;
            let found = get.query_row((key,), |row| {
                send(row.get_ref(0)?.as_blob()?, request, response);
                Ok(Outcome::Found)
            });
            Ok(found.optional()?.unwrap_or(Outcome::Absent))
        }
    }
}

fn change(connection: &Connection, key: &[u8], request: &Request<'_>) -> rusqlite::Result<Outcome> {
    if request.method == Method::Delete {
        return match connection.prepare_cached(DELETE)?.execute((key,))? {
            0 => Ok(Outcome::Absent),
            _ => Ok(Outcome::Deleted),
        };
    }
    let mut put = connection.prepare_cached(PUT)?;
    let mut rows = put.query((key, request.body))?;
    let puts: i64 = rows.next()?.map_or(Ok(1), |row| row.get(0))?;
    // It commits only when it has been stepped to its end.
    while rows.next()?.is_some() {}
    Ok(match puts {
        1 => Outcome::Created,
        _ => Outcome::Replaced,
    })
}

/// Whether the request has a precondition that a change must meet. The store knows no dates, so those are
/// ignored (RFC 9110 section 13.1.4).
fn is_conditional(request: &Request<'_>) -> bool {
    request.field("if-match").is_some() || request.field("if-none-match").is_some()
}

/// Whether the preconditions hold for what is in the store now; if not, answers.
fn is_allowed(
    connection: &Connection,
    key: &[u8],
    request: &Request<'_>,
    response: &mut Response<'_>,
) -> rusqlite::Result<bool> {
    let mut get = connection.prepare_cached(GET)?;
    let current = get.query_row((key,), |row| Ok(version(row.get_ref(0)?.as_blob()?)));
    let current = current.optional()?;
    if current.is_none() && request.method == Method::Delete {
        // That is 404, which preconditions do not change (RFC 9110 section 13.2.1).
        return Ok(true);
    }
    let condition = request.condition(current.as_ref());
    Ok(response.is_met(condition, current.as_ref()))
}

fn send(value: &[u8], request: &Request<'_>, response: &mut Response<'_>) {
    let version = version(value);
    response.content_type("application/octet-stream");
    if request.field("range").is_some() {
        let bytes = value.len() as u64;
        // Memory can always be read.
        let _ = response.content(request, &version, bytes, value.to_vec());
        return;
    }
    let condition = request.condition(Some(&version));
    if response.is_met(condition, Some(&version)) {
        response.validators(&version).body(value);
    }
}

/// The tag of a value is a hash of 128 bits of it, so that it needs no column of its own, and a key that is
/// deleted and made again does not get an old tag for another value.
fn version(value: &[u8]) -> Validators {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(salt);
        hasher.write(value);
        hasher.finish()
    };
    let tag = format!("{:016x}{:016x}", half(0), half(1));
    Validators {
        etag: Some(ETag::strong(tag)),
        modified: None,
    }
}

/// Busy is the load's fault, and passes; anything else is for whoever runs the server.
#[cold]
fn fail(failure: &Failure, response: &mut Response<'_>) {
    match failure {
        Failure::Sqlite(error)
            if matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
            ) =>
        {
            response.field("Retry-After", "1");
            return plain(response, 503, "The store is busy.\n");
        }
        Failure::Sqlite(error) => log(format_args!("kv: {error}")),
        Failure::Inherited => log(format_args!(
            "kv: a store that was in use before the fork cannot be used after it"
        )),
    }
    plain(response, 500, "The store has failed.\n");
}
