//! The logs: CPU per request beside a bare server, slice against slice.

use std::collections::BTreeMap;

use schema::envelope::{BARE, BARE_AGAIN, LogEnd};

use super::draw::{self, ROW};
use super::lines::Envelope;
use super::part::Part;
use super::short::family;
use super::table::Table;
use crate::format;
use crate::palette;
use crate::stats::{hodges_lehmann, middle, wilcoxon_interval};
use crate::svg::{Anchor, Svg};

/// The level of the intervals.
const LEVEL: f64 = 0.95;
/// The axis reaches at least so far, as a logarithm: less would make noise look like a difference.
const REACH_MIN: f64 = 0.05;
/// And no farther, so that one wild row does not press all others together.
const REACH_MAX: f64 = 1.1;
const TOP: f64 = 92.0;

/// How much more CPU a request takes than on the bare server.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ratio {
    /// Hodges-Lehmann estimate over rotations, a natural logarithm.
    log: f64,
    /// Its interval by Wilcoxon's signed-rank test; `None` of fewer than six rotations.
    interval: Option<(f64, f64)>,
    /// The same as a difference, µs.
    more_us: f64,
    /// Rotations that hold both.
    pairs: usize,
}

impl Envelope {
    /// CPU per request by rotation, µs.
    fn by_rotation(&self, model: &str, setup: &str) -> BTreeMap<u32, f64> {
        let here = self
            .logs
            .iter()
            .filter(|line| line.model == model && line.setup == setup && line.spoiled.is_none());
        here.filter_map(|line| Some((line.rotation, line.cpu_us.filter(|us| *us > 0.0)?)))
            .collect()
    }

    fn ratio(&self, model: &str, setup: &str) -> Option<Ratio> {
        let bare = self.by_rotation(model, BARE);
        let pairs: Vec<(f64, f64)> = self
            .by_rotation(model, setup)
            .into_iter()
            .filter_map(|(rotation, us)| Some((us, *bare.get(&rotation)?)))
            .collect();
        let logs: Vec<f64> = pairs
            .iter()
            .map(|(with, bare)| (with / bare).ln())
            .collect();
        let more: Vec<f64> = pairs.iter().map(|(with, bare)| with - bare).collect();
        Some(Ratio {
            log: hodges_lehmann(&logs)?,
            interval: wilcoxon_interval(&logs, LEVEL),
            more_us: hodges_lehmann(&more)?,
            pairs: pairs.len(),
        })
    }

    fn ratios(&self, models: &[&str], setup: &str) -> Vec<Ratio> {
        let ratios = models.iter().filter_map(|model| self.ratio(model, setup));
        ratios.collect()
    }
}

/// The part; `None` where nothing was measured.
pub fn part(envelope: &Envelope) -> Option<Part> {
    let models = envelope.models(|model| !envelope.by_rotation(model, BARE).is_empty());
    let setups: Vec<&str> = envelope
        .run
        .setups
        .iter()
        .map(|setup| setup.name.as_str())
        .filter(|name| *name != BARE && !envelope.ratios(&models, name).is_empty())
        .collect();
    if models.is_empty() || setups.is_empty() {
        return None;
    }
    let rotations = setups
        .iter()
        .flat_map(|setup| envelope.ratios(&models, setup))
        .map(|ratio| ratio.pairs)
        .max()?;
    let flags: Vec<String> = envelope
        .run
        .setups
        .iter()
        .filter(|setup| !setup.flags.is_empty())
        .map(|setup| format!("{} ({})", setup.name, setup.flags))
        .collect();
    let note = format!(
        "The least request of all, /plaintext, in a closed loop over 16 connections (1 where a model serves one client at a time), so that what a log adds is as large a share as it can be. CPU is that of all processes of the server, the helper that writes the log included. All setups of a model stand side by side, {rotations} rotations; estimates are Hodges-Lehmann, the bars 95 % intervals. Setups: {}.",
        flags.join(", ")
    );
    Some(Part {
        id: "envelope-logs",
        title: "Admin address and access log",
        means: sentence(envelope, &models, &setups),
        note,
        svg: draw(envelope, &models, &setups),
        table: table(envelope, &models, &setups),
    })
}

/// What is more, as it is said: `+3.1 %`.
fn more(log: f64) -> String {
    format!("{:+.1} %", log.exp_m1() * 100.0)
}

