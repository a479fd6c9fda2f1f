//! A matrix: models by scenarios, each column ranked by one figure.

use crate::cell::State;
use crate::format;
use crate::metric::Metric;
use crate::noise;
use crate::primary::{self, Choice};
use crate::run::{Row, Run};
use crate::stats::sequential::{Bounds, pairs_to_decide};
use crate::stats::{self, Comparison, Evidence, Ranked, Spread, Verdict};
use crate::versus::{Rule, Side};

mod headline;

pub use headline::{Headline, Pieces, behind};

/// Models by scenarios.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// What the number of blocks allows one to conclude.
    pub evidence: Evidence,
    /// The rows, in the run's order.
    pub rows: Vec<Row>,
    /// One column per scenario.
    pub columns: Vec<Column>,
}

/// One scenario, ranked by one figure.
#[derive(Debug, Clone)]
pub struct Column {
    pub scenario: String,
    /// What it is ranked by.
    pub choice: Choice,
    /// The indifference zone, a logarithm.
    pub zone: f64,
    /// The A/A placebo for this very figure.
    pub placebo: Option<noise::Placebo>,
    /// What is paired in it: "rotations" of slices, or "blocks" of whole trials.
    pub unit: &'static str,
    /// How long one takes, seconds; `None` where that is not known.
    pub unit_s: Option<f64>,
    /// One entry per row of the matrix.
    pub entries: Vec<Entry>,
}

/// What one model did in one scenario.
#[derive(Debug, Clone)]
pub struct Entry {
    /// How far to trust it.
    pub state: State,
    /// The figure; a lower or upper bound where the state is LIMITED.
    pub spread: Option<Spread>,
    /// The same of what the machine or the generator has disturbed, where nothing else is there and
    /// nothing is ranked.
    pub disturbed: Option<Spread>,
    /// Trials there are, of whatever validity.
    pub trials: usize,
    /// `true` when it did not hold the offered rate that the figure is taken at.
    pub overloaded: bool,
    /// Answers per second, for what is overloaded.
    pub answered_rps: Option<f64>,
    /// Its place; `None` where it is not ranked.
    pub place: Option<Ranked>,
    /// A peer compared with the best model; `None` for models, and where they cannot be compared.
    pub peer: Option<Comparison>,
    /// Within what distance of the best it is tied, a logarithm.
    pub tied_within: f64,
    /// Connections that got no reply in a window, of how many.
    pub unserved: Option<(u64, u32)>,
    /// Why it is not simply valid.
    pub reasons: Vec<String>,
}

impl Matrix {
    /// The verdict matrix: each scenario by its primary figure.
    pub fn verdict(run: &Run) -> Self {
        Self::build(run, |scenario| primary::choose(run, scenario))
    }

    /// A further matrix: every scenario by `metric`.
    pub fn of(run: &Run, metric: Metric) -> Self {
        Self::build(run, |scenario| primary::of(run, scenario, metric))
    }

    /// The same figures of some rows only, ranked among themselves.
    pub fn among(&self, run: &Run, keep: impl Fn(&Row) -> bool) -> Self {
        let rows: Vec<Row> = self.rows.iter().filter(|row| keep(row)).cloned().collect();
        let of = |each: &Column| column(run, &rows, &each.scenario, each.choice);
        Self {
            evidence: self.evidence,
            columns: self.columns.iter().map(of).collect(),
            rows,
        }
    }

    /// Within what distance of the best a cell is tied, a logarithm.
    pub fn tied_within(&self) -> f64 {
        let mut entries = self.columns.iter().flat_map(|column| &column.entries);
        entries
            .next()
            .map_or(TIED_FACTOR.ln(), |entry| entry.tied_within)
    }

    fn build(run: &Run, choose: impl Fn(&str) -> Choice) -> Self {
        let all = run.scenarios.iter().map(|name| run.evidence(name));
        let evidence = all.max().unwrap_or_else(|| Evidence::of(run.blocks));
        let rows: Vec<Row> = run.contenders().cloned().collect();
        let mut columns: Vec<Column> = run
            .scenarios
            .iter()
            .map(|scenario| column(run, &rows, scenario, choose(scenario)))
            .collect();
        // What separates models is read first; otherwise the order of the run remains.
        columns.sort_by_key(|column| std::cmp::Reverse(column.separated()));
        Self {
            evidence,
            rows,
            columns,
        }
    }
}

