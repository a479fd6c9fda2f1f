//! The generator that loads in slices: one process per server, which holds its connections and sleeps
//! while another server is loaded.

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use schema::Code;
use schema::load::LoadResult;
use serde::Serialize;

use crate::failure::{Because, Unmeasured};
use crate::observe::process::Process;
use crate::run::call::Call;
use crate::run::generator::{OPENED_WITHIN, OVERTIME, Pauses, failed, paused, unanswered};
use crate::run::setup::Setup;

/// How long a generator may take to close its connections.
const ENDED_WITHIN: Duration = Duration::from_secs(2);
/// The longest result, bytes: its histogram takes a few kilobytes.
const RESULT_BYTES_MAX: usize = 4 << 20;

/// One slice, as the generator is asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Asked {
    /// How long to load.
    pub seconds: f64,
    /// Requests per second of an open loop; a closed loop without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Seed of the arrivals.
    pub seed: u64,
}

/// A generator that waits to be asked.
#[derive(Debug)]
pub struct SliceGenerator {
    process: Process,
    command: String,
    drain: Duration,
}

impl Asked {
    /// The line that asks for it.
    fn line(&self) -> String {
        // Numbers always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl SliceGenerator {
    /// Starts it; its connections are opened with the first slice.
    pub fn start(setup: &Setup, call: &Call<'_>) -> Result<Self, Unmeasured> {
        let mut args: Vec<OsString> = call.slices_args().into_iter().map(Into::into).collect();
        args.push("--edges".into());
        let process = Process::spawn_with_stdin(&setup.load, &args, &setup.load_cpus)
            .map_err(|error| failed(format!("cannot run {}: {error}", setup.load.display())))?;
        Ok(Self {
            process,
            command: call.slices_command(),
            drain: call.drain,
        })
    }

    /// A command line that repeats `asked`.
    pub fn command(&self, asked: &Asked) -> String {
        format!("echo '{}' | {}", asked.line(), self.command)
    }

    /// Loads one slice, and does in its pauses what `pauses` says.
    ///
    /// # Errors
    /// [`Unmeasured::Interrupted`], or why it left no result: it cannot be asked again.
    pub fn slice(
        &mut self,
        setup: &Setup,
        asked: &Asked,
        pauses: &mut dyn Pauses,
    ) -> Result<LoadResult, Unmeasured> {
        let interrupt = &setup.interrupt;
        pauses.generator(self.process.pid());
        // A generator that has ended tells why by its last words.
        let _ended = self.process.tell(&asked.line());
        if !paused(self.process.line(OPENED_WITHIN, interrupt))? {
            return Err(self.last_words());
        }
        pauses.before_load()?;
        self.process.tell("").map_err(failed)?;
        let window = Duration::from_secs_f64(asked.seconds);
        if !paused(self.process.line(window + self.drain + OVERTIME, interrupt))? {
            return Err(self.last_words());
        }
        pauses.after_load()?;
        self.process.tell("").map_err(failed)?;
        let process = &mut self.process;
        match process.long_line(RESULT_BYTES_MAX, OVERTIME, interrupt) {
            Ok(line) => serde_json::from_str(&line)
                .map_err(|error| failed(format!("its result cannot be read: {error}"))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.last_words()),
            Err(error) => Err(unanswered(error)),
        }
    }

    /// Why it has ended.
    fn last_words(&mut self) -> Unmeasured {
        let words = self.process.error_line();
        failed(words.unwrap_or_else(|| "it ended without a word".to_owned()))
    }

    /// Ends it, so that its connections are closed.
    ///
    /// # Errors
    /// [`Unmeasured::Interrupted`]; whatever else it does, it is gone then.
    pub fn end(mut self, setup: &Setup) -> Result<(), Unmeasured> {
        self.process.end_input();
        let ended = self.process.wait(ENDED_WITHIN, &setup.interrupt);
        // One that does not end by itself is killed when it is dropped.
        ended.because(Code::GeneratorFailed).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_asked_for_in_one_line() {
        let mut asked = Asked {
            seconds: 0.25,
            rate: None,
            seed: u64::MAX,
        };
        let closed = r#"{"seconds":0.25,"seed":18446744073709551615}"#;
        assert_eq!(asked.line(), closed);
        asked.rate = Some(500.0);
        assert!(asked.line().contains(r#""rate":500.0"#));
    }
}
