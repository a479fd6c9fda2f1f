//! The overload: what is answered in time of what could be, and how long the answers take.

use schema::envelope::Overload;

use super::draw::{self, ROW};
use super::lines::Envelope;
use super::part::Part;
use super::short::{family, percent};
use super::table::Table;
use crate::format;
use crate::palette;
use crate::scale::{Log, is_drawn};
use crate::stats::middle;
use crate::svg::{Anchor, Svg};

/// A model that answers so much of what it could is said to keep up.
const KEEPS_UP: f64 = 0.9;
/// The right end of the axis of goodput: a capacity that was measured in another window is off by a few
/// per cent.
const SHARE_MAX: f64 = 1.15;

/// Width of the label of a tick.
const LABEL: f64 = 44.0;

/// One model at one rate, with shedding or without: the medians over blocks.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    /// Right answers within the objective, of those that were possible: the offered rate or the capacity,
    /// whichever is lower.
    share: f64,
    /// 503, of all requests.
    shed: f64,
    /// Neither a right answer nor a 503, of all requests.
    failed: f64,
    /// p99 response of what was served, µs; infinite where nothing was.
    p99_us: f64,
    goodput_rps: f64,
}

fn point(line: &Overload) -> Point {
    let of_all = |count: u64| count as f64 / (line.scheduled as f64).max(1.0);
    let shed = line.errors.get("shed").copied().unwrap_or(0);
    let failed: u64 = line.errors.values().sum::<u64>() - shed;
    let goodput_rps = line.in_time as f64 / line.window_s.max(1e-9);
    // What came, not what was meant to: arrivals are random.
    let offered_rps = line.scheduled as f64 / line.window_s.max(1e-9);
    Point {
        share: goodput_rps / offered_rps.min(line.capacity_rps).max(1e-9),
        shed: of_all(shed),
        failed: of_all(failed),
        p99_us: line.served_p99_us.unwrap_or(f64::INFINITY),
        goodput_rps,
    }
}

impl Envelope {
    /// Right answers within the objective, of all requests at half the capacity right behind the window of the
    /// highest rate. `None`: none was recorded.
    fn after(&self, model: &str, sheds: bool) -> Option<f64> {
        let here = self
            .overload
            .iter()
            .filter(|line| line.model == model && line.sheds == sheds && line.spoiled.is_none());
        let steps = here.filter_map(|line| line.after);
        let steps = steps.filter(|step| step.scheduled > 0);
        middle(steps.map(|step| step.in_time as f64 / step.scheduled as f64))
    }

    fn point(&self, model: &str, factor: f64, sheds: bool) -> Option<Point> {
        let here = self.overload.iter().filter(|line| {
            line.model == model
                && line.sheds == sheds
                && (line.factor - factor).abs() < 1e-9
                && line.spoiled.is_none()
                && line.scheduled > 0
        });
        let points: Vec<Point> = here.map(point).collect();
        let of = |pick: fn(&Point) -> f64| middle(points.iter().map(pick));
        Some(Point {
            share: of(|p| p.share)?,
            shed: of(|p| p.shed)?,
            failed: of(|p| p.failed)?,
            p99_us: of(|p| p.p99_us)?,
            goodput_rps: of(|p| p.goodput_rps)?,
        })
    }
}

/// The part; `None` where nothing was measured.
pub fn part(envelope: &Envelope) -> Option<Part> {
    let models = envelope.models(|model| envelope.overload.iter().any(|line| line.model == model));
    if models.is_empty() || envelope.run.factors.is_empty() {
        return None;
    }
    let run = &envelope.run;
    let is_apart = |model: &&str| {
        let mut lines = envelope.overload.iter();
        lines.any(|line| line.model == *model && line.new_connection)
    };
    let apart: Vec<&str> = models.iter().copied().filter(is_apart).collect();
    let mut note = format!(
        "Requests that take {} of CPU, at random moments over 64 connections that are kept alive. The capacity is what the model answers in a closed loop. Each window has a fresh server, and the same load goes on before it. Both servers of a pair see the same arrivals, one right after the other.",
        format::micros_round(run.request_us)
    );
    if !apart.is_empty() {
        let apart = apart.join(", ");
        note += &format!(" {apart} serves one client at a time, and has a connection per request.");
    }
    Some(Part {
        id: "envelope-overload",
        title: "Overload",
        means: sentence(envelope, &models),
        note,
        svg: draw(envelope, &models),
        table: table(envelope, &models),
    })
}

