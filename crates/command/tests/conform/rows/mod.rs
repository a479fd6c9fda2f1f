//! The behaviours, by subject.

mod access_log;
mod adversity;
mod advisories;
mod answers;
mod back_ends;
mod bounds;
mod container;
mod crash;
mod crowd;
mod deadlines;
mod drain;
mod envelope;
mod framing;
mod front;
mod gateways;
mod halfclose;
mod handlers;
mod limits;
mod listeners;
mod memory;
mod metrics;
mod overload;
mod passing;
mod php_fpm;
mod refusals;
mod reported;
mod restart;
mod routes;
mod scarcity;
mod services;
mod streams;
mod supervised;
mod unp;
mod watchdog;
mod workers;

pub use listeners::remove_paths;

use crate::runner::Row;

/// All rows. Those that wait longest come first, so that the run ends sooner.
pub fn all() -> Vec<Row> {
    [
        deadlines::ROWS,
        memory::ROWS,
        scarcity::ROWS,
        drain::ROWS,
        envelope::ROWS,
        metrics::ROWS,
        access_log::ROWS,
        bounds::ROWS,
        restart::ROWS,
        supervised::ROWS,
        front::ROWS,
        adversity::ROWS,
        reported::ROWS,
        reported::SERVICE_ROWS,
        workers::ROWS,
        container::ROWS,
        watchdog::ROWS,
        crowd::ROWS,
        crash::ROWS,
        handlers::ROWS,
        routes::ROWS,
        services::ROWS,
        streams::ROWS,
        gateways::ROWS,
        passing::ROWS,
        answers::ROWS,
        php_fpm::ROWS,
        framing::ROWS,
        halfclose::ROWS,
        limits::ROWS,
        refusals::ROWS,
        advisories::ROWS,
        listeners::ROWS,
        overload::ROWS,
        unp::ROWS,
    ]
    .concat()
}

/// Whether a row asks for what is the affair of a super-server, where one accepts for the model.
pub fn is_the_super_servers(name: &str) -> bool {
    let rows = [
        memory::ROWS,
        scarcity::ROWS,
        drain::ROWS,
        envelope::ROWS,
        metrics::ROWS,
        access_log::ROWS,
        bounds::ROWS,
        restart::ROWS,
        supervised::ROWS,
        crash::ROWS,
        reported::ROWS,
        workers::ROWS,
        container::ROWS,
        watchdog::ROWS,
        listeners::ROWS,
        overload::ROWS,
        front::ROWS,
    ]
    .concat();
    rows.iter().any(|row| row.name == name)
        || name == "values out of range"
        || name == "more threads than can be had"
        || name == "gateway: unusable values"
        || name.contains("kill -9")
}

/// A row.
const fn row(name: &'static str, run: fn(&crate::harness::Column) -> anyhow::Result<()>) -> Row {
    Row { name, run }
}
