//! How long a plan takes, said before it begins.

use std::time::Duration;

use crate::args::Windows;
use crate::plan::Visit;
use report::data::Mode;

/// Starting, verifying and stopping a server.
const SERVER: Duration = Duration::from_millis(120);
/// A call of the generator beyond its window: start, connections, report, counters, rest.
const CALL: Duration = Duration::from_millis(60);

/// Time of one visit.
pub fn visit(visit: &Visit, windows: Windows) -> Duration {
    if visit.blocked.is_some() {
        return Duration::ZERO;
    }
    let measured: Duration = visit
        .windows
        .iter()
        .map(|window| match window.mode {
            Mode::Closed => windows.closed,
            Mode::Open => windows.open,
        })
        .sum();
    let calls = u32::try_from(visit.windows.len() + 1).unwrap_or(u32::MAX);
    SERVER + CALL * calls + windows.warm_up + measured
}

/// Time of a whole plan.
pub fn total<'a>(visits: impl IntoIterator<Item = &'a Visit>, windows: Windows) -> Duration {
    visits.into_iter().map(|v| visit(v, windows)).sum()
}

/// `40 s`, `12 min`, `1 h 50 min`.
pub fn words(time: Duration) -> String {
    let seconds = time.as_secs_f64().round();
    let minutes = (seconds / 60.0).round();
    match seconds {
        ..100.0 => format!("{seconds} s"),
        ..5400.0 => format!("{minutes} min"),
        _ => format!("{} h {} min", (minutes / 60.0).floor(), minutes % 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Size;
    use crate::catalogue::Contender;
    use crate::plan::{lay_out, scenarios};

    fn seven_models(size: Size) -> Duration {
        let models = [
            "iterative",
            "fork-per-client",
            "prefork",
            "thread-pool",
            "single-reactor",
            "multi-reactor",
            "leader-follower",
        ];
        let contenders: Vec<Contender> = models
            .iter()
            .map(|model| Contender::model(model, "", true))
            .collect();
        let plan = lay_out(size, &contenders, &scenarios("all").expect("known"), 1, 1);
        total(&plan, size.windows())
    }

    #[test]
    fn every_size_keeps_its_promise_for_seven_models() {
        let minutes = |size| seven_models(size).as_secs_f64() / 60.0;
        assert!(
            (1.0..3.0).contains(&minutes(Size::Smoke)),
            "{}",
            minutes(Size::Smoke)
        );
        assert!(
            (8.0..14.5).contains(&minutes(Size::Quick)),
            "{}",
            minutes(Size::Quick)
        );
        assert!(
            (60.0..150.0).contains(&minutes(Size::Full)),
            "{}",
            minutes(Size::Full)
        );
    }

    #[test]
    fn times_are_said_in_words() {
        for (seconds, says) in [
            (8, "8 s"),
            (99, "99 s"),
            (110, "2 min"),
            (840, "14 min"),
            (6600, "1 h 50 min"),
        ] {
            assert_eq!(words(Duration::from_secs(seconds)), says);
        }
    }
}
