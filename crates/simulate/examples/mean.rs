//! The mean response of simulated requests, µs: `mean CORES RATE CPU_US`, the CPU time as a workload file
//! has it. Each core is served from one queue; with `--sharing` after it, there is a thread per connection and a
//! slice of 2 µs. With `--speed`, simulated requests per second.

use std::time::Instant;

use simulate::{Costs, Load, Scheduler, Server, Spread, Stalls, Topology, Trace, run};
use workload::Workload;

fn main() -> Result<(), String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [cores, rate, cpu, ..] = &args[..] else {
        return Err("usage: mean CORES RATE CPU_US [--sharing] [--speed]".into());
    };
    let cores: usize = cores.parse().map_err(|_| "CORES is a number")?;
    let rate: f64 = rate.parse().map_err(|_| "RATE is a number")?;
    let workload = Workload::parse(&format!("rate = 1\n[[class]]\ncpu_us = {cpu}\n"))?;
    let trace = Trace::draw(&workload, 1_000_000, 1);
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let (topology, connections, scheduler) = if has("--sharing") {
        let seats = Topology::Seats {
            seats: 1_000,
            spread: Spread::Even,
        };
        let finest = Scheduler {
            slice_us: 2.0,
            preempt_us: 1.0,
            protect_us: 1.0,
        };
        (seats, 900, finest)
    } else {
        let threads = Topology::Shared { threads: cores };
        (threads, 100_000, Scheduler::default())
    };
    let server = Server {
        cores,
        topology,
        costs: Costs {
            cpu_factor: 1.0,
            ..Costs::default()
        },
        scheduler,
        stalls: Stalls::default(),
        client_stalls: Stalls::default(),
        connections: 1,
    };
    let load = Load::Open { rate, connections };
    let begun = Instant::now();
    let outcome = run(&server, &load, &trace);
    if has("--speed") {
        println!("{:.0}", trace.len() as f64 / begun.elapsed().as_secs_f64());
    } else {
        println!("{:.3}", outcome.all.mean_us());
    }
    Ok(())
}
