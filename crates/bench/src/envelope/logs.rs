//! CPU per request with the admin address and access logs, beside a bare server.
//!
//! All setups of a model stand side by side, and each rotation loads every one of them once, in an order
//! that is shuffled again. An access log is written by a helper process up to 100 ms after its requests,
//! so the readings behind a slice wait for that: what the helper uses is in the figure.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use report::data::{Mode, Shape};
use schema::envelope::{Line, Log, LogEnd};
use schema::load::LoadResult;

use super::plan::{FILE, LOG_CONNECTIONS, LOG_SETTLES, SETUPS};
use super::server;
use super::session::{Session, Stopped};
use crate::failure::Unmeasured;
use crate::observe::measured::Sample;
use crate::plan::contender::Contender;
use crate::plan::scenario::PLAINTEXT;
use crate::run::held::Held;
use crate::run::server::{Launch, Server};
use crate::run::setup::Setup;
use crate::run::slice_generator::Asked;

/// Closed loops wait in every queue there is: nothing is to be refused for it.
const FLAGS: [&str; 2] = ["--queue-delay-ms", "0"];

/// Measures one model.
pub fn measure(session: &mut Session, contender: &Contender) -> Result<(), Stopped> {
    let one = server::needs_new_connections(contender, LOG_CONNECTIONS)?;
    let connections = if one { 1 } else { LOG_CONNECTIONS };
    let shape = Shape {
        mode: Mode::Closed,
        connections,
        pipeline: 1,
        keep_alive: true,
        path: PLAINTEXT.to_owned(),
        duration_s: session.times.slice.as_secs_f64(),
        ..Shape::default()
    };
    let mut standing = Vec::new();
    for (at, (name, flags)) in SETUPS.into_iter().enumerate() {
        let file = flags
            .contains(&FILE)
            .then(|| session.record.scratch(&format!("log-{at}")));
        let asked = Flags { name, flags, file };
        standing.push(Standing::start(&session.setup, contender, &shape, asked)?);
    }
    let asked = Asked {
        seconds: session.times.slice.as_secs_f64(),
        rate: None,
        seed: session.seed,
    };
    for each in &mut standing {
        let warm_up = Asked {
            seconds: asked.seconds * 2.0,
            ..asked
        };
        let warm = each.held.warm_up(&session.setup, &warm_up)?;
        each.replies += warm.load.requests;
    }
    let mut order: Vec<usize> = (0..standing.len()).collect();
    for rotation in 0..session.times.rotations {
        session.random.shuffle(&mut order);
        for (position, &at) in order.iter().enumerate() {
            let mut sample = standing[at].held.load(&session.setup, &asked)?;
            standing[at].replies += sample.load.requests;
            let all = standing.iter().map(|each| &each.held.beside);
            let beyond = standing[at].held.beside.beyond(all);
            sample.others.beside(beyond);
            let line = Log {
                model: contender.label.clone(),
                setup: standing[at].name.to_owned(),
                rotation,
                position: u32::try_from(position).unwrap_or(u32::MAX),
                spoiled: spoiled(&sample),
                ..of(&sample)
            };
            session.record.append(&Line::Log(line))?;
        }
    }
    for each in standing {
        if let Some(end) = each.end(&session.setup, contender)? {
            session.record.append(&Line::LogEnd(end))?;
        }
    }
    Ok(())
}

/// What a sample says.
fn of(sample: &Sample) -> Log {
    Log {
        seconds: sample.load.duration_s,
        requests: sample.load.requests,
        cpu_us: sample.cpu_us(),
        ..Log::default()
    }
}

/// Why its CPU per request is not to be believed. A generator that is the limit of a closed loop does not
/// change what a request costs the server.
fn spoiled(sample: &Sample) -> Option<String> {
    let failures = sample.load.failures();
    match failures {
        0 => server::spoiled(&Sample {
            load: LoadResult::default(),
            others: sample.others.clone(),
            command: String::new(),
            ..*sample
        }),
        _ => Some(format!("{failures} requests failed")),
    }
}

/// A setup: its flags, and the file of its log, if it has one.
struct Flags {
    name: &'static str,
    flags: &'static [&'static str],
    file: Option<PathBuf>,
}

/// A server that stands with its setup.
struct Standing {
    name: &'static str,
    held: Held,
    file: Option<LogFile>,
    /// Correct replies so far.
    replies: u64,
}

impl Standing {
    fn start(
        setup: &Setup,
        contender: &Contender,
        shape: &Shape,
        asked: Flags,
    ) -> Result<Self, Unmeasured> {
        let flags = [&FLAGS, asked.flags].concat();
        let mut launch = server::launch(setup, contender, shape.connections, &flags).listening();
        let file = asked.file.map(LogFile);
        if let Some(file) = &file {
            put(&mut launch, &file.0);
        }
        let server = Server::start(&launch, &setup.server_cpus, &setup.interrupt)?;
        Ok(Self {
            name: asked.name,
            held: Held::new(setup, server, shape, LOG_SETTLES)?,
            file,
            replies: 0,
        })
    }

    /// Stops it; gives how many lines its log holds, if that is a file.
    fn end(self, setup: &Setup, contender: &Contender) -> Result<Option<LogEnd>, Stopped> {
        self.held.end(setup)?;
        let Some(file) = self.file else {
            return Ok(None);
        };
        let lines = File::open(&file.0).and_then(lines_of);
        Ok(Some(LogEnd {
            model: contender.label.clone(),
            setup: self.name.to_owned(),
            requests: self.replies,
            lines: lines.context("the access log cannot be read")?,
        }))
    }
}

/// A log, which is removed with this value: it is as long as there were requests.
struct LogFile(PathBuf);

impl Drop for LogFile {
    fn drop(&mut self) {
        let _left_behind_if_not = fs::remove_file(&self.0);
    }
}

/// Puts the path of the log where the flags have [`FILE`].
fn put(launch: &mut Launch, file: &Path) {
    let path = file.to_string_lossy();
    for arg in launch.args.iter_mut().filter(|arg| *arg == FILE) {
        path.as_ref().clone_into(arg);
    }
}

/// The lines of a file.
fn lines_of(mut from: impl Read) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 16];
    let mut lines = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(lines),
            Ok(n) => lines += buffer[..n].iter().filter(|byte| **byte == b'\n').count() as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_are_counted() {
        for (text, lines) in [("", 0), ("a", 0), ("a\n", 1), ("a\n\nb\nc", 3)] {
            assert_eq!(lines_of(text.as_bytes()).expect("text"), lines, "{text:?}");
        }
        let long = "x".repeat(1 << 16) + "\n";
        assert_eq!(lines_of(long.repeat(3).as_bytes()).expect("text"), 3);
    }

    #[test]
    fn the_path_of_a_log_stands_where_the_flags_have_it() {
        for (_, flags) in SETUPS {
            let args = flags.iter().map(|&flag| flag.to_owned()).collect();
            let mut launch = Launch {
                program: PathBuf::new(),
                args,
                db: None,
            };
            put(&mut launch, Path::new("/x/log"));
            assert!(!launch.args.iter().any(|arg| arg == FILE));
            let has = launch.args.iter().any(|arg| arg == "/x/log");
            assert_eq!(has, flags.contains(&FILE), "{flags:?}");
        }
    }
}
