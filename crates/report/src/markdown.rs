//! `summary.md`: the report for terminals and code review, aligned so that it reads well raw.

use crate::cell::State;
use crate::data::Validity;
use crate::figures;
use crate::format;
use crate::matrix::{Column, Entry, Matrix};
use crate::noise;
use crate::primary;
use crate::run::Run;
use crate::sheet::{self, Sheet};
use crate::stats::{Evidence, Spread};
use crate::words;

mod table;

pub use table::Table;

/// The whole summary.
pub fn summary(run: &Run) -> String {
    let mut out = String::new();
    heading(run, &mut out);
    verdict(run, &mut out);
    for scenario in &run.scenarios {
        scenario_tables(run, scenario, &mut out);
    }
    for sheet in sheet::all(run) {
        sheet_table(&sheet, &mut out);
    }
    noise_section(run, &mut out);
    out
}

fn paragraph(out: &mut String, text: &str) {
    out.push_str(text);
    out.push_str("\n\n");
}

fn heading(run: &Run, out: &mut String) {
    paragraph(out, &format!("# {}", words::title(run)));
    paragraph(out, &words::measured(run));
    let notices = words::notices(run);
    for notice in &notices {
        out.push_str(&format!("> {notice}\n>\n"));
    }
    if !notices.is_empty() {
        out.truncate(out.len() - ">\n".len());
        out.push('\n');
    }
}

fn verdict(run: &Run, out: &mut String) {
    let matrix = run.verdict();
    paragraph(out, "## Verdict");
    if matrix.columns.is_empty() {
        paragraph(out, "There is no trial to report.");
        return;
    }
    paragraph(out, &words::how_to_read(matrix.evidence));
    if matrix.evidence != Evidence::Figures {
        headlines(matrix, out);
    }
    let mut header = vec!["model".to_owned()];
    header.extend(matrix.columns.iter().map(|column| column.scenario.clone()));
    let mut table = Table::new(header);
    for (index, row) in matrix.rows.iter().enumerate() {
        let mut line = vec![row.label.clone()];
        line.extend(
            matrix
                .columns
                .iter()
                .map(|column| matrix_cell(column, &column.entries[index])),
        );
        table.push(line);
    }
    if matrix.evidence != Evidence::Figures {
        controls(matrix, &mut table);
    }
    out.push_str(&table.render());
    out.push('\n');
    paragraph(out, primary::RULE);
}

/// What the matrix may be trusted by: the placebo and the zone.
fn controls(matrix: &Matrix, table: &mut Table) {
    let mut line = vec!["A/A, same server twice".to_owned()];
    line.extend(matrix.columns.iter().map(words::placebo));
    table.push(line);
    let mut line = vec!["indifference zone".to_owned()];
    line.extend(
        matrix
            .columns
            .iter()
            .map(|column| format!("±{}", format::percent_of_log(column.zone))),
    );
    table.push(line);
}

fn headlines(matrix: &Matrix, out: &mut String) {
    for column in &matrix.columns {
        let sentence = column.headline(&matrix.rows).sentence(column.choice.metric);
        let text: String = sentence
            .into_iter()
            .map(|(bold, text)| if bold { format!("**{text}**") } else { text })
            .collect();
        out.push_str(&format!(
            "- {} ({}): {text}\n",
            column.scenario,
            column.describe()
        ));
    }
    out.push('\n');
}

/// What a row did, and the connections that it left without a reply.
fn matrix_cell(column: &Column, entry: &Entry) -> String {
    let unserved = entry.unserved.map(words::unserved);
    outcome(column, entry) + &unserved.map_or(String::new(), |text| format!(" ({text})"))
}

/// `1.31× (1.25–1.38) #2`, or the figure alone where nothing is ranked.
fn outcome(column: &Column, entry: &Entry) -> String {
    let figure = entry
        .spread
        .map(|spread| column.choice.metric.show(spread.median));
    match (entry.state, entry.place, figure) {
        (State::Valid, Some(place), _) if entry.overloaded => {
            format!("overloaded #{}", place.tier)
        }
        (State::Valid, Some(place), _) => {
            let interval = entry
                .interval()
                .map_or(String::new(), |text| format!(" ({text})"));
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
            let interval = entry
                .interval()
                .map_or(String::new(), |text| format!(" ({text})"));
            format!("{factor}{interval} peer")
        }
        (State::Valid, None, Some(figure)) => figure,
        (State::Limited, _, Some(figure)) => {
            format!("LIMITED {}", words::bound(column.choice.metric, &figure))
        }
        (State::Limited, _, None) => "LIMITED".to_owned(),
        (state, _, _) => words::state(state).to_owned(),
    }
}

