//! Which models the catalogue advises in a scenario: what it asks of a model, held against what the server
//! says of each (`models --json`). The report tells where a run disagrees.

use std::collections::BTreeMap;

use report::data::{Advice, Role};

use crate::plan::calls::Calls;
use crate::plan::contender::Contender;
use crate::plan::workers::Holds;

/// What a scenario asks of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suits {
    /// Requests hold their worker for long.
    MayWait,
    /// Handlers await a back end.
    Awaits,
    /// Most connections have nothing to say.
    HoldsMany,
    /// Handlers are short, and connections many.
    Shares,
}

impl Suits {
    /// Why the catalogue advises what it advises.
    fn because(self) -> &'static str {
        match self {
            Self::MayWait => {
                "requests hold their worker, and where the service is called by workers that may wait, they hold up no other connection"
            }
            Self::Awaits => "handlers await a back end, and a task that awaits occupies no worker",
            Self::HoldsMany => {
                "most connections have little to say, and an entry in a table costs less than a worker for each"
            }
            Self::Shares => {
                "handlers are short and connections many, and a loop shares its waiting among them"
            }
        }
    }

    fn fits(self, calls: Calls, holds: Holds) -> bool {
        match self {
            Self::MayWait => matches!(calls, Calls::Worker | Calls::ExtraThread),
            Self::Awaits => calls == Calls::Task,
            Self::HoldsMany => holds == Holds::Many,
            Self::Shares => holds == Holds::Many && calls == Calls::Loop,
        }
    }
}

/// What the catalogue advises among `contenders`; `None` where it advises none of them, or the server does
/// not say who calls its service.
pub fn advice<'a>(
    suits: Option<Suits>,
    contenders: impl Iterator<Item = &'a Contender>,
) -> Option<Advice> {
    let suits = suits?;
    let fits = |contender: &&Contender| {
        let calls = contender.calls.filter(|_| contender.role == Role::Model);
        calls.is_some_and(|calls| suits.fits(calls, contender.workers.holds))
    };
    let models: BTreeMap<String, String> = contenders
        .filter(fits)
        .map(|contender| (contender.label.clone(), contender.pick_when.clone()))
        .collect();
    (!models.is_empty()).then(|| Advice {
        because: suits.because().to_owned(),
        models,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::workers::Workers;
    use crate::plan::workers::examples::*;

    #[test]
    fn what_a_scenario_asks_names_the_models_that_have_it() {
        let of = |name: &str, workers, calls| Contender {
            calls,
            pick_when: format!("{name} fits"),
            ..Contender::model(name, "", true, workers)
        };
        let pool = of("thread-pool", THREADS, Some(Calls::Worker));
        let all = [
            of("single-reactor", ONE_LOOP, Some(Calls::Loop)),
            of("async-tasks", Workers::LOOP, Some(Calls::Task)),
            pool.placebo(),
            pool,
            of("of another version", Workers::LOOP, None),
        ];
        let advised = |suits| {
            let advice = advice(Some(suits), all.iter())?;
            Some(advice.models.into_keys().collect::<Vec<_>>().join(" "))
        };
        assert_eq!(advised(Suits::MayWait).as_deref(), Some("thread-pool"));
        assert_eq!(advised(Suits::Awaits).as_deref(), Some("async-tasks"));
        let many = Some("async-tasks single-reactor");
        assert_eq!(advised(Suits::HoldsMany).as_deref(), many);
        assert_eq!(advised(Suits::Shares).as_deref(), Some("single-reactor"));
        assert_eq!(advice(None, all.iter()), None);
        assert_eq!(advice(Some(Suits::Awaits), all[3..].iter()), None);
    }
}