fn sentence(envelope: &Envelope, models: &[&str], setups: &[&str]) -> String {
    let of = |setup: &str| {
        let ratios = envelope.ratios(models, setup);
        let log = middle(ratios.iter().map(|ratio| ratio.log))?;
        let us = middle(ratios.iter().map(|ratio| ratio.more_us))?;
        Some(format!("{setup} {} ({us:+.2} µs)", more(log)))
    };
    let real = setups.iter().filter(|setup| **setup != BARE_AGAIN);
    let all: Vec<String> = real.filter_map(|setup| of(setup)).collect();
    let mut text = format!(
        "What each adds to the CPU of the least request, on the median model: {}",
        all.join(", ")
    );
    if let Some(noise) = middle(
        envelope
            .ratios(models, BARE_AGAIN)
            .iter()
            .map(|r| r.log.abs()),
    ) {
        text.push_str(&format!(
            "; two bare servers differ by {:.1} %, which is noise",
            noise.exp_m1() * 100.0
        ));
    }
    let dropped: u64 = envelope.ends.iter().map(dropped).sum();
    let all: u64 = envelope.ends.iter().map(|end| end.requests).sum();
    if dropped > 0 {
        text.push_str(&format!(
            "; {} of the lines were dropped, and counted, because they came faster than they could be written",
            format::percent(dropped as f64 / (all as f64).max(1.0))
        ));
    }
    text.push_str(": in µs this is what a request of a real service pays, too, of which it is a much smaller share.");
    text
}

/// Replies of which the log has no line.
fn dropped(end: &LogEnd) -> u64 {
    end.requests.saturating_sub(end.lines)
}

fn table(envelope: &Envelope, models: &[&str], setups: &[&str]) -> Table {
    let mut heads = vec!["bare, CPU per request".to_owned()];
    for setup in setups {
        heads.push(format!("{setup}, CPU"));
        heads.push(format!("{setup}, more"));
    }
    heads.push("lines dropped".to_owned());
    let row = |model: &&str| {
        let none = || "–".to_owned();
        let bare = middle(envelope.by_rotation(model, BARE).into_values());
        let mut figures = vec![bare.map_or_else(none, format::micros)];
        for setup in setups {
            let ratio = envelope.ratio(model, setup);
            figures.push(ratio.map_or_else(none, |ratio| {
                let interval = ratio
                    .interval
                    .map(|(low, high)| format!(" ({} to {})", more(low), more(high)));
                more(ratio.log) + &interval.unwrap_or_default()
            }));
            figures.push(ratio.map_or_else(none, |ratio| format!("{:+.2} µs", ratio.more_us)));
        }
        let ends: Vec<&LogEnd> = envelope
            .ends
            .iter()
            .filter(|end| end.model == **model)
            .collect();
        let all: u64 = ends.iter().map(|end| end.requests).sum();
        let lost: u64 = ends.iter().map(|end| dropped(end)).sum();
        figures.push(match all {
            0 => none(),
            _ => format::percent(lost as f64 / all as f64),
        });
        ((*model).to_owned(), figures)
    };
    Table {
        heads,
        rows: models.iter().map(row).collect(),
    }
}

fn draw(envelope: &Envelope, models: &[&str], setups: &[&str]) -> Svg {
    let height = ROW * models.len() as f64;
    let lines = [
        "CPU per request, from that of the bare server in the same rotation; lower is better; bars: 95 % intervals",
        "\"bare again\" is the same server once more: what it shows is noise; hollow: too few rotations for an interval",
    ];
    let title = "Admin address and access log: CPU per request";
    let mut svg = draw::begin(title, &lines, TOP + height + 26.0);
    for (index, model) in models.iter().enumerate() {
        draw::name(&mut svg, TOP, index, model);
    }
    let (low, high) = reach(envelope, models, setups);
    for (column, setup) in setups.iter().enumerate() {
        let (left, right) = draw::panel(column, setups.len());
        let x = |log: f64| {
            left + 6.0 + (right - left - 12.0) * (log.clamp(low, high) - low) / (high - low)
        };
        svg.text(left, TOP - 12.0, Anchor::Start, "n", setup);
        let ticks = ticks(low, high);
        for (number, &tick) in ticks.iter().enumerate() {
            let at = x(tick.ln_1p());
            let class = if tick == 0.0 { "axis" } else { "grid" };
            svg.line((at, TOP - 4.0), (at, TOP + height), class);
            // There is little room: the unit stands once, behind the last.
            let unit = if number + 1 == ticks.len() { " %" } else { "" };
            let text = format!("{:.0}{unit}", tick * 100.0);
            svg.text(at, TOP + height + 15.0, Anchor::Middle, "m n", &text);
        }
        for (index, model) in models.iter().enumerate() {
            let Some(ratio) = envelope.ratio(model, setup) else {
                continue;
            };
            let y = TOP + ROW * (index as f64 + 0.5);
            let class = palette::class(family(model));
            let mut hover = format!(
                "{model}, {setup}: {}, {:+.2} µs",
                more(ratio.log),
                ratio.more_us
            );
            if let Some((from, to)) = ratio.interval {
                svg.line((x(from), y), (x(to), y), &format!("bar s{class}"));
                hover.push_str(&format!(" ({} to {})", more(from), more(to)));
            }
            let mark = palette::of(family(model)).mark;
            let at = (x(ratio.log), y);
            svg.mark(at, mark, ratio.interval.is_none(), class, &hover);
        }
    }
    svg
}

