//! What strace wrote, as calls with a beginning and an end.

use std::collections::BTreeMap;

use anyhow::Context;

/// One system call of one thread.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who made it.
    pub tid: u32,
    pub name: String,
    /// Arguments, as strace prints them.
    pub args: String,
    /// What it returned; nothing where it never did (`exit_group`, or the end of the trace).
    pub returned: Option<String>,
    /// Seconds since the epoch.
    pub began: f64,
    /// When it returned; infinite where it never did.
    pub ended: f64,
    /// No client has caused it: a wait that ended because its time was up, or the look that follows.
    /// How many there are depends on how long the load took.
    pub idle: bool,
}

impl Call {
    /// Its result as a number: a descriptor, a count, -1.
    pub fn number(&self) -> Option<i64> {
        let text = self.returned.as_ref()?;
        text.split_whitespace().next()?.parse().ok()
    }

    /// Whether it succeeded.
    pub fn worked(&self) -> bool {
        self.number().is_some_and(|number| number >= 0)
    }

    /// An argument, as strace prints it, where none before it has a comma inside.
    pub fn arg(&self, number: usize) -> &str {
        self.args.split(',').nth(number).unwrap_or("").trim()
    }

    /// Whether it is one of these.
    pub fn is(&self, names: &[&str]) -> bool {
        names.contains(&self.name.as_str())
    }

    /// Whether it is a poll that checks descriptors without waiting.
    pub fn is_check(&self) -> bool {
        match self.name.as_str() {
            "poll" => self.args.ends_with(" 0"),
            "ppoll" => self.args.contains("{tv_sec=0, tv_nsec=0}"),
            _ => false,
        }
    }

    /// Whether it is a wait for signals that a handler has broken off.
    fn returned_early(&self) -> bool {
        self.name == "rt_sigtimedwait" && self.number() == Some(-1)
    }

    /// Whether it is a wait that ended because its time was up. (One that was to look and not to
    /// wait is none.)
    fn timed_out(&self) -> bool {
        let failed_by = |error| {
            let mut words = self.returned.iter().flat_map(|text| text.split(' '));
            words.next() == Some("-1") && words.next() == Some(error)
        };
        match self.name.as_str() {
            "epoll_pwait2" | "ppoll" | "pselect6" => {
                self.number() == Some(0) && !self.args.contains("{tv_sec=0, tv_nsec=0}")
            }
            "epoll_wait" | "poll" => {
                let time = self.args.rsplit(',').next().unwrap_or("");
                self.number() == Some(0) && time.trim() != "0"
            }
            "rt_sigtimedwait" => failed_by("EAGAIN"),
            "io_uring_enter" => failed_by("ETIME"),
            _ => false,
        }
    }
}

/// Calls in which a loop learns what is ready or complete.
pub const WAITS: &[&str] = &[
    "epoll_pwait2",
    "epoll_wait",
    "io_uring_enter",
    "poll",
    "ppoll",
    "pselect6",
    "rt_sigtimedwait",
];

/// What a thread of the trace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The first thread of the first process.
    Main,
    /// Another thread of some process.
    Thread,
    /// The first thread of a forked process.
    Child,
}

/// A whole trace.
#[derive(Debug)]
pub struct Trace {
    /// In the order in which they began.
    pub calls: Vec<Call>,
    pub kinds: BTreeMap<u32, Kind>,
}

