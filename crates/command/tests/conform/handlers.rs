//! This test binary as a server whose handlers misbehave, each route in its way: no route of the command
//! does, and what a library does about them is asked of every model all the same.

use std::cell::Cell;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use turnstile::{Nature, Piece, Pull, Request, Response, Service, Source, pieces, reader};

/// First argument of a test binary that is to be that server: the flags of `turnstile serve` follow.
pub const MISBEHAVING: &str = "--misbehaving";

/// What stands in the log for each panic that was asked for.
pub const PANICS_AS_ASKED: &str = "a handler panics, as it was asked to";

/// How long a gate waits for the row that is to open it, so that nothing stays behind.
const GATE_LOOKS: u32 = 8_000;
const GATE_LOOKS_EVERY: Duration = Duration::from_millis(2);

#[derive(Debug, clap::Args)]
struct Flags {
    /// Serves handlers that misbehave
    #[arg(long)]
    misbehaving: bool,
}

/// Becomes that server if the command line says so.
pub fn if_asked() -> Option<ExitCode> {
    let first = std::env::args().nth(1)?;
    (first == MISBEHAVING).then(|| {
        say_what_was_asked_for();
        turnstile::main_on_any(|flags: &Flags| match flags.misbehaving {
            true => Ok(Misbehaving),
            false => Err("it was not asked to misbehave"),
        })
    })
}

thread_local! {
    /// Whether the handler that runs is about to panic as a row has asked it to.
    static ASKED: Cell<bool> = const { Cell::new(false) };
}

/// The runner takes a panic for an error of the server. What a row has asked for is none, and its line
/// says so; every other panic is reported as ever.
fn say_what_was_asked_for() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| match ASKED.take() {
        true => eprintln!("{PANICS_AS_ASKED}"),
        false => usual(info),
    }));
}

/// Breaks a rule of the interface on each of its paths.
struct Misbehaving;

impl Service for Misbehaving {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        // Of a route that was asked to panic, and did not in this build, nothing may be left.
        ASKED.set(matches!(request.path, "/panic" | "/length"));
        response.content_type("text/plain");
        let place = Path::new(request.query.unwrap_or_default());
        match request.path {
            "/panic" => panic!("as asked"),
            "/panic-later" => drop(response.stream(panicking())),
            "/never" => never(place),
            "/gate" => {
                gate(place);
                response.body(b"open");
            }
            "/twice" => drop(response.body(b"first").body(b"second")),
            "/stream-then-body" => drop(response.stream(pieces(["first"])).body(b"second")),
            "/body-then-stream" => drop(response.body(b"first").stream(pieces(["second"]))),
            "/length" => drop(response.field("Content-Length", "5").body(b"six...")),
            "/short" => drop(response.stream_of(10, pieces(["half"]))),
            "/short-reader" => drop(response.reader(Box::new(&b"half"[..]), 10)),
            "/long" => drop(response.stream_of(4, pieces(["half", " and more"]))),
            "/silent" => drop(response.stream(Silent(place.into()))),
            "/half" => drop(response.reader(Box::new(Half(true)), 10)),
            "/half-stream" => drop(response.stream(reader(Half(true)))),
            _ => drop(response.body(b"well")),
        }
    }

    /// It keeps to itself that `/never` is slow.
    fn nature(&self, request: &Request<'_>) -> Nature {
        match request.path {
            "/gate" => Nature::Blocking,
            _ => Nature::Quick,
        }
    }

    fn has_slow_requests(&self) -> bool {
        true
    }
}

/// Says by a file in `place` that it has begun, and holds its thread for ever.
fn never(place: &Path) {
    begun(place);
    loop {
        std::thread::park();
    }
}

/// Says by a file in `place` that it has begun, and holds its thread until there is another, `open`.
fn gate(place: &Path) {
    begun(place);
    let mut looks = 0..GATE_LOOKS;
    while looks.next().is_some() && !place.join("open").exists() {
        std::thread::sleep(GATE_LOOKS_EVERY);
    }
}

fn begun(place: &Path) {
    // Without the file, the row waits in vain and says so.
    let _ = std::fs::write(place.join("begun"), "");
}

/// A piece, and then a panic.
fn panicking() -> impl turnstile::Source + 'static {
    let mut is_first = true;
    move |piece: &mut Piece<'_>| {
        if !std::mem::take(&mut is_first) {
            ASKED.set(true);
            panic!("as asked");
        }
        piece.push(b"half");
        Ok(Pull::More)
    }
}

/// A piece, and then nothing for as long as anybody waits. Its end says so by a file `ended`.
struct Silent(PathBuf);

/// A client that has gone is to be noticed long before.
const SILENCE: Duration = Duration::from_secs(60);

impl Source for Silent {
    fn pull(&mut self, piece: &mut Piece<'_>) -> io::Result<Pull> {
        if !self.0.join("begun").exists() {
            begun(&self.0);
            piece.push(b"half");
        }
        Ok(Pull::Later(SILENCE))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0.join("ended"), ""); // Without it, the row says that it waits in vain.
    }
}

/// Four bytes, and then an error.
struct Half(bool);

impl Read for Half {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !std::mem::take(&mut self.0) {
            return Err(io::Error::other("half-way"));
        }
        buffer[..4].copy_from_slice(b"half");
        Ok(4)
    }
}
