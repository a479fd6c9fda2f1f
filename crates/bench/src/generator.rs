//! The load generator as a child: what it is asked for, and what it answers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use report::data::{Latency, Mode, Shape};
use serde::Deserialize;

use crate::cpus::CpuList;
use crate::failure::Failure;
use crate::interrupt::{Interrupt, Waited};
use crate::process::Process;

/// A request unanswered for so long counts as a timeout.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A generator that runs so much longer than it was asked for hangs.
const OVERTIME: Duration = Duration::from_secs(20);

/// `load --json`, as far as it is used here. What a generator does not tell is not guessed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Requests answered correctly.
    pub requests: u64,
    /// Requests scheduled: the sum of all outcomes.
    pub scheduled: u64,
    /// The window it measured, s.
    pub duration_s: f64,
    /// Correct answers a second.
    pub rate_achieved: f64,
    /// Intended start to done.
    pub response_us: Latency,
    /// Actual send to done.
    pub service_us: Latency,
    /// Intended to actual send.
    pub slip_us: Latency,
    /// Connection set-up.
    pub connect_us: Latency,
    /// Outcomes other than a correct answer, by class.
    pub errors: BTreeMap<String, u64>,
    /// What the generator itself cost.
    pub generator: Cost,
    /// Its own verdict; a report without one is not trusted.
    pub valid: bool,
    /// A sentence for each of its gates that did not pass; `limited:` in front when it is the limit.
    pub reasons: Vec<String>,
    /// Connections that got no reply in the window.
    pub silent_connections: Option<u64>,
    /// Mean time from a reply to the end of its connection, µs (a connection a request).
    pub closing_mean_us: f64,
    /// How long due requests waited for a free connection, p99, µs.
    pub no_connection_p99_us: f64,
}

/// `generator` of `load --json`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Cost {
    /// CPU, µs a request.
    pub cpu_us_per_request: Option<f64>,
    /// How late it sent what was due, p99, µs.
    pub late_p99_us: Option<f64>,
    /// CPU seconds a second, all threads, polling for the next due moment included.
    pub cpu_share: Option<f64>,
    /// Of that, spent polling.
    pub spin_share: f64,
    /// CPU seconds a second of the busiest thread, polling left out.
    pub busiest_thread_share: Option<f64>,
}

impl Cost {
    /// CPU seconds a second, all threads, without the polling: that gives way to work.
    pub fn busy_share(&self) -> Option<f64> {
        self.cpu_share
            .map(|share| (share - self.spin_share).max(0.0))
    }
}

/// One call of the generator.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// Where the server listens.
    pub address: &'a str,
    /// The load.
    pub shape: &'a Shape,
    /// Seed of the arrivals.
    pub seed: u64,
    /// How long unanswered requests are waited for.
    pub drain: Duration,
    /// Threads of the generator: one a CPU it has, as far as there are connections to share out.
    pub threads: usize,
}

