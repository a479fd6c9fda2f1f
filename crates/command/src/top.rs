//! `turnstile top`: what a server does, live in a terminal.
//!
//! It reads `/metrics` of the admin address once per interval, so it sees what Prometheus sees, and the
//! server does nothing for it in between. Rates and percentiles are those of the last interval.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use admin::{Admin, Failure};
use page::Page;
use screen::{Screen, Woken};

mod admin;
mod history;
mod page;
mod screen;
mod view;

/// Flags of `turnstile top`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The admin address of the server, as --admin has it: HOST:PORT, :PORT or unix:/path
    #[arg(value_name = "ADDR")]
    addr: Admin,

    /// Print one interval as plain text, and end
    #[arg(long, conflicts_with = "count")]
    once: bool,

    /// Print N intervals as plain text, and end
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Time from one look to the next, ms
    #[arg(long, value_name = "N", default_value_t = 1_000,
          value_parser = clap::value_parser!(u64).range(50..=3_600_000))]
    every_ms: u64,
}

/// How long an answer may take before the screen says that there is none.
const PATIENCE: Duration = Duration::from_secs(2);
/// For how long there may be none before the server is given up.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// When one that has gone is asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Shows it until it has been shown so often, the user ends it, or the server ends.
pub fn main(args: &Args) -> ExitCode {
    match run(args) {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Drained) => {
            let addr = &args.addr;
            // A reader that has gone is none of our concern.
            let _ = writeln!(
                std::io::stdout(),
                "the server at {addr} has drained and ended"
            );
            ExitCode::SUCCESS
        }
        Err(line) => {
            let _ = writeln!(std::io::stderr(), "error: {line}");
            ExitCode::FAILURE
        }
    }
}

/// Why it ends well.
enum End {
    /// All was shown, or the user has ended it.
    Done,
    /// The server has drained.
    Drained,
}

/// A server that is replaced closes a connection or two on the way, so there is a second attempt.
fn read(addr: &Admin) -> Result<Page, Failure> {
    match addr.read(PATIENCE) {
        Err(Failure::Gone(_)) => {
            std::thread::sleep(AGAIN_AFTER);
            addr.read(PATIENCE)
        }
        other => other,
    }
}

fn run(args: &Args) -> Result<End, String> {
    let mut left = if args.once { Some(1) } else { args.count };
    let every = Duration::from_millis(args.every_ms);
    let mut before = args.addr.read(PATIENCE).map_err(|why| why.at(&args.addr))?;
    let is_live = left.is_none() && std::io::stdout().is_terminal();
    let mut screen = Screen::open(is_live).map_err(|error| format!("the terminal: {error}"))?;
    let mut history = history::History::default();
    let mut next = Instant::now() + every;
    if is_live && !screen.show(&view::begin(&args.addr, &before)) {
        return Ok(End::Done);
    }
    loop {
        if screen.wait_until(next) == Woken::ByUser {
            return Ok(End::Done);
        }
        next = (next + every).max(Instant::now());
        let now = match read(&args.addr) {
            Ok(page) => page,
            Err(Failure::Silent) if before.at.elapsed() < SILENCE_MAX => {
                let seconds = before.at.elapsed().as_secs();
                screen.note(&format!("no answer for {seconds} s"));
                continue;
            }
            Err(_) if before.is_draining() => return Ok(End::Drained),
            Err(why) => {
                drop(screen);
                return Err(why.since(&args.addr));
            }
        };
        history.add(view::request_rate(&before, &now));
        let lines = view::interval(&args.addr, &before, &now, &history, screen.room());
        if !screen.show(&lines) {
            return Ok(End::Done); // The reader of the output has gone.
        }
        before = now;
        if let Some(left) = &mut left {
            *left -= 1;
            if *left == 0 {
                return Ok(End::Done);
            }
        }
    }
}
