//! The load generator as a child: it pauses before and after the load, and leaves a result.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use schema::Code;
use schema::load::LoadResult;

use crate::failure::Unmeasured;
use crate::observe::process::Process;
use crate::run::call::Call;
use crate::run::setup::Setup;

/// A generator that takes so much longer than it was asked for hangs.
pub const OVERTIME: Duration = Duration::from_secs(20);
/// How long connections may take to be opened, idle ones included.
pub const OPENED_WITHIN: Duration = Duration::from_secs(60);

/// What is done while a call of the generator pauses.
///
/// Between the two pauses lies the load and nothing else. Connections are opened before and closed
/// after, unless each request has one of its own.
pub trait Pauses {
    /// The generator runs as this process.
    fn generator(&mut self, _pid: u32) {}

    /// All connections are open, and no request of the load has been sent.
    fn before_load(&mut self) -> Result<(), Unmeasured> {
        Ok(())
    }

    /// How long after the first request [`Pauses::during_load`] is called; `None` for never.
    fn during_load_after(&self) -> Option<Duration> {
        None
    }

    /// Called once while the load is sent.
    fn during_load(&mut self) {}

    /// The last reply has come, and all connections are still open.
    fn after_load(&mut self) -> Result<(), Unmeasured> {
        Ok(())
    }
}

/// Runs `call`, and does in its pauses what `pauses` says.
pub fn run(
    setup: &Setup,
    call: &Call<'_>,
    pauses: &mut dyn Pauses,
) -> Result<LoadResult, Unmeasured> {
    let (program, interrupt) = (&setup.load, &setup.interrupt);
    let _absent = fs::remove_file(&setup.json);
    let mut args: Vec<OsString> = call.args().into_iter().map(Into::into).collect();
    args.extend(["--edges".into(), "--json".into(), (&setup.json).into()]);
    let mut process = Process::spawn_with_stdin(program, &args, &setup.load_cpus)
        .map_err(|error| failed(format!("cannot run {}: {error}", program.display())))?;
    pauses.generator(process.pid());
    if paused(process.line(OPENED_WITHIN, interrupt))? {
        pauses.before_load()?;
        process.tell("").map_err(failed)?;
        if let Some(after) = pauses.during_load_after()
            && !process.wait(after, interrupt).map_err(unanswered)?
        {
            pauses.during_load();
        }
        let window = Duration::from_secs_f64(call.shape.duration_s);
        if paused(process.line(window + call.drain + OVERTIME, interrupt))? {
            pauses.after_load()?;
            process.tell("").map_err(failed)?;
        }
    }
    if !process.wait(OVERTIME, interrupt).map_err(unanswered)? {
        return Err(failed(LATE));
    }
    read(&setup.json, &process).map_err(|error| failed(format!("{error:#}")))
}

const LATE: &str = "it did not end in time";

pub fn failed(why: impl std::fmt::Display) -> Unmeasured {
    let text = format!("the generator failed: {why}");
    Unmeasured::new(Code::GeneratorFailed, text)
}

/// Whether the generator pauses; `false` when it has ended, which its result explains.
pub fn paused(line: io::Result<String>) -> Result<bool, Unmeasured> {
    match line {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(unanswered(error)),
    }
}

/// Why the generator does not say what it was asked, or does not end.
pub fn unanswered(error: io::Error) -> Unmeasured {
    match error.kind() {
        io::ErrorKind::Interrupted => Unmeasured::Interrupted,
        io::ErrorKind::TimedOut => failed(LATE),
        _ => failed(error),
    }
}

/// A generator that finds its own run invalid still reports it: the file decides, not the exit code.
fn read(json: &Path, process: &Process) -> anyhow::Result<LoadResult> {
    let Ok(text) = fs::read(json) else {
        let status = process.exit().map(|exit| exit.status.to_string());
        let why = process.error_line().or(status).unwrap_or_default();
        bail!("it left no report ({why})");
    };
    let _kept_if_not = fs::remove_file(json);
    serde_json::from_slice(&text).context("its report cannot be read")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::Command;

    use report::data::Shape;

    use super::*;
    use crate::observe::cpus::CpuList;
    use crate::observe::interrupt::Interrupt;
    use crate::plan::size::Size;

    /// A generator that leaves a file in its folder at every step, and its result in the end.
    const GENERATOR: &str = r#"#!/bin/sh
for json; do :; done
cd "${json%/*}" || exit 1
: > connected; echo opened; read -r line
: > loaded; echo done; read -r line
: > closed; echo '{"valid": true}' > "$json"
"#;

    /// Notes how far the generator is in each of its pauses.
    struct Steps<'a> {
        folder: &'a Path,
        seen: Vec<[bool; 3]>,
    }

    impl Steps<'_> {
        fn look(&mut self) -> Result<(), Unmeasured> {
            let steps = ["connected", "loaded", "closed"];
            self.seen
                .push(steps.map(|step| self.folder.join(step).exists()));
            Ok(())
        }
    }

    impl Pauses for Steps<'_> {
        fn before_load(&mut self) -> Result<(), Unmeasured> {
            Steps::look(self)
        }

        fn after_load(&mut self) -> Result<(), Unmeasured> {
            Steps::look(self)
        }
    }

    #[test]
    fn the_load_and_nothing_else_lies_between_the_pauses() {
        let folder = std::env::temp_dir().join(format!("generator-test-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let program = folder.join("generator");
        // Written by a child: a file that this process holds open for writing, perhaps in a fork of
        // another test, could not be run.
        let written = Command::new("/bin/sh")
            .args(["-c", r#"printf %s "$1" > "$2" && chmod +x "$2""#, "sh"])
            .args([GENERATOR.as_ref(), program.as_os_str()])
            .status();
        assert!(written.expect("sh starts").success());
        let cpus = CpuList::allowed().expect("the kernel tells");
        let setup = Setup {
            benches: crate::observe::benches::Benches::join(&[]),
            server: PathBuf::new(),
            own: PathBuf::new(),
            load: program,
            server_cpus: cpus.clone(),
            load_cpus: cpus,
            size: Size::Smoke,
            json: folder.join("result.json"),
            db: PathBuf::new(),
            trace: PathBuf::new(),
            interrupt: Interrupt::watch().expect("handlers"),
        };
        let shape = Shape::default();
        let call = Call::new("127.0.0.1:9", &shape, Duration::ZERO, 1);
        let mut steps = Steps {
            folder: &folder,
            seen: Vec::new(),
        };
        let result = run(&setup, &call, &mut steps).expect("a result");
        assert!(result.valid);
        assert_eq!(steps.seen, [[true, false, false], [true, true, false]]);
        fs::remove_dir_all(&folder).expect("it is there");
    }
}
