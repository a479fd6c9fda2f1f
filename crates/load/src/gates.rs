//! Whether a run may be believed: the gates that the generator can check by itself.

use schema::load::{LoadResult, Mode};
use schema::{Code, Effect, Figure, Reason, gates};

use crate::error_class::ErrorClass;
use crate::record::RunRecord;
use crate::result;

/// Applies the gates to a run: adds to its record the reasons why it may not be believed, and
/// returns its result with the verdict.
pub(crate) fn apply(record: &mut RunRecord) -> LoadResult {
    judge(record, little)
}

/// The same for a slice, which is so short that the requests at its edges count.
pub(crate) fn apply_to_slice(record: &mut RunRecord) -> LoadResult {
    judge(record, in_flight)
}

fn judge(record: &mut RunRecord, in_flight: Gate) -> LoadResult {
    let mut result = result::of(record);
    for reason in reasons(&result, in_flight) {
        record.add_reason(reason);
    }
    result.reasons = record.reasons.clone();
    result.valid = !result.reasons.any(Effect::Invalidates) && !result.reasons.any(Effect::Limits);
    result
}

/// A gate: the reason why a result does not pass it.
type Gate = fn(&LoadResult) -> Option<Reason>;

/// A reason for each gate that the run does not pass.
fn reasons(result: &LoadResult, in_flight: Gate) -> Vec<Reason> {
    let gates = [
        scheduled(result),
        sent(result),
        late(result),
        cpu(result),
        in_flight(result),
        alive(result),
        closed(result),
        idle(result),
        wrong_bodies(result),
        answered(result),
        overlap(result),
    ];
    gates.into_iter().flatten().collect()
}

fn invalid(code: Code, text: impl Into<String>) -> Reason {
    Reason::new(code, Effect::Invalidates, text)
}

fn scheduled(result: &LoadResult) -> Option<Reason> {
    let scheduled = result.scheduled;
    if scheduled == 0 {
        return Some(invalid(
            Code::NothingDue,
            "no request was due in the window",
        ));
    }
    let outcomes = result.requests + result.failures();
    (outcomes != scheduled).then(|| {
        invalid(
            Code::OutcomesDoNotAddUp,
            format!("the outcomes add up to {outcomes}, but {scheduled} requests were scheduled"),
        )
        .with("outcomes_requests", outcomes as f64)
        .with("scheduled_requests", scheduled as f64)
    })
}

fn sent(result: &LoadResult) -> Option<Reason> {
    let share = result.sent as f64 / result.scheduled.max(1) as f64;
    let min = gates::SENT_SHARE_MIN;
    (share < min && result.scheduled > 0).then(|| {
        invalid(
            Code::NotSent,
            format!(
                "only {share:.3} of the scheduled requests were sent, at least {min} is required"
            ),
        )
        .with("sent_share", share)
        .with("required_share", min)
        .spoiling(&[Figure::Throughput, Figure::Latency])
    })
}

fn late(result: &LoadResult) -> Option<Reason> {
    if result.think_ms > 0.0 {
        return thought_longer(result);
    }
    let late_us = result.generator.late_p99_us?;
    // An infinite p99 allows any lateness: the generator did not make it what it is.
    let allowed_us = gates::late_us_max(result.response_us.p99.unwrap_or(f64::INFINITY));
    (late_us > allowed_us).then(|| {
        invalid(
            Code::GeneratorLate,
            format!("the generator was late: p99 {late_us:.0} µs, {allowed_us:.0} µs allowed"),
        )
        .with("late_p99_us", late_us)
        .with("allowed_us", allowed_us)
        .spoiling(&[Figure::Latency])
    })
}

/// Clients that the generator lets think longer send less, and no response is longer for it.
fn thought_longer(result: &LoadResult) -> Option<Reason> {
    let late_us = result.late_us.mean?;
    let cycle_us = result.think_ms * 1e3 + result.response_us.mean.unwrap_or(0.0);
    let allowed_us = gates::LITTLE_GAP_MAX * cycle_us;
    (late_us > allowed_us).then(|| {
        let text = format!(
            "the generator was late: clients thought {late_us:.0} µs longer on average, {allowed_us:.0} µs allowed"
        );
        Reason::new(Code::GeneratorLate, Effect::Limits, text)
            .with("late_mean_us", late_us)
            .with("allowed_us", allowed_us)
            .spoiling(&[Figure::Throughput])
    })
}

fn cpu(result: &LoadResult) -> Option<Reason> {
    let share = result.generator.busiest_thread_share?;
    let max = gates::GENERATOR_CPU_SHARE_MAX;
    let effect = match result.mode {
        // A closed loop goes as fast as the slower side; when that is the generator, the figures
        // are a lower bound of what the server can do, and not wrong.
        Mode::Closed => Effect::Limits,
        Mode::Open => Effect::Invalidates,
    };
    (share > max).then(|| {
        let (percent, most) = (share * 100.0, max * 100.0);
        let text = format!(
            "the busiest thread of the generator used {percent:.0} % of a CPU, {most:.0} % allowed"
        );
        Reason::new(Code::GeneratorCpu, effect, text)
            .with("busiest_thread_share", share)
            .with("allowed_share", max)
            .spoiling(&[Figure::Throughput, Figure::Latency])
    })
}

