//! Draws the pictures of docs/simulator.md: `cargo run --release -p simulate --example pictures -- DIR`.

use report::palette::Mark;
use report::scale::Log;
use report::svg::{Anchor, Svg};
use simulate::{Costs, Load, Scheduler, Server, Spread, Stalls, Topology, Trace, run};
use workload::Workload;

const ONE_LOOP: Topology = Topology::Loops {
    loops: 1,
    spread: Spread::Even,
};
const SEATS: Topology = Topology::Seats {
    seats: 32,
    spread: Spread::Even,
};

fn server(topology: Topology, slice_us: f64) -> Server {
    Server {
        cores: 1,
        topology,
        costs: Costs {
            cpu_factor: 1.0,
            ..Costs::default()
        },
        scheduler: Scheduler {
            slice_us,
            preempt_us: slice_us,
            protect_us: slice_us,
        },
        stalls: Stalls::default(),
        client_stalls: Stalls::default(),
        connections: 32,
    }
}

fn trace(text: &str, many: usize) -> Trace {
    Trace::draw(&Workload::parse(text).expect("a workload"), many, 1)
}

fn open(rate: f64, connections: usize) -> Load {
    Load::Open { rate, connections }
}

/// The mean response of M/M/1: simulated points on the line of theory.
fn theory() -> Svg {
    let trace = trace(
        "rate = 1\n[[class]]\ncpu_us = { exponential = 100 }\n",
        400_000,
    );
    let load = |n: u32| f64::from(n) / 20.0;
    let line = (1..20)
        .map(|n| (load(n), 100.0 / (1.0 - load(n))))
        .collect();
    let simulated = (1..20).map(|n| {
        let outcome = run(
            &server(ONE_LOOP, 1e9),
            &open(load(n) * 1e4, 100_000),
            &trace,
        );
        (load(n), outcome.all.mean_us())
    });
    draw(
        "M/M/1: the mean response, by theory (line) and simulated (points)",
        "utilisation",
        &[
            ("theory", line, true),
            ("simulated", simulated.collect(), false),
        ],
    )
}

/// 99 % of 100 µs and 1 % of 10 ms: what the short ones wait.
fn sharing() -> Svg {
    let text = "rate = 1\n[[class]]\nshare = 0.99\ncpu_us = 100\n[[class]]\nshare = 0.01\ncpu_us = 10000\n";
    let trace = trace(text, 200_000);
    let of = |topology, slice_us| {
        let at = |n: u32| {
            let rate = 400.0 * f64::from(n);
            let outcome = run(&server(topology, slice_us), &open(rate, 32), &trace);
            (rate, outcome.all.percentile_us(90.0))
        };
        (1..=11).map(at).collect::<Vec<_>>()
    };
    draw(
        "p90 of a mix of 99 % 100 µs and 1 % 10 ms on one core, µs",
        "requests per second",
        &[
            ("a loop", of(ONE_LOOP, 1e9), true),
            ("threads, slices of 4 ms", of(SEATS, 4_000.0), true),
            ("threads, slices of 0.1 ms", of(SEATS, 100.0), true),
        ],
    )
}

/// Its name, its points, and whether they are joined.
type Line<'a> = (&'a str, Vec<(f64, f64)>, bool);

fn draw(title: &str, across: &str, lines: &[Line<'_>]) -> Svg {
    let values = |of: fn(&(f64, f64)) -> f64| -> Vec<f64> {
        lines.iter().flat_map(|l| l.1.iter().map(of)).collect()
    };
    let x = Log::over(&values(|p| p.0), 60.0, 470.0).expect("there are points");
    let y = Log::over(&values(|p| p.1), 280.0, 30.0).expect("there are points");
    let mut svg = Svg::new(660.0, 330.0, title);
    svg.text(60.0, 18.0, Anchor::Start, "t", title);
    for tick in x.ticks() {
        svg.line((x.at(tick), 30.0), (x.at(tick), 280.0), "grid");
        svg.text(x.at(tick), 296.0, Anchor::Middle, "m n", &tick.to_string());
    }
    for tick in y.ticks() {
        svg.line((60.0, y.at(tick)), (470.0, y.at(tick)), "grid");
        svg.text(
            54.0,
            y.at(tick) + 4.0,
            Anchor::End,
            "m n",
            &tick.to_string(),
        );
    }
    svg.text(265.0, 318.0, Anchor::Middle, "m n", across);
    let at = |p: &(f64, f64)| (x.at(p.0), y.at(p.1));
    let ends: Vec<f64> = lines
        .iter()
        .filter_map(|l| l.1.last())
        .map(|p| y.at(p.1))
        .collect();
    let places = report::scale::apart(&ends, 16.0, 30.0, 280.0);
    let inks = report::palette::MODELS;
    for (n, ((name, points, joined), place)) in lines.iter().zip(places).enumerate() {
        let class = report::palette::class(inks[n * 3 % inks.len()]);
        let drawn: Vec<(f64, f64)> = points.iter().map(at).collect();
        if *joined {
            svg.path(&drawn, &format!("s{class}"));
        } else {
            for point in &drawn {
                svg.mark(*point, Mark::Circle, true, class, name);
            }
        }
        svg.text(480.0, place + 4.0, Anchor::Start, "n", name);
    }
    svg
}

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    for (name, svg) in [("theory", theory()), ("sharing", sharing())] {
        std::fs::write(format!("{folder}/{name}.svg"), svg.standalone(""))?;
    }
    Ok(())
}
