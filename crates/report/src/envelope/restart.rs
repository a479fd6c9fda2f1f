//! Hot restarts: response times around each of them, and what was refused or lost.

use schema::envelope::{Lost, Restart, Slice};

use super::draw;
use super::lines::Envelope;
use super::part::Part;
use super::short::family;
use super::table::Table;
use crate::format;
use crate::palette;
use crate::scale::Log;
use crate::stats::middle;
use crate::svg::{Anchor, Svg};

/// A restart is said to last until so long after the old server has ended, s: what it left behind.
const AFTER_S: f64 = 0.1;
/// The height of a strip, and the space below it for words.
const STRIP: f64 = 74.0;
const STRIP_GAP: f64 = 44.0;
const TOP: f64 = 92.0;

/// The part; `None` where nothing was measured.
pub fn part(envelope: &Envelope) -> Option<Part> {
    let all = envelope.restarts.iter();
    let lines: Vec<&Restart> = all.filter(|line| line.scheduled > 0).collect();
    let first = lines.first()?;
    let note = format!(
        "{}, each with a connection of its own, at random moments, for {} per model; {} slices. SIGUSR2 starts a successor that inherits the listeners; the old server serves until the successor is ready, then what it has accepted. Refused: no server took the connection. Lost: it was there, and no correct reply came. Times count from when a request was due; that the generator was late is in them, by up to 1 ms at the 99th percentile.",
        format::rate(first.offered_rps).replace("/s", " requests per second"),
        format::clock(first.window_s),
        format::micros_round((first.slices.first().map_or(0.0, |s| s.length_s) * 1e6).round()),
    );
    Some(Part {
        id: "envelope-restart",
        title: "Hot restart",
        means: sentence(&lines),
        note,
        svg: draw(&lines),
        table: table(&lines),
    })
}

/// The slices whose times are to be believed.
fn timed(line: &Restart) -> impl Iterator<Item = &Slice> {
    let slices = line.slices.iter();
    slices.filter(|slice| line.spoiled.is_none() && slice.scheduled > 0)
}

/// Whether a slice lies between the signal and a moment after the old server's end.
fn is_within(line: &Restart, slice: &Slice) -> bool {
    line.restarts.iter().any(|moments| {
        let end = moments.ended_s.unwrap_or(moments.replaced_s) + AFTER_S;
        slice.start_s + slice.length_s > moments.asked_s && slice.start_s < end
    })
}

/// The slowest reply within restarts, or outside of them, µs; of slices without a failure.
fn slowest(line: &Restart, within: bool) -> Option<f64> {
    let slices = timed(line).filter(|slice| is_within(line, slice) == within);
    let slowest = slices.filter_map(|slice| slice.max_us);
    slowest.max_by(f64::total_cmp)
}

/// The middle of the medians of slices within restarts, or outside of them, µs.
fn median(line: &Restart, within: bool) -> Option<f64> {
    let slices = timed(line).filter(|slice| is_within(line, slice) == within);
    middle(slices.filter_map(|slice| slice.p50_us))
}

fn sentence(lines: &[&Restart]) -> String {
    let restarts: usize = lines.iter().map(|line| line.restarts.len()).sum();
    let requests: u64 = lines.iter().map(|line| line.scheduled).sum();
    let sum = lines.iter().fold(Lost::default(), |sum, line| Lost {
        refused: sum.refused + line.counts.refused,
        lost: sum.lost + line.counts.lost,
        shed: sum.shed + line.counts.shed,
        unsent: sum.unsent + line.counts.unsent,
    });
    let mut text = format!(
        "In {} of {} under load, {} of {} requests were refused and {} accepted and lost",
        format::count(restarts, "restart"),
        format::count(lines.len(), "model"),
        format::number(sum.refused as f64),
        format::number(requests as f64),
        format::number(sum.lost as f64),
    );
    if sum.shed > 0 {
        let shed = format::number(sum.shed as f64);
        text += &format!(", {shed} answered with 503");
    }
    let worst = middle(lines.iter().filter_map(|line| slowest(line, true)));
    if let Some(worst) = worst {
        let worst = format::micros(worst);
        text += &format!("; the slowest reply meanwhile took {worst} on the median model");
    }
    text.push_str(match (restarts, sum.refused + sum.lost + sum.shed) {
        (0, _) => ": no restart came to its end.",
        (_, 0) => ": a release needs no pause, and no client has to try again.",
        _ => ": clients have to try again what was refused, and may only repeat what was lost where that does no harm.",
    });
    text
}

