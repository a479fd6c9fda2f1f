//! One of the equal parts of a load that several machines send together.

use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Error, Result, ensure};

use crate::plan::{Pace, Plan};

/// Most parts of a load.
const PARTS_MAX: usize = 10_000;

/// The `I`-th of `N` equal parts, `I/N`.
///
/// ```
/// assert!("1/3".parse::<load::Share>().is_ok());
/// assert!("4/3".parse::<load::Share>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// From 1.
    part: usize,
    parts: usize,
}

impl FromStr for Share {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let form = || format!("{text:?} is not I/N, the I-th of N parts");
        let (part, parts) = text.split_once('/').with_context(form)?;
        let (part, parts) = (
            part.parse().with_context(form)?,
            parts.parse().with_context(form)?,
        );
        ensure!(
            (1..=PARTS_MAX).contains(&parts) && (1..=parts).contains(&part),
            "{text:?}: N must be 1 to {PARTS_MAX}, and I must be 1 to N"
        );
        Ok(Self { part, parts })
    }
}

impl Share {
    /// How many parts there are.
    pub(crate) fn parts(self) -> usize {
        self.parts
    }

    /// Makes the plan of the whole load that of this part, with a seed of its own. The parts of all
    /// machines add up to the whole.
    pub(crate) fn apply(self, plan: &mut Plan) -> Result<()> {
        let of_rate = |rate: f64| rate / self.parts as f64;
        plan.phase = (self.part - 1) as f64 / self.parts as f64;
        if let Pace::Open { rate, .. } = &mut plan.pace {
            *rate = of_rate(*rate);
        }
        for step in &mut plan.profile {
            step.rate_from = of_rate(step.rate_from);
            step.rate_to = of_rate(step.rate_to);
        }
        for (count, what) in [
            (&mut plan.connections, "connections"),
            (&mut plan.idle, "idle connections"),
            (&mut plan.slow.senders, "slow senders"),
            (&mut plan.slow.readers, "slow readers"),
        ] {
            ensure!(
                *count == 0 || *count >= self.parts,
                "{count} {what} cannot be divided among {} machines",
                self.parts
            );
            let more = usize::from(self.part <= *count % self.parts);
            *count = *count / self.parts + more;
        }
        plan.seed = plan.seed.wrapping_add(self.part as u64 - 1);
        self.apply_to_replay(plan)
    }

    /// Leaves every N-th request of a replay, which the seed of the whole has placed in time.
    fn apply_to_replay(self, plan: &mut Plan) -> Result<()> {
        let Some(script) = plan.script.as_ref().filter(|script| script.is_replay()) else {
            return Ok(());
        };
        ensure!(
            script.requests() >= self.parts as u64,
            "{} requests cannot be divided among {} machines",
            script.requests(),
            self.parts
        );
        let part = script.every(self.parts, self.part - 1);
        if let Pace::Open { rate, .. } = &mut plan.pace {
            *rate = part.due_ns.len() as f64 / plan.duration.as_secs_f64();
        }
        plan.script = Some(Arc::new(part));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Script;
    use crate::script::reading::Use;
    use schema::load::Arrivals;

    #[test]
    fn the_parts_add_up_to_the_whole() {
        let mut whole = Plan::new("http://127.0.0.1:1/".parse().unwrap());
        (whole.connections, whole.idle, whole.slow.readers) = (10, 4, 3);
        let (rate, arrivals) = (100.0, Arrivals::Poisson);
        whole.pace = Pace::Open { rate, arrivals };
        whole.profile = vec!["30-90:1s".parse().unwrap()];
        let parts: Vec<Plan> = (1..=3)
            .map(|part| {
                let mut plan = whole.clone();
                let share: Share = format!("{part}/3").parse().unwrap();
                share.apply(&mut plan).unwrap();
                plan
            })
            .collect();
        let counts = |of: fn(&Plan) -> usize| parts.iter().map(of).collect::<Vec<_>>();
        assert_eq!(counts(|plan| plan.connections), [4, 3, 3]);
        assert_eq!(counts(|plan| plan.idle), [2, 1, 1]);
        assert_eq!(counts(|plan| plan.slow.readers), [1, 1, 1]);
        assert_eq!(counts(|plan| plan.slow.senders), [0, 0, 0]);
        assert_eq!(counts(|plan| plan.seed as usize), [1, 2, 3]);
        for plan in &parts {
            let step = plan.profile[0];
            assert_eq!((step.rate_from, step.rate_to), (10.0, 30.0));
            let rate = rate / 3.0;
            assert_eq!(plan.pace, Pace::Open { rate, arrivals });
        }
    }

    #[test]
    fn the_parts_of_a_replay_hold_each_request_once_at_its_own_time() {
        // Whole seconds, whose requests are placed at random: by the same seed on every machine.
        let line = |n: usize| {
            let second = n / 10;
            format!("h - - [10/Oct/2000:13:55:{second:02} +0000] \"GET /{n} HTTP/1.1\" 200 5\n")
        };
        let log: String = (0..50).map(line).collect();
        let file = std::env::temp_dir().join(format!("load-share-{}.log", std::process::id()));
        std::fs::write(&file, log).unwrap();
        let mut whole = Plan::new("http://127.0.0.1:1/".parse().unwrap());
        let (speed, smooth) = (1.0, None);
        Script::apply(&file, Use::Replay { speed, smooth }, None, &mut whole).unwrap();
        std::fs::remove_file(&file).unwrap();
        let requests = |plan: &Plan| -> Vec<(u64, u32)> {
            let script = plan.script.as_ref().unwrap();
            let due = script.due_ns.iter().copied();
            due.zip(script.order.iter().copied()).collect()
        };
        whole.connections = 3;
        let (mut together, mut rates) = (Vec::new(), Vec::new());
        for part in 1..=3 {
            let mut plan = whole.clone();
            let share: Share = format!("{part}/3").parse().unwrap();
            share.apply(&mut plan).unwrap();
            let script = plan.script.as_ref().unwrap();
            assert_eq!(script.digest(), whole.script.as_ref().unwrap().digest());
            assert_eq!(script.counts().requests, 50);
            assert_eq!(plan.duration, whole.duration);
            let Pace::Open { rate, .. } = plan.pace else {
                panic!("a replay is an open loop");
            };
            rates.push((rate * plan.duration.as_secs_f64()).round() as usize);
            together.extend(requests(&plan));
        }
        assert_eq!(rates, [17, 17, 16]);
        together.sort_unstable();
        assert_eq!(together, requests(&whole));
        whole.connections = 51;
        let share: Share = "1/51".parse().unwrap();
        let error = share.apply(&mut whole).unwrap_err().to_string();
        assert_eq!(error, "50 requests cannot be divided among 51 machines");
    }

    #[test]
    fn what_cannot_be_divided_is_refused_in_one_line() {
        for text in ["", "1", "0/3", "4/3", "1/0", "a/b", "1/10001", "-1/2"] {
            let error = text.parse::<Share>().unwrap_err();
            assert!(!format!("{error:#}").contains('\n'), "{text}");
        }
        let mut plan = Plan::new("http://127.0.0.1:1/".parse().unwrap());
        plan.connections = 2;
        let share: Share = "1/3".parse().unwrap();
        let error = share.apply(&mut plan).unwrap_err().to_string();
        assert_eq!(error, "2 connections cannot be divided among 3 machines");
    }
}
