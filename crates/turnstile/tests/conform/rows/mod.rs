//! The behaviours, by subject.

mod crash;
mod crowd;
mod deadlines;
mod drain;
mod framing;
mod halfclose;
mod limits;
mod listeners;
mod refusals;
mod routes;
mod scarcity;
mod unp;

use crate::runner::Row;

/// All rows. Those that wait longest come first, so that the run ends sooner.
pub fn all() -> Vec<Row> {
    [
        deadlines::ROWS,
        scarcity::ROWS,
        drain::ROWS,
        crowd::ROWS,
        crash::ROWS,
        routes::ROWS,
        framing::ROWS,
        halfclose::ROWS,
        limits::ROWS,
        refusals::ROWS,
        listeners::ROWS,
        unp::ROWS,
    ]
    .concat()
}

/// A row.
const fn row(name: &'static str, run: fn(&crate::harness::Column) -> anyhow::Result<()>) -> Row {
    Row { name, run }
}