fn column(run: &Run, rows: &[Row], scenario: &str, choice: Choice) -> Column {
    let placebo = noise::placebo(run, scenario, choice);
    let cells: Vec<_> = rows
        .iter()
        .map(|row| run.cell(&row.label, scenario, choice.window))
        .collect();
    // Where a lower bound is the best figure, ranking the others would name the wrong winner.
    let led_by_a_bound =
        choice.metric == Metric::Throughput && primary::leader_is_limited(run, scenario);
    let sides: Vec<Side> = cells
        .iter()
        .map(|cell| match led_by_a_bound {
            // Nothing but VALID trials is ever ranked.
            false => Side::of(cell, choice.metric),
            true => Side::default(),
        })
        .collect();
    let servers = cells
        .iter()
        .filter(|cell| cell.state_for(choice.metric) == State::Valid);
    let rule = Rule::of(run, scenario, choice.metric, servers.count());
    let evidence = rule.evidence();
    let zone = rule.zone(noise::of_column(run, scenario, choice, None));
    // Models are ranked among each other; a peer is compared with the best of them.
    let middles: Vec<Option<f64>> = rows
        .iter()
        .zip(&sides)
        .map(|(row, side)| rule.middle(side, zone).filter(|_| !row.is_peer()))
        .collect();
    let places = stats::rank_by(&middles, |one, other| {
        rule.compare(&sides[one], &sides[other], zone)
    });
    let best = places
        .iter()
        .position(|place| place.is_some_and(|place| place.best));
    let peers: Vec<Option<Comparison>> = rows
        .iter()
        .zip(&sides)
        .map(|(row, side)| {
            let best = best.filter(|_| row.is_peer())?;
            rule.compare(side, &sides[best], zone)
        })
        .collect();
    let tied_within = rule.tied_within().unwrap_or(TIED_FACTOR.ln());
    let entries = cells
        .into_iter()
        .zip(places)
        .zip(peers)
        .map(|((cell, place), peer)| Entry {
            state: cell.state_for(choice.metric),
            spread: cell.spread(choice.metric, evidence),
            // Where something is ranked, what is excluded stays out of sight.
            disturbed: cell
                .disturbed(choice.metric, evidence)
                .filter(|_| evidence == Evidence::Figures),
            trials: cell.trials.len(),
            overloaded: cell.state_for(choice.metric) == State::Valid
                && choice.metric.needs_the_rate_held()
                && !cell.holds(choice.metric),
            answered_rps: Spread::of(cell.values(Metric::Throughput).into_values(), evidence)
                .map(|spread| spread.median),
            place,
            peer,
            tied_within,
            unserved: cell.unserved(),
            reasons: cell.reasons,
        })
        .collect();
    Column {
        scenario: scenario.to_owned(),
        choice,
        zone,
        placebo,
        unit: match run.is_in_slices(scenario) {
            true => "rotations",
            false => "blocks",
        },
        unit_s: run.rotation_s(scenario),
        entries,
    }
}

/// The largest factor from the best at which a cell still counts as tied, whatever the noise of its
/// column.
pub const TIED_FACTOR: f64 = 1.1;

/// Blocks from which on there are intervals: see [`Evidence::of`].
const INTERVAL_BLOCKS: usize = 10;

/// Where a ranked cell stands in its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The best.
    Best,
    /// No worse than the best by more than [`TIED_FACTOR`] (or than the run was to settle), with its
    /// whole interval.
    Tied,
    /// Neither that nor behind was shown.
    Undecided,
    /// Behind the best.
    Behind,
}

/// The colour of a ranked cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shade {
    /// The best, and what is tied with it: full colour.
    Tied,
    /// Grey.
    Undecided,
    /// Behind: fainter,
    Second,
    /// and fainter still.
    Third,
}

impl Column {
    /// How many rows were found to be behind the best.
    fn separated(&self) -> usize {
        let behind = |entry: &&Entry| entry.standing() == Some(Standing::Behind);
        self.entries.iter().filter(behind).count()
    }

    /// How many [units](Self::unit) in all would decide an entry that is undecided.
    pub fn units_to_decide(&self, entry: &Entry) -> Option<usize> {
        let against = entry.place?.against_best;
        let bounds = Bounds {
            least: stats::floor(),
            zone: self.zone,
            within: entry.tied_within,
        };
        // A verdict of equivalence within a wide zone is no tie yet.
        let open = Comparison {
            verdict: Verdict::TooClose,
            ..against
        };
        // Ranges of few blocks do not shrink: intervals need ten.
        let more = |blocks: usize| blocks.max(against.pairs + 1).max(INTERVAL_BLOCKS);
        (entry.standing() == Some(Standing::Undecided))
            .then(|| pairs_to_decide(&open, bounds))
            .flatten()
            .map(more)
    }

