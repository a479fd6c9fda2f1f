//! Servers that are not of the collection are asked before the run: what they answer in each scenario,
//! whether that stays the same, and how much of it they can do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::ensure;
use report::data::{Mode, Shape};
use schema::load::BodyCheck;
use schema::{Code, Effect, Reason};

use crate::failure::{Failure, Unmeasured};
use crate::judge::verify::{Trust, closes, verify, with_number};
use crate::plan::contender::Contender;
use crate::plan::scenario::Scenario;
use crate::plan::scenarios::MEMORY;
use crate::plan::size::Size;
use crate::plan::target::Target;
use crate::plan::visit::Visit;
use crate::run::call::Call;
use crate::run::generator::{self, Pauses};
use crate::run::server::Server;
use crate::run::setup::Setup;

/// How long a closed loop shows what a server can do.
const LOOP: Duration = Duration::from_millis(400);
/// How long a request that is under way then is waited for.
const DRAIN: Duration = Duration::from_millis(500);
/// The shares of a common capacity that are offered in quick, and in full.
const SHARES: [&[f64]; 2] = [&[0.6], &[0.3, 0.6]];

/// What a server can do in a scenario.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offer {
    /// How much of its replies stays the same.
    pub check: BodyCheck,
    /// It closes the connection after each reply, although it is not asked to.
    pub closes: bool,
    /// Replies per second in a closed loop, where that was tried.
    pub rps: Option<f64>,
}