/// Below this share of what is possible in time, a service is of little use.
const HALF: f64 = 0.5;

/// What it means for a service, from the highest rate.
fn sentence(envelope: &Envelope, models: &[&str]) -> String {
    let factor = envelope.run.factors.iter().copied().fold(0.0, f64::max);
    let points = |sheds| -> Vec<Point> {
        let here = models.iter();
        here.filter_map(|model| envelope.point(model, factor, sheds))
            .collect()
    };
    let (with, without) = (points(true), points(false));
    let share = |points: &[Point]| middle(points.iter().map(|point| point.share));
    let (Some(shed), Some(bare)) = (share(&with), share(&without)) else {
        return "No window of the highest rate can be used.".to_owned();
    };
    let keep = |points: &[Point]| points.iter().filter(|p| p.share >= KEEPS_UP).count();
    let mut text = format!(
        "At {factor} times the capacity the median model answers {} of what it could in time with shedding and {} without; {} of {} keep above {}, and {} of {} without",
        percent(shed),
        percent(bare),
        keep(&with),
        with.len(),
        percent(KEEPS_UP),
        keep(&without),
        without.len()
    );
    text.push_str(if shed > bare && shed < HALF {
        ": shedding helps, and most answers are late all the same, as in windows that end before it has taken hold."
    } else if shed > bare {
        ": a service that sheds stays useful in an overload, and those whom it cannot serve learn it at once."
    } else {
        ": here shedding did not help."
    });
    text
}

fn table(envelope: &Envelope, models: &[&str]) -> Table {
    let mut heads = Vec::new();
    for factor in &envelope.run.factors {
        let at = format!("at {factor}×");
        heads.extend([
            format!("goodput {at}"),
            format!("without shedding {at}"),
            format!("refused {at}"),
            format!("failed {at}"),
            format!("p99 of served {at}"),
            format!("p99 without {at}"),
        ]);
    }
    let recovers = envelope.overload.iter().any(|line| line.after.is_some());
    if recovers {
        heads.extend(["in time at 0.5× right after", "in time after, without"].map(str::to_owned));
    }
    let row = |model: &&str| {
        let mut figures = Vec::new();
        for factor in &envelope.run.factors {
            let with = envelope.point(model, *factor, true);
            let without = envelope.point(model, *factor, false);
            let show = |point: Option<Point>, show: fn(Point) -> String| {
                point.map_or_else(|| "–".to_owned(), show)
            };
            figures.extend([
                show(with, |p| format::rate(p.goodput_rps)),
                show(without, |p| format::rate(p.goodput_rps)),
                show(with, |p| format::percent(p.shed)),
                show(with, |p| format::percent(p.failed)),
                show(with, |p| format::micros(p.p99_us)),
                show(without, |p| format::micros(p.p99_us)),
            ]);
        }
        if recovers {
            figures.extend([true, false].map(|sheds| {
                let share = envelope.after(model, sheds);
                share.map_or_else(|| "–".to_owned(), format::percent)
            }));
        }
        ((*model).to_owned(), figures)
    };
    Table {
        heads,
        rows: models.iter().map(row).collect(),
    }
}

const TOP: f64 = 112.0;

