//! The gates: whether the figures of a window may be believed, and the reasons why not.
//!
//! A gate makes a trial INVALID (something went wrong: its figures are never drawn) or LIMITED (the
//! generator or the machine may be what was measured: its figures are shown as "at least" and never
//! ranked). An overloaded server is neither: its censored requests and infinite percentiles are the
//! result. The limits are those of [`schema::gates`].

use report::data::{Figures, Mode, Shape, Validity};
use schema::Figure::{Latency, ServerCpu, Throughput};
use schema::gates::{
    GENERATOR_CPU_SHARE_MAX, LITTLE_GAP_MAX, NULL_SHARE_MAX, OTHERS_SHARE_MAX,
    OTHERS_SLICE_SHARE_MAX, STEAL_SHARE_MAX,
};
use schema::load::LoadResult;
use schema::{Code, Effect, Reason, Reasons, gates};

use crate::observe::machine::Ticks;
use crate::observe::measured::Sample;
use crate::observe::others::{Others, Used};

/// What the gates judge.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// What was asked for.
    pub shape: &'a Shape,
    /// What came out.
    pub figures: &'a Figures,
    /// The generator's own result.
    pub load: &'a LoadResult,
    /// Time on the CPUs used, and how much of it was stolen.
    pub ticks: Ticks,
    /// What others used of these CPUs.
    pub others: &'a Others,
    /// Whether the window is a slice: so short that the requests at its edges count.
    pub slice: bool,
    /// Of a slice: whether the generator was late in most of those before it.
    pub usually_late: bool,
    /// What the null server did in the same block and scenario.
    pub ceiling: Ceiling,
}

impl<'a> Evidence<'a> {
    /// What a window of a trial gives.
    pub fn of(
        shape: &'a Shape,
        figures: &'a Figures,
        sample: &'a Sample,
        ceiling: Ceiling,
    ) -> Self {
        Self {
            shape,
            figures,
            load: &sample.load,
            ticks: sample.machine.used,
            others: &sample.others,
            slice: false,
            usually_late: false,
            ceiling,
        }
    }
}

/// The null server's closed-loop throughput in the same block and shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ceiling {
    /// This trial is the null server's own.
    Itself,
    /// The null server gave no figure.
    Unknown,
    /// Correct answers per second.
    Rps(f64),
}

/// What makes a trial INVALID by chance: a second attempt may do better.
const NOISE: [Code; 5] = [
    Code::Steal,
    Code::ServerCpusShared,
    Code::LoadCpusShared,
    Code::GeneratorLate,
    Code::NotSent,
];

/// Judges a window by every gate: a reason for each that it does not pass.
pub fn judge(evidence: &Evidence<'_>) -> Reasons {
    let gates = [
        answered,
        adds_up,
        bodies,
        statuses,
        little,
        silent,
        late,
        generator_cpu,
        steal,
        server_cpus,
        load_cpus,
        another_bench,
        ceiling,
    ];
    let mut reasons: Vec<Reason> = gates.iter().filter_map(|gate| gate(evidence)).collect();
    let own = own_reasons(evidence, &reasons);
    reasons.extend(own);
    Reasons(reasons)
}

/// The worst consequence of `reasons`.
pub fn validity(reasons: &Reasons) -> Validity {
    if reasons.any(Effect::Invalidates) {
        Validity::Invalid
    } else if reasons.any(Effect::Limits) {
        Validity::Limited
    } else if reasons.any(Effect::Excuses) {
        Validity::Blocks
    } else {
        Validity::Valid
    }
}

/// Whether a trial is INVALID because of noise alone. What was in flight is disturbed with the rest.
pub fn is_noise(reasons: &Reasons) -> bool {
    let noise = |reason: &&Reason| NOISE.contains(&reason.code);
    let invalid = |reason: &&Reason| reason.effect == Effect::Invalidates;
    let mut invalid = reasons.iter().filter(invalid);
    let some = invalid.clone().any(|reason| noise(&reason));
    some && invalid.all(|reason| noise(&reason) || reason.code == Code::LittlesLaw)
}

