//! The workloads behind one router.

use std::io::Write;
use std::time::{Duration, Instant};

use proto::{Memory, Method, Nature, Piece, Pull, Request, Response, Service};

use crate::work::{BYTES_MAX, Locks, MICROS_MAX, Work, number_up_to};
use crate::{Calibration, Files, Store, plain};

/// What `/bytes` sends over and over: 16 KiB, so that long bodies are made by long copies.
static PATTERN: [u8; 16 << 10] = {
    let mut pattern = [0; 16 << 10];
    let mut at = 0;
    while at < pattern.len() {
        pattern[at] = b'a' + (at % 26) as u8;
        at += 1;
    }
    pattern
};

/// All routes.
#[derive(Debug)]
pub struct Router {
    cpu: Calibration,
    locks: Locks,
    files: Option<Files>,
    store: Option<Store>,
}

impl Router {
    /// Calibrates `/cpu`, which takes a few milliseconds, so make it before forking. Without a folder
    /// there are no `/files`, without a store no `/kv`.
    pub fn new(files: Option<Files>, store: Option<Store>) -> Router {
        Router {
            cpu: Calibration::measure(),
            locks: Locks::new(),
            files,
            store,
        }
    }
}

/// A path, matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route<'a> {
    Plaintext,
    Json,
    Echo,
    Bytes(&'a str),
    Cpu(&'a str),
    Wait(&'a str),
    Sleep(&'a str),
    Stream(&'a str),
    Work(&'a str),
    Files(&'a str),
    Kv(&'a str),
    Whoami,
    Server,
    Nothing,
}

impl Route<'_> {
    fn of(path: &str) -> Route<'_> {
        match path {
            "/" | "/plaintext" => return Route::Plaintext,
            "/json" => return Route::Json,
            "/echo" => return Route::Echo,
            "/whoami" => return Route::Whoami,
            "*" => return Route::Server,
            _ => {}
        }
        match path.strip_prefix('/').and_then(|path| path.split_once('/')) {
            Some(("bytes", number)) => Route::Bytes(number),
            Some(("cpu", number)) => Route::Cpu(number),
            Some(("wait", number)) => Route::Wait(number),
            Some(("sleep", number)) => Route::Sleep(number),
            Some(("stream", numbers)) => Route::Stream(numbers),
            Some(("work", numbers)) => Route::Work(numbers),
            Some(("files", path)) => Route::Files(path),
            Some(("kv", key)) => Route::Kv(key),
            _ => Route::Nothing,
        }
    }

    fn allow(self) -> &'static str {
        match self {
            Route::Echo => "POST, OPTIONS",
            Route::Work(_) => "GET, HEAD, POST, OPTIONS",
            Route::Kv(_) => "GET, HEAD, PUT, DELETE, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        }
    }
}

impl Service for Router {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        let route = Route::of(request.path);
        match (request.method, route) {
            (Method::Other(_) | Method::Connect, _) => {
                plain(response, 501, "This server does not know that method.\n");
            }
            (Method::Options, Route::Server) => drop(
                response
                    .status(204)
                    .field("Allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS"),
            ),
            (_, Route::Nothing | Route::Server) => plain(response, 404, "There is nothing here.\n"),
            (Method::Options, route) => drop(response.status(204).field("Allow", route.allow())),
            (Method::Post, Route::Echo) => echo(request, response),
            (Method::Post, Route::Work(numbers)) => self.work(numbers, request, response),
            (Method::Get | Method::Head | Method::Put | Method::Delete, Route::Kv(key)) => {
                match &self.store {
                    Some(store) => store.answer(key, request, response),
                    None => plain(response, 404, "This server has no store: it needs --db.\n"),
                }
            }
            (Method::Get | Method::Head, route) if route != Route::Echo => {
                self.get(route, request, response);
            }
            _ => {
                response.field("Allow", route.allow());
                plain(response, 405, "Not with that method.\n");
            }
        }
    }

    /// Numbers and stores that all must see are shared by processes.
    fn memory(&self) -> Memory {
        Memory::Any
    }

    fn has_slow_requests(&self) -> bool {
        true
    }

    fn nature(&self, request: &Request<'_>) -> Nature {
        match Route::of(request.path) {
            Route::Cpu(_) => Nature::Cpu,
            Route::Work(numbers) => match Work::parse(numbers, None) {
                Some(work) if work.blocked_us > 0 => Nature::Blocking,
                Some(work) if work.cpu_us > 0 => Nature::Cpu,
                _ => Nature::Quick,
            },
            Route::Sleep(_) | Route::Files(_) | Route::Kv(_) => Nature::Blocking,
            _ => Nature::Quick,
        }
    }
}

impl Router {
    fn get(&self, route: Route<'_>, request: &Request<'_>, response: &mut Response<'_>) {
        match route {
            Route::Plaintext => drop(
                response
                    .content_type("text/plain")
                    .static_body(b"Hello, World!"),
            ),
            Route::Json => drop(
                response
                    .content_type("application/json")
                    .static_body(br#"{"message":"Hello, World!"}"#),
            ),
            Route::Whoami => whoami(request, response),
            Route::Bytes(number) => match number_up_to(number, BYTES_MAX) {
                Some(bytes) => drop(
                    response
                        .content_type("application/octet-stream")
                        .repeat(&PATTERN, bytes),
                ),
                None => plain(
                    response,
                    400,
                    "/bytes/N takes a number of bytes up to 67108864.\n",
                ),
            },
            Route::Cpu(number) | Route::Wait(number) | Route::Sleep(number) => {
                match number_up_to(number, MICROS_MAX) {
                    Some(micros) => self.take(route, micros, response),
                    None => plain(
                        response,
                        400,
                        "It takes a number of microseconds up to 60000000.\n",
                    ),
                }
            }
            Route::Stream(numbers) => match stream_numbers(numbers) {
                Some((pieces, pause)) => stream(pieces, pause, response),
                None => plain(
                    response,
                    400,
                    "/stream/N/MICROS takes a number of lines, 0 for no end, and a pause up to 60000000.\n",
                ),
            },
            Route::Work(numbers) => self.work(numbers, request, response),
            Route::Files(path) => match &self.files {
                Some(files) => files.get(path, request, response),
                None => plain(
                    response,
                    404,
                    "This server has no files: it needs --root.\n",
                ),
            },
            Route::Echo | Route::Kv(_) | Route::Server | Route::Nothing => {
                unreachable!("sorted out by method")
            }
        }
    }

    /// Takes `micros` µs in the way of the route, and says so.
    #[inline(never)]
    fn take(&self, route: Route<'_>, micros: u64, response: &mut Response<'_>) {
        let time = Duration::from_micros(micros);
        match route {
            Route::Cpu(_) => self.cpu.burn(micros),
            Route::Sleep(_) => std::thread::sleep(time),
            _ => drop(response.wait(time)),
        }
        response.content_type("text/plain").static_body(b"done\n");
    }

    /// Burns, then blocks its worker, then waits with the worker free, then replies with so many bytes.
    #[inline(never)]
    fn work(&self, numbers: &str, request: &Request<'_>, response: &mut Response<'_>) {
        let Some(work) = Work::parse(numbers, request.query) else {
            return plain(
                response,
                400,
                "/work takes CPU_US/BLOCKED_US/WAIT_US/REPLY_BYTES, up to 60000000 each and 67108864 bytes, and perhaps ?lock=NAME.\n",
            );
        };
        let start = Instant::now();
        if work.lock.is_empty() {
            self.cpu.burn(work.cpu_us);
        } else {
            let Some(_held) = self.locks.hold(work.lock) else {
                return plain(response, 500, "This machine gave no lock.\n");
            };
            self.cpu.burn(work.cpu_us);
        }
        if work.blocked_us > 0 {
            std::thread::sleep(Duration::from_micros(work.blocked_us));
        }
        if work.wait_us > 0 {
            // A delay counts from the arrival of the request, and the wait comes after the work.
            response.wait(start.elapsed() + Duration::from_micros(work.wait_us));
        }
        response
            .content_type("application/octet-stream")
            .repeat(&PATTERN, work.reply_bytes);
    }
}

fn echo(request: &Request<'_>, response: &mut Response<'_>) {
    response
        .content_type("application/octet-stream")
        .body(request.body);
}

/// The numbers of `/stream/N/MICROS`.
fn stream_numbers(numbers: &str) -> Option<(u64, Duration)> {
    let (pieces, micros) = numbers.split_once('/')?;
    let micros = number_up_to(micros, MICROS_MAX)?;
    Some((
        number_up_to(pieces, u64::MAX)?,
        Duration::from_micros(micros),
    ))
}

/// Numbered lines, each a piece, with a pause behind each; without end if there are to be none.
#[cold]
fn stream(pieces: u64, pause: Duration, response: &mut Response<'_>) {
    let mut made = 0_u64;
    let body = move |piece: &mut Piece<'_>| {
        if pieces == 0 && piece.is_draining() {
            return Ok(Pull::End);
        }
        made += 1;
        // Writing to memory cannot fail.
        let _ = writeln!(piece.buffer(), "line {made}");
        Ok(match (made == pieces, pause.is_zero()) {
            (true, _) => Pull::End,
            (false, true) => Pull::More,
            (false, false) => Pull::Later(pause),
        })
    };
    response.content_type("text/plain").stream(body);
}

#[inline(never)]
fn whoami(request: &Request<'_>, response: &mut Response<'_>) {
    let (place, pid) = (request.place, std::process::id());
    let thread = std::fs::read_link("/proc/thread-self").ok();
    let thread = thread
        .as_deref()
        .and_then(|path| path.file_name()?.to_str()?.parse().ok())
        .unwrap_or(pid);
    // Names of models and variants are plain words, so nothing needs escaping. Writing to memory
    // cannot fail.
    let _ = writeln!(
        response.content_type("application/json").body_buffer(),
        r#"{{"model":"{}","variant":"{}","pid":{pid},"thread":{thread},"worker":{},"requests":{}}}"#,
        place.model,
        place.variant,
        place.worker,
        request.served,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_matched_whole() {
        assert_eq!(Route::of("/bytes/12"), Route::Bytes("12"));
        assert_eq!(Route::of("/"), Route::Plaintext);
        for nothing in [
            "/bytes",
            "/bytesx/1",
            "//",
            "/x/bytes/1",
            "",
            "plaintext",
            "/plaintext/",
        ] {
            assert_eq!(Route::of(nothing), Route::Nothing, "{nothing}");
        }
    }

    #[test]
    fn numbers_are_plain() {
        assert_eq!(number_up_to("67108864", BYTES_MAX), Some(BYTES_MAX));
        for bad in [
            "",
            "+1",
            "-1",
            "1.0",
            "67108865",
            "99999999999999999999",
            "0x1",
            " 1",
        ] {
            assert_eq!(number_up_to(bad, BYTES_MAX), None, "{bad}");
        }
    }
}