fn draw(envelope: &Envelope, models: &[&str]) -> Svg {
    let run = &envelope.run;
    let height = ROW * models.len() as f64;
    let second = TOP + height + 84.0;
    let lines = [
        "filled: with shedding, the default; hollow: without (--queue-delay-ms 0); a line joins the two of a model",
        &format!(
            "goodput: right answers within {}; what is possible: the offered rate or the capacity, whichever is lower; medians",
            format::micros_round(run.objective_us)
        ),
    ];
    let mut svg = draw::begin(
        "Overload: goodput, and how long answers take",
        &lines,
        second + height + 46.0,
    );
    for (top, text) in [
        (TOP, "goodput, share of what is possible: higher is better"),
        (
            second,
            "p99 response of what is served, log axis: lower is better",
        ),
    ] {
        svg.text(draw::LEFT, top - 34.0, Anchor::Start, "t", text);
        for (index, model) in models.iter().enumerate() {
            draw::name(&mut svg, top, index, model);
        }
    }
    let points: Vec<Point> = models
        .iter()
        .flat_map(|model| {
            let both = [true, false];
            let of = move |factor: &f64| both.map(|sheds| envelope.point(model, *factor, sheds));
            run.factors.iter().flat_map(of)
        })
        .flatten()
        .collect();
    let values = points.iter().map(|point| point.p99_us);
    let values: Vec<f64> = values.chain([run.objective_us]).collect();
    for (index, factor) in run.factors.iter().enumerate() {
        let (left, right) = draw::panel(index, run.factors.len());
        let head = format!("{factor}× the capacity");
        let share =
            |share: f64| left + 5.0 + (right - left - 10.0) * share.min(SHARE_MAX) / SHARE_MAX;
        svg.text(left, TOP - 12.0, Anchor::Start, "n", &head);
        for tick in [0.0, 0.5, 1.0] {
            let x = share(tick);
            svg.line((x, TOP - 4.0), (x, TOP + height), "grid");
            let text = format!("{:.0} %", tick * 100.0);
            svg.text(x, TOP + height + 15.0, Anchor::Middle, "m n", &text);
        }
        let at = |p: Point| Some(share(p.share));
        let show = |p: Point| percent(p.share);
        panel(&mut svg, envelope, (models, *factor), TOP, &at, show);
        let Some(axis) = Log::over(&values, left + 5.0, right - 5.0) else {
            continue;
        };
        svg.text(left, second - 12.0, Anchor::Start, "n", &head);
        let mut free = left - LABEL / 2.0;
        for tick in axis.ticks() {
            let x = axis.at(tick);
            svg.line((x, second - 4.0), (x, second + height), "grid");
            if x - LABEL / 2.0 < free {
                continue;
            }
            free = x + LABEL / 2.0;
            let text = format::micros_round(tick);
            svg.text(x, second + height + 15.0, Anchor::Middle, "m n", &text);
        }
        let x = axis.at(run.objective_us);
        svg.line((x, second - 4.0), (x, second + height), "objective");
        if index == 0 {
            let text = format!("objective {}", format::micros_round(run.objective_us));
            svg.text(
                x,
                second + height + 31.0,
                Anchor::Middle,
                "objective-text n",
                &text,
            );
        }
        let at = |p: Point| is_drawn(p.p99_us).then(|| axis.at(p.p99_us));
        let show = |p: Point| format::micros(p.p99_us);
        panel(&mut svg, envelope, (models, *factor), second, &at, show);
    }
    svg
}

/// The marks of all models at one rate.
fn panel(
    svg: &mut Svg,
    envelope: &Envelope,
    (models, factor): (&[&str], f64),
    top: f64,
    at: &dyn Fn(Point) -> Option<f64>,
    show: fn(Point) -> String,
) {
    for (index, model) in models.iter().enumerate() {
        let y = top + ROW * (index as f64 + 0.5);
        let class = palette::class(family(model));
        let mark = palette::of(family(model)).mark;
        let both = [false, true].map(|sheds| {
            let point = envelope.point(model, factor, sheds)?;
            Some((sheds, at(point)?, point))
        });
        if let [Some((_, from, _)), Some((_, to, _))] = both {
            svg.line((from, y), (to, y), &format!("stem s{class}"));
        }
        for (sheds, x, point) in both.into_iter().flatten() {
            let how = if sheds { "with shedding" } else { "without" };
            let hover = format!(
                "{model}, {how}: {}, {} refused, {} failed",
                show(point),
                format::percent(point.shed),
                format::percent(point.failed)
            );
            svg.mark((x, y), mark, !sheds, class, &hover);
        }
    }
}

#[cfg(test)]
mod tests {
    use schema::envelope::After;

    use super::*;