fn scenario_tables(run: &Run, scenario: &str, out: &mut String) {
    paragraph(out, &format!("## {scenario}"));
    paragraph(out, &words::scenario(run, scenario));
    for window in run.windows(scenario) {
        paragraph(out, &format!("### {scenario}, {}", window.describe()));
        let columns = figures::columns(run, scenario, Some(window));
        let mut table = Table::new(columns.iter().map(|(head, _)| (*head).to_owned()).collect());
        for row in &run.rows {
            let cell = run.cell(&row.label, scenario, window);
            if cell.state != State::Missing {
                table.push(
                    columns
                        .iter()
                        .map(|(_, of)| figures::text(run, row, &cell, *of))
                        .collect(),
                );
            }
        }
        out.push_str(&table.render());
        out.push('\n');
        if figures::is_unserved(run, scenario, window) {
            paragraph(out, words::UNSERVED);
        }
    }
}

fn sheet_table(sheet: &Sheet, out: &mut String) {
    paragraph(out, &format!("## {}", sheet.title));
    paragraph(out, &sheet.note);
    let head = ["model".to_owned()]
        .into_iter()
        .chain(sheet.heads.iter().cloned());
    let mut table = Table::new(head.collect());
    for line in &sheet.lines {
        let absent = |text: &str| {
            if text.is_empty() {
                "-".to_owned()
            } else {
                text.to_owned()
            }
        };
        let text = |entry: &sheet::Entry| match entry.tone {
            sheet::Tone::Best => format!("**{}**", entry.text),
            _ => absent(&entry.text),
        };
        let entries = line.entries.iter().map(text);
        table.push(
            [line.row.label.clone()]
                .into_iter()
                .chain(entries)
                .collect(),
        );
    }
    out.push_str(&table.render());
    out.push('\n');
}

fn noise_section(run: &Run, out: &mut String) {
    let evidence = Evidence::of(run.blocks);
    paragraph(out, "## Noise");
    paragraph(out, words::PLACEBO);
    let mut table = Table::new(
        [
            "scenario",
            "figure",
            "A/A ratio",
            "interval",
            "by block",
            "differs",
        ]
        .map(str::to_owned)
        .to_vec(),
    );
    for placebo in noise::placebos(run, evidence) {
        let by_block: Vec<String> = placebo
            .logs
            .values()
            .map(|log| format::factor_bare(log.exp()))
            .collect();
        let figure = format!(
            "{}, {}",
            placebo.choice.metric.name(),
            placebo.choice.window.describe()
        );
        let ratio = placebo
            .comparison
            .map_or("-".to_owned(), |each| format::factor(each.log.exp()));
        let interval = placebo.comparison.map_or("-".to_owned(), |each| {
            format::factor_interval(each.low.exp(), each.high.exp())
        });
        let differs = if placebo.differs { "yes" } else { "no" };
        table.push(vec![
            placebo.scenario,
            figure,
            ratio,
            interval,
            by_block.join(" "),
            differs.to_owned(),
        ]);
    }
    out.push_str(&table.render());
    out.push('\n');
    paragraph(out, "### The gates");
    paragraph(out, words::GATES);
    let header = ["scenario"].into_iter().chain(noise::COUNTED);
    let mut table = Table::new(header.map(str::to_owned).collect());
    for scenario in &run.scenarios {
        let counts = noise::counts(run, scenario).map(|count| count.to_string());
        table.push([scenario.clone()].into_iter().chain(counts).collect());
    }
    out.push_str(&table.render());
    out.push('\n');
    for (validity, title) in [
        (Validity::Invalid, "Excluded trials (INVALID: never drawn)"),
        (Validity::Limited, "LIMITED trials (bounds, never ranked)"),
    ] {
        paragraph(out, &format!("### {title}"));
        let mut table = Table::new(
            ["scenario", "model", "load", "block", "why"]
                .map(str::to_owned)
                .to_vec(),
        );
        for trial in noise::trials(run, validity) {
            table.push(vec![
                trial.scenario.clone(),
                trial.label.clone(),
                words::load(trial),
                trial.block.to_string(),
                trial.reasons.text(),
            ]);
        }
        out.push_str(&table.render());
        out.push('\n');
    }
    generator_table(run, out);
}

fn generator_table(run: &Run, out: &mut String) {
    paragraph(out, "### The load generator");
    paragraph(out, words::GENERATOR);
    if let Some(duration) = words::duration(run) {
        paragraph(out, &duration);
    }
    let header = [
        "scenario",
        "load",
        "late p99 µs",
        "worst",
        "CPU share",
        "worst",
        "steal, worst",
        "null server req/s",
    ];
    let mut table = Table::new(header.map(str::to_owned).to_vec());
    for each in noise::generators(run) {
        let absent = || "-".to_owned();
        let of = |spread: Option<Spread>, pick: fn(Spread) -> f64, show: fn(f64) -> String| {
            spread.map_or_else(absent, |spread| show(pick(spread)))
        };
        table.push(vec![
            each.scenario.clone(),
            each.window.describe(),
            of(each.late_p99_us, |s| s.median, format::number),
            of(each.late_p99_us, |s| s.high, format::number),
            of(each.cpu_share, |s| s.median, format::percent),
            of(each.cpu_share, |s| s.high, format::percent),
            each.steal_share_max.map_or_else(absent, format::percent),
            each.null_rps.map_or_else(absent, format::number),
        ]);
    }
    out.push_str(&table.render());
}
