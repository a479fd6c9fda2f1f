//! Load in slices: told over standard input to load for so long, with connections that stay open.
//!
//! Each line of standard input asks for one slice, as JSON: `{"seconds": 0.3, "rate": 5000, "seed": 7}`.
//! Without `rate` the loop is closed, and its clients think as the command line says; without `seed` it
//! is that of the command line. Each slice is answered with one line on standard output, the result as
//! JSON with the histogram of its response times. In between the process sleeps, and holds its
//! connections. It ends with its input.
//!
//! Every slice is a run of its own, with its own clocks and counts: all that goes on from one to the
//! next are the sockets. A connection that the server has closed meanwhile, or that has a request
//! without a reply, is opened again before the next slice, and the result says how many were.

use std::io::{self, BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use schema::load::{Arrivals, LoadResult};
use serde::Deserialize;

use crate::edges::Edge;
use crate::exit;
use crate::gates;
use crate::plan::{Pace, Plan};
use crate::run::{Observer, run_on};
use crate::sockets::Sockets;

/// Longest slice, seconds.
const SECONDS_MAX: f64 = 3600.0;

/// One line of the input.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// How long to load.
    seconds: f64,
    /// Requests per second of an open loop.
    rate: Option<f64>,
    /// Seed of the arrivals and of the mix.
    seed: Option<u64>,
}

/// Loads in slices until the input ends.
///
/// # Errors
/// A line that is no slice, or a target that refuses every connection; the message is one line.
pub(crate) fn serve(plan: &Plan, arrivals: Arrivals, edges: bool) -> Result<()> {
    let (stop, idle) = (Arc::default(), Arc::default());
    // Between slices the first signal ends the process.
    exit::stop_on_signals(&stop, &[&stop, &idle]).context("cannot handle signals")?;
    let sockets = Sockets::default();
    let mut first = true;
    while let Some(line) = next_line(&idle)? {
        let plan = asked(&line)?.plan(plan, arrivals)?;
        let mut result = slice(&plan, &stop, edges, &sockets)?;
        result.connections_reopened = reopened(&plan, &sockets, first);
        first = false;
        let json = serde_json::to_string(&result).context("the result cannot be written")?;
        let mut out = io::stdout().lock();
        if writeln!(out, "{json}").and_then(|()| out.flush()).is_err() {
            // The reader has gone.
            return Ok(());
        }
        if stop.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
    }
    Ok(())
}

fn next_line(idle: &AtomicBool) -> Result<Option<String>> {
    let mut line = String::new();
    idle.store(true, Ordering::Relaxed);
    let read = io::stdin().lock().read_line(&mut line);
    idle.store(false, Ordering::Relaxed);
    let bytes = read.context("cannot read standard input")?;
    Ok((bytes > 0).then_some(line))
}

fn asked(line: &str) -> Result<Asked> {
    let line = line.trim();
    serde_json::from_str(line)
        .map_err(|_| anyhow::anyhow!("{line:?} is not a slice such as {{\"seconds\": 0.3}}"))
}

impl Asked {
    fn plan(self, plan: &Plan, arrivals: Arrivals) -> Result<Plan> {
        let seconds = self.seconds;
        ensure!(
            seconds > 0.0 && seconds <= SECONDS_MAX,
            "a slice lasts more than 0 and at most {SECONDS_MAX} seconds, not {seconds}"
        );
        let plan = Plan {
            pace: self
                .rate
                .map_or(Pace::Closed, |rate| Pace::Open { rate, arrivals }),
            // The clients of an open loop do not wait for replies.
            think: match self.rate {
                Some(_) => Duration::ZERO,
                None => plan.think,
            },
            seed: self.seed.unwrap_or(plan.seed),
            duration: Duration::from_secs_f64(seconds),
            ..plan.clone()
        };
        plan.check()?;
        Ok(plan)
    }
}

fn slice(plan: &Plan, stop: &AtomicBool, edges: bool, sockets: &Sockets) -> Result<LoadResult> {
    let observer = Observer {
        progress: &mut |_| {},
        edge: edges.then_some(&Edge::announce),
    };
    let mut record = run_on(plan, stop, observer, Some(sockets))?;
    let mut result = gates::apply_to_slice(&mut record);
    result.response_hdr = Some(record.response_hdr());
    Ok(result)
}

/// How many connections were opened again before the slice that has just ended; the first one opens
/// them all, and where each request has a connection of its own none is kept.
fn reopened(plan: &Plan, sockets: &Sockets, first: bool) -> u64 {
    let taken = sockets.count_taken();
    let missing = plan.connections.saturating_sub(taken);
    let kept = !first && !plan.new_connection;
    if kept { missing as u64 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_asks_for_a_slice() {
        let mut plan = Plan::new("http://127.0.0.1:1/".parse().unwrap());
        plan.seed = 5;
        let of = |line: &str| asked(line).and_then(|asked| asked.plan(&plan, Arrivals::Constant));
        let closed = of("{\"seconds\": 0.25}\n").unwrap();
        assert_eq!((closed.pace, closed.seed), (Pace::Closed, 5));
        assert_eq!(closed.duration, Duration::from_millis(250));
        let open = of(r#"{"seconds": 1, "rate": 40, "seed": 9}"#).unwrap();
        let (rate, arrivals) = (40.0, Arrivals::Constant);
        assert_eq!((open.pace, open.seed), (Pace::Open { rate, arrivals }, 9));
        let plan = Plan {
            think: Duration::from_millis(7),
            ..plan.clone()
        };
        let think = |line: &str| asked(line).and_then(|asked| asked.plan(&plan, Arrivals::Poisson));
        assert_eq!(think(r#"{"seconds": 1}"#).unwrap().think, plan.think);
        let open = think(r#"{"seconds": 1, "rate": 40}"#).unwrap();
        assert_eq!(open.think, Duration::ZERO);
        for line in [
            "",
            "go",
            "{}",
            r#"{"seconds": 0}"#,
            r#"{"seconds": -1}"#,
            r#"{"seconds": 1e9}"#,
            r#"{"seconds": 1, "rate": -3}"#,
            r#"{"seconds": 1, "speed": 3}"#,
        ] {
            let error = format!("{:#}", of(line).unwrap_err());
            assert!(!error.contains('\n'), "{line}: {error}");
        }
    }
}
