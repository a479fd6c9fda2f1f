//! What the production envelope costs: the lines of `envelope.ndjson`.
//!
//! The file stands in the folder of a run, or in one of its own, and says of itself on which machine and by
//! which build it was measured, so that it means the same wherever it is put. Each line is an object
//! whose `kind` says what it holds; a reader skips kinds that it does not know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The name of the file.
pub const FILE: &str = "envelope.ndjson";

/// The version of this shape of file.
pub const VERSION: u32 = 1;

/// The setup of the logs without anything: what the others are compared with.
pub const BARE: &str = "bare";
/// The same once more: what it differs by from the first is noise.
pub const BARE_AGAIN: &str = "bare again";

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    /// The first line.
    Run(Run),
    /// One server under one offered rate.
    Overload(Overload),
    /// One server that is replaced under load.
    Restart(Restart),
    /// One short load on one of the servers that stand side by side.
    Log(Log),
    /// How the access log of one of them ended.
    LogEnd(LogEnd),
    /// What could not be measured.
    Unmeasured(Unmeasured),
    /// The last line of a run that was not interrupted.
    End(End),
    /// A kind of a later version.
    #[serde(other)]
    Unknown,
}

/// What was measured, how, and where.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// [`VERSION`].
    pub version: u32,
    /// Version of `turnstile`.
    pub turnstile: String,
    /// Commit of the build when known, else empty.
    pub commit: String,
    /// When it began, RFC 3339, UTC.
    pub started: String,
    /// `smoke`, `quick` or `full`.
    pub size: String,
    /// The seed of the order and of the arrivals.
    pub seed: u64,
    /// The processor.
    pub cpu: String,
    /// CPUs that this process may use.
    pub cpus: u32,
    /// CPUs of the server.
    pub server_cpus: String,
    /// CPUs of the generator.
    pub load_cpus: String,
    /// Release of the kernel.
    pub kernel: String,
    /// What a reader must know first.
    pub remarks: Vec<String>,
    /// The rows, in the order in which they are measured.
    pub models: Vec<String>,
    /// CPU that a request of the overload takes, µs.
    pub request_us: f64,
    /// Replies later than this are no goodput, µs.
    pub objective_us: f64,
    /// The offered rates of the overload, in capacities.
    pub factors: Vec<f64>,
    /// The setups of the logs, each with the flags that it adds.
    pub setups: Vec<Setup>,
}

/// A setup of the logs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// What it is called.
    pub name: String,
    /// What it adds to the command line of a server.
    pub flags: String,
}

/// A server under one offered rate, after a warm-up at the same rate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overload {
    /// The row.
    pub model: String,
    /// Repetition, from 0. Both servers of a pair see the same arrivals.
    pub block: u32,
    /// `true` with the default bound of the queue delay, `false` without (`--queue-delay-ms 0`).
    pub sheds: bool,
    /// The offered rate in capacities.
    pub factor: f64,
    /// Correct replies per second in a closed loop, without shedding.
    pub capacity_rps: f64,
    /// Requests per second offered.
    pub offered_rps: f64,
    /// Length of the window, seconds.
    pub window_s: f64,
    /// Each request had a connection of its own.
    pub new_connection: bool,
    /// Requests due in the window: the sum of `served` and `errors`.
    pub scheduled: u64,
    /// Of them, answered correctly.
    pub served: u64,
    /// Of those, within the objective.
    pub in_time: u64,
    /// The others, by class; `shed` are those that were refused with 503.
    pub errors: BTreeMap<String, u64>,
    /// Median response time of what was served, µs; `None` where nothing was.
    pub served_p50_us: Option<f64>,
    /// Its 99th percentile, µs.
    pub served_p99_us: Option<f64>,
    /// What came of requests at half the capacity, right behind a window of the highest rate. `None` behind
    /// others, and in records of earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<After>,
    /// Why this line is not to be believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spoiled: Option<String>,
    /// The server's command line.
    pub server_command: String,
    /// The generator's.
    pub load_command: String,
}

/// The requests behind an overload: whether a server is soon what it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct After {
    /// Requests due.
    pub scheduled: u64,
    /// Of them, answered correctly within the objective.
    pub in_time: u64,
}

/// A server that is replaced under load, with a connection per request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Restart {
    /// The row.
    pub model: String,
    /// Requests per second offered, at random moments.
    pub offered_rps: f64,
    /// Length of the window, seconds.
    pub window_s: f64,
    /// The restarts.
    pub restarts: Vec<Moments>,
    /// Requests due in the window: the sum of `served` and of `counts`.
    pub scheduled: u64,
    /// Of them, answered correctly.
    pub served: u64,
    /// What became of the others.
    pub counts: Lost,
    /// The same by the generator's classes.
    pub errors: BTreeMap<String, u64>,
    /// The window in slices.
    pub slices: Vec<Slice>,
    /// Why its times are not to be believed. What was refused or lost counts all the same: whatever else
    /// used the CPUs does not close a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spoiled: Option<String>,
    /// The server's command line.
    pub server_command: String,
    /// The generator's.
    pub load_command: String,
}