fn little(result: &LoadResult) -> Option<Reason> {
    let mean_us = result.response_us.mean.unwrap_or(0.0) + result.closing_mean_us;
    let found = result.rate_achieved * mean_us / 1e6;
    kept_in_flight(result, found, |asked| {
        format!(
            "Little's law: throughput times response time is {found:.2} requests in flight, \
             but {asked:.0} were kept in flight"
        ) + &thinking(result)
    })
}

/// The requests of a slice that were in flight, exactly: throughput times response leaves out the
/// replies that come after its end, which in a short window are many.
fn in_flight(result: &LoadResult) -> Option<Reason> {
    let closing = result.rate_achieved * result.closing_mean_us / 1e6;
    let found = result.mean_in_flight + closing;
    kept_in_flight(result, found, |asked| {
        format!("{found:.2} requests were in flight on average, but {asked:.0} were to be kept")
            + &thinking(result)
    })
}

/// Who else was there, in words.
fn thinking(result: &LoadResult) -> String {
    match result.think_ms > 0.0 {
        true => format!(", and {:.2} clients thought", result.mean_thinking),
        false => String::new(),
    }
}

/// Whether a closed loop found as many requests in flight as it was asked to keep there.
fn kept_in_flight(
    result: &LoadResult,
    found: f64,
    text: impl FnOnce(f64) -> String,
) -> Option<Reason> {
    let asked = (result.connections * result.pipeline) as f64;
    let is_off = (asked - found - result.mean_thinking).abs() > gates::LITTLE_GAP_MAX * asked;
    (result.mode == Mode::Closed && is_off).then(|| {
        invalid(Code::LittlesLaw, text(asked))
            .with("found_requests", found)
            .with("asked_requests", asked)
            .spoiling(&[Figure::Throughput, Figure::Latency])
    })
}

fn alive(result: &LoadResult) -> Option<Reason> {
    let (asked, alive) = (result.connections as u64, result.connections_alive);
    let lost = result.connections_lost;
    if lost > 0 {
        let text = format!("{lost} connections were lost");
        return Some(invalid(Code::ConnectionsLost, text).with("lost_connections", lost as f64));
    }
    (!result.new_connection && alive != asked).then(|| {
        invalid(
            Code::ConnectionsMissing,
            format!("only {alive} of {asked} connections were open"),
        )
        .with("open_connections", alive as f64)
        .with("asked_connections", asked as f64)
    })
}

fn closed(result: &LoadResult) -> Option<Reason> {
    let closed = result.connections_closed;
    let idle = result.connections_closed_idle;
    let text = match idle {
        0 => format!(
            "the server closed {closed} connections that were to be kept, each after a reply; \
             --new-connection opens one per request"
        ),
        idle => format!(
            "the server closed {closed} connections that were to be kept, {idle} of them idle; \
             of fewer --connections each is used more often"
        ),
    };
    (closed > 0).then(|| {
        invalid(Code::ConnectionsClosed, text)
            .with("closed_connections", closed as f64)
            .with("closed_idle_connections", idle as f64)
    })
}

fn idle(result: &LoadResult) -> Option<Reason> {
    let idle = result.idle.as_ref()?;
    let (asked, opened, closed) = (idle.asked, idle.opened, idle.closed_by_server);
    let (code, text) = if opened < asked {
        let text = format!("only {opened} of {asked} idle connections were opened");
        (Code::IdleMissing, text)
    } else if closed > 0 {
        let text = format!("{closed} of {opened} idle connections were closed by the server");
        (Code::IdleClosed, text)
    } else {
        return None;
    };
    Some(
        invalid(code, text)
            .with("asked_connections", asked as f64)
            .with("opened_connections", opened as f64)
            .with("closed_connections", closed as f64),
    )
}

fn overlap(result: &LoadResult) -> Option<Reason> {
    let (runs, share) = (result.runs, result.overlap_share);
    (share < gates::OVERLAP_SHARE_MIN).then(|| {
        invalid(
            Code::WindowsApart,
            format!(
                "the windows of the {runs} runs have only {:.0} % in common, but their rates are added",
                share * 100.0
            ),
        )
        .with("overlap_share", share)
        .with("required_share", gates::OVERLAP_SHARE_MIN)
    })
}

fn answered(result: &LoadResult) -> Option<Reason> {
    let none = result.requests == 0 && result.scheduled > 0;
    none.then(|| {
        let text = "no request was answered correctly";
        invalid(Code::NothingAnswered, text).with("scheduled_requests", result.scheduled as f64)
    })
}

fn wrong_bodies(result: &LoadResult) -> Option<Reason> {
    let wrong = *result.errors.get(ErrorClass::WrongBody.name())?;
    let text = format!("{wrong} replies had a wrong body");
    Some(invalid(Code::WrongBodies, text).with("wrong_replies", wrong as f64))
}

#[cfg(test)]
mod tests;
