//! The rows of a file of contenders, as settings of which the best is looked for.

use workload::Workload;

use crate::plan::contender::Contender;
use crate::plan::contenders::{Contenders, Row};
use crate::plan::scenario::Scenario;
use crate::plan::target::Target;
use crate::plan::visit::Visit;
use crate::plan::workload as plan;
use crate::run::capacities::{Measured, Session, Start};
use crate::run::probe;

/// A row of a file of contenders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// What it is called: a name, and what it has of the grid.
    pub label: String,
    /// Its workers, where they are in its command.
    pub workers: Option<u32>,
    /// Its threads per worker, where they are in its command.
    pub threads: Option<u32>,
}

/// The rows of a file of contenders.
///
/// # Errors
/// One line that names the file and what is wrong with it.
pub fn settings(file: &str) -> Result<Vec<Setting>, String> {
    let read = Contenders::read(&[file.to_owned()]).map_err(|failure| failure.to_string())?;
    let limited = read.limited();
    limited.map_err(|error| format!("--contenders {file}: {error}"))?;
    let setting = |row: &Row| Setting {
        label: row.label.clone(),
        workers: row.workers,
        threads: row.threads,
    };
    Ok(read.rows.iter().map(setting).collect())
}

/// The capacity of rows of a file of contenders, each with where its search begins. They are asked for
/// `[paths] workload` of the file, else for the routes of the synthetic service.
///
/// # Errors
/// As [`capacities`](crate::run::capacities::capacities); or the file cannot be read, or a server does not start.
pub fn setting_capacities(
    workload: &Workload,
    file: &str,
    asked: &[(&str, f64)],
) -> anyhow::Result<Vec<Measured>> {
    let session = Session::new(workload)?;
    let read = Contenders::read(&[file.to_owned()])?;
    let scenario = match read.paths.get(plan::NAME) {
        None => session.scenario,
        Some(path) => Box::leak(Box::new(Scenario {
            path: String::leak(path.clone()),
            mix: &[],
            body_bytes: 0,
            ..*session.scenario
        })),
    };
    let row = |label: &str| read.rows.iter().find(|row| row.label == label);
    let rows: Vec<&Row> = asked.iter().filter_map(|(label, _)| row(label)).collect();
    anyhow::ensure!(rows.len() == asked.len(), "a row is not in {file}");
    let contenders: Vec<Contender> = rows
        .iter()
        .map(|row| Contender::target(&Target::started(row)))
        .collect();
    let mut visits: Vec<Visit> = contenders
        .iter()
        .map(|contender| session.visit(scenario, contender, None))
        .collect();
    probe::ask(&session.setup, &contenders, &[scenario], None, false)?.apply(&mut visits);
    let visits = visits.into_iter().map(|visit| match &visit.blocked {
        Some(reason) => Err(reason.text.clone()),
        None => Ok(visit),
    });
    let start = |a: &(&str, f64)| Start {
        guess_rps: a.1,
        coarse: false,
    };
    session.measure(visits.zip(asked.iter().map(start)).collect())
}
