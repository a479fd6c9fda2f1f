//! What came of it, as a table and a closing line.

use std::time::Duration;

use crate::harness::Column;
use crate::runner::{Row, Verdict};

/// (row, column, what came of it, how long it took).
pub type Result = (&'static str, String, Verdict, Duration);

/// Prints the matrix, then what failed, then the count; true if nothing failed.
pub fn print(rows: &[Row], columns: &[Column], results: &[Result], took: Duration) -> bool {
    let labels: Vec<_> = columns.iter().map(Column::label).collect();
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    println!();
    for (index, label) in labels.iter().enumerate() {
        println!("{:width$}  {}{label}", "", "     ".repeat(index));
    }
    for row in rows {
        let of = |label: &String| {
            let mut all = results.iter();
            all.find(|(name, column, ..)| *name == row.name && column == label)
        };
        let found: Vec<_> = labels.iter().map(of).collect();
        if found.iter().any(Option::is_some) {
            let marks = found
                .iter()
                .map(|result| result.map_or("", |found| mark(&found.2)));
            let marks: String = marks.map(|mark| format!("{mark:5}")).collect();
            println!("{:width$}  {}", row.name, marks.trim_end());
        }
    }
    println!("\nok: it does · no: it cannot, by design · -: the question does not arise");
    notes(results);
    close(results, took)
}

fn mark(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "ok",
        Verdict::Design(_) => "no",
        Verdict::Moot(_) => "-",
        Verdict::Fail(_) => "FAIL",
    }
}

/// Says why cells are not plain passes, and which were slow.
fn notes(results: &[Result]) {
    for (row, column, verdict, _) in results {
        match verdict {
            Verdict::Design(why) => println!("no: ({row}, {column}): {why}"),
            Verdict::Moot(why) => println!("-: ({row}, {column}): {why}"),
            Verdict::Pass | Verdict::Fail(_) => {}
        }
    }
    if std::env::args().any(|arg| arg == "--times") {
        let mut slowest: Vec<_> = results.iter().collect();
        slowest.sort_by_key(|result| std::cmp::Reverse(result.3));
        for (row, column, _, took) in slowest.iter().take(40) {
            println!("{:6} ms: ({row}, {column})", took.as_millis());
        }
    }
    for (row, column, verdict, _) in results {
        if let Verdict::Fail(why) = verdict {
            println!("\nFAIL: ({row}, {column}): {why}");
        }
    }
}

/// The closing line, in cargo's words.
fn close(results: &[Result], took: Duration) -> bool {
    let count =
        |like: fn(&Verdict) -> bool| results.iter().filter(|result| like(&result.2)).count();
    let passed = count(|verdict| matches!(verdict, Verdict::Pass));
    let failed = count(|verdict| matches!(verdict, Verdict::Fail(_)));
    let design = count(|verdict| matches!(verdict, Verdict::Design(_)));
    let moot = count(|verdict| matches!(verdict, Verdict::Moot(_)));
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {result}. {passed} passed; {failed} failed; {} ignored; 0 measured; 0 filtered out; \
         {design} by design, {moot} moot; finished in {:.2}s",
        design + moot,
        took.as_secs_f64()
    );
    failed == 0
}
