//! The mean response of simulated requests, µs: `mean CORES RATE CPU_US`, the CPU time as a workload file
//! has it. Each core is served from one queue. With `--speed` after it, simulated requests per second.

use std::time::Instant;

use simulate::{Costs, Load, Scheduler, Server, Topology, Trace, run};
use workload::Workload;

fn main() -> Result<(), String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [cores, rate, cpu, ..] = &args[..] else {
        return Err("usage: mean CORES RATE CPU_US [--speed]".into());
    };
    let cores: usize = cores.parse().map_err(|_| "CORES is a number")?;
    let rate: f64 = rate.parse().map_err(|_| "RATE is a number")?;
    let workload = Workload::parse(&format!("rate = 1\n[[class]]\ncpu_us = {cpu}\n"))?;
    let trace = Trace::draw(&workload, 1_000_000, 1);
    let server = Server {
        cores,
        topology: Topology::Shared { threads: cores },
        costs: Costs {
            cpu_factor: 1.0,
            ..Costs::default()
        },
        scheduler: Scheduler::default(),
        connections: 1,
    };
    let load = Load::Open {
        rate,
        connections: 100_000,
    };
    let begun = Instant::now();
    let outcome = run(&server, &load, &trace);
    if args.iter().any(|arg| arg == "--speed") {
        println!("{:.0}", trace.len() as f64 / begun.elapsed().as_secs_f64());
    } else {
        println!("{:.3}", outcome.all.mean_us());
    }
    Ok(())
}