    /// How much longer it would take to decide an entry that is undecided: `3 min more`, or so many units in
    /// all where nothing is known of their length. `None` for one that is decided, or never would be.
    pub fn time_to_decide(&self, entry: &Entry) -> Option<String> {
        let units = self.units_to_decide(entry)?;
        let more = units.saturating_sub(entry.place?.against_best.pairs);
        Some(match self.unit_s {
            Some(each_s) => format!("{} more", format::about(more as f64 * each_s)),
            None => format!("{} {}", format::number(units as f64), self.unit),
        })
    }

    /// The indexes of the rows in `tier`, best first.
    pub fn tier(&self, tier: usize) -> Vec<usize> {
        let place = |index: &usize| self.entries[*index].place;
        let mut members: Vec<usize> = (0..self.entries.len())
            .filter(|index| place(index).is_some_and(|each| each.tier == tier))
            .collect();
        members.sort_by(|a, b| {
            let log = |index| place(index).map_or(0.0, |each| each.against_best.log);
            let best = |index| !place(index).is_some_and(|each| each.best);
            best(a).cmp(&best(b)).then(log(a).total_cmp(&log(b)))
        });
        members
    }

    /// The column's outcome: who leads, and by how much over whom.
    pub fn headline(&self, rows: &[Row]) -> Headline {
        let first = self.tier(1);
        let next = self.tier(2).first().and_then(|&index| {
            let against = self.entries[index].place?.against_best;
            Some((rows[index].label.clone(), against))
        });
        let name = |index: &usize| rows[*index].label.clone();
        let verdict = |index: &usize| {
            self.entries[*index]
                .place
                .map_or(Verdict::TooClose, |each| each.against_best.verdict)
        };
        let (equivalent, too_close): (Vec<&usize>, Vec<&usize>) = first
            .iter()
            .skip(1)
            .partition(|index| verdict(index) == Verdict::Equivalent);
        Headline {
            best: first.first().map(name),
            equivalent: equivalent.into_iter().map(name).collect(),
            too_close: too_close.into_iter().map(name).collect(),
            next,
            limited: self
                .entries
                .iter()
                .filter(|entry| entry.state == State::Limited)
                .count(),
        }
    }

    /// A figure as text, with its unit.
    pub fn show(&self, spread: Option<Spread>) -> Option<String> {
        Some(self.choice.metric.show(spread?.median))
    }

    /// `server CPU per request, at 2,000/s`.
    pub fn describe(&self) -> String {
        format!(
            "{}, {}",
            self.choice.metric.name(),
            self.choice.window.describe()
        )
    }
}

impl Entry {
    /// Where it stands; `None` where it is not ranked.
    pub fn standing(&self) -> Option<Standing> {
        let place = self.place?;
        Some(match place.against_best.verdict {
            _ if place.best => Standing::Best,
            _ if self.overloaded => Standing::Behind,
            Verdict::Slower => Standing::Behind,
            _ if place.against_best.high <= self.tied_within => Standing::Tied,
            Verdict::Faster | Verdict::Equivalent | Verdict::TooClose => Standing::Undecided,
        })
    }

    /// How a ranked cell is coloured, alike in the page and in the picture.
    pub fn shade(&self) -> Option<Shade> {
        let tier = self.place?.tier;
        Some(match self.standing()? {
            Standing::Best | Standing::Tied => Shade::Tied,
            Standing::Undecided => Shade::Undecided,
            // Behind in the first tier: the noise of the column is wider than the difference.
            Standing::Behind if tier <= 2 => Shade::Second,
            Standing::Behind => Shade::Third,
        })
    }

    /// `≈` or `=` where no difference from the best was found; nothing for the best itself.
    pub fn mark(&self) -> &'static str {
        match self.place {
            Some(place) if place.best => "",
            Some(place) if place.against_best.verdict == Verdict::Equivalent => "=",
            Some(place) if place.against_best.verdict == Verdict::TooClose => "≈",
            _ => "",
        }
    }

    /// `1.25–1.38`; nothing where it would only repeat that the best is the best.
    pub fn interval(&self) -> Option<String> {
        let against = self.place.map(|place| place.against_best).or(self.peer)?;
        (against.low < against.high)
            .then(|| format::factor_interval(against.low.exp(), against.high.exp()))
    }
}