impl Trace {
    /// Reads the output of `strace -f -ttt -T`.
    ///
    /// # Errors
    /// When there is nothing in it.
    pub fn parse(text: &str) -> anyhow::Result<Trace> {
        let mut calls: Vec<Call> = Vec::new();
        let mut open: BTreeMap<u32, usize> = BTreeMap::new();
        for line in text.lines() {
            let Some((tid, at, rest)) = head(line) else {
                continue;
            };
            if let Some(resumed) = rest.strip_prefix("<... ") {
                let Some(index) = open.remove(&tid) else {
                    continue;
                };
                let (_, rest) = resumed.split_once(" resumed>").unwrap_or(("", ""));
                finish(&mut calls[index], rest, Some(at));
            } else if let Some((name, rest)) = name(rest) {
                let mut call = Call {
                    tid,
                    name: name.to_owned(),
                    args: String::new(),
                    returned: None,
                    began: at,
                    ended: f64::INFINITY,
                    idle: false,
                };
                if let Some(args) = rest.strip_suffix("<unfinished ...>") {
                    call.args = args.trim_end().to_owned();
                    open.insert(tid, calls.len());
                } else {
                    finish(&mut call, rest, None);
                }
                calls.push(call);
            }
        }
        let main = calls.first().context("the trace is empty")?.tid;
        let kinds = kinds(&calls, main);
        mark_idle(&mut calls);
        Ok(Trace { calls, kinds })
    }

    /// The first process.
    pub fn main(&self) -> u32 {
        self.calls[0].tid
    }

    /// What every thread waits in at a moment.
    pub fn waits_at(&self, at: f64) -> Vec<&Call> {
        self.calls
            .iter()
            .filter(|call| {
                call.began <= at
                    && call.ended > at
                    && call.name != "exit_group"
                    && call.name != "exit"
            })
            .collect()
    }

    /// Calls that returned in a window.
    pub fn within(&self, from: f64, to: f64) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| {
            let at = if call.ended.is_finite() {
                call.ended
            } else {
                call.began
            };
            let over = call.ended.is_finite() || call.name.starts_with("exit");
            over && at > from && at <= to
        })
    }
}

/// `TID TIME rest`.
fn head(line: &str) -> Option<(u32, f64, &str)> {
    let (tid, rest) = line.split_once(' ')?;
    let (at, rest) = rest.trim_start().split_once(' ')?;
    Some((tid.parse().ok()?, at.parse().ok()?, rest))
}

/// `name(rest`.
fn name(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once('(')?;
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        .then_some((name, rest))
}

/// Takes the end of a call, `args) = result <seconds>`, into it.
fn finish(call: &mut Call, rest: &str, resumed: Option<f64>) {
    let (args, result) = rest.rsplit_once(" = ").unwrap_or((rest, "?"));
    call.args.push_str(args.trim_end().trim_end_matches(')'));
    let (result, took) = match result.rsplit_once(" <") {
        Some((result, took)) => (result, took.trim_end_matches('>').parse().unwrap_or(0.0)),
        None => (result, 0.0),
    };
    // What a signal breaks off has returned to its caller with EINTR, or is made again.
    if result.trim() != "?" {
        let broken = result.starts_with("? ERESTART");
        call.returned = Some(if broken { "-1 EINTR" } else { result.trim() }.to_owned());
        call.ended = resumed.unwrap_or(call.began + took);
    }
}

/// Marks the calls that no client has caused.
fn mark_idle(calls: &mut [Call]) {
    let mut last: BTreeMap<u32, bool> = BTreeMap::new();
    for call in calls {
        // What cannot send signals is checked whenever no signal has come.
        let after_idle = last.get(&call.tid).copied().unwrap_or(false);
        call.idle = call.timed_out() || (call.is_check() && after_idle);
        last.insert(call.tid, call.idle || call.returned_early());
    }
}

fn kinds(calls: &[Call], main: u32) -> BTreeMap<u32, Kind> {
    let mut kinds = BTreeMap::from([(main, Kind::Main)]);
    for call in calls {
        if let ("clone" | "clone3" | "fork" | "vfork", Some(tid)) =
            (call.name.as_str(), call.number())
            && let Ok(tid) = u32::try_from(tid)
        {
            let kind = if call.args.contains("CLONE_THREAD") {
                Kind::Thread
            } else {
                Kind::Child
            };
            kinds.insert(tid, kind);
        }
    }
    kinds
}
