//! One call of the load generator: its command line.

use std::time::Duration;

use report::data::{Mode, Shape};
use schema::load::BodyCheck;

use crate::judge::verify::VALUE_BYTES;

/// A request unanswered for so long counts as a timeout.
const TIMEOUT: Duration = Duration::from_secs(5);

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
    /// Replies within so many µs are counted separately.
    pub within_us: Option<f64>,
    /// Threads of the generator: one for each of its CPUs, but no more than there are connections.
    pub threads: usize,
    /// How much of each reply is compared with the first one.
    pub check: BodyCheck,
    /// Length of the slices of time in its result, where it is not the usual one.
    pub slice: Option<Duration>,
}

impl<'a> Call<'a> {
    /// One in which all replies must be the same, with the usual slices and the seed 0.
    pub fn new(address: &'a str, shape: &'a Shape, drain: Duration, threads: usize) -> Self {
        Self {
            address,
            shape,
            seed: 0,
            drain,
            within_us: None,
            threads,
            check: BodyCheck::Exact,
            slice: None,
        }
    }

    /// The arguments, without the file of the result.
    ///
    /// `--warmup` is zero: the server has been warmed up by a call of its own, so that the whole load
    /// of this call lies between its pauses, in which the counters are read.
    pub fn args(&self) -> Vec<String> {
        let shape = self.shape;
        let ms = |time: Duration| format!("{}ms", time.as_millis());
        let mut args = self.common();
        match &shape.profile {
            Some(profile) => args.push(format!("--profile={profile}")),
            None => args.push(format!(
                "--duration={}",
                ms(Duration::from_secs_f64(shape.duration_s))
            )),
        }
        args.extend(self.slice.map(|slice| format!("--slice={}", ms(slice))));
        if let (None, Mode::Open, Some(rate)) = (&shape.profile, shape.mode, shape.rate) {
            args.push(format!("--rate={rate}"));
        }
        if shape.mode == Mode::Open {
            args.push("--arrivals=poisson".to_owned());
        }
        if let Some(us) = self.within_us.filter(|_| shape.profile.is_some()) {
            args.push(format!("--objective-us={us:.0}"));
        }
        args.extend(self.requests());
        args
    }

    /// The arguments of a generator that loads in slices.
    pub fn slices_args(&self) -> Vec<String> {
        let mut args = self.common();
        args.retain(|arg| !arg.starts_with("--warmup") && !arg.starts_with("--seed"));
        args.push("--slices".to_owned());
        args.extend(self.requests());
        args
    }