fn invalid(code: Code, text: impl Into<String>) -> Reason {
    Reason::new(code, Effect::Invalidates, text)
}

fn limited(code: Code, text: impl Into<String>) -> Reason {
    Reason::new(code, Effect::Limits, text)
}

fn answered(e: &Evidence<'_>) -> Option<Reason> {
    let none = e.figures.requests == 0;
    none.then(|| invalid(Code::NothingAnswered, "no request was answered correctly"))
}

fn adds_up(e: &Evidence<'_>) -> Option<Reason> {
    let (scheduled, requests) = (e.figures.scheduled, e.figures.requests);
    let outcomes = requests + e.figures.errors.values().sum::<u64>();
    (outcomes != scheduled).then(|| {
        let text =
            format!("outcomes do not add up: {scheduled} scheduled, {outcomes} accounted for");
        invalid(Code::OutcomesDoNotAddUp, text)
            .with("outcomes", outcomes as f64)
            .with("scheduled", scheduled as f64)
    })
}

fn bodies(e: &Evidence<'_>) -> Option<Reason> {
    let wrong = e.figures.errors.get("wrong_body").copied().unwrap_or(0);
    (wrong > 0).then(|| {
        let text = format!("{wrong} replies had a wrong body");
        invalid(Code::WrongBodies, text).with("wrong_replies", wrong as f64)
    })
}

/// Replies of another status are not counted, which is said: a server that sheds load looks slow otherwise,
/// and the record does not say why. Under more than a server can do, in steps, they are the result.
fn statuses(e: &Evidence<'_>) -> Option<Reason> {
    let of_class = |class| e.figures.errors.get(class).copied().unwrap_or(0);
    // 503 is a class of its own.
    let (other, shed) = (of_class("status"), of_class("shed"));
    let wrong = other + shed;
    if wrong == 0 || e.shape.profile.is_some() {
        return None;
    }
    let of = |(status, n): (&String, &u64)| match status.starts_with('2') {
        true => None,
        false => Some(format!("{status}: {n}")),
    };
    let counts: Vec<String> = e.load.statuses.iter().filter_map(of).collect();
    let hint = match shed > 0 {
        true => {
            "; a server made with Turnstile refuses so in an overload, as a closed loop is, unless it has --queue-delay-ms 0"
        }
        false => "",
    };
    let text = format!(
        "{wrong} of {} replies had another status and do not count ({}){hint}",
        e.figures.requests + wrong,
        counts.join(", ")
    );
    let note = Reason::new(Code::WrongStatuses, Effect::Notes, text);
    Some(note.with("wrong_replies", wrong as f64))
}

fn little(e: &Evidence<'_>) -> Option<Reason> {
    if e.shape.mode == Mode::Open {
        return None;
    }
    let asked = f64::from(e.shape.connections * e.shape.pipeline);
    // A connection that carries one request is busy until it is closed.
    let busy_us = e.figures.response_us.mean? + e.load.closing_mean_us;
    let closing = e.figures.throughput_rps * e.load.closing_mean_us / 1e6;
    let found = match e.slice {
        // In a short window the replies behind its end are many: the generator adds up what was there.
        true if e.load.mean_in_flight > 0.0 => e.load.mean_in_flight + closing,
        _ => e.figures.throughput_rps * busy_us / 1e6,
    };
    let thought = e.load.mean_thinking;
    ((asked - found - thought).abs() > LITTLE_GAP_MAX * asked).then(|| {
        let beside = match e.shape.think_ms > 0.0 {
            true => format!(" and {thought:.1} clients thought"),
            false => String::new(),
        };
        let text = format!(
            "Little's law: rate times response time is {found:.1} requests in flight where {asked} were held{beside}"
        );
        invalid(Code::LittlesLaw, text)
            .with("found_in_flight", found)
            .with("asked_in_flight", asked)
            .spoiling(&[Throughput, Latency])
    })
}

