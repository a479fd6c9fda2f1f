//! The answer for a terminal.

use std::fmt::Write;

use crate::answer::{Answer, CandidateLine};

/// The answer as a table and a few lines.
pub fn text(answer: &Answer) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, answer);
    out
}

fn label(line: &CandidateLine) -> String {
    match line.variant.as_str() {
        "-" => line.model.clone(),
        variant => format!("{}:{variant}", line.model),
    }
}

fn write(out: &mut String, answer: &Answer) -> std::fmt::Result {
    match (&answer.recommended, &answer.refused) {
        (_, Some(refused)) => writeln!(out, "No answer: {refused}")?,
        (Some(chosen), None) => {
            let variant = if chosen.variant == "-" {
                String::new()
            } else {
                format!(":{}", chosen.variant)
            };
            let workers = chosen
                .workers
                .map(|n| format!(" --workers {n}"))
                .unwrap_or_default();
            writeln!(
                out,
                "turnstile serve --model {}{variant}{workers}",
                chosen.model
            )?;
            writeln!(out, "  because {}", chosen.because)?;
            if !chosen.holds_load {
                writeln!(
                    out,
                    "  IT DOES NOT CARRY THE ASKED LOAD within the objective, and no other does better"
                )?;
            }
            if let Some(other) = &chosen.runner_up {
                writeln!(out, "  runner-up: {other}")?;
            }
        }
        (None, None) => writeln!(out, "No answer.")?,
    }
    table(out, answer)?;
    if let Some(sizing) = &answer.sizing {
        writeln!(out, "\nSizes")?;
        for line in &sizing.workers {
            writeln!(
                out,
                "  {:>6} workers: {:>8.0}/s",
                line.workers, line.capacity_rps
            )?;
        }
        writeln!(
            out,
            "  at most {} may wait: the next would be late",
            sizing.queue_max
        )?;
        writeln!(out, "  descriptors: {} per process", sizing.descriptors)?;
        if sizing.queue_delay_ms > 0 {
            writeln!(
                out,
                "  --queue-delay-ms {}: with a shorter one it refuses requests that still could be in time",
                sizing.queue_delay_ms
            )?;
        }
    }
    list(out, "What would change the answer", &answer.would_change)?;
    if let Some(plan) = &answer.plan {
        let price = plan
            .price_per_million
            .map(|p| format!(", {p:.4} per million requests"));
        writeln!(
            out,
            "\n{} machines for {:.0}/s with {} failed{}",
            plan.machines,
            plan.peak_rps,
            plan.failed,
            price.unwrap_or_default()
        )?;
        for line in &plan.assumptions {
            writeln!(out, "  {line}")?;
        }
    }
    list(out, "This rests on", &answer.rests_on)
}

fn table(out: &mut String, answer: &Answer) -> std::fmt::Result {
    let ranked = answer
        .candidates
        .iter()
        .filter(|c| c.disqualified.is_none());
    let mut ranked = ranked.peekable();
    if ranked.peek().is_some() {
        writeln!(
            out,
            "\n{:<4} {:<32} {:>7} {:>26} {:>10} {:>10} {:>8}",
            "tier", "variant", "workers", "capacity/s (90 %)", "p50 ms", "p99 ms", "MiB"
        )?;
    }
    for line in ranked {
        let tier = if line.tier == 0 {
            "-".to_owned()
        } else {
            line.tier.to_string()
        };
        let workers = line
            .workers
            .map_or_else(|| "default".into(), |n| n.to_string());
        let capacity = line.capacity_rps.map_or_else(String::new, |c| {
            format!("{:.0} ({:.0}-{:.0})", c.expected, c.low, c.high)
        });
        let ms =
            |us: Option<f64>| us.map_or_else(|| "-".into(), |us| format!("{:.2}", us / 1_000.0));
        let response = line.response_us;
        let (p50, p99) = (ms(response.map(|r| r.p50)), ms(response.map(|r| r.p99)));
        let memory = line
            .memory_mib
            .map_or_else(String::new, |m| format!("{m:.1}"));
        writeln!(
            out,
            "{tier:<4} {:<32} {workers:>7} {capacity:>26} {p50:>10} {p99:>10} {memory:>8}",
            label(line)
        )?;
    }
    for line in &answer.candidates {
        if let Some(reason) = &line.disqualified {
            writeln!(out, "out  {:<32} {reason}", label(line))?;
        }
    }
    Ok(())
}

fn list(out: &mut String, title: &str, lines: &[String]) -> std::fmt::Result {
    if !lines.is_empty() {
        writeln!(out, "\n{title}")?;
    }
    lines.iter().try_for_each(|line| writeln!(out, "  {line}"))
}
