//! The result as comma-separated values: a line for the run, for each step of the profile, for each
//! kind of request and for each slice of the window (RFC 4180).

use std::fmt::Write;

use schema::load::{Latency, LoadResult};

const HEAD: &str = "part,name,start_s,duration_s,scheduled,requests,errors,rate_achieved,mean_us,\
                    p50_us,p90_us,p99_us,p999_us,max_us";

/// A percentile that is infinite, because it falls among failures, is `inf`; one that is not known is
/// empty.
pub(crate) fn of(result: &LoadResult) -> String {
    let mut text = format!("{HEAD}\r\n");
    let window = (0.0, result.duration_s);
    let outcomes = (result.scheduled, result.requests, result.failures());
    let rate = Some(result.rate_achieved);
    line(
        &mut text,
        ["run", &result.url],
        window,
        outcomes,
        rate,
        &result.response_us,
    );
    for phase in &result.phases {
        let name = format!("{}-{}/s", phase.rate_from, phase.rate_to);
        let window = (phase.start_s, phase.duration_s);
        let outcomes = (phase.scheduled, phase.requests, phase.failures());
        line(
            &mut text,
            ["step", &name],
            window,
            outcomes,
            None,
            &phase.response_us,
        );
    }
    for kind in &result.kinds {
        let name = format!("{} {}", kind.method, kind.path);
        let outcomes = (kind.scheduled, kind.requests, kind.failures());
        line(
            &mut text,
            ["kind", &name],
            window,
            outcomes,
            None,
            &kind.response_us,
        );
    }
    for slice in &result.timeline {
        let latency = Latency {
            count: slice.requests,
            p50: slice.p50_us,
            p99: slice.p99_us,
            max: slice.max_us,
            ..Latency::default()
        };
        let window = (slice.start_s, slice.duration_s);
        let outcomes = (slice.scheduled, slice.requests, slice.errors_total);
        line(&mut text, ["slice", ""], window, outcomes, None, &latency);
    }
    text
}

fn line(
    text: &mut String,
    [part, name]: [&str; 2],
    (start_s, duration_s): (f64, f64),
    (scheduled, requests, errors): (u64, u64, u64),
    rate: Option<f64>,
    latency: &Latency,
) {
    let figure = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    // Percentiles of a population with failures may be infinite; a slice has neither mean nor p90.
    let percentile = |value: Option<f64>, known: bool| match value {
        Some(value) => value.to_string(),
        None if known && scheduled > 0 => "inf".to_owned(),
        None => String::new(),
    };
    let whole = part != "slice";
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "{part},{},{start_s},{duration_s},{scheduled},{requests},{errors},{},{},{},{},{},{},{}\r\n",
        quoted(name),
        figure(rate),
        figure(latency.mean),
        percentile(latency.p50, true),
        percentile(latency.p90, whole),
        percentile(latency.p99, true),
        percentile(latency.p999, whole),
        percentile(latency.max, true),
    );
}

/// A text in quotes where a comma, a quote or an end of line is in it.
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::load::{KindFigures, SliceFigures};

    #[test]
    fn every_line_has_the_columns_of_the_first() {
        let mut result = LoadResult {
            url: "http://h/".to_owned(),
            scheduled: 10,
            requests: 9,
            duration_s: 1.0,
            timeline: vec![SliceFigures::default()],
            kinds: vec![KindFigures {
                method: "GET".to_owned(),
                path: "/a\"b".to_owned(),
                ..KindFigures::default()
            }],
            ..LoadResult::default()
        };
        result.errors.insert("reset".to_owned(), 1);
        result.response_us.p50 = Some(12.5);
        let text = of(&result);
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines[0].split(',').count(), 14);
        assert_eq!(lines[1], "run,http://h/,0,1,10,9,1,0,,12.5,inf,inf,inf,inf");
        assert_eq!(lines[2], "kind,\"GET /a\"\"b\",0,1,0,0,0,,,,,,,");
        assert_eq!(lines[3].split(',').count(), 14);
        assert_eq!((lines.len(), lines[4]), (5, ""));
        assert_eq!(quoted("a,b"), "\"a,b\"");
    }
}