fn table(lines: &[&Restart]) -> Table {
    let heads = [
        "restarts",
        "requests",
        "refused",
        "lost",
        "answered 503",
        "successor ready after",
        "old one gone after",
        "median reply",
        "median in restarts",
        "slowest reply",
        "slowest in restarts",
    ];
    let row = |line: &&Restart| {
        let show = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), format::micros);
        let after = |of: fn(&schema::envelope::Moments) -> Option<f64>| {
            let moments = line.restarts.iter();
            show(middle(
                moments.filter_map(|m| Some((of(m)? - m.asked_s) * 1e6)),
            ))
        };
        let count = |count: u64| format::number(count as f64);
        let figures = vec![
            count(line.restarts.len() as u64),
            count(line.scheduled),
            count(line.counts.refused),
            count(line.counts.lost),
            count(line.counts.shed),
            after(|moments| Some(moments.replaced_s)),
            after(|moments| moments.ended_s),
            show(median(line, false)),
            show(median(line, true)),
            show(slowest(line, false)),
            show(slowest(line, true)),
        ];
        (line.model.clone(), figures)
    };
    Table {
        heads: heads.map(str::to_owned).to_vec(),
        rows: lines.iter().map(row).collect(),
    }
}

/// One strip per model, two beside each other.
fn draw(lines: &[&Restart]) -> Svg {
    let values: Vec<f64> = lines
        .iter()
        .flat_map(|line| timed(line))
        .flat_map(|slice| [slice.p50_us, slice.max_us])
        .flatten()
        .collect();
    let rows = lines.len().div_ceil(2) as f64;
    let height = TOP + rows * (STRIP + STRIP_GAP);
    let words = [
        "response time, log axis, lower is better: the thick line is the median of each slice of time, the thin one its slowest reply",
        "grey: from SIGUSR2 until the old server has ended; the dashed line: the successor is ready; a red mark at the top: a request that failed",
    ];
    let mut svg = draw::begin(
        "Hot restart: response times while the server is replaced",
        &words,
        height,
    );
    for (index, line) in lines.iter().enumerate() {
        let column = (index % 2) as f64;
        let left = 62.0 + 478.0 * column;
        let top = TOP + (STRIP + STRIP_GAP) * (index / 2) as f64;
        let axis = Log::over(&values, top + STRIP, top + 6.0);
        strip(&mut svg, line, (left, left + 404.0), top, axis.as_ref());
    }
    svg
}

fn strip(svg: &mut Svg, line: &Restart, (left, right): (f64, f64), top: f64, axis: Option<&Log>) {
    let x = |s: f64| left + (right - left) * (s / line.window_s.max(1e-9)).clamp(0.0, 1.0);
    let bottom = top + STRIP;
    let class = palette::class(family(&line.model));
    for moments in &line.restarts {
        let end = moments.ended_s.unwrap_or(moments.replaced_s);
        let (from, to) = (x(moments.asked_s), x(end));
        svg.rect((from, top), ((to - from).max(1.0), STRIP), 0.0, "both");
    }
    for moments in &line.restarts {
        let at = x(moments.replaced_s);
        svg.line((at, top), (at, bottom), "axis dash");
    }
    match axis.filter(|_| line.spoiled.is_none()) {
        Some(axis) => times(svg, line, (left, right), axis),
        None => {
            let why = line.spoiled.as_deref().unwrap_or("no reply came");
            let text = format!("response times are left out: {why}");
            svg.text(left + 8.0, top + STRIP / 2.0, Anchor::Start, "m n", &text);
        }
    }
    let has_failed = |slice: &&Slice| slice.served < slice.scheduled;
    for slice in line.slices.iter().filter(has_failed) {
        let at = x(slice.start_s + slice.length_s / 2.0);
        svg.rect((at - 1.5, top - 3.0), (3.0, 9.0), 0.0, "bad");
    }
    svg.line((left, bottom), (right, bottom), "axis");
    let name = format!("t f{class}");
    svg.text(left, top - 8.0, Anchor::Start, &name, &line.model);
    let counts = format!(
        "{}: {} refused, {} lost of {}",
        format::count(line.restarts.len(), "restart"),
        format::number(line.counts.refused as f64),
        format::number(line.counts.lost as f64),
        format::number(line.scheduled as f64)
    );
    svg.text(right, top - 8.0, Anchor::End, "m n", &counts);
    svg.text(left, bottom + 14.0, Anchor::Start, "m n", "0 s");
    let end = format!("{} s", format::number(line.window_s));
    svg.text(right, bottom + 14.0, Anchor::End, "m n", &end);
}

/// The axis and the two lines of a strip.
fn times(svg: &mut Svg, line: &Restart, (left, right): (f64, f64), axis: &Log) {
    for tick in axis.ticks() {
        let y = axis.at(tick);
        svg.line((left, y), (right, y), "grid");
        let text = format::micros_round(tick);
        svg.text(left - 6.0, y + 4.0, Anchor::End, "m n", &text);
    }
    let class = palette::class(family(&line.model));
    let x = |slice: &Slice| {
        let middle = slice.start_s + slice.length_s / 2.0;
        left + (right - left) * (middle / line.window_s.max(1e-9)).clamp(0.0, 1.0)
    };
    let pieces_of = |of: fn(&Slice) -> Option<f64>| {
        let mut pieces = vec![Vec::new()];
        for slice in timed(line) {
            match (of(slice), pieces.last_mut()) {
                (Some(value), Some(piece)) => piece.push((x(slice), axis.at(value))),
                // Where a request failed there is no value, and a line across would make one up.
                _ => pieces.push(Vec::new()),
            }
        }
        pieces
    };
    for piece in pieces_of(|slice| slice.max_us) {
        svg.path(&piece, &format!("hair s{class}"));
    }
    for piece in pieces_of(|slice| slice.p50_us) {
        svg.path(&piece, &format!("mid-line s{class}"));
    }
}

