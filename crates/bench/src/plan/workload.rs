//! A scenario made from a workload file.

use std::time::Duration;

use report::data::{Deciding, Objective};
use workload::{Mix, Offered, Workload};

use crate::failure::Failure;
use crate::plan::scenario::{Depth, Scenario};
use crate::plan::scenarios::TINY;

/// Windows of clients that think for longer are as long as so many of their thoughts, so that each
/// client has several requests in one.
const THINK_SHORT_MS: f64 = 50.0;
const THOUGHTS: f64 = 4.0;

/// Its name in the results.
pub const NAME: &str = "workload";

/// A scenario, and what of the workload the bench cannot do.
#[derive(Debug)]
pub struct FromWorkload {
    pub scenario: &'static Scenario,
    /// Connections that are held idle beside it.
    pub idle: u32,
    /// What is measured otherwise than it is written, or not at all.
    pub remarks: Vec<String>,
}

/// Makes a scenario of the workload in `text`. The requests of classes whose times vary are drawn from
/// `seed`. The scenario stays for the life of the process, like those of the table.
///
/// # Errors
/// A usage failure: the text is no workload, or one that this generator cannot send.
pub fn scenario(text: &str, seed: u64) -> Result<FromWorkload, Failure> {
    let usage = |line: String| Failure::usage(format!("--workload: {line}"));
    let workload = Workload::parse(text).map_err(usage)?;
    let mix = Mix::of(&workload, seed).map_err(usage)?;
    let (rate, think_ms) = match workload.offered {
        Offered::Open { rate } => (Some(rate), 0.0),
        Offered::Closed { think_ms, .. } => (None, think_ms),
    };
    let mut remarks = Vec::new();
    let varied = mix.kinds.len() > workload.classes.len();
    if varied {
        remarks.push(
            "Of each class whose times vary, a hundred requests stand for its distribution: the mean of each hundredth of it, so that its longest times are shorter than in the workload."
                .to_owned(),
        );
    }
    let kind = |k: &workload::Kind| leaked(format!("{}:{}:{}", k.weight, k.method, k.path));
    let kinds: Vec<&'static str> = mix.kinds.iter().map(kind).collect();
    let kept = &workload.objective;
    let objective = Objective {
        p99_us: kept.response_ms * 1_000.0,
        errors_max_share: kept.errors_share_max,
        percentile: kept.percentile,
        kinds: workload
            .objective_class()
            .map(|class| kinds_of(&mix, class)),
    };
    if objective.asked().is_some() {
        let of = match kept.class.as_str() {
            "" => "all requests".to_owned(),
            class => format!("the class {class}"),
        };
        remarks.push(format!(
            "The objective is a p{} of {of}: the search for the capacity keeps that, and all other figures are of all requests.",
            kept.percentile
        ));
    }
    let path = leaked(
        mix.kinds
            .first()
            .map_or_else(String::new, |k| k.path.clone()),
    );
    let reply = workload.classes.iter().map(|c| c.reply_bytes).max();
    let alone = kinds.len() == 1 && mix.kinds[0].method == "GET";
    let open = workload.rate().is_some();
    let scenario = Scenario {
        name: NAME,
        purpose: leaked(purpose(&workload, mix.kinds.len())),
        // What clients that think send is theirs to say, as a rate is: the response tells servers apart.
        decides: match rate {
            None if think_ms == 0.0 => Deciding::ThroughputRps,
            _ => Deciding::ResponseP99Us,
        },
        key: true,
        path,
        mix: if alone { &[] } else { Vec::leak(kinds) },
        body_bytes: mix.body_bytes,
        connections: workload.active,
        keep_alive: workload.churn < 1.0,
        churn: if workload.churn < 1.0 {
            workload.churn
        } else {
            0.0
        },
        think_ms,
        window: (think_ms > THINK_SHORT_MS)
            .then(|| Duration::from_secs_f64(think_ms / 1e3 * THOUGHTS)),
        blocks_worker: workload.means_us()[1] > 0.0
            || workload.classes.iter().any(|c| !c.lock.is_empty()),
        // Where the loop of the workload is open, the closed one tells where a search may begin.
        closed: true,
        rates: Vec::leak(rate.into_iter().collect()),
        rates_full: Vec::leak(rate.into_iter().collect()),
        idle: workload.connections > workload.active,
        reply_bytes: reply
            .and_then(|bytes| u32::try_from(bytes).ok())
            .unwrap_or(0),
        objective: Some(objective),
        capacity: if open { Depth::Always } else { Depth::Never },
        ..TINY
    };
    Ok(FromWorkload {
        scenario: Box::leak(Box::new(scenario)),
        idle: workload.connections - workload.active,
        remarks,
    })
}

/// The kinds of a class, which stand in a row: the first and the one behind the last.
fn kinds_of(mix: &Mix, class: usize) -> [usize; 2] {
    let before = |class| mix.kinds.iter().filter(|kind| kind.class < class).count();
    [before(class), before(class + 1)]
}