/// When a restart happened, seconds from the start of the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Moments {
    /// SIGUSR2 was sent.
    pub asked_s: f64,
    /// The successor was ready and had written the file of the process id.
    pub replaced_s: f64,
    /// The old server had ended; `None` where it was not seen to.
    pub ended_s: Option<f64>,
}

/// A stretch of the window. A request belongs to the one in which it was due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Slice {
    /// When it began, seconds from the start of the window.
    pub start_s: f64,
    /// How long it lasted, seconds.
    pub length_s: f64,
    /// Requests due in it.
    pub scheduled: u64,
    /// Of them, answered correctly.
    pub served: u64,
    /// Median response time, µs; `None` where it falls among requests that failed.
    pub p50_us: Option<f64>,
    /// The longest, µs; `None` as soon as one failed.
    pub max_us: Option<f64>,
}

/// What became of requests that were not answered correctly, as far as a restart is concerned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lost {
    /// No server took the connection: the client knows that nothing was done.
    pub refused: u64,
    /// The connection was there, and no correct reply came: the client does not know what was done.
    pub lost: u64,
    /// Answered with 503.
    pub shed: u64,
    /// The generator had no port or descriptor for it: no fault of the server.
    pub unsent: u64,
}

impl Lost {
    /// Sorts the generator's classes of errors.
    ///
    /// A class that is not known counts as lost: it must not vanish.
    pub fn of(errors: &BTreeMap<String, u64>) -> Self {
        let mut sum = Self::default();
        for (class, count) in errors {
            *match class.as_str() {
                "refused" | "connect_timeout" => &mut sum.refused,
                "shed" => &mut sum.shed,
                "address_unavailable" | "descriptor_limit" => &mut sum.unsent,
                _ => &mut sum.lost,
            } += count;
        }
        sum
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.refused + self.lost + self.shed + self.unsent
    }
}

/// A slice of load on one of the servers that stand side by side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Log {
    /// The row.
    pub model: String,
    /// The name of the setup.
    pub setup: String,
    /// The rotation, from 0: what is compared is within one.
    pub rotation: u32,
    /// Place in the shuffled order of the rotation, from 0.
    pub position: u32,
    /// How long the load lasted, seconds.
    pub seconds: f64,
    /// Correct replies.
    pub requests: u64,
    /// CPU of all processes of the server per correct reply, µs.
    pub cpu_us: Option<f64>,
    /// Why this line is not to be believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spoiled: Option<String>,
}

/// What an access log held when its server had ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogEnd {
    /// The row.
    pub model: String,
    /// The name of the setup.
    pub setup: String,
    /// Correct replies of the server.
    pub requests: u64,
    /// Lines in its file.
    pub lines: u64,
}

/// What could not be measured, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Unmeasured {
    /// The row.
    pub model: String,
    /// `overload`, `restart` or `logs`.
    pub part: String,
    /// A sentence.
    pub reason: String,
}

/// The end of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct End {
    /// How long it took, seconds.
    pub duration_s: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_errors_has_its_place_and_none_vanishes() {
        for (class, refused, lost, shed, unsent) in [
            ("refused", 1, 0, 0, 0),
            ("connect_timeout", 1, 0, 0, 0),
            ("reset", 0, 1, 0, 0),
            ("early_end", 0, 1, 0, 0),
            ("write_error", 0, 1, 0, 0),
            ("timeout", 0, 1, 0, 0),
            ("malformed", 0, 1, 0, 0),
            ("wrong_body", 0, 1, 0, 0),
            ("status", 0, 1, 0, 0),
            ("censored", 0, 1, 0, 0),
            ("of a later version", 0, 1, 0, 0),
            ("shed", 0, 0, 1, 0),
            ("address_unavailable", 0, 0, 0, 1),
            ("descriptor_limit", 0, 0, 0, 1),
        ] {
            let expected = Lost {
                refused,
                lost,
                shed,
                unsent,
            };
            let errors = BTreeMap::from([(class.to_owned(), 1)]);
            assert_eq!(Lost::of(&errors), expected, "{class}");
        }
        let errors = [("refused", 2), ("reset", 3), ("shed", 5), ("timeout", 7)];
        let errors = errors
            .map(|(class, count)| (class.to_owned(), count))
            .into();
        assert_eq!(Lost::of(&errors).total(), 17);
    }

    #[test]
    fn lines_say_their_kind_and_a_later_kind_is_no_error() {
        let line = Line::LogEnd(LogEnd {
            model: "prefork".into(),
            setup: BARE.into(),
            requests: 3,
            lines: 2,
        });
        let text = serde_json::to_string(&line).unwrap();
        assert!(
            text.starts_with(r#"{"kind":"log_end","model":"prefork""#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
        let later = r#"{"kind":"energy","joules":3}"#;
        assert_eq!(serde_json::from_str::<Line>(later).unwrap(), Line::Unknown);
        let less = r#"{"kind":"restart","model":"prefork","more":1}"#;
        let Line::Restart(restart) = serde_json::from_str(less).unwrap() else {
            panic!("{less}");
        };
        assert_eq!((restart.model.as_str(), restart.served), ("prefork", 0));
    }
}