fn silent(e: &Evidence<'_>) -> Option<Reason> {
    let silent = e.figures.silent_connections.unwrap_or(0);
    let all = e.shape.connections;
    // In an open loop, and with one connection per request, connections may have had nothing to do.
    if silent == 0 || e.shape.mode == Mode::Open || !e.shape.keep_alive {
        return None;
    }
    let text = format!(
        "{silent} of {all} connections got no reply in the window: the server served the others only"
    );
    let reason = limited(Code::ConnectionsSilent, text)
        .with("silent_connections", silent as f64)
        .with("asked_connections", f64::from(all));
    Some(reason)
}

fn late(e: &Evidence<'_>) -> Option<Reason> {
    if e.shape.mode == Mode::Closed {
        return None;
    }
    let late_us = e.figures.generator_late_p99_us?;
    let max_us = late_max_us(e.figures);
    // A tenth that is late is more than a single hold-up.
    let tenth = e.load.late_us.p90.is_some_and(|p90_us| p90_us > max_us);
    let counts = !e.slice || e.usually_late || tenth;
    (late_us > max_us && counts).then(|| {
        let text =
            format!("the generator itself was late: p99 {late_us:.0} µs, {max_us:.0} µs allowed");
        invalid(Code::GeneratorLate, text)
            .with("late_p99_us", late_us)
            .with("late_p99_max_us", max_us)
            .spoiling(&[Latency])
    })
}

/// No lateness makes an infinite percentile wrong.
fn late_max_us(figures: &Figures) -> f64 {
    gates::late_us_max(figures.response_us.p99.unwrap_or(f64::INFINITY))
}

/// Whether the latest hundredth of the requests was later than it may be.
pub fn is_late(figures: &Figures) -> bool {
    let late_us = figures.generator_late_p99_us;
    late_us.is_some_and(|late_us| late_us > late_max_us(figures))
}

fn generator_cpu(e: &Evidence<'_>) -> Option<Reason> {
    let busiest = e.load.generator.busiest_thread_share;
    let share = busiest.or(e.figures.generator_cpu_share)?;
    (share > GENERATOR_CPU_SHARE_MAX).then(|| {
        let text = format!(
            "the generator used {:.0} % of its CPU, {:.0} % allowed",
            share * 100.0,
            GENERATOR_CPU_SHARE_MAX * 100.0
        );
        limited(Code::GeneratorCpu, text)
            .with("busiest_thread_share", share)
            .with("busiest_thread_share_max", GENERATOR_CPU_SHARE_MAX)
            .spoiling(&[Throughput, Latency])
    })
}

fn steal(e: &Evidence<'_>) -> Option<Reason> {
    let share = e.ticks.stolen_share();
    // The counter counts in ticks: a single one says nothing in a window of less than a hundred.
    (e.ticks.stolen > 1 && share > STEAL_SHARE_MAX).then(|| {
        let text = format!(
            "the hypervisor took {:.1} % of the CPU time, {:.0} % allowed",
            share * 100.0,
            STEAL_SHARE_MAX * 100.0
        );
        invalid(Code::Steal, text)
            .with("steal_share", share)
            .with("steal_share_max", STEAL_SHARE_MAX)
            .spoiling(&[Throughput, Latency, ServerCpu])
    })
}

fn server_cpus(e: &Evidence<'_>) -> Option<Reason> {
    shared(Code::ServerCpusShared, "server", &e.others.server)
}

fn load_cpus(e: &Evidence<'_>) -> Option<Reason> {
    shared(Code::LoadCpusShared, "generator", &e.others.load)
}

fn another_bench(e: &Evidence<'_>) -> Option<Reason> {
    let pid = e.others.bench?;
    let text = format!("another bench ran on the same CPUs, process {pid}");
    Some(Reason::new(Code::AnotherBench, Effect::Notes, text))
}