fn leaked(text: String) -> &'static str {
    String::leak(text)
}

/// What is measured, in words.
fn purpose(workload: &Workload, kinds: usize) -> String {
    let [cpu, blocked, wait] = workload.means_us();
    let load = match workload.offered {
        Offered::Open { rate } => format!("{rate} requests per second"),
        Offered::Closed {
            population,
            think_ms,
        } if think_ms > 0.0 => {
            format!("{population} clients that think for {think_ms} ms after each reply")
        }
        Offered::Closed { population, .. } => format!("{population} clients in a closed loop"),
    };
    let churn = match workload.churn {
        0.0 => String::new(),
        1.0 => ", a connection per request".to_owned(),
        share => format!(", a connection of its own for {share} of the requests"),
    };
    format!(
        "A workload file: {load} over {} of {} connections{churn}; per request {cpu:.0} µs of CPU, {blocked:.0} µs blocked and {wait:.0} µs awaited in the mean, in {} classes ({kinds} kinds of request).",
        workload.active,
        workload.connections,
        workload.classes.len(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_becomes_a_scenario() {
        let text = "rate = 2000\nconnections = 200\nactive = 50\n[[class]]\nshare = 0.99\ncpu_us = 100\n[[class]]\nshare = 0.01\nblocked_us = 500\nrequest_bytes = 7\n";
        let made = scenario(text, 1).expect("a workload");
        let scenario = made.scenario;
        assert_eq!(
            scenario.mix,
            ["99000:GET:/work/100/0/0/13", "1000:POST:/work/0/500/0/13"]
        );
        assert_eq!(
            (scenario.connections, made.idle, scenario.body_bytes),
            (50, 150, 7)
        );
        assert_eq!(scenario.rates, [2000.0]);
        assert!(scenario.idle && scenario.keep_alive && scenario.blocks_worker);
        assert_eq!(scenario.objective.map(|o| o.p99_us), Some(25_000.0));
        assert!(made.remarks.is_empty(), "{:?}", made.remarks);
    }

    #[test]
    fn clients_that_think_are_measured_as_they_are() {
        let of = |think_ms: &str| {
            let text =
                format!("population = 40\nthink_ms = {think_ms}\nconnections = 60\n[[class]]\n");
            scenario(&text, 1).expect("a workload")
        };
        let made = of("100");
        let scenario = made.scenario;
        assert_eq!((scenario.connections, made.idle), (40, 20));
        assert_eq!((scenario.think_ms, scenario.rates.len()), (100.0, 0));
        assert_eq!(scenario.window, Some(Duration::from_millis(400)));
        assert_eq!(scenario.decides, Deciding::ResponseP99Us);
        assert!(scenario.purpose.contains("think for 100 ms"));
        let made = of("0");
        let without = (made.scenario.decides, made.scenario.window);
        assert_eq!(without, (Deciding::ThroughputRps, None));
    }

    #[test]
    fn a_share_of_the_requests_may_have_connections_of_their_own() {
        let of = |churn: f64| {
            let text = format!("rate = 9\nconnections = 7\nchurn = {churn}\n[[class]]\n");
            scenario(&text, 1).expect("a workload").scenario
        };
        let shape = |churn| {
            let made = of(churn);
            (made.keep_alive, made.churn, made.connections_at_once(0))
        };
        assert_eq!(shape(0.0), (true, 0.0, 7));
        assert_eq!(shape(0.25), (true, 0.25, 14));
        assert_eq!(shape(1.0), (false, 0.0, 7));
        assert!(of(0.25).purpose.contains("own for 0.25 of the requests"));
    }

    #[test]
    fn what_the_generator_cannot_send_is_refused_or_said() {
        let failure = scenario("rate = -1\n[[class]]\n", 1).expect_err("a negative rate");
        let says = failure.to_string();
        assert!(says.contains("--workload: rate is -1"), "{says}");
        assert_eq!(failure.code(), 2);
        let other =
            "rate = 1\n[[class]]\ncpu_us = { exponential = 5 }\n[objective]\npercentile = 90\n";
        let made = scenario(other, 1).expect("a workload");
        assert_eq!(
            (made.remarks.len(), made.scenario.capacity),
            (2, Depth::Always)
        );
        let asked = |text: &str| {
            let made = scenario(text, 1).expect("a workload");
            made.scenario
                .objective
                .and_then(|objective| objective.asked())
        };
        assert_eq!(asked(other), Some("90".to_owned()));
        assert_eq!(asked("rate = 1\n[[class]]\n"), None);
        let classes = "rate = 1\n[[class]]\nname = \"a\"\nshare = 0.5\n[[class]]\nname = \"b\"\nshare = 0.5\ncpu_us = { exponential = 5 }\n";
        for (class, says) in [("a", "99@0..1"), ("b", "99@1..101")] {
            let text = format!("{classes}[objective]\nclass = \"{class}\"\n");
            assert_eq!(asked(&text), Some(says.to_owned()));
        }
    }
}
