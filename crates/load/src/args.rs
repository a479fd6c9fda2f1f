//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;

use crate::plan::{BodyCheck, Pace, Plan};
use crate::schedule::Arrivals;

/// Send load to a server and measure it without hiding late answers.
///
/// Without --rate the loop is closed: each reply makes room for the next request. With --rate it is
/// open: requests leave when they are due, and response times count from then on, whatever keeps
/// them from leaving.
#[derive(Debug, Clone, Parser)]
#[command(name = "load", version)]
pub struct Args {
    /// Where to: http://HOST:PORT/PATH or unix:/SOCKET:/PATH
    pub url: String,

    /// Open loop: requests a second over all connections
    #[arg(long, value_name = "R")]
    pub rate: Option<f64>,

    /// Spacing of the arrivals in an open loop
    #[arg(long, value_enum, default_value = "poisson")]
    pub arrivals: Arrivals,

    /// Seed of Poisson arrivals
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Connections held, or open at most with --new-connection
    #[arg(long, short, value_name = "N", default_value_t = 64)]
    pub connections: usize,

    /// Threads, each with its share of connections and schedule
    #[arg(long, short, value_name = "N", default_value_t = 1)]
    pub threads: usize,

    /// The measured window (10s, 500ms, 2m)
    #[arg(long, short, value_name = "D", default_value = "10s", value_parser = duration)]
    pub duration: Duration,

    /// Load of the same kind before it, not recorded
    #[arg(long, value_name = "D", default_value = "1s", value_parser = duration)]
    pub warmup: Duration,

    /// How long unanswered requests are awaited after it; then they count as censored
    #[arg(long, value_name = "D", default_value = "1s", value_parser = duration)]
    pub drain: Duration,

    /// When to give up a request, counted from its intended start
    #[arg(long, value_name = "D", default_value = "10s", value_parser = duration)]
    pub timeout: Duration,

    /// Requests in flight on each connection
    #[arg(long, short, value_name = "N", default_value_t = 1)]
    pub pipeline: usize,

    /// Open a connection for every request, which the server closes
    #[arg(long)]
    pub new_connection: bool,

    /// Request method; POST if there is a body, else GET
    #[arg(long, short, value_name = "METHOD")]
    pub method: Option<String>,

    /// Bytes of request body
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = body_bytes)]
    pub body_bytes: usize,

    /// A further header line, NAME: VALUE
    #[arg(long = "header", short = 'H', value_name = "LINE")]
    pub headers: Vec<String>,

    /// The status that counts as correct (any 2xx when absent)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(200..=599))]
    pub expect_status: Option<u16>,

    /// How much of each body must equal the first correct one
    #[arg(long, value_enum, default_value = "exact")]
    pub body_check: BodyCheck,

    /// Write the result as JSON; - is standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Print neither progress nor table
    #[arg(long, short)]
    pub quiet: bool,
}

impl Args {
    /// The run that these arguments ask for.
    ///
    /// # Errors
    /// A malformed URL, or a value out of its range; the message is one line.
    pub fn plan(&self) -> Result<Plan> {
        let arrivals = self.arrivals;
        let method = if self.body_bytes > 0 { "POST" } else { "GET" };
        let plan = Plan {
            target: self.url.parse()?,
            pace: self
                .rate
                .map_or(Pace::Closed, |rate| Pace::Open { rate, arrivals }),
            seed: self.seed,
            connections: self.connections,
            threads: self.threads,
            pipeline: self.pipeline,
            new_connection: self.new_connection,
            duration: self.duration,
            warmup: self.warmup,
            drain: self.drain,
            timeout: self.timeout,
            method: self.method.clone().unwrap_or_else(|| method.to_owned()),
            headers: self.headers.clone(),
            body_bytes: self.body_bytes,
            expect_status: self.expect_status,
            body_check: self.body_check,
        };
        plan.check()?;
        Ok(plan)
    }
}

/// Longest duration taken.
const DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Largest request body, bytes.
const BODY_BYTES_MAX: usize = 64 << 20;

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "" | "s" => 1.0,
        "ms" => 1e-3,
        "us" | "µs" => 1e-6,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{unit:?} is not a unit of time (us, ms, s, m, h)")),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| format!("{text:?} is not a duration"))?;
    Duration::try_from_secs_f64(number * scale)
        .ok()
        .filter(|&duration| duration <= DURATION_MAX)
        .ok_or_else(|| format!("{text} is too long"))
}

fn body_bytes(text: &str) -> Result<usize, String> {
    let bytes = text.parse::<usize>().map_err(|error| error.to_string())?;
    (bytes <= BODY_BYTES_MAX)
        .then_some(bytes)
        .ok_or_else(|| format!("at most {BODY_BYTES_MAX}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, ms) in [
            ("10s", 10_000),
            ("500ms", 500),
            ("1.5s", 1_500),
            ("2m", 120_000),
            ("3", 3_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "1x", "-1s", "1.2.3s", "99999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Args::command().debug_assert();
        let args = Args::parse_from(["load", "http://127.0.0.1:1/", "--body-bytes", "3"]);
        let request = String::from_utf8(args.plan().unwrap().request()).unwrap();
        assert_eq!(
            request,
            "POST / HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Length: 3\r\n\r\nabc"
        );
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        for flags in [
            &["--rate", "0"][..],
            &["--rate", "nan"],
            &["--connections", "0"],
            &["--connections", "2", "--threads", "3"],
            &["--new-connection", "--pipeline", "2"],
            &["--duration", "0s"],
            &["--header", "broken"],
            &["--method", "GET /"],
        ] {
            let args = Args::parse_from(["load", "http://127.0.0.1:1/"].iter().chain(flags));
            assert!(args.plan().is_err(), "{flags:?}");
        }
    }
}
