//! `turnstile compare-live A B`: two servers side by side, slice against slice.
//!
//! Both servers stand and hold the same CPUs; one of them is loaded at a time. A *rotation* loads each
//! of them in an open loop (CPU per request, p50 and p99 at the same offered rate and with the same
//! arrivals) and in a closed one (throughput), in an order drawn anew. What is compared is the pair of
//! one rotation, so that a mood of the machine that lasts for a second is in both. The processes are
//! started afresh every few rotations: where their memory came to lie is part of the noise, too.
//!
//! The session looks at its pairs again and again and stops as soon as every figure is decided; how that
//! keeps its error rate is said in [`report::stats::sequential`].

use std::process::ExitCode;

use report::out;

use crate::failure::{Failure, ensure_usage};

mod args;
mod contender;
mod counted;
mod kind;
mod session;
mod slice;
mod text;
mod verdict;

pub use args::LiveArgs;

/// Runs `turnstile compare-live`; the exit statuses are those of [`LiveArgs`].
pub fn live_main(args: &LiveArgs) -> ExitCode {
    match compare(args) {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            eprintln!("turnstile compare-live: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn compare(args: &LiveArgs) -> Result<u8, Failure> {
    check(args)?;
    let sink = args.json.as_deref().map(out::File::open).transpose()?;
    let session = session::run(args)?;
    let result = verdict::of(&session);
    out::print(&text::table(&result))?;
    if let Some(sink) = sink {
        sink.write(&text::json(&result))?;
    }
    if session.interrupted {
        return Err(Failure::Interrupted);
    }
    Ok(result.exit)
}

fn check(args: &LiveArgs) -> Result<(), Failure> {
    ensure_usage!(
        args.within > 0.0 && args.within <= 50.0,
        "--within is a percentage from 0 to 50"
    );
    ensure_usage!(
        args.rate.is_none_or(|rate| (1.0..=1e7).contains(&rate)),
        "--rate is a number of requests per second"
    );
    let good = |path: &str| path.starts_with('/') && !path.contains(char::is_whitespace);
    ensure_usage!(good(&args.path), "--path begins with / and has no blanks");
    ensure_usage!(
        args.path_b.as_deref().is_none_or(good),
        "--path-b begins with / and has no blanks"
    );
    Ok(())
}