#[cfg(test)]
mod tests {
    use schema::envelope::Moments;

    use super::*;

    /// A second in slices of 10 ms with five requests each. From 0.4 s to 0.5 s it is replaced: replies take
    /// 3 ms instead of 0.2 ms, and in two of these slices one is lost and two are refused.
    fn line() -> Restart {
        let slice = |n: u32| {
            let during = (40..50).contains(&n);
            let failed = match n {
                42 => 1,
                45 => 2,
                _ => 0,
            };
            Slice {
                start_s: f64::from(n) * 0.01,
                length_s: 0.01,
                scheduled: 5,
                served: 5 - failed,
                p50_us: Some(if during { 1_000.0 } else { 100.0 }),
                max_us: (failed == 0).then_some(if during { 3_000.0 } else { 200.0 }),
            }
        };
        Restart {
            model: "prefork".into(),
            offered_rps: 500.0,
            window_s: 1.0,
            restarts: vec![Moments {
                asked_s: 0.4,
                replaced_s: 0.45,
                ended_s: Some(0.5),
            }],
            scheduled: 500,
            served: 497,
            counts: Lost {
                refused: 2,
                lost: 1,
                ..Lost::default()
            },
            slices: (0..100).map(slice).collect(),
            ..Restart::default()
        }
    }

    fn envelope(line: Restart) -> Envelope {
        let mut envelope = Envelope {
            restarts: vec![line],
            ..Envelope::default()
        };
        envelope.run.models = vec!["prefork".to_owned()];
        envelope
    }

    #[test]
    fn a_series_with_known_losses_shows_them() {
        let part = part(&envelope(line())).expect("a part");
        let says = "In 1 restart of 1 model under load, 2 of 500 requests were refused and 1 accepted and lost";
        assert!(part.means.starts_with(says), "{}", part.means);
        assert!(part.means.contains("took 3.00 ms"), "{}", part.means);
        assert!(part.means.contains("have to try again"), "{}", part.means);
        let (_, figures) = &part.table.rows[0];
        assert_eq!(figures[..5], ["1", "500", "2", "1", "0"].map(str::to_owned));
        assert_eq!(figures[5..7], ["50.0 ms", "100 ms"].map(str::to_owned));
        assert_eq!(figures[9..], ["200 µs", "3.00 ms"].map(str::to_owned));
        // Two slices failed, and a line that has no value there is in three pieces.
        let drawn = part.svg.inline();
        assert_eq!(drawn.matches("class=\"bad\"").count(), 2);
        assert_eq!(drawn.matches("class=\"l hair").count(), 3);
        assert!(drawn.contains("1 restart: 2 refused, 1 lost of 500"));
    }

    #[test]
    fn without_losses_no_client_has_to_try_again() {
        let mut line = line();
        line.counts = Lost::default();
        let says = part(&envelope(line.clone())).expect("a part").means;
        assert!(says.contains("needs no pause"), "{says}");
        line.restarts.clear();
        let says = part(&envelope(line)).expect("a part").means;
        assert!(says.contains("no restart came to its end"), "{says}");
    }

    #[test]
    fn a_late_generator_spoils_times_and_no_losses() {
        let mut line = line();
        line.spoiled = Some("the generator was late".into());
        let part = part(&envelope(line)).expect("a part");
        assert!(
            part.means.contains("2 of 500 requests were refused"),
            "{}",
            part.means
        );
        assert!(!part.means.contains("slowest"), "{}", part.means);
        assert_eq!(part.table.rows[0].1[10], "–");
        let drawn = part.svg.inline();
        assert!(drawn.contains("left out: the generator was late"));
        assert_eq!(drawn.matches("class=\"bad\"").count(), 2);
        assert_eq!(drawn.matches("hair").count(), 0);
    }

    #[test]
    fn a_restart_lasts_until_its_old_server_has_gone() {
        let line = line();
        let during: Vec<f64> = line
            .slices
            .iter()
            .filter(|slice| is_within(&line, slice))
            .map(|slice| slice.start_s)
            .collect();
        assert!((during[0] - 0.4).abs() < 0.011, "{during:?}");
        assert!(
            (during[during.len() - 1] - 0.59).abs() < 0.011,
            "{during:?}"
        );
    }
}