/// Others take time away, and fill the caches with what is theirs.
fn shared(code: Code, whose: &str, others: &Used) -> Option<Reason> {
    let max = others_max(others);
    (others.share > max).then(|| {
        let most = others.most.as_ref();
        let most = most.map(|(name, share)| format!(" ({name}: {:.0} %)", share * 100.0));
        let beyond = others.beyond.filter(|beyond| *beyond > OTHERS_SHARE_MAX);
        let beyond = beyond.map(|beyond| {
            format!(
                ", as a rule {:.0} % more than beside another server",
                beyond * 100.0
            )
        });
        let text = format!(
            "others used {:.0} % of the {whose}'s CPUs{}{}, {:.0} % allowed",
            others.share * 100.0,
            most.unwrap_or_default(),
            beyond.unwrap_or_default(),
            max * 100.0
        );
        invalid(code, text)
            .with("others_share", others.share)
            .with("others_share_max", max)
            .spoiling(&[Throughput, Latency, ServerCpu])
    })
}

/// What others may use. In a slice more than in a trial, as long as it is no more than what they use while
/// the servers beside it are loaded: then it is in both halves of a pair.
fn others_max(others: &Used) -> f64 {
    match others.beyond {
        Some(beyond) if beyond <= OTHERS_SHARE_MAX => OTHERS_SLICE_SHARE_MAX,
        _ => OTHERS_SHARE_MAX,
    }
}

/// Whether others used more than they may.
pub fn is_shared(others: &Others) -> bool {
    let much = |used: &Used| used.share > others_max(used);
    much(&others.server) || much(&others.load)
}

fn ceiling(e: &Evidence<'_>) -> Option<Reason> {
    // Clients that think send no more to a server that does nothing.
    if e.shape.mode == Mode::Open || e.shape.think_ms > 0.0 {
        return None;
    }
    let throughput = e.figures.throughput_rps;
    match e.ceiling {
        Ceiling::Itself => None,
        Ceiling::Unknown => Some(limited(
            Code::NoNullServer,
            "no figure of the null server to compare with: the generator may be the limit",
        )
        .spoiling(&[Throughput, Latency])),
        Ceiling::Rps(null) => (throughput > NULL_SHARE_MAX * null).then(|| {
            let text = format!(
                "at least {throughput:.0}/s: this is {:.0} % of the null server's throughput, and above {:.0} % the generator may be the limit",
                throughput / null * 100.0,
                NULL_SHARE_MAX * 100.0
            );
            limited(Code::NearNullServer, text)
                .with("null_share", throughput / null)
                .with("null_share_max", NULL_SHARE_MAX)
                .spoiling(&[Throughput, Latency])
        }),
    }
}

/// The generator's own reasons, as far as the gates have not found the same ones.
fn own_reasons(e: &Evidence<'_>, found: &[Reason]) -> Vec<Reason> {
    let same = |found: Code, own: Code| {
        found == own || (found, own) == (Code::NothingAnswered, Code::NothingDue)
    };
    let new = |own: &&Reason| !found.iter().any(|found| same(found.code, own.code));
    let excused = |own: &&Reason| match own.code {
        Code::NotSent => server_kept_them_waiting(e),
        // The generator does not know of the slices beside this one; that clients thought longer it knows.
        Code::GeneratorLate => e.slice && e.shape.mode == Mode::Open,
        // It judges by the replies of its window, and what was in flight in a slice has been judged.
        Code::LittlesLaw => e.slice,
        _ => false,
    };
    let own = e.load.reasons.iter().filter(new);
    let mut own: Vec<Reason> = own.filter(|own| !excused(own)).cloned().collect();
    if !e.load.valid && e.load.reasons.is_empty() {
        let text = "the generator calls its run invalid";
        own.push(invalid(Code::GeneratorInvalid, text));
    }
    own
}

/// Whether requests were not sent because no connection was free for them.
///
/// That is an overloaded server and no fault of the generator, as long as the generator noticed in time
/// that they were due. As there is no finite percentile, its lateness is held against how long they
/// waited.
fn server_kept_them_waiting(e: &Evidence<'_>) -> bool {
    let late_us = e.figures.generator_late_p99_us.unwrap_or(f64::INFINITY);
    e.shape.mode == Mode::Open && late_us <= gates::late_us_max(e.load.no_connection_p99_us)
}

#[cfg(test)]
#[path = "gates_tests.rs"]
mod tests;