impl Call<'_> {
    /// The arguments, without the file that the report goes to.
    ///
    /// `--warmup` is zero: the server has been warmed up by a call of its own, so that everything
    /// this call makes the server do lies within the window that its counters are read around.
    pub fn args(&self) -> Vec<String> {
        let shape = self.shape;
        let ms = |time: Duration| format!("{}ms", time.as_millis());
        let mut args = vec![
            "load".to_owned(),
            format!("http://{}{}", self.address, shape.path),
            format!("--connections={}", shape.connections),
            format!(
                "--duration={}",
                ms(Duration::from_secs_f64(shape.duration_s))
            ),
            "--warmup=0ms".to_owned(),
            format!("--drain={}", ms(self.drain)),
            format!("--timeout={}", ms(TIMEOUT)),
            format!("--seed={}", self.seed),
            "--quiet".to_owned(),
        ];
        let threads = self
            .threads
            .min(usize::try_from(shape.connections).unwrap_or(usize::MAX));
        if threads > 1 {
            args.push(format!("--threads={threads}"));
        }
        if let (Mode::Open, Some(rate)) = (shape.mode, shape.rate) {
            args.push(format!("--rate={rate}"));
            args.push("--arrivals=poisson".to_owned());
        }
        if shape.pipeline > 1 {
            args.push(format!("--pipeline={}", shape.pipeline));
        }
        if !shape.keep_alive {
            args.push("--new-connection".to_owned());
        }
        args
    }

    /// The command line as it is recorded: nothing that differs between machines.
    pub fn command(&self) -> String {
        let port = self.address.rsplit(':').next().unwrap_or_default();
        format!("turnstile {}", self.args().join(" ")).replace(&format!(":{port}/"), ":PORT/")
    }

    /// Runs it on `cpus`; `during` is called once, `at` that long after the start.
    ///
    /// # Errors
    /// [`Failure::Interrupted`], or [`Failure::Failed`] when it gives no report.
    pub fn run(
        &self,
        program: &Path,
        cpus: &CpuList,
        json: &Path,
        interrupt: &Interrupt,
        during: Option<(Duration, &mut dyn FnMut())>,
    ) -> Result<Report, Failure> {
        let _absent = fs::remove_file(json);
        let mut args: Vec<std::ffi::OsString> = self.args().into_iter().map(Into::into).collect();
        args.extend(["--json".into(), json.into()]);
        let mut process = Process::spawn(program, &args, cpus)
            .with_context(|| format!("cannot run the generator {}", program.display()))?;
        let mut waited = Waited::Late;
        if let Some((at, look)) = during {
            waited = process.wait(at, interrupt)?;
            if waited == Waited::Late {
                look();
            }
        }
        if waited == Waited::Late {
            let window = Duration::from_secs_f64(self.shape.duration_s);
            waited = process.wait(window + self.drain + OVERTIME, interrupt)?;
        }
        match waited {
            Waited::Interrupted => Err(Failure::Interrupted),
            Waited::Late => Err(anyhow!("it did not end in time").into()),
            Waited::Ready => Ok(read(json, &process)?),
        }
    }
}

/// A generator that finds its own run invalid still reports it: the file decides, not the exit code.
fn read(json: &Path, process: &Process) -> anyhow::Result<Report> {
    let Ok(text) = fs::read(json) else {
        let status = process
            .exit()
            .map(|exit| exit.status.to_string())
            .unwrap_or_default();
        bail!(
            "it left no report ({})",
            process.complaint().unwrap_or(status)
        );
    };
    let _kept_if_not = fs::remove_file(json);
    serde_json::from_slice(&text).context("its report cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(mode: Mode, rate: Option<f64>, pipeline: u32, keep_alive: bool) -> Shape {
        let path = "/plaintext".into();
        Shape {
            mode,
            rate,
            connections: 64,
            pipeline,
            keep_alive,
            path,
            duration_s: 0.4,
        }
    }

    #[test]
    fn shapes_become_arguments_and_the_record_holds_no_port() {
        let of = |shape: &Shape| {
            let call = Call {
                address: "127.0.0.1:4711",
                shape,
                seed: 9,
                drain: Duration::ZERO,
                threads: 1,
            };
            call.command()
        };
        let closed = of(&shape(Mode::Closed, None, 16, true));
        assert_eq!(
            closed,
            "turnstile load http://127.0.0.1:PORT/plaintext --connections=64 --duration=400ms \
             --warmup=0ms --drain=0ms --timeout=5000ms --seed=9 --quiet --pipeline=16"
        );
        let churn = of(&shape(Mode::Open, Some(1000.0), 1, false));
        assert!(
            churn.ends_with("--rate=1000 --arrivals=poisson --new-connection"),
            "{churn}"
        );
    }

    #[test]
    fn an_infinite_percentile_and_unknown_fields_are_read() {
        let report: Report = serde_json::from_str(
            r#"{"requests": 5, "response_us": {"count": 5, "mean": 1.5, "p50": 1, "p99": null},
                "generator": {"cpu_us_per_request": 2.5}, "valid": true, "later": [1]}"#,
        )
        .expect("the contract's shape");
        assert_eq!(report.response_us.p99, None);
        assert_eq!(report.generator.cpu_us_per_request, Some(2.5));
        assert!(report.valid);
    }
}