    fn line(factor: f64, sheds: bool, in_time: u64) -> Overload {
        let scheduled = (1_000.0 * factor) as u64 * 2;
        Overload {
            model: "prefork".into(),
            sheds,
            factor,
            capacity_rps: 1_000.0,
            offered_rps: 1_000.0 * factor,
            window_s: 2.0,
            scheduled,
            served: in_time + 10,
            in_time,
            errors: [
                ("shed".to_owned(), scheduled - in_time - 30),
                ("timeout".to_owned(), 20),
            ]
            .into(),
            served_p99_us: Some(30_000.0),
            ..Overload::default()
        }
    }

    fn envelope(lines: Vec<Overload>) -> Envelope {
        let mut envelope = Envelope {
            overload: lines,
            ..Envelope::default()
        };
        envelope.run.models = vec!["prefork".to_owned()];
        envelope.run.factors = vec![0.5, 10.0];
        envelope.run.objective_us = 100_000.0;
        envelope
    }

    #[test]
    fn goodput_is_a_share_of_what_is_possible() {
        // Below the capacity that is the offered rate, and above it the capacity.
        for (factor, in_time, share) in [(0.5, 900, 0.9), (1.0, 1_800, 0.9), (10.0, 1_800, 0.9)] {
            let says = point(&line(factor, true, in_time));
            assert!((says.share - share).abs() < 1e-9, "{factor}: {says:?}");
        }
        let says = point(&line(10.0, true, 1_800));
        assert!((says.failed - 20.0 / 20_000.0).abs() < 1e-9, "{says:?}");
        assert!((says.shed - (20_000.0 - 1_830.0) / 20_000.0).abs() < 1e-9);
    }

    #[test]
    fn the_sentence_says_what_the_figures_say() {
        let both = |with, without| {
            let lines = vec![line(10.0, true, with), line(10.0, false, without)];
            part(&envelope(lines)).expect("a part").means
        };
        let helps = both(1_900, 100);
        assert!(
            helps.contains("95 % of what it could in time with shedding and 5 % without"),
            "{helps}"
        );
        assert!(
            helps.contains("1 of 1 keep above 90 %, and 0 of 1"),
            "{helps}"
        );
        assert!(helps.contains("stays useful"), "{helps}");
        let little = both(60, 20);
        assert!(
            little.contains("helps, and most answers are late"),
            "{little}"
        );
        assert!(both(100, 1_900).contains("did not help"));
    }

    #[test]
    fn the_table_says_what_comes_after_where_that_was_recorded() {
        let mut lines = vec![line(10.0, true, 1_900), line(10.0, false, 100)];
        let table = |lines: &[Overload]| {
            part(&envelope(lines.to_vec()))
                .expect("a part")
                .table
                .markdown()
        };
        assert!(!table(&lines).contains("right after"), "an earlier record");
        lines[0].after = Some(After {
            scheduled: 200,
            in_time: 199,
        });
        let shown = table(&lines);
        assert!(shown.contains("in time at 0.5× right after"), "{shown}");
        let row: Vec<_> = shown
            .lines()
            .last()
            .unwrap_or_default()
            .split('|')
            .collect();
        let [.., with, without, _] = row[..] else {
            panic!("{shown}")
        };
        assert_eq!((with.trim(), without.trim()), ("99.5 %", "–"));
    }

    #[test]
    fn spoiled_windows_are_left_out_and_blocks_are_medians() {
        let mut lines = vec![
            line(10.0, true, 1_000),
            line(10.0, true, 1_200),
            line(10.0, true, 1_900),
        ];
        let share = |lines: &[Overload]| {
            let point = envelope(lines.to_vec()).point("prefork", 10.0, true);
            point.map(|point| point.share)
        };
        assert_eq!(share(&lines), Some(0.6));
        lines[0].spoiled = Some("others".into());
        lines[1].spoiled = Some("others".into());
        assert_eq!(share(&lines), Some(0.95));
        lines[2].spoiled = Some("others".into());
        assert_eq!(share(&lines), None);
        assert!(
            part(&envelope(lines))
                .expect("it was tried")
                .means
                .contains("No window")
        );
    }
}
