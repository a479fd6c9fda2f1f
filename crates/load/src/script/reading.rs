//! From a file to the load of a plan.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use traces::{Entry, Format, Trace};

use super::Script;
use super::times::{Smoothing, place};
use crate::clock::{SECOND_NS, duration_ns};
use crate::kind::Kind;
use crate::plan::{Pace, Plan};

/// Most requests taken from a file.
const REQUESTS_MAX: usize = 10_000_000;

/// How the requests of a file are used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Use {
    /// At their own times, so many times faster, and with their bursts kept or smoothed.
    Replay {
        speed: f64,
        smooth: Option<Duration>,
    },
    /// Each as often as it is in the file, at the pace of the plan.
    Mix,
}

impl Script {
    /// Reads a file and makes it the load of `plan`: its requests, and in a replay its arrivals and
    /// its length, at most `duration` of it.
    ///
    /// # Errors
    /// The file cannot be read or holds no request; the message is one line.
    pub(crate) fn apply(
        path: &Path,
        how: Use,
        duration: Option<Duration>,
        plan: &mut Plan,
    ) -> Result<()> {
        let mut trace = match how {
            Use::Replay { .. } => Trace::open(path)?,
            Use::Mix => Trace::open_untimed(path)?,
        };
        let (mut entries, mut elsewhere) = (Vec::new(), 0);
        let mut host = None;
        while let Some(entry) = trace.next() {
            let entry = entry.with_context(|| format!("cannot read {}", path.display()))?;
            // A page asks many hosts; the load goes to one.
            let first = host.get_or_insert_with(|| entry.host.clone());
            if trace.format() == Format::Har && entry.host != *first {
                elsewhere += 1;
                continue;
            }
            ensure!(
                entries.len() < REQUESTS_MAX,
                "{} holds more than {REQUESTS_MAX} requests",
                path.display()
            );
            entries.push(entry);
        }
        entries.sort_by_key(|entry| entry.time_unix_ns);
        let mut script = Self::compile(plan, &entries);
        script.broken = trace.broken().clone();
        script.elsewhere = elsewhere;
        if let Use::Replay { speed, smooth } = how {
            let smoothing = Smoothing::new(&entries, smooth, plan, speed);
            let moments: Vec<u64> = entries.iter().map(|entry| entry.time_unix_ns).collect();
            let (due_ns, span_ns) = place(&moments, smoothing);
            let length_ns = duration.map_or(span_ns, |d| duration_ns(d).min(span_ns));
            let n = due_ns.partition_point(|&ns| ns < length_ns);
            if n == 0 {
                bail!("no request is due in the first {length_ns} ns of the replay");
            }
            script.due_ns = due_ns;
            script.due_ns.truncate(n);
            script.order.truncate(n);
            plan.duration = Duration::from_nanos(length_ns);
            plan.warmup = Duration::ZERO;
            let rate = n as f64 * SECOND_NS as f64 / length_ns as f64;
            let arrivals = smoothing.arrivals;
            plan.pace = Pace::Open { rate, arrivals };
        }
        script.span = plan.duration;
        plan.requests = script.kinds.clone();
        plan.script = Some(Arc::new(script));
        Ok(())
    }

    /// Makes the bytes of each different request.
    pub(super) fn compile(plan: &Plan, entries: &[Entry]) -> Self {
        let mut script = Self {
            order: Vec::with_capacity(entries.len()),
            ..Self::default()
        };
        let mut known: HashMap<(Vec<u8>, Option<u16>), u32> = HashMap::new();
        let mut kinds: HashMap<(String, Option<u16>), u16> = HashMap::new();
        for entry in entries {
            let key = (request(plan, entry), entry.status);
            let kind = (entry.method.clone(), entry.status);
            let kind = *kinds.entry(kind).or_insert_with(|| script.add_kind(entry));
            let at = *known.entry(key).or_insert_with_key(|(bytes, _)| {
                script.bytes.push(bytes.clone());
                script.kinds_of.push(kind);
                script.bytes.len() as u32 - 1
            });
            script.kinds[usize::from(kind)].weight += 1;
            script.order.push(at);
        }
        script
    }

    /// A kind for the method and the status of a request. There are few methods and at most 900
    /// statuses; what is more shares the last kind.
    fn add_kind(&mut self, entry: &Entry) -> u16 {
        let last = crate::kind::KINDS_MAX - 1;
        if self.kinds.len() > last {
            self.statuses[last] = None;
            return last as u16;
        }
        let status = entry.status.map_or("?".to_owned(), |s| s.to_string());
        self.statuses.push(entry.status);
        self.kinds.push(Kind {
            weight: 0,
            method: entry.method.clone(),
            path: format!("* ({status})"),
        });
        self.kinds.len() as u16 - 1
    }
}

/// The bytes of a request: its own method, path, fields and body, and what the plan adds.
fn request(plan: &Plan, entry: &Entry) -> Vec<u8> {
    let carries = matches!(entry.method.as_str(), "POST" | "PUT" | "PATCH");
    let mut of_entry = Plan::new(plan.target.clone());
    of_entry.headers = plan.headers.clone();
    let own = entry.headers.iter();
    let own = own.filter(|(name, _)| !plan.has_header(name));
    let own: Vec<String> = own
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    of_entry.headers.extend(own);
    of_entry.body = match entry.body.is_empty() {
        true => plan.body.clone().filter(|_| carries),
        false => Some(entry.body.clone()),
    };
    of_entry.body_bytes = if carries { plan.body_bytes } else { 0 };
    of_entry.request_for(&entry.method, &entry.path, plan.new_connection)
}