    /// What every call has.
    fn common(&self) -> Vec<String> {
        let shape = self.shape;
        let ms = |time: Duration| format!("{}ms", time.as_millis());
        // The kinds of a mix have their own paths.
        let path = if shape.mix.is_empty() {
            &shape.path
        } else {
            "/"
        };
        let mut args = vec![
            "load".to_owned(),
            format!("http://{}{path}", self.address),
            format!("--connections={}", shape.connections),
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
        args
    }

    /// What is asked for, and on which connections.
    fn requests(&self) -> Vec<String> {
        let shape = self.shape;
        let mut args = Vec::new();
        if shape.pipeline > 1 {
            args.push(format!("--pipeline={}", shape.pipeline));
        }
        if !shape.keep_alive {
            args.push("--new-connection".to_owned());
        } else if shape.churn > 0.0 {
            args.push(format!("--churn={}", shape.churn));
        }
        if shape.think_ms > 0.0 {
            args.push(format!("--think-ms={}", shape.think_ms));
        }
        args.extend(mix(shape));
        args.extend(shape.percentile.iter().map(|p| format!("--percentile={p}")));
        args.extend(shape.headers.iter().map(|line| format!("--header={line}")));
        args.extend(bystanders(shape));
        match self.check {
            BodyCheck::Exact => {}
            BodyCheck::Length => args.push("--body-check=length".to_owned()),
            BodyCheck::None => args.push("--body-check=none".to_owned()),
        }
        args
    }

    /// The command line as it is recorded: without the port, which differs from run to run.
    pub fn command(&self) -> String {
        self.recorded(&self.args())
    }

    /// The same of a generator that loads in slices.
    pub fn slices_command(&self) -> String {
        self.recorded(&self.slices_args())
    }

    fn recorded(&self, args: &[String]) -> String {
        let port = self.address.rsplit(':').next().unwrap_or_default();
        let args: Vec<String> = args.iter().map(|arg| quoted(arg)).collect();
        format!("turnstile {}", args.join(" ")).replace(&format!(":{port}/"), ":PORT/")
    }
}

/// An argument as a shell takes it: in quotes where it holds what a shell reads otherwise.
fn quoted(arg: &str) -> String {
    match arg.contains(|c: char| c.is_whitespace() || "'\"\\&;|<>()$`*#!~".contains(c)) {
        true => format!("'{}'", arg.replace('\'', r"'\''")),
        false => arg.to_owned(),
    }
}

/// The arguments for a mix of requests.
fn mix(shape: &Shape) -> Vec<String> {
    let kinds = shape.mix.iter().map(|kind| format!("--request={kind}"));
    let mut args: Vec<String> = kinds.collect();
    if shape.mix.iter().any(|kind| kind.contains(":PUT:/kv/")) {
        args.push(format!("--body-bytes={VALUE_BYTES}"));
        args.push("--expect-status=200,201,204".to_owned());
        // The store holds the value that is put: whatever the order, there is one right reply.
        args.push("--body-check=exact".to_owned());
    }
    if shape.body_bytes > 0 {
        args.push(format!("--body-bytes={}", shape.body_bytes));
    }
    args
}

/// The arguments for connections and requests in addition to the load.
fn bystanders(shape: &Shape) -> Vec<String> {
    let mut args = Vec::new();
    let counts = [
        ("idle", shape.idle),
        ("slow-senders", shape.slow_senders),
        ("slow-readers", shape.slow_readers),
    ];
    for (flag, count) in counts {
        if count > 0 {
            args.push(format!("--{flag}={count}"));
        }
    }
    args.extend(shape.poison.iter().map(|path| format!("--poison={path}")));
    args
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
            ..Shape::default()
        }
    }

    #[test]
    fn shapes_become_arguments_and_the_record_holds_no_port() {
        let of = |shape: &Shape| {
            let call = Call {
                seed: 9,
                within_us: Some(20_000.0),
                ..Call::new("127.0.0.1:4711", shape, Duration::ZERO, 1)
            };
            call.command()
        };
        let closed = of(&shape(Mode::Closed, None, 16, true));
        assert_eq!(
            closed,
            "turnstile load http://127.0.0.1:PORT/plaintext --connections=64 \
             --warmup=0ms --drain=0ms --timeout=5000ms --seed=9 --quiet --duration=400ms --pipeline=16"
        );
        let churn = of(&shape(Mode::Open, Some(1000.0), 1, false));
        assert!(
            churn.ends_with("--rate=1000 --arrivals=poisson --new-connection"),
            "{churn}"
        );
        let mixed = Shape {
            churn: 0.3,
            ..shape(Mode::Open, Some(1000.0), 1, true)
        };
        let mixed = of(&mixed);
        assert!(mixed.ends_with("--arrivals=poisson --churn=0.3"), "{mixed}");
        let percentile = Shape {
            percentile: Some("95@0..3".into()),
            ..shape(Mode::Closed, None, 1, true)
        };
        let percentile = of(&percentile);
        assert!(percentile.ends_with("--percentile=95@0..3"), "{percentile}");
        let thinking = Shape {
            think_ms: 2.5,
            ..shape(Mode::Closed, None, 1, true)
        };
        let thinking = of(&thinking);
        assert!(thinking.ends_with(" --think-ms=2.5"), "{thinking}");
        let stepped = Shape {
            profile: Some("10:1s,40:2s".to_owned()),
            ..shape(Mode::Open, Some(40.0), 1, true)
        };
        let stepped = of(&stepped);
        assert!(
            stepped.ends_with("--profile=10:1s,40:2s --arrivals=poisson --objective-us=20000"),
            "{stepped}"
        );
    }

    #[test]
    fn what_a_shell_would_read_otherwise_is_quoted() {
        for (arg, says) in [
            ("--request=9:GET:/kv/{n:9}", "--request=9:GET:/kv/{n:9}"),
            ("--header=Accept: x", "'--header=Accept: x'"),
            ("http://h/?a=b&c=d", "'http://h/?a=b&c=d'"),
            ("it's", r"'it'\''s'"),
        ] {
            assert_eq!(quoted(arg), says);
        }
    }

    #[test]
    fn mixes_and_bystanders_become_arguments() {
        let shape = Shape {
            mix: vec!["90:GET:/kv/{n:9}".to_owned(), "10:PUT:/kv/{n:9}".to_owned()],
            idle: 500,
            slow_senders: 3,
            slow_readers: 4,
            poison: Some("/sleep/9".to_owned()),
            ..shape(Mode::Closed, None, 1, true)
        };
        assert_eq!(
            [mix(&shape), bystanders(&shape)].concat(),
            [
                "--request=90:GET:/kv/{n:9}",
                "--request=10:PUT:/kv/{n:9}",
                "--body-bytes=100",
                "--expect-status=200,201,204",
                "--body-check=exact",
                "--idle=500",
                "--slow-senders=3",
                "--slow-readers=4",
                "--poison=/sleep/9"
            ]
        );
    }
}