/// The ends of the axis, logarithms: so that estimates and most intervals are within.
fn reach(envelope: &Envelope, models: &[&str], setups: &[&str]) -> (f64, f64) {
    let all: Vec<Ratio> = setups
        .iter()
        .flat_map(|setup| envelope.ratios(models, setup))
        .collect();
    let ends = all.iter().flat_map(|ratio| {
        let (low, high) = ratio.interval.unwrap_or((ratio.log, ratio.log));
        [low, high, ratio.log]
    });
    let (low, high) = ends.fold((0.0_f64, 0.0_f64), |(low, high), end| {
        (low.min(end), high.max(end))
    });
    (
        low.clamp(-REACH_MAX, -REACH_MIN) * 1.05,
        high.clamp(REACH_MIN, REACH_MAX) * 1.05,
    )
}

/// Round shares within the axis, about four of them.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let (low, high) = (low.exp_m1(), high.exp_m1());
    let steps = [0.05, 0.1, 0.2, 0.25, 0.5, 1.0];
    let step = steps
        .into_iter()
        .find(|step| (high - low) / step <= 4.5)
        .unwrap_or(1.0);
    let first = (low / step).ceil() as i32;
    let last = (high / step).floor() as i32;
    (first..=last).map(|n| f64::from(n) * step).collect()
}

#[cfg(test)]
mod tests {
    use schema::envelope::{Log, Setup};

    use super::*;

    /// The bare server takes 10 µs, more in some rotations as the machine is slower; a log takes a fifth
    /// and a hundredth of that more.
    fn envelope(rotations: u32) -> Envelope {
        let mut envelope = Envelope::default();
        envelope.run.models = vec!["prefork".to_owned()];
        for (name, factor) in [(BARE, 1.0), (BARE_AGAIN, 1.01), ("log", 1.2)] {
            envelope.run.setups.push(Setup {
                name: name.to_owned(),
                flags: String::new(),
            });
            for rotation in 0..rotations {
                let machine = 1.0 + 0.3 * f64::from(rotation % 3);
                envelope.logs.push(Log {
                    model: "prefork".into(),
                    setup: name.to_owned(),
                    rotation,
                    requests: 1_000,
                    cpu_us: Some(10.0 * machine * factor),
                    ..Log::default()
                });
            }
        }
        envelope
    }

    #[test]
    fn what_the_machine_does_cancels_in_pairs() {
        let envelope = envelope(9);
        let ratio = envelope.ratio("prefork", "log").expect("pairs");
        assert!((ratio.log.exp() - 1.2).abs() < 1e-9, "{ratio:?}");
        let (low, high) = ratio.interval.expect("nine pairs");
        assert!((high - low).abs() < 1e-9, "every pair says the same");
        assert_eq!(ratio.pairs, 9);
        let part = part(&envelope).expect("a part");
        assert!(
            part.means.contains("log +20.0 % (+2.60 µs)"),
            "{}",
            part.means
        );
        assert!(part.means.contains("differ by 1.0 %"), "{}", part.means);
        assert!(!part.means.contains("dropped"));
        assert_eq!(part.table.rows[0].1[3], "+20.0 % (+20.0 % to +20.0 %)");
    }

    #[test]
    fn few_rotations_have_no_interval_and_spoiled_ones_no_pair() {
        let mut few = envelope(5);
        assert_eq!(few.ratio("prefork", "log").expect("pairs").interval, None);
        for line in few.logs.iter_mut().filter(|line| line.setup == BARE) {
            line.spoiled = (line.rotation < 4).then(|| "others".to_owned());
        }
        assert_eq!(few.ratio("prefork", "log").expect("one pair").pairs, 1);
        assert!(few.ratio("prefork", "unknown").is_none());
    }

    #[test]
    fn lines_that_were_dropped_are_told() {
        let mut envelope = envelope(9);
        envelope.ends.push(LogEnd {
            model: "prefork".into(),
            setup: "log".into(),
            requests: 1_000,
            lines: 900,
        });
        let part = part(&envelope).expect("a part");
        assert!(
            part.means.contains("10.0 % of the lines were dropped"),
            "{}",
            part.means
        );
        assert_eq!(
            part.table.rows[0].1.last().map(String::as_str),
            Some("10.0 %")
        );
        // Those that verified the server have lines, too, and were not counted as replies.
        envelope.ends[0].lines = 1_001;
        assert_eq!(dropped(&envelope.ends[0]), 0);
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(ticks(-0.06, 0.06), [-0.05, 0.0, 0.05]);
        let wide = ticks(-0.05, 0.8);
        assert!(wide.contains(&0.0) && wide.len() <= 6, "{wide:?}");
    }
}