/// What was found, by label and scenario; a reason where the scenario is not offered.
#[derive(Debug, Default)]
pub struct Offers(BTreeMap<(String, &'static str), Result<Offer, Reason>>);

/// A load without readings.
struct NoReadings;

impl Pauses for NoReadings {}

/// Asks every target among `contenders` for what `scenarios` ask for.
pub fn ask(
    setup: &Setup,
    contenders: &[Contender],
    scenarios: &[&'static Scenario],
    check: Option<BodyCheck>,
    with_rates: bool,
) -> Result<Offers, Failure> {
    let mut offers = Offers::default();
    for contender in contenders {
        let Some(target) = &contender.target else {
            continue;
        };
        let server = Server::of_target(setup, target).map_err(|why| failure(target, why))?;
        for &scenario in scenarios {
            if setup.interrupt.is_set() {
                return Err(Failure::Interrupted);
            }
            let offer = offer(setup, target, &server, scenario, check, with_rates);
            let offer = offer.map_err(|error| {
                let text = format!("route not offered: {error:#}");
                Reason::new(Code::NotOffered, Effect::Excuses, text)
            });
            let cell = (contender.label.clone(), scenario.name);
            offers.0.insert(cell, offer);
        }
        let ended = server.drain(&setup.interrupt);
        let ended = ended.map_err(|why| failure(target, why))?;
        for problem in ended.problems.iter() {
            eprintln!("{}: {problem}", contender.label);
        }
    }
    Ok(offers)
}

fn failure(target: &Target, why: Unmeasured) -> Failure {
    match why {
        Unmeasured::Interrupted => Failure::Interrupted,
        Unmeasured::Because(reason) => {
            let flag = target.start.as_ref().map_or("--target", |_| "--contenders");
            anyhow::anyhow!("{flag} {}: {reason}", target.name).into()
        }
    }
}

fn offer(
    setup: &Setup,
    target: &Target,
    server: &Server,
    scenario: &'static Scenario,
    check: Option<BodyCheck>,
    with_rates: bool,
) -> anyhow::Result<Offer> {
    let own = target.path.as_deref().filter(|_| scenario.is_generic());
    let check = verify(server.address(), scenario, own, Trust::Target, check)?;
    let (method, path) = scenario.requests().first().copied().unwrap_or(("GET", "/"));
    let path = own.map_or_else(|| with_number(path), str::to_owned);
    let request = (method, path.as_str());
    let closes = scenario.keep_alive && closes(server.address(), request, scenario.headers)?;
    ensure!(
        !closes || scenario.pipeline == 1,
        "it closes the connection after each reply: nothing can be pipelined"
    );
    let rates = with_rates && !scenario.rates(setup.size).is_empty() && !scenario.db;
    let rps = rates.then(|| closed_loop(setup, server, scenario, own, check, closes));
    Ok(Offer {
        check,
        closes,
        rps: rps.flatten(),
    })
}

/// What it does in a closed loop; nothing where the generator has no result.
fn closed_loop(
    setup: &Setup,
    server: &Server,
    scenario: &'static Scenario,
    own: Option<&str>,
    check: BodyCheck,
    closes: bool,
) -> Option<f64> {
    let shape = Shape {
        mode: Mode::Closed,
        connections: scenario.connections,
        pipeline: scenario.pipeline,
        keep_alive: scenario.keep_alive && !closes,
        churn: scenario.churn,
        path: own.unwrap_or(scenario.path).to_owned(),
        duration_s: LOOP.as_secs_f64(),
        mix: scenario.mix.iter().map(|&kind| kind.to_owned()).collect(),
        headers: scenario.headers.iter().map(|&line| line.into()).collect(),
        ..Shape::default()
    };
    let call = Call {
        seed: 1,
        check,
        ..Call::new(server.address(), &shape, DRAIN, setup.load_cpus.len())
    };
    let load = generator::run(setup, &call, &mut NoReadings).ok()?;
    Some(load.rate_achieved).filter(|&rps| rps > 0.0)
}

impl Offers {
    /// The rates that are offered in `scenario`: shares of what three quarters of these servers can do,
    /// and no more than its own highest; `None` where nothing was measured.
    pub fn rates(&self, scenario: &Scenario, size: Size) -> Option<Vec<f64>> {
        let all = self.0.iter();
        let here = all.filter(|((_, name), _)| *name == scenario.name);
        let able = here.filter_map(|(_, offer)| offer.as_ref().ok()?.rps);
        let mut able: Vec<f64> = able.collect();
        able.sort_by(f64::total_cmp);
        let common = *able.get(able.len() / 4)?;
        let most = scenario.rates(Size::Full).last().copied()?;
        let shares = SHARES[usize::from(size == Size::Full)];
        let rate = |share: &f64| two_digits((common * share).min(most));
        let mut rates: Vec<f64> = shares.iter().map(rate).collect();
        rates.dedup();
        Some(rates)
    }

    /// One line per reason for which servers are not measured in scenarios.
    ///
    /// # Errors
    /// A usage failure with the first of them where nothing of `visits` can be measured.
    pub fn tell(&self, visits: &[Visit]) -> Result<(), Failure> {
        let mut why: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
        for ((label, scenario), offer) in &self.0 {
            if let Err(reason) = offer
                && *scenario != MEMORY.name
            {
                let cells = why.entry(&reason.text).or_default();
                cells.insert((label, scenario));
            }
        }
        let mut lines = why.iter().map(|(text, cells)| {
            let (label, scenario) = cells.first().expect("a reason has a cell");
            match cells.len() - 1 {
                0 => format!("{label} in {scenario}: {text}"),
                more => format!("{label} in {scenario}, and {more} more like it: {text}"),
            }
        });
        let measurable = visits.iter().any(|visit| {
            visit.blocked.is_none() && visit.scenario.name != MEMORY.name && !visit.is_null()
        });
        match lines.next() {
            Some(line) if !measurable => {
                Err(Failure::usage(format!("nothing can be measured: {line}")))
            }
            first => {
                let lines = first.into_iter().chain(lines);
                lines.for_each(|line| eprintln!("not measured: {line}"));
                Ok(())
            }
        }
    }

    /// Writes into `visits` what their servers do not offer, and how their replies are checked.
    pub fn apply(&self, visits: &mut [Visit]) {
        for visit in visits {
            let Some(target) = &visit.contender.target else {
                continue;
            };
            // A placebo has its own label, and the name of its server.
            match self.0.get(&(target.name.clone(), visit.scenario.name)) {
                Some(Ok(offer)) => (visit.check, visit.closes) = (offer.check, offer.closes),
                Some(Err(reason)) => visit.blocked = Some(reason.clone()),
                None => {}
            }
        }
    }
}

/// Two digits of a rate, and never nothing.
fn two_digits(rate: f64) -> f64 {
    let unit = 10_f64.powf(rate.max(1.0).log10().floor() - 1.0);
    ((rate / unit).round() * unit).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::scenarios::SCENARIOS;

    #[test]
    fn a_common_rate_is_one_that_most_hold() {
        let tiny = SCENARIOS.iter().find(|s| s.name == "tiny-keepalive");
        let tiny = tiny.expect("a scenario of the table");
        let offers = |rates: &[f64]| {
            let offer = |(n, &rps): (usize, &f64)| {
                let offer = Offer {
                    check: BodyCheck::Exact,
                    closes: false,
                    rps: Some(rps),
                };
                ((n.to_string(), tiny.name), Ok(offer))
            };
            Offers(rates.iter().enumerate().map(offer).collect())
        };
        let rates = |of: &[f64], size| offers(of).rates(tiny, size);
        assert_eq!(rates(&[], Size::Quick), None);
        assert_eq!(rates(&[1234.0], Size::Quick), Some(vec![740.0]));
        assert_eq!(
            rates(&[1000.0, 900.0], Size::Full),
            Some(vec![270.0, 540.0])
        );
        // One of four that is far slower does not decide for the others.
        assert_eq!(
            rates(&[50.0, 1000.0, 2000.0, 4000.0], Size::Quick),
            Some(vec![600.0])
        );
        assert_eq!(rates(&[1e6], Size::Quick), Some(vec![40_000.0]));
        assert_eq!(rates(&[0.5], Size::Quick), Some(vec![1.0]));
    }
}
