//! When a run may be believed: the gates that the generator itself can judge.

use schema::load::{LoadResult, Mode};
use schema::{Code, Effect, Reason, gates};

use crate::class::Class;
use crate::record::Record;
use crate::result;

/// Judges a run: adds to its record the reasons why it may not be believed, and returns its
/// result with the verdict.
pub(crate) fn judge(record: &mut Record) -> LoadResult {
    let mut result = result::of(record);
    for reason in reasons(&result) {
        record.add_reason(reason);
    }
    result.reasons = record.reasons.clone();
    result.valid = !result.reasons.any(Effect::Invalidates) && !result.reasons.any(Effect::Limits);
    result
}

/// A reason for each gate that the run does not pass.
fn reasons(result: &LoadResult) -> Vec<Reason> {
    let gates = [
        scheduled(result),
        sent(result),
        late(result),
        cpu(result),
        little(result),
        alive(result),
        kept(result),
        idle(result),
        wrong_bodies(result),
        together(result),
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
            format!("outcomes add up to {outcomes}, scheduled were {scheduled}"),
        )
        .with("outcomes", outcomes as f64)
        .with("scheduled", scheduled as f64)
    })
}

fn sent(result: &LoadResult) -> Option<Reason> {
    let (share, min) = (
        result.sent as f64 / result.scheduled.max(1) as f64,
        gates::SENT_SHARE_MIN,
    );
    (share < min && result.scheduled > 0).then(|| {
        invalid(
            Code::NotSent,
            format!("sent/scheduled {share:.3} is below {min}"),
        )
        .with("sent_share", share)
        .with("sent_share_min", min)
    })
}

fn late(result: &LoadResult) -> Option<Reason> {
    let late_us = result.generator.late_p99_us?;
    // An infinite p99 allows any lateness: the generator did not make it what it is.
    let allowed_us = gates::late_us_max(result.response_us.p99.unwrap_or(f64::INFINITY));
    (late_us > allowed_us).then(|| {
        invalid(
            Code::GeneratorLate,
            format!("generator-late p99 {late_us:.0} µs is above {allowed_us:.0} µs"),
        )
        .with("late_p99_us", late_us)
        .with("late_p99_max_us", allowed_us)
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
        let text = format!("generator CPU {percent:.0} % is above {most:.0} %");
        Reason::new(Code::GeneratorCpu, effect, text)
            .with("busiest_thread_share", share)
            .with("busiest_thread_share_max", max)
    })
}

fn little(result: &LoadResult) -> Option<Reason> {
    if result.mode == Mode::Open {
        return None;
    }
    let asked = (result.connections * result.pipeline) as f64;
    let mean_us = result.response_us.mean.unwrap_or(0.0) + result.closing_mean_us;
    let found = result.rate_achieved * mean_us / 1e6;
    ((asked - found).abs() > gates::LITTLE_GAP_MAX * asked).then(|| {
        invalid(
            Code::LittlesLaw,
            format!(
                "Little's law: throughput times response is {found:.2} in flight, not {asked:.0}"
            ),
        )
        .with("found_in_flight", found)
        .with("asked_in_flight", asked)
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
            format!("{alive} of {asked} connections were alive"),
        )
        .with("alive_connections", alive as f64)
        .with("asked_connections", asked as f64)
    })
}

fn kept(result: &LoadResult) -> Option<Reason> {
    let closed = result.connections_closed;
    (closed > 0).then(|| {
        invalid(
            Code::ConnectionsClosed,
            format!(
                "{closed} connections that were to be kept were closed by the server after a reply"
            ),
        )
        .with("closed_connections", closed as f64)
    })
}

fn idle(result: &LoadResult) -> Option<Reason> {
    let idle = result.idle.as_ref()?;
    let (asked, opened, closed) = (idle.asked, idle.opened, idle.closed_by_server);
    let (code, text) = if opened < asked {
        let text = format!("{opened} of {asked} idle connections were opened");
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

fn together(result: &LoadResult) -> Option<Reason> {
    let (runs, share) = (result.runs, result.overlap_share);
    (share < gates::OVERLAP_SHARE_MIN).then(|| {
        invalid(
            Code::WindowsApart,
            format!(
                "the windows of the {runs} runs have {:.0} % in common: rates are added as if it \
                 were all",
                share * 100.0
            ),
        )
        .with("overlap_share", share)
        .with("overlap_share_min", gates::OVERLAP_SHARE_MIN)
    })
}

fn wrong_bodies(result: &LoadResult) -> Option<Reason> {
    let wrong = *result.errors.get(Class::WrongBody.name())?;
    let text = format!("{wrong} wrong bodies");
    Some(invalid(Code::WrongBodies, text).with("wrong_replies", wrong as f64))
}

#[cfg(test)]
mod tests;
