//! The best setting of a server of one's own: `--contenders FILE`.
//!
//! The simulator tells what each setting of the grid could carry at most, if a request cost nothing but the
//! handler's own time. The most promising are measured first, in interleaved trials; one that could not do as
//! much as what has been measured already is left out.

use advise::upper_bound;
use bench::{Measured, Setting};
use schema::profile::Profile;
use serde::Serialize;
use workload::Workload;

use super::refused::{Refused, failed, say, unusable};

/// Settings that stand side by side.
const TOGETHER: usize = 4;
/// Settings that are measured at most.
const MEASURED_MAX: usize = 12;
/// Settings whose capacities differ by less are equals: of them, the smallest is taken.
const TIE_SHARE: f64 = 0.05;

/// A setting, and what was found of it.
#[derive(Debug, Clone, Serialize)]
struct Line {
    label: String,
    workers: Option<u32>,
    threads: Option<u32>,
    /// What it could carry at most, simulated.
    at_most_rps: f64,
    /// What it carries at the objective.
    capacity_rps: Option<f64>,
    /// Why that is not known.
    why: String,
}

/// The answer, for programs.
#[derive(Debug, Serialize)]
struct Sized {
    recommended: Option<String>,
    settings: Vec<Line>,
}

/// Measures the settings of `file` that are worth it, and prints the best.
pub(super) fn size(
    workload: &Workload,
    profile: &Profile,
    file: &str,
    json: bool,
    seed: u64,
) -> Result<bool, Refused> {
    let settings = bench::settings(file).map_err(unusable)?;
    let line = |s: &Setting| Line {
        label: s.label.clone(),
        workers: s.workers,
        threads: s.threads,
        at_most_rps: upper_bound(workload, profile, threads(s), seed),
        capacity_rps: None,
        why: String::new(),
    };
    let mut lines: Vec<Line> = settings.iter().map(line).collect();
    lines.sort_by(|a, b| {
        b.at_most_rps
            .total_cmp(&a.at_most_rps)
            .then(weight(a).cmp(&weight(b)))
    });
    let mut best = 0.0_f64;
    let mut measured = 0;
    for chunk in lines.chunks_mut(TOGETHER) {
        for line in chunk.iter_mut() {
            if line.at_most_rps < best {
                line.why = format!("not measured: {best:.0}/s were measured of another");
            } else if measured >= MEASURED_MAX {
                line.why = format!("not measured: {MEASURED_MAX} others were");
            } else {
                measured += 1;
                continue;
            }
        }
        let asked = chunk.iter().filter(|l| l.why.is_empty());
        let asked: Vec<_> = asked.map(|l| (l.label.as_str(), l.at_most_rps)).collect();
        if asked.is_empty() {
            continue;
        }
        let found = bench::setting_capacities(workload, file, &asked)
            .map_err(|e| failed(format!("--contenders: {e}")))?;
        for (line, found) in chunk.iter_mut().filter(|l| l.why.is_empty()).zip(found) {
            let Measured { rps, why, .. } = found;
            best = best.max(rps.unwrap_or(0.0));
            (line.capacity_rps, line.why) = (rps, why);
        }
    }
    let chosen = choice(&lines);
    if json {
        let recommended = chosen.map(|line| line.label.clone());
        let sized = Sized {
            recommended,
            settings: lines,
        };
        let text = serde_json::to_string_pretty(&sized).map_err(|e| failed(e.to_string()))?;
        say(&text)?;
        return Ok(sized.recommended.is_some());
    }
    say(&told(chosen, &lines))?;
    Ok(chosen.is_some())
}

/// The best setting, and what was found of each.
fn told(chosen: Option<&Line>, lines: &[Line]) -> String {
    let mut text = match chosen {
        Some(line) => format!(
            "{}: {:.0}/s at the objective, and no larger setting carries 5 % more\n\n",
            line.label,
            line.capacity_rps.unwrap_or(0.0)
        ),
        None => "No answer: no setting kept the objective at any rate\n\n".to_owned(),
    };
    text += &format!(
        "{:<32} {:>12} {:>12}\n",
        "setting", "at most/s", "measured/s"
    );
    for line in lines {
        let rps = line
            .capacity_rps
            .map_or_else(|| "-".to_owned(), |rps| format!("{rps:.0}"));
        text += &format!(
            "{:<32} {:>12.0} {:>12}  {}\n",
            line.label, line.at_most_rps, rps, line.why
        );
    }
    text + "\n\"at most\" is simulated with a request that costs nothing but the handler's own time"
}

/// Threads that a request may hold, where the setting says so. Without a number of threads a worker may be a
/// loop that serves many requests while they wait.
fn threads(setting: &Setting) -> Option<usize> {
    let threads = setting.threads?;
    Some(threads as usize * setting.workers.unwrap_or(1) as usize)
}

/// Workers first, which are processes, then threads.
fn weight(line: &Line) -> (u32, u32) {
    (line.workers.unwrap_or(0), line.threads.unwrap_or(0))
}

/// The smallest of those that carry about as much as the best.
fn choice(lines: &[Line]) -> Option<&Line> {
    let rps = |line: &&Line| line.capacity_rps.unwrap_or(0.0);
    let best = lines.iter().map(|line| rps(&line)).fold(0.0, f64::max);
    let near = lines
        .iter()
        .filter(|line| best > 0.0 && rps(line) >= best * (1.0 - TIE_SHARE));
    near.min_by_key(|line| weight(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(workers: u32, threads: u32, rps: Option<f64>) -> Line {
        Line {
            label: format!("w{workers} t{threads}"),
            workers: Some(workers),
            threads: Some(threads),
            at_most_rps: 1e3,
            capacity_rps: rps,
            why: String::new(),
        }
    }

    #[test]
    fn the_smallest_of_equals_is_taken() {
        let lines = [
            line(4, 16, Some(1_000.0)),
            line(2, 16, Some(980.0)),
            line(2, 8, Some(960.0)),
            line(1, 8, Some(700.0)),
            line(1, 1, None),
        ];
        assert_eq!(choice(&lines).map(|l| l.label.as_str()), Some("w2 t8"));
        assert!(choice(&lines[4..]).is_none());
    }
}
