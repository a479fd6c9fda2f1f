//! What the pages have in common.

use super::text::paragraph;
use crate::cell::State;
use crate::format;
use crate::matrix::{Column, Entry, Matrix, Pieces};
use crate::session::Session;
use crate::stats::Spread;
use crate::words;

pub fn heading(session: &Session, out: &mut String) {
    let run = &session.run;
    paragraph(out, &format!("# {}", words::title(run)));
    paragraph(out, &words::measured(run));
    let notices = words::notices(session);
    for notice in &notices {
        out.push_str(&format!("> {notice}\n>\n"));
    }
    if !notices.is_empty() {
        out.truncate(out.len() - ">\n".len());
        out.push('\n');
    }
}

/// A line of a table: its name and its cells.
pub fn row(name: &str, cells: impl Iterator<Item = String>) -> impl Iterator<Item = String> {
    [name.to_owned()].into_iter().chain(cells)
}

pub fn headlines(matrix: &Matrix, out: &mut String) {
    for column in &matrix.columns {
        let sentence = column.headline(&matrix.rows).sentence(column.choice.metric);
        let (text, described) = (bold(sentence), column.describe());
        out.push_str(&format!("- {} ({described}): {text}\n", column.scenario));
    }
    out.push('\n');
}

/// A sentence with its bold pieces.
pub fn bold(sentence: Pieces) -> String {
    let piece = |(bold, text)| if bold { format!("**{text}**") } else { text };
    sentence.into_iter().map(piece).collect()
}

/// What a row did, and the connections that it left without a reply.
pub fn matrix_cell(column: &Column, entry: &Entry) -> String {
    let unserved = entry.unserved.map(words::unserved);
    outcome(column, entry) + &unserved.map_or(String::new(), |text| format!(" ({text})"))
}

/// `1.31× (1.25–1.38) #2`, or the figure alone where nothing is ranked.
pub fn outcome(column: &Column, entry: &Entry) -> String {
    let in_brackets = |text: Option<String>| text.map_or(String::new(), |it| format!(" ({it})"));
    match (entry.state, entry.place, column.show(entry.spread)) {
        (State::Valid, Some(place), _) if entry.overloaded => {
            format!("overloaded #{}", place.tier)
        }
        (State::Valid, Some(place), _) => {
            let interval = in_brackets(entry.interval());
            let mark = entry.mark();
            let gap = if mark.is_empty() { "" } else { " " };
            let factor = format::factor(place.against_best.log.exp());
            format!("{factor}{interval} #{}{gap}{mark}", place.tier)
        }
        (State::Valid, None, _) if entry.overloaded => "overloaded".to_owned(),
        (State::Valid, None, Some(figure)) if entry.peer.is_some() => {
            let factor = entry
                .peer
                .map_or(figure, |each| format::factor(each.log.exp()));
            format!("{factor}{} peer", in_brackets(entry.interval()))
        }
        (State::Valid, None, Some(figure)) => shown(column, entry.spread).unwrap_or(figure),
        (State::Limited, _, Some(figure)) => {
            format!("LIMITED {}", words::bound(column.choice.metric, &figure))
        }
        (State::Limited, _, None) => "LIMITED".to_owned(),
        (State::Invalid, ..) => match (entry.disturbed, shown(column, entry.disturbed)) {
            (Some(_), Some(figure)) => format!("disturbed: {figure}"),
            _ => words::state(entry.state).to_owned(),
        },
        (state, _, _) => words::state(state).to_owned(),
    }
}

/// `12.3 µs (11.9–12.8)`: a figure with its range or interval.
pub fn shown(column: &Column, spread: Option<Spread>) -> Option<String> {
    let figure = column.show(spread)?;
    Some(match range(column, spread) {
        Some(range) => format!("{figure} ({range})"),
        None => figure,
    })
}

/// `11.9–12.8`: the range or interval of a figure that rests on several trials or slices.
pub fn range(column: &Column, spread: Option<Spread>) -> Option<String> {
    let spread = spread.filter(|spread| spread.n > 1)?;
    let show = |value| column.choice.metric.show(value);
    let [low, high] = [show(spread.low), show(spread.high)];
    // The unit stands beside the figure itself already, where it is the same one.
    let unit = |text: &str| {
        text.trim_start_matches(|c: char| c.is_ascii_digit() || ".,".contains(c))
            .to_owned()
    };
    let all = [unit(&low), unit(&high), unit(&show(spread.median))];
    Some(match all.iter().all(|each| *each == all[0]) {
        true => format!(
            "{}–{}",
            low.trim_end_matches(&all[0]),
            high.trim_end_matches(&all[0])
        ),
        false => format!("{low}–{high}"),
    })
}
